/*
 * Leases: this peer's requests for locks, and what became of them. Owner side.
 *
 * A lock is a queue on the desk (desk.h), which every peer sees alike; a lease knows the number of the patch that
 * asked, and looks there. Whoever holds a lock has it stand guard over all that it writes: a peer that was
 * stopped, and whose lock went to somebody else meanwhile, is refused its next write by the host, before it has
 * heard of that.
 */
#include "lease.h"

#include <string.h>

#include "desk.h"

struct ms_lease {
  uint32_t word; /* MSI_WORD_LEASE */
  const ms_alloc *alloc;
  ms_share *share; /* NULL: its memory is gone */
  ms_lease *next;  /* of share->leases */
  uint64_t peer;   /* this peer's id when it asked */
  ms_receipt *receipt;
  bool is_returned; /* the lock is given back, as far as this peer is concerned */
  bool is_orphan;   /* its holder freed it, and giving it back did not work yet */
  size_t length;
  char name[];
};

/* ------------------------------------------------------------------- looking */

/* Where the request stands on the desk; false: it does not, or not yet. */
static bool lease_find(const ms_lease *lease, size_t *place, msi_waiter *out) {
  const ms_share *share = lease->share;
  const ms_value *desk = msi_view_desk(share->view);
  return desk != NULL && share->peer == lease->peer &&
         msi_desk_find(desk, lease->name, lease->length, lease->peer,
                       lease->receipt->number, place, out);
}

static bool is_over(const ms_lease *lease) {
  return lease->share == NULL || lease->share->phase != MSI_PHASE_STARTED;
}

/* As of a handle: what is over may be asked by anybody. */
static ms_status lease_guard(const ms_lease *lease) {
  return lease->share == NULL ? MS_OK : msi_share_guard(lease->share);
}

static ms_lease_state lease_state(const ms_lease *lease, uint64_t *fence) {
  size_t place = 0;
  msi_waiter found = {0};
  *fence = 0;
  if (lease->is_returned || is_over(lease)) return MS_LEASE_GONE;
  if (lease->receipt->state == MS_PENDING) return MS_LEASE_WAITING;
  if (!lease_find(lease, &place, &found)) return MS_LEASE_GONE;
  if (place > 0) return MS_LEASE_WAITING;
  *fence = found.fence;
  return MS_LEASE_HELD;
}

ms_lease_state ms_lease_get_state(const ms_lease *lease) {
  MSI_ASSERT_HANDLE(lease, MSI_WORD_LEASE);
  uint64_t fence;
  if (lease_guard(lease) != MS_OK) return MS_LEASE_GONE;
  return lease_state(lease, &fence);
}

bool ms_lease_is_decided(const ms_lease *lease) {
  MSI_ASSERT_HANDLE(lease, MSI_WORD_LEASE);
  return lease->receipt->state != MS_PENDING || lease->is_returned || is_over(lease);
}

/* Does this peer still want what it asked for by that number? */
static bool is_wanted(const ms_share *share, uint64_t number) {
  const ms_lease *lease = share->leases;
  while (lease != NULL && lease->receipt->number != number) lease = lease->next;
  return lease != NULL && !lease->is_returned;
}

bool ms_share_is_locked(const ms_share *share, const char *name, size_t length) {
  msi_waiter holder;
  if (msi_share_guard(share) != MS_OK || name == NULL) return false;
  const ms_value *desk = msi_view_desk(share->view);
  size_t queue = desk == NULL ? 0 : msi_desk_queue(desk, name, length);
  if (queue != 1) return queue > 1;
  return !msi_desk_waiter(desk, name, length, 0, &holder) || holder.peer != share->peer ||
         is_wanted(share, holder.number);
}

uint64_t ms_lease_fence(const ms_lease *lease) {
  MSI_ASSERT_HANDLE(lease, MSI_WORD_LEASE);
  uint64_t fence = 0;
  if (lease_guard(lease) != MS_OK) return 0;
  (void)lease_state(lease, &fence);
  return fence;
}

const char *ms_lease_name(const ms_lease *lease, size_t *length) {
  MSI_ASSERT_HANDLE(lease, MSI_WORD_LEASE);
  if (length != NULL) *length = lease->length;
  return lease->name;
}

/* -------------------------------------------------------------------- asking */

static ms_status lease_make(ms_share *share, const char *name, size_t length,
                            ms_lease **out) {
  ms_lease *lease = msi_alloc_zero(share->runtime->alloc, sizeof *lease + length + 1);
  if (lease == NULL) return MS_ENOMEM;
  lease->word = MSI_WORD_LEASE;
  lease->alloc = share->runtime->alloc;
  lease->share = share;
  lease->peer = share->peer;
  lease->length = length;
  memcpy(lease->name, name, length);
  *out = lease;
  return MS_OK;
}

static void lease_unmake(ms_lease *lease) {
  ms_receipt_release(lease->receipt);
  MSI_END_HANDLE(lease);
  msi_alloc_free(lease->alloc, lease, sizeof *lease + lease->length + 1);
}

ms_status ms_lease_new(ms_share *share, const char *name, size_t length, ms_lease **out,
                       ms_error *error) {
  ms_status status = msi_share_may_write(share, error);
  if (status != MS_OK) return status;
  if (share->batch != NULL) {
    return msi_fail(error, MS_EBUSY, "a lock is asked for outside of batches");
  }
  if (name == NULL) {
    name = "";
    length = 0;
  }
  const ms_alloc *alloc = share->runtime->alloc;
  ms_update *update = NULL;
  status = msi_update_lock(alloc, name, length, &update, error);
  if (status != MS_OK) return status;
  ms_lease *lease = NULL;
  status = lease_make(share, name, length, &lease);
  if (status != MS_OK) msi_fail(error, status, "out of memory");
  if (status == MS_OK) {
    status = msi_share_submit(share, update, 0, &lease->receipt, error);
    if (status != MS_OK) lease_unmake(lease);
  }
  ms_update_release(update);
  if (status != MS_OK) return status;
  lease->receipt->is_quiet = true; /* the lease tells */
  lease->next = share->leases;
  share->leases = lease;
  *out = lease;
  return MS_OK;
}

/* ------------------------------------------------------------------- waiting */

static bool is_decided(void *ud) {
  const ms_lease *lease = ud;
  uint64_t fence;
  return lease_state(lease, &fence) != MS_LEASE_WAITING;
}

/* Why it is gone. */
static ms_status fail_gone(const ms_lease *lease, ms_error *error) {
  const ms_receipt *receipt = lease->receipt;
  if (lease->is_returned || is_over(lease)) {
    return msi_fail(error, MS_ECLOSED, "the lock \"%s\" was given back", lease->name);
  }
  if (receipt->state == MS_REJECTED || receipt->state == MS_UNKNOWN) {
    return msi_fail(error, receipt->refusal.status, "%s", receipt->refusal.message);
  }
  return msi_fail(error, MS_EDENIED, "the lock \"%s\" is not held any more", lease->name);
}

ms_status ms_lease_wait(ms_lease *lease, int timeout_ms, ms_error *error) {
  MSI_ASSERT_HANDLE(lease, MSI_WORD_LEASE);
  uint64_t fence;
  if (!is_decided(lease)) {
    ms_runtime *runtime = lease->share->runtime;
    ms_status status = msi_runtime_may_poll(runtime, error);
    if (status != MS_OK) return status;
    status = msi_runtime_wait(runtime, timeout_ms, is_decided, lease);
    (void)status; /* how it ended shows in the lease */
  }
  switch (lease_state(lease, &fence)) {
    case MS_LEASE_HELD: return MS_OK;
    case MS_LEASE_GONE: return fail_gone(lease, error);
    case MS_LEASE_WAITING: break;
  }
  return msi_fail(error, MS_ETIMEDOUT, "the lock \"%s\" did not come in %d ms",
                  lease->name, timeout_ms);
}

/* --------------------------------------------------------------- giving back */

/* MS_OK also where there is nothing to give back. */
static ms_status lease_return(ms_lease *lease, ms_error *error) {
  ms_share *share = lease->share;
  size_t place;
  msi_waiter found;
  bool may_stand = !lease->is_returned && !is_over(lease) && !share->failed;
  if (!may_stand ||
      (lease->receipt->state != MS_PENDING && !lease_find(lease, &place, &found))) {
    lease->is_returned = true;
    return MS_OK;
  }
  ms_update *update = NULL;
  ms_status status = msi_share_may_write(share, error);
  if (status == MS_OK && share->batch != NULL) {
    status = msi_fail(error, MS_EBUSY, "a lock is given back outside of batches");
  }
  if (status == MS_OK) {
    status = msi_update_unlock(share->runtime->alloc, lease->name, lease->length,
                               lease->receipt->number, &update, error);
  }
  if (status != MS_OK) return status;
  lease->is_returned = true; /* no guard over this one */
  status = msi_share_submit(share, update, 0, NULL, error);
  ms_update_release(update);
  if (status != MS_OK) lease->is_returned = false;
  return status;
}

ms_status ms_lease_return(ms_lease *lease, ms_error *error) {
  MSI_ASSERT_HANDLE(lease, MSI_WORD_LEASE);
  ms_status status = lease_guard(lease);
  if (status != MS_OK) return msi_fail(error, status, "%s", ms_status_text(status));
  return lease_return(lease, error);
}

static void lease_remove(ms_lease *lease) {
  if (lease->share != NULL) {
    ms_lease **at = &lease->share->leases;
    while (*at != lease) at = &(*at)->next;
    *at = lease->next;
  }
  lease_unmake(lease);
}

void ms_lease_free(ms_lease *lease) {
  if (lease == NULL) return;
  MSI_ASSERT_HANDLE(lease, MSI_WORD_LEASE);
  if (lease_guard(lease) != MS_OK) return;
  if (lease_return(lease, NULL) == MS_OK) {
    lease_remove(lease);
  } else {
    lease->is_orphan = true; /* polls try again */
  }
}

void msi_share_tend_leases(ms_share *share) {
  ms_lease *next;
  for (ms_lease *lease = share->leases; lease != NULL; lease = next) {
    next = lease->next;
    if (lease->is_orphan && lease_return(lease, NULL) == MS_OK) lease_remove(lease);
  }
}

void msi_share_drop_leases(ms_share *share) {
  while (share->leases != NULL) {
    ms_lease *lease = share->leases;
    share->leases = lease->next;
    lease->share = NULL;
    if (lease->is_orphan) lease_unmake(lease);
  }
}

/* ------------------------------------------------------------------ guarding */

static size_t count_held(const ms_share *share) {
  size_t count = 0;
  uint64_t fence;
  for (const ms_lease *lease = share->leases; lease != NULL; lease = lease->next) {
    if (lease_state(lease, &fence) == MS_LEASE_HELD) count++;
  }
  return count;
}

/* A guard for each lock that is held, and `update` behind them. */
static ms_status guard_all(const ms_share *share, const ms_update *update, size_t held,
                           ms_update **out, ms_error *error) {
  const ms_alloc *alloc = share->runtime->alloc;
  size_t bytes = (held + 1) * sizeof(ms_update *), count = 0;
  ms_update **all = msi_alloc_get(alloc, bytes);
  if (all == NULL) return msi_fail(error, MS_ENOMEM, "out of memory");
  ms_status status = MS_OK;
  uint64_t fence;
  for (const ms_lease *lease = share->leases; lease != NULL && status == MS_OK;
       lease = lease->next) {
    if (lease_state(lease, &fence) != MS_LEASE_HELD) continue;
    status =
        msi_update_fence(alloc, lease->name, lease->length, fence, &all[count], error);
    if (status == MS_OK) count++;
  }
  if (status == MS_OK) {
    all[count] = (ms_update *)(uintptr_t)update;
    status = msi_update_concat(alloc, (const ms_update *const *)all, count + 1, out);
    if (status != MS_OK) msi_fail(error, status, "%s", ms_status_text(status));
  }
  while (count > 0) ms_update_release(all[--count]);
  msi_alloc_free(alloc, (void *)all, bytes);
  return status;
}

/* Does it change anything but the queues of locks? */
static bool is_guarded(const ms_update *update) {
  if (!msi_update_is_of_desk(update)) return true;
  for (uint32_t i = 0; i < update->op_count; i++) {
    if (update->ops[i].path->count > 0) return true; /* BIND, TTL */
  }
  return false;
}

ms_status msi_share_guard_writes(const ms_share *share, const ms_update *update,
                                 ms_update **out, ms_error *error) {
  size_t held = share->leases == NULL ? 0 : count_held(share);
  if (held > 0 && is_guarded(update)) {
    return guard_all(share, update, held, out, error);
  }
  *out = ms_update_retain(update);
  return MS_OK;
}
