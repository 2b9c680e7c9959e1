/*
 * MessagePack: values, and the atoms that protocol messages are made of.
 *
 *   empty table   c7 00 01 (ext 8, length 0, type 1)
 *   string        str when valid UTF-8, else bin; both decode to the same bytes
 *   integers      the shortest form; doubles always float 64 (float 32 is accepted)
 *
 * Values are encoded and decoded with an explicit stack, never by recursion on the C
 * stack, and can stop and go on between atoms: a snapshot is encoded in pieces while the
 * loop serves others.
 *
 * Statuses of reading: MS_ELIMIT when the bytes end early, a container announces more
 * than follows, levels or keys are beyond their limit; MS_ETYPE for everything else that
 * is refused.
 */
#ifndef MSI_CODEC_H
#define MSI_CODEC_H

#include "value.h"

/* ----- atoms: append to a buffer. MS_ENOMEM. */
MS_CHECKED ms_status msi_pack_nil(msi_buffer *out);
MS_CHECKED ms_status msi_pack_bool(msi_buffer *out, bool flag);
MS_CHECKED ms_status msi_pack_int(msi_buffer *out, int64_t number);
MS_CHECKED ms_status msi_pack_uint(msi_buffer *out, uint64_t number);
MS_CHECKED ms_status msi_pack_double(msi_buffer *out, double number);
MS_CHECKED ms_status msi_pack_string(msi_buffer *out, const char *bytes, size_t length);
MS_CHECKED ms_status msi_pack_bin(msi_buffer *out, const void *bytes, size_t length);
MS_CHECKED ms_status msi_pack_array(msi_buffer *out, size_t count);
MS_CHECKED ms_status msi_pack_map(msi_buffer *out, size_t count);
/* A whole value. */
MS_CHECKED ms_status msi_pack_value(msi_buffer *out, const ms_value *value);

/* ----- atoms: read from borrowed bytes. On failure the reader stays where it was.
 * MS_ETYPE: another atom stands there, or a number out of range; MS_ELIMIT: the bytes end
 * early. */
typedef struct msi_reader {
  const uint8_t *at, *end;
} msi_reader;
MS_CHECKED ms_status msi_unpack_nil(msi_reader *in);
MS_CHECKED ms_status msi_unpack_bool(msi_reader *in, bool *out);
MS_CHECKED ms_status msi_unpack_int(msi_reader *in, int64_t *out);
MS_CHECKED ms_status msi_unpack_uint(msi_reader *in, uint64_t *out);
/* str or bin; the bytes are borrowed from the input. */
MS_CHECKED ms_status msi_unpack_string(msi_reader *in, const char **bytes,
                                       size_t *length);
MS_CHECKED ms_status msi_unpack_array(msi_reader *in, size_t *count);
MS_CHECKED ms_status msi_unpack_map(msi_reader *in, size_t *count);
/* A whole value of at most `depth_max` levels. Strings are copied. A container's
 * announced count is checked against the bytes that are left before memory is asked for.
 * */
MS_CHECKED ms_status msi_unpack_value(msi_reader *in, const ms_alloc *alloc,
                                      size_t depth_max, const ms_value **out,
                                      ms_error *error);
enum { MSI_SKIP_DEPTH_MAX = 128 }; /* MS_DEPTH_MAX and what messages wrap around values */
/* Step over one whole value and return its bytes (borrowed). Checks depth and bounds
 * only. */
MS_CHECKED ms_status msi_unpack_skip(msi_reader *in, const uint8_t **start,
                                     size_t *bytes);
/* Whether there are at most that many values and keys in what is left, containers and what they
 * hold counted alike, as far as they are well formed. */
bool msi_unpack_is_within(msi_reader in, size_t count_max);

/* ----- a value in pieces */
typedef struct msi_encoder msi_encoder;
/* value: retained until free. */
MS_CHECKED ms_status msi_encoder_new(const ms_alloc *alloc, const ms_value *value,
                                     msi_encoder **out);
/* Append whole atoms until at least `budget` bytes were added (at least one atom) or the
 * value is complete. After MS_ENOMEM the atoms already added stay, and the step may be
 * repeated. */
MS_CHECKED ms_status msi_encoder_step(msi_encoder *encoder, msi_buffer *out,
                                      size_t budget, bool *done);
void msi_encoder_free(msi_encoder *encoder); /* accepts NULL */

typedef struct msi_decoder msi_decoder;
/* bytes_max: of all pieces together; more is MS_ELIMIT. */
MS_CHECKED ms_status msi_decoder_new(const ms_alloc *alloc, size_t depth_max,
                                     uint64_t bytes_max, msi_decoder **out);
/* One piece: whole atoms. *done once the value is complete; bytes after that are
 * MS_ETYPE. */
MS_CHECKED ms_status msi_decoder_feed(msi_decoder *decoder, const void *data,
                                      size_t bytes, bool *done, ms_error *error);
/* The complete value, retained by the caller, once; NULL before. */
const ms_value *msi_decoder_take(msi_decoder *decoder);
void msi_decoder_free(msi_decoder *decoder); /* accepts NULL */

#endif
