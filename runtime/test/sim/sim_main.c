/*
 * The command line of the simulator.
 *
 *   sim --seeds A..B [--bug NAME]    runs seeds A to B; 0: all hold
 *   sim --seed N [--trace]           runs one, with its schedule
 *   sim --bites N                    every planted bug is found within N seeds, and what the
 *                                    protocol has to stand is not
 *   sim --replays N                  seeds 1 to N twice each: the same events both times
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define ULL(number) ((unsigned long long)(number))

static int usage(void) {
  fputs("usage: sim --seeds A..B [--bug NAME] | --seed N [--trace] [--bug NAME] | "
        "--bites N | "
        "--replays N\n",
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
}

static int run_seeds(uint64_t from, uint64_t to, sim_bug bug, bool go_on) {
  sim_report sum = {0}, report, again;
  int failures = 0;
  for (uint64_t seed = from; seed <= to; seed++) {
    sim_options options = {.seed = seed, .bug = bug};
    sim_run(&options, &report);
    add(&sum, &report);
    if (!report.failed) continue;
    printf("seed %llu: %s\n  replay: sim --seed %llu --trace", ULL(seed), report.message,
           ULL(seed));
    if (bug != SIM_BUG_NONE) printf(" --bug %s", sim_bug_name(bug));
    printf("\n");
    sim_run(&options, &again);
    if (again.hash != report.hash) printf("  but it runs differently the second time\n");
    fflush(stdout);
    failures++;
    if (!go_on) return 1;
  }
  print_sum(to - from + 1, &sum);
  if (failures > 0) printf("%d seeds failed\n", failures);
  return failures > 0;
}

static int run_one(uint64_t seed, sim_bug bug, bool trace) {
  sim_report report;
  sim_options options = {.seed = seed, .trace = trace, .bug = bug};
  sim_run(&options, &report);
  if (report.failed) printf("seed %llu: %s\n", ULL(seed), report.message);
  print_sum(1, &report);
  printf("hash %016llx\n", ULL(report.hash));
  return report.failed;
}

static int run_bites(uint64_t most) {
  int wrong = 0;
  for (int bug = SIM_BUG_NONE + 1; bug < SIM_BUG_COUNT; bug++) {
    sim_report report = {0};
    bool tolerated = bug >= SIM_BUG_TOLERATED;
    uint64_t seed = 0, last = tolerated ? most / 8 : most;
    while (!report.failed && seed < last) {
      sim_options options = {.seed = ++seed, .bug = (sim_bug)bug};
      sim_run(&options, &report);
    }
    if (report.failed) {
      printf("%-14s found by seed %llu: %s\n", sim_bug_name((sim_bug)bug), ULL(seed),
             report.message);
    } else {
      printf("%-14s not found by %llu seeds\n", sim_bug_name((sim_bug)bug), ULL(seed));
    }
    fflush(stdout);
    if (report.failed == tolerated) {
      printf("%-14s SHOULD %sHAVE BEEN FOUND\n", "", tolerated ? "NOT " : "");
      wrong++;
    }
  }
  return wrong > 0;
}

static int run_replays(uint64_t count) {
  for (uint64_t seed = 1; seed <= count; seed++) {
    sim_report first, second;
    sim_options options = {.seed = seed};
    sim_run(&options, &first);
    sim_run(&options, &second);
    if (first.hash == second.hash && first.events == second.events) continue;
    printf("seed %llu runs differently the second time\n", ULL(seed));
    return 1;
  }
  printf("%llu seeds replay exactly\n", ULL(count));
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

int main(int argc, char **argv) {
  sim_bug bug = SIM_BUG_NONE;
  bool trace = false, go_on = false;
  uint64_t seed = 0, from = 0, to = 0, bites = 0, replays = 0;
  for (int i = 1; i < argc; i++) {
    const char *next = i + 1 < argc ? argv[i + 1] : "";
    char *end = NULL;
    if (strcmp(argv[i], "--trace") == 0) {
      trace = true;
    } else if (strcmp(argv[i], "--go-on") == 0) {
      go_on = true;
    } else if (strcmp(argv[i], "--bug") == 0) {
      if (!bug_find(next, &bug)) return usage();
      i++;
    } else if (strcmp(argv[i], "--seeds") == 0) {
      from = strtoull(next, &end, 10);
      if (strncmp(end, "..", 2) != 0) return usage();
      to = strtoull(end + 2, NULL, 10);
      i++;
    } else if (strcmp(argv[i], "--seed") == 0) {
      seed = strtoull(next, NULL, 10);
      i++;
    } else if (strcmp(argv[i], "--bites") == 0) {
      bites = strtoull(next, NULL, 10);
      i++;
    } else if (strcmp(argv[i], "--replays") == 0) {
      replays = strtoull(next, NULL, 10);
      i++;
    } else {
      return usage();
    }
  }
  if (bites > 0) return run_bites(bites);
  if (replays > 0) return run_replays(replays);
  if (seed > 0) return run_one(seed, bug, trace);
  if (from > 0 && to >= from) return run_seeds(from, to, bug, go_on);
  return usage();
}
