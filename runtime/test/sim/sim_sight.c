/*
 * An edit by position lands where its writer meant it: what is checked here knows nothing of marks,
 * classes or timestamps, only of the ids of elements (sim_list.c).
 *
 * When a writer submits, the receipt notes for each operation that goes into a list by position the
 * element that stood there in its view, or inside a batch in the draft at that operation. When the
 * host has accepted the patch, the same element must have stood there in its document.
 *
 * Besides, each list is followed: no id stands in it twice, and from one document to the next it
 * loses and gets what the operation says.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "operator.h"
#include "sim.h"

#define ULL(number) ((unsigned long long)(number))

/* ----- the operations of an update, and the documents that they meet */

/* One group of an update by itself. Borrowed from it. */
static ms_update group_of(const ms_update *update, uint32_t first) {
  ms_update group = *update;
  uint32_t end = first;
  while (end < update->op_count && update->ops[end].group == update->ops[first].group)
    end++;
  group.ops = update->ops + first;
  group.op_count = end - first;
  group.group_count = 1;
  return group;
}

/* The number of the list that the operation is at or goes into; -1: none. */
static int list_of(const msi_op *op) {
  const char *key = "";
  size_t length = 0;
  if (op->class_ == MSI_CLASS_GUARD || op->path->count < 2) return -1;
  if (ms_value_to_string(op->path->segments[0].key, &key, &length) != MS_OK ||
      length != 1 || *key != 'q') {
    return -1;
  }
  int64_t list = op->path->segments[1].index;
  return list >= 0 && list < SIM_LISTS ? (int)list : -1;
}

/* The position that the operation goes by in its list, -1: none. */
static int64_t position_of(const msi_op *op, const ms_value *list) {
  int64_t position = -1;
  const ms_value *operand = op->operand;
  if (op->path->count > 2) return op->path->segments[2].index;
  if (op->selection != NULL) return -1;
  if (op->code == MSI_CODE_PUSH_AT) {
    if (ms_value_type(ms_value_at(operand, 3)) != MS_NULL) return -1; /* is sorted */
    operand = ms_value_at(operand, 1);
  } else if (op->code == MSI_CODE_POP) {
    size_t count = list == NULL ? 0 : ms_value_count(list);
    bool last = ms_value_to_int(operand, &position) == MS_OK && position > 0;
    return last && count > 0 ? (int64_t)count - 1 : 0;
  } else if (op->code != MSI_CODE_REMOVE_AT) {
    return -1;
  }
  return ms_value_to_int(operand, &position) == MS_OK ? position : -1;
}

/* What stands where the operation goes. */
static int64_t sight_of(const msi_op *op, const ms_value *document) {
  int list = list_of(op);
  if (list < 0) return SIM_SIGHT_ANY;
  const ms_value *elements = sim_list_find(document, (unsigned)list);
  int64_t position = position_of(op, elements);
  return position < 0 ? SIM_SIGHT_ANY : sim_list_id(elements, position);
}

void sim_sight_print(const sim_receipt *receipt) {
  const ms_update *update = receipt->update;
  uint32_t marks = update->op_count - receipt->asked->op_count;
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *op = &update->ops[i];
    char path[MSI_PRINT_BYTES];
    const ms_value *json = NULL;
    const char *text = "?";
    size_t length = 1;
    if (ms_value_to_json(update->alloc, op->operand, 0, &json) == MS_OK)
      (void)!ms_value_to_string(json, &text, &length);
    printf("                     %u: %s \"%s\" %.*s", (unsigned)op->group,
           msi_op_name(op), msi_op_print(op, path, sizeof path), (int)length, text);
    if (i >= marks && receipt->sights[i - marks] != SIM_SIGHT_ANY)
      printf(", sees %lld", (long long)receipt->sights[i - marks]);
    printf("\n");
    ms_value_release(json);
  }
}

void sim_sight_record(const sim_world *sim, sim_receipt *receipt, const ms_value *view) {
  const ms_update *asked = receipt->asked;
  const ms_value *draft = ms_value_retain(view);
  bool is_lost = false; /* what the writer saw when an earlier part did not apply */
  receipt->sights = calloc(asked->op_count, sizeof *receipt->sights);
  if (receipt->sights == NULL) abort();
  for (uint32_t first = 0; first < asked->op_count;) {
    ms_update group = group_of(asked, first);
    const ms_value *next = NULL;
    for (uint32_t i = 0; i < group.op_count; i++) {
      receipt->sights[first + i] =
          is_lost ? SIM_SIGHT_ANY : sight_of(&group.ops[i], draft);
    }
    first += group.op_count;
    if (group.ops->code == MSI_CODE_WHERE) continue; /* the host may think otherwise */
    if (ms_update_apply(&group, draft, receipt->wall_ms, &next, NULL) != MS_OK) {
      is_lost = true;
      continue;
    }
    ms_value_release(draft);
    draft = next;
  }
  ms_value_release(draft);
  if (sim->options.trace) sim_sight_print(receipt);
}

/* ----- what happens to a list */

/* Does the value hold an element with this id? */
static bool brings(const ms_value *value, int64_t id) {
  ms_type type = ms_value_type(value);
  if (type == MS_ARRAY) {
    for (size_t i = 0; i < ms_value_count(value); i++) {
      if (brings(ms_value_at(value, i), id) || sim_list_id(value, (int64_t)i) == id)
        return true;
    }
    return false;
  }
  if (type != MS_OBJECT) return false;
  for (unsigned i = 0; i < SIM_LISTS; i++) { /* "q" as a whole */
    char key = (char)('0' + i);
    const ms_value *list = ms_value_get(value, &key, 1);
    if (list != NULL && brings(list, id)) return true;
  }
  const ms_value *found = ms_value_get(value, "id", 2);
  int64_t number = 0;
  return found != NULL && ms_value_to_int(found, &number) == MS_OK && number == id;
}

/* Does $pull take this element? Of the two forms that programs use. */
static bool pulls(const msi_op *op, const ms_value *element) {
  int64_t wanted = 0, found = 0;
  const ms_value *id = ms_value_get(op->operand, "id", 2);
  const ms_value *below = ms_value_get(op->operand, "n", 1);
  const char *key = id != NULL ? "id" : "n";
  const ms_value *value = ms_value_get(element, key, strlen(key));
  if (below != NULL) below = ms_value_get(below, "$lt", 3);
  if (value == NULL || ms_value_to_int(value, &found) != MS_OK) return false;
  if (id != NULL) return ms_value_to_int(id, &wanted) == MS_OK && wanted == found;
  return below != NULL && ms_value_to_int(below, &wanted) == MS_OK && found < wanted;
}

/* Is another value put where the list, or what holds it, was? */
static bool replaces(const msi_op *op, int list) {
  if (op->class_ != MSI_CLASS_ABSOLUTE || op->path->count > 2) return false;
  if (op->path->count == 2) return list_of(op) == list;
  if (op->path->count == 0) return true;
  const char *key = "";
  size_t length = 0;
  return ms_value_to_string(op->path->segments[0].key, &key, &length) == MS_OK &&
         length == 1 && *key == 'q';
}

/* May the operation, which saw `sight`, take an element out of the list? */
static bool takes(const msi_op *op, int64_t sight, int list, const ms_value *element,
                  int64_t id) {
  if (replaces(op, list)) return true;
  if (list_of(op) != list || op->selection != NULL) return false;
  switch (op->code) {
    case MSI_CODE_POP:
    case MSI_CODE_REMOVE_AT: return sight == id || sight == SIM_SIGHT_ANY;
    case MSI_CODE_PUSH_AT: return ms_value_type(ms_value_at(op->operand, 2)) != MS_NULL;
    case MSI_CODE_PULL: return pulls(op, element);
    case MSI_CODE_PULL_ALL: return brings(op->operand, id);
    default: return false;
  }
}

/* Must all that the operation brings be in the list afterwards? */
static bool adds(const msi_op *op, int list) {
  if (list_of(op) != list || op->selection != NULL || op->path->count != 2) return false;
  if (op->code == MSI_CODE_PUSH_AT)
    return ms_value_type(ms_value_at(op->operand, 2)) == MS_NULL;
  return op->code == MSI_CODE_PUSH || op->code == MSI_CODE_ADD_TO_SET ||
         op->code == MSI_CODE_SET;
}

static bool holds(const ms_value *list, int64_t id) {
  for (size_t i = 0; list != NULL && i < ms_value_count(list); i++) {
    if (sim_list_id(list, (int64_t)i) == id) return true;
  }
  return false;
}

/* The group of operations under way. */
typedef struct step {
  sim_world *sim;
  const ms_update *group;
  const int64_t *sights;
  uint64_t version;
  int list;
  const ms_value *before, *after; /* the list; NULL: none */
} step;

static void check_lost(const step *self, const ms_value *element, int64_t id) {
  for (uint32_t i = 0; i < self->group->op_count; i++) {
    if (takes(&self->group->ops[i], self->sights[i], self->list, element, id)) return;
  }
  sim_fail(self->sim, "version %llu: q.%d loses element %lld for no reason",
           ULL(self->version), self->list, (long long)id);
}

static void check_got(const step *self, int64_t id) {
  for (uint32_t i = 0; i < self->group->op_count; i++) {
    if (brings(self->group->ops[i].operand, id)) return;
  }
  sim_fail(self->sim, "version %llu: q.%d gets element %lld from nowhere",
           ULL(self->version), self->list, (long long)id);
}

static void check_added(const step *self, const msi_op *op) {
  const ms_value *elements = op->operand;
  if (!adds(op, self->list)) return;
  if (op->code == MSI_CODE_PUSH_AT) elements = ms_value_at(elements, 0);
  if (ms_value_type(elements) != MS_ARRAY) return;
  for (size_t i = 0; i < ms_value_count(elements); i++) {
    int64_t id = sim_list_id(elements, (int64_t)i);
    if (id == 0 || holds(self->after, id)) continue;
    sim_fail(self->sim, "version %llu: element %lld was added to q.%d, but is not there",
             ULL(self->version), (long long)id, self->list);
  }
}

static void check_list(const step *self) {
  size_t before = self->before == NULL ? 0 : ms_value_count(self->before);
  size_t after = self->after == NULL ? 0 : ms_value_count(self->after);
  for (size_t i = 0; i < before; i++) {
    int64_t id = sim_list_id(self->before, (int64_t)i);
    if (id != 0 && !holds(self->after, id))
      check_lost(self, ms_value_at(self->before, i), id);
  }
  for (size_t i = 0; i < after; i++) {
    int64_t id = sim_list_id(self->after, (int64_t)i);
    if (id == 0) {
      sim_fail(self->sim, "version %llu: q.%d.%zu has no id", ULL(self->version),
               self->list, i);
      continue;
    }
    if (!holds(self->before, id)) check_got(self, id);
    for (size_t k = 0; k < i; k++) {
      if (sim_list_id(self->after, (int64_t)k) != id) continue;
      sim_fail(self->sim, "version %llu: element %lld stands in q.%d twice",
               ULL(self->version), (long long)id, self->list);
    }
  }
  for (uint32_t i = 0; i < self->group->op_count; i++)
    check_added(self, &self->group->ops[i]);
}

/* ----- an accepted patch */

static void check_sight(sim_world *sim, const sim_receipt *receipt, uint32_t index,
                        uint64_t version, const ms_value *document) {
  const msi_op *op = &receipt->asked->ops[index];
  int64_t seen = receipt->sights[index], found = sight_of(op, document);
  if (seen == SIM_SIGHT_ANY || seen == found) return;
  sim_fail(sim, "version %llu goes by position to element %lld, its writer saw %lld",
           ULL(version), (long long)found, (long long)seen);
}

void sim_sight_check(sim_world *sim, const sim_receipt *receipt, uint64_t version,
                     const ms_value *before) {
  const ms_update *asked = receipt->asked;
  const ms_value *draft = ms_value_retain(before);
  for (uint32_t first = 0; first < asked->op_count && !sim->report->failed;) {
    ms_update group = group_of(asked, first);
    const ms_value *next = NULL;
    for (uint32_t i = 0; i < group.op_count; i++)
      check_sight(sim, receipt, first + i, version, draft);
    if (group.ops->code == MSI_CODE_WHERE && !ms_query_matches(group.ops->query, draft)) {
      sim_fail(sim, "version %llu was accepted, but its condition does not hold",
               ULL(version));
    }
    if (ms_update_apply(&group, draft, receipt->wall_ms, &next, NULL) != MS_OK) break;
    for (int list = 0; list < SIM_LISTS; list++) {
      step one = {sim,
                  &group,
                  receipt->sights + first,
                  version,
                  list,
                  sim_list_find(draft, (unsigned)list),
                  sim_list_find(next, (unsigned)list)};
      if (one.before != one.after) check_list(&one);
    }
    first += group.op_count;
    ms_value_release(draft);
    draft = next;
  }
  ms_value_release(draft);
}

bool sim_sight_holds(const sim_receipt *receipt, const ms_value *before) {
  const ms_update *asked = receipt->asked;
  const ms_value *draft = ms_value_retain(before);
  bool all = true;
  for (uint32_t first = 0; first < asked->op_count && all;) {
    ms_update group = group_of(asked, first);
    const ms_value *next = NULL;
    if (group.ops->code == MSI_CODE_WHERE)
      all = ms_query_matches(group.ops->query, draft);
    if (ms_update_apply(&group, draft, receipt->wall_ms, &next, NULL) != MS_OK) break;
    first += group.op_count;
    ms_value_release(draft);
    draft = next;
  }
  ms_value_release(draft);
  return all;
}
