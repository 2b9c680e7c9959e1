/*
 * Operator values: what memshare.inc(n) gives, to stand on the right of an assignment.
 *
 * The operand is converted when the operator is made, so that a later change of a table
 * does not surprise. memshare.timestamp() may also stand for a value inside a table: the
 * table is then read as content with places for the time (`stamps`), which gets the
 * patch's own wall time once it is written.
 */
#include "core.h"

#include <string.h>

static const char operator_type[] = "memshare.operator";

const msl_operator *msl_test_operator(lua_State *L, int index) {
  const msl_operator *self = lua_touserdata(L, index);
  if (self == NULL || !lua_getmetatable(L, index)) return NULL;
  lua_rawgetp(L, LUA_REGISTRYINDEX, operator_type);
  bool is_operator = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return is_operator ? self : NULL;
}

const char *msl_operator_name(ms_operator op) {
  switch (op) {
    case MS_OP_INC: return "inc";
    case MS_OP_MUL: return "mul";
    case MS_OP_MIN: return "min";
    case MS_OP_MAX: return "max";
    case MS_OP_PUSH: return "push";
    case MS_OP_PULL: return "pull";
    case MS_OP_ADD_TO_SET: return "add_to_set";
    default: return "timestamp";
  }
}

/* ---------------------------------------------------------------- content */

void msl_content_fini(msl_content *content) {
  ms_value_release(content->value);
  ms_value_release(content->stamps);
  *content = (msl_content){NULL, NULL};
}

/* Puts `time` at the place that keys[i] and those after it name below *value. */
static ms_status stamp_place(const ms_value **value, const ms_value *keys, size_t i,
                             const ms_value *time) {
  if (i == ms_value_count(keys)) {
    ms_value_release(*value);
    *value = ms_value_retain(time);
    return MS_OK;
  }
  const ms_value *key = ms_value_at(keys, i);
  int64_t index = 0;
  const char *bytes = "";
  size_t length = 0;
  bool is_index = ms_value_to_int(key, &index) == MS_OK;
  if (!is_index) (void)!ms_value_to_string(key, &bytes, &length);
  const ms_value *child =
      is_index ? ms_value_at(*value, (size_t)index) : ms_value_get(*value, bytes, length);
  ms_value_retain(child);
  ms_status status = stamp_place(&child, keys, i + 1, time);
  if (status == MS_OK) {
    status = is_index ? ms_value_replace(NULL, value, (size_t)index, child)
                      : ms_value_put(NULL, value, bytes, length, child);
  }
  ms_value_release(child);
  return status;
}

ms_status msl_stamp(msl_content *content, const ms_value *time) {
  ms_status status = MS_OK;
  if (content->stamps == NULL) return MS_OK;
  for (size_t i = 0; i < ms_value_count(content->stamps) && status == MS_OK; i++) {
    status = stamp_place(&content->value, ms_value_at(content->stamps, i), 0, time);
  }
  return status;
}

ms_status msl_stamp_now(msl_content *content, const ms_share *share, int64_t *wall_ms) {
  const ms_value *time = NULL;
  if (content->stamps == NULL) return MS_OK;
  *wall_ms = ms_share_wall_ms(share);
  ms_status status = ms_value_new_int(NULL, *wall_ms, &time);
  if (status == MS_OK) status = msl_stamp(content, time);
  ms_value_release(time);
  return status;
}

ms_status msl_read_assigned(lua_State *L, int index, const msl_where *where,
                            ms_operator *op, msl_content *out, ms_error *error) {
  const msl_operator *operator_ =
      lua_type(L, index) == LUA_TUSERDATA ? msl_test_operator(L, index) : NULL;
  if (operator_ == NULL) return msl_read_content(L, index, where, out, error);
  *op = operator_->op;
  out->value = ms_value_retain(operator_->operand.value);
  out->stamps = ms_value_retain(operator_->operand.stamps);
  return MS_OK;
}

ms_status msl_read_element(lua_State *L, int index, const msl_where *where,
                           const char *place, msl_content *out, ms_error *error) {
  const msl_operator *operator_ =
      lua_type(L, index) == LUA_TUSERDATA ? msl_test_operator(L, index) : NULL;
  if (operator_ == NULL || operator_->op == MS_OP_CURRENT_DATE) {
    return msl_read_content(L, index, where, out, error);
  }
  const ms_value *text = NULL;
  const char *path = "";
  size_t length = 0;
  ms_status status = ms_path_text(where->path, &text);
  if (status != MS_OK) return msl_fail_plain(error, status);
  (void)!ms_value_to_string(text, &path, &length);
  msl_fail(error, MS_EARGUMENT, "%s: an element is a plain value, not memshare.%s %s",
           path, msl_operator_name(operator_->op), place);
  ms_value_release(text);
  return MS_EARGUMENT;
}

/* ----------------------------------------------------------------- making */

/* Pushes an operator without an operand. */
static msl_operator *push_operator(lua_State *L, ms_operator op) {
  msl_operator *self = lua_newuserdatauv(L, sizeof(*self), 0);
  *self = (msl_operator){op, {NULL, NULL}};
  luaL_setmetatable(L, operator_type);
  return self;
}

/* Pushes the operator with argument 1 as its operand. */
static int push_with_operand(lua_State *L, ms_operator op) {
  const char *name = msl_operator_name(op);
  const msl_where where = {NULL, name, strlen(name)};
  ms_error error = {MS_OK, ""};
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) msl_raise(L, MS_EARGUMENT, "%s: a value expected, got nil", name);
  msl_operator *self = push_operator(L, op);
  ms_status status = msl_read_content(L, 1, &where, &self->operand, &error);
  if (msl_finish(&error, status) != MS_OK) return msl_raise_error(L, &error);
  return 1;
}

static int module_inc(lua_State *L) {
  lua_settop(L, 1);
  if (lua_isnil(L, 1)) {
    lua_pushinteger(L, 1);
    lua_replace(L, 1);
  }
  if (lua_type(L, 1) != LUA_TNUMBER) msl_raise_type(L, 1, "inc", "number");
  return push_with_operand(L, MS_OP_INC);
}

static int module_mul(lua_State *L) {
  lua_settop(L, 1);
  if (lua_type(L, 1) != LUA_TNUMBER) msl_raise_type(L, 1, "mul", "number");
  return push_with_operand(L, MS_OP_MUL);
}

static int module_min(lua_State *L) { return push_with_operand(L, MS_OP_MIN); }

static int module_max(lua_State *L) { return push_with_operand(L, MS_OP_MAX); }

static int module_push(lua_State *L) { return push_with_operand(L, MS_OP_PUSH); }

static int module_pull(lua_State *L) { return push_with_operand(L, MS_OP_PULL); }

static int module_add_to_set(lua_State *L) {
  return push_with_operand(L, MS_OP_ADD_TO_SET);
}

static int module_timestamp(lua_State *L) {
  if (lua_gettop(L) > 0) msl_raise(L, MS_EARGUMENT, "timestamp: takes no argument");
  push_operator(L, MS_OP_CURRENT_DATE);
  return 1;
}

/* ---------------------------------------------------------------- showing */

/* Pushes what holds the operand as JSON, with the name of timestamps in their places. */
static const ms_value *push_operand_text(lua_State *L, const msl_operator *self) {
  ms_error error = {MS_OK, ""};
  static const char stamp[] = "memshare.timestamp()";
  msl_hold *text = msl_push_hold(L);
  const ms_value *time = NULL;
  msl_content content = {ms_value_retain(self->operand.value),
                         ms_value_retain(self->operand.stamps)};
  ms_status status = ms_value_new_string(NULL, stamp, sizeof(stamp) - 1, &time);
  if (status == MS_OK) status = msl_stamp(&content, time);
  if (status == MS_OK) status = ms_value_to_json(NULL, content.value, 0, &text->value);
  ms_value_release(time);
  msl_content_fini(&content);
  if (msl_finish(&error, status) != MS_OK) msl_raise_error(L, &error);
  return text->value;
}

/* "memshare.push({"a":1})", cut where it gets long. */
static int operator_tostring(lua_State *L) {
  enum { SHOWN_MAX = 200 };
  const msl_operator *self = luaL_checkudata(L, 1, operator_type);
  const char *bytes = "";
  size_t length = 0;
  bool is_cut = false;
  if (self->operand.value != NULL) {
    (void)!ms_value_to_string(push_operand_text(L, self), &bytes, &length);
    is_cut = length > SHOWN_MAX;
    if (is_cut) length = SHOWN_MAX;
    while (is_cut && ((unsigned char)bytes[length] & 0xC0U) == 0x80U) length--;
  }
  lua_pushfstring(L, "memshare.%s(", msl_operator_name(self->op));
  lua_pushlstring(L, bytes, length);
  lua_pushstring(L, is_cut ? "...)" : ")");
  lua_concat(L, 3);
  return 1;
}

static int operator_gc(lua_State *L) {
  msl_operator *self = lua_touserdata(L, 1);
  msl_content_fini(&self->operand);
  return 0;
}

/* ---------------------------------------------------------------- opening */

static const luaL_Reg functions[] = {
    {"add_to_set", module_add_to_set},
    {"inc", module_inc},
    {"max", module_max},
    {"min", module_min},
    {"mul", module_mul},
    {"pull", module_pull},
    {"push", module_push},
    {"timestamp", module_timestamp},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", operator_gc},
    {"__tostring", operator_tostring},
    {NULL, NULL},
};

void msl_open_operator(lua_State *L, msl_state *state) {
  (void)state;
  luaL_newmetatable(L, operator_type);
  luaL_setfuncs(L, metamethods, 0);
  lua_rawsetp(L, LUA_REGISTRYINDEX, operator_type);
}

void msl_register_operator(lua_State *L) { luaL_setfuncs(L, functions, 0); }
