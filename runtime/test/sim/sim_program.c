/*
 * Random updates. Every value that is set or pushed is a new marker, so that a lost, doubled or torn
 * update shows in the document. All writers meet at few places:
 *
 *   k<i>      scalars at the top           o.k<i>    values, objects {x, y} now and then, o as a whole
 *   n.c<i>    counters, only $inc          l.<i>     lists, only $push, or replaced
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

static const ms_value *from_json(sim_world *sim, const char *text) {
  const ms_value *value = NULL;
  ms_error error = {MS_OK, ""};
  if (ms_value_from_json(&sim->alloc, text, strlen(text), &value, &error) != MS_OK) {
    sim_fail(sim, "%s: %s", text, error.message);
    return ms_value_empty();
  }
  return value;
}

const ms_value *sim_program_defaults(sim_world *sim) {
  return from_json(
      sim, "{\"o\": {\"k0\": {\"x\": 0}}, \"n\": {\"c0\": 0}, \"l\": {\"0\": []}}");
}

static unsigned key(sim_world *sim) {
  return (unsigned)sim_random_below(&sim->random, sim->weather.keys);
}
static unsigned long long marker(sim_world *sim) {
  return (unsigned long long)++sim->markers;
}

/* One {"operator": {path: operand}}, without the braces of the whole document. */
static void clause(sim_world *sim, uint64_t kind, char *out, size_t bytes) {
  switch (kind) {
    case 0:
      snprintf(out, bytes, "\"$set\": {\"k%u\": %llu}", key(sim), marker(sim));
      break;
    case 1:
      snprintf(out, bytes, "\"$set\": {\"o.k%u\": %llu}", key(sim), marker(sim));
      break;
    case 2:
      snprintf(out, bytes, "\"$set\": {\"o.k%u\": {\"x\": %llu}}", key(sim), marker(sim));
      break;
    case 3:
      snprintf(out, bytes, "\"$set\": {\"o.k%u.y\": %llu}", key(sim), marker(sim));
      break;
    case 4:
      snprintf(out, bytes, "\"$inc\": {\"n.c%u\": %llu}", key(sim), 1 + marker(sim) % 9);
      break;
    case 5:
      snprintf(out, bytes, "\"$push\": {\"l.%u\": %llu}", key(sim), marker(sim));
      break;
    case 6: snprintf(out, bytes, "\"$unset\": {\"o.k%u\": true}", key(sim)); break;
    case 7:
      snprintf(out, bytes, "\"$inc\": {\"o.k%u.x\": %llu}", key(sim), marker(sim));
      break;
    case 8: snprintf(out, bytes, "\"$set\": {\"o\": {\"k0\": %llu}}", marker(sim)); break;
    case 9:
      snprintf(out, bytes, "\"$set\": {\"l.%u\": [%llu]}", key(sim), marker(sim));
      break;
    case 10:
      snprintf(out, bytes, "\"$set\": {\"k%u\": 7}", key(sim));
      break; /* often equal */
    case 11:
      snprintf(out, bytes, "\"$set\": {\"l.%u.1\": %llu}", key(sim), marker(sim));
      break;
    default: snprintf(out, bytes, "\"$unset\": {\"k%u\": true}", key(sim)); break;
  }
}
enum { CLAUSES = 13 };

/* $set and $inc of places that do not overlap: a patch of many operators. */
static void wide_document(sim_world *sim, char *out, size_t bytes) {
  unsigned long long mark = marker(sim);
  snprintf(out, bytes,
           "{\"$set\": {\"k%u\": %llu, \"o.k%u.x\": %llu, \"l.%u\": [%llu]}, "
           "\"$inc\": {\"n.c%u\": %llu}, \"$push\": {\"w\": %llu}}",
           key(sim), mark, key(sim), mark, key(sim), mark, key(sim), mark, mark);
}

static ms_update *parse(sim_world *sim, const char *text) {
  const ms_value *document = from_json(sim, text);
  ms_update *update = NULL;
  ms_error error = {MS_OK, ""};
  if (ms_update_parse(&sim->alloc, document, NULL, &update, &error) != MS_OK) {
    sim_fail(sim, "%s: %s", text, error.message);
  }
  ms_value_release(document);
  return update;
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
  char text[200];
  snprintf(text, sizeof text,
           "{\"o\": {\"k0\": {\"x\": %llu}}, \"n\": {}, \"l\": {\"0\": []}}",
           marker(sim));
  const ms_value *document = from_json(sim, text);
  ms_update *update = NULL;
  ms_error error = {MS_OK, ""};
  if (msi_update_replace(&sim->alloc, document, &update, &error) != MS_OK) {
    sim_fail(sim, "replace: %s", error.message);
  }
  ms_value_release(document);
  return update;
}

ms_update *sim_program_update(sim_world *sim) {
  uint64_t kind = sim_random_below(&sim->random, 20);
  char first[160], second[160], text[512];
  if (kind < 4) return guarded(sim);
  if (kind < 5 && sim->weather.replaces) return replacing(sim);
  if (kind < 7) {
    wide_document(sim, text, sizeof text);
    return parse(sim, text);
  }
  clause(sim, sim_random_below(&sim->random, CLAUSES), first, sizeof first);
  if (kind < 10) { /* a batch */
    clause(sim, sim_random_below(&sim->random, CLAUSES), second, sizeof second);
    snprintf(text, sizeof text, "[{%s}, {%s}]", first, second);
  } else {
    snprintf(text, sizeof text, "{%s}", first);
  }
  return parse(sim, text);
}
