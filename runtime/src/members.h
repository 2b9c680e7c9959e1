/*
 * The members of a share: replicated state, a function of the stream of entries.
 *
 *   JOIN adds a member, PATCH and REJECT move its last decided number, RETIRE drops it. A patch with a
 *   number at or below the decided one is a duplicate.
 *
 * The last rejected numbers of each member are kept for one that comes back to a snapshot: of numbers
 * above `rejected_floor` it is known exactly which were rejected.
 *
 * Sorted by id, so that walking it is the same everywhere.
 */
#ifndef MSI_MEMBERS_H
#define MSI_MEMBERS_H

#include "entry.h"

enum {
  MSI_MEMBERS_MAX = 8192,   /* a snapshot's first frame holds all of them */
  MSI_MEMBER_REJECTED = 128 /* rejected numbers kept per member: a burst of them */
};

typedef struct msi_member {
  uint64_t id;
  uint64_t decided; /* number of its last patch that was accepted or rejected */
  uint64_t base;    /* that patch's base: bases never go down */
  msi_member_info info;
  uint64_t rejected_floor;                /* rejections up to here may be forgotten */
  uint64_t rejected[MSI_MEMBER_REJECTED]; /* ascending, above the floor */
  uint32_t rejected_count;
  /* Host only, not replicated. */
  uint32_t link;         /* 0: none */
  uint32_t quiet_ticks;  /* how many have passed without a frame of it */
  uint32_t absent_ticks; /* of a linked member: how many have passed without link */
} msi_member;

typedef struct msi_members {
  const ms_alloc *alloc;
  msi_member *items; /* by id */
  size_t count, capacity;
} msi_members;

void msi_members_init(msi_members *members, const ms_alloc *alloc);
void msi_members_fini(msi_members *members);
/* Room for one more, so that noting a JOIN cannot fail. MS_ENOMEM, MS_ELIMIT. */
MS_CHECKED ms_status msi_members_reserve(msi_members *members);
/* Borrowed until the next change; NULL: unknown. */
msi_member *msi_members_find(const msi_members *members, uint64_t id);
/* Could this entry come next? JOIN of an unknown id, the next number of a known one, and so on. */
bool msi_members_fits(const msi_members *members, const msi_entry *entry);
/* Take an entry that fits into account. JOIN needs msi_members_reserve before. */
void msi_members_note(msi_members *members, const msi_entry *entry);

/* An array of members, see message.h. */
MS_CHECKED ms_status msi_members_pack(msi_buffer *out, const msi_members *members);
/* Into an empty table. MS_ETYPE, MS_ELIMIT, MS_ENOMEM leave it empty. */
MS_CHECKED ms_status msi_members_unpack(msi_reader *in, msi_members *out);

#endif
