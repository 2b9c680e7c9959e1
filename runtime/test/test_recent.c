/* Recent assignments: an update made after the mould of another is the one that compiling gives. */
#include "failing_alloc.h"
#include "recent.h"
#include "update_support.h"

static const char *const OPERANDS[] = {
    "1",    "-7", "300",   "1e300",      "\"text\"", "\"\"",    "null",
    "true", "{}", "[1,2]", "{\"a\": 1}", "0",        "\"long\""};
enum { OPERAND_COUNT = sizeof OPERANDS / sizeof *OPERANDS };

static ms_path *path_of(const char *text) {
  ms_path *path = NULL;
  ms_error error;
  assert_int_equal(ms_path_parse(NULL, text, strlen(text), &path, &error), MS_OK);
  return path;
}

static void assert_same(const ms_update *a, const ms_update *b) {
  assert_int_equal(a->wire_bytes, b->wire_bytes);
  assert_memory_equal(a->wire, b->wire, a->wire_bytes);
  assert_int_equal(a->op_count, b->op_count);
  for (uint32_t i = 0; i < a->op_count; i++) {
    assert_int_equal(a->ops[i].code, b->ops[i].code);
    assert_int_equal(a->ops[i].class_, b->ops[i].class_);
    assert_true(msi_path_equal(a->ops[i].path, b->ops[i].path));
    assert_true(ms_value_equal(a->ops[i].operand, b->ops[i].operand));
  }
}

static ms_update *compile(const ms_alloc *alloc, const ms_write *write) {
  ms_update *update = NULL;
  ms_error error;
  assert_int_equal(msi_update_assign(alloc, MSI_CODE_SET, write->path, write->operand,
                                     write->container, &update, &error),
                   MS_OK);
  return update;
}

static void test_update_made_like_another_is_what_compiling_gives(void **state) {
  (void)state;
  static const ms_type guards[] = {MS_NULL, MS_OBJECT, MS_ARRAY};
  static const char *const paths[] = {"a", "a.b.c", "list.7"};
  msi_recent recent = {0};
  size_t made = 0;
  for (size_t p = 0; p < 3; p++) {
    ms_path *path = path_of(paths[p]);
    for (size_t i = 0; i < (size_t)3 * OPERAND_COUNT * OPERAND_COUNT; i++) {
      const ms_value *operand =
          mst_json(OPERANDS[(i * 5 + i / OPERAND_COUNT) % OPERAND_COUNT]);
      ms_write write;
      ms_write_init(&write);
      write.path = path;
      write.operand = operand;
      write.container = guards[i / (OPERAND_COUNT * OPERAND_COUNT)];
      ms_update *like = NULL, *update = compile(NULL, &write);
      assert_int_equal(msi_recent_build(&recent, &write, &like), MS_OK);
      if (like == NULL) msi_recent_note(&recent, &write, update);
      if (like != NULL) assert_same(like, update), made++;
      ms_update_release(like);
      ms_update_release(update);
      ms_value_release(operand);
    }
    ms_path_release(path);
  }
  assert_true(made > 500);
  msi_recent_fini(&recent);
}

static void test_mould_serves_its_own_path_operator_and_guard_only(void **state) {
  (void)state;
  msi_recent recent = {0};
  ms_write write;
  ms_update *made = NULL;
  ms_path *path = path_of("a.b"), *other = path_of("a.b");
  ms_write_init(&write);
  write.path = path;
  write.operand = ms_value_bool(true);
  write.container = MS_OBJECT;
  ms_update *update = compile(NULL, &write);
  for (int i = 0; i < 2; i++) msi_recent_note(&recent, &write, update);
  ms_update_release(update);
  assert_int_equal(msi_recent_build(&recent, &write, &made), MS_OK);
  assert_non_null(made);
  ms_update_release(made);
  ms_write wrong[4] = {write, write, write, write};
  wrong[0].path = other;
  wrong[1].container = MS_ARRAY;
  wrong[2].op = MS_OP_INC;
  wrong[3].guards_list = true;
  for (int i = 0; i < 4; i++) {
    assert_int_equal(msi_recent_build(&recent, &wrong[i], &made), MS_OK);
    assert_null(made);
  }
  msi_recent_fini(&recent);
  ms_path_release(path);
  ms_path_release(other);
}

static void test_failed_allocations_leave_nothing_behind(void **state) {
  (void)state;
  failing_alloc memory;
  failing_alloc_init(&memory);
  bool failed = true;
  ms_path *path = path_of("a.b");
  for (uint64_t n = 0; failed; n++) {
    msi_recent recent = {0};
    ms_write write;
    ms_update *made = NULL;
    ms_write_init(&write);
    write.path = path;
    write.operand = ms_value_bool(true);
    ms_update *update = compile(&memory.alloc, &write);
    failing_alloc_fail_at(&memory, n);
    for (int i = 0; i < 2; i++) msi_recent_note(&recent, &write, update);
    ms_status status = msi_recent_build(&recent, &write, &made);
    failed = memory.failed;
    failing_alloc_never_fail(&memory);
    assert_true(status == MS_OK || (status == MS_ENOMEM && failed && made == NULL));
    ms_update_release(made);
    ms_update_release(update);
    msi_recent_fini(&recent);
    assert_true(failing_alloc_is_clean(&memory));
  }
  ms_path_release(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_update_made_like_another_is_what_compiling_gives),
      cmocka_unit_test(test_mould_serves_its_own_path_operator_and_guard_only),
      cmocka_unit_test(test_failed_allocations_leave_nothing_behind),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
