/*
 * Places that expire: on the desk with the time they have, and when it ends. See desk.h.
 *
 * A limit belongs to the place. Every write there, or below, begins its time anew; removing what is there, a
 * limit of 0, and the expiry itself take it off.
 */
#include <string.h>

#include "desk.h"

/* At most so many places go in one entry, so that it stays short. */
enum { EXPIRY_MAX = 256 };

/* [ttl_ms, deadline_ns] */
static bool read_limit(const ms_value *value, uint64_t *ttl_ms, uint64_t *deadline) {
  return value != NULL && ms_value_count(value) == 2 &&
         msi_desk_number(value, 0, ttl_ms) && msi_desk_number(value, 1, deadline);
}

static ms_status new_limit(const ms_alloc *alloc, uint64_t ttl_ms, uint64_t timestamp,
                           const ms_value **out) {
  const uint64_t numbers[] = {ttl_ms, timestamp + ttl_ms * MSI_TTL_NS};
  const ms_value *list = NULL;
  ms_status st = ms_value_new_array(alloc, &list);
  for (size_t i = 0; st == MS_OK && i < 2; i++) {
    const ms_value *number = NULL;
    st = ms_value_new_int(alloc, (int64_t)(numbers[i] & INT64_MAX), &number);
    if (st == MS_OK) st = ms_value_append(alloc, &list, number);
    ms_value_release(number);
  }
  if (st == MS_OK) {
    *out = list;
  } else {
    ms_value_release(list);
  }
  return st;
}

static ms_status put_limit(const ms_alloc *alloc, const ms_value **desk,
                           const msi_buffer *key, uint64_t ttl_ms, uint64_t timestamp) {
  const ms_value *limit = NULL;
  const char *bytes = (const char *)key->data;
  if (ttl_ms == 0) return msi_desk_put(alloc, desk, "ttl", bytes, key->length, NULL);
  ms_status st = new_limit(alloc, ttl_ms, timestamp, &limit);
  if (st == MS_OK) st = msi_desk_put(alloc, desk, "ttl", bytes, key->length, limit);
  ms_value_release(limit);
  return st;
}

/* The first `count` keys, packed. */
static ms_status pack_first(msi_buffer *out, const ms_path *path, size_t count) {
  msi_buffer_clear(out);
  ms_status st = msi_pack_array(out, count);
  for (size_t i = 0; st == MS_OK && i < count && out->length <= MS_KEY_MAX; i++) {
    st = msi_pack_value(out, path->segments[i].key);
  }
  return st;
}

static ms_status renew_first(const ms_alloc *alloc, const ms_value **desk,
                             const msi_entry *entry, const msi_op *op,
                             const msi_buffer *key, bool is_whole) {
  const ms_value *section = msi_desk_section(*desk, "ttl");
  uint64_t ttl_ms = 0, deadline;
  if (section == NULL ||
      !read_limit(ms_value_get(section, (const char *)key->data, key->length), &ttl_ms,
                  &deadline)) {
    return MS_OK;
  }
  bool goes = is_whole && op->selection == NULL &&
              (op->code == MSI_CODE_UNSET || op->code == MSI_CODE_RENAME);
  return put_limit(alloc, desk, key, goes ? 0 : ttl_ms, entry->patch.timestamp);
}

static ms_status renew(const ms_alloc *alloc, const ms_value **desk,
                       const msi_entry *entry, const msi_op *op) {
  msi_buffer key;
  msi_buffer_init(&key, alloc);
  ms_status st = MS_OK;
  for (size_t i = 1; st == MS_OK && i <= op->path->count; i++) {
    st = pack_first(&key, op->path, i);
    if (st != MS_OK || key.length > MS_KEY_MAX) break;
    st = renew_first(alloc, desk, entry, op, &key, i == op->path->count);
  }
  msi_buffer_fini(&key);
  return st;
}

ms_status msi_ttl_note(const ms_alloc *alloc, const ms_value **desk,
                       const msi_entry *entry, const msi_op *op) {
  int64_t ttl_ms = 0;
  msi_buffer key;
  if (op->class_ != MSI_CLASS_GUARD) {
    if (msi_desk_section(*desk, "ttl") == NULL) return MS_OK;
    return renew(alloc, desk, entry, op);
  }
  if (op->code != MSI_CODE_TTL || ms_value_to_int(op->operand, &ttl_ms) != MS_OK)
    return MS_OK;
  msi_buffer_init(&key, alloc);
  ms_status st = pack_first(&key, op->path, op->path->count);
  if (st == MS_OK && key.length <= MS_KEY_MAX) {
    st = put_limit(alloc, desk, &key, (uint64_t)ttl_ms, entry->patch.timestamp);
  }
  msi_buffer_fini(&key);
  return st;
}

bool msi_ttl_is_sound(const ms_value *value) {
  uint64_t ttl_ms, deadline;
  return ms_value_type(value) == MS_ARRAY && read_limit(value, &ttl_ms, &deadline) &&
         ttl_ms > 0;
}

uint64_t msi_ttl_deadline(const msi_entry *entry) {
  const ms_update *update = entry->patch.update;
  uint64_t first = UINT64_MAX;
  for (uint32_t i = 0; update != NULL && i < update->op_count; i++) {
    int64_t ttl_ms;
    if (update->ops[i].code != MSI_CODE_TTL ||
        ms_value_to_int(update->ops[i].operand, &ttl_ms) != MS_OK || ttl_ms <= 0) {
      continue;
    }
    uint64_t deadline = entry->patch.timestamp + (uint64_t)ttl_ms * MSI_TTL_NS;
    if (deadline < first) first = deadline;
  }
  return first;
}

/* ------------------------------------------------------------------- expiry */

typedef struct expiry {
  const ms_alloc *alloc;
  const ms_value *root;
  ms_update *parts[2 * EXPIRY_MAX];
  size_t count;
} expiry;

static ms_status expire_path(expiry *self, const ms_path *path) {
  ms_status st = MS_OK;
  if (ms_path_find(path, self->root) != NULL) {
    st = msi_update_single(self->alloc, MSI_CODE_UNSET, path, NULL, MS_NULL,
                           &self->parts[self->count], NULL);
    if (st == MS_OK) self->count++;
  }
  if (st == MS_OK)
    st = msi_update_ttl(self->alloc, path, 0, &self->parts[self->count], NULL);
  if (st == MS_OK) self->count++;
  return st;
}

static ms_status expire_key(expiry *self, const char *key, size_t length) {
  ms_path *path = NULL;
  msi_reader in = {(const uint8_t *)key, (const uint8_t *)key + length};
  ms_status st = msi_path_unpack(&in, self->alloc, &path);
  if (st == MS_OK) st = expire_path(self, path);
  ms_path_release(path);
  return st == MS_ENOMEM ? st : MS_OK; /* a key that is no path is nothing to remove */
}

static ms_status expire_all(expiry *self, const ms_value *section, uint64_t now,
                            uint64_t *next) {
  ms_cursor cursor;
  const char *key;
  size_t length;
  const ms_value *value;
  ms_status st = MS_OK;
  ms_cursor_init(&cursor, section);
  while (st == MS_OK && ms_cursor_next(&cursor, &key, &length, &value)) {
    uint64_t ttl_ms, deadline;
    if (!read_limit(value, &ttl_ms, &deadline)) continue;
    if (deadline <= now && self->count + 2 <= 2 * EXPIRY_MAX) {
      st = expire_key(self, key, length);
    } else if (deadline < *next) {
      *next = deadline;
    }
  }
  return st;
}

ms_status msi_ttl_expiry(const ms_alloc *alloc, const ms_value *desk,
                         const ms_value *root, uint64_t now, ms_update **out,
                         uint64_t *next) {
  const ms_value *section = msi_desk_section(desk, "ttl");
  expiry self = {.alloc = alloc, .root = root};
  *out = NULL;
  *next = UINT64_MAX;
  if (section == NULL) return MS_OK;
  ms_status st = expire_all(&self, section, now, next);
  if (st == MS_OK && self.count > 0) {
    st = msi_update_concat(alloc, (const ms_update *const *)self.parts, self.count, out);
  }
  for (size_t i = 0; i < self.count; i++) ms_update_release(self.parts[i]);
  return st;
}
