/*
 * Caches of proxies: what is read again and again is answered by a plain Lua table.
 *
 *   proxy --metatable--> own metatable --__index--> cache --metatable--> __index: a miss
 *                                                     |
 *   owners (weak keys): cache -> proxy <--------------'
 *
 * Calling C for __index costs five times a read of a table. So a proxy of which one key was
 * read repeatedly gets a metatable of its own, like that of all proxies but for __index,
 * which is a table with the values of such keys. Only scalars and proxies below go in; what
 * is not there is a miss, which reads as ever.
 *
 * Exactness: a cache is empty of everything that the view does not show. The library tells
 * of each change (ms_view_watch), and then all proxies of the share get the common metatable
 * back, before anybody reads. An own assignment to a place that held nothing or a scalar
 * changes that one key only, under both its spellings (p[7], p["7"]). Taking back neither
 * allocates nor raises nor runs Lua code: it happens inside the library, on a Lua thread of
 * its own, which holds what it needs:
 *
 *   1: the common metatable, 2: owners, 3: metatables to use again, 4: "__index"
 *
 * Caches hold their values weakly, so they keep no proxy alive. The keys of `owners` are
 * weak, not its values, because entries then last until a proxy's memory goes: a finalizer of
 * the script may read a proxy that is about to die.
 *
 * Bounds: MSL_CACHES_MAX proxies and ENTRIES_MAX values of at most STRING_MAX bytes per Lua
 * state. When they are reached and many more ask, all caches are dropped, so that what is not
 * read any more gives way. Where the view changes soon after caches were filled, more reads
 * are asked for the next time.
 */
#include "core.h"

#include <string.h>

static const char share_key;  /* of an own metatable: the msl_share */
static const char used_key;   /* ... the flag of its place */
static const char cache_key;  /* ... its __index */
static const char owners_key; /* of the registry */
static const char cache_metatable_key;

enum { COMMON = 1, OWNERS, SPARE, INDEX };
enum {
  MSL_CACHES_MAX = 64,
  ENTRIES_MAX = 16384,
  STRING_MAX = 256,
  REFUSALS_MAX = 1024, /* before those that are cached give way */
  PATIENCE_MIN = 4,    /* reads of a key before it is cached */
  PATIENCE_MAX = 240,
  LIFE_MIN_NS = 1000000 /* caches that live shorter were hardly worth it */
};

/* ------------------------------------------------------------ taking back */

/* A proxy of the share has no cache any more. */
static void count_one_less(msl_share *share) {
  share->state->cached_proxies--;
  if (--share->cached_proxies > 0) return;
  share->state->cached_entries -= share->cached_entries;
  share->cached_entries = 0;
  share->cache_epoch++;
  if (share->share != NULL) ms_share_unwatch_view(share->share, &share->watch);
}

/* The common metatable for the proxy on top of the janitor's stack. */
static void demote(lua_State *J, msl_state *state) {
  lua_getmetatable(J, -1);
  lua_rawgetp(J, -1, &share_key);
  msl_share *share = lua_touserdata(J, -1);
  lua_rawgetp(J, -2, &used_key);
  *(bool *)lua_touserdata(J, -1) = false;
  lua_pop(J, 2);
  lua_pushvalue(J, INDEX);
  lua_pushnil(J);
  lua_rawset(J, -3); /* the key exists: no memory is needed, nor for the next one */
  lua_pushnil(J);
  lua_rawsetp(J, -2, &cache_key);
  if (state->spare_count < MSL_CACHES_MAX) {
    lua_rawseti(J, SPARE, ++state->spare_count);
  } else {
    lua_pop(J, 1);
  }
  lua_pushvalue(J, COMMON);
  lua_setmetatable(J, -2);
  count_one_less(share);
}

/* Does the metatable of the proxy on top of the janitor's stack say so? */
static bool says(lua_State *J, const void *key, const void *expected) {
  lua_getmetatable(J, -1);
  lua_rawgetp(J, -1, key);
  bool same = lua_touserdata(J, -1) == expected;
  lua_pop(J, 2);
  return same;
}

/* All proxies whose metatable says so; with NULL all there are. */
static void demote_those(msl_state *state, const void *key, const void *expected) {
  lua_State *J = state->janitor;
  lua_pushnil(J);
  while (lua_next(J, OWNERS)) { /* cache, proxy */
    bool is_meant = expected == NULL || says(J, key, expected);
    if (is_meant) demote(J, state);
    lua_pop(J, 1);
    if (!is_meant) continue;
    lua_pushvalue(J, -1);
    lua_pushnil(J);
    lua_rawset(J, OWNERS); /* the key exists */
  }
}

void msl_cache_clear(msl_share *share) {
  if (share->cached_proxies > 0) demote_those(share->state, &share_key, share);
}

void msl_cache_drop(msl_share *share, bool *used) {
  if (*used) demote_those(share->state, &used_key, used);
  if (!*used) return;
  /* It was not among the owners: the collector had taken it, with its cache, from there. */
  *used = false;
  count_one_less(share);
}

/* An ms_view_watch. */
static bool view_changed(void *ud, bool by_write) {
  msl_share *share = ud;
  if (by_write && share->is_assigning) {
    share->has_assigned = true;
    return true; /* the assignment looks after what it changes */
  }
  bool soon = msl_clock_ns() - share->cached_since_ns < LIFE_MIN_NS;
  if (!soon) {
    share->patience = PATIENCE_MIN;
  } else if (share->patience <= PATIENCE_MAX / 2) {
    share->patience = (uint8_t)(share->patience * 2);
  }
  msl_cache_clear(share);
  /* Those that the collector has taken from the owners count until their finalizer runs. */
  return share->cached_proxies > 0;
}

/* ---------------------------------------------------------------- filling */

void msl_cache_open_share(msl_share *share) {
  share->watch.changed = view_changed;
  share->watch.ud = share;
  share->patience = PATIENCE_MIN;
}

/* Is the proxy at `index` one that reads through no cache, or through one? Pushes its
 * metatable when it is. */
static bool push_proxy_metatable(lua_State *L, const msl_state *state, int index) {
  if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index)) return false;
  if (msl_is_proxy_metatable(L, state)) return true;
  lua_pop(L, 1);
  return false;
}

bool msl_is_proxy_metatable(lua_State *L, const msl_state *state) {
  if (lua_topointer(L, -1) == state->proxy_mark) return true;
  bool is_own = lua_rawgetp(L, -1, &share_key) != LUA_TNIL;
  lua_pop(L, 1);
  return is_own;
}

/* Pushes a metatable like the common one. */
static void push_metatable(lua_State *L, msl_state *state) {
  if (state->spare_count > 0) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &owners_key);
    lua_getiuservalue(L, -1, SPARE);
    lua_rawgeti(L, -1, state->spare_count);
    lua_pushnil(L); /* or it would keep the cache, and that its proxy */
    lua_rawseti(L, -3, state->spare_count--);
    lua_replace(L, -3);
    lua_pop(L, 1);
    return;
  }
  lua_createtable(L, 0, 16);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &owners_key);
  lua_getiuservalue(L, -1, COMMON);
  lua_replace(L, -2);
  for (lua_pushnil(L); lua_next(L, -2);) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -5);
  }
  lua_pop(L, 1);
}

/* Gives the proxy at `index` a cache. Everything that may run finalizers comes first. */
static void promote(lua_State *L, int index, msl_share *share, bool *used) {
  msl_state *state = share->state;
  int top = lua_gettop(L);
  lua_createtable(L, 0, 4); /* the cache */
  lua_rawgetp(L, LUA_REGISTRYINDEX, &cache_metatable_key);
  lua_setmetatable(L, top + 1);
  push_metatable(L, state);
  lua_pushliteral(L, "__index");
  lua_pushvalue(L, top + 1);
  lua_rawset(L, top + 2);
  lua_pushlightuserdata(L, share);
  lua_rawsetp(L, top + 2, &share_key);
  lua_pushlightuserdata(L, used);
  lua_rawsetp(L, top + 2, &used_key);
  lua_pushvalue(L, top + 1);
  lua_rawsetp(L, top + 2, &cache_key);
  /* A finalizer may have closed the share or filled up what was free. */
  if (share->share != NULL && !*used && state->cached_proxies < MSL_CACHES_MAX) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &owners_key);
    lua_getiuservalue(L, -1, OWNERS);
    lua_pushvalue(L, top + 1);
    lua_pushvalue(L, index);
    lua_rawset(L, -3);
    lua_pushvalue(L, top + 2);
    lua_setmetatable(L, index);
    *used = true;
    state->cached_proxies++;
    if (share->cached_proxies++ == 0) {
      share->cached_since_ns = msl_clock_ns();
      ms_share_watch_view(share->share, &share->watch);
    }
  }
  lua_settop(L, top);
}

/* So many ask that the others give way. */
static void refuse(msl_state *state) {
  if (++state->cache_refusals < REFUSALS_MAX) return;
  state->cache_refusals = 0;
  demote_those(state, NULL, NULL);
}

/* Pushes the cache of the proxy at `index`; nil: it has none. */
static void push_cache(lua_State *L, int index) {
  if (!lua_getmetatable(L, index)) {
    lua_pushnil(L);
    return;
  }
  lua_rawgetp(L, -1, &cache_key);
  lua_replace(L, -2);
}

void msl_cache_put(lua_State *L, msl_share *share, bool *used, uint64_t number) {
  msl_state *state = share->state;
  int value = lua_gettop(L);
  if (lua_type(L, value) == LUA_TSTRING && lua_rawlen(L, value) > STRING_MAX) return;
  luaL_checkstack(L, 10, NULL);
  if (!*used) {
    if (state->cached_proxies >= MSL_CACHES_MAX) {
      refuse(state);
      return;
    }
    if (!push_proxy_metatable(L, state, 1)) return;
    lua_pop(L, 1);
    promote(L, 1, share, used);
  }
  if (state->cached_entries >= ENTRIES_MAX) {
    refuse(state);
    return;
  }
  push_cache(L, 1);
  /* Finalizers that have run meanwhile may have changed the view; nothing runs them now. */
  if (!lua_isnil(L, -1) && msl_share_number(share) == number) {
    lua_pushvalue(L, 2);
    lua_pushvalue(L, value);
    lua_rawset(L, -3);
  }
  lua_settop(L, value);
  state->cached_entries++;
  share->cached_entries++;
}

/* -------------------------------------------------------------- assigning */

/* Pushes the other spelling of the key at `index`: "7" of 7, 7 of "7"; nil: none. */
static void push_other_spelling(lua_State *L, int index) {
  char number[MSL_NUMBER_BYTES];
  int is_integer = 0;
  bool is_number = lua_type(L, index) == LUA_TNUMBER;
  size_t other = 0;
  const char *text = "";
  if (lua_type(L, index) == LUA_TSTRING) text = lua_tolstring(L, index, &other);
  if (!is_number && text[0] != '-' && (text[0] < '0' || text[0] > '9')) {
    lua_pushnil(L);
    return;
  }
  lua_Integer integer = lua_tointegerx(L, index, &is_integer);
  if (!is_integer) {
    lua_pushnil(L);
    return;
  }
  size_t length = msl_print_integer(integer, number);
  if (is_number) {
    lua_pushlstring(L, number, length);
    return;
  }
  if (other == length && memcmp(text, number, length) == 0) {
    lua_pushinteger(L, integer);
  } else {
    lua_pushnil(L); /* "0x7", " 7" */
  }
}

bool msl_cache_prepare(lua_State *L, bool has_cache) {
  if (!has_cache) {
    lua_pushnil(L);
    lua_pushnil(L);
    return false;
  }
  push_other_spelling(L, 2); /* may run finalizers; from here on nothing does */
  push_cache(L, 1);
  if (lua_isnil(L, -1)) return false;
  lua_pushvalue(L, 2);
  int type = lua_rawget(L, -2);
  lua_pop(L, 1);
  return type != LUA_TNIL && type != LUA_TTABLE;
}

/* Puts a value, nil included, where the cache on top of the stack has the key at `key`. */
static void renew(lua_State *L, int key, bool is_known) {
  lua_pushvalue(L, key);
  if (lua_rawget(L, -2) != LUA_TNIL) {
    lua_pushvalue(L, key); /* the key exists: no memory is needed */
    if (is_known) {
      lua_pushvalue(L, 3);
    } else {
      lua_pushnil(L);
    }
    lua_rawset(L, -4);
  }
  lua_pop(L, 1);
}

void msl_cache_assigned(lua_State *L, msl_share *share, int prepared, bool is_narrow,
                        bool is_known) {
  bool has_assigned = share->has_assigned;
  share->is_assigning = share->has_assigned = false;
  if (!has_assigned) return;
  if (!is_narrow) {
    msl_cache_clear(share);
    return;
  }
  if (lua_isnil(L, prepared + 1)) return;
  int type = lua_type(L, 3);
  if (type == LUA_TTABLE || type == LUA_TUSERDATA ||
      (type == LUA_TSTRING && lua_rawlen(L, 3) > STRING_MAX)) {
    is_known = false;
  }
  lua_pushvalue(L, prepared + 1);
  renew(L, 2, is_known);
  if (!lua_isnil(L, prepared)) renew(L, prepared, is_known);
  lua_pop(L, 1);
}

/* ---------------------------------------------------------------- opening */

/* __index(cache, key) */
static int cache_miss(lua_State *L) {
  lua_pushvalue(L, 1);
  lua_rawget(L, lua_upvalueindex(1));
  lua_replace(L, 1);
  return msl_proxy_index(L);
}

/* Pushes a table with weak keys or values. */
static void push_weak(lua_State *L, const char *mode) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, mode);
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

/* The common metatable is on top of the stack. */
void msl_open_cache(lua_State *L, msl_state *state) {
  int common = lua_gettop(L);
  lua_State *J = state->janitor;
  luaL_checkstack(L, 12, NULL);
  luaL_checkstack(J, LUA_MINSTACK, NULL);
  push_weak(L, "k");
  lua_createtable(L, MSL_CACHES_MAX, 0);
  (void)lua_newuserdatauv(L, 0, SPARE); /* the same for those who may raise */
  for (int i = 0; i < SPARE; i++) {
    lua_pushvalue(L, common + i);
    lua_setiuservalue(L, -2, COMMON + i);
  }
  lua_rawsetp(L, LUA_REGISTRYINDEX, &owners_key);
  lua_createtable(L, 0, 2);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_pushvalue(L, common + 1);
  lua_pushcclosure(L, cache_miss, 1);
  lua_setfield(L, -2, "__index");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &cache_metatable_key);
  lua_pushvalue(L, common);
  lua_insert(L, common + 1);
  lua_pushliteral(L, "__index");
  lua_xmove(L, J, INDEX);
}
