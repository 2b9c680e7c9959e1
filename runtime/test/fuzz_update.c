/*
 * Foreign bytes as an update: what decodes is applied to documents of several shapes. The documents
 * must not change, results must be sound, and the wire form must come back byte for byte.
 */
#include <stdlib.h>
#include <string.h>

#include "update.h"

static void check(bool holds) {
  if (!holds) abort();
}

static void apply_to(const ms_update *update, const char *json) {
  const ms_value *root = NULL, *copy = NULL, *result = NULL;
  check(ms_value_from_json(NULL, json, strlen(json), &root, NULL) == MS_OK);
  check(ms_value_from_json(NULL, json, strlen(json), &copy, NULL) == MS_OK);
  msi_apply context = {NULL, 0, 1 << 20};
  size_t failed_op = SIZE_MAX;
  ms_error error;
  ms_status st = msi_update_apply(&context, update, root, &result, &failed_op, &error);
  check(ms_value_equal(root, copy));
  if (st == MS_OK) {
    check(msi_value_check(result));
    check(ms_value_bytes(result) <= (1 << 20));
    check(msi_value_depth(result, 2 * MS_DEPTH_MAX) <= MS_DEPTH_MAX);
  } else {
    check(error.status == st && error.message[0] != '\0');
    check(failed_op < update->op_count);
  }
  ms_value_release(result);
  ms_value_release(copy);
  ms_value_release(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  ms_update *update = NULL, *again = NULL;
  ms_error error;
  ms_status st = msi_update_decode(NULL, data, bytes, &update, &error);
  if (st != MS_OK) {
    check(error.status == st && error.message[0] != '\0');
    return 0;
  }
  check(update->wire_bytes == bytes && memcmp(update->wire, data, bytes) == 0);
  const ms_update *parts[] = {update, update};
  check(msi_update_concat(NULL, parts, 2, &again) == MS_OK);
  check(again->op_count == 2 * update->op_count);
  apply_to(update, "{}");
  apply_to(update, "{\"$empty\": true}");
  apply_to(again,
           "{\"a\": {\"b\": [1, {\"c\": 2.5}], \"t\": {\"$empty\": true}}, \"b\": [0],"
           " \"c\": \"x\", \"\": {}}");
  ms_update_release(again);
  ms_update_release(update);
  return 0;
}
