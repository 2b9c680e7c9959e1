/* The queue of own patches: a ring. */
#include "pending.h"

#include <string.h>

enum { PENDING_FIRST = 16 };

void msi_pending_init(msi_pending *pending, const ms_alloc *alloc) {
  memset(pending, 0, sizeof *pending);
  pending->alloc = alloc;
}

void msi_pending_fini(msi_pending *pending) {
  msi_pending_drop(pending, UINT64_MAX);
  msi_alloc_free(pending->alloc, pending->items,
                 pending->capacity * sizeof *pending->items);
  pending->items = NULL;
  pending->capacity = 0;
}

ms_status msi_pending_reserve(msi_pending *pending) {
  if (pending->count < pending->capacity) return MS_OK;
  size_t capacity = pending->capacity == 0 ? PENDING_FIRST : pending->capacity * 2;
  msi_patch *items = msi_alloc_get(pending->alloc, capacity * sizeof *items);
  if (items == NULL) return MS_ENOMEM;
  for (size_t i = 0; i < pending->count; i++) items[i] = *msi_pending_at(pending, i);
  msi_alloc_free(pending->alloc, pending->items, pending->capacity * sizeof *items);
  pending->items = items;
  pending->head = 0;
  pending->capacity = capacity;
  return MS_OK;
}

void msi_pending_push(msi_pending *pending, const msi_patch *patch) {
  MSI_ASSERT(pending->count < pending->capacity);
  msi_patch *item =
      &pending->items[(pending->head + pending->count) & (pending->capacity - 1)];
  *item = *patch;
  msi_patch_retain(item);
  pending->count++;
}

const msi_patch *msi_pending_at(const msi_pending *pending, size_t index) {
  MSI_ASSERT(index < pending->count);
  return &pending->items[(pending->head + index) & (pending->capacity - 1)];
}

bool msi_pending_is_first(const msi_pending *pending, uint64_t number) {
  return pending->count > 0 && msi_pending_at(pending, 0)->number == number;
}

void msi_pending_pop(msi_pending *pending) {
  msi_patch_release(msi_pending_at(pending, 0));
  pending->head = (pending->head + 1) & (pending->capacity - 1);
  pending->count--;
}

void msi_pending_drop(msi_pending *pending, uint64_t number) {
  while (pending->count > 0 && msi_pending_at(pending, 0)->number <= number) {
    msi_pending_pop(pending);
  }
}
