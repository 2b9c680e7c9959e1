/*
 * Updates from single operations and from other updates. See update.h; builder.c is what
 * they are made with.
 */
#include "update.h"

#include "builder.h"

/* --------------------------------------------------------- from single parts */

static uint64_t path_guess(const ms_path *path) {
  uint64_t bytes = 16;
  for (size_t i = 0; i < path->count; i++) bytes += 3 + ms_path_key(path, i).length;
  return bytes;
}

/* Asks for what is at the first `count` keys of the path. */
static ms_status add_guard(msi_builder *self, const ms_path *path, size_t count,
                           ms_type container, ms_error *error) {
  const ms_alloc *alloc = self->block.alloc;
  ms_path *place;
  ms_status st = msi_path_from_segments(alloc, path->segments, count, &place);
  if (st != MS_OK) return msi_builder_fail(error, st);
  msi_op *op = msi_builder_add(self, MSI_CODE_GUARD, place);
  st = ms_value_new_int(alloc, container, &op->operand);
  if (st != MS_OK) return msi_builder_fail(error, st);
  return msi_op_check(alloc, op, error);
}

static ms_status list_of_one(const ms_alloc *alloc, const ms_value *element,
                             const ms_value **out) {
  ms_status st = ms_value_new_array(alloc, out);
  return st == MS_OK ? ms_value_append(alloc, out, element) : st;
}

/* An operand that is on the wire as it is here. */
static bool is_compiled(msi_code code) {
  return code == MSI_CODE_PUSH || code == MSI_CODE_ADD_TO_SET || code == MSI_CODE_PUSH_AT;
}

static ms_status add_single(msi_builder *self, msi_code code, const ms_path *path,
                            const ms_value *operand, ms_error *error) {
  const ms_alloc *alloc = self->block.alloc;
  msi_op *op = msi_builder_add(self, code, ms_path_retain(path));
  if (!is_compiled(code)) return msi_builder_compile(self, op, operand, error);
  /* Not through compile: an element that looks like {"$each": [...]} is an element here.
   */
  ms_status st = MS_OK;
  if (code == MSI_CODE_PUSH_AT) {
    op->operand = ms_value_retain(operand);
  } else {
    st = list_of_one(alloc, operand, &op->operand);
  }
  if (st != MS_OK) return msi_builder_fail(error, st);
  return msi_op_check(alloc, op, error);
}

static ms_status check_single(const msi_operator *row, msi_code code, const ms_path *path,
                              const ms_value *operand, ms_error *error) {
  if (row == NULL) return msi_fail(error, MS_EOPERATOR, "unknown operator %d", (int)code);
  if (row->class_ == MSI_CLASS_GUARD && !row->in_documents)
    return msi_fail(error, MS_EARGUMENT, "a %s alone is no update", row->name);
  if (code == MSI_CODE_RENAME || row->is_local)
    return msi_fail(error, MS_EARGUMENT, "$rename: only in an update document");
  if (path->count == 0)
    return msi_fail(error, MS_EPATH, "%s: the path is empty", row->name);
  if (!msi_path_is_literal(path)) {
    char text[MSI_PRINT_BYTES];
    return msi_fail(error, MS_EPATH, "%s: \"%s\" is a pattern, not a path", row->name,
                    msi_path_print(path, text, sizeof text));
  }
  if (operand == NULL && !row->ignores_operand) {
    return msi_fail(error, MS_EARGUMENT, "%s: no operand", row->name);
  }
  return MS_OK;
}

/* The guard asks for the first `guarded_keys` of the path. */
static ms_status build_single(const ms_alloc *alloc, const msi_operator *row,
                              const ms_path *path, const ms_value *operand,
                              ms_type container, size_t guarded_keys, ms_update **out,
                              ms_error *error) {
  msi_builder self;
  bool guarded = container != MS_NULL;
  uint64_t guess = path_guess(path) * (guarded ? 2 : 1) + 16;
  if (row->ignores_operand) operand = NULL;
  if (operand != NULL) guess += ms_value_bytes(operand);
  ms_status st = msi_builder_init(&self, alloc, guarded ? 2 : 1, guess, error);
  if (st == MS_OK) {
    msi_builder_begin_group(&self);
    if (guarded) st = add_guard(&self, path, guarded_keys, container, error);
  }
  if (st == MS_OK) st = add_single(&self, row->code, path, operand, error);
  if (st == MS_OK) st = msi_builder_finish(&self, out, error);
  if (st != MS_OK) msi_builder_fini(&self);
  return st;
}

ms_status msi_update_single(const ms_alloc *alloc, msi_code code, const ms_path *path,
                            const ms_value *operand, ms_type container, ms_update **out,
                            ms_error *error) {
  const msi_operator *row = msi_operator_by_code(code);
  ms_status st = check_single(row, code, path, operand, error);
  if (st != MS_OK) return st;
  size_t guarded = row->is_of_list ? path->count : path->count - 1u;
  return build_single(alloc, row, path, operand, container, guarded, out, error);
}

ms_status msi_update_assign(const ms_alloc *alloc, msi_code code, const ms_path *path,
                            const ms_value *operand, ms_type container, ms_update **out,
                            ms_error *error) {
  const msi_operator *row = msi_operator_by_code(code);
  ms_status st = check_single(row, code, path, operand, error);
  if (st != MS_OK) return st;
  return build_single(alloc, row, path, operand, container, path->count - 1u, out, error);
}

/* [[element], index, nil, nil] */
static ms_status insert_operand(const ms_alloc *alloc, size_t index,
                                const ms_value *element, const ms_value **out) {
  const ms_value *elements = NULL, *position = NULL, *list = NULL;
  ms_status st = list_of_one(alloc, element, &elements);
  if (st == MS_OK) {
    const uint64_t far = index;
    int64_t at = far > INT64_MAX ? INT64_MAX : (int64_t)far;
    st = ms_value_new_int(alloc, at, &position);
  }
  if (st == MS_OK) st = list_of_one(alloc, elements, &list);
  if (st == MS_OK) st = ms_value_append(alloc, &list, position);
  if (st == MS_OK) st = ms_value_append(alloc, &list, ms_value_null());
  if (st == MS_OK) st = ms_value_append(alloc, &list, ms_value_null());
  ms_value_release(position);
  ms_value_release(elements);
  if (st == MS_OK) {
    *out = list;
  } else {
    ms_value_release(list);
  }
  return st;
}

ms_status msi_update_insert(const ms_alloc *alloc, const ms_path *path, size_t index,
                            const ms_value *element, ms_type container, ms_update **out,
                            ms_error *error) {
  const ms_value *operand;
  alloc = msi_alloc_resolve(alloc);
  ms_status st = insert_operand(alloc, index, element, &operand);
  if (st != MS_OK) return msi_builder_fail(error, st);
  st = msi_update_single(alloc, MSI_CODE_PUSH_AT, path, operand, container, out, error);
  ms_value_release(operand);
  return st;
}

ms_status msi_update_remove(const ms_alloc *alloc, const ms_path *path, size_t index,
                            ms_update **out, ms_error *error) {
  const ms_value *operand;
  const uint64_t far = index;
  int64_t at = far > INT64_MAX ? INT64_MAX : (int64_t)far;
  ms_status st = ms_value_new_int(alloc, at, &operand);
  if (st != MS_OK) return msi_builder_fail(error, st);
  st = msi_update_single(alloc, MSI_CODE_REMOVE_AT, path, operand, MS_ARRAY, out, error);
  ms_value_release(operand);
  return st;
}

ms_status msi_update_replace(const ms_alloc *alloc, const ms_value *document,
                             ms_update **out, ms_error *error) {
  ms_path *path;
  ms_status st = msi_path_from_segments(alloc, NULL, 0, &path);
  if (st != MS_OK) return msi_builder_fail(error, st);
  msi_builder self;
  st = msi_builder_init(&self, alloc, 1, ms_value_bytes(document) + 16, error);
  if (st == MS_OK) {
    msi_builder_begin_group(&self);
    msi_op *op = msi_builder_add(&self, MSI_CODE_SET, path);
    path = NULL;
    st = msi_builder_compile(&self, op, document, error);
  }
  if (st == MS_OK) st = msi_builder_finish(&self, out, error);
  if (st != MS_OK) msi_builder_fini(&self);
  ms_path_release(path);
  return st;
}

/* -------------------------------------------------------- from other updates */

/* The groups of an update's wire form, without the count before them. */
static msi_reader wire_groups(const ms_update *update) {
  msi_reader reader = {update->wire, update->wire + update->wire_bytes};
  size_t count;
  ms_status st = msi_unpack_array(&reader, &count);
  MSI_ASSERT(st == MS_OK && count == update->group_count);
  (void)st;
  return reader;
}

static void add_update(msi_builder *self, const ms_update *update) {
  uint32_t groups = self->group_count;
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *from = &update->ops[i];
    self->group_count = groups + from->group + 1;
    msi_op *op = msi_builder_add(self, from->code, ms_path_retain(from->path));
    op->class_ = from->class_;
    op->selection = msi_selection_retain(from->selection);
    op->operand = ms_value_retain(from->operand);
    op->query = ms_query_retain(from->query);
    op->target = ms_path_retain(from->target);
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
  msi_builder self;
  ms_status st = msi_builder_init(&self, alloc, op_count, bytes, NULL);
  for (size_t i = 0; i < count && st == MS_OK; i++) add_update(&self, updates[i]);
  if (st == MS_OK) st = msi_pack_array(&self.block, group_count);
  for (size_t i = 0; i < count && st == MS_OK; i++) {
    msi_reader groups = wire_groups(updates[i]);
    st = msi_buffer_append(&self.block, groups.at, (size_t)(groups.end - groups.at));
  }
  if (st == MS_OK) st = msi_builder_check_wire(&self, NULL);
  if (st == MS_OK) st = msi_builder_charge_all(&self, NULL);
  if (st != MS_OK) {
    msi_builder_fini(&self);
    return st;
  }
  *out = msi_builder_take(&self);
  return MS_OK;
}

bool msi_update_is_plain(const ms_update *update) {
  if (update->op_count == 0 || update->op_count > 2) return false;
  const msi_op *op = &update->ops[update->op_count - 1];
  if (update->op_count == 2 && update->ops[0].code != MSI_CODE_GUARD) return false;
  if (op->code != MSI_CODE_SET || op->selection != NULL) return false;
  for (uint32_t i = 0; i < op->path->count; i++) {
    if (op->path->segments[i].index >= 0) return false;
  }
  return true;
}
