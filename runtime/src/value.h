/*
 * Values inside the library: what memshare.h does not show of them.
 *
 * Representation. `const ms_value *` is a tagged pointer: null, booleans, the empty table
 * and small integers live in the pointer; everything else points to a counted heap block
 * (atomic count) that remembers its allocator. Strings cache a 32-bit hash. Objects are
 * hash array mapped tries (a flat node while they are small), arrays are counted B+
 * trees, so that get, put, insert and erase cost O(log n) and appending is amortised
 * O(1). Containers cache their encoded size.
 */
#ifndef MSI_VALUE_H
#define MSI_VALUE_H

#include "alloc.h"
#include "buffer.h"

/* True when this reference is the only one, so that a change may happen in place. */
bool msi_value_is_unique(const ms_value *value);
static inline bool msi_type_is_container(ms_type type) {
  return type == MS_ARRAY || type == MS_OBJECT || type == MS_EMPTY;
}
/* Levels of containers: 0 for a scalar, 1 for {} or [1]. Walks the value, stops beyond
 * `limit`. */
size_t msi_value_depth(const ms_value *value, size_t limit);
/* The same hash for the same bytes in every process. */
uint32_t msi_string_hash(const char *bytes, size_t length);

/* As ms_value_put/get/erase with a key that is a string value already (retained, hash
 * cached). */
MS_CHECKED ms_status msi_object_put(const ms_alloc *alloc, const ms_value **object,
                                    const ms_value *key, const ms_value *value);
const ms_value *msi_object_get(const ms_value *object, const ms_value *key);
MS_CHECKED ms_status msi_object_erase(const ms_alloc *alloc, const ms_value **object,
                                      const ms_value *key);
/*
 * The place of a child in a container that belongs to the caller alone, so that the child
 * may be changed, or another one put there, without a walk from the container down; NULL:
 * there is no such child, or others see a node inside the container. Whoever changes the
 * child's size tells all containers around it, by msi_container_grow().
 */
const ms_value **msi_object_own(const ms_value *object, const ms_value *key);
const ms_value **msi_array_own(const ms_value *array, size_t index);
/* Adds to the size of an array or object that belongs to the caller alone. */
void msi_container_grow(const ms_value *container, int64_t bytes);
/* As ms_cursor_next for an object, giving the key as a string value (borrowed). */
bool msi_cursor_next_key(ms_cursor *cursor, const ms_value **key, const ms_value **value);
/* The entry after `key` in cursor order (NULL: the first); false at the end or for an
 * absent key. O(log n), so that Lua's next() needs no cursor. */
bool msi_object_next(const ms_value *object, const ms_value *key,
                     const ms_value **next_key, const ms_value **value);

/* Structural check of the whole tree, for tests: counts, sizes, canonical form. */
bool msi_value_check(const ms_value *value);

#endif
