/*
 * Fuzz target: a document in MessagePack, and behind it foreign bytes as an update, which is
 * applied to it. The document must not change, results must be sound, and the wire form must come
 * back byte for byte.
 */
#include "fuzz_support.h"

/* Foreign bytes need not be in their shortest form; what they are encoded to is. */
static void check_wire(const ms_update *update, const uint8_t *data, size_t bytes) {
  MUST(update->wire_bytes == bytes && memcmp(update->wire, data, bytes) == 0);
  ms_update *own = mst_fuzz_reencode(update);
  ms_update *decoded = mst_fuzz_decode_own(own);
  mst_fuzz_same_ops(update, decoded);
  ms_update_release(decoded);
  ms_update_release(own);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  msi_reader in = {data, data + bytes};
  const ms_value *root = NULL;
  ms_update *update = NULL;
  ms_error error = {MS_OK, ""};
  if (msi_unpack_value(&in, NULL, MS_DEPTH_MAX, &root, NULL) != MS_OK) return 0;
  size_t wire_bytes = (size_t)(in.end - in.at);
  ms_status st = msi_update_decode(NULL, in.at, wire_bytes, &update, &error);
  if (st == MS_OK) {
    check_wire(update, in.at, wire_bytes);
    const ms_value *result =
        mst_fuzz_is_slow(update) ? NULL : mst_fuzz_apply(update, root);
    if (result != NULL) {
      mst_fuzz_mark(update, root, result);
      mst_fuzz_twice(update, root, result);
    }
    ms_value_release(result);
  } else {
    MUST(update == NULL && error.status == st && error.message[0] != '\0');
  }
  ms_update_release(update);
  ms_value_release(root);
  return 0;
}
