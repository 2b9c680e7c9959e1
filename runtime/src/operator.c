/*
 * The operators. Semantics are MongoDB server 5.0's: checks of an operand come before the
 * document is looked at, so they live in `compile` and `check`; `apply` sees the one
 * value that stands at the path and answers what shall become of it.
 */
#include "operator.h"

#include <string.h>

/* ----------------------------------------------------------------- messages */

const char *msi_op_name(const msi_op *op) { return msi_operator_by_code(op->code)->name; }

static void print_frame(msi_printer *to, const msi_frame *frame) {
  if (frame == NULL) return;
  print_frame(to, frame->above);
  msi_printer_segments(to, frame->route.segments, frame->route.count);
  char digits[24];
  size_t at = sizeof digits, index = frame->index;
  do digits[--at] = (char)('0' + index % 10);
  while ((index /= 10) > 0);
  msi_printer_key(to, digits + at, sizeof digits - at);
}

const char *msi_place_print(const msi_frame *frame, msi_route route, char *buffer,
                            size_t bytes) {
  msi_printer to;
  msi_printer_init(&to, buffer, bytes);
  print_frame(&to, frame);
  msi_printer_segments(&to, route.segments, route.count);
  return msi_printer_end(&to);
}

static const char *target_print(const msi_target *target, char *buffer, size_t bytes) {
  return msi_place_print(target->frame, target->route, buffer, bytes);
}

ms_status(msi_target_mismatch)(const msi_target *target, const char *wanted,
                               ms_error *error) {
  char text[MSI_PRINT_BYTES];
  return msi_fail(error, MS_ETYPE, "%s: \"%s\" holds %s, not %s", msi_op_name(target->op),
                  target_print(target, text, sizeof text),
                  msi_type_phrase(ms_value_type(target->old_value)), wanted);
}

ms_status msi_op_bad_operand(const msi_op *op, const ms_value *operand,
                             const char *wanted, ms_error *error) {
  char text[MSI_PRINT_BYTES];
  return msi_fail(error, MS_EARGUMENT, "%s: \"%s\" needs %s, not %s", msi_op_name(op),
                  msi_op_print(op, text, sizeof text), wanted,
                  msi_type_phrase(ms_value_type(operand)));
}

static ms_status bad_operand(const msi_op *op, const char *wanted, ms_error *error) {
  return msi_op_bad_operand(op, op->operand, wanted, error);
}

/* -------------------------------------------------------------------- guard */

static ms_status fail_positional(const msi_op *op, ms_error *error) {
  return msi_fail(error, MS_EARGUMENT, "%s: positional keys are not allowed",
                  msi_op_name(op));
}

static ms_status guard_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  (void)alloc;
  int64_t type;
  if (op->selection != NULL) return fail_positional(op, error);
  if (ms_value_to_int(op->operand, &type) == MS_OK &&
      (type == MS_ARRAY || type == MS_OBJECT || type == MS_EMPTY)) {
    return MS_OK;
  }
  return bad_operand(op, "a type of container", error);
}

/* ---------------------------------------------------------------------- set */

static ms_status set_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  (void)alloc;
  if (op->path->count > 0 || msi_value_is_object(op->operand)) return MS_OK;
  return msi_fail(error, MS_ETYPE, "a document is an object, not %s",
                  msi_type_phrase(ms_value_type(op->operand)));
}

static ms_status any_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  (void)alloc, (void)op, (void)error;
  return MS_OK;
}

static ms_status set_apply(const msi_target *target, msi_outcome *out, ms_error *error) {
  (void)error;
  out->action = MSI_ACTION_STORE;
  out->value = ms_value_retain(target->op->operand);
  return MS_OK;
}

/* ------------------------------------------------- unset, set on insert, rename */

/* MongoDB takes any operand and ignores it. */
static ms_status no_operand_compile(const ms_alloc *alloc, const ms_value *given,
                                    msi_op *op, ms_error *error) {
  (void)alloc, (void)given, (void)error;
  op->operand = ms_value_null();
  return MS_OK;
}

static ms_status no_operand_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  (void)alloc;
  if (ms_value_type(op->operand) == MS_NULL) return MS_OK;
  return bad_operand(op, "null", error);
}

static ms_status unset_apply(const msi_target *target, msi_outcome *out,
                             ms_error *error) {
  (void)target, (void)error;
  out->action = MSI_ACTION_REMOVE;
  return MS_OK;
}

static ms_status keep_apply(const msi_target *target, msi_outcome *out, ms_error *error) {
  (void)target, (void)error;
  out->action = MSI_ACTION_KEEP;
  return MS_OK;
}

static ms_status rename_keys(const ms_alloc *alloc, const ms_path *path,
                             const ms_value **out) {
  const ms_value *keys;
  ms_status st = ms_value_new_array(alloc, &keys);
  for (size_t i = 0; i < path->count && st == MS_OK; i++) {
    st = ms_value_append(alloc, &keys, path->segments[i].key);
    if (st != MS_OK) ms_value_release(keys);
  }
  if (st == MS_OK) *out = keys;
  return st;
}

static ms_status rename_compile(const ms_alloc *alloc, const ms_value *given, msi_op *op,
                                ms_error *error) {
  const char *text;
  size_t length;
  if (ms_value_to_string(given, &text, &length) != MS_OK) {
    return msi_op_bad_operand(op, given, "a path as a string", error);
  }
  if (length == 0) return msi_fail(error, MS_EPATH, "$rename: the new path is empty");
  ms_path *path;
  msi_selection *selection;
  msi_filters none;
  ms_status st = msi_filters_init(&none, alloc, NULL, error);
  if (st == MS_OK)
    st = msi_positional_parse(&none, alloc, text, length, &path, &selection, error);
  if (st != MS_OK) return st;
  if (selection != NULL) {
    st = fail_positional(op, error);
  } else {
    st = rename_keys(alloc, path, &op->operand);
  }
  msi_selection_release(selection);
  ms_path_release(path);
  return st;
}

static ms_status rename_target(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  ms_key keys[MS_DEPTH_MAX];
  size_t count = ms_value_count(op->operand);
  if (ms_value_type(op->operand) != MS_ARRAY || count == 0) {
    return bad_operand(op, "an array of keys", error);
  }
  if (count > MS_DEPTH_MAX) {
    return msi_fail(error, MS_ELIMIT, "a path of more than %d keys", MS_DEPTH_MAX);
  }
  for (size_t i = 0; i < count; i++) {
    const ms_value *key = ms_value_at(op->operand, i);
    if (ms_value_to_string(key, &keys[i].bytes, &keys[i].length) != MS_OK) {
      return msi_op_bad_operand(op, key, "strings as keys", error);
    }
  }
  return ms_path_new(alloc, keys, count, &op->target, error);
}

static ms_status rename_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  if (op->selection != NULL) return fail_positional(op, error);
  ms_status st = rename_target(alloc, op, error);
  if (st != MS_OK || !msi_path_overlaps(op->path, op->target)) return st;
  char from[MSI_PRINT_BYTES], to[MSI_PRINT_BYTES];
  return msi_fail(error, MS_EARGUMENT, "$rename: \"%s\" and \"%s\" are on the same path",
                  msi_path_print(op->path, from, sizeof from),
                  msi_path_print(op->target, to, sizeof to));
}

/* --------------------------------------------------------------- arithmetic */

static ms_status number_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  (void)alloc;
  return msi_value_is_number(op->operand) ? MS_OK : bad_operand(op, "a number", error);
}

/* The result for two integers, by the operator. Exact. */
static ms_status integers(const msi_target *target, int64_t number, int64_t by,
                          const ms_value **out, ms_error *error) {
  int64_t result = 0;
  bool overflows = target->op->code == MSI_CODE_INC
                       ? __builtin_add_overflow(number, by, &result)
                       : __builtin_mul_overflow(number, by, &result);
  if (overflows) {
    char text[MSI_PRINT_BYTES];
    return msi_fail(error, MS_EARGUMENT,
                    "%s: \"%s\" would leave the range of 64-bit integers",
                    msi_op_name(target->op), target_print(target, text, sizeof text));
  }
  return ms_value_new_int(target->context->alloc, result, out);
}

static ms_status arithmetic(const msi_target *target, const ms_value *old_value,
                            const ms_value **out, ms_error *error) {
  const ms_value *operand = target->op->operand;
  int64_t by, number;
  if (ms_value_to_int(old_value, &number) == MS_OK &&
      ms_value_to_int(operand, &by) == MS_OK) {
    return integers(target, number, by, out, error);
  }
  double left, right;
  ms_status st = ms_value_to_double(old_value, &left);
  if (st == MS_OK) st = ms_value_to_double(operand, &right);
  if (st != MS_OK) return st;
  double result = target->op->code == MSI_CODE_INC ? left + right : left * right;
  return ms_value_new_double(target->context->alloc, result, out);
}

static ms_status inc_apply(const msi_target *target, msi_outcome *out, ms_error *error) {
  out->action = MSI_ACTION_STORE;
  if (target->old_value == NULL) {
    out->value = ms_value_retain(target->op->operand);
    return MS_OK;
  }
  if (!msi_value_is_number(target->old_value)) {
    return msi_target_mismatch(target, "a number", error);
  }
  return arithmetic(target, target->old_value, &out->value, error);
}

/* A missing field is 0, and the result a number of the operand's type. */
static ms_status mul_apply(const msi_target *target, msi_outcome *out, ms_error *error) {
  out->action = MSI_ACTION_STORE;
  if (target->old_value == NULL) {
    const ms_value *zero;
    ms_status st = ms_value_new_int(target->context->alloc, 0, &zero);
    if (st != MS_OK) return st;
    st = arithmetic(target, zero, &out->value, error);
    ms_value_release(zero);
    return st;
  }
  if (!msi_value_is_number(target->old_value)) {
    return msi_target_mismatch(target, "a number", error);
  }
  return arithmetic(target, target->old_value, &out->value, error);
}

/* ----------------------------------------------------------------- min, max */

static ms_status bound_apply(const msi_target *target, msi_outcome *out,
                             ms_error *error) {
  const ms_value *operand = target->op->operand;
  if (target->old_value != NULL) {
    int order = msi_compare_metered(operand, target->old_value, target->meter);
    bool replaces = target->op->code == MSI_CODE_MIN ? order < 0 : order > 0;
    if (!replaces) return MS_OK;
  }
  return set_apply(target, out, error);
}

/* ---------------------------------------------------------------------- bit */

static const char *const bit_names[] = {"and", "or", "xor"};

static const ms_value *bit_operand(const msi_op *op, size_t which) {
  return ms_value_get(op->operand, bit_names[which], strlen(bit_names[which]));
}

static ms_status bit_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  (void)alloc;
  size_t found = 0;
  if (!msi_value_is_object(op->operand)) return bad_operand(op, "an object", error);
  for (size_t i = 0; i < 3; i++) {
    const ms_value *operand = bit_operand(op, i);
    if (operand == NULL) continue;
    found++;
    if (ms_value_type(operand) != MS_INT) {
      return msi_op_bad_operand(op, operand, "integers", error);
    }
  }
  if (found > 0 && found == ms_value_count(op->operand)) return MS_OK;
  char text[MSI_PRINT_BYTES];
  return msi_fail(error, MS_EARGUMENT, "$bit: \"%s\" needs \"and\", \"or\" or \"xor\"",
                  msi_op_print(op, text, sizeof text));
}

static ms_status bit_apply(const msi_target *target, msi_outcome *out, ms_error *error) {
  int64_t number = 0;
  if (target->old_value != NULL && ms_value_to_int(target->old_value, &number) != MS_OK) {
    return msi_target_mismatch(target, "an integer", error);
  }
  for (size_t i = 0; i < 3; i++) {
    const ms_value *operand = bit_operand(target->op, i);
    int64_t mask;
    if (operand == NULL || ms_value_to_int(operand, &mask) != MS_OK) continue;
    number = i == 0 ? number & mask : i == 1 ? number | mask : number ^ mask;
  }
  out->action = MSI_ACTION_STORE;
  return ms_value_new_int(target->context->alloc, number, &out->value);
}

/* ------------------------------------------------------------- current date */

static bool is_date_type(const ms_value *type) {
  const char *text;
  size_t length;
  if (type == NULL || ms_value_to_string(type, &text, &length) != MS_OK) return false;
  return (length == 4 && memcmp(text, "date", 4) == 0) ||
         (length == 9 && memcmp(text, "timestamp", 9) == 0);
}

static ms_status current_date_compile(const ms_alloc *alloc, const ms_value *given,
                                      msi_op *op, ms_error *error) {
  (void)alloc;
  op->operand = ms_value_null();
  if (given == NULL || ms_value_type(given) == MS_BOOL) return MS_OK;
  if (ms_value_type(given) == MS_OBJECT && ms_value_count(given) == 1 &&
      is_date_type(ms_value_get(given, "$type", 5))) {
    return MS_OK;
  }
  return msi_op_bad_operand(
      op, given, "true, {\"$type\": \"date\"} or {\"$type\": \"timestamp\"}", error);
}

static ms_status current_date_apply(const msi_target *target, msi_outcome *out,
                                    ms_error *error) {
  (void)error;
  out->action = MSI_ACTION_STORE;
  return ms_value_new_int(target->context->alloc, target->context->wall_ms, &out->value);
}

/* -------------------------------------------------------------- where, mark */

static ms_status where_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  if (op->selection != NULL || op->path->count > 0) {
    return msi_fail(error, MS_EARGUMENT, "where: has no path");
  }
  ms_error inner;
  ms_status st = ms_query_parse(alloc, op->operand, &op->query, &inner);
  if (st == MS_OK || st == MS_ENOMEM) return st;
  return msi_fail(error, st, "where: %s", inner.message);
}

static ms_status mark_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  (void)alloc;
  if (op->selection != NULL) return fail_positional(op, error);
  ms_type type = ms_value_type(op->operand);
  return type == MS_BOOL || type == MS_NULL ? MS_OK
                                            : bad_operand(op, "a boolean or null", error);
}

/* -------------------------------------------------------------------- table */

static const msi_operator table[] = {
    {.name = "guard",
     .code = MSI_CODE_GUARD,
     .class_ = MSI_CLASS_GUARD,
     .check = guard_check},
    {.name = "$set",
     .code = MSI_CODE_SET,
     .class_ = MSI_CLASS_ABSOLUTE,
     .in_documents = true,
     .creates = true,
     .keeps_operand = true,
     .check = set_check,
     .apply = set_apply},
    {.name = "$unset",
     .code = MSI_CODE_UNSET,
     .class_ = MSI_CLASS_ABSOLUTE,
     .in_documents = true,
     .ignores_blocked = true,
     .ignores_operand = true,
     .compile = no_operand_compile,
     .check = no_operand_check,
     .apply = unset_apply},
    {.name = "$inc",
     .code = MSI_CODE_INC,
     .class_ = MSI_CLASS_RELATIVE,
     .in_documents = true,
     .creates = true,
     .keeps_operand = true,
     .check = number_check,
     .apply = inc_apply},
    {.name = "$push",
     .code = MSI_CODE_PUSH,
     .class_ = MSI_CLASS_RELATIVE,
     .in_documents = true,
     .creates = true,
     .is_of_list = true,
     .keeps_operand = true,
     .compile = msi_push_compile,
     .check = msi_push_check,
     .apply = msi_push_apply},
    {.name = "$mul",
     .code = MSI_CODE_MUL,
     .class_ = MSI_CLASS_RELATIVE,
     .in_documents = true,
     .creates = true,
     .check = number_check,
     .apply = mul_apply},
    {.name = "$min",
     .code = MSI_CODE_MIN,
     .class_ = MSI_CLASS_RELATIVE,
     .in_documents = true,
     .creates = true,
     .keeps_operand = true,
     .check = any_check,
     .apply = bound_apply},
    {.name = "$max",
     .code = MSI_CODE_MAX,
     .class_ = MSI_CLASS_RELATIVE,
     .in_documents = true,
     .creates = true,
     .keeps_operand = true,
     .check = any_check,
     .apply = bound_apply},
    {.name = "$bit",
     .code = MSI_CODE_BIT,
     .class_ = MSI_CLASS_RELATIVE,
     .in_documents = true,
     .creates = true,
     .check = bit_check,
     .apply = bit_apply},
    {.name = "$addToSet",
     .code = MSI_CODE_ADD_TO_SET,
     .class_ = MSI_CLASS_RELATIVE,
     .in_documents = true,
     .creates = true,
     .keeps_operand = true,
     .compile = msi_add_to_set_compile,
     .check = msi_add_to_set_check,
     .apply = msi_add_to_set_apply},
    {.name = "$currentDate",
     .code = MSI_CODE_CURRENT_DATE,
     .class_ = MSI_CLASS_ABSOLUTE,
     .in_documents = true,
     .creates = true,
     .ignores_operand = true,
     .compile = current_date_compile,
     .check = no_operand_check,
     .apply = current_date_apply},
    {.name = "$setOnInsert",
     .code = MSI_CODE_SET_ON_INSERT,
     .class_ = MSI_CLASS_GUARD,
     .in_documents = true,
     .ignores_blocked = true,
     .compile = no_operand_compile,
     .check = no_operand_check,
     .apply = keep_apply},
    {.name = "$rename",
     .code = MSI_CODE_RENAME,
     .class_ = MSI_CLASS_ABSOLUTE,
     .in_documents = true,
     .compile = rename_compile,
     .check = rename_check},
    {.name = "$rename",
     .code = MSI_CODE_RENAME_TO,
     .class_ = MSI_CLASS_ABSOLUTE,
     .is_local = true,
     .compile = no_operand_compile,
     .check = no_operand_check},
    {.name = "$pop",
     .code = MSI_CODE_POP,
     .class_ = MSI_CLASS_MOVING,
     .in_documents = true,
     .is_of_list = true,
     .compile = msi_pop_compile,
     .check = msi_pop_check,
     .apply = msi_pop_apply},
    {.name = "$pull",
     .code = MSI_CODE_PULL,
     .class_ = MSI_CLASS_MOVING,
     .in_documents = true,
     .check = msi_pull_check,
     .apply = msi_pull_apply},
    {.name = "$pullAll",
     .code = MSI_CODE_PULL_ALL,
     .class_ = MSI_CLASS_MOVING,
     .in_documents = true,
     .check = msi_pull_all_check,
     .apply = msi_pull_apply},
    {.name = "$push",
     .code = MSI_CODE_PUSH_AT,
     .class_ = MSI_CLASS_MOVING,
     .creates = true,
     .is_of_list = true,
     .check = msi_push_at_check,
     .apply = msi_push_at_apply},
    {.name = "remove",
     .code = MSI_CODE_REMOVE_AT,
     .class_ = MSI_CLASS_MOVING,
     .is_of_list = true,
     .check = msi_remove_at_check,
     .apply = msi_remove_at_apply},
    {.name = "where",
     .code = MSI_CODE_WHERE,
     .class_ = MSI_CLASS_GUARD,
     .check = where_check},
    {.name = "mark",
     .code = MSI_CODE_MARK,
     .class_ = MSI_CLASS_GUARD,
     .check = mark_check},
    {.name = "lock",
     .code = MSI_CODE_LOCK,
     .class_ = MSI_CLASS_GUARD,
     .check = msi_lock_check},
    {.name = "unlock",
     .code = MSI_CODE_UNLOCK,
     .class_ = MSI_CLASS_GUARD,
     .check = msi_numbered_check},
    {.name = "fence",
     .code = MSI_CODE_FENCE,
     .class_ = MSI_CLASS_GUARD,
     .check = msi_numbered_check},
    {.name = "bind",
     .code = MSI_CODE_BIND,
     .class_ = MSI_CLASS_GUARD,
     .check = msi_bind_check},
    {.name = "unbind",
     .code = MSI_CODE_UNBIND,
     .class_ = MSI_CLASS_GUARD,
     .check = msi_bind_check},
    {.name = "ttl",
     .code = MSI_CODE_TTL,
     .class_ = MSI_CLASS_GUARD,
     .check = msi_ttl_check},
    {.name = "lapse",
     .code = MSI_CODE_LAPSE,
     .class_ = MSI_CLASS_GUARD,
     .check = msi_lapse_check},
    {.name = "emit",
     .code = MSI_CODE_EMIT,
     .class_ = MSI_CLASS_GUARD,
     .check = msi_told_check},
    {.name = "call",
     .code = MSI_CODE_CALL,
     .class_ = MSI_CLASS_GUARD,
     .check = msi_told_check},
    {.name = "reply",
     .code = MSI_CODE_REPLY,
     .class_ = MSI_CLASS_GUARD,
     .check = msi_told_check},
    {.name = "handle",
     .code = MSI_CODE_HANDLE,
     .class_ = MSI_CLASS_GUARD,
     .check = msi_lock_check},
    {.name = "unhandle",
     .code = MSI_CODE_UNHANDLE,
     .class_ = MSI_CLASS_GUARD,
     .check = msi_lock_check},
    {.name = "grant",
     .code = MSI_CODE_GRANT,
     .class_ = MSI_CLASS_GUARD,
     .check = msi_grant_check},
    {.name = "revoke",
     .code = MSI_CODE_REVOKE,
     .class_ = MSI_CLASS_GUARD,
     .check = msi_grant_check},
    {.name = "writers",
     .code = MSI_CODE_WRITERS,
     .class_ = MSI_CLASS_GUARD,
     .check = msi_writers_check},
    {.name = "schema",
     .code = MSI_CODE_SCHEMA,
     .class_ = MSI_CLASS_GUARD,
     .check = msi_schema_op_check},
    {.name = "rules",
     .code = MSI_CODE_RULES,
     .class_ = MSI_CLASS_GUARD,
     .check = msi_rules_op_check},
};
enum { TABLE_COUNT = sizeof table / sizeof table[0] };

/* Rows stand at the index of their code, so that finding one is an array access. */
const msi_operator *msi_operator_by_code(int64_t code) {
  if (code < 0 || code >= TABLE_COUNT) return NULL;
  MSI_ASSERT((int64_t)table[code].code == code);
  return &table[code];
}

const msi_operator *msi_operator_by_name(const char *name, size_t length) {
  for (size_t i = 0; i < TABLE_COUNT; i++) {
    const msi_operator *row = &table[i];
    if (!row->in_documents || strlen(row->name) != length) continue;
    if (memcmp(row->name, name, length) == 0) return row;
  }
  return NULL;
}

ms_status msi_op_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  const msi_operator *row = msi_operator_by_code(op->code);
  MSI_ASSERT(row != NULL);
  op->class_ = row->class_;
  size_t keys = msi_op_key_count(op);
  bool may_be_empty = op->code == MSI_CODE_SET || op->code == MSI_CODE_GUARD ||
                      op->code == MSI_CODE_WHERE || msi_code_is_of_desk(op->code);
  if (op->path->count == 0 && (!may_be_empty || op->selection != NULL)) {
    return msi_fail(error, MS_EPATH, "%s: the path is empty", row->name);
  }
  if (keys > MS_DEPTH_MAX) {
    return msi_fail(error, MS_ELIMIT, "a path of more than %d keys", MS_DEPTH_MAX);
  }
  size_t room = row->keeps_operand ? MS_DEPTH_MAX - keys : MS_DEPTH_MAX;
  if (msi_value_depth(op->operand, room) > room) {
    char text[MSI_PRINT_BYTES];
    return msi_fail(error, MS_ELIMIT, "%s: \"%s\" would be deeper than %d levels",
                    row->name, msi_op_print(op, text, sizeof text), MS_DEPTH_MAX);
  }
  return row->check(alloc, op, error);
}
