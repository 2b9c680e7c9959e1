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
  int least = option->kind == MSL_OPTION_NATURAL ? 0 : 1;
  if (!exact || number < least) {
    msl_raise(L, MS_EARGUMENT, "option \"%s\": %s integer expected, got %s", option->name,
              least == 0 ? "non-negative" : "positive", luaL_tolstring(L, -1, NULL));
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
    case MSL_OPTION_TTL: {
      int ttl_ms = msl_check_seconds(L, lua_gettop(L), name, 0);
      *(int64_t *)field = ttl_ms < 0 ? 0 : ttl_ms;
      break;
    }
    case MSL_OPTION_STRING:
      *(const char **)field = msl_check_string(L, -1, name, NULL);
      break;
    case MSL_OPTION_TABLE:
      if (lua_type(L, -1) != LUA_TTABLE) msl_raise_type(L, -1, name, "table");
      *(bool *)field = true;
      break;
    case MSL_OPTION_BYTES:
    case MSL_OPTION_COUNT:
    case MSL_OPTION_NATURAL: store_number(L, option, field); break;
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

typedef struct update_options {
  bool array_filters, where;
} update_options;
static const msl_option update_option_list[] = {
    {"array_filters", MSL_OPTION_TABLE, offsetof(update_options, array_filters)},
    {"where", MSL_OPTION_TABLE, offsetof(update_options, where)},
    {NULL, MSL_OPTION_BOOL, 0},
};

/* Pushes what holds the option; NULL when it was not given. */
static const ms_value *push_table(lua_State *L, int index, const char *name,
                                  size_t length, bool given) {
  const msl_where where = {NULL, name, length};
  ms_error error = {MS_OK, ""};
  msl_hold *hold = msl_push_hold(L);
  if (!given) return NULL;
  lua_getfield(L, index, name); /* of a plain table */
  ms_status status = msl_read_any(L, lua_gettop(L), &where, &hold->value, &error);
  if (msl_finish(&error, status) != MS_OK) msl_raise_error(L, &error);
  lua_pop(L, 1);
  return hold->value;
}

void msl_check_update_options(lua_State *L, int index, ms_update_options *out) {
  update_options given = {false, false};
  msl_check_options(L, index, update_option_list, &given);
  ms_update_options_init(out);
  out->array_filters = push_table(L, index, "array_filters", 13, given.array_filters);
  out->where = push_table(L, index, "where", 5, given.where);
}
