/*
 * JSON text to values, through jansson.
 *
 * jansson parses the text into a tree of its own, with malloc(): its allocator hooks
 * belong to the whole process, and the host program may use jansson too, so they are left
 * alone. Only what becomes a value is allocated as the caller asked.
 */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "base64.h"
#include "node.h"

enum { PLACE_BYTES = 128 };

/* Where in the text a value stands, for error lines. */
typedef struct msi_place {
  const struct msi_place *above; /* NULL: this is the top */
  const char *key;               /* NULL: an index */
  size_t index;
} msi_place;

typedef struct msi_json {
  const ms_alloc *alloc;
  ms_error *error;
} msi_json;

/* Dotted text of a place, cut from the left when it is long. Returns the beginning. */
static const char *place_print(const msi_place *place, char *buffer, size_t bytes) {
  size_t at = bytes - 1;
  buffer[at] = '\0';
  for (; place->above != NULL; place = place->above) {
    char digits[24];
    snprintf(digits, sizeof digits, "%zu", place->index);
    const char *part = place->key != NULL ? place->key : digits;
    size_t length = strlen(part);
    size_t dot = buffer[at] == '\0' ? 0 : 1;
    if (length + dot > at) break;
    if (dot > 0) buffer[--at] = '.';
    at -= length;
    memcpy(buffer + at, part, length);
  }
  return buffer + at;
}

static ms_status fail_at(const msi_json *json, const msi_place *place, ms_status status,
                         const char *what) {
  char buffer[PLACE_BYTES];
  const char *where = place_print(place, buffer, sizeof buffer);
  if (*where == '\0') return msi_fail(json->error, status, "%s", what);
  return msi_fail(json->error, status, "%s: %s", where, what);
}

static ms_status read_value(const msi_json *json, const msi_place *place,
                            const json_t *from, size_t depth, const ms_value **out);

/* ------------------------------------------------------------------ extended forms */

/* {"base64": text, "subType": "00"} */
static ms_status read_binary(const msi_json *json, const msi_place *place,
                             const json_t *form, const ms_value **out) {
  const json_t *text = json_object_get(form, "base64");
  const char *kind = json_string_value(json_object_get(form, "subType"));
  if (json_object_size(form) != 2 || !json_is_string(text) || kind == NULL) {
    return fail_at(json, place, MS_EARGUMENT, "$binary needs base64 and subType");
  }
  if (strcmp(kind, "00") != 0) {
    return fail_at(json, place, MS_EARGUMENT, "$binary of another subType than 00");
  }
  msi_buffer bytes;
  msi_buffer_init(&bytes, json->alloc);
  ms_status st =
      msi_base64_read(&bytes, json_string_value(text), json_string_length(text));
  if (st == MS_EARGUMENT) st = fail_at(json, place, st, "$binary is not base64");
  if (st == MS_OK) {
    st = ms_value_new_string(json->alloc, (const char *)bytes.data, bytes.length, out);
  }
  msi_buffer_fini(&bytes);
  return st;
}

/* "NaN", "Infinity", "-Infinity" or a number as text. */
static ms_status read_number_double(const msi_json *json, const msi_place *place,
                                    const json_t *form, const ms_value **out) {
  const char *text = json_string_value(form);
  if (text == NULL)
    return fail_at(json, place, MS_EARGUMENT, "$numberDouble needs a string");
  if (strcmp(text, "NaN") == 0) return ms_value_new_double(json->alloc, (double)NAN, out);
  if (strcmp(text, "Infinity") == 0) {
    return ms_value_new_double(json->alloc, (double)INFINITY, out);
  }
  if (strcmp(text, "-Infinity") == 0) {
    return ms_value_new_double(json->alloc, -(double)INFINITY, out);
  }
  json_t *number = json_loads(text, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, NULL);
  ms_status st = MS_EARGUMENT;
  if (json_is_real(number))
    st = ms_value_new_double(json->alloc, json_real_value(number), out);
  json_decref(number);
  if (st == MS_EARGUMENT)
    return fail_at(json, place, st, "$numberDouble is not a number");
  return st;
}

static ms_status read_entry(const msi_json *json, const msi_place *place,
                            const json_t *pair, size_t depth, const ms_value **object) {
  if (json_array_size(pair) != 2) {
    return fail_at(json, place, MS_EARGUMENT,
                   "an entry of $entries needs a key and a value");
  }
  const ms_value *key = NULL;
  const ms_value *value = NULL;
  ms_status st = read_value(json, place, json_array_get(pair, 0), depth, &key);
  if (st != MS_OK) return st;
  size_t before = ms_value_count(*object);
  if (ms_value_type(key) != MS_STRING) {
    st = fail_at(json, place, MS_EARGUMENT, "a key of $entries is not a string");
  } else {
    st = read_value(json, place, json_array_get(pair, 1), depth, &value);
  }
  if (st == MS_OK) {
    st = msi_object_put(json->alloc, object, key, value);
    if (st == MS_ELIMIT) {
      st = fail_at(json, place, st, "a key is too long");
    } else if (st == MS_OK && ms_value_count(*object) == before) {
      st = fail_at(json, place, MS_EARGUMENT, "a key stands twice in $entries");
    }
  }
  ms_value_release(key);
  ms_value_release(value);
  return st;
}

/* [[key, value], ...] */
static ms_status read_entries(const msi_json *json, const msi_place *place,
                              const json_t *form, size_t depth, const ms_value **out) {
  if (!json_is_array(form)) {
    return fail_at(json, place, MS_EARGUMENT, "$entries needs an array");
  }
  const ms_value *object = NULL;
  ms_status st = msi_object_new(json->alloc, json_array_size(form), &object);
  for (size_t i = 0; st == MS_OK && i < json_array_size(form); i++) {
    msi_place below = {place, NULL, i};
    st = read_entry(json, &below, json_array_get(form, i), depth, &object);
  }
  if (st == MS_OK) {
    *out = object;
  } else {
    ms_value_release(object);
  }
  return st;
}

/* An object with one key may stand for something else: *is_form tells. */
static ms_status read_form(const msi_json *json, const msi_place *place,
                           const json_t *from, size_t depth, bool *is_form,
                           const ms_value **out) {
  *is_form = true;
  if (json_object_size(from) == 1) {
    const json_t *form = NULL;
    if ((form = json_object_get(from, "$binary")) != NULL) {
      return read_binary(json, place, form, out);
    }
    if ((form = json_object_get(from, "$numberDouble")) != NULL) {
      return read_number_double(json, place, form, out);
    }
    if ((form = json_object_get(from, "$entries")) != NULL) {
      return read_entries(json, place, form, depth, out);
    }
    if ((form = json_object_get(from, "$empty")) != NULL) {
      if (!json_is_true(form))
        return fail_at(json, place, MS_EARGUMENT, "$empty needs true");
      *out = ms_value_empty();
      return MS_OK;
    }
  }
  *is_form = false;
  return MS_OK;
}

/* ------------------------------------------------------------------ plain JSON */

static ms_status read_object(const msi_json *json, const msi_place *place,
                             const json_t *from, size_t depth, const ms_value **out) {
  const ms_value *object = NULL;
  ms_status st = msi_object_new(json->alloc, json_object_size(from), &object);
  const char *key = NULL;
  json_t *member = NULL;
  json_object_foreach((json_t *)(uintptr_t)from, key, member) {
    if (st != MS_OK) break;
    msi_place below = {place, key, 0};
    const ms_value *value = NULL;
    st = read_value(json, &below, member, depth, &value);
    /* jansson refuses keys with NUL bytes when it reads. */
    if (st == MS_OK) st = ms_value_put(json->alloc, &object, key, strlen(key), value);
    if (st == MS_ELIMIT && value != NULL)
      st = fail_at(json, place, st, "a key is too long");
    ms_value_release(value);
  }
  if (st == MS_OK) {
    *out = object;
  } else {
    ms_value_release(object);
  }
  return st;
}

static ms_status read_array(const msi_json *json, const msi_place *place,
                            const json_t *from, size_t depth, const ms_value **out) {
  const ms_value *array = NULL;
  size_t count = json_array_size(from);
  ms_status st = msi_array_new(json->alloc, count, &array);
  for (size_t i = 0; st == MS_OK && i < count; i++) {
    msi_place below = {place, NULL, i};
    const ms_value *value = NULL;
    st = read_value(json, &below, json_array_get(from, i), depth, &value);
    if (st == MS_OK) st = ms_value_append(json->alloc, &array, value);
    ms_value_release(value);
  }
  if (st == MS_OK) {
    *out = array;
  } else {
    ms_value_release(array);
  }
  return st;
}

/* `depth` containers are around it. Recursion is bounded by the limit of levels. */
static ms_status read_value(const msi_json *json, const msi_place *place,
                            const json_t *from, size_t depth, const ms_value **out) {
  switch (json_typeof(from)) {
    case JSON_NULL: *out = ms_value_null(); return MS_OK;
    case JSON_TRUE: *out = ms_value_bool(true); return MS_OK;
    case JSON_FALSE: *out = ms_value_bool(false); return MS_OK;
    case JSON_INTEGER:
      return ms_value_new_int(json->alloc, json_integer_value(from), out);
    case JSON_REAL: return ms_value_new_double(json->alloc, json_real_value(from), out);
    case JSON_STRING:
      return ms_value_new_string(json->alloc, json_string_value(from),
                                 json_string_length(from), out);
    case JSON_ARRAY:
    case JSON_OBJECT: break;
  }
  bool is_array = json_is_array(from);
  if (depth == MS_DEPTH_MAX) {
    return msi_fail(json->error, MS_ELIMIT, "more than %d levels", MS_DEPTH_MAX);
  }
  if (is_array) return read_array(json, place, from, depth + 1, out);
  bool is_form = false;
  ms_status st = read_form(json, place, from, depth + 1, &is_form, out);
  if (st != MS_OK || is_form) return st;
  return read_object(json, place, from, depth + 1, out);
}

/* jansson's error as ours. */
static ms_status parse_fail(ms_error *error, const json_error_t *from) {
  ms_status status = MS_EARGUMENT;
  enum json_error_code code = json_error_code(from);
  if (code == json_error_out_of_memory)
    return msi_fail(error, MS_ENOMEM, "out of memory");
  if (code == json_error_stack_overflow) status = MS_ELIMIT;
  return msi_fail(error, status, "line %d, column %d: %s", from->line, from->column,
                  from->text);
}

ms_status ms_value_from_json(const ms_alloc *alloc, const char *text, size_t length,
                             const ms_value **out, ms_error *error) {
  json_error_t parse_error;
  size_t flags = JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL;
  json_t *tree = json_loadb(length == 0 ? "" : text, length, flags, &parse_error);
  if (tree == NULL) return parse_fail(error, &parse_error);
  msi_json json = {msi_alloc_resolve(alloc), error};
  msi_place top = {NULL, NULL, 0};
  const ms_value *value = NULL;
  ms_status st = read_value(&json, &top, tree, 0, &value);
  json_decref(tree);
  if (st == MS_ENOMEM) return msi_fail(error, st, "out of memory");
  if (st == MS_OK) *out = value;
  return st;
}
