/*
 * What a transaction read, as paths: its patch is accepted only if none of that has changed since the
 * patch's base (see conflict.h).
 *
 * A path stands for one of two things: the value there *as a whole*, with all that is inside, or only
 * that a container *exists* there, whatever is inside. What was looked for and not found is a value,
 * too. Whoever reads below a container has asked for its existence without saying so: what replaces or
 * removes it is met on the way down.
 *
 * On the wire: [[path...], [path...]], the wholes, then those that exist. Bounded: what would be too much
 * falls to the containers above it, as wholes.
 */
#ifndef MSI_READS_H
#define MSI_READS_H

#include <stdatomic.h>

#include "path_trie.h"

/* Packed, so that a maximal patch and its reads fit into one frame. */
enum { MSI_READS_BYTES_MAX = 49152 };

typedef struct msi_reads {
  const ms_alloc *alloc;
  _Atomic uint32_t references;
  size_t whole_count; /* paths[0 ... whole_count - 1]; those that exist follow */
  size_t count;       /* at least 1, at most MS_READS_MAX */
  ms_path *paths[];   /* retained */
} msi_reads;

/* Both accept NULL. */
msi_reads *msi_reads_retain(const msi_reads *reads);
void msi_reads_release(const msi_reads *reads);
/* MS_ENOMEM. */
MS_CHECKED ms_status msi_reads_pack(msi_buffer *out, const msi_reads *reads);
/* MS_ETYPE; MS_ELIMIT: more paths or bytes than there may be; MS_ENOMEM. */
MS_CHECKED ms_status msi_reads_unpack(msi_reader *in, const ms_alloc *alloc,
                                      msi_reads **out);

/* ----- gathering */

typedef enum msi_read_kind {
  MSI_READ_NONE,
  MSI_READ_EXISTS,
  MSI_READ_WHOLE
} msi_read_kind;

typedef struct msi_read_set {
  msi_path_trie trie; /* each node stands on the way to something that was read */
  size_t bytes;       /* of all paths so far, packed */
  bool is_empty;
} msi_read_set;

/* MS_ENOMEM. */
MS_CHECKED ms_status msi_read_set_init(msi_read_set *set, const ms_alloc *alloc);
void msi_read_set_fini(msi_read_set *set);
/* The first `count` segments are the path. MS_ENOMEM. */
MS_CHECKED ms_status msi_read_set_add(msi_read_set *set, const msi_segment *segments,
                                      size_t count, msi_read_kind kind);
/*
 * What was found, or not found, at the path in `view`: a document that is `committed` with own writes on
 * top (NULL: nothing). Where the committed document has nothing, what is there hangs on what was
 * written: so it is the first missing key that counts; in an array, the array. The same where the view
 * has nothing: others may append to an array that an own write has put there.
 */
MS_CHECKED ms_status msi_read_set_note(msi_read_set *set, const ms_path *path,
                                       const ms_value *committed, const ms_value *view,
                                       msi_read_kind kind);
/* Is something at, above or below the path in it? */
bool msi_read_set_overlaps(const msi_read_set *set, const ms_path *path);
/* *out is retained; NULL when nothing was read. MS_ENOMEM. */
MS_CHECKED ms_status msi_read_set_compile(const msi_read_set *set, msi_reads **out);

#endif
