/*
 * The trie of patterns. Invariants: a node other than the root has users or children once
 * msi_patterns_add() or _drop() has returned and the caller has set the users; each
 * literal child stands in the list of its parent and in exactly one bucket.
 */
#include "pattern.h"

#include <string.h>

/* ------------------------------------------------------------------ buckets */

static uint32_t child_hash(const msi_pattern_node *parent, const char *key,
                           size_t length) {
  uint64_t mixed = (uint64_t)(uintptr_t)parent * UINT64_C(0x9e3779b97f4a7c15);
  return msi_string_hash(key, length) ^ (uint32_t)(mixed >> 32);
}

static ms_key node_key(const msi_pattern_node *node) {
  ms_key key = {"", 0};
  ms_status st = ms_value_to_string(node->segment.key, &key.bytes, &key.length);
  MSI_ASSERT(st == MS_OK);
  (void)st;
  return key;
}

static msi_pattern_node **bucket_of(const msi_patterns *self, uint32_t hash) {
  return &self->buckets[hash & (self->bucket_count - 1)];
}

static ms_status grow_buckets(msi_patterns *self) {
  if (self->literal_count < self->bucket_count) return MS_OK;
  size_t count = self->bucket_count == 0 ? 16 : self->bucket_count * 2;
  msi_pattern_node **buckets = msi_alloc_zero(self->alloc, count * sizeof(buckets[0]));
  if (buckets == NULL) return MS_ENOMEM;
  msi_patterns bigger = *self;
  bigger.buckets = buckets;
  bigger.bucket_count = count;
  for (size_t i = 0; i < self->bucket_count; i++) {
    msi_pattern_node *node = self->buckets[i];
    while (node != NULL) {
      msi_pattern_node *chain = node->chain;
      msi_pattern_node **bucket = bucket_of(&bigger, node->hash);
      node->chain = *bucket;
      *bucket = node;
      node = chain;
    }
  }
  msi_alloc_free(self->alloc, self->buckets, self->bucket_count * sizeof(buckets[0]));
  self->buckets = buckets;
  self->bucket_count = count;
  return MS_OK;
}

msi_pattern_node *msi_patterns_child(const msi_patterns *self,
                                     const msi_pattern_node *parent, const char *key,
                                     size_t length) {
  if (parent->literals == 0) return NULL;
  uint32_t hash = child_hash(parent, key, length);
  msi_pattern_node *node = *bucket_of(self, hash);
  for (; node != NULL; node = node->chain) {
    if (node->hash != hash || node->parent != parent) continue;
    ms_key own = node_key(node);
    if (own.length == length && memcmp(own.bytes, key, length) == 0) return node;
  }
  return NULL;
}

/* -------------------------------------------------------------------- nodes */

static void link_literal(msi_patterns *self, msi_pattern_node *node) {
  msi_pattern_node *parent = node->parent;
  msi_pattern_node **bucket = bucket_of(self, node->hash);
  node->chain = *bucket;
  *bucket = node;
  node->next = parent->first;
  if (parent->first != NULL) parent->first->previous = node;
  parent->first = node;
  parent->literals++;
  self->literal_count++;
}

static void unlink_literal(msi_patterns *self, msi_pattern_node *node) {
  msi_pattern_node **slot = bucket_of(self, node->hash);
  while (*slot != node) slot = &(*slot)->chain;
  *slot = node->chain;
  if (node->previous == NULL) node->parent->first = node->next;
  if (node->previous != NULL) node->previous->next = node->next;
  if (node->next != NULL) node->next->previous = node->previous;
  node->parent->literals--;
  self->literal_count--;
}

static ms_status node_new(msi_patterns *self, msi_pattern_node *parent,
                          const msi_segment *segment, msi_pattern_node **out) {
  msi_pattern_node *node = MSI_NEW(self->alloc, msi_pattern_node);
  if (node == NULL) return MS_ENOMEM;
  node->parent = parent;
  node->segment = *segment;
  switch (segment->kind) {
    case MSI_SEGMENT_ANY: parent->any = node; break;
    case MSI_SEGMENT_DEEP: parent->deep = node; break;
    case MSI_SEGMENT_KEY: {
      ms_status st = grow_buckets(self);
      if (st != MS_OK) {
        MSI_FREE(self->alloc, node);
        return st;
      }
      ms_key key = node_key(node);
      node->hash = child_hash(parent, key.bytes, key.length);
      link_literal(self, node);
      break;
    }
  }
  ms_value_retain(segment->key);
  *out = node;
  return MS_OK;
}

static bool is_needed(const msi_pattern_node *node) {
  return node->parent == NULL || node->users != NULL || node->literals > 0 ||
         node->any != NULL || node->deep != NULL;
}

static void node_free(msi_patterns *self, msi_pattern_node *node) {
  switch (node->segment.kind) {
    case MSI_SEGMENT_ANY: node->parent->any = NULL; break;
    case MSI_SEGMENT_DEEP: node->parent->deep = NULL; break;
    case MSI_SEGMENT_KEY: unlink_literal(self, node); break;
  }
  ms_value_release(node->segment.key);
  MSI_FREE(self->alloc, node);
}

static msi_pattern_node *find_child(const msi_patterns *self,
                                    const msi_pattern_node *parent,
                                    const msi_segment *segment) {
  if (segment->kind == MSI_SEGMENT_ANY) return parent->any;
  if (segment->kind == MSI_SEGMENT_DEEP) return parent->deep;
  ms_key key = {"", 0};
  ms_status st = ms_value_to_string(segment->key, &key.bytes, &key.length);
  MSI_ASSERT(st == MS_OK);
  (void)st;
  return msi_patterns_child(self, parent, key.bytes, key.length);
}

/* ----------------------------------------------------------------- interface */

void msi_patterns_init(msi_patterns *self, const ms_alloc *alloc) {
  memset(self, 0, sizeof *self);
  self->alloc = alloc;
}

static msi_pattern_node *some_child(const msi_pattern_node *node) {
  if (node->first != NULL) return node->first;
  return node->any != NULL ? node->any : node->deep;
}

void msi_patterns_fini(msi_patterns *self) {
  msi_pattern_node *node = &self->root;
  for (;;) {
    msi_pattern_node *child = some_child(node);
    if (child != NULL) {
      node = child;
      continue;
    }
    if (node->parent == NULL) break;
    msi_pattern_node *parent = node->parent;
    node_free(self, node);
    node = parent;
  }
  msi_alloc_free(self->alloc, self->buckets,
                 self->bucket_count * sizeof(self->buckets[0]));
}

ms_status msi_patterns_add(msi_patterns *self, const ms_path *pattern,
                           msi_pattern_node **out) {
  msi_pattern_node *node = &self->root;
  for (size_t i = 0; i < pattern->count; i++) {
    const msi_segment *segment = &pattern->segments[i];
    if (segment->kind == MSI_SEGMENT_DEEP && node->segment.kind == MSI_SEGMENT_DEEP)
      continue;
    msi_pattern_node *child = find_child(self, node, segment);
    if (child == NULL) {
      ms_status st = node_new(self, node, segment, &child);
      if (st != MS_OK) {
        msi_patterns_drop(self, node);
        return st;
      }
    }
    node = child;
  }
  *out = node;
  return MS_OK;
}

void msi_patterns_drop(msi_patterns *self, msi_pattern_node *node) {
  while (!is_needed(node)) {
    msi_pattern_node *parent = node->parent;
    node_free(self, node);
    node = parent;
  }
}

/* -------------------------------------------------------------------- check */

static bool check_node(const msi_patterns *self, const msi_pattern_node *node,
                       size_t *literals) {
  if (!is_needed(node)) return false;
  size_t count = 0;
  const msi_pattern_node *previous = NULL;
  for (const msi_pattern_node *child = node->first; child != NULL; child = child->next) {
    ms_key key = node_key(child);
    if (child->parent != node || child->previous != previous) return false;
    if (child->segment.kind != MSI_SEGMENT_KEY) return false;
    if (msi_patterns_child(self, node, key.bytes, key.length) != child) return false;
    if (!check_node(self, child, literals)) return false;
    previous = child;
    count++;
  }
  *literals += count;
  if (count != node->literals) return false;
  if (node->any != NULL) {
    if (node->any->parent != node || !check_node(self, node->any, literals)) return false;
  }
  if (node->deep == NULL) return true;
  if (node->segment.kind == MSI_SEGMENT_DEEP || node->deep->parent != node) return false;
  return check_node(self, node->deep, literals);
}

bool msi_patterns_check(const msi_patterns *self) {
  size_t literals = 0;
  return check_node(self, &self->root, &literals) && literals == self->literal_count;
}
