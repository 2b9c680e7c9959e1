/*
 * What the tables of MongoDB's rules share: documents, updates and results in lines of JSON in which '
 * stands for ", and @ for the wall time.
 */
#ifndef MST_MONGO_SUPPORT_H
#define MST_MONGO_SUPPORT_H

#include "update_support.h"

typedef struct mst_line {
  const char *document, *update;
  const char *wanted;  /* the document afterwards, or the name of a status */
  const char *filters; /* NULL: none */
} mst_line;

static inline const ms_value *mst_quoted(const char *text) {
  char json[4096];
  size_t at = 0;
  for (; *text != '\0'; text++) {
    assert_true(at + 8 < sizeof json);
    if (*text == '@') {
      memcpy(json + at, "1000", 4);
      at += 4;
    } else {
      json[at++] = *text == '\'' ? '"' : *text;
    }
  }
  json[at] = '\0';
  return mst_json(json);
}

/* Compiles, sends over the wire and applies. */
static inline ms_status mst_line_run(const mst_line *self, const ms_value *root,
                                     const ms_value **out, ms_error *error) {
  const msi_apply context = {NULL, 1000, 0};
  const ms_value *document = mst_quoted(self->update);
  const ms_value *filters = self->filters == NULL ? NULL : mst_quoted(self->filters);
  ms_update *update = NULL, *again = NULL;
  ms_update_options options;
  ms_update_options_init(&options);
  options.array_filters = filters;
  ms_status st = ms_update_parse(NULL, document, &options, &update, error);
  if (st == MS_OK) {
    assert_int_equal(
        msi_update_decode(NULL, update->wire, update->wire_bytes, &again, NULL), MS_OK);
    st = msi_update_apply(&context, again, root, out, NULL, error);
  }
  ms_update_release(again);
  ms_update_release(update);
  ms_value_release(filters);
  ms_value_release(document);
  return st;
}

static inline bool mst_is_status(const char *wanted) { return wanted[0] == 'E'; }

static inline bool mst_line_is_met(const mst_line *self, ms_status st,
                                   const ms_value *result) {
  if (mst_is_status(self->wanted)) {
    return st != MS_OK && strcmp(ms_status_name(st), self->wanted) == 0;
  }
  if (st != MS_OK) return false;
  const ms_value *wanted = mst_quoted(self->wanted);
  bool same = ms_value_equal(result, wanted);
  ms_value_release(wanted);
  return same;
}

static inline void mst_line_report(const mst_line *self, ms_status st,
                                   const ms_value *result, const ms_error *error) {
  const ms_value *text = NULL;
  const char *bytes = error->message;
  size_t length;
  if (st == MS_OK) {
    assert_int_equal(ms_value_to_json(NULL, result, MS_JSON_LOSSLESS, &text), MS_OK);
    assert_int_equal(ms_value_to_string(text, &bytes, &length), MS_OK);
  }
  print_message("%s  %s\n  expected %s, found %s %s\n", self->document, self->update,
                self->wanted, ms_status_name(st), bytes);
  ms_value_release(text);
}

static inline bool mst_line_passes(const mst_line *self) {
  const ms_value *root = mst_quoted(self->document), *result = NULL;
  const ms_value *before = mst_quoted(self->document);
  ms_error error = {MS_OK, ""};
  ms_status st = mst_line_run(self, root, &result, &error);
  bool as_wanted = mst_line_is_met(self, st, result);
  if (!as_wanted) mst_line_report(self, st, result, &error);
  assert_true(ms_value_equal(root, before)); /* never touched */
  if (st == MS_OK) {
    assert_true(msi_value_check(result));
    assert_int_equal(result == root, ms_value_equal(result, root));
  } else {
    assert_null(result);
    assert_int_equal(error.status, st);
    assert_true(error.message[0] != '\0');
  }
  ms_value_release(result);
  ms_value_release(before);
  ms_value_release(root);
  return as_wanted;
}

static inline void mst_check(const mst_line *lines, size_t count) {
  size_t failed = 0;
  for (size_t i = 0; i < count; i++) failed += !mst_line_passes(&lines[i]);
  assert_int_equal(failed, 0);
}
#define MST_CHECK(lines) mst_check(lines, sizeof(lines) / sizeof(lines)[0])

#endif
