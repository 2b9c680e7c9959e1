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
#include <unistd.h>

#include "share.h"

void ms_runtime_config_init(ms_runtime_config *config) {
  *config = (ms_runtime_config){.bytes = sizeof *config, .log_level = MS_LOG_WARNING};
}

/* ------------------------------------------------------------------ guarding */

static const unsigned char *alive_page(void) {
  void *page = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return NULL;
#ifdef MADV_WIPEONFORK
  madvise(page, (size_t)sysconf(_SC_PAGESIZE), MADV_WIPEONFORK);
#endif
  *(unsigned char *)page = 1;
  return page;
}

ms_status msi_runtime_guard(const ms_runtime *runtime) {
  if (*runtime->alive == 0) return MS_ECLOSED;
  return pthread_equal(pthread_self(), runtime->owner) ? MS_OK : MS_EWRONGTHREAD;
}

ms_status msi_runtime_may_poll(const ms_runtime *runtime, ms_error *error) {
  ms_status status = msi_runtime_guard(runtime);
  if (status != MS_OK) return msi_fail(error, status, "%s", ms_status_text(status));
  if (runtime->polling) return msi_fail(error, MS_EBUSY, "a callback cannot poll");
  if (runtime->batches > 0) return msi_fail(error, MS_EBUSY, "a batch is open");
  return MS_OK;
}

void msi_runtime_log(const ms_runtime *runtime, ms_log_level level, const char *format, ...) {
  if (runtime->log == NULL || level < runtime->log_level) return;
  char line[2 * MS_MESSAGE_MAX];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  runtime->log(runtime->log_ud, level, line);
}

/* ------------------------------------------------------------------ lifetime */

/* The end of a loop turn, on the loop side: frames of one turn leave together. */
static void on_turn(void *ud) {
  ms_runtime *runtime = ud;
  for (ms_share *share = runtime->shares; share != NULL; share = share->next) {
    if (share->station != NULL) msi_station_flush(share->station);
  }
}

static void program_name(char *out, size_t bytes) {
  snprintf(out, bytes, "?");
  FILE *file = fopen("/proc/self/comm", "re");
  if (file == NULL) return;
  if (fgets(out, (int)bytes, file) != NULL) out[strcspn(out, "\n")] = '\0';
  fclose(file);
}

static void runtime_configure(ms_runtime *runtime, const ms_runtime_config *config) {
  runtime->log = config->log;
  runtime->log_ud = config->log_ud;
  runtime->log_level = config->log_level;
  if (config->program != NULL) {
    snprintf(runtime->program, sizeof runtime->program, "%s", config->program);
  } else {
    program_name(runtime->program, sizeof runtime->program);
  }
}

ms_status ms_runtime_open(const ms_runtime_config *config, ms_runtime **out, ms_error *error) {
  ms_runtime_config defaults;
  ms_runtime_config_init(&defaults);
  if (config == NULL) config = &defaults;
  if (config->bytes != sizeof *config) {
    return msi_fail(error, MS_EARGUMENT, "config of %zu bytes: call ms_runtime_config_init",
                    config->bytes);
  }
  const ms_alloc *alloc = msi_alloc_resolve(config->alloc);
  ms_runtime *runtime = MSI_NEW(alloc, ms_runtime);
  if (runtime == NULL) return msi_fail(error, MS_ENOMEM, "out of memory");
  runtime->alloc = alloc;
  runtime->owner = pthread_self();
  runtime_configure(runtime, config);
  runtime->alive = alive_page();
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
  MSI_ASSERT(!runtime->polling);
  while (runtime->shares != NULL) {
    ms_share *share = runtime->shares;
    share->users = share->references = 1;
    ms_share_free(share);
  }
  while (runtime->timers != NULL) ms_timer_close(runtime->timers);
  msi_driver_free(runtime->driver);
  munmap((void *)(uintptr_t)runtime->alive, (size_t)sysconf(_SC_PAGESIZE));
  MSI_FREE(runtime->alloc, runtime);
}

/* -------------------------------------------------------------------- polling */

static bool runtime_has_work(const ms_runtime *runtime) {
  for (const ms_share *share = runtime->shares; share != NULL; share = share->next) {
    if (msi_share_has_work(share)) return true;
  }
  return false;
}

/* True when something came, or is left from before. */
static bool runtime_collect(ms_runtime *runtime) {
  bool came = false;
  for (ms_share *share = runtime->shares; share != NULL; share = share->next) {
    came |= msi_share_collect(share);
  }
  return came || runtime_has_work(runtime);
}

static uint64_t deadline_after(int64_t timeout_ms) {
  if (timeout_ms < 0) return UINT64_MAX;
  return uv_hrtime() + (uint64_t)timeout_ms * 1000000;
}

/* Milliseconds until then, rounded up; -1 without end. */
static int64_t remaining_ms(uint64_t deadline) {
  if (deadline == UINT64_MAX) return -1;
  uint64_t now = uv_hrtime();
  return now >= deadline ? 0 : (int64_t)((deadline - now + 999999) / 1000000);
}

/* The first half of a poll. Returns false when it was woken by ms_runtime_wake. */
static bool runtime_turn_until(ms_runtime *runtime, uint64_t deadline) {
  bool woken = false;
  int64_t timer_ms = msi_timers_wait_ms(runtime);
  if (timer_ms >= 0 && uv_hrtime() + (uint64_t)timer_ms * 1000000 < deadline) {
    deadline = uv_hrtime() + (uint64_t)timer_ms * 1000000;
  }
  int64_t left = remaining_ms(deadline);
  msi_driver_enter(runtime->driver);
  bool work = runtime_collect(runtime);
  if (work) left = 0;
  for (;;) {
    msi_driver_turn(runtime->driver, left);
    work = runtime_collect(runtime);
    woken = msi_driver_take_wake(runtime->driver);
    if (work || woken || left == 0) break;
    left = remaining_ms(deadline);
  }
  if (!work) msi_driver_calm(runtime->driver);
  msi_driver_leave(runtime->driver);
  return !woken;
}

void msi_runtime_turn(ms_runtime *runtime, int64_t timeout_ms) {
  runtime_turn_until(runtime, deadline_after(timeout_ms));
}

/* What callbacks closed or freed goes now. */
static void runtime_sweep(ms_runtime *runtime) {
  ms_share *next;
  for (ms_share *share = runtime->shares; share != NULL; share = next) {
    next = share->next;
    msi_share_sweep_subs(share, false);
    if (share->references == 0) msi_share_destroy(share);
  }
}

/* Notices that callbacks make while they run wait for the next poll: each share tells as many as it
 * had, plus what its mail makes of itself. */
static bool runtime_tell_all(ms_runtime *runtime, uint64_t budget_end) {
  for (ms_share *share = runtime->shares; share != NULL; share = share->next) {
    size_t turns = share->notices.count + 2 * share->mail.count + 1;
    while (turns-- > 0 && msi_share_tell(share)) {
      if (budget_end != UINT64_MAX && uv_hrtime() >= budget_end) return false;
    }
  }
  return true;
}

/* The second half: false when work is left, for want of budget or because callbacks made some. */
static bool runtime_tell(ms_runtime *runtime, uint64_t budget_end) {
  runtime->polling = true;
  msi_timers_run(runtime);
  runtime_tell_all(runtime, budget_end);
  runtime->polling = false;
  runtime_sweep(runtime);
  return !runtime_has_work(runtime);
}

ms_status ms_runtime_poll(ms_runtime *runtime, int timeout_ms, int64_t budget_us, bool *more) {
  ms_status status = msi_runtime_may_poll(runtime, NULL);
  if (status != MS_OK) return status;
  uint64_t deadline = deadline_after(timeout_ms);
  uint64_t budget_end = budget_us <= 0 ? UINT64_MAX : uv_hrtime() + (uint64_t)budget_us * 1000;
  runtime_turn_until(runtime, deadline);
  bool done = runtime_tell(runtime, budget_end);
  if (more != NULL) *more = !done;
  return MS_OK;
}

ms_status msi_runtime_wait(ms_runtime *runtime, int64_t timeout_ms, msi_done_fn done, void *ud) {
  uint64_t deadline = deadline_after(timeout_ms);
  bool woken = false;
  while (!done(ud)) {
    if (deadline != UINT64_MAX && uv_hrtime() >= deadline) break;
    woken |= !runtime_turn_until(runtime, deadline);
    runtime_tell(runtime, UINT64_MAX);
    if (woken) break; /* a signal, say: the caller wants its thread back */
  }
  if (woken) msi_driver_wake(runtime->driver); /* it is for the owner's own poll, too */
  return done(ud) ? MS_OK : MS_ETIMEDOUT;
}

void ms_runtime_wake(ms_runtime *runtime) {
  msi_driver_wake(runtime->driver);
}

int ms_runtime_fd(ms_runtime *runtime) {
  return msi_driver_fd(runtime->driver);
}

int ms_runtime_timeout(ms_runtime *runtime) {
  if (runtime_has_work(runtime)) return 0;
  int64_t wait_ms = msi_timers_wait_ms(runtime);
  return wait_ms > INT_MAX ? INT_MAX : (int)wait_ms;
}
