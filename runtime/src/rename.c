/*
 * $rename: takes a value from its place and puts it in another. It is done by the operation at
 * the target, as MongoDB does it: that decides which of several failures is told.
 */
#include "engine.h"

/* Neither from nor into an array: the first `count` containers of the trail are none. */
static ms_status check_no_array(const msi_engine *self, const msi_op *op,
                                const ms_path *path, const msi_trail *found,
                                size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (ms_value_type(found->at[i]) != MS_ARRAY) continue;
    char whole[MSI_PRINT_BYTES], part[MSI_PRINT_BYTES];
    return msi_fail(self->error, MS_EPATH, "%s: \"%s\": \"%s\" holds an array",
                    msi_op_name(op), msi_path_print(path, whole, sizeof whole),
                    msi_path_print_first(path, i, part, sizeof part));
  }
  return MS_OK;
}

/* What goes deeper may go too deep; only then the value is walked. */
static ms_status check_depth(const msi_engine *self, const msi_op *op,
                             const ms_value *value) {
  size_t room = MS_DEPTH_MAX - (size_t)op->path->count;
  if (op->path->count <= op->target->count) return MS_OK;
  (void)msi_meter_take(self->meter, ms_value_bytes(value) / MSI_STEP_BYTES);
  ms_status st = msi_engine_check_steps(self);
  if (st != MS_OK || msi_value_depth(value, room) <= room) return st;
  char text[MSI_PRINT_BYTES];
  return msi_fail(self->error, MS_ELIMIT,
                  "$rename: \"%s\" would be deeper than %d levels",
                  msi_path_print(op->path, text, sizeof text), MS_DEPTH_MAX);
}

/* The value is in place already when it is equal, be it of the other type of number. */
static ms_status store_renamed(msi_engine *self, const msi_op *op,
                               const ms_value *value) {
  msi_route route = {op->path->segments, op->path->count};
  msi_trail found;
  msi_trail_walk(&found, self, route);
  size_t containers = found.found < route.count ? found.found + 1 : route.count;
  ms_status st = check_no_array(self, op, op->path, &found, containers);
  if (st != MS_OK) return st;
  if (found.is_blocked) return msi_engine_fail_blocked(self, op, route, &found);
  if (found.found == route.count &&
      msi_compare_equal(found.at[found.found], value, self->meter)) {
    return msi_engine_check_steps(self);
  }
  st = msi_engine_check_steps(self);
  if (st != MS_OK) return st;
  msi_outcome outcome = {MSI_ACTION_STORE, ms_value_retain(value)};
  return msi_engine_settle(self, route, &found, outcome);
}

ms_status msi_engine_rename(msi_engine *self, const msi_op *op) {
  msi_route route = {op->target->segments, op->target->count};
  msi_trail found;
  msi_trail_walk(&found, self, route);
  if (found.is_blocked) return msi_engine_fail_blocked(self, op, route, &found);
  if (found.found < route.count) return MS_OK;
  ms_status st = check_no_array(self, op, op->target, &found, route.count);
  const ms_value *value = found.at[route.count];
  if (st == MS_OK) st = check_depth(self, op, value);
  if (st != MS_OK) return st;
  ms_value_retain(value);
  msi_outcome outcome = {MSI_ACTION_REMOVE, NULL};
  st = msi_engine_settle(self, route, &found, outcome);
  if (st == MS_OK) st = store_renamed(self, op, value);
  ms_value_release(value);
  return st;
}
