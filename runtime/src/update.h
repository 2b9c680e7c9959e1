/*
 * Compiled updates: MongoDB's update language, parsed once into a list of operations,
 * immutable, with its wire form beside it so that sending and forwarding never encode it
 * again. One block holds the struct, the operations and the wire form.
 *
 * An update is a list of groups (the updates of a batch, in order); paths that overlap
 * within a group are MS_EOVERLAP, guards aside. Within a group operations stand, on the
 * wire too, and apply in MongoDB's order: by path (msi_op_compare). A guard stands before
 * the operation it is for.
 *
 * Every path that an update touches is the path of one of its operations: $rename is two,
 * and a positional operation has the path of the array.
 *
 * Wire form (MessagePack): [group...]; group = [filters?, operation...]; operation =
 * [code, path, operand] or, when positional, [code, path, operand, selection]; path = [key...];
 * filters = {identifier: document...}, selection: see positional.h. The code is the operator's
 * number in the table of operators. Adding an operator is adding a row to that table: its
 * name, number, class, how its operand is checked, how it applies (operator.h).
 */
#ifndef MSI_UPDATE_H
#define MSI_UPDATE_H

#include "path.h"
#include "positional.h"

/* How an operation meets concurrent ones (see conflict.h). */
typedef enum msi_class {
  MSI_CLASS_GUARD,    /* asks only, changes nothing */
  MSI_CLASS_ABSOLUTE, /* settled by timestamp */
  MSI_CLASS_RELATIVE, /* applies in host order */
  MSI_CLASS_MOVING    /* moves the elements of an array to other positions */
} msi_class;

/* Numbers are on the wire: never reuse one. */
typedef enum msi_code {
  MSI_CODE_GUARD = 0, /* operand: the ms_type the container must have, MS_EMPTY: any */
  MSI_CODE_SET = 1,
  MSI_CODE_UNSET = 2,
  MSI_CODE_INC = 3,
  MSI_CODE_PUSH = 4, /* operand: array of the elements to append */
  MSI_CODE_MUL = 5,
  MSI_CODE_MIN = 6,
  MSI_CODE_MAX = 7,
  MSI_CODE_BIT = 8,        /* operand: {"and": n, "or": n, "xor": n}, in that order */
  MSI_CODE_ADD_TO_SET = 9, /* operand: array of different elements */
  MSI_CODE_CURRENT_DATE = 10,
  MSI_CODE_SET_ON_INSERT = 11, /* does nothing: here documents always exist */
  MSI_CODE_RENAME = 12,        /* operand: where to, as an array of keys */
  MSI_CODE_RENAME_TO =
      13,                 /* stands where a $rename goes and does it, never on the wire */
  MSI_CODE_POP = 14,      /* operand: -1: the first, 1: the last */
  MSI_CODE_PULL = 15,     /* operand: as in documents */
  MSI_CODE_PULL_ALL = 16, /* operand: array of values */
  /* $push with modifiers; operand: [elements, position, slice, sort], the last three nil
   * where absent; sort = 1 or -1, or [[key, 1 or -1]...] in the order of keys. */
  MSI_CODE_PUSH_AT = 17,
  /* Our own; operand: the index of an element that must be there. */
  MSI_CODE_REMOVE_AT = 18,
  /* Stands alone in its group, at the empty path; operand: a query on the document. */
  MSI_CODE_WHERE = 19,
  /* Says of the array at its path that another operation goes into it by position, so that
   * it meets what moves the elements; operand: whether that position may hang on what was
   * pending, be it an own element behind the committed ones or one that an own patch had
   * moved (see msi_update_mark); null: it does, and something pending had no effect in the
   * view that may yet come to life. Changes nothing. */
  MSI_CODE_MARK = 20,
  /* On the desk (desk.h, desk_operator.c): they say nothing about the document, conflict with
   * nothing, and stand in no order. */
  MSI_CODE_LOCK = 21, /* operand: the name: queue up for it */
  MSI_CODE_UNLOCK =
      22, /* operand: [name, number]: leave its queue; number: of the patch that asked */
  MSI_CODE_FENCE =
      23, /* operand: [name, fence]: a guard: the writer holds it under that number */
  MSI_CODE_BIND = 24, /* what is at the path goes when the writer departs */
  MSI_CODE_UNBIND = 25,
  MSI_CODE_TTL =
      26, /* operand: milliseconds: what is at the path goes after so long; 0: it stays */
  MSI_CODE_LAPSE =
      27, /* of hosts only; operand: [peer, name, fence]: that peer holds it no more */
  /* Messages: they have no effect on any state. */
  MSI_CODE_EMIT = 28, /* operand: [event, value]: told to everybody */
  MSI_CODE_CALL = 29, /* operand: [peer, name, value]: told to that peer */
  MSI_CODE_REPLY =
      30, /* operand: [peer, number, ok, value]: to the caller; number: of its patch */
  MSI_CODE_HANDLE = 31, /* operand: a name: the writer answers calls of that name */
  MSI_CODE_UNHANDLE = 32,
  MSI_CODE_GRANT =
      33, /* operand: [role, pattern]: whoever writes there needs such a role */
  MSI_CODE_REVOKE = 34,
  MSI_CODE_WRITERS = 35, /* operand: how many members may write, 0: any */
  MSI_CODE_SCHEMA =
      36,             /* operand: what documents have to be (schema.h); null: anything */
  MSI_CODE_RULES = 37 /* operand: a text for the host's validator (rule.h); null: none */
} msi_code;

/* A hundred years: far from where nanoseconds end. */
#define MSI_TTL_MAX_MS INT64_C(3155760000000)

/* Is the operation one on the desk? Its class is that of guards. */
static inline bool msi_code_is_of_desk(msi_code code) { return code >= MSI_CODE_LOCK; }
/* Are all of them? False for an update without operations. */
bool msi_update_is_of_desk(const ms_update *update);

typedef struct msi_op {
  msi_code code;
  msi_class class_;
  uint32_t group;
  ms_path *path; /* retained; what it touches: literal, ends before a positional key */
  msi_selection *selection; /* retained; the rest of a positional path, else NULL */
  const ms_value *operand;  /* retained; ms_value_null() when the operator has none */
  ms_query *query; /* retained; the operand compiled: PULL, PULL_ALL, ADD_TO_SET, WHERE */
  ms_path *target; /* retained; RENAME: where to; RENAME_TO: where from */
} msi_op;

struct ms_update {
  const ms_alloc *alloc;
  _Atomic uint32_t references;
  uint32_t op_count;
  uint32_t group_count;
  size_t block_bytes; /* of the one block */
  size_t wire_bytes;
  uint8_t *wire; /* both point into the block */
  msi_op *ops;
};

/* Keys of path and selection together. */
size_t msi_op_key_count(const msi_op *op);
/* The order of application, from key `from` on, positional keys before others. As
 * memcmp(). */
int msi_op_compare(const msi_op *a, const msi_op *b, size_t from);
/* May not stand in one group: from key `from` on one path begins with the other, or they
 * part where one has a positional key and the other has not. */
bool msi_op_overlaps(const msi_op *a, const msi_op *b, size_t from);
/* Path and selection; see msi_path_print. */
const char *msi_op_print(const msi_op *op, char *buffer, size_t bytes);

/* ----- building without a document: what proxies, batches and typed setters use */

/*
 * One group of one operation, guarded when `container` is not MS_NULL: the guard asks for
 * the parent of `path`; that of MSI_CODE_PUSH, MSI_CODE_PUSH_AT, MSI_CODE_POP and
 * MSI_CODE_REMOVE_AT, which are done to a list, for what is at `path` itself. `operand` is
 * checked as in ms_update_parse, but MSI_CODE_PUSH and MSI_CODE_ADD_TO_SET add it as one
 * element; MSI_CODE_UNSET and MSI_CODE_CURRENT_DATE ignore it (it may be NULL). MS_EPATH:
 * the empty path or a pattern; MS_EARGUMENT: a guard or a $rename, or `container` is no
 * type of container; MS_EOPERATOR, MS_ELIMIT, MS_ENOMEM.
 */
MS_CHECKED ms_status msi_update_single(const ms_alloc *alloc, msi_code code,
                                       const ms_path *path, const ms_value *operand,
                                       ms_type container, ms_update **out,
                                       ms_error *error);
/* As msi_update_single, for `data.log = push(1)`: the guard asks for the parent of `path`
 * whatever the operator. */
MS_CHECKED ms_status msi_update_assign(const ms_alloc *alloc, msi_code code,
                                       const ms_path *path, const ms_value *operand,
                                       ms_type container, ms_update **out,
                                       ms_error *error);
/* $push of one element at a position of the array at `path`: counted from 0, at the end
 * when it is beyond that. Guarded as above. */
MS_CHECKED ms_status msi_update_insert(const ms_alloc *alloc, const ms_path *path,
                                       size_t index, const ms_value *element,
                                       ms_type container, ms_update **out,
                                       ms_error *error);
/* Removes the element at an index of the array at `path`. It applies only where that
 * element is: else MS_EPATH, or MS_ETYPE where no array is. */
MS_CHECKED ms_status msi_update_remove(const ms_alloc *alloc, const ms_path *path,
                                       size_t index, ms_update **out, ms_error *error);
/*
 * With a mark for every array that an operation goes into by position (a group before the
 * others), or retained where there is none. `before` is the document that the update was
 * applied to, `after` what came of it, `committed` the writer's document without what is
 * pending (NULL: none). `is_doubtful`: some of what is pending had no effect in `before`, and
 * may have one at the host. MS_ELIMIT, MS_ENOMEM.
 */
MS_CHECKED ms_status msi_update_mark(const ms_alloc *alloc, const ms_update *update,
                                     const ms_value *committed, const ms_value *before,
                                     const ms_value *after, bool is_doubtful,
                                     ms_update **out);
/* The groups of all updates, in order. MS_ELIMIT (more than MS_PATCH_MAX bytes),
 * MS_ENOMEM. */
MS_CHECKED ms_status msi_update_concat(const ms_alloc *alloc,
                                       const ms_update *const *updates, size_t count,
                                       ms_update **out);
/* $set of the whole document: the empty path. Only this builder and decoding make it.
 * MS_ETYPE: neither an object nor empty; MS_ELIMIT, MS_ENOMEM. */
MS_CHECKED ms_status msi_update_replace(const ms_alloc *alloc, const ms_value *document,
                                        ms_update **out, ms_error *error);

/* One operation on the desk. path: NULL for those without one. MS_EARGUMENT, MS_EPATH, MS_ELIMIT,
 * MS_ENOMEM. */
MS_CHECKED ms_status msi_update_desk(const ms_alloc *alloc, msi_code code,
                                     const ms_path *path, const ms_value *operand,
                                     ms_update **out, ms_error *error);
/* The same with a name as the operand. */
MS_CHECKED ms_status msi_update_named(const ms_alloc *alloc, msi_code code,
                                      const char *name, size_t length, ms_update **out,
                                      ms_error *error);
MS_CHECKED ms_status msi_update_lock(const ms_alloc *alloc, const char *name,
                                     size_t length, ms_update **out, ms_error *error);
/* number: of the own patch that asked for it. */
MS_CHECKED ms_status msi_update_unlock(const ms_alloc *alloc, const char *name,
                                       size_t length, uint64_t number, ms_update **out,
                                       ms_error *error);
MS_CHECKED ms_status msi_update_fence(const ms_alloc *alloc, const char *name,
                                      size_t length, uint64_t fence, ms_update **out,
                                      ms_error *error);
/* ttl_ms: 0 takes the limit off. */
MS_CHECKED ms_status msi_update_ttl(const ms_alloc *alloc, const ms_path *path,
                                    uint64_t ttl_ms, ms_update **out, ms_error *error);
MS_CHECKED ms_status msi_update_lapse(const ms_alloc *alloc, uint64_t peer,
                                      const char *name, size_t length, uint64_t fence,
                                      ms_update **out, ms_error *error);
MS_CHECKED ms_status msi_update_bind(const ms_alloc *alloc, const ms_path *path,
                                     bool binds, ms_update **out, ms_error *error);

/* `value` is borrowed, as in the two that follow. */
MS_CHECKED ms_status msi_update_emit(const ms_alloc *alloc, const char *event,
                                     size_t length, const ms_value *value,
                                     ms_update **out, ms_error *error);
MS_CHECKED ms_status msi_update_call(const ms_alloc *alloc, uint64_t peer,
                                     const char *name, size_t length,
                                     const ms_value *value, ms_update **out,
                                     ms_error *error);
/* number: of the patch with the call. */
MS_CHECKED ms_status msi_update_reply(const ms_alloc *alloc, uint64_t caller,
                                      uint64_t number, bool ok, const ms_value *value,
                                      ms_update **out, ms_error *error);

/* pattern: as text. */
MS_CHECKED ms_status msi_update_grant(const ms_alloc *alloc, const char *role,
                                      size_t role_length, const char *pattern,
                                      size_t length, bool grants, ms_update **out,
                                      ms_error *error);
MS_CHECKED ms_status msi_update_writers(const ms_alloc *alloc, uint64_t count,
                                        ms_update **out, ms_error *error);

/* schema, source: NULL: none any more. */
MS_CHECKED ms_status msi_update_schema(const ms_alloc *alloc, const ms_value *schema,
                                       ms_update **out, ms_error *error);
MS_CHECKED ms_status msi_update_rules(const ms_alloc *alloc, const char *source,
                                      size_t length, ms_update **out, ms_error *error);

/* What an operation tells: EMIT, CALL, REPLY. Borrowed from it. */
typedef struct msi_told {
  msi_code code;
  const char *name; /* EMIT: the event; CALL: what is called */
  size_t name_length;
  uint64_t peer;   /* CALL: who is to answer; REPLY: who called */
  uint64_t number; /* REPLY: of the patch with the call */
  bool ok;         /* REPLY */
  const ms_value *value;
} msi_told;
/* False: another operation. */
bool msi_op_told(const msi_op *op, msi_told *out);
/* Does the update tell that peer anything? */
bool msi_update_tells(const ms_update *update, uint64_t peer);

/* Decodes and validates foreign bytes; copies them as `wire`. MS_ETYPE and MS_ELIMIT for
 * malformed bytes, else as ms_update_parse. */
MS_CHECKED ms_status msi_update_decode(const ms_alloc *alloc, const uint8_t *data,
                                       size_t bytes, ms_update **out, ms_error *error);

typedef struct msi_apply {
  const ms_alloc *alloc;
  int64_t wall_ms;
  uint64_t document_bytes_max; /* 0: neither this limit nor MS_STEPS_MAX */
} msi_apply;
/* As ms_update_apply. On failure *failed_op (may be NULL) is the index of the operation.
 */
MS_CHECKED ms_status msi_update_apply(const msi_apply *context, const ms_update *update,
                                      const ms_value *root, const ms_value **out,
                                      size_t *failed_op, ms_error *error);
/*
 * As msi_update_apply, for whoever has no use for the document as it was: *root (retained)
 * is replaced. An update of one operation changes it in place as far as nobody else holds
 * it, so that it costs nothing for the size of what is around. A failure leaves it as it
 * was.
 */
MS_CHECKED ms_status msi_update_change(const msi_apply *context, const ms_update *update,
                                       const ms_value **root, ms_error *error);
/* Would msi_update_change release little: one operation, and what stands at its place is small? What it
 * replaces is released on the spot. */
bool msi_update_is_light(const ms_update *update, const ms_value *root);
/* Is it one $set at a place without positions, guarded or not, without conditions? */
bool msi_update_is_plain(const ms_update *update);

#endif
