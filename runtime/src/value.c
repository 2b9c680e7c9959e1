/*
 * References, scalars, counting, and what is the same for arrays and objects.
 *
 * Nothing here recurses through values: a container that dies is put on a list of dead
 * ones, linked through its `bytes`, and the list is worked off. Depth therefore costs no
 * stack. The nodes inside one container are released by recursion, since their height is
 * bounded. That may stop half-way: what is released already is NULL in a node that waits.
 */
#include "node.h"

#include <string.h>

enum { CONSTANT_NULL, CONSTANT_FALSE, CONSTANT_TRUE, CONSTANT_EMPTY };

static_assert(MS_NULL == 0 && MS_EMPTY == 7, "type_names is indexed by ms_type");
static const char *const type_names[] = {"null",   "boolean", "integer", "float",
                                         "string", "array",   "object",  "empty"};

/* ------------------------------------------------------------------ tagged words */

static const ms_value *constant(unsigned which) {
  return (const ms_value *)(uintptr_t)((which << 2) | MSI_TAG_CONSTANT);
}

static unsigned constant_of(const ms_value *value) {
  return (unsigned)((uintptr_t)value >> 2);
}

static bool int_fits(int64_t number) {
  return number >= INTPTR_MIN / 4 && number <= INTPTR_MAX / 4;
}

static const ms_value *small_int(int64_t number) {
  return (const ms_value *)(((uintptr_t)(intptr_t)number << 2) | MSI_TAG_INT);
}

#if UINTPTR_MAX == UINT64_MAX
/*
 * A double's bits are s eeeeeeeeeee m...m. When the three bits behind the sign are 011 or
 * 100 (the number is 0 or between about 1e-77 and 1e77) they say only one bit, and leave
 * room for the tag: rotated left by three, the word begins with that bit and ends in two
 * that follow from it.
 */
static uint64_t rotate_left(uint64_t word, unsigned by) {
  return (word << by) | (word >> (64 - by));
}

#define DOUBLE_ZERO ((uint64_t)1 << 63 | MSI_TAG_DOUBLE)
#define DOUBLE_TINY ((uint64_t)3 << 60) /* would be taken for zero */

static bool double_pack(uint64_t bits, uintptr_t *out) {
  unsigned top = (unsigned)(bits >> 60) & 7;
  if (bits == 0) {
    *out = DOUBLE_ZERO;
    return true;
  }
  if ((top != 3 && top != 4) || bits == DOUBLE_TINY) return false;
  *out = rotate_left(bits, 3) | MSI_TAG_DOUBLE;
  return true;
}

static uint64_t double_unpack(uintptr_t word) {
  if (word == DOUBLE_ZERO) return 0;
  uint64_t bits = (word & ~(uint64_t)MSI_TAG_MASK) | (word >> 63 != 0 ? 1 : 2);
  return rotate_left(bits, 61);
}
#else
/* A word of 32 bits has no room for a double: each has a block. Integers of 30 bits stay in the word, the others
 * have a block, too. Nothing outside the word depends on it: the same values, bytes and hashes. */
static bool double_pack(uint64_t bits, uintptr_t *out) {
  (void)bits;
  (void)out;
  return false;
}

static uint64_t double_unpack(uintptr_t word) {
  (void)word;
  return 0;
}
#endif

/* ------------------------------------------------------------------ making and reading
 * */

void msi_value_init(ms_value *head, const ms_alloc *alloc, ms_type type) {
  atomic_init(&head->refs, 1);
  head->type = (uint8_t)type;
  head->flags = 0;
  head->unused = 0;
  head->alloc = alloc;
}

const ms_value *ms_value_null(void) { return constant(CONSTANT_NULL); }

const ms_value *ms_value_bool(bool flag) {
  return constant(flag ? CONSTANT_TRUE : CONSTANT_FALSE);
}

const ms_value *ms_value_empty(void) { return constant(CONSTANT_EMPTY); }

static msi_number *number_new(const ms_alloc *alloc, ms_type type) {
  alloc = msi_alloc_resolve(alloc);
  msi_number *number = msi_alloc_get(alloc, sizeof(msi_number));
  if (number != NULL) msi_value_init(&number->head, alloc, type);
  return number;
}

ms_status ms_value_new_int(const ms_alloc *alloc, int64_t number, const ms_value **out) {
  if (int_fits(number)) {
    *out = small_int(number);
    return MS_OK;
  }
  msi_number *block = number_new(alloc, MS_INT);
  if (block == NULL) return MS_ENOMEM;
  block->as.integer = number;
  *out = &block->head;
  return MS_OK;
}

ms_status ms_value_new_double(const ms_alloc *alloc, double number,
                              const ms_value **out) {
  uint64_t bits =
      0x7FF8000000000000u; /* the one NaN, so that equal values have equal bytes */
  uintptr_t word = 0;
  if (number == number) memcpy(&bits, &number, sizeof bits);
  if (double_pack(bits, &word)) {
    *out = (const ms_value *)word;
    return MS_OK;
  }
  msi_number *block = number_new(alloc, MS_DOUBLE);
  if (block == NULL) return MS_ENOMEM;
  memcpy(&block->as.real, &bits, sizeof bits);
  *out = &block->head;
  return MS_OK;
}

ms_status ms_value_new_array(const ms_alloc *alloc, const ms_value **out) {
  return msi_array_new(alloc, 0, out);
}

ms_status ms_value_new_object(const ms_alloc *alloc, const ms_value **out) {
  return msi_object_new(alloc, 0, out);
}

ms_type ms_value_type(const ms_value *value) {
  MSI_ASSERT(value != NULL);
  switch (msi_tag(value)) {
    case 0: return (ms_type)value->type;
    case MSI_TAG_INT: return MS_INT;
    case MSI_TAG_DOUBLE: return MS_DOUBLE;
    default: break;
  }
  switch (constant_of(value)) {
    case CONSTANT_NULL: return MS_NULL;
    case CONSTANT_EMPTY: return MS_EMPTY;
    default: return MS_BOOL;
  }
}

const char *ms_type_name(ms_type type) {
  return (unsigned)type <= MS_EMPTY ? type_names[type] : "unknown";
}

ms_status ms_value_to_bool(const ms_value *value, bool *out) {
  if (ms_value_type(value) != MS_BOOL) return MS_ETYPE;
  *out = constant_of(value) == CONSTANT_TRUE;
  return MS_OK;
}

ms_status ms_value_to_int(const ms_value *value, int64_t *out) {
  if (ms_value_type(value) != MS_INT) return MS_ETYPE;
  if (msi_is_heap(value)) {
    *out = ((const msi_number *)(const void *)value)->as.integer;
  } else {
    *out = (intptr_t)value >> 2;
  }
  return MS_OK;
}

ms_status ms_value_to_double(const ms_value *value, double *out) {
  if (ms_value_type(value) == MS_INT) {
    int64_t integer = 0;
    ms_status st = ms_value_to_int(value, &integer);
    if (st == MS_OK) *out = (double)integer;
    return st;
  }
  if (ms_value_type(value) != MS_DOUBLE) return MS_ETYPE;
  if (msi_is_heap(value)) {
    *out = ((const msi_number *)(const void *)value)->as.real;
  } else {
    uint64_t bits = double_unpack((uintptr_t)value);
    memcpy(out, &bits, sizeof bits);
  }
  return MS_OK;
}

ms_status ms_value_to_string(const ms_value *value, const char **bytes, size_t *length) {
  if (!msi_is_string(value)) return MS_ETYPE;
  const msi_string *string = msi_as_string(value);
  *bytes = string->bytes;
  *length = string->length;
  return MS_OK;
}

/* ------------------------------------------------------------------ counting */

const ms_value *ms_value_retain(const ms_value *value) { return msi_retain(value); }

bool msi_value_is_unique(const ms_value *value) {
  return msi_is_heap(value) && msi_refs_unique(&value->refs);
}

static void scalar_free(const ms_value *value) {
  size_t bytes = sizeof(msi_number);
  if (value->type == MS_STRING)
    bytes = sizeof(msi_string) + msi_as_string(value)->length + 1;
  msi_alloc_free(value->alloc, (void *)(uintptr_t)value, bytes);
}

void msi_dead_release(msi_dead *dead, const ms_value *value) {
  if (!msi_is_heap(value)) return;
  if (!msi_refs_release(&((ms_value *)(uintptr_t)value)->refs)) return;
  if (value->type != MS_ARRAY && value->type != MS_OBJECT) {
    scalar_free(value);
    return;
  }
  msi_container *container = msi_as_container(value);
  msi_dead_link(container, dead->first);
  dead->first = container;
}

bool msi_dead_step(msi_dead *dead, size_t *budget) {
  while (dead->first != NULL) {
    if (*budget == 0) return false;
    msi_container *container = dead->first;
    dead->first = msi_dead_next(container);
    bool gone = container->head.type == MS_ARRAY
                    ? msi_array_drop(dead, container, budget)
                    : msi_object_drop(dead, container, budget);
    if (gone) continue;
    msi_dead_link(container, dead->first);
    dead->first = container;
  }
  return true;
}

void msi_dead_drain(msi_dead *dead) {
  size_t budget = SIZE_MAX;
  while (!msi_dead_step(dead, &budget)) budget = SIZE_MAX;
}

void ms_value_release(const ms_value *value) {
  msi_dead dead = {NULL};
  msi_dead_release(&dead, value);
  msi_dead_drain(&dead);
}

/* ------------------------------------------------------------------ containers of either
 * type */

size_t ms_value_count(const ms_value *value) {
  return msi_is_array(value) || msi_is_object(value) ? msi_as_container(value)->count : 0;
}

static uint64_t int_bytes(int64_t number) {
  if (number < 0) {
    return number >= -32         ? 1
           : number >= INT8_MIN  ? 2
           : number >= INT16_MIN ? 3
           : number >= INT32_MIN ? 5
                                 : 9;
  }
  return number < 128           ? 1
         : number <= UINT8_MAX  ? 2
         : number <= UINT16_MAX ? 3
         : number <= UINT32_MAX ? 5
                                : 9;
}

static uint64_t string_bytes(const msi_string *string) {
  uint64_t length = string->length;
  if ((string->head.flags & MSI_UTF8) != 0 && length < 32) return 1 + length;
  return length + (length <= UINT8_MAX ? 2 : length <= UINT16_MAX ? 3 : 5);
}

uint64_t ms_value_bytes(const ms_value *value) {
  int64_t integer = 0;
  switch (ms_value_type(value)) {
    case MS_NULL:
    case MS_BOOL: return 1;
    case MS_INT:
      return ms_value_to_int(value, &integer) == MS_OK ? int_bytes(integer) : 0;
    case MS_DOUBLE: return 9;
    case MS_STRING: return string_bytes(msi_as_string(value));
    case MS_EMPTY: return 3;
    case MS_ARRAY:
    case MS_OBJECT: break;
  }
  const msi_container *container = msi_as_container(value);
  uint32_t count = container->count;
  return container->bytes + (count < 16 ? 1u : count <= UINT16_MAX ? 3u : 5u);
}

void msi_container_grow(const ms_value *container, int64_t bytes) {
  MSI_ASSERT(msi_value_is_unique(container));
  msi_as_container(container)->bytes += (uint64_t)bytes;
}

enum { CURSOR_CONTAINER, CURSOR_INDEX, CURSOR_RUN, CURSOR_LEFT };

void ms_cursor_init(ms_cursor *cursor, const ms_value *container) {
  if (msi_is_object(container)) {
    msi_object_cursor_init(cursor, container);
    return;
  }
  cursor->space[CURSOR_CONTAINER] = msi_is_array(container) ? (uintptr_t)container : 0;
  cursor->space[CURSOR_INDEX] = 0;
  cursor->space[CURSOR_LEFT] = 0;
}

bool ms_cursor_next(ms_cursor *cursor, const char **key, size_t *length,
                    const ms_value **value) {
  const ms_value *container = (const ms_value *)cursor->space[CURSOR_CONTAINER];
  if (container == NULL) return false;
  if (msi_is_object(container)) {
    const msi_entry *entry = msi_object_cursor_next(cursor);
    if (entry == NULL) return false;
    *key = msi_as_string(entry->key)->bytes;
    *length = msi_as_string(entry->key)->length;
    *value = entry->value;
    return true;
  }
  size_t index = cursor->space[CURSOR_INDEX];
  const msi_container *array = msi_as_container(container);
  if (index >= array->count) return false;
  if (cursor->space[CURSOR_LEFT] == 0) {
    size_t run = 0;
    cursor->space[CURSOR_RUN] = (uintptr_t)msi_array_run(array, index, &run);
    cursor->space[CURSOR_LEFT] = run;
  }
  const ms_value *const *at = (const ms_value *const *)cursor->space[CURSOR_RUN];
  *key = NULL;
  *length = index;
  *value = *at;
  cursor->space[CURSOR_RUN] = (uintptr_t)(at + 1);
  cursor->space[CURSOR_LEFT]--;
  cursor->space[CURSOR_INDEX]++;
  return true;
}

bool msi_cursor_next_key(ms_cursor *cursor, const ms_value **key,
                         const ms_value **value) {
  if (!msi_is_object((const ms_value *)cursor->space[CURSOR_CONTAINER])) return false;
  const msi_entry *entry = msi_object_cursor_next(cursor);
  if (entry == NULL) return false;
  *key = entry->key;
  *value = entry->value;
  return true;
}

/* Recurses once per level, at most `limit` times. */
size_t msi_value_depth(const ms_value *value, size_t limit) {
  if (!msi_type_is_container(ms_value_type(value))) return 0;
  size_t deepest = 0;
  if (limit == 0) return 1;
  ms_cursor cursor;
  ms_cursor_init(&cursor, value);
  const char *key = NULL;
  size_t length = 0;
  const ms_value *child = NULL;
  while (deepest < limit && ms_cursor_next(&cursor, &key, &length, &child)) {
    size_t depth = msi_value_depth(child, limit - 1);
    if (depth > deepest) deepest = depth;
  }
  return deepest + 1;
}

/* Recurses once per level: for the modest trees of tests. */
bool msi_value_check(const ms_value *value) {
  if (msi_is_array(value)) {
    if (!msi_array_check(value)) return false;
  } else if (msi_is_object(value)) {
    if (!msi_object_check(value)) return false;
  } else if (msi_is_string(value)) {
    const msi_string *string = msi_as_string(value);
    bool utf8 = msi_utf8_valid(string->bytes, string->length);
    return utf8 == ((string->head.flags & MSI_UTF8) != 0) &&
           string->bytes[string->length] == '\0';
  }
  ms_cursor cursor;
  ms_cursor_init(&cursor, value);
  const char *key = NULL;
  size_t length = 0;
  const ms_value *child = NULL;
  while (ms_cursor_next(&cursor, &key, &length, &child)) {
    if (!msi_value_check(child)) return false;
  }
  return true;
}
