/* Equality and difference, against naive comparisons. */
#include "value_support.h"

/* ------------------------------------------------------------------ equality */

static void test_equal_means_same_types_and_contents(void **state) {
  (void)state;
  static const char *const different[] = {"null",
                                          "true",
                                          "false",
                                          "0",
                                          "1",
                                          "0.0",
                                          "-0.0",
                                          "1.0",
                                          "\"\"",
                                          "\"1\"",
                                          "[]",
                                          "{}",
                                          "{\"$empty\":true}",
                                          "{\"$numberDouble\":\"NaN\"}",
                                          "[1]",
                                          "[1.0]",
                                          "[1,2]",
                                          "[2,1]",
                                          "{\"a\":1}",
                                          "{\"a\":2}",
                                          "{\"b\":1}",
                                          "{\"a\":1,\"b\":1}",
                                          "9223372036854775807",
                                          "-9223372036854775808",
                                          "1e300",
                                          "[[1]]",
                                          "[[2]]",
                                          "{\"a\":{\"b\":1}}",
                                          "{\"a\":{\"b\":2}}"};
  enum { COUNT = sizeof different / sizeof *different };
  for (size_t i = 0; i < COUNT; i++) {
    for (size_t k = 0; k < COUNT; k++) {
      const ms_value *a = test_json(different[i]);
      const ms_value *b = test_json(different[k]);
      assert_int_equal(ms_value_equal(a, b), i == k);
      ms_value_release(a);
      ms_value_release(b);
    }
  }
}

/* A copy that shares nothing. */
static const ms_value *deep_copy(const ms_value *value) {
  const ms_value *encoded = NULL;
  const ms_value *copy = NULL;
  const char *bytes = NULL;
  size_t length = 0;
  assert_ok(ms_value_encode(NULL, value, &encoded));
  assert_ok(ms_value_to_string(encoded, &bytes, &length));
  assert_ok(ms_value_decode(NULL, bytes, length, &copy, NULL));
  ms_value_release(encoded);
  return copy;
}

static void test_equality_sees_one_changed_leaf_at_any_size(void **state) {
  (void)state;
  test_random random = test_random_begin("equality");
  static const size_t sizes[] = {1, 5, 16, 17, 33, 100, 1000, 5000};
  for (size_t k = 0; k < 2 * sizeof sizes / sizeof *sizes; k++) {
    size_t size = sizes[k / 2];
    bool is_array = k % 2 == 0;
    const ms_value *a = ms_value_empty();
    for (size_t i = 0; i < size; i++) {
      const ms_value *value = test_double(NULL, (double)i * 1e100);
      char key[32];
      snprintf(key, sizeof key, "k%zu", i);
      if (is_array) {
        assert_ok(ms_value_append(NULL, &a, value));
      } else {
        test_put(NULL, &a, key, value);
      }
      ms_value_release(value);
    }
    const ms_value *b = deep_copy(a);
    assert_true(ms_value_equal(a, b));
    for (int round = 0; round < 20; round++) {
      size_t at = test_random_below(&random, size);
      const ms_value *changed = ms_value_retain(round % 2 == 0 ? a : b);
      const ms_value *same_bytes = test_double(NULL, -1e99);
      char key[32];
      snprintf(key, sizeof key, "k%zu", at);
      if (is_array) {
        assert_ok(ms_value_replace(NULL, &changed, at, same_bytes));
      } else {
        test_put(NULL, &changed, key, same_bytes);
      }
      assert_int_equal(ms_value_bytes(changed), ms_value_bytes(a));
      assert_false(ms_value_equal(a, changed));
      assert_false(ms_value_equal(changed, b));
      ms_value_release(same_bytes);
      ms_value_release(changed);
    }
    ms_value_release(a);
    ms_value_release(b);
  }
}

/* One that was appended to, one that was inserted into: trees of other shapes. */
static void test_equal_arrays_may_have_different_trees(void **state) {
  (void)state;
  enum { ITEMS = 3000 };
  const ms_value *a = ms_value_empty();
  const ms_value *b = ms_value_empty();
  for (int i = 0; i < ITEMS; i++) {
    assert_ok(ms_value_append(NULL, &a, test_int(NULL, i)));
    assert_ok(ms_value_insert(NULL, &b, 0, test_int(NULL, ITEMS - 1 - i)));
  }
  assert_true(ms_value_equal(a, b));
  assert_ok(ms_value_replace(NULL, &b, ITEMS / 2, test_int(NULL, ITEMS / 2 + 1)));
  assert_false(ms_value_equal(a, b));
  ms_value_release(a);
  ms_value_release(b);
}

/* ------------------------------------------------------------------ difference */

enum { CHANGES_MAX = 3000 };

typedef struct changes {
  size_t count;
  size_t stop_at; /* the call that returns MS_EBUSY */
  struct {
    const ms_value *key;
    size_t index;
    const ms_value *old_child, *new_child;
  } at[CHANGES_MAX];
} changes;

static ms_status collect(void *ud, const ms_value *key, size_t index,
                         const ms_value *old_child, const ms_value *new_child) {
  changes *list = ud;
  assert_in_range(list->count, 0, CHANGES_MAX - 1);
  assert_true(old_child != NULL || new_child != NULL);
  list->at[list->count].key = key;
  list->at[list->count].index = index;
  list->at[list->count].old_child = old_child;
  list->at[list->count].new_child = new_child;
  list->count++;
  return list->count == list->stop_at ? MS_EBUSY : MS_OK;
}

static const ms_value *child_of(const ms_value *value, const ms_value *key,
                                size_t index) {
  if (value == NULL) return NULL;
  return key != NULL ? msi_object_get(value, key) : ms_value_at(value, index);
}

static bool children_equal(const ms_value *a, const ms_value *b) {
  return a == NULL || b == NULL ? a == b : ms_value_equal(a, b);
}

/* Children of `value` that are not equal on the other side. */
static size_t count_unequal(const ms_value *value, const ms_value *other,
                            bool only_absent) {
  size_t count = 0;
  ms_cursor cursor;
  const ms_value *key = NULL;
  const ms_value *child = NULL;
  ms_cursor_init(&cursor, value);
  while (msi_cursor_next_key(&cursor, &key, &child)) {
    const ms_value *mate = child_of(other, key, 0);
    count += only_absent ? mate == NULL : !children_equal(child, mate);
  }
  for (size_t i = 0; (child = ms_value_at(value, i)) != NULL; i++) {
    const ms_value *mate = child_of(other, NULL, i);
    count += only_absent ? mate == NULL : !children_equal(child, mate);
  }
  return count;
}

/* Each reported child differs, none is reported twice, and as many as differ are
 * reported. */
static void expect_diff(const ms_value *old_value, const ms_value *new_value) {
  static changes list;
  list.count = 0;
  list.stop_at = 0;
  assert_ok(msi_diff_children(old_value, new_value, collect, &list));
  size_t expected = count_unequal(old_value, new_value, false) +
                    count_unequal(new_value, old_value, true);
  assert_int_equal(list.count, expected);
  for (size_t i = 0; i < list.count; i++) {
    const ms_value *key = list.at[i].key;
    size_t index = list.at[i].index;
    assert_ptr_equal(list.at[i].old_child, child_of(old_value, key, index));
    assert_ptr_equal(list.at[i].new_child, child_of(new_value, key, index));
    assert_false(children_equal(list.at[i].old_child, list.at[i].new_child));
    if (i > 0 && key == NULL && list.at[i - 1].key == NULL) {
      assert_true(index > list.at[i - 1].index);
    }
  }
  if (list.count > 1) {
    size_t stop_at = list.count / 2;
    list.count = 0;
    list.stop_at = stop_at == 0 ? 1 : stop_at;
    assert_int_equal(msi_diff_children(old_value, new_value, collect, &list), MS_EBUSY);
    assert_int_equal(list.count, list.stop_at);
  }
}

/* Keys that are plain, collide, or share all but the end of their hashes. */
static size_t make_key(char key[TEST_KEY_BYTES], size_t which) {
  if (which % 4 == 0) {
    test_key_of_hash(0x77777777, (uint32_t)which, key);
  } else if (which % 4 == 1) {
    test_key_of_hash(0x77777700u | (uint32_t)(which / 4 % 256), (uint32_t)which, key);
  } else {
    test_key_of_hash((uint32_t)which * 0x9E3779B9u, (uint32_t)which, key);
  }
  return TEST_KEY_BYTES;
}

static void change_object(test_random *random, const ms_value **object, size_t keys,
                          size_t changed) {
  for (size_t i = 0; i < changed; i++) {
    char key[TEST_KEY_BYTES];
    size_t length = make_key(key, test_random_below(random, keys));
    if (test_random_below(random, 3) == 0) {
      assert_ok(ms_value_erase(NULL, object, key, length));
    } else {
      const ms_value *value = test_random_value(random, NULL, 2);
      assert_ok(ms_value_put(NULL, object, key, length, value));
      ms_value_release(value);
    }
  }
}

static void test_objects_report_exactly_the_keys_that_differ(void **state) {
  (void)state;
  test_random random = test_random_begin("object diff");
  static const size_t keys[] = {3, 12, 24, 60, 400, 1000};
  for (int round = 0; round < 240; round++) {
    size_t range = keys[round % 6];
    const ms_value *a = NULL;
    assert_ok(ms_value_new_object(NULL, &a));
    change_object(&random, &a, range, range + test_random_below(&random, range));
    const ms_value *b = round % 3 == 0 ? deep_copy(a) : ms_value_retain(a);
    change_object(&random, &b, range,
                  test_random_below(&random, round % 2 == 0 ? 4 : range));
    expect_diff(a, b);
    expect_diff(b, a);
    expect_diff(a, a);
    ms_value_release(a);
    ms_value_release(b);
  }
}

/* A small flat object against a large one, with keys in common and values that differ. */
static void test_small_and_large_objects_are_compared_key_by_key(void **state) {
  (void)state;
  test_random random = test_random_begin("shapes");
  for (int round = 0; round < 100; round++) {
    const ms_value *a = NULL;
    const ms_value *b = NULL;
    assert_ok(ms_value_new_object(NULL, &a));
    assert_ok(ms_value_new_object(NULL, &b));
    change_object(&random, &a, 12, 20);
    change_object(&random, &b, 60, 200);
    assert_in_range(ms_value_count(a), 1, 16);
    assert_in_range(ms_value_count(b), 17, 60);
    expect_diff(a, b);
    expect_diff(b, a);
    ms_value_release(a);
    ms_value_release(b);
  }
}

/* Where one side has a single entry the other has a whole subtree. */
static void test_a_subtree_against_one_entry_is_walked_to_its_end(void **state) {
  (void)state;
  for (int with_entry = 0; with_entry < 3; with_entry++) {
    const ms_value *a = ms_value_empty();
    char key[TEST_KEY_BYTES];
    for (uint32_t i = 0; i < 30; i++) { /* other slots of the root */
      test_key_of_hash(0x80000000u | i << 24, i, key);
      assert_ok(ms_value_put(NULL, &a, key, sizeof key, ms_value_null()));
    }
    const ms_value *b = ms_value_retain(a);
    for (uint32_t i = 0; i < 40; i++) { /* one slot, many levels, some collide */
      test_key_of_hash(0x11111100u | i % 20, i, key);
      assert_ok(ms_value_put(NULL, &b, key, sizeof key, ms_value_null()));
    }
    if (with_entry > 0) { /* a key of the subtree, or one that is not in it */
      test_key_of_hash(0x11111105u, with_entry == 1 ? 25 : 99, key);
      assert_ok(ms_value_put(NULL, &a, key, sizeof key, ms_value_bool(true)));
    }
    expect_diff(a, b);
    expect_diff(b, a);
    ms_value_release(a);
    ms_value_release(b);
  }
}

static void test_arrays_report_exactly_the_indexes_that_differ(void **state) {
  (void)state;
  test_random random = test_random_begin("array diff");
  for (int round = 0; round < 200; round++) {
    size_t size = test_random_below(&random, round % 2 == 0 ? 40 : 1200) + 1;
    const ms_value *a = ms_value_empty();
    for (size_t i = 0; i < size; i++) {
      assert_ok(ms_value_insert(NULL, &a, test_random_below(&random, i + 1),
                                test_int(NULL, (int64_t)test_random_below(&random, 5))));
    }
    const ms_value *b = round % 3 == 0 ? deep_copy(a) : ms_value_retain(a);
    for (size_t i = test_random_below(&random, 6); i > 0; i--) {
      size_t count = ms_value_count(b);
      size_t at = test_random_below(&random, count);
      switch (test_random_below(&random, 4)) {
        case 0: assert_ok(ms_value_append(NULL, &b, test_int(NULL, 7))); break;
        case 1: assert_ok(ms_value_insert(NULL, &b, at, test_int(NULL, 7))); break;
        case 2: assert_ok(ms_value_replace(NULL, &b, at, test_int(NULL, 7))); break;
        default:
          if (count > 1) assert_ok(ms_value_erase_at(NULL, &b, at));
      }
    }
    expect_diff(a, b);
    expect_diff(b, a);
    ms_value_release(a);
    ms_value_release(b);
  }
}

static void test_sides_of_other_types_have_no_children_in_common(void **state) {
  (void)state;
  static const char *const sides[] = {
      "1", "\"a\"", "{}", "[]", "{\"$empty\":true}", "[1,2]", "{\"a\":1,\"b\":2}"};
  enum { COUNT = sizeof sides / sizeof *sides };
  const ms_value *value[COUNT + 1] = {NULL};
  for (size_t i = 0; i < COUNT; i++) value[i] = test_json(sides[i]);
  for (size_t i = 0; i <= COUNT; i++) {
    for (size_t k = 0; k <= COUNT; k++) {
      static changes list;
      list.count = 0;
      list.stop_at = 0;
      assert_ok(msi_diff_children(value[i], value[k], collect, &list));
      size_t children_i = value[i] == NULL ? 0 : ms_value_count(value[i]);
      size_t children_k = value[k] == NULL ? 0 : ms_value_count(value[k]);
      assert_int_equal(list.count, i == k ? 0 : children_i + children_k);
    }
  }
  for (size_t i = 0; i < COUNT; i++) ms_value_release(value[i]);
}

/* Looking at every key each time would take minutes, and the test has a deadline. */
static void test_shared_branches_are_skipped(void **state) {
  (void)state;
  const ms_value *a = ms_value_empty();
  char key[32];
  for (int i = 0; i < 100000; i++) {
    snprintf(key, sizeof key, "k%d", i);
    test_put(NULL, &a, key, test_int(NULL, i));
  }
  const ms_value *b = ms_value_retain(a);
  test_put(NULL, &b, "k77", ms_value_null());
  static changes list;
  for (int round = 0; round < 20000; round++) {
    list.count = 0;
    list.stop_at = 0;
    assert_ok(msi_diff_children(a, b, collect, &list));
    assert_int_equal(list.count, 1);
  }
  ms_value_release(a);
  ms_value_release(b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_equal_means_same_types_and_contents),
      cmocka_unit_test(test_equality_sees_one_changed_leaf_at_any_size),
      cmocka_unit_test(test_equal_arrays_may_have_different_trees),
      cmocka_unit_test(test_objects_report_exactly_the_keys_that_differ),
      cmocka_unit_test(test_small_and_large_objects_are_compared_key_by_key),
      cmocka_unit_test(test_a_subtree_against_one_entry_is_walked_to_its_end),
      cmocka_unit_test(test_arrays_report_exactly_the_indexes_that_differ),
      cmocka_unit_test(test_sides_of_other_types_have_no_children_in_common),
      cmocka_unit_test(test_shared_branches_are_skipped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
