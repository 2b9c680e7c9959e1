/*
 * $push: of one element, of each in a list, and with $position, $sort and $slice, which is an
 * operator of its own on the wire (MSI_CODE_PUSH_AT).
 */
#include <string.h>

#include "operator.h"
#include "sort.h"

/* --------------------------------------------------------------------- push */

static ms_status fail_modifier(const msi_op *op, const char *wanted, ms_error *error) {
  char text[MSI_PRINT_BYTES];
  return msi_fail(error, MS_EARGUMENT, "$push: \"%s\" needs %s",
                  msi_op_print(op, text, sizeof text), wanted);
}

static ms_status put_whole(const ms_alloc *alloc, const ms_value *given, const msi_op *op,
                           const char *wanted, const ms_value **list, ms_error *error) {
  if (given == NULL) return ms_value_append(alloc, list, ms_value_null());
  int64_t number;
  if (!msi_value_to_whole(given, &number)) return fail_modifier(op, wanted, error);
  const ms_value *whole;
  ms_status st = ms_value_new_int(alloc, number, &whole);
  if (st != MS_OK) return st;
  st = ms_value_append(alloc, list, whole);
  ms_value_release(whole);
  return st;
}

/* Is it a dotted path without empty keys? */
static bool is_sort_key(const ms_value *key) {
  const char *text;
  size_t length;
  if (ms_value_to_string(key, &text, &length) != MS_OK || length == 0) return false;
  if (text[0] == '.' || text[length - 1] == '.') return false;
  for (size_t i = 1; i < length; i++) {
    if (text[i] == '.' && text[i - 1] == '.') return false;
  }
  return true;
}

static int key_order(void *ud, const void *a, const void *b) {
  (void)ud;
  return msi_compare_strings(a, b);
}

static const char sort_wanted[] = "1, -1 or {path: 1 or -1, ...} for $sort";

/* [key, 1 or -1] */
static ms_status put_sort_key(const ms_alloc *alloc, const ms_value *key,
                              const ms_value *direction, const ms_value **keys) {
  const ms_value *pair;
  ms_status st = msi_list_of_one(alloc, key, &pair);
  if (st != MS_OK) return st;
  int64_t sign = 1;
  const ms_value *number = NULL;
  bool is_valid = msi_is_direction(direction, &sign);
  MSI_ASSERT(is_valid); /* put_sort() has checked it */
  (void)is_valid;
  st = ms_value_new_int(alloc, sign, &number);
  if (st == MS_OK) st = ms_value_append(alloc, &pair, number);
  if (st == MS_OK) st = ms_value_append(alloc, keys, pair);
  ms_value_release(number);
  ms_value_release(pair);
  return st;
}

/* MongoDB sorts by the fields in the order in which they are written; here objects are
 * unordered, and it is that of their bytes. */
static ms_status sort_keys(const ms_alloc *alloc, const ms_value *given,
                           const ms_value **keys) {
  size_t count = ms_value_count(given);
  size_t bytes = 2 * count * sizeof(const void *);
  const void **items = msi_alloc_get(alloc, bytes);
  if (items == NULL) return MS_ENOMEM;
  ms_cursor cursor;
  const ms_value *key, *direction;
  size_t at = 0;
  ms_cursor_init(&cursor, given);
  while (msi_cursor_next_key(&cursor, &key, &direction)) items[at++] = key;
  msi_sort(items, items + count, count, key_order, NULL);
  ms_status st = MS_OK;
  for (size_t i = 0; i < count && st == MS_OK; i++) {
    st = put_sort_key(alloc, items[i], msi_object_get(given, items[i]), keys);
  }
  msi_alloc_free(alloc, items, bytes);
  return st;
}

static ms_status put_sort(const ms_alloc *alloc, const ms_value *given, const msi_op *op,
                          const ms_value **list, ms_error *error) {
  int64_t sign;
  if (given == NULL || msi_value_is_number(given)) {
    if (given != NULL && !msi_is_direction(given, &sign)) {
      return fail_modifier(op, sort_wanted, error);
    }
    return put_whole(alloc, given, op, sort_wanted, list, error);
  }
  if (ms_value_type(given) != MS_OBJECT || ms_value_count(given) == 0) {
    return fail_modifier(op, sort_wanted, error);
  }
  ms_cursor cursor;
  const ms_value *key, *direction;
  ms_cursor_init(&cursor, given);
  while (msi_cursor_next_key(&cursor, &key, &direction)) {
    if (!is_sort_key(key) || !msi_is_direction(direction, &sign)) {
      return fail_modifier(op, sort_wanted, error);
    }
  }
  const ms_value *keys;
  ms_status st = ms_value_new_array(alloc, &keys);
  if (st != MS_OK) return st;
  st = sort_keys(alloc, given, &keys);
  if (st == MS_OK) st = ms_value_append(alloc, list, keys);
  ms_value_release(keys);
  return st;
}

/* An object counts as modifiers only when it has $each; else it is the element itself. */
ms_status msi_push_compile(const ms_alloc *alloc, const ms_value *given, msi_op *op,
                           ms_error *error) {
  const ms_value *each;
  ms_status st = msi_list_find_each(given, op, &each, error);
  if (st != MS_OK) return st;
  if (each == NULL) return msi_list_of_one(alloc, given, &op->operand);
  const ms_value *position = ms_value_get(given, "$position", 9),
                 *slice = ms_value_get(given, "$slice", 6),
                 *sort = ms_value_get(given, "$sort", 5);
  size_t known = 1u + (position != NULL ? 1u : 0u) + (slice != NULL ? 1u : 0u) +
                 (sort != NULL ? 1u : 0u);
  if (known != ms_value_count(given)) {
    return fail_modifier(op, "nothing but $position, $slice and $sort beside $each",
                         error);
  }
  if (known == 1) return msi_list_to_array(alloc, each, &op->operand);
  const ms_value *elements, *list;
  op->code = MSI_CODE_PUSH_AT;
  st = msi_list_to_array(alloc, each, &elements);
  if (st != MS_OK) return st;
  st = msi_list_of_one(alloc, elements, &list);
  ms_value_release(elements);
  if (st != MS_OK) return st;
  st = put_whole(alloc, position, op, "a whole number for $position", &list, error);
  if (st == MS_OK)
    st = put_whole(alloc, slice, op, "a whole number for $slice", &list, error);
  if (st == MS_OK) st = put_sort(alloc, sort, op, &list, error);
  if (st == MS_OK) {
    op->operand = list;
  } else {
    ms_value_release(list);
  }
  return st;
}

ms_status msi_push_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  (void)alloc;
  if (ms_value_type(op->operand) == MS_ARRAY) return MS_OK;
  return msi_op_bad_operand(op, op->operand, "an array of elements", error);
}

ms_status msi_push_apply(const msi_target *target, msi_outcome *out, ms_error *error) {
  const ms_value *operand = target->op->operand;
  ms_type type = msi_target_array_type(target);
  if (type == MS_ARRAY && ms_value_count(operand) == 0) return MS_OK;
  if (type != MS_ARRAY && type != MS_EMPTY) {
    return msi_target_mismatch(target, "an array", error);
  }
  out->action = type == MS_ARRAY ? MSI_ACTION_APPEND : MSI_ACTION_STORE;
  out->value = ms_value_retain(operand);
  return MS_OK;
}

/* ------------------------------------------------- push with modifiers, checks */

static const ms_value *push_part(const msi_op *op, size_t which) {
  return ms_value_at(op->operand, which);
}

static bool is_whole_or_nil(const ms_value *value) {
  ms_type type = ms_value_type(value);
  return type == MS_NULL || type == MS_INT;
}

static bool is_sort(const ms_value *sort) {
  int64_t sign;
  if (ms_value_type(sort) == MS_NULL) return true;
  if (ms_value_type(sort) == MS_INT) return msi_is_direction(sort, &sign);
  if (ms_value_type(sort) != MS_ARRAY || ms_value_count(sort) == 0) return false;
  const ms_value *last = NULL;
  for (size_t i = 0; i < ms_value_count(sort); i++) {
    const ms_value *pair = ms_value_at(sort, i), *key = ms_value_at(pair, 0);
    if (ms_value_count(pair) != 2 || key == NULL || !is_sort_key(key)) return false;
    const ms_value *direction = ms_value_at(pair, 1);
    if (ms_value_type(direction) != MS_INT || !msi_is_direction(direction, &sign))
      return false;
    if (last != NULL && msi_compare_strings(last, key) >= 0) return false;
    last = key;
  }
  return true;
}

ms_status msi_push_at_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  (void)alloc;
  if (ms_value_type(op->operand) != MS_ARRAY || ms_value_count(op->operand) != 4 ||
      ms_value_type(push_part(op, 0)) != MS_ARRAY || !is_whole_or_nil(push_part(op, 1)) ||
      !is_whole_or_nil(push_part(op, 2)) || !is_sort(push_part(op, 3))) {
    return fail_modifier(op, "elements, position, slice and sort", error);
  }
  size_t room = MS_DEPTH_MAX - msi_op_key_count(op);
  if (msi_value_depth(push_part(op, 0), room) <= room) return MS_OK;
  char text[MSI_PRINT_BYTES];
  return msi_fail(error, MS_ELIMIT, "$push: \"%s\" would be deeper than %d levels",
                  msi_op_print(op, text, sizeof text), MS_DEPTH_MAX);
}

/* ------------------------------------------------------- position, sort, slice */

/* Bytes of a dotted key that are gone through in one step. */
enum { STEP_BYTES = 8 };

/* The array to work on, retained: an empty one where there is none. */
static ms_status array_begin(const msi_target *target, const ms_value **out,
                             ms_error *error) {
  ms_type type = msi_target_array_type(target);
  if (type == MS_ARRAY) {
    *out = ms_value_retain(target->old_value);
    return MS_OK;
  }
  if (type != MS_EMPTY) return msi_target_mismatch(target, "an array", error);
  return ms_value_new_array(target->context->alloc, out);
}

static ms_status push_elements(const msi_target *target, const ms_value **array) {
  const ms_value *elements = push_part(target->op, 0);
  size_t count = ms_value_count(*array), at = count;
  int64_t position;
  if (ms_value_to_int(push_part(target->op, 1), &position) == MS_OK) {
    if (position >= 0) {
      if ((uint64_t)position < count) at = (size_t)position;
    } else {
      uint64_t from_end = (uint64_t)0 - (uint64_t)position;
      at = from_end < count ? count - (size_t)from_end : 0;
    }
  }
  ms_status st = MS_OK;
  for (size_t i = 0; i < ms_value_count(elements) && st == MS_OK; i++) {
    st = ms_value_insert(target->context->alloc, array, at + i, ms_value_at(elements, i));
  }
  return st;
}

/* As MongoDB extracts it: a whole key first, else its part before a dot leads further. */
static const ms_value *sort_field(const ms_value *value, const ms_value *key,
                                  const char *text, size_t length, msi_meter *meter) {
  const ms_value *found = NULL;
  if (!msi_meter_take(meter, 1 + length / STEP_BYTES)) return NULL;
  if (ms_value_type(value) == MS_ARRAY) {
    int64_t index = msi_key_index(text, length);
    if (index >= 0) found = ms_value_at(value, msi_index_size(index));
  } else if (key != NULL) {
    found = msi_object_get(value, key);
  } else {
    found = ms_value_get(value, text, length);
  }
  const char *dot = found == NULL ? memchr(text, '.', length) : NULL;
  if (dot == NULL) return found;
  const ms_value *inner = sort_field(value, NULL, text, (size_t)(dot - text), meter);
  if (inner == NULL || !msi_type_is_container(ms_value_type(inner))) return NULL;
  return sort_field(inner, NULL, dot + 1, length - (size_t)(dot - text) - 1, meter);
}

static const ms_value *sort_value(const ms_value *element, const ms_value *key,
                                  msi_meter *meter) {
  const char *text;
  size_t length;
  if (ms_value_type(element) != MS_OBJECT ||
      ms_value_to_string(key, &text, &length) != MS_OK) {
    return ms_value_null();
  }
  const ms_value *found = sort_field(element, key, text, length, meter);
  return found == NULL ? ms_value_null() : found;
}

static int signed_order(const ms_value *direction, int order) {
  int64_t sign;
  return ms_value_to_int(direction, &sign) == MS_OK && sign < 0 ? -order : order;
}

/* ud: the target. */
static int element_order(void *ud, const void *a, const void *b) {
  const msi_target *target = ud;
  const ms_value *sort = push_part(target->op, 3);
  msi_meter *meter = target->meter;
  if (ms_value_type(sort) == MS_INT)
    return signed_order(sort, msi_compare_metered(a, b, meter));
  for (size_t i = 0; i < ms_value_count(sort) && msi_meter_take(meter, 1); i++) {
    const ms_value *pair = ms_value_at(sort, i), *key = ms_value_at(pair, 0);
    int order =
        msi_compare_metered(sort_value(a, key, meter), sort_value(b, key, meter), meter);
    if (order != 0) return signed_order(ms_value_at(pair, 1), order);
  }
  return 0;
}

static ms_status push_sort(const msi_target *target, const ms_value **array) {
  const ms_value *sort = push_part(target->op, 3);
  const ms_alloc *alloc = target->context->alloc;
  size_t count = ms_value_count(*array);
  if (ms_value_type(sort) == MS_NULL || count < 2) return MS_OK;
  if (!msi_meter_take(target->meter, count)) return MS_OK;
  size_t bytes = 2 * count * sizeof(const void *);
  const void **items = msi_alloc_get(alloc, bytes);
  if (items == NULL) return MS_ENOMEM;
  ms_cursor cursor;
  const char *key;
  size_t index;
  const ms_value *element, *sorted;
  ms_cursor_init(&cursor, *array);
  while (ms_cursor_next(&cursor, &key, &index, &element)) items[index] = element;
  msi_sort(items, items + count, count, element_order, (void *)(uintptr_t)target);
  ms_status st = ms_value_new_array(alloc, &sorted);
  if (st == MS_OK) {
    for (size_t i = 0; i < count && st == MS_OK; i++) {
      st = ms_value_append(alloc, &sorted, items[i]);
    }
    const ms_value *gone = st == MS_OK ? *array : sorted;
    if (st == MS_OK) *array = sorted;
    ms_value_release(gone);
  }
  msi_alloc_free(alloc, items, bytes);
  return st;
}

/* Keeps `kept` elements from `first` on. Costs what goes or what stays, whichever is
 * less. */
static ms_status keep_range(const ms_alloc *alloc, const ms_value **array, size_t first,
                            size_t kept) {
  size_t count = ms_value_count(*array);
  ms_status st = MS_OK;
  if (count - kept <= kept) {
    for (; count > first + kept && st == MS_OK; count--) {
      st = ms_value_erase_at(alloc, array, count - 1);
    }
    for (; first > 0 && st == MS_OK; first--) st = ms_value_erase_at(alloc, array, 0);
    return st;
  }
  const ms_value *rest;
  st = ms_value_new_array(alloc, &rest);
  if (st != MS_OK) return st;
  for (size_t i = 0; i < kept && st == MS_OK; i++) {
    st = ms_value_append(alloc, &rest, ms_value_at(*array, first + i));
  }
  const ms_value *gone = st == MS_OK ? *array : rest;
  if (st == MS_OK) *array = rest;
  ms_value_release(gone);
  return st;
}

static ms_status push_slice(const msi_target *target, const ms_value **array) {
  int64_t slice;
  if (ms_value_to_int(push_part(target->op, 2), &slice) != MS_OK) return MS_OK;
  size_t count = ms_value_count(*array);
  uint64_t kept = slice < 0 ? (uint64_t)0 - (uint64_t)slice : (uint64_t)slice;
  if (kept >= count) return MS_OK;
  size_t first = slice < 0 ? count - (size_t)kept : 0;
  uint64_t moved = kept < count - kept ? kept : count - kept;
  if (!msi_meter_take(target->meter, moved)) return MS_OK;
  return keep_range(target->context->alloc, array, first, (size_t)kept);
}

ms_status msi_push_at_apply(const msi_target *target, msi_outcome *out, ms_error *error) {
  const ms_value *array;
  ms_status st = array_begin(target, &array, error);
  if (st != MS_OK) return st;
  st = push_elements(target, &array);
  if (st == MS_OK) st = push_sort(target, &array);
  if (st == MS_OK) st = push_slice(target, &array);
  if (st != MS_OK) {
    ms_value_release(array);
    return st;
  }
  out->action = MSI_ACTION_STORE;
  out->value = array;
  return MS_OK;
}
