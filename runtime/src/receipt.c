/* Receipts (see receipt.h). ms_receipt_wait stands in share.c, with the other calls that poll. */
#include "receipt.h"

#include <string.h>

void msi_receipts_init(msi_receipts *receipts, const ms_alloc *alloc) {
  memset(receipts, 0, sizeof *receipts);
  receipts->alloc = alloc;
  receipts->first = 1;
}

static ms_receipt **ring_at(msi_receipts *receipts, uint64_t number) {
  return &receipts->ring[number & (receipts->capacity - 1)];
}

void msi_receipts_fini(msi_receipts *receipts) {
  for (size_t i = 0; i < receipts->count; i++) {
    ms_receipt *receipt = *ring_at(receipts, receipts->first + i);
    if (receipt == NULL) continue;
    receipt->share = NULL;
    ms_receipt_release(receipt);
  }
  msi_alloc_free(receipts->alloc, receipts->ring,
                 receipts->capacity * sizeof(ms_receipt *));
  receipts->ring = NULL;
  receipts->capacity = receipts->count = 0;
}

ms_status msi_receipts_reserve(msi_receipts *receipts) {
  if (receipts->count < receipts->capacity) return MS_OK;
  size_t old = receipts->capacity;
  size_t capacity = old == 0 ? 16 : old * 2;
  ms_receipt **ring = msi_alloc_zero(receipts->alloc, capacity * sizeof *ring);
  if (ring == NULL) return MS_ENOMEM;
  for (size_t i = 0; i < receipts->count; i++) {
    uint64_t number = receipts->first + i;
    ring[number & (capacity - 1)] = *ring_at(receipts, number);
  }
  msi_alloc_free(receipts->alloc, receipts->ring, old * sizeof *ring);
  receipts->ring = ring;
  receipts->capacity = capacity;
  return MS_OK;
}

void msi_receipts_push(msi_receipts *receipts, uint64_t number, ms_receipt *receipt) {
  MSI_ASSERT(receipts->count < receipts->capacity);
  if (receipts->count == 0) receipts->first = number;
  MSI_ASSERT(number == receipts->first + receipts->count);
  *ring_at(receipts, number) = ms_receipt_retain(receipt);
  if (receipt != NULL) receipt->number = number;
  receipts->count++;
}

bool msi_receipts_pop(msi_receipts *receipts, uint64_t number, uint64_t *popped,
                      ms_receipt **receipt) {
  if (receipts->count == 0 || receipts->first > number) return false;
  *popped = receipts->first;
  *receipt = *ring_at(receipts, receipts->first);
  receipts->first++;
  receipts->count--;
  return true;
}

/* ------------------------------------------------------------------ one receipt */

ms_status msi_receipt_new(const ms_alloc *alloc, ms_share *share, ms_receipt **out) {
  ms_receipt *receipt = MSI_NEW(alloc, ms_receipt);
  if (receipt == NULL) return MS_ENOMEM;
  receipt->word = MSI_WORD_RECEIPT;
  receipt->alloc = alloc;
  receipt->references = 1;
  receipt->share = share;
  *out = receipt;
  return MS_OK;
}

ms_receipt *ms_receipt_retain(ms_receipt *receipt) {
  if (receipt != NULL) receipt->references++;
  return receipt;
}

void ms_receipt_release(ms_receipt *receipt) {
  if (receipt == NULL) return;
  MSI_ASSERT_HANDLE(receipt, MSI_WORD_RECEIPT);
  if (--receipt->references > 0) return;
  ms_path_release(receipt->refusal.path);
  ms_value_release(receipt->standing);
  MSI_END_HANDLE(receipt);
  MSI_FREE(receipt->alloc, receipt);
}

void msi_receipt_accept(ms_receipt *receipt, uint64_t version) {
  if (receipt == NULL) return;
  receipt->state = MS_ACCEPTED;
  receipt->version = version;
}

void msi_receipt_refuse(ms_receipt *receipt, ms_receipt_state state, uint64_t version,
                        const msi_refusal *refusal, const ms_value *standing) {
  if (receipt == NULL) return;
  receipt->state = state;
  receipt->version = version;
  receipt->refusal = *refusal;
  receipt->refusal.paths = NULL;
  receipt->refusal.path_count = 0;
  ms_path_retain(refusal->path);
  receipt->standing = ms_value_retain(standing);
}

void msi_rejection_fill(ms_rejection *out, uint64_t number, const msi_refusal *refusal,
                        const ms_value *standing) {
  *out = (ms_rejection){.bytes = sizeof *out,
                        .number = number,
                        .status = refusal->status,
                        .message = refusal->message,
                        .path = refusal->path,
                        .winner_version = refusal->winner_version,
                        .winner = refusal->winner,
                        .winner_wall_ms = refusal->winner_wall_ms,
                        .standing = standing};
}

ms_receipt_state ms_receipt_get_state(const ms_receipt *receipt) {
  MSI_ASSERT_HANDLE(receipt, MSI_WORD_RECEIPT);
  return receipt->state;
}

uint64_t ms_receipt_version(const ms_receipt *receipt) { return receipt->version; }

uint64_t ms_receipt_number(const ms_receipt *receipt) { return receipt->number; }

bool ms_receipt_rejection(const ms_receipt *receipt, ms_rejection *out) {
  MSI_ASSERT_HANDLE(receipt, MSI_WORD_RECEIPT);
  if (receipt->state != MS_REJECTED && receipt->state != MS_UNKNOWN) return false;
  msi_rejection_fill(out, receipt->number, &receipt->refusal, receipt->standing);
  return true;
}
