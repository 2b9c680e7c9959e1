/*
 * Compiled paths. One block: the struct and its keys.
 *
 * A key is a string value, so that its hash is computed once and objects keep it without a copy. Its
 * index is the number it spells when it is a decimal without leading zeros, else -1.
 */
#ifndef MSI_PATH_H
#define MSI_PATH_H

#include "codec.h"

typedef enum msi_segment_kind { MSI_SEGMENT_KEY, MSI_SEGMENT_ANY /* * */, MSI_SEGMENT_DEEP /* ** */ } msi_segment_kind;

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

/* Retained keys. */
MS_CHECKED ms_status msi_path_from_segments(const ms_alloc *alloc, const msi_segment *segments,
                                            size_t count, ms_path **out);
/* As an array of strings. */
MS_CHECKED ms_status msi_path_pack(msi_buffer *out, const ms_path *path);
MS_CHECKED ms_status msi_path_unpack(msi_reader *in, const ms_alloc *alloc, ms_path **out);
/* Equal, or one begins with the other. */
bool msi_path_overlaps(const ms_path *a, const ms_path *b);
bool msi_path_equal(const ms_path *a, const ms_path *b);
/* The child that `segment` names in `container`, borrowed; NULL when there is none. */
const ms_value *msi_segment_find(const msi_segment *segment, const ms_value *container);
/* Writes dotted text for error lines, cut with "..." when it is long. Returns `buffer`. */
const char *msi_path_print(const ms_path *path, char *buffer, size_t bytes);

#endif
