/*
 * The blocks that values are made of; private to the value layer.
 *
 * A reference is a word whose low two bits are a tag:
 *
 *   ...00  a heap block (struct ms_value and what follows it)
 *   ...01  an integer that fits in the other bits: 62, or 30 on 32-bit systems
 *   ...10  a constant: null, false, true, the empty table
 *   ...11  a double whose exponent is ordinary (64-bit systems only)
 *
 * A value that fits in the word never has a block, so two references to the same small
 * value are the same word.
 */
#ifndef MSI_NODE_H
#define MSI_NODE_H

#include <assert.h>
#include <stdatomic.h>

#include "value.h"

/* A count that got this far stays there: the block is never freed rather than freed too
 * early. */
#define MSI_REFS_STUCK 0xC0000000u
/* Encoded bytes of a container; more is MS_ELIMIT, so that sums do not overflow. */
#define MSI_BYTES_MAX ((uint64_t)1 << 60)
/* Items of a container: what MessagePack can announce. */
#define MSI_COUNT_MAX UINT32_MAX

enum { MSI_TAG_MASK = 3, MSI_TAG_INT = 1, MSI_TAG_CONSTANT = 2, MSI_TAG_DOUBLE = 3 };

/* ms_value.flags */
enum {
  MSI_UTF8 = 1, /* string: is valid UTF-8 */
  MSI_TREE = 2  /* container: a root pointer follows, else the items themselves do */
};

struct ms_value {
  _Atomic uint32_t refs;
  uint8_t type; /* ms_type */
  uint8_t flags;
  uint16_t unused;
  const ms_alloc *alloc;
};

typedef struct msi_number {
  ms_value head;
  union {
    int64_t integer;
    double real;
  } as;
} msi_number;

typedef struct msi_string {
  ms_value head;
  uint32_t length;
  _Atomic uint32_t hash; /* 0: not computed yet; always computed for keys of objects */
  char bytes[];          /* and a NUL */
} msi_string;

typedef struct msi_entry {
  const ms_value *key; /* a string */
  const ms_value *value;
} msi_entry;

/*
 * An array or object. Behind it stand either up to `capacity` items (and for objects as
 * many tag bytes, see object.c) or, with MSI_TREE, one pointer to the root of a tree.
 */
typedef struct msi_container {
  ms_value head;
  uint32_t count;
  uint32_t capacity;
  uint64_t bytes; /* the items encoded, without the container's own head */
} msi_container;

/* Containers whose last reference is gone and whose content is not released yet, linked through their
 * `bytes`. */
typedef struct msi_dead {
  msi_container *first;
} msi_dead;

static inline msi_container *msi_dead_next(const msi_container *container) {
  return (msi_container *)(uintptr_t)container->bytes;
}
static inline void msi_dead_link(msi_container *container, const msi_container *next) {
  container->bytes = (uint64_t)(uintptr_t)next;
}
/* Takes `count` out of a budget; false when it is used up. */
static inline bool msi_budget_spend(size_t *budget, size_t count) {
  *budget -= count < *budget ? count : *budget;
  return *budget > 0;
}

/* A key on its way into an object. */
typedef struct msi_lookup {
  const char *bytes;
  size_t length;
  uint32_t hash;
  const ms_value *string; /* borrowed; NULL: only bytes are known */
} msi_lookup;

static inline unsigned msi_tag(const ms_value *value) {
  return (unsigned)((uintptr_t)value & MSI_TAG_MASK);
}
static inline bool msi_is_heap(const ms_value *value) {
  return value != NULL && msi_tag(value) == 0;
}
static inline bool msi_is_string(const ms_value *value) {
  return msi_is_heap(value) && value->type == MS_STRING;
}
static inline bool msi_is_array(const ms_value *value) {
  return msi_is_heap(value) && value->type == MS_ARRAY;
}
static inline bool msi_is_object(const ms_value *value) {
  return msi_is_heap(value) && value->type == MS_OBJECT;
}
static inline const msi_string *msi_as_string(const ms_value *value) {
  return (const msi_string *)(const void *)value;
}
/* Only for containers that nobody else can see; reading goes through const. */
static inline msi_container *msi_as_container(const ms_value *value) {
  return (msi_container *)(uintptr_t)value;
}

static inline void msi_refs_retain(_Atomic uint32_t *refs) {
  uint32_t before = atomic_fetch_add_explicit(refs, 1, memory_order_relaxed);
  if (before >= MSI_REFS_STUCK)
    atomic_store_explicit(refs, MSI_REFS_STUCK, memory_order_relaxed);
}
/* True when that was the last one. */
static inline bool msi_refs_release(_Atomic uint32_t *refs) {
  uint32_t now = atomic_load_explicit(refs, memory_order_acquire);
  if (now == 1) return true; /* nobody else has one to copy */
  if (now >= MSI_REFS_STUCK) return false;
  return atomic_fetch_sub_explicit(refs, 1, memory_order_acq_rel) == 1;
}
static inline bool msi_refs_unique(const _Atomic uint32_t *refs) {
  return atomic_load_explicit(refs, memory_order_acquire) == 1;
}
static inline const ms_value *msi_retain(const ms_value *value) {
  if (msi_is_heap(value)) msi_refs_retain(&((ms_value *)(uintptr_t)value)->refs);
  return value;
}

/* ----- value.c */

void msi_value_init(ms_value *head, const ms_alloc *alloc, ms_type type);
/* Releases a reference; a container that dies joins `dead`. */
void msi_dead_release(msi_dead *dead, const ms_value *value);
/* Releases what dead containers hold, until none is left. */
void msi_dead_drain(msi_dead *dead);
/* The same for about as many keys, values and nodes as the budget says; true: none is left. */
bool msi_dead_step(msi_dead *dead, size_t *budget);

/* ----- string.c */

bool msi_utf8_valid(const char *bytes, size_t length);
uint32_t msi_string_value_hash(const ms_value *value);
/* hash first, then bytes: the order of objects. */
int msi_lookup_compare(const msi_lookup *lookup, const ms_value *key);
bool msi_lookup_matches(const msi_lookup *lookup, const ms_value *key);
msi_lookup msi_lookup_string(const ms_value *value);
/* The key as a string value, retained. */
MS_CHECKED ms_status msi_lookup_key(const ms_alloc *alloc, const msi_lookup *lookup,
                                    const ms_value **out);

/* ----- trie.c: the inside of large objects */

enum {
  MSI_TRIE_BITS = 4, /* of the hash, per level: the fanout is 16 */
  MSI_TRIE_FANOUT = 1 << MSI_TRIE_BITS,
  MSI_TRIE_FULL = (1 << MSI_TRIE_FANOUT) - 1, /* a map without a gap */
  MSI_TRIE_LEVELS = (32 + MSI_TRIE_BITS - 1) / MSI_TRIE_BITS
};

/*
 * A node of a trie: entries, then children, both in the order of their slots. Nodes below
 * the last level hold the keys that share one whole hash: `collided` entries in the order
 * of their bytes.
 */
typedef struct msi_node {
  _Atomic uint32_t refs;
  union {
    struct {
      uint16_t entries; /* bit n: slot n holds an entry */
      uint16_t children;
    } map;
    uint32_t collided;
  } has;
  const ms_alloc *alloc;
} msi_node;

/* How many of 16 bits are set. Unless a compiler may count on newer processors, its own
 * function for that is a call, twice per level of every walk. */
static inline unsigned msi_bits_count(unsigned bits) {
  bits -= (bits >> 1) & 0x5555;
  bits = (bits & 0x3333) + ((bits >> 2) & 0x3333);
  bits = (bits + (bits >> 4)) & 0x0f0f;
  return (bits + (bits >> 8)) & 0x1f;
}
static inline unsigned msi_trie_slot(uint32_t hash, unsigned level) {
  return (unsigned)(((uint64_t)hash << 32) >> (64 - MSI_TRIE_BITS * (level + 1))) &
         (MSI_TRIE_FANOUT - 1);
}
static inline unsigned msi_trie_index(unsigned map, unsigned slot) {
  return msi_bits_count(map & ((1u << slot) - 1));
}
static inline msi_entry *msi_node_entries(const msi_node *node) {
  return (msi_entry *)(uintptr_t)(node + 1);
}
static inline unsigned msi_node_entry_count(const msi_node *node, unsigned level) {
  return level == MSI_TRIE_LEVELS ? node->has.collided
                                  : msi_bits_count(node->has.map.entries);
}
static inline unsigned msi_node_child_count(const msi_node *node, unsigned level) {
  return level == MSI_TRIE_LEVELS ? 0 : msi_bits_count(node->has.map.children);
}
/* Not for collision nodes. */
static inline msi_node **msi_node_children(const msi_node *node) {
  return (msi_node **)(void *)(msi_node_entries(node) + msi_node_entry_count(node, 0));
}

/* The child in a slot that has one. The upper nodes of a large trie are full: to find the
 * child there the processor need not wait until the bits of a map have been counted. */
static inline msi_node *msi_node_child(const msi_node *node, unsigned slot) {
  if (node->has.map.children == MSI_TRIE_FULL) {
    return ((msi_node **)(void *)msi_node_entries(node))[slot];
  }
  return msi_node_children(node)[msi_trie_index(node->has.map.children, slot)];
}

/* An empty root. */
msi_node *msi_trie_new(const ms_alloc *alloc);
const msi_entry *msi_trie_find(const msi_node *node, const msi_lookup *lookup);
/* The same of a trie that belongs to the caller alone, to be changed in place; NULL also
 * when others see a node on the way. */
msi_entry *msi_trie_own(msi_node *node, const msi_lookup *lookup);
/*
 * `owned`: *root belongs to the caller alone, is changed in place and may be replaced by
 * another block. Otherwise it stays as it is and *root becomes a second trie that shares
 * with it.
 *
 * put: *grown is how many encoded bytes came (or went, when negative), *added whether the
 * key is new. erase: the key must be there.
 */
MS_CHECKED ms_status msi_trie_put(const ms_alloc *alloc, msi_node **root, bool owned,
                                  const msi_lookup *lookup, const ms_value *value,
                                  int64_t *grown, bool *added);
MS_CHECKED ms_status msi_trie_erase(const ms_alloc *alloc, msi_node **root, bool owned,
                                    const msi_lookup *lookup);
/* Drops a reference to a node. False: the budget was used up before all below it was released; to be
 * called again. */
bool msi_trie_release(msi_dead *dead, msi_node *node, unsigned level, size_t *budget);
/* Adds up and checks the whole trie; tests only. */
bool msi_trie_check(const msi_node *root, uint64_t *count, uint64_t *bytes);

/* A walk, over words of an ms_cursor: nodes and next positions per level. */
enum { MSI_TRIE_WALK_WORDS = 1 + 2 * (MSI_TRIE_LEVELS + 1) };
void msi_trie_walk_init(uintptr_t *walk, const msi_node *root);
const msi_entry *msi_trie_walk_next(uintptr_t *walk);
/* So that the next entry is the one after the key; false when it is absent. */
bool msi_trie_walk_seek(uintptr_t *walk, const msi_node *root, const msi_lookup *lookup);

/* ----- object.c */

MS_CHECKED ms_status msi_object_new(const ms_alloc *alloc, size_t capacity,
                                    const ms_value **out);
static inline msi_entry *msi_object_entries(const msi_container *object) {
  return (msi_entry *)(uintptr_t)(object + 1);
}
static inline msi_node **msi_object_root(const msi_container *object) {
  return (msi_node **)(uintptr_t)(object + 1);
}
const ms_value *msi_object_find(const ms_value *value, const msi_lookup *lookup);
/* Releases what the object holds and frees its block. False: to be called again. */
bool msi_object_drop(msi_dead *dead, msi_container *object, size_t *budget);
void msi_object_cursor_init(ms_cursor *cursor, const ms_value *value);
const msi_entry *msi_object_cursor_next(ms_cursor *cursor);
bool msi_object_check(const ms_value *object);

/* ----- chunk.c: the inside of large arrays */

enum { MSI_ARRAY_FANOUT = 32 };

/*
 * A node of an array's tree. Leaves (height 0) hold values. Others hold nodes and, behind
 * `capacity` of them, for each the number of items up to its end.
 */
typedef struct msi_chunk {
  _Atomic uint32_t refs;
  uint8_t count;
  uint8_t capacity;
  uint16_t height;
  const ms_alloc *alloc;
} msi_chunk;

static inline const ms_value **msi_chunk_values(const msi_chunk *chunk) {
  return (const ms_value **)(uintptr_t)(chunk + 1);
}
static inline msi_chunk **msi_chunk_children(const msi_chunk *chunk) {
  return (msi_chunk **)(uintptr_t)(chunk + 1);
}
static inline uint32_t *msi_chunk_ends(const msi_chunk *chunk) {
  return (uint32_t *)(void *)(msi_chunk_children(chunk) + chunk->capacity);
}
/* A leaf of values, which are retained. */
msi_chunk *msi_chunk_new(const ms_alloc *alloc, const ms_value *const *values,
                         unsigned count);
/* As msi_trie_release. */
bool msi_chunk_release(msi_dead *dead, msi_chunk *chunk, size_t *budget);
/* The run of values that holds `index`: returns the value at index and how many stand
 * from there on in *run. */
const ms_value **msi_chunk_run(const msi_chunk *chunk, uint32_t index, size_t *run);
/* The place of the value at `index` in a tree that belongs to the caller alone, to be
 * changed in place; NULL when others see a chunk on the way. */
const ms_value **msi_chunk_own(const msi_chunk *chunk, uint32_t index);
/*
 * At `index`, `skip` values (0 or 1) go and `value` comes unless it is NULL. `owned`:
 * *root belongs to the caller alone, is changed in place and may be replaced by another
 * block; otherwise it stays as it is and *root becomes a second tree that shares with it.
 */
MS_CHECKED ms_status msi_chunk_edit(const ms_alloc *alloc, msi_chunk **root, bool owned,
                                    uint32_t index, unsigned skip, const ms_value *value);
/* Adds up and checks the whole tree; tests only. */
bool msi_chunk_check(const msi_chunk *root, uint64_t *count, uint64_t *bytes);

/* ----- array.c */

static inline const ms_value **msi_array_values(const msi_container *array) {
  return (const ms_value **)(uintptr_t)(array + 1);
}
static inline msi_chunk **msi_array_root(const msi_container *array) {
  return (msi_chunk **)(uintptr_t)(array + 1);
}
MS_CHECKED ms_status msi_array_new(const ms_alloc *alloc, size_t capacity,
                                   const ms_value **out);
/* As msi_object_drop. */
bool msi_array_drop(msi_dead *dead, msi_container *array, size_t *budget);
/* As msi_chunk_run. */
const ms_value **msi_array_run(const msi_container *array, size_t index, size_t *run);
bool msi_array_check(const ms_value *array);

#endif
