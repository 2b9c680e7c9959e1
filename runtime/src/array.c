/*
 * Arrays: a flat block while they are small, a tree of chunks (chunk.c) beyond that.
 *
 *   flat   head | values, capacity of them
 *   tree   head | pointer to the root chunk
 *
 * Arrays of at most FLAT_MAX items are always flat and larger ones never are.
 */
#include "node.h"

#include <string.h>

enum { FLAT_MAX = MSI_ARRAY_FANOUT, CAPACITY_MIN = 4 };

static bool array_is_tree(const msi_container *array) {
  return (array->head.flags & MSI_TREE) != 0;
}

static size_t array_block_bytes(uint8_t flags, size_t capacity) {
  return sizeof(msi_container) + (flags == MSI_TREE ? 1 : capacity) * sizeof(void *);
}

static msi_container *array_alloc(const ms_alloc *alloc, uint8_t flags, size_t capacity) {
  alloc = msi_alloc_resolve(alloc);
  msi_container *array = msi_alloc_get(alloc, array_block_bytes(flags, capacity));
  if (array == NULL) return NULL;
  msi_value_init(&array->head, alloc, MS_ARRAY);
  array->head.flags = flags;
  array->count = 0;
  array->capacity = (uint32_t)capacity;
  array->bytes = 0;
  return array;
}

static void array_free_block(msi_container *array) {
  msi_alloc_free(array->head.alloc, array,
                 array_block_bytes(array->head.flags, array->capacity));
}

ms_status msi_array_new(const ms_alloc *alloc, size_t capacity, const ms_value **out) {
  msi_container *array = array_alloc(alloc, 0, capacity < FLAT_MAX ? capacity : FLAT_MAX);
  if (array == NULL) return MS_ENOMEM;
  *out = &array->head;
  return MS_OK;
}

/* ------------------------------------------------------------------ finding */

const ms_value **msi_array_run(const msi_container *array, size_t index, size_t *run) {
  MSI_ASSERT(index < array->count);
  if (!array_is_tree(array)) {
    *run = array->count - index;
    return msi_array_values(array) + index;
  }
  return msi_chunk_run(*msi_array_root(array), (uint32_t)index, run);
}

const ms_value *ms_value_at(const ms_value *array, size_t index) {
  if (!msi_is_array(array) || index >= msi_as_container(array)->count) return NULL;
  size_t run = 0;
  return *msi_array_run(msi_as_container(array), index, &run);
}

const ms_value **msi_array_own(const ms_value *array, size_t index) {
  MSI_ASSERT(msi_is_array(array) && msi_refs_unique(&array->refs));
  const msi_container *container = msi_as_container(array);
  if (index >= container->count) return NULL;
  if (array_is_tree(container)) {
    return msi_chunk_own(*msi_array_root(container), (uint32_t)index);
  }
  return msi_array_values(container) + index;
}

/* ------------------------------------------------------------------ changing */

/* Room for `count` values in a block that nobody else sees; NULL leaves it as it was. */
static msi_container *flat_reserve(msi_container *array, size_t count) {
  size_t old_capacity = array->capacity;
  if (count <= old_capacity) return array;
  size_t capacity = old_capacity * 2 > CAPACITY_MIN ? old_capacity * 2 : CAPACITY_MIN;
  if (capacity > FLAT_MAX) capacity = FLAT_MAX;
  array = msi_alloc_resize(array->head.alloc, array, array_block_bytes(0, old_capacity),
                           array_block_bytes(0, capacity));
  if (array != NULL) array->capacity = (uint32_t)capacity;
  return array;
}

static msi_container *flat_copy(const ms_alloc *alloc, const msi_container *array,
                                size_t capacity) {
  msi_container *copy = array_alloc(alloc, 0, capacity);
  if (copy == NULL) return NULL;
  copy->count = array->count;
  const ms_value **values = msi_array_values(copy);
  memcpy(values, msi_array_values(array), array->count * sizeof *values);
  for (uint32_t i = 0; i < array->count; i++) msi_retain(values[i]);
  return copy;
}

static ms_status flat_edit(const ms_alloc *alloc, const ms_value **array, bool owned,
                           uint32_t index, unsigned skip, const ms_value *value) {
  msi_container *old = msi_as_container(*array);
  uint32_t count = old->count - skip + (value == NULL ? 0 : 1);
  size_t capacity = count > old->count ? count : old->count;
  msi_container *changed =
      owned ? flat_reserve(old, capacity) : flat_copy(alloc, old, capacity);
  if (changed == NULL) return MS_ENOMEM;
  const ms_value **values = msi_array_values(changed) + index;
  const ms_value *gone = skip > 0 ? *values : NULL;
  size_t after = changed->count - index - skip;
  unsigned add = value == NULL ? 0 : 1;
  if (add != skip) memmove(values + add, values + skip, after * sizeof *values);
  if (add > 0) *values = msi_retain(value);
  changed->count = count;
  ms_value_release(gone);
  if (!owned) ms_value_release(*array);
  *array = &changed->head;
  return MS_OK;
}

/* The first item beyond the flat form. */
static ms_status array_outgrow(const ms_alloc *alloc, const ms_value **array,
                               uint32_t index, const ms_value *value) {
  const msi_container *flat = msi_as_container(*array);
  msi_container *tree = array_alloc(alloc, MSI_TREE, 0);
  if (tree == NULL) return MS_ENOMEM;
  msi_chunk *root = msi_chunk_new(alloc, msi_array_values(flat), flat->count);
  if (root == NULL) {
    array_free_block(tree);
    return MS_ENOMEM;
  }
  *msi_array_root(tree) = root;
  ms_status st = msi_chunk_edit(alloc, msi_array_root(tree), true, index, 0, value);
  if (st != MS_OK) {
    ms_value_release(&tree->head);
    return st;
  }
  tree->count = flat->count + 1;
  ms_value_release(*array);
  *array = &tree->head;
  return MS_OK;
}

/* The last item before the flat form goes. */
static ms_status array_to_flat(const ms_alloc *alloc, const ms_value **array,
                               uint32_t without) {
  const msi_container *tree = msi_as_container(*array);
  msi_container *flat = array_alloc(alloc, 0, FLAT_MAX);
  if (flat == NULL) return MS_ENOMEM;
  size_t run = 0;
  for (uint32_t i = 0; i < tree->count; i += (uint32_t)run) {
    const ms_value **values = msi_array_run(tree, i, &run);
    for (size_t k = 0; k < run; k++) {
      if (i + k == without) continue;
      msi_array_values(flat)[flat->count++] = msi_retain(values[k]);
    }
  }
  ms_value_release(*array);
  *array = &flat->head;
  return MS_OK;
}

static ms_status array_edit_tree(const ms_alloc *alloc, const ms_value **array,
                                 bool owned, uint32_t index, unsigned skip,
                                 const ms_value *value) {
  msi_container *old = msi_as_container(*array);
  msi_container *changed = owned ? old : array_alloc(alloc, MSI_TREE, 0);
  if (changed == NULL) return MS_ENOMEM;
  msi_chunk *root = *msi_array_root(old);
  uint32_t count = old->count - skip + (value == NULL ? 0 : 1);
  ms_status st = msi_chunk_edit(alloc, &root, owned, index, skip, value);
  if (st != MS_OK) {
    if (!owned) array_free_block(changed);
    return st;
  }
  *msi_array_root(changed) = root;
  changed->count = count;
  if (!owned) ms_value_release(*array);
  *array = &changed->head;
  return MS_OK;
}

/* As msi_chunk_edit, for any array; the index was checked. */
static ms_status array_edit(const ms_alloc *alloc, const ms_value **array, uint32_t index,
                            unsigned skip, const ms_value *value) {
  const msi_container *old = msi_as_container(*array);
  uint64_t bytes = old->bytes;
  if (value != NULL) bytes += ms_value_bytes(value);
  if (bytes > MSI_BYTES_MAX) return MS_ELIMIT;
  if (skip > 0) {
    const ms_value *gone = ms_value_at(*array, index);
    if (gone == value) return MS_OK;
    bytes -= ms_value_bytes(gone);
  }
  if (skip == 0 && old->count == MSI_COUNT_MAX) return MS_ELIMIT;
  /* An array that is put into itself has a second holder: its own new version. */
  bool owned = msi_refs_unique(&old->head.refs) && *array != value;
  bool grows = value != NULL && skip == 0;
  bool shrinks = value == NULL;
  ms_status st = MS_OK;
  if (!array_is_tree(old) && grows && old->count == FLAT_MAX) {
    st = array_outgrow(alloc, array, index, value);
  } else if (!array_is_tree(old)) {
    st = flat_edit(alloc, array, owned, index, skip, value);
  } else if (shrinks && old->count == FLAT_MAX + 1) {
    st = array_to_flat(alloc, array, index);
  } else {
    st = array_edit_tree(alloc, array, owned, index, skip, value);
  }
  if (st == MS_OK) msi_as_container(*array)->bytes = bytes;
  return st;
}

ms_status ms_value_insert(const ms_alloc *alloc, const ms_value **array, size_t index,
                          const ms_value *value) {
  if (msi_is_array(*array)) {
    if (index > msi_as_container(*array)->count) return MS_ENOENT;
    return array_edit(alloc, array, (uint32_t)index, 0, value);
  }
  if (ms_value_type(*array) != MS_EMPTY) return MS_ETYPE;
  if (index > 0) return MS_ENOENT;
  const ms_value *fresh = NULL;
  ms_status st = msi_array_new(alloc, 1, &fresh);
  if (st != MS_OK) return st;
  st = array_edit(alloc, &fresh, 0, 0, value);
  if (st != MS_OK) {
    ms_value_release(fresh);
    return st;
  }
  *array = fresh;
  return MS_OK;
}

ms_status ms_value_append(const ms_alloc *alloc, const ms_value **array,
                          const ms_value *value) {
  return ms_value_insert(alloc, array, ms_value_count(*array), value);
}

/* The item at `index` gives way to `value`, or to nothing when that is NULL. */
static ms_status array_replace(const ms_alloc *alloc, const ms_value **array,
                               size_t index, const ms_value *value) {
  if (!msi_is_array(*array))
    return ms_value_type(*array) == MS_EMPTY ? MS_ENOENT : MS_ETYPE;
  if (index >= msi_as_container(*array)->count) return MS_ENOENT;
  return array_edit(alloc, array, (uint32_t)index, 1, value);
}

ms_status ms_value_replace(const ms_alloc *alloc, const ms_value **array, size_t index,
                           const ms_value *value) {
  return array_replace(alloc, array, index, value);
}

ms_status ms_value_erase_at(const ms_alloc *alloc, const ms_value **array, size_t index) {
  return array_replace(alloc, array, index, NULL);
}

bool msi_array_drop(msi_dead *dead, msi_container *array, size_t *budget) {
  if (array_is_tree(array)) {
    if (!msi_chunk_release(dead, *msi_array_root(array), budget)) return false;
  } else {
    const ms_value **values = msi_array_values(array);
    for (uint32_t i = 0; i < array->count; i++) msi_dead_release(dead, values[i]);
    (void)msi_budget_spend(budget, array->count);
  }
  (void)msi_budget_spend(budget, 1);
  array_free_block(array);
  return true;
}

/* ------------------------------------------------------------------ checking */

bool msi_array_check(const ms_value *value) {
  const msi_container *array = msi_as_container(value);
  uint64_t count = 0;
  uint64_t bytes = 0;
  if (array_is_tree(array)) {
    if (!msi_chunk_check(*msi_array_root(array), &count, &bytes)) return false;
    return count == array->count && bytes == array->bytes && count > FLAT_MAX;
  }
  if (array->count > array->capacity || array->capacity > FLAT_MAX) return false;
  for (uint32_t i = 0; i < array->count; i++) {
    const ms_value *item = msi_array_values(array)[i];
    if (item == NULL) return false;
    bytes += ms_value_bytes(item);
  }
  return bytes == array->bytes;
}
