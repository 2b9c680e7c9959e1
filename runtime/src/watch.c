/*
 * A peer without host: whom to dial, whom to suspect, when to stand as a candidate, when to give up.
 *
 *   lock of the term held, heartbeat moves   dial its host
 *   lock free, or the heartbeat stands       take over, if this replica may; else dial who tries
 *   nobody holds anything for long           perhaps the group is dead: enrol again
 *
 * Steps come at once and then with growing pauses; ticks look at what takes long. Only punctual ticks
 * count as time: a peer that was stopped itself blames nobody.
 */
#include <inttypes.h>

#include "replica_state.h"

static bool host_is_suspect(const msi_replica *self) {
  return self->watch.quiet_ns >= self->config.host_timeout_ns;
}

static bool term_is_free(const msi_replica *self, uint64_t term) {
  return self->port.term_lock_free(self->port.ud, term);
}

/* Takes note of the group file. */
static void client_look(msi_replica *self, uint64_t now, uint64_t term) {
  msi_watch *watch = &self->watch;
  uint64_t heartbeat = self->port.heartbeat(self->port.ud);
  if (term != watch->term) {
    *watch =
        (msi_watch){.term = term, .heartbeat = heartbeat, .moved_at = now, .reach = 1};
    self->grumbled = false;
  } else if (heartbeat != watch->heartbeat) {
    watch->heartbeat = heartbeat;
    watch->moved_at = now;
    watch->quiet_ns = 0;
    watch->stall_since = 0;
  }
}

/* The logs do not reach back to this replica, or the group is found nowhere: it counts as complete
 * no more. */
static void client_unfit(msi_replica *self, uint64_t now) {
  msi_replica_log(self, MS_LOG_ERROR,
                  "entries after %" PRIu64 " are gone: not fit to host", self->version);
  self->complete = false;
  self->marked = false;
  self->enrolled = false; /* enrolling again drops the mark in the group file */
  msi_replica_retry(self, now);
}

/* Nobody hosts `term` any more. */
static void client_succeed(msi_replica *self, uint64_t now, uint64_t term) {
  uint64_t rival = term + 1;
  msi_attempt attempt = MSI_ATTEMPT_LOST;
  if (msi_takeover_is_eligible(self)) {
    attempt = msi_takeover(self, now, term, &rival);
  } else if (term_is_free(self, rival)) {
    attempt = MSI_ATTEMPT_FAILED;
  }
  switch (attempt) {
    case MSI_ATTEMPT_WON: break;
    case MSI_ATTEMPT_LOST: msi_client_dial(self, rival); break;
    case MSI_ATTEMPT_FAILED: msi_replica_retry(self, now); break;
    case MSI_ATTEMPT_UNFIT: client_unfit(self, now); break;
  }
}

void msi_client_step(msi_replica *self, uint64_t now) {
  if (self->state != MS_SHARE_JOINING && self->state != MS_SHARE_WAITING) return;
  if (!self->enrolled || self->founding) {
    msi_replica_enrol(self, now);
    return;
  }
  if (self->uplink.id != 0 || self->dialling != 0) return; /* ticks watch it */
  uint64_t term = self->port.term(self->port.ud);
  if (term == 0) {
    client_unfit(self, now);
    return;
  }
  client_look(self, now, term);
  msi_replica_enter(self, self->state, term, 0);
  msi_client_mark(self);
  if (term_is_free(self, term) || host_is_suspect(self)) {
    client_succeed(self, now, term);
  } else {
    msi_client_dial(self, term);
  }
}

/* Has something lasted for the host's timeout? *since is 0 until it is first seen. */
static bool lasts(const msi_replica *self, uint64_t now, uint64_t *since) {
  if (*since == 0) *since = now;
  if (now - *since < self->config.host_timeout_ns) return false;
  *since = 0;
  return true;
}

/* A candidate that holds its lock without getting anywhere is passed over. */
static void client_watch_rivals(msi_replica *self, uint64_t now, uint64_t term) {
  msi_watch *watch = &self->watch;
  if (term_is_free(self, term + watch->reach)) {
    watch->stall_since = 0;
    return;
  }
  if (!lasts(self, now, &watch->stall_since)) return;
  msi_replica_log(self, MS_LOG_WARNING, "the candidate for term %" PRIu64 " hangs",
                  term + watch->reach);
  watch->reach++;
  msi_client_drop(self, false, "the candidate hangs");
  self->retry_at = now;
}

/* Nobody who could host lives: perhaps a new group can be founded. */
static void client_watch_vacancy(msi_replica *self, uint64_t now, uint64_t term) {
  msi_watch *watch = &self->watch;
  if (!term_is_free(self, term) || !term_is_free(self, term + 1) || self->dialling != 0) {
    watch->vacant_since = 0;
    return;
  }
  if (!lasts(self, now, &watch->vacant_since)) return;
  msi_client_drop(self, false, "nobody hosts");
  self->enrolled = false;
  self->retry_at = now;
}

/* Who holds or awaits a lock shows that it lives. */
static void client_ping(msi_replica *self) {
  if (!self->uplink.ready || !msi_desk_awaits(self->desk, self->peer)) return;
  msi_buffer *out = msi_replica_scratch(self);
  if (msi_message_begin(out, MSI_PING, 0) != MS_OK)
    return; /* the next tick tries again */
  self->port.send(self->port.ud, self->uplink.id, out->data, out->length);
}

void msi_client_tick(msi_replica *self, uint64_t now, bool punctual) {
  if (!self->enrolled || self->founding) return;
  uint64_t term = self->port.term(self->port.ud);
  if (term == 0) {
    msi_client_drop(self, false, "the group is gone");
    client_unfit(self, now);
    return;
  }
  if (!punctual) self->watch = (msi_watch){0};
  client_look(self, now, term);
  self->watch.quiet_ns = now - self->watch.moved_at;
  msi_client_mark(self);
  if (self->uplink.ready && now - self->uplink.since >= MSI_TICK_NS) self->backoff_ns = 0;
  if (self->uplink.id != 0 && self->uplink.term < term) {
    msi_client_cut(self, now, "another host has taken over");
    return;
  }
  bool over = term_is_free(self, term) || host_is_suspect(self);
  bool eligible = msi_takeover_is_eligible(self);
  if (over && eligible && self->uplink.id != 0 && self->uplink.term == term &&
      host_is_suspect(self)) {
    msi_client_cut(self, now, "the host hangs");
    self->retry_at = now;
    return;
  }
  if (over && eligible && !self->uplink.ready) {
    client_watch_rivals(self, now, term);
  } else if (over && !self->uplink.ready) {
    client_watch_vacancy(self, now, term);
  } else {
    self->watch.stall_since = self->watch.vacant_since = 0;
  }
  client_ping(self);
  msi_client_report(self);
  msi_client_pump(self, now);
}
