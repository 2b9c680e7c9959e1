/*
 * An entry: one decision of a host, with the next version. Entries are the only thing that changes
 * replicated state; the same bytes stand in the mapped log, in the tail and in frames to peers.
 *
 *   [4, version, term, kind, origin, number, base, timestamp, wall_ms, body]
 *
 *   body of PATCH:  the update's wire form (update.h); what its transaction read is gone by then
 *           REJECT: [status, message, path or nil, winner_version, winner, winner_wall_ms, [path...]]
 *           JOIN:   [pid, since_ms, program, readonly, can_host, linked]
 *           HOUSE:  as PATCH; origin is the host, number 0
 *           RETIRE: nil, or an update that takes away what was bound to the peer
 */
#ifndef MSI_ENTRY_H
#define MSI_ENTRY_H

#include "reads.h"
#include "update.h"

/* Peer ids are 1 ... MSI_PEER_MAX: the group file has a lock byte for each. */
#define MSI_PEER_MAX ((UINT64_C(1) << 61) - 1)

/* The numbers are on the wire. */
typedef enum msi_entry_kind {
  MSI_ENTRY_PATCH = 1,  /* an accepted patch */
  MSI_ENTRY_REJECT = 2, /* a patch without effect */
  MSI_ENTRY_JOIN = 3,   /* a peer was admitted */
  MSI_ENTRY_RETIRE = 4, /* a peer is gone for good: its id is never admitted again */
  MSI_ENTRY_HOUSE = 5   /* what the host itself decides: see house.c */
} msi_entry_kind;

/* A patch on its way to the host, and the part of PATCH and REJECT entries that its writer chose. */
typedef struct msi_patch {
  uint64_t origin; /* peer id */
  uint64_t number; /* 1, 2, ... per process; JOIN: the last one it used before this id */
  uint64_t base;   /* the version the writer's view showed */
  uint64_t timestamp; /* max(last seen + 1, CLOCK_MONOTONIC ns) */
  int64_t wall_ms;    /* for people and $currentDate */
  ms_update *update;  /* retained; NULL in a REJECT entry */
  msi_reads *reads;   /* retained; of a transaction on its way to the host, else NULL */
} msi_patch;

/* One more holder of update and reads, and one less; the patch keeps its pointers. */
void msi_patch_retain(const msi_patch *patch);
void msi_patch_release(const msi_patch *patch);

typedef struct msi_refusal {
  ms_status status;
  char message[MS_MESSAGE_MAX];
  ms_path *path;           /* retained; NULL: none in particular */
  uint64_t winner_version; /* 0: no winner */
  uint64_t winner;
  int64_t winner_wall_ms;
  /* All paths that the patch would have written: what dependent patches are checked against.
   * Retained, one block. */
  size_t path_count;
  ms_path **paths;
} msi_refusal;

typedef struct msi_member_info {
  int64_t pid;
  int64_t since_ms;
  char program[64];
  bool readonly, can_host;
  /* It holds no member lock: its link is its only sign of life. Such a member cannot host. */
  bool linked;
  char roles[MS_ROLES_BYTES]; /* each with its NUL, an empty one at the end */
} msi_member_info;

/* Is it one of the member's? */
bool msi_member_has_role(const msi_member_info *info, const char *role, size_t length);
/* Copies roles that stand one after the other as above. MS_ELIMIT: too many, or too long. */
MS_CHECKED ms_status msi_member_set_roles(msi_member_info *info, const char *roles);

typedef struct msi_entry {
  const ms_alloc *alloc;
  msi_entry_kind kind;
  uint64_t term;
  uint64_t version;
  /* PATCH and REJECT: all of it. JOIN: origin, number, wall_ms. RETIRE: origin, wall_ms, and with an
   * update base and timestamp. Whatever the kind, an update is one that is applied. */
  msi_patch patch;
  msi_refusal refusal;    /* REJECT */
  msi_member_info member; /* JOIN */
} msi_entry;

/* Frees what the entry holds, not the struct. */
void msi_entry_fini(msi_entry *entry);
/* Appends a whole ENTRY message. MS_ENOMEM. */
MS_CHECKED ms_status msi_entry_pack(msi_buffer *out, const msi_entry *entry);
/* MS_ETYPE and the like for malformed bytes; *out is written on success only. */
MS_CHECKED ms_status msi_entry_unpack(const ms_alloc *alloc, const uint8_t *data,
                                      size_t bytes, msi_entry *out, ms_error *error);

/* [pid, since_ms, program, readonly, can_host, linked, roles?]: in JOIN bodies, greetings and snapshots. */
MS_CHECKED ms_status msi_member_info_pack(msi_buffer *out, const msi_member_info *info);
MS_CHECKED ms_status msi_member_info_unpack(msi_reader *in, msi_member_info *out);

#endif
