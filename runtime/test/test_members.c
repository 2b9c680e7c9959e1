/* The table of members. */
#include "members.h"

#include "replica_support.h"

static msi_entry entry_of(msi_entry_kind kind, uint64_t origin, uint64_t number,
                          uint64_t base) {
  msi_entry entry;
  memset(&entry, 0, sizeof entry);
  entry.kind = kind;
  entry.patch.origin = origin;
  entry.patch.number = number;
  entry.patch.base = base;
  entry.member.pid = (int64_t)origin * 10;
  return entry;
}

static void note(msi_members *members, msi_entry_kind kind, uint64_t origin,
                 uint64_t number, uint64_t base) {
  msi_entry entry = entry_of(kind, origin, number, base);
  assert_true(msi_members_fits(members, &entry));
  if (kind == MSI_ENTRY_JOIN) assert_int_equal(msi_members_reserve(members), MS_OK);
  msi_members_note(members, &entry);
}

static bool fits(const msi_members *members, msi_entry_kind kind, uint64_t origin,
                 uint64_t number) {
  msi_entry entry = entry_of(kind, origin, number, 0);
  return msi_members_fits(members, &entry);
}

static void test_members_follow_the_entries(void **state) {
  (void)state;
  msi_members members;
  msi_members_init(&members, msi_alloc_resolve(NULL));
  note(&members, MSI_ENTRY_JOIN, 50, 0, 0);
  note(&members, MSI_ENTRY_JOIN, 7, 30, 0); /* went on counting from another id */
  note(&members, MSI_ENTRY_PATCH, 50, 1, 5);
  note(&members, MSI_ENTRY_REJECT, 50, 2, 6);
  note(&members, MSI_ENTRY_PATCH, 7, 31, 9);
  assert_int_equal(msi_members_find(&members, 50)->decided, 2);
  assert_int_equal(msi_members_find(&members, 50)->base, 6);
  assert_int_equal(msi_members_find(&members, 50)->info.pid, 500);
  assert_int_equal(msi_members_find(&members, 7)->decided, 31);
  assert_null(msi_members_find(&members, 8));
  note(&members, MSI_ENTRY_RETIRE, 50, 0, 0);
  assert_null(msi_members_find(&members, 50));
  assert_int_equal(members.count, 1);
  msi_members_fini(&members);
}

static void test_only_the_next_entry_fits(void **state) {
  (void)state;
  msi_members members;
  msi_members_init(&members, msi_alloc_resolve(NULL));
  note(&members, MSI_ENTRY_JOIN, 50, 3, 0);
  assert_false(fits(&members, MSI_ENTRY_JOIN, 50, 0));
  assert_true(fits(&members, MSI_ENTRY_JOIN, 51, 0));
  assert_false(fits(&members, MSI_ENTRY_RETIRE, 51, 0));
  assert_true(fits(&members, MSI_ENTRY_RETIRE, 50, 0));
  assert_false(fits(&members, MSI_ENTRY_PATCH, 51, 1));
  assert_false(fits(&members, MSI_ENTRY_PATCH, 50, 3));
  assert_true(fits(&members, MSI_ENTRY_PATCH, 50, 4));
  assert_true(fits(&members, MSI_ENTRY_REJECT, 50, 4));
  assert_false(fits(&members, MSI_ENTRY_REJECT, 50, 5));
  msi_members_fini(&members);
}

static void test_the_last_rejected_numbers_are_known(void **state) {
  (void)state;
  msi_members members;
  msi_members_init(&members, msi_alloc_resolve(NULL));
  note(&members, MSI_ENTRY_JOIN, 50, 0, 0);
  for (uint64_t i = 1; i <= 400; i++) {
    note(&members, i % 2 == 0 ? MSI_ENTRY_REJECT : MSI_ENTRY_PATCH, 50, i, 0);
    const msi_member *member = msi_members_find(&members, 50);
    uint64_t at = member->rejected_floor;
    assert_true(at % 2 == 0);
    for (uint32_t k = 0; k < member->rejected_count; k++) {
      at += 2; /* no gap above the floor */
      assert_int_equal(member->rejected[k], at);
    }
    assert_int_equal(at, i - i % 2);
  }
  assert_int_equal(msi_members_find(&members, 50)->rejected_count, MSI_MEMBER_REJECTED);
  msi_members_fini(&members);
}

static void test_members_stand_in_the_order_of_their_ids(void **state) {
  (void)state;
  msi_members members;
  msi_members_init(&members, msi_alloc_resolve(NULL));
  uint64_t seed = 12345;
  for (int i = 0; i < 500; i++) {
    seed = seed * UINT64_C(6364136223846793005) + 1;
    uint64_t id = (seed >> 33) % 300 + 1;
    bool known = msi_members_find(&members, id) != NULL;
    note(&members, known ? MSI_ENTRY_RETIRE : MSI_ENTRY_JOIN, id, 0, 0);
    for (size_t k = 1; k < members.count; k++) {
      assert_true(members.items[k - 1].id < members.items[k].id);
    }
  }
  assert_true(members.count > 10);
  msi_members_fini(&members);
}

static void test_members_read_back_as_written(void **state) {
  (void)state;
  msi_members members, read;
  msi_members_init(&members, msi_alloc_resolve(NULL));
  for (uint64_t id = 1; id <= 40; id++) note(&members, MSI_ENTRY_JOIN, id * id, id, 0);
  note(&members, MSI_ENTRY_PATCH, 9, 4, 77);
  for (uint64_t i = 5; i < 150; i++) note(&members, MSI_ENTRY_REJECT, 9, i, 77);
  note(&members, MSI_ENTRY_REJECT, 16, 5, 77);
  msi_members_find(&members, 9)->link = 5; /* a host's own affair */
  msi_buffer out = rs_buffer();
  assert_int_equal(msi_members_pack(&out, &members), MS_OK);
  msi_members_init(&read, msi_alloc_resolve(NULL));
  msi_reader in = {out.data, out.data + out.length};
  assert_int_equal(msi_members_unpack(&in, &read), MS_OK);
  assert_ptr_equal(in.at, in.end);
  assert_int_equal(read.count, members.count);
  for (size_t i = 0; i < read.count; i++) {
    assert_int_equal(read.items[i].id, members.items[i].id);
    assert_int_equal(read.items[i].decided, members.items[i].decided);
    assert_int_equal(read.items[i].base, members.items[i].base);
    assert_int_equal(read.items[i].rejected_floor, members.items[i].rejected_floor);
    assert_int_equal(read.items[i].rejected_count, members.items[i].rejected_count);
    for (uint32_t k = 0; k < read.items[i].rejected_count; k++) {
      assert_int_equal(read.items[i].rejected[k], members.items[i].rejected[k]);
    }
    assert_int_equal(read.items[i].info.pid, members.items[i].info.pid);
    assert_int_equal(read.items[i].link, 0);
  }
  msi_members_fini(&read);
  for (size_t length = 0; length < out.length; length++) {
    in = (msi_reader){out.data, out.data + length};
    assert_int_not_equal(msi_members_unpack(&in, &read), MS_OK);
    assert_int_equal(read.count, 0);
  }
  msi_buffer_fini(&out);
  msi_members_fini(&members);
}

static void test_members_out_of_order_are_refused(void **state) {
  (void)state;
  static const uint64_t ids[][2] = {{5, 5}, {5, 4}, {0, 1}, {1, MSI_PEER_MAX + 1}};
  for (size_t i = 0; i < 4; i++) {
    msi_buffer out = rs_buffer();
    msi_member_info info = {.pid = 1};
    assert_int_equal(msi_pack_array(&out, 2), MS_OK);
    for (size_t k = 0; k < 2; k++) {
      assert_int_equal(msi_pack_array(&out, 6), MS_OK);
      assert_int_equal(msi_pack_uint(&out, ids[i][k]), MS_OK);
      assert_int_equal(msi_pack_uint(&out, 0), MS_OK);
      assert_int_equal(msi_pack_uint(&out, 0), MS_OK);
      assert_int_equal(msi_pack_uint(&out, 0), MS_OK);
      assert_int_equal(msi_pack_array(&out, 0), MS_OK);
      assert_int_equal(msi_member_info_pack(&out, &info), MS_OK);
    }
    msi_members read;
    msi_members_init(&read, msi_alloc_resolve(NULL));
    msi_reader in = {out.data, out.data + out.length};
    assert_int_equal(msi_members_unpack(&in, &read), MS_ETYPE);
    assert_int_equal(read.count, 0);
    msi_buffer_fini(&out);
  }
}

static void test_the_table_survives_a_lack_of_memory(void **state) {
  (void)state;
  failing_alloc memory;
  failing_alloc_init(&memory);
  msi_members members;
  msi_members_init(&members, &memory.alloc);
  for (uint64_t id = 1; id <= 100; id++) {
    failing_alloc_fail_at(&memory, 0);
    ms_status st = msi_members_reserve(&members);
    failing_alloc_never_fail(&memory);
    assert_int_equal(members.count, id - 1);
    assert_true(st == MS_OK || st == MS_ENOMEM);
    note(&members, MSI_ENTRY_JOIN, id, 0, 0);
  }
  msi_members_fini(&members);
  assert_true(failing_alloc_is_clean(&memory));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_members_follow_the_entries),
      cmocka_unit_test(test_only_the_next_entry_fits),
      cmocka_unit_test(test_the_last_rejected_numbers_are_known),
      cmocka_unit_test(test_members_stand_in_the_order_of_their_ids),
      cmocka_unit_test(test_members_read_back_as_written),
      cmocka_unit_test(test_members_out_of_order_are_refused),
      cmocka_unit_test(test_the_table_survives_a_lack_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
