/*
 * What chance decides. Every event has dice of its own, from the seed and from whose and which event it
 * is, so that one event more or less leaves the others as they are. What matters of the outcome is a
 * *decision*: a process is born, a program writes, a fault happens to somebody, chance strikes a process
 * at one of its *sites* (a call of its port, an allocation, a tick).
 *
 * A run can record its decisions. A list of them is a plan: a run by a plan makes these and no others.
 * By all that a run has recorded it is the same run again; with less, sim_shrink.c looks for what a failure
 * needs. Writes and strikes come when their process is there first at or after the time in the plan,
 * since without the rest it may come by a little earlier or later.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

/* ----- dice */

static uint64_t mix(uint64_t hash, uint64_t word) {
  hash = (hash ^ word) * UINT64_C(0x9fb21c651e98df25);
  return hash ^ (hash >> 29);
}

sim_random sim_dice(sim_world *sim, uint64_t kind, uint64_t a, uint64_t b, uint64_t c) {
  sim_random before = sim->random;
  const sim_plan *only = sim->options.only;
  bool is_salted = only != NULL && kind <= SIM_DIALLED && kind != SIM_POLL;
  uint64_t seed = mix(mix(mix(mix(sim->options.seed, kind), a), b), c);
  if (is_salted && only->salt > 0) seed = mix(seed, only->salt);
  sim_random_seed(&sim->random, seed);
  return before;
}

/* ----- sites */

static const char *const site_names[SIM_SITE_COUNT] = {
    [SIM_AT_SEND] = "sending",
    [SIM_AT_CUT] = "cutting a link",
    [SIM_AT_DIAL] = "dialling",
    [SIM_AT_LOCK_FREE] = "looking at a term lock",
    [SIM_AT_UNLOCK] = "dropping a term lock",
    [SIM_AT_MEMBER] = "looking at a member lock",
    [SIM_AT_BEAT] = "beating",
    [SIM_AT_DISCARD] = "discarding a term",
    [SIM_AT_ENROL] = "enrolling",
    [SIM_AT_COMPLETE] = "saying that it is complete",
    [SIM_AT_LOCK] = "taking a term lock",
    [SIM_AT_RAISE] = "about to raise the term",
    [SIM_AT_RAISED] = "having raised the term",
    [SIM_AT_PREPARE] = "about to prepare a term",
    [SIM_AT_PREPARED] = "having prepared a term",
    [SIM_AT_LOG_INFO] = "looking at a log",
    [SIM_AT_LOG_READ] = "reading a log",
    [SIM_AT_READY] = "opening its term",
    [SIM_AT_SWEEP] = "sweeping",
    [SIM_AT_COMMIT] = "about to store an entry",
    [SIM_AT_STORED] = "between storing an entry and looking at the term",
    [SIM_AT_COMMITTED] = "between committing an entry and sending it",
    [SIM_AT_DISK] = "has no disk space",
    [SIM_AT_MEMORY] = "has no memory",
    [SIM_AT_TICK] = "ticks late",
    [SIM_AT_WALL] = "has its wall clock set",
    [SIM_AT_BUG] = "meets the planted bug"};

const char *sim_site_name(sim_site site) { return site_names[site]; }
bool sim_site_is_critical(sim_site site) {
  return site >= SIM_AT_ENROL && site <= SIM_AT_COMMITTED;
}

/* ----- decisions */

void sim_decided(sim_world *sim, const sim_decision *made) {
  sim_plan *record = sim->options.record;
  if (record == NULL) return;
  record->items =
      sim_grow(record->items, &record->capacity, record->count, sizeof *record->items);
  record->items[record->count++] = *made;
}

void sim_plan_begin(sim_world *sim) {
  const sim_plan *only = sim->options.only;
  if (only == NULL) return;
  sim->done = calloc(only->count + 1, sizeof *sim->done);
  if (sim->done == NULL) abort();
  for (size_t i = 0; i < only->count; i++) {
    if (only->items[i].act == SIM_ACT_STRIKE) sim->strikes_left[only->items[i].site]++;
  }
}

const sim_decision *sim_planned(sim_world *sim, sim_act act, const sim_proc *proc,
                                uint64_t a) {
  const sim_plan *only = sim->options.only;
  for (size_t i = 0; i < only->count; i++) {
    const sim_decision *item = &only->items[i];
    if (item->act != act || sim->done[i]) continue;
    if (proc == NULL ? item->a != a
                     : item->proc != (uint64_t)proc->index || item->time > sim->now) {
      continue;
    }
    sim->done[i] = true;
    return item;
  }
  return NULL;
}

static bool strike_planned(sim_proc *proc, sim_site site, uint32_t step,
                           sim_decision *out) {
  sim_world *sim = proc->sim;
  const sim_plan *only = sim->options.only;
  if (sim->strikes_left[site] == 0) return false;
  for (size_t i = 0; i < only->count; i++) {
    const sim_decision *item = &only->items[i];
    if (item->act != SIM_ACT_STRIKE || item->site != site || sim->done[i] ||
        item->proc != (uint64_t)proc->index || item->time > sim->now ||
        (item->time == sim->now && item->a > step)) {
      continue;
    }
    sim->done[i] = true;
    sim->strikes_left[site]--;
    *out = *item;
    return true;
  }
  return false;
}

bool sim_strikes(sim_proc *proc, sim_site site, uint32_t millionths, sim_decision *out) {
  sim_world *sim = proc->sim;
  sim_visits *visits = &proc->visits[site];
  if (sim->calm || sim->report->failed) return false;
  if (visits->time != sim->now) visits->now = 0;
  visits->time = sim->now;
  visits->all++;
  uint32_t step = visits->now++;
  if (sim->options.only != NULL) return strike_planned(proc, site, step, out);
  if (millionths == 0) return false;
  sim_random before =
      sim_dice(sim, SIM_DICE_STRIKE + site, (uint64_t)proc->index, visits->all, 0);
  bool hits = sim_chance(sim, millionths);
  sim->random = before;
  *out = (sim_decision){.act = SIM_ACT_STRIKE,
                        .site = site,
                        .proc = (uint64_t)proc->index,
                        .time = sim->now,
                        .a = step};
  return hits;
}

sim_random sim_dice_of_strike(sim_proc *proc, const sim_decision *strike) {
  return sim_dice(proc->sim, SIM_DICE_STRIKE + strike->site, strike->proc,
                  proc->visits[strike->site].all, 1);
}

bool sim_happens(sim_proc *proc, sim_site site, uint32_t millionths) {
  sim_decision made;
  if (!sim_strikes(proc, site, millionths, &made)) return false;
  sim_decided(proc->sim, &made);
  sim_tell(proc->sim, proc, "%s", site_names[site]);
  if (site == SIM_AT_MEMORY) proc->sim->report->no_memory++;
  if (site == SIM_AT_DISK) proc->sim->report->no_disk++;
  return true;
}

/* ----- stories */

void sim_tell(const sim_world *sim, const sim_proc *proc, const char *format, ...) {
  va_list arguments;
  if (!sim->options.story) return;
  printf("  %12.6f ms  ", (double)(sim->now - SIM_BEGIN_NS) / 1e6);
  if (proc != NULL) printf("peer %d ", proc->index);
  va_start(arguments, format);
  vprintf(format, arguments);
  va_end(arguments);
  printf("\n");
}

/* ----- plans as text: u<until>,p<plain>,r<salt>, then decisions: a letter and numbers, zeros at the end left out */

static const char letters[] = "bwfs"; /* as in sim_act */

void sim_plan_print(const sim_plan *plan) {
  printf("u%llu,p%u,r%u", (unsigned long long)plan->until_ns, (unsigned)plan->plain,
         (unsigned)plan->salt);
  for (size_t i = 0; i < plan->count; i++) {
    const sim_decision *item = &plan->items[i];
    uint64_t fields[] = {item->proc,
                         item->a,
                         item->b,
                         item->time,
                         item->ns,
                         (uint64_t)item->site,
                         (uint64_t)item->effect};
    size_t count = sizeof fields / sizeof *fields;
    while (count > 1 && fields[count - 1] == 0) count--;
    printf(",%c", letters[item->act]);
    for (size_t k = 0; k < count; k++)
      printf("%s%llu", k == 0 ? "" : ".", (unsigned long long)fields[k]);
  }
}

static bool item_parse(const char **text, sim_decision *out) {
  const char *letter = strchr(letters, **text);
  uint64_t fields[7] = {0};
  char *end = NULL;
  if (letter == NULL || *letter == '\0') return false;
  for (size_t k = 0; k < 7; k++) {
    fields[k] = strtoull(*text + 1, &end, 10); /* behind the letter or the dot */
    if (end == *text + 1) return false;
    *text = end;
    if (*end != '.') break;
  }
  if (fields[5] >= SIM_SITE_COUNT || fields[6] >= SIM_EFFECT_COUNT) return false;
  *out = (sim_decision){.act = (sim_act)(letter - letters),
                        .proc = fields[0],
                        .a = fields[1],
                        .b = fields[2],
                        .time = fields[3],
                        .ns = fields[4],
                        .site = (sim_site)fields[5],
                        .effect = (sim_effect)fields[6]};
  return true;
}

bool sim_plan_parse(const char *text, sim_plan *out) {
  char *end = NULL;
  *out = (sim_plan){0};
  if (*text != 'u') return false;
  out->until_ns = strtoull(text + 1, &end, 10);
  if (strncmp(end, ",p", 2) != 0) return false;
  out->plain = (uint32_t)strtoul(end + 2, &end, 10);
  if (strncmp(end, ",r", 2) != 0) return false;
  out->salt = (uint32_t)strtoul(end + 2, &end, 10);
  text = end;
  while (*text == ',') {
    text++;
    out->items = sim_grow(out->items, &out->capacity, out->count, sizeof *out->items);
    if (!item_parse(&text, &out->items[out->count++])) break;
  }
  if (*text == '\0') return true;
  sim_plan_fini(out);
  return false;
}

void sim_plan_copy(sim_plan *to, const sim_plan *from) {
  *to = *from;
  to->items = calloc(from->count + 1, sizeof *to->items);
  if (to->items == NULL) abort();
  to->capacity = from->count + 1;
  if (from->count > 0) memcpy(to->items, from->items, from->count * sizeof *to->items);
}

void sim_plan_fini(sim_plan *plan) {
  free(plan->items);
  *plan = (sim_plan){0};
}
