/*
 * Compiling queries. MongoDB decides by the first key of an object whether it is an
 * expression, {"$gt": 5}, or a literal; here objects are unordered, so one key that
 * begins with '$' makes it an expression, in which all others are refused.
 *
 * Every condition is linked into the tree as soon as it is made, so that a failure needs
 * to release the tree only.
 */
#include "query.h"

#include <stdatomic.h>
#include <string.h>

/* Where the conditions of one field look. */
typedef struct place {
  msi_reach reach;
  ms_path *path;    /* borrowed; NULL: empty */
  const char *text; /* the key, for messages; NULL: the value itself */
  size_t length;
} place;

typedef struct parser {
  const ms_alloc *alloc;
  ms_error *error;
  size_t left;        /* conditions that may still be made */
  bool is_filter;     /* the first key of each path names the element */
  const ms_value *id; /* what it was so far; retained */
} parser;

typedef ms_status (*operator_fn)(parser *self, const char *name, const place *at,
                                 const ms_value *operand, msi_condition *parent);

/* ----------------------------------------------------------------- failures */

static ms_status fail_status(parser *self, ms_status st) {
  return msi_fail(self->error, st, "%s", ms_status_text(st));
}

static ms_status fail_operand(parser *self, const char *name, const place *at,
                              const char *wanted, const ms_value *found) {
  char text[MSI_PRINT_BYTES];
  const char *phrase = msi_type_phrase(ms_value_type(found));
  if (at->text == NULL) {
    return msi_fail(self->error, MS_EARGUMENT, "%s: needs %s, not %s", name, wanted,
                    phrase);
  }
  return msi_fail(self->error, MS_EARGUMENT, "%s: \"%s\" needs %s, not %s", name,
                  msi_text_print(at->text, at->length, text, sizeof text), wanted,
                  phrase);
}

static ms_status fail_unknown(parser *self, const char *name, size_t length) {
  char text[MSI_PRINT_BYTES];
  return msi_fail(self->error, MS_EARGUMENT, "unknown query operator \"%s\"",
                  msi_text_print(name, length, text, sizeof text));
}

/* --------------------------------------------------------------- conditions */

static ms_status add(parser *self, msi_condition_kind kind, msi_condition *parent,
                     msi_condition **out) {
  if (self->left == 0) {
    return msi_fail(self->error, MS_ELIMIT, "a query of more than %d conditions",
                    MS_QUERY_MAX);
  }
  msi_condition *made = MSI_NEW(self->alloc, msi_condition);
  if (made == NULL) return fail_status(self, MS_ENOMEM);
  self->left--;
  made->kind = kind;
  made->next = parent->children;
  parent->children = made;
  *out = made;
  return MS_OK;
}

static ms_status add_at(parser *self, msi_condition_kind kind, const place *at,
                        msi_condition *parent, msi_condition **out) {
  ms_status st = add(self, kind, parent, out);
  if (st != MS_OK) return st;
  (*out)->reach = at->reach;
  (*out)->path = ms_path_retain(at->path);
  return MS_OK;
}

static ms_status add_value(parser *self, msi_condition_kind kind, const place *at,
                           const ms_value *operand, msi_condition *parent) {
  msi_condition *made = NULL;
  ms_status st = add_at(self, kind, at, parent, &made);
  if (st == MS_OK) made->operand = operand;
  return st;
}

static void condition_fini(const ms_alloc *alloc, msi_condition *self) {
  while (self->children != NULL) {
    msi_condition *child = self->children;
    self->children = child->next;
    condition_fini(alloc, child);
    MSI_FREE(alloc, child);
  }
  ms_path_release(self->path);
  msi_value_set_free(self->set);
}

/* ---------------------------------------------------------------- operators */

static ms_status parse_expression(parser *self, const place *at,
                                  const ms_value *expression, msi_condition *parent);
static ms_status parse_document(parser *self, const ms_value *document,
                                msi_condition *parent);

static bool begins_with_dollar(const char *key, size_t length) {
  return length > 0 && key[0] == '$';
}

/* {"$gt": 5}: a key begins with '$'. */
static bool is_expression(const ms_value *value) {
  if (ms_value_type(value) != MS_OBJECT) return false;
  ms_cursor cursor;
  const char *key;
  size_t length;
  const ms_value *item;
  ms_cursor_init(&cursor, value);
  while (ms_cursor_next(&cursor, &key, &length, &item)) {
    if (begins_with_dollar(key, length)) return true;
  }
  return false;
}

static ms_status parse_eq(parser *self, const char *name, const place *at,
                          const ms_value *operand, msi_condition *parent) {
  (void)name;
  return add_value(self, MSI_CONDITION_EQ, at, operand, parent);
}

static ms_status parse_lt(parser *self, const char *name, const place *at,
                          const ms_value *operand, msi_condition *parent) {
  (void)name;
  return add_value(self, MSI_CONDITION_LT, at, operand, parent);
}

static ms_status parse_lte(parser *self, const char *name, const place *at,
                           const ms_value *operand, msi_condition *parent) {
  (void)name;
  return add_value(self, MSI_CONDITION_LTE, at, operand, parent);
}

static ms_status parse_gt(parser *self, const char *name, const place *at,
                          const ms_value *operand, msi_condition *parent) {
  (void)name;
  return add_value(self, MSI_CONDITION_GT, at, operand, parent);
}

static ms_status parse_gte(parser *self, const char *name, const place *at,
                           const ms_value *operand, msi_condition *parent) {
  (void)name;
  return add_value(self, MSI_CONDITION_GTE, at, operand, parent);
}

static ms_status parse_ne(parser *self, const char *name, const place *at,
                          const ms_value *operand, msi_condition *parent) {
  msi_condition *none = NULL;
  ms_status st = add(self, MSI_CONDITION_NOT, parent, &none);
  return st != MS_OK ? st : parse_eq(self, name, at, operand, none);
}

static ms_status check_list(parser *self, const char *name, const place *at,
                            const ms_value *list) {
  if (!msi_value_is_array(list)) return fail_operand(self, name, at, "an array", list);
  for (size_t i = 0; i < ms_value_count(list); i++) {
    if (is_expression(ms_value_at(list, i))) {
      return msi_fail(self->error, MS_EARGUMENT, "%s: takes values, no conditions", name);
    }
  }
  return MS_OK;
}

static ms_status parse_in(parser *self, const char *name, const place *at,
                          const ms_value *operand, msi_condition *parent) {
  msi_condition *made = NULL;
  ms_status st = check_list(self, name, at, operand);
  if (st == MS_OK) st = add_at(self, MSI_CONDITION_IN, at, parent, &made);
  if (st != MS_OK) return st;
  st = msi_value_set_new(self->alloc, operand, &made->set);
  return st == MS_OK ? st : fail_status(self, st);
}

static ms_status parse_nin(parser *self, const char *name, const place *at,
                           const ms_value *operand, msi_condition *parent) {
  msi_condition *none = NULL;
  ms_status st = add(self, MSI_CONDITION_NOT, parent, &none);
  return st != MS_OK ? st : parse_in(self, name, at, operand, none);
}

/* What MongoDB takes for true. */
static bool is_true(const ms_value *value) {
  bool flag;
  double number;
  if (ms_value_to_bool(value, &flag) == MS_OK) return flag;
  if (ms_value_to_double(value, &number) == MS_OK) return number != 0;
  return ms_value_type(value) != MS_NULL;
}

static ms_status parse_exists(parser *self, const char *name, const place *at,
                              const ms_value *operand, msi_condition *parent) {
  (void)name;
  msi_condition *none = parent, *made;
  ms_status st = MS_OK;
  if (!is_true(operand)) st = add(self, MSI_CONDITION_NOT, parent, &none);
  return st != MS_OK ? st : add_at(self, MSI_CONDITION_EXISTS, at, none, &made);
}

static ms_status parse_not(parser *self, const char *name, const place *at,
                           const ms_value *operand, msi_condition *parent) {
  if (!is_expression(operand)) return fail_operand(self, name, at, "conditions", operand);
  msi_condition *none = NULL;
  ms_status st = add(self, MSI_CONDITION_NOT, parent, &none);
  return st != MS_OK ? st : parse_expression(self, at, operand, none);
}

static ms_status parse_size(parser *self, const char *name, const place *at,
                            const ms_value *operand, msi_condition *parent) {
  int64_t size;
  if (!msi_value_is_number(operand)) {
    return fail_operand(self, name, at, "a number", operand);
  }
  if (!msi_value_to_whole(operand, &size) || size < 0 || size > INT32_MAX) {
    return msi_fail(self->error, MS_EARGUMENT,
                    "%s: needs a whole number that is not negative", name);
  }
  msi_condition *made = NULL;
  ms_status st = add_at(self, MSI_CONDITION_SIZE, at, parent, &made);
  if (st == MS_OK) made->number = size;
  return st;
}

/* Towards zero. */
static bool to_truncated(const ms_value *value, int64_t *out) {
  double number;
  if (ms_value_to_int(value, out) == MS_OK) return true;
  if (ms_value_to_double(value, &number) != MS_OK) return false;
  if (!(number >= -9223372036854775808.0 && number < 9223372036854775808.0)) return false;
  *out = (int64_t)number;
  return true;
}

static ms_status parse_mod(parser *self, const char *name, const place *at,
                           const ms_value *operand, msi_condition *parent) {
  int64_t divisor, remainder;
  if (ms_value_type(operand) != MS_ARRAY || ms_value_count(operand) != 2 ||
      !to_truncated(ms_value_at(operand, 0), &divisor) ||
      !to_truncated(ms_value_at(operand, 1), &remainder)) {
    return msi_fail(self->error, MS_EARGUMENT,
                    "%s: needs an array of two numbers, divisor and remainder", name);
  }
  if (divisor == 0) return msi_fail(self->error, MS_EARGUMENT, "%s: divisor is 0", name);
  msi_condition *made = NULL;
  ms_status st = add_at(self, MSI_CONDITION_MOD, at, parent, &made);
  if (st != MS_OK) return st;
  made->number = divisor;
  made->remainder = remainder;
  return MS_OK;
}

/* ----- $type */

typedef struct type_name {
  const char *name;
  int64_t number; /* MongoDB's */
  uint32_t types; /* none: no value here is of that type */
} type_name;

static const type_name type_names[] = {
    {"double", 1, MSI_TYPE_DOUBLE},
    {"string", 2, MSI_TYPE_STRING},
    {"object", 3, MSI_TYPE_OBJECT},
    {"array", 4, MSI_TYPE_ARRAY},
    {"binData", 5, 0},
    {"undefined", 6, 0},
    {"objectId", 7, 0},
    {"bool", 8, MSI_TYPE_BOOL},
    {"date", 9, 0},
    {"null", 10, MSI_TYPE_NULL},
    {"regex", 11, 0},
    {"dbPointer", 12, 0},
    {"javascript", 13, 0},
    {"symbol", 14, 0},
    {"javascriptWithScope", 15, 0},
    {"int", 16, MSI_TYPE_INT},
    {"timestamp", 17, 0},
    {"long", 18, MSI_TYPE_LONG},
    {"decimal", 19, 0},
    {"minKey", -1, 0},
    {"maxKey", 127, 0},
    {"number", INT64_MIN, MSI_TYPE_DOUBLE | MSI_TYPE_INT | MSI_TYPE_LONG},
};

static ms_status add_type(parser *self, const char *name, const ms_value *type,
                          uint32_t *types) {
  const char *bytes = NULL;
  size_t length = 0;
  int64_t number = 0;
  bool is_name = ms_value_to_string(type, &bytes, &length) == MS_OK;
  if (!is_name && !(msi_value_to_whole(type, &number) && number != INT64_MIN)) {
    return msi_fail(self->error, MS_EARGUMENT,
                    "%s: needs the name or number of a type, or an array of them", name);
  }
  for (size_t i = 0; i < sizeof type_names / sizeof type_names[0]; i++) {
    const type_name *known = &type_names[i];
    bool is_this =
        is_name ? strlen(known->name) == length && memcmp(known->name, bytes, length) == 0
                : known->number == number;
    if (!is_this) continue;
    *types |= known->types;
    return MS_OK;
  }
  char text[MSI_PRINT_BYTES];
  if (!is_name) {
    return msi_fail(self->error, MS_EARGUMENT, "%s: unknown type %lld", name,
                    (long long)number);
  }
  return msi_fail(self->error, MS_EARGUMENT, "%s: unknown type \"%s\"", name,
                  msi_text_print(bytes, length, text, sizeof text));
}

static ms_status parse_type(parser *self, const char *name, const place *at,
                            const ms_value *operand, msi_condition *parent) {
  uint32_t types = 0;
  ms_status st = MS_OK;
  if (!msi_value_is_array(operand)) {
    st = add_type(self, name, operand, &types);
  } else if (ms_value_count(operand) == 0) {
    return msi_fail(self->error, MS_EARGUMENT, "%s: needs at least one type", name);
  }
  for (size_t i = 0; st == MS_OK && i < ms_value_count(operand); i++) {
    st = add_type(self, name, ms_value_at(operand, i), &types);
  }
  msi_condition *made = NULL;
  if (st == MS_OK) st = add_at(self, MSI_CONDITION_TYPE, at, parent, &made);
  if (st == MS_OK) made->types = types;
  return st;
}

/* ----- $elemMatch, $all */

static bool is_logical(const char *name, size_t length) {
  const char *const names[] = {"$and", "$or", "$nor", "$comment"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (strlen(names[i]) == length && memcmp(names[i], name, length) == 0) return true;
  }
  return false;
}

/* {"$gt": 1} asks the element itself, {"x": 1} and {"$or": [...]} a document. */
static bool asks_value(const ms_value *operand) {
  ms_cursor cursor;
  const char *key;
  size_t length;
  const ms_value *item;
  bool found = false;
  if (ms_value_type(operand) != MS_OBJECT) return false;
  ms_cursor_init(&cursor, operand);
  while (ms_cursor_next(&cursor, &key, &length, &item)) {
    if (is_logical(key, length)) return false;
    found = found || begins_with_dollar(key, length);
  }
  return found;
}

static ms_status parse_elem_match(parser *self, const char *name, const place *at,
                                  const ms_value *operand, msi_condition *parent) {
  if (!msi_value_is_object(operand)) {
    return fail_operand(self, name, at, "an object", operand);
  }
  bool by_value = asks_value(operand);
  msi_condition *made = NULL;
  ms_status st =
      add_at(self, by_value ? MSI_CONDITION_ELEM_VALUE : MSI_CONDITION_ELEM_OBJECT, at,
             parent, &made);
  if (st != MS_OK) return st;
  if (by_value) {
    place element = {MSI_REACH_VALUE, NULL, at->text, at->length};
    return parse_expression(self, &element, operand, made);
  }
  bool was_filter = self->is_filter;
  self->is_filter = false; /* the elements are documents of their own */
  st = parse_document(self, operand, made);
  self->is_filter = was_filter;
  return st;
}

static const ms_value *elem_match_of(const ms_value *value) {
  if (ms_value_type(value) != MS_OBJECT || ms_value_count(value) != 1) return NULL;
  return ms_value_get(value, "$elemMatch", 10);
}

static bool has_operator(const ms_value *value);

static ms_status parse_all(parser *self, const char *name, const place *at,
                           const ms_value *operand, msi_condition *parent) {
  if (!msi_value_is_array(operand)) {
    return fail_operand(self, name, at, "an array", operand);
  }
  msi_condition *all, *never;
  size_t count = ms_value_count(operand), elem_matches = 0;
  if (count == 0) return add_at(self, MSI_CONDITION_NEVER, at, parent, &never);
  ms_status st = add(self, MSI_CONDITION_AND, parent, &all);
  for (size_t i = 0; i < count && st == MS_OK; i++) {
    const ms_value *item = ms_value_at(operand, i), *inner = elem_match_of(item);
    if (inner != NULL) elem_matches++;
    if ((inner == NULL && has_operator(item)) ||
        (elem_matches > 0 && elem_matches <= i)) {
      return msi_fail(self->error, MS_EARGUMENT,
                      "%s: takes values, or $elemMatch in each place", name);
    }
    st = inner != NULL ? parse_elem_match(self, "$elemMatch", at, inner, all)
                       : add_value(self, MSI_CONDITION_EQ, at, item, all);
  }
  return st;
}

/* ----- by name */

typedef struct operator_name {
  const char *name;
  operator_fn parse;
} operator_name;

static const operator_name operators[] = {
    {"$eq", parse_eq},
    {"$ne", parse_ne},
    {"$gt", parse_gt},
    {"$gte", parse_gte},
    {"$lt", parse_lt},
    {"$lte", parse_lte},
    {"$in", parse_in},
    {"$nin", parse_nin},
    {"$exists", parse_exists},
    {"$type", parse_type},
    {"$not", parse_not},
    {"$all", parse_all},
    {"$elemMatch", parse_elem_match},
    {"$size", parse_size},
    {"$mod", parse_mod},
};

static const operator_name *find_operator(const char *name, size_t length) {
  for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
    const operator_name *known = &operators[i];
    if (strlen(known->name) == length && memcmp(known->name, name, length) == 0) {
      return known;
    }
  }
  return NULL;
}

/* An object with an operator that asks about a value; as in MongoDB $not alone is none. */
static bool has_operator(const ms_value *value) {
  if (ms_value_type(value) != MS_OBJECT) return false;
  for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
    const char *name = operators[i].name;
    if (operators[i].parse == parse_not) continue;
    if (ms_value_get(value, name, strlen(name)) != NULL) return true;
  }
  return false;
}

static ms_status parse_expression(parser *self, const place *at,
                                  const ms_value *expression, msi_condition *parent) {
  ms_cursor cursor;
  const char *key;
  size_t length;
  const ms_value *operand;
  ms_cursor_init(&cursor, expression);
  while (ms_cursor_next(&cursor, &key, &length, &operand)) {
    const operator_name *known = find_operator(key, length);
    if (known == NULL) return fail_unknown(self, key, length);
    ms_status st = known->parse(self, known->name, at, operand, parent);
    if (st != MS_OK) return st;
  }
  return MS_OK;
}

/* ---------------------------------------------------------------- documents */

static ms_status parse_logical(parser *self, const char *name, size_t length,
                               const ms_value *operand, msi_condition *parent) {
  if (!is_logical(name, length)) return fail_unknown(self, name, length);
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
  ms_status st = add(self, kind, parent, &made);
  for (size_t i = 0; i < ms_value_count(operand) && st == MS_OK; i++) {
    const ms_value *item = ms_value_at(operand, i);
    if (!msi_value_is_object(item)) {
      return msi_fail(self->error, MS_EARGUMENT, "%.*s: needs objects, not %s",
                      (int)length, name, msi_type_phrase(ms_value_type(item)));
    }
    msi_condition *each;
    st = add(self, MSI_CONDITION_AND, made, &each);
    if (st == MS_OK) st = parse_document(self, item, each);
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
static ms_status take_id(parser *self, ms_key key) {
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
    return st == MS_OK ? st : fail_status(self, st);
  }
  ms_status st = ms_value_to_string(self->id, &known, &length);
  if (st != MS_OK) return fail_status(self, st);
  if (length == key.length && memcmp(known, key.bytes, length) == 0) return MS_OK;
  return msi_fail(self->error, MS_EARGUMENT,
                  "array filter: \"%s\" and \"%s\" in one filter, which is about one",
                  msi_text_print(known, length, first, sizeof first),
                  msi_text_print(key.bytes, key.length, second, sizeof second));
}

/* at->path is retained by the caller. Unlike paths of updates those of queries may hold
 * empty keys and such that begin with '$'. */
static ms_status place_parse(parser *self, const char *text, size_t length, place *at) {
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
  *at = (place){MSI_REACH_DOCUMENT, NULL, text, length};
  size_t first = 0;
  if (self->is_filter) {
    ms_status st = take_id(self, keys[0]);
    if (st != MS_OK) return st;
    at->reach = MSI_REACH_ELEMENT;
    first = 1;
  }
  return ms_path_new(self->alloc, keys + first, count - first, &at->path, self->error);
}

static ms_status parse_document(parser *self, const ms_value *document,
                                msi_condition *parent) {
  ms_cursor cursor;
  const char *key;
  size_t length;
  const ms_value *value;
  if (ms_value_count(document) == 0) return MS_OK;
  ms_cursor_init(&cursor, document);
  while (ms_cursor_next(&cursor, &key, &length, &value)) {
    ms_status st;
    if (begins_with_dollar(key, length)) {
      st = parse_logical(self, key, length, value, parent);
    } else {
      place at;
      st = place_parse(self, key, length, &at);
      if (st != MS_OK) return st;
      st = is_expression(value) ? parse_expression(self, &at, value, parent)
                                : parse_eq(self, "$eq", &at, value, parent);
      ms_path_release(at.path);
    }
    if (st != MS_OK) return st;
  }
  return MS_OK;
}

/* ----------------------------------------------------------------- lifetime */

static void query_free(ms_query *query) {
  condition_fini(query->alloc, &query->root);
  ms_value_release(query->id);
  ms_value_release(query->source);
  MSI_FREE(query->alloc, query);
}

ms_query *ms_query_retain(const ms_query *query) {
  ms_query *counted = (ms_query *)query; /* the count is the one part that changes */
  if (counted != NULL)
    atomic_fetch_add_explicit(&counted->references, 1, memory_order_relaxed);
  return counted;
}

void ms_query_release(const ms_query *query) {
  ms_query *counted = (ms_query *)query;
  if (counted == NULL) return;
  if (atomic_fetch_sub_explicit(&counted->references, 1, memory_order_acq_rel) == 1) {
    query_free(counted);
  }
}

static ms_status query_new(parser *self, const ms_value *source, ms_query **out) {
  ms_query *query = MSI_NEW(self->alloc, ms_query);
  if (query == NULL) return fail_status(self, MS_ENOMEM);
  query->alloc = self->alloc;
  atomic_init(&query->references, 1);
  query->source = ms_value_retain(source);
  query->root.kind = MSI_CONDITION_AND;
  *out = query;
  return MS_OK;
}

/* Takes what was made, or releases it. */
static ms_status query_finish(parser *self, ms_status st, ms_query *query,
                              ms_query **out) {
  query->id = self->id;
  if (st == MS_OK) {
    *out = query;
  } else {
    query_free(query);
  }
  return st;
}

static ms_status check_depth(parser *self, const ms_value *source) {
  if (msi_value_depth(source, MS_DEPTH_MAX) <= MS_DEPTH_MAX) return MS_OK;
  return msi_fail(self->error, MS_ELIMIT, "a query deeper than %d levels", MS_DEPTH_MAX);
}

static ms_status parse_whole(parser *self, const ms_value *document, const char *what,
                             ms_query **out) {
  if (!msi_value_is_object(document)) {
    return msi_fail(self->error, MS_EARGUMENT, "%s is an object of conditions, not %s",
                    what, msi_type_phrase(ms_value_type(document)));
  }
  ms_query *query;
  ms_status st = check_depth(self, document);
  if (st == MS_OK) st = query_new(self, document, &query);
  if (st != MS_OK) return st;
  st = parse_document(self, document, &query->root);
  if (st == MS_OK && self->is_filter && self->id == NULL) {
    st = msi_fail(self->error, MS_EARGUMENT, "an array filter without an identifier");
  }
  return query_finish(self, st, query, out);
}

static parser parser_of(const ms_alloc *alloc, ms_error *error) {
  return (parser){
      .alloc = msi_alloc_resolve(alloc), .error = error, .left = MS_QUERY_MAX};
}

ms_status ms_query_parse(const ms_alloc *alloc, const ms_value *document, ms_query **out,
                         ms_error *error) {
  parser self = parser_of(alloc, error);
  return parse_whole(&self, document, "a query", out);
}

ms_status msi_query_parse_filter(const ms_alloc *alloc, const ms_value *document,
                                 ms_query **out, ms_error *error) {
  parser self = parser_of(alloc, error);
  self.is_filter = true;
  return parse_whole(&self, document, "an array filter", out);
}

ms_status msi_query_parse_pull(const ms_alloc *alloc, const ms_value *operand,
                               ms_query **out, ms_error *error) {
  parser self = parser_of(alloc, error);
  ms_query *query;
  ms_status st = check_depth(&self, operand);
  if (st == MS_OK) st = query_new(&self, operand, &query);
  if (st != MS_OK) return st;
  place element = {MSI_REACH_ELEMENT, NULL, NULL, 0};
  if (has_operator(operand)) {
    st = parse_expression(&self, &element, operand, &query->root);
  } else if (msi_value_is_object(operand)) {
    query->objects_only = true;
    st = parse_document(&self, operand, &query->root);
  } else {
    element.reach = MSI_REACH_VALUE;
    st = parse_eq(&self, "$eq", &element, operand, &query->root);
  }
  return query_finish(&self, st, query, out);
}

ms_status msi_query_new_set(const ms_alloc *alloc, const ms_value *list, ms_query **out) {
  parser self = parser_of(alloc, NULL);
  ms_query *query;
  msi_condition *made = NULL;
  ms_status st = query_new(&self, list, &query);
  if (st != MS_OK) return st;
  place element = {MSI_REACH_VALUE, NULL, NULL, 0};
  st = add_at(&self, MSI_CONDITION_IN, &element, &query->root, &made);
  if (st == MS_OK) st = msi_value_set_new(self.alloc, list, &made->set);
  return query_finish(&self, st, query, out);
}

const msi_value_set *msi_query_set(const ms_query *query) {
  MSI_ASSERT(query->root.children->set != NULL);
  return query->root.children->set;
}
