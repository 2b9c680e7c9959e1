/* A stable merge sort that takes no memory of its own: qsort() is not stable and may
 * allocate behind our back. */
#ifndef MSI_SORT_H
#define MSI_SORT_H

#include <stdbool.h>
#include <stddef.h>

/* As memcmp(). */
typedef int (*msi_order_fn)(void *ud, const void *a, const void *b);

/* Equal items stay in their order. `spare` has room for `count` items. */
void msi_sort(const void **items, const void **spare, size_t count, msi_order_fn order,
              void *ud);

#endif
