/*
 * Asking queries. MongoDB's rules for what a condition with a path tests:
 *
 *   - Objects on the way are entered by key.
 *   - Of an array on the way every element that is an object is entered with the rest of
 *     the path; a key that is an index also names that one element.
 *   - Of an array at the end every element is tested, then the array as a whole; not so
 *     when an index led to it, and not by $size and $elemMatch, which are about arrays.
 *   - Where nothing is, or a scalar bars the way, nothing is tested, as a value of its
 *     own: null equals it, $exists does not hold. An array on the way in which nothing is
 *     found has not even that.
 *
 * A condition holds when it holds for one of what it tests.
 */
#include <math.h>

#include "query.h"

/* ---------------------------------------------------------------- one value */

static bool is_null(const ms_value *value) { return ms_value_type(value) == MS_NULL; }

static bool is_nan(const ms_value *value) {
  double number;
  return ms_value_type(value) == MS_DOUBLE &&
         ms_value_to_double(value, &number) == MS_OK && isnan(number);
}

static bool is_empty(const ms_value *value) {
  return msi_type_is_container(ms_value_type(value)) && ms_value_count(value) == 0;
}

static bool test_equal(const ms_value *value, const ms_value *operand, msi_meter *meter) {
  if (value == NULL) return is_null(operand);
  if (msi_compare_equal(value, operand, meter)) return true;
  bool is_table = ms_value_type(value) == MS_EMPTY || ms_value_type(operand) == MS_EMPTY;
  return is_table && is_empty(value) && is_empty(operand);
}

static bool test_order(msi_condition_kind kind, const ms_value *value,
                       const ms_value *operand, msi_meter *meter) {
  bool or_equal = kind == MSI_CONDITION_LTE || kind == MSI_CONDITION_GTE;
  if (value == NULL) return or_equal && is_null(operand);
  if (msi_type_rank(ms_value_type(value)) != msi_type_rank(ms_value_type(operand))) {
    return false;
  }
  if (is_nan(value) || is_nan(operand)) {
    return or_equal && is_nan(value) && is_nan(operand);
  }
  int order = msi_compare_metered(value, operand, meter);
  if (order == 0) return or_equal;
  bool wants_less = kind == MSI_CONDITION_LT || kind == MSI_CONDITION_LTE;
  return wants_less ? order < 0 : order > 0;
}

static uint32_t types_of(const ms_value *value) {
  int64_t number = 0;
  switch (ms_value_type(value)) {
    case MS_NULL: return MSI_TYPE_NULL;
    case MS_BOOL: return MSI_TYPE_BOOL;
    case MS_DOUBLE: return MSI_TYPE_DOUBLE;
    case MS_STRING: return MSI_TYPE_STRING;
    case MS_ARRAY: return MSI_TYPE_ARRAY;
    case MS_OBJECT: return MSI_TYPE_OBJECT;
    case MS_EMPTY: return MSI_TYPE_ARRAY | MSI_TYPE_OBJECT;
    case MS_INT: break;
  }
  if (ms_value_to_int(value, &number) != MS_OK) return 0;
  return number >= INT32_MIN && number <= INT32_MAX ? MSI_TYPE_INT : MSI_TYPE_LONG;
}

static bool test_mod(const msi_condition *self, const ms_value *value) {
  int64_t dividend;
  double number;
  if (ms_value_to_int(value, &dividend) != MS_OK) {
    if (ms_value_to_double(value, &number) != MS_OK) return false;
    if (!(number >= -9223372036854775808.0 && number < 9223372036854775808.0)) {
      return false;
    }
    dividend = (int64_t)number; /* towards zero */
  }
  /* INT64_MIN % -1 overflows. */
  return (self->number == -1 ? 0 : dividend % self->number) == self->remainder;
}

static bool children_hold(const msi_condition *self, const ms_value *value,
                          msi_meter *meter);

static bool test_elements(const msi_condition *self, const ms_value *array,
                          msi_meter *meter) {
  ms_cursor cursor;
  const char *key;
  size_t index;
  const ms_value *element;
  if (ms_value_type(array) != MS_ARRAY) return false;
  ms_cursor_init(&cursor, array);
  while (ms_cursor_next(&cursor, &key, &index, &element)) {
    bool is_askable = self->kind == MSI_CONDITION_ELEM_VALUE ||
                      msi_type_is_container(ms_value_type(element));
    if (!msi_meter_take(meter, 1)) return false;
    if (is_askable && children_hold(self, element, meter)) return true;
  }
  return false;
}

/* value NULL: nothing is there. */
static bool test(const msi_condition *self, const ms_value *value, msi_meter *meter) {
  if (!msi_meter_take(meter, 1)) return false;
  switch (self->kind) {
    case MSI_CONDITION_EQ: return test_equal(value, self->operand, meter);
    case MSI_CONDITION_LT:
    case MSI_CONDITION_LTE:
    case MSI_CONDITION_GT:
    case MSI_CONDITION_GTE: return test_order(self->kind, value, self->operand, meter);
    case MSI_CONDITION_IN:
      return value == NULL ? self->set->has_null
                           : msi_value_set_matches(self->set, value, meter);
    case MSI_CONDITION_EXISTS: return value != NULL;
    case MSI_CONDITION_TYPE: return value != NULL && (types_of(value) & self->types) != 0;
    case MSI_CONDITION_MOD: return value != NULL && test_mod(self, value);
    case MSI_CONDITION_SIZE:
      return value != NULL && msi_value_is_array(value) &&
             ms_value_count(value) == (uint64_t)self->number;
    case MSI_CONDITION_ELEM_OBJECT:
    case MSI_CONDITION_ELEM_VALUE:
      return value != NULL && test_elements(self, value, meter);
    default: return false;
  }
}

/* -------------------------------------------------------- what a path leads to */

static bool is_about_arrays(const msi_condition *self) {
  return self->kind == MSI_CONDITION_SIZE || self->kind == MSI_CONDITION_ELEM_OBJECT ||
         self->kind == MSI_CONDITION_ELEM_VALUE;
}

static bool any_at_end(const msi_condition *self, const ms_value *value,
                       msi_meter *meter) {
  if (value != NULL && ms_value_type(value) == MS_ARRAY && !is_about_arrays(self)) {
    ms_cursor cursor;
    const char *key;
    size_t index;
    const ms_value *element;
    ms_cursor_init(&cursor, value);
    while (ms_cursor_next(&cursor, &key, &index, &element)) {
      if (test(self, element, meter)) return true;
    }
  }
  return test(self, value, meter);
}

static bool any_below(const msi_condition *self, const ms_value *value, size_t at,
                      msi_meter *meter);

/* Key `at` of the path is asked of an array. */
static bool any_in_array(const msi_condition *self, const ms_value *array, size_t at,
                         msi_meter *meter) {
  int64_t wanted = self->path->segments[at].index;
  bool is_last = at + 1 == self->path->count;
  ms_cursor cursor;
  const char *key;
  size_t index;
  const ms_value *element;
  ms_cursor_init(&cursor, array);
  while (ms_cursor_next(&cursor, &key, &index, &element)) {
    bool is_object = msi_value_is_object(element), is_wanted = (int64_t)index == wanted;
    if (!msi_meter_take(meter, 1)) return false;
    if (is_object && any_below(self, element, at, meter)) return true;
    if (!is_wanted) continue;
    if (is_last) {
      if (test(self, element, meter)) return true;
    } else if (is_object) {
      if (any_below(self, element, at + 1, meter)) return true;
    } else if (ms_value_type(element) == MS_ARRAY) {
      if (any_in_array(self, element, at + 1, meter)) return true;
    }
  }
  return false;
}

/* The keys from `at` on are still to go. */
static bool any_below(const msi_condition *self, const ms_value *value, size_t at,
                      msi_meter *meter) {
  size_t count = self->path == NULL ? 0 : self->path->count;
  for (; at < count && value != NULL; at++) {
    if (!msi_meter_take(meter, 1)) return false;
    if (ms_value_type(value) == MS_ARRAY) return any_in_array(self, value, at, meter);
    value = msi_segment_find(&self->path->segments[at], value);
  }
  return any_at_end(self, value, meter);
}

/* --------------------------------------------------------------- conditions */

static bool holds(const msi_condition *self, const ms_value *value, msi_meter *meter);

static bool children_hold(const msi_condition *self, const ms_value *value,
                          msi_meter *meter) {
  for (const msi_condition *child = self->children; child != NULL; child = child->next) {
    if (!holds(child, value, meter)) return false;
  }
  return true;
}

static bool one_child_holds(const msi_condition *self, const ms_value *value,
                            msi_meter *meter) {
  for (const msi_condition *child = self->children; child != NULL; child = child->next) {
    if (holds(child, value, meter)) return true;
  }
  return false;
}

static bool holds(const msi_condition *self, const ms_value *value, msi_meter *meter) {
  if (!msi_meter_take(meter, 1)) return false;
  switch (self->kind) {
    case MSI_CONDITION_AND: return children_hold(self, value, meter);
    case MSI_CONDITION_OR: return one_child_holds(self, value, meter);
    case MSI_CONDITION_NOR: return !one_child_holds(self, value, meter);
    case MSI_CONDITION_NOT: return !children_hold(self, value, meter);
    case MSI_CONDITION_NEVER: return false;
    default: break;
  }
  switch (self->reach) {
    case MSI_REACH_VALUE: return test(self, value, meter);
    case MSI_REACH_ELEMENT: return any_below(self, value, 0, meter);
    case MSI_REACH_DOCUMENT: break;
  }
  /* A document may be an array that $elemMatch takes for one, with indexes as keys. */
  return any_below(self, msi_segment_find(&self->path->segments[0], value), 1, meter);
}

bool msi_query_matches(const ms_query *query, const ms_value *value, msi_meter *meter) {
  if (!msi_meter_take(meter, 1)) return false;
  if (query->objects_only && !msi_value_is_object(value)) return false;
  return children_hold(&query->root, value, meter) && !msi_meter_is_out(meter);
}

/* Conditions below one that has a path are about what is there. */
static void visit_keys(const msi_condition *self, msi_query_key_fn visit, void *ud) {
  for (const msi_condition *child = self->children; child != NULL; child = child->next) {
    if (child->path != NULL && child->path->count > 0) {
      visit(ud, &child->path->segments[0]);
    } else {
      visit_keys(child, visit, ud);
    }
  }
}

void msi_query_keys(const ms_query *query, msi_query_key_fn visit, void *ud) {
  visit_keys(&query->root, visit, ud);
}

const ms_path *msi_query_failing(const ms_query *query, const ms_value *value) {
  const msi_condition *child = query->root.children;
  msi_meter *meter = &MSI_METER_FULL;
  while (child != NULL && holds(child, value, meter)) child = child->next;
  /* What stands above conditions of one path alone, as $ne does. */
  while (child != NULL && child->path == NULL && child->children != NULL &&
         child->children->next == NULL) {
    child = child->children;
  }
  return child == NULL || msi_meter_is_out(meter) ? NULL : child->path;
}

bool ms_query_matches(const ms_query *query, const ms_value *document) {
  return msi_query_matches(query, document, &MSI_METER_ENDLESS);
}
