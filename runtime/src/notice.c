/* Notices (see notice.h): a sliding array. */
#include "notice.h"

#include <string.h>

void msi_notices_init(msi_notices *notices, const ms_alloc *alloc) {
  memset(notices, 0, sizeof *notices);
  notices->alloc = alloc;
}

void msi_notice_fini(msi_notice *notice, const ms_alloc *alloc) {
  ms_value_release(notice->old_root);
  ms_value_release(notice->new_root);
  ms_update_release(notice->update);
  ms_value_release(notice->standing);
  msi_alloc_free(alloc, notice->member, sizeof *notice->member);
  if (notice->refusal == NULL) return;
  ms_path_release(notice->refusal->path);
  MSI_FREE(alloc, notice->refusal);
}

void msi_notices_fini(msi_notices *notices) {
  for (size_t i = 0; i < notices->count; i++) {
    msi_notice_fini(&notices->items[notices->first + i], notices->alloc);
  }
  msi_alloc_free(notices->alloc, notices->items, notices->capacity * sizeof(msi_notice));
  notices->items = NULL;
  notices->first = notices->count = notices->capacity = 0;
}

ms_status msi_notices_reserve(msi_notices *notices, size_t count) {
  if (notices->first + notices->count + count <= notices->capacity) return MS_OK;
  if (notices->first >= notices->capacity / 2 &&
      notices->count + count <= notices->capacity) {
    memmove(notices->items, notices->items + notices->first,
            notices->count * sizeof *notices->items);
    notices->first = 0;
    return MS_OK;
  }
  size_t capacity = notices->capacity == 0 ? 16 : notices->capacity * 2;
  while (capacity < notices->first + notices->count + count) capacity *= 2;
  msi_notice *items =
      msi_alloc_resize(notices->alloc, notices->items, notices->capacity * sizeof *items,
                       capacity * sizeof *items);
  if (items == NULL) return MS_ENOMEM;
  notices->items = items;
  notices->capacity = capacity;
  return MS_OK;
}

void msi_notice_melt(msi_notice *last, msi_notice *notice) {
  ms_value_release(last->new_root);
  last->new_root = notice->new_root;
  ms_value_release(notice->old_root);
  ms_update_release(notice->update);
  ms_update_release(last->update);
  last->update = NULL;
  if (last->change != notice->change) last->change = MS_CHANGE_SET;
  last->is_local = last->is_local && notice->is_local;
  last->is_merged = true;
  if (last->origin != notice->origin) last->origin = 0;
  last->version = notice->version;
  last->wall_ms = notice->wall_ms;
}

/* The one that `notice` may melt into: the last of its kind for the same listeners, when changes and
 * patches only, which mostly alternate, stand behind it. NULL: none. */
static msi_notice *melting_pot(msi_notices *notices, const msi_notice *notice) {
  if (notices->count < MSI_NOTICES_MAX) return NULL;
  if (notice->kind != MSI_NOTICE_CHANGE && notice->kind != MSI_NOTICE_PATCH) return NULL;
  for (size_t back = 1; back <= 2; back++) {
    msi_notice *last = &notices->items[notices->first + notices->count - back];
    if (last->kind != MSI_NOTICE_CHANGE && last->kind != MSI_NOTICE_PATCH) return NULL;
    if (last->listeners != notice->listeners) return NULL;
    if (last->kind == notice->kind) return last;
  }
  return NULL;
}

void msi_notices_add(msi_notices *notices, const msi_notice *notice) {
  msi_notice *pot = melting_pot(notices, notice);
  if (pot != NULL) {
    msi_notice copy = *notice;
    msi_notice_melt(pot, &copy);
    return;
  }
  MSI_ASSERT(notices->first + notices->count < notices->capacity);
  notices->items[notices->first + notices->count++] = *notice;
}

bool msi_notices_take(msi_notices *notices, msi_notice *out) {
  if (notices->count == 0) return false;
  *out = notices->items[notices->first++];
  if (--notices->count == 0) notices->first = 0;
  return true;
}

void msi_notices_forget_sub(msi_notices *notices, const ms_sub *sub) {
  for (size_t i = 0; i < notices->count; i++) {
    msi_notice *notice = &notices->items[notices->first + i];
    if (notice->sub == sub) notice->sub = NULL;
  }
}
