/*
 * updates: how long applying one compiled update takes, in this process, without a share.
 *
 *   updates ROUNDS [NAME]     the figure of that name only
 *
 * A document is one object with 100, 10,000 or 1,000,000 keys, nearly all of them numbers, and a few
 * lists (see `lists`). A figure is one update, or two, applied in turn, each to what the one before
 * it made. A round is OPERATIONS of them and begins with the same document; the rounds of the three
 * documents take turns, so that whatever else the machine does slows all of them. How the document
 * is held:
 *
 *   given   nobody else needs it (msi_update_change): it is changed in place
 *   kept    its holder keeps it until the update is done (ms_update_apply), and whatever lies on the
 *           path is copied
 *
 * Prints a line per figure: how it is held, the name, nanoseconds per update for each document (of
 * the median round), between tabs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "update.h"

enum {
  OPERATIONS = 4096,  /* of a round */
  UPDATES_MAX = 4096, /* of a figure */
  ROUNDS_MAX = 1000,
  SIZES = 3,
  LINE_BYTES = 256
};

static const size_t sizes[SIZES] = {100, 10000, 1000000};

typedef struct figure {
  const char *name;
  const char *updates[2]; /* the second may be NULL; %d: a key, see compile_all() */
  const char *where;      /* or NULL */
  bool random_keys;       /* many keys, each with updates of its own: not one path */
} figure;

static const figure figures[] = {
    {"$set", {"{\"$set\": {\"key7\": 1}}", "{\"$set\": {\"key7\": 2}}"}, NULL, false},
    {"$set, three levels down",
     {"{\"$set\": {\"deep.deep.n\": 1}}", "{\"$set\": {\"deep.deep.n\": 2}}"},
     NULL,
     false},
    {"$set a new key, $unset it",
     {"{\"$set\": {\"fresh\": 1}}", "{\"$unset\": {\"fresh\": \"\"}}"},
     NULL,
     false},
    {"$inc", {"{\"$inc\": {\"key7\": 1}}", NULL}, NULL, false},
    {"$mul", {"{\"$mul\": {\"key7\": -1}}", NULL}, NULL, false},
    {"$min, $max",
     {"{\"$min\": {\"key7\": 1}}", "{\"$max\": {\"key7\": 9}}"},
     NULL,
     false},
    {"$bit", {"{\"$bit\": {\"key7\": {\"xor\": 5}}}", NULL}, NULL, false},
    {"$currentDate", {"{\"$currentDate\": {\"key7\": true}}", NULL}, NULL, false},
    {"$rename there and back",
     {"{\"$rename\": {\"key7\": \"other\"}}", "{\"$rename\": {\"other\": \"key7\"}}"},
     NULL,
     false},
    {"$push", {"{\"$push\": {\"list\": 1}}", NULL}, NULL, false},
    {"$push, $slice to 100",
     {"{\"$push\": {\"hundred\": {\"$each\": [1], \"$slice\": -100}}}", NULL},
     NULL,
     false},
    {"$pop", {"{\"$pop\": {\"long\": 1}}", NULL}, NULL, false},
    {"$addToSet, $pull among 8",
     {"{\"$addToSet\": {\"set\": 9}}", "{\"$pull\": {\"set\": 9}}"},
     NULL,
     false},
    {"$inc of $[] in 4 objects", {"{\"$inc\": {\"items.$[].n\": 1}}", NULL}, NULL, false},
    {"$inc, where a number is enough",
     {"{\"$inc\": {\"key7\": 1}}", NULL},
     "{\"key7\": {\"$gte\": 0}}",
     false},
    {"$set, random keys",
     {"{\"$set\": {\"key%d\": -1}}", "{\"$set\": {\"key%d\": -2}}"},
     NULL,
     true},
    {"$inc, random keys", {"{\"$inc\": {\"key%d\": 1}}", NULL}, NULL, true},
};

/* Name, and how many elements of what. */
static const struct {
  const char *name;
  size_t count;
  const char *element;
} lists[] = {{"list", 100, "0"},
             {"hundred", 100, "0"},
             {"long", 2 * OPERATIONS, "0"},
             {"set", 8, NULL}, /* 0 to 7 */
             {"items", 4, "{\"n\": 1, \"name\": \"x\"}"}};

static void check(ms_status st, const char *what) {
  if (st == MS_OK) return;
  fprintf(stderr, "updates: %s: %s\n", what, ms_status_text(st));
  exit(1);
}

static double now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static const ms_value *from_json(const char *text) {
  const ms_value *value = NULL;
  check(ms_value_from_json(NULL, text, strlen(text), &value, NULL), text);
  return value;
}

/* value: taken */
static void put(const ms_value **object, const char *key, const ms_value *value) {
  check(ms_value_put(NULL, object, key, strlen(key), value), key);
  ms_value_release(value);
}

static const ms_value *make_number(size_t number) {
  const ms_value *value = NULL;
  check(ms_value_new_int(NULL, (int64_t)number, &value), "a number");
  return value;
}

static const ms_value *make_list(size_t count, const char *element) {
  const ms_value *list = NULL;
  check(ms_value_new_array(NULL, &list), "a list");
  for (size_t i = 0; i < count; i++) {
    const ms_value *value = element == NULL ? make_number(i) : from_json(element);
    check(ms_value_append(NULL, &list, value), "a list");
    ms_value_release(value);
  }
  return list;
}

static const ms_value *make_document(size_t keys) {
  const ms_value *document = from_json("{\"deep\": {\"deep\": {\"n\": 0}}}");
  for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
    put(&document, lists[i].name, make_list(lists[i].count, lists[i].element));
  }
  for (size_t i = 0; ms_value_count(document) < keys; i++) {
    char key[LINE_BYTES];
    snprintf(key, sizeof key, "key%zu", i);
    put(&document, key, make_number(i));
  }
  return document;
}

static ms_update *compile(const char *format, int key, const char *where) {
  char text[LINE_BYTES];
  snprintf(text, sizeof text, format, key);
  const ms_value *document = from_json(text);
  ms_update_options options;
  ms_update_options_init(&options);
  options.where = where == NULL ? NULL : from_json(where);
  ms_update *update = NULL;
  ms_error error;
  check(ms_update_parse(NULL, document, &options, &update, &error), text);
  ms_value_release(options.where);
  ms_value_release(document);
  return update;
}

static size_t compile_all(const figure *self, size_t keys, ms_update **out) {
  size_t count = 0;
  uint64_t random = 88172645463325252u; /* xorshift64 */
  do {
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    int key = (int)(random % (keys - 16));
    for (size_t i = 0; i < 2 && self->updates[i] != NULL; i++) {
      out[count++] = compile(self->updates[i], key, self->where);
    }
  } while (self->random_keys && count < UPDATES_MAX);
  return count;
}

/* ---------------------------------------------------------------- measuring */

static void apply(const ms_update *update, const ms_value **root, int64_t wall_ms,
                  bool is_given) {
  const ms_value *next = NULL;
  ms_error error = {MS_OK, ""};
  if (is_given) {
    msi_apply context = {NULL, wall_ms, MS_DOCUMENT_MAX};
    check(msi_update_change(&context, update, root, &error), error.message);
    return;
  }
  check(ms_update_apply(update, *root, wall_ms, &next, &error), error.message);
  ms_value_release(*root);
  *root = next;
}

static double run_round(ms_update *const *updates, size_t count, const ms_value *document,
                        bool is_given) {
  const ms_value *root = ms_value_retain(document);
  /* What the root shares with the document is copied first. */
  for (size_t i = 0; i < OPERATIONS && is_given; i++) {
    apply(updates[i % count], &root, 0, is_given);
  }
  double began = now_ns();
  for (size_t i = 0; i < OPERATIONS; i++) {
    apply(updates[i % count], &root, (int64_t)i, is_given);
  }
  double ended = now_ns();
  ms_value_release(root);
  return (ended - began) / OPERATIONS;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a;
  double y = *(const double *)b;
  return (x > y) - (x < y);
}

static void measure(const figure *self, const ms_value *const *documents, size_t rounds,
                    bool is_given) {
  static ms_update *updates[SIZES][UPDATES_MAX + 2];
  static double samples[SIZES][ROUNDS_MAX];
  size_t count = 0; /* the same for all sizes */
  for (size_t s = 0; s < SIZES; s++) count = compile_all(self, sizes[s], updates[s]);
  for (size_t i = 0; i < rounds; i++) {
    for (size_t s = 0; s < SIZES; s++) {
      samples[s][i] = run_round(updates[s], count, documents[s], is_given);
    }
  }
  printf("%s\t%s", is_given ? "given" : "kept", self->name);
  for (size_t s = 0; s < SIZES; s++) {
    qsort(samples[s], rounds, sizeof samples[s][0], compare);
    printf("\t%.1f", samples[s][rounds / 2]);
    for (size_t i = 0; i < count; i++) ms_update_release(updates[s][i]);
  }
  printf("\n");
  fflush(stdout);
}

int main(int argc, char **argv) {
  size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
  if (rounds == 0 || rounds > ROUNDS_MAX) {
    fprintf(stderr, "usage: updates ROUNDS [NAME], at most %d rounds\n", ROUNDS_MAX);
    return 2;
  }
  const ms_value *documents[SIZES];
  for (size_t s = 0; s < SIZES; s++) documents[s] = make_document(sizes[s]);
  for (int given = 1; given >= 0; given--) {
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
      if (argc > 2 && strcmp(argv[2], figures[i].name) != 0) continue;
      measure(&figures[i], documents, rounds, given == 1);
    }
  }
  for (size_t s = 0; s < SIZES; s++) ms_value_release(documents[s]);
  return 0;
}
