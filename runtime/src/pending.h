/*
 * Own patches without a decision, in order. Numbers have no gaps. Timestamps and bases stay what they
 * were at the time of writing, however often a patch is sent.
 */
#ifndef MSI_PENDING_H
#define MSI_PENDING_H

#include "entry.h"

typedef struct msi_pending {
  const ms_alloc *alloc;
  msi_patch *items; /* a ring; capacity is 0 or a power of two */
  size_t head, count, capacity;
} msi_pending;

void msi_pending_init(msi_pending *pending, const ms_alloc *alloc);
void msi_pending_fini(msi_pending *pending);
/* Room for one more, so that pushing cannot fail. MS_ENOMEM. */
MS_CHECKED ms_status msi_pending_reserve(msi_pending *pending);
/* The update and the reads are retained. */
void msi_pending_push(msi_pending *pending, const msi_patch *patch);
/* Borrowed until the next change; index < count. */
const msi_patch *msi_pending_at(const msi_pending *pending, size_t index);
/* Is `number` the oldest? */
bool msi_pending_is_first(const msi_pending *pending, uint64_t number);
void msi_pending_pop(msi_pending *pending);
/* Everything up to `number`. */
void msi_pending_drop(msi_pending *pending, uint64_t number);

#endif
