/*
 * The operators. Semantics are MongoDB server 5.0's: checks of an operand come before the
 * document is looked at, so they live in `compile` and `check`; `apply` sees the one
 * value that stands at the path and answers what shall become of it.
 */
#include "operator.h"

#include <string.h>

static const char *op_name(const msi_op *op) {
  return msi_operator_by_code(op->code)->name;
}

ms_status msi_op_mismatch(const msi_op *op, const ms_value *found, const char *wanted,
                          ms_error *error) {
  char text[MSI_PRINT_BYTES];
  return msi_fail(error, MS_ETYPE, "%s: \"%s\" holds %s, not %s", op_name(op),
                  msi_path_print(op->path, text, sizeof text),
                  msi_type_phrase(ms_value_type(found)), wanted);
}

/* The operand is wrong whatever the document is. */
static ms_status bad_operand(const msi_op *op, const char *wanted, ms_error *error) {
  char text[MSI_PRINT_BYTES];
  return msi_fail(error, MS_EARGUMENT, "%s: \"%s\" needs %s, not %s", op_name(op),
                  msi_path_print(op->path, text, sizeof text), wanted,
                  msi_type_phrase(ms_value_type(op->operand)));
}

static bool is_number(const ms_value *value) {
  ms_type type = ms_value_type(value);
  return type == MS_INT || type == MS_DOUBLE;
}

/* -------------------------------------------------------------------- guard */

static ms_status guard_check(const msi_op *op, ms_error *error) {
  int64_t type;
  if (ms_value_to_int(op->operand, &type) == MS_OK &&
      (type == MS_ARRAY || type == MS_OBJECT || type == MS_EMPTY)) {
    return MS_OK;
  }
  return bad_operand(op, "a type of container", error);
}

/* ---------------------------------------------------------------------- set */

static ms_status set_check(const msi_op *op, ms_error *error) {
  ms_type type = ms_value_type(op->operand);
  if (op->path->count > 0 || type == MS_OBJECT || type == MS_EMPTY) return MS_OK;
  return msi_fail(error, MS_ETYPE, "a document is an object, not %s",
                  msi_type_phrase(type));
}

static ms_status set_apply(const msi_target *target, msi_outcome *out, ms_error *error) {
  (void)error;
  out->action = MSI_ACTION_STORE;
  out->value = ms_value_retain(target->op->operand);
  return MS_OK;
}

/* -------------------------------------------------------------------- unset */

/* MongoDB takes any operand and ignores it. */
static ms_status unset_compile(const ms_alloc *alloc, const ms_value *given, msi_op *op,
                               ms_error *error) {
  (void)alloc, (void)given, (void)error;
  op->operand = ms_value_null();
  return MS_OK;
}

static ms_status unset_check(const msi_op *op, ms_error *error) {
  if (ms_value_type(op->operand) == MS_NULL) return MS_OK;
  return bad_operand(op, "null", error);
}

static ms_status unset_apply(const msi_target *target, msi_outcome *out,
                             ms_error *error) {
  (void)target, (void)error;
  out->action = MSI_ACTION_REMOVE;
  return MS_OK;
}

/* ---------------------------------------------------------------------- inc */

static ms_status inc_check(const msi_op *op, ms_error *error) {
  return is_number(op->operand) ? MS_OK : bad_operand(op, "a number", error);
}

static ms_status inc_integers(const msi_target *target, int64_t by, const ms_value **out,
                              ms_error *error) {
  int64_t number = 0;
  ms_status st = ms_value_to_int(target->old_value, &number);
  MSI_ASSERT(st == MS_OK);
  bool overflows = by > 0 ? number > INT64_MAX - by : number < INT64_MIN - by;
  if (st == MS_OK && overflows) {
    char text[MSI_PRINT_BYTES];
    return msi_fail(error, MS_EARGUMENT,
                    "$inc: \"%s\" would leave the range of 64-bit integers",
                    msi_path_print(target->op->path, text, sizeof text));
  }
  return ms_value_new_int(target->context->alloc, number + by, out);
}

static ms_status inc_apply(const msi_target *target, msi_outcome *out, ms_error *error) {
  const ms_value *operand = target->op->operand;
  out->action = MSI_ACTION_STORE;
  if (target->old_value == NULL) {
    out->value = ms_value_retain(operand);
    return MS_OK;
  }
  if (!is_number(target->old_value)) {
    return msi_op_mismatch(target->op, target->old_value, "a number", error);
  }
  int64_t by;
  if (ms_value_type(target->old_value) == MS_INT &&
      ms_value_to_int(operand, &by) == MS_OK) {
    return inc_integers(target, by, &out->value, error);
  }
  double number, step;
  ms_status st = ms_value_to_double(target->old_value, &number);
  if (st == MS_OK) st = ms_value_to_double(operand, &step);
  if (st != MS_OK) return st;
  return ms_value_new_double(target->context->alloc, number + step, &out->value);
}

/* --------------------------------------------------------------------- push */

static ms_status push_modifiers(const ms_value *given, const msi_op *op,
                                ms_error *error) {
  char text[MSI_PRINT_BYTES], name[MSI_PRINT_BYTES];
  ms_cursor cursor;
  const char *key;
  size_t length;
  const ms_value *value;
  ms_cursor_init(&cursor, given);
  while (ms_cursor_next(&cursor, &key, &length, &value)) {
    if (length == 5 && memcmp(key, "$each", 5) == 0) continue;
    return msi_fail(error, MS_EARGUMENT,
                    "$push: \"%s\" has \"%s\" beside $each, which is not known",
                    msi_path_print(op->path, text, sizeof text),
                    msi_text_print(key, length, name, sizeof name));
  }
  return MS_OK;
}

/* An object counts as modifiers only when it has $each; else it is the element itself. */
static ms_status push_compile(const ms_alloc *alloc, const ms_value *given, msi_op *op,
                              ms_error *error) {
  const ms_value *each =
      ms_value_type(given) == MS_OBJECT ? ms_value_get(given, "$each", 5) : NULL;
  if (each != NULL) {
    ms_status st = push_modifiers(given, op, error);
    if (st != MS_OK) return st;
    if (ms_value_type(each) == MS_ARRAY) {
      op->operand = ms_value_retain(each);
      return MS_OK;
    }
    if (ms_value_type(each) != MS_EMPTY) {
      char text[MSI_PRINT_BYTES];
      return msi_fail(error, MS_EARGUMENT,
                      "$push: \"%s\" needs an array for $each, not %s",
                      msi_path_print(op->path, text, sizeof text),
                      msi_type_phrase(ms_value_type(each)));
    }
  }
  const ms_value *list;
  ms_status st = ms_value_new_array(alloc, &list);
  if (st != MS_OK) return st;
  if (each == NULL) st = ms_value_append(alloc, &list, given);
  if (st != MS_OK) {
    ms_value_release(list);
    return st;
  }
  op->operand = list;
  return MS_OK;
}

static ms_status push_check(const msi_op *op, ms_error *error) {
  if (ms_value_type(op->operand) == MS_ARRAY) return MS_OK;
  return bad_operand(op, "an array of elements", error);
}

static ms_status push_apply(const msi_target *target, msi_outcome *out, ms_error *error) {
  const ms_value *operand = target->op->operand;
  ms_type type = target->old_value == NULL ? MS_EMPTY : ms_value_type(target->old_value);
  if (type == MS_ARRAY && ms_value_count(operand) == 0) return MS_OK;
  if (type != MS_ARRAY && type != MS_EMPTY) {
    return msi_op_mismatch(target->op, target->old_value, "an array", error);
  }
  out->action = type == MS_ARRAY ? MSI_ACTION_APPEND : MSI_ACTION_STORE;
  out->value = ms_value_retain(operand);
  return MS_OK;
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
     .check = set_check,
     .apply = set_apply},
    {.name = "$unset",
     .code = MSI_CODE_UNSET,
     .class_ = MSI_CLASS_ABSOLUTE,
     .in_documents = true,
     .ignores_blocked = true,
     .compile = unset_compile,
     .check = unset_check,
     .apply = unset_apply},
    {.name = "$inc",
     .code = MSI_CODE_INC,
     .class_ = MSI_CLASS_RELATIVE,
     .in_documents = true,
     .creates = true,
     .check = inc_check,
     .apply = inc_apply},
    {.name = "$push",
     .code = MSI_CODE_PUSH,
     .class_ = MSI_CLASS_RELATIVE,
     .in_documents = true,
     .creates = true,
     .compile = push_compile,
     .check = push_check,
     .apply = push_apply},
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

ms_status msi_op_check(msi_op *op, ms_error *error) {
  const msi_operator *row = msi_operator_by_code(op->code);
  MSI_ASSERT(row != NULL);
  op->class_ = row->class_;
  if (op->path->count == 0 && op->code != MSI_CODE_SET && op->code != MSI_CODE_GUARD) {
    return msi_fail(error, MS_EPATH, "%s: the path is empty", row->name);
  }
  size_t room = MS_DEPTH_MAX - (size_t)op->path->count;
  if (msi_value_depth(op->operand, room) > room) {
    char text[MSI_PRINT_BYTES];
    return msi_fail(error, MS_ELIMIT, "%s: \"%s\" would be deeper than %d levels",
                    row->name, msi_path_print(op->path, text, sizeof text), MS_DEPTH_MAX);
  }
  return row->check(op, error);
}
