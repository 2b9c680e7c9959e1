/* Notices: their order, their room, what melts, and what is forgotten. */
#include "test_support.h"

#include "failing_alloc.h"
#include "notice.h"
#include "value.h"

static int setup(void **state) {
  failing_alloc *memory = calloc(1, sizeof *memory);
  failing_alloc_init(memory);
  *state = memory;
  return 0;
}

static int teardown(void **state) {
  failing_alloc *memory = *state;
  assert_true(failing_alloc_is_clean(memory));
  free(memory);
  return 0;
}

static const ms_value *int_of(failing_alloc *memory, int64_t number) {
  const ms_value *value = NULL;
  assert_int_equal(ms_value_new_int(&memory->alloc, number, &value), MS_OK);
  return value;
}

/* A change from one number to the next, standing for roots. */
static msi_notice change(failing_alloc *memory, int64_t from, uint64_t listeners) {
  return (msi_notice){.kind = MSI_NOTICE_CHANGE,
                      .change = MS_CHANGE_SET,
                      .old_root = int_of(memory, from),
                      .new_root = int_of(memory, from + 1),
                      .origin = 7,
                      .version = (uint64_t)from,
                      .is_local = true,
                      .listeners = listeners};
}

static void add(msi_notices *notices, const msi_notice *notice) {
  assert_int_equal(msi_notices_reserve(notices, 1), MS_OK);
  msi_notices_add(notices, notice);
}

static int64_t number_of(const ms_value *value) {
  int64_t number = -1;
  assert_int_equal(ms_value_to_int(value, &number), MS_OK);
  return number;
}

static void test_notices_come_out_in_the_order_they_went_in(void **state) {
  failing_alloc *memory = *state;
  msi_notices notices;
  msi_notice notice;
  msi_notices_init(&notices, &memory->alloc);
  assert_false(msi_notices_take(&notices, &notice));
  assert_null(msi_notices_first(&notices));
  int64_t in = 0, out = 0;
  for (int round = 0; round < 500; round++) {
    for (int i = 0; i < 1 + round % 5; i++) {
      notice = change(memory, in++, 0);
      add(&notices, &notice);
    }
    for (int i = 0; i < round % 5; i++) {
      assert_ptr_equal(msi_notices_first(&notices), &notices.items[notices.first]);
      assert_true(msi_notices_take(&notices, &notice));
      assert_int_equal(number_of(notice.old_root), out++);
      msi_notice_fini(&notice, &memory->alloc);
    }
  }
  assert_int_equal(notices.count, in - out);
  msi_notices_fini(&notices);
}

static void test_changes_beyond_the_limit_melt_into_the_last(void **state) {
  failing_alloc *memory = *state;
  msi_notices notices;
  msi_notice notice;
  msi_notices_init(&notices, &memory->alloc);
  for (int64_t i = 0; i < MSI_NOTICES_MAX + 10; i++) {
    notice = change(memory, i, 0);
    if (i == MSI_NOTICES_MAX + 5) notice.change = MS_CHANGE_ROLLBACK;
    if (i == MSI_NOTICES_MAX + 6) notice.origin = 8;
    add(&notices, &notice);
  }
  assert_int_equal(notices.count, MSI_NOTICES_MAX);
  const msi_notice *last = &notices.items[notices.first + notices.count - 1];
  assert_int_equal(number_of(last->old_root), MSI_NOTICES_MAX - 1);
  assert_int_equal(number_of(last->new_root), MSI_NOTICES_MAX + 10);
  assert_int_equal(last->change, MS_CHANGE_SET);
  assert_int_equal(last->origin, 0);
  assert_int_equal(last->version, MSI_NOTICES_MAX + 9);
  assert_true(last->is_local);
  msi_notices_fini(&notices);
}

static void test_what_others_are_to_hear_does_not_melt(void **state) {
  failing_alloc *memory = *state;
  msi_notices notices;
  msi_notice notice;
  msi_notices_init(&notices, &memory->alloc);
  for (int64_t i = 0; i < MSI_NOTICES_MAX; i++) {
    notice = change(memory, i, 1);
    add(&notices, &notice);
  }
  notice = change(memory, 0, 2);
  add(&notices, &notice);
  assert_int_equal(notices.count, MSI_NOTICES_MAX + 1);
  notice = change(memory, 1, 2);
  add(&notices, &notice);
  assert_int_equal(notices.count, MSI_NOTICES_MAX + 1);
  notice = (msi_notice){.kind = MSI_NOTICE_REFUSAL, .number = 3};
  add(&notices, &notice);
  notice = change(memory, 2, 2);
  add(&notices, &notice); /* not into the refusal, nor across it */
  assert_int_equal(notices.count, MSI_NOTICES_MAX + 3);
  msi_notices_fini(&notices);
}

static void test_patches_beyond_the_limit_melt_between_changes(void **state) {
  failing_alloc *memory = *state;
  msi_notices notices;
  msi_notice notice;
  msi_notices_init(&notices, &memory->alloc);
  for (int64_t i = 0; i < MSI_NOTICES_MAX + 10; i++) {
    notice = change(memory, i, 1);
    add(&notices, &notice);
    notice = (msi_notice){
        .kind = MSI_NOTICE_PATCH, .version = (uint64_t)i, .origin = 7, .listeners = 1};
    add(&notices, &notice);
  }
  assert_int_equal(notices.count, MSI_NOTICES_MAX);
  const msi_notice *last = &notices.items[notices.first + notices.count - 1];
  assert_int_equal(last->kind, MSI_NOTICE_PATCH);
  assert_int_equal(last->version, MSI_NOTICES_MAX + 9);
  assert_true(last->is_merged);
  assert_int_equal(last[-1].kind, MSI_NOTICE_CHANGE);
  assert_int_equal(number_of(last[-1].new_root), MSI_NOTICES_MAX + 10);
  assert_false(last[-2].is_merged);
  msi_notices_fini(&notices);
}

static void test_room_without_memory_leaves_all_as_it_was(void **state) {
  failing_alloc *memory = *state;
  msi_notices notices;
  msi_notices_init(&notices, &memory->alloc);
  failing_alloc_fail_at(memory, 0);
  assert_int_equal(msi_notices_reserve(&notices, 1), MS_ENOMEM);
  assert_int_equal(msi_notices_reserve(&notices, 5), MS_OK);
  for (size_t i = 0; i < 5; i++) {
    msi_notices_add(&notices, &(msi_notice){.kind = MSI_NOTICE_REFUSAL, .number = i});
  }
  failing_alloc_fail_at(memory, 0);
  assert_int_equal(msi_notices_reserve(&notices, 1000), MS_ENOMEM);
  failing_alloc_never_fail(memory);
  for (size_t i = 0; i < 5; i++) {
    msi_notice notice;
    assert_true(msi_notices_take(&notices, &notice));
    assert_int_equal(notice.number, i);
  }
  msi_notices_fini(&notices);
}

static void test_closed_subscription_is_forgotten_by_its_notices_only(void **state) {
  failing_alloc *memory = *state;
  msi_notices notices;
  msi_notices_init(&notices, &memory->alloc);
  ms_sub *closed = (ms_sub *)&notices, *open = (ms_sub *)memory;
  add(&notices, &(msi_notice){.kind = MSI_NOTICE_IMMEDIATE, .sub = closed});
  add(&notices, &(msi_notice){.kind = MSI_NOTICE_IMMEDIATE, .sub = open});
  msi_notices_forget_sub(&notices, closed);
  assert_null(notices.items[0].sub);
  assert_ptr_equal(notices.items[1].sub, open);
  msi_notices_fini(&notices);
}

#define NOTICE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      NOTICE_TEST(test_notices_come_out_in_the_order_they_went_in),
      NOTICE_TEST(test_changes_beyond_the_limit_melt_into_the_last),
      NOTICE_TEST(test_what_others_are_to_hear_does_not_melt),
      NOTICE_TEST(test_patches_beyond_the_limit_melt_between_changes),
      NOTICE_TEST(test_room_without_memory_leaves_all_as_it_was),
      NOTICE_TEST(test_closed_subscription_is_forgotten_by_its_notices_only),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
