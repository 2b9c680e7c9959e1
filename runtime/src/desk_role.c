/*
 * Who may write where. A grant ties the places of a pattern to a role: whoever has it may write there, and
 * others may not, neither there nor to what holds such a place. What no grant names is free.
 *
 * On the desk a grant is the key [role, [key...]], packed; wildcards stand as they are written.
 */
#include <string.h>

#include "desk.h"

static ms_status grant_key(msi_buffer *out, const msi_op *op) {
  ms_status st = msi_pack_array(out, 2);
  if (st == MS_OK) st = msi_pack_value(out, ms_value_at(op->operand, 0));
  return st == MS_OK ? msi_path_pack(out, op->target) : st;
}

ms_status msi_role_note(const ms_alloc *alloc, const ms_value **desk, const msi_op *op) {
  const ms_value *value = NULL;
  if (op->code == MSI_CODE_WRITERS) {
    int64_t count = 0;
    bool is_any = ms_value_to_int(op->operand, &count) != MS_OK || count == 0;
    return msi_desk_put(alloc, desk, "limits", "writers", strlen("writers"),
                        is_any ? NULL : op->operand);
  }
  msi_buffer key;
  msi_buffer_init(&key, alloc);
  if (op->code == MSI_CODE_GRANT) value = ms_value_bool(true);
  ms_status st = grant_key(&key, op);
  if (st == MS_OK && key.length <= MS_KEY_MAX) {
    st = msi_desk_put(alloc, desk, "grants", (const char *)key.data, key.length, value);
  }
  msi_buffer_fini(&key);
  return st;
}

ms_status msi_desk_set_writers(const ms_alloc *alloc, const ms_value **desk,
                               uint64_t count) {
  const ms_value *value = NULL;
  ms_status st = ms_value_new_int(alloc, (int64_t)(count & INT64_MAX), &value);
  if (st == MS_OK)
    st = msi_desk_put(alloc, desk, "limits", "writers", strlen("writers"), value);
  ms_value_release(value);
  return st;
}

uint64_t msi_desk_writers(const ms_value *desk) {
  int64_t count = 0;
  const ms_value *limits = msi_desk_section(desk, "limits");
  const ms_value *value =
      limits == NULL ? NULL : ms_value_get(limits, "writers", strlen("writers"));
  if (value == NULL || ms_value_to_int(value, &count) != MS_OK || count < 0) return 0;
  return (uint64_t)count;
}

/* ------------------------------------------------------------------- asking */

typedef enum relation {
  APART,
  WITHIN, /* the path is at a granted place, or below it */
  ABOVE   /* the path holds granted places */
} relation;

static bool is_text(const char *bytes, size_t length, const char *text) {
  return strlen(text) == length && memcmp(bytes, text, length) == 0;
}

/* `pattern`: its keys, packed. */
static relation relate(msi_reader pattern, const ms_path *path) {
  size_t count;
  if (msi_unpack_array(&pattern, &count) != MS_OK) return APART;
  for (size_t i = 0; i < count; i++) {
    const char *wanted, *key = NULL;
    size_t wanted_length, length = 0;
    if (msi_unpack_string(&pattern, &wanted, &wanted_length) != MS_OK) return APART;
    if (i == path->count) return ABOVE;
    if (is_text(wanted, wanted_length, "**")) return WITHIN;
    if (is_text(wanted, wanted_length, "*")) continue;
    if (ms_value_to_string(path->segments[i].key, &key, &length) != MS_OK ||
        length != wanted_length || memcmp(key, wanted, length) != 0) {
      return APART;
    }
  }
  return WITHIN;
}

typedef struct question {
  const ms_value *grants;
  const msi_member_info *member;
  const ms_path *path;
  const char *role; /* that would be needed */
  size_t role_length;
} question;

/* Does the grant of that role say that the member may? */
static relation look_at(const question *self, const char *grant, size_t bytes,
                        const char **role, size_t *length, bool *is_own) {
  msi_reader in = {(const uint8_t *)grant, (const uint8_t *)grant + bytes};
  size_t count;
  if (msi_unpack_array(&in, &count) != MS_OK || count != 2 ||
      msi_unpack_string(&in, role, length) != MS_OK) {
    return APART;
  }
  *is_own = msi_member_has_role(self->member, *role, *length);
  return relate(in, self->path);
}

/* Has the member a role to which that pattern, packed, is granted, too? */
static bool has_same(const question *self, const char *pattern, size_t bytes) {
  ms_cursor cursor;
  const char *key;
  size_t length;
  const ms_value *value;
  ms_cursor_init(&cursor, self->grants);
  while (ms_cursor_next(&cursor, &key, &length, &value)) {
    const char *role;
    size_t role_length;
    bool is_own = false;
    if (look_at(self, key, length, &role, &role_length, &is_own) == APART || !is_own)
      continue;
    const char *own = role + role_length;
    if ((size_t)(key + length - own) == bytes && memcmp(own, pattern, bytes) == 0)
      return true;
  }
  return false;
}

static bool is_allowed(question *self) {
  ms_cursor cursor;
  const char *key, *role = NULL;
  size_t length, role_length = 0;
  const ms_value *value;
  bool is_denied = false;
  ms_cursor_init(&cursor, self->grants);
  while (ms_cursor_next(&cursor, &key, &length, &value)) {
    bool is_own = false;
    relation how = look_at(self, key, length, &role, &role_length, &is_own);
    if (how == WITHIN && is_own) return true;
    if (how == APART || is_own) continue;
    const char *pattern = role + role_length;
    if (how == ABOVE && has_same(self, pattern, (size_t)(key + length - pattern)))
      continue;
    is_denied = true;
    self->role = role;
    self->role_length = role_length;
  }
  return !is_denied;
}

ms_status msi_desk_ask_roles(const ms_value *desk, const msi_patch *patch,
                             const msi_member_info *member, ms_error *error) {
  const ms_update *update = patch->update;
  question self = {.grants = msi_desk_section(desk, "grants"), .member = member};
  if (self.grants == NULL) return MS_OK;
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *op = &update->ops[i];
    bool is_write = op->class_ != MSI_CLASS_GUARD || op->code == MSI_CODE_BIND ||
                    op->code == MSI_CODE_TTL;
    if (!is_write) continue;
    self.path = op->path;
    if (is_allowed(&self)) continue;
    char path[MSI_PRINT_BYTES], role[MSI_PRINT_BYTES];
    return msi_fail(error, MS_EDENIED, "\"%s\": only role \"%s\" may write there",
                    msi_path_print(op->path, path, sizeof path),
                    msi_text_print(self.role, self.role_length, role, sizeof role));
  }
  return MS_OK;
}
