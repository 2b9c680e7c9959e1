/* Receipts: what became of one patch. */
#ifndef MEMSHARE_RECEIPT_HPP
#define MEMSHARE_RECEIPT_HPP

#include "value.hpp"

namespace memshare {

/* What became of one patch. An empty one belongs to a write that sent no patch of its own. Thread:
 * owner. */
class receipt : public detail::counted<ms_receipt> {
public:
  receipt() noexcept = default;
  ms_receipt_state state() const noexcept { return ms_receipt_get_state(item_); }
  std::uint64_t version() const noexcept { return ms_receipt_version(item_); }
  std::uint64_t number() const noexcept { return ms_receipt_number(item_); }
  /* Why it was rejected or is unknown; what it points to is borrowed from the receipt. */
  std::optional<ms_rejection> rejection() const noexcept {
    ms_rejection found = {};
    found.bytes = sizeof found;
    if (!ms_receipt_rejection(item_, &found)) return std::nullopt;
    return found;
  }
  /* Polls until it is settled; a negative time is without end. */
  [[nodiscard]] ms_status wait(std::chrono::milliseconds timeout,
                               ms_error *error = nullptr) noexcept {
    return ms_receipt_wait(item_, detail::milliseconds(timeout), error);
  }
  /* `raw` is taken. */
  static receipt take(ms_receipt *raw) noexcept { return receipt(raw); }

private:
  explicit receipt(ms_receipt *taken) noexcept : counted(taken) {}
};

namespace detail {

/* Runs a write that may leave a receipt, and gives that to who asked for it. */
template <typename F> ms_status with_receipt(receipt *out, F write) noexcept {
  ms_receipt *raw = nullptr;
  const ms_status status = write(out == nullptr ? nullptr : &raw);
  if (status == MS_OK && out != nullptr) *out = receipt::take(raw);
  return status;
}

} // namespace detail

} // namespace memshare
#endif
