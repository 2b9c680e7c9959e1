/* What the tests of the runtime layer share: cmocka's includes and patience. */
#ifndef TEST_SUPPORT_H
#define TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sched.h>
#include <uv.h>

/* How long a test waits for what must happen; generous, since sanitizers and busy machines are slow. */
#define TEST_PATIENCE_NS UINT64_C(20000000000)

/* Yields until `holds` does; false when patience ran out. */
static inline bool test_eventually(bool (*holds)(void *ud), void *ud) {
  uint64_t end = uv_hrtime() + TEST_PATIENCE_NS;
  while (!holds(ud)) {
    if (uv_hrtime() > end) return false;
    sched_yield();
  }
  return true;
}

#endif
