/*
 * Mail: the way of a delivery to the owner. Polls move it from the station's mailbox, with the mutex
 * held, and then take it into the view piece by piece, without; settling receipts and making notices
 * of what there is to hear.
 */
#include <stdio.h>
#include <string.h>

#include "call.h"

enum {
  RUN_MAX = MSI_MAILBOX_ITEMS + 1, /* pieces of mail taken at once */
  RUN_COST_MAX =
      1 << 18 /* patches applied again where somebody listens; beyond, entries merge */
};

/* ---------------------------------------------------------------- collecting */

void msi_share_note_info(ms_share *share, const msi_replica_info *from) {
  ms_share_info *info = &share->last;
  info->state = from->state;
  info->peer = from->peer;
  info->host = from->host;
  info->group = from->group;
  info->term = from->term;
  info->entries = from->entries;
  info->takeovers = from->takeovers;
  info->snapshots = from->snapshots;
  info->links = from->links;
}

/* What was lost in the mailbox for want of memory is made up for by the state as a whole. */
static void collect_whole(ms_share *share, msi_mailbox *box,
                          const msi_replica_info *info) {
  const ms_value *root = msi_replica_root(msi_station_replica(share->station));
  uint64_t settled = share->submitted - info->pending; /* numbers have no gaps */
  msi_mailbox_clear(box);
  msi_mailbox_put(box, info->peer,
                  &(msi_delivery){.kind = MSI_DELIVER_UNKNOWN, .number = settled});
  if (root == NULL) return;
  msi_mailbox_put(
      box, info->peer,
      &(msi_delivery){.kind = MSI_DELIVER_ROOT,
                      .root = root,
                      .desk = msi_replica_desk(msi_station_replica(share->station)),
                      .version = info->version,
                      .number = settled});
}

bool msi_share_collect(ms_share *share) {
  if (share->station == NULL) return false;
  msi_mailbox *box = msi_station_mailbox(share->station);
  if (msi_mailbox_is_empty(box) && box->synced == share->mail.synced) return false;
  msi_replica_info info;
  msi_replica_inspect(msi_station_replica(share->station), &info);
  msi_share_note_info(share, &info);
  share->peer = info.peer;
  bool changed = box->state_changed || box->failed;
  share->state_changed |= box->state_changed;
  box->state_changed = false;
  if (box->failed) {
    share->failed = true;
    share->error = box->error;
    box->failed = false;
  }
  if (share->mail.count > 0) return changed; /* first what came before */
  if (box->broken) collect_whole(share, box, &info);
  if (box->broken) return changed; /* still no memory */
  msi_mailbox_publish(box, msi_replica_root(msi_station_replica(share->station)),
                      info.version);
  msi_mailbox_move(&share->mail, box);
  if (share->mail.count == 0) share->breaks = share->mail.breaks;
  return true;
}

bool msi_share_has_work(const ms_share *share) {
  return share->notices.count > 0 || share->mail.count > 0 || share->state_changed ||
         share->roster.is_stale;
}

/* A notice of a refusal; one that finds no memory is logged instead of told. */
static void note_refusal(ms_share *share, uint64_t number, const msi_refusal *refusal,
                         const ms_value *standing) {
  const ms_alloc *alloc = share->runtime->alloc;
  msi_refusal *copy = MSI_NEW(alloc, msi_refusal);
  if (copy == NULL || msi_notices_reserve(&share->notices, 1) != MS_OK) {
    msi_alloc_free(alloc, copy, sizeof *copy);
    msi_runtime_log(share->runtime, MS_LOG_ERROR, "%s: patch %llu was refused: %s",
                    share->name, (unsigned long long)number, refusal->message);
    return;
  }
  *copy = *refusal;
  copy->paths = NULL;
  copy->path_count = 0;
  ms_path_retain(copy->path);
  msi_notice notice = {.kind = MSI_NOTICE_REFUSAL,
                       .number = number,
                       .refusal = copy,
                       .standing = ms_value_retain(standing)};
  share->refusals++;
  msi_notices_add(&share->notices, &notice);
}

static void settle_accepted(ms_share *share, uint64_t number, uint64_t version) {
  uint64_t popped;
  ms_receipt *receipt;
  while (msi_receipts_pop(&share->receipts, number, &popped, &receipt)) {
    share->accepted++;
    msi_receipt_accept(receipt, version);
    ms_receipt_release(receipt);
  }
}

static void settle_refused(ms_share *share, uint64_t number, ms_receipt_state state,
                           uint64_t version, const msi_refusal *refusal,
                           const ms_value *standing) {
  uint64_t popped;
  ms_receipt *receipt;
  while (msi_receipts_pop(&share->receipts, number, &popped, &receipt)) {
    if (state == MS_REJECTED) {
      share->rejected++;
    } else {
      share->unknown++;
    }
    msi_receipt_refuse(receipt, state, version, refusal, standing);
    bool is_told = receipt == NULL || !receipt->is_quiet;
    ms_receipt_release(receipt);
    if (is_told) note_refusal(share, popped, refusal, standing);
  }
}

void msi_share_settle_unknown(ms_share *share, uint64_t number, const char *why) {
  msi_refusal refusal = {.status = MS_ENOHOST};
  snprintf(refusal.message, sizeof refusal.message, "%s", why);
  settle_refused(share, number, MS_UNKNOWN, 0, &refusal, NULL);
}

/* A snapshot tells which numbers were rejected, not why. */
static void settle_by_root(ms_share *share, const msi_mail *mail) {
  msi_refusal refusal = {.status = MS_ECONFLICT};
  snprintf(refusal.message, sizeof refusal.message,
           "rejected while this peer was catching up");
  for (size_t i = 0; i < mail->rejected_count; i++) {
    if (mail->rejected[i] > 1)
      settle_accepted(share, mail->rejected[i] - 1, mail->version);
    settle_refused(share, mail->rejected[i], MS_REJECTED, mail->version, &refusal, NULL);
  }
  settle_accepted(share, mail->number, mail->version);
}

/* The view is where the mail leads to. */
static void settle_mail(ms_share *share, const msi_mail *mail) {
  switch (mail->kind) {
    case MSI_MAIL_ENTRY:
      if (mail->patch.origin != mail->self) break;
      if (mail->entry_kind == MSI_ENTRY_PATCH) {
        settle_accepted(share, mail->patch.number, mail->version);
      } else if (mail->entry_kind == MSI_ENTRY_REJECT && mail->refusal != NULL) {
        const ms_path *path = mail->refusal->path;
        const ms_value *committed = msi_view_committed(share->view);
        const ms_value *standing = path == NULL ? NULL : ms_path_find(path, committed);
        settle_refused(share, mail->patch.number, MS_REJECTED, mail->version,
                       mail->refusal, standing);
      }
      break;
    case MSI_MAIL_MELTED:
      for (size_t i = 0; i < mail->settled_count; i++) {
        settle_accepted(share, mail->settled[i].number, mail->settled[i].version);
      }
      break;
    case MSI_MAIL_ROOT: settle_by_root(share, mail); break;
    case MSI_MAIL_UNKNOWN:
      msi_share_settle_unknown(share, mail->number,
                               "the group ended before a decision was heard");
      break;
  }
}

static void delivery_of(const msi_mail *mail, msi_entry *entry, msi_delivery *out) {
  memset(out, 0, sizeof *out);
  out->root = mail->root;
  out->desk = mail->desk;
  out->version = mail->version;
  out->number = mail->number;
  switch (mail->kind) {
    case MSI_MAIL_ENTRY:
      memset(entry, 0, sizeof *entry);
      entry->kind = mail->entry_kind;
      entry->version = mail->version;
      entry->patch = mail->patch;
      out->kind = MSI_DELIVER_ENTRY;
      out->entry = entry;
      break;
    case MSI_MAIL_MELTED:
    case MSI_MAIL_ROOT:
      out->kind = MSI_DELIVER_ROOT;
      out->rejected = mail->rejected;
      out->rejected_count = mail->rejected_count;
      break;
    case MSI_MAIL_UNKNOWN: out->kind = MSI_DELIVER_UNKNOWN; break;
  }
}

/* After a reserve of the notices. */
static void note_change(ms_share *share, const msi_mail *mail, bool is_run,
                        const msi_view_step *step) {
  if (step->effect == MSI_VIEW_NONE || msi_hooks_count(share->hooks) == 0) return;
  msi_notice notice = {.kind = MSI_NOTICE_CHANGE,
                       .change = MS_CHANGE_SET,
                       .old_root = ms_value_retain(step->old_root),
                       .new_root = ms_value_retain(msi_view_root(share->view)),
                       .version = mail->version,
                       .listeners = share->sub_count};
  bool is_entry = mail->kind == MSI_MAIL_ENTRY && !is_run;
  if (is_entry) {
    notice.origin = mail->patch.origin;
    notice.wall_ms = mail->patch.wall_ms;
    notice.is_local = mail->patch.origin == mail->self;
  }
  if (step->effect == MSI_VIEW_ROLLBACK) notice.change = MS_CHANGE_ROLLBACK;
  if (mail->kind == MSI_MAIL_ROOT) notice.change = MS_CHANGE_JOIN;
  /* With own patches pending an entry may also change what they do: look everywhere. */
  if (step->effect == MSI_VIEW_CHANGED && is_entry &&
      msi_view_pending(share->view) == 0) {
    notice.update = ms_update_retain(mail->patch.update);
  }
  msi_notices_add(&share->notices, &notice);
}

/* ----- the change of one scalar, of which can be told without the documents before and after */

typedef struct leaf_step {
  const ms_value *old_value, *new_value; /* retained; NULL: nothing there */
} leaf_step;

static bool is_scalar(const ms_value *value) {
  return value == NULL || !msi_type_is_container(ms_value_type(value));
}

/* What stands at a path below objects; false: something else is on the way, or holds it. */
static bool leaf_find(const ms_path *path, const ms_value *root, const ms_value **out) {
  const ms_value *value = root;
  for (size_t i = 0; i < path->count; i++) {
    if (value == NULL || ms_value_type(value) != MS_OBJECT) return false;
    value = msi_segment_find(&path->segments[i], value);
  }
  *out = value;
  return is_scalar(value);
}

/* Would the mail, which is the next piece, change one scalar, and does nobody need to see more of it? */
static bool leaf_begin(ms_share *share, const msi_mail *mail, leaf_step *step) {
  const ms_update *update = mail->patch.update;
  if (mail->kind != MSI_MAIL_ENTRY || mail->entry_kind != MSI_ENTRY_PATCH) return false;
  if (msi_view_pending(share->view) > 0 || !msi_update_is_plain(update)) return false;
  if (share->newest_coalescing > 0 || share->notices.count >= MSI_NOTICES_LEAF_MAX)
    return false;
  const msi_op *op = &update->ops[update->op_count - 1];
  const ms_value *old_value = NULL;
  if (op->path->count == 0 || !is_scalar(op->operand) ||
      !leaf_find(op->path, msi_view_root(share->view), &old_value) ||
      msi_hooks_need_roots(share->hooks, op->path)) {
    return false;
  }
  step->old_value = ms_value_retain(old_value);
  step->new_value = ms_value_retain(op->operand);
  return true;
}

/* After a reserve of the notices. */
static void note_leaf(ms_share *share, const msi_mail *mail, const leaf_step *step) {
  if (step->old_value != NULL && ms_value_equal(step->old_value, step->new_value)) return;
  msi_notice notice = {.kind = MSI_NOTICE_CHANGE,
                       .change = MS_CHANGE_SET,
                       .is_leaf = true,
                       .old_root = ms_value_retain(step->old_value),
                       .new_root = ms_value_retain(step->new_value),
                       .update = ms_update_retain(mail->patch.update),
                       .origin = mail->patch.origin,
                       .wall_ms = mail->patch.wall_ms,
                       .is_local = mail->patch.origin == mail->self,
                       .version = mail->version,
                       .listeners = share->sub_count};
  msi_notices_add(&share->notices, &notice);
}

static bool has_patch_subs(const ms_share *share) {
  return share->subs[MSI_SUB_PATCH].first != NULL;
}

static void note_patch(ms_share *share, const msi_mail *mail) {
  msi_notice notice = {.kind = MSI_NOTICE_PATCH,
                       .version = mail->version,
                       .listeners = share->sub_count,
                       .is_merged = mail->kind != MSI_MAIL_ENTRY};
  if (!notice.is_merged) {
    notice.update = ms_update_retain(mail->patch.update);
    notice.origin = mail->patch.origin;
    notice.wall_ms = mail->patch.wall_ms;
    notice.is_local = mail->patch.origin == mail->self;
  }
  msi_notices_add(&share->notices, &notice);
}

/* After a reserve for each of them. A root that brings nothing new is no patch: the view had the version
 * `before` and is as it was. */
static void note_patches(ms_share *share, size_t count, uint64_t before,
                         const msi_view_step *step) {
  for (size_t i = 0; i < count; i++) {
    const msi_mail *mail = msi_mailbox_at(&share->mail, i);
    bool is_news = false;
    switch (mail->kind) {
      case MSI_MAIL_ENTRY: is_news = mail->patch.update != NULL; break;
      case MSI_MAIL_MELTED: is_news = true; break;
      case MSI_MAIL_ROOT:
        is_news = mail->version != before || step->effect != MSI_VIEW_NONE;
        break;
      case MSI_MAIL_UNKNOWN: break;
    }
    if (is_news) note_patch(share, mail);
  }
}

static void note_peer(ms_share *share, msi_mail *mail) {
  if (share->notices.count >= MSI_NOTICES_MAX) {
    msi_share_stale_roster(share);
    return;
  }
  msi_notice notice = {.kind = MSI_NOTICE_PEER,
                       .origin = mail->patch.origin,
                       .version = mail->version,
                       .listeners = share->sub_count,
                       .member = mail->member};
  mail->member = NULL;
  msi_notices_add(&share->notices, &notice);
}

/* After a reserve for each of them. */
static void note_peers(ms_share *share, size_t count) {
  for (size_t i = 0; i < count; i++) {
    msi_mail *mail = &share->mail.items[share->mail.first + i];
    if (mail->kind == MSI_MAIL_ROOT || mail->kind == MSI_MAIL_MELTED) {
      msi_share_stale_roster(share);
    } else if (mail->kind == MSI_MAIL_ENTRY && (mail->entry_kind == MSI_ENTRY_JOIN ||
                                                mail->entry_kind == MSI_ENTRY_RETIRE)) {
      note_peer(share, mail);
    }
  }
}

/* The view is brought up to date for one delivery, which stands for the first `count` pieces of mail, the
 * last of them `mail`; all are settled. */
static bool take_delivery(ms_share *share, const msi_delivery *delivery,
                          const msi_mail *mail, size_t count) {
  msi_view_step step = {0};
  size_t patch_count = has_patch_subs(share) ? count : 0;
  uint64_t before = msi_view_version(share->view);
  size_t peer_count = share->subs[MSI_SUB_PEER].first != NULL ? count : 0;
  size_t room = 1 + patch_count + peer_count + msi_share_count_messages(share, count);
  if (msi_notices_reserve(&share->notices, room) != MS_OK) return false;
  bool is_heard = msi_hooks_count(share->hooks) > 0;
  leaf_step leaf = {NULL, NULL};
  bool is_leaf = is_heard && count == 1 && leaf_begin(share, mail, &leaf);
  ms_status status =
      msi_view_take(share->view, mail->self, delivery, is_heard && !is_leaf, &step);
  if (status == MS_OK && is_leaf && step.effect != MSI_VIEW_NONE)
    note_leaf(share, mail, &leaf);
  ms_value_release(leaf.old_value);
  ms_value_release(leaf.new_value);
  if (status != MS_OK) return false;
  if (step.effect != MSI_VIEW_NONE) msi_share_changed(share, false);
  if (!is_leaf) note_change(share, mail, count > 1, &step);
  note_patches(share, patch_count, before, &step);
  note_peers(share, peer_count);
  msi_share_note_messages(share, count);
  msi_grave_bury(&share->runtime->grave, step.old_root);
  ms_update_release(step.settled_update);
  for (size_t i = 0; i < count; i++) {
    settle_mail(share, msi_mailbox_first(&share->mail));
    msi_mailbox_pop(&share->mail);
  }
  if (share->mail.count == 0) share->breaks = share->mail.breaks;
  return true;
}

static bool take_one(ms_share *share) {
  const msi_mail *mail = msi_mailbox_first(&share->mail);
  msi_entry entry;
  msi_delivery delivery;
  delivery_of(mail, &entry, &delivery);
  return take_delivery(share, &delivery, mail, 1);
}

/* The last decided own number among the first `count` pieces of mail, which are entries; 0: none. */
static uint64_t run_decided(const ms_share *share, size_t count) {
  for (size_t i = count; i > 0; i--) {
    const msi_mail *mail = msi_mailbox_at(&share->mail, i - 1);
    if (mail->kind == MSI_MAIL_MELTED) {
      if (mail->number > 0) return mail->number;
    } else if (mail->patch.origin == mail->self &&
               (mail->entry_kind == MSI_ENTRY_PATCH ||
                mail->entry_kind == MSI_ENTRY_REJECT)) {
      return mail->patch.number;
    }
  }
  return 0;
}

/* Does the first piece of mail cost as much as many? */
static bool is_costly(const ms_share *share) {
  const msi_mail *mail = msi_mailbox_at(&share->mail, 0);
  msi_entry entry;
  msi_delivery delivery;
  if (mail->kind != MSI_MAIL_ENTRY) return true;
  delivery_of(mail, &entry, &delivery);
  return msi_view_replays(share->view, mail->self, &delivery);
}

/* The first `count` pieces of mail up to the last one that says what they lead to; 1: none does. */
static size_t run_end(const ms_share *share, size_t count) {
  while (count > 1 && msi_mailbox_at(&share->mail, count - 1)->root == NULL) count--;
  return count;
}

/* How many pieces of mail are taken at once. Where nobody listens, as many as there are, when nothing is
 * pending or the first one has all that is pending applied again; else entries are told one by one as
 * long as that can be paid. */
static size_t run_length(const ms_share *share) {
  size_t pending = msi_view_pending(share->view);
  size_t count = share->mail.count < RUN_MAX ? share->mail.count : RUN_MAX;
  if (count < 2) return count;
  bool is_heard = msi_hooks_count(share->hooks) > 0 || has_patch_subs(share);
  if (is_heard && pending * count < RUN_COST_MAX) return 1;
  if (pending > 0 && !is_costly(share)) return 1;
  size_t length = 0;
  while (length < count) {
    msi_mail_kind kind = msi_mailbox_at(&share->mail, length)->kind;
    if (kind != MSI_MAIL_ENTRY && kind != MSI_MAIL_MELTED) break;
    length++;
  }
  return run_end(share, length);
}

/* Entries that melted and were overtaken by a snapshot: they settle what they settle, and the view goes on
 * with the snapshot. */
static bool is_overtaken(const ms_share *share) {
  const msi_mail *mail = msi_mailbox_at(&share->mail, 0);
  return mail->kind == MSI_MAIL_MELTED && mail->root == NULL;
}

static bool take_overtaken(ms_share *share) {
  size_t room = msi_share_count_messages(share, 1);
  if (msi_notices_reserve(&share->notices, room) != MS_OK) return false;
  msi_share_note_messages(share, 1);
  settle_mail(share, msi_mailbox_first(&share->mail));
  msi_mailbox_pop(&share->mail);
  if (share->mail.count == 0) share->breaks = share->mail.breaks;
  return true;
}

/* Do others hang on this runtime's loop? */
static bool runtime_hosts(const ms_runtime *runtime) {
  const ms_share *share = runtime->shares;
  while (share != NULL && share->last.state != MS_SHARE_HOST) share = share->next;
  return share != NULL;
}

bool msi_share_take(ms_share *share) {
  if (share->mail.count == 0) return false;
  if (share->runtime->polling && !runtime_hosts(share->runtime))
    msi_driver_progress(share->runtime->driver);
  size_t length = run_length(share);
  bool taken = true;
  if (length <= 1 && is_overtaken(share)) {
    taken = take_overtaken(share);
  } else if (length <= 1) {
    taken = take_one(share);
  } else {
    const msi_mail *last = msi_mailbox_at(&share->mail, length - 1);
    msi_delivery delivery = {.kind = MSI_DELIVER_ROOT,
                             .root = last->root,
                             .desk = last->desk,
                             .version = last->version,
                             .number = run_decided(share, length)};
    taken = take_delivery(share, &delivery, last, length);
  }
  if (taken && share->defaults_due && msi_view_root(share->view) != NULL) {
    msi_share_merge_defaults(share);
  }
  return taken;
}
