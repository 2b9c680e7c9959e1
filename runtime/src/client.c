/*
 * The client's side: finding a host, the greeting, the stream of entries, own patches on their way.
 *
 *   dial --> HELLO --> WELCOME --catch-up---------------------> ready
 *                         '------snapshot, entries kept, END--> ready
 *
 * "ready" means complete and linked: own patches and questions go out. Whatever does not read as the
 * protocol says ends the link; the next greeting heals it. Only a state that an entry does not apply
 * to is given up: then a snapshot replaces it.
 */
#include <inttypes.h>
#include <string.h>

#include "replica_state.h"

/* -------------------------------------------------------------------- links */

void msi_client_drop(msi_replica *self, bool flush, const char *reason) {
  if (self->uplink.id == 0) return;
  self->port.cut(self->port.ud, self->uplink.id, flush, reason);
  msi_receiver_free(self->uplink.receiver);
  self->uplink = (msi_uplink){0};
}

void msi_client_lost(msi_replica *self, uint64_t now) {
  uint64_t backoff_ns = self->backoff_ns;
  msi_replica_enter(self, msi_replica_idle_state(self), self->term, 0);
  msi_replica_retry(self, now);
  if (backoff_ns == 0) self->retry_at = now; /* the first time at once, then slower */
}

void msi_client_cut(msi_replica *self, uint64_t now, const char *reason) {
  msi_replica_log(self, MS_LOG_WARNING, "link to the host of term %" PRIu64 " cut: %s",
                  self->uplink.term, reason);
  msi_client_drop(self, false, reason);
  msi_client_lost(self, now);
}

void msi_client_dial(msi_replica *self, uint64_t term) {
  if (self->dialling != 0 || self->uplink.id != 0) return;
  self->dialling = term;
  self->dial_stale = false;
  self->port.dial(self->port.ud, term);
}

/* The last own number that is settled. */
static uint64_t client_settled(const msi_replica *self) {
  return self->submitted - self->pending.count; /* numbers have no gaps */
}

static void client_greet(msi_replica *self, uint64_t now, uint64_t term,
                         msi_link_id link) {
  msi_hello hello = {.protocol = MSI_PROTOCOL,
                     .group = self->group,
                     .peer = self->peer,
                     .known = self->known,
                     .complete = self->complete,
                     .version = self->version,
                     .number = client_settled(self),
                     .member = self->self};
  msi_buffer *out = msi_replica_scratch(self);
  self->uplink = (msi_uplink){.id = link, .term = term, .since = now};
  if (msi_hello_pack(out, &hello) != MS_OK) {
    msi_client_cut(self, now, ms_status_text(MS_ENOMEM));
    return;
  }
  self->port.send(self->port.ud, link, out->data, out->length);
}

void msi_replica_dialled(msi_replica *replica, uint64_t now, uint64_t term,
                         msi_link_id link) {
  bool idle = replica->state == MS_SHARE_JOINING || replica->state == MS_SHARE_WAITING;
  bool expected = idle && replica->enrolled && !replica->founding &&
                  replica->dialling == term && !replica->dial_stale;
  replica->dialling = 0;
  if (link != 0 && expected && replica->uplink.id == 0 &&
      replica->port.term(replica->port.ud) <= term) {
    client_greet(replica, now, term, link);
  } else {
    if (link != 0)
      replica->port.cut(replica->port.ud, link, false, "not needed any more");
    if (idle && replica->uplink.id == 0) msi_replica_retry(replica, now);
  }
  msi_replica_settle(replica, now);
}

/* -------------------------------------------------------------- own patches */

void msi_client_pump(msi_replica *self, uint64_t now) {
  msi_uplink *uplink = &self->uplink;
  while (uplink->ready && uplink->sent < self->submitted &&
         self->port.room(self->port.ud, uplink->id) > 0) {
    uint64_t first = client_settled(self) + 1;
    if (uplink->sent + 1 < first) uplink->sent = first - 1;
    if (self->pending.count <= uplink->sent + 1 - first) return;
    msi_buffer *out = msi_replica_scratch(self);
    const msi_patch *patch =
        msi_pending_at(&self->pending, (size_t)(uplink->sent + 1 - first));
    if (msi_patch_pack(out, patch) != MS_OK) {
      msi_client_cut(self, now, ms_status_text(MS_ENOMEM));
      return;
    }
    self->port.send(self->port.ud, uplink->id, out->data, out->length);
    uplink->sent++;
  }
}

/* The bounds of what an owner may give. */
static ms_status submit_check(const msi_replica *self, const ms_update *update) {
  if (self->state == MS_SHARE_CLOSED) return MS_ECLOSED;
  if (self->config.readonly) return MS_EREADONLY;
  if (msi_replica_root(self) == NULL) return MS_ENOHOST;
  if (update->wire_bytes > self->config.patch_bytes_max) return MS_ELIMIT;
  if (update->wire_bytes > MS_PATCH_MAX) return MS_ELIMIT;
  if (self->pending.count >= self->config.queue_max) return MS_EBUSY;
  return MS_OK;
}

/* The owner's view may still show the group that was left: bases stay within this one's versions. */
static uint64_t submit_base(const msi_replica *self, uint64_t base) {
  if (base > self->version) base = self->version;
  return base > self->based ? base : self->based;
}

/* What the owner gave is in `given`; the rest is filled in here. */
ms_status msi_replica_prepare(msi_replica *replica, const ms_update *update) {
  ms_status st = submit_check(replica, update);
  return st == MS_OK ? msi_pending_reserve(&replica->pending) : st;
}

static ms_status submit_fill(msi_replica *replica, uint64_t now, const msi_patch *given,
                             msi_patch *out) {
  ms_status st = msi_replica_prepare(replica, given->update);
  if (st != MS_OK) return st;
  *out = *given;
  out->origin = replica->peer;
  out->number = replica->submitted + 1;
  out->base = submit_base(replica, given->base);
  out->timestamp = now > replica->clock ? now : replica->clock + 1;
  bool is_stale = out->reads != NULL && out->base != given->base;
  return is_stale ? MS_EVERSION : MS_OK;
}

static void submit_note(msi_replica *replica, const msi_patch *patch, uint64_t *number) {
  replica->submitted = patch->number;
  replica->based = patch->base;
  replica->clock = patch->timestamp;
  *number = patch->number;
}

static ms_status submit(msi_replica *replica, uint64_t now, const msi_patch *given,
                        const ms_value *root_before, const ms_value *root_after,
                        uint64_t *number) {
  msi_patch patch;
  ms_status st = submit_fill(replica, now, given, &patch);
  if (st != MS_OK) return st;
  bool decided = false;
  if (replica->state == MS_SHARE_HOST && replica->pending.count == 0) {
    st = msi_host_decide(replica, now, &patch, root_before, root_after);
    if (st != MS_OK && st != MS_ENOHOST) return st;
    decided = st == MS_OK; /* else it is for the next host */
  }
  submit_note(replica, &patch, number);
  if (!decided) {
    msi_pending_push(&replica->pending, &patch);
    msi_host_drain(replica, now);
    msi_client_pump(replica, now);
  }
  msi_replica_settle(replica, now);
  return MS_OK;
}

ms_status msi_replica_submit(msi_replica *replica, uint64_t now, uint64_t base,
                             int64_t wall_ms, ms_update *update,
                             const ms_value *root_before, const ms_value *root_after,
                             uint64_t *number) {
  const msi_patch given = {.base = base, .wall_ms = wall_ms, .update = update};
  return submit(replica, now, &given, root_before, root_after, number);
}

ms_status msi_replica_submit_later(msi_replica *replica, uint64_t now, uint64_t base,
                                   int64_t wall_ms, ms_update *update, uint64_t *number) {
  const msi_patch given = {.base = base, .wall_ms = wall_ms, .update = update};
  if (replica->state != MS_SHARE_HOST)
    return submit(replica, now, &given, NULL, NULL, number);
  msi_patch patch;
  ms_status st = submit_fill(replica, now, &given, &patch);
  if (st != MS_OK) return st;
  submit_note(replica, &patch, number);
  msi_pending_push(&replica->pending, &patch);
  return MS_OK;
}

bool msi_replica_is_host(const msi_replica *replica) {
  return replica->state == MS_SHARE_HOST;
}

void msi_replica_drain(msi_replica *replica, uint64_t now) {
  if (replica->state != MS_SHARE_HOST || replica->pending.count == 0) return;
  msi_host_drain(replica, now);
  msi_replica_settle(replica, now);
}

ms_status msi_replica_transact(msi_replica *replica, uint64_t now, uint64_t base,
                               int64_t wall_ms, ms_update *update, msi_reads *reads,
                               uint64_t *number) {
  const msi_patch given = {
      .base = base, .wall_ms = wall_ms, .update = update, .reads = reads};
  return submit(replica, now, &given, NULL, NULL, number);
}

/* ---------------------------------------------------------------- questions */

static void client_send_sync(msi_replica *self, uint64_t now, uint64_t token) {
  msi_buffer *out = msi_replica_scratch(self);
  if (msi_sync_pack(out, token) != MS_OK) {
    msi_client_cut(self, now, ms_status_text(MS_ENOMEM));
    return;
  }
  self->port.send(self->port.ud, self->uplink.id, out->data, out->length);
}

ms_status msi_replica_sync(msi_replica *replica, uint64_t now, uint64_t token) {
  if (replica->state == MS_SHARE_CLOSED) return MS_ECLOSED;
  if (replica->sync_count >= MSI_SYNCS_MAX) return MS_EBUSY;
  if (replica->sync_count == replica->sync_capacity) {
    size_t capacity = replica->sync_capacity == 0 ? 8 : replica->sync_capacity * 2;
    uint64_t *syncs = msi_alloc_resize(replica->alloc, replica->syncs,
                                       replica->sync_capacity * sizeof *syncs,
                                       capacity * sizeof *syncs);
    if (syncs == NULL) return MS_ENOMEM;
    replica->syncs = syncs;
    replica->sync_capacity = capacity;
  }
  replica->syncs[replica->sync_count++] = token;
  if (replica->state == MS_SHARE_HOST) {
    if (msi_host_is_current(replica, now))
      msi_replica_synced(replica, replica->sync_count - 1);
  } else if (replica->uplink.ready) {
    client_send_sync(replica, now, token);
  }
  msi_replica_settle(replica, now);
  return MS_OK;
}

/* ----------------------------------------------------------------- messages */

void msi_client_mark(msi_replica *self) {
  if (self->marked || !self->complete || !self->config.can_host) return;
  self->marked = self->port.mark_complete(self->port.ud);
  if (!self->marked) {
    msi_replica_log(self, MS_LOG_WARNING,
                    "the group file does not take this replica's mark");
  }
}

void msi_client_report(msi_replica *self) {
  msi_uplink *uplink = &self->uplink;
  if (!uplink->ready || uplink->reported || self->version < uplink->goal) return;
  msi_buffer *out = msi_replica_scratch(self);
  if (msi_ready_pack(out, self->version) != MS_OK) return; /* the next tick tries again */
  uplink->reported = true;
  self->port.send(self->port.ud, uplink->id, out->data, out->length);
}

static void client_ready(msi_replica *self, uint64_t now) {
  self->uplink.ready = true;
  self->uplink.since = now;
  /* A link to the same host that breaks again and again keeps its pauses (see msi_client_tick). */
  if (self->reached != self->uplink.term) self->backoff_ns = 0;
  self->reached = self->uplink.term;
  self->grumbled = false;
  msi_client_mark(self);
  msi_replica_enter(self, MS_SHARE_CLIENT, self->uplink.term, self->uplink.host);
  msi_client_report(self);
  msi_client_pump(self, now); /* what was written before a question goes before it */
  for (size_t i = 0; self->uplink.ready && i < self->sync_count; i++) {
    client_send_sync(self, now, self->syncs[i]);
  }
}

static bool decided_is_plausible(const msi_replica *self, uint64_t decided) {
  return decided >= client_settled(self) && decided <= self->submitted;
}

static ms_status client_welcome(msi_replica *self, uint64_t now, msi_reader *in,
                                size_t fields, ms_error *error) {
  msi_welcome welcome;
  msi_uplink *uplink = &self->uplink;
  ms_status st = msi_welcome_unpack(in, fields, &welcome);
  if (st != MS_OK) return msi_fail(error, st, "malformed field");
  if (uplink->welcomed) return msi_fail(error, MS_ETYPE, "a second one");
  if (welcome.protocol != MSI_PROTOCOL)
    return msi_fail(error, MS_ETYPE, "another protocol");
  if (welcome.group != self->group) {
    msi_replica_rejoin(self, now, "the host is of another group");
    return MS_OK;
  }
  if (welcome.term != uplink->term) return msi_fail(error, MS_ETYPE, "another term");
  if (welcome.catch_up && (!self->complete || welcome.version < self->version)) {
    return msi_fail(error, MS_ETYPE, "catch-up for a version that is not here");
  }
  if (!decided_is_plausible(self, welcome.decided)) {
    return msi_fail(error, MS_ETYPE, "a last decided number that cannot be");
  }
  self->known = true;
  uplink->welcomed = true;
  uplink->host = welcome.host;
  uplink->sent = welcome.decided;
  uplink->goal = welcome.version;
  if (welcome.catch_up) client_ready(self, now);
  return MS_OK;
}

static ms_status client_refuse(msi_replica *self, uint64_t now, msi_reader *in,
                               size_t fields, ms_error *error) {
  msi_refuse refuse;
  ms_status st = msi_refuse_unpack(in, fields, &refuse);
  if (st != MS_OK) return msi_fail(error, st, "malformed field");
  if (refuse.code == MSI_REFUSE_RETIRED || refuse.code == MSI_REFUSE_GROUP) {
    msi_replica_rejoin(self, now, refuse.message);
    return MS_OK;
  }
  if (refuse.code == MSI_REFUSE_VERSION || refuse.code == MSI_REFUSE_WRITERS) {
    ms_error why;
    ms_status told =
        msi_fail(&why, refuse.code == MSI_REFUSE_VERSION ? MS_EVERSION : MS_EDENIED,
                 "the host refuses: %s", refuse.message);
    (void)told;
    msi_client_drop(self, false, "refused");
    msi_replica_fail(self, &why);
    return MS_OK;
  }
  return msi_fail(error, MS_EBUSY, "%s", refuse.message);
}

static ms_status client_snapshot_begin(msi_replica *self, msi_reader *in, size_t fields,
                                       ms_error *error) {
  msi_uplink *uplink = &self->uplink;
  uint64_t limit = self->config.document_bytes_max;
  if (!uplink->welcomed || uplink->ready || uplink->receiver != NULL) {
    return msi_fail(error, MS_ETYPE, "out of place");
  }
  if (limit < MS_DOCUMENT_MAX)
    limit = MS_DOCUMENT_MAX; /* of writes; here the host decides */
  ms_status st =
      msi_receiver_new(self->alloc, limit, in, fields, &uplink->receiver, error);
  if (st == MS_OK && msi_receiver_version(uplink->receiver) < self->version) {
    return msi_fail(error, MS_ETYPE, "of an earlier version than the one here");
  }
  return st;
}

/* Moves the state of a snapshot into the replica. Cannot fail. */
static void snapshot_install(msi_replica *self, msi_snapshot *snapshot) {
  msi_replica_bury(self, self->root);
  self->root = snapshot->root;
  snapshot->root = NULL;
  ms_value_release(self->desk);
  self->desk = snapshot->desk;
  snapshot->desk = NULL;
  self->version = snapshot->version;
  if (snapshot->clock > self->clock) self->clock = snapshot->clock;
  msi_members_fini(&self->members);
  self->members = snapshot->members;
  msi_members_init(&snapshot->members, self->alloc);
  msi_conflicts_free(self->conflicts);
  self->conflicts = snapshot->conflicts;
  snapshot->conflicts = NULL;
  msi_tail_reset(&self->tail, self->version);
  self->complete = true;
  self->snapshots++;
}

/* The decisions that were missed. Those about which too much time has passed to tell accepted from
 * rejected are called unknown. */
static void snapshot_settle(msi_replica *self, const msi_member *member) {
  uint64_t unknown = member->rejected_floor;
  if (unknown > client_settled(self)) {
    msi_pending_drop(&self->pending, unknown);
    self->port.deliver(self->port.ud,
                       &(msi_delivery){.kind = MSI_DELIVER_UNKNOWN, .number = unknown});
  }
  size_t first = 0;
  while (first < member->rejected_count &&
         member->rejected[first] <= client_settled(self)) {
    first++;
  }
  msi_pending_drop(&self->pending, member->decided);
  self->port.deliver(self->port.ud,
                     &(msi_delivery){.kind = MSI_DELIVER_ROOT,
                                     .root = self->root,
                                     .desk = self->desk,
                                     .version = self->version,
                                     .number = member->decided,
                                     .rejected = member->rejected + first,
                                     .rejected_count = member->rejected_count - first});
}

static ms_status client_take_snapshot(msi_replica *self, msi_snapshot *snapshot,
                                      ms_error *error) {
  const msi_member *member = msi_members_find(&snapshot->members, self->peer);
  if (member == NULL || !decided_is_plausible(self, member->decided)) {
    return msi_fail(error, MS_ETYPE, "a snapshot that does not know this peer");
  }
  snapshot_install(self, snapshot); /* the table moves, its items stay where they are */
  self->uplink.sent = member->decided;
  snapshot_settle(self, member);
  return MS_OK;
}

static ms_status client_snapshot_end(msi_replica *self, uint64_t now, msi_reader *in,
                                     size_t fields, ms_error *error) {
  msi_receiver *receiver = self->uplink.receiver;
  if (receiver == NULL || fields != 0 || in->at != in->end) {
    return msi_fail(error, MS_ETYPE, "out of place");
  }
  ms_status st = msi_receiver_end(receiver, error);
  if (st == MS_OK) st = client_take_snapshot(self, msi_receiver_state(receiver), error);
  const uint8_t *data;
  size_t bytes;
  while (st == MS_OK && msi_receiver_next(receiver, &data, &bytes)) {
    st = msi_replica_apply(self, data, bytes, self->uplink.term, error);
  }
  if (st != MS_OK) return st;
  msi_receiver_free(receiver);
  self->uplink.receiver = NULL;
  client_ready(self, now);
  return MS_OK;
}

static ms_status client_entry(msi_replica *self, uint64_t now, const uint8_t *data,
                              size_t bytes, ms_error *error) {
  if (self->uplink.receiver != NULL) {
    ms_status st = msi_receiver_keep(self->uplink.receiver, data, bytes);
    return st == MS_OK ? st : msi_fail(error, st, "no memory for a live entry");
  }
  if (!self->uplink.ready) return msi_fail(error, MS_ETYPE, "out of place");
  ms_status st = msi_replica_apply(self, data, bytes, self->uplink.term, error);
  if (st == MS_OK && msi_members_find(&self->members, self->peer) == NULL) {
    msi_replica_rejoin(self, now, "retired by the host");
  }
  if (st == MS_OK) msi_client_report(self);
  return st;
}

static ms_status client_synced(msi_replica *self, msi_reader *in, size_t fields,
                               ms_error *error) {
  uint64_t token, version;
  ms_status st = msi_synced_unpack(in, fields, &token, &version);
  if (st != MS_OK) return msi_fail(error, st, "malformed field");
  if (!self->uplink.ready || version > self->version) {
    return msi_fail(error, MS_ETYPE, "out of place");
  }
  for (size_t i = 0; i < self->sync_count; i++) {
    if (self->syncs[i] == token) {
      msi_replica_synced(self, i);
      return MS_OK;
    }
  }
  return msi_fail(error, MS_ETYPE, "an answer to no question");
}

void msi_client_message(msi_replica *self, uint64_t now, const uint8_t *data,
                        size_t bytes) {
  ms_error error = {MS_OK, "a frame that is no message"};
  msi_reader in;
  uint64_t number = 0;
  size_t fields;
  ms_status st = msi_message_open(data, bytes, &in, &number, &fields);
  if (st == MS_OK) {
    switch (number) {
      case MSI_WELCOME: st = client_welcome(self, now, &in, fields, &error); break;
      case MSI_REFUSE: st = client_refuse(self, now, &in, fields, &error); break;
      case MSI_ENTRY: st = client_entry(self, now, data, bytes, &error); break;
      case MSI_SNAPSHOT_BEGIN:
        st = client_snapshot_begin(self, &in, fields, &error);
        break;
      case MSI_SNAPSHOT_PIECE:
        st = self->uplink.receiver == NULL
                 ? msi_fail(&error, MS_ETYPE, "out of place")
                 : msi_receiver_piece(self->uplink.receiver, &in, fields, &error);
        break;
      case MSI_SNAPSHOT_END:
        st = client_snapshot_end(self, now, &in, fields, &error);
        break;
      case MSI_SYNCED: st = client_synced(self, &in, fields, &error); break;
      case MSI_BYE: break; /* the end of the link follows what was sent before */
      default: st = msi_fail(&error, MS_ETYPE, "number %" PRIu64, number);
    }
  }
  if (st == MS_OK || self->uplink.id == 0) return;
  msi_replica_log(self, MS_LOG_WARNING, "%s from the host: %s", msi_message_name(number),
                  error.message);
  msi_client_cut(self, now, "a message that cannot be");
}
