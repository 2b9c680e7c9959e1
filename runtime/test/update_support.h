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
  if (ms_update_parse(NULL, document, &update, &error) != MS_OK) {
    fail_msg("%s: %s", json, error.message);
  }
  ms_value_release(document);
  return update;
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

static inline void mst_random_update(mst_random *random, char *text, size_t room) {
  const char *const names[] = {"$set", "$unset", "$inc", "$push"};
  size_t at = (size_t)snprintf(text, room, "{"), used = 0;
  for (size_t i = 0; i < 4; i++) {
    if (mst_below(random, 2) == 0) continue;
    at += (size_t)snprintf(text + at, room - at,
                           used++ > 0 ? ",\"%s\":{\"" : "\"%s\":{\"", names[i]);
    at += mst_random_path(random, text + at, room - at);
    at += (size_t)snprintf(text + at, room - at, "\":");
    if (i == 2)
      at += (size_t)snprintf(text + at, room - at, "%d", (int)mst_below(random, 2));
    if (i != 2) at += mst_random_value(random, text + at, room - at, 2);
    at += (size_t)snprintf(text + at, room - at, "}");
  }
  snprintf(text + at, room - at, "}");
}

#endif
