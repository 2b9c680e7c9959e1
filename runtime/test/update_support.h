/*
 * What the tests of paths, updates and hooks share: values, paths and updates from text, and random
 * ones that replay from a printed seed.
 */
#ifndef MST_UPDATE_SUPPORT_H
#define MST_UPDATE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "update.h"

/* ----- from and to JSON */
static inline const ms_value *mst_json(const char *text) {
  const ms_value *value = NULL;
  ms_error error = {MS_OK, ""};
  if (ms_value_from_json(NULL, text, strlen(text), &value, &error) != MS_OK) {
    fail_msg("%s: %s", text, error.message);
  }
  return value;
}

static inline void mst_assert_json(const ms_value *value, const char *text) {
  const ms_value *wanted = mst_json(text), *found = NULL;
  assert_int_equal(ms_value_to_json(NULL, value, MS_JSON_LOSSLESS, &found), MS_OK);
  if (!ms_value_equal(value, wanted)) {
    const char *bytes;
    size_t length;
    assert_int_equal(ms_value_to_string(found, &bytes, &length), MS_OK);
    fail_msg("expected %s, found %s", text, bytes);
  }
  ms_value_release(found);
  ms_value_release(wanted);
}

static inline ms_path *mst_path(const char *text) {
  ms_path *path = NULL;
  assert_int_equal(ms_path_parse(NULL, text, strlen(text), &path, NULL), MS_OK);
  return path;
}

static inline ms_path *mst_pattern(const char *text) {
  ms_path *path = NULL;
  assert_int_equal(ms_path_parse_pattern(NULL, text, strlen(text), &path, NULL), MS_OK);
  return path;
}

static inline ms_update *mst_update(const char *json) {
  const ms_value *document = mst_json(json);
  ms_update *update = NULL;
  ms_error error = {MS_OK, ""};
  if (ms_update_parse(NULL, document, NULL, &update, &error) != MS_OK) {
    fail_msg("%s: %s", json, error.message);
  }
  ms_value_release(document);
  return update;
}

/* ----- what an update makes of a document */

/* Applies with the wall time 1000 to a document in JSON, which must not change; *out is
 * written on success only. */
static inline ms_status mst_apply(const char *document, const ms_update *update,
                                  const ms_value **out, ms_error *error) {
  const msi_apply context = {NULL, 1000, 0};
  const ms_value *root = mst_json(document);
  ms_status st = msi_update_apply(&context, update, root, out, NULL, error);
  if (st == MS_OK) {
    assert_true(msi_value_check(*out));
    assert_int_equal(*out == root, ms_value_equal(*out, root));
  }
  mst_assert_json(root, document);
  ms_value_release(root);
  return st;
}

static inline ms_status mst_compile(const char *json, const char *filters,
                                    ms_update **out, ms_error *error) {
  const ms_value *document = mst_json(json);
  const ms_value *given = filters == NULL ? NULL : mst_json(filters);
  ms_status st = ms_update_parse(
      NULL, document,
      &(ms_update_options){.bytes = sizeof(ms_update_options), .array_filters = given},
      out, error);
  if (st == MS_OK) { /* what comes back from the wire is the same */
    ms_update *again = NULL;
    assert_int_equal(
        msi_update_decode(NULL, (*out)->wire, (*out)->wire_bytes, &again, error), MS_OK);
    assert_int_equal(again->op_count, (*out)->op_count);
    ms_update_release(*out);
    *out = again;
  }
  ms_value_release(given);
  ms_value_release(document);
  return st;
}

static inline void mst_assert_filtered(const char *document, const char *json,
                                       const char *filters, const char *wanted) {
  ms_update *update = NULL;
  const ms_value *result = NULL;
  ms_error error = {MS_OK, ""};
  ms_status st = mst_compile(json, filters, &update, &error);
  if (st == MS_OK) st = mst_apply(document, update, &result, &error);
  if (st != MS_OK) fail_msg("%s on %s: %s", json, document, error.message);
  mst_assert_json(result, wanted);
  ms_value_release(result);
  ms_update_release(update);
}

static inline void mst_assert_update(const char *document, const char *json,
                                     const char *wanted) {
  mst_assert_filtered(document, json, NULL, wanted);
}

/* Refused when it is compiled or, where that went well, when it is applied. */
static inline void mst_assert_filtered_refused(const char *document, const char *json,
                                               const char *filters, ms_status wanted,
                                               const char *message) {
  ms_update *update = NULL;
  const ms_value *result = NULL;
  ms_error error = {MS_OK, ""};
  ms_status st = mst_compile(json, filters, &update, &error);
  if (document == NULL) assert_null(update);
  if (st == MS_OK) st = mst_apply(document, update, &result, &error);
  assert_null(result);
  assert_string_equal(error.message, message);
  assert_int_equal(st, wanted);
  assert_int_equal(error.status, wanted);
  ms_update_release(update);
}

/* document NULL: it must be refused when it is compiled. */
static inline void mst_assert_refused(const char *document, const char *json,
                                      ms_status wanted, const char *message) {
  mst_assert_filtered_refused(document, json, NULL, wanted, message);
}

static inline void mst_assert_same_update(const ms_update *a, const ms_update *b) {
  assert_int_equal(a->op_count, b->op_count);
  assert_int_equal(a->group_count, b->group_count);
  assert_int_equal(a->wire_bytes, b->wire_bytes);
  assert_memory_equal(a->wire, b->wire, a->wire_bytes);
  for (uint32_t i = 0; i < a->op_count; i++) {
    assert_int_equal(a->ops[i].code, b->ops[i].code);
    assert_int_equal(a->ops[i].class_, b->ops[i].class_);
    assert_int_equal(a->ops[i].group, b->ops[i].group);
    assert_true(msi_path_equal(a->ops[i].path, b->ops[i].path));
    assert_true(ms_value_equal(a->ops[i].operand, b->ops[i].operand));
    assert_int_equal(msi_op_compare(&a->ops[i], &b->ops[i], 0), 0);
    assert_int_equal(a->ops[i].query == NULL, b->ops[i].query == NULL);
  }
}

static inline void mst_assert_decodes(const ms_update *update) {
  ms_update *again = NULL;
  ms_error error = {MS_OK, ""};
  if (msi_update_decode(NULL, update->wire, update->wire_bytes, &again, &error) !=
      MS_OK) {
    fail_msg("%s", error.message);
  }
  mst_assert_same_update(update, again);
  ms_update_release(again);
}

/* ----- random numbers (splitmix64). MEMSHARE_SEED replays a run. */
typedef struct mst_random {
  uint64_t state;
} mst_random;

static inline uint64_t mst_next(mst_random *random) {
  uint64_t z = random->state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static inline size_t mst_below(mst_random *random, size_t limit) {
  return (size_t)(mst_next(random) % limit);
}

static inline uint64_t mst_seed(uint64_t preset) {
  const char *given = getenv("MEMSHARE_SEED");
  uint64_t seed = given == NULL ? preset : strtoull(given, NULL, 0);
  print_message("seed %llu\n", (unsigned long long)seed);
  return seed;
}

/* ----- random documents and updates over few keys, so that they meet, as JSON */
static const char *const mst_keys[] = {"a", "b", "c", "0", "1", "3"};

static inline size_t mst_random_scalar(mst_random *random, char *text, size_t room) {
  const char *const scalars[] = {"null", "true", "\"s\"", "0.5", "{\"$empty\": true}",
                                 "[]",   "{}"};
  size_t pick = mst_below(random, 14);
  if (pick < 7) return (size_t)snprintf(text, room, "%s", scalars[pick]);
  return (size_t)snprintf(text, room, "%d", (int)mst_below(random, 3));
}

static inline size_t mst_random_value(mst_random *random, char *text, size_t room,
                                      int depth) {
  size_t kind = mst_below(random, 3), at = 0, used = 0;
  if (depth == 0 || kind == 0) return mst_random_scalar(random, text, room);
  at += (size_t)snprintf(text, room, kind == 1 ? "{" : "[");
  for (size_t i = 0; i < 6; i++) {
    if (mst_below(random, 2) == 0) continue;
    if (used++ > 0) at += (size_t)snprintf(text + at, room - at, ",");
    if (kind == 1) at += (size_t)snprintf(text + at, room - at, "\"%s\":", mst_keys[i]);
    at += mst_random_value(random, text + at, room - at, depth - 1);
  }
  return at + (size_t)snprintf(text + at, room - at, kind == 1 ? "}" : "]");
}

static inline size_t mst_random_document(mst_random *random, char *text, size_t room) {
  size_t at = (size_t)snprintf(text, room, "{\"a\":");
  at += mst_random_value(random, text + at, room - at, 3);
  at += (size_t)snprintf(text + at, room - at, ",\"b\":");
  at += mst_random_value(random, text + at, room - at, 2);
  return at + (size_t)snprintf(text + at, room - at, "}");
}

static inline size_t mst_random_path(mst_random *random, char *text, size_t room) {
  size_t at = 0, count = 1 + mst_below(random, 4);
  for (size_t i = 0; i < count; i++) {
    size_t pick = i == 0 ? mst_below(random, 3) : mst_below(random, 6);
    at += (size_t)snprintf(text + at, room - at, i == 0 ? "%s" : ".%s", mst_keys[pick]);
  }
  return at;
}

/* With `positional` some keys become `$[]` or `$[x]`, but not the first. */
static inline size_t mst_random_positional(mst_random *random, char *text, size_t room) {
  size_t at = 0, count = 1 + mst_below(random, 4);
  for (size_t i = 0; i < count; i++) {
    size_t pick = i == 0 ? mst_below(random, 3) : mst_below(random, 10);
    const char *key = pick < 6 ? mst_keys[pick] : pick < 8 ? "$[]" : "$[x]";
    at += (size_t)snprintf(text + at, room - at, i == 0 ? "%s" : ".%s", key);
  }
  return at;
}

static inline size_t mst_random_list(mst_random *random, char *text, size_t room) {
  size_t at = (size_t)snprintf(text, room, "["), count = mst_below(random, 4);
  for (size_t i = 0; i < count; i++) {
    if (i > 0) at += (size_t)snprintf(text + at, room - at, ",");
    at += mst_random_value(random, text + at, room - at, 1);
  }
  return at + (size_t)snprintf(text + at, room - at, "]");
}

static inline size_t mst_random_push(mst_random *random, char *text, size_t room) {
  const char *const sorts[] = {"1", "-1", "{\"a\": 1}", "{\"a.b\": -1, \"b\": 1}",
                               "{\"0\": 1}"};
  if (mst_below(random, 3) == 0) return mst_random_value(random, text, room, 2);
  size_t at = (size_t)snprintf(text, room, "{\"$each\":");
  at += mst_random_list(random, text + at, room - at);
  if (mst_below(random, 2) == 0)
    at += (size_t)snprintf(text + at, room - at, ",\"$position\":%d",
                           (int)mst_below(random, 9) - 4);
  if (mst_below(random, 2) == 0)
    at += (size_t)snprintf(text + at, room - at, ",\"$slice\":%d",
                           (int)mst_below(random, 9) - 4);
  if (mst_below(random, 2) == 0)
    at += (size_t)snprintf(text + at, room - at, ",\"$sort\":%s",
                           sorts[mst_below(random, 5)]);
  return at + (size_t)snprintf(text + at, room - at, "}");
}

static inline size_t mst_random_pull(mst_random *random, char *text, size_t room) {
  const char *const operands[] = {"{\"$gt\": 0}",
                                  "{\"$in\": [0, null, \"s\", []]}",
                                  "{\"a\": {\"$exists\": true}}",
                                  "{\"$elemMatch\": {\"$gte\": 1}}",
                                  "{\"$or\": [{\"a\": 1}, {\"b.0\": {\"$ne\": 1}}]}",
                                  "{\"$type\": [\"bool\", \"double\"]}",
                                  "{\"$nin\": [0, 1]}"};
  if (mst_below(random, 3) == 0) return mst_random_value(random, text, room, 1);
  return (size_t)snprintf(text, room, "%s", operands[mst_below(random, 7)]);
}

static inline size_t mst_random_operand(mst_random *random, const char *name, char *text,
                                        size_t room) {
  const char *const bits[] = {"{\"and\": 3}", "{\"or\": 4}", "{\"xor\": 1, \"or\": 2}"};
  int number = (int)mst_below(random, 3);
  if (strcmp(name, "$inc") == 0 || strcmp(name, "$mul") == 0)
    return (size_t)snprintf(text, room, "%d", number);
  if (strcmp(name, "$bit") == 0) return (size_t)snprintf(text, room, "%s", bits[number]);
  if (strcmp(name, "$pop") == 0)
    return (size_t)snprintf(text, room, "%d", number == 0 ? -1 : 1);
  if (strcmp(name, "$currentDate") == 0) return (size_t)snprintf(text, room, "true");
  if (strcmp(name, "$push") == 0) return mst_random_push(random, text, room);
  if (strcmp(name, "$pull") == 0) return mst_random_pull(random, text, room);
  if (strcmp(name, "$pullAll") == 0) return mst_random_list(random, text, room);
  if (strcmp(name, "$rename") == 0) {
    size_t at = (size_t)snprintf(text, room, "\"");
    at += mst_random_path(random, text + at, room - at);
    return at + (size_t)snprintf(text + at, room - at, "\"");
  }
  if (strcmp(name, "$addToSet") == 0 && number > 0) {
    size_t at = (size_t)snprintf(text, room, "{\"$each\":");
    at += mst_random_list(random, text + at, room - at);
    return at + (size_t)snprintf(text + at, room - at, "}");
  }
  return mst_random_value(random, text, room, 2);
}

/* Of all operators; positional: `$[]`, and `$[x]` for which a filter is needed. */
static inline void mst_random_operators(mst_random *random, bool positional, char *text,
                                        size_t room) {
  const char *const names[] = {"$set",    "$unset",       "$inc",        "$push",
                               "$mul",    "$min",         "$max",        "$bit",
                               "$pull",   "$addToSet",    "$pop",        "$pullAll",
                               "$rename", "$currentDate", "$setOnInsert"};
  size_t at = (size_t)snprintf(text, room, "{"), used = 0;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (mst_below(random, 8) != 0) continue;
    at += (size_t)snprintf(text + at, room - at,
                           used++ > 0 ? ",\"%s\":{\"" : "\"%s\":{\"", names[i]);
    bool is_plain = !positional || strcmp(names[i], "$rename") == 0;
    at += is_plain ? mst_random_path(random, text + at, room - at)
                   : mst_random_positional(random, text + at, room - at);
    at += (size_t)snprintf(text + at, room - at, "\":");
    at += mst_random_operand(random, names[i], text + at, room - at);
    at += (size_t)snprintf(text + at, room - at, "}");
  }
  snprintf(text + at, room - at, "}");
}

static inline void mst_random_update(mst_random *random, char *text, size_t room) {
  mst_random_operators(random, false, text, room);
}

#endif
