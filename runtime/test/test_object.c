/* Objects against a naive list of pairs, in every shape that a trie can take. */
#include "value_support.h"

enum { MODEL_KEYS = 1200, KEY_BYTES_MAX = 16 };

typedef struct model_key {
  char bytes[KEY_BYTES_MAX];
  size_t length;
} model_key;

/* The naive object: for each key of a fixed set its value, or -1. */
typedef struct model {
  int64_t value[MODEL_KEYS];
  size_t count;
} model;

/* Keys whose hashes differ at the end only, collide, or are as they come. */
static void model_keys_make(model_key *keys, size_t count, test_random *random,
                            int kind) {
  for (size_t i = 0; i < count; i++) {
    uint32_t hash = (uint32_t)test_random_next(random);
    if (kind == 1) hash = 0xABCDE000u | (hash & 0xFFF); /* long common chains */
    if (kind == 2)
      hash = 0x12345670u + (hash & 3) * 0x01000001; /* four whole collisions */
    if (kind == 3) hash = hash & 0xF000000Fu;       /* deep forks */
    if (kind == 0) {
      keys[i].length = (size_t)snprintf(keys[i].bytes, KEY_BYTES_MAX, "key%zu", i);
    } else {
      test_key_of_hash(hash, (uint32_t)i, keys[i].bytes);
      keys[i].length = TEST_KEY_BYTES;
    }
  }
}

static void model_expect(const model *expected, const model_key *keys, size_t key_count,
                         const ms_value *object) {
  if (ms_value_type(object) == MS_EMPTY) {
    assert_int_equal(expected->count, 0);
    return;
  }
  assert_true(msi_value_check(object));
  assert_int_equal(ms_value_count(object), expected->count);
  for (size_t i = 0; i < key_count; i++) {
    const ms_value *value = ms_value_get(object, keys[i].bytes, keys[i].length);
    if (expected->value[i] < 0) {
      assert_null(value);
    } else {
      assert_true(test_to_int(value) == expected->value[i]);
    }
  }
}

/* The same keys and values put in another order give the same order of entries. */
static void expect_canonical(const ms_value *object) {
  ms_cursor cursor;
  const ms_value *key = NULL;
  const ms_value *value = NULL;
  size_t count = ms_value_count(object);
  const ms_value **keys = calloc(count + 1, sizeof *keys);
  assert_non_null(keys);
  const ms_value *again = NULL;
  assert_ok(ms_value_new_object(NULL, &again));
  size_t at = 0;
  ms_cursor_init(&cursor, object);
  while (msi_cursor_next_key(&cursor, &key, &value)) keys[at++] = key;
  assert_int_equal(at, count);
  while (at-- > 0) {
    assert_ok(msi_object_put(NULL, &again, keys[at], msi_object_get(object, keys[at])));
  }
  assert_true(ms_value_equal(again, object));
  ms_cursor_init(&cursor, again);
  for (at = 0; msi_cursor_next_key(&cursor, &key, &value); at++) {
    assert_true(ms_value_equal(key, keys[at]));
  }
  free(keys);
  ms_value_release(again);
}

static void run_model(test_random *random, int kind, size_t key_count, unsigned steps) {
  static model_key keys[MODEL_KEYS];
  static model now;
  static model then;
  failing_alloc memory;
  failing_alloc_init(&memory);
  model_keys_make(keys, key_count, random, kind);
  for (size_t i = 0; i < MODEL_KEYS; i++) now.value[i] = -1;
  now.count = 0;
  const ms_value *object = ms_value_empty();
  const ms_value *saved = NULL;
  for (unsigned step = 0; step < steps; step++) {
    size_t i = test_random_below(random, key_count);
    bool grows = (step / 400) % 2 == 0;
    if (test_random_below(random, 10) < (grows ? 8u : 2u)) {
      const ms_value *value = test_int(&memory.alloc, step);
      assert_ok(
          ms_value_put(&memory.alloc, &object, keys[i].bytes, keys[i].length, value));
      now.count += now.value[i] < 0;
      now.value[i] = step;
    } else {
      assert_ok(ms_value_erase(&memory.alloc, &object, keys[i].bytes, keys[i].length));
      now.count -= now.value[i] >= 0;
      now.value[i] = -1;
    }
    if (ms_value_type(object) == MS_OBJECT) assert_true(msi_value_check(object));
    if (step % 61 == 0) {
      if (saved != NULL) model_expect(&then, keys, key_count, saved);
      model_expect(&now, keys, key_count, object);
      ms_value_release(saved);
      saved = ms_value_retain(object);
      then = now;
    }
  }
  model_expect(&then, keys, key_count, saved);
  expect_canonical(object);
  ms_value_release(saved);
  ms_value_release(object);
  assert_true(failing_alloc_is_clean(&memory));
}

static void test_objects_do_what_a_list_of_pairs_does(void **state) {
  (void)state;
  test_random random = test_random_begin("objects");
  run_model(&random, 0, 5, 1500);
  run_model(&random, 0, 18, 3000); /* back and forth between flat and trie */
  run_model(&random, 0, 300, 2500);
  run_model(&random, 0, MODEL_KEYS, 1200);
}

static void test_objects_hold_keys_whose_hashes_meet(void **state) {
  (void)state;
  test_random random = test_random_begin("collisions");
  run_model(&random, 1, 60, 3000);
  run_model(&random, 2, 40, 3000);
  run_model(&random, 2, 18, 3000);
  run_model(&random, 3, 60, 3000);
}

static void test_many_equal_hashes_stay_one_sorted_node(void **state) {
  (void)state;
  const ms_value *object = ms_value_empty();
  char key[TEST_KEY_BYTES];
  for (uint32_t i = 0; i < 2000; i++) {
    test_key_of_hash(0xFEEDBEEF, i * 7919, key);
    assert_ok(ms_value_put(NULL, &object, key, sizeof key, ms_value_null()));
  }
  assert_int_equal(ms_value_count(object), 2000);
  assert_true(msi_value_check(object));
  const ms_value *keep = ms_value_retain(object);
  for (uint32_t i = 0; i < 2000; i++) {
    test_key_of_hash(0xFEEDBEEF, i * 7919, key);
    assert_non_null(ms_value_get(object, key, sizeof key));
    assert_ok(ms_value_erase(NULL, &object, key, sizeof key));
    assert_null(ms_value_get(object, key, sizeof key));
  }
  assert_int_equal(ms_value_count(object), 0);
  assert_int_equal(ms_value_count(keep), 2000);
  assert_true(msi_value_check(keep));
  ms_value_release(object);
  ms_value_release(keep);
}

/* ------------------------------------------------------------------ one by one */

static void test_the_empty_table_becomes_an_object_by_its_first_key(void **state) {
  (void)state;
  const ms_value *object = ms_value_empty();
  assert_ok(ms_value_erase(NULL, &object, "a", 1));
  assert_int_equal(ms_value_type(object), MS_EMPTY);
  test_put(NULL, &object, "a", ms_value_null());
  assert_int_equal(ms_value_type(object), MS_OBJECT);
  assert_ok(ms_value_erase(NULL, &object, "a", 1));
  assert_int_equal(ms_value_type(object), MS_OBJECT);
  assert_int_equal(ms_value_count(object), 0);
  assert_false(ms_value_equal(object, ms_value_empty()));
  ms_value_release(object);
}

static void test_putting_into_another_type_is_refused(void **state) {
  (void)state;
  const ms_value *array = test_json("[1]");
  const ms_value *same = array;
  assert_int_equal(ms_value_put(NULL, &array, "a", 1, ms_value_null()), MS_ETYPE);
  assert_int_equal(ms_value_erase(NULL, &array, "a", 1), MS_ETYPE);
  assert_ptr_equal(array, same);
  assert_int_equal(msi_object_put(NULL, &array, ms_value_null(), array), MS_ETYPE);
  ms_value_release(array);
}

static void test_a_key_that_is_a_value_is_kept_without_a_copy(void **state) {
  (void)state;
  const ms_value *object = ms_value_empty();
  const ms_value *key = test_string(NULL, "name");
  const ms_value *found = NULL;
  const ms_value *value = NULL;
  assert_ok(msi_object_put(NULL, &object, key, ms_value_null()));
  assert_true(msi_object_next(object, NULL, &found, &value));
  assert_ptr_equal(found, key);
  assert_int_equal(msi_object_erase(NULL, &object, ms_value_null()), MS_ETYPE);
  assert_ok(msi_object_erase(NULL, &object, key));
  assert_int_equal(ms_value_count(object), 0);
  assert_true(msi_value_is_unique(key));
  ms_value_release(key);
  ms_value_release(object);
}

static void test_keys_are_any_bytes_up_to_the_limit(void **state) {
  (void)state;
  static char key[MS_KEY_MAX + 1];
  const ms_value *object = ms_value_empty();
  assert_int_equal(ms_value_put(NULL, &object, key, MS_KEY_MAX + 1, ms_value_null()),
                   MS_ELIMIT);
  assert_int_equal(ms_value_type(object), MS_EMPTY);
  assert_ok(ms_value_put(NULL, &object, key, MS_KEY_MAX, ms_value_null()));
  assert_ok(ms_value_put(NULL, &object, "", 0, ms_value_bool(true)));
  assert_ok(ms_value_put(NULL, &object, "a\0b", 3, ms_value_bool(true)));
  assert_int_equal(ms_value_count(object), 3);
  assert_non_null(ms_value_get(object, key, MS_KEY_MAX));
  assert_null(ms_value_get(object, key, MS_KEY_MAX + 1));
  assert_null(ms_value_get(object, key, MS_KEY_MAX - 1));
  assert_non_null(ms_value_get(object, "", 0));
  assert_null(ms_value_get(object, "a", 1));
  ms_value_release(object);
}

static void test_an_object_put_into_itself_holds_its_old_version(void **state) {
  (void)state;
  failing_alloc memory;
  failing_alloc_init(&memory);
  for (int size = 1; size < 60; size++) {
    const ms_value *object = ms_value_empty();
    for (int i = 0; i < size; i++) {
      char key[16];
      snprintf(key, sizeof key, "k%d", i);
      test_put(&memory.alloc, &object, key, ms_value_null());
    }
    test_put(&memory.alloc, &object, "self", object);
    const ms_value *old = ms_value_get(object, "self", 4);
    assert_int_equal(ms_value_count(old), size);
    assert_int_equal(ms_value_count(object), size + 1);
    test_put(&memory.alloc, &object, "k0", object);
    assert_int_equal(ms_value_count(ms_value_get(object, "k0", 2)), size + 1);
    assert_true(msi_value_check(object));
    ms_value_release(object);
  }
  assert_true(failing_alloc_is_clean(&memory));
}

static void
test_an_object_alone_changes_in_place_and_a_shared_one_does_not(void **state) {
  (void)state;
  for (int size = 4; size <= 400; size *= 10) {
    const ms_value *object = ms_value_empty();
    for (int i = 0; i < size; i++) {
      char key[16];
      snprintf(key, sizeof key, "k%d", i);
      test_put(NULL, &object, key, ms_value_null());
    }
    const ms_value *before = object;
    test_put(NULL, &object, "k1", ms_value_bool(true));
    assert_ptr_equal(object, before);
    const ms_value *shared = ms_value_retain(object);
    test_put(NULL, &object, "k1", ms_value_bool(true));
    assert_ptr_equal(object, shared); /* nothing changed */
    assert_ok(ms_value_erase(NULL, &object, "absent", 6));
    assert_ptr_equal(object, shared);
    test_put(NULL, &object, "k1", ms_value_bool(false));
    assert_ptr_not_equal(object, shared);
    assert_ptr_equal(ms_value_get(shared, "k1", 2), ms_value_bool(true));
    ms_value_release(shared);
    ms_value_release(object);
  }
}

/* The key's bytes may belong to what the change frees. */
static void test_a_key_may_point_into_the_object_that_changes(void **state) {
  (void)state;
  const ms_value *object = ms_value_empty();
  const ms_value *name = test_string(NULL, "name");
  test_put(NULL, &object, "name", name);
  ms_value_release(name);
  const char *bytes = NULL;
  size_t length = 0;
  assert_ok(ms_value_to_string(ms_value_get(object, "name", 4), &bytes, &length));
  assert_ok(ms_value_put(NULL, &object, bytes, length, ms_value_null()));
  ms_cursor cursor;
  const ms_value *value = NULL;
  ms_cursor_init(&cursor, object);
  assert_true(ms_cursor_next(&cursor, &bytes, &length, &value));
  assert_ok(ms_value_erase(NULL, &object, bytes, length));
  assert_int_equal(ms_value_count(object), 0);
  ms_value_release(object);
}

static void test_next_goes_through_an_object_in_cursor_order(void **state) {
  (void)state;
  for (int size = 0; size <= 500; size = size * 2 + 1) {
    const ms_value *object = NULL;
    assert_ok(ms_value_new_object(NULL, &object));
    for (int i = 0; i < size; i++) {
      char key[16];
      snprintf(key, sizeof key, "k%d", i);
      const ms_value *value = test_int(NULL, i);
      test_put(NULL, &object, key, value);
    }
    ms_cursor cursor;
    const ms_value *key = NULL;
    const ms_value *value = NULL;
    const ms_value *next_key = NULL;
    const ms_value *next_value = NULL;
    int steps = 0;
    ms_cursor_init(&cursor, object);
    while (msi_object_next(object, next_key, &next_key, &next_value)) {
      assert_true(msi_cursor_next_key(&cursor, &key, &value));
      assert_ptr_equal(key, next_key);
      assert_ptr_equal(value, next_value);
      steps++;
    }
    assert_false(msi_cursor_next_key(&cursor, &key, &value));
    assert_false(msi_cursor_next_key(&cursor, &key, &value));
    assert_int_equal(steps, size);
    const ms_value *absent = test_string(NULL, "absent");
    assert_false(msi_object_next(object, absent, &next_key, &next_value));
    ms_value_release(absent);
    ms_value_release(object);
  }
  const ms_value *key = NULL;
  assert_false(msi_object_next(ms_value_empty(), NULL, &key, &key));
}

static void test_a_hundred_thousand_keys_come_and_go(void **state) {
  (void)state;
  enum { KEYS = 100000 };
  failing_alloc memory;
  failing_alloc_init(&memory);
  const ms_value *object = ms_value_empty();
  char key[16];
  for (int i = 0; i < KEYS; i++) {
    int length = snprintf(key, sizeof key, "key%d", i);
    const ms_value *value = test_int(&memory.alloc, i);
    assert_ok(ms_value_put(&memory.alloc, &object, key, (size_t)length, value));
  }
  assert_int_equal(ms_value_count(object), KEYS);
  assert_true(msi_value_check(object));
  for (int i = 0; i < KEYS; i++) {
    int length = snprintf(key, sizeof key, "key%d", i);
    assert_int_equal(test_to_int(ms_value_get(object, key, (size_t)length)), i);
    if (i % 3 != 0)
      assert_ok(ms_value_erase(&memory.alloc, &object, key, (size_t)length));
  }
  assert_int_equal(ms_value_count(object), (KEYS + 2) / 3);
  assert_true(msi_value_check(object));
  ms_value_release(object);
  assert_true(failing_alloc_is_clean(&memory));
}

/* [x, x] of [x, x] of ... doubles its encoded size at every step, at no cost. */
static void test_sizes_beyond_counting_are_refused(void **state) {
  (void)state;
  const ms_value *value = test_string(NULL, "seed");
  ms_status st = MS_OK;
  int levels = 0;
  for (; st == MS_OK && levels < 100; levels++) {
    const ms_value *pair = ms_value_empty();
    st = ms_value_put(NULL, &pair, "left", 4, value);
    if (st == MS_OK) st = ms_value_put(NULL, &pair, "right", 5, value);
    if (st != MS_OK) {
      ms_value_release(pair);
      break;
    }
    ms_value_release(value);
    value = pair;
  }
  assert_int_equal(st, MS_ELIMIT);
  assert_in_range(levels, 50, 64);
  ms_value_release(value);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_objects_do_what_a_list_of_pairs_does),
      cmocka_unit_test(test_objects_hold_keys_whose_hashes_meet),
      cmocka_unit_test(test_many_equal_hashes_stay_one_sorted_node),
      cmocka_unit_test(test_the_empty_table_becomes_an_object_by_its_first_key),
      cmocka_unit_test(test_putting_into_another_type_is_refused),
      cmocka_unit_test(test_a_key_that_is_a_value_is_kept_without_a_copy),
      cmocka_unit_test(test_keys_are_any_bytes_up_to_the_limit),
      cmocka_unit_test(test_an_object_put_into_itself_holds_its_old_version),
      cmocka_unit_test(test_an_object_alone_changes_in_place_and_a_shared_one_does_not),
      cmocka_unit_test(test_a_key_may_point_into_the_object_that_changes),
      cmocka_unit_test(test_next_goes_through_an_object_in_cursor_order),
      cmocka_unit_test(test_a_hundred_thousand_keys_come_and_go),
      cmocka_unit_test(test_sizes_beyond_counting_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
