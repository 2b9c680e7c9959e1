/* The name of this process (see process_name.h): each system tells it in its own way. */
#include "process_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__linux__) /* elsewhere the C library knows */
void msi_process_name(char *out, size_t bytes) {
  snprintf(out, bytes, "?");
  FILE *file = fopen("/proc/self/comm", "re");
  if (file == NULL) return;
  if (fgets(out, (int)bytes, file) != NULL) out[strcspn(out, "\n")] = '\0';
  fclose(file);
}
#else
void msi_process_name(char *out, size_t bytes) {
  const char *name = getprogname();
  snprintf(out, bytes, "%s", name != NULL ? name : "?");
}
#endif
