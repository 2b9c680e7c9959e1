/* Updates from foreign bytes, which are checked whole. */
#include "builder.h"

typedef struct decoder {
  msi_builder builder;
  msi_reader reader;
  msi_filters filters;        /* of the group under way */
  bool has_guard, has_rename; /* in the group under way */
  const ms_alloc *alloc;
  ms_error *error;
} decoder;

static ms_status fail_form(ms_error *error, ms_status st) {
  if (st == MS_ENOMEM) return msi_builder_fail(error, st);
  return msi_fail(error, st, "malformed update: %s", ms_status_text(st));
}

/* ----------------------------------------------------------------- counting */

static bool next_is_map(msi_reader reader) {
  size_t count;
  return msi_unpack_map(&reader, &count) == MS_OK;
}

static bool next_is_rename(msi_reader reader) {
  size_t count;
  int64_t code = 0;
  return msi_unpack_array(&reader, &count) == MS_OK &&
         msi_unpack_int(&reader, &code) == MS_OK && code == MSI_CODE_RENAME;
}

/* Steps over the whole wire form. The bytes back every operation that is counted; a
 * $rename is two. */
static ms_status count_ops(msi_reader reader, size_t *op_count, size_t *group_count) {
  const uint8_t *start;
  size_t bytes;
  ms_status st = msi_unpack_array(&reader, group_count);
  for (size_t group = 0; st == MS_OK && group < *group_count; group++) {
    size_t count;
    st = msi_unpack_array(&reader, &count);
    for (size_t i = 0; st == MS_OK && i < count; i++) {
      if (i > 0 || !next_is_map(reader)) *op_count += next_is_rename(reader) ? 2 : 1;
      st = msi_unpack_skip(&reader, &start, &bytes);
    }
  }
  if (st == MS_OK && reader.at != reader.end) st = MS_ETYPE;
  return st;
}

/* --------------------------------------------------------------- operations */

/* Foreign operations must stand in order: it makes the order of application the same
 * everywhere and overlaps visible. `last` is the operation before this one in its group,
 * guards aside. */
static ms_status check_order(const msi_op *last, const msi_op *op, ms_error *error) {
  if (last == NULL) return MS_OK;
  if (msi_op_overlaps(last, op, 0) && msi_op_compare(last, op, 0) <= 0) {
    return msi_builder_fail_overlap(last, op, error);
  }
  if (msi_op_compare(last, op, 0) < 0) return MS_OK;
  return msi_fail(error, MS_EARGUMENT, "malformed update: operations out of order");
}

static ms_status decode_selection(decoder *self, msi_op *op) {
  return msi_selection_unpack(&self->reader, &self->filters, self->alloc,
                              MS_DEPTH_MAX - (size_t)op->path->count, &op->selection,
                              self->error);
}

static ms_status decode_op(decoder *self, size_t *index) {
  size_t count = 0;
  int64_t code;
  ms_path *path;
  ms_status st = msi_unpack_array(&self->reader, &count);
  if (st == MS_OK && count != 3 && count != 4) st = MS_ETYPE;
  if (st == MS_OK) st = msi_unpack_int(&self->reader, &code);
  if (st != MS_OK) return fail_form(self->error, st);
  const msi_operator *row = msi_operator_by_code(code);
  if (row == NULL || row->is_local) {
    return msi_fail(self->error, MS_EOPERATOR, "unknown operator %lld", (long long)code);
  }
  st = msi_path_unpack(&self->reader, self->alloc, &path);
  if (st != MS_OK) return fail_form(self->error, st);
  *index = self->builder.op_count;
  msi_op *op = msi_builder_add(&self->builder, (msi_code)code, path);
  st = msi_unpack_value(&self->reader, self->alloc, MS_DEPTH_MAX, &op->operand,
                        self->error);
  if (st == MS_OK && count == 4) st = decode_selection(self, op);
  if (st == MS_OK) st = msi_op_check(self->alloc, op, self->error);
  if (st == MS_OK) st = msi_builder_charge(&self->builder, *index, self->error);
  if (st == MS_OK && code == MSI_CODE_RENAME) {
    st = msi_builder_add_target(&self->builder, op, self->error);
  }
  return st;
}

static ms_status decode_ops(decoder *self, size_t count) {
  size_t last = SIZE_MAX;
  for (size_t i = 0; i < count; i++) {
    size_t index = 0;
    ms_status st = decode_op(self, &index);
    if (st != MS_OK) return st;
    const msi_op *ops = msi_builder_ops(&self->builder), *op = &ops[index];
    if (op->code == MSI_CODE_RENAME) self->has_rename = true;
    if (op->code == MSI_CODE_GUARD || op->code == MSI_CODE_WHERE ||
        op->code == MSI_CODE_MARK || msi_code_is_of_desk(op->code)) {
      self->has_guard = true;
      continue;
    }
    st = check_order(last == SIZE_MAX ? NULL : &ops[last], op, self->error);
    if (st != MS_OK) return st;
    last = index;
  }
  return MS_OK;
}

/* ------------------------------------------------------------------- groups */

static ms_status decode_filters(decoder *self, size_t *count) {
  const ms_value *given = NULL;
  if (*count > 0 && next_is_map(self->reader)) {
    --*count;
    ms_status st =
        msi_unpack_value(&self->reader, self->alloc, MS_DEPTH_MAX, &given, self->error);
    if (st != MS_OK) return st;
  }
  ms_status st = msi_filters_init(&self->filters, self->alloc, given, self->error);
  ms_value_release(given);
  return st;
}

static ms_status decode_group(decoder *self) {
  size_t count;
  ms_status st = msi_unpack_array(&self->reader, &count);
  if (st != MS_OK) return fail_form(self->error, st);
  self->has_guard = self->has_rename = false;
  msi_builder_begin_group(&self->builder);
  st = decode_filters(self, &count);
  if (st != MS_OK) return st;
  st = decode_ops(self, count);
  if (st == MS_OK) st = msi_filters_check_used(&self->filters, self->error);
  msi_filters_fini(&self->filters);
  if (st != MS_OK || !self->has_rename) return st;
  /* Its targets are to be put in order, among operations without guards. */
  if (self->has_guard) {
    return msi_fail(self->error, MS_EARGUMENT, "malformed update: a guard and a $rename");
  }
  return msi_builder_end_group(&self->builder, self->error);
}

static ms_status decode_groups(decoder *self) {
  size_t group_count;
  ms_status st = msi_unpack_array(&self->reader, &group_count);
  for (size_t group = 0; st == MS_OK && group < group_count; group++) {
    st = decode_group(self);
  }
  return st;
}

ms_status msi_update_decode(const ms_alloc *alloc, const uint8_t *data, size_t bytes,
                            ms_update **out, ms_error *error) {
  if (bytes > MS_PATCH_MAX) return msi_builder_fail_bytes(error);
  if (bytes == 0) return fail_form(error, MS_ELIMIT); /* data may be NULL */
  alloc = msi_alloc_resolve(alloc);
  decoder self = {.reader = {data, data + bytes}, .alloc = alloc, .error = error};
  size_t op_count = 0, group_count = 0;
  ms_status st = msi_builder_check_values(self.reader, error);
  if (st != MS_OK) return st;
  st = count_ops(self.reader, &op_count, &group_count);
  if (st != MS_OK) return fail_form(error, st);
  st = msi_builder_init(&self.builder, alloc, op_count, bytes, error);
  if (st == MS_OK) {
    st = msi_buffer_append(&self.builder.block, data, bytes);
    if (st != MS_OK) msi_builder_fail(error, st);
  }
  if (st == MS_OK) st = decode_groups(&self);
  if (st != MS_OK) {
    msi_builder_fini(&self.builder);
    return st;
  }
  *out = msi_builder_take(&self.builder);
  return MS_OK;
}
