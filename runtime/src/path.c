/*
 * Compiled paths: parsing, packing, comparing, finding.
 *
 * A path is immutable once it was returned, so any thread may read it. While it is being
 * filled its keys may be NULL, which path_free() accepts.
 */
#include "path.h"

#include <stdatomic.h>
#include <string.h>

/* ------------------------------------------------------------------ keys */

int64_t msi_key_index(const char *bytes, size_t length) {
  if (length == 0 || length > 19) return -1;
  if (bytes[0] == '0' && length > 1) return -1;
  uint64_t number = 0;
  for (size_t i = 0; i < length; i++) {
    if (bytes[i] < '0' || bytes[i] > '9') return -1;
    number = number * 10 + (uint64_t)(bytes[i] - '0'); /* 19 digits fit in 64 bits */
  }
  return number > INT64_MAX ? -1 : (int64_t)number;
}

static ms_key segment_key(const msi_segment *segment) {
  ms_key key = {"", 0};
  ms_status st = ms_value_to_string(segment->key, &key.bytes, &key.length);
  MSI_ASSERT(st == MS_OK);
  (void)st;
  return key;
}

ms_status msi_segment_init(msi_segment *segment, const ms_alloc *alloc, const char *bytes,
                           size_t length, ms_error *error) {
  if (length > MS_KEY_MAX) {
    return msi_fail(error, MS_ELIMIT, "a key of %zu bytes is longer than %d", length,
                    MS_KEY_MAX);
  }
  ms_status st =
      ms_value_new_string(alloc, length == 0 ? "" : bytes, length, &segment->key);
  if (st != MS_OK) return msi_fail(error, st, "%s", ms_status_text(st));
  segment->index = msi_key_index(bytes, length);
  segment->kind = MSI_SEGMENT_KEY;
  return MS_OK;
}

/* ----------------------------------------------------------------- lifetime */

static size_t path_bytes(size_t count) {
  return sizeof(ms_path) + count * sizeof(msi_segment);
}

static ms_path *path_new(const ms_alloc *alloc, size_t count) {
  MSI_ASSERT(count <= MS_DEPTH_MAX);
  ms_path *path = msi_alloc_zero(alloc, path_bytes(count));
  if (path == NULL) return NULL;
  path->alloc = alloc;
  atomic_init(&path->references, 1);
  path->count = (uint32_t)count;
  return path;
}

static void path_free(ms_path *path) {
  for (size_t i = 0; i < path->count; i++) ms_value_release(path->segments[i].key);
  msi_alloc_free(path->alloc, path, path_bytes(path->count));
}

ms_path *ms_path_retain(const ms_path *path) {
  ms_path *counted = (ms_path *)path; /* the count is the one part that changes */
  if (counted != NULL)
    atomic_fetch_add_explicit(&counted->references, 1, memory_order_relaxed);
  return counted;
}

void ms_path_release(const ms_path *path) {
  ms_path *counted = (ms_path *)path;
  if (counted == NULL) return;
  if (atomic_fetch_sub_explicit(&counted->references, 1, memory_order_acq_rel) == 1) {
    path_free(counted);
  }
}

static ms_status check_count(size_t count, ms_error *error) {
  if (count <= MS_DEPTH_MAX) return MS_OK;
  return msi_fail(error, MS_ELIMIT, "a path of %zu keys is deeper than %d", count,
                  MS_DEPTH_MAX);
}

/* ------------------------------------------------------------------ parsing */

static ms_status parse_key(const char *text, size_t length, const char *key,
                           size_t key_length, ms_error *error) {
  char whole[MSI_PRINT_BYTES], part[MSI_PRINT_BYTES];
  if (key_length == 0) {
    return msi_fail(error, MS_EPATH, "\"%s\" has an empty key",
                    msi_text_print(text, length, whole, sizeof whole));
  }
  if (key[0] == '$') {
    return msi_fail(error, MS_EPATH, "\"%s\": the key \"%s\" begins with '$'",
                    msi_text_print(text, length, whole, sizeof whole),
                    msi_text_print(key, key_length, part, sizeof part));
  }
  return MS_OK;
}

static size_t count_keys(const char *text, size_t length) {
  if (length == 0) return 0;
  size_t count = 1;
  for (size_t i = 0; i < length; i++) count += text[i] == '.';
  return count;
}

static ms_status path_parse(const ms_alloc *alloc, const char *text, size_t length,
                            bool is_pattern, ms_path **out, ms_error *error) {
  if (length > MS_PATH_MAX) {
    return msi_fail(error, MS_EPATH, "a path of %zu bytes is longer than %d", length,
                    MS_PATH_MAX);
  }
  size_t count = count_keys(text, length);
  ms_status st = check_count(count, error);
  if (st != MS_OK) return st;
  ms_path *path = path_new(msi_alloc_resolve(alloc), count);
  if (path == NULL) return msi_fail(error, MS_ENOMEM, "%s", ms_status_text(MS_ENOMEM));
  const char *key = text, *end = text + length;
  for (size_t i = 0; i < count; i++) {
    const char *dot = memchr(key, '.', (size_t)(end - key));
    size_t key_length = (size_t)((dot == NULL ? end : dot) - key);
    st = parse_key(text, length, key, key_length, error);
    if (st == MS_OK) {
      st = msi_segment_init(&path->segments[i], path->alloc, key, key_length, error);
    }
    if (st != MS_OK) {
      path_free(path);
      return st;
    }
    if (is_pattern && key[0] == '*' && key_length <= 2 && key[key_length - 1] == '*') {
      path->segments[i].kind = key_length == 1 ? MSI_SEGMENT_ANY : MSI_SEGMENT_DEEP;
    }
    key += key_length + 1;
  }
  *out = path;
  return MS_OK;
}

ms_status ms_path_parse(const ms_alloc *alloc, const char *text, size_t length,
                        ms_path **out, ms_error *error) {
  return path_parse(alloc, text, length, false, out, error);
}

ms_status ms_path_parse_pattern(const ms_alloc *alloc, const char *text, size_t length,
                                ms_path **out, ms_error *error) {
  return path_parse(alloc, text, length, true, out, error);
}

ms_status ms_path_new(const ms_alloc *alloc, const ms_key *keys, size_t count,
                      ms_path **out, ms_error *error) {
  ms_status st = check_count(count, error);
  if (st != MS_OK) return st;
  ms_path *path = path_new(msi_alloc_resolve(alloc), count);
  if (path == NULL) return msi_fail(error, MS_ENOMEM, "%s", ms_status_text(MS_ENOMEM));
  for (size_t i = 0; i < count; i++) {
    st = msi_segment_init(&path->segments[i], path->alloc, keys[i].bytes, keys[i].length,
                          error);
    if (st != MS_OK) {
      path_free(path);
      return st;
    }
  }
  *out = path;
  return MS_OK;
}

static void path_fill(ms_path *path, const msi_segment *segments, size_t count) {
  for (size_t i = 0; i < count; i++) {
    path->segments[i] = segments[i];
    ms_value_retain(segments[i].key);
  }
}

ms_status ms_path_join(const ms_path *path, const char *key, size_t length, ms_path **out,
                       ms_error *error) {
  ms_status st = check_count((size_t)path->count + 1, error);
  if (st != MS_OK) return st;
  ms_path *joined = path_new(path->alloc, (size_t)path->count + 1);
  if (joined == NULL) return msi_fail(error, MS_ENOMEM, "%s", ms_status_text(MS_ENOMEM));
  st = msi_segment_init(&joined->segments[path->count], path->alloc, key, length, error);
  if (st != MS_OK) {
    path_free(joined);
    return st;
  }
  path_fill(joined, path->segments, path->count);
  *out = joined;
  return MS_OK;
}

ms_status msi_path_from_segments(const ms_alloc *alloc, const msi_segment *segments,
                                 size_t count, ms_path **out) {
  ms_path *path = path_new(msi_alloc_resolve(alloc), count);
  if (path == NULL) return MS_ENOMEM;
  path_fill(path, segments, count);
  *out = path;
  return MS_OK;
}

/* ------------------------------------------------------------------ reading */

size_t ms_path_count(const ms_path *path) { return path->count; }

ms_key ms_path_key(const ms_path *path, size_t index) {
  if (index >= path->count) return (ms_key){NULL, 0};
  return segment_key(&path->segments[index]);
}

ms_status ms_path_text(const ms_path *path, const ms_value **out) {
  size_t length = path->count > 1 ? path->count - 1u : 0;
  for (size_t i = 0; i < path->count; i++)
    length += segment_key(&path->segments[i]).length;
  if (length == 0) return ms_value_new_string(path->alloc, "", 0, out);
  char *text = msi_alloc_get(path->alloc, length);
  if (text == NULL) return MS_ENOMEM;
  char *at = text;
  for (size_t i = 0; i < path->count; i++) {
    if (i > 0) *at++ = '.';
    ms_key key = segment_key(&path->segments[i]);
    memcpy(at, key.bytes, key.length);
    at += key.length;
  }
  ms_status st = ms_value_new_string(path->alloc, text, length, out);
  msi_alloc_free(path->alloc, text, length);
  return st;
}

const ms_value *msi_segment_find(const msi_segment *segment, const ms_value *container) {
  if (segment->kind != MSI_SEGMENT_KEY) return NULL;
  ms_type type = ms_value_type(container);
  if (type == MS_OBJECT) return msi_object_get(container, segment->key);
  if (type != MS_ARRAY || segment->index < 0) return NULL;
  return ms_value_at(container, msi_index_size(segment->index));
}

const ms_value *ms_path_find(const ms_path *path, const ms_value *root) {
  const ms_value *value = root;
  for (size_t i = 0; i < path->count && value != NULL; i++) {
    value = msi_segment_find(&path->segments[i], value);
  }
  return value;
}

/* One key of a text, as path_parse() takes it. */
static ms_status check_key(const char *key, size_t length) {
  if (length == 0 || key[0] == '$') return MS_EPATH;
  return length > MS_KEY_MAX ? MS_ELIMIT : MS_OK;
}

static const ms_value *find_key(const ms_value *container, const char *key,
                                size_t length) {
  ms_type type = ms_value_type(container);
  if (type == MS_OBJECT) return ms_value_get(container, key, length);
  int64_t index = type == MS_ARRAY ? msi_key_index(key, length) : -1;
  return index < 0 ? NULL : ms_value_at(container, msi_index_size(index));
}

ms_status msi_path_text_find(const char *text, size_t length, const ms_value *root,
                             const ms_value **out) {
  if (length > MS_PATH_MAX) return MS_EPATH;
  const ms_value *value = root;
  const char *key = text, *end = text + length;
  size_t count = 0;
  ms_status first = MS_OK; /* the path is checked to its end: too deep comes before it */
  while (length > 0 && key <= end) {
    const char *dot = memchr(key, '.', (size_t)(end - key));
    size_t key_length = (size_t)((dot == NULL ? end : dot) - key);
    if (++count > MS_DEPTH_MAX) return MS_ELIMIT;
    if (first == MS_OK) first = check_key(key, key_length);
    if (first == MS_OK && value != NULL) value = find_key(value, key, key_length);
    key += key_length + 1;
  }
  if (first != MS_OK) return first;
  if (value == NULL) return MS_ENOENT;
  *out = value;
  return MS_OK;
}

/* ---------------------------------------------------------------- comparing */

bool msi_segment_equal(const msi_segment *a, const msi_segment *b) {
  return a->kind == b->kind && (a->key == b->key || ms_value_equal(a->key, b->key));
}

bool msi_path_begins(const ms_path *a, const ms_path *b) {
  if (a->count > b->count) return false;
  for (size_t i = 0; i < a->count; i++) {
    if (!msi_segment_equal(&a->segments[i], &b->segments[i])) return false;
  }
  return true;
}

bool msi_path_overlaps(const ms_path *a, const ms_path *b) {
  return a->count <= b->count ? msi_path_begins(a, b) : msi_path_begins(b, a);
}

bool msi_path_equal(const ms_path *a, const ms_path *b) {
  return a == b || (a->count == b->count && msi_path_begins(a, b));
}

bool msi_path_is_literal(const ms_path *path) {
  for (size_t i = 0; i < path->count; i++) {
    if (path->segments[i].kind != MSI_SEGMENT_KEY) return false;
  }
  return true;
}

int msi_segment_compare(const msi_segment *a, const msi_segment *b) {
  if (a->key == b->key) return 0;
  if (a->index >= 0 && b->index >= 0)
    return (a->index > b->index) - (a->index < b->index);
  if (a->index >= 0 || b->index >= 0) return a->index >= 0 ? -1 : 1;
  ms_key left = segment_key(a), right = segment_key(b);
  size_t common = left.length < right.length ? left.length : right.length;
  int order = memcmp(left.bytes, right.bytes, common);
  if (order != 0) return order;
  return (left.length > right.length) - (left.length < right.length);
}

int msi_path_compare(const ms_path *a, const ms_path *b) {
  size_t common = a->count < b->count ? a->count : b->count;
  for (size_t i = 0; i < common; i++) {
    int order = msi_segment_compare(&a->segments[i], &b->segments[i]);
    if (order != 0) return order;
  }
  return (a->count > b->count) - (a->count < b->count);
}

/* --------------------------------------------------------------------- wire */

ms_status msi_path_pack(msi_buffer *out, const ms_path *path) {
  ms_status st = msi_pack_array(out, path->count);
  for (size_t i = 0; i < path->count && st == MS_OK; i++) {
    ms_key key = segment_key(&path->segments[i]);
    st = msi_pack_string(out, key.bytes, key.length);
  }
  return st;
}

ms_status msi_path_unpack(msi_reader *in, const ms_alloc *alloc, ms_path **out) {
  msi_reader reader = *in;
  size_t count;
  ms_status st = msi_unpack_array(&reader, &count);
  if (st != MS_OK) return st;
  if (count > MS_DEPTH_MAX) return MS_ELIMIT;
  ms_path *path = path_new(msi_alloc_resolve(alloc), count);
  if (path == NULL) return MS_ENOMEM;
  for (size_t i = 0; i < count && st == MS_OK; i++) {
    const char *bytes;
    size_t length;
    st = msi_unpack_string(&reader, &bytes, &length);
    if (st == MS_OK) {
      st = msi_segment_init(&path->segments[i], path->alloc, bytes, length, NULL);
    }
  }
  if (st != MS_OK) {
    path_free(path);
    return st;
  }
  *in = reader;
  *out = path;
  return MS_OK;
}

/* ------------------------------------------------------------- for messages */

/* Bytes of the UTF-8 sequence at `at`, 0 when it is none or a control character. */
static size_t utf8_step(const uint8_t *at, size_t left) {
  uint8_t lead = at[0];
  if (lead < 0x80) return lead >= 0x20 && lead != 0x7f ? 1 : 0;
  size_t bytes = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || bytes > left) return 0;
  for (size_t i = 1; i < bytes; i++) {
    if ((at[i] & 0xc0) != 0x80) return 0;
  }
  if (lead == 0xe0 && at[1] < 0xa0) return 0; /* overlong */
  if (lead == 0xed && at[1] > 0x9f) return 0; /* a surrogate */
  if (lead == 0xf0 && at[1] < 0x90) return 0; /* overlong */
  if (lead == 0xf4 && at[1] > 0x8f) return 0; /* above U+10FFFF */
  return bytes;
}

static void print_text(msi_printer *to, const char *text, size_t length) {
  const uint8_t *at = (const uint8_t *)text;
  for (size_t i = 0; i < length && !to->full;) {
    size_t step = utf8_step(at + i, length - i);
    if (to->length + (step == 0 ? 1 : step) >= to->bytes) {
      memcpy(to->buffer + to->cut, "...", 3);
      to->length = to->cut + 3;
      to->full = true;
      return;
    }
    if (step == 0) {
      to->buffer[to->length++] = '?';
    } else {
      memcpy(to->buffer + to->length, at + i, step);
      to->length += step;
    }
    if (to->length + 3 < to->bytes) to->cut = to->length;
    i += step == 0 ? 1 : step;
  }
}

static const char *const type_phrases[] = {
    [MS_NULL] = "null",        [MS_BOOL] = "a boolean",       [MS_INT] = "an integer",
    [MS_DOUBLE] = "a float",   [MS_STRING] = "a string",      [MS_ARRAY] = "an array",
    [MS_OBJECT] = "an object", [MS_EMPTY] = "an empty table",
};

const char *msi_type_phrase(ms_type type) { return type_phrases[type]; }

void msi_printer_init(msi_printer *printer, char *buffer, size_t bytes) {
  MSI_ASSERT(bytes >= 4);
  *printer = (msi_printer){.bytes = bytes};
  printer->buffer = buffer;
}

void msi_printer_key(msi_printer *printer, const char *bytes, size_t length) {
  if (printer->begun) print_text(printer, ".", 1);
  printer->begun = true;
  print_text(printer, bytes, length);
}

void msi_printer_segments(msi_printer *printer, const msi_segment *segments,
                          size_t count) {
  for (size_t i = 0; i < count; i++) {
    ms_key key = segment_key(&segments[i]);
    msi_printer_key(printer, key.bytes, key.length);
  }
}

const char *msi_printer_end(msi_printer *printer) {
  printer->buffer[printer->length] = '\0';
  return printer->buffer;
}

const char *msi_text_print(const char *text, size_t length, char *buffer, size_t bytes) {
  msi_printer to;
  msi_printer_init(&to, buffer, bytes);
  print_text(&to, text, length);
  return msi_printer_end(&to);
}

const char *msi_path_print(const ms_path *path, char *buffer, size_t bytes) {
  return msi_path_print_first(path, path->count, buffer, bytes);
}

const char *msi_path_print_first(const ms_path *path, size_t count, char *buffer,
                                 size_t bytes) {
  MSI_ASSERT(count <= path->count);
  msi_printer to;
  msi_printer_init(&to, buffer, bytes);
  msi_printer_segments(&to, path->segments, count);
  return msi_printer_end(&to);
}
