/*
 * The project's vectors (spec/vectors/mongo-update.jsonl): what MongoDB's operators do to a document.
 * A case runs when all it needs is built: other operators, positional keys, array filters and the
 * modifiers of $push are skipped. The number of cases that ran is checked, so none is lost silently.
 */
#include <stdio.h>

#include "update_support.h"

enum { CASES_THAT_RUN = 89 };

static const ms_value *member(const ms_value *object, const char *key) {
  return ms_value_get(object, key, strlen(key));
}

static const char *text_of(const ms_value *value) {
  const char *bytes = NULL;
  size_t length;
  return ms_value_to_string(value, &bytes, &length) == MS_OK ? bytes : "";
}

static bool is_known(const char *name) {
  const char *const known[] = {"$set", "$unset", "$inc", "$push"};
  for (size_t i = 0; i < 4; i++) {
    if (strcmp(name, known[i]) == 0) return true;
  }
  return false;
}

/* `$push` beside $each, where the case is not about a refusal. */
static bool has_modifiers(const ms_value *operand) {
  ms_cursor cursor;
  const char *key;
  size_t length;
  const ms_value *value;
  ms_cursor_init(&cursor, operand);
  while (ms_cursor_next(&cursor, &key, &length, &value)) {
    if (member(value, "$each") != NULL && ms_value_count(value) > 1) return true;
  }
  return false;
}

static bool has_positional_keys(const ms_value *operand) {
  ms_cursor cursor;
  const char *key;
  size_t length;
  const ms_value *value;
  if (ms_value_type(operand) != MS_OBJECT) return false;
  ms_cursor_init(&cursor, operand);
  while (ms_cursor_next(&cursor, &key, &length, &value)) {
    if (strstr(key, "$[") != NULL) return true;
  }
  return false;
}

static bool is_runnable(const ms_value *test) {
  if (strcmp(text_of(member(test, "class")), "bad-operator") == 0) return true;
  if (member(test, "array_filters") != NULL) return false;
  ms_cursor cursor;
  const char *name;
  size_t length;
  const ms_value *operand;
  ms_cursor_init(&cursor, member(test, "update"));
  while (ms_cursor_next(&cursor, &name, &length, &operand)) {
    if (!is_known(name) || has_positional_keys(operand)) return false;
    if (member(test, "error") == NULL && strcmp(name, "$push") == 0 &&
        has_modifiers(operand)) {
      return false;
    }
  }
  return true;
}

static bool same(const ms_value *a, const ms_value *b);

static bool same_objects(const ms_value *a, const ms_value *b) {
  ms_cursor cursor;
  const char *key;
  size_t length;
  const ms_value *value;
  ms_cursor_init(&cursor, a);
  while (ms_cursor_next(&cursor, &key, &length, &value)) {
    const ms_value *other = ms_value_get(b, key, length);
    if (other == NULL || !same(value, other)) return false;
  }
  return true;
}

/* By value: 1 equals 1.0. */
static bool same(const ms_value *a, const ms_value *b) {
  double left, right;
  if (ms_value_to_double(a, &left) == MS_OK && ms_value_to_double(b, &right) == MS_OK) {
    int64_t i, j;
    if (ms_value_to_int(a, &i) == MS_OK && ms_value_to_int(b, &j) == MS_OK) return i == j;
    return left == right;
  }
  if (ms_value_type(a) != ms_value_type(b)) return false;
  if (ms_value_count(a) != ms_value_count(b)) return false;
  if (ms_value_type(a) == MS_OBJECT) return same_objects(a, b);
  if (ms_value_type(a) != MS_ARRAY) return ms_value_equal(a, b);
  for (size_t i = 0; i < ms_value_count(a); i++) {
    if (!same(ms_value_at(a, i), ms_value_at(b, i))) return false;
  }
  return true;
}

static const char *category(ms_status st) {
  switch (st) {
    case MS_EOVERLAP: return "conflict";
    case MS_ETYPE: return "type";
    case MS_EPATH: return "path";
    case MS_EOPERATOR: return "bad-operator";
    case MS_EARGUMENT: return "bad-argument";
    default: return ms_status_name(st);
  }
}

static void check_refusal(const ms_value *test, ms_status st, const ms_error *error) {
  const char *found = category(st);
  const ms_value *others = member(test, "error_alt");
  bool fits = strcmp(found, text_of(member(test, "error"))) == 0;
  for (size_t i = 0; others != NULL && i < ms_value_count(others); i++) {
    fits = fits || strcmp(found, text_of(ms_value_at(others, i))) == 0;
  }
  const char *name = text_of(member(test, "name"));
  if (!fits) fail_msg("%s: %s: %s", name, found, error->message);
  if (error->status != st || error->message[0] == '\0') fail_msg("%s: no message", name);
}

static void check_types(const ms_value *test, const ms_value *result) {
  const ms_value *types = member(test, "types");
  if (types == NULL) return;
  ms_cursor cursor;
  const char *key;
  size_t length;
  const ms_value *wanted;
  ms_cursor_init(&cursor, types);
  while (ms_cursor_next(&cursor, &key, &length, &wanted)) {
    ms_path *path = mst_path(key);
    const ms_value *found = ms_path_find(path, result);
    assert_non_null(found);
    assert_string_equal(ms_type_name(ms_value_type(found)), text_of(wanted));
    ms_path_release(path);
  }
}

static void run_case(const ms_value *test) {
  const ms_value *document = member(test, "doc"), *result = NULL, *before = NULL,
                 *after = NULL;
  ms_update *update = NULL;
  ms_error error = {MS_OK, ""};
  assert_int_equal(ms_value_encode(NULL, document, &before), MS_OK);
  ms_status st = ms_update_parse(NULL, member(test, "update"), &update, &error);
  if (st == MS_OK) st = ms_update_apply(update, document, 0, &result, &error);
  if (member(test, "error") != NULL) {
    if (st == MS_OK) fail_msg("%s: no error", text_of(member(test, "name")));
    check_refusal(test, st, &error);
  } else {
    if (st != MS_OK) fail_msg("%s: %s", text_of(member(test, "name")), error.message);
    if (!same(result, member(test, "expect"))) {
      assert_int_equal(ms_value_to_json(NULL, result, 0, &after), MS_OK);
      fail_msg("%s: found %s", text_of(member(test, "name")), text_of(after));
    }
    check_types(test, result);
    if (ms_value_equal(result, document)) assert_ptr_equal(result, document);
  }
  assert_int_equal(ms_value_encode(NULL, document, &after), MS_OK);
  assert_true(ms_value_equal(before, after));
  ms_value_release(after);
  ms_value_release(before);
  ms_value_release(result);
  ms_update_release(update);
}

static void test_update_does_what_mongodb_does(void **state) {
  (void)state;
  FILE *file = fopen(MST_VECTORS, "r");
  assert_non_null(file);
  static char line[65536];
  int ran = 0, skipped = 0;
  while (fgets(line, sizeof line, file) != NULL) {
    const ms_value *test = mst_json(line);
    if (is_runnable(test)) {
      run_case(test);
      ran++;
    } else {
      skipped++;
    }
    ms_value_release(test);
  }
  fclose(file);
  print_message("%d cases ran, %d skipped\n", ran, skipped);
  assert_int_equal(ran, CASES_THAT_RUN);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_update_does_what_mongodb_does)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
