/*
 * Properties of updates, over random documents and random updates of all operators: nothing changes
 * its input, what is refused changes nothing, the wire gives back what it was given, and what
 * DESIGN section 4 lets apply in any order does not depend on it.
 */
#include "update_support.h"

static const msi_apply context = {NULL, 12345, 0};

static const char *const filters[] = {
    "[{\"x\": {\"$gt\": 0}}]", "[{\"x.a\": {\"$exists\": true}}]", "[{\"x\": 1}]",
    "[{\"$or\": [{\"x.b\": 1}, {\"x\": {\"$type\": \"array\"}}]}]",
    "[{\"x\": {\"$not\": {\"$in\": [1, null]}}}]"};

/* The update; NULL when its paths overlap, or a $rename goes nowhere. */
static ms_update *random_compiled(mst_random *random) {
  char text[16384];
  mst_random_operators(random, true, text, sizeof text);
  const ms_value *document = mst_json(text), *given = NULL;
  if (strstr(text, "$[x]") != NULL) given = mst_json(filters[mst_below(random, 5)]);
  ms_update *update = NULL;
  ms_error error = {MS_OK, ""};
  ms_status st = ms_update_parse(
      NULL, document,
      &(ms_update_options){.bytes = sizeof(ms_update_options), .array_filters = given},
      &update, &error);
  bool is_refusal = st == MS_EOVERLAP ||
                    (st == MS_EARGUMENT && strncmp(error.message, "$rename", 7) == 0);
  if (st != MS_OK && !is_refusal) fail_msg("%s: %s", text, error.message);
  ms_value_release(given);
  ms_value_release(document);
  return update;
}

/* What came of many rounds, so that none tests nothing. */
typedef struct tally {
  size_t refused, applied, kept, positional;
} tally;

/* Each part from a shared root, which copies. */
static ms_status apply_parts(const ms_update *const *parts, size_t count,
                             const ms_value *root, const ms_value **out, tally *seen) {
  const ms_value *step = ms_value_retain(root);
  for (size_t i = 0; i < count; i++) {
    const ms_value *next = NULL;
    ms_error error = {MS_OK, ""};
    ms_status st = msi_update_apply(&context, parts[i], step, &next, NULL, &error);
    if (st != MS_OK) {
      assert_int_equal(error.status, st);
      assert_true(error.message[0] != '\0');
      ms_value_release(step);
      seen->refused++;
      return st;
    }
    assert_true(msi_value_check(next));
    assert_int_equal(next == step, ms_value_equal(next, step));
    seen->applied++;
    if (next == step) seen->kept++;
    for (uint32_t k = 0; k < parts[i]->op_count; k++) {
      if (parts[i]->ops[k].selection != NULL && next != step) seen->positional++;
    }
    ms_value_release(step);
    step = next;
  }
  *out = step;
  return MS_OK;
}

/* One group at a time from shared roots, which copies, must agree with all groups at once, which
 * changes in place. */
static void check_batch(const ms_update *const *parts, size_t count, const ms_value *root,
                        tally *seen) {
  const ms_value *step = NULL, *whole = NULL, *before = NULL, *after = NULL;
  ms_update *batch = NULL;
  assert_int_equal(ms_value_encode(NULL, root, &before), MS_OK);
  assert_int_equal(msi_update_concat(NULL, parts, count, &batch), MS_OK);
  mst_assert_decodes(batch);
  ms_status st = apply_parts(parts, count, root, &step, seen);
  assert_int_equal(msi_update_apply(&context, batch, root, &whole, NULL, NULL), st);
  if (st == MS_OK) {
    assert_true(msi_value_check(whole));
    assert_true(ms_value_equal(whole, step));
  } else {
    assert_null(whole);
  }
  assert_int_equal(ms_value_encode(NULL, root, &after), MS_OK);
  assert_true(ms_value_equal(before, after));
  assert_true(msi_value_check(root));
  ms_value_release(after);
  ms_value_release(before);
  ms_update_release(batch);
  ms_value_release(whole);
  ms_value_release(step);
}

static void test_random_updates_agree_and_never_change_their_input(void **state) {
  (void)state;
  mst_random random = {mst_seed(20240601)};
  tally seen = {0};
  size_t overlaps = 0;
  for (int round = 0; round < 10000; round++) {
    char text[16384];
    mst_random_document(&random, text, sizeof text);
    const ms_value *root = mst_json(text);
    const ms_update *parts[4];
    size_t count = 0;
    for (int i = 0; i < 4; i++) {
      ms_update *update = random_compiled(&random);
      if (update == NULL) overlaps++;
      if (update != NULL) parts[count++] = update;
    }
    check_batch(parts, count, root, &seen);
    for (size_t i = 0; i < count; i++) ms_update_release(parts[i]);
    ms_value_release(root);
  }
  print_message("%zu applied, %zu of them without effect, %zu positional, %zu refused, "
                "%zu overlapped\n",
                seen.applied, seen.kept, seen.positional, seen.refused, overlaps);
  assert_true(seen.applied > 2000 && seen.kept > 200 && seen.refused > 2000);
  assert_true(seen.positional > 50 && overlaps > 50);
}

/* ---------------------------------------------------------------- commuting */

/* What is at `path`, with the elements of an array sorted: adding in any order. */
static const ms_value *as_set(const ms_value *root) {
  ms_update *update = mst_update("{\"$push\": {\"v\": {\"$each\": [], \"$sort\": 1}}}");
  const ms_value *sorted = NULL;
  ms_status st = msi_update_apply(&context, update, root, &sorted, NULL, NULL);
  ms_update_release(update);
  return st == MS_OK ? sorted : ms_value_retain(root);
}

static ms_status apply_both(const char *document, const char *first, const char *second,
                            const ms_value **out) {
  ms_update *a = mst_update(first), *b = mst_update(second);
  const ms_value *root = mst_json(document), *between = NULL;
  ms_status st = msi_update_apply(&context, a, root, &between, NULL, NULL);
  if (st == MS_OK) st = msi_update_apply(&context, b, between, out, NULL, NULL);
  ms_value_release(between);
  ms_value_release(root);
  ms_update_release(b);
  ms_update_release(a);
  return st;
}

static void assert_commutes(const char *document, const char *a, const char *b,
                            bool is_set) {
  const ms_value *left = NULL, *right = NULL;
  ms_status st = apply_both(document, a, b, &left);
  assert_int_equal(apply_both(document, b, a, &right) == MS_OK, st == MS_OK);
  if (st != MS_OK) return;
  if (is_set) {
    const ms_value *unsorted[] = {left, right};
    left = as_set(left);
    right = as_set(right);
    ms_value_release(unsorted[0]);
    ms_value_release(unsorted[1]);
  }
  if (msi_compare(left, right) != 0) fail_msg("%s: %s, %s", document, a, b);
  ms_value_release(right);
  ms_value_release(left);
}

static void random_single(mst_random *random, const char *name, char *text, size_t room) {
  size_t at = (size_t)snprintf(text, room, "{\"%s\":{\"v\":", name);
  if (strcmp(name, "$push") == 0) {
    at += (size_t)snprintf(text + at, room - at, "{\"$each\":");
    at += mst_random_list(random, text + at, room - at);
    at += (size_t)snprintf(text + at, room - at, "}");
  } else if (strcmp(name, "$bit") == 0) {
    at += (size_t)snprintf(text + at, room - at, "{\"%s\":%d}", "xor",
                           (int)mst_below(random, 8));
  } else if (strcmp(name, "$mul") == 0 || strcmp(name, "$inc") == 0) {
    at += (size_t)snprintf(text + at, room - at, "%d", (int)mst_below(random, 9) - 4);
  } else {
    at += mst_random_operand(random, name, text + at, room - at);
  }
  snprintf(text + at, room - at, "}}");
}

static void test_relative_operators_commute_with_themselves(void **state) {
  (void)state;
  const char *const names[] = {"$inc",  "$mul",      "$min",  "$max",    "$bit",
                               "$push", "$addToSet", "$pull", "$pullAll"};
  mst_random random = {mst_seed(5)};
  for (int round = 0; round < 9000; round++) {
    const char *name = names[round % 9];
    char document[8192] = "{\"v\":", a[8192], b[8192];
    bool is_of_arrays = round % 9 >= 5;
    size_t at = strlen(document);
    if (round % 5 == 0) {
      at = (size_t)snprintf(document, sizeof document, "{\"w\": 1");
    } else if (is_of_arrays) {
      at += mst_random_list(&random, document + at, sizeof document - at);
    } else if (round % 9 < 2 || round % 9 == 4) {
      at += (size_t)snprintf(document + at, sizeof document - at, "%d",
                             (int)mst_below(&random, 100));
    } else {
      at += mst_random_value(&random, document + at, sizeof document - at, 2);
    }
    snprintf(document + at, sizeof document - at, "}");
    random_single(&random, name, a, sizeof a);
    random_single(&random, name, b, sizeof b);
    assert_commutes(document, a, b, is_of_arrays);
  }
}

/* Not so for indexes of one array: what pads it makes elements that were not there. */
static void test_operations_on_different_parts_commute(void **state) {
  (void)state;
  mst_random random = {mst_seed(6)};
  const char *const names[] = {"$set",  "$unset",    "$inc", "$mul",
                               "$min",  "$max",      "$bit", "$push",
                               "$pull", "$addToSet", "$pop", "$pullAll"};
  const char *const places[] = {"a.a", "a.b", "a.c", "b.a", "b.b.a", "b.b.b", "c.a.0"};
  for (int round = 0; round < 5000; round++) {
    char document[16384], texts[2][8192];
    mst_random_document(&random, document, sizeof document);
    size_t first = mst_below(&random, 7),
           second = (first + 1 + mst_below(&random, 6)) % 7;
    for (size_t i = 0; i < 2; i++) {
      const char *name = names[mst_below(&random, 12)];
      size_t at = (size_t)snprintf(texts[i], sizeof texts[i], "{\"%s\":{\"%s\":", name,
                                   places[i == 0 ? first : second]);
      at += mst_random_operand(&random, name, texts[i] + at, sizeof texts[i] - at);
      snprintf(texts[i] + at, sizeof texts[i] - at, "}}");
    }
    assert_commutes(document, texts[0], texts[1], false);
  }
}

/* --------------------------------------------------------------- allocation */

static ms_status make_and_apply(const ms_alloc *alloc, const ms_value *document,
                                const ms_value *given, const ms_value *root,
                                const ms_value *wanted) {
  ms_update *parsed = NULL, *again = NULL, *inserts = NULL, *removes = NULL, *all = NULL;
  ms_path *path = NULL;
  const ms_value *result = NULL;
  ms_error error = {MS_OK, ""};
  ms_status st = ms_update_parse(
      alloc, document,
      &(ms_update_options){.bytes = sizeof(ms_update_options), .array_filters = given},
      &parsed, &error);
  if (st == MS_OK)
    st = msi_update_decode(alloc, parsed->wire, parsed->wire_bytes, &again, &error);
  if (st == MS_OK) st = ms_path_parse(alloc, "jobs", 4, &path, &error);
  if (st == MS_OK)
    st = msi_update_insert(alloc, path, 1, root, MS_ARRAY, &inserts, &error);
  if (st == MS_OK) st = msi_update_remove(alloc, path, 1, &removes, &error);
  const ms_update *parts[] = {again, inserts, removes};
  if (st == MS_OK) {
    st = msi_update_concat(alloc, parts, 3, &all);
    if (st != MS_OK) snprintf(error.message, sizeof error.message, "out of memory");
  }
  msi_apply with = {alloc, 99, 0};
  if (st == MS_OK) st = msi_update_apply(&with, all, root, &result, NULL, &error);
  if (st == MS_OK && !ms_value_equal(result, wanted)) {
    const ms_value *text = NULL;
    const char *bytes = "";
    size_t length;
    assert_int_equal(ms_value_to_json(NULL, result, 0, &text), MS_OK);
    assert_int_equal(ms_value_to_string(text, &bytes, &length), MS_OK);
    fail_msg("%s", bytes);
  }
  if (st == MS_ENOMEM) assert_non_null(strstr(error.message, "out of memory"));
  ms_value_release(result);
  ms_update_release(all);
  ms_update_release(removes);
  ms_update_release(inserts);
  ms_update_release(again);
  ms_update_release(parsed);
  ms_path_release(path);
  return st;
}

static void test_failing_allocations_leave_everything_as_it_was(void **state) {
  (void)state;
  const char *before =
      "{\"n\": 12345678901234567, \"old\": \"a longer string than any pointer\","
      " \"l\": [3, 1, {\"k\": 1}, 2], \"jobs\": [\"one\", \"two\"], \"set\": [1, 2],"
      " \"e\": [{\"v\": [1, 2], \"w\": 1}, {\"v\": [3], \"w\": 2}], \"bits\": 5}";
  const ms_value *root = mst_json(before);
  const ms_value *document = mst_json(
      "[{\"$mul\": {\"n\": 3}, \"$rename\": {\"old\": \"new.name\"}, \"$bit\": "
      "{\"bits\": "
      "{\"or\": 1234567890123456789}},"
      "  \"$push\": {\"l\": {\"$each\": [5, 4], \"$position\": 1, \"$sort\": -1, "
      "\"$slice\": 4}},"
      "  \"$addToSet\": {\"set\": {\"$each\": [2, 7, 7.0]}}, \"$currentDate\": {\"at\": "
      "true},"
      "  \"$inc\": {\"e.$[x].w\": 10}, \"$pull\": {\"e.$[y].v\": {\"$in\": [1, 3]}}},"
      " {\"$pop\": {\"l\": -1}, \"$pullAll\": {\"set\": [1]}, \"$max\": {\"m\": \"big\"},"
      "  \"$push\": {\"e.$[].v\": {\"$each\": [{\"b\": 1}, {\"b\": 0}], \"$sort\": "
      "{\"b\": 1}}}}]");
  const ms_value *given =
      mst_json("[{\"x.w\": {\"$gt\": 1}}, {\"y.v\": {\"$elemMatch\": {\"$lt\": 2}}}]");
  const ms_value *wanted =
      mst_json("{\"n\": 37037036703703701, \"new\": {\"name\": \"a longer string than "
               "any pointer\"},"
               " \"l\": [5, 4, 3], \"jobs\": [\"one\", \"two\"], \"set\": [2, 7], "
               "\"at\": 99, \"m\": "
               "\"big\","
               " \"bits\": 1234567890123456789,"
               " \"e\": [{\"v\": [2, {\"b\": 0}, {\"b\": 1}], \"w\": 1},"
               "         {\"v\": [3, {\"b\": 0}, {\"b\": 1}], \"w\": 12}]}");
  ms_status st = MS_ENOMEM;
  uint64_t n = 0;
  for (; st != MS_OK; n++) {
    failing_alloc memory;
    failing_alloc_init(&memory);
    failing_alloc_fail_at(&memory, n);
    st = make_and_apply(&memory.alloc, document, given, root, wanted);
    if (st != MS_OK) assert_int_equal(st, MS_ENOMEM);
    assert_true(failing_alloc_is_clean(&memory));
    mst_assert_json(root, before);
  }
  print_message("%llu allocations failed in turn\n", (unsigned long long)n);
  assert_true(n > 100);
  ms_value_release(wanted);
  ms_value_release(given);
  ms_value_release(document);
  ms_value_release(root);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_random_updates_agree_and_never_change_their_input),
      cmocka_unit_test(test_relative_operators_commute_with_themselves),
      cmocka_unit_test(test_operations_on_different_parts_commute),
      cmocka_unit_test(test_failing_allocations_leave_everything_as_it_was),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
