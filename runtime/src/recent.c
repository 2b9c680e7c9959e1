/*
 * Recent assignments. See recent.h.
 *
 * The wire form of one $set, guarded or not, ends with its operand. So an update for the same path and
 * guard is a copy of another one up to there. Only scalars are kept and built so: a mould keeps nothing big
 * alive, and there is nothing in them to check.
 */
#include "recent.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "codec.h"

enum { STRING_MAX = 256 };

static bool is_small(const ms_value *operand) {
  const char *bytes;
  size_t length;
  switch (ms_value_type(operand)) {
    case MS_NULL:
    case MS_BOOL:
    case MS_INT:
    case MS_DOUBLE: return true;
    case MS_STRING:
      return ms_value_to_string(operand, &bytes, &length) == MS_OK &&
             length <= STRING_MAX;
    default: return false;
  }
}

static bool is_fit(const ms_write *write) {
  return write->op == MS_OP_SET && write->bytes == sizeof *write && !write->guards_list &&
         write->ttl_ms < 0 && write->path != NULL && write->operand != NULL &&
         is_small(write->operand);
}

static size_t slot_of(const ms_path *path) {
  return (size_t)(((uint64_t)(uintptr_t)path * UINT64_C(0x9e3779b97f4a7c15)) >> 60);
}

static_assert(MSI_RECENT_SLOTS == 16, "slot_of takes four bits");

/* The same, with another operand. */
static ms_status build(const ms_update *like, size_t prefix_bytes,
                       const ms_value *operand, ms_update **out) {
  size_t ops_bytes = like->op_count * sizeof *like->ops;
  size_t head = sizeof *like + ops_bytes;
  msi_buffer block;
  msi_buffer_init(&block, like->alloc);
  ms_status status = msi_buffer_reserve(&block, head + prefix_bytes + 16);
  if (status != MS_OK) return status;
  block.length = head;
  status = msi_buffer_append(&block, like->wire, prefix_bytes);
  if (status == MS_OK) status = msi_pack_value(&block, operand);
  if (status != MS_OK) {
    msi_buffer_fini(&block);
    return status;
  }
  ms_update *update = (ms_update *)(void *)block.data;
  *update = (ms_update){.alloc = like->alloc,
                        .op_count = like->op_count,
                        .group_count = like->group_count,
                        .block_bytes = block.capacity,
                        .wire_bytes = block.length - head,
                        .wire = block.data + head,
                        .ops = (msi_op *)(void *)(block.data + sizeof *update)};
  atomic_init(&update->references, 1);
  memcpy(update->ops, like->ops, ops_bytes);
  update->ops[update->op_count - 1].operand = operand;
  for (uint32_t i = 0; i < update->op_count; i++) {
    ms_path_retain(update->ops[i].path);
    ms_value_retain(update->ops[i].operand);
  }
  *out = update;
  return MS_OK;
}

ms_status msi_recent_build(const msi_recent *recent, const ms_write *write,
                           ms_update **out) {
  const msi_recent_slot *slot = &recent->slots[slot_of(write->path)];
  const ms_update *like = slot->update;
  *out = NULL;
  if (like == NULL || like->ops[like->op_count - 1].path != write->path ||
      slot->container != write->container || !is_fit(write)) {
    return MS_OK;
  }
  return build(like, slot->prefix_bytes, write->operand, out);
}

/* How many bytes an operand takes on the wire; 0 without memory. */
static size_t packed_bytes(const ms_update *update, const ms_value *operand) {
  msi_buffer buffer;
  msi_buffer_init(&buffer, update->alloc);
  ms_status status = msi_pack_value(&buffer, operand);
  size_t bytes = buffer.length;
  msi_buffer_fini(&buffer);
  return status == MS_OK ? bytes : 0;
}

void msi_recent_note(msi_recent *recent, const ms_write *write, const ms_update *update) {
  if (!is_fit(write)) return;
  msi_recent_slot *slot = &recent->slots[slot_of(write->path)];
  if (slot->missed != write->path) {
    slot->missed = write->path;
    return;
  }
  size_t bytes = packed_bytes(update, write->operand);
  if (bytes == 0) return;
  ms_update_release(slot->update);
  slot->update = ms_update_retain(update);
  slot->prefix_bytes = update->wire_bytes - bytes;
  slot->container = write->container;
}

void msi_recent_fini(msi_recent *recent) {
  for (size_t i = 0; i < MSI_RECENT_SLOTS; i++) {
    ms_update_release(recent->slots[i].update);
    recent->slots[i].update = NULL;
  }
}
