/*
 * Timers of the owner: a list sorted by time, run inside polls. They need no loop: a poll that would
 * sleep past the first one wakes for it.
 */
#include "share.h"

struct ms_timer {
  ms_runtime *runtime;
  ms_timer *next;
  uint64_t due;
  ms_timer_fn fn;
  void *ud;
};

ms_status ms_runtime_after(ms_runtime *runtime, int64_t delay_ms, ms_timer_fn fn, void *ud,
                           ms_timer **out) {
  ms_status status = msi_runtime_guard(runtime);
  if (status != MS_OK) return status;
  ms_timer *timer = MSI_NEW(runtime->alloc, ms_timer);
  if (timer == NULL) return MS_ENOMEM;
  timer->runtime = runtime;
  timer->due = uv_hrtime() + (delay_ms <= 0 ? 0 : (uint64_t)delay_ms * 1000000);
  timer->fn = fn;
  timer->ud = ud;
  ms_timer **at = &runtime->timers;
  while (*at != NULL && (*at)->due <= timer->due) at = &(*at)->next;
  timer->next = *at;
  *at = timer;
  *out = timer;
  return MS_OK;
}

void ms_timer_close(ms_timer *timer) {
  if (timer == NULL) return;
  ms_timer **at = &timer->runtime->timers;
  while (*at != timer) at = &(*at)->next;
  *at = timer->next;
  MSI_FREE(timer->runtime->alloc, timer);
}

bool msi_timers_run(ms_runtime *runtime) {
  uint64_t now = uv_hrtime(); /* what callbacks start from here on is for the next poll */
  bool ran = false;
  while (runtime->timers != NULL && runtime->timers->due <= now) {
    ms_timer *timer = runtime->timers;
    ms_timer_fn fn = timer->fn;
    void *ud = timer->ud;
    ms_timer_close(timer);
    fn(ud);
    ran = true;
  }
  return ran;
}

int64_t msi_timers_wait_ms(const ms_runtime *runtime) {
  if (runtime->timers == NULL) return -1;
  uint64_t now = uv_hrtime();
  if (runtime->timers->due <= now) return 0;
  return (int64_t)((runtime->timers->due - now + 999999) / 1000000);
}
