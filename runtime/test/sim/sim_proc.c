/*
 * Processes: their birth, death and hanging. Each handles its events on a stack of its own, so that it
 * may hang in the middle of a call for any time while the others go on, in whatever order they wake up.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "sim.h"

#if defined(__SANITIZE_ADDRESS__)
#define SIM_FIBERS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIM_FIBERS 1
#endif
#endif
#if defined(SIM_FIBERS)
#include <sanitizer/common_interface_defs.h>
#endif

enum { STACK_BYTES = 256 << 10 };

/* The two sides of a switch: the world's own stack and that of a process. */
struct sim_fiber {
  ucontext_t world, proc;
  void *stack;
  const void *world_bottom; /* for the address sanitizer, as are the next three */
  size_t world_bytes;
  void *world_fake, *proc_fake;
  sim_event event;
};

/* ----- stacks */

static void fiber_to_world(struct sim_fiber *fiber) {
#if defined(SIM_FIBERS)
  __sanitizer_start_switch_fiber(&fiber->proc_fake, fiber->world_bottom,
                                 fiber->world_bytes);
#endif
  swapcontext(&fiber->proc, &fiber->world);
#if defined(SIM_FIBERS)
  __sanitizer_finish_switch_fiber(fiber->proc_fake, &fiber->world_bottom,
                                  &fiber->world_bytes);
#endif
}

static void fiber_to_proc(struct sim_fiber *fiber) {
#if defined(SIM_FIBERS)
  __sanitizer_start_switch_fiber(&fiber->world_fake, fiber->stack, STACK_BYTES);
#endif
  swapcontext(&fiber->world, &fiber->proc);
#if defined(SIM_FIBERS)
  __sanitizer_finish_switch_fiber(fiber->world_fake, NULL, NULL);
#endif
}

static void fiber_main(unsigned high, unsigned low) {
  sim_proc *proc = (sim_proc *)(uintptr_t)(((uint64_t)high << 32) | low);
  struct sim_fiber *fiber = proc->fiber;
#if defined(SIM_FIBERS)
  __sanitizer_finish_switch_fiber(NULL, &fiber->world_bottom, &fiber->world_bytes);
#endif
  for (;;) {
    sim_handle(proc, &fiber->event);
    proc->busy = false;
    fiber_to_world(fiber);
  }
}

static void fiber_make(sim_proc *proc) {
  struct sim_fiber *fiber = calloc(1, sizeof *fiber);
  if (fiber == NULL) abort();
  fiber->stack = malloc(STACK_BYTES);
  if (fiber->stack == NULL || getcontext(&fiber->proc) != 0) abort();
  fiber->proc.uc_stack.ss_sp = fiber->stack;
  fiber->proc.uc_stack.ss_size = STACK_BYTES;
  uint64_t address = (uint64_t)(uintptr_t)proc;
  /* makecontext passes integers only. */
  makecontext(&fiber->proc, (void (*)(void))fiber_main, 2, (unsigned)(address >> 32),
              (unsigned)address);
  proc->fiber = fiber;
}

void sim_run_event(sim_proc *proc, const sim_event *event) {
  proc->fiber->event = *event;
  proc->busy = true;
  fiber_to_proc(proc->fiber);
}

void sim_resume(sim_proc *proc) {
  if (proc->busy) fiber_to_proc(proc->fiber);
}

/* ----- life */

static void proc_free(sim_proc *proc) {
  if (proc->freed) return;
  proc->freed = true;
  msi_replica_free(proc->replica);
  proc->replica = NULL;
  sim_owner_fini(proc);
}

uint64_t sim_clock(const sim_proc *proc) {
  return proc->sim->now - proc->clock_behind_ns;
}

static void tick_schedule(sim_proc *proc) {
  sim_world *sim = proc->sim;
  uint64_t deadline = msi_replica_deadline(proc->replica), now = sim_clock(proc);
  if (deadline == proc->tick_time || deadline == SIM_NEVER) return;
  proc->tick_time = deadline;
  uint64_t delay = deadline > now ? deadline - now : 0;
  delay += 1000 + sim_delay(sim, 100000);
  sim_decision late;
  if (sim_strikes(proc, SIM_AT_TICK, sim->weather.late_tick, &late)) {
    if (sim->options.only == NULL) {
      sim_random before = sim_dice_of_strike(proc, &late);
      late.ns = sim_delay(sim, sim->weather.late_tick_ns);
      sim->random = before;
    }
    delay += late.ns;
    sim_decided(sim, &late);
    sim_tell(sim, proc, "ticks %.3f ms late", (double)late.ns / 1e6);
  }
  sim_schedule(sim, delay, SIM_TICK, (uint64_t)proc->index, ++proc->tick_serial);
}

bool sim_enter(sim_proc *proc) {
  if (!proc->alive || proc->in_call) return false;
  proc->in_call = true;
  proc->hung_in_call = false;
  sim_fault_enter(proc);
  return true;
}

void sim_leave(sim_proc *proc) {
  proc->in_call = false;
  if (proc->alive) sim_group_store_late(proc);
  if (proc->alive && proc->failed) {
    sim_tell(proc->sim, proc, "gives up");
    sim_kill(proc);
  }
  if (!proc->alive) {
    proc_free(proc);
    return;
  }
  sim_check_proc(proc);
  tick_schedule(proc);
}

void sim_kill(sim_proc *proc) {
  if (!proc->alive) return;
  sim_note(proc->sim, proc, "dies", proc->in_call, 0);
  proc->alive = false;
  sim_link_end_all(proc, false);
  sim_group_release(proc);
  if (!proc->in_call) {
    proc_free(proc);
  } else if (proc->hangs) {
    sim_resume(proc); /* so that the call returns, without effect */
  }
}

static void *failing_resize(void *ud, void *ptr, size_t old_bytes, size_t new_bytes) {
  sim_proc *proc = ud;
  sim_world *sim = proc->sim;
  if (new_bytes > old_bytes && proc->in_call &&
      sim_happens(proc, SIM_AT_MEMORY, sim->weather.no_memory)) {
    sim_note(sim, proc, "has no memory for", new_bytes, 0);
    return NULL;
  }
  return sim->alloc.resize(sim, ptr, old_bytes, new_bytes);
}

static sim_proc *proc_make(sim_world *sim) {
  sim_proc *proc = calloc(1, sizeof *proc);
  if (proc == NULL) abort();
  proc->sim = sim;
  proc->index = sim->proc_count;
  sim->procs[sim->proc_count++] = proc;
  return proc;
}

void sim_stillbirth(sim_world *sim) {
  if (sim->proc_count == SIM_PROCS_MAX) return;
  sim_proc *proc = proc_make(sim);
  proc->freed = true;
}

void sim_birth(sim_world *sim, bool must_host) {
  if (sim->proc_count == SIM_PROCS_MAX) return;
  sim_proc *proc = proc_make(sim);
  proc->alive = true;
  proc->clock_behind_ns = sim_delay(sim, sim->weather.clock_skew_ns);
  proc->tick_time = SIM_NEVER;
  proc->readonly = sim_chance(sim, sim->weather.readonly);
  proc->can_host = must_host || !sim_chance(sim, sim->weather.no_host);
  sim_port_init(proc);
  proc->alloc = (ms_alloc){failing_resize, proc};
  msi_replica_config config = {.alloc = &proc->alloc,
                               .defaults = sim->defaults,
                               .readonly = proc->readonly,
                               .can_host = proc->can_host,
                               .may_found = proc->can_host,
                               .host_timeout_ns = sim->weather.host_timeout_ns,
                               .document_bytes_max = MS_DOCUMENT_MAX,
                               .patch_bytes_max = MS_PATCH_MAX,
                               .queue_max = 64,
                               .pid = proc->index,
                               .program = "sim",
                               .validator = &sim_desk_validator};
  if (msi_replica_new(&config, &proc->port, &proc->replica) != MS_OK) abort();
  if (msi_view_new(&sim->alloc, MS_DOCUMENT_MAX, &proc->view) != MS_OK) abort();
  fiber_make(proc);
  sim_note(sim, proc, "starts", proc->can_host, proc->readonly);
  sim_tell(sim, proc, "starts%s%s", proc->can_host ? "" : ", cannot host",
           proc->readonly ? ", cannot write" : "");
  sim_run_event(proc, &(sim_event){.kind = SIM_START, .a = (uint64_t)proc->index});
  sim_schedule(sim, sim_delay(sim, sim->weather.poll_delay_ns), SIM_POLL,
               (uint64_t)proc->index, 0);
}

void sim_stop(sim_proc *proc) {
  if (!sim_enter(proc)) return;
  sim_note(proc->sim, proc, "stops", 0, 0);
  if (!proc->sim->is_over) sim_tell(proc->sim, proc, "stops");
  msi_replica_stop(proc->replica, sim_clock(proc));
  if (proc->alive) {
    proc->alive = false;
    sim_link_end_all(proc, true);
    sim_group_release(proc);
  }
  sim_leave(proc);
}

void sim_proc_forget(sim_proc *proc) {
  sim_kill(proc);
  proc_free(proc);
  sim_owner_forget(proc);
  free(proc->late.data);
  if (proc->fiber == NULL) return;
  free(proc->fiber->stack);
  free(proc->fiber);
}

/* ----- faults */

/* Groups that die all the time show little: mostly somebody complete is left. */
bool sim_may_die(sim_world *sim, const sim_proc *proc) {
  return sim->published == NULL || proc->group != sim->published || !proc->complete ||
         sim_group_has_complete(sim, sim->published, proc) || sim_chance(sim, 100000);
}

uint64_t sim_hang_time(sim_world *sim) {
  uint64_t most = sim->weather.hang_ns;
  if (sim_chance(sim, 500000)) return sim_random_between(&sim->random, most / 2, most);
  return sim_delay(sim, most);
}

/* What happens to a process that chance strikes in a call; NONE: nothing after all. */
static void point_decide(sim_proc *proc, sim_decision *out) {
  sim_world *sim = proc->sim;
  sim_random before = sim_dice_of_strike(proc, out);
  if (sim_chance(sim, sim->weather.hang_share)) {
    out->effect = SIM_EFFECT_HANGS;
    out->ns = sim_hang_time(sim);
  } else if (sim_may_die(sim, proc)) {
    out->effect = SIM_EFFECT_DIES;
  }
  sim->random = before;
}

static void point_hang(sim_proc *proc, const sim_decision *made) {
  sim_world *sim = proc->sim;
  sim->report->hangs++;
  proc->hung_until = sim->now + made->ns;
  proc->hung_in_call = true;
  sim_note(sim, proc, "hangs in a call until", proc->hung_until, made->site);
  sim_tell(sim, proc, "hangs for %.3f ms while it is %s", (double)made->ns / 1e6,
           sim_site_name(made->site));
  sim_schedule(sim, made->ns, SIM_RESUME, (uint64_t)proc->index, ++proc->events);
  proc->hangs = true;
  fiber_to_world(proc->fiber);
  proc->hangs = false;
  sim_fault_enter(proc);
  sim_note(sim, proc, "goes on", proc->alive, 0);
  if (proc->alive) sim_tell(sim, proc, "goes on");
}

bool sim_point(sim_proc *proc, sim_site site) {
  sim_world *sim = proc->sim;
  sim_decision made;
  if (!proc->alive) return false;
  uint32_t chance =
      sim_site_is_critical(site) ? sim->weather.fault_critical : sim->weather.fault;
  if (site == SIM_AT_SEND && sim->weather.fault_send > chance)
    chance = sim->weather.fault_send;
  if (!sim_strikes(proc, site, chance, &made)) return true;
  if (sim->options.only == NULL) point_decide(proc, &made);
  if (made.effect == SIM_EFFECT_NONE) return true;
  sim_decided(sim, &made);
  if (site == SIM_AT_SEND) sim->report->in_sends++;
  if (site >= SIM_AT_COMMIT && site <= SIM_AT_COMMITTED) sim->report->in_commits++;
  if (made.effect == SIM_EFFECT_HANGS) {
    point_hang(proc, &made);
  } else {
    sim->report->kills++;
    sim_tell(sim, proc, "is killed while it is %s", sim_site_name(site));
    sim_kill(proc);
  }
  return proc->alive;
}
