/*
 * Transactions: some writes are accepted only if what was read for them has not changed. What is checked
 * here knows nothing of paths that overlap, of the conflict index and of what own patches hang on: where the
 * host has accepted one, its document held the values that the writer had read in its view.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

enum { READS_MAX = 3 };
static const uint32_t WANTED = 120000; /* of a million writes */

/* One path that was read. */
typedef struct sim_seen {
  ms_path *path;         /* retained */
  const ms_value *value; /* retained; NULL: nothing was there */
  bool whole;
} sim_seen;

struct sim_reading {
  msi_reads *reads; /* retained; as they were submitted */
  sim_seen seen[READS_MAX];
  size_t count;
};

static bool is_container(const ms_value *value) {
  if (value == NULL) return false;
  ms_type type = ms_value_type(value);
  return type == MS_OBJECT || type == MS_ARRAY || type == MS_EMPTY;
}

static ms_path *random_path(sim_world *sim) {
  static const char *const forms[] = {"k%u",    "o",     "o.k%u",   "o.k%u.x",  "o.k%u.y",
                                      "n.c%u",  "l.%u",  "l.%u.%u", "o.r%u",    "q.%u.%u",
                                      "f.lo%u", "f.s%u", "o.k%u.t", "l.%u.%u.t"};
  char text[64];
  ms_path *path = NULL;
  uint64_t form = sim_random_below(&sim->random, sizeof forms / sizeof *forms);
  unsigned a = sim_program_key(sim), b = sim_program_key(sim);
  snprintf(text, sizeof text, forms[form], a, b);
  if (ms_path_parse(&sim->alloc, text, strlen(text), &path, NULL) != MS_OK) abort();
  return path;
}

/* Where an own patch that is not decided yet has written; NULL: nowhere. */
static ms_path *pending_path(sim_world *sim, const sim_proc *proc) {
  size_t count = msi_view_pending(proc->view);
  bool is_dormant = false;
  if (count == 0) return NULL;
  size_t which = (size_t)sim_random_below(&sim->random, count);
  const ms_update *update = msi_view_pending_at(proc->view, which, &is_dormant);
  const msi_op *op = &update->ops[sim_random_below(&sim->random, update->op_count)];
  const ms_path *path = op->code == MSI_CODE_RENAME ? op->target : op->path;
  if (path->count == 0) return NULL;
  if (path->count > 2 || sim_chance(sim, 500000)) return ms_path_retain(path);
  ms_path *inside = NULL;
  char index[2] = {(char)('0' + sim_random_below(&sim->random, 4)), '\0'};
  if (ms_path_join(path, index, 1, &inside, NULL) != MS_OK) abort();
  return inside;
}

bool sim_transaction_wanted(sim_world *sim, const sim_proc *proc) {
  if (!sim_chance(sim, WANTED)) return false;
  for (size_t i = proc->settled_count; i < proc->receipt_count; i++) {
    if (proc->receipts[i].reading != NULL) return false; /* one after the other */
  }
  return true;
}

sim_reading *sim_transaction_read(sim_world *sim, const sim_proc *proc) {
  sim_reading *reading = calloc(1, sizeof *reading);
  msi_read_set set;
  if (reading == NULL || msi_read_set_init(&set, &sim->alloc) != MS_OK) abort();
  reading->count = (size_t)sim_random_between(&sim->random, 1, READS_MAX);
  for (size_t i = 0; i < reading->count; i++) {
    sim_seen *seen = &reading->seen[i];
    if (sim_chance(sim, 500000)) seen->path = pending_path(sim, proc);
    if (seen->path == NULL) seen->path = random_path(sim);
    seen->value = ms_value_retain(ms_path_find(seen->path, msi_view_root(proc->view)));
    seen->whole = !is_container(seen->value) || sim_chance(sim, 500000);
    if (msi_read_set_note(&set, seen->path, msi_view_committed(proc->view),
                          msi_view_root(proc->view),
                          seen->whole ? MSI_READ_WHOLE : MSI_READ_EXISTS) != MS_OK) {
      abort();
    }
  }
  if (msi_view_widen_reads(proc->view, &set) != MS_OK) abort();
  if (msi_read_set_compile(&set, &reading->reads) != MS_OK) abort();
  msi_read_set_fini(&set);
  return reading;
}

void sim_transaction_free(sim_reading *reading) {
  if (reading == NULL) return;
  for (size_t i = 0; i < reading->count; i++) {
    ms_path_release(reading->seen[i].path);
    ms_value_release(reading->seen[i].value);
  }
  msi_reads_release(reading->reads);
  free(reading);
}

msi_reads *sim_transaction_reads(const sim_reading *reading) {
  return reading == NULL ? NULL : reading->reads;
}

/* With a condition that always holds, as every patch has that the view does not show. */
ms_update *sim_transaction_update(sim_world *sim, ms_update *update) {
  const ms_value *none = sim_program_json(sim, "[]");
  const ms_value *anything = sim_program_json(sim, "{}");
  ms_update *condition = NULL, *whole = NULL;
  ms_update_options options;
  ms_update_options_init(&options);
  options.where = anything;
  if (ms_update_parse(&sim->alloc, none, &options, &condition, NULL) != MS_OK) abort();
  const ms_update *const parts[] = {condition, update};
  if (msi_update_concat(&sim->alloc, parts, 2, &whole) != MS_OK) abort();
  ms_update_release(condition);
  ms_update_release(update);
  ms_value_release(anything);
  ms_value_release(none);
  return whole;
}

/* An empty container that somebody has used for the first time is still the container that was there. */
static bool is_as_seen(const sim_seen *seen, const ms_value *value) {
  if (!seen->whole) return is_container(value);
  if (value == NULL || seen->value == NULL) return value == seen->value;
  return ms_value_equal(value, seen->value);
}

void sim_transaction_check(sim_world *sim, const sim_receipt *receipt, uint64_t version,
                           const ms_value *before) {
  const sim_reading *reading = receipt->reading;
  for (size_t i = 0; reading != NULL && i < reading->count; i++) {
    const sim_seen *seen = &reading->seen[i];
    char path[MSI_PRINT_BYTES];
    if (is_as_seen(seen, ms_path_find(seen->path, before))) continue;
    sim_fail(sim, "version %llu was accepted, but \"%s\" is not what was read for it",
             (unsigned long long)version, msi_path_print(seen->path, path, sizeof path));
  }
}

static bool begins(const ms_path *prefix, const ms_path *path) {
  return prefix->count <= path->count && msi_path_overlaps(prefix, path);
}

bool sim_transaction_hangs_on(const msi_reads *reads, const ms_update *rejected) {
  for (size_t i = 0; reads != NULL && i < reads->count; i++) {
    for (uint32_t k = 0; k < rejected->op_count; k++) {
      const msi_op *op = &rejected->ops[k];
      if (op->class_ == MSI_CLASS_GUARD) continue;
      if (begins(op->path, reads->paths[i])) return true;
      if (i < reads->whole_count && begins(reads->paths[i], op->path)) return true;
    }
  }
  return false;
}

void sim_transaction_print(const sim_reading *reading) {
  for (size_t i = 0; reading != NULL && i < reading->reads->count; i++) {
    char path[MSI_PRINT_BYTES];
    printf("                     reads \"%s\"%s\n",
           msi_path_print(reading->reads->paths[i], path, sizeof path),
           i < reading->reads->whole_count ? "" : ", that it exists");
  }
}
