/*
 * Transactions made by a function, which runs again after a conflict. In steps, none of which waits:
 *
 *   GIVE_WAY   to other peers that lost to earlier transactions of this one
 *   QUEUE      for the one before, of this peer, to be decided; then the function runs
 *   WAIT       for the host's decision
 *
 * ms_share_transact() polls in between, others do so themselves. Owner side.
 */
#include <limits.h>
#include <uv.h>

#include "share.h"

enum { GIVE_WAY_MS = 5 }; /* to losers; the retry of each takes a round trip */

typedef enum transact_phase {
  TRANSACT_GIVE_WAY,
  TRANSACT_QUEUE,
  TRANSACT_WAIT,
  TRANSACT_OVER
} transact_phase;

struct ms_transact {
  uint32_t word;   /* MSI_WORD_TRANSACT */
  ms_share *share; /* pinned */
  ms_transaction_fn fn;
  void *ud;
  unsigned retries; /* that are left */
  uint64_t deadline;
  uint64_t way_end; /* of GIVE_WAY */
  uint64_t lost_at; /* whom it gives way to */
  transact_phase phase;
  /* A poll comes first: what made the view another one is taken in before fn runs again. */
  bool rests;
  bool gave_up;
  ms_receipt *receipt; /* retained; NULL: nothing was submitted */
};

/* ------------------------------------------------------------------ lifetime */

void ms_transaction_options_init(ms_transaction_options *options) {
  *options = (ms_transaction_options){
      .bytes = sizeof *options, .retries = MS_TRANSACTION_RETRIES, .timeout_ms = -1};
}

static ms_status transact_new(ms_share *share, ms_transaction_fn fn, void *ud,
                              const ms_transaction_options *options, ms_transact **out,
                              ms_error *error) {
  ms_transaction_options all;
  ms_transaction_options_init(&all);
  if (options != NULL) {
    if (options->bytes != sizeof all) {
      return msi_fail(error, MS_EARGUMENT, "use ms_transaction_options_init()");
    }
    all = *options;
  }
  if (fn == NULL) return msi_fail(error, MS_EARGUMENT, "no function");
  ms_transact *self = MSI_NEW(share->runtime->alloc, ms_transact);
  if (self == NULL) return msi_fail(error, MS_ENOMEM, "out of memory");
  int timeout_ms = all.timeout_ms == -1 ? share->config.timeout_ms : all.timeout_ms;
  self->word = MSI_WORD_TRANSACT;
  self->share = share;
  self->fn = fn;
  self->ud = ud;
  self->retries = all.retries;
  self->deadline = msi_deadline_after(timeout_ms);
  self->way_end = msi_deadline_after(GIVE_WAY_MS);
  self->lost_at = share->mail.lost_at;
  share->pins++;
  *out = self;
  return MS_OK;
}

ms_status ms_transact_new(ms_share *share, ms_transaction_fn fn, void *ud,
                          const ms_transaction_options *options, ms_transact **out,
                          ms_error *error) {
  ms_status status = msi_share_guard(share);
  if (status != MS_OK) return msi_fail(error, status, "%s", ms_status_text(status));
  return transact_new(share, fn, ud, options, out, error);
}

void ms_transact_free(ms_transact *self) {
  if (self == NULL) return;
  MSI_ASSERT_HANDLE(self, MSI_WORD_TRANSACT);
  ms_share *share = self->share;
  const ms_alloc *alloc = share->runtime->alloc;
  /* Nobody waits for it any more: it is told of as any other patch. */
  if (self->receipt != NULL) self->receipt->is_quiet = false;
  ms_receipt_release(self->receipt);
  MSI_END_HANDLE(self);
  MSI_FREE(alloc, self);
  msi_share_unpin(share);
}

/* --------------------------------------------------------------------- steps */

/*
 * Whoever wins is at once ready for the next one, and may be told of it before the losers: without more it
 * would win that one, too, and so on. So a new transaction waits until those have had their turn that lost to
 * earlier ones of this peer, but not for long, and not twice for one loss.
 */
static bool is_free_to_go(const ms_share *share) {
  return share->mail.loser_count == 0 || share->mail.lost_at <= share->gave_way_at ||
         share->phase != MSI_PHASE_STARTED;
}

static bool is_late(const ms_transact *self) { return uv_hrtime() >= self->deadline; }

/* Would a step get further? */
static bool is_due(const ms_transact *self) {
  const ms_share *share = self->share;
  if (share->phase != MSI_PHASE_STARTED || is_late(self)) return true;
  switch (self->phase) {
    case TRANSACT_GIVE_WAY: return is_free_to_go(share) || uv_hrtime() >= self->way_end;
    case TRANSACT_QUEUE: return !msi_share_is_undecided(share);
    case TRANSACT_WAIT: return self->receipt->state != MS_PENDING;
    case TRANSACT_OVER: return true;
  }
  return true;
}

bool ms_transact_is_due(const ms_transact *self) {
  MSI_ASSERT_HANDLE(self, MSI_WORD_TRANSACT);
  return is_due(self);
}

/* What another document might cure: the host's was another one than the draft. */
static bool may_try_again(const ms_transact *self, ms_status status) {
  if (self->gave_up || self->retries == 0 || is_late(self)) return false;
  if (self->receipt == NULL) return status == MS_ECONFLICT;
  if (self->receipt->state != MS_REJECTED) return false;
  return status == MS_ECONFLICT || status == MS_EPATH || status == MS_ETYPE ||
         status == MS_EARGUMENT || status == MS_ELIMIT || status == MS_ECONDITION;
}

/* Over with `status`, or back to the queue. */
static ms_status transact_end(ms_transact *self, ms_status status) {
  if (status != MS_OK && may_try_again(self, status)) {
    self->retries--;
    self->phase = TRANSACT_QUEUE;
    self->rests = self->receipt == NULL;
    return MS_OK;
  }
  self->phase = TRANSACT_OVER;
  return status;
}

/* fn's own failure comes back as it is. */
static ms_status transact_run(ms_transact *self, ms_error *error) {
  ms_transaction *transaction = NULL;
  ms_receipt_release(self->receipt);
  self->receipt = NULL;
  ms_status status = ms_transaction_new(self->share, &transaction, error);
  if (status != MS_OK) return transact_end(self, status);
  status = self->fn(self->ud, transaction, error);
  self->gave_up = status != MS_OK;
  if (status == MS_OK) {
    status = ms_transaction_commit(transaction, &self->receipt, error);
  }
  ms_transaction_free(transaction);
  if (status != MS_OK || self->receipt == NULL) return transact_end(self, status);
  self->receipt->is_quiet = true;
  self->phase = TRANSACT_WAIT;
  self->rests = is_late(self); /* without any time it is still looked at once */
  return MS_OK;
}

static ms_status transact_decided(ms_transact *self, ms_error *error) {
  const ms_receipt *receipt = self->receipt;
  ms_status status = MS_ECLOSED;
  switch (receipt->state) {
    case MS_ACCEPTED: status = MS_OK; break;
    case MS_PENDING:
      if (self->share->phase != MSI_PHASE_STARTED) {
        status = msi_fail(error, MS_ECLOSED, "the share was closed meanwhile");
      } else {
        /* Who waits no longer hears of it as of any other patch. */
        self->receipt->is_quiet = false;
        status =
            msi_fail(error, MS_ETIMEDOUT,
                     "the transaction was not settled in time: it may yet be accepted");
      }
      break;
    case MS_REJECTED:
    case MS_UNKNOWN:
      status = msi_fail(error, receipt->refusal.status, "%s", receipt->refusal.message);
      break;
  }
  return transact_end(self, status);
}

/* One step that is due. */
static ms_status transact_go(ms_transact *self, ms_error *error) {
  ms_share *share = self->share;
  switch (self->phase) {
    case TRANSACT_GIVE_WAY:
      if (!is_free_to_go(share)) share->gave_way_at = self->lost_at;
      self->phase = TRANSACT_QUEUE;
      return MS_OK;
    case TRANSACT_QUEUE:
      if (msi_share_is_undecided(share) && share->phase == MSI_PHASE_STARTED) {
        self->phase = TRANSACT_OVER;
        return msi_fail(error, MS_ETIMEDOUT, "the last transaction is not decided yet");
      }
      return transact_run(self, error);
    case TRANSACT_WAIT: return transact_decided(self, error);
    case TRANSACT_OVER: break;
  }
  return msi_fail(error, MS_ECLOSED, "the transaction is over");
}

static ms_status transact_step(ms_transact *self, bool *over, ms_error *error) {
  ms_status status = MS_OK;
  self->rests = false;
  while (status == MS_OK && self->phase != TRANSACT_OVER && !self->rests &&
         is_due(self)) {
    status = transact_go(self, error);
  }
  *over = self->phase == TRANSACT_OVER;
  return status;
}

ms_status ms_transact_step(ms_transact *self, bool *over, ms_error *error) {
  MSI_ASSERT_HANDLE(self, MSI_WORD_TRANSACT);
  *over = true;
  ms_status status = msi_share_guard(self->share);
  if (status != MS_OK) return msi_fail(error, status, "%s", ms_status_text(status));
  if (self->phase == TRANSACT_OVER) {
    return msi_fail(error, MS_ECLOSED, "the transaction is over");
  }
  return transact_step(self, over, error);
}

static int64_t left_ms(uint64_t deadline) {
  if (deadline == UINT64_MAX) return -1;
  uint64_t now = uv_hrtime();
  return now >= deadline ? 0 : (int64_t)((deadline - now + 999999) / 1000000);
}

int ms_transact_timeout(const ms_transact *self) {
  MSI_ASSERT_HANDLE(self, MSI_WORD_TRANSACT);
  bool gives_way = self->phase == TRANSACT_GIVE_WAY && self->way_end < self->deadline;
  int64_t left = self->rests ? 0 : left_ms(gives_way ? self->way_end : self->deadline);
  return left > INT_MAX ? INT_MAX : (int)left;
}

/* ------------------------------------------------------------------- at once */

static bool is_due_now(void *ud) { return is_due(ud); }

static bool never(void *ud) {
  (void)ud;
  return false;
}

ms_status ms_share_transact(ms_share *share, ms_transaction_fn fn, void *ud,
                            const ms_transaction_options *options, ms_error *error) {
  ms_transact *self = NULL;
  ms_status status = msi_share_guard(share);
  if (status != MS_OK) return msi_fail(error, status, "%s", ms_status_text(status));
  status = msi_runtime_may_poll(share->runtime, error);
  if (status != MS_OK) return status;
  status = transact_new(share, fn, ud, options, &self, error);
  if (status != MS_OK) return status;
  bool over = false;
  while (!over) {
    status = transact_step(self, &over, error);
    if (over) break;
    ms_status waited =
        msi_runtime_wait(share->runtime, self->rests ? 0 : ms_transact_timeout(self),
                         self->rests ? never : is_due_now, self);
    (void)waited; /* a late one ends with the next step */
  }
  ms_transact_free(self);
  return status;
}
