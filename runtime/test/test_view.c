/* The view against committed root and pending patches applied again, its short cuts, want of memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "sim/sim_random.h"
#include "view.h"

enum { SELF = 7, OTHER = 8, PENDING_MAX = 64 };

static const ms_value *json(const char *text) {
  const ms_value *value = NULL;
  ms_error error = {MS_OK, ""};
  if (ms_value_from_json(NULL, text, strlen(text), &value, &error) != MS_OK) {
    fail_msg("%s: %s", text, error.message);
  }
  return value;
}

static ms_update *parse(const char *text) {
  const ms_value *document = json(text);
  ms_update *update = NULL;
  ms_error error = {MS_OK, ""};
  if (ms_update_parse(NULL, document, NULL, &update, &error) != MS_OK) {
    fail_msg("%s: %s", text, error.message);
  }
  ms_value_release(document);
  return update;
}

static ms_update *guarded_set(const char *text, int64_t number, ms_type container) {
  ms_path *path = NULL;
  const ms_value *value = NULL;
  ms_update *update = NULL;
  assert_int_equal(ms_path_parse(NULL, text, strlen(text), &path, NULL), MS_OK);
  assert_int_equal(ms_value_new_int(NULL, number, &value), MS_OK);
  assert_int_equal(
      msi_update_single(NULL, MSI_CODE_SET, path, value, container, &update, NULL),
      MS_OK);
  ms_path_release(path);
  ms_value_release(value);
  return update;
}

/* ----- a host and a view side by side */

typedef struct fixture {
  msi_view *view;
  const ms_value *committed; /* what the host holds */
  uint64_t version, number;
  ms_update *pending[PENDING_MAX]; /* own patches without a decision */
  size_t pending_count;
  msi_view_effect effect; /* of the last step */
} fixture;

static void step(fixture *f, const msi_delivery *delivery) {
  msi_view_step found;
  memset(&found, 0xff, sizeof found);
  const ms_value *before = ms_value_retain(msi_view_root(f->view));
  uint64_t number = msi_view_number(f->view);
  assert_int_equal(msi_view_take(f->view, SELF, delivery, true, &found), MS_OK);
  assert_ptr_equal(found.old_root, before);
  const ms_value *root = msi_view_root(f->view);
  bool same = before != NULL && root != NULL && ms_value_equal(before, root);
  assert_int_equal(found.effect == MSI_VIEW_NONE, same);
  /* Readers rely on the number for what they borrowed: an equal root elsewhere counts too. */
  assert_int_equal(msi_view_number(f->view) - number, root == before ? 0 : 1);
  f->effect = found.effect;
  ms_value_release(before);
  ms_value_release(found.old_root);
  ms_update_release(found.settled_update);
}

static void deliver_root(fixture *f, const ms_value *root, uint64_t decided) {
  ms_value_release(f->committed);
  f->committed = root;
  f->version += 10;
  step(f, &(msi_delivery){.kind = MSI_DELIVER_ROOT,
                          .root = root,
                          .version = f->version,
                          .number = decided});
}

static void setup(fixture *f, const char *text) {
  *f = (fixture){.version = 0};
  assert_int_equal(msi_view_new(NULL, 0, &f->view), MS_OK);
  assert_null(msi_view_root(f->view));
  deliver_root(f, json(text), 0);
  assert_int_equal(f->effect, MSI_VIEW_JOINED);
}

static void teardown(fixture *f) {
  for (size_t i = 0; i < f->pending_count; i++) ms_update_release(f->pending[i]);
  msi_view_free(f->view);
  ms_value_release(f->committed);
}

/* An own write; false when it does not apply to the view. Takes the update. */
static bool write_own(fixture *f, ms_update *update) {
  msi_view_trial trial;
  ms_error error = {MS_OK, ""};
  if (msi_view_try(f->view, update, 5, &trial, &error) != MS_OK) {
    ms_update_release(update);
    return false;
  }
  assert_int_equal(msi_view_reserve(f->view), MS_OK);
  msi_view_add(f->view, ++f->number, &trial, 5);
  assert_true(ms_value_equal(msi_view_root(f->view), trial.root));
  assert_true(f->pending_count < PENDING_MAX);
  f->pending[f->pending_count++] = update;
  msi_view_trial_fini(&trial);
  return true;
}

static void deliver_entry(fixture *f, msi_entry *entry) {
  entry->version = ++f->version;
  step(f, &(msi_delivery){.kind = MSI_DELIVER_ENTRY,
                          .entry = entry,
                          .root = f->version % 2 == 0 ? f->committed : NULL,
                          .version = f->version});
  assert_int_equal(msi_view_version(f->view), f->version);
  assert_true(ms_value_equal(msi_view_committed(f->view), f->committed));
}

/* An entry of somebody else, if it applies. Takes the update. */
static bool write_foreign(fixture *f, ms_update *update) {
  const ms_value *root = NULL;
  bool applies = ms_update_apply(update, f->committed, 5, &root, NULL) == MS_OK;
  if (applies) {
    ms_value_release(f->committed);
    f->committed = root;
    msi_entry entry = {
        .kind = MSI_ENTRY_PATCH,
        .patch = {.origin = OTHER, .number = 1, .wall_ms = 5, .update = update}};
    deliver_entry(f, &entry);
  }
  ms_update_release(update);
  return applies;
}

/* The host decides the first pending patch. */
static void decide(fixture *f, bool accept) {
  ms_update *update = f->pending[0];
  uint64_t number = f->number - f->pending_count + 1;
  const ms_value *root = NULL;
  if (ms_update_apply(update, f->committed, 5, &root, NULL) != MS_OK) accept = false;
  if (accept) {
    ms_value_release(f->committed);
    f->committed = ms_value_retain(root);
  }
  ms_value_release(root);
  msi_entry entry = {.kind = accept ? MSI_ENTRY_PATCH : MSI_ENTRY_REJECT,
                     .patch = {.origin = SELF,
                               .number = number,
                               .wall_ms = 5,
                               .update = accept ? update : NULL}};
  f->pending_count--;
  memmove(f->pending, f->pending + 1, f->pending_count * sizeof *f->pending);
  deliver_entry(f, &entry);
  ms_update_release(update);
}

static void assert_view(const fixture *f) {
  const ms_value *root = ms_value_retain(f->committed);
  for (size_t i = 0; i < f->pending_count; i++) {
    const ms_value *next = NULL;
    if (ms_update_apply(f->pending[i], root, 5, &next, NULL) != MS_OK) continue;
    ms_value_release(root);
    root = next;
  }
  assert_int_equal(msi_view_pending(f->view), f->pending_count);
  assert_true(ms_value_equal(root, msi_view_root(f->view)));
  ms_value_release(root);
}

/* ----- single steps */

static void test_own_accepted_patch_leaves_the_view_alone(void **state) {
  (void)state;
  fixture f;
  setup(&f, "{\"a\": 1}");
  assert_true(write_own(&f, parse("{\"$set\": {\"a\": 2}}")));
  assert_true(write_own(&f, parse("{\"$set\": {\"b\": 3}}")));
  const ms_value *before = msi_view_root(f.view);
  decide(&f, true);
  assert_int_equal(f.effect, MSI_VIEW_NONE);
  assert_ptr_equal(msi_view_root(f.view), before);
  decide(&f, true);
  assert_int_equal(f.effect, MSI_VIEW_NONE);
  /* Nothing is pending: the view is the committed root itself. */
  assert_ptr_equal(msi_view_root(f.view), f.committed);
  teardown(&f);
}

static void test_rejection_rolls_back_what_was_built_on_it_too(void **state) {
  (void)state;
  fixture f;
  setup(&f, "{\"a\": 1}");
  assert_true(write_own(&f, parse("{\"$set\": {\"p\": {\"x\": 1}}}")));
  assert_true(write_own(&f, guarded_set("p.y", 2, MS_EMPTY)));
  assert_true(write_own(&f, parse("{\"$set\": {\"b\": 3}}")));
  decide(&f, false);
  assert_int_equal(f.effect, MSI_VIEW_ROLLBACK);
  const ms_value *wanted = json("{\"a\": 1, \"b\": 3}");
  assert_true(ms_value_equal(msi_view_root(f.view), wanted));
  ms_value_release(wanted);
  decide(&f, false); /* it contributed nothing any more */
  assert_int_equal(f.effect, MSI_VIEW_NONE);
  assert_view(&f);
  teardown(&f);
}

static void test_foreign_entry_shows_beneath_what_is_pending(void **state) {
  (void)state;
  fixture f;
  setup(&f, "{\"a\": 1}");
  assert_true(write_own(&f, parse("{\"$set\": {\"a\": 2}}")));
  assert_true(write_foreign(&f, parse("{\"$set\": {\"a\": 9}}")));
  assert_int_equal(f.effect, MSI_VIEW_NONE);
  assert_true(write_foreign(&f, parse("{\"$set\": {\"b\": 9}}")));
  assert_int_equal(f.effect, MSI_VIEW_CHANGED);
  assert_view(&f);
  teardown(&f);
}

static void test_unknown_outcome_drops_what_is_pending(void **state) {
  (void)state;
  fixture f;
  setup(&f, "{\"a\": 1}");
  assert_true(write_own(&f, parse("{\"$set\": {\"a\": 2}}")));
  assert_true(write_own(&f, parse("{\"$set\": {\"b\": 2}}")));
  step(&f, &(msi_delivery){.kind = MSI_DELIVER_UNKNOWN, .number = 1});
  assert_int_equal(f.effect, MSI_VIEW_ROLLBACK);
  assert_int_equal(msi_view_pending(f.view), 1);
  const ms_value *wanted = json("{\"a\": 1, \"b\": 2}");
  assert_true(ms_value_equal(msi_view_root(f.view), wanted));
  ms_value_release(wanted);
  teardown(&f);
}

static void test_snapshot_settles_what_it_decided(void **state) {
  (void)state;
  fixture f;
  setup(&f, "{\"a\": 1}");
  assert_true(write_own(&f, parse("{\"$inc\": {\"a\": 1}}")));
  assert_true(write_own(&f, parse("{\"$inc\": {\"a\": 1}}")));
  deliver_root(&f, json("{\"a\": 2}"), 1);
  assert_int_equal(f.effect, MSI_VIEW_NONE);
  assert_int_equal(msi_view_pending(f.view), 1);
  deliver_root(&f, json("{\"a\": 10}"), 1);
  assert_int_equal(f.effect, MSI_VIEW_JOINED);
  const ms_value *wanted = json("{\"a\": 11}");
  assert_true(ms_value_equal(msi_view_root(f.view), wanted));
  ms_value_release(wanted);
  teardown(&f);
}

static void test_writing_before_the_first_root_says_why(void **state) {
  (void)state;
  msi_view *view = NULL;
  msi_view_trial trial;
  ms_error error = {MS_OK, ""};
  assert_int_equal(msi_view_new(NULL, 0, &view), MS_OK);
  ms_update *update = parse("{\"$set\": {\"a\": 2}}");
  assert_int_equal(msi_view_try(view, update, 0, &trial, &error), MS_ENOHOST);
  assert_string_not_equal(error.message, "");
  ms_update_release(update);
  msi_view_free(view);
}

/* ----- conditions */

static ms_update *conditional(const char *text, const char *where) {
  const ms_value *document = json(text);
  ms_update *update = NULL;
  ms_update_options options;
  ms_update_options_init(&options);
  options.where = json(where);
  assert_int_equal(ms_update_parse(NULL, document, &options, &update, NULL), MS_OK);
  ms_value_release(options.where);
  ms_value_release(document);
  return update;
}

static void test_patch_whose_condition_does_not_hold_waits_for_the_host(void **state) {
  (void)state;
  fixture f;
  setup(&f, "{\"open\": 0}");
  assert_true(write_own(&f, conditional("{\"$set\": {\"in\": 1}}", "{\"open\": 1}")));
  assert_null(ms_value_get(msi_view_root(f.view), "in", 2));
  assert_true(write_own(&f, parse("{\"$set\": {\"other\": 1}}")));
  assert_view(&f);
  assert_true(write_foreign(&f, parse("{\"$set\": {\"open\": 1}}")));
  assert_view(&f); /* now it would apply, and shows */
  assert_non_null(ms_value_get(msi_view_root(f.view), "in", 2));
  decide(&f, true);
  assert_view(&f);
  decide(&f, true);
  assert_view(&f);
  teardown(&f);
}

static void test_foreign_write_may_turn_a_pending_condition(void **state) {
  (void)state;
  static const char *const wheres[] = {
      "{\"a.b\": 1}", "{\"$or\": [{\"a.b\": 1}, {\"z\": 1}]}",
      "{\"a.b\": {\"$not\": {\"$gt\": 1}}}", "{\"l.n\": 1}"};
  for (size_t i = 0; i < sizeof wheres / sizeof *wheres; i++) {
    fixture f;
    setup(&f, "{\"a\": {\"b\": 1}, \"l\": [{\"n\": 1}]}");
    assert_true(write_own(&f, conditional("{\"$set\": {\"in\": 1}}", wheres[i])));
    assert_non_null(ms_value_get(msi_view_root(f.view), "in", 2));
    assert_true(write_foreign(&f, parse("{\"$set\": {\"a.b\": 2, \"l.0.n\": 2}}")));
    assert_null(ms_value_get(msi_view_root(f.view), "in", 2));
    assert_view(&f);
    decide(&f, false);
    assert_view(&f);
    teardown(&f);
  }
}

/* ----- marks of what is written on top of pending patches */

/* Writes both; does the second one say that its position may not be a committed element's? */
static bool is_unsure(const char *pending, const char *where, const char *text) {
  fixture f;
  msi_view_trial trial;
  ms_update *update = parse(text);
  bool found = false;
  setup(&f, "{\"l\": [{\"n\": 1}, {\"n\": 2}, {\"n\": 3}], \"m\": [1, 2]}");
  assert_true(
      write_own(&f, where == NULL ? parse(pending) : conditional(pending, where)));
  assert_int_equal(msi_view_try(f.view, update, 5, &trial, NULL), MS_OK);
  for (uint32_t i = 0; i < trial.update->op_count; i++) {
    const msi_op *op = &trial.update->ops[i];
    if (op->code == MSI_CODE_MARK && op->operand == ms_value_bool(true)) found = true;
  }
  msi_view_trial_fini(&trial);
  ms_update_release(update);
  decide(&f, true);
  teardown(&f);
  return found;
}

static void test_positions_on_top_of_pending_moves_are_told(void **state) {
  (void)state;
  static const char edit[] = "{\"$inc\": {\"l.1.n\": 1}}",
                    pop[] = "{\"$pop\": {\"l\": 1}}",
                    insert[] = "{\"$push\": {\"l\": {\"$each\": [1], \"$position\": 0}}}";
  assert_false(is_unsure("{\"$push\": {\"l\": 1}}", NULL, edit));
  assert_false(is_unsure("{\"$inc\": {\"l.0.n\": 1}}", NULL, edit));
  assert_false(is_unsure("{\"$set\": {\"l.1\": {\"n\": 7}}}", NULL, edit));
  assert_false(is_unsure(insert, NULL, edit));
  assert_false(is_unsure(insert, NULL, insert));
  assert_false(is_unsure("{\"$pop\": {\"l\": -1}}", NULL, edit));
  assert_true(is_unsure("{\"$pop\": {\"l\": -1}}", NULL, "{\"$set\": {\"l.2\": 1}}"));
  assert_true(is_unsure("{\"$pop\": {\"l\": -1}}", NULL, pop));
  assert_true(is_unsure("{\"$pull\": {\"l\": {\"n\": 3}}}", NULL, edit));
  assert_true(is_unsure("{\"$pull\": {\"l\": {\"n\": 3}}}", NULL, insert));
  assert_true(is_unsure("{\"$pull\": {\"l\": {\"n\": 3}}}", NULL, pop));
  assert_false(is_unsure("{\"$pull\": {\"m\": 1}}", NULL, edit));
  assert_true(is_unsure("{\"$set\": {\"l\": [{\"n\": 1}, {\"n\": 2}]}}", NULL, edit));
}

static void test_positions_on_top_of_a_dormant_patch_are_told(void **state) {
  (void)state;
  static const char edit[] = "{\"$inc\": {\"l.1.n\": 1}}";
  static const char insert[] = "{\"$push\": {\"l\": {\"$each\": [1], \"$position\": 0}}}";
  assert_true(is_unsure(insert, "{\"m\": 7}", edit));
  assert_false(is_unsure(insert, "{\"m\": 1}", edit));
  assert_false(is_unsure("{\"$set\": {\"k\": 1}}", "{\"m\": 7}", edit));
}

/* What the mark of an edit says that is written on top of a pending patch. */
static const ms_value *mark_on_top(fixture *f, const char *text) {
  msi_view_trial trial;
  ms_update *update = parse(text);
  assert_int_equal(msi_view_try(f->view, update, 5, &trial, NULL), MS_OK);
  const ms_value *operand = trial.update->ops[0].operand; /* a boolean or null */
  assert_int_equal(trial.update->ops[0].code, MSI_CODE_MARK);
  msi_view_trial_fini(&trial);
  ms_update_release(update);
  return operand;
}

static void test_positions_on_top_of_what_may_come_to_life_are_in_doubt(void **state) {
  (void)state;
  static const char edit[] = "{\"$inc\": {\"l.1.n\": 1}}";
  static const char batch[] = "[{\"$inc\": {\"g\": 1}}, "
                              "{\"$push\": {\"l\": {\"$each\": [1], \"$position\": 0}}}]";
  fixture f;
  setup(&f, "{\"g\": 1, \"l\": [{\"n\": 1}, {\"n\": 2}], \"m\": [1, 2]}");
  assert_true(write_own(&f, parse(batch)));
  assert_ptr_equal(mark_on_top(&f, edit), ms_value_bool(false));
  assert_true(write_foreign(&f, parse("{\"$set\": {\"g\": \"text\"}}")));
  assert_ptr_equal(mark_on_top(&f, edit), ms_value_null());
  assert_ptr_equal(mark_on_top(&f, "{\"$set\": {\"m.0\": 1}}"), ms_value_bool(false));
  assert_true(write_foreign(&f, parse("{\"$set\": {\"g\": 0}}")));
  assert_ptr_equal(mark_on_top(&f, edit), ms_value_bool(false));
  decide(&f, true);
  teardown(&f);
}

static void test_conditions_alone_leave_no_doubt(void **state) {
  (void)state;
  fixture f;
  setup(&f, "{\"g\": 1, \"l\": [{\"n\": 1}, {\"n\": 2}]}");
  assert_true(write_own(
      &f, conditional("{\"$push\": {\"l\": {\"$each\": [1], \"$position\": 0}}}",
                      "{\"g\": 2}")));
  assert_ptr_equal(mark_on_top(&f, "{\"$inc\": {\"l.1.n\": 1}}"), ms_value_bool(true));
  decide(&f, false);
  teardown(&f);
}

static void test_dormant_patch_marks_the_lists_that_it_would_begin(void **state) {
  (void)state;
  fixture f;
  msi_view_trial trial;
  setup(&f, "{\"k\": 1}");
  ms_update *update = conditional(
      "[{\"$push\": {\"l\": {\"n\": 1}}}, {\"$inc\": {\"l.0.n\": 1}}]", "{\"k\": 2}");
  assert_int_equal(msi_view_try(f.view, update, 5, &trial, NULL), MS_OK);
  assert_true(trial.is_dormant);
  assert_ptr_equal(trial.root, msi_view_root(f.view));
  assert_int_equal(trial.update->ops[0].code, MSI_CODE_MARK);
  assert_ptr_equal(trial.update->ops[0].operand, ms_value_bool(true));
  msi_view_trial_fini(&trial);
  ms_update_release(update);
  teardown(&f);
}

/* ----- when an entry and a pending patch must not change places */

static void assert_json(const fixture *f, const char *text) {
  const ms_value *wanted = json(text);
  assert_true(ms_value_equal(msi_view_root(f->view), wanted));
  ms_value_release(wanted);
  assert_view(f);
}

static void test_entry_that_pads_an_array_is_not_swapped(void **state) {
  (void)state;
  fixture f;
  setup(&f, "{\"l\": [1, 2]}");
  assert_true(write_own(&f, parse("{\"$inc\": {\"l.3\": 5}}")));
  assert_true(write_foreign(&f, parse("{\"$set\": {\"l.5\": 9}}")));
  assert_json(&f, "{\"l\": [1, 2, null, null, null, 9]}"); /* null cannot be counted up */
  teardown(&f);
}

static void test_entry_that_gives_an_empty_table_its_type_is_not_swapped(void **state) {
  (void)state;
  fixture f;
  setup(&f, "{}");
  ms_path *path = NULL;
  ms_update *update = NULL;
  assert_int_equal(ms_path_parse(NULL, "e", 1, &path, NULL), MS_OK);
  assert_int_equal(msi_update_single(NULL, MSI_CODE_SET, path, ms_value_empty(), MS_NULL,
                                     &update, NULL),
                   MS_OK);
  ms_path_release(path);
  assert_true(write_foreign(&f, update));
  assert_true(write_own(&f, guarded_set("e.0", 1, MS_ARRAY)));
  assert_true(write_foreign(&f, parse("{\"$set\": {\"e.1\": 2}}")));
  assert_json(&f,
              "{\"e\": {\"1\": 2}}"); /* an object now, so the pending patch is dormant */
  teardown(&f);
}

static void test_entry_that_brings_a_container_back_wakes_dormant_patches(void **state) {
  (void)state;
  fixture f;
  setup(&f, "{\"p\": {}}");
  assert_true(write_own(&f, guarded_set("p.x", 1, MS_EMPTY)));
  assert_true(write_foreign(&f, parse("{\"$unset\": {\"p\": 1}}")));
  assert_json(&f, "{}");
  assert_true(write_foreign(&f, parse("{\"$set\": {\"p.y\": 2}}")));
  assert_json(&f, "{\"p\": {\"x\": 1, \"y\": 2}}");
  teardown(&f);
}

/* ----- at random */

static ms_update *random_update(sim_random *random) {
  static const char *const paths[] = {
      "a",   "a.x", "a.x.y", "a.z",   "b.0.p", "b.0.q", "b.1",     "b.1.p", "b.5",
      "e.k", "e.0", "e",     "n.m.o", "n.m.p", "s",     "b.0.r.t", "n"};
  static const char *const operands[] = {"5",          "{}",   "[]", "[{\"p\": 1}, 2]",
                                         "{\"y\": 1}", "\"s\""};
  char text[128];
  const char *path = paths[sim_random_below(random, sizeof paths / sizeof *paths)];
  const char *operand =
      operands[sim_random_below(random, sizeof operands / sizeof *operands)];
  unsigned number = (unsigned)sim_random_below(random, 1000);
  switch (sim_random_below(random, 6)) {
    case 0: snprintf(text, sizeof text, "{\"$set\": {\"%s\": %s}}", path, operand); break;
    case 1: snprintf(text, sizeof text, "{\"$unset\": {\"%s\": 1}}", path); break;
    case 2: snprintf(text, sizeof text, "{\"$inc\": {\"%s\": %u}}", path, number); break;
    case 3: snprintf(text, sizeof text, "{\"$push\": {\"%s\": %u}}", path, number); break;
    case 4: {
      ms_type container = sim_random_chance(random, 300000) ? MS_ARRAY : MS_EMPTY;
      return guarded_set(path, number, container);
    }
    default: snprintf(text, sizeof text, "{\"$set\": {\"%s\": %u}}", path, number); break;
  }
  return parse(text);
}

static void random_step(fixture *f, sim_random *random) {
  uint64_t kind = sim_random_below(random, 100);
  if (kind < 40 && f->pending_count < 12) {
    write_own(f, random_update(random));
  } else if (kind < 75) {
    write_foreign(f, random_update(random));
  } else if (kind < 97) {
    if (f->pending_count > 0) decide(f, !sim_random_chance(random, 200000));
  } else if (kind < 98) {
    msi_entry entry = {.kind = MSI_ENTRY_JOIN, .patch = {.origin = 99}};
    deliver_entry(f, &entry);
  } else if (kind < 99) {
    deliver_root(f, json("{\"b\": [{\"p\": 1}, {}], \"e\": {}, \"n\": {\"m\": {}}}"),
                 f->number - f->pending_count);
  } else {
    step(f, &(msi_delivery){.kind = MSI_DELIVER_UNKNOWN, .number = f->number});
    for (size_t i = 0; i < f->pending_count; i++) ms_update_release(f->pending[i]);
    f->pending_count = 0;
  }
}

static void test_view_equals_committed_and_pending_applied_again(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 60; seed++) {
    fixture f;
    sim_random random;
    sim_random_seed(&random, seed);
    setup(&f, "{\"a\": {\"x\": {\"y\": 1}}, \"b\": [{\"p\": 1, \"q\": 2}, 3], \"n\": "
              "{\"m\": {}}}");
    for (int i = 0; i < 250; i++) {
      random_step(&f, &random);
      assert_view(&f);
    }
    teardown(&f);
  }
}

/* A thousand pending patches and a thousand foreign entries: no replay, or this takes minutes. */
static void test_foreign_entries_elsewhere_do_not_replay_what_is_pending(void **state) {
  (void)state;
  failing_alloc memory;
  failing_alloc_init(&memory);
  fixture f = {.version = 0};
  assert_int_equal(msi_view_new(&memory.alloc, 0, &f.view), MS_OK);
  deliver_root(&f, json("{\"mine\": {\"k\": 0}, \"theirs\": {\"k\": 0}}"), 0);
  char text[64];
  for (int i = 0; i < 1000; i++) {
    msi_view_trial trial;
    snprintf(text, sizeof text, "mine.k%d", i);
    ms_update *update = guarded_set(text, i, MS_EMPTY);
    assert_int_equal(msi_view_try(f.view, update, 5, &trial, NULL), MS_OK);
    assert_int_equal(msi_view_reserve(f.view), MS_OK);
    msi_view_add(f.view, (uint64_t)i + 1, &trial, 5);
    msi_view_trial_fini(&trial);
    ms_update_release(update);
  }
  uint64_t before = memory.requests;
  for (int i = 0; i < 1000; i++) {
    snprintf(text, sizeof text, "theirs.k%d", i);
    assert_true(write_foreign(&f, guarded_set(text, i, MS_EMPTY)));
  }
  /* One apply costs a few blocks, a replay some thousand. */
  assert_true(memory.requests - before < 100 * 1000);
  assert_int_equal(msi_view_pending(f.view), 1000);
  teardown(&f);
  assert_true(failing_alloc_is_clean(&memory));
}

/* ----- want of memory */

/* The n-th allocation fails; the steps are tried again, and nothing shows. */
static bool survive(uint64_t n) {
  failing_alloc memory;
  failing_alloc_init(&memory);
  msi_view *view = NULL;
  assert_int_equal(msi_view_new(&memory.alloc, 0, &view), MS_OK);
  const ms_value *committed = json("{\"a\": {\"x\": 1}}"), *next = NULL;
  msi_view_trial trial;
  msi_view_step found;
  msi_delivery first = {.kind = MSI_DELIVER_ROOT, .root = committed, .version = 1};
  assert_int_equal(msi_view_take(view, SELF, &first, true, &found), MS_OK);
  failing_alloc_fail_at(&memory, n);
  ms_update *own = parse("{\"$set\": {\"a.y\": 2, \"c\": 3}}"), *foreign;
  ms_status status = msi_view_reserve(view);
  if (status == MS_ENOMEM) status = msi_view_reserve(view);
  assert_int_equal(status, MS_OK);
  status = msi_view_try(view, own, 5, &trial, NULL);
  if (status == MS_ENOMEM) status = msi_view_try(view, own, 5, &trial, NULL);
  assert_int_equal(status, MS_OK);
  msi_view_add(view, 1, &trial, 5);
  msi_view_trial_fini(&trial);
  static const char *const texts[] = {"{\"$set\": {\"b\": 1}}",
                                      "{\"$inc\": {\"a.x\": 1}}",
                                      "{\"$set\": {\"a\": {\"x\": 7}}}"};
  for (uint64_t i = 0; i < 3; i++) {
    foreign = parse(texts[i]);
    assert_int_equal(ms_update_apply(foreign, committed, 5, &next, NULL), MS_OK);
    ms_value_release(committed);
    committed = next;
    msi_entry entry = {.kind = MSI_ENTRY_PATCH,
                       .version = 2 + i,
                       .patch = {.origin = OTHER, .update = foreign, .wall_ms = 5}};
    msi_delivery delivery = {
        .kind = MSI_DELIVER_ENTRY, .entry = &entry, .root = committed, .version = 2 + i};
    const ms_value *before = ms_value_retain(msi_view_root(view));
    status = msi_view_take(view, SELF, &delivery, true, &found);
    if (status == MS_ENOMEM) {
      assert_ptr_equal(msi_view_root(view), before);
      assert_int_equal(msi_view_version(view), 1 + i);
      status = msi_view_take(view, SELF, &delivery, true, &found);
    }
    assert_int_equal(status, MS_OK);
    ms_value_release(before);
    ms_value_release(found.old_root);
    ms_update_release(foreign);
  }
  const ms_value *wanted = json("{\"a\": {\"x\": 7, \"y\": 2}, \"b\": 1, \"c\": 3}");
  assert_true(ms_value_equal(msi_view_root(view), wanted));
  ms_value_release(wanted);
  ms_value_release(committed);
  ms_update_release(own);
  msi_view_free(view);
  bool failed = memory.failed;
  assert_true(failing_alloc_is_clean(&memory));
  return failed;
}

static void test_want_of_memory_changes_nothing(void **state) {
  (void)state;
  uint64_t n = 0;
  while (survive(n)) n++;
  assert_true(n > 10);
}

/* ------------------------------------------------------------- without documents */

static void assert_shows(const ms_value *root, const char *text) {
  const ms_value *wanted = json(text);
  assert_true(ms_value_equal(root, wanted));
  ms_value_release(wanted);
}

static void follow(fixture *f, const char *update, bool wants_old, msi_view_step *out) {
  msi_entry entry = {.kind = MSI_ENTRY_PATCH, .version = ++f->version};
  entry.patch.origin = OTHER;
  entry.patch.update = parse(update);
  msi_delivery bare = {.kind = MSI_DELIVER_ENTRY, .entry = &entry, .version = f->version};
  assert_int_equal(msi_view_take(f->view, SELF, &bare, wants_old, out), MS_OK);
  assert_int_equal(msi_view_version(f->view), f->version);
  ms_update_release(entry.patch.update);
}

static void test_view_changes_in_place_what_nobody_else_holds(void **state) {
  (void)state;
  fixture f;
  msi_view_step found;
  setup(&f, "{\"a\": {\"b\": 1}}");
  ms_value_release(f.committed);
  f.committed = NULL;
  const ms_value *root = msi_view_root(f.view);
  uint64_t number = msi_view_number(f.view);
  follow(&f, "{\"$set\": {\"a.b\": 2}}", false, &found);
  assert_ptr_equal(msi_view_root(f.view), root);
  assert_ptr_equal(msi_view_committed(f.view), root);
  assert_int_equal(found.effect, MSI_VIEW_CHANGED);
  assert_null(found.old_root);
  assert_true(msi_view_number(f.view) > number);

  const ms_value *held = ms_value_retain(root); /* by a reader */
  follow(&f, "{\"$set\": {\"a.b\": 3}}", false, &found);
  assert_ptr_not_equal(msi_view_root(f.view), held);
  assert_shows(held, "{\"a\": {\"b\": 2}}");
  assert_shows(msi_view_root(f.view), "{\"a\": {\"b\": 3}}");
  ms_value_release(held);

  follow(&f, "{\"$set\": {\"a.b\": 4}}", true, &found); /* by who asks for it */
  assert_shows(found.old_root, "{\"a\": {\"b\": 3}}");
  ms_value_release(found.old_root);
  number = msi_view_number(f.view);
  follow(&f, "{\"$set\": {\"a.b\": 4}}", true, &found);
  assert_int_equal(found.effect, MSI_VIEW_NONE);
  assert_int_equal(msi_view_number(f.view), number);
  ms_value_release(found.old_root);
  teardown(&f);
}

/* What it replaces is not released in the middle of a poll. */
static void test_view_leaves_what_weighs_much_to_the_caller(void **state) {
  (void)state;
  fixture f;
  msi_view_step found;
  setup(&f, "{}");
  const ms_value *big = NULL, *text = NULL, *root = json("{}");
  char bytes[5000];
  memset(bytes, 'x', sizeof bytes);
  assert_int_equal(ms_value_new_string(NULL, bytes, sizeof bytes, &text), MS_OK);
  assert_int_equal(ms_value_new_object(NULL, &big), MS_OK);
  assert_int_equal(ms_value_put(NULL, &big, "text", 4, text), MS_OK);
  assert_int_equal(ms_value_put(NULL, &root, "big", 3, big), MS_OK);
  deliver_root(&f, root, 0);
  ms_value_release(f.committed);
  f.committed = NULL;
  follow(&f, "{\"$set\": {\"big\": 1}}", false, &found);
  assert_non_null(found.old_root);
  assert_true(ms_value_equal(ms_value_get(found.old_root, "big", 3), big));
  assert_shows(msi_view_root(f.view), "{\"big\": 1}");
  ms_value_release(found.old_root);
  ms_value_release(big);
  ms_value_release(text);
  teardown(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_patch_whose_condition_does_not_hold_waits_for_the_host),
      cmocka_unit_test(test_foreign_write_may_turn_a_pending_condition),
      cmocka_unit_test(test_positions_on_top_of_pending_moves_are_told),
      cmocka_unit_test(test_positions_on_top_of_a_dormant_patch_are_told),
      cmocka_unit_test(test_positions_on_top_of_what_may_come_to_life_are_in_doubt),
      cmocka_unit_test(test_conditions_alone_leave_no_doubt),
      cmocka_unit_test(test_dormant_patch_marks_the_lists_that_it_would_begin),
      cmocka_unit_test(test_own_accepted_patch_leaves_the_view_alone),
      cmocka_unit_test(test_rejection_rolls_back_what_was_built_on_it_too),
      cmocka_unit_test(test_foreign_entry_shows_beneath_what_is_pending),
      cmocka_unit_test(test_unknown_outcome_drops_what_is_pending),
      cmocka_unit_test(test_snapshot_settles_what_it_decided),
      cmocka_unit_test(test_writing_before_the_first_root_says_why),
      cmocka_unit_test(test_entry_that_pads_an_array_is_not_swapped),
      cmocka_unit_test(test_entry_that_gives_an_empty_table_its_type_is_not_swapped),
      cmocka_unit_test(test_entry_that_brings_a_container_back_wakes_dormant_patches),
      cmocka_unit_test(test_view_equals_committed_and_pending_applied_again),
      cmocka_unit_test(test_foreign_entries_elsewhere_do_not_replay_what_is_pending),
      cmocka_unit_test(test_want_of_memory_changes_nothing),
      cmocka_unit_test(test_view_changes_in_place_what_nobody_else_holds),
      cmocka_unit_test(test_view_leaves_what_weighs_much_to_the_caller),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
