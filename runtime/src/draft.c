/* Drafts (see draft.h). */
#include "draft.h"

#include <string.h>

void msi_draft_init(msi_draft *draft, const ms_alloc *alloc, const ms_value *root,
                    int64_t wall_ms, uint64_t document_bytes_max) {
  *draft = (msi_draft){.alloc = alloc,
                       .root = ms_value_retain(root),
                       .wall_ms = wall_ms,
                       .document_bytes_max = document_bytes_max};
}

/* Room for one more than `count`. */
static ms_status draft_reserve(msi_draft *draft, size_t count) {
  if (count < draft->capacity) return MS_OK;
  size_t capacity = draft->capacity == 0 ? 8 : draft->capacity * 2;
  ms_update **updates =
      msi_alloc_resize(draft->alloc, draft->updates, draft->capacity * sizeof *updates,
                       capacity * sizeof *updates);
  if (updates == NULL) return MS_ENOMEM;
  draft->updates = updates;
  draft->capacity = capacity;
  return MS_OK;
}

ms_status msi_draft_add(msi_draft *draft, const ms_update *update, ms_error *error) {
  const msi_apply context = {.alloc = draft->alloc,
                             .wall_ms = draft->wall_ms,
                             .document_bytes_max = draft->document_bytes_max};
  const ms_value *root;
  ms_status status = draft_reserve(draft, draft->count);
  if (status != MS_OK) return msi_fail(error, status, "out of memory");
  status = msi_update_apply(&context, update, draft->root, &root, NULL, error);
  if (status != MS_OK) return status;
  draft->updates[draft->count++] = ms_update_retain(update);
  ms_value_release(draft->root);
  draft->root = root;
  return MS_OK;
}

static ms_status join(const msi_draft *draft, const ms_update *before, ms_update **out) {
  if (before == NULL) {
    return msi_update_concat(draft->alloc, (const ms_update *const *)draft->updates,
                             draft->count, out);
  }
  size_t bytes = (draft->count + 1) * sizeof(const ms_update *);
  const ms_update **all = msi_alloc_get(draft->alloc, bytes);
  if (all == NULL) return MS_ENOMEM;
  all[0] = before;
  for (size_t i = 0; i < draft->count; i++) all[i + 1] = draft->updates[i];
  ms_status status = msi_update_concat(draft->alloc, all, draft->count + 1, out);
  msi_alloc_free(draft->alloc, (void *)all, bytes);
  return status;
}

ms_status msi_draft_join(const msi_draft *draft, const ms_update *before, ms_update **out,
                         ms_error *error) {
  ms_status status = join(draft, before, out);
  if (status == MS_OK) return MS_OK;
  if (status != MS_ELIMIT) return msi_fail(error, status, "%s", ms_status_text(status));
  return msi_fail(error, status,
                  "%zu writes make a patch of more than %d bytes, %d values or %d steps",
                  draft->count, MS_PATCH_MAX, MS_VALUES_MAX, MS_STEPS_MAX);
}

void msi_draft_reset(msi_draft *draft, const ms_value *root) {
  for (size_t i = 0; i < draft->count; i++) ms_update_release(draft->updates[i]);
  draft->count = 0;
  ms_value_retain(root);
  ms_value_release(draft->root);
  draft->root = root;
}

void msi_draft_fini(msi_draft *draft) {
  msi_draft_reset(draft, NULL);
  msi_alloc_free(draft->alloc, draft->updates, draft->capacity * sizeof(ms_update *));
  draft->updates = NULL;
  draft->capacity = 0;
}
