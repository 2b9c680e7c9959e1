/* What differs between two values; shared branches are skipped, so it costs what changed.
 * */
#ifndef MSI_DIFF_H
#define MSI_DIFF_H

#include "value.h"

/*
 * One child that differs. For objects `key` is a string value and index 0; for arrays key
 * is NULL. A NULL child is absent on that side. Everything is borrowed. Returning
 * anything but MS_OK stops the walk, which returns that status.
 */
typedef ms_status (*msi_diff_fn)(void *ud, const ms_value *key, size_t index,
                                 const ms_value *old_child, const ms_value *new_child);
/*
 * Calls fn for each direct child that is not equal (deeply) on both sides. Sides may be
 * NULL or scalars (no children). An object against an array: all old children go, then
 * all new ones come. Arrays are compared index by index.
 */
MS_CHECKED ms_status msi_diff_children(const ms_value *old_value,
                                       const ms_value *new_value, msi_diff_fn fn,
                                       void *ud);

#endif
