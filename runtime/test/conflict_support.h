/* Patches, entries and the index, for tests of conflicts. */
#ifndef CONFLICT_SUPPORT_H
#define CONFLICT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conflict.h"

/* ----- building patches and entries */

static inline ms_path *path_of(const char *text) {
  ms_path *path = NULL;
  assert_int_equal(ms_path_parse(NULL, text, strlen(text), &path, NULL), MS_OK);
  return path;
}

static inline ms_update *update_of(msi_code code, const char *path_text, int64_t operand,
                                   ms_type container) {
  ms_path *path = path_of(path_text);
  const ms_value *number = NULL, *value = NULL;
  ms_update *update = NULL;
  ms_error error = {MS_OK, ""};
  assert_int_equal(ms_value_new_int(NULL, operand, &number), MS_OK);
  value = ms_value_retain(number);
  if (code == MSI_CODE_PUSH) {
    ms_value_release(value);
    assert_int_equal(ms_value_new_array(NULL, &value), MS_OK);
    assert_int_equal(ms_value_append(NULL, &value, number), MS_OK);
  }
  ms_status status =
      msi_update_single(NULL, code, path, value, container, &update, &error);
  if (status != MS_OK) fail_msg("%s: %s", path_text, error.message);
  ms_value_release(number);
  ms_value_release(value);
  ms_path_release(path);
  return update;
}

static inline ms_update *set(const char *path, int64_t operand) {
  return update_of(MSI_CODE_SET, path, operand, MS_NULL);
}

static inline ms_update *concat(ms_update *a, ms_update *b) {
  const ms_update *both[] = {a, b};
  ms_update *update = NULL;
  assert_int_equal(msi_update_concat(NULL, both, 2, &update), MS_OK);
  ms_update_release(a);
  ms_update_release(b);
  return update;
}

/* Takes the update. */
static inline msi_entry accepted(uint64_t version, uint64_t origin, uint64_t base,
                                 uint64_t timestamp, ms_update *update) {
  return (msi_entry){.kind = MSI_ENTRY_PATCH,
                     .version = version,
                     .patch = {.origin = origin,
                               .number = version,
                               .base = base,
                               .timestamp = timestamp,
                               .wall_ms = (int64_t)version * 10,
                               .update = update}};
}

/* A REJECT with the paths of an update's operations, guards aside. Takes the update. */
static inline msi_entry rejected(uint64_t version, uint64_t origin, uint64_t base,
                                 uint64_t number, ms_update *update) {
  msi_entry entry = {
      .alloc = msi_alloc_resolve(NULL),
      .kind = MSI_ENTRY_REJECT,
      .version = version,
      .patch = {.origin = origin, .number = number, .base = base, .timestamp = version},
      .refusal = {.status = MS_ECONFLICT}};
  for (uint32_t i = 0; i < update->op_count; i++) {
    if (update->ops[i].class_ != MSI_CLASS_GUARD) entry.refusal.path_count++;
  }
  entry.refusal.paths =
      msi_alloc_zero(entry.alloc, entry.refusal.path_count * sizeof(ms_path *));
  assert_non_null(entry.refusal.paths);
  size_t at = 0;
  for (uint32_t i = 0; i < update->op_count; i++) {
    if (update->ops[i].class_ == MSI_CLASS_GUARD) continue;
    entry.refusal.paths[at++] = ms_path_retain(update->ops[i].path);
  }
  ms_update_release(update);
  return entry;
}

/* Takes the entry. */
static inline void note(msi_conflicts *conflicts, msi_entry entry) {
  msi_conflicts_note(conflicts, &entry);
  assert_true(msi_conflicts_check_structure(conflicts));
  msi_entry_fini(&entry);
}

static inline msi_conflicts *conflicts_of(void) {
  msi_conflicts *conflicts = NULL;
  assert_int_equal(msi_conflicts_new(NULL, MSI_CONFLICT_NODES, &conflicts), MS_OK);
  return conflicts;
}

/* Takes the update. */
static inline msi_conflict check(const msi_conflicts *conflicts, uint64_t origin,
                                 uint64_t base, uint64_t timestamp, ms_update *update) {
  msi_conflict found;
  msi_patch patch = {.origin = origin,
                     .number = 1,
                     .base = base,
                     .timestamp = timestamp,
                     .update = update};
  msi_conflicts_check(conflicts, &patch, NULL, &found);
  found.path = NULL; /* borrowed from the update */
  ms_update_release(update);
  return found;
}

static inline ms_status status_of(const msi_conflicts *conflicts, uint64_t origin,
                                  uint64_t base, uint64_t timestamp, ms_update *update) {
  return check(conflicts, origin, base, timestamp, update).status;
}

static inline const ms_value *json(const char *text) {
  const ms_value *value = NULL;
  assert_int_equal(ms_value_from_json(NULL, text, strlen(text), &value, NULL), MS_OK);
  return value;
}

/* Of a writer whose view is `document`, committed too unless it is in doubt: then something pending has no
 * effect in it. */
static inline ms_update *marked_if(const char *text, const char *document,
                                   bool is_doubtful) {
  const ms_value *source = json(text), *seen = json(document),
                 *filters = json("[{\"x\": 1}]");
  ms_update *update = NULL, *out = NULL;
  ms_update_options options;
  ms_update_options_init(&options);
  if (strstr(text, "$[x]") != NULL) options.array_filters = filters;
  assert_int_equal(ms_update_parse(NULL, source, &options, &update, NULL), MS_OK);
  assert_int_equal(msi_update_mark(NULL, update, is_doubtful ? NULL : seen, seen, seen,
                                   is_doubtful, &out),
                   MS_OK);
  ms_update_release(update);
  ms_value_release(filters);
  ms_value_release(seen);
  ms_value_release(source);
  return out;
}

/* As a writer submits it whose document, committed and in view, is `document`. */
static inline ms_update *marked(const char *text, const char *document) {
  return marked_if(text, document, false);
}

#define LISTS "{\"l\": [{\"t\": [1, 2]}, {\"t\": [3]}], \"a\": {\"b\": [1]}}"

#endif
