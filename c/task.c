/*
 * Tasks: coroutines made by memshare.go, in which a call that waits yields instead.
 *
 * A task that waits stands in the list of its state with what it waits for, which is looked at after
 * each round of every poll (ms_runtime_on_round), whoever polls: memshare.run, another loop through
 * poll(0), or the program around the Lua state. Those that may go on move to the queue of ready ones
 * and are resumed from there one by one, so that a task which polls itself disturbs nothing.
 *
 * The stack of a task holds the subject of its wait. Nothing is asked of a coroutine that somebody
 * else has ended meanwhile; one that somebody else resumes goes on waiting.
 */
#include "core.h"

#include <string.h>

static const char tasks_key; /* of the registry: thread -> msl_task, while it lives */
static const char task_type[] = "memshare.task";
enum { TASK_THREAD = 1, TASK_SLOTS = TASK_THREAD };

struct msl_task {
  msl_state *state; /* NULL once it is over */
  lua_State *thread;
  struct msl_task *next, **link; /* in the list or the queue; link NULL: in neither */
  bool is_waiting;
  ms_done_fn is_done; /* NULL: gives way for a round, or sleeps */
  void *subject;
  ms_timer *timer; /* NULL: no end */
  int top;         /* of its stack when it yielded */
  lua_KContext context;
  lua_KFunction go_on;
};

/* ------------------------------------------------------------------ lists */

static void unlink_task(msl_state *state, msl_task *task) {
  if (task->link == NULL) return;
  *task->link = task->next;
  if (task->next != NULL) task->next->link = task->link;
  if (state->ready_end == &task->next) state->ready_end = task->link;
  task->next = NULL;
  task->link = NULL;
}

static void link_waiting(msl_state *state, msl_task *task) {
  task->link = &state->waiting;
  task->next = state->waiting;
  if (task->next != NULL) task->next->link = &task->next;
  state->waiting = task;
}

static void link_ready(msl_state *state, msl_task *task) {
  if (state->ready == NULL) state->ready_end = &state->ready;
  task->link = state->ready_end;
  *task->link = task;
  state->ready_end = &task->next;
}

static void end_wait(msl_state *state, msl_task *task) {
  unlink_task(state, task);
  ms_timer_close(task->timer);
  task->timer = NULL;
  task->is_waiting = false;
}

/* Its last reference in C goes. Cannot raise. */
static void forget(lua_State *L, msl_task *task) {
  msl_state *state = task->state;
  if (state == NULL) return;
  end_wait(state, task);
  state->task_count--;
  task->state = NULL;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &tasks_key);
  lua_rawgetp(L, LUA_REGISTRYINDEX, task);
  lua_getiuservalue(L, -1, TASK_THREAD);
  lua_pushnil(L); /* the key exists: no memory is needed */
  lua_rawset(L, -4);
  lua_pop(L, 2);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, task);
}

/* At the end of the Lua state, before that of its runtime: until then the registry holds it. */
static int task_gc(lua_State *L) {
  msl_task *task = lua_touserdata(L, 1);
  if (task->state == NULL) return 0;
  end_wait(task->state, task);
  task->state = NULL;
  return 0;
}

/* ------------------------------------------------------------------ running */

/* Arguments: the error of a task, and its thread, which is as the error left it. */
static int report(lua_State *L) {
  lua_State *thread = lua_touserdata(L, 2);
  luaL_traceback(L, thread, luaL_tolstring(L, 1, NULL), 0);
  msl_push_module_field(L, "on_error");
  if (lua_isnil(L, -1)) {
    lua_warning(L, "memshare: ", 1);
    lua_warning(L, lua_tostring(L, -2), 0);
    return 0;
  }
  lua_pushvalue(L, -2);
  lua_call(L, 1, 0);
  return 0;
}

/* Ends a task whose function has raised. What reporting raises is lost. */
static void fail_task(lua_State *L, lua_State *thread) {
  lua_pushcfunction(L, report);
  lua_xmove(thread, L, 1);
  lua_pushlightuserdata(L, thread);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
  (void)lua_resetthread(thread);
}

static void give_way(msl_state *state, msl_task *task) {
  task->is_waiting = true;
  task->is_done = NULL;
  task->go_on = NULL;
  link_waiting(state, task);
  ms_runtime_wake(state->runtime);
}

/* Resumes it with `count` values of its stack. False: no memory to begin with. Cannot raise. */
static bool run_task(lua_State *L, msl_state *state, msl_task *task, int count) {
  lua_State *thread = task->thread;
  int results = 0;
  if (!lua_checkstack(L, 8)) return false;
  lua_rawgetp(L, LUA_REGISTRYINDEX, task); /* holds it, and the thread */
  int status = lua_resume(thread, L, count, &results);
  if (status == LUA_YIELD) {
    lua_pop(thread, results);
    if (!task->is_waiting) give_way(state, task); /* by coroutine.yield() */
  } else {
    forget(L, task);
    if (status != LUA_OK) fail_task(L, thread);
  }
  lua_pop(L, 1);
  return true;
}

/* Has somebody else ended the coroutine? */
static bool is_over(const msl_task *task) {
  return lua_status(task->thread) != LUA_YIELD;
}

static void on_round(void *ud) {
  msl_state *state = ud;
  msl_task *next;
  for (msl_task *task = state->waiting; task != NULL; task = next) {
    next = task->next;
    if (is_over(task)) {
      forget(state->callback, task);
    } else if (task->is_done == NULL ? task->timer == NULL
                                     : task->is_done(task->subject)) {
      unlink_task(state, task);
      link_ready(state, task);
    }
  }
  while (state->ready != NULL) {
    msl_task *task = state->ready;
    end_wait(state, task);
    if (is_over(task)) {
      forget(state->callback, task);
    } else if (!run_task(state->callback, state, task, 0)) {
      give_way(state, task);
      return;
    }
  }
}

static void on_time(void *ud) {
  msl_task *task = ud;
  task->timer = NULL;
  unlink_task(task->state, task);
  link_ready(task->state, task);
}

/* ------------------------------------------------------------------ waiting */

/* The task that runs on L and can yield; NULL: none. */
static msl_task *running_task(lua_State *L, const msl_state *state) {
  if (state->task_count == 0 || !lua_isyieldable(L)) return NULL;
  luaL_checkstack(L, 3, NULL);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &tasks_key);
  lua_pushthread(L);
  lua_rawget(L, -2);
  msl_task *task = lua_touserdata(L, -1);
  lua_pop(L, 2);
  return task;
}

bool msl_in_task(lua_State *L, const msl_state *state) {
  return running_task(L, state) != NULL;
}

static int continue_wait(lua_State *L, int status, lua_KContext context) {
  msl_task *task = (msl_task *)context;
  lua_settop(L, task->top); /* what it was resumed with */
  if (task->is_waiting) return lua_yieldk(L, 0, context, continue_wait);
  return task->go_on(L, status, task->context);
}

int msl_yield_until(lua_State *L, msl_state *state, ms_done_fn is_done, void *subject,
                    int timeout_ms, lua_KContext context, lua_KFunction go_on) {
  msl_task *task = running_task(L, state);
  if (timeout_ms >= 0) {
    ms_status status =
        ms_runtime_after(state->runtime, timeout_ms, on_time, task, &task->timer);
    if (status != MS_OK) msl_raise(L, status, "%s", ms_status_text(status));
  }
  task->is_waiting = true;
  task->is_done = is_done;
  task->subject = subject;
  task->top = lua_gettop(L);
  task->context = context;
  task->go_on = go_on;
  link_waiting(state, task);
  return lua_yieldk(L, 0, (lua_KContext)task, continue_wait);
}

/* ------------------------------------------------------------------ starting */

/* Pushes a thread and registers the task that it is. */
static msl_task *push_task(lua_State *L, msl_state *state) {
  lua_State *thread = lua_newthread(L);
  msl_task *task = lua_newuserdatauv(L, sizeof(*task), TASK_SLOTS);
  memset(task, 0, sizeof(*task));
  luaL_setmetatable(L, task_type);
  lua_pushvalue(L, -2);
  lua_setiuservalue(L, -2, TASK_THREAD);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &tasks_key);
  lua_pushvalue(L, -3);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, task);
  task->thread = thread;
  task->state = state;
  state->task_count++;
  return task;
}

/* go(fn, ...): the coroutine, which has run up to its first wait. */
static int module_go(lua_State *L) {
  msl_state *state = msl_get_state(L);
  ms_error error = {MS_OK, ""};
  if (lua_gettop(L) == 0) lua_settop(L, 1);
  msl_check_function(L, 1, "fn");
  int count = lua_gettop(L);
  luaL_checkstack(L, 12, NULL);
  if (msl_need_runtime(L, state, &error) != MS_OK) return msl_raise_error(L, &error);
  if (state->round == NULL) {
    ms_status status =
        ms_runtime_on_round(state->runtime, on_round, state, &state->round);
    if (status != MS_OK) msl_raise(L, status, "go: %s", ms_status_text(status));
  }
  msl_task *task = push_task(L, state);
  bool has_room = lua_checkstack(task->thread, count + 2);
  lua_insert(L, 1);
  if (has_room) lua_xmove(L, task->thread, count);
  if (has_room && run_task(L, state, task, count - 1)) return 1;
  forget(L, task);
  return msl_raise(L, MS_ENOMEM, "go: out of memory");
}

void msl_open_task(lua_State *L, msl_state *state) {
  (void)state;
  luaL_newmetatable(L, task_type);
  lua_pushcfunction(L, task_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &tasks_key);
}

void msl_register_task(lua_State *L) {
  lua_pushcfunction(L, module_go);
  lua_setfield(L, -2, "go");
}
