/*
 * A grave: where values go whose release would be a pause. What a last reference leaves behind is
 * released in steps, by whoever drives, between other work.
 *
 * Burying takes no memory and cannot fail. Small values are released on the spot.
 */
#ifndef MSI_GRAVE_H
#define MSI_GRAVE_H

#include <stdatomic.h>

#include "value.h"

enum {
  MSI_GRAVE_AT_ONCE = 256, /* keys, values and nodes released on the spot */
  MSI_GRAVE_STEP = 4096    /* ... in a step: a fraction of a millisecond */
};

/* Both are lists of dead containers (node.h). */
typedef struct msi_grave {
  _Atomic(struct msi_container *) fresh; /* any thread */
  struct msi_container *dead;            /* of who calls msi_grave_step */
} msi_grave;

void msi_grave_init(msi_grave *grave);
/* Releases all that is left. */
void msi_grave_fini(msi_grave *grave);
/* Takes a reference; NULL is accepted. Any thread. grave NULL: as ms_value_release. */
void msi_grave_bury(msi_grave *grave, const ms_value *value);
/* Releases about `budget` keys, values and nodes. True: nothing is left. One thread at a time. */
bool msi_grave_step(msi_grave *grave, size_t budget);

#endif
