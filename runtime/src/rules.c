/* What validators make use of: patterns with functions (memshare.h, "rules"). Pure. */
#include "hook.h"

struct ms_rules {
  const ms_alloc *alloc;
  msi_hooks *hooks;
};

ms_status ms_rules_new(const ms_alloc *alloc, ms_rules **out) {
  alloc = msi_alloc_resolve(alloc);
  ms_rules *rules = MSI_NEW(alloc, ms_rules);
  if (rules == NULL) return MS_ENOMEM;
  rules->alloc = alloc;
  ms_status status = msi_hooks_new(alloc, &rules->hooks);
  if (status != MS_OK) {
    MSI_FREE(alloc, rules);
    return status;
  }
  *out = rules;
  return MS_OK;
}

ms_status ms_rules_add(ms_rules *rules, const ms_path *pattern, ms_change_fn fn,
                       void *ud) {
  msi_hook *hook;
  if (pattern == NULL || fn == NULL) return MS_EARGUMENT;
  return msi_hooks_add(rules->hooks, pattern, 0, fn, ud, &hook);
}

ms_status ms_rules_run(ms_rules *rules, const ms_attempt *attempt) {
  const ms_change template = {.bytes = sizeof template,
                              .kind = MS_CHANGE_SET,
                              .origin = attempt->origin,
                              .wall_ms = attempt->wall_ms};
  return msi_hooks_dispatch_update(rules->hooks, attempt->old_root, attempt->new_root,
                                   attempt->update, &template);
}

void ms_rules_free(ms_rules *rules) {
  if (rules == NULL) return;
  msi_hooks_free(rules->hooks);
  MSI_FREE(rules->alloc, rules);
}
