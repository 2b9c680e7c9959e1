/*
 * Time, events and weather. Nothing happens at the same time: events run one by one in the order of
 * their time, and of their making when the times are equal.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conflict.h"
#include "sim.h"

/* ----- small things */

static uint64_t mix(uint64_t hash, uint64_t word) {
  hash ^= word;
  hash *= UINT64_C(0x9fb21c651e98df25);
  return hash ^ (hash >> 29);
}

void sim_note(sim_world *sim, const sim_proc *proc, const char *what, uint64_t a,
              uint64_t b) {
  uint64_t hash = mix(sim->hash, sim->now);
  hash = mix(hash, proc == NULL ? UINT64_MAX : (uint64_t)proc->index);
  for (const char *at = what; *at != '\0'; at++) hash = hash * 31 + (uint8_t)*at;
  sim->hash = mix(mix(hash, a), b);
  if (!sim->options.trace) return;
  printf("%12.6f ms ", (double)(sim->now - SIM_BEGIN_NS) / 1e6);
  if (proc != NULL) printf("peer %d ", proc->index);
  printf("%s %llu %llu\n", what, (unsigned long long)a, (unsigned long long)b);
}

void sim_fail(sim_world *sim, const char *format, ...) {
  char *message = sim->report->message;
  va_list arguments;
  if (sim->report->failed) return;
  sim->report->failed = true;
  sim->report->kind = format;
  int used = snprintf(message, SIM_MESSAGE_MAX,
                      "at %.6f ms: ", (double)(sim->now - SIM_BEGIN_NS) / 1e6);
  size_t from = used > 0 ? (size_t)used : 0;
  va_start(arguments, format);
  (void)vsnprintf(message + from, SIM_MESSAGE_MAX - from, format, arguments);
  va_end(arguments);
  if (sim->options.trace) printf("FAILED %s\n", message);
  sim_tell(sim, NULL, "FAILED %s", message);
}

void *sim_grow(void *items, size_t *capacity, size_t count, size_t item_bytes) {
  if (count < *capacity) return items;
  *capacity = *capacity == 0 ? 8 : *capacity * 2;
  void *grown = realloc(items, *capacity * item_bytes);
  if (grown == NULL) abort();
  memset((char *)grown + count * item_bytes, 0, (*capacity - count) * item_bytes);
  return grown;
}

bool sim_chance(sim_world *sim, uint32_t millionths) {
  return millionths > 0 && sim_random_chance(&sim->random, millionths);
}

uint64_t sim_delay(sim_world *sim, uint64_t most) {
  uint64_t bound = sim_random_below(&sim->random, most + 1);
  return sim_random_below(&sim->random, bound + 1);
}

static void *counting_resize(void *ud, void *ptr, size_t old_bytes, size_t new_bytes) {
  sim_world *sim = ud;
  (void)old_bytes;
  if (new_bytes == 0) {
    if (ptr != NULL) sim->live_blocks--;
    free(ptr);
    return NULL;
  }
  void *block = realloc(ptr, new_bytes);
  if (block != NULL && ptr == NULL) sim->live_blocks++;
  return block;
}

/* ----- the heap of events */

static bool event_before(const sim_event *a, const sim_event *b) {
  return a->time != b->time ? a->time < b->time : a->serial < b->serial;
}

void sim_schedule(sim_world *sim, uint64_t delay, sim_event_kind kind, uint64_t a,
                  uint64_t b) {
  sim->heap =
      sim_grow(sim->heap, &sim->heap_capacity, sim->heap_count, sizeof *sim->heap);
  sim_event event = {sim->now + delay, ++sim->serial, kind, a, b};
  size_t at = sim->heap_count++;
  while (at > 0 && event_before(&event, &sim->heap[(at - 1) / 2])) {
    sim->heap[at] = sim->heap[(at - 1) / 2];
    at = (at - 1) / 2;
  }
  sim->heap[at] = event;
}

static sim_event heap_pop(sim_world *sim) {
  sim_event first = sim->heap[0], last = sim->heap[--sim->heap_count];
  size_t at = 0;
  for (;;) {
    size_t child = 2 * at + 1;
    if (child >= sim->heap_count) break;
    if (child + 1 < sim->heap_count &&
        event_before(&sim->heap[child + 1], &sim->heap[child])) {
      child++;
    }
    if (!event_before(&sim->heap[child], &last)) break;
    sim->heap[at] = sim->heap[child];
    at = child;
  }
  if (sim->heap_count > 0) sim->heap[at] = last;
  return first;
}

/* ----- faults */

static unsigned live_count(const sim_world *sim, bool hosts_only) {
  unsigned count = 0;
  for (int i = 0; i < sim->proc_count; i++) {
    const sim_proc *proc = sim->procs[i];
    if (proc->alive && (!hosts_only || proc->can_host)) count++;
  }
  return count;
}

/* A process that lives; every other time the host, if there is one. */
static sim_proc *proc_pick(sim_world *sim) {
  bool wants_host = sim_chance(sim, 400000);
  for (int i = 0; wants_host && i < sim->proc_count; i++) {
    sim_proc *proc = sim->procs[i];
    msi_replica_info info;
    if (!proc->alive || proc->in_call) continue;
    msi_replica_inspect(proc->replica, &info);
    if (info.state == MS_SHARE_HOST) return proc;
  }
  unsigned live = live_count(sim, false);
  if (live == 0) return NULL;
  uint64_t which = sim_random_below(&sim->random, live);
  for (int i = 0; i < sim->proc_count; i++) {
    if (sim->procs[i]->alive && which-- == 0) return sim->procs[i];
  }
  return NULL;
}

static void stop_now(sim_world *sim, sim_proc *proc) {
  (void)sim;
  sim_run_event(proc, &(sim_event){.kind = SIM_STOP, .a = (uint64_t)proc->index});
}

static bool fault_choose(sim_world *sim, sim_decision *out) {
  sim_proc *proc = proc_pick(sim);
  uint64_t kind = sim_random_below(&sim->random, 10);
  if (proc == NULL) return false;
  out->proc = (uint64_t)proc->index;
  if (kind >= 6) return sim_link_choose(sim, out);
  if (kind >= 3) {
    out->effect = SIM_EFFECT_HANGS;
    out->ns = sim_hang_time(sim);
    return true;
  }
  out->effect = kind < 2 ? SIM_EFFECT_DIES : SIM_EFFECT_STOPS;
  if (!sim_may_die(sim, proc)) return false;
  return kind == 2 || !proc->in_call || sim_chance(sim, 500000);
}

/* False: not any more. */
static bool fault_do(sim_world *sim, const sim_decision *what) {
  if (what->effect == SIM_EFFECT_LINK_BREAKS) return sim_link_break(sim, what);
  if (what->proc >= (uint64_t)sim->proc_count) return false;
  sim_proc *proc = sim->procs[what->proc];
  if (!proc->alive) return false;
  if (what->effect == SIM_EFFECT_DIES) {
    sim->report->kills++;
    sim_tell(sim, proc, "is killed%s", proc->in_call ? " in a call it hangs in" : "");
    sim_kill(proc);
  } else if (what->effect == SIM_EFFECT_STOPS) {
    if (proc->busy) return false;
    stop_now(sim, proc);
  } else {
    if (proc->busy || proc->hung_until > sim->now) return false;
    sim->report->hangs++;
    proc->hung_until = sim->now + what->ns;
    sim_note(sim, proc, "hangs until", proc->hung_until, 0);
    sim_tell(sim, proc, "hangs for %.3f ms", (double)what->ns / 1e6);
  }
  return true;
}

static void fault_event(sim_world *sim, uint64_t number) {
  if (sim->calm || sim->weather.fault_every_ns == 0) return;
  uint64_t next = sim_delay(sim, 4 * sim->weather.fault_every_ns);
  sim_decision made = {.act = SIM_ACT_FAULT, .a = number, .time = sim->now};
  if (sim->options.only != NULL) {
    const sim_decision *planned = sim_planned(sim, SIM_ACT_FAULT, NULL, number);
    if (planned != NULL) made = *planned;
  } else if (!fault_choose(sim, &made)) {
    made.effect = SIM_EFFECT_NONE;
  }
  sim_dice(sim, SIM_FAULT, number, 1, 0); /* whether chosen or planned */
  if (made.effect != SIM_EFFECT_NONE && fault_do(sim, &made)) sim_decided(sim, &made);
  sim_schedule(sim, next, SIM_FAULT, number + 1, 0);
}

static void birth_event(sim_world *sim, uint64_t number) {
  if (sim->calm) return;
  bool wanted = live_count(sim, false) < SIM_LIVE_MAX;
  if (sim->options.only != NULL)
    wanted = sim_planned(sim, SIM_ACT_BIRTH, NULL, number) != NULL;
  if (!wanted) {
    sim_stillbirth(sim);
    return;
  }
  sim_decided(sim, &(sim_decision){.act = SIM_ACT_BIRTH, .a = number, .time = sim->now});
  sim_birth(sim, false);
}

/* ----- running */

/* The process that an event is for; NULL: the world. */
static sim_proc *event_proc(const sim_world *sim, const sim_event *event) {
  switch (event->kind) {
    case SIM_TICK:
    case SIM_POLL:
    case SIM_DIALLED: return sim->procs[event->a];
    case SIM_READ:
    case SIM_FLUSH:
    case SIM_BROKEN:
    case SIM_ROOM: return sim->conns[event->a]->ends[event->b].proc;
    case SIM_ACCEPT: {
      size_t listener = sim->conns[event->a]->listener;
      return listener == 0 ? NULL : sim->listeners[listener - 1].proc;
    }
    default: return NULL;
  }
}

static void poll_event(sim_world *sim, sim_proc *proc) {
  sim_dice(sim, SIM_POLL, (uint64_t)proc->index, ++proc->polls, 1);
  sim_owner_poll(proc);
  sim_dice(sim, SIM_POLL, (uint64_t)proc->index, proc->polls, 2);
  uint64_t delay = sim->weather.poll_delay_ns;
  if (sim->calm && delay < 5 * SIM_MS) delay = 5 * SIM_MS;
  sim_schedule(sim, 1000 + sim_delay(sim, 4 * delay), SIM_POLL, (uint64_t)proc->index, 0);
}

static void tick(sim_proc *proc) {
  uint64_t now = sim_clock(proc), due = proc->tick_time;
  proc->tick_time = SIM_NEVER;
  if (proc->sim->options.bug == SIM_BUG_TICK_BLAMED && due < now) now = due;
  msi_replica_tick(proc->replica, now);
}

void sim_handle(sim_proc *proc, const sim_event *event) {
  sim_world *sim = proc->sim;
  switch (event->kind) {
    case SIM_START:
      if (!sim_enter(proc)) return;
      msi_replica_start(proc->replica, sim_clock(proc));
      sim_leave(proc);
      return;
    case SIM_STOP: sim_stop(proc); return;
    case SIM_TICK:
      if (event->b != proc->tick_serial || !sim_enter(proc)) return;
      sim_note(sim, proc, "tick", 0, 0);
      tick(proc);
      sim_leave(proc);
      return;
    case SIM_POLL:
      if (proc->alive) poll_event(sim, proc);
      return;
    default: sim_link_event(sim, event); return;
  }
}

static bool is_of_link(const sim_event *event) {
  return event->kind >= SIM_READ && event->kind <= SIM_ACCEPT;
}

static void event_dice(sim_world *sim, const sim_event *event, sim_proc *proc) {
  uint64_t count = event->b;
  uint64_t whose = event->a;
  if (is_of_link(event)) {
    sim_conn *conn = sim->conns[event->a];
    whose = conn->name << 1 | event->b;
    count = ++conn->events;
  } else if (proc != NULL) {
    count = ++proc->events;
  }
  sim_dice(sim, event->kind, whose, count, 0);
}

static void event_run(sim_world *sim, const sim_event *event) {
  sim_proc *proc = event_proc(sim, event);
  sim->report->events++;
  event_dice(sim, event, proc);
  if (event->kind == SIM_RESUME) {
    if (sim->procs[event->a]->hangs) sim_resume(sim->procs[event->a]);
  } else if (event->kind == SIM_FAULT) {
    fault_event(sim, event->a);
  } else if (event->kind == SIM_BIRTH) {
    birth_event(sim, event->a);
  } else if (proc == NULL || !proc->alive) {
    if (event->kind >= SIM_READ)
      sim_link_event(sim, event); /* nobody's: it only tidies up */
  } else if (proc->busy || proc->hung_until > sim->now) {
    uint64_t until = proc->hung_until > sim->now ? proc->hung_until : sim->now;
    sim_schedule(sim, until - sim->now + 1 + sim_delay(sim, 20000), event->kind, event->a,
                 event->b);
  } else {
    sim_run_event(proc, event);
  }
}

static void run_until(sim_world *sim, uint64_t time) {
  while (sim->heap_count > 0 && sim->heap[0].time <= time && !sim->report->failed) {
    sim_event event = heap_pop(sim);
    if (event.time > sim->now) sim->now = event.time;
    event_run(sim, &event);
  }
  if (sim->now < time) sim->now = time;
}

/* ----- weather */

enum { OUTBOX_SMALL = 6000 }; /* a fraction of what a run writes */

static uint64_t pick(sim_world *sim, const uint64_t *from, size_t count) {
  return from[sim_random_below(&sim->random, count)];
}
#define PICK(sim, ...)                                                                   \
  pick((sim), (const uint64_t[]){__VA_ARGS__},                                           \
       sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* Hosts and candidates hang in the middle of what they do, are passed over, and wake up again. */
static void weather_of_hangs(sim_weather *w) {
  w->poll_delay_ns = 50 * SIM_MS;
  if (w->link_delay_ns > SIM_MS) w->link_delay_ns = SIM_MS;
  w->late_tick = 0;
  w->fault = 300;
  w->fault_critical = 60000;
  w->hang_share = 950000;
  w->hang_ns = 5000 * SIM_MS;
  w->fault_every_ns = 400 * SIM_MS;
  w->no_host = 0;
  w->procs = 4;
  w->births = 2;
  w->writes = 120;
  w->host_timeout_ns = 1000 * SIM_MS;
}

/* Much is written on top of what may or may not come to life. */
static void weather_of_doubt(sim_weather *w) {
  w->doubtful = 950000;
  w->keys = 2;
  w->link_delay_ns = 30 * SIM_MS;
  w->poll_delay_ns = 5 * SIM_MS;
  w->procs = 2;
  w->births = 1;
  w->writes = 120;
}

static void weather_make(sim_world *sim) {
  sim_weather *w = &sim->weather;
  sim_random *random = &sim->random;
  w->link_delay_ns = PICK(sim, 20000, SIM_MS, 30 * SIM_MS);
  w->poll_delay_ns = PICK(sim, SIM_MS / 2, 5 * SIM_MS, 50 * SIM_MS);
  w->late_tick = (uint32_t)PICK(sim, 0, 0, 100000);
  w->late_tick_ns = PICK(sim, 100 * SIM_MS, 3000 * SIM_MS);
  w->fault = (uint32_t)PICK(sim, 0, 0, 300, 2000);
  w->fault_critical = (uint32_t)PICK(sim, 0, 5000, 50000);
  w->hang_share = (uint32_t)PICK(sim, 0, 300000, 700000, 1000000);
  w->hang_ns = PICK(sim, 5 * SIM_MS, 300 * SIM_MS, 6000 * SIM_MS);
  w->fault_every_ns = PICK(sim, 0, 20 * SIM_MS, 200 * SIM_MS, 1000 * SIM_MS);
  w->no_memory = (uint32_t)PICK(sim, 0, 0, 0, 0, 0, 300, 3000);
  w->log_records = (size_t)PICK(sim, 1000000, 1000000, 30, 8);
  w->fault_send = (uint32_t)PICK(sim, 0, 0, 0, 0, 15000);
  w->wall_jump = (uint32_t)PICK(sim, 0, 0, 0, 50000);
  w->clock_skew_ns = PICK(sim, 0, 0, 2 * SIM_MS, 900 * SIM_MS);
  w->disk_full = (uint32_t)PICK(sim, 0, 0, 0, 20000);
  w->kernel_bytes = (size_t)PICK(sim, 100, 2000, 65536);
  w->outbox_bytes = (size_t)PICK(sim, 1 << 20, 1 << 20, OUTBOX_SMALL);
  w->room_bytes = (size_t)PICK(sim, 64, 500, 4096, 262144);
  w->readonly = (uint32_t)PICK(sim, 0, 0, 200000);
  w->no_host = (uint32_t)PICK(sim, 0, 0, 0, 300000);
  w->procs = (unsigned)PICK(sim, 1, 2, 3, 3, 4, 5);
  w->births = (unsigned)sim_random_between(random, 0, 8);
  w->writes = (unsigned)sim_random_between(random, 5, 120);
  w->keys = (unsigned)sim_random_between(random, 1, 6);
  w->replaces = sim_chance(sim, 200000);
  w->language = (uint32_t)PICK(sim, 0, 200000, 500000, 900000);
  if (sim_chance(sim, 100000)) weather_of_doubt(w);
  w->index_nodes = sim_chance(sim, 100000) ? MSI_CONFLICT_NODES_LEAST : 0;
  w->host_timeout_ns = PICK(sim, 1000 * SIM_MS, 2000 * SIM_MS);
  if (sim_chance(sim, 180000)) weather_of_hangs(w);
  w->desk = (uint32_t)PICK(sim, 0, 0, 200000, 600000);
}

/* For a plan that does without: see SIM_PLAIN_COUNT. */
static void weather_calm_down(sim_weather *w, uint32_t plain) {
  if (plain & 1) w->link_delay_ns = 20000;
  if (plain & 2) w->clock_skew_ns = 0;
  if (plain & 4) w->kernel_bytes = 65536;
  if (plain & 8) w->room_bytes = 262144;
  if (plain & 16) w->log_records = 1000000;
  if (plain & 32) w->readonly = 0;
  if (plain & 64) w->no_host = 0;
  if (plain & 128) w->index_nodes = 0;
  if (plain & 256) w->outbox_bytes = 1 << 20;
  if (plain & 512) w->replaces = false;
}

static void weather_tell(const sim_world *sim) {
  const sim_weather *w = &sim->weather;
  sim_tell(sim, NULL,
           "weather: links take up to %.3f ms and hold %zu bytes, clocks differ by up to "
           "%.0f ms, logs hold %zu entries, host_timeout %.0f ms",
           (double)w->link_delay_ns / 1e6, w->kernel_bytes,
           (double)w->clock_skew_ns / 1e6, w->log_records,
           (double)w->host_timeout_ns / 1e6);
}

/* ----- a run */

static void run_active(sim_world *sim) {
  const sim_weather *w = &sim->weather;
  uint64_t span = w->poll_delay_ns * sim_random_between(&sim->random, 20, 120);
  if (w->hang_ns > w->host_timeout_ns && w->hang_share > 0 && span < 2 * w->hang_ns &&
      w->poll_delay_ns >= 50 * SIM_MS) {
    span = 2 * w->hang_ns; /* so that hung hosts are replaced and wake up again */
  }
  uint64_t spread = sim_chance(sim, 500000) ? 1000 : span / 4;
  for (unsigned i = 0; i < w->procs; i++) {
    sim_schedule(sim, i == 0 ? 0 : sim_delay(sim, spread), SIM_BIRTH, i, 0);
  }
  bool at_once = sim_chance(sim, 200000); /* late ones join together */
  uint64_t late = 0;
  for (unsigned i = 0; i < w->births; i++) {
    if (i == 0 || !at_once) late = sim_random_below(&sim->random, span);
    sim_schedule(sim, late, SIM_BIRTH, w->procs + i, 0);
  }
  sim->writes_left = w->writes;
  sim_schedule(sim, w->fault_every_ns, SIM_FAULT, 0, 0);
  const sim_plan *only = sim->options.only;
  if (only != NULL && only->until_ns > 0) span = only->until_ns;
  if (sim->options.record != NULL) sim->options.record->until_ns = span;
  run_until(sim, sim->now + span);
}

static void run_calm(sim_world *sim) {
  char missing[SIM_MESSAGE_MAX / 2];
  const char *problem = "nothing ran";
  sim->calm = true;
  sim->weather.outbox_bytes = 1 << 20;
  sim_note(sim, NULL, "calm", 0, 0);
  sim_tell(sim, NULL, "from here on no faults and no writes");
  uint64_t limit = sim->now + 60000 * SIM_MS;
  while (problem != NULL && sim->now < limit && !sim->report->failed) {
    if (live_count(sim, true) == 0) sim_birth(sim, true);
    run_until(sim, sim->now + 25 * SIM_MS);
    problem = sim_check_quiet(sim, missing, sizeof missing);
  }
  if (problem != NULL)
    sim_fail(sim, "not settled a minute after the last fault: %s", problem);
  if (!sim->report->failed) sim_check_end(sim);
}

static void run_stop(sim_world *sim) {
  sim->is_over = true;
  for (int i = 0; i < sim->proc_count && !sim->report->failed; i++) {
    if (sim->procs[i]->alive && !sim->procs[i]->busy) stop_now(sim, sim->procs[i]);
    run_until(sim, sim->now + sim_delay(sim, 2 * SIM_MS));
  }
}

static void sim_fini(sim_world *sim) {
  sim->is_over = true;
  for (int i = 0; i < sim->proc_count; i++) sim_proc_forget(sim->procs[i]);
  sim_link_fini(sim);
  sim_group_fini(sim);
  for (int i = 0; i < sim->proc_count; i++) free(sim->procs[i]);
  ms_value_release(sim->defaults);
  free(sim->heap);
  free(sim->done);
  if (sim->live_blocks != 0) sim_fail(sim, "%zu blocks were not freed", sim->live_blocks);
}

void sim_run(const sim_options *options, sim_report *report) {
  sim_world world = {.options = *options, .report = report};
  memset(report, 0, sizeof *report);
  world.alloc = (ms_alloc){counting_resize, &world};
  world.now = SIM_BEGIN_NS;
  sim_plan_begin(&world);
  sim_dice(&world, SIM_DICE_WEATHER, 0, 0, 0);
  weather_make(&world);
  if (options->only != NULL) weather_calm_down(&world.weather, options->only->plain);
  weather_tell(&world);
  sim_fault_begin(&world);
  world.defaults = sim_program_defaults(&world);
  run_active(&world);
  run_calm(&world);
  if (!report->failed) run_stop(&world);
  for (size_t i = 0; i < world.group_count; i++)
    report->entries += world.groups[i]->version_count;
  report->founded = world.group_count;
  report->hash = world.hash;
  report->time_ns = world.now - SIM_BEGIN_NS;
  sim_fini(&world);
}

const char *sim_bug_name(sim_bug bug) {
  static const char *const names[SIM_BUG_COUNT] = {
      [SIM_BUG_NONE] = "none",
      [SIM_BUG_COMMIT_CURRENT] = "commit-current",
      [SIM_BUG_COMMIT_LATE] = "commit-late",
      [SIM_BUG_LOG_TAIL] = "log-tail",
      [SIM_BUG_LOG_SKIP] = "log-skip",
      [SIM_BUG_LINK_LOSS] = "link-loss",
      [SIM_BUG_TERM_STORE] = "term-store",
      [SIM_BUG_LOCK_SHARED] = "lock-shared",
      [SIM_BUG_LOCK_STUCK] = "lock-stuck",
      [SIM_BUG_ENROL_FOUNDS] = "enrol-founds",
      [SIM_BUG_MEMBER_DEAD] = "member-dead",
      [SIM_BUG_ACCEPT_NEVER] = "accept-never",
      [SIM_BUG_MARKS_NONE] = "marks-none",
      [SIM_BUG_MARKS_BELOW] = "marks-below",
      [SIM_BUG_MARKS_SURE] = "marks-sure",
      [SIM_BUG_MOVES_COMMUTE] = "moves-commute",
      [SIM_BUG_PULLS_FIGHT] = "pulls-fight",
      [SIM_BUG_SNAPSHOT_POSITIONS] = "snapshot-positions",
      [SIM_BUG_POSITION_FLOOR] = "position-floor",
      [SIM_BUG_CONDITION_VIEW] = "condition-view",
      [SIM_BUG_READS_UNCHECKED] = "reads-unchecked",
      [SIM_BUG_READS_REJECTED] = "reads-rejected",
      [SIM_BUG_SEND_FIRST] = "send-first",
      [SIM_BUG_LOG_EARLY] = "log-early",
      [SIM_BUG_DEDUPE_NONE] = "dedupe-none",
      [SIM_BUG_SNAPSHOT_NUMBERS] = "snapshot-numbers",
      [SIM_BUG_DEFAULTS_WIN] = "defaults-win",
      [SIM_BUG_CONFLICT_FLOOR] = "conflict-floor",
      [SIM_BUG_REJECTION_LOST] = "rejection-lost",
      [SIM_BUG_DEPENDENT_LIVES] = "dependent-lives",
      [SIM_BUG_TICK_BLAMED] = "tick-blamed",
      [SIM_BUG_DORMANT_SHOWN] = "dormant-shown",
      [SIM_BUG_LINK_TWICE] = "link-twice",
      [SIM_BUG_LINK_SWAP] = "link-swap",
      [SIM_BUG_EOF_EARLY] = "eof-early"};
  return bug < SIM_BUG_COUNT ? names[bug] : "?";
}
