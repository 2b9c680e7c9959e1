/*
 * Compiled queries: MongoDB's conditions on a value, parsed once into a tree.
 *
 * A query is a list of conditions that must all hold. A condition with a path looks at
 * what is there and, where arrays stand on the way or at the end, at what is in them;
 * MongoDB's rules for that are in query_match.c. The values that conditions compare with
 * are borrowed from the document that the query was made from, which it keeps: that is
 * its wire form, too.
 */
#ifndef MSI_QUERY_H
#define MSI_QUERY_H

#include "path.h"
#include "value_set.h"

typedef enum msi_condition_kind {
  /* Of other conditions: */
  MSI_CONDITION_AND,
  MSI_CONDITION_OR,
  MSI_CONDITION_NOR,
  MSI_CONDITION_NOT, /* not all of them hold */
  MSI_CONDITION_NEVER,
  /* Of a value: */
  MSI_CONDITION_EQ,
  MSI_CONDITION_LT,
  MSI_CONDITION_LTE,
  MSI_CONDITION_GT,
  MSI_CONDITION_GTE,
  MSI_CONDITION_IN,
  MSI_CONDITION_EXISTS,
  MSI_CONDITION_TYPE,
  MSI_CONDITION_MOD,
  /* Of an array as a whole: */
  MSI_CONDITION_SIZE,
  MSI_CONDITION_ELEM_OBJECT, /* one element is a document for which all conditions hold */
  MSI_CONDITION_ELEM_VALUE   /* all conditions hold for one element itself */
} msi_condition_kind;

/* How a condition gets from the value it is asked about to those it tests. */
typedef enum msi_reach {
  MSI_REACH_DOCUMENT, /* by its path, whose first key is an entry of a document */
  MSI_REACH_ELEMENT,  /* by its path; an array at the start is looked into, too */
  MSI_REACH_VALUE     /* it tests the value itself */
} msi_reach;

typedef struct msi_condition {
  msi_condition_kind kind;
  msi_reach reach;
  ms_path *path;                         /* retained; NULL: empty */
  const ms_value *operand;               /* EQ to GTE: borrowed from the query's source */
  msi_value_set *set;                    /* IN: owned */
  int64_t number;                        /* SIZE; MOD: the divisor */
  int64_t remainder;                     /* MOD */
  uint32_t types;                        /* TYPE: bits, see below */
  struct msi_condition *children, *next; /* owned */
} msi_condition;

/* Bits of msi_condition.types. */
enum {
  MSI_TYPE_DOUBLE = 1,
  MSI_TYPE_STRING = 2,
  MSI_TYPE_OBJECT = 4,
  MSI_TYPE_ARRAY = 8,
  MSI_TYPE_BOOL = 16,
  MSI_TYPE_NULL = 32,
  MSI_TYPE_INT = 64,  /* fits in 32 bits */
  MSI_TYPE_LONG = 128 /* does not */
};

struct ms_query {
  const ms_alloc *alloc;
  _Atomic uint32_t references;
  bool objects_only;      /* holds for nothing but objects */
  const ms_value *source; /* retained */
  const ms_value *id;     /* array filters: retained; else NULL */
  uint64_t steps;         /* that compiling took; the same for everybody */
  msi_condition root;     /* AND */
};

/* The operand of $pull: a literal, an expression or a query on elements that are objects.
 * Messages begin as those of ms_query_parse. */
MS_CHECKED ms_status msi_query_parse_pull(const ms_alloc *alloc, const ms_value *operand,
                                          ms_query **out, ms_error *error);
/* Holds for what is equal to a value of `list`. MS_ENOMEM. */
MS_CHECKED ms_status msi_query_new_set(const ms_alloc *alloc, const ms_value *list,
                                       ms_query **out);
/* An array filter, {"x.score": {"$gt": 5}}: `id` becomes "x". */
MS_CHECKED ms_status msi_query_parse_filter(const ms_alloc *alloc,
                                            const ms_value *document, ms_query **out,
                                            ms_error *error);
/* The set of msi_query_new_set(). */
const msi_value_set *msi_query_set(const ms_query *query);
/* Does it hold for this value? For queries of each kind. Takes steps; false when they run
 * out. */
bool msi_query_matches(const ms_query *query, const ms_value *value, msi_meter *meter);
/* Visits the first keys of all that the query looks at in a document; some twice. */
typedef void (*msi_query_key_fn)(void *ud, const msi_segment *key);
void msi_query_keys(const ms_query *query, msi_query_key_fn visit, void *ud);
/* The path of the first condition that does not hold, borrowed; NULL: all hold, it is of
 * several paths, or MS_STEPS_MAX do not tell. */
const ms_path *msi_query_failing(const ms_query *query, const ms_value *value);

#endif
