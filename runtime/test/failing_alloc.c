/* Each block begins with its size, so that what the library says about it can be checked.
 * */
#include "failing_alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_BYTES 16 /* keeps the alignment of malloc */

static bool request_fails(failing_alloc *memory) {
  uint64_t request = memory->requests++;
  bool fails =
      memory->fail_from_there ? request >= memory->fail_at : request == memory->fail_at;
  memory->failed |= fails;
  return fails;
}

/* Always moves, so that a pointer kept across a resize is found. */
static void *failing_resize(void *ud, void *ptr, size_t old_bytes, size_t new_bytes) {
  failing_alloc *memory = ud;
  char *old = ptr == NULL ? NULL : (char *)ptr - HEAD_BYTES;
  size_t had = 0;
  if (old != NULL) memcpy(&had, old, sizeof had);
  if (had != old_bytes) memory->broken = true;
  char *block = NULL;
  if (new_bytes > 0) {
    if (new_bytes > had && request_fails(memory)) return NULL;
    block = malloc(HEAD_BYTES + new_bytes);
    if (block == NULL) abort();
    memcpy(block, &new_bytes, sizeof new_bytes);
    memset(block + HEAD_BYTES, 0xA5, new_bytes);
    if (old != NULL) {
      memcpy(block + HEAD_BYTES, ptr, had < new_bytes ? had : new_bytes);
    }
    memory->blocks++;
    memory->bytes += new_bytes;
    if (memory->bytes > memory->bytes_max) memory->bytes_max = memory->bytes;
  }
  if (old != NULL) {
    memory->blocks--;
    memory->bytes -= had;
    free(old);
  }
  return block == NULL ? NULL : block + HEAD_BYTES;
}

void failing_alloc_init(failing_alloc *memory) {
  memset(memory, 0, sizeof *memory);
  memory->alloc.resize = failing_resize;
  memory->alloc.ud = memory;
  memory->fail_at = UINT64_MAX;
}

void failing_alloc_fail_at(failing_alloc *memory, uint64_t request) {
  memory->fail_at = memory->requests + request;
  memory->failed = false;
}

void failing_alloc_never_fail(failing_alloc *memory) { memory->fail_at = UINT64_MAX; }

bool failing_alloc_is_clean(const failing_alloc *memory) {
  if (memory->broken) fprintf(stderr, "a block came back with another size\n");
  if (memory->blocks > 0) {
    fprintf(stderr, "%zu blocks with %zu bytes are left\n", memory->blocks,
            memory->bytes);
  }
  return !memory->broken && memory->blocks == 0;
}
