/* Calls that came in from other peers. */
#ifndef MEMSHARE_REQUEST_HPP
#define MEMSHARE_REQUEST_HPP

#include "value.hpp"

namespace memshare {

/* A call that came in. The last copy lets go of it: a call that is not answered then fails. */
class request {
public:
  explicit request(ms_call *borrowed) noexcept : raw_(ms_call_retain(borrowed)) {}
  request(const request &other) noexcept
      : raw_(other.raw_ == nullptr ? nullptr : ms_call_retain(other.raw_.get())) {}
  request(request &&other) noexcept = default;
  request &operator=(request other) noexcept {
    raw_ = std::move(other.raw_);
    return *this;
  }
  ~request() = default;

  std::string_view name() const noexcept {
    std::size_t length = 0;
    const char *bytes = ms_call_name(raw_.get(), &length);
    return {bytes, length};
  }
  view content() const noexcept { return view(ms_call_value(raw_.get())); }
  std::uint64_t origin() const noexcept { return ms_call_origin(raw_.get()); }
  [[nodiscard]] ms_status reply(view answer = {}, ms_error *error = nullptr) noexcept {
    return ms_call_reply(raw_.get(), answer.native(), error);
  }
  /* code: a word for programs; both end with a NUL. */
  [[nodiscard]] ms_status fail(const char *code, const char *message,
                               ms_error *error = nullptr) noexcept {
    return ms_call_fail(raw_.get(), code, message, error);
  }
  ms_call *native() const noexcept { return raw_.get(); }

private:
  detail::owned<ms_call, ms_call_release> raw_;
};

} /* namespace memshare */

#endif
