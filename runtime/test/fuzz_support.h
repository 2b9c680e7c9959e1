/*
 * What the fuzz targets of updates and queries share: their input, and what must hold whenever an
 * update is applied or goes over the wire.
 */
#ifndef MST_FUZZ_SUPPORT_H
#define MST_FUZZ_SUPPORT_H

#include <stdlib.h>
#include <string.h>

#include "builder.h"
#include "failing_alloc.h"

#define MUST(condition)                                                                  \
  do {                                                                                   \
    if (!(condition)) abort();                                                           \
  } while (0)

enum {
  MST_WALL_MS = 1000,
  MST_DOCUMENT_BYTES_MAX = 1 << 16,
  MST_PAD_MAX = 2000,
  MST_PAD_REFUSED = 2000000 /* beyond the engine's own limit */
};

/* ----- input */

/* An array of one to `count` values, as JSON when it begins with '[', else as MessagePack. Those
 * that are absent become NULL. The array is the caller's, the values are borrowed from it. */
static inline const ms_value *mst_fuzz_values(const uint8_t *data, size_t bytes,
                                              const ms_value **values, size_t count) {
  const ms_value *list = NULL;
  const char *text = (const char *)data;
  ms_status st = bytes > 0 && data[0] == '['
                     ? ms_value_from_json(NULL, text, bytes, &list, NULL)
                     : ms_value_decode(NULL, data, bytes, &list, NULL);
  if (st != MS_OK) return NULL;
  if (ms_value_type(list) != MS_ARRAY || ms_value_count(list) == 0) {
    ms_value_release(list);
    return NULL;
  }
  for (size_t i = 0; i < count; i++) {
    values[i] = i < ms_value_count(list) ? ms_value_at(list, i) : NULL;
  }
  return list;
}

static inline const ms_value *mst_fuzz_encoding(const ms_value *value) {
  const ms_value *encoded = NULL;
  MUST(ms_value_encode(NULL, value, &encoded) == MS_OK);
  return encoded;
}

/* ----- on the wire */

/* Encoded anew from its operations. */
static inline ms_update *mst_fuzz_reencode(const ms_update *update) {
  msi_builder builder;
  ms_update *again = NULL;
  MUST(msi_builder_init(&builder, NULL, update->op_count, 0, NULL) == MS_OK);
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *from = &update->ops[i];
    builder.group_count = from->group + 1;
    msi_op *op = msi_builder_add(&builder, from->code, ms_path_retain(from->path));
    op->class_ = from->class_;
    op->selection = msi_selection_retain(from->selection);
    op->operand = ms_value_retain(from->operand);
    op->query = ms_query_retain(from->query);
    op->target = ms_path_retain(from->target);
  }
  builder.group_count = update->group_count;
  MUST(msi_builder_finish(&builder, &again, NULL) == MS_OK);
  return again;
}

static inline void mst_fuzz_same_wire(const ms_update *a, const ms_update *b) {
  MUST(a->wire_bytes == b->wire_bytes && memcmp(a->wire, b->wire, a->wire_bytes) == 0);
}

static inline void mst_fuzz_same_ops(const ms_update *a, const ms_update *b) {
  MUST(a->op_count == b->op_count && a->group_count == b->group_count);
  for (uint32_t i = 0; i < a->op_count; i++) {
    const msi_op *left = &a->ops[i], *right = &b->ops[i];
    MUST(left->code == right->code && left->class_ == right->class_);
    MUST(left->group == right->group && msi_op_compare(left, right, 0) == 0);
    MUST(ms_value_equal(left->operand, right->operand));
    MUST((left->selection == NULL) == (right->selection == NULL));
    MUST((left->query == NULL) == (right->query == NULL));
    MUST((left->target == NULL) == (right->target == NULL));
  }
}

/* What was encoded here decodes to the same operations, and they encode to the same bytes. The
 * decoded update is the caller's. */
static inline ms_update *mst_fuzz_decode_own(const ms_update *update) {
  ms_update *decoded = NULL;
  MUST(msi_update_decode(NULL, update->wire, update->wire_bytes, &decoded, NULL) ==
       MS_OK);
  mst_fuzz_same_wire(update, decoded);
  mst_fuzz_same_ops(update, decoded);
  ms_update *again = mst_fuzz_reencode(decoded);
  mst_fuzz_same_wire(update, again);
  ms_update_release(again);
  return decoded;
}

/* ----- applying */

static inline void mst_fuzz_check_result(const ms_update *update, const ms_value *root,
                                         const ms_value *result) {
  MUST(msi_value_check(result));
  MUST(ms_value_bytes(result) <= MST_DOCUMENT_BYTES_MAX ||
       ms_value_bytes(result) <= ms_value_bytes(root));
  MUST(msi_value_depth(result, 2 * MS_DEPTH_MAX) <= MS_DEPTH_MAX);
  /* The groups of a batch may undo each other's work. */
  MUST(result != root || ms_value_equal(result, root));
  if (update->group_count <= 1) MUST(result == root || !ms_value_equal(result, root));
}

/* One allocation on the way fails: nothing is left, and nothing has changed. */
static inline void mst_fuzz_starve(const ms_update *update, const ms_value *root,
                                   uint64_t pick) {
  failing_alloc memory;
  const ms_value *const untouched = ms_value_null();
  const ms_value *result = untouched;
  ms_error error = {MS_OK, ""};
  failing_alloc_init(&memory);
  msi_apply context = {&memory.alloc, MST_WALL_MS, MST_DOCUMENT_BYTES_MAX};
  ms_status st = msi_update_apply(&context, update, root, &result, NULL, &error);
  if (st == MS_OK) ms_value_release(result);
  MUST(failing_alloc_is_clean(&memory));
  if (memory.requests == 0) return;
  failing_alloc_fail_at(&memory, pick % memory.requests);
  result = untouched;
  st = msi_update_apply(&context, update, root, &result, NULL, &error);
  MUST(st == MS_ENOMEM && error.status == st && result == untouched);
  MUST(failing_alloc_is_clean(&memory));
}

/* A document of its own, without anything shared. */
static inline const ms_value *mst_fuzz_copy(const ms_value *value) {
  const ms_value *encoded = mst_fuzz_encoding(value), *copy = NULL;
  const char *bytes = NULL;
  size_t length = 0;
  MUST(ms_value_to_string(encoded, &bytes, &length) == MS_OK);
  MUST(ms_value_decode(NULL, bytes, length, &copy, NULL) == MS_OK);
  ms_value_release(encoded);
  return copy;
}

/* In place, with plenty of memory and with too little: the same as applied to a copy. */
static inline void mst_fuzz_change(const ms_update *update, const ms_value *root,
                                   const ms_value *result, uint64_t pick) {
  failing_alloc memory;
  failing_alloc_init(&memory);
  msi_apply context = {&memory.alloc, MST_WALL_MS, MST_DOCUMENT_BYTES_MAX};
  const ms_value *changed = mst_fuzz_copy(root);
  ms_status st = msi_update_change(&context, update, &changed, NULL);
  MUST((st == MS_OK) == (result != NULL));
  MUST(msi_value_check(changed) && ms_value_equal(changed, st == MS_OK ? result : root));
  ms_value_release(changed);
  MUST(failing_alloc_is_clean(&memory));
  if (memory.requests == 0) return;
  failing_alloc_fail_at(&memory, pick % memory.requests);
  changed = mst_fuzz_copy(root);
  MUST(msi_update_change(&context, update, &changed, NULL) == MS_ENOMEM);
  MUST(msi_value_check(changed) && ms_value_equal(changed, root));
  ms_value_release(changed);
  MUST(failing_alloc_is_clean(&memory));
}

/* Applies and checks all that must hold. The result is the caller's, NULL after a refusal. */
static inline const ms_value *mst_fuzz_apply(const ms_update *update,
                                             const ms_value *root) {
  const ms_value *before = mst_fuzz_encoding(root);
  const ms_value *const untouched = ms_value_null();
  const ms_value *result = untouched;
  msi_apply context = {NULL, MST_WALL_MS, MST_DOCUMENT_BYTES_MAX};
  size_t failed_op = SIZE_MAX;
  ms_error error = {MS_OK, ""};
  ms_status st = msi_update_apply(&context, update, root, &result, &failed_op, &error);
  if (st == MS_OK) {
    mst_fuzz_check_result(update, root, result);
  } else {
    MUST(result == untouched && st != MS_ENOMEM);
    MUST(error.status == st && error.message[0] != '\0');
    MUST(failed_op < update->op_count || update->op_count == 0);
    result = NULL;
  }
  uint64_t pick = (uint64_t)update->wire_bytes * 7 + ms_value_bytes(root);
  mst_fuzz_starve(update, root, pick);
  mst_fuzz_change(update, root, result, pick);
  const ms_value *after = mst_fuzz_encoding(root);
  MUST(ms_value_equal(before, after));
  ms_value_release(after);
  ms_value_release(before);
  return result;
}

static inline bool mst_fuzz_pads(const msi_segment *segments, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (segments[i].index > MST_PAD_MAX && segments[i].index <= MST_PAD_REFUSED)
      return true;
  }
  return false;
}

/* Would fill an array with so many nulls that little else would be tried. */
static inline bool mst_fuzz_is_slow(const ms_update *update) {
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *op = &update->ops[i];
    if (mst_fuzz_pads(op->path->segments, op->path->count)) return true;
    if (op->selection != NULL &&
        mst_fuzz_pads(op->selection->segments, op->selection->count))
      return true;
  }
  return false;
}

/* What two applications gave is the same. */
static inline void mst_fuzz_same_result(const ms_value *a, const ms_value *b) {
  MUST((a == NULL) == (b == NULL));
  MUST(a == NULL || ms_value_equal(a, b));
}

/* With its marks, as a writer sends it, it does the same. */
static inline void mst_fuzz_mark(const ms_update *update, const ms_value *root,
                                 const ms_value *result) {
  ms_update *marked = NULL;
  ms_status st = msi_update_mark(NULL, update, root, root, result, false, &marked);
  MUST(st == MS_OK || st == MS_ELIMIT);
  if (st != MS_OK) return;
  ms_update *decoded = NULL;
  MUST(msi_update_decode(NULL, marked->wire, marked->wire_bytes, &decoded, NULL) ==
       MS_OK);
  mst_fuzz_same_ops(marked, decoded);
  const ms_value *again = mst_fuzz_apply(decoded, root);
  mst_fuzz_same_result(result, again);
  ms_value_release(again);
  ms_update_release(decoded);
  ms_update_release(marked);
}

/* Twice in one batch: the second half meets what the first made, in place. */
static inline void mst_fuzz_twice(const ms_update *update, const ms_value *root,
                                  const ms_value *result) {
  const ms_update *const parts[] = {update, update};
  ms_update *both = NULL;
  ms_status st = msi_update_concat(NULL, parts, 2, &both);
  MUST(st == MS_OK || st == MS_ELIMIT);
  if (st != MS_OK) return;
  MUST(both->op_count == 2 * update->op_count);
  const ms_value *at_once = mst_fuzz_apply(both, root);
  const ms_value *in_turn = mst_fuzz_apply(update, result);
  mst_fuzz_same_result(in_turn, at_once);
  ms_value_release(in_turn);
  ms_value_release(at_once);
  ms_update_release(both);
}

#endif
