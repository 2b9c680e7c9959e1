/*
 * Leases: share:lock(name, options), share:try_lock(name) and what they give.
 *
 * A lease belongs to its object: `local lease <close> = ...` gives the lock back at the end of the block,
 * lease:release() earlier, the collector at the latest. In a task waiting yields.
 */
#include "core.h"

#include <math.h>

static const char lease_type[] = "memshare.lease";
enum { LEASE_SHARE = 1, LEASE_SLOTS = LEASE_SHARE };

typedef struct msl_lease {
  ms_lease *lease; /* NULL once it was given back */
  msl_share *share;
} msl_lease;

static msl_lease *check_lease(lua_State *L) {
  msl_lease *self = luaL_testudata(L, 1, lease_type);
  if (self == NULL) msl_raise_type(L, 1, "self", lease_type);
  return self;
}

static void free_lease(msl_lease *self) {
  ms_lease *lease = self->lease;
  self->lease = NULL;
  ms_lease_free(lease);
}

static int lease_gc(lua_State *L) {
  msl_lease *self = lua_touserdata(L, 1);
  free_lease(self);
  return 0;
}

/* Of the share at 1. */
static msl_lease *push_lease(lua_State *L, msl_share *share) {
  msl_lease *self = lua_newuserdatauv(L, sizeof(*self), LEASE_SLOTS);
  *self = (msl_lease){NULL, share};
  luaL_setmetatable(L, lease_type);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, LEASE_SHARE);
  return self;
}

/* ------------------------------------------------------------------- waiting */

static bool is_decided(void *ud) {
  const msl_lease *self = ud;
  return self->lease == NULL || ms_lease_get_state(self->lease) != MS_LEASE_WAITING;
}

static bool is_gone(void *ud) {
  const msl_lease *self = ud;
  return self->lease == NULL || ms_lease_get_state(self->lease) == MS_LEASE_GONE;
}

/* Raises where no lock can be asked for. */
static void check_open(lua_State *L, const msl_share *share) {
  if (share->in_batch) msl_raise(L, MS_EBUSY, "a lock inside a batch");
  if (share->in_transaction) msl_raise(L, MS_EBUSY, "a lock inside a transaction");
}

enum { LOCK_NAME = 2, LOCK_OPTIONS, LOCK_TIMEOUT, LOCK_LEASE };

/* The lease, or nil, message, code. */
static int finish_lock(lua_State *L, int status, lua_KContext context) {
  msl_lease *self = lua_touserdata(L, LOCK_LEASE);
  ms_error error = {MS_OK, ""};
  (void)status;
  (void)context;
  if (self->lease == NULL) {
    msl_fail(&error, MS_ECLOSED, "the lease was released while it waited");
  } else if (ms_lease_get_state(self->lease) == MS_LEASE_WAITING) {
    msl_fail(&error, MS_ETIMEDOUT, "the lock \"%s\" did not come in %g s",
             lua_tostring(L, LOCK_NAME), lua_tonumber(L, LOCK_TIMEOUT));
  } else {
    ms_status result = ms_lease_wait(self->lease, 0, &error);
    if (result == MS_OK) {
      lua_settop(L, LOCK_LEASE);
      return 1;
    }
    (void)msl_finish(&error, result);
  }
  free_lease(self);
  return msl_push_failure(L, &error);
}

/* The share is at 1, the name at 2; `timeout_ms` to wait for it. */
static int lock(lua_State *L, msl_share *share, int timeout_ms) {
  size_t length;
  const char *name = msl_check_string(L, LOCK_NAME, "name", &length);
  bool in_task = msl_in_task(L, share->state);
  check_open(L, share);
  if (!in_task) msl_check_may_poll(L, share->state, "lock");
  lua_settop(L, LOCK_OPTIONS);
  lua_pushnumber(L, timeout_ms < 0 ? HUGE_VAL : timeout_ms / 1000.0);
  msl_lease *self = push_lease(L, share);
  ms_error error = {MS_OK, ""};
  ms_status status =
      msl_finish(&error, ms_lease_new(share->share, name, length, &self->lease, &error));
  if (status != MS_OK) {
    if (msl_is_mistake(status)) return msl_raise_error(L, &error);
    return msl_push_failure(L, &error);
  }
  if (in_task && timeout_ms != 0) {
    return msl_yield_until(L, share->state, is_decided, self, timeout_ms, 0, finish_lock);
  }
  if (!in_task) {
    ms_status waited = ms_runtime_wait(share->runtime, timeout_ms, is_decided, self);
    msl_after_poll(L, share->state);
    (void)waited; /* how it ended shows in the lease */
  }
  return finish_lock(L, LUA_OK, 0);
}

/* lock(name, { timeout = seconds }): waits without end unless told how long. */
int msl_share_lock(lua_State *L) {
  typedef struct lock_options {
    int timeout_ms;
  } lock_options;
  static const msl_option known[] = {
      {"timeout", MSL_OPTION_SECONDS, offsetof(lock_options, timeout_ms)},
      {NULL, MSL_OPTION_BOOL, 0}};
  msl_share *share = msl_check_open_share(L, 1);
  lock_options options = {.timeout_ms = -1};
  msl_check_options(L, LOCK_OPTIONS, known, &options);
  return lock(L, share, options.timeout_ms);
}

/* ------------------------------------------------------------- try_lock */

/* Once the request is decided: first in the queue, or not at all. */
static bool is_answered(void *ud) {
  const msl_lease *self = ud;
  return self->lease == NULL || ms_lease_is_decided(self->lease);
}

static int finish_try(lua_State *L, int status, lua_KContext context) {
  msl_lease *self = lua_touserdata(L, LOCK_LEASE);
  ms_error error;
  if (self->lease != NULL && ms_lease_is_decided(self->lease) &&
      ms_lease_get_state(self->lease) == MS_LEASE_WAITING) {
    msl_fail(&error, MS_EBUSY, "the lock \"%s\" is held", lua_tostring(L, LOCK_NAME));
    free_lease(self);
    return msl_push_failure(L, &error);
  }
  return finish_lock(L, status, context);
}

/* try_lock(name): one round trip to the host. */
int msl_share_try_lock(lua_State *L) {
  msl_share *share = msl_check_open_share(L, 1);
  size_t length;
  const char *name = msl_check_string(L, LOCK_NAME, "name", &length);
  int timeout_ms = share->timeout_ms;
  bool in_task = msl_in_task(L, share->state);
  ms_error error = {MS_OK, ""};
  check_open(L, share);
  if (!in_task) msl_check_may_poll(L, share->state, "try_lock");
  lua_settop(L, LOCK_NAME);
  lua_pushnil(L);
  lua_pushnumber(L, timeout_ms < 0 ? HUGE_VAL : timeout_ms / 1000.0);
  if (ms_share_is_locked(share->share, name, length)) { /* no need to ask */
    msl_fail(&error, MS_EBUSY, "the lock \"%s\" is held", name);
    return msl_push_failure(L, &error);
  }
  msl_lease *self = push_lease(L, share);
  ms_status status =
      msl_finish(&error, ms_lease_new(share->share, name, length, &self->lease, &error));
  if (status != MS_OK) {
    if (msl_is_mistake(status)) return msl_raise_error(L, &error);
    return msl_push_failure(L, &error);
  }
  if (in_task) {
    return msl_yield_until(L, share->state, is_answered, self, timeout_ms, 0, finish_try);
  }
  ms_status waited = ms_runtime_wait(share->runtime, timeout_ms, is_answered, self);
  msl_after_poll(L, share->state);
  (void)waited;
  return finish_try(L, LUA_OK, 0);
}

/* --------------------------------------------------------------- the object */

static int lease_is_held(lua_State *L) {
  const msl_lease *self = check_lease(L);
  lua_pushboolean(L, self->lease != NULL &&
                         ms_lease_get_state(self->lease) == MS_LEASE_HELD);
  return 1;
}

/* release(): true, or nil, message, code when it could not be said to the host yet; then again. */
static int lease_release(lua_State *L) {
  msl_lease *self = check_lease(L);
  ms_error error = {MS_OK, ""};
  if (self->lease != NULL &&
      msl_finish(&error, ms_lease_return(self->lease, &error)) != MS_OK) {
    if (msl_is_mistake(error.status)) return msl_raise_error(L, &error);
    return msl_push_failure(L, &error);
  }
  free_lease(self);
  lua_pushboolean(L, true);
  return 1;
}

static int finish_wait_lost(lua_State *L, int status, lua_KContext context) {
  (void)status;
  (void)context;
  lua_pushboolean(L, is_gone(lua_touserdata(L, 1)));
  return 1;
}

/* wait_lost(timeout): until it is lost or released: true; false when the time is up. */
static int lease_wait_lost(lua_State *L) {
  msl_lease *self = check_lease(L);
  lua_settop(L, 2);
  lua_getiuservalue(L, 1, LEASE_SHARE);
  const msl_share *share = lua_touserdata(L, 3);
  int timeout_ms = msl_check_seconds(L, 2, "timeout", -1);
  if (is_gone(self)) return finish_wait_lost(L, LUA_OK, 0);
  if (msl_in_task(L, share->state)) {
    return msl_yield_until(L, share->state, is_gone, self, timeout_ms, 0,
                           finish_wait_lost);
  }
  msl_check_may_poll(L, share->state, "wait_lost");
  ms_status waited = ms_runtime_wait(share->runtime, timeout_ms, is_gone, self);
  msl_after_poll(L, share->state);
  (void)waited;
  return finish_wait_lost(L, LUA_OK, 0);
}

/* At the end of its block. */
static int lease_close(lua_State *L) {
  free_lease(check_lease(L));
  return 0;
}

static int lease_index(lua_State *L) {
  const msl_lease *self = check_lease(L);
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  uint64_t fence = 0;
  if (self->lease != NULL && strcmp(name, "fence") == 0) {
    fence = ms_lease_fence(self->lease);
  }
  lua_pushnil(L);
  if (fence > 0) lua_pushinteger(L, (lua_Integer)fence);
  if (self->lease != NULL && strcmp(name, "name") == 0) {
    size_t length;
    const char *bytes = ms_lease_name(self->lease, &length);
    lua_pushlstring(L, bytes, length);
  }
  return 1;
}

static int lease_tostring(lua_State *L) {
  const msl_lease *self = check_lease(L);
  static const char *const names[] = {"waiting", "held", "gone"};
  ms_lease_state state =
      self->lease == NULL ? MS_LEASE_GONE : ms_lease_get_state(self->lease);
  lua_pushfstring(L, "%s: %s", lease_type, names[state]);
  return 1;
}

static const luaL_Reg methods[] = {
    {"is_held", lease_is_held},
    {"release", lease_release},
    {"wait_lost", lease_wait_lost},
    {NULL, NULL},
};
static const luaL_Reg metamethods[] = {
    {"__gc", lease_gc},
    {"__close", lease_close},
    {"__tostring", lease_tostring},
    {NULL, NULL},
};

void msl_open_lease(lua_State *L) {
  luaL_newmetatable(L, lease_type);
  luaL_setfuncs(L, metamethods, 0);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_pushcclosure(L, lease_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}
