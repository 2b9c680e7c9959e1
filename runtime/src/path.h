/*
 * Compiled paths. One block: the struct and its keys.
 *
 * A key is a string value, so that its hash is computed once and objects keep it without
 * a copy. Its index is the number it spells when it is a decimal without leading zeros,
 * else -1.
 */
#ifndef MSI_PATH_H
#define MSI_PATH_H

#include "codec.h"

typedef enum msi_segment_kind {
  MSI_SEGMENT_KEY,
  MSI_SEGMENT_ANY, /* `*` */
  MSI_SEGMENT_DEEP /* `**` */
} msi_segment_kind;

typedef struct msi_segment {
  const ms_value *key; /* a string value, also for wildcards */
  int64_t index;
  msi_segment_kind kind; /* other than KEY in patterns only */
} msi_segment;

struct ms_path {
  const ms_alloc *alloc;
  _Atomic uint32_t references;
  uint32_t count;
  msi_segment segments[];
};

/* A key of its own. MS_ELIMIT (longer than MS_KEY_MAX), MS_ENOMEM. */
MS_CHECKED ms_status msi_segment_init(msi_segment *segment, const ms_alloc *alloc,
                                      const char *bytes, size_t length, ms_error *error);

/* Borrowed segments, at most MS_DEPTH_MAX; their keys are retained. */
MS_CHECKED ms_status msi_path_from_segments(const ms_alloc *alloc,
                                            const msi_segment *segments, size_t count,
                                            ms_path **out);
/* As an array of strings. */
MS_CHECKED ms_status msi_path_pack(msi_buffer *out, const ms_path *path);
MS_CHECKED ms_status msi_path_unpack(msi_reader *in, const ms_alloc *alloc,
                                     ms_path **out);
/* What is at the path that the text names, borrowed; as ms_path_parse() and ms_path_find() in one step,
 * without memory. MS_ENOENT, MS_EPATH, MS_ELIMIT. */
MS_CHECKED ms_status msi_path_text_find(const char *text, size_t length,
                                        const ms_value *root, const ms_value **out);
/* Equal, or one begins with the other. */
bool msi_path_overlaps(const ms_path *a, const ms_path *b);
bool msi_path_equal(const ms_path *a, const ms_path *b);
/* Is `a` equal to `b` or the beginning of it? */
bool msi_path_begins(const ms_path *a, const ms_path *b);
bool msi_segment_equal(const msi_segment *a, const msi_segment *b);
/* MongoDB's order of application: key by key, indexes by value and before names, names by
 * their bytes; a path stands right before those that begin with it. As memcmp(). */
int msi_segment_compare(const msi_segment *a, const msi_segment *b);
int msi_path_compare(const ms_path *a, const ms_path *b);
/* False for patterns that hold a wildcard. */
bool msi_path_is_literal(const ms_path *path);
/* The number that a decimal without leading zeros spells, else -1. */
int64_t msi_key_index(const char *bytes, size_t length);
/* Such an index, not negative, as memory is counted: one beyond that stays behind the end of every array. */
static inline size_t msi_index_size(int64_t index) {
#if SIZE_MAX < INT64_MAX
  if (index > (int64_t)SIZE_MAX) return SIZE_MAX;
#endif
  return (size_t)index;
}
/* The child that `segment` names in `container`, borrowed; NULL when there is none. */
const ms_value *msi_segment_find(const msi_segment *segment, const ms_value *container);

/* ----- for messages */

/* "null", "a string", "an array", ... Static. */
const char *msi_type_phrase(ms_type type);
/* Enough for one path in an error line that names two. */
enum { MSI_PRINT_BYTES = 96 };
/* Text that is cut off with "..." where its buffer ends. */
typedef struct msi_printer {
  char *buffer;
  size_t length, bytes;
  size_t cut; /* where "..." still fits */
  bool full;
  bool begun; /* has a key */
} msi_printer;
/* bytes: at least 4. */
void msi_printer_init(msi_printer *printer, char *buffer, size_t bytes);
/* One more key, with a dot before it unless it is the first. */
void msi_printer_key(msi_printer *printer, const char *bytes, size_t length);
void msi_printer_segments(msi_printer *printer, const msi_segment *segments,
                          size_t count);
/* The buffer, ended. */
const char *msi_printer_end(msi_printer *printer);
/* Writes dotted text for error lines, cut with "..." when it is long; control bytes and
 * what is not UTF-8 show as '?'. `bytes` is at least 4. Returns `buffer`. */
const char *msi_path_print(const ms_path *path, char *buffer, size_t bytes);
/* Its first `count` keys only. */
const char *msi_path_print_first(const ms_path *path, size_t count, char *buffer,
                                 size_t bytes);
/* The same for text that is no path yet. */
const char *msi_text_print(const char *text, size_t length, char *buffer, size_t bytes);

#endif
