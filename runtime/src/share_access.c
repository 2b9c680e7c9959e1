/*
 * Access and rules: who may write where, how many may, and what (memshare.h). Owner side.
 */
#include <stdio.h>
#include <string.h>

#include "share.h"

/* The roles of a config, one after the other with their NULs, into `out` of MS_ROLES_BYTES bytes. */
ms_status msi_roles_read(const char *const *roles, char *out, ms_error *error) {
  size_t used = 0, count = 0;
  out[0] = out[1] = '\0';
  for (; roles != NULL && roles[count] != NULL; count++) {
    size_t length = strlen(roles[count]);
    if (length == 0 || length > MS_ROLE_MAX) {
      return msi_fail(error, MS_EARGUMENT, "roles: 1 to %d bytes each, got \"%.80s\"",
                      MS_ROLE_MAX, roles[count]);
    }
    if (count == MS_ROLES_MAX || used + length + 2 > MS_ROLES_BYTES) {
      return msi_fail(error, MS_ELIMIT, "roles: at most %d, with %d bytes in all",
                      MS_ROLES_MAX, MS_ROLES_BYTES);
    }
    memcpy(out + used, roles[count], length + 1);
    used += length + 1;
    out[used] = '\0';
  }
  return MS_OK;
}

bool ms_peer_has_role(const ms_peer *peer, const char *role) {
  const char *own = peer->roles;
  while (own != NULL && *own != '\0' && strcmp(own, role) != 0) own += strlen(own) + 1;
  return own != NULL && *own != '\0';
}

/* Submits what was made and gives it back. */
static ms_status submit(ms_share *share, ms_status made, ms_update *update,
                        ms_receipt **receipt, ms_error *error) {
  if (made != MS_OK) return made;
  ms_status status = msi_share_submit(share, update, 0, receipt, error);
  ms_update_release(update);
  return status;
}

static ms_status submit_grant(ms_share *share, const char *role, const char *pattern,
                              bool grants, ms_receipt **receipt, ms_error *error) {
  ms_update *update = NULL;
  size_t length = role == NULL ? 0 : strlen(role);
  ms_status status = msi_share_may_write(share, error);
  if (status != MS_OK) return status;
  if (pattern == NULL) return msi_fail(error, MS_EARGUMENT, "no pattern");
  if (length == 0 || length > MS_ROLE_MAX) {
    return msi_fail(error, MS_EARGUMENT, "role: 1 to %d bytes, got %zu", MS_ROLE_MAX,
                    length);
  }
  status = msi_update_grant(share->runtime->alloc, role, length, pattern, strlen(pattern),
                            grants, &update, error);
  return submit(share, status, update, receipt, error);
}

ms_status ms_share_grant(ms_share *share, const char *role, const char *pattern,
                         ms_receipt **receipt, ms_error *error) {
  return submit_grant(share, role, pattern, true, receipt, error);
}

ms_status ms_share_revoke(ms_share *share, const char *role, const char *pattern,
                          ms_receipt **receipt, ms_error *error) {
  return submit_grant(share, role, pattern, false, receipt, error);
}

ms_status ms_share_set_max_writers(ms_share *share, uint64_t count, ms_receipt **receipt,
                                   ms_error *error) {
  ms_update *update = NULL;
  ms_status status = msi_share_may_write(share, error);
  if (status != MS_OK) return status;
  status = msi_update_writers(share->runtime->alloc, count, &update, error);
  return submit(share, status, update, receipt, error);
}

/* ---------------------------------------------------------------------- rules */

ms_status ms_share_set_schema(ms_share *share, const ms_value *schema,
                              ms_receipt **receipt, ms_error *error) {
  ms_update *update = NULL;
  ms_status status = msi_share_may_write(share, error);
  if (status != MS_OK) return status;
  status = msi_update_schema(share->runtime->alloc, schema, &update, error);
  return submit(share, status, update, receipt, error);
}

ms_status ms_share_set_rules(ms_share *share, const char *source, size_t length,
                             ms_receipt **receipt, ms_error *error) {
  ms_update *update = NULL;
  ms_status status = msi_share_may_write(share, error);
  if (status != MS_OK) return status;
  status = msi_update_rules(share->runtime->alloc, source, length, &update, error);
  return submit(share, status, update, receipt, error);
}
