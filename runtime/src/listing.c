/* ms_list: the shares of a directory, seen from outside. */
#include <string.h>

#include "group.h"

typedef struct listing_walk {
  const msi_directory *directory;
  ms_listing_fn fn;
  void *ud;
} listing_walk;

static bool list_file(void *ud, const char *file) {
  static const char suffix[] = ".group";
  const listing_walk *walk = ud;
  char name[MS_NAME_MAX + 1];
  size_t length = strlen(file);
  if (length < sizeof suffix) return true;
  length -= sizeof suffix - 1;
  if (strcmp(file + length, suffix) != 0 || length > MS_NAME_MAX) return true;
  memcpy(name, file, length);
  name[length] = '\0';
  msi_group_glimpse glimpse;
  if (msi_name_check(name, NULL) != MS_OK) return true;
  /* One that vanished meanwhile, or is none of ours, is no share. */
  if (msi_group_peek(walk->directory, name, &glimpse, NULL) != MS_OK) return true;
  ms_listing listing = {
      .name = name, .group = glimpse.group, .term = glimpse.term, .alive = glimpse.alive};
  walk->fn(walk->ud, &listing);
  return true;
}

ms_status ms_list(const char *dir, ms_listing_fn fn, void *ud, ms_error *error) {
  if (fn == NULL) return msi_fail(error, MS_EARGUMENT, "ms_list needs a function");
  msi_directory directory;
  ms_status st = msi_directory_open(dir, false, &directory, error);
  if (st != MS_OK) return st;
  listing_walk walk = {&directory, fn, ud};
  st = msi_directory_scan(&directory, list_file, &walk);
  if (st != MS_OK) st = msi_fail(error, st, "cannot read directory %s", directory.path);
  msi_directory_close(&directory);
  return st;
}
