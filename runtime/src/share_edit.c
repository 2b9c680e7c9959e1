/*
 * Single writes by name: one operator at one place, given as dotted text or as a compiled path. Owner's
 * side. What they all come to is ms_share_write().
 */
#include <string.h>

#include "share.h"

/* ------------------------------------------------------------- by compiled path */

/* Without a guard. */
static ms_status edit_at(ms_share *share, const ms_path *path, ms_operator op,
                         const ms_value *operand, ms_receipt **receipt, ms_error *error) {
  ms_write write;
  if (path == NULL) return msi_fail(error, MS_EARGUMENT, "no path");
  if (ms_path_count(path) == 0) {
    return msi_fail(error, MS_EPATH, "empty path: use ms_share_replace");
  }
  ms_write_init(&write);
  write.path = path;
  write.op = op;
  write.operand = operand;
  return ms_share_write(share, &write, receipt, error);
}

/* Writes a value that was made for the call, or passes on why it could not be made. */
static ms_status edit_made_at(ms_share *share, const ms_path *path, ms_operator op,
                              ms_status made, const ms_value *value, ms_receipt **receipt,
                              ms_error *error) {
  if (made != MS_OK) return msi_fail(error, made, "%s", ms_status_text(made));
  ms_status status = edit_at(share, path, op, value, receipt, error);
  ms_value_release(value);
  return status;
}

ms_status ms_share_set_at(ms_share *share, const ms_path *path, const ms_value *value,
                          ms_receipt **receipt, ms_error *error) {
  return edit_at(share, path, MS_OP_SET, value, receipt, error);
}

ms_status ms_share_set_bool_at(ms_share *share, const ms_path *path, bool flag) {
  return edit_at(share, path, MS_OP_SET, ms_value_bool(flag), NULL, NULL);
}

ms_status ms_share_set_int_at(ms_share *share, const ms_path *path, int64_t number) {
  const ms_value *value = NULL;
  ms_status made = ms_value_new_int(msi_share_alloc(share), number, &value);
  return edit_made_at(share, path, MS_OP_SET, made, value, NULL, NULL);
}

ms_status ms_share_set_double_at(ms_share *share, const ms_path *path, double number) {
  const ms_value *value = NULL;
  ms_status made = ms_value_new_double(msi_share_alloc(share), number, &value);
  return edit_made_at(share, path, MS_OP_SET, made, value, NULL, NULL);
}

ms_status ms_share_set_string_at(ms_share *share, const ms_path *path, const char *bytes,
                                 size_t length) {
  const ms_value *value = NULL;
  ms_status made = ms_value_new_string(msi_share_alloc(share), bytes, length, &value);
  return edit_made_at(share, path, MS_OP_SET, made, value, NULL, NULL);
}

ms_status ms_share_unset_at(ms_share *share, const ms_path *path, ms_receipt **receipt,
                            ms_error *error) {
  return edit_at(share, path, MS_OP_UNSET, ms_value_null(), receipt, error);
}

/* --------------------------------------------------------------- by dotted text */

/* Before the share's tables are looked at: only the owner may. */
static ms_status known_path(ms_share *share, const char *path, ms_path **out,
                            ms_error *error) {
  ms_status status = msi_share_guard(share);
  if (status != MS_OK) return msi_fail(error, status, "%s", ms_status_text(status));
  if (path == NULL) return msi_fail(error, MS_EARGUMENT, "no path");
  return msi_known_paths_get(&share->known, msi_share_alloc(share), path, out, error);
}

static ms_status edit(ms_share *share, const char *path, ms_operator op,
                      const ms_value *operand, ms_receipt **receipt, ms_error *error) {
  ms_path *known = NULL;
  ms_status status = known_path(share, path, &known, error);
  if (status != MS_OK) return status;
  status = edit_at(share, known, op, operand, receipt, error);
  ms_path_release(known);
  return status;
}

static ms_status edit_made(ms_share *share, const char *path, ms_operator op,
                           ms_status made, const ms_value *value, ms_receipt **receipt,
                           ms_error *error) {
  if (made != MS_OK) return msi_fail(error, made, "%s", ms_status_text(made));
  ms_status status = edit(share, path, op, value, receipt, error);
  ms_value_release(value);
  return status;
}

ms_status ms_share_set(ms_share *share, const char *path, const ms_value *value,
                       ms_receipt **receipt, ms_error *error) {
  return edit(share, path, MS_OP_SET, value, receipt, error);
}

ms_status ms_share_set_bool(ms_share *share, const char *path, bool flag) {
  return edit(share, path, MS_OP_SET, ms_value_bool(flag), NULL, NULL);
}

ms_status ms_share_set_int(ms_share *share, const char *path, int64_t number) {
  const ms_value *value = NULL;
  ms_status made = ms_value_new_int(msi_share_alloc(share), number, &value);
  return edit_made(share, path, MS_OP_SET, made, value, NULL, NULL);
}

ms_status ms_share_set_double(ms_share *share, const char *path, double number) {
  const ms_value *value = NULL;
  ms_status made = ms_value_new_double(msi_share_alloc(share), number, &value);
  return edit_made(share, path, MS_OP_SET, made, value, NULL, NULL);
}

ms_status ms_share_set_string(ms_share *share, const char *path, const char *bytes,
                              size_t length) {
  const ms_value *value = NULL;
  ms_status made = ms_value_new_string(msi_share_alloc(share), bytes, length, &value);
  return edit_made(share, path, MS_OP_SET, made, value, NULL, NULL);
}

ms_status ms_share_unset(ms_share *share, const char *path, ms_receipt **receipt,
                         ms_error *error) {
  return edit(share, path, MS_OP_UNSET, ms_value_null(), receipt, error);
}

ms_status ms_share_inc(ms_share *share, const char *path, int64_t by,
                       ms_receipt **receipt, ms_error *error) {
  const ms_value *value = NULL;
  ms_status made = ms_value_new_int(msi_share_alloc(share), by, &value);
  return edit_made(share, path, MS_OP_INC, made, value, receipt, error);
}

ms_status ms_share_inc_double(ms_share *share, const char *path, double by,
                              ms_receipt **receipt, ms_error *error) {
  const ms_value *value = NULL;
  ms_status made = ms_value_new_double(msi_share_alloc(share), by, &value);
  return edit_made(share, path, MS_OP_INC, made, value, receipt, error);
}

ms_status ms_share_mul(ms_share *share, const char *path, const ms_value *by,
                       ms_receipt **receipt, ms_error *error) {
  return edit(share, path, MS_OP_MUL, by, receipt, error);
}

ms_status ms_share_min(ms_share *share, const char *path, const ms_value *value,
                       ms_receipt **receipt, ms_error *error) {
  return edit(share, path, MS_OP_MIN, value, receipt, error);
}

ms_status ms_share_max(ms_share *share, const char *path, const ms_value *value,
                       ms_receipt **receipt, ms_error *error) {
  return edit(share, path, MS_OP_MAX, value, receipt, error);
}

ms_status ms_share_current_date(ms_share *share, const char *path, ms_receipt **receipt,
                                ms_error *error) {
  return edit(share, path, MS_OP_CURRENT_DATE, NULL, receipt, error);
}

/* ----------------------------------------------------------------------- arrays */

ms_status ms_share_push(ms_share *share, const char *path, const ms_value *value,
                        ms_receipt **receipt, ms_error *error) {
  return edit(share, path, MS_OP_PUSH, value, receipt, error);
}

ms_status ms_share_add_to_set(ms_share *share, const char *path, const ms_value *value,
                              ms_receipt **receipt, ms_error *error) {
  return edit(share, path, MS_OP_ADD_TO_SET, value, receipt, error);
}

ms_status ms_share_pull(ms_share *share, const char *path, const ms_value *condition,
                        ms_receipt **receipt, ms_error *error) {
  return edit(share, path, MS_OP_PULL, condition, receipt, error);
}

ms_status ms_share_pop(ms_share *share, const char *path, bool first,
                       ms_receipt **receipt, ms_error *error) {
  const ms_value *value = NULL;
  ms_status made = ms_value_new_int(msi_share_alloc(share), first ? -1 : 1, &value);
  return edit_made(share, path, MS_OP_POP, made, value, receipt, error);
}

static ms_status index_new(const ms_alloc *alloc, size_t index, const ms_value **out) {
  uint64_t number = index;
  if (number > INT64_MAX) return MS_ELIMIT;
  return ms_value_new_int(alloc, (int64_t)number, out);
}

/* [index, element] */
static ms_status place_new(const ms_alloc *alloc, size_t index, const ms_value *element,
                           const ms_value **out) {
  const ms_value *number = NULL, *list = NULL;
  if (element == NULL) return MS_EARGUMENT;
  ms_status status = index_new(alloc, index, &number);
  if (status == MS_OK) status = ms_value_new_array(alloc, &list);
  if (status == MS_OK) status = ms_value_append(alloc, &list, number);
  if (status == MS_OK) status = ms_value_append(alloc, &list, element);
  ms_value_release(number);
  if (status != MS_OK) {
    ms_value_release(list);
    return status;
  }
  *out = list;
  return MS_OK;
}

ms_status ms_share_insert(ms_share *share, const char *path, size_t index,
                          const ms_value *value, ms_receipt **receipt, ms_error *error) {
  const ms_value *place = NULL;
  ms_status made = place_new(msi_share_alloc(share), index, value, &place);
  return edit_made(share, path, MS_OP_INSERT, made, place, receipt, error);
}

ms_status ms_share_remove(ms_share *share, const char *path, size_t index,
                          ms_receipt **receipt, ms_error *error) {
  const ms_value *number = NULL;
  ms_status made = index_new(msi_share_alloc(share), index, &number);
  return edit_made(share, path, MS_OP_REMOVE, made, number, receipt, error);
}

/* ----------------------------------------------------------------------- moving */

/* {"$rename": {from: to}} */
static ms_status rename_new(const ms_alloc *alloc, const char *from, const char *to,
                            const ms_value **out) {
  const ms_value *target = NULL, *fields = NULL, *document = NULL;
  if (from == NULL || to == NULL) return MS_EARGUMENT;
  ms_status status = ms_value_new_string(alloc, to, strlen(to), &target);
  if (status == MS_OK) status = ms_value_new_object(alloc, &fields);
  if (status == MS_OK) status = ms_value_put(alloc, &fields, from, strlen(from), target);
  if (status == MS_OK) status = ms_value_new_object(alloc, &document);
  if (status == MS_OK) status = ms_value_put(alloc, &document, "$rename", 7, fields);
  ms_value_release(target);
  ms_value_release(fields);
  if (status != MS_OK) {
    ms_value_release(document);
    return status;
  }
  *out = document;
  return MS_OK;
}

ms_status ms_share_rename(ms_share *share, const char *from, const char *to,
                          ms_receipt **receipt, ms_error *error) {
  const ms_value *document = NULL;
  ms_status status = rename_new(msi_share_alloc(share), from, to, &document);
  if (status != MS_OK) return msi_fail(error, status, "%s", ms_status_text(status));
  status = ms_share_patch(share, document, NULL, receipt, error);
  ms_value_release(document);
  return status;
}
