/*
 * Messages: share:emit, share:on_event; share:handle, share:call and the calls that a handler gets.
 */
#include "core.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char call_type[] = "memshare.call";
static const char asked_type[] = "memshare.asked";

/* ------------------------------------------------------------------- events */

/* The arguments from `first` on, as one array. */
static ms_status read_list(lua_State *L, int first, const ms_value **out,
                           ms_error *error) {
  int top = lua_gettop(L);
  const ms_value *list = NULL;
  ms_status status = ms_value_new_array(NULL, &list);
  for (int i = first; i <= top && status == MS_OK; i++) {
    const ms_value *value = NULL;
    const msl_where where = {NULL, "argument", 8};
    if (lua_isnil(L, i)) {
      value = ms_value_null();
    } else {
      status = msl_read_any(L, i, &where, &value, error);
    }
    if (status == MS_OK) status = ms_value_append(NULL, &list, value);
    if (!lua_isnil(L, i)) ms_value_release(value);
  }
  if (status != MS_OK) {
    ms_value_release(list);
    return status;
  }
  *out = list;
  return MS_OK;
}

/* emit(event, ...): a receipt. */
int msl_share_emit(lua_State *L) {
  msl_share *self = msl_check_open_share(L, 1);
  ms_error error = {MS_OK, ""};
  size_t length;
  const char *name = msl_check_string(L, 2, "event", &length);
  const ms_value *list = NULL;
  ms_status status = read_list(L, 3, &list, &error);
  if (msl_finish(&error, status) != MS_OK) return msl_raise_error(L, &error);
  lua_settop(L, 2);
  msl_hold *hold = msl_push_hold(L);
  hold->value = list;
  ms_receipt **receipt = msl_push_write_receipt(L, 1);
  status = ms_share_emit(self->share, name, length, list, receipt, &error);
  if (msl_finish(&error, status) == MS_OK) return 1;
  if (msl_is_mistake(error.status)) return msl_raise_error(L, &error);
  return msl_push_failure(L, &error);
}

typedef struct heard {
  msl_sub *sub;
  const ms_event *event;
} heard;

static void push_info(lua_State *L, const ms_event *event) {
  lua_createtable(L, 0, 5);
  lua_pushlstring(L, event->name, event->name_length);
  lua_setfield(L, -2, "name");
  msl_push_id(L, event->origin);
  lua_setfield(L, -2, "origin");
  lua_pushinteger(L, (lua_Integer)event->version);
  lua_setfield(L, -2, "version");
  lua_pushnumber(L, (lua_Number)event->wall_ms / 1000);
  lua_setfield(L, -2, "time");
  lua_pushboolean(L, event->is_local);
  lua_setfield(L, -2, "is_local");
}

/* fn(..., info) */
static int call_event(lua_State *L) {
  const heard *at = lua_touserdata(L, 1);
  const ms_value *list = at->event->value;
  bool is_list = ms_value_type(list) == MS_ARRAY; /* Lua's; C may emit anything */
  size_t count = is_list ? ms_value_count(list) : ms_value_type(list) == MS_EMPTY ? 0 : 1;
  if (count > (size_t)INT16_MAX || !lua_checkstack(L, (int)count + 12))
    luaL_error(L, "event with %d arguments: too many for a call", (int)count);
  msl_hold *hold = msl_push_hold(L);
  hold->value = ms_value_retain(list);
  if (!msl_push_listener(L, at->sub)) return 0;
  for (size_t i = 0; i < count; i++) {
    const ms_value *value = is_list ? ms_value_at(list, i) : list;
    if (ms_value_type(value) == MS_NULL) {
      lua_pushnil(L);
    } else {
      msl_push_copy(L, value);
    }
  }
  push_info(L, at->event);
  lua_call(L, (int)count + 1, 0);
  return 0;
}

static void on_event(void *ud, const ms_event *event) {
  heard at = {ud, event};
  msl_enter_lua(msl_sub_share(at.sub)->state, call_event, &at);
}

/* on_event(event, fn): a subscription; nil: every event. */
int msl_share_on_event(lua_State *L) {
  msl_share *share = msl_check_open_share(L, 1);
  size_t length = 0;
  ms_sub **slot;
  lua_settop(L, 3);
  const char *name = lua_isnil(L, 2) ? NULL : msl_check_string(L, 2, "event", &length);
  msl_check_function(L, 3, "fn");
  msl_sub *self = msl_push_sub(L, share, 3, &slot);
  ms_status status = ms_share_on_event(share->share, name, length, on_event, self, slot);
  if (status == MS_OK) return 1;
  msl_drop_sub(L, self);
  return msl_raise(L, status, "event: %s", ms_status_text(status));
}

/* ----------------------------------------------------------- calls that come in */

typedef struct msl_call {
  ms_call *call;
  bool is_deferred; /* the handler answers later */
  bool is_answered;
} msl_call;

enum { CALL_ERROR = 1, CALL_SLOTS = CALL_ERROR };

static msl_call *check_call(lua_State *L) {
  msl_call *self = luaL_testudata(L, 1, call_type);
  if (self == NULL) msl_raise_type(L, 1, "self", call_type);
  return self;
}

static int call_gc(lua_State *L) {
  msl_call *self = lua_touserdata(L, 1);
  ms_call_release(self->call);
  self->call = NULL;
  return 0;
}

/* The answer that was tried. */
static int answered(lua_State *L, msl_call *self, ms_status status, ms_error *error) {
  if (msl_finish(error, status) == MS_OK) {
    self->is_answered = true;
    lua_pushboolean(L, 1);
    return 1;
  }
  if (msl_is_mistake(error->status)) return msl_raise_error(L, error);
  return msl_push_failure(L, error);
}

/* reply(value): true, or nil, message, code. */
static int call_reply(lua_State *L) {
  msl_call *self = check_call(L);
  ms_error error = {MS_OK, ""};
  const ms_value *value = NULL;
  const msl_where where = {NULL, "answer", 6};
  lua_settop(L, 2);
  ms_status status = MS_OK;
  if (!lua_isnil(L, 2)) status = msl_read_any(L, 2, &where, &value, &error);
  if (status == MS_OK) status = ms_call_reply(self->call, value, &error);
  ms_value_release(value);
  return answered(L, self, status, &error);
}

/* fail(message, code): true, or nil, message, code. */
static int call_fail(lua_State *L) {
  msl_call *self = check_call(L);
  ms_error error = {MS_OK, ""};
  lua_settop(L, 3);
  const char *message = luaL_tolstring(L, 2, NULL);
  const char *code = lua_isnil(L, 3) ? "EARGUMENT" : msl_check_string(L, 3, "code", NULL);
  return answered(L, self, ms_call_fail(self->call, code, message, &error), &error);
}

/* defer(): the call itself; what the handler returns is no answer. */
static int call_defer(lua_State *L) {
  check_call(L)->is_deferred = true;
  lua_settop(L, 1);
  return 1;
}

/* The methods are upvalue 1. */
static int call_index(lua_State *L) {
  const msl_call *self = lua_touserdata(L, 1);
  size_t length;
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(key, "origin") == 0) {
    msl_push_id(L, ms_call_origin(self->call));
    return 1;
  }
  if (strcmp(key, "name") != 0) return 1;
  const char *name = ms_call_name(self->call, &length);
  lua_pushlstring(L, name, length);
  return 1;
}

static msl_call *push_call(lua_State *L, ms_call *call) {
  msl_call *self = lua_newuserdatauv(L, sizeof(*self), CALL_SLOTS);
  *self = (msl_call){NULL, false, false};
  luaL_setmetatable(L, call_type);
  self->call = ms_call_retain(call);
  return self;
}

/* Message handler: keeps the message for the caller, and gives its traceback. Upvalue 1: the call. */
static int keep_error(lua_State *L) {
  lua_settop(L, 1);
  (void)luaL_tolstring(L, 1, NULL);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, lua_upvalueindex(1), CALL_ERROR);
  luaL_traceback(L, L, lua_tostring(L, 2), 1);
  return 1;
}

/* Sends what the handler returned: value, message and code, the last three on the stack. */
static void send_result(lua_State *L, const msl_call *self) {
  ms_error error = {MS_OK, ""};
  int first = lua_gettop(L) - 2;
  const msl_where where = {NULL, "answer", 6};
  const ms_value *value = NULL;
  ms_status status = MS_OK;
  if (lua_isnil(L, first) && !lua_isnil(L, first + 1)) {
    const char *message = luaL_tolstring(L, first + 1, NULL);
    const char *code =
        lua_type(L, first + 2) == LUA_TSTRING ? lua_tostring(L, first + 2) : "EARGUMENT";
    status = ms_call_fail(self->call, code, message, &error);
  } else {
    if (!lua_isnil(L, first)) status = msl_read_any(L, first, &where, &value, &error);
    if (status == MS_OK) status = ms_call_reply(self->call, value, &error);
    ms_value_release(value);
  }
  if (msl_finish(&error, status) == MS_OK || status == MS_ECLOSED) return;
  char message[MS_MESSAGE_MAX];
  memcpy(message, error.message, sizeof(message));
  (void)msl_finish(&error,
                   ms_call_fail(self->call, ms_status_name(status), message, &error));
  luaL_error(L, "the answer was not sent: %s (%s)", message, ms_status_name(status));
}

typedef struct incoming {
  msl_sub *sub;
  ms_call *call;
} incoming;

/* fn(args, call) */
static int call_handler(lua_State *L) {
  const incoming *at = lua_touserdata(L, 1);
  luaL_checkstack(L, 16, NULL);
  const msl_call *self = push_call(L, at->call); /* 2 */
  lua_pushvalue(L, 2);
  lua_pushcclosure(L, keep_error, 1); /* 3 */
  if (!msl_push_listener(L, at->sub)) return 0;
  const ms_value *value = ms_call_value(self->call);
  if (ms_value_type(value) == MS_NULL) {
    lua_pushnil(L);
  } else {
    msl_push_copy(L, value);
  }
  lua_pushvalue(L, 2);
  if (lua_pcall(L, 2, 3, 3) == LUA_OK) {
    if (!self->is_deferred && !self->is_answered) send_result(L, self);
    return 0;
  }
  ms_error error = {MS_OK, ""};
  lua_getiuservalue(L, 2, CALL_ERROR);
  const char *message = lua_tostring(L, -1);
  (void)msl_finish(&error, ms_call_fail(self->call, "EARGUMENT", message, &error));
  lua_pop(L, 1);
  msl_contain_error(L);
  return 0;
}

static void on_call(void *ud, ms_call *call) {
  incoming at = {ud, call};
  msl_enter_lua(msl_sub_share(at.sub)->state, call_handler, &at);
}

/* handle(name, fn): a subscription. */
int msl_share_handle(lua_State *L) {
  msl_share *share = msl_check_open_share(L, 1);
  size_t length;
  ms_sub **slot;
  lua_settop(L, 3);
  const char *name = msl_check_string(L, 2, "name", &length);
  msl_check_function(L, 3, "fn");
  msl_sub *self = msl_push_sub(L, share, 3, &slot);
  ms_status status = ms_share_handle(share->share, name, length, on_call, self, slot);
  if (status == MS_OK) return 1;
  msl_drop_sub(L, self);
  if (status == MS_EBUSY)
    return msl_raise(L, status, "this process handles \"%s\" already", name);
  return msl_raise(L, status, "name: %s", ms_status_text(status));
}

/* ---------------------------------------------------------- calls of this process */

/* Held by the userdata and, until it is told, by the library. */
typedef struct asked {
  bool is_told, is_left; /* by the library, by the userdata */
  ms_status status;
  const ms_value *value; /* retained; NULL unless it went well */
  char code[32];
  char message[MS_MESSAGE_MAX];
} asked;

static void copy_text(char *out, size_t size, const char *text) {
  size_t length = strnlen(text, size - 1);
  memcpy(out, text, length);
  out[length] = '\0';
}

static void free_asked(asked *self) {
  ms_value_release(self->value);
  free(self);
}

static void on_reply(void *ud, const ms_reply *reply) {
  asked *self = ud;
  if (self->is_left) {
    free_asked(self);
    return;
  }
  self->is_told = true;
  self->status = reply->status;
  self->value = ms_value_retain(reply->value);
  copy_text(self->code, sizeof(self->code), reply->code);
  copy_text(self->message, sizeof(self->message), reply->message);
}

static bool is_told(void *ud) { return ((const asked *)ud)->is_told; }

static int asked_gc(lua_State *L) {
  asked **slot = lua_touserdata(L, 1);
  asked *self = *slot;
  *slot = NULL;
  if (self == NULL) return 0;
  self->is_left = true;
  if (self->is_told) free_asked(self);
  return 0;
}

enum { ASK_NAME = 2, ASK_VALUE, ASK_OPTIONS, ASK_ASKED };

/* The answer, or nil, message, code. */
static int finish_call(lua_State *L, int status, lua_KContext context) {
  const asked *self = *(asked **)lua_touserdata(L, ASK_ASKED);
  (void)status;
  (void)context;
  lua_settop(L, ASK_ASKED);
  if (self->is_told && self->status == MS_OK) {
    if (ms_value_type(self->value) == MS_NULL) {
      lua_pushnil(L);
    } else {
      msl_push_copy(L, self->value);
    }
    return 1;
  }
  lua_pushnil(L);
  lua_pushstring(L, self->is_told ? self->message : "the call was interrupted");
  lua_pushstring(L, self->is_told ? self->code : "ETIMEDOUT");
  return 3;
}

typedef struct call_options {
  const char *to;
  int timeout_ms;
} call_options;
static const msl_option call_option_list[] = {
    {"to", MSL_OPTION_STRING, offsetof(call_options, to)},
    {"timeout", MSL_OPTION_SECONDS, offsetof(call_options, timeout_ms)},
    {NULL, MSL_OPTION_BOOL, 0},
};

static uint64_t read_peer(lua_State *L, const char *to) {
  if (to == NULL || strcmp(to, "any") == 0) return MS_CALL_ANY;
  if (strcmp(to, "host") == 0) return MS_CALL_HOST;
  size_t length = strlen(to);
  bool is_id = length > 0 && length <= 16 && strspn(to, "0123456789abcdef") == length;
  uint64_t peer = is_id ? strtoull(to, NULL, 16) : 0;
  if (peer == 0 || peer == MS_CALL_HOST) {
    msl_raise(L, MS_EARGUMENT,
              "option \"to\": \"any\", \"host\" or a peer's id expected, got \"%s\"", to);
  }
  return peer;
}

/* The arguments are checked; pushes what waits for the answer. */
static asked *push_asked(lua_State *L) {
  asked **slot = lua_newuserdatauv(L, sizeof(asked *), 0);
  *slot = NULL;
  luaL_setmetatable(L, asked_type);
  *slot = calloc(1, sizeof(asked));
  if (*slot == NULL) msl_raise(L, MS_ENOMEM, "out of memory");
  return *slot;
}

/* call(name, args, { to = "any" | "host" | id, timeout = seconds }) */
int msl_share_call(lua_State *L) {
  msl_share *share = msl_check_open_share(L, 1);
  size_t length;
  const char *name = msl_check_string(L, ASK_NAME, "name", &length);
  call_options options = {NULL, share->timeout_ms};
  bool in_task = msl_in_task(L, share->state);
  ms_error error = {MS_OK, ""};
  const msl_where where = {NULL, "args", 4};
  const ms_value *value = NULL;
  lua_settop(L, ASK_OPTIONS);
  msl_check_options(L, ASK_OPTIONS, call_option_list, &options);
  uint64_t to = read_peer(L, options.to);
  if (share->in_batch) msl_raise(L, MS_EBUSY, "a call inside a batch");
  if (share->in_transaction) msl_raise(L, MS_EBUSY, "a call inside a transaction");
  if (!in_task) msl_check_may_poll(L, share->state, "call");
  asked *self = push_asked(L);
  ms_status status = MS_OK;
  if (!lua_isnil(L, ASK_VALUE)) {
    status = msl_read_any(L, ASK_VALUE, &where, &value, &error);
    if (msl_finish(&error, status) != MS_OK) return msl_raise_error(L, &error);
  }
  status = ms_share_call(share->share, to, name, length, value, options.timeout_ms,
                         on_reply, self, &error);
  ms_value_release(value);
  if (msl_finish(&error, status) != MS_OK) {
    self->is_told = true; /* nobody will */
    if (msl_is_mistake(error.status)) return msl_raise_error(L, &error);
    return msl_push_failure(L, &error);
  }
  if (in_task) return msl_yield_until(L, share->state, is_told, self, -1, 0, finish_call);
  status = ms_runtime_wait(share->runtime, -1, is_told, self);
  msl_after_poll(L, share->state);
  (void)status; /* how it ended shows in the answer */
  return finish_call(L, LUA_OK, 0);
}

/* ------------------------------------------------------------------- opening */

static const luaL_Reg call_methods[] = {
    {"defer", call_defer}, {"fail", call_fail}, {"reply", call_reply}, {NULL, NULL}};

void msl_open_message(lua_State *L) {
  luaL_newmetatable(L, asked_type);
  lua_pushcfunction(L, asked_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  luaL_newmetatable(L, call_type);
  lua_pushcfunction(L, call_gc);
  lua_setfield(L, -2, "__gc");
  luaL_newlib(L, call_methods);
  lua_pushcclosure(L, call_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pushliteral(L, "memshare.call");
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}
