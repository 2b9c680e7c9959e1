/*
 * Presence: share.me, what is at a peer's place, and share:ephemeral(path), which binds any other place to
 * the life of this process.
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

/* ephemeral(path): a receipt; what is there goes when this process does. */
int msl_share_ephemeral(lua_State *L) {
  msl_share *share = msl_check_open_share(L, 1);
  ms_error error = {MS_OK, ""};
  lua_settop(L, 2);
  msl_receipt *receipt = msl_push_receipt(L, 1);
  msl_hold *hold = msl_push_hold(L);
  ms_status status = msl_read_path(L, 2, msl_share_root(share), &hold->path, &error);
  if (status == MS_OK) {
    status = msl_finish(
        &error, ms_share_bind(share->share, hold->path, &receipt->receipt, &error));
  }
  if (status != MS_OK) {
    if (msl_is_mistake(error.status)) return msl_raise_error(L, &error);
    return msl_push_failure(L, &error);
  }
  lua_pop(L, 1);
  return 1;
}
