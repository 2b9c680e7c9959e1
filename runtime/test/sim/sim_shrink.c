/*
 * From a failing seed to a schedule that is short enough to read. The seed runs again and again by a plan
 * (sim_plan.c) that has less and less in it: an earlier end, plainer weather, fewer peers, then parts of
 * what is left, from halves down to single decisions. What still fails with the same kind of message
 * is kept. So each step costs one run, and the result is one that cannot do without any of its
 * decisions, unless runs or time have come to an end before.
 */
#include <stdlib.h>
#include <time.h>

#include "sim.h"

enum { OTHER_TIMES = 3 };

typedef struct shrinker {
  sim_options options;
  const char *kind; /* of the message */
  sim_plan best;
  size_t runs, runs_max;
  uint32_t salts; /* tried */
  double end;     /* on the clock below, in seconds */
} shrinker;

static double clock_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool is_over(const shrinker *self) {
  return self->runs >= self->runs_max || clock_seconds() >= self->end;
}

/* Does it still fail like that? Then what it has really done is the best. `plan` may be the best. */
static bool attempt(shrinker *self, const sim_plan *plan) {
  sim_report report;
  sim_plan made = {0};
  sim_options options = self->options;
  if (is_over(self)) return false;
  options.only = plan;
  options.record = &made;
  self->runs++;
  sim_run(&options, &report);
  if (!report.failed || report.kind != self->kind) {
    sim_plan_fini(&made);
    return false;
  }
  made.plain = plan->plain;
  made.salt = plan->salt;
  sim_plan_fini(&self->best);
  self->best = made;
  return true;
}

/* Without so many decisions from one on. What is left may take other times, and the failure hang on
 * them: some others are tried. */
static bool attempt_without(shrinker *self, size_t from, size_t count) {
  sim_plan less;
  sim_plan_copy(&less, &self->best);
  less.count = 0;
  for (size_t i = 0; i < self->best.count; i++) {
    if (i < from || i >= from + count) less.items[less.count++] = self->best.items[i];
  }
  bool fails = attempt(self, &less);
  for (int i = 0; i < OTHER_TIMES && !fails; i++) {
    less.salt = ++self->salts;
    fails = attempt(self, &less);
  }
  sim_plan_fini(&less);
  return fails;
}

static void end_earlier(shrinker *self) {
  for (uint64_t step = self->best.until_ns / 2; step > 1000000; step /= 2) {
    sim_plan less = self->best;
    less.items = NULL;
    sim_plan_copy(&less, &self->best);
    less.until_ns -= step;
    (void)attempt(self, &less);
    sim_plan_fini(&less);
  }
}

static void make_plain(shrinker *self) {
  for (int bit = 0; bit < SIM_PLAIN_COUNT; bit++) {
    sim_plan less;
    if (self->best.plain & (UINT32_C(1) << bit)) continue;
    sim_plan_copy(&less, &self->best);
    less.plain |= UINT32_C(1) << bit;
    (void)attempt(self, &less);
    sim_plan_fini(&less);
  }
}

/* A peer that is not born takes all it does with it. */
static void drop_peers(shrinker *self) {
  for (size_t i = self->best.count; i-- > 0;) {
    if (i < self->best.count && self->best.items[i].act == SIM_ACT_BIRTH)
      (void)attempt_without(self, i, 1);
  }
}

static void drop_parts(shrinker *self, size_t size) {
  for (size_t from = 0; from < self->best.count && !is_over(self);) {
    if (!attempt_without(self, from, size)) from += size;
  }
}

bool sim_shrink(const sim_options *options, size_t runs_max, double seconds,
                sim_shrunk *out) {
  sim_report report;
  sim_plan all = {0};
  shrinker self = {
      .options = *options, .runs_max = runs_max, .end = clock_seconds() + seconds};
  self.options.trace = self.options.story = false;
  self.options.record = &all;
  sim_run(&self.options, &report);
  self.options.record = NULL;
  self.kind = report.kind;
  *out = (sim_shrunk){.before = all.count};
  bool fails = report.failed && attempt(&self, &all);
  sim_plan_fini(&all);
  for (size_t before = SIZE_MAX; fails && self.best.count < before && !is_over(&self);) {
    before = self.best.count;
    end_earlier(&self);
    drop_peers(&self);
    make_plain(&self);
    for (size_t size = self.best.count / 2; size > 0; size /= 2) drop_parts(&self, size);
  }
  out->plan = self.best;
  out->runs = self.runs;
  return fails;
}
