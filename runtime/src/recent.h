/*
 * Recent assignments: a program that assigns to a place mostly does so again and again, so the update that was
 * compiled for it serves as the mould of the next one. Owner's side, one per share.
 */
#ifndef MSI_RECENT_H
#define MSI_RECENT_H

#include "update.h"

enum { MSI_RECENT_SLOTS = 16 };

typedef struct msi_recent_slot {
  const void *
      missed; /* the address of the path that came last: to be kept when it comes again */
  ms_update *update;   /* retained; NULL: none */
  size_t prefix_bytes; /* of its wire form, before the operand */
  ms_type container;
} msi_recent_slot;

typedef struct msi_recent {
  msi_recent_slot slots[MSI_RECENT_SLOTS];
} msi_recent;

/* *out is retained, NULL when it has to be compiled: then tell msi_recent_note(). MS_ENOMEM. */
MS_CHECKED ms_status msi_recent_build(const msi_recent *recent, const ms_write *write,
                                      ms_update **out);
void msi_recent_note(msi_recent *recent, const ms_write *write, const ms_update *update);
void msi_recent_fini(msi_recent *recent);

#endif
