/*
 * Objects: a flat block while they are small, a trie beyond that.
 *
 *   flat   head | entries, capacity of them | tags, capacity of them
 *   tree   head | pointer to the root of a trie
 *
 * Entries of a flat object are sorted by hash, then bytes. A tag is the highest byte of
 * its entry's hash, so that a search looks at few keys. Objects of at most FLAT_MAX
 * entries are always flat and larger ones never are; with the trie's one shape per set of
 * keys (trie.c), equal objects look alike down to the order of their entries.
 */
#include "node.h"

#include <string.h>

enum { FLAT_MAX = 16, FLAT_GROWTH = 4 };

static uint8_t *object_tags(const msi_container *object) {
  return (uint8_t *)(msi_object_entries(object) + object->capacity);
}

static bool object_is_tree(const msi_container *object) {
  return (object->head.flags & MSI_TREE) != 0;
}

static size_t flat_bytes(size_t capacity) {
  return sizeof(msi_container) + capacity * (sizeof(msi_entry) + 1);
}

static size_t object_block_bytes(const msi_container *object) {
  return object_is_tree(object) ? sizeof(msi_container) + sizeof(msi_node *)
                                : flat_bytes(object->capacity);
}

static msi_container *object_alloc(const ms_alloc *alloc, uint8_t flags,
                                   size_t capacity) {
  alloc = msi_alloc_resolve(alloc);
  size_t bytes = flags == MSI_TREE ? sizeof(msi_container) + sizeof(msi_node *)
                                   : flat_bytes(capacity);
  msi_container *object = msi_alloc_get(alloc, bytes);
  if (object == NULL) return NULL;
  msi_value_init(&object->head, alloc, MS_OBJECT);
  object->head.flags = flags;
  object->count = 0;
  object->capacity = (uint32_t)capacity;
  object->bytes = 0;
  return object;
}

ms_status msi_object_new(const ms_alloc *alloc, size_t capacity, const ms_value **out) {
  msi_container *object =
      object_alloc(alloc, 0, capacity < FLAT_MAX ? capacity : FLAT_MAX);
  if (object == NULL) return MS_ENOMEM;
  *out = &object->head;
  return MS_OK;
}

bool msi_object_drop(msi_dead *dead, msi_container *object, size_t *budget) {
  if (object_is_tree(object)) {
    if (!msi_trie_release(dead, *msi_object_root(object), 0, budget)) return false;
  } else {
    const msi_entry *entries = msi_object_entries(object);
    for (uint32_t i = 0; i < object->count; i++) {
      msi_dead_release(dead, entries[i].key);
      msi_dead_release(dead, entries[i].value);
    }
    (void)msi_budget_spend(budget, 2 * (size_t)object->count);
  }
  (void)msi_budget_spend(budget, 1);
  msi_alloc_free(object->head.alloc, object, object_block_bytes(object));
  return true;
}

/* ------------------------------------------------------------------ flat objects */

/* Where the key is, or where it belongs. */
static unsigned flat_search(const msi_container *object, const msi_lookup *lookup,
                            bool *found) {
  const msi_entry *entries = msi_object_entries(object);
  const uint8_t *tags = object_tags(object);
  uint8_t tag = (uint8_t)(lookup->hash >> 24);
  unsigned at = 0;
  *found = false;
  for (; at < object->count && tags[at] <= tag; at++) {
    if (tags[at] < tag) continue;
    int order = msi_lookup_compare(lookup, entries[at].key);
    if (order <= 0) {
      *found = order == 0;
      break;
    }
  }
  return at;
}

/* Puts an entry, whose references are taken, into a block that has room. */
static void flat_insert(msi_container *object, unsigned at, const msi_entry *entry) {
  MSI_ASSERT(object->count < object->capacity);
  msi_entry *entries = msi_object_entries(object);
  uint8_t *tags = object_tags(object);
  unsigned after = object->count - at;
  memmove(entries + at + 1, entries + at, after * sizeof *entries);
  memmove(tags + at + 1, tags + at, after);
  entries[at] = *entry;
  tags[at] = (uint8_t)(msi_string_value_hash(entry->key) >> 24);
  object->count++;
  object->bytes += ms_value_bytes(entry->key) + ms_value_bytes(entry->value);
}

static void flat_remove(msi_container *object, unsigned at) {
  msi_entry *entries = msi_object_entries(object);
  uint8_t *tags = object_tags(object);
  unsigned after = object->count - at - 1;
  object->bytes -= ms_value_bytes(entries[at].key) + ms_value_bytes(entries[at].value);
  memmove(entries + at, entries + at + 1, after * sizeof *entries);
  memmove(tags + at, tags + at + 1, after);
  object->count--;
}

/* A second object with the same entries and room for more. */
static msi_container *flat_copy(const ms_alloc *alloc, const msi_container *object,
                                size_t capacity) {
  MSI_ASSERT(capacity >= object->count);
  msi_container *copy = object_alloc(alloc, 0, capacity);
  if (copy == NULL) return NULL;
  copy->count = object->count;
  copy->bytes = object->bytes;
  const msi_entry *entries = msi_object_entries(object);
  memcpy(msi_object_entries(copy), entries, object->count * sizeof *entries);
  memcpy(object_tags(copy), object_tags(object), object->count);
  for (uint32_t i = 0; i < object->count; i++) {
    msi_retain(entries[i].key);
    msi_retain(entries[i].value);
  }
  return copy;
}

/* Room for one entry more in a block that is not shared; NULL leaves it as it was. */
static msi_container *flat_grow(msi_container *object) {
  size_t old_capacity = object->capacity;
  if (object->count < old_capacity) return object;
  size_t capacity =
      old_capacity + FLAT_GROWTH < FLAT_MAX ? old_capacity + FLAT_GROWTH : FLAT_MAX;
  object = msi_alloc_resize(object->head.alloc, object, flat_bytes(old_capacity),
                            flat_bytes(capacity));
  if (object == NULL) return NULL;
  const uint8_t *old_tags = (const uint8_t *)(msi_object_entries(object) + old_capacity);
  object->capacity = (uint32_t)capacity;
  memmove(object_tags(object), old_tags, object->count);
  return object;
}

/* ------------------------------------------------------------------ between flat and
 * tree */

/* A tree with the entries of a flat object. */
static msi_container *object_to_tree(const ms_alloc *alloc, const msi_container *flat) {
  msi_container *tree = object_alloc(alloc, MSI_TREE, 0);
  if (tree == NULL) return NULL;
  msi_node *root = msi_trie_new(alloc);
  if (root == NULL) {
    msi_alloc_free(tree->head.alloc, tree, object_block_bytes(tree));
    return NULL;
  }
  *msi_object_root(tree) = root;
  const msi_entry *entries = msi_object_entries(flat);
  for (uint32_t i = 0; i < flat->count; i++) {
    msi_lookup lookup = msi_lookup_string(entries[i].key);
    int64_t grown = 0;
    bool added = false;
    if (msi_trie_put(alloc, msi_object_root(tree), true, &lookup, entries[i].value,
                     &grown, &added) != MS_OK) {
      ms_value_release(&tree->head);
      return NULL;
    }
  }
  tree->count = flat->count;
  tree->bytes = flat->bytes;
  return tree;
}

/* A flat object with all entries of a tree but one. */
static msi_container *object_to_flat(const ms_alloc *alloc, const msi_container *tree,
                                     const msi_lookup *without) {
  msi_container *flat = object_alloc(alloc, 0, FLAT_MAX);
  if (flat == NULL) return NULL;
  uintptr_t walk[MSI_TRIE_WALK_WORDS];
  msi_trie_walk_init(walk, *msi_object_root(tree));
  for (const msi_entry *entry = NULL; (entry = msi_trie_walk_next(walk)) != NULL;) {
    if (msi_lookup_matches(without, entry->key)) continue;
    msi_retain(entry->key);
    msi_retain(entry->value);
    flat_insert(flat, flat->count, entry);
  }
  return flat;
}

/* ------------------------------------------------------------------ finding */

const ms_value *msi_object_find(const ms_value *value, const msi_lookup *lookup) {
  const msi_container *object = msi_as_container(value);
  if (object_is_tree(object)) {
    const msi_entry *entry = msi_trie_find(*msi_object_root(object), lookup);
    return entry == NULL ? NULL : entry->value;
  }
  bool found = false;
  unsigned at = flat_search(object, lookup, &found);
  return found ? msi_object_entries(object)[at].value : NULL;
}

const ms_value *msi_object_get(const ms_value *object, const ms_value *key) {
  if (!msi_is_object(object) || !msi_is_string(key)) return NULL;
  msi_lookup lookup = msi_lookup_string(key);
  return msi_object_find(object, &lookup);
}

const ms_value *ms_value_get(const ms_value *object, const char *key, size_t length) {
  if (!msi_is_object(object) || length > MS_KEY_MAX) return NULL;
  msi_lookup lookup = {key, length, msi_string_hash(key, length), NULL};
  return msi_object_find(object, &lookup);
}

const ms_value **msi_object_own(const ms_value *object, const ms_value *key) {
  MSI_ASSERT(msi_is_object(object) && msi_refs_unique(&object->refs));
  const msi_container *container = msi_as_container(object);
  msi_lookup lookup = msi_lookup_string(key);
  if (object_is_tree(container)) {
    msi_entry *entry = msi_trie_own(*msi_object_root(container), &lookup);
    return entry == NULL ? NULL : &entry->value;
  }
  bool found = false;
  unsigned at = flat_search(container, &lookup, &found);
  return found ? &msi_object_entries(container)[at].value : NULL;
}

/* ------------------------------------------------------------------ changing */

static ms_status flat_put(const ms_alloc *alloc, const ms_value **object, bool owned,
                          const msi_lookup *lookup, const ms_value *value) {
  msi_container *old = msi_as_container(*object);
  bool found = false;
  unsigned at = flat_search(old, lookup, &found);
  if (found) {
    msi_container *changed = owned ? old : flat_copy(alloc, old, old->count);
    if (changed == NULL) return MS_ENOMEM;
    msi_entry *entry = msi_object_entries(changed) + at;
    const ms_value *gone = entry->value;
    changed->bytes += ms_value_bytes(value) - ms_value_bytes(gone);
    entry->value = msi_retain(value);
    ms_value_release(gone);
    if (!owned) ms_value_release(*object);
    *object = &changed->head;
    return MS_OK;
  }
  msi_entry entry = {NULL, value};
  ms_status st = msi_lookup_key(alloc, lookup, &entry.key);
  if (st != MS_OK) return st;
  msi_container *changed =
      owned ? flat_grow(old) : flat_copy(alloc, old, old->count + 1u);
  if (changed == NULL) {
    ms_value_release(entry.key);
    return MS_ENOMEM;
  }
  msi_retain(value);
  flat_insert(changed, at, &entry);
  if (!owned) ms_value_release(*object);
  *object = &changed->head;
  return MS_OK;
}

static ms_status tree_put(const ms_alloc *alloc, const ms_value **object, bool owned,
                          const msi_lookup *lookup, const ms_value *value) {
  msi_container *old = msi_as_container(*object);
  msi_container *changed = owned ? old : object_alloc(alloc, MSI_TREE, 0);
  if (changed == NULL) return MS_ENOMEM;
  msi_node *root = *msi_object_root(old);
  int64_t grown = 0;
  bool added = false;
  ms_status st = msi_trie_put(alloc, &root, owned, lookup, value, &grown, &added);
  if (st != MS_OK) {
    if (!owned) msi_alloc_free(changed->head.alloc, changed, object_block_bytes(changed));
    return st;
  }
  *msi_object_root(changed) = root;
  changed->count = old->count + (added ? 1 : 0);
  changed->bytes = old->bytes + (uint64_t)grown;
  if (!owned) ms_value_release(*object);
  *object = &changed->head;
  return MS_OK;
}

/* The first entry beyond the flat form. */
static ms_status object_outgrow(const ms_alloc *alloc, const ms_value **object,
                                const msi_lookup *lookup, const ms_value *value) {
  msi_container *tree = object_to_tree(alloc, msi_as_container(*object));
  if (tree == NULL) return MS_ENOMEM;
  const ms_value *changed = &tree->head;
  ms_status st = tree_put(alloc, &changed, true, lookup, value);
  if (st != MS_OK) {
    ms_value_release(changed);
    return st;
  }
  ms_value_release(*object);
  *object = changed;
  return MS_OK;
}

static ms_status object_put(const ms_alloc *alloc, const ms_value **object,
                            const msi_lookup *lookup, const ms_value *value) {
  msi_container *old = msi_as_container(*object);
  const ms_value *present = msi_object_find(*object, lookup);
  if (present == value) return MS_OK;
  if (old->bytes + ms_value_bytes(value) + lookup->length > MSI_BYTES_MAX)
    return MS_ELIMIT;
  if (present == NULL && old->count == MSI_COUNT_MAX) return MS_ELIMIT;
  /* An object that is put into itself has a second holder: its own new version. */
  bool owned = msi_refs_unique(&old->head.refs) && *object != value;
  if (object_is_tree(old)) return tree_put(alloc, object, owned, lookup, value);
  if (present == NULL && old->count == FLAT_MAX) {
    return object_outgrow(alloc, object, lookup, value);
  }
  return flat_put(alloc, object, owned, lookup, value);
}

static ms_status object_or_empty_put(const ms_alloc *alloc, const ms_value **object,
                                     const msi_lookup *lookup, const ms_value *value) {
  if (lookup->length > MS_KEY_MAX) return MS_ELIMIT;
  if (msi_is_object(*object)) return object_put(alloc, object, lookup, value);
  if (ms_value_type(*object) != MS_EMPTY) return MS_ETYPE;
  const ms_value *fresh = NULL;
  ms_status st = msi_object_new(alloc, 1, &fresh);
  if (st != MS_OK) return st;
  st = object_put(alloc, &fresh, lookup, value);
  if (st != MS_OK) {
    ms_value_release(fresh);
    return st;
  }
  *object = fresh;
  return MS_OK;
}

ms_status ms_value_put(const ms_alloc *alloc, const ms_value **object, const char *key,
                       size_t length, const ms_value *value) {
  if (length > MS_KEY_MAX) return MS_ELIMIT;
  msi_lookup lookup = {key, length, msi_string_hash(key, length), NULL};
  return object_or_empty_put(alloc, object, &lookup, value);
}

ms_status msi_object_put(const ms_alloc *alloc, const ms_value **object,
                         const ms_value *key, const ms_value *value) {
  if (!msi_is_string(key)) return MS_ETYPE;
  msi_lookup lookup = msi_lookup_string(key);
  return object_or_empty_put(alloc, object, &lookup, value);
}

static ms_status flat_erase(const ms_alloc *alloc, const ms_value **object, bool owned,
                            const msi_lookup *lookup) {
  msi_container *old = msi_as_container(*object);
  bool found = false;
  unsigned at = flat_search(old, lookup, &found);
  MSI_ASSERT(found);
  msi_container *changed = owned ? old : flat_copy(alloc, old, old->count);
  if (changed == NULL) return MS_ENOMEM;
  msi_entry gone = msi_object_entries(changed)[at];
  flat_remove(changed, at);
  ms_value_release(gone.key);
  ms_value_release(gone.value);
  if (!owned) ms_value_release(*object);
  *object = &changed->head;
  return MS_OK;
}

static ms_status tree_erase(const ms_alloc *alloc, const ms_value **object, bool owned,
                            const msi_lookup *lookup) {
  msi_container *old = msi_as_container(*object);
  msi_container *changed = owned ? old : object_alloc(alloc, MSI_TREE, 0);
  if (changed == NULL) return MS_ENOMEM;
  msi_node *root = *msi_object_root(old);
  const msi_entry *entry = msi_trie_find(root, lookup);
  MSI_ASSERT(entry != NULL);
  uint64_t shrunk = ms_value_bytes(entry->key) + ms_value_bytes(entry->value);
  ms_status st = msi_trie_erase(alloc, &root, owned, lookup);
  if (st != MS_OK) {
    if (!owned) msi_alloc_free(changed->head.alloc, changed, object_block_bytes(changed));
    return st;
  }
  *msi_object_root(changed) = root;
  changed->count = old->count - 1;
  changed->bytes = old->bytes - shrunk;
  if (!owned) ms_value_release(*object);
  *object = &changed->head;
  return MS_OK;
}

static ms_status object_erase(const ms_alloc *alloc, const ms_value **object,
                              const msi_lookup *lookup) {
  if (ms_value_type(*object) == MS_EMPTY) return MS_OK;
  if (!msi_is_object(*object)) return MS_ETYPE;
  if (msi_object_find(*object, lookup) == NULL) return MS_OK;
  msi_container *old = msi_as_container(*object);
  bool owned = msi_refs_unique(&old->head.refs);
  if (!object_is_tree(old)) return flat_erase(alloc, object, owned, lookup);
  if (old->count > FLAT_MAX + 1) return tree_erase(alloc, object, owned, lookup);
  msi_container *flat = object_to_flat(alloc, old, lookup);
  if (flat == NULL) return MS_ENOMEM;
  ms_value_release(*object);
  *object = &flat->head;
  return MS_OK;
}

ms_status ms_value_erase(const ms_alloc *alloc, const ms_value **object, const char *key,
                         size_t length) {
  msi_lookup lookup = {key, length, msi_string_hash(key, length), NULL};
  return object_erase(alloc, object, &lookup);
}

ms_status msi_object_erase(const ms_alloc *alloc, const ms_value **object,
                           const ms_value *key) {
  if (!msi_is_string(key)) return MS_ETYPE;
  msi_lookup lookup = msi_lookup_string(key);
  return object_erase(alloc, object, &lookup);
}

/* ------------------------------------------------------------------ walking */

/* Words of a cursor: the object; then the next index (flat) or a trie's walk. */
enum { CURSOR_OBJECT, CURSOR_REST };
static_assert(CURSOR_REST + MSI_TRIE_WALK_WORDS <= sizeof(ms_cursor) / sizeof(uintptr_t),
              "ms_cursor has room for a walk");

void msi_object_cursor_init(ms_cursor *cursor, const ms_value *value) {
  const msi_container *object = msi_as_container(value);
  cursor->space[CURSOR_OBJECT] = (uintptr_t)value;
  cursor->space[CURSOR_REST] = 0;
  if (object_is_tree(object)) {
    msi_trie_walk_init(cursor->space + CURSOR_REST, *msi_object_root(object));
  }
}

const msi_entry *msi_object_cursor_next(ms_cursor *cursor) {
  const msi_container *object =
      msi_as_container((const ms_value *)cursor->space[CURSOR_OBJECT]);
  if (object_is_tree(object)) return msi_trie_walk_next(cursor->space + CURSOR_REST);
  size_t index = cursor->space[CURSOR_REST];
  if (index >= object->count) return NULL;
  cursor->space[CURSOR_REST] = index + 1;
  return msi_object_entries(object) + index;
}

bool msi_object_next(const ms_value *object, const ms_value *key,
                     const ms_value **next_key, const ms_value **value) {
  if (!msi_is_object(object)) return false;
  ms_cursor cursor;
  msi_object_cursor_init(&cursor, object);
  if (key != NULL) {
    if (!msi_is_string(key)) return false;
    const msi_container *container = msi_as_container(object);
    msi_lookup lookup = msi_lookup_string(key);
    bool found = false;
    if (object_is_tree(container)) {
      found = msi_trie_walk_seek(cursor.space + CURSOR_REST, *msi_object_root(container),
                                 &lookup);
    } else {
      cursor.space[CURSOR_REST] = flat_search(container, &lookup, &found) + 1u;
    }
    if (!found) return false;
  }
  return msi_cursor_next_key(&cursor, next_key, value);
}

/* ------------------------------------------------------------------ checking */

bool msi_object_check(const ms_value *value) {
  const msi_container *object = msi_as_container(value);
  uint64_t count = 0;
  uint64_t bytes = 0;
  if (object_is_tree(object)) {
    if (!msi_trie_check(*msi_object_root(object), &count, &bytes)) return false;
    return count == object->count && bytes == object->bytes && count > FLAT_MAX;
  }
  if (object->count > object->capacity || object->capacity > FLAT_MAX) return false;
  const msi_entry *entries = msi_object_entries(object);
  for (uint32_t i = 0; i < object->count; i++) {
    if (!msi_is_string(entries[i].key) || entries[i].value == NULL) return false;
    msi_lookup lookup = msi_lookup_string(entries[i].key);
    if (lookup.hash != msi_string_hash(lookup.bytes, lookup.length)) return false;
    if (object_tags(object)[i] != lookup.hash >> 24) return false;
    if (i + 1 < object->count && msi_lookup_compare(&lookup, entries[i + 1].key) >= 0) {
      return false;
    }
    bytes += ms_value_bytes(entries[i].key) + ms_value_bytes(entries[i].value);
  }
  return bytes == object->bytes;
}
