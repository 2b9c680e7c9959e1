/* Arrays against a naive list. */
#include "value_support.h"

enum { MODEL_MAX = 12000 };

typedef struct model {
  int64_t item[MODEL_MAX];
  size_t count;
} model;

static void model_splice(model *list, size_t at, size_t skip, size_t add,
                         int64_t number) {
  size_t after = list->count - at - skip;
  memmove(list->item + at + add, list->item + at + skip, after * sizeof *list->item);
  if (add > 0) list->item[at] = number;
  list->count += add - skip;
}

static void model_expect(const model *expected, const ms_value *array) {
  if (ms_value_type(array) == MS_EMPTY) {
    assert_int_equal(expected->count, 0);
    return;
  }
  assert_true(msi_value_check(array));
  assert_int_equal(ms_value_count(array), expected->count);
  ms_cursor cursor;
  const char *key = "none";
  size_t index = 0;
  const ms_value *value = NULL;
  ms_cursor_init(&cursor, array);
  for (size_t i = 0; i < expected->count; i++) {
    assert_true(test_to_int(ms_value_at(array, i)) == expected->item[i]);
    assert_true(ms_cursor_next(&cursor, &key, &index, &value));
    assert_null(key);
    assert_int_equal(index, i);
    assert_ptr_equal(value, ms_value_at(array, i));
  }
  assert_false(ms_cursor_next(&cursor, &key, &index, &value));
  assert_false(ms_cursor_next(&cursor, &key, &index, &value));
  assert_null(ms_value_at(array, expected->count));
}

/* What a run does with an array, in tenths. */
typedef struct array_habit {
  unsigned append, insert, replace, pop; /* the rest erases anywhere */
  size_t batch;                          /* so many edits at one place in a row */
} array_habit;

static void model_step(test_random *random, const ms_alloc *alloc,
                       const array_habit *habit, model *list, const ms_value **array,
                       int64_t number, size_t place) {
  const ms_value *value = test_int(alloc, number);
  unsigned choice = (unsigned)test_random_below(random, 10);
  if (list->count == 0 || choice < habit->append) {
    assert_ok(ms_value_append(alloc, array, value));
    model_splice(list, list->count, 0, 1, number);
  } else if ((choice -= habit->append) < habit->insert) {
    size_t at = place % (list->count + 1);
    assert_ok(ms_value_insert(alloc, array, at, value));
    model_splice(list, at, 0, 1, number);
  } else if ((choice -= habit->insert) < habit->replace) {
    size_t at = place % list->count;
    assert_ok(ms_value_replace(alloc, array, at, value));
    model_splice(list, at, 1, 1, number);
  } else {
    bool pops = choice - habit->replace < habit->pop;
    size_t at = pops ? list->count - 1 : place % list->count;
    assert_ok(ms_value_erase_at(alloc, array, at));
    model_splice(list, at, 1, 0, 0);
  }
}

static void run_model(test_random *random, const array_habit *grow,
                      const array_habit *shrink, unsigned steps, unsigned period) {
  static model now;
  static model then;
  failing_alloc memory;
  failing_alloc_init(&memory);
  now.count = 0;
  const ms_value *array = ms_value_empty();
  const ms_value *saved = NULL;
  size_t place = 0;
  for (unsigned step = 0; step < steps; step++) {
    const array_habit *habit = (step / period) % 2 == 0 ? grow : shrink;
    if (step % habit->batch == 0) place = (size_t)(test_random_next(random) >> 1);
    model_step(random, &memory.alloc, habit, &now, &array, step, place);
    if (ms_value_type(array) == MS_ARRAY && step % 5 == 0) {
      assert_true(msi_value_check(array));
    }
    if (step % 97 == 0) {
      if (saved != NULL) model_expect(&then, saved);
      model_expect(&now, array);
      ms_value_release(saved);
      /* Sometimes nobody else looks, so that changes happen in place. */
      saved = test_random_below(random, 2) == 0 ? NULL : ms_value_retain(array);
      then = now;
    }
  }
  model_expect(&now, array);
  ms_value_release(saved);
  ms_value_release(array);
  assert_true(failing_alloc_is_clean(&memory));
}

static void test_arrays_do_what_a_list_does(void **state) {
  (void)state;
  test_random random = test_random_begin("arrays");
  static const array_habit append = {9, 0, 1, 0, 1};
  static const array_habit pop = {1, 0, 1, 8, 1};
  static const array_habit insert = {1, 7, 1, 0, 1};
  static const array_habit erase = {0, 1, 1, 0, 1};
  static const array_habit insert_here = {0, 9, 1, 0, 200};
  static const array_habit erase_here = {0, 1, 0, 0, 200};
  static const array_habit mixed = {3, 3, 1, 1, 7};
  run_model(&random, &append, &pop, 6000, 1500);
  run_model(&random, &insert, &erase, 6000, 1500);
  run_model(&random, &insert_here, &erase_here, 6000, 2000);
  run_model(&random, &append, &erase, 6000, 3000);
  run_model(&random, &insert, &pop, 4000, 1000);
  run_model(&random, &mixed, &erase, 3000, 40); /* back and forth between flat and tree */
}

static void test_a_large_array_is_cut_down_from_everywhere(void **state) {
  (void)state;
  enum { ITEMS = 40000 };
  test_random random = test_random_begin("large array");
  failing_alloc memory;
  failing_alloc_init(&memory);
  const ms_value *array = ms_value_empty();
  for (int i = 0; i < ITEMS; i++) {
    assert_ok(ms_value_append(&memory.alloc, &array, test_int(&memory.alloc, i)));
  }
  assert_true(msi_value_check(array));
  const ms_value *keep = ms_value_retain(array);
  int64_t sum = (int64_t)ITEMS * (ITEMS - 1) / 2;
  for (size_t left = ITEMS; left > 0; left--) {
    size_t at = left % 3 == 0 ? left - 1 : test_random_below(&random, left);
    sum -= test_to_int(ms_value_at(array, at));
    assert_ok(ms_value_erase_at(&memory.alloc, &array, at));
    if (left % 500 == 0) assert_true(msi_value_check(array));
  }
  assert_int_equal(sum, 0);
  assert_int_equal(ms_value_count(array), 0);
  assert_int_equal(ms_value_count(keep), ITEMS);
  assert_true(msi_value_check(keep));
  ms_value_release(array);
  ms_value_release(keep);
  assert_true(failing_alloc_is_clean(&memory));
}

/* Dense: appended integers cost little more than a word each. */
static void test_appending_packs_densely(void **state) {
  (void)state;
  enum { ITEMS = 100000 };
  failing_alloc memory;
  failing_alloc_init(&memory);
  const ms_value *array = ms_value_empty();
  for (int i = 0; i < ITEMS; i++) {
    assert_ok(ms_value_append(&memory.alloc, &array, ms_value_null()));
  }
  assert_in_range(memory.bytes, ITEMS * sizeof(void *), ITEMS * sizeof(void *) * 12 / 10);
  ms_value_release(array);
}

static void test_the_empty_table_becomes_an_array_by_its_first_item(void **state) {
  (void)state;
  const ms_value *array = ms_value_empty();
  assert_int_equal(ms_value_insert(NULL, &array, 1, ms_value_null()), MS_ENOENT);
  assert_int_equal(ms_value_replace(NULL, &array, 0, ms_value_null()), MS_ENOENT);
  assert_int_equal(ms_value_erase_at(NULL, &array, 0), MS_ENOENT);
  assert_int_equal(ms_value_type(array), MS_EMPTY);
  assert_ok(ms_value_insert(NULL, &array, 0, ms_value_null()));
  assert_int_equal(ms_value_type(array), MS_ARRAY);
  assert_ok(ms_value_erase_at(NULL, &array, 0));
  assert_int_equal(ms_value_type(array), MS_ARRAY);
  assert_false(ms_value_equal(array, ms_value_empty()));
  ms_value_release(array);
}

static void test_other_types_and_far_indexes_are_refused(void **state) {
  (void)state;
  const ms_value *object = test_json("{\"a\":1}");
  const ms_value *same = object;
  assert_int_equal(ms_value_append(NULL, &object, ms_value_null()), MS_ETYPE);
  assert_int_equal(ms_value_insert(NULL, &object, 0, ms_value_null()), MS_ETYPE);
  assert_int_equal(ms_value_replace(NULL, &object, 0, ms_value_null()), MS_ETYPE);
  assert_int_equal(ms_value_erase_at(NULL, &object, 0), MS_ETYPE);
  assert_ptr_equal(object, same);
  ms_value_release(object);
  const ms_value *array = test_json("[1,2]");
  same = array;
  assert_int_equal(ms_value_insert(NULL, &array, 3, ms_value_null()), MS_ENOENT);
  assert_int_equal(ms_value_insert(NULL, &array, (size_t)UINT32_MAX, ms_value_null()),
                   MS_ENOENT);
  assert_int_equal(ms_value_replace(NULL, &array, 2, ms_value_null()), MS_ENOENT);
  assert_int_equal(ms_value_erase_at(NULL, &array, 2), MS_ENOENT);
  assert_ptr_equal(array, same);
  ms_value_release(array);
}

static void test_an_array_put_into_itself_holds_its_old_version(void **state) {
  (void)state;
  failing_alloc memory;
  failing_alloc_init(&memory);
  for (size_t size = 1; size < 100; size++) {
    const ms_value *array = ms_value_empty();
    for (size_t i = 0; i < size; i++) {
      assert_ok(ms_value_append(&memory.alloc, &array, ms_value_null()));
    }
    assert_ok(ms_value_append(&memory.alloc, &array, array));
    assert_int_equal(ms_value_count(ms_value_at(array, size)), size);
    assert_ok(ms_value_replace(&memory.alloc, &array, 0, array));
    assert_int_equal(ms_value_count(ms_value_at(array, 0)), size + 1);
    assert_true(msi_value_check(array));
    ms_value_release(array);
  }
  assert_true(failing_alloc_is_clean(&memory));
}

static void test_an_array_alone_changes_in_place_and_a_shared_one_does_not(void **state) {
  (void)state;
  for (size_t size = 5; size <= 5000; size *= 10) {
    const ms_value *array = ms_value_empty();
    for (size_t i = 0; i < size; i++) {
      assert_ok(ms_value_append(NULL, &array, ms_value_null()));
    }
    const ms_value *before = array;
    assert_ok(ms_value_replace(NULL, &array, 2, ms_value_bool(true)));
    assert_ptr_equal(array, before);
    const ms_value *shared = ms_value_retain(array);
    assert_ok(ms_value_replace(NULL, &array, 2, ms_value_bool(true)));
    assert_ptr_equal(array, shared); /* nothing changed */
    assert_ok(ms_value_replace(NULL, &array, 2, ms_value_bool(false)));
    assert_ptr_not_equal(array, shared);
    assert_ptr_equal(ms_value_at(shared, 2), ms_value_bool(true));
    ms_value_release(shared);
    ms_value_release(array);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_arrays_do_what_a_list_does),
      cmocka_unit_test(test_a_large_array_is_cut_down_from_everywhere),
      cmocka_unit_test(test_appending_packs_densely),
      cmocka_unit_test(test_the_empty_table_becomes_an_array_by_its_first_item),
      cmocka_unit_test(test_other_types_and_far_indexes_are_refused),
      cmocka_unit_test(test_an_array_put_into_itself_holds_its_old_version),
      cmocka_unit_test(test_an_array_alone_changes_in_place_and_a_shared_one_does_not),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
