/*
 * Every allocation of the value layer fails once: each scenario runs with the n-th
 * request failing, for n = 0, 1, 2, ... until it succeeds. Each time the failing call
 * says MS_ENOMEM, what it worked on is as it was, and nothing is left behind.
 */
#include "value_support.h"

typedef struct sweep {
  failing_alloc memory;
  const ms_alloc *alloc;
} sweep;

/* Runs one scenario once; any status but MS_OK must be MS_ENOMEM. */
typedef ms_status (*scenario_fn)(sweep *run, size_t variant);

static void run_sweep(scenario_fn scenario, size_t variant) {
  sweep run;
  for (uint64_t n = 0;; n++) {
    for (int persistent = 0; persistent < 2; persistent++) {
      failing_alloc_init(&run.memory);
      run.memory.fail_from_there = persistent == 1;
      run.alloc = &run.memory.alloc;
      failing_alloc_fail_at(&run.memory, n);
      ms_status st = scenario(&run, variant);
      assert_int_equal(st, run.memory.failed ? MS_ENOMEM : MS_OK);
      assert_true(failing_alloc_is_clean(&run.memory));
    }
    if (!run.memory.failed) break;
    assert_in_range(n, 0, 100000);
  }
}

/* ------------------------------------------------------------------ one change */

enum { CHANGE_PUT_NEW, CHANGE_PUT_OLD, CHANGE_ERASE, CHANGE_KINDS };

static size_t object_key(char *key, size_t i, size_t shape) {
  if (shape == 0) return (size_t)sprintf(key, "key%zu", i);
  test_key_of_hash(shape == 1 ? 0x13131313u : 0x13131300u | (uint32_t)i, (uint32_t)i,
                   key);
  return TEST_KEY_BYTES;
}

/* An object made in memory that does not fail. */
static const ms_value *make_object(sweep *run, size_t size, size_t shape) {
  uint64_t fail_at = run->memory.fail_at;
  uint64_t before = run->memory.requests;
  failing_alloc_never_fail(&run->memory);
  const ms_value *object = ms_value_empty();
  for (size_t i = 0; i < size; i++) {
    char key[32];
    size_t length = object_key(key, i, shape);
    const ms_value *value = test_int(NULL, (int64_t)i);
    assert_ok(ms_value_put(run->alloc, &object, key, length, value));
  }
  run->memory.fail_at = fail_at + (run->memory.requests - before);
  return object;
}

static ms_status change_object(sweep *run, size_t variant) {
  size_t kind = variant % CHANGE_KINDS;
  bool shared = variant / CHANGE_KINDS % 2 == 1;
  size_t shape = variant / CHANGE_KINDS / 2 % 3;
  static const size_t sizes[] = {1, 4, 16, 17, 18, 40, 150};
  size_t size = sizes[variant / CHANGE_KINDS / 6];
  const ms_value *object = make_object(run, size, shape);
  const ms_value *expected = make_object(run, size, shape);
  const ms_value *other = shared ? ms_value_retain(object) : NULL;
  const ms_value *before = object;
  char key[32];
  size_t length = object_key(key, kind == CHANGE_PUT_NEW ? size : size / 2, shape);
  ms_status st = kind == CHANGE_ERASE
                     ? ms_value_erase(run->alloc, &object, key, length)
                     : ms_value_put(run->alloc, &object, key, length, ms_value_null());
  assert_true(msi_value_check(object));
  if (st != MS_OK) {
    assert_ptr_equal(object, before);
    assert_true(ms_value_equal(object, expected));
  } else {
    assert_false(ms_value_equal(object, expected));
  }
  if (other != NULL) assert_true(ms_value_equal(other, expected));
  ms_value_release(other);
  ms_value_release(expected);
  ms_value_release(object);
  return st;
}

static void test_changing_an_object_is_all_or_nothing(void **state) {
  (void)state;
  for (size_t variant = 0; variant < CHANGE_KINDS * 2 * 3 * 7; variant++) {
    run_sweep(change_object, variant);
  }
}

static const ms_value *make_array(sweep *run, size_t size, bool scattered) {
  uint64_t fail_at = run->memory.fail_at;
  uint64_t before = run->memory.requests;
  failing_alloc_never_fail(&run->memory);
  const ms_value *array = ms_value_empty();
  for (size_t i = 0; i < size; i++) {
    size_t at = scattered ? i * 7919 % (i + 1) : i;
    assert_ok(ms_value_insert(run->alloc, &array, at, test_int(NULL, (int64_t)i)));
  }
  run->memory.fail_at = fail_at + (run->memory.requests - before);
  return array;
}

static ms_status change_array(sweep *run, size_t variant) {
  static const size_t sizes[] = {1, 4, 32, 33, 64, 200, 1056, 1100, 2500};
  size_t kind = variant % 6;
  bool shared = variant / 6 % 2 == 1;
  bool scattered = variant / 12 % 2 == 1;
  size_t size = sizes[variant / 24];
  const ms_value *array = make_array(run, size, scattered);
  const ms_value *expected = make_array(run, size, scattered);
  const ms_value *other = shared ? ms_value_retain(array) : NULL;
  const ms_value *before = array;
  ms_status st = MS_OK;
  switch (kind) {
    case 0: st = ms_value_append(run->alloc, &array, ms_value_null()); break;
    case 1: st = ms_value_insert(run->alloc, &array, size / 2, ms_value_null()); break;
    case 2: st = ms_value_insert(run->alloc, &array, 0, ms_value_null()); break;
    case 3: st = ms_value_replace(run->alloc, &array, size / 3, ms_value_null()); break;
    case 4: st = ms_value_erase_at(run->alloc, &array, size / 2); break;
    default: st = ms_value_erase_at(run->alloc, &array, size - 1); break;
  }
  assert_true(msi_value_check(array));
  if (st != MS_OK) {
    assert_ptr_equal(array, before);
    assert_true(ms_value_equal(array, expected));
  } else {
    assert_false(ms_value_equal(array, expected));
  }
  if (other != NULL) assert_true(ms_value_equal(other, expected));
  ms_value_release(other);
  ms_value_release(expected);
  ms_value_release(array);
  return st;
}

static void test_changing_an_array_is_all_or_nothing(void **state) {
  (void)state;
  for (size_t variant = 0; variant < 6 * 2 * 2 * 9; variant++) {
    run_sweep(change_array, variant);
  }
}

static ms_status change_empty(sweep *run, size_t variant) {
  const ms_value *value = ms_value_empty();
  ms_status st = variant == 0 ? ms_value_append(run->alloc, &value, ms_value_null())
                              : ms_value_put(run->alloc, &value, "k", 1, ms_value_null());
  if (st != MS_OK) assert_ptr_equal(value, ms_value_empty());
  ms_value_release(value);
  return st;
}

static void test_the_empty_table_stays_empty(void **state) {
  (void)state;
  run_sweep(change_empty, 0);
  run_sweep(change_empty, 1);
}

/* Erasing until chunks are too small, each time with every request failing once. */
static ms_status drain_array(sweep *run, size_t from_front) {
  const ms_value *array = make_array(run, 300, true);
  ms_status st = MS_OK;
  while (st == MS_OK && ms_value_count(array) > 0) {
    size_t count = ms_value_count(array);
    st = ms_value_erase_at(run->alloc, &array, from_front == 1 ? 0 : count / 2);
    assert_int_equal(ms_value_count(array), st == MS_OK ? count - 1 : count);
    assert_true(msi_value_check(array));
  }
  ms_value_release(array);
  return st;
}

static void test_draining_an_array_is_all_or_nothing(void **state) {
  (void)state;
  run_sweep(drain_array, 0);
  run_sweep(drain_array, 1);
}

/* ------------------------------------------------------------------ making and reading
 * */

static ms_status make_scalars(sweep *run, size_t variant) {
  (void)variant;
  const ms_value *value = NULL;
  ms_status st = ms_value_new_int(run->alloc, INT64_MIN, &value);
  if (st == MS_OK) {
    ms_value_release(value);
    st = ms_value_new_double(run->alloc, 1e300, &value);
  }
  if (st == MS_OK) {
    ms_value_release(value);
    st = ms_value_new_string(run->alloc, "text", 4, &value);
  }
  if (st == MS_OK) {
    ms_value_release(value);
    st = ms_value_new_array(run->alloc, &value);
  }
  if (st == MS_OK) {
    ms_value_release(value);
    st = ms_value_new_object(run->alloc, &value);
  }
  if (st == MS_OK) ms_value_release(value);
  return st;
}

static void test_making_scalars_fails_cleanly(void **state) {
  (void)state;
  run_sweep(make_scalars, 0);
}

/* All types, flat and large containers, keys that repeat, deep enough for every stack to
 * grow. */
static const ms_value *make_sample(void) {
  const ms_value *sample = test_json(
      "{\"a\":[1,2.5,1e300,9223372036854775807,\"text\",null,true,{\"$empty\":true},[],{}"
      "],"
      "\"b\":{\"$binary\":{\"base64\":\"//8=\",\"subType\":\"00\"}},"
      "\"n\":{\"$numberDouble\":\"-Infinity\"},\"e\":{\"$entries\":[[\"$empty\",1]]},"
      "\"x\":{\"$entries\":[[\"nul\\u0000\",1]]},"
      "\"r\":[{\"id\":1,\"name\":\"one\"},{\"id\":2,\"name\":\"two\"}]}");
  const ms_value *deep = test_int(NULL, INT64_MAX);
  for (int i = 0; i < 40; i++) {
    const ms_value *outer = ms_value_empty();
    if (i % 2 == 0) {
      assert_ok(ms_value_append(NULL, &outer, deep));
    } else {
      test_put(NULL, &outer, "deeper", deep);
    }
    ms_value_release(deep);
    deep = outer;
  }
  test_put(NULL, &sample, "deep", deep);
  ms_value_release(deep);
  const ms_value *wide = ms_value_empty();
  const ms_value *list = ms_value_empty();
  for (int i = 0; i < 50; i++) {
    char key[16];
    snprintf(key, sizeof key, "k%d", i);
    test_put(NULL, &wide, key, ms_value_null());
    assert_ok(ms_value_append(NULL, &list, ms_value_null()));
  }
  test_put(NULL, &sample, "wide", wide);
  test_put(NULL, &sample, "list", list);
  ms_value_release(wide);
  ms_value_release(list);
  return sample;
}

static const ms_value *sample;
static const ms_value *sample_bytes;
static const ms_value *sample_json;

static int make_samples(void **state) {
  (void)state;
  sample = make_sample();
  assert_ok(ms_value_encode(NULL, sample, &sample_bytes));
  assert_ok(ms_value_to_json(NULL, sample, MS_JSON_LOSSLESS, &sample_json));
  return 0;
}

static int release_samples(void **state) {
  (void)state;
  ms_value_release(sample);
  ms_value_release(sample_bytes);
  ms_value_release(sample_json);
  return 0;
}

static ms_status encode(sweep *run, size_t variant) {
  (void)variant;
  const ms_value *out = NULL;
  ms_status st = ms_value_encode(run->alloc, sample, &out);
  if (st != MS_OK) return st;
  assert_true(ms_value_equal(out, sample_bytes));
  ms_value_release(out);
  return MS_OK;
}

static ms_status decode(sweep *run, size_t variant) {
  (void)variant;
  const char *bytes = NULL;
  size_t length = 0;
  const ms_value *out = NULL;
  ms_error error = {MS_OK, ""};
  assert_ok(ms_value_to_string(sample_bytes, &bytes, &length));
  ms_status st = ms_value_decode(run->alloc, bytes, length, &out, &error);
  assert_int_equal(error.status, st);
  if (st != MS_OK) return st;
  failing_alloc_never_fail(&run->memory);
  assert_true(ms_value_equal(out, sample));
  ms_value_release(out);
  return MS_OK;
}

/* A step that ran out of memory is repeated and loses nothing. */
static ms_status encode_pieces(sweep *run, size_t budget) {
  msi_encoder *encoder = NULL;
  ms_status st = msi_encoder_new(run->alloc, sample, &encoder);
  if (st != MS_OK) return st;
  msi_buffer out;
  msi_buffer_init(&out, run->alloc);
  ms_status failure = MS_OK;
  for (bool done = false; !done;) {
    st = msi_encoder_step(encoder, &out, budget, &done);
    if (st == MS_OK) continue;
    assert_int_equal(failure, MS_OK);
    failure = st;
    failing_alloc_never_fail(&run->memory);
  }
  const ms_value *text = NULL;
  assert_ok(ms_value_new_string(NULL, (const char *)out.data, out.length, &text));
  assert_true(ms_value_equal(text, sample_bytes));
  ms_value_release(text);
  msi_buffer_fini(&out);
  msi_encoder_free(encoder);
  return failure;
}

/* The buffer is as long as it was. */
static ms_status pack(sweep *run, size_t variant) {
  (void)variant;
  msi_buffer out;
  msi_buffer_init(&out, run->alloc);
  ms_status st = msi_pack_array(&out, 3);
  size_t before = out.length;
  if (st == MS_OK)
    st = msi_pack_string(&out, "a string that needs room of its own .........", 44);
  if (st != MS_OK) assert_int_equal(out.length, before);
  before = out.length;
  if (st == MS_OK) st = msi_pack_value(&out, sample);
  if (st != MS_OK) assert_int_equal(out.length, before);
  msi_buffer_fini(&out);
  return st;
}

static ms_status decode_piece(sweep *run, size_t variant) {
  (void)variant;
  const char *bytes = NULL;
  size_t length = 0;
  assert_ok(ms_value_to_string(sample_bytes, &bytes, &length));
  msi_decoder *decoder = NULL;
  ms_status st = msi_decoder_new(run->alloc, MS_DEPTH_MAX, length, &decoder);
  if (st != MS_OK) return st;
  bool done = false;
  st = msi_decoder_feed(decoder, bytes, length, &done, NULL);
  assert_int_equal(done, st == MS_OK);
  const ms_value *value = msi_decoder_take(decoder);
  if (done) assert_true(ms_value_equal(value, sample));
  ms_value_release(value);
  msi_decoder_free(decoder);
  return st;
}

static ms_status from_json(sweep *run, size_t variant) {
  (void)variant;
  const char *text = NULL;
  size_t length = 0;
  const ms_value *out = NULL;
  ms_error error = {MS_OK, ""};
  assert_ok(ms_value_to_string(sample_json, &text, &length));
  ms_status st = ms_value_from_json(run->alloc, text, length, &out, &error);
  assert_int_equal(error.status, st);
  if (st != MS_OK) return st;
  failing_alloc_never_fail(&run->memory);
  assert_true(ms_value_equal(out, sample));
  ms_value_release(out);
  return MS_OK;
}

static ms_status to_json(sweep *run, size_t flags) {
  const ms_value *out = NULL;
  ms_status st = ms_value_to_json(run->alloc, sample, (unsigned)flags, &out);
  if (st != MS_OK) return st;
  if (flags == MS_JSON_LOSSLESS) assert_true(ms_value_equal(out, sample_json));
  ms_value_release(out);
  return MS_OK;
}

static void test_encoding_fails_cleanly(void **state) {
  (void)state;
  run_sweep(encode, 0);
  run_sweep(pack, 0);
  run_sweep(encode_pieces, 0);
  run_sweep(encode_pieces, SIZE_MAX);
}

static void test_decoding_fails_cleanly(void **state) {
  (void)state;
  run_sweep(decode, 0);
  run_sweep(decode_piece, 0);
}

static void test_json_fails_cleanly(void **state) {
  (void)state;
  run_sweep(from_json, 0);
  run_sweep(to_json, MS_JSON_LOSSLESS);
  run_sweep(to_json, MS_JSON_PRETTY);
}

/* Deep values are compared with a list in memory; without it they are not known to be
 * equal. */
static void test_comparing_deep_values_without_memory_says_not_equal(void **state) {
  (void)state;
  sweep run;
  failing_alloc_init(&run.memory);
  run.alloc = &run.memory.alloc;
  const ms_value *deep[2];
  for (int k = 0; k < 2; k++) {
    deep[k] = ms_value_empty();
    for (int i = 0; i < 200; i++) {
      const ms_value *outer = ms_value_empty();
      assert_ok(ms_value_append(run.alloc, &outer, deep[k]));
      ms_value_release(deep[k]);
      deep[k] = outer;
    }
  }
  assert_true(ms_value_equal(deep[0], deep[1]));
  failing_alloc_fail_at(&run.memory, 0);
  assert_false(ms_value_equal(deep[0], deep[1]));
  assert_true(ms_value_equal(deep[0], deep[0]));
  ms_value_release(deep[0]);
  ms_value_release(deep[1]);
  assert_true(failing_alloc_is_clean(&run.memory));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_making_scalars_fails_cleanly),
      cmocka_unit_test(test_changing_an_object_is_all_or_nothing),
      cmocka_unit_test(test_changing_an_array_is_all_or_nothing),
      cmocka_unit_test(test_the_empty_table_stays_empty),
      cmocka_unit_test(test_draining_an_array_is_all_or_nothing),
      cmocka_unit_test(test_encoding_fails_cleanly),
      cmocka_unit_test(test_decoding_fails_cleanly),
      cmocka_unit_test(test_json_fails_cleanly),
      cmocka_unit_test(test_comparing_deep_values_without_memory_says_not_equal),
  };
  return cmocka_run_group_tests(tests, make_samples, release_samples);
}
