/*
 * Compiling queries: documents of conditions, their paths, and what stands between
 * conditions.
 *
 * Every condition is linked into the tree as soon as it is made, so that a failure needs
 * to release the tree only.
 */
#include "query_parse.h"

#include <string.h>

/* Of making a condition with its path. */
enum { CONDITION_STEPS = 32 };

/* ----------------------------------------------------------------- failures */

ms_status(msi_query_fail)(msi_query_parser *self, ms_status st) {
  if (st == MS_ELIMIT) {
    return msi_fail(self->error, st, "a query takes more than %d steps", MS_STEPS_MAX);
  }
  return msi_fail(self->error, st, "%s", ms_status_text(st));
}

ms_status msi_query_fail_unknown(msi_query_parser *self, const char *name,
                                 size_t length) {
  char text[MSI_PRINT_BYTES];
  return msi_fail(self->error, MS_EARGUMENT, "unknown query operator \"%s\"",
                  msi_text_print(name, length, text, sizeof text));
}

/* --------------------------------------------------------------- conditions */

ms_status msi_query_add(msi_query_parser *self, msi_condition_kind kind,
                        msi_condition *parent, msi_condition **out) {
  if (self->left == 0) {
    return msi_fail(self->error, MS_ELIMIT, "a query of more than %d conditions",
                    MS_QUERY_MAX);
  }
  if (!msi_meter_take(&self->meter, CONDITION_STEPS))
    return msi_query_fail(self, MS_ELIMIT);
  msi_condition *made = MSI_NEW(self->alloc, msi_condition);
  if (made == NULL) return msi_query_fail(self, MS_ENOMEM);
  self->left--;
  made->kind = kind;
  made->next = parent->children;
  parent->children = made;
  *out = made;
  return MS_OK;
}

ms_status msi_query_add_at(msi_query_parser *self, msi_condition_kind kind,
                           const msi_query_place *at, msi_condition *parent,
                           msi_condition **out) {
  ms_status st = msi_query_add(self, kind, parent, out);
  if (st != MS_OK) return st;
  (*out)->reach = at->reach;
  (*out)->path = ms_path_retain(at->path);
  return MS_OK;
}

/* ---------------------------------------------------------------- documents */

bool msi_query_is_logical(const char *name, size_t length) {
  const char *const names[] = {"$and", "$or", "$nor", "$comment"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0) return true;
  }
  return false;
}

static ms_status parse_logical(msi_query_parser *self, const char *name, size_t length,
                               const ms_value *operand, msi_condition *parent) {
  if (!msi_query_is_logical(name, length))
    return msi_query_fail_unknown(self, name, length);
  if (length == 8) return MS_OK; /* $comment */
  msi_condition_kind kind = length == 3      ? MSI_CONDITION_OR
                            : name[1] == 'a' ? MSI_CONDITION_AND
                                             : MSI_CONDITION_NOR;
  if (ms_value_type(operand) != MS_ARRAY || ms_value_count(operand) == 0) {
    return msi_fail(self->error, MS_EARGUMENT,
                    "%.*s: needs an array of conditions that is not empty", (int)length,
                    name);
  }
  msi_condition *made = NULL;
  ms_status st = msi_query_add(self, kind, parent, &made);
  for (size_t i = 0; i < ms_value_count(operand) && st == MS_OK; i++) {
    const ms_value *item = ms_value_at(operand, i);
    if (!msi_value_is_object(item)) {
      return msi_fail(self->error, MS_EARGUMENT, "%.*s: needs objects, not %s",
                      (int)length, name, msi_type_phrase(ms_value_type(item)));
    }
    msi_condition *each;
    st = msi_query_add(self, MSI_CONDITION_AND, made, &each);
    if (st == MS_OK) st = msi_query_parse_document(self, item, each);
  }
  return st;
}

static bool is_id(const char *text, size_t length) {
  if (length == 0 || text[0] < 'a' || text[0] > 'z') return false;
  for (size_t i = 1; i < length; i++) {
    char c = text[i];
    bool fits =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!fits) return false;
  }
  return true;
}

/* The first key of a path in an array filter: the same in all of it. */
static ms_status take_id(msi_query_parser *self, ms_key key) {
  char first[MSI_PRINT_BYTES], second[MSI_PRINT_BYTES];
  const char *known;
  size_t length;
  if (self->id == NULL) {
    if (!is_id(key.bytes, key.length)) {
      return msi_fail(
          self->error, MS_EARGUMENT,
          "array filter: \"%s\" is no identifier: a small letter, then letters "
          "and digits",
          msi_text_print(key.bytes, key.length, first, sizeof first));
    }
    ms_status st = ms_value_new_string(self->alloc, key.bytes, key.length, &self->id);
    return st == MS_OK ? st : msi_query_fail(self, st);
  }
  ms_status st = ms_value_to_string(self->id, &known, &length);
  if (st != MS_OK) return msi_query_fail(self, st);
  if (length == key.length && memcmp(known, key.bytes, length) == 0) return MS_OK;
  return msi_fail(self->error, MS_EARGUMENT,
                  "array filter: \"%s\" and \"%s\" in one filter, which is about one",
                  msi_text_print(known, length, first, sizeof first),
                  msi_text_print(key.bytes, key.length, second, sizeof second));
}

/* at->path is retained by the caller. Unlike paths of updates those of queries may hold
 * empty keys and such that begin with '$'. */
static ms_status place_parse(msi_query_parser *self, const char *text, size_t length,
                             msi_query_place *at) {
  ms_key keys[MS_DEPTH_MAX];
  size_t count = 0;
  for (const char *key = text, *end = text + length;;) {
    const char *dot = memchr(key, '.', (size_t)(end - key));
    if (count == MS_DEPTH_MAX) {
      return msi_fail(self->error, MS_ELIMIT, "a path of more than %d keys",
                      MS_DEPTH_MAX);
    }
    keys[count++] = (ms_key){key, (size_t)((dot == NULL ? end : dot) - key)};
    if (dot == NULL) break;
    key = dot + 1;
  }
  *at = (msi_query_place){MSI_REACH_DOCUMENT, NULL, text, length};
  size_t first = 0;
  if (self->is_filter) {
    ms_status st = take_id(self, keys[0]);
    if (st != MS_OK) return st;
    at->reach = MSI_REACH_ELEMENT;
    first = 1;
  }
  return ms_path_new(self->alloc, keys + first, count - first, &at->path, self->error);
}

ms_status msi_query_parse_document(msi_query_parser *self, const ms_value *document,
                                   msi_condition *parent) {
  ms_cursor cursor;
  const char *key;
  size_t length;
  const ms_value *value;
  if (ms_value_count(document) == 0) return MS_OK;
  ms_cursor_init(&cursor, document);
  while (ms_cursor_next(&cursor, &key, &length, &value)) {
    ms_status st;
    if (msi_query_is_name(key, length)) {
      st = parse_logical(self, key, length, value, parent);
    } else {
      msi_query_place at;
      st = place_parse(self, key, length, &at);
      if (st != MS_OK) return st;
      st = msi_query_is_expression(value)
               ? msi_query_parse_expression(self, &at, value, parent)
               : msi_query_parse_literal(self, &at, value, parent);
      ms_path_release(at.path);
    }
    if (st != MS_OK) return st;
  }
  return MS_OK;
}
