/* Transactions: what was read and what was written go together, or not at all. */
#include "share_support.h"

static ms_share *open_with(scene *self, const char *defaults) {
  ms_share_config config;
  const ms_value *document = NULL;
  scene_config(self, &config);
  assert_int_equal(ms_value_from_json(NULL, defaults, strlen(defaults), &document, NULL),
                   MS_OK);
  config.defaults = document;
  ms_share *share = peer_open_with(self, &config);
  ms_value_release(document);
  return share;
}

#define BANK "{\"a\": 100, \"b\": 100, \"list\": [1, 2, 3], \"t\": {\"x\": {\"y\": 1}}}"

static ms_transaction *begin(ms_share *share) {
  ms_transaction *transaction = NULL;
  ms_error error = {MS_OK, ""};
  ms_status status = ms_transaction_new(share, &transaction, &error);
  if (status != MS_OK) fail_msg("begin: %s", error.message);
  return transaction;
}

static int64_t read_int(ms_transaction *transaction, const char *path) {
  int64_t number = -1;
  ms_status status = ms_transaction_get_int(transaction, path, &number);
  assert_true(status == MS_OK || status == MS_ENOENT);
  return number;
}

static void write_int(ms_transaction *transaction, const char *path, int64_t number) {
  ms_error error = {MS_OK, ""};
  if (ms_transaction_set_int(transaction, path, number, &error) != MS_OK)
    fail_msg("%s: %s", path, error.message);
}

static ms_receipt *commit(ms_transaction *transaction) {
  ms_receipt *receipt = NULL;
  ms_error error = {MS_OK, ""};
  ms_status status = ms_transaction_commit(transaction, &receipt, &error);
  if (status != MS_OK) fail_msg("commit: %s", error.message);
  ms_transaction_free(transaction);
  return receipt;
}

static void patch(ms_share *share, const char *text) {
  const ms_value *document = NULL;
  ms_error error = {MS_OK, ""};
  assert_int_equal(ms_value_from_json(NULL, text, strlen(text), &document, &error),
                   MS_OK);
  if (ms_share_patch(share, document, NULL, NULL, &error) != MS_OK)
    fail_msg("%s: %s", text, error.message);
  ms_value_release(document);
}

/* Its outcome; releases it. */
static ms_status outcome(ms_receipt *receipt, ms_error *error) {
  ms_status status = ms_receipt_wait(receipt, 20000, error);
  ms_receipt_release(receipt);
  return status;
}

static void assert_synced(ms_share *share) {
  assert_int_equal(ms_share_sync(share, 20000, NULL), MS_OK);
}

static void test_a_transaction_shows_once_it_is_accepted(void **state) {
  scene *self = *state;
  ms_share *host = open_with(self, BANK), *client = peer_open(self);
  hold(self, host);
  ms_transaction *transaction = begin(client);
  write_int(transaction, "a", read_int(transaction, "a") - 5);
  write_int(transaction, "b", read_int(transaction, "b") + 5);
  assert_int_equal(read_int(transaction, "a"), 95);
  assert_int_equal(int_at(client, "a"), 100);
  ms_receipt *receipt = commit(transaction);
  assert_int_equal(int_at(client, "a"), 100);
  assert_int_equal(ms_receipt_get_state(receipt), MS_PENDING);
  let_go(self, host);
  assert_int_equal(outcome(receipt, NULL), MS_OK);
  assert_int_equal(int_at(client, "a"), 95);
  assert_int_equal(int_at(client, "b"), 105);
}

/* What becomes of a transaction of a client that reads `path`, while another client patches. */
static ms_status race(scene *self, ms_share *client, ms_share *other, const char *path,
                      const char *update, ms_error *error) {
  assert_synced(client);
  hold(self, client);
  patch(other, update);
  assert_synced(other);
  let_go(self, client);
  ms_transaction *transaction = begin(client);
  (void)read_int(transaction, path);
  write_int(transaction, "result", 1);
  return outcome(commit(transaction), error);
}

static void test_what_was_read_and_changed_refuses_it(void **state) {
  scene *self = *state;
  ms_share *other = open_with(self, BANK), *client = peer_open(self);
  ms_error error = {MS_OK, ""};
  assert_int_equal(race(self, client, other, "a", "{\"$inc\": {\"a\": 1}}", &error),
                   MS_ECONFLICT);
  assert_non_null(strstr(error.message, "\"a\": changed by peer"));
  assert_int_equal(int_at(client, "a"), 101); /* it has seen the winner */
  assert_int_equal(int_at(client, "result"), -1);
  assert_int_equal(race(self, client, other, "a", "{\"$inc\": {\"b\": 1}}", &error),
                   MS_OK);
  assert_int_equal(int_at(client, "result"), 1);
  assert_int_equal(
      race(self, client, other, "nothing", "{\"$set\": {\"nothing\": 1}}", &error),
      MS_ECONFLICT);
  assert_int_equal(
      race(self, client, other, "list.7", "{\"$push\": {\"list\": 1}}", &error),
      MS_ECONFLICT);
  assert_int_equal(
      race(self, client, other, "list.1", "{\"$push\": {\"list\": 1}}", &error), MS_OK);
  assert_int_equal(
      race(self, client, other, "list.1", "{\"$pop\": {\"list\": -1}}", &error),
      MS_ECONFLICT);
}

static void test_a_host_is_held_to_what_it_read_as_well(void **state) {
  scene *self = *state;
  ms_share *host = open_with(self, BANK), *client = peer_open(self);
  patch(client, "{\"$set\": {\"a\": 7}}");
  assert_int_equal(ms_share_flush(client, 20000, NULL), MS_OK);
  ms_transaction *transaction = begin(host); /* its view is older than its replica */
  assert_int_equal(read_int(transaction, "a"), 100);
  write_int(transaction, "b", 0);
  assert_int_equal(outcome(commit(transaction), NULL), MS_ECONFLICT);
  assert_int_equal(int_at(host, "b"), 100);
  transaction = begin(host);
  assert_int_equal(read_int(transaction, "a"), 7);
  write_int(transaction, "b", 8);
  assert_int_equal(outcome(commit(transaction), NULL), MS_OK);
  assert_int_equal(int_at(host, "b"), 8);
}

static void test_own_patches_under_way_are_in_the_draft(void **state) {
  scene *self = *state;
  ms_share *host = open_with(self, BANK), *client = peer_open(self);
  hold(self, host);
  patch(client, "{\"$inc\": {\"a\": 1}}");
  ms_transaction *transaction = begin(client);
  assert_int_equal(read_int(transaction, "a"), 101);
  write_int(transaction, "b", 101);
  ms_receipt *receipt = commit(transaction);
  let_go(self, host);
  assert_int_equal(outcome(receipt, NULL), MS_OK);
}

static void test_who_read_what_was_rejected_falls_with_it(void **state) {
  scene *self = *state;
  ms_share *host = open_with(self, BANK), *client = peer_open(self);
  ms_error error = {MS_OK, ""};
  assert_synced(client);
  hold(self, client);
  patch(host, "{\"$set\": {\"t\": 5}}");
  let_go(self, client);
  patch(client, "{\"$set\": {\"t.x.y\": 2}}"); /* there is no t.x any more */
  ms_transaction *transaction = begin(client);
  assert_int_equal(read_int(transaction, "t.x.y"), 2);
  write_int(transaction, "b", 1);
  assert_int_equal(outcome(commit(transaction), &error), MS_ECONFLICT);
  assert_int_equal(int_at(client, "b"), 100);
}

/* A rename moves what stands there when the host decides: who read its end has read its beginning. */
static void test_what_own_patches_hang_on_counts_as_read(void **state) {
  static const struct {
    const char *own, *foreign, *path;
  } cases[] = {
      {"{\"$rename\": {\"a\": \"c\"}}", "{\"$inc\": {\"a\": 1}}", "c"},
      {"{\"$push\": {\"list\": 4}}", "{\"$push\": {\"list\": 9}}", "list.3"},
      {"{\"$max\": {\"a\": 200}}", "{\"$inc\": {\"a\": 500}}", "a"},
      {"{\"$set\": {\"list.5\": 1}}", "{\"$push\": {\"list\": 9}}", "list.4"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    scene *self = NULL;
    (void)state;
    assert_int_equal(scene_setup((void **)&self), 0);
    ms_share *host = open_with(self, BANK), *client = peer_open(self);
    assert_synced(client);
    hold(self, client);
    patch(host, cases[i].foreign);
    let_go(self, client);
    patch(client, cases[i].own);
    ms_transaction *transaction = begin(client);
    const ms_value *value;
    assert_int_equal(ms_transaction_get(transaction, cases[i].path, &value), MS_OK);
    write_int(transaction, "b", 1);
    assert_int_equal(outcome(commit(transaction), NULL), MS_ECONFLICT);
    assert_int_equal(int_at(client, "b"), 100);
    assert_int_equal(scene_teardown((void **)&self), 0);
  }
}

static void test_a_write_that_fails_has_read_why(void **state) {
  scene *self = *state;
  ms_share *host = open_with(self, BANK), *client = peer_open(self);
  assert_synced(client);
  hold(self, client);
  patch(host, "{\"$set\": {\"word\": 5}}");
  let_go(self, client);
  const ms_value *update = NULL;
  const char *text = "{\"$inc\": {\"list\": 1}}";
  assert_int_equal(ms_value_from_json(NULL, text, strlen(text), &update, NULL), MS_OK);
  ms_transaction *transaction = begin(client);
  ms_error error = {MS_OK, ""};
  assert_int_equal(ms_transaction_patch(transaction, update, NULL, &error), MS_ETYPE);
  assert_int_equal(ms_transaction_writes(transaction), 0);
  write_int(transaction, "b", 1);
  ms_receipt *receipt = commit(transaction);
  assert_int_equal(outcome(receipt, NULL), MS_OK); /* nobody touched the list */
  hold(self, client);
  patch(host, "{\"$unset\": {\"list\": 1}}");
  let_go(self, client);
  transaction = begin(client);
  assert_int_equal(ms_transaction_patch(transaction, update, NULL, &error), MS_ETYPE);
  write_int(transaction, "b", 2);
  assert_int_equal(outcome(commit(transaction), NULL), MS_ECONFLICT);
  ms_value_release(update);
}

static void test_one_that_read_nothing_is_a_batch(void **state) {
  scene *self = *state;
  ms_share *host = open_with(self, BANK), *client = peer_open(self);
  hold(self, host);
  ms_transaction *transaction = begin(client);
  write_int(transaction, "a", 1);
  write_int(transaction, "b", 2);
  ms_receipt *receipt = commit(transaction);
  assert_int_equal(int_at(client, "a"), 1);
  let_go(self, host);
  assert_int_equal(outcome(receipt, NULL), MS_OK);
  assert_int_equal(info_of(client).submitted, 1);
}

static void test_one_that_wrote_nothing_is_not_sent(void **state) {
  scene *self = *state;
  ms_share *share = open_with(self, BANK);
  ms_transaction *transaction = begin(share);
  assert_int_equal(read_int(transaction, "a"), 100);
  assert_null(commit(transaction));
  assert_int_equal(info_of(share).submitted, 0);
  ms_transaction_free(begin(share)); /* nor one that is discarded */
  assert_int_equal(info_of(share).submitted, 0);
}

static void test_while_it_is_open_nothing_else_goes(void **state) {
  scene *self = *state;
  ms_share *host = open_with(self, BANK), *client = peer_open(self);
  ms_transaction *transaction = begin(client), *another = NULL;
  ms_batch *batch = NULL;
  ms_error error = {MS_OK, ""};
  assert_int_equal(ms_transaction_new(client, &another, &error), MS_EBUSY);
  assert_int_equal(ms_batch_new(client, &batch), MS_EBUSY);
  assert_int_equal(ms_share_inc(client, "a", 1, NULL, &error), MS_EBUSY);
  assert_string_equal(error.message, "a transaction is open: write to its draft");
  assert_int_equal(ms_runtime_poll(client->runtime, 0, 0, NULL), MS_EBUSY);
  hold(self, host);
  (void)read_int(transaction, "a");
  write_int(transaction, "a", 1);
  ms_receipt *receipt = NULL;
  assert_int_equal(ms_transaction_commit(transaction, &receipt, &error), MS_OK);
  assert_int_equal(ms_transaction_commit(transaction, NULL, &error), MS_ECLOSED);
  assert_int_equal(ms_transaction_set_int(transaction, "a", 2, &error), MS_ECLOSED);
  assert_int_equal(ms_transaction_new(client, &another, &error), MS_EBUSY);
  assert_string_equal(error.message, "the last transaction is not decided yet");
  ms_transaction_free(transaction);
  let_go(self, host);
  assert_int_equal(outcome(receipt, NULL), MS_OK);
  assert_int_equal(ms_batch_new(client, &batch), MS_OK);
  assert_int_equal(ms_transaction_new(client, &another, &error), MS_EBUSY);
  ms_batch_free(batch);
  ms_transaction_free(begin(client));
}

static void test_closing_the_share_ends_an_open_transaction(void **state) {
  scene *self = *state;
  ms_share *share = open_with(self, BANK);
  ms_transaction *transaction = begin(share);
  ms_error error = {MS_OK, ""};
  int64_t number;
  assert_int_equal(ms_share_close(share, 1000), MS_OK);
  assert_int_equal(ms_transaction_set_int(transaction, "a", 1, &error), MS_ECLOSED);
  assert_int_equal(ms_transaction_get_int(transaction, "a", &number), MS_ECLOSED);
  assert_int_equal(ms_transaction_commit(transaction, NULL, &error), MS_ECLOSED);
  ms_transaction_free(transaction);
}

/* ----- with a function */

typedef struct transfer {
  ms_share *other; /* changes what the first runs have read */
  int disturbances;
  int runs;
  ms_status verdict; /* what the function returns in the end */
} transfer;

static ms_status move_money(void *ud, ms_transaction *transaction, ms_error *error) {
  transfer *self = ud;
  int64_t a = read_int(transaction, "a"), b = read_int(transaction, "b");
  self->runs++;
  if (self->runs <= self->disturbances) {
    assert_int_equal(ms_share_inc(self->other, "a", 1, NULL, NULL), MS_OK);
    assert_int_equal(ms_share_flush(self->other, 20000, NULL), MS_OK);
  }
  ms_status status = ms_transaction_set_int(transaction, "a", a - 10, error);
  if (status == MS_OK) status = ms_transaction_set_int(transaction, "b", b + 10, error);
  return status == MS_OK ? self->verdict : status;
}

static void count_rejection(void *ud, const ms_rejection *rejection) {
  (void)rejection;
  ++*(int *)ud;
}

static void test_a_function_runs_again_until_it_is_accepted(void **state) {
  scene *self = *state;
  ms_share *host = open_with(self, BANK), *client = peer_open(self);
  transfer job = {.other = host, .disturbances = 3};
  int told = 0;
  ms_sub *sub = NULL;
  ms_error error = {MS_OK, ""};
  assert_int_equal(ms_share_on_reject(client, count_rejection, &told, &sub), MS_OK);
  assert_int_equal(ms_share_transact(client, move_money, &job, NULL, &error), MS_OK);
  assert_int_equal(job.runs, 4);
  assert_int_equal(int_at(client, "a"), 93);
  assert_int_equal(int_at(client, "b"), 110);
  assert_int_equal(told, 0);
  ms_sub_close(sub);
}

static void test_retries_have_an_end(void **state) {
  scene *self = *state;
  ms_share *host = open_with(self, BANK), *client = peer_open(self);
  transfer job = {.other = host, .disturbances = 1000};
  ms_transaction_options options;
  ms_transaction_options_init(&options);
  options.retries = 2;
  ms_error error = {MS_OK, ""};
  assert_int_equal(ms_share_transact(client, move_money, &job, &options, &error),
                   MS_ECONFLICT);
  assert_int_equal(job.runs, 3);
  assert_int_equal(int_at(client, "b"), 100);
  assert_non_null(strstr(error.message, "\"a\""));
}

static void test_a_function_that_gives_up_leaves_nothing(void **state) {
  scene *self = *state;
  ms_share *share = open_with(self, BANK);
  transfer job = {.verdict = MS_ECONFLICT};
  ms_error error = {MS_OK, ""};
  assert_int_equal(ms_share_transact(share, move_money, &job, NULL, &error),
                   MS_ECONFLICT);
  assert_int_equal(job.runs, 1);
  assert_int_equal(int_at(share, "a"), 100);
  assert_int_equal(info_of(share).submitted, 0);
  job.verdict = MS_OK;
  assert_int_equal(ms_share_transact(share, move_money, &job, NULL, &error), MS_OK);
}

static void test_waiting_has_an_end_and_the_rest_is_told(void **state) {
  scene *self = *state;
  ms_share *host = open_with(self, BANK), *client = peer_open(self);
  transfer job = {.verdict = MS_OK};
  ms_transaction_options options;
  ms_transaction_options_init(&options);
  options.timeout_ms = 20;
  ms_error error = {MS_OK, ""};
  hold(self, host);
  assert_int_equal(ms_share_transact(client, move_money, &job, &options, &error),
                   MS_ETIMEDOUT);
  assert_int_equal(ms_share_transact(client, move_money, &job, &options, &error),
                   MS_ETIMEDOUT); /* the first is not decided */
  assert_int_equal(job.runs, 1);
  let_go(self, host);
  assert_int_equal(ms_share_flush(client, 20000, NULL), MS_OK);
  assert_int_equal(int_at(client, "b"), 110);
}

static ms_status step_to_its_end(ms_share *share, ms_transact *transact, int *steps,
                                 ms_error *error) {
  bool over = false;
  ms_status status = MS_OK;
  for (*steps = 0; !over && *steps < 100000; ++*steps) {
    if (*steps > 0) {
      int timeout_ms = ms_transact_is_due(transact) ? 0 : ms_transact_timeout(transact);
      assert_int_equal(ms_runtime_poll(ms_share_runtime(share), timeout_ms, 0, NULL),
                       MS_OK);
    }
    status = ms_transact_step(transact, &over, error);
  }
  assert_true(over);
  return status;
}

static void test_steps_lead_where_waiting_does(void **state) {
  scene *self = *state;
  ms_share *host = open_with(self, BANK), *client = peer_open(self);
  transfer job = {.other = host, .disturbances = 3};
  ms_transact *transact = NULL;
  int steps = 0;
  bool over = false;
  ms_error error = {MS_OK, ""};
  assert_int_equal(ms_transact_new(client, move_money, &job, NULL, &transact, &error),
                   MS_OK);
  assert_int_equal(job.runs, 0);
  assert_int_equal(step_to_its_end(client, transact, &steps, &error), MS_OK);
  assert_true(steps > 1);
  assert_int_equal(job.runs, 4);
  assert_int_equal(int_at(client, "a"), 93);
  assert_int_equal(ms_transact_step(transact, &over, &error), MS_ECLOSED);
  assert_true(over);
  ms_transact_free(transact);
  assert_int_equal(ms_transact_new(client, NULL, NULL, NULL, &transact, &error),
                   MS_EARGUMENT);
}

static void test_steps_that_are_given_up_leave_a_patch_like_any_other(void **state) {
  scene *self = *state;
  ms_share *host = open_with(self, BANK), *client = peer_open(self);
  transfer job = {.verdict = MS_OK};
  ms_transact *first = NULL, *second = NULL;
  ms_transaction_options options;
  int told = 0, steps = 0;
  bool over = true;
  ms_sub *sub = NULL;
  ms_error error = {MS_OK, ""};
  ms_transaction_options_init(&options);
  options.timeout_ms = 20;
  assert_int_equal(ms_share_on_reject(client, count_rejection, &told, &sub), MS_OK);
  hold(self, host);
  assert_int_equal(ms_transact_new(client, move_money, &job, NULL, &first, &error),
                   MS_OK);
  assert_int_equal(ms_transact_step(first, &over, &error), MS_OK);
  assert_false(over);
  assert_false(ms_transact_is_due(first));
  assert_int_equal(ms_transact_new(client, move_money, &job, &options, &second, &error),
                   MS_OK);
  assert_int_equal(step_to_its_end(client, second, &steps, &error), MS_ETIMEDOUT);
  ms_transact_free(second);
  ms_transact_free(first);
  assert_int_equal(job.runs, 1);
  let_go(self, host);
  assert_int_equal(ms_share_flush(client, 20000, NULL), MS_OK);
  assert_int_equal(int_at(client, "b"), 110);
  assert_int_equal(told, 0);
  ms_sub_close(sub);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCENE_TEST(test_a_transaction_shows_once_it_is_accepted),
      SCENE_TEST(test_what_was_read_and_changed_refuses_it),
      SCENE_TEST(test_a_host_is_held_to_what_it_read_as_well),
      SCENE_TEST(test_own_patches_under_way_are_in_the_draft),
      SCENE_TEST(test_who_read_what_was_rejected_falls_with_it),
      SCENE_TEST(test_what_own_patches_hang_on_counts_as_read),
      SCENE_TEST(test_a_write_that_fails_has_read_why),
      SCENE_TEST(test_one_that_read_nothing_is_a_batch),
      SCENE_TEST(test_one_that_wrote_nothing_is_not_sent),
      SCENE_TEST(test_while_it_is_open_nothing_else_goes),
      SCENE_TEST(test_closing_the_share_ends_an_open_transaction),
      SCENE_TEST(test_a_function_runs_again_until_it_is_accepted),
      SCENE_TEST(test_retries_have_an_end),
      SCENE_TEST(test_a_function_that_gives_up_leaves_nothing),
      SCENE_TEST(test_waiting_has_an_end_and_the_rest_is_told),
      SCENE_TEST(test_steps_lead_where_waiting_does),
      SCENE_TEST(test_steps_that_are_given_up_leave_a_patch_like_any_other),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
