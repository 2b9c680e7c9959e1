/* Reads in the conflict index: what was read and has changed since is found, whatever the timestamps. */
#include "conflict_scan.h"
#include "conflict_support.h"

enum { A = 1, B = 2, C = 3 }; /* peers */

static msi_reads *reads_of(const char *whole, const char *exists) {
  msi_read_set set;
  msi_reads *reads = NULL;
  assert_int_equal(msi_read_set_init(&set, NULL), MS_OK);
  const char *texts[] = {whole, exists};
  const msi_read_kind kinds[] = {MSI_READ_WHOLE, MSI_READ_EXISTS};
  for (int i = 0; i < 2; i++) {
    if (texts[i] == NULL) continue;
    ms_path *path = path_of(texts[i]);
    assert_int_equal(msi_read_set_add(&set, path->segments, path->count, kinds[i]),
                     MS_OK);
    ms_path_release(path);
  }
  assert_int_equal(msi_read_set_compile(&set, &reads), MS_OK);
  msi_read_set_fini(&set);
  return reads;
}

/* A transaction of A that read this and writes elsewhere, stamped above all. Takes the reads. */
static msi_conflict ask(const msi_conflicts *conflicts, uint64_t base, msi_reads *reads) {
  msi_conflict found;
  msi_patch patch = {.origin = A,
                     .number = 1,
                     .base = base,
                     .timestamp = 1000000,
                     .update = set("elsewhere", 1),
                     .reads = reads};
  msi_conflicts_check(conflicts, &patch, NULL, &found);
  found.path = NULL; /* borrowed */
  ms_update_release(patch.update);
  msi_reads_release(reads);
  return found;
}

/* What becomes of a read at version 1 when B then writes this, as the oldest of all. */
static ms_status after(const char *update, const char *document, const char *whole,
                       const char *exists) {
  msi_conflicts *conflicts = conflicts_of();
  note(conflicts, accepted(1, A, 0, 500, set("before", 1)));
  note(conflicts, accepted(2, B, 1, 1, marked(update, document)));
  ms_status status = ask(conflicts, 1, reads_of(whole, exists)).status;
  assert_int_equal(ask(conflicts, 2, reads_of(whole, exists)).status, MS_OK);
  msi_conflicts_free(conflicts);
  return status;
}

static void test_a_change_at_above_or_below_a_whole_is_met(void **state) {
  (void)state;
  static const char *const changes[] = {
      "{\"$set\": {\"a.b\": 1}}",      "{\"$set\": {\"a\": {}}}",
      "{\"$set\": {\"a.b.c.d\": 1}}",  "{\"$inc\": {\"a.b.n\": 1}}",
      "{\"$unset\": {\"a\": 1}}",      "{\"$push\": {\"a.b\": 1}}",
      "{\"$rename\": {\"a\": \"z\"}}", "{\"$rename\": {\"z\": \"a.b.c\"}}",
      "{\"$max\": {\"a\": 1}}",        "{\"$currentDate\": {\"a.b\": true}}"};
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    assert_int_equal(after(changes[i], "{}", "a.b", NULL), MS_ECONFLICT);
  }
  assert_int_equal(after("{\"$set\": {\"a.c\": 1}}", "{}", "a.b", NULL), MS_OK);
  assert_int_equal(after("{\"$inc\": {\"b\": 1}}", "{}", "a.b", NULL), MS_OK);
  assert_int_equal(after("{\"$set\": {\"z\": 1}}", "{}", "", NULL), MS_ECONFLICT);
}

static void test_what_exists_is_met_by_what_replaces_it_only(void **state) {
  (void)state;
  static const char *const others[] = {
      "{\"$set\": {\"a.b.c\": 1}}", "{\"$push\": {\"a.b\": 1}}",
      "{\"$pop\": {\"a.b\": 1}}", "{\"$inc\": {\"a.b.n\": 1}}",
      "{\"$unset\": {\"a.b.n\": 1}}"};
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    assert_int_equal(after(others[i], "{}", NULL, "a.b"), MS_OK);
  }
  assert_int_equal(after("{\"$unset\": {\"a.b\": 1}}", "{}", NULL, "a.b"), MS_ECONFLICT);
  assert_int_equal(after("{\"$set\": {\"a\": 1}}", "{}", NULL, "a.b"), MS_ECONFLICT);
}

static void test_what_moves_elements_is_met_by_who_read_one(void **state) {
  (void)state;
  assert_int_equal(after("{\"$pop\": {\"l\": -1}}", LISTS, "l.1.t.0", NULL),
                   MS_ECONFLICT);
  assert_int_equal(after("{\"$pull\": {\"l\": 1}}", LISTS, "l.1", NULL), MS_ECONFLICT);
  assert_int_equal(after("{\"$push\": {\"l\": {\"$each\": [1], \"$position\": 0}}}",
                         LISTS, NULL, "l.0"),
                   MS_ECONFLICT);
  assert_int_equal(after("{\"$set\": {\"l.$[].t\": 1}}", LISTS, "l.1.t.0", NULL),
                   MS_ECONFLICT);
  assert_int_equal(after("{\"$push\": {\"l\": 1}}", LISTS, "l.1.t.0", NULL), MS_OK);
  assert_int_equal(after("{\"$push\": {\"l\": 1}}", LISTS, "l", NULL), MS_ECONFLICT);
  assert_int_equal(after("{\"$set\": {\"l.0.t.0\": 1}}", LISTS, "l.1", NULL), MS_OK);
}

static void test_the_winner_is_named(void **state) {
  (void)state;
  msi_conflicts *conflicts = conflicts_of();
  note(conflicts, accepted(7, B, 0, 5, set("a", 1)));
  note(conflicts, accepted(8, C, 0, 4, set("a", 2))); /* older, and the last */
  msi_conflict found = ask(conflicts, 7, reads_of("a", NULL));
  assert_int_equal(found.status, MS_ECONFLICT);
  assert_true(found.by_read);
  assert_int_equal(found.winner, C);
  assert_int_equal(found.winner_version, 8);
  assert_int_equal(found.winner_wall_ms, 80);
  assert_int_equal(ask(conflicts, 8, reads_of("a", NULL)).status, MS_OK);
  msi_conflicts_free(conflicts);
}

static void test_own_entries_are_known_already(void **state) {
  (void)state;
  msi_conflicts *conflicts = conflicts_of();
  note(conflicts, accepted(2, A, 1, 5, set("a", 1)));
  assert_int_equal(ask(conflicts, 1, reads_of("a", NULL)).status, MS_OK);
  note(conflicts, accepted(3, B, 1, 4, set("a", 1)));
  note(conflicts, accepted(4, A, 1, 6, set("a", 1)));
  assert_int_equal(ask(conflicts, 1, reads_of("a", NULL)).status, MS_ECONFLICT);
  msi_conflicts_free(conflicts);
}

static void test_own_rejections_take_along_who_read_them(void **state) {
  (void)state;
  msi_conflicts *conflicts = conflicts_of();
  note(conflicts, rejected(2, A, 1, 5, set("a.b", 1)));
  assert_true(ask(conflicts, 1, reads_of("a", NULL)).by_dependence);
  assert_true(ask(conflicts, 1, reads_of("a.b", NULL)).by_dependence);
  assert_true(ask(conflicts, 1, reads_of("a.b.c", NULL)).by_dependence);
  assert_true(ask(conflicts, 1, reads_of(NULL, "a.b")).by_dependence);
  assert_int_equal(ask(conflicts, 1, reads_of(NULL, "a")).status, MS_OK);
  assert_int_equal(ask(conflicts, 1, reads_of("a.c", NULL)).status, MS_OK);
  assert_int_equal(ask(conflicts, 2, reads_of("a.b", NULL)).status, MS_OK);
  msi_conflicts_free(conflicts);
}

static void test_below_the_floor_nothing_is_taken_for_unchanged(void **state) {
  (void)state;
  msi_conflicts *conflicts = NULL;
  char path[32];
  assert_int_equal(msi_conflicts_new(NULL, 0, &conflicts), MS_OK);
  uint64_t version = 1;
  for (; version < 3 * MSI_CONFLICT_NODES_LEAST; version++) {
    snprintf(path, sizeof path, "k%u", (unsigned)version);
    note(conflicts, accepted(version, B, version - 1, version, set(path, 1)));
  }
  msi_conflict found = ask(conflicts, 1, reads_of("unrelated", NULL));
  assert_int_equal(found.status, MS_ECONFLICT);
  assert_true(found.by_floor && found.by_read);
  assert_int_equal(ask(conflicts, version - 2, reads_of("unrelated", NULL)).status,
                   MS_OK);
  msi_conflicts_free(conflicts);
}

/* ----- random histories against a scan */

enum { HISTORIES = 300, ENTRIES = 40 };

static uint32_t dice(uint32_t *state, uint32_t sides) {
  *state = *state * 1664525u + 1013904223u;
  return (*state >> 16) % sides;
}

static const char *random_path(uint32_t *state) {
  static const char *const paths[] = {"a", "a.b", "a.b.0", "a.b.0.c", "a.b.1", "a.c",
                                      "l", "l.0", "l.1",   "l.1.x",   "l.2",   "l.1.x.0"};
  return paths[dice(state, sizeof paths / sizeof *paths)];
}

static ms_update *random_update(uint32_t *state) {
  static const char *const forms[] = {
      "{\"$set\": {\"%s\": 1}}",
      "{\"$unset\": {\"%s\": 1}}",
      "{\"$inc\": {\"%s\": 1}}",
      "{\"$min\": {\"%s\": 1}}",
      "{\"$push\": {\"%s\": 1}}",
      "{\"$pop\": {\"%s\": 1}}",
      "{\"$pull\": {\"%s\": 1}}",
      "{\"$addToSet\": {\"%s\": 1}}",
      "{\"$inc\": {\"%s.$[].n\": 1}}",
      "{\"$set\": {\"%s.$[]\": 1}}",
      "{\"$push\": {\"%s\": {\"$each\": [1], \"$position\": 0}}}"};
  char text[128];
  snprintf(text, sizeof text, forms[dice(state, sizeof forms / sizeof *forms)],
           random_path(state));
  return marked(text, dice(state, 2) == 0 ? LISTS : "{}");
}

/* Did an operation of version `v` above the path go by what it found, and others had written there? */
static bool scan_open(const msi_entry *entries, uint64_t v, const ms_path *path) {
  const msi_patch *theirs = &entries[v].patch;
  for (uint32_t k = 0; k < theirs->update->op_count; k++) {
    const msi_op *op = &theirs->update->ops[k];
    if (!scan_strictly_begins(op->path, path)) continue;
    for (uint64_t w = theirs->base + 1; w < v; w++) {
      const msi_patch *other = &entries[w].patch;
      if (other->origin != theirs->origin && scan_opens(op, other->update)) return true;
    }
  }
  return false;
}

static bool scan_any(const msi_entry *entries, uint64_t version, const msi_patch *patch) {
  for (uint64_t v = patch->base + 1; v < version; v++) {
    const msi_patch *theirs = &entries[v].patch;
    if (scan_reads_changed(patch->reads, patch->origin, theirs->update, theirs->origin))
      return true;
    for (size_t i = 0; i < patch->reads->count; i++) {
      if (scan_open(entries, v, patch->reads->paths[i])) return true;
    }
  }
  return false;
}

static void test_the_index_finds_what_a_scan_finds(void **state) {
  (void)state;
  uint32_t seed = 20261123;
  size_t met = 0, unmet = 0;
  for (int h = 0; h < HISTORIES; h++) {
    msi_conflicts *conflicts = conflicts_of();
    msi_entry entries[ENTRIES + 1];
    for (uint64_t version = 1; version <= ENTRIES; version++) {
      msi_patch patch = {.origin = 1 + dice(&seed, 3),
                         .number = version,
                         .base = version - 1 -
                                 dice(&seed, version < 8 ? (uint32_t)version : 8),
                         .timestamp = UINT64_C(1) << 40,
                         .update = set("elsewhere", 1)};
      bool is_whole = dice(&seed, 2) == 0;
      const char *path = random_path(&seed);
      patch.reads = reads_of(is_whole ? path : NULL, is_whole ? NULL : path);
      msi_conflict found;
      msi_conflicts_check(conflicts, &patch, NULL, &found);
      bool wanted = scan_any(entries, version, &patch);
      if (found.by_read != wanted)
        fail_msg("history %d, version %u", h, (unsigned)version);
      if (wanted) met++;
      if (!wanted) unmet++;
      msi_patch_release(&patch);
      entries[version] = accepted(version, 1 + dice(&seed, 3), 0, 1 + dice(&seed, 1000),
                                  random_update(&seed));
      msi_conflicts_note(conflicts, &entries[version]);
    }
    for (size_t v = 1; v <= ENTRIES; v++) msi_entry_fini(&entries[v]);
    msi_conflicts_free(conflicts);
  }
  assert_true(met > 1000 && unmet > 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_change_at_above_or_below_a_whole_is_met),
      cmocka_unit_test(test_what_exists_is_met_by_what_replaces_it_only),
      cmocka_unit_test(test_what_moves_elements_is_met_by_who_read_one),
      cmocka_unit_test(test_the_winner_is_named),
      cmocka_unit_test(test_own_entries_are_known_already),
      cmocka_unit_test(test_own_rejections_take_along_who_read_them),
      cmocka_unit_test(test_below_the_floor_nothing_is_taken_for_unchanged),
      cmocka_unit_test(test_the_index_finds_what_a_scan_finds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
