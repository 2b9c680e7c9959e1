/* What the tests of values share: cmocka's includes, random numbers and values, keys of
 * any hash. */
#ifndef VALUE_SUPPORT_H
#define VALUE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec.h"
#include "diff.h"
#include "failing_alloc.h"
#include "value.h"

#define assert_ok(call) assert_int_equal((call), MS_OK)

/* ----- random numbers: the same for the same seed everywhere */

typedef struct test_random {
  uint64_t state;
} test_random;

/* The seed of this run: $MEMSHARE_TEST_SEED or a fixed one; printed, so that a failure
 * can be repeated. */
static inline test_random test_random_begin(const char *test) {
  const char *text = getenv("MEMSHARE_TEST_SEED");
  uint64_t seed = text == NULL ? 20240607 : strtoull(text, NULL, 10);
  print_message("%s: MEMSHARE_TEST_SEED=%llu\n", test, (unsigned long long)seed);
  return (test_random){seed * 0x9E3779B97F4A7C15u + 1};
}

static inline uint64_t test_random_next(test_random *random) {
  uint64_t x = random->state += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

static inline size_t test_random_below(test_random *random, size_t limit) {
  return (size_t)(test_random_next(random) % limit);
}

/* ----- values */

static inline const ms_value *test_int(const ms_alloc *alloc, int64_t number) {
  const ms_value *value = NULL;
  assert_ok(ms_value_new_int(alloc, number, &value));
  return value;
}

static inline const ms_value *test_double(const ms_alloc *alloc, double number) {
  const ms_value *value = NULL;
  assert_ok(ms_value_new_double(alloc, number, &value));
  return value;
}

static inline const ms_value *test_string(const ms_alloc *alloc, const char *text) {
  const ms_value *value = NULL;
  assert_ok(ms_value_new_string(alloc, text, strlen(text), &value));
  return value;
}

/* A value from JSON text. */
static inline const ms_value *test_json(const char *text) {
  const ms_value *value = NULL;
  ms_error error;
  ms_status st = ms_value_from_json(NULL, text, strlen(text), &value, &error);
  if (st != MS_OK) fail_msg("%s: %s", text, error.message);
  return value;
}

static inline int64_t test_to_int(const ms_value *value) {
  int64_t number = 0;
  assert_non_null(value);
  assert_ok(ms_value_to_int(value, &number));
  return number;
}

static inline void test_put(const ms_alloc *alloc, const ms_value **object,
                            const char *key, const ms_value *value) {
  assert_ok(ms_value_put(alloc, object, key, strlen(key), value));
}

static const int64_t test_integers[] = {0,
                                        1,
                                        -1,
                                        31,
                                        32,
                                        127,
                                        128,
                                        255,
                                        256,
                                        -32,
                                        -33,
                                        -128,
                                        -129,
                                        32767,
                                        32768,
                                        65535,
                                        65536,
                                        -32768,
                                        -32769,
                                        INT32_MAX,
                                        INT32_MIN,
                                        UINT32_MAX,
                                        1LL << 32,
                                        1LL << 61,
                                        -(1LL << 61),
                                        (1LL << 61) - 1,
                                        INT64_MAX,
                                        INT64_MIN};

static const double test_doubles[] = {0.0,
                                      -0.0,
                                      1.0,
                                      -1.0,
                                      0.1,
                                      1e77,
                                      1e78,
                                      -1e77,
                                      1e-77,
                                      1e-78,
                                      1e300,
                                      1e-300,
                                      5e-324,
                                      1.7272337110188893e-77,
                                      3.141592653589793,
                                      -2.5e-5};

enum {
  TEST_INTEGERS = sizeof test_integers / sizeof *test_integers,
  TEST_DOUBLES = sizeof test_doubles / sizeof *test_doubles
};

static inline const ms_value *test_random_string(test_random *random,
                                                 const ms_alloc *alloc) {
  char bytes[300];
  size_t length = test_random_below(random, test_random_below(random, 8) == 0 ? 300 : 12);
  bool is_text = test_random_below(random, 3) > 0;
  for (size_t i = 0; i < length; i++) {
    uint64_t r = test_random_next(random);
    bytes[i] = (char)(is_text ? ' ' + r % 95 : r);
  }
  const ms_value *value = NULL;
  assert_ok(ms_value_new_string(alloc, bytes, length, &value));
  return value;
}

static inline const ms_value *test_random_scalar(test_random *random,
                                                 const ms_alloc *alloc) {
  switch (test_random_below(random, 8)) {
    case 0: return ms_value_null();
    case 1: return ms_value_bool(test_random_below(random, 2) == 0);
    case 2: return ms_value_empty();
    case 3:
      return test_int(alloc, test_integers[test_random_below(random, TEST_INTEGERS)]);
    case 4: return test_int(alloc, (int64_t)test_random_next(random));
    case 5:
      return test_double(alloc, test_doubles[test_random_below(random, TEST_DOUBLES)]);
    default: return test_random_string(random, alloc);
  }
}

/* Of at most `depth` levels. */
static inline const ms_value *test_random_value(test_random *random,
                                                const ms_alloc *alloc, unsigned depth) {
  size_t kind = depth == 0 ? 0 : test_random_below(random, 5);
  if (kind < 2) return test_random_scalar(random, alloc);
  bool is_wide = test_random_below(random, 10) == 0;
  size_t count = test_random_below(random, is_wide ? 90 : 7);
  const ms_value *container = NULL;
  if (kind == 2) {
    assert_ok(ms_value_new_array(alloc, &container));
  } else {
    assert_ok(ms_value_new_object(alloc, &container));
  }
  for (size_t i = 0; i < count; i++) {
    const ms_value *child = test_random_value(random, alloc, depth - 1);
    if (kind == 2) {
      assert_ok(ms_value_append(alloc, &container, child));
    } else {
      const ms_value *key = test_random_string(random, alloc);
      assert_ok(msi_object_put(alloc, &container, key, child));
      ms_value_release(key);
    }
    ms_value_release(child);
  }
  return container;
}

/* ----- keys of a chosen hash */

enum { TEST_KEY_BYTES = 8 };

/* Undoes msi_string_hash() for strings of 8 bytes: for every `salt` another key of that
 * hash. */
static inline void test_key_of_hash(uint32_t hash, uint32_t salt,
                                    char key[TEST_KEY_BYTES]) {
  const uint64_t m = 0xC6A4A7935BD1E995u;
  uint64_t inverse = m; /* Newton's iteration doubles the correct bits */
  for (int i = 0; i < 6; i++) inverse *= 2 - m * inverse;
  uint64_t x = (uint64_t)hash << 32 | salt;
  x ^= x >> 47;
  x *= inverse;
  x ^= x >> 47;
  x *= inverse;
  x ^= 0x6D656D7368617265u ^ (TEST_KEY_BYTES * m);
  x *= inverse;
  x ^= x >> 47;
  x *= inverse;
  for (int i = 0; i < TEST_KEY_BYTES; i++) key[i] = (char)(x >> (8 * i));
  assert_int_equal(msi_string_hash(key, TEST_KEY_BYTES), hash);
}

#endif
