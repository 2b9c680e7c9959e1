/* Runtimes, and what shares there are. */
#ifndef MEMSHARE_RUNTIME_HPP
#define MEMSHARE_RUNTIME_HPP

#include "share.hpp"

namespace memshare {

/* The configurations with their defaults, to be changed and passed on. */
inline ms_runtime_config runtime_config() noexcept {
  ms_runtime_config config;
  ms_runtime_config_init(&config);
  return config;
}
inline ms_share_config share_config() noexcept {
  ms_share_config config;
  ms_share_config_init(&config);
  return config;
}

/* Belongs to the thread that opens it. Destroy it after all that it opened. */
class runtime {
public:
  runtime() noexcept = default;
  ms_runtime *native() const noexcept { return raw_.get(); }

  static std::optional<runtime> make(const ms_runtime_config *config = nullptr,
                                     ms_error *error = nullptr) noexcept {
    ms_runtime *made = nullptr;
    if (ms_runtime_open(config, &made, error) != MS_OK) return std::nullopt;
    runtime own;
    own.raw_.reset(made);
    return own;
  }
  /* Joins or founds a share; polls until it is complete or config->timeout_ms has passed. */
  std::optional<share> open(std::string_view name,
                            const ms_share_config *config = nullptr,
                            ms_error *error = nullptr) noexcept {
    const detail::c_text text(name, MS_EARGUMENT);
    if (text.status() != MS_OK) return (detail::fail(text.status(), error), std::nullopt);
    ms_share *made = nullptr;
    if (ms_share_open(raw_.get(), text.bytes(), config, &made, error) != MS_OK)
      return std::nullopt;
    return share(made);
  }
  /* A share that is not started yet: subscribe first, then share::start(). Does not wait. */
  std::optional<share> make_share(std::string_view name,
                                  const ms_share_config *config = nullptr,
                                  ms_error *error = nullptr) noexcept {
    const detail::c_text text(name, MS_EARGUMENT);
    if (text.status() != MS_OK) return (detail::fail(text.status(), error), std::nullopt);
    ms_share *made = nullptr;
    if (ms_share_new(raw_.get(), text.bytes(), config, &made, error) != MS_OK)
      return std::nullopt;
    return share(made);
  }
  /* Does what there is to do and runs callbacks; waits up to `timeout` (negative: without end) until
   * one ran. `more`: the budget is used up, and work is left. */
  [[nodiscard]] ms_status
  poll(std::chrono::milliseconds timeout = std::chrono::milliseconds(0),
       std::chrono::microseconds budget = std::chrono::microseconds(0),
       bool *more = nullptr) noexcept {
    const int wait_ms = detail::milliseconds(timeout);
    return ms_runtime_poll(raw_.get(), wait_ms, budget.count(), more);
  }
  /* Polls until fn() is true; it is asked after each round of callbacks. */
  template <typename F>
  [[nodiscard]] ms_status wait(F &&fn, std::chrono::milliseconds timeout) noexcept {
    using callable = std::remove_reference_t<F>;
    const auto call = [](void *ud) noexcept -> bool {
      return (*static_cast<callable *>(ud))();
    };
    void *ud = const_cast<void *>(static_cast<const void *>(std::addressof(fn)));
    return ms_runtime_wait(raw_.get(), detail::milliseconds(timeout), call, ud);
  }
  /* Calls fn() after each round of callbacks; it may poll. */
  template <typename F>
  std::optional<round> on_round(F &&fn, ms_error *error = nullptr) noexcept {
    return detail::listen<round, ms_round>(
        std::forward<F>(fn), error,
        [&](ms_round_fn call, void *ud, ms_round **made) noexcept {
          return ms_runtime_on_round(raw_.get(), call, ud, made);
        });
  }
  /* Thread: any; also safe in a signal handler. */
  void wake() noexcept { ms_runtime_wake(raw_.get()); }
  /* For a foreign loop: poll when fd() is readable, or when timeout() has passed (empty: no need). */
  int fd() noexcept { return ms_runtime_fd(raw_.get()); }
  std::optional<std::chrono::milliseconds> timeout() noexcept {
    const int wait_ms = ms_runtime_timeout(raw_.get());
    if (wait_ms < 0) return std::nullopt;
    return std::chrono::milliseconds(wait_ms);
  }
  /* Calls fn() once, inside a poll. */
  template <typename F>
  std::optional<timer> after(std::chrono::milliseconds delay, F &&fn,
                             ms_error *error = nullptr) noexcept {
    return detail::listen<timer, ms_timer>(
        std::forward<F>(fn), error,
        [&](ms_timer_fn call, void *ud, ms_timer **made) noexcept {
          return ms_runtime_after(raw_.get(), delay.count(), call, ud, made);
        });
  }

private:
  detail::owned<ms_runtime, ms_runtime_close> raw_;
};

/* Calls fn(const ms_listing &) for each share in a directory; "" is where shares are by default. Thread:
 * any. */
template <typename F>
ms_status list(F &&fn, std::string_view dir = {}, ms_error *error = nullptr) noexcept {
  using callable = std::remove_reference_t<F>;
  const detail::c_text text(dir, MS_EARGUMENT);
  if (text.status() != MS_OK) return detail::fail(text.status(), error);
  const auto call = [](void *ud, const ms_listing *listing) noexcept {
    (*static_cast<callable *>(ud))(*listing);
  };
  void *ud = const_cast<void *>(static_cast<const void *>(std::addressof(fn)));
  return ms_list(dir.empty() ? nullptr : text.bytes(), call, ud, error);
}

} // namespace memshare
#endif
