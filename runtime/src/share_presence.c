/*
 * Presence: what of a document belongs to the life of this process (memshare.h, "presence"). Owner side.
 */
#include <string.h>

#include "desk.h"
#include "share.h"

ms_status ms_peer_path(const ms_alloc *alloc, uint64_t peer, ms_path **out,
                       ms_error *error) {
  char text[MSI_PEER_TEXT];
  size_t length = msi_peer_text(peer, text);
  ms_key keys[2] = {{MSI_PEERS_KEY, strlen(MSI_PEERS_KEY)}, {text, length}};
  return ms_path_new(alloc, keys, 2, out, error);
}

ms_status ms_share_me(ms_share *share, ms_path **out, ms_error *error) {
  ms_status status = msi_share_may_write(share, error);
  if (status != MS_OK) return status;
  ms_path *path = NULL;
  status = ms_peer_path(share->runtime->alloc, share->peer, &path, error);
  if (status == MS_OK && ms_path_find(path, msi_share_root(share)) == NULL) {
    const ms_value *place = NULL;
    status = ms_value_new_object(share->runtime->alloc, &place);
    if (status == MS_OK) status = ms_share_set_at(share, path, place, NULL, error);
    ms_value_release(place);
  }
  if (status != MS_OK) {
    ms_path_release(path);
    return status;
  }
  *out = path;
  return MS_OK;
}

static ms_status submit_bind(ms_share *share, const ms_path *path, bool binds,
                             ms_receipt **receipt, ms_error *error) {
  ms_update *update = NULL;
  ms_status status = msi_share_may_write(share, error);
  if (status != MS_OK) return status;
  if (path == NULL) return msi_fail(error, MS_EARGUMENT, "no path");
  status = msi_update_bind(share->runtime->alloc, path, binds, &update, error);
  if (status == MS_OK) status = msi_share_submit(share, update, 0, receipt, error);
  ms_update_release(update);
  return status;
}

ms_status ms_share_bind(ms_share *share, const ms_path *path, ms_receipt **receipt,
                        ms_error *error) {
  return submit_bind(share, path, true, receipt, error);
}

ms_status ms_share_unbind(ms_share *share, const ms_path *path, ms_receipt **receipt,
                          ms_error *error) {
  return submit_bind(share, path, false, receipt, error);
}

ms_status ms_share_expire(ms_share *share, const ms_path *path, uint64_t ttl_ms,
                          ms_receipt **receipt, ms_error *error) {
  ms_update *update = NULL;
  ms_status status = msi_share_may_write(share, error);
  if (status != MS_OK) return status;
  if (path == NULL) return msi_fail(error, MS_EARGUMENT, "no path");
  status = msi_update_ttl(share->runtime->alloc, path, ttl_ms, &update, error);
  if (status == MS_OK) status = msi_share_submit(share, update, 0, receipt, error);
  ms_update_release(update);
  return status;
}
