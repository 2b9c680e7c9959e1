/* Paths, updates and queries: compiled once, used often. */
#ifndef MEMSHARE_PATH_HPP
#define MEMSHARE_PATH_HPP

#include "value.hpp"

namespace memshare {

/* A list of keys from the root. Thread: any. */
class path : public detail::counted<ms_path> {
public:
  path() noexcept = default;
  /* "players.7.hp"; empty for what is no path. */
  static std::optional<path> parse(std::string_view text,
                                   ms_error *error = nullptr) noexcept {
    ms_path *made = nullptr;
    const char *bytes = text.data() == nullptr ? "" : text.data();
    if (ms_path_parse(nullptr, bytes, text.size(), &made, error) != MS_OK)
      return std::nullopt;
    return path(made);
  }
  /* With the wildcards `*` and `**`, for share::on(). */
  static std::optional<path> parse_pattern(std::string_view text,
                                           ms_error *error = nullptr) noexcept {
    ms_path *made = nullptr;
    const char *bytes = text.data() == nullptr ? "" : text.data();
    if (ms_path_parse_pattern(nullptr, bytes, text.size(), &made, error) != MS_OK)
      return std::nullopt;
    return path(made);
  }
  /* From keys, which may hold anything. */
  static std::optional<path> of(std::initializer_list<std::string_view> keys,
                                ms_error *error = nullptr) noexcept {
    ms_key list[MS_DEPTH_MAX] = {};
    std::size_t count = 0;
    if (keys.size() > MS_DEPTH_MAX) return (detail::fail(MS_ELIMIT, error), std::nullopt);
    for (const std::string_view key : keys) {
      list[count].bytes = key.data() == nullptr ? "" : key.data();
      list[count++].length = key.size();
    }
    ms_path *made = nullptr;
    if (ms_path_new(nullptr, list, count, &made, error) != MS_OK) return std::nullopt;
    return path(made);
  }
  /* One key more, which may hold anything. */
  std::optional<path> join(std::string_view key,
                           ms_error *error = nullptr) const noexcept {
    ms_path *made = nullptr;
    const char *bytes = key.data() == nullptr ? "" : key.data();
    if (ms_path_join(item_, bytes, key.size(), &made, error) != MS_OK)
      return std::nullopt;
    return path(made);
  }
  /* Dotted, for people: keys with dots are not escaped. A string value; empty: out of memory. */
  std::optional<value> text() const noexcept {
    const ms_value *made = nullptr;
    if (ms_path_text(item_, &made) != MS_OK) return std::nullopt;
    return value::take(made);
  }
  std::size_t size() const noexcept { return ms_path_count(item_); }
  /* Lives as long as the path; index < size(). */
  std::string_view operator[](std::size_t index) const noexcept {
    const ms_key key = ms_path_key(item_, index);
    return std::string_view(key.bytes, key.length);
  }
  /* `raw` is taken. */
  static path take(ms_path *raw) noexcept { return path(raw); }
  /* `borrowed` is retained: for the path of an ms_change that is kept. */
  static path keep(const ms_path *borrowed) noexcept {
    return path(ms_path_retain(borrowed));
  }

private:
  explicit path(ms_path *taken) noexcept : counted(taken) {}
};

/* A compiled update of MongoDB's language. Thread: any. */
class update : public detail::counted<ms_update> {
public:
  update() noexcept = default;
  static std::optional<update> parse(view document,
                                     const ms_update_options *options = nullptr,
                                     ms_error *error = nullptr) noexcept {
    ms_update *made = nullptr;
    if (!document) return (detail::fail(MS_EARGUMENT, error), std::nullopt);
    if (ms_update_parse(nullptr, document.native(), options, &made, error) != MS_OK)
      return std::nullopt;
    return update(made);
  }
  /* What the document becomes; see ms_update_apply(). */
  std::optional<value> apply(view document, std::int64_t wall_ms,
                             ms_error *error = nullptr) const noexcept {
    const ms_value *made = nullptr;
    if (!document) return (detail::fail(MS_EARGUMENT, error), std::nullopt);
    if (ms_update_apply(item_, document.native(), wall_ms, &made, error) != MS_OK)
      return std::nullopt;
    return value::take(made);
  }

private:
  explicit update(ms_update *taken) noexcept : counted(taken) {}
};

/* Compiled conditions of MongoDB's language. Thread: any. */
class query : public detail::counted<ms_query> {
public:
  query() noexcept = default;
  static std::optional<query> parse(view document, ms_error *error = nullptr) noexcept {
    ms_query *made = nullptr;
    if (!document) return (detail::fail(MS_EARGUMENT, error), std::nullopt);
    if (ms_query_parse(nullptr, document.native(), &made, error) != MS_OK)
      return std::nullopt;
    return query(made);
  }
  bool matches(view document) const noexcept {
    return document && ms_query_matches(item_, document.native());
  }

private:
  explicit query(ms_query *taken) noexcept : counted(taken) {}
};

} // namespace memshare
#endif
