/*
 * The driver (see driver.h).
 *
 * Shared between the threads are atomics only, and the loop under `mutex`:
 *
 *   away      the owner is outside of its poll
 *   epoch     counts departures: the same number twice, a nap apart, means that the owner stayed away
 *   place     where the stand-in is: DEEP (asleep until nudged), NAP, or WATCH (in poll on the loop's
 *             descriptor, with the timeout the loop had when it last turned)
 *
 * Three handshakes need care. The stand-in announces DEEP and then looks at `away` again; the owner
 * sets `away` and then looks at `place`: with sequentially consistent accesses one of them sees the
 * other. Likewise a wake sets `woken` and then looks at `away`, the leaving owner the other way round:
 * what went to a loop that the owner has just left shows in its descriptor. A visit that starts a timer
 * sees WATCH and nudges, or the stand-in sees the new timeout, because it announces WATCH while it
 * still holds the mutex.
 *
 * An owner that was away for longer than a nap before its last poll, as one is that renders frames, is
 * stood in for at once when it leaves again: a nap after each frame would delay what comes meanwhile. So
 * is one that polls because its own event loop was told to: it is unlikely to poll again before it is told again,
 * or does so a few times to no purpose.
 *
 * An owner that tells its callbacks of what came, and is no host, is stood in for later: fetching more would
 * only put two processors to the same work, and memory that one allocates and the other frees is dear. Each
 * piece of mail that it takes counts as a poll; a callback that lasts is stood in for after ten naps.
 *
 * The stand-in in WATCH knows what the loop wanted when it turned last. A poll of the owner changes
 * that, so leaving one nudges it; it then takes a nap before it drives again, so that an owner that
 * polls without pause is not disturbed at every turn.
 *
 * Seen with libuv 1.44: a stale loop time makes timers fire at once, so the time is updated whenever
 * the loop changes hands; UV_RUN_ONCE may block past its last timer, so the deadline's callback calls
 * uv_stop(); registrations with epoll or kqueue happen inside uv_run, so a visit that adds a watcher nudges.
 */
#include "driver.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#include "wake.h"

enum {
  NAP_MS = 2,
  DEFER_MS = 1,
  CALM_NAPS = 25,    /* naps with the owner in its poll before deep sleep */
  PATIENT_NAPS = 10, /* naps before an owner that tells callbacks is stood in for */
  HASTY_POLLS =
      4, /* of an owner with an event loop of its own, before it seems to poll without pause */
  YIELDS_MAX = 200 /* how often a visit lets a waiting stand-in go first */
};
static const uint64_t QUIET_NS = 4000;
static const uint64_t NAP_NS = UINT64_C(1000000) * NAP_MS;

enum { PLACE_DEEP, PLACE_NAP, PLACE_WATCH };

struct msi_driver {
  const ms_alloc *alloc;
  msi_turn_fn on_turn;
  void *ud;

  pthread_mutex_t mutex;
  uv_loop_t loop;       /* under mutex */
  uv_prepare_t prepare; /* under mutex */
  uv_check_t check;     /* under mutex */
  uv_idle_t idle;       /* under mutex; started: the loop does not sleep */
  uv_timer_t deadline;  /* under mutex */
  uv_async_t async;     /* uv_async_send: any thread */
  bool turning;         /* under mutex: the owner is inside uv_run */
  uint64_t left_at;     /* owner: when it left its last poll */
  int hasty; /* owner: how many of its last polls came soon after the ones before, untold */
  uint64_t quiet_until; /* owner; 0: not quiet */

  pthread_t thread;
  bool has_thread;
  msi_wake nudge; /* wakes the stand-in */
  msi_wake tell;  /* tells the owner's event loop */
  _Atomic bool away;
  _Atomic bool
      dwells; /* the owner stays away for longer than a nap when it leaves, in all likelihood */
  _Atomic bool
      tells; /* the owner tells callbacks of what came, and nobody else hangs on its loop */
  _Atomic uint64_t epoch;
  _Atomic int place;
  _Atomic bool deferred; /* the nudge is about bytes that may wait a little */
  _Atomic bool wants;    /* the stand-in waits for the mutex */
  _Atomic bool quit;
  _Atomic bool woken;
  _Atomic bool noticed; /* `tell` is raised */
  _Atomic bool watched; /* somebody asked for its descriptor */
  _Atomic uint64_t standin_turns;
};

static void notice(msi_driver *driver) {
  if (!atomic_exchange(&driver->noticed, true)) msi_wake_raise(&driver->tell);
}

/* ------------------------------------------------------------ the loop side */

static void on_idle(uv_idle_t *handle) { (void)handle; }

static void end_turn(msi_driver *driver) {
  if (driver->on_turn(driver->ud)) {
    uv_idle_start(&driver->idle, on_idle);
  } else {
    uv_idle_stop(&driver->idle);
  }
}

static void on_prepare(uv_prepare_t *handle) { end_turn(handle->data); }

static void on_check(uv_check_t *handle) { end_turn(handle->data); }

static void on_deadline(uv_timer_t *handle) { uv_stop(handle->loop); }

static void on_async(uv_async_t *handle) { uv_stop(handle->loop); }

/* ------------------------------------------------------------- the stand-in */

static void standin_nap(msi_driver *driver, int timeout_ms) {
  struct pollfd nudge = {.fd = driver->nudge.fd, .events = POLLIN};
  if (poll(&nudge, 1, timeout_ms) > 0) msi_wake_drain(&driver->nudge);
}

static void standin_sleep(msi_driver *driver) {
  atomic_store(&driver->place, PLACE_DEEP);
  if (!atomic_load(&driver->away) && !atomic_load(&driver->quit)) standin_nap(driver, -1);
  atomic_store(&driver->place, PLACE_NAP);
}

static void standin_lock(msi_driver *driver) {
  if (pthread_mutex_trylock(&driver->mutex) == 0) return;
  atomic_store(&driver->wants, true);
  pthread_mutex_lock(&driver->mutex);
  atomic_store(&driver->wants, false);
}

/* One turn, then wait for the loop's next event. */
static void standin_turn(msi_driver *driver) {
  standin_lock(driver);
  if (!atomic_load(
          &driver->away)) { /* the owner drives: it was asleep with the mutex until now */
    pthread_mutex_unlock(&driver->mutex);
    return;
  }
  atomic_fetch_add_explicit(&driver->standin_turns, 1, memory_order_relaxed);
  uv_update_time(&driver->loop);
  uv_run(&driver->loop, UV_RUN_NOWAIT);
  uv_update_time(&driver->loop);
  int timeout_ms = uv_backend_timeout(&driver->loop);
  atomic_store(&driver->place, PLACE_WATCH);
  pthread_mutex_unlock(&driver->mutex);

  struct pollfd fds[2] = {{.fd = uv_backend_fd(&driver->loop), .events = POLLIN},
                          {.fd = driver->nudge.fd, .events = POLLIN}};
  int ready = poll(fds, 2, timeout_ms);
  atomic_store(&driver->place, PLACE_NAP);
  if (ready > 0 && (fds[1].revents & POLLIN) != 0) {
    msi_wake_drain(&driver->nudge);
    /* Let a burst of writes gather; what else becomes due meanwhile is a millisecond late. */
    if (atomic_exchange(&driver->deferred, false)) standin_nap(driver, DEFER_MS);
  }
}

static void *standin_main(void *arg) {
  msi_driver *driver = arg;
  uint64_t seen = 0;
  int calm = 0, patience = 0;
  while (!atomic_load(&driver->quit)) {
    if (!atomic_load(&driver->away)) {
      seen = 0;
      if (++calm <= CALM_NAPS) {
        standin_nap(driver, NAP_MS);
      } else {
        standin_sleep(driver);
        calm = 0;
      }
      continue;
    }
    calm = 0;
    uint64_t epoch = atomic_load(&driver->epoch);
    bool is_new = epoch != seen;
    seen = epoch;
    if (is_new) patience = 0;
    bool is_patient = atomic_load(&driver->tells) && patience < PATIENT_NAPS;
    if (is_patient || (is_new && !atomic_load(&driver->dwells))) {
      patience++;
      standin_nap(driver, NAP_MS);
      continue;
    }
    while (!atomic_load(&driver->quit) && atomic_load(&driver->away) &&
           atomic_load(&driver->epoch) == seen) {
      standin_turn(driver);
    }
  }
  return NULL;
}

static bool standin_start(msi_driver *driver) {
  sigset_t all, before;
  sigfillset(&all);
  if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) return false;
  int failed = pthread_create(&driver->thread, NULL, standin_main, driver);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  driver->has_thread = failed == 0;
  return driver->has_thread;
}

/* ------------------------------------------------------------------ lifetime */

/* Initialises the handles, which cannot fail except for the async one. */
static bool handles_init(msi_driver *driver) {
  if (uv_async_init(&driver->loop, &driver->async, on_async) != 0) return false;
  uv_prepare_init(&driver->loop, &driver->prepare);
  uv_check_init(&driver->loop, &driver->check);
  uv_idle_init(&driver->loop, &driver->idle);
  uv_timer_init(&driver->loop, &driver->deadline);
  driver->prepare.data = driver->check.data = driver;
  uv_prepare_start(&driver->prepare, on_prepare);
  uv_check_start(&driver->check, on_check);
  uv_unref((uv_handle_t *)&driver->prepare);
  uv_unref((uv_handle_t *)&driver->check);
  uv_unref((uv_handle_t *)&driver->idle);
  return true;
}

static void close_fds(msi_driver *driver) {
  msi_wake_close(&driver->nudge);
  msi_wake_close(&driver->tell);
}

ms_status msi_driver_new(const ms_alloc *alloc, msi_turn_fn on_turn, void *ud,
                         msi_driver **out, ms_error *error) {
  alloc = msi_alloc_resolve(alloc);
  msi_driver *driver = MSI_NEW(alloc, msi_driver);
  if (driver == NULL) return msi_fail(error, MS_ENOMEM, "out of memory");
  driver->alloc = alloc;
  driver->on_turn = on_turn;
  driver->ud = ud;
  driver->nudge = driver->tell = MSI_WAKE_NONE;
  atomic_store(&driver->away, true);
  atomic_store(&driver->epoch, 1);
  atomic_store(&driver->place, PLACE_NAP);
  if (!msi_wake_open(&driver->nudge) || !msi_wake_open(&driver->tell) ||
      uv_loop_init(&driver->loop) != 0) {
    goto fail;
  }
  if (!handles_init(driver)) {
    uv_loop_close(&driver->loop);
    goto fail;
  }
  pthread_mutex_init(&driver->mutex, NULL);
  if (!standin_start(driver)) {
    msi_driver_free(driver);
    return msi_fail(error, MS_ELIMIT, "no thread for the stand-in");
  }
  *out = driver;
  return MS_OK;
fail:
  close_fds(driver);
  MSI_FREE(alloc, driver);
  return msi_fail(error, MS_ELIMIT, "no descriptors for an event loop");
}

void msi_driver_free(msi_driver *driver) {
  if (driver == NULL) return;
  if (driver->has_thread) {
    atomic_store(&driver->quit, true);
    msi_wake_raise(&driver->nudge);
    pthread_join(driver->thread, NULL);
  }
  uv_close((uv_handle_t *)&driver->async, NULL);
  uv_close((uv_handle_t *)&driver->prepare, NULL);
  uv_close((uv_handle_t *)&driver->check, NULL);
  uv_close((uv_handle_t *)&driver->idle, NULL);
  uv_close((uv_handle_t *)&driver->deadline, NULL);
  uv_run(&driver->loop, UV_RUN_DEFAULT);
  int busy = uv_loop_close(&driver->loop);
  MSI_ASSERT(busy == 0);
  (void)busy;
  pthread_mutex_destroy(&driver->mutex);
  close_fds(driver);
  MSI_FREE(driver->alloc, driver);
}

uv_loop_t *msi_driver_loop(msi_driver *driver) { return &driver->loop; }

/* --------------------------------------------------------------------- owner */

/* Will the owner be away for long when it leaves? As of how long it was away before, and why it came. */
static void note_pace(msi_driver *driver) {
  bool is_slow = uv_hrtime() - driver->left_at > NAP_NS;
  if (is_slow || atomic_load(&driver->noticed)) {
    driver->hasty = 0;
  } else {
    if (driver->hasty <= HASTY_POLLS) driver->hasty++;
  }
  int most = atomic_load(&driver->watched) ? HASTY_POLLS : 0;
  atomic_store(&driver->dwells, driver->hasty <= most);
}

void msi_driver_enter(msi_driver *driver) {
  driver->quiet_until = 0;
  atomic_store(&driver->away, false);
  note_pace(driver);
  pthread_mutex_lock(&driver->mutex);
  uv_update_time(&driver->loop);
  atomic_store(&driver->deferred, false);
}

void msi_driver_turn(msi_driver *driver, int64_t timeout_ms) {
  driver->turning = true;
  if (timeout_ms == 0 || atomic_load(&driver->woken)) {
    uv_run(&driver->loop, UV_RUN_NOWAIT);
  } else {
    if (timeout_ms > 0) {
      uv_timer_start(&driver->deadline, on_deadline, (uint64_t)timeout_ms, 0);
    }
    uv_run(&driver->loop, UV_RUN_ONCE);
    uv_timer_stop(&driver->deadline);
  }
  driver->turning = false;
}

void msi_driver_leave(msi_driver *driver) {
  driver->left_at = uv_hrtime();
  pthread_mutex_unlock(&driver->mutex);
  atomic_fetch_add(&driver->epoch, 1);
  atomic_store(&driver->away, true);
  if (atomic_load(&driver->place) != PLACE_NAP) msi_wake_raise(&driver->nudge);
  if (atomic_load(&driver->woken)) notice(driver);
}

void msi_driver_progress(msi_driver *driver) {
  atomic_store_explicit(&driver->tells, true, memory_order_relaxed);
  atomic_fetch_add_explicit(&driver->epoch, 1, memory_order_relaxed);
}

void msi_driver_told(msi_driver *driver) {
  atomic_store_explicit(&driver->tells, false, memory_order_relaxed);
}

void msi_driver_rest(msi_driver *driver) {
  driver->quiet_until = driver->left_at + QUIET_NS;
}

bool msi_driver_is_quiet(const msi_driver *driver, uint64_t now) {
  return now < driver->quiet_until &&
         !atomic_load_explicit(&driver->woken, memory_order_relaxed) &&
         !atomic_load_explicit(&driver->noticed, memory_order_relaxed);
}

void msi_driver_visit(msi_driver *driver) {
  driver->quiet_until = 0;
  /* The mutex is not fair: a loop of visits would starve the stand-in. */
  for (int i = 0;
       i < YIELDS_MAX && atomic_load_explicit(&driver->wants, memory_order_relaxed);
       i++) {
    sched_yield();
  }
  pthread_mutex_lock(&driver->mutex);
}

void msi_driver_depart(msi_driver *driver, msi_departure what) {
  pthread_mutex_unlock(&driver->mutex);
  if (what == MSI_DEPART_QUIET || atomic_load(&driver->place) != PLACE_WATCH) return;
  if (what == MSI_DEPART_DEFERRED) {
    if (atomic_exchange(&driver->deferred, true)) return; /* nudged already */
  }
  msi_wake_raise(&driver->nudge);
}

void msi_driver_interrupt(msi_driver *driver) {
  if (driver->turning) {
    uv_stop(&driver->loop);
  } else {
    msi_driver_notice(driver);
  }
}

void msi_driver_notice(msi_driver *driver) {
  if (atomic_load_explicit(&driver->watched, memory_order_relaxed)) notice(driver);
}

void msi_driver_wake(msi_driver *driver) {
  int before = errno; /* a signal handler leaves it alone */
  atomic_store(&driver->woken, true);
  if (!atomic_load(&driver->away)) {
    uv_async_send(&driver->async);
  } else {
    notice(driver);
  }
  errno = before;
}

bool msi_driver_take_wake(msi_driver *driver) {
  return atomic_exchange(&driver->woken, false);
}

int msi_driver_fd(msi_driver *driver) {
  atomic_store(&driver->watched, true);
  return driver->tell.fd;
}

bool msi_driver_is_watched(const msi_driver *driver) {
  return atomic_load_explicit(&driver->watched, memory_order_relaxed);
}

void msi_driver_calm(msi_driver *driver) {
  if (!atomic_load_explicit(&driver->noticed, memory_order_relaxed)) return;
  msi_wake_drain(&driver->tell);
  atomic_store(&driver->noticed, false);
  /* A wake up to here raised nothing, or what was drained. */
  if (atomic_load(&driver->woken)) notice(driver);
}

uint64_t msi_driver_standin_turns(const msi_driver *driver) {
  return atomic_load_explicit(&driver->standin_turns, memory_order_relaxed);
}
