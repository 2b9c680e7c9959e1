/*
 * Gathering: what coalescing subscriptions hear once a poll, instead of change by change. Owner side.
 *
 * While a poll tells changes, the root before the first of them and the root after the last one are
 * kept; at its end these two are told as a single step. A subscription that was made between two of
 * the changes hears nothing of the earlier one. So there is one start for each group of subscriptions
 * that have the same first change: nearly always a single one.
 */
#ifndef MSI_GATHER_H
#define MSI_GATHER_H

#include "notice.h"

/* Of the subscriptions up to `listeners` that an earlier start does not hold. */
typedef struct msi_gather_start {
  uint64_t listeners;
  const ms_value *root; /* retained */
} msi_gather_start;

typedef struct msi_gather {
  const ms_alloc *alloc;
  msi_notice whole; /* all changes as one; its old root is that of the first start */
  msi_gather_start *starts;
  size_t count, capacity; /* no starts: nothing was gathered */
} msi_gather;

void msi_gather_init(msi_gather *gather, const ms_alloc *alloc);
void msi_gather_fini(msi_gather *gather);
/* One more change. `newest` is the number of the newest coalescing subscription. MS_ENOMEM: those
 * that hear of this change as their first one will not. */
MS_CHECKED ms_status msi_gather_add(msi_gather *gather, const msi_notice *notice,
                                    uint64_t newest);
/* All of it moves to *out, whose holder finishes it; false when there is nothing. */
bool msi_gather_take(msi_gather *gather, msi_gather *out);

#endif
