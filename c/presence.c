/*
 * Presence: share.me, what is at a peer's place, and share:ephemeral(path), which binds any other place to
 * the life of this process, and share:expire(path, seconds), which binds it to a time.
 */
#include "core.h"

/* Pushes the proxy of this peer's own place; nil before it has one. */
void msl_push_me(lua_State *L, msl_share *share) {
  ms_error error = {MS_OK, ""};
  if (share->opens == 0) {
    lua_pushnil(L);
    return;
  }
  msl_hold *hold = msl_push_hold(L);
  ms_status status = msl_finish(&error, ms_share_me(share->share, &hold->path, &error));
  if (status == MS_OK) {
    msl_push_proxy(L, 1, hold->path);
  } else if (status == MS_ENOHOST || status == MS_EREADONLY) {
    lua_pushnil(L);
  } else {
    msl_raise_error(L, &error);
  }
  lua_remove(L, -2);
}

/* Pushes what is at the place of a peer, nil where nothing is. The share is at `share_index`. */
void msl_push_peer_place(lua_State *L, msl_share *share, int share_index, uint64_t peer) {
  ms_error error;
  msl_hold *hold = msl_push_hold(L);
  if (ms_peer_path(NULL, peer, &hold->path, &error) != MS_OK) {
    msl_raise_error(L, &error);
  }
  const ms_value *root = msl_share_root(share);
  const ms_value *found = root == NULL ? NULL : ms_path_find(hold->path, root);
  msl_push_at(L, share_index, hold->path, found);
  lua_remove(L, -2);
}

typedef struct binding {
  bool expires;
  uint64_t ttl_ms;
} binding;

/* Argument 2 is the path. Pushes the receipt. */
static int bind(lua_State *L, const binding *asked) {
  msl_share *share = msl_check_open_share(L, 1);
  ms_error error = {MS_OK, ""};
  ms_receipt **receipt = msl_push_write_receipt(L, 1);
  msl_hold *hold = msl_push_hold(L);
  ms_status status = msl_read_path(L, 2, msl_share_root(share), &hold->path, &error);
  if (status == MS_OK) {
    status = asked->expires ? ms_share_expire(share->share, hold->path, asked->ttl_ms,
                                              receipt, &error)
                            : ms_share_bind(share->share, hold->path, receipt, &error);
  }
  if (msl_finish(&error, status) != MS_OK) {
    if (msl_is_mistake(error.status)) return msl_raise_error(L, &error);
    return msl_push_failure(L, &error);
  }
  lua_pop(L, 1);
  return 1;
}

/* ephemeral(path): a receipt; what is there goes when this process does. */
int msl_share_ephemeral(lua_State *L) {
  lua_settop(L, 2);
  return bind(L, &(binding){.expires = false});
}

/* expire(path, seconds): a receipt; nil or math.huge: it stays. */
int msl_share_expire(lua_State *L) {
  lua_settop(L, 3);
  int ttl_ms = msl_check_seconds(L, 3, "seconds", 0);
  return bind(L,
              &(binding){.expires = true, .ttl_ms = ttl_ms < 0 ? 0 : (uint64_t)ttl_ms});
}
