/*
 * Random updates. Every value that is set or pushed is a new marker, so that a lost, doubled or torn
 * update shows in the document. All writers meet at few places:
 *
 *   k<i>      scalars at the top           o.k<i>    values, objects {x, y} now and then, o as a whole
 *   n.c<i>    counters, only $inc          l.<i>     lists of numbers
 *   q.<i>     lists of objects: sim_list.c f.*       places that only commute: sim_fold.c
 *   g         a number or a text: whoever counts there while it is a text writes without effect
 *
 * A part of the writes uses all of the update language: every operator, batches, and conditions that
 * hold or do not hold in the document that the writer sees.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

const ms_value *sim_program_json(sim_world *sim, const char *text) {
  const ms_value *value = NULL;
  ms_error error = {MS_OK, ""};
  if (ms_value_from_json(&sim->alloc, text, strlen(text), &value, &error) != MS_OK) {
    sim_fail(sim, "%s: %s", text, error.message);
    return ms_value_empty();
  }
  return value;
}

const ms_value *sim_program_defaults(sim_world *sim) {
  return sim_program_json(
      sim, "{\"o\": {\"k0\": {\"x\": 0}}, \"n\": {\"c0\": 0}, \"l\": {\"0\": []}, "
           "\"q\": {\"0\": [], \"1\": []}, \"f\": {\"p0\": 1, \"p1\": 1, \"p2\": 1}}");
}

unsigned sim_program_key(sim_world *sim) {
  return (unsigned)sim_random_below(&sim->random, sim->weather.keys);
}
unsigned long long sim_program_marker(sim_world *sim) {
  return (unsigned long long)++sim->markers;
}

static unsigned key(sim_world *sim) { return sim_program_key(sim); }
static unsigned long long marker(sim_world *sim) { return sim_program_marker(sim); }

/* One {"operator": {path: operand}}, without the braces of the whole document. */
static void clause(sim_world *sim, uint64_t kind, char *out, size_t bytes) {
  const unsigned at = key(sim); /* one draw after the other: arguments have no order */
  const unsigned long long mark = marker(sim);
  switch (kind) {
    case 0: snprintf(out, bytes, "\"$set\": {\"k%u\": %llu}", at, mark); break;
    case 1: snprintf(out, bytes, "\"$set\": {\"o.k%u\": %llu}", at, mark); break;
    case 2: snprintf(out, bytes, "\"$set\": {\"o.k%u\": {\"x\": %llu}}", at, mark); break;
    case 3: snprintf(out, bytes, "\"$set\": {\"o.k%u.y\": %llu}", at, mark); break;
    case 4: snprintf(out, bytes, "\"$inc\": {\"n.c%u\": %llu}", at, 1 + mark % 9); break;
    case 5: snprintf(out, bytes, "\"$push\": {\"l.%u\": %llu}", at, mark); break;
    case 6: snprintf(out, bytes, "\"$unset\": {\"o.k%u\": true}", at); break;
    case 7: snprintf(out, bytes, "\"$inc\": {\"o.k%u.x\": %llu}", at, mark); break;
    case 8: snprintf(out, bytes, "\"$set\": {\"o\": {\"k0\": %llu}}", mark); break;
    case 9: snprintf(out, bytes, "\"$set\": {\"l.%u\": [%llu]}", at, mark); break;
    case 10: snprintf(out, bytes, "\"$set\": {\"k%u\": 7}", at); break; /* often equal */
    case 11: snprintf(out, bytes, "\"$set\": {\"l.%u.1\": %llu}", at, mark); break;
    default: snprintf(out, bytes, "\"$unset\": {\"k%u\": true}", at); break;
  }
}
enum { CLAUSES = 13 };

/* $set and $inc of places that do not overlap: a patch of many operators. */
static void wide_document(sim_world *sim, char *out, size_t bytes) {
  unsigned long long mark = marker(sim);
  unsigned at[4];
  for (size_t i = 0; i < 4; i++) at[i] = key(sim);
  snprintf(out, bytes,
           "{\"$set\": {\"k%u\": %llu, \"o.k%u.x\": %llu, \"l.%u\": [%llu]}, "
           "\"$inc\": {\"n.c%u\": %llu}, \"$push\": {\"w\": %llu}}",
           at[0], mark, at[1], mark, at[2], mark, at[3], mark, mark);
}

static ms_update *parse_if(sim_world *sim, const char *text, const char *filters,
                           const char *where) {
  const ms_value *document = sim_program_json(sim, text);
  ms_update *update = NULL;
  ms_update_options options;
  ms_error error = {MS_OK, ""};
  ms_update_options_init(&options);
  if (filters != NULL) options.array_filters = sim_program_json(sim, filters);
  if (where != NULL) options.where = sim_program_json(sim, where);
  if (ms_update_parse(&sim->alloc, document, &options, &update, &error) != MS_OK) {
    sim_fail(sim, "%s: %s", text, error.message);
  }
  ms_value_release(options.array_filters);
  ms_value_release(options.where);
  ms_value_release(document);
  return update;
}

ms_update *sim_program_parse(sim_world *sim, const char *text, const char *filters) {
  return parse_if(sim, text, filters, NULL);
}

/* What an assignment through a proxy makes: it wants its container. */
static ms_update *guarded(sim_world *sim) {
  static const char *const forms[] = {"k%u", "o.k%u", "o.k%u.x", "o.k%u.y", "l.%u.0"};
  char text[64];
  uint64_t form = sim_random_below(&sim->random, sizeof forms / sizeof *forms);
  snprintf(text, sizeof text, forms[form], key(sim));
  ms_path *path = NULL;
  ms_update *update = NULL;
  const ms_value *value = NULL;
  ms_type container = form == 4 && sim_chance(sim, 500000) ? MS_ARRAY : MS_EMPTY;
  ms_error error = {MS_OK, ""};
  ms_status status = ms_path_parse(&sim->alloc, text, strlen(text), &path, &error);
  if (status == MS_OK)
    status = ms_value_new_int(&sim->alloc, (int64_t)marker(sim), &value);
  if (status == MS_OK) {
    status = msi_update_single(&sim->alloc, MSI_CODE_SET, path, value, container, &update,
                               &error);
  }
  if (status != MS_OK) sim_fail(sim, "guarded %s: %s", text, error.message);
  ms_path_release(path);
  ms_value_release(value);
  return update;
}

static ms_update *replacing(sim_world *sim) {
  char text[240];
  snprintf(text, sizeof text,
           "{\"o\": {\"k0\": {\"x\": %llu}}, \"n\": {}, \"l\": {\"0\": []}}",
           marker(sim));
  const ms_value *document = sim_program_json(sim, text);
  ms_update *update = NULL;
  ms_error error = {MS_OK, ""};
  if (msi_update_replace(&sim->alloc, document, &update, &error) != MS_OK) {
    sim_fail(sim, "replace: %s", error.message);
  }
  ms_value_release(document);
  return update;
}

/* Few operators at a time. */
static ms_update *plain_update(sim_world *sim) {
  uint64_t kind = sim_random_below(&sim->random, 20);
  char first[160], second[160], text[512];
  if (kind < 4) return guarded(sim);
  if (kind < 5 && sim->weather.replaces) return replacing(sim);
  if (kind < 7) {
    wide_document(sim, text, sizeof text);
    return sim_program_parse(sim, text, NULL);
  }
  clause(sim, sim_random_below(&sim->random, CLAUSES), first, sizeof first);
  if (kind < 10) { /* a batch */
    clause(sim, sim_random_below(&sim->random, CLAUSES), second, sizeof second);
    snprintf(text, sizeof text, "[{%s}, {%s}]", first, second);
  } else {
    snprintf(text, sizeof text, "{%s}", first);
  }
  return sim_program_parse(sim, text, NULL);
}

/* ----- all of the language */

/* One clause of an operator that plain updates do not use, at the places that they write to. */
static void wild_clause(sim_world *sim, uint64_t kind, char *out, size_t bytes) {
  unsigned a = key(sim), b = key(sim);
  unsigned long long mark = marker(sim);
  int few = (int)(mark % 3) - 1;
  switch (kind) {
    case 0: snprintf(out, bytes, "\"$mul\": {\"o.k%u.x\": %d}", a, few); break;
    case 1: snprintf(out, bytes, "\"$min\": {\"o.k%u.y\": %llu}", a, mark); break;
    case 2: snprintf(out, bytes, "\"$max\": {\"k%u\": %llu}", a, mark); break;
    case 3: snprintf(out, bytes, "\"$bit\": {\"k%u\": {\"xor\": 5}}", a); break;
    case 4: snprintf(out, bytes, "\"$rename\": {\"o.k%u\": \"o.r%u\"}", a, b); break;
    case 5: snprintf(out, bytes, "\"$rename\": {\"k%u\": \"o.k%u\"}", a, b); break;
    case 6: snprintf(out, bytes, "\"$currentDate\": {\"k%u\": true}", a); break;
    case 7: snprintf(out, bytes, "\"$addToSet\": {\"l.%u\": %llu}", a, mark % 9); break;
    case 8: snprintf(out, bytes, "\"$pop\": {\"l.%u\": %d}", a, few < 0 ? -1 : 1); break;
    case 9:
      snprintf(out, bytes, "\"$pull\": {\"l.%u\": {\"$lt\": %llu}}", a, mark / 2);
      break;
    case 10: snprintf(out, bytes, "\"$pullAll\": {\"l.%u\": [1, 2, 3]}", a); break;
    case 11:
      snprintf(out, bytes, "\"$push\": {\"l.%u\": {\"$each\": [%llu], \"$position\": 1}}",
               a, mark);
      break;
    case 12:
      snprintf(out, bytes,
               "\"$push\": {\"l.%u\": {\"$each\": [%llu], \"$sort\": -1, \"$slice\": 5}}",
               a, mark);
      break;
    case 13: snprintf(out, bytes, "\"$inc\": {\"l.%u.$[]\": 1}", a); break;
    case 14: snprintf(out, bytes, "\"$unset\": {\"l.%u.%u\": 1}", a, b); break;
    case 15: snprintf(out, bytes, "\"$set\": {\"l.%u.%u.t\": %llu}", a, b, mark); break;
    case 16: snprintf(out, bytes, "\"$push\": {\"o.k%u.t\": %llu}", a, mark); break;
    case 17: snprintf(out, bytes, "\"$set\": {\"o.k%u.t.%u\": %llu}", a, b, mark); break;
    default: snprintf(out, bytes, "\"$rename\": {\"o.r%u\": \"o.k%u\"}", a, b); break;
  }
}
enum { WILD_CLAUSES = 19 };

/* Many places at once, so that a small conflict index forgets others. */
static ms_update *flood(sim_world *sim) {
  char text[4096];
  unsigned from = (unsigned)sim_random_below(&sim->random, 600);
  int used = snprintf(text, sizeof text, "{\"$set\": {");
  for (unsigned i = 0; i < 110; i++) {
    used += snprintf(text + used, sizeof text - (size_t)used, "%s\"z.a%u\": %llu",
                     i == 0 ? "" : ", ", from + i, marker(sim));
  }
  snprintf(text + used, sizeof text - (size_t)used, "}}");
  return sim_program_parse(sim, text, NULL);
}

/* A condition on what a writer sees: one that holds there, or one that does not. */
static void condition(sim_world *sim, const ms_value *view, char *out, size_t bytes) {
  char name[16];
  unsigned list = key(sim) % SIM_LISTS;
  int64_t number = 0;
  snprintf(name, sizeof name, "k%u", key(sim));
  const ms_value *seen = ms_value_get(view, name, strlen(name));
  const ms_value *elements = sim_list_find(view, list);
  bool holds = sim_chance(sim, 600000);
  bool is_number = seen != NULL && ms_value_to_int(seen, &number) == MS_OK;
  switch (sim_random_below(&sim->random, 4)) {
    case 0:
      snprintf(out, bytes, "{\"%s\": {\"$exists\": %s}}", name,
               (seen != NULL) == holds ? "true" : "false");
      return;
    case 1:
      if (elements == NULL) break;
      snprintf(out, bytes, "{\"q.%u\": {\"$size\": %zu}}", list,
               ms_value_count(elements) + (holds ? 0 : 1));
      return;
    case 2:
      if (elements == NULL || ms_value_count(elements) == 0) break;
      snprintf(out, bytes, "{\"q.%u.0.id\": {\"$%s\": %lld}}", list, holds ? "eq" : "ne",
               (long long)sim_list_id(elements, 0));
      return;
    default: break;
  }
  if (is_number) {
    snprintf(out, bytes, "{\"%s\": {\"$%s\": %lld}}", name, holds ? "eq" : "ne",
             (long long)number);
  } else {
    snprintf(out, bytes, "{\"%s\": {\"$type\": \"int\"}, \"f\": {\"$exists\": true}}",
             name);
  }
}

static ms_update *conditional(sim_world *sim, const ms_value *view) {
  char text[160], where[160], body[170];
  condition(sim, view, where, sizeof where);
  clause(sim, sim_random_below(&sim->random, CLAUSES), text, sizeof text);
  snprintf(body, sizeof body, "{%s}", text);
  return parse_if(sim, body, NULL, where);
}

static ms_update *rich_part(sim_world *sim, const ms_value *view) {
  char text[256], body[260];
  uint64_t kind = sim_random_below(&sim->random, 20);
  if (kind < 11) return sim_list_update(sim, view);
  if (kind < 14) {
    sim_fold_clause(sim, text, sizeof text);
  } else if (kind < 15) {
    return guarded(sim);
  } else {
    wild_clause(sim, sim_random_below(&sim->random, WILD_CLAUSES), text, sizeof text);
  }
  snprintf(body, sizeof body, "{%s}", text);
  return sim_program_parse(sim, body, NULL);
}

/* Each part of a batch goes by what those before have made. */
static ms_update *rich_update(sim_world *sim, const ms_value *view) {
  ms_update *parts[4] = {NULL}, *update = NULL;
  const ms_value *draft = ms_value_retain(view);
  size_t count = 0;
  uint64_t wanted = sim_chance(sim, 700000) ? 1 : sim_random_between(&sim->random, 2, 3);
  uint64_t asks_at = sim_chance(sim, 200000) ? sim_random_below(&sim->random, wanted) : 4;
  while (wanted > 0 && !sim->report->failed) {
    const ms_value *next = NULL;
    bool asks = count == asks_at;
    parts[count] = asks ? conditional(sim, draft) : rich_part(sim, draft);
    if (parts[count] == NULL) break;
    if (!asks) wanted--;
    if (ms_update_apply(parts[count++], draft, 0, &next, NULL) != MS_OK) continue;
    ms_value_release(draft);
    draft = next;
  }
  if (!sim->report->failed &&
      msi_update_concat(&sim->alloc, (const ms_update *const *)parts, count, &update) !=
          MS_OK) {
    abort();
  }
  for (size_t i = 0; i < count; i++) ms_update_release(parts[i]);
  ms_value_release(draft);
  return update;
}

/* Something is done to a list if "g" is a number when its turn comes, which its writer cannot know; and
 * something else on top of that. The first process only makes it a number and a text. */
static ms_update *doubtful(sim_world *sim, const ms_value *view) {
  uint64_t kind = sim_random_below(&sim->random, 10);
  if (sim->writer == 0) {
    return sim_program_parse(
        sim, kind < 5 ? "{\"$set\": {\"g\": 0}}" : "{\"$set\": {\"g\": \"-\"}}", NULL);
  }
  if (kind < 6) return sim_list_update(sim, view);
  ms_update *parts[2] = {sim_program_parse(sim, "{\"$inc\": {\"g\": 1}}", NULL),
                         kind < 8 ? sim_list_front(sim) : sim_list_update(sim, view)};
  ms_update *update = NULL;
  if (!sim->report->failed &&
      msi_update_concat(&sim->alloc, (const ms_update *const *)parts, 2, &update) !=
          MS_OK) {
    abort();
  }
  for (size_t i = 0; i < 2; i++) ms_update_release(parts[i]);
  return update;
}

ms_update *sim_program_update(sim_world *sim, const ms_value *view) {
  if (sim_chance(sim, sim->weather.doubtful)) return doubtful(sim, view);
  if (sim->weather.index_nodes > 0 && sim_chance(sim, 100000)) return flood(sim);
  if (sim_chance(sim, sim->weather.language)) return rich_update(sim, view);
  return plain_update(sim);
}
