/*
 * A draft: what the updates of a batch or a transaction make of a document, before they are one patch.
 * Owner side.
 */
#ifndef MSI_DRAFT_H
#define MSI_DRAFT_H

#include "update.h"

typedef struct msi_draft {
  const ms_alloc *alloc;
  ms_update **updates; /* retained, in order */
  size_t count, capacity;
  const ms_value *root; /* retained: the document with the updates; NULL once dropped */
  int64_t wall_ms;      /* of all of them */
  uint64_t document_bytes_max;
} msi_draft;

/* root is retained. */
void msi_draft_init(msi_draft *draft, const ms_alloc *alloc, const ms_value *root,
                    int64_t wall_ms, uint64_t document_bytes_max);
/* Applies and keeps the update, or leaves everything as it was. */
MS_CHECKED ms_status msi_draft_add(msi_draft *draft, const ms_update *update,
                                   ms_error *error);
/* All updates in order, after `before` (may be NULL). MS_ELIMIT, MS_ENOMEM. */
MS_CHECKED ms_status msi_draft_join(const msi_draft *draft, const ms_update *before,
                                    ms_update **out, ms_error *error);
/* Begin again without updates at another document, which is retained (NULL: none). */
void msi_draft_reset(msi_draft *draft, const ms_value *root);
void msi_draft_fini(msi_draft *draft);

#endif
