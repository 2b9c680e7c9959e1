/* The tail of recent entries: a ring of byte blocks. */
#include "tail.h"

#include <string.h>

enum { TAIL_FIRST = 64 };

void msi_tail_init(msi_tail *tail, const ms_alloc *alloc, size_t bytes_max) {
  memset(tail, 0, sizeof *tail);
  tail->alloc = alloc;
  tail->bytes_max = bytes_max;
}

static msi_tail_slot *tail_slot(const msi_tail *tail, size_t index) {
  return &tail->slots[(tail->head + index) & (tail->capacity - 1)];
}

static void tail_drop(msi_tail *tail) {
  msi_tail_slot *slot = tail_slot(tail, 0);
  msi_alloc_free(tail->alloc, slot->data, slot->bytes);
  tail->bytes -= slot->bytes;
  tail->head = (tail->head + 1) & (tail->capacity - 1);
  tail->count--;
}

void msi_tail_reset(msi_tail *tail, uint64_t version) {
  while (tail->count > 0) tail_drop(tail);
  tail->last = version;
}

void msi_tail_fini(msi_tail *tail) {
  msi_tail_reset(tail, 0);
  msi_alloc_free(tail->alloc, tail->slots, tail->capacity * sizeof *tail->slots);
  tail->slots = NULL;
  tail->capacity = 0;
}

static ms_status tail_grow(msi_tail *tail) {
  size_t capacity = tail->capacity == 0 ? TAIL_FIRST : tail->capacity * 2;
  msi_tail_slot *slots = msi_alloc_get(tail->alloc, capacity * sizeof *slots);
  if (slots == NULL) return MS_ENOMEM;
  for (size_t i = 0; i < tail->count; i++) slots[i] = *tail_slot(tail, i);
  msi_alloc_free(tail->alloc, tail->slots, tail->capacity * sizeof *slots);
  tail->slots = slots;
  tail->head = 0;
  tail->capacity = capacity;
  return MS_OK;
}

void msi_tail_add(msi_tail *tail, uint64_t version, const uint8_t *data, size_t bytes) {
  MSI_ASSERT(version == tail->last + 1);
  MSI_ASSERT(bytes > 0);
  uint8_t *copy = NULL;
  while (tail->count > 0 && tail->bytes_max - tail->bytes < bytes) tail_drop(tail);
  if (bytes <= tail->bytes_max &&
      (tail->count < tail->capacity || tail_grow(tail) == MS_OK)) {
    copy = msi_alloc_get(tail->alloc, bytes);
  }
  if (copy == NULL) {
    msi_tail_reset(tail, version);
    return;
  }
  memcpy(copy, data, bytes);
  msi_tail_slot *slot = tail_slot(tail, tail->count);
  slot->data = copy;
  slot->bytes = bytes;
  tail->count++;
  tail->bytes += bytes;
  tail->last = version;
}

bool msi_tail_covers(const msi_tail *tail, uint64_t version) {
  return version <= tail->last && tail->last - version <= tail->count;
}

bool msi_tail_get(const msi_tail *tail, uint64_t version, const uint8_t **data,
                  size_t *bytes) {
  if (version == 0 || version > tail->last || tail->last - version >= tail->count)
    return false;
  const msi_tail_slot *slot =
      tail_slot(tail, tail->count - 1 - (size_t)(tail->last - version));
  *data = slot->data;
  *bytes = slot->bytes;
  return true;
}
