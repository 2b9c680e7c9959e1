/*
 * Timers of the owner: a heap by time, run inside polls. They need no loop: a poll that would sleep past
 * the first one wakes for it.
 */
#include "share.h"

struct ms_timer {
  uint32_t word; /* MSI_WORD_TIMER */
  ms_runtime *runtime;
  size_t place;    /* in the heap */
  uint64_t due;    /* uv_hrtime() */
  uint64_t number; /* of making, counted: equal times keep their order */
  ms_timer_fn fn;
  void *ud;
};

static const int64_t DELAY_MAX_MS = INT64_C(1) << 40; /* 34 years: no sum overflows */

static bool is_before(const ms_timer *a, const ms_timer *b) {
  return a->due != b->due ? a->due < b->due : a->number < b->number;
}

static void heap_put(msi_timers *timers, size_t place, ms_timer *timer) {
  timers->heap[place] = timer;
  timer->place = place;
}

/* Moves the timer from `place`, where it may be out of order, to where it belongs. */
static void heap_settle(msi_timers *timers, size_t place, ms_timer *timer) {
  while (place > 0 && is_before(timer, timers->heap[(place - 1) / 2])) {
    heap_put(timers, place, timers->heap[(place - 1) / 2]);
    place = (place - 1) / 2;
  }
  for (size_t child = 2 * place + 1; child < timers->count; child = 2 * place + 1) {
    if (child + 1 < timers->count &&
        is_before(timers->heap[child + 1], timers->heap[child])) {
      child++;
    }
    if (is_before(timer, timers->heap[child])) break;
    heap_put(timers, place, timers->heap[child]);
    place = child;
  }
  heap_put(timers, place, timer);
}

static ms_status heap_reserve(msi_timers *timers, const ms_alloc *alloc) {
  if (timers->count < timers->capacity) return MS_OK;
  size_t capacity = timers->capacity == 0 ? 16 : timers->capacity * 2;
  ms_timer **heap =
      msi_alloc_resize(alloc, timers->heap, timers->capacity * sizeof(ms_timer *),
                       capacity * sizeof(ms_timer *));
  if (heap == NULL) return MS_ENOMEM;
  timers->heap = heap;
  timers->capacity = capacity;
  return MS_OK;
}

ms_status ms_runtime_after(ms_runtime *runtime, int64_t delay_ms, ms_timer_fn fn,
                           void *ud, ms_timer **out) {
  ms_status status = msi_runtime_guard(runtime);
  if (status != MS_OK) return status;
  if (fn == NULL) return MS_EARGUMENT;
  msi_timers *timers = &runtime->timers;
  status = heap_reserve(timers, runtime->alloc);
  if (status != MS_OK) return status;
  ms_timer *timer = MSI_NEW(runtime->alloc, ms_timer);
  if (timer == NULL) return MS_ENOMEM;
  if (delay_ms < 0) delay_ms = 0;
  if (delay_ms > DELAY_MAX_MS) delay_ms = DELAY_MAX_MS;
  timer->word = MSI_WORD_TIMER;
  timer->runtime = runtime;
  timer->due = uv_hrtime() + (uint64_t)delay_ms * 1000000;
  timer->number = ++timers->last_number;
  timer->fn = fn;
  timer->ud = ud;
  heap_settle(timers, timers->count++, timer);
  *out = timer;
  return MS_OK;
}

void ms_timer_close(ms_timer *timer) {
  if (timer == NULL) return;
  MSI_ASSERT_HANDLE(timer, MSI_WORD_TIMER);
  if (msi_runtime_guard(timer->runtime) != MS_OK) return;
  msi_timers *timers = &timer->runtime->timers;
  ms_timer *last = timers->heap[--timers->count];
  if (last != timer) heap_settle(timers, timer->place, last);
  MSI_END_HANDLE(timer);
  MSI_FREE(timer->runtime->alloc, timer);
}

void msi_timers_run(ms_runtime *runtime) {
  const msi_timers *timers = &runtime->timers;
  uint64_t now = uv_hrtime();
  uint64_t last_number =
      timers->last_number; /* what callbacks start waits for the next poll */
  while (timers->count > 0) {
    ms_timer *timer = timers->heap[0];
    if (timer->due > now || timer->number > last_number) return;
    ms_timer_fn fn = timer->fn;
    void *ud = timer->ud;
    ms_timer_close(timer);
    fn(ud);
  }
}

uint64_t msi_timers_due(const ms_runtime *runtime) {
  return runtime->timers.count == 0 ? UINT64_MAX : runtime->timers.heap[0]->due;
}

void msi_timers_fini(ms_runtime *runtime) {
  msi_timers *timers = &runtime->timers;
  while (timers->count > 0) ms_timer_close(timers->heap[timers->count - 1]);
  msi_alloc_free(runtime->alloc, timers->heap, timers->capacity * sizeof(ms_timer *));
}
