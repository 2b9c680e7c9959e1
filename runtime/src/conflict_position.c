/*
 * Positions: the part of the conflict index that keeps an edit from hitting another element than its
 * writer meant. See conflict.h for the rules.
 *
 * Timestamps do not matter here, only whether the writer had seen the other operation, so these
 * stamps are kept by version: the two newest of distinct origins, since the newest alone may be the
 * writer's own.
 *
 * A pure data structure; loop side.
 */
#include "conflict_index.h"

/* ----- noting */

ms_status msi_positions_reach(msi_conflicts *conflicts, msi_op_node *node) {
  if (node->positions != NULL) return MS_OK;
  node->positions = MSI_NEW(conflicts->alloc, msi_positions);
  if (node->positions == NULL) return MS_ENOMEM;
  conflicts->position_count++;
  return MS_OK;
}

void msi_positions_free(msi_conflicts *conflicts, msi_op_node *node) {
  if (node->positions == NULL) return;
  MSI_FREE(conflicts->alloc, node->positions);
  node->positions = NULL;
  conflicts->position_count--;
}

static bool appends(const msi_op *op) {
  return op->code == MSI_CODE_PUSH || op->code == MSI_CODE_ADD_TO_SET;
}

static bool pulls(const msi_op *op) {
  return op->code == MSI_CODE_PULL || op->code == MSI_CODE_PULL_ALL;
}

/* May another value stand at its path, of whatever type? */
static bool replaces(const msi_op *op) {
  return op->class_ == MSI_CLASS_ABSOLUTE || op->code == MSI_CODE_MIN ||
         op->code == MSI_CODE_MAX;
}

static bool selects_by_index(const msi_op *op) {
  const msi_selection *selection = op->selection;
  for (uint32_t i = 0; i < selection->count; i++) {
    if (!selection->selectors[i].is_positional && selection->segments[i].index >= 0) {
      return true;
    }
  }
  return false;
}

/* What an operation does to positions at its path; MSI_POSITION_COUNT: nothing. */
static msi_position position_of(const msi_op *op) {
  if (op->selection != NULL) {
    bool inside = replaces(op) || appends(op) || op->class_ == MSI_CLASS_MOVING ||
                  selects_by_index(op);
    return inside ? MSI_POSITION_INNER : MSI_POSITION_COUNT;
  }
  if (op->code == MSI_CODE_MARK) return MSI_POSITION_INDEX;
  if (appends(op)) return MSI_POSITION_APPEND;
  if (op->class_ != MSI_CLASS_MOVING) return MSI_POSITION_COUNT;
  return pulls(op) ? MSI_POSITION_PULL : MSI_POSITION_MOVE;
}

/* A mark of a position behind the committed elements. */
static bool is_beyond(const msi_op *op) {
  return op->code == MSI_CODE_MARK && op->operand != ms_value_bool(false);
}

/* ... of a writer who had something pending of which nobody knew whether it would have an effect. */
static bool is_doubtful(const msi_op *op) {
  return op->code == MSI_CODE_MARK && op->operand == ms_value_null();
}

static void note_kind(msi_conflicts *conflicts, msi_op_node *node, msi_position kind,
                      const msi_stamp *one) {
  if (msi_positions_reach(conflicts, node) == MS_OK) {
    msi_stamps_note_version(&node->positions->kinds[kind], one);
  } else {
    msi_stamps_note_version(&conflicts->position_floor, one);
  }
}

void msi_positions_note(msi_conflicts *conflicts, msi_op_node *node, const msi_op *op,
                        const msi_stamp *one, bool is_open) {
  msi_position kind = position_of(op);
  if (op->selection == NULL && replaces(op))
    msi_stamps_note_version(&node->replaced, one);
  if (kind != MSI_POSITION_COUNT) note_kind(conflicts, node, kind, one);
  if (op->selection == NULL && !is_open && !is_beyond(op)) return;
  note_kind(conflicts, node, MSI_POSITION_TURN, one);
  if (!is_open) return;
  msi_stamp turn = *one;
  turn.origin = 0; /* as nobody's, so that its writer meets it, too */
  note_kind(conflicts, node, MSI_POSITION_TURN, &turn);
}

static bool is_unseen(const msi_stamps *all, const msi_patch *patch) {
  for (int i = 0; i < 2; i++) {
    if (all->top[i].version > patch->base && all->top[i].origin != patch->origin)
      return true;
  }
  return false;
}

bool msi_positions_are_open(const msi_conflicts *conflicts, const msi_op_node *node,
                            const msi_op *op, const msi_patch *patch) {
  if (op->code != MSI_CODE_ADD_TO_SET && op->selection == NULL) return false;
  return is_unseen(&node->touched, patch) || is_unseen(&conflicts->position_floor, patch);
}

/* ----- asking */

/* One operation of a patch against the index. */
typedef struct question {
  const msi_conflicts *conflicts;
  const msi_patch *patch;
  const msi_op *op;
  bool asks_own;  /* the writer's own count, too */
  msi_stamp best; /* the newest that moved what the operation goes by */
} question;

/* Keeps the newest that the writer of the patch had not seen. */
static void ask(question *self, const msi_stamps *all) {
  for (int i = 0; i < 2; i++) {
    const msi_stamp *one = &all->top[i];
    if (one->version <= self->patch->base) continue;
    if (one->origin == self->patch->origin && !self->asks_own) continue;
    if (one->version > self->best.version) self->best = *one;
  }
}

static void ask_kind(question *self, const msi_op_node *node, msi_position kind) {
  if (node->positions != NULL) ask(self, &node->positions->kinds[kind]);
}

static const msi_op_node *child_of(const question *self, const msi_op_node *node,
                                   const msi_segment *segment) {
  return (const msi_op_node *)msi_path_trie_child(&self->conflicts->trie, &node->node,
                                                  segment->key);
}

/* Was a container of the array replaced, or something done in it that is not noted at the array?
 * asks_turns: also for what may turn pending patches.
 * Returns the array's node, NULL where there is none. */
static const msi_op_node *ask_above(question *self, bool asks_turns) {
  const ms_path *path = self->op->path;
  const msi_op_node *node = (const msi_op_node *)self->conflicts->trie.root;
  for (uint32_t i = 0; i < path->count; i++) {
    ask(self, &node->replaced);
    ask_kind(self, node, MSI_POSITION_INNER);
    if (asks_turns) ask_kind(self, node, MSI_POSITION_TURN);
    node = child_of(self, node, &path->segments[i]);
    if (node == NULL) return NULL;
  }
  ask(self, &node->replaced);
  return node;
}

/* Goes into the array at its path by position. */
static void ask_mark(question *self) {
  bool beyond = is_beyond(self->op);
  self->asks_own = is_doubtful(self->op);
  const msi_op_node *node = ask_above(self, beyond);
  if (node == NULL) return;
  ask_kind(self, node, MSI_POSITION_MOVE);
  ask_kind(self, node, MSI_POSITION_PULL);
  if (!beyond) return;
  ask_kind(self, node, MSI_POSITION_APPEND);
  ask_kind(self, node, MSI_POSITION_TURN);
}

/* Moves the elements of the array at its path. */
static void ask_moving(question *self) {
  const msi_op_node *node = ask_above(self, false);
  if (node == NULL) return;
  ask_kind(self, node, MSI_POSITION_MOVE);
  ask_kind(self, node, MSI_POSITION_INDEX);
  if (!pulls(self->op)) ask_kind(self, node, MSI_POSITION_PULL);
  if (self->op->code == MSI_CODE_POP) ask_kind(self, node, MSI_POSITION_APPEND);
}

/* Goes by positions into arrays inside of elements: which ones, only their values say. */
static void ask_inside(question *self) {
  const msi_op_node *node = ask_above(self, false);
  if (node != NULL) ask(self, &node->touched);
}

static bool is_marked(const question *self, uint32_t count) {
  const ms_update *update = self->patch->update;
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *mark = &update->ops[i];
    if (mark->code == MSI_CODE_MARK && mark->path->count == count &&
        msi_path_begins(mark->path, self->op->path)) {
      return true;
    }
  }
  return false;
}

/* Where no array was, "list.0" is no position; now it would be that of an element of others. */
static void ask_unmarked(question *self) {
  const ms_path *path = self->op->path;
  const msi_op_node *node = (const msi_op_node *)self->conflicts->trie.root;
  for (uint32_t i = 0; i < path->count; i++) {
    const msi_segment *segment = &path->segments[i];
    if (segment->index >= 0 && node->positions != NULL && !is_marked(self, i)) {
      ask_kind(self, node, MSI_POSITION_APPEND);
      ask_kind(self, node, MSI_POSITION_MOVE); /* $push with modifiers is among them */
    }
    node = child_of(self, node, segment);
    if (node == NULL) return;
  }
}

/* May the path lead through an array that the writer saw none of? */
static bool is_unmarked(const question *self) {
  const ms_path *path = self->op->path;
  for (uint32_t i = 0; i < path->count; i++) {
    if (path->segments[i].index >= 0 && !is_marked(self, i)) return true;
  }
  return false;
}

bool msi_positions_conflict(const msi_conflicts *conflicts, const msi_patch *patch,
                            uint32_t index, msi_stamp *winner, bool *by_floor) {
  question self = {
      .conflicts = conflicts, .patch = patch, .op = &patch->update->ops[index]};
  const msi_op *op = self.op;
  bool may_meet_floor = op->class_ != MSI_CLASS_GUARD || op->code == MSI_CODE_MARK;
  bool goes_by_position = true;
  if (op->code == MSI_CODE_MARK) {
    ask_mark(&self);
  } else if (op->selection != NULL &&
             (op->class_ == MSI_CLASS_MOVING || selects_by_index(op))) {
    ask_inside(&self);
  } else if (op->selection == NULL && op->class_ == MSI_CLASS_MOVING) {
    ask_moving(&self);
  } else if (may_meet_floor) {
    ask_unmarked(&self);
    goes_by_position = false;
  }
  if (may_meet_floor && self.best.version == 0) {
    ask(&self, &conflicts->position_floor);
    if (self.best.version != 0 && !goes_by_position && !is_unmarked(&self)) return false;
    if (self.best.version != 0) *by_floor = true;
  }
  if (self.best.version == 0) return false;
  *winner = self.best;
  return true;
}
