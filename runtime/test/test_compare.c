/* MongoDB's order of values, sets of values, and the sort under them. */
#include <math.h>

#include "sort.h"
#include "update_support.h"
#include "value_set.h"

static int sign(int order) { return (order > 0) - (order < 0); }

static int order_of(const char *a, const char *b) {
  const ms_value *left = mst_json(a), *right = mst_json(b);
  int order = sign(msi_compare(left, right));
  assert_int_equal(sign(msi_compare(right, left)), -order);
  ms_value_release(right);
  ms_value_release(left);
  return order;
}

/* Each stands before the next. */
static void assert_ascending(const char *const *texts, size_t count) {
  for (size_t i = 0; i < count; i++) {
    for (size_t k = 0; k < count; k++) {
      int wanted = (i > k) - (i < k);
      if (order_of(texts[i], texts[k]) != wanted) fail_msg("%s, %s", texts[i], texts[k]);
    }
  }
}
#define ASSERT_ASCENDING(...)                                                            \
  do {                                                                                   \
    const char *const texts[] = {__VA_ARGS__};                                           \
    assert_ascending(texts, sizeof texts / sizeof texts[0]);                             \
  } while (0)

static void test_types_have_an_order(void **state) {
  (void)state;
  ASSERT_ASCENDING("null", "{\"$numberDouble\": \"NaN\"}",
                   "{\"$numberDouble\": \"-Infinity\"}", "-5", "0", "1e300",
                   "{\"$numberDouble\": \"Infinity\"}", "\"\"", "\"zzz\"", "{}",
                   "{\"a\": 1}", "[]", "[0]", "false", "true");
}

static void test_integers_and_floats_compare_exactly(void **state) {
  (void)state;
  ASSERT_ASCENDING("-1e19", "-9223372036854775808", "-9223372036854775807", "-2.5", "-2",
                   "-1.5", "-1", "-0.5", "0", "5e-324", "0.5", "1", "1.0000000000000002",
                   "2", "9007199254740991.0", "9007199254740992", "9007199254740993",
                   "9007199254740994.0", "9223372036854774784.0", "9223372036854775807",
                   "9223372036854775808.0");
  assert_int_equal(order_of("3", "3.0"), 0);
  assert_int_equal(order_of("0", "-0.0"), 0);
  assert_int_equal(order_of("0.0", "-0.0"), 0);
  assert_int_equal(order_of("-9223372036854775808", "-9223372036854775808.0"), 0);
  assert_int_equal(
      order_of("{\"$numberDouble\": \"NaN\"}", "{\"$numberDouble\": \"NaN\"}"), 0);
}

static void test_strings_compare_by_bytes(void **state) {
  (void)state;
  ASSERT_ASCENDING("\"\"", "\"A\"", "\"B\"", "\"a\"", "\"a\\u0000\"", "\"aa\"", "\"b\"",
                   "\"\u00e4\"");
}

static void test_arrays_compare_element_by_element(void **state) {
  (void)state;
  ASSERT_ASCENDING("[]", "[null]", "[1]", "[1, 1]", "[1, 2]", "[2]", "[2, 9, 9]",
                   "[3, 1]", "[\"a\"]", "[[1]]", "[true]");
  assert_int_equal(order_of("[1, 2.0]", "[1.0, 2]"), 0);
}

static void test_objects_compare_by_type_then_key_then_value(void **state) {
  (void)state;
  ASSERT_ASCENDING("{}", "{\"a\": null}", "{\"a\": 1}", "{\"a\": 1, \"b\": 1}",
                   "{\"a\": 1, \"c\": 0}", "{\"a\": 2}", "{\"b\": 0}", "{\"a\": \"x\"}",
                   "{\"a\": {}}");
  assert_int_equal(order_of("{\"a\": 1, \"b\": 2}", "{\"b\": 2, \"a\": 1.0}"), 0);
  assert_int_equal(order_of("{\"$empty\": true}", "{}"), 0);
  assert_int_equal(order_of("{\"$empty\": true}", "{\"a\": 1}"), -1);
  assert_int_equal(order_of("{\"$empty\": true}", "[]"), -1);
}

/* The rule, spelled out over sorted keys. */
static int naive_objects(const ms_value *a, const ms_value *b);

static int naive(const ms_value *a, const ms_value *b) {
  int order = msi_type_rank(ms_value_type(a)) - msi_type_rank(ms_value_type(b));
  if (order != 0) return order;
  if (msi_value_is_object(a)) return naive_objects(a, b);
  if (ms_value_type(a) != MS_ARRAY) return msi_compare(a, b);
  size_t left = ms_value_count(a), right = ms_value_count(b);
  for (size_t i = 0; i < left && i < right; i++) {
    order = naive(ms_value_at(a, i), ms_value_at(b, i));
    if (order != 0) return order;
  }
  return (left > right) - (left < right);
}

static int naive_objects(const ms_value *a, const ms_value *b) {
  static const char *const keys[] = {"0", "1", "3", "a", "b", "c"}; /* of mst_keys */
  const ms_value *left[6], *right[6];
  const char *left_keys[6], *right_keys[6];
  size_t lefts = 0, rights = 0;
  for (size_t i = 0; i < 6; i++) {
    left[lefts] = ms_value_get(a, keys[i], 1);
    right[rights] = ms_value_get(b, keys[i], 1);
    left_keys[lefts] = right_keys[rights] = keys[i];
    if (left[lefts] != NULL) lefts++;
    right_keys[rights] = keys[i];
    if (right[rights] != NULL) rights++;
  }
  for (size_t i = 0; i < lefts && i < rights; i++) {
    int order =
        msi_type_rank(ms_value_type(left[i])) - msi_type_rank(ms_value_type(right[i]));
    if (order == 0) order = strcmp(left_keys[i], right_keys[i]);
    if (order == 0) order = naive(left[i], right[i]);
    if (order != 0) return order;
  }
  return (lefts > rights) - (lefts < rights);
}

static const ms_value *random_value(mst_random *random) {
  char text[8192];
  mst_random_value(random, text, sizeof text, 3);
  return mst_json(text);
}

static int quick_order(const ms_value *a, const ms_value *b) {
  return msi_compare_quick(a, b, &MSI_METER_ENDLESS);
}

static void test_random_values_compare_as_the_rule_says(void **state) {
  (void)state;
  mst_random random = {mst_seed(7)};
  int equal = 0;
  for (int round = 0; round < 20000; round++) {
    const ms_value *a = random_value(&random), *b = random_value(&random),
                   *c = random_value(&random);
    int order = sign(msi_compare(a, b));
    assert_int_equal(order, sign(naive(a, b)));
    assert_int_equal(order, -sign(msi_compare(b, a)));
    if (order <= 0 && msi_compare(b, c) <= 0) assert_true(msi_compare(a, c) <= 0);
    int quick = sign(quick_order(a, b));
    assert_int_equal(quick == 0, order == 0);
    assert_int_equal(quick, -sign(quick_order(b, a)));
    if (quick <= 0 && quick_order(b, c) <= 0) assert_true(quick_order(a, c) <= 0);
    equal += order == 0;
    ms_value_release(c);
    ms_value_release(b);
    ms_value_release(a);
  }
  assert_true(equal > 100);
}

static void test_large_objects_compare_like_small_ones(void **state) {
  (void)state;
  const ms_value *a, *b;
  assert_int_equal(ms_value_new_object(NULL, &a), MS_OK);
  assert_int_equal(ms_value_new_object(NULL, &b), MS_OK);
  for (int i = 0; i < 1000; i++) {
    char key[16];
    int length = snprintf(key, sizeof key, "k%03d", i);
    const ms_value *number;
    assert_int_equal(ms_value_new_int(NULL, i, &number), MS_OK);
    assert_int_equal(ms_value_put(NULL, &a, key, (size_t)length, number), MS_OK);
    if (i != 500)
      assert_int_equal(ms_value_put(NULL, &b, key, (size_t)length, number), MS_OK);
    ms_value_release(number);
  }
  assert_int_equal(sign(msi_compare(a, b)), -1); /* k500 before k501 */
  assert_int_equal(sign(msi_compare(b, a)), 1);
  assert_int_equal(ms_value_put(NULL, &b, "k500", 4, ms_value_null()), MS_OK);
  assert_int_equal(sign(msi_compare(a, b)), 1); /* a number after null */
  ms_value_release(b);
  ms_value_release(a);
}

static void test_whole_numbers_are_integers_of_either_type(void **state) {
  (void)state;
  const char *const whole[] = {"3", "3.0", "-0.0", "-9223372036854775808.0"};
  const char *const other[] = {
      "3.5",  "9223372036854775808.0",        "\"3\"",
      "null", "{\"$numberDouble\": \"NaN\"}", "{\"$numberDouble\": \"-Infinity\"}"};
  const int64_t wanted[] = {3, 3, 0, INT64_MIN};
  int64_t number = 7;
  for (size_t i = 0; i < 4; i++) {
    const ms_value *value = mst_json(whole[i]);
    assert_true(msi_value_to_whole(value, &number));
    assert_int_equal(number, wanted[i]);
    ms_value_release(value);
  }
  for (size_t i = 0; i < 6; i++) {
    const ms_value *value = mst_json(other[i]);
    assert_false(msi_value_to_whole(value, &number));
    ms_value_release(value);
  }
}

/* --------------------------------------------------------------------- sort */

typedef struct card {
  int rank, place;
} card;

static int card_order(void *ud, const void *a, const void *b) {
  ++*(int *)ud;
  return ((const card *)a)->rank - ((const card *)b)->rank;
}

static void test_sort_is_stable(void **state) {
  (void)state;
  mst_random random = {mst_seed(11)};
  for (size_t count = 0; count < 200; count++) {
    card cards[200];
    const void *items[200], *spare[200];
    int asked = 0;
    for (size_t i = 0; i < count; i++) {
      cards[i] = (card){(int)mst_below(&random, 1 + count / 3), (int)i};
      items[i] = &cards[i];
    }
    msi_sort(items, spare, count, card_order, &asked);
    for (size_t i = 1; i < count; i++) {
      const card *a = items[i - 1], *b = items[i];
      assert_true(a->rank < b->rank || (a->rank == b->rank && a->place < b->place));
    }
    assert_true(asked <= 8 * (int)count);
  }
}

/* --------------------------------------------------------------------- sets */

static msi_value_set *set_of(const ms_value *list) {
  msi_value_set *set = NULL;
  assert_int_equal(msi_value_set_new(NULL, list, &MSI_METER_ENDLESS, &set), MS_OK);
  return set;
}

static void test_set_keeps_the_first_of_equal_values(void **state) {
  (void)state;
  const ms_value *list = mst_json("[2.0, \"x\", 2, [1], \"x\", {\"a\": 1}, 1, [1.0]]");
  msi_value_set *set = set_of(list);
  const uint32_t wanted[] = {6, 0, 1, 5, 3};
  assert_int_equal(set->count, 5);
  for (size_t i = 0; i < 5; i++) {
    assert_int_equal(set->indexes[i], wanted[i]);
    assert_ptr_equal(set->values[i], ms_value_at(list, wanted[i]));
  }
  msi_value_set_free(set);
  ms_value_release(list);
}

static void test_set_finds_what_is_equal(void **state) {
  (void)state;
  mst_random random = {mst_seed(13)};
  for (int round = 0; round < 2000; round++) {
    const ms_value *list = random_value(&random), *value = random_value(&random);
    if (ms_value_type(list) == MS_ARRAY) {
      msi_value_set *set = set_of(list);
      bool wanted = false;
      for (size_t i = 0; i < ms_value_count(list); i++) {
        wanted = wanted || msi_compare(ms_value_at(list, i), value) == 0;
        assert_true(msi_value_set_find(set, ms_value_at(list, i), &MSI_METER_ENDLESS) !=
                    SIZE_MAX);
      }
      assert_int_equal(msi_value_set_find(set, value, &MSI_METER_ENDLESS) != SIZE_MAX,
                       wanted);
      msi_value_set_free(set);
    }
    ms_value_release(value);
    ms_value_release(list);
  }
}

static void test_empty_table_is_in_a_set_with_any_empty_container(void **state) {
  (void)state;
  const char *const lists[] = {"[[]]", "[{}]", "[{\"$empty\": true}]", "[[1], null]"};
  const bool wanted[][3] = {{true, false, true},
                            {false, true, true},
                            {true, true, true},
                            {false, false, false}};
  const ms_value *array = mst_json("[]"), *object = mst_json("{}");
  for (size_t i = 0; i < 4; i++) {
    const ms_value *list = mst_json(lists[i]);
    msi_value_set *set = set_of(list);
    assert_int_equal(msi_value_set_matches(set, array, &MSI_METER_ENDLESS), wanted[i][0]);
    assert_int_equal(msi_value_set_matches(set, object, &MSI_METER_ENDLESS),
                     wanted[i][1]);
    assert_int_equal(msi_value_set_matches(set, ms_value_empty(), &MSI_METER_ENDLESS),
                     wanted[i][2]);
    msi_value_set_free(set);
    ms_value_release(list);
  }
  msi_value_set *none = set_of(ms_value_empty());
  assert_int_equal(none->count, 0);
  assert_false(msi_value_set_matches(none, object, &MSI_METER_ENDLESS));
  msi_value_set_free(none);
  ms_value_release(object);
  ms_value_release(array);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_types_have_an_order),
      cmocka_unit_test(test_integers_and_floats_compare_exactly),
      cmocka_unit_test(test_strings_compare_by_bytes),
      cmocka_unit_test(test_arrays_compare_element_by_element),
      cmocka_unit_test(test_objects_compare_by_type_then_key_then_value),
      cmocka_unit_test(test_random_values_compare_as_the_rule_says),
      cmocka_unit_test(test_large_objects_compare_like_small_ones),
      cmocka_unit_test(test_whole_numbers_are_integers_of_either_type),
      cmocka_unit_test(test_sort_is_stable),
      cmocka_unit_test(test_set_keeps_the_first_of_equal_values),
      cmocka_unit_test(test_set_finds_what_is_equal),
      cmocka_unit_test(test_empty_table_is_in_a_set_with_any_empty_container),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
