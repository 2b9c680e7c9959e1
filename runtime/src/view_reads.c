/*
 * What a transaction hangs on besides what it read. Owner's side, pure.
 *
 * It reads a view: the committed document with the own patches that are not decided yet. The host compares
 * what was read with entries of others above the base, and takes own ones for what the view showed. So where
 * an own patch may come out otherwise than the view shows, what that hangs on counts as read, too:
 *
 *   $set $unset $inc ...    nothing else: it comes out as shown, or is rejected, which the host knows
 *   lists, $rename, $min    the whole path of the operation, and where a $rename takes from
 *   dormant                 the whole document: it may yet apply
 *
 * From the newest of them to the oldest, since what is read for one may hang on those before it. The
 * transaction's own writes come before all of them.
 */
#include "view.h"

static ms_status add_whole(msi_read_set *reads, const ms_path *path) {
  return msi_read_set_add(reads, path->segments, path->count, MSI_READ_WHOLE);
}

/* Does it come out as the view shows it wherever it is accepted? RENAME says it for RENAME_TO. */
static bool is_plain(const msi_op *op) {
  if (op->selection != NULL) return false;
  switch (op->code) {
    case MSI_CODE_SET:
    case MSI_CODE_UNSET:
    case MSI_CODE_CURRENT_DATE:
    case MSI_CODE_INC:
    case MSI_CODE_MUL:
    case MSI_CODE_BIT:
    case MSI_CODE_SET_ON_INSERT:
    case MSI_CODE_RENAME_TO: return true;
    default: return op->class_ == MSI_CLASS_GUARD;
  }
}

static ms_status widen_by_op(msi_read_set *reads, const msi_op *op) {
  if (is_plain(op)) return MS_OK;
  bool overlaps = msi_read_set_overlaps(reads, op->path);
  if (op->code != MSI_CODE_RENAME) return overlaps ? add_whole(reads, op->path) : MS_OK;
  if (!overlaps && !msi_read_set_overlaps(reads, op->target)) return MS_OK;
  ms_status status = add_whole(reads, op->path);
  return status == MS_OK ? add_whole(reads, op->target) : status;
}

ms_status msi_reads_widen(msi_read_set *reads, const ms_update *update) {
  ms_status status = MS_OK;
  for (uint32_t i = update->op_count; i > 0 && status == MS_OK; i--) {
    status = widen_by_op(reads, &update->ops[i - 1]);
  }
  return status;
}

static ms_status widen_by_dormant(msi_read_set *reads, const ms_update *update) {
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *op = &update->ops[i];
    if (op->class_ == MSI_CLASS_GUARD || !msi_read_set_overlaps(reads, op->path))
      continue;
    return msi_read_set_add(reads, NULL, 0, MSI_READ_WHOLE);
  }
  return MS_OK;
}

ms_status msi_view_widen_reads(const msi_view *view, msi_read_set *reads) {
  ms_status status = MS_OK;
  for (size_t i = msi_view_pending(view); i > 0 && status == MS_OK; i--) {
    bool is_dormant = false;
    const ms_update *update = msi_view_pending_at(view, i - 1, &is_dormant);
    status =
        is_dormant ? widen_by_dormant(reads, update) : msi_reads_widen(reads, update);
  }
  return status;
}
