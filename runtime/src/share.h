/*
 * The owner's side of runtimes and shares: what the files runtime.c, timer.c, share.c, write.c
 * and subscription.c have in common. Everything here belongs to the owner thread; the loop side is reached through
 * `station` only, inside a visit or a turn of the driver.
 */
#ifndef MSI_SHARE_H
#define MSI_SHARE_H

#include <pthread.h>

#include "notice.h"
#include "station.h"
#include "view.h"

struct ms_runtime {
  const ms_alloc *alloc;
  msi_driver *driver;
  pthread_t owner;
  const unsigned char *alive; /* one page that the kernel wipes in a forked child; 1 means ours */
  ms_log_fn log;
  void *log_ud;
  ms_log_level log_level;
  char program[64];
  ms_share *shares;
  ms_timer *timers; /* by time */
  uint32_t batches; /* open ones: no polling meanwhile */
  bool polling;     /* inside a poll: callbacks may not poll */
};

typedef enum msi_phase { MSI_PHASE_NEW, MSI_PHASE_STARTED, MSI_PHASE_CLOSED } msi_phase;

struct ms_share {
  ms_runtime *runtime;
  ms_share *next;
  uint32_t users;      /* holders that did not close */
  uint32_t references; /* holders; at 0 the memory goes */
  msi_phase phase;
  char name[MS_NAME_MAX + 1];
  char *dir; /* NULL: the default */
  ms_share_config config;

  msi_station *station; /* loop side; NULL unless started */
  uint64_t peer;        /* this peer's id, as of the last turn */
  msi_view *view;
  msi_mailbox mail; /* taken from the station, not yet from the mailbox into the view */
  msi_receipts receipts;
  msi_notices notices;
  msi_hooks *hooks;
  ms_sub *subs; /* in the order of their making */

  bool state_changed;
  bool defaults_due; /* merge_defaults, once the replica is complete */
  bool failed;       /* enrolment failed: error */
  ms_error error;

  ms_batch *batch;
  uint64_t draft_changes; /* of batches, counted: part of the view's number */
  uint64_t breaks; /* of the mailbox, as far as the view took them */
  uint64_t sync_token;
  ms_share_info last; /* what msi_replica_inspect said last; kept after close */
  uint64_t submitted, accepted, rejected, unknown;
};

/* MS_ECLOSED in a forked child, MS_EWRONGTHREAD, else MS_OK. */
ms_status msi_runtime_guard(const ms_runtime *runtime);
void msi_runtime_log(const ms_runtime *runtime, ms_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* MS_OK when the runtime may poll now; else MS_EBUSY, MS_EWRONGTHREAD, MS_ECLOSED. */
ms_status msi_runtime_may_poll(const ms_runtime *runtime, ms_error *error);

/* Poll in rounds until `done` says so or the time is up (MS_ETIMEDOUT). Negative: without end. */
typedef bool (*msi_done_fn)(void *ud);
MS_CHECKED ms_status msi_runtime_wait(ms_runtime *runtime, int64_t timeout_ms, msi_done_fn done,
                                      void *ud);
/* Let the loop run up to timeout_ms and take what it has; callbacks are not run. */
void msi_runtime_turn(ms_runtime *runtime, int64_t timeout_ms);

/* Loop side: move the station's mail over, and look at the replica. False: nothing new. */
bool msi_share_collect(ms_share *share);
/* Is there mail or a notice to work on? */
bool msi_share_has_work(const ms_share *share);
/* One piece of mail goes into the view; makes notices. False when there is none (or no memory). */
bool msi_share_take(ms_share *share);
/* Tell one notice, taking mail first when there is none: false when nothing is left. */
bool msi_share_tell(ms_share *share);
/* Leave: the station closes, the view stays readable. */
void msi_share_leave(ms_share *share);
/* Take deliveries, without callbacks, until fewer than max_queue own patches are unsettled. */
bool msi_share_make_room(ms_share *share);
void msi_share_merge_defaults(ms_share *share);

/* write.c: parse nothing, apply to the view, hand to the replica. `update` is borrowed. */
MS_CHECKED ms_status msi_share_submit(ms_share *share, ms_update *update, ms_receipt **receipt,
                                      ms_error *error);

/* subscription.c */
void msi_share_tell_notice(ms_share *share, const msi_notice *notice);
void msi_share_tell_state(ms_share *share);
/* Frees subscriptions that were closed while callbacks ran; `all`: every one. */
void msi_share_sweep_subs(ms_share *share, bool all);

/* share.c: the memory of a share that lost its last holder inside a callback. */
void msi_share_destroy(ms_share *share);

/* timer.c: run what is due; true when something ran. Milliseconds until the next one; -1: none. */
bool msi_timers_run(ms_runtime *runtime);
int64_t msi_timers_wait_ms(const ms_runtime *runtime);

#endif
