/* Entries: their bytes, and bytes that are none. */
#include "replica_support.h"

static void assert_same_entry(const msi_entry *a, const msi_entry *b) {
  assert_int_equal(a->kind, b->kind);
  assert_int_equal(a->term, b->term);
  assert_int_equal(a->version, b->version);
  assert_int_equal(a->patch.origin, b->patch.origin);
  assert_int_equal(a->patch.number, b->patch.number);
  assert_int_equal(a->patch.base, b->patch.base);
  assert_int_equal(a->patch.timestamp, b->patch.timestamp);
  assert_int_equal(a->patch.wall_ms, b->patch.wall_ms);
  assert_int_equal(a->patch.update != NULL, b->patch.update != NULL);
  if (a->patch.update != NULL) {
    assert_int_equal(a->patch.update->wire_bytes, b->patch.update->wire_bytes);
    assert_memory_equal(a->patch.update->wire, b->patch.update->wire,
                        b->patch.update->wire_bytes);
  }
  assert_int_equal(a->refusal.status, b->refusal.status);
  assert_string_equal(a->refusal.message, b->refusal.message);
  assert_int_equal(a->refusal.winner_version, b->refusal.winner_version);
  assert_int_equal(a->refusal.winner, b->refusal.winner);
  assert_int_equal(a->refusal.winner_wall_ms, b->refusal.winner_wall_ms);
  assert_int_equal(a->refusal.path != NULL, b->refusal.path != NULL);
  if (a->refusal.path != NULL)
    assert_true(msi_path_equal(a->refusal.path, b->refusal.path));
  assert_int_equal(a->refusal.path_count, b->refusal.path_count);
  for (size_t i = 0; i < a->refusal.path_count; i++) {
    assert_true(msi_path_equal(a->refusal.paths[i], b->refusal.paths[i]));
  }
  assert_int_equal(a->member.pid, b->member.pid);
  assert_int_equal(a->member.since_ms, b->member.since_ms);
  assert_string_equal(a->member.program, b->member.program);
  assert_int_equal(a->member.readonly, b->member.readonly);
  assert_int_equal(a->member.can_host, b->member.can_host);
  assert_memory_equal(a->member.roles, b->member.roles, sizeof a->member.roles);
}

/* Calls `check` with the packed bytes of one entry of each kind. */
static void each_kind(void (*check)(const msi_entry *entry, const uint8_t *data,
                                    size_t bytes)) {
  ms_update *update = rs_update("players.alice.hp", 90);
  ms_path *paths[2] = {rs_path(NULL, "a.b"), rs_path(NULL, "")};
  for (int kind = MSI_ENTRY_PATCH; kind <= MSI_ENTRY_HOUSE; kind++) {
    msi_entry entry = rs_entry((msi_entry_kind)kind, update, paths);
    msi_buffer out = rs_buffer();
    assert_int_equal(msi_entry_pack(&out, &entry), MS_OK);
    check(&entry, out.data, out.length);
    msi_buffer_fini(&out);
  }
  ms_path_release(paths[0]);
  ms_path_release(paths[1]);
  ms_update_release(update);
}

static void check_round_trip(const msi_entry *entry, const uint8_t *data, size_t bytes) {
  msi_entry read;
  assert_int_equal(msi_entry_unpack(NULL, data, bytes, &read, NULL), MS_OK);
  assert_same_entry(entry, &read);
  msi_buffer again = rs_buffer();
  assert_int_equal(msi_entry_pack(&again, &read), MS_OK);
  assert_int_equal(again.length, bytes);
  assert_memory_equal(again.data, data, bytes);
  msi_buffer_fini(&again);
  msi_entry_fini(&read);
  msi_entry_fini(&read); /* twice is once */
}

static void test_every_kind_of_entry_reads_back_as_written(void **state) {
  (void)state;
  each_kind(check_round_trip);
}

static void check_cut_short(const msi_entry *entry, const uint8_t *data, size_t bytes) {
  (void)entry;
  for (size_t length = 0; length < bytes; length++) {
    msi_entry read;
    ms_error error = {MS_OK, ""};
    uint8_t *copy =
        malloc(length + 1); /* so that a sanitizer sees reads beyond the end */
    assert_non_null(copy);
    memcpy(copy, data, length);
    assert_int_not_equal(msi_entry_unpack(NULL, copy, length, &read, &error), MS_OK);
    assert_non_null(strstr(error.message, "malformed entry"));
    free(copy);
  }
  uint8_t longer[512];
  assert_true(bytes < sizeof longer);
  memcpy(longer, data, bytes);
  longer[bytes] = 0xc0;
  msi_entry read;
  assert_int_not_equal(msi_entry_unpack(NULL, longer, bytes + 1, &read, NULL), MS_OK);
}

static void test_an_entry_that_is_cut_short_or_too_long_is_refused(void **state) {
  (void)state;
  each_kind(check_cut_short);
}

static void check_damaged(const msi_entry *entry, const uint8_t *data, size_t bytes) {
  (void)entry;
  uint8_t *copy = malloc(bytes);
  assert_non_null(copy);
  for (size_t at = 0; at < bytes; at++) {
    for (int bit = 0; bit < 8; bit++) {
      msi_entry read;
      memcpy(copy, data, bytes);
      copy[at] = (uint8_t)(copy[at] ^ (1 << bit));
      /* Some still read as entries: what counts is that nothing is read or leaked beyond them. */
      if (msi_entry_unpack(NULL, copy, bytes, &read, NULL) == MS_OK)
        msi_entry_fini(&read);
    }
  }
  free(copy);
}

static void test_a_damaged_entry_does_no_harm(void **state) {
  (void)state;
  each_kind(check_damaged);
}

static void refuse_changed(void (*change)(msi_entry *entry), msi_entry_kind kind) {
  ms_update *update = rs_update("a", 1);
  ms_path *paths[2] = {rs_path(NULL, "a.b"), rs_path(NULL, "c")};
  msi_entry entry = rs_entry(kind, update, paths), read;
  change(&entry);
  msi_buffer out = rs_buffer();
  assert_int_equal(msi_entry_pack(&out, &entry), MS_OK);
  assert_int_not_equal(msi_entry_unpack(NULL, out.data, out.length, &read, NULL), MS_OK);
  msi_buffer_fini(&out);
  ms_path_release(paths[0]);
  ms_path_release(paths[1]);
  ms_update_release(update);
}

static void no_origin(msi_entry *entry) { entry->patch.origin = 0; }
static void far_origin(msi_entry *entry) { entry->patch.origin = MSI_PEER_MAX + 1; }
static void rejected_with_ok(msi_entry *entry) { entry->refusal.status = MS_OK; }
static void rejected_with_nothing_known(msi_entry *entry) {
  entry->refusal.status = (ms_status)-1000;
}
static void unknown_kind(msi_entry *entry) { entry->kind = (msi_entry_kind)9; }

static void test_values_out_of_range_are_refused(void **state) {
  (void)state;
  refuse_changed(no_origin, MSI_ENTRY_RETIRE);
  refuse_changed(far_origin, MSI_ENTRY_RETIRE);
  refuse_changed(rejected_with_ok, MSI_ENTRY_REJECT);
  refuse_changed(rejected_with_nothing_known, MSI_ENTRY_REJECT);
  refuse_changed(unknown_kind, MSI_ENTRY_RETIRE);
}

static void check_without_memory(const msi_entry *entry, const uint8_t *data,
                                 size_t bytes) {
  failing_alloc memory;
  failing_alloc_init(&memory);
  uint64_t n = 0;
  for (ms_status st = MS_ENOMEM; st != MS_OK; n++) {
    msi_buffer out;
    msi_buffer_init(&out, &memory.alloc);
    failing_alloc_fail_at(&memory, n);
    st = msi_entry_pack(&out, entry);
    if (st != MS_OK) assert_int_equal(out.length, 0);
    failing_alloc_never_fail(&memory);
    msi_buffer_fini(&out);
  }
  assert_true(n > 1);
  n = 0;
  for (ms_status st = MS_ENOMEM; st != MS_OK; n++) {
    msi_entry read;
    failing_alloc_fail_at(&memory, n);
    st = msi_entry_unpack(&memory.alloc, data, bytes, &read, NULL);
    if (st == MS_OK) {
      msi_entry_fini(&read);
    } else {
      assert_int_equal(st, MS_ENOMEM);
    }
  }
  assert_true(failing_alloc_is_clean(&memory));
}

static void test_entries_survive_a_lack_of_memory(void **state) {
  (void)state;
  each_kind(check_without_memory);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_kind_of_entry_reads_back_as_written),
      cmocka_unit_test(test_an_entry_that_is_cut_short_or_too_long_is_refused),
      cmocka_unit_test(test_a_damaged_entry_does_no_harm),
      cmocka_unit_test(test_values_out_of_range_are_refused),
      cmocka_unit_test(test_entries_survive_a_lack_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
