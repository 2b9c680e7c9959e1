/*
 * Decisions of a host and their commitment: store in the log, look at the term, and only then install,
 * send and deliver. A host that finds the term raised steps down; its unsettled patches go to the next
 * one.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "replica_state.h"

enum { PATH_TEXT_BYTES = 160 }; /* of a path in a message, which also holds the reason */

/* ------------------------------------------------------------- commitment */

void msi_host_step_down(msi_replica *self, uint64_t now) {
  uint64_t term = self->term;
  msi_replica_log(self, MS_LOG_WARNING, "replaced as host of term %" PRIu64, term);
  msi_host_cut_all(self, false, "this host was replaced");
  self->port.discard(self->port.ud, term);
  self->port.drop_term_lock(self->port.ud, term);
  self->backoff_ns = 0;
  self->retry_at = now;
  msi_replica_enter(self, msi_replica_idle_state(self), self->port.term(self->port.ud),
                    0);
}

bool msi_host_is_current(msi_replica *self, uint64_t now) {
  if (self->port.term(self->port.ud) == self->term) return true;
  msi_host_step_down(self, now);
  return false;
}

/* An entry of a rejection may be longer than the patch: it goes without what makes it long. */
static ms_status entry_pack_bounded(msi_buffer *out, msi_entry *entry) {
  ms_status st = msi_entry_pack(out, entry);
  if (st != MS_OK || out->length <= MSI_FRAME_MAX) return st;
  if (entry->kind != MSI_ENTRY_REJECT) return MS_ELIMIT;
  entry->refusal.path = NULL; /* borrowed here, see msi_host_decide */
  entry->refusal.path_count = 0;
  msi_buffer_clear(out);
  return msi_entry_pack(out, entry);
}

ms_status msi_host_commit(msi_replica *self, uint64_t now, msi_entry *entry,
                          const ms_value *root, const ms_value *desk) {
  bool current = false;
  msi_buffer *out = msi_replica_scratch(self);
  entry->alloc = self->alloc;
  entry->term = self->term;
  entry->version = self->version + 1;
  if (entry->kind == MSI_ENTRY_JOIN) {
    ms_status reserved = msi_members_reserve(&self->members);
    if (reserved != MS_OK) return reserved;
  }
  ms_status st = entry_pack_bounded(out, entry);
  if (st != MS_OK) return st;
  st = self->port.commit(self->port.ud, self->term, entry->version, out->data,
                         out->length, &current);
  if (st != MS_OK) {
    msi_replica_log(self, MS_LOG_ERROR, "entry %" PRIu64 " not stored: %s",
                    entry->version, ms_status_text(st));
    return st;
  }
  if (!current) {
    msi_host_step_down(self, now);
    return MS_ENOHOST;
  }
  msi_replica_install(self, entry, out->data, out->length, root, desk);
  msi_host_send_all(self, out->data, out->length);
  if (!self->founding) msi_replica_deliver_entry(self, entry);
  return MS_OK;
}

ms_status msi_host_join(msi_replica *self, uint64_t now, uint64_t peer, uint64_t number,
                        const msi_member_info *info) {
  msi_entry entry;
  memset(&entry, 0, sizeof entry);
  entry.kind = MSI_ENTRY_JOIN;
  entry.patch.origin = peer;
  entry.patch.number = number;
  entry.patch.wall_ms = self->port.wall_ms(self->port.ud);
  entry.member = *info;
  return msi_host_commit(self, now, &entry, self->root, self->desk);
}

/* The document and the desk after an entry that the host made itself; both retained. */
static ms_status apply_own(msi_replica *self, msi_entry *entry, const ms_value **root,
                           const ms_value **desk) {
  msi_apply context = {self->alloc, entry->patch.wall_ms, 0};
  const ms_value *made = NULL;
  ms_status st = MS_OK;
  if (entry->patch.update == NULL) {
    made = ms_value_retain(self->root);
  } else {
    st = msi_update_apply(&context, entry->patch.update, self->root, &made, NULL, NULL);
  }
  if (st != MS_OK) return st;
  entry->version = self->version + 1;
  st = msi_desk_note(self->alloc, self->desk, entry, desk);
  if (st == MS_OK) {
    *root = made;
  } else {
    ms_value_release(made);
  }
  return st;
}

ms_status msi_host_commit_own(msi_replica *self, uint64_t now, msi_entry *entry) {
  const ms_value *root = NULL, *desk = NULL;
  if (entry->patch.update != NULL) {
    entry->patch.base = self->version;
    entry->patch.timestamp = now > self->clock ? now : self->clock + 1;
  }
  ms_status st = apply_own(self, entry, &root, &desk);
  if (st == MS_OK) st = msi_host_commit(self, now, entry, root, desk);
  ms_value_release(root);
  ms_value_release(desk);
  return st;
}

ms_status msi_host_retire(msi_replica *self, uint64_t now, uint64_t peer) {
  msi_entry entry;
  memset(&entry, 0, sizeof entry);
  entry.kind = MSI_ENTRY_RETIRE;
  entry.patch.origin = peer;
  entry.patch.wall_ms = self->port.wall_ms(self->port.ud);
  ms_status st =
      msi_desk_departure(self->alloc, self->desk, self->root, peer, &entry.patch.update);
  if (st == MS_OK) st = msi_host_commit_own(self, now, &entry);
  ms_update_release(entry.patch.update);
  return st;
}

/* --------------------------------------------------------------- judgement */

static void refuse_conflict(const msi_conflict *conflict, msi_refusal *out) {
  char path[PATH_TEXT_BYTES], name[PATH_TEXT_BYTES + 2] = "the document";
  if (conflict->path != NULL && conflict->path->count > 0) {
    (void)snprintf(name, sizeof name, "\"%s\"",
                   msi_path_print(conflict->path, path, sizeof path));
  }
  out->status = conflict->status;
  out->path = (ms_path *)conflict->path;
  out->winner_version = conflict->winner_version;
  out->winner = conflict->winner;
  out->winner_wall_ms = conflict->winner_wall_ms;
  if (conflict->by_floor) {
    (void)snprintf(out->message, sizeof out->message,
                   "%s: %s on a version too old to compare", name,
                   conflict->by_read ? "read" : "written");
  } else if (conflict->by_read && conflict->winner != 0) {
    (void)snprintf(out->message, sizeof out->message,
                   "%s: changed by peer %" PRIx64 " after it was read", name,
                   conflict->winner);
  } else if (conflict->by_read) {
    (void)snprintf(out->message, sizeof out->message, "%s: changed after it was read",
                   name);
  } else if (conflict->by_dependence) {
    (void)snprintf(out->message, sizeof out->message,
                   "%s: written on top of an own patch that was rejected", name);
  } else if (conflict->winner == 0) {
    (void)snprintf(out->message, sizeof out->message, "%s: has expired", name);
  } else {
    (void)snprintf(out->message, sizeof out->message,
                   "%s: lost to a newer write by peer %" PRIx64, name, conflict->winner);
  }
}

/* What the failed operation was about. */
static ms_path *failed_path(const msi_op *op, const ms_value *root) {
  if (op->code != MSI_CODE_WHERE) return op->path;
  return (ms_path *)(uintptr_t)msi_query_failing(op->query, root); /* may be NULL */
}

static void refuse_readonly(msi_refusal *out) {
  out->status = MS_EREADONLY;
  (void)snprintf(out->message, sizeof out->message, "this peer is read-only");
}

/* Conditions are asked before conflicts are looked for: who compares and sets hears that the
 * comparison failed. Those of a batch that stand behind other operations are asked when these have
 * been applied. */
static bool conditions_hold(const msi_patch *patch, const ms_value *root) {
  const ms_update *update = patch->update;
  msi_meter meter = MSI_METER_FULL;
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *op = &update->ops[i];
    if (op->code == MSI_CODE_MARK) continue;
    if (op->code != MSI_CODE_WHERE) break;
    if (!msi_query_matches(op->query, root, &meter)) return false;
  }
  return true;
}

static ms_status judge_apply(msi_replica *self, const msi_patch *patch,
                             const ms_value **root, msi_refusal *refusal) {
  ms_error error = {MS_OK, ""};
  size_t failed = 0;
  msi_apply context = {self->alloc, patch->wall_ms, self->config.document_bytes_max};
  ms_status st =
      msi_update_apply(&context, patch->update, self->root, root, &failed, &error);
  if (st == MS_OK || st == MS_ENOMEM) return st;
  refusal->status = st;
  if (failed < patch->update->op_count) {
    refusal->path = failed_path(&patch->update->ops[failed], self->root);
  }
  memcpy(refusal->message, error.message, sizeof refusal->message);
  return MS_OK;
}

/*
 * One value in the place of another, where nobody else holds the document: it is changed before the patch
 * is stored, which spares a copy of all containers on the way. `gone` (retained) is what stood there; should
 * the patch not be stored, it is put back, which needs no memory. False: the long way.
 */
static bool change_at_once(msi_replica *self, const msi_patch *patch,
                           const ms_value **gone) {
  const ms_update *update = patch->update;
  if (!msi_value_is_unique(self->root) || !msi_update_is_plain(update) ||
      !msi_update_is_light(update, self->root)) {
    return false;
  }
  const ms_value *old_value =
      ms_path_find(update->ops[update->op_count - 1].path, self->root);
  if (old_value == NULL) return false; /* to take it away again may need memory */
  msi_apply context = {self->alloc, patch->wall_ms, self->config.document_bytes_max};
  (void)ms_value_retain(old_value);
  if (msi_update_change(&context, update, &self->root, NULL) != MS_OK) {
    ms_value_release(old_value);
    return false; /* why is said on the long way */
  }
  *gone = old_value;
  return true;
}

/* What change_at_once did belongs to nobody else yet. */
static void change_back(msi_replica *self, const msi_patch *patch, const ms_value *gone) {
  msi_op op = patch->update->ops[patch->update->op_count - 1];
  ms_update back = *patch->update; /* on loan: it is applied and no more */
  op.operand = gone;
  back.ops = &op;
  back.op_count = 1;
  msi_apply context = {self->alloc, patch->wall_ms, 0};
  ms_status st = msi_update_change(&context, &back, &self->root, NULL);
  MSI_ASSERT(st == MS_OK);
  (void)st;
}

static ms_status refuse(msi_refusal *refusal, ms_status st, const ms_error *error) {
  if (st == MS_OK || st == MS_ENOMEM) return st;
  refusal->status = st;
  memcpy(refusal->message, error->message, sizeof refusal->message);
  return MS_OK;
}

/* Who is called has to be here. */
static ms_status ask_calls(const msi_replica *self, const msi_patch *patch,
                           ms_error *error) {
  const ms_update *update = patch->update;
  for (uint32_t i = 0; i < update->op_count; i++) {
    msi_told told;
    if (update->ops[i].code != MSI_CODE_CALL || !msi_op_told(&update->ops[i], &told) ||
        msi_members_find(&self->members, told.peer) != NULL) {
      continue;
    }
    return msi_fail(error, MS_ENOENT, "call: peer %" PRIx64 " is gone", told.peer);
  }
  return MS_OK;
}

/* May it be, whatever the document holds at its paths? */
static ms_status judge_rights(msi_replica *self, const msi_patch *patch,
                              msi_refusal *refusal) {
  ms_error error = {MS_OK, ""};
  ms_status st = msi_desk_ask(self->desk, patch, &error);
  if (st == MS_OK) st = ask_calls(self, patch, &error);
  if (st == MS_OK) st = msi_desk_ask_presence(self->alloc, self->root, patch, &error);
  const msi_member *member = msi_members_find(&self->members, patch->origin);
  if (st == MS_OK) st = msi_desk_ask_roles(self->desk, patch, &member->info, &error);
  return refuse(refusal, st, &error);
}

/* MS_OK: *desk (retained) is what the entry leads to, or `refusal` says why not. MS_ENOMEM. */
static ms_status judge_desk(msi_replica *self, msi_entry *entry, const ms_value **desk) {
  ms_error error = {MS_OK, ""};
  entry->version = self->version + 1;
  ms_status st = msi_desk_note(self->alloc, self->desk, entry, desk);
  if (st != MS_OK) return st;
  st = msi_desk_limit(self->desk, *desk, &entry->patch, &error);
  return refuse(&entry->refusal, st, &error);
}

/* Does what it leads to fit schema and rules? Else *root is given back, and `refusal` says why not. */
static ms_status judge_rules(msi_replica *self, const msi_patch *patch,
                             const ms_value *desk, const ms_value **root,
                             msi_refusal *refusal) {
  ms_error error = {MS_OK, ""};
  ms_status st = msi_rulebook_ask(&self->rulebook, self->desk, desk, patch, self->root,
                                  *root, &error);
  if (st == MS_OK) return MS_OK;
  ms_value_release(*root);
  *root = NULL;
  return refuse(refusal, st, &error);
}

/* MS_OK: *root and *desk (retained) are what it leads to, or the document has become that already and *gone (retained) is
 * what it held before, or `refusal` says why not. MS_ENOMEM. */
static ms_status patch_judge(msi_replica *self, msi_entry *entry, const msi_patch *patch,
                             const ms_value *root_before, const ms_value *root_after,
                             const ms_value **root, const ms_value **gone,
                             const ms_value **desk) {
  msi_refusal *refusal = &entry->refusal;
  const msi_member *member = msi_members_find(&self->members, patch->origin);
  uint64_t limit = self->config.document_bytes_max;
  if (member->info.readonly) {
    refuse_readonly(refusal);
    return MS_OK;
  }
  ms_status st = judge_rights(self, patch, refusal);
  if (st == MS_OK && refusal->status == MS_OK) st = judge_desk(self, entry, desk);
  if (st != MS_OK || refusal->status != MS_OK) return st;
  if (!conditions_hold(patch, self->root)) {
    return judge_apply(self, patch, root, refusal);
  }
  msi_conflict conflict;
  memset(&conflict, 0, sizeof conflict);
  msi_conflicts_check(self->conflicts, patch, self->root, &conflict);
  if (conflict.status != MS_OK) {
    refuse_conflict(&conflict, refusal);
    return MS_OK;
  }
  bool has_rules = msi_desk_has_rules(*desk);
  if (root_after != NULL && root_before == self->root &&
      (limit == 0 || ms_value_bytes(root_after) <= limit)) {
    *root = ms_value_retain(root_after);
  } else if (!has_rules && change_at_once(self, patch, gone)) {
    return MS_OK;
  } else {
    st = judge_apply(self, patch, root, refusal);
  }
  if (st != MS_OK || refusal->status != MS_OK || !has_rules) return st;
  return judge_rules(self, patch, *desk, root, refusal);
}

/* The written paths of a refused patch, borrowed from its update, in one block. */
static ms_status refusal_list_paths(const msi_replica *self, const ms_update *update,
                                    msi_refusal *refusal) {
  refusal->paths = msi_alloc_get(self->alloc, update->op_count * sizeof(ms_path *));
  if (refusal->paths == NULL) return MS_ENOMEM;
  for (uint32_t i = 0; i < update->op_count; i++) {
    if (update->ops[i].class_ == MSI_CLASS_GUARD) continue;
    refusal->paths[refusal->path_count++] = update->ops[i].path;
  }
  return MS_OK;
}

ms_status msi_host_decide(msi_replica *self, uint64_t now, const msi_patch *patch,
                          const ms_value *root_before, const ms_value *root_after) {
  const ms_update *update = patch->update;
  const ms_value *root = NULL, *gone = NULL, *desk = NULL;
  msi_entry entry; /* borrows everything, so it is not finished with msi_entry_fini */
  memset(&entry, 0, sizeof entry);
  entry.kind = MSI_ENTRY_PATCH;
  entry.patch = *patch;
  entry.patch.reads = NULL; /* they have done their work */
  ms_status st =
      patch_judge(self, &entry, patch, root_before, root_after, &root, &gone, &desk);
  if (st == MS_OK && entry.refusal.status != MS_OK) {
    entry.kind = MSI_ENTRY_REJECT;
    entry.patch.update = NULL;
    /* Nobody has seen what a transaction was to write: nothing was built on it. */
    bool was_shown = patch->reads == NULL && update->op_count > 0;
    if (was_shown) st = refusal_list_paths(self, update, &entry.refusal);
  }
  if (st == MS_OK) {
    st = msi_host_commit(self, now, &entry, root != NULL ? root : self->root,
                         entry.kind == MSI_ENTRY_PATCH ? desk : self->desk);
  }
  if (st != MS_OK && gone != NULL) change_back(self, patch, gone);
  ms_value_release(gone);
  ms_value_release(root);
  ms_value_release(desk);
  if (entry.refusal.paths != NULL) {
    msi_alloc_free(self->alloc, (void *)entry.refusal.paths,
                   update->op_count * sizeof(ms_path *));
  }
  return st;
}

void msi_host_drain(msi_replica *self, uint64_t now) {
  while (self->state == MS_SHARE_HOST && self->pending.count > 0) {
    msi_patch patch = *msi_pending_at(&self->pending, 0);
    msi_patch_retain(&patch); /* its place in the queue goes first */
    patch.origin = self->peer;
    ms_status st = msi_host_decide(self, now, &patch, NULL, NULL);
    msi_patch_release(&patch);
    if (st != MS_OK) return; /* ticks try again; after ENOHOST the next host decides */
  }
}
