/*
 * Becoming host of a later term.
 *
 *   take the lock byte of the new term, look at the term again
 *   prepare its log and socket
 *   raise the term: from here on the old host accepts nothing more
 *   read what the old logs have beyond this replica's version
 *   mark the new log ready: its base is the last version read, its previous term where that was read
 *   look at the term: if it was raised again meanwhile, nothing of this counts
 *   apply what was read, serve
 *
 * What was read is applied only after the last look. An old host that wakes up may still store an
 * entry (and then find itself replaced); a candidate that was passed over could read that entry while
 * its own successor did not.
 *
 *   terms   5 (ready, base 90)   6 (not ready when   7 (ready, base 120,   8: this candidate, at 110
 *           entries 91 ...          7 looked)           previous 5)
 *           up to 120            skipped for ever    entries 121 ... to the end
 */
#include <inttypes.h>
#include <string.h>

#include "replica_state.h"

bool msi_takeover_is_eligible(const msi_replica *self) {
  return self->complete && self->marked && self->config.can_host && !self->founding &&
         msi_rulebook_suits(&self->rulebook, self->desk);
}

/* --------------------------------------------------------------------- logs */

/* What the old logs have beyond this replica's version. */
typedef struct history {
  msi_buffer bytes; /* size_t length and that many bytes, again and again */
  uint64_t version; /* of the last entry in it */
  uint64_t until;   /* entries above this one belong to a later log */
  uint64_t newest;  /* term of the newest log that counts */
  ms_status st;
} history;

typedef struct old_log {
  uint64_t term;
  uint64_t until; /* its entries count up to here: the next newer log begins there */
} old_log;

static bool history_add(void *ud, uint64_t version, const uint8_t *data, size_t bytes) {
  history *self = ud;
  if (version > self->until) return false;
  self->st = MS_ETYPE;
  if (version != self->version + 1) return false;
  self->st = msi_buffer_reserve(&self->bytes, sizeof bytes + bytes);
  if (self->st == MS_OK) self->st = msi_buffer_append(&self->bytes, &bytes, sizeof bytes);
  if (self->st == MS_OK) self->st = msi_buffer_append(&self->bytes, data, bytes);
  if (self->st != MS_OK) return false;
  self->version = version;
  return true;
}

/*
 * The ready logs with the entries after this replica's version, newest first; the newest one is there
 * also when it has none. MS_ENOENT: they do not reach back far enough.
 *
 * From the newest ready log on, each names the one before it. A log that it passes over never counts
 * again, whatever its host still stores there when it wakes up: so what was history once stays so.
 */
static ms_status logs_find(const msi_replica *self, uint64_t term, old_log *logs,
                           size_t *count) {
  uint64_t until = UINT64_MAX, at = term;
  *count = 0;
  for (uint64_t i = 0; i < MSI_TERM_WALK && at > 0 && *count < MSI_LOGS_READ; i++) {
    msi_log_info info = {false, false, 0, 0};
    self->port.log_info(self->port.ud, at, &info);
    if (info.exists && info.ready) {
      logs[(*count)++] = (old_log){at, until};
      until = info.base;
      if (until <= self->version) return MS_OK;
      if (info.previous >= at) return MS_ENOENT;
      at = info.previous;
    } else if (*count == 0) {
      at--;
    } else {
      return MS_ENOENT;
    }
  }
  return MS_ENOENT;
}

/* MS_ENOENT: a gap. MS_ENOMEM. */
static ms_status history_read(const msi_replica *self, uint64_t term, history *out) {
  old_log logs[MSI_LOGS_READ];
  size_t count;
  ms_status st = logs_find(self, term, logs, &count);
  if (st != MS_OK) return st;
  out->newest = logs[0].term;
  while (count-- > 0) {
    out->until = logs[count].until;
    out->st = MS_OK;
    bool intact = self->port.log_read(self->port.ud, logs[count].term, out->version,
                                      history_add, out);
    if (out->st == MS_ENOMEM) return MS_ENOMEM;
    if (out->st != MS_OK) return MS_ENOENT;
    bool whole = out->until == UINT64_MAX ? intact : out->version == out->until;
    if (!whole) return MS_ENOENT;
  }
  return MS_OK;
}

static ms_status history_apply(msi_replica *self, const history *read, uint64_t term,
                               ms_error *error) {
  size_t at = 0;
  while (at < read->bytes.length) {
    size_t bytes;
    memcpy(&bytes, read->bytes.data + at, sizeof bytes);
    at += sizeof bytes;
    ms_status st = msi_replica_apply(self, read->bytes.data + at, bytes, term, error);
    if (st != MS_OK) return st;
    at += bytes;
  }
  return MS_OK;
}

/* ---------------------------------------------------------------- candidacy */

/* Once per term: a step is tried again many times a second. */
static void takeover_grumble(msi_replica *self, const char *what, const char *why) {
  if (self->grumbled) return;
  self->grumbled = true;
  msi_replica_log(self, MS_LOG_WARNING, "%s: %s", what, why);
}

static void takeover_abandon(msi_replica *self, uint64_t next) {
  self->port.discard(self->port.ud, next);
  self->port.drop_term_lock(self->port.ud, next);
}

void msi_takeover_serve(msi_replica *self, uint64_t now, uint64_t term) {
  self->complete = true;
  self->known = true;
  self->backoff_ns = 0;
  self->retry_at = UINT64_MAX;
  self->expire_at = now;
  msi_host_expect_gone(self, now); /* the old host for one */
  for (size_t i = 0; i < self->members.count; i++) self->members.items[i].quiet_ticks = 0;
  if (!self->marked) self->marked = self->port.mark_complete(self->port.ud);
  self->port.beat(self->port.ud);
  msi_replica_enter(self, MS_SHARE_HOST, term, self->peer);
  if (msi_members_find(&self->members, self->peer) == NULL) { /* retired by mistake */
    uint64_t settled = self->submitted - self->pending.count;
    ms_status st = msi_host_join(self, now, self->peer, settled, &self->self);
    if (st != MS_OK && self->state == MS_SHARE_HOST) msi_host_step_down(self, now);
    if (st != MS_OK) return;
  }
  while (self->sync_count > 0 && msi_host_is_current(self, now))
    msi_replica_synced(self, 0);
  msi_host_drain(self, now);
}

/* The term is raised: from the old logs to serving. */
static msi_attempt takeover_proceed(msi_replica *self, uint64_t term, uint64_t next) {
  ms_error error = {MS_OK, ""};
  history read = {.version = self->version};
  msi_buffer_init(&read.bytes, self->alloc);
  msi_attempt attempt = MSI_ATTEMPT_FAILED;
  ms_status st = history_read(self, term, &read);
  if (st == MS_ENOENT) attempt = MSI_ATTEMPT_UNFIT;
  if (st == MS_OK) {
    self->port.mark_ready(self->port.ud, next, read.version, read.newest);
    if (self->port.term(self->port.ud) == next) {
      st = history_apply(self, &read, term, &error);
      if (st == MS_OK) attempt = MSI_ATTEMPT_WON;
      if (st != MS_OK && st != MS_ENOMEM) attempt = MSI_ATTEMPT_UNFIT;
    }
  }
  msi_buffer_fini(&read.bytes);
  if (attempt == MSI_ATTEMPT_WON) return attempt;
  if (st != MS_OK) takeover_grumble(self, "could not take over", ms_status_text(st));
  takeover_abandon(self, next);
  return attempt;
}

msi_attempt msi_takeover(msi_replica *self, uint64_t now, uint64_t term,
                         uint64_t *rival) {
  ms_error error = {MS_OK, ""};
  uint64_t next = 0;
  for (uint64_t i = 1; next == 0 && i <= self->watch.reach; i++) {
    *rival = term + i;
    if (self->port.take_term_lock(self->port.ud, *rival)) next = *rival;
  }
  if (next == 0) return MSI_ATTEMPT_LOST;
  if (self->port.term(self->port.ud) != term) {
    /* Somebody hosted `next` and died since: preparing would replace its log. From here on only the
     * holder of this lock can raise the term to `next`. */
    self->port.drop_term_lock(self->port.ud, next);
    return MSI_ATTEMPT_FAILED;
  }
  if (self->port.prepare(self->port.ud, next, &error) != MS_OK) {
    takeover_grumble(self, "could not prepare to take over", error.message);
    self->port.drop_term_lock(self->port.ud, next);
    return MSI_ATTEMPT_FAILED;
  }
  if (!self->port.raise_term(self->port.ud, term, next)) {
    takeover_abandon(self, next);
    return MSI_ATTEMPT_FAILED;
  }
  self->port.beat(self->port.ud);
  msi_attempt attempt = takeover_proceed(self, term, next);
  if (attempt != MSI_ATTEMPT_WON) return attempt;
  msi_replica_log(self, MS_LOG_INFO,
                  "took over as host of term %" PRIu64 " at version %" PRIu64, next,
                  self->version);
  self->takeovers++;
  msi_takeover_serve(self, now, next);
  return MSI_ATTEMPT_WON;
}
