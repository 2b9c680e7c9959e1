/*
 * Compiling queries: the operators on values, {"$gt": 5}, one function each. MongoDB decides
 * by the first key of an object whether it is an expression or a literal; here objects are
 * unordered, so one key that begins with '$' makes it an expression, in which all others are
 * refused.
 */
#include <string.h>

#include "query_parse.h"

typedef ms_status (*operator_fn)(msi_query_parser *self, const char *name,
                                 const msi_query_place *at, const ms_value *operand,
                                 msi_condition *parent);

/* ---------------------------------------------------------------- operators */

static ms_status fail_operand(msi_query_parser *self, const char *name,
                              const msi_query_place *at, const char *wanted,
                              const ms_value *found) {
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

static ms_status add_value(msi_query_parser *self, msi_condition_kind kind,
                           const msi_query_place *at, const ms_value *operand,
                           msi_condition *parent) {
  msi_condition *made = NULL;
  ms_status st = msi_query_add_at(self, kind, at, parent, &made);
  if (st == MS_OK) made->operand = operand;
  return st;
}

bool msi_query_is_expression(const ms_value *value) {
  if (ms_value_type(value) != MS_OBJECT) return false;
  ms_cursor cursor;
  const char *key;
  size_t length;
  const ms_value *item;
  ms_cursor_init(&cursor, value);
  while (ms_cursor_next(&cursor, &key, &length, &item)) {
    if (msi_query_is_name(key, length)) return true;
  }
  return false;
}

ms_status msi_query_parse_literal(msi_query_parser *self, const msi_query_place *at,
                                  const ms_value *operand, msi_condition *parent) {
  return add_value(self, MSI_CONDITION_EQ, at, operand, parent);
}

static ms_status parse_eq(msi_query_parser *self, const char *name,
                          const msi_query_place *at, const ms_value *operand,
                          msi_condition *parent) {
  (void)name;
  return add_value(self, MSI_CONDITION_EQ, at, operand, parent);
}

static ms_status parse_lt(msi_query_parser *self, const char *name,
                          const msi_query_place *at, const ms_value *operand,
                          msi_condition *parent) {
  (void)name;
  return add_value(self, MSI_CONDITION_LT, at, operand, parent);
}

static ms_status parse_lte(msi_query_parser *self, const char *name,
                           const msi_query_place *at, const ms_value *operand,
                           msi_condition *parent) {
  (void)name;
  return add_value(self, MSI_CONDITION_LTE, at, operand, parent);
}

static ms_status parse_gt(msi_query_parser *self, const char *name,
                          const msi_query_place *at, const ms_value *operand,
                          msi_condition *parent) {
  (void)name;
  return add_value(self, MSI_CONDITION_GT, at, operand, parent);
}

static ms_status parse_gte(msi_query_parser *self, const char *name,
                           const msi_query_place *at, const ms_value *operand,
                           msi_condition *parent) {
  (void)name;
  return add_value(self, MSI_CONDITION_GTE, at, operand, parent);
}

static ms_status parse_ne(msi_query_parser *self, const char *name,
                          const msi_query_place *at, const ms_value *operand,
                          msi_condition *parent) {
  msi_condition *none = NULL;
  ms_status st = msi_query_add(self, MSI_CONDITION_NOT, parent, &none);
  return st != MS_OK ? st : parse_eq(self, name, at, operand, none);
}

static ms_status check_list(msi_query_parser *self, const char *name,
                            const msi_query_place *at, const ms_value *list) {
  if (!msi_value_is_array(list)) return fail_operand(self, name, at, "an array", list);
  for (size_t i = 0; i < ms_value_count(list); i++) {
    if (msi_query_is_expression(ms_value_at(list, i))) {
      return msi_fail(self->error, MS_EARGUMENT, "%s: takes values, no conditions", name);
    }
  }
  return MS_OK;
}

static ms_status parse_in(msi_query_parser *self, const char *name,
                          const msi_query_place *at, const ms_value *operand,
                          msi_condition *parent) {
  msi_condition *made = NULL;
  ms_status st = check_list(self, name, at, operand);
  if (st == MS_OK) st = msi_query_add_at(self, MSI_CONDITION_IN, at, parent, &made);
  if (st != MS_OK) return st;
  st = msi_value_set_new(self->alloc, operand, &self->meter, &made->set);
  return st == MS_OK ? st : msi_query_fail(self, st);
}

static ms_status parse_nin(msi_query_parser *self, const char *name,
                           const msi_query_place *at, const ms_value *operand,
                           msi_condition *parent) {
  msi_condition *none = NULL;
  ms_status st = msi_query_add(self, MSI_CONDITION_NOT, parent, &none);
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

static ms_status parse_exists(msi_query_parser *self, const char *name,
                              const msi_query_place *at, const ms_value *operand,
                              msi_condition *parent) {
  (void)name;
  msi_condition *none = parent, *made;
  ms_status st = MS_OK;
  if (!is_true(operand)) st = msi_query_add(self, MSI_CONDITION_NOT, parent, &none);
  return st != MS_OK ? st : msi_query_add_at(self, MSI_CONDITION_EXISTS, at, none, &made);
}

static ms_status parse_not(msi_query_parser *self, const char *name,
                           const msi_query_place *at, const ms_value *operand,
                           msi_condition *parent) {
  if (!msi_query_is_expression(operand))
    return fail_operand(self, name, at, "conditions", operand);
  msi_condition *none = NULL;
  ms_status st = msi_query_add(self, MSI_CONDITION_NOT, parent, &none);
  return st != MS_OK ? st : msi_query_parse_expression(self, at, operand, none);
}

static ms_status parse_size(msi_query_parser *self, const char *name,
                            const msi_query_place *at, const ms_value *operand,
                            msi_condition *parent) {
  int64_t size;
  if (!msi_value_is_number(operand)) {
    return fail_operand(self, name, at, "a number", operand);
  }
  if (!msi_value_to_whole(operand, &size) || size < 0 || size > INT32_MAX) {
    return msi_fail(self->error, MS_EARGUMENT,
                    "%s: needs a whole number that is not negative", name);
  }
  msi_condition *made = NULL;
  ms_status st = msi_query_add_at(self, MSI_CONDITION_SIZE, at, parent, &made);
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

static ms_status parse_mod(msi_query_parser *self, const char *name,
                           const msi_query_place *at, const ms_value *operand,
                           msi_condition *parent) {
  int64_t divisor, remainder;
  if (ms_value_type(operand) != MS_ARRAY || ms_value_count(operand) != 2 ||
      !to_truncated(ms_value_at(operand, 0), &divisor) ||
      !to_truncated(ms_value_at(operand, 1), &remainder)) {
    return msi_fail(self->error, MS_EARGUMENT,
                    "%s: needs an array of two numbers, divisor and remainder", name);
  }
  if (divisor == 0) return msi_fail(self->error, MS_EARGUMENT, "%s: divisor is 0", name);
  msi_condition *made = NULL;
  ms_status st = msi_query_add_at(self, MSI_CONDITION_MOD, at, parent, &made);
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

static ms_status add_type(msi_query_parser *self, const char *name, const ms_value *type,
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

static ms_status parse_type(msi_query_parser *self, const char *name,
                            const msi_query_place *at, const ms_value *operand,
                            msi_condition *parent) {
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
  if (st == MS_OK) st = msi_query_add_at(self, MSI_CONDITION_TYPE, at, parent, &made);
  if (st == MS_OK) made->types = types;
  return st;
}

/* ----- $elemMatch, $all */

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
    if (msi_query_is_logical(key, length)) return false;
    found = found || msi_query_is_name(key, length);
  }
  return found;
}

static ms_status parse_elem_match(msi_query_parser *self, const char *name,
                                  const msi_query_place *at, const ms_value *operand,
                                  msi_condition *parent) {
  if (!msi_value_is_object(operand)) {
    return fail_operand(self, name, at, "an object", operand);
  }
  bool by_value = asks_value(operand);
  msi_condition *made = NULL;
  ms_status st = msi_query_add_at(
      self, by_value ? MSI_CONDITION_ELEM_VALUE : MSI_CONDITION_ELEM_OBJECT, at, parent,
      &made);
  if (st != MS_OK) return st;
  if (by_value) {
    msi_query_place element = {MSI_REACH_VALUE, NULL, at->text, at->length};
    return msi_query_parse_expression(self, &element, operand, made);
  }
  bool was_filter = self->is_filter;
  self->is_filter = false; /* the elements are documents of their own */
  st = msi_query_parse_document(self, operand, made);
  self->is_filter = was_filter;
  return st;
}

static const ms_value *elem_match_of(const ms_value *value) {
  if (ms_value_type(value) != MS_OBJECT || ms_value_count(value) != 1) return NULL;
  return ms_value_get(value, "$elemMatch", 10);
}

static ms_status parse_all(msi_query_parser *self, const char *name,
                           const msi_query_place *at, const ms_value *operand,
                           msi_condition *parent) {
  if (!msi_value_is_array(operand)) {
    return fail_operand(self, name, at, "an array", operand);
  }
  msi_condition *all, *never;
  size_t count = ms_value_count(operand), elem_matches = 0;
  if (count == 0) return msi_query_add_at(self, MSI_CONDITION_NEVER, at, parent, &never);
  ms_status st = msi_query_add(self, MSI_CONDITION_AND, parent, &all);
  for (size_t i = 0; i < count && st == MS_OK; i++) {
    const ms_value *item = ms_value_at(operand, i), *inner = elem_match_of(item);
    if (inner != NULL) elem_matches++;
    if ((inner == NULL && msi_query_has_operator(item)) ||
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

bool msi_query_has_operator(const ms_value *value) {
  if (ms_value_type(value) != MS_OBJECT) return false;
  for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
    const char *name = operators[i].name;
    if (operators[i].parse == parse_not) continue;
    if (ms_value_get(value, name, strlen(name)) != NULL) return true;
  }
  return false;
}

ms_status msi_query_parse_expression(msi_query_parser *self, const msi_query_place *at,
                                     const ms_value *expression, msi_condition *parent) {
  ms_cursor cursor;
  const char *key;
  size_t length;
  const ms_value *operand;
  ms_cursor_init(&cursor, expression);
  while (ms_cursor_next(&cursor, &key, &length, &operand)) {
    const operator_name *known = find_operator(key, length);
    if (known == NULL) return msi_query_fail_unknown(self, key, length);
    ms_status st = known->parse(self, known->name, at, operand, parent);
    if (st != MS_OK) return st;
  }
  return MS_OK;
}
