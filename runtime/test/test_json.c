/* JSON text: what comes back, what is written how, and what is refused where. */
#include <locale.h>
#include <math.h>

#include "base64.h"
#include "value_support.h"

static char *to_json(const ms_value *value, unsigned flags) {
  const ms_value *text = NULL;
  const char *bytes = NULL;
  size_t length = 0;
  assert_ok(ms_value_to_json(NULL, value, flags, &text));
  assert_ok(ms_value_to_string(text, &bytes, &length));
  assert_int_equal(strlen(bytes), length);
  char *copy = strdup(bytes);
  assert_non_null(copy);
  ms_value_release(text);
  return copy;
}

static void expect_json(const ms_value *value, unsigned flags, const char *expected) {
  char *text = to_json(value, flags);
  assert_string_equal(text, expected);
  free(text);
}

static void test_canonical_text_comes_back_letter_by_letter(void **state) {
  (void)state;
  static const char *const texts[] = {
      "null",
      "true",
      "false",
      "0",
      "-1",
      "9223372036854775807",
      "-9223372036854775808",
      "1.0",
      "-0.0",
      "0.1",
      "3.141592653589793",
      "1e300",
      "4.94065645841247e-324",
      "1.7976931348623157e308",
      "\"\"",
      "\"a \\\"quoted\\\" \\\\ \\n \\u0000 \\u001F / \xC3\xA9 \xF0\x9F\x98\x80\"",
      "[]",
      "{}",
      "[1,[2,[3]],{}]",
      "{\"a\":{\"b\":[null]}}",
      "{\"\":0,\"A\":1,\"a\":2,\"aa\":3,\"b\":4,\"\xC3\xA9\":5}",
      "{\"$numberDouble\":\"NaN\"}",
      "{\"$numberDouble\":\"Infinity\"}",
      "{\"$numberDouble\":\"-Infinity\"}",
      "{\"$binary\":{\"base64\":\"/w==\",\"subType\":\"00\"}}",
      "{\"$entries\":[[\"$binary\",1]]}",
      "{\"$entries\":[[\"$entries\",[[\"a\",1]]]]}",
      "{\"$entries\":[[\"$empty\",true]]}",
      "{\"$entries\":[[\"a\\u0000b\",1],[\"b\",2]]}",
      ("{\"$entries\":[[\"a\",1],[{\"$binary\":{\"base64\":\"/"
       "w==\",\"subType\":\"00\"}},2]]}"),
      "{\"$binary\":1,\"$empty\":2}",
      "{\"$set\":{\"a\":1}}"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    const ms_value *value = test_json(texts[i]);
    assert_true(msi_value_check(value));
    expect_json(value, 0, texts[i]);
    expect_json(value, MS_JSON_LOSSLESS, texts[i]);
    ms_value_release(value);
  }
}

static void test_other_spellings_are_read_as_well(void **state) {
  (void)state;
  static const char *const pairs[][2] = {
      {" [ 1 , 2 ] \n", "[1,2]"},
      {"-0", "0"},
      {"1E2", "100.0"},
      {"1e-2", "0.01"},
      {"0.10000000000000001", "0.1"},
      {"\"\\u00e9\\/\"", "\"\xC3\xA9/\""},
      {"\"\\ud83d\\ude00\"", "\"\xF0\x9F\x98\x80\""},
      {"{\"b\":1,\"a\":2}", "{\"a\":2,\"b\":1}"},
      {"{\"$numberDouble\":\"2.5\"}", "2.5"},
      {"{\"$numberDouble\":\"-0.0\"}", "-0.0"},
      {"{\"$numberDouble\":\"7\"}", "7.0"},
      {"{\"$entries\":[[\"a\",1]]}", "{\"a\":1}"},
      {"{\"$entries\":[]}", "{}"},
      {"{\"$binary\":{\"base64\":\"YWJj\",\"subType\":\"00\"}}", "\"abc\""},
      {"{\"$binary\":{\"base64\":\"\",\"subType\":\"00\"}}", "\"\""}};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    const ms_value *value = test_json(pairs[i][0]);
    expect_json(value, 0, pairs[i][1]);
    ms_value_release(value);
  }
}

static void test_the_empty_table_survives_when_nothing_may_be_lost(void **state) {
  (void)state;
  const ms_value *value = ms_value_empty();
  test_put(NULL, &value, "a", ms_value_empty());
  expect_json(value, 0, "{\"a\":{}}");
  expect_json(value, MS_JSON_LOSSLESS, "{\"a\":{\"$empty\":true}}");
  const ms_value *back = test_json("{\"a\":{\"$empty\":true}}");
  assert_true(ms_value_equal(back, value));
  ms_value_release(back);
  ms_value_release(value);
}

static void test_pretty_text_is_indented(void **state) {
  (void)state;
  const ms_value *value =
      test_json("{\"b\":[1,{\"c\":[]}],\"a\":{},\"n\":{\"$numberDouble\":\"NaN\"},"
                "\"x\":{\"$entries\":[[\"$empty\",0]]},"
                "\"y\":{\"$binary\":{\"base64\":\"/"
                "w==\",\"subType\":\"00\"}},\"z\":{\"$empty\":true}}");
  expect_json(value, MS_JSON_PRETTY | MS_JSON_LOSSLESS,
              "{\n"
              "  \"a\": {},\n"
              "  \"b\": [\n"
              "    1,\n"
              "    {\n"
              "      \"c\": []\n"
              "    }\n"
              "  ],\n"
              "  \"n\": {\"$numberDouble\": \"NaN\"},\n"
              "  \"x\": {\"$entries\": [\n"
              "    [\"$empty\", 0]\n"
              "  ]},\n"
              "  \"y\": {\"$binary\": {\"base64\": \"/w==\", \"subType\": \"00\"}},\n"
              "  \"z\": {\"$empty\": true}\n"
              "}");
  ms_value_release(value);
}

static void test_random_values_come_back_equal(void **state) {
  (void)state;
  test_random random = test_random_begin("json");
  for (int round = 0; round < 300; round++) {
    const ms_value *value = test_random_value(&random, NULL, 4);
    unsigned flags = MS_JSON_LOSSLESS | (round % 2 == 0 ? MS_JSON_PRETTY : 0);
    char *text = to_json(value, flags);
    const ms_value *back = test_json(text);
    assert_true(ms_value_equal(back, value));
    expect_json(back, flags, text);
    free(text);
    ms_value_release(back);
    ms_value_release(value);
  }
}

static void test_random_doubles_come_back_bit_by_bit(void **state) {
  (void)state;
  test_random random = test_random_begin("json doubles");
  for (int round = 0; round < 5000; round++) {
    uint64_t bits = test_random_next(&random);
    double real = 0;
    memcpy(&real, &bits, sizeof real);
    const ms_value *value = test_double(NULL, real);
    char *text = to_json(value, 0);
    const ms_value *back = test_json(text);
    assert_int_equal(ms_value_type(back), MS_DOUBLE);
    assert_true(ms_value_equal(back, value));
    free(text);
    ms_value_release(back);
    ms_value_release(value);
  }
}

static void test_a_program_with_a_decimal_comma_writes_points(void **state) {
  (void)state;
  const char *before = setlocale(LC_NUMERIC, NULL);
  char *kept = strdup(before);
  assert_non_null(kept);
  static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8"};
  for (size_t i = 0; i < 3 && setlocale(LC_NUMERIC, names[i]) == NULL; i++) continue;
  const ms_value *value = test_json("[0.1,{\"$numberDouble\":\"2.5\"}]");
  expect_json(value, 0, "[0.1,2.5]");
  ms_value_release(value);
  setlocale(LC_NUMERIC, kept);
  free(kept);
}

/* ------------------------------------------------------------------ refusals */

typedef struct refusal {
  const char *text;
  ms_status status;
  const char *message;
} refusal;

static void test_bad_text_is_refused_with_its_place(void **state) {
  (void)state;
  static const refusal refusals[] = {
      {"", MS_EARGUMENT, "line 1, column 0: unexpected token near end of file"},
      {"[1,\n 2,]", MS_EARGUMENT, "line 2, column 4: unexpected token near ']'"},
      {"[1] 2", MS_EARGUMENT, "line 1, column 5: end of file expected near '2'"},
      {"nul", MS_EARGUMENT, "line 1, column 3: invalid token near 'nul'"},
      {"9223372036854775808", MS_EARGUMENT, NULL},
      {"-9223372036854775809", MS_EARGUMENT, NULL},
      {"{\"a\":1,\"a\":2}", MS_EARGUMENT, NULL},
      {"\"\xFF\"", MS_EARGUMENT, NULL},
      {"1e999", MS_EARGUMENT, NULL},
      {"{\"$binary\":1}", MS_EARGUMENT, "$binary needs base64 and subType"},
      {"{\"a\":[0,{\"$binary\":{\"base64\":\"/w==\",\"subType\":\"04\"}}]}", MS_EARGUMENT,
       "a.1: $binary of another subType than 00"},
      {"{\"a\":{\"$binary\":{\"base64\":\"/w=\",\"subType\":\"00\"}}}", MS_EARGUMENT,
       "a: $binary is not base64"},
      {"{\"$numberDouble\":1}", MS_EARGUMENT, "$numberDouble needs a string"},
      {"[{\"$numberDouble\":\"nan\"}]", MS_EARGUMENT, "0: $numberDouble is not a number"},
      {"{\"$empty\":false}", MS_EARGUMENT, "$empty needs true"},
      {"{\"$entries\":{}}", MS_EARGUMENT, "$entries needs an array"},
      {"{\"$entries\":[[\"a\"]]}", MS_EARGUMENT,
       "0: an entry of $entries needs a key and a value"},
      {"{\"$entries\":[1]}", MS_EARGUMENT,
       "0: an entry of $entries needs a key and a value"},
      {"{\"$entries\":[[1,2]]}", MS_EARGUMENT, "0: a key of $entries is not a string"},
      {"{\"$entries\":[[\"a\",1],[\"a\",1]]}", MS_EARGUMENT,
       "1: a key stands twice in $entries"}};
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
    const refusal *one = &refusals[i];
    const ms_value *value = NULL;
    ms_error error = {MS_OK, ""};
    assert_int_equal(
        ms_value_from_json(NULL, one->text, strlen(one->text), &value, &error),
        one->status);
    assert_int_equal(error.status, one->status);
    assert_null(value);
    if (one->message != NULL) {
      assert_string_equal(error.message, one->message);
    } else {
      assert_non_null(strstr(error.message, "line 1, column "));
    }
  }
}

/* `count` times `open`, then `middle`, then `close` as often. */
static char *nested(size_t count, const char *open, const char *middle,
                    const char *close) {
  char *text = calloc(1, count * (strlen(open) + strlen(close)) + strlen(middle) + 1);
  assert_non_null(text);
  char *at = text;
  for (size_t i = 0; i < count; i++) at = stpcpy(at, open);
  at = stpcpy(at, middle);
  for (size_t i = 0; i < count; i++) at = stpcpy(at, close);
  return text;
}

static void test_levels_are_limited_both_ways(void **state) {
  (void)state;
  static const char *const shapes[][2] = {
      {"[", "]"}, {"{\"a\":", "}"}, {"{\"$entries\":[[\"$empty\",", "]]}"}};
  for (size_t i = 0; i < 3; i++) {
    ms_error error;
    const ms_value *value = NULL;
    char *text = nested(MS_DEPTH_MAX, shapes[i][0], "1", shapes[i][1]);
    assert_ok(ms_value_from_json(NULL, text, strlen(text), &value, &error));
    expect_json(value, 0, text);
    const ms_value *deeper = ms_value_empty();
    const ms_value *out = NULL;
    assert_ok(ms_value_append(NULL, &deeper, value));
    assert_int_equal(ms_value_to_json(NULL, deeper, 0, &out), MS_ELIMIT);
    ms_value_release(deeper);
    ms_value_release(value);
    free(text);
    text = nested(MS_DEPTH_MAX, shapes[i][0], "[]", shapes[i][1]);
    value = NULL;
    assert_int_equal(ms_value_from_json(NULL, text, strlen(text), &value, &error),
                     MS_ELIMIT);
    assert_string_equal(error.message, "more than 100 levels");
    assert_null(value);
    free(text);
  }
  char *text = nested(100000, "[", "1", "]");
  const ms_value *value = NULL;
  assert_int_equal(ms_value_from_json(NULL, text, strlen(text), &value, NULL), MS_ELIMIT);
  free(text);
}

static void test_long_keys_and_unknown_flags_are_refused(void **state) {
  (void)state;
  static char text[MS_KEY_MAX + 100];
  const ms_value *value = NULL;
  ms_error error;
  for (int more = 0; more < 2; more++) {
    snprintf(text, sizeof text, "{\"%0*d\":1}", MS_KEY_MAX + more, 0);
    ms_status st = ms_value_from_json(NULL, text, strlen(text), &value, &error);
    assert_int_equal(st, more == 0 ? MS_OK : MS_ELIMIT);
    if (st == MS_OK) ms_value_release(value);
  }
  assert_string_equal(error.message, "a key is too long");
  snprintf(text, sizeof text, "{\"$entries\":[[\"%0*d\",1]]}", MS_KEY_MAX + 1, 0);
  assert_int_equal(ms_value_from_json(NULL, text, strlen(text), &value, &error),
                   MS_ELIMIT);
  assert_string_equal(error.message, "0: a key is too long");
  assert_int_equal(ms_value_to_json(NULL, ms_value_null(), 4, &value), MS_EARGUMENT);
}

/* ------------------------------------------------------------------ base64 */

static void test_base64_is_that_of_the_rfc(void **state) {
  (void)state;
  static const char *const pairs[][2] = {{"", ""},
                                         {"f", "Zg=="},
                                         {"fo", "Zm8="},
                                         {"foo", "Zm9v"},
                                         {"foob", "Zm9vYg=="},
                                         {"fooba", "Zm9vYmE="},
                                         {"foobar", "Zm9vYmFy"},
                                         {"\xFB\xFF", "+/8="}};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    msi_buffer text;
    msi_buffer bytes;
    msi_buffer_init(&text, NULL);
    msi_buffer_init(&bytes, NULL);
    assert_ok(msi_base64_write(&text, pairs[i][0], strlen(pairs[i][0])));
    assert_int_equal(text.length, strlen(pairs[i][1]));
    if (text.length > 0) assert_memory_equal(text.data, pairs[i][1], text.length);
    assert_ok(msi_base64_read(&bytes, pairs[i][1], strlen(pairs[i][1])));
    assert_int_equal(bytes.length, strlen(pairs[i][0]));
    if (bytes.length > 0) assert_memory_equal(bytes.data, pairs[i][0], bytes.length);
    msi_buffer_fini(&text);
    msi_buffer_fini(&bytes);
  }
  static const char *const bad[] = {"Z",    "Zg",   "Zg=",  "Zg=a",     "====",  "Z===",
                                    "Zh==", "Zm9=", "Zm 8", "Zg==Zg==", "Zm8\n", "Zm-_"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    msi_buffer bytes;
    msi_buffer_init(&bytes, NULL);
    assert_int_equal(msi_base64_read(&bytes, bad[i], strlen(bad[i])), MS_EARGUMENT);
    msi_buffer_fini(&bytes);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_canonical_text_comes_back_letter_by_letter),
      cmocka_unit_test(test_other_spellings_are_read_as_well),
      cmocka_unit_test(test_the_empty_table_survives_when_nothing_may_be_lost),
      cmocka_unit_test(test_pretty_text_is_indented),
      cmocka_unit_test(test_random_values_come_back_equal),
      cmocka_unit_test(test_random_doubles_come_back_bit_by_bit),
      cmocka_unit_test(test_a_program_with_a_decimal_comma_writes_points),
      cmocka_unit_test(test_bad_text_is_refused_with_its_place),
      cmocka_unit_test(test_levels_are_limited_both_ways),
      cmocka_unit_test(test_long_keys_and_unknown_flags_are_refused),
      cmocka_unit_test(test_base64_is_that_of_the_rfc),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
