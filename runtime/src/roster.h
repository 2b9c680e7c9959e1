/*
 * The roster: which peers the listeners of a share know of. Owner side.
 *
 * It is kept while somebody listens to the coming and going of peers, and begins with who is there at the
 * first subscription. JOIN and RETIRE entries change it in order with all else that is told. Where entries
 * merged, a snapshot came, or there are too many notices, it is `stale`: at the end of a poll that has told
 * all notices it is compared with the replica's members and the differences are told instead. The replica may be ahead of
 * the mail, so a join of somebody known and a leave of somebody unknown are nothing new.
 */
#ifndef MSI_ROSTER_H
#define MSI_ROSTER_H

#include "entry.h"

typedef struct msi_roster_line {
  ms_peer peer; /* its program and roles are set when it is told */
  char program[64];
  char roles[MS_ROLES_BYTES];
} msi_roster_line;

typedef struct msi_roster {
  const ms_alloc *alloc;
  msi_roster_line *lines;
  size_t count, capacity;
  bool is_stale;
  uint64_t listeners; /* of what made it stale: subscriptions up to this number */
} msi_roster;

void msi_roster_init(msi_roster *roster, const ms_alloc *alloc);
void msi_roster_fini(msi_roster *roster);
/* NULL: unknown. Valid until the roster changes. */
const msi_roster_line *msi_roster_find(const msi_roster *roster, uint64_t id);
/* MS_ENOMEM leaves it as it was. Program and roles are copied. */
MS_CHECKED ms_status msi_roster_add(msi_roster *roster, const ms_peer *peer);
/* Who is known moves to *out; false: nobody with this id. */
bool msi_roster_take(msi_roster *roster, uint64_t id, msi_roster_line *out);

#endif
