/*
 * What one Lua state has once: its runtime, the thread that callbacks run on, its
 * anchors.
 *
 * The runtime is opened by the first share and closed with the Lua state; or it is the
 * program's, learned from ms_lua_push. Callbacks run on a Lua thread of their own,
 * because the one that polls may be a coroutine, or no Lua at all (ms_runtime_poll
 * called by the program).
 */
#include "core.h"

#include <lualib.h>

#include <stdlib.h>
#include <string.h>

/* Keys of the registry. */
static const char state_key;
static const char anchors_key;
static const char module_key;

/* How long the end of a Lua state waits for patches of shares that were not closed. */
enum { FAREWELL_MS = 5000 };

msl_state *msl_get_state(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &state_key);
  msl_state *state = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return state;
}

/* ---------------------------------------------------------------- anchors */

void msl_anchor(lua_State *L, const void *address) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &anchors_key);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, address);
  lua_pop(L, 1);
}

void msl_release_anchor(lua_State *L, const void *address) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &anchors_key);
  if (lua_rawgetp(L, -1, address) != LUA_TNIL) {
    lua_pushnil(L); /* the key exists: no memory is needed */
    lua_rawsetp(L, -3, address);
  }
  lua_pop(L, 2);
}

void msl_push_anchored(lua_State *L, const void *address) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &anchors_key);
  lua_rawgetp(L, -1, address);
  lua_remove(L, -2);
}

/* ------------------------------------------------------------ calling Lua */

void msl_push_module_field(lua_State *L, const char *name) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &module_key) == LUA_TTABLE) {
    lua_pushstring(L, name);
    lua_rawget(L, -2);
    lua_remove(L, -2);
  }
}

/* Message handler: the message with its traceback. */
static int add_traceback(lua_State *L) {
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}

/* memshare.on_error(traceback); a warning of Lua when there is no such function. */
static int report_error(lua_State *L) {
  msl_push_module_field(L, "on_error");
  if (lua_isnil(L, -1)) {
    lua_warning(L, "memshare: ", 1);
    lua_warning(L, luaL_tolstring(L, 1, NULL), 0);
    return 0;
  }
  lua_pushvalue(L, 1);
  lua_call(L, 1, 0);
  return 0;
}

void msl_contain_error(lua_State *L) {
  if (lua_checkstack(L, 2)) {
    lua_pushcfunction(L, report_error);
    lua_insert(L, -2);
    if (lua_pcall(L, 1, 0, 0) == LUA_OK) return;
  }
  lua_pop(L, 1);
}

void msl_call_contained(lua_State *L, msl_state *state, int nargs) {
  int handler = lua_gettop(L) - nargs;
  lua_pushcfunction(L, add_traceback);
  lua_insert(L, handler);
  state->calling++;
  if (lua_pcall(L, nargs, 0, handler) != LUA_OK) msl_contain_error(L);
  state->calling--;
  lua_remove(L, handler);
}

void msl_enter_lua(msl_state *state, lua_CFunction function, void *argument) {
  lua_State *L = state->callback;
  if (!lua_checkstack(L, 8)) return;
  lua_pushcfunction(L, function);
  lua_pushlightuserdata(L, argument);
  msl_call_contained(L, state, 1);
}

/* ---------------------------------------------------------------- runtime */

/* The script's name, as other peers see it; borrowed from the table `arg`, NULL when
 * there is none. */
static const char *script_name(lua_State *L) {
  const char *name = NULL;
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  lua_pushliteral(L, "arg");
  if (lua_rawget(L, -2) == LUA_TTABLE) {
    if (lua_rawgeti(L, -1, 0) == LUA_TSTRING) {
      name = lua_tostring(L, -1);
      const char *slash = strrchr(name, '/');
      if (slash != NULL) name = slash + 1;
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
  return name;
}

ms_status msl_need_runtime(lua_State *L, msl_state *state, ms_error *error) {
  if (state->runtime != NULL) return MS_OK;
  if (state->ended) return msl_fail(error, MS_ECLOSED, "the Lua state is closing");
  ms_runtime_config config;
  ms_runtime_config_init(&config);
  config.log = msl_log_write;
  config.log_ud = state->log;
  luaL_checkstack(L, 4, NULL);
  config.program = script_name(L);
  ms_status status = ms_runtime_open(&config, &state->runtime, error);
  if (status != MS_OK) return msl_finish(error, status);
  state->owns_runtime = true;
  msl_log_set_runtime(state->log, state->runtime);
  msl_signal_runtime(state->runtime);
  return MS_OK;
}

void msl_leave_later(msl_state *state, msl_leaving *node) {
  node->next = state->leaving;
  state->leaving = node;
}

/* Lets go of shares whose patches are settled by now. */
static void let_leave(msl_state *state) {
  msl_leaving **at = &state->leaving;
  while (*at != NULL) {
    msl_leaving *node = *at;
    ms_share_info info;
    memset(&info, 0, sizeof(info));
    info.bytes = sizeof(info);
    ms_share_inspect(node->share, &info);
    if (info.pending > 0 && info.state != MS_SHARE_CLOSED) {
      at = &node->next;
      continue;
    }
    *at = node->next;
    (void)ms_share_close(node->share, 0);
    ms_share_free(node->share);
    free(node);
  }
}

static void deliver_log(lua_State *L, msl_state *state) {
  static const char *const names[] = {"debug", "info", "warning", "error"};
  char line[256];
  ms_log_level level;
  if (state->ended) return;
  while (msl_log_read(state->log, &level, line, sizeof(line))) {
    luaL_checkstack(L, 6, NULL);
    msl_push_module_field(L, "log");
    if (lua_isnil(L, -1)) {
      lua_pop(L, 1);
      lua_warning(L, "memshare: ", 1);
      lua_warning(L, line, 0);
      continue;
    }
    lua_pushstring(L, names[level]);
    lua_pushstring(L, line);
    msl_call_contained(L, state, 2);
  }
}

void msl_after_poll(lua_State *L, msl_state *state) {
  if (state->leaving != NULL) let_leave(state);
  deliver_log(L, state);
}

static int state_gc(lua_State *L) {
  msl_state *state = lua_touserdata(L, 1);
  int64_t end_ns = msl_clock_ns() + (int64_t)FAREWELL_MS * 1000000;
  while (state->leaving != NULL) {
    msl_leaving *node = state->leaving;
    state->leaving = node->next;
    int64_t left_ns = end_ns - msl_clock_ns();
    (void)ms_share_close(node->share, left_ns > 0 ? (int)(left_ns / 1000000) : 0);
    ms_share_free(node->share);
    free(node);
  }
  ms_round_close(state->round);
  state->round = NULL;
  if (state->owns_runtime) {
    msl_signal_runtime(NULL);
    msl_log_set_runtime(state->log, NULL);
    ms_runtime_close(state->runtime);
  }
  state->runtime = NULL;
  state->ended = true;
  msl_forget_joined(state);
  msl_log_free(state->log);
  state->log = NULL;
  return 0;
}

/* ---------------------------------------------------------------- polling */

void msl_check_may_poll(lua_State *L, const msl_state *state, const char *name) {
  if (state->calling > 0) msl_raise(L, MS_EBUSY, "%s inside a callback", name);
}

static ms_status turn(lua_State *L, msl_state *state, ms_runtime *runtime, int timeout_ms,
                      int64_t budget_us, bool *more) {
  ms_status status = ms_runtime_poll(runtime, timeout_ms, budget_us, more);
  msl_after_poll(L, state);
  return status;
}

int msl_poll(lua_State *L, msl_state *state, ms_runtime *runtime, int index) {
  lua_settop(L, index + 1);
  int timeout_ms = msl_check_seconds(L, index, "timeout", 0);
  int64_t budget_us = 0;
  if (!lua_isnil(L, index + 1)) {
    if (lua_type(L, index + 1) != LUA_TNUMBER)
      msl_raise_type(L, index + 1, "budget", "seconds");
    lua_Number seconds = lua_tonumber(L, index + 1);
    if (!(seconds >= 0)) msl_raise(L, MS_EARGUMENT, "budget: %g is no time", seconds);
    budget_us = seconds > 1e9 ? 0 : (int64_t)(seconds * 1e6) + 1;
  }
  msl_check_may_poll(L, state, "poll");
  bool more = false;
  ms_status status = turn(L, state, runtime, timeout_ms, budget_us, &more);
  if (status == MS_EBUSY)
    msl_raise(L, status, "poll inside a callback, batch or transaction");
  if (status != MS_OK) msl_raise(L, status, "poll: %s", ms_status_text(status));
  lua_pushboolean(L, more);
  return 1;
}

/* Milliseconds left until `end_ns`; -1 when there is no end. */
static int left_ms(int64_t end_ns) {
  if (end_ns < 0) return -1;
  int64_t left_ns = end_ns - msl_clock_ns();
  return left_ns <= 0 ? 0 : (int)((left_ns + 999999) / 1000000);
}

static int64_t end_of(int timeout_ms) {
  return timeout_ms < 0 ? -1 : msl_clock_ns() + (int64_t)timeout_ms * 1000000;
}

static msl_state *polling_state(lua_State *L, const char *name) {
  msl_state *state = msl_get_state(L);
  ms_error error = {MS_OK, ""};
  msl_check_may_poll(L, state, name);
  if (msl_need_runtime(L, state, &error) != MS_OK) msl_raise_error(L, &error);
  return state;
}

static int module_poll(lua_State *L) {
  msl_state *state = polling_state(L, "poll");
  return msl_poll(L, state, state->runtime, 1);
}

static int end_of_sleep(lua_State *L, int status, lua_KContext context) {
  (void)L, (void)status, (void)context;
  return 0;
}

static int module_sleep(lua_State *L) {
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) msl_raise_type(L, 1, "seconds", "number");
  int timeout_ms = msl_check_seconds(L, 1, "seconds", 0);
  if (msl_in_task(L, msl_get_state(L))) {
    return msl_yield_until(L, msl_get_state(L), NULL, NULL, timeout_ms, 0, end_of_sleep);
  }
  msl_state *state = polling_state(L, "sleep");
  int64_t end_ns = end_of(timeout_ms);
  int rest_ms;
  do {
    rest_ms = left_ms(end_ns);
    ms_status status = turn(L, state, state->runtime, rest_ms, 0, NULL);
    if (status == MS_EBUSY) msl_raise(L, status, "sleep inside a callback or batch");
    if (status != MS_OK) msl_raise(L, status, "sleep: %s", ms_status_text(status));
  } while (rest_ms != 0 && !msl_signal_pending());
  return 0;
}

/* Until stop() or a caught signal; without open shares, timers and tasks nothing can come. */
static ms_status run_until_stopped(lua_State *L, msl_state *state) {
  ms_status status = MS_OK;
  while (status == MS_OK && !state->stopping && !msl_signal_pending() &&
         (state->open_shares > 0 || state->timer_count > 0 || state->task_count > 0)) {
    status = turn(L, state, state->runtime, -1, 0, NULL);
  }
  return status;
}

static int module_run(lua_State *L) {
  msl_state *state = polling_state(L, "run");
  if (state->running) msl_raise(L, MS_EBUSY, "run inside memshare.run()");
  state->running = true;
  state->stopping = false;
  msl_keep_shares(L, state);
  msl_signal_in_run(true);
  ms_status status = run_until_stopped(L, state);
  msl_signal_in_run(false);
  state->running = false;
  msl_keep_shares(L, state);
  if (status == MS_EBUSY) msl_raise(L, status, "run inside a callback or batch");
  if (status != MS_OK) msl_raise(L, status, "run: %s", ms_status_text(status));
  return 0;
}

static int module_stop(lua_State *L) {
  msl_state *state = msl_get_state(L);
  state->stopping = true;
  if (state->runtime != NULL) ms_runtime_wake(state->runtime);
  return 0;
}

static int module_fd(lua_State *L) {
  msl_state *state = msl_get_state(L);
  ms_error error = {MS_OK, ""};
  if (msl_need_runtime(L, state, &error) != MS_OK) msl_raise_error(L, &error);
  lua_pushinteger(L, ms_runtime_fd(state->runtime));
  return 1;
}

/* attach(module): where on_error and log are looked up. */
static int module_attach(lua_State *L) {
  lua_settop(L, 1);
  if (lua_type(L, 1) != LUA_TTABLE) msl_raise_type(L, 1, "module", "table");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &module_key);
  return 0;
}

/* ----------------------------------------------------------------- opening */

static const luaL_Reg functions[] = {
    {"attach", module_attach},
    {"fd", module_fd},
    {"poll", module_poll},
    {"run", module_run},
    {"sleep", module_sleep},
    {"stop", module_stop},
    {NULL, NULL},
};

static void remember_shifters(lua_State *L, msl_state *state) {
  static const char *const names[] = {"insert", "remove", "sort", "move"};
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, LUA_TABLIBNAME) == LUA_TTABLE) {
    for (int i = 0; i < 4; i++) {
      lua_getfield(L, -1, names[i]);
      state->shifters[i] = lua_tocfunction(L, -1);
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 2);
}

/* Pushes the new state, which is registered once all of it stands. */
static msl_state *push_state(lua_State *L) {
  msl_state *state = lua_newuserdatauv(L, sizeof(*state), 2);
  memset(state, 0, sizeof(*state));
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, state_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  state->log = msl_log_new();
  if (state->log == NULL) luaL_error(L, "not enough memory");
  state->callback = lua_newthread(L);
  lua_setiuservalue(L, -2, 1);
  state->janitor = lua_newthread(L);
  lua_setiuservalue(L, -2, 2);
  remember_shifters(L, state);
  return state;
}

msl_state *msl_open(lua_State *L) {
  luaL_checkstack(L, 10, NULL);
  msl_state *state = msl_get_state(L);
  if (state != NULL) return state;
  state = push_state(L);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &anchors_key);
  msl_open_values(L, state);
  msl_open_operator(L, state);
  msl_open_proxy(L, state);
  msl_open_receipt(L, state);
  msl_open_batch(L, state);
  msl_open_lease(L);
  msl_open_message(L);
  msl_open_transaction(L);
  msl_open_sub(L, state);
  msl_open_timer(L, state);
  msl_open_task(L, state);
  msl_open_share(L, state);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &state_key);
  return state;
}

void msl_register_state(lua_State *L) { luaL_setfuncs(L, functions, 0); }
