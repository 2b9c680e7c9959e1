/*
 * Group file, locks and logs as the kernel keeps them for the processes of one machine, and the port
 * through which a replica sees them. Every call may be the last of its process, or hang.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "sim.h"

/* ----- locks */

static sim_proc *lock_holder(const sim_group *group, uint64_t term) {
  for (size_t i = 0; i < group->lock_count; i++) {
    if (group->locks[i].term == term) return group->locks[i].holder;
  }
  return NULL;
}

static void lock_take(sim_group *group, uint64_t term, sim_proc *proc) {
  group->locks = sim_grow(group->locks, &group->lock_capacity, group->lock_count,
                          sizeof *group->locks);
  group->locks[group->lock_count++] = (sim_lock){term, proc};
}

/* term 0: all of them */
static void lock_drop(sim_group *group, uint64_t term, const sim_proc *proc) {
  for (size_t i = group->lock_count; i-- > 0;) {
    const sim_lock *lock = &group->locks[i];
    if (lock->holder != proc || (term != 0 && lock->term != term)) continue;
    group->locks[i] = group->locks[--group->lock_count];
  }
}

bool sim_group_has_complete(const sim_world *sim, const sim_group *group,
                            const sim_proc *except) {
  for (int i = 0; i < sim->proc_count; i++) {
    const sim_proc *proc = sim->procs[i];
    if (proc != except && proc->alive && proc->group == group && proc->complete)
      return true;
  }
  return false;
}

/* ----- logs */

static sim_log *log_at(const sim_world *sim, const sim_group *group, uint64_t term) {
  for (size_t i = sim->log_count; i-- > 0;) {
    sim_log *log = sim->logs[i];
    if (log->term == term && log->has_path) return log->group == group ? log : NULL;
  }
  return NULL;
}

static sim_log *log_of(const sim_proc *proc, uint64_t term) {
  const sim_world *sim = proc->sim;
  for (size_t i = sim->log_count; i-- > 0;) {
    if (sim->logs[i]->term == term && sim->logs[i]->writer == proc) return sim->logs[i];
  }
  return NULL;
}

static sim_log *log_make(sim_proc *proc, sim_group *group, uint64_t term) {
  sim_world *sim = proc->sim;
  for (size_t i = 0; i < sim->log_count; i++) { /* a leftover of that name is replaced */
    if (sim->logs[i]->term == term) sim->logs[i]->has_path = false;
  }
  sim->logs = sim_grow(sim->logs, &sim->log_capacity, sim->log_count, sizeof *sim->logs);
  sim_log *log = calloc(1, sizeof *log);
  if (log == NULL) abort();
  *log = (sim_log){.group = group, .term = term, .has_path = true, .writer = proc};
  sim->logs[sim->log_count++] = log;
  return log;
}

static void log_store(sim_log *log, uint64_t version, const uint8_t *data, size_t bytes) {
  log->records = sim_grow(log->records, &log->capacity, log->count, sizeof *log->records);
  uint8_t *copy = malloc(bytes + 1);
  if (copy == NULL) abort();
  memcpy(copy, data, bytes);
  log->records[log->count++] = (sim_record){version, copy, bytes};
  if (log->count - log->first <= log->writer->sim->weather.log_records) return;
  uint64_t lost = log->records[log->first++].version;
  if (lost > log->group->overwritten) log->group->overwritten = lost;
  sim_link_overwritten(log->writer, lost);
}

/* Keeps an entry back that is to be stored when the call is over. */
static void store_later(sim_proc *proc, sim_log *log, uint64_t version,
                        const uint8_t *data, size_t bytes) {
  sim_group_store_late(proc);
  proc->late.data = malloc(bytes + 1);
  if (proc->late.data == NULL) abort();
  memcpy(proc->late.data, data, bytes);
  proc->late.log = log;
  proc->late.version = version;
  proc->late.bytes = bytes;
}

void sim_group_store_late(sim_proc *proc) {
  if (proc->late.data == NULL) return;
  if (proc->late.log->writer == proc)
    log_store(proc->late.log, proc->late.version, proc->late.data, proc->late.bytes);
  free(proc->late.data);
  proc->late.data = NULL;
}

/* ----- the end of a process */

static void own_logs_close(sim_proc *proc) {
  for (size_t i = 0; i < proc->sim->log_count; i++) {
    if (proc->sim->logs[i]->writer == proc) proc->sim->logs[i]->writer = NULL;
  }
}

void sim_group_release(sim_proc *proc) {
  own_logs_close(proc);
  if (proc->group == NULL) return;
  if (proc->sim->options.bug != SIM_BUG_LOCK_STUCK) lock_drop(proc->group, 0, proc);
  proc->complete = false;
  proc->group = NULL;
}

/* ----- links */

static bool is_of_snapshot(const uint8_t *frame, size_t bytes) {
  return bytes > 1 && (frame[1] == MSI_SNAPSHOT_PIECE || frame[1] == MSI_SNAPSHOT_END);
}

static void port_send(void *ud, msi_link_id link, const uint8_t *frame, size_t bytes) {
  sim_proc *proc = ud;
  sim_report *report = proc->sim->report;
  uint64_t before = report->in_sends;
  bool alive = sim_point(proc, SIM_AT_SEND);
  if (report->in_sends > before && is_of_snapshot(frame, bytes)) report->in_snapshots++;
  if (!alive) return;
  sim_note(proc->sim, proc, "sends on link, message", link, bytes > 1 ? frame[1] : 0);
  sim_check_sent(proc, frame, bytes);
  sim_link_send(proc, link, frame, bytes);
}

static size_t port_room(void *ud, msi_link_id link) {
  sim_proc *proc = ud;
  return proc->alive ? sim_link_room(proc, link) : 0;
}

static void port_cut(void *ud, msi_link_id link, bool flush, const char *reason) {
  sim_proc *proc = ud;
  if (!sim_point(proc, SIM_AT_CUT)) return;
  sim_note(proc->sim, proc, reason, link, flush);
  sim_link_cut(proc, link, flush);
}

static void port_dial(void *ud, uint64_t term) {
  sim_proc *proc = ud;
  if (!sim_point(proc, SIM_AT_DIAL)) return;
  sim_note(proc->sim, proc, "dials term", term, 0);
  sim_link_dial(proc, term);
}

/* ----- the group file */

static sim_group *group_make(sim_proc *proc) {
  sim_world *sim = proc->sim;
  sim->groups =
      sim_grow(sim->groups, &sim->group_capacity, sim->group_count, sizeof *sim->groups);
  sim_group *group = calloc(1, sizeof *group);
  if (group == NULL) abort();
  uint64_t term = 1;
  for (size_t i = 0; i < sim->log_count; i++) {
    if (sim->logs[i]->has_path && sim->logs[i]->term >= term)
      term = sim->logs[i]->term + 1;
  }
  if (sim->published != NULL && sim->published->term >= term)
    term = sim->published->term + 1;
  *group = (sim_group){.index = sim->group_count,
                       .id = sim_random_next(&sim->random) | 1,
                       .term = term,
                       .first_root = ms_value_retain(sim->defaults)};
  sim->groups[sim->group_count++] = group;
  return group;
}

static msi_enrolment port_enrol(void *ud, uint64_t peer, bool may_found, uint64_t *group,
                                uint64_t *term, ms_error *error) {
  sim_proc *proc = ud;
  sim_world *sim = proc->sim;
  const sim_group *before = proc->group;
  *error = (ms_error){MS_ENOENT, "no such share"};
  if (!sim_point(proc, SIM_AT_ENROL)) return MSI_ENROLLED_FAILED;
  const sim_group *stale = sim->published;
  sim_listener_close(proc, 0);
  sim_group_release(proc);
  bool alive =
      sim->published != NULL && sim_group_has_complete(sim, sim->published, proc);
  if (sim->options.bug == SIM_BUG_ENROL_FOUNDS && sim_happens(proc, SIM_AT_BUG, 50000))
    alive = false;
  if (!alive && !may_found) return MSI_ENROLLED_FAILED;
  proc->id = peer;
  if (proc->id_count == 0 || proc->ids[proc->id_count - 1] != peer) {
    if (proc->id_count == SIM_IDS_MAX) {
      sim_fail(sim, "peer %d takes too many ids", proc->index);
      return MSI_ENROLLED_FAILED;
    }
    proc->ids[proc->id_count++] = peer;
  }
  if (!alive) {
    sim_group *made = group_make(proc);
    log_make(proc, made, made->term);
    sim_listener_open(proc, made->term);
    if (!sim_point(proc, SIM_AT_ENROL)) return MSI_ENROLLED_FAILED;
    alive = sim->published != stale ||
            (stale != NULL && sim_group_has_complete(sim, stale, proc));
    if (alive && sim->options.bug != SIM_BUG_ENROL_FOUNDS) { /* somebody was faster */
      sim_listener_close(proc, 0);
      own_logs_close(proc);
      *error = (ms_error){MS_EBUSY, "somebody was faster"};
      return MSI_ENROLLED_FAILED;
    }
    sim_check_given_up(proc, stale);
    sim->published = made;
    proc->complete = true;
    proc->completed = made;
    lock_take(made, made->term, proc);
    proc->group = made;
  } else {
    proc->group = sim->published;
  }
  if (proc->group != before) {
    proc->delivered = 0;
    proc->has_root = false;
  }
  sim_note(sim, proc, proc->complete ? "founds group, term" : "enrols in group, term",
           proc->group->index, proc->group->term);
  *group = proc->group->id;
  *term = proc->group->term;
  bool founded = proc->complete;
  sim_tell(sim, proc, founded ? "founds the group" : "enrols");
  if (!sim_point(proc, SIM_AT_ENROL)) return MSI_ENROLLED_FAILED;
  return founded ? MSI_ENROLLED_FOUNDED : MSI_ENROLLED_JOINED;
}

static bool port_mark_complete(void *ud) {
  sim_proc *proc = ud;
  if (!sim_point(proc, SIM_AT_COMPLETE) || proc->group == NULL) return false;
  sim_note(proc->sim, proc, "is complete", 0, 0);
  if (!proc->can_host) sim_fail(proc->sim, "peer %d counts but cannot host", proc->index);
  if (proc->group != proc->sim->published)
    return false; /* it was founded anew meanwhile */
  proc->complete = true;
  proc->completed = proc->group;
  return sim_point(proc, SIM_AT_COMPLETE);
}

static uint64_t port_term(void *ud) {
  sim_proc *proc = ud;
  return proc->group != NULL ? proc->group->term : 0;
}

static bool port_term_lock_free(void *ud, uint64_t term) {
  sim_proc *proc = ud;
  if (!sim_point(proc, SIM_AT_LOCK_FREE) || proc->group == NULL) return false;
  sim_proc *holder = lock_holder(proc->group, term);
  return holder == NULL || holder == proc;
}

static bool port_take_term_lock(void *ud, uint64_t term) {
  sim_proc *proc = ud;
  if (!sim_point(proc, SIM_AT_LOCK) || proc->group == NULL) return false;
  sim_proc *holder = lock_holder(proc->group, term);
  bool shared = proc->sim->options.bug == SIM_BUG_LOCK_SHARED;
  sim_note(proc->sim, proc, "wants the lock of term", term,
           holder == NULL || holder == proc);
  if (holder != NULL && holder != proc && !shared) return false;
  if (holder != proc) lock_take(proc->group, term, proc);
  return sim_point(proc, SIM_AT_LOCK);
}

static void port_drop_term_lock(void *ud, uint64_t term) {
  sim_proc *proc = ud;
  if (!sim_point(proc, SIM_AT_UNLOCK) || proc->group == NULL) return;
  sim_note(proc->sim, proc, "drops the lock of term", term, 0);
  lock_drop(proc->group, term, proc);
}

static bool port_member_alive(void *ud, uint64_t peer) {
  sim_proc *proc = ud;
  sim_world *sim = proc->sim;
  if (!sim_point(proc, SIM_AT_MEMBER)) return true;
  if (sim->options.bug == SIM_BUG_MEMBER_DEAD && sim_happens(proc, SIM_AT_BUG, 100000))
    return false;
  for (int i = 0; i < sim->proc_count; i++) {
    const sim_proc *other = sim->procs[i];
    if (other != proc && other->alive && other->group == proc->group &&
        other->id == peer) {
      return true;
    }
  }
  return false;
}

static uint64_t port_heartbeat(void *ud) {
  sim_proc *proc = ud;
  return proc->group != NULL ? proc->group->heartbeat : 0;
}

static void port_beat(void *ud) {
  sim_proc *proc = ud;
  if (!sim_point(proc, SIM_AT_BEAT) || proc->group == NULL) return;
  proc->group->heartbeat++;
  proc->group->beat_time = proc->sim->now;
}

static bool port_raise_term(void *ud, uint64_t from, uint64_t to) {
  sim_proc *proc = ud;
  sim_world *sim = proc->sim;
  if (!sim_point(proc, SIM_AT_RAISE) || proc->group == NULL) return false;
  bool won = proc->group->term == from || sim->options.bug == SIM_BUG_TERM_STORE;
  if (won) sim_tell(sim, proc, "raises the term to %llu", (unsigned long long)to);
  sim_note(sim, proc, won ? "raises the term to" : "does not raise the term to", to, 0);
  if (won) {
    const sim_proc *host = lock_holder(proc->group, from);
    if (host != NULL && host != proc) sim_check_suspicion(proc, host);
    proc->group->term = to;
  }
  return sim_point(proc, SIM_AT_RAISED) && won;
}

/* ----- the log */

static ms_status port_prepare(void *ud, uint64_t term, ms_error *error) {
  sim_proc *proc = ud;
  sim_world *sim = proc->sim;
  *error = (ms_error){MS_ELIMIT, "the disk is full"};
  if (!sim_point(proc, SIM_AT_PREPARE) || proc->group == NULL) return MS_ELIMIT;
  if (sim_happens(proc, SIM_AT_DISK, sim->weather.disk_full)) return MS_ELIMIT;
  sim_note(sim, proc, "prepares term", term, 0);
  const sim_log *old = log_at(sim, proc->group, proc->group->term);
  proc->late.term = proc->group->term;
  proc->late.count = old == NULL ? 0 : old->count;
  log_make(proc, proc->group, term);
  if (!sim_point(proc, SIM_AT_PREPARED)) return MS_ELIMIT;
  sim_listener_open(proc, term);
  return sim_point(proc, SIM_AT_PREPARED) ? MS_OK : MS_ELIMIT;
}

static void port_discard(void *ud, uint64_t term) {
  sim_proc *proc = ud;
  if (!sim_point(proc, SIM_AT_DISCARD)) return;
  sim_note(proc->sim, proc, "discards term", term, 0);
  sim_log *log = log_of(proc, term);
  if (log != NULL) log->writer = NULL; /* the file stays: who comes next may need it */
  sim_listener_close(proc, term);
}

static void port_log_info(void *ud, uint64_t term, msi_log_info *out) {
  sim_proc *proc = ud;
  *out = (msi_log_info){false, false, 0, 0};
  if (!sim_point(proc, SIM_AT_LOG_INFO)) return;
  const sim_log *log = log_at(proc->sim, proc->group, term);
  if (log != NULL) *out = (msi_log_info){true, log->ready, log->base, log->previous};
  sim_note(proc->sim, proc, "looks at the log of term", term,
           out->ready    ? 2
           : out->exists ? 1
                         : 0);
}

static bool port_log_read(void *ud, uint64_t term, uint64_t after, msi_log_fn fn,
                          void *fn_ud) {
  sim_proc *proc = ud;
  sim_world *sim = proc->sim;
  if (!sim_point(proc, SIM_AT_LOG_READ)) return false;
  const sim_log *log = log_at(sim, proc->group, term);
  if (log == NULL) return false;
  size_t count = log->count; /* the tail is loaded once */
  if (sim->options.bug == SIM_BUG_LOG_TAIL && count > 0) count--;
  if (sim->options.bug == SIM_BUG_LOG_EARLY && term == proc->late.term)
    count = proc->late.count;
  sim_note(sim, proc, "reads the log of term", term, count);
  if (log->ready && after < log->base) return false;
  if (log->first > 0 && after < log->records[log->first - 1].version) return false;
  for (size_t i = log->first; i < count; i++) {
    sim_record record = log->records[i]; /* the list may grow while this process hangs */
    if (record.version <= after) continue;
    if (sim->options.bug == SIM_BUG_LOG_SKIP && i + 1 < count &&
        sim_happens(proc, SIM_AT_BUG, 100000))
      continue;
    if (!sim_point(proc, SIM_AT_LOG_READ)) return false;
    if (!fn(fn_ud, record.version, record.data, record.bytes)) break;
  }
  return proc->alive;
}

static void port_mark_ready(void *ud, uint64_t term, uint64_t base, uint64_t previous) {
  sim_proc *proc = ud;
  if (!sim_point(proc, SIM_AT_READY)) return;
  sim_log *log = log_of(proc, term);
  sim_note(proc->sim, proc, "is ready in term, with base", term, base);
  sim_fault_takeover(proc);
  sim_tell(proc->sim, proc, "is host of term %llu, from version %llu on",
           (unsigned long long)term, (unsigned long long)base);
  if (log == NULL) return;
  log->base = base;
  log->previous = previous;
  log->ready = true;
  if (sim_point(proc, SIM_AT_READY)) sim_listener_ready(proc, term);
}

static void port_sweep(void *ud, uint64_t term) {
  sim_proc *proc = ud;
  sim_world *sim = proc->sim;
  if (!sim_point(proc, SIM_AT_SWEEP)) return;
  sim_note(sim, proc, "sweeps below term", term, 0);
  for (size_t i = 0; i < sim->log_count; i++) {
    if (sim->logs[i]->term < term) sim->logs[i]->has_path = false;
  }
  sim_listener_sweep(sim, term);
}

static ms_status port_commit(void *ud, uint64_t term, uint64_t version,
                             const uint8_t *data, size_t bytes, bool *current) {
  sim_proc *proc = ud;
  sim_world *sim = proc->sim;
  *current = false;
  if (!sim_point(proc, SIM_AT_COMMIT)) return MS_OK;
  if (sim_happens(proc, SIM_AT_DISK, sim->weather.disk_full)) return MS_ELIMIT;
  sim_log *log = log_of(proc, term);
  if (log == NULL) {
    sim_fail(sim, "peer %d commits in term %llu without a log", proc->index,
             (unsigned long long)term);
    return MS_OK;
  }
  bool early = proc->group->term == term;
  if (sim->options.bug == SIM_BUG_COMMIT_LATE && !sim_point(proc, SIM_AT_STORED))
    return MS_OK;
  if (sim->options.bug == SIM_BUG_SEND_FIRST) {
    store_later(proc, log, version, data, bytes);
  } else {
    log_store(log, version, data, bytes);
  }
  sim_note(sim, proc, "stores version in term", version, term);
  if (sim->options.bug != SIM_BUG_COMMIT_LATE && !sim_point(proc, SIM_AT_STORED))
    return MS_OK;
  *current = proc->group->term == term;
  if (sim->options.bug == SIM_BUG_COMMIT_LATE) *current = early;
  if (sim->options.bug == SIM_BUG_COMMIT_CURRENT) *current = true;
  if (*current) sim_check_committed(proc, term, version, data, bytes);
  sim_note(sim, proc, "commits", version, *current);
  if (sim_point(proc, SIM_AT_COMMITTED)) return MS_OK;
  *current = false;
  return MS_OK;
}

/* ----- results */

static void port_deliver(void *ud, const struct msi_delivery *delivery) {
  sim_proc *proc = ud;
  if (!proc->alive) return;
  sim_note(proc->sim, proc, "delivers kind, version", (uint64_t)delivery->kind,
           delivery->version);
  sim_check_delivery(proc, delivery);
  msi_delivery changed = *delivery;
  if (proc->sim->options.bug == SIM_BUG_REJECTION_LOST) changed.rejected_count = 0;
  sim_owner_deliver(proc, &changed);
  if (delivery->kind == MSI_DELIVER_FAILED) proc->failed = true;
}

static uint64_t port_random(void *ud) {
  return sim_random_next(&((sim_proc *)ud)->sim->random);
}

/* The chance to jump is taken whenever somebody looks at the clock. */
static int64_t port_wall_ms(void *ud) {
  sim_proc *proc = ud;
  sim_world *sim = proc->sim;
  sim_decision made;
  if (sim_strikes(proc, SIM_AT_WALL, sim->weather.wall_jump, &made)) {
    sim_random before = sim_dice_of_strike(proc, &made);
    if (sim->options.only == NULL) made.ns = sim_delay(sim, 7200 * 1000);
    sim->random = before;
    sim_decided(sim, &made);
    proc->wall_ahead_ms = (int64_t)made.ns - 3600 * 1000; /* up to an hour both ways */
    sim->report->wall_jumps++;
    sim_tell(sim, proc, "has its wall clock set to %lld ms",
             (long long)proc->wall_ahead_ms);
  }
  return (int64_t)(sim->now / SIM_MS) + 1700000000000 + proc->wall_ahead_ms;
}

static void port_log(void *ud, ms_log_level level, const char *line) {
  sim_proc *proc = ud;
  (void)level;
  sim_note(proc->sim, proc, line, 0, 0);
}

void sim_port_init(sim_proc *proc) {
  proc->port = (msi_port){.ud = proc,
                          .send = port_send,
                          .room = port_room,
                          .cut = port_cut,
                          .dial = port_dial,
                          .enrol = port_enrol,
                          .mark_complete = port_mark_complete,
                          .term = port_term,
                          .term_lock_free = port_term_lock_free,
                          .take_term_lock = port_take_term_lock,
                          .drop_term_lock = port_drop_term_lock,
                          .member_alive = port_member_alive,
                          .heartbeat = port_heartbeat,
                          .beat = port_beat,
                          .raise_term = port_raise_term,
                          .prepare = port_prepare,
                          .discard = port_discard,
                          .log_info = port_log_info,
                          .log_read = port_log_read,
                          .mark_ready = port_mark_ready,
                          .sweep = port_sweep,
                          .commit = port_commit,
                          .deliver = port_deliver,
                          .random = port_random,
                          .wall_ms = port_wall_ms,
                          .log = port_log};
}

void sim_group_fini(sim_world *sim) {
  for (size_t i = 0; i < sim->log_count; i++) {
    sim_log *log = sim->logs[i];
    for (size_t k = 0; k < log->count; k++) free(log->records[k].data);
    free(log->records);
    free(log);
  }
  free(sim->logs);
  for (size_t i = 0; i < sim->group_count; i++) {
    sim_group *group = sim->groups[i];
    for (size_t k = 0; k < group->version_count; k++) {
      sim_version *version = &group->versions[k];
      free(version->data);
      msi_entry_fini(&version->entry);
      ms_update_release(version->update);
      ms_value_release(version->root);
      ms_value_release(version->desk_value);
      sim_desk_free(version->desk);
    }
    free(group->versions);
    free(group->locks);
    free(group->hosts);
    ms_value_release(group->first_root);
    free(group);
  }
  free(sim->groups);
}
