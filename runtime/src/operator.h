/*
 * The table of operators: one row says all that the compiler, the decoder and the engine
 * need to know of an operator. A new operator is a new row (and a code in update.h).
 */
#ifndef MSI_OPERATOR_H
#define MSI_OPERATOR_H

#include "update.h"

/* What an operation finds at its path. */
typedef struct msi_target {
  const msi_apply *context;
  const msi_op *op;
  const ms_value *old_value; /* borrowed; NULL: nothing is there */
} msi_target;

typedef enum msi_action {
  MSI_ACTION_KEEP,   /* nothing changes */
  MSI_ACTION_STORE,  /* `value` takes the place; an equal one changes nothing */
  MSI_ACTION_REMOVE, /* the key goes; an element of an array becomes null */
  MSI_ACTION_APPEND  /* the elements of `value` go behind the array that is there */
} msi_action;

/* What the operation wants to become of it. */
typedef struct msi_outcome {
  msi_action action;
  const ms_value *value; /* STORE, APPEND: retained by whoever asked */
} msi_outcome;

typedef struct msi_operator {
  const char *name; /* as in update documents; the guard's is for messages only */
  msi_code code;
  msi_class class_;
  bool in_documents; /* may stand in update documents */
  bool creates;      /* makes missing parents; else it has no effect where nothing is */
  bool ignores_blocked; /* no effect where a scalar or an array is in the way; else
                           MS_EPATH */
  /*
   * From the operand in a document to the one on the wire: sets op->operand (retained),
   * and op->code where the form of the operand chooses among several rows. NULL: the
   * operand is taken as it is.
   */
  ms_status (*compile)(const ms_alloc *alloc, const ms_value *given, msi_op *op,
                       ms_error *error);
  /* The operand on the wire, whatever the document is. */
  ms_status (*check)(const msi_op *op, ms_error *error);
  /* Never changes what it finds. The guard has none: the engine answers it. */
  ms_status (*apply)(const msi_target *target, msi_outcome *out, ms_error *error);
} msi_operator;

/* By number; NULL: unknown. Static. */
const msi_operator *msi_operator_by_code(int64_t code);
/* By name, among those of documents; NULL: unknown. Static. */
const msi_operator *msi_operator_by_name(const char *name, size_t length);

/* The checks of all operators (path, depth), then the row's own. Sets op->class_. */
ms_status msi_op_check(msi_op *op, ms_error *error);
/* `$inc: "players.alice.name" holds a string, not a number`. Returns MS_ETYPE. */
ms_status msi_op_mismatch(const msi_op *op, const ms_value *found, const char *wanted,
                          ms_error *error);

#endif
