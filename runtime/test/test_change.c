/*
 * msi_update_change: what ms_update_apply does, to a document that nobody else needs. Random
 * documents and updates, each taken through both.
 */
#include "update_support.h"

enum { TEXT = 8192, ROUNDS = 3000 };

static const msi_apply context = {NULL, 1000, 0};

/* Every other one has so many keys that it is a tree. */
static void random_document(mst_random *random, char *text, size_t room) {
  size_t at = 0;
  if (mst_below(random, 2) == 0) {
    mst_random_document(random, text, room);
    return;
  }
  for (int i = 0; i < 40; i++) {
    at += (size_t)snprintf(text + at, room - at, "%s\"f%d\": 0", i == 0 ? "{" : ",", i);
  }
  mst_random_document(random, text + at, room - at);
  text[at] = ','; /* instead of its brace */
}

/* NULL when it was refused. Some go into the elements of arrays. */
static ms_update *random_update(mst_random *random) {
  static char json[TEXT];
  mst_random_operators(random, mst_below(random, 2) == 0, json, sizeof json);
  const ms_value *document = mst_json(json),
                 *filters = mst_json("[{\"x\": {\"$ne\": 1}}]");
  ms_update_options options;
  ms_update_options_init(&options);
  if (strstr(json, "$[x]") != NULL) options.array_filters = filters;
  ms_update *update = NULL;
  ms_status st = ms_update_parse(NULL, document, &options, &update, NULL);
  assert_int_equal(st == MS_OK, update != NULL);
  ms_value_release(filters);
  ms_value_release(document);
  return update;
}

/* Nothing of the document that was copied or kept may depend on the one that changes. */
static void assert_changes_alike(const ms_update *update, const char *json) {
  const ms_value *root = mst_json(json), *kept = mst_json(json), *wanted = NULL;
  ms_error expected = {MS_OK, ""}, error = {MS_OK, ""};
  ms_status st = msi_update_apply(&context, update, kept, &wanted, NULL, &expected);
  assert_int_equal(msi_update_change(&context, update, &root, &error), st);
  if (st != MS_OK) assert_string_equal(error.message, expected.message);
  assert_true(msi_value_check(root));
  assert_true(ms_value_equal(root, st == MS_OK ? wanted : kept));
  mst_assert_json(kept, json);
  ms_value_release(wanted);
  ms_value_release(kept);
  ms_value_release(root);
}

static void test_changing_in_place_gives_what_applying_gives(void **state) {
  (void)state;
  mst_random random = {mst_seed(41)};
  static char text[TEXT];
  for (int i = 0; i < ROUNDS; i++) {
    random_document(&random, text, sizeof text);
    ms_update *update = random_update(&random);
    if (update != NULL) assert_changes_alike(update, text);
    ms_update_release(update);
  }
}

/* Whoever holds the whole document, or a part of it, keeps it as it was. */
static void test_what_others_hold_is_not_changed(void **state) {
  (void)state;
  mst_random random = {mst_seed(42)};
  static char text[TEXT];
  for (int i = 0; i < ROUNDS; i++) {
    random_document(&random, text, sizeof text);
    ms_update *update = random_update(&random);
    const ms_value *root = mst_json(text), *copy = mst_json(text);
    const ms_value *part = i % 2 == 0 ? root : ms_value_get(root, "a", 1);
    const ms_value *wanted = i % 2 == 0 ? copy : ms_value_get(copy, "a", 1);
    ms_value_retain(part);
    if (update != NULL) {
      ms_status st = msi_update_change(&context, update, &root, NULL);
      assert_true(st != MS_ENOMEM);
      assert_true(msi_value_check(root));
    }
    assert_true(ms_value_equal(part, wanted));
    ms_value_release(part);
    ms_value_release(copy);
    ms_value_release(root);
    ms_update_release(update);
  }
}

static const ms_value *numbered(size_t keys) {
  const ms_value *object = NULL, *value = NULL;
  assert_int_equal(ms_value_new_object(NULL, &object), MS_OK);
  for (size_t i = 0; i < keys; i++) {
    char key[16];
    int length = snprintf(key, sizeof key, "k%zu", i);
    assert_int_equal(ms_value_new_int(NULL, (int64_t)i, &value), MS_OK);
    assert_int_equal(ms_value_put(NULL, &object, key, (size_t)length, value), MS_OK);
  }
  return object;
}

static void test_a_large_document_is_changed_in_place(void **state) {
  (void)state;
  failing_alloc memory;
  failing_alloc_init(&memory);
  msi_apply counted = {&memory.alloc, 1000, 0};
  const ms_value *root = numbered(5000), *before = root;
  ms_update *update = mst_update("{\"$inc\": {\"k7\": 1}}");
  for (int i = 0; i < 3; i++) {
    assert_int_equal(msi_update_change(&counted, update, &root, NULL), MS_OK);
  }
  assert_ptr_equal(root, before);
  assert_int_equal(memory.requests, 0);
  assert_true(ms_value_equal(ms_value_get(root, "k7", 2), ms_value_get(root, "k10", 3)));
  assert_true(msi_value_check(root));
  ms_update_release(update);
  ms_value_release(root);
}

/* What a condition refuses, and what several steps need, finds the document as it was. */
static void test_conditions_and_elements_are_changed_in_place(void **state) {
  (void)state;
  const ms_value *root = mst_json("{\"n\": 1, \"list\": [{\"n\": 1}, {\"n\": 2}]}");
  const ms_value *document = mst_json("{\"$inc\": {\"list.$[].n\": 1}}");
  const ms_value *where = mst_json("{\"list.n\": 2}"), *before = root;
  ms_update_options options;
  ms_update_options_init(&options);
  options.where = where;
  ms_update *update = NULL;
  ms_error error;
  assert_int_equal(ms_update_parse(NULL, document, &options, &update, &error), MS_OK);
  assert_int_equal(msi_update_change(&context, update, &root, &error), MS_OK);
  assert_int_equal(msi_update_change(&context, update, &root, &error), MS_OK);
  assert_int_equal(msi_update_change(&context, update, &root, &error), MS_ECONDITION);
  assert_ptr_equal(root, before);
  mst_assert_json(root, "{\"n\": 1, \"list\": [{\"n\": 3}, {\"n\": 4}]}");
  ms_update_release(update);
  ms_value_release(where);
  ms_value_release(document);
  ms_value_release(root);
}

static void test_a_document_may_not_become_too_large_in_place(void **state) {
  (void)state;
  const ms_value *root = mst_json("{\"a\": {\"b\": 1}}");
  ms_update *small = mst_update("{\"$set\": {\"a.b\": 2}}");
  ms_update *large = mst_update("{\"$set\": {\"a.b\": \"12345678901234567890\"}}");
  msi_apply limited = {NULL, 1000, 20};
  ms_error error;
  assert_int_equal(msi_update_change(&limited, small, &root, &error), MS_OK);
  assert_int_equal(msi_update_change(&limited, large, &root, &error), MS_ELIMIT);
  mst_assert_json(root, "{\"a\": {\"b\": 2}}");
  ms_update_release(large);
  ms_update_release(small);
  ms_value_release(root);
}

/* One allocation after the other fails; the document stays as it was, and whole. */
static void sweep(const ms_update *update, const char *json) {
  failing_alloc memory;
  failing_alloc_init(&memory);
  msi_apply failing = {&memory.alloc, 1000, 0};
  for (uint64_t n = 0;; n++) {
    const ms_value *root = mst_json(json);
    failing_alloc_fail_at(&memory, n);
    ms_error error = {MS_OK, ""};
    ms_status st = msi_update_change(&failing, update, &root, &error);
    failing_alloc_never_fail(&memory);
    assert_true(msi_value_check(root));
    if (st == MS_ENOMEM) mst_assert_json(root, json);
    ms_value_release(root);
    assert_true(failing_alloc_is_clean(&memory));
    if (st != MS_ENOMEM) return;
  }
}

static void test_failing_memory_leaves_the_document_whole(void **state) {
  (void)state;
  mst_random random = {mst_seed(43)};
  static char text[TEXT];
  for (int i = 0; i < ROUNDS / 4; i++) {
    random_document(&random, text, sizeof text);
    ms_update *update = random_update(&random);
    if (update != NULL) sweep(update, text);
    ms_update_release(update);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_changing_in_place_gives_what_applying_gives),
      cmocka_unit_test(test_what_others_hold_is_not_changed),
      cmocka_unit_test(test_a_large_document_is_changed_in_place),
      cmocka_unit_test(test_conditions_and_elements_are_changed_in_place),
      cmocka_unit_test(test_a_document_may_not_become_too_large_in_place),
      cmocka_unit_test(test_failing_memory_leaves_the_document_whole),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
