/* Updates from documents, {"$set": {"a.b": 1}, ...}, with array filters and a condition. */
#include "builder.h"

static ms_status check_operator(const char *name, size_t length, const ms_value *operand,
                                ms_error *error) {
  char text[MSI_PRINT_BYTES];
  msi_text_print(name, length, text, sizeof text);
  if (length == 0 || name[0] != '$') {
    return msi_fail(error, MS_EOPERATOR, "\"%s\" is no operator; use {\"$set\": {...}}",
                    text);
  }
  if (msi_operator_by_name(name, length) == NULL) {
    return msi_fail(error, MS_EOPERATOR, "unknown operator \"%s\"", text);
  }
  if (msi_value_is_object(operand)) return MS_OK;
  return msi_fail(error, MS_EARGUMENT, "%s: needs an object of paths, not %s", text,
                  msi_type_phrase(ms_value_type(operand)));
}

static ms_status count_document(const ms_value *document, size_t *count,
                                ms_error *error) {
  if (!msi_value_is_object(document)) {
    return msi_fail(error, MS_EARGUMENT, "an update is an object of operators, not %s",
                    msi_type_phrase(ms_value_type(document)));
  }
  ms_cursor cursor;
  const char *name;
  size_t length;
  const ms_value *operand;
  ms_cursor_init(&cursor, document);
  while (ms_cursor_next(&cursor, &name, &length, &operand)) {
    ms_status st = check_operator(name, length, operand, error);
    if (st != MS_OK) return st;
    bool is_rename = msi_operator_by_name(name, length)->code == MSI_CODE_RENAME;
    *count += ms_value_count(operand) * (is_rename ? 2 : 1);
  }
  return MS_OK;
}

typedef struct parser {
  msi_builder builder;
  msi_filters filters;
  ms_error *error;
} parser;

static ms_status parse_operator(parser *self, const msi_operator *row,
                                const ms_value *operand) {
  const ms_alloc *alloc = self->builder.block.alloc;
  ms_cursor cursor;
  const char *text;
  size_t length;
  const ms_value *given;
  ms_cursor_init(&cursor, operand);
  while (ms_cursor_next(&cursor, &text, &length, &given)) {
    if (length == 0) {
      return msi_fail(self->error, MS_EPATH, "%s: the path is empty", row->name);
    }
    ms_path *path;
    msi_selection *selection;
    ms_status st = msi_positional_parse(&self->filters, alloc, text, length, &path,
                                        &selection, self->error);
    if (st != MS_OK) return st;
    msi_op *op = msi_builder_add(&self->builder, row->code, path);
    op->selection = selection;
    st = msi_builder_compile(&self->builder, op, given, self->error);
    if (st != MS_OK) return st;
  }
  return MS_OK;
}

static ms_status parse_document(parser *self, const ms_value *document) {
  ms_cursor cursor;
  const char *name;
  size_t length;
  const ms_value *operand;
  msi_builder_begin_group(&self->builder);
  ms_cursor_init(&cursor, document);
  while (ms_cursor_next(&cursor, &name, &length, &operand)) {
    const msi_operator *row = msi_operator_by_name(name, length);
    MSI_ASSERT(row != NULL); /* count_document() has checked it */
    ms_status st = parse_operator(self, row, operand);
    if (st != MS_OK) return st;
  }
  return msi_builder_end_group(&self->builder, self->error);
}

/* One document or an array of them; a NULL parser counts the operations. */
static ms_status each_document(parser *self, const ms_value *document, size_t *count,
                               ms_error *error) {
  if (ms_value_type(document) != MS_ARRAY) {
    return self == NULL ? count_document(document, count, error)
                        : parse_document(self, document);
  }
  ms_cursor cursor;
  const char *key;
  size_t index;
  const ms_value *item;
  ms_cursor_init(&cursor, document);
  while (ms_cursor_next(&cursor, &key, &index, &item)) {
    ms_status st =
        self == NULL ? count_document(item, count, error) : parse_document(self, item);
    if (st != MS_OK) return st;
  }
  return MS_OK;
}

/* ------------------------------------------------------------------ options */

void ms_update_options_init(ms_update_options *options) {
  *options = (ms_update_options){.bytes = sizeof *options};
}

static ms_status check_options(const ms_update_options *options, ms_error *error) {
  const ms_value *filters = options->array_filters;
  if (options->bytes != sizeof *options) {
    return msi_fail(error, MS_EARGUMENT, "use ms_update_options_init()");
  }
  if (filters == NULL || msi_value_is_array(filters)) return MS_OK;
  return msi_fail(error, MS_EARGUMENT, "array filters are an array of objects, not %s",
                  msi_type_phrase(ms_value_type(filters)));
}

/* The condition is a group of its own before the others. */
static ms_status add_where(parser *self, const ms_value *where) {
  const ms_alloc *alloc = self->builder.block.alloc;
  ms_path *path;
  ms_status st = msi_path_from_segments(alloc, NULL, 0, &path);
  if (st != MS_OK) return msi_builder_fail(self->error, st);
  msi_builder_begin_group(&self->builder);
  msi_op *op = msi_builder_add(&self->builder, MSI_CODE_WHERE, path);
  return msi_builder_compile(&self->builder, op, where, self->error);
}

/* With the filters at hand. */
static ms_status parse(parser *self, const ms_alloc *alloc, const ms_value *document,
                       const ms_value *where, size_t op_count, uint64_t wire_guess,
                       ms_update **out) {
  ms_status st =
      msi_builder_init(&self->builder, alloc, op_count, wire_guess, self->error);
  if (st == MS_OK && where != NULL) st = add_where(self, where);
  if (st == MS_OK) st = each_document(self, document, NULL, self->error);
  if (st == MS_OK) st = msi_filters_check_used(&self->filters, self->error);
  if (st == MS_OK) st = msi_builder_finish(&self->builder, out, self->error);
  if (st != MS_OK) msi_builder_fini(&self->builder);
  return st;
}

ms_status ms_update_parse(const ms_alloc *alloc, const ms_value *document,
                          const ms_update_options *options, ms_update **out,
                          ms_error *error) {
  const ms_update_options none = {.bytes = sizeof none};
  if (options == NULL) options = &none;
  const ms_value *filters = options->array_filters, *where = options->where;
  size_t op_count = where == NULL ? 0 : 1;
  if (ms_value_type(document) == MS_ARRAY && ms_value_count(document) > MS_PATCH_MAX) {
    return msi_builder_fail_bytes(error);
  }
  ms_status st = check_options(options, error);
  if (st == MS_OK) st = each_document(NULL, document, &op_count, error);
  if (st != MS_OK) return st;
  parser self = {.error = error};
  st = msi_filters_init(&self.filters, alloc, filters, error);
  if (st != MS_OK) return st;
  uint64_t guess = ms_value_bytes(document) + 16 * (uint64_t)op_count + 32;
  if (filters != NULL) guess += ms_value_bytes(filters);
  if (where != NULL) guess += ms_value_bytes(where);
  st = parse(&self, alloc, document, where, op_count, guess, out);
  msi_filters_fini(&self.filters);
  return st;
}
