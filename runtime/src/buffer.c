/* A growable run of bytes. */
#include "buffer.h"

#include <string.h>

#define BUFFER_BYTES_MIN 64

void msi_buffer_init(msi_buffer *buffer, const ms_alloc *alloc) {
  *buffer = (msi_buffer){.alloc = msi_alloc_resolve(alloc)};
}

void msi_buffer_fini(msi_buffer *buffer) {
  msi_alloc_free(buffer->alloc, buffer->data, buffer->capacity);
  buffer->data = NULL;
  buffer->length = 0;
  buffer->capacity = 0;
}

ms_status msi_buffer_reserve(msi_buffer *buffer, size_t bytes) {
  if (bytes <= buffer->capacity - buffer->length) return MS_OK;
  if (bytes > SIZE_MAX - buffer->length) return MS_ENOMEM;
  size_t need = buffer->length + bytes;
  size_t capacity = buffer->capacity > SIZE_MAX / 2 ? SIZE_MAX : buffer->capacity * 2;
  if (capacity < BUFFER_BYTES_MIN) capacity = BUFFER_BYTES_MIN;
  if (capacity < need) capacity = need;
  uint8_t *data =
      msi_alloc_resize(buffer->alloc, buffer->data, buffer->capacity, capacity);
  if (data == NULL) return MS_ENOMEM;
  buffer->data = data;
  buffer->capacity = capacity;
  return MS_OK;
}

ms_status msi_buffer_append(msi_buffer *buffer, const void *data, size_t bytes) {
  if (bytes == 0) return MS_OK;
  ms_status st = msi_buffer_reserve(buffer, bytes);
  if (st != MS_OK) return st;
  memcpy(buffer->data + buffer->length, data, bytes);
  buffer->length += bytes;
  return MS_OK;
}

void msi_buffer_consume(msi_buffer *buffer, size_t bytes) {
  MSI_ASSERT(bytes <= buffer->length);
  if (bytes == 0) return;
  buffer->length -= bytes;
  if (buffer->length > 0) memmove(buffer->data, buffer->data + bytes, buffer->length);
}

void msi_buffer_clear(msi_buffer *buffer) { buffer->length = 0; }
