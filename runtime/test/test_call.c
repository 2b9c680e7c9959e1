/* Events and calls through the C API: peers of one process. */
#include "share_support.h"

enum { PATIENCE_MS = 20000, HEARD_MAX = 64 };

/* What was heard, one letter each: e1 e2 (events with their number), n (a change of n). */
typedef struct journal {
  char text[HEARD_MAX * 4];
  size_t count;
} journal;

static void hear_event(void *ud, const ms_event *event) {
  journal *self = ud;
  int64_t number = -1;
  assert_int_equal(event->bytes, sizeof *event);
  assert_int_equal(strlen(event->name), event->name_length);
  if (ms_value_to_int(event->value, &number) != MS_OK) number = -1;
  size_t used = strlen(self->text);
  snprintf(self->text + used, sizeof self->text - used, "%s%d ", event->name,
           (int)number);
  self->count++;
}

static void hear_change(void *ud, const ms_change *change) {
  journal *self = ud;
  int64_t number = -1;
  assert_int_equal(ms_value_to_int(change->new_value, &number), MS_OK);
  size_t used = strlen(self->text);
  snprintf(self->text + used, sizeof self->text - used, "n=%d ", (int)number);
  self->count++;
}

static void emit(ms_share *share, const char *name, int64_t number) {
  const ms_value *value = NULL;
  ms_error error;
  assert_int_equal(ms_value_new_int(NULL, number, &value), MS_OK);
  assert_int_equal(ms_share_emit(share, name, strlen(name), value, NULL, &error), MS_OK);
  ms_value_release(value);
}

typedef struct wish {
  const journal *journal;
  size_t count;
} wish;

static bool has_heard(void *ud) {
  const wish *self = ud;
  return self->journal->count >= self->count;
}

static void test_events_come_once_in_one_order_with_changes(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self), *peer = peer_open(self);
  ms_share *shares[] = {host, peer};
  journal heard[2] = {0}, of_any = {0};
  ms_sub *subs[5];
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal(
        ms_share_on_event(shares[i], "ping", 4, hear_event, &heard[i], &subs[2 * i]),
        MS_OK);
    subs[2 * i + 1] = sub_on(shares[i], "n", 0, hear_change, &heard[i]);
  }
  assert_int_equal(ms_share_on_event(host, NULL, 0, hear_event, &of_any, &subs[4]),
                   MS_OK);
  emit(peer, "ping", 1);
  assert_int_equal(ms_share_set_int(peer, "n", 1), MS_OK);
  emit(peer, "ping", 2);
  emit(peer, "other", 0);
  assert_int_equal(ms_share_set_int(peer, "n", 2), MS_OK);
  emit(peer, "ping", 3);
  wish whole = {&heard[0], 5}, own = {&heard[1], 5}, any = {&of_any, 4};
  assert_true(scene_eventually(self, has_heard, &whole));
  assert_true(scene_eventually(self, has_heard, &own));
  assert_true(scene_eventually(self, has_heard, &any));
  assert_string_equal(heard[0].text, "ping1 n=1 ping2 n=2 ping3 ");
  assert_string_equal(of_any.text, "ping1 ping2 other0 ping3 ");
  /* Own changes are told when they are made, events when they are accepted. */
  assert_int_equal(heard[1].count, 5);
  ms_sub_close(subs[0]);
  emit(peer, "ping", 4);
  any.count = 5;
  assert_true(scene_eventually(self, has_heard, &any));
  assert_int_equal(heard[0].count, 5);
}

static void test_event_in_a_batch_comes_with_its_patch(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self), *peer = peer_open(self);
  journal heard = {0};
  ms_sub *sub;
  assert_int_equal(ms_share_on_event(host, "done", 4, hear_event, &heard, &sub), MS_OK);
  (void)sub_on(host, "n", 0, hear_change, &heard);
  ms_batch *batch = NULL;
  ms_error error;
  assert_int_equal(ms_batch_new(peer, &batch), MS_OK);
  emit(peer, "done", 7);
  assert_int_equal(ms_share_set_int(peer, "n", 3), MS_OK);
  assert_int_equal(ms_batch_commit(batch, NULL, &error), MS_OK);
  ms_batch_free(batch);
  wish both = {&heard, 2};
  assert_true(scene_eventually(self, has_heard, &both));
  assert_string_equal(heard.text, "n=3 done7 ");
  batch = NULL;
  assert_int_equal(ms_batch_new(peer, &batch), MS_OK);
  emit(peer, "done", 8);
  ms_batch_free(batch); /* never happened */
  emit(peer, "done", 9);
  both.count = 3;
  assert_true(scene_eventually(self, has_heard, &both));
  assert_string_equal(heard.text, "n=3 done7 done9 ");
}

static void test_names_are_checked(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  static char name[MS_KEY_MAX + 1];
  memset(name, 'x', sizeof name);
  journal heard = {0};
  ms_sub *sub = NULL;
  ms_error error;
  assert_int_equal(ms_share_emit(host, NULL, 3, NULL, NULL, &error), MS_EARGUMENT);
  assert_int_equal(ms_share_emit(host, "", 0, NULL, NULL, &error), MS_EARGUMENT);
  assert_int_equal(ms_share_emit(host, name, sizeof name, NULL, NULL, &error), MS_ELIMIT);
  assert_int_equal(ms_share_on_event(host, "", 0, hear_event, &heard, &sub),
                   MS_EARGUMENT);
  assert_int_equal(ms_share_on_event(host, "x", 1, NULL, &heard, &sub), MS_EARGUMENT);
  assert_int_equal(ms_share_on_event(host, name, sizeof name, hear_event, &heard, &sub),
                   MS_ELIMIT);
  assert_int_equal(ms_share_handle(host, "", 0, NULL, NULL, &sub), MS_EARGUMENT);
  assert_null(sub);
}

/* -------------------------------------------------------------------- calls */

typedef struct answer {
  int count;
  ms_status status;
  int64_t number;
  char code[32], message[128];
  uint64_t peer;
} answer;

static void note_reply(void *ud, const ms_reply *reply) {
  answer *self = ud;
  self->count++;
  self->status = reply->status;
  self->peer = reply->peer;
  self->number = -1;
  if (reply->value != NULL && ms_value_to_int(reply->value, &self->number) != MS_OK)
    self->number = -1;
  snprintf(self->code, sizeof self->code, "%s", reply->code);
  snprintf(self->message, sizeof self->message, "%s", reply->message);
}

static bool is_told(void *ud) { return ((const answer *)ud)->count > 0; }

static ms_status ask(ms_share *share, uint64_t to, int64_t number, int timeout_ms,
                     answer *out) {
  const ms_value *value = NULL;
  ms_error error;
  *out = (answer){0};
  assert_int_equal(ms_value_new_int(NULL, number, &value), MS_OK);
  ms_status status =
      ms_share_call(share, to, "double", 6, value, timeout_ms, note_reply, out, &error);
  ms_value_release(value);
  return status;
}

static void answer_double(void *ud, ms_call *call) {
  int64_t number;
  ms_error error;
  const ms_value *value = NULL;
  size_t length;
  ++*(int *)ud;
  assert_string_equal(ms_call_name(call, &length), "double");
  assert_int_equal(length, 6);
  assert_int_equal(ms_value_to_int(ms_call_value(call), &number), MS_OK);
  assert_true(ms_call_origin(call) != 0);
  if (number < 0) {
    assert_int_equal(ms_call_fail(call, number == -1 ? "ETYPE" : "EODD", "no", &error),
                     MS_OK);
    return;
  }
  assert_int_equal(ms_value_new_int(NULL, 2 * number, &value), MS_OK);
  assert_int_equal(ms_call_reply(call, value, &error), MS_OK);
  assert_int_equal(ms_call_reply(call, value, &error), MS_EARGUMENT);
  ms_value_release(value);
}

static void test_calls_are_answered_by_who_was_asked(void **state) {
  scene *self = *state;
  ms_share *shares[] = {peer_open(self), peer_open(self), peer_open(self)};
  int counts[3] = {0};
  ms_sub *subs[3];
  answer got;
  ms_error error;
  assert_int_equal(ask(shares[1], MS_CALL_ANY, 5, -1, &got), MS_ENOENT);
  for (size_t i = 0; i < 3; i++) {
    assert_int_equal(
        ms_share_handle(shares[i], "double", 6, answer_double, &counts[i], &subs[i]),
        MS_OK);
    assert_int_equal(
        ms_share_handle(shares[i], "double", 6, answer_double, &counts[i], &subs[i]),
        MS_EBUSY);
    assert_int_equal(ms_share_flush(shares[i], PATIENCE_MS, &error), MS_OK);
  }
  assert_int_equal(ms_share_sync(shares[1], PATIENCE_MS, &error), MS_OK);
  for (size_t i = 0; i < 3; i++) { /* by their ids, own one included */
    uint64_t id = info_of(shares[i]).peer;
    assert_int_equal(ask(shares[1], id, 5, PATIENCE_MS, &got), MS_OK);
    assert_true(scene_eventually(self, is_told, &got));
    assert_int_equal(got.status, MS_OK);
    assert_int_equal(got.number, 10);
    assert_true(got.peer == id);
    assert_int_equal(counts[i], 1);
  }
  assert_int_equal(ask(shares[2], MS_CALL_HOST, 6, -1, &got), MS_OK);
  assert_true(scene_eventually(self, is_told, &got));
  assert_int_equal(counts[0], 2);
  for (int i = 0; i < 3; i++) { /* in turn */
    assert_int_equal(ask(shares[1], MS_CALL_ANY, 1, -1, &got), MS_OK);
    assert_true(scene_eventually(self, is_told, &got));
    assert_int_equal(got.number, 2);
  }
  assert_int_equal(counts[0], 3);
  assert_int_equal(counts[1], 2);
  assert_int_equal(counts[2], 2);
}

static void test_failures_come_back_with_their_code(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self), *peer = peer_open(self);
  int count = 0;
  ms_sub *sub;
  answer got;
  ms_error error;
  uint64_t id = info_of(host).peer;
  assert_int_equal(ask(peer, id, 1, -1, &got), MS_OK); /* nobody handles it there */
  assert_true(scene_eventually(self, is_told, &got));
  assert_int_equal(got.status, MS_ENOENT);
  assert_int_equal(ask(peer, 12345, 1, -1, &got), MS_OK); /* no such peer */
  assert_true(scene_eventually(self, is_told, &got));
  assert_int_equal(got.status, MS_ENOENT);
  assert_int_equal(ms_share_handle(host, "double", 6, answer_double, &count, &sub),
                   MS_OK);
  assert_int_equal(ask(peer, id, -1, -1, &got), MS_OK);
  assert_true(scene_eventually(self, is_told, &got));
  assert_int_equal(got.status, MS_ETYPE);
  assert_string_equal(got.code, "ETYPE");
  assert_string_equal(got.message, "no");
  assert_int_equal(ask(peer, id, -2, -1, &got), MS_OK); /* a word of the handler's own */
  assert_true(scene_eventually(self, is_told, &got));
  assert_int_equal(got.status, MS_EARGUMENT);
  assert_string_equal(got.code, "EODD");
  assert_int_equal(ms_share_flush(host, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(ms_share_sync(peer, PATIENCE_MS, &error), MS_OK);
  ms_sub_close(sub);
  assert_int_equal(ms_share_flush(host, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(ms_share_sync(peer, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(ask(peer, MS_CALL_ANY, 1, -1, &got), MS_ENOENT);
}

static void keep_call(void *ud, ms_call *call) { *(ms_call **)ud = ms_call_retain(call); }

static bool has_come(void *ud) { return *(ms_call **)ud != NULL; }

static void test_calls_are_answered_later_or_not_at_all(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self), *peer = peer_open(self);
  ms_call *call = NULL;
  ms_sub *sub;
  answer got;
  ms_error error;
  uint64_t id = info_of(host).peer;
  assert_int_equal(ms_share_handle(host, "double", 6, keep_call, &call, &sub), MS_OK);
  assert_int_equal(ask(peer, id, 1, PATIENCE_MS, &got), MS_OK); /* answered later */
  assert_true(scene_eventually(self, has_come, &call));
  assert_int_equal(got.count, 0);
  assert_int_equal(ms_call_reply(call, NULL, &error), MS_OK);
  ms_call_release(call);
  assert_true(scene_eventually(self, is_told, &got));
  assert_int_equal(got.status, MS_OK);

  call = NULL;
  assert_int_equal(ask(peer, id, 1, PATIENCE_MS, &got), MS_OK); /* let go of */
  assert_true(scene_eventually(self, has_come, &call));
  ms_call_release(call);
  assert_true(scene_eventually(self, is_told, &got));
  assert_int_equal(got.status, MS_ECLOSED);

  call = NULL;
  assert_int_equal(ask(peer, id, 1, 30, &got), MS_OK); /* too late */
  assert_true(scene_eventually(self, is_told, &got));
  assert_int_equal(got.status, MS_ETIMEDOUT);
  assert_true(scene_eventually(self, has_come, &call));
  assert_int_equal(ms_call_reply(call, NULL, &error), MS_OK);
  ms_call_release(call);
  assert_int_equal(ms_share_sync(peer, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(got.count, 1);

  call = NULL;
  assert_int_equal(ask(peer, id, 1, -1, &got), MS_OK); /* the handler's share is closed */
  assert_true(scene_eventually(self, has_come, &call));
  assert_int_equal(ms_share_close(host, 1000), MS_OK);
  assert_int_equal(ms_call_reply(call, NULL, &error), MS_ECLOSED);
  assert_true(scene_eventually(self, is_told, &got));
  assert_int_equal(got.status, MS_ENOHOST);
  assert_int_equal(ask(peer, MS_CALL_HOST, 1, -1, &got), MS_OK); /* the caller's own is */
  assert_int_equal(ms_share_close(peer, 0), MS_OK);
  assert_int_equal(got.count, 1);
  ms_share_free(host);
  ms_call_release(call);
}

static void test_batches_and_readers_make_no_calls(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share_config config;
  scene_config(self, &config);
  config.readonly = true;
  ms_share *reader = peer_open_with(self, &config);
  ms_sub *sub;
  answer got;
  int count = 0;
  ms_error error;
  assert_int_equal(ask(reader, MS_CALL_HOST, 1, -1, &got), MS_EREADONLY);
  assert_int_equal(ms_share_handle(reader, "double", 6, answer_double, &count, &sub),
                   MS_EREADONLY);
  assert_int_equal(ms_share_emit(reader, "x", 1, NULL, NULL, &error), MS_EREADONLY);
  ms_batch *batch = NULL;
  assert_int_equal(ms_batch_new(host, &batch), MS_OK);
  assert_int_equal(ask(host, MS_CALL_HOST, 1, -1, &got), MS_EBUSY);
  ms_batch_free(batch);
  journal heard = {0};
  assert_int_equal(ms_share_on_event(reader, "ping", 4, hear_event, &heard, &sub), MS_OK);
  emit(host, "ping", 1);
  wish one = {&heard, 1};
  assert_true(scene_eventually(self, has_heard, &one));
}

/* ------------------------------------------------------------------ too much */

enum { LARGE_BYTES = 1 << 20, LARGE_COUNT = 24 };

/* Events that a peer heard, and the lines about those that it did not hear. */
typedef struct lossy {
  ms_share *share;
  uint64_t heard, emitted;
  char last; /* the first byte of the last one */
  _Atomic size_t lines;
} lossy;

static void hear_large(void *ud, const ms_event *event) {
  lossy *self = ud;
  const char *text;
  size_t length;
  assert_int_equal(ms_value_to_string(event->value, &text, &length), MS_OK);
  assert_int_equal(length, LARGE_BYTES);
  assert_true(text[0] > self->last); /* none twice, none out of order */
  self->last = text[0];
  self->heard++;
}

static void note_loss_line(void *ud, ms_log_level level, const char *line) {
  lossy *self = ud;
  if (level == MS_LOG_WARNING && strstr(line, "messages are lost") != NULL) self->lines++;
}

static bool all_are_told_or_counted(void *ud) {
  const lossy *self = ud;
  return self->heard + info_of(self->share).events_lost == self->emitted;
}

static bool is_logged(void *ud) {
  const lossy *self = ud;
  return self->lines > 0;
}

static ms_share *lossy_open(scene *self, lossy *heard) {
  ms_runtime_config runtime_config;
  ms_share_config config;
  ms_error error;
  ms_sub *sub;
  ms_runtime_config_init(&runtime_config);
  runtime_config.log = note_loss_line;
  runtime_config.log_ud = heard;
  assert_int_equal(ms_runtime_open(&runtime_config, &self->runtimes[self->count], &error),
                   MS_OK);
  ms_runtime *runtime = self->runtimes[self->count++];
  scene_config(self, &config);
  assert_int_equal(ms_share_open(runtime, "arena", &config, &heard->share, &error),
                   MS_OK);
  assert_int_equal(ms_share_on_event(heard->share, "large", 5, hear_large, heard, &sub),
                   MS_OK);
  return heard->share;
}

/* When the flush is over the host has all of them, as it decided on them. */
static void emit_large(ms_share *share, lossy *heard) {
  char *text = malloc(LARGE_BYTES);
  ms_error error;
  assert_non_null(text);
  heard->last = 0;
  for (int i = 0; i < LARGE_COUNT; i++) {
    const ms_value *value = NULL;
    memset(text, i + 1, LARGE_BYTES);
    assert_int_equal(ms_value_new_string(NULL, text, LARGE_BYTES, &value), MS_OK);
    assert_int_equal(ms_share_emit(share, "large", 5, value, NULL, &error), MS_OK);
    ms_value_release(value);
    assert_int_equal(ms_share_flush(share, PATIENCE_MS, &error), MS_OK);
  }
  heard->emitted += LARGE_COUNT;
  free(text);
}

static void test_events_that_are_too_many_are_counted_and_logged_once(void **state) {
  scene *self = *state;
  static lossy heard;
  heard = (lossy){0};
  ms_share *host = lossy_open(self, &heard), *peer = peer_open(self);
  emit_large(peer, &heard); /* the host does not poll */
  assert_true(scene_eventually(self, all_are_told_or_counted, &heard));
  uint64_t lost = info_of(host).events_lost;
  assert_true(lost >= LARGE_COUNT - 16 && lost < LARGE_COUNT);
  assert_true(scene_eventually(self, is_logged, &heard));
  emit_large(peer, &heard);
  assert_true(scene_eventually(self, all_are_told_or_counted, &heard));
  assert_true(info_of(host).events_lost > lost);
  for (int i = 0; i < 3; i++)
    assert_int_equal(ms_runtime_poll(self->runtimes[0], 0, 0, NULL), MS_OK);
  assert_int_equal(heard.lines, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCENE_TEST(test_events_come_once_in_one_order_with_changes),
      SCENE_TEST(test_event_in_a_batch_comes_with_its_patch),
      SCENE_TEST(test_names_are_checked),
      SCENE_TEST(test_calls_are_answered_by_who_was_asked),
      SCENE_TEST(test_failures_come_back_with_their_code),
      SCENE_TEST(test_calls_are_answered_later_or_not_at_all),
      SCENE_TEST(test_batches_and_readers_make_no_calls),
      SCENE_TEST(test_events_that_are_too_many_are_counted_and_logged_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
