/*
 * The group file of a share and its locks: what the kernel guarantees among processes of
 * one machine.
 *
 *   file (4096 bytes, mapped): magic, format, group id, _Atomic term, heartbeat, dead
 *   lock bytes (open-file-description locks, beyond the end of the file):
 *     term t               t           t < 2^61: its host or candidate holds it
 *     member id            2^61 + id   id < 2^61: every member holds it while it lives
 *     complete member id   2^62 + id   held once its replica is complete
 *     founding             2^62 up to and with 2^62 + 2^61, while a dead group is replaced
 *
 * The kernel frees a lock the instant the last descriptor of its open file description is
 * gone, so nothing here trusts process ids. The file is made complete under a temporary
 * name and published by link(2); it is replaced only under the founding lock and when the
 * path still names the locked inode.
 *
 * The founding lock spans all complete bytes: it cannot be had while a complete member
 * lives, and while it is held nobody becomes complete. Before it is given back the old
 * file is marked dead, so that a member that still has it open cannot complete in a group
 * that was replaced.
 *
 * Log and socket of the first term are made before the file is published, under a term
 * that no other founder uses: msi_log_found claims it by making the log exclusively.
 *
 * OFD locks of one description do not exclude each other: asking (F_OFD_GETLK) on the own
 * descriptor does not see own locks, which is what member_alive and term_lock_free want.
 */
#ifndef MSI_GROUP_H
#define MSI_GROUP_H

#include "directory.h"

typedef struct msi_group msi_group;

#define MSI_PEER_ID_MAX ((UINT64_C(1) << 61) - 1)

/*
 * Open the group under `name`, take the member lock of `peer` and see whether a complete
 * member lives. *alive false: the caller may found (msi_group_found). MS_ENOENT: no group
 * file; MS_EVERSION: another format; MS_EDENIED: not a regular file of ours with mode
 * 0600; MS_EBUSY: the file was replaced meanwhile (start over), or somebody holds the
 * member lock of `peer`. Never follows symbolic links.
 */
MS_CHECKED ms_status msi_group_open(const ms_alloc *alloc, const msi_directory *directory,
                                    const char *name, uint64_t peer, msi_group **out,
                                    bool *alive, ms_error *error);
/*
 * The first term a new group should use: above the stale group's (may be NULL) and above
 * every leftover log or socket of that name in the directory; at least 1.
 */
uint64_t msi_group_first_term(const msi_directory *directory, const char *name,
                              const msi_group *stale);
/*
 * Publish a new group whose host is the caller: term lock, member lock and complete lock
 * are held before the file appears; its log and socket are made after that. `stale`
 * (may be NULL) is the dead group's file this replaces; it stays the caller's. MS_EBUSY:
 * somebody else was faster: start over with msi_group_open.
 */
MS_CHECKED ms_status msi_group_found(const ms_alloc *alloc,
                                     const msi_directory *directory, const char *name,
                                     uint64_t peer, uint64_t group, uint64_t term,
                                     msi_group *stale, msi_group **out, ms_error *error);
/* Unmaps, closes, and so frees all locks. Accepts NULL. */
void msi_group_close(msi_group *group);
/* What stands under `name`, without becoming a member. Statuses as msi_group_open. */
typedef struct msi_group_glimpse {
  uint64_t group, term;
  bool alive; /* a complete member lives */
} msi_group_glimpse;
MS_CHECKED ms_status msi_group_peek(const msi_directory *directory, const char *name,
                                    msi_group_glimpse *out, ms_error *error);
/* Does the path still name this file? (The directory may have been removed or
 * replaced.) */
bool msi_group_is_published(const msi_group *group, const msi_directory *directory,
                            const char *name);
/* The last complete member is leaving: unlink the file if no other member holds a
 * lock. */
void msi_group_unlink_if_last(msi_group *group, const msi_directory *directory,
                              const char *name);

uint64_t msi_group_id(const msi_group *group);
uint64_t msi_group_term(const msi_group *group);                         /* seq_cst */
bool msi_group_raise_term(msi_group *group, uint64_t from, uint64_t to); /* seq_cst CAS */
bool msi_group_term_lock_free(const msi_group *group, uint64_t term);
bool msi_group_take_term_lock(msi_group *group, uint64_t term);
void msi_group_drop_term_lock(msi_group *group, uint64_t term);
/* False: the group is being replaced, or was; enrol again. */
bool msi_group_mark_complete(msi_group *group);
bool msi_group_member_alive(const msi_group *group, uint64_t peer);
uint64_t msi_group_heartbeat(const msi_group *group);
void msi_group_beat(msi_group *group);

#endif
