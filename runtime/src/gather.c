/* Gathering (see gather.h). */
#include "gather.h"

#include <string.h>

void msi_gather_init(msi_gather *gather, const ms_alloc *alloc) {
  memset(gather, 0, sizeof *gather);
  gather->alloc = alloc;
}

void msi_gather_fini(msi_gather *gather) {
  for (size_t i = 0; i < gather->count; i++) ms_value_release(gather->starts[i].root);
  msi_alloc_free(gather->alloc, gather->starts,
                 gather->capacity * sizeof *gather->starts);
  msi_notice_fini(&gather->whole, gather->alloc);
  msi_gather_init(gather, gather->alloc);
}

static ms_status start_add(msi_gather *gather, const msi_notice *notice) {
  if (gather->count == gather->capacity) {
    size_t capacity = gather->capacity == 0 ? 4 : gather->capacity * 2;
    msi_gather_start *starts =
        msi_alloc_resize(gather->alloc, gather->starts, gather->capacity * sizeof *starts,
                         capacity * sizeof *starts);
    if (starts == NULL) return MS_ENOMEM;
    gather->starts = starts;
    gather->capacity = capacity;
  }
  gather->starts[gather->count++] =
      (msi_gather_start){notice->listeners, ms_value_retain(notice->old_root)};
  return MS_OK;
}

static msi_notice notice_copy(const msi_notice *notice) {
  msi_notice copy = *notice;
  ms_value_retain(copy.old_root);
  ms_value_retain(copy.new_root);
  if (copy.update != NULL) copy.update = ms_update_retain(copy.update);
  return copy;
}

ms_status msi_gather_add(msi_gather *gather, const msi_notice *notice, uint64_t newest) {
  uint64_t started = gather->count == 0 ? 0 : gather->starts[gather->count - 1].listeners;
  ms_status status = MS_OK;
  if (gather->count == 0 || (newest > started && notice->listeners > started)) {
    status = start_add(gather, notice);
  }
  if (gather->count == 0) return status;
  msi_notice copy = notice_copy(notice);
  if (gather->whole.new_root == NULL && gather->whole.old_root == NULL) {
    gather->whole = copy;
  } else {
    msi_notice_melt(&gather->whole, &copy);
  }
  return status;
}

bool msi_gather_take(msi_gather *gather, msi_gather *out) {
  if (gather->count == 0) return false;
  *out = *gather;
  msi_gather_init(gather, gather->alloc);
  return true;
}
