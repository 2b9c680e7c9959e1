/* Rounds: who is told that one is over, and waits without blocking, which look whether they are done. */
#include "share_support.h"

static const int PATIENCE_MS = (int)(TEST_PATIENCE_NS / 1000000);

typedef struct counter {
  ms_runtime *runtime;
  int rounds, calls;
  int calls_seen; /* callbacks that had run at the end of the last round */
  int nested;     /* polls to make inside */
} counter;

static void on_round(void *ud) {
  counter *self = ud;
  self->rounds++;
  self->calls_seen = self->calls;
  if (self->nested == 0) return;
  self->nested--;
  assert_int_equal(ms_runtime_poll(self->runtime, 0, 0, NULL), MS_OK);
}

static ms_round *tell(counter *self) {
  ms_round *round = NULL;
  assert_int_equal(ms_runtime_on_round(self->runtime, on_round, self, &round), MS_OK);
  return round;
}

static void on_change(void *ud, const ms_change *change) {
  (void)change;
  ((counter *)ud)->calls++;
}

static bool has_ten_rounds(void *ud) { return ((counter *)ud)->rounds >= 10; }

static bool never(void *ud) {
  (void)ud;
  return false;
}

static void set(ms_share *share, int64_t number) {
  assert_int_equal(ms_share_set_int(share, "n", number), MS_OK);
}

static void test_round_is_told_after_the_callbacks_of_a_poll(void **state) {
  scene *self = *state;
  ms_share *share = peer_open(self);
  counter all = {.runtime = self->runtimes[0]};
  sub_on(share, "n", 0, on_change, &all);
  ms_round *round = tell(&all);
  set(share, 1);
  assert_int_equal(ms_runtime_poll(all.runtime, 0, 0, NULL), MS_OK);
  assert_int_equal(all.rounds, 1);
  assert_int_equal(all.calls_seen, 1);
  ms_round_close(round);
  ms_round_close(NULL);
  assert_int_equal(ms_runtime_poll(all.runtime, 0, 0, NULL), MS_OK);
  assert_int_equal(all.rounds, 1);
}

static void test_round_is_told_in_calls_that_wait(void **state) {
  scene *self = *state;
  ms_share *share = peer_open(self);
  counter all = {.runtime = self->runtimes[0]};
  ms_error error;
  tell(&all);
  assert_int_equal(ms_share_sync(share, PATIENCE_MS, &error), MS_OK);
  int synced = all.rounds;
  assert_true(synced > 0);
  ms_receipt *receipt = NULL;
  assert_int_equal(ms_share_inc(share, "n", 1, &receipt, &error), MS_OK);
  bool settled = ms_receipt_get_state(receipt) != MS_PENDING;
  assert_int_equal(ms_receipt_wait(receipt, PATIENCE_MS, &error), MS_OK);
  assert_true(settled || all.rounds > synced);
  ms_receipt_release(receipt);
}

static void test_round_may_poll_and_is_told_of_that_as_well(void **state) {
  scene *self = *state;
  ms_share *share = peer_open(self);
  counter all = {.runtime = self->runtimes[0], .nested = 3};
  ms_error error;
  tell(&all);
  set(share, 1);
  assert_int_equal(ms_share_flush(share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(ms_runtime_poll(all.runtime, 0, 0, NULL), MS_OK);
  assert_int_equal(all.nested, 0);
  assert_true(all.rounds >= 4);
}

/* Closes itself and another one, while a poll inside is told as well. */
typedef struct closer {
  ms_runtime *runtime;
  ms_round *own, *other;
  int calls;
} closer;

static void close_both(void *ud) {
  closer *self = ud;
  if (++self->calls == 1) {
    assert_int_equal(ms_runtime_poll(self->runtime, 0, 0, NULL), MS_OK);
    return;
  }
  ms_round_close(self->own);
  ms_round_close(self->other);
  self->own = self->other = NULL;
}

static void test_rounds_may_be_closed_while_they_are_told(void **state) {
  scene *self = *state;
  counter first = {.runtime = self->runtimes[0] = runtime_make(self)};
  self->count = 1;
  closer all = {.runtime = first.runtime};
  all.other = tell(&first);
  assert_int_equal(ms_runtime_on_round(all.runtime, close_both, &all, &all.own), MS_OK);
  counter last = {.runtime = first.runtime};
  tell(&last);
  assert_int_equal(ms_runtime_poll(all.runtime, 0, 0, NULL), MS_OK);
  assert_int_equal(all.calls, 2);
  assert_int_equal(first.rounds, 0);
  assert_int_equal(last.rounds, 2);
  assert_int_equal(ms_runtime_poll(all.runtime, 0, 0, NULL), MS_OK);
  assert_int_equal(all.calls, 2);
  assert_int_equal(last.rounds, 3);
  ms_round *none = NULL;
  assert_int_equal(ms_runtime_on_round(all.runtime, NULL, NULL, &none), MS_EARGUMENT);
}

static void again(void *ud) {
  counter *self = ud;
  ms_timer *timer;
  assert_int_equal(ms_runtime_after(self->runtime, 0, again, self, &timer), MS_OK);
}

static void test_wait_polls_until_it_is_done(void **state) {
  scene *self = *state;
  counter all = {.runtime = self->runtimes[0] = runtime_make(self)};
  self->count = 1;
  tell(&all);
  again(&all); /* something to do in each round */
  assert_int_equal(ms_runtime_wait(all.runtime, PATIENCE_MS, has_ten_rounds, &all),
                   MS_OK);
  assert_true(all.rounds >= 10);
  assert_int_equal(ms_runtime_wait(all.runtime, 0, never, NULL), MS_ETIMEDOUT);
  assert_int_equal(ms_runtime_wait(all.runtime, 0, NULL, NULL), MS_EARGUMENT);
}

typedef struct waiter {
  ms_runtime *runtime;
  ms_status status;
} waiter;

static void wait_inside(void *ud, const ms_change *change) {
  waiter *self = ud;
  (void)change;
  self->status = ms_runtime_wait(self->runtime, 0, never, NULL);
}

static void test_wait_is_busy_inside_callbacks(void **state) {
  scene *self = *state;
  ms_share *share = peer_open(self);
  waiter all = {.runtime = self->runtimes[0], .status = MS_OK};
  sub_on(share, "n", 0, wait_inside, &all);
  set(share, 1);
  assert_int_equal(ms_runtime_poll(all.runtime, 0, 0, NULL), MS_OK);
  assert_int_equal(all.status, MS_EBUSY);
}

typedef struct ticket {
  ms_share *share;
  uint64_t number;
} ticket;

static bool is_synced(void *ud) {
  const ticket *self = ud;
  return ms_share_sync_done(self->share, self->number, NULL) == MS_OK;
}

static void test_sync_can_be_begun_and_looked_for_later(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *client = peer_open(self);
  ms_error error;
  set(host, 5);
  ticket mine = {.share = client};
  hold(self, host);
  assert_int_equal(ms_share_sync_begin(client, &mine.number, &error), MS_OK);
  assert_int_equal(ms_runtime_poll(self->runtimes[1], 0, 0, NULL), MS_OK);
  assert_int_equal(ms_share_sync_done(client, mine.number, &error), MS_EBUSY);
  let_go(self, host);
  assert_true(scene_eventually(self, is_synced, &mine));
  assert_int_equal(int_at(client, "n"), 5);
  assert_int_equal(ms_share_close(client, 0), MS_OK);
  assert_int_equal(ms_share_sync_done(client, mine.number, &error), MS_ECLOSED);
  assert_int_equal(ms_share_sync_begin(client, &mine.number, &error), MS_ECLOSED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCENE_TEST(test_round_is_told_after_the_callbacks_of_a_poll),
      SCENE_TEST(test_round_is_told_in_calls_that_wait),
      SCENE_TEST(test_round_may_poll_and_is_told_of_that_as_well),
      SCENE_TEST(test_rounds_may_be_closed_while_they_are_told),
      SCENE_TEST(test_wait_polls_until_it_is_done),
      SCENE_TEST(test_wait_is_busy_inside_callbacks),
      SCENE_TEST(test_sync_can_be_begun_and_looked_for_later),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
