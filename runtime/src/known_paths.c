/* Compiled paths by their text. See known_paths.h. */
#include "known_paths.h"

#include <assert.h>
#include <string.h>

static_assert(MSI_KNOWN_PATHS == 64, "slot_of takes six bits");

static msi_known_path *slot_of(msi_known_paths *known, const char *text, size_t length) {
  uint64_t hash = length;
  for (size_t i = 0; i < length; i++) {
    hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x9e3779b97f4a7c15);
  }
  return &known->slots[hash >> 58];
}

ms_status msi_known_paths_get(msi_known_paths *known, const ms_alloc *alloc,
                              const char *text, ms_path **out, ms_error *error) {
  size_t length = strlen(text);
  if (length == 0 || length > MSI_KNOWN_BYTES) {
    return ms_path_parse(alloc, text, length, out, error);
  }
  msi_known_path *slot = slot_of(known, text, length);
  if (slot->path == NULL || slot->length != length ||
      memcmp(slot->text, text, length) != 0) {
    ms_path *path = NULL;
    ms_status status = ms_path_parse(alloc, text, length, &path, error);
    if (status != MS_OK) return status;
    ms_path_release(slot->path);
    slot->path = path;
    slot->length = (uint8_t)length;
    memcpy(slot->text, text, length);
  }
  *out = ms_path_retain(slot->path);
  return MS_OK;
}

void msi_known_paths_fini(msi_known_paths *known) {
  for (size_t i = 0; i < MSI_KNOWN_PATHS; i++) {
    ms_path_release(known->slots[i].path);
    known->slots[i].path = NULL;
  }
}
