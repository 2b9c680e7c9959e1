/* See path_trie.h. A pure data structure; the caller's thread. */
#include "path_trie.h"

#include <string.h>

#include "node.h"

enum { TRIE_BUCKETS_FIRST = 16 };

static size_t key_length(const ms_value *key) {
  const char *bytes = NULL;
  size_t length = 0;
  ms_status status = ms_value_to_string(key, &bytes, &length);
  (void)status; /* keys are strings */
  MSI_ASSERT(status == MS_OK);
  return length;
}

static uint32_t child_hash(const msi_path_trie_node *parent, const ms_value *key) {
  uint32_t hash = msi_string_value_hash(key); /* keys are strings */
  return (hash ^ (parent->hash * UINT32_C(0x9e3779b1))) * UINT32_C(0x85ebca6b);
}

static bool same_key(const ms_value *a, const ms_value *b) {
  if (a == b) return true;
  const msi_string *left = msi_as_string(a), *right = msi_as_string(b);
  return left->length == right->length &&
         memcmp(left->bytes, right->bytes, left->length) == 0;
}

/* ----- the list by age */

static void list_remove(msi_path_trie *trie, msi_path_trie_node *node) {
  if (node->older != NULL)
    node->older->younger = node->younger;
  else
    trie->oldest = node->younger;
  if (node->younger != NULL)
    node->younger->older = node->older;
  else
    trie->youngest = node->older;
}

static void list_append(msi_path_trie *trie, msi_path_trie_node *node) {
  node->age = ++trie->ages;
  node->older = trie->youngest;
  node->younger = NULL;
  if (trie->youngest != NULL)
    trie->youngest->younger = node;
  else
    trie->oldest = node;
  trie->youngest = node;
}

/* ----- the table */

static msi_path_trie_node **bucket_of(const msi_path_trie *trie, uint32_t hash) {
  return &trie->buckets[(hash ^ (hash >> 16)) & (trie->bucket_count - 1)];
}

/* Without memory the chains just get longer, except for the first table. */
static ms_status table_grow(msi_path_trie *trie) {
  if (trie->count < trie->bucket_count) return MS_OK;
  size_t old_count = trie->bucket_count;
  size_t count = old_count == 0 ? TRIE_BUCKETS_FIRST : old_count * 2;
  msi_path_trie_node **buckets = msi_alloc_zero(trie->alloc, count * sizeof *buckets);
  if (buckets == NULL) return old_count == 0 ? MS_ENOMEM : MS_OK;
  msi_path_trie_node **old = trie->buckets;
  trie->buckets = buckets;
  trie->bucket_count = count;
  for (size_t i = 0; i < old_count; i++) {
    msi_path_trie_node *next = NULL;
    for (msi_path_trie_node *node = old[i]; node != NULL; node = next) {
      next = node->chain;
      msi_path_trie_node **bucket = bucket_of(trie, node->hash);
      node->chain = *bucket;
      *bucket = node;
    }
  }
  msi_alloc_free(trie->alloc, old, old_count * sizeof *old);
  return MS_OK;
}

/* ----- what the header promises */

ms_status msi_path_trie_init(msi_path_trie *trie, const ms_alloc *alloc,
                             size_t node_bytes) {
  memset(trie, 0, sizeof *trie);
  MSI_ASSERT(node_bytes >= sizeof(msi_path_trie_node));
  trie->alloc = msi_alloc_resolve(alloc);
  trie->node_bytes = node_bytes;
  trie->root = msi_alloc_zero(trie->alloc, node_bytes);
  if (trie->root == NULL) return MS_ENOMEM;
  trie->count = 1;
  trie->root->serial = ++trie->serials;
  list_append(trie, trie->root);
  return MS_OK;
}

void msi_path_trie_fini(msi_path_trie *trie) {
  msi_path_trie_node *next = NULL;
  for (msi_path_trie_node *node = trie->oldest; node != NULL; node = next) {
    next = node->younger;
    ms_value_release(node->key);
    msi_alloc_free(trie->alloc, node, trie->node_bytes);
  }
  msi_alloc_free(trie->alloc, trie->buckets, trie->bucket_count * sizeof *trie->buckets);
  memset(trie, 0, sizeof *trie);
}

static msi_path_trie_node *table_find(const msi_path_trie *trie,
                                      const msi_path_trie_node *parent,
                                      const ms_value *key, uint32_t hash) {
  if (trie->bucket_count == 0) return NULL;
  for (msi_path_trie_node *node = *bucket_of(trie, hash); node != NULL;
       node = node->chain) {
    if (node->hash == hash && node->parent == parent && same_key(node->key, key)) {
      return node;
    }
  }
  return NULL;
}

msi_path_trie_node *msi_path_trie_child(const msi_path_trie *trie,
                                        const msi_path_trie_node *parent,
                                        const ms_value *key) {
  if (parent->children == 0) return NULL;
  return table_find(trie, parent, key, child_hash(parent, key));
}

ms_status msi_path_trie_add(msi_path_trie *trie, msi_path_trie_node *parent,
                            const ms_value *key, msi_path_trie_node **out) {
  uint32_t hash = child_hash(parent, key);
  msi_path_trie_node *node = table_find(trie, parent, key, hash);
  if (node == NULL) {
    ms_status status = table_grow(trie);
    if (status != MS_OK) return status;
    node = msi_alloc_zero(trie->alloc, trie->node_bytes);
    if (node == NULL) return MS_ENOMEM;
    node->parent = parent;
    node->key = ms_value_retain(key);
    node->hash = hash;
    node->depth = parent->depth + 1;
    node->serial = ++trie->serials;
    msi_path_trie_node **bucket = bucket_of(trie, hash);
    node->chain = *bucket;
    *bucket = node;
    list_append(trie, node);
    parent->children++;
    trie->count++;
    trie->key_bytes += key_length(key);
  }
  *out = node;
  return MS_OK;
}

void msi_path_trie_touch(msi_path_trie *trie, msi_path_trie_node *node) {
  for (; node != NULL; node = node->parent) {
    list_remove(trie, node);
    list_append(trie, node);
  }
}

void msi_path_trie_restore(msi_path_trie *trie, msi_path_trie_node *node, uint64_t serial,
                           uint64_t age) {
  list_remove(trie, node);
  list_append(trie, node);
  node->age = trie->ages = age;
  node->serial = serial;
  if (serial > trie->serials) trie->serials = serial;
}

void msi_path_trie_remove(msi_path_trie *trie, msi_path_trie_node *node) {
  MSI_ASSERT(node->children == 0);
  MSI_ASSERT(node->parent != NULL);
  msi_path_trie_node **at = bucket_of(trie, node->hash);
  while (*at != node) at = &(*at)->chain;
  *at = node->chain;
  list_remove(trie, node);
  node->parent->children--;
  trie->count--;
  trie->key_bytes -= key_length(node->key);
  ms_value_release(node->key);
  msi_alloc_free(trie->alloc, node, trie->node_bytes);
}

size_t msi_path_trie_bytes(const msi_path_trie *trie) {
  return trie->count * trie->node_bytes + trie->key_bytes +
         trie->bucket_count * sizeof *trie->buckets;
}

/* Every node is found from its parent, and children counts add up. Parents are younger: seen from the
 * youngest on, a parent is met before its children. */
bool msi_path_trie_check(const msi_path_trie *trie) {
  size_t count = 0, key_bytes = 0, children = 0;
  for (msi_path_trie_node *node = trie->oldest; node != NULL; node = node->younger)
    node->mark = 0;
  for (msi_path_trie_node *node = trie->youngest; node != NULL; node = node->older) {
    node->mark = 1;
    count++;
    children += node->children;
    if (node->older != NULL && node->older->age >= node->age) return false;
    if (node->age > trie->ages || node->serial > trie->serials) return false;
    if (node->parent == NULL) {
      if (node != trie->root || node->depth != 0) return false;
      continue;
    }
    if (node->parent->mark != 1 || node->depth != node->parent->depth + 1) return false;
    if (node->parent->serial >= node->serial) return false;
    if (msi_path_trie_child(trie, node->parent, node->key) != node) return false;
    key_bytes += key_length(node->key);
  }
  return count == trie->count && key_bytes == trie->key_bytes && children == count - 1;
}
