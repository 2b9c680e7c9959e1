/*
 * Packing and unpacking entries. Pure.
 *
 * Unpacking trusts nothing: the bytes come from a socket or from a mapped file. An entry under
 * construction is always one that msi_entry_fini can free.
 */
#include "entry.h"

#include <string.h>

enum {
  ENTRY_MESSAGE = 4, /* the number of ENTRY in message.h */
  ENTRY_FIELDS = 10,
  REJECT_FIELDS = 7,
  MEMBER_FIELDS = 6 /* and one more with roles */
};

void msi_patch_retain(const msi_patch *patch) {
  (void)ms_update_retain(patch->update);
  (void)msi_reads_retain(patch->reads);
}

void msi_patch_release(const msi_patch *patch) {
  ms_update_release(patch->update);
  msi_reads_release(patch->reads);
}

void msi_entry_fini(msi_entry *entry) {
  ms_update_release(entry->patch.update);
  entry->patch.update = NULL;
  ms_path_release(entry->refusal.path);
  entry->refusal.path = NULL;
  for (size_t i = 0; i < entry->refusal.path_count; i++) {
    ms_path_release(entry->refusal.paths[i]);
  }
  if (entry->refusal.paths != NULL) {
    msi_alloc_free(entry->alloc, (void *)entry->refusal.paths,
                   entry->refusal.path_count * sizeof(ms_path *));
  }
  entry->refusal.paths = NULL;
  entry->refusal.path_count = 0;
}

/* ------------------------------------------------------------------ packing */

/* The role after `role`; NULL: the first. NULL at the end. */
static const char *next_role(const msi_member_info *info, const char *role) {
  const char *next = role == NULL ? info->roles : role + strlen(role) + 1;
  return *next == '\0' ? NULL : next;
}

static size_t count_roles(const msi_member_info *info) {
  size_t count = 0;
  for (const char *role = next_role(info, NULL); role != NULL;
       role = next_role(info, role)) {
    count++;
  }
  return count;
}

bool msi_member_has_role(const msi_member_info *info, const char *role, size_t length) {
  for (const char *own = next_role(info, NULL); own != NULL; own = next_role(info, own)) {
    if (strlen(own) == length && memcmp(own, role, length) == 0) return true;
  }
  return false;
}

/* `used`: bytes of those before. */
static ms_status add_role(msi_member_info *info, size_t *used, const char *role,
                          size_t length) {
  if (length == 0 || memchr(role, 0, length) != NULL) return MS_ETYPE;
  if (length > MS_ROLE_MAX || *used + length + 2 > MS_ROLES_BYTES) return MS_ELIMIT;
  memcpy(info->roles + *used, role, length);
  *used += length + 1;
  return MS_OK;
}

ms_status msi_member_set_roles(msi_member_info *info, const char *roles) {
  msi_member_info made;
  size_t used = 0, count = 0;
  memset(&made, 0, sizeof made);
  for (; roles != NULL && *roles != '\0'; roles += strlen(roles) + 1) {
    if (++count > MS_ROLES_MAX) return MS_ELIMIT;
    ms_status st = add_role(&made, &used, roles, strlen(roles));
    if (st != MS_OK) return st;
  }
  memcpy(info->roles, made.roles, sizeof info->roles);
  return MS_OK;
}

static ms_status roles_pack(msi_buffer *out, const msi_member_info *info, size_t count) {
  if (count == 0) return MS_OK;
  ms_status st = msi_pack_array(out, count);
  for (const char *role = next_role(info, NULL); st == MS_OK && role != NULL;
       role = next_role(info, role)) {
    st = msi_pack_string(out, role, strlen(role));
  }
  return st;
}

static ms_status roles_unpack(msi_reader *in, msi_member_info *info) {
  size_t count, used = 0;
  ms_status st = msi_unpack_array(in, &count);
  if (st == MS_OK && (count == 0 || count > MS_ROLES_MAX)) st = MS_ETYPE;
  for (size_t i = 0; st == MS_OK && i < count; i++) {
    const char *role;
    size_t length;
    st = msi_unpack_string(in, &role, &length);
    if (st == MS_OK) st = add_role(info, &used, role, length);
  }
  return st;
}

ms_status msi_member_info_pack(msi_buffer *out, const msi_member_info *info) {
  size_t role_count = count_roles(info);
  ms_status st = msi_pack_array(out, MEMBER_FIELDS + (role_count > 0 ? 1u : 0u));
  if (st == MS_OK) st = msi_pack_int(out, info->pid);
  if (st == MS_OK) st = msi_pack_int(out, info->since_ms);
  if (st == MS_OK) st = msi_pack_string(out, info->program, strlen(info->program));
  if (st == MS_OK) st = msi_pack_bool(out, info->readonly);
  if (st == MS_OK) st = msi_pack_bool(out, info->can_host);
  if (st == MS_OK) st = msi_pack_bool(out, info->linked);
  if (st == MS_OK) st = roles_pack(out, info, role_count);
  return st;
}

static ms_status refusal_pack(msi_buffer *out, const msi_refusal *refusal) {
  ms_status st = msi_pack_array(out, REJECT_FIELDS);
  if (st == MS_OK) st = msi_pack_int(out, refusal->status);
  if (st == MS_OK) st = msi_pack_string(out, refusal->message, strlen(refusal->message));
  if (st == MS_OK) {
    st = refusal->path == NULL ? msi_pack_nil(out) : msi_path_pack(out, refusal->path);
  }
  if (st == MS_OK) st = msi_pack_uint(out, refusal->winner_version);
  if (st == MS_OK) st = msi_pack_uint(out, refusal->winner);
  if (st == MS_OK) st = msi_pack_int(out, refusal->winner_wall_ms);
  if (st == MS_OK) st = msi_pack_array(out, refusal->path_count);
  for (size_t i = 0; st == MS_OK && i < refusal->path_count; i++) {
    st = msi_path_pack(out, refusal->paths[i]);
  }
  return st;
}

static ms_status body_pack(msi_buffer *out, const msi_entry *entry) {
  switch (entry->kind) {
    case MSI_ENTRY_PATCH:
    case MSI_ENTRY_HOUSE: break;
    case MSI_ENTRY_REJECT: return refusal_pack(out, &entry->refusal);
    case MSI_ENTRY_JOIN: return msi_member_info_pack(out, &entry->member);
    case MSI_ENTRY_RETIRE: break;
  }
  const ms_update *update = entry->patch.update;
  if (update == NULL) return msi_pack_nil(out);
  return msi_buffer_append(out, update->wire, update->wire_bytes);
}

ms_status msi_entry_pack(msi_buffer *out, const msi_entry *entry) {
  const msi_patch *patch = &entry->patch;
  size_t start = out->length;
  ms_status st = msi_pack_array(out, ENTRY_FIELDS);
  if (st == MS_OK) st = msi_pack_uint(out, ENTRY_MESSAGE);
  if (st == MS_OK) st = msi_pack_uint(out, entry->version);
  if (st == MS_OK) st = msi_pack_uint(out, entry->term);
  if (st == MS_OK) st = msi_pack_uint(out, (uint64_t)entry->kind);
  if (st == MS_OK) st = msi_pack_uint(out, patch->origin);
  if (st == MS_OK) st = msi_pack_uint(out, patch->number);
  if (st == MS_OK) st = msi_pack_uint(out, patch->base);
  if (st == MS_OK) st = msi_pack_uint(out, patch->timestamp);
  if (st == MS_OK) st = msi_pack_int(out, patch->wall_ms);
  if (st == MS_OK) st = body_pack(out, entry);
  if (st != MS_OK) out->length = start;
  return st;
}

/* ---------------------------------------------------------------- unpacking */

/* A string of fewer than `room` bytes without NUL, with its NUL. */
static ms_status text_unpack(msi_reader *in, char *out, size_t room) {
  const char *bytes;
  size_t length;
  ms_status st = msi_unpack_string(in, &bytes, &length);
  if (st != MS_OK) return st;
  if (length >= room || (length > 0 && memchr(bytes, 0, length) != NULL)) return MS_ETYPE;
  if (length > 0) memcpy(out, bytes, length);
  out[length] = '\0';
  return MS_OK;
}

ms_status msi_member_info_unpack(msi_reader *in, msi_member_info *out) {
  msi_member_info info;
  memset(&info, 0, sizeof info);
  size_t count;
  ms_status st = msi_unpack_array(in, &count);
  bool has_roles = st == MS_OK && count == MEMBER_FIELDS + 1;
  if (st == MS_OK && count != MEMBER_FIELDS && !has_roles) st = MS_ETYPE;
  if (st == MS_OK) st = msi_unpack_int(in, &info.pid);
  if (st == MS_OK) st = msi_unpack_int(in, &info.since_ms);
  if (st == MS_OK) st = text_unpack(in, info.program, sizeof info.program);
  if (st == MS_OK) st = msi_unpack_bool(in, &info.readonly);
  if (st == MS_OK) st = msi_unpack_bool(in, &info.can_host);
  if (st == MS_OK) st = msi_unpack_bool(in, &info.linked);
  if (st == MS_OK && has_roles) st = roles_unpack(in, &info);
  if (st == MS_OK && info.linked && info.can_host) st = MS_ETYPE;
  if (st == MS_OK) *out = info;
  return st;
}

static ms_status paths_unpack(msi_reader *in, const ms_alloc *alloc,
                              msi_refusal *refusal) {
  size_t count;
  ms_status st = msi_unpack_array(in, &count);
  if (st != MS_OK || count == 0) return st;
  if (count > (size_t)(in->end - in->at))
    return MS_ELIMIT; /* a path takes at least a byte */
  refusal->paths = msi_alloc_zero(alloc, count * sizeof(ms_path *));
  if (refusal->paths == NULL) return MS_ENOMEM;
  refusal->path_count = count;
  for (size_t i = 0; st == MS_OK && i < count; i++) {
    st = msi_path_unpack(in, alloc, &refusal->paths[i]);
  }
  return st;
}

static bool status_is_refusal(int64_t number) {
  return number < 0 && number >= MS_ENOMEM;
}

static ms_status refusal_unpack(msi_reader *in, const ms_alloc *alloc,
                                msi_refusal *refusal) {
  size_t count;
  int64_t status = 0;
  ms_status st = msi_unpack_array(in, &count);
  if (st == MS_OK && count != REJECT_FIELDS) st = MS_ETYPE;
  if (st == MS_OK) st = msi_unpack_int(in, &status);
  if (st == MS_OK && !status_is_refusal(status)) st = MS_ETYPE;
  if (st == MS_OK) refusal->status = (ms_status)status;
  if (st == MS_OK) st = text_unpack(in, refusal->message, sizeof refusal->message);
  if (st == MS_OK && msi_unpack_nil(in) != MS_OK) {
    st = msi_path_unpack(in, alloc, &refusal->path);
  }
  if (st == MS_OK) st = msi_unpack_uint(in, &refusal->winner_version);
  if (st == MS_OK) st = msi_unpack_uint(in, &refusal->winner);
  if (st == MS_OK) st = msi_unpack_int(in, &refusal->winner_wall_ms);
  if (st == MS_OK) st = paths_unpack(in, alloc, refusal);
  return st;
}

static ms_status patch_unpack(msi_reader *in, msi_entry *entry, ms_error *error) {
  const uint8_t *start;
  size_t bytes;
  ms_status st = msi_unpack_skip(in, &start, &bytes);
  if (st != MS_OK) return st;
  return msi_update_decode(entry->alloc, start, bytes, &entry->patch.update, error);
}

static ms_status body_unpack(msi_reader *in, msi_entry *entry, ms_error *error) {
  switch (entry->kind) {
    case MSI_ENTRY_PATCH:
    case MSI_ENTRY_HOUSE: return patch_unpack(in, entry, error);
    case MSI_ENTRY_REJECT: return refusal_unpack(in, entry->alloc, &entry->refusal);
    case MSI_ENTRY_JOIN: return msi_member_info_unpack(in, &entry->member);
    case MSI_ENTRY_RETIRE: break;
  }
  return msi_unpack_nil(in) == MS_OK ? MS_OK : patch_unpack(in, entry, error);
}

static ms_status header_unpack(msi_reader *in, msi_entry *entry) {
  msi_patch *patch = &entry->patch;
  size_t count;
  uint64_t message = 0, kind = 0;
  ms_status st = msi_unpack_array(in, &count);
  if (st == MS_OK && count != ENTRY_FIELDS) st = MS_ETYPE;
  if (st == MS_OK) st = msi_unpack_uint(in, &message);
  if (st == MS_OK && message != ENTRY_MESSAGE) st = MS_ETYPE;
  if (st == MS_OK) st = msi_unpack_uint(in, &entry->version);
  if (st == MS_OK) st = msi_unpack_uint(in, &entry->term);
  if (st == MS_OK) st = msi_unpack_uint(in, &kind);
  if (st == MS_OK && (kind < MSI_ENTRY_PATCH || kind > MSI_ENTRY_HOUSE)) st = MS_ETYPE;
  if (st == MS_OK) entry->kind = (msi_entry_kind)kind;
  if (st == MS_OK) st = msi_unpack_uint(in, &patch->origin);
  if (st == MS_OK && (patch->origin == 0 || patch->origin > MSI_PEER_MAX)) st = MS_ETYPE;
  if (st == MS_OK) st = msi_unpack_uint(in, &patch->number);
  if (st == MS_OK) st = msi_unpack_uint(in, &patch->base);
  if (st == MS_OK) st = msi_unpack_uint(in, &patch->timestamp);
  if (st == MS_OK) st = msi_unpack_int(in, &patch->wall_ms);
  return st;
}

ms_status msi_entry_unpack(const ms_alloc *alloc, const uint8_t *data, size_t bytes,
                           msi_entry *out, ms_error *error) {
  ms_error detail = {MS_OK, ""};
  msi_entry entry;
  memset(&entry, 0, sizeof entry);
  entry.alloc = msi_alloc_resolve(alloc);
  msi_reader in = {data, data + bytes};
  ms_status st = header_unpack(&in, &entry);
  if (st == MS_OK) st = body_unpack(&in, &entry, &detail);
  if (st == MS_OK && in.at != in.end) st = MS_ETYPE;
  if (st != MS_OK) {
    msi_entry_fini(&entry);
    if (st == MS_ENOMEM) return msi_fail(error, st, "no memory for an entry");
    return msi_fail(error, st, "malformed entry%s%s",
                    detail.message[0] != '\0' ? ": " : "", detail.message);
  }
  *out = entry;
  return MS_OK;
}
