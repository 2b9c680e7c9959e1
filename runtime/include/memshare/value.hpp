/* Values: held, borrowed, built and walked. */
#ifndef MEMSHARE_VALUE_HPP
#define MEMSHARE_VALUE_HPP

#include <initializer_list>
#include <iterator>
#include <optional>
#include <stdexcept>

#include "detail.hpp"

namespace memshare {

class value;
class view;

/* One item of a container: `key` in an object, `index` in an array. */
struct item;
class items;

/*
 * A value that somebody else holds, or nothing at all: what absent keys and paths read as. Cheap to
 * copy. It is borrowed from what it was read from; make a value of it to keep it. Thread: any.
 */
class view {
public:
  view() noexcept = default;
  explicit view(const ms_value *borrowed) noexcept : raw_(borrowed) {}
  /* Is there something? Also true for MS_NULL. */
  explicit operator bool() const noexcept { return raw_ != nullptr; }
  const ms_value *native() const noexcept { return raw_; }
  /* MS_NULL also where there is nothing. */
  ms_type type() const noexcept {
    return raw_ == nullptr ? MS_NULL : ms_value_type(raw_);
  }
  /* Items of an array or object, else 0. */
  std::size_t size() const noexcept { return raw_ == nullptr ? 0 : ms_value_count(raw_); }
  /* Nothing where it is not there or no object (array). */
  view operator[](std::string_view key) const noexcept {
    if (raw_ == nullptr || key.data() == nullptr) return view();
    return view(ms_value_get(raw_, key.data(), key.size()));
  }
  view at(std::size_t index) const noexcept {
    return raw_ == nullptr ? view() : view(ms_value_at(raw_, index));
  }
  /* What stands at a path below this value. */
  view find(const ms_path *path) const noexcept {
    return raw_ == nullptr ? view() : view(ms_path_find(path, raw_));
  }

  /*
   * As bool, an integer, a floating-point number (integers convert), std::string_view (which lives as
   * long as the value), view or value (retained). Empty for another type, and for an integer that T
   * cannot hold.
   */
  template <typename T> std::optional<T> as() const noexcept {
    if (raw_ == nullptr) return std::nullopt;
    if constexpr (std::is_same_v<T, bool>) {
      bool flag = false;
      if (ms_value_to_bool(raw_, &flag) != MS_OK) return std::nullopt;
      return flag;
    } else if constexpr (std::is_integral_v<T>) {
      std::int64_t number = 0;
      if (ms_value_to_int(raw_, &number) != MS_OK) return std::nullopt;
      if (!detail::is_in_range<T>(number)) return std::nullopt;
      return static_cast<T>(number);
    } else if constexpr (std::is_floating_point_v<T>) {
      double number = 0;
      if (ms_value_to_double(raw_, &number) != MS_OK) return std::nullopt;
      return static_cast<T>(number);
    } else if constexpr (std::is_same_v<T, std::string_view>) {
      const char *bytes = nullptr;
      std::size_t length = 0;
      if (ms_value_to_string(raw_, &bytes, &length) != MS_OK) return std::nullopt;
      return std::string_view(bytes, length);
    } else {
      static_assert(std::is_same_v<T, view> || std::is_same_v<T, value>);
      return T(view(raw_));
    }
  }
  /* The same, or `otherwise`. */
  template <typename T> T value_or(T otherwise) const noexcept {
    return as<T>().value_or(otherwise);
  }
  /* For `for (const item &each : v.items())`. */
  memshare::items items() const noexcept;

  /* Same types and contents; nothing equals nothing only. */
  friend bool operator==(view a, view b) noexcept {
    if (a.raw_ == nullptr || b.raw_ == nullptr) return a.raw_ == b.raw_;
    return ms_value_equal(a.raw_, b.raw_);
  }
  friend bool operator!=(view a, view b) noexcept { return !(a == b); }

protected:
  const ms_value *raw_ = nullptr;
};

struct item {
  std::string_view key; /* empty in arrays */
  std::size_t index;    /* 0 in objects */
  view value;
};

/* The items of a container, in the order of ms_cursor; the container must outlive the walk. */
class items {
public:
  class iterator {
  public:
    using iterator_category = std::input_iterator_tag;
    using value_type = item;
    using difference_type = std::ptrdiff_t;
    using pointer = const item *;
    using reference = const item &;

    iterator() noexcept = default; /* the end */
    explicit iterator(view container) noexcept : is_end_(container.size() == 0) {
      if (is_end_) return;
      ms_cursor_init(&cursor_, container.native());
      ++*this;
    }
    reference operator*() const noexcept { return item_; }
    pointer operator->() const noexcept { return &item_; }
    iterator &operator++() noexcept {
      const char *key = nullptr;
      std::size_t length = 0;
      const ms_value *found = nullptr;
      is_end_ = !ms_cursor_next(&cursor_, &key, &length, &found);
      if (is_end_) return *this;
      item_.key = key == nullptr ? std::string_view() : std::string_view(key, length);
      item_.index = key == nullptr ? length : 0;
      item_.value = view(found);
      return *this;
    }
    void operator++(int) noexcept { ++*this; }
    /* Only whether there is more. */
    friend bool operator==(const iterator &a, const iterator &b) noexcept {
      return a.is_end_ == b.is_end_;
    }
    friend bool operator!=(const iterator &a, const iterator &b) noexcept {
      return !(a == b);
    }

  private:
    ms_cursor cursor_ = {};
    item item_ = {};
    bool is_end_ = true;
  };

  explicit items(view container) noexcept : container_(container) {}
  iterator begin() const noexcept { return iterator(container_); }
  iterator end() const noexcept { return iterator(); }

private:
  view container_;
};

inline items view::items() const noexcept { return memshare::items(*this); }

/*
 * A value that is held. Reads as a view. Values are immutable: put() and its kin make *this another
 * value that shares what is untouched, and leave it as it was when they fail. Thread: any.
 */
class value : public view {
public:
  value() noexcept = default;
  value(std::nullptr_t) noexcept : view(ms_value_null()) {}
  /* Retains what is borrowed. */
  explicit value(view borrowed) noexcept : view(ms_value_retain(borrowed.native())) {}
  /* From bool, any number or text. Throws std::bad_alloc, std::out_of_range (an integer above
   * INT64_MAX), std::length_error (a string above UINT32_MAX bytes). */
  template <typename T, typename = std::enable_if_t<detail::is_plain_v<T>>>
  value(const T &plain) {
    check(make(plain, &raw_));
  }
  value(const value &other) noexcept : view(ms_value_retain(other.raw_)) {}
  value(value &&other) noexcept : view(std::exchange(other.raw_, nullptr)) {}
  value &operator=(value other) noexcept {
    std::swap(raw_, other.raw_);
    return *this;
  }
  ~value() { ms_value_release(raw_); }

  /* The same without exceptions: MS_ENOMEM, MS_EARGUMENT (an integer above INT64_MAX), MS_ELIMIT. */
  template <typename T>
  [[nodiscard]] static ms_status make(const T &plain, value *out) noexcept {
    static_assert(detail::is_plain_v<T>);
    const ms_value *made = nullptr;
    const ms_status status = make(plain, &made);
    if (status == MS_OK) *out = take(made);
    return status;
  }
  /* `raw` is taken. */
  static value take(const ms_value *raw) noexcept {
    value made;
    made.raw_ = raw;
    return made;
  }
  /* Lua's {}: its first use makes it an array or an object. */
  static value empty() noexcept { return take(ms_value_empty()); }
  /* value::array({1, 2.5, "three"}). Throws std::bad_alloc. */
  static value array(std::initializer_list<value> list = {}) {
    value made;
    check(ms_value_new_array(nullptr, &made.raw_));
    for (const value &each : list) check(made.append(each));
    return made;
  }
  /* value::object({{"hp", 100}, {"name", "ada"}}). Throws std::bad_alloc, std::length_error (a key
   * above MS_KEY_MAX). */
  static value
  object(std::initializer_list<std::pair<std::string_view, value>> list = {}) {
    value made;
    check(ms_value_new_object(nullptr, &made.raw_));
    for (const auto &each : list) check(made.put(each.first, each.second));
    return made;
  }
  static std::optional<value> from_json(std::string_view text,
                                        ms_error *error = nullptr) noexcept {
    value made;
    const char *bytes = text.data() == nullptr ? "" : text.data();
    if (ms_value_from_json(nullptr, bytes, text.size(), &made.raw_, error) != MS_OK)
      return std::nullopt;
    return made;
  }
  /* From MessagePack. */
  static std::optional<value> decode(const void *data, std::size_t bytes,
                                     ms_error *error = nullptr) noexcept {
    value made;
    if (ms_value_decode(nullptr, data, bytes, &made.raw_, error) != MS_OK)
      return std::nullopt;
    return made;
  }
  /* A string value: JSON, and MessagePack. Empty: out of memory, or nothing there. */
  std::optional<value> to_json(unsigned flags = 0) const noexcept {
    value text;
    if (raw_ == nullptr || ms_value_to_json(nullptr, raw_, flags, &text.raw_) != MS_OK)
      return std::nullopt;
    return text;
  }
  std::optional<value> encode() const noexcept {
    value bytes;
    if (raw_ == nullptr || ms_value_encode(nullptr, raw_, &bytes.raw_) != MS_OK)
      return std::nullopt;
    return bytes;
  }

  /* Statuses as of ms_value_put() and its neighbours; MS_EARGUMENT where *this or `added` is
   * nothing. */
  [[nodiscard]] ms_status put(std::string_view key, view added) noexcept {
    if (raw_ == nullptr || !added) return MS_EARGUMENT;
    return ms_value_put(nullptr, &raw_, bytes_of(key), key.size(), added.native());
  }
  [[nodiscard]] ms_status erase(std::string_view key) noexcept {
    if (raw_ == nullptr) return MS_EARGUMENT;
    return ms_value_erase(nullptr, &raw_, bytes_of(key), key.size());
  }
  [[nodiscard]] ms_status append(view added) noexcept {
    if (raw_ == nullptr || !added) return MS_EARGUMENT;
    return ms_value_append(nullptr, &raw_, added.native());
  }
  [[nodiscard]] ms_status insert(std::size_t index, view added) noexcept {
    if (raw_ == nullptr || !added) return MS_EARGUMENT;
    return ms_value_insert(nullptr, &raw_, index, added.native());
  }
  [[nodiscard]] ms_status replace(std::size_t index, view added) noexcept {
    if (raw_ == nullptr || !added) return MS_EARGUMENT;
    return ms_value_replace(nullptr, &raw_, index, added.native());
  }
  [[nodiscard]] ms_status erase_at(std::size_t index) noexcept {
    if (raw_ == nullptr) return MS_EARGUMENT;
    return ms_value_erase_at(nullptr, &raw_, index);
  }

private:
  static const char *bytes_of(std::string_view text) noexcept {
    return text.data() == nullptr ? "" : text.data();
  }
  template <typename T>
  static ms_status make(const T &plain, const ms_value **out) noexcept {
    if constexpr (std::is_same_v<T, bool>) {
      *out = ms_value_bool(plain);
      return MS_OK;
    } else if constexpr (std::is_integral_v<T>) {
      if (!detail::fits_int64(plain)) return MS_EARGUMENT;
      return ms_value_new_int(nullptr, static_cast<std::int64_t>(plain), out);
    } else if constexpr (std::is_floating_point_v<T>) {
      return ms_value_new_double(nullptr, static_cast<double>(plain), out);
    } else {
      const std::string_view text(plain);
      return ms_value_new_string(nullptr, bytes_of(text), text.size(), out);
    }
  }
  static void check(ms_status status) {
    if (status == MS_OK) return;
    if (status == MS_ENOMEM) detail::raise(std::bad_alloc());
    if (status == MS_EARGUMENT) detail::raise(std::out_of_range("memshare::value"));
    detail::raise(std::length_error("memshare::value"));
  }
};

} // namespace memshare
#endif
