/* The tail of recent entries. */
#include "tail.h"

#include "replica_support.h"

static void add_many(msi_tail *tail, uint64_t from, uint64_t to, size_t bytes) {
  uint8_t data[256];
  for (uint64_t version = from; version <= to; version++) {
    memset(data, (int)(version & 0xff), sizeof data);
    msi_tail_add(tail, version, data, bytes);
  }
}

static void assert_covers_from(const msi_tail *tail, uint64_t first, uint64_t last) {
  const uint8_t *data;
  size_t bytes;
  assert_int_equal(tail->last, last);
  assert_true(msi_tail_covers(tail, first - 1));
  if (first > 1) assert_false(msi_tail_covers(tail, first - 2));
  assert_true(msi_tail_covers(tail, last));
  assert_false(msi_tail_covers(tail, last + 1));
  assert_false(msi_tail_get(tail, first - 1, &data, &bytes));
  assert_false(msi_tail_get(tail, last + 1, &data, &bytes));
  for (uint64_t version = first; version <= last; version++) {
    assert_true(msi_tail_get(tail, version, &data, &bytes));
    for (size_t i = 0; i < bytes; i++) assert_int_equal(data[i], version & 0xff);
  }
}

static void test_the_tail_keeps_what_fits_into_its_bytes(void **state) {
  (void)state;
  failing_alloc memory;
  failing_alloc_init(&memory);
  msi_tail tail;
  msi_tail_init(&tail, &memory.alloc, 1000);
  assert_true(msi_tail_covers(&tail, 0));
  assert_false(msi_tail_covers(&tail, 1));
  add_many(&tail, 1, 10, 100);
  assert_covers_from(&tail, 1, 10);
  add_many(&tail, 11, 11, 100);
  assert_covers_from(&tail, 2, 11);
  add_many(&tail, 12, 12, 250); /* three go for it */
  assert_covers_from(&tail, 5, 12);
  add_many(&tail, 13, 500, 7);
  assert_covers_from(&tail, 500 - 1000 / 7 + 1, 500);
  msi_tail_fini(&tail);
  assert_true(failing_alloc_is_clean(&memory));
}

static void test_an_entry_that_is_too_long_empties_the_tail(void **state) {
  (void)state;
  msi_tail tail;
  msi_tail_init(&tail, msi_alloc_resolve(NULL), 100);
  add_many(&tail, 1, 5, 10);
  add_many(&tail, 6, 6, 101);
  assert_covers_from(&tail, 7, 6); /* nothing */
  add_many(&tail, 7, 8, 50);
  assert_covers_from(&tail, 7, 8);
  msi_tail_fini(&tail);
}

static void test_a_reset_tail_goes_on_at_its_version(void **state) {
  (void)state;
  msi_tail tail;
  msi_tail_init(&tail, msi_alloc_resolve(NULL), 100);
  add_many(&tail, 1, 5, 10);
  msi_tail_reset(&tail, 70);
  assert_covers_from(&tail, 71, 70);
  add_many(&tail, 71, 73, 10);
  assert_covers_from(&tail, 71, 73);
  msi_tail_fini(&tail);
}

static void test_a_tail_without_memory_is_empty_but_right(void **state) {
  (void)state;
  failing_alloc memory;
  failing_alloc_init(&memory);
  for (uint64_t n = 0; n < 8; n++) {
    msi_tail tail;
    msi_tail_init(&tail, &memory.alloc, 1000);
    failing_alloc_fail_at(&memory, n);
    add_many(&tail, 1, 6, 10);
    failing_alloc_never_fail(&memory);
    /* One slot table and one block per entry: the failed one forgets those before it. */
    assert_covers_from(&tail, n == 0 ? 2 : n < 7 ? n + 1 : 1, 6);
    add_many(&tail, 7, 9, 10);
    assert_true(msi_tail_covers(&tail, 6));
    msi_tail_fini(&tail);
  }
  assert_true(failing_alloc_is_clean(&memory));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_tail_keeps_what_fits_into_its_bytes),
      cmocka_unit_test(test_an_entry_that_is_too_long_empties_the_tail),
      cmocka_unit_test(test_a_reset_tail_goes_on_at_its_version),
      cmocka_unit_test(test_a_tail_without_memory_is_empty_but_right),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
