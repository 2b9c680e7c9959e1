/* The conflict index against a scan of the whole history, its bounds, snapshots and want of memory. */
#include "conflict_scan.h"
#include "conflict_support.h"
#include "failing_alloc.h"
#include "sim/sim_random.h"

enum { HISTORY_MAX = 400, ORIGINS = 4 };

/* ----- single rules */

static void test_older_set_loses_to_newer_one_at_above_and_below(void **state) {
  (void)state;
  msi_conflicts *conflicts = conflicts_of();
  note(conflicts, accepted(1, 10, 0, 100, set("a.b", 1)));
  assert_int_equal(status_of(conflicts, 11, 0, 99, set("a.b", 2)), MS_ECONFLICT);
  assert_int_equal(status_of(conflicts, 11, 0, 99, set("a", 2)), MS_ECONFLICT);
  assert_int_equal(status_of(conflicts, 11, 0, 99, set("a.b.c", 2)), MS_ECONFLICT);
  assert_int_equal(status_of(conflicts, 11, 0, 99, set("a.c", 2)), MS_OK);
  assert_int_equal(status_of(conflicts, 11, 0, 101, set("a.b", 2)), MS_OK);
  assert_int_equal(status_of(conflicts, 11, 1, 99, set("a.b", 2)),
                   MS_OK); /* it had seen it */
  assert_int_equal(status_of(conflicts, 10, 0, 99, set("a.b", 2)), MS_OK); /* its own */
  msi_conflicts_free(conflicts);
}

static void test_equal_timestamps_go_to_the_higher_peer(void **state) {
  (void)state;
  msi_conflicts *conflicts = conflicts_of();
  note(conflicts, accepted(1, 10, 0, 100, set("a", 1)));
  assert_int_equal(status_of(conflicts, 9, 0, 100, set("a", 2)), MS_ECONFLICT);
  assert_int_equal(status_of(conflicts, 11, 0, 100, set("a", 2)), MS_OK);
  msi_conflicts_free(conflicts);
}

/* The host does not trust a writer to stamp its own patches upwards. */
static void test_writers_own_newer_patch_hides_no_other(void **state) {
  (void)state;
  msi_conflicts *conflicts = conflicts_of();
  note(conflicts, accepted(1, 11, 0, 60, set("a", 1)));
  note(conflicts, accepted(2, 10, 0, 100, set("a", 1)));
  assert_int_equal(status_of(conflicts, 10, 0, 50, set("a", 2)), MS_ECONFLICT);
  assert_int_equal(status_of(conflicts, 10, 0, 70, set("a", 2)), MS_OK);
  msi_conflicts_free(conflicts);
}

static void test_conflict_names_the_winner(void **state) {
  (void)state;
  msi_conflicts *conflicts = conflicts_of();
  note(conflicts, accepted(1, 10, 0, 100, set("a.b", 1)));
  note(conflicts, accepted(2, 12, 0, 102, set("a.c", 1)));
  msi_conflict found = check(conflicts, 11, 0, 99, set("a", 2));
  assert_int_equal(found.winner, 12);
  assert_int_equal(found.winner_version, 2);
  assert_int_equal(found.winner_wall_ms, 20);
  assert_false(found.by_floor || found.by_dependence);
  msi_conflicts_free(conflicts);
}

static void test_set_of_the_standing_value_does_not_conflict(void **state) {
  (void)state;
  msi_conflicts *conflicts = conflicts_of();
  const ms_value *root = ms_value_empty(), *seven = NULL;
  assert_int_equal(ms_value_new_int(NULL, 7, &seven), MS_OK);
  assert_int_equal(ms_value_put(NULL, &root, "a", 1, seven), MS_OK);
  note(conflicts, accepted(1, 10, 0, 100, set("a", 7)));
  msi_conflict found;
  msi_patch patch = {.origin = 11, .timestamp = 99, .update = set("a", 7)};
  msi_conflicts_check(conflicts, &patch, root, &found);
  assert_int_equal(found.status, MS_OK);
  ms_update_release(patch.update);
  patch.update = set("a", 8);
  msi_conflicts_check(conflicts, &patch, root, &found);
  assert_int_equal(found.status, MS_ECONFLICT);
  assert_ptr_equal(found.path, patch.update->ops[0].path);
  ms_update_release(patch.update);
  ms_value_release(seven);
  ms_value_release(root);
  msi_conflicts_free(conflicts);
}

static void test_relative_operations_never_lose_but_win(void **state) {
  (void)state;
  msi_conflicts *conflicts = conflicts_of();
  note(conflicts, accepted(1, 10, 0, 100, set("n", 1)));
  assert_int_equal(
      status_of(conflicts, 11, 0, 50, update_of(MSI_CODE_INC, "n", 1, MS_NULL)), MS_OK);
  note(conflicts, accepted(2, 11, 0, 150, update_of(MSI_CODE_INC, "n", 1, MS_NULL)));
  assert_int_equal(status_of(conflicts, 12, 1, 120, set("n", 5)), MS_ECONFLICT);
  assert_int_equal(
      status_of(conflicts, 12, 1, 120, update_of(MSI_CODE_UNSET, "n", 0, MS_NULL)),
      MS_ECONFLICT);
  msi_conflicts_free(conflicts);
}

static void test_guards_neither_lose_nor_win(void **state) {
  (void)state;
  msi_conflicts *conflicts = conflicts_of();
  note(conflicts, accepted(1, 10, 0, 100, update_of(MSI_CODE_SET, "a.b", 1, MS_EMPTY)));
  /* The guard of the entry is at "a": it does not count. */
  assert_int_equal(status_of(conflicts, 11, 0, 50, set("a.c", 1)), MS_OK);
  /* The guard of this patch is at "a.b": it asks only. */
  assert_int_equal(
      status_of(conflicts, 11, 0, 50, update_of(MSI_CODE_INC, "a.b.c", 1, MS_EMPTY)),
      MS_OK);
  msi_conflicts_free(conflicts);
}

static void test_patches_fall_with_what_they_build_on(void **state) {
  (void)state;
  msi_conflicts *conflicts = conflicts_of();
  note(conflicts, rejected(5, 10, 4, 1, set("p.alice", 1)));
  msi_conflict found = check(conflicts, 10, 4, 99, set("p.alice.hp", 1));
  assert_int_equal(found.status, MS_ECONFLICT);
  assert_true(found.by_dependence);
  assert_int_equal(found.winner, 0);
  assert_int_equal(status_of(conflicts, 10, 5, 99, set("p.alice.hp", 1)),
                   MS_OK); /* it knew */
  assert_int_equal(status_of(conflicts, 11, 4, 99, set("p.alice.hp", 1)), MS_OK);
  assert_int_equal(status_of(conflicts, 10, 4, 99, set("p.alice", 1)), MS_OK);
  assert_int_equal(status_of(conflicts, 10, 4, 99, set("p", 1)), MS_OK);
  assert_int_equal(status_of(conflicts, 10, 4, 99, set("p.bob", 1)), MS_OK);
  assert_int_equal(
      status_of(conflicts, 10, 4, 99, update_of(MSI_CODE_UNSET, "p.alice", 0, MS_NULL)),
      MS_OK);
  assert_int_equal(
      status_of(conflicts, 10, 4, 99, update_of(MSI_CODE_INC, "p.alice", 1, MS_NULL)),
      MS_ECONFLICT);
  assert_int_equal(
      status_of(conflicts, 10, 4, 99, update_of(MSI_CODE_INC, "p", 1, MS_NULL)),
      MS_ECONFLICT);
  msi_conflicts_free(conflicts);
}

static void test_guards_fall_only_with_what_made_their_container(void **state) {
  (void)state;
  msi_conflicts *conflicts = conflicts_of();
  note(conflicts,
       rejected(5, 10, 4, 1, update_of(MSI_CODE_SET, "p.alice.hp", 1, MS_EMPTY)));
  /* Another part of the same container goes on. */
  assert_int_equal(
      status_of(conflicts, 10, 4, 99, update_of(MSI_CODE_SET, "p.alice.mp", 1, MS_EMPTY)),
      MS_OK);
  assert_int_equal(
      status_of(conflicts, 10, 4, 99, update_of(MSI_CODE_SET, "x", 1, MS_EMPTY)), MS_OK);
  note(conflicts, rejected(6, 10, 4, 2, set("p.bob", 1)));
  assert_int_equal(
      status_of(conflicts, 10, 4, 99, update_of(MSI_CODE_SET, "p.bob.mp", 1, MS_EMPTY)),
      MS_ECONFLICT);
  msi_conflicts_free(conflicts);
}

static void test_rejections_count_until_their_origin_has_seen_them(void **state) {
  (void)state;
  msi_conflicts *conflicts = conflicts_of();
  size_t bytes = msi_conflicts_bytes(conflicts);
  note(conflicts, rejected(5, 10, 4, 7, set("a", 1)));
  note(conflicts, rejected(6, 10, 4, 8, set("b", 1)));
  note(conflicts, rejected(7, 11, 6, 1, set("c", 1)));
  assert_int_equal(status_of(conflicts, 10, 5, 99, set("b.x", 1)), MS_ECONFLICT);
  /* A patch on base 6: both are seen. The other origin leaves. */
  note(conflicts, rejected(8, 10, 6, 9, set("d", 1)));
  note(conflicts,
       (msi_entry){.kind = MSI_ENTRY_RETIRE, .version = 9, .patch = {.origin = 11}});
  assert_int_equal(status_of(conflicts, 11, 6, 99, set("c.x", 1)), MS_OK);
  assert_int_equal(status_of(conflicts, 10, 6, 99, set("d.x", 1)), MS_ECONFLICT);
  msi_entry last = accepted(10, 10, 8, 200, update_of(MSI_CODE_SET, "e", 1, MS_NULL));
  note(conflicts, last);
  assert_int_equal(status_of(conflicts, 10, 8, 299, set("d.x", 1)), MS_OK);
  assert_true(msi_conflicts_bytes(conflicts) < bytes + 1024); /* and are forgotten */
  msi_conflicts_free(conflicts);
}

/* ----- against a scan of everything */

typedef struct model {
  sim_random random;
  msi_entry entries[HISTORY_MAX]; /* version - 1 */
  ms_update *updates[HISTORY_MAX];
  size_t count;
  uint64_t seen[ORIGINS + 1]; /* base of the origin's last patch */
  uint64_t stamped[ORIGINS + 1];
} model;

/* Operations on the lists l, l.0.t and a.b, and on what is around them. */
static ms_update *random_edit(model *m) {
  static const char *const texts[] = {
      "{\"$set\": {\"l.0\": 1}}",
      "{\"$set\": {\"l.2\": 1}}",
      "{\"$inc\": {\"l.1.n\": 1}}",
      "{\"$set\": {\"l.0.t.1\": 1}}",
      "{\"$set\": {\"l.0.t.2\": 1}}",
      "{\"$set\": {\"l\": []}}",
      "{\"$unset\": {\"l.0.t\": 1}}",
      "{\"$push\": {\"l\": 1}}",
      "{\"$push\": {\"l.0.t\": 1}}",
      "{\"$addToSet\": {\"a.b\": 1}}",
      "{\"$pop\": {\"l\": 1}}",
      "{\"$pop\": {\"l.0.t\": -1}}",
      "{\"$pull\": {\"l\": 1}}",
      "{\"$pullAll\": {\"l\": [1]}}",
      "{\"$pull\": {\"a.b\": 1}}",
      "{\"$push\": {\"l\": {\"$each\": [1], \"$position\": 0}}}",
      "{\"$push\": {\"l\": {\"$each\": [1], \"$position\": 2}}}",
      "{\"$push\": {\"a.b\": {\"$each\": [1], \"$slice\": -3}}}",
      "{\"$set\": {\"l.$[].n\": 1}}",
      "{\"$set\": {\"l.$[x].t\": []}}",
      "{\"$inc\": {\"l.$[].t.0\": 1}}",
      "{\"$pull\": {\"l.$[].t\": 1}}",
      "{\"$push\": {\"l.$[x].t\": 1}}",
      "{\"$max\": {\"a.b\": [9]}}",
      "{\"$set\": {\"a.b.0\": 1}}",
      "{\"$rename\": {\"a\": \"c\"}}",
      "{\"$set\": {\"a\": 1}}",
      "{\"$set\": {\"e.0\": 1}}",
      "{\"$push\": {\"e\": 1}}",
  };
  const char *text = texts[sim_random_below(&m->random, sizeof texts / sizeof *texts)];
  return marked_if(text, LISTS, sim_random_chance(&m->random, 200000));
}

static ms_update *random_update(model *m) {
  static const char *const texts[] = {"a", "a.b", "a.b.c", "a.c",
                                      "b", "b.a", "c.d.e", "c.d"};
  ms_update *update = NULL;
  uint64_t parts = sim_random_between(&m->random, 1, 3);
  while (parts-- > 0) {
    const char *text = texts[sim_random_below(&m->random, sizeof texts / sizeof *texts)];
    msi_code code = (msi_code)sim_random_between(&m->random, MSI_CODE_SET, MSI_CODE_PUSH);
    ms_type container = sim_random_chance(&m->random, 300000) ? MS_EMPTY : MS_NULL;
    ms_update *part = sim_random_chance(&m->random, 600000)
                          ? random_edit(m)
                          : update_of(code, text, (int64_t)m->count, container);
    update = update == NULL ? part : concat(update, part);
  }
  return update;
}

static bool beats(uint64_t timestamp, uint64_t origin, const msi_patch *patch) {
  return timestamp != patch->timestamp ? timestamp > patch->timestamp
                                       : origin > patch->origin;
}

/* Is one of the operations of version `v` open, and met by this one? */
static bool scan_open(const model *m, size_t v, const msi_op *op) {
  const msi_patch *theirs = &m->entries[v].patch;
  for (uint32_t k = 0; k < m->updates[v]->op_count; k++) {
    const msi_op *open = &m->updates[v]->ops[k];
    if (!scan_meets_open(op, open)) continue;
    for (size_t i = (size_t)theirs->base; i < v; i++) {
      const msi_entry *entry = &m->entries[i];
      if (entry->kind == MSI_ENTRY_PATCH && entry->patch.origin != theirs->origin &&
          scan_opens(open, m->updates[i])) {
        return true;
      }
    }
  }
  return false;
}

/* The newest of the foreign patches that moved what the operation goes by. */
static const msi_entry *scan_positions(const model *m, const msi_patch *patch,
                                       const msi_op *op) {
  const msi_entry *newest = NULL;
  for (size_t i = (size_t)patch->base; i < m->count; i++) {
    const msi_entry *entry = &m->entries[i];
    if (entry->kind != MSI_ENTRY_PATCH) continue;
    if (scan_open(m, i, op)) newest = entry;
    if (entry->patch.origin == patch->origin && !scan_is_doubtful(op)) continue;
    for (uint32_t k = 0; k < m->updates[i]->op_count; k++) {
      if (scan_moved(patch->update, op, &m->updates[i]->ops[k])) newest = entry;
    }
  }
  return newest;
}

/* The best of the foreign operations that the operation meets; NULL: none it had not seen. */
static const msi_entry *scan_op(const model *m, const msi_patch *patch,
                                const msi_op *op) {
  const msi_entry *best = scan_positions(m, patch, op);
  if (best != NULL) return best;
  for (size_t i = (size_t)patch->base; i < m->count; i++) {
    const msi_entry *entry = &m->entries[i];
    if (entry->kind != MSI_ENTRY_PATCH || entry->patch.origin == patch->origin) continue;
    for (uint32_t k = 0; k < m->updates[i]->op_count; k++) {
      if (!scan_meets(op, &m->updates[i]->ops[k])) continue;
      if (best == NULL ||
          beats(entry->patch.timestamp, entry->patch.origin, &best->patch)) {
        best = entry;
      }
    }
  }
  if (best == NULL || !beats(best->patch.timestamp, best->patch.origin, patch))
    return NULL;
  return best;
}

static bool scan_depends(const model *m, const msi_patch *patch, const msi_op *op) {
  for (size_t i = (size_t)patch->base; i < m->count; i++) {
    const msi_entry *entry = &m->entries[i];
    if (entry->kind != MSI_ENTRY_REJECT || entry->patch.origin != patch->origin) continue;
    for (uint32_t k = 0; k < m->updates[i]->op_count; k++) {
      const msi_op *lost = &m->updates[i]->ops[k];
      if (lost->class_ == MSI_CLASS_GUARD || !msi_path_overlaps(lost->path, op->path))
        continue;
      bool at_or_above = op->path->count <= lost->path->count;
      bool equal = op->path->count == lost->path->count;
      if (at_or_above && (op->code == MSI_CODE_SET || op->code == MSI_CODE_UNSET) &&
          !scan_goes_by_index(patch->update, op)) {
        continue;
      }
      bool is_beyond = op->code == MSI_CODE_MARK && op->operand != ms_value_bool(false);
      if (at_or_above && !equal && op->class_ == MSI_CLASS_GUARD && !is_beyond) continue;
      return true;
    }
  }
  return false;
}

static msi_conflict scan(const model *m, const msi_patch *patch) {
  msi_conflict found = {.status = MS_OK};
  for (uint32_t i = 0; i < patch->update->op_count; i++) {
    const msi_op *op = &patch->update->ops[i];
    const msi_entry *winner = scan_op(m, patch, op);
    if (winner == NULL) continue;
    bool is_own = winner->patch.origin == patch->origin && !scan_is_doubtful(op);
    return (msi_conflict){.status = MS_ECONFLICT,
                          .path = op->path,
                          .winner = is_own ? 0 : winner->patch.origin,
                          .winner_version = winner->version,
                          .winner_wall_ms = winner->patch.wall_ms};
  }
  for (uint32_t i = 0; i < patch->update->op_count; i++) {
    if (!scan_depends(m, patch, &patch->update->ops[i])) continue;
    return (msi_conflict){.status = MS_ECONFLICT,
                          .path = patch->update->ops[i].path,
                          .by_dependence = true};
  }
  return found;
}

/* A patch as an honest writer makes it: stamped above all it has seen, bases never going down. */
static msi_patch random_patch(model *m) {
  uint64_t origin = sim_random_between(&m->random, 1, ORIGINS);
  uint64_t base = sim_random_between(&m->random, m->seen[origin], m->count);
  uint64_t timestamp = m->stamped[origin];
  for (size_t i = 0; i < base; i++) {
    if (m->entries[i].patch.timestamp > timestamp)
      timestamp = m->entries[i].patch.timestamp;
  }
  timestamp += sim_random_between(&m->random, 1, 4);
  m->seen[origin] = base;
  m->stamped[origin] = timestamp;
  return (msi_patch){.origin = origin,
                     .number = m->count + 1,
                     .base = base,
                     .timestamp = timestamp,
                     .wall_ms = (int64_t)timestamp,
                     .update = random_update(m)};
}

static void model_note(model *m, msi_conflicts *conflicts, const msi_patch *patch,
                       bool reject) {
  uint64_t version = m->count + 1;
  msi_entry *entry = &m->entries[m->count];
  m->updates[m->count] = ms_update_retain(patch->update);
  if (reject) {
    *entry = rejected(version, patch->origin, patch->base, patch->number, patch->update);
    entry->patch.timestamp = patch->timestamp;
  } else {
    *entry =
        accepted(version, patch->origin, patch->base, patch->timestamp, patch->update);
    entry->patch.number = patch->number;
  }
  m->count++;
  msi_conflicts_note(conflicts, entry);
  assert_true(msi_conflicts_check_structure(conflicts));
}

static void model_fini(model *m) {
  for (size_t i = 0; i < m->count; i++) {
    msi_entry_fini(&m->entries[i]);
    ms_update_release(m->updates[i]);
  }
}

static msi_conflicts *packed_and_back(const msi_conflicts *conflicts) {
  msi_buffer first, second;
  msi_conflicts *copy = NULL;
  msi_buffer_init(&first, msi_alloc_resolve(NULL));
  msi_buffer_init(&second, msi_alloc_resolve(NULL));
  assert_int_equal(msi_conflicts_pack(&first, conflicts), MS_OK);
  msi_reader in = {first.data, first.data + first.length};
  assert_int_equal(msi_conflicts_unpack(&in, NULL, MSI_CONFLICT_NODES, &copy), MS_OK);
  assert_ptr_equal(in.at, in.end);
  assert_true(msi_conflicts_check_structure(copy));
  assert_int_equal(msi_conflicts_pack(&second, copy), MS_OK);
  assert_int_equal(first.length, second.length);
  assert_memory_equal(first.data, second.data, first.length);
  msi_buffer_fini(&first);
  msi_buffer_fini(&second);
  return copy;
}

static void test_index_agrees_with_a_scan_of_the_history(void **state) {
  (void)state;
  size_t conflicting = 0, dependent = 0;
  for (uint64_t seed = 1; seed <= 120; seed++) {
    model m = {.count = 0};
    sim_random_seed(&m.random, seed);
    msi_conflicts *conflicts = conflicts_of();
    for (int step = 0; step < 120; step++) {
      msi_patch patch = random_patch(&m);
      msi_conflict found, wanted = scan(&m, &patch);
      msi_conflicts_check(conflicts, &patch, NULL, &found);
      if (found.status != wanted.status || found.path != wanted.path ||
          found.winner != wanted.winner ||
          found.winner_version != wanted.winner_version ||
          found.winner_wall_ms != wanted.winner_wall_ms || found.by_floor ||
          found.by_dependence != wanted.by_dependence) {
        fail_msg(
            "seed %d, version %zu: %s, winner %d of version %d; by scanning: %s, %d, %d",
            (int)seed, m.count + 1, ms_status_name(found.status), (int)found.winner,
            (int)found.winner_version, ms_status_name(wanted.status), (int)wanted.winner,
            (int)wanted.winner_version);
      }
      if (found.status != MS_OK) conflicting++;
      if (found.by_dependence) dependent++;
      bool reject = found.status != MS_OK || sim_random_chance(&m.random, 50000);
      model_note(&m, conflicts, &patch, reject);
      if (step % 17 == 0) {
        msi_conflicts *copy = packed_and_back(conflicts);
        msi_conflicts_free(conflicts);
        conflicts = copy;
      }
    }
    msi_conflicts_free(conflicts);
    model_fini(&m);
  }
  assert_true(conflicting > 500);
  assert_true(dependent > 100);
}

/* ----- bounds */

static void test_evicted_paths_cost_late_writers_only(void **state) {
  (void)state;
  msi_conflicts *conflicts = NULL;
  char text[32];
  assert_int_equal(msi_conflicts_new(NULL, 1, &conflicts), MS_OK);
  uint64_t version = 0, count = 3 * MSI_CONFLICT_NODES_LEAST;
  for (uint64_t i = 0; i < count; i++, version++) {
    snprintf(text, sizeof text, "k%d", (int)i);
    note(conflicts, accepted(version + 1, 10, 0, 1000 + version, set(text, 1)));
  }
  /* The writer itself, who has not seen anything yet, goes on. */
  assert_int_equal(status_of(conflicts, 10, 0, 1000 + version, set("k1", 2)), MS_OK);
  /* Somebody else's newer write wins as ever. */
  assert_int_equal(status_of(conflicts, 11, 0, 1000 + version, set("k1", 2)), MS_OK);
  /* An older one may have lost to something that is forgotten. */
  msi_conflict found = check(conflicts, 11, 0, 1000, set("elsewhere", 2));
  assert_int_equal(found.status, MS_ECONFLICT);
  assert_true(found.by_floor);
  assert_int_equal(status_of(conflicts, 11, version, 1000, set("elsewhere", 2)), MS_OK);
  /* What is recent is told apart. */
  snprintf(text, sizeof text, "k%d", (int)count - 1);
  found = check(conflicts, 11, 0, 1000 + version - 2, set(text, 2));
  assert_int_equal(found.status, MS_ECONFLICT);
  assert_false(found.by_floor);
  assert_int_equal(found.winner_version, version);
  msi_conflicts_free(packed_and_back(conflicts));
  assert_true(msi_conflicts_bytes(conflicts) < 300 * 1024);
  msi_conflicts_free(conflicts);
}

static void test_many_rejected_paths_raise_the_writers_own_floor(void **state) {
  (void)state;
  msi_conflicts *conflicts = conflicts_of();
  char text[32];
  uint64_t count = MSI_CONFLICT_REJECTED_NODES + 10;
  for (uint64_t i = 1; i <= count; i++) {
    snprintf(text, sizeof text, "k%d", (int)i);
    msi_entry entry = rejected(i, 10, 0, i, set(text, 1));
    msi_conflicts_note(conflicts, &entry);
    msi_entry_fini(&entry);
  }
  assert_true(msi_conflicts_check_structure(conflicts));
  msi_conflict found = check(conflicts, 10, 0, 9999, set("elsewhere", 1));
  assert_true(found.by_dependence && found.by_floor);
  assert_int_equal(status_of(conflicts, 11, 0, 9999, set("k1.x", 1)), MS_OK);
  assert_int_equal(status_of(conflicts, 10, 11, 9999, set("elsewhere", 1)), MS_OK);
  found = check(conflicts, 10, 11, 9999, set("k20.x", 1));
  assert_true(found.by_dependence && !found.by_floor);
  msi_conflicts_free(conflicts);
}

static void test_giant_keys_are_bounded_by_bytes(void **state) {
  (void)state;
  msi_conflicts *conflicts = conflicts_of();
  char *text = malloc(MS_KEY_MAX + 1);
  assert_non_null(text);
  memset(text, 'x', MS_KEY_MAX);
  text[MS_KEY_MAX] = '\0';
  for (int i = 0; i < 2000; i++) {
    int used = snprintf(text, 16, "k%d", i);
    text[used] = 'x';
    note(conflicts, accepted((uint64_t)i + 1, 10, 0, 1000 + (uint64_t)i, set(text, 1)));
  }
  size_t bytes_max = (size_t)MSI_CONFLICT_NODES * MSI_CONFLICT_KEY_BYTES;
  assert_true(msi_conflicts_bytes(conflicts) < bytes_max + 2000 * 300 + 65536);
  free(text);
  msi_conflicts_free(conflicts);
}

/* ----- damaged snapshots, want of memory */

static void test_damaged_bytes_are_refused_without_harm(void **state) {
  (void)state;
  msi_conflicts *conflicts = conflicts_of();
  note(conflicts, accepted(1, 10, 0, 100, set("a.b", 1)));
  note(conflicts, accepted(2, 11, 0, 101, set("a.c", 1)));
  note(conflicts, rejected(3, 10, 0, 1, set("p.q", 1)));
  msi_buffer buffer;
  msi_buffer_init(&buffer, msi_alloc_resolve(NULL));
  assert_int_equal(msi_conflicts_pack(&buffer, conflicts), MS_OK);
  for (size_t length = 0; length < buffer.length; length++) {
    msi_conflicts *copy = NULL;
    msi_reader in = {buffer.data, buffer.data + length};
    assert_int_not_equal(msi_conflicts_unpack(&in, NULL, 1000, &copy), MS_OK);
    assert_ptr_equal(in.at, buffer.data);
  }
  for (size_t i = 0; i < buffer.length; i++) {
    for (int value = 0; value < 256; value++) {
      uint8_t was = buffer.data[i];
      msi_conflicts *copy = NULL;
      msi_reader in = {buffer.data, buffer.data + buffer.length};
      buffer.data[i] = (uint8_t)value;
      if (msi_conflicts_unpack(&in, NULL, 1000, &copy) == MS_OK) {
        assert_true(msi_conflicts_check_structure(copy));
        msi_conflicts_free(copy);
      }
      buffer.data[i] = was;
    }
  }
  msi_buffer_fini(&buffer);
  msi_conflicts_free(conflicts);
}

static void test_unpacking_survives_want_of_memory(void **state) {
  (void)state;
  msi_conflicts *conflicts = conflicts_of();
  note(conflicts, accepted(1, 10, 0, 100, set("a.b", 1)));
  note(conflicts, rejected(2, 10, 0, 1, set("p.q", 1)));
  msi_buffer buffer;
  msi_buffer_init(&buffer, msi_alloc_resolve(NULL));
  assert_int_equal(msi_conflicts_pack(&buffer, conflicts), MS_OK);
  ms_status status = MS_ENOMEM;
  uint64_t n = 0;
  for (; status != MS_OK; n++) {
    failing_alloc memory;
    failing_alloc_init(&memory);
    failing_alloc_fail_at(&memory, n);
    msi_reader in = {buffer.data, buffer.data + buffer.length};
    msi_conflicts *copy = NULL;
    status = msi_conflicts_unpack(&in, &memory.alloc, 1000, &copy);
    if (status != MS_OK) assert_int_equal(status, MS_ENOMEM);
    if (status == MS_OK) msi_conflicts_free(copy);
    assert_true(failing_alloc_is_clean(&memory));
  }
  assert_true(n > 8);
  msi_buffer_fini(&buffer);
  msi_conflicts_free(conflicts);
}

/* Whatever allocation fails while entries are noted: what conflicts still conflicts. */
static void test_noting_without_memory_forgets_no_conflict(void **state) {
  (void)state;
  bool failed = true;
  for (uint64_t n = 0; failed; n++) {
    failing_alloc memory;
    failing_alloc_init(&memory);
    msi_conflicts *conflicts = NULL;
    assert_int_equal(msi_conflicts_new(&memory.alloc, 1000, &conflicts), MS_OK);
    failing_alloc_fail_at(&memory, n);
    note(conflicts, accepted(1, 10, 0, 100, set("a.b", 1)));
    note(conflicts, accepted(2, 11, 0, 101, set("a.b.c", 1)));
    note(conflicts, rejected(3, 12, 0, 1, set("p.q", 1)));
    note(conflicts, rejected(4, 12, 0, 2, set("p.r", 1)));
    failed = memory.failed;
    failing_alloc_never_fail(&memory);
    assert_int_equal(status_of(conflicts, 12, 4, 99, set("a.b", 2)), MS_OK);
    assert_int_equal(status_of(conflicts, 13, 0, 99, set("a.b.c", 2)), MS_ECONFLICT);
    assert_int_equal(status_of(conflicts, 13, 0, 99, set("a", 2)), MS_ECONFLICT);
    assert_int_equal(status_of(conflicts, 13, 4, 102, set("a", 2)), MS_OK);
    assert_int_equal(status_of(conflicts, 12, 0, 200, set("p.q.x", 2)), MS_ECONFLICT);
    assert_int_equal(status_of(conflicts, 12, 3, 200, set("p.r.x", 2)), MS_ECONFLICT);
    assert_int_equal(status_of(conflicts, 12, 4, 200, set("p.r.x", 2)), MS_OK);
    msi_conflicts_free(conflicts);
    assert_true(failing_alloc_is_clean(&memory));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_older_set_loses_to_newer_one_at_above_and_below),
      cmocka_unit_test(test_equal_timestamps_go_to_the_higher_peer),
      cmocka_unit_test(test_writers_own_newer_patch_hides_no_other),
      cmocka_unit_test(test_conflict_names_the_winner),
      cmocka_unit_test(test_set_of_the_standing_value_does_not_conflict),
      cmocka_unit_test(test_relative_operations_never_lose_but_win),
      cmocka_unit_test(test_guards_neither_lose_nor_win),
      cmocka_unit_test(test_patches_fall_with_what_they_build_on),
      cmocka_unit_test(test_guards_fall_only_with_what_made_their_container),
      cmocka_unit_test(test_rejections_count_until_their_origin_has_seen_them),
      cmocka_unit_test(test_index_agrees_with_a_scan_of_the_history),
      cmocka_unit_test(test_evicted_paths_cost_late_writers_only),
      cmocka_unit_test(test_many_rejected_paths_raise_the_writers_own_floor),
      cmocka_unit_test(test_giant_keys_are_bounded_by_bytes),
      cmocka_unit_test(test_damaged_bytes_are_refused_without_harm),
      cmocka_unit_test(test_unpacking_survives_want_of_memory),
      cmocka_unit_test(test_noting_without_memory_forgets_no_conflict),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
