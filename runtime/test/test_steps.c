/*
 * Patches that ask for far more than their size: those who decide them look at no more than
 * MS_STEPS_MAX elements, keys and conditions, then refuse.
 */
#include "update_support.h"

static const ms_value *make_int(int64_t number) {
  const ms_value *made;
  assert_int_equal(ms_value_new_int(NULL, number, &made), MS_OK);
  return made;
}

static void put(const ms_value **object, const char *key, const ms_value *taken) {
  assert_int_equal(ms_value_put(NULL, object, key, strlen(key), taken), MS_OK);
  ms_value_release(taken);
}

static void append(const ms_value **array, const ms_value *taken) {
  assert_int_equal(ms_value_append(NULL, array, taken), MS_OK);
  ms_value_release(taken);
}

static const ms_value *make_array(void) {
  const ms_value *array;
  assert_int_equal(ms_value_new_array(NULL, &array), MS_OK);
  return array;
}

static const ms_value *make_object(void) {
  const ms_value *object;
  assert_int_equal(ms_value_new_object(NULL, &object), MS_OK);
  return object;
}

/* {key: value} */
static const ms_value *make_pair(const char *key, const ms_value *taken) {
  const ms_value *object = make_object();
  put(&object, key, taken);
  return object;
}

/* [count - 1, ... 1, 0] */
static const ms_value *make_numbers(int64_t count) {
  const ms_value *list = make_array();
  while (count > 0) append(&list, make_int(--count));
  return list;
}

/* [{"x": 0}, {"x": 1}, ...] */
static const ms_value *make_objects(int64_t count) {
  const ms_value *list = make_array();
  for (int64_t i = 0; i < count; i++) append(&list, make_pair("x", make_int(i)));
  return list;
}

/* {"k0": 0, "k1": 1, ...} */
static const ms_value *make_wide(int64_t count) {
  const ms_value *object = make_object();
  char key[24];
  for (int64_t i = 0; i < count; i++) {
    snprintf(key, sizeof key, "k%lld", (long long)i);
    put(&object, key, make_int(i));
  }
  return object;
}

/* With a condition (taken) or none. */
static ms_update *compile(const ms_value *taken, const ms_value *where) {
  ms_update *update = NULL;
  ms_error error = {MS_OK, ""};
  ms_update_options options;
  ms_update_options_init(&options);
  options.where = where;
  if (ms_update_parse(NULL, taken, &options, &update, &error) != MS_OK)
    fail_msg("%s", error.message);
  ms_value_release(where);
  ms_value_release(taken);
  return update;
}

/* Applies as one who decides; all but `context` is taken. */
static ms_status decide(const msi_apply *context, const ms_value *document,
                        ms_update *update) {
  const ms_value *result = NULL;
  ms_error error = {MS_OK, ""};
  ms_status st = msi_update_apply(context, update, document, &result, NULL, &error);
  if (st == MS_ELIMIT) assert_non_null(strstr(error.message, "more than"));
  assert_int_equal(result != NULL, st == MS_OK);
  ms_value_release(result);
  ms_update_release(update);
  ms_value_release(document);
  return st;
}

static const msi_apply limited = {NULL, 0, MS_DOCUMENT_MAX};
static const msi_apply unlimited = {NULL, 0, 0};

static void test_conditions_on_long_lists_are_limited(void **state) {
  (void)state;
  const ms_value *list = make_array(), *pulls = make_array();
  for (int i = 0; i < 5000; i++) append(&list, make_pair("a", make_int(-1)));
  ms_update *update = compile(make_object(), make_pair("$nor", list));
  assert_int_equal(decide(&limited, make_pair("a", make_numbers(20000)), update),
                   MS_ELIMIT);
  for (int i = 0; i < 5000; i++) append(&pulls, mst_json("{\"$pull\": {\"a\": -1}}"));
  update = compile(pulls, NULL);
  assert_int_equal(decide(&limited, make_pair("a", make_numbers(20000)), update),
                   MS_ELIMIT);
}

/* Every list may take one key of the path or two, which makes more ways than can be gone. */
static void test_paths_through_nested_lists_are_limited(void **state) {
  (void)state;
  char path[256] = "0";
  const ms_value *nested = make_object();
  for (int i = 0; i < 45; i++) {
    const ms_value *list = make_array();
    append(&list, nested);
    nested = make_pair("0", list);
    if (i < 33) strcat(path, ".0.0");
  }
  ms_update *update = compile(make_object(), make_pair(path, make_int(7)));
  assert_int_equal(decide(&limited, nested, update), MS_ELIMIT);
}

static void test_operations_on_all_elements_are_limited(void **state) {
  (void)state;
  const ms_value *fields = make_object();
  char key[32];
  for (int i = 0; i < 4000; i++) {
    snprintf(key, sizeof key, "a.$[].k%d", i);
    put(&fields, key, make_int(i));
  }
  ms_value_retain(fields);
  ms_update *update = compile(make_pair("$unset", fields), NULL);
  assert_int_equal(decide(&limited, make_pair("a", make_objects(10000)), update),
                   MS_ELIMIT);
  /* What they make is measured on the way. */
  const msi_apply small = {NULL, 0, 1 << 20};
  update = compile(make_pair("$set", fields), NULL);
  assert_int_equal(decide(&small, make_pair("a", make_objects(1000)), update), MS_ELIMIT);
}

static void test_sorting_is_limited(void **state) {
  (void)state;
  const ms_value *list = make_objects(20000);
  append(&list, make_wide(20000));
  ms_update *update = mst_update("{\"$push\": {\"a\": {\"$each\": [], \"$sort\": -1}}}");
  assert_int_equal(decide(&limited, make_pair("a", list), update), MS_ELIMIT);
  const ms_value *keys = make_object(), *push = make_pair("$each", make_array());
  char key[24];
  for (int i = 0; i < 1000; i++) {
    snprintf(key, sizeof key, "k%d.k", i);
    put(&keys, key, make_int(1));
  }
  put(&push, "$sort", keys);
  update = compile(make_pair("$push", make_pair("a", push)), NULL);
  assert_int_equal(decide(&limited, make_pair("a", make_objects(20000)), update),
                   MS_ELIMIT);
}

/* A large value among those asked for costs nothing beside smaller elements. */
static void test_sets_of_unequal_values_are_cheap(void **state) {
  (void)state;
  const ms_value *wanted = make_objects(20000);
  for (int i = 0; i < 16; i++) append(&wanted, make_wide(20000 + i));
  ms_update *update = compile(make_pair("$pullAll", make_pair("a", wanted)), NULL);
  assert_int_equal(decide(&limited, make_pair("a", make_objects(100000)), update), MS_OK);
}

static void test_large_lists_are_within_the_limit(void **state) {
  (void)state;
  ms_update *update = mst_update("{\"$inc\": {\"a.$[]\": 1}}");
  assert_int_equal(decide(&limited, make_pair("a", make_numbers(500000)), update), MS_OK);
  update = mst_update("{\"$push\": {\"a\": {\"$each\": [5], \"$sort\": 1}}}");
  assert_int_equal(decide(&limited, make_pair("a", make_numbers(500000)), update), MS_OK);
  update = mst_update("{\"$pull\": {\"a\": {\"$gt\": 5, \"$lt\": 100}}}");
  assert_int_equal(decide(&limited, make_pair("a", make_numbers(500000)), update), MS_OK);
  update = mst_update("{\"$addToSet\": {\"a\": {\"$each\": [-1, -2, -3]}}}");
  assert_int_equal(decide(&limited, make_pair("a", make_numbers(500000)), update), MS_OK);
}

/* Peers that hold other orders of keys may count a little more. */
static void test_what_was_accepted_is_applied_without_a_limit(void **state) {
  (void)state;
  const ms_value *list = make_array();
  for (int i = 0; i < 600; i++) append(&list, make_pair("a", make_int(-1)));
  ms_update *update = compile(make_object(), make_pair("$nor", list));
  const ms_value *document = make_pair("a", make_numbers(33000));
  ms_value_retain(document);
  assert_int_equal(decide(&limited, document, ms_update_retain(update)), MS_ELIMIT);
  assert_int_equal(decide(&unlimited, document, update), MS_OK);
}

/* {"$nor": [{"a": 0}, ...]} */
static const ms_value *make_conditions(int count) {
  const ms_value *list = make_array();
  while (count-- > 0) append(&list, make_pair("a", make_int(0)));
  return make_pair("$nor", list);
}

/* Each is a condition of its own, together they are too much: for the writer as for whoever gets
 * it. */
static void test_queries_of_one_patch_are_limited_together(void **state) {
  (void)state;
  enum { COUNT = 10 };
  ms_update *updates[COUNT], *joined = NULL;
  msi_buffer wire;
  msi_buffer_init(&wire, msi_alloc_resolve(NULL));
  ms_status st = msi_pack_array(&wire, COUNT);
  for (size_t i = 0; i < COUNT; i++) {
    updates[i] = compile(make_object(), make_conditions(32000));
    assert_int_equal(
        msi_buffer_append(&wire, updates[i]->wire + 1, updates[i]->wire_bytes - 2),
        MS_OK); /* without the count of groups and the empty last one */
  }
  assert_int_equal(st, MS_OK);
  assert_int_equal(
      msi_update_concat(NULL, (const ms_update *const *)updates, COUNT, &joined),
      MS_ELIMIT);
  ms_error error = {MS_OK, ""};
  assert_int_equal(msi_update_decode(NULL, wire.data, wire.length, &joined, &error),
                   MS_ELIMIT);
  assert_string_equal(error.message,
                      "the queries of the update take more than 16777216 steps");
  assert_null(joined);
  for (size_t i = 0; i < COUNT; i++) ms_update_release(updates[i]);
  msi_buffer_fini(&wire);
}

static void test_sets_of_too_many_values_are_refused(void **state) {
  (void)state;
  const char *const operands[] = {"$pullAll", "$addToSet", "$pull"};
  for (size_t i = 0; i < 3; i++) {
    const ms_value *list = make_array();
    for (int64_t k = 0; k < 1500000; k++) append(&list, make_int(k * 7919 % 1500007));
    if (i > 0) list = make_pair(i == 1 ? "$each" : "$in", list);
    const ms_value *document = make_pair(operands[i], make_pair("a", list));
    ms_update *update = NULL;
    ms_error error = {MS_OK, ""};
    assert_int_equal(ms_update_parse(NULL, document, NULL, &update, &error), MS_ELIMIT);
    assert_non_null(strstr(error.message, "more than 16777216 steps"));
    assert_null(update);
    ms_value_release(document);
  }
}

/* An update from bytes: {$set: {a: [0x90 or another byte, ...]}} with as many values in the wire form
 * as asked. */
static ms_status decode_values(size_t values, uint8_t item, ms_error *error) {
  enum { HEAD_VALUES = 7, HEAD_BYTES = 7 };
  size_t count = values - HEAD_VALUES;
  msi_buffer wire;
  msi_buffer_init(&wire, msi_alloc_resolve(NULL));
  const uint8_t head[HEAD_BYTES] = {0x91, 0x91, 0x93, MSI_CODE_SET, 0x91, 0xA1, 'a'};
  assert_int_equal(msi_buffer_append(&wire, head, sizeof head), MS_OK);
  assert_int_equal(msi_pack_array(&wire, count), MS_OK);
  assert_int_equal(msi_buffer_reserve(&wire, count), MS_OK);
  memset(wire.data + wire.length, item, count);
  wire.length += count;
  ms_update *update = NULL;
  ms_status st = msi_update_decode(NULL, wire.data, wire.length, &update, error);
  assert_int_equal(update != NULL, st == MS_OK);
  ms_update_release(update);
  msi_buffer_fini(&wire);
  return st;
}

static void test_values_of_foreign_bytes_are_limited(void **state) {
  (void)state;
  const uint8_t items[] = {0x90, 0x80, 0xC0, 7};
  for (size_t i = 0; i < sizeof items; i++) {
    ms_error error = {MS_OK, ""};
    assert_int_equal(decode_values(MS_VALUES_MAX, items[i], &error), MS_OK);
    assert_int_equal(decode_values(MS_VALUES_MAX + 1, items[i], &error), MS_ELIMIT);
    assert_string_equal(error.message,
                        "too many values: 1048576 is the most in an update");
  }
}

/* {"$set": {key: [1, 2, ...]}} with as many values in the wire form as asked. */
static ms_status parse_values(int64_t values, const char *key, ms_update **out,
                              ms_error *error) {
  const ms_value *document = make_pair("$set", make_pair(key, make_numbers(values - 7)));
  ms_status st = ms_update_parse(NULL, document, NULL, out, error);
  ms_value_release(document);
  return st;
}

/* What a writer may make, everybody takes. */
static void test_values_of_a_writer_are_limited_alike(void **state) {
  (void)state;
  ms_update *update = NULL, *decoded = NULL;
  ms_error error = {MS_OK, ""};
  assert_int_equal(parse_values(MS_VALUES_MAX + 1, "a", &update, &error), MS_ELIMIT);
  assert_string_equal(error.message, "too many values: 1048576 is the most in an update");
  assert_null(update);
  assert_int_equal(parse_values(MS_VALUES_MAX, "a", &update, &error), MS_OK);
  assert_int_equal(
      msi_update_decode(NULL, update->wire, update->wire_bytes, &decoded, &error), MS_OK);
  ms_update_release(decoded);
  ms_update_release(update);
}

static void test_values_of_joined_updates_are_limited_together(void **state) {
  (void)state;
  ms_update *parts[2] = {NULL, NULL}, *joined = NULL;
  ms_error error = {MS_OK, ""};
  /* Together they have one list of groups less. */
  assert_int_equal(parse_values(MS_VALUES_MAX / 2, "a", &parts[0], &error), MS_OK);
  assert_int_equal(parse_values(MS_VALUES_MAX / 2 + 1, "b", &parts[1], &error), MS_OK);
  const ms_update *const *all = (const ms_update *const *)parts;
  assert_int_equal(msi_update_concat(NULL, all, 2, &joined), MS_OK);
  ms_update_release(joined);
  joined = NULL;
  ms_update_release(parts[1]);
  assert_int_equal(parse_values(MS_VALUES_MAX / 2 + 2, "b", &parts[1], &error), MS_OK);
  assert_int_equal(msi_update_concat(NULL, all, 2, &joined), MS_ELIMIT);
  assert_null(joined);
  for (size_t i = 0; i < 2; i++) ms_update_release(parts[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_conditions_on_long_lists_are_limited),
      cmocka_unit_test(test_paths_through_nested_lists_are_limited),
      cmocka_unit_test(test_operations_on_all_elements_are_limited),
      cmocka_unit_test(test_sorting_is_limited),
      cmocka_unit_test(test_sets_of_unequal_values_are_cheap),
      cmocka_unit_test(test_queries_of_one_patch_are_limited_together),
      cmocka_unit_test(test_sets_of_too_many_values_are_refused),
      cmocka_unit_test(test_values_of_foreign_bytes_are_limited),
      cmocka_unit_test(test_values_of_a_writer_are_limited_alike),
      cmocka_unit_test(test_values_of_joined_updates_are_limited_together),
      cmocka_unit_test(test_large_lists_are_within_the_limit),
      cmocka_unit_test(test_what_was_accepted_is_applied_without_a_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
