/*
 * A replica's life: start, enrolment, time, stop; and what host and client have in common, which is
 * taking an entry into the replicated state.
 *
 * Pure: no clock, no I/O, no threads. Loop side.
 *
 * "At once" means retry_at = now: each event ends with msi_client_step when that time has come, so no
 * step is taken in the middle of something else.
 */
#include "replica.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "replica_state.h"

enum { LINE_BYTES = 512, SCRATCH_KEPT_BYTES = 1 << 20 };

/* ------------------------------------------------------------------ helpers */

void msi_replica_log(msi_replica *self, ms_log_level level, const char *format, ...) {
  char line[LINE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  self->port.log(self->port.ud, level, line);
}

static void replica_deliver(msi_replica *self, const msi_delivery *delivery) {
  self->port.deliver(self->port.ud, delivery);
}

void msi_replica_enter(msi_replica *self, ms_share_state state, uint64_t term,
                       uint64_t host) {
  if (self->state == state && self->term == term && self->host == host) return;
  self->state = state;
  self->term = term;
  self->host = host;
  replica_deliver(self, &(msi_delivery){.kind = MSI_DELIVER_STATE});
}

/* A giant message leaves its memory behind no longer than its event takes. */
static void scratch_shrink(msi_replica *self) {
  if (self->scratch.capacity <= SCRATCH_KEPT_BYTES) return;
  msi_buffer_fini(&self->scratch);
  msi_buffer_init(&self->scratch, self->alloc);
}

msi_buffer *msi_replica_scratch(msi_replica *self) {
  scratch_shrink(self);
  msi_buffer_clear(&self->scratch);
  return &self->scratch;
}

void msi_replica_retry(msi_replica *self, uint64_t now) {
  /* A pause is a quarter of what was waited before: a new host is found soon after it is there. */
  uint64_t next = self->backoff_ns == 0 ? MSI_RETRY_FIRST_NS
                                        : self->backoff_ns + self->backoff_ns / 4;
  self->backoff_ns = next < MSI_RETRY_LAST_NS ? next : MSI_RETRY_LAST_NS;
  self->retry_at = now + self->backoff_ns;
}

ms_share_state msi_replica_idle_state(const msi_replica *self) {
  return msi_replica_root(self) != NULL ? MS_SHARE_WAITING : MS_SHARE_JOINING;
}

void msi_replica_bury(msi_replica *self, const ms_value *root) {
  if (self->port.bury != NULL) {
    self->port.bury(self->port.ud, root);
  } else {
    ms_value_release(root);
  }
}

void msi_replica_end_snapshot(msi_replica *self, msi_host_link *link) {
  if (link->sender == NULL) return;
  const ms_value *root = ms_value_retain(msi_sender_root(link->sender));
  msi_sender_free(link->sender);
  link->sender = NULL;
  msi_replica_bury(self, root);
}

/* Drops the document and all that goes with it. */
static void replica_forget(msi_replica *self) {
  msi_replica_bury(self, self->root);
  self->root = NULL;
  ms_value_release(self->desk);
  self->desk = ms_value_empty();
  self->version = 0;
  msi_members_fini(&self->members);
  msi_conflicts_free(self->conflicts);
  self->conflicts = NULL;
  msi_tail_reset(&self->tail, 0);
  self->based = 0;
  self->complete = false;
  self->known = false;
  self->founding = false;
}

void msi_replica_deliver_unknown(msi_replica *self) {
  if (self->pending.count == 0) return;
  msi_pending_drop(&self->pending, UINT64_MAX);
  replica_deliver(self, &(msi_delivery){.kind = MSI_DELIVER_UNKNOWN,
                                        .root = msi_replica_root(self),
                                        .number = self->submitted});
}

void msi_replica_synced(msi_replica *self, size_t index) {
  MSI_ASSERT(index < self->sync_count);
  uint64_t token = self->syncs[index];
  self->sync_count--;
  memmove(&self->syncs[index], &self->syncs[index + 1],
          (self->sync_count - index) * sizeof *self->syncs);
  replica_deliver(self, &(msi_delivery){.kind = MSI_DELIVER_SYNCED, .token = token});
}

/* ------------------------------------------------------------------ entries */

static bool entry_is_own_decision(const msi_replica *self, const msi_entry *entry) {
  return entry->patch.origin == self->peer &&
         (entry->kind == MSI_ENTRY_PATCH || entry->kind == MSI_ENTRY_REJECT);
}

void msi_replica_install(msi_replica *self, const msi_entry *entry, const uint8_t *data,
                         size_t bytes, const ms_value *root, const ms_value *desk) {
  MSI_ASSERT(entry->version == self->version + 1);
  if (root != self->root) {
    const ms_value *old = self->root;
    self->root = ms_value_retain(root);
    msi_replica_bury(self, old);
  }
  const ms_value *old_desk = self->desk;
  self->desk = ms_value_retain(desk);
  ms_value_release(old_desk);
  self->version = entry->version;
  if (entry->patch.timestamp > self->clock) self->clock = entry->patch.timestamp;
  msi_members_note(&self->members, entry);
  msi_conflicts_note(self->conflicts, entry);
  msi_tail_add(&self->tail, entry->version, data, bytes);
  uint64_t deadline = msi_ttl_deadline(entry);
  if (deadline < self->expire_at) self->expire_at = deadline;
  self->entries++;
  if (entry_is_own_decision(self, entry) &&
      msi_pending_is_first(&self->pending, entry->patch.number)) {
    msi_pending_pop(&self->pending);
  }
}

void msi_replica_deliver_entry(msi_replica *self, const msi_entry *entry) {
  replica_deliver(self, &(msi_delivery){.kind = MSI_DELIVER_ENTRY,
                                        .entry = entry,
                                        .root = self->root,
                                        .desk = self->desk,
                                        .version = self->version});
}

static ms_status entry_check(const msi_replica *self, const msi_entry *entry,
                             uint64_t term_max, bool *diverged, ms_error *error) {
  if (entry->version != self->version + 1) {
    return msi_fail(error, MS_ETYPE, "entry %llu after %llu",
                    (unsigned long long)entry->version,
                    (unsigned long long)self->version);
  }
  if (entry->term == 0 || entry->term > term_max) {
    return msi_fail(error, MS_ETYPE, "entry of term %llu",
                    (unsigned long long)entry->term);
  }
  if (!msi_members_fits(&self->members, entry)) {
    *diverged = true;
    return msi_fail(error, MS_ETYPE, "entry that does not follow from the members");
  }
  if (entry_is_own_decision(self, entry) &&
      !msi_pending_is_first(&self->pending, entry->patch.number)) {
    return msi_fail(error, MS_ETYPE, "decision about a patch that was not submitted");
  }
  return MS_OK;
}

/* *root (retained): what an entry leads to; NULL: the document itself was changed, since nobody else holds
 * it and nothing can stop the entry any more. */
static ms_status entry_apply(msi_replica *self, const msi_entry *entry,
                             const ms_value **root, ms_error *error) {
  msi_apply context = {self->alloc, entry->patch.wall_ms, 0};
  const ms_update *update = entry->patch.update;
  if (msi_value_is_unique(self->root) && msi_update_is_light(update, self->root)) {
    return msi_update_change(&context, update, &self->root, error);
  }
  return msi_update_apply(&context, update, self->root, root, NULL, error);
}

ms_status msi_replica_apply(msi_replica *self, const uint8_t *data, size_t bytes,
                            uint64_t term_max, ms_error *error) {
  msi_entry entry;
  ms_status st = msi_entry_unpack(self->alloc, data, bytes, &entry, error);
  if (st != MS_OK) return st;
  const ms_value *root = NULL, *desk = NULL;
  bool diverged = false;
  st = entry_check(self, &entry, term_max, &diverged, error);
  if (st == MS_OK && entry.kind == MSI_ENTRY_JOIN)
    st = msi_members_reserve(&self->members);
  /* First: the document may change at once. */
  if (st == MS_OK) st = msi_desk_note(self->alloc, self->desk, &entry, &desk);
  if (st == MS_OK && entry.patch.update != NULL) {
    st = entry_apply(self, &entry, &root, error);
    diverged = st != MS_OK && st != MS_ENOMEM;
  }
  if (diverged)
    self->complete = false; /* a snapshot replaces what it does not apply to */
  if (st == MS_OK) {
    msi_replica_install(self, &entry, data, bytes, root != NULL ? root : self->root,
                        desk);
    msi_replica_deliver_entry(self, &entry);
  }
  ms_value_release(root);
  ms_value_release(desk);
  msi_entry_fini(&entry);
  return st;
}

/* ---------------------------------------------------------------- enrolment */

void msi_replica_fail(msi_replica *self, const ms_error *error) {
  msi_replica_log(self, MS_LOG_ERROR, "gave up: %s", error->message);
  msi_replica_deliver_unknown(self);
  replica_deliver(self, &(msi_delivery){.kind = MSI_DELIVER_FAILED, .error = error});
  self->retry_at = UINT64_MAX;
  msi_replica_enter(self, MS_SHARE_CLOSED, self->term, 0);
}

static ms_status founded_document(msi_replica *self) {
  const ms_value *defaults = self->config.defaults;
  const ms_value *root = NULL;
  if (self->conflicts == NULL) {
    ms_status st = msi_conflicts_new(self->alloc, MSI_CONFLICT_NODES, &self->conflicts);
    if (st != MS_OK) return st;
  }
  if (self->root != NULL) return MS_OK;
  if (self->config.writers_max > 0) {
    ms_status st =
        msi_desk_set_writers(self->alloc, &self->desk, self->config.writers_max);
    if (st != MS_OK) return st;
  }
  if (defaults != NULL && ms_value_type(defaults) == MS_OBJECT) {
    root = ms_value_retain(defaults);
  } else {
    ms_status st = ms_value_new_object(self->alloc, &root);
    if (st != MS_OK) return st;
  }
  self->root = root;
  return MS_OK;
}

/* The group is ours: its first entry admits this peer. Until that is committed nobody sees anything,
 * and it may be tried again. */
static void replica_found(msi_replica *self, uint64_t now) {
  uint64_t term = self->term;
  ms_status st = founded_document(self);
  if (st == MS_OK) {
    self->port.mark_ready(self->port.ud, term, 0, 0);
    st = msi_host_join(self, now, self->peer, self->submitted, &self->self);
  }
  if (st == MS_ENOHOST) {
    replica_forget(self);
    return;
  }
  if (st != MS_OK) {
    msi_replica_log(self, MS_LOG_WARNING, "could not begin the share: %s",
                    ms_status_text(st));
    msi_replica_retry(self, now);
    return;
  }
  self->founding = false;
  replica_deliver(self, &(msi_delivery){.kind = MSI_DELIVER_ROOT,
                                        .root = self->root,
                                        .desk = self->desk,
                                        .version = self->version,
                                        .number = self->submitted});
  msi_takeover_serve(self, now, term);
}

/* FOUNDED or JOINED */
static void replica_enrolled(msi_replica *self, uint64_t now, bool founded,
                             uint64_t group, uint64_t term) {
  bool other = self->group != 0 && self->group != group;
  if (other || founded) {
    msi_replica_deliver_unknown(self);
    replica_forget(self);
  }
  self->group = group;
  self->enrolled = true;
  self->founding = founded;
  msi_replica_enter(self, msi_replica_idle_state(self), term, 0);
  if (founded) {
    replica_found(self, now);
  } else {
    self->watch = (msi_watch){0};
    msi_client_dial(self, term);
  }
}

void msi_replica_enrol(msi_replica *self, uint64_t now) {
  if (self->founding) {
    replica_found(self, now);
    return;
  }
  ms_error error = {MS_OK, ""};
  uint64_t group = 0, term = 0;
  bool may_found = self->config.may_found && self->config.can_host;
  while (self->peer == 0) self->peer = self->port.random(self->port.ud) & MSI_PEER_MAX;
  self->dial_stale = self->dialling != 0;
  self->marked = false; /* whatever was held is dropped */
  self->enrolled = false;
  msi_enrolment result =
      self->port.enrol(self->port.ud, self->peer, may_found, &group, &term, &error);
  if (result != MSI_ENROLLED_FAILED) {
    replica_enrolled(self, now, result == MSI_ENROLLED_FOUNDED, group, term);
  } else if (error.status == MS_ENOMEM || error.status == MS_EBUSY) {
    msi_replica_retry(self, now);
  } else {
    msi_replica_fail(self, &error);
  }
}

void msi_replica_rejoin(msi_replica *self, uint64_t now, const char *reason) {
  msi_replica_log(self, MS_LOG_WARNING, "joining again from nothing: %s", reason);
  msi_client_drop(self, false, reason);
  msi_replica_deliver_unknown(self);
  replica_forget(self);
  self->peer = 0;
  self->group = 0;
  self->enrolled = false;
  msi_replica_enter(self, MS_SHARE_JOINING, self->term, 0);
  msi_replica_retry(self, now);
}

/* --------------------------------------------------------------------- life */

ms_status msi_replica_new(const msi_replica_config *config, const msi_port *port,
                          msi_replica **out) {
  const ms_alloc *alloc = msi_alloc_resolve(config->alloc);
  msi_replica *self = MSI_NEW(alloc, msi_replica);
  if (self == NULL) return MS_ENOMEM;
  self->alloc = alloc;
  self->port = *port;
  self->config = *config;
  (void)ms_value_retain(config->defaults);
  self->self = (msi_member_info){
      .pid = config->pid, .readonly = config->readonly, .can_host = config->can_host};
  (void)snprintf(self->self.program, sizeof self->self.program, "%s",
                 config->program != NULL ? config->program : "");
  ms_status st = msi_member_set_roles(&self->self, config->roles);
  if (st != MS_OK) {
    ms_value_release(config->defaults);
    MSI_FREE(alloc, self);
    return st;
  }
  msi_rulebook_init(&self->rulebook, alloc, config->validator);
  self->config.program = self->config.roles = NULL;
  self->config.validator = NULL;
  self->state = MS_SHARE_NEW;
  self->desk = ms_value_empty();
  self->tick_at = self->retry_at = self->expire_at = self->absent_at = UINT64_MAX;
  msi_members_init(&self->members, alloc);
  msi_tail_init(&self->tail, alloc, MSI_TAIL_BYTES);
  msi_pending_init(&self->pending, alloc);
  msi_buffer_init(&self->scratch, alloc);
  *out = self;
  return MS_OK;
}

void msi_replica_free(msi_replica *replica) {
  if (replica == NULL) return;
  for (size_t i = 0; i < replica->link_count; i++)
    msi_replica_end_snapshot(replica, &replica->links[i]);
  msi_alloc_free(replica->alloc, replica->links,
                 replica->link_capacity * sizeof *replica->links);
  msi_alloc_free(replica->alloc, replica->syncs,
                 replica->sync_capacity * sizeof *replica->syncs);
  msi_receiver_free(replica->uplink.receiver);
  msi_pending_fini(&replica->pending);
  msi_tail_fini(&replica->tail);
  msi_members_fini(&replica->members);
  msi_conflicts_free(replica->conflicts);
  msi_rulebook_fini(&replica->rulebook);
  msi_buffer_fini(&replica->scratch);
  msi_replica_bury(replica, replica->root);
  ms_value_release(replica->desk);
  ms_value_release(replica->config.defaults);
  MSI_FREE(replica->alloc, replica);
}

bool msi_replica_runs(const msi_replica *self) {
  return self->state != MS_SHARE_NEW && self->state != MS_SHARE_CLOSED;
}

void msi_replica_settle(msi_replica *self, uint64_t now) {
  scratch_shrink(self);
  if (!msi_replica_runs(self) || now < self->retry_at) return;
  self->retry_at = UINT64_MAX;
  msi_client_step(self, now);
}

void msi_replica_start(msi_replica *replica, uint64_t now) {
  if (replica->state != MS_SHARE_NEW) return;
  replica->self.since_ms = replica->port.wall_ms(replica->port.ud);
  replica->tick_at = now + MSI_TICK_NS;
  msi_replica_enter(replica, MS_SHARE_JOINING, 0, 0);
  msi_replica_enrol(replica, now);
  msi_replica_settle(replica, now);
}

void msi_replica_stop(msi_replica *replica, uint64_t now) {
  (void)now;
  if (!msi_replica_runs(replica)) {
    replica->state = MS_SHARE_CLOSED;
    return;
  }
  if (replica->state == MS_SHARE_HOST) {
    /* Everything committed is in the log already: the next host may begin to read it. */
    msi_host_cut_all(replica, true, "this host stops");
    replica->port.drop_term_lock(replica->port.ud, replica->term);
  } else if (replica->uplink.id != 0) {
    msi_buffer *out = msi_replica_scratch(replica);
    if (msi_message_begin(out, MSI_BYE, 0) == MS_OK) {
      replica->port.send(replica->port.ud, replica->uplink.id, out->data, out->length);
    }
    msi_client_drop(replica, true, "this peer stops");
  }
  replica->retry_at = replica->tick_at = UINT64_MAX;
  msi_replica_enter(replica, MS_SHARE_CLOSED, replica->term, 0);
}

/* ------------------------------------------------------------------- events */

void msi_replica_accepted(msi_replica *replica, uint64_t now, msi_link_id link) {
  if (replica->state != MS_SHARE_HOST) {
    replica->port.cut(replica->port.ud, link, false, "not a host");
    return;
  }
  msi_host_accept(replica, now, link);
}

void msi_replica_message(msi_replica *replica, uint64_t now, msi_link_id link,
                         const uint8_t *data, size_t bytes) {
  if (!msi_replica_runs(replica)) return;
  if (link == replica->uplink.id) {
    msi_client_message(replica, now, data, bytes);
  } else if (replica->state == MS_SHARE_HOST) {
    msi_host_message(replica, now, link, data, bytes);
  }
  msi_replica_settle(replica, now);
}

void msi_replica_writable(msi_replica *replica, uint64_t now, msi_link_id link) {
  if (!msi_replica_runs(replica)) return;
  if (link == replica->uplink.id) {
    msi_client_pump(replica, now);
  } else if (replica->state == MS_SHARE_HOST) {
    msi_host_pump(replica, link);
  }
  msi_replica_settle(replica, now);
}

void msi_replica_link_down(msi_replica *replica, uint64_t now, msi_link_id link) {
  if (!msi_replica_runs(replica)) return;
  if (link == replica->uplink.id) {
    msi_receiver_free(replica->uplink.receiver);
    replica->uplink = (msi_uplink){0};
    msi_client_lost(replica, now);
  } else if (replica->state == MS_SHARE_HOST) {
    msi_host_down(replica, now, link);
  }
  msi_replica_settle(replica, now);
}

void msi_replica_tick(msi_replica *replica, uint64_t now) {
  if (!msi_replica_runs(replica)) return;
  if (now >= replica->tick_at) {
    bool punctual = now - replica->tick_at <= MSI_TICK_NS / 2;
    replica->tick_at = (punctual ? replica->tick_at : now) + MSI_TICK_NS;
    if (replica->state == MS_SHARE_HOST) {
      msi_host_tick(replica, now, punctual);
    } else {
      msi_client_tick(replica, now, punctual);
    }
  }
  if (replica->state == MS_SHARE_HOST && now >= replica->expire_at)
    msi_house_expire(replica, now);
  if (replica->state == MS_SHARE_HOST && now >= replica->absent_at)
    msi_host_look(replica, now);
  msi_replica_settle(replica, now);
}

uint64_t msi_replica_deadline(const msi_replica *replica) {
  if (!msi_replica_runs(replica)) return UINT64_MAX;
  uint64_t first =
      replica->retry_at < replica->tick_at ? replica->retry_at : replica->tick_at;
  if (replica->state != MS_SHARE_HOST) return first;
  if (replica->expire_at < first) first = replica->expire_at;
  return replica->absent_at < first ? replica->absent_at : first;
}

/* ------------------------------------------------------------------ looking */

void msi_replica_inspect(const msi_replica *replica, msi_replica_info *out) {
  *out = (msi_replica_info){.state = replica->state,
                            .peer = replica->peer,
                            .host = replica->host,
                            .group = replica->group,
                            .term = replica->term,
                            .version = replica->version,
                            .pending = replica->pending.count,
                            .entries = replica->entries,
                            .takeovers = replica->takeovers,
                            .snapshots = replica->snapshots,
                            .links = replica->link_count};
}

const ms_value *msi_replica_root(const msi_replica *replica) {
  return replica->founding ? NULL : replica->root;
}

const ms_value *msi_replica_desk(const msi_replica *replica) { return replica->desk; }

void msi_replica_peers(const msi_replica *replica, ms_peer_fn fn, void *ud) {
  for (size_t i = 0; i < replica->members.count; i++) {
    const msi_member *member = &replica->members.items[i];
    ms_peer peer = {.id = member->id,
                    .pid = member->info.pid,
                    .since_ms = member->info.since_ms,
                    .program = member->info.program,
                    .is_host = member->id == replica->host,
                    .is_self = member->id == replica->peer,
                    .readonly = member->info.readonly,
                    .can_host = member->info.can_host,
                    .roles = member->info.roles};
    fn(ud, &peer);
  }
}

uint64_t msi_replica_decided(const msi_replica *replica, uint64_t peer) {
  const msi_member *member = msi_members_find(&replica->members, peer);
  return member != NULL ? member->decided : 0;
}
