/* Conflicts of what goes into arrays by position with what moves their elements. */
#include "conflict_support.h"
#include "failing_alloc.h"

/* Is the second patch refused that was based below the first? Its timestamp is the newer one. */
static bool moved(const char *first, const char *second) {
  msi_conflicts *conflicts = conflicts_of();
  note(conflicts, accepted(1, 10, 0, 100, marked(first, LISTS)));
  msi_conflict found = check(conflicts, 11, 0, 200, marked(second, LISTS));
  assert_int_equal(status_of(conflicts, 11, 1, 200, marked(second, LISTS)), MS_OK);
  assert_int_equal(status_of(conflicts, 10, 0, 200, marked(second, LISTS)), MS_OK);
  msi_conflicts_free(conflicts);
  if (found.status != MS_OK) assert_int_equal(found.winner_version, 1);
  return found.status == MS_ECONFLICT;
}

static const char *const movers[] = {
    "{\"$pop\": {\"l\": 1}}",
    "{\"$pop\": {\"l\": -1}}",
    "{\"$pull\": {\"l\": 1}}",
    "{\"$pullAll\": {\"l\": [1]}}",
    "{\"$push\": {\"l\": {\"$each\": [1], \"$position\": 0}}}",
    "{\"$push\": {\"l\": {\"$each\": [1], \"$slice\": 5}}}",
    "{\"$push\": {\"l\": {\"$each\": [1], \"$sort\": 1}}}"};
enum { MOVERS = sizeof movers / sizeof *movers };

static void test_what_moves_positions_meets_writes_to_an_index(void **state) {
  (void)state;
  for (int i = 0; i < MOVERS; i++) {
    assert_true(moved(movers[i], "{\"$set\": {\"l.0\": 1}}"));
    assert_true(moved(movers[i], "{\"$inc\": {\"l.1.n\": 1}}"));
    assert_true(moved(movers[i], "{\"$push\": {\"l.0.t\": 1}}"));
    assert_true(moved("{\"$inc\": {\"l.1.n\": 1}}", movers[i]));
    assert_false(moved(movers[i], "{\"$push\": {\"l\": 1}}"));
    assert_false(moved(movers[i], "{\"$inc\": {\"a.n\": 1}}"));
    assert_false(moved("{\"$set\": {\"a.b.0\": 1}}", movers[i]));
  }
}

static void test_what_moves_positions_meets_its_like_but_pulls_commute(void **state) {
  (void)state;
  for (int i = 0; i < MOVERS; i++) {
    for (int k = 0; k < MOVERS; k++) {
      bool both_pull = (i == 2 || i == 3) && (k == 2 || k == 3);
      assert_int_equal(moved(movers[i], movers[k]), !both_pull);
    }
  }
}

static void test_replacing_an_array_meets_what_goes_by_position(void **state) {
  (void)state;
  static const char *const replacers[] = {
      "{\"$set\": {\"l\": []}}", "{\"$unset\": {\"l\": 1}}",
      "{\"$rename\": {\"l\": \"c\"}}", "{\"$max\": {\"l\": [9]}}"};
  for (int i = 0; i < 4; i++) {
    assert_true(moved(replacers[i], "{\"$inc\": {\"l.1.n\": 1}}"));
    assert_true(moved(replacers[i], "{\"$set\": {\"l.0.t.0\": 1}}"));
    assert_false(moved(replacers[i], "{\"$push\": {\"l\": 1}}"));
    for (int k = 0; k < MOVERS; k++) assert_true(moved(replacers[i], movers[k]));
    /* Who replaces the whole hits no element: the newer one stands. */
    assert_false(moved("{\"$inc\": {\"l.1.n\": 1}}", "{\"$set\": {\"l\": []}}"));
  }
}

static void test_appends_meet_pops_and_writes_at_or_above_the_length(void **state) {
  (void)state;
  static const char *const appends[] = {"{\"$push\": {\"l\": 1}}",
                                        "{\"$addToSet\": {\"l\": 1}}"};
  for (int i = 0; i < 2; i++) {
    assert_true(moved(appends[i], "{\"$pop\": {\"l\": 1}}"));
    assert_true(moved(appends[i], "{\"$set\": {\"l.2\": 1}}"));
    assert_false(moved(appends[i], "{\"$set\": {\"l.1\": 1}}"));
    assert_false(moved(appends[i], "{\"$pull\": {\"l\": 1}}"));
    assert_true(
        moved(appends[i], "{\"$push\": {\"l\": {\"$each\": [1], \"$position\": 2}}}"));
    assert_false(
        moved(appends[i], "{\"$push\": {\"l\": {\"$each\": [1], \"$position\": 1}}}"));
    assert_false(moved(appends[i], appends[1 - i]));
  }
  assert_true(moved("{\"$push\": {\"e\": 1}}", "{\"$set\": {\"e.0\": 1}}"));
  assert_true(moved("{\"$push\": {\"e\": {\"$each\": [1], \"$position\": 0}}}",
                    "{\"$inc\": {\"e.0\": 1}}"));
}

static void test_index_write_below_the_length_is_apart_from_newer_appends(void **state) {
  (void)state;
  msi_conflicts *conflicts = conflicts_of();
  note(conflicts, accepted(1, 10, 0, 300, marked("{\"$push\": {\"l\": 1}}", LISTS)));
  assert_int_equal(
      status_of(conflicts, 11, 0, 200, marked("{\"$set\": {\"l.1\": 1}}", LISTS)), MS_OK);
  assert_int_equal(
      status_of(conflicts, 11, 0, 200, marked("{\"$set\": {\"l\": 1}}", LISTS)),
      MS_ECONFLICT);
  msi_conflicts_free(conflicts);
}

static void test_positional_operations_meet_edits_of_inner_arrays(void **state) {
  (void)state;
  assert_true(moved("{\"$pull\": {\"l.$[].t\": 1}}", "{\"$set\": {\"l.0.t.1\": 1}}"));
  assert_true(moved("{\"$set\": {\"l.$[x].t\": []}}", "{\"$pop\": {\"l.0.t\": 1}}"));
  assert_true(moved("{\"$pop\": {\"l.0.t\": 1}}", "{\"$inc\": {\"l.$[].t.0\": 1}}"));
  assert_true(moved("{\"$set\": {\"l.0.t.1\": 1}}", "{\"$pull\": {\"l.$[].t\": 1}}"));
  assert_false(moved("{\"$inc\": {\"l.$[].n\": 1}}", "{\"$set\": {\"l.0.t.1\": 1}}"));
  assert_false(moved("{\"$pop\": {\"l\": 1}}", "{\"$inc\": {\"l.$[].n\": 1}}"));
}

static void test_in_doubt_a_position_meets_what_its_own_writer_did(void **state) {
  (void)state;
  static const char *const moves[] = {
      "{\"$push\": {\"l\": 1}}",
      "{\"$push\": {\"l\": {\"$each\": [1], \"$position\": 0}}}",
      "{\"$pop\": {\"l\": 1}}",
      "{\"$pull\": {\"l\": 1}}",
      "{\"$set\": {\"l\": []}}",
      "{\"$set\": {\"l.2\": 1}}",
      "{\"$push\": {\"l.$[].t\": 1}}"};
  const char *edit = "{\"$set\": {\"l.0.n\": 1}}";
  for (size_t i = 0; i < sizeof moves / sizeof *moves; i++) {
    msi_conflicts *conflicts = conflicts_of();
    note(conflicts, accepted(1, 10, 0, 100, marked(moves[i], LISTS)));
    assert_int_equal(status_of(conflicts, 10, 0, 200, marked(edit, LISTS)), MS_OK);
    assert_int_equal(status_of(conflicts, 10, 0, 200, marked_if(edit, LISTS, true)),
                     MS_ECONFLICT);
    assert_int_equal(status_of(conflicts, 10, 1, 200, marked_if(edit, LISTS, true)),
                     MS_OK);
    msi_conflicts_free(conflicts);
  }
}

static void test_in_doubt_other_places_are_left_alone(void **state) {
  (void)state;
  msi_conflicts *conflicts = conflicts_of();
  note(conflicts, accepted(1, 10, 0, 100, marked("{\"$push\": {\"a.b\": 1}}", LISTS)));
  note(conflicts, accepted(2, 10, 0, 101, marked("{\"$set\": {\"l.0.n\": 1}}", LISTS)));
  assert_int_equal(status_of(conflicts, 10, 0, 200,
                             marked_if("{\"$set\": {\"l.0.n\": 2}}", LISTS, true)),
                   MS_OK);
  msi_conflicts_free(conflicts);
}

/* A writer adds to a set in a list, then goes by a position behind the committed elements. Others wrote
 * there in between: the writer may have seen that the element was added, or that it was there already. */
static void test_a_set_in_a_list_may_come_out_otherwise_for_its_own_writer(void **state) {
  (void)state;
  static const char *const theirs[] = {"{\"$set\": {\"l.0.n\": 1}}",
                                       "{\"$inc\": {\"l.$[].n\": 1}}",
                                       "{\"$set\": {\"k\": 1}}"};
  static const char *const own[] = {"{\"$addToSet\": {\"l\": {\"n\": 1}}}",
                                    "{\"$push\": {\"l\": {\"n\": 1}}}"};
  for (int i = 0; i < 3; i++) {
    for (int k = 0; k < 2; k++) {
      msi_conflicts *conflicts = conflicts_of();
      note(conflicts, accepted(1, 11, 0, 100, marked(theirs[i], LISTS)));
      note(conflicts, accepted(2, 10, 0, 101, marked(own[k], LISTS)));
      bool is_open = i == 0 && k == 0;
      if (i != 1) { /* that meets positions by itself */
        assert_int_equal(
            status_of(conflicts, 10, 0, 200, marked("{\"$set\": {\"l.3\": 1}}", LISTS)),
            is_open ? MS_ECONFLICT : MS_OK);
      }
      assert_int_equal(
          status_of(conflicts, 10, 1, 200, marked("{\"$set\": {\"l.3\": 1}}", LISTS)),
          k == 0 && i < 2 ? MS_ECONFLICT : MS_OK);
      assert_int_equal(
          status_of(conflicts, 10, 0, 200, marked("{\"$set\": {\"a.b.3\": 1}}", LISTS)),
          MS_OK);
      assert_int_equal(
          status_of(conflicts, 10, 2, 200, marked("{\"$set\": {\"l.3\": 1}}", LISTS)),
          MS_OK);
      msi_conflicts_free(conflicts);
    }
  }
}

/* A patch with a condition, marked by a writer whose document is LISTS. */
static ms_update *conditional(const char *text) {
  const ms_value *document = json("{}"), *where = json("{\"a\": {\"$exists\": true}}");
  ms_update *condition = NULL;
  ms_update_options options;
  ms_update_options_init(&options);
  options.where = where;
  assert_int_equal(ms_update_parse(NULL, document, &options, &condition, NULL), MS_OK);
  ms_value_release(where);
  ms_value_release(document);
  return concat(condition, marked(text, LISTS));
}

static void
test_positions_that_hang_on_what_is_pending_meet_what_may_turn_it(void **state) {
  (void)state;
  assert_true(moved("{\"$inc\": {\"l.$[].n\": 1}}", "{\"$set\": {\"l.2\": 1}}"));
  assert_false(moved("{\"$inc\": {\"l.$[].n\": 1}}", "{\"$set\": {\"l.1\": 1}}"));
  assert_true(moved("{\"$set\": {\"l.2\": 2}}", "{\"$set\": {\"l.2\": 1}}"));
  assert_true(moved("{\"$inc\": {\"l.2.n\": 2}}", "{\"$set\": {\"l.2\": 1}}"));
  assert_false(moved("{\"$set\": {\"l.1\": 2}}", "{\"$set\": {\"l.2\": 1}}"));
}

static void test_own_patch_with_a_condition_may_turn_positions_too(void **state) {
  (void)state;
  static const char *const texts[] = {
      "{\"$push\": {\"l\": 1}}", "{\"$set\": {\"l\": []}}", "{\"$pop\": {\"l\": 1}}"};
  for (int i = 0; i < 3; i++) {
    msi_conflicts *conflicts = conflicts_of();
    note(conflicts, accepted(1, 10, 0, 100, conditional(texts[i])));
    assert_int_equal(
        status_of(conflicts, 10, 0, 200, marked("{\"$set\": {\"l.2\": 1}}", LISTS)),
        MS_ECONFLICT);
    assert_int_equal(
        status_of(conflicts, 10, 0, 200, marked("{\"$set\": {\"l.1\": 1}}", LISTS)),
        MS_OK);
    assert_int_equal(
        status_of(conflicts, 10, 1, 200, marked("{\"$set\": {\"l.2\": 1}}", LISTS)),
        MS_OK);
    assert_int_equal(
        status_of(conflicts, 10, 0, 200, marked("{\"$set\": {\"a.b.1\": 1}}", LISTS)),
        MS_OK);
    msi_conflicts_free(conflicts);
  }
}

static void
test_position_behind_the_list_falls_with_an_own_rejection_inside(void **state) {
  (void)state;
  msi_conflicts *conflicts = conflicts_of();
  note(conflicts, rejected(1, 10, 0, 1, marked("{\"$set\": {\"l.2\": 1}}", LISTS)));
  assert_int_equal(
      status_of(conflicts, 10, 0, 200, marked("{\"$set\": {\"l.2\": 2}}", LISTS)),
      MS_ECONFLICT);
  assert_int_equal(
      status_of(conflicts, 10, 0, 200, marked("{\"$set\": {\"l.1\": 2}}", LISTS)), MS_OK);
  assert_int_equal(
      status_of(conflicts, 10, 1, 200, marked("{\"$set\": {\"l.2\": 2}}", LISTS)), MS_OK);
  msi_conflicts_free(conflicts);
}

static void test_write_to_an_index_falls_with_an_own_one_that_was_rejected(void **state) {
  (void)state;
  msi_conflicts *conflicts = conflicts_of();
  note(conflicts, rejected(1, 10, 0, 1, marked("{\"$set\": {\"l.1\": 1}}", LISTS)));
  note(conflicts, rejected(2, 10, 0, 2, set("k.a", 1)));
  assert_int_equal(
      status_of(conflicts, 10, 0, 200, marked("{\"$set\": {\"l.1\": 2}}", LISTS)),
      MS_ECONFLICT);
  assert_int_equal(
      status_of(conflicts, 10, 0, 200, marked("{\"$set\": {\"l.0\": 2}}", LISTS)), MS_OK);
  assert_int_equal(
      status_of(conflicts, 10, 0, 200, marked("{\"$set\": {\"l\": []}}", LISTS)), MS_OK);
  assert_int_equal(status_of(conflicts, 10, 0, 200, set("k.a", 2)), MS_OK);
  msi_conflicts_free(conflicts);
}

static void test_keys_that_are_numbers_are_no_positions(void **state) {
  (void)state;
  static const char document[] = "{\"players\": {\"7\": {\"hp\": 1}}}";
  msi_conflicts *conflicts = conflicts_of();
  note(conflicts,
       accepted(1, 10, 0, 100, marked("{\"$set\": {\"players\": {}}}", document)));
  assert_int_equal(status_of(conflicts, 11, 0, 200,
                             marked("{\"$inc\": {\"players.7.hp\": 1}}", document)),
                   MS_OK);
  msi_conflicts_free(conflicts);
}

static void test_evicted_positions_raise_a_floor(void **state) {
  (void)state;
  msi_conflicts *conflicts = NULL;
  char text[32];
  assert_int_equal(msi_conflicts_new(NULL, 1, &conflicts), MS_OK);
  note(conflicts, accepted(1, 10, 0, 100, marked("{\"$pop\": {\"l\": 1}}", LISTS)));
  uint64_t version = 1;
  for (; version < 3 * MSI_CONFLICT_NODES_LEAST; version++) {
    snprintf(text, sizeof text, "k%d", (int)version);
    note(conflicts, accepted(version + 1, 10, version, 100 + version, set(text, 1)));
  }
  msi_conflict found =
      check(conflicts, 11, 0, 9999, marked("{\"$set\": {\"l.0\": 1}}", LISTS));
  assert_int_equal(found.status, MS_ECONFLICT);
  assert_true(found.by_floor);
  assert_int_equal(
      status_of(conflicts, 11, version, 9999, marked("{\"$set\": {\"l.0\": 1}}", LISTS)),
      MS_OK);
  msi_conflicts_free(conflicts);
}

static void test_noting_without_memory_forgets_no_condition(void **state) {
  (void)state;
  bool failed = true;
  for (uint64_t n = 0; failed; n++) {
    failing_alloc memory;
    msi_conflicts *conflicts = NULL;
    failing_alloc_init(&memory);
    assert_int_equal(msi_conflicts_new(&memory.alloc, 1000, &conflicts), MS_OK);
    failing_alloc_fail_at(&memory, n);
    note(conflicts, accepted(1, 10, 0, 100, conditional("{\"$push\": {\"l\": 1}}")));
    failed = memory.failed;
    failing_alloc_never_fail(&memory);
    assert_int_equal(
        status_of(conflicts, 10, 0, 200, marked("{\"$set\": {\"l.2\": 1}}", LISTS)),
        MS_ECONFLICT);
    msi_conflicts_free(conflicts);
    assert_true(failing_alloc_is_clean(&memory));
  }
}

static void test_what_was_evicted_is_told_by_snapshots(void **state) {
  (void)state;
  msi_conflicts *conflicts = NULL, *copy = NULL;
  msi_buffer buffer;
  char text[32];
  uint64_t version = 2;
  assert_int_equal(msi_conflicts_new(NULL, 1, &conflicts), MS_OK);
  note(conflicts, accepted(1, 10, 0, 100, conditional("{\"$push\": {\"l\": 1}}")));
  note(conflicts, accepted(2, 10, 1, 101, marked("{\"$push\": {\"e\": 1}}", LISTS)));
  for (; version < 3 * MSI_CONFLICT_NODES_LEAST; version++) {
    snprintf(text, sizeof text, "k%d", (int)version);
    note(conflicts, accepted(version + 1, 12, version, 100 + version, set(text, 1)));
  }
  msi_buffer_init(&buffer, msi_alloc_resolve(NULL));
  assert_int_equal(msi_conflicts_pack(&buffer, conflicts), MS_OK);
  msi_reader in = {buffer.data, buffer.data + buffer.length};
  assert_int_equal(msi_conflicts_unpack(&in, NULL, 1, &copy), MS_OK);
  assert_true(msi_conflicts_check_structure(copy));
  const msi_conflicts *both[] = {conflicts, copy};
  for (int i = 0; i < 2; i++) {
    /* "e.0" without a mark: there was no list. */
    assert_int_equal(
        status_of(both[i], 11, 0, 9999, marked("{\"$inc\": {\"e.0\": 1}}", LISTS)),
        MS_ECONFLICT);
    assert_int_equal(
        status_of(both[i], 11, 0, 9999, marked("{\"$inc\": {\"e.n\": 1}}", LISTS)),
        MS_OK);
    assert_int_equal(
        status_of(both[i], 10, 0, 9999, marked("{\"$set\": {\"l.2\": 1}}", LISTS)),
        MS_ECONFLICT);
  }
  msi_buffer_fini(&buffer);
  msi_conflicts_free(copy);
  msi_conflicts_free(conflicts);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_in_doubt_a_position_meets_what_its_own_writer_did),
      cmocka_unit_test(test_in_doubt_other_places_are_left_alone),
      cmocka_unit_test(test_a_set_in_a_list_may_come_out_otherwise_for_its_own_writer),
      cmocka_unit_test(test_what_moves_positions_meets_writes_to_an_index),
      cmocka_unit_test(test_what_moves_positions_meets_its_like_but_pulls_commute),
      cmocka_unit_test(test_replacing_an_array_meets_what_goes_by_position),
      cmocka_unit_test(test_appends_meet_pops_and_writes_at_or_above_the_length),
      cmocka_unit_test(test_index_write_below_the_length_is_apart_from_newer_appends),
      cmocka_unit_test(test_positional_operations_meet_edits_of_inner_arrays),
      cmocka_unit_test(test_positions_that_hang_on_what_is_pending_meet_what_may_turn_it),
      cmocka_unit_test(test_own_patch_with_a_condition_may_turn_positions_too),
      cmocka_unit_test(test_position_behind_the_list_falls_with_an_own_rejection_inside),
      cmocka_unit_test(test_write_to_an_index_falls_with_an_own_one_that_was_rejected),
      cmocka_unit_test(test_noting_without_memory_forgets_no_condition),
      cmocka_unit_test(test_what_was_evicted_is_told_by_snapshots),
      cmocka_unit_test(test_keys_that_are_numbers_are_no_positions),
      cmocka_unit_test(test_evicted_positions_raise_a_floor),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
