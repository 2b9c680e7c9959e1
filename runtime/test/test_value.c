/* Scalars, strings, counting, and what statuses and buffers do. */
#include <float.h>
#include <math.h>
#include <pthread.h>

#include "buffer.h"
#include "value_support.h"

/* ------------------------------------------------------------------ statuses, errors,
 * buffers */

static void test_version_is_that_of_the_header(void **state) {
  (void)state;
  assert_string_equal(ms_version(), MS_VERSION_TEXT);
}

static void test_statuses_have_names_and_texts(void **state) {
  (void)state;
  assert_string_equal(ms_status_name(MS_OK), "OK");
  assert_string_equal(ms_status_name(MS_ECLOSED), "ECLOSED");
  assert_string_equal(ms_status_text(MS_ECLOSED), "closed");
  assert_string_equal(ms_status_name((ms_status)-99), "EUNKNOWN");
  assert_string_equal(ms_status_text((ms_status)7), "unknown status");
}

static void test_error_lines_are_cut_between_characters(void **state) {
  (void)state;
  char text[400];
  ms_error error;
  for (size_t shift = 0; shift < 4; shift++) {
    memset(text, 'a', sizeof text);
    for (size_t i = shift; i + 2 < sizeof text; i += 2) memcpy(text + i, "\xC3\xA9", 2);
    text[sizeof text - 1] = '\0';
    assert_int_equal(msi_fail(&error, MS_EPATH, "%s", text), MS_EPATH);
    assert_int_equal(error.status, MS_EPATH);
    size_t length = strlen(error.message);
    assert_in_range(length, MS_MESSAGE_MAX - 4, MS_MESSAGE_MAX - 1);
    assert_int_equal((length - shift) % 2, 0);
  }
  assert_int_equal(msi_fail(NULL, MS_ETYPE, "unheard"), MS_ETYPE);
}

static void test_a_buffer_grows_and_drops_its_front(void **state) {
  (void)state;
  failing_alloc memory;
  failing_alloc_init(&memory);
  msi_buffer buffer;
  msi_buffer_init(&buffer, &memory.alloc);
  assert_null(buffer.data);
  for (int i = 0; i < 1000; i++) assert_ok(msi_buffer_append(&buffer, "0123456789", 10));
  assert_int_equal(buffer.length, 10000);
  msi_buffer_consume(&buffer, 9995);
  assert_memory_equal(buffer.data, "56789", 5);
  assert_int_equal(msi_buffer_reserve(&buffer, SIZE_MAX), MS_ENOMEM);
  size_t capacity = buffer.capacity;
  failing_alloc_fail_at(&memory, 0);
  assert_int_equal(msi_buffer_reserve(&buffer, capacity), MS_ENOMEM);
  assert_int_equal(buffer.length, 5);
  assert_memory_equal(buffer.data, "56789", 5);
  msi_buffer_clear(&buffer);
  assert_int_equal(buffer.length, 0);
  assert_int_equal(buffer.capacity, capacity);
  msi_buffer_fini(&buffer);
  assert_true(failing_alloc_is_clean(&memory));
}

static void test_memory_asked_for_zeroed_is_zeroed(void **state) {
  (void)state;
  failing_alloc memory;
  failing_alloc_init(&memory);
  uint64_t *numbers = msi_alloc_zero(&memory.alloc, 8 * sizeof *numbers);
  assert_non_null(numbers);
  for (int i = 0; i < 8; i++) assert_true(numbers[i] == 0);
  msi_alloc_free(&memory.alloc, numbers, 8 * sizeof *numbers);
  msi_alloc_free(&memory.alloc, NULL, 8);
  failing_alloc_fail_at(&memory, 0);
  assert_null(msi_alloc_zero(&memory.alloc, 8));
  assert_true(failing_alloc_is_clean(&memory));
}

/* ------------------------------------------------------------------ scalars */

static void test_integers_come_back_as_they_went_in(void **state) {
  (void)state;
  for (size_t i = 0; i < TEST_INTEGERS; i++) {
    const ms_value *value = test_int(NULL, test_integers[i]);
    assert_int_equal(ms_value_type(value), MS_INT);
    assert_true(test_to_int(value) == test_integers[i]);
    double real = 0;
    assert_ok(ms_value_to_double(value, &real));
    assert_true(real == (double)test_integers[i]);
    ms_value_release(value);
  }
}

static void test_doubles_come_back_bit_by_bit(void **state) {
  (void)state;
  test_random random = test_random_begin("doubles");
  for (size_t i = 0; i < 20000; i++) {
    double real = 0;
    if (i < TEST_DOUBLES) {
      real = test_doubles[i];
    } else {
      uint64_t bits = test_random_next(&random);
      memcpy(&real, &bits, sizeof real);
    }
    if (isnan(real)) continue;
    const ms_value *value = test_double(NULL, real);
    double back = 0;
    assert_int_equal(ms_value_type(value), MS_DOUBLE);
    assert_ok(ms_value_to_double(value, &back));
    assert_memory_equal(&back, &real, sizeof real);
    ms_value_release(value);
  }
}

static void test_there_is_one_nan(void **state) {
  (void)state;
  const ms_value *a = test_double(NULL, (double)NAN);
  const ms_value *b = test_double(NULL, -(double)NAN);
  double real = 0;
  assert_ok(ms_value_to_double(a, &real));
  assert_true(isnan(real));
  assert_true(ms_value_equal(a, b));
  ms_value_release(a);
  ms_value_release(b);
}

static void test_constants_need_no_memory(void **state) {
  (void)state;
  bool flag = false;
  assert_int_equal(ms_value_type(ms_value_null()), MS_NULL);
  assert_int_equal(ms_value_type(ms_value_empty()), MS_EMPTY);
  assert_int_equal(ms_value_type(ms_value_bool(false)), MS_BOOL);
  assert_ok(ms_value_to_bool(ms_value_bool(true), &flag));
  assert_true(flag);
  assert_ok(ms_value_to_bool(ms_value_bool(false), &flag));
  assert_false(flag);
  ms_value_release(ms_value_retain(ms_value_empty()));
  assert_null(ms_value_retain(NULL));
  ms_value_release(NULL);
}

static void test_reading_another_type_is_refused(void **state) {
  (void)state;
  const ms_value *text = test_string(NULL, "12");
  bool flag = true;
  int64_t integer = 7;
  double real = 7;
  const char *bytes = "same";
  size_t length = 7;
  assert_int_equal(ms_value_to_bool(text, &flag), MS_ETYPE);
  assert_int_equal(ms_value_to_int(text, &integer), MS_ETYPE);
  assert_int_equal(ms_value_to_double(text, &real), MS_ETYPE);
  assert_int_equal(ms_value_to_string(ms_value_null(), &bytes, &length), MS_ETYPE);
  const ms_value *half = test_double(NULL, 0.5);
  assert_int_equal(ms_value_to_int(half, &integer), MS_ETYPE);
  assert_true(flag && integer == 7 && real == 7 && length == 7);
  assert_string_equal(bytes, "same");
  assert_int_equal(ms_value_count(text), 0);
  assert_null(ms_value_get(text, "a", 1));
  assert_null(ms_value_at(text, 0));
  ms_value_release(text);
}

static void test_types_have_names(void **state) {
  (void)state;
  assert_string_equal(ms_type_name(MS_NULL), "null");
  assert_string_equal(ms_type_name(MS_BOOL), "boolean");
  assert_string_equal(ms_type_name(MS_INT), "integer");
  assert_string_equal(ms_type_name(MS_DOUBLE), "float");
  assert_string_equal(ms_type_name(MS_STRING), "string");
  assert_string_equal(ms_type_name(MS_ARRAY), "array");
  assert_string_equal(ms_type_name(MS_OBJECT), "object");
  assert_string_equal(ms_type_name(MS_EMPTY), "empty");
  assert_string_equal(ms_type_name((ms_type)99), "unknown");
}

/* ------------------------------------------------------------------ strings */

static void test_strings_keep_every_byte_and_end_in_nul(void **state) {
  (void)state;
  const ms_value *value = NULL;
  assert_ok(ms_value_new_string(NULL, "a\0b", 3, &value));
  const char *bytes = NULL;
  size_t length = 0;
  assert_ok(ms_value_to_string(value, &bytes, &length));
  assert_int_equal(length, 3);
  assert_memory_equal(bytes, "a\0b", 4);
  ms_value_release(value);
  assert_ok(ms_value_new_string(NULL, NULL, 0, &value));
  assert_ok(ms_value_to_string(value, &bytes, &length));
  assert_int_equal(length, 0);
  assert_string_equal(bytes, "");
  ms_value_release(value);
}

static void test_strings_beyond_four_gigabytes_are_refused(void **state) {
  (void)state;
#if SIZE_MAX > UINT32_MAX /* elsewhere there are none */
  const ms_value *value = NULL;
  assert_int_equal(ms_value_new_string(NULL, "", (size_t)UINT32_MAX + 1, &value),
                   MS_ELIMIT);
#endif
}

/* One head byte for short UTF-8, two for anything else that short. */
static void test_what_is_not_utf8_is_known_by_its_size(void **state) {
  (void)state;
  static const char *const valid[] = {"",
                                      "plain ascii that is long enough",
                                      "\xC3\xA9",
                                      "\xE0\xA0\x80",
                                      "\xED\x9F\xBF",
                                      "\xEE\x80\x80",
                                      "\xF0\x90\x80\x80",
                                      "\xF4\x8F\xBF\xBF",
                                      "12345678\xC3\xA9"};
  static const char *const invalid[] = {"\x80",
                                        "\xC0\x80",
                                        "\xC1\xBF",
                                        "\xC3",
                                        "\xE0\x9F\xBF",
                                        "\xED\xA0\x80",
                                        "\xEF\xBF",
                                        "\xF0\x8F\xBF\xBF",
                                        "\xF5\x80\x80\x80",
                                        "\xF4\x90\x80\x80",
                                        "\xF0\x90\x80",
                                        "12345678\xFF",
                                        "\xC3\xC3",
                                        "1234567\xC3"};
  for (size_t i = 0; i < sizeof valid / sizeof *valid; i++) {
    const ms_value *value = test_string(NULL, valid[i]);
    size_t length = strlen(valid[i]);
    assert_int_equal(ms_value_bytes(value), length + (length < 32 ? 1 : 2));
    ms_value_release(value);
  }
  for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
    const ms_value *value = test_string(NULL, invalid[i]);
    assert_int_equal(ms_value_bytes(value), strlen(invalid[i]) + 2);
    ms_value_release(value);
  }
}

/* Peers of another build must find the same keys in the same order. */
static void test_hashes_are_the_same_everywhere(void **state) {
  (void)state;
  assert_int_equal(msi_string_hash("", 0), 0x6D33B25A);
  assert_int_equal(msi_string_hash("a", 1), 0xAD02D4B9);
  assert_int_equal(msi_string_hash("players", 7), 0x71B435F5);
  assert_int_equal(msi_string_hash("memshare", 8), 0x0806DA93);
  assert_int_equal(msi_string_hash("a key of more than two words", 28), 0xE834C905);
}

/* ------------------------------------------------------------------ counting */

static void test_a_value_dies_with_its_last_reference(void **state) {
  (void)state;
  failing_alloc memory;
  failing_alloc_init(&memory);
  const ms_value *text = test_string(&memory.alloc, "text");
  assert_true(msi_value_is_unique(text));
  ms_value_retain(text);
  assert_false(msi_value_is_unique(text));
  ms_value_release(text);
  assert_int_equal(memory.blocks, 1);
  ms_value_release(text);
  assert_true(failing_alloc_is_clean(&memory));
}

static void
test_a_very_deep_value_is_released_and_compared_without_the_stack(void **state) {
  (void)state;
  failing_alloc memory;
  failing_alloc_init(&memory);
  const ms_value *deep[2];
  for (int k = 0; k < 2; k++) {
    deep[k] = ms_value_null();
    for (int i = 0; i < 300000; i++) {
      const ms_value *outer = ms_value_empty();
      if (i % 2 == 0) {
        assert_ok(ms_value_append(&memory.alloc, &outer, deep[k]));
      } else {
        test_put(&memory.alloc, &outer, "k", deep[k]);
      }
      ms_value_release(deep[k]);
      deep[k] = outer;
    }
  }
  assert_true(ms_value_equal(deep[0], deep[1]));
  assert_int_equal(msi_value_depth(deep[0], MS_DEPTH_MAX), MS_DEPTH_MAX + 1);
  ms_value_release(deep[0]);
  ms_value_release(deep[1]);
  assert_true(failing_alloc_is_clean(&memory));
}

static void test_depth_counts_containers(void **state) {
  (void)state;
  static const struct {
    const char *json;
    size_t depth;
  } cases[] = {{"1", 0},        {"[]", 1},   {"{\"$empty\":true}", 1},
               {"[1]", 1},      {"[[]]", 2}, {"{\"a\":[{\"b\":1}]}", 3},
               {"[1,[2],3]", 2}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const ms_value *value = test_json(cases[i].json);
    assert_int_equal(msi_value_depth(value, 100), cases[i].depth);
    if (cases[i].depth > 0) {
      size_t limit = cases[i].depth - 1;
      assert_int_equal(msi_value_depth(value, limit), limit + 1);
    }
    ms_value_release(value);
  }
}

enum { THREAD_ROUNDS = 20000 };

/* Takes and drops references and makes versions of its own of the shared value. */
static void *thread_main(void *arg) {
  const ms_value *shared = arg;
  for (int i = 0; i < THREAD_ROUNDS; i++) {
    const ms_value *mine = ms_value_retain(shared);
    if (i % 20 == 0) {
      char key[16];
      int length = snprintf(key, sizeof key, "key%d", i % 100);
      if (ms_value_put(NULL, &mine, key, (size_t)length, ms_value_null()) != MS_OK)
        abort();
    }
    if (ms_value_get(mine, "key1", 4) == NULL) abort();
    ms_value_release(mine);
  }
  return NULL;
}

static void test_threads_share_a_value(void **state) {
  (void)state;
  const ms_value *shared = ms_value_empty();
  const ms_value *text = test_string(NULL, "shared");
  for (int i = 0; i < 100; i++) {
    char key[16];
    snprintf(key, sizeof key, "key%d", i);
    test_put(NULL, &shared, key, text);
  }
  pthread_t threads[2];
  for (int i = 0; i < 2; i++) {
    assert_int_equal(
        pthread_create(&threads[i], NULL, thread_main, (void *)(uintptr_t)shared), 0);
  }
  for (int i = 0; i < 2; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
  assert_true(msi_value_is_unique(shared));
  assert_true(msi_value_check(shared));
  ms_value_release(shared);
  assert_true(msi_value_is_unique(text));
  ms_value_release(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_version_is_that_of_the_header),
      cmocka_unit_test(test_statuses_have_names_and_texts),
      cmocka_unit_test(test_error_lines_are_cut_between_characters),
      cmocka_unit_test(test_a_buffer_grows_and_drops_its_front),
      cmocka_unit_test(test_memory_asked_for_zeroed_is_zeroed),
      cmocka_unit_test(test_integers_come_back_as_they_went_in),
      cmocka_unit_test(test_doubles_come_back_bit_by_bit),
      cmocka_unit_test(test_there_is_one_nan),
      cmocka_unit_test(test_constants_need_no_memory),
      cmocka_unit_test(test_reading_another_type_is_refused),
      cmocka_unit_test(test_types_have_names),
      cmocka_unit_test(test_strings_keep_every_byte_and_end_in_nul),
      cmocka_unit_test(test_strings_beyond_four_gigabytes_are_refused),
      cmocka_unit_test(test_what_is_not_utf8_is_known_by_its_size),
      cmocka_unit_test(test_hashes_are_the_same_everywhere),
      cmocka_unit_test(test_a_value_dies_with_its_last_reference),
      cmocka_unit_test(test_a_very_deep_value_is_released_and_compared_without_the_stack),
      cmocka_unit_test(test_depth_counts_containers),
      cmocka_unit_test(test_threads_share_a_value),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
