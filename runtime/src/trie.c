/*
 * Hash array mapped tries: the inside of objects that have outgrown their flat form.
 *
 * Each level uses the next 4 bits of a key's hash, the highest first, so that walking the
 * slots in order walks the keys in the order of their hashes. A slot holds nothing, one
 * entry, or a child with at least two entries below it:
 *
 *     root     [ . k1 . . C . . k2 ... ]        map.entries  0000000010000010
 *                         |                     map.children 0000000000010000
 *     level 1           [ k3 . k4 ... ]         then k1 k2, then C, without gaps
 *
 * Keys with equal hashes meet in a collision node below the last level, sorted by their
 * bytes. One set of keys therefore has one shape only, whatever order it was built in;
 * comparing two tries walks them in lock-step.
 *
 * Nodes are exactly as large as what they hold. A change makes a new node from the old
 * one: of a node that others see too the content is copied, otherwise it is moved.
 */
#include "node.h"

#include <string.h>

/* Where a key stands, or would stand. */
typedef struct msi_trail {
  msi_node *node[MSI_TRIE_LEVELS + 1];
  unsigned slot[MSI_TRIE_LEVELS + 1]; /* in the collision node: the entry's position */
  unsigned last;          /* level of the node that holds, or would hold, the key */
  unsigned owned;         /* the nodes above this level may be changed in place */
  const msi_entry *entry; /* what stands there: the key's own entry or another's */
  bool found;
} msi_trail;

/* What a new node takes over from an old one: all but `skip` items at `at`, and `add` new
 * ones. */
typedef struct msi_splice {
  unsigned at, skip, add;
} msi_splice;

static size_t node_bytes(unsigned entries, unsigned children) {
  return sizeof(msi_node) + entries * sizeof(msi_entry) + children * sizeof(msi_node *);
}

static msi_node *node_alloc(const ms_alloc *alloc, unsigned entries, unsigned children) {
  if ((uint64_t)entries * sizeof(msi_entry) > SIZE_MAX / 2) return NULL;
  alloc = msi_alloc_resolve(alloc);
  msi_node *node = msi_alloc_get(alloc, node_bytes(entries, children));
  if (node == NULL) return NULL;
  atomic_init(&node->refs, 1);
  node->has.collided = 0;
  node->alloc = alloc;
  return node;
}

static void node_free(msi_node *node, unsigned level) {
  size_t bytes =
      node_bytes(msi_node_entry_count(node, level), msi_node_child_count(node, level));
  msi_alloc_free(node->alloc, node, bytes);
}

msi_node *msi_trie_new(const ms_alloc *alloc) { return node_alloc(alloc, 0, 0); }

/* In a node that waits for more budget: what is released already is NULL, and one reference is left.
 * Coming back to it costs nothing, so that any budget gets on. */
bool msi_trie_release(msi_dead *dead, msi_node *node, unsigned level, size_t *budget) {
  if (!msi_refs_release(&node->refs)) return true;
  unsigned entries = msi_node_entry_count(node, level);
  unsigned children = msi_node_child_count(node, level);
  msi_entry *entry = msi_node_entries(node);
  bool is_new = entries > 0 && entry[0].key != NULL;
  for (unsigned i = 0; i < entries; i++) {
    msi_dead_release(dead, entry[i].key);
    msi_dead_release(dead, entry[i].value);
  }
  bool more = msi_budget_spend(budget, is_new ? 2 * (size_t)entries : 0);
  msi_node **child = (msi_node **)(uintptr_t)(entry + entries);
  for (unsigned i = 0; i < children; i++) {
    if (child[i] == NULL) continue;
    if (more && msi_trie_release(dead, child[i], level + 1, budget)) {
      child[i] = NULL;
      more = *budget > 0;
      continue;
    }
    memset(entry, 0, entries * sizeof *entry);
    atomic_store_explicit(&node->refs, 1, memory_order_relaxed);
    return false;
  }
  (void)msi_budget_spend(budget, 1);
  node_free(node, level);
  return true;
}

static void node_release(msi_node *node, unsigned level) {
  msi_dead dead = {NULL};
  size_t budget = SIZE_MAX;
  while (!msi_trie_release(&dead, node, level, &budget)) budget = SIZE_MAX;
  msi_dead_drain(&dead);
}

static void entry_retain(const msi_entry *entry) {
  msi_retain(entry->key);
  msi_retain(entry->value);
}

static void entry_release(const msi_entry *entry) {
  ms_value_release(entry->key);
  ms_value_release(entry->value);
}

/*
 * A node with the content of `old`, changed as the two splices say; the maps are copied
 * as they are. `entry` and `child` are what is added: their references are taken on
 * success. With `move` what is kept changes its owner and the block of `old` is freed,
 * otherwise it is retained.
 */
static msi_node *node_splice(const ms_alloc *alloc, msi_node *old, unsigned level,
                             msi_splice entries, const msi_entry *entry,
                             msi_splice children, msi_node *child, bool move) {
  unsigned entry_count = msi_node_entry_count(old, level);
  unsigned child_count = msi_node_child_count(old, level);
  unsigned new_entries = entry_count - entries.skip + entries.add;
  unsigned new_children = child_count - children.skip + children.add;
  msi_node *node = node_alloc(alloc, new_entries, new_children);
  if (node == NULL) return NULL;
  node->has = old->has;

  const msi_entry *from = msi_node_entries(old);
  msi_entry *to = msi_node_entries(node);
  unsigned after = entry_count - entries.at - entries.skip;
  memcpy(to, from, entries.at * sizeof *to);
  if (entries.add > 0) to[entries.at] = *entry;
  memcpy(to + entries.at + entries.add, from + entries.at + entries.skip,
         after * sizeof *to);

  msi_node *const *child_from = (msi_node *const *)(const void *)(from + entry_count);
  msi_node **child_to = (msi_node **)(void *)(to + new_entries);
  after = child_count - children.at - children.skip;
  memcpy(child_to, child_from, children.at * sizeof *child_to);
  if (children.add > 0) child_to[children.at] = child;
  memcpy(child_to + children.at + children.add, child_from + children.at + children.skip,
         after * sizeof *child_to);

  if (move) {
    node_free(old, level);
    return node;
  }
  for (unsigned i = 0; i < new_entries; i++) {
    if (entries.add == 0 || i != entries.at) entry_retain(&to[i]);
  }
  for (unsigned i = 0; i < new_children; i++) {
    if (children.add == 0 || i != children.at) msi_refs_retain(&child_to[i]->refs);
  }
  return node;
}

/* ------------------------------------------------------------------ finding */

/* The position of a key among entries sorted by bytes. */
static unsigned collision_search(const msi_node *node, const msi_lookup *lookup,
                                 bool *found) {
  const msi_entry *entries = msi_node_entries(node);
  unsigned low = 0;
  unsigned high = node->has.collided;
  *found = false;
  while (low < high) {
    unsigned middle = low + (high - low) / 2;
    int order = msi_lookup_compare(lookup, entries[middle].key);
    if (order == 0) {
      *found = true;
      return middle;
    }
    if (order < 0) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

const msi_entry *msi_trie_find(const msi_node *node, const msi_lookup *lookup) {
  for (unsigned level = 0; level < MSI_TRIE_LEVELS; level++) {
    unsigned slot = msi_trie_slot(lookup->hash, level);
    unsigned bit = 1u << slot;
    if ((node->has.map.entries & bit) != 0) {
      const msi_entry *entry =
          msi_node_entries(node) + msi_trie_index(node->has.map.entries, slot);
      return msi_lookup_matches(lookup, entry->key) ? entry : NULL;
    }
    if ((node->has.map.children & bit) == 0) return NULL;
    node = msi_node_child(node, slot);
  }
  bool found = false;
  unsigned at = collision_search(node, lookup, &found);
  return found ? msi_node_entries(node) + at : NULL;
}

msi_entry *msi_trie_own(msi_node *node, const msi_lookup *lookup) {
  for (unsigned level = 0; level < MSI_TRIE_LEVELS; level++) {
    if (!msi_refs_unique(&node->refs)) return NULL;
    unsigned slot = msi_trie_slot(lookup->hash, level);
    unsigned bit = 1u << slot;
    if ((node->has.map.entries & bit) != 0) {
      msi_entry *entry =
          msi_node_entries(node) + msi_trie_index(node->has.map.entries, slot);
      return msi_lookup_matches(lookup, entry->key) ? entry : NULL;
    }
    if ((node->has.map.children & bit) == 0) return NULL;
    node = msi_node_child(node, slot);
  }
  bool found = false;
  unsigned at = collision_search(node, lookup, &found);
  return found && msi_refs_unique(&node->refs) ? msi_node_entries(node) + at : NULL;
}

static void trail_walk(msi_trail *trail, msi_node *node, bool owned,
                       const msi_lookup *lookup) {
  trail->owned = 0;
  /* Every version of an object has a root of its own. */
  MSI_ASSERT(!owned || msi_refs_unique(&node->refs));
  trail->entry = NULL;
  trail->found = false;
  for (unsigned level = 0;; level++) {
    trail->node[level] = node;
    trail->last = level;
    owned = owned && msi_refs_unique(&node->refs);
    if (owned) trail->owned = level + 1;
    if (level == MSI_TRIE_LEVELS) break;
    unsigned slot = msi_trie_slot(lookup->hash, level);
    unsigned bit = 1u << slot;
    trail->slot[level] = slot;
    if ((node->has.map.entries & bit) != 0) {
      trail->entry = msi_node_entries(node) + msi_trie_index(node->has.map.entries, slot);
      trail->found = msi_lookup_matches(lookup, trail->entry->key);
      return;
    }
    if ((node->has.map.children & bit) == 0) return;
    node = msi_node_child(node, slot);
  }
  unsigned at = collision_search(node, lookup, &trail->found);
  trail->slot[MSI_TRIE_LEVELS] = at;
  if (trail->found) trail->entry = msi_node_entries(node) + at;
}

/* ------------------------------------------------------------------ changing */

/* How a node changes at the slot of the trail. */
static msi_splice entry_splice(const msi_trail *trail, unsigned level, unsigned skip,
                               unsigned add) {
  unsigned slot = trail->slot[level];
  if (level < MSI_TRIE_LEVELS) {
    slot = msi_trie_index(trail->node[level]->has.map.entries, slot);
  }
  return (msi_splice){slot, skip, add};
}

static msi_splice child_splice(const msi_trail *trail, unsigned level, unsigned skip,
                               unsigned add) {
  if (level == MSI_TRIE_LEVELS) return (msi_splice){0, 0, 0};
  unsigned map = trail->node[level]->has.map.children;
  return (msi_splice){msi_trie_index(map, trail->slot[level]), skip, add};
}

static void map_set(uint16_t *map, unsigned slot, bool on) {
  unsigned bit = 1u << slot;
  *map = (uint16_t)(on ? *map | bit : *map & ~bit);
}

/*
 * `node` stands for the trail's node at `level` from now on. What is above it is copied
 * where others see it too. Takes `node`, also on failure.
 */
static ms_status trail_hang(const ms_alloc *alloc, const msi_trail *trail, unsigned level,
                            msi_node *node, msi_node **root) {
  while (level > 0) {
    unsigned above = level - 1;
    msi_splice swap = child_splice(trail, above, 1, 1);
    if (above < trail->owned) {
      msi_node_children(trail->node[above])[swap.at] = node;
      /* If the old node was moved it is gone; if it was copied others still hold it. */
      if (level >= trail->owned) {
        MSI_ASSERT(level == trail->owned);
        node_release(trail->node[level], level);
      }
      return MS_OK;
    }
    msi_node *copy = node_splice(alloc, trail->node[above], above, (msi_splice){0, 0, 0},
                                 NULL, swap, node, false);
    if (copy == NULL) {
      node_release(node, level);
      return MS_ENOMEM;
    }
    node = copy;
    level = above;
  }
  *root = node;
  return MS_OK;
}

/* A subtree for two entries with different keys, which are retained. */
static ms_status pair_new(const ms_alloc *alloc, unsigned level, const msi_entry *a,
                          const msi_entry *b, msi_node **out) {
  uint32_t hash_a = msi_string_value_hash(a->key);
  uint32_t hash_b = msi_string_value_hash(b->key);
  unsigned split = level;
  while (split < MSI_TRIE_LEVELS &&
         msi_trie_slot(hash_a, split) == msi_trie_slot(hash_b, split)) {
    split++;
  }
  msi_node *node = node_alloc(alloc, 2, 0);
  if (node == NULL) return MS_ENOMEM;
  msi_lookup lookup = msi_lookup_string(a->key);
  bool a_first = msi_lookup_compare(&lookup, b->key) < 0;
  msi_node_entries(node)[a_first ? 0 : 1] = *a;
  msi_node_entries(node)[a_first ? 1 : 0] = *b;
  if (split == MSI_TRIE_LEVELS) {
    node->has.collided = 2;
  } else {
    map_set(&node->has.map.entries, msi_trie_slot(hash_a, split), true);
    map_set(&node->has.map.entries, msi_trie_slot(hash_b, split), true);
  }
  entry_retain(a);
  entry_retain(b);
  for (; split > level; split--) {
    msi_node *above = node_alloc(alloc, 0, 1);
    if (above == NULL) {
      node_release(node, split);
      return MS_ENOMEM;
    }
    map_set(&above->has.map.children, msi_trie_slot(hash_a, split - 1), true);
    msi_node_children(above)[0] = node;
    node = above;
  }
  *out = node;
  return MS_OK;
}

/* A new value for a key that is there. */
static ms_status trail_replace(const ms_alloc *alloc, const msi_trail *trail,
                               const ms_value *value, msi_node **root) {
  unsigned level = trail->last;
  msi_entry *entry = (msi_entry *)(uintptr_t)trail->entry;
  if (level < trail->owned) {
    const ms_value *old = entry->value;
    entry->value = msi_retain(value);
    ms_value_release(old);
    return MS_OK;
  }
  msi_entry changed = {entry->key, value};
  msi_node *node =
      node_splice(alloc, trail->node[level], level, entry_splice(trail, level, 1, 1),
                  &changed, child_splice(trail, level, 0, 0), NULL, false);
  if (node == NULL) return MS_ENOMEM;
  entry_retain(&changed);
  return trail_hang(alloc, trail, level, node, root);
}

/* A key that is new, in an empty slot or among collided ones. */
static ms_status trail_add(const ms_alloc *alloc, const msi_trail *trail,
                           const msi_entry *entry, msi_node **root) {
  unsigned level = trail->last;
  bool move = level < trail->owned;
  msi_node *node =
      node_splice(alloc, trail->node[level], level, entry_splice(trail, level, 0, 1),
                  entry, child_splice(trail, level, 0, 0), NULL, move);
  if (node == NULL) return MS_ENOMEM;
  entry_retain(entry);
  if (level == MSI_TRIE_LEVELS) {
    node->has.collided++;
  } else {
    map_set(&node->has.map.entries, trail->slot[level], true);
  }
  return trail_hang(alloc, trail, level, node, root);
}

/* A key that is new, in the slot of another one. */
static ms_status trail_split(const ms_alloc *alloc, const msi_trail *trail,
                             const msi_entry *entry, msi_node **root) {
  unsigned level = trail->last;
  bool move = level < trail->owned;
  msi_entry old = *trail->entry;
  msi_node *pair = NULL;
  ms_status st = pair_new(alloc, level + 1, &old, entry, &pair);
  if (st != MS_OK) return st;
  msi_node *node =
      node_splice(alloc, trail->node[level], level, entry_splice(trail, level, 1, 0),
                  NULL, child_splice(trail, level, 0, 1), pair, move);
  if (node == NULL) {
    node_release(pair, level + 1);
    return MS_ENOMEM;
  }
  map_set(&node->has.map.entries, trail->slot[level], false);
  map_set(&node->has.map.children, trail->slot[level], true);
  if (move) entry_release(&old); /* the pair has its own references */
  return trail_hang(alloc, trail, level, node, root);
}

ms_status msi_trie_put(const ms_alloc *alloc, msi_node **root, bool owned,
                       const msi_lookup *lookup, const ms_value *value, int64_t *grown,
                       bool *added) {
  msi_trail trail;
  trail_walk(&trail, *root, owned, lookup);
  int64_t bytes = (int64_t)ms_value_bytes(value);
  if (trail.found) {
    int64_t old_bytes = (int64_t)ms_value_bytes(trail.entry->value);
    ms_status st = trail_replace(alloc, &trail, value, root);
    if (st != MS_OK) return st;
    *grown = bytes - old_bytes;
    *added = false;
    return MS_OK;
  }
  msi_entry entry = {NULL, value};
  ms_status st = msi_lookup_key(alloc, lookup, &entry.key);
  if (st != MS_OK) return st;
  bytes += (int64_t)ms_value_bytes(entry.key);
  st = trail.entry == NULL ? trail_add(alloc, &trail, &entry, root)
                           : trail_split(alloc, &trail, &entry, root);
  ms_value_release(entry.key);
  if (st != MS_OK) return st;
  *grown = bytes;
  *added = true;
  return MS_OK;
}

/*
 * Erasing leaves `last` alone in its node: it moves up, to the lowest node above that
 * holds anything else, and the chain of nodes between them goes.
 */
static ms_status trail_lift(const ms_alloc *alloc, const msi_trail *trail,
                            const msi_entry *last, msi_node **root) {
  unsigned level = trail->last - 1;
  while (level > 0 && msi_node_entry_count(trail->node[level], level) == 0 &&
         msi_node_child_count(trail->node[level], level) == 1) {
    level--;
  }
  bool move = level < trail->owned;
  msi_node *below = trail->node[level + 1];
  msi_node *node =
      node_splice(alloc, trail->node[level], level, entry_splice(trail, level, 0, 1),
                  last, child_splice(trail, level, 1, 0), NULL, move);
  if (node == NULL) return MS_ENOMEM;
  entry_retain(last);
  map_set(&node->has.map.entries, trail->slot[level], true);
  map_set(&node->has.map.children, trail->slot[level], false);
  if (move) node_release(below, level + 1);
  return trail_hang(alloc, trail, level, node, root);
}

ms_status msi_trie_erase(const ms_alloc *alloc, msi_node **root, bool owned,
                         const msi_lookup *lookup) {
  msi_trail trail;
  trail_walk(&trail, *root, owned, lookup);
  MSI_ASSERT(trail.found);
  unsigned level = trail.last;
  msi_node *old = trail.node[level];
  if (level > 0 && msi_node_entry_count(old, level) == 2 &&
      msi_node_child_count(old, level) == 0) {
    const msi_entry *entries = msi_node_entries(old);
    msi_entry last = trail.entry == entries ? entries[1] : entries[0];
    return trail_lift(alloc, &trail, &last, root);
  }
  bool move = level < trail.owned;
  msi_entry erased = *trail.entry;
  msi_node *node = node_splice(alloc, old, level, entry_splice(&trail, level, 1, 0), NULL,
                               child_splice(&trail, level, 0, 0), NULL, move);
  if (node == NULL) return MS_ENOMEM;
  if (level == MSI_TRIE_LEVELS) {
    node->has.collided--;
  } else {
    map_set(&node->has.map.entries, trail.slot[level], false);
  }
  if (move) entry_release(&erased);
  return trail_hang(alloc, &trail, level, node, root);
}

/* ------------------------------------------------------------------ walking */

/* The words of a walk: the level it is at, then node and next slot of every level above
 * and at it. WALK_END: there is no more. */
enum { WALK_LEVEL, WALK_NODE, WALK_SLOT = WALK_NODE + MSI_TRIE_LEVELS + 1 };
static_assert(WALK_SLOT + MSI_TRIE_LEVELS + 1 == MSI_TRIE_WALK_WORDS, "walk words");
#define WALK_END UINTPTR_MAX

void msi_trie_walk_init(uintptr_t *walk, const msi_node *root) {
  walk[WALK_LEVEL] = 0;
  walk[WALK_NODE] = (uintptr_t)root;
  walk[WALK_SLOT] = 0;
}

const msi_entry *msi_trie_walk_next(uintptr_t *walk) {
  uintptr_t level = walk[WALK_LEVEL];
  while (level != WALK_END) {
    const msi_node *node = (const msi_node *)walk[WALK_NODE + level];
    unsigned slot = (unsigned)walk[WALK_SLOT + level];
    if (level == MSI_TRIE_LEVELS) {
      if (slot < node->has.collided) {
        walk[WALK_LEVEL] = level;
        walk[WALK_SLOT + level] = slot + 1;
        return msi_node_entries(node) + slot;
      }
      level--;
      continue;
    }
    unsigned entries = node->has.map.entries;
    unsigned children = node->has.map.children;
    unsigned left = (entries | children) >> slot;
    if (left == 0) {
      level = level == 0 ? WALK_END : level - 1;
      continue;
    }
    slot += (unsigned)__builtin_ctz(left);
    walk[WALK_SLOT + level] = slot + 1;
    if ((entries & (1u << slot)) != 0) {
      walk[WALK_LEVEL] = level;
      return msi_node_entries(node) + msi_trie_index(entries, slot);
    }
    node = msi_node_children(node)[msi_trie_index(children, slot)];
    level++;
    walk[WALK_NODE + level] = (uintptr_t)node;
    walk[WALK_SLOT + level] = 0;
  }
  walk[WALK_LEVEL] = WALK_END;
  return NULL;
}

bool msi_trie_walk_seek(uintptr_t *walk, const msi_node *root, const msi_lookup *lookup) {
  msi_trail trail;
  trail_walk(&trail, (msi_node *)(uintptr_t)root, false, lookup);
  if (!trail.found) return false;
  walk[WALK_LEVEL] = trail.last;
  for (unsigned level = 0; level <= trail.last; level++) {
    walk[WALK_NODE + level] = (uintptr_t)trail.node[level];
    walk[WALK_SLOT + level] = trail.slot[level] + 1;
  }
  return true;
}

/* ------------------------------------------------------------------ checking */

static bool node_check(const msi_node *node, unsigned level, uint32_t prefix,
                       uint64_t *count, uint64_t *bytes) {
  unsigned entry_count = msi_node_entry_count(node, level);
  unsigned child_count = msi_node_child_count(node, level);
  const msi_entry *entries = msi_node_entries(node);
  if (level > 0 && entry_count + 2 * child_count < 2) return false;
  if (level < MSI_TRIE_LEVELS && (node->has.map.entries & node->has.map.children) != 0) {
    return false;
  }
  for (unsigned i = 0; i < entry_count; i++) {
    if (!msi_is_string(entries[i].key) || entries[i].value == NULL) return false;
    const msi_string *key = msi_as_string(entries[i].key);
    uint32_t hash = msi_string_hash(key->bytes, key->length);
    if (hash != msi_string_value_hash(entries[i].key)) return false;
    if (level > 0 && hash >> (32 - MSI_TRIE_BITS * level) != prefix) return false;
    msi_lookup lookup = msi_lookup_string(entries[i].key);
    if (level < MSI_TRIE_LEVELS) {
      unsigned slot = msi_trie_slot(hash, level);
      if ((node->has.map.entries & (1u << slot)) == 0) return false;
      if (msi_trie_index(node->has.map.entries, slot) != i) return false;
    } else if (i + 1 < entry_count &&
               msi_lookup_compare(&lookup, entries[i + 1].key) >= 0) {
      return false;
    }
    *bytes += ms_value_bytes(entries[i].key) + ms_value_bytes(entries[i].value);
    *count += 1;
  }
  unsigned child = 0;
  for (unsigned slot = 0; level < MSI_TRIE_LEVELS && slot < MSI_TRIE_FANOUT; slot++) {
    if ((node->has.map.children & (1u << slot)) == 0) continue;
    uint32_t below = prefix << MSI_TRIE_BITS | slot;
    if (!node_check(msi_node_children(node)[child++], level + 1, below, count, bytes)) {
      return false;
    }
  }
  return atomic_load(&node->refs) > 0;
}

bool msi_trie_check(const msi_node *root, uint64_t *count, uint64_t *bytes) {
  *count = 0;
  *bytes = 0;
  return node_check(root, 0, 0, count, bytes);
}
