/*
 * Compiled updates: building them from documents, single operations, other updates and
 * foreign bytes.
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
#include "update.h"

#include <assert.h>
#include <stdatomic.h>
#include <string.h>

#include "operator.h"

static_assert(sizeof(ms_update) % _Alignof(msi_op) == 0, "operations follow the struct");

/* ------------------------------------------------------------------ builder */

typedef struct builder {
  msi_buffer block;
  size_t op_max;   /* room in the block */
  size_t op_count; /* begun: each may be half filled */
  uint32_t group_count;
  size_t group_at; /* the first operation of the group under way */
} builder;

static ms_status fail_status(ms_error *error, ms_status st) {
  return msi_fail(error, st, "%s", ms_status_text(st));
}

static ms_status fail_bytes(ms_error *error) {
  return msi_fail(error, MS_ELIMIT, "an update of more than %d bytes", MS_PATCH_MAX);
}

static size_t head_bytes(size_t op_count) {
  return sizeof(ms_update) + op_count * sizeof(msi_op);
}

/* wire_bytes: a guess, so that the block need not grow. */
static ms_status builder_init(builder *self, const ms_alloc *alloc, size_t op_max,
                              uint64_t wire_bytes, ms_error *error) {
  memset(self, 0, sizeof *self);
  msi_buffer_init(&self->block, msi_alloc_resolve(alloc));
  /* An operation takes more than one byte on the wire. */
  if (op_max > MS_PATCH_MAX) return fail_bytes(error);
  self->op_max = op_max;
  if (wire_bytes > MS_PATCH_MAX) wire_bytes = MS_PATCH_MAX;
  size_t bytes = head_bytes(op_max) + (size_t)wire_bytes;
  ms_status st = msi_buffer_reserve(&self->block, bytes);
  if (st != MS_OK) return fail_status(error, st);
  self->block.length = head_bytes(op_max);
  return MS_OK;
}

/* Valid until the block grows. */
static msi_op *builder_ops(builder *self) {
  return (msi_op *)(void *)(self->block.data + sizeof(ms_update));
}

static void builder_fini(builder *self) {
  for (size_t i = 0; i < self->op_count; i++) {
    ms_path_release(builder_ops(self)[i].path);
    ms_value_release(builder_ops(self)[i].operand);
  }
  msi_buffer_fini(&self->block);
}

static void builder_begin_group(builder *self) {
  self->group_at = self->op_count;
  self->group_count++;
}

/* path: taken. */
static msi_op *builder_add(builder *self, msi_code code, ms_path *path) {
  MSI_ASSERT(self->op_count < self->op_max);
  msi_op *op = &builder_ops(self)[self->op_count++];
  *op = (msi_op){.code = code, .group = self->group_count - 1, .path = path};
  return op;
}

static ms_update *builder_take(builder *self) {
  msi_op *ops = builder_ops(self);
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

static ms_status pack_op(msi_buffer *out, const msi_op *op) {
  ms_status st = msi_pack_array(out, 3);
  if (st == MS_OK) st = msi_pack_int(out, op->code);
  if (st == MS_OK) st = msi_path_pack(out, op->path);
  if (st == MS_OK) st = msi_pack_value(out, op->operand);
  return st;
}

/* Appends the wire form: nothing refers into the block, which may move. */
static ms_status builder_pack(builder *self) {
  msi_buffer *out = &self->block;
  size_t i = 0;
  ms_status st = msi_pack_array(out, self->group_count);
  for (uint32_t group = 0; group < self->group_count && st == MS_OK; group++) {
    size_t end = i;
    while (end < self->op_count && builder_ops(self)[end].group == group) end++;
    st = msi_pack_array(out, end - i);
    for (; i < end && st == MS_OK; i++) {
      msi_op op = builder_ops(self)[i];
      st = pack_op(out, &op);
    }
  }
  return st;
}

static ms_status builder_finish(builder *self, ms_update **out, ms_error *error) {
  uint64_t bytes = 0; /* without headers: what would be too much is not packed first */
  for (size_t i = 0; i < self->op_count && bytes <= MS_PATCH_MAX; i++) {
    bytes += ms_value_bytes(builder_ops(self)[i].operand);
  }
  if (bytes > MS_PATCH_MAX) return fail_bytes(error);
  ms_status st = builder_pack(self);
  if (st != MS_OK) return fail_status(error, st);
  if (self->block.length - head_bytes(self->op_max) > MS_PATCH_MAX)
    return fail_bytes(error);
  *out = builder_take(self);
  return MS_OK;
}

/* ----------------------------------------------------------------- lifetime */

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
  for (uint32_t i = 0; i < counted->op_count; i++) {
    ms_path_release(counted->ops[i].path);
    ms_value_release(counted->ops[i].operand);
  }
  msi_alloc_free(counted->alloc, counted, counted->block_bytes);
}

/* ------------------------------------------------- the order inside a group */

static void sift_down(msi_op *ops, size_t at, size_t count) {
  for (size_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
    if (child + 1 < count && msi_path_compare(ops[child].path, ops[child + 1].path) < 0)
      child++;
    if (msi_path_compare(ops[at].path, ops[child].path) >= 0) return;
    msi_op lower = ops[at];
    ops[at] = ops[child];
    ops[child] = lower;
    at = child;
  }
}

/* Heap sort: in place, since qsort() may allocate behind our back. */
static void sort_ops(msi_op *ops, size_t count) {
  for (size_t i = count / 2; i > 0; i--) sift_down(ops, i - 1, count);
  for (size_t end = count; end > 1; end--) {
    msi_op last = ops[end - 1];
    ops[end - 1] = ops[0];
    ops[0] = last;
    sift_down(ops, 0, end - 1);
  }
}

/* `earlier` stands right before `later` in the order: all that begins with a path follows
 * it, so neighbours are the only pairs to look at. */
static ms_status check_overlap(const msi_op *earlier, const msi_op *later,
                               ms_error *error) {
  if (!msi_path_begins(earlier->path, later->path)) return MS_OK;
  char first[MSI_PRINT_BYTES], second[MSI_PRINT_BYTES];
  return msi_fail(error, MS_EOVERLAP, "\"%s\" and \"%s\" overlap",
                  msi_path_print(earlier->path, first, sizeof first),
                  msi_path_print(later->path, second, sizeof second));
}

/* Groups made from documents hold no guards. */
static ms_status builder_end_group(builder *self, ms_error *error) {
  msi_op *ops = builder_ops(self) + self->group_at;
  size_t count = self->op_count - self->group_at;
  sort_ops(ops, count);
  for (size_t i = 1; i < count; i++) {
    ms_status st = check_overlap(&ops[i - 1], &ops[i], error);
    if (st != MS_OK) return st;
  }
  return MS_OK;
}

/* ------------------------------------------------------------ from documents */

static bool is_object(const ms_value *value) {
  ms_type type = ms_value_type(value);
  return type == MS_OBJECT || type == MS_EMPTY;
}

static ms_status check_operator(const char *name, size_t length, const ms_value *operand,
                                ms_error *error) {
  char text[MSI_PRINT_BYTES];
  msi_text_print(name, length, text, sizeof text);
  if (length == 0 || name[0] != '$') {
    return msi_fail(error, MS_EOPERATOR, "\"%s\" is no operator; use {\"$set\": {...}}",
                    text);
  }
  if (msi_operator_by_name(name, length) == NULL) {
    return msi_fail(error, MS_EOPERATOR, "unknown operator \"%s\"", text);
  }
  if (is_object(operand)) return MS_OK;
  return msi_fail(error, MS_EARGUMENT, "%s: needs an object of paths, not %s", text,
                  msi_type_phrase(ms_value_type(operand)));
}

static ms_status count_document(const ms_value *document, size_t *count,
                                ms_error *error) {
  if (!is_object(document)) {
    return msi_fail(error, MS_EARGUMENT, "an update is an object of operators, not %s",
                    msi_type_phrase(ms_value_type(document)));
  }
  ms_cursor cursor;
  const char *name;
  size_t length;
  const ms_value *operand;
  ms_cursor_init(&cursor, document);
  while (ms_cursor_next(&cursor, &name, &length, &operand)) {
    ms_status st = check_operator(name, length, operand, error);
    if (st != MS_OK) return st;
    *count += ms_value_count(operand);
  }
  return MS_OK;
}

static ms_status compile_op(const ms_alloc *alloc, const msi_operator *row, msi_op *op,
                            const ms_value *given, ms_error *error) {
  if (row->compile != NULL) {
    ms_status st = row->compile(alloc, given, op, error);
    if (st == MS_ENOMEM) return fail_status(error, st);
    if (st != MS_OK) return st;
  } else {
    op->operand = ms_value_retain(given);
  }
  return msi_op_check(op, error);
}

static ms_status parse_operator(builder *self, const msi_operator *row,
                                const ms_value *operand, ms_error *error) {
  const ms_alloc *alloc = self->block.alloc;
  ms_cursor cursor;
  const char *text;
  size_t length;
  const ms_value *given;
  ms_cursor_init(&cursor, operand);
  while (ms_cursor_next(&cursor, &text, &length, &given)) {
    if (length == 0) return msi_fail(error, MS_EPATH, "%s: the path is empty", row->name);
    ms_path *path;
    ms_status st = ms_path_parse(alloc, text, length, &path, error);
    if (st != MS_OK) return st;
    st = compile_op(alloc, row, builder_add(self, row->code, path), given, error);
    if (st != MS_OK) return st;
  }
  return MS_OK;
}

static ms_status parse_document(builder *self, const ms_value *document,
                                ms_error *error) {
  ms_cursor cursor;
  const char *name;
  size_t length;
  const ms_value *operand;
  builder_begin_group(self);
  ms_cursor_init(&cursor, document);
  while (ms_cursor_next(&cursor, &name, &length, &operand)) {
    const msi_operator *row = msi_operator_by_name(name, length);
    MSI_ASSERT(row != NULL); /* count_document() has checked it */
    ms_status st = parse_operator(self, row, operand, error);
    if (st != MS_OK) return st;
  }
  return builder_end_group(self, error);
}

/* One document or an array of them; a NULL builder counts the operations. */
static ms_status each_document(builder *self, const ms_value *document, size_t *count,
                               ms_error *error) {
  if (ms_value_type(document) != MS_ARRAY) {
    return self == NULL ? count_document(document, count, error)
                        : parse_document(self, document, error);
  }
  ms_cursor cursor;
  const char *key;
  size_t index;
  const ms_value *item;
  ms_cursor_init(&cursor, document);
  while (ms_cursor_next(&cursor, &key, &index, &item)) {
    ms_status st = self == NULL ? count_document(item, count, error)
                                : parse_document(self, item, error);
    if (st != MS_OK) return st;
  }
  return MS_OK;
}

ms_status ms_update_parse(const ms_alloc *alloc, const ms_value *document,
                          ms_update **out, ms_error *error) {
  size_t op_count = 0;
  if (ms_value_type(document) == MS_ARRAY && ms_value_count(document) > MS_PATCH_MAX) {
    return fail_bytes(error);
  }
  ms_status st = each_document(NULL, document, &op_count, error);
  if (st != MS_OK) return st;
  builder self;
  uint64_t guess = ms_value_bytes(document) + 16 * (uint64_t)op_count + 32;
  st = builder_init(&self, alloc, op_count, guess, error);
  if (st == MS_OK) st = each_document(&self, document, NULL, error);
  if (st == MS_OK) st = builder_finish(&self, out, error);
  if (st != MS_OK) builder_fini(&self);
  return st;
}

/* --------------------------------------------------------- from single parts */

static uint64_t path_guess(const ms_path *path) {
  uint64_t bytes = 16;
  for (size_t i = 0; i < path->count; i++) bytes += 3 + ms_path_key(path, i).length;
  return bytes;
}

/* $push asks for the array itself, the others for the container that they change. */
static ms_status add_guard(builder *self, msi_code code, const ms_path *path,
                           ms_type container, ms_error *error) {
  ms_path *parent;
  size_t count = code == MSI_CODE_PUSH ? path->count : path->count - 1u;
  ms_status st =
      msi_path_from_segments(self->block.alloc, path->segments, count, &parent);
  if (st != MS_OK) return fail_status(error, st);
  msi_op *op = builder_add(self, MSI_CODE_GUARD, parent);
  st = ms_value_new_int(self->block.alloc, container, &op->operand);
  if (st != MS_OK) return fail_status(error, st);
  return msi_op_check(op, error);
}

static ms_status add_single(builder *self, msi_code code, const ms_path *path,
                            const ms_value *operand, ms_error *error) {
  const ms_alloc *alloc = self->block.alloc;
  const msi_operator *row = msi_operator_by_code(code);
  msi_op *op = builder_add(self, code, ms_path_retain(path));
  if (code != MSI_CODE_PUSH) return compile_op(alloc, row, op, operand, error);
  /* Not through compile: an element that looks like {"$each": [...]} is an element here.
   */
  const ms_value *list;
  ms_status st = ms_value_new_array(alloc, &list);
  if (st != MS_OK) return fail_status(error, st);
  op->operand = list;
  st = ms_value_append(alloc, &op->operand, operand);
  if (st != MS_OK) return fail_status(error, st);
  return msi_op_check(op, error);
}

ms_status msi_update_single(const ms_alloc *alloc, msi_code code, const ms_path *path,
                            const ms_value *operand, ms_type container, ms_update **out,
                            ms_error *error) {
  const msi_operator *row = msi_operator_by_code(code);
  if (row == NULL) return msi_fail(error, MS_EOPERATOR, "unknown operator %d", (int)code);
  if (code == MSI_CODE_GUARD)
    return msi_fail(error, MS_EARGUMENT, "a guard alone is no update");
  if (path->count == 0)
    return msi_fail(error, MS_EPATH, "%s: the path is empty", row->name);
  if (!msi_path_is_literal(path)) {
    char text[MSI_PRINT_BYTES];
    return msi_fail(error, MS_EPATH, "%s: \"%s\" is a pattern, not a path", row->name,
                    msi_path_print(path, text, sizeof text));
  }
  if (operand == NULL && code != MSI_CODE_UNSET) {
    return msi_fail(error, MS_EARGUMENT, "%s: no operand", row->name);
  }
  builder self;
  bool guarded = container != MS_NULL;
  uint64_t guess = path_guess(path) * (guarded ? 2 : 1) + 16;
  if (operand != NULL) guess += ms_value_bytes(operand);
  ms_status st = builder_init(&self, alloc, guarded ? 2 : 1, guess, error);
  if (st == MS_OK) {
    builder_begin_group(&self);
    if (guarded) st = add_guard(&self, code, path, container, error);
  }
  if (st == MS_OK) st = add_single(&self, code, path, operand, error);
  if (st == MS_OK) st = builder_finish(&self, out, error);
  if (st != MS_OK) builder_fini(&self);
  return st;
}

ms_status msi_update_replace(const ms_alloc *alloc, const ms_value *document,
                             ms_update **out, ms_error *error) {
  ms_path *path;
  ms_status st = msi_path_from_segments(alloc, NULL, 0, &path);
  if (st != MS_OK) return fail_status(error, st);
  builder self;
  st = builder_init(&self, alloc, 1, ms_value_bytes(document) + 16, error);
  if (st == MS_OK) {
    builder_begin_group(&self);
    msi_op *op = builder_add(&self, MSI_CODE_SET, path);
    path = NULL;
    st = compile_op(self.block.alloc, msi_operator_by_code(MSI_CODE_SET), op, document,
                    error);
  }
  if (st == MS_OK) st = builder_finish(&self, out, error);
  if (st != MS_OK) builder_fini(&self);
  ms_path_release(path);
  return st;
}

/* The groups of an update's wire form, without the count before them. */
static msi_reader wire_groups(const ms_update *update) {
  msi_reader reader = {update->wire, update->wire + update->wire_bytes};
  size_t count;
  ms_status st = msi_unpack_array(&reader, &count);
  MSI_ASSERT(st == MS_OK && count == update->group_count);
  (void)st;
  return reader;
}

static void add_update(builder *self, const ms_update *update) {
  uint32_t groups = self->group_count;
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *from = &update->ops[i];
    self->group_count = groups + from->group + 1;
    msi_op *op = builder_add(self, from->code, ms_path_retain(from->path));
    op->class_ = from->class_;
    op->operand = ms_value_retain(from->operand);
  }
  self->group_count = groups + update->group_count;
}

ms_status msi_update_concat(const ms_alloc *alloc, const ms_update *const *updates,
                            size_t count, ms_update **out) {
  size_t op_count = 0, group_count = 0, bytes = 5;
  for (size_t i = 0; i < count; i++) {
    op_count += updates[i]->op_count;
    group_count += updates[i]->group_count;
    bytes += updates[i]->wire_bytes;
    /* Each lends its groups without the count before them, which takes 5 bytes at most.
     */
    if (bytes > MS_PATCH_MAX + 5 * (count + 1)) return MS_ELIMIT;
  }
  builder self;
  ms_status st = builder_init(&self, alloc, op_count, bytes, NULL);
  for (size_t i = 0; i < count && st == MS_OK; i++) add_update(&self, updates[i]);
  if (st == MS_OK) st = msi_pack_array(&self.block, group_count);
  for (size_t i = 0; i < count && st == MS_OK; i++) {
    msi_reader groups = wire_groups(updates[i]);
    st = msi_buffer_append(&self.block, groups.at, (size_t)(groups.end - groups.at));
  }
  if (st == MS_OK && self.block.length - head_bytes(op_count) > MS_PATCH_MAX)
    st = MS_ELIMIT;
  if (st != MS_OK) {
    builder_fini(&self);
    return st;
  }
  *out = builder_take(&self);
  return MS_OK;
}

/* -------------------------------------------------------- from foreign bytes */

static ms_status fail_bytes_form(ms_error *error, ms_status st) {
  if (st == MS_ENOMEM) return fail_status(error, st);
  return msi_fail(error, st, "malformed update: %s", ms_status_text(st));
}

/* Steps over the whole wire form. The bytes back every operation that is counted. */
static ms_status count_ops(msi_reader reader, size_t *op_count, size_t *group_count) {
  ms_status st = msi_unpack_array(&reader, group_count);
  for (size_t group = 0; st == MS_OK && group < *group_count; group++) {
    size_t count;
    st = msi_unpack_array(&reader, &count);
    for (size_t i = 0; st == MS_OK && i < count; i++, (*op_count)++) {
      const uint8_t *start;
      size_t bytes;
      st = msi_unpack_skip(&reader, &start, &bytes);
    }
  }
  if (st == MS_OK && reader.at != reader.end) st = MS_ETYPE;
  return st;
}

/* Foreign operations must stand in order: it makes the order of application the same
 * everywhere and overlaps visible. `last` is the operation before this one in its group,
 * guards aside. */
static ms_status check_order(const msi_op *last, const msi_op *op, ms_error *error) {
  if (last == NULL) return MS_OK;
  ms_status st = check_overlap(last, op, error);
  if (st != MS_OK) return st;
  if (msi_path_compare(last->path, op->path) < 0) return MS_OK;
  return msi_fail(error, MS_EARGUMENT, "malformed update: operations out of order");
}

static ms_status decode_op(builder *self, msi_reader *reader, ms_error *error) {
  const ms_alloc *alloc = self->block.alloc;
  size_t count = 0;
  int64_t code;
  ms_path *path;
  ms_status st = msi_unpack_array(reader, &count);
  if (st == MS_OK && count != 3) st = MS_ETYPE;
  if (st == MS_OK) st = msi_unpack_int(reader, &code);
  if (st != MS_OK) return fail_bytes_form(error, st);
  if (msi_operator_by_code(code) == NULL) {
    return msi_fail(error, MS_EOPERATOR, "unknown operator %lld", (long long)code);
  }
  st = msi_path_unpack(reader, alloc, &path);
  if (st != MS_OK) return fail_bytes_form(error, st);
  msi_op *op = builder_add(self, (msi_code)code, path);
  st = msi_unpack_value(reader, alloc, MS_DEPTH_MAX, &op->operand, error);
  if (st != MS_OK) return st;
  return msi_op_check(op, error);
}

static ms_status decode_groups(builder *self, msi_reader reader, ms_error *error) {
  size_t group_count, count;
  ms_status st = msi_unpack_array(&reader, &group_count);
  for (size_t group = 0; st == MS_OK && group < group_count; group++) {
    const msi_op *last = NULL;
    builder_begin_group(self);
    st = msi_unpack_array(&reader, &count);
    for (size_t i = 0; st == MS_OK && i < count; i++) {
      st = decode_op(self, &reader, error);
      if (st != MS_OK) return st;
      const msi_op *op = &builder_ops(self)[self->op_count - 1];
      if (op->class_ == MSI_CLASS_GUARD) continue;
      st = check_order(last, op, error);
      last = op;
    }
  }
  return st;
}

ms_status msi_update_decode(const ms_alloc *alloc, const uint8_t *data, size_t bytes,
                            ms_update **out, ms_error *error) {
  if (bytes > MS_PATCH_MAX) return fail_bytes(error);
  if (bytes == 0) return fail_bytes_form(error, MS_ELIMIT); /* data may be NULL */
  msi_reader reader = {data, data + bytes};
  size_t op_count = 0, group_count = 0;
  ms_status st = count_ops(reader, &op_count, &group_count);
  if (st != MS_OK) return fail_bytes_form(error, st);
  builder self;
  st = builder_init(&self, alloc, op_count, bytes, error);
  if (st == MS_OK) {
    st = msi_buffer_append(&self.block, data, bytes);
    if (st != MS_OK) fail_status(error, st);
  }
  if (st == MS_OK) st = decode_groups(&self, reader, error);
  if (st != MS_OK) {
    builder_fini(&self);
    return st;
  }
  *out = builder_take(&self);
  return MS_OK;
}
