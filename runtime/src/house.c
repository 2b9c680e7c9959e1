/*
 * What a host decides of itself, in entries of its own: places whose time is over go, and so do leases of
 * holders that have shown no sign of life.
 *
 * A holder's signs are the frames of its link, and it sends PING where there is nothing else. They are
 * counted in punctual ticks of the host: one that was stopped itself blames nobody.
 */
#include <inttypes.h>
#include <string.h>

#include "replica_state.h"

enum { EXPIRIES_MAX = 16 }; /* entries at a time, so that others have their turn */

/* The update is taken. */
static ms_status house_commit(msi_replica *self, uint64_t now, ms_update *update) {
  msi_entry entry;
  memset(&entry, 0, sizeof entry);
  entry.kind = MSI_ENTRY_HOUSE;
  entry.patch.origin = self->peer;
  entry.patch.wall_ms = self->port.wall_ms(self->port.ud);
  entry.patch.update = update;
  ms_status st = msi_host_commit_own(self, now, &entry);
  ms_update_release(update);
  return st;
}

void msi_house_expire(msi_replica *self, uint64_t now) {
  uint64_t next = 0;
  for (int i = 0; self->state == MS_SHARE_HOST && i < EXPIRIES_MAX; i++) {
    ms_update *update = NULL;
    ms_status st =
        msi_ttl_expiry(self->alloc, self->desk, self->root, now, &update, &next);
    if (st == MS_OK && update != NULL) st = house_commit(self, now, update);
    if (st != MS_OK) {
      self->expire_at = now + MSI_TICK_NS; /* then again */
      return;
    }
    self->expire_at = next;
    if (update == NULL || next > now) return;
  }
}

/* -------------------------------------------------------------------- leases */

typedef struct lapses {
  msi_replica *replica;
  ms_update *update; /* the first one found */
  ms_status st;
} lapses;

static void look_at_lease(void *ud, const char *name, size_t length,
                          const ms_value *queue) {
  lapses *self = ud;
  msi_waiter first;
  (void)queue;
  if (self->update != NULL || self->st != MS_OK) return;
  if (!msi_desk_waiter(self->replica->desk, name, length, 0, &first)) return;
  const msi_member *member = msi_members_find(&self->replica->members, first.peer);
  if (first.peer == self->replica->peer || member == NULL) return;
  uint64_t quiet_ns = MSI_TICK_NS * (uint64_t)member->quiet_ticks;
  if (quiet_ns < self->replica->config.host_timeout_ns + MSI_TICK_NS) return;
  self->st = msi_update_lapse(self->replica->alloc, first.peer, name, length, first.fence,
                              &self->update, NULL);
}

void msi_house_tick(msi_replica *self, uint64_t now, bool punctual) {
  for (size_t i = 0; i < self->members.count; i++) {
    msi_member *member = &self->members.items[i];
    member->quiet_ticks = punctual ? member->quiet_ticks + 1 : 0;
  }
  ms_status st = MS_OK;
  while (st == MS_OK && self->state == MS_SHARE_HOST) {
    lapses found = {.replica = self};
    msi_desk_each(self->desk, look_at_lease, &found);
    if (found.update == NULL) return;
    msi_replica_log(self, MS_LOG_WARNING, "a lease lapses: its holder shows no life");
    st = house_commit(self, now, found.update);
  }
}
