/* Gathering: one step for all changes of a poll, where it starts for whom, and what memory it holds. */
#include "test_support.h"

#include "failing_alloc.h"
#include "gather.h"
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

static int64_t number_of(const ms_value *value) {
  int64_t number = -1;
  assert_int_equal(ms_value_to_int(value, &number), MS_OK);
  return number;
}

/* A change from one number to the next, standing for roots. */
static ms_status add(msi_gather *gather, int64_t from, uint64_t listeners,
                     uint64_t newest) {
  msi_notice notice = {.kind = MSI_NOTICE_CHANGE,
                       .change = MS_CHANGE_SET,
                       .origin = (uint64_t)from % 2 + 1,
                       .version = (uint64_t)from,
                       .is_local = true,
                       .listeners = listeners};
  assert_int_equal(ms_value_new_int(gather->alloc, from, &notice.old_root), MS_OK);
  assert_int_equal(ms_value_new_int(gather->alloc, from + 1, &notice.new_root), MS_OK);
  ms_status status = msi_gather_add(gather, &notice, newest);
  msi_notice_fini(&notice, gather->alloc);
  return status;
}

static void test_changes_become_one_from_the_first_root_to_the_last(void **state) {
  failing_alloc *memory = *state;
  msi_gather gather, all;
  msi_gather_init(&gather, &memory->alloc);
  assert_false(msi_gather_take(&gather, &all));
  for (int64_t i = 0; i < 100; i++) assert_int_equal(add(&gather, i, 5, 5), MS_OK);
  assert_true(msi_gather_take(&gather, &all));
  assert_false(msi_gather_take(&gather, &all));
  assert_int_equal(all.count, 1);
  assert_int_equal(all.starts[0].listeners, 5);
  assert_int_equal(number_of(all.starts[0].root), 0);
  assert_int_equal(number_of(all.whole.new_root), 100);
  assert_int_equal(all.whole.version, 99);
  assert_int_equal(all.whole.origin, 0); /* several */
  assert_true(all.whole.is_local);
  msi_gather_fini(&all);
  msi_gather_fini(&gather);
}

static void test_later_subscriptions_have_later_starts(void **state) {
  failing_alloc *memory = *state;
  msi_gather gather;
  msi_gather_init(&gather, &memory->alloc);
  for (int64_t i = 0; i < 40; i++) {
    uint64_t listeners = (uint64_t)i / 4 + 1; /* one joins every four changes */
    assert_int_equal(add(&gather, i, listeners, 10), MS_OK);
  }
  assert_int_equal(gather.count, 10);
  for (size_t i = 0; i < gather.count; i++) {
    assert_int_equal(gather.starts[i].listeners, i + 1);
    assert_int_equal(number_of(gather.starts[i].root), 4 * i);
  }
  /* Those that joined later but do not coalesce need no start. */
  assert_int_equal(add(&gather, 40, 50, 10), MS_OK);
  assert_int_equal(gather.count, 10);
  msi_gather_fini(&gather);
}

static void test_a_start_without_memory_leaves_those_before_it(void **state) {
  failing_alloc *memory = *state;
  msi_gather gather;
  msi_gather_init(&gather, &memory->alloc);
  failing_alloc_fail_at(memory, 0);
  assert_int_equal(add(&gather, 0, 1, 9), MS_ENOMEM);
  assert_int_equal(gather.count, 0);
  failing_alloc_never_fail(memory);
  for (int64_t i = 1; i <= 4; i++) {
    assert_int_equal(add(&gather, i, (uint64_t)i, 9), MS_OK);
  }
  failing_alloc_fail_at(memory, 0);
  assert_int_equal(add(&gather, 5, 5, 9), MS_ENOMEM);
  assert_int_equal(gather.count, 4);
  assert_int_equal(number_of(gather.starts[0].root), 1);
  assert_int_equal(number_of(gather.whole.new_root), 6); /* the others hear of it */
  msi_gather_fini(&gather);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(
          test_changes_become_one_from_the_first_root_to_the_last, setup, teardown),
      cmocka_unit_test_setup_teardown(test_later_subscriptions_have_later_starts, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(test_a_start_without_memory_leaves_those_before_it,
                                      setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
