/*
 * The hook matcher. It walks both roots side by side, as deep as some pattern may match,
 * with the set of trie nodes that the path so far leads to: like a nondeterministic
 * automaton, of which `**` is the state that stays.
 *
 *   set at "players":        { players, ** }
 *   set at "players.alice":  { players.*, players.alice, ** }
 *
 * The walk only collects matches, with the keys of their paths as a tree of steps that
 * borrows from the roots. Callbacks run when it is over, so they may change the
 * subscriptions; a removed one stays in memory until the dispatch ends.
 */
#include "hook.h"

#include <stdio.h>
#include <string.h>

#include "diff.h"
#include "pattern.h"

/* With so few patterns at a place, looking each key up beats comparing all children. */
enum { LOOKUPS_MAX = 16 };
/* Buffers above this are given back after a dispatch. */
enum { KEEP_BYTES = 65536 };
#define NO_STEP UINT32_MAX

struct msi_hook {
  msi_pattern_node *node;
  msi_hook *next, *previous; /* others with the same pattern */
  ms_path *pattern;          /* retained */
  bool is_literal;           /* then the pattern is the path */
  bool is_removed;           /* freed when the dispatch ends: `next` links the removed */
  unsigned flags;
  uint64_t number; /* counted from 1: the order of making */
  ms_change_fn fn;
  void *ud;
};

/* One key of the path of a match; its parent stands before it. */
typedef struct step {
  uint32_t parent;
  bool is_index;
  const ms_value *key; /* borrowed; NULL: an index of an array */
  size_t index;
} step;

typedef struct match {
  msi_hook *hook;
  size_t order;                          /* as it was met */
  uint32_t step;                         /* the last key; NO_STEP: the root */
  const ms_value *old_value, *new_value; /* borrowed from the roots */
} match;

typedef struct scratch {
  void *items;
  size_t count, capacity, item_bytes;
} scratch;

struct msi_hooks {
  const ms_alloc *alloc;
  msi_patterns patterns;
  size_t count;
  uint64_t last_number;
  bool is_busy;
  msi_hook *removed; /* in the dispatch under way */
  scratch matches, steps, nodes, paths;
};

/* -------------------------------------------------------------------- scratch */

static void *scratch_add(msi_hooks *self, scratch *to) {
  if (to->count == to->capacity) {
    size_t capacity = to->capacity == 0 ? 16 : to->capacity * 2;
    if (capacity > SIZE_MAX / 2 / to->item_bytes || capacity > NO_STEP) return NULL;
    void *items = msi_alloc_resize(self->alloc, to->items, to->capacity * to->item_bytes,
                                   capacity * to->item_bytes);
    if (items == NULL) return NULL;
    to->items = items;
    to->capacity = capacity;
  }
  return (char *)to->items + to->item_bytes * to->count++;
}

static void scratch_fini(msi_hooks *self, scratch *what) {
  msi_alloc_free(self->alloc, what->items, what->capacity * what->item_bytes);
  *what = (scratch){NULL, 0, 0, what->item_bytes};
}

static void scratch_reset(msi_hooks *self, scratch *what) {
  what->count = 0;
  if (what->capacity * what->item_bytes > KEEP_BYTES) scratch_fini(self, what);
}

static match *match_at(const msi_hooks *self, size_t i) {
  return (match *)self->matches.items + i;
}
static step *step_at(const msi_hooks *self, size_t i) {
  return (step *)self->steps.items + i;
}
static msi_pattern_node *node_at(const msi_hooks *self, size_t i) {
  return ((msi_pattern_node **)self->nodes.items)[i];
}
static const ms_path *path_at(const msi_hooks *self, size_t i) {
  return ((const ms_path **)self->paths.items)[i];
}

/* ------------------------------------------------------------- subscriptions */

ms_status msi_hooks_new(const ms_alloc *alloc, msi_hooks **out) {
  alloc = msi_alloc_resolve(alloc);
  msi_hooks *self = MSI_NEW(alloc, msi_hooks);
  if (self == NULL) return MS_ENOMEM;
  self->alloc = alloc;
  msi_patterns_init(&self->patterns, alloc);
  self->matches.item_bytes = sizeof(match);
  self->steps.item_bytes = sizeof(step);
  self->nodes.item_bytes = sizeof(msi_pattern_node *);
  self->paths.item_bytes = sizeof(const ms_path *);
  *out = self;
  return MS_OK;
}

size_t msi_hooks_count(const msi_hooks *self) { return self->count; }

unsigned msi_hook_flags(const msi_hook *hook) { return hook->flags; }

ms_status msi_hooks_add(msi_hooks *self, const ms_path *pattern, unsigned flags,
                        ms_change_fn fn, void *ud, msi_hook **out) {
  msi_hook *hook = MSI_NEW(self->alloc, msi_hook);
  if (hook == NULL) return MS_ENOMEM;
  ms_status st = msi_patterns_add(&self->patterns, pattern, &hook->node);
  if (st != MS_OK) {
    MSI_FREE(self->alloc, hook);
    return st;
  }
  hook->pattern = ms_path_retain(pattern);
  hook->is_literal = msi_path_is_literal(pattern);
  hook->flags = flags;
  hook->number = ++self->last_number;
  hook->fn = fn;
  hook->ud = ud;
  hook->next = hook->node->users;
  if (hook->next != NULL) hook->next->previous = hook;
  hook->node->users = hook;
  self->count++;
  *out = hook;
  return MS_OK;
}

static void hook_free(msi_hooks *self, msi_hook *hook) {
  ms_path_release(hook->pattern);
  MSI_FREE(self->alloc, hook);
}

void msi_hooks_remove(msi_hooks *self, msi_hook *hook) {
  if (hook->previous == NULL) hook->node->users = hook->next;
  if (hook->previous != NULL) hook->previous->next = hook->next;
  if (hook->next != NULL) hook->next->previous = hook->previous;
  msi_patterns_drop(&self->patterns, hook->node);
  self->count--;
  if (!self->is_busy) {
    hook_free(self, hook);
    return;
  }
  hook->is_removed = true;
  hook->next = self->removed;
  self->removed = hook;
}

static msi_hook *some_hook(msi_pattern_node *node) {
  if (node->users != NULL) return node->users;
  msi_hook *found = NULL;
  for (msi_pattern_node *child = node->first; found == NULL && child != NULL;) {
    found = some_hook(child);
    child = child->next;
  }
  if (found == NULL && node->any != NULL) found = some_hook(node->any);
  if (found == NULL && node->deep != NULL) found = some_hook(node->deep);
  return found;
}

void msi_hooks_free(msi_hooks *self) {
  if (self == NULL) return;
  MSI_ASSERT(!self->is_busy);
  while (self->count > 0) msi_hooks_remove(self, some_hook(&self->patterns.root));
  msi_patterns_fini(&self->patterns);
  scratch_fini(self, &self->matches);
  scratch_fini(self, &self->steps);
  scratch_fini(self, &self->nodes);
  scratch_fini(self, &self->paths);
  MSI_FREE(self->alloc, self);
}

/* --------------------------------------------------------------------- walk */

/* One key of the path under way; `step` once some match needed it. */
typedef struct level {
  step key;
  uint32_t step;
} level;

typedef struct walk {
  msi_hooks *self;
  const msi_patterns *patterns;
  const msi_pattern_node *only_node; /* not NULL: what ends there is `only` */
  msi_hook *only;
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
  uint32_t parent = NO_STEP;
  for (size_t i = 0; i < self->depth; i++) {
    level *here = &self->levels[i];
    if (here->step == NO_STEP) {
      step *added = scratch_add(self->self, &self->self->steps);
      if (added == NULL) return MS_ENOMEM;
      *added = here->key;
      added->parent = parent;
      here->step = (uint32_t)(self->self->steps.count - 1);
    }
    parent = here->step;
  }
  *out = parent;
  return MS_OK;
}

static ms_status add_match(walk *self, const place *at, msi_hook *hook) {
  uint32_t last;
  ms_status st = need_steps(self, &last);
  if (st != MS_OK) return st;
  match *added = scratch_add(self->self, &self->self->matches);
  if (added == NULL) return MS_ENOMEM;
  *added =
      (match){hook, self->self->matches.count - 1, last, at->old_value, at->new_value};
  return MS_OK;
}

static ms_status match_node(walk *self, const place *at, const msi_pattern_node *node) {
  if (self->only_node != NULL) {
    return node == self->only_node ? add_match(self, at, self->only) : MS_OK;
  }
  ms_status st = MS_OK;
  for (msi_hook *hook = node->users; hook != NULL && st == MS_OK; hook = hook->next) {
    st = add_match(self, at, hook);
  }
  return st;
}

static bool has_users(const walk *self, const msi_pattern_node *node) {
  return self->only_node != NULL ? node == self->only_node : node->users != NULL;
}

/* Adds a node, and the `**` below it, which stands for no key as well. */
static ms_status push_node(walk *self, size_t first, msi_pattern_node *node) {
  msi_hooks *hooks = self->self;
  for (; node != NULL; node = node->deep) {
    if (node->segment.kind ==
        MSI_SEGMENT_DEEP) { /* the only kind that two ways lead to */
      bool is_there = false;
      for (size_t i = first; i < hooks->nodes.count; i++)
        is_there |= node_at(hooks, i) == node;
      if (is_there) return MS_OK;
    }
    msi_pattern_node **added = scratch_add(hooks, &hooks->nodes);
    if (added == NULL) return MS_ENOMEM;
    *added = node;
  }
  return MS_OK;
}

/* Who may match at a child of `at`, or below. */
static ms_status push_children(walk *self, const place *at, const step *key) {
  msi_hooks *hooks = self->self;
  size_t first = hooks->nodes.count;
  char digits[24];
  const char *bytes = NULL;
  size_t length = 0;
  ms_status st = MS_OK;
  for (size_t i = at->first_node; i < at->end_node && st == MS_OK; i++) {
    msi_pattern_node *node = node_at(hooks, i);
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

static ms_status walk_child(walk *self, const place *at, const step *key, place *child) {
  msi_hooks *hooks = self->self;
  if (self->depth == MS_DEPTH_MAX) return MS_OK;
  child->first_node = hooks->nodes.count;
  ms_status st = push_children(self, at, key);
  child->end_node = hooks->nodes.count;
  if (st == MS_OK && child->end_node > child->first_node) {
    self->levels[self->depth++] = (level){*key, NO_STEP};
    st = walk_place(self, child);
    self->depth--;
  }
  hooks->nodes.count = child->first_node;
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
  step next = {NO_STEP, key == NULL, key, index};
  place child = {.old_value = old_child, .new_value = new_child, .is_different = true};
  return walk_child(all->self, all->at, &next, &child);
}

static ms_status walk_all(walk *self, const place *at) {
  differ all = {self, at};
  return msi_diff_children(at->old_value, at->new_value, on_difference, &all);
}

/* The child at `segment` on both sides, when there is a difference. An object and an array
 * on the two sides meet in keys that are indexes. */
static ms_status walk_segment(walk *self, const place *at, const msi_segment *segment,
                              place *child) {
  child->old_value =
      at->old_value == NULL ? NULL : msi_segment_find(segment, at->old_value);
  child->new_value =
      at->new_value == NULL ? NULL : msi_segment_find(segment, at->new_value);
  if (child->old_value == child->new_value) return MS_OK;
  const ms_value *holder = child->new_value != NULL ? at->new_value : at->old_value;
  bool is_index = ms_value_type(holder) == MS_ARRAY;
  step next = {NO_STEP, is_index, segment->key, 0};
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
  msi_hooks *hooks = self->self;
  ms_status st = MS_OK;
  for (size_t i = at->first_path; i < at->end_path && st == MS_OK;) {
    const msi_segment *segment = &path_at(hooks, i)->segments[self->depth];
    place child = {.first_path = i};
    size_t end = i + 1;
    while (end < at->end_path &&
           msi_segment_compare(segment, &path_at(hooks, end)->segments[self->depth]) ==
               0) {
      end++;
    }
    /* The shortest comes first. One that ends at the child leaves all below it open. */
    if (path_at(hooks, i)->count > self->depth + 1) {
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
    const ms_value *item = index < 0 ? NULL : ms_value_at(array, (size_t)index);
    step next = {NO_STEP, is_array && item != NULL, key, 0};
    place child = {.old_value = is_array ? value : item,
                   .new_value = is_array ? item : value};
    if (st == MS_OK && item != value) st = walk_child(self, at, &next, &child);
  }
  for (size_t i = 0; st == MS_OK && i < count_of(array); i++) {
    char digits[24];
    size_t length = (size_t)snprintf(digits, sizeof digits, "%zu", i);
    if (ms_value_get(object, digits, length) != NULL) continue;
    step next = {NO_STEP, true, NULL, i};
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
  const msi_pattern_node *node = node_at(self->self, at->first_node);
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
  msi_hooks *hooks = self->self;
  bool goes_on = false;
  bool is_different = at->is_different || at->old_value == NULL || at->new_value == NULL;
  ms_status st = MS_OK;
  for (size_t i = at->first_node; i < at->end_node && st == MS_OK; i++) {
    const msi_pattern_node *node = node_at(hooks, i);
    bool is_deep = node->segment.kind == MSI_SEGMENT_DEEP;
    goes_on = goes_on || is_deep || node->any != NULL || node->literals > 0;
    if (!has_users(self, node)) continue;
    if (!is_different && ms_value_equal(at->old_value, at->new_value)) return MS_OK;
    is_different = true;
    if (!is_deep || is_leaf(at)) st = match_node(self, at, node);
  }
  if (st == MS_OK && goes_on) st = walk_below(self, at);
  return st;
}

/* ----------------------------------------------------------------- delivery */

static bool is_after(const match *a, const match *b) {
  if (a->hook->number != b->hook->number) return a->hook->number > b->hook->number;
  return a->order > b->order;
}

static void sift_match(match *items, size_t at, size_t count) {
  for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
    if (child + 1 < count && is_after(&items[child + 1], &items[child])) child++;
    if (!is_after(&items[child], &items[at])) return;
    match lower = items[at];
    items[at] = items[child];
    items[child] = lower;
    at = child;
  }
}

static void sort_matches(msi_hooks *self) {
  match *items = self->matches.items;
  size_t count = self->matches.count, sorted = 1;
  while (sorted < count && !is_after(&items[sorted - 1], &items[sorted])) sorted++;
  if (sorted >= count) return;
  for (size_t i = count / 2; i > 0; i--) sift_match(items, i - 1, count);
  for (size_t end = count; end > 1; end--) {
    match last = items[end - 1];
    items[end - 1] = items[0];
    items[0] = last;
    sift_match(items, 0, end - 1);
  }
}

/* What the callback gets: the path, and which of its keys are indexes. */
typedef struct told {
  uint32_t step;
  bool is_known;
  ms_path *path; /* retained */
  size_t count;
  bool is_index[MS_DEPTH_MAX];
} told;

static ms_status make_path(msi_hooks *self, const uint32_t *steps, size_t count,
                           ms_path **out) {
  char digits[MS_DEPTH_MAX][24];
  ms_key keys[MS_DEPTH_MAX];
  for (size_t i = 0; i < count; i++) {
    const step *at = step_at(self, steps[i]);
    if (at->key == NULL) {
      int length = snprintf(digits[i], sizeof digits[i], "%zu", at->index);
      keys[i] = (ms_key){digits[i], (size_t)length};
      continue;
    }
    ms_status st = ms_value_to_string(at->key, &keys[i].bytes, &keys[i].length);
    if (st != MS_OK) return st;
  }
  return ms_path_new(self->alloc, keys, count, out, NULL);
}

static ms_status told_prepare(told *out, msi_hooks *self, const match *from) {
  bool needs_path = !from->hook->is_literal && out->path == NULL;
  if (out->is_known && out->step == from->step && !needs_path) return MS_OK;
  if (!out->is_known || out->step != from->step) {
    ms_path_release(out->path);
    out->path = NULL;
  }
  uint32_t steps[MS_DEPTH_MAX];
  size_t count = 0;
  for (uint32_t i = from->step; i != NO_STEP; i = step_at(self, i)->parent) count++;
  out->count = count;
  for (uint32_t i = from->step; i != NO_STEP; i = step_at(self, i)->parent) {
    steps[--count] = i;
    out->is_index[count] = step_at(self, i)->is_index;
  }
  out->step = from->step;
  out->is_known = true;
  if (from->hook->is_literal) return MS_OK;
  return make_path(self, steps, out->count, &out->path);
}

static ms_status tell_all(msi_hooks *self, const ms_change *template) {
  ms_status result = MS_OK;
  told about = {.is_known = false};
  bool says_kind = template->kind != MS_CHANGE_SET && template->kind != MS_CHANGE_REMOVE;
  for (size_t i = 0; i < self->matches.count; i++) {
    const match *at = match_at(self, i);
    if (at->hook->is_removed) continue;
    ms_status st = told_prepare(&about, self, at);
    if (st != MS_OK) {
      result = st;
      about.is_known = false;
      continue;
    }
    ms_change change = *template;
    change.bytes = sizeof change;
    change.path = at->hook->is_literal ? at->hook->pattern : about.path;
    change.old_value = at->old_value;
    change.new_value = at->new_value;
    change.is_index = about.is_index;
    if (!says_kind)
      change.kind = at->new_value == NULL ? MS_CHANGE_REMOVE : MS_CHANGE_SET;
    at->hook->fn(at->hook->ud, &change);
  }
  ms_path_release(about.path);
  return result;
}

static void finish(msi_hooks *self) {
  scratch_reset(self, &self->matches);
  scratch_reset(self, &self->steps);
  scratch_reset(self, &self->nodes);
  scratch_reset(self, &self->paths);
  self->is_busy = false;
  while (self->removed != NULL) {
    msi_hook *hook = self->removed;
    self->removed = hook->next;
    hook_free(self, hook);
  }
}

/* ----------------------------------------------------------------- interface */

static ms_status run(msi_hooks *self, walk *how, const ms_value *old_root,
                     const ms_value *new_root, bool everywhere,
                     const ms_change *template) {
  place root = {.old_value = old_root, .new_value = new_root};
  if (!everywhere) root.end_path = self->paths.count;
  /* An empty path, which comes first, looks everywhere. */
  if (!everywhere && path_at(self, 0)->count == 0) root.end_path = 0;
  ms_status st = push_node(how, 0, (msi_pattern_node *)&how->patterns->root);
  root.end_node = self->nodes.count;
  if (st == MS_OK) st = walk_place(how, &root);
  if (st != MS_OK) return st;
  ms_value_retain(old_root);
  ms_value_retain(new_root);
  sort_matches(self);
  st = tell_all(self, template);
  ms_value_release(new_root);
  ms_value_release(old_root);
  return st;
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

static void sort_paths(msi_hooks *self) {
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

static ms_status add_path(msi_hooks *self, const ms_path *path) {
  const ms_path **added = scratch_add(self, &self->paths);
  if (added == NULL) return MS_ENOMEM;
  *added = path;
  return MS_OK;
}

static ms_status dispatch(msi_hooks *self, const ms_value *old_root,
                          const ms_value *new_root, bool everywhere,
                          const ms_change *template) {
  walk how = {.self = self, .patterns = &self->patterns};
  if (!everywhere && self->paths.count == 0) return MS_OK;
  sort_paths(self);
  return run(self, &how, old_root, new_root, everywhere, template);
}

ms_status msi_hooks_dispatch(msi_hooks *self, const ms_value *old_root,
                             const ms_value *new_root, const ms_path *const *paths,
                             size_t path_count, const ms_change *template) {
  if (self->is_busy) return MS_EBUSY;
  if (self->count == 0 || old_root == new_root) return MS_OK;
  self->is_busy = true;
  ms_status st = MS_OK;
  for (size_t i = 0; paths != NULL && i < path_count && st == MS_OK; i++) {
    st = add_path(self, paths[i]);
  }
  if (st == MS_OK) st = dispatch(self, old_root, new_root, paths == NULL, template);
  finish(self);
  return st;
}

ms_status msi_hooks_dispatch_update(msi_hooks *self, const ms_value *old_root,
                                    const ms_value *new_root, const ms_update *update,
                                    const ms_change *template) {
  if (self->is_busy) return MS_EBUSY;
  if (self->count == 0 || old_root == new_root) return MS_OK;
  self->is_busy = true;
  ms_status st = MS_OK;
  for (size_t i = 0; update != NULL && i < update->op_count && st == MS_OK; i++) {
    if (update->ops[i].class_ == MSI_CLASS_GUARD) continue;
    st = add_path(self, update->ops[i].path);
  }
  if (st == MS_OK) st = dispatch(self, old_root, new_root, update == NULL, template);
  finish(self);
  return st;
}

ms_status msi_hooks_visit(msi_hooks *self, msi_hook *hook, const ms_value *root,
                          const ms_change *template) {
  if (self->is_busy) return MS_EBUSY;
  msi_patterns alone;
  msi_pattern_node *node;
  msi_patterns_init(&alone, self->alloc);
  ms_status st = msi_patterns_add(&alone, hook->pattern, &node);
  if (st == MS_OK) {
    self->is_busy = true;
    walk how = {.self = self, .patterns = &alone, .only_node = node, .only = hook};
    st = run(self, &how, NULL, root, true, template);
    finish(self);
  }
  msi_patterns_fini(&alone);
  return st;
}
