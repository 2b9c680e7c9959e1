/*
 * Presence: the place of each peer in the document, and what goes from there when it departs. See desk.h.
 */
#include <string.h>

#include "desk.h"

static ms_status fail_presence(ms_error *error) {
  return msi_fail(error, MS_EDENIED,
                  "\"" MSI_PEERS_KEY "\": each peer writes to its own place there only");
}

static bool segment_is(const msi_segment *segment, const char *bytes, size_t length) {
  const char *key;
  size_t count;
  return ms_value_to_string(segment->key, &key, &count) == MS_OK && count == length &&
         memcmp(key, bytes, length) == 0;
}

/* A document's peers but for one, retained. */
static ms_status others_of(const ms_alloc *alloc, const ms_value *root, const char *own,
                           size_t length, const ms_value **out) {
  const ms_value *peers = ms_value_get(root, MSI_PEERS_KEY, strlen(MSI_PEERS_KEY));
  const ms_value *rest = peers == NULL ? ms_value_empty() : ms_value_retain(peers);
  ms_status st = MS_OK;
  if (ms_value_type(rest) == MS_OBJECT) st = ms_value_erase(alloc, &rest, own, length);
  if (st == MS_OK && ms_value_type(rest) == MS_OBJECT && ms_value_count(rest) == 0) {
    ms_value_release(rest);
    rest = ms_value_empty();
  }
  if (st == MS_OK) {
    *out = rest;
  } else {
    ms_value_release(rest);
  }
  return st;
}

/* Replacing the document leaves the places of others as they are. */
static ms_status ask_replacing(const ms_alloc *alloc, const ms_value *root,
                               const ms_value *document, const char *own, size_t length,
                               ms_error *error) {
  const ms_value *before = NULL, *after = NULL;
  ms_status st = others_of(alloc, root, own, length, &before);
  if (st == MS_OK) st = others_of(alloc, document, own, length, &after);
  if (st != MS_OK) {
    st = msi_fail(error, st, "%s", ms_status_text(st));
  } else if (!ms_value_equal(before, after)) {
    st = fail_presence(error);
  }
  ms_value_release(before);
  ms_value_release(after);
  return st;
}

ms_status msi_desk_ask_presence(const ms_alloc *alloc, const ms_value *root,
                                const msi_patch *patch, ms_error *error) {
  const ms_update *update = patch->update;
  char own[MSI_PEER_TEXT];
  size_t length = 0;
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *op = &update->ops[i];
    const ms_path *path = op->path;
    bool is_write = op->class_ != MSI_CLASS_GUARD || op->code == MSI_CODE_BIND ||
                    op->code == MSI_CODE_TTL;
    if (!is_write) continue;
    if (length == 0) length = msi_peer_text(patch->origin, own);
    if (path->count == 0) {
      ms_status st = ask_replacing(alloc, root, op->operand, own, length, error);
      if (st != MS_OK) return st;
    } else if (segment_is(path->segments, MSI_PEERS_KEY, strlen(MSI_PEERS_KEY)) &&
               (path->count == 1 || !segment_is(&path->segments[1], own, length))) {
      return fail_presence(error);
    }
  }
  return MS_OK;
}

/* ---------------------------------------------------------------- departure */

typedef struct parts {
  const ms_alloc *alloc;
  ms_update **items;
  size_t count, capacity;
} parts;

/* $unset of the path, if there is something. */
static ms_status parts_add(parts *self, const ms_value *root, const ms_path *path) {
  if (ms_path_find(path, root) == NULL || self->count == self->capacity) return MS_OK;
  ms_status st = msi_update_single(self->alloc, MSI_CODE_UNSET, path, NULL, MS_NULL,
                                   &self->items[self->count], NULL);
  if (st == MS_OK) self->count++;
  return st;
}

static ms_status parts_add_place(parts *self, const ms_value *root, uint64_t peer) {
  char text[MSI_PEER_TEXT];
  const ms_key keys[] = {{MSI_PEERS_KEY, strlen(MSI_PEERS_KEY)},
                         {text, msi_peer_text(peer, text)}};
  ms_path *path = NULL;
  ms_status st = ms_path_new(self->alloc, keys, 2, &path, NULL);
  if (st == MS_OK) st = parts_add(self, root, path);
  ms_path_release(path);
  return st;
}

static ms_status parts_add_bound(parts *self, const ms_value *desk, const ms_value *root,
                                 uint64_t peer) {
  const ms_value *bound = msi_desk_section(desk, "bound"), *value;
  ms_cursor cursor;
  const char *key;
  size_t length;
  ms_status st = MS_OK;
  if (bound == NULL || self->capacity == 1) return MS_OK;
  ms_cursor_init(&cursor, bound);
  while (st == MS_OK && ms_cursor_next(&cursor, &key, &length, &value)) {
    int64_t owner;
    ms_path *path = NULL;
    if (ms_value_to_int(value, &owner) != MS_OK || (uint64_t)owner != peer) continue;
    msi_reader in = {(const uint8_t *)key, (const uint8_t *)key + length};
    st = msi_path_unpack(&in, self->alloc, &path);
    if (st == MS_OK) st = parts_add(self, root, path);
    ms_path_release(path);
    if (st != MS_ENOMEM) st = MS_OK; /* a key that is no path is nothing to remove */
  }
  return st;
}

ms_status msi_desk_departure(const ms_alloc *alloc, const ms_value *desk,
                             const ms_value *root, uint64_t peer, ms_update **out) {
  parts self = {.alloc = alloc, .capacity = 1 + (size_t)msi_desk_owned(desk, peer)};
  if (self.capacity > 1 + MSI_BOUND_MAX) self.capacity = 1 + MSI_BOUND_MAX;
  *out = NULL;
  size_t bytes = self.capacity * sizeof *self.items;
  self.items = msi_alloc_get(alloc, bytes);
  if (self.items == NULL) return MS_ENOMEM;
  ms_status st = parts_add_place(&self, root, peer);
  if (st == MS_OK) st = parts_add_bound(&self, desk, root, peer);
  if (st == MS_OK && self.count > 0) {
    st = msi_update_concat(alloc, (const ms_update *const *)self.items, self.count, out);
  }
  for (size_t i = 0; i < self.count; i++) ms_update_release(self.items[i]);
  msi_alloc_free(alloc, (void *)self.items, bytes);
  return st;
}
