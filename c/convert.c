/*
 * Lua values to memshare values and back.
 *
 * Reading never raises: it calls only functions of Lua that neither allocate nor run
 * Lua code, so the half-built tree may live in C locals. A frame per level, on the C
 * stack, knows the table and the key under way; messages and the search for cycles walk
 * the frames.
 *
 * A table is an array when its keys are 1..n or memshare.array marked it, an object
 * when its keys are strings or memshare.object marked it, and the empty table
 * otherwise.
 */
#include "core.h"

#include <inttypes.h>
#include <stdio.h>

typedef struct frame {
  const struct frame *up;
  const void *table; /* lua_topointer */
  int depth;         /* 1 for the outermost table */
  int key;           /* stack index of the key under way, or 0: `index` counts */
  lua_Integer index;
} frame;

typedef struct reader {
  lua_State *L;
  const msl_where *where;
  bool follows_proxies; /* a proxy at the top reads as what it shows */
  bool in_update;       /* it is an update document, for what is said of operators */
  msl_content *content; /* where stamps are noted; NULL: there may be none */
  ms_error *error;
} reader;

typedef enum table_kind { PLAIN, MARKED_ARRAY, MARKED_OBJECT, PROXY, FOREIGN } table_kind;

/* ------------------------------------------------------------- messages */

typedef struct line {
  char bytes[160];
  size_t length;
} line;

static void line_add(line *out, const char *bytes, size_t length) {
  for (size_t i = 0; i < length && out->length + 1 < sizeof(out->bytes); i++) {
    unsigned char byte = (unsigned char)bytes[i];
    out->bytes[out->length++] = byte < 0x20 || byte == 0x7f ? '?' : (char)byte;
  }
  out->bytes[out->length] = '\0';
}

static void line_add_key(line *out, const char *bytes, size_t length) {
  if (out->length > 0) line_add(out, ".", 1);
  line_add(out, bytes, length);
}

static void line_add_frames(line *out, lua_State *L, const frame *at) {
  if (at == NULL) return;
  line_add_frames(out, L, at->up);
  char number[MSL_NUMBER_BYTES];
  if (at->key == 0) {
    line_add_key(out, number, msl_print_integer(at->index - 1, number));
  } else if (lua_type(L, at->key) == LUA_TSTRING) {
    size_t length;
    const char *key = lua_tolstring(L, at->key, &length);
    line_add_key(out, key, length);
  } else {
    line_add_key(out, number, msl_print_integer(lua_tointeger(L, at->key), number));
  }
}

/* "players.alice.pos: <what>" */
static ms_status fail_at(const reader *in, const frame *at, ms_status status,
                         const char *what) {
  line where = {"", 0};
  if (in->where != NULL && in->where->path != NULL) {
    for (size_t i = 0; i < ms_path_count(in->where->path); i++) {
      ms_key key = ms_path_key(in->where->path, i);
      line_add_key(&where, key.bytes, key.length);
    }
  }
  if (in->where != NULL && in->where->key != NULL) {
    line_add_key(&where, in->where->key, in->where->key_length);
  }
  line_add_frames(&where, in->L, at);
  return msl_fail(in->error, status, "%s%s%s", where.bytes, where.length > 0 ? ": " : "",
                  what);
}

/* --------------------------------------------------------------- reading */

static ms_status read_value(const reader *in, int index, const frame *up,
                            const ms_value **out);

static table_kind kind_of_table(lua_State *L, int index) {
  if (!lua_getmetatable(L, index)) return PLAIN;
  const void *metatable = lua_topointer(L, -1);
  lua_pop(L, 1);
  const msl_state *state = msl_get_state(L);
  if (metatable == state->array_mark) return MARKED_ARRAY;
  if (metatable == state->object_mark) return MARKED_OBJECT;
  return metatable == state->proxy_mark ? PROXY : FOREIGN;
}

static ms_status fail_status(const reader *in, const frame *at, ms_status status) {
  if (status == MS_ELIMIT) {
    return fail_at(in, at, status, "a key is longer than 4096 bytes");
  }
  return fail_at(in, at, status, ms_status_text(status));
}

static size_t count_entries(lua_State *L, int index) {
  size_t count = 0;
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) count++;
  return count;
}

/* `*array` is owned by the caller, also on failure. */
static ms_status read_array(const reader *in, int index, frame *self,
                            const ms_value **array) {
  lua_State *L = in->L;
  lua_Unsigned length = lua_rawlen(L, index);
  if (count_entries(L, index) != length) {
    self->key = 0;
    return fail_at(
        in, self->up, MS_EARGUMENT,
        "a table with keys other than 1..n and strings; wrap it in memshare.object{}");
  }
  ms_status status = ms_value_new_array(NULL, array);
  for (lua_Unsigned i = 1; i <= length && status == MS_OK; i++) {
    const ms_value *item = NULL;
    self->index = (lua_Integer)i;
    if (lua_rawgeti(L, index, self->index) == LUA_TNIL) {
      status = fail_at(in, self->up, MS_EARGUMENT, "an array with holes");
    } else {
      status = read_value(in, lua_gettop(L), self, &item);
    }
    lua_pop(L, 1);
    if (status != MS_OK) return status;
    status = ms_value_append(NULL, array, item);
    ms_value_release(item);
  }
  return status == MS_OK ? MS_OK : fail_status(in, self, status);
}

/* One key and its value, on top of the stack. */
static ms_status read_entry(const reader *in, frame *self, bool marked,
                            const ms_value **object) {
  lua_State *L = in->L;
  int top = lua_gettop(L);
  char number[MSL_NUMBER_BYTES];
  const char *key;
  size_t length;
  if (lua_type(L, top - 1) == LUA_TSTRING) {
    key = lua_tolstring(L, top - 1, &length);
  } else if (!marked) {
    return fail_at(in, self->up, MS_EARGUMENT,
                   "a table with mixed keys; wrap it in memshare.object{}");
  } else if (lua_isinteger(L, top - 1)) {
    key = number;
    length = msl_print_integer(lua_tointeger(L, top - 1), number);
  } else {
    return fail_at(in, self->up, MS_EARGUMENT,
                   lua_type(L, top - 1) == LUA_TNUMBER
                       ? "a key is a float"
                       : "a key is neither string nor integer");
  }
  self->key = top - 1;
  if (marked && ms_value_get(*object, key, length) != NULL) {
    return fail_at(in, self, MS_EARGUMENT, "stands twice, as a string and as a number");
  }
  const ms_value *item = NULL;
  ms_status status = read_value(in, top, self, &item);
  if (status != MS_OK) return status;
  status = ms_value_put(NULL, object, key, length, item);
  ms_value_release(item);
  return status == MS_OK ? MS_OK : fail_status(in, self->up, status);
}

/* `*object` is owned by the caller, also on failure. */
static ms_status read_object(const reader *in, int index, frame *self, bool marked,
                             const ms_value **object) {
  lua_State *L = in->L;
  ms_status status = ms_value_new_object(NULL, object);
  if (status != MS_OK) return fail_status(in, self->up, status);
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    status = read_entry(in, self, marked, object);
    if (status != MS_OK) {
      lua_pop(L, 2);
      return status;
    }
  }
  return MS_OK;
}

static ms_status read_plain(const reader *in, int index, frame *self,
                            const ms_value **out) {
  lua_State *L = in->L;
  lua_pushnil(L);
  if (!lua_next(L, index)) {
    *out = ms_value_empty();
    return MS_OK;
  }
  bool is_object = lua_type(L, -2) == LUA_TSTRING;
  lua_pop(L, 2);
  return is_object ? read_object(in, index, self, false, out)
                   : read_array(in, index, self, out);
}

static ms_status read_table(const reader *in, int index, const frame *up,
                            const ms_value **out) {
  lua_State *L = in->L;
  frame self = {up, lua_topointer(L, index), up == NULL ? 1 : up->depth + 1, 0, 0};
  for (const frame *at = up; at != NULL; at = at->up) {
    if (at->table == self.table)
      return fail_at(in, up, MS_EARGUMENT, "a table that holds itself");
  }
  if (self.depth > MS_DEPTH_MAX) {
    return msl_fail(in->error, MS_ELIMIT, "more than %d tables inside each other",
                    MS_DEPTH_MAX);
  }
  if (!lua_checkstack(L, 6)) return msl_fail_plain(in->error, MS_ENOMEM);
  const ms_value *built = NULL;
  ms_status status = MS_OK;
  switch (kind_of_table(L, index)) {
    case PLAIN: status = read_plain(in, index, &self, &built); break;
    case MARKED_ARRAY: status = read_array(in, index, &self, &built); break;
    case MARKED_OBJECT: status = read_object(in, index, &self, true, &built); break;
    case PROXY:
    case FOREIGN:
      status = fail_at(in, up, MS_EARGUMENT, "a table with a metatable cannot be shared");
      break;
  }
  if (status != MS_OK) {
    ms_value_release(built);
    return status;
  }
  *out = built;
  return MS_OK;
}

/* A read-only copy is a value like any other; a proxy names a place, which would move. */
static ms_status read_proxy(const reader *in, const frame *up, const ms_value *value,
                            const ms_path *path, const ms_value **out) {
  if (path != NULL && !(in->follows_proxies && up == NULL)) {
    return fail_at(
        in, up, MS_EARGUMENT,
        "a proxy names a place and cannot be assigned; use memshare.copy(proxy)");
  }
  if (value == NULL) return fail_at(in, up, MS_ENOENT, "nothing is there any more");
  *out = ms_value_retain(value);
  return MS_OK;
}

/* One more key of a stamp: that of a frame, below those of the frames above it. */
static ms_status stamp_add_key(lua_State *L, const frame *at, const ms_value **keys) {
  if (at == NULL) return MS_OK;
  ms_status status = stamp_add_key(L, at->up, keys);
  const ms_value *key = NULL;
  char number[MSL_NUMBER_BYTES];
  if (status != MS_OK) return status;
  if (at->key == 0) {
    status = ms_value_new_int(NULL, at->index - 1, &key);
  } else if (lua_type(L, at->key) == LUA_TSTRING) {
    size_t length;
    const char *bytes = lua_tolstring(L, at->key, &length);
    status = ms_value_new_string(NULL, bytes, length, &key);
  } else {
    size_t length = msl_print_integer(lua_tointeger(L, at->key), number);
    status = ms_value_new_string(NULL, number, length, &key);
  }
  if (status == MS_OK) status = ms_value_append(NULL, keys, key);
  ms_value_release(key);
  return status;
}

/* memshare.timestamp() at the place below `up`. */
static ms_status read_stamp(const reader *in, const frame *up, const ms_value **out) {
  const ms_value **stamps = &in->content->stamps;
  const ms_value *keys = NULL;
  ms_status status = MS_OK;
  if (*stamps == NULL) status = ms_value_new_array(NULL, stamps);
  if (status == MS_OK) status = ms_value_new_array(NULL, &keys);
  if (status == MS_OK) status = stamp_add_key(in->L, up, &keys);
  if (status == MS_OK) status = ms_value_append(NULL, stamps, keys);
  ms_value_release(keys);
  if (status == MS_OK) status = ms_value_new_int(NULL, 0, out);
  return status == MS_OK ? MS_OK : fail_status(in, up, status);
}

static ms_status read_operator(const reader *in, const frame *up,
                               const msl_operator *operator_, const ms_value **out) {
  static const char *const updates[] = {
      [MS_OP_INC] = "$inc",
      [MS_OP_MUL] = "$mul",
      [MS_OP_MIN] = "$min",
      [MS_OP_MAX] = "$max",
      [MS_OP_PUSH] = "$push",
      [MS_OP_PULL] = "$pull",
      [MS_OP_ADD_TO_SET] = "$addToSet",
  };
  const char *name = msl_operator_name(operator_->op);
  char message[160];
  if (in->content != NULL && operator_->op == MS_OP_CURRENT_DATE) {
    return read_stamp(in, up, out);
  }
  if (in->in_update && operator_->op == MS_OP_CURRENT_DATE) {
    return fail_at(in, up, MS_EARGUMENT,
                   "an operator (memshare.timestamp) has no place in an update; "
                   "write {[\"$currentDate\"] = {path = true}}");
  }
  if (in->in_update) {
    snprintf(message, sizeof(message),
             "an operator (memshare.%s) has no place in an update; "
             "write {[\"%s\"] = {path = value}}",
             name, updates[operator_->op]);
  } else if (in->content != NULL) {
    snprintf(message, sizeof(message),
             "an operator (memshare.%s) stands alone on the right of an assignment; "
             "inside a table only memshare.timestamp() may stand",
             name);
  } else {
    snprintf(message, sizeof(message),
             "an operator (memshare.%s) is for assignments to a share; "
             "a plain value is expected here",
             name);
  }
  return fail_at(in, up, MS_EARGUMENT, message);
}

static ms_status read_userdata(const reader *in, int index, const frame *up,
                               const ms_value **out) {
  const msl_operator *operator_ = msl_test_operator(in->L, index);
  if (operator_ != NULL) return read_operator(in, up, operator_, out);
  return fail_at(in, up, MS_EARGUMENT, "userdata cannot be shared");
}

static ms_status read_value(const reader *in, int index, const frame *up,
                            const ms_value **out) {
  lua_State *L = in->L;
  ms_status status = MS_OK;
  char message[64];
  switch (lua_type(L, index)) {
    case LUA_TBOOLEAN: *out = ms_value_bool(lua_toboolean(L, index) != 0); return MS_OK;
    case LUA_TNUMBER:
      if (lua_isinteger(L, index)) {
        status = ms_value_new_int(NULL, lua_tointeger(L, index), out);
      } else {
        status = ms_value_new_double(NULL, lua_tonumber(L, index), out);
      }
      break;
    case LUA_TSTRING: {
      size_t length;
      const char *bytes = lua_tolstring(L, index, &length);
      status = ms_value_new_string(NULL, bytes, length, out);
      break;
    }
    case LUA_TTABLE: {
      const ms_value *value;
      const ms_path *path;
      if (!lua_checkstack(L, 6)) return msl_fail_plain(in->error, MS_ENOMEM);
      if (msl_test_proxy(L, index, &value, &path)) {
        return read_proxy(in, up, value, path, out);
      }
      return read_table(in, index, up, out);
    }
    case LUA_TLIGHTUSERDATA:
      if (lua_touserdata(L, index) == NULL) {
        *out = ms_value_null();
        return MS_OK;
      }
      return fail_at(in, up, MS_EARGUMENT, "userdata cannot be shared");
    case LUA_TUSERDATA: return read_userdata(in, index, up, out);
    default:
      snprintf(message, sizeof(message), "%s cannot be shared", luaL_typename(L, index));
      return fail_at(in, up, MS_EARGUMENT, message);
  }
  if (status == MS_ELIMIT) return fail_at(in, up, status, "a string of 4 GiB or more");
  return status == MS_OK ? MS_OK : fail_at(in, up, status, ms_status_text(status));
}

ms_status msl_read_value(lua_State *L, int index, const msl_where *where,
                         const ms_value **out, ms_error *error) {
  reader in = {.L = L, .where = where, .error = error};
  return read_value(&in, lua_absindex(L, index), NULL, out);
}

ms_status msl_read_content(lua_State *L, int index, const msl_where *where,
                           msl_content *out, ms_error *error) {
  reader in = {.L = L, .where = where, .content = out, .error = error};
  return read_value(&in, lua_absindex(L, index), NULL, &out->value);
}

ms_status msl_read_update(lua_State *L, int index, const ms_value **out,
                          ms_error *error) {
  reader in = {.L = L, .follows_proxies = true, .in_update = true, .error = error};
  return read_value(&in, lua_absindex(L, index), NULL, out);
}

ms_status msl_read_any(lua_State *L, int index, const msl_where *where,
                       const ms_value **out, ms_error *error) {
  reader in = {.L = L, .where = where, .follows_proxies = true, .error = error};
  return read_value(&in, lua_absindex(L, index), NULL, out);
}

/* --------------------------------------------------------------- pushing */

bool msl_is_scalar(const ms_value *value) {
  ms_type type = ms_value_type(value);
  return type != MS_ARRAY && type != MS_OBJECT && type != MS_EMPTY;
}

void msl_push_scalar(lua_State *L, const ms_value *value) {
  bool flag = false;
  int64_t integer = 0;
  double number = 0;
  const char *bytes = "";
  size_t length = 0;
  switch (ms_value_type(value)) {
    case MS_BOOL:
      (void)!ms_value_to_bool(value, &flag);
      lua_pushboolean(L, flag);
      break;
    case MS_INT:
      (void)!ms_value_to_int(value, &integer);
      lua_pushinteger(L, integer);
      break;
    case MS_DOUBLE:
      (void)!ms_value_to_double(value, &number);
      lua_pushnumber(L, number);
      break;
    case MS_STRING:
      (void)!ms_value_to_string(value, &bytes, &length);
      lua_pushlstring(L, bytes, length);
      break;
    default: lua_pushlightuserdata(L, NULL); break;
  }
}

static void push_mark(lua_State *L, const char *type) {
  luaL_getmetatable(L, type);
  lua_setmetatable(L, -2);
}

static void push_array_copy(lua_State *L, const ms_value *value) {
  ms_cursor cursor;
  const char *key;
  size_t index;
  const ms_value *item;
  lua_createtable(L, (int)ms_value_count(value), 0);
  ms_cursor_init(&cursor, value);
  while (ms_cursor_next(&cursor, &key, &index, &item)) {
    msl_push_copy(L, item);
    lua_rawseti(L, -2, (lua_Integer)index + 1);
  }
  push_mark(L, "memshare.array");
}

static void push_object_copy(lua_State *L, const ms_value *value) {
  ms_cursor cursor;
  const char *key;
  size_t length;
  const ms_value *item;
  lua_createtable(L, 0, (int)ms_value_count(value));
  ms_cursor_init(&cursor, value);
  while (ms_cursor_next(&cursor, &key, &length, &item)) {
    lua_pushlstring(L, key, length);
    msl_push_copy(L, item);
    lua_rawset(L, -3);
  }
  /* An object that has keys is known by them. */
  if (ms_value_count(value) == 0) push_mark(L, "memshare.object");
}

void msl_push_copy(lua_State *L, const ms_value *value) {
  luaL_checkstack(L, 5, NULL);
  switch (ms_value_type(value)) {
    case MS_ARRAY: push_array_copy(L, value); break;
    case MS_OBJECT: push_object_copy(L, value); break;
    case MS_EMPTY: lua_newtable(L); break;
    default: msl_push_scalar(L, value); break;
  }
}

void msl_push_id(lua_State *L, uint64_t id) {
  char text[17];
  if (id == 0) {
    lua_pushnil(L);
    return;
  }
  int length = snprintf(text, sizeof(text), "%" PRIx64, id);
  lua_pushlstring(L, text, (size_t)length);
}

void msl_push_text(lua_State *L, const ms_path *path) {
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  for (size_t i = 0; i < ms_path_count(path); i++) {
    ms_key key = ms_path_key(path, i);
    if (i > 0) luaL_addchar(&buffer, '.');
    luaL_addlstring(&buffer, key.bytes, key.length);
  }
  luaL_pushresult(&buffer);
}
