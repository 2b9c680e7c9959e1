/*
 * Subscriptions of a share: to changes (hook.h finds whom they concern), to accepted patches, to peers
 * (roster.h), to refusals, to the state; and the telling of notices to them.
 *
 * A subscription that is closed while callbacks run leaves its list at once but keeps its memory and
 * its `next` until the poll is over, so that who walks the list meets no freed memory and finds on.
 * What is being told is for those only that were there when it happened: `telling` is the number of
 * the last one of them. Those that coalesce hear at the end of the poll (gather.h).
 */
#include <string.h>

#include "call.h"

struct ms_sub {
  uint32_t word; /* MSI_WORD_SUB */
  ms_share *share;
  ms_sub *next, *previous;
  ms_sub *next_closed;
  msi_sub_kind kind;
  bool closed;
  bool is_due;    /* CHANGE: a notice of kind IMMEDIATE is about it */
  bool coalesces; /* CHANGE */
  uint64_t number;
  msi_hook *hook;       /* CHANGE */
  const ms_value *name; /* EVENT, HANDLER; retained; EVENT: NULL: any */
  uint64_t announced;   /* HANDLER: this peer's id when it told others */
  union {
    ms_change_fn change;
    ms_patch_fn patch;
    ms_peer_event_fn peer;
    ms_event_fn event;
    ms_handler_fn handler;
    ms_reject_fn reject;
    ms_state_fn state;
  } fn;
  void *ud;
};

static void sub_link(ms_sub *sub) {
  msi_subs *list = &sub->share->subs[sub->kind];
  sub->previous = list->last;
  if (list->last != NULL)
    list->last->next = sub;
  else
    list->first = sub;
  list->last = sub;
}

static void sub_unlink(const ms_sub *sub) {
  msi_subs *list = &sub->share->subs[sub->kind];
  if (sub->previous != NULL)
    sub->previous->next = sub->next;
  else
    list->first = sub->next;
  if (sub->next != NULL)
    sub->next->previous = sub->previous;
  else
    list->last = sub->previous;
}

static ms_status sub_new(ms_share *share, msi_sub_kind kind, bool has_fn, void *ud,
                         ms_sub **out) {
  ms_status status = msi_share_guard(share);
  if (status != MS_OK) return status;
  if (share->phase == MSI_PHASE_CLOSED) return MS_ECLOSED;
  if (!has_fn) return MS_EARGUMENT;
  ms_sub *sub = MSI_NEW(share->runtime->alloc, ms_sub);
  if (sub == NULL) return MS_ENOMEM;
  sub->word = MSI_WORD_SUB;
  sub->share = share;
  sub->kind = kind;
  sub->number = ++share->sub_count;
  sub->ud = ud;
  *out = sub;
  return MS_OK;
}

static void sub_free(ms_sub *sub) {
  const ms_alloc *alloc = sub->share->runtime->alloc;
  ms_value_release(sub->name);
  MSI_END_HANDLE(sub);
  MSI_FREE(alloc, sub);
}

static void on_change(void *ud, const ms_change *change) {
  const ms_sub *sub = ud;
  const ms_share *share = sub->share;
  if (sub->number > share->telling || sub->number <= share->told) return;
  if (!share->visiting && sub->coalesces != share->telling_whole) return;
  sub->fn.change(sub->ud, change);
}

/* What is there now; nothing while there is no document: then its coming is a change. */
static void note_immediate(ms_sub *sub) {
  ms_share *share = sub->share;
  const ms_value *root = ms_value_retain(msi_view_root(share->view)); /* without drafts */
  if (root == NULL) return;
  sub->is_due = true;
  msi_notices_add(&share->notices,
                  &(msi_notice){.kind = MSI_NOTICE_IMMEDIATE,
                                .new_root = root,
                                .version = msi_view_version(share->view),
                                .round = msi_runtime_round(share->runtime),
                                .sub = sub});
  msi_driver_notice(share->runtime->driver);
}

ms_status ms_share_on(ms_share *share, const ms_path *pattern, unsigned flags,
                      ms_change_fn fn, void *ud, ms_sub **out) {
  ms_sub *sub;
  if ((flags & ~(unsigned)(MS_ON_IMMEDIATE | MS_ON_COALESCE)) != 0) return MS_EARGUMENT;
  ms_status status =
      sub_new(share, MSI_SUB_CHANGE, fn != NULL && pattern != NULL, ud, &sub);
  if (status != MS_OK) return status;
  sub->fn.change = fn;
  bool immediate = (flags & MS_ON_IMMEDIATE) != 0;
  if (immediate) status = msi_notices_reserve(&share->notices, 1);
  if (status == MS_OK) {
    status = msi_hooks_add(share->hooks, pattern, flags, on_change, sub, &sub->hook);
  }
  if (status != MS_OK) {
    sub_free(sub);
    return status;
  }
  sub_link(sub);
  sub->coalesces = (flags & MS_ON_COALESCE) != 0;
  if (sub->coalesces) share->newest_coalescing = sub->number;
  if (immediate) note_immediate(sub);
  *out = sub;
  return MS_OK;
}

ms_status ms_share_on_patch(ms_share *share, ms_patch_fn fn, void *ud, ms_sub **out) {
  ms_status status = sub_new(share, MSI_SUB_PATCH, fn != NULL, ud, out);
  if (status != MS_OK) return status;
  (*out)->fn.patch = fn;
  sub_link(*out);
  return MS_OK;
}

ms_status ms_share_on_peer(ms_share *share, ms_peer_event_fn fn, void *ud, ms_sub **out) {
  ms_sub *sub;
  ms_status status = sub_new(share, MSI_SUB_PEER, fn != NULL, ud, &sub);
  if (status != MS_OK) return status;
  if (share->subs[MSI_SUB_PEER].first == NULL) status = msi_share_read_roster(share);
  if (status != MS_OK) {
    sub_free(sub);
    return status;
  }
  sub->fn.peer = fn;
  sub_link(sub);
  *out = sub;
  return MS_OK;
}

static ms_status sub_named(ms_share *share, msi_sub_kind kind, bool has_fn,
                           const char *name, size_t length, void *ud, ms_sub **out) {
  ms_status status = sub_new(share, kind, has_fn, ud, out);
  if (status != MS_OK) return status;
  if (length == 0) status = MS_EARGUMENT;
  if (length > MS_KEY_MAX) status = MS_ELIMIT;
  if (status == MS_OK)
    status = ms_value_new_string(share->runtime->alloc, name, length, &(*out)->name);
  if (status != MS_OK) sub_free(*out);
  return status;
}

ms_status ms_share_on_event(ms_share *share, const char *name, size_t length,
                            ms_event_fn fn, void *ud, ms_sub **out) {
  ms_sub *sub;
  ms_status status =
      name == NULL ? sub_new(share, MSI_SUB_EVENT, fn != NULL, ud, &sub)
                   : sub_named(share, MSI_SUB_EVENT, fn != NULL, name, length, ud, &sub);
  if (status != MS_OK) return status;
  sub->fn.event = fn;
  sub_link(sub);
  *out = sub;
  return MS_OK;
}

ms_status ms_share_handle(ms_share *share, const char *name, size_t length,
                          ms_handler_fn fn, void *ud, ms_sub **out) {
  ms_sub *sub;
  if (name == NULL) length = 0;
  ms_status status = msi_share_guard(share);
  if (status != MS_OK) return status;
  if (share->config.readonly) return MS_EREADONLY;
  if (msi_share_find_handler(share, name, length) != NULL) return MS_EBUSY;
  status = sub_named(share, MSI_SUB_HANDLER, fn != NULL, name, length, ud, &sub);
  if (status != MS_OK) return status;
  sub->fn.handler = fn;
  sub_link(sub);
  msi_share_begin_handler(share);
  *out = sub;
  return MS_OK;
}

ms_status ms_share_on_reject(ms_share *share, ms_reject_fn fn, void *ud, ms_sub **out) {
  ms_status status = sub_new(share, MSI_SUB_REFUSAL, fn != NULL, ud, out);
  if (status != MS_OK) return status;
  (*out)->fn.reject = fn;
  sub_link(*out);
  return MS_OK;
}

ms_status ms_share_on_state(ms_share *share, ms_state_fn fn, void *ud, ms_sub **out) {
  ms_status status = sub_new(share, MSI_SUB_STATE, fn != NULL, ud, out);
  if (status != MS_OK) return status;
  (*out)->fn.state = fn;
  sub_link(*out);
  return MS_OK;
}

void ms_sub_close(ms_sub *sub) {
  if (sub == NULL) return;
  MSI_ASSERT_HANDLE(sub, MSI_WORD_SUB);
  if (sub->closed) return;
  ms_share *share = sub->share;
  if (msi_share_guard(share) != MS_OK) return;
  sub->closed = true;
  sub_unlink(sub);
  if (sub->hook != NULL) msi_hooks_remove(share->hooks, sub->hook);
  if (sub->is_due) msi_notices_forget_sub(&share->notices, sub);
  if (sub->kind == MSI_SUB_HANDLER && sub->announced == share->peer && share->peer != 0)
    msi_share_end_handler(share, sub->name);
  if (!share->runtime->polling) {
    sub_free(sub);
    return;
  }
  sub->next_closed = share->closed_subs;
  share->closed_subs = sub;
  share->runtime->sweep_due = true;
}

void msi_share_close_subs(ms_share *share) {
  for (int kind = 0; kind < MSI_SUB_KINDS; kind++) {
    while (share->subs[kind].first != NULL) ms_sub_close(share->subs[kind].first);
  }
}

void msi_share_sweep_subs(ms_share *share) {
  while (share->closed_subs != NULL) {
    ms_sub *sub = share->closed_subs;
    share->closed_subs = sub->next_closed;
    sub_free(sub);
  }
}

const char *ms_change_kind_name(ms_change_kind kind) {
  static const char *const NAMES[] = {"set", "remove", "rollback", "join"};
  return (unsigned)kind < sizeof NAMES / sizeof *NAMES ? NAMES[kind] : "unknown";
}

/* ------------------------------------------------------------------- telling */

static void log_untold(const ms_share *share, ms_status status) {
  if (status == MS_OK) return;
  msi_runtime_log(share->runtime, MS_LOG_ERROR, "%s: a change was not told: %s",
                  share->name, ms_status_text(status));
}

static ms_status tell_step(ms_share *share, const msi_notice *notice,
                           const ms_value *old_root) {
  ms_change change = {.bytes = sizeof change,
                      .kind = notice->change,
                      .origin = notice->origin,
                      .version = notice->version,
                      .wall_ms = notice->wall_ms,
                      .is_local = notice->is_local};
  return msi_hooks_dispatch_update(share->hooks, old_root, notice->new_root,
                                   notice->update, &change);
}

static ms_status tell_leaf(ms_share *share, const msi_notice *notice) {
  const ms_update *update = notice->update;
  ms_change change = {.bytes = sizeof change,
                      .kind = notice->change,
                      .origin = notice->origin,
                      .version = notice->version,
                      .wall_ms = notice->wall_ms,
                      .is_local = notice->is_local};
  return msi_hooks_dispatch_leaf(share->hooks, update->ops[update->op_count - 1].path,
                                 notice->old_root, notice->new_root, &change);
}

static void tell_change(ms_share *share, const msi_notice *notice) {
  if (notice->is_leaf) { /* older than any that coalesces */
    share->telling = notice->listeners;
    log_untold(share, tell_leaf(share, notice));
    return;
  }
  if (share->newest_coalescing > 0) {
    log_untold(share, msi_gather_add(&share->gather, notice, share->newest_coalescing));
  }
  share->telling = notice->listeners;
  log_untold(share, tell_step(share, notice, notice->old_root));
}

static bool is_writing(const msi_op *op) {
  return op->class_ != MSI_CLASS_GUARD && op->code != MSI_CODE_SET_ON_INSERT;
}

/* What an update (NULL: none) writes, borrowed from it. *out has room for *room paths. */
static ms_status written_paths(const ms_alloc *alloc, const ms_update *update,
                               const ms_path ***out, size_t *room, size_t *count) {
  *out = NULL;
  *room = update == NULL ? 0 : update->op_count;
  *count = 0;
  if (*room == 0) return MS_OK;
  const ms_path **paths = msi_alloc_get(alloc, *room * sizeof *paths);
  if (paths == NULL) return MS_ENOMEM;
  for (size_t i = 0; i < update->op_count; i++) {
    if (is_writing(&update->ops[i])) paths[(*count)++] = update->ops[i].path;
  }
  *out = paths;
  return MS_OK;
}

static void tell_patch(ms_share *share, const msi_notice *notice) {
  const ms_alloc *alloc = share->runtime->alloc;
  bool merged = notice->is_merged;
  ms_patch patch = {.bytes = sizeof patch,
                    .version = notice->version,
                    .origin = merged ? 0 : notice->origin,
                    .wall_ms = merged ? 0 : notice->wall_ms,
                    .is_local = !merged && notice->is_local,
                    .is_merged = merged};
  const ms_path **paths;
  size_t room;
  ms_status status =
      written_paths(alloc, notice->update, &paths, &room, &patch.path_count);
  log_untold(share, status);
  if (status != MS_OK) return;
  patch.paths = paths;
  for (ms_sub *sub = share->subs[MSI_SUB_PATCH].first; sub != NULL; sub = sub->next) {
    if (!sub->closed && sub->number <= notice->listeners) sub->fn.patch(sub->ud, &patch);
  }
  msi_alloc_free(alloc, paths, room * sizeof *paths);
}

void msi_share_call_peer(ms_share *share, ms_peer_event event, const ms_peer *peer,
                         uint64_t listeners) {
  for (ms_sub *sub = share->subs[MSI_SUB_PEER].first; sub != NULL; sub = sub->next) {
    if (!sub->closed && sub->number <= listeners) sub->fn.peer(sub->ud, event, peer);
  }
}

static bool is_named(const ms_sub *sub, const char *name, size_t length) {
  const char *own = NULL;
  size_t own_length = 0;
  if (length == 0 || ms_value_to_string(sub->name, &own, &own_length) != MS_OK)
    return false;
  return own_length == length && memcmp(own, name, length) == 0;
}

void msi_share_call_event(ms_share *share, const ms_event *event, uint64_t listeners) {
  for (ms_sub *sub = share->subs[MSI_SUB_EVENT].first; sub != NULL; sub = sub->next) {
    if (sub->closed || sub->number > listeners) continue;
    if (sub->name == NULL || is_named(sub, event->name, event->name_length))
      sub->fn.event(sub->ud, event);
  }
}

ms_sub *msi_share_find_handler(const ms_share *share, const char *name, size_t length) {
  ms_sub *sub = share->subs[MSI_SUB_HANDLER].first;
  while (sub != NULL && !is_named(sub, name, length)) sub = sub->next;
  return sub;
}

void msi_sub_call_handler(const ms_sub *sub, ms_call *call) {
  sub->fn.handler(sub->ud, call);
}

ms_status msi_share_announce_handlers(ms_share *share, uint64_t self,
                                      msi_announce_fn fn) {
  for (ms_sub *sub = share->subs[MSI_SUB_HANDLER].first; sub != NULL; sub = sub->next) {
    if (sub->announced == self) continue;
    ms_status status = fn(share, sub->name);
    if (status != MS_OK) return status;
    sub->announced = self;
  }
  return MS_OK;
}

void msi_share_tell_gathered(ms_share *share) {
  msi_gather all;
  if (share->roster.is_stale && share->notices.count == 0) msi_share_tell_roster(share);
  if (!msi_gather_take(&share->gather, &all)) return;
  share->telling_whole = true;
  for (size_t i = 0; i < all.count; i++) {
    share->telling = all.starts[i].listeners;
    log_untold(share, tell_step(share, &all.whole, all.starts[i].root));
    share->told = share->telling;
  }
  share->told = 0;
  share->telling_whole = false;
  msi_gather_fini(&all);
}

static void tell_immediate(ms_share *share, const msi_notice *notice) {
  if (notice->sub == NULL) return; /* closed meanwhile */
  notice->sub->is_due = false;
  ms_change change = {
      .bytes = sizeof change, .kind = MS_CHANGE_SET, .version = notice->version};
  share->telling = notice->sub->number;
  share->visiting = true;
  ms_status status =
      msi_hooks_visit(share->hooks, notice->sub->hook, notice->new_root, &change);
  share->visiting = false;
  if (status == MS_OK) return;
  msi_runtime_log(share->runtime, MS_LOG_ERROR, "%s: a subscription missed its start: %s",
                  share->name, ms_status_text(status));
}

/* Refusals and states are for whoever listens when they are told; yet not for those that join while
 * that goes on. */
static void tell_refusal(ms_share *share, const msi_notice *notice) {
  ms_rejection rejection;
  msi_rejection_fill(&rejection, notice->number, notice->refusal, notice->standing);
  uint64_t last = share->sub_count;
  bool heard = false;
  share->refusals--;
  for (ms_sub *sub = share->subs[MSI_SUB_REFUSAL].first; sub != NULL; sub = sub->next) {
    if (sub->closed || sub->number > last) continue;
    sub->fn.reject(sub->ud, &rejection);
    heard = true;
  }
  if (heard) return;
  msi_runtime_log(share->runtime, MS_LOG_WARNING, "%s: patch %llu was refused: %s (%s)",
                  share->name, (unsigned long long)notice->number,
                  notice->refusal->message, ms_status_name(notice->refusal->status));
}

static void tell_state(ms_share *share) {
  ms_share_info info = {.bytes = sizeof info};
  uint64_t last = share->sub_count;
  ms_share_inspect(share, &info);
  for (ms_sub *sub = share->subs[MSI_SUB_STATE].first; sub != NULL; sub = sub->next) {
    if (!sub->closed && sub->number <= last) sub->fn.state(sub->ud, &info);
  }
}

static void tell_notice(ms_share *share, const msi_notice *notice) {
  switch (notice->kind) {
    case MSI_NOTICE_CHANGE: tell_change(share, notice); break;
    case MSI_NOTICE_PATCH: tell_patch(share, notice); break;
    case MSI_NOTICE_PEER: msi_share_tell_peer(share, notice); break;
    case MSI_NOTICE_MESSAGE: msi_share_tell_message(share, notice); break;
    case MSI_NOTICE_REFUSAL: tell_refusal(share, notice); break;
    case MSI_NOTICE_IMMEDIATE: tell_immediate(share, notice); break;
  }
}

bool msi_share_tell(ms_share *share) {
  /* Who hears that the share is complete finds its document there. */
  if (share->state_changed &&
      (msi_view_root(share->view) != NULL || share->mail.count == 0)) {
    share->state_changed = false;
    tell_state(share);
    return true;
  }
  msi_notice notice;
  if (!msi_notices_take(&share->notices, &notice)) return msi_share_take(share);
  tell_notice(share, &notice);
  msi_notice_fini(&notice, share->runtime->alloc);
  return true;
}
