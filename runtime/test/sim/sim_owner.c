/*
 * The owner of a replica: a program that polls when it finds the time, takes what its mailbox holds
 * into the view, and writes. It keeps a receipt of every write.
 */
#include <stdlib.h>
#include <string.h>

#include "sim.h"

/* ----- the mailbox */

/* A copy of an entry by way of its bytes. */
static void entry_copy(sim_world *sim, const msi_entry *entry, msi_entry *out) {
  msi_buffer buffer;
  ms_error error = {MS_OK, ""};
  msi_buffer_init(&buffer, &sim->alloc);
  if (msi_entry_pack(&buffer, entry) != MS_OK) abort();
  if (msi_entry_unpack(&sim->alloc, buffer.data, buffer.length, out, &error) != MS_OK) {
    sim_fail(sim, "entry %llu cannot be read back: %s",
             (unsigned long long)entry->version, error.message);
    *out = (msi_entry){.alloc = &sim->alloc, .version = entry->version};
  }
  msi_buffer_fini(&buffer);
}

void sim_owner_deliver(sim_proc *proc, const msi_delivery *delivery) {
  proc->mail =
      sim_grow(proc->mail, &proc->mail_capacity, proc->mail_end, sizeof *proc->mail);
  sim_mail *mail = &proc->mail[proc->mail_end++];
  memset(mail, 0, sizeof *mail);
  mail->delivery = *delivery;
  mail->self = proc->id;
  mail->group = proc->group;
  if (delivery->entry != NULL) {
    entry_copy(proc->sim, delivery->entry, &mail->entry);
  }
  mail->delivery.entry = NULL;
  mail->delivery.error = NULL;
  /* Most entries come without a document, as they do to real owners, so that replica and view change theirs
   * in place. */
  bool is_bare = delivery->kind == MSI_DELIVER_ENTRY && delivery->version % 4 != 0;
  if (!is_bare &&
      (delivery->kind == MSI_DELIVER_ENTRY || delivery->kind == MSI_DELIVER_ROOT)) {
    (void)ms_value_retain(delivery->root);
  } else {
    mail->delivery.root = NULL;
  }
  if (delivery->kind == MSI_DELIVER_ENTRY || delivery->kind == MSI_DELIVER_ROOT) {
    (void)ms_value_retain(delivery->desk);
  } else {
    mail->delivery.desk = NULL;
  }
  if (delivery->kind == MSI_DELIVER_ROOT && delivery->rejected_count > 0) {
    size_t bytes = delivery->rejected_count * sizeof(uint64_t);
    uint64_t *copy = malloc(bytes);
    if (copy == NULL) abort();
    memcpy(copy, delivery->rejected, bytes);
    mail->delivery.rejected = copy;
  } else {
    mail->delivery.rejected = NULL;
    mail->delivery.rejected_count = 0;
  }
}

static void mail_fini(sim_mail *mail) {
  if (mail->entry.alloc != NULL) msi_entry_fini(&mail->entry);
  ms_value_release(mail->delivery.root);
  ms_value_release(mail->delivery.desk);
  free((void *)mail->delivery.rejected);
}

/* ----- receipts */

static sim_receipt *receipt_next(sim_proc *proc) {
  if (proc->settled_count == proc->receipt_count) return NULL;
  return &proc->receipts[proc->settled_count];
}

static void receipt_settle(sim_proc *proc, sim_receipt *receipt, ms_receipt_state state,
                           uint64_t version) {
  sim_report *report = proc->sim->report;
  receipt->state = state;
  receipt->version = version;
  proc->settled_count++;
  if (state == MS_ACCEPTED) report->accepted++;
  if (state == MS_REJECTED) report->rejected++;
  if (state == MS_UNKNOWN) report->unknown++;
  sim_note(proc->sim, proc, "settled number, state", receipt->number, (uint64_t)state);
}

static void settle_by_entry(sim_proc *proc, const msi_entry *entry,
                            const msi_view_step *step) {
  sim_world *sim = proc->sim;
  sim_receipt *receipt = receipt_next(proc);
  if (receipt == NULL || receipt->number != step->number ||
      entry->patch.number != step->number) {
    sim_fail(sim, "peer %d: number %llu was settled out of order", proc->index,
             (unsigned long long)step->number);
    return;
  }
  if (entry->kind == MSI_ENTRY_PATCH) {
    const ms_update *update = entry->patch.update;
    if (update->wire_bytes != receipt->update->wire_bytes ||
        memcmp(update->wire, receipt->update->wire, update->wire_bytes) != 0) {
      sim_fail(sim, "peer %d: number %llu came back changed", proc->index,
               (unsigned long long)step->number);
    }
  }
  receipt_settle(proc, receipt,
                 entry->kind == MSI_ENTRY_PATCH ? MS_ACCEPTED : MS_REJECTED,
                 entry->version);
}

static bool is_rejected(const msi_delivery *delivery, uint64_t number) {
  for (size_t i = 0; i < delivery->rejected_count; i++) {
    if (delivery->rejected[i] == number) return true;
  }
  return false;
}

static void settle_by_root(sim_proc *proc, const sim_mail *mail) {
  const msi_delivery *delivery = &mail->delivery;
  for (sim_receipt *receipt = receipt_next(proc);
       receipt != NULL && receipt->number <= delivery->number;
       receipt = receipt_next(proc)) {
    bool accepted = false;
    bool rejected = is_rejected(delivery, receipt->number);
    uint64_t version = sim_check_decision(proc, mail->group, receipt->number, &accepted);
    if (version == 0 || version > delivery->version || accepted == rejected) {
      sim_fail(
          proc->sim,
          "peer %d: a snapshot of version %llu calls number %llu %s; history: %s at %llu",
          proc->index, (unsigned long long)delivery->version,
          (unsigned long long)receipt->number, rejected ? "rejected" : "accepted",
          accepted ? "accepted" : "not accepted", (unsigned long long)version);
    }
    receipt_settle(proc, receipt, rejected ? MS_REJECTED : MS_ACCEPTED, version);
  }
}

static void settle_unknown(sim_proc *proc, uint64_t number) {
  for (sim_receipt *receipt = receipt_next(proc);
       receipt != NULL && receipt->number <= number; receipt = receipt_next(proc)) {
    receipt_settle(proc, receipt, MS_UNKNOWN, 0);
  }
}

/* ----- taking deliveries */

static void synced(sim_proc *proc, const sim_mail *mail) {
  if (mail->delivery.token != proc->sync_token || proc->sync_asked != proc->sync_token) {
    sim_fail(proc->sim, "peer %d: token %llu was answered, not %llu", proc->index,
             (unsigned long long)mail->delivery.token,
             (unsigned long long)proc->sync_token);
    return;
  }
  proc->syncs_done = proc->sync_token;
  if (proc->sync_group == proc->view_group &&
      msi_view_version(proc->view) < proc->sync_version) {
    sim_fail(proc->sim, "peer %d: synced at version %llu, but %llu was committed before",
             proc->index, (unsigned long long)msi_view_version(proc->view),
             (unsigned long long)proc->sync_version);
  }
}

static void take(sim_proc *proc, sim_mail *mail) {
  sim_world *sim = proc->sim;
  msi_delivery *delivery = &mail->delivery;
  msi_view_step step = {0};
  if (delivery->kind == MSI_DELIVER_SYNCED) synced(proc, mail);
  if (delivery->kind > MSI_DELIVER_UNKNOWN) return;
  if (delivery->kind == MSI_DELIVER_ENTRY) delivery->entry = &mail->entry;
  if (delivery->kind != MSI_DELIVER_UNKNOWN) proc->view_group = mail->group;
  bool wants_old = delivery->kind != MSI_DELIVER_ENTRY || delivery->version % 2 == 0;
  if (msi_view_take(proc->view, mail->self, delivery, wants_old, &step) != MS_OK) abort();
  sim_desk_hear(proc, mail->group, delivery, mail->self);
  if (step.settled) settle_by_entry(proc, &mail->entry, &step);
  if (delivery->kind == MSI_DELIVER_ROOT) settle_by_root(proc, mail);
  if (delivery->kind == MSI_DELIVER_UNKNOWN) settle_unknown(proc, delivery->number);
  const ms_value *root = msi_view_root(proc->view);
  bool same = root == step.old_root || (root != NULL && step.old_root != NULL &&
                                        ms_value_equal(root, step.old_root));
  if (wants_old && same != (step.effect == MSI_VIEW_NONE)) {
    sim_fail(sim, "peer %d: the effect of a step is %d", proc->index, (int)step.effect);
  }
  ms_value_release(step.old_root);
  ms_update_release(step.settled_update);
  sim_check_view(proc);
}

/* ----- writing */

static void read_own_write(sim_proc *proc, const sim_receipt *receipt) {
  const ms_update *update = receipt->update;
  const msi_op *last = &update->ops[update->op_count - 1];
  if (last->code != MSI_CODE_SET || last->selection != NULL) return;
  const ms_value *found = ms_path_find(last->path, msi_view_root(proc->view));
  if (found == NULL || !ms_value_equal(found, last->operand)) {
    sim_fail(proc->sim, "peer %d does not read its own write %llu", proc->index,
             (unsigned long long)receipt->number);
  }
}

static void receipt_fini(sim_receipt *receipt) {
  sim_transaction_free(receipt->reading);
  ms_update_release(receipt->asked);
  ms_update_release(receipt->update);
  free(receipt->sights);
}

static ms_status submit_to_replica(sim_proc *proc, const sim_receipt *receipt,
                                   const msi_view_trial *trial, uint64_t *number) {
  msi_reads *reads = sim_transaction_reads(receipt->reading);
  uint64_t now = sim_clock(proc);
  if (reads != NULL) {
    return msi_replica_transact(proc->replica, now, receipt->base, receipt->wall_ms,
                                trial->update, reads, number);
  }
  return msi_replica_submit(proc->replica, now, receipt->base, receipt->wall_ms,
                            trial->update, msi_view_root(proc->view),
                            trial->is_dormant ? NULL : trial->root, number);
}

/* The reading (NULL: no transaction) is taken. */
static void submit(sim_proc *proc, ms_update *asked, msi_view_trial *trial,
                   sim_reading *reading, int64_t wall_ms) {
  sim_world *sim = proc->sim;
  uint64_t number = 0;
  bool is_dormant = trial->is_dormant;
  if (sim->options.bug == SIM_BUG_DORMANT_SHOWN) trial->is_dormant = false;
  proc->receipts = sim_grow(proc->receipts, &proc->receipt_capacity, proc->receipt_count,
                            sizeof *proc->receipts);
  /* Noted before: a host decides inside the call. */
  sim_receipt *receipt = &proc->receipts[proc->receipt_count++];
  *receipt = (sim_receipt){.number = proc->receipt_count,
                           .base = msi_view_version(proc->view),
                           .group = proc->group,
                           .asked = ms_update_retain(asked),
                           .update = ms_update_retain(trial->update),
                           .reading = reading,
                           .wall_ms = wall_ms,
                           .state = MS_PENDING};
  sim_sight_record(sim, receipt, msi_view_root(proc->view));
  sim_tell(sim, proc, "writes number %llu, which sees version %llu%s:",
           (unsigned long long)receipt->number, (unsigned long long)receipt->base,
           is_dormant ? ", where its condition does not hold" : "");
  if (sim->options.story) sim_sight_print(receipt);
  if (sim->options.story || sim->options.trace) sim_transaction_print(reading);
  if (msi_view_reserve(proc->view) != MS_OK) abort();
  if (!sim_enter(proc)) return;
  ms_status status = submit_to_replica(proc, receipt, trial, &number);
  receipt = &proc->receipts[proc->receipt_count - 1];
  if (status == MS_OK && number != receipt->number) {
    sim_fail(sim, "peer %d: number %llu after %zu", proc->index,
             (unsigned long long)number, proc->receipt_count - 1);
  }
  sim_note(sim, proc, "submits number, status", number, (uint64_t)-status);
  if (status == MS_OK) {
    sim->report->writes++;
    msi_view_add(proc->view, number, trial, wall_ms);
  } else {
    bool expected = proc->readonly
                        ? status == MS_EREADONLY
                        : status == MS_EBUSY || status == MS_ENOHOST ||
                              (status == MS_ELIMIT && sim->weather.disk_full > 0) ||
                              (status == MS_ENOMEM && sim->weather.no_memory > 0);
    sim_tell(sim, proc, "is refused: %s", ms_status_name(status));
    if (!expected)
      sim_fail(sim, "peer %d: submit says %s", proc->index, ms_status_name(status));
    receipt_fini(receipt);
    proc->receipt_count--;
  }
  bool alive = proc->alive;
  if (status == MS_OK && alive) {
    if (!is_dormant) read_own_write(proc, receipt);
    sim_check_view(proc);
  }
  sim_leave(proc);
}

/* The replica has begun anew: what the view shows is of another life, and so would be a base. */
static bool view_is_stale(const sim_proc *proc) {
  for (size_t i = proc->mail_first; i < proc->mail_end; i++) {
    msi_delivery_kind kind = proc->mail[i].delivery.kind;
    if (kind == MSI_DELIVER_ROOT || kind == MSI_DELIVER_UNKNOWN) return true;
  }
  return proc->view_group != proc->group;
}

static bool can_write(const sim_proc *proc) {
  return proc->alive && !proc->sim->report->failed && msi_view_root(proc->view) != NULL &&
         !view_is_stale(proc);
}

/* The number of a write gives it numbers of its own for values and elements. */
enum { MARKERS_EACH = 8, ELEMENTS_EACH = 16 };

/* Reads, too: the view does not show what it writes before it is accepted. */
static void write_transaction(sim_proc *proc, ms_update *update) {
  sim_world *sim = proc->sim;
  int64_t wall_ms = proc->port.wall_ms(proc);
  msi_view_trial trial;
  sim_reading *reading = sim_transaction_read(sim, proc);
  update = sim_transaction_update(sim, update);
  if (msi_view_try_hidden(proc->view, update, wall_ms, &trial, NULL) == MS_OK) {
    submit(proc, update, &trial, reading, wall_ms);
    msi_view_trial_fini(&trial);
  } else {
    sim_transaction_free(reading);
  }
  ms_update_release(update);
}

static void write_one(sim_proc *proc, const sim_decision *made) {
  sim_world *sim = proc->sim;
  sim_dice(sim, SIM_DICE_WRITE, made->proc, made->a, made->b);
  sim->writer = made->proc;
  sim->markers = made->ns * MARKERS_EACH;
  sim->elements = made->ns * ELEMENTS_EACH;
  sim_decided(sim, made);
  ms_update *update = sim_program_update(sim, msi_view_root(proc->view));
  if (update == NULL) return;
  if (sim->elements > (made->ns + 1) * ELEMENTS_EACH) abort();
  if (sim_transaction_wanted(sim, proc)) {
    write_transaction(proc, update);
    return;
  }
  if (sim->weather.desk > 0 && sim_chance(sim, sim->weather.desk))
    update = sim_desk_update(sim, proc, update);
  int64_t wall_ms = proc->port.wall_ms(proc);
  msi_view_trial trial;
  ms_error error = {MS_OK, ""};
  if (msi_view_try(proc->view, update, wall_ms, &trial, &error) == MS_OK) {
    ms_update *written = sim_fault_update(sim, trial.update, trial.is_dormant);
    ms_update_release(trial.update);
    trial.update = written;
    submit(proc, update, &trial, NULL, wall_ms);
    msi_view_trial_fini(&trial);
  }
  ms_update_release(update);
}

static void write_some(sim_proc *proc) {
  sim_world *sim = proc->sim;
  if (!sim_chance(sim, 600000)) return;
  uint64_t writes = sim_random_below(&sim->random, sim_chance(sim, 100000) ? 20 : 4);
  for (uint64_t i = 0; i < writes && sim->writes_left > 0 && can_write(proc); i++) {
    sim->writes_left--;
    write_one(proc, &(sim_decision){.act = SIM_ACT_WRITE,
                                    .proc = (uint64_t)proc->index,
                                    .time = sim->now,
                                    .a = proc->polls,
                                    .b = i,
                                    .ns = ++sim->writes});
  }
}

static void write_planned(sim_proc *proc) {
  while (can_write(proc)) {
    const sim_decision *planned = sim_planned(proc->sim, SIM_ACT_WRITE, proc, 0);
    if (planned == NULL) return;
    write_one(proc, planned);
  }
}

static void ask_sync(sim_proc *proc) {
  sim_world *sim = proc->sim;
  if (proc->sync_asked != proc->syncs_done || proc->group == NULL) return;
  proc->sync_asked = ++proc->sync_token;
  proc->sync_group = proc->group;
  proc->sync_version = proc->group->version_count;
  if (!sim_enter(proc)) return;
  sim_note(sim, proc, "asks to sync, at", proc->sync_token, proc->sync_version);
  if (msi_replica_sync(proc->replica, sim_clock(proc), proc->sync_token) != MS_OK) {
    proc->syncs_done = proc->sync_token;
  }
  sim_leave(proc);
}

void sim_owner_poll(sim_proc *proc) {
  sim_world *sim = proc->sim;
  uint64_t most =
      sim_chance(sim, 700000) ? UINT64_MAX : sim_random_below(&sim->random, 4);
  while (most-- > 0 && proc->mail_first < proc->mail_end && !sim->report->failed) {
    sim_mail mail = proc->mail[proc->mail_first++];
    take(proc, &mail);
    mail_fini(&mail);
  }
  if (proc->mail_first == proc->mail_end) proc->mail_first = proc->mail_end = 0;
  if (sim->calm || sim->report->failed) return;
  if (sim_chance(sim, 100000)) ask_sync(proc);
  if (sim->options.only != NULL) {
    write_planned(proc);
  } else {
    write_some(proc);
  }
}

void sim_owner_fini(sim_proc *proc) {
  for (size_t i = proc->mail_first; i < proc->mail_end; i++) mail_fini(&proc->mail[i]);
  free(proc->mail);
  proc->mail = NULL;
  proc->mail_first = proc->mail_end = proc->mail_capacity = 0;
  msi_view_free(proc->view);
  proc->view = NULL;
}

void sim_owner_forget(sim_proc *proc) {
  for (size_t i = 0; i < proc->receipt_count; i++) receipt_fini(&proc->receipts[i]);
  free(proc->receipts);
  proc->receipts = NULL;
  proc->receipt_count = 0;
}
