/*
 * The conflict index: finds in O(depth) what a patch loses to (DESIGN section 4, "Conflicts").
 *
 * A trie over paths. Each node keeps, for operations exactly at it and for those at or below it, the
 * two highest timestamps of distinct origins, with origin, version and wall time: the highest alone
 * may be the writer's own. It is exact: an operation with a lower timestamp than the kept ones cannot
 * decide, since whoever it beats is beaten by those too.
 *
 * Per origin it also keeps that origin's rejections which it may not have seen yet: version, number
 * and paths; a patch of that origin that is based below one and overlaps it falls with it. An entry
 * of the origin with base b shows that it has seen everything up to b.
 *
 * Bounded: at most MSI_CONFLICT_NODES nodes, the least recently touched leaf goes first (a parent is
 * always touched after its children) and raises `floor` to its version: an absolute write based below
 * the floor is a conflict. Rejections: at most MSI_CONFLICT_REJECTIONS per origin, beyond that the
 * oldest goes and raises that origin's own floor: every patch of it based below falls.
 *
 * It is a function of the stream of entries alone, and travels in snapshots.
 */
#ifndef MSI_CONFLICT_H
#define MSI_CONFLICT_H

#include "entry.h"

enum { MSI_CONFLICT_NODES = 32768, MSI_CONFLICT_REJECTIONS = 1024 };

typedef struct msi_conflicts msi_conflicts;

MS_CHECKED ms_status msi_conflicts_new(const ms_alloc *alloc, size_t nodes_max,
                                       msi_conflicts **out);
void msi_conflicts_free(msi_conflicts *conflicts);

typedef struct msi_conflict {
  ms_status status;      /* MS_OK: none; else MS_ECONFLICT */
  const ms_path *path;   /* borrowed from the patch's update */
  uint64_t winner_version, winner;
  int64_t winner_wall_ms;
  bool by_floor;     /* too old to tell */
  bool by_dependence; /* falls with an own rejection */
} msi_conflict;
/*
 * Would this patch lose? `root` is the host's document: a $set of the value that stands there already
 * does not conflict. Ties of timestamps: the higher peer id wins. Changes nothing, needs no memory.
 */
void msi_conflicts_check(const msi_conflicts *conflicts, const msi_patch *patch,
                         const ms_value *root, msi_conflict *out);
/* Take an entry into account (any kind; RETIRE drops the origin's rejections). On MS_ENOMEM the index
 * stays usable and raises its floor to the entry's version instead. */
void msi_conflicts_note(msi_conflicts *conflicts, const msi_entry *entry);
/* Was this number of this origin rejected, as far as is still known? Also gives the status. */
bool msi_conflicts_was_rejected(const msi_conflicts *conflicts, uint64_t origin, uint64_t number,
                                ms_status *status);

MS_CHECKED ms_status msi_conflicts_pack(msi_buffer *out, const msi_conflicts *conflicts);
MS_CHECKED ms_status msi_conflicts_unpack(msi_reader *in, const ms_alloc *alloc, size_t nodes_max,
                                          msi_conflicts **out);
size_t msi_conflicts_bytes(const msi_conflicts *conflicts);
bool msi_conflicts_check_structure(const msi_conflicts *conflicts); /* for tests */

#endif
