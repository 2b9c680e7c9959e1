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
 * Moving. Somebody may take the file's name away while the group lives. Then its host makes
 * a new file with the same id and its own locks, publishes that without a term, sets the
 * old file's term from its own to MSI_TERM_MOVED, and only then opens the new file by its
 * term. Every step after the second may be taken by any member that follows, so a host
 * that dies or stops in between holds nobody up; and since the old term changes once,
 * nobody takes over in the old file and in the new one. While the old file is moved its
 * candidates' lock bytes are the host's.
 *
 * OFD locks of one description do not exclude each other: asking (msi_file_lock_held) on the own
 * descriptor does not see own locks, which is what member_alive and term_lock_free want.
 */
#ifndef MSI_GROUP_H
#define MSI_GROUP_H

#include "directory.h"

typedef struct msi_group msi_group;

/* What stands in place of a term: published, to be opened; the group has another file now. */
#define MSI_TERM_NONE UINT64_C(0)
#define MSI_TERM_MOVED UINT64_MAX

#define MSI_PEER_ID_MAX ((UINT64_C(1) << 61) - 1)

/*
 * Open the group under `name`, take the member lock of `peer` and see whether a complete
 * member lives. *alive false: the caller may found (msi_group_found). MS_ENOENT: no group
 * file; MS_EVERSION: another format; MS_EDENIED: not a regular file of ours with mode
 * 0600; MS_EBUSY: the file was replaced meanwhile or its group is moving (start over), or
 * somebody holds the member lock of `peer`. Never follows symbolic links.
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
/*
 * The host of `term` gives its group a new file under that name in `directory`. `old` stays
 * the caller's: members that have not followed yet hold their locks there. MS_ENOHOST:
 * another host has taken over; MS_EBUSY: another group lives under that name, or a
 * candidate is about to take over: try again later. Statuses of msi_group_found.
 */
MS_CHECKED ms_status msi_group_move(const ms_alloc *alloc, const msi_directory *directory,
                                    const char *name, msi_group *old, uint64_t term,
                                    msi_group **out, ms_error *error);
/*
 * Where a group went whose file is MSI_TERM_MOVED: open the one under `name` and take the
 * locks of the same member, that of complete ones too when `complete`. `old` stays the
 * caller's. MS_EBUSY: not there yet; MS_ENOENT: nothing, or another group.
 */
MS_CHECKED ms_status msi_group_follow(const ms_alloc *alloc,
                                      const msi_directory *directory, const char *name,
                                      const msi_group *old, bool complete,
                                      msi_group **out, ms_error *error);
/* Gives up all locks here, to see only who else still holds some. */
void msi_group_step_out(msi_group *group);
/* Does another member hold a lock here? */
bool msi_group_has_others(const msi_group *group);
/* The last complete member is leaving: unlink the file if no other member holds a
 * lock. */
void msi_group_unlink_if_last(msi_group *group, const msi_directory *directory,
                              const char *name);

uint64_t msi_group_id(const msi_group *group);
uint64_t msi_group_term(const msi_group *group); /* seq_cst; MSI_TERM_MOVED */
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
