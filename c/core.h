/*
 * Inside the Lua module memshare.core.
 *
 * Lua errors never cross the library. A binding function checks its arguments, pushes
 * the userdata that will own what the library gives, calls the library, releases what C
 * locals hold, and only then raises or returns. Reading Lua values (msl_read_*) calls
 * nothing in Lua that allocates or runs Lua code, so it may hold values in C locals; it
 * reports failure as a status with a message.
 *
 * A caller's mistake raises at the caller's line, the message ending in " (ECODE)";
 * what the world does returns nil, message, code.
 */
#ifndef MSL_CORE_H
#define MSL_CORE_H

#include "memshare_lua.h"

#include <lauxlib.h>
#include <lua.h>

#include <string.h>

#if LUA_VERSION_NUM != 504
#error "memshare needs Lua 5.4"
#endif

typedef struct msl_share msl_share;

/* --------------------------------------------------- state.c: one per Lua state */

typedef struct msl_log msl_log;

/* A share whose Lua object is gone while patches are unsettled: it leaves when they are
 * settled. */
typedef struct msl_leaving {
  struct msl_leaving *next;
  ms_share *share;
} msl_leaving;

/* A path that was assigned to lately; both are retained. */
typedef struct msl_joined {
  ms_path *parent, *path;
} msl_joined;
enum { MSL_JOINED_LOG = 6, MSL_JOINED = 1 << MSL_JOINED_LOG };
enum { MSL_READS_LOG = 13, MSL_READS = 1 << MSL_READS_LOG };

typedef struct msl_state {
  ms_runtime *runtime; /* NULL until the first share */
  bool ended;          /* __gc ran: finalizers of the script may still call */
  bool owns_runtime;   /* false: the program's, learned from ms_lua_push */
  int calling;         /* callbacks under way: poll and its kin raise */
  lua_State *callback; /* the thread callbacks run on; anchored, empty between them */
  msl_leaving *leaving;
  msl_log *log;    /* lines of the library, which arrive on any thread */
  int open_shares; /* objects that are open */
  bool running;    /* inside memshare.run() */
  bool stopping;   /* memshare.stop() was called in it */
  int timer_count; /* timers that are armed */
  int task_count;  /* tasks that are not over: see task.c */
  struct msl_task *waiting, *ready, **ready_end;
  ms_round *round; /* tells when to look at them; NULL: there were none yet */
  const void *
      array_mark; /* addresses of the metatables of memshare.array{}, memshare.object{} */
  const void *object_mark; /* and of proxies */
  const void *proxy_mark;
  lua_CFunction shifters[4]; /* table.insert, remove, sort, move: see proxy.c */
  lua_State *janitor;      /* the thread that takes caches back, anchored: see cache.c */
  unsigned cached_proxies; /* that have a cache */
  size_t cached_entries;
  unsigned cache_refusals;
  int spare_count;          /* metatables to use again */
  unsigned reads_left;      /* until the counts of reads begin anew */
  uint8_t reads[MSL_READS]; /* how often keys were read, by their hash */
  msl_joined joined[MSL_JOINED];
} msl_state;

/* Registers all types in this Lua state the first time. May raise. */
msl_state *msl_open(lua_State *L);
/* Pushes nothing. The state must have been opened. */
msl_state *msl_get_state(lua_State *L);
/* The runtime, opened when there is none yet. Does not raise. */
ms_status msl_need_runtime(lua_State *L, msl_state *state, ms_error *error);

/* Run a C function with one light userdata on the callback thread, protected. Cannot
 * raise. */
void msl_enter_lua(msl_state *state, lua_CFunction function, void *argument);
/* Reports the error on top of the stack, a text, and drops it. What reporting raises is lost. */
void msl_contain_error(lua_State *L);
/* Call the function below `nargs` arguments, protected; drops its results. Its error goes
 * to memshare.on_error. Needs two free stack slots. Cannot raise. */
void msl_call_contained(lua_State *L, msl_state *state, int nargs);
/* Pushes the field of the module `memshare`; nil when it was never required. */
void msl_push_module_field(lua_State *L, const char *name);
/* What waited for the library to return: log lines, shares that leave. Runs Lua. */
void msl_after_poll(lua_State *L, msl_state *state);
/* Hand over a share whose object is gone. `node` is taken. */
void msl_leave_later(msl_state *state, msl_leaving *node);

/* Raises EBUSY inside a callback: nothing polls there. */
void msl_check_may_poll(lua_State *L, const msl_state *state, const char *name);
/* poll(timeout, budget) with arguments at `index` and the next: pushes whether work is
 * left. */
int msl_poll(lua_State *L, msl_state *state, ms_runtime *runtime, int index);
/* Objects that stay alive without a reference of the script: subscriptions, timers. The
 * object on top of the stack, by its address. */
void msl_anchor(lua_State *L, const void *address);
void msl_release_anchor(lua_State *L, const void *address);
/* Pushes it, or nil. */
void msl_push_anchored(lua_State *L, const void *address);

/* Adds functions to the module on top of the stack. */
void msl_register_state(lua_State *L);

/* ------------------------------------------------------------------- timer.c */

int64_t msl_clock_ns(void);
void msl_open_timer(lua_State *L, msl_state *state);
void msl_register_timer(lua_State *L);

/* -------------------------------------------------------------------- task.c */

typedef struct msl_task msl_task;
/* May the caller, a C function, yield because L is a task? Then msl_yield_until does. */
bool msl_in_task(lua_State *L, const msl_state *state);
/*
 * In a task: `return msl_yield_until(...)` from a C function. Its continuation `go_on` is called once
 * is_done(subject) or the time is up (timeout_ms negative: never), whichever it then finds. is_done is
 * asked after each round of a poll and must not touch Lua; NULL: only time ends it. The userdata that
 * holds the subject stands on the stack, which is as it was when the continuation is called.
 */
int msl_yield_until(lua_State *L, msl_state *state, ms_done_fn is_done, void *subject,
                    int timeout_ms, lua_KContext context, lua_KFunction go_on);
void msl_open_task(lua_State *L, msl_state *state);
void msl_register_task(lua_State *L);

/* --------------------------------------------------------------------- log.c */

msl_log *msl_log_new(void); /* NULL: no memory */
void msl_log_free(msl_log *log);
void msl_log_write(void *ud, ms_log_level level, const char *line); /* an ms_log_fn */
/* Whom a line wakes. */
void msl_log_set_runtime(msl_log *log, ms_runtime *runtime);
/* Takes the oldest line; false when there is none. */
bool msl_log_read(msl_log *log, ms_log_level *level, char *line, size_t bytes);

/* ------------------------------------------------------------------- error.c */

/* Raises "position: message (ECODE)". */
int msl_raise(lua_State *L, ms_status status, const char *format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));
int msl_raise_error(lua_State *L, const ms_error *error) __attribute__((noreturn));
/* Pushes nil, message, code; returns 3. */
int msl_push_failure(lua_State *L, const ms_error *error);
/* Fills an error; returns the status. */
ms_status msl_fail(ms_error *error, ms_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* An error for a status of a function that gives no message. */
ms_status msl_fail_plain(ms_error *error, ms_status status);
/* True for what is the caller's fault whatever the document and the group are doing. */
bool msl_is_mistake(ms_status status);
/* `status` with the message that the library gave, or a plain one when it gave none. */
ms_status msl_finish(ms_error *error, ms_status status);

/* Raise EARGUMENT: "name: expected, got type". */
int msl_raise_type(lua_State *L, int index, const char *name, const char *expected)
    __attribute__((noreturn));
const char *msl_check_string(lua_State *L, int index, const char *name, size_t *length);
void msl_check_function(lua_State *L, int index, const char *name);
/* Seconds to milliseconds, rounded up; -1 for math.huge. nil gives `none`. */
int msl_check_seconds(lua_State *L, int index, const char *name, int none);

/* ----------------------------------------------------------------- options.c */

typedef enum msl_option_kind {
  MSL_OPTION_BOOL,    /* bool */
  MSL_OPTION_NOT,     /* bool, stored inverted */
  MSL_OPTION_SECONDS, /* int, milliseconds */
  MSL_OPTION_BYTES,   /* uint64_t */
  MSL_OPTION_COUNT,   /* size_t, at least 1 */
  MSL_OPTION_NATURAL, /* size_t */
  MSL_OPTION_STRING,  /* const char *, borrowed from the table */
  MSL_OPTION_TABLE,   /* bool: there is one */
  MSL_OPTION_TTL      /* int64_t, milliseconds; 0 for math.huge */
} msl_option_kind;
typedef struct msl_option {
  const char *name;
  msl_option_kind kind;
  size_t offset; /* in the struct that msl_check_options fills */
} msl_option;
/* Reads a table of options (or nothing) into a struct. Raises EARGUMENT with the option's
 * name. `options` ends with a NULL name. */
void msl_check_options(lua_State *L, int index, const msl_option *options, void *target);
/* The options of an update, array_filters and where. Pushes the two userdata that hold what
 * `out` borrows. */
void msl_check_update_options(lua_State *L, int index, ms_update_options *out);

/* ------------------------------------------------------ convert.c: Lua <-> values */

/* Where a value being read stands, for messages: `path` (may be NULL), then `key` (may be
 * NULL). */
typedef struct msl_where {
  const ms_path *path;
  const char *key;
  size_t key_length;
} msl_where;

/* A value with places for the time of the patch that will write it. */
typedef struct msl_content {
  const ms_value *value; /* retained; 0 stands where memshare.timestamp() stood */
  /* Retained: an array of the places, each an array of keys: strings, and integers for
   * indexes. NULL: none. */
  const ms_value *stamps;
} msl_content;

/* The value at `index`; `*out` is retained. Refuses proxies, operators, functions,
 * cycles. */
ms_status msl_read_value(lua_State *L, int index, const msl_where *where,
                         const ms_value **out, ms_error *error);
/* As above; memshare.timestamp() may stand for any value in it. */
ms_status msl_read_content(lua_State *L, int index, const msl_where *where,
                           msl_content *out, ms_error *error);
/* As msl_read_value; a proxy reads as what it shows now. */
ms_status msl_read_any(lua_State *L, int index, const msl_where *where,
                       const ms_value **out, ms_error *error);
/* As msl_read_any, for an update document: says what to write instead of an operator. */
ms_status msl_read_update(lua_State *L, int index, const ms_value **out, ms_error *error);
/* True for null, booleans, numbers and strings. */
bool msl_is_scalar(const ms_value *value);
/* Pushes a scalar; `value` may be borrowed from the view. */
void msl_push_scalar(lua_State *L, const ms_value *value);
/* Pushes a plain Lua copy. `value` must be held by a userdata: this may raise and run
 * finalizers. */
void msl_push_copy(lua_State *L, const ms_value *value);
/* Pushes a 64-bit id in hexadecimal, as keys of the document have it; nil for 0. */
void msl_push_id(lua_State *L, uint64_t id);
void msl_push_text(lua_State *L, const ms_path *path);

/* A userdata that owns a value and a path; __gc releases them. */
typedef struct msl_hold {
  const ms_value *value;
  ms_path *path;
} msl_hold;
msl_hold *msl_push_hold(lua_State *L);

/* values.c: copy, count, array, object, type, equal, to_json, from_json, apply */
void msl_register_values(lua_State *L);
void msl_open_values(lua_State *L, msl_state *state);

/* -------------------------------------------------------------------- keys.c */

/*
 * A path argument: dotted text (MongoDB's: indexes from 0) or a list of keys (Lua's:
 * indexes from 1). An integer in a list is an index where `root` has an array, and a
 * key elsewhere. `*out` is retained.
 */
ms_status msl_read_path(lua_State *L, int index, const ms_value *root, ms_path **out,
                        ms_error *error);
/* How often a key list holds an integer; 0 for text. */
int msl_count_integers(lua_State *L, int index);
/* A key list where bit i of `indexes` tells whether the i-th integer is an index. */
ms_status msl_read_keys(lua_State *L, int index, unsigned indexes, ms_path **out,
                        ms_error *error);

/* ms_path_join, which knows what it has made lately: the same path is the same object, and the library
 * compiles an assignment to it faster. */
ms_status msl_join_path(msl_state *state, ms_path *parent, const char *key, size_t length,
                        ms_path **out, ms_error *error);
void msl_forget_joined(msl_state *state);

enum { MSL_NUMBER_BYTES = 24 }; /* of a 64-bit integer as decimal text, NUL included */
size_t msl_print_integer(int64_t number, char *buffer);
/* The number that a key spells when it is a decimal without leading zeros, else -1. */
int64_t msl_parse_index(const char *key, size_t length);

/* ------------------------------------------------------------------- share.c */

struct msl_share {
  /* NULL while it is being made and after __gc: finalizers of the script may come later.
   * A closed share keeps it, for its receipts. */
  ms_share *share;
  msl_state *state;
  ms_runtime *runtime;  /* that drives it */
  int opens;            /* how often it was opened and not closed; 0: closed */
  bool foreign;         /* from ms_lua_push: only the handle is ours */
  int timeout_ms;       /* the option `timeout`, the default of all waits */
  const ms_value *last; /* retained once closed: what reads show */
  msl_leaving *leaving; /* made with the object, so that __gc needs no memory */
  bool in_batch;
  bool in_transaction;
  bool is_draft;         /* of a transaction: its proxies have no caches */
  bool is_unnoted;       /* draft: a read was not noted for want of memory */
  uint32_t draft_round;  /* draft: runs of the function so far */
  ms_transaction *draft; /* draft: of this run; NULL between them and afterwards */
  struct msl_sub *subs;  /* the open ones */

  ms_view_watch watch;     /* set while there are cached proxies */
  unsigned cached_proxies; /* see cache.c */
  size_t cached_entries;
  int64_t cached_since_ns;
  uint32_t cache_epoch; /* counts how often all went */
  uint8_t patience;     /* reads of a key before it is cached */
  bool is_assigning, has_assigned;
};
/* User values: the root proxy, the receipt of the open batch. */
enum { MSL_SHARE_DATA = 1, MSL_SHARE_BATCH, MSL_SHARE_SLOTS = MSL_SHARE_BATCH };

extern const char msl_share_type[];
/* Shares without a reference stay open while a timer or memshare.run() may need them. */
void msl_keep_shares(lua_State *L, const msl_state *state);
msl_share *msl_check_share(lua_State *L, int index);
/* As above; raises ECLOSED. */
msl_share *msl_check_open_share(lua_State *L, int index);
/* Changes whenever the root does. */
uint64_t msl_share_number(const msl_share *self);
/* The view, borrowed until the next call that polls or writes; NULL before it is
 * complete. */
const ms_value *msl_share_root(msl_share *self);
/* Pushes what is at a path: a scalar, the live proxy, or nil. `value` may be borrowed
 * from the view, `path` must be held by a userdata or for the callback. */
void msl_push_at(lua_State *L, int share_index, const ms_path *path,
                 const ms_value *value);
void msl_push_share_info(lua_State *L, const ms_share_info *info);

/* await.c */
int msl_share_wait_for(lua_State *L); /* share:wait_for(path, predicate, timeout) */

/* roster.c */
int msl_share_peers(lua_State *L); /* share:peers() */
/* Pushes a table of what is known of a peer; see share:peers(). */
void msl_push_peer(lua_State *L, const ms_peer *peer);
void msl_register_roster(lua_State *L);

void msl_open_share(lua_State *L, msl_state *state);
void msl_register_share(lua_State *L);

/* write.c: the methods that write, memshare.insert and memshare.remove */
extern const luaL_Reg msl_write_methods[];
/* Pushes the receipt of a write to the share at `index`: where the library's goes, NULL in a batch. */
ms_receipt **msl_push_write_receipt(lua_State *L, int index);
void msl_register_write(lua_State *L);

/* ------------------------------------------------------------------- proxy.c */

void msl_open_proxy(lua_State *L, msl_state *state);
/* Pushes the proxy of the whole document. */
void msl_push_root_proxy(lua_State *L, int share_index);
/* Pushes the proxy of a path, making those above it. */
void msl_push_proxy(lua_State *L, int share_index, const ms_path *path);
/* Pushes a read-only copy: a table that shows `value` (retained) for good. */
void msl_push_snapshot(lua_State *L, const ms_value *value);
/* Is there a proxy or read-only copy at `index`? Then *value is what it shows (borrowed,
 * NULL when nothing) and *path its path (borrowed; NULL: a read-only copy). Cannot raise.
 * Needs one slot. */
bool msl_test_proxy(lua_State *L, int index, const ms_value **value,
                    const ms_path **path);
/* Pushes the share of the proxy at `index`, which is no read-only copy. */
msl_share *msl_push_proxy_share(lua_State *L, int index);
int msl_proxy_index(lua_State *L); /* __index(proxy, key) */

/* ------------------------------------------------------------------- cache.c */

/* The common metatable of proxies is on top of the stack. */
void msl_open_cache(lua_State *L, msl_state *state);
void msl_cache_open_share(msl_share *share);
/* All caches of a share go. Cannot raise. */
void msl_cache_clear(msl_share *share);
/* The cache of the place with this flag goes, if it has one. Cannot raise. */
void msl_cache_drop(msl_share *share, bool *used);
/* Is the metatable on top of the stack that of proxies, or a proxy's own? */
bool msl_is_proxy_metatable(lua_State *L, const msl_state *state);
/* Counts a read of a key of a place: was it read often enough to be cached? */
static inline bool msl_cache_wants(msl_share *share, const void *place, uint64_t key) {
  msl_state *state = share->state;
  if (state->reads_left-- == 0) {
    memset(state->reads, 0, sizeof(state->reads));
    state->reads_left = MSL_READS;
  }
  uint64_t hash = ((uintptr_t)place ^ share->cache_epoch) * UINT64_C(0x9e3779b97f4a7c15);
  hash = (hash ^ key) * UINT64_C(0xd6e8feb86659fd93);
  uint8_t *count = &state->reads[hash >> (64 - MSL_READS_LOG)];
  if (*count < UINT8_MAX) ++*count;
  return *count >= share->patience && !share->is_draft;
}
/* Caches what is on top of the stack for the proxy at 1 and the key at 2. `used` is the flag
 * of its place, `number` that of the view the value is from. */
void msl_cache_put(lua_State *L, msl_share *share, bool *used, uint64_t number);
/* An assignment of the value at 3 to the key at 2 of the proxy at 1 begins: pushes two values, for
 * msl_cache_assigned. True: a scalar surely stands there, unless Lua runs before the write. */
bool msl_cache_prepare(lua_State *L, bool has_cache);
/* Around the write, with no call of Lua in between. is_narrow: nothing or a scalar was there.
 * is_known: the value shows as it was assigned. `prepared` is the first of the two. Does
 * not raise. */
static inline void msl_cache_assigning(msl_share *share) {
  share->has_assigned = false;
  share->is_assigning = true;
}
void msl_cache_assigned(lua_State *L, msl_share *share, int prepared, bool is_narrow,
                        bool is_known);

/* ---------------------------------------------------------------- operator.c */

typedef struct msl_operator {
  ms_operator op;
  msl_content operand; /* value NULL: the operator has none */
} msl_operator;
const msl_operator *msl_test_operator(lua_State *L, int index); /* NULL: something else */
/* "inc"; static. */
const char *msl_operator_name(ms_operator op);
/* What is written at `index`: a value leaves *op alone, an operator gives itself and its
 * operand. Release it with msl_content_fini, also after a failure. */
ms_status msl_read_assigned(lua_State *L, int index, const msl_where *where,
                            ms_operator *op, msl_content *out, ms_error *error);
/* An element of a list: no operator but memshare.timestamp(). `place` ends the message. */
ms_status msl_read_element(lua_State *L, int index, const msl_where *where,
                           const char *place, msl_content *out, ms_error *error);
void msl_content_fini(msl_content *content);
/* Puts `time` at all places. */
ms_status msl_stamp(msl_content *content, const ms_value *time);
/* The same with the wall time of the next write of `share`, which goes to *wall_ms; leaves
 * it alone when there are no places. */
ms_status msl_stamp_now(msl_content *content, const ms_share *share, int64_t *wall_ms);
void msl_open_operator(lua_State *L, msl_state *state);
void msl_register_operator(lua_State *L);

/* ----------------------------------------------------------------- receipt.c */

typedef struct msl_receipt {
  ms_receipt *receipt; /* NULL: of a batch that is open, or was empty, or was discarded */
  bool is_open;        /* its batch is */
  bool is_discarded;
} msl_receipt;
enum { MSL_RECEIPT_SHARE = 1, MSL_RECEIPT_SLOTS = 1 };
msl_receipt *msl_push_receipt(lua_State *L, int share_index);
void msl_open_receipt(lua_State *L, msl_state *state);
/* Pushes a table of what a rejection says. */
void msl_push_rejection(lua_State *L, const ms_rejection *rejection);

/* ------------------------------------------------------------------- batch.c */

int msl_share_batch(lua_State *L); /* share:batch(fn, ...) */
void msl_open_batch(lua_State *L, msl_state *state);

/* ------------------------------------------------------------- transaction.c */

int msl_share_transaction(lua_State *L); /* share:transaction(fn, options) */
void msl_open_transaction(lua_State *L);
/* To the share, or to the draft that `share` is. */
ms_status msl_share_write(msl_share *share, const ms_write *write, ms_receipt **receipt,
                          ms_error *error);
/* Where `share` is a draft: the key at `key_index` was looked for in `container` (NULL:
 * nothing), which is at `path`. Raises ECLOSED when the transaction is over. */
void msl_note_lookup(lua_State *L, msl_share *share, const ms_path *path,
                     const ms_value *container, int key_index);
/* Where `share` (NULL: none) is a draft: all that is at `path` was read. Raises likewise. */
void msl_note_container(lua_State *L, msl_share *share, const ms_path *path);
/* The same, and cannot raise. */
void msl_note_whole(msl_share *share, const ms_path *path);

/* ------------------------------------------------------------------- lease.c */

int msl_share_lock(lua_State *L);     /* share:lock(name, options) */
int msl_share_try_lock(lua_State *L); /* share:try_lock(name) */
void msl_open_lease(lua_State *L);

/* ----------------------------------------------------------------- message.c */

int msl_share_emit(lua_State *L);     /* share:emit(event, ...) */
int msl_share_on_event(lua_State *L); /* share:on_event(event, fn) */
int msl_share_handle(lua_State *L);   /* share:handle(name, fn) */
int msl_share_call(lua_State *L);     /* share:call(name, args, options) */
void msl_open_message(lua_State *L);

/* ------------------------------------------------------------------ access.c */

int msl_share_grant(lua_State *L);       /* share:grant(role, pattern) */
int msl_share_revoke(lua_State *L);      /* share:revoke(role, pattern) */
int msl_share_max_writers(lua_State *L); /* share:max_writers(count) */
int msl_share_rules(lua_State *L);       /* share:rules(source) */
int msl_share_schema(lua_State *L);      /* share:schema(schema) */

/* ---------------------------------------------------------------- presence.c */

int msl_share_ephemeral(lua_State *L); /* share:ephemeral(path) */
int msl_share_expire(lua_State *L);    /* share:expire(path, seconds) */
/* Pushes the proxy of this peer's own place, that of the share at 1; nil before it has one. */
void msl_push_me(lua_State *L, msl_share *share);
/* Pushes what is at the place of a peer; nil where nothing is. */
void msl_push_peer_place(lua_State *L, msl_share *share, int share_index, uint64_t peer);

/* --------------------------------------------------------------------- sub.c */

int msl_share_on(lua_State *L);        /* share:on(path, fn, options) */
int msl_share_once(lua_State *L);      /* share:once(path, fn, options) */
int msl_share_on_patch(lua_State *L);  /* share:on_patch(fn) */
int msl_share_on_peer(lua_State *L);   /* share:on_peer(fn) */
int msl_share_on_reject(lua_State *L); /* share:on_reject(fn) */
int msl_share_on_status(lua_State *L); /* share:on_status(fn) */
/* Ends all subscriptions of a share. Cannot raise. */
typedef struct msl_sub msl_sub;
void msl_close_subs(lua_State *L, msl_share *share);
/* Pushes a subscription of the share at 1 with the function at `index`; *out: where the library's goes. */
msl_sub *msl_push_sub(lua_State *L, msl_share *share, int index, ms_sub ***out);
/* Ends one that listens to nothing yet. */
void msl_drop_sub(lua_State *L, msl_sub *self);
/* Pushes the subscription, its share and its function; false when it is closed. */
bool msl_push_listener(lua_State *L, const msl_sub *sub);
msl_share *msl_sub_share(const msl_sub *sub);
/*
 * A watch: a subscription of the share at 1 to the path at 2, without wildcards, that calls nothing and
 * remembers that something changed. Pushes it, to be closed with the function that is running.
 */
msl_sub *msl_push_watch(lua_State *L, msl_share *share);
/* Has anything changed since this was asked last? Also true once its share is closed. */
bool msl_watch_take(msl_sub *watch);
bool msl_watch_is_due(void *watch); /* the same without taking: an ms_done_fn */
void msl_open_sub(lua_State *L, msl_state *state);

/* ------------------------------------------------------------------ signal.c */

void msl_register_signal(lua_State *L);
/* The runtime a caught signal wakes; NULL before it closes. */
void msl_signal_runtime(ms_runtime *runtime);
/* Was a signal caught that nobody has asked for yet? */
bool msl_signal_pending(void);
/* memshare.run() answers a signal by returning; outside the script is interrupted. */
void msl_signal_in_run(bool in_run);

#endif
