/*
 * Bytes that nobody vouches for: what is decoded must encode to something that decodes to
 * an equal value and is encoded alike. The same bytes also go through in pieces and
 * through the atoms.
 */
#include <stdlib.h>

#include "codec.h"

#define MUST(condition)                                                                  \
  do {                                                                                   \
    if (!(condition)) abort();                                                           \
  } while (0)

static void check_value(const ms_value *value) {
  MUST(msi_value_check(value));
  const ms_value *encoded = NULL;
  const ms_value *again = NULL;
  const ms_value *back = NULL;
  const char *bytes = NULL;
  size_t length = 0;
  MUST(ms_value_encode(NULL, value, &encoded) == MS_OK);
  MUST(ms_value_to_string(encoded, &bytes, &length) == MS_OK);
  MUST(length == ms_value_bytes(value));
  MUST(ms_value_decode(NULL, bytes, length, &back, NULL) == MS_OK);
  MUST(ms_value_equal(value, back));
  MUST(ms_value_encode(NULL, back, &again) == MS_OK);
  MUST(ms_value_equal(encoded, again));
  ms_value_release(encoded);
  ms_value_release(again);
  ms_value_release(back);
}

/* Atom by atom, as skipping sees them, each its own piece. */
static const ms_value *decode_in_pieces(const uint8_t *data, size_t size) {
  msi_decoder *decoder = NULL;
  MUST(msi_decoder_new(NULL, MS_DEPTH_MAX, size, &decoder) == MS_OK);
  bool done = false;
  size_t from = 0;
  for (size_t to = 1; to <= size && !done; to++) {
    /* A piece of whole atoms is one that a fresh reader steps over to its very end. */
    msi_reader in = {data + from, data + to};
    const uint8_t *start = NULL;
    size_t bytes = 0;
    size_t count = 0;
    bool is_atom = msi_unpack_skip(&in, &start, &bytes) == MS_OK;
    in = (msi_reader){data + from, data + size};
    if (!is_atom && (msi_unpack_array(&in, &count) == MS_OK ||
                     msi_unpack_map(&in, &count) == MS_OK)) {
      is_atom = in.at == data + to;
    }
    if (!is_atom) continue;
    if (msi_decoder_feed(decoder, data + from, to - from, &done, NULL) != MS_OK) break;
    from = to;
  }
  const ms_value *value = msi_decoder_take(decoder);
  msi_decoder_free(decoder);
  return value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const ms_value *value = NULL;
  ms_error error;
  ms_status st = ms_value_decode(NULL, data, size, &value, &error);
  if (st == MS_OK) {
    check_value(value);
    const ms_value *pieces = size <= 512 ? decode_in_pieces(data, size) : NULL;
    if (size <= 512) MUST(pieces != NULL && ms_value_equal(value, pieces));
    ms_value_release(pieces);
  } else {
    MUST(st == MS_ETYPE || st == MS_ELIMIT);
    MUST(error.status == st && error.message[0] != '\0');
  }
  ms_value_release(value);
  return 0;
}
