/* Hooks: what patterns report, where the matcher looks, order, changes inside callbacks, memory. */
#include "hook.h"

#include "pattern.h"
#include "update_support.h"

enum { CALLS_MAX = 4096 };

/* One call as "pattern path old new", with "-" for nothing. */
typedef struct call {
  int hook;
  char text[512];
} call;

typedef struct recorder {
  int hook; /* its number in the test */
  struct journal *journal;
} recorder;

typedef struct journal {
  msi_hooks *hooks;
  recorder recorders[64];
  msi_hook *handles[64];
  int hook_count;
  call calls[CALLS_MAX];
  int count;
} journal;

static size_t put_value(char *text, size_t room, const ms_value *value) {
  if (value == NULL) return (size_t)snprintf(text, room, " -");
  const ms_value *json;
  const char *bytes;
  size_t length;
  assert_int_equal(ms_value_to_json(NULL, value, MS_JSON_LOSSLESS, &json), MS_OK);
  assert_int_equal(ms_value_to_string(json, &bytes, &length), MS_OK);
  size_t written = (size_t)snprintf(text, room, " %s", bytes);
  ms_value_release(json);
  return written < room ? written : room;
}

/* Indexes show in brackets. */
static size_t put_path(char *text, size_t room, const ms_change *change) {
  size_t at = 0;
  for (size_t i = 0; i < ms_path_count(change->path); i++) {
    ms_key key = ms_path_key(change->path, i);
    at += (size_t)snprintf(text + at, room - at, change->is_index[i] ? "[%.*s]" : ".%.*s",
                           (int)key.length, key.bytes);
  }
  return at;
}

static void record(void *ud, const ms_change *change) {
  recorder *self = ud;
  assert_true(self->journal->count < CALLS_MAX);
  call *next = &self->journal->calls[self->journal->count++];
  assert_int_equal(change->bytes, sizeof *change);
  assert_int_equal(change->origin, 7);
  assert_int_equal(change->kind,
                   change->new_value == NULL ? MS_CHANGE_REMOVE : MS_CHANGE_SET);
  next->hook = self->hook;
  size_t at = put_path(next->text, sizeof next->text, change);
  at += put_value(next->text + at, sizeof next->text - at, change->old_value);
  if (at < sizeof next->text)
    put_value(next->text + at, sizeof next->text - at, change->new_value);
}

static const ms_change template = {.kind = MS_CHANGE_SET, .origin = 7};

static void journal_init(journal *self) {
  self->hook_count = 0;
  self->count = 0;
  assert_int_equal(msi_hooks_new(NULL, &self->hooks), MS_OK);
}

static int journal_on(journal *self, const char *pattern) {
  int n = self->hook_count++;
  self->recorders[n] = (recorder){n, self};
  ms_path *path = mst_pattern(pattern);
  assert_int_equal(
      msi_hooks_add(self->hooks, path, 0, record, &self->recorders[n], &self->handles[n]),
      MS_OK);
  ms_path_release(path);
  return n;
}

static void journal_fini(journal *self) { msi_hooks_free(self->hooks); }

static void assert_calls(const journal *self, const char *const *wanted, int count) {
  for (int i = 0; i < count && i < self->count; i++) {
    assert_string_equal(self->calls[i].text, wanted[i]);
  }
  assert_int_equal(self->count, count);
}

/* One pattern hears exactly `wanted` of a step, wherever the matcher looks. */
static void assert_heard(const char *pattern, const char *before, const char *update,
                         const char *const *wanted, int count) {
  static journal self;
  const ms_value *old_root = mst_json(before), *new_root = NULL;
  ms_update *compiled = mst_update(update);
  assert_int_equal(ms_update_apply(compiled, old_root, 0, &new_root, NULL), MS_OK);
  for (int i = 0; i < 2; i++) {
    journal_init(&self);
    journal_on(&self, pattern);
    assert_int_equal(msi_hooks_dispatch_update(self.hooks, old_root, new_root,
                                               i == 0 ? compiled : NULL, &template),
                     MS_OK);
    assert_calls(&self, wanted, count);
    journal_fini(&self);
  }
  ms_value_release(new_root);
  ms_value_release(old_root);
  ms_update_release(compiled);
}
#define HEARD(pattern, before, update, ...)                                              \
  do {                                                                                   \
    const char *const wanted[] = {__VA_ARGS__};                                          \
    assert_heard(pattern, before, update, wanted,                                        \
                 (int)(sizeof wanted / sizeof wanted[0]));                               \
  } while (0)
#define HEARD_NOTHING(pattern, before, update)                                           \
  assert_heard(pattern, before, update, NULL, 0)

#define PLAYERS "{\"players\": {\"alice\": {\"hp\": 5}, \"bob\": {\"hp\": 9}}}"

/* ----------------------------------------------------------- what is reported */

static void
test_hook_on_an_exact_path_hears_of_changes_at_above_and_below_it(void **state) {
  (void)state;
  const char *alice = "players.alice";
  HEARD(alice, PLAYERS, "{\"$set\": {\"players.alice.hp\": 6}}",
        ".players.alice {\"hp\":5} {\"hp\":6}");
  HEARD(alice, PLAYERS, "{\"$set\": {\"players.alice\": 1}}",
        ".players.alice {\"hp\":5} 1");
  HEARD(alice, PLAYERS, "{\"$unset\": {\"players\": 1}}", ".players.alice {\"hp\":5} -");
  HEARD(alice, "{}", "{\"$set\": {\"players.alice.hp\": 6}}",
        ".players.alice - {\"hp\":6}");
  HEARD_NOTHING(alice, PLAYERS, "{\"$set\": {\"players.bob.hp\": 6}}");
  HEARD_NOTHING(alice, PLAYERS, "{\"$set\": {\"players\": {\"alice\": {\"hp\": 5}}}}");
  HEARD("", PLAYERS, "{\"$set\": {\"players\": 1}}",
        " {\"players\":{\"alice\":{\"hp\":5},\"bob\":{\"hp\":9}}} {\"players\":1}");
}

static void test_hook_with_a_star_hears_of_each_child(void **state) {
  (void)state;
  HEARD("players.*", PLAYERS, "{\"$set\": {\"players.bob.hp\": 6}}",
        ".players.bob {\"hp\":9} {\"hp\":6}");
  HEARD("players.*", PLAYERS, "{\"$unset\": {\"players.bob\": 6}}",
        ".players.bob {\"hp\":9} -");
  HEARD("players.*", PLAYERS, "{\"$set\": {\"players.carol\": {}}}",
        ".players.carol - {}");
  HEARD("players.*.hp", PLAYERS,
        "{\"$set\": {\"players\": {\"bob\": {\"hp\": 9, \"x\": 1}}}}",
        ".players.alice.hp 5 -");
  HEARD("*.bob.*", PLAYERS, "{\"$unset\": {\"players\": 1}}", ".players.bob.hp 9 -");
  HEARD_NOTHING("*", "{\"a\": 1}", "{\"$set\": {\"a\": 1}}");
  HEARD_NOTHING("players.*", PLAYERS, "{\"$set\": {\"other.alice\": 1}}");
}

static void test_hook_with_two_stars_hears_of_each_leaf(void **state) {
  (void)state;
  HEARD("players.**", PLAYERS, "{\"$set\": {\"players.bob.hp\": 6}}",
        ".players.bob.hp 9 6");
  HEARD("**", "{\"a\": {\"b\": {\"c\": 1}}}", "{\"$unset\": {\"a\": 1}}", ".a.b.c 1 -");
  HEARD("**", "{}", "{\"$set\": {\"a.b\": {\"c\": 1}}}", ".a.b.c - 1");
  HEARD("a.**", "{\"a\": 1}", "{\"$set\": {\"a\": 2}}", ".a 1 2");
  HEARD("**", "{\"a\": 1}", "{\"$set\": {\"a\": {\"b\": 2}}}", ".a 1 {\"b\":2}",
        ".a.b - 2");
  HEARD("**", "{\"a\": {\"b\": 2}}", "{\"$set\": {\"a\": 1}}", ".a {\"b\":2} 1",
        ".a.b 2 -");
}

static void test_hook_with_two_stars_takes_empty_containers_for_leaves(void **state) {
  (void)state;
  HEARD("**", "{}", "{\"$set\": {\"a\": {}}}", ".a - {}");
  HEARD("**", "{\"a\": []}", "{\"$unset\": {\"a\": 1}}", ".a [] -");
  HEARD("**", "{\"a\": []}", "{\"$set\": {\"a\": {}}}", ".a [] {}");
  HEARD("**", "{\"a\": []}", "{\"$set\": {\"a\": 5}}", ".a [] 5");
  HEARD("**", "{\"a\": []}", "{\"$push\": {\"a\": 5}}", ".a[0] - 5");
  HEARD("**", "{\"a\": {\"b\": 1}}", "{\"$unset\": {\"a.b\": 5}}", ".a.b 1 -");
}

static void test_hook_with_two_stars_inside_stands_for_any_number_of_keys(void **state) {
  (void)state;
  const char *before = "{\"hp\": 1, \"a\": {\"hp\": 2, \"b\": {\"hp\": {\"x\": 3}}}}";
  HEARD("**.hp", before, "{\"$inc\": {\"hp\": 1}}", ".hp 1 2");
  HEARD("**.hp", before, "{\"$inc\": {\"a.b.hp.x\": 1}}", ".a.b.hp {\"x\":3} {\"x\":4}");
  HEARD("a.**.hp", before, "{\"$inc\": {\"a.hp\": 1}}", ".a.hp 2 3");
  HEARD_NOTHING("a.**.hp", before, "{\"$inc\": {\"hp\": 1}}");
  HEARD("a.**.**.hp", before, "{\"$inc\": {\"a.hp\": 1}}", ".a.hp 2 3");
  HEARD("**.*.x", before, "{\"$inc\": {\"a.b.hp.x\": 1}}", ".a.b.hp.x 3 4");
  HEARD("**.a.**", before, "{\"$inc\": {\"a.b.hp.x\": 1}}", ".a.b.hp.x 3 4");
}

static void test_hook_tells_indexes_from_keys(void **state) {
  (void)state;
  HEARD("l.*", "{\"l\": [1, 2]}", "{\"$set\": {\"l.1\": 3}}", ".l[1] 2 3");
  HEARD("l.1", "{\"l\": [1, 2]}", "{\"$set\": {\"l.1\": 3}}", ".l[1] 2 3");
  HEARD("l.1", "{\"l\": {\"1\": 2}}", "{\"$set\": {\"l.1\": 3}}", ".l.1 2 3");
  HEARD("l.*", "{\"l\": [1]}", "{\"$set\": {\"l.3\": {\"x\": 1}}}", ".l[1] - null",
        ".l[2] - null", ".l[3] - {\"x\":1}");
  HEARD("l.*.x", "{\"l\": [{\"x\": 1}, {\"x\": 2}]}", "{\"$inc\": {\"l.1.x\": 3}}",
        ".l[1].x 2 5");
  HEARD("l.1", "{\"l\": [1, 2]}", "{\"$unset\": {\"l\": 1}}", ".l[1] 2 -");
}

static void test_hook_meets_a_key_that_object_and_array_share_once(void **state) {
  (void)state;
  HEARD("l.*", "{\"l\": {\"0\": 1, \"1\": 2}}", "{\"$set\": {\"l\": [1, 5, 6]}}",
        ".l[1] 2 5", ".l[2] - 6");
  HEARD("l.*", "{\"l\": {\"0\": 1, \"x\": 3}}", "{\"$set\": {\"l\": [1]}}", ".l.x 3 -");
  HEARD("l.*", "{\"l\": [7, 8]}", "{\"$set\": {\"l\": {\"1\": 8, \"0\": 9}}}",
        ".l.0 7 9");
  HEARD("l.0", "{\"l\": [7, 8]}", "{\"$set\": {\"l\": {\"1\": 8, \"0\": 9}}}",
        ".l.0 7 9");
}

static void test_hook_hears_of_an_empty_table_that_became_something(void **state) {
  (void)state;
  const char *before = "{\"t\": {\"$empty\": true}}";
  HEARD("t", before, "{\"$set\": {\"t.a\": 1}}", ".t {\"$empty\":true} {\"a\":1}");
  HEARD("**", before, "{\"$set\": {\"t.a\": 1}}", ".t.a - 1");
  HEARD("**", before, "{\"$push\": {\"t\": 1}}", ".t[0] - 1");
  HEARD("**", before, "{\"$set\": {\"t\": {}}}", ".t {\"$empty\":true} {}");
}

static void test_hook_hears_of_a_group_of_updates_once(void **state) {
  (void)state;
  HEARD("players", PLAYERS,
        "[{\"$set\": {\"players.bob.hp\": 1}}, {\"$set\": {\"players.alice.hp\": 1}},"
        " {\"$set\": {\"players.bob.hp\": 2, \"other\": 2}}]",
        ".players {\"alice\":{\"hp\":5},\"bob\":{\"hp\":9}}"
        " {\"alice\":{\"hp\":1},\"bob\":{\"hp\":2}}");
  HEARD(
      "players.bob.hp", PLAYERS,
      "[{\"$set\": {\"players.bob.hp\": 1}}, {\"$set\": {\"players.bob\": {\"hp\": 3}}}]",
      ".players.bob.hp 9 3");
  HEARD_NOTHING(
      "**", PLAYERS,
      "[{\"$inc\": {\"players.bob.hp\": 1}}, {\"$inc\": {\"players.bob.hp\": -1}}]");
}

static void test_hook_takes_patterns_of_literal_keys(void **state) {
  (void)state;
  static journal self;
  const ms_key keys[] = {{"a.b", 3}, {"*", 1}};
  const ms_value *root = mst_json("{\"a.b\": {\"*\": 1, \"x\": 2}, \"a\": {\"b\": 3}}");
  ms_path *path;
  assert_int_equal(ms_path_new(NULL, keys, 2, &path, NULL), MS_OK);
  journal_init(&self);
  self.recorders[0] = (recorder){0, &self};
  assert_int_equal(
      msi_hooks_add(self.hooks, path, 0, record, &self.recorders[0], &self.handles[0]),
      MS_OK);
  assert_int_equal(msi_hooks_dispatch(self.hooks, NULL, root, NULL, 0, &template), MS_OK);
  const char *const wanted[] = {".a.b.* - 1"};
  assert_calls(&self, wanted, 1);
  journal_fini(&self);
  ms_path_release(path);
  ms_value_release(root);
}

/* ------------------------------------------------------------------ dispatch */

static void test_hooks_are_called_in_the_order_of_their_making(void **state) {
  (void)state;
  static journal self;
  const ms_value *before = mst_json("{\"a\": {\"x\": 1, \"y\": 2}, \"b\": 1}");
  const ms_value *after = mst_json("{\"a\": {\"x\": 2, \"y\": 3}, \"b\": 2}");
  const char *const patterns[] = {"b", "a.y", "a.*", "**", "a", "a.x", "a.y"};
  journal_init(&self);
  for (size_t i = 0; i < 7; i++) journal_on(&self, patterns[i]);
  assert_int_equal(msi_hooks_dispatch(self.hooks, before, after, NULL, 0, &template),
                   MS_OK);
  assert_int_equal(self.count, 10);
  for (int i = 1; i < self.count; i++) {
    assert_true(self.calls[i - 1].hook <= self.calls[i].hook);
  }
  journal_fini(&self);
  ms_value_release(before);
  ms_value_release(after);
}

static void test_hooks_look_only_where_the_paths_lead(void **state) {
  (void)state;
  static journal self;
  const ms_value *before = mst_json("{\"a\": {\"x\": 1, \"y\": 2}, \"b\": 1}");
  const ms_value *after = mst_json("{\"a\": {\"x\": 2, \"y\": 3}, \"b\": 2}");
  ms_path *paths[] = {mst_path("a.y"), mst_path("q.r"), mst_path("a.y")};
  journal_init(&self);
  journal_on(&self, "**");
  assert_int_equal(msi_hooks_dispatch(self.hooks, before, after,
                                      (const ms_path *const *)paths, 3, &template),
                   MS_OK);
  const char *const wanted[] = {".a.y 2 3"};
  assert_calls(&self, wanted, 1);
  assert_int_equal(msi_hooks_dispatch(self.hooks, before, after,
                                      (const ms_path *const *)paths, 0, &template),
                   MS_OK);
  assert_int_equal(self.count, 1);
  journal_fini(&self);
  for (size_t i = 0; i < 3; i++) ms_path_release(paths[i]);
  ms_value_release(before);
  ms_value_release(after);
}

static void test_hooks_find_one_among_thousands(void **state) {
  (void)state;
  static journal self;
  const ms_value *before = NULL, *one = mst_json("1"), *two = mst_json("2");
  char text[32];
  journal_init(&self);
  self.recorders[0] = (recorder){0, &self};
  assert_int_equal(ms_value_new_object(NULL, &before), MS_OK);
  for (int i = 0; i < 5000; i++) {
    int length = snprintf(text, sizeof text, "k%d", i);
    assert_int_equal(ms_value_put(NULL, &before, text, (size_t)length, one), MS_OK);
    ms_path *path = mst_path(text);
    msi_hook *hook;
    assert_int_equal(
        msi_hooks_add(self.hooks, path, 0, record, &self.recorders[0], &hook), MS_OK);
    ms_path_release(path);
  }
  assert_int_equal(msi_hooks_count(self.hooks), 5000);
  const ms_value *after = ms_value_retain(before);
  assert_int_equal(ms_value_put(NULL, &after, "k4321", 5, two), MS_OK);
  ms_path *path = mst_path("k4321");
  for (size_t count = 0; count < 2; count++) {
    assert_int_equal(msi_hooks_dispatch(self.hooks, before, after,
                                        count == 0 ? NULL : (const ms_path *const *)&path,
                                        count, &template),
                     MS_OK);
  }
  const char *const wanted[] = {".k4321 1 2", ".k4321 1 2"};
  assert_calls(&self, wanted, 2);
  journal_fini(&self);
  ms_path_release(path);
  ms_value_release(after);
  ms_value_release(before);
  ms_value_release(two);
  ms_value_release(one);
}

static void on_kind(void *ud, const ms_change *change) {
  *(ms_change_kind *)ud = change->kind;
}

static void test_hook_keeps_the_kind_of_a_rollback(void **state) {
  (void)state;
  msi_hooks *hooks;
  msi_hook *hook;
  ms_change_kind kind = MS_CHANGE_SET;
  ms_path *path = mst_path("a");
  const ms_value *root = mst_json("{\"a\": 1}"), *none = mst_json("{}");
  assert_int_equal(msi_hooks_new(NULL, &hooks), MS_OK);
  assert_int_equal(msi_hooks_add(hooks, path, MS_ON_IMMEDIATE, on_kind, &kind, &hook),
                   MS_OK);
  assert_int_equal(msi_hook_flags(hook), MS_ON_IMMEDIATE);
  ms_change rollback = {.kind = MS_CHANGE_ROLLBACK};
  assert_int_equal(msi_hooks_dispatch(hooks, root, none, NULL, 0, &rollback), MS_OK);
  assert_int_equal(kind, MS_CHANGE_ROLLBACK);
  assert_int_equal(msi_hooks_dispatch(hooks, root, none, NULL, 0, &template), MS_OK);
  assert_int_equal(kind, MS_CHANGE_REMOVE);
  assert_int_equal(msi_hooks_dispatch(hooks, none, root, NULL, 0, &template), MS_OK);
  assert_int_equal(kind, MS_CHANGE_SET);
  msi_hooks_free(hooks);
  ms_path_release(path);
  ms_value_release(root);
  ms_value_release(none);
}

static void test_hooks_visit_calls_one_for_all_that_is_there(void **state) {
  (void)state;
  static journal self;
  const ms_value *root = mst_json(PLAYERS);
  journal_init(&self);
  journal_on(&self, "**");
  journal_on(&self, "players.alice");
  int all = journal_on(&self, "players.*.hp"),
      absent = journal_on(&self, "players.carol");
  assert_int_equal(msi_hooks_visit(self.hooks, self.handles[all], root, &template),
                   MS_OK);
  assert_int_equal(self.count, 2);
  for (int i = 0; i < 2; i++) assert_int_equal(self.calls[i].hook, all);
  assert_string_not_equal(self.calls[0].text, self.calls[1].text);
  assert_int_equal(msi_hooks_visit(self.hooks, self.handles[absent], root, &template),
                   MS_OK);
  assert_int_equal(self.count, 2);
  journal_fini(&self);
  ms_value_release(root);
}

static void on_depth(void *ud, const ms_change *change) {
  *(size_t *)ud = ms_path_count(change->path);
}

static void test_hook_reaches_the_deepest_leaf(void **state) {
  (void)state;
  char text[2 * MS_DEPTH_MAX];
  for (size_t i = 0; i < MS_DEPTH_MAX; i++) memcpy(text + 2 * i, "k.", 2);
  text[sizeof text - 1] = '\0';
  ms_path *path = mst_path(text), *deep = mst_pattern("**");
  const ms_value *one = mst_json("1"), *root = NULL;
  ms_update *update = NULL;
  assert_int_equal(
      msi_update_single(NULL, MSI_CODE_SET, path, one, MS_NULL, &update, NULL), MS_OK);
  assert_int_equal(ms_update_apply(update, ms_value_empty(), 0, &root, NULL), MS_OK);
  const ms_path *const patterns[] = {path, deep};
  for (size_t i = 0; i < 2; i++) {
    msi_hooks *hooks;
    msi_hook *hook;
    size_t depth = 0;
    assert_int_equal(msi_hooks_new(NULL, &hooks), MS_OK);
    assert_int_equal(msi_hooks_add(hooks, patterns[i], 0, on_depth, &depth, &hook),
                     MS_OK);
    assert_int_equal(msi_hooks_dispatch(hooks, NULL, root, NULL, 0, &template), MS_OK);
    assert_int_equal(depth, MS_DEPTH_MAX);
    msi_hooks_free(hooks);
  }
  ms_update_release(update);
  ms_value_release(root);
  ms_value_release(one);
  ms_path_release(deep);
  ms_path_release(path);
}

/* ------------------------------------------------- changes inside a dispatch */

typedef struct meddler {
  journal *journal;
  int removes[3]; /* -1: nobody */
  bool adds;
  const ms_value *root;
} meddler;

static void on_meddle(void *ud, const ms_change *change) {
  meddler *self = ud;
  (void)change;
  for (int i = 0; i < 3; i++) {
    if (self->removes[i] < 0) continue;
    msi_hooks_remove(self->journal->hooks, self->journal->handles[self->removes[i]]);
    self->removes[i] = -1;
  }
  if (self->adds) journal_on(self->journal, "**");
  self->adds = false;
  assert_int_equal(
      msi_hooks_dispatch(self->journal->hooks, NULL, self->root, NULL, 0, &template),
      MS_EBUSY);
}

static void test_hooks_may_be_added_and_removed_in_a_callback(void **state) {
  (void)state;
  static journal self;
  const ms_value *root = mst_json("{\"a\": 1, \"b\": 2}");
  meddler second = {&self, {0, 1, 3}, true, root};
  journal_init(&self);
  int first = journal_on(&self, "a");
  int meddling = self.hook_count++;
  ms_path *path = mst_pattern("*");
  assert_int_equal(
      msi_hooks_add(self.hooks, path, 0, on_meddle, &second, &self.handles[meddling]),
      MS_OK);
  int third = journal_on(&self, "*");
  int fourth = journal_on(&self, "**");
  assert_int_equal(first, 0);
  assert_int_equal(meddling, 1);
  assert_int_equal(fourth, 3);
  /* The second removes the first, itself and the fourth, and adds a fifth. */
  assert_int_equal(msi_hooks_dispatch(self.hooks, NULL, root, NULL, 0, &template), MS_OK);
  assert_int_equal(self.count, 3);
  assert_int_equal(self.calls[0].hook, first);
  assert_int_equal(self.calls[1].hook, third);
  assert_int_equal(self.calls[2].hook, third);
  assert_int_equal(msi_hooks_count(self.hooks), 2);
  self.count = 0;
  assert_int_equal(msi_hooks_dispatch(self.hooks, NULL, root, NULL, 0, &template), MS_OK);
  assert_int_equal(self.count, 4);
  assert_int_equal(self.calls[1].hook, third);
  assert_int_equal(self.calls[2].hook, 4);
  journal_fini(&self);
  ms_path_release(path);
  ms_value_release(root);
}

/* --------------------------------------------------------------------- model */

/* All paths of a document as keys; the naive matcher compares them one by one. */
static const char *const model_keys[] = {"a", "b", "c", "0", "1", "2",  "3", "4",
                                         "5", "6", "7", "8", "9", "10", "11"};
enum { MODEL_KEYS = 15, MODEL_DEPTH = 12 };

static bool model_matches(const ms_path *pattern, size_t at, const int *keys,
                          size_t count) {
  if (at == pattern->count) return count == 0;
  const msi_segment *segment = &pattern->segments[at];
  if (segment->kind == MSI_SEGMENT_DEEP) {
    for (size_t skip = 0; skip <= count; skip++) {
      if (model_matches(pattern, at + 1, keys + skip, count - skip)) return true;
    }
    return false;
  }
  if (count == 0) return false;
  if (segment->kind == MSI_SEGMENT_KEY) {
    ms_key key = ms_path_key(pattern, at);
    if (strcmp(key.bytes, model_keys[keys[0]]) != 0) return false;
  }
  return model_matches(pattern, at + 1, keys + 1, count - 1);
}

static const ms_value *model_child(const ms_value *value, int key) {
  if (value == NULL) return NULL;
  if (ms_value_type(value) == MS_ARRAY) {
    return key < 3 ? NULL : ms_value_at(value, (size_t)(key - 3));
  }
  return ms_value_get(value, model_keys[key], strlen(model_keys[key]));
}

static bool model_is_box(const ms_value *value) {
  return value != NULL && msi_type_is_container(ms_value_type(value));
}

static bool model_is_leaf(const ms_value *value) {
  return value != NULL && ms_value_count(value) == 0;
}

static bool model_reports(const ms_path *pattern, const ms_value *was,
                          const ms_value *is) {
  if (was == NULL && is == NULL) return false;
  if (was != NULL && is != NULL && ms_value_equal(was, is)) return false;
  bool leaves = pattern->count > 0 &&
                pattern->segments[pattern->count - 1].kind == MSI_SEGMENT_DEEP;
  if (!leaves) return true;
  if (model_is_box(was) && model_is_box(is))
    return model_is_leaf(was) && model_is_leaf(is);
  return model_is_leaf(was) || model_is_leaf(is);
}

typedef struct model {
  const ms_path *pattern;
  journal *found;
  int keys[MODEL_DEPTH];
  bool is_index[MODEL_DEPTH];
  int count; /* expected calls */
} model;

static void model_expect(model *self, size_t depth, const ms_value *was,
                         const ms_value *is) {
  char text[512];
  size_t at = 0;
  for (size_t i = 0; i < depth; i++) {
    at += (size_t)snprintf(text + at, sizeof text - at,
                           self->is_index[i] ? "[%s]" : ".%s", model_keys[self->keys[i]]);
  }
  at += put_value(text + at, sizeof text - at, was);
  if (at < sizeof text) put_value(text + at, sizeof text - at, is);
  self->count++;
  for (int i = 0; i < self->found->count; i++) {
    if (strcmp(self->found->calls[i].text, text) == 0) return;
  }
  const ms_value *pattern;
  const char *bytes;
  size_t length;
  assert_int_equal(ms_path_text(self->pattern, &pattern), MS_OK);
  assert_int_equal(ms_value_to_string(pattern, &bytes, &length), MS_OK);
  fail_msg("%s did not hear: %s", bytes, text);
}

static void model_walk(model *self, size_t depth, const ms_value *was,
                       const ms_value *is) {
  if (model_matches(self->pattern, 0, self->keys, depth) &&
      model_reports(self->pattern, was, is)) {
    model_expect(self, depth, was, is);
  }
  if (depth == MODEL_DEPTH) return;
  for (int key = 0; key < MODEL_KEYS; key++) {
    const ms_value *old_child = model_child(was, key), *new_child = model_child(is, key);
    if (old_child == NULL && new_child == NULL) continue;
    self->keys[depth] = key;
    self->is_index[depth] = ms_value_type(new_child != NULL ? is : was) == MS_ARRAY;
    model_walk(self, depth + 1, old_child, new_child);
  }
}

static void model_check(const char *text, const ms_value *was, const ms_value *is,
                        const ms_update *update) {
  static journal self;
  static model expected;
  ms_path *pattern = mst_pattern(text);
  journal_init(&self);
  journal_on(&self, text);
  assert_int_equal(msi_hooks_dispatch_update(self.hooks, was, is, update, &template),
                   MS_OK);
  expected = (model){.pattern = pattern, .found = &self};
  model_walk(&expected, 0, was, is);
  if (self.count != expected.count) {
    for (int i = 0; i < self.count; i++) print_message("%s\n", self.calls[i].text);
    fail_msg("%s heard %d times, not %d", text, self.count, expected.count);
  }
  journal_fini(&self);
  ms_path_release(pattern);
}

static void random_pattern(mst_random *random, char *text, size_t room) {
  size_t at = 0, count = mst_below(random, 5);
  text[0] = '\0';
  for (size_t i = 0; i < count; i++) {
    size_t pick = mst_below(random, 12);
    const char *key = pick < 6 ? mst_keys[pick] : pick < 9 ? "*" : "**";
    if (i == 0 && pick < 6) key = mst_keys[pick % 2];
    at += (size_t)snprintf(text + at, room - at, i == 0 ? "%s" : ".%s", key);
  }
}

/* A root after a few updates, and all of them as one; NULL where the updates do not apply. */
static ms_update *random_step(mst_random *random, const ms_value *was,
                              const ms_value **is) {
  ms_update *update = NULL;
  char text[8192];
  text[0] = '[';
  size_t at = 1, count = 1 + mst_below(random, 3);
  for (size_t i = 0; i < count; i++) {
    if (i > 0) text[at++] = ',';
    mst_random_update(random, text + at, sizeof text - at - 2);
    at += strlen(text + at);
  }
  memcpy(text + at, "]", 2);
  const ms_value *document = mst_json(text);
  ms_status st = ms_update_parse(NULL, document, NULL, &update, NULL);
  ms_value_release(document);
  if (st == MS_OK) st = ms_update_apply(update, was, 0, is, NULL);
  if (st == MS_OK) return update;
  ms_update_release(update);
  return NULL;
}

static void test_random_steps_are_heard_as_a_full_comparison_would(void **state) {
  (void)state;
  mst_random random = {mst_seed(777)};
  int applied = 0;
  for (int round = 0; round < 1500; round++) {
    char text[16384], pattern[64];
    mst_random_document(&random, text, sizeof text);
    const ms_value *was = mst_json(text), *is = NULL;
    mst_random_document(&random, text, sizeof text);
    const ms_value *other = mst_json(text);
    ms_update *update = random_step(&random, was, &is);
    for (int i = 0; i < 4; i++) {
      random_pattern(&random, pattern, sizeof pattern);
      model_check(pattern, was, other, NULL);
      if (update == NULL) continue;
      model_check(pattern, was, is, NULL);
      model_check(pattern, was, is, update);
    }
    applied += update != NULL;
    ms_update_release(update);
    ms_value_release(is);
    ms_value_release(other);
    ms_value_release(was);
  }
  assert_true(applied > 100);
}

/* -------------------------------------------------------------------- leaves */

/* A $set of one scalar is told without the documents as it is with them, unless somebody wants more. */
static bool leaf_check(const char *pattern, const char *path, const char *update) {
  static journal whole, leaf;
  const ms_value *was = mst_json("{\"a\":{\"b\":{\"c\":1,\"d\":\"x\"},\"e\":2},\"f\":3}");
  const ms_value *is = NULL;
  ms_update *compiled = mst_update(update);
  ms_path *place = mst_path(path);
  assert_int_equal(ms_update_apply(compiled, was, 0, &is, NULL), MS_OK);
  journal_init(&whole);
  journal_init(&leaf);
  journal_on(&whole, pattern);
  journal_on(&leaf, pattern);
  assert_int_equal(msi_hooks_dispatch_update(whole.hooks, was, is, compiled, &template),
                   MS_OK);
  bool needs_roots = msi_hooks_need_roots(leaf.hooks, place);
  if (needs_roots) {
    assert_true(whole.count > 0);
  } else {
    assert_int_equal(msi_hooks_dispatch_leaf(leaf.hooks, place, ms_path_find(place, was),
                                             ms_path_find(place, is), &template),
                     MS_OK);
    assert_int_equal(leaf.count, whole.count);
    for (int i = 0; i < leaf.count; i++)
      assert_string_equal(leaf.calls[i].text, whole.calls[i].text);
  }
  journal_fini(&whole);
  journal_fini(&leaf);
  ms_path_release(place);
  ms_update_release(compiled);
  ms_value_release(is);
  ms_value_release(was);
  return needs_roots;
}

static void test_one_scalar_is_told_without_documents(void **state) {
  (void)state;
  static const char *const patterns[] = {
      "",      "a",     "a.b", "*",     "*.*",   "f",       "**",     "a.**",
      "a.b.*", "a.b.c", "a.e", "**.c",  "*.b.*", "a.*.c.*", "**.b.*", "a.**.c",
      "g",     "g.h",   "x.y", "a.b.z", "*.*.*", "**.*"};
  static const char *const leaves[][2] = {{"f", "{\"$set\": {\"f\": 4}}"},
                                          {"a.e", "{\"$set\": {\"a.e\": \"y\"}}"},
                                          {"a.b.c", "{\"$set\": {\"a.b.c\": 7}}"},
                                          {"a.b.z", "{\"$set\": {\"a.b.z\": 1}}"},
                                          {"g", "{\"$set\": {\"g\": true}}"},
                                          {"a.b.d", "{\"$set\": {\"a.b.d\": null}}"}};
  size_t wanting = 0;
  for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++) {
    for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++)
      wanting += leaf_check(patterns[p], leaves[i][0], leaves[i][1]);
  }
  assert_true(wanting > 10 && wanting < 60);
}

/* -------------------------------------------------------------------- memory */

static void test_pattern_trie_keeps_what_is_used(void **state) {
  (void)state;
  mst_random random = {mst_seed(4711)};
  failing_alloc memory;
  failing_alloc_init(&memory);
  msi_patterns patterns;
  msi_patterns_init(&patterns, &memory.alloc);
  msi_pattern_node *used[200] = {NULL};
  int users = 1;
  for (int round = 0; round < 5000; round++) {
    size_t slot = mst_below(&random, 200);
    if (used[slot] != NULL) {
      msi_pattern_node *node = used[slot];
      size_t others = 0;
      for (size_t i = 0; i < 200; i++) others += i != slot && used[i] == node;
      used[slot] = NULL;
      if (others > 0) continue;
      node->users = NULL;
      msi_patterns_drop(&patterns, node);
    } else {
      char text[64];
      random_pattern(&random, text, sizeof text);
      if (mst_below(&random, 2) == 0)
        snprintf(text, sizeof text, "k%d", (int)mst_below(&random, 99));
      ms_path *path = mst_pattern(text);
      if (mst_below(&random, 3) == 0)
        failing_alloc_fail_at(&memory, mst_below(&random, 3));
      if (msi_patterns_add(&patterns, path, &used[slot]) == MS_OK) {
        used[slot]->users = &users;
      } else {
        used[slot] = NULL;
      }
      failing_alloc_never_fail(&memory);
      ms_path_release(path);
    }
    assert_true(msi_patterns_check(&patterns));
  }
  msi_patterns_fini(&patterns);
  assert_true(failing_alloc_is_clean(&memory));
}

static ms_status hear(const ms_alloc *alloc, journal *self, const ms_value *was,
                      const ms_value *is, const ms_path *path) {
  const char *const patterns[] = {"players.*.hp", "**", "players.alice", "players.**.hp"};
  self->hook_count = 0;
  self->count = 0;
  ms_status st = msi_hooks_new(alloc, &self->hooks);
  if (st != MS_OK) return st;
  for (int i = 0; i < 4 && st == MS_OK; i++) {
    ms_path *pattern = mst_pattern(patterns[i]);
    self->recorders[i] = (recorder){i, self};
    st = msi_hooks_add(self->hooks, pattern, 0, record, &self->recorders[i],
                       &self->handles[i]);
    ms_path_release(pattern);
  }
  if (st == MS_OK) st = msi_hooks_dispatch(self->hooks, was, is, NULL, 0, &template);
  if (st == MS_OK) st = msi_hooks_dispatch(self->hooks, was, is, &path, 1, &template);
  ms_path *leaf = mst_path("players.alice.hp");
  if (st == MS_OK) {
    st = msi_hooks_dispatch_leaf(self->hooks, leaf, NULL, ms_value_null(), &template);
  }
  if (st == MS_OK) assert_true(msi_hooks_need_roots(self->hooks, leaf));
  ms_path_release(leaf);
  if (st == MS_OK) st = msi_hooks_visit(self->hooks, self->handles[1], is, &template);
  msi_hooks_free(self->hooks);
  return st;
}

static void test_hooks_failing_allocations_leave_nothing_behind(void **state) {
  (void)state;
  static journal self;
  const ms_value *was = mst_json("{}"), *is = mst_json(PLAYERS);
  ms_path *path = mst_path("players");
  ms_status st = MS_ENOMEM;
  uint64_t n = 0;
  for (; st != MS_OK; n++) {
    failing_alloc memory;
    failing_alloc_init(&memory);
    failing_alloc_fail_at(&memory, n);
    st = hear(&memory.alloc, &self, was, is, path);
    if (st != MS_OK) assert_int_equal(st, MS_ENOMEM);
    assert_true(failing_alloc_is_clean(&memory));
  }
  assert_int_equal(self.count, 7 + 7 + 3 + 2); /* three patterns meet the leaf */
  assert_true(n > 20);
  ms_path_release(path);
  ms_value_release(is);
  ms_value_release(was);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_hook_on_an_exact_path_hears_of_changes_at_above_and_below_it),
      cmocka_unit_test(test_hook_with_a_star_hears_of_each_child),
      cmocka_unit_test(test_hook_with_two_stars_hears_of_each_leaf),
      cmocka_unit_test(test_hook_with_two_stars_takes_empty_containers_for_leaves),
      cmocka_unit_test(test_hook_with_two_stars_inside_stands_for_any_number_of_keys),
      cmocka_unit_test(test_hook_tells_indexes_from_keys),
      cmocka_unit_test(test_hook_meets_a_key_that_object_and_array_share_once),
      cmocka_unit_test(test_hook_hears_of_an_empty_table_that_became_something),
      cmocka_unit_test(test_hook_hears_of_a_group_of_updates_once),
      cmocka_unit_test(test_hook_takes_patterns_of_literal_keys),
      cmocka_unit_test(test_hook_keeps_the_kind_of_a_rollback),
      cmocka_unit_test(test_hooks_are_called_in_the_order_of_their_making),
      cmocka_unit_test(test_hooks_look_only_where_the_paths_lead),
      cmocka_unit_test(test_hooks_find_one_among_thousands),
      cmocka_unit_test(test_hooks_visit_calls_one_for_all_that_is_there),
      cmocka_unit_test(test_hook_reaches_the_deepest_leaf),
      cmocka_unit_test(test_hooks_may_be_added_and_removed_in_a_callback),
      cmocka_unit_test(test_random_steps_are_heard_as_a_full_comparison_would),
      cmocka_unit_test(test_one_scalar_is_told_without_documents),
      cmocka_unit_test(test_pattern_trie_keeps_what_is_used),
      cmocka_unit_test(test_hooks_failing_allocations_leave_nothing_behind),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
