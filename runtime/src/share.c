/*
 * Shares as their owner sees them: configuration, opening and closing, looking, waiting.
 *
 * Who waits polls, and callbacks may close and free the very share: a pin keeps its memory meanwhile.
 */
#include "call.h"
#include "directory.h"
#include "lease.h"

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
  static const char *const NAMES[] = {"new",    "joining", "waiting",
                                      "client", "host",    "closed"};
  return (unsigned)state < sizeof NAMES / sizeof *NAMES ? NAMES[state] : "unknown";
}

/* ----------------------------------------------------------------- lifetime */

static char *copy_text(const ms_alloc *alloc, const char *text) {
  size_t bytes = strlen(text) + 1;
  char *copy = msi_alloc_get(alloc, bytes);
  if (copy != NULL) memcpy(copy, text, bytes);
  return copy;
}

/* The defaults with what the caller's header knows of on top. */
static ms_status config_read(const ms_share_config *config, ms_share_config *out,
                             ms_error *error) {
  ms_share_config_init(out);
  if (config == NULL) return MS_OK;
  size_t bytes = config->bytes; /* fewer: of an older header */
  if (bytes <= sizeof bytes || bytes > sizeof *out) {
    return msi_fail(error, MS_EARGUMENT, "config of %zu bytes: call ms_share_config_init",
                    bytes);
  }
  memcpy(out, config, bytes);
  out->bytes = sizeof *out;
  return MS_OK;
}

static ms_status config_check(const ms_share_config *config, ms_error *error) {
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
    return msi_fail(error, MS_EARGUMENT, "max_patch: 1 to %d bytes, got %zu",
                    MS_PATCH_MAX, config->max_patch);
  }
  if (config->max_queue == 0)
    return msi_fail(error, MS_EARGUMENT, "max_queue: at least 1");
  char roles[MS_ROLES_BYTES];
  ms_status status = msi_roles_read(config->roles, roles, error);
  if (status != MS_OK) return status;
  if (config->validator != NULL &&
      (config->validator->load == NULL || config->validator->check == NULL)) {
    return msi_fail(error, MS_EARGUMENT, "validator: load and check are needed");
  }
  if (config->host_timeout_ms < 100) {
    return msi_fail(error, MS_EARGUMENT, "host_timeout: at least 100 ms, got %d",
                    config->host_timeout_ms);
  }
  return MS_OK;
}

static bool same_dir(const char *a, const char *b) {
  return (a == NULL || b == NULL) ? a == b : strcmp(a, b) == 0;
}

static ms_share *share_find(const ms_runtime *runtime, const char *name,
                            const char *dir) {
  ms_share *share = runtime->shares;
  while (share != NULL &&
         (share->phase == MSI_PHASE_CLOSED || strcmp(share->name, name) != 0 ||
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
  ms_receipt_release(share->transacted);
  msi_notices_fini(&share->notices);
  msi_roster_fini(&share->roster);
  msi_recent_fini(&share->recent);
  msi_known_paths_fini(&share->known);
  msi_gather_fini(&share->gather);
  ms_value_release(share->config.defaults);
  ms_value_release(share->unhandled);
  if (share->dir != NULL) msi_alloc_free(alloc, share->dir, strlen(share->dir) + 1);
  MSI_END_HANDLE(share);
  MSI_FREE(alloc, share);
}

static ms_status share_init(ms_share *share, const ms_share_config *config) {
  const ms_alloc *alloc = share->runtime->alloc;
  msi_mailbox_init(&share->mail, alloc);
  share->mail.grave = &share->runtime->grave;
  msi_receipts_init(&share->receipts, alloc);
  msi_notices_init(&share->notices, alloc);
  msi_roster_init(&share->roster, alloc);
  msi_gather_init(&share->gather, alloc);
  share->config = *config;
  ms_value_retain(config->defaults);
  share->config.dir = NULL;
  share->config.roles = NULL;
  share->config.validator = NULL;
  if (config->validator != NULL) {
    share->validator = *config->validator;
    share->config.validator = &share->validator;
  }
  ms_status status = msi_roles_read(config->roles, share->roles, NULL);
  if (status != MS_OK) return status;
  if (config->dir != NULL) {
    share->dir = copy_text(alloc, config->dir);
    if (share->dir == NULL) return MS_ENOMEM;
    share->config.dir = share->dir;
  }
  status = msi_hooks_new(alloc, &share->hooks);
  if (status != MS_OK) return status;
  return msi_view_new(alloc, config->max_document, &share->view);
}

ms_status ms_share_new(ms_runtime *runtime, const char *name,
                       const ms_share_config *config, ms_share **out, ms_error *error) {
  ms_status status = msi_runtime_guard(runtime);
  if (status != MS_OK) return msi_fail(error, status, "%s", ms_status_text(status));
  ms_share_config whole;
  status = msi_name_check(name, error);
  if (status == MS_OK) status = config_read(config, &whole, error);
  if (status == MS_OK) status = config_check(&whole, error);
  if (status != MS_OK) return status;
  ms_share *share = share_find(runtime, name, whole.dir);
  if (share != NULL) {
    *out = ms_share_retain(share);
    return MS_OK;
  }
  share = MSI_NEW(runtime->alloc, ms_share);
  if (share == NULL) return msi_fail(error, MS_ENOMEM, "out of memory");
  share->word = MSI_WORD_SHARE;
  share->runtime = runtime;
  share->users = share->references = 1;
  snprintf(share->name, sizeof share->name, "%s", name);
  status = share_init(share, &whole);
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
      .grave = &runtime->grave,
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
                  .program = runtime->program,
                  .roles = share->roles,
                  .writers_max = from->max_writers,
                  .validator = from->validator},
      .log = runtime->log,
      .log_ud = runtime->log_ud,
      .log_level = runtime->log_level,
      .clock = runtime->clock,
      .clock_ud = runtime->clock_ud};
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

/* ---------------------------------------------------------------- waiting */

void msi_share_unpin(ms_share *share) {
  share->pins--;
  if (share->pins == 0 && share->references == 0) msi_share_destroy(share);
}

/* Polls until `done`, with the share pinned; it may be gone afterwards. *closed: it was closed. */
static ms_status share_wait(ms_share *share, int timeout_ms, msi_done_fn done, void *ud,
                            bool *closed) {
  ms_runtime *runtime = share->runtime;
  share->pins++;
  ms_status status = msi_runtime_wait(runtime, timeout_ms, done, ud);
  *closed = share->phase != MSI_PHASE_STARTED;
  msi_share_unpin(share);
  return status;
}

static ms_status share_failure(const ms_share *share, ms_error *error) {
  if (error != NULL) *error = share->error;
  return share->error.status;
}

static bool share_is_open(void *ud) {
  const ms_share *share = ud;
  return msi_view_root(share->view) != NULL || share->failed ||
         share->phase == MSI_PHASE_CLOSED;
}

static ms_status share_wait_open(ms_share *share, int timeout_ms, ms_error *error) {
  bool closed;
  char name[MS_NAME_MAX + 1];
  snprintf(name, sizeof name, "%s", share->name);
  ms_status status = share_wait(share, timeout_ms, share_is_open, share, &closed);
  if (closed) return msi_fail(error, MS_ECLOSED, "\"%s\" was closed meanwhile", name);
  if (share->failed) return share_failure(share, error);
  if (status == MS_OK) return MS_OK;
  return msi_fail(error, status, "no host of \"%s\" answered in %d ms", name, timeout_ms);
}

ms_status ms_share_start(ms_share *share, int timeout_ms, ms_error *error) {
  ms_status status = msi_share_guard(share);
  if (status != MS_OK) return msi_fail(error, status, "%s", ms_status_text(status));
  if (share->phase == MSI_PHASE_CLOSED)
    return msi_fail(error, MS_ECLOSED, "share is closed");
  if (share->failed) return share_failure(share, error);
  if (timeout_ms < 0) timeout_ms = share->config.timeout_ms;
  if (timeout_ms != 0 && !share_is_open(share))
    status = msi_runtime_may_poll(share->runtime, error);
  if (status == MS_OK && share->phase == MSI_PHASE_NEW)
    status = share_begin(share, error);
  if (status != MS_OK || timeout_ms == 0) return status;
  return share_wait_open(share, timeout_ms, error);
}

ms_status ms_share_open(ms_runtime *runtime, const char *name,
                        const ms_share_config *config, ms_share **out, ms_error *error) {
  ms_share *share = NULL;
  ms_status status = ms_share_new(runtime, name, config, &share, error);
  if (status != MS_OK) return status;
  MSI_ASSERT(share != NULL);
  ms_share_config whole; /* the share may have been made with another one */
  status = config_read(config, &whole, error);
  if (status == MS_OK) status = ms_share_start(share, whole.timeout_ms, error);
  if (status != MS_OK) {
    ms_share_free(share);
    return status;
  }
  *out = share;
  return MS_OK;
}

/* ------------------------------------------------------------------- leaving */

static bool share_is_settled(void *ud) {
  const ms_share *share = ud;
  return share->receipts.count == 0;
}

/* MS_ETIMEDOUT: own patches were left unsettled. */
static ms_status share_leave(ms_share *share) {
  bool started = share->phase == MSI_PHASE_STARTED;
  msi_share_drop_batch(share);
  msi_share_drop_transaction(share);
  share->phase = MSI_PHASE_CLOSED;
  share->last.state = MS_SHARE_CLOSED;
  share->defaults_due = false;
  msi_share_end_calls(share);
  if (!started) return MS_OK;
  while (msi_share_take(share)) continue; /* or there would be no room for the rest */
  msi_driver_visit(share->runtime->driver);
  msi_share_collect(share);
  msi_station *station = share->station;
  share->station = NULL;
  msi_station_close(station);
  msi_driver_depart(share->runtime->driver, MSI_DEPART_CHANGED);
  share->last.state = MS_SHARE_CLOSED;
  while (msi_share_take(share)) continue;
  if (share_is_settled(share)) return MS_OK;
  msi_share_settle_unknown(share, UINT64_MAX,
                           "the share was closed before the patch was settled");
  return MS_ETIMEDOUT;
}

ms_status ms_share_close(ms_share *share, int timeout_ms) {
  ms_status status = msi_share_guard(share);
  if (status != MS_OK || share->phase == MSI_PHASE_CLOSED) return status;
  if (share->users <= 1) { /* else nothing could poll */
    msi_share_drop_batch(share);
    msi_share_drop_transaction(share);
  }
  share->pins++;
  if (share->phase == MSI_PHASE_STARTED && timeout_ms != 0 &&
      msi_runtime_may_poll(share->runtime, NULL) == MS_OK) {
    status = msi_runtime_wait(share->runtime, timeout_ms, share_is_settled, share);
  } else if (!share_is_settled(share)) {
    status = MS_ETIMEDOUT;
  }
  if (share->users > 0) share->users--;
  if (share->users == 0 && share->phase != MSI_PHASE_CLOSED) status = share_leave(share);
  msi_share_unpin(share);
  return status;
}

void msi_share_destroy(ms_share *share) {
  ms_runtime *runtime = share->runtime;
  msi_share_close_subs(share);
  msi_share_sweep_subs(share);
  msi_share_drop_leases(share);
  msi_share_drop_calls(share);
  msi_driver_visit(runtime->driver);
  ms_share **at = &runtime->shares;
  while (*at != share) at = &(*at)->next;
  *at = share->next;
  msi_driver_depart(runtime->driver, MSI_DEPART_QUIET);
  share_fini(share);
}

void ms_share_free(ms_share *share) {
  if (share == NULL || msi_share_guard(share) != MS_OK) return;
  MSI_ASSERT(share->references > 0);
  share->references--;
  if (share->users > share->references) {
    share->users--;
    if (share->users == 0) (void)share_leave(share);
  }
  if (share->references > 0) return;
  msi_share_close_subs(share);
  if (share->refusals > 0) {
    msi_runtime_log(share->runtime, MS_LOG_WARNING,
                    "%s: nobody heard of %zu patches that were refused or unknown",
                    share->name, share->refusals);
  }
  if (share->runtime->polling) {
    share->runtime->sweep_due = true; /* the poll walks the list of shares */
  } else if (share->pins == 0) {
    msi_share_destroy(share);
  }
}

ms_share *ms_share_retain(ms_share *share) {
  if (msi_share_guard(share) != MS_OK) return NULL;
  share->users++;
  share->references++;
  return share;
}

ms_runtime *ms_share_runtime(const ms_share *share) {
  MSI_ASSERT_HANDLE(share, MSI_WORD_SHARE);
  return share->runtime;
}

/* ------------------------------------------------------------------- looking */

void ms_share_inspect(const ms_share *share, ms_share_info *info) {
  if (msi_share_guard(share) != MS_OK) {
    ms_share_info none = {.bytes = info->bytes, .state = MS_SHARE_CLOSED};
    memcpy(info, &none, info->bytes < sizeof none ? info->bytes : sizeof none);
    return;
  }
  ms_share_info full = share->last;
  if (share->station != NULL) {
    msi_driver_visit(share->runtime->driver);
    msi_replica_info now;
    msi_replica_inspect(msi_station_replica(share->station), &now);
    msi_driver_depart(share->runtime->driver, MSI_DEPART_QUIET);
    msi_share_note_info((ms_share *)(uintptr_t)share, &now);
    full = share->last;
  }
  if (share->phase == MSI_PHASE_CLOSED) full.state = MS_SHARE_CLOSED;
  full.version = msi_view_version(share->view);
  full.pending = share->receipts.count;
  full.submitted = share->submitted;
  full.accepted = share->accepted;
  full.rejected = share->rejected;
  full.unknown = share->unknown;
  full.events_lost = share->mail.events_lost + share->messages_lost;
  const ms_value *root = ms_share_root(share);
  full.document_bytes = root == NULL ? 0 : ms_value_bytes(root);
  ms_value_release(root);
  full.bytes = info->bytes;
  memcpy(info, &full, info->bytes < sizeof full ? info->bytes : sizeof full);
}

const char *ms_share_name(const ms_share *share) {
  MSI_ASSERT_HANDLE(share, MSI_WORD_SHARE);
  return share->name;
}

/* -------------------------------------------------------------- settled, synced */

static bool receipt_is_settled(void *ud) {
  const ms_receipt *receipt = ud;
  return receipt->state != MS_PENDING || receipt->share == NULL;
}

static ms_status receipt_result(const ms_receipt *receipt, ms_error *error) {
  switch (receipt->state) {
    case MS_ACCEPTED: return MS_OK;
    case MS_REJECTED:
    case MS_UNKNOWN:
      return msi_fail(error, receipt->refusal.status, "%s", receipt->refusal.message);
    case MS_PENDING: break;
  }
  return msi_fail(error, MS_ECLOSED, "the share was closed before the patch was settled");
}

ms_status ms_receipt_wait(ms_receipt *receipt, int timeout_ms, ms_error *error) {
  MSI_ASSERT_HANDLE(receipt, MSI_WORD_RECEIPT);
  if (receipt_is_settled(receipt)) return receipt_result(receipt, error);
  ms_runtime *runtime = receipt->share->runtime;
  ms_status status = msi_runtime_may_poll(runtime, error);
  if (status != MS_OK) return status;
  ms_receipt_retain(receipt);
  status = msi_runtime_wait(runtime, timeout_ms, receipt_is_settled, receipt);
  if (status == MS_OK) {
    status = receipt_result(receipt, error);
  } else {
    status = msi_fail(error, status, "the patch was not settled in %d ms", timeout_ms);
  }
  ms_receipt_release(receipt);
  return status;
}

static bool share_is_flushed(void *ud) {
  const ms_share *share = ud;
  return share->receipts.count == 0 || share->phase != MSI_PHASE_STARTED;
}

/* May the share be waited for? */
static ms_status share_may_wait(const ms_share *share, ms_error *error) {
  MSI_ASSERT_HANDLE(share, MSI_WORD_SHARE);
  ms_status status = msi_runtime_may_poll(share->runtime, error);
  if (status != MS_OK) return status;
  if (share->phase == MSI_PHASE_STARTED) return MS_OK;
  return msi_fail(error, MS_ECLOSED, "share \"%s\" is not open", share->name);
}

ms_status ms_share_flush(ms_share *share, int timeout_ms, ms_error *error) {
  ms_status status = share_may_wait(share, error);
  if (status != MS_OK) return status;
  bool closed;
  status = share_wait(share, timeout_ms, share_is_flushed, share, &closed);
  if (closed) return msi_fail(error, MS_ECLOSED, "the share was closed meanwhile");
  if (status == MS_OK) return MS_OK;
  return msi_fail(error, status, "%zu patches were not settled in %d ms",
                  share->receipts.count, timeout_ms);
}

typedef struct match_wait {
  ms_share *share;
  const ms_path *path;
  ms_match_fn fn;
  void *ud;
  bool matches;
} match_wait;

static bool match_is_over(void *ud) {
  match_wait *wait = ud;
  const ms_share *share = wait->share;
  if (share->phase != MSI_PHASE_STARTED || share->failed) return true;
  const ms_value *root = msi_share_root(share);
  if (root == NULL) return false;
  wait->matches = wait->fn(wait->ud, ms_path_find(wait->path, root));
  return wait->matches;
}

ms_status ms_share_wait_for(ms_share *share, const ms_path *path, ms_match_fn fn,
                            void *ud, int timeout_ms, ms_error *error) {
  ms_status status = share_may_wait(share, error);
  if (status != MS_OK) return status;
  if (path == NULL || fn == NULL)
    return msi_fail(error, MS_EARGUMENT, "no path or no function");
  match_wait wait = {.share = share, .path = path, .fn = fn, .ud = ud};
  bool closed;
  status = share_wait(share, timeout_ms, match_is_over, &wait, &closed);
  if (wait.matches) return MS_OK;
  if (closed) return msi_fail(error, MS_ECLOSED, "the share was closed meanwhile");
  if (share->failed) return share_failure(share, error);
  return msi_fail(error, status, "it did not come in %d ms", timeout_ms);
}

typedef struct sync_wait {
  ms_share *share;
  uint64_t token;
} sync_wait;

/* The answer counts once everything delivered before it is in the view. */
static bool share_is_synced(const ms_share *share, uint64_t token) {
  return share->mail.synced >= token && share->mail.count == 0;
}

/* A share that failed is not answered. */
static bool sync_is_done(void *ud) {
  const sync_wait *wait = ud;
  const ms_share *share = wait->share;
  return share->phase != MSI_PHASE_STARTED || share->failed ||
         share_is_synced(share, wait->token);
}

static ms_status sync_ask(ms_share *share, msi_departure departure, uint64_t *token,
                          ms_error *error) {
  msi_driver_visit(share->runtime->driver);
  ms_status status = msi_station_sync(share->station, share->sync_token + 1);
  msi_driver_depart(share->runtime->driver, departure);
  if (status != MS_OK) return msi_fail(error, status, "%s", ms_status_text(status));
  *token = ++share->sync_token;
  return MS_OK;
}

ms_status ms_share_sync(ms_share *share, int timeout_ms, ms_error *error) {
  ms_status status = share_may_wait(share, error);
  if (status != MS_OK) return status;
  sync_wait wait = {.share = share};
  status =
      sync_ask(share, MSI_DEPART_QUIET, &wait.token, error); /* the owner drives next */
  if (status != MS_OK) return status;
  bool closed;
  status = share_wait(share, timeout_ms, sync_is_done, &wait, &closed);
  if (closed) return msi_fail(error, MS_ECLOSED, "the share was closed meanwhile");
  if (status != MS_OK) return msi_fail(error, status, "no answer in %d ms", timeout_ms);
  if (share->mail.synced >= wait.token || !share->failed) return MS_OK;
  return share_failure(share, error);
}

ms_status ms_share_sync_begin(ms_share *share, uint64_t *ticket, ms_error *error) {
  ms_status status = msi_share_guard(share);
  if (status != MS_OK) return msi_fail(error, status, "%s", ms_status_text(status));
  if (share->phase != MSI_PHASE_STARTED)
    return msi_fail(error, MS_ECLOSED, "share \"%s\" is not open", share->name);
  return sync_ask(share, MSI_DEPART_CHANGED, ticket, error);
}

ms_status ms_share_sync_done(const ms_share *share, uint64_t ticket, ms_error *error) {
  ms_status status = msi_share_guard(share);
  if (status != MS_OK) return msi_fail(error, status, "%s", ms_status_text(status));
  if (share->phase != MSI_PHASE_STARTED)
    return msi_fail(error, MS_ECLOSED, "the share was closed meanwhile");
  if (share_is_synced(share, ticket)) return MS_OK;
  if (share->failed) return share_failure(share, error);
  return msi_fail(error, MS_EBUSY, "no answer yet");
}
