/*
 * Operations on the desk (desk.h): how their operands are checked, and how updates of one such
 * operation are made. They do nothing to the document.
 *
 *   lock    name                 bind     at the path, null
 *   unlock  [name, number]       unbind   at the path, null
 *   fence   [name, fence]        ttl      at the path, milliseconds
 *   lapse   [peer, name, fence]  schema   an object (schema.h), or null
 *   rules   a text, or null
 */
#include "builder.h"
#include "schema.h"

/* ------------------------------------------------------------------ operands */

static ms_status fail_path(const msi_op *op, ms_error *error) {
  return msi_fail(error, MS_EARGUMENT, "%s: has no path", msi_op_name(op));
}

static ms_status check_place(const msi_op *op, bool has_path, ms_error *error) {
  if (op->selection != NULL)
    return msi_fail(error, MS_EARGUMENT, "%s: positional keys are not allowed",
                    msi_op_name(op));
  if (!has_path) return op->path->count == 0 ? MS_OK : fail_path(op, error);
  if (op->path->count > 0) return MS_OK;
  return msi_fail(error, MS_EPATH, "%s: the path is empty", msi_op_name(op));
}

static ms_status check_name(const msi_op *op, const ms_value *name, ms_error *error) {
  const char *bytes;
  size_t length;
  if (name == NULL || ms_value_to_string(name, &bytes, &length) != MS_OK || length == 0)
    return msi_fail(error, MS_EARGUMENT, "%s: needs a name", msi_op_name(op));
  if (length <= MS_KEY_MAX) return MS_OK;
  return msi_fail(error, MS_ELIMIT, "%s: a name of more than %d bytes", msi_op_name(op),
                  MS_KEY_MAX);
}

ms_status msi_lock_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  (void)alloc;
  ms_status st = check_place(op, false, error);
  return st == MS_OK ? check_name(op, op->operand, error) : st;
}

ms_status msi_numbered_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  (void)alloc;
  int64_t number;
  ms_status st = check_place(op, false, error);
  if (st != MS_OK) return st;
  if (ms_value_type(op->operand) != MS_ARRAY || ms_value_count(op->operand) != 2)
    return msi_fail(error, MS_EARGUMENT, "%s: needs a name and a number",
                    msi_op_name(op));
  st = check_name(op, ms_value_at(op->operand, 0), error);
  if (st != MS_OK) return st;
  if (ms_value_to_int(ms_value_at(op->operand, 1), &number) == MS_OK && number > 0)
    return MS_OK;
  return msi_fail(error, MS_EARGUMENT, "%s: numbers begin at 1", msi_op_name(op));
}

ms_status msi_bind_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  (void)alloc;
  ms_status st = check_place(op, true, error);
  if (st != MS_OK || ms_value_type(op->operand) == MS_NULL) return st;
  return msi_op_bad_operand(op, op->operand, "null", error);
}

ms_status msi_ttl_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  (void)alloc;
  int64_t ttl_ms;
  ms_status st = check_place(op, true, error);
  if (st != MS_OK) return st;
  if (ms_value_to_int(op->operand, &ttl_ms) == MS_OK && ttl_ms >= 0 &&
      ttl_ms <= MSI_TTL_MAX_MS) {
    return MS_OK;
  }
  return msi_op_bad_operand(op, op->operand, "milliseconds", error);
}

ms_status msi_lapse_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  (void)alloc;
  int64_t peer = 0, fence = 0;
  ms_status st = check_place(op, false, error);
  if (st != MS_OK) return st;
  if (ms_value_type(op->operand) == MS_ARRAY && ms_value_count(op->operand) == 3 &&
      ms_value_to_int(ms_value_at(op->operand, 0), &peer) == MS_OK && peer > 0 &&
      ms_value_to_int(ms_value_at(op->operand, 2), &fence) == MS_OK && fence > 0) {
    return check_name(op, ms_value_at(op->operand, 1), error);
  }
  return msi_fail(error, MS_EARGUMENT, "%s: needs a peer, a name and a fence",
                  msi_op_name(op));
}

/* Leaves the compiled pattern in op->target. */
ms_status msi_grant_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  const char *pattern;
  size_t length;
  ms_status st = check_place(op, false, error);
  if (st != MS_OK) return st;
  if (ms_value_type(op->operand) != MS_ARRAY || ms_value_count(op->operand) != 2 ||
      ms_value_to_string(ms_value_at(op->operand, 1), &pattern, &length) != MS_OK ||
      length == 0) {
    return msi_fail(error, MS_EARGUMENT, "%s: needs a role and a pattern",
                    msi_op_name(op));
  }
  st = check_name(op, ms_value_at(op->operand, 0), error);
  if (st != MS_OK) return st;
  return ms_path_parse_pattern(alloc, pattern, length, &op->target, error);
}

ms_status msi_writers_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  (void)alloc;
  int64_t count;
  ms_status st = check_place(op, false, error);
  if (st != MS_OK) return st;
  if (ms_value_to_int(op->operand, &count) == MS_OK && count >= 0) return MS_OK;
  return msi_fail(error, MS_EARGUMENT, "%s: needs a count", msi_op_name(op));
}

ms_status msi_schema_op_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  msi_schema *schema = NULL;
  ms_status st = check_place(op, false, error);
  if (st != MS_OK || ms_value_type(op->operand) == MS_NULL) return st;
  st = msi_schema_new(alloc, op->operand, &schema, error);
  msi_schema_free(schema);
  return st;
}

ms_status msi_rules_op_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  (void)alloc;
  const char *text;
  size_t length;
  ms_status st = check_place(op, false, error);
  if (st != MS_OK || ms_value_type(op->operand) == MS_NULL) return st;
  if (ms_value_to_string(op->operand, &text, &length) != MS_OK)
    return msi_fail(error, MS_EARGUMENT, "%s: needs a text", msi_op_name(op));
  if (length <= MSI_RULES_BYTES_MAX) return MS_OK;
  return msi_fail(error, MS_ELIMIT, "%s: more than %d bytes", msi_op_name(op),
                  MSI_RULES_BYTES_MAX);
}

/* ------------------------------------------------------------------- updates */

bool msi_update_is_of_desk(const ms_update *update) {
  for (uint32_t i = 0; i < update->op_count; i++) {
    if (!msi_code_is_of_desk(update->ops[i].code)) return false;
  }
  return update->op_count > 0;
}

ms_status msi_update_desk(const ms_alloc *alloc, msi_code code, const ms_path *path,
                          const ms_value *operand, ms_update **out, ms_error *error) {
  ms_path *place = ms_path_retain(path);
  ms_status st = path != NULL ? MS_OK : msi_path_from_segments(alloc, NULL, 0, &place);
  if (st != MS_OK) return msi_builder_fail(error, st);
  msi_builder self;
  st = msi_builder_init(&self, alloc, 1, ms_value_bytes(operand) + 64, error);
  if (st != MS_OK) {
    ms_path_release(place);
    return st;
  }
  msi_builder_begin_group(&self);
  msi_op *op = msi_builder_add(&self, code, place);
  op->operand = ms_value_retain(operand);
  st = msi_op_check(alloc, op, error);
  if (st == MS_OK) st = msi_builder_finish(&self, out, error);
  if (st != MS_OK) msi_builder_fini(&self);
  return st;
}

static ms_status with_operand(const ms_alloc *alloc, msi_code code, ms_status st,
                              const ms_value *operand, ms_update **out, ms_error *error) {
  if (st != MS_OK) {
    st = msi_builder_fail(error, st);
  } else {
    st = msi_update_desk(alloc, code, NULL, operand, out, error);
  }
  ms_value_release(operand);
  return st;
}

/* Appends an element, taken, to a list that becomes NULL on failure. */
static ms_status list_add(const ms_alloc *alloc, const ms_value **list, ms_status st,
                          const ms_value *element) {
  if (st == MS_OK) st = ms_value_append(alloc, list, element);
  ms_value_release(element);
  return st;
}

/* Appends an integer to a list. */
static ms_status list_add_number(const ms_alloc *alloc, const ms_value **list,
                                 uint64_t number) {
  const ms_value *element = NULL;
  ms_status st = ms_value_new_int(alloc, (int64_t)number, &element);
  return list_add(alloc, list, st, element);
}

static ms_status list_add_name(const ms_alloc *alloc, const ms_value **list,
                               const char *name, size_t length) {
  const ms_value *element = NULL;
  ms_status st = ms_value_new_string(alloc, name, length, &element);
  return list_add(alloc, list, st, element);
}

static ms_status numbered(const ms_alloc *alloc, msi_code code, const char *name,
                          size_t length, uint64_t number, ms_update **out,
                          ms_error *error) {
  const ms_value *operand = NULL;
  ms_status st = ms_value_new_array(alloc, &operand);
  if (st == MS_OK) st = list_add_name(alloc, &operand, name, length);
  if (st == MS_OK) st = list_add_number(alloc, &operand, number);
  return with_operand(alloc, code, st, operand, out, error);
}

ms_status msi_update_named(const ms_alloc *alloc, msi_code code, const char *name,
                           size_t length, ms_update **out, ms_error *error) {
  const ms_value *operand = NULL;
  ms_status st = ms_value_new_string(alloc, name, length, &operand);
  return with_operand(alloc, code, st, operand, out, error);
}

ms_status msi_update_lock(const ms_alloc *alloc, const char *name, size_t length,
                          ms_update **out, ms_error *error) {
  return msi_update_named(alloc, MSI_CODE_LOCK, name, length, out, error);
}

ms_status msi_update_unlock(const ms_alloc *alloc, const char *name, size_t length,
                            uint64_t number, ms_update **out, ms_error *error) {
  return numbered(alloc, MSI_CODE_UNLOCK, name, length, number, out, error);
}

ms_status msi_update_fence(const ms_alloc *alloc, const char *name, size_t length,
                           uint64_t fence, ms_update **out, ms_error *error) {
  return numbered(alloc, MSI_CODE_FENCE, name, length, fence, out, error);
}

ms_status msi_update_bind(const ms_alloc *alloc, const ms_path *path, bool binds,
                          ms_update **out, ms_error *error) {
  if (!msi_path_is_literal(path)) {
    char text[MSI_PRINT_BYTES];
    return msi_fail(error, MS_EPATH, "bind: \"%s\" is a pattern, not a path",
                    msi_path_print(path, text, sizeof text));
  }
  return msi_update_desk(alloc, binds ? MSI_CODE_BIND : MSI_CODE_UNBIND, path,
                         ms_value_null(), out, error);
}

ms_status msi_update_ttl(const ms_alloc *alloc, const ms_path *path, uint64_t ttl_ms,
                         ms_update **out, ms_error *error) {
  const ms_value *operand = NULL;
  if (!msi_path_is_literal(path)) return msi_builder_fail(error, MS_EPATH);
  ms_status st = ms_value_new_int(alloc, (int64_t)ttl_ms, &operand);
  if (st != MS_OK) return msi_builder_fail(error, st);
  st = msi_update_desk(alloc, MSI_CODE_TTL, path, operand, out, error);
  ms_value_release(operand);
  return st;
}

ms_status msi_update_lapse(const ms_alloc *alloc, uint64_t peer, const char *name,
                           size_t length, uint64_t fence, ms_update **out,
                           ms_error *error) {
  const ms_value *operand = NULL;
  ms_status st = ms_value_new_array(alloc, &operand);
  if (st == MS_OK) st = list_add_number(alloc, &operand, peer);
  if (st == MS_OK) st = list_add_name(alloc, &operand, name, length);
  if (st == MS_OK) st = list_add_number(alloc, &operand, fence);
  return with_operand(alloc, MSI_CODE_LAPSE, st, operand, out, error);
}

ms_status msi_update_grant(const ms_alloc *alloc, const char *role, size_t role_length,
                           const char *pattern, size_t length, bool grants,
                           ms_update **out, ms_error *error) {
  const ms_value *operand = NULL;
  ms_status st = ms_value_new_array(alloc, &operand);
  if (st == MS_OK) st = list_add_name(alloc, &operand, role, role_length);
  if (st == MS_OK) st = list_add_name(alloc, &operand, pattern, length);
  return with_operand(alloc, grants ? MSI_CODE_GRANT : MSI_CODE_REVOKE, st, operand, out,
                      error);
}

ms_status msi_update_writers(const ms_alloc *alloc, uint64_t count, ms_update **out,
                             ms_error *error) {
  const ms_value *operand = NULL;
  ms_status st = ms_value_new_int(alloc, (int64_t)(count & INT64_MAX), &operand);
  return with_operand(alloc, MSI_CODE_WRITERS, st, operand, out, error);
}

ms_status msi_update_schema(const ms_alloc *alloc, const ms_value *schema,
                            ms_update **out, ms_error *error) {
  const ms_value *operand = schema == NULL ? ms_value_null() : ms_value_retain(schema);
  return with_operand(alloc, MSI_CODE_SCHEMA, MS_OK, operand, out, error);
}

ms_status msi_update_rules(const ms_alloc *alloc, const char *source, size_t length,
                           ms_update **out, ms_error *error) {
  const ms_value *operand = ms_value_null();
  ms_status st = MS_OK;
  if (source != NULL) st = ms_value_new_string(alloc, source, length, &operand);
  return with_operand(alloc, MSI_CODE_RULES, st, operand, out, error);
}
