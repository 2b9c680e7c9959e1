/* Operator values: what memshare.inc(n) gives, to stand on the right of an assignment. */
#include "core.h"

static const char operator_type[] = "memshare.operator";

const msl_operator *msl_test_operator(lua_State *L, int index) {
  const msl_operator *self = lua_touserdata(L, index);
  if (self == NULL || !lua_getmetatable(L, index)) return NULL;
  lua_rawgetp(L, LUA_REGISTRYINDEX, operator_type);
  bool is_operator = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return is_operator ? self : NULL;
}

ms_status msl_operator_operand(const msl_operator *operator_, const ms_value **out) {
  return operator_->is_integer ? ms_value_new_int(NULL, operator_->integer, out)
                               : ms_value_new_double(NULL, operator_->number, out);
}

static int module_inc(lua_State *L) {
  lua_settop(L, 1);
  if (!lua_isnil(L, 1) && lua_type(L, 1) != LUA_TNUMBER)
    msl_raise_type(L, 1, "inc", "number");
  msl_operator *self = lua_newuserdatauv(L, sizeof(*self), 0);
  luaL_setmetatable(L, operator_type);
  self->op = MS_OP_INC;
  self->is_integer = lua_isnil(L, 1) || lua_isinteger(L, 1);
  self->integer = lua_isnil(L, 1) ? 1 : lua_tointeger(L, 1);
  self->number = lua_tonumber(L, 1);
  return 1;
}

static int operator_tostring(lua_State *L) {
  const msl_operator *self = luaL_checkudata(L, 1, operator_type);
  if (self->is_integer) {
    lua_pushfstring(L, "memshare.inc(%I)", (LUAI_UACINT)self->integer);
  } else {
    lua_pushfstring(L, "memshare.inc(%f)", (LUAI_UACNUMBER)self->number);
  }
  return 1;
}

void msl_open_operator(lua_State *L, msl_state *state) {
  (void)state;
  luaL_newmetatable(L, operator_type);
  lua_pushcfunction(L, operator_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_rawsetp(L, LUA_REGISTRYINDEX, operator_type);
}

void msl_register_operator(lua_State *L) {
  lua_pushcfunction(L, module_inc);
  lua_setfield(L, -2, "inc");
}
