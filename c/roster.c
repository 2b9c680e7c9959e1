/*
 * Who is there: the peers of a share, the shares of a directory. The library gives them
 * one by one while it is on the stack, so they are copied first and Lua hears of them
 * afterwards.
 */
#include "core.h"

#include <string.h>

static void set_count(lua_State *L, const char *name, uint64_t count) {
  lua_pushinteger(L, (lua_Integer)count);
  lua_setfield(L, -2, name);
}

static void set_flag(lua_State *L, const char *name, bool flag) {
  lua_pushboolean(L, flag);
  lua_setfield(L, -2, name);
}

/* ------------------------------------------------------------------ peers */

typedef struct peer_list {
  size_t room;
  size_t count;
  struct {
    ms_peer peer;
    char program[64];
    char roles[MS_ROLES_BYTES];
  } peers[];
} peer_list;

static void count_peer(void *ud, const ms_peer *peer) {
  (void)peer;
  ++*(size_t *)ud;
}

static void copy_peer(void *ud, const ms_peer *peer) {
  peer_list *list = ud;
  if (list->count == list->room) return;
  size_t i = list->count++;
  const char *program = peer->program != NULL ? peer->program : "";
  size_t length = strnlen(program, sizeof(list->peers[i].program) - 1);
  list->peers[i].peer = *peer;
  memcpy(list->peers[i].program, program, length);
  list->peers[i].program[length] = '\0';
  const char *end = peer->roles;
  while (*end != '\0') end += strlen(end) + 1;
  memcpy(list->peers[i].roles, peer->roles, (size_t)(end - peer->roles) + 1);
}

static void push_roles(lua_State *L, const char *roles) {
  lua_Integer count = 0;
  lua_newtable(L);
  for (; *roles != '\0'; roles += strlen(roles) + 1) {
    lua_pushstring(L, roles);
    lua_rawseti(L, -2, ++count);
  }
}

void msl_push_peer(lua_State *L, const ms_peer *peer) {
  lua_createtable(L, 0, 10);
  msl_push_id(L, peer->id);
  lua_setfield(L, -2, "id");
  set_count(L, "pid", (uint64_t)peer->pid);
  lua_pushnumber(L, (lua_Number)peer->since_ms / 1000);
  lua_setfield(L, -2, "since");
  lua_pushstring(L, peer->program);
  lua_setfield(L, -2, "program");
  set_flag(L, "is_host", peer->is_host);
  set_flag(L, "is_self", peer->is_self);
  set_flag(L, "readonly", peer->readonly);
  set_flag(L, "can_host", peer->can_host);
  push_roles(L, peer->roles);
  lua_setfield(L, -2, "roles");
}

int msl_share_peers(lua_State *L) {
  msl_share *self = msl_check_open_share(L, 1);
  ms_error error;
  size_t room = 0;
  ms_status status = ms_share_peers(self->share, count_peer, &room);
  peer_list *list =
      lua_newuserdatauv(L, sizeof(*list) + room * sizeof(list->peers[0]), 0);
  list->room = room;
  list->count = 0;
  if (status == MS_OK) status = ms_share_peers(self->share, copy_peer, list);
  if (status != MS_OK) {
    msl_fail_plain(&error, status);
    return msl_push_failure(L, &error);
  }
  lua_createtable(L, (int)list->count, 0);
  for (size_t i = 0; i < list->count; i++) {
    list->peers[i].peer.program = list->peers[i].program;
    list->peers[i].peer.roles = list->peers[i].roles;
    msl_push_peer(L, &list->peers[i].peer);
    msl_push_peer_place(L, self, 1, list->peers[i].peer.id);
    lua_setfield(L, -2, "me");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* ----------------------------------------------------------------- shares */

typedef struct listing_list {
  size_t room;
  size_t count;
  struct {
    char name[MS_NAME_MAX + 1];
    uint64_t group;
    uint64_t term;
    bool alive;
  } items[];
} listing_list;

static void count_listing(void *ud, const ms_listing *listing) {
  (void)listing;
  ++*(size_t *)ud;
}

static void copy_listing(void *ud, const ms_listing *listing) {
  listing_list *list = ud;
  if (list->count == list->room) return;
  size_t i = list->count++;
  size_t length = strnlen(listing->name, MS_NAME_MAX);
  memcpy(list->items[i].name, listing->name, length);
  list->items[i].name[length] = '\0';
  list->items[i].group = listing->group;
  list->items[i].term = listing->term;
  list->items[i].alive = listing->alive;
}

typedef struct list_options {
  const char *dir;
} list_options;
static const msl_option list_option_list[] = {
    {"dir", MSL_OPTION_STRING, offsetof(list_options, dir)},
    {NULL, MSL_OPTION_BOOL, 0},
};

/* list(options): an array of { name, group, term, alive }. */
static int module_list(lua_State *L) {
  list_options options = {NULL};
  ms_error error = {MS_OK, ""};
  size_t room = 0;
  lua_settop(L, 1);
  msl_check_options(L, 1, list_option_list, &options);
  ms_status status = ms_list(options.dir, count_listing, &room, &error);
  if (msl_finish(&error, status) != MS_OK) return msl_push_failure(L, &error);
  listing_list *list =
      lua_newuserdatauv(L, sizeof(*list) + room * sizeof(list->items[0]), 0);
  list->room = room;
  list->count = 0;
  status = ms_list(options.dir, copy_listing, list, &error);
  if (msl_finish(&error, status) != MS_OK) return msl_push_failure(L, &error);
  lua_createtable(L, (int)list->count, 0);
  for (size_t i = 0; i < list->count; i++) {
    lua_createtable(L, 0, 4);
    lua_pushstring(L, list->items[i].name);
    lua_setfield(L, -2, "name");
    msl_push_id(L, list->items[i].group);
    lua_setfield(L, -2, "group");
    set_count(L, "term", list->items[i].term);
    set_flag(L, "alive", list->items[i].alive);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

void msl_register_roster(lua_State *L) {
  lua_pushcfunction(L, module_list);
  lua_setfield(L, -2, "list");
}
