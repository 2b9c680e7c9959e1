/*
 * Transactions: share:transaction(fn, options) calls fn with a draft that looks like `data`.
 *
 * The draft is one more object with a msl_share: its proxies read and write as those of
 * `data` do, but find the library's transaction behind it (msl_share_root, msl_share_write)
 * and note what they read. It is made once per call and stands for one run of fn after the
 * other; when the call is over it shows nothing any more.
 *
 * The library calls fn again as long as it is worth it. fn is called protected from inside
 * of the library: its error ends the transaction, and is raised when the library has
 * returned. In the frame of the call:
 *
 *   1 share   2 fn   3 options   4 draft   5 its root proxy   6 receipt   7 run   8 ... results
 *
 * In a task the library is asked step by step, and the task yields in between.
 */
#include "core.h"

#include <limits.h>
#include <string.h>

static const char draft_type[] = "memshare.draft";
static const char run_type[] = "memshare.transaction";

enum { AT_SHARE = 1, AT_FN, AT_OPTIONS, AT_DRAFT, AT_ROOT, AT_RECEIPT, AT_RUN };

/* One call of share:transaction. */
typedef struct run {
  lua_State *L;
  msl_share *share, *draft;
  ms_transact *steps; /* in a task; else NULL */
  bool has_run, has_raised;
} run;

/* ---------------------------------------------------------------- reading */

static void note(msl_share *draft, const ms_path *path, bool whole) {
  const ms_value *value;
  if (draft->draft == NULL) return;
  ms_status status = ms_transaction_read(draft->draft, path, whole, &value);
  if (status == MS_ENOMEM) draft->is_unnoted = true;
}

void msl_note_whole(msl_share *share, const ms_path *path) {
  if (share != NULL && share->is_draft) note(share, path, true);
}

static void check_draft(lua_State *L, const msl_share *draft) {
  if (draft->draft == NULL) msl_raise(L, MS_ECLOSED, "the transaction is over");
}

void msl_note_container(lua_State *L, msl_share *share, const ms_path *path) {
  if (share == NULL || !share->is_draft) return;
  check_draft(L, share);
  note(share, path, true);
}

static void note_key(msl_share *draft, const ms_path *path, const char *key,
                     size_t length) {
  ms_path *joined = NULL;
  ms_error error = {MS_OK, ""};
  ms_status status = ms_path_join(path, key, length, &joined, &error);
  if (status == MS_OK) note(draft, joined, false);
  if (status == MS_ENOMEM) draft->is_unnoted = true;
  ms_path_release(joined);
}

void msl_note_lookup(lua_State *L, msl_share *share, const ms_path *path,
                     const ms_value *container, int key_index) {
  char number[MSL_NUMBER_BYTES];
  int exact = 0;
  if (!share->is_draft) return;
  check_draft(L, share);
  bool is_array = container != NULL && ms_value_type(container) == MS_ARRAY;
  bool is_string = lua_type(L, key_index) == LUA_TSTRING;
  lua_Integer integer =
      lua_type(L, key_index) == LUA_TNUMBER ? lua_tointegerx(L, key_index, &exact) : 0;
  if (container == NULL) {
    note(share, path, true);
  } else if (is_string && !is_array) {
    size_t length;
    const char *key = lua_tolstring(L, key_index, &length);
    note_key(share, path, key, length);
  } else if (exact != 0 && (!is_array || integer >= 1)) {
    size_t length = msl_print_integer(is_array ? integer - 1 : integer, number);
    note_key(share, path, number, length);
  } else {
    note(share, path, false);
  }
}

/* ---------------------------------------------------------------- writing */

ms_status msl_share_write(msl_share *share, const ms_write *write, ms_receipt **receipt,
                          ms_error *error) {
  if (!share->is_draft) return ms_share_write(share->share, write, receipt, error);
  if (share->draft == NULL) {
    return msl_fail(error, MS_ECLOSED, "the transaction is over");
  }
  return ms_transaction_write(share->draft, write, error);
}

/* ------------------------------------------------------------------- runs */

/* Cannot raise. */
static void begin_draft(run *self, ms_transaction *transaction) {
  msl_share *draft = self->draft;
  draft->share = self->share->share;
  draft->draft = transaction;
  draft->draft_round++;
  draft->is_unnoted = false;
  draft->in_batch = true; /* so that memshare.insert finds the receipt */
  draft->opens = 1;
  self->share->in_transaction = true;
}

static void end_draft(run *self) {
  msl_share *draft = self->draft;
  draft->draft = NULL;
  draft->share = NULL;
  draft->opens = 0;
  self->share->in_transaction = false;
}

static ms_status run_fn(void *ud, ms_transaction *transaction, ms_error *error) {
  run *self = ud;
  lua_State *L = self->L;
  lua_settop(L, AT_RUN);
  self->has_run = true;
  begin_draft(self, transaction);
  lua_pushvalue(L, AT_FN);
  lua_pushvalue(L, AT_ROOT);
  self->has_raised = lua_pcall(L, 1, LUA_MULTRET, 0) != LUA_OK;
  bool is_unnoted = self->draft->is_unnoted;
  end_draft(self);
  if (self->has_raised) return msl_fail(error, MS_EARGUMENT, "the function failed");
  if (is_unnoted) return msl_fail_plain(error, MS_ENOMEM);
  return MS_OK;
}

typedef struct transaction_options {
  size_t retries;
  int timeout_ms;
} transaction_options;
static const msl_option option_list[] = {
    {"retries", MSL_OPTION_NATURAL, offsetof(transaction_options, retries)},
    {"timeout", MSL_OPTION_SECONDS, offsetof(transaction_options, timeout_ms)},
    {NULL, MSL_OPTION_BOOL, 0},
};

static void check_options(lua_State *L, const msl_share *share,
                          ms_transaction_options *out) {
  ms_transaction_options_init(out);
  transaction_options given = {out->retries, share->timeout_ms};
  msl_check_options(L, AT_OPTIONS, option_list, &given);
  out->retries = given.retries > UINT_MAX ? UINT_MAX : (unsigned)given.retries;
  out->timeout_ms = given.timeout_ms < 0 ? INT_MAX : given.timeout_ms;
}

/* The draft, its root and the receipt of its writes, at their places. */
static msl_share *push_draft(lua_State *L, const msl_share *share) {
  msl_share *draft = lua_newuserdatauv(L, sizeof(*draft), MSL_SHARE_SLOTS);
  memset(draft, 0, sizeof(*draft));
  draft->state = share->state;
  draft->is_draft = true;
  luaL_setmetatable(L, draft_type);
  msl_push_root_proxy(L, AT_DRAFT);
  msl_push_receipt(L, AT_SHARE)->is_open = true;
  lua_pushvalue(L, AT_RECEIPT);
  lua_setiuservalue(L, AT_DRAFT, MSL_SHARE_BATCH);
  return draft;
}

/* What the world does is nil, message, code; what the caller does raises. */
static int fail(lua_State *L, const run *self, const ms_error *error) {
  bool is_mistake = error->status == MS_EBUSY || msl_is_mistake(error->status);
  if (is_mistake && !self->has_run) return msl_raise_error(L, error);
  return msl_push_failure(L, error);
}

static run *push_run(lua_State *L, msl_share *share, msl_share *draft) {
  run *self = lua_newuserdatauv(L, sizeof(*self), 0);
  *self = (run){.L = L, .share = share, .draft = draft};
  luaL_setmetatable(L, run_type);
  return self;
}

/* Of a task that was ended while it waited. */
static int run_gc(lua_State *L) {
  run *self = lua_touserdata(L, 1);
  ms_transact_free(self->steps);
  self->steps = NULL;
  return 0;
}

static int finish(lua_State *L, run *self, ms_status status, ms_error *error) {
  msl_receipt *receipt = lua_touserdata(L, AT_RECEIPT);
  ms_transact_free(self->steps);
  self->steps = NULL;
  receipt->is_open = false;
  receipt->is_discarded = status != MS_OK;
  if (self->has_raised) return lua_error(L);
  if (msl_finish(error, status) != MS_OK) return fail(L, self, error);
  if (lua_gettop(L) == AT_RUN) lua_pushboolean(L, 1);
  return lua_gettop(L) - AT_RUN;
}

static bool is_due(void *ud) { return ms_transact_is_due(((const run *)ud)->steps); }

/* In a task: the next step, and the next wait. */
static int go_on(lua_State *L, int status, lua_KContext context) {
  run *self = lua_touserdata(L, AT_RUN);
  ms_error error = {MS_OK, ""};
  bool over = true;
  (void)status, (void)context;
  self->L = L;
  ms_status result = ms_transact_step(self->steps, &over, &error);
  if (over) return finish(L, self, result, &error);
  return msl_yield_until(L, self->share->state, is_due, self,
                         ms_transact_timeout(self->steps), 0, go_on);
}

/* transaction(fn, options): the results of fn, or true when it has none. */
int msl_share_transaction(lua_State *L) {
  msl_share *share = msl_check_open_share(L, AT_SHARE);
  ms_transaction_options options;
  ms_error error = {MS_OK, ""};
  lua_settop(L, AT_OPTIONS);
  msl_check_function(L, AT_FN, "fn");
  check_options(L, share, &options);
  bool yields = msl_in_task(L, share->state);
  if (!yields) msl_check_may_poll(L, share->state, "transaction");
  if (share->in_batch) msl_raise(L, MS_EBUSY, "a transaction inside a batch");
  if (share->in_transaction) {
    msl_raise(L, MS_EBUSY, "a transaction inside a transaction");
  }
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  run *self = push_run(L, share, push_draft(L, share));
  if (yields) {
    ms_status status =
        ms_transact_new(share->share, run_fn, self, &options, &self->steps, &error);
    if (status != MS_OK) return finish(L, self, status, &error);
    return go_on(L, LUA_OK, 0);
  }
  ms_status status = ms_share_transact(share->share, run_fn, self, &options, &error);
  if (!self->has_raised) msl_after_poll(L, share->state);
  return finish(L, self, status, &error);
}

void msl_open_transaction(lua_State *L) {
  luaL_newmetatable(L, draft_type);
  lua_pop(L, 1);
  luaL_newmetatable(L, run_type);
  lua_pushcfunction(L, run_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
