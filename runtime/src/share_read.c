/*
 * Reading a share: what stands at a path of the view. Owner's side; needs no memory and waits for
 * nobody.
 */
#include <string.h>

#include "share.h"

const ms_value *msi_share_root(const ms_share *share) {
  return share->batch != NULL ? share->batch->draft.root : msi_view_root(share->view);
}

const ms_value *ms_share_root(const ms_share *share) {
  if (msi_share_guard(share) != MS_OK) return NULL;
  return ms_value_retain(msi_share_root(share));
}

uint64_t ms_share_view_number(const ms_share *share) {
  return msi_view_number(share->view) + share->draft_changes;
}

/* --------------------------------------------------------------- by dotted text */

ms_status ms_share_get(const ms_share *share, const char *path, const ms_value **out) {
  ms_status status = msi_share_guard(share);
  if (status != MS_OK) return status;
  if (path == NULL) return MS_EARGUMENT;
  const ms_value *root = msi_share_root(share);
  return root == NULL ? MS_ENOENT : msi_path_text_find(path, strlen(path), root, out);
}

ms_status ms_share_get_bool(const ms_share *share, const char *path, bool *out) {
  const ms_value *value;
  ms_status status = ms_share_get(share, path, &value);
  return status == MS_OK ? ms_value_to_bool(value, out) : status;
}

ms_status ms_share_get_int(const ms_share *share, const char *path, int64_t *out) {
  const ms_value *value;
  ms_status status = ms_share_get(share, path, &value);
  return status == MS_OK ? ms_value_to_int(value, out) : status;
}

ms_status ms_share_get_double(const ms_share *share, const char *path, double *out) {
  const ms_value *value;
  ms_status status = ms_share_get(share, path, &value);
  return status == MS_OK ? ms_value_to_double(value, out) : status;
}

ms_status ms_share_get_string(const ms_share *share, const char *path, const char **bytes,
                              size_t *length) {
  const ms_value *value;
  ms_status status = ms_share_get(share, path, &value);
  return status == MS_OK ? ms_value_to_string(value, bytes, length) : status;
}

/* ------------------------------------------------------------- by compiled path */

ms_status ms_share_get_at(const ms_share *share, const ms_path *path,
                          const ms_value **out) {
  ms_status status = msi_share_guard(share);
  if (status != MS_OK) return status;
  if (path == NULL) return MS_EARGUMENT;
  const ms_value *root = msi_share_root(share);
  const ms_value *value = root == NULL ? NULL : ms_path_find(path, root);
  if (value == NULL) return MS_ENOENT;
  *out = value;
  return MS_OK;
}

ms_status ms_share_get_bool_at(const ms_share *share, const ms_path *path, bool *out) {
  const ms_value *value;
  ms_status status = ms_share_get_at(share, path, &value);
  return status == MS_OK ? ms_value_to_bool(value, out) : status;
}

ms_status ms_share_get_int_at(const ms_share *share, const ms_path *path, int64_t *out) {
  const ms_value *value;
  ms_status status = ms_share_get_at(share, path, &value);
  return status == MS_OK ? ms_value_to_int(value, out) : status;
}

ms_status ms_share_get_double_at(const ms_share *share, const ms_path *path,
                                 double *out) {
  const ms_value *value;
  ms_status status = ms_share_get_at(share, path, &value);
  return status == MS_OK ? ms_value_to_double(value, out) : status;
}

ms_status ms_share_get_string_at(const ms_share *share, const ms_path *path,
                                 const char **bytes, size_t *length) {
  const ms_value *value;
  ms_status status = ms_share_get_at(share, path, &value);
  return status == MS_OK ? ms_value_to_string(value, bytes, length) : status;
}
