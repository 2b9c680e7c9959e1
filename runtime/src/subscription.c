/*
 * Subscriptions of a share: to changes (hook.h finds whom they concern), to refusals, to the state.
 *
 * A subscription that is closed while callbacks run stays in the list, closed, until the poll is over,
 * so that who walks the list meets no freed memory.
 */
#include <string.h>

#include "share.h"

typedef enum sub_kind { SUB_CHANGE, SUB_REFUSAL, SUB_STATE } sub_kind;

struct ms_sub {
  ms_share *share;
  ms_sub *next;
  sub_kind kind;
  bool closed;
  msi_hook *hook; /* CHANGE */
  ms_reject_fn on_reject;
  ms_state_fn on_state;
  void *ud;
};

static ms_status sub_new(ms_share *share, sub_kind kind, void *ud, ms_sub **out) {
  ms_status status = msi_runtime_guard(share->runtime);
  if (status != MS_OK) return status;
  ms_sub *sub = MSI_NEW(share->runtime->alloc, ms_sub);
  if (sub == NULL) return MS_ENOMEM;
  sub->share = share;
  sub->kind = kind;
  sub->ud = ud;
  ms_sub **at = &share->subs;
  while (*at != NULL) at = &(*at)->next;
  *at = sub;
  *out = sub;
  return MS_OK;
}

static void sub_free(ms_sub *sub) {
  ms_sub **at = &sub->share->subs;
  while (*at != sub) at = &(*at)->next;
  *at = sub->next;
  MSI_FREE(sub->share->runtime->alloc, sub);
}

ms_status ms_share_on(ms_share *share, const ms_path *pattern, unsigned flags, ms_change_fn fn,
                      void *ud, ms_sub **out) {
  ms_sub *sub;
  ms_status status = sub_new(share, SUB_CHANGE, ud, &sub);
  if (status != MS_OK) return status;
  if ((flags & MS_ON_IMMEDIATE) != 0) status = msi_notices_reserve(&share->notices, 1);
  if (status == MS_OK) {
    status = msi_hooks_add(share->hooks, pattern, flags, fn, ud, &sub->hook);
  }
  if (status != MS_OK) {
    sub_free(sub);
    return status;
  }
  if ((flags & MS_ON_IMMEDIATE) != 0) {
    msi_notices_add(&share->notices, &(msi_notice){.kind = MSI_NOTICE_IMMEDIATE, .sub = sub});
  }
  *out = sub;
  return MS_OK;
}

ms_status ms_share_on_reject(ms_share *share, ms_reject_fn fn, void *ud, ms_sub **out) {
  ms_status status = sub_new(share, SUB_REFUSAL, ud, out);
  if (status == MS_OK) (*out)->on_reject = fn;
  return status;
}

ms_status ms_share_on_state(ms_share *share, ms_state_fn fn, void *ud, ms_sub **out) {
  ms_status status = sub_new(share, SUB_STATE, ud, out);
  if (status == MS_OK) (*out)->on_state = fn;
  return status;
}

void ms_sub_close(ms_sub *sub) {
  if (sub == NULL || sub->closed) return;
  ms_share *share = sub->share;
  sub->closed = true;
  if (sub->kind == SUB_CHANGE) {
    msi_hooks_remove(share->hooks, sub->hook);
    msi_notices_forget_sub(&share->notices, sub);
  }
  if (!share->runtime->polling) sub_free(sub);
}

void msi_share_sweep_subs(ms_share *share, bool all) {
  ms_sub *next;
  for (ms_sub *sub = share->subs; sub != NULL; sub = next) {
    next = sub->next;
    if (all) ms_sub_close(sub);
    else if (sub->closed) sub_free(sub);
  }
}

const char *ms_change_kind_name(ms_change_kind kind) {
  static const char *const NAMES[] = {"set", "remove", "rollback", "join"};
  return (unsigned)kind < sizeof NAMES / sizeof *NAMES ? NAMES[kind] : "unknown";
}

/* ------------------------------------------------------------------- telling */

static void tell_change(ms_share *share, const msi_notice *notice) {
  ms_change change = {.bytes = sizeof change,
                      .kind = notice->change,
                      .origin = notice->origin,
                      .version = notice->version,
                      .wall_ms = notice->wall_ms,
                      .is_local = notice->is_local};
  ms_status status = msi_hooks_dispatch_update(share->hooks, notice->old_root,
                                               notice->new_root, notice->update, &change);
  if (status == MS_OK) return;
  msi_runtime_log(share->runtime, MS_LOG_ERROR, "%s: a change was not told: %s", share->name,
                  ms_status_text(status));
}

static void tell_immediate(ms_share *share, const msi_notice *notice) {
  if (notice->sub == NULL) return; /* closed meanwhile */
  const ms_value *root = msi_view_root(share->view);
  if (root == NULL) return;
  ms_value_retain(root);
  ms_change change = {.bytes = sizeof change,
                      .kind = MS_CHANGE_SET,
                      .version = msi_view_version(share->view)};
  ms_status status = msi_hooks_visit(share->hooks, notice->sub->hook, root, &change);
  ms_value_release(root);
  if (status == MS_OK) return;
  msi_runtime_log(share->runtime, MS_LOG_ERROR, "%s: a subscription missed its start: %s",
                  share->name, ms_status_text(status));
}

static void tell_refusal(ms_share *share, const msi_notice *notice) {
  ms_rejection rejection;
  msi_rejection_fill(&rejection, notice->number, notice->refusal, notice->standing);
  bool heard = false;
  for (ms_sub *sub = share->subs; sub != NULL; sub = sub->next) {
    if (sub->closed || sub->kind != SUB_REFUSAL) continue;
    sub->on_reject(sub->ud, &rejection);
    heard = true;
  }
  if (heard) return;
  msi_runtime_log(share->runtime, MS_LOG_WARNING, "%s: patch %llu was refused: %s (%s)",
                  share->name, (unsigned long long)notice->number, notice->refusal->message,
                  ms_status_name(notice->refusal->status));
}

void msi_share_tell_notice(ms_share *share, const msi_notice *notice) {
  switch (notice->kind) {
    case MSI_NOTICE_CHANGE: tell_change(share, notice); break;
    case MSI_NOTICE_REFUSAL: tell_refusal(share, notice); break;
    case MSI_NOTICE_IMMEDIATE: tell_immediate(share, notice); break;
  }
}

void msi_share_tell_state(ms_share *share) {
  ms_share_info info = {.bytes = sizeof info};
  ms_share_inspect(share, &info);
  for (ms_sub *sub = share->subs; sub != NULL; sub = sub->next) {
    if (!sub->closed && sub->kind == SUB_STATE) sub->on_state(sub->ud, &info);
  }
}
