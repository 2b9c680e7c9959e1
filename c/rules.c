/* Rules in a sandbox (see rules.h). */
#include "rules.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct sandbox sandbox;

/* One call of rule(): its function and message stand in the registry. */
typedef struct rule {
  sandbox *owner;
  struct rule *next;
  int function, message; /* references; message: LUA_NOREF when there is none */
  char pattern[];
} rule;

enum { STEPS = 100 }; /* between two looks at how many there were */

struct sandbox {
  lua_State *L;
  int64_t end_ms; /* of what is under way */
  int steps;
  size_t bytes; /* of L */
  ms_rules *rules;
  rule *all;
  bool is_loading; /* the chunk runs, and may make rules */
  bool is_refused;
  char message[MS_MESSAGE_MAX];
};

/* --------------------------------------------------------------------- limits */

static void *allocate(void *ud, void *block, size_t old_bytes, size_t bytes) {
  sandbox *self = ud;
  if (block == NULL) old_bytes = 0; /* Lua says what it is for */
  if (bytes > old_bytes && self->bytes + (bytes - old_bytes) > MSL_RULES_BYTES)
    return NULL;
  if (bytes == 0) {
    free(block);
    self->bytes -= old_bytes;
    return NULL;
  }
  void *made = realloc(block, bytes);
  if (made == NULL) return NULL;
  self->bytes += bytes - old_bytes;
  return made;
}

/* Of this thread, so that a process that was stopped is not blamed. */
static int64_t cpu_ms(void) {
  struct timespec now;
  if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) != 0) return 0;
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static sandbox *sandbox_of(lua_State *L) {
  void *ud = NULL;
  (void)lua_getallocf(L, &ud);
  return ud;
}

/* One instruction may take long, on a long string for one: so time counts, too. Once it is over each instruction
 * raises, so that no pcall of the chunk goes on. */
static void on_steps(lua_State *L, lua_Debug *debug) {
  sandbox *self = sandbox_of(L);
  (void)debug;
  self->steps += STEPS;
  bool is_late = self->steps % (STEPS * STEPS) == 0 || self->bytes > MSL_RULES_BYTES / 16;
  if (self->steps <= MSL_RULES_STEPS && !(is_late && cpu_ms() > self->end_ms)) return;
  self->steps = MSL_RULES_STEPS;
  lua_sethook(L, on_steps, LUA_MASKCOUNT, 1);
  luaL_error(L, "more than %d instructions, or %d ms", MSL_RULES_STEPS, MSL_RULES_MS);
}

static void limit(sandbox *self) {
  self->steps = 0;
  self->end_ms = cpu_ms() + MSL_RULES_MS;
  lua_sethook(self->L, on_steps, LUA_MASKCOUNT, STEPS);
}

/* ----------------------------------------------------------------- the library */

/* Of these libraries, everything; they reach nothing but their arguments. */
static void keep(lua_State *L, const char *library, const char *const *names) {
  lua_getglobal(L, library);
  lua_newtable(L);
  for (; *names != NULL; names++) {
    lua_getfield(L, -2, *names);
    lua_setfield(L, -2, *names);
  }
  lua_setglobal(L, library);
  lua_pop(L, 1);
}

static void forget(lua_State *L, const char *library, const char *const *names) {
  lua_getglobal(L, library);
  for (; *names != NULL; names++) {
    lua_pushnil(L);
    lua_setfield(L, -2, *names);
  }
  lua_pop(L, 1);
}

static int string_rep_bounded(lua_State *L) {
  size_t length, gap;
  (void)luaL_checklstring(L, 1, &length);
  lua_Integer count = luaL_checkinteger(L, 2);
  (void)luaL_optlstring(L, 3, "", &gap);
  if (count > 0 && (length + gap) > 0 &&
      (lua_Unsigned)count > (lua_Unsigned)MSL_RULES_BYTES / (length + gap)) {
    return luaL_error(L, "resulting string too large");
  }
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 1);
  return 1;
}

static void open_libraries(lua_State *L) {
  static const char *const STRING[] = {"dump", "find",   "gmatch",   "gsub", "match",
                                       "pack", "unpack", "packsize", NULL};
  static const char *const TABLE[] = {"concat", "insert", "pack", "remove",
                                      "sort",   "unpack", NULL};
  static const char *const BASE[] = {"collectgarbage", "dofile", "getmetatable", "load",
                                     "loadfile",       "print",  "require",      "rawset",
                                     "setmetatable",   "warn",   "xpcall",       NULL};
  static const char *const MATH[] = {"random", "randomseed", NULL};
  luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
  luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 1);
  luaL_requiref(L, LUA_TABLIBNAME, luaopen_table, 1);
  luaL_requiref(L, LUA_MATHLIBNAME, luaopen_math, 1);
  lua_settop(L, 0);
  forget(L, LUA_GNAME, BASE);
  forget(L, LUA_MATHLIBNAME, MATH);
  forget(L, LUA_STRLIBNAME, STRING); /* the same table that ("x"):len() finds */
  keep(L, LUA_TABLIBNAME, TABLE);
  lua_getglobal(L, LUA_STRLIBNAME);
  lua_getfield(L, -1, "rep");
  lua_pushcclosure(L, string_rep_bounded, 1);
  lua_setfield(L, -2, "rep");
  lua_pop(L, 1);
}

/* ------------------------------------------------------------------ making rules */

static void on_change(void *ud, const ms_change *change);

static rule *add_rule(sandbox *self, const char *pattern, size_t length) {
  rule *made = calloc(1, sizeof(*made) + length + 1);
  if (made == NULL) return NULL;
  made->owner = self;
  made->function = made->message = LUA_NOREF;
  memcpy(made->pattern, pattern, length);
  made->next = self->all;
  self->all = made;
  return made;
}

/* rule(pattern, fn, message) */
static int lua_rule(lua_State *L) {
  sandbox *self = lua_touserdata(L, lua_upvalueindex(1));
  size_t length;
  const char *pattern = luaL_checklstring(L, 1, &length);
  ms_path *path = NULL;
  ms_error error = {MS_OK, ""};
  luaL_checktype(L, 2, LUA_TFUNCTION);
  if (!lua_isnoneornil(L, 3)) luaL_checktype(L, 3, LUA_TSTRING);
  lua_settop(L, 3);
  if (!self->is_loading) return luaL_error(L, "rules are made by the chunk alone");
  rule *made = add_rule(self, pattern, length);
  if (made == NULL) return luaL_error(L, "out of memory");
  if (!lua_isnil(L, 3)) made->message = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_settop(L, 2);
  made->function = luaL_ref(L, LUA_REGISTRYINDEX);
  ms_status status = length == 0
                         ? ms_path_new(NULL, NULL, 0, &path, &error)
                         : ms_path_parse_pattern(NULL, pattern, length, &path, &error);
  if (status == MS_OK) status = ms_rules_add(self->rules, path, on_change, made);
  ms_path_release(path);
  if (status == MS_OK) return 0;
  return luaL_error(L, "rule \"%s\": %s", made->pattern,
                    error.message[0] != '\0' ? error.message : ms_status_text(status));
}

typedef struct chunk {
  sandbox *self;
  const char *source;
  size_t length;
} chunk;

static int run_chunk(lua_State *L) {
  const chunk *given = lua_touserdata(L, 1);
  open_libraries(L);
  lua_pushlightuserdata(L, given->self);
  lua_pushcclosure(L, lua_rule, 1);
  lua_setglobal(L, "rule");
  if (luaL_loadbufferx(L, given->source, given->length, "=rules", "t") != LUA_OK)
    return lua_error(L);
  limit(given->self);
  lua_call(L, 0, 0);
  return 0;
}

static void unload(void *rules) {
  sandbox *self = rules;
  if (self->L != NULL) lua_close(self->L);
  ms_rules_free(self->rules);
  while (self->all != NULL) {
    rule *next = self->all->next;
    free(self->all);
    self->all = next;
  }
  free(self);
}

static const char *message_of(lua_State *L) {
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
  return text != NULL ? text : "an error that is no text";
}

static ms_status fail(ms_error *error, ms_status status, const char *format,
                      const char *text) {
  if (error != NULL) {
    error->status = status;
    (void)snprintf(error->message, sizeof(error->message), format, text);
  }
  return status;
}

static ms_status load(void *ud, const char *source, size_t length, void **rules,
                      ms_error *error) {
  (void)ud;
  sandbox *self = calloc(1, sizeof(*self));
  if (self == NULL) return fail(error, MS_ENOMEM, "%s", "out of memory");
  ms_status status = ms_rules_new(NULL, &self->rules);
  if (status == MS_OK) self->L = lua_newstate(allocate, self);
  if (self->L == NULL) {
    unload(self);
    return fail(error, MS_ENOMEM, "%s", "out of memory");
  }
  chunk given = {self, source, length};
  self->is_loading = true;
  lua_pushcfunction(self->L, run_chunk);
  lua_pushlightuserdata(self->L, &given);
  int failed = lua_pcall(self->L, 1, 0, 0);
  lua_sethook(self->L, NULL, 0, 0);
  self->is_loading = false;
  if (failed != LUA_OK) {
    status = fail(error, MS_EARGUMENT, "%s", message_of(self->L));
    unload(self);
    return status;
  }
  lua_settop(self->L, 0);
  *rules = self;
  return MS_OK;
}

/* ---------------------------------------------------------------------- checking */

static void push_value(lua_State *L, const ms_value *value);

static void push_container(lua_State *L, const ms_value *value) {
  ms_cursor cursor;
  const char *key;
  size_t length;
  const ms_value *item;
  bool is_array = ms_value_type(value) == MS_ARRAY;
  lua_Integer count = 0;
  luaL_checkstack(L, 6, NULL);
  lua_newtable(L);
  if (ms_value_type(value) == MS_EMPTY) return;
  ms_cursor_init(&cursor, value);
  while (ms_cursor_next(&cursor, &key, &length, &item)) {
    if (is_array) {
      push_value(L, item);
      lua_rawseti(L, -2, ++count);
    } else {
      lua_pushlstring(L, key, length);
      push_value(L, item);
      lua_rawset(L, -3);
    }
  }
}

/* Deep as documents are, so the stack suffices. */
static void push_value(lua_State *L, const ms_value *value) {
  bool flag;
  int64_t integer;
  double number;
  const char *bytes;
  size_t length;
  if (value == NULL || ms_value_type(value) == MS_NULL) {
    lua_pushnil(L);
  } else if (ms_value_to_bool(value, &flag) == MS_OK) {
    lua_pushboolean(L, flag);
  } else if (ms_value_to_int(value, &integer) == MS_OK) {
    lua_pushinteger(L, (lua_Integer)integer);
  } else if (ms_value_to_double(value, &number) == MS_OK) {
    lua_pushnumber(L, (lua_Number)number);
  } else if (ms_value_to_string(value, &bytes, &length) == MS_OK) {
    lua_pushlstring(L, bytes, length);
  } else {
    push_container(L, value);
  }
}

/* Into `out`, cut off where it is longer. */
static void print_path(const ms_path *path, char *out, size_t bytes) {
  const ms_value *text = NULL;
  const char *name = NULL;
  size_t length;
  if (ms_path_text(path, &text) != MS_OK ||
      ms_value_to_string(text, &name, &length) != MS_OK)
    name = "?";
  (void)snprintf(out, bytes, "%s", name);
  ms_value_release(text);
}

static void push_path(lua_State *L, const ms_path *path) {
  char text[1024];
  print_path(path, text, sizeof(text));
  lua_pushstring(L, text);
}

static void push_change(lua_State *L, const ms_change *change) {
  char id[17];
  size_t count = ms_path_count(change->path);
  lua_createtable(L, 0, 3);
  (void)snprintf(id, sizeof(id), "%llx", (unsigned long long)change->origin);
  lua_pushstring(L, id);
  lua_setfield(L, -2, "origin");
  lua_pushnumber(L, (lua_Number)change->wall_ms / 1000);
  lua_setfield(L, -2, "time");
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    ms_key key = ms_path_key(change->path, i);
    lua_pushlstring(L, key.bytes, key.length);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  lua_setfield(L, -2, "keys");
}

typedef struct question {
  const rule *rule;
  const ms_change *change;
} question;

/* Returns whether it may be, and why not. */
static int ask_rule(lua_State *L) {
  const question *asked = lua_touserdata(L, 1);
  const ms_change *change = asked->change;
  luaL_checkstack(L, 12, NULL);
  lua_rawgeti(L, LUA_REGISTRYINDEX, asked->rule->function);
  push_value(L, change->new_value);
  push_value(L, change->old_value);
  push_path(L, change->path);
  push_change(L, change);
  lua_call(L, 4, 2);
  if (!lua_toboolean(L, -2) && lua_type(L, -1) != LUA_TSTRING) {
    lua_pop(L, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, asked->rule->message);
  }
  return 2;
}

static void on_change(void *ud, const ms_change *change) {
  const rule *given = ud;
  sandbox *self = given->owner;
  lua_State *L = self->L;
  char path[128];
  if (self->is_refused) return;
  question asked = {given, change};
  lua_settop(L, 0);
  lua_pushcfunction(L, ask_rule);
  lua_pushlightuserdata(L, &asked);
  if (lua_pcall(L, 1, 2, 0) != LUA_OK) {
    self->is_refused = true;
    (void)snprintf(self->message, sizeof(self->message), "rule \"%.60s\" failed: %.150s",
                   given->pattern, message_of(L));
  } else if (!lua_toboolean(L, 1)) {
    self->is_refused = true;
    print_path(change->path, path, sizeof(path));
    if (lua_type(L, 2) == LUA_TSTRING) {
      (void)snprintf(self->message, sizeof(self->message), "%.100s: %.150s", path,
                     lua_tostring(L, 2));
    } else {
      (void)snprintf(self->message, sizeof(self->message),
                     "%.100s: against the rule \"%.80s\"", path, given->pattern);
    }
  }
  lua_settop(L, 0);
}

static ms_status check(void *rules, const ms_attempt *attempt, ms_error *error) {
  sandbox *self = rules;
  self->is_refused = false;
  limit(self);
  ms_status status = ms_rules_run(self->rules, attempt);
  lua_sethook(self->L, NULL, 0, 0);
  if (status != MS_OK) return fail(error, status, "%s", ms_status_text(status));
  return self->is_refused ? fail(error, MS_EDENIED, "%s", self->message) : MS_OK;
}

const ms_validator *ms_lua_validator(void) {
  static const ms_validator validator = {load, check, unload, NULL};
  return &validator;
}
