/*
 * What the host asks of a patch before it commits: a schema (schema.h), and rules, a text that a validator of the
 * program understands. Both stand on the desk, so they are the same for each host; what was made of them is the
 * host's own, and made anew when they change. Replica layer; the validator may be anything, but is asked by the
 * host alone, under the lock of its loop.
 */
#ifndef MSI_RULE_H
#define MSI_RULE_H

#include "entry.h"
#include "schema.h"

typedef struct msi_rulebook {
  const ms_alloc *alloc;
  bool has_validator;
  ms_validator validator;
  msi_schema *schema;            /* made of schema_source; NULL: none */
  const ms_value *schema_source; /* retained */
  void *rules;                   /* loaded from rules_source; NULL: none */
  const ms_value *rules_source;  /* retained */
} msi_rulebook;

/* validator: NULL: none. */
void msi_rulebook_init(msi_rulebook *self, const ms_alloc *alloc,
                       const ms_validator *validator);
void msi_rulebook_fini(msi_rulebook *self);

/* Does the desk have a schema or rules? */
bool msi_desk_has_rules(const ms_value *desk);
/* May a peer with this rulebook host a share with this desk? */
bool msi_rulebook_suits(const msi_rulebook *self, const ms_value *desk);
/*
 * May the patch lead from one root to the other? desk: before it; desk_after: after it, which may have other
 * rules: the document has to fit these as a whole. MS_EDENIED and MS_EARGUMENT say why not. MS_ENOMEM.
 */
MS_CHECKED ms_status msi_rulebook_ask(msi_rulebook *self, const ms_value *desk,
                                      const ms_value *desk_after, const msi_patch *patch,
                                      const ms_value *old_root, const ms_value *new_root,
                                      ms_error *error);
/* SCHEMA and RULES on the desk. MS_ENOMEM. */
MS_CHECKED ms_status msi_rule_note(const ms_alloc *alloc, const ms_value **desk,
                                   const msi_op *op);

#endif
