/*
 * The rendezvous of one share: what it has in its directory. The group file, the log and the
 * socket of a term of its own, and what is done when somebody takes their names away while the
 * share lives:
 *
 *   the host, at every heartbeat:  what has lost its name is made anew, in a new directory if
 *                                  need be, and the group goes on in a new group file
 *   everybody, looking at the term:  where the group file has moved, follow it
 *   everybody, with a link to the host:  the log of its term is kept open, so that a candidate
 *                                  has it even when the names and the host are gone together
 *
 * To the replica nothing happens: term, log and member locks stay what they are.
 * Loop side.
 */
#ifndef MSI_RENDEZVOUS_H
#define MSI_RENDEZVOUS_H

#include "group.h"
#include "link.h"
#include "log.h"

enum {
  MSI_FORMERS_MAX = 8,
  MSI_FADING_LOGS = 2,
  MSI_FADING_TICKS = 4, /* looks of a host; members look as often */
  MSI_KEPT_LOGS = 2 /* of the present host, and of the one before until that is swept */
};

typedef struct msi_rendezvous {
  const ms_alloc *alloc;
  const char *name; /* borrowed */
  msi_directory directory;
  /* Where the path led before: logs may still be there. fd -1: none. */
  msi_directory left;
  msi_group *group; /* NULL: not enrolled */
  /* Files from which the group has moved: members that have not followed yet hold their locks
   * there. The oldest first. */
  msi_group *formers[MSI_FORMERS_MAX];
  size_t former_count;
  uint64_t peer;
  uint64_t candidacy; /* this term's lock is held; 0: none */
  uint64_t term_seen; /* the last one that was a term */
  bool complete;
  /* Where the group has moved is not found. */
  uint64_t sought_at, sought_since;
  bool lost; /* for so long that nobody can be left who would make it anew */

  msi_log *kept[MSI_KEPT_LOGS]; /* to read, the newest first; NULL: none */
  msi_log *history;             /* of own_term */
  /* Those that lost their names, written as well for a while; the newest first. */
  msi_log *fading[MSI_FADING_LOGS];
  unsigned fading_ticks[MSI_FADING_LOGS];
  msi_listener *listener; /* of own_term */
  uint64_t own_term;      /* prepared or served by this peer; 0: none */

  /* For listeners. */
  uv_loop_t *loop;
  const msi_link_events *events;
  void *ud;
  msi_accept_fn on_link;
  msi_refused_fn on_refused;
} msi_rendezvous;

/* Opens the directory. Statuses of msi_directory_open. */
MS_CHECKED ms_status msi_rendezvous_open(msi_rendezvous *self, const char *dir,
                                         bool create, ms_error *error);

/* ----- enrolment */
/* Become a member as `peer`, or found under the id `group`. MS_EBUSY: once more. Statuses of
 * msi_group_open; MS_ENOENT: nobody lives there and !may_found. */
MS_CHECKED ms_status msi_rendezvous_enrol(msi_rendezvous *self, uint64_t peer,
                                          uint64_t group, bool may_found, bool *founded,
                                          ms_error *error);
/* Give up term and membership. */
void msi_rendezvous_leave(msi_rendezvous *self);
/* The same for good, with the files when nobody else is left; closes the directory. */
void msi_rendezvous_close(msi_rendezvous *self);

/* ----- the group file */
/* The present term, seq_cst, of the file where the group is now. MSI_TERM_NONE: the group has moved,
 * and is found nowhere. */
uint64_t msi_rendezvous_term(msi_rendezvous *self);
bool msi_rendezvous_mark_complete(msi_rendezvous *self);
bool msi_rendezvous_take_term_lock(msi_rendezvous *self, uint64_t term);
void msi_rendezvous_drop_term_lock(msi_rendezvous *self, uint64_t term);
bool msi_rendezvous_member_alive(const msi_rendezvous *self, uint64_t peer);

/* ----- log and socket of a term of its own */
MS_CHECKED ms_status msi_rendezvous_prepare(msi_rendezvous *self, uint64_t term,
                                            ms_error *error);
void msi_rendezvous_discard(msi_rendezvous *self);
/* The host of own_term stores an entry. Statuses of msi_log_append. */
MS_CHECKED ms_status msi_rendezvous_append(msi_rendezvous *self, uint64_t version,
                                           const uint8_t *data, size_t bytes);
/* The host of own_term looks after its files. Not MS_OK: something is still missing;
 * *mended: something was. */
MS_CHECKED ms_status msi_rendezvous_mend(msi_rendezvous *self, bool *mended,
                                         ms_error *error);

/* ----- logs of others */
/* There is a link to the host of that term: keep its log. */
void msi_rendezvous_keep_log(msi_rendezvous *self, uint64_t term);
/* Somebody's log, to read, kept or opened by its name; NULL when it is not there or not intact.
 * To be given back. */
msi_log *msi_rendezvous_borrow_log(const msi_rendezvous *self, uint64_t term);
void msi_rendezvous_return_log(const msi_rendezvous *self, msi_log *log);
/* Has the present host lost names? Cheap: two loads. Then tending follows at once. */
bool msi_rendezvous_has_moved(const msi_rendezvous *self);
/* From time to time: logs and group files that nobody needs any more are closed, a kept log that has
 * moved is opened anew. A host's mending does it too. */
void msi_rendezvous_tend(msi_rendezvous *self);

#endif
