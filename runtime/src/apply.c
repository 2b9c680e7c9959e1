/*
 * The engine that applies compiled updates to documents.
 *
 * An operation is done in two steps. First, reading only: walk from the root to the path,
 * let the operator answer what shall become of the value there. Then, unless nothing
 * changes: take the containers on the way, change the last one, and put each back into
 * the one above it. So blocked paths and wrong types are found before anything is
 * touched, and what changes nothing keeps the root.
 *
 * The document of the caller is never touched: the first change copies the containers on
 * the way. The copies belong to this update alone, so the operations after it change them
 * in place. For that a child must not be held by its slot while it changes: the slot
 * holds null meanwhile. A failure in between leaves such nulls behind, but then the whole
 * working root is dropped.
 *
 * Where all on the way belongs to this update alone, what is changed is only the place
 * itself, and the sizes of the containers around it. msi_update_change begins with a
 * document of that kind.
 *
 * Positional operations (visit.c) get an engine of their own for every element that they
 * select: the element is its root.
 */
#include "engine.h"

enum { LIGHT_BYTES = 4096 };

static ms_status fail_memory(const msi_engine *self) {
  return msi_fail(self->error, MS_ENOMEM, "%s", ms_status_text(MS_ENOMEM));
}

ms_status msi_engine_check_steps(const msi_engine *self) {
  if (!msi_meter_is_out(self->meter)) return MS_OK;
  return msi_fail(self->error, MS_ELIMIT, "the update takes more than %d steps",
                  MS_STEPS_MAX);
}

/* -------------------------------------------------------------- first step */

/* Does a guard in front of the operation ask that the empty table above key `depth` is an
 * array? */
static bool wants_array(const msi_engine *self, msi_route route, size_t depth) {
  int64_t type = MS_EMPTY;
  if (self->guard == NULL || self->guard->path->count != depth) return false;
  ms_status st = ms_value_to_int(self->guard->operand, &type);
  if (st != MS_OK || type != MS_ARRAY) return false;
  for (size_t i = 0; i < depth; i++) {
    if (!msi_segment_equal(&self->guard->path->segments[i], &route.segments[i]))
      return false;
  }
  return true;
}

static bool can_hold(const msi_engine *self, msi_route route, size_t depth,
                     const ms_value *container) {
  switch (ms_value_type(container)) {
    case MS_OBJECT: return true;
    case MS_ARRAY: return route.segments[depth].index >= 0;
    case MS_EMPTY:
      return route.segments[depth].index >= 0 || !wants_array(self, route, depth);
    default: return false;
  }
}

/* The place of a child; NULL: there is none, or others see the container. */
static const ms_value **own_place(const msi_segment *segment, const ms_value *container) {
  if (!msi_value_is_unique(container)) return NULL;
  ms_type type = ms_value_type(container);
  if (type == MS_OBJECT) return msi_object_own(container, segment->key);
  if (type != MS_ARRAY || segment->index < 0) return NULL;
  return msi_array_own(container, msi_index_size(segment->index));
}

void msi_trail_walk(msi_trail *out, msi_engine *self, msi_route route) {
  out->at[0] = self->root;
  out->place[0] = &self->root;
  out->places = 1;
  out->is_blocked = false;
  for (out->found = 0; out->found < route.count;) {
    const msi_segment *segment = &route.segments[out->found];
    const ms_value *container = out->at[out->found], **place = NULL;
    if (out->places > out->found) place = own_place(segment, container);
    const ms_value *child = place != NULL ? *place : msi_segment_find(segment, container);
    if (child == NULL) {
      out->is_blocked = !can_hold(self, route, out->found, container);
      return;
    }
    out->at[++out->found] = child;
    if (place != NULL) out->place[out->places++] = place;
  }
}

ms_status msi_engine_fail_blocked(const msi_engine *self, const msi_op *op,
                                  msi_route route, const msi_trail *found) {
  char whole[MSI_PRINT_BYTES], part[MSI_PRINT_BYTES], key[MSI_PRINT_BYTES];
  const char *name = msi_op_name(op);
  ms_type type = ms_value_type(found->at[found->found]);
  msi_place_print(self->frame, route, whole, sizeof whole);
  if (found->found == 0 && self->frame == NULL) {
    return msi_fail(self->error, MS_EPATH, "%s: \"%s\": the document is %s", name, whole,
                    msi_type_phrase(type));
  }
  msi_route first = {route.segments, found->found};
  msi_place_print(self->frame, first, part, sizeof part);
  if (type == MS_ARRAY || type == MS_EMPTY) {
    msi_route next = {&route.segments[found->found], 1};
    msi_place_print(NULL, next, key, sizeof key);
    return msi_fail(self->error, MS_EPATH,
                    "%s: \"%s\" holds an array and \"%s\" is no index", name, part, key);
  }
  return msi_fail(self->error, MS_EPATH, "%s: \"%s\": \"%s\" holds %s", name, whole, part,
                  msi_type_phrase(type));
}

/* ------------------------------------------------------------- second step */

/* Lifts `value` (taken) into new objects for the keys from `first` to the last. */
static ms_status nest(const msi_engine *self, msi_route route, size_t first,
                      const ms_value **value) {
  const ms_alloc *alloc = self->context->alloc;
  for (size_t i = route.count; i > first; i--) {
    const ms_value *object;
    ms_status st = ms_value_new_object(alloc, &object);
    if (st != MS_OK) return st;
    st = msi_object_put(alloc, &object, route.segments[i - 1].key, *value);
    if (st != MS_OK) {
      ms_value_release(object);
      return st;
    }
    ms_value_release(*value);
    *value = object;
  }
  return MS_OK;
}

static ms_status pad(const msi_engine *self, msi_route route, size_t depth,
                     const ms_value **array, size_t index) {
  size_t count = ms_value_count(*array);
  if (index - count > *self->pad_left) {
    char text[MSI_PRINT_BYTES];
    msi_route first = {route.segments, depth + 1};
    return msi_fail(self->error, MS_EPATH, "\"%s\" is more than %d nulls beyond the end",
                    msi_place_print(self->frame, first, text, sizeof text), MSI_PAD_MAX);
  }
  *self->pad_left -= index - count;
  for (; count < index; count++) {
    ms_status st = ms_value_append(self->context->alloc, array, ms_value_null());
    if (st != MS_OK) return st;
  }
  return MS_OK;
}

/* Puts `value` (borrowed) at key `depth` of the route into *container. */
static ms_status slot_store(const msi_engine *self, msi_route route, size_t depth,
                            const ms_value **container, const ms_value *value) {
  const ms_alloc *alloc = self->context->alloc;
  const msi_segment *segment = &route.segments[depth];
  ms_type type = ms_value_type(*container);
  if (type == MS_EMPTY && wants_array(self, route, depth)) {
    const ms_value *array; /* the empty table needs no release */
    ms_status st = ms_value_new_array(alloc, &array);
    if (st != MS_OK) return st;
    *container = array;
    type = MS_ARRAY;
  }
  if (type != MS_ARRAY) return msi_object_put(alloc, container, segment->key, value);
  size_t index = msi_index_size(segment->index);
  if (index < ms_value_count(*container)) {
    return ms_value_replace(alloc, container, index, value);
  }
  ms_status st = pad(self, route, depth, container, index);
  if (st == MS_OK) st = ms_value_append(alloc, container, value);
  return st;
}

static ms_status append_all(const msi_engine *self, const ms_value **array,
                            const ms_value *elements) {
  ms_cursor cursor;
  const char *key;
  size_t index;
  const ms_value *element;
  ms_status st = MS_OK;
  ms_cursor_init(&cursor, elements);
  while (st == MS_OK && ms_cursor_next(&cursor, &key, &index, &element)) {
    st = ms_value_append(self->context->alloc, array, element);
  }
  return st;
}

/*
 * Takes the containers held[0] to held[last] off the working root: each is retained here,
 * and no longer by its slot when it belongs to this update alone. *count says how many
 * are held.
 */
static ms_status lift(msi_engine *self, msi_route route, const msi_trail *found,
                      size_t last, const ms_value **held, size_t *count) {
  held[0] = self->root;
  *count = 1;
  self->root = NULL;
  bool is_own = msi_value_is_unique(held[0]);
  for (size_t i = 1; i <= last; i++) {
    is_own = is_own && msi_value_is_unique(found->at[i]);
    held[i] = ms_value_retain(found->at[i]);
    *count = i + 1;
    if (!is_own) continue;
    ms_status st = slot_store(self, route, i - 1, &held[i - 1], ms_value_null());
    if (st != MS_OK) return st;
  }
  return MS_OK;
}

/* `container` is at[last] of the trail. */
static ms_status change_last(const msi_engine *self, msi_route route,
                             const msi_trail *found, const msi_outcome *outcome,
                             size_t last, const ms_value **container) {
  if (outcome->action == MSI_ACTION_APPEND) {
    return append_all(self, container, outcome->value);
  }
  if (outcome->action == MSI_ACTION_REMOVE && ms_value_type(*container) == MS_OBJECT) {
    return msi_object_erase(self->context->alloc, container, route.segments[last].key);
  }
  const ms_value *value = ms_value_retain(outcome->value);
  ms_status st = MS_OK;
  if (found->found < route.count) st = nest(self, route, last + 1, &value);
  if (st == MS_OK) st = slot_store(self, route, last, container, value);
  ms_value_release(value);
  return st;
}

/* A failure leaves no working root. */
static ms_status change_copies(msi_engine *self, msi_route route, const msi_trail *found,
                               const msi_outcome *outcome, size_t last) {
  const ms_value *held[MS_DEPTH_MAX + 1];
  size_t count;
  ms_status st = lift(self, route, found, last, held, &count);
  if (st == MS_OK) st = change_last(self, route, found, outcome, last, &held[last]);
  for (size_t i = last; i > 0 && st == MS_OK; i--) {
    st = slot_store(self, route, i - 1, &held[i - 1], held[i]);
    if (st != MS_OK) break;
    ms_value_release(held[i]);
    count = i;
  }
  if (st == MS_OK) {
    self->root = held[0];
    return MS_OK;
  }
  while (count > 0) ms_value_release(held[--count]);
  return st;
}

/* Where all on the way is this update's own. A failure in the last container leaves
 * everything as it was, if it can be done in one step. */
static ms_status change_in_place(const msi_engine *self, msi_route route,
                                 const msi_trail *found, const msi_outcome *outcome,
                                 size_t last) {
  const ms_value **container = found->place[last];
  uint64_t bytes = ms_value_bytes(*container);
  if (outcome->action == MSI_ACTION_STORE && found->places > route.count) {
    const ms_value **place = found->place[route.count], *gone = *place;
    uint64_t grown = ms_value_bytes(outcome->value) - ms_value_bytes(gone);
    *place = ms_value_retain(outcome->value);
    msi_container_grow(*container, (int64_t)grown);
    ms_value_release(gone);
  } else {
    ms_status st = change_last(self, route, found, outcome, last, container);
    if (st != MS_OK) return st;
  }
  uint64_t grown = ms_value_bytes(*container) - bytes;
  for (size_t i = 0; i < last && grown != 0; i++) {
    msi_container_grow(*found->place[i], (int64_t)grown);
  }
  return MS_OK;
}

/* Can the document not become too large by it? */
static bool fits(const msi_engine *self, msi_route route, const msi_outcome *outcome) {
  uint64_t max = self->context->document_bytes_max;
  if (outcome->action == MSI_ACTION_REMOVE) return true;
  uint64_t bytes = ms_value_bytes(self->root) + ms_value_bytes(outcome->value) +
                   (uint64_t)route.count * (MS_KEY_MAX + 16); /* parents that are made */
  return bytes <= (max == 0 ? MS_DOCUMENT_MAX : max);
}

/* Is the outcome done by one change, so that it is done whole or not at all? */
static bool is_one_step(msi_route route, const msi_trail *found,
                        const msi_outcome *outcome) {
  if (outcome->action == MSI_ACTION_APPEND) return ms_value_count(outcome->value) <= 1;
  if (found->found == route.count) return true;
  const ms_value *container = found->at[found->found];
  return ms_value_type(container) != MS_ARRAY ||
         msi_index_size(route.segments[found->found].index) == ms_value_count(container);
}

static ms_status change(msi_engine *self, msi_route route, const msi_trail *found,
                        const msi_outcome *outcome) {
  size_t last = outcome->action == MSI_ACTION_APPEND ? route.count : route.count - 1u;
  if (last > found->found) last = found->found;
  ms_status st;
  if (found->places > last && msi_value_is_unique(found->at[last]) &&
      fits(self, route, outcome) &&
      (!self->is_callers || is_one_step(route, found, outcome))) {
    st = change_in_place(self, route, found, outcome, last);
  } else {
    /* Held here, so that it is not changed in place. */
    if (self->is_callers) self->before = ms_value_retain(self->root);
    st = change_copies(self, route, found, outcome, last);
  }
  return st == MS_ENOMEM ? fail_memory(self) : st;
}

/* Settles what needs no change; an element of an array that is removed becomes null. */
static void settle(msi_route route, const msi_trail *found, const ms_value *old_value,
                   msi_outcome *outcome) {
  if (outcome->action == MSI_ACTION_REMOVE &&
      (route.count == 0 || /* the root is an element */
       ms_value_type(found->at[route.count - 1u]) == MS_ARRAY)) {
    outcome->action = MSI_ACTION_STORE;
    outcome->value = ms_value_null();
  }
  if (outcome->action == MSI_ACTION_STORE && old_value != NULL &&
      ms_value_equal(old_value, outcome->value)) {
    outcome->action = MSI_ACTION_KEEP;
  }
}

ms_status msi_engine_settle(msi_engine *self, msi_route route, const msi_trail *found,
                            msi_outcome outcome) {
  const ms_value *old_value =
      found->found == route.count ? found->at[found->found] : NULL;
  ms_status st = MS_OK;
  settle(route, found, old_value, &outcome);
  if (outcome.action == MSI_ACTION_STORE && route.count == 0) {
    ms_value_release(self->root);
    self->root = outcome.value;
    return MS_OK;
  }
  if (outcome.action != MSI_ACTION_KEEP) st = change(self, route, found, &outcome);
  ms_value_release(outcome.value);
  return st;
}

/* --------------------------------------------------------------- operations */

/* What is stored is compared with what is there. */
static void take_comparing(const msi_engine *self, const ms_value *old_value,
                           const msi_outcome *outcome) {
  if (outcome->action != MSI_ACTION_STORE || old_value == NULL) return;
  uint64_t bytes = ms_value_bytes(old_value);
  if (bytes != ms_value_bytes(outcome->value)) return;
  (void)msi_meter_take(self->meter, bytes / MSI_STEP_BYTES);
}

ms_status msi_engine_run(msi_engine *self, const msi_op *op, msi_route route) {
  const msi_operator *row = msi_operator_by_code(op->code);
  msi_trail found;
  (void)msi_meter_take(self->meter, 1 + route.count);
  msi_trail_walk(&found, self, route);
  if (found.is_blocked) {
    return row->ignores_blocked ? MS_OK
                                : msi_engine_fail_blocked(self, op, route, &found);
  }
  const ms_value *old_value = found.found == route.count ? found.at[found.found] : NULL;
  if (old_value == NULL && !row->creates) return MS_OK;
  msi_target target = {self->context, self->meter, op, old_value, self->frame, route};
  msi_outcome outcome = {MSI_ACTION_KEEP, NULL};
  ms_status st = row->apply(&target, &outcome, self->error);
  if (st != MS_OK) return st == MS_ENOMEM ? fail_memory(self) : st;
  take_comparing(self, old_value, &outcome);
  st = msi_engine_check_steps(self);
  if (st == MS_OK) return msi_engine_settle(self, route, &found, outcome);
  ms_value_release(outcome.value);
  return st;
}

static ms_status run_guard(msi_engine *self, const msi_op *op) {
  int64_t wanted = MS_EMPTY;
  ms_status st = ms_value_to_int(op->operand, &wanted);
  MSI_ASSERT(st == MS_OK); /* the check of the operand */
  (void)st;
  self->guard = op;
  char text[MSI_PRINT_BYTES];
  const ms_value *container = ms_path_find(op->path, self->root);
  if (container == NULL) {
    return msi_fail(self->error, MS_EPATH, "\"%s\" is gone",
                    msi_path_print(op->path, text, sizeof text));
  }
  ms_type type = ms_value_type(container);
  if (op->path->count == 0) {
    if (wanted != MS_ARRAY) return MS_OK;
    return msi_fail(self->error, MS_EPATH, "the document is no array");
  }
  if (type == MS_EMPTY || (int64_t)type == wanted) return MS_OK;
  if (wanted == MS_EMPTY && msi_type_is_container(type)) return MS_OK;
  return msi_fail(self->error, MS_EPATH, "\"%s\" holds %s, not %s",
                  msi_path_print(op->path, text, sizeof text), msi_type_phrase(type),
                  wanted == MS_EMPTY ? "a container" : msi_type_phrase((ms_type)wanted));
}

static ms_status run_where(const msi_engine *self, const msi_op *op) {
  if (msi_query_matches(op->query, self->root, self->meter)) return MS_OK;
  ms_status st = msi_engine_check_steps(self);
  if (st != MS_OK) return st;
  const ms_path *path = msi_query_failing(op->query, self->root);
  if (path == NULL) {
    return msi_fail(self->error, MS_ECONDITION, "where: the condition does not hold");
  }
  char text[MSI_PRINT_BYTES];
  return msi_fail(self->error, MS_ECONDITION, "where: \"%s\" does not meet its condition",
                  msi_path_print(path, text, sizeof text));
}

/* ------------------------------------------------------------------- update */

/* A document that is too large already may still shrink. */
static ms_status check_bytes(const msi_engine *self, const ms_value *before) {
  uint64_t max = self->context->document_bytes_max, bytes = ms_value_bytes(self->root);
  if (max == 0 || bytes <= max || bytes <= ms_value_bytes(before)) return MS_OK;
  return msi_fail(self->error, MS_ELIMIT,
                  "the document would have %llu bytes, more than %llu",
                  (unsigned long long)bytes, (unsigned long long)max);
}

/* Operation *at, with those behind it that go into the same array; *at becomes the last
 * one. */
static ms_status run_next(msi_engine *self, const ms_update *update, size_t *at) {
  const msi_op *op = &update->ops[*at];
  if (msi_code_is_of_desk(op->code)) return MS_OK;
  if (self->guard != NULL && self->guard->group != op->group) self->guard = NULL;
  msi_route route = {op->path->segments, op->path->count};
  if (op->selection != NULL) {
    size_t count = 1;
    while (*at + count < update->op_count && op[count].selection != NULL &&
           op[count].group == op->group && msi_path_equal(op[count].path, op->path)) {
      count++;
    }
    *at += count - 1;
    return msi_engine_visit(self, route, op, count);
  }
  switch (op->code) {
    case MSI_CODE_GUARD: return run_guard(self, op);
    case MSI_CODE_WHERE: return run_where(self, op);
    case MSI_CODE_MARK: return MS_OK;   /* concurrent patches ask for it */
    case MSI_CODE_RENAME: return MS_OK; /* done at its target */
    case MSI_CODE_RENAME_TO: return msi_engine_rename(self, op);
    default: return msi_engine_run(self, op, route);
  }
}

static msi_meter meter_of(const msi_apply *context) {
  return context->document_bytes_max == 0 ? MSI_METER_ENDLESS : MSI_METER_FULL;
}

ms_status msi_update_apply(const msi_apply *context, const ms_update *update,
                           const ms_value *root, const ms_value **out, size_t *failed_op,
                           ms_error *error) {
  ms_type type = ms_value_type(root);
  if (type != MS_OBJECT && type != MS_EMPTY) {
    if (failed_op != NULL) *failed_op = 0;
    return msi_fail(error, MS_ETYPE, "a document is an object, not %s",
                    msi_type_phrase(type));
  }
  msi_apply resolved = *context;
  resolved.alloc = msi_alloc_resolve(context->alloc);
  size_t pad_left = MSI_PAD_MAX;
  msi_meter meter = meter_of(context);
  msi_engine self = {.context = &resolved,
                     .meter = &meter,
                     .root = ms_value_retain(root),
                     .pad_left = &pad_left,
                     .error = error};
  ms_status st = MS_OK;
  size_t i = 0;
  for (; i < update->op_count; i++) {
    st = run_next(&self, update, &i);
    if (st != MS_OK) break;
  }
  if (st == MS_OK) {
    st = check_bytes(&self, root);
    if (st != MS_OK && i > 0) i--;
  }
  if (st != MS_OK) {
    ms_value_release(self.root);
    if (failed_op != NULL) *failed_op = i;
    return st;
  }
  *out = self.root;
  return MS_OK;
}

/* One operation that changes something, with nothing but questions before it. (One on
 * elements puts a new array in the place of the old one.) */
static bool is_simple(const ms_update *update) {
  if (update->op_count == 0) return false;
  size_t last = update->op_count - 1u;
  for (size_t i = 0; i < last; i++) {
    if (update->ops[i].class_ != MSI_CLASS_GUARD) return false;
  }
  const msi_op *op = &update->ops[last];
  return op->class_ != MSI_CLASS_GUARD && op->path->count > 0 &&
         op->code != MSI_CODE_RENAME_TO;
}

bool msi_update_is_light(const ms_update *update, const ms_value *root) {
  if (!is_simple(update)) return false;
  const msi_op *op = &update->ops[update->op_count - 1];
  if (op->selection != NULL || op->class_ == MSI_CLASS_MOVING) return false;
  const ms_value *gone = ms_path_find(op->path, root);
  /* Appending lets nothing go. */
  return gone == NULL || op->code == MSI_CODE_PUSH || op->code == MSI_CODE_ADD_TO_SET ||
         ms_value_bytes(gone) <= LIGHT_BYTES;
}

static ms_status change_simply(msi_engine *self, const ms_update *update) {
  ms_status st = MS_OK;
  for (size_t i = 0; i < update->op_count && st == MS_OK; i++) {
    st = run_next(self, update, &i);
  }
  if (st == MS_OK && self->before != NULL) st = check_bytes(self, self->before);
  if (self->before == NULL) return st;
  if (st == MS_OK) {
    ms_value_release(self->before);
  } else {
    ms_value_release(self->root);
    self->root = self->before;
  }
  return st;
}

ms_status msi_update_change(const msi_apply *context, const ms_update *update,
                            const ms_value **root, ms_error *error) {
  if (!is_simple(update) || ms_value_type(*root) != MS_OBJECT ||
      !msi_value_is_unique(*root)) {
    const ms_value *changed;
    ms_status st = msi_update_apply(context, update, *root, &changed, NULL, error);
    if (st != MS_OK) return st;
    ms_value_release(*root);
    *root = changed;
    return MS_OK;
  }
  msi_apply resolved = *context;
  resolved.alloc = msi_alloc_resolve(context->alloc);
  size_t pad_left = MSI_PAD_MAX;
  msi_meter meter = meter_of(context);
  msi_engine self = {.context = &resolved,
                     .meter = &meter,
                     .root = *root,
                     .pad_left = &pad_left,
                     .error = error,
                     .is_callers = true};
  ms_status st = change_simply(&self, update);
  *root = self.root;
  return st;
}

ms_status ms_update_apply(const ms_update *update, const ms_value *root, int64_t wall_ms,
                          const ms_value **out, ms_error *error) {
  msi_apply context = {update->alloc, wall_ms, MS_DOCUMENT_MAX};
  return msi_update_apply(&context, update, root, out, NULL, error);
}
