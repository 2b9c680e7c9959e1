/*
 * Positional paths, "a.list.$[x].n": an operation on elements of an array.
 *
 * What stands before the first positional key is a path like any other: what the
 * operation touches, as conflicts and hooks see it. The rest is its *selection*: the
 * positional keys and whatever stands between and behind them.
 *
 *   path   a.list         selection   $[x].n
 *
 * `$[]` selects every element, `$[x]` those for which the array filter with the
 * identifier x holds. On the wire a selection is [key...]: nil for `$[]`, ["x"] for `$[x]`, a
 * string for a plain key; it begins with one of the first two.
 */
#ifndef MSI_POSITIONAL_H
#define MSI_POSITIONAL_H

#include "query.h"

typedef struct msi_selector {
  bool is_positional;
  const ms_query *filter; /* retained; NULL: every element */
} msi_selector;

/* Immutable and counted. One block: the struct, its segments, its selectors. */
typedef struct msi_selection {
  const ms_alloc *alloc;
  _Atomic uint32_t references;
  uint32_t count;
  msi_segment *segments;   /* the key of a positional one is its text, "$[x]" */
  msi_selector *selectors; /* one for each segment */
} msi_selection;

msi_selection *msi_selection_retain(const msi_selection *selection); /* accepts NULL */
void msi_selection_release(const msi_selection *selection);          /* accepts NULL */

/* The array filters of an update, by identifier. */
typedef struct msi_filters {
  const ms_alloc *alloc;
  size_t count;
  ms_query **items;
  bool *is_used;
  const ms_value *indexes; /* an object: identifier to index */
} msi_filters;

/*
 * From an array of filter documents as users give them, NULL: none; or from an object
 * {identifier: document} as on the wire. On failure there is nothing to release.
 * MS_EARGUMENT: not such an array, a malformed filter, two with one identifier; MS_ELIMIT,
 * MS_ENOMEM.
 */
MS_CHECKED ms_status msi_filters_init(msi_filters *filters, const ms_alloc *alloc,
                                      const ms_value *given, ms_error *error);
void msi_filters_fini(msi_filters *self);
/* MS_EARGUMENT: one was not used. */
MS_CHECKED ms_status msi_filters_check_used(const msi_filters *filters, ms_error *error);

/*
 * The path of an operation in an update document. *selection is NULL when there is none.
 * Unlike ms_path_parse it takes keys that begin with '$', as MongoDB 5.0 does, but for
 * the first one; `$` alone needs a query and is MS_EPATH. MS_EARGUMENT: no filter for an
 * identifier.
 */
MS_CHECKED ms_status msi_positional_parse(msi_filters *filters, const ms_alloc *alloc,
                                          const char *text, size_t length, ms_path **path,
                                          msi_selection **selection, ms_error *error);
MS_CHECKED ms_status msi_selection_pack(msi_buffer *out, const msi_selection *selection);
/* keys_max: of keys. MS_ETYPE and MS_ELIMIT: malformed; MS_EARGUMENT: no such filter. */
MS_CHECKED ms_status msi_selection_unpack(msi_reader *in, msi_filters *filters,
                                          const ms_alloc *alloc, size_t keys_max,
                                          msi_selection **out, ms_error *error);
/* Adds the filters of the selection to the object {identifier: document}. MS_ENOMEM. */
MS_CHECKED ms_status msi_selection_add_filters(const msi_selection *selection,
                                               const ms_alloc *alloc,
                                               const ms_value **object);

#endif
