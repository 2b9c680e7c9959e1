/*
 * MongoDB's order of values, across types: null, numbers, strings, objects, arrays,
 * booleans. It is total, so it sorts whatever a list holds.
 *
 * Integers and floats compare by what they are worth, exactly; NaN equals itself and
 * stands before all other numbers; 0.0 and -0.0 are equal. Strings compare by their
 * bytes, arrays element by element. Objects compare entry by entry: kind of value, then
 * key, then value. Here they are unordered, so their entries are taken in the order of
 * their keys' bytes. The empty table is an empty object.
 */
#ifndef MSI_COMPARE_H
#define MSI_COMPARE_H

#include "meter.h"
#include "value.h"

/* As memcmp(). Needs no memory. Containers deeper than 2 * MS_DEPTH_MAX are not looked
 * into. */
int msi_compare(const ms_value *a, const ms_value *b);
/* The same, and takes steps for it: for each value, key of an object and 64 bytes of a
 * string. Without meaning when they run out. */
int msi_compare_metered(const ms_value *a, const ms_value *b, msi_meter *meter);
/* Does msi_compare() call them equal? Costs no more than the smaller one. */
bool msi_compare_equal(const ms_value *a, const ms_value *b, msi_meter *meter);
/* Another total order with the same equality. What has fewer elements, keys or bytes comes
 * first, so that a large container costs only beside one that is as large. It takes the same
 * steps whatever the order of keys is in which a peer holds an object. */
int msi_compare_quick(const ms_value *a, const ms_value *b, msi_meter *meter);
/* Where values of this type stand among the others; the same for integers and floats, and
 * for objects and the empty table. */
int msi_type_rank(ms_type type);
/* Both are strings. */
int msi_compare_strings(const ms_value *a, const ms_value *b);

static inline bool msi_value_is_number(const ms_value *value) {
  ms_type type = ms_value_type(value);
  return type == MS_INT || type == MS_DOUBLE;
}
static inline bool msi_value_is_object(const ms_value *value) {
  ms_type type = ms_value_type(value);
  return type == MS_OBJECT || type == MS_EMPTY;
}
static inline bool msi_value_is_array(const ms_value *value) {
  ms_type type = ms_value_type(value);
  return type == MS_ARRAY || type == MS_EMPTY;
}
/* The integer that a number is: 3 and 3.0 are 3. False for everything else. */
bool msi_value_to_whole(const ms_value *value, int64_t *out);

#endif
