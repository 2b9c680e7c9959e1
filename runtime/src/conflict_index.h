/*
 * What conflict.c, conflict_position.c and conflict_pack.c share: the parts of the conflict index.
 *
 * Two kinds of tries: one of operations, whose nodes hold stamps, and one per origin with unseen
 * rejections, whose nodes hold versions.
 */
#ifndef MSI_CONFLICT_INDEX_H
#define MSI_CONFLICT_INDEX_H

#include "conflict.h"
#include "path_trie.h"

/* An operation that others may lose to. version 0: none. */
typedef struct msi_stamp {
  uint64_t timestamp, origin, version;
  int64_t wall_ms;
} msi_stamp;

/* top[0] is the newest, by timestamp or by version; the origins differ. */
typedef struct msi_stamps {
  msi_stamp top[2];
} msi_stamps;

/* How an operation meets those that go into an array by position. */
typedef enum msi_position {
  MSI_POSITION_MOVE,   /* moves elements of the array here */
  MSI_POSITION_PULL,   /* removes some by their value: these commute */
  MSI_POSITION_INDEX,  /* goes into it by position */
  MSI_POSITION_APPEND, /* adds elements at its end */
  MSI_POSITION_INNER, /* does any of these, or replaces, in arrays inside of its elements */
  MSI_POSITION_TURN, /* may turn what others have pending: see conflict.h, (3) */
  MSI_POSITION_COUNT
} msi_position;

typedef struct msi_positions {
  msi_stamps kinds[MSI_POSITION_COUNT]; /* by version */
} msi_positions;

typedef struct msi_op_node {
  msi_path_trie_node node;
  msi_stamps exact;         /* of operations at this path, appends aside */
  msi_stamps below;         /* at or below it, also of evicted nodes */
  msi_stamps replaced;      /* by version: of those that put another value here */
  msi_stamps touched;       /* as `below`, by version */
  msi_positions *positions; /* NULL: none */
} msi_op_node;

typedef struct msi_rejected_node {
  msi_path_trie_node node;
  uint64_t exact; /* newest version of a msi_rejection with this path; 0: none */
  uint64_t below; /* at or below */
} msi_rejected_node;

/* The rejections of one origin that it may not have seen. */
typedef struct msi_origin_record {
  uint64_t origin;
  uint64_t floor;  /* its patches based below fall */
  uint64_t newest; /* version of the newest rejection */
  bool has_trie;
  msi_path_trie trie;
} msi_origin_record;

struct msi_conflicts {
  const ms_alloc *alloc;
  size_t nodes_max;
  msi_path_trie trie;        /* of msi_op_node */
  msi_stamps floor;          /* of evicted and unnoted operations */
  msi_stamps position_floor; /* the same by version */
  size_t position_count;     /* nodes with positions */
  uint64_t
      blind; /* every patch based below falls: rejections were lost for want of memory */
  uint64_t newest;             /* version of the last entry */
  msi_origin_record **records; /* ascending by origin */
  size_t record_count, record_capacity;
  msi_conflict_packer *packers; /* under way */
};

/* Is a newer than b? */
static inline bool msi_stamp_beats(const msi_stamp *a, const msi_stamp *b) {
  if (a->timestamp != b->timestamp) return a->timestamp > b->timestamp;
  return a->origin > b->origin;
}

/* Keeps in *all the newest by timestamp, or by version, of distinct origins. */
void msi_stamps_note(msi_stamps *all, const msi_stamp *one);
void msi_stamps_note_version(msi_stamps *all, const msi_stamp *one);

/* ----- conflict_position.c */

/* What is noted of an operation besides its timestamp; the nodes on its path exist. is_open: its own
 * writer, too, may have thought that it does something else. */
void msi_positions_note(msi_conflicts *conflicts, msi_op_node *node, const msi_op *op,
                        const msi_stamp *one, bool is_open);
/* Does the operation go by what it finds in an array, and have others written there since its writer
 * looked? Before it is noted. */
bool msi_positions_are_open(const msi_conflicts *conflicts, const msi_op_node *node,
                            const msi_op *op, const msi_patch *patch);
/* The positions of a node, made where there are none. MS_ENOMEM. */
MS_CHECKED ms_status msi_positions_reach(msi_conflicts *conflicts, msi_op_node *node);
void msi_positions_free(msi_conflicts *conflicts, msi_op_node *node);
/* Does operation `index` of the patch go by positions that others moved? Then *winner is the newest
 * of them. */
bool msi_positions_conflict(const msi_conflicts *conflicts, const msi_patch *patch,
                            uint32_t index, msi_stamp *winner, bool *by_floor);

/* ----- conflict_read.c */

/* Has something changed that the patch's transaction read? Then *out says what. */
bool msi_reads_conflict(const msi_conflicts *conflicts, const msi_patch *patch,
                        msi_conflict *out);
/* What of the reads (may be NULL) hangs on a path in `rejected` of a version above `base`; NULL: nothing. */
const ms_path *msi_reads_depend(const msi_reads *reads, const msi_path_trie *rejected,
                                uint64_t base);

/* ----- conflict_pack.c: before nodes of operations change or go, packers that have not come to them
 * take them as they are. */
void msi_conflicts_keep(const msi_conflicts *conflicts, msi_path_trie_node *node);
/* All nodes on the path. */
void msi_conflicts_keep_path(const msi_conflicts *conflicts, const ms_path *path);

/* ----- conflict.c */

/* The record of an origin that has none. MS_ENOMEM. */
MS_CHECKED ms_status msi_conflicts_record(msi_conflicts *conflicts, uint64_t origin,
                                          msi_origin_record **out);

#endif
