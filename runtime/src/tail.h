/*
 * The tail: the packed bytes of the most recent entries, rejections included. A host gives a peer that
 * comes back what it missed.
 *
 * Versions have no gaps: it covers (last - count, last]. Bounded by bytes; the oldest go first.
 */
#ifndef MSI_TAIL_H
#define MSI_TAIL_H

#include "alloc.h"

typedef struct msi_tail_slot {
  uint8_t *data;
  size_t bytes;
} msi_tail_slot;

typedef struct msi_tail {
  const ms_alloc *alloc;
  msi_tail_slot *slots; /* a ring; capacity is 0 or a power of two */
  size_t head, count, capacity;
  size_t bytes, bytes_max;
  uint64_t last; /* version of the newest entry, also when none is kept */
} msi_tail;

void msi_tail_init(msi_tail *tail, const ms_alloc *alloc, size_t bytes_max);
void msi_tail_fini(msi_tail *tail);
/* Forget everything; the next entry is version + 1. */
void msi_tail_reset(msi_tail *tail, uint64_t version);
/* Copied. Cannot fail: an entry that does not fit, into its bounds or into memory, empties the tail. */
void msi_tail_add(msi_tail *tail, uint64_t version, const uint8_t *data, size_t bytes);
/* Are all entries above `version` here? */
bool msi_tail_covers(const msi_tail *tail, uint64_t version);
/* Borrowed; false when it is not here. */
bool msi_tail_get(const msi_tail *tail, uint64_t version, const uint8_t **data,
                  size_t *bytes);

#endif
