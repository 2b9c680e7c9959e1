/*
 * Values to JSON text. The structure is written here, in byte order of the keys; jansson
 * writes strings and numbers, with malloc() (see json_read.c).
 */
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base64.h"
#include "node.h"

enum { INDENT = 2 };

typedef struct msi_writer {
  msi_buffer out;
  unsigned flags;
} msi_writer;

static ms_status write_value(msi_writer *writer, const ms_value *value, size_t depth);

static ms_status write_text(msi_writer *writer, const char *text) {
  return msi_buffer_append(&writer->out, text, strlen(text));
}

/* Between items: a new line when the text is for people. */
static ms_status write_line(msi_writer *writer, size_t depth) {
  if ((writer->flags & MS_JSON_PRETTY) == 0) return MS_OK;
  ms_status st = write_text(writer, "\n");
  if (st == MS_OK) st = msi_buffer_reserve(&writer->out, depth * INDENT);
  if (st != MS_OK) return st;
  memset(writer->out.data + writer->out.length, ' ', depth * INDENT);
  writer->out.length += depth * INDENT;
  return MS_OK;
}

static ms_status write_colon(msi_writer *writer) {
  return write_text(writer, (writer->flags & MS_JSON_PRETTY) != 0 ? ": " : ":");
}

static ms_status write_comma(msi_writer *writer) {
  return write_text(writer, (writer->flags & MS_JSON_PRETTY) != 0 ? ", " : ",");
}

/* ------------------------------------------------------------------ scalars */

static int write_dumped(const char *text, size_t bytes, void *ud) {
  msi_writer *writer = ud;
  return msi_buffer_append(&writer->out, text, bytes) == MS_OK ? 0 : -1;
}

/* Takes `scalar`; only memory can be wrong with it. */
static ms_status write_scalar(msi_writer *writer, json_t *scalar, size_t flags) {
  if (scalar == NULL) return MS_ENOMEM;
  int result = json_dump_callback(scalar, write_dumped, writer, flags | JSON_ENCODE_ANY);
  json_decref(scalar);
  return result == 0 ? MS_OK : MS_ENOMEM;
}

static ms_status write_int(msi_writer *writer, int64_t number) {
  char text[24];
  snprintf(text, sizeof text, "%" PRId64, number);
  return write_text(writer, text);
}

static ms_status write_double(msi_writer *writer, double number) {
  if (!isfinite(number)) {
    const char *name = isnan(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity";
    ms_status st = write_text(writer, "{\"$numberDouble\"");
    if (st == MS_OK) st = write_colon(writer);
    if (st == MS_OK) st = write_text(writer, "\"");
    if (st == MS_OK) st = write_text(writer, name);
    return st == MS_OK ? write_text(writer, "\"}") : st;
  }
  /* The fewest digits that are read back as the same number. */
  size_t digits = 15;
  for (; digits < 17; digits++) {
    char text[40];
    snprintf(text, sizeof text, "%.*g", (int)digits, number);
    if (strtod(text, NULL) == number) break;
  }
  return write_scalar(writer, json_real(number), JSON_REAL_PRECISION(digits));
}

static ms_status write_binary(msi_writer *writer, const msi_string *string) {
  bool is_pretty = (writer->flags & MS_JSON_PRETTY) != 0;
  ms_status st = write_text(writer, is_pretty ? "{\"$binary\": {\"base64\": \""
                                              : "{\"$binary\":{\"base64\":\"");
  if (st == MS_OK) st = msi_base64_write(&writer->out, string->bytes, string->length);
  if (st != MS_OK) return st;
  return write_text(writer,
                    is_pretty ? "\", \"subType\": \"00\"}}" : "\",\"subType\":\"00\"}}");
}

static ms_status write_string(msi_writer *writer, const ms_value *value) {
  const msi_string *string = msi_as_string(value);
  if ((string->head.flags & MSI_UTF8) == 0) return write_binary(writer, string);
  return write_scalar(writer, json_stringn_nocheck(string->bytes, string->length), 0);
}

static ms_status write_empty(msi_writer *writer) {
  if ((writer->flags & MS_JSON_LOSSLESS) == 0) return write_text(writer, "{}");
  ms_status st = write_text(writer, "{\"$empty\"");
  if (st == MS_OK) st = write_colon(writer);
  return st == MS_OK ? write_text(writer, "true}") : st;
}

/* ------------------------------------------------------------------ containers */

static ms_status write_array(msi_writer *writer, const ms_value *array, size_t depth) {
  ms_cursor cursor;
  const char *key = NULL;
  size_t index = 0;
  const ms_value *item = NULL;
  ms_status st = write_text(writer, "[");
  ms_cursor_init(&cursor, array);
  while (st == MS_OK && ms_cursor_next(&cursor, &key, &index, &item)) {
    if (index > 0) st = write_text(writer, ",");
    if (st == MS_OK) st = write_line(writer, depth);
    if (st == MS_OK) st = write_value(writer, item, depth);
  }
  if (st == MS_OK && ms_value_count(array) > 0) st = write_line(writer, depth - 1);
  return st == MS_OK ? write_text(writer, "]") : st;
}

static int entry_order(const void *a, const void *b) {
  const msi_string *key_a = msi_as_string(((const msi_entry *)a)->key);
  const msi_string *key_b = msi_as_string(((const msi_entry *)b)->key);
  size_t common = key_a->length < key_b->length ? key_a->length : key_b->length;
  int order = memcmp(key_a->bytes, key_b->bytes, common);
  if (order != 0) return order;
  return key_a->length == key_b->length ? 0 : key_a->length < key_b->length ? -1 : 1;
}

static bool key_is(const msi_string *key, const char *text) {
  return key->length == strlen(text) && memcmp(key->bytes, text, key->length) == 0;
}

/* Would these entries, as a plain JSON object, be refused or taken for something else? */
static bool entries_need_form(const msi_entry *entries, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const msi_string *key = msi_as_string(entries[i].key);
    if ((key->head.flags & MSI_UTF8) == 0) return true;
    if (memchr(key->bytes, '\0', key->length) != NULL) return true;
  }
  if (count != 1) return false;
  const msi_string *key = msi_as_string(entries[0].key);
  return key_is(key, "$binary") || key_is(key, "$numberDouble") ||
         key_is(key, "$entries") || key_is(key, "$empty");
}

static ms_status write_entry(msi_writer *writer, const msi_entry *entry, bool is_form,
                             size_t depth) {
  ms_status st = is_form ? write_text(writer, "[") : MS_OK;
  if (st == MS_OK) st = write_string(writer, entry->key);
  if (st == MS_OK) st = is_form ? write_comma(writer) : write_colon(writer);
  if (st == MS_OK) st = write_value(writer, entry->value, depth);
  if (st == MS_OK && is_form) st = write_text(writer, "]");
  return st;
}

static ms_status write_entries(msi_writer *writer, const msi_entry *entries, size_t count,
                               size_t depth) {
  bool is_form = entries_need_form(entries, count);
  ms_status st = write_text(writer, "{");
  if (st == MS_OK && is_form) {
    st = write_text(writer, "\"$entries\"");
    if (st == MS_OK) st = write_colon(writer);
    if (st == MS_OK) st = write_text(writer, "[");
  }
  for (size_t i = 0; st == MS_OK && i < count; i++) {
    if (i > 0) st = write_text(writer, ",");
    if (st == MS_OK) st = write_line(writer, depth);
    if (st == MS_OK) st = write_entry(writer, &entries[i], is_form, depth);
  }
  if (st == MS_OK) st = write_line(writer, depth - 1);
  return st == MS_OK ? write_text(writer, is_form ? "]}" : "}") : st;
}

static ms_status write_object(msi_writer *writer, const ms_value *object, size_t depth) {
  size_t count = ms_value_count(object);
  if (count == 0) return write_text(writer, "{}");
  if (count > SIZE_MAX / sizeof(msi_entry)) return MS_ENOMEM;
  msi_entry *entries = msi_alloc_get(writer->out.alloc, count * sizeof *entries);
  if (entries == NULL) return MS_ENOMEM;
  ms_cursor cursor;
  ms_cursor_init(&cursor, object);
  for (size_t i = 0; i < count; i++) entries[i] = *msi_object_cursor_next(&cursor);
  qsort(entries, count, sizeof *entries, entry_order);
  ms_status st = write_entries(writer, entries, count, depth);
  msi_alloc_free(writer->out.alloc, entries, count * sizeof *entries);
  return st;
}

/* `depth` containers are around it. Recursion is bounded by the limit of levels. */
static ms_status write_value(msi_writer *writer, const ms_value *value, size_t depth) {
  ms_type type = ms_value_type(value);
  if (msi_type_is_container(type) && depth == MS_DEPTH_MAX) return MS_ELIMIT;
  ms_status st = MS_OK;
  bool flag = false;
  int64_t integer = 0;
  double real = 0;
  switch (type) {
    case MS_NULL: return write_text(writer, "null");
    case MS_BOOL:
      st = ms_value_to_bool(value, &flag);
      return st == MS_OK ? write_text(writer, flag ? "true" : "false") : st;
    case MS_INT:
      st = ms_value_to_int(value, &integer);
      return st == MS_OK ? write_int(writer, integer) : st;
    case MS_DOUBLE:
      st = ms_value_to_double(value, &real);
      return st == MS_OK ? write_double(writer, real) : st;
    case MS_STRING: return write_string(writer, value);
    case MS_ARRAY: return write_array(writer, value, depth + 1);
    case MS_OBJECT: return write_object(writer, value, depth + 1);
    case MS_EMPTY: break;
  }
  return write_empty(writer);
}

ms_status ms_value_to_json(const ms_alloc *alloc, const ms_value *value, unsigned flags,
                           const ms_value **out) {
  if ((flags & ~(unsigned)(MS_JSON_PRETTY | MS_JSON_LOSSLESS)) != 0) return MS_EARGUMENT;
  msi_writer writer = {.flags = flags};
  msi_buffer_init(&writer.out, alloc);
  ms_status st = write_value(&writer, value, 0);
  if (st == MS_OK) {
    st =
        ms_value_new_string(alloc, (const char *)writer.out.data, writer.out.length, out);
  }
  msi_buffer_fini(&writer.out);
  return st;
}
