/* Building updates. See builder.h. */
#include "builder.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

static_assert(sizeof(ms_update) % _Alignof(msi_op) == 0, "operations follow the struct");

ms_status msi_builder_fail(ms_error *error, ms_status st) {
  return msi_fail(error, st, "%s", ms_status_text(st));
}

ms_status msi_builder_fail_bytes(ms_error *error) {
  return msi_fail(error, MS_ELIMIT, "an update of more than %d bytes", MS_PATCH_MAX);
}

ms_status msi_builder_check_values(msi_reader wire, ms_error *error) {
  if (msi_unpack_is_within(wire, MS_VALUES_MAX)) return MS_OK;
  return msi_fail(error, MS_ELIMIT, "too many values: %d is the most in an update",
                  MS_VALUES_MAX);
}

/* ----------------------------------------------------------------- lifetime */

static size_t head_bytes(size_t op_count) {
  return sizeof(ms_update) + op_count * sizeof(msi_op);
}

ms_status msi_builder_init(msi_builder *self, const ms_alloc *alloc, size_t op_max,
                           uint64_t wire_bytes, ms_error *error) {
  memset(self, 0, sizeof *self);
  self->meter = MSI_METER_FULL;
  msi_buffer_init(&self->block, msi_alloc_resolve(alloc));
  /* An operation takes more than two bytes on the wire, and is at most two of these. */
  if (op_max > MS_PATCH_MAX) return msi_builder_fail_bytes(error);
  self->op_max = op_max;
  if (wire_bytes > MS_PATCH_MAX) wire_bytes = MS_PATCH_MAX;
  size_t bytes = head_bytes(op_max) + (size_t)wire_bytes;
  ms_status st = msi_buffer_reserve(&self->block, bytes);
  if (st != MS_OK) return msi_builder_fail(error, st);
  self->block.length = head_bytes(op_max);
  return MS_OK;
}

msi_op *msi_builder_ops(msi_builder *self) {
  return (msi_op *)(void *)(self->block.data + sizeof(ms_update));
}

size_t msi_builder_wire_bytes(const msi_builder *self) {
  return self->block.length - head_bytes(self->op_max);
}

ms_status msi_builder_check_wire(const msi_builder *self, ms_error *error) {
  const uint8_t *end = self->block.data + self->block.length;
  size_t bytes = msi_builder_wire_bytes(self);
  if (bytes > MS_PATCH_MAX) return msi_builder_fail_bytes(error);
  return msi_builder_check_values((msi_reader){end - bytes, end}, error);
}

static void op_fini(const msi_op *op) {
  ms_path_release(op->path);
  msi_selection_release(op->selection);
  ms_value_release(op->operand);
  ms_query_release(op->query);
  ms_path_release(op->target);
}

void msi_builder_fini(msi_builder *self) {
  for (size_t i = 0; i < self->op_count; i++) op_fini(&msi_builder_ops(self)[i]);
  msi_buffer_fini(&self->block);
}

ms_update *msi_builder_take(msi_builder *self) {
  msi_op *ops = msi_builder_ops(self);
  ms_update *update = (ms_update *)(void *)self->block.data;
  size_t head = head_bytes(self->op_max);
  MSI_ASSERT(self->op_count == self->op_max);
  *update = (ms_update){
      .alloc = self->block.alloc,
      .op_count = (uint32_t)self->op_count,
      .group_count = self->group_count,
      .block_bytes = self->block.capacity,
      .wire_bytes = self->block.length - head,
      .wire = self->block.data + head,
      .ops = ops,
  };
  atomic_init(&update->references, 1);
  return update;
}

ms_update *ms_update_retain(const ms_update *update) {
  ms_update *counted = (ms_update *)update; /* the count is the one part that changes */
  if (counted != NULL)
    atomic_fetch_add_explicit(&counted->references, 1, memory_order_relaxed);
  return counted;
}

void ms_update_release(const ms_update *update) {
  ms_update *counted = (ms_update *)update;
  if (counted == NULL) return;
  if (atomic_fetch_sub_explicit(&counted->references, 1, memory_order_acq_rel) != 1)
    return;
  for (uint32_t i = 0; i < counted->op_count; i++) op_fini(&counted->ops[i]);
  msi_alloc_free(counted->alloc, counted, counted->block_bytes);
}

/* --------------------------------------------------------------- operations */

void msi_builder_begin_group(msi_builder *self) {
  self->group_at = self->op_count;
  self->group_count++;
}

msi_op *msi_builder_add(msi_builder *self, msi_code code, ms_path *path) {
  MSI_ASSERT(self->op_count < self->op_max);
  msi_op *op = &msi_builder_ops(self)[self->op_count++];
  *op = (msi_op){.code = code, .group = self->group_count - 1, .path = path};
  return op;
}

ms_status msi_builder_add_target(msi_builder *self, const msi_op *rename,
                                 ms_error *error) {
  msi_op *op = msi_builder_add(self, MSI_CODE_RENAME_TO, ms_path_retain(rename->target));
  op->operand = ms_value_null();
  op->target = ms_path_retain(rename->path);
  return msi_op_check(self->block.alloc, op, error);
}

ms_status msi_builder_compile(msi_builder *self, msi_op *op, const ms_value *given,
                              ms_error *error) {
  const ms_alloc *alloc = self->block.alloc;
  const msi_operator *row = msi_operator_by_code(op->code);
  ms_status st = MS_OK;
  if (row->compile != NULL) {
    st = row->compile(alloc, given, op, error);
    if (st == MS_ENOMEM) return msi_builder_fail(error, st);
    if (st != MS_OK) return st;
  } else {
    op->operand = ms_value_retain(given);
  }
  st = msi_op_check(alloc, op, error);
  if (st == MS_OK && op->code == MSI_CODE_RENAME) {
    st = msi_builder_add_target(self, op, error);
  }
  return st;
}

/* ------------------------------------------------- the order inside a group */

size_t msi_op_key_count(const msi_op *op) {
  return (size_t)op->path->count + (op->selection == NULL ? 0 : op->selection->count);
}

static const msi_segment *op_segment(const msi_op *op, size_t at, bool *is_positional) {
  *is_positional = false;
  if (at < op->path->count) return &op->path->segments[at];
  *is_positional = op->selection->selectors[at - op->path->count].is_positional;
  return &op->selection->segments[at - op->path->count];
}

/* The first key from `from` on where they differ, or the end of the shorter one. */
static size_t op_part(const msi_op *a, const msi_op *b, size_t from, size_t end) {
  for (; from < end; from++) {
    bool a_is, b_is;
    const msi_segment *left = op_segment(a, from, &a_is);
    const msi_segment *right = op_segment(b, from, &b_is);
    if (a_is != b_is || !msi_segment_equal(left, right)) break;
  }
  return from;
}

static size_t op_common(const msi_op *a, const msi_op *b) {
  size_t left = msi_op_key_count(a), right = msi_op_key_count(b);
  return left < right ? left : right;
}

int msi_op_compare(const msi_op *a, const msi_op *b, size_t from) {
  size_t end = op_common(a, b), at = op_part(a, b, from, end);
  if (at == end) {
    size_t left = msi_op_key_count(a), right = msi_op_key_count(b);
    return (left > right) - (left < right);
  }
  bool a_is, b_is;
  const msi_segment *left = op_segment(a, at, &a_is);
  const msi_segment *right = op_segment(b, at, &b_is);
  if (a_is != b_is) return a_is ? -1 : 1;
  return msi_segment_compare(left, right);
}

bool msi_op_overlaps(const msi_op *a, const msi_op *b, size_t from) {
  size_t end = op_common(a, b), at = op_part(a, b, from, end);
  if (at == end) return true;
  bool a_is, b_is;
  (void)op_segment(a, at, &a_is);
  (void)op_segment(b, at, &b_is);
  return a_is != b_is;
}

const char *msi_op_print(const msi_op *op, char *buffer, size_t bytes) {
  msi_printer to;
  msi_printer_init(&to, buffer, bytes);
  msi_printer_segments(&to, op->path->segments, op->path->count);
  if (op->selection != NULL)
    msi_printer_segments(&to, op->selection->segments, op->selection->count);
  return msi_printer_end(&to);
}

static void sift_down(msi_op *ops, size_t at, size_t count) {
  for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
    if (child + 1 < count && msi_op_compare(&ops[child], &ops[child + 1], 0) < 0) child++;
    if (msi_op_compare(&ops[at], &ops[child], 0) >= 0) return;
    msi_op lower = ops[at];
    ops[at] = ops[child];
    ops[child] = lower;
    at = child;
  }
}

/* Heap sort: in place, since the operations are in the block. */
static void sort_ops(msi_op *ops, size_t count) {
  for (size_t i = count / 2; i > 0; i--) sift_down(ops, i - 1, count);
  for (size_t end = count; end > 1; end--) {
    msi_op last = ops[end - 1];
    ops[end - 1] = ops[0];
    ops[0] = last;
    sift_down(ops, 0, end - 1);
  }
}

ms_status msi_builder_fail_overlap(const msi_op *a, const msi_op *b, ms_error *error) {
  char first[MSI_PRINT_BYTES], second[MSI_PRINT_BYTES];
  return msi_fail(error, MS_EOVERLAP, "\"%s\" and \"%s\" overlap",
                  msi_op_print(a, first, sizeof first),
                  msi_op_print(b, second, sizeof second));
}

/* All that begins with a path follows it, and positional keys stand before others, so
 * neighbours are the only pairs to look at. */
ms_status msi_builder_end_group(msi_builder *self, ms_error *error) {
  msi_op *ops = msi_builder_ops(self) + self->group_at;
  size_t count = self->op_count - self->group_at;
  sort_ops(ops, count);
  for (size_t i = 1; i < count; i++) {
    if (!msi_op_overlaps(&ops[i - 1], &ops[i], 0)) continue;
    return msi_builder_fail_overlap(&ops[i - 1], &ops[i], error);
  }
  return MS_OK;
}

/* ---------------------------------------------------------------- wire form */

static bool is_on_wire(const msi_op *op) {
  return !msi_operator_by_code(op->code)->is_local;
}

/* ---------------------------------------------------------------- steps */

/* The filter of a key counts once where operations with it stand together. */
static bool is_new_filter(const msi_op *before, const msi_op *op, uint32_t at) {
  const msi_selection *selection = op->selection;
  if (selection->selectors[at].filter == NULL) return false;
  return before == NULL || before->selection == NULL || before->group != op->group ||
         at >= before->selection->count ||
         before->selection->selectors[at].filter != selection->selectors[at].filter;
}

/* By what is on the wire alone, so that everybody counts the same. */
ms_status msi_builder_charge(msi_builder *self, size_t index, ms_error *error) {
  const msi_op *ops = msi_builder_ops(self), *op = &ops[index], *before = NULL;
  while (before == NULL && index > 0) {
    if (is_on_wire(&ops[--index])) before = &ops[index];
  }
  uint64_t steps = op->query == NULL ? 0 : op->query->steps;
  for (uint32_t i = 0; op->selection != NULL && i < op->selection->count; i++) {
    if (is_new_filter(before, op, i)) steps += op->selection->selectors[i].filter->steps;
  }
  if (steps == 0 || msi_meter_take(&self->meter, steps)) return MS_OK;
  return msi_fail(error, MS_ELIMIT, "the queries of the update take more than %d steps",
                  MS_STEPS_MAX);
}

ms_status msi_builder_charge_all(msi_builder *self, ms_error *error) {
  ms_status st = MS_OK;
  for (size_t i = 0; i < self->op_count && st == MS_OK; i++) {
    if (is_on_wire(&msi_builder_ops(self)[i])) st = msi_builder_charge(self, i, error);
  }
  return st;
}

/* ------------------------------------------------------------------ packing */

static ms_status pack_op(msi_buffer *out, const msi_op *op) {
  ms_status st = msi_pack_array(out, op->selection == NULL ? 3 : 4);
  if (st == MS_OK) st = msi_pack_int(out, op->code);
  if (st == MS_OK) st = msi_path_pack(out, op->path);
  if (st == MS_OK) st = msi_pack_value(out, op->operand);
  if (st == MS_OK && op->selection != NULL) st = msi_selection_pack(out, op->selection);
  return st;
}

/* The array filters of operations [begin, end) as an object, empty when there are none. */
static ms_status group_filters(msi_builder *self, size_t begin, size_t end,
                               const ms_value **out) {
  const ms_value *filters = ms_value_empty();
  ms_status st = MS_OK;
  for (size_t i = begin; i < end && st == MS_OK; i++) {
    const msi_selection *selection = msi_builder_ops(self)[i].selection;
    if (selection != NULL)
      st = msi_selection_add_filters(selection, self->block.alloc, &filters);
  }
  if (st == MS_OK) {
    *out = filters;
  } else {
    ms_value_release(filters);
  }
  return st;
}

/* Nothing refers into the block, which may move. */
static ms_status pack_group(msi_builder *self, size_t begin, size_t end) {
  msi_buffer *out = &self->block;
  const ms_value *filters;
  size_t count = 0;
  ms_status st = group_filters(self, begin, end, &filters);
  if (st != MS_OK) return st;
  bool has_filters = ms_value_count(filters) > 0;
  for (size_t i = begin; i < end; i++) count += is_on_wire(&msi_builder_ops(self)[i]);
  st = msi_pack_array(out, count + has_filters);
  if (st == MS_OK && has_filters) st = msi_pack_value(out, filters);
  ms_value_release(filters);
  for (size_t i = begin; i < end && st == MS_OK; i++) {
    msi_op op = msi_builder_ops(self)[i];
    if (is_on_wire(&op)) st = pack_op(out, &op);
  }
  return st;
}

static ms_status builder_pack(msi_builder *self) {
  size_t begin = 0;
  ms_status st = msi_pack_array(&self->block, self->group_count);
  for (uint32_t group = 0; group < self->group_count && st == MS_OK; group++) {
    size_t end = begin;
    while (end < self->op_count && msi_builder_ops(self)[end].group == group) end++;
    st = pack_group(self, begin, end);
    begin = end;
  }
  return st;
}

ms_status msi_builder_finish(msi_builder *self, ms_update **out, ms_error *error) {
  uint64_t bytes = 0; /* without headers: what would be too much is not packed first */
  for (size_t i = 0; i < self->op_count && bytes <= MS_PATCH_MAX; i++) {
    bytes += ms_value_bytes(msi_builder_ops(self)[i].operand);
  }
  if (bytes > MS_PATCH_MAX) return msi_builder_fail_bytes(error);
  ms_status st = msi_builder_charge_all(self, error);
  if (st != MS_OK) return st;
  st = builder_pack(self);
  if (st != MS_OK) return msi_builder_fail(error, st);
  st = msi_builder_check_wire(self, error);
  if (st != MS_OK) return st;
  *out = msi_builder_take(self);
  return MS_OK;
}
