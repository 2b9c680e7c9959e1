/*
 * The conflict index: finds in O(depth) what a patch loses to (DESIGN section 4, "Conflicts").
 *
 * A trie over paths. Each node keeps, for operations exactly at it and for those at or below it, the
 * two highest timestamps of distinct origins, with origin, version and wall time: the highest alone
 * may be the writer's own. It is exact, since timestamps follow causes: a patch is stamped above
 * everything its writer has seen, so an operation below a kept one that the writer has seen, or below
 * one of the writer's own, is beaten anyway. Guards ask only: they neither lose nor are kept. An
 * append leaves what is in the array alone: whoever writes inside of it does not lose to it.
 *
 * *Positions* are settled whatever the timestamps: an edit must not hit another element than its
 * writer meant. The table says when the patch of a row is refused because of an operation that its
 * writer had not seen. Rows and columns speak of one array, but "replaced" is also of what holds it.
 *
 *                              moved   pulled   index written   appended   turned   replaced
 *   goes in by index             x       x                         (1)        (3)       x
 *   moves elements               x       x            x            (2)                  x
 *   $pull, $pullAll              x                    x                                 x
 *
 *   (1) when the index was at or above the committed length   (2) $pop only; by index as in (1)
 *   (3) as (1): what the writer has pending may come out otherwise than its view shows. Where it had
 *   something pending without effect in its view, be it that it failed there or that it is a
 *   transaction, its own operations move, pull and append like those of others
 *
 * "Moves" is $pop, $push with $position, $slice or $sort, and removing at an index. "Replaced" is
 * $set, $unset, $rename, $currentDate, $min and $max at the array or above it; who replaces is settled
 * by timestamp itself, since it hits no element. "Turned" is by whatever may make of something that the
 * writer has pending another thing than its view shows: operations with positional keys at the array (a
 * $pull or $sort may see them), writes to an index at or above the committed length (they append), and
 * patches with a condition, at the array or above it; those of the same writer, too, since its view may
 * have shown them without effect. So may its view have shown another effect of $addToSet and of operations
 * with positional keys, where others had written at or below their array: these count, too. That a path goes in by index, and where, is what the writer's marks
 * say (update.h). Operations with positional keys count as moving, replacing and appending in every
 * array inside the elements of theirs; one that itself goes by positions in there meets whatever was
 * written at or below its array. "list.0" without a mark, since there was no list, meets what may
 * have begun one: appends and what moves elements.
 *
 * Per origin it also keeps that origin's rejections which it may not have seen yet: versions
 * and a trie of their paths (those of guards are not among them: a guard leaves nothing undone). A
 * patch of that origin which is based below one falls with it when it touches something at or below
 * a rejected path, or, with a relative operation, above one. $set and $unset at or above the rejected
 * path stand: they do not build on it, unless they go into an array by index. A guard falls only with a
 * rejected path at or above it: whether its container is there does not hang on what was to be written
 * inside. A mark as in (1) falls with any, also with one inside the array. An entry of the origin with
 * base b shows that it has seen everything up to b.
 *
 * *Reads* (reads.h) are checked whatever the timestamps: a patch with reads is refused when a foreign entry
 * above its base did something at or below a path that was read as a whole, put another value at a path
 * that was read or above it, or worked on the elements of an array above it; for appends who finds no
 * element has read the array. Entries of its own origin were in the view that it read from, and
 * came out as shown there, or the reads say what that hung on (transaction.c); it falls with own rejections
 * at or above what was read, or inside of a whole. A rejected patch with reads itself takes none with it,
 * since no view has shown it.
 *
 * Bounded: at most `nodes_max` nodes (and their keys in bytes, at MSI_CONFLICT_KEY_BYTES a node); the
 * least recently touched leaf goes first and leaves its timestamps in one place, the *floor*: an
 * absolute write to whatever path loses to a newer one there that its writer had not seen, and what
 * goes by positions, or has read anything, loses to any. So a lone writer never meets its own floor (but for that of its patches
 * with conditions), and evicted nodes cost only those who write late what is older.
 * Rejected paths: at most MSI_CONFLICT_REJECTED_NODES nodes per origin, beyond that the oldest leaf
 * raises that origin's own floor: every patch of it based below falls.
 *
 * It is a function of the stream of entries alone, and travels in snapshots.
 */
#ifndef MSI_CONFLICT_H
#define MSI_CONFLICT_H

#include "entry.h"

enum {
  MSI_CONFLICT_NODES = 32768,
  MSI_CONFLICT_NODES_LEAST = 2 * MS_DEPTH_MAX, /* so that one path always fits */
  MSI_CONFLICT_KEY_BYTES = 64,
  MSI_CONFLICT_REJECTED_NODES = 4096
};

typedef struct msi_conflicts msi_conflicts;

/* nodes_max: raised to MSI_CONFLICT_NODES_LEAST. */
MS_CHECKED ms_status msi_conflicts_new(const ms_alloc *alloc, size_t nodes_max,
                                       msi_conflicts **out);
void msi_conflicts_free(msi_conflicts *conflicts);

typedef struct msi_conflict {
  ms_status status;    /* MS_OK: none; else MS_ECONFLICT */
  const ms_path *path; /* borrowed from the patch's update; NULL: none in particular */
  uint64_t winner_version, winner; /* by_dependence: 0 */
  int64_t winner_wall_ms;
  bool by_floor;      /* too old to tell */
  bool by_dependence; /* falls with an own rejection */
  bool
      by_read; /* what its transaction read has changed; path is borrowed from its reads */
} msi_conflict;
/*
 * Would this patch lose? First, what its transaction read. `root` is the host's document: a $set of the value that stands there already
 * does not lose by its timestamp. Ties of timestamps: the higher peer id wins. Looks at the operations in
 * order, each for its positions (the winner is the last to come) and then for newer ones (the winner
 * is the newest), then for the floor of timestamps, then for dependence. Changes nothing, needs no
 * memory.
 */
void msi_conflicts_check(const msi_conflicts *conflicts, const msi_patch *patch,
                         const ms_value *root, msi_conflict *out);
/* Take an entry into account (any kind; RETIRE drops the origin's rejections). Versions only grow. On
 * MS_ENOMEM the index stays usable and keeps what it can no longer tell apart in its floors. */
void msi_conflicts_note(msi_conflicts *conflicts, const msi_entry *entry);

MS_CHECKED ms_status msi_conflicts_pack(msi_buffer *out, const msi_conflicts *conflicts);
/*
 * The same in pieces, between which entries are noted: all pieces together are the index as it was when
 * the packer was made. What changes before its turn comes is packed first and kept until it is taken,
 * so a packer may come to hold all of the packed index, and no more.
 */
typedef struct msi_conflict_packer msi_conflict_packer;
/* Freed before the index is. MS_ENOMEM. */
MS_CHECKED ms_status msi_conflict_packer_new(msi_conflicts *conflicts,
                                             msi_conflict_packer **out);
void msi_conflict_packer_free(msi_conflict_packer *packer); /* accepts NULL */
/* No more bytes than these will come. Asked before the first step. */
uint64_t msi_conflict_packer_bytes_max(const msi_conflict_packer *packer);
/* Appends about `budget` bytes; *done after the last ones. MS_ENOMEM: the packer is of no use any
 * more. */
MS_CHECKED ms_status msi_conflict_packer_step(msi_conflict_packer *packer,
                                              msi_buffer *out, size_t budget, bool *done);
MS_CHECKED ms_status msi_conflicts_unpack(msi_reader *in, const ms_alloc *alloc,
                                          size_t nodes_max, msi_conflicts **out);
size_t msi_conflicts_bytes(const msi_conflicts *conflicts);
bool msi_conflicts_check_structure(const msi_conflicts *conflicts); /* for tests */

#endif
