/*
 * What must hold. Each group has one history: what was committed or delivered at a version stays the
 * same for ever, whoever speaks of it. The history is applied again here, entry by entry, by the
 * simplest means: every decision is compared with a scan of all that went before.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../conflict_scan.h"
#include "message.h"
#include "sim.h"

#define ULL(number) ((unsigned long long)(number))

const ms_value *sim_check_root(const sim_group *group, uint64_t version) {
  if (version == 0) return group->first_root;
  return version <= group->version_count ? group->versions[version - 1].root : NULL;
}

/* ----- who wrote what */

static const sim_receipt *receipt_find(const sim_world *sim, uint64_t id, uint64_t number,
                                       const sim_proc **writer) {
  for (int i = 0; i < sim->proc_count; i++) {
    const sim_proc *proc = sim->procs[i];
    for (int k = 0; k < proc->id_count; k++) {
      if (proc->ids[k] != id) continue;
      *writer = proc;
      if (number == 0 || number > proc->receipt_count) return NULL;
      return &proc->receipts[number - 1];
    }
  }
  return NULL;
}

uint64_t sim_check_decision(const sim_proc *proc, const sim_group *group, uint64_t number,
                            bool *accepted) {
  for (size_t i = 0; group != NULL && i < group->version_count; i++) {
    const msi_entry *entry = &group->versions[i].entry;
    if (entry->kind != MSI_ENTRY_PATCH && entry->kind != MSI_ENTRY_REJECT) continue;
    if (entry->patch.number != number) continue;
    for (int k = 0; k < proc->id_count; k++) {
      if (entry->patch.origin != proc->ids[k]) continue;
      *accepted = entry->kind == MSI_ENTRY_PATCH;
      return entry->version;
    }
  }
  return 0;
}

/* ----- conflicts, by scanning */

/* As the conflict index has it: what the host decides is nobody's. */
static uint64_t writer_of(const sim_version *version) {
  const msi_entry *entry = &version->entry;
  return entry->kind == MSI_ENTRY_HOUSE ? 0 : entry->patch.origin;
}

static msi_patch patch_of(const sim_version *version) {
  msi_patch patch = version->entry.patch;
  patch.origin = writer_of(version);
  return patch;
}

/* Does the entry do something to the document? */
static bool writes(const sim_version *version) {
  return version->entry.patch.update != NULL;
}

static bool is_newer(const msi_patch *a, const msi_patch *b) {
  if (a->timestamp != b->timestamp) return a->timestamp > b->timestamp;
  return a->origin > b->origin;
}

/* Does the operation lose to what others wrote in between, be it by what moved or by age? */
static bool loses_to_update(const msi_patch *patch, const ms_update *update,
                            const msi_op *op, bool is_standing, const msi_patch *theirs,
                            const ms_update *other) {
  for (uint32_t i = 0; i < other->op_count; i++) {
    if (scan_moved(update, op, &other->ops[i])) return true;
    if (!is_standing && is_newer(theirs, patch) && scan_meets(op, &other->ops[i]))
      return true;
  }
  return false;
}

static bool begins(const ms_path *prefix, const ms_path *path) {
  return ms_path_count(prefix) <= ms_path_count(path) && msi_path_overlaps(prefix, path);
}

/* Does one operation hang on what a rejected update of the same writer was to write? */
static bool hangs_on(const ms_update *update, const msi_op *op,
                     const ms_update *rejected) {
  for (uint32_t i = 0; i < rejected->op_count; i++) {
    const msi_op *lost = &rejected->ops[i];
    if (lost->class_ == MSI_CLASS_GUARD || !msi_path_overlaps(op->path, lost->path))
      continue;
    bool above = begins(op->path, lost->path);
    bool equal = above && begins(lost->path, op->path);
    if (above && (op->code == MSI_CODE_SET || op->code == MSI_CODE_UNSET) &&
        !scan_goes_by_index(update, op)) {
      continue;
    }
    bool is_beyond = op->code == MSI_CODE_MARK && op->operand != ms_value_bool(false);
    if (above && !equal && op->class_ == MSI_CLASS_GUARD && !is_beyond) continue;
    return true;
  }
  return false;
}

/* Did the operation of version `v` go by what others had written since its writer looked? */
static bool is_open(const sim_group *group, uint64_t v, const msi_op *op) {
  const msi_patch theirs = patch_of(&group->versions[v - 1]);
  for (uint64_t w = theirs.base + 1; w < v; w++) {
    const sim_version *other = &group->versions[w - 1];
    if (writes(other) && writer_of(other) != theirs.origin &&
        scan_opens(op, other->update)) {
      return true;
    }
  }
  return false;
}

/* Does the operation meet one of version `v` that came out as not even its writer could know? */
static bool meets_open(const sim_group *group, uint64_t v, const msi_op *op) {
  const ms_update *theirs = group->versions[v - 1].update;
  for (uint32_t k = 0; k < theirs->op_count; k++) {
    if (scan_meets_open(op, &theirs->ops[k]) && is_open(group, v, &theirs->ops[k]))
      return true;
  }
  return false;
}

/* The same of what was read inside of the array. */
static bool reads_meet_open(const sim_group *group, uint64_t v, const msi_reads *reads) {
  const ms_update *theirs = group->versions[v - 1].update;
  for (size_t i = 0; reads != NULL && i < reads->count; i++) {
    for (uint32_t k = 0; k < theirs->op_count; k++) {
      const msi_op *op = &theirs->ops[k];
      if (scan_strictly_begins(op->path, reads->paths[i]) && is_open(group, v, op))
        return true;
    }
  }
  return false;
}

/* The version of what has changed what the patch's transaction read, 0: nothing. */
static uint64_t reads_lose_to(const sim_group *group, const msi_patch *patch,
                              uint64_t version) {
  for (uint64_t v = patch->base + 1; v < version; v++) {
    const sim_version *other = &group->versions[v - 1];
    const msi_patch one = patch_of(other), *theirs = &one;
    if (writes(other) &&
        (scan_reads_changed(patch->reads, patch->origin, other->update, theirs->origin) ||
         reads_meet_open(group, v, patch->reads))) {
      return v;
    }
    if (other->entry.kind == MSI_ENTRY_REJECT && theirs->origin == patch->origin &&
        !other->was_hidden && sim_transaction_hangs_on(patch->reads, other->update)) {
      return v;
    }
  }
  return 0;
}

/* The version of what the patch loses to, 0: nothing. */
static uint64_t loses_to(const sim_group *group, const msi_patch *patch,
                         const ms_update *update, uint64_t version) {
  const ms_value *root = sim_check_root(group, version - 1);
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *op = &update->ops[i];
    if (msi_code_is_of_desk(op->code)) continue;
    const ms_value *standing = ms_path_find(op->path, root);
    bool same = op->code == MSI_CODE_SET && standing != NULL &&
                ms_value_equal(standing, op->operand);
    for (uint64_t v = patch->base + 1; v < version; v++) {
      const sim_version *other = &group->versions[v - 1];
      const msi_patch one = patch_of(other), *theirs = &one;
      bool counts = theirs->origin != patch->origin || scan_is_doubtful(op);
      if (writes(other) && counts &&
          loses_to_update(patch, update, op, same, theirs, other->update)) {
        return v;
      }
      if (writes(other) && (scan_turned(op, other->update) || meets_open(group, v, op))) {
        return v;
      }
      if (other->entry.kind == MSI_ENTRY_REJECT && theirs->origin == patch->origin &&
          !other->was_hidden && hangs_on(update, op, other->update)) {
        return v;
      }
    }
  }
  return 0;
}

/* ----- the history */

/* Timestamps follow causes: the conflict index leans on it. */
static void check_timestamp(sim_proc *proc, const sim_group *group,
                            const msi_patch *patch) {
  for (uint64_t v = 1; v <= patch->base; v++) {
    const msi_entry *seen = &group->versions[v - 1].entry;
    if (seen->kind != MSI_ENTRY_PATCH || seen->patch.timestamp < patch->timestamp)
      continue;
    sim_fail(proc->sim,
             "number %llu is stamped below version %llu, which its writer had seen",
             ULL(patch->number), ULL(v));
  }
}

/* Is the refusal what scanning and applying say? */
static void check_refusal(sim_world *sim, const sim_receipt *receipt,
                          const msi_entry *entry, uint64_t winner, ms_status status,
                          const ms_value *before) {
  ms_status said = entry->refusal.status;
  bool knows_less = sim->weather.no_memory > 0 || sim->weather.index_nodes > 0;
  if (said == MS_ECONDITION && sim_sight_holds(receipt, before)) {
    sim_fail(sim, "version %llu was rejected, but its condition holds",
             ULL(entry->version));
  } else if (said == MS_ECONFLICT && knows_less) {
    /* Without memory, or with little, the index knows less and refuses more. */
  } else if (winner == 0 && status == MS_OK) {
    sim_fail(sim, "version %llu was rejected (%s: %s), but nothing speaks against it",
             ULL(entry->version), ms_status_name(said), entry->refusal.message);
  } else if (said == MS_ECONFLICT ? winner == 0 : said != status) {
    sim_fail(sim, "version %llu was rejected with %s (%s); by scanning: winner %llu, %s",
             ULL(entry->version), ms_status_name(said), entry->refusal.message,
             ULL(winner), ms_status_name(status));
  }
}

static void check_patch(sim_proc *proc, sim_group *group, sim_version *made,
                        const sim_receipt *receipt, const ms_value *before) {
  sim_world *sim = proc->sim;
  const msi_entry *entry = &made->entry;
  msi_patch asked = entry->patch;
  asked.reads = sim_transaction_reads(receipt->reading);
  uint64_t winner = reads_lose_to(group, &asked, entry->version);
  if (winner == 0) winner = loses_to(group, &asked, made->update, entry->version);
  ms_error error = {MS_OK, ""};
  const ms_value *after = NULL;
  bool denied = sim_desk_denies(group->versions[entry->version - 2].desk, &asked,
                                made->update, before);
  bool is_astray = sim_desk_calls_nobody(group, made->update, entry->version);
  if (denied || is_astray) {
    ms_status said = entry->refusal.status;
    bool right = (denied && said == MS_EDENIED) || (is_astray && said == MS_ENOENT);
    if (entry->kind == MSI_ENTRY_PATCH || !right)
      sim_fail(sim, "version %llu should be denied", ULL(entry->version));
    return;
  }
  ms_status status =
      ms_update_apply(made->update, before, entry->patch.wall_ms, &after, &error);
  check_timestamp(proc, group, &entry->patch);
  bool is_against = winner == 0 && status == MS_OK &&
                    sim_desk_is_against(group->versions[entry->version - 2].desk,
                                        made->update, before, after);
  if (is_against && entry->kind == MSI_ENTRY_PATCH)
    sim_fail(sim, "version %llu is against schema or rules", ULL(entry->version));
  if (is_against && entry->refusal.status == MS_EDENIED) {
    sim->report->broken_rules++;
    ms_value_release(after);
    return;
  }
  if (entry->kind == MSI_ENTRY_PATCH) {
    sim_sight_check(sim, receipt, entry->version, before);
    sim_transaction_check(sim, receipt, entry->version, before);
    if (winner != 0) {
      sim_fail(sim, "version %llu was accepted, but loses to %llu", ULL(entry->version),
               ULL(winner));
    } else if (status != MS_OK) {
      sim_fail(sim, "version %llu was accepted, but: %s", ULL(entry->version),
               error.message);
    } else {
      made->root = after;
      return;
    }
  } else {
    check_refusal(sim, receipt, entry, winner, status, before);
  }
  ms_value_release(after);
}

/* Joins and departures of an id before `version`, and its last decided number. */
typedef struct member_past {
  bool joined, retired;
  uint64_t decided;
} member_past;

static member_past past_of(const sim_group *group, uint64_t id, uint64_t version) {
  member_past past = {false, false, 0};
  for (uint64_t v = 1; v < version; v++) {
    const msi_entry *entry = &group->versions[v - 1].entry;
    if (entry->patch.origin != id) continue;
    if (entry->kind == MSI_ENTRY_JOIN) past.joined = true;
    if (entry->kind == MSI_ENTRY_RETIRE) past.retired = true;
    if (entry->kind < MSI_ENTRY_RETIRE) past.decided = entry->patch.number;
  }
  return past;
}

static void check_member(sim_proc *proc, sim_group *group, const msi_entry *entry) {
  sim_world *sim = proc->sim;
  uint64_t id = entry->patch.origin;
  member_past past = past_of(group, id, entry->version);
  if (past.retired || past.joined == (entry->kind == MSI_ENTRY_JOIN)) {
    sim_fail(sim, "version %llu, kind %d: its peer has %sjoined and has %sleft",
             ULL(entry->version), (int)entry->kind, past.joined ? "" : "not ",
             past.retired ? "" : "not ");
  }
  if (entry->kind == MSI_ENTRY_PATCH || entry->kind == MSI_ENTRY_REJECT) {
    if (entry->patch.number != past.decided + 1) {
      sim_fail(sim, "version %llu decides number %llu after %llu", ULL(entry->version),
               ULL(entry->patch.number), ULL(past.decided));
    }
  }
  if (entry->kind != MSI_ENTRY_RETIRE) return;
  for (int i = 0; i < sim->proc_count; i++) {
    const sim_proc *other = sim->procs[i];
    if (other->alive && other->group == group && other->id == id) {
      sim_fail(sim, "version %llu retires peer %d, which lives", ULL(entry->version), i);
    }
  }
}

static void history_tell(const sim_proc *proc, const msi_entry *entry) {
  const sim_proc *writer = NULL;
  (void)receipt_find(proc->sim, entry->patch.origin, 0, &writer);
  int who = writer == NULL ? -1 : writer->index;
  if (entry->kind == MSI_ENTRY_PATCH || entry->kind == MSI_ENTRY_REJECT) {
    sim_tell(proc->sim, proc, "%s number %llu of peer %d: version %llu%s%s",
             entry->kind == MSI_ENTRY_PATCH ? "accepts" : "rejects",
             ULL(entry->patch.number), who, ULL(entry->version),
             entry->kind == MSI_ENTRY_PATCH ? "" : ", ",
             entry->kind == MSI_ENTRY_PATCH ? "" : entry->refusal.message);
  } else if (entry->kind == MSI_ENTRY_HOUSE) {
    sim_tell(proc->sim, proc, "lets something expire or lapse: version %llu",
             ULL(entry->version));
  } else {
    sim_tell(proc->sim, proc, "says that peer %d has %s: version %llu", who,
             entry->kind == MSI_ENTRY_JOIN ? "joined" : "left", ULL(entry->version));
  }
}

static void check_house(sim_proc *proc, sim_group *group, sim_version *made,
                        const ms_value *before) {
  made->update = ms_update_retain(made->entry.patch.update);
  if (ms_update_apply(made->update, before, 0, &made->root, NULL) != MS_OK) abort();
  sim_desk_check_house(proc, group->versions[made->entry.version - 2].desk, &made->entry);
}

static void check_departure(sim_proc *proc, sim_group *group, sim_version *made,
                            const ms_value *before) {
  const msi_entry *entry = &made->entry;
  if (entry->patch.update != NULL) {
    made->update = ms_update_retain(entry->patch.update);
    if (ms_update_apply(made->update, before, 0, &made->root, NULL) != MS_OK) abort();
  }
  sim_desk_check_departure(proc->sim, group->versions[entry->version - 2].desk, entry,
                           before, made->root == NULL ? before : made->root);
}

static void history_append(sim_proc *proc, sim_group *group, const uint8_t *data,
                           size_t bytes) {
  sim_world *sim = proc->sim;
  uint64_t version = group->version_count + 1;
  const ms_value *before = sim_check_root(group, version - 1);
  group->versions = sim_grow(group->versions, &group->version_capacity,
                             group->version_count, sizeof *group->versions);
  sim_version *made = &group->versions[group->version_count];
  ms_error error = {MS_OK, ""};
  memset(made, 0, sizeof *made);
  if (msi_entry_unpack(&sim->alloc, data, bytes, &made->entry, &error) != MS_OK) {
    sim_fail(sim, "version %llu cannot be read: %s", ULL(version), error.message);
    return;
  }
  made->data = malloc(bytes + 1);
  if (made->data == NULL) abort();
  memcpy(made->data, data, bytes);
  made->bytes = bytes;
  group->version_count++;
  const msi_entry *entry = &made->entry;
  sim_note(sim, proc, "history: version, kind", version, (uint64_t)entry->kind);
  sim_note(sim, proc, "... of number, base", entry->patch.number, entry->patch.base);
  history_tell(proc, entry);
  check_member(proc, group, entry);
  made->desk =
      sim_desk_note(sim, version > 1 ? group->versions[version - 2].desk : NULL, entry);
  if (entry->kind == MSI_ENTRY_RETIRE) check_departure(proc, group, made, before);
  if (entry->kind == MSI_ENTRY_HOUSE) check_house(proc, group, made, before);
  if (entry->kind == MSI_ENTRY_PATCH || entry->kind == MSI_ENTRY_REJECT) {
    const sim_proc *writer = NULL;
    const sim_receipt *receipt =
        receipt_find(sim, entry->patch.origin, entry->patch.number, &writer);
    if (receipt == NULL || receipt->base != entry->patch.base) {
      sim_fail(sim, "version %llu: nobody wrote that patch", ULL(version));
    } else {
      if (sim->options.trace) sim_sight_print(receipt);
      made->update = ms_update_retain(receipt->update);
      made->was_hidden = receipt->reading != NULL;
      check_patch(proc, group, made, receipt, before);
    }
  }
  if (made->root == NULL) made->root = ms_value_retain(before);
}

static void history_meet(sim_proc *proc, sim_group *group, uint64_t version,
                         const uint8_t *data, size_t bytes) {
  if (version == group->version_count + 1) {
    history_append(proc, group, data, bytes);
    return;
  }
  const sim_version *known = version >= 1 && version <= group->version_count
                                 ? &group->versions[version - 1]
                                 : NULL;
  if (known == NULL) {
    sim_fail(proc->sim, "peer %d: version %llu, but the history ends at %zu", proc->index,
             ULL(version), group->version_count);
  } else if (known->bytes != bytes || memcmp(known->data, data, bytes) != 0) {
    sim_fail(proc->sim, "peer %d: the history forks at version %llu", proc->index,
             ULL(version));
  }
}

static void check_one_host(sim_proc *proc, sim_group *group, uint64_t term) {
  for (size_t i = 0; i < group->host_count; i++) {
    if (group->hosts[i].term != term) continue;
    if (group->hosts[i].proc != proc->index) {
      sim_fail(proc->sim, "peers %d and %d both commit in term %llu",
               group->hosts[i].proc, proc->index, ULL(term));
    }
    return;
  }
  group->hosts = sim_grow(group->hosts, &group->host_capacity, group->host_count,
                          sizeof *group->hosts);
  group->hosts[group->host_count].term = term;
  group->hosts[group->host_count++].proc = proc->index;
}

void sim_check_committed(sim_proc *proc, uint64_t term, uint64_t version,
                         const uint8_t *data, size_t bytes) {
  check_one_host(proc, proc->group, term);
  history_meet(proc, proc->group, version, data, bytes);
}

void sim_check_sent(sim_proc *proc, const uint8_t *data, size_t bytes) {
  msi_reader in;
  uint64_t number = 0, version = 0;
  size_t fields = 0;
  if (msi_message_open(data, bytes, &in, &number, &fields) != MS_OK) {
    sim_fail(proc->sim, "peer %d sends what is no message", proc->index);
    return;
  }
  if (number != MSI_ENTRY || proc->group == NULL) return;
  if (msi_unpack_uint(&in, &version) != MS_OK || version > proc->group->version_count) {
    sim_fail(proc->sim, "peer %d sends version %llu, which is not accepted", proc->index,
             ULL(version));
    return;
  }
  history_meet(proc, proc->group, version, data, bytes);
}

void sim_check_given_up(sim_proc *proc, const sim_group *stale) {
  sim_world *sim = proc->sim;
  for (int i = 0; i < sim->proc_count && stale != NULL; i++) {
    const sim_proc *other = sim->procs[i];
    if (!other->alive || other->completed != stale) continue;
    /* So far behind that the log has overwritten what it lacks: it counts as incomplete. */
    if (other->delivered < stale->overwritten) continue;
    /* Its host had given it everything and dropped older logs, but it could not read it. */
    if (other->cut_off) continue;
    sim_fail(sim, "peer %d founds a group, but peer %d was complete and lives",
             proc->index, i);
  }
}

void sim_check_suspicion(sim_proc *proc, const sim_proc *host) {
  sim_world *sim = proc->sim;
  if (proc->hung_in_call) return; /* its decision is old, its term is not */
  /* Counted in ticks: the first says little, and each may come half a tick late. */
  uint64_t age = sim->now - proc->group->beat_time, slack = MSI_TICK_NS + MSI_TICK_NS / 2;
  if (age + slack >= sim->weather.host_timeout_ns) return;
  sim_fail(sim, "peer %d replaces peer %d, whose heart beat %llu ms ago", proc->index,
           host->index, ULL((sim->now - proc->group->beat_time) / SIM_MS));
}

/* ----- deliveries */

static void check_unknown(sim_proc *proc) {
  sim_world *sim = proc->sim;
  for (size_t i = proc->settled_count; i < proc->receipt_count; i++) {
    const sim_group *group = proc->receipts[i].group;
    if (group == NULL || group != sim->published) continue;
    if (!sim_group_has_complete(sim, group, proc)) continue;
    member_past past = past_of(group, proc->id, group->version_count + 1);
    bool accepted = false;
    if (past.retired || sim_check_decision(proc, group, i + 1, &accepted) != 0) continue;
    sim_fail(sim, "peer %d: number %zu is called unknown, but its group lives",
             proc->index, i + 1);
  }
}

void sim_check_delivery(sim_proc *proc, const msi_delivery *delivery) {
  sim_world *sim = proc->sim;
  sim_group *group = proc->group;
  if (delivery->kind == MSI_DELIVER_UNKNOWN) check_unknown(proc);
  if (delivery->kind != MSI_DELIVER_ENTRY && delivery->kind != MSI_DELIVER_ROOT) return;
  if (group == NULL) {
    sim_fail(sim, "peer %d delivers without a group", proc->index);
    return;
  }
  if (delivery->kind == MSI_DELIVER_ENTRY) {
    msi_buffer buffer;
    msi_buffer_init(&buffer, &sim->alloc);
    if (msi_entry_pack(&buffer, delivery->entry) != MS_OK) abort();
    history_meet(proc, group, delivery->version, buffer.data, buffer.length);
    msi_buffer_fini(&buffer);
    if (!proc->has_root || delivery->version != proc->delivered + 1 ||
        delivery->entry->version != delivery->version) {
      sim_fail(sim, "peer %d delivers version %llu after %llu", proc->index,
               ULL(delivery->version), ULL(proc->delivered));
    }
  } else if (delivery->version < proc->delivered) {
    sim_fail(sim, "peer %d goes back to version %llu", proc->index,
             ULL(delivery->version));
  }
  const ms_value *root = sim_check_root(group, delivery->version);
  if (!sim->report->failed && (root == NULL || !ms_value_equal(root, delivery->root))) {
    sim_fail(sim, "peer %d has another document at version %llu", proc->index,
             ULL(delivery->version));
  }
  sim_desk_check(proc, group, delivery->version, delivery->desk);
  if (delivery->kind == MSI_DELIVER_ROOT)
    sim_tell(sim, proc, "has a snapshot of version %llu", ULL(delivery->version));
  proc->has_root = true;
  proc->cut_off = false;
  proc->delivered = delivery->version;
}

/* ----- after every event */

void sim_check_proc(sim_proc *proc) {
  sim_world *sim = proc->sim;
  msi_replica_info info;
  if (sim->report->failed) return;
  msi_replica_inspect(proc->replica, &info);
  sim->report->takeovers += info.takeovers - proc->takeovers;
  sim->report->snapshots += info.snapshots - proc->snapshots;
  proc->takeovers = info.takeovers;
  proc->snapshots = info.snapshots;
  const ms_value *root = msi_replica_root(proc->replica);
  if (info.state == MS_SHARE_CLOSED || root == NULL || proc->group == NULL) return;
  if (info.group != proc->group->id || info.version != proc->delivered) {
    sim_fail(sim, "peer %d is at version %llu, its owner heard of %llu", proc->index,
             ULL(info.version), ULL(proc->delivered));
    return;
  }
  const ms_value *wanted = sim_check_root(proc->group, info.version);
  if (wanted == NULL || !ms_value_equal(wanted, root)) {
    sim_fail(sim, "peer %d holds another document at version %llu", proc->index,
             ULL(info.version));
  }
  sim_desk_check(proc, proc->group, info.version, msi_replica_desk(proc->replica));
  if (info.state != MS_SHARE_HOST) return;
  for (int i = 0; i < sim->proc_count; i++) {
    const sim_proc *other = sim->procs[i];
    msi_replica_info theirs;
    if (other == proc || !other->alive || other->in_call || other->group != proc->group)
      continue;
    msi_replica_inspect(other->replica, &theirs);
    if (theirs.state == MS_SHARE_HOST && theirs.term == info.term) {
      sim_fail(sim, "peers %d and %d are both host of term %llu", proc->index, i,
               ULL(info.term));
    }
  }
}

/* The committed document with everything pending that applies, retained. */
static const ms_value *replay(const sim_proc *proc) {
  const ms_value *root =
      ms_value_retain(sim_check_root(proc->view_group, msi_view_version(proc->view)));
  for (size_t i = proc->settled_count; root != NULL && i < proc->receipt_count; i++) {
    const ms_value *next = NULL;
    const sim_receipt *receipt = &proc->receipts[i];
    if (receipt->reading != NULL) continue; /* hidden */
    if (ms_update_apply(receipt->update, root, receipt->wall_ms, &next, NULL) != MS_OK)
      continue;
    ms_value_release(root);
    root = next;
  }
  return root;
}

void sim_check_view(sim_proc *proc) {
  sim_world *sim = proc->sim;
  if (sim->report->failed || proc->view_group == NULL) return;
  size_t pending = proc->receipt_count - proc->settled_count;
  const ms_value *root = replay(proc);
  if (pending != msi_view_pending(proc->view)) {
    sim_fail(sim, "peer %d: the view holds %zu pending patches, not %zu", proc->index,
             msi_view_pending(proc->view), pending);
  } else if (root == NULL || !ms_value_equal(root, msi_view_root(proc->view))) {
    sim_fail(sim,
             "peer %d: the view at version %llu with %zu pending is another document",
             proc->index, ULL(msi_view_version(proc->view)), pending);
  }
  if (msi_view_root(proc->view) != NULL) {
    sim_desk_check(proc, proc->view_group, msi_view_version(proc->view),
                   msi_view_desk(proc->view));
  }
  ms_value_release(root);
}

/* ----- the end */

static const char *state_name(ms_share_state state) {
  static const char *const names[] = {
      [MS_SHARE_NEW] = "new",         [MS_SHARE_JOINING] = "joining",
      [MS_SHARE_WAITING] = "waiting", [MS_SHARE_CLIENT] = "client",
      [MS_SHARE_HOST] = "host",       [MS_SHARE_CLOSED] = "closed"};
  return names[state];
}

const char *sim_check_quiet(sim_world *sim, char *buffer, size_t bytes) {
  int hosts = 0;
  for (int i = 0; i < sim->proc_count; i++) {
    const sim_proc *proc = sim->procs[i];
    msi_replica_info info;
    if (!proc->alive) continue;
    msi_replica_inspect(proc->replica, &info);
    size_t unsettled = proc->receipt_count - proc->settled_count;
    bool placed = info.state == MS_SHARE_HOST || info.state == MS_SHARE_CLIENT;
    if (info.state == MS_SHARE_HOST) hosts++;
    if (placed && proc->group != NULL && proc->group == sim->published &&
        unsettled == 0 && info.pending == 0 &&
        info.version == proc->group->version_count &&
        proc->sync_asked == proc->syncs_done && proc->mail_first == proc->mail_end) {
      continue;
    }
    snprintf(
        buffer, bytes,
        "peer %d: %s of group %d in term %llu at version %llu of %zu, %zu receipts and "
        "%zu patches pending, sync %s",
        i, state_name(info.state), proc->group == NULL ? -1 : (int)proc->group->index,
        ULL(info.term), ULL(info.version),
        proc->group == NULL ? 0 : proc->group->version_count, unsettled, info.pending,
        proc->sync_asked == proc->syncs_done ? "answered" : "open");
    return buffer;
  }
  if (hosts == 1) return NULL;
  snprintf(buffer, bytes, "%d hosts", hosts);
  return buffer;
}

static void check_receipts(sim_world *sim, const sim_proc *proc) {
  for (size_t i = 0; i < proc->settled_count; i++) {
    const sim_receipt *receipt = &proc->receipts[i];
    bool accepted = false;
    if (receipt->state == MS_UNKNOWN || receipt->group != sim->published) continue;
    uint64_t version =
        sim_check_decision(proc, receipt->group, receipt->number, &accepted);
    if (version != receipt->version || accepted != (receipt->state == MS_ACCEPTED)) {
      sim_fail(
          sim, "peer %d: number %llu was called %s at %llu, the history says %s at %llu",
          proc->index, ULL(receipt->number),
          receipt->state == MS_ACCEPTED ? "accepted" : "rejected", ULL(receipt->version),
          accepted ? "accepted" : "not accepted", ULL(version));
    }
  }
}

void sim_check_end(sim_world *sim) {
  for (int i = 0; i < sim->proc_count; i++) check_receipts(sim, sim->procs[i]);
  sim_desk_check_end(sim, sim->published);
  if (!sim->weather.replaces) sim_fold_check(sim, sim->published);
}
