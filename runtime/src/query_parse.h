/*
 * What the parts of the query compiler share: query.c makes whole queries, query_parse.c goes
 * through documents and paths, query_operator.c knows the operators on values.
 */
#ifndef MSI_QUERY_PARSE_H
#define MSI_QUERY_PARSE_H

#include "query.h"

/* Where the conditions of one field look. */
typedef struct msi_query_place {
  msi_reach reach;
  ms_path *path;    /* borrowed; NULL: empty */
  const char *text; /* the key, for messages; NULL: the value itself */
  size_t length;
} msi_query_place;

typedef struct msi_query_parser {
  const ms_alloc *alloc;
  ms_error *error;
  msi_meter meter;    /* what compiling may take */
  size_t left;        /* conditions that may still be made */
  bool is_filter;     /* the first key of each path names the element */
  const ms_value *id; /* what it was so far; retained */
} msi_query_parser;

/* ----- query_parse.c */
/* Fills the error with the status' own text and returns it. */
ms_status msi_query_fail(msi_query_parser *self, ms_status st);
#ifdef __clang_analyzer__ /* as with msi_fail in alloc.h */
#define msi_query_fail(self, st) ((void)msi_query_fail((self), (st)), (st))
#endif
ms_status msi_query_fail_unknown(msi_query_parser *self, const char *name, size_t length);
/* Link a condition into the tree; *out is for what it needs beside its place. MS_ELIMIT,
 * MS_ENOMEM. */
MS_CHECKED ms_status msi_query_add(msi_query_parser *self, msi_condition_kind kind,
                                   msi_condition *parent, msi_condition **out);
MS_CHECKED ms_status msi_query_add_at(msi_query_parser *self, msi_condition_kind kind,
                                      const msi_query_place *at, msi_condition *parent,
                                      msi_condition **out);
/* {"x": 1, "$or": [...]} */
MS_CHECKED ms_status msi_query_parse_document(msi_query_parser *self,
                                              const ms_value *document,
                                              msi_condition *parent);
/* $and, $or, $nor, $comment: in place of a path. */
bool msi_query_is_logical(const char *name, size_t length);
/* Begins with '$'. */
static inline bool msi_query_is_name(const char *key, size_t length) {
  return length > 0 && key[0] == '$';
}

/* ----- query_operator.c */
/* {"$gt": 5}: a key begins with '$'. */
bool msi_query_is_expression(const ms_value *value);
/* An object with an operator that asks about a value; as in MongoDB $not alone is none. */
bool msi_query_has_operator(const ms_value *value);
MS_CHECKED ms_status msi_query_parse_expression(msi_query_parser *self,
                                                const msi_query_place *at,
                                                const ms_value *expression,
                                                msi_condition *parent);
/* Equality with a value as it stands. */
MS_CHECKED ms_status msi_query_parse_literal(msi_query_parser *self,
                                             const msi_query_place *at,
                                             const ms_value *operand,
                                             msi_condition *parent);

#endif
