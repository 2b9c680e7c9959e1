/*
 * Known paths: a program that names places by text mostly names the same ones again and again, so their
 * compiled paths are kept. Owner's side, one per share.
 */
#ifndef MSI_KNOWN_PATHS_H
#define MSI_KNOWN_PATHS_H

#include "path.h"

enum {
  MSI_KNOWN_PATHS = 64,
  MSI_KNOWN_BYTES = 64 /* of a text; longer ones are compiled each time */
};

typedef struct msi_known_path {
  ms_path *path; /* retained; NULL: none */
  uint8_t length;
  char text[MSI_KNOWN_BYTES];
} msi_known_path;

typedef struct msi_known_paths {
  msi_known_path slots[MSI_KNOWN_PATHS]; /* by the hash of the text */
} msi_known_paths;

/* As ms_path_parse(): *out is retained. A text that is known needs no memory. */
MS_CHECKED ms_status msi_known_paths_get(msi_known_paths *known, const ms_alloc *alloc,
                                         const char *text, ms_path **out,
                                         ms_error *error);
void msi_known_paths_fini(msi_known_paths *known);

#endif
