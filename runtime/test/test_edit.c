/* Reading and writing single places of a share: each call by name, as text and as a compiled path. */
#include "share_support.h"

static const int PATIENCE_MS = (int)(TEST_PATIENCE_NS / 1000000);

static const ms_value *json(const char *text) {
  const ms_value *value = NULL;
  ms_error error;
  assert_int_equal(ms_value_from_json(NULL, text, strlen(text), &value, &error), MS_OK);
  return value;
}

static void assert_document(const ms_share *share, const char *text) {
  const ms_value *wanted = json(text), *root = ms_share_root(share);
  assert_true(ms_value_equal(root, wanted));
  ms_value_release(root);
  ms_value_release(wanted);
}

static ms_path *path_of(const char *text) {
  ms_path *path = NULL;
  assert_int_equal(ms_path_parse(NULL, text, strlen(text), &path, NULL), MS_OK);
  return path;
}

static ms_share *open_with(scene *self, const char *document) {
  ms_share *share = peer_open(self);
  const ms_value *value = json(document);
  assert_int_equal(ms_share_replace(share, value, NULL, NULL), MS_OK);
  ms_value_release(value);
  return share;
}

/* ----- each call by name */

static void test_numbers_are_changed_by_name(void **state) {
  ms_share *share = open_with(*state, "{\"n\": 3, \"d\": 1.5}");
  const ms_value *two = NULL;
  assert_int_equal(ms_value_new_int(NULL, 2, &two), MS_OK);
  assert_int_equal(ms_share_mul(share, "n", two, NULL, NULL), MS_OK);
  assert_document(share, "{\"n\": 6, \"d\": 1.5}");
  assert_int_equal(ms_share_min(share, "n", two, NULL, NULL), MS_OK);
  assert_int_equal(ms_share_max(share, "d", two, NULL, NULL), MS_OK);
  assert_document(share, "{\"n\": 2, \"d\": 2}");
  assert_int_equal(ms_share_inc_double(share, "d", 0.5, NULL, NULL), MS_OK);
  assert_document(share, "{\"n\": 2, \"d\": 2.5}");
  ms_value_release(two);
}

static void test_the_date_of_a_patch_is_set_by_name(void **state) {
  ms_share *share = open_with(*state, "{}");
  int64_t before = ms_share_wall_ms(share);
  assert_int_equal(ms_share_current_date(share, "seen", NULL, NULL), MS_OK);
  assert_true(int_at(share, "seen") >= before);
}

static void test_arrays_are_changed_by_name(void **state) {
  ms_share *share = open_with(*state, "{\"l\": [1, 2]}");
  const ms_value *two = NULL;
  ms_error error;
  assert_int_equal(ms_value_new_int(NULL, 2, &two), MS_OK);
  assert_int_equal(ms_share_add_to_set(share, "l", two, NULL, &error), MS_OK);
  assert_document(share, "{\"l\": [1, 2]}");
  assert_int_equal(ms_share_insert(share, "l", 0, two, NULL, &error), MS_OK);
  assert_int_equal(ms_share_insert(share, "l", 99, ms_value_null(), NULL, &error), MS_OK);
  assert_document(share, "{\"l\": [2, 1, 2, null]}");
  assert_int_equal(ms_share_remove(share, "l", 1, NULL, &error), MS_OK);
  assert_document(share, "{\"l\": [2, 2, null]}");
  assert_int_equal(ms_share_remove(share, "l", 3, NULL, &error), MS_EPATH);
  assert_int_equal(ms_share_pull(share, "l", two, NULL, &error), MS_OK);
  assert_document(share, "{\"l\": [null]}");
  assert_int_equal(ms_share_push(share, "l", two, NULL, &error), MS_OK);
  assert_int_equal(ms_share_pop(share, "l", true, NULL, &error), MS_OK);
  assert_document(share, "{\"l\": [2]}");
  assert_int_equal(ms_share_push(share, "l", ms_value_null(), NULL, &error), MS_OK);
  assert_int_equal(ms_share_pop(share, "l", false, NULL, &error), MS_OK);
  assert_document(share, "{\"l\": [2]}");
  ms_value_release(two);
}

static void test_renaming_moves_a_value_and_nothing_where_nothing_is(void **state) {
  ms_share *share = open_with(*state, "{\"a\": {\"x\": 1}}");
  assert_int_equal(ms_share_rename(share, "a.x", "b.y", NULL, NULL), MS_OK);
  assert_document(share, "{\"a\": {}, \"b\": {\"y\": 1}}");
  assert_int_equal(ms_share_rename(share, "none", "c", NULL, NULL), MS_OK);
  assert_document(share, "{\"a\": {}, \"b\": {\"y\": 1}}");
  assert_int_equal(ms_share_rename(share, "a", "a.b", NULL, NULL), MS_EARGUMENT);
}

static void test_compiled_paths_reach_keys_that_no_text_names(void **state) {
  ms_share *share = open_with(*state, "{}");
  const ms_key keys[] = {{"a.b", 3}, {"$c", 2}};
  ms_path *path = NULL;
  assert_int_equal(ms_path_new(NULL, keys, 2, &path, NULL), MS_OK);
  bool flag = false;
  int64_t number = 0;
  double real = 0;
  const char *bytes = NULL;
  size_t length = 0;
  const ms_value *value = NULL;
  assert_int_equal(ms_share_get_at(share, path, &value), MS_ENOENT);
  assert_int_equal(ms_share_set_int_at(share, path, -7), MS_OK);
  assert_int_equal(ms_share_get_int_at(share, path, &number), MS_OK);
  assert_int_equal(number, -7);
  assert_document(share, "{\"a.b\": {\"$c\": -7}}");
  assert_int_equal(ms_share_get_bool_at(share, path, &flag), MS_ETYPE);
  assert_int_equal(ms_share_set_bool_at(share, path, true), MS_OK);
  assert_int_equal(ms_share_get_bool_at(share, path, &flag), MS_OK);
  assert_int_equal(ms_share_set_double_at(share, path, 0.5), MS_OK);
  assert_int_equal(ms_share_get_double_at(share, path, &real), MS_OK);
  assert_int_equal(ms_share_set_string_at(share, path, "hi", 2), MS_OK);
  assert_int_equal(ms_share_get_string_at(share, path, &bytes, &length), MS_OK);
  assert_true(flag && real > 0.4 && real < 0.6 && length == 2);
  assert_string_equal(bytes, "hi");
  assert_int_equal(ms_share_set_at(share, path, ms_value_null(), NULL, NULL), MS_OK);
  assert_int_equal(ms_share_get_at(share, path, &value), MS_OK);
  assert_int_equal(ms_value_type(value), MS_NULL);
  assert_int_equal(ms_share_unset_at(share, path, NULL, NULL), MS_OK);
  assert_document(share, "{\"a.b\": {}}");
  ms_path_release(path);
}

static void test_text_that_is_no_path_reads_and_writes_nothing(void **state) {
  ms_share *share = open_with(*state, "{\"a\": {\"b\": [5, [6]]}, \"7\": 8}");
  static char deep[2 * MS_DEPTH_MAX + 2], long_key[MS_KEY_MAX + 2];
  memset(long_key, 'k', sizeof long_key - 1);
  for (size_t i = 0; i + 1 < sizeof deep; i += 2) memcpy(deep + i, "a.", 2);
  deep[sizeof deep - 1] = '\0'; /* MS_DEPTH_MAX + 1 keys, the last one empty */
  const struct {
    const char *path;
    ms_status status;
  } cases[] = {{"a.b.0", MS_OK},      {"a.b.1.0", MS_OK},   {"7", MS_OK},
               {"a.b.00", MS_ENOENT}, {"a.b.2", MS_ENOENT}, {"a.b.-1", MS_ENOENT},
               {"a.x.y", MS_ENOENT},  {"", MS_OK},          {".", MS_EPATH},
               {"a.", MS_EPATH},      {".a", MS_EPATH},     {"none..b", MS_EPATH},
               {"$a", MS_EPATH},      {"a.$[]", MS_EPATH},  {deep, MS_ELIMIT},
               {long_key, MS_ELIMIT}, {"*", MS_ENOENT},     {"a.b.x", MS_ENOENT}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const ms_value *by_text = NULL, *by_path = NULL;
    ms_path *path = NULL;
    const char *text = cases[i].path;
    assert_int_equal(ms_share_get(share, text, &by_text), cases[i].status);
    ms_status status = ms_path_parse(NULL, text, strlen(text), &path, NULL);
    if (status == MS_OK) status = ms_share_get_at(share, path, &by_path);
    assert_int_equal(status, cases[i].status);
    assert_true(by_text == by_path);
    ms_path_release(path);
  }
  assert_int_equal(ms_share_set_int(share, "a..b", 1), MS_EPATH);
  assert_int_equal(ms_share_set_int(share, "", 1), MS_EPATH);
  assert_int_equal(ms_share_set_int(share, long_key, 1), MS_ELIMIT);
  assert_document(share, "{\"a\": {\"b\": [5, [6]]}, \"7\": 8}");
}

static void test_arguments_that_are_missing_are_refused(void **state) {
  ms_share *share = open_with(*state, "{\"l\": []}");
  const ms_value *value = NULL;
  int64_t number = 0;
  assert_int_equal(ms_share_get(share, NULL, &value), MS_EARGUMENT);
  assert_int_equal(ms_share_get_int_at(share, NULL, &number), MS_EARGUMENT);
  assert_int_equal(ms_share_set_int(share, NULL, 1), MS_EARGUMENT);
  assert_int_equal(ms_share_set_int_at(share, NULL, 1), MS_EARGUMENT);
  assert_int_equal(ms_share_set(share, "a", NULL, NULL, NULL), MS_EARGUMENT);
  assert_int_equal(ms_share_mul(share, "a", NULL, NULL, NULL), MS_EARGUMENT);
  assert_int_equal(ms_share_pull(share, "l", NULL, NULL, NULL), MS_EARGUMENT);
  assert_int_equal(ms_share_insert(share, "l", 0, NULL, NULL, NULL), MS_EARGUMENT);
  assert_int_equal(ms_share_rename(share, "l", NULL, NULL, NULL), MS_EARGUMENT);
  assert_document(share, "{\"l\": []}");
}

static void test_many_places_by_text_keep_apart(void **state) {
  ms_share *share = open_with(*state, "{}");
  char text[80];
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < 300; i++) {
      int bytes = snprintf(text, sizeof text, "p%d.%0*d", i, 1 + i % 70, 1);
      assert_true(bytes > 0);
      assert_int_equal(ms_share_set_int(share, text, 1000 * round + i), MS_OK);
    }
  }
  for (int i = 0; i < 300; i++) {
    (void)snprintf(text, sizeof text, "p%d.%0*d", i, 1 + i % 70, 1);
    assert_int_equal(int_at(share, text), 2000 + i);
  }
}

static void test_batch_takes_every_kind_of_write(void **state) {
  ms_share *share = open_with(*state, "{\"l\": [1]}");
  ms_path *path = path_of("p.q");
  ms_batch *batch = NULL;
  ms_receipt *receipt = NULL;
  ms_share_info before = info_of(share);
  assert_int_equal(ms_batch_new(share, &batch), MS_OK);
  assert_int_equal(ms_share_set_int(share, "i", 1), MS_OK);
  assert_int_equal(ms_share_set_bool(share, "b", true), MS_OK);
  assert_int_equal(ms_share_set_double(share, "d", 0.5), MS_OK);
  assert_int_equal(ms_share_set_string(share, "s", "t", 1), MS_OK);
  assert_int_equal(ms_share_set_int_at(share, path, 2), MS_OK);
  assert_int_equal(ms_share_insert(share, "l", 0, ms_value_null(), NULL, NULL), MS_OK);
  assert_int_equal(ms_share_rename(share, "i", "j", NULL, NULL), MS_OK);
  assert_int_equal(int_at(share, "p.q"), 2);
  int64_t number = 0;
  assert_int_equal(ms_share_get_int_at(share, path, &number), MS_OK);
  assert_int_equal(number, 2);
  assert_int_equal(ms_batch_commit(batch, &receipt, NULL), MS_OK);
  ms_batch_free(batch);
  assert_int_equal(ms_receipt_wait(receipt, PATIENCE_MS, NULL), MS_OK);
  ms_receipt_release(receipt);
  assert_int_equal(info_of(share).submitted, before.submitted + 1);
  assert_document(share, "{\"l\":[null,1],\"j\":1,\"b\":true,\"d\":0.5,\"s\":\"t\","
                         "\"p\":{\"q\":2}}");
  ms_path_release(path);
}

static void test_transaction_reads_and_writes_each_type(void **state) {
  ms_share *share =
      open_with(*state, "{\"b\": true, \"d\": 0.5, \"s\": \"t\", \"i\": 1, \"l\": []}");
  ms_transaction *draft = NULL;
  ms_receipt *receipt = NULL;
  bool flag = false;
  double real = 0;
  const char *bytes = NULL;
  size_t length = 0;
  assert_int_equal(ms_transaction_new(share, &draft, NULL), MS_OK);
  assert_int_equal(ms_transaction_get_bool(draft, "b", &flag), MS_OK);
  assert_int_equal(ms_transaction_get_double(draft, "d", &real), MS_OK);
  assert_int_equal(ms_transaction_get_string(draft, "s", &bytes, &length), MS_OK);
  assert_true(flag && real > 0.4 && real < 0.6 && length == 1 && bytes[0] == 't');
  assert_int_equal(ms_transaction_get_bool(draft, "i", &flag), MS_ETYPE);
  assert_int_equal(ms_transaction_get_double(draft, "s", &real), MS_ETYPE);
  assert_int_equal(ms_transaction_get_string(draft, "none", &bytes, &length), MS_ENOENT);
  assert_int_equal(ms_transaction_set_bool(draft, "b", false, NULL), MS_OK);
  assert_int_equal(ms_transaction_set_double(draft, "d", 2.5, NULL), MS_OK);
  assert_int_equal(ms_transaction_set_string(draft, "s", "uv", 2, NULL), MS_OK);
  assert_int_equal(ms_transaction_inc(draft, "i", 4, NULL), MS_OK);
  assert_int_equal(ms_transaction_push(draft, "l", ms_value_null(), NULL), MS_OK);
  assert_int_equal(ms_transaction_inc(draft, "s", 4, NULL), MS_ETYPE);
  assert_int_equal(ms_transaction_commit(draft, &receipt, NULL), MS_OK);
  assert_int_equal(ms_transaction_set_bool(draft, "b", true, NULL), MS_ECLOSED);
  assert_int_equal(ms_transaction_get_bool(draft, "b", &flag), MS_ECLOSED);
  ms_transaction_free(draft);
  assert_int_equal(ms_receipt_wait(receipt, PATIENCE_MS, NULL), MS_OK);
  ms_receipt_release(receipt);
  assert_document(share,
                  "{\"b\": false, \"d\": 2.5, \"s\": \"uv\", \"i\": 5, \"l\": [null]}");
}

/* ----- waiting for a value */

typedef struct wish {
  ms_share *share;
  int64_t number;
  bool closes;
} wish;

static bool is_granted(void *ud, const ms_value *value) {
  const wish *self = ud;
  int64_t number = 0;
  return value != NULL && ms_value_to_int(value, &number) == MS_OK &&
         number == self->number;
}

static void on_timer_set(void *ud) {
  const wish *self = ud;
  assert_int_equal(ms_share_wait_for(self->share, NULL, NULL, NULL, 0, NULL), MS_EBUSY);
  if (self->closes) {
    assert_int_equal(ms_share_close(self->share, 0), MS_OK);
  } else {
    assert_int_equal(ms_share_set_int(self->share, "n", self->number), MS_OK);
  }
}

static void test_waiting_for_a_value_ends_when_it_stands(void **state) {
  ms_share *share = open_with(*state, "{}");
  ms_path *path = path_of("n");
  ms_timer *timer = NULL;
  ms_error error = {0};
  wish wanted = {.share = share, .number = 5};
  assert_int_equal(ms_share_flush(share, PATIENCE_MS, NULL), MS_OK);
  assert_int_equal(ms_share_wait_for(share, path, is_granted, &wanted, 0, &error),
                   MS_ETIMEDOUT);
  assert_string_equal(error.message, "it did not come in 0 ms");
  assert_int_equal(
      ms_runtime_after(ms_share_runtime(share), 0, on_timer_set, &wanted, &timer), MS_OK);
  assert_int_equal(
      ms_share_wait_for(share, path, is_granted, &wanted, PATIENCE_MS, &error), MS_OK);
  /* It stands already. */
  assert_int_equal(ms_share_wait_for(share, path, is_granted, &wanted, 0, &error), MS_OK);
  assert_int_equal(ms_share_wait_for(share, path, NULL, NULL, 0, &error), MS_EARGUMENT);
  wanted.number = 6;
  wanted.closes = true;
  assert_int_equal(
      ms_runtime_after(ms_share_runtime(share), 0, on_timer_set, &wanted, &timer), MS_OK);
  assert_int_equal(ms_share_wait_for(share, path, is_granted, &wanted, -1, &error),
                   MS_ECLOSED);
  assert_int_equal(ms_share_wait_for(share, path, is_granted, &wanted, -1, &error),
                   MS_ECLOSED);
  ms_path_release(path);
}

/* ----- what allocates */

typedef struct meter {
  ms_alloc alloc;
  pthread_t owner;
  uint64_t requests; /* of the owner */
} meter;

static void *meter_resize(void *ud, void *ptr, size_t old_bytes, size_t new_bytes) {
  meter *self = ud;
  (void)old_bytes;
  if (new_bytes == 0) {
    free(ptr);
    return NULL;
  }
  if (pthread_equal(pthread_self(), self->owner)) self->requests++;
  return realloc(ptr, new_bytes);
}

enum { METERED = 1000 };

static void test_reading_allocates_nothing(void **state) {
  scene *self = *state;
  static meter counted;
  counted = (meter){{meter_resize, &counted}, pthread_self(), 0};
  self->alloc = &counted.alloc;
  ms_share *share =
      open_with(self, "{\"players\": {\"ada\": {\"hp\": 9000000000000000000, \"x\": 0.1,"
                      "\"up\": true, \"name\": \"a name that fits in no pointer\"}}}");
  ms_path *path = path_of("players.ada.hp");
  int64_t number = 0;
  double real = 0;
  bool flag = false;
  const char *bytes = NULL;
  size_t length = 0;
  const ms_value *value = NULL;
  uint64_t before = counted.requests;
  for (int i = 0; i < METERED; i++) {
    assert_int_equal(ms_share_get_int(share, "players.ada.hp", &number), MS_OK);
    assert_int_equal(ms_share_get_int_at(share, path, &number), MS_OK);
    assert_int_equal(ms_share_get_double(share, "players.ada.x", &real), MS_OK);
    assert_int_equal(ms_share_get_bool(share, "players.ada.up", &flag), MS_OK);
    assert_int_equal(ms_share_get_string(share, "players.ada.name", &bytes, &length),
                     MS_OK);
    assert_int_equal(ms_share_get(share, "players.bob", &value), MS_ENOENT);
    const ms_value *root = ms_share_root(share);
    ms_cursor cursor;
    const char *key;
    ms_cursor_init(&cursor, root);
    while (ms_cursor_next(&cursor, &key, &length, &value)) continue;
    ms_value_release(root);
  }
  assert_int_equal(counted.requests, before);
  ms_path_release(path);
}

static uint64_t meter_writes(meter *counted, ms_share *share, const ms_path *path) {
  uint64_t before = counted->requests;
  for (int i = 0; i < METERED; i++) {
    ms_status status = path != NULL ? ms_share_set_int_at(share, path, i)
                                    : ms_share_set_int(share, "players.ada.hp", i);
    assert_int_equal(status, MS_OK);
    if (i % 10 == 9) {
      assert_int_equal(ms_runtime_poll(ms_share_runtime(share), 0, 0, NULL), MS_OK);
    }
  }
  return counted->requests - before;
}

static void test_writing_a_number_again_compiles_nothing(void **state) {
  scene *self = *state;
  static meter counted;
  counted = (meter){{meter_resize, &counted}, pthread_self(), 0};
  self->alloc = &counted.alloc;
  ms_share *share = open_with(self, "{\"players\": {\"ada\": {\"hp\": 1}}}");
  ms_path *path = path_of("players.ada.hp");
  for (int i = 0; i < 4; i++) { /* what grows has grown */
    (void)meter_writes(&counted, share, path);
    (void)meter_writes(&counted, share, NULL);
  }
  uint64_t by_path = meter_writes(&counted, share, path);
  uint64_t by_text = meter_writes(&counted, share, NULL);
  /* The patch, one copy for each of the three containers that the replica holds too, and what the host
   * keeps of it. */
  assert_true(by_path <= 7 * METERED);
  assert_true(by_text <= 7 * METERED);
  ms_path_release(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCENE_TEST(test_numbers_are_changed_by_name),
      SCENE_TEST(test_the_date_of_a_patch_is_set_by_name),
      SCENE_TEST(test_arrays_are_changed_by_name),
      SCENE_TEST(test_renaming_moves_a_value_and_nothing_where_nothing_is),
      SCENE_TEST(test_compiled_paths_reach_keys_that_no_text_names),
      SCENE_TEST(test_text_that_is_no_path_reads_and_writes_nothing),
      SCENE_TEST(test_arguments_that_are_missing_are_refused),
      SCENE_TEST(test_many_places_by_text_keep_apart),
      SCENE_TEST(test_batch_takes_every_kind_of_write),
      SCENE_TEST(test_transaction_reads_and_writes_each_type),
      SCENE_TEST(test_waiting_for_a_value_ends_when_it_stands),
      SCENE_TEST(test_reading_allocates_nothing),
      SCENE_TEST(test_writing_a_number_again_compiles_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
