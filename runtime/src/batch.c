/*
 * Batches: writes that join an open batch show in the view at once and are one patch in the end. Owner
 * side.
 */
#include "share.h"

ms_status msi_batch_add(ms_batch *batch, const ms_update *update, ms_error *error) {
  ms_status status = msi_draft_add(&batch->draft, update, error);
  if (status == MS_OK) {
    batch->share->draft_changes++;
    msi_share_changed(batch->share, true);
  }
  return status;
}

ms_status ms_batch_new(ms_share *share, ms_batch **out) {
  ms_status status = msi_share_may_write(share, NULL);
  if (status != MS_OK) return status;
  if (share->batch != NULL) return MS_EBUSY;
  ms_batch *batch = MSI_NEW(share->runtime->alloc, ms_batch);
  if (batch == NULL) return MS_ENOMEM;
  batch->word = MSI_WORD_BATCH;
  batch->share = share;
  msi_draft_init(&batch->draft, share->runtime->alloc, msi_view_root(share->view),
                 msi_runtime_wall_ms(share->runtime), share->config.max_document);
  share->batch = batch;
  share->runtime->batches++;
  *out = batch;
  return MS_OK;
}

/* The share no longer shows the batch. */
static void batch_detach(ms_batch *batch) {
  batch->share->batch = NULL;
  batch->share->runtime->batches--;
  batch->share->draft_changes++;
  msi_share_changed(batch->share, false);
}

static void batch_attach(ms_batch *batch) {
  batch->share->batch = batch;
  batch->share->runtime->batches++;
}

static ms_status batch_submit(ms_batch *batch, ms_receipt **receipt, ms_error *error) {
  ms_update *update = NULL;
  ms_status status = msi_draft_join(&batch->draft, NULL, &update, error);
  if (status != MS_OK) return status;
  batch_detach(batch);
  status = msi_share_submit(batch->share, update, batch->draft.wall_ms, receipt, error);
  batch_attach(batch);
  ms_update_release(update);
  return status;
}

ms_status ms_batch_commit(ms_batch *batch, ms_receipt **receipt, ms_error *error) {
  MSI_ASSERT_HANDLE(batch, MSI_WORD_BATCH);
  if (batch->share == NULL) return msi_fail(error, MS_ECLOSED, "the share is closed");
  ms_status status = msi_share_may_write(batch->share, error);
  if (status != MS_OK) return status;
  if (batch->draft.count == 0) {
    if (receipt != NULL) *receipt = NULL;
    return MS_OK;
  }
  status = batch_submit(batch, receipt, error);
  if (status != MS_OK) return status;
  msi_draft_reset(&batch->draft, msi_view_root(batch->share->view));
  return MS_OK;
}

void msi_share_drop_batch(ms_share *share) {
  ms_batch *batch = share->batch;
  if (batch == NULL) return;
  batch_detach(batch);
  msi_draft_reset(&batch->draft, NULL);
  batch->share = NULL;
}

void ms_batch_free(ms_batch *batch) {
  if (batch == NULL) return;
  MSI_ASSERT_HANDLE(batch, MSI_WORD_BATCH);
  if (batch->share != NULL) {
    if (msi_runtime_guard(batch->share->runtime) != MS_OK) return;
    msi_share_drop_batch(batch->share);
  }
  const ms_alloc *alloc = batch->draft.alloc;
  msi_draft_fini(&batch->draft);
  MSI_END_HANDLE(batch);
  MSI_FREE(alloc, batch);
}
