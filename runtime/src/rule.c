/* The schema and the rules of a share (see rule.h). On the desk: rules = { schema = object, source = text }. */
#include "rule.h"

#include <string.h>

#include "desk.h"

/* ------------------------------------------------------------------- the desk */

ms_status msi_rule_note(const ms_alloc *alloc, const ms_value **desk, const msi_op *op) {
  const char *key = op->code == MSI_CODE_SCHEMA ? "schema" : "source";
  const ms_value *value = ms_value_type(op->operand) == MS_NULL ? NULL : op->operand;
  return msi_desk_put(alloc, desk, "rules", key, strlen(key), value);
}

static const ms_value *find(const ms_value *desk, const char *key) {
  const ms_value *section = msi_desk_section(desk, "rules");
  return section == NULL ? NULL : ms_value_get(section, key, strlen(key));
}

bool msi_desk_has_rules(const ms_value *desk) {
  return msi_desk_section(desk, "rules") != NULL;
}

/* --------------------------------------------------------------- what is made of it */

void msi_rulebook_init(msi_rulebook *self, const ms_alloc *alloc,
                       const ms_validator *validator) {
  *self = (msi_rulebook){.alloc = alloc, .has_validator = validator != NULL};
  if (validator != NULL) self->validator = *validator;
}

static void unload(msi_rulebook *self) {
  if (self->rules_source == NULL) return;
  if (self->validator.unload != NULL) self->validator.unload(self->rules);
  ms_value_release(self->rules_source);
  self->rules = NULL;
  self->rules_source = NULL;
}

static void forget_schema(msi_rulebook *self) {
  msi_schema_free(self->schema);
  ms_value_release(self->schema_source);
  self->schema = NULL;
  self->schema_source = NULL;
}

void msi_rulebook_fini(msi_rulebook *self) {
  unload(self);
  forget_schema(self);
}

bool msi_rulebook_suits(const msi_rulebook *self, const ms_value *desk) {
  return self->has_validator || find(desk, "source") == NULL;
}

/* Makes what is there anew if need be. */
static ms_status need_schema(msi_rulebook *self, const ms_value *source,
                             ms_error *error) {
  if (source == self->schema_source) return MS_OK;
  msi_schema *made = NULL;
  if (source != NULL) {
    ms_status status = msi_schema_new(self->alloc, source, &made, error);
    if (status != MS_OK) return status;
  }
  forget_schema(self);
  self->schema = made;
  if (source != NULL) self->schema_source = ms_value_retain(source);
  return MS_OK;
}

static ms_status need_rules(msi_rulebook *self, const ms_value *source, ms_error *error) {
  const char *text = NULL;
  size_t length = 0;
  void *made = NULL;
  if (source == self->rules_source) return MS_OK;
  if (source != NULL) {
    if (ms_value_to_string(source, &text, &length) != MS_OK)
      return msi_fail(error, MS_EARGUMENT, "rules: a text expected");
    if (!self->has_validator)
      return msi_fail(error, MS_EDENIED, "the host of this share cannot run rules");
    ms_status status =
        self->validator.load(self->validator.ud, text, length, &made, error);
    if (status != MS_OK) return status;
  }
  unload(self);
  if (source != NULL) self->rules_source = ms_value_retain(source);
  self->rules = made;
  return MS_OK;
}

static ms_status ask(msi_rulebook *self, const msi_patch *patch, const ms_value *old_root,
                     const ms_value *new_root, const ms_update *update, ms_error *error) {
  ms_status status = MS_OK;
  if (self->schema != NULL)
    status = msi_schema_check(self->schema, old_root, new_root, update, error);
  if (status != MS_OK || self->rules_source == NULL) return status;
  const ms_attempt attempt = {.bytes = sizeof attempt,
                              .old_root = old_root,
                              .new_root = new_root,
                              .update = update,
                              .origin = patch->origin,
                              .wall_ms = patch->wall_ms};
  return self->validator.check(self->rules, &attempt, error);
}

ms_status msi_rulebook_ask(msi_rulebook *self, const ms_value *desk,
                           const ms_value *desk_after, const msi_patch *patch,
                           const ms_value *old_root, const ms_value *new_root,
                           ms_error *error) {
  const ms_value *schema = find(desk_after, "schema");
  const ms_value *source = find(desk_after, "source");
  if (schema == NULL && source == NULL) return MS_OK;
  bool is_new = schema != find(desk, "schema") || source != find(desk, "source");
  ms_status status = need_schema(self, schema, error);
  if (status == MS_OK) status = need_rules(self, source, error);
  if (status != MS_OK) return status;
  if (is_new) return ask(self, patch, NULL, new_root, NULL, error);
  return ask(self, patch, old_root, new_root, patch->update, error);
}
