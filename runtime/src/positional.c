/* Positional paths and array filters. See positional.h. */
#include "positional.h"

#include <stdatomic.h>
#include <string.h>

static ms_status fail_status(ms_error *error, ms_status st) {
  return msi_fail(error, st, "%s", ms_status_text(st));
}

/* ------------------------------------------------------------------ filters */

void msi_filters_fini(msi_filters *self) {
  for (size_t i = 0; i < self->count; i++) ms_query_release(self->items[i]);
  size_t bytes = self->count * (sizeof *self->items + sizeof *self->is_used);
  msi_alloc_free(self->alloc, self->items, bytes);
  ms_value_release(self->indexes);
}

/* The wire names the identifier, which the filter must agree with. */
static ms_status filters_check_name(const ms_value *name, const ms_query *filter,
                                    ms_error *error) {
  if (name == NULL || ms_value_equal(name, filter->id)) return MS_OK;
  return msi_fail(error, MS_EARGUMENT, "malformed update: misnamed array filter");
}

static ms_status filters_add(msi_filters *self, size_t at, const ms_value *document,
                             const ms_value *name, ms_error *error) {
  ms_status st = msi_query_parse_filter(self->alloc, document, &self->items[at], error);
  if (st != MS_OK) return st;
  const ms_query *filter = self->items[at];
  st = filters_check_name(name, filter, error);
  if (st != MS_OK) return st;
  if (msi_object_get(self->indexes, filter->id) != NULL) {
    const char *text;
    size_t length;
    char id[MSI_PRINT_BYTES];
    st = ms_value_to_string(filter->id, &text, &length);
    if (st != MS_OK) return fail_status(error, st);
    return msi_fail(error, MS_EARGUMENT, "two array filters for \"%s\"",
                    msi_text_print(text, length, id, sizeof id));
  }
  const ms_value *index;
  st = ms_value_new_int(self->alloc, (int64_t)at, &index);
  if (st == MS_OK) {
    st = msi_object_put(self->alloc, &self->indexes, filter->id, index);
    ms_value_release(index);
  }
  return st == MS_OK ? st : fail_status(error, st);
}

static ms_status filters_fill(msi_filters *self, const ms_value *given, ms_error *error) {
  bool is_wire = ms_value_type(given) == MS_OBJECT;
  msi_meter meter = MSI_METER_FULL;
  ms_status st = MS_OK;
  ms_cursor cursor;
  const char *key;
  size_t length;
  const ms_value *name = NULL, *document;
  ms_cursor_init(&cursor, given);
  for (size_t at = 0; at < self->count && st == MS_OK; at++) {
    bool more = is_wire ? msi_cursor_next_key(&cursor, &name, &document)
                        : ms_cursor_next(&cursor, &key, &length, &document);
    MSI_ASSERT(more);
    (void)more;
    st = filters_add(self, at, document, name, error);
    if (st == MS_OK && !msi_meter_take(&meter, self->items[at]->steps)) {
      st = msi_fail(error, MS_ELIMIT, "the array filters take more than %d steps",
                    MS_STEPS_MAX);
    }
  }
  return st;
}

ms_status msi_filters_init(msi_filters *self, const ms_alloc *alloc,
                           const ms_value *given, ms_error *error) {
  *self = (msi_filters){.alloc = msi_alloc_resolve(alloc), .indexes = ms_value_empty()};
  ms_type type = given == NULL ? MS_EMPTY : ms_value_type(given);
  if (type != MS_ARRAY && type != MS_OBJECT && type != MS_EMPTY) {
    return msi_fail(error, MS_EARGUMENT, "array filters are an array of objects, not %s",
                    msi_type_phrase(type));
  }
  size_t count = given == NULL ? 0 : ms_value_count(given);
  if (count == 0) return MS_OK;
  self->items = msi_alloc_zero(self->alloc, count * (sizeof *self->items + sizeof(bool)));
  if (self->items == NULL) return fail_status(error, MS_ENOMEM);
  self->count = count;
  self->is_used = (bool *)(void *)(self->items + count);
  ms_status st = filters_fill(self, given, error);
  if (st != MS_OK) msi_filters_fini(self);
  return st;
}

ms_status msi_filters_check_used(const msi_filters *self, ms_error *error) {
  for (size_t i = 0; i < self->count; i++) {
    if (self->is_used[i]) continue;
    const char *text;
    size_t length;
    char id[MSI_PRINT_BYTES];
    ms_status st = ms_value_to_string(self->items[i]->id, &text, &length);
    if (st != MS_OK) return fail_status(error, st);
    return msi_fail(error, MS_EARGUMENT, "no path uses the array filter for \"%s\"",
                    msi_text_print(text, length, id, sizeof id));
  }
  return MS_OK;
}

static ms_status filters_find(msi_filters *self, const char *id, size_t length,
                              const ms_query **out, ms_error *error) {
  const ms_value *index = ms_value_get(self->indexes, id, length);
  int64_t at = 0;
  if (index == NULL || ms_value_to_int(index, &at) != MS_OK) {
    char text[MSI_PRINT_BYTES];
    return msi_fail(error, MS_EARGUMENT, "no array filter for \"$[%s]\"",
                    msi_text_print(id, length, text, sizeof text));
  }
  self->is_used[at] = true;
  *out = self->items[at];
  return MS_OK;
}

/* -------------------------------------------------------------------- selections */

static size_t selection_bytes(size_t count) {
  return sizeof(msi_selection) + count * (sizeof(msi_segment) + sizeof(msi_selector));
}

static msi_selection *selection_new(const ms_alloc *alloc, size_t count) {
  msi_selection *selection = msi_alloc_zero(alloc, selection_bytes(count));
  if (selection == NULL) return NULL;
  selection->alloc = alloc;
  atomic_init(&selection->references, 1);
  selection->count = (uint32_t)count;
  selection->segments = (msi_segment *)(void *)(selection + 1);
  selection->selectors = (msi_selector *)(void *)(selection->segments + count);
  return selection;
}

msi_selection *msi_selection_retain(const msi_selection *selection) {
  msi_selection *counted =
      (msi_selection *)selection; /* the count is the one part that changes */
  if (counted != NULL)
    atomic_fetch_add_explicit(&counted->references, 1, memory_order_relaxed);
  return counted;
}

void msi_selection_release(const msi_selection *selection) {
  msi_selection *counted = (msi_selection *)selection;
  if (counted == NULL) return;
  if (atomic_fetch_sub_explicit(&counted->references, 1, memory_order_acq_rel) != 1)
    return;
  for (size_t i = 0; i < counted->count; i++) {
    ms_value_release(counted->segments[i].key);
    ms_query_release(counted->selectors[i].filter);
  }
  msi_alloc_free(counted->alloc, counted, selection_bytes(counted->count));
}

static ms_status selection_set_plain(msi_selection *self, size_t at, const char *key,
                                     size_t length, ms_error *error) {
  return msi_segment_init(&self->segments[at], self->alloc, key, length, error);
}

/* `id` is empty for `$[]`. */
static ms_status selection_set_positional(msi_selection *self, size_t at, const char *id,
                                          size_t length, msi_filters *filters,
                                          ms_error *error) {
  const ms_query *filter = NULL;
  ms_status st = MS_OK;
  if (length > 0) st = filters_find(filters, id, length, &filter, error);
  if (st != MS_OK) return st;
  char text[MS_KEY_MAX];
  if (length + 3 > sizeof text) {
    return msi_fail(error, MS_ELIMIT, "a key of %zu bytes is longer than %d", length + 3,
                    MS_KEY_MAX);
  }
  text[0] = '$';
  text[1] = '[';
  if (length > 0) memcpy(text + 2, id, length);
  text[length + 2] = ']';
  st = msi_segment_init(&self->segments[at], self->alloc, text, length + 3, error);
  if (st != MS_OK) return st;
  self->selectors[at] = (msi_selector){true, ms_query_retain(filter)};
  return MS_OK;
}

/* ------------------------------------------------------------------ parsing */

static bool is_positional(ms_key key) {
  return key.length >= 3 && key.bytes[0] == '$' && key.bytes[1] == '[' &&
         key.bytes[key.length - 1] == ']';
}

static ms_status check_key(const char *text, size_t length, ms_key key, bool is_first,
                           ms_error *error) {
  char whole[MSI_PRINT_BYTES];
  msi_text_print(text, length, whole, sizeof whole);
  if (key.length == 0) return msi_fail(error, MS_EPATH, "\"%s\" has an empty key", whole);
  if (key.bytes[0] != '$') return MS_OK;
  if (is_first && is_positional(key)) {
    return msi_fail(error, MS_EPATH, "\"%s\" begins with a positional key", whole);
  }
  if (is_first) {
    return msi_fail(error, MS_EPATH, "\"%s\": the first key begins with '$'", whole);
  }
  if (key.length > 1) return MS_OK;
  return msi_fail(error, MS_EPATH,
                  "\"%s\": \"$\" stands for what a query found, and here is none; use "
                  "\"$[]\"",
                  whole);
}

static ms_status split(const char *text, size_t length, ms_key *keys, size_t *count,
                       ms_error *error) {
  *count = 0;
  for (const char *at = text, *end = text + length;;) {
    const char *dot = memchr(at, '.', (size_t)(end - at));
    if (*count == MS_DEPTH_MAX) {
      return msi_fail(error, MS_ELIMIT, "a path of more than %d keys", MS_DEPTH_MAX);
    }
    ms_key key = {at, (size_t)((dot == NULL ? end : dot) - at)};
    ms_status st = check_key(text, length, key, *count == 0, error);
    if (st != MS_OK) return st;
    keys[(*count)++] = key;
    if (dot == NULL) return MS_OK;
    at = dot + 1;
  }
}

static ms_status selection_parse(msi_filters *filters, const ms_alloc *alloc,
                                 const ms_key *keys, size_t count, msi_selection **out,
                                 ms_error *error) {
  msi_selection *selection = selection_new(msi_alloc_resolve(alloc), count);
  if (selection == NULL) return fail_status(error, MS_ENOMEM);
  ms_status st = MS_OK;
  for (size_t i = 0; i < count && st == MS_OK; i++) {
    st = is_positional(keys[i])
             ? selection_set_positional(selection, i, keys[i].bytes + 2,
                                        keys[i].length - 3, filters, error)
             : selection_set_plain(selection, i, keys[i].bytes, keys[i].length, error);
  }
  if (st == MS_OK) {
    *out = selection;
  } else {
    msi_selection_release(selection);
  }
  return st;
}

ms_status msi_positional_parse(msi_filters *filters, const ms_alloc *alloc,
                               const char *text, size_t length, ms_path **path,
                               msi_selection **selection, ms_error *error) {
  *selection = NULL;
  if (length > MS_PATH_MAX || length == 0 || memchr(text, '$', length) == NULL) {
    return ms_path_parse(alloc, text, length, path, error);
  }
  ms_key keys[MS_DEPTH_MAX];
  size_t count, first = 0;
  ms_status st = split(text, length, keys, &count, error);
  if (st != MS_OK) return st;
  while (first < count && !is_positional(keys[first])) first++;
  if (first < count) {
    st = selection_parse(filters, alloc, keys + first, count - first, selection, error);
    if (st != MS_OK) return st;
  }
  st = ms_path_new(alloc, keys, first, path, error);
  if (st != MS_OK) {
    msi_selection_release(*selection);
    *selection = NULL;
  }
  return st;
}

/* --------------------------------------------------------------------- wire */

static ms_key segment_text(const msi_segment *segment) {
  ms_key key = {"", 0};
  ms_status st = ms_value_to_string(segment->key, &key.bytes, &key.length);
  MSI_ASSERT(st == MS_OK);
  (void)st;
  return key;
}

ms_status msi_selection_pack(msi_buffer *out, const msi_selection *selection) {
  ms_status st = msi_pack_array(out, selection->count);
  for (size_t i = 0; i < selection->count && st == MS_OK; i++) {
    ms_key key = segment_text(&selection->segments[i]);
    if (!selection->selectors[i].is_positional) {
      st = msi_pack_string(out, key.bytes, key.length);
    } else if (selection->selectors[i].filter == NULL) {
      st = msi_pack_nil(out);
    } else {
      st = msi_pack_array(out, 1);
      if (st == MS_OK) st = msi_pack_string(out, key.bytes + 2, key.length - 3);
    }
  }
  return st;
}

static ms_status unpack_key(msi_reader *in, msi_filters *filters,
                            msi_selection *selection, size_t at, ms_error *error) {
  const char *bytes;
  size_t length, count;
  if (msi_unpack_nil(in) == MS_OK) {
    return selection_set_positional(selection, at, "", 0, filters, error);
  }
  ms_status st = msi_unpack_array(in, &count);
  if (st == MS_ETYPE && at > 0) {
    st = msi_unpack_string(in, &bytes, &length);
    return st != MS_OK ? fail_status(error, st)
                       : selection_set_plain(selection, at, bytes, length, error);
  }
  if (st == MS_OK && count != 1) st = MS_ETYPE;
  if (st == MS_OK) st = msi_unpack_string(in, &bytes, &length);
  if (st == MS_OK && length == 0) st = MS_ETYPE;
  if (st != MS_OK) return fail_status(error, st);
  return selection_set_positional(selection, at, bytes, length, filters, error);
}

ms_status msi_selection_unpack(msi_reader *in, msi_filters *filters,
                               const ms_alloc *alloc, size_t keys_max,
                               msi_selection **out, ms_error *error) {
  msi_reader reader = *in;
  size_t count;
  ms_status st = msi_unpack_array(&reader, &count);
  if (st == MS_OK && count == 0) st = MS_ETYPE;
  if (st == MS_OK && count > keys_max) st = MS_ELIMIT;
  if (st != MS_OK) return fail_status(error, st);
  msi_selection *selection = selection_new(msi_alloc_resolve(alloc), count);
  if (selection == NULL) return fail_status(error, MS_ENOMEM);
  for (size_t i = 0; i < count && st == MS_OK; i++) {
    st = unpack_key(&reader, filters, selection, i, error);
  }
  if (st != MS_OK) {
    msi_selection_release(selection);
    return st;
  }
  *in = reader;
  *out = selection;
  return MS_OK;
}

ms_status msi_selection_add_filters(const msi_selection *selection, const ms_alloc *alloc,
                                    const ms_value **object) {
  for (size_t i = 0; i < selection->count; i++) {
    const ms_query *filter = selection->selectors[i].filter;
    if (filter == NULL) continue;
    ms_status st = msi_object_put(alloc, object, filter->id, filter->source);
    if (st != MS_OK) return st;
  }
  return MS_OK;
}
