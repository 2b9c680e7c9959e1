/* The table of members: a sorted array. Invariant: ids ascend strictly; count <= capacity. */
#include "members.h"

#include <assert.h>
#include <string.h>

#include "replica.h" /* MSI_FRAME_MAX */

enum { MEMBERS_FIRST = 8, MEMBER_FIELDS = 6, NUMBER_BYTES_MAX = 9 };
static_assert(((MSI_MEMBER_REJECTED + 16) * NUMBER_BYTES_MAX + MS_ROLES_BYTES) *
                      MSI_MEMBERS_MAX <
                  MSI_FRAME_MAX,
              "a full table fits into one frame");

void msi_members_init(msi_members *members, const ms_alloc *alloc) {
  memset(members, 0, sizeof *members);
  members->alloc = alloc;
}

void msi_members_fini(msi_members *members) {
  msi_alloc_free(members->alloc, members->items, members->capacity * sizeof(msi_member));
  members->items = NULL;
  members->count = members->capacity = 0;
}

static ms_status members_grow(msi_members *members, size_t capacity) {
  msi_member *items = msi_alloc_resize(members->alloc, members->items,
                                       members->capacity * sizeof(msi_member),
                                       capacity * sizeof(msi_member));
  if (items == NULL) return MS_ENOMEM;
  members->items = items;
  members->capacity = capacity;
  return MS_OK;
}

ms_status msi_members_reserve(msi_members *members) {
  if (members->count >= MSI_MEMBERS_MAX) return MS_ELIMIT;
  if (members->count < members->capacity) return MS_OK;
  return members_grow(members,
                      members->capacity == 0 ? MEMBERS_FIRST : members->capacity * 2);
}

/* Where `id` stands or would stand. */
static size_t members_place(const msi_members *members, uint64_t id) {
  size_t low = 0, high = members->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (members->items[middle].id < id) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

msi_member *msi_members_find(const msi_members *members, uint64_t id) {
  size_t at = members_place(members, id);
  if (at == members->count || members->items[at].id != id) return NULL;
  return &members->items[at];
}

bool msi_members_fits(const msi_members *members, const msi_entry *entry) {
  const msi_member *member = msi_members_find(members, entry->patch.origin);
  switch (entry->kind) {
    case MSI_ENTRY_JOIN: return member == NULL;
    case MSI_ENTRY_RETIRE:
    case MSI_ENTRY_HOUSE: return member != NULL;
    case MSI_ENTRY_PATCH:
    case MSI_ENTRY_REJECT: break;
  }
  return member != NULL && entry->patch.number == member->decided + 1;
}

static void members_add(msi_members *members, const msi_entry *entry) {
  MSI_ASSERT(members->count < members->capacity);
  size_t at = members_place(members, entry->patch.origin);
  msi_member *member = &members->items[at];
  memmove(member + 1, member, (members->count - at) * sizeof *member);
  members->count++;
  memset(member, 0, sizeof *member);
  member->id = entry->patch.origin;
  member->decided = entry->patch.number;
  member->info = entry->member;
}

static void member_reject(msi_member *member, uint64_t number) {
  if (member->rejected_count == MSI_MEMBER_REJECTED) {
    member->rejected_floor = member->rejected[0];
    member->rejected_count--;
    memmove(member->rejected, member->rejected + 1,
            member->rejected_count * sizeof *member->rejected);
  }
  member->rejected[member->rejected_count++] = number;
}

void msi_members_note(msi_members *members, const msi_entry *entry) {
  MSI_ASSERT(msi_members_fits(members, entry));
  if (entry->kind == MSI_ENTRY_JOIN) {
    members_add(members, entry);
    return;
  }
  msi_member *member = msi_members_find(members, entry->patch.origin);
  if (entry->kind == MSI_ENTRY_HOUSE) return;
  if (entry->kind != MSI_ENTRY_RETIRE) {
    member->decided = entry->patch.number;
    member->base = entry->patch.base;
    if (entry->kind == MSI_ENTRY_REJECT) member_reject(member, entry->patch.number);
    return;
  }
  size_t at = (size_t)(member - members->items);
  members->count--;
  memmove(member, member + 1, (members->count - at) * sizeof *member);
}

ms_status msi_members_pack(msi_buffer *out, const msi_members *members) {
  ms_status st = msi_pack_array(out, members->count);
  for (size_t i = 0; st == MS_OK && i < members->count; i++) {
    const msi_member *member = &members->items[i];
    st = msi_pack_array(out, MEMBER_FIELDS);
    if (st == MS_OK) st = msi_pack_uint(out, member->id);
    if (st == MS_OK) st = msi_pack_uint(out, member->decided);
    if (st == MS_OK) st = msi_pack_uint(out, member->base);
    if (st == MS_OK) st = msi_pack_uint(out, member->rejected_floor);
    if (st == MS_OK) st = msi_pack_array(out, member->rejected_count);
    for (uint32_t k = 0; st == MS_OK && k < member->rejected_count; k++) {
      st = msi_pack_uint(out, member->rejected[k]);
    }
    if (st == MS_OK) st = msi_member_info_pack(out, &member->info);
  }
  return st;
}

static ms_status rejected_unpack(msi_reader *in, msi_member *out) {
  size_t count;
  ms_status st = msi_unpack_uint(in, &out->rejected_floor);
  if (st == MS_OK && out->rejected_floor > out->decided) st = MS_ETYPE;
  if (st == MS_OK) st = msi_unpack_array(in, &count);
  if (st != MS_OK) return st;
  if (count > MSI_MEMBER_REJECTED) return MS_ELIMIT;
  uint64_t previous = out->rejected_floor;
  for (size_t i = 0; i < count; i++) {
    st = msi_unpack_uint(in, &out->rejected[i]);
    if (st != MS_OK) return st;
    if (out->rejected[i] <= previous || out->rejected[i] > out->decided) return MS_ETYPE;
    previous = out->rejected[i];
    out->rejected_count++;
  }
  return MS_OK;
}

static ms_status member_unpack(msi_reader *in, uint64_t previous, msi_member *out) {
  size_t count;
  memset(out, 0, sizeof *out);
  ms_status st = msi_unpack_array(in, &count);
  if (st == MS_OK && count != MEMBER_FIELDS) st = MS_ETYPE;
  if (st == MS_OK) st = msi_unpack_uint(in, &out->id);
  if (st == MS_OK && (out->id <= previous || out->id > MSI_PEER_MAX)) st = MS_ETYPE;
  if (st == MS_OK) st = msi_unpack_uint(in, &out->decided);
  if (st == MS_OK) st = msi_unpack_uint(in, &out->base);
  if (st == MS_OK) st = rejected_unpack(in, out);
  if (st == MS_OK) st = msi_member_info_unpack(in, &out->info);
  return st;
}

ms_status msi_members_unpack(msi_reader *in, msi_members *out) {
  MSI_ASSERT(out->count == 0);
  size_t count;
  uint64_t previous = 0;
  ms_status st = msi_unpack_array(in, &count);
  if (st != MS_OK) return st;
  if (count > MSI_MEMBERS_MAX) return MS_ELIMIT;
  for (size_t i = 0; st == MS_OK && i < count; i++) {
    st = msi_members_reserve(out);
    if (st == MS_OK) st = member_unpack(in, previous, &out->items[i]);
    if (st != MS_OK) break;
    previous = out->items[i].id;
    out->count++;
  }
  if (st != MS_OK) msi_members_fini(out);
  return st;
}
