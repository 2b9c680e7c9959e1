/*
 * The runtime: a driver, its shares, and the owner's polls.
 *
 * A poll has two halves. In the first the owner is the loop side: it turns the loop until a station
 * has mail, and moves the mail over. In the second the mutex is free again: mail goes into views one
 * piece at a time and the callbacks hear of it, so that a callback may write, and a slow one holds up
 * nobody but its own process.
 */
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "fork_page.h"
#include "call.h"
#include "lease.h"
#include "process_name.h"
#include "share.h"

static const int64_t BUDGET_MAX_US = INT64_C(1)
                                     << 50; /* more is none: no sum overflows */

void ms_runtime_config_init(ms_runtime_config *config) {
  *config = (ms_runtime_config){.bytes = sizeof *config, .log_level = MS_LOG_WARNING};
}

/* ------------------------------------------------------------------ guarding */

static const unsigned char *alive_page(msi_fork_guard *guard) {
  void *page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return NULL;
  if (!msi_fork_page_wipe(page, (size_t)sysconf(_SC_PAGESIZE))) {
    msi_fork_guard_add_flag(guard, page);
  }
  *(unsigned char *)page = 1;
  return page;
}

ms_status msi_runtime_guard(const ms_runtime *runtime) {
  MSI_ASSERT_HANDLE(runtime, MSI_WORD_RUNTIME);
  if (*runtime->alive == 0) return MS_ECLOSED;
  return pthread_equal(pthread_self(), runtime->owner) ? MS_OK : MS_EWRONGTHREAD;
}

ms_status msi_runtime_may_poll(const ms_runtime *runtime, ms_error *error) {
  ms_status status = msi_runtime_guard(runtime);
  if (status != MS_OK) return msi_fail(error, status, "%s", ms_status_text(status));
  if (runtime->polling) return msi_fail(error, MS_EBUSY, "a callback cannot poll");
  if (runtime->batches > 0)
    return msi_fail(error, MS_EBUSY, "a batch or transaction is open");
  return MS_OK;
}

void msi_runtime_log(const ms_runtime *runtime, ms_log_level level, const char *format,
                     ...) {
  if (runtime->log == NULL || level < runtime->log_level) return;
  char line[2 * MS_MESSAGE_MAX];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  runtime->log(runtime->log_ud, level, line);
}

int64_t msi_runtime_wall_ms(const ms_runtime *runtime) {
  if (runtime->clock != NULL) return runtime->clock(runtime->clock_ud);
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ------------------------------------------------------------------ lifetime */

/* The end of a loop turn, on the loop side: frames of one turn leave together, and some of what died is
 * released. */
static bool on_turn(void *ud) {
  ms_runtime *runtime = ud;
  for (ms_share *share = runtime->shares; share != NULL; share = share->next) {
    if (share->station != NULL) msi_station_flush(share->station);
  }
  return !msi_grave_step(&runtime->grave, MSI_GRAVE_STEP);
}

static void runtime_configure(ms_runtime *runtime, const ms_runtime_config *config) {
  runtime->log = config->log;
  runtime->log_ud = config->log_ud;
  runtime->log_level = config->log_level;
  runtime->clock = config->clock;
  runtime->clock_ud = config->clock_ud;
  if (config->program != NULL) {
    snprintf(runtime->program, sizeof runtime->program, "%s", config->program);
  } else {
    msi_process_name(runtime->program, sizeof runtime->program);
  }
}

ms_status ms_runtime_open(const ms_runtime_config *config, ms_runtime **out,
                          ms_error *error) {
  ms_runtime_config whole;
  ms_runtime_config_init(&whole);
  if (config != NULL) {
    size_t bytes = config->bytes; /* fewer: of an older header */
    if (bytes <= sizeof bytes || bytes > sizeof whole) {
      return msi_fail(error, MS_EARGUMENT,
                      "config of %zu bytes: call ms_runtime_config_init", bytes);
    }
    memcpy(&whole, config, bytes);
  }
  if (whole.log_level < MS_LOG_DEBUG || whole.log_level > MS_LOG_ERROR)
    return msi_fail(error, MS_EARGUMENT, "log_level: no such level");
  const ms_alloc *alloc = msi_alloc_resolve(whole.alloc);
  ms_runtime *runtime =
      msi_fork_guard_start() == MS_OK ? MSI_NEW(alloc, ms_runtime) : NULL;
  if (runtime == NULL) return msi_fail(error, MS_ENOMEM, "out of memory");
  runtime->word = MSI_WORD_RUNTIME;
  runtime->alloc = alloc;
  runtime->owner = pthread_self();
  msi_grave_init(&runtime->grave);
  runtime_configure(runtime, &whole);
  runtime->alive = alive_page(&runtime->guard);
  if (runtime->alive == NULL) {
    MSI_FREE(alloc, runtime);
    return msi_fail(error, MS_ENOMEM, "out of memory");
  }
  ms_status status = msi_driver_new(alloc, on_turn, runtime, &runtime->driver, error);
  if (status != MS_OK) {
    munmap((void *)(uintptr_t)runtime->alive, (size_t)sysconf(_SC_PAGESIZE));
    MSI_FREE(alloc, runtime);
    return status;
  }
  *out = runtime;
  return MS_OK;
}

void ms_runtime_close(ms_runtime *runtime) {
  if (runtime == NULL) return;
  /* A forked child must leave descriptors, locks and threads alone: they are its parent's. */
  if (msi_runtime_guard(runtime) != MS_OK) return;
  if (runtime->polling) {
    msi_runtime_log(runtime, MS_LOG_ERROR, "a callback cannot close its runtime");
    return;
  }
  while (runtime->shares != NULL) {
    ms_share *share = runtime->shares;
    share->users = share->references = 1;
    ms_share_free(share);
  }
  msi_timers_fini(runtime);
  msi_rounds_fini(runtime);
  msi_driver_free(runtime->driver);
  msi_grave_fini(&runtime->grave);
  msi_fork_guard_remove(&runtime->guard);
  munmap((void *)(uintptr_t)runtime->alive, (size_t)sysconf(_SC_PAGESIZE));
  MSI_END_HANDLE(runtime);
  MSI_FREE(runtime->alloc, runtime);
}

/* -------------------------------------------------------------------- polling */

static bool runtime_has_work(const ms_runtime *runtime) {
  for (const ms_share *share = runtime->shares; share != NULL; share = share->next) {
    if (msi_share_has_work(share)) return true;
  }
  return false;
}

/* A host's writes since the last poll come with the first of them. */
static void runtime_decide(ms_runtime *runtime) {
  for (ms_share *share = runtime->shares; share != NULL; share = share->next) {
    if (share->station != NULL) msi_station_decide(share->station);
  }
}

/* True when something came. */
static bool runtime_collect(ms_runtime *runtime) {
  bool came = false;
  for (ms_share *share = runtime->shares; share != NULL; share = share->next) {
    came |= msi_share_collect(share);
  }
  return came;
}

uint64_t msi_deadline_after(int64_t timeout_ms) {
  if (timeout_ms < 0) return UINT64_MAX;
  return uv_hrtime() + (uint64_t)timeout_ms * 1000000;
}

/* Milliseconds until then, rounded up; -1 without end. */
static int64_t remaining_ms(uint64_t deadline) {
  if (deadline == UINT64_MAX) return -1;
  uint64_t now = uv_hrtime();
  return now >= deadline ? 0 : (int64_t)((deadline - now + 999999) / 1000000);
}

/* Loop side: a share that still has mail leaves what came meanwhile in its station. */
static bool stations_have_mail(const ms_runtime *runtime) {
  const ms_share *share = runtime->shares;
  while (share != NULL && (share->station == NULL ||
                           msi_mailbox_is_empty(msi_station_mailbox(share->station)))) {
    share = share->next;
  }
  return share != NULL;
}

/* What ends a turn before its time. */
typedef enum turn_end {
  TURN_FOR_MAIL, /* mail */
  TURN_FOR_WORK, /* mail, a timer, or what is still to be told */
  TURN_FOR_POLL  /* the same, or a wake */
} turn_end;

/* The first half of a poll. False: nothing came. */
static bool runtime_turn(ms_runtime *runtime, uint64_t deadline, turn_end end) {
  bool over = false;
  if (end != TURN_FOR_MAIL) {
    uint64_t timer = msi_timers_due(runtime);
    if (timer < deadline) deadline = timer;
    over = runtime_has_work(runtime) || (end == TURN_FOR_POLL && runtime->woken);
  }
  msi_driver_enter(runtime->driver);
  runtime_decide(runtime);
  over |= runtime_collect(runtime);
  int64_t left;
  do {
    left = over ? 0 : remaining_ms(deadline);
    msi_driver_turn(runtime->driver, left);
    over |= runtime_collect(runtime);
    runtime->woken |= msi_driver_take_wake(runtime->driver);
    over |= end == TURN_FOR_POLL && runtime->woken;
  } while (!over && left != 0);
  if (end == TURN_FOR_POLL) runtime->woken = false;
  /* What is left to tell shows again when the poll is over. */
  msi_driver_calm(runtime->driver);
  over |= stations_have_mail(runtime);
  if (stations_have_mail(runtime)) msi_driver_notice(runtime->driver);
  msi_driver_leave(runtime->driver);
  return over;
}

/* The descriptor shows what is left for the next poll. */
static void runtime_show_work(ms_runtime *runtime) {
  if (runtime->woken || runtime_has_work(runtime)) msi_driver_notice(runtime->driver);
}

void msi_runtime_fetch(ms_runtime *runtime, uint64_t deadline) {
  (void)runtime_turn(runtime, deadline, TURN_FOR_MAIL);
  /* Who looks after rounds is to see what has settled. */
  runtime->woken |= runtime->rounds != NULL;
  runtime_show_work(runtime);
}

/* What callbacks closed or freed goes now. */
static void runtime_sweep(ms_runtime *runtime) {
  if (!runtime->sweep_due) return;
  runtime->sweep_due = false;
  ms_share *next;
  for (ms_share *share = runtime->shares; share != NULL; share = next) {
    next = share->next;
    msi_share_sweep_subs(share);
    if (share->references == 0 && share->pins == 0) msi_share_destroy(share);
  }
}

/* Tells what there is, and the mail that had come. What callbacks make while they run, and what comes
 * meanwhile, waits for the next poll. False: the budget is used up. */
static bool share_tell_each(ms_share *share, uint64_t budget_end) {
  size_t mail = share->mail.count;
  for (;;) {
    const msi_notice *next = msi_notices_first(&share->notices);
    if (next != NULL && next->round == share->runtime->round) return true;
    if (next == NULL && mail == 0 && !share->state_changed) return true;
    size_t before = share->mail.count;
    if (!msi_share_tell(share)) return true;
    size_t taken = before > share->mail.count ? before - share->mail.count : 0;
    mail -= taken < mail ? taken : mail;
    if (budget_end != UINT64_MAX && uv_hrtime() >= budget_end) return false;
  }
}

/* The same with what is told once a poll. */
static bool share_tell_all(ms_share *share, uint64_t budget_end) {
  bool done = share_tell_each(share, budget_end);
  if (share->asked != NULL) msi_share_tend_calls(share);
  msi_share_tell_gathered(share);
  return done;
}

/* Begins with another share each time, so that none uses up the budget of all others for ever. */
static void runtime_tell_all(ms_runtime *runtime, uint64_t budget_end) {
  uint32_t count = 0;
  for (ms_share *share = runtime->shares; share != NULL; share = share->next) {
    if (share->leases != NULL) msi_share_tend_leases(share);
    msi_share_log_lost(share);
    if (share->subs[MSI_SUB_HANDLER].first != NULL || share->handlers_due)
      msi_share_tend_handlers(share);
    count++;
  }
  if (count == 0) return;
  ms_share *head = runtime->shares, *first = head;
  for (uint32_t skip = runtime->round % count; skip > 0; skip--) first = first->next;
  for (ms_share *share = first; share != NULL; share = share->next) {
    if (!share_tell_all(share, budget_end)) return;
  }
  for (ms_share *share = head; share != first; share = share->next) {
    if (!share_tell_all(share, budget_end)) return;
  }
}

/* The second half: false when work is left, for want of budget or because callbacks made some. */
static bool runtime_tell(ms_runtime *runtime, uint64_t budget_end) {
  runtime->polling = true;
  if (++runtime->round == 0) runtime->round = 1;
  msi_timers_run(runtime);
  runtime_tell_all(runtime, budget_end);
  msi_driver_told(runtime->driver);
  runtime->polling = false;
  runtime_sweep(runtime);
  msi_rounds_tell(runtime);
  return !runtime_has_work(runtime);
}

/* A poll for nothing, right after one that found nothing: a frame that polls in a loop. */
static bool runtime_is_quiet(const ms_runtime *runtime) {
  uint64_t now = uv_hrtime();
  return msi_driver_is_quiet(runtime->driver, now) && runtime->rounds == NULL &&
         !runtime->woken && msi_timers_due(runtime) > now && !runtime_has_work(runtime);
}

ms_status ms_runtime_poll(ms_runtime *runtime, int timeout_ms, int64_t budget_us,
                          bool *more) {
  ms_status status = msi_runtime_may_poll(runtime, NULL);
  if (status != MS_OK) return status;
  if (timeout_ms == 0 && runtime_is_quiet(runtime)) {
    if (more != NULL) *more = false;
    return MS_OK;
  }
  uint64_t deadline = msi_deadline_after(timeout_ms);
  bool has_budget = budget_us > 0 && budget_us < BUDGET_MAX_US;
  uint64_t budget_end =
      has_budget ? uv_hrtime() + (uint64_t)budget_us * 1000 : UINT64_MAX;
  bool came = runtime_turn(runtime, deadline, TURN_FOR_POLL);
  if (!came) msi_driver_rest(runtime->driver);
  bool done = runtime_tell(runtime, budget_end);
  if (!done) msi_driver_notice(runtime->driver);
  if (more != NULL) *more = !done;
  return MS_OK;
}

ms_status msi_runtime_wait(ms_runtime *runtime, int64_t timeout_ms, msi_done_fn done,
                           void *ud) {
  uint64_t deadline = msi_deadline_after(timeout_ms);
  bool is_done = done(ud);
  while (!is_done) {
    (void)runtime_turn(runtime, deadline, TURN_FOR_WORK);
    runtime_tell(runtime, UINT64_MAX);
    is_done = done(ud);
    if (uv_hrtime() >= deadline) break;
  }
  runtime_show_work(runtime);
  return is_done ? MS_OK : MS_ETIMEDOUT;
}

ms_status ms_runtime_wait(ms_runtime *runtime, int timeout_ms, ms_done_fn done,
                          void *ud) {
  ms_status status = msi_runtime_may_poll(runtime, NULL);
  if (status != MS_OK) return status;
  if (done == NULL) return MS_EARGUMENT;
  return msi_runtime_wait(runtime, timeout_ms, done, ud);
}

void ms_runtime_wake(ms_runtime *runtime) {
  MSI_ASSERT_HANDLE(runtime, MSI_WORD_RUNTIME);
  /* In a forked child the descriptors have other meanings by now. */
  if (*runtime->alive != 0) msi_driver_wake(runtime->driver);
}

int ms_runtime_fd(ms_runtime *runtime) {
  if (msi_runtime_guard(runtime) != MS_OK) return -1;
  bool first = !msi_driver_is_watched(runtime->driver);
  int fd = msi_driver_fd(runtime->driver);
  /* What came while nobody watched raised nothing. */
  if (first) {
    msi_driver_visit(runtime->driver);
    if (stations_have_mail(runtime)) msi_driver_notice(runtime->driver);
    msi_driver_depart(runtime->driver, MSI_DEPART_QUIET);
    runtime_show_work(runtime);
  }
  return fd;
}

int ms_runtime_timeout(ms_runtime *runtime) {
  if (msi_runtime_guard(runtime) != MS_OK) return -1;
  if (runtime->woken || runtime_has_work(runtime)) return 0;
  int64_t left_ms = remaining_ms(msi_timers_due(runtime));
  return left_ms > INT_MAX ? INT_MAX : (int)left_ms;
}
