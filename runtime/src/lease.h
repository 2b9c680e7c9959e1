/* Leases of a share (memshare.h, "locks"). Owner side. */
#ifndef MSI_LEASE_H
#define MSI_LEASE_H

#include "share.h"

/* The update with the locks that are held standing guard over it: retained, often the same one. */
MS_CHECKED ms_status msi_share_guard_writes(const ms_share *share,
                                            const ms_update *update, ms_update **out,
                                            ms_error *error);
/* In polls: gives back what could not be given back when its lease was freed. */
void msi_share_tend_leases(ms_share *share);
/* The share's memory goes; those that are not freed yet are over. */
void msi_share_drop_leases(ms_share *share);

#endif
