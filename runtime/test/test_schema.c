/* Schemas: what fits, what does not, and what is said of it. */
#include "schema.h"
#include "test_support.h"
#include "value_support.h"

static const ms_value *json(const char *text) {
  const ms_value *value = NULL;
  ms_error error;
  if (ms_value_from_json(NULL, text, strlen(text), &value, &error) != MS_OK)
    fail_msg("%s: %s", text, error.message);
  return value;
}

static ms_status make(const char *source, msi_schema **out, ms_error *error) {
  const ms_value *value = json(source);
  ms_status status = msi_schema_new(msi_alloc_resolve(NULL), value, out, error);
  ms_value_release(value);
  return status;
}

/* NULL: it fits; else what was said. */
static const char *ask(const char *source, const char *before, const char *after) {
  static ms_error error;
  msi_schema *schema = NULL;
  if (make(source, &schema, &error) != MS_OK) fail_msg("%s: %s", source, error.message);
  const ms_value *old_root = before == NULL ? NULL : json(before);
  const ms_value *new_root = json(after);
  ms_status status = msi_schema_check(schema, old_root, new_root, NULL, &error);
  ms_value_release(old_root);
  ms_value_release(new_root);
  msi_schema_free(schema);
  if (status == MS_OK) return NULL;
  assert_int_equal(status, MS_EDENIED);
  return error.message;
}

#define FITS(source, after) assert_null(ask((source), NULL, (after)))
#define SAYS(source, after, message)                                                     \
  do {                                                                                   \
    const char *said = ask((source), NULL, (after));                                     \
    assert_non_null(said);                                                               \
    assert_string_equal(said, message);                                                  \
  } while (0)

static void test_types_are_asked(void **state) {
  (void)state;
  static const struct {
    const char *type, *value;
  } cases[] = {{"null", "null"},       {"boolean", "true"}, {"integer", "1"},
               {"float", "1.5"},       {"string", "\"x\""}, {"array", "[1]"},
               {"object", "{\"a\":1}"}};
  size_t count = sizeof cases / sizeof *cases;
  char source[64], document[64];
  for (size_t i = 0; i < count; i++) {
    for (size_t k = 0; k < count; k++) {
      snprintf(source, sizeof source, "{\"a\":{\"type\":\"%s\"}}", cases[i].type);
      snprintf(document, sizeof document, "{\"a\":%s}", cases[k].value);
      assert_true((ask(source, NULL, document) == NULL) == (i == k));
    }
  }
  FITS("{\"a\":{\"type\":\"number\"}}", "{\"a\":1}");
  FITS("{\"a\":{\"type\":\"number\"}}", "{\"a\":1.5}");
  FITS("{\"a\":{\"type\":[\"null\",\"integer\"]}}", "{\"a\":null}");
  FITS("{\"a\":{\"type\":\"integer\"}}", "{\"b\":\"not there is fine\"}");
  SAYS("{\"a.b\":{\"type\":\"integer\"}}", "{\"a\":{\"b\":\"x\"}}",
       "schema: \"a.b\" is string: integer expected");
  SAYS("{\"a\":{\"type\":[\"null\",\"integer\"]}}", "{\"a\":\"x\"}",
       "schema: \"a\" is string: one of several types expected");
}

static void test_ranges_and_lengths_are_asked(void **state) {
  (void)state;
  static const char RANGE[] = "{\"p.*.hp\":{\"min\":0,\"max\":10.5}}";
  FITS(RANGE, "{\"p\":{\"a\":{\"hp\":0},\"b\":{\"hp\":10},\"c\":{\"hp\":10.5}}}");
  SAYS(RANGE, "{\"p\":{\"a\":{\"hp\":-1}}}", "schema: \"p.a.hp\" is -1: at least 0");
  SAYS(RANGE, "{\"p\":{\"a\":{\"hp\":11}}}", "schema: \"p.a.hp\" is 11: at most 10.5");
  SAYS(RANGE, "{\"p\":{\"a\":{\"hp\":\"x\"}}}",
       "schema: \"p.a.hp\" is string: a number expected");
  static const char LENGTH[] = "{\"a\":{\"min_length\":1,\"max_length\":2}}";
  FITS(LENGTH, "{\"a\":\"xy\"}");
  FITS(LENGTH, "{\"a\":[1,2]}");
  FITS(LENGTH, "{\"a\":{\"k\":1}}");
  SAYS(LENGTH, "{\"a\":\"\"}", "schema: \"a\" has length 0: at least 1");
  SAYS(LENGTH, "{\"a\":[1,2,3]}", "schema: \"a\" has length 3: at most 2");
  SAYS(LENGTH, "{\"a\":1}", "schema: \"a\" is integer, which has no length");
}

static void test_keys_and_choices_are_asked(void **state) {
  (void)state;
  static const char KEYS[] =
      "{\"p.*\":{\"required\":[\"name\"],\"keys\":[\"hp\"]},\"\":{\"required\":[\"p\"]}}";
  FITS(KEYS, "{\"p\":{\"a\":{\"name\":\"x\",\"hp\":1}}}");
  SAYS(KEYS, "{\"p\":{\"a\":{\"hp\":1}}}", "schema: \"p.a\" lacks the key \"name\"");
  SAYS(KEYS, "{\"p\":{\"a\":{\"name\":1,\"x\":1}}}",
       "schema: \"p.a\" has the key \"x\", which is none of its keys");
  SAYS(KEYS, "{\"p\":{\"a\":5}}", "schema: \"p.a\" is integer: an object expected");
  SAYS(KEYS, "{\"q\":1}", "schema: the document lacks the key \"p\"");
  static const char CHOICE[] = "{\"m\":{\"enum\":[\"x\",1,{\"a\":[]}]}}";
  FITS(CHOICE, "{\"m\":1}");
  FITS(CHOICE, "{\"m\":{\"a\":[]}}");
  SAYS(CHOICE, "{\"m\":\"y\"}", "schema: \"m\" is none of the values that it may have");
}

static void test_only_what_changed_is_asked(void **state) {
  (void)state;
  static const char RANGE[] = "{\"p.*.hp\":{\"min\":0}}";
  assert_null(ask(RANGE, "{\"p\":{\"a\":{\"hp\":-5}},\"x\":1}",
                  "{\"p\":{\"a\":{\"hp\":-5},\"b\":{\"hp\":1}},\"x\":2}"));
  assert_non_null(
      ask(RANGE, "{\"p\":{\"a\":{\"hp\":-5}}}", "{\"p\":{\"a\":{\"hp\":-4}}}"));
  assert_null(ask(RANGE, "{\"p\":{\"a\":{\"hp\":-5}}}", "{}")); /* gone is fine */
}

static void test_what_is_no_schema_is_refused(void **state) {
  (void)state;
  static const struct {
    const char *source;
    ms_status status;
    const char *part;
  } cases[] = {
      {"[1]", MS_EARGUMENT, "an object expected"},
      {"{\"a\":1}", MS_EARGUMENT, "\"a\""},
      {"{\"a\":{\"typ\":\"integer\"}}", MS_EARGUMENT, "unknown word \"typ\""},
      {"{\"a\":{\"type\":\"int\"}}", MS_EARGUMENT, "type"},
      {"{\"a\":{\"type\":[]}}", MS_EARGUMENT, "type"},
      {"{\"a\":{\"min\":\"0\"}}", MS_EARGUMENT, "min"},
      {"{\"a\":{\"max_length\":-1}}", MS_EARGUMENT, "max_length"},
      {"{\"a\":{\"required\":[1]}}", MS_EARGUMENT, "required"},
      {"{\"a\":{\"enum\":[]}}", MS_EARGUMENT, "enum"},
      {"{\"a..b\":{}}", MS_EPATH, "a..b"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    msi_schema *schema = NULL;
    ms_error error = {MS_OK, ""};
    assert_int_equal(make(cases[i].source, &schema, &error), cases[i].status);
    if (strstr(error.message, cases[i].part) == NULL) fail_msg("%s", error.message);
    assert_null(schema);
  }
  FITS("{}", "{\"a\":1}");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_types_are_asked),
      cmocka_unit_test(test_ranges_and_lengths_are_asked),
      cmocka_unit_test(test_keys_and_choices_are_asked),
      cmocka_unit_test(test_only_what_changed_is_asked),
      cmocka_unit_test(test_what_is_no_schema_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
