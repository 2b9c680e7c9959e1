/*
 * Proxies: tables that name a path of a share.
 *
 *   proxy (table) --[slot]--> place (userdata) --> path, share, cached value
 *                                |- user value SHARE: the share's object
 *                                |- user value PARENT: the proxy it was reached by
 *                                `- user value CHILDREN: weak table, key -> proxy
 *
 * The one raw slot makes raw readers (next, rawlen, lua-cjson) fail or differ loudly. A
 * child keeps its parent alive and the parent knows its living children, so a path has
 * one proxy as long as any is alive. The value is borrowed from the view's root and
 * good while the view's number is the same: reads cost no walk from the root.
 *
 * A read-only copy (a `snapshot`) is a proxy whose place has no share and retains its
 * value.
 */
#include "core.h"

#include <string.h>

static const char slot_key; /* the raw slot of a proxy, and the mark of a place */
static const char proxy_metatable_key; /* of the registry */
static const char place_metatable_key;
static const char weak_metatable_key;

enum { PLACE_SHARE = 1, PLACE_PARENT, PLACE_CHILDREN, PLACE_SLOTS = PLACE_CHILDREN };

/* No view has this number. */
#define NUMBER_NONE (UINT64_MAX - 1)

typedef struct place {
  const void *mark; /* &slot_key: any userdata can be put into the slot by rawset */
  msl_share *share; /* NULL: a snapshot */
  const ms_value *value;
  uint64_t number; /* of the view that `value` is from */
  ms_path *path;   /* retained; NULL: a snapshot */
  bool has_cache;  /* see cache.c */
} place;

/* The place of the proxy at `index`, or NULL. Pushes the slot. Cannot raise. */
static place *push_place(lua_State *L, int index) {
  lua_rawgetp(L, index, &slot_key);
  place *self = lua_touserdata(L, -1);
  if (self == NULL || lua_rawlen(L, -1) != sizeof(*self) || self->mark != &slot_key)
    return NULL;
  return self;
}

/* Argument 1 of a metamethod. */
static place *check_place(lua_State *L) {
  place *self = lua_type(L, 1) == LUA_TTABLE ? push_place(L, 1) : NULL;
  if (self == NULL) msl_raise(L, MS_EARGUMENT, "a proxy expected");
  return self;
}

static const ms_value *place_value(place *self) {
  if (self->share == NULL) return self->value;
  uint64_t number = msl_share_number(self->share);
  if (number != self->number) {
    const ms_value *root = msl_share_root(self->share);
    self->value = root == NULL ? NULL : ms_path_find(self->path, root);
    self->number = number;
  }
  return self->value;
}

static int place_gc(lua_State *L) {
  place *self = lua_touserdata(L, 1);
  ms_path *path = self->path;
  const ms_value *value = self->share == NULL ? self->value : NULL;
  if (self->share != NULL) msl_cache_drop(self->share, &self->has_cache);
  /* A finalizer of the script may still read it: it shows nothing from now on. */
  self->share = NULL;
  self->path = NULL;
  self->value = NULL;
  ms_path_release(path);
  ms_value_release(value);
  return 0;
}

bool msl_test_proxy(lua_State *L, int index, const ms_value **value,
                    const ms_path **path) {
  if (!lua_getmetatable(L, index)) return false;
  bool is_proxy = msl_is_proxy_metatable(L, msl_get_state(L));
  lua_pop(L, 1);
  if (!is_proxy) return false;
  place *self = push_place(L, lua_absindex(L, index));
  lua_pop(L, 1);
  if (self == NULL) return false;
  *value = place_value(self);
  *path = self->path;
  msl_note_whole(self->share, self->path);
  return true;
}

msl_share *msl_push_proxy_share(lua_State *L, int index) {
  push_place(L, index);
  lua_getiuservalue(L, -1, PLACE_SHARE);
  lua_remove(L, -2);
  return lua_touserdata(L, -1);
}

/* ----------------------------------------------------------------- making */

/* Pushes a proxy and its place, which is empty. */
static place *push_new(lua_State *L) {
  luaL_checkstack(L, 8, NULL);
  lua_createtable(L, 0, 1);
  place *self = lua_newuserdatauv(L, sizeof(*self), PLACE_SLOTS);
  memset(self, 0, sizeof(*self));
  self->mark = &slot_key;
  self->number = NUMBER_NONE;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &place_metatable_key);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, -3, &slot_key);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &proxy_metatable_key);
  lua_setmetatable(L, -3);
  return self;
}

void msl_push_snapshot(lua_State *L, const ms_value *value) {
  place *self = push_new(L);
  self->value = ms_value_retain(value);
  lua_pop(L, 1);
}

void msl_push_root_proxy(lua_State *L, int share_index) {
  if (lua_getiuservalue(L, share_index, MSL_SHARE_DATA) != LUA_TNIL) return;
  lua_pop(L, 1);
  ms_error error = {MS_OK, ""};
  place *self = push_new(L);
  if (ms_path_new(NULL, NULL, 0, &self->path, &error) != MS_OK)
    msl_raise_error(L, &error);
  lua_pushvalue(L, share_index);
  lua_setiuservalue(L, -2, PLACE_SHARE);
  self->share = lua_touserdata(L, share_index);
  lua_pop(L, 1);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, share_index, MSL_SHARE_DATA);
}

/* Pushes the table of the children of the place at `index`. */
static void push_children(lua_State *L, int index) {
  if (lua_getiuservalue(L, index, PLACE_CHILDREN) != LUA_TNIL) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &weak_metatable_key);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, index, PLACE_CHILDREN);
}

/* The same key of a path is the same key here, whether it came as a number or as a
 * string. */
static void push_child_key(lua_State *L, const char *key, size_t length) {
  int64_t index = msl_parse_index(key, length);
  if (index >= 0) {
    lua_pushinteger(L, index);
  } else {
    lua_pushlstring(L, key, length);
  }
}

/* Pushes the proxy one key below that at `proxy`, whose place is at `place_index`. */
static void push_child(lua_State *L, int proxy, int place_index, const char *key,
                       size_t length) {
  const place *parent = lua_touserdata(L, place_index);
  luaL_checkstack(L, 10, NULL);
  push_children(L, place_index);
  push_child_key(L, key, length);
  lua_pushvalue(L, -1);
  if (lua_rawget(L, -3) == LUA_TNIL) {
    ms_error error = {MS_OK, ""};
    lua_pop(L, 1);
    place *self = push_new(L);
    if (ms_path_join(parent->path, key, length, &self->path, &error) != MS_OK) {
      msl_raise_error(L, &error);
    }
    lua_getiuservalue(L, place_index, PLACE_SHARE);
    lua_setiuservalue(L, -2, PLACE_SHARE);
    lua_pushvalue(L, proxy);
    lua_setiuservalue(L, -2, PLACE_PARENT);
    self->share = parent->share;
    lua_pop(L, 1);     /* children, key, proxy */
    lua_insert(L, -3); /* proxy, children, key */
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 1);
  } else {
    lua_replace(L, -3);
    lua_pop(L, 1);
  }
}

void msl_push_proxy(lua_State *L, int share_index, const ms_path *path) {
  luaL_checkstack(L, 12, NULL);
  msl_push_root_proxy(L, share_index);
  for (size_t i = 0; i < ms_path_count(path); i++) {
    ms_key key = ms_path_key(path, i);
    int proxy = lua_gettop(L);
    push_place(L, proxy);
    push_child(L, proxy, proxy + 1, key.bytes, key.length);
    lua_replace(L, proxy);
    lua_settop(L, proxy);
  }
}

/* Pushes a value found under `key` of the proxy at `proxy`. */
static void push_item(lua_State *L, int proxy, int place_index, const ms_value *value,
                      const char *key, size_t length) {
  const place *self = lua_touserdata(L, place_index);
  if (msl_is_scalar(value)) {
    msl_push_scalar(L, value);
  } else if (self->share == NULL) {
    msl_push_snapshot(L, value);
  } else {
    push_child(L, proxy, place_index, key, length);
  }
}

/* ---------------------------------------------------------------- reading */

/* The integer at `index` of the stack, integral floats included. */
static bool read_integer(lua_State *L, int index, lua_Integer *out) {
  int exact = 0;
  if (lua_type(L, index) != LUA_TNUMBER) return false;
  *out = lua_tointegerx(L, index, &exact);
  return exact != 0;
}

int msl_proxy_index(lua_State *L) {
  place *self = check_place(L); /* at 3 */
  const ms_value *container = place_value(self);
  const ms_value *value = NULL;
  const char *key = NULL;
  size_t length = 0;
  lua_Integer integer = 0;
  char number[MSL_NUMBER_BYTES];
  if (self->share != NULL) msl_note_lookup(L, self->share, self->path, container, 2);
  if (container == NULL) return 0;
  if (ms_value_type(container) == MS_OBJECT) {
    if (lua_type(L, 2) == LUA_TSTRING) {
      key = lua_tolstring(L, 2, &length);
    } else if (read_integer(L, 2, &integer)) {
      key = number;
      length = msl_print_integer(integer, number);
    } else {
      return 0;
    }
    value = ms_value_get(container, key, length);
  } else if (ms_value_type(container) == MS_ARRAY && read_integer(L, 2, &integer)) {
    if (integer >= 1) value = ms_value_at(container, (size_t)(integer - 1));
    if (value != NULL && !msl_is_scalar(value)) {
      key = number;
      length = msl_print_integer(integer - 1, number);
    }
  }
  if (value == NULL) return 0;
  uint64_t number_of_view = self->number; /* pushing may run finalizers */
  push_item(L, 1, 3, value, key, length);
  if (self->share == NULL) return 1;
  uint64_t read =
      key != NULL && key != number ? (uintptr_t)key : (uint64_t)integer * 2 + 1;
  if (msl_cache_wants(self->share, self, read)) {
    msl_cache_put(L, self->share, &self->has_cache, number_of_view);
  }
  return 1;
}

static int proxy_len(lua_State *L) {
  place *self = check_place(L);
  const ms_value *value = place_value(self);
  msl_note_container(L, self->share, self->path);
  ms_type type = value == NULL ? MS_EMPTY : ms_value_type(value);
  if (type != MS_ARRAY && type != MS_EMPTY) {
    msl_raise(L, MS_ETYPE, "length of an %s; use memshare.count(proxy)",
              ms_type_name(type));
  }
  lua_pushinteger(L, value == NULL ? 0 : (lua_Integer)ms_value_count(value));
  return 1;
}

static int proxy_tostring(lua_State *L) {
  const place *self = check_place(L);
  if (self->share == NULL) {
    lua_pushliteral(L, "memshare: a read-only copy");
    return 1;
  }
  const ms_share *share = self->share->share;
  lua_pushfstring(L, "memshare %s: ", share == NULL ? "?" : ms_share_name(share));
  if (ms_path_count(self->path) == 0) {
    lua_pushliteral(L, "the whole document");
  } else {
    msl_push_text(L, self->path);
  }
  lua_concat(L, 2);
  return 1;
}

/* -------------------------------------------------------------- iterating */

/* Walks one value to its end, whatever happens to the share meanwhile. */
typedef struct iterator {
  const ms_value *value; /* retained; NULL: at the end */
  ms_cursor cursor;
} iterator;
enum { ITERATOR_PROXY = 1, ITERATOR_SLOTS = 1 };
static const char iterator_metatable_key;

static int iterator_gc(lua_State *L) {
  iterator *self = lua_touserdata(L, 1);
  const ms_value *value = self->value;
  self->value = NULL;
  ms_value_release(value);
  return 0;
}

/* Pushes the container under a key: of an array, the decimal of its index from 0. */
static void push_container(lua_State *L, const ms_value *value, const char *key,
                           size_t length) {
  char number[MSL_NUMBER_BYTES];
  int proxy = lua_gettop(L) + 1;
  lua_getiuservalue(L, lua_upvalueindex(1), ITERATOR_PROXY);
  push_place(L, proxy);
  if (key == NULL) {
    length = msl_print_integer((int64_t)length, number);
    key = number;
  }
  push_item(L, proxy, proxy + 1, value, key, length);
}

static int iterator_next(lua_State *L) {
  iterator *self = lua_touserdata(L, lua_upvalueindex(1));
  const char *key;
  size_t length;
  const ms_value *value;
  if (self->value == NULL || !ms_cursor_next(&self->cursor, &key, &length, &value)) {
    const ms_value *held = self->value;
    self->value = NULL;
    ms_value_release(held);
    lua_pushnil(L);
    return 1;
  }
  if (key == NULL) {
    lua_pushinteger(L, (lua_Integer)length + 1);
  } else {
    lua_pushlstring(L, key, length);
  }
  if (msl_is_scalar(value)) {
    msl_push_scalar(L, value);
    return 2;
  }
  int at = lua_gettop(L);
  push_container(L, value, key, length);
  lua_pushvalue(L, at);
  lua_insert(L, -2);
  return 2;
}

static int proxy_pairs(lua_State *L) {
  place *self = check_place(L);
  msl_note_container(L, self->share, self->path);
  iterator *walk = lua_newuserdatauv(L, sizeof(*walk), ITERATOR_SLOTS);
  walk->value = NULL;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &iterator_metatable_key);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, ITERATOR_PROXY);
  walk->value = ms_value_retain(place_value(self));
  if (walk->value != NULL) ms_cursor_init(&walk->cursor, walk->value);
  lua_pushcclosure(L, iterator_next, 1);
  lua_pushvalue(L, 1);
  lua_pushnil(L);
  return 3;
}

/* ---------------------------------------------------------------- writing */

/* One assignment, resolved against the view. */
typedef struct assignment {
  ms_operator op;
  ms_type guard;
  const char *key; /* below the place; NULL: the place itself, a list that is appended to
                    * or loses its end */
  size_t length;
  bool is_narrow; /* nothing or a scalar stands there */
  char number[MSL_NUMBER_BYTES];
} assignment;

/* "players.alice" for messages. */
static const char *name_of(lua_State *L, const place *self) {
  if (ms_path_count(self->path) == 0) return "the document";
  msl_push_text(L, self->path);
  return lua_tostring(L, -1);
}

/*
 * Functions of the table library that move elements would read values one by one and
 * write them back: other peers' changes would be lost, and a table could end up in two
 * places. They are recognised by the C function that assigns. table.insert(list, value)
 * has no fourth value on its stack: it appends.
 */
static void refuse_shifters(lua_State *L) {
  lua_Debug frame;
  if (!lua_getstack(L, 1, &frame)) return;
  lua_getinfo(L, "f", &frame);
  lua_CFunction caller = lua_tocfunction(L, -1);
  lua_pop(L, 1);
  if (caller == NULL) return;
  static const char *const names[] = {"table.insert at a position", "table.remove",
                                      "table.sort", "table.move"};
  static const char *const instead[] = {"use memshare.insert(list, position, value)",
                                        "use memshare.remove(list, position)",
                                        "change a memshare.copy(list) and assign that",
                                        "change a memshare.copy(list) and assign that"};
  const msl_state *state = msl_get_state(L);
  for (int i = 0; i < 4; i++) {
    if (caller != state->shifters[i]) continue;
    if (i == 0) {
      if (lua_getlocal(L, &frame, 4) == NULL) return;
      lua_pop(L, 1);
    }
    msl_raise(L, MS_EARGUMENT, "%s cannot change a shared list; %s", names[i],
              instead[i]);
  }
}

static void aim_at_object(lua_State *L, const place *self, const ms_value *object,
                          assignment *out) {
  lua_Integer integer;
  if (lua_type(L, 2) == LUA_TSTRING) {
    out->key = lua_tolstring(L, 2, &out->length);
  } else if (read_integer(L, 2, &integer)) {
    out->key = out->number;
    out->length = msl_print_integer(integer, out->number);
  } else {
    msl_raise(L, MS_EARGUMENT, "%s: a key is a string or an integer, not a %s",
              name_of(L, self),
              lua_type(L, 2) == LUA_TNUMBER ? "float" : luaL_typename(L, 2));
  }
  out->op = lua_isnil(L, 3) ? MS_OP_UNSET : MS_OP_SET;
  const ms_value *old = NULL;
  if (object != NULL && self->share->cached_proxies > 0 && !out->is_narrow)
    old = ms_value_get(object, out->key, out->length);
  out->is_narrow = old == NULL || msl_is_scalar(old);
  /* The document itself always exists. */
  out->guard = ms_path_count(self->path) == 0 ? MS_NULL : MS_OBJECT;
}

static void aim_at_array(lua_State *L, const place *self, const ms_value *array,
                         assignment *out) {
  size_t count = ms_value_count(array);
  lua_Integer integer = 0;
  refuse_shifters(L);
  if (!read_integer(L, 2, &integer)) {
    msl_raise(L, MS_EARGUMENT, "%s is an array: its keys are integers, not a %s",
              name_of(L, self),
              lua_type(L, 2) == LUA_TNUMBER ? "float" : luaL_typename(L, 2));
  }
  if (integer < 1 || (lua_Unsigned)integer > count + 1) {
    msl_raise(L, MS_EARGUMENT, "%s has %d elements: index %lld is outside of 1 to %d",
              name_of(L, self), (int)count, (long long)integer, (int)count + 1);
  }
  const ms_value *old = ms_value_at(array, (size_t)integer - 1);
  out->is_narrow = old == NULL || msl_is_scalar(old);
  out->guard = MS_ARRAY;
  if (lua_isnil(L, 3)) {
    if ((lua_Unsigned)integer != count) {
      msl_raise(L, MS_EARGUMENT,
                "%s: assigning nil cannot remove an element that is not the last; "
                "use memshare.remove(list, position)",
                name_of(L, self));
    }
    out->op = MS_OP_POP;
  } else if ((lua_Unsigned)integer == count + 1) {
    out->op = MS_OP_PUSH;
  } else {
    out->op = MS_OP_SET;
    out->key = out->number;
    out->length = msl_print_integer(integer - 1, out->number);
  }
}

/* An empty table becomes an array by key 1, an object by any other. */
static void aim_at_empty(lua_State *L, const place *self, assignment *out) {
  lua_Integer integer = 0;
  bool is_first = read_integer(L, 2, &integer) && integer == 1 && !lua_isnil(L, 3);
  refuse_shifters(L);
  if (is_first && ms_path_count(self->path) > 0) {
    out->op = MS_OP_PUSH;
    out->guard = MS_ARRAY;
    out->is_narrow = true;
  } else {
    aim_at_object(L, self, NULL, out);
  }
}

static void aim(lua_State *L, place *self, assignment *out) {
  if (self->share == NULL) {
    msl_raise(L, MS_EARGUMENT,
              "this is a read-only copy; memshare.copy(it) gives a table");
  }
  if (self->share->opens == 0) {
    msl_raise(L, MS_ECLOSED, "%s: the %s", name_of(L, self),
              self->share->is_draft ? "transaction is over" : "share is closed");
  }
  const ms_value *container = place_value(self);
  if (container == NULL && ms_path_count(self->path) == 0) {
    msl_raise(L, MS_ENOHOST, "the share has not joined yet");
  }
  if (container == NULL) {
    msl_raise(L, MS_EPATH, "%s: nothing is there any more", name_of(L, self));
  }
  switch (ms_value_type(container)) {
    case MS_OBJECT: aim_at_object(L, self, container, out); break;
    case MS_ARRAY: aim_at_array(L, self, container, out); break;
    case MS_EMPTY: aim_at_empty(L, self, out); break;
    default:
      msl_raise(L, MS_EPATH, "%s is no table any more but %s", name_of(L, self),
                ms_type_name(ms_value_type(container)));
  }
}

static ms_status read_operand(lua_State *L, const place *self, assignment *write,
                              msl_content *out, ms_error *error) {
  msl_where where = {self->path, write->key, write->length};
  switch (write->op) {
    case MS_OP_UNSET: out->value = ms_value_null(); return MS_OK;
    case MS_OP_POP: return msl_finish(error, ms_value_new_int(NULL, 1, &out->value));
    case MS_OP_PUSH:
      return msl_read_element(L, 3, &where, "beyond the end of a list", out, error);
    default: return msl_read_assigned(L, 3, &where, &write->op, out, error);
  }
}

static int proxy_newindex(lua_State *L) {
  place *self = check_place(L); /* at 4 */
  assignment write;
  ms_error error = {MS_OK, ""};
  ms_path *path = NULL;
  msl_content operand = {NULL, NULL};
  ms_write single;
  ms_write_init(&single);
  memset(&write, 0, sizeof(write));
  write.is_narrow = msl_cache_prepare(L, self->has_cache); /* at 5 and 6 */
  aim(L, self, &write);
  ms_status status = read_operand(L, self, &write, &operand, &error);
  if (status == MS_OK && write.key != NULL) {
    status = msl_join_path(self->share->state, self->path, write.key, write.length, &path,
                           &error);
  }
  if (status == MS_OK) {
    status = msl_stamp_now(&operand, self->share->share, &single.wall_ms);
  }
  if (status == MS_OK) {
    single.path = path != NULL ? path : self->path;
    single.op = write.op;
    single.operand = operand.value;
    single.container = write.guard;
    single.guards_list = path == NULL;
    msl_cache_assigning(self->share);
    status = msl_share_write(self->share, &single, NULL, &error);
    bool is_known =
        write.op == MS_OP_SET || write.op == MS_OP_UNSET || write.op == MS_OP_POP;
    msl_cache_assigned(L, self->share, 5, write.is_narrow, is_known);
  }
  ms_path_release(path);
  msl_content_fini(&operand);
  if (msl_finish(&error, status) != MS_OK) return msl_raise_error(L, &error);
  return 0;
}

/* ---------------------------------------------------------------- opening */

static const luaL_Reg metamethods[] = {
    {"__index", msl_proxy_index}, {"__newindex", proxy_newindex}, {"__len", proxy_len},
    {"__pairs", proxy_pairs},     {"__tostring", proxy_tostring}, {NULL, NULL},
};

/* A metatable with a finalizer, under a key of the registry. */
static void open_owner(lua_State *L, const char *name, const void *key,
                       lua_CFunction gc) {
  lua_newtable(L);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  lua_rawsetp(L, LUA_REGISTRYINDEX, key);
}

void msl_open_proxy(lua_State *L, msl_state *state) {
  open_owner(L, "memshare.place", &place_metatable_key, place_gc);
  open_owner(L, "memshare.iterator", &iterator_metatable_key, iterator_gc);
  lua_newtable(L);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &weak_metatable_key);
  lua_newtable(L);
  luaL_setfuncs(L, metamethods, 0);
  lua_pushliteral(L, "memshare.proxy");
  lua_setfield(L, -2, "__name");
  lua_pushliteral(L, "memshare.proxy");
  lua_setfield(L, -2, "__metatable");
  state->proxy_mark = lua_topointer(L, -1);
  msl_open_cache(L, state);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &proxy_metatable_key);
}
