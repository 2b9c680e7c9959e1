/* Receipts: each is settled once, on every way a decision may take to its writer. */
#include "share_support.h"

static const int PATIENCE_MS = (int)(TEST_PATIENCE_NS / 1000000);

static ms_receipt *inc(ms_share *share, const char *path) {
  ms_receipt *receipt = NULL;
  ms_error error;
  assert_int_equal(ms_share_inc(share, path, 1, &receipt, &error), MS_OK);
  assert_int_equal(ms_receipt_get_state(receipt), MS_PENDING);
  return receipt;
}

/* After this, $inc of "x" at the client is accepted by its view and rejected by the host. */
static void make_refusable(ms_share *host, ms_share *share) {
  ms_error error;
  assert_int_equal(ms_share_set_int(host, "x", 0), MS_OK);
  assert_int_equal(ms_share_sync(share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(ms_share_set_string(host, "x", "text", 4), MS_OK);
}

static void assert_settled(ms_receipt *receipt, ms_receipt_state state) {
  assert_int_equal(ms_receipt_get_state(receipt), state);
  ms_receipt_release(receipt);
}

/* ------------------------------------------------------------------- decisions */

static void test_client_learns_the_version_of_what_was_accepted(void **state) {
  scene *self = *state;
  peer_open(self);
  ms_share *share = peer_open(self);
  ms_error error;
  ms_receipt *first = inc(share, "n"), *second = inc(share, "n");
  assert_int_equal(ms_receipt_number(first), 1);
  assert_int_equal(ms_receipt_number(second), 2);
  assert_int_equal(ms_receipt_wait(second, PATIENCE_MS, &error), MS_OK);
  assert_true(ms_receipt_version(first) > 0);
  assert_int_equal(ms_receipt_version(second), ms_receipt_version(first) + 1);
  ms_rejection rejection;
  assert_false(ms_receipt_rejection(first, &rejection));
  assert_settled(first, MS_ACCEPTED);
  assert_settled(second, MS_ACCEPTED);
}

static void test_rejection_says_what_about_and_what_stands(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *share = peer_open(self);
  ms_error error;
  make_refusable(host, share);
  ms_receipt *receipt = inc(share, "x");
  assert_int_equal(int_at(share, "x"), 1);
  assert_int_equal(ms_receipt_wait(receipt, PATIENCE_MS, &error), MS_ETYPE);
  assert_non_null(strstr(error.message, "x"));
  ms_rejection rejection;
  assert_true(ms_receipt_rejection(receipt, &rejection));
  assert_int_equal(rejection.status, MS_ETYPE);
  assert_int_equal(rejection.number, 1);
  assert_int_equal(ms_path_count(rejection.path), 1);
  assert_int_equal(ms_value_type(rejection.standing), MS_STRING);
  assert_int_equal(int_at(share, "x"), -1);
  assert_true(ms_receipt_version(receipt) > 0);
  assert_settled(receipt, MS_REJECTED);
}

static void test_wait_ends_at_its_timeout_and_may_be_tried_again(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *share = peer_open(self);
  ms_error error;
  hold(self, host);
  ms_receipt *receipt = inc(share, "n");
  assert_int_equal(ms_receipt_wait(receipt, 0, &error), MS_ETIMEDOUT);
  assert_int_equal(ms_receipt_wait(receipt, 10, &error), MS_ETIMEDOUT);
  assert_int_equal(ms_share_flush(share, 10, &error), MS_ETIMEDOUT);
  assert_int_equal(ms_share_sync(share, 10, &error), MS_ETIMEDOUT);
  let_go(self, host);
  assert_int_equal(ms_receipt_wait(receipt, -1, &error), MS_OK);
  assert_int_equal(ms_share_sync(share, PATIENCE_MS, &error), MS_OK);
  assert_settled(receipt, MS_ACCEPTED);
}

/* ---------------------------------------------------------------------- closing */

static void test_closing_before_a_decision_settles_as_unknown(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *share = peer_open(self);
  ms_error error;
  hold(self, host);
  ms_receipt *receipt = inc(share, "n");
  assert_int_equal(ms_share_close(share, 10), MS_ETIMEDOUT);
  let_go(self, host);
  assert_int_equal(info_of(share).unknown, 1);
  assert_int_equal(info_of(share).pending, 0);
  assert_int_equal(ms_receipt_wait(receipt, -1, &error), MS_ENOHOST);
  ms_share_free(share);
  assert_settled(receipt, MS_UNKNOWN);
}

static void test_closing_takes_the_decisions_that_are_there(void **state) {
  scene *self = *state;
  ms_share *share = peer_open(self);
  ms_receipt *receipt = inc(share, "n"); /* decided at once: this is the host */
  assert_int_equal(ms_share_close(share, 0), MS_OK);
  assert_int_equal(info_of(share).accepted, 1);
  assert_settled(receipt, MS_ACCEPTED);
}

static void test_receipts_outlive_share_and_runtime(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *share = peer_open(self);
  ms_receipt *receipts[3];
  ms_error error;
  make_refusable(host, share);
  receipts[0] = inc(share, "x");
  assert_int_equal(ms_receipt_wait(receipts[0], PATIENCE_MS, &error), MS_ETYPE);
  receipts[1] = inc(share, "n");
  assert_int_equal(ms_receipt_wait(receipts[1], PATIENCE_MS, &error), MS_OK);
  hold(self, host);
  receipts[2] = inc(share, "n");
  ms_runtime_close(self->runtimes[1]);
  let_go(self, host);
  self->runtimes[1] = NULL;
  ms_rejection rejection;
  assert_true(ms_receipt_rejection(receipts[0], &rejection));
  assert_int_equal(ms_value_type(rejection.standing), MS_STRING);
  assert_int_equal(ms_receipt_wait(receipts[2], -1, &error), MS_ENOHOST);
  assert_settled(receipts[0], MS_REJECTED);
  assert_settled(receipts[1], MS_ACCEPTED);
  assert_settled(receipts[2], MS_UNKNOWN);
}

/* ---------------------------------------------------------------------- backlog */

typedef struct progress {
  const ms_share *share;
  uint64_t entries;
} progress;

static bool has_applied(void *ud) {
  const progress *wanted = ud;
  return info_of(wanted->share).entries >= wanted->entries;
}

/* More decisions than the mailbox holds one by one, with rejections in between. */
static void test_melted_backlog_settles_each_with_its_own_version(void **state) {
  enum { COUNT = MSI_MAILBOX_ITEMS + 1500 };
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *share = peer_open(self);
  static ms_receipt *receipts[COUNT];
  ms_error error;
  make_refusable(host, share);
  progress wanted = {share, info_of(share).entries + COUNT};
  for (int i = 0; i < COUNT; i++) receipts[i] = inc(share, i % 100 == 50 ? "x" : "n");
  assert_true(test_eventually(has_applied, &wanted)); /* the owner takes nothing */
  assert_int_equal(ms_share_flush(share, PATIENCE_MS, &error), MS_OK);
  uint64_t version = 0;
  int64_t accepted = 0;
  for (int i = 0; i < COUNT; i++) {
    assert_int_equal(ms_receipt_number(receipts[i]), i + 1);
    assert_true(ms_receipt_version(receipts[i]) > version);
    version = ms_receipt_version(receipts[i]);
    accepted += i % 100 != 50;
    assert_settled(receipts[i], i % 100 == 50 ? MS_REJECTED : MS_ACCEPTED);
  }
  assert_int_equal(int_at(share, "n"), accepted);
  assert_int_equal(info_of(share).accepted + info_of(share).rejected, COUNT);
}

/* ------------------------------------------------- what only rare events deliver */

static msi_mailbox *box_of(const ms_share *share) {
  return msi_station_mailbox(share->station);
}

/* Four patches that nobody decides, as long as the host is held. */
static void make_undecided(scene *self, ms_share *host, ms_share *share,
                           ms_receipt *receipts[4]) {
  ms_error error;
  assert_int_equal(ms_share_sync(share, PATIENCE_MS, &error), MS_OK);
  hold(self, host);
  for (int i = 0; i < 4; i++) receipts[i] = inc(share, "n");
}

static void deliver(scene *self, ms_share *share, const msi_delivery *delivery) {
  hold(self, share);
  msi_mailbox_put(box_of(share), share->peer, delivery);
  let_go(self, share);
}

static void
test_snapshot_settles_what_was_decided_and_tells_what_was_not_accepted(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *share = peer_open(self);
  ms_receipt *receipts[4];
  make_undecided(self, host, share, receipts);
  const ms_value *root = NULL;
  ms_error error;
  assert_int_equal(ms_value_from_json(NULL, "{\"n\":2}", 7, &root, &error), MS_OK);
  deliver(self, share,
          &(msi_delivery){.kind = MSI_DELIVER_ROOT,
                          .root = root,
                          .version = 100,
                          .number = 3,
                          .rejected = (const uint64_t[]){2},
                          .rejected_count = 1});
  ms_value_release(root);
  assert_int_equal(ms_runtime_poll(self->runtimes[1], 0, 0, NULL), MS_OK);
  assert_int_equal(int_at(share, "n"), 3); /* and the fourth, which is still pending */
  assert_int_equal(info_of(share).pending, 1);
  let_go(self, host);
  assert_int_equal(ms_share_close(share, PATIENCE_MS), MS_OK);
  assert_settled(receipts[0], MS_ACCEPTED);
  assert_settled(receipts[1], MS_REJECTED);
  assert_settled(receipts[2], MS_ACCEPTED);
  assert_settled(receipts[3], MS_ACCEPTED);
}

static void test_end_of_a_group_settles_as_unknown(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *share = peer_open(self);
  ms_receipt *receipts[4];
  make_undecided(self, host, share, receipts);
  deliver(self, share, &(msi_delivery){.kind = MSI_DELIVER_UNKNOWN, .number = 4});
  assert_int_equal(ms_runtime_poll(self->runtimes[1], 0, 0, NULL), MS_OK);
  for (int i = 0; i < 4; i++) assert_settled(receipts[i], MS_UNKNOWN);
  assert_int_equal(info_of(share).unknown, 4);
  assert_int_equal(int_at(share, "n"), -1);
  let_go(self, host);
}

/* Without memory for a delivery the decisions are lost, yet not that they were made. */
static void test_broken_mailbox_settles_what_the_replica_knows_as_decided(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *share = peer_open(self);
  ms_receipt *receipts[4];
  ms_error error;
  make_undecided(self, host, share, receipts);
  progress wanted = {share, info_of(share).entries + 4};
  let_go(self, host);
  assert_true(test_eventually(has_applied, &wanted));
  hold(self, host);
  ms_receipt *later = inc(share, "n");
  hold(self, share);
  box_of(share)->broken = true;
  let_go(self, share);
  assert_int_equal(ms_runtime_poll(self->runtimes[1], 0, 0, NULL), MS_OK);
  for (int i = 0; i < 4; i++) assert_settled(receipts[i], MS_UNKNOWN);
  assert_int_equal(ms_receipt_get_state(later), MS_PENDING);
  assert_int_equal(int_at(share, "n"), 5);
  let_go(self, host);
  assert_int_equal(ms_receipt_wait(later, PATIENCE_MS, &error), MS_OK);
  assert_settled(later, MS_ACCEPTED);
  assert_int_equal(int_at(share, "n"), 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCENE_TEST(test_client_learns_the_version_of_what_was_accepted),
      SCENE_TEST(test_rejection_says_what_about_and_what_stands),
      SCENE_TEST(test_wait_ends_at_its_timeout_and_may_be_tried_again),
      SCENE_TEST(test_closing_before_a_decision_settles_as_unknown),
      SCENE_TEST(test_closing_takes_the_decisions_that_are_there),
      SCENE_TEST(test_receipts_outlive_share_and_runtime),
      SCENE_TEST(test_melted_backlog_settles_each_with_its_own_version),
      SCENE_TEST(test_snapshot_settles_what_was_decided_and_tells_what_was_not_accepted),
      SCENE_TEST(test_end_of_a_group_settles_as_unknown),
      SCENE_TEST(test_broken_mailbox_settles_what_the_replica_knows_as_decided),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
