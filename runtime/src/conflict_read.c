/*
 * Reads: has something changed that a transaction read? See conflict.h for the rules.
 *
 * Only versions matter here, never timestamps. What stands in the nodes by version is enough: `touched`
 * of the node that was read for all that happened at or below it, and on the way there whatever puts
 * another value, or another element, where the path leads.
 *
 * A pure data structure; loop side.
 */
#include "conflict_index.h"

typedef struct question {
  const msi_conflicts *conflicts;
  const msi_patch *patch;
  msi_stamp best; /* the newest that changed it */
} question;

static void ask(question *self, const msi_stamps *all) {
  for (int i = 0; i < 2; i++) {
    const msi_stamp *one = &all->top[i];
    if (one->version <= self->patch->base || one->origin == self->patch->origin) continue;
    if (one->version > self->best.version) self->best = *one;
  }
}

/* What does something to elements of the array here. Appends leave those that are there alone, and who
 * finds none has read the array. */
static void ask_elements(question *self, const msi_op_node *node) {
  static const msi_position kinds[] = {MSI_POSITION_MOVE, MSI_POSITION_PULL,
                                       MSI_POSITION_TURN};
  if (node->positions == NULL) return;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    ask(self, &node->positions->kinds[kinds[i]]);
  }
}

static void ask_path(question *self, const ms_path *path, bool is_whole) {
  const msi_path_trie *trie = &self->conflicts->trie;
  const msi_path_trie_node *node = trie->root;
  for (uint32_t i = 0; i < path->count; i++) {
    const msi_op_node *ops = (const msi_op_node *)node;
    ask(self, &ops->replaced);
    ask_elements(self, ops);
    node = msi_path_trie_child(trie, node, path->segments[i].key);
    if (node == NULL) return;
  }
  const msi_op_node *ops = (const msi_op_node *)node;
  ask(self, is_whole ? &ops->touched : &ops->replaced);
}

static void lost(msi_conflict *out, const ms_path *path, const question *asked) {
  out->status = MS_ECONFLICT;
  out->path = path;
  out->by_read = true;
  out->winner_version = asked->best.version;
  out->winner = asked->best.origin;
  out->winner_wall_ms = asked->best.wall_ms;
}

bool msi_reads_conflict(const msi_conflicts *conflicts, const msi_patch *patch,
                        msi_conflict *out) {
  const msi_reads *reads = patch->reads;
  question self = {.conflicts = conflicts, .patch = patch};
  if (reads == NULL) return false;
  for (size_t i = 0; i < reads->count; i++) {
    ask_path(&self, reads->paths[i], i < reads->whole_count);
    if (self.best.version == 0) continue;
    lost(out, reads->paths[i], &self);
    return true;
  }
  ask(&self, &conflicts->position_floor);
  if (self.best.version == 0) return false;
  lost(out, reads->paths[0], &self);
  out->by_floor = true;
  return true;
}

/* Was something rejected after `base` at or above the path, or inside of what was read as a whole? */
static bool read_depends(const msi_path_trie *trie, const ms_path *path, bool is_whole,
                         uint64_t base) {
  const msi_rejected_node *node = (const msi_rejected_node *)trie->root;
  for (uint32_t i = 0; i < path->count; i++) {
    if (node->exact > base) return true;
    node = (const msi_rejected_node *)msi_path_trie_child(trie, &node->node,
                                                          path->segments[i].key);
    if (node == NULL) return false;
  }
  return (is_whole ? node->below : node->exact) > base;
}

const ms_path *msi_reads_depend(const msi_reads *reads, const msi_path_trie *rejected,
                                uint64_t base) {
  if (reads == NULL) return NULL;
  for (size_t i = 0; i < reads->count; i++) {
    if (read_depends(rejected, reads->paths[i], i < reads->whole_count, base))
      return reads->paths[i];
  }
  return NULL;
}
