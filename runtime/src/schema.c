/* Schemas (see schema.h): a hook for each pattern, which notes the first value that does not fit. */
#include "schema.h"

#include <stdio.h>
#include <string.h>

#include "hook.h"
#include "path.h"

typedef struct rule {
  msi_schema *schema;
  const ms_value *given; /* borrowed from the source */
} rule;

struct msi_schema {
  const ms_alloc *alloc;
  const ms_value *source; /* retained */
  msi_hooks *hooks;
  rule *rules;
  size_t count, capacity;
  bool has_failed; /* in the check under way */
  char message[MS_MESSAGE_MAX];
};

enum { PLACE_BYTES = 96, TEXT_BYTES = 64 };

/* -------------------------------------------------------------------- reading */

static const ms_value *get(const ms_value *given, const char *name) {
  return ms_value_get(given, name, strlen(name));
}

static bool is_text(const ms_value *value, const char *text) {
  const char *bytes;
  size_t length;
  return ms_value_to_string(value, &bytes, &length) == MS_OK && length == strlen(text) &&
         memcmp(bytes, text, length) == 0;
}

static bool has_type_name(const ms_value *name, ms_type type) {
  switch (type) {
    case MS_NULL: return is_text(name, "null");
    case MS_BOOL: return is_text(name, "boolean");
    case MS_INT: return is_text(name, "integer") || is_text(name, "number");
    case MS_DOUBLE: return is_text(name, "float") || is_text(name, "number");
    case MS_STRING: return is_text(name, "string");
    case MS_ARRAY: return is_text(name, "array");
    case MS_OBJECT: return is_text(name, "object");
    case MS_EMPTY: return is_text(name, "array") || is_text(name, "object");
  }
  return false;
}

static bool is_type_name(const ms_value *name) {
  static const ms_type types[] = {MS_NULL,   MS_BOOL,  MS_INT,   MS_DOUBLE,
                                  MS_STRING, MS_ARRAY, MS_OBJECT};
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    if (has_type_name(name, types[i])) return true;
  }
  return false;
}

static bool is_list(const ms_value *value) {
  return ms_value_type(value) == MS_ARRAY || ms_value_type(value) == MS_EMPTY;
}

static bool are_all(const ms_value *list, bool (*fits)(const ms_value *value)) {
  if (!is_list(list)) return false;
  for (size_t i = 0; i < ms_value_count(list); i++) {
    if (!fits(ms_value_at(list, i))) return false;
  }
  return true;
}

static bool is_key(const ms_value *value) { return ms_value_type(value) == MS_STRING; }

static bool is_number(const ms_value *value) {
  return ms_value_type(value) == MS_INT || ms_value_type(value) == MS_DOUBLE;
}

static bool is_count(const ms_value *value) {
  int64_t count;
  return ms_value_to_int(value, &count) == MS_OK && count >= 0;
}

static bool is_types(const ms_value *value) {
  return is_type_name(value) ||
         (ms_value_count(value) > 0 && are_all(value, is_type_name));
}

static bool is_keys(const ms_value *value) { return are_all(value, is_key); }

static bool is_filled(const ms_value *value) {
  return ms_value_type(value) == MS_ARRAY && ms_value_count(value) > 0;
}

static const struct {
  const char *name;
  bool (*fits)(const ms_value *value);
  const char *wanted;
} WORDS[] = {
    {"type", is_types, "the name of a type, or an array of them"},
    {"min", is_number, "a number"},
    {"max", is_number, "a number"},
    {"min_length", is_count, "a count"},
    {"max_length", is_count, "a count"},
    {"required", is_keys, "an array of keys"},
    {"keys", is_keys, "an array of keys"},
    {"enum", is_filled, "an array of values"},
};

static ms_status check_words(const char *pattern, const ms_value *given,
                             ms_error *error) {
  ms_cursor cursor;
  const char *name;
  size_t length;
  const ms_value *value;
  ms_type type = ms_value_type(given);
  if (type != MS_OBJECT && type != MS_EMPTY)
    return msi_fail(error, MS_EARGUMENT, "schema: \"%.80s\": an object expected, not %s",
                    pattern, ms_type_name(type));
  ms_cursor_init(&cursor, given);
  while (type == MS_OBJECT && ms_cursor_next(&cursor, &name, &length, &value)) {
    size_t i = 0, count = sizeof WORDS / sizeof *WORDS;
    while (i < count && strcmp(WORDS[i].name, name) != 0) i++;
    if (i == count || strlen(name) != length)
      return msi_fail(error, MS_EARGUMENT, "schema: \"%.80s\": unknown word \"%.40s\"",
                      pattern, name);
    if (!WORDS[i].fits(value))
      return msi_fail(error, MS_EARGUMENT, "schema: \"%.80s\": %s: %s expected", pattern,
                      name, WORDS[i].wanted);
  }
  return MS_OK;
}

/* ------------------------------------------------------------------- checking */

static bool is_among(const ms_value *list, const char *key, size_t length) {
  for (size_t i = 0; i < ms_value_count(list); i++) {
    const char *bytes;
    size_t bytes_length;
    if (ms_value_to_string(ms_value_at(list, i), &bytes, &bytes_length) == MS_OK &&
        bytes_length == length && memcmp(bytes, key, length) == 0) {
      return true;
    }
  }
  return false;
}

static bool has_type(const ms_value *types, ms_type type) {
  if (ms_value_type(types) == MS_STRING) return has_type_name(types, type);
  for (size_t i = 0; i < ms_value_count(types); i++) {
    if (has_type_name(ms_value_at(types, i), type)) return true;
  }
  return false;
}

/* NaN is neither. */
static bool is_at_least(const ms_value *value, const ms_value *bound) {
  int64_t a, b;
  double x, y;
  if (ms_value_to_int(value, &a) == MS_OK && ms_value_to_int(bound, &b) == MS_OK)
    return a >= b;
  return ms_value_to_double(value, &x) == MS_OK &&
         ms_value_to_double(bound, &y) == MS_OK && x >= y;
}

static int64_t length_of(const ms_value *value) {
  const char *bytes;
  size_t length;
  if (ms_value_to_string(value, &bytes, &length) == MS_OK) return (int64_t)length;
  return (int64_t)ms_value_count(value);
}

static bool has_length(const ms_value *value) {
  return ms_value_type(value) == MS_STRING || is_list(value) ||
         ms_value_type(value) == MS_OBJECT;
}

typedef char text_of_number[TEXT_BYTES];

static const char *print_number(const ms_value *number, text_of_number out) {
  int64_t integer;
  double real = 0;
  if (ms_value_to_int(number, &integer) == MS_OK) {
    (void)snprintf(out, TEXT_BYTES, "%lld", (long long)integer);
  } else if (ms_value_to_double(number, &real) == MS_OK) {
    (void)snprintf(out, TEXT_BYTES, "%.17g", real);
  } else {
    (void)snprintf(out, TEXT_BYTES, "%s", ms_type_name(ms_value_type(number)));
  }
  return out;
}

/* What is wrong with the value, into `out`; false: nothing. */
static bool is_wrong_number(const ms_value *given, const ms_value *value, char *out,
                            size_t bytes) {
  text_of_number bound, own;
  const ms_value *min = get(given, "min"), *max = get(given, "max");
  if (!is_number(value)) {
    if (min == NULL && max == NULL) return false;
    (void)snprintf(out, bytes, "is %s: a number expected",
                   ms_type_name(ms_value_type(value)));
    return true;
  }
  if (min != NULL && !is_at_least(value, min)) {
    (void)snprintf(out, bytes, "is %s: at least %s", print_number(value, own),
                   print_number(min, bound));
    return true;
  }
  if (max == NULL || is_at_least(max, value)) return false;
  (void)snprintf(out, bytes, "is %s: at most %s", print_number(value, own),
                 print_number(max, bound));
  return true;
}

static bool is_wrong_length(const ms_value *given, const ms_value *value, char *out,
                            size_t bytes) {
  int64_t bound, length = length_of(value);
  const ms_value *min = get(given, "min_length"), *max = get(given, "max_length");
  if (min == NULL && max == NULL) return false;
  if (!has_length(value)) {
    (void)snprintf(out, bytes, "is %s, which has no length",
                   ms_type_name(ms_value_type(value)));
    return true;
  }
  if (min != NULL && ms_value_to_int(min, &bound) == MS_OK && length < bound) {
    (void)snprintf(out, bytes, "has length %lld: at least %lld", (long long)length,
                   (long long)bound);
    return true;
  }
  if (max == NULL || ms_value_to_int(max, &bound) != MS_OK || length <= bound)
    return false;
  (void)snprintf(out, bytes, "has length %lld: at most %lld", (long long)length,
                 (long long)bound);
  return true;
}

static bool lacks_key(const ms_value *required, const ms_value *value, char *out,
                      size_t bytes) {
  for (size_t i = 0; required != NULL && i < ms_value_count(required); i++) {
    const char *key = NULL;
    size_t length = 0;
    if (ms_value_to_string(ms_value_at(required, i), &key, &length) != MS_OK) continue;
    if (ms_value_get(value, key, length) != NULL) continue;
    (void)snprintf(out, bytes, "lacks the key \"%.60s\"", key);
    return true;
  }
  return false;
}

static bool is_wrong_object(const ms_value *given, const ms_value *value, char *out,
                            size_t bytes) {
  ms_cursor cursor;
  const char *key;
  size_t length;
  const ms_value *item, *keys = get(given, "keys"), *required = get(given, "required");
  if (keys == NULL && required == NULL) return false;
  ms_type type = ms_value_type(value);
  if (type != MS_OBJECT && type != MS_EMPTY) {
    (void)snprintf(out, bytes, "is %s: an object expected", ms_type_name(type));
    return true;
  }
  if (lacks_key(required, value, out, bytes)) return true;
  if (keys == NULL || type == MS_EMPTY) return false;
  ms_cursor_init(&cursor, value);
  while (ms_cursor_next(&cursor, &key, &length, &item)) {
    if (is_among(keys, key, length) ||
        (required != NULL && is_among(required, key, length))) {
      continue;
    }
    (void)snprintf(out, bytes, "has the key \"%.60s\", which is none of its keys", key);
    return true;
  }
  return false;
}

static bool is_wrong(const ms_value *given, const ms_value *value, char *out,
                     size_t bytes) {
  const ms_value *types = get(given, "type"), *choice = get(given, "enum");
  if (types != NULL && !has_type(types, ms_value_type(value))) {
    const char *name = "one of several types";
    size_t length;
    if (ms_value_type(types) == MS_STRING &&
        ms_value_to_string(types, &name, &length) != MS_OK) {
      name = "another type";
    }
    (void)snprintf(out, bytes, "is %s: %s expected", ms_type_name(ms_value_type(value)),
                   name);
    return true;
  }
  if (is_wrong_number(given, value, out, bytes) ||
      is_wrong_length(given, value, out, bytes) ||
      is_wrong_object(given, value, out, bytes)) {
    return true;
  }
  for (size_t i = 0; choice != NULL && i < ms_value_count(choice); i++) {
    if (ms_value_equal(ms_value_at(choice, i), value)) return false;
  }
  if (choice == NULL) return false;
  (void)snprintf(out, bytes, "is none of the values that it may have");
  return true;
}

static void on_change(void *ud, const ms_change *change) {
  const rule *self = ud;
  msi_schema *schema = self->schema;
  char why[MS_MESSAGE_MAX - PLACE_BYTES - 16], place[PLACE_BYTES];
  if (schema->has_failed || change->new_value == NULL) return;
  if (!is_wrong(self->given, change->new_value, why, sizeof why)) return;
  schema->has_failed = true;
  if (change->path->count == 0) {
    (void)snprintf(schema->message, sizeof schema->message, "schema: the document %s",
                   why);
  } else {
    (void)snprintf(schema->message, sizeof schema->message, "schema: \"%s\" %s",
                   msi_path_print(change->path, place, sizeof place), why);
  }
}

ms_status msi_schema_check(msi_schema *schema, const ms_value *old_root,
                           const ms_value *new_root, const ms_update *update,
                           ms_error *error) {
  const ms_change template = {.bytes = sizeof template, .kind = MS_CHANGE_SET};
  schema->has_failed = false;
  ms_status status =
      msi_hooks_dispatch_update(schema->hooks, old_root, new_root, update, &template);
  if (status != MS_OK) return msi_fail(error, status, "%s", ms_status_text(status));
  if (!schema->has_failed) return MS_OK;
  return msi_fail(error, MS_EDENIED, "%s", schema->message);
}

/* --------------------------------------------------------------------- making */

static ms_status add_rule(msi_schema *self, const char *pattern, size_t length,
                          const ms_value *given, ms_error *error) {
  ms_path *path = NULL;
  msi_hook *hook = NULL;
  ms_status status = check_words(pattern, given, error);
  if (status != MS_OK) return status;
  status = length == 0
               ? ms_path_new(self->alloc, NULL, 0, &path, error)
               : ms_path_parse_pattern(self->alloc, pattern, length, &path, error);
  if (status != MS_OK) return status;
  rule *made = &self->rules[self->count++];
  *made = (rule){self, given};
  status = msi_hooks_add(self->hooks, path, 0, on_change, made, &hook);
  ms_path_release(path);
  if (status != MS_OK) return msi_fail(error, status, "%s", ms_status_text(status));
  return MS_OK;
}

static ms_status add_rules(msi_schema *self, ms_error *error) {
  ms_cursor cursor;
  const char *pattern;
  size_t length;
  const ms_value *given;
  ms_status status = MS_OK;
  if (self->capacity == 0) return MS_OK;
  self->rules = msi_alloc_get(self->alloc, self->capacity * sizeof *self->rules);
  if (self->rules == NULL) return msi_fail(error, MS_ENOMEM, "out of memory");
  ms_cursor_init(&cursor, self->source);
  while (status == MS_OK && ms_cursor_next(&cursor, &pattern, &length, &given)) {
    status = add_rule(self, pattern, length, given, error);
  }
  return status;
}

ms_status msi_schema_new(const ms_alloc *alloc, const ms_value *source, msi_schema **out,
                         ms_error *error) {
  ms_type type = ms_value_type(source);
  size_t count = ms_value_count(source);
  if (type != MS_OBJECT && type != MS_EMPTY)
    return msi_fail(error, MS_EARGUMENT, "schema: an object expected, not %s",
                    ms_type_name(type));
  if (count > MSI_SCHEMA_PATTERNS_MAX)
    return msi_fail(error, MS_ELIMIT, "schema: more than %d patterns",
                    MSI_SCHEMA_PATTERNS_MAX);
  msi_schema *self = MSI_NEW(alloc, msi_schema);
  if (self == NULL) return msi_fail(error, MS_ENOMEM, "out of memory");
  self->alloc = alloc;
  self->source = ms_value_retain(source);
  self->capacity = count;
  ms_status status = msi_hooks_new(alloc, &self->hooks);
  if (status != MS_OK) msi_fail(error, status, "%s", ms_status_text(status));
  if (status == MS_OK) status = add_rules(self, error);
  if (status != MS_OK) {
    msi_schema_free(self);
    return status;
  }
  *out = self;
  return MS_OK;
}

void msi_schema_free(msi_schema *schema) {
  if (schema == NULL) return;
  msi_hooks_free(schema->hooks);
  msi_alloc_free(schema->alloc, schema->rules, schema->capacity * sizeof *schema->rules);
  ms_value_release(schema->source);
  MSI_FREE(schema->alloc, schema);
}
