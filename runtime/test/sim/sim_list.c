/*
 * Random updates of lists, "q.0" and "q.1". Their elements are objects
 *
 *   {id: an integer that no other element ever has, n: a small number, t: an array of numbers}
 *
 * so that whatever hits another element than its writer meant shows. Who replaces an element keeps its
 * id: it is the same element with other contents. A program goes by what its document shows, so most
 * of what it writes makes sense there; what the host's document shows is another matter.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

enum { ELEMENT_BYTES = 96 };

const ms_value *sim_list_find(const ms_value *document, unsigned list) {
  char key[16];
  const ms_value *lists = ms_value_get(document, "q", 1);
  if (lists == NULL || ms_value_type(lists) != MS_OBJECT) return NULL;
  snprintf(key, sizeof key, "%u", list);
  const ms_value *found = ms_value_get(lists, key, strlen(key));
  return found != NULL && ms_value_type(found) == MS_ARRAY ? found : NULL;
}

int64_t sim_list_id(const ms_value *list, int64_t index) {
  int64_t id = 0;
  if (list == NULL || index < 0 || (uint64_t)index >= ms_value_count(list)) return 0;
  const ms_value *element = ms_value_at(list, (size_t)index);
  if (ms_value_type(element) != MS_OBJECT) return 0;
  const ms_value *found = ms_value_get(element, "id", 2);
  return found != NULL && ms_value_to_int(found, &id) == MS_OK ? id : 0;
}

/* ----- elements */

static int64_t new_id(sim_world *sim) { return (int64_t)++sim->elements; }

static const char *print_element(sim_world *sim, int64_t id, char *out) {
  unsigned long long mark = sim_program_marker(sim);
  snprintf(out, ELEMENT_BYTES, "{\"id\": %lld, \"n\": %llu, \"t\": [%llu]}",
           (long long)id, mark % 20, mark);
  return out;
}

static const char *new_element(sim_world *sim, char *out) {
  return print_element(sim, new_id(sim), out);
}

/* The list that a program looks at. */
typedef struct subject {
  sim_world *sim;
  unsigned list;
  const ms_value *value; /* borrowed; NULL: none */
  size_t count;
} subject;

static size_t any_index(const subject *self) {
  return (size_t)sim_random_below(&self->sim->random, self->count);
}

static int64_t any_id(const subject *self) {
  return sim_list_id(self->value, (int64_t)any_index(self));
}

/* ----- with a path built from keys */

static ms_path *list_path(const subject *self) {
  char text[16];
  ms_path *path = NULL;
  snprintf(text, sizeof text, "q.%u", self->list);
  if (ms_path_parse(&self->sim->alloc, text, strlen(text), &path, NULL) != MS_OK) abort();
  return path;
}

static ms_update *insertion(const subject *self) {
  sim_world *sim = self->sim;
  char text[ELEMENT_BYTES];
  ms_update *update = NULL;
  ms_error error = {MS_OK, ""};
  ms_path *path = list_path(self);
  const ms_value *element = sim_program_json(sim, new_element(sim, text));
  size_t index = (size_t)sim_random_below(&sim->random, self->count + 2);
  ms_type container = sim_chance(sim, 500000) ? MS_ARRAY : MS_NULL;
  if (msi_update_insert(&sim->alloc, path, index, element, container, &update, &error) !=
      MS_OK) {
    sim_fail(sim, "insert: %s", error.message);
  }
  ms_value_release(element);
  ms_path_release(path);
  return update;
}

static ms_update *removal(const subject *self) {
  sim_world *sim = self->sim;
  ms_update *update = NULL;
  ms_error error = {MS_OK, ""};
  ms_path *path = list_path(self);
  if (msi_update_remove(&sim->alloc, path, any_index(self), &update, &error) != MS_OK)
    sim_fail(sim, "remove: %s", error.message);
  ms_path_release(path);
  return update;
}

/* ----- as documents */

static ms_update *adding(const subject *self, uint64_t kind) {
  sim_world *sim = self->sim;
  char one[ELEMENT_BYTES], two[ELEMENT_BYTES], text[512], modifiers[64] = "";
  unsigned long long at = sim_random_below(&sim->random, self->count + 1);
  if (kind == 0) {
    snprintf(text, sizeof text, "{\"$push\": {\"q.%u\": %s}}", self->list,
             new_element(sim, one));
    return sim_program_parse(sim, text, NULL);
  }
  if (kind == 1) {
    snprintf(text, sizeof text, "{\"$addToSet\": {\"q.%u\": %s}}", self->list,
             new_element(sim, one));
    return sim_program_parse(sim, text, NULL);
  }
  switch (sim_random_below(&sim->random, 6)) {
    case 0:
    case 1: snprintf(modifiers, sizeof modifiers, ", \"$position\": %llu", at); break;
    case 2: snprintf(modifiers, sizeof modifiers, ", \"$slice\": 12"); break;
    case 3:
      snprintf(modifiers, sizeof modifiers, ", \"$position\": %llu, \"$slice\": -12", at);
      break;
    case 4: snprintf(modifiers, sizeof modifiers, ", \"$sort\": {\"n\": 1}"); break;
    default: break;
  }
  new_element(sim, one); /* one after the other: arguments have no order */
  new_element(sim, two);
  snprintf(text, sizeof text, "{\"$push\": {\"q.%u\": {\"$each\": [%s, %s]%s}}}",
           self->list, one, two, modifiers);
  return sim_program_parse(sim, text, NULL);
}

/* $pullAll of an element as it is. */
static ms_update *taking_whole(const subject *self) {
  sim_world *sim = self->sim;
  const ms_value *json = NULL;
  const char *bytes = "";
  size_t length = 0;
  if (ms_value_to_json(&sim->alloc, ms_value_at(self->value, any_index(self)), 0,
                       &json) != MS_OK ||
      ms_value_to_string(json, &bytes, &length) != MS_OK) {
    abort();
  }
  char *text = malloc(length + 64);
  if (text == NULL) abort();
  snprintf(text, length + 64, "{\"$pullAll\": {\"q.%u\": [%.*s]}}", self->list,
           (int)length, bytes);
  ms_update *update = sim_program_parse(sim, text, NULL);
  free(text);
  ms_value_release(json);
  return update;
}

static ms_update *taking(const subject *self, uint64_t kind) {
  sim_world *sim = self->sim;
  char text[512];
  switch (kind) {
    case 0:
      snprintf(text, sizeof text, "{\"$pop\": {\"q.%u\": %d}}", self->list,
               sim_chance(sim, 500000) ? 1 : -1);
      break;
    case 1:
      snprintf(text, sizeof text, "{\"$pull\": {\"q.%u\": {\"id\": %lld}}}", self->list,
               (long long)any_id(self));
      break;
    case 2:
      snprintf(text, sizeof text, "{\"$pull\": {\"q.%u\": {\"n\": {\"$lt\": %llu}}}}",
               self->list, (unsigned long long)sim_random_below(&sim->random, 3));
      break;
    default: return taking_whole(self);
  }
  return sim_program_parse(sim, text, NULL);
}

static ms_update *editing(const subject *self, uint64_t kind) {
  sim_world *sim = self->sim;
  char element[ELEMENT_BYTES], text[512];
  size_t at = any_index(self);
  int64_t id = sim_list_id(self->value, (int64_t)at);
  unsigned list = self->list;
  unsigned long long mark = sim_program_marker(sim);
  switch (kind) {
    case 0:
      snprintf(text, sizeof text, "{\"$set\": {\"q.%u.%zu.n\": %llu}}", list, at,
               mark % 20);
      break;
    case 1:
    case 2:
      snprintf(text, sizeof text, "{\"$inc\": {\"q.%u.%zu.n\": %llu}}", list, at,
               1 + mark % 3);
      break;
    case 3:
      snprintf(text, sizeof text, "{\"$set\": {\"q.%u.%zu\": %s}}", list, at,
               print_element(sim, id, element));
      break;
    case 4: /* a new one behind the others */
      snprintf(text, sizeof text, "{\"$set\": {\"q.%u.%zu\": %s}}", list, self->count,
               print_element(sim, new_id(sim), element));
      break;
    case 5:
      snprintf(text, sizeof text,
               "{\"$max\": {\"q.%u.%zu.n\": %llu}, \"$push\": {\"q.%u.%zu.t\": %llu}, "
               "\"$set\": {\"k%u\": %llu}}",
               list, at, mark % 20, list, at, mark, sim_program_key(sim), mark);
      break;
    case 6:
      snprintf(text, sizeof text, "{\"$set\": {\"q.%u.%zu.t.0\": %llu}}", list, at, mark);
      break;
    default:
      snprintf(text, sizeof text, "{\"$unset\": {\"q.%u.%zu.n\": true}}", list, at);
      break;
  }
  return sim_program_parse(sim, text, NULL);
}

/* By what elements are, not by where they stand. */
static ms_update *selecting(const subject *self, uint64_t kind) {
  sim_world *sim = self->sim;
  char text[256], filters[64];
  unsigned long long mark = sim_program_marker(sim);
  snprintf(filters, sizeof filters, "[{\"e.id\": %lld}]",
           self->count == 0 ? 0LL : (long long)any_id(self));
  switch (kind) {
    case 0:
      snprintf(text, sizeof text, "{\"$inc\": {\"q.%u.$[].n\": 1}}", self->list);
      return sim_program_parse(sim, text, NULL);
    case 1:
      snprintf(text, sizeof text, "{\"$set\": {\"q.%u.$[e].n\": %llu}}", self->list,
               mark % 20);
      break;
    case 2:
      snprintf(text, sizeof text, "{\"$push\": {\"q.%u.$[e].t\": %llu}}", self->list,
               mark);
      break;
    case 3:
      snprintf(text, sizeof text, "{\"$pop\": {\"q.%u.$[].t\": -1}}", self->list);
      return sim_program_parse(sim, text, NULL);
    default:
      snprintf(text, sizeof text, "{\"$set\": {\"q.%u.$[e].t.0\": %llu}}", self->list,
               mark);
      break;
  }
  return sim_program_parse(sim, text, filters);
}

static ms_update *replacing(const subject *self) {
  sim_world *sim = self->sim;
  char one[ELEMENT_BYTES], two[ELEMENT_BYTES], three[ELEMENT_BYTES], text[512];
  if (sim_chance(sim, 200000)) {
    new_element(sim, one);
    new_element(sim, two);
    snprintf(text, sizeof text, "{\"$set\": {\"q\": {\"%u\": [%s, %s]}}}", self->list,
             one, two);
  } else if (sim_chance(sim, 200000)) {
    snprintf(text, sizeof text, "{\"$unset\": {\"q.%u\": true}}", self->list);
  } else {
    new_element(sim, one);
    new_element(sim, two);
    new_element(sim, three);
    snprintf(text, sizeof text, "{\"$set\": {\"q.%u\": [%s, %s, %s]}}", self->list, one,
             two, three);
  }
  return sim_program_parse(sim, text, NULL);
}

ms_update *sim_list_front(sim_world *sim) {
  char element[ELEMENT_BYTES], text[256];
  snprintf(text, sizeof text,
           "{\"$push\": {\"q.%u\": {\"$each\": [%s], \"$position\": 0}}}",
           sim_program_key(sim) % SIM_LISTS, new_element(sim, element));
  return sim_program_parse(sim, text, NULL);
}

ms_update *sim_list_update(sim_world *sim, const ms_value *document) {
  subject self = {.sim = sim};
  self.list = sim_program_key(sim) % SIM_LISTS;
  self.value = sim_list_find(document, self.list);
  self.count = self.value == NULL ? 0 : ms_value_count(self.value);
  uint64_t kind = sim_random_below(&sim->random, 40);
  if (kind == 0) return replacing(&self);
  if (kind < 6) return selecting(&self, kind - 1);
  if (self.count == 0) return adding(&self, sim_random_below(&sim->random, 3));
  if (kind < 9) return insertion(&self);
  if (kind < 13) return removal(&self);
  if (kind < 17) return taking(&self, kind - 13);
  if (kind < 25) return editing(&self, kind - 17);
  if (kind < 29) return editing(&self, kind - 25);
  if (self.count > 10) return taking(&self, 0);
  return adding(&self, kind < 34 ? 0 : kind < 36 ? 1 : 2);
}
