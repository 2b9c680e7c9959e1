/*
 * The conflict index in snapshots.
 *
 * Packed: [newest, blind, floor, position_floor, origins, nodes]
 *   nodes   [[serial, parent, age, key, ops] ...] in any order; parent is a serial, 0 for the root,
 *           whose key is nil
 *   ops     [below, exact, touched, replaced], or with the stamps of each kind of position behind
 *           them; nil instead of stamps: the same as those before
 *   stamps  [timestamp, origin, version, wall_ms, ...], none to two; also the floors
 *   origins [[origin, floor, newest, nodes] ...]
 *           with [exact, below] for ops, both being versions
 *
 * A packer walks through the nodes from the oldest to the youngest, while entries go on to touch them:
 *
 *     oldest  [ packed | next ... age of the packer ] [ touched or made since ]  youngest
 *
 * Touching moves nodes behind the packer's age. Those that it has not come to are packed at that
 * moment, so that the nodes from `next` up to its age are always as they were. They refer to their
 * parents, which may have been touched since, by numbers that never change.
 *
 * A pure data structure; loop side.
 */
#include <string.h>

#include "conflict_index.h"
#include "sort.h"

enum {
  INDEX_FIELDS = 6,
  NODE_FIELDS = 5,
  LEAST_STAMPS = 4,
  ALL_STAMPS = LEAST_STAMPS + MSI_POSITION_COUNT,
  NUMBER_BYTES_MAX = 9,
  /* Of one node but for its key's own bytes: heads, numbers, stamps. */
  NODE_BYTES_MAX = 8 + 3 * NUMBER_BYTES_MAX + ALL_STAMPS * (1 + 8 * NUMBER_BYTES_MAX)
};
#define COUNTER_MAX (UINT64_MAX / 2)

static ms_status pack_stamps(msi_buffer *out, const msi_stamps *all) {
  size_t count = all->top[0].version == 0 ? 0 : all->top[1].version == 0 ? 1 : 2;
  ms_status status = msi_pack_array(out, count * 4);
  for (size_t i = 0; i < count && status == MS_OK; i++) {
    const msi_stamp *one = &all->top[i];
    status = msi_pack_uint(out, one->timestamp);
    if (status == MS_OK) status = msi_pack_uint(out, one->origin);
    if (status == MS_OK) status = msi_pack_uint(out, one->version);
    if (status == MS_OK) status = msi_pack_int(out, one->wall_ms);
  }
  return status;
}

static ms_status unpack_stamp(msi_reader *in, msi_stamp *out) {
  ms_status status = msi_unpack_uint(in, &out->timestamp);
  if (status == MS_OK) status = msi_unpack_uint(in, &out->origin);
  if (status == MS_OK) status = msi_unpack_uint(in, &out->version);
  if (status == MS_OK) status = msi_unpack_int(in, &out->wall_ms);
  return status == MS_OK && out->version == 0 ? MS_ETYPE : status;
}

/* Foreign stamps must stand in order. */
static ms_status check_order(const msi_stamps *all, bool by_version) {
  const msi_stamp *first = &all->top[0], *second = &all->top[1];
  if (second->version == 0) return MS_OK;
  bool in_order =
      by_version ? first->version >= second->version : msi_stamp_beats(first, second);
  return in_order && first->origin != second->origin ? MS_OK : MS_ETYPE;
}

static ms_status unpack_stamps(msi_reader *in, bool by_version, msi_stamps *all) {
  size_t count = 0;
  ms_status status = msi_unpack_array(in, &count);
  if (status != MS_OK) return status;
  if (count % 4 != 0 || count > 8) return MS_ETYPE;
  for (size_t i = 0; i < count / 4 && status == MS_OK; i++) {
    status = unpack_stamp(in, &all->top[i]);
  }
  return status == MS_OK ? check_order(all, by_version) : status;
}

/* ----- nodes of operations */

static bool stamps_equal(const msi_stamps *a, const msi_stamps *b) {
  for (int i = 0; i < 2; i++) {
    const msi_stamp *x = &a->top[i], *y = &b->top[i];
    if (x->timestamp != y->timestamp || x->origin != y->origin ||
        x->version != y->version || x->wall_ms != y->wall_ms) {
      return false;
    }
  }
  return true;
}

/* The stamps of a node in the order of the wire. */
static size_t list_stamps(msi_op_node *ops, msi_stamps *list[ALL_STAMPS]) {
  list[0] = &ops->below;
  list[1] = &ops->exact;
  list[2] = &ops->touched;
  list[3] = &ops->replaced;
  if (ops->positions == NULL) return LEAST_STAMPS;
  for (int i = 0; i < MSI_POSITION_COUNT; i++) {
    list[LEAST_STAMPS + i] = &ops->positions->kinds[i];
  }
  return ALL_STAMPS;
}

static ms_status pack_op_node(msi_buffer *out, msi_path_trie_node *node) {
  msi_stamps *list[ALL_STAMPS];
  size_t count = list_stamps((msi_op_node *)node, list);
  ms_status status = msi_pack_array(out, count);
  for (size_t i = 0; i < count && status == MS_OK; i++) {
    bool is_same = i > 0 && stamps_equal(list[i], list[i - 1]);
    status = is_same ? msi_pack_nil(out) : pack_stamps(out, list[i]);
  }
  return status;
}

static ms_status unpack_op_node(msi_reader *in, void *ud, msi_path_trie_node *node) {
  msi_conflicts *conflicts = ud;
  msi_op_node *ops = (msi_op_node *)node;
  msi_stamps *list[ALL_STAMPS];
  size_t count = 0;
  ms_status status = msi_unpack_array(in, &count);
  if (status != MS_OK) return status;
  if (count != LEAST_STAMPS && count != ALL_STAMPS) return MS_ETYPE;
  if (count == ALL_STAMPS) status = msi_positions_reach(conflicts, ops);
  if (status != MS_OK) return status;
  (void)list_stamps(ops, list);
  for (size_t i = 0; i < count && status == MS_OK; i++) {
    bool by_version = i >= 2;
    if (i == 0 || msi_unpack_nil(in) != MS_OK) {
      status = unpack_stamps(in, by_version, list[i]);
    } else {
      *list[i] = *list[i - 1];
      status = check_order(list[i], by_version);
    }
  }
  return status;
}

/* ----- nodes of rejections */

static ms_status pack_rejected_node(msi_buffer *out, msi_path_trie_node *node) {
  const msi_rejected_node *rejected = (const msi_rejected_node *)node;
  ms_status status = msi_pack_array(out, 2);
  if (status == MS_OK) status = msi_pack_uint(out, rejected->exact);
  return status == MS_OK ? msi_pack_uint(out, rejected->below) : status;
}

static ms_status unpack_rejected_node(msi_reader *in, void *ud,
                                      msi_path_trie_node *node) {
  msi_rejected_node *rejected = (msi_rejected_node *)node;
  size_t count = 0;
  (void)ud;
  ms_status status = msi_unpack_array(in, &count);
  if (status == MS_OK && count != 2) status = MS_ETYPE;
  if (status == MS_OK) status = msi_unpack_uint(in, &rejected->exact);
  return status == MS_OK ? msi_unpack_uint(in, &rejected->below) : status;
}

/* ----- tries */

typedef ms_status (*pack_fn)(msi_buffer *, msi_path_trie_node *);

/* All of it, or nothing. */
static ms_status pack_node(msi_buffer *out, msi_path_trie_node *node, pack_fn pack) {
  size_t start = out->length;
  const msi_path_trie_node *parent = node->parent;
  ms_status status = msi_pack_array(out, NODE_FIELDS);
  if (status == MS_OK) status = msi_pack_uint(out, node->serial);
  if (status == MS_OK) status = msi_pack_uint(out, parent == NULL ? 0 : parent->serial);
  if (status == MS_OK) status = msi_pack_uint(out, node->age);
  if (status == MS_OK) {
    status = parent == NULL ? msi_pack_nil(out) : msi_pack_value(out, node->key);
  }
  if (status == MS_OK) status = pack(out, node);
  if (status != MS_OK) out->length = start;
  return status;
}

static ms_status pack_trie(msi_buffer *out, const msi_path_trie *trie, pack_fn pack) {
  ms_status status = msi_pack_array(out, trie->count);
  for (msi_path_trie_node *node = trie->oldest; node != NULL && status == MS_OK;
       node = node->younger) {
    status = pack_node(out, node, pack);
  }
  return status;
}

typedef ms_status (*unpack_fn)(msi_reader *in, void *ud, msi_path_trie_node *node);

/* A node that was read and is not part of the trie yet. */
typedef struct msi_packed {
  uint64_t serial, parent, age;
  const char *key; /* borrowed; NULL: the root */
  size_t key_bytes;
  const uint8_t *content;
  size_t content_bytes;
  msi_path_trie_node *node;
} msi_packed;

static ms_status read_node(msi_reader *in, msi_packed *out) {
  size_t fields = 0;
  ms_status status = msi_unpack_array(in, &fields);
  if (status == MS_OK && fields != NODE_FIELDS) status = MS_ETYPE;
  if (status == MS_OK) status = msi_unpack_uint(in, &out->serial);
  if (status == MS_OK) status = msi_unpack_uint(in, &out->parent);
  if (status == MS_OK) status = msi_unpack_uint(in, &out->age);
  if (status != MS_OK) return status;
  /* Numbers go on from these: they shall not come round. */
  if (out->serial > COUNTER_MAX || out->age > COUNTER_MAX) return MS_ETYPE;
  out->key = NULL;
  if (msi_unpack_nil(in) != MS_OK) {
    status = msi_unpack_string(in, &out->key, &out->key_bytes);
    if (status == MS_OK && out->key_bytes > MS_KEY_MAX) status = MS_ELIMIT;
  }
  out->node = NULL;
  return status == MS_OK ? msi_unpack_skip(in, &out->content, &out->content_bytes)
                         : status;
}

static int by_serial(void *ud, const void *a, const void *b) {
  const msi_packed *x = a, *y = b;
  (void)ud;
  return (x->serial > y->serial) - (x->serial < y->serial);
}

static int by_age(void *ud, const void *a, const void *b) {
  const msi_packed *x = a, *y = b;
  (void)ud;
  return (x->age > y->age) - (x->age < y->age);
}

/* Among the first `count` in the order of their serials. */
static const msi_packed *find_packed(const void *const *items, size_t count,
                                     uint64_t serial) {
  size_t low = 0, high = count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (((const msi_packed *)items[middle])->serial < serial) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  const msi_packed *found = low < count ? items[low] : NULL;
  return found != NULL && found->serial == serial ? found : NULL;
}

/* Puts the node of items[index] into the trie; those of lower serials are there. */
static ms_status place_node(msi_path_trie *trie, const void *const *items, size_t index,
                            msi_packed *self) {
  if (index == 0) {
    self->node = trie->root;
    return self->key == NULL && self->parent == 0 ? MS_OK : MS_ETYPE;
  }
  if (((const msi_packed *)items[index - 1])->serial == self->serial) return MS_ETYPE;
  const msi_packed *parent = find_packed(items, index, self->parent);
  if (self->key == NULL || parent == NULL || parent->age <= self->age) return MS_ETYPE;
  if (parent->node->depth == MS_DEPTH_MAX) return MS_ETYPE;
  const ms_value *key = NULL;
  size_t before = trie->count;
  ms_status status = ms_value_new_string(trie->alloc, self->key, self->key_bytes, &key);
  if (status != MS_OK) return status;
  status = msi_path_trie_add(trie, parent->node, key, &self->node);
  ms_value_release(key);
  return status == MS_OK && trie->count == before ? MS_ETYPE
                                                  : status; /* twice the same */
}

/* Into a trie that has its root only. `items`, in the order of the wire, is sorted twice. */
static ms_status build_trie(msi_path_trie *trie, const void **items, const void **spare,
                            size_t count, unpack_fn unpack, void *ud) {
  ms_status status = MS_OK;
  msi_sort(items, spare, count, by_serial, NULL);
  for (size_t i = 0; i < count && status == MS_OK; i++) {
    msi_packed *self = (msi_packed *)(uintptr_t)items[i];
    msi_reader content = {self->content, self->content + self->content_bytes};
    status = place_node(trie, items, i, self);
    if (status == MS_OK) status = unpack(&content, ud, self->node);
    if (status == MS_OK && content.at != content.end) status = MS_ETYPE;
  }
  if (status != MS_OK) return status;
  msi_sort(items, spare, count, by_age, NULL);
  for (size_t i = 0; i < count; i++) {
    const msi_packed *self = items[i];
    if (i > 0 && ((const msi_packed *)items[i - 1])->age == self->age) return MS_ETYPE;
    msi_path_trie_restore(trie, self->node, self->serial, self->age);
  }
  return MS_OK;
}

static ms_status unpack_trie(msi_reader *in, msi_path_trie *trie, size_t nodes_max,
                             unpack_fn unpack, void *ud) {
  size_t count = 0;
  ms_status status = msi_unpack_array(in, &count);
  if (status != MS_OK) return status;
  if (count > nodes_max) return MS_ELIMIT;
  if (count == 0 || count > (size_t)(in->end - in->at)) return MS_ETYPE;
  msi_packed *nodes = msi_alloc_get(trie->alloc, count * sizeof *nodes);
  const void **items = msi_alloc_get(trie->alloc, 2 * count * sizeof *items);
  if (nodes == NULL || items == NULL) status = MS_ENOMEM;
  for (size_t i = 0; i < count && status == MS_OK; i++) {
    items[i] = &nodes[i];
    status = read_node(in, &nodes[i]);
  }
  if (status == MS_OK) {
    status = build_trie(trie, items, items + count, count, unpack, ud);
  }
  msi_alloc_free(trie->alloc, nodes, count * sizeof *nodes);
  msi_alloc_free(trie->alloc, (void *)items, 2 * count * sizeof *items);
  return status;
}

/* ----- origins */

static ms_status pack_record(msi_buffer *out, const msi_origin_record *record) {
  ms_status status = msi_pack_array(out, 4);
  if (status == MS_OK) status = msi_pack_uint(out, record->origin);
  if (status == MS_OK) status = msi_pack_uint(out, record->floor);
  if (status == MS_OK) status = msi_pack_uint(out, record->newest);
  if (status != MS_OK) return status;
  if (!record->has_trie) return msi_pack_nil(out);
  return pack_trie(out, &record->trie, pack_rejected_node);
}

static ms_status unpack_record(msi_reader *in, msi_conflicts *conflicts, uint64_t *last) {
  size_t fields = 0;
  uint64_t origin = 0;
  msi_origin_record *record = NULL;
  ms_status status = msi_unpack_array(in, &fields);
  if (status == MS_OK) status = msi_unpack_uint(in, &origin);
  if (status != MS_OK) return status;
  if (fields != 4 || origin <= *last) return MS_ETYPE;
  *last = origin;
  status = msi_conflicts_record(conflicts, origin, &record);
  if (status == MS_OK) status = msi_unpack_uint(in, &record->floor);
  if (status == MS_OK) status = msi_unpack_uint(in, &record->newest);
  if (status != MS_OK) return status;
  if (msi_unpack_nil(in) == MS_OK) return MS_OK;
  status = msi_path_trie_init(&record->trie, conflicts->alloc, sizeof(msi_rejected_node));
  if (status != MS_OK) return status;
  record->has_trie = true;
  return unpack_trie(in, &record->trie, MSI_CONFLICT_REJECTED_NODES, unpack_rejected_node,
                     NULL);
}

/* ----- all of it */

/* What stands before the nodes, and how many these are. */
static ms_status pack_head(msi_buffer *out, const msi_conflicts *conflicts) {
  ms_status status = msi_pack_array(out, INDEX_FIELDS);
  if (status == MS_OK) status = msi_pack_uint(out, conflicts->newest);
  if (status == MS_OK) status = msi_pack_uint(out, conflicts->blind);
  if (status == MS_OK) status = pack_stamps(out, &conflicts->floor);
  if (status == MS_OK) status = pack_stamps(out, &conflicts->position_floor);
  if (status == MS_OK) status = msi_pack_array(out, conflicts->record_count);
  for (size_t i = 0; i < conflicts->record_count && status == MS_OK; i++) {
    status = pack_record(out, conflicts->records[i]);
  }
  return status;
}

ms_status msi_conflicts_pack(msi_buffer *out, const msi_conflicts *conflicts) {
  ms_status status = pack_head(out, conflicts);
  return status == MS_OK ? pack_trie(out, &conflicts->trie, pack_op_node) : status;
}

/* ----- the same in pieces */

struct msi_conflict_packer {
  msi_conflicts *conflicts;
  msi_conflict_packer *next_packer;
  msi_buffer kept;          /* packed and not taken yet */
  size_t taken;             /* of `kept` */
  msi_path_trie_node *next; /* NULL: all are packed */
  uint64_t age;             /* of the youngest node when the packer was made */
  bool failed;              /* a node was changed before it could be kept */
};

/* The next one has been packed. Those that are younger than the packer come and go as they like. */
static void packer_advance(msi_conflict_packer *packer) {
  msi_path_trie_node *next = packer->next->younger;
  packer->next = next != NULL && next->age <= packer->age ? next : NULL;
}

ms_status msi_conflict_packer_new(msi_conflicts *conflicts, msi_conflict_packer **out) {
  msi_conflict_packer *packer = MSI_NEW(conflicts->alloc, msi_conflict_packer);
  if (packer == NULL) return MS_ENOMEM;
  msi_buffer_init(&packer->kept, conflicts->alloc);
  ms_status status = pack_head(&packer->kept, conflicts);
  if (status == MS_OK) status = msi_pack_array(&packer->kept, conflicts->trie.count);
  if (status != MS_OK) {
    msi_buffer_fini(&packer->kept);
    MSI_FREE(conflicts->alloc, packer);
    return status;
  }
  packer->conflicts = conflicts;
  packer->next = conflicts->trie.oldest;
  packer->age = conflicts->trie.ages;
  packer->next_packer = conflicts->packers;
  conflicts->packers = packer;
  *out = packer;
  return MS_OK;
}

void msi_conflict_packer_free(msi_conflict_packer *packer) {
  if (packer == NULL) return;
  msi_conflict_packer **at = &packer->conflicts->packers;
  while (*at != packer) at = &(*at)->next_packer;
  *at = packer->next_packer;
  msi_buffer_fini(&packer->kept);
  MSI_FREE(packer->conflicts->alloc, packer);
}

uint64_t msi_conflict_packer_bytes_max(const msi_conflict_packer *packer) {
  const msi_path_trie *trie = &packer->conflicts->trie;
  return packer->kept.length + trie->key_bytes + (uint64_t)trie->count * NODE_BYTES_MAX;
}

ms_status msi_conflict_packer_step(msi_conflict_packer *packer, msi_buffer *out,
                                   size_t budget, bool *done) {
  size_t start = out->length, bytes = packer->kept.length - packer->taken;
  if (packer->failed) return MS_ENOMEM;
  if (bytes > budget) bytes = budget;
  ms_status status = msi_buffer_append(out, packer->kept.data + packer->taken, bytes);
  if (status != MS_OK) return status;
  packer->taken += bytes;
  if (packer->taken == packer->kept.length) {
    msi_buffer_clear(&packer->kept);
    packer->taken = 0;
  }
  while (out->length - start < budget && packer->next != NULL) {
    status = pack_node(out, packer->next, pack_op_node);
    if (status != MS_OK) return status;
    packer_advance(packer);
  }
  *done = packer->kept.length == 0 && packer->next == NULL;
  return MS_OK;
}

static void packer_keep(msi_conflict_packer *packer, msi_path_trie_node *node) {
  const msi_path_trie_node *next = packer->next;
  if (next == NULL || node->age < next->age || node->age > packer->age) return;
  if (pack_node(&packer->kept, node, pack_op_node) != MS_OK) packer->failed = true;
  if (node == next) packer_advance(packer);
}

void msi_conflicts_keep(const msi_conflicts *conflicts, msi_path_trie_node *node) {
  for (msi_conflict_packer *packer = conflicts->packers; packer != NULL;
       packer = packer->next_packer) {
    packer_keep(packer, node);
  }
}

/* Upwards, so from the oldest to the youngest: `next` never stops at one that is about to be touched. */
void msi_conflicts_keep_path(const msi_conflicts *conflicts, const ms_path *path) {
  msi_path_trie_node *node = conflicts->trie.root, *child = node;
  if (conflicts->packers == NULL) return;
  for (uint32_t i = 0; i < path->count && child != NULL; i++) {
    child = msi_path_trie_child(&conflicts->trie, node, path->segments[i].key);
    if (child != NULL) node = child;
  }
  for (; node != NULL; node = node->parent) msi_conflicts_keep(conflicts, node);
}

/* ----- and back */

static ms_status unpack_body(msi_reader *in, msi_conflicts *conflicts) {
  size_t fields = 0, records = 0;
  uint64_t last = 0;
  ms_status status = msi_unpack_array(in, &fields);
  if (status != MS_OK) return status;
  if (fields != INDEX_FIELDS) return MS_ETYPE;
  status = msi_unpack_uint(in, &conflicts->newest);
  if (status == MS_OK) status = msi_unpack_uint(in, &conflicts->blind);
  if (status == MS_OK) status = unpack_stamps(in, false, &conflicts->floor);
  if (status == MS_OK) status = unpack_stamps(in, true, &conflicts->position_floor);
  if (status == MS_OK) status = msi_unpack_array(in, &records);
  for (size_t i = 0; i < records && status == MS_OK; i++) {
    status = unpack_record(in, conflicts, &last);
  }
  if (status != MS_OK) return status;
  return unpack_trie(in, &conflicts->trie, conflicts->nodes_max, unpack_op_node,
                     conflicts);
}

ms_status msi_conflicts_unpack(msi_reader *in, const ms_alloc *alloc, size_t nodes_max,
                               msi_conflicts **out) {
  msi_conflicts *conflicts = NULL;
  msi_reader at = *in;
  ms_status status = msi_conflicts_new(alloc, nodes_max, &conflicts);
  if (status != MS_OK) return status;
  status = unpack_body(&at, conflicts);
  if (status != MS_OK) {
    msi_conflicts_free(conflicts);
    return status;
  }
  *in = at;
  *out = conflicts;
  return MS_OK;
}
