/*
 * MongoDB's order of values. See compare.h.
 *
 * Recurses once per level of containers, down to LEVELS_MAX: documents and operands are
 * at most MS_DEPTH_MAX deep, a caller's own values are cut off.
 */
#include "compare.h"

#include <math.h>
#include <string.h>

enum { LEVELS_MAX = 2 * MS_DEPTH_MAX };

/* Bytes of strings that are compared in one step. */
enum { STEP_BYTES = 64 };

typedef struct comparison {
  msi_meter *meter;
  bool is_quick; /* what is smaller comes first */
} comparison;

static const int ranks[] = {
    [MS_NULL] = 0,   [MS_INT] = 1,   [MS_DOUBLE] = 1, [MS_STRING] = 2,
    [MS_OBJECT] = 3, [MS_EMPTY] = 3, [MS_ARRAY] = 4,  [MS_BOOL] = 5,
};

int msi_type_rank(ms_type type) { return ranks[type]; }

static int rank_of(const ms_value *value) { return ranks[ms_value_type(value)]; }

/* ------------------------------------------------------------------ scalars */

/* 2^63, and all that is not below it, is no 64-bit integer. */
static const double INT_END = 9223372036854775808.0;

static int64_t int_of(const ms_value *value) {
  int64_t number = 0;
  ms_status st = ms_value_to_int(value, &number);
  MSI_ASSERT(st == MS_OK);
  (void)st;
  return number;
}

static double double_of(const ms_value *value) {
  double number = 0;
  ms_status st = ms_value_to_double(value, &number);
  MSI_ASSERT(st == MS_OK);
  (void)st;
  return number;
}

bool msi_value_to_whole(const ms_value *value, int64_t *out) {
  ms_type type = ms_value_type(value);
  if (type == MS_INT) {
    *out = int_of(value);
    return true;
  }
  if (type != MS_DOUBLE) return false;
  double number = double_of(value);
  if (!(number >= -INT_END && number < INT_END)) return false;
  if ((double)(int64_t)number != number) return false; /* has a fraction */
  *out = (int64_t)number;
  return true;
}

static int compare_doubles(double a, double b) {
  if (isnan(a) || isnan(b)) return (isnan(b) ? 1 : 0) - (isnan(a) ? 1 : 0);
  return (a > b) - (a < b);
}

static int compare_int_double(int64_t a, double b) {
  if (isnan(b)) return 1;
  if (b >= INT_END) return -1;
  if (b < -INT_END) return 1;
  int64_t whole = (int64_t)b; /* towards zero */
  if (a != whole) return a < whole ? -1 : 1;
  return compare_doubles((double)whole, b); /* both exact: b has a fraction or is whole */
}

static int compare_numbers(const ms_value *a, const ms_value *b) {
  bool a_is_int = ms_value_type(a) == MS_INT, b_is_int = ms_value_type(b) == MS_INT;
  if (a_is_int && b_is_int) {
    int64_t left = int_of(a), right = int_of(b);
    return (left > right) - (left < right);
  }
  if (a_is_int) return compare_int_double(int_of(a), double_of(b));
  if (b_is_int) return -compare_int_double(int_of(b), double_of(a));
  return compare_doubles(double_of(a), double_of(b));
}

int msi_compare_strings(const ms_value *a, const ms_value *b) {
  const char *left = "", *right = "";
  size_t left_length = 0, right_length = 0;
  ms_status st = ms_value_to_string(a, &left, &left_length);
  if (st == MS_OK) st = ms_value_to_string(b, &right, &right_length);
  MSI_ASSERT(st == MS_OK);
  (void)st;
  int order =
      memcmp(left, right, left_length < right_length ? left_length : right_length);
  if (order != 0) return order;
  return (left_length > right_length) - (left_length < right_length);
}

static int compare_bools(const ms_value *a, const ms_value *b) {
  bool left = false, right = false;
  ms_status st = ms_value_to_bool(a, &left);
  if (st == MS_OK) st = ms_value_to_bool(b, &right);
  MSI_ASSERT(st == MS_OK);
  (void)st;
  return (left ? 1 : 0) - (right ? 1 : 0);
}

/* --------------------------------------------------------------- containers */

static int compare_at(const comparison *self, const ms_value *a, const ms_value *b,
                      size_t level);

static int compare_counts(const ms_value *a, const ms_value *b) {
  uint64_t left = ms_value_count(a), right = ms_value_count(b);
  return (left > right) - (left < right);
}

static size_t string_length(const ms_value *string) {
  const char *bytes;
  size_t length = 0;
  ms_status st = ms_value_to_string(string, &bytes, &length);
  MSI_ASSERT(st == MS_OK);
  (void)st;
  return length;
}

static int compare_texts(const comparison *self, const ms_value *a, const ms_value *b) {
  size_t left = string_length(a), right = string_length(b);
  if (self->is_quick && left != right) return left < right ? -1 : 1;
  (void)msi_meter_take(self->meter, (left < right ? left : right) / STEP_BYTES);
  return msi_compare_strings(a, b);
}

static int compare_arrays(const comparison *self, const ms_value *a, const ms_value *b,
                          size_t level) {
  ms_cursor left, right;
  const char *key;
  size_t index;
  const ms_value *left_item, *right_item;
  if (self->is_quick && compare_counts(a, b) != 0) return compare_counts(a, b);
  ms_cursor_init(&left, a);
  ms_cursor_init(&right, b);
  while (!msi_meter_is_out(self->meter)) {
    bool left_more = ms_cursor_next(&left, &key, &index, &left_item);
    bool right_more = ms_cursor_next(&right, &key, &index, &right_item);
    if (!left_more || !right_more) return (left_more ? 1 : 0) - (right_more ? 1 : 0);
    int order = compare_at(self, left_item, right_item, level);
    if (order != 0) return order;
  }
  return 0;
}

/* Where two objects differ first, in the order of keys. */
typedef struct difference {
  const ms_value *key; /* NULL: nowhere */
  int order;           /* of the values, when both have the key; else 0 */
} difference;

/* Looks for an earlier one among the keys of `object`. `compares` is false for the second
 * object of a pair, where only keys that the first lacks are news. */
static void find_difference(const comparison *self, const ms_value *object,
                            const ms_value *other, size_t level, bool compares,
                            difference *found) {
  ms_cursor cursor;
  const ms_value *key, *value;
  if (ms_value_count(object) == 0) return;
  ms_cursor_init(&cursor, object);
  while (msi_cursor_next_key(&cursor, &key, &value)) {
    bool is_late = found->key != NULL && msi_compare_strings(key, found->key) >= 0;
    if (is_late && !self->is_quick) continue;
    const ms_value *theirs = msi_object_get(other, key);
    int order = 0;
    if (theirs != NULL) {
      if (!compares) continue;
      order = compare_at(self, value, theirs, level);
      if (order == 0) continue;
    }
    if (!is_late) *found = (difference){key, order};
  }
}

/* The value of the first key behind `key`, which it gives too; NULL: none. */
static const ms_value *entry_behind(const ms_value *object, const ms_value *key,
                                    const ms_value **out) {
  const ms_value *best = NULL, *best_value = NULL, *next, *value;
  ms_cursor cursor;
  if (ms_value_count(object) == 0) return NULL;
  ms_cursor_init(&cursor, object);
  while (msi_cursor_next_key(&cursor, &next, &value)) {
    if (msi_compare_strings(next, key) <= 0) continue;
    if (best != NULL && msi_compare_strings(next, best) >= 0) continue;
    best = next;
    best_value = value;
  }
  *out = best;
  return best_value;
}

/* `key` is in `object` only; up to it both hold the same. */
static int compare_lone_key(const ms_value *object, const ms_value *other,
                            const ms_value *key) {
  const ms_value *next;
  const ms_value *theirs = entry_behind(other, key, &next);
  if (theirs == NULL) return 1; /* the other one ends here */
  int order = rank_of(msi_object_get(object, key)) - rank_of(theirs);
  return order != 0 ? order : msi_compare_strings(key, next);
}

static int compare_objects(const comparison *self, const ms_value *a, const ms_value *b,
                           size_t level) {
  difference found = {NULL, 0};
  if (self->is_quick && compare_counts(a, b) != 0) return compare_counts(a, b);
  if (!msi_meter_take(self->meter, 2 * (ms_value_count(a) + ms_value_count(b)))) return 0;
  find_difference(self, a, b, level, true, &found);
  find_difference(self, b, a, level, false, &found);
  if (found.key == NULL) return 0;
  if (found.order != 0) return found.order;
  if (msi_object_get(a, found.key) != NULL) return compare_lone_key(a, b, found.key);
  return -compare_lone_key(b, a, found.key);
}

static int compare_at(const comparison *self, const ms_value *a, const ms_value *b,
                      size_t level) {
  if (!msi_meter_take(self->meter, 1) || (a == b && !self->is_quick)) return 0;
  int order = rank_of(a) - rank_of(b);
  if (order != 0) return order;
  switch (ms_value_type(a)) {
    case MS_NULL: return 0;
    case MS_BOOL: return compare_bools(a, b);
    case MS_INT:
    case MS_DOUBLE: return compare_numbers(a, b);
    case MS_STRING: return compare_texts(self, a, b);
    case MS_ARRAY: return level == 0 ? 0 : compare_arrays(self, a, b, level - 1);
    case MS_OBJECT:
    case MS_EMPTY: return level == 0 ? 0 : compare_objects(self, a, b, level - 1);
  }
  return 0;
}

int msi_compare(const ms_value *a, const ms_value *b) {
  return msi_compare_metered(a, b, &MSI_METER_ENDLESS);
}

int msi_compare_metered(const ms_value *a, const ms_value *b, msi_meter *meter) {
  return compare_at(&(comparison){meter, false}, a, b, LEVELS_MAX);
}

int msi_compare_quick(const ms_value *a, const ms_value *b, msi_meter *meter) {
  return compare_at(&(comparison){meter, true}, a, b, LEVELS_MAX);
}

bool msi_compare_equal(const ms_value *a, const ms_value *b, msi_meter *meter) {
  return msi_compare_quick(a, b, meter) == 0;
}
