/*
 * Writing MessagePack.
 *
 * The encoder keeps one cursor per open container on a stack of its own, so depth costs
 * no C stack, and an item that was taken from a cursor but not written yet, so that a
 * step which ran out of memory can be repeated.
 */
#include "codec.h"

#include <string.h>

#include "node.h"

enum {
  HEAD_BYTES_MAX = 9, /* of an atom without the bytes of a string */
  FRAMES_INSIDE = 8   /* open containers before the stack needs memory */
};

/* ------------------------------------------------------------------ heads of atoms */

static size_t write_number(uint8_t *at, uint8_t tag, uint64_t number, size_t bytes) {
  at[0] = tag;
  for (size_t i = 0; i < bytes; i++)
    at[1 + i] = (uint8_t)(number >> (8 * (bytes - 1 - i)));
  return 1 + bytes;
}

static size_t write_byte(uint8_t *at, unsigned byte) {
  at[0] = (uint8_t)byte;
  return 1;
}

static size_t write_uint(uint8_t *at, uint64_t number) {
  if (number < 128) return write_byte(at, (unsigned)number);
  if (number <= UINT8_MAX) return write_number(at, 0xCC, number, 1);
  if (number <= UINT16_MAX) return write_number(at, 0xCD, number, 2);
  if (number <= UINT32_MAX) return write_number(at, 0xCE, number, 4);
  return write_number(at, 0xCF, number, 8);
}

static size_t write_int(uint8_t *at, int64_t number) {
  if (number >= 0) return write_uint(at, (uint64_t)number);
  if (number >= -32) return write_byte(at, (unsigned)number & 0xFF);
  if (number >= INT8_MIN) return write_number(at, 0xD0, (uint64_t)number, 1);
  if (number >= INT16_MIN) return write_number(at, 0xD1, (uint64_t)number, 2);
  if (number >= INT32_MIN) return write_number(at, 0xD2, (uint64_t)number, 4);
  return write_number(at, 0xD3, (uint64_t)number, 8);
}

static size_t write_double(uint8_t *at, double number) {
  uint64_t bits = 0;
  memcpy(&bits, &number, sizeof bits);
  return write_number(at, 0xCB, bits, 8);
}

static size_t write_str(uint8_t *at, size_t length) {
  if (length < 32) return write_byte(at, 0xA0 | (unsigned)length);
  if (length <= UINT8_MAX) return write_number(at, 0xD9, length, 1);
  if (length <= UINT16_MAX) return write_number(at, 0xDA, length, 2);
  return write_number(at, 0xDB, length, 4);
}

static size_t write_bin(uint8_t *at, size_t length) {
  if (length <= UINT8_MAX) return write_number(at, 0xC4, length, 1);
  if (length <= UINT16_MAX) return write_number(at, 0xC5, length, 2);
  return write_number(at, 0xC6, length, 4);
}

static size_t write_array(uint8_t *at, size_t count) {
  if (count < 16) return write_byte(at, 0x90 | (unsigned)count);
  if (count <= UINT16_MAX) return write_number(at, 0xDC, count, 2);
  return write_number(at, 0xDD, count, 4);
}

static size_t write_map(uint8_t *at, size_t count) {
  if (count < 16) return write_byte(at, 0x80 | (unsigned)count);
  if (count <= UINT16_MAX) return write_number(at, 0xDE, count, 2);
  return write_number(at, 0xDF, count, 4);
}

/* ------------------------------------------------------------------ atoms */

static ms_status pack_head(msi_buffer *out, const uint8_t *head, size_t bytes) {
  return msi_buffer_append(out, head, bytes);
}

ms_status msi_pack_nil(msi_buffer *out) {
  uint8_t head[HEAD_BYTES_MAX];
  return pack_head(out, head, write_byte(head, 0xC0));
}

ms_status msi_pack_bool(msi_buffer *out, bool flag) {
  uint8_t head[HEAD_BYTES_MAX];
  return pack_head(out, head, write_byte(head, flag ? 0xC3 : 0xC2));
}

ms_status msi_pack_int(msi_buffer *out, int64_t number) {
  uint8_t head[HEAD_BYTES_MAX];
  return pack_head(out, head, write_int(head, number));
}

ms_status msi_pack_uint(msi_buffer *out, uint64_t number) {
  uint8_t head[HEAD_BYTES_MAX];
  return pack_head(out, head, write_uint(head, number));
}

ms_status msi_pack_double(msi_buffer *out, double number) {
  uint8_t head[HEAD_BYTES_MAX];
  return pack_head(out, head, write_double(head, number));
}

/* Head and bytes, or neither. */
static ms_status pack_bytes(msi_buffer *out, const uint8_t *head, size_t head_bytes,
                            const void *bytes, size_t length) {
  if (length > SIZE_MAX - head_bytes) return MS_ENOMEM;
  ms_status st = msi_buffer_reserve(out, head_bytes + length);
  if (st != MS_OK) return st;
  memcpy(out->data + out->length, head, head_bytes);
  out->length += head_bytes;
  return msi_buffer_append(out, bytes, length); /* there is room */
}

ms_status msi_pack_string(msi_buffer *out, const char *bytes, size_t length) {
  MSI_ASSERT(length <= UINT32_MAX);
  if (!msi_utf8_valid(bytes, length)) return msi_pack_bin(out, bytes, length);
  uint8_t head[HEAD_BYTES_MAX];
  return pack_bytes(out, head, write_str(head, length), bytes, length);
}

ms_status msi_pack_bin(msi_buffer *out, const void *bytes, size_t length) {
  MSI_ASSERT(length <= UINT32_MAX);
  uint8_t head[HEAD_BYTES_MAX];
  return pack_bytes(out, head, write_bin(head, length), bytes, length);
}

ms_status msi_pack_array(msi_buffer *out, size_t count) {
  MSI_ASSERT(count <= UINT32_MAX);
  uint8_t head[HEAD_BYTES_MAX];
  return pack_head(out, head, write_array(head, count));
}

ms_status msi_pack_map(msi_buffer *out, size_t count) {
  MSI_ASSERT(count <= UINT32_MAX);
  uint8_t head[HEAD_BYTES_MAX];
  return pack_head(out, head, write_map(head, count));
}

/* ------------------------------------------------------------------ values */

static void append_string(msi_buffer *out, const ms_value *value) {
  const msi_string *string = msi_as_string(value);
  uint8_t *at = out->data + out->length;
  bool utf8 = (string->head.flags & MSI_UTF8) != 0;
  at += utf8 ? write_str(at, string->length) : write_bin(at, string->length);
  memcpy(at, string->bytes, string->length);
  out->length = (size_t)(at - out->data) + string->length;
}

/* The atom of a scalar, or the head of a container; the buffer has room. */
static void append_atom(msi_buffer *out, const ms_value *value) {
  uint8_t *at = out->data + out->length;
  int64_t integer = 0;
  double real = 0;
  bool flag = false;
  ms_status st = MS_OK;
  switch (ms_value_type(value)) {
    case MS_NULL: out->length += write_byte(at, 0xC0); break;
    case MS_BOOL:
      st = ms_value_to_bool(value, &flag);
      out->length += write_byte(at, flag ? 0xC3 : 0xC2);
      break;
    case MS_INT:
      st = ms_value_to_int(value, &integer);
      out->length += write_int(at, integer);
      break;
    case MS_DOUBLE:
      st = ms_value_to_double(value, &real);
      out->length += write_double(at, real);
      break;
    case MS_STRING: append_string(out, value); break;
    case MS_ARRAY: out->length += write_array(at, ms_value_count(value)); break;
    case MS_OBJECT: out->length += write_map(at, ms_value_count(value)); break;
    case MS_EMPTY: out->length += write_number(at, 0xC7, 0x0001, 2); break;
  }
  MSI_ASSERT(st == MS_OK);
  (void)st;
}

/* Bytes that append_atom() may need. */
static size_t atom_bytes_max(const ms_value *value) {
  return HEAD_BYTES_MAX + (msi_is_string(value) ? msi_as_string(value)->length : 0);
}

typedef struct msi_frame {
  ms_cursor cursor;
  bool is_object;
} msi_frame;

struct msi_encoder {
  const ms_alloc *alloc;
  const ms_value *root; /* retained by msi_encoder_new(), borrowed by msi_pack_value() */
  const ms_value *key;  /* the item that comes next; borrowed from the root */
  const ms_value *value;
  msi_frame *frames; /* of the open containers; `inside` until that is too small */
  size_t depth;
  size_t capacity;
  msi_frame inside[FRAMES_INSIDE];
};

static void encoder_init(msi_encoder *encoder, const ms_alloc *alloc,
                         const ms_value *value) {
  encoder->alloc = msi_alloc_resolve(alloc);
  encoder->root = value;
  encoder->key = NULL;
  encoder->value = value;
  encoder->frames = encoder->inside;
  encoder->depth = 0;
  encoder->capacity = FRAMES_INSIDE;
}

static void encoder_fini(msi_encoder *encoder) {
  if (encoder->frames != encoder->inside) {
    msi_alloc_free(encoder->alloc, encoder->frames,
                   encoder->capacity * sizeof *encoder->frames);
  }
}

static ms_status encoder_reserve(msi_encoder *encoder) {
  if (encoder->depth < encoder->capacity) return MS_OK;
  size_t old_bytes = encoder->capacity * sizeof(msi_frame);
  if (old_bytes > SIZE_MAX / 2) return MS_ENOMEM;
  bool is_inside = encoder->frames == encoder->inside;
  msi_frame *frames = msi_alloc_resize(encoder->alloc, is_inside ? NULL : encoder->frames,
                                       is_inside ? 0 : old_bytes, old_bytes * 2);
  if (frames == NULL) return MS_ENOMEM;
  if (is_inside) memcpy(frames, encoder->inside, old_bytes);
  encoder->frames = frames;
  encoder->capacity *= 2;
  return MS_OK;
}

/* Writes the item at hand and opens it when it is a container. */
static ms_status encoder_write(msi_encoder *encoder, msi_buffer *out) {
  size_t room = atom_bytes_max(encoder->value);
  if (encoder->key != NULL) room += atom_bytes_max(encoder->key);
  ms_status st = msi_buffer_reserve(out, room);
  if (st != MS_OK) return st;
  ms_type type = ms_value_type(encoder->value);
  if (type == MS_ARRAY || type == MS_OBJECT) {
    st = encoder_reserve(encoder);
    if (st != MS_OK) return st;
    msi_frame *frame = &encoder->frames[encoder->depth++];
    ms_cursor_init(&frame->cursor, encoder->value);
    frame->is_object = type == MS_OBJECT;
  }
  if (encoder->key != NULL) append_string(out, encoder->key);
  append_atom(out, encoder->value);
  encoder->key = NULL;
  encoder->value = NULL;
  return MS_OK;
}

/* The next item of the innermost container; closes it at its end. */
static void encoder_advance(msi_encoder *encoder) {
  msi_frame *frame = &encoder->frames[encoder->depth - 1];
  const char *unused = NULL;
  size_t index = 0;
  bool more = frame->is_object
                  ? msi_cursor_next_key(&frame->cursor, &encoder->key, &encoder->value)
                  : ms_cursor_next(&frame->cursor, &unused, &index, &encoder->value);
  if (!more) encoder->depth--;
}

ms_status msi_encoder_step(msi_encoder *encoder, msi_buffer *out, size_t budget,
                           bool *done) {
  size_t begin = out->length;
  while (encoder->value != NULL || encoder->depth > 0) {
    if (encoder->value == NULL) {
      encoder_advance(encoder);
      continue;
    }
    if (out->length - begin >= budget && out->length > begin) {
      *done = false;
      return MS_OK;
    }
    ms_status st = encoder_write(encoder, out);
    if (st != MS_OK) return st;
  }
  *done = true;
  return MS_OK;
}

ms_status msi_encoder_new(const ms_alloc *alloc, const ms_value *value,
                          msi_encoder **out) {
  alloc = msi_alloc_resolve(alloc);
  msi_encoder *encoder = msi_alloc_get(alloc, sizeof *encoder);
  if (encoder == NULL) return MS_ENOMEM;
  encoder_init(encoder, alloc, ms_value_retain(value));
  *out = encoder;
  return MS_OK;
}

void msi_encoder_free(msi_encoder *encoder) {
  if (encoder == NULL) return;
  encoder_fini(encoder);
  ms_value_release(encoder->root);
  MSI_FREE(encoder->alloc, encoder);
}

ms_status msi_pack_value(msi_buffer *out, const ms_value *value) {
  size_t begin = out->length;
  uint64_t bytes = ms_value_bytes(value);
  if (bytes > SIZE_MAX - HEAD_BYTES_MAX) return MS_ENOMEM;
  ms_status st = msi_buffer_reserve(out, (size_t)bytes + HEAD_BYTES_MAX);
  if (st != MS_OK) return st;
  msi_encoder encoder;
  encoder_init(&encoder, out->alloc, value);
  bool done = false;
  st = msi_encoder_step(&encoder, out, SIZE_MAX, &done);
  encoder_fini(&encoder);
  if (st != MS_OK) out->length = begin;
  MSI_ASSERT(st != MS_OK || (done && out->length - begin == bytes));
  return st;
}

ms_status ms_value_encode(const ms_alloc *alloc, const ms_value *value,
                          const ms_value **out) {
  if (ms_value_bytes(value) > UINT32_MAX) return MS_ELIMIT;
  msi_buffer buffer;
  msi_buffer_init(&buffer, alloc);
  ms_status st = msi_pack_value(&buffer, value);
  if (st == MS_OK) {
    st = ms_value_new_string(alloc, (const char *)buffer.data, buffer.length, out);
  }
  msi_buffer_fini(&buffer);
  return st;
}
