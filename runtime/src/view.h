/*
 * The view: what the owner of a replica reads. committed root + own pending patches, in order.
 *
 * It lives on the owner's side: it changes only by own writes and when the owner takes deliveries
 * from its mailbox, so a script never sees the document move between two polls. Pure, like the replica.
 *
 * Rolling back is dropping a pointer: a rejection takes its patch out of the pending list and applies
 * the rest to the committed root again. A foreign entry whose paths overlap no pending path is applied
 * to both roots instead, so that a writer with thousands of patches under way does not replay them
 * for every entry it hears. A pending patch that no longer applies contributes nothing until the host
 * decides.
 */
#ifndef MSI_VIEW_H
#define MSI_VIEW_H

#include "replica.h"

typedef struct msi_view msi_view;

MS_CHECKED ms_status msi_view_new(const ms_alloc *alloc, uint64_t document_bytes_max,
                                  msi_view **out);
void msi_view_free(msi_view *view);

/* Borrowed; NULL before the first MSI_DELIVER_ROOT or ENTRY. */
const ms_value *msi_view_root(const msi_view *view);
uint64_t msi_view_version(const msi_view *view);          /* of the committed part */
const ms_value *msi_view_committed(const msi_view *view); /* borrowed; NULL at first */
/* The committed desk (desk.h), borrowed: own requests stand on it once they are accepted. */
const ms_value *msi_view_desk(const msi_view *view);
size_t msi_view_pending(const msi_view *view);
/* From the oldest on, index < msi_view_pending(); borrowed. is_dormant: the view shows nothing of it. */
const ms_update *msi_view_pending_at(const msi_view *view, size_t index,
                                     bool *is_dormant);
/* Counts changes of the view root, also to an equal one: what was borrowed from it is valid as long as
 * the number stands. */
uint64_t msi_view_number(const msi_view *view);

typedef struct msi_view_trial {
  ms_update *update;    /* retained; with its marks (update.h) */
  const ms_value *root; /* retained; the view it would make */
  bool is_dormant;      /* its condition does not hold here: the view stays as it is */
  bool is_hidden;       /* dormant until the host has accepted it */
} msi_view_trial;
/* Would this update apply to the view? One whose condition does not hold is for the host to decide. */
MS_CHECKED ms_status msi_view_try(const msi_view *view, const ms_update *update,
                                  int64_t wall_ms, msi_view_trial *out, ms_error *error);
/*
 * The same for a transaction, which the view does not show before it is accepted: on top of what others
 * have changed meanwhile it would show sums that never were. As with every patch that may yet come to life, it
 * has to have a condition (conflict.h, "turned").
 */
MS_CHECKED ms_status msi_view_try_hidden(const msi_view *view, const ms_update *update,
                                         int64_t wall_ms, msi_view_trial *out,
                                         ms_error *error);
void msi_view_trial_fini(msi_view_trial *trial);
/* Apply a plain update (msi_update_is_plain) to the view for good, in place as far as nobody else holds it: for who knows that
 * nothing will refuse the patch, and adds it at once. A failure leaves the view as it was. */
MS_CHECKED ms_status msi_view_change(msi_view *view, const ms_update *update,
                                     int64_t wall_ms, ms_error *error);
/* Room for one more pending patch, so that msi_view_add cannot fail. */
MS_CHECKED ms_status msi_view_reserve(msi_view *view);
/* After the replica took it: the patch becomes pending, its root the view. */
void msi_view_add(msi_view *view, uint64_t number, const msi_view_trial *trial,
                  int64_t wall_ms);

typedef enum msi_view_effect {
  MSI_VIEW_NONE,     /* the view root is the same, as far as anybody wanted the old one */
  MSI_VIEW_CHANGED,  /* by an entry of somebody else */
  MSI_VIEW_ROLLBACK, /* by the rejection of an own patch */
  MSI_VIEW_JOINED    /* by a snapshot */
} msi_view_effect;
typedef struct msi_view_step {
  msi_view_effect effect;
  const ms_value
      *old_root; /* retained; NULL at first, and may be where nobody asked for it */
  bool settled;  /* an own patch was settled: number */
  uint64_t number;
  ms_update *settled_update; /* retained when settled: its paths tell where to look */
  /* ROOT and UNKNOWN deliveries settle every own number <= number; the caller walks its receipts. */
} msi_view_step;
/* Would taking this delivery of kind ENTRY apply what stays pending again? Then so may many at once, as one
 * of kind ROOT, at the same cost. */
bool msi_view_replays(const msi_view *view, uint64_t self, const msi_delivery *delivery);
/*
 * Take one delivery of kind ENTRY, ROOT or UNKNOWN. `self` is this peer's id. On MS_ENOMEM nothing
 * has changed and the delivery may be tried again. An ENTRY without root is applied here, in place as far as
 * nobody else holds the document: what was borrowed from it is gone.
 */
MS_CHECKED ms_status msi_view_take(msi_view *view, uint64_t self,
                                   const msi_delivery *delivery, bool wants_old,
                                   msi_view_step *out);

/* ----- view_reads.c: what transactions hang on. MS_ENOMEM. */

/* What an update that was applied before the reading may make otherwise than it did. */
MS_CHECKED ms_status msi_reads_widen(msi_read_set *reads, const ms_update *update);
/* The same for everything that is pending. */
MS_CHECKED ms_status msi_view_widen_reads(const msi_view *view, msi_read_set *reads);

#endif
