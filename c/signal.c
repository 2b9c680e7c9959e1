/*
 * Signals, for programs that own their process and say so: the command `memshare run`
 * calls catch_signals(). The library itself installs no handlers.
 *
 * A signal has one handler per process, so what it needs is static here, and nothing
 * else is: a flag, the runtime to wake, and the Lua state to interrupt. Inside
 * memshare.run() a signal makes it return; outside the script is interrupted by an
 * error at its current line. The third signal kills.
 */
#include "core.h"

#include <signal.h>
#include <stdatomic.h>

static atomic_int caught; /* the signal that nobody has asked for yet; 0: none */
static atomic_int caught_count;
static _Atomic(ms_runtime *) runtime_to_wake;
static _Atomic(lua_State *) state_to_interrupt; /* NULL: signals are not caught */
static atomic_bool is_in_run;

enum { PATIENCE = 3 };
static const int signals[] = {SIGINT, SIGTERM};
enum { SIGNAL_COUNT = sizeof(signals) / sizeof(signals[0]) };
static struct sigaction former[SIGNAL_COUNT];

static const char *name_of(int number) { return number == SIGINT ? "SIGINT" : "SIGTERM"; }

static void interrupt_script(lua_State *L, lua_Debug *frame) {
  (void)frame;
  lua_sethook(L, NULL, 0, 0);
  if (atomic_load(&caught) == 0 || atomic_load(&is_in_run)) return;
  luaL_error(L, "interrupted by %s", name_of(atomic_load(&caught)));
}

/* All it calls may be called in a signal handler; lua_sethook as in lua.c. */
static void on_signal(int number) {
  lua_State *L = atomic_load(&state_to_interrupt);
  ms_runtime *runtime = atomic_load(&runtime_to_wake);
  atomic_store(&caught, number);
  if (atomic_fetch_add(&caught_count, 1) + 1 >= PATIENCE) {
    signal(number, SIG_DFL);
    raise(number);
  }
  if (runtime != NULL) ms_runtime_wake(runtime);
  if (L != NULL && !atomic_load(&is_in_run)) {
    lua_sethook(L, interrupt_script,
                LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
  }
}

void msl_signal_runtime(ms_runtime *runtime) { atomic_store(&runtime_to_wake, runtime); }

bool msl_signal_pending(void) { return atomic_load(&caught) != 0; }

void msl_signal_in_run(bool in_run) { atomic_store(&is_in_run, in_run); }

static void restore(void) {
  if (atomic_exchange(&state_to_interrupt, NULL) == NULL) return;
  for (int i = 0; i < SIGNAL_COUNT; i++) sigaction(signals[i], &former[i], NULL);
}

static int guard_gc(lua_State *L) {
  (void)L;
  restore();
  return 0;
}

/* catch_signals(): until the Lua state ends or release_signals(). The main thread is
 * interrupted. */
static int module_catch_signals(lua_State *L) {
  if (atomic_load(&state_to_interrupt) != NULL) {
    return msl_raise(L, MS_EBUSY, "signals are caught already");
  }
  lua_newuserdatauv(L, 0, 0); /* its end restores the handlers */
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, guard_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, signals);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  atomic_store(&caught, 0);
  atomic_store(&caught_count, 0);
  atomic_store(&state_to_interrupt, lua_tothread(L, -1));
  struct sigaction action = {.sa_handler = on_signal};
  sigemptyset(&action.sa_mask);
  for (int i = 0; i < SIGNAL_COUNT; i++) sigaction(signals[i], &action, &former[i]);
  return 0;
}

static int module_release_signals(lua_State *L) {
  (void)L;
  restore();
  return 0;
}

/* caught_signal(): "SIGINT" or "SIGTERM", once; nil when there was none. */
static int module_caught_signal(lua_State *L) {
  int number = atomic_exchange(&caught, 0);
  if (number == 0) return 0;
  lua_pushstring(L, name_of(number));
  return 1;
}

static const luaL_Reg functions[] = {
    {"catch_signals", module_catch_signals},
    {"caught_signal", module_caught_signal},
    {"release_signals", module_release_signals},
    {NULL, NULL},
};

void msl_register_signal(lua_State *L) { luaL_setfuncs(L, functions, 0); }
