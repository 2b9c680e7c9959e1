/* Marks: which arrays a patch says that it goes into by position. */
#include "update_support.h"

#define DOCUMENT                                                                         \
  "{\"l\": [{\"t\": [1, 2]}, {\"t\": []}], \"p\": {\"7\": {\"hp\": [1]}}, \"e\": {}}"

/* "l l.0.t+": the marked arrays in order; + where the position was beyond the committed end. */
static void list_marks(const ms_update *update, char *out, size_t bytes) {
  size_t length = 0;
  out[0] = '\0';
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *op = &update->ops[i];
    char path[MSI_PRINT_BYTES];
    if (op->code != MSI_CODE_MARK) continue;
    length += (size_t)snprintf(
        out + length, bytes - length, "%s%s%s", length == 0 ? "" : " ",
        op->path->count == 0 ? "." : msi_path_print(op->path, path, sizeof path),
        op->operand == ms_value_bool(true) ? "+" : "");
  }
}

/* The update applied to `view`, with marks; taken. */
static ms_update *mark(ms_update *update, const char *committed_text,
                       const char *view_text) {
  const ms_value *committed = committed_text == NULL ? NULL : mst_json(committed_text);
  const ms_value *before = mst_json(view_text), *after = NULL;
  ms_update *out = NULL;
  ms_error error;
  if (ms_update_apply(update, before, 1, &after, &error) != MS_OK)
    fail_msg("%s", error.message);
  assert_int_equal(msi_update_mark(NULL, update, committed, before, after, false, &out),
                   MS_OK);
  ms_update_release(update);
  ms_value_release(committed);
  ms_value_release(before);
  ms_value_release(after);
  return out;
}

static void assert_marks_on(const char *committed, const char *view, const char *text,
                            const char *wanted) {
  char found[256];
  ms_update *update = mark(mst_update(text), committed, view);
  list_marks(update, found, sizeof found);
  assert_string_equal(found, wanted);
  ms_update_release(update);
}

static void assert_marks(const char *text, const char *wanted) {
  assert_marks_on(DOCUMENT, DOCUMENT, text, wanted);
}

/* Where nothing is committed for sure, the writer may have begun a list without seeing it. */
static void test_a_pop_meets_a_list_that_its_writer_may_have_pending(void **state) {
  (void)state;
  assert_marks_on("{}", "{}", "{\"$pop\": {\"l\": 1}}", "");
  assert_marks_on(NULL, "{}", "{\"$pop\": {\"l\": 1}}", "l+");
  assert_marks_on(NULL, "{}", "[{\"$push\": {\"l\": 1}}, {\"$pop\": {\"l\": -1}}]", "l+");
}

static void test_indexes_of_arrays_are_marked_and_keys_are_not(void **state) {
  (void)state;
  assert_marks("{\"$set\": {\"l.0\": 1}}", "l");
  assert_marks("{\"$inc\": {\"l.1.n\": 1}}", "l");
  assert_marks("{\"$set\": {\"l.0.t.1\": 1}}", "l l.0.t");
  assert_marks("{\"$set\": {\"p.7.n\": 1}}", "");
  assert_marks("{\"$set\": {\"p.7.hp.0\": 1}}", "p.7.hp");
  assert_marks("{\"$set\": {\"p.8\": 1}}", "");
  assert_marks("{\"$push\": {\"l\": 1}}", "");
  assert_marks("{\"$push\": {\"l.0.t\": 1}}", "l");
  assert_marks("{\"$set\": {\"l\": []}}", "");
  assert_marks("{\"$set\": {\"l.$[].n\": 1}}", "");
}

static void test_positions_beyond_the_committed_end_are_told(void **state) {
  (void)state;
  assert_marks("{\"$set\": {\"l.2\": 1}}", "l+");
  assert_marks("{\"$set\": {\"l.1.t.0\": 1}}", "l l.1.t+");
  /* The third element is the writer's own and pending. */
  assert_marks_on("{\"l\": [1, 2]}", "{\"l\": [1, 2, {}]}", "{\"$set\": {\"l.2.n\": 1}}",
                  "l+");
  assert_marks_on("{\"l\": [1, 2]}", "{\"l\": [1, 2, {}]}", "{\"$set\": {\"l.1\": 1}}",
                  "l");
  /* The array itself is. */
  assert_marks_on("{\"l\": 5}", "{\"l\": [1]}", "{\"$set\": {\"l.0\": 1}}", "l+");
  assert_marks_on(NULL, "{\"l\": [1]}", "{\"$set\": {\"l.0\": 1}}", "l+");
  /* It is made by the batch. */
  assert_marks_on("{}", "{}", "[{\"$set\": {\"l\": [1]}}, {\"$set\": {\"l.0\": 2}}]",
                  "l+");
}

static void test_operations_on_one_array_share_a_mark(void **state) {
  (void)state;
  assert_marks("{\"$set\": {\"l.0.a\": 1, \"l.0.b\": 1, \"l.1.a\": 1}}", "l");
  assert_marks("{\"$set\": {\"l.0\": 1, \"l.2\": 1}}", "l+");
  assert_marks("{\"$set\": {\"l.2\": 1}, \"$inc\": {\"l.0.n\": 1}}", "l+");
}

static void test_inserting_and_removing_are_marked_beyond_the_end_only(void **state) {
  (void)state;
  ms_path *path = NULL;
  ms_update *update = NULL;
  char found[64];
  ms_error error;
  static const char committed[] = "{\"l\": [1, 2]}", view[] = "{\"l\": [1, 2, 3]}";
  assert_int_equal(ms_path_parse(NULL, "l", 1, &path, &error), MS_OK);
  for (size_t index = 0; index < 3; index++) {
    assert_int_equal(msi_update_remove(NULL, path, index, &update, &error), MS_OK);
    update = mark(update, committed, view);
    list_marks(update, found, sizeof found);
    assert_string_equal(found, index < 2 ? "" : "l+");
    ms_update_release(update);
    assert_int_equal(
        msi_update_insert(NULL, path, index, ms_value_null(), MS_ARRAY, &update, &error),
        MS_OK);
    update = mark(update, committed, view);
    list_marks(update, found, sizeof found);
    assert_string_equal(found, index < 2 ? "" : "l+");
    ms_update_release(update);
  }
  ms_path_release(path);
}

static void test_batch_that_moves_elements_is_not_sure_of_later_positions(void **state) {
  (void)state;
  assert_marks("[{\"$pop\": {\"l\": -1}}, {\"$set\": {\"l.1\": 1}}]", "l+");
  assert_marks("[{\"$pop\": {\"l\": -1}}, {\"$set\": {\"l.0\": 1}}]", "l");
  assert_marks("[{\"$pop\": {\"l\": -1}}, {\"$pop\": {\"l\": 1}}]", "l+");
  assert_marks("[{\"$pull\": {\"l\": 7}}, {\"$set\": {\"l.0.n\": 1}}]", "l+");
  assert_marks("[{\"$pull\": {\"l\": 7}}, {\"$set\": {\"p.7.hp.0\": 1}}]", "p.7.hp");
  assert_marks("[{\"$push\": {\"l\": {\"$each\": [1], \"$position\": 0}}}, "
               "{\"$set\": {\"l.0\": 1}}]",
               "l");
  assert_marks("[{\"$push\": {\"l\": {\"$each\": [1], \"$slice\": -2}}}, "
               "{\"$set\": {\"l.0\": 1}}]",
               "l+");
  assert_marks("[{\"$set\": {\"l\": [1, 2]}}, {\"$set\": {\"l.0\": 1}}]", "l+");
  assert_marks("{\"$pop\": {\"l\": 1}}", "");
}

static void test_doubt_shows_where_a_position_is_not_sure(void **state) {
  (void)state;
  ms_update *update = mst_update("{\"$inc\": {\"l.1\": 1, \"m.2\": 1}}"), *out = NULL,
            *copy = NULL;
  const ms_value *committed = mst_json("{\"l\": [1], \"m\": [1, 2, 3]}"),
                 *view = mst_json("{\"l\": [1, 2], \"m\": [1, 2, 3]}");
  ms_error error;
  assert_int_equal(msi_update_mark(NULL, update, committed, view, view, true, &out),
                   MS_OK);
  assert_int_equal(msi_update_decode(NULL, out->wire, out->wire_bytes, &copy, &error),
                   MS_OK);
  assert_ptr_equal(copy->ops[0].operand, ms_value_null());
  assert_ptr_equal(copy->ops[1].operand, ms_value_bool(false));
  ms_value_release(view);
  ms_value_release(committed);
  ms_update_release(copy);
  ms_update_release(out);
  ms_update_release(update);
}

static void test_marked_update_does_the_same_and_survives_the_wire(void **state) {
  (void)state;
  ms_update *update =
      mark(mst_update("{\"$set\": {\"l.0.t.1\": 9}, \"$inc\": {\"n\": 1}}"), DOCUMENT,
           DOCUMENT);
  ms_update *copy = NULL;
  ms_error error;
  const ms_value *before = mst_json(DOCUMENT), *after = NULL, *number = NULL;
  char found[64];
  assert_int_equal(
      msi_update_decode(NULL, update->wire, update->wire_bytes, &copy, &error), MS_OK);
  assert_int_equal(copy->wire_bytes, update->wire_bytes);
  list_marks(copy, found, sizeof found);
  assert_string_equal(found, "l l.0.t");
  assert_int_equal(ms_update_apply(copy, before, 1, &after, &error), MS_OK);
  number =
      ms_value_at(ms_value_get(ms_value_at(ms_value_get(after, "l", 1), 0), "t", 1), 1);
  int64_t nine = 0;
  assert_int_equal(ms_value_to_int(number, &nine), MS_OK);
  assert_int_equal(nine, 9);
  ms_value_release(after);
  ms_value_release(before);
  ms_update_release(copy);
  ms_update_release(update);
}

static void test_update_without_positions_is_the_same_one(void **state) {
  (void)state;
  ms_update *update = mst_update("{\"$set\": {\"p.7\": 1}}"), *out = NULL;
  const ms_value *document = mst_json(DOCUMENT);
  assert_int_equal(
      msi_update_mark(NULL, update, document, document, document, false, &out), MS_OK);
  assert_ptr_equal(out, update);
  ms_update_release(out);
  ms_update_release(update);
  ms_value_release(document);
}

/* Quadratic, this would take minutes. */
static void test_long_batch_is_marked_once_and_in_time(void **state) {
  (void)state;
  enum { COUNT = 140000 };
  static const char part[] = "{\"$set\":{\"l.1\":1}},";
  char *text = malloc(COUNT * (sizeof part - 1) + 2), *at = text;
  *at++ = '[';
  for (int i = 0; i < COUNT; i++, at += sizeof part - 1)
    memcpy(at, part, sizeof part - 1);
  memcpy(at - 1, "]", 2);
  assert_marks(text, "l+");
  free(text);
}

static void test_want_of_memory_leaves_nothing_behind(void **state) {
  (void)state;
  ms_update *update = mst_update("{\"$set\": {\"l.0.t.1\": 9}}");
  const ms_value *document = mst_json(DOCUMENT);
  ms_status status = MS_ENOMEM;
  for (uint64_t n = 0; status == MS_ENOMEM; n++) {
    failing_alloc memory;
    ms_update *out = NULL;
    failing_alloc_init(&memory);
    failing_alloc_fail_at(&memory, n);
    status =
        msi_update_mark(&memory.alloc, update, document, document, document, false, &out);
    if (status == MS_OK) ms_update_release(out);
    assert_true(status == MS_OK || status == MS_ENOMEM);
    assert_true(n < 1000);
    assert_true(failing_alloc_is_clean(&memory));
  }
  ms_update_release(update);
  ms_value_release(document);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_doubt_shows_where_a_position_is_not_sure),
      cmocka_unit_test(test_indexes_of_arrays_are_marked_and_keys_are_not),
      cmocka_unit_test(test_a_pop_meets_a_list_that_its_writer_may_have_pending),
      cmocka_unit_test(test_positions_beyond_the_committed_end_are_told),
      cmocka_unit_test(test_operations_on_one_array_share_a_mark),
      cmocka_unit_test(test_inserting_and_removing_are_marked_beyond_the_end_only),
      cmocka_unit_test(test_batch_that_moves_elements_is_not_sure_of_later_positions),
      cmocka_unit_test(test_marked_update_does_the_same_and_survives_the_wire),
      cmocka_unit_test(test_update_without_positions_is_the_same_one),
      cmocka_unit_test(test_long_batch_is_marked_once_and_in_time),
      cmocka_unit_test(test_want_of_memory_leaves_nothing_behind),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
