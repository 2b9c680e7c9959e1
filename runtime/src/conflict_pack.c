/*
 * The conflict index in snapshots.
 *
 * Packed: [newest, blind, floor, position_floor, nodes, origins]
 *   nodes   [[parent, key, ops] ...], youngest first; parent is an index into the list
 *   ops     [below, exact, touched, replaced], or with the stamps of each kind of position behind
 *           them; nil instead of stamps: the same as those before
 *   stamps  [timestamp, origin, version, wall_ms, ...], none to two; also the floors
 *   origins [[origin, floor, newest, nodes] ...]
 *           with nodes [[parent, key, [exact, below]] ...], exact and below being versions
 *
 * A pure data structure; loop side.
 */
#include "conflict_index.h"

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

enum { LEAST_STAMPS = 4, ALL_STAMPS = LEAST_STAMPS + MSI_POSITION_COUNT };

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

/* Youngest first: parents stand before their children. */
static ms_status pack_trie(msi_buffer *out, const msi_path_trie *trie,
                           ms_status (*pack)(msi_buffer *, msi_path_trie_node *)) {
  ms_status status = msi_pack_array(out, trie->count);
  uint32_t index = 0;
  for (msi_path_trie_node *node = trie->youngest; node != NULL && status == MS_OK;
       node = node->older) {
    node->mark = index++;
    status = msi_pack_array(out, 3);
    if (status == MS_OK) {
      status = msi_pack_uint(out, node->parent == NULL ? 0 : node->parent->mark);
    }
    if (status == MS_OK) {
      status = node->parent == NULL ? msi_pack_nil(out) : msi_pack_value(out, node->key);
    }
    if (status == MS_OK) status = pack(out, node);
  }
  return status;
}

typedef ms_status (*unpack_fn)(msi_reader *in, void *ud, msi_path_trie_node *node);

static ms_status unpack_node(msi_reader *in, msi_path_trie *trie,
                             msi_path_trie_node **nodes, size_t index, unpack_fn unpack,
                             void *ud) {
  size_t fields = 0, length = 0;
  uint64_t parent = 0;
  const char *bytes = NULL;
  const ms_value *key = NULL;
  ms_status status = msi_unpack_array(in, &fields);
  if (status == MS_OK) status = msi_unpack_uint(in, &parent);
  if (status != MS_OK) return status;
  if (fields != 3) return MS_ETYPE;
  if (index == 0) {
    status = msi_unpack_nil(in);
    nodes[0] = trie->root;
  } else {
    if (parent >= index || nodes[parent]->depth == MS_DEPTH_MAX) return MS_ETYPE;
    status = msi_unpack_string(in, &bytes, &length);
    if (status != MS_OK) return status;
    if (length > MS_KEY_MAX) return MS_ELIMIT;
    status = ms_value_new_string(trie->alloc, bytes, length, &key);
    if (status != MS_OK) return status;
    size_t before = trie->count;
    status = msi_path_trie_add(trie, nodes[parent], key, &nodes[index]);
    ms_value_release(key);
    if (status == MS_OK && trie->count == before) return MS_ETYPE; /* twice the same */
    if (status == MS_OK) msi_path_trie_make_oldest(trie, nodes[index]);
  }
  return status == MS_OK ? unpack(in, ud, nodes[index]) : status;
}

/* Into a trie that has its root only. */
static ms_status unpack_trie(msi_reader *in, msi_path_trie *trie, size_t nodes_max,
                             unpack_fn unpack, void *ud) {
  size_t count = 0;
  ms_status status = msi_unpack_array(in, &count);
  if (status != MS_OK) return status;
  if (count > nodes_max) return MS_ELIMIT;
  if (count == 0 || count > (size_t)(in->end - in->at)) return MS_ETYPE;
  msi_path_trie_node **nodes = msi_alloc_get(trie->alloc, count * sizeof *nodes);
  if (nodes == NULL) return MS_ENOMEM;
  for (size_t i = 0; i < count && status == MS_OK; i++) {
    status = unpack_node(in, trie, nodes, i, unpack, ud);
  }
  msi_alloc_free(trie->alloc, nodes, count * sizeof *nodes);
  return status;
}

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

ms_status msi_conflicts_pack(msi_buffer *out, const msi_conflicts *conflicts) {
  ms_status status = msi_pack_array(out, 6);
  if (status == MS_OK) status = msi_pack_uint(out, conflicts->newest);
  if (status == MS_OK) status = msi_pack_uint(out, conflicts->blind);
  if (status == MS_OK) status = pack_stamps(out, &conflicts->floor);
  if (status == MS_OK) status = pack_stamps(out, &conflicts->position_floor);
  if (status == MS_OK) status = pack_trie(out, &conflicts->trie, pack_op_node);
  if (status == MS_OK) status = msi_pack_array(out, conflicts->record_count);
  for (size_t i = 0; i < conflicts->record_count && status == MS_OK; i++) {
    status = pack_record(out, conflicts->records[i]);
  }
  return status;
}

static ms_status unpack_body(msi_reader *in, msi_conflicts *conflicts) {
  size_t fields = 0, records = 0;
  uint64_t last = 0;
  ms_status status = msi_unpack_array(in, &fields);
  if (status != MS_OK) return status;
  if (fields != 6) return MS_ETYPE;
  status = msi_unpack_uint(in, &conflicts->newest);
  if (status == MS_OK) status = msi_unpack_uint(in, &conflicts->blind);
  if (status == MS_OK) status = unpack_stamps(in, false, &conflicts->floor);
  if (status == MS_OK) status = unpack_stamps(in, true, &conflicts->position_floor);
  if (status == MS_OK) {
    status = unpack_trie(in, &conflicts->trie, conflicts->nodes_max, unpack_op_node,
                         conflicts);
  }
  if (status == MS_OK) status = msi_unpack_array(in, &records);
  for (size_t i = 0; i < records && status == MS_OK; i++) {
    status = unpack_record(in, conflicts, &last);
  }
  return status;
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
