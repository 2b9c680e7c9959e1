/*
 * The table of operators: one row says all that the compiler, the decoder and the engine
 * need to know of an operator. A new operator is a new row (and a code in update.h).
 */
#ifndef MSI_OPERATOR_H
#define MSI_OPERATOR_H

#include "update.h"

/* Keys on the way to a place, borrowed. */
typedef struct msi_route {
  const msi_segment *segments;
  size_t count;
} msi_route;

/* How an operation got into an element of an array. */
typedef struct msi_frame {
  const struct msi_frame *above; /* NULL: the route begins at the document */
  msi_route route;               /* to the array */
  size_t index;                  /* of the element */
} msi_frame;

/* What an operation finds at its path. */
typedef struct msi_target {
  const msi_apply *context;
  msi_meter *meter; /* an operator that goes through values takes steps for it */
  const msi_op *op;
  const ms_value *old_value; /* borrowed; NULL: nothing is there */
  const msi_frame *frame;    /* with `route` the place, for messages */
  msi_route route;
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
  const char *name; /* as in update documents; others are for messages only */
  msi_code code;
  msi_class class_;
  bool in_documents; /* may stand in update documents */
  bool is_local;     /* never on the wire */
  bool creates;      /* makes missing parents; else it has no effect where nothing is */
  bool ignores_blocked; /* no effect where a scalar or an array is in the way; else
                           MS_EPATH */
  bool is_of_list;      /* done to a list: guards ask for what is at the path itself */
  bool ignores_operand; /* takes none when it is made without a document */
  bool keeps_operand;   /* it, or a part of it, becomes a part of the document */
  /*
   * From the operand in a document to the one on the wire: sets op->operand (retained),
   * and op->code where the form of the operand chooses among several rows. NULL: the
   * operand is taken as it is.
   */
  ms_status (*compile)(const ms_alloc *alloc, const ms_value *given, msi_op *op,
                       ms_error *error);
  /* The operand on the wire, whatever the document is; sets op->query and op->target. */
  ms_status (*check)(const ms_alloc *alloc, msi_op *op, ms_error *error);
  /* Never changes what it finds. NULL: the engine knows what to do. */
  ms_status (*apply)(const msi_target *target, msi_outcome *out, ms_error *error);
} msi_operator;

/* By number; NULL: unknown. Static. */
const msi_operator *msi_operator_by_code(int64_t code);
/* By name, among those of documents; NULL: unknown. Static. */
const msi_operator *msi_operator_by_name(const char *name, size_t length);
const char *msi_op_name(const msi_op *op);

/* The checks of all operators (path, depth), then the row's own. Sets op->class_. */
ms_status msi_op_check(const ms_alloc *alloc, msi_op *op, ms_error *error);
/* `$inc: "a" needs a number, not a string`, whatever the document is. MS_EARGUMENT. */
ms_status msi_op_bad_operand(const msi_op *op, const ms_value *operand,
                             const char *wanted, ms_error *error);

/* The place of a target, as text; see msi_path_print. */
const char *msi_place_print(const msi_frame *frame, msi_route route, char *buffer,
                            size_t bytes);
/* `$inc: "players.alice.name" holds a string, not a number`. MS_ETYPE. */
ms_status msi_target_mismatch(const msi_target *target, const char *wanted,
                              ms_error *error);
#ifdef __clang_analyzer__ /* as with msi_fail in alloc.h */
#define msi_target_mismatch(target, wanted, error)                                       \
  ((void)msi_target_mismatch((target), (wanted), (error)), MS_ETYPE)
#endif

/* ----- operands and targets that are arrays: array_operator.c */
/* {"$each": [...]}: NULL when `given` has none; the empty table for an empty list. *out is
 * borrowed. MS_EARGUMENT: no list. */
MS_CHECKED ms_status msi_list_find_each(const ms_value *given, const msi_op *op,
                                        const ms_value **out, ms_error *error);
/* `list` itself when it is an array already. *out is retained. */
MS_CHECKED ms_status msi_list_to_array(const ms_alloc *alloc, const ms_value *list,
                                       const ms_value **out);
/* *out is retained. */
MS_CHECKED ms_status msi_list_of_one(const ms_alloc *alloc, const ms_value *element,
                                     const ms_value **out);
/* Is it 1 or -1? */
bool msi_is_direction(const ms_value *value, int64_t *out);
/* MS_EMPTY where nothing is. */
ms_type msi_target_array_type(const msi_target *target);

/* ----- operators on arrays: push.c, array_operator.c, rows of the table */
ms_status msi_push_compile(const ms_alloc *alloc, const ms_value *given, msi_op *op,
                           ms_error *error);
ms_status msi_push_check(const ms_alloc *alloc, msi_op *op, ms_error *error);
ms_status msi_push_apply(const msi_target *target, msi_outcome *out, ms_error *error);
ms_status msi_push_at_check(const ms_alloc *alloc, msi_op *op, ms_error *error);
ms_status msi_push_at_apply(const msi_target *target, msi_outcome *out, ms_error *error);
ms_status msi_add_to_set_compile(const ms_alloc *alloc, const ms_value *given, msi_op *op,
                                 ms_error *error);
ms_status msi_add_to_set_check(const ms_alloc *alloc, msi_op *op, ms_error *error);
ms_status msi_add_to_set_apply(const msi_target *target, msi_outcome *out,
                               ms_error *error);
ms_status msi_pop_compile(const ms_alloc *alloc, const ms_value *given, msi_op *op,
                          ms_error *error);
ms_status msi_pop_check(const ms_alloc *alloc, msi_op *op, ms_error *error);
ms_status msi_pop_apply(const msi_target *target, msi_outcome *out, ms_error *error);
ms_status msi_pull_check(const ms_alloc *alloc, msi_op *op, ms_error *error);
ms_status msi_pull_all_check(const ms_alloc *alloc, msi_op *op, ms_error *error);
ms_status msi_pull_apply(const msi_target *target, msi_outcome *out, ms_error *error);
ms_status msi_remove_at_check(const ms_alloc *alloc, msi_op *op, ms_error *error);
ms_status msi_remove_at_apply(const msi_target *target, msi_outcome *out,
                              ms_error *error);

/* ----- operations on the desk: desk_operator.c, rows of the table */
ms_status msi_lock_check(const ms_alloc *alloc, msi_op *op, ms_error *error);
ms_status msi_numbered_check(const ms_alloc *alloc, msi_op *op, ms_error *error);
ms_status msi_grant_check(const ms_alloc *alloc, msi_op *op, ms_error *error);
ms_status msi_writers_check(const ms_alloc *alloc, msi_op *op, ms_error *error);
ms_status msi_schema_op_check(const ms_alloc *alloc, msi_op *op, ms_error *error);
ms_status msi_rules_op_check(const ms_alloc *alloc, msi_op *op, ms_error *error);
ms_status msi_told_check(const ms_alloc *alloc, msi_op *op, ms_error *error);
ms_status msi_ttl_check(const ms_alloc *alloc, msi_op *op, ms_error *error);
ms_status msi_lapse_check(const ms_alloc *alloc, msi_op *op, ms_error *error);
ms_status msi_bind_check(const ms_alloc *alloc, msi_op *op, ms_error *error);

#endif
