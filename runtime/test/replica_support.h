/* What the tests of the replica's parts share. */
#ifndef REPLICA_SUPPORT_H
#define REPLICA_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "entry.h"
#include "failing_alloc.h"

static inline ms_path *rs_path(const ms_alloc *alloc, const char *text) {
  ms_path *path = NULL;
  assert_int_equal(ms_path_parse(alloc, text, strlen(text), &path, NULL), MS_OK);
  return path;
}

static inline ms_update *rs_update(const char *path_text, int64_t number) {
  ms_path *path = rs_path(NULL, path_text);
  const ms_value *operand;
  ms_update *update;
  assert_int_equal(ms_value_new_int(NULL, number, &operand), MS_OK);
  assert_int_equal(
      msi_update_single(NULL, MSI_CODE_SET, path, operand, MS_NULL, &update, NULL),
      MS_OK);
  ms_value_release(operand);
  ms_path_release(path);
  return update;
}

static inline msi_buffer rs_buffer(void) {
  msi_buffer buffer;
  msi_buffer_init(&buffer, msi_alloc_resolve(NULL));
  return buffer;
}

/* One of each kind. REJECT borrows `paths` (two of them) and `update` is of PATCH. */
static inline msi_entry rs_entry(msi_entry_kind kind, ms_update *update,
                                 ms_path **paths) {
  msi_entry entry;
  memset(&entry, 0, sizeof entry);
  entry.kind = kind;
  entry.term = 3;
  entry.version = 1000;
  entry.patch = (msi_patch){.origin = MSI_PEER_MAX,
                            .number = 42,
                            .base = 999,
                            .timestamp = UINT64_C(1) << 60,
                            .wall_ms = -5};
  if (kind == MSI_ENTRY_PATCH || kind == MSI_ENTRY_HOUSE) entry.patch.update = update;
  if (kind == MSI_ENTRY_REJECT) {
    entry.refusal.status = MS_ECONFLICT;
    strcpy(entry.refusal.message, "\"a.b\": lost");
    entry.refusal.path = paths[0];
    entry.refusal.winner_version = 998;
    entry.refusal.winner = 77;
    entry.refusal.winner_wall_ms = 12345;
    entry.refusal.path_count = 2;
    entry.refusal.paths = paths;
  }
  if (kind == MSI_ENTRY_JOIN) {
    entry.member = (msi_member_info){.pid = 4711, .since_ms = 99, .readonly = true};
    strcpy(entry.member.program, "arena");
    memcpy(entry.member.roles, "zone\0gm", sizeof "zone\0gm");
  }
  return entry;
}

#endif
