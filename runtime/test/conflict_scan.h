/*
 * The rules of conflicts between two operations, one pair at a time and straight from DESIGN section 4:
 * what the conflict index is checked against, in its own tests and in the simulator.
 */
#ifndef CONFLICT_SCAN_H
#define CONFLICT_SCAN_H

#include "reads.h"
#include "update.h"

static inline bool scan_pulls(const msi_op *op) {
  return op->code == MSI_CODE_PULL || op->code == MSI_CODE_PULL_ALL;
}

static inline bool scan_appends(const msi_op *op) {
  return op->code == MSI_CODE_PUSH || op->code == MSI_CODE_ADD_TO_SET;
}

static inline bool scan_replaces(const msi_op *op) {
  return op->class_ == MSI_CLASS_ABSOLUTE || op->code == MSI_CODE_MIN ||
         op->code == MSI_CODE_MAX;
}

/* "list.$[].tags.1": an index behind a positional key. */
static inline bool scan_has_inner_index(const msi_op *op) {
  for (uint32_t i = 0; op->selection != NULL && i < op->selection->count; i++) {
    if (!op->selection->selectors[i].is_positional &&
        op->selection->segments[i].index >= 0) {
      return true;
    }
  }
  return false;
}

static inline bool scan_is_marked(const ms_update *update, const ms_path *array) {
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *op = &update->ops[i];
    if (op->code == MSI_CODE_MARK && msi_path_equal(op->path, array)) return true;
  }
  return false;
}

/* Does the operation go into an array by position? */
static inline bool scan_goes_by_index(const ms_update *update, const msi_op *op) {
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *mark = &update->ops[i];
    if (mark->code == MSI_CODE_MARK && mark->path->count < op->path->count &&
        msi_path_begins(mark->path, op->path)) {
      return true;
    }
  }
  return false;
}

static inline bool scan_strictly_begins(const ms_path *a, const ms_path *b) {
  return a->count < b->count && msi_path_begins(a, b);
}

/* Did `theirs` put another array in the place of the one at `array`, or work inside of it from an
 * array above? */
static inline bool scan_unseats(const msi_op *theirs, const ms_path *array) {
  if (theirs->selection == NULL) {
    return scan_replaces(theirs) && msi_path_begins(theirs->path, array);
  }
  return (scan_replaces(theirs) || scan_appends(theirs) ||
          theirs->class_ == MSI_CLASS_MOVING || scan_has_inner_index(theirs)) &&
         scan_strictly_begins(theirs->path, array);
}

/* May what others have pending at or below the array come out otherwise because of `theirs`? */
static inline bool scan_turns(const msi_op *theirs, bool is_conditional,
                              const ms_path *array) {
  if (theirs->class_ == MSI_CLASS_GUARD && theirs->code != MSI_CODE_MARK) return false;
  bool is_beyond =
      theirs->code == MSI_CODE_MARK && theirs->operand != ms_value_bool(false);
  return (is_conditional || theirs->selection != NULL || is_beyond) &&
         msi_path_begins(theirs->path, array);
}

static inline bool scan_has_condition(const ms_update *update) {
  for (uint32_t i = 0; i < update->op_count; i++) {
    if (update->ops[i].code == MSI_CODE_WHERE) return true;
  }
  return false;
}

/* Is `other` a patch with a condition, the writer's own among them, that may have been without effect
 * in the view? */
static inline bool scan_turned(const msi_op *op, const ms_update *other) {
  if (op->code != MSI_CODE_MARK || op->operand == ms_value_bool(false) ||
      !scan_has_condition(other)) {
    return false;
  }
  for (uint32_t i = 0; i < other->op_count; i++) {
    if (scan_turns(&other->ops[i], true, op->path)) return true;
  }
  return false;
}

/* "list.0" where the writer saw no list, and others began one. */
static inline bool scan_meets_new_list(const ms_update *update, const msi_op *op,
                                       const msi_op *theirs) {
  const ms_path *list = theirs->path;
  bool may_begin =
      scan_appends(theirs) || (theirs->class_ == MSI_CLASS_MOVING && !scan_pulls(theirs));
  return may_begin && theirs->selection == NULL && scan_strictly_begins(list, op->path) &&
         op->path->segments[list->count].index >= 0 && !scan_is_marked(update, list);
}

/* Does the operation of a patch go by what it finds, and has `other`, which its writer had not seen,
 * written there? */
static inline bool scan_opens(const msi_op *op, const ms_update *other) {
  if (op->class_ == MSI_CLASS_GUARD ||
      (op->code != MSI_CODE_ADD_TO_SET && op->selection == NULL)) {
    return false;
  }
  for (uint32_t i = 0; i < other->op_count; i++) {
    if (other->ops[i].class_ != MSI_CLASS_GUARD &&
        msi_path_begins(op->path, other->ops[i].path)) {
      return true;
    }
  }
  return false;
}

/* Does a mark in doubt about what is pending meet the operation, whoever wrote it, once it is open? */
static inline bool scan_meets_open(const msi_op *op, const msi_op *theirs) {
  return op->code == MSI_CODE_MARK && op->operand != ms_value_bool(false) &&
         scan_turns(theirs, true, op->path);
}

/* Does it meet what its own writer did, too? */
static inline bool scan_is_doubtful(const msi_op *op) {
  return op->code == MSI_CODE_MARK && op->operand == ms_value_null();
}

/* Does an operation of `update` go by positions that `theirs`, which came in between, may have moved?
 * Whatever the timestamps. */
static inline bool scan_moved(const ms_update *update, const msi_op *op,
                              const msi_op *theirs) {
  bool same = msi_path_equal(op->path, theirs->path);
  bool they_move = theirs->selection == NULL && theirs->class_ == MSI_CLASS_MOVING;
  bool they_append = theirs->selection == NULL && scan_appends(theirs);
  if (theirs->class_ == MSI_CLASS_GUARD && theirs->code != MSI_CODE_MARK) return false;
  if (op->code == MSI_CODE_MARK) {
    bool is_beyond = op->operand != ms_value_bool(false);
    if (is_beyond && scan_turns(theirs, false, op->path)) return true;
    return scan_unseats(theirs, op->path) || (same && they_move) ||
           (same && they_append && is_beyond);
  }
  if (op->class_ == MSI_CLASS_GUARD) return false;
  if (op->selection != NULL &&
      (op->class_ == MSI_CLASS_MOVING || scan_has_inner_index(op))) {
    return theirs->code != MSI_CODE_MARK &&
           (scan_unseats(theirs, op->path) || msi_path_begins(op->path, theirs->path));
  }
  if (op->selection == NULL && op->class_ == MSI_CLASS_MOVING) {
    if (scan_unseats(theirs, op->path)) return true;
    if (same && they_move) return !(scan_pulls(op) && scan_pulls(theirs));
    if (same && they_append) return op->code == MSI_CODE_POP;
    return same && theirs->code == MSI_CODE_MARK;
  }
  return scan_meets_new_list(update, op, theirs);
}

/* Does an operation change what was read at the path? */
static inline bool scan_read_changed(const ms_path *path, bool is_whole,
                                     const msi_op *theirs, bool is_conditional) {
  bool is_mark = theirs->code == MSI_CODE_MARK;
  if (theirs->class_ == MSI_CLASS_GUARD && !is_mark) return false;
  if (scan_strictly_begins(theirs->path, path)) {
    bool they_move = theirs->selection == NULL && theirs->class_ == MSI_CLASS_MOVING;
    bool is_replaced = theirs->selection == NULL && scan_replaces(theirs);
    return they_move || is_replaced || scan_turns(theirs, is_conditional, path);
  }
  if (is_mark) return false;
  if (is_whole) return msi_path_begins(path, theirs->path);
  return theirs->selection == NULL && scan_replaces(theirs) &&
         msi_path_equal(path, theirs->path);
}

/* Does an accepted update of `their_origin` change what a transaction of `origin` read? Of its own
 * updates those with conditions, which its view may have shown without effect, where they were done to
 * what holds the path. */
static inline bool scan_reads_changed(const msi_reads *reads, uint64_t origin,
                                      const ms_update *theirs, uint64_t their_origin) {
  bool is_conditional = scan_has_condition(theirs);
  for (size_t i = 0; reads != NULL && i < reads->count; i++) {
    for (uint32_t k = 0; k < theirs->op_count; k++) {
      const msi_op *op = &theirs->ops[k];
      if (origin == their_origin &&
          !(is_conditional && scan_strictly_begins(op->path, reads->paths[i]))) {
        continue;
      }
      if (scan_read_changed(reads->paths[i], i < reads->whole_count, op, is_conditional))
        return true;
    }
  }
  return false;
}

/* Does an absolute operation lose to `theirs` if that is the newer one? */
static inline bool scan_meets(const msi_op *op, const msi_op *theirs) {
  if (op->class_ != MSI_CLASS_ABSOLUTE || theirs->class_ == MSI_CLASS_GUARD) return false;
  bool appends_above = theirs->selection == NULL && scan_appends(theirs) &&
                       scan_strictly_begins(theirs->path, op->path);
  return msi_path_overlaps(op->path, theirs->path) && !appends_above;
}

#endif
