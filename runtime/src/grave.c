/*
 * See grave.h. Threads meet in `fresh` only: a list that grows at its head and is taken as a whole, so
 * that no element comes back to it while somebody looks at it.
 */
#include "grave.h"

#include "node.h"

void msi_grave_init(msi_grave *grave) {
  atomic_init(&grave->fresh, NULL);
  grave->dead = NULL;
}

void msi_grave_fini(msi_grave *grave) {
  while (!msi_grave_step(grave, SIZE_MAX)) continue;
}

static msi_container *last_of(msi_container *first) {
  msi_container *last = first, *next;
  while ((next = msi_dead_next(last)) != NULL) last = next;
  return last;
}

void msi_grave_bury(msi_grave *grave, const ms_value *value) {
  msi_dead dead = {NULL};
  size_t budget = grave == NULL ? SIZE_MAX : MSI_GRAVE_AT_ONCE;
  msi_dead_release(&dead, value);
  if (msi_dead_step(&dead, &budget)) return;
  msi_container *last = last_of(dead.first);
  msi_container *head = atomic_load_explicit(&grave->fresh, memory_order_relaxed);
  do {
    msi_dead_link(last, head);
  } while (!atomic_compare_exchange_weak_explicit(
      &grave->fresh, &head, dead.first, memory_order_release, memory_order_relaxed));
}

bool msi_grave_step(msi_grave *grave, size_t budget) {
  msi_dead dead = {grave->dead};
  bool done = false;
  while (!done && msi_dead_step(&dead, &budget)) {
    done = atomic_load_explicit(&grave->fresh, memory_order_relaxed) == NULL;
    if (done) continue;
    dead.first = atomic_exchange_explicit(&grave->fresh, NULL, memory_order_acquire);
  }
  grave->dead = dead.first;
  return done;
}
