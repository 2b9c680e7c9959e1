/* Memory and error lines. The default allocator is realloc() and free(). */
#include "alloc.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *default_resize(void *ud, void *ptr, size_t old_bytes, size_t new_bytes) {
  (void)ud;
  (void)old_bytes;
  if (new_bytes == 0) {
    free(ptr);
    return NULL;
  }
  return realloc(ptr, new_bytes);
}

static const ms_alloc default_alloc = {default_resize, NULL};

const ms_alloc *msi_alloc_resolve(const ms_alloc *alloc) {
  return alloc == NULL ? &default_alloc : alloc;
}

void *msi_alloc_get(const ms_alloc *alloc, size_t bytes) {
  MSI_ASSERT(bytes > 0);
  alloc = msi_alloc_resolve(alloc);
  return alloc->resize(alloc->ud, NULL, 0, bytes);
}

void *msi_alloc_zero(const ms_alloc *alloc, size_t bytes) {
  void *ptr = msi_alloc_get(alloc, bytes);
  if (ptr != NULL) memset(ptr, 0, bytes);
  return ptr;
}

void *msi_alloc_resize(const ms_alloc *alloc, void *ptr, size_t old_bytes,
                       size_t new_bytes) {
  alloc = msi_alloc_resolve(alloc);
  return alloc->resize(alloc->ud, ptr, old_bytes, new_bytes);
}

void msi_alloc_free(const ms_alloc *alloc, void *ptr, size_t bytes) {
  if (ptr == NULL) return;
  alloc = msi_alloc_resolve(alloc);
  alloc->resize(alloc->ud, ptr, bytes, 0);
}

/* Length of `text` (at most `bytes`) without a UTF-8 sequence that was cut off at its
 * end. */
static size_t whole_utf8(const char *text, size_t bytes) {
  size_t tail = 0; /* continuation bytes at the end */
  while (tail < bytes && tail < 3 &&
         ((unsigned char)text[bytes - 1 - tail] & 0xC0) == 0x80) {
    tail++;
  }
  if (tail == bytes) return bytes;
  unsigned char lead = (unsigned char)text[bytes - 1 - tail];
  size_t need = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
  return tail < need ? bytes - 1 - tail : bytes;
}

ms_status(msi_fail)(ms_error *error, ms_status status, const char *format, ...) {
  if (error == NULL) return status;
  va_list args;
  va_start(args, format);
  int length = vsnprintf(error->message, sizeof error->message, format, args);
  va_end(args);
  error->status = status;
  if (length < 0) error->message[0] = '\0';
  if (length >= (int)sizeof error->message) {
    error->message[whole_utf8(error->message, sizeof error->message - 1)] = '\0';
  }
  return status;
}
