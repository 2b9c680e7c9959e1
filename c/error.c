/*
 * How failure reaches Lua: mistakes raise at the caller's line, with the code at the
 * end of the message; what the world does is nil, message, code.
 */
#include "core.h"

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

/* Pushes "file:line: " of the innermost Lua function: a metamethod may have been called
 * by a function of the standard library, which has no lines. */
static void push_position(lua_State *L) {
  lua_Debug frame;
  for (int level = 1; lua_getstack(L, level, &frame); level++) {
    lua_getinfo(L, "Sl", &frame);
    if (frame.currentline > 0) {
      lua_pushfstring(L, "%s:%d: ", frame.short_src, frame.currentline);
      return;
    }
  }
  lua_pushliteral(L, "");
}

__attribute__((noreturn)) static void raise_text(lua_State *L, ms_status status,
                                                 const char *message) {
  luaL_checkstack(L, 4, NULL);
  push_position(L);
  lua_pushfstring(L, "%s (%s)", message, ms_status_name(status));
  lua_concat(L, 2);
  lua_error(L);
  __builtin_unreachable(); /* lua.h does not say so */
}

int msl_raise(lua_State *L, ms_status status, const char *format, ...) {
  char message[MS_MESSAGE_MAX];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof(message), format, arguments);
  va_end(arguments);
  raise_text(L, status, message);
}

int msl_raise_error(lua_State *L, const ms_error *error) {
  raise_text(L, error->status, error->message);
}

int msl_push_failure(lua_State *L, const ms_error *error) {
  lua_pushnil(L);
  lua_pushstring(L, error->message);
  lua_pushstring(L, ms_status_name(error->status));
  return 3;
}

ms_status msl_fail(ms_error *error, ms_status status, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->message, sizeof(error->message), format, arguments);
  va_end(arguments);
  error->status = status;
  return status;
}

ms_status msl_fail_plain(ms_error *error, ms_status status) {
  return msl_fail(error, status, "%s", ms_status_text(status));
}

ms_status msl_finish(ms_error *error, ms_status status) {
  if (status == MS_OK || error->status == status) return status;
  return msl_fail_plain(error, status);
}

bool msl_is_mistake(ms_status status) {
  switch (status) {
    case MS_EARGUMENT:
    case MS_EOPERATOR:
    case MS_EOVERLAP:
    case MS_ELIMIT:
    case MS_EREADONLY:
    case MS_ECLOSED:
    case MS_EWRONGTHREAD: return true;
    default: return false;
  }
}

int msl_raise_type(lua_State *L, int index, const char *name, const char *expected) {
  msl_raise(L, MS_EARGUMENT, "%s: %s expected, got %s", name, expected,
            luaL_typename(L, index));
}

const char *msl_check_string(lua_State *L, int index, const char *name, size_t *length) {
  if (lua_type(L, index) != LUA_TSTRING) msl_raise_type(L, index, name, "string");
  return lua_tolstring(L, index, length);
}

void msl_check_function(lua_State *L, int index, const char *name) {
  if (lua_type(L, index) == LUA_TFUNCTION) return;
  if (luaL_getmetafield(L, index, "__call") != LUA_TNIL) {
    lua_pop(L, 1);
    return;
  }
  msl_raise_type(L, index, name, "function");
}

int msl_check_seconds(lua_State *L, int index, const char *name, int none) {
  if (lua_isnoneornil(L, index)) return none;
  if (lua_type(L, index) != LUA_TNUMBER) msl_raise_type(L, index, name, "seconds");
  lua_Number seconds = lua_tonumber(L, index);
  if (!(seconds >= 0))
    msl_raise(L, MS_EARGUMENT, "%s: %g is no time to wait", name, seconds);
  if (isinf(seconds)) return -1;
  if (seconds * 1000 >= INT_MAX) return INT_MAX;
  int ms = (int)(seconds * 1000);
  return ms < seconds * 1000 ? ms + 1 : ms;
}
