/* The links of a station (see link_table.h). */
#include "link_table.h"

#include <string.h>

enum { SLOT_BITS = 12, SLOTS_MAX = 1 << SLOT_BITS, SLOTS_FIRST = 8 };

void msi_link_table_init(msi_link_table *table, const ms_alloc *alloc) {
  memset(table, 0, sizeof *table);
  table->alloc = alloc;
}

void msi_link_table_fini(msi_link_table *table) {
  msi_alloc_free(table->alloc, table->slots, table->capacity * sizeof *table->slots);
  table->slots = NULL;
  table->capacity = 0;
}

static bool table_grow(msi_link_table *table) {
  size_t capacity = table->capacity == 0 ? SLOTS_FIRST : table->capacity * 2;
  if (capacity > SLOTS_MAX) return false;
  msi_link_slot *slots =
      msi_alloc_resize(table->alloc, table->slots, table->capacity * sizeof *slots,
                       capacity * sizeof *slots);
  if (slots == NULL) return false;
  memset(slots + table->capacity, 0, (capacity - table->capacity) * sizeof *slots);
  table->slots = slots;
  table->capacity = capacity;
  return true;
}

msi_link_id msi_link_table_add(msi_link_table *table, msi_link *link) {
  size_t at = 0;
  while (at < table->capacity && table->slots[at].link != NULL) at++;
  if (at == table->capacity && !table_grow(table)) return 0;
  msi_link_slot *slot = &table->slots[at];
  slot->link = link;
  msi_link_id id;
  do id = (++slot->generation << SLOT_BITS) | (msi_link_id)at;
  while (id >> SLOT_BITS == 0); /* generations begin again some day, ids are never 0 */
  msi_link_set_id(link, id);
  return id;
}

static msi_link_slot *table_slot(const msi_link_table *table, msi_link_id id) {
  size_t at = id & (SLOTS_MAX - 1);
  if (at >= table->capacity || table->slots[at].link == NULL) return NULL;
  return msi_link_id_of(table->slots[at].link) == id ? &table->slots[at] : NULL;
}

msi_link *msi_link_table_find(const msi_link_table *table, msi_link_id id) {
  const msi_link_slot *slot = table_slot(table, id);
  return slot == NULL ? NULL : slot->link;
}

msi_link *msi_link_table_remove(msi_link_table *table, msi_link_id id) {
  msi_link_slot *slot = table_slot(table, id);
  if (slot == NULL) return NULL;
  msi_link *link = slot->link;
  slot->link = NULL; /* a dirty slot stays in the list; flushing skips it */
  return link;
}

msi_link *msi_link_table_pop(msi_link_table *table) {
  for (size_t at = 0; at < table->capacity; at++) {
    msi_link *link = table->slots[at].link;
    if (link != NULL) return msi_link_table_remove(table, msi_link_id_of(link));
  }
  return NULL;
}

void msi_link_table_mark(msi_link_table *table, msi_link_id id) {
  msi_link_slot *slot = table_slot(table, id);
  if (slot == NULL || slot->is_dirty) return;
  slot->is_dirty = true;
  slot->next_dirty = table->first_dirty;
  table->first_dirty = (uint16_t)(slot - table->slots);
  table->dirty_count++;
}

bool msi_link_table_flush(msi_link_table *table) {
  if (table->dirty_count == 0) return true;
  bool whole = true;
  while (table->dirty_count > 0) {
    msi_link_slot *slot = &table->slots[table->first_dirty];
    table->first_dirty = slot->next_dirty;
    table->dirty_count--;
    slot->is_dirty = false;
    if (slot->link == NULL) continue;
    msi_link_flush(slot->link);
    whole = whole && msi_link_queued(slot->link) == 0;
  }
  table->flushed_at = uv_hrtime();
  return whole;
}

size_t msi_link_table_queued(const msi_link_table *table) {
  size_t most = 0;
  uint16_t at = table->first_dirty;
  for (size_t i = 0; i < table->dirty_count; i++) {
    const msi_link_slot *slot = &table->slots[at];
    at = slot->next_dirty;
    if (slot->link == NULL) continue;
    size_t queued = msi_link_queued(slot->link);
    if (queued > most) most = queued;
  }
  return most;
}
