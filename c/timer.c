/*
 * Timers: memshare.after and memshare.every, over the runtime's own, so that they also
 * run inside the poll of a program that embeds Lua.
 *
 * A timer is anchored until it has fired or was closed. One that repeats is armed for
 * its next time before its function is called, which may close it.
 */
#include "core.h"

#include <time.h>

static const char timer_type[] = "memshare.timer";
enum { TIMER_FUNCTION = 1, TIMER_SLOTS = 1 };

typedef struct msl_timer {
  msl_state *state;
  ms_timer *timer;   /* NULL: fired or closed */
  int64_t due_ns;    /* on msl_clock_ns() */
  int64_t period_ns; /* 0: once */
} msl_timer;

int64_t msl_clock_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void on_time(void *ud);

static ms_status arm(msl_timer *self) {
  int64_t delay_ns = self->due_ns - msl_clock_ns();
  int64_t delay_ms = delay_ns <= 0 ? 0 : (delay_ns + 999999) / 1000000;
  return ms_runtime_after(self->state->runtime, delay_ms, on_time, self, &self->timer);
}

static void forget(lua_State *L, msl_timer *self) {
  self->state->timer_count--;
  msl_release_anchor(L, self);
  msl_keep_shares(L, self->state);
}

static int call_timer(lua_State *L) {
  msl_timer *self = lua_touserdata(L, 1);
  msl_push_anchored(L, self);
  if (lua_isnil(L, -1)) return 0;
  lua_getiuservalue(L, -1, TIMER_FUNCTION);
  if (self->timer == NULL) forget(L, self);
  lua_call(L, 0, 0);
  return 0;
}

static void on_time(void *ud) {
  msl_timer *self = ud;
  self->timer = NULL;
  if (self->period_ns > 0) {
    int64_t now_ns = msl_clock_ns();
    self->due_ns += self->period_ns;
    /* Late by more than a period: what was missed is not made up for. */
    if (self->due_ns < now_ns) self->due_ns = now_ns + self->period_ns;
    if (arm(self) != MS_OK) self->timer = NULL; /* no memory: this is its last call */
  }
  msl_enter_lua(self->state, call_timer, self);
}

static int timer_close(lua_State *L) {
  msl_timer *self = luaL_testudata(L, 1, timer_type);
  if (self == NULL) msl_raise_type(L, 1, "self", timer_type);
  if (self->timer == NULL) return 0;
  ms_timer_close(self->timer);
  self->timer = NULL;
  forget(L, self);
  return 0;
}

/* Only at the end of the Lua state: until then an armed timer is anchored. */
static int timer_gc(lua_State *L) {
  msl_timer *self = lua_touserdata(L, 1);
  if (self->timer == NULL) return 0;
  ms_timer_close(self->timer);
  self->timer = NULL;
  return 0;
}

/* after(seconds, fn), every(seconds, fn) */
static int start_timer(lua_State *L, bool again) {
  ms_error error = {MS_OK, ""};
  lua_settop(L, 2);
  if (lua_type(L, 1) != LUA_TNUMBER) msl_raise_type(L, 1, "seconds", "number");
  lua_Number seconds = lua_tonumber(L, 1);
  if (!(seconds >= 0) || seconds > 1e9 || (again && seconds < 1e-6)) {
    msl_raise(L, MS_EARGUMENT, "seconds: %g is no time to wait", seconds);
  }
  msl_check_function(L, 2, "fn");
  msl_state *state = msl_get_state(L);
  ms_status status = msl_need_runtime(L, state, &error);
  if (status != MS_OK) return msl_raise_error(L, &error);
  msl_timer *self = lua_newuserdatauv(L, sizeof(*self), TIMER_SLOTS);
  *self = (msl_timer){state, NULL, 0, 0};
  luaL_setmetatable(L, timer_type);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, TIMER_FUNCTION);
  msl_anchor(L, self);
  self->due_ns = msl_clock_ns() + (int64_t)(seconds * 1e9);
  self->period_ns = again ? (int64_t)(seconds * 1e9) : 0;
  status = arm(self);
  if (status != MS_OK) {
    msl_release_anchor(L, self);
    return msl_raise(L, status, "timer: %s", ms_status_text(status));
  }
  state->timer_count++;
  msl_keep_shares(L, state);
  return 1;
}

static int module_after(lua_State *L) { return start_timer(L, false); }

static int module_every(lua_State *L) { return start_timer(L, true); }

void msl_open_timer(lua_State *L, msl_state *state) {
  (void)state;
  luaL_newmetatable(L, timer_type);
  lua_newtable(L);
  lua_pushcfunction(L, timer_close);
  lua_setfield(L, -2, "close");
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, timer_close);
  lua_setfield(L, -2, "__close");
  lua_pushcfunction(L, timer_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

void msl_register_timer(lua_State *L) {
  lua_pushcfunction(L, module_after);
  lua_setfield(L, -2, "after");
  lua_pushcfunction(L, module_every);
  lua_setfield(L, -2, "every");
}
