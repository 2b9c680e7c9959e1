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
  line->peer.program = NULL;
  snprintf(line->program, sizeof line->program, "%s", peer->program);
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

/* Who is there. A share without a replica has nobody. */
static ms_status collect(ms_share *share, msi_roster *out) {
  collection found = {.status = MS_OK};
  msi_roster_init(&found.roster, share->runtime->alloc);
  ms_status status = MS_OK;
  if (share->station != NULL) status = ms_share_peers(share, collect_peer, &found);
  if (status == MS_OK) status = found.status;
  if (status == MS_OK) {
    *out = found.roster;
  } else {
    msi_roster_fini(&found.roster);
  }
  return status;
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
  line.peer.program = line.program;
  line.peer.is_host = id == share->last.host;
  msi_share_call_peer(share, MS_PEER_LEAVE, &line.peer, listeners);
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
                  .can_host = member->can_host};
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
    ms_peer peer = found.lines[i].peer;
    peer.program = found.lines[i].program;
    tell_join(share, &peer, listeners);
  }
  msi_roster_fini(&found);
}
