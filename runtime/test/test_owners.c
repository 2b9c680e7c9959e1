/*
 * Owners that do everything at random, each in its own thread: open, write, batch, wait, subscribe, close,
 * also from callbacks. Sanitizers look on; at the end the counts have to agree. The seed is printed; the
 * threads' interleaving is not repeated with it.
 */
#include "share_support.h"

/* LEVELS: callbacks call what calls callbacks. With as many peers as come and go here a level has more than one of
 * the next, and without an end a walk would now and then have none. */
enum { OWNERS = 3, STEPS = 2500, SUBS = 6, LEVELS = 8 };

typedef struct owner {
  scene *scene;
  unsigned seed;
  unsigned level; /* of callbacks */
  pthread_t thread;
  ms_runtime *runtime;
  ms_share *share; /* NULL: not open */
  ms_sub *subs[SUBS];
  uint64_t added; /* increments of "n" that were written, */
  uint64_t kept;  /* accepted, */
  uint64_t lost;  /* and rejected */
  const char *wrong;
} owner;

static unsigned dice(owner *self, unsigned sides) {
  return (unsigned)rand_r(&self->seed) % sides;
}

static void expect(owner *self, bool holds, const char *what) {
  if (!holds && self->wrong == NULL) self->wrong = what;
}

static void act(owner *self, bool inside);

static void act_inside(owner *self) {
  if (self->level == LEVELS) return;
  self->level++;
  act(self, true);
  self->level--;
}

static void on_change(void *ud, const ms_change *change) {
  owner *self = ud;
  expect(self, change->path != NULL, "a change has a path");
  if (dice(self, 4) == 0) act_inside(self);
}

static void on_reject(void *ud, const ms_rejection *rejection) {
  expect(ud, rejection->status != MS_OK, "a rejection has a reason");
  if (dice(ud, 4) == 0) act_inside(ud);
}

static void on_state(void *ud, const ms_share_info *info) {
  expect(ud, info->state != MS_SHARE_NEW, "a started share is not new");
  if (dice(ud, 4) == 0) act_inside(ud);
}

static void on_time(void *ud) { act_inside(ud); }

static void on_peer(void *ud, const ms_peer *peer) {
  expect(ud, peer->id != 0, "a peer has an id");
  if (dice(ud, 8) == 0) act_inside(ud);
}

static void open_share(owner *self, bool inside) {
  ms_share_config config;
  ms_share *share = NULL;
  ms_error error;
  scene_config(self->scene, &config);
  config.max_queue = 32;
  config.write_timeout_ms = dice(self, 2) == 0 ? 5 : 0;
  ms_status status = ms_share_new(self->runtime, "arena", &config, &share, &error);
  expect(self, status == MS_OK, "a share can be made");
  if (status != MS_OK) return;
  self->share = share;
  status = ms_share_start(share, inside || dice(self, 4) == 0 ? 0 : -1, &error);
  expect(self, status == MS_OK || status == MS_ECLOSED, "a share starts");
}

/* Callbacks that run meanwhile may open the next one. */
static void close_share(owner *self, int timeout_ms) {
  ms_share *share = self->share;
  if (share == NULL) return;
  self->share = NULL;
  for (int i = 0; i < SUBS; i++) {
    ms_sub_close(self->subs[i]);
    self->subs[i] = NULL;
  }
  ms_status status = ms_share_close(share, timeout_ms);
  expect(self, status == MS_OK || status == MS_ETIMEDOUT, "a share closes");
  ms_share_info info = info_of(share);
  /* A callback may have opened it again. */
  expect(self, info.pending == 0 || info.state != MS_SHARE_CLOSED,
         "a closed share has settled everything");
  expect(self,
         info.submitted == info.accepted + info.rejected + info.unknown + info.pending,
         "each patch is settled once");
  ms_share_free(share);
}

/* An increment whose fate is known in the end. */
static void add_one(owner *self) {
  ms_receipt *receipt = NULL;
  ms_error error;
  if (ms_share_inc(self->share, "n", 1, &receipt, &error) != MS_OK) return;
  self->added++;
  ms_status status = ms_receipt_wait(receipt, dice(self, 50) == 0 ? 0 : -1, &error);
  self->kept += ms_receipt_get_state(receipt) == MS_ACCEPTED;
  self->lost += ms_receipt_get_state(receipt) == MS_REJECTED;
  expect(self, (status == MS_OK) == (ms_receipt_get_state(receipt) == MS_ACCEPTED),
         "a wait says what the receipt says");
  ms_receipt_release(receipt);
}

static void write_batch(owner *self, bool inside) {
  ms_batch *batch = NULL;
  ms_error error;
  if (ms_batch_new(self->share, &batch) != MS_OK) return;
  (void)!ms_share_set_int(self->share, "k1.a", 1);
  (void)!ms_share_set_int(self->share, "k2", 2);
  if (!inside && dice(self, 20) == 0) close_share(self, 0);
  if (dice(self, 3) != 0) (void)!ms_batch_commit(batch, NULL, &error);
  ms_batch_free(batch);
}

static void subscribe(owner *self) {
  unsigned i = dice(self, SUBS);
  ms_sub **sub = &self->subs[i];
  ms_path *pattern = NULL;
  ms_error error;
  if (*sub != NULL) {
    ms_sub_close(*sub);
    *sub = NULL;
  } else if (i == 0) {
    (void)!ms_share_on_reject(self->share, on_reject, self, sub);
  } else if (i == 1) {
    (void)!ms_share_on_state(self->share, on_state, self, sub);
  } else if (ms_path_parse_pattern(NULL, i == 2 ? "**" : "k1", 2, &pattern, &error) ==
             MS_OK) {
    (void)!ms_share_on(self->share, pattern, dice(self, 2), on_change, self, sub);
    ms_path_release(pattern);
  }
}

static void act(owner *self, bool inside) {
  ms_timer *timer;
  ms_error error;
  if (self->share == NULL) {
    open_share(self, inside);
    return;
  }
  switch (dice(self, 20)) {
    case 0:
    case 1:
    case 2: (void)!ms_share_set_int(self->share, dice(self, 2) ? "k1.a" : "k2", 3); break;
    case 3: (void)!ms_share_set_string(self->share, "k1", "text", 4); break;
    case 4:
    case 5:
      if (!inside) add_one(self);
      break;
    case 6: write_batch(self, inside); break;
    case 7:
    case 8: subscribe(self); break;
    case 9: (void)!ms_share_flush(self->share, (int)dice(self, 20), &error); break;
    case 10: (void)!ms_share_sync(self->share, (int)dice(self, 20), &error); break;
    case 11:
      (void)!ms_runtime_after(self->runtime, dice(self, 5), on_time, self, &timer);
      break;
    case 12: ms_runtime_wake(self->runtime); break;
    case 13: (void)ms_share_peers(self->share, on_peer, self); break;
    case 14: (void)ms_runtime_fd(self->runtime); break;
    case 15:
      if (dice(self, 6) == 0) close_share(self, (int)dice(self, 20));
      break;
    default:
      (void)!ms_runtime_poll(self->runtime, (int)dice(self, 3), dice(self, 2) * 20, NULL);
      break;
  }
}

static void *owner_main(void *arg) {
  owner *self = arg;
  ms_error error;
  for (int step = 0; step < STEPS; step++) {
    if (self->runtime == NULL && ms_runtime_open(NULL, &self->runtime, &error) != MS_OK)
      abort();
    act(self, false);
    if (step % 500 != 499) continue;
    if (dice(self, 2) == 0) close_share(self, 1000);
    ms_runtime_close(self->runtime);
    self->runtime = NULL;
    self->share = NULL;
    memset(self->subs, 0, sizeof self->subs);
  }
  return NULL;
}

static void test_owners_at_random_agree_in_the_end(void **state) {
  scene *self = *state;
  ms_share *keeper = peer_open(self); /* so that the object outlives who leaves */
  owner owners[OWNERS];
  ms_error error;
  unsigned seed = (unsigned)uv_hrtime();
  print_message("seed %u\n", seed);
  memset(owners, 0, sizeof owners);
  for (unsigned i = 0; i < OWNERS; i++) {
    owners[i].scene = self;
    owners[i].seed = seed + i;
    assert_int_equal(pthread_create(&owners[i].thread, NULL, owner_main, &owners[i]), 0);
  }
  uint64_t kept = 0, possible = 0;
  for (int i = 0; i < OWNERS; i++) pthread_join(owners[i].thread, NULL);
  for (int i = 0; i < OWNERS; i++) {
    if (owners[i].wrong != NULL) fail_msg("not so: %s", owners[i].wrong);
    kept += owners[i].kept;
    possible += owners[i].added - owners[i].lost;
  }
  assert_int_equal(ms_share_sync(keeper, 20000, &error), MS_OK);
  uint64_t found = (uint64_t)int_at(keeper, "n");
  assert_true(kept > 0);
  assert_true(found >= kept && found <= possible);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCENE_TEST(test_owners_at_random_agree_in_the_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
