/*
 * Whole queries: those of documents, of array filters, of $pull, and sets of values. The
 * trees themselves are made in query_parse.c and query_operator.c.
 */
#include <stdatomic.h>

#include "query_parse.h"

static void condition_fini(const ms_alloc *alloc, msi_condition *self) {
  while (self->children != NULL) {
    msi_condition *child = self->children;
    self->children = child->next;
    condition_fini(alloc, child);
    MSI_FREE(alloc, child);
  }
  ms_path_release(self->path);
  msi_value_set_free(self->set);
}

/* ----------------------------------------------------------------- lifetime */

static void query_free(ms_query *query) {
  condition_fini(query->alloc, &query->root);
  ms_value_release(query->id);
  ms_value_release(query->source);
  MSI_FREE(query->alloc, query);
}

ms_query *ms_query_retain(const ms_query *query) {
  ms_query *counted = (ms_query *)query; /* the count is the one part that changes */
  if (counted != NULL)
    atomic_fetch_add_explicit(&counted->references, 1, memory_order_relaxed);
  return counted;
}

void ms_query_release(const ms_query *query) {
  ms_query *counted = (ms_query *)query;
  if (counted == NULL) return;
  if (atomic_fetch_sub_explicit(&counted->references, 1, memory_order_acq_rel) == 1) {
    query_free(counted);
  }
}

static ms_status query_new(msi_query_parser *self, const ms_value *source,
                           ms_query **out) {
  ms_query *query = MSI_NEW(self->alloc, ms_query);
  if (query == NULL) return msi_query_fail(self, MS_ENOMEM);
  query->alloc = self->alloc;
  atomic_init(&query->references, 1);
  query->source = ms_value_retain(source);
  query->root.kind = MSI_CONDITION_AND;
  *out = query;
  return MS_OK;
}

/* Takes what was made, or releases it. */
static ms_status query_finish(msi_query_parser *self, ms_status st, ms_query *query,
                              ms_query **out) {
  query->id = self->id;
  query->steps = MSI_METER_FULL.left - self->meter.left;
  if (st == MS_OK) {
    *out = query;
  } else {
    query_free(query);
  }
  return st;
}

static ms_status check_depth(msi_query_parser *self, const ms_value *source) {
  if (msi_value_depth(source, MS_DEPTH_MAX) <= MS_DEPTH_MAX) return MS_OK;
  return msi_fail(self->error, MS_ELIMIT, "a query deeper than %d levels", MS_DEPTH_MAX);
}

static ms_status parse_whole(msi_query_parser *self, const ms_value *document,
                             const char *what, ms_query **out) {
  if (!msi_value_is_object(document)) {
    return msi_fail(self->error, MS_EARGUMENT, "%s is an object of conditions, not %s",
                    what, msi_type_phrase(ms_value_type(document)));
  }
  ms_query *query;
  ms_status st = check_depth(self, document);
  if (st == MS_OK) st = query_new(self, document, &query);
  if (st != MS_OK) return st;
  st = msi_query_parse_document(self, document, &query->root);
  if (st == MS_OK && self->is_filter && self->id == NULL) {
    st = msi_fail(self->error, MS_EARGUMENT, "an array filter without an identifier");
  }
  return query_finish(self, st, query, out);
}

static msi_query_parser parser_of(const ms_alloc *alloc, ms_error *error) {
  return (msi_query_parser){.alloc = msi_alloc_resolve(alloc),
                            .error = error,
                            .meter = MSI_METER_FULL,
                            .left = MS_QUERY_MAX};
}

ms_status ms_query_parse(const ms_alloc *alloc, const ms_value *document, ms_query **out,
                         ms_error *error) {
  msi_query_parser self = parser_of(alloc, error);
  return parse_whole(&self, document, "a query", out);
}

ms_status msi_query_parse_filter(const ms_alloc *alloc, const ms_value *document,
                                 ms_query **out, ms_error *error) {
  msi_query_parser self = parser_of(alloc, error);
  self.is_filter = true;
  return parse_whole(&self, document, "an array filter", out);
}

ms_status msi_query_parse_pull(const ms_alloc *alloc, const ms_value *operand,
                               ms_query **out, ms_error *error) {
  msi_query_parser self = parser_of(alloc, error);
  ms_query *query;
  ms_status st = check_depth(&self, operand);
  if (st == MS_OK) st = query_new(&self, operand, &query);
  if (st != MS_OK) return st;
  msi_query_place element = {MSI_REACH_ELEMENT, NULL, NULL, 0};
  if (msi_query_has_operator(operand)) {
    st = msi_query_parse_expression(&self, &element, operand, &query->root);
  } else if (msi_value_is_object(operand)) {
    query->objects_only = true;
    st = msi_query_parse_document(&self, operand, &query->root);
  } else {
    element.reach = MSI_REACH_VALUE;
    st = msi_query_parse_literal(&self, &element, operand, &query->root);
  }
  return query_finish(&self, st, query, out);
}

ms_status msi_query_new_set(const ms_alloc *alloc, const ms_value *list, ms_query **out) {
  msi_query_parser self = parser_of(alloc, NULL);
  ms_query *query;
  msi_condition *made = NULL;
  ms_status st = query_new(&self, list, &query);
  if (st != MS_OK) return st;
  msi_query_place element = {MSI_REACH_VALUE, NULL, NULL, 0};
  st = msi_query_add_at(&self, MSI_CONDITION_IN, &element, &query->root, &made);
  if (st == MS_OK) st = msi_value_set_new(self.alloc, list, &self.meter, &made->set);
  return query_finish(&self, st, query, out);
}

const msi_value_set *msi_query_set(const ms_query *query) {
  MSI_ASSERT(query->root.children->set != NULL);
  return query->root.children->set;
}
