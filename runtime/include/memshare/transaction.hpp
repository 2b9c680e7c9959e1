/* Transactions and batches. */
#ifndef MEMSHARE_TRANSACTION_HPP
#define MEMSHARE_TRANSACTION_HPP

#include "path.hpp"
#include "receipt.hpp"

namespace memshare {

/*
 * The draft of a transaction. Reads count as reads of the transaction; what they return is borrowed
 * until the next write to the draft. See ms_transaction_new(). Thread: owner.
 */
class draft {
public:
  explicit draft(ms_transaction *borrowed) noexcept : raw_(borrowed) {}
  ms_transaction *native() const noexcept { return raw_; }
  /* As view::as(); empty also where nothing is. */
  template <typename T = view> std::optional<T> get(std::string_view path) noexcept {
    const detail::c_text text(path, MS_EPATH);
    const ms_value *found = nullptr;
    if (text.status() != MS_OK) return std::nullopt;
    if (ms_transaction_get(raw_, text.bytes(), &found) != MS_OK) return std::nullopt;
    return view(found).template as<T>();
  }
  /* The same at a compiled path. */
  template <typename T = view> std::optional<T> get(const path &at) noexcept {
    const ms_value *found = nullptr;
    if (ms_transaction_read(raw_, at.native(), true, &found) != MS_OK)
      return std::nullopt;
    return view(found).template as<T>();
  }
  /* The whole draft; does not count as read. */
  view root() const noexcept { return view(ms_transaction_root(raw_)); }
  std::size_t writes() const noexcept { return ms_transaction_writes(raw_); }
  [[nodiscard]] ms_status set(std::string_view path, view written,
                              ms_error *error = nullptr) noexcept {
    const detail::c_text text(path, MS_EPATH);
    if (text.status() != MS_OK) return detail::fail(text.status(), error);
    if (!written) return detail::fail(MS_EARGUMENT, error);
    return ms_transaction_set(raw_, text.bytes(), written.native(), error);
  }
  /* Numbers, bool, text; MS_EARGUMENT: an integer above INT64_MAX. */
  template <typename T, typename = std::enable_if_t<detail::is_plain_v<T>>>
  [[nodiscard]] ms_status set(std::string_view path, const T &plain,
                              ms_error *error = nullptr) noexcept {
    value written;
    const ms_status status = value::make(plain, &written);
    if (status != MS_OK) return detail::fail(status, error);
    return set(path, static_cast<view>(written), error);
  }
  /* Does not count as a read of the number. */
  [[nodiscard]] ms_status inc(std::string_view path, std::int64_t by = 1,
                              ms_error *error = nullptr) noexcept {
    const detail::c_text text(path, MS_EPATH);
    if (text.status() != MS_OK) return detail::fail(text.status(), error);
    return ms_transaction_inc(raw_, text.bytes(), by, error);
  }
  [[nodiscard]] ms_status push(std::string_view path, view added,
                               ms_error *error = nullptr) noexcept {
    const detail::c_text text(path, MS_EPATH);
    if (text.status() != MS_OK) return detail::fail(text.status(), error);
    if (!added) return detail::fail(MS_EARGUMENT, error);
    return ms_transaction_push(raw_, text.bytes(), added.native(), error);
  }
  [[nodiscard]] ms_status unset(std::string_view path,
                                ms_error *error = nullptr) noexcept {
    const detail::c_text text(path, MS_EPATH);
    if (text.status() != MS_OK) return detail::fail(text.status(), error);
    return ms_transaction_unset(raw_, text.bytes(), error);
  }
  [[nodiscard]] ms_status patch(view document, const ms_update_options *options = nullptr,
                                ms_error *error = nullptr) noexcept {
    if (!document) return detail::fail(MS_EARGUMENT, error);
    return ms_transaction_patch(raw_, document.native(), options, error);
  }
  [[nodiscard]] ms_status write(const ms_write &write,
                                ms_error *error = nullptr) noexcept {
    return ms_transaction_write(raw_, &write, error);
  }
  [[nodiscard]] ms_status apply(const update &compiled,
                                ms_error *error = nullptr) noexcept {
    return ms_transaction_update(raw_, compiled.native(), error);
  }

protected:
  ms_transaction *raw_;
};

/* A transaction of one's own; destroying it discards what was not committed. */
class transaction : public draft {
public:
  /* `raw` is taken. */
  explicit transaction(ms_transaction *raw) noexcept : draft(raw) {}
  transaction(transaction &&other) noexcept : draft(std::exchange(other.raw_, nullptr)) {}
  transaction &operator=(transaction &&other) noexcept {
    transaction old(std::move(*this));
    raw_ = std::exchange(other.raw_, nullptr);
    return *this;
  }
  ~transaction() { ms_transaction_free(raw_); }
  [[nodiscard]] ms_status commit(receipt *out = nullptr,
                                 ms_error *error = nullptr) noexcept {
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_transaction_commit(raw_, raw, error);
    });
  }
};

namespace detail {

/* Runs fn(draft &), which returns ms_status or nothing, as ms_transaction_fn. */
template <typename F>
ms_status run_on_draft(F &fn, ms_transaction *raw, ms_error *error) noexcept {
  draft own(raw);
  if constexpr (std::is_void_v<decltype(fn(own))>) {
    fn(own);
    return MS_OK;
  } else {
    const ms_status status = fn(own);
    return status == MS_OK ? MS_OK : fail(status, error);
  }
}

/* A callable on the heap that runs on drafts. */
struct draft_function {
  virtual ~draft_function() = default;
  virtual ms_status run(ms_transaction *raw, ms_error *error) noexcept = 0;
};
template <typename F> struct draft_function_of final : draft_function {
  explicit draft_function_of(F taken) : fn(std::move(taken)) {}
  ms_status run(ms_transaction *raw, ms_error *error) noexcept override {
    return run_on_draft(fn, raw, error);
  }
  F fn;
};

} // namespace detail

/*
 * A transaction that does not wait, for a frame loop: made by share::begin_transact(). Call step() until
 * *over, whenever is_due() or timeout() has passed. See ms_transact_step(). Thread: owner.
 */
class transact_steps {
public:
  [[nodiscard]] ms_status step(bool *over, ms_error *error = nullptr) noexcept {
    return ms_transact_step(raw_.get(), over, error);
  }
  bool is_due() const noexcept { return ms_transact_is_due(raw_.get()); }
  /* Empty: there is no need before it is due. */
  std::optional<std::chrono::milliseconds> timeout() const noexcept {
    const int wait_ms = ms_transact_timeout(raw_.get());
    if (wait_ms < 0) return std::nullopt;
    return std::chrono::milliseconds(wait_ms);
  }
  ms_transact *native() const noexcept { return raw_.get(); }

  template <typename F>
  static std::optional<transact_steps> make(ms_share *share, F &&fn,
                                            const ms_transaction_options *options,
                                            ms_error *error) noexcept {
    using made_type = detail::draft_function_of<std::decay_t<F>>;
    transact_steps made;
    made.fn_.reset(new (std::nothrow) made_type(std::forward<F>(fn)));
    if (made.fn_ == nullptr) return (detail::fail(MS_ENOMEM, error), std::nullopt);
    ms_transact *raw = nullptr;
    const auto call = [](void *ud, ms_transaction *draft,
                         ms_error *problem) noexcept -> ms_status {
      return static_cast<detail::draft_function *>(ud)->run(draft, problem);
    };
    if (ms_transact_new(share, call, made.fn_.get(), options, &raw, error) != MS_OK)
      return std::nullopt;
    made.raw_.reset(raw);
    return made;
  }

private:
  transact_steps() noexcept = default;
  std::unique_ptr<detail::draft_function> fn_; /* outlives what calls it */
  detail::owned<ms_transact, ms_transact_free> raw_;
};

/* Writes until commit() are one patch; destroying it discards what was not committed. */
class batch {
public:
  batch() noexcept = default;
  /* `raw` is taken. */
  explicit batch(ms_batch *raw) noexcept : raw_(raw) {}
  ms_batch *native() const noexcept { return raw_.get(); }
  [[nodiscard]] ms_status commit(receipt *out = nullptr,
                                 ms_error *error = nullptr) noexcept {
    return detail::with_receipt(out, [&](ms_receipt **raw) noexcept {
      return ms_batch_commit(raw_.get(), raw, error);
    });
  }

private:
  detail::owned<ms_batch, ms_batch_free> raw_;
};

} // namespace memshare
#endif
