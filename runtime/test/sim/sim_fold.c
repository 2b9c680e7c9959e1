/*
 * Places that only one operator ever writes to, one that commutes. What they hold at the end is what
 * all accepted operations make, folded here without the library's operators:
 *
 *   n.c<i>  $inc      f.p<i>  $mul      f.lo<i>  $min      f.hi<i>  $max
 *   f.b<i>  $bit      f.s<i>  $addToSet
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

void sim_fold_clause(sim_world *sim, char *out, size_t bytes) {
  unsigned at = sim_program_key(sim);
  unsigned long long mark = sim_program_marker(sim), number = mark * 7919 % 1009;
  static const char *const bits[] = {"and", "or", "xor"};
  switch (sim_random_below(&sim->random, 6)) {
    case 0: snprintf(out, bytes, "\"$inc\": {\"n.c%u\": %llu}", at, 1 + mark % 9); break;
    case 1:
      snprintf(out, bytes, "\"$mul\": {\"f.p%u\": %d}", at, mark % 4 == 0 ? -1 : 2);
      break;
    case 2: snprintf(out, bytes, "\"$min\": {\"f.lo%u\": %llu}", at, number); break;
    case 3: snprintf(out, bytes, "\"$max\": {\"f.hi%u\": %llu}", at, number); break;
    case 4:
      snprintf(out, bytes, "\"$bit\": {\"f.b%u\": {\"%s\": %llu}}", at, bits[mark % 3],
               number);
      break;
    default:
      snprintf(out, bytes, "\"$addToSet\": {\"f.s%u\": {\"$each\": [%llu, %llu]}}", at,
               mark % 23, number % 23);
      break;
  }
}

/* ----- numbers */

typedef struct number {
  bool exists;
  int64_t value;
} number;

static number fold_bits(number made, const ms_value *operand) {
  static const char *const names[] = {"and", "or", "xor"};
  if (!made.exists) made.value = 0;
  for (size_t i = 0; i < 3; i++) {
    int64_t bits = 0;
    const ms_value *given = ms_value_get(operand, names[i], strlen(names[i]));
    if (given == NULL || ms_value_to_int(given, &bits) != MS_OK) continue;
    if (i == 0) made.value &= bits;
    if (i == 1) made.value |= bits;
    if (i == 2) made.value ^= bits;
  }
  made.exists = true;
  return made;
}

static number fold_one(number made, msi_code code, const ms_value *operand) {
  int64_t by = 0;
  if (code == MSI_CODE_BIT) return fold_bits(made, operand);
  if (ms_value_to_int(operand, &by) != MS_OK) return made;
  switch (code) {
    case MSI_CODE_INC: made.value = made.exists ? made.value + by : by; break;
    case MSI_CODE_MUL: made.value = made.exists ? made.value * by : 0; break;
    case MSI_CODE_MIN:
      if (!made.exists || by < made.value) made.value = by;
      break;
    default:
      if (!made.exists || by > made.value) made.value = by;
      break;
  }
  made.exists = true;
  return made;
}

/* Calls `fn` with the operand of every accepted operation of this kind at the path. */
typedef void (*operand_fn)(void *ud, msi_code code, const ms_value *operand);

static void each_operand(const sim_group *group, msi_code code, const ms_path *path,
                         operand_fn fn, void *ud) {
  for (size_t i = 0; i < group->version_count; i++) {
    const ms_update *update = group->versions[i].entry.patch.update;
    if (group->versions[i].entry.kind != MSI_ENTRY_PATCH) continue;
    for (uint32_t k = 0; k < update->op_count; k++) {
      const msi_op *op = &update->ops[k];
      if (op->code == code && msi_path_equal(op->path, path)) fn(ud, code, op->operand);
    }
  }
}

static void add_number(void *ud, msi_code code, const ms_value *operand) {
  number *made = ud;
  *made = fold_one(*made, code, operand);
}

static number number_at(const ms_path *path, const ms_value *root) {
  number found = {false, 0};
  const ms_value *value = ms_path_find(path, root);
  found.exists = value != NULL;
  if (value != NULL && ms_value_to_int(value, &found.value) != MS_OK)
    found.value = INT64_MIN;
  return found;
}

static void check_number(sim_world *sim, const sim_group *group, msi_code code,
                         const ms_path *path, const char *text) {
  number made = number_at(path, group->first_root);
  number found = number_at(path, sim_check_root(group, group->version_count));
  each_operand(group, code, path, add_number, &made);
  if (made.exists == found.exists && made.value == found.value) return;
  sim_fail(sim, "%s is %s%lld, the accepted operations make %s%lld", text,
           found.exists ? "" : "not there, ", (long long)found.value,
           made.exists ? "" : "nothing, ", (long long)made.value);
}

/* ----- sets */

enum { SET_MAX = 64 }; /* elements are small numbers */

typedef struct number_set {
  bool exists, has[SET_MAX];
} number_set;

static void add_elements(void *ud, msi_code code, const ms_value *operand) {
  number_set *made = ud;
  (void)code;
  made->exists = true;
  for (size_t i = 0; i < ms_value_count(operand); i++) {
    int64_t element = 0;
    if (ms_value_to_int(ms_value_at(operand, i), &element) != MS_OK || element < 0 ||
        element >= SET_MAX) {
      abort();
    }
    made->has[element] = true;
  }
}

static void check_set(sim_world *sim, const sim_group *group, const ms_path *path,
                      const char *text) {
  number_set made = {.exists = false}, found = {.exists = false};
  size_t wanted = 0;
  const ms_value *list = ms_path_find(path, sim_check_root(group, group->version_count));
  each_operand(group, MSI_CODE_ADD_TO_SET, path, add_elements, &made);
  if (list != NULL && ms_value_type(list) != MS_ARRAY) {
    sim_fail(sim, "%s is no list", text);
    return;
  }
  if (list != NULL) add_elements(&found, MSI_CODE_ADD_TO_SET, list);
  for (size_t i = 0; i < SET_MAX; i++) wanted += made.has[i];
  if (memcmp(&made, &found, sizeof made) == 0 &&
      (list == NULL || ms_value_count(list) == wanted)) {
    return;
  }
  sim_fail(sim, "%s does not hold the %zu elements that were accepted", text, wanted);
}

void sim_fold_check(sim_world *sim, const sim_group *group) {
  static const struct {
    const char *name;
    msi_code code;
  } kinds[] = {{"n.c", MSI_CODE_INC},  {"f.p", MSI_CODE_MUL},
               {"f.lo", MSI_CODE_MIN}, {"f.hi", MSI_CODE_MAX},
               {"f.b", MSI_CODE_BIT},  {"f.s", MSI_CODE_ADD_TO_SET}};
  for (unsigned i = 0; i < sim->weather.keys; i++) {
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
      char text[32];
      ms_path *path = NULL;
      snprintf(text, sizeof text, "%s%u", kinds[k].name, i);
      if (ms_path_parse(&sim->alloc, text, strlen(text), &path, NULL) != MS_OK) abort();
      if (kinds[k].code == MSI_CODE_ADD_TO_SET) {
        check_set(sim, group, path, text);
      } else {
        check_number(sim, group, kinds[k].code, path, text);
      }
      ms_path_release(path);
    }
  }
}
