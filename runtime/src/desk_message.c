/* Messages between peers, as operations in updates: how they are checked, made and read. */
#include "builder.h"

static bool read_id(const ms_value *list, size_t index, uint64_t *out) {
  int64_t number;
  const ms_value *value = ms_value_at(list, index);
  if (value == NULL || ms_value_to_int(value, &number) != MS_OK || number <= 0)
    return false;
  *out = (uint64_t)number;
  return true;
}

static bool read_name(const ms_value *list, size_t index, msi_told *out) {
  const ms_value *value = ms_value_at(list, index);
  return value != NULL &&
         ms_value_to_string(value, &out->name, &out->name_length) == MS_OK &&
         out->name_length > 0 && out->name_length <= MS_KEY_MAX;
}

bool msi_op_told(const msi_op *op, msi_told *out) {
  const ms_value *operand = op->operand;
  size_t count = ms_value_count(operand);
  *out = (msi_told){.code = op->code};
  if (ms_value_type(operand) != MS_ARRAY || count == 0) return false;
  out->value = ms_value_at(operand, count - 1);
  switch (op->code) {
    case MSI_CODE_EMIT: return count == 2 && read_name(operand, 0, out);
    case MSI_CODE_CALL:
      return count == 3 && read_id(operand, 0, &out->peer) && read_name(operand, 1, out);
    case MSI_CODE_REPLY:
      return count == 4 && read_id(operand, 0, &out->peer) &&
             read_id(operand, 1, &out->number) &&
             ms_value_to_bool(ms_value_at(operand, 2), &out->ok) == MS_OK;
    default: return false;
  }
}

bool msi_update_tells(const ms_update *update, uint64_t peer) {
  for (uint32_t i = 0; i < update->op_count; i++) {
    msi_told told;
    if (!msi_code_is_of_desk(update->ops[i].code)) continue;
    if (!msi_op_told(&update->ops[i], &told)) continue;
    if (told.code == MSI_CODE_EMIT || told.peer == peer) return true;
  }
  return false;
}

ms_status msi_told_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  (void)alloc;
  msi_told told;
  if (op->path->count > 0 || op->selection != NULL)
    return msi_fail(error, MS_EARGUMENT, "%s: has no path", msi_op_name(op));
  if (msi_op_told(op, &told)) return MS_OK;
  return msi_fail(error, MS_EARGUMENT, "%s: needs %s", msi_op_name(op),
                  op->code == MSI_CODE_EMIT ? "an event and a value"
                  : op->code == MSI_CODE_CALL
                      ? "a peer, a name and a value"
                      : "a peer, a number, a boolean and a value");
}

/* ------------------------------------------------------------------- updates */

/* Elements of a list are taken; once one is missing, for want of memory, so is the list. */
static void add(const ms_alloc *alloc, const ms_value **list, ms_status *st,
                ms_status made, const ms_value *element) {
  if (*st == MS_OK) *st = made;
  if (*st == MS_OK) *st = ms_value_append(alloc, list, element);
  ms_value_release(element);
}

static void add_number(const ms_alloc *alloc, const ms_value **list, ms_status *st,
                       uint64_t number) {
  const ms_value *element = NULL;
  ms_status made = ms_value_new_int(alloc, (int64_t)number, &element);
  add(alloc, list, st, made, element);
}

static void add_name(const ms_alloc *alloc, const ms_value **list, ms_status *st,
                     const char *name, size_t length) {
  const ms_value *element = NULL;
  ms_status made = ms_value_new_string(alloc, name, length, &element);
  add(alloc, list, st, made, element);
}

static ms_status finish(const ms_alloc *alloc, msi_code code, ms_status st,
                        const ms_value *list, const ms_value *value, ms_update **out,
                        ms_error *error) {
  add(alloc, &list, &st, MS_OK, ms_value_retain(value));
  if (st == MS_OK) {
    st = msi_update_desk(alloc, code, NULL, list, out, error);
  } else {
    st = msi_builder_fail(error, st);
  }
  ms_value_release(list);
  return st;
}

ms_status msi_update_emit(const ms_alloc *alloc, const char *event, size_t length,
                          const ms_value *value, ms_update **out, ms_error *error) {
  const ms_value *list = NULL;
  ms_status st = ms_value_new_array(alloc, &list);
  add_name(alloc, &list, &st, event, length);
  return finish(alloc, MSI_CODE_EMIT, st, list, value, out, error);
}

ms_status msi_update_call(const ms_alloc *alloc, uint64_t peer, const char *name,
                          size_t length, const ms_value *value, ms_update **out,
                          ms_error *error) {
  const ms_value *list = NULL;
  ms_status st = ms_value_new_array(alloc, &list);
  add_number(alloc, &list, &st, peer);
  add_name(alloc, &list, &st, name, length);
  return finish(alloc, MSI_CODE_CALL, st, list, value, out, error);
}

ms_status msi_update_reply(const ms_alloc *alloc, uint64_t caller, uint64_t number,
                           bool ok, const ms_value *value, ms_update **out,
                           ms_error *error) {
  const ms_value *list = NULL;
  ms_status st = ms_value_new_array(alloc, &list);
  add_number(alloc, &list, &st, caller);
  add_number(alloc, &list, &st, number);
  add(alloc, &list, &st, MS_OK, ms_value_bool(ok));
  return finish(alloc, MSI_CODE_REPLY, st, list, value, out, error);
}
