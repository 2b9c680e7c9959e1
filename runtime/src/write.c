/*
 * Writing: from a call to a patch. An update is compiled, applied to the view (so that its errors are
 * the caller's), handed to the replica, and only then does the view change: a refusal at any step
 * leaves everything as it was.
 */
#include "lease.h"

enum { STALE_TRIES = 8 };

ms_status msi_share_may_write(const ms_share *share, ms_error *error) {
  ms_status status = msi_share_guard(share);
  if (status != MS_OK) return msi_fail(error, status, "%s", ms_status_text(status));
  if (share->phase == MSI_PHASE_CLOSED) {
    return msi_fail(error, MS_ECLOSED, "share \"%s\" is closed", share->name);
  }
  if (share->failed) return msi_fail(error, MS_ECLOSED, "%s", share->error.message);
  if (share->config.readonly) {
    return msi_fail(error, MS_EREADONLY, "share \"%s\" was opened read-only",
                    share->name);
  }
  if (share->transaction != NULL) {
    return msi_fail(error, MS_EBUSY, "a transaction is open: write to its draft");
  }
  if (msi_share_root(share) == NULL) {
    return msi_fail(error, MS_ENOHOST, "share \"%s\" has no complete replica yet",
                    share->name);
  }
  return MS_OK;
}

/* ---------------------------------------------------------------- submitting */

/* Callbacks hear of own writes at the next poll. After a reserve. */
static void note_own(ms_share *share, ms_update *update, const ms_value *old_root,
                     const ms_value *new_root, int64_t wall_ms) {
  if (old_root == new_root || msi_hooks_count(share->hooks) == 0) return;
  msi_notice notice = {.kind = MSI_NOTICE_CHANGE,
                       .change = MS_CHANGE_SET,
                       .old_root = ms_value_retain(old_root),
                       .new_root = ms_value_retain(new_root),
                       .update = ms_update_retain(update),
                       .origin = share->peer,
                       .wall_ms = wall_ms,
                       .is_local = true,
                       .listeners = share->sub_count,
                       .round = msi_runtime_round(share->runtime)};
  msi_notices_add(&share->notices, &notice);
  msi_driver_notice(share->runtime->driver);
}

/* A snapshot, or the end of a group, waits in the mailbox: what is based on the present view would mean
 * another document. On the loop side. */
static bool view_is_stale(const ms_share *share) {
  return msi_station_mailbox(share->station)->breaks != share->breaks;
}

static ms_status submit_visit(ms_share *share, const msi_view_trial *trial,
                              msi_reads *reads, int64_t wall_ms, uint64_t *number,
                              msi_departure *departure) {
  uint64_t base = msi_view_version(share->view);
  if (reads != NULL) {
    return msi_station_transact(share->station, base, wall_ms, trial->update, reads,
                                number, departure);
  }
  return msi_station_submit(share->station, base, wall_ms, trial->update,
                            msi_view_root(share->view),
                            trial->is_dormant ? NULL : trial->root, number, departure);
}

/* The part that the replica may refuse. MS_EVERSION: the view was stale. */
static ms_status submit_trial(ms_share *share, const msi_view_trial *trial,
                              msi_reads *reads, int64_t wall_ms, ms_receipt *receipt,
                              ms_error *error) {
  uint64_t number = 0;
  msi_departure departure;
  msi_driver_visit(share->runtime->driver);
  if (view_is_stale(share)) {
    msi_driver_depart(share->runtime->driver, MSI_DEPART_QUIET);
    return MS_EVERSION;
  }
  ms_status status = submit_visit(share, trial, reads, wall_ms, &number, &departure);
  msi_driver_depart(share->runtime->driver, departure);
  if (status != MS_OK) return msi_fail(error, status, "%s", ms_status_text(status));
  note_own(share, trial->update, msi_view_root(share->view), trial->root, wall_ms);
  bool is_changed = trial->root != msi_view_root(share->view);
  msi_view_add(share->view, number, trial, wall_ms);
  if (is_changed) msi_share_changed(share, true);
  msi_receipts_push(&share->receipts, number, receipt);
  share->submitted++;
  return MS_OK;
}

static ms_status submit_reserve(ms_share *share, ms_error *error) {
  ms_status status = msi_view_reserve(share->view);
  if (status == MS_OK) status = msi_receipts_reserve(&share->receipts);
  if (status == MS_OK) status = msi_notices_reserve(&share->notices, 1);
  if (status != MS_OK) return msi_fail(error, status, "out of memory");
  return MS_OK;
}

/* What waits to be told counts too: a writer that never polls finds the end of its queue. */
static bool share_has_room(const ms_share *share) {
  return share->receipts.count + share->refusals < share->config.max_queue;
}

/* Take deliveries, without callbacks, until there is room. */
static bool share_make_room(ms_share *share) {
  if (share->config.write_timeout_ms == 0) return false;
  uint64_t deadline = msi_deadline_after(share->config.write_timeout_ms);
  for (;;) {
    while (!share_has_room(share) && msi_share_take(share)) continue;
    if (share_has_room(share)) return true;
    bool may_come = share->mail.count == 0 && share->refusals < share->config.max_queue;
    if (!may_come || uv_hrtime() >= deadline) return false;
    msi_runtime_fetch(share->runtime, deadline);
  }
}

static ms_status check_size(const ms_share *share, const ms_update *update,
                            ms_error *error) {
  if (update->wire_bytes <= share->config.max_patch) return MS_OK;
  return msi_fail(error, MS_ELIMIT, "patch of %zu bytes, max_patch is %zu",
                  update->wire_bytes, share->config.max_patch);
}

/* Of many writes in a row: nothing refuses the patch, so the view may change at once and in place. False:
 * the long way. */
static bool submit_in_row(ms_share *share, const ms_update *update, int64_t wall_ms,
                          ms_receipt *receipt, ms_status *status, ms_error *error) {
  if (!msi_update_is_plain(update) || msi_hooks_count(share->hooks) > 0) return false;
  msi_departure departure = MSI_DEPART_QUIET;
  msi_view_trial trial = {.update = (ms_update *)(uintptr_t)update};
  uint64_t number = 0;
  msi_driver_visit(share->runtime->driver);
  bool fits = !view_is_stale(share) && msi_station_takes_later(share->station, update);
  if (fits) *status = msi_view_change(share->view, update, wall_ms, error);
  if (fits && *status == MS_OK) {
    uint64_t base = msi_view_version(share->view);
    *status = msi_station_submit_later(share->station, base, wall_ms, trial.update,
                                       &number, &departure);
    MSI_ASSERT(*status == MS_OK);
  }
  msi_driver_depart(share->runtime->driver, departure);
  if (!fits || *status != MS_OK) return fits;
  trial.root = msi_view_root(share->view);
  msi_view_add(share->view, number, &trial, wall_ms);
  msi_share_changed(share, true);
  msi_receipts_push(&share->receipts, number, receipt);
  share->submitted++;
  return true;
}

static ms_status submit_to_view(ms_share *share, const ms_update *update, int64_t wall_ms,
                                ms_receipt *receipt, ms_error *error) {
  ms_status sized = check_size(share, update, error);
  if (sized != MS_OK) return sized;
  if (!share_has_room(share) && !share_make_room(share)) {
    return msi_fail(error, MS_EBUSY,
                    "%zu patches are not settled, %zu refusals not told yet",
                    share->receipts.count, share->refusals);
  }
  if (wall_ms == 0) wall_ms = msi_runtime_wall_ms(share->runtime);
  for (int i = 0; i < STALE_TRIES; i++) {
    ms_status status = submit_reserve(share, error);
    if (status != MS_OK) return status;
    if (submit_in_row(share, update, wall_ms, receipt, &status, error)) return status;
    msi_view_trial trial;
    status = msi_view_try(share->view, update, wall_ms, &trial, error);
    if (status != MS_OK) return status;
    status = submit_trial(share, &trial, NULL, wall_ms, receipt, error);
    msi_view_trial_fini(&trial);
    if (status != MS_EVERSION) return status;
    while (msi_share_take(share)) continue;
    msi_runtime_fetch(share->runtime, 0);
    while (msi_share_take(share)) continue;
  }
  return msi_fail(error, MS_ENOHOST, "the share changes its group");
}

ms_status msi_share_submit(ms_share *share, const ms_update *update, int64_t wall_ms,
                           ms_receipt **receipt, ms_error *error) {
  ms_status status = msi_share_may_write(share, error);
  if (status != MS_OK) return status;
  if (share->batch != NULL) {
    if (receipt != NULL) *receipt = NULL;
    return msi_batch_add(share->batch, update, error);
  }
  if (share->station == NULL) return msi_fail(error, MS_ENOHOST, "share is not started");
  ms_receipt *made = NULL;
  if (receipt != NULL) {
    status = msi_receipt_new(msi_share_alloc(share), share, &made);
    if (status != MS_OK) return msi_fail(error, status, "out of memory");
  }
  ms_update *guarded = NULL;
  status = msi_share_guard_writes(share, update, &guarded, error);
  if (status == MS_OK) status = submit_to_view(share, guarded, wall_ms, made, error);
  ms_update_release(guarded);
  if (status != MS_OK) {
    ms_receipt_release(made);
    return status;
  }
  if (receipt != NULL) *receipt = made;
  return MS_OK;
}

static ms_status transact_on_view(ms_share *share, const ms_update *update,
                                  msi_reads *reads, int64_t wall_ms, ms_receipt *receipt,
                                  ms_error *error) {
  msi_view_trial trial;
  ms_status status = check_size(share, update, error);
  if (status == MS_OK) status = submit_reserve(share, error);
  if (status == MS_OK) {
    status = reads == NULL
                 ? msi_view_try(share->view, update, wall_ms, &trial, error)
                 : msi_view_try_hidden(share->view, update, wall_ms, &trial, error);
  }
  if (status != MS_OK) return status;
  status = submit_trial(share, &trial, reads, wall_ms, receipt, error);
  msi_view_trial_fini(&trial);
  return status;
}

ms_status msi_share_transact(ms_share *share, const ms_update *update, msi_reads *reads,
                             uint64_t view_number, int64_t wall_ms, ms_receipt **receipt,
                             ms_error *error) {
  ms_status status = msi_share_may_write(share, error);
  if (status != MS_OK) return status;
  if (share->station == NULL) return msi_fail(error, MS_ENOHOST, "share is not started");
  if (!share_has_room(share) && !share_make_room(share)) {
    return msi_fail(error, MS_EBUSY,
                    "%zu patches are not settled, %zu refusals not told yet",
                    share->receipts.count, share->refusals);
  }
  ms_receipt *made = NULL;
  status = msi_receipt_new(msi_share_alloc(share), share, &made);
  if (status != MS_OK) return msi_fail(error, status, "out of memory");
  ms_update *guarded = NULL;
  status = msi_share_guard_writes(share, update, &guarded, error);
  if (status == MS_OK) {
    status = MS_EVERSION;
    if (msi_view_number(share->view) == view_number)
      status = transact_on_view(share, guarded, reads, wall_ms, made, error);
  }
  ms_update_release(guarded);
  if (status == MS_EVERSION) {
    status = msi_fail(error, MS_ECONFLICT, "the view changed during the transaction");
  }
  if (status != MS_OK) {
    ms_receipt_release(made);
    return status;
  }
  *receipt = made;
  return MS_OK;
}

ms_status ms_share_update(ms_share *share, const ms_update *update, ms_receipt **receipt,
                          ms_error *error) {
  return msi_share_submit(share, update, 0, receipt, error);
}

/* Submits what was compiled and gives it back. */
static ms_status submit_taken(ms_share *share, ms_status compiled, ms_update *update,
                              int64_t wall_ms, ms_receipt **receipt, ms_error *error) {
  if (compiled != MS_OK) return compiled;
  ms_status status = msi_share_submit(share, update, wall_ms, receipt, error);
  ms_update_release(update);
  return status;
}

ms_status ms_share_patch(ms_share *share, const ms_value *document,
                         const ms_update_options *options, ms_receipt **receipt,
                         ms_error *error) {
  ms_update *update = NULL;
  ms_status status =
      ms_update_parse(msi_share_alloc(share), document, options, &update, error);
  return submit_taken(share, status, update, 0, receipt, error);
}

ms_status ms_share_replace(ms_share *share, const ms_value *document,
                           ms_receipt **receipt, ms_error *error) {
  ms_update *update = NULL;
  ms_status status = msi_update_replace(msi_share_alloc(share), document, &update, error);
  return submit_taken(share, status, update, 0, receipt, error);
}

/* -------------------------------------------------------------- single writes */

void ms_write_init(ms_write *write) {
  *write = (ms_write){
      .bytes = sizeof *write, .op = MS_OP_SET, .container = MS_NULL, .ttl_ms = -1};
}

/* What the operand of an operator that goes into a list by position says. MS_EARGUMENT. */
static ms_status read_index(const ms_value *operand, const char *wanted, size_t *out,
                            ms_error *error) {
  int64_t index;
  if (operand == NULL || ms_value_to_int(operand, &index) != MS_OK || index < 0) {
    return msi_fail(error, MS_EARGUMENT, "the operand is %s", wanted);
  }
  *out = msi_index_size(index);
  return MS_OK;
}

static ms_status compile_insert(const ms_alloc *alloc, const ms_write *write,
                                ms_update **out, ms_error *error) {
  static const char wanted[] = "[index from 0, element]";
  const ms_value *operand = write->operand;
  size_t index = 0;
  if (operand == NULL || ms_value_type(operand) != MS_ARRAY ||
      ms_value_count(operand) != 2) {
    return msi_fail(error, MS_EARGUMENT, "the operand is %s", wanted);
  }
  ms_status status = read_index(ms_value_at(operand, 0), wanted, &index, error);
  if (status != MS_OK) return status;
  return msi_update_insert(alloc, write->path, index, ms_value_at(operand, 1),
                           write->container, out, error);
}

static ms_status compile_remove(const ms_alloc *alloc, const ms_write *write,
                                ms_update **out, ms_error *error) {
  size_t index = 0;
  ms_status status = read_index(write->operand, "an index from 0", &index, error);
  if (status != MS_OK) return status;
  return msi_update_remove(alloc, write->path, index, out, error);
}

static ms_status compile_operator(const ms_alloc *alloc, const ms_write *write,
                                  ms_update **out, ms_error *error) {
  static const msi_code codes[] = {
      [MS_OP_SET] = MSI_CODE_SET,
      [MS_OP_UNSET] = MSI_CODE_UNSET,
      [MS_OP_INC] = MSI_CODE_INC,
      [MS_OP_PUSH] = MSI_CODE_PUSH,
      [MS_OP_MUL] = MSI_CODE_MUL,
      [MS_OP_MIN] = MSI_CODE_MIN,
      [MS_OP_MAX] = MSI_CODE_MAX,
      [MS_OP_PULL] = MSI_CODE_PULL,
      [MS_OP_POP] = MSI_CODE_POP,
      [MS_OP_ADD_TO_SET] = MSI_CODE_ADD_TO_SET,
      [MS_OP_CURRENT_DATE] = MSI_CODE_CURRENT_DATE,
  };
  if (write->bytes != sizeof *write || write->path == NULL) {
    return msi_fail(error, MS_EARGUMENT, "use ms_write_init(), and give it a path");
  }
  bool needs_none = write->op == MS_OP_UNSET || write->op == MS_OP_CURRENT_DATE;
  if (write->operand == NULL && !needs_none)
    return msi_fail(error, MS_EARGUMENT, "the operator needs an operand");
  switch (write->op) {
    case MS_OP_INSERT: return compile_insert(alloc, write, out, error);
    case MS_OP_REMOVE: return compile_remove(alloc, write, out, error);
    case MS_OP_SET:
    case MS_OP_UNSET:
    case MS_OP_INC:
    case MS_OP_PUSH:
    case MS_OP_MUL:
    case MS_OP_MIN:
    case MS_OP_MAX:
    case MS_OP_PULL:
    case MS_OP_ADD_TO_SET:
    case MS_OP_CURRENT_DATE:
    case MS_OP_POP: break;
    default:
      return msi_fail(error, MS_EARGUMENT, "unknown operator number %d", (int)write->op);
  }
  return (write->guards_list ? msi_update_single : msi_update_assign)(
      alloc, codes[write->op], write->path, write->operand, write->container, out, error);
}

/* The assignment, and how long it stays. */
static ms_status compile_limited(const ms_alloc *alloc, const ms_write *write,
                                 ms_update **out, ms_error *error) {
  ms_update *parts[2] = {NULL, NULL};
  if (write->op != MS_OP_SET)
    return msi_fail(error, MS_EARGUMENT, "ttl_ms: of MS_OP_SET alone");
  ms_status status = compile_operator(alloc, write, &parts[0], error);
  if (status == MS_OK) {
    status =
        msi_update_ttl(alloc, write->path, (uint64_t)write->ttl_ms, &parts[1], error);
  }
  if (status == MS_OK) {
    status = msi_update_concat(alloc, (const ms_update *const *)parts, 2, out);
    if (status != MS_OK) msi_fail(error, status, "%s", ms_status_text(status));
  }
  ms_update_release(parts[0]);
  ms_update_release(parts[1]);
  return status;
}

ms_status msi_write_compile(const ms_alloc *alloc, const ms_write *write, ms_update **out,
                            ms_error *error) {
  if (write->bytes == sizeof *write && write->path != NULL && write->ttl_ms >= 0)
    return compile_limited(alloc, write, out, error);
  return compile_operator(alloc, write, out, error);
}

ms_status ms_share_write(ms_share *share, const ms_write *write, ms_receipt **receipt,
                         ms_error *error) {
  ms_update *update = NULL;
  ms_status status = msi_share_guard(share); /* before its tables are looked at */
  if (status == MS_OK) status = msi_recent_build(&share->recent, write, &update);
  if (status != MS_OK) return msi_fail(error, status, "%s", ms_status_text(status));
  if (update == NULL) {
    status = msi_write_compile(msi_share_alloc(share), write, &update, error);
    if (status == MS_OK) msi_recent_note(&share->recent, write, update);
  }
  return submit_taken(share, status, update, write->wall_ms, receipt, error);
}

int64_t ms_share_wall_ms(const ms_share *share) {
  if (share->transaction != NULL) return msi_transaction_wall_ms(share->transaction);
  return share->batch != NULL ? share->batch->draft.wall_ms
                              : msi_runtime_wall_ms(share->runtime);
}

/* ------------------------------------------------------------ merged defaults */

static ms_status defaults_write(ms_share *share, ms_error *error) {
  const ms_value *root = msi_view_root(share->view);
  ms_cursor cursor;
  const char *key;
  size_t length;
  const ms_value *value;
  ms_status status = MS_OK;
  ms_cursor_init(&cursor, share->config.defaults);
  while (status == MS_OK && ms_cursor_next(&cursor, &key, &length, &value)) {
    if (ms_value_get(root, key, length) != NULL) continue;
    ms_path *path = NULL;
    ms_key keys[1] = {{.bytes = key, .length = length}};
    status = ms_path_new(msi_share_alloc(share), keys, 1, &path, error);
    if (status != MS_OK) break;
    status = ms_share_set_at(share, path, value, NULL, error);
    ms_path_release(path);
  }
  return status;
}

/* One patch that adds the top-level keys that are missing. */
void msi_share_merge_defaults(ms_share *share) {
  if (share->batch != NULL || share->transaction != NULL) return; /* the next time */
  share->defaults_due = false;
  if (share->config.defaults == NULL || share->config.readonly) return;
  ms_batch *batch = NULL;
  ms_error error;
  ms_status status = ms_batch_new(share, &batch);
  if (status != MS_OK) msi_fail(&error, status, "%s", ms_status_text(status));
  if (status == MS_OK) status = defaults_write(share, &error);
  if (status == MS_OK) status = ms_batch_commit(batch, NULL, &error);
  ms_batch_free(batch);
  if (status == MS_OK) return;
  share->defaults_due = status == MS_ENOMEM || status == MS_EBUSY || status == MS_ENOHOST;
  msi_runtime_log(share->runtime, MS_LOG_WARNING, "%s: defaults were not merged%s: %s",
                  share->name, share->defaults_due ? " yet" : "", error.message);
}
