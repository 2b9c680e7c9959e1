/* Shares: reading, writing, waiting, hearing of changes. */
#ifndef MEMSHARE_SHARE_HPP
#define MEMSHARE_SHARE_HPP

#include "callback.hpp"
#include "request.hpp"
#include "transaction.hpp"

namespace memshare {

/* A lock that was asked for; destroying it gives it back. Thread: owner. */
class lease {
public:
  /* `raw` is taken. */
  explicit lease(ms_lease *raw) noexcept : raw_(raw) {}
  ms_lease *native() const noexcept { return raw_.get(); }
  ms_lease_state state() const noexcept { return ms_lease_get_state(raw_.get()); }
  bool is_held() const noexcept { return state() == MS_LEASE_HELD; }
  bool is_decided() const noexcept { return ms_lease_is_decided(raw_.get()); }
  /* 0 unless it is held. */
  std::uint64_t fence() const noexcept { return ms_lease_fence(raw_.get()); }
  std::string_view name() const noexcept {
    std::size_t length = 0;
    const char *bytes = ms_lease_name(raw_.get(), &length);
    return std::string_view(bytes, length);
  }
  /* Polls until it is held; a negative time is without end. */
  [[nodiscard]] ms_status wait(std::chrono::milliseconds timeout,
                               ms_error *error = nullptr) noexcept {
    return ms_lease_wait(raw_.get(), detail::milliseconds(timeout), error);
  }
  [[nodiscard]] ms_status give_back(ms_error *error = nullptr) noexcept {
    return ms_lease_return(raw_.get(), error);
  }

private:
  detail::owned<ms_lease, ms_lease_free> raw_;
};

/*
 * A share, opened by runtime::open(). Destroying it closes it without waiting for own patches; close()
 * waits. Thread: owner.
 */
class share {
public:
  share() noexcept = default;
  /* `raw` is taken. */
  explicit share(ms_share *raw) noexcept : raw_(raw) {}
  ms_share *native() const noexcept { return raw_.get(); }
  explicit operator bool() const noexcept { return raw_ != nullptr; }

  /* For a share of runtime::make_share(); see ms_share_start(). Zero: begins, and does not wait. */
  [[nodiscard]] ms_status start(std::chrono::milliseconds timeout,
                                ms_error *error = nullptr) noexcept {
    return ms_share_start(raw_.get(), detail::milliseconds(timeout), error);
  }
  ms_status close(std::chrono::milliseconds timeout) noexcept {
    return ms_share_close(raw_.get(), detail::milliseconds(timeout));
  }
  std::string_view name() const noexcept { return ms_share_name(raw_.get()); }
  ms_share_info info() const noexcept {
    ms_share_info found = {};
    found.bytes = sizeof found;
    ms_share_inspect(raw_.get(), &found);
    return found;
  }
  /* Calls fn(const ms_peer &) once per peer, now. */
  template <typename F> ms_status peers(F &&fn) noexcept {
    using callable = std::remove_reference_t<F>;
    const auto call = [](void *ud, const ms_peer *peer) noexcept {
      (*static_cast<callable *>(ud))(*peer);
    };
    return ms_share_peers(raw_.get(), call, address_of(fn));
  }

  /* The whole document, held: other threads may read it. Nothing before the share is complete. */
  value root() const noexcept { return value::take(ms_share_root(raw_.get())); }
  /*
   * What stands at a path, as view::as() converts it: share.get<int>("players.ada.hp"). Empty where
   * nothing is and for another type. view and std::string_view are borrowed until the next call that
   * polls or writes. Allocates nothing for paths below 256 bytes.
   */
  template <typename T = view>
  std::optional<T> get(std::string_view path) const noexcept {
    const detail::c_text text(path, MS_EPATH);
    const ms_value *found = nullptr;
    if (text.status() != MS_OK) return std::nullopt;
    if (ms_share_get(raw_.get(), text.bytes(), &found) != MS_OK) return std::nullopt;
    return view(found).template as<T>();
  }

  /* The same at a compiled path, in fewer steps. */
  template <typename T = view> std::optional<T> get(const path &at) const noexcept {
    const ms_value *found = nullptr;
    if (ms_share_get_at(raw_.get(), at.native(), &found) != MS_OK) return std::nullopt;
    return view(found).template as<T>();
  }

  /* Writes: see memshare.h for their statuses. MS_EARGUMENT: the view is nothing, or an integer is
   * above INT64_MAX. `out` becomes the receipt. */
  template <typename T, typename = std::enable_if_t<detail::is_plain_v<T>>>
  [[nodiscard]] ms_status set(std::string_view path, const T &plain) noexcept {
    const detail::c_text text(path, MS_EPATH);
    if (text.status() != MS_OK) return text.status();
    if constexpr (std::is_same_v<T, bool>) {
      return ms_share_set_bool(raw_.get(), text.bytes(), plain);
    } else if constexpr (std::is_integral_v<T>) {
      if (!detail::fits_int64(plain)) return MS_EARGUMENT;
      return ms_share_set_int(raw_.get(), text.bytes(), static_cast<std::int64_t>(plain));
    } else if constexpr (std::is_floating_point_v<T>) {
      return ms_share_set_double(raw_.get(), text.bytes(), static_cast<double>(plain));
    } else {
      const std::string_view string(plain);
      const char *bytes = string.data() == nullptr ? "" : string.data();
      return ms_share_set_string(raw_.get(), text.bytes(), bytes, string.size());
    }
  }
  template <typename T, typename = std::enable_if_t<detail::is_plain_v<T>>>
  [[nodiscard]] ms_status set(const path &at, const T &plain) noexcept {
    value written;
    const ms_status status = value::make(plain, &written);
    if (status != MS_OK) return status;
    return ms_share_set_at(raw_.get(), at.native(), static_cast<view>(written).native(),
                           nullptr, nullptr);
  }
  [[nodiscard]] ms_status set(std::string_view path, view written, receipt *out = nullptr,
                              ms_error *error = nullptr) noexcept {
    const detail::c_text text(path, MS_EPATH);
    if (text.status() != MS_OK) return detail::fail(text.status(), error);
    if (!written) return detail::fail(MS_EARGUMENT, error);
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_set(raw_.get(), text.bytes(), written.native(), raw, error);
    });
  }
  [[nodiscard]] ms_status set(const path &at, view written, receipt *out = nullptr,
                              ms_error *error = nullptr) noexcept {
    if (!written) return detail::fail(MS_EARGUMENT, error);
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_set_at(raw_.get(), at.native(), written.native(), raw, error);
    });
  }
  [[nodiscard]] ms_status unset(const path &at, receipt *out = nullptr,
                                ms_error *error = nullptr) noexcept {
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_unset_at(raw_.get(), at.native(), raw, error);
    });
  }
  [[nodiscard]] ms_status unset(std::string_view path, receipt *out = nullptr,
                                ms_error *error = nullptr) noexcept {
    const detail::c_text text(path, MS_EPATH);
    if (text.status() != MS_OK) return detail::fail(text.status(), error);
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_unset(raw_.get(), text.bytes(), raw, error);
    });
  }
  [[nodiscard]] ms_status inc(std::string_view path, std::int64_t by = 1,
                              receipt *out = nullptr,
                              ms_error *error = nullptr) noexcept {
    const detail::c_text text(path, MS_EPATH);
    if (text.status() != MS_OK) return detail::fail(text.status(), error);
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_inc(raw_.get(), text.bytes(), by, raw, error);
    });
  }
  [[nodiscard]] ms_status inc_double(std::string_view path, double by,
                                     receipt *out = nullptr,
                                     ms_error *error = nullptr) noexcept {
    const detail::c_text text(path, MS_EPATH);
    if (text.status() != MS_OK) return detail::fail(text.status(), error);
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_inc_double(raw_.get(), text.bytes(), by, raw, error);
    });
  }
  /* Sets the patch's own wall time, in milliseconds since 1970. */
  [[nodiscard]] ms_status current_date(std::string_view path, receipt *out = nullptr,
                                       ms_error *error = nullptr) noexcept {
    const detail::c_text text(path, MS_EPATH);
    if (text.status() != MS_OK) return detail::fail(text.status(), error);
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_current_date(raw_.get(), text.bytes(), raw, error);
    });
  }
  [[nodiscard]] ms_status push(std::string_view path, view added, receipt *out = nullptr,
                               ms_error *error = nullptr) noexcept {
    return with_operand(ms_share_push, path, added, out, error);
  }
  [[nodiscard]] ms_status add_to_set(std::string_view path, view added,
                                     receipt *out = nullptr,
                                     ms_error *error = nullptr) noexcept {
    return with_operand(ms_share_add_to_set, path, added, out, error);
  }
  [[nodiscard]] ms_status pull(std::string_view path, view condition,
                               receipt *out = nullptr,
                               ms_error *error = nullptr) noexcept {
    return with_operand(ms_share_pull, path, condition, out, error);
  }
  [[nodiscard]] ms_status mul(std::string_view path, view by, receipt *out = nullptr,
                              ms_error *error = nullptr) noexcept {
    return with_operand(ms_share_mul, path, by, out, error);
  }
  [[nodiscard]] ms_status min(std::string_view path, view bound, receipt *out = nullptr,
                              ms_error *error = nullptr) noexcept {
    return with_operand(ms_share_min, path, bound, out, error);
  }
  [[nodiscard]] ms_status max(std::string_view path, view bound, receipt *out = nullptr,
                              ms_error *error = nullptr) noexcept {
    return with_operand(ms_share_max, path, bound, out, error);
  }
  /* Positions are counted from 0. */
  [[nodiscard]] ms_status insert(std::string_view path, std::size_t index, view added,
                                 receipt *out = nullptr,
                                 ms_error *error = nullptr) noexcept {
    const detail::c_text text(path, MS_EPATH);
    if (text.status() != MS_OK) return detail::fail(text.status(), error);
    if (!added) return detail::fail(MS_EARGUMENT, error);
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_insert(raw_.get(), text.bytes(), index, added.native(), raw, error);
    });
  }
  [[nodiscard]] ms_status remove(std::string_view path, std::size_t index,
                                 receipt *out = nullptr,
                                 ms_error *error = nullptr) noexcept {
    const detail::c_text text(path, MS_EPATH);
    if (text.status() != MS_OK) return detail::fail(text.status(), error);
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_remove(raw_.get(), text.bytes(), index, raw, error);
    });
  }
  [[nodiscard]] ms_status pop(std::string_view path, bool first = false,
                              receipt *out = nullptr,
                              ms_error *error = nullptr) noexcept {
    const detail::c_text text(path, MS_EPATH);
    if (text.status() != MS_OK) return detail::fail(text.status(), error);
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_pop(raw_.get(), text.bytes(), first, raw, error);
    });
  }
  [[nodiscard]] ms_status rename(std::string_view from, std::string_view to,
                                 receipt *out = nullptr,
                                 ms_error *error = nullptr) noexcept {
    const detail::c_text source(from, MS_EPATH), target(to, MS_EPATH);
    if (source.status() != MS_OK) return detail::fail(source.status(), error);
    if (target.status() != MS_OK) return detail::fail(target.status(), error);
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_rename(raw_.get(), source.bytes(), target.bytes(), raw, error);
    });
  }
  [[nodiscard]] ms_status replace(view document, receipt *out = nullptr,
                                  ms_error *error = nullptr) noexcept {
    if (!document) return detail::fail(MS_EARGUMENT, error);
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_replace(raw_.get(), document.native(), raw, error);
    });
  }
  [[nodiscard]] ms_status apply(const update &compiled, receipt *out = nullptr,
                                ms_error *error = nullptr) noexcept {
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_update(raw_.get(), compiled.native(), raw, error);
    });
  }
  [[nodiscard]] ms_status patch(view document, const ms_update_options *options = nullptr,
                                receipt *out = nullptr,
                                ms_error *error = nullptr) noexcept {
    if (!document) return detail::fail(MS_EARGUMENT, error);
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_patch(raw_.get(), document.native(), options, raw, error);
    });
  }
  [[nodiscard]] ms_status write(const ms_write &write, receipt *out = nullptr,
                                ms_error *error = nullptr) noexcept {
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_write(raw_.get(), &write, raw, error);
    });
  }

  /* Poll until own patches are settled; until the view shows what was committed by now. */
  [[nodiscard]] ms_status flush(std::chrono::milliseconds timeout,
                                ms_error *error = nullptr) noexcept {
    return ms_share_flush(raw_.get(), detail::milliseconds(timeout), error);
  }
  [[nodiscard]] ms_status sync(std::chrono::milliseconds timeout,
                               ms_error *error = nullptr) noexcept {
    return ms_share_sync(raw_.get(), detail::milliseconds(timeout), error);
  }

  /* This peer's own place in the document, which goes when it does. */
  std::optional<path> me(ms_error *error = nullptr) noexcept {
    ms_path *made = nullptr;
    if (ms_share_me(raw_.get(), &made, error) != MS_OK) return std::nullopt;
    return path::take(made);
  }
  /* What stands at the path goes when this process does, or no longer so. */
  [[nodiscard]] ms_status bind(const path &at, receipt *out = nullptr,
                               ms_error *error = nullptr) noexcept {
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_bind(raw_.get(), at.native(), raw, error);
    });
  }
  [[nodiscard]] ms_status unbind(const path &at, receipt *out = nullptr,
                                 ms_error *error = nullptr) noexcept {
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_unbind(raw_.get(), at.native(), raw, error);
    });
  }
  /* What stands at the path goes after that time; each write there begins it anew. 0: it stays. */
  [[nodiscard]] ms_status expire(const path &at, std::chrono::milliseconds ttl,
                                 receipt *out = nullptr,
                                 ms_error *error = nullptr) noexcept {
    const auto ms = ttl.count() < 0 ? 0 : static_cast<std::uint64_t>(ttl.count());
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_expire(raw_.get(), at.native(), ms, raw, error);
    });
  }
  /* Only who has the role may write at the places of the pattern; role and pattern end with a NUL. */
  [[nodiscard]] ms_status grant(const char *role, const char *pattern,
                                receipt *out = nullptr,
                                ms_error *error = nullptr) noexcept {
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_grant(raw_.get(), role, pattern, raw, error);
    });
  }
  [[nodiscard]] ms_status revoke(const char *role, const char *pattern,
                                 receipt *out = nullptr,
                                 ms_error *error = nullptr) noexcept {
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_revoke(raw_.get(), role, pattern, raw, error);
    });
  }
  [[nodiscard]] ms_status set_max_writers(std::uint64_t count, receipt *out = nullptr,
                                          ms_error *error = nullptr) noexcept {
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_set_max_writers(raw_.get(), count, raw, error);
    });
  }
  /* What documents have to be; nothing: anything. */
  [[nodiscard]] ms_status set_schema(view schema, receipt *out = nullptr,
                                     ms_error *error = nullptr) noexcept {
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_set_schema(raw_.get(), schema.native(), raw, error);
    });
  }
  /* A text for the validator of hosts; nothing: none. */
  [[nodiscard]] ms_status set_rules(std::optional<std::string_view> source,
                                    receipt *out = nullptr,
                                    ms_error *error = nullptr) noexcept {
    const std::string_view text = source.value_or(std::string_view());
    const char *bytes = !source ? nullptr : text.data() == nullptr ? "" : text.data();
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_set_rules(raw_.get(), bytes, text.size(), raw, error);
    });
  }
  /* Asks for a lock; does not wait. */
  std::optional<lease> lock(std::string_view name, ms_error *error = nullptr) noexcept {
    ms_lease *made = nullptr;
    const char *bytes = name.data() == nullptr ? "" : name.data();
    if (ms_lease_new(raw_.get(), bytes, name.size(), &made, error) != MS_OK)
      return std::nullopt;
    return lease(made);
  }
  bool is_locked(std::string_view name) const noexcept {
    return name.data() != nullptr &&
           ms_share_is_locked(raw_.get(), name.data(), name.size());
  }

  /* sync() without waiting: a ticket now, and later MS_OK, MS_EBUSY (not yet) or why the share failed. */
  std::optional<std::uint64_t> begin_sync(ms_error *error = nullptr) noexcept {
    std::uint64_t ticket = 0;
    if (ms_share_sync_begin(raw_.get(), &ticket, error) != MS_OK) return std::nullopt;
    return ticket;
  }
  [[nodiscard]] ms_status sync_done(std::uint64_t ticket,
                                    ms_error *error = nullptr) const noexcept {
    return ms_share_sync_done(raw_.get(), ticket, error);
  }

  /* Polls until fn(view) is true of what stands at the path, which is nothing where nothing is. */
  template <typename F>
  [[nodiscard]] ms_status wait_for(const path &at, F &&fn,
                                   std::chrono::milliseconds timeout,
                                   ms_error *error = nullptr) noexcept {
    using callable = std::remove_reference_t<F>;
    const auto call = [](void *ud, const ms_value *found) noexcept -> bool {
      return (*static_cast<callable *>(ud))(view(found));
    };
    return ms_share_wait_for(raw_.get(), at.native(), call, address_of(fn),
                             detail::milliseconds(timeout), error);
  }

  std::optional<batch> begin_batch(ms_error *error = nullptr) noexcept {
    ms_batch *made = nullptr;
    const ms_status status = ms_batch_new(raw_.get(), &made);
    if (status != MS_OK) return (detail::fail(status, error), std::nullopt);
    return batch(made);
  }
  std::optional<transaction> begin_transaction(ms_error *error = nullptr) noexcept {
    ms_transaction *made = nullptr;
    if (ms_transaction_new(raw_.get(), &made, error) != MS_OK) return std::nullopt;
    return transaction(made);
  }
  /*
   * Runs fn(draft &), which returns ms_status or nothing, and commits; after a conflict again. See
   * ms_share_transact().
   */
  template <typename F>
  [[nodiscard]] ms_status transact(F &&fn,
                                   const ms_transaction_options *options = nullptr,
                                   ms_error *error = nullptr) noexcept {
    using callable = std::remove_reference_t<F>;
    const auto call = [](void *ud, ms_transaction *raw,
                         ms_error *problem) noexcept -> ms_status {
      return detail::run_on_draft(*static_cast<callable *>(ud), raw, problem);
    };
    return ms_share_transact(raw_.get(), call, address_of(fn), options, error);
  }
  /* The same in steps that do not wait; fn is moved into what is returned. */
  template <typename F>
  std::optional<transact_steps>
  begin_transact(F &&fn, const ms_transaction_options *options = nullptr,
                 ms_error *error = nullptr) noexcept {
    return transact_steps::make(raw_.get(), std::forward<F>(fn), options, error);
  }

  /*
   * Calls fn(const ms_change &) for each change at paths that match, inside polls. The pattern is text
   * (path::parse_pattern) or a path. flags: MS_ON_IMMEDIATE, MS_ON_COALESCE.
   */
  template <typename F>
  std::optional<subscription> on(std::string_view pattern, F &&fn, unsigned flags = 0,
                                 ms_error *error = nullptr) noexcept {
    const std::optional<path> parsed = path::parse_pattern(pattern, error);
    if (!parsed) return std::nullopt;
    return on(*parsed, std::forward<F>(fn), flags, error);
  }
  template <typename F>
  std::optional<subscription> on(const path &pattern, F &&fn, unsigned flags = 0,
                                 ms_error *error = nullptr) noexcept {
    auto by_reference = [f = std::forward<F>(fn)](const ms_change *change) mutable {
      f(*change);
    };
    return detail::listen<subscription, ms_sub, const ms_change *>(
        std::move(by_reference), error,
        [&](ms_change_fn told, void *ud, ms_sub **sub) noexcept {
          return ms_share_on(raw_.get(), pattern.native(), flags, told, ud, sub);
        });
  }
  /* fn(const ms_patch &), once for each accepted patch. */
  template <typename F>
  std::optional<subscription> on_patch(F &&fn, ms_error *error = nullptr) noexcept {
    auto by_reference = [f = std::forward<F>(fn)](const ms_patch *patch) mutable {
      f(*patch);
    };
    return detail::listen<subscription, ms_sub, const ms_patch *>(
        std::move(by_reference), error,
        [&](ms_patch_fn told, void *ud, ms_sub **sub) noexcept {
          return ms_share_on_patch(raw_.get(), told, ud, sub);
        });
  }
  /* fn(ms_peer_event, const ms_peer &): peers that come and go. */
  template <typename F>
  std::optional<subscription> on_peer(F &&fn, ms_error *error = nullptr) noexcept {
    auto by_reference = [f = std::forward<F>(fn)](ms_peer_event event,
                                                  const ms_peer *peer) mutable {
      f(event, *peer);
    };
    return detail::listen<subscription, ms_sub, ms_peer_event, const ms_peer *>(
        std::move(by_reference), error,
        [&](ms_peer_event_fn told, void *ud, ms_sub **sub) noexcept {
          return ms_share_on_peer(raw_.get(), told, ud, sub);
        });
  }
  /* Tells all peers that something happened; empty: null. */
  [[nodiscard]] ms_status emit(std::string_view name, view content = {},
                               receipt *out = nullptr,
                               ms_error *error = nullptr) noexcept {
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_share_emit(raw_.get(), name.data(), name.size(), content.native(), raw,
                           error);
    });
  }
  /* fn(const ms_event &) for each event of that name; an empty one: of any. */
  template <typename F>
  std::optional<subscription> on_event(std::string_view name, F &&fn,
                                       ms_error *error = nullptr) noexcept {
    auto by_reference = [f = std::forward<F>(fn)](const ms_event *event) mutable {
      f(*event);
    };
    return detail::listen<subscription, ms_sub, const ms_event *>(
        std::move(by_reference), error,
        [&](ms_event_fn told, void *ud, ms_sub **sub) noexcept {
          const char *bytes = name.empty() ? nullptr : name.data();
          return ms_share_on_event(raw_.get(), bytes, name.size(), told, ud, sub);
        });
  }
  /* fn(request): answers calls of that name, at once or later. */
  template <typename F>
  std::optional<subscription> handle(std::string_view name, F &&fn,
                                     ms_error *error = nullptr) noexcept {
    auto by_value = [f = std::forward<F>(fn)](ms_call *call) mutable {
      f(request(call));
    };
    return detail::listen<subscription, ms_sub, ms_call *>(
        std::move(by_value), error,
        [&](ms_handler_fn told, void *ud, ms_sub **sub) noexcept {
          return ms_share_handle(raw_.get(), name.data(), name.size(), told, ud, sub);
        });
  }
  /* Asks a peer (its id, MS_CALL_ANY, MS_CALL_HOST). MS_OK: fn(const ms_reply &) is called once, in a poll or when the
   * share is closed. timeout: negative: without end. */
  template <typename F>
  [[nodiscard]] ms_status call(std::uint64_t to, std::string_view name, view content,
                               std::chrono::milliseconds timeout, F &&fn,
                               ms_error *error = nullptr) noexcept {
    using callable = std::decay_t<F>;
    std::unique_ptr<callable> kept(new (std::nothrow) callable(std::forward<F>(fn)));
    if (kept == nullptr) return MS_ENOMEM;
    const auto told = [](void *ud, const ms_reply *reply) noexcept {
      const std::unique_ptr<callable> own(static_cast<callable *>(ud));
      (*own)(*reply);
    };
    const ms_status status =
        ms_share_call(raw_.get(), to, name.data(), name.size(), content.native(),
                      detail::milliseconds(timeout), told, kept.get(), error);
    if (status == MS_OK) (void)kept.release();
    return status;
  }
  /* fn(const ms_rejection &) */
  template <typename F>
  std::optional<subscription> on_reject(F &&fn, ms_error *error = nullptr) noexcept {
    auto by_reference = [f = std::forward<F>(fn)](const ms_rejection *why) mutable {
      f(*why);
    };
    return detail::listen<subscription, ms_sub, const ms_rejection *>(
        std::move(by_reference), error,
        [&](ms_reject_fn told, void *ud, ms_sub **sub) noexcept {
          return ms_share_on_reject(raw_.get(), told, ud, sub);
        });
  }
  /* fn(const ms_share_info &) */
  template <typename F>
  std::optional<subscription> on_state(F &&fn, ms_error *error = nullptr) noexcept {
    auto by_reference = [f = std::forward<F>(fn)](const ms_share_info *info) mutable {
      f(*info);
    };
    return detail::listen<subscription, ms_sub, const ms_share_info *>(
        std::move(by_reference), error,
        [&](ms_state_fn told, void *ud, ms_sub **sub) noexcept {
          return ms_share_on_state(raw_.get(), told, ud, sub);
        });
  }

private:
  template <typename F>
  ms_status with_operand(F fn, std::string_view path, view operand, receipt *out,
                         ms_error *error) noexcept {
    const detail::c_text text(path, MS_EPATH);
    if (text.status() != MS_OK) return detail::fail(text.status(), error);
    if (!operand) return detail::fail(MS_EARGUMENT, error);
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return fn(raw_.get(), text.bytes(), operand.native(), raw, error);
    });
  }
  template <typename T> static void *address_of(T &fn) noexcept {
    return const_cast<void *>(static_cast<const void *>(std::addressof(fn)));
  }
  detail::owned<ms_share, ms_share_free> raw_;
};

} // namespace memshare
#endif
