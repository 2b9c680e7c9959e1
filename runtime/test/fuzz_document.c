/*
 * Fuzz target: [document, update, array filters, condition], as JSON or MessagePack. What parses
 * goes over the wire and back, and is applied before and after.
 */
#include "fuzz_support.h"

enum { DOCUMENT, UPDATE, FILTERS, WHERE, PARTS };

static void check_update(const ms_update *update, const ms_value *root) {
  ms_update *decoded = mst_fuzz_decode_own(update);
  const ms_value *result = mst_fuzz_apply(update, root);
  const ms_value *again = mst_fuzz_apply(decoded, root);
  mst_fuzz_same_result(result, again);
  if (result != NULL) {
    mst_fuzz_mark(update, root, result);
    mst_fuzz_twice(decoded, root, result);
  }
  ms_value_release(again);
  ms_value_release(result);
  ms_update_release(decoded);
}

static const ms_value *given(const ms_value *value) {
  return value == NULL || ms_value_type(value) == MS_NULL ? NULL : value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  const ms_value *parts[PARTS];
  const ms_value *list = mst_fuzz_values(data, bytes, parts, PARTS);
  if (list == NULL || parts[UPDATE] == NULL) {
    ms_value_release(list);
    return 0;
  }
  ms_update_options options;
  ms_update_options_init(&options);
  options.array_filters = given(parts[FILTERS]);
  options.where = given(parts[WHERE]);
  ms_update *update = NULL;
  ms_error error = {MS_OK, ""};
  ms_status st = ms_update_parse(NULL, parts[UPDATE], &options, &update, &error);
  if (st == MS_OK) {
    if (!mst_fuzz_is_slow(update)) check_update(update, parts[DOCUMENT]);
  } else {
    MUST(update == NULL && error.status == st && error.message[0] != '\0');
  }
  ms_update_release(update);
  ms_value_release(list);
  return 0;
}
