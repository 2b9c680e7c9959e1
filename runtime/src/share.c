/*
 * Shares as their owner sees them: configuration, opening and closing, reading, receipts, and the way
 * of a delivery into the view.
 */
#include "directory.h"
#include "share.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void ms_share_config_init(ms_share_config *config) {
  *config = (ms_share_config){.bytes = sizeof *config,
                              .timeout_ms = 5000,
                              .host_timeout_ms = 2000,
                              .max_document = MS_DOCUMENT_MAX,
                              .max_patch = MS_PATCH_MAX,
                              .max_queue = MS_QUEUE_MAX};
}

const char *ms_share_state_name(ms_share_state state) {
  static const char *const NAMES[] = {"new", "joining", "waiting", "client", "host", "closed"};
  return (unsigned)state < sizeof NAMES / sizeof *NAMES ? NAMES[state] : "unknown";
}

/* ----------------------------------------------------------------- lifetime */

static char *copy_text(const ms_alloc *alloc, const char *text) {
  size_t bytes = strlen(text) + 1;
  char *copy = msi_alloc_get(alloc, bytes);
  if (copy != NULL) memcpy(copy, text, bytes);
  return copy;
}

static ms_status config_check(const ms_share_config *config, ms_error *error) {
  if (config->bytes != sizeof *config) {
    return msi_fail(error, MS_EARGUMENT, "config of %zu bytes: call ms_share_config_init",
                    config->bytes);
  }
  if (config->defaults != NULL) {
    ms_type type = ms_value_type(config->defaults);
    if (type != MS_OBJECT && type != MS_EMPTY) {
      return msi_fail(error, MS_EARGUMENT, "defaults: object expected, got %s",
                      ms_type_name(type));
    }
    if (msi_value_depth(config->defaults, MS_DEPTH_MAX + 1) > MS_DEPTH_MAX) {
      return msi_fail(error, MS_ELIMIT, "defaults: more than %d levels", MS_DEPTH_MAX);
    }
  }
  if (config->max_patch == 0 || config->max_patch > MS_PATCH_MAX) {
    return msi_fail(error, MS_EARGUMENT, "max_patch: 1 to %d bytes, got %zu", MS_PATCH_MAX,
                    config->max_patch);
  }
  if (config->max_queue == 0) return msi_fail(error, MS_EARGUMENT, "max_queue: at least 1");
  if (config->host_timeout_ms < 100) {
    return msi_fail(error, MS_EARGUMENT, "host_timeout: at least 100 ms, got %d",
                    config->host_timeout_ms);
  }
  return MS_OK;
}

static bool same_dir(const char *a, const char *b) {
  return (a == NULL || b == NULL) ? a == b : strcmp(a, b) == 0;
}

static ms_share *share_find(const ms_runtime *runtime, const char *name, const char *dir) {
  ms_share *share = runtime->shares;
  while (share != NULL && (share->phase == MSI_PHASE_CLOSED || strcmp(share->name, name) != 0 ||
                           !same_dir(share->dir, dir))) {
    share = share->next;
  }
  return share;
}

/* Frees a share that stands in no list. */
static void share_fini(ms_share *share) {
  const ms_alloc *alloc = share->runtime->alloc;
  msi_hooks_free(share->hooks);
  msi_view_free(share->view);
  msi_mailbox_fini(&share->mail);
  msi_receipts_fini(&share->receipts);
  msi_notices_fini(&share->notices);
  ms_value_release(share->config.defaults);
  if (share->dir != NULL) msi_alloc_free(alloc, share->dir, strlen(share->dir) + 1);
  MSI_FREE(alloc, share);
}

static ms_status share_init(ms_share *share, const ms_share_config *config) {
  const ms_alloc *alloc = share->runtime->alloc;
  msi_mailbox_init(&share->mail, alloc);
  msi_receipts_init(&share->receipts, alloc);
  msi_notices_init(&share->notices, alloc);
  share->config = *config;
  ms_value_retain(config->defaults);
  share->config.dir = NULL;
  if (config->dir != NULL) {
    share->dir = copy_text(alloc, config->dir);
    if (share->dir == NULL) return MS_ENOMEM;
    share->config.dir = share->dir;
  }
  ms_status status = msi_hooks_new(alloc, &share->hooks);
  if (status != MS_OK) return status;
  return msi_view_new(alloc, config->max_document, &share->view);
}

ms_status ms_share_new(ms_runtime *runtime, const char *name, const ms_share_config *config,
                       ms_share **out, ms_error *error) {
  ms_status status = msi_runtime_guard(runtime);
  if (status != MS_OK) return msi_fail(error, status, "%s", ms_status_text(status));
  ms_share_config defaults;
  ms_share_config_init(&defaults);
  if (config == NULL) config = &defaults;
  status = msi_name_check(name, error);
  if (status == MS_OK) status = config_check(config, error);
  if (status != MS_OK) return status;
  ms_share *share = share_find(runtime, name, config->dir);
  if (share != NULL) {
    *out = ms_share_retain(share);
    return MS_OK;
  }
  share = MSI_NEW(runtime->alloc, ms_share);
  if (share == NULL) return msi_fail(error, MS_ENOMEM, "out of memory");
  share->runtime = runtime;
  share->users = share->references = 1;
  snprintf(share->name, sizeof share->name, "%s", name);
  status = share_init(share, config);
  if (status != MS_OK) {
    share_fini(share);
    return msi_fail(error, status, "out of memory");
  }
  msi_driver_visit(runtime->driver); /* the list is read at the end of loop turns */
  share->next = runtime->shares;
  runtime->shares = share;
  msi_driver_depart(runtime->driver, MSI_DEPART_QUIET);
  *out = share;
  return MS_OK;
}

static ms_status share_begin(ms_share *share, ms_error *error) {
  ms_runtime *runtime = share->runtime;
  const ms_share_config *from = &share->config;
  msi_station_config config = {
      .alloc = runtime->alloc,
      .driver = runtime->driver,
      .dir = share->dir,
      .name = share->name,
      .must_exist = from->must_exist,
      .replica = {.alloc = runtime->alloc,
                  .defaults = from->defaults == NULL ? ms_value_empty() : from->defaults,
                  .readonly = from->readonly,
                  .can_host = !from->no_host,
                  .may_found = !from->no_host && !from->must_exist,
                  .host_timeout_ns = (uint64_t)from->host_timeout_ms * 1000000,
                  .document_bytes_max = from->max_document,
                  .patch_bytes_max = from->max_patch,
                  .queue_max = from->max_queue,
                  .pid = getpid(),
                  .program = runtime->program},
      .log = runtime->log,
      .log_ud = runtime->log_ud,
      .log_level = runtime->log_level};
  msi_driver_visit(runtime->driver);
  ms_status status = msi_station_new(&config, &share->station, error);
  if (status == MS_OK) {
    share->phase = MSI_PHASE_STARTED;
    share->defaults_due = from->merge_defaults;
    msi_station_start(share->station);
    msi_station_flush(share->station);
  }
  msi_driver_depart(runtime->driver, MSI_DEPART_CHANGED);
  return status;
}

static bool share_is_open(void *ud) {
  const ms_share *share = ud;
  return msi_view_root(share->view) != NULL || share->failed || share->phase == MSI_PHASE_CLOSED;
}

ms_status ms_share_start(ms_share *share, int timeout_ms, ms_error *error) {
  ms_runtime *runtime = share->runtime;
  ms_status status = msi_runtime_guard(runtime);
  if (status != MS_OK) return msi_fail(error, status, "%s", ms_status_text(status));
  if (share->phase == MSI_PHASE_CLOSED) return msi_fail(error, MS_ECLOSED, "share is closed");
  if (share->phase == MSI_PHASE_NEW) {
    status = share_begin(share, error);
    if (status != MS_OK) return status;
  }
  if (timeout_ms < 0) timeout_ms = share->config.timeout_ms;
  if (timeout_ms > 0 && !share_is_open(share)) {
    status = msi_runtime_may_poll(runtime, error);
    if (status != MS_OK) return status;
    status = msi_runtime_wait(runtime, timeout_ms, share_is_open, share);
  }
  if (share->failed) {
    if (error != NULL) *error = share->error;
    return share->error.status;
  }
  if (status != MS_OK) {
    return msi_fail(error, MS_ETIMEDOUT, "no host of \"%s\" answered in %d ms", share->name,
                    timeout_ms);
  }
  return MS_OK;
}

ms_status ms_share_open(ms_runtime *runtime, const char *name, const ms_share_config *config,
                        ms_share **out, ms_error *error) {
  ms_share *share = NULL;
  ms_status status = ms_share_new(runtime, name, config, &share, error);
  if (status != MS_OK) return status;
  status = ms_share_start(share, -1, error);
  if (status != MS_OK) {
    ms_share_free(share);
    return status;
  }
  *out = share;
  return MS_OK;
}

/* ------------------------------------------------------------------- leaving */

static void settle_unknown(ms_share *share, uint64_t number, const char *why);

void msi_share_leave(ms_share *share) {
  if (share->phase != MSI_PHASE_STARTED) {
    share->phase = MSI_PHASE_CLOSED;
    return;
  }
  msi_driver_visit(share->runtime->driver);
  msi_share_collect(share); /* what is left of the last collection */
  while (msi_share_take(share)) continue;
  msi_share_collect(share); /* what came since */
  msi_station *station = share->station;
  share->station = NULL;
  msi_station_close(station);
  msi_driver_depart(share->runtime->driver, MSI_DEPART_CHANGED);
  share->phase = MSI_PHASE_CLOSED;
  share->last.state = MS_SHARE_CLOSED;
  while (msi_share_take(share)) continue;
  settle_unknown(share, UINT64_MAX, "the share was closed before the patch was settled");
}

static bool share_is_settled(void *ud) {
  const ms_share *share = ud;
  return share->receipts.count == 0;
}

ms_status ms_share_close(ms_share *share, int timeout_ms) {
  ms_runtime *runtime = share->runtime;
  ms_status status = msi_runtime_guard(runtime);
  if (status != MS_OK || share->phase == MSI_PHASE_CLOSED) return status;
  if (share->users <= 1) ms_batch_free(share->batch);
  if (share->phase == MSI_PHASE_STARTED && timeout_ms != 0 &&
      msi_runtime_may_poll(runtime, NULL) == MS_OK) {
    status = msi_runtime_wait(runtime, timeout_ms, share_is_settled, share);
  } else {
    status = share_is_settled(share) ? MS_OK : MS_ETIMEDOUT;
  }
  if (share->users > 0) share->users--;
  if (share->users == 0) msi_share_leave(share);
  return status;
}

void msi_share_destroy(ms_share *share) {
  ms_runtime *runtime = share->runtime;
  msi_share_sweep_subs(share, true);
  msi_driver_visit(runtime->driver);
  ms_share **at = &runtime->shares;
  while (*at != share) at = &(*at)->next;
  *at = share->next;
  msi_driver_depart(runtime->driver, MSI_DEPART_QUIET);
  share_fini(share);
}

void ms_share_free(ms_share *share) {
  if (share == NULL || msi_runtime_guard(share->runtime) != MS_OK) return;
  MSI_ASSERT(share->references > 0);
  share->references--;
  if (share->users > share->references) {
    share->users--;
    if (share->users == 0) {
      ms_batch_free(share->batch);
      msi_share_leave(share);
    }
  }
  /* A poll that is telling notices walks the list of shares: it destroys when it is done. */
  if (share->references == 0 && !share->runtime->polling) msi_share_destroy(share);
}

ms_share *ms_share_retain(ms_share *share) {
  share->users++;
  share->references++;
  return share;
}

ms_runtime *ms_share_runtime(const ms_share *share) {
  return share->runtime;
}

/* -------------------------------------------------------- mail into the view */

static void info_fill(ms_share *share, const msi_replica_info *from) {
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
static void collect_whole(ms_share *share, msi_mailbox *box, uint64_t self) {
  const msi_replica *replica = msi_station_replica(share->station);
  const ms_value *root = msi_replica_root(replica);
  msi_replica_info info;
  msi_replica_inspect(replica, &info);
  msi_mailbox_clear(box);
  msi_mailbox_clear(&share->mail);
  uint64_t decided = msi_replica_decided(replica, self);
  msi_mailbox_put(box, self, &(msi_delivery){.kind = MSI_DELIVER_UNKNOWN, .number = decided});
  if (root == NULL) return;
  msi_delivery whole = {
      .kind = MSI_DELIVER_ROOT, .root = root, .version = info.version, .number = decided};
  msi_mailbox_put(box, self, &whole);
}

bool msi_share_collect(ms_share *share) {
  if (share->station == NULL) return false;
  msi_mailbox *box = msi_station_mailbox(share->station);
  if (msi_mailbox_is_empty(box) && box->synced == share->mail.synced) return false;
  msi_replica_info info;
  msi_replica_inspect(msi_station_replica(share->station), &info);
  info_fill(share, &info);
  share->peer = info.peer;
  if (box->broken) collect_whole(share, box, info.peer);
  if (share->mail.count == 0) {
    msi_mailbox_move(&share->mail, box);
    if (share->mail.count == 0) share->breaks = share->mail.breaks;
  }
  share->state_changed |= share->mail.state_changed | box->state_changed;
  share->mail.state_changed = box->state_changed = false;
  if (share->mail.failed) {
    share->failed = true;
    share->error = share->mail.error;
  }
  return true;
}

bool msi_share_has_work(const ms_share *share) {
  return share->notices.count > 0 || share->mail.count > 0 || share->state_changed;
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
    ms_receipt_release(receipt);
    note_refusal(share, popped, refusal, standing);
  }
}

static void settle_unknown(ms_share *share, uint64_t number, const char *why) {
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
    if (mail->rejected[i] > 1) settle_accepted(share, mail->rejected[i] - 1, mail->version);
    settle_refused(share, mail->rejected[i], MS_REJECTED, mail->version, &refusal, NULL);
  }
  settle_accepted(share, mail->number, mail->version);
}

static void settle_mail(ms_share *share, const msi_mail *mail) {
  switch (mail->kind) {
    case MSI_MAIL_ENTRY:
      if (mail->patch.origin != mail->self) break;
      if (mail->entry_kind == MSI_ENTRY_PATCH) {
        settle_accepted(share, mail->patch.number, mail->version);
      } else if (mail->entry_kind == MSI_ENTRY_REJECT && mail->refusal != NULL) {
        const ms_path *path = mail->refusal->path;
        const ms_value *standing = path == NULL ? NULL : ms_path_find(path, mail->root);
        settle_refused(share, mail->patch.number, MS_REJECTED, mail->version, mail->refusal,
                       standing);
      }
      break;
    case MSI_MAIL_MELTED:
      for (size_t i = 0; i < mail->settled_count; i++) {
        settle_accepted(share, mail->settled[i].number, mail->settled[i].version);
      }
      break;
    case MSI_MAIL_ROOT: settle_by_root(share, mail); break;
    case MSI_MAIL_UNKNOWN:
      settle_unknown(share, mail->number, "the group ended before a decision was heard");
      break;
  }
}

static void delivery_of(const msi_mail *mail, msi_entry *entry, msi_delivery *out) {
  memset(out, 0, sizeof *out);
  out->root = mail->root;
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
static void note_change(ms_share *share, const msi_mail *mail, msi_view_step *step) {
  if (step->effect == MSI_VIEW_NONE || msi_hooks_count(share->hooks) == 0) return;
  msi_notice notice = {.kind = MSI_NOTICE_CHANGE,
                       .change = MS_CHANGE_SET,
                       .old_root = ms_value_retain(step->old_root),
                       .new_root = ms_value_retain(msi_view_root(share->view)),
                       .version = mail->version};
  if (mail->kind == MSI_MAIL_ENTRY) {
    notice.origin = mail->patch.origin;
    notice.wall_ms = mail->patch.wall_ms;
    notice.is_local = mail->patch.origin == mail->self;
  }
  if (step->effect == MSI_VIEW_ROLLBACK) notice.change = MS_CHANGE_ROLLBACK;
  if (mail->kind == MSI_MAIL_ROOT) notice.change = MS_CHANGE_JOIN;
  /* With own patches pending an entry may also change what they do: look everywhere. */
  if (step->effect == MSI_VIEW_CHANGED && mail->kind == MSI_MAIL_ENTRY &&
      msi_view_pending(share->view) == 0) {
    notice.update = ms_update_retain(mail->patch.update);
  }
  msi_notices_add(&share->notices, &notice);
}

bool msi_share_take(ms_share *share) {
  msi_mail *mail = msi_mailbox_first(&share->mail);
  if (mail == NULL) return false;
  if (msi_notices_reserve(&share->notices, 1) != MS_OK) return false;
  msi_entry entry;
  msi_delivery delivery;
  msi_view_step step = {0};
  delivery_of(mail, &entry, &delivery);
  if (msi_view_take(share->view, mail->self, &delivery, &step) != MS_OK) return false;
  note_change(share, mail, &step);
  settle_mail(share, mail);
  ms_value_release(step.old_root);
  ms_update_release(step.settled_update);
  msi_mailbox_pop(&share->mail);
  if (share->mail.count == 0) share->breaks = share->mail.breaks;
  if (share->defaults_due && msi_view_root(share->view) != NULL) msi_share_merge_defaults(share);
  return true;
}

bool msi_share_tell(ms_share *share) {
  if (share->state_changed) {
    share->state_changed = false;
    msi_share_tell_state(share);
    return true;
  }
  msi_notice notice;
  if (!msi_notices_take(&share->notices, &notice)) return msi_share_take(share);
  msi_share_tell_notice(share, &notice);
  msi_notice_fini(&notice, share->runtime->alloc);
  return true;
}

bool msi_share_make_room(ms_share *share) {
  uint64_t until = uv_hrtime() + (uint64_t)share->config.write_timeout_ms * 1000000;
  for (;;) {
    while (share->receipts.count >= share->config.max_queue && msi_share_take(share)) continue;
    if (share->receipts.count < share->config.max_queue) return true;
    uint64_t now = uv_hrtime();
    int64_t left = now >= until ? 0 : (int64_t)((until - now) / 1000000) + 1;
    msi_runtime_turn(share->runtime, left);
    while (share->receipts.count >= share->config.max_queue && msi_share_take(share)) continue;
    if (share->receipts.count < share->config.max_queue) return true;
    if (left == 0) return false;
  }
}

/* ------------------------------------------------------------------- looking */

void ms_share_inspect(const ms_share *share, ms_share_info *info) {
  ms_share_info full = share->last;
  if (share->station != NULL && msi_runtime_guard(share->runtime) == MS_OK) {
    msi_driver_visit(share->runtime->driver);
    msi_replica_info now;
    msi_replica_inspect(msi_station_replica(share->station), &now);
    msi_driver_depart(share->runtime->driver, MSI_DEPART_QUIET);
    info_fill((ms_share *)(uintptr_t)share, &now);
    full = share->last;
  }
  if (share->phase == MSI_PHASE_CLOSED) full.state = MS_SHARE_CLOSED;
  full.version = msi_view_version(share->view);
  full.pending = share->receipts.count;
  full.submitted = share->submitted;
  full.accepted = share->accepted;
  full.rejected = share->rejected;
  full.unknown = share->unknown;
  const ms_value *root = ms_share_root(share);
  full.document_bytes = root == NULL ? 0 : ms_value_bytes(root);
  ms_value_release(root);
  full.bytes = info->bytes;
  memcpy(info, &full, info->bytes < sizeof full ? info->bytes : sizeof full);
}

const char *ms_share_name(const ms_share *share) {
  return share->name;
}

ms_status ms_share_peers(ms_share *share, ms_peer_fn fn, void *ud) {
  ms_status status = msi_runtime_guard(share->runtime);
  if (status != MS_OK) return status;
  if (share->station == NULL) return MS_ECLOSED;
  msi_driver_visit(share->runtime->driver);
  msi_replica_peers(msi_station_replica(share->station), fn, ud);
  msi_driver_depart(share->runtime->driver, MSI_DEPART_QUIET);
  return MS_OK;
}

/* -------------------------------------------------------------------- waiting */

static bool receipt_is_settled(void *ud) {
  const ms_receipt *receipt = ud;
  return receipt->state != MS_PENDING || receipt->share == NULL;
}

ms_status ms_receipt_wait(ms_receipt *receipt, int timeout_ms, ms_error *error) {
  if (!receipt_is_settled(receipt)) {
    ms_runtime *runtime = receipt->share->runtime;
    ms_status status = msi_runtime_may_poll(runtime, error);
    if (status != MS_OK) return status;
    ms_receipt_retain(receipt);
    status = msi_runtime_wait(runtime, timeout_ms, receipt_is_settled, receipt);
    bool settled = receipt_is_settled(receipt);
    ms_receipt_release(receipt);
    if (!settled) {
      return msi_fail(error, status, "the patch was not settled in %d ms", timeout_ms);
    }
  }
  switch (receipt->state) {
    case MS_ACCEPTED: return MS_OK;
    case MS_REJECTED:
    case MS_UNKNOWN:
      return msi_fail(error, receipt->refusal.status, "%s", receipt->refusal.message);
    case MS_PENDING: break;
  }
  return msi_fail(error, MS_ECLOSED, "the share was closed before the patch was settled");
}

static bool share_is_flushed(void *ud) {
  const ms_share *share = ud;
  return share->receipts.count == 0 || share->phase != MSI_PHASE_STARTED;
}

ms_status ms_share_flush(ms_share *share, int timeout_ms, ms_error *error) {
  ms_status status = msi_runtime_may_poll(share->runtime, error);
  if (status != MS_OK) return status;
  if (share->phase != MSI_PHASE_STARTED) return msi_fail(error, MS_ECLOSED, "share is not open");
  status = msi_runtime_wait(share->runtime, timeout_ms, share_is_flushed, share);
  if (status == MS_OK) return MS_OK;
  return msi_fail(error, status, "%zu patches were not settled in %d ms", share->receipts.count,
                  timeout_ms);
}

typedef struct sync_wait {
  ms_share *share;
  uint64_t token;
} sync_wait;

/* The answer counts once everything delivered before it is in the view. */
static bool sync_is_done(void *ud) {
  const sync_wait *wait = ud;
  const ms_share *share = wait->share;
  return share->phase != MSI_PHASE_STARTED ||
         (share->mail.synced >= wait->token && share->mail.count == 0);
}

ms_status ms_share_sync(ms_share *share, int timeout_ms, ms_error *error) {
  ms_status status = msi_runtime_may_poll(share->runtime, error);
  if (status != MS_OK) return status;
  if (share->phase != MSI_PHASE_STARTED) return msi_fail(error, MS_ECLOSED, "share is not open");
  sync_wait wait = {.share = share, .token = ++share->sync_token};
  msi_driver_visit(share->runtime->driver);
  status = msi_station_sync(share->station, wait.token);
  msi_driver_depart(share->runtime->driver, MSI_DEPART_CHANGED);
  if (status == MS_OK) {
    status = msi_runtime_wait(share->runtime, timeout_ms, sync_is_done, &wait);
  }
  if (status == MS_OK) return MS_OK;
  return msi_fail(error, status, "the host did not answer in %d ms", timeout_ms);
}
