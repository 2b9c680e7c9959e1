/* What the parts of the engine that applies updates share: apply.c, rename.c, visit.c. */
#ifndef MSI_ENGINE_H
#define MSI_ENGINE_H

#include "operator.h"

/* MongoDB's limit. All nulls that one update makes count together, so that a small patch
 * cannot ask for a large document many times over. */
enum { MSI_PAD_MAX = 1500000 };
/* Bytes of values that are gone through in one step. */
enum { MSI_STEP_BYTES = 32 };

typedef struct msi_engine {
  const msi_apply *context;
  msi_meter *meter;
  const ms_value *root; /* retained; NULL while it is being changed or after a failure */
  const msi_op *guard;  /* the last one of the group under way */
  const msi_frame *frame; /* where the root stands; NULL: it is the document */
  size_t *pad_left;
  ms_error *error;
  /* The root is the caller's document, which a failure must leave as it is. What cannot
   * be done in one step is done to a copy. */
  bool is_callers;
  const ms_value *before; /* retained; the document, once it was copied; else NULL */
} msi_engine;

/*
 * What stands along a route, borrowed from the working root: at[0] is the root. Until the
 * root changes, place[i] is where at[i] is held, with i < places: by the engine or by a
 * container of its own.
 */
typedef struct msi_trail {
  size_t found;    /* at[0] to at[found] exist */
  size_t places;   /* at least 1, at most found + 1 */
  bool is_blocked; /* at[found] cannot hold the next key */
  const ms_value *at[MS_DEPTH_MAX + 1];
  const ms_value **place[MS_DEPTH_MAX + 1];
} msi_trail;

void msi_trail_walk(msi_trail *out, msi_engine *self, msi_route route);
/* MS_ELIMIT when the steps have run out. */
MS_CHECKED ms_status msi_engine_check_steps(const msi_engine *self);
/* MS_EPATH */
ms_status msi_engine_fail_blocked(const msi_engine *self, const msi_op *op,
                                  msi_route route, const msi_trail *found);
/* Makes of the working root what an outcome asks for. outcome.value: taken. */
MS_CHECKED ms_status msi_engine_settle(msi_engine *self, msi_route route,
                                       const msi_trail *found, msi_outcome outcome);
/* Does an operation, not a positional one, at a route from the root. */
MS_CHECKED ms_status msi_engine_run(msi_engine *self, const msi_op *op, msi_route route);
/* Does the $rename whose target `op` stands at. */
MS_CHECKED ms_status msi_engine_rename(msi_engine *self, const msi_op *op);
/* Does `count` positional operations that stand in order and share their path, `route`. */
MS_CHECKED ms_status msi_engine_visit(msi_engine *self, msi_route route,
                                      const msi_op *ops, size_t count);

#endif
