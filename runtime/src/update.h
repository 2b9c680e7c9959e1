/*
 * Compiled updates: MongoDB's update language, parsed once into a list of operations,
 * immutable, with its wire form beside it so that sending and forwarding never encode it
 * again. One block holds the struct, the operations and the wire form.
 *
 * An update is a list of groups (the updates of a batch, in order); paths that overlap
 * within a group are MS_EOVERLAP, guards aside. Within a group operations stand, on the
 * wire too, and apply in MongoDB's order: by path (msi_path_compare). A guard stands
 * before the operation it is for.
 *
 * Wire form (MessagePack): [group...], group = [[code, path, operand]...]; path =
 * [key...]; code is the operator's number in the table of operators. Adding an operator
 * is adding a row to that table: its name, number, class, how its operand is checked, how
 * it applies (operator.h).
 */
#ifndef MSI_UPDATE_H
#define MSI_UPDATE_H

#include "path.h"

/* How an operation meets concurrent ones (see conflict.h). */
typedef enum msi_class {
  MSI_CLASS_GUARD,    /* asks only, changes nothing */
  MSI_CLASS_ABSOLUTE, /* settled by timestamp */
  MSI_CLASS_RELATIVE  /* applies in host order */
} msi_class;

/* Numbers are on the wire: never reuse one. */
typedef enum msi_code {
  MSI_CODE_GUARD = 0, /* operand: the ms_type the container must have, MS_EMPTY: any */
  MSI_CODE_SET = 1,
  MSI_CODE_UNSET = 2,
  MSI_CODE_INC = 3,
  MSI_CODE_PUSH = 4 /* operand: array of the elements to append */
} msi_code;

typedef struct msi_op {
  msi_code code;
  msi_class class_;
  uint32_t group;
  ms_path *path;           /* retained */
  const ms_value *operand; /* retained; ms_value_null() when the operator has none */
} msi_op;

struct ms_update {
  const ms_alloc *alloc;
  _Atomic uint32_t references;
  uint32_t op_count;
  uint32_t group_count;
  size_t block_bytes; /* of the one block */
  size_t wire_bytes;
  uint8_t *wire; /* both point into the block */
  msi_op *ops;
};

/* ----- building without a document: what proxies, batches and typed setters use */

/*
 * One group of one operation, guarded when `container` is not MS_NULL: the guard asks for
 * the parent of `path`, that of MSI_CODE_PUSH for what is at `path` itself. `operand` is
 * checked as in ms_update_parse; MSI_CODE_PUSH appends it as one element, MSI_CODE_UNSET
 * ignores it (it may be NULL). MS_EPATH: the empty path or a pattern; MS_EARGUMENT: a
 * guard, or `container` is no type of container; MS_EOPERATOR, MS_ELIMIT, MS_ENOMEM.
 */
MS_CHECKED ms_status msi_update_single(const ms_alloc *alloc, msi_code code,
                                       const ms_path *path, const ms_value *operand,
                                       ms_type container, ms_update **out,
                                       ms_error *error);
/* The groups of all updates, in order. MS_ELIMIT (more than MS_PATCH_MAX bytes),
 * MS_ENOMEM. */
MS_CHECKED ms_status msi_update_concat(const ms_alloc *alloc,
                                       const ms_update *const *updates, size_t count,
                                       ms_update **out);
/* $set of the whole document: the empty path. Only this builder and decoding make it.
 * MS_ETYPE: neither an object nor empty; MS_ELIMIT, MS_ENOMEM. */
MS_CHECKED ms_status msi_update_replace(const ms_alloc *alloc, const ms_value *document,
                                        ms_update **out, ms_error *error);

/* Decodes and validates foreign bytes; copies them as `wire`. MS_ETYPE and MS_ELIMIT for
 * malformed bytes, else as ms_update_parse. */
MS_CHECKED ms_status msi_update_decode(const ms_alloc *alloc, const uint8_t *data,
                                       size_t bytes, ms_update **out, ms_error *error);

typedef struct msi_apply {
  const ms_alloc *alloc;
  int64_t wall_ms;
  uint64_t document_bytes_max; /* 0: no limit */
} msi_apply;
/* As ms_update_apply. On failure *failed_op (may be NULL) is the index of the operation.
 */
MS_CHECKED ms_status msi_update_apply(const msi_apply *context, const ms_update *update,
                                      const ms_value *root, const ms_value **out,
                                      size_t *failed_op, ms_error *error);

#endif
