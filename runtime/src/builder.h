/*
 * What updates are built with, whatever they are made from: update.c (single operations,
 * other updates), update_parse.c (documents), update_decode.c (foreign bytes).
 *
 * The block is a buffer while it grows:
 *
 *   +-----------+----------+----------+-----+------------------+
 *   | ms_update | msi_op 0 | msi_op 1 | ... | wire form        |
 *   +-----------+----------+----------+-----+------------------+
 *
 * The number of operations is known before it is begun; the wire form is appended last.
 * The struct at its front is filled when nothing moves any more.
 */
#ifndef MSI_BUILDER_H
#define MSI_BUILDER_H

#include "operator.h"

typedef struct msi_builder {
  msi_buffer block;
  size_t op_max;   /* room in the block */
  size_t op_count; /* begun: each may be half filled */
  uint32_t group_count;
  size_t group_at; /* the first operation of the group under way */
  msi_meter meter; /* what compiling its queries may take together */
} msi_builder;

/* Fills *error with the status' own text and returns it. */
ms_status msi_builder_fail(ms_error *error, ms_status st);
/* MS_ELIMIT: more than MS_PATCH_MAX bytes. */
ms_status msi_builder_fail_bytes(ms_error *error);
/* MS_ELIMIT: more than MS_VALUES_MAX values and keys in a wire form. */
MS_CHECKED ms_status msi_builder_check_values(msi_reader wire, ms_error *error);

/* wire_bytes: a guess, so that the block need not grow. */
MS_CHECKED ms_status msi_builder_init(msi_builder *self, const ms_alloc *alloc,
                                      size_t op_max, uint64_t wire_bytes,
                                      ms_error *error);
void msi_builder_fini(msi_builder *self);
/* Valid until the block grows. */
msi_op *msi_builder_ops(msi_builder *self);
/* Bytes of the wire form so far. */
size_t msi_builder_wire_bytes(const msi_builder *self);
/* The same limits for every wire form that is complete. MS_ELIMIT. */
MS_CHECKED ms_status msi_builder_check_wire(const msi_builder *self, ms_error *error);

void msi_builder_begin_group(msi_builder *self);
/* path: taken. */
msi_op *msi_builder_add(msi_builder *self, msi_code code, ms_path *path);
/* From the operand in a document to a checked operation, with the one that stands at the
 * target of a $rename. given: NULL where the row ignores it. */
MS_CHECKED ms_status msi_builder_compile(msi_builder *self, msi_op *op,
                                         const ms_value *given, ms_error *error);
/* Takes the steps that compiling the queries of an operation, or of all of them, took: those
 * before it stand in the order of the wire. MS_ELIMIT. */
MS_CHECKED ms_status msi_builder_charge(msi_builder *self, size_t index, ms_error *error);
MS_CHECKED ms_status msi_builder_charge_all(msi_builder *self, ms_error *error);
/* Adds the operation for the target of a $rename that was checked. */
MS_CHECKED ms_status msi_builder_add_target(msi_builder *self, const msi_op *rename,
                                            ms_error *error);
/* Puts the operations of a group without guards in order. MS_EOVERLAP. */
MS_CHECKED ms_status msi_builder_end_group(msi_builder *self, ms_error *error);
ms_status msi_builder_fail_overlap(const msi_op *a, const msi_op *b, ms_error *error);

/* Appends the wire form and takes the block. */
MS_CHECKED ms_status msi_builder_finish(msi_builder *self, ms_update **out,
                                        ms_error *error);
/* Takes the block, which has its wire form. */
ms_update *msi_builder_take(msi_builder *self);

#endif
