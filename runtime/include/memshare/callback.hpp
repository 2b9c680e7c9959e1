/* Callables that C calls back, and what ends them: subscriptions and timers. */
#ifndef MEMSHARE_CALLBACK_HPP
#define MEMSHARE_CALLBACK_HPP

#include <optional>

#include "detail.hpp"

namespace memshare {

namespace detail {

/*
 * A callable on the heap that C calls back, and the C object that does so: both end together, but
 * for a callable that runs, which ends when it returns.
 */
template <typename Handle> struct callback {
  virtual ~callback() = default;
  Handle *handle = nullptr;
  bool is_running = false;
  bool is_orphan = false;
};

template <typename Handle, void (*Close)(Handle *)> class listener {
public:
  listener() noexcept = default;
  explicit listener(callback<Handle> *taken) noexcept : callback_(taken) {}
  listener(listener &&other) noexcept
      : callback_(std::exchange(other.callback_, nullptr)) {}
  listener &operator=(listener &&other) noexcept {
    listener old(std::move(*this));
    callback_ = std::exchange(other.callback_, nullptr);
    return *this;
  }
  ~listener() { close(); }
  /* Ends it; legal inside of its own callback. */
  void close() noexcept {
    callback<Handle> *ended = std::exchange(callback_, nullptr);
    if (ended == nullptr) return;
    if (ended->handle != nullptr) Close(ended->handle);
    ended->handle = nullptr;
    ended->is_orphan = true;
    if (!ended->is_running) delete ended;
  }

private:
  callback<Handle> *callback_ = nullptr;
};

template <typename F, typename Handle, typename... Arguments>
struct callback_of : callback<Handle> {
  explicit callback_of(F taken) : fn(std::move(taken)) {}
  F fn;
  static void call(void *ud, Arguments... arguments) noexcept {
    auto *self = static_cast<callback_of *>(ud);
    const bool was_running = std::exchange(self->is_running, true);
    if constexpr (std::is_same_v<Handle, ms_timer>)
      self->handle = nullptr; /* fires once */
    self->fn(arguments...);
    self->is_running = was_running;
    if (self->is_orphan && !was_running) delete self;
  }
};

/* Makes a callback of fn, and has `start(call, ud, &handle)` start it. */
template <typename Listener, typename Handle, typename... Arguments, typename F,
          typename Start>
std::optional<Listener> listen(F &&fn, ms_error *error, Start start) noexcept {
  using made_type = callback_of<std::decay_t<F>, Handle, Arguments...>;
  std::unique_ptr<made_type> made(new (std::nothrow) made_type(std::forward<F>(fn)));
  if (made == nullptr) return (fail(MS_ENOMEM, error), std::nullopt);
  void *ud = made.get();
  const ms_status status = start(&made_type::call, ud, &made->handle);
  if (status != MS_OK) return (fail(status, error), std::nullopt);
  return Listener(made.release());
}

} // namespace detail

/* Hearing of something until it is destroyed or closed; must not outlive its share. */
using subscription = detail::listener<ms_sub, ms_sub_close>;
/* A call that is due; destroying it calls it off. */
using timer = detail::listener<ms_timer, ms_timer_close>;
/* Called after each round of callbacks until it is destroyed. */
using round = detail::listener<ms_round, ms_round_close>;

} // namespace memshare
#endif
