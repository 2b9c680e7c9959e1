/*
 * The view: committed root + own pending patches. See view.h. Owner's side.
 *
 * Invariant: root equals the committed root with the pending patches applied in order, where a patch
 * that does not apply (it is *dormant*) contributes nothing, nor does one that is hidden.
 *
 * To tell in O(depth) that a foreign entry has nothing to do with what is pending, the paths of the
 * pending patches stand in a trie with counts. Entry and pending patch may then change places when
 * they go through the same containers but to different children, and these containers are there
 * already and stay what they are: objects, or arrays in which the entry writes to an element that
 * exists. Whatever is not surely so is computed again from the committed root. Without memory for
 * the trie, or beyond VIEW_PATHS_MAX nodes, that is done for every entry until nothing is pending.
 */
#include "view.h"

#include <string.h>

#include "path_trie.h"

enum { VIEW_PATHS_MAX = 1 << 20 };

typedef struct path_node {
  msi_path_trie_node node;
  uint32_t ops;   /* operations and conditions exactly here, guards not among them */
  uint32_t below; /* operations and guards here or below */
  uint32_t
      removes; /* of `ops`: that remove one element of the array here, by its position */
  uint32_t unsure;   /* ... that remove or move elements by what they find */
  uint32_t replaces; /* ... that put another value here */
} path_node;

typedef struct pending {
  uint64_t number;
  ms_update *update; /* retained */
  int64_t wall_ms;
  bool is_dormant;
  bool is_hidden; /* dormant until the host has decided, whether it applies or not */
  bool will_be_dormant; /* what the replay under way found */
} pending;

struct msi_view {
  const ms_alloc *alloc;
  uint64_t document_bytes_max;
  const ms_value *committed; /* retained; NULL at first */
  const ms_value *root;      /* retained; NULL at first */
  const ms_value *desk;      /* retained; as of `committed` */
  uint64_t version;
  uint64_t number;
  pending *items; /* in order, valid from `first` on */
  size_t first, end, capacity;
  size_t dormant_count;
  bool is_tracked; /* paths holds what is pending */
  msi_path_trie paths;
};

/* ----- the paths of what is pending */

static void paths_reset(msi_view *view) {
  msi_path_trie_fini(&view->paths);
  view->is_tracked =
      msi_path_trie_init(&view->paths, view->alloc, sizeof(path_node)) == MS_OK;
}

static void paths_give_up(msi_view *view) {
  msi_path_trie_fini(&view->paths);
  view->is_tracked = false;
}

static void paths_count(path_node *node, bool is_guard, uint32_t by) {
  if (!is_guard) node->ops += by;
  for (msi_path_trie_node *at = &node->node; at != NULL; at = at->parent) {
    ((path_node *)at)->below += by;
  }
}

/* Do its slice or its sort hang on what the array holds? */
static bool push_is_unsure(const msi_op *op) {
  return ms_value_type(ms_value_at(op->operand, 2)) != MS_NULL ||
         ms_value_type(ms_value_at(op->operand, 3)) != MS_NULL;
}

static void paths_count_kind(path_node *node, const msi_op *op, uint32_t by) {
  if (op == NULL || op->selection != NULL) return;
  if (op->code == MSI_CODE_POP || op->code == MSI_CODE_REMOVE_AT) {
    node->removes += by;
  } else if (op->code == MSI_CODE_PUSH_AT) {
    if (push_is_unsure(op)) node->unsure += by;
  } else if (op->class_ == MSI_CLASS_MOVING) {
    node->unsure += by;
  } else if (op->class_ == MSI_CLASS_ABSOLUTE || op->code == MSI_CODE_MIN ||
             op->code == MSI_CODE_MAX) {
    node->replaces += by;
  }
}

/* op: NULL for a key of a condition. */
static void paths_add_keys(msi_view *view, const msi_segment *segments, size_t count,
                           bool is_guard, const msi_op *op) {
  msi_path_trie_node *node = view->paths.root;
  ms_status status = MS_OK;
  if (!view->is_tracked) return;
  for (size_t k = 0; k < count && status == MS_OK; k++) {
    status = msi_path_trie_add(&view->paths, node, segments[k].key, &node);
  }
  if (status == MS_OK && view->paths.count <= VIEW_PATHS_MAX) {
    paths_count((path_node *)node, is_guard, 1);
    paths_count_kind((path_node *)node, op, 1);
  } else {
    paths_give_up(view);
  }
}

static void paths_remove_keys(msi_view *view, const msi_segment *segments, size_t count,
                              bool is_guard, const msi_op *op) {
  msi_path_trie_node *node = view->paths.root;
  for (size_t k = 0; k < count; k++) {
    node = msi_path_trie_child(&view->paths, node, segments[k].key);
  }
  paths_count((path_node *)node, is_guard, UINT32_MAX); /* minus one */
  paths_count_kind((path_node *)node, op, UINT32_MAX);
  while (node->parent != NULL && ((path_node *)node)->below == 0) {
    msi_path_trie_node *parent = node->parent;
    msi_path_trie_remove(&view->paths, node);
    node = parent;
  }
}

/* A condition looks at all there is under its keys, so what others write there may turn it. */
static void add_key(void *ud, const msi_segment *key) {
  paths_add_keys(ud, key, 1, false, NULL);
}

static void remove_key(void *ud, const msi_segment *key) {
  paths_remove_keys(ud, key, 1, false, NULL);
}

static void paths_add(msi_view *view, const ms_update *update) {
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *op = &update->ops[i];
    if (op->code == MSI_CODE_WHERE) {
      msi_query_keys(op->query, add_key, view);
    } else if (!msi_code_is_of_desk(op->code)) {
      paths_add_keys(view, op->path->segments, op->path->count,
                     op->class_ == MSI_CLASS_GUARD, op);
    }
  }
}

static void paths_remove(msi_view *view, const ms_update *update) {
  if (!view->is_tracked) return;
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *op = &update->ops[i];
    if (op->code == MSI_CODE_WHERE) {
      msi_query_keys(op->query, remove_key, view);
    } else if (!msi_code_is_of_desk(op->code)) {
      paths_remove_keys(view, op->path->segments, op->path->count,
                        op->class_ == MSI_CLASS_GUARD, op);
    }
  }
}

/* Is a container on the way of both sure to stay what it is while `segment` in it is written? */
static bool container_stays(const ms_value *container, const msi_segment *segment) {
  if (container == NULL) return false;
  ms_type type = ms_value_type(container);
  return type == MS_OBJECT ||
         (type == MS_ARRAY && msi_segment_find(segment, container) != NULL);
}

static bool op_is_apart(const msi_view *view, const msi_op *op) {
  const msi_path_trie_node *node = view->paths.root;
  const ms_value *container = view->committed;
  bool is_guard = op->class_ == MSI_CLASS_GUARD;
  if (msi_code_is_of_desk(op->code)) return true;
  for (uint32_t i = 0; i < op->path->count; i++) {
    const msi_segment *segment = &op->path->segments[i];
    if (((const path_node *)node)->ops > 0) return false;
    if (!is_guard && i > 0 && !container_stays(container, segment)) return false;
    node = msi_path_trie_child(&view->paths, node, segment->key);
    if (node == NULL) return true;
    if (container != NULL) container = msi_segment_find(segment, container);
  }
  if (is_guard) return ((const path_node *)node)->ops == 0;
  return ((const path_node *)node)->below == 0;
}

/* May the entry change places with everything that is pending? */
static bool update_is_apart(const msi_view *view, const ms_update *update) {
  if (!view->is_tracked || view->dormant_count > 0 || view->committed == NULL)
    return false;
  for (uint32_t i = 0; i < update->op_count; i++) {
    if (!op_is_apart(view, &update->ops[i])) return false;
  }
  return true;
}

/* ----- positions that hang on what is pending */

static bool update_overlaps(const ms_update *update, const msi_op *op) {
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *other = &update->ops[i];
    if (other->class_ == MSI_CLASS_GUARD) continue;
    if (msi_path_overlaps(other->path, op->path)) return true;
  }
  return false;
}

static bool has_condition(const ms_update *update) {
  for (uint32_t i = 0; i < update->op_count; i++) {
    if (update->ops[i].code == MSI_CODE_WHERE) return true;
  }
  return false;
}

/* The position in the array at the first `count` keys that the operation goes by, -1: none. */
static int64_t position_in(const msi_op *op, uint32_t count) {
  int64_t position = -1;
  const ms_value *operand = op->operand;
  if (count < op->path->count) return op->path->segments[count].index;
  if (op->selection != NULL) return -1;
  if (op->code == MSI_CODE_POP) return 0;
  if (op->code == MSI_CODE_PUSH_AT) {
    operand = ms_value_at(operand, 1);
  } else if (op->code != MSI_CODE_REMOVE_AT) {
    return -1;
  }
  return ms_value_to_int(operand, &position) == MS_OK ? position : -1;
}

/* Removing by position leaves so many of the committed elements at least, before all that others
 * append, and nothing else that is sure moves them towards the end of the array. */
static bool is_steady(const path_node *node, const msi_op *op, int64_t position,
                      const ms_value *committed) {
  if (node->unsure > 0) return false;
  if (node->removes == 0) return true; /* the marks tell */
  if (op->code == MSI_CODE_POP && op->path->count == node->node.depth) return false;
  return committed != NULL && ms_value_type(committed) == MS_ARRAY &&
         ms_value_count(committed) >= node->removes &&
         (uint64_t)position < ms_value_count(committed) - node->removes;
}

/* Is there any position that it goes by? */
static bool has_position(const msi_op *op) {
  for (uint32_t i = 0; i <= op->path->count; i++) {
    if (position_in(op, i) >= 0) return true;
  }
  return false;
}

/* Does it go by a position that hangs on what is pending? */
static bool is_moved(const msi_view *view, const msi_op *op) {
  if (!has_position(op)) return false;
  const msi_path_trie_node *node = view->paths.root;
  const ms_value *committed = view->committed;
  bool is_replaced = false;
  for (uint32_t i = 0; i <= op->path->count; i++) {
    const path_node *here = (const path_node *)node;
    int64_t position = position_in(op, i);
    if (here != NULL && here->replaces > 0) is_replaced = true;
    bool steady = here == NULL || is_steady(here, op, position, committed);
    if (position >= 0 && (is_replaced || !steady)) return true;
    if (i == op->path->count || (node == NULL && !is_replaced)) break;
    const msi_segment *segment = &op->path->segments[i];
    if (committed != NULL) committed = msi_segment_find(segment, committed);
    if (node != NULL) node = msi_path_trie_child(&view->paths, node, segment->key);
  }
  return false;
}

/* May what it calls a position be another one when the host has decided what is pending? Then
 * nothing that it goes by counts as committed. A dormant patch may yet come to life. */
static bool is_unsteady(const msi_view *view, const ms_update *update) {
  if (view->first == view->end) return false;
  if (!view->is_tracked) return true;
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *op = &update->ops[i];
    if (op->class_ == MSI_CLASS_GUARD) continue;
    if (is_moved(view, op)) return true;
    for (size_t k = view->first; k < view->end && view->dormant_count > 0; k++) {
      const pending *item = &view->items[k];
      if (item->is_dormant && update_overlaps(item->update, op)) return true;
    }
  }
  return false;
}

/* Does something that is pending touch the same places, without effect in the view? It may have one at
 * the host. Where a condition is the reason the host knows that without being told. */
static bool is_doubtful(const msi_view *view, const ms_update *update) {
  for (size_t k = view->first; k < view->end && view->dormant_count > 0; k++) {
    const pending *item = &view->items[k];
    if (!item->is_dormant || (has_condition(item->update) && !item->is_hidden)) continue;
    for (uint32_t i = 0; i < update->op_count; i++) {
      const msi_op *op = &update->ops[i];
      if (op->class_ != MSI_CLASS_GUARD && update_overlaps(item->update, op)) return true;
    }
  }
  return false;
}

/* ----- applying */

static ms_status view_apply(const msi_view *view, const ms_update *update,
                            int64_t wall_ms, const ms_value *root, const ms_value **out,
                            ms_error *error) {
  msi_apply context = {view->alloc, wall_ms, view->document_bytes_max};
  return msi_update_apply(&context, update, root, out, NULL, error);
}

/* The pending patches from `first` on, on top of `committed`. *out is retained. */
static ms_status view_replay(msi_view *view, const ms_value *committed, size_t first,
                             const ms_value **out) {
  const ms_value *root = ms_value_retain(committed);
  for (size_t i = first; i < view->end; i++) {
    pending *item = &view->items[i];
    const ms_value *next = NULL;
    item->will_be_dormant = true;
    if (item->is_hidden) continue;
    ms_status status = view_apply(view, item->update, item->wall_ms, root, &next, NULL);
    if (status == MS_ENOMEM) {
      ms_value_release(root);
      return status;
    }
    item->will_be_dormant = status != MS_OK;
    if (status != MS_OK) continue;
    ms_value_release(root);
    root = next;
  }
  *out = root;
  return MS_OK;
}

/* ----- lifetime */

ms_status msi_view_new(const ms_alloc *alloc, uint64_t document_bytes_max,
                       msi_view **out) {
  alloc = msi_alloc_resolve(alloc);
  msi_view *view = MSI_NEW(alloc, msi_view);
  if (view == NULL) return MS_ENOMEM;
  view->alloc = alloc;
  view->document_bytes_max = document_bytes_max;
  ms_status status = msi_path_trie_init(&view->paths, alloc, sizeof(path_node));
  if (status != MS_OK) {
    MSI_FREE(alloc, view);
    return status;
  }
  view->is_tracked = true;
  view->desk = ms_value_empty();
  *out = view;
  return MS_OK;
}

void msi_view_free(msi_view *view) {
  if (view == NULL) return;
  for (size_t i = view->first; i < view->end; i++)
    ms_update_release(view->items[i].update);
  msi_alloc_free(view->alloc, view->items, view->capacity * sizeof *view->items);
  msi_path_trie_fini(&view->paths);
  ms_value_release(view->committed);
  ms_value_release(view->root);
  ms_value_release(view->desk);
  MSI_FREE(view->alloc, view);
}

/* ----- reading */

const ms_value *msi_view_root(const msi_view *view) { return view->root; }
uint64_t msi_view_version(const msi_view *view) { return view->version; }
size_t msi_view_pending(const msi_view *view) { return view->end - view->first; }
uint64_t msi_view_number(const msi_view *view) { return view->number; }
const ms_value *msi_view_committed(const msi_view *view) { return view->committed; }
const ms_value *msi_view_desk(const msi_view *view) { return view->desk; }

const ms_update *msi_view_pending_at(const msi_view *view, size_t index,
                                     bool *is_dormant) {
  MSI_ASSERT(index < view->end - view->first);
  const pending *item = &view->items[view->first + index];
  *is_dormant = item->is_dormant;
  return item->update;
}

/* ----- own writes */

/* The view as it would be if all conditions held, retained, so that the marks of a dormant patch tell
 * of its own lists, too. MS_ENOMEM. */
static ms_status apply_freely(const msi_view *view, const ms_update *update,
                              int64_t wall_ms, const ms_value **out) {
  ms_update other = *update; /* on loan: it is applied and no more */
  size_t bytes = update->op_count * sizeof *update->ops;
  other.ops = msi_alloc_get(view->alloc, bytes);
  if (other.ops == NULL) return MS_ENOMEM;
  other.op_count = 0;
  for (uint32_t i = 0; i < update->op_count; i++) {
    if (update->ops[i].code == MSI_CODE_WHERE) continue;
    other.ops[other.op_count++] = update->ops[i];
  }
  ms_status status = view_apply(view, &other, wall_ms, view->root, out, NULL);
  msi_alloc_free(view->alloc, other.ops, bytes);
  if (status == MS_OK || status == MS_ENOMEM) return status;
  *out = ms_value_retain(view->root);
  return MS_OK;
}

ms_status msi_view_try(const msi_view *view, const ms_update *update, int64_t wall_ms,
                       msi_view_trial *out, ms_error *error) {
  const ms_value *committed = is_unsteady(view, update) ? NULL : view->committed;
  msi_view_trial made = {0};
  if (view->root == NULL) {
    return msi_fail(error, MS_ENOHOST, "the share is not complete yet");
  }
  ms_status status = view_apply(view, update, wall_ms, view->root, &made.root, error);
  const ms_value *after = NULL;
  if (status == MS_ECONDITION) {
    made.is_dormant = true;
    made.root = ms_value_retain(view->root);
    status = apply_freely(view, update, wall_ms, &after);
  } else if (status == MS_OK) {
    after = ms_value_retain(made.root);
  } else {
    return status;
  }
  if (status == MS_OK) {
    status = msi_update_mark(view->alloc, update, committed, view->root, after,
                             is_doubtful(view, update), &made.update);
  }
  ms_value_release(after);
  if (status != MS_OK) {
    ms_value_release(made.root);
    return msi_fail(error, status, "%s", ms_status_text(status));
  }
  *out = made;
  return MS_OK;
}

ms_status msi_view_try_hidden(const msi_view *view, const ms_update *update,
                              int64_t wall_ms, msi_view_trial *out, ms_error *error) {
  ms_status status = msi_view_try(view, update, wall_ms, out, error);
  if (status != MS_OK) return status;
  ms_value_release(out->root);
  out->root = ms_value_retain(view->root);
  out->is_dormant = out->is_hidden = true;
  return MS_OK;
}

ms_status msi_view_change(msi_view *view, const ms_update *update, int64_t wall_ms,
                          ms_error *error) {
  msi_apply context = {view->alloc, wall_ms, view->document_bytes_max};
  ms_status status = msi_update_change(&context, update, &view->root, error);
  if (status == MS_OK) view->number++;
  return status;
}

void msi_view_trial_fini(msi_view_trial *trial) {
  ms_update_release(trial->update);
  ms_value_release(trial->root);
}

ms_status msi_view_reserve(msi_view *view) {
  if (view->end < view->capacity) return MS_OK;
  if (view->first > view->capacity / 2) { /* so that this costs O(1) on the average */
    memmove(view->items, view->items + view->first,
            (view->end - view->first) * sizeof *view->items);
    view->end -= view->first;
    view->first = 0;
    return MS_OK;
  }
  size_t capacity = view->capacity == 0 ? 16 : view->capacity * 2;
  pending *items = msi_alloc_resize(
      view->alloc, view->items, view->capacity * sizeof *items, capacity * sizeof *items);
  if (items == NULL) return MS_ENOMEM;
  view->items = items;
  view->capacity = capacity;
  return MS_OK;
}

void msi_view_add(msi_view *view, uint64_t number, const msi_view_trial *trial,
                  int64_t wall_ms) {
  MSI_ASSERT(view->end < view->capacity);
  if (view->first == view->end && !view->is_tracked) paths_reset(view);
  view->items[view->end++] = (pending){.number = number,
                                       .update = ms_update_retain(trial->update),
                                       .wall_ms = wall_ms,
                                       .is_dormant = trial->is_dormant,
                                       .is_hidden = trial->is_hidden};
  if (trial->is_dormant) view->dormant_count++;
  paths_add(view, trial->update);
  if (trial->root == view->root) return;
  ms_value_retain(trial->root);
  ms_value_release(view->root);
  view->root = trial->root;
  view->number++;
}

/* ----- deliveries */

/* Everything that can fail is done: `root` (taken) is the view above the delivered root, and the first
 * `settled` pending patches are gone. `replayed`: the rest was applied again. */
static void view_commit(msi_view *view, const ms_value *committed, uint64_t version,
                        const ms_value *root, size_t settled, bool replayed) {
  for (size_t i = 0; i < settled; i++) {
    pending *item = &view->items[view->first++];
    if (item->is_dormant) view->dormant_count--;
    paths_remove(view, item->update);
    ms_update_release(item->update);
  }
  for (size_t i = view->first; i < view->end && replayed; i++) {
    pending *item = &view->items[i];
    if (item->is_dormant) view->dormant_count--;
    item->is_dormant = item->will_be_dormant;
    if (item->is_dormant) view->dormant_count++;
  }
  if (view->first == view->end) view->first = view->end = 0;
  ms_value_retain(committed);
  ms_value_release(view->committed);
  view->committed = committed;
  view->version = version;
  ms_value_release(view->root);
  view->root = root;
}

/* The view root after the delivery, retained, and whether the pending patches were applied again. */
static ms_status view_next(msi_view *view, const ms_value *committed,
                           const ms_update *foreign, int64_t wall_ms, size_t settled,
                           const ms_value **out, bool *replayed) {
  *replayed = false;
  if (view->first + settled == view->end) {
    *out = ms_value_retain(committed);
    return MS_OK;
  }
  if (foreign != NULL && update_is_apart(view, foreign)) {
    ms_status status = view_apply(view, foreign, wall_ms, view->root, out, NULL);
    if (status == MS_OK || status == MS_ENOMEM) return status;
  }
  *replayed = true;
  return view_replay(view, committed, view->first + settled, out);
}

/* How many pending patches a delivery settles. */
static size_t view_settles(const msi_view *view, uint64_t self,
                           const msi_delivery *delivery) {
  size_t count = 0;
  const msi_entry *entry = delivery->entry;
  if (delivery->kind == MSI_DELIVER_ENTRY) {
    bool is_own = (entry->kind == MSI_ENTRY_PATCH || entry->kind == MSI_ENTRY_REJECT) &&
                  entry->patch.origin == self && view->first < view->end &&
                  view->items[view->first].number == entry->patch.number;
    return is_own ? 1 : 0;
  }
  while (view->first + count < view->end &&
         view->items[view->first + count].number <= delivery->number) {
    count++;
  }
  return count;
}

bool msi_view_replays(const msi_view *view, uint64_t self, const msi_delivery *delivery) {
  size_t settled = view_settles(view, self, delivery);
  if (view->first + settled == view->end) return false;
  bool is_patch = delivery->entry->patch.update != NULL;
  if (settled > 0) return !is_patch || view->items[view->first].is_dormant;
  return is_patch && !update_is_apart(view, delivery->entry->patch.update);
}

static msi_view_effect effect_of(const msi_view *view, const msi_delivery *delivery,
                                 const ms_value *root, size_t settled) {
  if (view->root == root) return MSI_VIEW_NONE;
  if (view->root != NULL && ms_value_equal(view->root, root)) return MSI_VIEW_NONE;
  if (delivery->kind == MSI_DELIVER_ROOT) return MSI_VIEW_JOINED;
  if (delivery->kind == MSI_DELIVER_UNKNOWN) return MSI_VIEW_ROLLBACK;
  bool is_rejection = settled > 0 && delivery->entry->kind == MSI_ENTRY_REJECT;
  return is_rejection ? MSI_VIEW_ROLLBACK : MSI_VIEW_CHANGED;
}

static ms_status view_change_committed(msi_view *view, const msi_entry *entry) {
  msi_apply context = {view->alloc, entry->patch.wall_ms, 0};
  return msi_update_change(&context, entry->patch.update, &view->committed, NULL);
}

/* Nothing is pending: the view is the committed document, and changes with it. */
static ms_status view_follow(msi_view *view, const msi_delivery *delivery, bool wants_old,
                             msi_view_step *out) {
  /* What weighs much is the caller's to release, when there is time. */
  bool keeps_old =
      wants_old || !msi_update_is_light(delivery->entry->patch.update, view->committed);
  const ms_value *old_root = keeps_old ? ms_value_retain(view->root) : NULL;
  ms_value_release(
      view->root); /* so that it has one holder, where nobody wants it as it was */
  ms_status status = view_change_committed(view, delivery->entry);
  view->root = ms_value_retain(view->committed);
  if (status != MS_OK) {
    ms_value_release(old_root);
    return status;
  }
  view->version = delivery->version;
  bool is_same = old_root != NULL && old_root == view->root;
  if (!is_same) view->number++;
  is_same = is_same || (wants_old && ms_value_equal(old_root, view->root));
  *out = (msi_view_step){.effect = is_same ? MSI_VIEW_NONE : MSI_VIEW_CHANGED,
                         .old_root = old_root};
  return MS_OK;
}

/* The own patch that came first was accepted, and shows already. */
static ms_status view_confirm(msi_view *view, const msi_delivery *delivery,
                              bool wants_old, msi_view_step *out) {
  const pending *item = &view->items[view->first];
  if (view->first + 1 < view->end) {
    ms_status status = view_change_committed(view, delivery->entry);
    if (status != MS_OK) return status;
  }
  *out = (msi_view_step){.effect = MSI_VIEW_NONE,
                         .old_root = wants_old ? ms_value_retain(view->root) : NULL,
                         .settled = true,
                         .number = item->number,
                         .settled_update = ms_update_retain(item->update)};
  bool is_last = view->first + 1 == view->end;
  const ms_value *committed = is_last ? view->root : view->committed;
  view_commit(view, committed, delivery->version, ms_value_retain(view->root), 1, false);
  return MS_OK;
}

static ms_status view_take_rooted(msi_view *view, uint64_t self,
                                  const msi_delivery *delivery, bool wants_old,
                                  msi_view_step *out);

/* An ENTRY without root. */
static ms_status view_take_bare(msi_view *view, uint64_t self,
                                const msi_delivery *delivery, bool wants_old,
                                msi_view_step *out) {
  MSI_ASSERT(view->committed != NULL);
  const msi_entry *entry = delivery->entry;
  size_t settled = view_settles(view, self, delivery);
  msi_delivery rooted = *delivery;
  if (entry->patch.update == NULL) {
    rooted.root = view->committed;
    return view_take_rooted(view, self, &rooted, wants_old, out);
  }
  if (view->first == view->end && view->root == view->committed) {
    return view_follow(view, delivery, wants_old, out);
  }
  if (settled == 1 && !view->items[view->first].is_dormant) {
    return view_confirm(view, delivery, wants_old, out);
  }
  msi_apply context = {view->alloc, entry->patch.wall_ms, 0};
  const ms_value *root = NULL;
  ms_status status =
      msi_update_apply(&context, entry->patch.update, view->committed, &root, NULL, NULL);
  if (status != MS_OK) return status;
  rooted.root = root;
  status = view_take_rooted(view, self, &rooted, wants_old, out);
  ms_value_release(root);
  return status;
}

ms_status msi_view_take(msi_view *view, uint64_t self, const msi_delivery *delivery,
                        bool wants_old, msi_view_step *out) {
  bool is_bare = delivery->kind == MSI_DELIVER_ENTRY && delivery->root == NULL;
  ms_status status =
      (is_bare ? view_take_bare : view_take_rooted)(view, self, delivery, wants_old, out);
  if (status != MS_OK || delivery->kind == MSI_DELIVER_UNKNOWN) return status;
  const ms_value *old_desk = view->desk;
  view->desk =
      delivery->desk == NULL ? ms_value_empty() : ms_value_retain(delivery->desk);
  ms_value_release(old_desk);
  return MS_OK;
}

static ms_status view_take_rooted(msi_view *view, uint64_t self,
                                  const msi_delivery *delivery, bool wants_old,
                                  msi_view_step *out) {
  size_t settled = view_settles(view, self, delivery);
  bool is_unknown = delivery->kind == MSI_DELIVER_UNKNOWN;
  bool is_entry = delivery->kind == MSI_DELIVER_ENTRY;
  const ms_value *committed = is_unknown ? view->committed : delivery->root;
  uint64_t version = is_unknown ? view->version : delivery->version;
  const ms_value *root = NULL;
  bool replayed = false;
  bool is_patch = is_entry && delivery->entry->patch.update != NULL;
  bool keeps = settled == 0 && (is_unknown || (is_entry && !is_patch));
  if (is_patch && settled == 1) keeps = !view->items[view->first].is_dormant;
  if (is_entry && view->committed == NULL) keeps = false;
  if (keeps && view->first + settled < view->end) {
    root = ms_value_retain(view->root);
  } else {
    const ms_update *foreign =
        is_patch && settled == 0 ? delivery->entry->patch.update : NULL;
    int64_t wall_ms = is_entry ? delivery->entry->patch.wall_ms : 0;
    ms_status status =
        view_next(view, committed, foreign, wall_ms, settled, &root, &replayed);
    if (status != MS_OK) return status;
  }
  memset(out, 0, sizeof *out);
  out->old_root = wants_old ? ms_value_retain(view->root) : NULL;
  out->effect = effect_of(view, delivery, root, settled);
  if (is_entry && settled == 1) {
    out->settled = true;
    out->number = view->items[view->first].number;
    out->settled_update = ms_update_retain(view->items[view->first].update);
  }
  /* Readers hold on to what they borrowed from the root by its number: an equal root counts too. */
  if (view->root != root) view->number++;
  view_commit(view, committed, version, root, settled, replayed);
  return MS_OK;
}
