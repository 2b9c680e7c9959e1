/* Operators on fields: what each makes of what it finds, and what it refuses. */
#include "update_support.h"

/* ---------------------------------------------------------------- arithmetic */

static void test_mul_multiplies_numbers_of_either_type(void **state) {
  (void)state;
  mst_assert_update("{\"a\": 6}", "{\"$mul\": {\"a\": 7}}", "{\"a\": 42}");
  mst_assert_update("{\"a\": 6}", "{\"$mul\": {\"a\": 0.5}}", "{\"a\": 3.0}");
  mst_assert_update("{\"a\": 1.5}", "{\"$mul\": {\"a\": 2}}", "{\"a\": 3.0}");
  mst_assert_update("{\"a\": 0}", "{\"$mul\": {\"a\": 7}}", "{\"a\": 0}");
  mst_assert_update("{\"a\": 5}", "{\"$mul\": {\"a\": 1}}", "{\"a\": 5}");
  mst_assert_update("{\"a\": -3037000500}", "{\"$mul\": {\"a\": 3}}",
                    "{\"a\": -9111001500}");
}

static void test_mul_of_a_missing_field_is_a_zero_of_its_type(void **state) {
  (void)state;
  mst_assert_update("{}", "{\"$mul\": {\"a\": 5}}", "{\"a\": 0}");
  mst_assert_update("{}", "{\"$mul\": {\"a\": 5.5}}", "{\"a\": 0.0}");
  mst_assert_update("{}", "{\"$mul\": {\"a.b\": -5.5}}", "{\"a\": {\"b\": -0.0}}");
}

static void test_arithmetic_refuses_what_is_no_number(void **state) {
  (void)state;
  mst_assert_refused("{\"a\": \"5\"}", "{\"$mul\": {\"a\": 2}}", MS_ETYPE,
                     "$mul: \"a\" holds a string, not a number");
  mst_assert_refused("{\"a\": true}", "{\"$inc\": {\"a\": 2}}", MS_ETYPE,
                     "$inc: \"a\" holds a boolean, not a number");
  mst_assert_refused("{\"a\": {\"$empty\": true}}", "{\"$inc\": {\"a\": 2}}", MS_ETYPE,
                     "$inc: \"a\" holds an empty table, not a number");
  mst_assert_refused(NULL, "{\"$mul\": {\"a\": null}}", MS_EARGUMENT,
                     "$mul: \"a\" needs a number, not null");
  mst_assert_refused("{\"a\": 9223372036854775807}", "{\"$mul\": {\"a\": 2}}",
                     MS_EARGUMENT,
                     "$mul: \"a\" would leave the range of 64-bit integers");
  mst_assert_refused("{\"a\": -9223372036854775808}", "{\"$mul\": {\"a\": -1}}",
                     MS_EARGUMENT,
                     "$mul: \"a\" would leave the range of 64-bit integers");
  mst_assert_refused("{\"a\": -9223372036854775808}", "{\"$inc\": {\"a\": -1}}",
                     MS_EARGUMENT,
                     "$inc: \"a\" would leave the range of 64-bit integers");
}

/* -------------------------------------------------------------------- min, max */

static void test_min_and_max_compare_across_types(void **state) {
  (void)state;
  mst_assert_update("{\"a\": 5}", "{\"$min\": {\"a\": 4.5}}", "{\"a\": 4.5}");
  mst_assert_update("{\"a\": 5}", "{\"$min\": {\"a\": 5.0}}", "{\"a\": 5}");
  mst_assert_update("{\"a\": 5}", "{\"$min\": {\"a\": \"x\"}}", "{\"a\": 5}");
  mst_assert_update("{\"a\": 5}", "{\"$min\": {\"a\": null}}", "{\"a\": null}");
  mst_assert_update("{\"a\": 9007199254740993}",
                    "{\"$max\": {\"a\": 9007199254740992.0}}",
                    "{\"a\": 9007199254740993}");
  mst_assert_update("{\"a\": [1, 2]}", "{\"$max\": {\"a\": [1, 3]}}", "{\"a\": [1, 3]}");
  mst_assert_update("{\"a\": {\"$numberDouble\": \"NaN\"}}", "{\"$max\": {\"a\": -5}}",
                    "{\"a\": -5}");
  mst_assert_update("{}", "{\"$min\": {\"a.b\": [1]}}", "{\"a\": {\"b\": [1]}}");
  mst_assert_update("{}", "{\"$max\": {\"a\": {}}}", "{\"a\": {}}");
  mst_assert_refused("{\"a\": 5}", "{\"$min\": {\"a.b\": 1}}", MS_EPATH,
                     "$min: \"a.b\": \"a\" holds an integer");
}

/* ------------------------------------------------------------------------ bit */

static void test_bit_works_on_64_bits(void **state) {
  (void)state;
  mst_assert_update("{\"a\": 13}", "{\"$bit\": {\"a\": {\"and\": 10}}}", "{\"a\": 8}");
  mst_assert_update("{\"a\": -1}", "{\"$bit\": {\"a\": {\"and\": 9223372036854775807}}}",
                    "{\"a\": 9223372036854775807}");
  mst_assert_update("{\"a\": 1}", "{\"$bit\": {\"a\": {\"xor\": -1}}}", "{\"a\": -2}");
  mst_assert_update("{\"a\": 5}",
                    "{\"$bit\": {\"a\": {\"xor\": 1, \"or\": 8, \"and\": 4}}}",
                    "{\"a\": 13}");
  mst_assert_update("{}", "{\"$bit\": {\"a.b\": {\"and\": 7}}}", "{\"a\": {\"b\": 0}}");
  mst_assert_update("{\"a\": 7}", "{\"$bit\": {\"a\": {\"or\": 1}}}", "{\"a\": 7}");
}

static void test_bit_takes_integers_only(void **state) {
  (void)state;
  mst_assert_refused("{\"a\": 1.0}", "{\"$bit\": {\"a\": {\"or\": 1}}}", MS_ETYPE,
                     "$bit: \"a\" holds a float, not an integer");
  mst_assert_refused(NULL, "{\"$bit\": {\"a\": {\"or\": 1.0}}}", MS_EARGUMENT,
                     "$bit: \"a\" needs integers, not a float");
  mst_assert_refused(NULL, "{\"$bit\": {\"a\": 5}}", MS_EARGUMENT,
                     "$bit: \"a\" needs an object, not an integer");
  mst_assert_refused(NULL, "{\"$bit\": {\"a\": {\"$empty\": true}}}", MS_EARGUMENT,
                     "$bit: \"a\" needs \"and\", \"or\" or \"xor\"");
  mst_assert_refused(NULL, "{\"$bit\": {\"a\": {\"or\": 1, \"nor\": 1}}}", MS_EARGUMENT,
                     "$bit: \"a\" needs \"and\", \"or\" or \"xor\"");
}

/* -------------------------------------------------------- dates, set on insert */

static void test_current_date_is_the_wall_time_of_the_patch(void **state) {
  (void)state;
  mst_assert_update("{\"a\": \"x\"}",
                    "{\"$currentDate\": {\"a\": true, \"b.c\": {\"$type\": \"date\"},"
                    " \"d\": {\"$type\": \"timestamp\"}, \"e\": false}}",
                    "{\"a\": 1000, \"b\": {\"c\": 1000}, \"d\": 1000, \"e\": 1000}");
  mst_assert_update("{\"a\": 1000}", "{\"$currentDate\": {\"a\": true}}",
                    "{\"a\": 1000}");
  const char *const refused[] = {"1",
                                 "{}",
                                 "{\"$type\": 9}",
                                 "{\"$type\": \"Date\"}",
                                 "{\"$type\": \"date\", \"x\": 1}",
                                 "null"};
  const char *const found[] = {"an integer", "an object", "an object",
                               "an object",  "an object", "null"};
  for (size_t i = 0; i < 6; i++) {
    char update[128], message[256];
    snprintf(update, sizeof update, "{\"$currentDate\": {\"a\": %s}}", refused[i]);
    snprintf(message, sizeof message,
             "$currentDate: \"a\" needs true, {\"$type\": \"date\"} or {\"$type\": "
             "\"timestamp\"}, not %s",
             found[i]);
    mst_assert_refused(NULL, update, MS_EARGUMENT, message);
  }
}

static void test_set_on_insert_does_nothing_but_overlap(void **state) {
  (void)state;
  mst_assert_update("{\"a\": 1}",
                    "{\"$setOnInsert\": {\"b\": 1, \"a.b.c\": 2}, \"$set\": {\"c\": 1}}",
                    "{\"a\": 1, \"c\": 1}");
  mst_assert_refused(NULL, "{\"$setOnInsert\": {\"a\": 1}, \"$set\": {\"a.b\": 1}}",
                     MS_EOVERLAP, "\"a\" and \"a.b\" overlap");
  ms_update *update = mst_update("{\"$setOnInsert\": {\"a\": {\"big\": [1, 2, 3]}}}");
  assert_int_equal(update->ops[0].class_, MSI_CLASS_GUARD);
  assert_int_equal(ms_value_type(update->ops[0].operand), MS_NULL);
  ms_update_release(update);
}

/* --------------------------------------------------------------------- rename */

static void test_rename_moves_a_value(void **state) {
  (void)state;
  mst_assert_update("{\"a\": 1}", "{\"$rename\": {\"a\": \"b\"}}", "{\"b\": 1}");
  mst_assert_update("{\"a\": {\"x\": [1]}, \"b\": 2}",
                    "{\"$rename\": {\"a.x\": \"c.d.e\"}}",
                    "{\"a\": {}, \"b\": 2, \"c\": {\"d\": {\"e\": [1]}}}");
  mst_assert_update("{\"a\": 1, \"b\": 2, \"c\": 3}",
                    "{\"$rename\": {\"a\": \"x\", \"b\": \"y\"}, \"$set\": {\"c\": 4}}",
                    "{\"x\": 1, \"y\": 2, \"c\": 4}");
  mst_assert_update("{\"a\": [1, 2]}", "{\"$rename\": {\"a\": \"b\"}}",
                    "{\"b\": [1, 2]}");
  mst_assert_update("{\"a\": {\"$empty\": true}, \"e\": {\"$empty\": true}}",
                    "{\"$rename\": {\"a\": \"e.x\"}}",
                    "{\"e\": {\"x\": {\"$empty\": true}}}");
}

static void test_rename_of_what_is_missing_does_nothing(void **state) {
  (void)state;
  mst_assert_update("{\"b\": 2}", "{\"$rename\": {\"a\": \"b\"}}", "{\"b\": 2}");
  mst_assert_update("{\"b\": 2}", "{\"$rename\": {\"a\": \"b.c\"}}", "{\"b\": 2}");
  mst_assert_update("{\"l\": []}", "{\"$rename\": {\"a\": \"l.0\"}}", "{\"l\": []}");
  mst_assert_update("{\"l\": [1]}", "{\"$rename\": {\"l.5\": \"x\"}}", "{\"l\": [1]}");
}

/* As in the server, which compares them by value. */
static void test_rename_onto_an_equal_number_keeps_its_type(void **state) {
  (void)state;
  mst_assert_update("{\"a\": 1, \"b\": 1.0}", "{\"$rename\": {\"a\": \"b\"}}",
                    "{\"b\": 1.0}");
  mst_assert_update("{\"a\": 2, \"b\": 1.0}", "{\"$rename\": {\"a\": \"b\"}}",
                    "{\"b\": 2}");
}

static void test_rename_goes_neither_from_nor_into_arrays(void **state) {
  (void)state;
  mst_assert_refused("{\"l\": [1]}", "{\"$rename\": {\"l.0\": \"x\"}}", MS_EPATH,
                     "$rename: \"l.0\": \"l\" holds an array");
  mst_assert_refused("{\"l\": [{\"a\": 1}]}", "{\"$rename\": {\"l.0.a\": \"x\"}}",
                     MS_EPATH, "$rename: \"l.0.a\": \"l\" holds an array");
  mst_assert_refused("{\"l\": [{\"a\": 1}]}", "{\"$rename\": {\"l.a\": \"x\"}}", MS_EPATH,
                     "$rename: \"l\" holds an array and \"a\" is no index");
  mst_assert_refused("{\"a\": 1, \"l\": [1]}", "{\"$rename\": {\"a\": \"l.0\"}}",
                     MS_EPATH, "$rename: \"l.0\": \"l\" holds an array");
  mst_assert_refused("{\"a\": 1, \"l\": []}", "{\"$rename\": {\"a\": \"l.3\"}}", MS_EPATH,
                     "$rename: \"l.3\": \"l\" holds an array");
  mst_assert_refused("{\"a\": 1, \"l\": [{}]}", "{\"$rename\": {\"a\": \"l.0.x.y\"}}",
                     MS_EPATH, "$rename: \"l.0.x.y\": \"l\" holds an array");
}

static void test_rename_needs_two_paths_apart(void **state) {
  (void)state;
  mst_assert_refused("{\"a\": 5}", "{\"$rename\": {\"a.b\": \"c\"}}", MS_EPATH,
                     "$rename: \"a.b\": \"a\" holds an integer");
  mst_assert_refused("{\"a\": 5, \"b\": 1}", "{\"$rename\": {\"b\": \"a.b\"}}", MS_EPATH,
                     "$rename: \"a.b\": \"a\" holds an integer");
  mst_assert_refused(NULL, "{\"$rename\": {\"a\": \"a\"}}", MS_EARGUMENT,
                     "$rename: \"a\" and \"a\" are on the same path");
  mst_assert_refused(NULL, "{\"$rename\": {\"a.b\": \"a\"}}", MS_EARGUMENT,
                     "$rename: \"a.b\" and \"a\" are on the same path");
  mst_assert_refused(NULL, "{\"$rename\": {\"a\": 5}}", MS_EARGUMENT,
                     "$rename: \"a\" needs a path as a string, not an integer");
  mst_assert_refused(NULL, "{\"$rename\": {\"a\": \"\"}}", MS_EPATH,
                     "$rename: the new path is empty");
  mst_assert_refused(NULL, "{\"$rename\": {\"a\": \"b..c\"}}", MS_EPATH,
                     "\"b..c\" has an empty key");
  mst_assert_refused(NULL, "{\"$rename\": {\"a\": \"b.$[]\"}}", MS_EARGUMENT,
                     "$rename: positional keys are not allowed");
  mst_assert_refused(NULL, "{\"$rename\": {\"a.$[]\": \"b\"}}", MS_EARGUMENT,
                     "$rename: positional keys are not allowed");
  mst_assert_refused(NULL, "{\"$rename\": {\"a\": \"b\", \"b\": \"c\"}}", MS_EOVERLAP,
                     "\"b\" and \"b\" overlap");
  mst_assert_refused(NULL, "{\"$rename\": {\"a\": \"b\"}, \"$set\": {\"b.c\": 1}}",
                     MS_EOVERLAP, "\"b\" and \"b.c\" overlap");
}

/* Both paths are those of operations, so that whoever looks at paths sees them. */
static void test_rename_is_two_operations(void **state) {
  (void)state;
  ms_update *update = mst_update("{\"$rename\": {\"z\": \"b.c\"}, \"$set\": {\"m\": 1}}");
  const char *const wanted[] = {"b.c", "m", "z"};
  assert_int_equal(update->op_count, 3);
  for (size_t i = 0; i < 3; i++) {
    ms_path *path = mst_path(wanted[i]);
    assert_true(msi_path_equal(path, update->ops[i].path));
    assert_int_equal(update->ops[i].class_, MSI_CLASS_ABSOLUTE);
    ms_path_release(path);
  }
  mst_assert_decodes(update);
  ms_update_release(update);
}

/* {"$rename": {"a": a path of `count` keys}} */
static ms_update *deep_rename(size_t count) {
  char path[2 * MS_DEPTH_MAX], update[512];
  for (size_t i = 0; i < count; i++) memcpy(path + 2 * i, "k.", 2);
  path[2 * count - 1] = '\0';
  snprintf(update, sizeof update, "{\"$rename\": {\"a\": \"%s\"}}", path);
  return mst_update(update);
}

static void test_rename_may_not_go_too_deep(void **state) {
  (void)state;
  const char *document = "{\"a\": [[1]], \"b\": 1}";
  ms_update *too_deep = deep_rename(99), *deep = deep_rename(98);
  const ms_value *result = NULL;
  ms_error error;
  assert_int_equal(mst_apply(document, too_deep, &result, &error), MS_ELIMIT);
  assert_non_null(strstr(error.message, "would be deeper than 100 levels"));
  assert_int_equal(mst_apply(document, deep, &result, &error), MS_OK);
  assert_int_equal(msi_value_depth(result, 1000), MS_DEPTH_MAX);
  ms_value_release(result);
  ms_update_release(deep);
  ms_update_release(too_deep);
}

/* --------------------------------------------------------------------- classes */

static void test_operators_have_classes(void **state) {
  (void)state;
  const struct {
    const char *update;
    msi_class wanted;
  } cases[] = {
      {"{\"$set\": {\"a\": 1}}", MSI_CLASS_ABSOLUTE},
      {"{\"$unset\": {\"a\": 1}}", MSI_CLASS_ABSOLUTE},
      {"{\"$currentDate\": {\"a\": true}}", MSI_CLASS_ABSOLUTE},
      {"{\"$inc\": {\"a\": 1}}", MSI_CLASS_RELATIVE},
      {"{\"$mul\": {\"a\": 1}}", MSI_CLASS_RELATIVE},
      {"{\"$min\": {\"a\": 1}}", MSI_CLASS_RELATIVE},
      {"{\"$max\": {\"a\": 1}}", MSI_CLASS_RELATIVE},
      {"{\"$bit\": {\"a\": {\"or\": 1}}}", MSI_CLASS_RELATIVE},
      {"{\"$addToSet\": {\"a\": 1}}", MSI_CLASS_RELATIVE},
      {"{\"$push\": {\"a\": 1}}", MSI_CLASS_RELATIVE},
      {"{\"$push\": {\"a\": {\"$each\": [1]}}}", MSI_CLASS_RELATIVE},
      {"{\"$push\": {\"a\": {\"$each\": [1], \"$position\": 0}}}", MSI_CLASS_MOVING},
      {"{\"$push\": {\"a\": {\"$each\": [1], \"$slice\": 5}}}", MSI_CLASS_MOVING},
      {"{\"$push\": {\"a\": {\"$each\": [1], \"$sort\": 1}}}", MSI_CLASS_MOVING},
      {"{\"$pop\": {\"a\": 1}}", MSI_CLASS_MOVING},
      {"{\"$pull\": {\"a\": 1}}", MSI_CLASS_MOVING},
      {"{\"$pullAll\": {\"a\": [1]}}", MSI_CLASS_MOVING},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    ms_update *update = mst_update(cases[i].update);
    assert_int_equal(update->ops[0].class_, cases[i].wanted);
    ms_update_release(update);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_mul_multiplies_numbers_of_either_type),
      cmocka_unit_test(test_mul_of_a_missing_field_is_a_zero_of_its_type),
      cmocka_unit_test(test_arithmetic_refuses_what_is_no_number),
      cmocka_unit_test(test_min_and_max_compare_across_types),
      cmocka_unit_test(test_bit_works_on_64_bits),
      cmocka_unit_test(test_bit_takes_integers_only),
      cmocka_unit_test(test_current_date_is_the_wall_time_of_the_patch),
      cmocka_unit_test(test_set_on_insert_does_nothing_but_overlap),
      cmocka_unit_test(test_rename_moves_a_value),
      cmocka_unit_test(test_rename_of_what_is_missing_does_nothing),
      cmocka_unit_test(test_rename_onto_an_equal_number_keeps_its_type),
      cmocka_unit_test(test_rename_goes_neither_from_nor_into_arrays),
      cmocka_unit_test(test_rename_needs_two_paths_apart),
      cmocka_unit_test(test_rename_is_two_operations),
      cmocka_unit_test(test_rename_may_not_go_too_deep),
      cmocka_unit_test(test_operators_have_classes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
