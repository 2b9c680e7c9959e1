/*
 * Notices: what an owner's callbacks are still to hear, in order. Owner side.
 *
 * Every change of the view, every refusal and, where somebody listens, every accepted patch becomes a notice; polls tell them one by one. A write
 * that has to wait for room takes deliveries without telling them, so the two steps are apart. Who
 * subscribes in between hears nothing of what was before: a notice knows who is to hear it.
 *
 * A change of one scalar needs no roots, which would keep the document from being changed in place. There are
 * few notices without roots, and only ones from before any that melt.
 *
 * Beyond MSI_NOTICES_MAX changes melt into the last one, which then stands for all of them, and patches
 * into the last patch. One that others are to hear does not: there are no more of these than
 * subscriptions.
 */
#ifndef MSI_NOTICE_H
#define MSI_NOTICE_H

#include "hook.h"
#include "receipt.h"

enum { MSI_NOTICES_MAX = 4096, MSI_NOTICES_LEAF_MAX = 64 };

typedef enum msi_notice_kind {
  MSI_NOTICE_CHANGE,
  MSI_NOTICE_PATCH, /* an accepted patch, whether or not the view changed by it */
  MSI_NOTICE_PEER,  /* `origin` joined: member; or left: no member */
  MSI_NOTICE_MESSAGE, /* what `update` tells; without one: `origin` left, or (0) some may have */
  MSI_NOTICE_REFUSAL,
  MSI_NOTICE_IMMEDIATE /* one subscription hears of all that matches in new_root */
} msi_notice_kind;

typedef struct msi_notice {
  msi_notice_kind kind;
  ms_change_kind change; /* SET, ROLLBACK or JOIN */
  /* Retained; with is_leaf the values at the one place that the update writes to. */
  const ms_value *old_root, *new_root;
  bool is_leaf;
  ms_update
      *update; /* retained; CHANGE: its paths tell where to look; NULL: everywhere */
  uint64_t origin, version;
  int64_t wall_ms;
  bool is_local;
  bool is_merged; /* PATCH: it stands for several, or for a document as a whole */
  msi_member_info *member; /* PEER; owned */
  uint64_t listeners; /* CHANGE, PATCH, PEER, MESSAGE: subscriptions up to this number */
  uint32_t
      round; /* made by a callback in this round of telling: for the next one; else 0 */
  uint64_t number;      /* REFUSAL, MESSAGE: of the patch */
  msi_refusal *refusal; /* REFUSAL; owned, path retained */
  const ms_value *standing;
  ms_sub *sub; /* IMMEDIATE; borrowed, cleared when it closes */
} msi_notice;

typedef struct msi_notices {
  const ms_alloc *alloc;
  msi_notice *items; /* items[first ... first + count - 1] */
  size_t first, count, capacity;
} msi_notices;

void msi_notices_init(msi_notices *notices, const ms_alloc *alloc);
void msi_notices_fini(msi_notices *notices);
/* Room for `count` more, so that adding cannot fail. */
MS_CHECKED ms_status msi_notices_reserve(msi_notices *notices, size_t count);
/* After a reserve; everything is taken. */
void msi_notices_add(msi_notices *notices, const msi_notice *notice);
/* Borrowed; NULL when there is none. */
static inline const msi_notice *msi_notices_first(const msi_notices *notices) {
  return notices->count == 0 ? NULL : &notices->items[notices->first];
}
/* The first one moves to *out, whose holder finishes it; false when there is none. */
bool msi_notices_take(msi_notices *notices, msi_notice *out);
void msi_notice_fini(msi_notice *notice, const ms_alloc *alloc);
/* Two changes or patches, one after the other, become a single one in `last`. `notice` is taken. */
void msi_notice_melt(msi_notice *last, msi_notice *notice);
void msi_notices_forget_sub(msi_notices *notices, const ms_sub *sub);

#endif
