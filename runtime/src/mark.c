/*
 * Marks: what a patch says of the arrays that it goes into by position.
 *
 * "list.3.hp" means the fourth element of the list as the writer saw it. Whether 3 is a
 * position or the key of an object shows in the writer's document only, and so does
 * whether the element was committed or one of the writer's own, still pending, whose
 * position hangs on what others append. The host knows neither, so the writer says both.
 * The same holds for every position in an array that the writer itself has moved or
 * replaced without having heard of the host: in the patch, or before it. And where
 * something pending has no effect in the writer's view, not even the writer knows whether
 * it will have moved the elements: the mark says that, too.
 */
#include "builder.h"

/* Operations that may be looked at again to tell what a batch did before. Beyond that every position
 * counts as one that hangs on it: long batches that edit lists meet more, and cost no more. */
enum { LOOKS_MAX = 1 << 20 };

typedef struct marker {
  const ms_alloc *alloc;
  const ms_update *update;                    /* borrowed */
  const ms_value *committed, *before, *after; /* borrowed; committed may be NULL */
  msi_builder builder;
  const msi_op *last; /* of the mark before this one; NULL: there is none */
  size_t last_count;  /* its keys */
  size_t found;
  size_t looks;
  bool counts_only;
  bool is_doubtful;
} marker;

/* The value at one more key, NULL where there is none. */
static const ms_value *step(const ms_value *value, const msi_segment *segment) {
  return value == NULL ? NULL : msi_segment_find(segment, value);
}

static bool is_array(const ms_value *value) {
  return value != NULL && ms_value_type(value) == MS_ARRAY;
}

static bool same_keys(const msi_op *a, const msi_op *b, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!msi_segment_equal(&a->path->segments[i], &b->path->segments[i])) return false;
  }
  return true;
}

/* Operations stand in order of their paths, so those of one array stand together. */
static bool is_known(const marker *self, const msi_op *op, size_t count) {
  return self->last != NULL && self->last_count == count &&
         same_keys(self->last, op, count);
}

/* What the mark says. */
static const ms_value *mark_operand(const marker *self, bool is_beyond) {
  if (is_beyond && self->is_doubtful) return ms_value_null();
  return ms_value_bool(is_beyond);
}

/* The array at the first `count` keys of the operation's path. */
static ms_status add(marker *self, const msi_op *op, size_t count, bool is_beyond) {
  bool known = is_known(self, op, count);
  self->last = op;
  self->last_count = count;
  if (known && !self->counts_only && is_beyond) {
    msi_op *mark = &msi_builder_ops(&self->builder)[self->builder.op_count - 1];
    ms_value_release(mark->operand);
    mark->operand = mark_operand(self, true);
  }
  if (known) return MS_OK;
  self->found++;
  if (self->counts_only) return MS_OK;
  ms_path *path;
  ms_status st = msi_path_from_segments(self->alloc, op->path->segments, count, &path);
  if (st != MS_OK) return st;
  msi_op *mark = msi_builder_add(&self->builder, MSI_CODE_MARK, path);
  mark->operand = mark_operand(self, is_beyond);
  return msi_op_check(self->alloc, mark, NULL);
}

/* The position at which the operation inserts into its array or removes from it; -1: none
 * that is counted from the start. */
static int64_t own_position(const msi_op *op) {
  const ms_value *operand = op->operand;
  int64_t position;
  if (op->selection != NULL) return -1;
  if (op->code == MSI_CODE_PUSH_AT) {
    operand = ms_value_at(operand, 1);
  } else if (op->code != MSI_CODE_REMOVE_AT) {
    return -1;
  }
  return operand != NULL && ms_value_to_int(operand, &position) == MS_OK ? position : -1;
}

/* $pop knows its position, too: its array need not be looked at to tell. */
static bool has_own_position(const msi_op *op) {
  if (op->code == MSI_CODE_POP) return op->selection == NULL;
  return own_position(op) >= 0;
}

/* What the earlier updates of a batch did to the array at these keys. */
typedef struct past {
  bool is_unsure; /* moved it by what they found there, or put another in its place */
  uint64_t removed;
} past;

static void past_add(past *self, const msi_op *earlier, const msi_op *op, size_t count) {
  bool replaces = earlier->class_ == MSI_CLASS_ABSOLUTE ||
                  earlier->code == MSI_CODE_MIN || earlier->code == MSI_CODE_MAX;
  bool is_moving = earlier->class_ == MSI_CLASS_MOVING && earlier->path->count == count;
  if (earlier->selection != NULL || earlier->path->count > count) return;
  if (!(is_moving || replaces) || !same_keys(earlier, op, earlier->path->count)) return;
  if (earlier->code == MSI_CODE_POP || earlier->code == MSI_CODE_REMOVE_AT) {
    self->removed++;
  } else if (earlier->code != MSI_CODE_PUSH_AT ||
             ms_value_type(ms_value_at(earlier->operand, 2)) != MS_NULL ||
             ms_value_type(ms_value_at(earlier->operand, 3)) != MS_NULL) {
    self->is_unsure = true;
  }
}

static past past_of(marker *self, const msi_op *op, size_t count) {
  past made = {false, 0};
  for (uint32_t i = 0; i < self->update->op_count; i++) {
    const msi_op *earlier = &self->update->ops[i];
    if (earlier->group >= op->group) break;
    if (self->looks++ >= LOOKS_MAX) return (past){.is_unsure = true};
    past_add(&made, earlier, op, count);
  }
  return made;
}

/* Is what the operation finds at this position of the array at its first `count` keys none of
 * the committed elements, or another one when others have appended? */
static bool is_beyond(marker *self, const msi_op *op, size_t count,
                      const ms_value *committed, const ms_value *before,
                      int64_t position) {
  if (!is_array(committed) || !is_array(before)) return true;
  past earlier = past_of(self, op, count);
  uint64_t length = ms_value_count(committed);
  if (ms_value_count(before) < length) length = ms_value_count(before);
  return earlier.is_unsure || length < earlier.removed ||
         (uint64_t)position >= length - earlier.removed;
}

/* The same of a $pop, which meets whatever is appended anyhow, but not what the writer itself has pending:
 * that may yet begin an array where there is none. */
static bool pop_is_beyond(marker *self, const msi_op *op, const ms_value *committed,
                          const ms_value *before) {
  if (!is_array(before)) return self->committed == NULL;
  past earlier = past_of(self, op, op->path->count);
  return !is_array(committed) || earlier.is_unsure || earlier.removed > 0;
}

static ms_status mark_op(marker *self, const msi_op *op) {
  const ms_value *committed = self->committed, *before = self->before,
                 *after = self->after;
  const ms_path *path = op->path;
  for (size_t i = 0; i < path->count; i++) {
    const msi_segment *segment = &path->segments[i];
    if (segment->index >= 0 && (is_array(before) || is_array(after))) {
      bool beyond = is_beyond(self, op, i, committed, before, segment->index);
      ms_status st = add(self, op, i, beyond);
      if (st != MS_OK) return st;
    }
    committed = step(committed, segment);
    before = step(before, segment);
    after = step(after, segment);
  }
  if (!has_own_position(op)) return MS_OK;
  bool beyond = op->code == MSI_CODE_POP ? pop_is_beyond(self, op, committed, before)
                                         : is_beyond(self, op, path->count, committed,
                                                     before, own_position(op));
  if (!beyond) return MS_OK;
  return add(self, op, path->count, true);
}

static bool has_position(const msi_op *op) {
  if (op->class_ == MSI_CLASS_GUARD) return false;
  for (size_t i = 0; i < op->path->count; i++) {
    if (op->path->segments[i].index >= 0) return true;
  }
  return has_own_position(op);
}

static ms_status mark_ops(marker *self, const ms_update *update) {
  self->last = NULL;
  self->found = self->looks = 0;
  ms_status st = MS_OK;
  for (uint32_t i = 0; i < update->op_count && st == MS_OK; i++) {
    if (has_position(&update->ops[i])) st = mark_op(self, &update->ops[i]);
  }
  return st;
}

static ms_status build(marker *self, const ms_update *update, size_t count,
                       ms_update **out) {
  ms_update *marks = NULL;
  ms_status st =
      msi_builder_init(&self->builder, self->alloc, count, 32 * (uint64_t)count, NULL);
  if (st == MS_OK) {
    msi_builder_begin_group(&self->builder);
    st = mark_ops(self, update);
  }
  if (st == MS_OK) st = msi_builder_finish(&self->builder, &marks, NULL);
  if (st != MS_OK) {
    msi_builder_fini(&self->builder);
    return st;
  }
  const ms_update *const parts[] = {marks, update};
  st = msi_update_concat(self->alloc, parts, 2, out);
  ms_update_release(marks);
  return st;
}

ms_status msi_update_mark(const ms_alloc *alloc, const ms_update *update,
                          const ms_value *committed, const ms_value *before,
                          const ms_value *after, bool is_doubtful, ms_update **out) {
  marker self = {.alloc = msi_alloc_resolve(alloc),
                 .update = update,
                 .committed = committed,
                 .before = before,
                 .after = after,
                 .is_doubtful = is_doubtful,
                 .counts_only = true};
  ms_status st = mark_ops(&self, update);
  MSI_ASSERT(st == MS_OK); /* counting needs no memory */
  (void)st;
  if (self.found == 0) {
    *out = ms_update_retain(update);
    return MS_OK;
  }
  self.counts_only = false;
  return build(&self, update, self.found, out);
}
