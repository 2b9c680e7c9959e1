/* The roster (see roster.h): an array, since peers are few. */
#include "roster.h"

#include <stdio.h>
#include <string.h>

#include "share.h"

void msi_roster_init(msi_roster *roster, const ms_alloc *alloc) {
  memset(roster, 0, sizeof *roster);
  roster->alloc = alloc;
}

void msi_roster_fini(msi_roster *roster) {
  msi_alloc_free(roster->alloc, roster->lines, roster->capacity * sizeof *roster->lines);
  msi_roster_init(roster, roster->alloc);
}

const msi_roster_line *msi_roster_find(const msi_roster *roster, uint64_t id) {
  for (size_t i = 0; i < roster->count; i++) {
    if (roster->lines[i].peer.id == id) return &roster->lines[i];
  }
  return NULL;
}

/* Both are MS_ROLES_BYTES long, or end before. */
static void copy_roles(char *out, const char *roles) {
  const char *end = roles;
  while (*end != '\0') end += strlen(end) + 1;
  memcpy(out, roles, (size_t)(end - roles) + 1);
}

ms_status msi_roster_add(msi_roster *roster, const ms_peer *peer) {
  if (roster->count == roster->capacity) {
    size_t capacity = roster->capacity == 0 ? 16 : roster->capacity * 2;
    msi_roster_line *lines =
        msi_alloc_resize(roster->alloc, roster->lines, roster->capacity * sizeof *lines,
                         capacity * sizeof *lines);
    if (lines == NULL) return MS_ENOMEM;
    roster->lines = lines;
    roster->capacity = capacity;
  }
  msi_roster_line *line = &roster->lines[roster->count++];
  line->peer = *peer;
  line->peer.program = line->peer.roles = NULL;
  snprintf(line->program, sizeof line->program, "%s", peer->program);
  copy_roles(line->roles, peer->roles);
  return MS_OK;
}

bool msi_roster_take(msi_roster *roster, uint64_t id, msi_roster_line *out) {
  for (size_t i = 0; i < roster->count; i++) {
    if (roster->lines[i].peer.id != id) continue;
    *out = roster->lines[i];
    roster->lines[i] = roster->lines[--roster->count];
    return true;
  }
  return false;
}

/* ------------------------------------------------------------------ of a share */

typedef struct collection {
  msi_roster roster;
  ms_status status;
} collection;

static void collect_peer(void *ud, const ms_peer *peer) {
  collection *self = ud;
  if (self->status == MS_OK) self->status = msi_roster_add(&self->roster, peer);
}

/* A copy of what the replica knows of the peers. A share without a replica has nobody. */
static ms_status collect(ms_share *share, msi_roster *out) {
  collection found = {.status = MS_OK};
  msi_roster_init(&found.roster, share->runtime->alloc);
  if (share->station != NULL) {
    msi_driver_visit(share->runtime->driver);
    msi_replica_peers(msi_station_replica(share->station), collect_peer, &found);
    msi_driver_depart(share->runtime->driver, MSI_DEPART_QUIET);
  }
  ms_status status = found.status;
  if (status == MS_OK) {
    *out = found.roster;
  } else {
    msi_roster_fini(&found.roster);
  }
  return status;
}

/* Valid while the line is. */
static ms_peer told_of(const msi_roster_line *line) {
  ms_peer peer = line->peer;
  peer.program = line->program;
  peer.roles = line->roles;
  return peer;
}

ms_status ms_share_peers(ms_share *share, ms_peer_fn fn, void *ud) {
  msi_roster found;
  ms_status status = msi_share_guard(share);
  if (status != MS_OK) return status;
  if (fn == NULL) return MS_EARGUMENT;
  if (share->station == NULL) return MS_ECLOSED;
  status = collect(share, &found);
  if (status != MS_OK) return status;
  for (size_t i = 0; i < found.count; i++) {
    ms_peer peer = told_of(&found.lines[i]);
    fn(ud, &peer); /* may call anything */
  }
  msi_roster_fini(&found);
  return MS_OK;
}

ms_status msi_share_read_roster(ms_share *share) {
  msi_roster found;
  ms_status status = collect(share, &found);
  if (status != MS_OK) return status;
  msi_roster_fini(&share->roster);
  share->roster = found;
  return MS_OK;
}

static void log_untold(const ms_share *share, ms_status status) {
  msi_runtime_log(share->runtime, MS_LOG_ERROR, "%s: a peer that came was not told: %s",
                  share->name, ms_status_text(status));
}

static void tell_join(ms_share *share, const ms_peer *peer, uint64_t listeners) {
  if (msi_roster_find(&share->roster, peer->id) != NULL) return;
  ms_status status = msi_roster_add(&share->roster, peer);
  if (status != MS_OK) {
    log_untold(share, status);
    return;
  }
  msi_share_call_peer(share, MS_PEER_JOIN, peer, listeners);
}

static void tell_leave(ms_share *share, uint64_t id, uint64_t listeners) {
  msi_roster_line line;
  if (!msi_roster_take(&share->roster, id, &line)) return;
  ms_peer peer = told_of(&line);
  peer.is_host = id == share->last.host;
  msi_share_call_peer(share, MS_PEER_LEAVE, &peer, listeners);
}

void msi_share_tell_peer(ms_share *share, const msi_notice *notice) {
  const msi_member_info *member = notice->member;
  if (member == NULL) {
    tell_leave(share, notice->origin, notice->listeners);
    return;
  }
  ms_peer peer = {.id = notice->origin,
                  .pid = member->pid,
                  .since_ms = member->since_ms,
                  .program = member->program,
                  .is_host = notice->origin == share->last.host,
                  .is_self = notice->origin == share->peer,
                  .readonly = member->readonly,
                  .can_host = member->can_host,
                  .roles = member->roles};
  tell_join(share, &peer, notice->listeners);
}

void msi_share_stale_roster(ms_share *share) {
  share->roster.is_stale = true;
  share->roster.listeners = share->sub_count;
}

/* Callbacks may make the roster anew, so nothing is kept of it from one to the next. */
void msi_share_tell_roster(ms_share *share) {
  msi_roster found;
  uint64_t listeners = share->roster.listeners;
  share->roster.is_stale = false;
  ms_status status = collect(share, &found);
  if (status != MS_OK) {
    log_untold(share, status);
    return;
  }
  for (size_t i = share->roster.count; i > 0; i--) {
    if (i > share->roster.count) continue;
    uint64_t id = share->roster.lines[i - 1].peer.id;
    if (msi_roster_find(&found, id) == NULL) tell_leave(share, id, listeners);
  }
  for (size_t i = 0; i < found.count; i++) {
    ms_peer peer = told_of(&found.lines[i]);
    tell_join(share, &peer, listeners);
  }
  msi_roster_fini(&found);
}
