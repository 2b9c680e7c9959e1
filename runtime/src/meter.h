/*
 * Counts the steps of work that is asked of somebody else's patch. A small patch can ask for
 * much: thousands of conditions on each element of a long list, paths that meet nested lists
 * in every way there is. Whoever decides a patch gives it MS_STEPS_MAX of them.
 *
 * A step is about what looking at one element, key or condition costs. When none is left, the
 * work stops where it is: what comes out then means nothing, and whoever made the meter looks
 * at it before he uses that. What was accepted once is applied without a limit, since peers
 * need not count alike: they may hold one object in different orders.
 */
#ifndef MSI_METER_H
#define MSI_METER_H

#include <stdbool.h>
#include <stdint.h>

#include "memshare.h"

typedef struct msi_meter {
  uint64_t left; /* and one more; 0: there were not enough */
} msi_meter;

#define MSI_METER_FULL ((msi_meter){(uint64_t)MS_STEPS_MAX + 1})
/* Never runs out. */
#define MSI_METER_ENDLESS ((msi_meter){UINT64_MAX})

/* False: there are not as many left. */
static inline bool msi_meter_take(msi_meter *meter, uint64_t steps) {
  if (meter->left <= steps) {
    meter->left = 0;
    return false;
  }
  meter->left -= steps;
  return true;
}

static inline bool msi_meter_is_out(const msi_meter *meter) { return meter->left == 0; }

#endif
