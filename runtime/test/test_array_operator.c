/* Operators on arrays: $push with its modifiers, $addToSet, $pop, $pull, $pullAll, and insertion and
 * removal by index. */
#include "update_support.h"

/* {"a": [0, 1, ... count - 1]} */
static const ms_value *numbered(int count) {
  const ms_value *list, *root, *number;
  assert_int_equal(ms_value_new_array(NULL, &list), MS_OK);
  for (int i = 0; i < count; i++) {
    assert_int_equal(ms_value_new_int(NULL, i, &number), MS_OK);
    assert_int_equal(ms_value_append(NULL, &list, number), MS_OK);
  }
  assert_int_equal(ms_value_new_object(NULL, &root), MS_OK);
  assert_int_equal(ms_value_put(NULL, &root, "a", 1, list), MS_OK);
  ms_value_release(list);
  return root;
}

static int64_t int_at(const ms_value *list, size_t index) {
  int64_t number = -1;
  assert_int_equal(ms_value_to_int(ms_value_at(list, index), &number), MS_OK);
  return number;
}

/* --------------------------------------------------------------------- $push */

static void assert_push(const char *array, const char *modifiers, const char *wanted) {
  char document[512], update[512], result[512];
  snprintf(document, sizeof document, "{\"a\": %s}", array);
  snprintf(update, sizeof update, "{\"$push\": {\"a\": %s}}", modifiers);
  snprintf(result, sizeof result, "{\"a\": %s}", wanted);
  mst_assert_update(document, update, result);
}

static void test_push_inserts_at_a_position(void **state) {
  (void)state;
  const struct {
    int position;
    const char *wanted;
  } cases[] = {
      {0, "[8, 9, 1, 2, 3]"},  {1, "[1, 8, 9, 2, 3]"},  {3, "[1, 2, 3, 8, 9]"},
      {7, "[1, 2, 3, 8, 9]"},  {-1, "[1, 2, 8, 9, 3]"}, {-2, "[1, 8, 9, 2, 3]"},
      {-3, "[8, 9, 1, 2, 3]"}, {-7, "[8, 9, 1, 2, 3]"},
  };
  for (size_t i = 0; i < 8; i++) {
    char text[128];
    snprintf(text, sizeof text, "{\"$each\": [8, 9], \"$position\": %d}",
             cases[i].position);
    assert_push("[1, 2, 3]", text, cases[i].wanted);
    assert_push("[]", text, "[8, 9]");
    assert_push("{\"$empty\": true}", text, "[8, 9]");
  }
  assert_push("[1]", "{\"$each\": [2], \"$position\": 9223372036854775807}", "[1, 2]");
  assert_push("[1]", "{\"$each\": [2], \"$position\": -9223372036854775808}", "[2, 1]");
  assert_push("[1]", "{\"$each\": [2], \"$position\": 0.0}", "[2, 1]");
  assert_push("[1]", "{\"$each\": [], \"$position\": 0}", "[1]");
  mst_assert_update("{}", "{\"$push\": {\"a\": {\"$each\": [1], \"$position\": 5}}}",
                    "{\"a\": [1]}");
}

static void test_push_slices_from_either_end(void **state) {
  (void)state;
  const struct {
    const char *slice, *wanted;
  } cases[] = {
      {"0", "[]"},
      {"2", "[1, 2]"},
      {"4", "[1, 2, 3, 4]"},
      {"9", "[1, 2, 3, 4]"},
      {"-1", "[4]"},
      {"-3", "[2, 3, 4]"},
      {"-9", "[1, 2, 3, 4]"},
      {"-9223372036854775808", "[1, 2, 3, 4]"},
      {"2.0", "[1, 2]"},
  };
  for (size_t i = 0; i < 9; i++) {
    char text[128];
    snprintf(text, sizeof text, "{\"$each\": [4], \"$slice\": %s}", cases[i].slice);
    assert_push("[1, 2, 3]", text, cases[i].wanted);
  }
  assert_push("[1, 2]", "{\"$each\": [], \"$slice\": 0}", "[]");
  assert_push("[1, 2]", "{\"$each\": [], \"$slice\": -1}", "[2]");
  mst_assert_update("{}", "{\"$push\": {\"a\": {\"$each\": [1], \"$slice\": 0}}}",
                    "{\"a\": []}");
}

static void test_push_slices_long_arrays(void **state) {
  (void)state;
  const ms_value *root = numbered(500);
  for (int slice = -600; slice <= 600; slice += 60) {
    const ms_value *result = NULL;
    char text[128];
    snprintf(text, sizeof text,
             "{\"$push\": {\"a\": {\"$each\": [500], \"$slice\": %d}}}", slice);
    ms_update *update = mst_update(text);
    assert_int_equal(ms_update_apply(update, root, 0, &result, NULL), MS_OK);
    assert_true(msi_value_check(result));
    const ms_value *found = ms_value_get(result, "a", 1);
    int kept = abs(slice) > 501 ? 501 : abs(slice), first = slice < 0 ? 501 - kept : 0;
    assert_int_equal(ms_value_count(found), kept);
    for (int i = 0; i < kept; i++) assert_int_equal(int_at(found, (size_t)i), first + i);
    ms_update_release(update);
    ms_value_release(result);
  }
  ms_value_release(root);
}

static void test_push_sorts_whole_elements(void **state) {
  (void)state;
  assert_push("[3, 1]", "{\"$each\": [2], \"$sort\": 1}", "[1, 2, 3]");
  assert_push("[3, 1]", "{\"$each\": [2], \"$sort\": -1.0}", "[3, 2, 1]");
  assert_push("[true, \"b\", {\"x\": 1}, [0]]",
              "{\"$each\": [null, 2.5, \"a\"], \"$sort\": -1}",
              "[true, [0], {\"x\": 1}, \"b\", \"a\", 2.5, null]");
  assert_push("[2, 1]", "{\"$each\": [], \"$sort\": 1}", "[1, 2]");
  assert_push("[1, 2]", "{\"$each\": [], \"$sort\": 1}", "[1, 2]");
  assert_push("[3, 1]", "{\"$each\": [2], \"$sort\": 1, \"$slice\": 2, \"$position\": 0}",
              "[1, 2]");
  assert_push("[1, 1.0]", "{\"$each\": [1], \"$sort\": 1}", "[1, 1.0, 1]");
}

static void test_push_sorts_by_fields(void **state) {
  (void)state;
  assert_push("[{\"s\": 3}, {\"s\": 1}]",
              "{\"$each\": [{\"s\": 2}], \"$sort\": {\"s\": -1}}",
              "[{\"s\": 3}, {\"s\": 2}, {\"s\": 1}]");
  /* What is missing counts as null, and what is no object has no fields. */
  assert_push("[{\"s\": 1}, 7, {}, [{\"s\": 0}], {\"s\": null}]",
              "{\"$each\": [], \"$sort\": {\"s\": 1}}",
              "[7, {}, [{\"s\": 0}], {\"s\": null}, {\"s\": 1}]");
  assert_push("[{\"a\": {\"b\": 2}}, {\"a\": {\"b\": 1}}, {\"a.b\": 0}]",
              "{\"$each\": [], \"$sort\": {\"a.b\": 1}}",
              "[{\"a.b\": 0}, {\"a\": {\"b\": 1}}, {\"a\": {\"b\": 2}}]");
  assert_push("[{\"a\": [2, 0]}, {\"a\": [1, 9]}]",
              "{\"$each\": [], \"$sort\": {\"a.0\": 1}}",
              "[{\"a\": [1, 9]}, {\"a\": [2, 0]}]");
  assert_push("[{\"a\": 1}, {\"a\": {}}]", "{\"$each\": [], \"$sort\": {\"a.b.c\": 1}}",
              "[{\"a\": 1}, {\"a\": {}}]");
  /* Fields in the order of their bytes. */
  assert_push("[{\"a\": 2, \"b\": 1}, {\"a\": 1, \"b\": 1}, {\"a\": 1, \"b\": 2}]",
              "{\"$each\": [], \"$sort\": {\"b\": -1, \"a\": 1}}",
              "[{\"a\": 1, \"b\": 2}, {\"a\": 1, \"b\": 1}, {\"a\": 2, \"b\": 1}]");
}

static void test_push_refuses_malformed_modifiers(void **state) {
  (void)state;
  char update[128];
  const char *const sorts[] = {"0",
                               "2",
                               "\"1\"",
                               "{}",
                               "null",
                               "[1]",
                               "{\"a\": 2}",
                               "{\"a\": \"1\"}",
                               "{\"\": 1}",
                               "{\"a.\": 1}",
                               "{\"a..b\": 1}",
                               "{\".a\": 1}",
                               "{\"$empty\": true}",
                               "true",
                               "1.5"};
  for (size_t i = 0; i < sizeof sorts / sizeof sorts[0]; i++) {
    snprintf(update, sizeof update,
             "{\"$push\": {\"a\": {\"$each\": [1], \"$sort\": %s}}}", sorts[i]);
    mst_assert_refused(NULL, update, MS_EARGUMENT,
                       "$push: \"a\" needs 1, -1 or {path: 1 or -1, ...} for $sort");
  }
  const char *const numbers[] = {"1.5",   "\"1\"", "null",
                                 "1e300", "[]",    "{\"$numberDouble\": \"NaN\"}"};
  for (size_t i = 0; i < 6; i++) {
    snprintf(update, sizeof update,
             "{\"$push\": {\"a\": {\"$each\": [1], \"$slice\": %s}}}", numbers[i]);
    mst_assert_refused(NULL, update, MS_EARGUMENT,
                       "$push: \"a\" needs a whole number for $slice");
    snprintf(update, sizeof update,
             "{\"$push\": {\"a\": {\"$each\": [1], \"$position\": %s}}}", numbers[i]);
    mst_assert_refused(NULL, update, MS_EARGUMENT,
                       "$push: \"a\" needs a whole number for $position");
  }
  mst_assert_refused("{\"a\": 5}", "{\"$push\": {\"a\": {\"$each\": [], \"$slice\": 1}}}",
                     MS_ETYPE, "$push: \"a\" holds an integer, not an array");
  mst_assert_refused("{\"a\": {}}", "{\"$push\": {\"a\": {\"$each\": [], \"$sort\": 1}}}",
                     MS_ETYPE, "$push: \"a\" holds an object, not an array");
}

/* ----------------------------------------------------------------- $addToSet */

static void test_add_to_set_adds_what_is_not_there(void **state) {
  (void)state;
  mst_assert_update("{\"a\": [1, 2]}", "{\"$addToSet\": {\"a\": 3}}",
                    "{\"a\": [1, 2, 3]}");
  mst_assert_update("{\"a\": [1, 2]}", "{\"$addToSet\": {\"a\": 2.0}}",
                    "{\"a\": [1, 2]}");
  mst_assert_update("{\"a\": [{\"x\": 1, \"y\": 2}]}",
                    "{\"$addToSet\": {\"a\": {\"y\": 2.0, \"x\": 1}}}",
                    "{\"a\": [{\"x\": 1, \"y\": 2}]}");
  mst_assert_update("{\"a\": [3, 3]}",
                    "{\"$addToSet\": {\"a\": {\"$each\": [5, 3, 4, 5.0, 4, null]}}}",
                    "{\"a\": [3, 3, 5, 4, null]}");
  mst_assert_update("{}", "{\"$addToSet\": {\"a.b\": {\"$each\": [1, 1, 2]}}}",
                    "{\"a\": {\"b\": [1, 2]}}");
  mst_assert_update("{\"a\": {\"$empty\": true}}", "{\"$addToSet\": {\"a\": [1]}}",
                    "{\"a\": [[1]]}");
  mst_assert_update("{\"a\": [1]}", "{\"$addToSet\": {\"a\": {\"$each\": []}}}",
                    "{\"a\": [1]}");
  mst_assert_update("{}", "{\"$addToSet\": {\"a\": {\"$each\": {\"$empty\": true}}}}",
                    "{\"a\": []}");
  mst_assert_update("{\"a\": []}", "{\"$addToSet\": {\"a\": {\"$other\": [1]}}}",
                    "{\"a\": [{\"$other\": [1]}]}");
}

static void test_add_to_set_refuses_what_is_no_array(void **state) {
  (void)state;
  mst_assert_refused("{\"a\": {}}", "{\"$addToSet\": {\"a\": 1}}", MS_ETYPE,
                     "$addToSet: \"a\" holds an object, not an array");
  mst_assert_refused("{\"a\": 1}", "{\"$addToSet\": {\"a\": {\"$each\": []}}}", MS_ETYPE,
                     "$addToSet: \"a\" holds an integer, not an array");
  mst_assert_refused(NULL, "{\"$addToSet\": {\"a\": {\"$each\": 1}}}", MS_EARGUMENT,
                     "$addToSet: \"a\" needs an array for $each, not an integer");
  mst_assert_refused(NULL, "{\"$addToSet\": {\"a\": {\"$each\": [1], \"x\": 1}}}",
                     MS_EARGUMENT, "$addToSet: \"a\" needs nothing beside $each");
}

/* ---------------------------------------------------------------- $pop, $pull */

static void test_pop_takes_from_either_end(void **state) {
  (void)state;
  mst_assert_update("{\"a\": [1, 2, 3]}", "{\"$pop\": {\"a\": 1}}", "{\"a\": [1, 2]}");
  mst_assert_update("{\"a\": [1, 2, 3]}", "{\"$pop\": {\"a\": -1.0}}", "{\"a\": [2, 3]}");
  mst_assert_update("{\"a\": [1]}", "{\"$pop\": {\"a\": 1}}", "{\"a\": []}");
  const char *const untouched[] = {"{\"a\": []}", "{\"b\": 1}",
                                   "{\"a\": {\"$empty\": true}}"};
  for (size_t i = 0; i < 3; i++) {
    mst_assert_update(untouched[i], "{\"$pop\": {\"a\": 1}}", untouched[i]);
  }
  mst_assert_update("{\"a\": {}}", "{\"$pop\": {\"a.b.c\": 1}}", "{\"a\": {}}");
  mst_assert_refused("{\"a\": 1}", "{\"$pop\": {\"a\": 1}}", MS_ETYPE,
                     "$pop: \"a\" holds an integer, not an array");
  mst_assert_refused("{\"a\": 1}", "{\"$pop\": {\"a.b\": 1}}", MS_EPATH,
                     "$pop: \"a.b\": \"a\" holds an integer");
  mst_assert_refused(NULL, "{\"$pop\": {\"a\": 0}}", MS_EARGUMENT,
                     "$pop: \"a\" needs 1 or -1");
  mst_assert_refused(NULL, "{\"$pop\": {\"a\": \"1\"}}", MS_EARGUMENT,
                     "$pop: \"a\" needs 1 or -1");
}

static void test_pull_removes_what_matches(void **state) {
  (void)state;
  mst_assert_update("{\"a\": [1, 2, 1.0, [1], \"1\"]}", "{\"$pull\": {\"a\": 1}}",
                    "{\"a\": [2, [1], \"1\"]}");
  mst_assert_update("{\"a\": [1, 5, [9], \"x\", null]}",
                    "{\"$pull\": {\"a\": {\"$gte\": 5}}}", "{\"a\": [1, \"x\", null]}");
  mst_assert_update("{\"a\": [{\"x\": {\"y\": 1}}, {\"x\": [{\"y\": 1}]}, {\"x\": 1}]}",
                    "{\"$pull\": {\"a\": {\"x.y\": 1}}}", "{\"a\": [{\"x\": 1}]}");
  mst_assert_update("{\"a\": [[], [1], {}]}", "{\"$pull\": {\"a\": []}}",
                    "{\"a\": [[1], {}]}");
  mst_assert_update("{\"a\": [1]}", "{\"$pull\": {\"a\": 2}}", "{\"a\": [1]}");
  mst_assert_update("{\"a\": {\"$empty\": true}}", "{\"$pull\": {\"a\": 2}}",
                    "{\"a\": {\"$empty\": true}}");
  mst_assert_update("{}", "{\"$pull\": {\"a.b\": 2}}", "{}");
  mst_assert_update("{\"a\": [1, 2, 2, 3]}", "{\"$pullAll\": {\"a\": [2, 3.0, 9]}}",
                    "{\"a\": [1]}");
  mst_assert_update("{\"a\": [1]}", "{\"$pullAll\": {\"a\": {\"$empty\": true}}}",
                    "{\"a\": [1]}");
}

static void test_pull_removes_many_from_long_arrays(void **state) {
  (void)state;
  const ms_value *root = numbered(3000), *result = NULL;
  ms_update *update = mst_update("{\"$pull\": {\"a\": {\"$not\": {\"$mod\": [3, 1]},"
                                 " \"$gte\": 30}}}");
  assert_int_equal(ms_update_apply(update, root, 0, &result, NULL), MS_OK);
  const ms_value *found = ms_value_get(result, "a", 1);
  assert_true(msi_value_check(result));
  assert_int_equal(ms_value_count(found), 30 + 990);
  for (size_t i = 30; i < ms_value_count(found); i++) {
    assert_int_equal(int_at(found, i), 31 + 3 * (i - 30));
  }
  ms_update_release(update);
  ms_value_release(result);
  ms_value_release(root);
}

static void test_pull_refuses_malformed_queries(void **state) {
  (void)state;
  mst_assert_refused(NULL, "{\"$pull\": {\"l.m\": {\"$in\": 1}}}", MS_EARGUMENT,
                     "$pull: \"l.m\": $in: needs an array, not an integer");
  mst_assert_refused(NULL, "{\"$pull\": {\"l\": {\"x\": {\"$size\": -1}}}}", MS_EARGUMENT,
                     "$pull: \"l\": $size: needs a whole number that is not negative");
  mst_assert_refused(NULL, "{\"$pull\": {\"l\": {\"$foo\": 1}}}", MS_EARGUMENT,
                     "$pull: \"l\": unknown query operator \"$foo\"");
  mst_assert_refused("{\"l\": 5}", "{\"$pull\": {\"l\": 1}}", MS_ETYPE,
                     "$pull: \"l\" holds an integer, not an array");
  mst_assert_refused("{\"l\": null}", "{\"$pullAll\": {\"l\": [1]}}", MS_ETYPE,
                     "$pullAll: \"l\" holds null, not an array");
  mst_assert_refused(NULL, "{\"$pullAll\": {\"l\": 1}}", MS_EARGUMENT,
                     "$pullAll: \"l\" needs an array of values, not an integer");
}

/* ----------------------------------------------------- our own, and assignments */

static void assert_made(const char *document, ms_status st, ms_update *update,
                        const char *wanted) {
  const ms_value *result = NULL;
  ms_error error = {MS_OK, ""};
  assert_int_equal(st, MS_OK);
  mst_assert_decodes(update);
  if (mst_apply(document, update, &result, &error) != MS_OK)
    fail_msg("%s", error.message);
  mst_assert_json(result, wanted);
  ms_value_release(result);
  ms_update_release(update);
}

static void assert_made_refused(const char *document, ms_status st, ms_update *update,
                                ms_status wanted, const char *message) {
  const ms_value *result = NULL;
  ms_error error = {MS_OK, ""};
  assert_int_equal(st, MS_OK);
  assert_int_equal(mst_apply(document, update, &result, &error), wanted);
  assert_string_equal(error.message, message);
  ms_update_release(update);
}

static void test_insert_puts_one_element_at_an_index(void **state) {
  (void)state;
  ms_path *path = mst_path("p.list");
  const ms_value *element = mst_json("{\"$each\": [1]}");
  const char *document = "{\"p\": {\"list\": [1, 2]}}";
  const char *const wanted[] = {"{\"p\": {\"list\": [{\"$each\": [1]}, 1, 2]}}",
                                "{\"p\": {\"list\": [1, {\"$each\": [1]}, 2]}}",
                                "{\"p\": {\"list\": [1, 2, {\"$each\": [1]}]}}"};
  ms_update *update = NULL;
  for (size_t i = 0; i < 3; i++) {
    ms_status st = msi_update_insert(NULL, path, i == 2 ? SIZE_MAX : i, element, MS_ARRAY,
                                     &update, NULL);
    assert_int_equal(update->ops[1].class_, MSI_CLASS_MOVING);
    assert_made(document, st, update, wanted[i]);
  }
  ms_status st = msi_update_insert(NULL, path, 0, element, MS_ARRAY, &update, NULL);
  assert_made_refused("{\"p\": {}}", st, update, MS_EPATH, "\"p.list\" is gone");
  st = msi_update_insert(NULL, path, 0, element, MS_NULL, &update, NULL);
  assert_made("{}", st, update, "{\"p\": {\"list\": [{\"$each\": [1]}]}}");
  ms_value_release(element);
  ms_path_release(path);
}

static void test_remove_takes_one_element_that_must_be_there(void **state) {
  (void)state;
  ms_path *path = mst_path("list");
  ms_update *update = NULL;
  ms_status st = msi_update_remove(NULL, path, 1, &update, NULL);
  assert_int_equal(update->ops[1].class_, MSI_CLASS_MOVING);
  assert_made("{\"list\": [1, 2, 3]}", st, update, "{\"list\": [1, 3]}");
  st = msi_update_remove(NULL, path, 3, &update, NULL);
  assert_made_refused("{\"list\": [1, 2, 3]}", st, update, MS_EPATH,
                      "remove: \"list\" has no element 3");
  st = msi_update_remove(NULL, path, 0, &update, NULL);
  assert_made_refused("{\"list\": {\"$empty\": true}}", st, update, MS_EPATH,
                      "remove: \"list\" has no element 0");
  st = msi_update_remove(NULL, path, 0, &update, NULL);
  assert_made_refused("{}", st, update, MS_EPATH, "\"list\" is gone");
  st = msi_update_remove(NULL, path, 0, &update, NULL);
  assert_made_refused("{\"list\": {\"a\": 1}}", st, update, MS_EPATH,
                      "\"list\" holds an object, not an array");
  ms_path_release(path);
}

static void test_assigned_operators_ask_for_the_parent(void **state) {
  (void)state;
  ms_path *path = mst_path("p.list");
  const ms_value *one = mst_json("1");
  ms_update *update = NULL;
  ms_status st =
      msi_update_assign(NULL, MSI_CODE_PUSH, path, one, MS_OBJECT, &update, NULL);
  assert_made("{\"p\": {}}", st, update, "{\"p\": {\"list\": [1]}}");
  st = msi_update_assign(NULL, MSI_CODE_PUSH, path, one, MS_OBJECT, &update, NULL);
  assert_made_refused("{}", st, update, MS_EPATH, "\"p\" is gone");
  st = msi_update_assign(NULL, MSI_CODE_ADD_TO_SET, path, one, MS_OBJECT, &update, NULL);
  assert_made("{\"p\": {\"list\": [1]}}", st, update, "{\"p\": {\"list\": [1]}}");
  st = msi_update_single(NULL, MSI_CODE_POP, path, one, MS_ARRAY, &update, NULL);
  assert_made("{\"p\": {\"list\": [1]}}", st, update, "{\"p\": {\"list\": []}}");
  st = msi_update_single(NULL, MSI_CODE_CURRENT_DATE, path, NULL, MS_OBJECT, &update,
                         NULL);
  assert_made("{\"p\": {}}", st, update, "{\"p\": {\"list\": 1000}}");
  st = msi_update_single(NULL, MSI_CODE_PULL, path, one, MS_OBJECT, &update, NULL);
  assert_made("{\"p\": {\"list\": [2, 1]}}", st, update, "{\"p\": {\"list\": [2]}}");
  ms_error error;
  update = NULL;
  assert_int_equal(
      msi_update_single(NULL, MSI_CODE_RENAME, path, one, MS_OBJECT, &update, &error),
      MS_EARGUMENT);
  assert_int_equal(
      msi_update_assign(NULL, MSI_CODE_RENAME_TO, path, one, MS_OBJECT, &update, &error),
      MS_EARGUMENT);
  assert_null(update);
  ms_value_release(one);
  ms_path_release(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_push_inserts_at_a_position),
      cmocka_unit_test(test_push_slices_from_either_end),
      cmocka_unit_test(test_push_slices_long_arrays),
      cmocka_unit_test(test_push_sorts_whole_elements),
      cmocka_unit_test(test_push_sorts_by_fields),
      cmocka_unit_test(test_push_refuses_malformed_modifiers),
      cmocka_unit_test(test_add_to_set_adds_what_is_not_there),
      cmocka_unit_test(test_add_to_set_refuses_what_is_no_array),
      cmocka_unit_test(test_pop_takes_from_either_end),
      cmocka_unit_test(test_pull_removes_what_matches),
      cmocka_unit_test(test_pull_removes_many_from_long_arrays),
      cmocka_unit_test(test_pull_refuses_malformed_queries),
      cmocka_unit_test(test_insert_puts_one_element_at_an_index),
      cmocka_unit_test(test_remove_takes_one_element_that_must_be_there),
      cmocka_unit_test(test_assigned_operators_ask_for_the_parent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
