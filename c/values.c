/* The functions of `memshare` that need no share: marks, copies, comparison, JSON,
 * updates. */
#include "core.h"

#include <string.h>
#include <time.h>

static int hold_release(lua_State *L) {
  msl_hold *hold = lua_touserdata(L, 1);
  const ms_value *value = hold->value;
  ms_path *path = hold->path;
  hold->value = NULL;
  hold->path = NULL;
  ms_value_release(value);
  ms_path_release(path);
  return 0;
}

msl_hold *msl_push_hold(lua_State *L) {
  msl_hold *hold = lua_newuserdatauv(L, sizeof(*hold), 0);
  *hold = (msl_hold){NULL, NULL};
  luaL_setmetatable(L, "memshare.hold");
  return hold;
}

/* Pushes a hold with the value of argument `index`, proxies included; raises what is
 * wrong. */
static msl_hold *hold_argument(lua_State *L, int index) {
  ms_error error;
  msl_hold *hold = msl_push_hold(L);
  if (msl_read_any(L, index, NULL, &hold->value, &error) != MS_OK)
    msl_raise_error(L, &error);
  return hold;
}

/* ------------------------------------------------------------------ marks */

static int mark(lua_State *L, const char *name, const char *type) {
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) {
    lua_newtable(L);
    lua_replace(L, 1);
  }
  if (lua_type(L, 1) != LUA_TTABLE) msl_raise_type(L, 1, name, "table");
  if (lua_getmetatable(L, 1)) {
    const void *metatable = lua_topointer(L, -1);
    const msl_state *state = msl_get_state(L);
    if (metatable != state->array_mark && metatable != state->object_mark) {
      msl_raise(L, MS_EARGUMENT, "%s: a plain table expected", name);
    }
    lua_pop(L, 1);
  }
  luaL_setmetatable(L, type);
  return 1;
}

static int module_array(lua_State *L) { return mark(L, "array", "memshare.array"); }

static int module_object(lua_State *L) { return mark(L, "object", "memshare.object"); }

/* ----------------------------------------------------------------- asking */

static int module_copy(lua_State *L) {
  const ms_value *value;
  const ms_path *path;
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) return 1;
  if (msl_test_proxy(L, 1, &value, &path) && value == NULL) {
    lua_pushnil(L);
    return 1;
  }
  msl_hold *hold = hold_argument(L, 1);
  msl_push_copy(L, hold->value);
  return 1;
}

static int module_count(lua_State *L) {
  const ms_value *value;
  const ms_path *path;
  lua_settop(L, 1);
  if (lua_type(L, 1) != LUA_TTABLE) msl_raise_type(L, 1, "count", "table or proxy");
  if (msl_test_proxy(L, 1, &value, &path)) {
    lua_pushinteger(L, value == NULL ? 0 : (lua_Integer)ms_value_count(value));
    return 1;
  }
  lua_Integer count = 0;
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) count++;
  lua_pushinteger(L, count);
  return 1;
}

static const char *type_of_table(lua_State *L) {
  if (lua_getmetatable(L, 1)) {
    const void *metatable = lua_topointer(L, -1);
    const msl_state *state = msl_get_state(L);
    if (metatable == state->array_mark) return ms_type_name(MS_ARRAY);
    return metatable == state->object_mark ? ms_type_name(MS_OBJECT) : "table";
  }
  lua_Unsigned count = 0;
  lua_Unsigned strings = 0;
  lua_Unsigned integers = 0;
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1)) {
    count++;
    if (lua_type(L, -2) == LUA_TSTRING) strings++;
    if (lua_isinteger(L, -2)) integers++;
  }
  if (count == 0) return ms_type_name(MS_EMPTY);
  if (strings == count) return ms_type_name(MS_OBJECT);
  bool is_array = integers == count && lua_rawlen(L, 1) == count;
  return is_array ? ms_type_name(MS_ARRAY) : "table";
}

static int module_type(lua_State *L) {
  const ms_value *value;
  const ms_path *path;
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  const char *name = luaL_typename(L, 1);
  switch (lua_type(L, 1)) {
    case LUA_TNUMBER:
      name = ms_type_name(lua_isinteger(L, 1) ? MS_INT : MS_DOUBLE);
      break;
    case LUA_TLIGHTUSERDATA:
      if (lua_touserdata(L, 1) == NULL) name = ms_type_name(MS_NULL);
      break;
    case LUA_TUSERDATA:
      if (msl_test_operator(L, 1) != NULL) name = "operator";
      break;
    case LUA_TTABLE:
      if (!msl_test_proxy(L, 1, &value, &path)) {
        name = type_of_table(L);
      } else {
        name = value == NULL ? "nil" : ms_type_name(ms_value_type(value));
      }
      break;
    default: break;
  }
  lua_pushstring(L, name);
  return 1;
}

static int module_equal(lua_State *L) {
  lua_settop(L, 2);
  if (lua_isnil(L, 1) || lua_isnil(L, 2)) {
    lua_pushboolean(L, lua_isnil(L, 1) && lua_isnil(L, 2));
    return 1;
  }
  ms_error error;
  const ms_value *values[2] = {NULL, NULL};
  bool gone[2] = {false, false};
  ms_status status = MS_OK;
  for (int i = 0; i < 2 && status == MS_OK; i++) {
    status = msl_read_any(L, i + 1, NULL, &values[i], &error);
    if (status == MS_ENOENT) gone[i] = true, status = MS_OK;
  }
  bool same = gone[0] || gone[1]
                  ? gone[0] && gone[1]
                  : status == MS_OK && ms_value_equal(values[0], values[1]);
  ms_value_release(values[0]);
  ms_value_release(values[1]);
  if (status != MS_OK) msl_raise_error(L, &error);
  lua_pushboolean(L, same);
  return 1;
}

static int module_path(lua_State *L) {
  const ms_value *value;
  const ms_path *path = NULL;
  lua_settop(L, 1);
  bool is_proxy = lua_type(L, 1) == LUA_TTABLE && msl_test_proxy(L, 1, &value, &path);
  if (!is_proxy || path == NULL) msl_raise_type(L, 1, "path", "proxy");
  msl_push_text(L, path);
  return 1;
}

/* ------------------------------------------------------------------- JSON */

static int module_from_json(lua_State *L) {
  size_t length;
  const char *text = msl_check_string(L, 1, "from_json", &length);
  ms_error error;
  msl_hold *hold = msl_push_hold(L);
  if (ms_value_from_json(NULL, text, length, &hold->value, &error) != MS_OK) {
    return msl_push_failure(L, &error);
  }
  msl_push_copy(L, hold->value);
  return 1;
}

typedef struct json_options {
  bool pretty, lossless;
} json_options;
static const msl_option json_option_list[] = {
    {"pretty", MSL_OPTION_BOOL, offsetof(json_options, pretty)},
    {"lossless", MSL_OPTION_BOOL, offsetof(json_options, lossless)},
    {NULL, MSL_OPTION_BOOL, 0},
};

static int module_to_json(lua_State *L) {
  json_options options = {false, false};
  ms_error error;
  luaL_checkany(L, 1);
  lua_settop(L, 2);
  msl_check_options(L, 2, json_option_list, &options);
  msl_hold *value = hold_argument(L, 1);
  msl_hold *json = msl_push_hold(L);
  unsigned flags =
      (options.pretty ? MS_JSON_PRETTY : 0U) | (options.lossless ? MS_JSON_LOSSLESS : 0U);
  ms_status status = ms_value_to_json(NULL, value->value, flags, &json->value);
  if (status != MS_OK) {
    msl_fail_plain(&error, status);
    return msl_push_failure(L, &error);
  }
  msl_push_scalar(L, json->value);
  return 1;
}

/* ---------------------------------------------------------------- updates */

static int64_t wall_clock_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int module_apply(lua_State *L) {
  static const char *const names[] = {"document", "update"};
  lua_settop(L, 3);
  for (int i = 1; i <= 2; i++) {
    if (lua_type(L, i) != LUA_TTABLE) msl_raise_type(L, i, names[i - 1], "table");
  }
  ms_update_options options;
  msl_check_update_options(L, 3, &options);
  msl_hold *document = hold_argument(L, 1);
  msl_hold *operators = msl_push_hold(L);
  msl_hold *result = msl_push_hold(L);
  ms_error error;
  ms_update *update = NULL;
  if (msl_read_update(L, 2, &operators->value, &error) != MS_OK) {
    msl_raise_error(L, &error);
  }
  ms_status status = ms_update_parse(NULL, operators->value, &options, &update, &error);
  if (status == MS_OK) {
    status =
        ms_update_apply(update, document->value, wall_clock_ms(), &result->value, &error);
  }
  ms_update_release(update);
  if (status != MS_OK) return msl_push_failure(L, &error);
  msl_push_copy(L, result->value);
  return 1;
}

/* ------------------------------------------------------------------ module */

static const luaL_Reg hold_metamethods[] = {
    {"__gc", hold_release},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"apply", module_apply},
    {"array", module_array},
    {"copy", module_copy},
    {"count", module_count},
    {"equal", module_equal},
    {"from_json", module_from_json},
    {"object", module_object},
    {"path", module_path},
    {"to_json", module_to_json},
    {"type", module_type},
    {NULL, NULL},
};

/* The metatable of a mark says what it is and nothing else. */
static const void *open_mark(lua_State *L, const char *type) {
  luaL_newmetatable(L, type);
  const void *address = lua_topointer(L, -1);
  lua_pop(L, 1);
  return address;
}

void msl_open_values(lua_State *L, msl_state *state) {
  luaL_newmetatable(L, "memshare.hold");
  luaL_setfuncs(L, hold_metamethods, 0);
  lua_pop(L, 1);
  state->array_mark = open_mark(L, "memshare.array");
  state->object_mark = open_mark(L, "memshare.object");
}

void msl_register_values(lua_State *L) {
  luaL_setfuncs(L, functions, 0);
  lua_pushlightuserdata(L, NULL);
  lua_setfield(L, -2, "null");
}
