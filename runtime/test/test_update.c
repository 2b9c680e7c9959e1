/* Compiled updates: parsing, applying, guards, wire form, limits, allocation failure. */
#include <float.h>
#include <math.h>

#include "update_support.h"

static const msi_apply context = {NULL, 0, 0};

static void assert_parse_refused(const char *json, ms_status wanted,
                                 const char *message) {
  const ms_value *document = mst_json(json);
  ms_update *update = NULL;
  ms_error error = {MS_OK, ""};
  assert_int_equal(ms_update_parse(NULL, document, NULL, &update, &error), wanted);
  assert_null(update);
  assert_int_equal(error.status, wanted);
  assert_string_equal(error.message, message);
  ms_value_release(document);
}

static ms_update *single(msi_code code, const char *text, const char *json,
                         ms_type container) {
  ms_path *path = mst_path(text);
  const ms_value *operand = json == NULL ? NULL : mst_json(json);
  ms_update *update = NULL;
  ms_error error = {MS_OK, ""};
  if (msi_update_single(NULL, code, path, operand, container, &update, &error) != MS_OK) {
    fail_msg("%s: %s", text, error.message);
  }
  ms_value_release(operand);
  ms_path_release(path);
  return update;
}

static void assert_single(const char *document, ms_update *update, const char *wanted) {
  const ms_value *result = NULL;
  ms_error error = {MS_OK, ""};
  if (mst_apply(document, update, &result, &error) != MS_OK)
    fail_msg("%s", error.message);
  mst_assert_json(result, wanted);
  ms_value_release(result);
  ms_update_release(update);
}

static void assert_single_refused(const char *document, ms_update *update,
                                  const char *message) {
  const ms_value *result = NULL;
  ms_error error = {MS_OK, ""};
  assert_int_equal(mst_apply(document, update, &result, &error), MS_EPATH);
  assert_string_equal(error.message, message);
  ms_update_release(update);
}

/* ------------------------------------------------------------------ parsing */

static void test_update_that_is_malformed_says_what_is_wrong(void **state) {
  (void)state;
  assert_parse_refused("{\"$frob\": {\"a\": 1}}", MS_EOPERATOR,
                       "unknown operator \"$frob\"");
  assert_parse_refused("{\"$remove\": {\"a\": 1}}", MS_EOPERATOR,
                       "unknown operator \"$remove\"");
  assert_parse_refused("{\"a\": 1}", MS_EOPERATOR,
                       "\"a\" is no operator; use {\"$set\": {...}}");
  assert_parse_refused("{\"$inc\": 5}", MS_EARGUMENT,
                       "$inc: needs an object of paths, not an integer");
  assert_parse_refused("7", MS_EARGUMENT,
                       "an update is an object of operators, not an integer");
  assert_parse_refused("[[]]", MS_EARGUMENT,
                       "an update is an object of operators, not an array");
  assert_parse_refused("{\"$set\": {\"\": 1}}", MS_EPATH, "$set: the path is empty");
  assert_parse_refused("{\"$set\": {\"a..b\": 1}}", MS_EPATH,
                       "\"a..b\" has an empty key");
  assert_parse_refused("{\"$inc\": {\"a\": \"x\"}}", MS_EARGUMENT,
                       "$inc: \"a\" needs a number, not a string");
  assert_parse_refused(
      "{\"$push\": {\"a\": {\"$each\": [1], \"$slices\": 1}}}", MS_EARGUMENT,
      "$push: \"a\" needs nothing but $position, $slice and $sort beside $each");
  assert_parse_refused("{\"$push\": {\"a\": {\"$each\": 5}}}", MS_EARGUMENT,
                       "$push: \"a\" needs an array for $each, not an integer");
}

static void test_update_paths_that_overlap_are_refused(void **state) {
  (void)state;
  assert_parse_refused("{\"$set\": {\"a.b\": 1}, \"$inc\": {\"a\": 1}}", MS_EOVERLAP,
                       "\"a\" and \"a.b\" overlap");
  assert_parse_refused("{\"$set\": {\"a.b\": 1}, \"$inc\": {\"a.b\": 1}}", MS_EOVERLAP,
                       "\"a.b\" and \"a.b\" overlap");
  assert_parse_refused(
      "{\"$set\": {\"a.b.c.d\": 1, \"a.b\": 2, \"a.a\": 3, \"a.c\": 4, \"a.b0\": 5}}",
      MS_EOVERLAP, "\"a.b\" and \"a.b.c.d\" overlap");
  ms_update_release(mst_update("{\"$set\": {\"a.b\": 1, \"a.bc\": 2, \"ab\": 3}}"));
  ms_update_release(mst_update("[{\"$set\": {\"a\": 1}}, {\"$set\": {\"a\": 2}}]"));
}

static void test_update_operations_stand_in_the_order_of_their_paths(void **state) {
  (void)state;
  ms_update *update = mst_update("{\"$set\": {\"a.10\": 1, \"b\": 2, \"a.9\": 3}, "
                                 "\"$inc\": {\"a.b\": 1, \"a.100\": 1},"
                                 " \"$unset\": {\"a.1\": 1}}");
  const char *const wanted[] = {"a.1", "a.9", "a.10", "a.100", "a.b", "b"};
  assert_int_equal(update->op_count, 6);
  for (size_t i = 0; i < 6; i++) {
    ms_path *path = mst_path(wanted[i]);
    assert_true(msi_path_equal(path, update->ops[i].path));
    ms_path_release(path);
  }
  assert_int_equal(update->ops[0].class_, MSI_CLASS_ABSOLUTE);
  assert_int_equal(update->ops[3].class_, MSI_CLASS_RELATIVE);
  ms_update_release(update);
}

static void test_update_of_several_documents_applies_them_in_order(void **state) {
  (void)state;
  mst_assert_update(
      "{\"a\": 1}",
      "[{\"$set\": {\"a\": 5}}, {\"$inc\": {\"a\": 2}}, {\"$set\": {\"b.c\": 1}},"
      " {\"$unset\": {\"b.c\": 1}}, {\"$push\": {\"l\": 1}}, {\"$push\": {\"l\": 2}}]",
      "{\"a\": 7, \"b\": {}, \"l\": [1, 2]}");
  mst_assert_update("{\"a\": 1}", "[]", "{\"a\": 1}");
  mst_assert_update("{\"a\": 1}", "{}", "{\"a\": 1}");
  mst_assert_update("{\"a\": 1}", "{\"$empty\": true}", "{\"a\": 1}");
  mst_assert_update("{\"a\": 1}", "{\"$set\": {\"$empty\": true}}", "{\"a\": 1}");
}

/* ----------------------------------------------------------------- applying */

static void test_set_creates_missing_parents_as_objects(void **state) {
  (void)state;
  mst_assert_update("{}", "{\"$set\": {\"a.0.b\": 1}}", "{\"a\": {\"0\": {\"b\": 1}}}");
  mst_assert_update("{\"a\": [1]}", "{\"$set\": {\"a.2.b\": 1}}",
                    "{\"a\": [1, null, {\"b\": 1}]}");
}

static void test_set_pads_arrays_up_to_the_limit(void **state) {
  (void)state;
  ms_update *update = mst_update("{\"$set\": {\"a.1500000\": 7}}");
  const ms_value *result = NULL;
  assert_int_equal(mst_apply("{\"a\": []}", update, &result, NULL), MS_OK);
  const ms_value *list = ms_value_get(result, "a", 1);
  assert_int_equal(ms_value_count(list), 1500001);
  assert_int_equal(ms_value_type(ms_value_at(list, 1499999)), MS_NULL);
  assert_int_equal(ms_value_type(ms_value_at(list, 1500000)), MS_INT);
  ms_value_release(result);
  ms_update_release(update);
  mst_assert_refused("{\"a\": []}", "{\"$set\": {\"a.1500001\": 7}}", MS_EPATH,
                     "\"a.1500001\" is more than 1500000 nulls beyond the end");
  mst_assert_refused("{\"a\": [], \"b\": []}",
                     "{\"$set\": {\"a.1000000.x\": 7, \"b.1000000\": 1}}", MS_EPATH,
                     "\"b.1000000\" is more than 1500000 nulls beyond the end");
  mst_assert_refused(
      "{\"a\": []}", "{\"$set\": {\"a.9223372036854775807\": 7}}", MS_EPATH,
      "\"a.9223372036854775807\" is more than 1500000 nulls beyond the end");
}

static void test_blocked_paths_name_what_is_in_the_way(void **state) {
  (void)state;
  mst_assert_refused("{\"a\": {\"b\": false}}", "{\"$set\": {\"a.b.c.d\": 1}}", MS_EPATH,
                     "$set: \"a.b.c.d\": \"a.b\" holds a boolean");
  mst_assert_refused("{\"a\": null}", "{\"$push\": {\"a.b\": 1}}", MS_EPATH,
                     "$push: \"a.b\": \"a\" holds null");
  mst_assert_refused("{\"a\": [1]}", "{\"$inc\": {\"a.b\": 1}}", MS_EPATH,
                     "$inc: \"a\" holds an array and \"b\" is no index");
  mst_assert_refused("{\"a\": [1]}", "{\"$set\": {\"a.01\": 1}}", MS_EPATH,
                     "$set: \"a\" holds an array and \"01\" is no index");
}

static void test_unset_ignores_what_is_absent_or_blocked(void **state) {
  (void)state;
  const char *const paths[] = {"x", "a.x", "a.b.c.d", "l.b", "l.7", "l.0.x", "e.0"};
  const ms_value *root =
      mst_json("{\"a\": {\"b\": 1}, \"l\": [1, null], \"e\": {\"$empty\": true}}");
  for (size_t i = 0; i < 7; i++) {
    ms_update *update = single(MSI_CODE_UNSET, paths[i], NULL, MS_NULL);
    const ms_value *result = NULL;
    assert_int_equal(msi_update_apply(&context, update, root, &result, NULL, NULL),
                     MS_OK);
    assert_ptr_equal(result, root);
    ms_value_release(result);
    ms_update_release(update);
  }
  ms_value_release(root);
  mst_assert_update("{\"l\": [1, 2]}", "{\"$unset\": {\"l.0\": 1}}",
                    "{\"l\": [null, 2]}");
}

static void test_inc_keeps_integers_exact_and_refuses_overflow(void **state) {
  (void)state;
  mst_assert_update("{\"a\": 9223372036854775806}", "{\"$inc\": {\"a\": 1}}",
                    "{\"a\": 9223372036854775807}");
  mst_assert_update("{\"a\": -9223372036854775807}", "{\"$inc\": {\"a\": -1}}",
                    "{\"a\": -9223372036854775808}");
  mst_assert_update("{\"a\": 1}", "{\"$inc\": {\"a\": 0.5}}", "{\"a\": 1.5}");
  mst_assert_update("{\"a\": 1.5}", "{\"$inc\": {\"a\": 1}}", "{\"a\": 2.5}");
  mst_assert_update("{\"a\": 1}", "{\"$inc\": {\"a\": 0.0}}", "{\"a\": 1.0}");
  mst_assert_refused("{\"a\": 9223372036854775807}", "{\"$inc\": {\"a\": 1}}",
                     MS_EARGUMENT,
                     "$inc: \"a\" would leave the range of 64-bit integers");
  mst_assert_refused("{\"a\": {\"b\": -2}}",
                     "{\"$inc\": {\"a.b\": -9223372036854775807}}", MS_EARGUMENT,
                     "$inc: \"a.b\" would leave the range of 64-bit integers");
}

static void test_wrong_types_name_the_path_and_the_type(void **state) {
  (void)state;
  mst_assert_refused("{\"players\": {\"alice\": {\"name\": \"Alice\"}}}",
                     "{\"$inc\": {\"players.alice.name\": 1}}", MS_ETYPE,
                     "$inc: \"players.alice.name\" holds a string, not a number");
  mst_assert_refused("{\"a\": null}", "{\"$inc\": {\"a\": 1}}", MS_ETYPE,
                     "$inc: \"a\" holds null, not a number");
  mst_assert_refused("{\"a\": {\"b\": {}}}", "{\"$push\": {\"a.b\": 1}}", MS_ETYPE,
                     "$push: \"a.b\" holds an object, not an array");
}

static void test_empty_table_becomes_what_its_first_use_asks_for(void **state) {
  (void)state;
  const char *empty = "{\"t\": {\"$empty\": true}}";
  mst_assert_update(empty, "{\"$push\": {\"t\": 1}}", "{\"t\": [1]}");
  mst_assert_update(empty, "{\"$push\": {\"t\": {\"$each\": []}}}", "{\"t\": []}");
  mst_assert_update(empty, "{\"$set\": {\"t.x\": 1}}", "{\"t\": {\"x\": 1}}");
  mst_assert_update(empty, "{\"$set\": {\"t.0\": 1}}", "{\"t\": {\"0\": 1}}");
  mst_assert_update(empty, "{\"$inc\": {\"t.0.n\": 1}}", "{\"t\": {\"0\": {\"n\": 1}}}");
  mst_assert_update("{\"$empty\": true}", "{\"$set\": {\"a.b\": 1}}",
                    "{\"a\": {\"b\": 1}}");
  mst_assert_update("{}", "{\"$set\": {\"t\": {\"$empty\": true}}}", empty);
  assert_single(empty, single(MSI_CODE_SET, "t.0", "1", MS_ARRAY), "{\"t\": [1]}");
  assert_single(empty, single(MSI_CODE_SET, "t.2", "1", MS_ARRAY),
                "{\"t\": [null, null, 1]}");
  assert_single(empty, single(MSI_CODE_PUSH, "t", "1", MS_ARRAY), "{\"t\": [1]}");
  assert_single(empty, single(MSI_CODE_SET, "t.0", "1", MS_OBJECT),
                "{\"t\": {\"0\": 1}}");
  assert_single(empty, single(MSI_CODE_SET, "t.0", "1", MS_EMPTY), "{\"t\": {\"0\": 1}}");
  assert_single_refused(empty, single(MSI_CODE_SET, "t.x", "1", MS_ARRAY),
                        "$set: \"t\" holds an array and \"x\" is no index");
}

static void test_update_that_changes_nothing_gives_the_same_root(void **state) {
  (void)state;
  const char *const updates[] = {
      "{\"$set\": {\"a.b\": [1, {\"c\": \"x\"}]}}",
      "{\"$set\": {\"n\": 1, \"d\": 0.5}}",
      "{\"$inc\": {\"n\": 0, \"d\": 0}}",
      "{\"$push\": {\"a.b\": {\"$each\": []}}}",
      "{\"$unset\": {\"q\": 1, \"a.q\": 1, \"a.b.9\": 1}}",
      "[{\"$set\": {\"n\": 1}}, {\"$inc\": {\"n\": 0}}]",
  };
  const ms_value *root =
      mst_json("{\"a\": {\"b\": [1, {\"c\": \"x\"}]}, \"n\": 1, \"d\": 0.5}");
  for (size_t i = 0; i < 6; i++) {
    ms_update *update = mst_update(updates[i]);
    const ms_value *result = NULL;
    assert_int_equal(ms_update_apply(update, root, 0, &result, NULL), MS_OK);
    assert_ptr_equal(result, root);
    ms_value_release(result);
    ms_update_release(update);
  }
  ms_value_release(root);
}

static void test_update_applies_whole_or_not_at_all(void **state) {
  (void)state;
  const ms_value *root = mst_json("{\"a\": [1, 2], \"b\": {\"c\": 1}, \"z\": \"s\"}");
  ms_update *update = mst_update("[{\"$set\": {\"b.c\": 2, \"x.y\": 1}}, {\"$push\": "
                                 "{\"a\": 3}}, {\"$set\": {\"b.d\": 4}},"
                                 " {\"$unset\": {\"b.c\": 1}}, {\"$inc\": {\"z\": 1}}]");
  const ms_value *result = NULL;
  size_t failed_op = 0;
  ms_error error;
  assert_int_equal(msi_update_apply(&context, update, root, &result, &failed_op, &error),
                   MS_ETYPE);
  assert_null(result);
  assert_int_equal(failed_op, 5);
  mst_assert_json(root, "{\"a\": [1, 2], \"b\": {\"c\": 1}, \"z\": \"s\"}");
  ms_update_release(update);
  ms_value_release(root);
}

static void test_update_shares_what_it_does_not_touch(void **state) {
  (void)state;
  const ms_value *root = mst_json("{\"a\": {\"x\": [1]}, \"b\": {\"y\": [2]}}"),
                 *result = NULL;
  ms_update *update = mst_update("[{\"$set\": {\"a.z\": 1}}, {\"$set\": {\"a.w\": 1}}]");
  assert_int_equal(ms_update_apply(update, root, 0, &result, NULL), MS_OK);
  assert_ptr_equal(ms_value_get(result, "b", 1), ms_value_get(root, "b", 1));
  ms_path *path = mst_path("a.x");
  assert_ptr_equal(ms_path_find(path, result), ms_path_find(path, root));
  ms_path_release(path);
  mst_assert_json(result,
                  "{\"a\": {\"x\": [1], \"z\": 1, \"w\": 1}, \"b\": {\"y\": [2]}}");
  ms_value_release(result);
  ms_update_release(update);
  ms_value_release(root);
}

static void test_update_does_not_change_its_operands(void **state) {
  (void)state;
  ms_update *update =
      mst_update("[{\"$set\": {\"a\": {\"l\": [1]}}}, {\"$push\": {\"a.l\": 2}}, "
                 "{\"$set\": {\"a.x\": 1}},"
                 " {\"$push\": {\"p\": {\"$each\": [7]}}}, {\"$push\": {\"p\": 8}}]");
  for (int i = 0; i < 2; i++) {
    const ms_value *result = NULL;
    assert_int_equal(mst_apply("{}", update, &result, NULL), MS_OK);
    mst_assert_json(result, "{\"a\": {\"l\": [1, 2], \"x\": 1}, \"p\": [7, 8]}");
    ms_value_release(result);
  }
  ms_update_release(update);
}

/* ------------------------------------------------------------------- guards */

static void test_guard_refuses_a_container_that_is_gone_or_of_another_type(void **state) {
  (void)state;
  const char *document = "{\"players\": {\"bob\": {}}, \"list\": [1], \"n\": 5}";
  assert_single_refused(document, single(MSI_CODE_SET, "players.alice.hp", "5", MS_EMPTY),
                        "\"players.alice\" is gone");
  assert_single_refused(document,
                        single(MSI_CODE_UNSET, "players.alice.hp", NULL, MS_OBJECT),
                        "\"players.alice\" is gone");
  assert_single_refused(document, single(MSI_CODE_SET, "list.0", "5", MS_OBJECT),
                        "\"list\" holds an array, not an object");
  assert_single_refused(document, single(MSI_CODE_SET, "players.0", "5", MS_ARRAY),
                        "\"players\" holds an object, not an array");
  assert_single_refused(document, single(MSI_CODE_UNSET, "n.0", NULL, MS_EMPTY),
                        "\"n\" holds an integer, not a container");
  assert_single_refused(document, single(MSI_CODE_PUSH, "players.log", "5", MS_ARRAY),
                        "\"players.log\" is gone");
  assert_single_refused(document, single(MSI_CODE_PUSH, "players", "5", MS_ARRAY),
                        "\"players\" holds an object, not an array");
  assert_single_refused(document, single(MSI_CODE_SET, "0", "5", MS_ARRAY),
                        "the document is no array");
}

static void test_guard_lets_pass_what_it_asks_for(void **state) {
  (void)state;
  const char *document = "{\"p\": {}, \"l\": [1]}";
  assert_single(document, single(MSI_CODE_SET, "p.hp", "5", MS_OBJECT),
                "{\"p\": {\"hp\": 5}, \"l\": [1]}");
  assert_single(document, single(MSI_CODE_SET, "p.hp", "5", MS_EMPTY),
                "{\"p\": {\"hp\": 5}, \"l\": [1]}");
  assert_single(document, single(MSI_CODE_SET, "l.1", "5", MS_ARRAY),
                "{\"p\": {}, \"l\": [1, 5]}");
  assert_single(document, single(MSI_CODE_PUSH, "l", "5", MS_ARRAY),
                "{\"p\": {}, \"l\": [1, 5]}");
  assert_single(document, single(MSI_CODE_SET, "x", "5", MS_OBJECT),
                "{\"p\": {}, \"l\": [1], \"x\": 5}");
  assert_single(document, single(MSI_CODE_SET, "x", "5", MS_EMPTY),
                "{\"p\": {}, \"l\": [1], \"x\": 5}");
}

static void test_guard_counts_for_its_own_group_only(void **state) {
  (void)state;
  const ms_update *parts[] = {single(MSI_CODE_SET, "t.0", "1", MS_ARRAY),
                              single(MSI_CODE_UNSET, "t", NULL, MS_NULL),
                              single(MSI_CODE_SET, "t", "{\"$empty\": true}", MS_NULL),
                              single(MSI_CODE_SET, "t.0", "1", MS_NULL)};
  ms_update *all = NULL;
  assert_int_equal(msi_update_concat(NULL, parts, 4, &all), MS_OK);
  assert_int_equal(all->op_count, 5);
  assert_int_equal(all->group_count, 4);
  for (size_t i = 0; i < 4; i++) ms_update_release(parts[i]);
  assert_single("{\"t\": {\"$empty\": true}}", all, "{\"t\": {\"0\": 1}}");
}

/* ---------------------------------------------------------- single, replace */

static void test_single_push_appends_its_operand_as_one_element(void **state) {
  (void)state;
  assert_single("{}", single(MSI_CODE_PUSH, "a", "[1, 2]", MS_NULL), "{\"a\": [[1, 2]]}");
  assert_single("{\"a\": [0]}", single(MSI_CODE_PUSH, "a", "{\"$each\": [1]}", MS_NULL),
                "{\"a\": [0, {\"$each\": [1]}]}");
}

static void test_single_takes_literal_keys(void **state) {
  (void)state;
  const ms_key keys[] = {{"a.b", 3}, {"", 0}, {"$c", 2}};
  ms_path *path = NULL;
  ms_update *update = NULL;
  const ms_value *one = mst_json("1"), *result = NULL;
  assert_int_equal(ms_path_new(NULL, keys, 3, &path, NULL), MS_OK);
  assert_int_equal(
      msi_update_single(NULL, MSI_CODE_SET, path, one, MS_NULL, &update, NULL), MS_OK);
  assert_int_equal(mst_apply("{}", update, &result, NULL), MS_OK);
  mst_assert_json(result, "{\"a.b\": {\"\": {\"$c\": 1}}}");
  ms_value_release(result);
  ms_value_release(one);
  ms_update_release(update);
  ms_path_release(path);
}

static void test_single_checks_its_arguments(void **state) {
  (void)state;
  ms_path *path = mst_path("a.b"), *root = mst_path(""), *pattern = mst_pattern("a.*");
  const ms_value *text = mst_json("\"x\"");
  ms_update *update = NULL;
  ms_error error;
  assert_int_equal(
      msi_update_single(NULL, MSI_CODE_INC, path, text, MS_NULL, &update, &error),
      MS_EARGUMENT);
  assert_string_equal(error.message, "$inc: \"a.b\" needs a number, not a string");
  assert_int_equal(
      msi_update_single(NULL, MSI_CODE_SET, root, text, MS_NULL, &update, &error),
      MS_EPATH);
  assert_int_equal(
      msi_update_single(NULL, MSI_CODE_SET, pattern, text, MS_NULL, &update, &error),
      MS_EPATH);
  assert_string_equal(error.message, "$set: \"a.*\" is a pattern, not a path");
  assert_int_equal(
      msi_update_single(NULL, MSI_CODE_SET, path, text, MS_STRING, &update, &error),
      MS_EARGUMENT);
  assert_int_equal(
      msi_update_single(NULL, MSI_CODE_GUARD, path, text, MS_NULL, &update, &error),
      MS_EARGUMENT);
  assert_int_equal(
      msi_update_single(NULL, MSI_CODE_SET, path, NULL, MS_NULL, &update, &error),
      MS_EARGUMENT);
  assert_int_equal(
      msi_update_single(NULL, (msi_code)99, path, text, MS_NULL, &update, &error),
      MS_EOPERATOR);
  assert_null(update);
  ms_value_release(text);
  ms_path_release(pattern);
  ms_path_release(root);
  ms_path_release(path);
}

static void test_replace_exchanges_the_whole_document(void **state) {
  (void)state;
  ms_update *update = NULL;
  const ms_value *document = mst_json("{\"b\": 2}"), *list = mst_json("[]");
  assert_int_equal(msi_update_replace(NULL, document, &update, NULL), MS_OK);
  assert_single("{\"a\": 1}", update, "{\"b\": 2}");
  update = NULL;
  ms_error error;
  assert_int_equal(msi_update_replace(NULL, list, &update, &error), MS_ETYPE);
  assert_string_equal(error.message, "a document is an object, not an array");
  assert_null(update);
  assert_int_equal(msi_update_replace(NULL, ms_value_empty(), &update, NULL), MS_OK);
  assert_single("{\"a\": 1}", update, "{\"$empty\": true}");
  ms_value_release(list);
  ms_value_release(document);
}

static void test_documents_other_than_objects_are_refused(void **state) {
  (void)state;
  ms_update *update = mst_update("{\"$set\": {\"0\": 1}}");
  const ms_value *list = mst_json("[1]"), *result = NULL;
  ms_error error;
  assert_int_equal(ms_update_apply(update, list, 0, &result, &error), MS_ETYPE);
  assert_string_equal(error.message, "a document is an object, not an array");
  ms_value_release(list);
  ms_update_release(update);
}

/* ------------------------------------------------------------------- limits */

/* `levels` arrays inside each other. */
static const ms_value *nested(size_t levels) {
  const ms_value *value = ms_value_null();
  for (size_t i = 0; i < levels; i++) {
    const ms_value *outer;
    assert_int_equal(ms_value_new_array(NULL, &outer), MS_OK);
    assert_int_equal(ms_value_append(NULL, &outer, value), MS_OK);
    ms_value_release(value);
    value = outer;
  }
  return value;
}

static void assert_depth(msi_code code, size_t keys, size_t levels, ms_status wanted) {
  char text[2 * MS_DEPTH_MAX];
  for (size_t i = 0; i < keys; i++) memcpy(text + 2 * i, "k.", 2);
  text[2 * keys - 1] = '\0';
  ms_path *path = mst_path(text);
  const ms_value *value = nested(levels), *result = NULL;
  ms_update *update = NULL;
  assert_int_equal(msi_update_single(NULL, code, path, value, MS_NULL, &update, NULL),
                   wanted);
  if (wanted == MS_OK) {
    assert_int_equal(mst_apply("{}", update, &result, NULL), MS_OK);
    assert_int_equal(msi_value_depth(result, 1000), MS_DEPTH_MAX);
  }
  ms_value_release(result);
  ms_update_release(update);
  ms_value_release(value);
  ms_path_release(path);
}

static void test_update_deeper_than_the_limit_is_refused(void **state) {
  (void)state;
  assert_depth(MSI_CODE_SET, 100, 0, MS_OK);
  assert_depth(MSI_CODE_SET, 100, 1, MS_ELIMIT);
  assert_depth(MSI_CODE_SET, 60, 40, MS_OK);
  assert_depth(MSI_CODE_SET, 60, 41, MS_ELIMIT);
  assert_depth(MSI_CODE_PUSH, 99, 0, MS_OK);
  assert_depth(MSI_CODE_PUSH, 100, 0, MS_ELIMIT);
  assert_depth(MSI_CODE_PUSH, 60, 39, MS_OK);
  assert_depth(MSI_CODE_PUSH, 60, 40, MS_ELIMIT);
}

static void test_document_above_its_limit_may_only_shrink(void **state) {
  (void)state;
  const ms_value *root = mst_json("{\"a\": \"0123456789\", \"b\": \"0123456789\"}");
  msi_apply limited = {NULL, 0, 20};
  const char *const updates[] = {"{\"$set\": {\"c\": 1}}", "{\"$unset\": {\"a\": 1}}",
                                 "[{\"$set\": {\"c\": 1}}, {\"$unset\": {\"a\": 1}}]"};
  const ms_status wanted[] = {MS_ELIMIT, MS_OK, MS_OK};
  for (size_t i = 0; i < 3; i++) {
    ms_update *update = mst_update(updates[i]);
    const ms_value *result = NULL;
    ms_error error;
    assert_int_equal(msi_update_apply(&limited, update, root, &result, NULL, &error),
                     wanted[i]);
    if (wanted[i] != MS_OK) {
      assert_null(result);
      assert_string_equal(error.message,
                          "the document would have 30 bytes, more than 20");
    }
    ms_value_release(result);
    ms_update_release(update);
  }
  ms_value_release(root);
}

static void test_update_larger_than_a_patch_is_refused(void **state) {
  (void)state;
  static char bytes[MS_PATCH_MAX];
  memset(bytes, 'x', sizeof bytes);
  ms_path *path = mst_path("a");
  const ms_value *text = NULL;
  ms_update *update = NULL;
  ms_error error;
  /* [[[1, ["a"], text]]]: 7 bytes before the text, whose header takes 5. */
  assert_int_equal(ms_value_new_string(NULL, bytes, MS_PATCH_MAX - 12, &text), MS_OK);
  assert_int_equal(
      msi_update_single(NULL, MSI_CODE_SET, path, text, MS_NULL, &update, &error), MS_OK);
  assert_int_equal(update->wire_bytes, MS_PATCH_MAX);
  const ms_update *parts[] = {update, update};
  ms_update *both = NULL;
  assert_int_equal(msi_update_concat(NULL, parts, 2, &both), MS_ELIMIT);
  assert_null(both);
  ms_update_release(update);
  ms_value_release(text);
  update = NULL;
  assert_int_equal(ms_value_new_string(NULL, bytes, MS_PATCH_MAX - 11, &text), MS_OK);
  assert_int_equal(
      msi_update_single(NULL, MSI_CODE_SET, path, text, MS_NULL, &update, &error),
      MS_ELIMIT);
  assert_string_equal(error.message, "an update of more than 16777216 bytes");
  assert_null(update);
  ms_value_release(text);
  ms_path_release(path);
}

/* --------------------------------------------------------------------- wire */

static void test_update_comes_back_from_its_wire_form(void **state) {
  (void)state;
  ms_update *updates[] = {
      mst_update("[]"),
      mst_update("[{}, {\"$set\": {\"a\": 1}}, {}]"),
      mst_update("{\"$set\": {\"b.1\": [1, 2.5, \"x\"]}, \"$unset\": {\"c\": 1},"
                 " \"$inc\": {\"d\": -3}, \"$push\": {\"e\": {\"$each\": [1, {}]}}}"),
      single(MSI_CODE_SET, "a.b", "{\"$empty\": true}", MS_OBJECT),
  };
  for (size_t i = 0; i < 4; i++) mst_assert_decodes(updates[i]);
  ms_update *all = NULL, *replace = NULL;
  assert_int_equal(msi_update_concat(NULL, (const ms_update *const *)updates, 4, &all),
                   MS_OK);
  assert_int_equal(all->group_count, 5);
  mst_assert_decodes(all);
  assert_int_equal(msi_update_replace(NULL, ms_value_empty(), &replace, NULL), MS_OK);
  mst_assert_decodes(replace);
  ms_update_release(replace);
  ms_update_release(all);
  for (size_t i = 0; i < 4; i++) ms_update_release(updates[i]);
}

static void assert_bytes_refused(const char *bytes, size_t length, ms_status wanted,
                                 const char *message) {
  ms_update *update = NULL;
  ms_error error = {MS_OK, ""};
  ms_status st = msi_update_decode(NULL, (const uint8_t *)bytes, length, &update, &error);
  assert_null(update);
  assert_string_equal(error.message, message);
  assert_int_equal(st, wanted);
}
#define REFUSED(bytes, wanted, message)                                                  \
  assert_bytes_refused(bytes, sizeof(bytes) - 1, wanted, message)

static void test_decoder_refuses_malformed_bytes(void **state) {
  (void)state;
  assert_bytes_refused(NULL, 0, MS_ELIMIT, "malformed update: limit reached");
  REFUSED("\xc0", MS_ETYPE, "malformed update: wrong type");
  REFUSED("\x91\x91\xc0", MS_ETYPE, "malformed update: wrong type");
  REFUSED("\x91\x91\x92\x01\x91\xa1"
          "a",
          MS_ETYPE, "malformed update: wrong type");
  REFUSED("\x90\x90", MS_ETYPE, "malformed update: wrong type");
  REFUSED("\x91\x91\x93\x63\x91\xa1"
          "a\x01",
          MS_EOPERATOR, "unknown operator 99");
  REFUSED("\x91\x91\x93\xff\x91\xa1"
          "a\x01",
          MS_EOPERATOR, "unknown operator -1");
  REFUSED("\x91\x91\x93\x02\x91\xa1"
          "a\x01",
          MS_EARGUMENT, "$unset: \"a\" needs null, not an integer");
  REFUSED("\x91\x91\x93\x03\x91\xa1"
          "a\xc0",
          MS_EARGUMENT, "$inc: \"a\" needs a number, not null");
  REFUSED("\x91\x91\x93\x04\x91\xa1"
          "a\x01",
          MS_EARGUMENT, "$push: \"a\" needs an array of elements, not an integer");
  REFUSED("\x91\x91\x93\x00\x91\xa1"
          "a\x04",
          MS_EARGUMENT, "guard: \"a\" needs a type of container, not an integer");
  REFUSED("\x91\x91\x93\x01\x90\x90", MS_ETYPE, "a document is an object, not an array");
  REFUSED("\x91\x91\x93\x02\x90\xc0", MS_EPATH, "$unset: the path is empty");
  REFUSED("\x91\x92\x93\x01\x91\xa1"
          "a\x01\x93\x01\x92\xa1"
          "a\xa1"
          "b\x01",
          MS_EOVERLAP, "\"a\" and \"a.b\" overlap");
  REFUSED("\x91\x92\x93\x01\x91\xa1"
          "b\x01\x93\x01\x91\xa1"
          "a\x01",
          MS_EARGUMENT, "malformed update: operations out of order");
  REFUSED("\x91\x92\x93\x01\x92\xa1"
          "a\xa1"
          "b\x01\x93\x01\x91\xa1"
          "a\x01",
          MS_EARGUMENT, "malformed update: operations out of order");
  REFUSED("\xdd\xff\xff\xff\xff\x90", MS_ELIMIT, "malformed update: limit reached");
}

static void test_decoder_refuses_every_cut(void **state) {
  (void)state;
  ms_update *update = mst_update("[{\"$set\": {\"b.1\": [1, 2.5, \"x\"]}, \"$unset\": "
                                 "{\"c\": 1}}, {\"$inc\": {\"d\": 1}}]");
  for (size_t cut = 0; cut < update->wire_bytes; cut++) {
    /* A block of its own, so that the sanitizer sees a read beyond the end. */
    uint8_t *part = malloc(cut + 1);
    assert_non_null(part);
    memcpy(part, update->wire, cut);
    ms_update *none = NULL;
    assert_int_not_equal(msi_update_decode(NULL, part, cut, &none, NULL), MS_OK);
    assert_null(none);
    free(part);
  }
  ms_update_release(update);
}

/* --------------------------------------------------------------- allocation */

static ms_status make_and_apply(const ms_alloc *alloc, const ms_value *document,
                                const ms_value *root, const ms_value *wanted) {
  ms_update *parsed = NULL, *guarded = NULL, *all = NULL, *again = NULL;
  ms_path *path = NULL;
  const ms_value *result = NULL;
  ms_status st = ms_update_parse(alloc, document, NULL, &parsed, NULL);
  if (st == MS_OK) st = ms_path_parse(alloc, "deep.list.3", 11, &path, NULL);
  if (st == MS_OK) {
    st = msi_update_single(alloc, MSI_CODE_SET, path, ms_value_empty(), MS_ARRAY,
                           &guarded, NULL);
  }
  const ms_update *parts[] = {parsed, guarded};
  if (st == MS_OK) st = msi_update_concat(alloc, parts, 2, &all);
  if (st == MS_OK)
    st = msi_update_decode(alloc, all->wire, all->wire_bytes, &again, NULL);
  msi_apply with = {alloc, 0, 0};
  if (st == MS_OK) st = msi_update_apply(&with, again, root, &result, NULL, NULL);
  if (st == MS_OK) assert_true(ms_value_equal(result, wanted));
  ms_value_release(result);
  ms_update_release(again);
  ms_update_release(all);
  ms_update_release(guarded);
  ms_update_release(parsed);
  ms_path_release(path);
  return st;
}

static void test_failing_allocations_leave_everything_as_it_was(void **state) {
  (void)state;
  const char *before =
      "{\"deep\": {\"list\": [1], \"n\": 12345678901234567}, \"gone\": \"x\"}";
  const ms_value *root = mst_json(before);
  const ms_value *document = mst_json(
      "[{\"$set\": {\"a.b.c\": \"a longer string than any pointer\"},"
      "  \"$inc\": {\"deep.n\": 1000000000000000}, \"$unset\": {\"gone\": 1}},"
      " {\"$push\": {\"deep.list\": {\"$each\": [2, 3]}}, \"$set\": {\"a.b.d\": 1}}]");
  const ms_value *wanted = mst_json(
      "{\"deep\": {\"list\": [1, 2, 3, {\"$empty\": true}], \"n\": 13345678901234567},"
      " \"a\": {\"b\": {\"c\": \"a longer string than any pointer\", \"d\": 1}}}");
  ms_status st = MS_ENOMEM;
  uint64_t n = 0;
  for (; st != MS_OK; n++) {
    failing_alloc memory;
    failing_alloc_init(&memory);
    failing_alloc_fail_at(&memory, n);
    st = make_and_apply(&memory.alloc, document, root, wanted);
    if (st != MS_OK) assert_int_equal(st, MS_ENOMEM);
    assert_true(failing_alloc_is_clean(&memory));
    mst_assert_json(root, before);
  }
  assert_true(n > 20);
  ms_value_release(wanted);
  ms_value_release(document);
  ms_value_release(root);
}

static void test_single_update_takes_one_block(void **state) {
  (void)state;
  failing_alloc memory;
  failing_alloc_init(&memory);
  ms_path *path = mst_path("players.alice.hp");
  ms_update *update = NULL;
  const ms_value *number = mst_json("90");
  assert_int_equal(msi_update_single(&memory.alloc, MSI_CODE_SET, path, number, MS_NULL,
                                     &update, NULL),
                   MS_OK);
  assert_int_equal(memory.requests, 1);
  ms_update_release(update);
  assert_true(failing_alloc_is_clean(&memory));
  ms_value_release(number);
  ms_path_release(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_update_that_is_malformed_says_what_is_wrong),
      cmocka_unit_test(test_update_paths_that_overlap_are_refused),
      cmocka_unit_test(test_update_operations_stand_in_the_order_of_their_paths),
      cmocka_unit_test(test_update_of_several_documents_applies_them_in_order),
      cmocka_unit_test(test_set_creates_missing_parents_as_objects),
      cmocka_unit_test(test_set_pads_arrays_up_to_the_limit),
      cmocka_unit_test(test_blocked_paths_name_what_is_in_the_way),
      cmocka_unit_test(test_unset_ignores_what_is_absent_or_blocked),
      cmocka_unit_test(test_inc_keeps_integers_exact_and_refuses_overflow),
      cmocka_unit_test(test_wrong_types_name_the_path_and_the_type),
      cmocka_unit_test(test_empty_table_becomes_what_its_first_use_asks_for),
      cmocka_unit_test(test_update_that_changes_nothing_gives_the_same_root),
      cmocka_unit_test(test_update_applies_whole_or_not_at_all),
      cmocka_unit_test(test_update_shares_what_it_does_not_touch),
      cmocka_unit_test(test_update_does_not_change_its_operands),
      cmocka_unit_test(test_guard_refuses_a_container_that_is_gone_or_of_another_type),
      cmocka_unit_test(test_guard_lets_pass_what_it_asks_for),
      cmocka_unit_test(test_guard_counts_for_its_own_group_only),
      cmocka_unit_test(test_single_push_appends_its_operand_as_one_element),
      cmocka_unit_test(test_single_takes_literal_keys),
      cmocka_unit_test(test_single_checks_its_arguments),
      cmocka_unit_test(test_replace_exchanges_the_whole_document),
      cmocka_unit_test(test_documents_other_than_objects_are_refused),
      cmocka_unit_test(test_update_deeper_than_the_limit_is_refused),
      cmocka_unit_test(test_document_above_its_limit_may_only_shrink),
      cmocka_unit_test(test_update_larger_than_a_patch_is_refused),
      cmocka_unit_test(test_update_comes_back_from_its_wire_form),
      cmocka_unit_test(test_decoder_refuses_malformed_bytes),
      cmocka_unit_test(test_decoder_refuses_every_cut),
      cmocka_unit_test(test_failing_allocations_leave_everything_as_it_was),
      cmocka_unit_test(test_single_update_takes_one_block),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
