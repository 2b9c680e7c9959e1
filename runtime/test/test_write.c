/* Writing: batches, the queue and its bounds, and writes where writing is hard. */
#include "share_support.h"

static const int PATIENCE_MS = (int)(TEST_PATIENCE_NS / 1000000);

static void set(ms_share *share, const char *path, int64_t number) {
  assert_int_equal(ms_share_set_int(share, path, number), MS_OK);
}

/* ----------------------------------------------------------- each way to write and read */

static void test_typed_calls_write_and_read_their_types_only(void **state) {
  ms_share *share = peer_open(*state);
  bool flag = false;
  int64_t number = 0;
  double real = 0;
  const char *bytes = NULL;
  size_t length = 0;
  assert_int_equal(ms_share_set_bool(share, "b", true), MS_OK);
  assert_int_equal(ms_share_set_int(share, "i", INT64_MIN), MS_OK);
  assert_int_equal(ms_share_set_double(share, "d", 0.5), MS_OK);
  assert_int_equal(ms_share_set_string(share, "s", "a\0b", 3), MS_OK);
  assert_int_equal(ms_share_get_bool(share, "b", &flag), MS_OK);
  assert_int_equal(ms_share_get_int(share, "i", &number), MS_OK);
  assert_int_equal(ms_share_get_double(share, "d", &real), MS_OK);
  assert_int_equal(ms_share_get_string(share, "s", &bytes, &length), MS_OK);
  assert_true(flag && number == INT64_MIN && real > 0.4 && real < 0.6);
  assert_int_equal(length, 3);
  assert_memory_equal(bytes, "a\0b", 4);
  assert_int_equal(ms_share_get_bool(share, "i", &flag), MS_ETYPE);
  assert_int_equal(ms_share_get_int(share, "d", &number), MS_ETYPE);
  assert_int_equal(ms_share_get_double(share, "i", &real), MS_OK);
  assert_int_equal(ms_share_get_string(share, "b", &bytes, &length), MS_ETYPE);
  assert_int_equal(ms_share_get_int(share, "none", &number), MS_ENOENT);
  assert_int_equal(ms_share_get_int(share, "a..b", &number), MS_EPATH);
}

static const ms_value *json(const char *text) {
  const ms_value *value = NULL;
  ms_error error;
  assert_int_equal(ms_value_from_json(NULL, text, strlen(text), &value, &error), MS_OK);
  return value;
}

static void assert_document(const ms_share *share, const char *text) {
  const ms_value *expected_value = json(text), *root = ms_share_root(share);
  assert_true(ms_value_equal(root, expected_value));
  ms_value_release(root);
  ms_value_release(expected_value);
}

static void test_operators_change_the_document(void **state) {
  ms_share *share = peer_open(*state);
  const ms_value *value = json("{\"a\":1,\"l\":[1]}");
  ms_path *path = NULL;
  ms_update *update = NULL;
  ms_error error;
  assert_int_equal(ms_share_replace(share, value, NULL, &error), MS_OK);
  assert_document(share, "{\"a\":1,\"l\":[1]}");
  assert_int_equal(ms_share_push(share, "l", ms_value_bool(true), NULL, &error), MS_OK);
  assert_int_equal(ms_share_unset(share, "a", NULL, &error), MS_OK);
  assert_document(share, "{\"l\":[1,true]}");
  assert_int_equal(ms_share_replace(share, ms_value_null(), NULL, &error), MS_ETYPE);
  assert_int_equal(ms_share_set(share, "", value, NULL, &error), MS_EPATH);
  assert_non_null(strstr(error.message, "ms_share_replace"));
  assert_int_equal(ms_path_parse(NULL, "gone.x", 6, &path, &error), MS_OK);
  ms_write write;
  ms_write_init(&write);
  write.path = path;
  write.operand = ms_value_null();
  write.container = MS_EMPTY;
  assert_int_equal(ms_share_write(share, &write, NULL, &error), MS_EPATH);
  write.container = MS_NULL;
  write.op = (ms_operator)99;
  assert_int_equal(ms_share_write(share, &write, NULL, &error), MS_EARGUMENT);
  write.op = MS_OP_UNSET;
  write.operand = NULL;
  assert_int_equal(ms_share_write(share, &write, NULL, &error), MS_OK);
  ms_path_release(path);
  ms_value_release(value);
  value = json("{\"$set\":{\"u\":5},\"$inc\":{\"l.0\":1}}");
  assert_int_equal(ms_update_parse(NULL, value, NULL, &update, &error), MS_OK);
  assert_int_equal(ms_share_update(share, update, NULL, &error), MS_OK);
  assert_int_equal(ms_share_patch(share, value, NULL, NULL, &error), MS_OK);
  assert_document(share, "{\"l\":[3,true],\"u\":5}");
  ms_update_release(update);
  ms_value_release(value);
}

/* ---------------------------------------------------- single operators and conditions */

static ms_status write_json(ms_share *share, const char *at, ms_operator op,
                            const char *operand) {
  ms_write write;
  ms_path *path = NULL;
  ms_error error;
  ms_write_init(&write);
  assert_int_equal(ms_path_parse(NULL, at, strlen(at), &path, &error), MS_OK);
  write.path = path;
  write.op = op;
  write.operand = operand == NULL ? NULL : json(operand);
  ms_status status = ms_share_write(share, &write, NULL, &error);
  ms_value_release(write.operand);
  ms_path_release(path);
  return status;
}

static void test_every_single_operator_changes_the_document(void **state) {
  ms_share *share = peer_open(*state);
  assert_int_equal(write_json(share, "n", MS_OP_SET, "6"), MS_OK);
  assert_int_equal(write_json(share, "n", MS_OP_MUL, "7"), MS_OK);
  assert_int_equal(write_json(share, "n", MS_OP_MAX, "50"), MS_OK);
  assert_int_equal(write_json(share, "n", MS_OP_MIN, "9"), MS_OK);
  assert_int_equal(write_json(share, "n", MS_OP_INC, "1"), MS_OK);
  assert_int_equal(write_json(share, "l", MS_OP_PUSH, "1"), MS_OK);
  assert_int_equal(write_json(share, "l", MS_OP_ADD_TO_SET, "1"), MS_OK);
  assert_int_equal(write_json(share, "l", MS_OP_ADD_TO_SET, "2"), MS_OK);
  assert_int_equal(write_json(share, "l", MS_OP_INSERT, "[0, {\"$each\": [1]}]"), MS_OK);
  assert_document(share, "{\"n\":10,\"l\":[{\"$each\":[1]},1,2]}");
  assert_int_equal(write_json(share, "l", MS_OP_REMOVE, "0"), MS_OK);
  assert_int_equal(write_json(share, "l", MS_OP_PULL, "{\"$gt\": 1}"), MS_OK);
  assert_document(share, "{\"n\":10,\"l\":[1]}");
  assert_int_equal(write_json(share, "l", MS_OP_POP, "1"), MS_OK);
  assert_int_equal(write_json(share, "n", MS_OP_UNSET, NULL), MS_OK);
  assert_document(share, "{\"l\":[]}");
  assert_int_equal(write_json(share, "t", MS_OP_CURRENT_DATE, NULL), MS_OK);
  assert_true(int_at(share, "t") > INT64_C(1600000000000));
}

static void test_positions_that_are_none_are_refused(void **state) {
  ms_share *share = peer_open(*state);
  assert_int_equal(write_json(share, "l", MS_OP_PUSH, "1"), MS_OK);
  assert_int_equal(write_json(share, "l", MS_OP_REMOVE, "1"), MS_EPATH);
  assert_int_equal(write_json(share, "l", MS_OP_REMOVE, "-1"), MS_EARGUMENT);
  assert_int_equal(write_json(share, "l", MS_OP_REMOVE, NULL), MS_EARGUMENT);
  assert_int_equal(write_json(share, "l", MS_OP_INSERT, "[-1, 2]"), MS_EARGUMENT);
  assert_int_equal(write_json(share, "l", MS_OP_INSERT, "[0]"), MS_EARGUMENT);
  assert_int_equal(write_json(share, "l", MS_OP_INSERT, NULL), MS_EARGUMENT);
  assert_int_equal(write_json(share, "l", MS_OP_POP, "2"), MS_EARGUMENT);
  assert_int_equal(write_json(share, "l", MS_OP_INC, NULL), MS_EARGUMENT);
  assert_int_equal(write_json(share, "gone", MS_OP_REMOVE, "0"), MS_EPATH);
  assert_document(share, "{\"l\":[1]}");
}

static void test_write_carries_the_wall_time_it_was_given(void **state) {
  ms_share *share = peer_open(*state);
  ms_write write;
  ms_path *path = NULL;
  ms_error error;
  ms_write_init(&write);
  assert_int_equal(ms_path_parse(NULL, "t", 1, &path, &error), MS_OK);
  write.path = path;
  write.op = MS_OP_CURRENT_DATE;
  write.wall_ms = 12345;
  assert_int_equal(ms_share_write(share, &write, NULL, &error), MS_OK);
  assert_int_equal(int_at(share, "t"), 12345);
  ms_path_release(path);
}

static void test_batch_has_one_wall_time(void **state) {
  ms_share *share = peer_open(*state);
  ms_batch *batch = NULL;
  ms_error error;
  assert_int_equal(ms_batch_new(share, &batch), MS_OK);
  int64_t wall_ms = ms_share_wall_ms(share);
  assert_int_equal(write_json(share, "t", MS_OP_CURRENT_DATE, NULL), MS_OK);
  assert_int_equal(int_at(share, "t"), wall_ms);
  assert_int_equal(ms_batch_commit(batch, NULL, &error), MS_OK);
  ms_batch_free(batch);
  assert_int_equal(int_at(share, "t"), wall_ms);
}

static ms_status patch_where(ms_share *share, const char *text, const char *where,
                             ms_receipt **receipt) {
  ms_update_options options;
  ms_error error;
  const ms_value *document = json(text);
  ms_update_options_init(&options);
  options.where = json(where);
  ms_status status = ms_share_patch(share, document, &options, receipt, &error);
  ms_value_release(options.where);
  ms_value_release(document);
  return status;
}

static void test_condition_that_does_not_hold_is_told_by_the_receipt(void **state) {
  ms_share *share = peer_open(*state);
  ms_receipt *receipt = NULL;
  ms_error error;
  ms_rejection rejection = {.bytes = sizeof rejection};
  set(share, "stock", 1);
  for (int i = 1; i >= 0; i--) {
    assert_int_equal(patch_where(share, "{\"$inc\":{\"stock\":-1}}",
                                 "{\"stock\":{\"$gt\":0}}", &receipt),
                     MS_OK);
    assert_int_equal(ms_receipt_wait(receipt, PATIENCE_MS, &error),
                     i == 1 ? MS_OK : MS_ECONDITION);
    if (i == 0) {
      assert_true(ms_receipt_rejection(receipt, &rejection));
      assert_non_null(strstr(error.message, "stock"));
      assert_int_equal(ms_path_count(rejection.path), 1);
    }
    assert_int_equal(int_at(share, "stock"), 0);
    ms_receipt_release(receipt);
  }
}

static void test_condition_is_for_the_host_and_not_for_the_view(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self), *other = peer_open(self);
  ms_receipt *receipt = NULL;
  ms_error error;
  /* The other peer's view does not know yet that the door is open. */
  set(host, "open", 1);
  assert_int_equal(patch_where(other, "{\"$set\":{\"in\":1}}", "{\"open\":1}", &receipt),
                   MS_OK);
  assert_int_equal(int_at(other, "in"), -1);
  assert_int_equal(ms_receipt_wait(receipt, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(int_at(other, "in"), 1);
  ms_receipt_release(receipt);
}

static void test_condition_in_a_batch_fails_at_once(void **state) {
  ms_share *share = peer_open(*state);
  ms_batch *batch = NULL;
  ms_error error;
  assert_int_equal(ms_batch_new(share, &batch), MS_OK);
  set(share, "a", 1);
  assert_int_equal(patch_where(share, "{\"$set\":{\"b\":1}}", "{\"a\":2}", NULL),
                   MS_ECONDITION);
  assert_int_equal(patch_where(share, "{\"$set\":{\"b\":2}}", "{\"a\":1}", NULL), MS_OK);
  assert_int_equal(ms_batch_commit(batch, NULL, &error), MS_OK);
  ms_batch_free(batch);
  assert_document(share, "{\"a\":1,\"b\":2}");
}

static void test_condition_that_is_no_query_says_so(void **state) {
  ms_share *share = peer_open(*state);
  assert_int_equal(
      patch_where(share, "{\"$set\":{\"b\":1}}", "{\"a\":{\"$no\":2}}", NULL),
      MS_EARGUMENT);
  assert_int_equal(patch_where(share, "{\"$set\":{\"b\":1}}", "[]", NULL), MS_EARGUMENT);
}

/* --------------------------------------------------------------------- batches */

static void test_batch_without_writes_commits_nothing(void **state) {
  ms_share *share = peer_open(*state);
  ms_batch *batch = NULL;
  ms_error error;
  ms_receipt *receipt = (ms_receipt *)share;
  assert_int_equal(ms_batch_new(share, &batch), MS_OK);
  assert_int_equal(ms_batch_commit(batch, &receipt, &error), MS_OK);
  assert_null(receipt);
  assert_int_equal(info_of(share).submitted, 0);
  set(share, "n", 1);
  assert_int_equal(ms_batch_commit(batch, NULL, &error), MS_OK);
  set(share, "n", 2); /* the batch is still open */
  ms_batch_free(batch);
  assert_int_equal(info_of(share).submitted, 1);
  assert_int_equal(int_at(share, "n"), 1);
}

static void test_one_batch_at_a_time_and_no_poll_meanwhile(void **state) {
  scene *self = *state;
  ms_share *share = peer_open(self), *another = NULL;
  ms_share_config config;
  ms_batch *batch = NULL, *second = NULL, *elsewhere = NULL;
  ms_error error;
  scene_config(self, &config);
  assert_int_equal(ms_share_open(self->runtimes[0], "other", &config, &another, &error),
                   MS_OK);
  assert_int_equal(ms_batch_new(share, &batch), MS_OK);
  assert_int_equal(ms_batch_new(share, &second), MS_EBUSY);
  assert_int_equal(ms_batch_new(another, &elsewhere), MS_OK);
  ms_batch_free(batch);
  assert_int_equal(ms_runtime_poll(self->runtimes[0], 0, 0, NULL), MS_EBUSY);
  assert_int_equal(ms_share_flush(another, 0, &error), MS_EBUSY);
  assert_int_equal(ms_share_sync(another, 0, &error), MS_EBUSY);
  ms_batch_free(elsewhere);
  assert_int_equal(ms_runtime_poll(self->runtimes[0], 0, 0, NULL), MS_OK);
}

static void test_view_number_counts_what_a_batch_shows_and_hides(void **state) {
  ms_share *share = peer_open(*state);
  ms_batch *batch = NULL;
  uint64_t number = ms_share_view_number(share);
  assert_int_equal(ms_batch_new(share, &batch), MS_OK);
  set(share, "n", 1);
  assert_true(ms_share_view_number(share) > number);
  number = ms_share_view_number(share);
  ms_batch_free(batch);
  assert_true(ms_share_view_number(share) > number);
}

typedef struct listener {
  int heard, written;
  bool stays;
} listener;

static bool count_change(void *ud, bool by_write) {
  listener *self = ud;
  self->heard++;
  if (by_write) self->written++;
  return self->stays;
}

static void test_watch_hears_of_every_change_of_what_reads_return(void **state) {
  ms_share *host = peer_open(*state);
  ms_share *share = peer_open(*state);
  listener heard = {0, 0, true};
  listener once = {0, 0, false};
  ms_view_watch watch = {.changed = count_change, .ud = &heard};
  ms_view_watch other = {.changed = count_change, .ud = &once};
  ms_batch *batch = NULL;
  ms_error error;
  ms_share_watch_view(share, &watch);
  ms_share_watch_view(share, &other);
  set(share, "n", 1);
  assert_int_equal(heard.heard, 1);
  assert_int_equal(heard.written, 1);
  assert_int_equal(ms_share_flush(share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(heard.heard, 1); /* the host agreed */
  set(host, "n", 2);
  assert_int_equal(ms_share_sync(host, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(ms_share_sync(share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(heard.heard, 2);
  assert_int_equal(heard.written, 1);
  assert_int_equal(ms_batch_new(share, &batch), MS_OK);
  set(share, "n", 3);
  assert_int_equal(heard.written, 2);
  ms_batch_free(batch);
  assert_int_equal(heard.heard, 4);
  assert_int_equal(heard.written, 2);
  assert_int_equal(once.heard, 1);
  ms_share_unwatch_view(share, &watch);
  ms_share_unwatch_view(share, &other);
  set(share, "n", 4);
  assert_int_equal(heard.heard, 4);
}

/* Only the runtime of this share polls. */
static void wait_int(ms_share *share, const char *path, int64_t number) {
  uint64_t end = uv_hrtime() + (uint64_t)PATIENCE_MS * 1000000;
  while (int_at(share, path) != number) {
    assert_true(uv_hrtime() < end);
    assert_int_equal(ms_runtime_poll(ms_share_runtime(share), 10, 0, NULL), MS_OK);
  }
}

/* The host's owner neither polls nor ends its row of writes. */
static void test_host_writes_in_a_row_reach_others_while_it_is_away(void **state) {
  ms_share *host = peer_open(*state);
  ms_share *share = peer_open(*state);
  ms_receipt *last = NULL;
  ms_error error;
  for (int i = 1; i <= 200; i++) {
    set(host, "n", i);
    assert_int_equal(int_at(host, "n"), i);
    assert_int_equal(ms_share_inc(host, "sum", 1, i == 200 ? &last : NULL, &error),
                     MS_OK);
  }
  wait_int(share, "sum", 200);
  assert_int_equal(int_at(share, "n"), 200);
  assert_int_equal(ms_receipt_wait(last, PATIENCE_MS, &error), MS_OK);
  ms_receipt_release(last);
}

static void test_host_decides_its_writes_in_a_row_at_the_next_poll(void **state) {
  ms_share *host = peer_open(*state);
  ms_receipt *last = NULL;
  ms_error error;
  for (int i = 1; i <= 20; i++) {
    ms_receipt **receipt = i == 20 ? &last : NULL;
    assert_int_equal(ms_share_inc(host, "sum", 1, receipt, &error), MS_OK);
  }
  assert_int_equal(ms_runtime_poll(ms_share_runtime(host), 0, 0, NULL), MS_OK);
  assert_int_equal(ms_receipt_get_state(last), MS_ACCEPTED);
  ms_receipt_release(last);
}

/* Views that somebody holds stay what they are, however the writes in a row change the live one. */
static void test_writes_in_a_row_leave_held_views_alone(void **state) {
  ms_share *host = peer_open(*state);
  ms_error error;
  const ms_value *held[64];
  const ms_value *document =
      json("{\"n\": 0, \"o\": {\"p\": {\"n\": 0}, \"q\": {\"n\": 0}}}");
  assert_int_equal(ms_share_replace(host, document, NULL, &error), MS_OK);
  ms_value_release(document);
  uint64_t number = ms_share_view_number(host);
  for (int i = 1; i < 64 * 8; i++) {
    set(host, "n", i);
    set(host, "o.p.n", i);
    if (i % 3 == 0) set(host, "o.q.n", i);
    assert_true(ms_share_view_number(host) > number);
    number = ms_share_view_number(host);
    if (i % 8 == 0) held[i / 8] = ms_share_root(host);
    if (i == 300) {
      assert_int_equal(ms_runtime_poll(ms_share_runtime(host), 0, 0, NULL), MS_OK);
    }
    assert_int_equal(ms_share_set_int(host, "n.x", 1), MS_EPATH);
    assert_int_equal(int_at(host, "n"), i);
  }
  for (int i = 1; i < 64; i++) {
    char text[80];
    snprintf(text, sizeof text,
             "{\"n\": %d, \"o\": {\"p\": {\"n\": %d}, \"q\": {\"n\": %d}}}", i * 8, i * 8,
             i * 8 / 3 * 3);
    const ms_value *wanted = json(text);
    assert_true(ms_value_equal(held[i], wanted));
    assert_true(msi_value_check(held[i]));
    ms_value_release(wanted);
    ms_value_release(held[i]);
  }
  assert_int_equal(ms_share_flush(host, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(int_at(host, "o.p.n"), 64 * 8 - 1);
}

static void test_host_writes_in_a_row_survive_its_leaving_at_once(void **state) {
  ms_share *host = peer_open(*state);
  ms_share *share = peer_open(*state);
  ms_error error;
  for (int i = 1; i <= 200; i++) {
    assert_int_equal(ms_share_inc(host, "sum", 1, NULL, &error), MS_OK);
  }
  (void)ms_share_close(host, 0);
  wait_int(share, "sum", 200);
}

static void test_batch_outlives_its_share_without_effect(void **state) {
  scene *self = *state;
  ms_error error;
  for (int how = 0; how < 3; how++) {
    ms_share *share = peer_open(self);
    ms_batch *batch = NULL;
    ms_receipt *receipt = NULL;
    assert_int_equal(ms_batch_new(share, &batch), MS_OK);
    set(share, "n", 1);
    switch (how) {
      case 0:
        assert_int_equal(ms_share_close(share, PATIENCE_MS), MS_OK);
        assert_int_equal(int_at(share, "n"), -1);
        break;
      case 1: ms_share_free(share); break;
      default:
        ms_runtime_close(self->runtimes[how]);
        self->runtimes[how] = NULL;
        break;
    }
    assert_int_equal(ms_batch_commit(batch, &receipt, &error), MS_ECLOSED);
    assert_null(receipt);
    ms_batch_free(batch);
  }
}

static void test_batch_that_is_too_large_stays_open(void **state) {
  scene *self = *state;
  ms_share_config config;
  ms_batch *batch = NULL;
  ms_receipt *receipt = NULL;
  ms_error error;
  scene_config(self, &config);
  config.max_patch = 64;
  ms_share *share = peer_open_with(self, &config);
  assert_int_equal(ms_batch_new(share, &batch), MS_OK);
  for (int i = 0; i < 20; i++) {
    char path[16];
    snprintf(path, sizeof path, "k%d", i);
    set(share, path, i);
  }
  assert_int_equal(ms_batch_commit(batch, &receipt, &error), MS_ELIMIT);
  assert_null(receipt);
  assert_non_null(strstr(error.message, "max_patch"));
  assert_int_equal(int_at(share, "k19"), 19);
  ms_batch_free(batch);
  assert_int_equal(int_at(share, "k19"), -1);
  assert_int_equal(ms_share_set_int(share, "n", 1), MS_OK);
}

/* ------------------------------------------------------------------- the queue */

static ms_share *open_with_queue(scene *self, size_t max_queue, int write_timeout_ms) {
  ms_share_config config;
  scene_config(self, &config);
  config.max_queue = max_queue;
  config.write_timeout_ms = write_timeout_ms;
  return peer_open_with(self, &config);
}

static void test_full_queue_is_busy_at_once_and_moves_nothing(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *share = open_with_queue(self, 3, 0);
  ms_batch *batch = NULL;
  ms_error error;
  hold(self, host);
  for (int i = 0; i < 3; i++) set(share, "n", i);
  uint64_t number = ms_share_view_number(share);
  assert_int_equal(ms_share_set_int(share, "n", 9), MS_EBUSY);
  assert_int_equal(ms_batch_new(share, &batch), MS_OK);
  set(share, "m", 9);
  assert_int_equal(ms_batch_commit(batch, NULL, &error), MS_EBUSY);
  assert_int_equal(int_at(share, "m"), 9);
  ms_batch_free(batch);
  assert_true(ms_share_view_number(share) > number);
  assert_int_equal(int_at(share, "n"), 2);
  let_go(self, host);
  assert_int_equal(ms_share_flush(share, PATIENCE_MS, &error), MS_OK);
  set(share, "n", 9);
}

static void test_full_queue_ends_its_wait_in_time(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *share = open_with_queue(self, 1, 20);
  hold(self, host);
  set(share, "n", 1);
  uint64_t start = uv_hrtime();
  assert_int_equal(ms_share_set_int(share, "n", 2), MS_EBUSY);
  assert_true(uv_hrtime() - start >= 20000000);
  assert_int_equal(int_at(share, "n"), 1);
  let_go(self, host);
}

static void count_call(void *ud, const ms_change *change) {
  (void)change;
  (*(int *)ud)++;
}

static void add_one(void *ud) { (*(int *)ud)++; }

/* Whether timers are due, callbacks wait or wakes come: a write waits for room, and runs none of them. */
static void test_writer_that_never_polls_waits_for_room(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *share = open_with_queue(self, 4, PATIENCE_MS);
  ms_timer *timer = NULL;
  ms_error error;
  int calls = 0, runs = 0;
  sub_on(share, "n", 0, count_call, &calls);
  assert_int_equal(ms_runtime_after(self->runtimes[1], 0, add_one, &runs, &timer), MS_OK);
  ms_runtime_wake(self->runtimes[1]);
  for (int i = 1; i <= 500; i++) set(share, "n", i);
  assert_int_equal(calls + runs, 0);
  assert_true(info_of(share).pending <= 4);
  assert_int_equal(ms_runtime_poll(self->runtimes[1], -1, 0, NULL), MS_OK);
  assert_int_equal(calls, 500);
  assert_int_equal(runs, 1);
  assert_int_equal(ms_share_flush(share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(ms_share_sync(host, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(int_at(host, "n"), 500);
}

typedef struct echo {
  ms_share *share;
  int calls;
} echo;

static void write_more(void *ud, const ms_change *change) {
  echo *self = ud;
  (void)change;
  if (self->calls++ > 0) return;
  for (int i = 1; i <= 50; i++) set(self->share, "m", i);
}

static void test_callback_waits_for_room_as_well(void **state) {
  scene *self = *state;
  peer_open(self);
  echo all = {.share = open_with_queue(self, 2, PATIENCE_MS)};
  ms_error error;
  sub_on(all.share, "n", 0, write_more, &all);
  set(all.share, "n", 1);
  assert_int_equal(ms_share_flush(all.share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(all.calls, 1);
  assert_int_equal(int_at(all.share, "m"), 50);
}

/* Each patch is rejected, and nobody polls to hear it. */
static void test_untold_refusals_fill_the_queue(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *share = open_with_queue(self, 8, PATIENCE_MS);
  ms_error error;
  set(host, "x", 0);
  assert_int_equal(ms_share_sync(share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(ms_share_set_string(host, "x", "text", 4), MS_OK);
  ms_status status = MS_OK;
  int written = 0;
  for (; status == MS_OK && written < 100; written++) {
    status = ms_share_inc(share, "x", 1, NULL, &error);
    /* Once the view knows that it is a string, the write fails by itself. */
    if (status == MS_ETYPE) break;
  }
  assert_true(info_of(share).rejected <= 8);
  assert_true(status == MS_EBUSY || status == MS_ETYPE);
  assert_int_equal(ms_share_sync(share, PATIENCE_MS, &error),
                   MS_OK); /* polls: they are told */
  set(share, "n", 1);
}

/* ------------------------------------------------------------ where writing is hard */

/* A snapshot that the view did not take yet is of another document than it shows. */
static void
test_write_on_a_view_that_a_snapshot_replaces_means_the_new_one(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *share = peer_open(self);
  const ms_value *root = NULL;
  ms_error error;
  set(share, "n", 1);
  assert_int_equal(ms_share_flush(share, PATIENCE_MS, &error), MS_OK);
  hold(self, host);
  assert_int_equal(ms_value_from_json(NULL, "{\"n\":10}", 8, &root, &error), MS_OK);
  hold(self, share);
  msi_mailbox_put(
      msi_station_mailbox(share->station), share->peer,
      &(msi_delivery){
          .kind = MSI_DELIVER_ROOT, .root = root, .version = 100, .number = 1});
  let_go(self, share);
  ms_value_release(root);
  assert_int_equal(int_at(share, "n"), 1);
  assert_int_equal(ms_share_inc(share, "n", 1, NULL, &error), MS_OK);
  assert_int_equal(int_at(share, "n"), 11);
  let_go(self, host);
}

static bool is_complete(void *ud) { return info_of(ud).state == MS_SHARE_CLIENT; }

/* The document waits in the mailbox, and with it the writing of defaults. */
static void test_closing_before_defaults_are_merged_writes_none(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self), *share = NULL;
  ms_share_config config;
  const ms_value *defaults = NULL;
  ms_error error;
  assert_int_equal(ms_value_from_json(NULL, "{\"d\":1}", 7, &defaults, &error), MS_OK);
  scene_config(self, &config);
  config.defaults = defaults;
  config.merge_defaults = true;
  self->runtimes[1] = runtime_make(self);
  self->count = 2;
  assert_int_equal(ms_share_new(self->runtimes[1], "arena", &config, &share, &error),
                   MS_OK);
  ms_value_release(defaults);
  assert_int_equal(ms_share_start(share, 0, &error), MS_OK);
  assert_true(test_eventually(is_complete, share));
  assert_int_equal(ms_share_close(share, 0), MS_OK);
  ms_share_free(share);
  assert_int_equal(ms_share_sync(host, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(int_at(host, "d"), -1);
}

static void test_writing_before_the_document_is_there_has_no_host(void **state) {
  scene *self = *state;
  peer_open(self);
  ms_share_config config;
  ms_share *share = NULL;
  ms_batch *batch = NULL;
  ms_error error;
  scene_config(self, &config);
  self->runtimes[1] = runtime_make(self);
  self->count = 2;
  assert_int_equal(ms_share_new(self->runtimes[1], "arena", &config, &share, &error),
                   MS_OK);
  assert_int_equal(ms_share_set_int(share, "n", 1), MS_ENOHOST);
  assert_int_equal(ms_batch_new(share, &batch), MS_ENOHOST);
  assert_int_equal(ms_share_start(share, 0, &error), MS_OK);
  assert_int_equal(ms_share_set_int(share, "n", 1),
                   MS_ENOHOST); /* nothing was polled yet */
  assert_null(ms_share_root(share));
  assert_int_equal(ms_share_start(share, -1, &error), MS_OK);
  set(share, "n", 1);
}

static void test_share_that_could_not_be_opened_says_why_to_writers(void **state) {
  scene *self = *state;
  ms_share_config config;
  ms_share *share = NULL;
  ms_error error;
  scene_config(self, &config);
  config.must_exist = config.no_host = true;
  self->runtimes[0] = runtime_make(self);
  self->count = 1;
  assert_int_equal(ms_share_new(self->runtimes[0], "arena", &config, &share, &error),
                   MS_OK);
  assert_int_equal(ms_share_start(share, -1, &error), MS_ENOENT);
  assert_int_equal(ms_share_start(share, 0, &error), MS_ENOENT);
  const ms_value *one = NULL;
  assert_int_equal(ms_value_new_int(NULL, 1, &one), MS_OK);
  assert_int_equal(ms_share_set(share, "n", one, NULL, &error), MS_ECLOSED);
  assert_non_null(strstr(error.message, "arena"));
  ms_share_free(share);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCENE_TEST(test_typed_calls_write_and_read_their_types_only),
      SCENE_TEST(test_operators_change_the_document),
      SCENE_TEST(test_every_single_operator_changes_the_document),
      SCENE_TEST(test_positions_that_are_none_are_refused),
      SCENE_TEST(test_write_carries_the_wall_time_it_was_given),
      SCENE_TEST(test_batch_has_one_wall_time),
      SCENE_TEST(test_condition_that_does_not_hold_is_told_by_the_receipt),
      SCENE_TEST(test_condition_is_for_the_host_and_not_for_the_view),
      SCENE_TEST(test_condition_in_a_batch_fails_at_once),
      SCENE_TEST(test_condition_that_is_no_query_says_so),
      SCENE_TEST(test_batch_without_writes_commits_nothing),
      SCENE_TEST(test_one_batch_at_a_time_and_no_poll_meanwhile),
      SCENE_TEST(test_view_number_counts_what_a_batch_shows_and_hides),
      SCENE_TEST(test_watch_hears_of_every_change_of_what_reads_return),
      SCENE_TEST(test_host_writes_in_a_row_reach_others_while_it_is_away),
      SCENE_TEST(test_host_decides_its_writes_in_a_row_at_the_next_poll),
      SCENE_TEST(test_writes_in_a_row_leave_held_views_alone),
      SCENE_TEST(test_host_writes_in_a_row_survive_its_leaving_at_once),
      SCENE_TEST(test_batch_outlives_its_share_without_effect),
      SCENE_TEST(test_batch_that_is_too_large_stays_open),
      SCENE_TEST(test_full_queue_is_busy_at_once_and_moves_nothing),
      SCENE_TEST(test_full_queue_ends_its_wait_in_time),
      SCENE_TEST(test_writer_that_never_polls_waits_for_room),
      SCENE_TEST(test_callback_waits_for_room_as_well),
      SCENE_TEST(test_untold_refusals_fill_the_queue),
      SCENE_TEST(test_write_on_a_view_that_a_snapshot_replaces_means_the_new_one),
      SCENE_TEST(test_closing_before_defaults_are_merged_writes_none),
      SCENE_TEST(test_writing_before_the_document_is_there_has_no_host),
      SCENE_TEST(test_share_that_could_not_be_opened_says_why_to_writers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
