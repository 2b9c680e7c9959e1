/* What patches ask of the desk, and how much there may be on it. See desk.h. */
#include "desk.h"

ms_status msi_desk_ask(const ms_value *desk, const msi_patch *patch, ms_error *error) {
  const ms_update *update = patch->update;
  size_t count = 0;
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *op = &update->ops[i];
    const char *name = NULL;
    size_t length = 0;
    uint64_t fence = 0;
    if (!msi_code_is_of_desk(op->code)) continue;
    if (++count > MSI_DESK_OPS_MAX)
      return msi_fail(error, MS_ELIMIT, "more than %d operations on the desk",
                      MSI_DESK_OPS_MAX);
    if (op->code == MSI_CODE_LAPSE)
      return msi_fail(error, MS_EDENIED, "only a host lets leases lapse");
    if (op->code != MSI_CODE_FENCE) continue;
    (void)msi_desk_number(op->operand, 1, &fence);
    if (ms_value_to_string(ms_value_at(op->operand, 0), &name, &length) == MS_OK &&
        msi_desk_holds(desk, name, length, patch->origin, fence)) {
      continue;
    }
    char text[MSI_PRINT_BYTES];
    return msi_fail(error, MS_EDENIED, "lock \"%s\" is not held any more",
                    msi_text_print(name, length, text, sizeof text));
  }
  return MS_OK;
}

static ms_status limit_op(const ms_value *after, const msi_op *op, uint64_t origin,
                          ms_error *error) {
  const char *name = NULL;
  size_t length = 0;
  if (op->code == MSI_CODE_LOCK &&
      ms_value_to_string(op->operand, &name, &length) == MS_OK &&
      msi_desk_queue(after, name, length) > MSI_QUEUE_MAX) {
    char text[MSI_PRINT_BYTES];
    return msi_fail(error, MS_ELIMIT, "more than %d wait for lock \"%s\"", MSI_QUEUE_MAX,
                    msi_text_print(name, length, text, sizeof text));
  }
  if (op->code == MSI_CODE_GRANT) {
    const ms_value *grants = msi_desk_section(after, "grants");
    uint64_t bytes = ms_value_bytes(op->operand) + (uint64_t)op->target->count * 3;
    if (grants != NULL && ms_value_count(grants) > MSI_GRANTS_MAX)
      return msi_fail(error, MS_ELIMIT, "more than %d grants", MSI_GRANTS_MAX);
    if (bytes > MS_KEY_MAX)
      return msi_fail(error, MS_ELIMIT, "a grant of more than %d bytes", MS_KEY_MAX);
  }
  if (op->code == MSI_CODE_TTL) {
    const ms_value *limited = msi_desk_section(after, "ttl");
    if (limited != NULL && ms_value_count(limited) > MSI_LIMITED_MAX)
      return msi_fail(error, MS_ELIMIT, "more than %d places that expire",
                      MSI_LIMITED_MAX);
  } else if (op->code != MSI_CODE_BIND) {
    return MS_OK;
  }
  if (op->code == MSI_CODE_BIND && msi_desk_owned(after, origin) > MSI_BOUND_MAX)
    return msi_fail(error, MS_ELIMIT, "more than %d paths bound to one peer",
                    MSI_BOUND_MAX);
  size_t bytes = 3;
  for (size_t i = 0; i < op->path->count; i++)
    bytes += (size_t)ms_value_bytes(op->path->segments[i].key);
  if (bytes <= MS_KEY_MAX) return MS_OK;
  return msi_fail(error, MS_ELIMIT, "a bound path of more than %d bytes", MS_KEY_MAX);
}

ms_status msi_desk_limit(const ms_value *before, const ms_value *after,
                         const msi_patch *patch, ms_error *error) {
  const ms_update *update = patch->update;
  uint64_t bytes = ms_value_bytes(after);
  for (uint32_t i = 0; i < update->op_count; i++) {
    if (!msi_code_is_of_desk(update->ops[i].code)) continue;
    ms_status st = limit_op(after, &update->ops[i], patch->origin, error);
    if (st != MS_OK) return st;
  }
  if (bytes <= MSI_DESK_BYTES_MAX || bytes <= ms_value_bytes(before)) return MS_OK;
  return msi_fail(error, MS_ELIMIT, "locks and bound paths would take more than %d bytes",
                  MSI_DESK_BYTES_MAX);
}
