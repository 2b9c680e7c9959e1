/*
 * Reading MessagePack from bytes that nobody vouches for.
 *
 * atom_read() is the only place that looks at bytes; it never reads beyond the end.
 * Everything else works on atoms. The decoder keeps open containers on a stack of its own
 * and gives an item to its container as soon as it is complete; what a container
 * announces is believed only as far as there are bytes for it, and never decides how much
 * memory is asked for beyond a small flat block.
 */
#include "codec.h"

#include <string.h>

#include "node.h"

enum {
  FRAMES_INSIDE = 16,   /* open containers before the stack needs memory */
  KEYS_CACHED = 64,     /* a power of two */
  KEY_CACHED_BYTES = 32 /* longer keys are not kept */
};

typedef enum msi_atom_kind {
  ATOM_NIL,
  ATOM_BOOL,
  ATOM_INT,
  ATOM_BIG, /* above INT64_MAX */
  ATOM_DOUBLE,
  ATOM_STRING,
  ATOM_ARRAY,
  ATOM_MAP,
  ATOM_EMPTY
} msi_atom_kind;

typedef struct msi_atom {
  msi_atom_kind kind;
  uint64_t number; /* flag, integer, count or length, as its kind says */
  double real;
  const char *bytes; /* borrowed from the input */
} msi_atom;

/* ------------------------------------------------------------------ bytes to atoms */

static bool read_number(msi_reader *in, size_t bytes, uint64_t *out) {
  if ((size_t)(in->end - in->at) < bytes) return false;
  uint64_t number = 0;
  for (size_t i = 0; i < bytes; i++) number = number << 8 | in->at[i];
  in->at += bytes;
  *out = number;
  return true;
}

static ms_status atom_set(msi_atom *atom, msi_atom_kind kind, uint64_t number) {
  atom->kind = kind;
  atom->number = number;
  return MS_OK;
}

static ms_status atom_string(msi_reader *in, msi_atom *atom, uint64_t length) {
  if ((uint64_t)(in->end - in->at) < length) return MS_ELIMIT;
  atom->bytes = (const char *)in->at;
  in->at += length;
  return atom_set(atom, ATOM_STRING, length);
}

/* Extension: type 1 of length 0 is the empty table, nothing else is known. */
static ms_status atom_extension(msi_reader *in, msi_atom *atom, uint64_t length) {
  uint64_t type = 0;
  if (!read_number(in, 1, &type)) return MS_ELIMIT;
  if (type != 1 || length != 0) return MS_ETYPE;
  return atom_set(atom, ATOM_EMPTY, 0);
}

static ms_status atom_float(msi_atom *atom, uint8_t tag, uint64_t number) {
  if (tag == 0xCA) {
    uint32_t bits = (uint32_t)number;
    float real = 0;
    memcpy(&real, &bits, sizeof real);
    atom->real = (double)real;
  } else {
    memcpy(&atom->real, &number, sizeof number);
  }
  return atom_set(atom, ATOM_DOUBLE, 0);
}

static ms_status atom_signed(msi_atom *atom, uint64_t number, size_t bytes) {
  MSI_ASSERT(bytes > 0);
  unsigned shift = (unsigned)(64 - 8 * bytes);
  return atom_set(atom, ATOM_INT, (uint64_t)((int64_t)(number << shift) >> shift));
}

/* Tags from 0xC0 to 0xDF. */
static ms_status atom_read_tagged(msi_reader *in, msi_atom *atom, uint8_t tag) {
  /* How many bytes of number follow 0xC4 ... 0xDF. */
  static const uint8_t number_bytes[] = {1, 2, 4, 1, 2, 4, 4, 8, 1, 2, 4, 8, 1, 2,
                                         4, 8, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4};
  if (tag == 0xC0) return atom_set(atom, ATOM_NIL, 0);
  if (tag == 0xC1) return MS_ETYPE;
  if (tag <= 0xC3) return atom_set(atom, ATOM_BOOL, tag == 0xC3);
  size_t bytes = number_bytes[tag - 0xC4];
  uint64_t number = 0;
  if (!read_number(in, bytes, &number)) return MS_ELIMIT;
  if (tag <= 0xC6) return atom_string(in, atom, number);
  if (tag <= 0xC9) return atom_extension(in, atom, number);
  if (tag <= 0xCB) return atom_float(atom, tag, number);
  if (tag <= 0xCF)
    return atom_set(atom, number > INT64_MAX ? ATOM_BIG : ATOM_INT, number);
  if (tag <= 0xD3) return atom_signed(atom, number, bytes);
  if (tag <= 0xD8) return MS_ETYPE; /* extensions of fixed length */
  if (tag <= 0xDB) return atom_string(in, atom, number);
  return atom_set(atom, tag <= 0xDD ? ATOM_ARRAY : ATOM_MAP, number);
}

/* On failure the reader stays where it was. */
static ms_status atom_read(msi_reader *in, msi_atom *atom) {
  if (in->at == in->end) return MS_ELIMIT;
  msi_reader ahead = *in;
  uint8_t tag = *ahead.at++;
  ms_status st = MS_OK;
  if (tag <= 0x7F) {
    st = atom_set(atom, ATOM_INT, tag);
  } else if (tag <= 0x8F) {
    st = atom_set(atom, ATOM_MAP, tag & 0x0F);
  } else if (tag <= 0x9F) {
    st = atom_set(atom, ATOM_ARRAY, tag & 0x0F);
  } else if (tag <= 0xBF) {
    st = atom_string(&ahead, atom, tag & 0x1F);
  } else if (tag >= 0xE0) {
    st = atom_signed(atom, tag, 1);
  } else {
    st = atom_read_tagged(&ahead, atom, tag);
  }
  if (st == MS_OK) *in = ahead;
  return st;
}

/* ------------------------------------------------------------------ atoms for protocol
 * messages */

/* Reads an atom that must be of one kind; otherwise the reader stays where it was. */
static ms_status unpack_kind(msi_reader *in, msi_atom_kind kind, msi_atom *atom) {
  msi_reader ahead = *in;
  ms_status st = atom_read(&ahead, atom);
  if (st != MS_OK) return st;
  if (atom->kind != kind) return MS_ETYPE;
  *in = ahead;
  return MS_OK;
}

ms_status msi_unpack_nil(msi_reader *in) {
  msi_atom atom;
  return unpack_kind(in, ATOM_NIL, &atom);
}

ms_status msi_unpack_bool(msi_reader *in, bool *out) {
  msi_atom atom;
  ms_status st = unpack_kind(in, ATOM_BOOL, &atom);
  if (st == MS_OK) *out = atom.number != 0;
  return st;
}

ms_status msi_unpack_int(msi_reader *in, int64_t *out) {
  msi_atom atom;
  ms_status st = unpack_kind(in, ATOM_INT, &atom);
  if (st == MS_OK) *out = (int64_t)atom.number;
  return st;
}

ms_status msi_unpack_uint(msi_reader *in, uint64_t *out) {
  msi_atom atom;
  msi_reader ahead = *in;
  ms_status st = atom_read(&ahead, &atom);
  if (st != MS_OK) return st;
  bool fits =
      atom.kind == ATOM_BIG || (atom.kind == ATOM_INT && (int64_t)atom.number >= 0);
  if (!fits) return MS_ETYPE;
  *in = ahead;
  *out = atom.number;
  return MS_OK;
}

ms_status msi_unpack_string(msi_reader *in, const char **bytes, size_t *length) {
  msi_atom atom;
  ms_status st = unpack_kind(in, ATOM_STRING, &atom);
  if (st != MS_OK) return st;
  *bytes = atom.bytes;
  *length = (size_t)atom.number;
  return MS_OK;
}

/* Each of `count` items takes at least `bytes_min` bytes. */
static ms_status unpack_count(msi_reader *in, msi_atom_kind kind, uint64_t bytes_min,
                              size_t *count) {
  msi_atom atom;
  msi_reader ahead = *in;
  ms_status st = unpack_kind(&ahead, kind, &atom);
  if (st != MS_OK) return st;
  if (atom.number > (uint64_t)(ahead.end - ahead.at) / bytes_min) return MS_ELIMIT;
  *in = ahead;
  *count = (size_t)atom.number;
  return MS_OK;
}

ms_status msi_unpack_array(msi_reader *in, size_t *count) {
  return unpack_count(in, ATOM_ARRAY, 1, count);
}

ms_status msi_unpack_map(msi_reader *in, size_t *count) {
  return unpack_count(in, ATOM_MAP, 2, count);
}

ms_status msi_unpack_skip(msi_reader *in, const uint8_t **start, size_t *bytes) {
  uint64_t left[MSI_SKIP_DEPTH_MAX]; /* items still to come, per open container */
  size_t depth = 0;
  msi_reader ahead = *in;
  for (;;) {
    msi_atom atom;
    ms_status st = atom_read(&ahead, &atom);
    if (st != MS_OK) return st;
    uint64_t items = atom.kind == ATOM_ARRAY ? atom.number
                     : atom.kind == ATOM_MAP ? atom.number * 2
                                             : 0;
    if (items > 0) {
      if (depth == MSI_SKIP_DEPTH_MAX) return MS_ELIMIT;
      if (items > (uint64_t)(ahead.end - ahead.at)) return MS_ELIMIT;
      left[depth++] = items;
      continue;
    }
    while (depth > 0 && --left[depth - 1] == 0) depth--;
    if (depth == 0) break;
  }
  *start = in->at;
  *bytes = (size_t)(ahead.at - in->at);
  *in = ahead;
  return MS_OK;
}

bool msi_unpack_is_within(msi_reader in, size_t count_max) {
  if ((size_t)(in.end - in.at) <= count_max) return true; /* each takes a byte or more */
  msi_atom atom;
  size_t count = 0;
  while (count <= count_max && atom_read(&in, &atom) == MS_OK) count++;
  return count <= count_max;
}

/* ------------------------------------------------------------------ values */

typedef struct msi_frame {
  const ms_value *container; /* being built; nobody else has it */
  const ms_value *key;       /* of the value to come, in an object */
  uint64_t left;             /* items still to come */
} msi_frame;

struct msi_decoder {
  const ms_alloc *alloc;
  size_t depth_max;
  uint64_t bytes_left; /* that may still be fed */
  const ms_value *result;
  ms_status failed;  /* why, once it did */
  msi_frame *frames; /* of the open containers; `inside` until that is too small */
  size_t depth;
  size_t capacity;
  msi_frame inside[FRAMES_INSIDE];
  /* Keys seen last, by hash: records of one kind share the strings of their keys. */
  bool has_keys; /* else `keys` is not filled in */
  const ms_value *keys[KEYS_CACHED];
};

static void decoder_init(msi_decoder *decoder, const ms_alloc *alloc, size_t depth_max,
                         uint64_t bytes_max) {
  decoder->alloc = msi_alloc_resolve(alloc);
  decoder->depth_max = depth_max;
  decoder->bytes_left = bytes_max;
  decoder->result = NULL;
  decoder->failed = MS_OK;
  decoder->frames = decoder->inside;
  decoder->depth = 0;
  decoder->capacity = FRAMES_INSIDE;
  decoder->has_keys = false;
}

static void decoder_fini(msi_decoder *decoder) {
  while (decoder->depth > 0) {
    msi_frame *frame = &decoder->frames[--decoder->depth];
    ms_value_release(frame->container);
    ms_value_release(frame->key);
  }
  for (size_t i = 0; i < KEYS_CACHED && decoder->has_keys; i++)
    ms_value_release(decoder->keys[i]);
  ms_value_release(decoder->result);
  if (decoder->frames != decoder->inside) {
    msi_alloc_free(decoder->alloc, decoder->frames,
                   decoder->capacity * sizeof *decoder->frames);
  }
}

static ms_status decoder_reserve(msi_decoder *decoder) {
  if (decoder->depth < decoder->capacity) return MS_OK;
  size_t old_bytes = decoder->capacity * sizeof(msi_frame);
  if (old_bytes > SIZE_MAX / 2) return MS_ENOMEM;
  bool is_inside = decoder->frames == decoder->inside;
  msi_frame *frames = msi_alloc_resize(decoder->alloc, is_inside ? NULL : decoder->frames,
                                       is_inside ? 0 : old_bytes, old_bytes * 2);
  if (frames == NULL) return MS_ENOMEM;
  if (is_inside) memcpy(frames, decoder->inside, old_bytes);
  decoder->frames = frames;
  decoder->capacity *= 2;
  return MS_OK;
}

/* The place of a key among those seen last. */
static const ms_value **decoder_cached(msi_decoder *decoder, uint32_t hash) {
  if (!decoder->has_keys) memset(decoder->keys, 0, sizeof decoder->keys);
  decoder->has_keys = true;
  return &decoder->keys[hash & (KEYS_CACHED - 1)];
}

static ms_status decoder_key(msi_decoder *decoder, const msi_atom *atom,
                             const ms_value **out, ms_error *error) {
  if (atom->kind != ATOM_STRING)
    return msi_fail(error, MS_ETYPE, "a key is not a string");
  size_t length = (size_t)atom->number;
  if (length > MS_KEY_MAX) {
    return msi_fail(error, MS_ELIMIT, "a key has %zu bytes, more than %d", length,
                    MS_KEY_MAX);
  }
  uint32_t hash = msi_string_hash(atom->bytes, length);
  msi_lookup lookup = {atom->bytes, length, hash, NULL};
  const ms_value **cached =
      length <= KEY_CACHED_BYTES ? decoder_cached(decoder, hash) : NULL;
  if (cached != NULL && *cached != NULL && msi_lookup_matches(&lookup, *cached)) {
    *out = msi_retain(*cached);
    return MS_OK;
  }
  ms_status st = msi_lookup_key(decoder->alloc, &lookup, out);
  if (st != MS_OK) return msi_fail(error, st, "out of memory");
  if (cached != NULL) {
    ms_value_release(*cached);
    *cached = msi_retain(*out);
  }
  return MS_OK;
}

/* Opens a container, which holds at least one item. */
static ms_status decoder_open(msi_decoder *decoder, const msi_atom *atom,
                              uint64_t bytes_left, ms_error *error) {
  bool is_map = atom->kind == ATOM_MAP;
  if (atom->number > bytes_left / (is_map ? 2 : 1)) {
    return msi_fail(error, MS_ELIMIT,
                    "a container announces more items than there are bytes");
  }
  ms_status st = decoder_reserve(decoder);
  if (st != MS_OK) return msi_fail(error, st, "out of memory");
  msi_frame *frame = &decoder->frames[decoder->depth];
  size_t count = (size_t)atom->number;
  st = is_map ? msi_object_new(decoder->alloc, count, &frame->container)
              : msi_array_new(decoder->alloc, count, &frame->container);
  if (st != MS_OK) return msi_fail(error, st, "out of memory");
  frame->key = NULL;
  frame->left = atom->number;
  decoder->depth++;
  return MS_OK;
}

static ms_status atom_value(const ms_alloc *alloc, const msi_atom *atom,
                            const ms_value **out, ms_error *error) {
  ms_status st = MS_OK;
  switch (atom->kind) {
    case ATOM_NIL: *out = ms_value_null(); break;
    case ATOM_BOOL: *out = ms_value_bool(atom->number != 0); break;
    case ATOM_EMPTY: *out = ms_value_empty(); break;
    case ATOM_INT: st = ms_value_new_int(alloc, (int64_t)atom->number, out); break;
    case ATOM_DOUBLE: st = ms_value_new_double(alloc, atom->real, out); break;
    case ATOM_STRING:
      st = ms_value_new_string(alloc, atom->bytes, (size_t)atom->number, out);
      break;
    case ATOM_ARRAY: st = msi_array_new(alloc, 0, out); break;
    case ATOM_MAP: st = msi_object_new(alloc, 0, out); break;
    case ATOM_BIG: return msi_fail(error, MS_ETYPE, "an integer is above 2^63-1");
  }
  return st == MS_OK ? st : msi_fail(error, st, "out of memory");
}

/* Gives a complete value, which is taken, to its container, and that to its own when it
 * is full. */
static ms_status decoder_close(msi_decoder *decoder, const ms_value *value,
                               ms_error *error) {
  while (decoder->depth > 0) {
    msi_frame *frame = &decoder->frames[decoder->depth - 1];
    ms_status st = MS_OK;
    if (frame->key != NULL) {
      size_t before = ms_value_count(frame->container);
      st = msi_object_put(decoder->alloc, &frame->container, frame->key, value);
      if (st == MS_OK && ms_value_count(frame->container) == before) {
        st = msi_fail(error, MS_ETYPE, "a key stands twice in one object");
      }
      ms_value_release(frame->key);
      frame->key = NULL;
    } else {
      st = ms_value_append(decoder->alloc, &frame->container, value);
    }
    ms_value_release(value);
    if (st == MS_ENOMEM) return msi_fail(error, st, "out of memory");
    if (st != MS_OK) return st;
    if (--frame->left > 0) return MS_OK;
    value = frame->container;
    decoder->depth--;
  }
  decoder->result = value;
  return MS_OK;
}

/* One atom. `bytes_more` may follow what the reader has. */
static ms_status decoder_atom(msi_decoder *decoder, msi_reader *in, uint64_t bytes_more,
                              ms_error *error) {
  msi_atom atom;
  ms_status st = atom_read(in, &atom);
  if (st == MS_ELIMIT) return msi_fail(error, st, "the bytes end early");
  if (st != MS_OK) return msi_fail(error, st, "a type that is not supported");
  if (decoder->depth > 0) {
    msi_frame *frame = &decoder->frames[decoder->depth - 1];
    if (ms_value_type(frame->container) == MS_OBJECT && frame->key == NULL) {
      return decoder_key(decoder, &atom, &frame->key, error);
    }
  }
  bool is_container =
      atom.kind == ATOM_ARRAY || atom.kind == ATOM_MAP || atom.kind == ATOM_EMPTY;
  if (is_container && decoder->depth >= decoder->depth_max) {
    return msi_fail(error, MS_ELIMIT, "more than %zu levels", decoder->depth_max);
  }
  if (is_container && atom.kind != ATOM_EMPTY && atom.number > 0) {
    return decoder_open(decoder, &atom, (uint64_t)(in->end - in->at) + bytes_more, error);
  }
  const ms_value *value = NULL;
  st = atom_value(decoder->alloc, &atom, &value, error);
  return st == MS_OK ? decoder_close(decoder, value, error) : st;
}

ms_status msi_unpack_value(msi_reader *in, const ms_alloc *alloc, size_t depth_max,
                           const ms_value **out, ms_error *error) {
  msi_reader ahead = *in;
  msi_atom atom;
  if (atom_read(&ahead, &atom) == MS_OK && atom.kind <= ATOM_STRING) {
    ms_status done = atom_value(msi_alloc_resolve(alloc), &atom, out, error);
    if (done == MS_OK) *in = ahead;
    return done;
  }
  ahead = *in;
  msi_decoder decoder;
  decoder_init(&decoder, alloc, depth_max, 0);
  ms_status st = MS_OK;
  while (st == MS_OK && decoder.result == NULL) {
    st = decoder_atom(&decoder, &ahead, 0, error);
  }
  if (st == MS_OK) {
    *out = msi_decoder_take(&decoder);
    *in = ahead;
  }
  decoder_fini(&decoder);
  return st;
}

ms_status msi_decoder_new(const ms_alloc *alloc, size_t depth_max, uint64_t bytes_max,
                          msi_decoder **out) {
  alloc = msi_alloc_resolve(alloc);
  msi_decoder *decoder = msi_alloc_get(alloc, sizeof *decoder);
  if (decoder == NULL) return MS_ENOMEM;
  decoder_init(decoder, alloc, depth_max, bytes_max);
  *out = decoder;
  return MS_OK;
}

static ms_status decoder_feed(msi_decoder *decoder, msi_reader in, ms_error *error) {
  if (decoder->failed != MS_OK)
    return msi_fail(error, decoder->failed, "decoding failed before");
  if ((uint64_t)(in.end - in.at) > decoder->bytes_left) {
    return msi_fail(error, MS_ELIMIT, "more bytes than were announced");
  }
  decoder->bytes_left -= (uint64_t)(in.end - in.at);
  while (in.at < in.end) {
    if (decoder->result != NULL) {
      return msi_fail(error, MS_ETYPE, "bytes follow the value");
    }
    ms_status st = decoder_atom(decoder, &in, decoder->bytes_left, error);
    if (st != MS_OK) return st;
  }
  return MS_OK;
}

ms_status msi_decoder_feed(msi_decoder *decoder, const void *data, size_t bytes,
                           bool *done, ms_error *error) {
  const uint8_t *at = data;
  msi_reader in = {at, bytes == 0 ? at : at + bytes};
  ms_status st = decoder_feed(decoder, in, error);
  decoder->failed = st;
  if (st == MS_OK) *done = decoder->result != NULL;
  return st;
}

const ms_value *msi_decoder_take(msi_decoder *decoder) {
  const ms_value *value = decoder->result;
  decoder->result = NULL;
  return value;
}

void msi_decoder_free(msi_decoder *decoder) {
  if (decoder == NULL) return;
  decoder_fini(decoder);
  MSI_FREE(decoder->alloc, decoder);
}

ms_status ms_value_decode(const ms_alloc *alloc, const void *data, size_t bytes,
                          const ms_value **out, ms_error *error) {
  const uint8_t *at = data;
  msi_reader in = {at, bytes == 0 ? at : at + bytes};
  const ms_value *value = NULL;
  ms_status st = msi_unpack_value(&in, alloc, MS_DEPTH_MAX, &value, error);
  if (st != MS_OK) return st;
  if (in.at < in.end) {
    ms_value_release(value);
    return msi_fail(error, MS_ETYPE, "%zu bytes follow the value",
                    (size_t)(in.end - in.at));
  }
  *out = value;
  return MS_OK;
}
