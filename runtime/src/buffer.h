/* A growable run of bytes. Invariant: length <= capacity; data is NULL while capacity is
 * 0. */
#ifndef MSI_BUFFER_H
#define MSI_BUFFER_H

#include "alloc.h"

typedef struct msi_buffer {
  const ms_alloc *alloc;
  uint8_t *data;
  size_t length;
  size_t capacity;
} msi_buffer;

void msi_buffer_init(msi_buffer *buffer, const ms_alloc *alloc);
void msi_buffer_fini(msi_buffer *buffer);
/* Room for `bytes` more; MS_ENOMEM (also on overflow) leaves the buffer as it was. */
MS_CHECKED ms_status msi_buffer_reserve(msi_buffer *buffer, size_t bytes);
MS_CHECKED ms_status msi_buffer_append(msi_buffer *buffer, const void *data,
                                       size_t bytes);
/* Drop bytes from the front (memmove). */
void msi_buffer_consume(msi_buffer *buffer, size_t bytes);
void msi_buffer_clear(msi_buffer *buffer); /* keeps the memory */

#endif
