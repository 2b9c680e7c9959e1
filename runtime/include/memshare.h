/*
 * memshare: one live object, shared by the processes of one machine.
 *
 * What holds for everything below
 *
 * Threads. A runtime belongs to the thread that opened it, its owner. Calls on a runtime and on its
 * shares, receipts, batches and subscriptions are made by the owner, and every callback runs on the
 * owner inside ms_runtime_poll() or a call whose comment says that it polls. Calls from another
 * thread return MS_EWRONGTHREAD. Exceptions are marked "Thread: any". Values, paths and updates are
 * immutable and counted; any thread may read, retain and release them.
 *
 * fork. A child must not use what its parent opened: calls return MS_ECLOSED.
 *
 * Ownership. Arguments are borrowed unless the comment says taken or retained. Outputs are written
 * on success only.
 *
 * Debug builds (MSI_DEBUG) assert, with a message, that handles are neither NULL nor freed.
 *
 * Statuses. Functions that can fail return ms_status. Those that take an ms_error fill it (it may
 * be NULL) with one line that names the path, the limit or the operator.
 *
 * Size tags. Structs that begin with `bytes` are filled by their `_init` function, so that a program
 * built against an older header keeps working.
 */
#ifndef MEMSHARE_H
#define MEMSHARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MS_VERSION_MAJOR 0
#define MS_VERSION_MINOR 1
#define MS_VERSION_PATCH 0
#define MS_VERSION_TEXT "0.1.0"

#if defined(_WIN32)
#error "memshare needs a POSIX system"
#endif
#define MS_API __attribute__((visibility("default")))
#define MS_CHECKED __attribute__((warn_unused_result))

/* ------------------------------------------------------------------ limits */

#define MS_NAME_MAX 64    /* bytes of a share's name: A-Z a-z 0-9 _ - and inner dots */
#define MS_KEY_MAX 4096   /* bytes of one object key */
#define MS_PATH_MAX 65536 /* bytes of a dotted path */
#define MS_DEPTH_MAX 100  /* containers inside each other, the document itself included */
#define MS_PATCH_MAX 16777216 /* bytes of one patch as MessagePack: 16 MiB */
#define MS_QUERY_MAX 65536    /* conditions in one query */
#define MS_MESSAGE_MAX 256    /* bytes of ms_error.message, NUL included */
#define MS_DOCUMENT_MAX                                                                  \
  ((uint64_t)1 << 32) /* bytes of a document as MessagePack, default: 4 GiB */
#define MS_STEPS_MAX                                                                     \
  16777216 /* steps that one patch may take: elements, keys, conditions it looks at */
/* Values of one patch as MessagePack, keys counted too. The smallest ones take a byte each: without
 * this limit a patch could keep everybody who decodes it busy for seconds. */
#define MS_VALUES_MAX 1048576
#define MS_READS_MAX                                                                     \
  4096 /* paths of what one transaction read; see ms_transaction_new() */
#define MS_QUEUE_MAX 65536 /* own patches not yet settled, default of max_queue */
#define MS_ROLES_MAX 16    /* roles of a peer */
#define MS_ROLE_MAX 64     /* bytes of one */
#define MS_ROLES_BYTES 512 /* of all of a peer's, each with its NUL, and one more NUL */

/* ---------------------------------------------------------------- statuses */

#define MS_STATUS_LIST(X)                                                                \
  X(MS_OK, 0, "OK", "ok")                                                                \
  X(MS_EPATH, -1, "EPATH", "malformed, blocked or missing path")                         \
  X(MS_ETYPE, -2, "ETYPE", "wrong type")                                                 \
  X(MS_EOVERLAP, -3, "EOVERLAP", "two paths of one update overlap")                      \
  X(MS_EOPERATOR, -4, "EOPERATOR", "unknown operator")                                   \
  X(MS_EARGUMENT, -5, "EARGUMENT", "bad argument")                                       \
  X(MS_ECONFLICT, -6, "ECONFLICT", "lost to a newer patch")                              \
  X(MS_ECONDITION, -7, "ECONDITION", "condition not met")                                \
  X(MS_ELIMIT, -8, "ELIMIT", "limit reached")                                            \
  X(MS_EDENIED, -9, "EDENIED", "permission denied")                                      \
  X(MS_EREADONLY, -10, "EREADONLY", "this peer is read-only")                            \
  X(MS_ETIMEDOUT, -11, "ETIMEDOUT", "timed out")                                         \
  X(MS_ECLOSED, -12, "ECLOSED", "closed")                                                \
  X(MS_EBUSY, -13, "EBUSY", "busy")                                                      \
  X(MS_ENOENT, -14, "ENOENT", "nothing there")                                           \
  X(MS_ENOHOST, -15, "ENOHOST", "no host, or outcome unknown")                           \
  X(MS_EVERSION, -16, "EVERSION", "incompatible version")                                \
  X(MS_EWRONGTHREAD, -17, "EWRONGTHREAD", "called from a thread that is not the owner")  \
  X(MS_ENOMEM, -18, "ENOMEM", "out of memory")

typedef enum ms_status {
#define MS_STATUS_ENUM(id, number, name, text) id = number,
  MS_STATUS_LIST(MS_STATUS_ENUM)
#undef MS_STATUS_ENUM
} ms_status;

/* "ECLOSED" for MS_ECLOSED; "EUNKNOWN" for a number that is no status. Static. Thread: any. */
MS_API const char *ms_status_name(ms_status status);
/* "closed" for MS_ECLOSED. Static. Thread: any. */
MS_API const char *ms_status_text(ms_status status);

/* What went wrong: one lower-case line without a final dot. */
typedef struct ms_error {
  ms_status status;
  char message[MS_MESSAGE_MAX];
} ms_error;

/* "0.1.0" of the library that is loaded. Static. Thread: any. */
MS_API const char *ms_version(void);

/* ------------------------------------------------------------------ memory */

/*
 * One function allocates (ptr NULL, old_bytes 0), resizes and frees (new_bytes 0, returns NULL).
 * It is called from several threads at once and returns NULL when there is no memory; a shrink must
 * succeed. The struct must outlive everything made with it. A NULL `const ms_alloc *` means
 * realloc() and free().
 */
typedef struct ms_alloc {
  void *(*resize)(void *ud, void *ptr, size_t old_bytes, size_t new_bytes);
  void *ud;
} ms_alloc;

/* ------------------------------------------------------------------ values */

/*
 * A value is an immutable tree. MS_EMPTY is the empty table of Lua's `{}`: its first use makes it
 * an array or an object. Objects are unordered. Strings are bytes.
 *
 * Small values live inside the pointer itself: never dereference or compare pointers to learn
 * whether values are equal (equal pointers do mean equal values).
 */
typedef struct ms_value ms_value;

typedef enum ms_type {
  MS_NULL,
  MS_BOOL,
  MS_INT,    /* 64-bit signed */
  MS_DOUBLE, /* IEEE 754 binary64; NaN, infinities and -0.0 included */
  MS_STRING,
  MS_ARRAY,
  MS_OBJECT,
  MS_EMPTY
} ms_type;

/* All functions of this section: Thread: any. A `value` argument is never NULL unless said. */

MS_API ms_type ms_value_type(const ms_value *value);
/* "null" "boolean" "integer" "float" "string" "array" "object" "empty". Static. */
MS_API const char *ms_type_name(ms_type type);

/* One more reference; returns its argument. Accepts NULL. */
MS_API const ms_value *ms_value_retain(const ms_value *value);
/* One reference less; the last one frees the tree without recursion on the C stack. Accepts NULL. */
MS_API void ms_value_release(const ms_value *value);

/* These need no memory; the results need no release (releasing them is harmless). */
MS_API const ms_value *ms_value_null(void);
MS_API const ms_value *ms_value_bool(bool flag);
MS_API const ms_value *ms_value_empty(void);

/* New values: out is retained. MS_OK, MS_ENOMEM; string: MS_ELIMIT above UINT32_MAX bytes. */
MS_API MS_CHECKED ms_status ms_value_new_int(const ms_alloc *alloc, int64_t number,
                                             const ms_value **out);
MS_API MS_CHECKED ms_status ms_value_new_double(const ms_alloc *alloc, double number,
                                                const ms_value **out);
MS_API MS_CHECKED ms_status ms_value_new_string(const ms_alloc *alloc, const char *bytes,
                                                size_t length, const ms_value **out);
MS_API MS_CHECKED ms_status ms_value_new_array(const ms_alloc *alloc,
                                               const ms_value **out);
MS_API MS_CHECKED ms_status ms_value_new_object(const ms_alloc *alloc,
                                                const ms_value **out);

/*
 * Changing a container makes a new one that shares what is untouched. `*container` is taken and
 * replaced by the result; when the caller held the only reference the change happens in place. On
 * failure *container is as it was. `value` is retained.
 *
 * put: set or add a key. MS_ETYPE (*object is neither object nor empty), MS_ELIMIT (key longer than
 * MS_KEY_MAX), MS_ENOMEM. `erase` of an absent key changes nothing and returns MS_OK.
 * append, insert, replace, erase_at: MS_ETYPE, MS_ENOENT (index beyond the end), MS_ENOMEM.
 */
MS_API MS_CHECKED ms_status ms_value_put(const ms_alloc *alloc, const ms_value **object,
                                         const char *key, size_t length,
                                         const ms_value *value);
MS_API MS_CHECKED ms_status ms_value_erase(const ms_alloc *alloc, const ms_value **object,
                                           const char *key, size_t length);
MS_API MS_CHECKED ms_status ms_value_append(const ms_alloc *alloc, const ms_value **array,
                                            const ms_value *value);
MS_API MS_CHECKED ms_status ms_value_insert(const ms_alloc *alloc, const ms_value **array,
                                            size_t index, const ms_value *value);
MS_API MS_CHECKED ms_status ms_value_replace(const ms_alloc *alloc,
                                             const ms_value **array, size_t index,
                                             const ms_value *value);
MS_API MS_CHECKED ms_status ms_value_erase_at(const ms_alloc *alloc,
                                              const ms_value **array, size_t index);

/* Reading. MS_ETYPE when the value has another type; to_double also takes MS_INT. */
MS_API MS_CHECKED ms_status ms_value_to_bool(const ms_value *value, bool *out);
MS_API MS_CHECKED ms_status ms_value_to_int(const ms_value *value, int64_t *out);
MS_API MS_CHECKED ms_status ms_value_to_double(const ms_value *value, double *out);
/* The bytes live as long as the value, are followed by a NUL and may contain others. */
MS_API MS_CHECKED ms_status ms_value_to_string(const ms_value *value, const char **bytes,
                                               size_t *length);
/* Items of an array or object; 0 for every other type. */
MS_API size_t ms_value_count(const ms_value *value);
/* Borrowed from the container; NULL when absent or when it is no object (array). */
MS_API const ms_value *ms_value_get(const ms_value *object, const char *key,
                                    size_t length);
MS_API const ms_value *ms_value_at(const ms_value *array, size_t index);

/*
 * Walks an array in order or an object in an order that depends on its keys only. The cursor
 * borrows the container, which must outlive it. A plain struct: no end function.
 */
typedef struct ms_cursor {
  uintptr_t space[24];
} ms_cursor;
MS_API void ms_cursor_init(ms_cursor *cursor, const ms_value *container);
/* False at the end. For arrays *key is NULL and *length the index. Outputs are borrowed. */
MS_API bool ms_cursor_next(ms_cursor *cursor, const char **key, size_t *length,
                           const ms_value **value);

/* Same types, same contents: 1 and 1.0 differ, NaN equals NaN, 0.0 and -0.0 differ, `{}` differs
 * from an empty array. Skips shared branches. */
MS_API bool ms_value_equal(const ms_value *a, const ms_value *b);

/* The size of the value as MessagePack, kept up to date: O(1). */
MS_API uint64_t ms_value_bytes(const ms_value *value);

/*
 * MessagePack. UTF-8 strings are `str`, others `bin`; the empty table is the extension type 1 of
 * length 0. Decoding takes any valid encoding of the types above, refuses trailing bytes, map keys
 * that are not strings, duplicate keys, unsigned integers above INT64_MAX (MS_ETYPE) and more than
 * MS_DEPTH_MAX levels (MS_ELIMIT). Encoding returns a string value.
 */
MS_API MS_CHECKED ms_status ms_value_encode(const ms_alloc *alloc, const ms_value *value,
                                            const ms_value **out);
MS_API MS_CHECKED ms_status ms_value_decode(const ms_alloc *alloc, const void *data,
                                            size_t bytes, const ms_value **out,
                                            ms_error *error);

/*
 * JSON text, through jansson. Bytes that are not UTF-8 are written as {"$binary": {"base64": "...",
 * "subType": "00"}}, NaN and infinities as {"$numberDouble": "NaN"}, as MongoDB Extended JSON does,
 * and are read back. An object that would be taken for one of these, or that has a key that is not
 * UTF-8, is written as {"$entries": [[key, value], ...]}. Keys are written in byte order. The empty
 * table is written as {} and so comes back as an object, unless MS_JSON_LOSSLESS writes it as
 * {"$empty": true}, which is always read back as the empty table.
 */
enum { MS_JSON_PRETTY = 1, MS_JSON_LOSSLESS = 2 };
MS_API MS_CHECKED ms_status ms_value_from_json(const ms_alloc *alloc, const char *text,
                                               size_t length, const ms_value **out,
                                               ms_error *error);
/* out is a string value. */
MS_API MS_CHECKED ms_status ms_value_to_json(const ms_alloc *alloc, const ms_value *value,
                                             unsigned flags, const ms_value **out);

/* ------------------------------------------------------------------- paths */

/*
 * A path is a list of keys from the root; the empty path is the whole document. As text it is
 * MongoDB's: keys joined by dots, array indexes from 0. A key that is a decimal number without
 * leading zeros names an index where an array is found and a key where an object is.
 */
typedef struct ms_path ms_path;

typedef struct ms_key {
  const char *bytes;
  size_t length;
} ms_key;

/* MS_EPATH: an empty key, a key that starts with '$', too long; MS_ELIMIT: deeper than
 * MS_DEPTH_MAX. out is retained. "" is the empty path. Thread: any. */
MS_API MS_CHECKED ms_status ms_path_parse(const ms_alloc *alloc, const char *text,
                                          size_t length, ms_path **out, ms_error *error);
/* A path from keys, which may be empty, hold dots, begin with '$' or contain NUL. Thread: any. */
MS_API MS_CHECKED ms_status ms_path_new(const ms_alloc *alloc, const ms_key *keys,
                                        size_t count, ms_path **out, ms_error *error);
/* `path` with one more key. Thread: any. */
MS_API MS_CHECKED ms_status ms_path_join(const ms_path *path, const char *key,
                                         size_t length, ms_path **out, ms_error *error);
/* As ms_path_parse, with the wildcards of ms_share_on: `*` is one key, `**` any number. */
MS_API MS_CHECKED ms_status ms_path_parse_pattern(const ms_alloc *alloc, const char *text,
                                                  size_t length, ms_path **out,
                                                  ms_error *error);
MS_API ms_path *ms_path_retain(const ms_path *path);
MS_API void ms_path_release(const ms_path *path);
MS_API size_t ms_path_count(const ms_path *path);
/* Borrowed from the path; index < ms_path_count(). */
MS_API ms_key ms_path_key(const ms_path *path, size_t index);
/* As dotted text: a string value, for people (keys with dots are not escaped). */
MS_API MS_CHECKED ms_status ms_path_text(const ms_path *path, const ms_value **out);
/* What is at the path below `root`, borrowed; NULL when nothing is. */
MS_API const ms_value *ms_path_find(const ms_path *path, const ms_value *root);

/* ----------------------------------------------------------------- updates */

/*
 * A compiled update: MongoDB's update language, parsed once. The source of its semantics is
 * MongoDB server 5.0. Operators: $set $unset $inc $mul $min $max $rename $currentDate $setOnInsert
 * (without effect), $bit (and, or, xor: in this order), $push ($each $position $slice $sort) $pop
 * $pull $pullAll $addToSet ($each). Paths may hold `$[]` and, with array filters, `$[identifier]`.
 *
 * Objects are unordered: where MongoDB goes by the order of keys, they are taken in the order of
 * their bytes, and objects are equal when they hold the same. $currentDate sets milliseconds since
 * 1970 as an integer, whatever its $type.
 */
typedef struct ms_update ms_update;

typedef struct ms_update_options {
  size_t bytes; /* set by init */
  /*
   * An array, as MongoDB's arrayFilters: [{"x.score": {"$gt": 5}}] says for which elements
   * "list.$[x].score" stands. Every filter must be used. Borrowed; NULL: none.
   */
  const ms_value *array_filters;
  /*
   * A query (ms_query_parse) on the whole document as it stands right before the update, which
   * has no effect where it does not hold: MS_ECONDITION. In a share the host asks it when it
   * decides the patch, whatever this peer's view shows. Borrowed; NULL: none.
   */
  const ms_value *where;
} ms_update_options;
MS_API void ms_update_options_init(ms_update_options *options);

/*
 * Compile {"$set": {"a.b": 1}, ...}; a document or an array of documents, which apply in order.
 * options may be NULL. MS_EOPERATOR, MS_EARGUMENT, MS_EPATH, MS_EOVERLAP, MS_ELIMIT, MS_ENOMEM.
 * out is retained. Thread: any.
 */
MS_API MS_CHECKED ms_status ms_update_parse(const ms_alloc *alloc,
                                            const ms_value *document,
                                            const ms_update_options *options,
                                            ms_update **out, ms_error *error);
MS_API ms_update *ms_update_retain(const ms_update *update);
MS_API void ms_update_release(const ms_update *update);
/*
 * Apply to a document: whole or not at all. `wall_ms` is the patch's own wall time. An update that
 * changes nothing gives the same root. out is retained. MS_EPATH, MS_ETYPE, MS_EARGUMENT (overflow),
 * MS_EOVERLAP (two array filters fit one element), MS_ECONDITION, MS_ELIMIT, MS_ENOMEM. Thread: any.
 */
MS_API MS_CHECKED ms_status ms_update_apply(const ms_update *update, const ms_value *root,
                                            int64_t wall_ms, const ms_value **out,
                                            ms_error *error);

/*
 * A compiled query: MongoDB's conditions on a document, {"stock": {"$gt": 0}, "tags": "new"}.
 * Operators: $eq $ne $gt $gte $lt $lte $in $nin $exists $type $mod $size $all $elemMatch $not, and
 * between conditions $and $or $nor. Dotted paths lead through arrays as in MongoDB.
 */
typedef struct ms_query ms_query;

/* MS_EARGUMENT, MS_ELIMIT (deeper than MS_DEPTH_MAX, more than MS_QUERY_MAX conditions, or so many
 * values in a list that putting them in order takes more than MS_STEPS_MAX steps), MS_ENOMEM. out is
 * retained. Thread: any. */
MS_API MS_CHECKED ms_status ms_query_parse(const ms_alloc *alloc,
                                           const ms_value *document, ms_query **out,
                                           ms_error *error);
MS_API ms_query *ms_query_retain(const ms_query *query);
MS_API void ms_query_release(const ms_query *query);
/* Needs no memory. Thread: any. */
MS_API bool ms_query_matches(const ms_query *query, const ms_value *document);

/* ----------------------------------------------------------------- runtime */

typedef struct ms_runtime ms_runtime;

typedef enum ms_log_level {
  MS_LOG_DEBUG,
  MS_LOG_INFO,
  MS_LOG_WARNING,
  MS_LOG_ERROR
} ms_log_level;
/* Called on any thread, with internal locks held: of memshare it may call ms_runtime_wake() only. The
 * line is borrowed. */
typedef void (*ms_log_fn)(void *ud, ms_log_level level, const char *line);

/*
 * Wall time, in milliseconds since 1970: what patches carry, $currentDate sets and people see. Called on
 * any thread, with internal locks held: it calls nothing of memshare.
 *
 * The order of patches does not hang on it. That goes by the machine's monotonic clock, on which all
 * processes agree, so there is no hook for that one.
 */
typedef int64_t (*ms_clock_fn)(void *ud);

typedef struct ms_runtime_config {
  size_t bytes; /* set by init */
  const ms_alloc
      *alloc;    /* borrowed for the life of the runtime; NULL: realloc and free */
  ms_log_fn log; /* NULL: nothing is logged */
  void *log_ud;
  ms_log_level log_level; /* the least level that is logged; init sets MS_LOG_WARNING */
  const char *program;    /* shown to other peers; copied; NULL: the process' name */
  ms_clock_fn clock;      /* NULL: the system's wall clock */
  void *clock_ud;
} ms_runtime_config;
MS_API void ms_runtime_config_init(ms_runtime_config *config);

/* Makes the calling thread the owner. Starts the stand-in thread. config may be NULL. */
MS_API MS_CHECKED ms_status ms_runtime_open(const ms_runtime_config *config,
                                            ms_runtime **out, ms_error *error);
/* Closes all shares without waiting, then frees. Not from a callback. Accepts NULL. */
MS_API void ms_runtime_close(ms_runtime *runtime);

/*
 * Do what there is to do, run callbacks, and return. Waits up to timeout_ms (negative: without end)
 * until at least one callback ran or ms_runtime_wake() was called. Once budget_us (0: no budget) has
 * passed it returns between two patches; *more (may be NULL) tells whether work is left. MS_EBUSY
 * inside a callback. Within 4 microseconds after a poll that found nothing, one that does not wait asks the
 * system no more, unless the program has called something meanwhile.
 */
MS_API MS_CHECKED ms_status ms_runtime_poll(ms_runtime *runtime, int timeout_ms,
                                            int64_t budget_us, bool *more);
/*
 * Poll until `done` says so; it is asked after each round of callbacks. Negative: without end. A wake
 * does not end it, but is kept for the next ms_runtime_poll(). MS_OK, MS_ETIMEDOUT, MS_EBUSY.
 */
typedef bool (*ms_done_fn)(void *ud);
MS_API MS_CHECKED ms_status ms_runtime_wait(ms_runtime *runtime, int timeout_ms,
                                            ms_done_fn done, void *ud);
/*
 * Call fn whenever a poll, or a round of a call that waits, has run its callbacks: what waits for
 * several things, such as a coroutine, looks there whether it may go on. Unlike a callback it may
 * poll; then it is called again inside. MS_ENOMEM, MS_EARGUMENT, MS_ECLOSED, MS_EWRONGTHREAD.
 */
typedef struct ms_round ms_round;
typedef void (*ms_round_fn)(void *ud);
MS_API MS_CHECKED ms_status ms_runtime_on_round(ms_runtime *runtime, ms_round_fn fn,
                                                void *ud, ms_round **out);
/* fn is not called any more. Ends with the runtime at the latest. Accepts NULL. */
MS_API void ms_round_close(ms_round *round);
/* Makes a waiting ms_runtime_poll() return. Thread: any; also safe in a signal handler. Does nothing
 * after fork. */
MS_API void ms_runtime_wake(ms_runtime *runtime);
/* A descriptor that polls readable when ms_runtime_poll(runtime, 0, ...) has something to do; -1 on a
 * thread that is not the owner, and after fork. */
MS_API int ms_runtime_fd(ms_runtime *runtime);
/* Milliseconds until ms_runtime_poll() should be called even if the descriptor stays silent; -1:
 * no need. */
MS_API int ms_runtime_timeout(ms_runtime *runtime);

/*
 * Call fn once, `delay_ms` from now, inside a poll. The timer is gone when fn is called or
 * ms_timer_close() was. MS_ENOMEM, MS_EWRONGTHREAD, MS_ECLOSED.
 */
typedef struct ms_timer ms_timer;
typedef void (*ms_timer_fn)(void *ud);
MS_API MS_CHECKED ms_status ms_runtime_after(ms_runtime *runtime, int64_t delay_ms,
                                             ms_timer_fn fn, void *ud, ms_timer **out);
MS_API void ms_timer_close(ms_timer *timer); /* accepts NULL */

/* ------------------------------------------------------------------ shares */

typedef struct ms_share ms_share;
typedef struct ms_receipt ms_receipt;
typedef struct ms_batch ms_batch;
typedef struct ms_transaction ms_transaction;
typedef struct ms_sub ms_sub;

/* What a host is asked to commit: a patch and what it would lead to. Borrowed for the call. */
typedef struct ms_attempt {
  size_t bytes; /* sizeof(ms_attempt) of the library */
  const ms_value *
      old_root; /* NULL: the document as a whole is asked about, since the rules are new */
  const ms_value *new_root;
  const ms_update *update; /* NULL with old_root */
  uint64_t origin;         /* who writes */
  int64_t wall_ms;         /* the patch's wall time */
} ms_attempt;
/*
 * Who understands the rules of a share (ms_share_set_rules). The host calls it on whichever thread drives its loop,
 * one call at a time, with the loop locked: it may read values, and use ms_rules, and may call nothing else here; it has to
 * be quick, since everybody waits for it.
 */
typedef struct ms_validator {
  /* Make *rules of a text. MS_OK, or why it is none, which refuses it: MS_EARGUMENT with a message. */
  ms_status (*load)(void *ud, const char *source, size_t length, void **rules,
                    ms_error *error);
  /* MS_OK, or MS_EDENIED with the message that the writer hears. */
  ms_status (*check)(void *rules, const ms_attempt *attempt, ms_error *error);
  void (*unload)(void *rules); /* NULL: nothing to do */
  void *ud;
} ms_validator;

typedef struct ms_share_config {
  size_t bytes;    /* set by init */
  const char *dir; /* copied; NULL: $MEMSHARE_DIR, else $XDG_RUNTIME_DIR/memshare, else
                               /tmp/memshare-<uid> */
  const ms_value
      *defaults; /* retained; the document of a new share: an object or empty; NULL: {} */
  int timeout_ms; /* of open: 5000 */
  int write_timeout_ms; /* how long a write waits for room in the queue; C default 0: MS_EBUSY */
  int host_timeout_ms;   /* a host without heartbeat is replaced after this: 2000 */
  bool readonly;         /* writes are refused, by this peer and by the host */
  bool no_host;          /* never becomes host and does not keep the share alive */
  bool must_exist;       /* MS_ENOENT instead of founding a new share */
  bool merge_defaults;   /* add missing top-level keys to a share that exists */
  uint64_t max_document; /* bytes as MessagePack; MS_DOCUMENT_MAX */
  size_t max_patch;      /* bytes as MessagePack; MS_PATCH_MAX, at most that */
  size_t max_queue;      /* own unsettled patches; MS_QUEUE_MAX */
  /* Of a share that is new, as the defaults are: how many peers may write at a time; 0: any number. Where they are
   * that many, opening without `readonly` fails: MS_EDENIED. See ms_share_set_max_writers. */
  uint64_t max_writers;
  const ms_validator *validator; /* copied; NULL: never host while the share has rules */
  const char *const *
      roles; /* copied; ended by NULL; what this peer is, see ms_share_grant; NULL: none */
} ms_share_config;
MS_API void ms_share_config_init(ms_share_config *config);

/* A share that is not started yet. config may be NULL. A name that is open in this runtime with the
 * same dir gives the same share, with one more reference. Never blocks. MS_EARGUMENT, MS_ENOMEM. */
MS_API MS_CHECKED ms_status ms_share_new(ms_runtime *runtime, const char *name,
                                         const ms_share_config *config, ms_share **out,
                                         ms_error *error);
/*
 * Join or found, and wait up to timeout_ms until the replica is complete (0: begin and return
 * MS_OK; negative: config.timeout_ms). While it waits it polls. MS_ETIMEDOUT (the share goes on
 * trying), MS_EDENIED (directory not ours or open to others), MS_ENOENT (must_exist), MS_EVERSION,
 * MS_ELIMIT, MS_ECLOSED.
 */
MS_API MS_CHECKED ms_status ms_share_start(ms_share *share, int timeout_ms,
                                           ms_error *error);
/* ms_share_new and ms_share_start; closes the share again when it fails. */
MS_API MS_CHECKED ms_status ms_share_open(ms_runtime *runtime, const char *name,
                                          const ms_share_config *config, ms_share **out,
                                          ms_error *error);
/*
 * Who holds a share (through ms_share_new, ms_share_open or ms_share_retain) ends with at most one
 * ms_share_close and exactly one ms_share_free.
 *
 * close: waits up to timeout_ms until own patches are settled; the last holder to close makes the
 * share leave (a host hands over). Afterwards reads show the last view and writes return MS_ECLOSED.
 * Legal in a callback, where it does not wait. MS_ETIMEDOUT: patches were left unsettled.
 * free: closes without waiting if need be; the last holder frees the memory. In a callback the
 * memory goes once the poll returns. Accepts NULL.
 */
MS_API ms_status ms_share_close(ms_share *share, int timeout_ms);
MS_API void ms_share_free(ms_share *share);
/* NULL on a thread that is not the owner, and after fork. */
MS_API ms_share *ms_share_retain(ms_share *share);
MS_API ms_runtime *ms_share_runtime(const ms_share *share); /* borrowed */

typedef enum ms_share_state {
  MS_SHARE_NEW,     /* not started */
  MS_SHARE_JOINING, /* no complete replica yet */
  MS_SHARE_WAITING, /* complete, without a host at the moment */
  MS_SHARE_CLIENT,  /* complete, connected to a host */
  MS_SHARE_HOST,    /* complete, and this peer is the host */
  MS_SHARE_CLOSED
} ms_share_state;
MS_API const char *ms_share_state_name(ms_share_state state); /* "new" "joining" ... */

typedef struct ms_share_info {
  size_t bytes; /* set by the caller to sizeof(ms_share_info) */
  ms_share_state state;
  uint64_t peer;    /* this peer's id; 0 before it joined */
  uint64_t host;    /* the host's id; 0 when unknown */
  uint64_t term;    /* which host this is, counted */
  uint64_t version; /* of the view */
  uint64_t group;   /* id of the group of peers */
  size_t pending;   /* own patches that are not settled */
  uint64_t submitted, accepted, rejected, unknown; /* own patches, since open */
  uint64_t entries;                                /* entries applied since open */
  uint64_t takeovers; /* times this peer became host by takeover */
  uint64_t snapshots; /* snapshots received */
  uint64_t links;     /* links open now (host) */
  uint64_t document_bytes;
  uint64_t
      events_lost; /* messages that were too many for this peer, which did not poll */
} ms_share_info;
/* MS_SHARE_CLOSED and zeros on a thread that is not the owner, and after fork. */
MS_API void ms_share_inspect(const ms_share *share, ms_share_info *info);
MS_API const char *ms_share_name(const ms_share *share); /* borrowed from the share */

/* One peer of the share, as all replicas know it. */
typedef struct ms_peer {
  uint64_t id;
  int64_t pid;
  int64_t since_ms;    /* wall time of its joining, ms since 1970 */
  const char *program; /* borrowed for the call */
  bool is_host, is_self, readonly, can_host;
  const char *
      roles; /* borrowed for the call: one after the other, each with its NUL, and a NUL */
} ms_peer;
typedef void (*ms_peer_fn)(void *ud, const ms_peer *peer);
/* Calls fn once per peer, now. */
MS_API ms_status ms_share_peers(ms_share *share, ms_peer_fn fn, void *ud);

/*
 * ----- reading: from the view, at memory speed; never blocks and allocates nothing. MS_ENOENT (nothing
 * there), MS_EPATH, MS_ELIMIT (malformed path), MS_ETYPE, MS_ECLOSED, MS_EWRONGTHREAD.
 */

/* The whole document, retained: a value that any thread may read. NULL before it is complete. */
MS_API const ms_value *ms_share_root(const ms_share *share);
/* Counts every change of the view's root, also by an equal one: while the number stays the same, what
 * was borrowed from the root stays valid. */
MS_API uint64_t ms_share_view_number(const ms_share *share);
/* Told of changes of the view by whoever keeps copies of what it has read, such as a binding. */
typedef struct ms_view_watch {
  /* The view shows something else from now on. by_write: through one write of this process, not
   * inside a poll. Called on the owner thread, in the middle of a call: it calls nothing of the
   * library. Returns whether it wants to hear of the next change, too. */
  bool (*changed)(void *ud, bool by_write);
  void *ud;
  struct ms_view_watch *next; /* the library's */
} ms_view_watch;
/* The watch is borrowed until it returns false or is taken away, which must be done before the share
 * is freed. It must not be set twice. */
MS_API void ms_share_watch_view(ms_share *share, ms_view_watch *watch);
/* Does nothing when the watch is not set. */
MS_API void ms_share_unwatch_view(ms_share *share, const ms_view_watch *watch);
/* out is borrowed until the next call that polls or writes. */
MS_API MS_CHECKED ms_status ms_share_get(const ms_share *share, const char *path,
                                         const ms_value **out);
MS_API MS_CHECKED ms_status ms_share_get_bool(const ms_share *share, const char *path,
                                              bool *out);
MS_API MS_CHECKED ms_status ms_share_get_int(const ms_share *share, const char *path,
                                             int64_t *out);
MS_API MS_CHECKED ms_status ms_share_get_double(const ms_share *share, const char *path,
                                                double *out);
MS_API MS_CHECKED ms_status ms_share_get_string(const ms_share *share, const char *path,
                                                const char **bytes, size_t *length);
/*
 * The same at a compiled path, which may be made of keys (ms_path_new). Fewer steps than from text, for
 * places that are read often.
 */
MS_API MS_CHECKED ms_status ms_share_get_at(const ms_share *share, const ms_path *path,
                                            const ms_value **out);
MS_API MS_CHECKED ms_status ms_share_get_bool_at(const ms_share *share,
                                                 const ms_path *path, bool *out);
MS_API MS_CHECKED ms_status ms_share_get_int_at(const ms_share *share,
                                                const ms_path *path, int64_t *out);
MS_API MS_CHECKED ms_status ms_share_get_double_at(const ms_share *share,
                                                   const ms_path *path, double *out);
MS_API MS_CHECKED ms_status ms_share_get_string_at(const ms_share *share,
                                                   const ms_path *path,
                                                   const char **bytes, size_t *length);

/*
 * ----- writing. Each write is one patch: it is applied to the view before the call returns and sent
 * to the host. While a batch is open writes join the batch. `receipt` may be NULL; otherwise it is
 * retained (NULL inside a batch). Errors of the update itself come at once: MS_EPATH, MS_ETYPE,
 * MS_EARGUMENT, MS_ELIMIT, MS_EOVERLAP; also MS_EREADONLY, MS_ECLOSED, MS_EBUSY (queue full),
 * MS_ENOHOST (not complete yet).
 *
 * What allocates: a write makes its patch, and a copy of each container on the way to the place as far
 * as somebody else holds it too, such as the replica. A number or a short string at a place that was
 * written lately is compiled no more, neither from text of up to 64 bytes nor from a path.
 */
MS_API MS_CHECKED ms_status ms_share_update(ms_share *share, const ms_update *update,
                                            ms_receipt **receipt, ms_error *error);
/*
 * Parse and submit. options may be NULL. A patch whose condition (options->where) does not hold in
 * the view goes to the host all the same, since the view may be late: the view does not show it, and
 * its receipt says what the host found. In a batch it is MS_ECONDITION at once.
 */
MS_API MS_CHECKED ms_status ms_share_patch(ms_share *share, const ms_value *document,
                                           const ms_update_options *options,
                                           ms_receipt **receipt, ms_error *error);
MS_API MS_CHECKED ms_status ms_share_set(ms_share *share, const char *path,
                                         const ms_value *value, ms_receipt **receipt,
                                         ms_error *error);
MS_API MS_CHECKED ms_status ms_share_set_bool(ms_share *share, const char *path,
                                              bool flag);
MS_API MS_CHECKED ms_status ms_share_set_int(ms_share *share, const char *path,
                                             int64_t number);
MS_API MS_CHECKED ms_status ms_share_set_double(ms_share *share, const char *path,
                                                double number);
MS_API MS_CHECKED ms_status ms_share_set_string(ms_share *share, const char *path,
                                                const char *bytes, size_t length);
MS_API MS_CHECKED ms_status ms_share_unset(ms_share *share, const char *path,
                                           ms_receipt **receipt, ms_error *error);
MS_API MS_CHECKED ms_status ms_share_inc(ms_share *share, const char *path, int64_t by,
                                         ms_receipt **receipt, ms_error *error);
MS_API MS_CHECKED ms_status ms_share_push(ms_share *share, const char *path,
                                          const ms_value *value, ms_receipt **receipt,
                                          ms_error *error);
MS_API MS_CHECKED ms_status ms_share_inc_double(ms_share *share, const char *path,
                                                double by, ms_receipt **receipt,
                                                ms_error *error);
/* mul: `by` is a number. min, max: values of any type, in MongoDB's order. */
MS_API MS_CHECKED ms_status ms_share_mul(ms_share *share, const char *path,
                                         const ms_value *by, ms_receipt **receipt,
                                         ms_error *error);
MS_API MS_CHECKED ms_status ms_share_min(ms_share *share, const char *path,
                                         const ms_value *value, ms_receipt **receipt,
                                         ms_error *error);
MS_API MS_CHECKED ms_status ms_share_max(ms_share *share, const char *path,
                                         const ms_value *value, ms_receipt **receipt,
                                         ms_error *error);
/* The patch's own wall time, in milliseconds since 1970. */
MS_API MS_CHECKED ms_status ms_share_current_date(ms_share *share, const char *path,
                                                  ms_receipt **receipt, ms_error *error);
/* Appends unless an element equals it. */
MS_API MS_CHECKED ms_status ms_share_add_to_set(ms_share *share, const char *path,
                                                const ms_value *value,
                                                ms_receipt **receipt, ms_error *error);
/* Removes every element that equals the condition or, where that is an object with operators, fits it. */
MS_API MS_CHECKED ms_status ms_share_pull(ms_share *share, const char *path,
                                          const ms_value *condition, ms_receipt **receipt,
                                          ms_error *error);
/* Removes the first or the last element. */
MS_API MS_CHECKED ms_status ms_share_pop(ms_share *share, const char *path, bool first,
                                         ms_receipt **receipt, ms_error *error);
/* The element goes before the one at `index`, from 0; behind the end where the array is shorter. */
MS_API MS_CHECKED ms_status ms_share_insert(ms_share *share, const char *path,
                                            size_t index, const ms_value *value,
                                            ms_receipt **receipt, ms_error *error);
/* Removes the element at `index`, from 0; MS_EPATH when there is none. */
MS_API MS_CHECKED ms_status ms_share_remove(ms_share *share, const char *path,
                                            size_t index, ms_receipt **receipt,
                                            ms_error *error);
/* What is at `from` is at `to` instead, both dotted; nothing happens where nothing is. */
MS_API MS_CHECKED ms_status ms_share_rename(ms_share *share, const char *from,
                                            const char *to, ms_receipt **receipt,
                                            ms_error *error);
/* At a compiled path, which may be made of keys; ms_share_write() has the other operators. */
MS_API MS_CHECKED ms_status ms_share_set_at(ms_share *share, const ms_path *path,
                                            const ms_value *value, ms_receipt **receipt,
                                            ms_error *error);
MS_API MS_CHECKED ms_status ms_share_set_bool_at(ms_share *share, const ms_path *path,
                                                 bool flag);
MS_API MS_CHECKED ms_status ms_share_set_int_at(ms_share *share, const ms_path *path,
                                                int64_t number);
MS_API MS_CHECKED ms_status ms_share_set_double_at(ms_share *share, const ms_path *path,
                                                   double number);
MS_API MS_CHECKED ms_status ms_share_set_string_at(ms_share *share, const ms_path *path,
                                                   const char *bytes, size_t length);
MS_API MS_CHECKED ms_status ms_share_unset_at(ms_share *share, const ms_path *path,
                                              ms_receipt **receipt, ms_error *error);
/* The whole document: an object or empty. */
MS_API MS_CHECKED ms_status ms_share_replace(ms_share *share, const ms_value *document,
                                             ms_receipt **receipt, ms_error *error);

typedef enum ms_operator {
  MS_OP_SET,
  MS_OP_UNSET, /* no operand */
  MS_OP_INC,
  MS_OP_PUSH, /* append the operand as one element; an absent array is made */
  MS_OP_MUL,
  MS_OP_MIN,
  MS_OP_MAX,
  MS_OP_PULL,         /* operand: as $pull has it: a value, or conditions */
  MS_OP_ADD_TO_SET,   /* append the operand unless an element equals it */
  MS_OP_CURRENT_DATE, /* the patch's wall time; no operand */
  MS_OP_POP,          /* operand: 1: the last element, -1: the first */
  MS_OP_INSERT, /* operand: [index, element]; behind the end where the array is shorter */
  MS_OP_REMOVE  /* operand: the index of an element that must be there: else MS_EPATH */
} ms_operator;

/* One operator at a compiled path. */
typedef struct ms_write {
  size_t bytes;            /* set by init */
  const ms_path *path;     /* borrowed; not empty */
  ms_operator op;          /* init sets MS_OP_SET */
  const ms_value *operand; /* borrowed; NULL where the operator has none */
  /*
   * Not MS_NULL: a guard. The container must exist and be of that type (MS_ARRAY, MS_OBJECT;
   * MS_EMPTY: any container), else MS_EPATH, here or as a rejection by the host. An empty table
   * satisfies every guard. MS_OP_REMOVE has a guard of its own.
   */
  ms_type container;
  /* The guarded container is what stands at the path itself (MS_OP_PUSH, MS_OP_POP,
   * MS_OP_INSERT) instead of its parent. */
  bool guards_list;
  /* Wall time of the patch, milliseconds since 1970, see ms_share_wall_ms(). 0: the present. */
  int64_t wall_ms;
  /* MS_OP_SET: how long it stays, see ms_share_expire; 0 takes a limit off. Negative, as init sets it: the
   * limit of the place, if it has one, begins anew. */
  int64_t ttl_ms;
} ms_write;
MS_API void ms_write_init(ms_write *write);
MS_API MS_CHECKED ms_status ms_share_write(ms_share *share, const ms_write *write,
                                           ms_receipt **receipt, ms_error *error);
/*
 * The wall time that a write made now would carry: the present, or that of the open batch. For
 * operands that hold the patch's own time: pass it on in ms_write.wall_ms. Milliseconds since 1970.
 */
MS_API int64_t ms_share_wall_ms(const ms_share *share);

/* A batch: writes until commit are one patch; the view shows them at once. One at a time per share:
 * MS_EBUSY. Polling while it is open: MS_EBUSY. */
MS_API MS_CHECKED ms_status ms_batch_new(ms_share *share, ms_batch **out);
/* Submit; the batch stays open when this fails. An empty batch gives a NULL receipt. */
MS_API MS_CHECKED ms_status ms_batch_commit(ms_batch *batch, ms_receipt **receipt,
                                            ms_error *error);
/* Free; discards what was not committed. Accepts NULL. */
MS_API void ms_batch_free(ms_batch *batch);

/*
 * ----- transactions: what is read and written goes together. The draft begins as the share's view; the host
 * accepts what was written in it, as one patch, only if nothing has changed that was read: else
 * MS_ECONFLICT. So accepted transactions are as if they had run one after the other, at their place among the
 * entries.
 *
 * A read value counts with all that is inside of it, also when nothing was there. More than MS_READS_MAX
 * paths, or too long ones, count as reads of what contains them. What was written shows in the view, and
 * to callbacks, once it is accepted. A transaction that read nothing is a batch; one that wrote nothing is
 * not sent at all: it has seen the document as it was when it began.
 *
 * One at a time per share, none while a batch is open, and the last one must be decided: MS_EBUSY. Polling
 * and other writes to the share while it is open: MS_EBUSY.
 */
MS_API MS_CHECKED ms_status ms_transaction_new(ms_share *share, ms_transaction **out,
                                               ms_error *error);
/* out is borrowed until the next write to the draft. MS_ENOENT, MS_EPATH, MS_ETYPE, MS_ECLOSED (over),
 * MS_ENOMEM. */
MS_API MS_CHECKED ms_status ms_transaction_get(ms_transaction *transaction,
                                               const char *path, const ms_value **out);
MS_API MS_CHECKED ms_status ms_transaction_get_int(ms_transaction *transaction,
                                                   const char *path, int64_t *out);
MS_API MS_CHECKED ms_status ms_transaction_get_bool(ms_transaction *transaction,
                                                    const char *path, bool *out);
MS_API MS_CHECKED ms_status ms_transaction_get_double(ms_transaction *transaction,
                                                      const char *path, double *out);
/* *bytes is borrowed until the next write to the draft. */
MS_API MS_CHECKED ms_status ms_transaction_get_string(ms_transaction *transaction,
                                                      const char *path,
                                                      const char **bytes, size_t *length);
/* With a compiled path. Unless `whole`, a container counts as read only in that there is one: for who goes
 * on to read inside of it. */
MS_API MS_CHECKED ms_status ms_transaction_read(ms_transaction *transaction,
                                                const ms_path *path, bool whole,
                                                const ms_value **out);
/* The draft, borrowed until the next write to it. Does not count as read: for who looks first, and then says
 * what he has read. */
MS_API const ms_value *ms_transaction_root(const ms_transaction *transaction);
/* Writes so far. */
MS_API size_t ms_transaction_writes(const ms_transaction *transaction);
/* Writes to the draft; statuses as of ms_share_update(), and MS_ECLOSED when it is over. */
MS_API MS_CHECKED ms_status ms_transaction_set(ms_transaction *transaction,
                                               const char *path, const ms_value *value,
                                               ms_error *error);
MS_API MS_CHECKED ms_status ms_transaction_set_int(ms_transaction *transaction,
                                                   const char *path, int64_t number,
                                                   ms_error *error);
MS_API MS_CHECKED ms_status ms_transaction_set_bool(ms_transaction *transaction,
                                                    const char *path, bool flag,
                                                    ms_error *error);
MS_API MS_CHECKED ms_status ms_transaction_set_double(ms_transaction *transaction,
                                                      const char *path, double number,
                                                      ms_error *error);
MS_API MS_CHECKED ms_status ms_transaction_set_string(ms_transaction *transaction,
                                                      const char *path, const char *bytes,
                                                      size_t length, ms_error *error);
/* Adds to the number there without counting as a read of it. */
MS_API MS_CHECKED ms_status ms_transaction_inc(ms_transaction *transaction,
                                               const char *path, int64_t by,
                                               ms_error *error);
MS_API MS_CHECKED ms_status ms_transaction_push(ms_transaction *transaction,
                                                const char *path, const ms_value *value,
                                                ms_error *error);
MS_API MS_CHECKED ms_status ms_transaction_unset(ms_transaction *transaction,
                                                 const char *path, ms_error *error);
MS_API MS_CHECKED ms_status ms_transaction_patch(ms_transaction *transaction,
                                                 const ms_value *document,
                                                 const ms_update_options *options,
                                                 ms_error *error);
MS_API MS_CHECKED ms_status ms_transaction_write(ms_transaction *transaction,
                                                 const ms_write *write, ms_error *error);
MS_API MS_CHECKED ms_status ms_transaction_update(ms_transaction *transaction,
                                                  const ms_update *update,
                                                  ms_error *error);
/*
 * Submit; never blocks. The transaction is over, whatever is returned; reads show the draft until it is
 * freed. receipt may be NULL; otherwise it is retained (NULL: nothing was written). MS_EBUSY (queue full),
 * MS_ELIMIT, MS_ENOMEM, MS_ENOHOST; MS_ECONFLICT: a snapshot has come meanwhile.
 */
MS_API MS_CHECKED ms_status ms_transaction_commit(ms_transaction *transaction,
                                                  ms_receipt **receipt, ms_error *error);
/* Discards what was not committed. Accepts NULL. */
MS_API void ms_transaction_free(ms_transaction *transaction);

#define MS_TRANSACTION_RETRIES 100

typedef struct ms_transaction_options {
  size_t bytes;     /* set by init */
  unsigned retries; /* after the first run; init sets MS_TRANSACTION_RETRIES */
  int timeout_ms;   /* of all runs together; init sets -1: the share's timeout_ms */
} ms_transaction_options;
MS_API void ms_transaction_options_init(ms_transaction_options *options);
/* Reads and writes the draft, may run several times, neither polls nor writes to the share. Anything but
 * MS_OK discards the writes. */
typedef ms_status (*ms_transaction_fn)(void *ud, ms_transaction *transaction,
                                       ms_error *error);
/*
 * Run fn and commit; poll until the host has decided; after a conflict run fn again, on a view that shows
 * what it lost to. Rejections that are followed by another run are not told to ms_share_on_reject().
 * options may be NULL.
 *
 * Returns MS_OK once it is accepted and in the view, what fn returned, MS_ECONFLICT or another reason of the
 * host after all retries, MS_ETIMEDOUT (it may yet be accepted), MS_ENOHOST (outcome unknown), MS_EBUSY
 * (inside a callback, batch or transaction), MS_ECLOSED, MS_EREADONLY.
 */
MS_API MS_CHECKED ms_status ms_share_transact(ms_share *share, ms_transaction_fn fn,
                                              void *ud,
                                              const ms_transaction_options *options,
                                              ms_error *error);

/*
 * ms_share_transact() without waiting, for a frame loop or a coroutine: a step goes as far as it can, and
 * runs fn when it is its turn. Not *over: MS_OK, and another step gets further once ms_transact_is_due(),
 * which a poll brings about, or ms_transact_timeout() milliseconds have passed (-1: never). *over: the
 * statuses of ms_share_transact(). May be freed at any time: what was submitted by then may yet be accepted,
 * and a rejection is told as that of any patch. new: MS_EARGUMENT, MS_ENOMEM. Accepts NULL: free.
 */
typedef struct ms_transact ms_transact;
MS_API MS_CHECKED ms_status ms_transact_new(ms_share *share, ms_transaction_fn fn,
                                            void *ud,
                                            const ms_transaction_options *options,
                                            ms_transact **out, ms_error *error);
MS_API MS_CHECKED ms_status ms_transact_step(ms_transact *transact, bool *over,
                                             ms_error *error);
MS_API bool ms_transact_is_due(const ms_transact *transact);
MS_API int ms_transact_timeout(const ms_transact *transact);
MS_API void ms_transact_free(ms_transact *transact);

/* ----- receipts: what became of one patch */

typedef enum ms_receipt_state {
  MS_PENDING,
  MS_ACCEPTED,
  MS_REJECTED, /* without effect; see status and message */
  MS_UNKNOWN   /* the group ended before a decision was heard: MS_ENOHOST */
} ms_receipt_state;

/* Why a patch was rejected. Everything is borrowed from the receipt or for the callback. */
typedef struct ms_rejection {
  size_t bytes;
  uint64_t number;  /* of the patch, counted from 1 by this peer */
  ms_status status; /* MS_ECONFLICT, MS_EPATH, ... */
  const char *message;
  const ms_path *path;      /* what it was about; NULL when unknown */
  uint64_t winner_version;  /* of the entry it lost to; 0: none */
  uint64_t winner;          /* that entry's peer; 0: none */
  int64_t winner_wall_ms;   /* that entry's wall time; 0: none */
  const ms_value *standing; /* the value that stands at path; NULL: nothing there */
} ms_rejection;

MS_API ms_receipt_state ms_receipt_get_state(const ms_receipt *receipt);
/* The entry's version once accepted or rejected, else 0. */
MS_API uint64_t ms_receipt_version(const ms_receipt *receipt);
/* The patch's number, counted from 1 by this peer. */
MS_API uint64_t ms_receipt_number(const ms_receipt *receipt);
/* False unless rejected or unknown. */
MS_API bool ms_receipt_rejection(const ms_receipt *receipt, ms_rejection *out);
/* Poll until settled. MS_OK (accepted), MS_ETIMEDOUT, MS_EBUSY (inside a callback or batch), or why
 * it was rejected. Negative: without end. */
MS_API MS_CHECKED ms_status ms_receipt_wait(ms_receipt *receipt, int timeout_ms,
                                            ms_error *error);
MS_API ms_receipt *ms_receipt_retain(ms_receipt *receipt);
MS_API void ms_receipt_release(ms_receipt *receipt); /* accepts NULL */

/* Poll until all own patches are settled. MS_ETIMEDOUT, MS_ECLOSED, MS_EBUSY. */
MS_API MS_CHECKED ms_status ms_share_flush(ms_share *share, int timeout_ms,
                                           ms_error *error);
/* Poll until the view shows all that was committed when this was called. */
MS_API MS_CHECKED ms_status ms_share_sync(ms_share *share, int timeout_ms,
                                          ms_error *error);

/*
 * Poll until what stands at the path is as wanted: fn is asked at once, and after each round of callbacks.
 * `value` is borrowed for the call, NULL where nothing is; fn may read, but neither write, poll nor close.
 * Negative: without end. MS_OK, MS_ETIMEDOUT, MS_EBUSY (inside a callback, batch or transaction),
 * MS_ECLOSED.
 */
typedef bool (*ms_match_fn)(void *ud, const ms_value *value);
MS_API MS_CHECKED ms_status ms_share_wait_for(ms_share *share, const ms_path *path,
                                              ms_match_fn fn, void *ud, int timeout_ms,
                                              ms_error *error);

/*
 * sync without waiting: ask now, and look later. begin: *ticket is what to look for; statuses as
 * above. done: MS_OK, MS_EBUSY (not yet), MS_ECLOSED, or why the share failed.
 */
MS_API MS_CHECKED ms_status ms_share_sync_begin(ms_share *share, uint64_t *ticket,
                                                ms_error *error);
MS_API MS_CHECKED ms_status ms_share_sync_done(const ms_share *share, uint64_t ticket,
                                               ms_error *error);

/*
 * ----- presence: what belongs to the life of this process. It goes with the entry that tells all peers of its
 * departure, hooks included, also when that is told by the next host.
 */

/*
 * A peer's own place in the document, "@peers.<id in hexadecimal>": all may read it, only that peer may
 * write there (MS_EDENIED by the host). A peer that has to join anew gets another id, hence another place. out is
 * retained. Thread: any. MS_ENOMEM.
 */
MS_API MS_CHECKED ms_status ms_peer_path(const ms_alloc *alloc, uint64_t peer,
                                         ms_path **out, ms_error *error);
/* That of this peer, made as an empty object where it is not there yet. out is retained. MS_ENOHOST (not
 * complete), and statuses as of writing. */
MS_API MS_CHECKED ms_status ms_share_me(ms_share *share, ms_path **out, ms_error *error);
/* What stands at the path, now and later, goes when this peer does; whoever binds it last. At most 4096 paths a
 * peer: MS_ELIMIT. Statuses and receipt as of writing. unbind: it stays. */
MS_API MS_CHECKED ms_status ms_share_bind(ms_share *share, const ms_path *path,
                                          ms_receipt **receipt, ms_error *error);
MS_API MS_CHECKED ms_status ms_share_unbind(ms_share *share, const ms_path *path,
                                            ms_receipt **receipt, ms_error *error);
/*
 * What stands at the path goes after ttl_ms milliseconds, by an entry of the host; each write at it or below
 * begins the time anew. 0: it stays. The limit belongs to the place: writes above leave it, $unset and $rename
 * of exactly this place take it off. Statuses and receipt as of writing. See ms_write.ttl_ms.
 */
MS_API MS_CHECKED ms_status ms_share_expire(ms_share *share, const ms_path *path,
                                            uint64_t ttl_ms, ms_receipt **receipt,
                                            ms_error *error);

/*
 * ----- access: the host asks who writes. A peer says at open which roles it has; all processes of a user may be
 * asked to keep to the rules, none can be forced, since it may open the share with any role.
 */

/*
 * Who has the role may write at the places of the pattern and below; from now on others may not, nor to what holds
 * such a place: MS_EDENIED by the host. What no grant names is free. `*` in a pattern is any one key, `**` at its
 * end all below. Several roles may have the same pattern. Any peer that may write may grant and revoke. MS_EPATH
 * and MS_EARGUMENT (role: 1 to MS_ROLE_MAX bytes), statuses and receipt as of writing.
 */
MS_API MS_CHECKED ms_status ms_share_grant(ms_share *share, const char *role,
                                           const char *pattern, ms_receipt **receipt,
                                           ms_error *error);
MS_API MS_CHECKED ms_status ms_share_revoke(ms_share *share, const char *role,
                                            const char *pattern, ms_receipt **receipt,
                                            ms_error *error);
/* How many peers may write at a time; 0: any number. Those who do already stay. */
MS_API MS_CHECKED ms_status ms_share_set_max_writers(ms_share *share, uint64_t count,
                                                     ms_receipt **receipt,
                                                     ms_error *error);
MS_API bool ms_peer_has_role(const ms_peer *peer, const char *role);

/*
 * ----- locks: of all peers at most one holds a lock of a name, and those who ask wait in the order in which the
 * host heard of them. All peers see the same queues, so a lock survives the host. What a peer holds goes to the
 * next one as soon as it is gone, or shows no sign of life for host_timeout_ms (MS_LEASE_GONE then).
 *
 * The number of a fence, a version, grows from each holder to the next: pass it to what is outside of the share.
 * Inside each write of a peer that holds locks, as far as it knows, stands on them: should it have lost one, the
 * host refuses the write, MS_EDENIED. So does a peer that was stopped learn of it before its next write counts.
 */
typedef struct ms_lease ms_lease;
typedef enum ms_lease_state {
  MS_LEASE_WAITING,
  MS_LEASE_HELD,
  MS_LEASE_GONE /* given back, lost, or refused */
} ms_lease_state;

/* Ask for a lock, by 1 to MS_KEY_MAX bytes; does not wait. A peer that asks twice waits for itself. Not
 * inside a batch or transaction: MS_EBUSY. MS_EARGUMENT, MS_ELIMIT (name), and statuses as of writing. */
MS_API MS_CHECKED ms_status ms_lease_new(ms_share *share, const char *name, size_t length,
                                         ms_lease **out, ms_error *error);
MS_API ms_lease_state ms_lease_get_state(const ms_lease *lease);
/* Has the host answered: held, gone, or in the queue behind somebody else? */
MS_API bool ms_lease_is_decided(const ms_lease *lease);
/* 0 unless it is held. */
MS_API uint64_t ms_lease_fence(const ms_lease *lease);
/* Borrowed from the lease; length may be NULL. */
MS_API const char *ms_lease_name(const ms_lease *lease, size_t *length);
/* Poll until it is held. Negative: without end. MS_ETIMEDOUT (it waits on), MS_EBUSY (inside a callback or
 * batch), MS_EDENIED (lost), MS_ECLOSED (given back, or the share was closed), or why it was refused. */
MS_API MS_CHECKED ms_status ms_lease_wait(ms_lease *lease, int timeout_ms,
                                          ms_error *error);
/* Give it back, or stop waiting; the lease stays, MS_LEASE_GONE. Nothing happens the second time. MS_EBUSY
 * (queue full, batch open), MS_ENOMEM: it is as before. */
MS_API MS_CHECKED ms_status ms_lease_return(ms_lease *lease, ms_error *error);
/* Gives it back if need be, at the next poll where that does not work at once. Legal after the share and its
 * runtime are gone. Accepts NULL. */
MS_API void ms_lease_free(ms_lease *lease);
/* Does the view show that somebody holds it, but for this peer where it has given it back since? */
MS_API bool ms_share_is_locked(const ms_share *share, const char *name, size_t length);

/* ----- hearing of changes. Callbacks run inside polls, on the owner; they may write, not poll. */

typedef enum ms_change_kind {
  MS_CHANGE_SET,
  MS_CHANGE_REMOVE,
  MS_CHANGE_ROLLBACK,
  MS_CHANGE_JOIN
} ms_change_kind;
MS_API const char *
ms_change_kind_name(ms_change_kind kind); /* "set" "remove" "rollback" "join" */

/* One change of the view at one path. Borrowed for the callback; retain what you keep. */
typedef struct ms_change {
  size_t bytes;
  const ms_path *path;
  const ms_value *new_value; /* NULL: it is gone */
  const ms_value *old_value; /* NULL: it is new */
  /* For every key of path: true when it is an index of an array. */
  const bool *is_index;
  ms_change_kind kind;
  uint64_t origin;  /* the writer */
  uint64_t version; /* 0 for own patches that are not settled */
  int64_t wall_ms;  /* the patch's wall time */
  bool is_local;    /* an own write */
} ms_change;
typedef void (*ms_change_fn)(void *ud, const ms_change *change);

enum {
  MS_ON_IMMEDIATE = 1, /* also once per match of the present view, at the next poll */
  /* Once a poll for each path that differs at its end, with the value before the first change and
   * the one after the last; after all that is told change by change. */
  MS_ON_COALESCE = 2
};
/*
 * Call fn for each change of the view at paths that match the pattern (ms_path_parse_pattern, or any
 * path: literal). A pattern matches a path at which the value changed: a change below an exact path
 * reports that path, `players.*` reports each player that changed in any part, `**` below `a`
 * reports each changed leaf (a scalar or empty container that came, went or changed).
 * MS_EARGUMENT: other flags than these, no pattern or no function.
 */
MS_API MS_CHECKED ms_status ms_share_on(ms_share *share, const ms_path *pattern,
                                        unsigned flags, ms_change_fn fn, void *ud,
                                        ms_sub **out);
/* Ends it and frees it; fn is not called any more, not even in the dispatch that is under way. Legal
 * in callbacks, its own included. Subscriptions end with their share. Accepts NULL. */
MS_API void ms_sub_close(ms_sub *sub);

/* One accepted patch, or several that are told as one. Borrowed for the callback. */
typedef struct ms_patch {
  size_t bytes;
  uint64_t version; /* of the patch; the last one of those that merged */
  uint64_t origin;  /* the writer; 0: merged */
  int64_t wall_ms;  /* the patch's wall time; 0: merged */
  /* What it wrote, in its order: a $rename gives both ends, an operation on elements by
   * position their array, a replaced document the empty path. */
  const ms_path *const *paths;
  size_t path_count; /* 0: merged, or it wrote nothing */
  bool is_local;     /* an own patch; false: merged */
  bool is_merged;    /* a backlog, or the document as a whole after a (re)join */
} ms_patch;
typedef void (*ms_patch_fn)(void *ud, const ms_patch *patch);
/*
 * Call fn once for each accepted patch, own ones included, in the order of their versions and once the
 * view shows it; changes of the view that it makes are told before. MS_EARGUMENT (no fn), MS_ENOMEM,
 * MS_EWRONGTHREAD, MS_ECLOSED.
 */
MS_API MS_CHECKED ms_status ms_share_on_patch(ms_share *share, ms_patch_fn fn, void *ud,
                                              ms_sub **out);

/* A peer came, or is gone for good. The peer is borrowed for the callback. */
typedef enum ms_peer_event { MS_PEER_JOIN, MS_PEER_LEAVE } ms_peer_event;
typedef void (*ms_peer_event_fn)(void *ud, ms_peer_event event, const ms_peer *peer);
/*
 * Call fn when peers join and leave, in order with changes and patches; after a backlog or a snapshot for
 * the differences. Who is there at the subscription is in ms_share_peers(); before the start that is
 * nobody, and this peer joins, too. MS_EARGUMENT (no fn), MS_ENOMEM, MS_EWRONGTHREAD, MS_ECLOSED.
 */
MS_API MS_CHECKED ms_status ms_share_on_peer(ms_share *share, ms_peer_event_fn fn,
                                             void *ud, ms_sub **out);

/* Rejected and unknown patches. While nobody listens they are logged as warnings. */
typedef void (*ms_reject_fn)(void *ud, const ms_rejection *rejection);
MS_API MS_CHECKED ms_status ms_share_on_reject(ms_share *share, ms_reject_fn fn, void *ud,
                                               ms_sub **out);
/* Changes of state, term or host. */
typedef void (*ms_state_fn)(void *ud, const ms_share_info *info);
MS_API MS_CHECKED ms_status ms_share_on_state(ms_share *share, ms_state_fn fn, void *ud,
                                              ms_sub **out);

/*
 * ----- rules: what documents have to be. Both are replicated and outlive the host, which checks each patch
 * before it commits: MS_EDENIED with the place and the rule, to its writer. Setting them is a patch, refused where the
 * document does not fit. Receipts and statuses as of writing.
 */

/*
 * A schema, an object: patterns (of ms_share_on; "" is the document) with what the values at their places have to be
 * where something is: an object with any of
 *   type                    a name or an array of them: null boolean integer float number string array object
 *   min, max                of numbers
 *   min_length, max_length  of a string in bytes, of a container in items
 *   required, keys          arrays of keys: those an object has to have, and those it may have
 *   enum                    an array of values, one of which it equals
 * schema: borrowed; NULL: none any more. MS_EARGUMENT, MS_EPATH: it is none; MS_ELIMIT: more than 1024 patterns.
 */
MS_API MS_CHECKED ms_status ms_share_set_schema(ms_share *share, const ms_value *schema,
                                                ms_receipt **receipt, ms_error *error);
/*
 * A text for the hosts' ms_validator, at most 1 MiB (MS_ELIMIT); NULL: none any more. Peers without a validator do not
 * become host while there is one; a host without refuses it, MS_EDENIED. In the Lua binding it is a Lua chunk.
 */
MS_API MS_CHECKED ms_status ms_share_set_rules(ms_share *share, const char *source,
                                               size_t length, ms_receipt **receipt,
                                               ms_error *error);

/* For validators: patterns with functions, which hear of what an attempt changes as subscriptions do of changes, in
 * the order of their making. path, values, is_index, kind, origin and wall_ms of ms_change are set. */
typedef struct ms_rules ms_rules;
MS_API MS_CHECKED ms_status ms_rules_new(const ms_alloc *alloc, ms_rules **out);
/* MS_EARGUMENT, MS_ENOMEM. */
MS_API MS_CHECKED ms_status ms_rules_add(ms_rules *rules, const ms_path *pattern,
                                         ms_change_fn fn, void *ud);
/* MS_ENOMEM: not all were called. */
MS_API MS_CHECKED ms_status ms_rules_run(ms_rules *rules, const ms_attempt *attempt);
MS_API void ms_rules_free(ms_rules *rules); /* accepts NULL */

/*
 * ----- messages: events for all, calls between two. They go through the host like patches, in one order with
 * them, and a poll tells them at their place in that order: after the changes of what was accepted before,
 * before those of what comes later.
 */

/* Something happened. It is told once to each peer that is connected, this one included. */
typedef struct ms_event {
  size_t bytes; /* sizeof(ms_event) of the library */
  const char *
      name; /* borrowed for the callback, as `value` is; the NUL behind it is not counted */
  size_t name_length;
  const ms_value *value;
  uint64_t origin; /* who emitted it */
  uint64_t version;
  int64_t wall_ms;
  bool is_local;
} ms_event;
typedef void (*ms_event_fn)(void *ud, const ms_event *event);

/*
 * Tell all peers. name: 1 to MS_KEY_MAX bytes; value: borrowed, NULL: null. In a batch it is part of the batch's
 * patch. Statuses and receipt as of writing. What a peer that does not poll has not heard is kept for it up to 16 MiB;
 * beyond, some of it is lost to that peer, and counted (ms_share_info.events_lost).
 */
MS_API MS_CHECKED ms_status ms_share_emit(ms_share *share, const char *name,
                                          size_t length, const ms_value *value,
                                          ms_receipt **receipt, ms_error *error);
/* Call fn for each event of that name (NULL: of any). MS_EARGUMENT (no fn, an empty name), MS_ELIMIT (more than
 * MS_KEY_MAX bytes), MS_ENOMEM, MS_EWRONGTHREAD, MS_ECLOSED. */
MS_API MS_CHECKED ms_status ms_share_on_event(ms_share *share, const char *name,
                                              size_t length, ms_event_fn fn, void *ud,
                                              ms_sub **out);

/* A call that came in; it is answered once, at once or later. */
typedef struct ms_call ms_call;
/* The call is borrowed for the callback: retain it to answer later. */
typedef void (*ms_handler_fn)(void *ud, ms_call *call);
/*
 * Answer calls of that name (1 to MS_KEY_MAX bytes) until the subscription is closed. All peers know who does,
 * also after this peer had to join anew; before the start of the share it waits for that. MS_EBUSY (this share has
 * one of that name), MS_EREADONLY, MS_EARGUMENT, MS_ELIMIT, MS_ENOMEM, MS_EWRONGTHREAD, MS_ECLOSED.
 */
MS_API MS_CHECKED ms_status ms_share_handle(ms_share *share, const char *name,
                                            size_t length, ms_handler_fn fn, void *ud,
                                            ms_sub **out);
MS_API const char *ms_call_name(const ms_call *call, size_t *length); /* borrowed */
MS_API const ms_value *ms_call_value(const ms_call *call);            /* borrowed */
MS_API uint64_t ms_call_origin(const ms_call *call);                  /* who called */
/*
 * The answer; value: borrowed, NULL: null. fail: why there is none; `code` is a word for programs such as
 * "EARGUMENT", message a text for people, NULL: empty. MS_EARGUMENT (answered already), MS_ECLOSED (the share is
 * closed, or had to join anew: nobody waits any more), MS_EBUSY (queue full: once more, later), and as of writing.
 */
MS_API MS_CHECKED ms_status ms_call_reply(ms_call *call, const ms_value *value,
                                          ms_error *error);
MS_API MS_CHECKED ms_status ms_call_fail(ms_call *call, const char *code,
                                         const char *message, ms_error *error);
MS_API ms_call *ms_call_retain(ms_call *call);
/* The last one fails a call that is not answered, "ECLOSED". Legal after the share is gone. Accepts NULL. */
MS_API void ms_call_release(ms_call *call);

#define MS_CALL_ANY UINT64_C(0) /* one of those who handle it, in turn */
#define MS_CALL_HOST UINT64_MAX /* the host of the moment */

/* What became of a call of this peer. */
typedef struct ms_reply {
  size_t bytes; /* sizeof(ms_reply) of the library */
  /* MS_OK: value is the answer. MS_ENOENT: nobody handles it there, or there is no such peer. MS_ETIMEDOUT.
   * MS_ENOHOST: the peer was gone before it answered, or this peer lost its group; whether it was handled is
   * unknown. MS_ECLOSED: the share was closed, or the handler let go of the call. Others: the handler failed it; a
   * word that is no status is MS_EARGUMENT. */
  ms_status status;
  const ms_value
      *value;       /* borrowed for the callback, as all of it is; NULL unless MS_OK */
  const char *code; /* the name of the status, or the word that the handler gave */
  const char *message;
  uint64_t peer; /* who was asked */
} ms_reply;
typedef void (*ms_reply_fn)(void *ud, const ms_reply *reply);
/*
 * Ask a peer: its id, MS_CALL_ANY or MS_CALL_HOST; by that name, with a value (borrowed; NULL: null). Does not wait:
 * where this returns MS_OK fn is called exactly once, in a poll or when the share is closed. timeout_ms: negative:
 * as long as both live. MS_ENOENT (MS_CALL_ANY: nobody handles it), MS_ENOHOST, MS_EBUSY (queue full, batch
 * open), and as of writing.
 */
MS_API MS_CHECKED ms_status ms_share_call(ms_share *share, uint64_t to, const char *name,
                                          size_t length, const ms_value *value,
                                          int timeout_ms, ms_reply_fn fn, void *ud,
                                          ms_error *error);

/* ----- what is there: shares in a directory (NULL: as in ms_share_config) */

typedef struct ms_listing {
  const char *name; /* borrowed for the call */
  uint64_t group, term;
  bool alive; /* a complete peer lives; false: left over by a group that died */
} ms_listing;
typedef void (*ms_listing_fn)(void *ud, const ms_listing *listing);
/* MS_ENOENT (no directory), MS_EDENIED. Thread: any. */
MS_API MS_CHECKED ms_status ms_list(const char *dir, ms_listing_fn fn, void *ud,
                                    ms_error *error);

#ifdef __cplusplus
}
#endif
#endif
