/*
 * Are two values equal, and which children of theirs are not? Branches that both share
 * are skipped.
 *
 * Objects of one size are compared in lock-step, since equal ones have equal shapes.
 * Arrays need not: two walks go down whichever tree is higher until both stand before the
 * same node, which is skipped, or before single items.
 */
#include "diff.h"

#include <string.h>

#include "node.h"

enum {
  DEPTH_DIRECT = MS_DEPTH_MAX, /* levels that are compared by recursion on the C stack */
  WALK_LEVELS = 14             /* of an array's tree, its single items included */
};

/*
 * Pairs still to be compared. Equality is a conjunction, so pairs that stand deeper than
 * any document may wait here until the stack is free again; without memory for them the
 * answer is "not equal".
 */
typedef struct msi_pair {
  const ms_value *a, *b;
} msi_pair;

typedef struct msi_waiting {
  msi_buffer pairs;
  unsigned depth;
} msi_waiting;

static bool pair_equal(msi_waiting *waiting, const ms_value *a, const ms_value *b);

/* ------------------------------------------------------------------ objects */

static bool entry_equal(msi_waiting *waiting, const msi_entry *a, const msi_entry *b) {
  if (a->key != b->key) {
    msi_lookup lookup = msi_lookup_string(a->key);
    if (!msi_lookup_matches(&lookup, b->key)) return false;
  }
  return pair_equal(waiting, a->value, b->value);
}

static bool trie_equal(msi_waiting *waiting, const msi_node *a, const msi_node *b,
                       unsigned level) {
  if (a == b) return true;
  if (a->has.collided != b->has.collided) return false; /* both maps */
  unsigned entries = msi_node_entry_count(a, level);
  unsigned children = msi_node_child_count(a, level);
  for (unsigned i = 0; i < entries; i++) {
    if (!entry_equal(waiting, msi_node_entries(a) + i, msi_node_entries(b) + i))
      return false;
  }
  for (unsigned i = 0; i < children; i++) {
    if (!trie_equal(waiting, msi_node_children(a)[i], msi_node_children(b)[i],
                    level + 1)) {
      return false;
    }
  }
  return true;
}

static bool object_equal(msi_waiting *waiting, const ms_value *a, const ms_value *b) {
  const msi_container *object_a = msi_as_container(a);
  const msi_container *object_b = msi_as_container(b);
  if ((a->flags & MSI_TREE) != 0) {
    return trie_equal(waiting, *msi_object_root(object_a), *msi_object_root(object_b), 0);
  }
  const msi_entry *entries_a = msi_object_entries(object_a);
  const msi_entry *entries_b = msi_object_entries(object_b);
  for (uint32_t i = 0; i < object_a->count; i++) {
    if (!entry_equal(waiting, &entries_a[i], &entries_b[i])) return false;
  }
  return true;
}

/* ------------------------------------------------------------------ arrays */

/* A walk over an array that stands before a subtree: a chunk or, in a leaf, one value. */
typedef struct msi_walk {
  const void *const
      *at[WALK_LEVELS]; /* what stands next, per level; the innermost last */
  const void *const *end[WALK_LEVELS];
  unsigned levels;  /* 0: at the end */
  int height;       /* of what stands next: -1 for a value */
  const void *root; /* of a tree, so that it is an item like others */
} msi_walk;

static void walk_init(msi_walk *walk, const ms_value *value) {
  const msi_container *array = msi_as_container(value);
  walk->levels = 1;
  if ((value->flags & MSI_TREE) != 0) {
    const msi_chunk *root = *msi_array_root(array);
    walk->root = root;
    walk->at[0] = &walk->root;
    walk->end[0] = walk->at[0] + 1;
    walk->height = root->height;
    return;
  }
  walk->at[0] = (const void *const *)msi_array_values(array);
  walk->end[0] = walk->at[0] + array->count;
  walk->height = -1;
  if (array->count == 0) walk->levels = 0;
}

static const void *walk_item(const msi_walk *walk) { return *walk->at[walk->levels - 1]; }

static void walk_down(msi_walk *walk) {
  const msi_chunk *chunk = walk_item(walk);
  MSI_ASSERT(walk->levels < WALK_LEVELS);
  walk->at[walk->levels] = (const void *const *)msi_chunk_values(chunk);
  walk->end[walk->levels] = walk->at[walk->levels] + chunk->count;
  walk->levels++;
  walk->height--;
}

static void walk_over(msi_walk *walk) {
  while (walk->levels > 0 &&
         ++walk->at[walk->levels - 1] == walk->end[walk->levels - 1]) {
    walk->levels--;
    walk->height++;
  }
}

/* How many values stand in what comes next. */
static size_t walk_size(const msi_walk *walk) {
  if (walk->height < 0) return 1;
  const msi_chunk *chunk = walk_item(walk);
  return chunk->height == 0 ? chunk->count : msi_chunk_ends(chunk)[chunk->count - 1];
}

/*
 * Goes on to the next index at which both walks stand before values that are not the same
 * reference. False when one of them is at its end.
 */
static bool walk_to_difference(msi_walk *a, msi_walk *b, size_t *index) {
  while (a->levels > 0 && b->levels > 0) {
    if (a->height == b->height && walk_item(a) == walk_item(b)) {
      *index += walk_size(a);
      walk_over(a);
      walk_over(b);
    } else if (a->height < 0 && b->height < 0) {
      return true;
    } else {
      int height_a = a->height;
      if (height_a >= b->height) walk_down(a);
      if (height_a <= b->height) walk_down(b);
    }
  }
  return false;
}

static bool array_equal(msi_waiting *waiting, const ms_value *a, const ms_value *b) {
  msi_walk walk_a;
  msi_walk walk_b;
  size_t index = 0;
  walk_init(&walk_a, a);
  walk_init(&walk_b, b);
  while (walk_to_difference(&walk_a, &walk_b, &index)) {
    if (!pair_equal(waiting, walk_item(&walk_a), walk_item(&walk_b))) return false;
    walk_over(&walk_a);
    walk_over(&walk_b);
    index++;
  }
  return true;
}

/* ------------------------------------------------------------------ equality */

static bool container_equal(msi_waiting *waiting, const ms_value *a, const ms_value *b) {
  if (waiting->depth >= DEPTH_DIRECT) {
    msi_pair pair = {a, b};
    return msi_buffer_append(&waiting->pairs, &pair, sizeof pair) == MS_OK;
  }
  waiting->depth++;
  bool equal =
      a->type == MS_ARRAY ? array_equal(waiting, a, b) : object_equal(waiting, a, b);
  waiting->depth--;
  return equal;
}

static bool pair_equal(msi_waiting *waiting, const ms_value *a, const ms_value *b) {
  if (a == b) return true;
  if (!msi_is_heap(a) || !msi_is_heap(b) || a->type != b->type) return false;
  const msi_number *number_a = (const msi_number *)(const void *)a;
  const msi_number *number_b = (const msi_number *)(const void *)b;
  switch ((ms_type)a->type) {
    case MS_INT:
    case MS_DOUBLE: return number_a->as.integer == number_b->as.integer; /* the bits */
    case MS_STRING: break;
    default:
      return ms_value_count(a) == ms_value_count(b) &&
             ms_value_bytes(a) == ms_value_bytes(b) && container_equal(waiting, a, b);
  }
  const msi_string *string_a = msi_as_string(a);
  const msi_string *string_b = msi_as_string(b);
  return string_a->length == string_b->length &&
         memcmp(string_a->bytes, string_b->bytes, string_a->length) == 0;
}

bool ms_value_equal(const ms_value *a, const ms_value *b) {
  msi_waiting waiting = {.depth = 0};
  if (a == b) return true;
  msi_buffer_init(&waiting.pairs, msi_is_heap(a) ? a->alloc : NULL);
  bool equal = pair_equal(&waiting, a, b);
  while (equal && waiting.pairs.length > 0) {
    msi_pair pair;
    waiting.pairs.length -= sizeof pair;
    memcpy(&pair, waiting.pairs.data + waiting.pairs.length, sizeof pair);
    equal = pair_equal(&waiting, pair.a, pair.b);
  }
  msi_buffer_fini(&waiting.pairs);
  return equal;
}

/* ------------------------------------------------------------------ difference */

typedef struct msi_report {
  msi_diff_fn fn;
  void *ud;
} msi_report;

static ms_status report(const msi_report *to, const msi_entry *old_entry,
                        const msi_entry *new_entry) {
  const ms_value *key = old_entry != NULL ? old_entry->key : new_entry->key;
  const ms_value *old_child = old_entry != NULL ? old_entry->value : NULL;
  const ms_value *new_child = new_entry != NULL ? new_entry->value : NULL;
  if (old_child != NULL && new_child != NULL && ms_value_equal(old_child, new_child)) {
    return MS_OK;
  }
  return to->fn(to->ud, key, 0, old_child, new_child);
}

/* Every child of one side; the other side has none. */
static ms_status report_all(const msi_report *to, const ms_value *value, bool is_old) {
  ms_cursor cursor;
  ms_status st = MS_OK;
  ms_cursor_init(&cursor, value);
  if (msi_is_object(value)) {
    const msi_entry *entry = NULL;
    while (st == MS_OK && (entry = msi_object_cursor_next(&cursor)) != NULL) {
      st = report(to, is_old ? entry : NULL, is_old ? NULL : entry);
    }
    return st;
  }
  const char *unused = NULL;
  size_t index = 0;
  const ms_value *child = NULL;
  while (st == MS_OK && ms_cursor_next(&cursor, &unused, &index, &child)) {
    st = to->fn(to->ud, NULL, index, is_old ? child : NULL, is_old ? NULL : child);
  }
  return st;
}

/* Two runs of entries in the order of hash and bytes. */
static ms_status diff_runs(const msi_report *to, const msi_entry *a, size_t count_a,
                           const msi_entry *b, size_t count_b) {
  ms_status st = MS_OK;
  while (st == MS_OK && (count_a > 0 || count_b > 0)) {
    int order = count_a == 0 ? 1 : -1;
    if (count_a > 0 && count_b > 0) {
      msi_lookup lookup = msi_lookup_string(a->key);
      order = msi_lookup_compare(&lookup, b->key);
    }
    st = report(to, order <= 0 ? a : NULL, order >= 0 ? b : NULL);
    if (order <= 0) a++, count_a--;
    if (order >= 0) b++, count_b--;
  }
  return st;
}

/* What one slot of a trie holds: nothing, one entry, or a subtree. */
typedef struct msi_slot {
  const msi_entry *entry;
  const msi_node *node;
} msi_slot;

static msi_slot slot_of(const msi_node *node, unsigned slot) {
  unsigned entries = node->has.map.entries;
  unsigned children = node->has.map.children;
  msi_slot holds = {NULL, NULL};
  if ((entries & (1u << slot)) != 0) {
    holds.entry = msi_node_entries(node) + msi_trie_index(entries, slot);
  } else if ((children & (1u << slot)) != 0) {
    holds.node = msi_node_children(node)[msi_trie_index(children, slot)];
  }
  return holds;
}

/* A subtree on one side against the one entry (or nothing: NULL) of the other. */
static ms_status diff_subtree(const msi_report *to, const msi_node *node, unsigned level,
                              bool is_old, const msi_entry *other, bool *met) {
  unsigned entries = msi_node_entry_count(node, level);
  unsigned children = msi_node_child_count(node, level);
  ms_status st = MS_OK;
  for (unsigned i = 0; st == MS_OK && i < entries; i++) {
    const msi_entry *entry = msi_node_entries(node) + i;
    const msi_entry *match = NULL;
    if (other != NULL) {
      msi_lookup lookup = msi_lookup_string(other->key);
      if (msi_lookup_matches(&lookup, entry->key)) match = other;
    }
    if (match != NULL) *met = true;
    st = is_old ? report(to, entry, match) : report(to, match, entry);
  }
  for (unsigned i = 0; st == MS_OK && i < children; i++) {
    st = diff_subtree(to, msi_node_children(node)[i], level + 1, is_old, other, met);
  }
  return st;
}

/* What stands in the same slot on both sides, above nodes of `level`. */
static ms_status diff_slots(const msi_report *to, msi_slot a, msi_slot b,
                            unsigned level) {
  if (a.node != NULL && b.node != NULL) {
    if (a.node == b.node) return MS_OK;
    if (level == MSI_TRIE_LEVELS) {
      return diff_runs(to, msi_node_entries(a.node), a.node->has.collided,
                       msi_node_entries(b.node), b.node->has.collided);
    }
    ms_status st = MS_OK;
    for (unsigned slot = 0; st == MS_OK && slot < MSI_TRIE_FANOUT; slot++) {
      st = diff_slots(to, slot_of(a.node, slot), slot_of(b.node, slot), level + 1);
    }
    return st;
  }
  if (a.node == NULL && b.node == NULL) {
    return diff_runs(to, a.entry, a.entry == NULL ? 0 : 1, b.entry,
                     b.entry == NULL ? 0 : 1);
  }
  bool met = false;
  bool is_old = a.node != NULL;
  const msi_entry *other = is_old ? b.entry : a.entry;
  ms_status st = diff_subtree(to, is_old ? a.node : b.node, level, is_old, other, &met);
  if (st != MS_OK || met || other == NULL) return st;
  return is_old ? report(to, NULL, other) : report(to, other, NULL);
}

/* A flat object against a large one: entries are looked for on the other side. */
static ms_status diff_shapes(const msi_report *to, const ms_value *a, const ms_value *b) {
  ms_cursor cursor;
  ms_status st = MS_OK;
  const msi_entry *entry = NULL;
  ms_cursor_init(&cursor, a);
  while (st == MS_OK && (entry = msi_object_cursor_next(&cursor)) != NULL) {
    msi_entry match = {entry->key, msi_object_get(b, entry->key)};
    st = report(to, entry, match.value == NULL ? NULL : &match);
  }
  ms_cursor_init(&cursor, b);
  while (st == MS_OK && (entry = msi_object_cursor_next(&cursor)) != NULL) {
    if (msi_object_get(a, entry->key) == NULL) st = report(to, NULL, entry);
  }
  return st;
}

static ms_status diff_objects(const msi_report *to, const ms_value *a,
                              const ms_value *b) {
  const msi_container *object_a = msi_as_container(a);
  const msi_container *object_b = msi_as_container(b);
  if ((a->flags & MSI_TREE) != (b->flags & MSI_TREE)) return diff_shapes(to, a, b);
  if ((a->flags & MSI_TREE) != 0) {
    return diff_slots(to, (msi_slot){NULL, *msi_object_root(object_a)},
                      (msi_slot){NULL, *msi_object_root(object_b)}, 0);
  }
  return diff_runs(to, msi_object_entries(object_a), object_a->count,
                   msi_object_entries(object_b), object_b->count);
}

static ms_status diff_arrays(const msi_report *to, const ms_value *a, const ms_value *b) {
  msi_walk walk_a;
  msi_walk walk_b;
  size_t index = 0;
  ms_status st = MS_OK;
  walk_init(&walk_a, a);
  walk_init(&walk_b, b);
  while (st == MS_OK && walk_to_difference(&walk_a, &walk_b, &index)) {
    const ms_value *child_a = walk_item(&walk_a);
    const ms_value *child_b = walk_item(&walk_b);
    if (!ms_value_equal(child_a, child_b))
      st = to->fn(to->ud, NULL, index, child_a, child_b);
    walk_over(&walk_a);
    walk_over(&walk_b);
    index++;
  }
  for (; st == MS_OK && index < ms_value_count(a); index++) {
    st = to->fn(to->ud, NULL, index, ms_value_at(a, index), NULL);
  }
  for (; st == MS_OK && index < ms_value_count(b); index++) {
    st = to->fn(to->ud, NULL, index, NULL, ms_value_at(b, index));
  }
  return st;
}

ms_status msi_diff_children(const ms_value *old_value, const ms_value *new_value,
                            msi_diff_fn fn, void *ud) {
  msi_report to = {fn, ud};
  if (old_value == new_value) return MS_OK;
  if (msi_is_object(old_value) && msi_is_object(new_value)) {
    return diff_objects(&to, old_value, new_value);
  }
  if (msi_is_array(old_value) && msi_is_array(new_value)) {
    return diff_arrays(&to, old_value, new_value);
  }
  ms_status st = report_all(&to, old_value, true);
  return st == MS_OK ? report_all(&to, new_value, false) : st;
}
