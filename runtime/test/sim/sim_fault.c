/*
 * Wrong versions of a few functions of the library, which show that the checks find what these are
 * there for. The linker puts them in the place of the right ones (--wrap), and the right ones are
 * called __real_... here.
 */
#include <stdlib.h>
#include <string.h>

#include "builder.h"
#include "conflict_index.h"
#include "replica_state.h"
#include "sim.h"

/* The world under way. Functions of the library know of none, so it cannot be an argument. */
static sim_bug current_bug;
static size_t current_index_nodes;

static const sim_proc *current_proc;

void sim_fault_enter(const sim_proc *proc) { current_proc = proc; }

void sim_fault_begin(const sim_world *sim) {
  current_bug = sim->options.bug;
  current_index_nodes = sim->weather.index_nodes;
}

/* ----- the conflict index */

ms_status __real_msi_conflicts_new(const ms_alloc *alloc, size_t nodes_max,
                                   msi_conflicts **out);
ms_status __wrap_msi_conflicts_new(const ms_alloc *alloc, size_t nodes_max,
                                   msi_conflicts **out);
ms_status __real_msi_conflicts_unpack(msi_reader *in, const ms_alloc *alloc,
                                      size_t nodes_max, msi_conflicts **out);
ms_status __wrap_msi_conflicts_unpack(msi_reader *in, const ms_alloc *alloc,
                                      size_t nodes_max, msi_conflicts **out);
bool __real_msi_positions_conflict(const msi_conflicts *conflicts, const msi_patch *patch,
                                   uint32_t index, msi_stamp *winner, bool *by_floor);
bool __wrap_msi_positions_conflict(const msi_conflicts *conflicts, const msi_patch *patch,
                                   uint32_t index, msi_stamp *winner, bool *by_floor);

ms_status __wrap_msi_conflicts_new(const ms_alloc *alloc, size_t nodes_max,
                                   msi_conflicts **out) {
  if (current_index_nodes > 0) nodes_max = current_index_nodes;
  return __real_msi_conflicts_new(alloc, nodes_max, out);
}

static void forget_positions(msi_conflicts *conflicts) {
  for (msi_path_trie_node *node = conflicts->trie.oldest; node != NULL;
       node = node->younger) {
    msi_op_node *ops = (msi_op_node *)node;
    msi_positions_free(conflicts, ops);
    memset(&ops->replaced, 0, sizeof ops->replaced);
    memset(&ops->touched, 0, sizeof ops->touched);
  }
}

ms_status __wrap_msi_conflicts_unpack(msi_reader *in, const ms_alloc *alloc,
                                      size_t nodes_max, msi_conflicts **out) {
  if (current_index_nodes > 0) nodes_max = current_index_nodes;
  ms_status status = __real_msi_conflicts_unpack(in, alloc, nodes_max, out);
  if (status == MS_OK && current_bug == SIM_BUG_SNAPSHOT_POSITIONS)
    forget_positions(*out);
  return status;
}

/* As if the $pull were a $push with modifiers, which every other one meets. */
static bool pull_fights(const msi_conflicts *conflicts, const msi_patch *patch,
                        uint32_t index, msi_stamp *winner, bool *by_floor) {
  ms_update other = *patch->update;
  msi_patch asking = *patch;
  other.ops = malloc(other.op_count * sizeof *other.ops);
  if (other.ops == NULL) abort();
  memcpy(other.ops, patch->update->ops, other.op_count * sizeof *other.ops);
  other.ops[index].code = MSI_CODE_PUSH_AT;
  asking.update = &other;
  bool found = __real_msi_positions_conflict(conflicts, &asking, index, winner, by_floor);
  free(other.ops);
  return found;
}

bool __wrap_msi_positions_conflict(const msi_conflicts *conflicts, const msi_patch *patch,
                                   uint32_t index, msi_stamp *winner, bool *by_floor) {
  const msi_op *op = &patch->update->ops[index];
  bool pulls = op->code == MSI_CODE_PULL || op->code == MSI_CODE_PULL_ALL;
  if (current_bug == SIM_BUG_MOVES_COMMUTE && op->class_ == MSI_CLASS_MOVING)
    return false;
  if (current_bug == SIM_BUG_PULLS_FIGHT && pulls && op->selection == NULL)
    return pull_fights(conflicts, patch, index, winner, by_floor);
  msi_stamp found = {0};
  bool is_floor = false;
  if (!__real_msi_positions_conflict(conflicts, patch, index, &found, &is_floor))
    return false;
  if (current_bug == SIM_BUG_POSITION_FLOOR && is_floor) return false;
  *winner = found;
  if (is_floor) *by_floor = true;
  return true;
}

void __real_msi_conflicts_check(const msi_conflicts *conflicts, const msi_patch *patch,
                                const ms_value *root, msi_conflict *out);
void __wrap_msi_conflicts_check(const msi_conflicts *conflicts, const msi_patch *patch,
                                const ms_value *root, msi_conflict *out);

void __wrap_msi_conflicts_check(const msi_conflicts *conflicts, const msi_patch *patch,
                                const ms_value *root, msi_conflict *out) {
  __real_msi_conflicts_check(conflicts, patch, root, out);
  if (out->status == MS_OK) return;
  if ((current_bug == SIM_BUG_CONFLICT_FLOOR && out->by_floor) ||
      (current_bug == SIM_BUG_DEPENDENT_LIVES && out->by_dependence)) {
    out->status = MS_OK;
  }
}

/* ----- snapshots */

ms_status __real_msi_members_unpack(msi_reader *in, msi_members *out);
ms_status __wrap_msi_members_unpack(msi_reader *in, msi_members *out);
ms_status __real_msi_receiver_end(msi_receiver *receiver, ms_error *error);
ms_status __wrap_msi_receiver_end(msi_receiver *receiver, ms_error *error);

ms_status __wrap_msi_members_unpack(msi_reader *in, msi_members *out) {
  ms_status status = __real_msi_members_unpack(in, out);
  for (size_t i = 0; status == MS_OK && i < out->count; i++) {
    if (current_bug == SIM_BUG_SNAPSHOT_NUMBERS) out->items[i].decided = 0;
  }
  return status;
}

ms_status __wrap_msi_receiver_end(msi_receiver *receiver, ms_error *error) {
  ms_status status = __real_msi_receiver_end(receiver, error);
  if (status != MS_OK || current_bug != SIM_BUG_DEFAULTS_WIN) return status;
  msi_snapshot *state = msi_receiver_state(receiver);
  ms_value_release(state->root);
  state->root = ms_value_retain(current_proc->sim->defaults);
  return status;
}

/* ----- takeover */

/* As if the number of the last decision were no part of the history: what a writer has not heard of
 * counts as not decided, and it sends that again. */
void sim_fault_takeover(const sim_proc *proc) {
  if (current_bug != SIM_BUG_DEDUPE_NONE) return;
  for (int i = 0; i < proc->sim->proc_count; i++) {
    const sim_proc *other = proc->sim->procs[i];
    if (!other->alive || other->in_call || other->group != proc->group) continue;
    msi_member *member = msi_members_find(&proc->replica->members, other->id);
    uint64_t settled = other->replica->submitted - other->replica->pending.count;
    if (member != NULL && member->decided > settled) member->decided = settled;
  }
}

/* ----- transactions */

bool __real_msi_reads_conflict(const msi_conflicts *conflicts, const msi_patch *patch,
                               msi_conflict *out);
bool __wrap_msi_reads_conflict(const msi_conflicts *conflicts, const msi_patch *patch,
                               msi_conflict *out);
const ms_path *__real_msi_reads_depend(const msi_reads *reads,
                                       const msi_path_trie *rejected, uint64_t base);
const ms_path *__wrap_msi_reads_depend(const msi_reads *reads,
                                       const msi_path_trie *rejected, uint64_t base);

bool __wrap_msi_reads_conflict(const msi_conflicts *conflicts, const msi_patch *patch,
                               msi_conflict *out) {
  if (current_bug == SIM_BUG_READS_UNCHECKED) return false;
  return __real_msi_reads_conflict(conflicts, patch, out);
}

const ms_path *__wrap_msi_reads_depend(const msi_reads *reads,
                                       const msi_path_trie *rejected, uint64_t base) {
  if (current_bug == SIM_BUG_READS_REJECTED) return NULL;
  return __real_msi_reads_depend(reads, rejected, base);
}

/* ----- writers */

static bool leaves_out(const sim_world *sim, const msi_op *op, bool is_dormant) {
  if (op->code == MSI_CODE_MARK) return sim->options.bug == SIM_BUG_MARKS_NONE;
  return op->code == MSI_CODE_WHERE && !is_dormant &&
         sim->options.bug == SIM_BUG_CONDITION_VIEW;
}

static void copy_op(const sim_world *sim, msi_builder *builder, const msi_op *from) {
  bool is_below = from->code == MSI_CODE_MARK && sim->options.bug == SIM_BUG_MARKS_BELOW;
  bool is_sure = from->code == MSI_CODE_MARK && from->operand == ms_value_null() &&
                 sim->options.bug == SIM_BUG_MARKS_SURE;
  msi_op *op = msi_builder_add(builder, from->code, ms_path_retain(from->path));
  op->class_ = from->class_;
  op->selection = msi_selection_retain(from->selection);
  op->operand =
      is_below || is_sure ? ms_value_bool(is_sure) : ms_value_retain(from->operand);
  op->query = ms_query_retain(from->query);
  op->target = ms_path_retain(from->target);
}

ms_update *sim_fault_update(const sim_world *sim, ms_update *update, bool is_dormant) {
  sim_bug bug = sim->options.bug;
  ms_update *changed = NULL;
  ms_error error = {MS_OK, ""};
  if (bug != SIM_BUG_MARKS_NONE && bug != SIM_BUG_MARKS_SURE &&
      bug != SIM_BUG_MARKS_BELOW && bug != SIM_BUG_CONDITION_VIEW) {
    return ms_update_retain(update);
  }
  msi_builder builder;
  size_t count = 0;
  for (uint32_t i = 0; i < update->op_count; i++) {
    if (!leaves_out(sim, &update->ops[i], is_dormant)) count++;
  }
  if (msi_builder_init(&builder, &sim->alloc, count, update->wire_bytes, &error) !=
      MS_OK) {
    abort();
  }
  uint32_t group = UINT32_MAX;
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *op = &update->ops[i];
    if (leaves_out(sim, op, is_dormant)) continue;
    if (op->group != group) msi_builder_begin_group(&builder);
    group = op->group;
    copy_op(sim, &builder, op);
  }
  if (msi_builder_finish(&builder, &changed, &error) != MS_OK) abort();
  return changed;
}
