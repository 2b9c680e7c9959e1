/*
 * Receipts: what became of own patches. Owner side.
 *
 * A share keeps a ring with one place per own unsettled patch, in the order of their numbers; the
 * place holds the receipt when somebody asked for one. The host decides patches of one origin in
 * order, so settling always takes from the front.
 */
#ifndef MSI_RECEIPT_H
#define MSI_RECEIPT_H

#include "entry.h"
#include "handle.h"

struct ms_receipt {
  uint32_t word; /* MSI_WORD_RECEIPT */
  const ms_alloc *alloc;
  uint32_t references;
  ms_share *share; /* borrowed; NULL once the share is freed */
  uint64_t number, version;
  ms_receipt_state state;
  bool is_quiet; /* its holder hears of a refusal and tries again: nobody else does */
  msi_refusal refusal;      /* rejected or unknown; path retained, paths not kept */
  const ms_value *standing; /* retained */
};

typedef struct msi_receipts {
  const ms_alloc *alloc;
  ms_receipt **ring; /* NULL: nobody asked */
  size_t capacity;   /* 0 or a power of two */
  uint64_t first;    /* number of the oldest unsettled patch */
  size_t count;
} msi_receipts;

void msi_receipts_init(msi_receipts *receipts, const ms_alloc *alloc);
/* Receipts that are still pending stay pending and lose their share. */
void msi_receipts_fini(msi_receipts *receipts);
MS_CHECKED ms_status msi_receipts_reserve(msi_receipts *receipts);
/* After a reserve; receipt (may be NULL) is retained. */
void msi_receipts_push(msi_receipts *receipts, uint64_t number, ms_receipt *receipt);
/* The next unsettled patch up to `number` leaves the ring: false when there is none. *receipt (may
 * come out NULL) is retained by the caller. */
bool msi_receipts_pop(msi_receipts *receipts, uint64_t number, uint64_t *popped,
                      ms_receipt **receipt);

MS_CHECKED ms_status msi_receipt_new(const ms_alloc *alloc, ms_share *share,
                                     ms_receipt **out);
/* receipt may be NULL. */
void msi_receipt_accept(ms_receipt *receipt, uint64_t version);
/* refusal is copied (its paths are not), standing (may be NULL) retained. */
void msi_receipt_refuse(ms_receipt *receipt, ms_receipt_state state, uint64_t version,
                        const msi_refusal *refusal, const ms_value *standing);
void msi_rejection_fill(ms_rejection *out, uint64_t number, const msi_refusal *refusal,
                        const ms_value *standing);

#endif
