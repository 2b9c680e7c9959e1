/* What a transaction read: gathered, bounded, and the same on both ends of the wire. */
#include "reads.h"

#include "replica_support.h"

static void add(msi_read_set *set, const char *text, msi_read_kind kind) {
  ms_path *path = rs_path(NULL, text);
  assert_int_equal(msi_read_set_add(set, path->segments, path->count, kind), MS_OK);
  ms_path_release(path);
}

static msi_read_set set_of(void) {
  msi_read_set set;
  assert_int_equal(msi_read_set_init(&set, NULL), MS_OK);
  return set;
}

static bool overlaps(const msi_read_set *set, const char *text) {
  ms_path *path = rs_path(NULL, text);
  bool answer = msi_read_set_overlaps(set, path);
  ms_path_release(path);
  return answer;
}

/* "whole, whole | exists" */
static void assert_reads(const msi_read_set *set, const char *wanted) {
  char text[512] = "", path[128];
  msi_reads *reads = NULL;
  assert_int_equal(msi_read_set_compile(set, &reads), MS_OK);
  for (size_t i = 0; reads != NULL && i < reads->count; i++) {
    const char *before = i == reads->whole_count ? "|" : i > 0 ? "," : "";
    strcat(text, before);
    strcat(text, msi_path_print(reads->paths[i], path, sizeof path));
  }
  assert_string_equal(text, wanted);
  msi_reads_release(reads);
}

static void test_each_path_is_there_once(void **state) {
  (void)state;
  msi_read_set set = set_of();
  assert_reads(&set, "");
  add(&set, "a.b", MSI_READ_WHOLE);
  add(&set, "a.b", MSI_READ_WHOLE);
  add(&set, "a.b", MSI_READ_EXISTS);
  add(&set, "c", MSI_READ_EXISTS);
  assert_reads(&set, "a.b|c");
  add(&set, "c", MSI_READ_WHOLE);
  assert_reads(&set, "a.b,c");
  msi_read_set_fini(&set);
}

static void test_a_whole_contains_what_is_inside_of_it(void **state) {
  (void)state;
  msi_read_set set = set_of();
  add(&set, "a.b.c", MSI_READ_WHOLE);
  add(&set, "a.x", MSI_READ_EXISTS);
  add(&set, "z", MSI_READ_WHOLE);
  add(&set, "a", MSI_READ_WHOLE);
  add(&set, "a.d", MSI_READ_WHOLE);
  assert_reads(&set, "a,z");
  msi_read_set_fini(&set);
}

static void test_a_container_that_was_walked_through_is_not_named(void **state) {
  (void)state;
  msi_read_set set = set_of();
  add(&set, "a", MSI_READ_EXISTS);
  add(&set, "a.b", MSI_READ_EXISTS);
  add(&set, "a.b.c", MSI_READ_WHOLE);
  add(&set, "e", MSI_READ_EXISTS);
  assert_reads(&set, "a.b.c|e");
  msi_read_set_fini(&set);
}

static void note_on_top(msi_read_set *set, const char *text, const ms_value *committed,
                        const ms_value *view) {
  ms_path *path = rs_path(NULL, text);
  assert_int_equal(msi_read_set_note(set, path, committed, view, MSI_READ_EXISTS), MS_OK);
  ms_path_release(path);
}

static void note(msi_read_set *set, const char *text, const ms_value *committed) {
  note_on_top(set, text, committed, committed);
}

static const ms_value *value_of(const char *text) {
  const ms_value *value = NULL;
  assert_int_equal(ms_value_from_json(NULL, text, strlen(text), &value, NULL), MS_OK);
  return value;
}

static void test_what_own_writes_took_away_is_missing_too(void **state) {
  (void)state;
  const ms_value *committed = value_of("{\"l\": [1, 2], \"o\": {\"k\": 1}}"),
                 *view = value_of("{\"l\": [3], \"o\": {}}");
  msi_read_set set = set_of();
  note_on_top(&set, "l.0", committed, view);
  assert_reads(&set, "|l.0");
  note_on_top(&set, "l.1", committed, view);
  note_on_top(&set, "o.k", committed, view);
  assert_reads(&set, "l,o.k");
  msi_read_set_fini(&set);
  ms_value_release(view);
  ms_value_release(committed);
}

static void test_what_is_not_committed_is_the_first_missing_key(void **state) {
  (void)state;
  const char *text = "{\"o\": {\"k\": {}}, \"l\": [[1], {\"x\": 1}], \"n\": 5}";
  const ms_value *root = NULL;
  assert_int_equal(ms_value_from_json(NULL, text, strlen(text), &root, NULL), MS_OK);
  static const struct {
    const char *path, *wanted;
  } cases[] = {
      {"o.k", "|o.k"},     {"o.z", "o.z"},
      {"o.z.1.y", "o.z"},  {"q.r", "q"},
      {"l.1.x", "|l.1.x"}, {"l.2", "l"},
      {"l.0.7", "l.0"},    {"l.1.y", "l.1.y"},
      {"n.a.b", "n"},      {"o.k.name", "o.k.name"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    msi_read_set set = set_of();
    note(&set, cases[i].path, root);
    assert_reads(&set, cases[i].wanted);
    msi_read_set_fini(&set);
  }
  msi_read_set set = set_of();
  note(&set, "a.b", NULL);
  note(&set, "e.0", ms_value_empty());
  assert_reads(&set, "a,e");
  msi_read_set_fini(&set);
  ms_value_release(root);
}

static void test_overlaps_are_above_below_and_equal(void **state) {
  (void)state;
  msi_read_set set = set_of();
  assert_false(overlaps(&set, "a"));
  add(&set, "a.b", MSI_READ_WHOLE);
  assert_true(overlaps(&set, "a"));
  assert_true(overlaps(&set, "a.b"));
  assert_true(overlaps(&set, "a.b.c"));
  assert_false(overlaps(&set, "a.c"));
  assert_false(overlaps(&set, "b"));
  add(&set, "", MSI_READ_WHOLE);
  assert_true(overlaps(&set, "b"));
  assert_reads(&set, "");
  msi_read_set_fini(&set);
}

static msi_reads *compiled(const msi_read_set *set) {
  msi_reads *reads = NULL;
  assert_int_equal(msi_read_set_compile(set, &reads), MS_OK);
  assert_non_null(reads);
  return reads;
}

static void test_too_many_paths_fall_to_the_container_above(void **state) {
  (void)state;
  msi_read_set set = set_of();
  char text[64];
  add(&set, "config.rate", MSI_READ_WHOLE);
  for (int i = 0; i < 3 * MS_READS_MAX; i++) {
    snprintf(text, sizeof text, "p.%d.g", i);
    add(&set, text, MSI_READ_WHOLE);
  }
  assert_reads(&set, "config.rate,p");
  add(&set, "late", MSI_READ_WHOLE);
  assert_true(overlaps(&set, "late"));
  msi_read_set_fini(&set);
}

static void test_too_many_bytes_fall_to_the_container_above(void **state) {
  (void)state;
  msi_read_set set = set_of();
  char text[MS_KEY_MAX + 8] = "p.";
  memset(text + 2, 'k', MS_KEY_MAX - 1);
  for (int i = 0; i < 20; i++) {
    text[2] = (char)('a' + i);
    add(&set, text, MSI_READ_WHOLE);
  }
  assert_reads(&set, "p");
  msi_reads *reads = compiled(&set);
  msi_buffer out = rs_buffer();
  assert_int_equal(msi_reads_pack(&out, reads), MS_OK);
  assert_true(out.length <= MSI_READS_BYTES_MAX);
  msi_buffer_fini(&out);
  msi_reads_release(reads);
  msi_read_set_fini(&set);
}

/* As many and as long as they come just before they fall. */
static void test_the_most_there_may_be_fits_the_wire(void **state) {
  (void)state;
  msi_read_set set = set_of();
  char text[64];
  for (int i = 0; i < MS_READS_MAX + 10; i++) {
    snprintf(text, sizeof text, "k%d", i * 7);
    if (set.trie.count < MS_READS_MAX) add(&set, text, MSI_READ_WHOLE);
  }
  msi_reads *reads = compiled(&set), *read = NULL;
  msi_buffer out = rs_buffer();
  assert_int_equal(msi_reads_pack(&out, reads), MS_OK);
  assert_true(out.length <= MSI_READS_BYTES_MAX);
  msi_reader in = {out.data, out.data + out.length};
  assert_int_equal(msi_reads_unpack(&in, NULL, &read), MS_OK);
  assert_int_equal(read->count, MS_READS_MAX - 1);
  msi_reads_release(read);
  msi_reads_release(reads);
  msi_buffer_fini(&out);
  msi_read_set_fini(&set);
}

static void test_reads_come_back_as_they_were_sent(void **state) {
  (void)state;
  msi_read_set set = set_of();
  add(&set, "a.b", MSI_READ_WHOLE);
  add(&set, "list.0.name", MSI_READ_WHOLE);
  add(&set, "c.d", MSI_READ_EXISTS);
  msi_reads *reads = compiled(&set), *read = NULL;
  msi_buffer out = rs_buffer();
  assert_int_equal(msi_reads_pack(&out, reads), MS_OK);
  msi_reader in = {out.data, out.data + out.length};
  assert_int_equal(msi_reads_unpack(&in, NULL, &read), MS_OK);
  assert_ptr_equal(in.at, in.end);
  assert_int_equal(read->count, 3);
  assert_int_equal(read->whole_count, 2);
  for (size_t i = 0; i < 3; i++) {
    assert_true(msi_path_equal(read->paths[i], reads->paths[i]));
  }
  msi_reads_release(msi_reads_retain(read));
  msi_reads_release(read);
  msi_reads_release(reads);
  msi_buffer_fini(&out);
  msi_read_set_fini(&set);
}

static ms_status unpack(const uint8_t *bytes, size_t count) {
  msi_reads *reads = NULL;
  msi_reader in = {bytes, bytes + count};
  ms_status st = msi_reads_unpack(&in, NULL, &reads);
  assert_ptr_equal(in.at, st == MS_OK ? bytes + count : bytes);
  msi_reads_release(reads);
  return st;
}

static void test_hostile_reads_are_refused(void **state) {
  (void)state;
  static const uint8_t good[] = {0x92, 0x91, 0x91, 0xa1, 'a', 0x90};
  static const uint8_t none[] = {0x92, 0x90, 0x90};
  static const uint8_t one_list[] = {0x91, 0x91, 0x91, 0xa1, 'a'};
  static const uint8_t number[] = {0x92, 0x91, 0x05, 0x90};
  static const uint8_t number_key[] = {0x92, 0x90, 0x91, 0x91, 0x05};
  static const uint8_t map[] = {0x92, 0x80, 0x91, 0x91, 0xa1, 'a'};
  assert_int_equal(unpack(good, sizeof good), MS_OK);
  assert_int_equal(unpack(none, sizeof none), MS_ETYPE);
  assert_int_equal(unpack(one_list, sizeof one_list), MS_ETYPE);
  assert_int_equal(unpack(number, sizeof number), MS_ETYPE);
  assert_int_equal(unpack(number_key, sizeof number_key), MS_ETYPE);
  assert_int_equal(unpack(map, sizeof map), MS_ETYPE);
  for (size_t i = 0; i < sizeof good; i++) assert_int_not_equal(unpack(good, i), MS_OK);
  msi_buffer out = rs_buffer();
  assert_int_equal(msi_pack_array(&out, 2), MS_OK);
  assert_int_equal(msi_pack_array(&out, MS_READS_MAX + 1), MS_OK);
  for (int i = 0; i <= MS_READS_MAX; i++)
    assert_int_equal(msi_pack_array(&out, 0), MS_OK);
  assert_int_equal(msi_pack_array(&out, 0), MS_OK);
  assert_int_equal(unpack(out.data, out.length), MS_ELIMIT);
  msi_buffer_clear(&out);
  assert_int_equal(msi_pack_array(&out, 2), MS_OK);
  assert_int_equal(msi_pack_array(&out, 20), MS_OK);
  char key[MS_KEY_MAX];
  memset(key, 'k', sizeof key);
  for (int i = 0; i < 20; i++) {
    assert_int_equal(msi_pack_array(&out, 1), MS_OK);
    assert_int_equal(msi_pack_string(&out, key, sizeof key), MS_OK);
  }
  assert_int_equal(msi_pack_array(&out, 0), MS_OK);
  assert_int_equal(unpack(out.data, out.length), MS_ELIMIT);
  msi_buffer_fini(&out);
}

static ms_status gather(const ms_alloc *alloc, const ms_path *const *paths,
                        size_t count) {
  msi_read_set set;
  msi_reads *reads = NULL, *read = NULL;
  msi_buffer out;
  msi_buffer_init(&out, alloc);
  ms_status st = msi_read_set_init(&set, alloc);
  if (st != MS_OK) return st;
  for (size_t i = 0; i < count && st == MS_OK; i++) {
    size_t nodes = set.trie.count;
    st = msi_read_set_add(&set, paths[i]->segments, paths[i]->count, MSI_READ_WHOLE);
    if (st != MS_OK) assert_int_equal(set.trie.count, nodes);
  }
  if (st == MS_OK) st = msi_read_set_compile(&set, &reads);
  if (st == MS_OK) st = msi_reads_pack(&out, reads);
  if (st == MS_OK) {
    msi_reader in = {out.data, out.data + out.length};
    st = msi_reads_unpack(&in, alloc, &read);
  }
  msi_reads_release(read);
  msi_reads_release(reads);
  msi_read_set_fini(&set);
  msi_buffer_fini(&out);
  return st;
}

static void test_every_allocation_may_fail(void **state) {
  (void)state;
  ms_path *paths[] = {rs_path(NULL, "a.b.c.d"), rs_path(NULL, "a.x"), rs_path(NULL, "q")};
  failing_alloc memory;
  failing_alloc_init(&memory);
  ms_status st = MS_ENOMEM;
  for (uint64_t n = 0; st != MS_OK; n++) {
    failing_alloc_fail_at(&memory, n);
    st = gather(&memory.alloc, (const ms_path *const *)paths, 3);
    assert_true(st == MS_OK || st == MS_ENOMEM);
    assert_true(failing_alloc_is_clean(&memory));
  }
  for (size_t i = 0; i < 3; i++) ms_path_release(paths[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_own_writes_took_away_is_missing_too),
      cmocka_unit_test(test_each_path_is_there_once),
      cmocka_unit_test(test_a_whole_contains_what_is_inside_of_it),
      cmocka_unit_test(test_a_container_that_was_walked_through_is_not_named),
      cmocka_unit_test(test_what_is_not_committed_is_the_first_missing_key),
      cmocka_unit_test(test_overlaps_are_above_below_and_equal),
      cmocka_unit_test(test_too_many_paths_fall_to_the_container_above),
      cmocka_unit_test(test_too_many_bytes_fall_to_the_container_above),
      cmocka_unit_test(test_the_most_there_may_be_fits_the_wire),
      cmocka_unit_test(test_reads_come_back_as_they_were_sent),
      cmocka_unit_test(test_hostile_reads_are_refused),
      cmocka_unit_test(test_every_allocation_may_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
