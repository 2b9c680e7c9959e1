/*
 * Subscriptions, and the dispatch that calls them. The matcher collects first: callbacks
 * run when its walk is over, so they may change the subscriptions. A removed one stays in
 * memory until the dispatch ends.
 */
#include "hook.h"

#include <stdio.h>

#include "matcher.h"

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

/* One call to come. */
typedef struct call {
  msi_hook *hook;
  size_t order; /* as it was met */
  uint32_t step;
  const ms_value *old_value, *new_value; /* borrowed from the roots */
} call;

struct msi_hooks {
  const ms_alloc *alloc;
  msi_patterns patterns;
  msi_matcher matcher;
  msi_scratch calls;
  size_t count;
  uint64_t last_number;
  msi_hook *only; /* in a visit: who is called */
  bool is_busy;
  msi_hook *removed; /* in the dispatch under way */
};

/* ------------------------------------------------------------- subscriptions */

ms_status msi_hooks_new(const ms_alloc *alloc, msi_hooks **out) {
  alloc = msi_alloc_resolve(alloc);
  msi_hooks *self = MSI_NEW(alloc, msi_hooks);
  if (self == NULL) return MS_ENOMEM;
  self->alloc = alloc;
  msi_patterns_init(&self->patterns, alloc);
  msi_matcher_init(&self->matcher, alloc);
  self->calls.item_bytes = sizeof(call);
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

static msi_hook *some_hook(const msi_pattern_node *node) {
  if (node->users != NULL) return node->users;
  const msi_pattern_node *child = node->first;
  if (child == NULL) child = node->any != NULL ? node->any : node->deep;
  return some_hook(child); /* a node without users has children */
}

void msi_hooks_free(msi_hooks *self) {
  if (self == NULL) return;
  MSI_ASSERT(!self->is_busy);
  while (self->count > 0) msi_hooks_remove(self, some_hook(&self->patterns.root));
  msi_patterns_fini(&self->patterns);
  msi_matcher_fini(&self->matcher);
  msi_scratch_fini(&self->calls, self->alloc);
  MSI_FREE(self->alloc, self);
}

/* ---------------------------------------------------------------- collecting */

static call *call_at(const msi_hooks *self, size_t i) {
  return (call *)self->calls.items + i;
}

static ms_status on_match(void *ud, const msi_pattern_node *node, uint32_t step,
                          const ms_value *old_value, const ms_value *new_value) {
  msi_hooks *self = ud;
  msi_hook *hook = self->only != NULL ? self->only : node->users;
  for (; hook != NULL; hook = self->only != NULL ? NULL : hook->next) {
    call *added = msi_scratch_add(&self->calls, self->alloc);
    if (added == NULL) return MS_ENOMEM;
    *added = (call){hook, self->calls.count - 1, step, old_value, new_value};
  }
  return MS_OK;
}

static bool is_after(const call *a, const call *b) {
  if (a->hook->number != b->hook->number) return a->hook->number > b->hook->number;
  return a->order > b->order;
}

static void sift_call(call *items, size_t at, size_t count) {
  for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
    if (child + 1 < count && is_after(&items[child + 1], &items[child])) child++;
    if (!is_after(&items[child], &items[at])) return;
    call lower = items[at];
    items[at] = items[child];
    items[child] = lower;
    at = child;
  }
}

static void sort_calls(msi_hooks *self) {
  call *items = self->calls.items;
  size_t count = self->calls.count, sorted = 1;
  while (sorted < count && !is_after(&items[sorted - 1], &items[sorted])) sorted++;
  if (sorted >= count) return;
  for (size_t i = count / 2; i > 0; i--) sift_call(items, i - 1, count);
  for (size_t end = count; end > 1; end--) {
    call last = items[end - 1];
    items[end - 1] = items[0];
    items[0] = last;
    sift_call(items, 0, end - 1);
  }
}

/* ------------------------------------------------------------------- calling */

/* What callbacks get to know of a place; kept from one call to the next at the same. */
typedef struct told {
  uint32_t step;
  bool is_known;
  size_t count;
  ms_path *path; /* retained; NULL while nobody needed it */
  bool is_index[MS_DEPTH_MAX];
} told;

static ms_status make_path(const msi_hooks *self, uint32_t last, size_t count,
                           ms_path **out) {
  char digits[MS_DEPTH_MAX][24];
  ms_key keys[MS_DEPTH_MAX];
  for (size_t i = count; i > 0; i--) {
    const msi_step *step = msi_matcher_step(&self->matcher, last);
    ms_key *key = &keys[i - 1];
    last = step->parent;
    if (step->key == NULL) {
      int length = snprintf(digits[i - 1], sizeof digits[0], "%zu", step->index);
      *key = (ms_key){digits[i - 1], (size_t)length};
      continue;
    }
    ms_status st = ms_value_to_string(step->key, &key->bytes, &key->length);
    if (st != MS_OK) return st;
  }
  return ms_path_new(self->alloc, keys, count, out, NULL);
}

static void told_move(told *about, const msi_hooks *self, uint32_t last) {
  if (about->is_known && about->step == last) return;
  ms_path_release(about->path);
  about->path = NULL;
  about->count = 0;
  about->step = last;
  about->is_known = true;
  uint32_t at = last;
  for (; at != MSI_NO_STEP; at = msi_matcher_step(&self->matcher, at)->parent)
    about->count++;
  size_t i = about->count;
  for (at = last; at != MSI_NO_STEP; at = msi_matcher_step(&self->matcher, at)->parent) {
    about->is_index[--i] = msi_matcher_step(&self->matcher, at)->is_index;
  }
}

static ms_status tell(msi_hooks *self, const call *at, told *about, ms_change *change) {
  told_move(about, self, at->step);
  if (!at->hook->is_literal && about->path == NULL) {
    ms_status st = make_path(self, at->step, about->count, &about->path);
    if (st != MS_OK) return st;
  }
  change->bytes = sizeof *change;
  change->path = at->hook->is_literal ? at->hook->pattern : about->path;
  change->old_value = at->old_value;
  change->new_value = at->new_value;
  change->is_index = about->is_index;
  if (change->kind == MS_CHANGE_SET || change->kind == MS_CHANGE_REMOVE) {
    change->kind = at->new_value == NULL ? MS_CHANGE_REMOVE : MS_CHANGE_SET;
  }
  at->hook->fn(at->hook->ud, change);
  return MS_OK;
}

/* leaf: the path of all calls, or NULL. */
static ms_status tell_all(msi_hooks *self, const ms_path *leaf,
                          const ms_change *template) {
  ms_status result = MS_OK;
  told about = {.is_known = leaf != NULL, .step = MSI_NO_STEP};
  if (leaf != NULL) {
    about.count = leaf->count;
    about.path = ms_path_retain(leaf);
  }
  for (size_t i = 0; i < self->calls.count; i++) {
    const call *at = call_at(self, i);
    if (at->hook->is_removed) continue;
    ms_change change = *template;
    ms_status st = tell(self, at, &about, &change);
    if (st != MS_OK) result = st;
  }
  ms_path_release(about.path);
  return result;
}

/* The matcher knows its paths. */
static ms_status run(msi_hooks *self, const msi_patterns *patterns,
                     const ms_value *old_root, const ms_value *new_root, bool everywhere,
                     const ms_change *template) {
  ms_status st = msi_matcher_run(&self->matcher, patterns, old_root, new_root, everywhere,
                                 on_match, self);
  if (st != MS_OK) return st;
  ms_value_retain(old_root);
  ms_value_retain(new_root);
  sort_calls(self);
  st = tell_all(self, NULL, template);
  ms_value_release(new_root);
  ms_value_release(old_root);
  return st;
}

static void finish(msi_hooks *self) {
  msi_matcher_reset(&self->matcher);
  msi_scratch_reset(&self->calls, self->alloc);
  self->is_busy = false;
  self->only = NULL;
  while (self->removed != NULL) {
    msi_hook *hook = self->removed;
    self->removed = hook->next;
    hook_free(self, hook);
  }
}

/* ----------------------------------------------------------------- interface */

ms_status msi_hooks_dispatch(msi_hooks *self, const ms_value *old_root,
                             const ms_value *new_root, const ms_path *const *paths,
                             size_t path_count, const ms_change *template) {
  if (self->is_busy) return MS_EBUSY;
  if (self->count == 0 || old_root == new_root) return MS_OK;
  self->is_busy = true;
  ms_status st = MS_OK;
  for (size_t i = 0; paths != NULL && i < path_count && st == MS_OK; i++) {
    st = msi_matcher_add_path(&self->matcher, paths[i]);
  }
  if (st == MS_OK) {
    st = run(self, &self->patterns, old_root, new_root, paths == NULL, template);
  }
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
    st = msi_matcher_add_path(&self->matcher, update->ops[i].path);
  }
  if (st == MS_OK) {
    st = run(self, &self->patterns, old_root, new_root, update == NULL, template);
  }
  finish(self);
  return st;
}

ms_status msi_hooks_dispatch_leaf(msi_hooks *self, const ms_path *path,
                                  const ms_value *old_value, const ms_value *new_value,
                                  const ms_change *template) {
  if (self->is_busy) return MS_EBUSY;
  if (self->count == 0) return MS_OK;
  self->is_busy = true;
  ms_status st = msi_matcher_run_leaf(&self->matcher, &self->patterns, path, old_value,
                                      new_value, on_match, self);
  if (st == MS_OK) {
    sort_calls(self);
    st = tell_all(self, path, template);
  }
  finish(self);
  return st;
}

bool msi_hooks_need_roots(msi_hooks *self, const ms_path *path) {
  if (self->is_busy) return true;
  bool meets = true;
  ms_status st = msi_matcher_meets_above(&self->matcher, &self->patterns, path, &meets);
  msi_matcher_reset(&self->matcher);
  return st != MS_OK || meets;
}

ms_status msi_hooks_visit(msi_hooks *self, msi_hook *hook, const ms_value *root,
                          const ms_change *template) {
  if (self->is_busy) return MS_EBUSY;
  msi_patterns alone;
  msi_pattern_node *node;
  msi_patterns_init(&alone, self->alloc);
  ms_status st = msi_patterns_add(&alone, hook->pattern, &node);
  if (st == MS_OK) {
    node->users = hook;
    self->only = hook;
    self->is_busy = true;
    st = run(self, &alone, NULL, root, true, template);
    finish(self);
  }
  msi_patterns_fini(&alone);
  return st;
}
