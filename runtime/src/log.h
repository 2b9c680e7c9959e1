/*
 * The mapped log of one term: a ring of entries that only that term's host writes.
 *
 * Every byte ever seen by a peer was stored here first, so the next host finds in it all
 * that anybody may know (DESIGN section 4, "The log"). The file has its full size from
 * the start (ftruncate) and is given blocks (file_space.h) in steps ahead of the tail, so
 * that a full disk is a status, never SIGBUS.
 *
 *   header (4096 bytes): magic, format, group id, term, capacity,
 *                        _Atomic base, _Atomic ready, _Atomic previous, _Atomic fate,
 *                        _Atomic tail, _Atomic head
 *   ring (capacity bytes): records, 8-byte aligned: u32 bytes, u32 checksum, u64 version,
 *                          data, padding; a record never wraps: a filler record covers
 *                          the rest of the ring
 *
 * tail and head are positions that only grow (offset = position % capacity): [head, tail)
 * is intact. Writer: move head past what the record will overwrite (seq_cst), write the
 * record, store tail (seq_cst). Reader: load head and tail, walk; after copying a record
 * load head again: a record below it was overwritten meanwhile. Versions in a log have no
 * gaps; a gap is damage.
 *
 * Fencing. The host appends, then loads the group's term; a candidate raises the term,
 * then reads here. All four are seq_cst, so either the host sees the new term or the
 * candidate sees the record: what the host took for accepted is in the candidate's
 * history. At most one more record, which the host does not take for accepted, may be
 * found there, or appear later: it harms nobody, since it went to nobody.
 *
 * Moving. When somebody takes the name of a log away, its host copies it under the name
 * again and marks the old file as moved, so that whoever has it open opens the name anew.
 * For a while it stores each record in both, then it marks the old one as ended.
 */
#ifndef MSI_LOG_H
#define MSI_LOG_H

#include "directory.h"
#include "replica.h" /* msi_log_fn, msi_log_info, MSI_FRAME_MAX */

/* Four maximal frames: one is lost to the filler at the ring's end, one to the frame
 * being written, and two stay, which is what links may be behind
 * (MSI_LINK_OUTBOX_MAX). */
enum { MSI_LOG_CAPACITY = 4 * MSI_FRAME_MAX + 65536 };

typedef struct msi_log msi_log;

/*
 * Make the file of a term whose lock the caller holds, replacing a leftover of that name
 * (mode 0600). MS_ELIMIT: no space, descriptors, or RLIMIT_FSIZE; MS_EBUSY: somebody else
 * makes it too; MS_ENOENT: the directory is gone.
 */
MS_CHECKED ms_status msi_log_create(const ms_alloc *alloc, const msi_directory *directory,
                                    const char *name, uint64_t group, uint64_t term,
                                    msi_log **out, ms_error *error);
/* The same for the first term of a new group, whose lock nobody can hold yet: the file
 * itself is what founders compete for. MS_EBUSY: that term's log exists, take a higher
 * term. */
MS_CHECKED ms_status msi_log_found(const ms_alloc *alloc, const msi_directory *directory,
                                   const char *name, uint64_t group, uint64_t term,
                                   msi_log **out, ms_error *error);
/* The writer's log once more, in place of one whose name was taken away, in this or in
 * another directory: the name stands for a whole log at any time. `from` stays the
 * caller's, who writes to the new one from now on. Statuses of msi_log_create. */
MS_CHECKED ms_status msi_log_copy(const msi_log *from, const msi_directory *directory,
                                  const char *name, msi_log **out, ms_error *error);
/* Only its writer (seq_cst). Moved: the log goes on in a copy as well. Ended: further records
 * are in the copy only. */
void msi_log_mark_moved(msi_log *log);
void msi_log_mark_ended(msi_log *log);
bool msi_log_has_moved(const msi_log *log); /* or ended */
bool msi_log_has_ended(const msi_log *log);
uint64_t msi_log_term(const msi_log *log);
/* Does the name in that directory still stand for this log? */
bool msi_log_is_named(const msi_log *log, const msi_directory *directory,
                      const char *name);
/* Map it to read. MS_ENOENT, MS_EVERSION (another group, term or format, or cut),
 * MS_EDENIED. */
MS_CHECKED ms_status msi_log_open(const ms_alloc *alloc, const msi_directory *directory,
                                  const char *name, uint64_t group, uint64_t term,
                                  msi_log **out, ms_error *error);
/* Unmaps and closes; the file stays. Accepts NULL. */
void msi_log_close(msi_log *log);

void msi_log_inspect(const msi_log *log, msi_log_info *out);
/* Only its writer: base and previous term, then ready (seq_cst). */
void msi_log_mark_ready(msi_log *log, uint64_t base, uint64_t previous);
/* Only its writer. MS_ELIMIT: bytes > MSI_FRAME_MAX or no space on disk; nothing was
 * stored then. */
MS_CHECKED ms_status msi_log_append(msi_log *log, uint64_t version, const uint8_t *data,
                                    size_t bytes);
/* See msi_port.log_read. Checks lengths, versions and checksums: a damaged file is
 * false, never a crash. What was passed to fn before is intact. True also when fn
 * stopped the walk. */
bool msi_log_read(const msi_log *log, const ms_alloc *alloc, uint64_t after,
                  msi_log_fn fn, void *ud);

#endif
