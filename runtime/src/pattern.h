/*
 * A trie of patterns: what subscriptions stand in, by the keys of their patterns.
 *
 * Children by literal key stand in one hash table under (parent, key) for the whole trie,
 * so that a node with thousands of children is found in as fast as one with two; `*` and
 * `**` are pointers in their parent. A node lives while it has children or users.
 */
#ifndef MSI_PATTERN_H
#define MSI_PATTERN_H

#include "path.h"

typedef struct msi_pattern_node {
  struct msi_pattern_node *parent; /* NULL: the root */
  msi_segment segment;             /* retained key; zero in the root */
  struct msi_pattern_node *any, *deep;
  struct msi_pattern_node *first;           /* of the literal children */
  struct msi_pattern_node *next, *previous; /* its siblings among them */
  struct msi_pattern_node *chain;           /* the next one in its bucket */
  uint32_t hash;
  uint32_t literals; /* literal children */
  void *users;       /* the caller's list of what ends here; NULL: nothing */
} msi_pattern_node;

typedef struct msi_patterns {
  const ms_alloc *alloc;
  msi_pattern_node root;
  msi_pattern_node **buckets;
  size_t bucket_count; /* a power of two, 0 before the first */
  size_t literal_count;
} msi_patterns;

void msi_patterns_init(msi_patterns *self, const ms_alloc *alloc);
/* Frees all nodes, used or not. */
void msi_patterns_fini(msi_patterns *self);
/* The node of a pattern, made when there is none; `**` after `**` is one `**`. The caller
 * sets its users, else drops it. MS_ENOMEM. */
MS_CHECKED ms_status msi_patterns_add(msi_patterns *self, const ms_path *pattern,
                                      msi_pattern_node **out);
/* The node has no users any more: frees it and its parents as far as nobody needs them. */
void msi_patterns_drop(msi_patterns *self, msi_pattern_node *node);
/* The literal child for a key, borrowed; NULL when there is none. */
msi_pattern_node *msi_patterns_child(const msi_patterns *self,
                                     const msi_pattern_node *parent, const char *key,
                                     size_t length);
/* Structure and counts, for tests. */
bool msi_patterns_check(const msi_patterns *self);

#endif
