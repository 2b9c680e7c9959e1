/*
 * The matcher: finds the places of a trie of patterns at which two roots differ.
 *
 * What a pattern reports and where the matcher looks is said in hook.h, which it serves.
 */
#ifndef MSI_MATCHER_H
#define MSI_MATCHER_H

#include "pattern.h"

#define MSI_NO_STEP UINT32_MAX

/* A key of the path of a match. Steps form a tree: a parent stands before its children. */
typedef struct msi_step {
  uint32_t parent; /* MSI_NO_STEP: the first key */
  bool is_index;
  const ms_value *key; /* borrowed; NULL: the number of `index` */
  size_t index;
} msi_step;

/* A growing array that keeps its memory from one use to the next, unless that is much. */
typedef struct msi_scratch {
  void *items;
  size_t count, capacity, item_bytes;
} msi_scratch;

void *msi_scratch_add(msi_scratch *self, const ms_alloc *alloc); /* NULL: no memory */
void msi_scratch_reset(msi_scratch *self, const ms_alloc *alloc);
void msi_scratch_fini(msi_scratch *self, const ms_alloc *alloc);

typedef struct msi_matcher {
  const ms_alloc *alloc;
  msi_scratch steps, nodes, paths;
} msi_matcher;

void msi_matcher_init(msi_matcher *self, const ms_alloc *alloc);
void msi_matcher_fini(msi_matcher *self);
/* Forgets paths and steps. */
void msi_matcher_reset(msi_matcher *self);
/* One more path to look at: borrowed until the reset. MS_ENOMEM. */
MS_CHECKED ms_status msi_matcher_add_path(msi_matcher *self, const ms_path *path);

/* One match: a node with users, the last step of its path (MSI_NO_STEP: the root), and
 * the values there, NULL: nothing. Borrowed from the roots. */
typedef ms_status (*msi_match_fn)(void *ud, const msi_pattern_node *node, uint32_t step,
                                  const ms_value *old_value, const ms_value *new_value);
/*
 * Calls fn for each match, a container before what is in it. Nothing it leans on may
 * change before the end: the trie, the roots, the paths. The steps stay until the reset,
 * and their keys as long as roots, paths and the node of the match. `everywhere`: without
 * regard to the paths. Returns what fn did not return MS_OK, or MS_ENOMEM.
 */
MS_CHECKED ms_status msi_matcher_run(msi_matcher *self, const msi_patterns *patterns,
                                     const ms_value *old_root, const ms_value *new_root,
                                     bool everywhere, msi_match_fn fn, void *ud);
/*
 * One place below objects changed, from one scalar or nothing to another. Calls fn for each node that
 * matches there, with MSI_NO_STEP.
 */
MS_CHECKED ms_status msi_matcher_run_leaf(msi_matcher *self, const msi_patterns *patterns,
                                          const ms_path *path, const ms_value *old_value,
                                          const ms_value *new_value, msi_match_fn fn,
                                          void *ud);
/* Is there a pattern that matches a container on the way to such a place? MS_ENOMEM. */
MS_CHECKED ms_status msi_matcher_meets_above(msi_matcher *self,
                                             const msi_patterns *patterns,
                                             const ms_path *path, bool *out);
const msi_step *msi_matcher_step(const msi_matcher *self, uint32_t step);

#endif
