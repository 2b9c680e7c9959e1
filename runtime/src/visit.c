/*
 * Positional operations: those that go into the same array, done together.
 *
 * As in MongoDB every filter is asked about the elements as they were before the update,
 * and the operations that are meant for one element must not overlap: "a.$[i].n" and
 * "a.$[j].n" may stand in one update, but not where an element fits both filters. So the
 * array is walked once. For each element the operations that select it are picked and, when
 * they come from several filters, put in order and checked; then they run on an engine
 * whose root is the element. Inside of it the same may happen again.
 *
 * The operations of one visit have the same number of keys behind them: `at` counts those
 * of their selections.
 */
#include <string.h>

#include "engine.h"
#include "sort.h"

/* Of putting one of many operations in order. */
enum { SORT_STEPS = 16 };
/* Of comparing one key of a route. */
enum { ROUTE_STEPS = 4 };

typedef struct visit {
  msi_engine *engine;       /* its root holds the array */
  msi_route route;          /* to the array */
  const msi_op *const *ops; /* in order */
  size_t count;
  uint32_t at;    /* the positional key in their selections */
  uint64_t bytes; /* of the array as it was */
  /* One block: */
  const msi_op **picked; /* for the element under way, in order */
  const msi_op **spare;
  bool *fits, *fitted; /* for each operation; the last is of the element before */
  size_t picked_count;
  bool is_settled; /* `picked` is what `fitted` says */
} visit;

static ms_status run_all(msi_engine *self, const msi_op *const *ops, size_t count,
                         uint32_t at);

static ms_status fail_memory(const msi_engine *self) {
  return msi_fail(self->error, MS_ENOMEM, "%s", ms_status_text(MS_ENOMEM));
}

/* ------------------------------------------------------------------ picking */

/* Both keys are positional, so that their filters tell them apart. */
static bool same_key(const msi_op *a, const msi_op *b, uint32_t at) {
  return a->selection->selectors[at].filter == b->selection->selectors[at].filter;
}

/* Which operations select the element? Those with one identifier stand together. */
static size_t select_ops(const visit *self, const ms_value *element,
                         size_t *identifiers) {
  size_t selected = 0;
  *identifiers = 0;
  for (size_t i = 0; i < self->count; i++) {
    const msi_op *op = self->ops[i];
    const ms_query *filter = op->selection->selectors[self->at].filter;
    bool is_new = i == 0 || !same_key(self->ops[i - 1], op, self->at);
    self->fits[i] =
        is_new ? filter == NULL || msi_query_matches(filter, element, self->engine->meter)
               : self->fits[i - 1];
    if (self->fits[i]) selected++;
    if (self->fits[i] && is_new) ++*identifiers;
  }
  return selected;
}

static int op_order(void *ud, const void *a, const void *b) {
  return msi_op_compare(a, b, *(const size_t *)ud);
}

static ms_status check_picked(const visit *self, size_t index, size_t from) {
  for (size_t i = 1; i < self->picked_count; i++) {
    const msi_op *first = self->picked[i - 1], *second = self->picked[i];
    if (!msi_op_overlaps(first, second, from)) continue;
    char a[MSI_PRINT_BYTES], b[MSI_PRINT_BYTES];
    return msi_fail(
        self->engine->error, MS_EOVERLAP, "\"%s\" and \"%s\" overlap in element %zu",
        msi_op_print(first, a, sizeof a), msi_op_print(second, b, sizeof b), index);
  }
  return MS_OK;
}

/* Fills `picked`, unless the element before had the same operations. */
static ms_status pick(visit *self, const ms_value *element, size_t index) {
  size_t identifiers;
  (void)msi_meter_take(self->engine->meter, self->count);
  size_t selected = select_ops(self, element, &identifiers);
  ms_status st = msi_engine_check_steps(self->engine);
  if (st != MS_OK) return st;
  bool is_known = self->is_settled && memcmp(self->fits, self->fitted, self->count) == 0;
  bool *fitted = self->fitted;
  self->fitted = self->fits;
  self->fits = fitted;
  if (is_known) return MS_OK;
  self->is_settled = true;
  self->picked_count = 0;
  for (size_t i = 0; i < self->count; i++) {
    if (self->fitted[i]) self->picked[self->picked_count++] = self->ops[i];
  }
  MSI_ASSERT(self->picked_count == selected);
  (void)selected;
  if (identifiers < 2) return MS_OK; /* in order, and checked when they were compiled */
  size_t from = (size_t)self->ops[0]->path->count + self->at + 1;
  (void)msi_meter_take(self->engine->meter, SORT_STEPS * self->picked_count);
  msi_sort((const void **)self->picked, (const void **)self->spare, self->picked_count,
           op_order, &from);
  return check_picked(self, index, from);
}

/* ----------------------------------------------------------------- elements */

/* The document is measured at the end, which is too late for what many operations make of many
 * elements. */
static ms_status check_growth(const visit *self, const ms_value *array) {
  uint64_t max = self->engine->context->document_bytes_max, bytes = ms_value_bytes(array);
  if (max == 0 || bytes / 2 <= max || bytes <= self->bytes) return MS_OK;
  return msi_fail(self->engine->error, MS_ELIMIT,
                  "an array would have %llu bytes, far more than %llu",
                  (unsigned long long)bytes, (unsigned long long)max);
}

static ms_status visit_element(visit *self, const ms_value *element, size_t index,
                               const ms_value **array) {
  ms_status st = pick(self, element, index);
  if (st != MS_OK || self->picked_count == 0) return st;
  msi_engine *engine = self->engine;
  msi_frame frame = {engine->frame, self->route, index};
  msi_engine inner = {.context = engine->context,
                      .meter = engine->meter,
                      .root = ms_value_retain(element),
                      .frame = &frame,
                      .pad_left = engine->pad_left,
                      .error = engine->error};
  st = run_all(&inner, self->picked, self->picked_count, self->at + 1);
  if (st == MS_OK && inner.root != element) {
    st = ms_value_replace(engine->context->alloc, array, index, inner.root);
    if (st == MS_ENOMEM) fail_memory(engine);
    if (st == MS_OK) st = check_growth(self, *array);
  }
  ms_value_release(inner.root);
  return st;
}

static ms_status visit_elements(visit *self, const msi_trail *found) {
  const ms_value *array = found->at[found->found];
  const ms_value *changed = ms_value_retain(array);
  ms_status st = MS_OK;
  self->bytes = ms_value_bytes(array);
  ms_cursor cursor;
  const char *key;
  size_t index;
  const ms_value *element;
  ms_cursor_init(&cursor, array);
  while (st == MS_OK && ms_cursor_next(&cursor, &key, &index, &element)) {
    st = visit_element(self, element, index, &changed);
  }
  if (st != MS_OK || changed == array) {
    ms_value_release(changed);
    return st;
  }
  msi_outcome outcome = {MSI_ACTION_STORE, changed};
  return msi_engine_settle(self->engine, self->route, found, outcome);
}

/* ------------------------------------------------------------------- arrays */

static ms_status check_array(const visit *self, const msi_trail *found) {
  const msi_engine *engine = self->engine;
  const msi_op *op = self->ops[0];
  char whole[MSI_PRINT_BYTES], part[MSI_PRINT_BYTES];
  msi_op_print(op, whole, sizeof whole);
  msi_place_print(engine->frame, self->route, part, sizeof part);
  if (found->found < self->route.count) {
    return msi_fail(engine->error, MS_EPATH, "%s: \"%s\" needs an array at \"%s\"",
                    msi_op_name(op), whole, part);
  }
  const ms_value *array = found->at[found->found];
  if (msi_value_is_array(array)) return MS_OK;
  return msi_fail(engine->error, MS_ETYPE, "%s: \"%s\": \"%s\" holds %s, not an array",
                  msi_op_name(op), whole, part, msi_type_phrase(ms_value_type(array)));
}

static ms_status visit_array(msi_engine *engine, msi_route route,
                             const msi_op *const *ops, size_t count, uint32_t at) {
  visit self = {.engine = engine, .route = route, .ops = ops, .count = count, .at = at};
  msi_trail found;
  msi_trail_walk(&found, engine, route);
  ms_status st = check_array(&self, &found);
  if (st != MS_OK || ms_value_type(found.at[found.found]) == MS_EMPTY) return st;
  const ms_alloc *alloc = engine->context->alloc;
  size_t bytes = count * 2 * (sizeof *self.picked + sizeof *self.fits);
  self.picked = msi_alloc_zero(alloc, bytes);
  if (self.picked == NULL) return fail_memory(engine);
  void *block = self.picked;
  self.spare = self.picked + count;
  self.fits = (bool *)(void *)(self.spare + count);
  self.fitted = self.fits + count;
  st = visit_elements(&self, &found);
  msi_alloc_free(alloc, block, bytes);
  return st;
}

/* Keys of the selection from `at` to the next positional one, or to its end. */
static msi_route plain_route(const msi_selection *selection, uint32_t at) {
  uint32_t end = at;
  while (end < selection->count && !selection->selectors[end].is_positional) end++;
  return (msi_route){selection->segments + at, end - at};
}

static bool same_route(msi_route a, msi_route b) {
  if (a.count != b.count) return false;
  for (size_t i = 0; i < a.count; i++) {
    if (!msi_segment_equal(&a.segments[i], &b.segments[i])) return false;
  }
  return true;
}

/* Operations in order, each at the keys of its selection from `at` on. */
static ms_status run_all(msi_engine *self, const msi_op *const *ops, size_t count,
                         uint32_t at) {
  ms_status st = MS_OK;
  for (size_t i = 0; i < count && st == MS_OK;) {
    const msi_selection *selection = ops[i]->selection;
    msi_route route = plain_route(selection, at);
    if (at + route.count == selection->count) {
      st = msi_engine_run(self, ops[i++], route);
      continue;
    }
    size_t end = i + 1;
    while (end < count && same_route(route, plain_route(ops[end]->selection, at)) &&
           at + route.count < ops[end]->selection->count) {
      end++;
    }
    (void)msi_meter_take(self->meter, (1 + ROUTE_STEPS * route.count) * (end - i));
    st = visit_array(self, route, ops + i, end - i, at + (uint32_t)route.count);
    i = end;
  }
  return st;
}

ms_status msi_engine_visit(msi_engine *self, msi_route route, const msi_op *ops,
                           size_t count) {
  if (count == 1) return visit_array(self, route, &ops, 1, 0);
  const ms_alloc *alloc = self->context->alloc;
  size_t bytes = count * sizeof(const msi_op *);
  const msi_op **list = msi_alloc_get(alloc, bytes);
  if (list == NULL) return fail_memory(self);
  for (size_t i = 0; i < count; i++) list[i] = &ops[i];
  ms_status st = visit_array(self, route, list, count, 0);
  msi_alloc_free(alloc, list, bytes);
  return st;
}
