/*
 * share:wait_for(path, predicate, timeout): until a predicate holds for what is at a path.
 *
 * A watch tells when to ask again, so the predicate is called once at first and then after each round
 * of a poll that changed something there. It runs in the caller, may write, and its error is the
 * caller's. In a task the wait yields, and so may the predicate.
 */
#include "core.h"

#include <math.h>

enum { AWAIT_PREDICATE = 3, AWAIT_TIMEOUT, AWAIT_END, AWAIT_WATCH, AWAIT_VALUE };
enum { TO_ASK, TO_JUDGE }; /* where a continuation goes on */

/* Milliseconds left; -1: without end. */
static int left_ms(lua_State *L) {
  lua_Integer end_ns = lua_tointeger(L, AWAIT_END);
  if (end_ns < 0) return -1;
  int64_t left_ns = end_ns - msl_clock_ns();
  return left_ns <= 0 ? 0 : (int)((left_ns + 999999) / 1000000);
}

static int fail(lua_State *L, const msl_share *self) {
  ms_error error;
  if (self->opens == 0) {
    msl_fail(&error, MS_ECLOSED, "the share was closed meanwhile");
  } else {
    msl_fail(&error, MS_ETIMEDOUT, "what was waited for did not come in %g s",
             lua_tonumber(L, AWAIT_TIMEOUT));
  }
  return msl_push_failure(L, &error);
}

static void push_value(lua_State *L) {
  lua_getfield(L, 1, "get");
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_call(L, 2, 1);
}

static int go_on(lua_State *L, int status, lua_KContext at) {
  const msl_share *self = lua_touserdata(L, 1);
  msl_sub *watch = lua_touserdata(L, AWAIT_WATCH);
  (void)status;
  for (;; at = TO_ASK) {
    if (at == TO_ASK) {
      (void)msl_watch_take(watch);
      lua_settop(L, AWAIT_WATCH);
      push_value(L);
      if (lua_isnil(L, AWAIT_PREDICATE)) {
        lua_pushboolean(L, !lua_isnil(L, AWAIT_VALUE));
      } else {
        lua_pushvalue(L, AWAIT_PREDICATE);
        lua_pushvalue(L, AWAIT_VALUE);
        lua_callk(L, 1, 1, TO_JUDGE, go_on);
      }
    }
    if (lua_toboolean(L, -1)) {
      lua_settop(L, AWAIT_VALUE);
      return 1;
    }
    int timeout_ms = left_ms(L);
    if (self->opens == 0 || timeout_ms == 0) return fail(L, self);
    lua_settop(L, AWAIT_WATCH);
    if (msl_in_task(L, self->state)) {
      return msl_yield_until(L, self->state, msl_watch_is_due, watch, timeout_ms, TO_ASK,
                             go_on);
    }
    ms_status result =
        ms_runtime_wait(self->runtime, timeout_ms, msl_watch_is_due, watch);
    msl_after_poll(L, self->state);
    if (result == MS_OK || result == MS_ETIMEDOUT) continue;
    msl_raise(L, result, "wait_for: %s", ms_status_text(result));
  }
}

int msl_share_wait_for(lua_State *L) {
  msl_share *self = msl_check_open_share(L, 1);
  lua_settop(L, AWAIT_TIMEOUT);
  if (!lua_isnil(L, AWAIT_PREDICATE)) {
    msl_check_function(L, AWAIT_PREDICATE, "predicate");
  }
  int timeout_ms = msl_check_seconds(L, AWAIT_TIMEOUT, "timeout", self->timeout_ms);
  if (!msl_in_task(L, self->state)) {
    msl_check_may_poll(L, self->state, "wait_for");
  }
  luaL_checkstack(L, 12, NULL);
  lua_pushnumber(L, timeout_ms < 0 ? HUGE_VAL : timeout_ms / 1000.0);
  lua_replace(L, AWAIT_TIMEOUT);
  lua_pushinteger(L,
                  timeout_ms < 0 ? -1 : msl_clock_ns() + (int64_t)timeout_ms * 1000000);
  msl_push_watch(L, self);
  return go_on(L, LUA_OK, TO_ASK);
}
