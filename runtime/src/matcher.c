/*
 * The walk goes through both roots side by side, as deep as some pattern may match, with
 * the set of trie nodes that the path so far leads to: like a nondeterministic automaton,
 * of which `**` is the state that stays.
 *
 *   set at "players":        { players, players.** }
 *   set at "players.alice":  { players.*, players.alice, players.** }
 *
 * Sets and paths live in arrays of the matcher, as ranges: a place has one range of each.
 */
#include "matcher.h"

#include <stdio.h>

#include "diff.h"

/* With so few patterns at a place, looking each key up beats comparing all children. */
enum { LOOKUPS_MAX = 16 };
/* Scratch above this is given back. */
enum { KEEP_BYTES = 65536 };

/* ------------------------------------------------------------------ scratch */

void *msi_scratch_add(msi_scratch *self, const ms_alloc *alloc) {
  if (self->count == self->capacity) {
    size_t capacity = self->capacity == 0 ? 16 : self->capacity * 2;
    if (capacity > SIZE_MAX / 2 / self->item_bytes || capacity > MSI_NO_STEP) return NULL;
    void *items = msi_alloc_resize(alloc, self->items, self->capacity * self->item_bytes,
                                   capacity * self->item_bytes);
    if (items == NULL) return NULL;
    self->items = items;
    self->capacity = capacity;
  }
  return (char *)self->items + self->item_bytes * self->count++;
}

void msi_scratch_fini(msi_scratch *self, const ms_alloc *alloc) {
  msi_alloc_free(alloc, self->items, self->capacity * self->item_bytes);
  *self = (msi_scratch){NULL, 0, 0, self->item_bytes};
}

void msi_scratch_reset(msi_scratch *self, const ms_alloc *alloc) {
  self->count = 0;
  if (self->capacity * self->item_bytes > KEEP_BYTES) msi_scratch_fini(self, alloc);
}

static msi_pattern_node *node_at(const msi_matcher *self, size_t i) {
  return ((msi_pattern_node **)self->nodes.items)[i];
}

static const ms_path *path_at(const msi_matcher *self, size_t i) {
  return ((const ms_path **)self->paths.items)[i];
}

/* --------------------------------------------------------------------- walk */

/* One key of the path under way; `step` once some match needed it. */
typedef struct level {
  msi_step key;
  uint32_t step;
} level;

typedef struct walk {
  msi_matcher *matcher;
  const msi_patterns *patterns;
  msi_match_fn fn;
  void *ud;
  size_t depth;
  level levels[MS_DEPTH_MAX];
} walk;

/* Where the walk stands, at one path: the two values there and who may match below. */
typedef struct place {
  const ms_value *old_value, *new_value; /* not the same pointer; NULL: nothing there */
  bool is_different;                     /* compared already */
  size_t first_node, end_node;           /* in self->nodes */
  /* The paths that lead on from here, in self->paths; none: look everywhere below. */
  size_t first_path, end_path;
} place;

static ms_status walk_place(walk *self, const place *at);

static size_t count_of(const ms_value *value) {
  return value == NULL ? 0 : ms_value_count(value);
}

static bool is_container(const ms_value *value) {
  return value != NULL && msi_type_is_container(ms_value_type(value));
}

static bool has_type(const ms_value *value, ms_type type) {
  return value != NULL && ms_value_type(value) == type;
}

/* Is a place that differs a leaf of its own? See hook.h. */
static bool is_leaf(const place *at) {
  bool was = is_container(at->old_value), is = is_container(at->new_value);
  if (was && is) return count_of(at->old_value) == 0 && count_of(at->new_value) == 0;
  if (at->old_value == NULL) return count_of(at->new_value) == 0;
  if (at->new_value == NULL) return count_of(at->old_value) == 0;
  return true;
}

/* The steps up to here, as far as no earlier match has added them. */
static ms_status need_steps(walk *self, uint32_t *out) {
  uint32_t parent = MSI_NO_STEP;
  for (size_t i = 0; i < self->depth; i++) {
    level *here = &self->levels[i];
    if (here->step == MSI_NO_STEP) {
      msi_step *added = msi_scratch_add(&self->matcher->steps, self->matcher->alloc);
      if (added == NULL) return MS_ENOMEM;
      *added = here->key;
      added->parent = parent;
      here->step = (uint32_t)(self->matcher->steps.count - 1);
    }
    parent = here->step;
  }
  *out = parent;
  return MS_OK;
}

static ms_status match_node(walk *self, const place *at, const msi_pattern_node *node) {
  uint32_t last;
  ms_status st = need_steps(self, &last);
  if (st != MS_OK) return st;
  return self->fn(self->ud, node, last, at->old_value, at->new_value);
}

/* Adds a node, and the `**` below it, which stands for no key as well. */
static ms_status push_node(walk *self, size_t first, msi_pattern_node *node) {
  msi_matcher *matcher = self->matcher;
  for (; node != NULL; node = node->deep) {
    if (node->segment.kind == MSI_SEGMENT_DEEP) {
      /* The only kind that two ways lead to. */
      bool is_there = false;
      for (size_t i = first; i < matcher->nodes.count; i++)
        is_there |= node_at(matcher, i) == node;
      if (is_there) return MS_OK;
    }
    msi_pattern_node **added = msi_scratch_add(&matcher->nodes, matcher->alloc);
    if (added == NULL) return MS_ENOMEM;
    *added = node;
  }
  return MS_OK;
}

/* Who may match at a child of `at`, or below. */
static ms_status push_children(walk *self, const place *at, const msi_step *key) {
  msi_matcher *matcher = self->matcher;
  size_t first = matcher->nodes.count;
  char digits[24];
  const char *bytes = NULL;
  size_t length = 0;
  ms_status st = MS_OK;
  for (size_t i = at->first_node; i < at->end_node && st == MS_OK; i++) {
    msi_pattern_node *node = node_at(matcher, i);
    if (node->segment.kind == MSI_SEGMENT_DEEP) st = push_node(self, first, node);
    if (st == MS_OK) st = push_node(self, first, node->any);
    if (st != MS_OK || node->literals == 0) continue;
    if (bytes == NULL && key->key != NULL) {
      st = ms_value_to_string(key->key, &bytes, &length);
    } else if (bytes == NULL) {
      length = (size_t)snprintf(digits, sizeof digits, "%zu", key->index);
      bytes = digits;
    }
    if (st != MS_OK) break;
    st = push_node(self, first, msi_patterns_child(self->patterns, node, bytes, length));
  }
  return st;
}

static ms_status walk_child(walk *self, const place *at, const msi_step *key,
                            place *child) {
  msi_matcher *matcher = self->matcher;
  if (self->depth == MS_DEPTH_MAX) return MS_OK;
  child->first_node = matcher->nodes.count;
  ms_status st = push_children(self, at, key);
  child->end_node = matcher->nodes.count;
  if (st == MS_OK && child->end_node > child->first_node) {
    self->levels[self->depth++] = (level){*key, MSI_NO_STEP};
    st = walk_place(self, child);
    self->depth--;
  }
  matcher->nodes.count = child->first_node;
  return st;
}

/* ----- the ways to find the children of a place that differ */

typedef struct differ {
  walk *self;
  const place *at;
} differ;

static ms_status on_difference(void *ud, const ms_value *key, size_t index,
                               const ms_value *old_child, const ms_value *new_child) {
  differ *all = ud;
  msi_step next = {MSI_NO_STEP, key == NULL, key, index};
  place child = {.old_value = old_child, .new_value = new_child, .is_different = true};
  return walk_child(all->self, all->at, &next, &child);
}

static ms_status walk_all(walk *self, const place *at) {
  differ all = {self, at};
  return msi_diff_children(at->old_value, at->new_value, on_difference, &all);
}

/* The child at `segment` on both sides, when there is a difference. An object and an
 * array on the two sides meet in keys that are indexes. */
static ms_status walk_segment(walk *self, const place *at, const msi_segment *segment,
                              place *child) {
  child->old_value =
      at->old_value == NULL ? NULL : msi_segment_find(segment, at->old_value);
  child->new_value =
      at->new_value == NULL ? NULL : msi_segment_find(segment, at->new_value);
  if (child->old_value == child->new_value) return MS_OK;
  const ms_value *holder = child->new_value != NULL ? at->new_value : at->old_value;
  bool is_index = ms_value_type(holder) == MS_ARRAY;
  msi_step next = {MSI_NO_STEP, is_index, segment->key, 0};
  return walk_child(self, at, &next, child);
}

/* Few literal keys: look each one up. Their nodes are not in a set with others, so no
 * place is met twice. */
static ms_status walk_literals(walk *self, const place *at,
                               const msi_pattern_node *node) {
  ms_status st = MS_OK;
  const msi_pattern_node *child = node->first;
  for (; child != NULL && st == MS_OK; child = child->next) {
    place below = {.first_path = 0};
    st = walk_segment(self, at, &child->segment, &below);
  }
  return st;
}

/* The paths tell which children to look at: those with the same key stand together. */
static ms_status walk_paths(walk *self, const place *at) {
  msi_matcher *matcher = self->matcher;
  ms_status st = MS_OK;
  for (size_t i = at->first_path; i < at->end_path && st == MS_OK;) {
    const msi_segment *segment = &path_at(matcher, i)->segments[self->depth];
    place child = {.first_path = i};
    size_t end = i + 1;
    while (end < at->end_path &&
           msi_segment_compare(segment, &path_at(matcher, end)->segments[self->depth]) ==
               0) {
      end++;
    }
    /* The shortest comes first. One that ends at the child leaves all below it open. */
    if (path_at(matcher, i)->count > self->depth + 1) {
      child.end_path = end;
    } else {
      child.first_path = 0;
    }
    st = walk_segment(self, at, segment, &child);
    i = end;
  }
  return st;
}

/* An object became an array or the other way round. A key that both have is one path. */
static ms_status walk_mixed(walk *self, const place *at) {
  bool is_array = has_type(at->new_value, MS_ARRAY);
  const ms_value *array = is_array ? at->new_value : at->old_value;
  const ms_value *object = is_array ? at->old_value : at->new_value;
  const ms_value *key, *value;
  ms_cursor cursor;
  ms_status st = MS_OK;
  ms_cursor_init(&cursor, object);
  while (st == MS_OK && msi_cursor_next_key(&cursor, &key, &value)) {
    const char *bytes = "";
    size_t length = 0;
    st = ms_value_to_string(key, &bytes, &length);
    int64_t index = msi_key_index(bytes, length);
    const ms_value *item = index < 0 ? NULL : ms_value_at(array, msi_index_size(index));
    msi_step next = {MSI_NO_STEP, is_array && item != NULL, key, 0};
    place child = {.old_value = is_array ? value : item,
                   .new_value = is_array ? item : value};
    if (st == MS_OK && item != value) st = walk_child(self, at, &next, &child);
  }
  for (size_t i = 0; st == MS_OK && i < count_of(array); i++) {
    char digits[24];
    size_t length = (size_t)snprintf(digits, sizeof digits, "%zu", i);
    if (ms_value_get(object, digits, length) != NULL) continue;
    msi_step next = {MSI_NO_STEP, true, NULL, i};
    const ms_value *item = ms_value_at(array, i);
    place child = {.old_value = is_array ? NULL : item,
                   .new_value = is_array ? item : NULL};
    st = walk_child(self, at, &next, &child);
  }
  return st;
}

static ms_status walk_below(walk *self, const place *at) {
  const ms_value *was = at->old_value, *is = at->new_value;
  bool arrays = has_type(was, MS_ARRAY) && has_type(is, MS_ARRAY);
  bool objects = has_type(was, MS_OBJECT) && has_type(is, MS_OBJECT);
  if (at->end_path > at->first_path &&
      (objects || (arrays && count_of(was) == count_of(is)))) {
    return walk_paths(self, at);
  }
  const msi_pattern_node *node = node_at(self->matcher, at->first_node);
  if (at->end_node - at->first_node == 1 && node->any == NULL &&
      node->segment.kind != MSI_SEGMENT_DEEP && node->literals <= LOOKUPS_MAX) {
    return walk_literals(self, at, node);
  }
  if ((has_type(was, MS_ARRAY) && has_type(is, MS_OBJECT)) ||
      (has_type(was, MS_OBJECT) && has_type(is, MS_ARRAY))) {
    return walk_mixed(self, at);
  }
  return walk_all(self, at);
}

static ms_status walk_place(walk *self, const place *at) {
  msi_matcher *matcher = self->matcher;
  bool goes_on = false;
  bool is_different = at->is_different || at->old_value == NULL || at->new_value == NULL;
  ms_status st = MS_OK;
  for (size_t i = at->first_node; i < at->end_node && st == MS_OK; i++) {
    const msi_pattern_node *node = node_at(matcher, i);
    bool is_deep = node->segment.kind == MSI_SEGMENT_DEEP;
    goes_on = goes_on || is_deep || node->any != NULL || node->literals > 0;
    if (node->users == NULL) continue;
    if (!is_different && ms_value_equal(at->old_value, at->new_value)) return MS_OK;
    is_different = true;
    if (!is_deep || is_leaf(at)) st = match_node(self, at, node);
  }
  if (st == MS_OK && goes_on) st = walk_below(self, at);
  return st;
}

/* ---------------------------------------------------------------- interface */

void msi_matcher_init(msi_matcher *self, const ms_alloc *alloc) {
  *self = (msi_matcher){.alloc = alloc};
  self->steps.item_bytes = sizeof(msi_step);
  self->nodes.item_bytes = sizeof(msi_pattern_node *);
  self->paths.item_bytes = sizeof(const ms_path *);
}

void msi_matcher_fini(msi_matcher *self) {
  msi_scratch_fini(&self->steps, self->alloc);
  msi_scratch_fini(&self->nodes, self->alloc);
  msi_scratch_fini(&self->paths, self->alloc);
}

void msi_matcher_reset(msi_matcher *self) {
  msi_scratch_reset(&self->steps, self->alloc);
  msi_scratch_reset(&self->nodes, self->alloc);
  msi_scratch_reset(&self->paths, self->alloc);
}

ms_status msi_matcher_add_path(msi_matcher *self, const ms_path *path) {
  const ms_path **added = msi_scratch_add(&self->paths, self->alloc);
  if (added == NULL) return MS_ENOMEM;
  *added = path;
  return MS_OK;
}

const msi_step *msi_matcher_step(const msi_matcher *self, uint32_t step) {
  MSI_ASSERT(step < self->steps.count);
  return (const msi_step *)self->steps.items + step;
}

static void sift_path(const ms_path **items, size_t at, size_t count) {
  for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
    if (child + 1 < count && msi_path_compare(items[child], items[child + 1]) < 0)
      child++;
    if (msi_path_compare(items[at], items[child]) >= 0) return;
    const ms_path *lower = items[at];
    items[at] = items[child];
    items[child] = lower;
    at = child;
  }
}

static void sort_paths(msi_matcher *self) {
  const ms_path **items = self->paths.items;
  size_t count = self->paths.count;
  for (size_t i = count / 2; i > 0; i--) sift_path(items, i - 1, count);
  for (size_t end = count; end > 1; end--) {
    const ms_path *last = items[end - 1];
    items[end - 1] = items[0];
    items[0] = last;
    sift_path(items, 0, end - 1);
  }
}

ms_status msi_matcher_run(msi_matcher *self, const msi_patterns *patterns,
                          const ms_value *old_root, const ms_value *new_root,
                          bool everywhere, msi_match_fn fn, void *ud) {
  if (old_root == new_root || (!everywhere && self->paths.count == 0)) return MS_OK;
  walk how = {.matcher = self, .patterns = patterns, .fn = fn, .ud = ud};
  place root = {.old_value = old_root, .new_value = new_root};
  if (!everywhere) {
    sort_paths(self);
    /* An empty path, which comes first, looks everywhere. */
    if (path_at(self, 0)->count > 0) root.end_path = self->paths.count;
  }
  self->nodes.count = 0;
  ms_status st = push_node(&how, 0, (msi_pattern_node *)&patterns->root);
  root.end_node = self->nodes.count;
  return st == MS_OK ? walk_place(&how, &root) : st;
}

/* ------------------------------------------------------------------- leaves */

/* The nodes that the first `depth` keys lead to, from those one key before. */
static ms_status advance(walk *how, place *at, const ms_path *path, size_t depth) {
  msi_step key = {.parent = MSI_NO_STEP, .key = path->segments[depth - 1].key};
  size_t first = how->matcher->nodes.count;
  ms_status st = push_children(how, at, &key);
  at->first_node = first;
  at->end_node = how->matcher->nodes.count;
  return st;
}

static ms_status begin_leaf(walk *how, place *at) {
  how->matcher->nodes.count = 0;
  *at = (place){.first_node = 0};
  ms_status st = push_node(how, 0, (msi_pattern_node *)&how->patterns->root);
  at->end_node = how->matcher->nodes.count;
  return st;
}

ms_status msi_matcher_run_leaf(msi_matcher *self, const msi_patterns *patterns,
                               const ms_path *path, const ms_value *old_value,
                               const ms_value *new_value, msi_match_fn fn, void *ud) {
  walk how = {.matcher = self, .patterns = patterns};
  place at;
  ms_status st = begin_leaf(&how, &at);
  for (size_t i = 1; i <= path->count && st == MS_OK && at.end_node > at.first_node; i++)
    st = advance(&how, &at, path, i);
  for (size_t i = at.first_node; i < at.end_node && st == MS_OK; i++) {
    const msi_pattern_node *node = node_at(self, i);
    if (node->users != NULL) st = fn(ud, node, MSI_NO_STEP, old_value, new_value);
  }
  return st;
}

/* `**` reports leaves only. */
static bool matches_container(const msi_matcher *self, const place *at) {
  for (size_t i = at->first_node; i < at->end_node; i++) {
    const msi_pattern_node *node = node_at(self, i);
    if (node->users != NULL && node->segment.kind != MSI_SEGMENT_DEEP) return true;
  }
  return false;
}

ms_status msi_matcher_meets_above(msi_matcher *self, const msi_patterns *patterns,
                                  const ms_path *path, bool *out) {
  walk how = {.matcher = self, .patterns = patterns};
  place at;
  ms_status st = begin_leaf(&how, &at);
  *out = st == MS_OK && matches_container(self, &at);
  for (size_t i = 1; i < path->count && st == MS_OK && !*out; i++) {
    if (at.end_node == at.first_node) return MS_OK;
    st = advance(&how, &at, path, i);
    *out = st == MS_OK && matches_container(self, &at);
  }
  return st;
}
