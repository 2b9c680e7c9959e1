/* MessagePack: what is written, what is read, and what is refused. */
#include <math.h>

#include "value_support.h"

typedef struct bytes_case {
  const char *json;
  const char *bytes; /* as hex */
} bytes_case;

static size_t from_hex(const char *hex, uint8_t *bytes) {
  size_t length = 0;
  for (; *hex != '\0'; hex += 2) {
    while (*hex == ' ') hex++;
    char pair[3] = {hex[0], hex[1], '\0'};
    bytes[length++] = (uint8_t)strtoul(pair, NULL, 16);
  }
  return length;
}

static void encode(const ms_value *value, msi_buffer *out) {
  msi_buffer_init(out, NULL);
  assert_ok(msi_pack_value(out, value));
  assert_int_equal(out->length, ms_value_bytes(value));
}

static ms_status decode_hex(const char *hex, const ms_value **out, ms_error *error) {
  uint8_t bytes[512];
  return ms_value_decode(NULL, bytes, from_hex(hex, bytes), out, error);
}

/* ------------------------------------------------------------------ values */

static const bytes_case canonical[] = {
    {"null", "c0"},
    {"false", "c2"},
    {"true", "c3"},
    {"{\"$empty\":true}", "c70001"},
    {"0", "00"},
    {"127", "7f"},
    {"128", "cc80"},
    {"255", "ccff"},
    {"256", "cd0100"},
    {"65535", "cdffff"},
    {"65536", "ce00010000"},
    {"4294967295", "ceffffffff"},
    {"4294967296", "cf0000000100000000"},
    {"9223372036854775807", "cf7fffffffffffffff"},
    {"-1", "ff"},
    {"-32", "e0"},
    {"-33", "d0df"},
    {"-128", "d080"},
    {"-129", "d1ff7f"},
    {"-32768", "d18000"},
    {"-32769", "d2ffff7fff"},
    {"-2147483648", "d280000000"},
    {"-2147483649", "d3ffffffff7fffffff"},
    {"-9223372036854775808", "d38000000000000000"},
    {"1.0", "cb3ff0000000000000"},
    {"-0.0", "cb8000000000000000"},
    {"{\"$numberDouble\":\"NaN\"}", "cb7ff8000000000000"},
    {"{\"$numberDouble\":\"-Infinity\"}", "cbfff0000000000000"},
    {"\"\"", "a0"},
    {"\"a\"", "a161"},
    {"\"\\u00e9\"", "a2c3a9"},
    {"{\"$binary\":{\"base64\":\"/w==\",\"subType\":\"00\"}}", "c401ff"},
    {"[]", "90"},
    {"[1,[2]]", "92019102"},
    {"{}", "80"},
    {"{\"a\":{\"b\":null}}", "81a16181a162c0"}};

static void test_values_have_one_shortest_encoding(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof canonical / sizeof *canonical; i++) {
    uint8_t expected[64];
    size_t length = from_hex(canonical[i].bytes, expected);
    const ms_value *value = test_json(canonical[i].json);
    msi_buffer out;
    encode(value, &out);
    assert_int_equal(out.length, length);
    assert_memory_equal(out.data, expected, length);
    const ms_value *back = NULL;
    assert_ok(ms_value_decode(NULL, out.data, out.length, &back, NULL));
    assert_true(ms_value_equal(back, value));
    ms_value_release(back);
    ms_value_release(value);
    msi_buffer_fini(&out);
  }
}

static void test_longer_encodings_are_read_as_well(void **state) {
  (void)state;
  static const bytes_case longer[] = {
      {"5", "cc05"},
      {"5", "cd0005"},
      {"5", "ce00000005"},
      {"5", "cf0000000000000005"},
      {"5", "d005"},
      {"5", "d10005"},
      {"5", "d200000005"},
      {"5", "d30000000000000005"},
      {"-1", "d3ffffffffffffffff"},
      {"0.5", "ca3f000000"},
      {"\"a\"", "d90161"},
      {"\"a\"", "da000161"},
      {"\"a\"", "db0000000161"},
      {"\"a\"", "c40161"},
      {"\"a\"", "c5000161"},
      {"\"a\"", "c60000000161"},
      {"{\"$binary\":{\"base64\":\"/w==\",\"subType\":\"00\"}}", "a1ff"},
      {"[1]", "dc000101"},
      {"[1]", "dd0000000101"},
      {"{\"a\":1}", "de0001a16101"},
      {"{\"a\":1}", "df00000001c4016101"},
      {"{\"$empty\":true}", "c8000001"},
      {"{\"$empty\":true}", "c90000000001"}};
  for (size_t i = 0; i < sizeof longer / sizeof *longer; i++) {
    const ms_value *value = test_json(longer[i].json);
    const ms_value *back = NULL;
    assert_ok(decode_hex(longer[i].bytes, &back, NULL));
    assert_true(ms_value_equal(back, value));
    ms_value_release(back);
    ms_value_release(value);
  }
}

static void test_sizes_around_every_boundary_survive(void **state) {
  (void)state;
  static const size_t sizes[] = {0,   1,   15,  16,  17,    31,    32,    33,
                                 254, 255, 256, 257, 65534, 65535, 65536, 65537};
  for (size_t i = 0; i < 3 * sizeof sizes / sizeof *sizes; i++) {
    size_t size = sizes[i / 3];
    const ms_value *value = NULL;
    if (i % 3 == 0) {
      char *bytes = calloc(1, size + 1);
      assert_non_null(bytes);
      for (int binary = 0; binary < 2; binary++) {
        if (binary == 1 && size > 0) bytes[size - 1] = '\x80';
        assert_ok(ms_value_new_string(NULL, bytes, size, &value));
        msi_buffer out;
        encode(value, &out);
        const ms_value *back = NULL;
        assert_ok(ms_value_decode(NULL, out.data, out.length, &back, NULL));
        assert_true(ms_value_equal(back, value));
        ms_value_release(back);
        ms_value_release(value);
        msi_buffer_fini(&out);
      }
      free(bytes);
      continue;
    }
    if (i % 3 == 1) {
      assert_ok(ms_value_new_array(NULL, &value));
    } else {
      assert_ok(ms_value_new_object(NULL, &value));
    }
    for (size_t k = 0; k < size; k++) {
      char key[32];
      int length = snprintf(key, sizeof key, "%zu", k);
      if (i % 3 == 1) {
        assert_ok(ms_value_append(NULL, &value, test_int(NULL, (int64_t)k)));
      } else {
        assert_ok(ms_value_put(NULL, &value, key, (size_t)length, ms_value_null()));
      }
    }
    msi_buffer out;
    encode(value, &out);
    const ms_value *back = NULL;
    assert_ok(ms_value_decode(NULL, out.data, out.length, &back, NULL));
    assert_true(ms_value_equal(back, value));
    assert_true(msi_value_check(back));
    ms_value_release(back);
    ms_value_release(value);
    msi_buffer_fini(&out);
  }
}

static void test_random_values_survive_and_encode_alike(void **state) {
  (void)state;
  test_random random = test_random_begin("codec");
  for (int round = 0; round < 400; round++) {
    const ms_value *value = test_random_value(&random, NULL, 5);
    assert_true(msi_value_check(value));
    msi_buffer out;
    encode(value, &out);
    const ms_value *back = NULL;
    assert_ok(ms_value_decode(NULL, out.data, out.length, &back, NULL));
    assert_true(ms_value_equal(back, value));
    assert_true(msi_value_check(back));
    msi_buffer again;
    encode(back, &again);
    assert_int_equal(again.length, out.length);
    assert_memory_equal(again.data, out.data, out.length);
    msi_buffer_fini(&again);
    msi_buffer_fini(&out);
    ms_value_release(back);
    ms_value_release(value);
  }
}

static void test_encoding_gives_a_string_value(void **state) {
  (void)state;
  const ms_value *value = test_json("[1,\"a\"]");
  const ms_value *encoded = NULL;
  const char *bytes = NULL;
  size_t length = 0;
  assert_ok(ms_value_encode(NULL, value, &encoded));
  assert_ok(ms_value_to_string(encoded, &bytes, &length));
  assert_int_equal(length, 4);
  assert_memory_equal(bytes, "\x92\x01\xA1\x61", 4);
  ms_value_release(encoded);
  ms_value_release(value);
}

/* Records of one kind share the strings of their keys. */
static void test_decoded_records_share_their_keys(void **state) {
  (void)state;
  const ms_value *records = NULL;
  assert_ok(decode_hex("92 81a46e616d6501 81a46e616d6502", &records, NULL));
  const ms_value *key[2] = {NULL};
  const ms_value *unused = NULL;
  for (size_t i = 0; i < 2; i++) {
    assert_true(msi_object_next(ms_value_at(records, i), NULL, &key[i], &unused));
  }
  assert_ptr_equal(key[0], key[1]);
  ms_value_release(records);
}

/* ------------------------------------------------------------------ refusals */

typedef struct refusal {
  const char *hex;
  ms_status status;
  const char *message;
} refusal;

static void test_malformed_bytes_are_refused_with_a_reason(void **state) {
  (void)state;
  static const refusal refusals[] = {
      {"", MS_ELIMIT, "the bytes end early"},
      {"c1", MS_ETYPE, "a type that is not supported"},
      {"cf8000000000000000", MS_ETYPE, "an integer is above 2^63-1"},
      {"9301cfffffffffffffffff02", MS_ETYPE, "an integer is above 2^63-1"},
      {"d40100", MS_ETYPE, "a type that is not supported"},
      {"d6ff00000000", MS_ETYPE, "a type that is not supported"},
      {"c70002", MS_ETYPE, "a type that is not supported"},
      {"c7010100", MS_ETYPE, "a type that is not supported"},
      {"c700", MS_ELIMIT, "the bytes end early"},
      {"0000", MS_ETYPE, "1 bytes follow the value"},
      {"9000", MS_ETYPE, "1 bytes follow the value"},
      {"810102", MS_ETYPE, "a key is not a string"},
      {"81c0c0", MS_ETYPE, "a key is not a string"},
      {"81c70001c0", MS_ETYPE, "a key is not a string"},
      {"8190c0", MS_ETYPE, "a key is not a string"},
      {"82a16101a16102", MS_ETYPE, "a key stands twice in one object"},
      {"82a16101c4016102", MS_ETYPE, "a key stands twice in one object"},
      {"db00000005616263", MS_ELIMIT, "the bytes end early"},
      {"c6ffffffff61", MS_ELIMIT, "the bytes end early"},
      {"ddffffffff01", MS_ELIMIT,
       "a container announces more items than there are bytes"},
      {"df7fffffffa161", MS_ELIMIT,
       "a container announces more items than there are bytes"},
      {"82a16101a1", MS_ELIMIT, "the bytes end early"},
      {"9201", MS_ELIMIT, "a container announces more items than there are bytes"}};
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
    const ms_value *value = NULL;
    ms_error error;
    assert_int_equal(decode_hex(refusals[i].hex, &value, &error), refusals[i].status);
    assert_int_equal(error.status, refusals[i].status);
    assert_string_equal(error.message, refusals[i].message);
    assert_null(value);
  }
}

static void test_levels_and_keys_beyond_the_limit_are_refused(void **state) {
  (void)state;
  uint8_t bytes[MS_KEY_MAX + 16];
  const ms_value *value = NULL;
  ms_error error;
  memset(bytes, 0x91, sizeof bytes);
  bytes[MS_DEPTH_MAX - 1] = 0x90;
  assert_ok(ms_value_decode(NULL, bytes, MS_DEPTH_MAX, &value, NULL));
  assert_int_equal(msi_value_depth(value, 1000), MS_DEPTH_MAX);
  ms_value_release(value);
  bytes[MS_DEPTH_MAX - 1] = 0x91;
  for (int last = 0; last < 3; last++) {
    size_t length = from_hex(last == 0   ? "90"
                             : last == 1 ? "80"
                                         : "c70001",
                             bytes + MS_DEPTH_MAX);
    assert_int_equal(ms_value_decode(NULL, bytes, MS_DEPTH_MAX + length, &value, &error),
                     MS_ELIMIT);
    assert_string_equal(error.message, "more than 100 levels");
  }
  bytes[MS_DEPTH_MAX] = 0x01;
  assert_ok(ms_value_decode(NULL, bytes, MS_DEPTH_MAX + 1, &value, NULL));
  ms_value_release(value);

  for (size_t length = MS_KEY_MAX; length <= MS_KEY_MAX + 1; length++) {
    memset(bytes, 'k', sizeof bytes);
    from_hex("81da", bytes);
    bytes[2] = (uint8_t)(length >> 8);
    bytes[3] = (uint8_t)length;
    bytes[4 + length] = 0x01;
    ms_status st = ms_value_decode(NULL, bytes, 5 + length, &value, &error);
    assert_int_equal(st, length == MS_KEY_MAX ? MS_OK : MS_ELIMIT);
    if (st == MS_OK) ms_value_release(value);
  }
  assert_string_equal(error.message, "a key has 4097 bytes, more than 4096");
}

static void test_every_truncation_is_refused(void **state) {
  (void)state;
  test_random random = test_random_begin("truncations");
  failing_alloc memory;
  failing_alloc_init(&memory);
  for (int round = 0; round < 40; round++) {
    const ms_value *value = test_random_value(&random, NULL, 4);
    msi_buffer out;
    encode(value, &out);
    ms_value_release(value);
    for (size_t length = 0; length < out.length && length < 700; length++) {
      uint8_t *exact = malloc(length + 1); /* so that a sanitizer sees a byte too far */
      assert_non_null(exact);
      uint8_t *bytes = exact + 1;
      memcpy(bytes, out.data, length);
      const ms_value *back = NULL;
      assert_int_equal(ms_value_decode(&memory.alloc, bytes, length, &back, NULL),
                       MS_ELIMIT);
      free(exact);
    }
    msi_buffer_fini(&out);
  }
  assert_true(failing_alloc_is_clean(&memory));
}

/* Whatever comes out of flipped bytes is a sound value, or a refusal. */
static void test_every_flipped_byte_is_survived(void **state) {
  (void)state;
  test_random random = test_random_begin("flips");
  failing_alloc memory;
  failing_alloc_init(&memory);
  for (int round = 0; round < 25; round++) {
    const ms_value *value = test_random_value(&random, NULL, 4);
    msi_buffer out;
    encode(value, &out);
    ms_value_release(value);
    for (size_t i = 0; i < out.length && i < 600; i++) {
      uint8_t kept = out.data[i];
      out.data[i] = round % 2 == 0 ? (uint8_t)~kept : (uint8_t)test_random_next(&random);
      const ms_value *back = NULL;
      ms_status st = ms_value_decode(&memory.alloc, out.data, out.length, &back, NULL);
      assert_true(st == MS_OK || st == MS_ETYPE || st == MS_ELIMIT);
      if (st == MS_OK) {
        assert_true(msi_value_check(back));
        ms_value_release(back);
      }
      out.data[i] = kept;
    }
    msi_buffer_fini(&out);
  }
  assert_true(failing_alloc_is_clean(&memory));
}

/* A few bytes cannot make the decoder ask for much memory. */
static void test_announced_counts_cost_no_memory(void **state) {
  (void)state;
  failing_alloc memory;
  failing_alloc_init(&memory);
  static uint8_t bytes[100000];
  memset(bytes, 0xC0, sizeof bytes);
  from_hex("dd0001869b", bytes); /* 99,995 items, and as many bytes: true */
  const ms_value *value = NULL;
  assert_ok(ms_value_decode(&memory.alloc, bytes, sizeof bytes, &value, NULL));
  ms_value_release(value);
  memory.bytes_max = 0;
  bytes[4]++; /* one more: a lie */
  assert_int_equal(ms_value_decode(&memory.alloc, bytes, sizeof bytes, &value, NULL),
                   MS_ELIMIT);
  assert_in_range(memory.bytes_max, 0, 1000);
  assert_true(failing_alloc_is_clean(&memory));
}

/* ------------------------------------------------------------------ pieces */

static void expect_pieces(const ms_value *value, size_t budget) {
  msi_encoder *encoder = NULL;
  msi_decoder *decoder = NULL;
  assert_ok(msi_encoder_new(NULL, value, &encoder));
  assert_ok(msi_decoder_new(NULL, MS_DEPTH_MAX, ms_value_bytes(value), &decoder));
  bool encoded = false;
  bool decoded = false;
  uint64_t bytes = 0;
  while (!encoded) {
    msi_buffer piece;
    msi_buffer_init(&piece, NULL);
    assert_false(decoded);
    assert_ok(msi_encoder_step(encoder, &piece, budget, &encoded));
    assert_true(piece.length > 0 || encoded);
    assert_true(encoded || piece.length >= budget);
    bytes += piece.length;
    assert_ok(msi_decoder_feed(decoder, piece.data, piece.length, &decoded, NULL));
    msi_buffer_fini(&piece);
  }
  assert_true(decoded);
  assert_int_equal(bytes, ms_value_bytes(value));
  const ms_value *back = msi_decoder_take(decoder);
  assert_true(ms_value_equal(back, value));
  assert_null(msi_decoder_take(decoder));
  ms_value_release(back);
  msi_encoder_free(encoder);
  msi_decoder_free(decoder);
}

static void test_values_go_through_in_pieces_of_any_size(void **state) {
  (void)state;
  test_random random = test_random_begin("pieces");
  for (int round = 0; round < 150; round++) {
    const ms_value *value = test_random_value(&random, NULL, 5);
    expect_pieces(value, 0);
    expect_pieces(value, 1 + test_random_below(&random, 100));
    expect_pieces(value, SIZE_MAX);
    ms_value_release(value);
  }
}

/* The encoder reads the version it was given, whatever becomes of the container. */
static void test_a_value_may_change_while_it_is_encoded(void **state) {
  (void)state;
  const ms_value *array = ms_value_empty();
  for (int i = 0; i < 500; i++) {
    assert_ok(ms_value_append(NULL, &array, test_int(NULL, i)));
  }
  msi_encoder *encoder = NULL;
  assert_ok(msi_encoder_new(NULL, array, &encoder));
  msi_buffer out;
  msi_buffer_init(&out, NULL);
  for (bool done = false; !done;) {
    assert_ok(msi_encoder_step(encoder, &out, 10, &done));
    if (ms_value_count(array) > 0) assert_ok(ms_value_erase_at(NULL, &array, 0));
  }
  const ms_value *back = NULL;
  assert_ok(ms_value_decode(NULL, out.data, out.length, &back, NULL));
  assert_int_equal(ms_value_count(back), 500);
  ms_value_release(back);
  ms_value_release(array);
  msi_buffer_fini(&out);
  msi_encoder_free(encoder);
}

static ms_status feed_hex(msi_decoder *decoder, const char *hex, bool *done,
                          ms_error *error) {
  uint8_t bytes[64];
  return msi_decoder_feed(decoder, bytes, from_hex(hex, bytes), done, error);
}

static void test_pieces_that_do_not_fit_are_refused(void **state) {
  (void)state;
  msi_decoder *decoder = NULL;
  ms_error error;
  bool done = false;
  assert_ok(msi_decoder_new(NULL, MS_DEPTH_MAX, 4, &decoder)); /* more than announced */
  assert_ok(feed_hex(decoder, "9301", &done, &error));
  assert_int_equal(feed_hex(decoder, "010101", &done, &error), MS_ELIMIT);
  assert_string_equal(error.message, "more bytes than were announced");
  assert_int_equal(feed_hex(decoder, "01", &done, &error), MS_ELIMIT); /* stays failed */
  msi_decoder_free(decoder);

  assert_ok(
      msi_decoder_new(NULL, MS_DEPTH_MAX, 100, &decoder)); /* a piece ends in an atom */
  assert_int_equal(feed_hex(decoder, "92a26e", &done, &error), MS_ELIMIT);
  msi_decoder_free(decoder);

  assert_ok(msi_decoder_new(NULL, MS_DEPTH_MAX, 100, &decoder)); /* bytes after the end */
  assert_ok(feed_hex(decoder, "9101", &done, &error));
  assert_true(done);
  assert_ok(feed_hex(decoder, "", &done, &error));
  assert_int_equal(feed_hex(decoder, "01", &done, &error), MS_ETYPE);
  assert_string_equal(error.message, "bytes follow the value");
  msi_decoder_free(decoder);

  assert_ok(
      msi_decoder_new(NULL, 1, 100, &decoder)); /* more levels than this one takes */
  assert_int_equal(feed_hex(decoder, "9190", &done, &error), MS_ELIMIT);
  msi_decoder_free(decoder);
  msi_decoder_free(NULL);
  msi_encoder_free(NULL);
}

/* ------------------------------------------------------------------ atoms */

static void test_atoms_are_read_as_they_were_written(void **state) {
  (void)state;
  msi_buffer out;
  msi_buffer_init(&out, NULL);
  assert_ok(msi_pack_nil(&out));
  assert_ok(msi_pack_bool(&out, true));
  assert_ok(msi_pack_int(&out, -7));
  assert_ok(msi_pack_uint(&out, UINT64_MAX));
  assert_ok(msi_pack_double(&out, 0.5));
  assert_ok(msi_pack_string(&out, "text", 4));
  assert_ok(msi_pack_string(&out, "\xFF", 1));
  assert_ok(msi_pack_bin(&out, "bin", 3));
  assert_ok(msi_pack_array(&out, 2));
  assert_ok(msi_pack_value(&out, ms_value_empty()));
  assert_ok(msi_pack_map(&out, 0));
  assert_ok(msi_pack_uint(&out, 300));

  msi_reader in = {out.data, out.data + out.length};
  bool flag = false;
  int64_t integer = 0;
  uint64_t number = 0;
  size_t size = 0;
  const char *bytes = NULL;
  const ms_value *value = NULL;
  const uint8_t *start = NULL;
  assert_ok(msi_unpack_nil(&in));
  assert_ok(msi_unpack_bool(&in, &flag));
  assert_true(flag);
  assert_ok(msi_unpack_int(&in, &integer));
  assert_int_equal(integer, -7);
  assert_int_equal(msi_unpack_int(&in, &integer), MS_ETYPE);
  assert_ok(msi_unpack_uint(&in, &number));
  assert_true(number == UINT64_MAX);
  assert_ok(msi_unpack_skip(&in, &start, &size));
  assert_int_equal(size, 9);
  assert_int_equal(*start, 0xCB);
  assert_ok(msi_unpack_string(&in, &bytes, &size));
  assert_int_equal(size, 4);
  assert_memory_equal(bytes, "text", 4);
  assert_int_equal(*in.at, 0xC4);
  assert_ok(msi_unpack_string(&in, &bytes, &size));
  assert_int_equal(size, 1);
  assert_ok(msi_unpack_string(&in, &bytes, &size));
  assert_memory_equal(bytes, "bin", 3);
  assert_ok(msi_unpack_array(&in, &size));
  assert_int_equal(size, 2);
  assert_ok(msi_unpack_value(&in, NULL, MS_DEPTH_MAX, &value, NULL));
  assert_ptr_equal(value, ms_value_empty());
  assert_ok(msi_unpack_map(&in, &size));
  assert_int_equal(size, 0);
  assert_ok(msi_unpack_int(&in, &integer));
  assert_int_equal(integer, 300);
  assert_ptr_equal(in.at, in.end);
  assert_int_equal(msi_unpack_nil(&in), MS_ELIMIT);
  msi_buffer_fini(&out);
}

static void test_a_failed_read_leaves_the_reader_where_it_was(void **state) {
  (void)state;
  static const char *const inputs[] = {
      "", "c1", "a5616263", "cd01", "dd00000009", "de0009", "81a161", "d30102", "ff"};
  for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
    uint8_t data[16] = {0};
    size_t length = from_hex(inputs[i], data);
    msi_reader in = {data, data + length};
    bool flag = false;
    uint64_t number = 0;
    size_t size = 0;
    const char *bytes = NULL;
    const uint8_t *start = NULL;
    const ms_value *value = NULL;
    assert_int_not_equal(msi_unpack_nil(&in), MS_OK);
    assert_int_not_equal(msi_unpack_bool(&in, &flag), MS_OK);
    assert_int_not_equal(msi_unpack_uint(&in, &number), MS_OK);
    assert_int_not_equal(msi_unpack_string(&in, &bytes, &size), MS_OK);
    assert_int_not_equal(msi_unpack_array(&in, &size), MS_OK);
    if (data[0] != 0x81) assert_int_not_equal(msi_unpack_map(&in, &size), MS_OK);
    if (data[0] != 0xFF) {
      assert_int_not_equal(msi_unpack_skip(&in, &start, &size), MS_OK);
      assert_int_not_equal(msi_unpack_value(&in, NULL, 9, &value, NULL), MS_OK);
    }
    if (data[0] != 0x81) assert_ptr_equal(in.at, data);
  }
}

static void test_skipping_finds_the_end_of_any_value(void **state) {
  (void)state;
  test_random random = test_random_begin("skip");
  for (int round = 0; round < 200; round++) {
    const ms_value *value = test_random_value(&random, NULL, 5);
    msi_buffer out;
    encode(value, &out);
    size_t length = out.length;
    assert_ok(msi_pack_nil(&out));
    msi_reader in = {out.data, out.data + out.length};
    const uint8_t *start = NULL;
    size_t bytes = 0;
    assert_ok(msi_unpack_skip(&in, &start, &bytes));
    assert_ptr_equal(start, out.data);
    assert_int_equal(bytes, length);
    assert_ok(msi_unpack_nil(&in));
    in = (msi_reader){out.data, out.data + length - 1};
    assert_int_equal(msi_unpack_skip(&in, &start, &bytes), MS_ELIMIT);
    msi_buffer_fini(&out);
    ms_value_release(value);
  }
  uint8_t deep[MSI_SKIP_DEPTH_MAX + 2];
  memset(deep, 0x91, sizeof deep);
  deep[MSI_SKIP_DEPTH_MAX] = 0xC0;
  msi_reader in = {deep, deep + MSI_SKIP_DEPTH_MAX + 1};
  const uint8_t *start = NULL;
  size_t bytes = 0;
  assert_ok(msi_unpack_skip(&in, &start, &bytes));
  deep[MSI_SKIP_DEPTH_MAX] = 0x91;
  deep[MSI_SKIP_DEPTH_MAX + 1] = 0xC0;
  in = (msi_reader){deep, deep + sizeof deep};
  assert_int_equal(msi_unpack_skip(&in, &start, &bytes), MS_ELIMIT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_values_have_one_shortest_encoding),
      cmocka_unit_test(test_longer_encodings_are_read_as_well),
      cmocka_unit_test(test_sizes_around_every_boundary_survive),
      cmocka_unit_test(test_random_values_survive_and_encode_alike),
      cmocka_unit_test(test_encoding_gives_a_string_value),
      cmocka_unit_test(test_decoded_records_share_their_keys),
      cmocka_unit_test(test_malformed_bytes_are_refused_with_a_reason),
      cmocka_unit_test(test_levels_and_keys_beyond_the_limit_are_refused),
      cmocka_unit_test(test_every_truncation_is_refused),
      cmocka_unit_test(test_every_flipped_byte_is_survived),
      cmocka_unit_test(test_announced_counts_cost_no_memory),
      cmocka_unit_test(test_values_go_through_in_pieces_of_any_size),
      cmocka_unit_test(test_a_value_may_change_while_it_is_encoded),
      cmocka_unit_test(test_pieces_that_do_not_fit_are_refused),
      cmocka_unit_test(test_atoms_are_read_as_they_were_written),
      cmocka_unit_test(test_a_failed_read_leaves_the_reader_where_it_was),
      cmocka_unit_test(test_skipping_finds_the_end_of_any_value),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
