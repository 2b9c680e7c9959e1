/*
 * An allocator for tests: it counts blocks and bytes, checks the sizes it is told, and
 * fails when it is asked to. Not for several threads at once.
 *
 *   failing_alloc_init(&memory);
 *   failing_alloc_fail_at(&memory, n);  // the n-th request fails, from 0
 *   memory.fail_from_there = true;      // and all after it
 *   ... use &memory.alloc ...
 *   assert_true(failing_alloc_is_clean(&memory));
 */
#ifndef FAILING_ALLOC_H
#define FAILING_ALLOC_H

#include "memshare.h"

typedef struct failing_alloc {
  ms_alloc alloc;
  size_t blocks;        /* alive now */
  size_t bytes;         /* in them */
  size_t bytes_max;     /* the most that were in them at once */
  uint64_t requests;    /* for memory, so far */
  uint64_t fail_at;     /* the request that fails; UINT64_MAX: none */
  bool fail_from_there; /* those after it fail too */
  bool failed;          /* since failing_alloc_fail_at() */
  bool broken;          /* a block came back with another size than it was made with */
} failing_alloc;

void failing_alloc_init(failing_alloc *memory);
/* Counted from the next request on, which is 0. */
void failing_alloc_fail_at(failing_alloc *memory, uint64_t request);
void failing_alloc_never_fail(failing_alloc *memory);
/* No live blocks, no wrong sizes; prints what is left. */
bool failing_alloc_is_clean(const failing_alloc *memory);

#endif
