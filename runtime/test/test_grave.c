/* Values that are released in steps. */
#include "grave.h"

#include <pthread.h>

#include "value_support.h"

enum { KEYS = 20000 };

/* Takes the value. */
static void put(const ms_alloc *alloc, const ms_value **object, const char *key,
                const ms_value *value) {
  test_put(alloc, object, key, value);
  ms_value_release(value);
}

/* Many keys; every tenth holds a list, of which one is long, or a small object. */
static const ms_value *large_object(const ms_alloc *alloc) {
  const ms_value *object = NULL;
  assert_ok(ms_value_new_object(alloc, &object));
  for (int i = 0; i < KEYS; i++) {
    char key[32];
    const ms_value *value = NULL;
    (void)snprintf(key, sizeof key, "key%d", i);
    if (i % 10 == 0) {
      assert_ok(ms_value_new_array(alloc, &value));
      for (int k = 0; k < (i == 5000 ? KEYS : i % 40); k++) {
        const ms_value *item = test_string(alloc, key);
        assert_ok(ms_value_append(alloc, &value, item));
        ms_value_release(item);
      }
    } else if (i % 10 == 1) {
      assert_ok(ms_value_new_object(alloc, &value));
      put(alloc, &value, "inner", test_string(alloc, key));
    } else {
      value = test_int(alloc, i);
    }
    put(alloc, &object, key, value);
  }
  return object;
}

/* Many levels, each with a neighbour. */
static const ms_value *deep_array(const ms_alloc *alloc) {
  const ms_value *value = test_string(alloc, "bottom");
  for (int i = 0; i < KEYS; i++) {
    const ms_value *outer = NULL, *item = test_string(alloc, "neighbour");
    assert_ok(ms_value_new_array(alloc, &outer));
    assert_ok(ms_value_append(alloc, &outer, value));
    assert_ok(ms_value_append(alloc, &outer, item));
    ms_value_release(item);
    ms_value_release(value);
    value = outer;
  }
  return value;
}

static void bury_in_steps(const ms_value *(*make)(const ms_alloc *), size_t budget) {
  failing_alloc memory;
  failing_alloc_init(&memory);
  msi_grave grave;
  msi_grave_init(&grave);
  const ms_value *value = make(&memory.alloc);
  size_t before = memory.blocks, steps = 0;
  failing_alloc_fail_at(&memory, 0); /* it asks for nothing */
  msi_grave_bury(&grave, value);
  assert_true(before - memory.blocks < MSI_GRAVE_AT_ONCE + 100);
  bool done = false;
  while (!done) {
    before = memory.blocks;
    done = msi_grave_step(&grave, budget);
    assert_true(before - memory.blocks < budget + 100);
    steps++;
  }
  assert_true(steps > KEYS / (budget + 100));
  assert_false(memory.failed);
  assert_true(failing_alloc_is_clean(&memory));
  assert_true(msi_grave_step(&grave, budget));
  msi_grave_fini(&grave);
}

static void test_large_values_are_released_in_steps(void **state) {
  (void)state;
  static const size_t BUDGETS[] = {1, 7, 100, 1000, MSI_GRAVE_STEP};
  for (size_t i = 0; i < sizeof BUDGETS / sizeof *BUDGETS; i++) {
    bury_in_steps(large_object, BUDGETS[i]);
    bury_in_steps(deep_array, BUDGETS[i]);
  }
}

static void test_small_values_are_released_on_the_spot(void **state) {
  (void)state;
  failing_alloc memory;
  failing_alloc_init(&memory);
  msi_grave grave;
  msi_grave_init(&grave);
  const ms_value *object = NULL;
  assert_ok(ms_value_new_object(&memory.alloc, &object));
  put(&memory.alloc, &object, "text", test_string(&memory.alloc, "some text"));
  msi_grave_bury(&grave, object);
  assert_true(failing_alloc_is_clean(&memory));
  msi_grave_bury(&grave, test_string(&memory.alloc, "some text"));
  assert_true(failing_alloc_is_clean(&memory));
  msi_grave_bury(&grave, test_int(NULL, 1));
  msi_grave_bury(&grave, NULL);
  msi_grave_bury(NULL, large_object(&memory.alloc)); /* no grave: at once */
  assert_true(failing_alloc_is_clean(&memory));
  msi_grave_fini(&grave);
}

/* Versions of a document share what did not change: who is left has all of it. */
static void test_what_others_hold_stays(void **state) {
  (void)state;
  failing_alloc memory;
  failing_alloc_init(&memory);
  test_random random = test_random_begin("graves");
  msi_grave grave;
  msi_grave_init(&grave);
  const ms_value *live = large_object(&memory.alloc);
  const ms_value *held = ms_value_retain(live);
  for (int i = 0; i < 3000; i++) {
    char key[32];
    const ms_value *old = ms_value_retain(live);
    (void)snprintf(key, sizeof key, "key%d", (int)test_random_below(&random, KEYS));
    put(&memory.alloc, &live, key, test_int(NULL, -i));
    msi_grave_bury(&grave, old);
    if (i % 500 == 0) {
      msi_grave_bury(&grave, held);
      held = ms_value_retain(live);
    }
    (void)msi_grave_step(&grave, 3);
    if (i % 300 == 0) assert_true(msi_value_check(live));
  }
  msi_grave_bury(&grave, held);
  msi_grave_fini(&grave);
  assert_true(msi_value_check(live));
  assert_int_equal(ms_value_count(live), KEYS);
  ms_value_release(live);
  assert_true(failing_alloc_is_clean(&memory));
}

static void test_what_is_left_goes_with_the_grave(void **state) {
  (void)state;
  failing_alloc memory;
  failing_alloc_init(&memory);
  msi_grave grave;
  msi_grave_init(&grave);
  for (int i = 0; i < 3; i++) msi_grave_bury(&grave, large_object(&memory.alloc));
  assert_false(msi_grave_step(&grave, 10));
  msi_grave_fini(&grave);
  assert_true(failing_alloc_is_clean(&memory));
}

/* ----- threads */

enum { THREADS = 3, VALUES = 200 };

static void *bury_main(void *arg) {
  for (int i = 0; i < VALUES; i++) {
    const ms_value *value = NULL, *item = test_int(NULL, i);
    assert_ok(ms_value_new_array(NULL, &value));
    for (int k = 0; k < 2 * MSI_GRAVE_AT_ONCE; k++)
      assert_ok(ms_value_append(NULL, &value, item));
    msi_grave_bury(arg, value);
  }
  return NULL;
}

/* The address sanitizer sees what is lost, the thread sanitizer who meets whom. */
static void test_several_threads_may_bury_while_one_steps(void **state) {
  (void)state;
  pthread_t threads[THREADS];
  msi_grave grave;
  msi_grave_init(&grave);
  for (int i = 0; i < THREADS; i++) {
    assert_int_equal(pthread_create(&threads[i], NULL, bury_main, &grave), 0);
  }
  for (int i = 0; i < 1000; i++) (void)msi_grave_step(&grave, 50);
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
  while (!msi_grave_step(&grave, 5000)) continue;
  assert_null(grave.dead);
  assert_null(atomic_load(&grave.fresh));
  msi_grave_fini(&grave);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_large_values_are_released_in_steps),
      cmocka_unit_test(test_small_values_are_released_on_the_spot),
      cmocka_unit_test(test_what_others_hold_stays),
      cmocka_unit_test(test_what_is_left_goes_with_the_grave),
      cmocka_unit_test(test_several_threads_may_bury_while_one_steps),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
