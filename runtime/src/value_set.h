/*
 * A list of values that is asked again and again whether it holds one: $in, $pullAll,
 * $addToSet. Equal is what msi_compare() calls so.
 */
#ifndef MSI_VALUE_SET_H
#define MSI_VALUE_SET_H

#include "compare.h"

typedef struct msi_value_set {
  const ms_alloc *alloc;
  size_t count; /* of distinct values */
  bool has_null, has_empty_array, has_empty_table;
  const ms_value *const *
      values; /* ascending (msi_compare_quick); behind the struct, borrowed from the list */
  const uint32_t *indexes; /* where each stands in the list, the first time */
} msi_value_set;

/* list: an array or the empty table; it must outlive the set. Takes steps: MS_ELIMIT when they
 * run out; MS_ENOMEM. */
MS_CHECKED ms_status msi_value_set_new(const ms_alloc *alloc, const ms_value *list,
                                       msi_meter *meter, msi_value_set **out);
void msi_value_set_free(msi_value_set *set); /* accepts NULL */
/* Its place among the values, SIZE_MAX when it is not there. Takes steps. */
size_t msi_value_set_find(const msi_value_set *set, const ms_value *value,
                          msi_meter *meter);
/* As queries ask: the empty table is there when an empty array is, and the other way
 * round. */
bool msi_value_set_matches(const msi_value_set *set, const ms_value *value,
                           msi_meter *meter);

#endif
