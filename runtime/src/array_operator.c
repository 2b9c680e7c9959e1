/*
 * The operators on arrays but for $push (push.c): $addToSet, $pop, $pull, $pullAll and our own
 * removal by index. The empty table is an array without elements to all of them. They answer with a
 * new array, which shares with the old one what they leave alone.
 */
#include <string.h>

#include "operator.h"

/* ----------------------------------------------------------------- elements */

ms_status msi_list_find_each(const ms_value *given, const msi_op *op,
                             const ms_value **out, ms_error *error) {
  *out = ms_value_type(given) == MS_OBJECT ? ms_value_get(given, "$each", 5) : NULL;
  if (*out == NULL || msi_value_is_array(*out)) return MS_OK;
  return msi_op_bad_operand(op, *out, "an array for $each", error);
}

ms_status msi_list_to_array(const ms_alloc *alloc, const ms_value *list,
                            const ms_value **out) {
  if (ms_value_type(list) != MS_ARRAY) return ms_value_new_array(alloc, out);
  *out = ms_value_retain(list);
  return MS_OK;
}

ms_status msi_list_of_one(const ms_alloc *alloc, const ms_value *element,
                          const ms_value **out) {
  const ms_value *list;
  ms_status st = ms_value_new_array(alloc, &list);
  if (st != MS_OK) return st;
  st = ms_value_append(alloc, &list, element);
  if (st == MS_OK) {
    *out = list;
  } else {
    ms_value_release(list);
  }
  return st;
}

bool msi_is_direction(const ms_value *value, int64_t *out) {
  return msi_value_to_whole(value, out) && (*out == 1 || *out == -1);
}

ms_type msi_target_array_type(const msi_target *target) {
  return target->old_value == NULL ? MS_EMPTY : ms_value_type(target->old_value);
}

/* --------------------------------------------------------------- add to set */

/* The first of equal elements stays. */
static ms_status distinct(const ms_alloc *alloc, const ms_value *list,
                          const ms_value **out) {
  msi_value_set *set;
  ms_status st = msi_value_set_new(alloc, list, &MSI_METER_ENDLESS, &set);
  if (st != MS_OK) return st;
  size_t count = ms_value_count(list);
  if (set->count == count) {
    *out = ms_value_retain(list);
    msi_value_set_free(set);
    return MS_OK;
  }
  bool *stays = msi_alloc_zero(alloc, count);
  const ms_value *kept = NULL;
  st = stays == NULL ? MS_ENOMEM : ms_value_new_array(alloc, &kept);
  for (size_t i = 0; i < set->count && st == MS_OK; i++) stays[set->indexes[i]] = true;
  for (size_t i = 0; i < count && st == MS_OK; i++) {
    if (stays[i]) st = ms_value_append(alloc, &kept, ms_value_at(list, i));
  }
  msi_alloc_free(alloc, stays, count);
  msi_value_set_free(set);
  if (st == MS_OK) {
    *out = kept;
  } else {
    ms_value_release(kept);
  }
  return st;
}

ms_status msi_add_to_set_compile(const ms_alloc *alloc, const ms_value *given, msi_op *op,
                                 ms_error *error) {
  const ms_value *each, *list;
  ms_status st = msi_list_find_each(given, op, &each, error);
  if (st != MS_OK) return st;
  if (each == NULL) return msi_list_of_one(alloc, given, &op->operand);
  if (ms_value_count(given) > 1) {
    char text[MSI_PRINT_BYTES];
    return msi_fail(error, MS_EARGUMENT, "$addToSet: \"%s\" needs nothing beside $each",
                    msi_op_print(op, text, sizeof text));
  }
  st = msi_list_to_array(alloc, each, &list);
  if (st != MS_OK) return st;
  st = distinct(alloc, list, &op->operand);
  ms_value_release(list);
  return st;
}

static ms_status fail_set(const msi_op *op, ms_status st, ms_error *error) {
  char text[MSI_PRINT_BYTES];
  if (st != MS_ELIMIT) return msi_fail(error, st, "%s", ms_status_text(st));
  return msi_fail(error, st, "%s: \"%s\" has too many values: more than %d steps",
                  msi_op_name(op), msi_op_print(op, text, sizeof text), MS_STEPS_MAX);
}

ms_status msi_add_to_set_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  if (ms_value_type(op->operand) != MS_ARRAY) {
    return msi_op_bad_operand(op, op->operand, "an array of elements", error);
  }
  ms_status st = msi_query_new_set(alloc, op->operand, &op->query);
  if (st != MS_OK) return fail_set(op, st, error);
  if (msi_query_set(op->query)->count == ms_value_count(op->operand)) return MS_OK;
  return msi_fail(error, MS_EARGUMENT, "$addToSet: the elements are not different");
}

/* Marks those elements of the operand that the array holds, by their places in the set. */
static size_t mark_present(const msi_value_set *set, const ms_value *array,
                           bool *is_present, msi_meter *meter) {
  size_t found = 0;
  ms_cursor cursor;
  const char *key;
  size_t index;
  const ms_value *element;
  ms_cursor_init(&cursor, array);
  while (found < set->count && msi_meter_take(meter, 1) &&
         ms_cursor_next(&cursor, &key, &index, &element)) {
    size_t at = msi_value_set_find(set, element, meter);
    if (at == SIZE_MAX || is_present[set->indexes[at]]) continue;
    is_present[set->indexes[at]] = true;
    found++;
  }
  return found;
}

static ms_status pick_absent(const ms_alloc *alloc, const ms_value *operand,
                             const bool *is_present, const ms_value **out) {
  const ms_value *absent;
  ms_status st = ms_value_new_array(alloc, &absent);
  if (st != MS_OK) return st;
  for (size_t i = 0; i < ms_value_count(operand) && st == MS_OK; i++) {
    if (!is_present[i]) st = ms_value_append(alloc, &absent, ms_value_at(operand, i));
  }
  if (st == MS_OK) {
    *out = absent;
  } else {
    ms_value_release(absent);
  }
  return st;
}

ms_status msi_add_to_set_apply(const msi_target *target, msi_outcome *out,
                               ms_error *error) {
  const ms_value *operand = target->op->operand;
  const ms_alloc *alloc = target->context->alloc;
  size_t count = ms_value_count(operand);
  if (msi_target_array_type(target) != MS_ARRAY || count == 0) {
    return msi_push_apply(target, out, error);
  }
  bool *is_present = msi_alloc_zero(alloc, count);
  if (is_present == NULL) return MS_ENOMEM;
  size_t found = mark_present(msi_query_set(target->op->query), target->old_value,
                              is_present, target->meter);
  ms_status st = MS_OK;
  if (found < count) {
    out->action = MSI_ACTION_APPEND;
    st = pick_absent(alloc, operand, is_present, &out->value);
  }
  msi_alloc_free(alloc, is_present, count);
  return st;
}

/* ---------------------------------------------------------------------- pop */

ms_status msi_pop_compile(const ms_alloc *alloc, const ms_value *given, msi_op *op,
                          ms_error *error) {
  int64_t end;
  if (!msi_is_direction(given, &end)) {
    char text[MSI_PRINT_BYTES];
    return msi_fail(error, MS_EARGUMENT, "$pop: \"%s\" needs 1 or -1",
                    msi_op_print(op, text, sizeof text));
  }
  return ms_value_new_int(alloc, end, &op->operand);
}

ms_status msi_pop_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  (void)alloc;
  int64_t end;
  if (ms_value_type(op->operand) == MS_INT && msi_is_direction(op->operand, &end)) {
    return MS_OK;
  }
  return msi_op_bad_operand(op, op->operand, "1 or -1", error);
}

static ms_status erase_one(const msi_target *target, size_t index, msi_outcome *out) {
  const ms_value *array = ms_value_retain(target->old_value);
  ms_status st = ms_value_erase_at(target->context->alloc, &array, index);
  if (st != MS_OK) {
    ms_value_release(array);
    return st;
  }
  out->action = MSI_ACTION_STORE;
  out->value = array;
  return MS_OK;
}

ms_status msi_pop_apply(const msi_target *target, msi_outcome *out, ms_error *error) {
  if (!msi_value_is_array(target->old_value)) {
    return msi_target_mismatch(target, "an array", error);
  }
  int64_t end = 1;
  size_t count = ms_value_count(target->old_value);
  if (count == 0) return MS_OK;
  ms_status st = ms_value_to_int(target->op->operand, &end);
  return st != MS_OK ? st : erase_one(target, end < 0 ? 0 : count - 1, out);
}

/* --------------------------------------------------------------------- pull */

ms_status msi_pull_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  ms_error inner = {MS_OK, ""};
  ms_status st = msi_query_parse_pull(alloc, op->operand, &op->query, &inner);
  if (st == MS_OK) return st;
  char text[MSI_PRINT_BYTES];
  return msi_fail(error, st, "$pull: \"%s\": %s", msi_op_print(op, text, sizeof text),
                  inner.message);
}

ms_status msi_pull_all_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  if (!msi_value_is_array(op->operand)) {
    return msi_op_bad_operand(op, op->operand, "an array of values", error);
  }
  ms_status st = msi_query_new_set(alloc, op->operand, &op->query);
  return st == MS_OK ? st : fail_set(op, st, error);
}

ms_status msi_pull_apply(const msi_target *target, msi_outcome *out, ms_error *error) {
  const ms_value *array = target->old_value;
  if (!msi_value_is_array(array)) return msi_target_mismatch(target, "an array", error);
  if (ms_value_count(array) == 0) return MS_OK;
  const ms_value *rest = ms_value_retain(array);
  size_t gone = 0;
  ms_cursor cursor;
  const char *key;
  size_t index;
  const ms_value *element;
  ms_cursor_init(&cursor, array);
  while (!msi_meter_is_out(target->meter) &&
         ms_cursor_next(&cursor, &key, &index, &element)) {
    if (!msi_query_matches(target->op->query, element, target->meter)) continue;
    ms_status st = ms_value_erase_at(target->context->alloc, &rest, index - gone);
    if (st != MS_OK) {
      ms_value_release(rest);
      return st;
    }
    gone++;
  }
  out->action = gone > 0 ? MSI_ACTION_STORE : MSI_ACTION_KEEP;
  out->value = rest;
  return MS_OK;
}

/* ---------------------------------------------------------- remove at an index */

ms_status msi_remove_at_check(const ms_alloc *alloc, msi_op *op, ms_error *error) {
  (void)alloc;
  int64_t index;
  if (ms_value_to_int(op->operand, &index) == MS_OK && index >= 0) return MS_OK;
  return msi_op_bad_operand(op, op->operand, "an index", error);
}

ms_status msi_remove_at_apply(const msi_target *target, msi_outcome *out,
                              ms_error *error) {
  if (!msi_value_is_array(target->old_value)) {
    return msi_target_mismatch(target, "an array", error);
  }
  int64_t index = 0;
  ms_status st = ms_value_to_int(target->op->operand, &index);
  if (st != MS_OK) return st;
  if ((uint64_t)index < ms_value_count(target->old_value)) {
    return erase_one(target, (size_t)index, out);
  }
  char text[MSI_PRINT_BYTES];
  return msi_fail(error, MS_EPATH, "remove: \"%s\" has no element %lld",
                  msi_place_print(target->frame, target->route, text, sizeof text),
                  (long long)index);
}
