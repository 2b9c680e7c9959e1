/*
 * Shares: the object that memshare.open gives.
 *
 * One Lua state has one object per ms_share, found by its address in a table of the
 * registry. The object holds the share once, however often it was opened; it closes
 * with the last close, and when the script lost it. Patches that are unsettled then are
 * seen off by later polls (msl_leave_later). A closed object keeps the last view for
 * reading, and the ms_share for its receipts.
 */
#include "core.h"

#include <assert.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>

const char msl_share_type[] = "memshare.share";
static const char
    shares_key; /* of the registry: ms_share -> object, weak unless shares are kept */
static const char methods_key; /* of the registry: the methods of shares */
static const char weak_key;

/* --------------------------------------------------------------- checking */

msl_share *msl_check_share(lua_State *L, int index) {
  msl_share *self = luaL_testudata(L, index, msl_share_type);
  if (self == NULL || self->share == NULL) {
    msl_raise(L, MS_EARGUMENT, "self: a share expected, got %s; call methods with ':'",
              luaL_typename(L, index));
  }
  return self;
}

msl_share *msl_check_open_share(lua_State *L, int index) {
  msl_share *self = msl_check_share(L, index);
  if (self->opens == 0) msl_raise(L, MS_ECLOSED, "the share is closed");
  return self;
}

uint64_t msl_share_number(const msl_share *self) {
  if (self->draft != NULL) {
    return (uint64_t)self->draft_round << 32 | ms_transaction_writes(self->draft);
  }
  if (self->last != NULL || self->share == NULL) return UINT64_MAX;
  return ms_share_view_number(self->share);
}

const ms_value *msl_share_root(msl_share *self) {
  if (self->draft != NULL) return ms_transaction_root(self->draft);
  if (self->last != NULL || self->share == NULL) return self->last;
  const ms_value *root = ms_share_root(self->share);
  ms_value_release(root); /* the view holds it */
  return root;
}

static void inspect(const msl_share *self, ms_share_info *info) {
  memset(info, 0, sizeof(*info));
  info->bytes = sizeof(*info);
  ms_share_inspect(self->share, info);
  if (self->opens == 0) info->state = MS_SHARE_CLOSED;
}

/* --------------------------------------------------------------- lifetime */

void msl_keep_shares(lua_State *L, const msl_state *state) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &shares_key);
  if (state->running || state->timer_count > 0) {
    lua_pushnil(L);
  } else {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &weak_key);
  }
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

/* Pushes a new object that holds nothing yet. */
static msl_share *push_object(lua_State *L, msl_state *state) {
  msl_share *self = lua_newuserdatauv(L, sizeof(*self), MSL_SHARE_SLOTS);
  memset(self, 0, sizeof(*self));
  self->state = state;
  msl_cache_open_share(self);
  luaL_setmetatable(L, msl_share_type);
  self->leaving = malloc(sizeof(*self->leaving));
  if (self->leaving == NULL) msl_raise(L, MS_ENOMEM, "out of memory");
  return self;
}

/* Pushes the object of a share that has one; else nothing. */
static msl_share *push_known(lua_State *L, const ms_share *share) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &shares_key);
  lua_rawgetp(L, -1, share);
  lua_remove(L, -2);
  msl_share *self = lua_touserdata(L, -1);
  if (self == NULL) lua_pop(L, 1);
  return self;
}

/* The object on top of the stack now stands for `share`, which it owns. */
static void adopt(lua_State *L, msl_share *self, ms_share *share, int timeout_ms) {
  self->share = share;
  self->runtime = ms_share_runtime(share);
  self->timeout_ms = timeout_ms;
  self->opens = 1;
  self->state->open_shares++;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &shares_key);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, share);
  lua_pop(L, 1);
}

/* The last close. Callbacks of what settles meanwhile still run. */
static ms_status close_share(lua_State *L, msl_share *self, int timeout_ms) {
  self->opens = 0;
  self->state->open_shares--;
  if (self->state->calling > 0) timeout_ms = 0;
  ms_status status = ms_share_close(self->share, timeout_ms);
  self->last = ms_share_root(self->share);
  msl_close_subs(L, self);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &shares_key);
  lua_pushnil(L); /* the key exists: no memory is needed */
  lua_rawsetp(L, -2, self->share);
  lua_pop(L, 1);
  if (self->state->running) ms_runtime_wake(self->state->runtime);
  return status;
}

static int share_gc(lua_State *L) {
  msl_share *self = lua_touserdata(L, 1);
  ms_share *share = self->share;
  if (share != NULL && self->opens > 0) {
    ms_share_info info;
    inspect(self, &info);
    self->opens = 0;
    self->state->open_shares--;
    if (!self->foreign && info.pending > 0) {
      self->leaving->share = share;
      msl_leave_later(self->state, self->leaving);
      self->leaving = NULL;
      share = NULL;
    }
  }
  msl_close_subs(L, self);
  msl_cache_clear(self);
  self->share = NULL;
  ms_share_free(share);
  ms_value_release(self->last);
  self->last = NULL;
  free(self->leaving);
  self->leaving = NULL;
  return 0;
}

/* ---------------------------------------------------------------- opening */

/* What is read from the arguments of open and new. */
typedef struct opening {
  ms_share_config config;
  bool has_roles;
  const char *roles[MS_ROLES_MAX + 1]; /* borrowed from the table of options */
} opening;

static_assert(offsetof(opening, config) == 0,
              "the options' places are those of the config");

static const msl_option open_options[] = {
    {"dir", MSL_OPTION_STRING, offsetof(ms_share_config, dir)},
    {"timeout", MSL_OPTION_SECONDS, offsetof(ms_share_config, timeout_ms)},
    {"write_timeout", MSL_OPTION_SECONDS, offsetof(ms_share_config, write_timeout_ms)},
    {"host_timeout", MSL_OPTION_SECONDS, offsetof(ms_share_config, host_timeout_ms)},
    {"readonly", MSL_OPTION_BOOL, offsetof(ms_share_config, readonly)},
    {"can_host", MSL_OPTION_NOT, offsetof(ms_share_config, no_host)},
    {"must_exist", MSL_OPTION_BOOL, offsetof(ms_share_config, must_exist)},
    {"merge_defaults", MSL_OPTION_BOOL, offsetof(ms_share_config, merge_defaults)},
    {"max_document", MSL_OPTION_BYTES, offsetof(ms_share_config, max_document)},
    {"max_patch", MSL_OPTION_COUNT, offsetof(ms_share_config, max_patch)},
    {"max_queue", MSL_OPTION_COUNT, offsetof(ms_share_config, max_queue)},
    {"max_writers", MSL_OPTION_BYTES, offsetof(ms_share_config, max_writers)},
    {"roles", MSL_OPTION_TABLE, offsetof(opening, has_roles)},
    {NULL, MSL_OPTION_BOOL, 0},
};

enum { WRITE_TIMEOUT_MS = 5000 };

/* The list is on top of the stack. Raises: the library says which role is wrong, this how many. */
static void read_roles(lua_State *L, opening *out) {
  lua_Unsigned count = lua_rawlen(L, -1);
  if (count > MS_ROLES_MAX) {
    msl_raise(L, MS_ELIMIT, "roles: at most %d, got %llu", MS_ROLES_MAX,
              (unsigned long long)count);
  }
  for (lua_Unsigned i = 0; i < count; i++) {
    if (lua_rawgeti(L, -1, (lua_Integer)i + 1) != LUA_TSTRING)
      msl_raise_type(L, -1, "roles", "list of strings");
    out->roles[i] = lua_tostring(L, -1);
    if (strlen(out->roles[i]) != lua_rawlen(L, -1))
      msl_raise(L, MS_EARGUMENT, "roles: \"%s\" holds a NUL", out->roles[i]);
    lua_pop(L, 1);
  }
  out->roles[count] = NULL;
  out->config.roles = out->roles;
}

/* Arguments 1 to 3: name, defaults, options. Pushes what holds the defaults. */
static const char *check_open(lua_State *L, opening *out) {
  ms_share_config *config = &out->config;
  lua_settop(L, 3);
  const char *name = msl_check_string(L, 1, "name", NULL);
  if (strlen(name) != lua_rawlen(L, 1)) msl_raise(L, MS_EARGUMENT, "name: holds a NUL");
  ms_share_config_init(config);
  config->write_timeout_ms = WRITE_TIMEOUT_MS;
  config->validator = ms_lua_validator();
  out->has_roles = false;
  msl_check_options(L, 3, open_options, out);
  if (out->has_roles) {
    lua_getfield(L, 3, "roles"); /* of a plain table */
    read_roles(L, out);
    lua_pop(L, 1);
  }
  if (config->write_timeout_ms < 0) config->write_timeout_ms = INT_MAX;
  if (config->host_timeout_ms < 0) config->host_timeout_ms = INT_MAX;
  msl_hold *defaults = msl_push_hold(L);
  if (lua_isnil(L, 2)) return name;
  ms_error error = {MS_OK, ""};
  const msl_where where = {NULL, "defaults", 8};
  if (lua_type(L, 2) != LUA_TTABLE) msl_raise_type(L, 2, "defaults", "table");
  if (msl_read_value(L, 2, &where, &defaults->value, &error) != MS_OK)
    msl_raise_error(L, &error);
  if (ms_value_type(defaults->value) == MS_ARRAY) {
    msl_raise(L, MS_EARGUMENT, "defaults: the document is an object, not an array");
  }
  config->defaults = defaults->value;
  return name;
}

/* Pushes the object of the share with this name, open once more. */
static msl_share *push_opened(lua_State *L, const char *name,
                              const ms_share_config *config, ms_error *error) {
  msl_state *state = msl_get_state(L);
  if (msl_need_runtime(L, state, error) != MS_OK) return NULL;
  msl_share *fresh = push_object(L, state);
  ms_share *share = NULL;
  ms_status status = ms_share_new(state->runtime, name, config, &share, error);
  if (msl_finish(error, status) != MS_OK) return NULL;
  msl_share *known = push_known(L, share);
  if (known != NULL && known->opens > 0) {
    ms_share_free(share); /* the object holds it already */
    known->opens++;
    return known;
  }
  adopt(L, fresh, share, config->timeout_ms);
  return fresh;
}

static ms_status start_share(lua_State *L, msl_share *self, int timeout_ms,
                             ms_error *error) {
  ms_status status = msl_finish(error, ms_share_start(self->share, timeout_ms, error));
  msl_after_poll(L, self->state);
  return status;
}

static int fail_or_raise(lua_State *L, const ms_error *error) {
  ms_status status = error->status;
  bool raises = status == MS_EARGUMENT || status == MS_EBUSY || status == MS_EWRONGTHREAD;
  return raises ? msl_raise_error(L, error) : msl_push_failure(L, error);
}

static int module_new(lua_State *L) {
  opening asked;
  ms_error error = {MS_OK, ""};
  const char *name = check_open(L, &asked);
  if (push_opened(L, name, &asked.config, &error) == NULL)
    return fail_or_raise(L, &error);
  return 1;
}

/* Has it a document, or no hope of one? */
static bool is_started(void *ud) {
  const msl_share *self = ud;
  if (self->opens == 0) return true;
  const ms_value *root = ms_share_root(self->share);
  ms_value_release(root);
  return root != NULL || ms_share_start(self->share, 0, NULL) != MS_OK;
}

/* In a task: what has become of it after the wait. */
static ms_status started(msl_share *self, int timeout_ms, ms_error *error) {
  const char *name = ms_share_name(self->share);
  if (self->opens == 0)
    return msl_fail(error, MS_ECLOSED, "\"%s\" was closed meanwhile", name);
  ms_status status = msl_finish(error, ms_share_start(self->share, 0, error));
  if (status != MS_OK || is_started(self)) return status;
  return msl_fail(error, MS_ETIMEDOUT, "no host of \"%s\" answered in %d ms", name,
                  timeout_ms);
}

/* The share is on top of the stack. */
static int finish_open(lua_State *L, msl_share *self, const ms_error *error) {
  if (error->status == MS_OK) return 1;
  if (self->opens > 1) {
    self->opens--;
  } else if (self->opens == 1) {
    (void)close_share(L, self, 0);
  }
  return fail_or_raise(L, error);
}

static int after_open(lua_State *L, int status, lua_KContext timeout_ms) {
  msl_share *self = lua_touserdata(L, -1);
  ms_error error = {MS_OK, ""};
  (void)status;
  error.status = started(self, (int)timeout_ms, &error);
  return finish_open(L, self, &error);
}

static int module_open(lua_State *L) {
  opening asked;
  ms_error error = {MS_OK, ""};
  msl_state *state = msl_get_state(L);
  const char *name = check_open(L, &asked);
  int timeout_ms = asked.config.timeout_ms;
  bool in_task = msl_in_task(L, state);
  if (!in_task) msl_check_may_poll(L, state, "open");
  msl_share *self = push_opened(L, name, &asked.config, &error);
  if (self == NULL) return fail_or_raise(L, &error);
  error.status = start_share(L, self, in_task ? 0 : timeout_ms, &error);
  if (in_task && error.status == MS_OK && !is_started(self)) {
    return msl_yield_until(L, state, is_started, self, timeout_ms, timeout_ms,
                           after_open);
  }
  return finish_open(L, self, &error);
}

static int after_start(lua_State *L, int status, lua_KContext timeout_ms) {
  ms_error error = {MS_OK, ""};
  (void)status;
  if (started(msl_check_share(L, 1), (int)timeout_ms, &error) != MS_OK)
    return fail_or_raise(L, &error);
  lua_settop(L, 1);
  return 1;
}

static int share_start(lua_State *L) {
  msl_share *self = msl_check_open_share(L, 1);
  ms_error error = {MS_OK, ""};
  lua_settop(L, 2);
  int timeout_ms = msl_check_seconds(L, 2, "timeout", self->timeout_ms);
  bool yields = timeout_ms != 0 && msl_in_task(L, self->state);
  if (timeout_ms != 0 && !yields) msl_check_may_poll(L, self->state, "start");
  if (start_share(L, self, yields ? 0 : timeout_ms, &error) != MS_OK)
    return fail_or_raise(L, &error);
  if (yields && !is_started(self)) {
    return msl_yield_until(L, self->state, is_started, self, timeout_ms, timeout_ms,
                           after_start);
  }
  lua_settop(L, 1);
  return 1;
}

static bool is_flushed(void *ud) {
  const msl_share *self = ud;
  ms_share_info info;
  if (self->opens == 0) return true;
  inspect(self, &info);
  return info.pending == 0;
}

/* In a task the wait is over; else it is still to come. */
static int finish_close(lua_State *L, int status, lua_KContext timeout_ms) {
  msl_share *self = msl_check_share(L, 1);
  lua_settop(L, 1);
  lua_pushboolean(L, 1);
  if (self->opens == 0 || --self->opens > 0) return 1;
  ms_status result = close_share(L, self, status == LUA_YIELD ? 0 : (int)timeout_ms);
  msl_after_poll(L, self->state);
  if (result == MS_OK) return 1;
  ms_error error;
  msl_fail(&error, result, "closed with patches that are not settled");
  return msl_push_failure(L, &error);
}

static int share_close(lua_State *L) {
  msl_share *self = msl_check_share(L, 1);
  lua_settop(L, 2);
  int timeout_ms = msl_check_seconds(L, 2, "timeout", self->timeout_ms);
  if (self->opens > 0 && self->in_batch) msl_raise(L, MS_EBUSY, "close inside a batch");
  if (self->opens > 0 && self->in_transaction)
    msl_raise(L, MS_EBUSY, "close inside a transaction");
  if (self->opens == 1 && timeout_ms != 0 && !is_flushed(self) &&
      msl_in_task(L, self->state)) {
    return msl_yield_until(L, self->state, is_flushed, self, timeout_ms, timeout_ms,
                           finish_close);
  }
  return finish_close(L, LUA_OK, timeout_ms);
}

/* __close(self, error): the waiting time is the default one. */
static int share_close_scope(lua_State *L) {
  lua_settop(L, 1);
  share_close(L);
  return 0;
}

/* ---------------------------------------------------------------- reading */

void msl_push_at(lua_State *L, int share_index, const ms_path *path,
                 const ms_value *value) {
  if (value == NULL) {
    lua_pushnil(L);
  } else if (msl_is_scalar(value)) {
    msl_push_scalar(L, value);
  } else {
    msl_push_proxy(L, share_index, path);
  }
}

static int share_get(lua_State *L) {
  msl_share *self = msl_check_share(L, 1);
  ms_error error = {MS_OK, ""};
  lua_settop(L, 2);
  msl_hold *hold = msl_push_hold(L);
  const ms_value *root = msl_share_root(self);
  ms_status status = msl_read_path(L, 2, root, &hold->path, &error);
  if (msl_finish(&error, status) != MS_OK) return msl_raise_error(L, &error);
  msl_push_at(L, 1, hold->path, root == NULL ? NULL : ms_path_find(hold->path, root));
  return 1;
}

/* ---------------------------------------------------------------- waiting */

typedef ms_status (*wait_function)(ms_share *share, int timeout_ms, ms_error *error);

/* True, or nil, message, code. */
static int wait_for(lua_State *L, wait_function wait, const char *name) {
  msl_share *self = msl_check_open_share(L, 1);
  ms_error error = {MS_OK, ""};
  lua_settop(L, 2);
  int timeout_ms = msl_check_seconds(L, 2, "timeout", self->timeout_ms);
  msl_check_may_poll(L, self->state, name);
  ms_status status = msl_finish(&error, wait(self->share, timeout_ms, &error));
  msl_after_poll(L, self->state);
  if (status != MS_OK) return fail_or_raise(L, &error);
  lua_pushboolean(L, 1);
  return 1;
}

/* The end of a wait in a task. */
static int waited(lua_State *L, const ms_error *error) {
  if (error->status != MS_OK) return fail_or_raise(L, error);
  lua_pushboolean(L, 1);
  return 1;
}

static int after_flush(lua_State *L, int status, lua_KContext timeout_ms) {
  const msl_share *self = msl_check_share(L, 1);
  ms_error error = {MS_OK, ""};
  ms_share_info info;
  (void)status;
  inspect(self, &info);
  if (info.state == MS_SHARE_CLOSED) {
    msl_fail(&error, MS_ECLOSED, "the share was closed meanwhile");
  } else if (info.pending > 0) {
    msl_fail(&error, MS_ETIMEDOUT, "%zu patches were not settled in %d ms", info.pending,
             (int)timeout_ms);
  }
  return waited(L, &error);
}

static int share_flush(lua_State *L) {
  msl_share *self = msl_check_open_share(L, 1);
  if (!msl_in_task(L, self->state)) return wait_for(L, ms_share_flush, "flush");
  lua_settop(L, 2);
  int timeout_ms = msl_check_seconds(L, 2, "timeout", self->timeout_ms);
  if (timeout_ms == 0 || is_flushed(self)) return after_flush(L, LUA_OK, timeout_ms);
  return msl_yield_until(L, self->state, is_flushed, self, timeout_ms, timeout_ms,
                         after_flush);
}

typedef struct sync_wait {
  const msl_share *share;
  uint64_t ticket;
} sync_wait;

static bool is_synced(void *ud) {
  const sync_wait *wait = ud;
  return ms_share_sync_done(wait->share->share, wait->ticket, NULL) != MS_EBUSY;
}

static int after_sync(lua_State *L, int status, lua_KContext timeout_ms) {
  const sync_wait *wait = lua_touserdata(L, 3);
  ms_error error = {MS_OK, ""};
  (void)status;
  error.status =
      msl_finish(&error, ms_share_sync_done(wait->share->share, wait->ticket, &error));
  if (error.status == MS_EBUSY)
    msl_fail(&error, MS_ETIMEDOUT, "no answer in %d ms", (int)timeout_ms);
  return waited(L, &error);
}

static int share_sync(lua_State *L) {
  msl_share *self = msl_check_open_share(L, 1);
  ms_error error = {MS_OK, ""};
  if (!msl_in_task(L, self->state)) return wait_for(L, ms_share_sync, "sync");
  lua_settop(L, 2);
  int timeout_ms = msl_check_seconds(L, 2, "timeout", self->timeout_ms);
  sync_wait *wait = lua_newuserdatauv(L, sizeof(*wait), 0);
  wait->share = self;
  error.status =
      msl_finish(&error, ms_share_sync_begin(self->share, &wait->ticket, &error));
  if (error.status != MS_OK) return fail_or_raise(L, &error);
  if (timeout_ms == 0 || is_synced(wait)) return after_sync(L, LUA_OK, timeout_ms);
  return msl_yield_until(L, self->state, is_synced, wait, timeout_ms, timeout_ms,
                         after_sync);
}

static int share_poll(lua_State *L) {
  msl_share *self = msl_check_share(L, 1);
  return msl_poll(L, self->state, self->runtime, 2);
}

static int share_pollfd(lua_State *L) {
  lua_pushinteger(L, ms_runtime_fd(msl_check_share(L, 1)->runtime));
  return 1;
}

static int share_events(lua_State *L) {
  msl_check_share(L, 1);
  lua_pushliteral(L, "r");
  return 1;
}

static int share_timeout(lua_State *L) {
  int timeout_ms = ms_runtime_timeout(msl_check_share(L, 1)->runtime);
  if (timeout_ms < 0) return 0;
  lua_pushnumber(L, (lua_Number)timeout_ms / 1000);
  return 1;
}

/* ----------------------------------------------------------------- asking */

static void set_count(lua_State *L, const char *name, uint64_t count) {
  lua_pushinteger(L, (lua_Integer)count);
  lua_setfield(L, -2, name);
}

void msl_push_share_info(lua_State *L, const ms_share_info *info) {
  lua_createtable(L, 0, 7);
  lua_pushstring(L, ms_share_state_name(info->state));
  lua_setfield(L, -2, "state");
  msl_push_id(L, info->peer);
  lua_setfield(L, -2, "id");
  msl_push_id(L, info->host);
  lua_setfield(L, -2, "host");
  msl_push_id(L, info->group);
  lua_setfield(L, -2, "group");
  set_count(L, "term", info->term);
  set_count(L, "version", info->version);
  set_count(L, "pending", info->pending);
}

/* status(): the state's name and a table that says more. */
static int share_status(lua_State *L) {
  ms_share_info info;
  inspect(msl_check_share(L, 1), &info);
  lua_pushstring(L, ms_share_state_name(info.state));
  msl_push_share_info(L, &info);
  return 2;
}

static int share_version(lua_State *L) {
  ms_share_info info;
  inspect(msl_check_share(L, 1), &info);
  lua_pushinteger(L, (lua_Integer)info.version);
  return 1;
}

static int share_is_host(lua_State *L) {
  ms_share_info info;
  inspect(msl_check_share(L, 1), &info);
  lua_pushboolean(L, info.state == MS_SHARE_HOST);
  return 1;
}

static int share_stats(lua_State *L) {
  msl_share *self = msl_check_share(L, 1);
  ms_share_info info;
  inspect(self, &info);
  const struct {
    const char *name;
    uint64_t count;
  } counts[] = {
      {"submitted", info.submitted},
      {"accepted", info.accepted},
      {"rejected", info.rejected},
      {"unknown", info.unknown},
      {"pending", info.pending},
      {"entries", info.entries},
      {"takeovers", info.takeovers},
      {"snapshots", info.snapshots},
      {"links", info.links},
      {"document_bytes", info.document_bytes},
      {"events_lost", info.events_lost},
      {"term", info.term},
      {"version", info.version},
      {"view", ms_share_view_number(self->share)},
  };
  lua_newtable(L);
  for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
    set_count(L, counts[i].name, counts[i].count);
  }
  return 1;
}

/* ----------------------------------------------------------------- fields */

static int share_index(lua_State *L) {
  msl_share *self = msl_check_share(L, 1);
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(name, "data") == 0) {
    msl_push_root_proxy(L, 1);
  } else if (strcmp(name, "me") == 0) {
    msl_push_me(L, self);
  } else if (strcmp(name, "name") == 0) {
    lua_pushstring(L, ms_share_name(self->share));
  } else if (strcmp(name, "id") == 0) {
    ms_share_info info;
    inspect(self, &info);
    msl_push_id(L, info.peer);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

static int share_newindex(lua_State *L) {
  const char *name =
      lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);
  if (strcmp(name, "data") == 0) {
    return msl_raise(
        L, MS_EARGUMENT,
        "share.data cannot be assigned; share:replace(document) replaces it");
  }
  return msl_raise(L, MS_EARGUMENT, "a share has no field \"%s\" to assign", name);
}

static int share_tostring(lua_State *L) {
  msl_share *self = msl_check_share(L, 1);
  ms_share_info info;
  inspect(self, &info);
  lua_pushfstring(L, "memshare.share: %s (%s)", ms_share_name(self->share),
                  ms_share_state_name(info.state));
  return 1;
}

/* ---------------------------------------------------------------- opening */

static const luaL_Reg methods[] = {
    {"batch", msl_share_batch},
    {"call", msl_share_call},
    {"close", share_close},
    {"emit", msl_share_emit},
    {"ephemeral", msl_share_ephemeral},
    {"events", share_events},
    {"expire", msl_share_expire},
    {"flush", share_flush},
    {"get", share_get},
    {"grant", msl_share_grant},
    {"handle", msl_share_handle},
    {"is_host", share_is_host},
    {"lock", msl_share_lock},
    {"max_writers", msl_share_max_writers},
    {"on", msl_share_on},
    {"once", msl_share_once},
    {"on_event", msl_share_on_event},
    {"on_patch", msl_share_on_patch},
    {"on_peer", msl_share_on_peer},
    {"on_reject", msl_share_on_reject},
    {"on_status", msl_share_on_status},
    {"peers", msl_share_peers},
    {"poll", share_poll},
    {"pollfd", share_pollfd},
    {"revoke", msl_share_revoke},
    {"rules", msl_share_rules},
    {"schema", msl_share_schema},
    {"start", share_start},
    {"stats", share_stats},
    {"status", share_status},
    {"stop", share_close},
    {"sync", share_sync},
    {"timeout", share_timeout},
    {"transaction", msl_share_transaction},
    {"try_lock", msl_share_try_lock},
    {"version", share_version},
    {"wait_for", msl_share_wait_for},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", share_gc},
    {"__close", share_close_scope},
    {"__newindex", share_newindex},
    {"__tostring", share_tostring},
    {NULL, NULL},
};

/* add_method(name, fn): one of a share that is written in Lua. */
static int module_add_method(lua_State *L) {
  (void)msl_check_string(L, 1, "name", NULL);
  msl_check_function(L, 2, "fn");
  lua_settop(L, 2);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &methods_key);
  lua_insert(L, 1);
  lua_rawset(L, 1);
  return 0;
}

static const luaL_Reg functions[] = {
    {"add_method", module_add_method},
    {"new", module_new},
    {"open", module_open},
    {NULL, NULL},
};

void msl_open_share(lua_State *L, msl_state *state) {
  lua_newtable(L);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &weak_key);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &shares_key);
  msl_keep_shares(L, state);
  luaL_newmetatable(L, msl_share_type);
  luaL_setfuncs(L, metamethods, 0);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  luaL_setfuncs(L, msl_write_methods, 0);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &methods_key);
  lua_pushcclosure(L, share_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

void msl_register_share(lua_State *L) { luaL_setfuncs(L, functions, 0); }

/* ------------------------------------------------------- for programs in C */

/* Arguments: a light userdata, the ms_share. Returns its object. */
static int push_share(lua_State *L) {
  ms_share *share = lua_touserdata(L, 1);
  msl_state *state = msl_open(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  if (lua_getfield(L, -1, "memshare.core") == LUA_TNIL) {
    lua_pushcfunction(L, luaopen_memshare_core);
    lua_setfield(L, -3, "memshare.core");
  }
  lua_settop(L, 1);
  msl_share *known = push_known(L, share);
  if (known != NULL && known->opens > 0) return 1;
  ms_share_config config;
  ms_share_config_init(&config);
  msl_share *self = push_object(L, state);
  share = ms_share_retain(share);
  if (share == NULL) {
    return luaL_error(L, "the share belongs to another thread or process (EWRONGTHREAD)");
  }
  adopt(L, self, share, config.timeout_ms);
  self->foreign = true;
  if (state->runtime == NULL) state->runtime = self->runtime;
  return 1;
}

ms_status ms_lua_push(lua_State *L, ms_share *share) {
  if (!lua_checkstack(L, 3)) return MS_ENOMEM;
  lua_pushcfunction(L, push_share);
  lua_pushlightuserdata(L, share);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK) return MS_OK;
  lua_pop(L, 1);
  return MS_ENOMEM;
}
