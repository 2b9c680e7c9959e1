/*
 * A trie over paths, with something of the caller's in each node.
 *
 * The nodes stand in one hash table under (parent, key), so that a step down costs O(1) at a million
 * children and a node costs no table of its own. They also stand in a list by age of their last touch:
 * touching goes from a node up to the root, so a parent is always younger than its children and the
 * oldest node is a leaf (or the root, when it is alone).
 */
#ifndef MSI_PATH_TRIE_H
#define MSI_PATH_TRIE_H

#include "path.h"

/* The first member of the caller's node type. */
typedef struct msi_path_trie_node {
  struct msi_path_trie_node *parent; /* NULL: the root */
  struct msi_path_trie_node *chain;  /* next in the hash bucket */
  struct msi_path_trie_node *older, *younger;
  const ms_value *key; /* retained string; NULL: the root */
  uint32_t hash;
  uint32_t depth;
  uint32_t children;
  uint32_t mark;   /* scratch of whoever walks the list */
  uint64_t serial; /* grows from node to node as they are made, so from parent to child */
  uint64_t age;    /* grows from the oldest to the youngest, so from child to parent */
} msi_path_trie_node;

typedef struct msi_path_trie {
  const ms_alloc *alloc;
  size_t node_bytes; /* of the caller's node type */
  size_t count;      /* nodes, the root included */
  size_t key_bytes;  /* of all keys together */
  msi_path_trie_node *root;
  msi_path_trie_node *oldest, *youngest;
  uint64_t serials, ages; /* the last ones given */
  msi_path_trie_node **buckets;
  size_t bucket_count; /* a power of two, 0 before the first child */
} msi_path_trie;

/* Makes the root. MS_ENOMEM. */
MS_CHECKED ms_status msi_path_trie_init(msi_path_trie *trie, const ms_alloc *alloc,
                                        size_t node_bytes);
void msi_path_trie_fini(msi_path_trie *trie);
/* Borrowed; NULL when there is none. */
msi_path_trie_node *msi_path_trie_child(const msi_path_trie *trie,
                                        const msi_path_trie_node *parent,
                                        const ms_value *key);
/* The child, made (zeroed, youngest) when there is none. MS_ENOMEM. */
MS_CHECKED ms_status msi_path_trie_add(msi_path_trie *trie, msi_path_trie_node *parent,
                                       const ms_value *key, msi_path_trie_node **out);
/* The node, then its parents, become the youngest. */
void msi_path_trie_touch(msi_path_trie *trie, msi_path_trie_node *node);
/* For who builds a trie again: the node, whose parents are not among those restored already, becomes the
 * youngest, with the number and the age that it had. Ages grow from call to call, up to the root's. */
void msi_path_trie_restore(msi_path_trie *trie, msi_path_trie_node *node, uint64_t serial,
                           uint64_t age);
/* Removes a leaf that is not the root. */
void msi_path_trie_remove(msi_path_trie *trie, msi_path_trie_node *node);
size_t msi_path_trie_bytes(const msi_path_trie *trie);
/* Structure and order of age, for tests. */
bool msi_path_trie_check(const msi_path_trie *trie);

#endif
