/*
 * Counted B+ trees: the inside of arrays that have outgrown their flat form.
 *
 *   chunk of height 0    head | values
 *   chunk of height h    head | chunks of height h - 1 | for each the items up to its end
 *
 * Chunks hold at most FANOUT items and at least CHUNK_MIN, except those on the right
 * edge, which may hold fewer: there, appending to a full chunk begins a new one instead
 * of splitting it, so that arrays that grow at their end are packed densely, and taking
 * from the end just empties the last chunk.
 *
 * Every change is an edit of one chunk: some items go, others come. A chunk that nobody
 * else sees takes it in place. Otherwise new chunks are made of what it would hold, and
 * putting them in its stead is an edit of the chunk above. All memory is there before
 * anything old is touched.
 */
#include "node.h"

#include <string.h>

enum {
  FANOUT = MSI_ARRAY_FANOUT,
  FANOUT_BITS = 5,
  CHUNK_MIN = 8,
  CAPACITY_MIN = 4,
  LEVELS_MAX = 13 /* CHUNK_MIN to this power is more than MSI_COUNT_MAX */
};
static_assert(1 << FANOUT_BITS == FANOUT, "the two agree");

/* What stands in chunks: values in leaves, chunks elsewhere. */
typedef union msi_item {
  const ms_value *value;
  msi_chunk *chunk;
} msi_item;
static_assert(sizeof(msi_item) == sizeof(void *), "an item is a pointer");

/* The chunks from the root to a leaf, and the slot taken in each. */
typedef struct msi_trail {
  msi_chunk *chunk[LEVELS_MAX];
  unsigned slot[LEVELS_MAX];
  bool on_edge[LEVELS_MAX]; /* nothing is right of this chunk */
  unsigned leaf;            /* the level of the leaf */
  unsigned owned;           /* the chunks above this level may be changed in place */
} msi_trail;

/* In one chunk: `skip` items at `at` go and `add` others, which the edit owns, come. */
typedef struct msi_edit {
  unsigned at, skip, add;
  msi_item item[2];
  uint32_t size[2]; /* array items in each */
} msi_edit;

/* What one or two chunks will hold; borrowed. */
typedef struct msi_list {
  unsigned count;
  msi_item item[2 * FANOUT + 2];
  uint32_t size[2 * FANOUT + 2];
} msi_list;

/* ------------------------------------------------------------------ chunks */

static size_t chunk_bytes(size_t capacity, unsigned height) {
  return sizeof(msi_chunk) +
         capacity * (sizeof(void *) + (height > 0 ? sizeof(uint32_t) : 0));
}

static msi_item *chunk_items(const msi_chunk *chunk) {
  return (msi_item *)(uintptr_t)(chunk + 1);
}

static uint32_t chunk_size_at(const msi_chunk *chunk, unsigned slot) {
  if (chunk->height == 0) return 1;
  const uint32_t *ends = msi_chunk_ends(chunk);
  return ends[slot] - (slot == 0 ? 0 : ends[slot - 1]);
}

static void item_retain(msi_item item, unsigned height) {
  if (height == 0) {
    msi_retain(item.value);
  } else {
    msi_refs_retain(&item.chunk->refs);
  }
}

/* Recursion is bounded by the height. In a chunk that waits for more budget the items that are
 * released already are NULL, and one reference is left. */
bool msi_chunk_release(msi_dead *dead, msi_chunk *chunk, size_t *budget) {
  if (!msi_refs_release(&chunk->refs)) return true;
  msi_item *items = chunk_items(chunk);
  bool more = msi_budget_spend(budget, chunk->height == 0 ? chunk->count : 0);
  for (unsigned i = 0; i < chunk->count; i++) {
    if (chunk->height == 0) {
      msi_dead_release(dead, items[i].value);
    } else if (items[i].chunk != NULL) {
      if (!more || !msi_chunk_release(dead, items[i].chunk, budget)) {
        atomic_store_explicit(&chunk->refs, 1, memory_order_relaxed);
        return false;
      }
      items[i].chunk = NULL;
      more = *budget > 0;
    }
  }
  (void)msi_budget_spend(budget, 1);
  msi_alloc_free(chunk->alloc, chunk, chunk_bytes(chunk->capacity, chunk->height));
  return true;
}

static void item_release(msi_item item, unsigned height) {
  msi_dead dead = {NULL};
  size_t budget = SIZE_MAX;
  if (height == 0) {
    msi_dead_release(&dead, item.value);
  } else {
    while (!msi_chunk_release(&dead, item.chunk, &budget)) budget = SIZE_MAX;
  }
  msi_dead_drain(&dead);
}

static void edit_release(const msi_edit *edit, unsigned height) {
  for (unsigned i = 0; i < edit->add; i++) item_release(edit->item[i], height);
}

static void list_add(msi_list *list, msi_item item, uint32_t size) {
  list->item[list->count] = item;
  list->size[list->count] = size;
  list->count++;
}

/* What the chunk holds, with an edit applied when there is one. */
static void list_add_chunk(msi_list *list, const msi_chunk *chunk, const msi_edit *edit) {
  const msi_item *items = chunk_items(chunk);
  for (unsigned i = 0; i <= chunk->count; i++) {
    if (edit != NULL && i == edit->at) {
      for (unsigned k = 0; k < edit->add; k++)
        list_add(list, edit->item[k], edit->size[k]);
    }
    if (i == chunk->count) break;
    if (edit != NULL && i >= edit->at && i < edit->at + edit->skip) continue;
    list_add(list, items[i], chunk_size_at(chunk, i));
  }
}

/* A chunk of a part of the list, whose items are retained; *size: how many items it
 * holds. */
static msi_chunk *chunk_new(const ms_alloc *alloc, unsigned height, const msi_list *list,
                            unsigned from, unsigned count, uint32_t *size) {
  MSI_ASSERT(count > 0 && count <= FANOUT);
  alloc = msi_alloc_resolve(alloc);
  msi_chunk *chunk = msi_alloc_get(alloc, chunk_bytes(count, height));
  if (chunk == NULL) return NULL;
  atomic_init(&chunk->refs, 1);
  chunk->count = (uint8_t)count;
  chunk->capacity = (uint8_t)count;
  chunk->height = (uint16_t)height;
  chunk->alloc = alloc;
  msi_item *items = chunk_items(chunk);
  uint32_t end = 0;
  for (unsigned i = 0; i < count; i++) {
    items[i] = list->item[from + i];
    item_retain(items[i], height);
    end += list->size[from + i];
    if (height > 0) msi_chunk_ends(chunk)[i] = end;
  }
  *size = end;
  return chunk;
}

/* Makes the list into as few chunks as hold it, which the edit adds. */
static ms_status edit_add_chunks(msi_edit *edit, const ms_alloc *alloc, unsigned height,
                                 const msi_list *list) {
  unsigned count = list->count <= FANOUT ? 1 : 2;
  unsigned from = 0;
  edit->add = 0;
  for (unsigned i = 0; i < count; i++) {
    unsigned part = (list->count - from) / (count - i);
    msi_chunk *chunk = chunk_new(alloc, height, list, from, part, &edit->size[i]);
    if (chunk == NULL) {
      edit_release(edit, height + 1);
      return MS_ENOMEM;
    }
    edit->item[i].chunk = chunk;
    edit->add++;
    from += part;
  }
  return MS_OK;
}

msi_chunk *msi_chunk_new(const ms_alloc *alloc, const ms_value *const *values,
                         unsigned count) {
  msi_list list = {.count = 0};
  for (unsigned i = 0; i < count; i++) list_add(&list, (msi_item){.value = values[i]}, 1);
  uint32_t size = 0;
  return chunk_new(alloc, 0, &list, 0, count, &size);
}

/* ------------------------------------------------------------------ finding */

/* The child that holds `index`, which becomes an index into that child; the last child
 * also takes the index behind its end. */
static unsigned chunk_descend(const msi_chunk *chunk, uint32_t *index) {
  const uint32_t *ends = msi_chunk_ends(chunk);
  /* No child holds more than a full tree of its height. */
  unsigned shift = FANOUT_BITS * chunk->height;
  unsigned slot = shift < 32 ? *index >> shift : 0;
  if (slot >= chunk->count) slot = chunk->count - 1u;
  while (slot + 1u < chunk->count && ends[slot] <= *index) slot++;
  if (slot > 0) *index -= ends[slot - 1];
  return slot;
}

const ms_value **msi_chunk_run(const msi_chunk *chunk, uint32_t index, size_t *run) {
  while (chunk->height > 0) {
    unsigned slot = chunk_descend(chunk, &index);
    chunk = chunk_items(chunk)[slot].chunk;
  }
  *run = chunk->count - index;
  return msi_chunk_values(chunk) + index;
}

const ms_value **msi_chunk_own(const msi_chunk *chunk, uint32_t index) {
  while (msi_refs_unique(&chunk->refs)) {
    if (chunk->height == 0) return msi_chunk_values(chunk) + index;
    unsigned slot = chunk_descend(chunk, &index);
    chunk = chunk_items(chunk)[slot].chunk;
  }
  return NULL;
}

static void trail_walk(msi_trail *trail, msi_chunk *chunk, bool owned, uint32_t index) {
  bool on_edge = true;
  trail->owned = 0;
  for (unsigned level = 0;; level++) {
    MSI_ASSERT(level < LEVELS_MAX);
    owned = owned && msi_refs_unique(&chunk->refs);
    if (owned) trail->owned = level + 1;
    trail->chunk[level] = chunk;
    trail->on_edge[level] = on_edge;
    if (chunk->height == 0) {
      trail->leaf = level;
      trail->slot[level] = index;
      return;
    }
    unsigned slot = chunk_descend(chunk, &index);
    trail->slot[level] = slot;
    on_edge = on_edge && slot + 1u == chunk->count;
    chunk = chunk_items(chunk)[slot].chunk;
  }
}

/* ------------------------------------------------------------------ changing */

/* Room for `count` items in a chunk that nobody else sees; NULL leaves it as it was. */
static msi_chunk *chunk_reserve(msi_chunk *chunk, unsigned count) {
  unsigned old_capacity = chunk->capacity;
  if (count <= old_capacity) return chunk;
  unsigned capacity = old_capacity * 2 > CAPACITY_MIN ? old_capacity * 2 : CAPACITY_MIN;
  if (capacity < count) capacity = count;
  if (capacity > FANOUT) capacity = FANOUT;
  unsigned height = chunk->height;
  chunk = msi_alloc_resize(chunk->alloc, chunk, chunk_bytes(old_capacity, height),
                           chunk_bytes(capacity, height));
  if (chunk == NULL) return NULL;
  const msi_item *old_ends = chunk_items(chunk) + old_capacity;
  chunk->capacity = (uint8_t)capacity;
  if (height > 0) {
    memmove(msi_chunk_ends(chunk), old_ends, chunk->count * sizeof(uint32_t));
  }
  return chunk;
}

/* The chunk has room; items that go are moved to `gone`. */
static void chunk_edit(msi_chunk *chunk, const msi_edit *edit, msi_item *gone) {
  msi_item *items = chunk_items(chunk);
  unsigned after = chunk->count - edit->at - edit->skip;
  unsigned count = edit->at + edit->add + after;
  uint32_t sizes[FANOUT] = {0};
  if (chunk->height > 0) {
    for (unsigned i = 0; i < after; i++) {
      sizes[i] = chunk_size_at(chunk, edit->at + edit->skip + i);
    }
  }
  memcpy(gone, items + edit->at, edit->skip * sizeof *items);
  memmove(items + edit->at + edit->add, items + edit->at + edit->skip,
          after * sizeof *items);
  memcpy(items + edit->at, edit->item, edit->add * sizeof *items);
  chunk->count = (uint8_t)count;
  if (chunk->height == 0) return;
  uint32_t *ends = msi_chunk_ends(chunk);
  uint32_t end = edit->at == 0 ? 0 : ends[edit->at - 1];
  for (unsigned i = edit->at; i < count; i++) {
    unsigned k = i - edit->at;
    end += k < edit->add ? edit->size[k] : sizes[k - edit->add];
    ends[i] = end;
  }
}

/* Applies the edit to the trail's chunk at `level`, in place. Takes the edit's items. */
static ms_status trail_edit_in_place(const msi_trail *trail, unsigned level,
                                     const msi_edit *edit, int grown, msi_chunk **root) {
  msi_chunk *old = trail->chunk[level];
  unsigned height = old->height;
  msi_chunk *chunk = chunk_reserve(old, old->count - edit->skip + edit->add);
  if (chunk == NULL) {
    edit_release(edit, height);
    return MS_ENOMEM;
  }
  if (level == 0) {
    *root = chunk;
  } else {
    chunk_items(trail->chunk[level - 1])[trail->slot[level - 1]].chunk = chunk;
  }
  msi_item gone[2];
  chunk_edit(chunk, edit, gone);
  for (unsigned i = 0; i < edit->skip; i++) item_release(gone[i], height);
  for (unsigned above = 0; above < level; above++) {
    msi_chunk *parent = trail->chunk[above];
    uint32_t *ends = msi_chunk_ends(parent);
    for (unsigned i = trail->slot[above]; i < parent->count; i++)
      ends[i] += (uint32_t)grown;
  }
  return MS_OK;
}

/* A chunk that is too small after the edit joins its neighbour. */
static bool edit_underflows(const msi_trail *trail, unsigned level, unsigned count) {
  return count < CHUNK_MIN && level > 0 && !trail->on_edge[level];
}

/*
 * Turns an edit of the trail's chunk at `level` into new chunks and the edit that puts
 * them into the chunk above. The old edit's items are released, since the new chunks hold
 * their own.
 */
static ms_status trail_rise(const ms_alloc *alloc, const msi_trail *trail, unsigned level,
                            msi_edit *edit) {
  const msi_chunk *chunk = trail->chunk[level];
  unsigned count = chunk->count - edit->skip + edit->add;
  unsigned slot = level > 0 ? trail->slot[level - 1] : 0;
  msi_edit above = {.at = slot, .skip = 1};
  msi_list list = {.count = 0};
  ms_status st = MS_OK;
  if (count > FANOUT && edit->at == chunk->count && trail->on_edge[level]) {
    MSI_ASSERT(edit->skip == 0 && edit->add == 1);
    above.at = slot + 1;
    above.skip = 0;
    list_add(&list, edit->item[0], edit->size[0]);
  } else if (edit_underflows(trail, level, count)) {
    const msi_chunk *parent = trail->chunk[level - 1];
    MSI_ASSERT(parent->count > 1);
    above.at = slot > 0 ? slot - 1 : slot;
    above.skip = 2;
    if (slot > 0) list_add_chunk(&list, chunk_items(parent)[slot - 1].chunk, NULL);
    list_add_chunk(&list, chunk, edit);
    if (slot == 0) list_add_chunk(&list, chunk_items(parent)[1].chunk, NULL);
  } else {
    list_add_chunk(&list, chunk, edit);
  }
  if (list.count > 0) st = edit_add_chunks(&above, alloc, chunk->height, &list);
  edit_release(edit, chunk->height);
  if (st == MS_OK) *edit = above;
  return st;
}

/* The edit of what would be above the root becomes the new root. Takes its chunks. */
static ms_status edit_to_root(const ms_alloc *alloc, const msi_edit *edit,
                              msi_chunk *old_root, msi_chunk **out) {
  if (edit->skip == 1 && edit->add == 1) {
    *out = edit->item[0].chunk;
    return MS_OK;
  }
  unsigned height = old_root->height + 1u;
  msi_list list = {.count = 0};
  if (edit->skip == 0) {
    uint32_t size = old_root->height == 0 ? old_root->count
                                          : msi_chunk_ends(old_root)[old_root->count - 1];
    list_add(&list, (msi_item){.chunk = old_root}, size);
  }
  for (unsigned i = 0; i < edit->add; i++) list_add(&list, edit->item[i], edit->size[i]);
  uint32_t size = 0;
  msi_chunk *root = chunk_new(alloc, height, &list, 0, list.count, &size);
  edit_release(edit, height);
  if (root == NULL) return MS_ENOMEM;
  *out = root;
  return MS_OK;
}

/* A root with one child gives way to it. */
static msi_chunk *root_collapse(msi_chunk *root) {
  while (root->height > 0 && root->count == 1) {
    msi_chunk *child = chunk_items(root)[0].chunk;
    msi_refs_retain(&child->refs);
    item_release((msi_item){.chunk = root}, 1);
    root = child;
  }
  return root;
}

ms_status msi_chunk_edit(const ms_alloc *alloc, msi_chunk **root, bool owned,
                         uint32_t index, unsigned skip, const ms_value *value) {
  msi_trail trail;
  trail_walk(&trail, *root, owned, index);
  msi_edit edit = {
      .at = trail.slot[trail.leaf], .skip = skip, .add = value == NULL ? 0 : 1};
  edit.item[0].value = msi_retain(value);
  edit.size[0] = 1;
  int grown = (int)edit.add - (int)skip;
  for (unsigned level = trail.leaf + 1; level-- > 0;) {
    const msi_chunk *chunk = trail.chunk[level];
    unsigned count = chunk->count - edit.skip + edit.add;
    if (level < trail.owned && count > 0 && count <= FANOUT &&
        !edit_underflows(&trail, level, count)) {
      ms_status st = trail_edit_in_place(&trail, level, &edit, grown, root);
      if (st == MS_OK) *root = root_collapse(*root);
      return st;
    }
    ms_status st = trail_rise(alloc, &trail, level, &edit);
    if (st != MS_OK) return st;
  }
  msi_chunk *fresh = NULL;
  ms_status st = edit_to_root(alloc, &edit, *root, &fresh);
  if (st != MS_OK) return st;
  if (owned) item_release((msi_item){.chunk = *root}, 1);
  *root = root_collapse(fresh);
  return MS_OK;
}

/* ------------------------------------------------------------------ checking */

static bool chunk_check(const msi_chunk *chunk, bool on_edge, uint64_t *count,
                        uint64_t *bytes) {
  if (chunk->count == 0 || chunk->count > chunk->capacity || chunk->capacity > FANOUT) {
    return false;
  }
  if (!on_edge && chunk->count < CHUNK_MIN) return false;
  uint64_t before = *count;
  for (unsigned i = 0; i < chunk->count; i++) {
    if (chunk->height == 0) {
      if (msi_chunk_values(chunk)[i] == NULL) return false;
      *bytes += ms_value_bytes(msi_chunk_values(chunk)[i]);
      *count += 1;
      continue;
    }
    const msi_chunk *child = msi_chunk_children(chunk)[i];
    bool child_on_edge = on_edge && i + 1u == chunk->count;
    if (child->height + 1 != chunk->height) return false;
    if (!chunk_check(child, child_on_edge, count, bytes)) return false;
    if (msi_chunk_ends(chunk)[i] != *count - before) return false;
  }
  return atomic_load(&chunk->refs) > 0;
}

bool msi_chunk_check(const msi_chunk *root, uint64_t *count, uint64_t *bytes) {
  *count = 0;
  *bytes = 0;
  return (root->height == 0 || root->count > 1) && chunk_check(root, true, count, bytes);
}
