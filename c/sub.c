/*
 * Subscriptions: on, once, on_patch, on_peer, on_reject, on_status; and watches, which tell wait_for.
 *
 * An open subscription is anchored (dropping it does not unsubscribe) and keeps its
 * share alive. The library calls on_change and its kin while it is on the stack, so all
 * they do is enter Lua protected; everything else happens in there.
 *
 * A key list may hold integers that name an index or a key, by what is there when the
 * change comes. So such a list subscribes once per reading of its integers, and each
 * change is asked which one it is.
 */
#include "core.h"

#include <string.h>

static const char sub_type[] = "memshare.subscription";
enum { SUB_FUNCTION = 1, SUB_SHARE, SUB_SLOTS = SUB_SHARE };
enum { INTEGERS_MAX = 3, VARIANTS_MAX = 1 << INTEGERS_MAX };

typedef struct variant {
  struct msl_sub *owner;
  ms_sub *sub;
  unsigned indexes; /* bit i: the i-th integer names an index */
} variant;

struct msl_sub {
  msl_share *share; /* NULL once closed */
  struct msl_sub *next, **link;
  int integer_count;
  size_t integers[INTEGERS_MAX]; /* where in the path they stand */
  int variant_count;
  variant variants[VARIANTS_MAX];
  bool is_once;
  bool is_watch;
  bool is_due; /* of a watch: something changed */
};

/* --------------------------------------------------------------- lifetime */

static void close_sub(lua_State *L, msl_sub *self) {
  if (self->share == NULL) return;
  for (int i = 0; i < self->variant_count; i++) {
    ms_sub_close(self->variants[i].sub);
    self->variants[i].sub = NULL;
  }
  if (self->next != NULL) self->next->link = self->link;
  *self->link = self->next;
  self->share = NULL;
  msl_release_anchor(L, self);
}

void msl_close_subs(lua_State *L, msl_share *share) {
  while (share->subs != NULL) close_sub(L, share->subs);
}

static int sub_gc(lua_State *L) {
  close_sub(L, lua_touserdata(L, 1));
  return 0;
}

static int sub_close(lua_State *L) {
  msl_sub *self = luaL_testudata(L, 1, sub_type);
  if (self == NULL) msl_raise_type(L, 1, "self", sub_type);
  close_sub(L, self);
  return 0;
}

/* Pushes a subscription of the share at 1 with the function at `index`, listening to
 * nothing yet. */
static msl_sub *push_sub(lua_State *L, msl_share *share, int index) {
  msl_sub *self = lua_newuserdatauv(L, sizeof(*self), SUB_SLOTS);
  memset(self, 0, sizeof(*self));
  luaL_setmetatable(L, sub_type);
  lua_pushvalue(L, index);
  lua_setiuservalue(L, -2, SUB_FUNCTION);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, SUB_SHARE);
  msl_anchor(L, self);
  self->share = share;
  self->next = share->subs;
  self->link = &share->subs;
  if (self->next != NULL) self->next->link = &self->next;
  share->subs = self;
  return self;
}

/* ---------------------------------------------------------------- changes */

typedef struct event {
  msl_sub *sub;
  const void *what; /* ms_change, ms_patch, peer_event, ms_rejection or ms_share_info */
} event;

bool msl_push_listener(lua_State *L, const msl_sub *sub) {
  msl_push_anchored(L, sub);
  if (lua_isnil(L, -1)) return false;
  lua_getiuservalue(L, -1, SUB_SHARE);
  lua_getiuservalue(L, -2, SUB_FUNCTION);
  return true;
}

static bool push_listener(lua_State *L, const event *at) {
  return msl_push_listener(L, at->sub);
}

msl_share *msl_sub_share(const msl_sub *sub) { return sub->share; }

static void push_keys(lua_State *L, const ms_change *change) {
  size_t count = ms_path_count(change->path);
  lua_createtable(L, (int)count, 0);
  for (size_t i = 0; i < count; i++) {
    ms_key key = ms_path_key(change->path, i);
    if (change->is_index[i]) {
      lua_pushinteger(L, msl_parse_index(key.bytes, key.length) + 1);
    } else {
      lua_pushlstring(L, key.bytes, key.length);
    }
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

static void push_change(lua_State *L, const ms_change *change) {
  lua_createtable(L, 0, 6);
  push_keys(L, change);
  lua_setfield(L, -2, "keys");
  msl_push_id(L, change->origin);
  lua_setfield(L, -2, "origin");
  lua_pushboolean(L, change->is_local);
  lua_setfield(L, -2, "is_local");
  if (change->version > 0) {
    lua_pushinteger(L, (lua_Integer)change->version);
    lua_setfield(L, -2, "version");
  }
  lua_pushnumber(L, (lua_Number)change->wall_ms / 1000);
  lua_setfield(L, -2, "time");
  lua_pushstring(L, ms_change_kind_name(change->kind));
  lua_setfield(L, -2, "kind");
}

/* fn(new, old, path, change) */
static int call_change(lua_State *L) {
  const event *at = lua_touserdata(L, 1);
  const ms_change *change = at->what;
  luaL_checkstack(L, 12, NULL);
  if (!push_listener(L, at)) return 0; /* 3: the share, 4: the function */
  if (at->sub->is_once) close_sub(L, at->sub);
  msl_push_at(L, 3, change->path, change->new_value);
  if (change->old_value == NULL) {
    lua_pushnil(L);
  } else if (msl_is_scalar(change->old_value)) {
    msl_push_scalar(L, change->old_value);
  } else {
    msl_push_snapshot(L, change->old_value);
  }
  msl_push_text(L, change->path);
  push_change(L, change);
  lua_call(L, 4, 0);
  return 0;
}

static void on_change(void *ud, const ms_change *change) {
  const variant *self = ud;
  event at = {self->owner, change};
  for (int i = 0; i < self->owner->integer_count; i++) {
    bool is_index = (self->indexes >> i & 1U) != 0;
    if (change->is_index[self->owner->integers[i]] != is_index) return;
  }
  if (self->owner->is_watch) {
    self->owner->is_due = true;
    return;
  }
  msl_enter_lua(self->owner->share->state, call_change, &at);
}

typedef struct on_options {
  bool immediate, coalesce;
} on_options;
static const msl_option on_option_list[] = {
    {"immediate", MSL_OPTION_BOOL, offsetof(on_options, immediate)},
    {"coalesce", MSL_OPTION_BOOL, offsetof(on_options, coalesce)},
    {NULL, MSL_OPTION_BOOL, 0},
};

/* Where the integers of the key list at 2 stand. */
static void find_integers(lua_State *L, msl_sub *self) {
  size_t length = lua_rawlen(L, 2);
  for (size_t i = 0; i < length && self->integer_count < INTEGERS_MAX; i++) {
    if (lua_rawgeti(L, 2, (lua_Integer)i + 1) == LUA_TNUMBER) {
      self->integers[self->integer_count++] = i;
    }
    lua_pop(L, 1);
  }
}

static ms_status read_pattern(lua_State *L, const msl_sub *self, unsigned indexes,
                              ms_path **out, ms_error *error) {
  size_t length;
  if (lua_type(L, 2) != LUA_TSTRING) return msl_read_keys(L, 2, indexes, out, error);
  const char *text = lua_tolstring(L, 2, &length);
  if (self->is_watch) return ms_path_parse(NULL, text, length, out, error);
  return ms_path_parse_pattern(NULL, text, length, out, error);
}

static ms_status listen(lua_State *L, msl_sub *self, unsigned flags, ms_error *error) {
  int count = 1 << self->integer_count;
  ms_status status = MS_OK;
  for (int i = 0; i < count && status == MS_OK; i++) {
    variant *reading = &self->variants[i];
    ms_path *pattern = NULL;
    reading->owner = self;
    reading->indexes = (unsigned)i;
    status = msl_finish(error, read_pattern(L, self, reading->indexes, &pattern, error));
    if (status != MS_OK) break;
    status = ms_share_on(self->share->share, pattern, flags, on_change, reading,
                         &reading->sub);
    ms_path_release(pattern);
    if (status == MS_OK) self->variant_count++;
    msl_finish(error, status);
  }
  return status;
}

static void check_path(lua_State *L) {
  if (lua_type(L, 2) != LUA_TSTRING && lua_type(L, 2) != LUA_TTABLE) {
    msl_raise_type(L, 2, "path", "string or list of keys");
  }
  if (msl_count_integers(L, 2) > INTEGERS_MAX) {
    msl_raise(L, MS_ELIMIT, "path: more than %d integers in a key list", INTEGERS_MAX);
  }
}

/* The subscription on top of the stack begins to hear of the path at 2. */
static int begin(lua_State *L, msl_sub *self, unsigned flags) {
  ms_error error = {MS_OK, ""};
  if (lua_type(L, 2) == LUA_TTABLE) find_integers(L, self);
  if (listen(L, self, flags, &error) != MS_OK) {
    close_sub(L, self);
    return msl_raise_error(L, &error);
  }
  return 1;
}

/* Arguments: share, path, fn, options. */
static int subscribe(lua_State *L, bool is_once) {
  msl_share *share = msl_check_open_share(L, 1);
  on_options options = {false, false};
  lua_settop(L, 4);
  check_path(L);
  msl_check_function(L, 3, "fn");
  msl_check_options(L, 4, on_option_list, &options);
  msl_sub *self = push_sub(L, share, 3);
  self->is_once = is_once;
  return begin(L, self,
               (options.immediate ? MS_ON_IMMEDIATE : 0U) |
                   (options.coalesce ? MS_ON_COALESCE : 0U));
}

int msl_share_on(lua_State *L) { return subscribe(L, false); }

int msl_share_once(lua_State *L) { return subscribe(L, true); }

msl_sub *msl_push_watch(lua_State *L, msl_share *share) {
  check_path(L);
  msl_sub *self = push_sub(L, share, 1); /* it calls nothing */
  lua_toclose(L, -1);
  self->is_watch = true;
  begin(L, self, 0);
  return self;
}

bool msl_watch_is_due(void *watch) {
  const msl_sub *self = watch;
  return self->is_due || self->share == NULL;
}

bool msl_watch_take(msl_sub *watch) {
  bool is_due = msl_watch_is_due(watch);
  watch->is_due = false;
  return is_due;
}

/* ------------------------------------------- patches, rejections and states */

static void push_paths(lua_State *L, const ms_patch *patch) {
  lua_createtable(L, (int)patch->path_count, 0);
  for (size_t i = 0; i < patch->path_count; i++) {
    msl_push_text(L, patch->paths[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
}

static void push_patch(lua_State *L, const ms_patch *patch) {
  lua_createtable(L, 0, 6);
  lua_pushinteger(L, (lua_Integer)patch->version);
  lua_setfield(L, -2, "version");
  lua_pushboolean(L, patch->is_local);
  lua_setfield(L, -2, "is_local");
  lua_pushboolean(L, patch->is_merged);
  lua_setfield(L, -2, "merged");
  if (patch->is_merged) return;
  msl_push_id(L, patch->origin);
  lua_setfield(L, -2, "origin");
  lua_pushnumber(L, (lua_Number)patch->wall_ms / 1000);
  lua_setfield(L, -2, "time");
  push_paths(L, patch);
  lua_setfield(L, -2, "paths");
}

/* fn(patch) */
static int call_patch(lua_State *L) {
  const event *at = lua_touserdata(L, 1);
  luaL_checkstack(L, 12, NULL);
  if (!push_listener(L, at)) return 0;
  push_patch(L, at->what);
  lua_call(L, 1, 0);
  return 0;
}

static void on_patch(void *ud, const ms_patch *patch) {
  const variant *self = ud;
  event at = {self->owner, patch};
  msl_enter_lua(self->owner->share->state, call_patch, &at);
}

typedef struct peer_event {
  ms_peer_event event;
  const ms_peer *peer;
} peer_event;

/* fn(event, peer) */
static int call_peer(lua_State *L) {
  const event *at = lua_touserdata(L, 1);
  const peer_event *what = at->what;
  luaL_checkstack(L, 12, NULL);
  if (!push_listener(L, at)) return 0;
  lua_pushstring(L, what->event == MS_PEER_JOIN ? "join" : "leave");
  msl_push_peer(L, what->peer);
  lua_call(L, 2, 0);
  return 0;
}

static void on_peer(void *ud, ms_peer_event happened, const ms_peer *peer) {
  const variant *self = ud;
  peer_event what = {happened, peer};
  event at = {self->owner, &what};
  msl_enter_lua(self->owner->share->state, call_peer, &at);
}

/* fn(rejection) */
static int call_reject(lua_State *L) {
  const event *at = lua_touserdata(L, 1);
  if (!push_listener(L, at)) return 0;
  msl_push_rejection(L, at->what);
  lua_call(L, 1, 0);
  return 0;
}

static void on_reject(void *ud, const ms_rejection *rejection) {
  const variant *self = ud;
  event at = {self->owner, rejection};
  msl_enter_lua(self->owner->share->state, call_reject, &at);
}

/* fn(state, info) */
static int call_status(lua_State *L) {
  const event *at = lua_touserdata(L, 1);
  const ms_share_info *info = at->what;
  if (!push_listener(L, at)) return 0;
  lua_pushstring(L, ms_share_state_name(info->state));
  msl_push_share_info(L, info);
  lua_call(L, 2, 0);
  return 0;
}

static void on_status(void *ud, const ms_share_info *info) {
  const variant *self = ud;
  event at = {self->owner, info};
  msl_enter_lua(self->owner->share->state, call_status, &at);
}

msl_sub *msl_push_sub(lua_State *L, msl_share *share, int index, ms_sub ***out) {
  msl_sub *self = push_sub(L, share, index);
  self->variants[0].owner = self;
  self->variant_count = 1;
  if (out != NULL) *out = &self->variants[0].sub;
  return self;
}

void msl_drop_sub(lua_State *L, msl_sub *self) { close_sub(L, self); }

static msl_sub *push_handler(lua_State *L) {
  msl_share *share = msl_check_open_share(L, 1);
  lua_settop(L, 2);
  msl_check_function(L, 2, "fn");
  return msl_push_sub(L, share, 2, NULL);
}

static int finish_handler(lua_State *L, msl_sub *self, ms_status status) {
  if (status == MS_OK) return 1;
  close_sub(L, self);
  return msl_raise(L, status, "%s", ms_status_text(status));
}

int msl_share_on_patch(lua_State *L) {
  msl_sub *self = push_handler(L);
  return finish_handler(L, self,
                        ms_share_on_patch(self->share->share, on_patch,
                                          &self->variants[0], &self->variants[0].sub));
}

int msl_share_on_peer(lua_State *L) {
  msl_sub *self = push_handler(L);
  return finish_handler(L, self,
                        ms_share_on_peer(self->share->share, on_peer, &self->variants[0],
                                         &self->variants[0].sub));
}

int msl_share_on_reject(lua_State *L) {
  msl_sub *self = push_handler(L);
  return finish_handler(L, self,
                        ms_share_on_reject(self->share->share, on_reject,
                                           &self->variants[0], &self->variants[0].sub));
}

int msl_share_on_status(lua_State *L) {
  msl_sub *self = push_handler(L);
  return finish_handler(L, self,
                        ms_share_on_state(self->share->share, on_status,
                                          &self->variants[0], &self->variants[0].sub));
}

void msl_open_sub(lua_State *L, msl_state *state) {
  (void)state;
  luaL_newmetatable(L, sub_type);
  lua_newtable(L);
  lua_pushcfunction(L, sub_close);
  lua_setfield(L, -2, "close");
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, sub_close);
  lua_setfield(L, -2, "__close");
  lua_pushcfunction(L, sub_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
