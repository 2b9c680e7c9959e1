/* Tables of options: every key is known and has its type, or the caller hears which one
 * is wrong. */
#include "core.h"

static const msl_option *find_option(const msl_option *options, const char *name) {
  for (; options->name != NULL; options++) {
    const char *a = options->name;
    const char *b = name;
    while (*a != '\0' && *a == *b) a++, b++;
    if (*a == *b) return options;
  }
  return NULL;
}

/* The value is on top of the stack. */
static void store_number(lua_State *L, const msl_option *option, void *field) {
  int exact = 0;
  lua_Integer number = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &exact) : 0;
  if (!exact || number <= 0) {
    msl_raise(L, MS_EARGUMENT, "option \"%s\": positive integer expected, got %s",
              option->name, luaL_tolstring(L, -1, NULL));
  }
  if (option->kind == MSL_OPTION_BYTES) {
    *(uint64_t *)field = (uint64_t)number;
  } else {
    *(size_t *)field = (size_t)number;
  }
}

static void store_option(lua_State *L, const msl_option *option, void *target) {
  void *field = (char *)target + option->offset;
  char name[64];
  lua_pushfstring(L, "option \"%s\"", option->name);
  const char *text = lua_tostring(L, -1);
  size_t i = 0;
  for (; text[i] != '\0' && i + 1 < sizeof(name); i++) name[i] = text[i];
  name[i] = '\0';
  lua_pop(L, 1);
  switch (option->kind) {
    case MSL_OPTION_BOOL:
    case MSL_OPTION_NOT:
      if (!lua_isboolean(L, -1)) msl_raise_type(L, -1, name, "boolean");
      *(bool *)field = (lua_toboolean(L, -1) != 0) == (option->kind == MSL_OPTION_BOOL);
      break;
    case MSL_OPTION_SECONDS:
      *(int *)field = msl_check_seconds(L, lua_gettop(L), name, 0);
      break;
    case MSL_OPTION_STRING:
      *(const char **)field = msl_check_string(L, -1, name, NULL);
      break;
    case MSL_OPTION_BYTES:
    case MSL_OPTION_COUNT: store_number(L, option, field); break;
  }
}

void msl_check_options(lua_State *L, int index, const msl_option *options, void *target) {
  if (lua_isnoneornil(L, index)) return;
  if (lua_type(L, index) != LUA_TTABLE) msl_raise_type(L, index, "options", "table");
  if (lua_getmetatable(L, index)) {
    msl_raise(L, MS_EARGUMENT, "options: a plain table expected");
  }
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
    const msl_option *option = name != NULL ? find_option(options, name) : NULL;
    if (option == NULL) {
      msl_raise(L, MS_EARGUMENT, "unknown option \"%s\"", luaL_tolstring(L, -2, NULL));
    }
    store_option(L, option, target);
  }
}
