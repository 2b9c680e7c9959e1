/* What the other headers are made of; nothing here is for users. */
#ifndef MEMSHARE_DETAIL_HPP
#define MEMSHARE_DETAIL_HPP

#include <memshare.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

namespace memshare {

namespace detail {

template <typename E> [[noreturn]] inline void raise([[maybe_unused]] E problem) {
#if defined(__cpp_exceptions)
  throw problem;
#else
  std::abort();
#endif
}

/* Milliseconds as C takes them; more than fit are as many as fit. */
inline int milliseconds(std::chrono::milliseconds time) noexcept {
  const auto count = time.count();
  if (count < 0) return -1;
  const int most = std::numeric_limits<int>::max();
  return count > most ? most : static_cast<int>(count);
}

/* Text with a NUL at its end, on the stack while it is short. */
class c_text {
public:
  c_text(std::string_view text, ms_status when_nul) noexcept {
    if (std::memchr(text.data() == nullptr ? "" : text.data(), 0, text.size())) {
      status_ = when_nul;
      return;
    }
    char *at = small_;
    if (text.size() >= sizeof small_) {
      big_.reset(new (std::nothrow) char[text.size() + 1]);
      at = big_.get();
      if (at == nullptr) {
        status_ = MS_ENOMEM;
        return;
      }
    }
    if (!text.empty()) std::memcpy(at, text.data(), text.size());
    at[text.size()] = '\0';
    bytes_ = at;
  }
  c_text(const c_text &) = delete;
  c_text &operator=(const c_text &) = delete;
  const char *bytes() const noexcept { return bytes_; }
  ms_status status() const noexcept { return status_; }

private:
  char small_[256];
  std::unique_ptr<char[]> big_;
  const char *bytes_ = nullptr;
  ms_status status_ = MS_OK;
};

/* The status goes up; the reason, where one is wanted, is the status' own text. */
inline ms_status fail(ms_status status, ms_error *error) noexcept {
  if (error != nullptr) {
    error->status = status;
    const char *text = ms_status_text(status);
    const std::size_t length = std::strlen(text);
    const std::size_t room = sizeof error->message - 1;
    const std::size_t bytes = length < room ? length : room;
    std::memcpy(error->message, text, bytes);
    error->message[bytes] = '\0';
  }
  return status;
}

inline ms_path *retain(const ms_path *item) noexcept { return ms_path_retain(item); }
inline void release(ms_path *item) noexcept { ms_path_release(item); }
inline ms_update *retain(const ms_update *item) noexcept {
  return ms_update_retain(item);
}
inline void release(ms_update *item) noexcept { ms_update_release(item); }
inline ms_query *retain(const ms_query *item) noexcept { return ms_query_retain(item); }
inline void release(ms_query *item) noexcept { ms_query_release(item); }
inline ms_receipt *retain(ms_receipt *item) noexcept { return ms_receipt_retain(item); }
inline void release(ms_receipt *item) noexcept { ms_receipt_release(item); }

/* A counted C object. */
template <typename T> class counted {
public:
  counted() noexcept = default;
  counted(const counted &other) noexcept
      : item_(other.item_ == nullptr ? nullptr : retain(other.item_)) {}
  counted(counted &&other) noexcept : item_(std::exchange(other.item_, nullptr)) {}
  counted &operator=(counted other) noexcept {
    std::swap(item_, other.item_);
    return *this;
  }
  ~counted() {
    if (item_ != nullptr) release(item_);
  }
  explicit operator bool() const noexcept { return item_ != nullptr; }
  T *native() const noexcept { return item_; }

protected:
  explicit counted(T *taken) noexcept : item_(taken) {}
  T *item_ = nullptr;
};

template <auto Free> struct deleter {
  template <typename T> void operator()(T *item) const noexcept { Free(item); }
};
template <typename T, auto Free> using owned = std::unique_ptr<T, deleter<Free>>;

template <typename T>
inline constexpr bool is_text_v = std::is_convertible_v<const T &, std::string_view>;
template <typename T>
inline constexpr bool is_number_v = std::is_arithmetic_v<T> && !std::is_same_v<T, bool>;
template <typename T>
inline constexpr bool is_plain_v = std::is_arithmetic_v<T> || is_text_v<T>;

/* False: a 64-bit signed integer cannot hold it. */
template <typename T> constexpr bool fits_int64(T number) noexcept {
  if constexpr (std::is_unsigned_v<T> && sizeof(T) >= sizeof(std::int64_t)) {
    return number <= static_cast<T>(std::numeric_limits<std::int64_t>::max());
  } else {
    static_assert(sizeof(T) <= sizeof(std::int64_t));
    return ((void)number, true);
  }
}

template <typename T> constexpr bool is_in_range(std::int64_t number) noexcept {
  if constexpr (std::is_unsigned_v<T>) {
    if (number < 0) return false;
    return static_cast<std::uint64_t>(number) <= std::numeric_limits<T>::max();
  } else {
    return number >= std::numeric_limits<T>::min() &&
           number <= std::numeric_limits<T>::max();
  }
}

} // namespace detail

} // namespace memshare
#endif
