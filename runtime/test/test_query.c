/* Queries: what conditions hold for, and which are refused. */
#include "query.h"
#include "update_support.h"

static ms_query *query_of(const char *json) {
  const ms_value *document = mst_json(json);
  ms_query *query = NULL;
  ms_error error = {MS_OK, ""};
  if (ms_query_parse(NULL, document, &query, &error) != MS_OK) {
    fail_msg("%s: %s", json, error.message);
  }
  ms_value_release(document);
  return query;
}

static void assert_matches(const char *json, const char *document, bool wanted) {
  ms_query *query = query_of(json);
  const ms_value *value = mst_json(document);
  if (ms_query_matches(query, value) != wanted) {
    fail_msg("%s %s %s", json, wanted ? "misses" : "matches", document);
  }
  ms_value_release(value);
  ms_query_release(query);
}

/* Documents that match, then NULL, then documents that do not. */
static void assert_all(const char *json, const char *const *documents, size_t count) {
  bool wanted = true;
  for (size_t i = 0; i < count; i++) {
    if (documents[i] == NULL) {
      wanted = false;
    } else {
      assert_matches(json, documents[i], wanted);
    }
  }
}
#define MATCHES(json, ...)                                                               \
  do {                                                                                   \
    const char *const documents[] = {__VA_ARGS__};                                       \
    assert_all(json, documents, sizeof documents / sizeof documents[0]);                 \
  } while (0)

static void assert_refused(const char *json, const char *message) {
  const ms_value *document = mst_json(json);
  ms_query *query = NULL;
  ms_error error = {MS_OK, ""};
  assert_int_equal(ms_query_parse(NULL, document, &query, &error), MS_EARGUMENT);
  assert_null(query);
  assert_int_equal(error.status, MS_EARGUMENT);
  assert_string_equal(error.message, message);
  ms_value_release(document);
}

/* --------------------------------------------------------------- comparisons */

static void test_literals_equal_across_number_types(void **state) {
  (void)state;
  MATCHES("{\"a\": 1}", "{\"a\": 1}", "{\"a\": 1.0, \"b\": 2}", "{\"a\": [3, 1]}", NULL,
          "{\"a\": 2}", "{\"a\": \"1\"}", "{\"a\": true}", "{}", "{\"a\": [[1]]}");
  MATCHES("{\"a\": [1, 2]}", "{\"a\": [1, 2.0]}", "{\"a\": [0, [1, 2]]}", NULL,
          "{\"a\": [2, 1]}", "{\"a\": [1, 2, 3]}", "{\"a\": 1}");
  MATCHES("{\"a\": {\"x\": 1, \"y\": 2}}", "{\"a\": {\"y\": 2, \"x\": 1}}",
          "{\"a\": [{\"x\": 1, \"y\": 2}]}", NULL, "{\"a\": {\"x\": 1}}",
          "{\"a\": {\"x\": 1, \"y\": 2, \"z\": 3}}");
  MATCHES("{\"a\": {\"$eq\": 1}}", "{\"a\": 1}", NULL, "{\"a\": 2}");
  MATCHES("{}", "{}", "{\"a\": 1}");
  MATCHES("{\"a\": 1, \"b\": 2}", "{\"a\": 1, \"b\": 2}", NULL, "{\"a\": 1}",
          "{\"b\": 2}");
}

static void test_null_equals_what_is_missing(void **state) {
  (void)state;
  MATCHES("{\"a\": null}", "{\"a\": null}", "{}", "{\"a\": [null]}", NULL, "{\"a\": 0}",
          "{\"a\": []}", "{\"a\": false}");
  MATCHES("{\"a.b\": null}", "{\"a\": {}}", "{\"a\": 5}", "{}", "{\"a\": [{}]}",
          "{\"a\": {\"b\": null}}", "{\"a\": {\"$empty\": true}}", NULL, "{\"a\": []}",
          "{\"a\": [5]}", "{\"a\": [{\"b\": 1}]}", "{\"a\": {\"b\": 1}}");
  MATCHES("{\"a\": {\"$gte\": null}}", "{}", "{\"a\": null}", NULL, "{\"a\": 0}");
  MATCHES("{\"a\": {\"$lte\": null}}", "{}", "{\"a\": null}", NULL, "{\"a\": 0}");
  MATCHES("{\"a\": {\"$gt\": null}}", NULL, "{}", "{\"a\": null}", "{\"a\": 0}");
  MATCHES("{\"a\": {\"$in\": [null, 7]}}", "{}", "{\"a\": null}", "{\"a\": 7}", NULL,
          "{\"a\": 0}");
  MATCHES("{\"a\": {\"$ne\": null}}", "{\"a\": 0}", NULL, "{}", "{\"a\": null}");
}

static void test_order_holds_within_a_type_only(void **state) {
  (void)state;
  MATCHES("{\"a\": {\"$gt\": 5}}", "{\"a\": 6}", "{\"a\": 5.5}", "{\"a\": [1, 7]}", NULL,
          "{\"a\": 5}", "{\"a\": \"6\"}", "{\"a\": null}", "{}", "{\"a\": true}",
          "{\"a\": {}}", "{\"a\": []}");
  MATCHES("{\"a\": {\"$gte\": 5}}", "{\"a\": 5}", "{\"a\": 5.0}", NULL, "{\"a\": 4}");
  MATCHES("{\"a\": {\"$lt\": \"m\"}}", "{\"a\": \"a\"}", "{\"a\": \"\"}", NULL,
          "{\"a\": \"m\"}", "{\"a\": 1}");
  MATCHES("{\"a\": {\"$lte\": \"m\"}}", "{\"a\": \"m\"}", NULL, "{\"a\": \"n\"}");
  MATCHES("{\"a\": {\"$gt\": [1]}}", "{\"a\": [2]}", "{\"a\": [1, 0]}", NULL,
          "{\"a\": [1]}", "{\"a\": [0, 9]}", "{\"a\": 2}");
  MATCHES("{\"a\": {\"$gt\": 1, \"$lt\": 3}}", "{\"a\": 2}", "{\"a\": [0, 9]}", NULL,
          "{\"a\": 1}", "{\"a\": 3}");
  MATCHES("{\"a\": {\"$gt\": false}}", "{\"a\": true}", NULL, "{\"a\": false}",
          "{\"a\": 1}");
}

static void test_nan_is_equal_to_itself_and_in_no_order(void **state) {
  (void)state;
  const char *nan = "{\"a\": {\"$numberDouble\": \"NaN\"}}";
  MATCHES(nan, nan, NULL, "{\"a\": 1}");
  MATCHES("{\"a\": {\"$lt\": 5}}", "{\"a\": 1}", NULL, nan);
  MATCHES("{\"a\": {\"$gte\": {\"$numberDouble\": \"NaN\"}}}", nan, NULL, "{\"a\": 1}");
  MATCHES("{\"a\": {\"$gt\": {\"$numberDouble\": \"NaN\"}}}", NULL, nan, "{\"a\": 1}");
  MATCHES("{\"a\": {\"$in\": [{\"$numberDouble\": \"NaN\"}]}}", nan, NULL, "{\"a\": 1}");
}

static void test_in_and_nin_take_lists(void **state) {
  (void)state;
  MATCHES("{\"a\": {\"$in\": [1, \"x\", [3]]}}", "{\"a\": 1.0}", "{\"a\": \"x\"}",
          "{\"a\": [9, 1]}", "{\"a\": [3]}", "{\"a\": [[3]]}", NULL, "{\"a\": 3}", "{}",
          "{\"a\": [4]}");
  MATCHES("{\"a\": {\"$in\": []}}", NULL, "{}", "{\"a\": 1}", "{\"a\": []}");
  MATCHES("{\"a\": {\"$nin\": [1, 2]}}", "{\"a\": 3}", "{}", "{\"a\": []}", NULL,
          "{\"a\": 1}", "{\"a\": [3, 2]}");
  MATCHES("{\"a\": {\"$nin\": []}}", "{}", "{\"a\": 1}");
  MATCHES("{\"a\": {\"$ne\": 1}}", "{\"a\": 2}", "{}", "{\"a\": [2]}", NULL, "{\"a\": 1}",
          "{\"a\": [2, 1]}");
}

/* ------------------------------------------------------ exists, type, size, mod */

static void test_exists_asks_whether_something_is_there(void **state) {
  (void)state;
  MATCHES("{\"a\": {\"$exists\": true}}", "{\"a\": null}", "{\"a\": []}", "{\"a\": 0}",
          NULL, "{}");
  MATCHES("{\"a.b\": {\"$exists\": false}}", "{}", "{\"a\": 5}", "{\"a\": []}",
          "{\"a\": [{}]}", NULL, "{\"a\": {\"b\": null}}", "{\"a\": [{}, {\"b\": 1}]}");
  MATCHES("{\"a\": {\"$exists\": 0}}", "{}", NULL, "{\"a\": 1}");
  MATCHES("{\"a\": {\"$exists\": null}}", "{}", NULL, "{\"a\": 1}");
  MATCHES("{\"a\": {\"$exists\": \"\"}}", "{\"a\": 1}", NULL, "{}");
}

static void test_type_takes_names_and_numbers(void **state) {
  (void)state;
  MATCHES("{\"a\": {\"$type\": \"number\"}}", "{\"a\": 1}", "{\"a\": 1.5}",
          "{\"a\": 5000000000}", "{\"a\": [\"x\", 1]}", NULL, "{\"a\": \"1\"}", "{}",
          "{\"a\": null}", "{\"a\": true}");
  MATCHES("{\"a\": {\"$type\": \"double\"}}", "{\"a\": 1.0}", NULL, "{\"a\": 1}");
  MATCHES("{\"a\": {\"$type\": \"int\"}}", "{\"a\": 1}", "{\"a\": -2147483648}", NULL,
          "{\"a\": 1.0}", "{\"a\": 2147483648}");
  MATCHES("{\"a\": {\"$type\": 18}}", "{\"a\": 2147483648}", NULL, "{\"a\": 1}");
  MATCHES("{\"a\": {\"$type\": [\"string\", 8]}}", "{\"a\": \"\"}", "{\"a\": false}",
          NULL, "{\"a\": 1}");
  MATCHES("{\"a\": {\"$type\": \"array\"}}", "{\"a\": []}", "{\"a\": [1]}",
          "{\"a\": {\"$empty\": true}}", NULL, "{\"a\": {}}");
  MATCHES("{\"a\": {\"$type\": \"object\"}}", "{\"a\": {}}", "{\"a\": [{}]}",
          "{\"a\": {\"$empty\": true}}", NULL, "{\"a\": []}", "{\"a\": [[]]}");
  MATCHES("{\"a\": {\"$type\": 10.0}}", "{\"a\": null}", NULL, "{}", "{\"a\": 0}");
  MATCHES("{\"a\": {\"$type\": \"date\"}}", NULL, "{\"a\": 1}");
}

static void test_size_counts_arrays_only(void **state) {
  (void)state;
  MATCHES("{\"a\": {\"$size\": 2}}", "{\"a\": [1, 2]}", "{\"a\": [[], []]}", NULL,
          "{\"a\": [1]}", "{\"a\": 2}", "{}", "{\"a\": [[1, 2]]}",
          "{\"a\": {\"x\": 1, \"y\": 2}}");
  MATCHES("{\"a\": {\"$size\": 0.0}}", "{\"a\": []}", "{\"a\": {\"$empty\": true}}", NULL,
          "{}", "{\"a\": {}}", "{\"a\": [[]]}");
  MATCHES("{\"a.b\": {\"$size\": 1}}", "{\"a\": [{\"b\": 1}, {\"b\": [1]}]}", NULL,
          "{\"a\": [{\"b\": 1}]}");
}

static void test_mod_divides_towards_zero(void **state) {
  (void)state;
  MATCHES("{\"a\": {\"$mod\": [4, 1]}}", "{\"a\": 5}", "{\"a\": 5.9}", "{\"a\": [2, 9]}",
          NULL, "{\"a\": 4}", "{\"a\": -3}", "{\"a\": \"5\"}", "{}");
  MATCHES("{\"a\": {\"$mod\": [-4, -1]}}", "{\"a\": -5}", NULL, "{\"a\": 5}");
  MATCHES("{\"a\": {\"$mod\": [2.9, 1.2]}}", "{\"a\": 3}", NULL, "{\"a\": 2}");
  MATCHES("{\"a\": {\"$mod\": [-1, 0]}}", "{\"a\": -9223372036854775808}");
  MATCHES("{\"a\": {\"$mod\": [2, 0]}}", "{\"a\": 0}", NULL,
          "{\"a\": {\"$numberDouble\": \"NaN\"}}",
          "{\"a\": {\"$numberDouble\": \"Infinity\"}}", "{\"a\": 1e300}");
}

/* ------------------------------------------------------------- all, elemMatch */

static void test_all_asks_for_each_of_its_values(void **state) {
  (void)state;
  MATCHES("{\"a\": {\"$all\": [1, 2]}}", "{\"a\": [2, 3, 1]}", NULL, "{\"a\": [1]}",
          "{\"a\": 1}", "{}");
  MATCHES("{\"a\": {\"$all\": [1]}}", "{\"a\": 1}", "{\"a\": [1]}", NULL, "{\"a\": []}");
  MATCHES("{\"a\": {\"$all\": [[1, 2]]}}", "{\"a\": [1, 2]}", "{\"a\": [[1, 2]]}", NULL,
          "{\"a\": [2, 1]}");
  MATCHES("{\"a\": {\"$all\": []}}", NULL, "{\"a\": []}", "{}", "{\"a\": 1}");
  MATCHES(
      "{\"a\": {\"$all\": [{\"$elemMatch\": {\"x\": 1}}, {\"$elemMatch\": {\"x\": 2}}]}}",
      "{\"a\": [{\"x\": 1}, {\"x\": 2}]}", NULL, "{\"a\": [{\"x\": 1}]}");
}

static void test_elem_match_asks_one_element_for_everything(void **state) {
  (void)state;
  MATCHES("{\"a\": {\"$elemMatch\": {\"x\": 1, \"y\": 2}}}",
          "{\"a\": [{\"x\": 1, \"y\": 2}]}", NULL, "{\"a\": [{\"x\": 1}, {\"y\": 2}]}",
          "{\"a\": {\"x\": 1, \"y\": 2}}", "{}", "{\"a\": [1]}");
  MATCHES("{\"a\": {\"$elemMatch\": {\"$gt\": 4, \"$lt\": 8}}}", "{\"a\": [1, 5]}", NULL,
          "{\"a\": [1, 9]}", "{\"a\": 5}", "{\"a\": [[5]]}");
  MATCHES("{\"a\": {\"$elemMatch\": {\"$or\": [{\"x\": 1}, {\"y\": 2}]}}}",
          "{\"a\": [{\"y\": 2}]}", NULL, "{\"a\": [{\"x\": 2}]}");
  MATCHES("{\"a\": {\"$elemMatch\": {\"0\": 5}}}", "{\"a\": [[5]]}", NULL,
          "{\"a\": [[4, 5]]}", "{\"a\": [5]}");
  MATCHES("{\"a\": {\"$elemMatch\": {}}}", "{\"a\": [{}]}", "{\"a\": [[]]}", NULL,
          "{\"a\": [1]}", "{\"a\": []}");
  MATCHES("{\"a\": {\"$elemMatch\": {\"$size\": 2}}}", "{\"a\": [[1, 2]]}", NULL,
          "{\"a\": [1, 2]}");
  MATCHES("{\"a\": {\"$elemMatch\": {\"$elemMatch\": {\"$gt\": 2}}}}", "{\"a\": [[3]]}",
          NULL, "{\"a\": [3]}");
  MATCHES("{\"a\": {\"$elemMatch\": {\"$not\": {\"$gt\": 2}}}}", "{\"a\": [3, 1]}",
          "{\"a\": [\"x\"]}", NULL, "{\"a\": [3]}", "{\"a\": []}");
  MATCHES("{\"a\": {\"$elemMatch\": {\"$ne\": 1}}}", "{\"a\": [1, 2]}", NULL,
          "{\"a\": [1]}");
  MATCHES("{\"a\": {\"$elemMatch\": {\"$exists\": true}}}", "{\"a\": [null]}", NULL,
          "{\"a\": []}");
  MATCHES("{\"a\": {\"$elemMatch\": {\"$all\": [1]}}}", "{\"a\": [1]}", NULL,
          "{\"a\": [[1]]}");
  MATCHES("{\"a\": {\"$elemMatch\": {\"$in\": [1, [2]]}}}", "{\"a\": [1]}",
          "{\"a\": [[2]]}", NULL, "{\"a\": [2]}", "{\"a\": [[1]]}");
}

/* ------------------------------------------------------------------ logic */

static void test_conditions_combine(void **state) {
  (void)state;
  MATCHES("{\"$or\": [{\"a\": 1}, {\"b\": {\"$gt\": 5}}]}", "{\"a\": 1}", "{\"b\": 6}",
          NULL, "{\"a\": 2}", "{}");
  MATCHES("{\"$and\": [{\"a\": {\"$gt\": 1}}, {\"a\": {\"$lt\": 3}}]}", "{\"a\": 2}",
          "{\"a\": [0, 9]}", NULL, "{\"a\": 3}");
  MATCHES("{\"$nor\": [{\"a\": 1}, {\"b\": 2}]}", "{}", "{\"a\": 2}", NULL, "{\"a\": 1}",
          "{\"b\": 2}");
  MATCHES("{\"$or\": [{\"$and\": [{\"a\": 1}, {\"b\": 1}]}, {\"c\": 1}], \"d\": 1}",
          "{\"c\": 1, \"d\": 1}", "{\"a\": 1, \"b\": 1, \"d\": 1}", NULL, "{\"c\": 1}",
          "{\"a\": 1, \"d\": 1}");
  MATCHES("{\"a\": {\"$not\": {\"$gt\": 5}}}", "{\"a\": 5}", "{}", "{\"a\": \"x\"}", NULL,
          "{\"a\": 6}", "{\"a\": [1, 6]}");
  MATCHES("{\"a\": {\"$not\": {\"$gt\": 1, \"$lt\": 5}}}", "{\"a\": 5}", "{}", NULL,
          "{\"a\": 2}", "{\"a\": [0, 9]}");
  MATCHES("{\"a\": {\"$not\": {\"$not\": {\"$gt\": 5}}}}", "{\"a\": 6}", NULL, "{}");
  MATCHES("{\"$comment\": \"why\", \"a\": 1}", "{\"a\": 1}", NULL, "{}");
}

/* -------------------------------------------------------------------- paths */

static void test_paths_lead_through_arrays(void **state) {
  (void)state;
  MATCHES("{\"a.b\": 1}", "{\"a\": {\"b\": 1}}", "{\"a\": [{\"b\": 2}, {\"b\": 1}]}",
          "{\"a\": [{\"b\": [3, 1]}]}", NULL, "{\"a.b\": 1}", "{\"a\": [[{\"b\": 1}]]}",
          "{\"a\": 1}");
  MATCHES("{\"a.b.c\": 1}", "{\"a\": [{\"b\": [{\"c\": 1}]}]}",
          "{\"a\": {\"b\": [{\"c\": [1]}]}}", NULL, "{\"a\": [{\"b\": [[{\"c\": 1}]]}]}");
  MATCHES("{\"a.0\": 5}", "{\"a\": [5, 1]}", "{\"a\": {\"0\": 5}}",
          "{\"a\": [{\"0\": 5}]}", NULL, "{\"a\": [1, 5]}", "{\"a\": [[5]]}",
          "{\"a\": 5}");
  MATCHES("{\"a.1.b\": 5}", "{\"a\": [0, {\"b\": 5}]}", "{\"a\": {\"1\": {\"b\": 5}}}",
          "{\"a\": [{\"1\": {\"b\": 5}}]}", NULL, "{\"a\": [{\"b\": 5}, 0]}");
  MATCHES("{\"a.0.0\": 5}", "{\"a\": [[5]]}", NULL, "{\"a\": [5]}", "{\"a\": [[1, 5]]}");
  MATCHES("{\"a.0\": [5]}", "{\"a\": [[5]]}", NULL, "{\"a\": [5]}");
  MATCHES("{\"a.00\": 5}", NULL, "{\"a\": [5]}");
  MATCHES("{\"\": 1}", "{\"\": 1}", NULL, "{}");
  MATCHES("{\"a..b\": 1}", "{\"a\": {\"\": {\"b\": 1}}}", NULL, "{\"a\": {\"b\": 1}}");
  MATCHES("{\"a.$x\": 1}", "{\"a\": {\"$x\": 1}}", NULL, "{}");
}

static void test_empty_table_is_any_empty_container(void **state) {
  (void)state;
  MATCHES("{\"a\": {\"$empty\": true}}", "{\"a\": {\"$empty\": true}}", "{\"a\": {}}",
          "{\"a\": []}", "{\"a\": [[]]}", NULL, "{}", "{\"a\": null}", "{\"a\": [1]}");
  MATCHES("{\"a\": []}", "{\"a\": {\"$empty\": true}}", "{\"a\": []}", NULL,
          "{\"a\": {}}");
  MATCHES("{\"a\": {}}", "{\"a\": {\"$empty\": true}}", "{\"a\": {}}", NULL,
          "{\"a\": []}");
  MATCHES("{\"a\": {\"$in\": {\"$empty\": true}}}", NULL, "{}", "{\"a\": []}");
  MATCHES("{\"$empty\": true}", "{}", "{\"$empty\": true}", "{\"a\": 1}");
}

/* ----------------------------------------------------------------- refusals */

static void test_malformed_queries_say_what_is_wrong(void **state) {
  (void)state;
  assert_refused("[]", "a query is an object of conditions, not an array");
  assert_refused("{\"a\": {\"$foo\": 1}}", "unknown query operator \"$foo\"");
  assert_refused("{\"a\": {\"$gt\": 1, \"x\": 1}}", "unknown query operator \"x\"");
  assert_refused("{\"$gt\": 1}", "unknown query operator \"$gt\"");
  assert_refused("{\"$not\": {\"a\": 1}}", "unknown query operator \"$not\"");
  assert_refused("{\"$where\": \"1\"}", "unknown query operator \"$where\"");
  assert_refused("{\"a.b\": {\"$in\": 1}}",
                 "$in: \"a.b\" needs an array, not an integer");
  assert_refused("{\"a\": {\"$nin\": \"x\"}}",
                 "$nin: \"a\" needs an array, not a string");
  assert_refused("{\"a\": {\"$in\": [{\"$gt\": 1}]}}",
                 "$in: takes values, no conditions");
  assert_refused("{\"a\": {\"$not\": 5}}",
                 "$not: \"a\" needs conditions, not an integer");
  assert_refused("{\"a\": {\"$not\": {}}}",
                 "$not: \"a\" needs conditions, not an object");
  assert_refused("{\"a\": {\"$size\": \"1\"}}",
                 "$size: \"a\" needs a number, not a string");
  assert_refused("{\"a\": {\"$size\": -1}}",
                 "$size: needs a whole number that is not negative");
  assert_refused("{\"a\": {\"$size\": 1.5}}",
                 "$size: needs a whole number that is not negative");
  assert_refused("{\"a\": {\"$mod\": [2]}}",
                 "$mod: needs an array of two numbers, divisor and remainder");
  assert_refused("{\"a\": {\"$mod\": [2, 1, 0]}}",
                 "$mod: needs an array of two numbers, divisor and remainder");
  assert_refused("{\"a\": {\"$mod\": [2, \"1\"]}}",
                 "$mod: needs an array of two numbers, divisor and remainder");
  assert_refused("{\"a\": {\"$mod\": [0.5, 1]}}", "$mod: divisor is 0");
  assert_refused("{\"a\": {\"$type\": \"text\"}}", "$type: unknown type \"text\"");
  assert_refused("{\"a\": {\"$type\": 0}}", "$type: unknown type 0");
  assert_refused("{\"a\": {\"$type\": []}}", "$type: needs at least one type");
  assert_refused("{\"a\": {\"$type\": true}}",
                 "$type: needs the name or number of a type, or an array of them");
  assert_refused("{\"a\": {\"$all\": 1}}", "$all: \"a\" needs an array, not an integer");
  assert_refused("{\"a\": {\"$all\": [{\"$gt\": 1}]}}",
                 "$all: takes values, or $elemMatch in each place");
  assert_refused("{\"a\": {\"$all\": [{\"$elemMatch\": {}}, 1]}}",
                 "$all: takes values, or $elemMatch in each place");
  assert_refused("{\"a\": {\"$all\": [1, {\"$elemMatch\": {}}]}}",
                 "$all: takes values, or $elemMatch in each place");
  assert_refused("{\"a\": {\"$elemMatch\": 1}}",
                 "$elemMatch: \"a\" needs an object, not an integer");
  assert_refused("{\"a\": {\"$elemMatch\": {\"$gt\": 1, \"x\": 1}}}",
                 "unknown query operator \"x\"");
  assert_refused("{\"$or\": []}", "$or: needs an array of conditions that is not empty");
  assert_refused("{\"$and\": {\"a\": 1}}",
                 "$and: needs an array of conditions that is not empty");
  assert_refused("{\"$nor\": [1]}", "$nor: needs objects, not an integer");
}

static void test_query_has_limits(void **state) {
  (void)state;
  ms_error error;
  ms_query *query = NULL;
  const ms_value *deep = ms_value_null(), *document;
  for (int i = 0; i < MS_DEPTH_MAX; i++) {
    const ms_value *outer;
    assert_int_equal(ms_value_new_array(NULL, &outer), MS_OK);
    assert_int_equal(ms_value_append(NULL, &outer, deep), MS_OK);
    ms_value_release(deep);
    deep = outer;
  }
  assert_int_equal(ms_value_new_object(NULL, &document), MS_OK);
  assert_int_equal(ms_value_put(NULL, &document, "a", 1, deep), MS_OK);
  assert_int_equal(ms_query_parse(NULL, document, &query, &error), MS_ELIMIT);
  assert_string_equal(error.message, "a query deeper than 100 levels");
  ms_value_release(document);
  ms_value_release(deep);

  const ms_value *list, *all;
  assert_int_equal(ms_value_new_array(NULL, &list), MS_OK);
  for (int i = 0; i < MS_QUERY_MAX; i++) {
    assert_int_equal(ms_value_append(NULL, &list, ms_value_null()), MS_OK);
  }
  assert_int_equal(ms_value_new_object(NULL, &all), MS_OK);
  assert_int_equal(ms_value_put(NULL, &all, "$all", 4, list), MS_OK);
  assert_int_equal(ms_value_new_object(NULL, &document), MS_OK);
  assert_int_equal(ms_value_put(NULL, &document, "a", 1, all), MS_OK);
  assert_int_equal(ms_query_parse(NULL, document, &query, &error), MS_ELIMIT);
  assert_string_equal(error.message, "a query of more than 65536 conditions");
  assert_null(query);
  ms_value_release(document);
  ms_value_release(all);
  ms_value_release(list);

  char path[2 * MS_DEPTH_MAX + 16] = "{\"a";
  for (int i = 0; i < MS_DEPTH_MAX; i++) strcat(path, ".a");
  strcat(path, "\": 1}");
  document = mst_json(path);
  assert_int_equal(ms_query_parse(NULL, document, &query, &error), MS_ELIMIT);
  ms_value_release(document);
}

/* ------------------------------------------------------- $pull, array filters */

static void assert_pull(const char *operand, const char *element, bool wanted) {
  const ms_value *given = mst_json(operand), *value = mst_json(element);
  ms_query *query = NULL;
  ms_error error = {MS_OK, ""};
  if (msi_query_parse_pull(NULL, given, &query, &error) != MS_OK) {
    fail_msg("%s: %s", operand, error.message);
  }
  if (msi_query_matches(query, value, &MSI_METER_ENDLESS) != wanted) {
    fail_msg("%s %s %s", operand, wanted ? "misses" : "matches", element);
  }
  ms_query_release(query);
  ms_value_release(value);
  ms_value_release(given);
}

static void test_operand_of_pull_is_a_literal_an_expression_or_a_query(void **state) {
  (void)state;
  assert_pull("1", "1.0", true);
  assert_pull("1", "[1]", false);
  assert_pull("[1]", "[1]", true);
  assert_pull("{\"$gt\": 1}", "2", true);
  assert_pull("{\"$gt\": 1}", "[0, 2]", true);
  assert_pull("{\"$in\": [1]}", "[1]", true);
  assert_pull("{\"$eq\": {\"x\": 1}}", "{\"x\": 1}", true);
  assert_pull("{\"$eq\": {\"x\": 1}}", "{\"x\": 1, \"y\": 1}", false);
  assert_pull("{\"x\": 1}", "{\"x\": 1, \"y\": 1}", true);
  assert_pull("{\"x\": 1}", "[{\"x\": 1}]", false);
  assert_pull("{}", "{}", true);
  assert_pull("{}", "[]", false);
  assert_pull("{\"$empty\": true}", "{\"a\": 1}", true);
  assert_pull("{\"x\": {\"$not\": {\"$gt\": 1}}}", "{\"x\": 1}", true);
  const ms_value *given = mst_json("{\"$not\": {\"$gt\": 1}}");
  ms_query *query = NULL;
  ms_error error;
  assert_int_equal(msi_query_parse_pull(NULL, given, &query, &error), MS_EARGUMENT);
  assert_string_equal(error.message, "unknown query operator \"$not\"");
  ms_value_release(given);
}

static void assert_filter_refused(const char *json, const char *message) {
  const ms_value *given = mst_json(json);
  ms_query *query = NULL;
  ms_error error;
  assert_int_equal(msi_query_parse_filter(NULL, given, &query, &error), MS_EARGUMENT);
  assert_string_equal(error.message, message);
  assert_null(query);
  ms_value_release(given);
}

static void test_array_filter_is_about_one_identifier(void **state) {
  (void)state;
  const ms_value *given = mst_json(
      "{\"$or\": [{\"x1\": {\"$gt\": 5}}, {\"x1.b\": {\"$elemMatch\": {\"c\": 1}}}]}");
  ms_query *query = NULL;
  assert_int_equal(msi_query_parse_filter(NULL, given, &query, NULL), MS_OK);
  mst_assert_json(query->id, "\"x1\"");
  const char *const hits[] = {"6", "[1, 6]", "{\"b\": [{\"c\": 1}]}",
                              "[{\"b\": [{\"c\": 1}]}]"};
  const char *const misses[] = {"5", "{\"b\": {\"c\": 1}}", "{}", "[]", "null"};
  for (size_t i = 0; i < 9; i++) {
    const ms_value *value = mst_json(i < 4 ? hits[i] : misses[i - 4]);
    assert_int_equal(msi_query_matches(query, value, &MSI_METER_ENDLESS), i < 4);
    ms_value_release(value);
  }
  ms_query_release(query);
  ms_value_release(given);
  assert_filter_refused("{}", "an array filter without an identifier");
  assert_filter_refused("{\"$comment\": 1}", "an array filter without an identifier");
  assert_filter_refused(
      "{\"a\": 1, \"b\": 1}",
      "array filter: \"b\" and \"a\" in one filter, which is about one");
  assert_filter_refused("{\"A\": 1}", "array filter: \"A\" is no identifier: a small "
                                      "letter, then letters and digits");
  assert_filter_refused("5",
                        "an array filter is an object of conditions, not an integer");
}

/* --------------------------------------------------------------- allocation */

static const char everything[] =
    "{\"a.b\": {\"$in\": [1, \"x\"], \"$not\": {\"$gt\": 5}}, \"c\": {\"$all\": [1, 2]},"
    " \"$or\": [{\"d\": {\"$elemMatch\": {\"x\": {\"$type\": \"int\"}}}}, {\"e\": 1}],"
    " \"f\": {\"$elemMatch\": {\"$ne\": 1}}, \"g\": {\"$nin\": [3], \"$exists\": false}}";

static void test_failing_allocations_leave_nothing_behind(void **state) {
  (void)state;
  const ms_value *document = mst_json(everything);
  ms_status st = MS_ENOMEM;
  uint64_t n = 0;
  for (; st != MS_OK; n++) {
    failing_alloc memory;
    failing_alloc_init(&memory);
    failing_alloc_fail_at(&memory, n);
    ms_query *query = NULL;
    ms_error error;
    st = ms_query_parse(&memory.alloc, document, &query, &error);
    if (st != MS_OK) {
      assert_int_equal(st, MS_ENOMEM);
      assert_null(query);
      assert_string_equal(error.message, "out of memory");
    }
    ms_query_release(ms_query_retain(query));
    ms_query_release(query);
    assert_true(failing_alloc_is_clean(&memory));
  }
  assert_true(n > 20);
  ms_value_release(document);
}

static void test_query_keeps_its_source(void **state) {
  (void)state;
  const ms_value *document = mst_json("{\"name\": \"a longer string than any pointer\"}");
  ms_query *query = NULL;
  assert_int_equal(ms_query_parse(NULL, document, &query, NULL), MS_OK);
  const ms_value *same = mst_json("{\"name\": \"a longer string than any pointer\"}");
  ms_value_release(document);
  assert_true(ms_query_matches(query, same));
  assert_true(ms_value_equal(query->source, same));
  ms_value_release(same);
  ms_query_release(query);
  ms_query_release(NULL);
  assert_null(ms_query_retain(NULL));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_literals_equal_across_number_types),
      cmocka_unit_test(test_null_equals_what_is_missing),
      cmocka_unit_test(test_order_holds_within_a_type_only),
      cmocka_unit_test(test_nan_is_equal_to_itself_and_in_no_order),
      cmocka_unit_test(test_in_and_nin_take_lists),
      cmocka_unit_test(test_exists_asks_whether_something_is_there),
      cmocka_unit_test(test_type_takes_names_and_numbers),
      cmocka_unit_test(test_size_counts_arrays_only),
      cmocka_unit_test(test_mod_divides_towards_zero),
      cmocka_unit_test(test_all_asks_for_each_of_its_values),
      cmocka_unit_test(test_elem_match_asks_one_element_for_everything),
      cmocka_unit_test(test_conditions_combine),
      cmocka_unit_test(test_paths_lead_through_arrays),
      cmocka_unit_test(test_empty_table_is_any_empty_container),
      cmocka_unit_test(test_malformed_queries_say_what_is_wrong),
      cmocka_unit_test(test_query_has_limits),
      cmocka_unit_test(test_operand_of_pull_is_a_literal_an_expression_or_a_query),
      cmocka_unit_test(test_array_filter_is_about_one_identifier),
      cmocka_unit_test(test_failing_allocations_leave_nothing_behind),
      cmocka_unit_test(test_query_keeps_its_source),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
