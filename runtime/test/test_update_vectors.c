/*
 * The project's vectors (spec/vectors/mongo-update.jsonl): what MongoDB's operators do to a document.
 * Every case runs twice: with the update as it was compiled, and with what comes back from its wire
 * form. Those that depend on the order of keys are reported, not counted. The number of cases is
 * checked, so that none is lost silently.
 */
#include <stdio.h>

#include "update_support.h"

enum { CASES = 313, WALL_MS = 1234567890 };

static const ms_value *member(const ms_value *object, const char *key) {
  return ms_value_get(object, key, strlen(key));
}

static const char *text_of(const ms_value *value) {
  const char *bytes = NULL;
  size_t length;
  return ms_value_to_string(value, &bytes, &length) == MS_OK ? bytes : "";
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

/* What is wrong with the result of a case; "" when all is right. */
typedef struct verdict {
  char text[1024];
} verdict;

static void wrong(verdict *out, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(out->text, sizeof out->text, format, args);
  va_end(args);
}

static void check_refusal(const ms_value *test, ms_status st, const ms_error *error,
                          verdict *out) {
  const char *found = category(st);
  const ms_value *others = member(test, "error_alt");
  bool fits = strcmp(found, text_of(member(test, "error"))) == 0;
  for (size_t i = 0; others != NULL && i < ms_value_count(others); i++) {
    fits = fits || strcmp(found, text_of(ms_value_at(others, i))) == 0;
  }
  if (!fits) wrong(out, "%s: %s", found, error->message);
  if (error->status != st || error->message[0] == '\0') wrong(out, "no message");
}

/* Dates stand as null in what is expected. */
static const ms_value *without_dates(const ms_value *test, const ms_value *result) {
  const ms_value *paths = member(test, "volatile"), *next = ms_value_retain(result);
  for (size_t i = 0; paths != NULL && i < ms_value_count(paths); i++) {
    ms_path *path = mst_path(text_of(ms_value_at(paths, i)));
    const ms_value *date = ms_path_find(path, next), *blank = NULL;
    int64_t number = 0;
    ms_update *update = NULL;
    assert_non_null(date);
    assert_int_equal(ms_value_to_int(date, &number), MS_OK);
    assert_int_equal(number, WALL_MS);
    assert_int_equal(msi_update_single(NULL, MSI_CODE_SET, path, ms_value_null(), MS_NULL,
                                       &update, NULL),
                     MS_OK);
    assert_int_equal(ms_update_apply(update, next, 0, &blank, NULL), MS_OK);
    ms_update_release(update);
    ms_value_release(next);
    next = blank;
    ms_path_release(path);
  }
  return next;
}

static void check_types(const ms_value *test, const ms_value *result, verdict *out) {
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
    if (found == NULL ||
        strcmp(ms_type_name(ms_value_type(found)), text_of(wanted)) != 0) {
      wrong(out, "%s is no %s", key, text_of(wanted));
    }
    ms_path_release(path);
  }
}

static void check_result(const ms_value *test, const ms_value *result, verdict *out) {
  const ms_value *plain = without_dates(test, result), *text = NULL;
  if (!same(plain, member(test, "expect"))) {
    assert_int_equal(ms_value_to_json(NULL, plain, 0, &text), MS_OK);
    wrong(out, "found %s", text_of(text));
    ms_value_release(text);
  }
  ms_value_release(plain);
  check_types(test, result, out);
  assert_true(msi_value_check(result));
  const ms_value *document = member(test, "doc");
  if (ms_value_equal(result, document) && result != document) wrong(out, "a new root");
}

static ms_status through_the_wire(ms_update **update, ms_error *error) {
  ms_update *again = NULL;
  ms_status st =
      msi_update_decode(NULL, (*update)->wire, (*update)->wire_bytes, &again, error);
  ms_update_release(*update);
  *update = again;
  return st;
}

static void run_case(const ms_value *test, bool over_wire, verdict *out) {
  const ms_value *document = member(test, "doc"), *result = NULL, *before = NULL,
                 *after = NULL;
  ms_update *update = NULL;
  ms_error error = {MS_OK, ""};
  out->text[0] = '\0';
  assert_int_equal(ms_value_encode(NULL, document, &before), MS_OK);
  ms_update_options options;
  ms_update_options_init(&options);
  options.array_filters = member(test, "array_filters");
  ms_status st = ms_update_parse(NULL, member(test, "update"), &options, &update, &error);
  if (st == MS_OK && over_wire) {
    st = through_the_wire(&update, &error);
    assert_int_equal(st, MS_OK);
  }
  if (st == MS_OK) st = ms_update_apply(update, document, WALL_MS, &result, &error);
  if (member(test, "error") != NULL) {
    if (st == MS_OK) wrong(out, "no error");
    if (st != MS_OK) check_refusal(test, st, &error, out);
  } else if (st != MS_OK) {
    wrong(out, "%s: %s", category(st), error.message);
  } else {
    check_result(test, result, out);
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
  int cases = 0, failed = 0;
  while (fgets(line, sizeof line, file) != NULL) {
    const ms_value *test = mst_json(line);
    bool may_fail = member(test, "order_sensitive") != NULL;
    cases++;
    for (int way = 0; way < 2; way++) {
      verdict found;
      run_case(test, way == 1, &found);
      if (found.text[0] == '\0') continue;
      print_message("%s%s: %s\n", text_of(member(test, "name")),
                    may_fail ? " (depends on the order of keys)" : "", found.text);
      if (!may_fail) failed++;
    }
    ms_value_release(test);
  }
  fclose(file);
  print_message("%d cases, twice\n", cases);
  assert_int_equal(failed, 0);
  assert_int_equal(cases, CASES);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_update_does_what_mongodb_does)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
