/* What a transaction read. See reads.h. Pure; the trie is the owner's, the result is immutable. */
#include "reads.h"

#include <string.h>

enum { PATH_HEADER_BYTES = 3, KEY_HEADER_BYTES = 3 }; /* at most, packed */

typedef struct read_node {
  msi_path_trie_node node;
  msi_read_kind kind;
} read_node;

/* ----------------------------------------------------------------- lifetime */

static size_t reads_bytes(size_t count) {
  return sizeof(msi_reads) + count * sizeof(ms_path *);
}

static msi_reads *reads_new(const ms_alloc *alloc, size_t count) {
  msi_reads *reads = msi_alloc_zero(alloc, reads_bytes(count));
  if (reads == NULL) return NULL;
  reads->alloc = alloc;
  atomic_init(&reads->references, 1);
  reads->count = count;
  return reads;
}

msi_reads *msi_reads_retain(const msi_reads *reads) {
  msi_reads *counted = (msi_reads *)(uintptr_t)reads;
  if (counted == NULL) return NULL;
  atomic_fetch_add_explicit(&counted->references, 1, memory_order_relaxed);
  return counted;
}

void msi_reads_release(const msi_reads *reads) {
  msi_reads *counted = (msi_reads *)(uintptr_t)reads;
  if (counted == NULL) return;
  if (atomic_fetch_sub_explicit(&counted->references, 1, memory_order_acq_rel) > 1)
    return;
  for (size_t i = 0; i < counted->count; i++) ms_path_release(counted->paths[i]);
  msi_alloc_free(counted->alloc, counted, reads_bytes(counted->count));
}

/* --------------------------------------------------------------------- wire */

ms_status msi_reads_pack(msi_buffer *out, const msi_reads *reads) {
  size_t start = out->length;
  ms_status st = msi_pack_array(out, 2);
  if (st == MS_OK) st = msi_pack_array(out, reads->whole_count);
  for (size_t i = 0; i < reads->count && st == MS_OK; i++) {
    if (i == reads->whole_count)
      st = msi_pack_array(out, reads->count - reads->whole_count);
    if (st == MS_OK) st = msi_path_pack(out, reads->paths[i]);
  }
  if (st == MS_OK && reads->count == reads->whole_count) st = msi_pack_array(out, 0);
  if (st != MS_OK) out->length = start;
  return st;
}

/* How many paths are in the two lists. */
static ms_status reads_count(msi_reader in, size_t *wholes, size_t *others) {
  size_t lists = 0;
  ms_status st = msi_unpack_array(&in, &lists);
  if (st == MS_OK && lists != 2) st = MS_ETYPE;
  if (st == MS_OK) st = msi_unpack_array(&in, wholes);
  for (size_t i = 0; st == MS_OK && i < *wholes; i++) {
    const uint8_t *start;
    size_t bytes;
    st = msi_unpack_skip(&in, &start, &bytes);
  }
  if (st == MS_OK) st = msi_unpack_array(&in, others);
  return st;
}

/* The paths of one list, from `at` on. */
static ms_status list_unpack(msi_reader *in, msi_reads *reads, size_t at) {
  size_t count = 0;
  ms_status st = msi_unpack_array(in, &count);
  for (size_t i = 0; st == MS_OK && i < count; i++) {
    st = msi_path_unpack(in, reads->alloc, &reads->paths[at + i]);
  }
  return st;
}

ms_status msi_reads_unpack(msi_reader *in, const ms_alloc *alloc, msi_reads **out) {
  msi_reader reader = *in, after = *in;
  const uint8_t *start = NULL;
  size_t bytes = 0, wholes = 0, others = 0, lists = 0;
  ms_status st = msi_unpack_skip(&after, &start, &bytes);
  if (st == MS_OK && bytes > MSI_READS_BYTES_MAX) st = MS_ELIMIT;
  if (st == MS_OK) st = reads_count(reader, &wholes, &others);
  if (st != MS_OK) return st;
  if (wholes > MS_READS_MAX || others > MS_READS_MAX - wholes) return MS_ELIMIT;
  if (wholes + others == 0) return MS_ETYPE;
  msi_reads *reads = reads_new(msi_alloc_resolve(alloc), wholes + others);
  if (reads == NULL) return MS_ENOMEM;
  reads->whole_count = wholes;
  st = msi_unpack_array(&reader, &lists);
  if (st == MS_OK) st = list_unpack(&reader, reads, 0);
  if (st == MS_OK) st = list_unpack(&reader, reads, wholes);
  if (st != MS_OK) {
    msi_reads_release(reads);
    return st;
  }
  *in = after;
  *out = reads;
  return MS_OK;
}

/* ---------------------------------------------------------------- gathering */

ms_status msi_read_set_init(msi_read_set *set, const ms_alloc *alloc) {
  memset(set, 0, sizeof *set);
  set->is_empty = true;
  return msi_path_trie_init(&set->trie, alloc, sizeof(read_node));
}

void msi_read_set_fini(msi_read_set *set) {
  if (set->trie.root != NULL) msi_path_trie_fini(&set->trie);
}

static size_t packed_bytes(const msi_segment *segments, size_t count) {
  size_t bytes = PATH_HEADER_BYTES;
  for (size_t i = 0; i < count; i++) {
    const char *key = "";
    size_t length = 0;
    ms_status st = ms_value_to_string(segments[i].key, &key, &length);
    MSI_ASSERT(st == MS_OK);
    (void)st;
    bytes += KEY_HEADER_BYTES + length;
  }
  return bytes;
}

/* The two lists and the array around them take as much as a path's header or less. */
static bool set_has_room(const msi_read_set *set, size_t nodes, size_t bytes) {
  return set->trie.count + nodes <= MS_READS_MAX &&
         set->bytes + bytes <= MSI_READS_BYTES_MAX - 4 * PATH_HEADER_BYTES;
}

static void node_raise(msi_read_set *set, msi_path_trie_node *node, msi_read_kind kind) {
  read_node *read = (read_node *)node;
  MSI_ASSERT(read != NULL);
  if (kind > read->kind) read->kind = kind;
  set->is_empty = false;
}

ms_status msi_read_set_add(msi_read_set *set, const msi_segment *segments, size_t count,
                           msi_read_kind kind) {
  msi_path_trie_node *node = set->trie.root;
  size_t depth = 0;
  for (; depth < count; depth++) {
    if (((const read_node *)node)->kind == MSI_READ_WHOLE) return MS_OK;
    msi_path_trie_node *child =
        msi_path_trie_child(&set->trie, node, segments[depth].key);
    if (child == NULL) break;
    node = child;
  }
  if (((const read_node *)node)->kind == MSI_READ_WHOLE) return MS_OK;
  size_t bytes = packed_bytes(segments, count);
  /* A node that is there stands on the way to a path that was counted, and is no longer than that
   * one, which it takes the place of. */
  if (depth < count && !set_has_room(set, count - depth, bytes)) {
    node_raise(set, node, MSI_READ_WHOLE);
    return MS_OK;
  }
  msi_path_trie_node *first = NULL; /* of the new ones */
  ms_status st = MS_OK;
  for (; depth < count && st == MS_OK; depth++) {
    st = msi_path_trie_add(&set->trie, node, segments[depth].key, &node);
    if (st == MS_OK && first == NULL) first = node;
  }
  if (st != MS_OK) { /* back to where it was: nodes that lead nowhere would overlap */
    while (first != NULL) {
      msi_path_trie_node *parent = node->parent;
      bool is_last = node == first;
      msi_path_trie_remove(&set->trie, node);
      if (is_last) break;
      node = parent;
    }
    return st;
  }
  if (first != NULL) set->bytes += bytes;
  node_raise(set, node, kind);
  return MS_OK;
}

/* In one document. */
static ms_status note_in(msi_read_set *set, const ms_path *path, const ms_value *document,
                         msi_read_kind kind) {
  const ms_value *container = document;
  for (uint32_t i = 0; i < path->count; i++) {
    const msi_segment *segment = &path->segments[i];
    const ms_value *next =
        container == NULL ? NULL : msi_segment_find(segment, container);
    if (next == NULL) {
      ms_type type = container == NULL ? MS_OBJECT : ms_value_type(container);
      bool by_key =
          i == 0 || type == MS_OBJECT || (type == MS_EMPTY && segment->index < 0);
      return msi_read_set_add(set, path->segments, by_key ? i + 1 : i, MSI_READ_WHOLE);
    }
    container = next;
  }
  return msi_read_set_add(set, path->segments, path->count, kind);
}

ms_status msi_read_set_note(msi_read_set *set, const ms_path *path,
                            const ms_value *committed, const ms_value *view,
                            msi_read_kind kind) {
  ms_status status = note_in(set, path, committed, kind);
  bool is_there = view != NULL && ms_path_find(path, view) != NULL;
  return status != MS_OK || is_there ? status : note_in(set, path, view, kind);
}

bool msi_read_set_overlaps(const msi_read_set *set, const ms_path *path) {
  const msi_path_trie_node *node = set->trie.root;
  if (set->is_empty) return false;
  for (uint32_t i = 0; i < path->count; i++) {
    if (((const read_node *)node)->kind != MSI_READ_NONE) return true;
    node = msi_path_trie_child(&set->trie, node, path->segments[i].key);
    if (node == NULL) return false;
  }
  return true;
}

/* ---------------------------------------------------------------- compiling */

/* Does it say more than those above and below it? Who reads below a container meets what replaces it. */
static bool node_counts(const read_node *read, msi_read_kind kind) {
  if (read->kind != kind) return false;
  if (kind == MSI_READ_EXISTS && read->node.children > 0) return false;
  for (const msi_path_trie_node *at = read->node.parent; at != NULL; at = at->parent) {
    if (((const read_node *)at)->kind == MSI_READ_WHOLE) return false;
  }
  return true;
}

static size_t set_count(const msi_read_set *set, msi_read_kind kind) {
  size_t count = 0;
  for (const msi_path_trie_node *node = set->trie.oldest; node != NULL;
       node = node->younger) {
    if (node_counts((const read_node *)node, kind)) count++;
  }
  return count;
}

static ms_status node_path(const msi_read_set *set, const msi_path_trie_node *node,
                           ms_path **out) {
  msi_segment segments[MS_DEPTH_MAX];
  size_t count = node->depth;
  for (size_t i = count; i > 0; i--, node = node->parent) {
    const char *key = "";
    size_t length = 0;
    ms_status st = ms_value_to_string(node->key, &key, &length);
    if (st != MS_OK) return st;
    segments[i - 1] = (msi_segment){
        .key = node->key, .index = msi_key_index(key, length), .kind = MSI_SEGMENT_KEY};
  }
  return msi_path_from_segments(set->trie.alloc, segments, count, out);
}

static ms_status compile_kind(const msi_read_set *set, msi_read_kind kind,
                              msi_reads *reads, size_t at) {
  ms_status st = MS_OK;
  for (const msi_path_trie_node *node = set->trie.oldest; node != NULL && st == MS_OK;
       node = node->younger) {
    if (!node_counts((const read_node *)node, kind)) continue;
    st = node_path(set, node, &reads->paths[at]);
    at++;
  }
  return st;
}

ms_status msi_read_set_compile(const msi_read_set *set, msi_reads **out) {
  size_t wholes = set_count(set, MSI_READ_WHOLE);
  size_t others = set_count(set, MSI_READ_EXISTS);
  if (wholes + others == 0) {
    *out = NULL;
    return MS_OK;
  }
  msi_reads *reads = reads_new(set->trie.alloc, wholes + others);
  if (reads == NULL) return MS_ENOMEM;
  reads->whole_count = wholes;
  ms_status st = compile_kind(set, MSI_READ_WHOLE, reads, 0);
  if (st == MS_OK) st = compile_kind(set, MSI_READ_EXISTS, reads, wholes);
  if (st != MS_OK) {
    msi_reads_release(reads);
    return st;
  }
  *out = reads;
  return MS_OK;
}
