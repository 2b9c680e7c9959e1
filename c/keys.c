/* Path arguments: dotted text, or lists of keys. */
#include "core.h"

size_t msl_print_integer(int64_t number, char *buffer) {
  char digits[MSL_NUMBER_BYTES];
  size_t count = 0;
  uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
  size_t length = number < 0 ? 1 : 0;
  do {
    digits[count++] = (char)('0' + rest % 10);
    rest /= 10;
  } while (rest > 0);
  buffer[0] = '-';
  while (count > 0) buffer[length++] = digits[--count];
  buffer[length] = '\0';
  return length;
}

int64_t msl_parse_index(const char *key, size_t length) {
  if (length == 0 || length > 18 || (key[0] == '0' && length > 1)) return -1;
  int64_t number = 0;
  for (size_t i = 0; i < length; i++) {
    if (key[i] < '0' || key[i] > '9') return -1;
    number = number * 10 + (key[i] - '0');
  }
  return number;
}

static size_t joined_slot(const ms_path *parent, const char *key, size_t length) {
  uint64_t hash = (uintptr_t)parent ^ length;
  if (length > 0) {
    hash ^= (uint64_t)(unsigned char)key[0] << 8 |
            (uint64_t)(unsigned char)key[length - 1] << 16 |
            (uint64_t)(unsigned char)key[length / 2] << 24;
  }
  return (size_t)((hash * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - MSL_JOINED_LOG));
}

ms_status msl_join_path(msl_state *state, ms_path *parent, const char *key, size_t length,
                        ms_path **out, ms_error *error) {
  msl_joined *slot = &state->joined[joined_slot(parent, key, length)];
  if (slot->parent == parent) {
    ms_key last = ms_path_key(slot->path, ms_path_count(slot->path) - 1);
    if (last.length == length && memcmp(last.bytes, key, length) == 0) {
      *out = ms_path_retain(slot->path);
      return MS_OK;
    }
  }
  ms_status status = ms_path_join(parent, key, length, out, error);
  if (status != MS_OK || state->ended) return status;
  ms_path_release(slot->parent);
  ms_path_release(slot->path);
  slot->parent = ms_path_retain(parent);
  slot->path = ms_path_retain(*out);
  return MS_OK;
}

void msl_forget_joined(msl_state *state) {
  for (size_t i = 0; i < MSL_JOINED; i++) {
    ms_path_release(state->joined[i].parent);
    ms_path_release(state->joined[i].path);
    state->joined[i] = (msl_joined){NULL, NULL};
  }
}

typedef struct key_list {
  ms_key keys[MS_DEPTH_MAX];
  char numbers[MS_DEPTH_MAX][MSL_NUMBER_BYTES];
  size_t count;
} key_list;

/* Where an integer of a list is an index (below 1 a wrong one): in an array, and as the first key of
 * an empty table. */
static bool names_index(const ms_value *container, lua_Integer key) {
  if (container == NULL) return false;
  ms_type type = ms_value_type(container);
  return type == MS_ARRAY || (type == MS_EMPTY && key == 1);
}

/* The key on top of the stack, which stays in its table, so its bytes stay too. */
static ms_status add_key(lua_State *L, key_list *list, bool is_index, ms_error *error) {
  ms_key *key = &list->keys[list->count];
  if (lua_type(L, -1) == LUA_TSTRING) {
    key->bytes = lua_tolstring(L, -1, &key->length);
  } else {
    char *number = list->numbers[list->count];
    lua_Integer integer = lua_tointeger(L, -1);
    if (is_index && integer < 1) {
      msl_fail(error, MS_EPATH, "key %zu: an index counts from 1", list->count + 1);
      return MS_EPATH;
    }
    key->length = msl_print_integer(is_index ? integer - 1 : integer, number);
    key->bytes = number;
  }
  list->count++;
  return MS_OK;
}

/* Pushes the i-th key; an integral float becomes an integer. */
static ms_status push_key(lua_State *L, int index, lua_Integer i, ms_error *error) {
  int exact = 0;
  switch (lua_rawgeti(L, index, i)) {
    case LUA_TSTRING: return MS_OK;
    case LUA_TNUMBER: {
      lua_Integer integer = lua_tointegerx(L, -1, &exact);
      if (!exact) break;
      lua_pop(L, 1);
      lua_pushinteger(L, integer);
      return MS_OK;
    }
    default: break;
  }
  const char *type = luaL_typename(L, -1);
  lua_pop(L, 1);
  return msl_fail(error, MS_EARGUMENT,
                  "key %d of the path: string or integer expected, got %s", (int)i, type);
}

static ms_status check_list(lua_State *L, int index, size_t *count, ms_error *error) {
  *count = lua_rawlen(L, index);
  if (lua_getmetatable(L, index)) {
    lua_pop(L, 1);
    const msl_state *state = msl_get_state(L);
    const ms_value *value;
    const ms_path *path;
    lua_getmetatable(L, index);
    bool is_array = lua_topointer(L, -1) == state->array_mark;
    lua_pop(L, 1);
    if (msl_test_proxy(L, index, &value, &path) || !is_array) {
      return msl_fail(error, MS_EARGUMENT,
                      "path: string or list of keys expected, got a %s",
                      is_array ? "list" : "table with a metatable");
    }
  }
  if (*count > MS_DEPTH_MAX) {
    return msl_fail(error, MS_ELIMIT, "path: more than %d keys", MS_DEPTH_MAX);
  }
  return MS_OK;
}

static const ms_value *find_child(const ms_value *container, const ms_key *key) {
  if (ms_value_type(container) != MS_ARRAY) {
    return ms_value_get(container, key->bytes, key->length);
  }
  return ms_value_at(container, (size_t)msl_parse_index(key->bytes, key->length));
}

/* `root` decides where integers are indexes, or the bits of `indexes` when it is NULL. */
static ms_status read_list(lua_State *L, int index, const ms_value *root,
                           const unsigned *indexes, ms_path **out, ms_error *error) {
  key_list list;
  list.count = 0;
  size_t count;
  unsigned integers = 0;
  ms_status status = check_list(L, index, &count, error);
  for (size_t i = 1; i <= count && status == MS_OK; i++) {
    status = push_key(L, index, (lua_Integer)i, error);
    if (status != MS_OK) return status;
    bool is_index = false;
    if (lua_isinteger(L, -1)) {
      is_index = indexes != NULL ? (*indexes >> integers & 1U) != 0
                                 : names_index(root, lua_tointeger(L, -1));
      integers++;
    }
    status = add_key(L, &list, is_index, error);
    lua_pop(L, 1);
    if (status != MS_OK || root == NULL) continue;
    root = find_child(root, &list.keys[list.count - 1]);
  }
  return status != MS_OK ? status : ms_path_new(NULL, list.keys, list.count, out, error);
}

ms_status msl_read_path(lua_State *L, int index, const ms_value *root, ms_path **out,
                        ms_error *error) {
  size_t length;
  const char *text;
  if (!lua_checkstack(L, 6)) return msl_fail_plain(error, MS_ENOMEM);
  switch (lua_type(L, index)) {
    case LUA_TSTRING:
      text = lua_tolstring(L, index, &length);
      return ms_path_parse(NULL, text, length, out, error);
    case LUA_TTABLE: return read_list(L, index, root, NULL, out, error);
    default:
      return msl_fail(error, MS_EARGUMENT,
                      "path: string or list of keys expected, got %s",
                      luaL_typename(L, index));
  }
}

int msl_count_integers(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TTABLE) return 0;
  int count = 0;
  size_t length = lua_rawlen(L, index);
  for (size_t i = 1; i <= length && i <= MS_DEPTH_MAX; i++) {
    if (lua_rawgeti(L, index, (lua_Integer)i) == LUA_TNUMBER) count++;
    lua_pop(L, 1);
  }
  return count;
}

ms_status msl_read_keys(lua_State *L, int index, unsigned indexes, ms_path **out,
                        ms_error *error) {
  return read_list(L, index, NULL, &indexes, out, error);
}
