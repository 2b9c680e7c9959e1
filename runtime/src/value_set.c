/*
 * Sorted values in one block:
 *
 *   set | values, `count` of them | indexes
 */
#include "value_set.h"

#include "sort.h"

/* While it is being made: the address of an item tells its place in the list. */
typedef struct item {
  const ms_value *value;
} item;

/* ud: the meter. */
static int item_order(void *ud, const void *a, const void *b) {
  return msi_compare_quick(((const item *)a)->value, ((const item *)b)->value, ud);
}

static size_t set_bytes(size_t count) {
  return sizeof(msi_value_set) + count * (sizeof(const ms_value *) + sizeof(uint32_t));
}

static bool is_empty_array(const ms_value *value) {
  return ms_value_type(value) == MS_ARRAY && ms_value_count(value) == 0;
}

/* Of `count` sorted items; equal ones stand together, the first of the list in front. */
static ms_status set_fill(const ms_alloc *alloc, const item *items, const void **sorted,
                          size_t count, msi_meter *meter, msi_value_set **out) {
  size_t distinct = 0;
  for (size_t i = 0; i < count; i++) {
    if (distinct > 0 && item_order(meter, sorted[distinct - 1], sorted[i]) == 0) continue;
    sorted[distinct++] = sorted[i];
  }
  if (msi_meter_is_out(meter)) return MS_ELIMIT;
  msi_value_set *set = msi_alloc_zero(alloc, set_bytes(distinct));
  if (set == NULL) return MS_ENOMEM;
  const ms_value **values = (const ms_value **)(void *)(set + 1);
  uint32_t *indexes = (uint32_t *)(void *)(values + distinct);
  *set = (msi_value_set){
      .alloc = alloc, .count = distinct, .values = values, .indexes = indexes};
  for (size_t i = 0; i < distinct; i++) {
    const item *from = sorted[i];
    values[i] = from->value;
    indexes[i] = (uint32_t)(from - items);
  }
  *out = set;
  return MS_OK;
}

/* About half of the items are compared once for each doubling, sorted or not. What cannot do
 * with the steps that are left need not begin. */
static uint64_t least_steps(size_t count) {
  uint64_t levels = 0;
  while (count >> levels > 1) levels++;
  return count / 2 * levels;
}

ms_status msi_value_set_new(const ms_alloc *alloc, const ms_value *list, msi_meter *meter,
                            msi_value_set **out) {
  alloc = msi_alloc_resolve(alloc);
  size_t count = ms_value_count(list);
  if (least_steps(count) > meter->left) return MS_ELIMIT;
  size_t bytes = count * (sizeof(item) + 2 * sizeof(const void *)) + 1;
  item *items = msi_alloc_get(alloc, bytes);
  if (items == NULL) return MS_ENOMEM;
  const void **sorted = (const void **)(void *)(items + count);
  for (size_t i = 0; i < count; i++) sorted[i] = &items[i];
  bool has_null = false, has_array = false, has_table = false;
  ms_cursor cursor;
  const char *key;
  size_t index;
  const ms_value *value;
  if (count > 0) ms_cursor_init(&cursor, list);
  while (count > 0 && ms_cursor_next(&cursor, &key, &index, &value)) {
    items[index].value = value;
    has_null = has_null || ms_value_type(value) == MS_NULL;
    has_table = has_table || ms_value_type(value) == MS_EMPTY;
    has_array = has_array || is_empty_array(value);
  }
  msi_sort(sorted, sorted + count, count, item_order, meter);
  ms_status st = set_fill(alloc, items, sorted, count, meter, out);
  msi_alloc_free(alloc, items, bytes);
  if (st != MS_OK) return st;
  (*out)->has_null = has_null;
  (*out)->has_empty_array = has_array;
  (*out)->has_empty_table = has_table;
  return MS_OK;
}

void msi_value_set_free(msi_value_set *set) {
  if (set != NULL) msi_alloc_free(set->alloc, set, set_bytes(set->count));
}

size_t msi_value_set_find(const msi_value_set *set, const ms_value *value,
                          msi_meter *meter) {
  size_t low = 0, high = set->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = msi_compare_quick(set->values[middle], value, meter);
    if (order == 0) return middle;
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return SIZE_MAX;
}

bool msi_value_set_matches(const msi_value_set *set, const ms_value *value,
                           msi_meter *meter) {
  if (msi_value_set_find(set, value, meter) != SIZE_MAX) return true;
  if (ms_value_type(value) == MS_EMPTY) return set->has_empty_array;
  return set->has_empty_table && is_empty_array(value);
}
