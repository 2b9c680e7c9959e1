/*
 * Makes the fuzz targets' first inputs from MongoDB's cases:
 *
 *   seeds VECTORS CORPUS    one JSON object a line; writes CORPUS/fuzz_<target>/seed-<number>
 */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "fuzz_support.h"

enum { LINE_BYTES_MAX = 1 << 20 };

static const char *corpus;
static unsigned written;

/* Operators that MongoDB's cases of updates do not use. */
static const char *const queries[] = {
    "[{\"a\": {\"$eq\": [1, {\"b\": 2}]}}, {\"a\": [1, {\"b\": 2}]}]",
    "[{\"a.b\": {\"$ne\": 1}, \"c\": {\"$gt\": 1, \"$lte\": 2.5}}, {\"a\": [{\"b\": 2}], "
    "\"c\": 2}]",
    "[{\"a\": {\"$in\": [1, null, \"s\"], \"$nin\": [2]}}, {\"a\": [1, 3]}]",
    "[{\"a\": {\"$exists\": false}, \"b\": {\"$type\": [\"int\", \"string\"]}}, {\"b\": "
    "\"s\"}]",
    "[{\"$or\": [{\"a\": {\"$not\": {\"$lt\": 0}}}, {\"$nor\": [{\"b\": 1}]}]}, {\"a\": "
    "-1, \"b\": 1}]",
    "[{\"$and\": [{\"a\": {\"$all\": [1, 2]}}, {\"a\": {\"$size\": 3}}]}, {\"a\": [1, 2, "
    "3]}]",
    "[{\"a\": {\"$all\": [{\"$elemMatch\": {\"x\": 1}}]}}, {\"a\": [{\"x\": 1}]}]",
    "[{\"a\": {\"$elemMatch\": {\"$gte\": 80, \"$lt\": 85}}}, {\"a\": [79, 82]}]",
    "[{\"a\": {\"$elemMatch\": {\"b.0\": 1, \"c\": {\"$mod\": [4, 1]}}}},"
    " {\"a\": [{\"b\": [1], \"c\": 5}]}]",
    "[{\"x.s\": {\"$gt\": 5}, \"x\": {\"$ne\": null}}, {\"s\": 6}]",
};

static const char *const conditions[] = {
    "[{\"stock\": 3}, {\"$inc\": {\"stock\": -1}}, null, {\"stock\": {\"$gt\": 0}}]",
    "[{\"a\": [1, 2]}, [{\"$push\": {\"a\": 3}}, {\"$pop\": {\"a\": -1}}], null,"
    " {\"a\": {\"$size\": 2}}]",
};

/* Of a document so large that objects and arrays are trees, see write_large(). */
static const char *const large[] = {
    "{\"$set\": {\"k1\": 2, \"fresh.b\": 1}, \"$unset\": {\"k2\": 1, \"k3\": 1}}",
    "{\"$unset\": {\"k1\": 1, \"k2\": 1, \"k3\": 1, \"k4\": 1, \"list.3\": 1}}",
    "{\"$rename\": {\"k1\": \"k30\", \"k2\": \"k3\"}, \"$inc\": {\"list.20\": 1}}",
    "{\"$push\": {\"list\": {\"$each\": [1, 2], \"$position\": 9, \"$slice\": -30}}}",
    "{\"$push\": {\"list\": {\"$each\": [3], \"$sort\": -1}}, \"$mul\": {\"k9\": 2}}",
    "{\"$pull\": {\"list\": {\"$gt\": 30}}, \"$inc\": {\"k1\": 1}}",
    "{\"$addToSet\": {\"list\": {\"$each\": [1, 90]}}, \"$max\": {\"k5\": 3}}",
    "{\"$inc\": {\"list.$[]\": 1}}",
};

static void die(const char *what) {
  fprintf(stderr, "seeds: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void write_seed(const char *target, const void *head, size_t head_bytes,
                       const void *tail, size_t tail_bytes) {
  char path[512];
  snprintf(path, sizeof path, "%s/%s", corpus, target);
  if (mkdir(path, 0777) != 0 && errno != EEXIST) die(path);
  snprintf(path, sizeof path, "%s/%s/seed-%u", corpus, target, written++);
  FILE *file = fopen(path, "wb");
  if (file == NULL) die(path);
  fwrite(head, 1, head_bytes, file);
  fwrite(tail, 1, tail_bytes, file);
  if (fclose(file) != 0) die(path);
}

static void write_string(const char *target, const ms_value *string) {
  const char *bytes = NULL;
  size_t length = 0;
  MUST(ms_value_to_string(string, &bytes, &length) == MS_OK);
  write_seed(target, bytes, length, NULL, 0);
}

/* As JSON and as MessagePack. */
static void write_list(const char *target, const ms_value *const *values, size_t count) {
  const ms_value *list = NULL, *text = NULL;
  MUST(ms_value_new_array(NULL, &list) == MS_OK);
  for (size_t i = 0; i < count; i++) {
    const ms_value *value = values[i] == NULL ? ms_value_null() : values[i];
    MUST(ms_value_append(NULL, &list, value) == MS_OK);
  }
  MUST(ms_value_to_json(NULL, list, MS_JSON_LOSSLESS, &text) == MS_OK);
  write_string(target, text);
  const ms_value *encoded = mst_fuzz_encoding(list);
  write_string(target, encoded);
  ms_value_release(encoded);
  ms_value_release(text);
  ms_value_release(list);
}

/* The document, and the update's wire form behind it. */
static void write_wire(const ms_value *document, const ms_value *source,
                       const ms_value *filters, const ms_value *where) {
  ms_update_options options;
  ms_update_options_init(&options);
  options.array_filters = filters;
  options.where = where;
  ms_update *update = NULL;
  if (ms_update_parse(NULL, source, &options, &update, NULL) != MS_OK) return;
  const ms_value *encoded = mst_fuzz_encoding(document);
  const char *bytes = NULL;
  size_t length = 0;
  MUST(ms_value_to_string(encoded, &bytes, &length) == MS_OK);
  write_seed("fuzz_update", bytes, length, update->wire, update->wire_bytes);
  ms_value_release(encoded);
  ms_update_release(update);
}

static void write_update(const ms_value *document, const ms_value *source,
                         const ms_value *filters, const ms_value *where) {
  const ms_value *const parts[] = {document, source, filters, where};
  write_list("fuzz_document", parts, where != NULL ? 4 : filters != NULL ? 3 : 2);
  write_wire(document, source, filters, where);
}

/* What the operands of $pull and the array filters ask of a document. */
static void write_queries(const ms_value *document, const ms_value *source,
                          const ms_value *filters) {
  const ms_value *pulls = ms_value_get(source, "$pull", 5), *operand;
  ms_cursor cursor;
  const char *key;
  size_t length;
  if (pulls != NULL) {
    ms_cursor_init(&cursor, pulls);
    while (ms_cursor_next(&cursor, &key, &length, &operand)) {
      write_list("fuzz_query", (const ms_value *const[]){operand, document}, 2);
    }
  }
  for (size_t i = 0; filters != NULL && i < ms_value_count(filters); i++) {
    const ms_value *filter = ms_value_at(filters, i);
    write_list("fuzz_query", (const ms_value *const[]){filter, document}, 2);
  }
}

static const ms_value *from_json(const char *text, size_t length) {
  const ms_value *value = NULL;
  ms_error error;
  if (ms_value_from_json(NULL, text, length, &value, &error) != MS_OK) {
    fprintf(stderr, "seeds: %s: %.*s\n", error.message, (int)length, text);
    exit(1);
  }
  return value;
}

static void write_case(const char *line, size_t length) {
  const ms_value *given = from_json(line, length);
  const ms_value *document = ms_value_get(given, "doc", 3);
  const ms_value *source = ms_value_get(given, "update", 6);
  const ms_value *filters = ms_value_get(given, "array_filters", 13);
  if (document == NULL || source == NULL) die("a case without doc or update");
  const ms_value *encoded = mst_fuzz_encoding(document);
  write_string("fuzz_decode", encoded);
  write_update(document, source, filters, NULL);
  write_queries(document, source, filters);
  ms_value_release(encoded);
  ms_value_release(given);
}

static void write_own(void) {
  for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
    const ms_value *list = from_json(queries[i], strlen(queries[i]));
    const ms_value *const parts[] = {ms_value_at(list, 0), ms_value_at(list, 1)};
    write_list("fuzz_query", parts, 2);
    ms_value_release(list);
  }
  for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++) {
    const ms_value *list = from_json(conditions[i], strlen(conditions[i]));
    write_update(ms_value_at(list, 0), ms_value_at(list, 1), NULL, ms_value_at(list, 3));
    ms_value_release(list);
  }
}

static void write_large(void) {
  char text[1024];
  size_t at = (size_t)snprintf(text, sizeof text, "{\"list\": [0");
  for (int i = 1; i < 34; i++) {
    at += (size_t)snprintf(text + at, sizeof text - at, ", %d", i);
  }
  at += (size_t)snprintf(text + at, sizeof text - at, "]");
  for (int i = 1; i < 18; i++) {
    at += (size_t)snprintf(text + at, sizeof text - at, ", \"k%d\": %d", i, i);
  }
  at += (size_t)snprintf(text + at, sizeof text - at, "}");
  const ms_value *document = from_json(text, at);
  for (size_t i = 0; i < sizeof large / sizeof large[0]; i++) {
    const ms_value *source = from_json(large[i], strlen(large[i]));
    write_update(document, source, NULL, NULL);
    ms_value_release(source);
  }
  ms_value_release(document);
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: seeds VECTORS CORPUS\n");
    return 2;
  }
  corpus = argv[2];
  FILE *file = fopen(argv[1], "r");
  if (file == NULL) die(argv[1]);
  char *line = malloc(LINE_BYTES_MAX);
  if (line == NULL) die("memory");
  while (fgets(line, LINE_BYTES_MAX, file) != NULL) {
    size_t length = strcspn(line, "\n");
    if (length > 0) write_case(line, length);
  }
  free(line);
  fclose(file);
  write_own();
  write_large();
  printf("%u seeds\n", written);
  return 0;
}
