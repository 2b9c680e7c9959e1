/*
 * Shares whose memory runs out: for each request in turn it fails once, or all fail for a while. Calls
 * say MS_ENOMEM or work; whatever was said before holds; nothing leaks, and each own patch is settled.
 */
#include "share_support.h"

#include "failing_alloc.h"

static const int PATIENCE_MS = (int)(TEST_PATIENCE_NS / 1000000);

/* The failing allocator, for several threads. */
typedef struct memory {
  failing_alloc failing;
  pthread_mutex_t mutex;
  ms_alloc alloc;
} memory;

static void *locked_resize(void *ud, void *ptr, size_t old_bytes, size_t new_bytes) {
  memory *self = ud;
  pthread_mutex_lock(&self->mutex);
  void *block =
      self->failing.alloc.resize(self->failing.alloc.ud, ptr, old_bytes, new_bytes);
  pthread_mutex_unlock(&self->mutex);
  return block;
}

static void memory_init(memory *self) {
  failing_alloc_init(&self->failing);
  pthread_mutex_init(&self->mutex, NULL);
  self->alloc = (ms_alloc){.resize = locked_resize, .ud = self};
}

static void memory_fail_at(memory *self, uint64_t request, bool from_there) {
  pthread_mutex_lock(&self->mutex);
  failing_alloc_fail_at(&self->failing, request);
  self->failing.fail_from_there = from_there;
  pthread_mutex_unlock(&self->mutex);
}

/* Did it fail so far? */
static bool memory_relieve(memory *self) {
  pthread_mutex_lock(&self->mutex);
  failing_alloc_never_fail(&self->failing);
  bool failed = self->failing.failed;
  pthread_mutex_unlock(&self->mutex);
  return failed;
}

static void memory_fini(memory *self) {
  assert_true(failing_alloc_is_clean(&self->failing));
  pthread_mutex_destroy(&self->mutex);
}

/* Once more when memory was short; only one request fails. */
#define TRY(call)                                                                        \
  do {                                                                                   \
    ms_status tried = (call);                                                            \
    if (tried == MS_ENOMEM) tried = (call);                                              \
    assert_int_equal(tried, MS_OK);                                                      \
  } while (0)

static void ignore_change(void *ud, const ms_change *change) {
  (void)change;
  (*(int *)ud)++;
}

static void ignore_rejection(void *ud, const ms_rejection *rejection) {
  (void)rejection;
  (*(int *)ud)++;
}

static void ignore_peer(void *ud, const ms_peer *peer) {
  (void)peer;
  (*(int *)ud)++;
}

/* A transaction, from its beginning. */
static ms_status transact_once(ms_share *share) {
  ms_transaction *transaction = NULL;
  const ms_value *value = NULL;
  ms_status status = ms_transaction_new(share, &transaction, NULL);
  if (status != MS_OK) return status;
  status = ms_transaction_get(transaction, "n", &value);
  if (status == MS_OK || status == MS_ENOENT)
    status = ms_transaction_set_int(transaction, "t", 1, NULL);
  if (status == MS_OK) status = ms_transaction_commit(transaction, NULL, NULL);
  ms_transaction_free(transaction);
  return status;
}

enum { RECEIPTS = 12 };

/* A patch of the client that the host is sure to reject: $inc of what became a string. */
static void write_refusable(ms_share *share, ms_share *host) {
  ms_error error;
  assert_int_equal(ms_share_set_int(host, "x", 0), MS_OK);
  TRY(ms_share_sync(share, PATIENCE_MS, &error));
  assert_int_equal(ms_share_set_string(host, "x", "text", 4), MS_OK);
  ms_status status = ms_share_inc(share, "x", 1, NULL, &error);
  if (status == MS_ENOMEM) status = ms_share_inc(share, "x", 1, NULL, &error);
  /* The view may have learned of the string meanwhile: the link broke, say, and was healed. */
  assert_true(status == MS_OK || status == MS_ETYPE);
}

/* Everything an owner does with a share, once. `other`: the host, when it is somebody else. */
static void live(scene *self, ms_share *share, ms_share *other) {
  ms_runtime *runtime = ms_share_runtime(share);
  ms_receipt *receipts[RECEIPTS] = {NULL};
  ms_path *pattern = pattern_of("**");
  ms_sub *subs[2] = {NULL, NULL};
  ms_timer *timer = NULL;
  ms_batch *batch = NULL;
  ms_error error;
  int heard = 0;
  (void)self;
  TRY(ms_share_on(share, pattern, MS_ON_IMMEDIATE, ignore_change, &heard, &subs[0]));
  TRY(ms_share_on_reject(share, ignore_rejection, &heard, &subs[1]));
  TRY(ms_runtime_after(runtime, 3600000, (ms_timer_fn)free, NULL, &timer));
  for (int i = 0; i < RECEIPTS - 1; i++) {
    if (other != NULL) assert_int_equal(ms_share_inc(other, "n", 1, NULL, &error), MS_OK);
    TRY(ms_share_inc(share, i % 4 == 3 ? "m" : "n", 1, &receipts[i], &error));
    if (i % 3 == 0) assert_int_equal(ms_runtime_poll(runtime, 0, 0, NULL), MS_OK);
  }
  TRY(ms_batch_new(share, &batch));
  TRY(ms_share_set_string(share, "text", "hello", 5));
  TRY(ms_share_set_int(share, "deep.er", 5));
  TRY(ms_batch_commit(batch, &receipts[RECEIPTS - 1], &error));
  ms_batch_free(batch);
  TRY(transact_once(share));
  if (other != NULL) write_refusable(share, other);
  TRY(ms_share_peers(share, ignore_peer, &heard));
  TRY(ms_share_flush(share, PATIENCE_MS, &error));
  TRY(ms_share_sync(share, PATIENCE_MS, &error));
  assert_true(heard > 0);
  for (int i = 0; i < RECEIPTS; i++) {
    assert_true(ms_receipt_get_state(receipts[i]) != MS_PENDING);
    ms_receipt_release(receipts[i]);
  }
  ms_share_info info = info_of(share);
  assert_true(info.submitted >= RECEIPTS);
  assert_int_equal(info.accepted + info.rejected + info.unknown, info.submitted);
  int64_t number = 0;
  TRY(ms_share_get_int(share, "deep.er", &number));
  assert_int_equal(number, 5);
  ms_timer_close(timer);
  ms_sub_close(subs[0]);
  ms_sub_close(subs[1]);
  ms_path_release(pattern);
}

/* Opens with what is left of memory; NULL when that is what failed. */
static ms_share *open_somehow(scene *self, memory *scarce, ms_runtime **runtime) {
  ms_runtime_config config;
  ms_share_config options;
  ms_share *share = NULL;
  ms_error error;
  ms_runtime_config_init(&config);
  config.alloc = &scarce->alloc;
  scene_config(self, &options);
  *runtime = NULL;
  ms_status status = ms_runtime_open(&config, runtime, &error);
  if (status == MS_OK)
    status = ms_share_open(*runtime, "arena", &options, &share, &error);
  if (status == MS_OK) return share;
  assert_int_equal(status, MS_ENOMEM);
  assert_null(share);
  return NULL;
}

/* Each request fails in some round; later ones of many are sampled. */
static void sweep(scene *self, ms_share *other) {
  bool failed = true;
  for (uint64_t request = 0; failed; request += 1 + request / 256) {
    memory scarce;
    ms_runtime *runtime;
    memory_init(&scarce);
    memory_fail_at(&scarce, request, false);
    ms_share *share = open_somehow(self, &scarce, &runtime);
    if (share != NULL) {
      live(self, share, other);
      TRY(ms_share_close(share, PATIENCE_MS));
      ms_share_free(share);
    }
    ms_runtime_close(runtime);
    failed = memory_relieve(&scarce);
    memory_fini(&scarce);
  }
}

static void test_host_survives_each_failing_request(void **state) { sweep(*state, NULL); }

static void test_client_survives_each_failing_request(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  sweep(self, host);
  ms_error error;
  assert_int_equal(ms_share_sync(host, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(int_at(host, "deep.er"), 5);
}

/* No memory at all for a while, in which both sides write and the owner polls. */
static void drought(scene *self, ms_share *other, uint64_t from) {
  memory scarce;
  ms_runtime *runtime;
  ms_error error;
  memory_init(&scarce);
  ms_share *share = open_somehow(self, &scarce, &runtime);
  assert_non_null(share);
  int heard = 0;
  ms_path *pattern = pattern_of("n");
  ms_sub *sub = NULL;
  assert_int_equal(ms_share_on(share, pattern, 0, ignore_change, &heard, &sub), MS_OK);
  ms_path_release(pattern);
  memory_fail_at(&scarce, from, true);
  int written = 0;
  for (int i = 0; i < 60; i++) {
    if (other != NULL) assert_int_equal(ms_share_inc(other, "n", 1, NULL, &error), MS_OK);
    ms_status status = ms_share_inc(share, "n", 1, NULL, &error);
    assert_true(status == MS_OK || status == MS_ENOMEM || status == MS_ENOHOST);
    written += status == MS_OK;
    assert_int_equal(ms_runtime_poll(runtime, 0, 0, NULL), MS_OK);
  }
  assert_true(memory_relieve(&scarce));
  assert_int_equal(ms_share_flush(share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(ms_share_inc(share, "n", 1, NULL, &error), MS_OK);
  assert_int_equal(ms_share_flush(share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(ms_share_sync(share, PATIENCE_MS, &error), MS_OK);
  ms_share_info info = info_of(share);
  assert_int_equal(info.submitted, written + 1);
  assert_int_equal(info.accepted + info.rejected + info.unknown, written + 1);
  if (other != NULL) {
    assert_int_equal(ms_share_sync(other, PATIENCE_MS, &error), MS_OK);
    assert_int_equal(int_at(share, "n"), int_at(other, "n"));
  }
  assert_int_equal(ms_share_close(share, PATIENCE_MS), MS_OK);
  ms_share_free(share);
  ms_runtime_close(runtime);
  memory_fini(&scarce);
}

static void test_host_recovers_when_memory_comes_back(void **state) {
  for (uint64_t from = 0; from < 60; from += 3) drought(*state, NULL, from);
}

static void test_client_recovers_when_memory_comes_back(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  for (uint64_t from = 0; from < 60; from += 3) drought(self, host, from);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCENE_TEST(test_host_survives_each_failing_request),
      SCENE_TEST(test_client_survives_each_failing_request),
      SCENE_TEST(test_host_recovers_when_memory_comes_back),
      SCENE_TEST(test_client_recovers_when_memory_comes_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
