/*
 * The links of a station by id, and which of them have frames to flush. Loop side.
 *
 * Ids are never used twice: the slot in the low 12 bits, a generation above.
 */
#ifndef MSI_LINK_TABLE_H
#define MSI_LINK_TABLE_H

#include "link.h"

typedef struct msi_link_slot {
  msi_link *link; /* NULL: free */
  uint32_t generation;
  bool is_dirty; /* stands in the list of dirty slots */
  uint16_t next_dirty;
} msi_link_slot;

typedef struct msi_link_table {
  const ms_alloc *alloc;
  msi_link_slot *slots;
  size_t capacity;
  size_t dirty_count;
  uint16_t first_dirty;
  uint64_t flushed_at; /* uv_hrtime() of the last flush that had something to do */
} msi_link_table;

void msi_link_table_init(msi_link_table *table, const ms_alloc *alloc);
/* The links are gone already. */
void msi_link_table_fini(msi_link_table *table);
/* Names the link; 0: no room or no memory. */
msi_link_id msi_link_table_add(msi_link_table *table, msi_link *link);
/* NULL: not there, or no more. */
msi_link *msi_link_table_find(const msi_link_table *table, msi_link_id id);
/* The link, which leaves the table; NULL: not there. */
msi_link *msi_link_table_remove(msi_link_table *table, msi_link_id id);
/* Any link, which leaves the table; NULL: none is left. */
msi_link *msi_link_table_pop(msi_link_table *table);

/* The link has frames that were not flushed. */
void msi_link_table_mark(msi_link_table *table, msi_link_id id);
/* Flush all that were marked. False: the kernel did not take everything. */
bool msi_link_table_flush(msi_link_table *table);
/* The most bytes that one marked link has queued. */
size_t msi_link_table_queued(const msi_link_table *table);

#endif
