/* Compiled paths: text, keys, patterns, order, wire form, messages. */
#include "update_support.h"

static void assert_refused(const char *text, ms_status wanted, const char *message) {
  ms_path *path = NULL;
  ms_error error = {MS_OK, ""};
  assert_int_equal(ms_path_parse(NULL, text, strlen(text), &path, &error), wanted);
  assert_null(path);
  assert_int_equal(error.status, wanted);
  assert_string_equal(error.message, message);
}

static void assert_text(const ms_path *path, const char *wanted) {
  const ms_value *text;
  const char *bytes;
  size_t length;
  assert_int_equal(ms_path_text(path, &text), MS_OK);
  assert_int_equal(ms_value_to_string(text, &bytes, &length), MS_OK);
  assert_int_equal(length, strlen(wanted));
  assert_memory_equal(bytes, wanted, length);
  ms_value_release(text);
}

static void test_path_text_is_split_at_dots(void **state) {
  (void)state;
  ms_path *path = mst_path("players.12.hp");
  assert_int_equal(ms_path_count(path), 3);
  ms_key key = ms_path_key(path, 1);
  assert_int_equal(key.length, 2);
  assert_memory_equal(key.bytes, "12", 2);
  assert_text(path, "players.12.hp");
  ms_path_release(path);
}

static void test_path_of_empty_text_is_the_whole_document(void **state) {
  (void)state;
  ms_path *path = mst_path("");
  assert_int_equal(ms_path_count(path), 0);
  assert_text(path, "");
  const ms_value *root = mst_json("{\"a\": 1}");
  assert_ptr_equal(ms_path_find(path, root), root);
  ms_value_release(root);
  ms_path_release(path);
}

static void test_path_only_decimals_without_leading_zeros_are_indexes(void **state) {
  (void)state;
  ms_path *path = mst_path("0.10.01.-1.1e2.9223372036854775807.9223372036854775808.x");
  const int64_t wanted[] = {0, 10, -1, -1, -1, INT64_MAX, -1, -1};
  for (size_t i = 0; i < 8; i++) assert_int_equal(path->segments[i].index, wanted[i]);
  ms_path_release(path);
}

static void test_path_text_is_refused_with_what_is_wrong(void **state) {
  (void)state;
  assert_refused("a..b", MS_EPATH, "\"a..b\" has an empty key");
  assert_refused(".a", MS_EPATH, "\".a\" has an empty key");
  assert_refused("a.", MS_EPATH, "\"a.\" has an empty key");
  assert_refused(".", MS_EPATH, "\".\" has an empty key");
  assert_refused("a.$", MS_EPATH, "\"a.$\": the key \"$\" begins with '$'");
  assert_refused("$b", MS_EPATH, "\"$b\": the key \"$b\" begins with '$'");
  char text[MS_PATH_MAX + 2];
  memset(text, 'a', sizeof text);
  text[MS_PATH_MAX + 1] = '\0';
  assert_refused(text, MS_EPATH, "a path of 65537 bytes is longer than 65536");
  text[MS_KEY_MAX + 1] = '\0';
  assert_refused(text, MS_ELIMIT, "a key of 4097 bytes is longer than 4096");
  text[MS_KEY_MAX] = '\0';
  ms_path_release(mst_path(text));
  for (size_t i = 1; i < 201; i += 2) text[i] = '.';
  text[201] = '\0';
  assert_refused(text, MS_ELIMIT, "a path of 101 keys is deeper than 100");
  text[199] = '\0';
  ms_path_release(mst_path(text));
}

static void test_path_from_keys_takes_any_bytes(void **state) {
  (void)state;
  const ms_key keys[] = {{"a.b", 3}, {NULL, 0}, {"$x", 2}, {"n\0l", 3}, {"7", 1}};
  ms_path *path = NULL;
  assert_int_equal(ms_path_new(NULL, keys, 5, &path, NULL), MS_OK);
  for (size_t i = 0; i < 5; i++) {
    ms_key key = ms_path_key(path, i);
    assert_int_equal(key.length, keys[i].length);
    if (key.length > 0) assert_memory_equal(key.bytes, keys[i].bytes, key.length);
  }
  assert_int_equal(path->segments[4].index, 7);
  ms_path_release(path);
}

static void test_path_from_keys_keeps_the_limits(void **state) {
  (void)state;
  static char bytes[MS_KEY_MAX + 1];
  ms_key keys[MS_DEPTH_MAX + 1];
  for (size_t i = 0; i <= MS_DEPTH_MAX; i++) keys[i] = (ms_key){"k", 1};
  ms_path *path = NULL, *joined = NULL;
  assert_int_equal(ms_path_new(NULL, keys, MS_DEPTH_MAX + 1, &path, NULL), MS_ELIMIT);
  assert_null(path);
  assert_int_equal(ms_path_new(NULL, keys, MS_DEPTH_MAX, &path, NULL), MS_OK);
  assert_int_equal(ms_path_join(path, "k", 1, &joined, NULL), MS_ELIMIT);
  ms_path_release(path);
  keys[0] = (ms_key){bytes, sizeof bytes};
  path = NULL;
  assert_int_equal(ms_path_new(NULL, keys, 1, &path, NULL), MS_ELIMIT);
  assert_null(path);
  assert_null(joined);
}

static void test_path_join_adds_one_key(void **state) {
  (void)state;
  ms_path *path = mst_path("a.b"), *joined = NULL;
  assert_int_equal(ms_path_join(path, "c.d", 3, &joined, NULL), MS_OK);
  assert_int_equal(ms_path_count(joined), 3);
  assert_text(joined, "a.b.c.d");
  assert_true(msi_path_begins(path, joined));
  assert_text(path, "a.b");
  ms_path_release(joined);
  ms_path_release(path);
}

static void test_path_finds_through_objects_and_arrays(void **state) {
  (void)state;
  const ms_value *root = mst_json("{\"a\": [{\"b\": 5}, [6]], \"0\": {\"1\": 7}, \"s\": "
                                  "\"x\", \"e\": {\"$empty\": true}}");
  const char *const there[] = {"a.0.b", "a.1.0", "0.1"};
  for (int64_t i = 0; i < 3; i++) {
    ms_path *path = mst_path(there[i]);
    int64_t number = 0;
    assert_int_equal(ms_value_to_int(ms_path_find(path, root), &number), MS_OK);
    assert_int_equal(number, 5 + i);
    ms_path_release(path);
  }
  const char *const absent[] = {"a.2", "a.b", "a.00", "s.0", "x.y.z", "e.0", "0.01"};
  for (size_t i = 0; i < 7; i++) {
    ms_path *path = mst_path(absent[i]);
    assert_null(ms_path_find(path, root));
    ms_path_release(path);
  }
  ms_value_release(root);
}

static void test_path_wildcards_count_in_patterns_only(void **state) {
  (void)state;
  ms_path *pattern = mst_pattern("a.*.**.b*"), *literal = mst_path("a.*.**.b*");
  assert_int_equal(pattern->segments[0].kind, MSI_SEGMENT_KEY);
  assert_int_equal(pattern->segments[1].kind, MSI_SEGMENT_ANY);
  assert_int_equal(pattern->segments[2].kind, MSI_SEGMENT_DEEP);
  assert_int_equal(pattern->segments[3].kind, MSI_SEGMENT_KEY);
  assert_false(msi_path_is_literal(pattern));
  assert_true(msi_path_is_literal(literal));
  assert_false(msi_path_equal(pattern, literal));
  assert_text(pattern, "a.*.**.b*");
  const ms_value *root = mst_json("{\"a\": {\"*\": 1}}");
  ms_path *star = mst_path("a.*"), *any = mst_pattern("a.*");
  assert_non_null(ms_path_find(star, root));
  assert_null(ms_path_find(any, root));
  ms_value_release(root);
  ms_path_release(any);
  ms_path_release(star);
  ms_path_release(literal);
  ms_path_release(pattern);
}

static void
test_path_order_counts_indexes_by_value_and_puts_prefixes_first(void **state) {
  (void)state;
  const char *const ordered[] = {"0",   "9",    "10",  "10.a",  "10a", "a",
                                 "a.9", "a.10", "a.b", "a.b.c", "ab",  "b"};
  enum { COUNT = 12 };
  ms_path *paths[COUNT];
  for (size_t i = 0; i < COUNT; i++) paths[i] = mst_path(ordered[i]);
  for (size_t i = 0; i < COUNT; i++) {
    for (size_t j = 0; j < COUNT; j++) {
      int order = msi_path_compare(paths[i], paths[j]);
      assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
      assert_int_equal(msi_path_equal(paths[i], paths[j]), i == j);
    }
  }
  for (size_t i = 0; i < COUNT; i++) ms_path_release(paths[i]);
}

static void test_path_overlaps_when_one_begins_with_the_other(void **state) {
  (void)state;
  ms_path *a = mst_path("a"), *ab = mst_path("a.b"), *abc = mst_path("a.bc"),
          *all = mst_path("");
  assert_true(msi_path_overlaps(a, ab));
  assert_true(msi_path_overlaps(ab, a));
  assert_true(msi_path_overlaps(ab, ab));
  assert_true(msi_path_overlaps(all, abc));
  assert_false(msi_path_overlaps(ab, abc));
  assert_true(msi_path_begins(a, ab));
  assert_false(msi_path_begins(ab, a));
  ms_path_release(all);
  ms_path_release(abc);
  ms_path_release(ab);
  ms_path_release(a);
}

static void test_path_comes_back_from_its_wire_form(void **state) {
  (void)state;
  const ms_key keys[] = {{"a.b", 3}, {"", 0}, {"\xff\0", 2}, {"12", 2}};
  for (size_t count = 0; count <= 4; count++) {
    ms_path *path = NULL, *again = NULL;
    assert_int_equal(ms_path_new(NULL, keys, count, &path, NULL), MS_OK);
    msi_buffer wire;
    msi_buffer_init(&wire, msi_alloc_resolve(NULL));
    assert_int_equal(msi_path_pack(&wire, path), MS_OK);
    msi_reader reader = {wire.data, wire.data + wire.length};
    assert_int_equal(msi_path_unpack(&reader, NULL, &again), MS_OK);
    assert_ptr_equal(reader.at, reader.end);
    assert_true(msi_path_equal(path, again));
    for (size_t cut = 0; cut < wire.length; cut++) {
      ms_path *none = NULL;
      msi_reader less = {wire.data, wire.data + cut};
      assert_int_not_equal(msi_path_unpack(&less, NULL, &none), MS_OK);
      assert_null(none);
      assert_ptr_equal(less.at, wire.data);
    }
    msi_buffer_fini(&wire);
    ms_path_release(again);
    ms_path_release(path);
  }
}

static void
test_path_wire_form_with_too_many_keys_is_refused_before_memory_is_asked(void **state) {
  (void)state;
  const uint8_t wire[] = {0xdd, 0xff, 0xff, 0xff, 0xff, 0xa1, 'a'};
  msi_reader reader = {wire, wire + sizeof wire};
  failing_alloc memory;
  ms_path *path = NULL;
  failing_alloc_init(&memory);
  assert_int_equal(msi_path_unpack(&reader, &memory.alloc, &path), MS_ELIMIT);
  assert_int_equal(memory.requests, 0);
}

static void test_path_is_printed_cut_and_without_control_bytes(void **state) {
  (void)state;
  char buffer[16];
  assert_string_equal(msi_text_print("players.alice.hp", 16, buffer, sizeof buffer),
                      "players.alic...");
  assert_string_equal(msi_text_print("players.alice.x", 15, buffer, sizeof buffer),
                      "players.alice.x");
  assert_string_equal(msi_text_print("a\n\0\xff\xc3\xa4\x7f", 7, buffer, sizeof buffer),
                      "a???\xc3\xa4?");
  assert_string_equal(
      msi_text_print("12345678901\xc3\xa4\xc3\xa4\xc3\xa4", 17, buffer, 16),
      "12345678901...");
  ms_path *path = mst_path("a.b.c");
  assert_string_equal(msi_path_print(path, buffer, sizeof buffer), "a.b.c");
  assert_string_equal(msi_path_print_first(path, 2, buffer, sizeof buffer), "a.b");
  assert_string_equal(msi_path_print_first(path, 0, buffer, sizeof buffer), "");
  ms_path_release(path);
}

static ms_status make_paths(const ms_alloc *alloc) {
  ms_path *path = NULL, *joined = NULL, *again = NULL;
  const ms_value *text = NULL;
  msi_buffer wire;
  msi_buffer_init(&wire, alloc);
  ms_status st = ms_path_parse(alloc, "some.longer.path.of.a.few.keys", 30, &path, NULL);
  if (st == MS_OK) st = ms_path_join(path, "another key", 11, &joined, NULL);
  if (st == MS_OK) st = ms_path_text(joined, &text);
  if (st == MS_OK) st = msi_path_pack(&wire, joined);
  if (st == MS_OK) {
    msi_reader reader = {wire.data, wire.data + wire.length};
    st = msi_path_unpack(&reader, alloc, &again);
  }
  ms_value_release(text);
  ms_path_release(path);
  ms_path_release(joined);
  ms_path_release(again);
  msi_buffer_fini(&wire);
  return st;
}

static void test_path_failing_allocations_leave_nothing_behind(void **state) {
  (void)state;
  ms_status st = MS_ENOMEM;
  uint64_t n = 0;
  for (; st != MS_OK; n++) {
    failing_alloc memory;
    failing_alloc_init(&memory);
    failing_alloc_fail_at(&memory, n);
    st = make_paths(&memory.alloc);
    if (st != MS_OK) assert_int_equal(st, MS_ENOMEM);
    assert_true(failing_alloc_is_clean(&memory));
  }
  assert_true(n > 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_path_text_is_split_at_dots),
      cmocka_unit_test(test_path_of_empty_text_is_the_whole_document),
      cmocka_unit_test(test_path_only_decimals_without_leading_zeros_are_indexes),
      cmocka_unit_test(test_path_text_is_refused_with_what_is_wrong),
      cmocka_unit_test(test_path_from_keys_takes_any_bytes),
      cmocka_unit_test(test_path_from_keys_keeps_the_limits),
      cmocka_unit_test(test_path_join_adds_one_key),
      cmocka_unit_test(test_path_finds_through_objects_and_arrays),
      cmocka_unit_test(test_path_wildcards_count_in_patterns_only),
      cmocka_unit_test(test_path_order_counts_indexes_by_value_and_puts_prefixes_first),
      cmocka_unit_test(test_path_overlaps_when_one_begins_with_the_other),
      cmocka_unit_test(test_path_comes_back_from_its_wire_form),
      cmocka_unit_test(
          test_path_wire_form_with_too_many_keys_is_refused_before_memory_is_asked),
      cmocka_unit_test(test_path_is_printed_cut_and_without_control_bytes),
      cmocka_unit_test(test_path_failing_allocations_leave_nothing_behind),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
