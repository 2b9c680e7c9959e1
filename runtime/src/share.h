/*
 * The owner's side of runtimes and shares: what the files runtime.c, timer.c, share.c, mail.c, write.c
 * and subscription.c have in common. Everything here belongs to the owner thread; the loop side is
 * reached through `station` only, inside a visit or a turn of the driver.
 */
#ifndef MSI_SHARE_H
#define MSI_SHARE_H

#include <pthread.h>

#include "draft.h"
#include "fork_guard.h"
#include "gather.h"
#include "handle.h"
#include "known_paths.h"
#include "notice.h"
#include "recent.h"
#include "roster.h"
#include "station.h"
#include "view.h"

typedef struct msi_timers {
  ms_timer **heap; /* by time */
  size_t count, capacity;
  uint64_t last_number;
} msi_timers;

struct ms_runtime {
  uint32_t word; /* MSI_WORD_RUNTIME */
  const ms_alloc *alloc;
  msi_driver *driver;
  pthread_t owner;
  msi_grave
      grave; /* both: buried by the owner or on the loop side, released on the loop side */
  const unsigned char *alive; /* one page that is wiped in a forked child; 1 means ours */
  msi_fork_guard guard;       /* where the kernel does not wipe it */
  ms_log_fn log;
  void *log_ud;
  ms_log_level log_level;
  ms_clock_fn clock; /* any thread; NULL: the system's */
  void *clock_ud;
  char program[64];
  ms_share *shares;
  msi_timers timers;
  uint32_t batches; /* open ones, and transactions: no polling meanwhile */
  uint32_t round;   /* of telling, counted: each begins with another share */
  bool polling;     /* inside a poll: callbacks may not poll */
  bool sweep_due;   /* callbacks closed or freed something */
  bool woken;       /* a wake that is still to end a poll */
  ms_round *rounds;
  unsigned round_depth; /* of telling them, nested */
};

typedef enum msi_phase { MSI_PHASE_NEW, MSI_PHASE_STARTED, MSI_PHASE_CLOSED } msi_phase;

typedef enum msi_sub_kind {
  MSI_SUB_CHANGE,
  MSI_SUB_PATCH,
  MSI_SUB_PEER,
  MSI_SUB_EVENT,
  MSI_SUB_HANDLER,
  MSI_SUB_REFUSAL,
  MSI_SUB_STATE,
  MSI_SUB_KINDS
} msi_sub_kind;

/* In the order of their making. */
typedef struct msi_subs {
  ms_sub *first, *last;
} msi_subs;

typedef struct msi_asked msi_asked;

struct ms_batch {
  uint32_t word;   /* MSI_WORD_BATCH */
  ms_share *share; /* NULL once it is closed */
  msi_draft draft;
};

struct ms_share {
  uint32_t word; /* MSI_WORD_SHARE */
  ms_runtime *runtime;
  ms_share *next;
  uint32_t users;      /* holders that did not close */
  uint32_t references; /* holders; at 0 the memory goes */
  uint32_t pins;       /* calls that wait on it: the memory stays */
  msi_phase phase;
  char name[MS_NAME_MAX + 1];
  char roles[MS_ROLES_BYTES]; /* one after the other, see ms_peer */
  ms_validator validator;     /* config points to it, or to none */
  char *dir;                  /* NULL: the default */
  ms_share_config config;

  msi_station *station; /* loop side; NULL unless started */
  uint64_t peer;        /* this peer's id, as of the last turn */
  msi_view *view;
  msi_mailbox mail; /* taken from the station, not yet from the mailbox into the view */
  msi_receipts receipts;
  msi_notices notices;
  size_t refusals;   /* among the notices: they count against max_queue */
  msi_roster roster; /* kept while there are subscriptions to peers */
  msi_hooks *hooks;
  msi_subs subs[MSI_SUB_KINDS];
  ms_sub *closed_subs; /* while callbacks ran: their memory goes when the poll is over */
  uint64_t sub_count;  /* made so far */
  uint64_t telling; /* subscriptions of a later number do not hear what is being told */
  uint64_t told;    /* nor do those up to this one */
  uint64_t
      newest_coalescing; /* number of the last subscription that coalesces; 0: none */
  msi_gather gather;     /* what these are to hear when the poll is through */
  bool telling_whole;    /* that is being told */
  bool visiting;         /* one subscription hears what is there */

  bool handlers_due;   /* there is more to tell others of what this peer handles */
  bool loss_is_logged; /* that messages were lost */
  bool state_changed;
  bool defaults_due; /* merge_defaults, once the replica is complete */
  bool failed;       /* enrolment failed: error */
  ms_error error;

  ms_batch *batch;
  ms_transaction *transaction; /* the open one; NULL: none */
  uint64_t gave_way_at;        /* the loss of another peer that was waited for last */
  ms_receipt *transacted;      /* retained; of the last transaction, NULL: none yet */
  uint64_t draft_changes;      /* of batches, counted: part of the view's number */
  ms_view_watch *watches;
  ms_lease *leases; /* all that are not freed */
  msi_asked *asked; /* calls of this peer that wait for their answer */
  ms_call *calls;   /* calls to this peer that are not freed */
  size_t turn;      /* which of those who handle it is called next */
  const ms_value *
      unhandled; /* retained; names of which others believe that this peer handles them */
  uint64_t announced;   /* this peer's id when it told others what it handles */
  size_t message_bytes; /* of messages among the notices */
  uint64_t messages_lost;
  msi_recent recent;
  msi_known_paths known;
  uint64_t breaks; /* of the mailbox, as far as the view took them */
  uint64_t sync_token;
  ms_share_info last; /* what msi_replica_inspect said last; kept after close */
  uint64_t submitted, accepted, rejected, unknown;
};

/* For notices that are made now: the round that makes them by a callback, else 0. */
static inline uint32_t msi_runtime_round(const ms_runtime *runtime) {
  return runtime->polling ? runtime->round : 0;
}
/* MS_ECLOSED in a forked child, MS_EWRONGTHREAD, else MS_OK. */
ms_status msi_runtime_guard(const ms_runtime *runtime);
/* The same for a share, and its allocator. */
static inline ms_status msi_share_guard(const ms_share *share) {
  MSI_ASSERT_HANDLE(share, MSI_WORD_SHARE);
  return msi_runtime_guard(share->runtime);
}
static inline const ms_alloc *msi_share_alloc(const ms_share *share) {
  MSI_ASSERT_HANDLE(share, MSI_WORD_SHARE);
  return share->runtime->alloc;
}
/* Wall time, milliseconds since 1970. */
int64_t msi_runtime_wall_ms(const ms_runtime *runtime);
void msi_runtime_log(const ms_runtime *runtime, ms_log_level level, const char *format,
                     ...) __attribute__((format(printf, 3, 4)));
/* MS_OK when the runtime may poll now; else MS_EBUSY, MS_EWRONGTHREAD, MS_ECLOSED. */
ms_status msi_runtime_may_poll(const ms_runtime *runtime, ms_error *error);

/* Poll in rounds, at least once, until `done` says so or the time is up (MS_ETIMEDOUT). Negative:
 * without end. A wake does not end it, but is kept for the owner's own poll. */
typedef ms_done_fn msi_done_fn;
MS_CHECKED ms_status msi_runtime_wait(ms_runtime *runtime, int64_t timeout_ms,
                                      msi_done_fn done, void *ud);
/* uv_hrtime() then; UINT64_MAX: without end. */
uint64_t msi_deadline_after(int64_t timeout_ms);
/* Let the loop run until mail comes or the deadline, at least once; callbacks are not run. */
void msi_runtime_fetch(ms_runtime *runtime, uint64_t deadline);

/* share.c: after share->pins++. The share may be gone then. */
void msi_share_unpin(ms_share *share);
/* share.c: the memory of a share that lost its last holder inside a callback. */
void msi_share_destroy(ms_share *share);

/* mail.c: loop side: move the station's mail over, and look at the replica. False: nothing new. */
bool msi_share_collect(ms_share *share);
void msi_share_note_info(ms_share *share, const msi_replica_info *from);
/* Is there mail or a notice to work on? */
bool msi_share_has_work(const ms_share *share);
/* One piece of mail goes into the view; makes notices. False when there is none (or no memory). */
bool msi_share_take(ms_share *share);
/* Own patches up to `number` are settled: nobody knows how. */
void msi_share_settle_unknown(ms_share *share, uint64_t number, const char *why);

/* share_read.c: what reads return: the draft of the open batch, else the view. Borrowed; NULL before it
 * is complete. */
const ms_value *msi_share_root(const ms_share *share);

/* write.c: parse nothing, apply to the view, hand to the replica. `update` is borrowed; wall_ms 0:
 * now. */
MS_CHECKED ms_status msi_share_submit(ms_share *share, const ms_update *update,
                                      int64_t wall_ms, ms_receipt **receipt,
                                      ms_error *error);
/* Is the last transaction on its way? */
bool msi_share_is_undecided(const ms_share *share);
/*
 * The same with what was read (may be NULL) on the view as it was when its number was `view_number`: hidden
 * until it is accepted. MS_ECONFLICT: the view has changed since. The receipt is always made.
 */
MS_CHECKED ms_status msi_share_transact(ms_share *share, const ms_update *update,
                                        msi_reads *reads, uint64_t view_number,
                                        int64_t wall_ms, ms_receipt **receipt,
                                        ms_error *error);
MS_CHECKED ms_status msi_share_may_write(const ms_share *share, ms_error *error);
MS_CHECKED ms_status msi_write_compile(const ms_alloc *alloc, const ms_write *write,
                                       ms_update **out, ms_error *error);
void msi_share_merge_defaults(ms_share *share);
/* view_watch.c: what reads return has changed; tells the watches. by_write: through one own write. */
void msi_share_changed(ms_share *share, bool by_write);
/* batch.c */
MS_CHECKED ms_status msi_batch_add(ms_batch *batch, const ms_update *update,
                                   ms_error *error);
/* The share closes: its open batch, if any, is discarded; the batch's holder still frees it. */
void msi_share_drop_batch(ms_share *share);
/* transaction.c: the same for the open transaction. */
void msi_share_drop_transaction(ms_share *share);
int64_t msi_transaction_wall_ms(const ms_transaction *transaction);

/* roster.c: who is there now is known. MS_ENOMEM. */
MS_CHECKED ms_status msi_share_read_roster(ms_share *share);
/* Something about peers may have been missed: to be told when all notices are (roster.h). */
void msi_share_stale_roster(ms_share *share);
void msi_share_tell_roster(ms_share *share);
void msi_share_tell_peer(ms_share *share, const msi_notice *notice);
/* share_access.c */
/* The roles of a config as ms_peer has them, into MS_ROLES_BYTES bytes. MS_EARGUMENT, MS_ELIMIT. */
MS_CHECKED ms_status msi_roles_read(const char *const *roles, char *out, ms_error *error);
/* subscription.c */
void msi_share_call_peer(ms_share *share, ms_peer_event event, const ms_peer *peer,
                         uint64_t listeners);

/* subscription.c: tell one notice, taking mail first when there is none: false when nothing is left. */
bool msi_share_tell(ms_share *share);
/* subscription.c: a poll is through: tell a stale roster, and what coalescing subscriptions are to
 * hear. */
void msi_share_tell_gathered(ms_share *share);
/* Nobody is called any more. */
void msi_share_close_subs(ms_share *share);
/* Frees subscriptions that were closed while callbacks ran. */
void msi_share_sweep_subs(ms_share *share);

/* round.c: callbacks have run. */
void msi_rounds_tell(ms_runtime *runtime);
void msi_rounds_fini(ms_runtime *runtime);

/* timer.c: run what is due. */
void msi_timers_run(ms_runtime *runtime);
/* When the next one is; UINT64_MAX: there is none. */
uint64_t msi_timers_due(const ms_runtime *runtime);
void msi_timers_fini(ms_runtime *runtime);

#endif
