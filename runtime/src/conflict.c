/*
 * The conflict index. See conflict.h for what it decides.
 *
 * Two kinds of tries: one of operations, whose nodes hold stamps, and one per origin with unseen
 * rejections, whose nodes hold versions. Both are kept in bounds by evicting their oldest leaf.
 *
 * A pure data structure; loop side.
 */
#include "conflict.h"

#include <string.h>

#include "conflict_index.h"

/* Keys of one path, so that a path always fits. */
#define PATH_KEY_BYTES ((size_t)MS_DEPTH_MAX * MS_KEY_MAX)

/* ----- stamps */

/* The order of one kind of stamps. */
typedef bool (*beats_fn)(const msi_stamp *a, const msi_stamp *b);

static bool is_later(const msi_stamp *a, const msi_stamp *b) {
  return a->version > b->version;
}

static void stamps_keep(msi_stamps *all, const msi_stamp *one, beats_fn beats) {
  msi_stamp *top = all->top;
  if (one->version == 0) return;
  if (top[0].version == 0 || top[0].origin == one->origin) {
    if (top[0].version == 0 || beats(one, &top[0])) top[0] = *one;
  } else if (beats(one, &top[0])) {
    top[1] = top[0];
    top[0] = *one;
  } else if (top[1].version == 0 || beats(one, &top[1])) {
    top[1] = *one;
  }
}

void msi_stamps_note(msi_stamps *all, const msi_stamp *one) {
  stamps_keep(all, one, msi_stamp_beats);
}

void msi_stamps_note_version(msi_stamps *all, const msi_stamp *one) {
  stamps_keep(all, one, is_later);
}

/* Keeps in *best the newest operation that the writer of the patch had not seen. */
static void stamps_best(const msi_stamps *all, const msi_patch *patch, msi_stamp *best) {
  for (int i = 0; i < 2; i++) {
    const msi_stamp *one = &all->top[i];
    if (one->version <= patch->base || one->origin == patch->origin) continue;
    if (best->version == 0 || msi_stamp_beats(one, best)) *best = *one;
  }
}

/* ----- paths in tries */

typedef void (*evict_fn)(void *ud, msi_path_trie_node *node);

/* The node of a path, made when it is not there; whoever goes for it is reported to `evict`. */
static ms_status trie_reach(msi_path_trie *trie, const ms_path *path, size_t nodes_max,
                            evict_fn evict, void *ud, msi_path_trie_node **out) {
  size_t key_bytes_max = nodes_max * MSI_CONFLICT_KEY_BYTES;
  if (key_bytes_max < PATH_KEY_BYTES) key_bytes_max = PATH_KEY_BYTES;
  msi_path_trie_node *node = trie->root;
  uint32_t depth = 0;
  for (; depth < path->count; depth++) {
    msi_path_trie_node *child =
        msi_path_trie_child(trie, node, path->segments[depth].key);
    if (child == NULL) break;
    node = child;
  }
  msi_path_trie_touch(trie, node); /* or it might be the oldest */
  ms_status status = MS_OK;
  for (; depth < path->count && status == MS_OK; depth++) {
    const ms_value *key = path->segments[depth].key;
    size_t key_bytes = ms_path_key(path, depth).length;
    while (trie->count >= nodes_max || trie->key_bytes + key_bytes > key_bytes_max) {
      msi_path_trie_node *oldest = trie->oldest;
      MSI_ASSERT(oldest->parent != NULL);
      evict(ud, oldest);
      msi_path_trie_remove(trie, oldest);
    }
    status = msi_path_trie_add(trie, node, key, &node);
  }
  msi_path_trie_touch(trie, node);
  if (status == MS_OK) *out = node;
  return status;
}

static void evict_ops(void *ud, msi_path_trie_node *node) {
  msi_conflicts *conflicts = ud;
  msi_op_node *ops = (msi_op_node *)node;
  msi_conflicts_keep(conflicts, node);
  for (int i = 0; i < 2; i++) {
    msi_stamps_note(&conflicts->floor, &ops->below.top[i]);
    msi_stamps_note_version(&conflicts->position_floor, &ops->touched.top[i]);
    if (ops->positions == NULL) continue;
    const msi_stamps *turns = &ops->positions->kinds[MSI_POSITION_TURN];
    msi_stamps_note_version(&conflicts->position_floor, &turns->top[i]);
  }
  msi_positions_free(conflicts, ops);
}

static void evict_rejected(void *ud, msi_path_trie_node *node) {
  msi_origin_record *record = ud;
  const msi_rejected_node *rejected = (const msi_rejected_node *)node;
  if (rejected->below > record->floor) record->floor = rejected->below;
}

/* ----- records of origins */

static void record_drop_trie(msi_origin_record *record) {
  if (record->has_trie) msi_path_trie_fini(&record->trie);
  record->has_trie = false;
}

static void record_free(const ms_alloc *alloc, msi_origin_record *record) {
  if (record == NULL) return;
  record_drop_trie(record);
  MSI_FREE(alloc, record);
}

/* The place of an origin in the sorted list: where it is, or where it would be. */
static size_t record_place(const msi_conflicts *conflicts, uint64_t origin) {
  size_t low = 0, high = conflicts->record_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (conflicts->records[middle]->origin < origin)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static msi_origin_record *record_find(const msi_conflicts *conflicts, uint64_t origin) {
  size_t place = record_place(conflicts, origin);
  if (place == conflicts->record_count) return NULL;
  msi_origin_record *record = conflicts->records[place];
  return record->origin == origin ? record : NULL;
}

ms_status msi_conflicts_record(msi_conflicts *conflicts, uint64_t origin,
                               msi_origin_record **out) {
  const ms_alloc *alloc = conflicts->alloc;
  if (conflicts->record_count == conflicts->record_capacity) {
    size_t capacity =
        conflicts->record_capacity == 0 ? 4 : conflicts->record_capacity * 2;
    msi_origin_record **records = msi_alloc_resize(
        alloc, conflicts->records, conflicts->record_capacity * sizeof *records,
        capacity * sizeof *records);
    if (records == NULL) return MS_ENOMEM;
    conflicts->records = records;
    conflicts->record_capacity = capacity;
  }
  msi_origin_record *record = MSI_NEW(alloc, msi_origin_record);
  if (record == NULL) return MS_ENOMEM;
  record->origin = origin;
  size_t place = record_place(conflicts, origin);
  memmove(&conflicts->records[place + 1], &conflicts->records[place],
          (conflicts->record_count - place) * sizeof *conflicts->records);
  conflicts->records[place] = record;
  conflicts->record_count++;
  *out = record;
  return MS_OK;
}

static void record_drop(msi_conflicts *conflicts, uint64_t origin) {
  size_t place = record_place(conflicts, origin);
  if (place == conflicts->record_count) return;
  msi_origin_record *record = conflicts->records[place];
  if (record->origin != origin) return;
  record_free(conflicts->alloc, record);
  conflicts->record_count--;
  memmove(&conflicts->records[place], &conflicts->records[place + 1],
          (conflicts->record_count - place) * sizeof *conflicts->records);
}

/* The origin has seen everything up to `base`. */
static void record_seen(msi_conflicts *conflicts, uint64_t origin, uint64_t base) {
  msi_origin_record *record = record_find(conflicts, origin);
  if (record != NULL && record->newest <= base) record_drop(conflicts, origin);
}

/* ----- lifetime */

ms_status msi_conflicts_new(const ms_alloc *alloc, size_t nodes_max,
                            msi_conflicts **out) {
  alloc = msi_alloc_resolve(alloc);
  msi_conflicts *conflicts = MSI_NEW(alloc, msi_conflicts);
  if (conflicts == NULL) return MS_ENOMEM;
  conflicts->alloc = alloc;
  conflicts->nodes_max =
      nodes_max < MSI_CONFLICT_NODES_LEAST ? MSI_CONFLICT_NODES_LEAST : nodes_max;
  ms_status status = msi_path_trie_init(&conflicts->trie, alloc, sizeof(msi_op_node));
  if (status != MS_OK) {
    MSI_FREE(alloc, conflicts);
    return status;
  }
  *out = conflicts;
  return MS_OK;
}

void msi_conflicts_free(msi_conflicts *conflicts) {
  if (conflicts == NULL) return;
  MSI_ASSERT(conflicts->packers == NULL);
  const ms_alloc *alloc = conflicts->alloc;
  for (size_t i = 0; i < conflicts->record_count; i++) {
    record_free(alloc, conflicts->records[i]);
  }
  msi_alloc_free(alloc, conflicts->records,
                 conflicts->record_capacity * sizeof *conflicts->records);
  for (msi_path_trie_node *node = conflicts->trie.oldest; node != NULL;
       node = node->younger) {
    msi_positions_free(conflicts, (msi_op_node *)node);
  }
  msi_path_trie_fini(&conflicts->trie);
  MSI_FREE(alloc, conflicts);
}

/* ----- asking */

static void lost(msi_conflict *out, const ms_path *path, const msi_stamp *winner) {
  out->status = MS_ECONFLICT;
  out->path = path;
  out->winner_version = winner->version;
  out->winner = winner->origin;
  out->winner_wall_ms = winner->wall_ms;
}

/* Does this operation want to be the newest at its path? */
static bool op_may_lose(const msi_op *op, const ms_value *root) {
  if (op->class_ != MSI_CLASS_ABSOLUTE) return false;
  if (op->code != MSI_CODE_SET || root == NULL) return true;
  const ms_value *standing = ms_path_find(op->path, root);
  return standing == NULL || !ms_value_equal(standing, op->operand);
}

/* The newest foreign operation at, above or below the path. */
static void ops_best(const msi_conflicts *conflicts, const ms_path *path,
                     const msi_patch *patch, msi_stamp *best) {
  const msi_path_trie_node *node = conflicts->trie.root;
  for (uint32_t i = 0; i < path->count; i++) {
    stamps_best(&((const msi_op_node *)node)->exact, patch, best);
    node = msi_path_trie_child(&conflicts->trie, node, path->segments[i].key);
    if (node == NULL) return;
  }
  stamps_best(&((const msi_op_node *)node)->below, patch, best);
}

/* Does the operation go into an array by position? */
static bool goes_by_index(const ms_update *update, const msi_op *op) {
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *mark = &update->ops[i];
    if (mark->code == MSI_CODE_MARK && mark->path->count < op->path->count &&
        msi_path_begins(mark->path, op->path)) {
      return true;
    }
  }
  return false;
}

/* Does this operation build on something rejected after `base`? */
static bool op_depends(const msi_path_trie *trie, const ms_update *update,
                       const msi_op *op, uint64_t base) {
  const msi_rejected_node *node = (const msi_rejected_node *)trie->root;
  for (uint32_t i = 0; i < op->path->count; i++) {
    if (node->exact > base) return true;
    node = (const msi_rejected_node *)msi_path_trie_child(trie, &node->node,
                                                          op->path->segments[i].key);
    if (node == NULL) return false;
  }
  if (op->code == MSI_CODE_SET || op->code == MSI_CODE_UNSET) {
    return node->below > base && goes_by_index(update, op);
  }
  bool is_beyond = op->code == MSI_CODE_MARK && op->operand != ms_value_bool(false);
  if (op->class_ == MSI_CLASS_GUARD && !is_beyond) return node->exact > base;
  return node->below > base;
}

/* The path that was written or read and falls with an own rejection, NULL when none does. */
static const ms_path *patch_depends(const msi_conflicts *conflicts,
                                    const msi_patch *patch, bool *by_floor) {
  const ms_update *update = patch->update;
  const msi_origin_record *record = record_find(conflicts, patch->origin);
  if (patch->base < conflicts->blind || (record != NULL && patch->base < record->floor)) {
    *by_floor = true;
    return update->ops->path;
  }
  if (record == NULL || !record->has_trie) return NULL;
  for (uint32_t i = 0; i < update->op_count; i++) {
    if (msi_code_is_of_desk(update->ops[i].code)) continue;
    if (op_depends(&record->trie, update, &update->ops[i], patch->base))
      return update->ops[i].path;
  }
  return msi_reads_depend(patch->reads, &record->trie, patch->base);
}

/* Was something moved, or lost to a newer operation? */
static bool patch_loses(const msi_conflicts *conflicts, const msi_patch *patch,
                        const ms_value *root, msi_conflict *out) {
  const msi_stamp self = {.timestamp = patch->timestamp, .origin = patch->origin};
  const ms_update *update = patch->update;
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *op = &update->ops[i];
    if (msi_code_is_of_desk(op->code)) continue;
    msi_stamp best = {0};
    if (msi_positions_conflict(conflicts, patch, i, &best, &out->by_floor)) {
      lost(out, op->path, &best);
      return true;
    }
    if (!op_may_lose(op, root)) continue;
    ops_best(conflicts, op->path, patch, &best);
    if (best.version == 0 || !msi_stamp_beats(&best, &self)) continue;
    lost(out, op->path, &best);
    return true;
  }
  return false;
}

/* Is an absolute write based below what was evicted? */
static bool patch_is_too_old(const msi_conflicts *conflicts, const msi_patch *patch,
                             const ms_value *root, msi_conflict *out) {
  const msi_stamp self = {.timestamp = patch->timestamp, .origin = patch->origin};
  const ms_update *update = patch->update;
  msi_stamp evicted = {0};
  stamps_best(&conflicts->floor, patch, &evicted);
  if (evicted.version == 0 || !msi_stamp_beats(&evicted, &self)) return false;
  for (uint32_t i = 0; i < update->op_count; i++) {
    if (!op_may_lose(&update->ops[i], root)) continue;
    lost(out, update->ops[i].path, &evicted);
    out->by_floor = true;
    return true;
  }
  return false;
}

void msi_conflicts_check(const msi_conflicts *conflicts, const msi_patch *patch,
                         const ms_value *root, msi_conflict *out) {
  memset(out, 0, sizeof *out);
  if (patch->reads == NULL && msi_update_is_of_desk(patch->update)) return;
  if (msi_reads_conflict(conflicts, patch, out)) return;
  if (patch_loses(conflicts, patch, root, out)) return;
  if (patch_is_too_old(conflicts, patch, root, out)) return;
  const ms_path *path = patch_depends(conflicts, patch, &out->by_floor);
  if (path == NULL) return;
  out->status = MS_ECONFLICT;
  out->path = path;
  out->by_dependence = true;
}

/* ----- noting */

static bool has_condition(const ms_update *update) {
  for (uint32_t i = 0; i < update->op_count; i++) {
    if (update->ops[i].code == MSI_CODE_WHERE) return true;
  }
  return false;
}

static void note_op(msi_conflicts *conflicts, msi_op_node *ops, const msi_op *op,
                    const msi_stamp *one, bool is_open) {
  msi_positions_note(conflicts, ops, op, one, is_open);
  if (op->code == MSI_CODE_MARK) return;
  bool appends = (op->code == MSI_CODE_PUSH || op->code == MSI_CODE_ADD_TO_SET) &&
                 op->selection == NULL;
  if (!appends) msi_stamps_note(&ops->exact, one);
  for (msi_path_trie_node *at = &ops->node; at != NULL; at = at->parent) {
    msi_stamps_note(&((msi_op_node *)at)->below, one);
    msi_stamps_note_version(&((msi_op_node *)at)->touched, one);
  }
}

static void note_patch(msi_conflicts *conflicts, const msi_entry *entry) {
  const ms_update *update = entry->patch.update;
  const msi_stamp one = {.timestamp = entry->patch.timestamp,
                         .origin =
                             entry->kind == MSI_ENTRY_HOUSE ? 0 : entry->patch.origin,
                         .version = entry->version,
                         .wall_ms = entry->patch.wall_ms};
  bool is_conditional = has_condition(update);
  msi_stamp turn = one; /* as nobody's, so that its writer meets it, too */
  turn.origin = 0;
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *op = &update->ops[i];
    if (op->class_ == MSI_CLASS_GUARD && op->code != MSI_CODE_MARK) continue;
    msi_path_trie_node *node = NULL;
    msi_conflicts_keep_path(conflicts, op->path);
    ms_status status = trie_reach(&conflicts->trie, op->path, conflicts->nodes_max,
                                  evict_ops, conflicts, &node);
    if (status == MS_OK) {
      msi_op_node *ops = (msi_op_node *)node;
      bool is_open =
          is_conditional || msi_positions_are_open(conflicts, ops, op, &entry->patch);
      note_op(conflicts, ops, op, &one, is_open);
    } else {
      msi_stamps_note(&conflicts->floor, &one);
      msi_stamps_note_version(&conflicts->position_floor, is_conditional ? &turn : &one);
    }
  }
}

static ms_status record_note_path(msi_conflicts *conflicts, msi_origin_record *record,
                                  const ms_path *path, uint64_t version) {
  if (!record->has_trie) {
    ms_status status =
        msi_path_trie_init(&record->trie, conflicts->alloc, sizeof(msi_rejected_node));
    if (status != MS_OK) return status;
    record->has_trie = true;
  }
  msi_path_trie_node *node = NULL;
  ms_status status = trie_reach(&record->trie, path, MSI_CONFLICT_REJECTED_NODES,
                                evict_rejected, record, &node);
  if (status != MS_OK) return status;
  ((msi_rejected_node *)node)->exact = version;
  for (; node != NULL; node = node->parent) ((msi_rejected_node *)node)->below = version;
  return MS_OK;
}

static void note_rejection(msi_conflicts *conflicts, const msi_entry *entry) {
  msi_origin_record *record = record_find(conflicts, entry->patch.origin);
  if (record == NULL &&
      msi_conflicts_record(conflicts, entry->patch.origin, &record) != MS_OK) {
    conflicts->blind = entry->version;
    return;
  }
  record->newest = entry->version;
  ms_status status = MS_OK;
  for (size_t i = 0; i < entry->refusal.path_count && status == MS_OK; i++) {
    status = record_note_path(conflicts, record, entry->refusal.paths[i], entry->version);
  }
  if (status != MS_OK) record->floor = entry->version;
}

void msi_conflicts_note(msi_conflicts *conflicts, const msi_entry *entry) {
  MSI_ASSERT(entry->version > conflicts->newest);
  conflicts->newest = entry->version;
  switch (entry->kind) {
    case MSI_ENTRY_PATCH:
      record_seen(conflicts, entry->patch.origin, entry->patch.base);
      note_patch(conflicts, entry);
      break;
    case MSI_ENTRY_REJECT:
      record_seen(conflicts, entry->patch.origin, entry->patch.base);
      note_rejection(conflicts, entry);
      break;
    case MSI_ENTRY_JOIN: break;
    case MSI_ENTRY_HOUSE: note_patch(conflicts, entry); break; /* as nobody's */
    case MSI_ENTRY_RETIRE:
      record_drop(conflicts, entry->patch.origin);
      if (entry->patch.update != NULL) note_patch(conflicts, entry);
      break;
  }
}

/* ----- looking */

size_t msi_conflicts_bytes(const msi_conflicts *conflicts) {
  size_t bytes = sizeof *conflicts + msi_path_trie_bytes(&conflicts->trie) +
                 conflicts->record_capacity * sizeof *conflicts->records +
                 conflicts->position_count * sizeof(msi_positions);
  for (size_t i = 0; i < conflicts->record_count; i++) {
    const msi_origin_record *record = conflicts->records[i];
    bytes += sizeof *record;
    if (record->has_trie) bytes += msi_path_trie_bytes(&record->trie);
  }
  return bytes;
}

/* One patch may stand there twice, as its writer's and as nobody's: see msi_positions_note. */
static bool stamps_check(const msi_stamps *all, beats_fn beats) {
  if (all->top[1].version == 0) return true;
  return all->top[0].version != 0 && all->top[0].origin != all->top[1].origin &&
         !beats(&all->top[1], &all->top[0]);
}

static bool op_node_check(const msi_op_node *ops) {
  if (!stamps_check(&ops->exact, msi_stamp_beats) ||
      !stamps_check(&ops->below, msi_stamp_beats) ||
      !stamps_check(&ops->replaced, is_later) || !stamps_check(&ops->touched, is_later)) {
    return false;
  }
  for (int i = 0; i < MSI_POSITION_COUNT && ops->positions != NULL; i++) {
    if (!stamps_check(&ops->positions->kinds[i], is_later)) return false;
  }
  return true;
}

static bool record_check(const msi_origin_record *record) {
  if (!record->has_trie) return true;
  return msi_path_trie_check(&record->trie) &&
         record->trie.count <= MSI_CONFLICT_REJECTED_NODES;
}

bool msi_conflicts_check_structure(const msi_conflicts *conflicts) {
  if (!msi_path_trie_check(&conflicts->trie) ||
      conflicts->trie.count > conflicts->nodes_max) {
    return false;
  }
  for (const msi_path_trie_node *node = conflicts->trie.oldest; node != NULL;
       node = node->younger) {
    if (!op_node_check((const msi_op_node *)node)) return false;
  }
  for (size_t i = 0; i < conflicts->record_count; i++) {
    if (!record_check(conflicts->records[i])) return false;
    if (i > 0 && conflicts->records[i - 1]->origin >= conflicts->records[i]->origin) {
      return false;
    }
  }
  return stamps_check(&conflicts->floor, msi_stamp_beats) &&
         stamps_check(&conflicts->position_floor, is_later);
}
