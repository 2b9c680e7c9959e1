/* The driver: who drives the loop, and how owner and stand-in wake each other. */
#include "test_support.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "driver.h"

typedef struct scene {
  msi_driver *driver;
  uv_timer_t timer;
  _Atomic int fired;
  _Atomic uint64_t fired_on; /* pthread_self() of the callback */
  _Atomic int turns;
  _Atomic int turns_wanted; /* without sleep */
} scene;

static bool on_turn(void *ud) {
  scene *self = ud;
  atomic_fetch_add(&self->turns, 1);
  int left = atomic_load(&self->turns_wanted);
  if (left > 0) atomic_store(&self->turns_wanted, left - 1);
  return left > 0;
}

static void on_timer(uv_timer_t *timer) {
  scene *self = timer->data;
  atomic_store(&self->fired_on, (uint64_t)pthread_self());
  atomic_fetch_add(&self->fired, 1);
  msi_driver_interrupt(self->driver);
}

static void scene_open(scene *self) {
  memset(self, 0, sizeof *self);
  ms_error error;
  assert_int_equal(msi_driver_new(NULL, on_turn, self, &self->driver, &error), MS_OK);
  msi_driver_visit(self->driver);
  uv_timer_init(msi_driver_loop(self->driver), &self->timer);
  self->timer.data = self;
  msi_driver_depart(self->driver, MSI_DEPART_CHANGED);
}

static void scene_start_timer(scene *self, uint64_t ms) {
  msi_driver_visit(self->driver);
  uv_update_time(msi_driver_loop(self->driver));
  uv_timer_start(&self->timer, on_timer, ms, 0);
  msi_driver_depart(self->driver, MSI_DEPART_CHANGED);
}

static void scene_close(scene *self) {
  msi_driver_visit(self->driver);
  uv_close((uv_handle_t *)&self->timer, NULL);
  msi_driver_depart(self->driver, MSI_DEPART_CHANGED);
  msi_driver_free(self->driver);
}

static bool has_fired(void *ud) { return atomic_load(&((scene *)ud)->fired) > 0; }

static void test_stand_in_drives_while_the_owner_is_away(void **state) {
  (void)state;
  scene self;
  scene_open(&self);
  scene_start_timer(&self, 1);
  assert_true(test_eventually(has_fired, &self));
  assert_true(atomic_load(&self.fired_on) != (uint64_t)pthread_self());
  assert_true(msi_driver_standin_turns(self.driver) > 0);
  scene_close(&self);
}

static void test_owner_drives_while_it_polls(void **state) {
  (void)state;
  scene self;
  scene_open(&self);
  msi_driver_enter(self.driver);
  uv_timer_start(&self.timer, on_timer, 20, 0);
  for (int i = 0; i < 1000 && !has_fired(&self); i++) msi_driver_turn(self.driver, 1000);
  msi_driver_leave(self.driver);
  assert_int_equal(atomic_load(&self.fired), 1);
  assert_true(atomic_load(&self.fired_on) == (uint64_t)pthread_self());
  scene_close(&self);
}

static void test_turn_ends_at_its_deadline(void **state) {
  (void)state;
  scene self;
  scene_open(&self);
  uint64_t start = uv_hrtime();
  msi_driver_enter(self.driver);
  while (uv_hrtime() - start < 30000000) msi_driver_turn(self.driver, 30);
  msi_driver_leave(self.driver);
  assert_int_equal(atomic_load(&self.fired), 0);
  scene_close(&self);
}

static void *wake_main(void *arg) {
  msi_driver_wake(arg);
  return NULL;
}

static void test_wake_from_another_thread_ends_a_turn_without_end(void **state) {
  (void)state;
  scene self;
  scene_open(&self);
  for (int i = 0; i < 50; i++) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, wake_main, self.driver), 0);
    msi_driver_enter(self.driver);
    while (!msi_driver_take_wake(self.driver)) msi_driver_turn(self.driver, -1);
    msi_driver_calm(self.driver);
    msi_driver_leave(self.driver);
    pthread_join(thread, NULL);
  }
  scene_close(&self);
}

static void test_owner_that_returns_again_and_again_is_not_starved(void **state) {
  (void)state;
  scene self;
  scene_open(&self);
  /* Many short polls: the epoch moves on each time, yet the timer fires on one of both sides. */
  scene_start_timer(&self, 10);
  uint64_t end = uv_hrtime() + TEST_PATIENCE_NS;
  while (!has_fired(&self) && uv_hrtime() < end) {
    msi_driver_enter(self.driver);
    msi_driver_turn(self.driver, 0);
    msi_driver_leave(self.driver);
  }
  assert_int_equal(atomic_load(&self.fired), 1);
  scene_close(&self);
}

/* Without a nap of two milliseconds at the beginning of each frame. */
static void test_owner_that_renders_frames_is_stood_in_for_at_once(void **state) {
  (void)state;
  scene self;
  scene_open(&self);
  uint64_t end = uv_hrtime() + TEST_PATIENCE_NS, quickest = UINT64_MAX;
  for (int frame = 0; frame < 100 && quickest >= 1000000; frame++) {
    msi_driver_enter(self.driver);
    msi_driver_turn(self.driver, 0);
    atomic_store(&self.fired, 0);
    uv_timer_start(&self.timer, on_timer, 0, 0);
    msi_driver_leave(self.driver);
    uint64_t left = uv_hrtime(), took = 0;
    while (uv_hrtime() - left < 5000000 || (!has_fired(&self) && uv_hrtime() < end)) {
      if (took == 0 && has_fired(&self)) took = uv_hrtime() - left;
    }
    if (frame > 0 && took > 0 && took < quickest) quickest = took;
  }
  assert_true(quickest < 1000000);
  scene_close(&self);
}

/* It is left alone for a while, not for ever. */
static void test_owner_that_tells_for_long_is_stood_in_for_in_the_end(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    scene self;
    scene_open(&self);
    scene_start_timer(&self, 0);
    msi_driver_enter(self.driver);
    msi_driver_turn(self.driver, 0);
    msi_driver_leave(self.driver);
    atomic_store(&self.fired, 0);
    scene_start_timer(&self, 1);
    msi_driver_progress(self.driver);
    if (i == 1) msi_driver_told(self.driver);
    assert_true(test_eventually(has_fired, &self));
    assert_int_not_equal(atomic_load(&self.fired_on), (uint64_t)pthread_self());
    scene_close(&self);
  }
}

static void test_visits_without_pause_let_the_stand_in_work(void **state) {
  (void)state;
  scene self;
  scene_open(&self);
  scene_start_timer(&self, 5);
  uint64_t end = uv_hrtime() + TEST_PATIENCE_NS;
  while (!has_fired(&self) && uv_hrtime() < end) {
    msi_driver_visit(self.driver);
    msi_driver_depart(self.driver, MSI_DEPART_QUIET);
  }
  assert_int_equal(atomic_load(&self.fired), 1);
  scene_close(&self);
}

static void test_descriptor_is_readable_after_an_interrupt_until_calm(void **state) {
  (void)state;
  scene self;
  scene_open(&self);
  struct pollfd fd = {.fd = msi_driver_fd(self.driver), .events = POLLIN};
  assert_int_equal(poll(&fd, 1, 0), 0);
  scene_start_timer(&self, 1);
  assert_int_equal(poll(&fd, 1, (int)(TEST_PATIENCE_NS / 1000000)), 1);
  msi_driver_enter(self.driver);
  msi_driver_calm(self.driver);
  msi_driver_leave(self.driver);
  assert_int_equal(poll(&fd, 1, 0), 0);
  msi_driver_wake(self.driver);
  assert_int_equal(poll(&fd, 1, 0), 1);
  scene_close(&self);
}

typedef struct turn_wait {
  const msi_driver *driver;
  uint64_t turns;
} turn_wait;

static bool has_turned_since(void *ud) {
  const turn_wait *wait = ud;
  return msi_driver_standin_turns(wait->driver) > wait->turns;
}

/* In its watch the stand-in knows only what the loop wanted before the owner's poll. */
static void test_timer_that_a_poll_starts_fires_while_the_owner_is_away(void **state) {
  (void)state;
  scene self;
  scene_open(&self);
  for (int i = 0; i < 20; i++) {
    uint64_t turns = msi_driver_standin_turns(self.driver);
    turn_wait wait = {self.driver, turns};
    msi_driver_visit(self.driver);
    msi_driver_depart(self.driver, MSI_DEPART_CHANGED);
    assert_true(test_eventually(has_turned_since, &wait));
    msi_driver_visit(self.driver); /* the turn is over: the stand-in watches */
    msi_driver_depart(self.driver, MSI_DEPART_QUIET);
    atomic_store(&self.fired, 0);
    msi_driver_enter(self.driver);
    msi_driver_turn(self.driver, 0);
    uv_timer_start(&self.timer, on_timer, 1, 0);
    msi_driver_leave(self.driver);
    assert_true(test_eventually(has_fired, &self));
  }
  scene_close(&self);
}

typedef struct waker {
  msi_driver *driver;
  _Atomic int asked, done;
} waker;

static void *waker_main(void *arg) {
  waker *self = arg;
  int rounds = 0;
  for (;;) {
    int asked = atomic_load(&self->asked);
    if (asked < 0) return NULL;
    if (asked == rounds) {
      sched_yield();
      continue;
    }
    rounds = asked;
    msi_driver_wake(self->driver);
    atomic_store(&self->done, rounds);
  }
}

static bool take_wake(msi_driver *driver) {
  msi_driver_enter(driver);
  msi_driver_turn(driver, 0);
  bool woken = msi_driver_take_wake(driver);
  msi_driver_calm(driver);
  msi_driver_leave(driver);
  return woken;
}

/* Whenever it comes, a wake ends the poll under way or shows in the descriptor. */
static void test_no_wake_is_lost_between_poll_and_descriptor(void **state) {
  (void)state;
  scene self;
  scene_open(&self);
  waker other = {.driver = self.driver};
  pthread_t thread;
  struct pollfd fd = {.fd = msi_driver_fd(self.driver), .events = POLLIN};
  assert_int_equal(pthread_create(&thread, NULL, waker_main, &other), 0);
  for (int i = 1; i <= 3000; i++) {
    atomic_store(&other.asked, i);
    for (int turns = i % 7; !take_wake(self.driver); turns--) {
      if (turns > 0)
        continue; /* comes back at once some times, then goes to wait elsewhere */
      assert_int_equal(poll(&fd, 1, (int)(TEST_PATIENCE_NS / 1000000)), 1);
    }
    while (atomic_load(&other.done) != i) sched_yield();
  }
  atomic_store(&other.asked, -1);
  pthread_join(thread, NULL);
  scene_close(&self);
}

static void test_wake_leaves_errno_alone(void **state) {
  (void)state;
  scene self;
  scene_open(&self);
  for (int i = 0; i < 2; i++) {
    errno = ENOTTY;
    msi_driver_wake(self.driver);
    assert_int_equal(errno, ENOTTY);
    assert_true(take_wake(self.driver));
  }
  scene_close(&self);
}

static void *pending_signals_main(void *arg) {
  sigset_t *mask = arg;
  pthread_sigmask(SIG_SETMASK, NULL, mask);
  return NULL;
}

static void test_owner_keeps_its_signal_mask(void **state) {
  (void)state;
  scene self;
  scene_open(&self);
  sigset_t mask;
  pending_signals_main(&mask);
  assert_false(sigismember(&mask, SIGTERM));
  scene_close(&self);
}

static bool has_turned(void *ud) { return atomic_load(&((scene *)ud)->turns) > 0; }

static void test_turn_hook_runs_on_both_sides(void **state) {
  (void)state;
  scene self;
  scene_open(&self);
  scene_start_timer(&self, 1);
  assert_true(test_eventually(has_turned, &self));
  int before = atomic_load(&self.turns);
  msi_driver_enter(self.driver);
  msi_driver_turn(self.driver, 0);
  msi_driver_leave(self.driver);
  assert_true(atomic_load(&self.turns) > before);
  scene_close(&self);
}

static bool is_calm(void *ud) { return atomic_load(&((scene *)ud)->turns_wanted) == 0; }

static void test_a_loop_that_has_more_to_do_does_not_sleep(void **state) {
  (void)state;
  scene self;
  scene_open(&self);
  /* Whoever sleeps meets the timer. */
  scene_start_timer(&self, TEST_PATIENCE_NS / 1000000);
  msi_driver_enter(self.driver);
  atomic_store(&self.turns_wanted, 20);
  for (int i = 0; i < 20 && !is_calm(&self); i++) msi_driver_turn(self.driver, -1);
  msi_driver_leave(self.driver);
  assert_true(is_calm(&self));
  assert_false(has_fired(&self));
  msi_driver_visit(self.driver);
  atomic_store(&self.turns_wanted, 20);
  msi_driver_depart(self.driver, MSI_DEPART_CHANGED);
  assert_true(test_eventually(is_calm, &self));
  assert_false(has_fired(&self));
  scene_close(&self);
}

static void test_driver_is_quiet_until_something_is_done_to_it(void **state) {
  (void)state;
  scene self;
  scene_open(&self);
  msi_driver *driver = self.driver;
  assert_false(msi_driver_is_quiet(driver, 0)); /* it has not looked yet */
  msi_driver_enter(driver);
  msi_driver_turn(driver, 0);
  msi_driver_leave(driver);
  assert_false(msi_driver_is_quiet(driver, 0));
  msi_driver_rest(driver);
  assert_true(msi_driver_is_quiet(driver, 0));
  assert_false(msi_driver_is_quiet(driver, UINT64_MAX));
  msi_driver_wake(driver);
  assert_false(msi_driver_is_quiet(driver, 0));
  assert_true(msi_driver_take_wake(driver));
  msi_driver_enter(driver);
  msi_driver_turn(driver, 0);
  msi_driver_calm(driver);
  msi_driver_leave(driver);
  msi_driver_rest(driver);
  assert_true(msi_driver_is_quiet(driver, 0));
  msi_driver_visit(driver);
  msi_driver_depart(driver, MSI_DEPART_QUIET);
  assert_false(msi_driver_is_quiet(driver, 0));
  scene_close(&self);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_stand_in_drives_while_the_owner_is_away),
      cmocka_unit_test(test_owner_drives_while_it_polls),
      cmocka_unit_test(test_driver_is_quiet_until_something_is_done_to_it),
      cmocka_unit_test(test_turn_ends_at_its_deadline),
      cmocka_unit_test(test_wake_from_another_thread_ends_a_turn_without_end),
      cmocka_unit_test(test_owner_that_returns_again_and_again_is_not_starved),
      cmocka_unit_test(test_owner_that_renders_frames_is_stood_in_for_at_once),
      cmocka_unit_test(test_owner_that_tells_for_long_is_stood_in_for_in_the_end),
      cmocka_unit_test(test_visits_without_pause_let_the_stand_in_work),
      cmocka_unit_test(test_descriptor_is_readable_after_an_interrupt_until_calm),
      cmocka_unit_test(test_timer_that_a_poll_starts_fires_while_the_owner_is_away),
      cmocka_unit_test(test_no_wake_is_lost_between_poll_and_descriptor),
      cmocka_unit_test(test_wake_leaves_errno_alone),
      cmocka_unit_test(test_owner_keeps_its_signal_mask),
      cmocka_unit_test(test_turn_hook_runs_on_both_sides),
      cmocka_unit_test(test_a_loop_that_has_more_to_do_does_not_sleep),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
