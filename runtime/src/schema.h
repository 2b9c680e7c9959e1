/*
 * Schemas: what the values at places of a document have to be, in data.
 *
 *     { "players.*.hp" = { type = "integer", min = 0, max = 100 },
 *       "players.*"    = { type = "object", required = ["name"], keys = ["name", "hp"] },
 *       "mode"         = { enum = ["lobby", "match"] },
 *       ""             = { required = ["mode"] } }                   the whole document
 *
 * Each pattern (of hook.h) has rules for the values at the places that it matches and where something is:
 *
 *   type                      a name or an array of names: null boolean integer float number string array object
 *   min, max                  of a number
 *   min_length, max_length    of a string in bytes, of an array or object in items
 *   required, keys            arrays of keys: those that an object has to have, and those that it may have
 *   enum                      an array of values, one of which it equals
 *
 * The empty table is an array and an object. Pure.
 */
#ifndef MSI_SCHEMA_H
#define MSI_SCHEMA_H

#include "update.h"

enum {
  MSI_SCHEMA_PATTERNS_MAX = 1024,
  MSI_RULES_BYTES_MAX = 1 << 20 /* of the text of rules, which no one here reads */
};

typedef struct msi_schema msi_schema;

/* `source` is the empty table or an object as above. MS_EARGUMENT and MS_EPATH name what is wrong; MS_ELIMIT,
 * MS_ENOMEM. */
MS_CHECKED ms_status msi_schema_new(const ms_alloc *alloc, const ms_value *source,
                                    msi_schema **out, ms_error *error);
/* Accepts NULL. */
void msi_schema_free(msi_schema *schema);
/* Does what changed between the roots fit? old_root NULL: all of new_root. `update` (NULL: look everywhere) says
 * where. MS_EDENIED names place and rule. MS_ENOMEM. */
MS_CHECKED ms_status msi_schema_check(msi_schema *schema, const ms_value *old_root,
                                      const ms_value *new_root, const ms_update *update,
                                      ms_error *error);

#endif
