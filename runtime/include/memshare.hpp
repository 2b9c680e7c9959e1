/*
 * memshare for C++17: owners, views and lambdas over memshare.h, which says what each call does. This
 * header adds no behaviour and no state of its own; native() leads to the C function that is missing
 * here.
 *
 * What holds for everything below
 *
 * Owners. runtime, share, batch, transaction, subscription, timer can be moved, not copied, and end
 * what they own when they are destroyed. value, path, update, query, receipt are counted: a copy is one
 * more reference. Destroy subscriptions, batches, transactions, receipts and shares before their
 * runtime, and the first three before their share: members and locals that are declared in this order
 * do so by themselves. A moved-from or default-made value is nothing; other objects in that state may be
 * destroyed and assigned to, nothing else.
 *
 * Failure. What can fail returns an ms_status or an empty std::optional, and takes an ms_error, which
 * may be null, for the reason.
 *
 * Exceptions. The constructors of value, value::array and value::object throw std::bad_alloc when there
 * is no memory, and std::length_error or std::out_of_range for what no value can hold. Nothing else
 * throws. Where exceptions are switched off these call std::abort().
 *
 * Callbacks. Anything callable; it is moved into the subscription or timer. An exception that leaves
 * a callback ends the program (std::terminate): there are C functions below it. A callback may destroy
 * its own subscription or timer.
 *
 * Text. std::string_view everywhere; paths and names with a NUL inside are MS_EPATH and MS_EARGUMENT.
 *
 * Memory. The runtime's ms_alloc serves what belongs to it. Values, paths, updates and queries that are
 * made here come from realloc(), callbacks and texts above 255 bytes from operator new.
 */
#ifndef MEMSHARE_HPP
#define MEMSHARE_HPP

#include <memshare.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <type_traits>
#include <utility>

namespace memshare {

class value;
class view;

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

/* ------------------------------------------------------------------ values */

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

/* ------------------------------------------------- paths, updates, queries */

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
  /* One key more, which may hold anything. */
  std::optional<path> join(std::string_view key,
                           ms_error *error = nullptr) const noexcept {
    ms_path *made = nullptr;
    const char *bytes = key.data() == nullptr ? "" : key.data();
    if (ms_path_join(item_, bytes, key.size(), &made, error) != MS_OK)
      return std::nullopt;
    return path(made);
  }
  std::size_t size() const noexcept { return ms_path_count(item_); }
  /* Lives as long as the path; index < size(). */
  std::string_view operator[](std::size_t index) const noexcept {
    const ms_key key = ms_path_key(item_, index);
    return std::string_view(key.bytes, key.length);
  }
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

/* ---------------------------------------------------------------- receipts */

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

/* ------------------------------------------------------------ transactions */

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

/* ------------------------------------------------------------------ shares */

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
      draft own(raw);
      callable &run = *static_cast<callable *>(ud);
      if constexpr (std::is_void_v<decltype(run(own))>) {
        run(own);
        return MS_OK;
      } else {
        const ms_status status = run(own);
        return status == MS_OK ? MS_OK : detail::fail(status, problem);
      }
    };
    return ms_share_transact(raw_.get(), call, address_of(fn), options, error);
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
        [&](ms_change_fn call, void *ud, ms_sub **sub) noexcept {
          return ms_share_on(raw_.get(), pattern.native(), flags, call, ud, sub);
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
        [&](ms_patch_fn call, void *ud, ms_sub **sub) noexcept {
          return ms_share_on_patch(raw_.get(), call, ud, sub);
        });
  }
  /* fn(const ms_rejection &) */
  template <typename F>
  std::optional<subscription> on_reject(F &&fn, ms_error *error = nullptr) noexcept {
    auto by_reference = [f = std::forward<F>(fn)](const ms_rejection *why) mutable {
      f(*why);
    };
    return detail::listen<subscription, ms_sub, const ms_rejection *>(
        std::move(by_reference), error,
        [&](ms_reject_fn call, void *ud, ms_sub **sub) noexcept {
          return ms_share_on_reject(raw_.get(), call, ud, sub);
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
        [&](ms_state_fn call, void *ud, ms_sub **sub) noexcept {
          return ms_share_on_state(raw_.get(), call, ud, sub);
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

/* ----------------------------------------------------------------- runtime */

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
  /* Does what there is to do and runs callbacks; waits up to `timeout` (negative: without end) until
   * one ran. `more`: the budget is used up, and work is left. */
  [[nodiscard]] ms_status
  poll(std::chrono::milliseconds timeout = std::chrono::milliseconds(0),
       std::chrono::microseconds budget = std::chrono::microseconds(0),
       bool *more = nullptr) noexcept {
    const int wait_ms = detail::milliseconds(timeout);
    return ms_runtime_poll(raw_.get(), wait_ms, budget.count(), more);
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
