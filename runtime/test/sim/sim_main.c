/*
 * The command line of the simulator.
 *
 *   sim --seeds A..B [--bug NAME]    runs seeds A to B; 0: all hold
 *                    [--for S]       ... as many as S seconds allow
 *   sim --seed N [--trace]           runs one, with all that happens
 *   sim --seed N --shrink            ... and looks for what its failure needs
 *   sim --seed N --only PLAN         ... by a plan that shrinking has printed, as a story
 *   sim --bites N                    every planted bug is found within N seeds, and what the
 *                                    protocol has to stand is not
 *   sim --shrinks N                  what planted bugs break within N seeds shrinks to few
 *                                    decisions
 *   sim --replays N                  seeds 1 to N twice each: the same events both times, also
 *                                    by the plan that the first time recorded
 *   sim --hashes N                   the hash of each seed from 1 to N in which memory never runs
 *                                    short: the same on every system, whatever its words and bytes
 *
 * A seed that fails is shrunk, in SHRINK_SECONDS at most.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sim.h"

#define ULL(number) ((unsigned long long)(number))

enum { SHRINK_SECONDS = 20, SHRINK_RUNS = 20000, SHRINKS_AT_ALL = 3 };
/* Of --shrinks: runs for each bug, how many decisions are few whatever there were, and which part of all is
 * left on the average. */
enum { SHRINK_RUNS_TESTED = 1500, SHRUNK_FEW = 12, SHRUNK_PART = 4 };

static int usage(void) {
  fputs("usage: sim --seeds A..B [--for S] [--bug NAME] [--go-on] | "
        "--bites N | --shrinks N | --replays N | --hashes N |\n"
        "       --seed N [--trace] [--shrink] [--only PLAN] [--bug NAME]\n",
        stderr);
  return 2;
}

static void add(sim_report *sum, const sim_report *one) {
  sum->events += one->events;
  sum->entries += one->entries;
  sum->writes += one->writes;
  sum->accepted += one->accepted;
  sum->rejected += one->rejected;
  sum->unknown += one->unknown;
  sum->kills += one->kills;
  sum->hangs += one->hangs;
  sum->takeovers += one->takeovers;
  sum->snapshots += one->snapshots;
  sum->founded += one->founded;
  sum->in_sends += one->in_sends;
  sum->in_snapshots += one->in_snapshots;
  sum->in_commits += one->in_commits;
  sum->overflows += one->overflows;
  sum->wall_jumps += one->wall_jumps;
  sum->no_memory += one->no_memory;
  sum->no_disk += one->no_disk;
  sum->told += one->told;
  sum->broken_rules += one->broken_rules;
  sum->lapses += one->lapses;
  sum->expiries += one->expiries;
  sum->time_ns += one->time_ns;
}

static void print_sum(uint64_t seeds, const sim_report *sum) {
  printf("%llu seeds: %llu events, %llu s of their time, %llu entries, %llu writes "
         "(%llu accepted, %llu rejected, %llu unknown), %llu groups, %llu takeovers, "
         "%llu snapshots, %llu kills, %llu hangs\n",
         ULL(seeds), ULL(sum->events), ULL(sum->time_ns / 1000000000), ULL(sum->entries),
         ULL(sum->writes), ULL(sum->accepted), ULL(sum->rejected), ULL(sum->unknown),
         ULL(sum->founded), ULL(sum->takeovers), ULL(sum->snapshots), ULL(sum->kills),
         ULL(sum->hangs));
  printf(
      "  of the kills and hangs, %llu between two sends, %llu in a snapshot, %llu around "
      "storing an entry; %llu full links, %llu wall clocks set, %llu times no memory, "
      "%llu times no disk; %llu leases lapsed, %llu places expired, %llu messages told, "
      "%llu patches against the rules\n",
      ULL(sum->in_sends), ULL(sum->in_snapshots), ULL(sum->in_commits),
      ULL(sum->overflows), ULL(sum->wall_jumps), ULL(sum->no_memory), ULL(sum->no_disk),
      ULL(sum->lapses), ULL(sum->expiries), ULL(sum->told), ULL(sum->broken_rules));
}

static void print_replay(const sim_options *options) {
  printf("  replay: sim --seed %llu --trace", ULL(options->seed));
  if (options->bug != SIM_BUG_NONE) printf(" --bug %s", sim_bug_name(options->bug));
  printf("\n");
}

/* The failure of a seed as a story of what it needs. */
static void print_shrunk(const sim_options *options) {
  sim_shrunk shrunk;
  sim_report report;
  if (!sim_shrink(options, SHRINK_RUNS, SHRINK_SECONDS, &shrunk)) {
    printf("  it does not fail in the same way by its plan, and cannot be shrunk\n");
    return;
  }
  printf("  shrunk from %zu decisions to %zu in %zu runs\n  replay: sim --seed %llu",
         shrunk.before, shrunk.plan.count, shrunk.runs, ULL(options->seed));
  if (options->bug != SIM_BUG_NONE) printf(" --bug %s", sim_bug_name(options->bug));
  printf(" --only ");
  sim_plan_print(&shrunk.plan);
  printf("\n");
  sim_options telling = {
      .seed = options->seed, .bug = options->bug, .story = true, .only = &shrunk.plan};
  sim_run(&telling, &report);
  sim_plan_fini(&shrunk.plan);
}

/* Which seeds, and how long. */
typedef struct seed_range {
  uint64_t from, to, seconds; /* 0: as long as it takes */
  bool go_on;                 /* after a failure */
} seed_range;

static int run_seeds(const seed_range *range, sim_bug bug) {
  sim_report sum = {0}, report, again;
  int failures = 0;
  uint64_t seed = range->from;
  time_t end = time(NULL) + (time_t)range->seconds;
  for (; seed <= range->to; seed++) {
    if (range->seconds > 0 && time(NULL) >= end) break;
    sim_options options = {.seed = seed, .bug = bug};
    sim_run(&options, &report);
    add(&sum, &report);
    if (!report.failed) continue;
    printf("seed %llu: %s\n", ULL(seed), report.message);
    print_replay(&options);
    sim_run(&options, &again);
    if (again.hash != report.hash) printf("  but it runs differently the second time\n");
    fflush(stdout);
    if (failures++ < SHRINKS_AT_ALL) print_shrunk(&options);
    fflush(stdout);
    if (!range->go_on) return 1;
  }
  print_sum(seed - range->from, &sum);
  if (failures > 0) printf("%d seeds failed\n", failures);
  return failures > 0;
}

static int run_one(const sim_options *options, bool shrinks) {
  sim_report report;
  sim_run(options, &report);
  if (report.failed) printf("seed %llu: %s\n", ULL(options->seed), report.message);
  if (report.failed && shrinks) print_shrunk(options);
  print_sum(1, &report);
  printf("hash %016llx\n", ULL(report.hash));
  return report.failed;
}

static int run_by_plan(sim_options *options, const char *text) {
  sim_plan plan;
  if (!sim_plan_parse(text, &plan)) {
    fprintf(stderr, "sim: --only %s: no plan\n", text);
    return 2;
  }
  options->only = &plan;
  options->story = !options->trace;
  int result = run_one(options, false);
  sim_plan_fini(&plan);
  return result;
}

/* The first seed that finds a bug; 0: none up to `most`. */
static uint64_t seed_find(sim_bug bug, uint64_t most, sim_report *report) {
  for (uint64_t seed = 1; seed <= most; seed++) {
    sim_options options = {.seed = seed, .bug = bug};
    sim_run(&options, report);
    if (report->failed) return seed;
  }
  return 0;
}

static int run_bites(uint64_t most) {
  int wrong = 0;
  for (int bug = SIM_BUG_NONE + 1; bug < SIM_BUG_COUNT; bug++) {
    sim_report report = {0};
    bool tolerated = bug >= SIM_BUG_TOLERATED;
    uint64_t last = tolerated ? most / 8 : most;
    uint64_t seed = seed_find((sim_bug)bug, last, &report);
    if (report.failed) {
      printf("%-20s found by seed %llu: %s\n", sim_bug_name((sim_bug)bug), ULL(seed),
             report.message);
    } else {
      printf("%-20s not found by %llu seeds\n", sim_bug_name((sim_bug)bug), ULL(last));
    }
    fflush(stdout);
    if (report.failed == tolerated) {
      printf("%-20s SHOULD %sHAVE BEEN FOUND\n", "", tolerated ? "NOT " : "");
      wrong++;
    }
  }
  return wrong > 0;
}

/* A few decisions are enough for a planted bug, and by themselves they break what it broke. Adds how many
 * there were and are. */
static bool shrinks_well(sim_bug bug, uint64_t most, size_t *before, size_t *after) {
  sim_report report, again;
  sim_shrunk shrunk;
  sim_options options = {.bug = bug, .seed = seed_find(bug, most, &report)};
  if (options.seed == 0) {
    printf("%-20s not among %llu seeds\n", sim_bug_name(bug), ULL(most));
    return true; /* --bites looks longer */
  }
  bool fails = sim_shrink(&options, SHRINK_RUNS_TESTED, 1e9, &shrunk);
  if (fails) {
    options.only = &shrunk.plan;
    sim_run(&options, &again);
    fails = again.failed && again.kind == report.kind;
  }
  size_t left = shrunk.plan.count;
  bool small = left <= SHRUNK_FEW || left < shrunk.before;
  printf("%-20s seed %llu: %zu decisions, shrunk to %zu in %zu runs%s%s\n",
         sim_bug_name(bug), ULL(options.seed), shrunk.before, left, shrunk.runs,
         fails ? "" : ": THEY DO NOT FAIL", small ? "" : ": TOO MANY");
  fflush(stdout);
  *before += shrunk.before;
  *after += left;
  sim_plan_fini(&shrunk.plan);
  return fails && small;
}

static int run_shrinks(uint64_t most) {
  int wrong = 0;
  size_t before = 0, after = 0;
  for (int bug = SIM_BUG_NONE + 1; bug < SIM_BUG_TOLERATED; bug++) {
    if (!shrinks_well((sim_bug)bug, most, &before, &after)) wrong++;
  }
  printf("%zu decisions, shrunk to %zu\n", before, after);
  return wrong > 0 || after * SHRUNK_PART > before;
}

static bool same_run(const sim_report *a, const sim_report *b) {
  return a->hash == b->hash && a->events == b->events;
}

static int run_replays(uint64_t count) {
  for (uint64_t seed = 1; seed <= count; seed++) {
    sim_report first, second, planned;
    sim_plan plan = {0};
    sim_options options = {.seed = seed, .record = &plan};
    sim_run(&options, &first);
    options.record = NULL;
    sim_run(&options, &second);
    options.only = &plan;
    sim_run(&options, &planned);
    sim_plan_fini(&plan);
    if (same_run(&first, &second) && same_run(&first, &planned)) continue;
    printf("seed %llu runs differently %s\n", ULL(seed),
           same_run(&first, &second) ? "by its plan" : "the second time");
    return 1;
  }
  printf("%llu seeds replay exactly\n", ULL(count));
  return 0;
}

static int run_hashes(uint64_t count) {
  for (uint64_t seed = 1; seed <= count; seed++) {
    sim_report report;
    sim_options options = {.seed = seed};
    sim_run(&options, &report);
    if (report.no_memory == 0) printf("%llu %016llx\n", ULL(seed), ULL(report.hash));
  }
  return 0;
}

static bool bug_find(const char *name, sim_bug *out) {
  for (int bug = 0; bug < SIM_BUG_COUNT; bug++) {
    if (strcmp(sim_bug_name((sim_bug)bug), name) != 0) continue;
    *out = (sim_bug)bug;
    return true;
  }
  return false;
}

/* The number behind an argument: `--bites 300`. */
static uint64_t number_of(int argc, char **argv, int *i) {
  return ++*i < argc ? strtoull(argv[*i], NULL, 10) : 0;
}

static bool range_of(const char *text, uint64_t *from, uint64_t *to) {
  char *end = NULL;
  *from = strtoull(text, &end, 10);
  if (strncmp(end, "..", 2) != 0) return false;
  *to = strtoull(end + 2, NULL, 10);
  return *from > 0 && *to >= *from;
}

int main(int argc, char **argv) {
  sim_options options = {.seed = 0};
  seed_range seeds = {0};
  bool shrinks = false;
  const char *plan = NULL;
  uint64_t bites = 0, shrunk = 0, replays = 0, hashes = 0;
  for (int i = 1; i < argc; i++) {
    const char *next = i + 1 < argc ? argv[i + 1] : "";
    if (strcmp(argv[i], "--trace") == 0) {
      options.trace = true;
    } else if (strcmp(argv[i], "--go-on") == 0) {
      seeds.go_on = true;
    } else if (strcmp(argv[i], "--shrink") == 0) {
      shrinks = true;
    } else if (strcmp(argv[i], "--bug") == 0) {
      if (!bug_find(next, &options.bug)) return usage();
      i++;
    } else if (strcmp(argv[i], "--only") == 0) {
      plan = next;
      i++;
    } else if (strcmp(argv[i], "--seeds") == 0) {
      if (!range_of(next, &seeds.from, &seeds.to)) return usage();
      i++;
    } else if (strcmp(argv[i], "--for") == 0) {
      seeds.seconds = number_of(argc, argv, &i);
    } else if (strcmp(argv[i], "--seed") == 0) {
      options.seed = number_of(argc, argv, &i);
    } else if (strcmp(argv[i], "--bites") == 0) {
      bites = number_of(argc, argv, &i);
    } else if (strcmp(argv[i], "--shrinks") == 0) {
      shrunk = number_of(argc, argv, &i);
    } else if (strcmp(argv[i], "--replays") == 0) {
      replays = number_of(argc, argv, &i);
    } else if (strcmp(argv[i], "--hashes") == 0) {
      hashes = number_of(argc, argv, &i);
    } else {
      return usage();
    }
  }
  if (hashes > 0) return run_hashes(hashes);
  if (bites > 0) return run_bites(bites);
  if (shrunk > 0) return run_shrinks(shrunk);
  if (replays > 0) return run_replays(replays);
  if (options.seed > 0 && plan != NULL) return run_by_plan(&options, plan);
  if (options.seed > 0) return run_one(&options, shrinks);
  if (seeds.from > 0) return run_seeds(&seeds, options.bug);
  return usage();
}
