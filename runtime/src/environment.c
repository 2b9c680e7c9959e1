/*
 * Variables of the environment (see environment.h): secure_getenv() on Linux, issetugid() on macOS and the BSDs.
 * Both remember how the program was started. POSIX alone has only the ids of now, which serve where neither is:
 * they differ in a set-id program as long as it has not given up either of them.
 */
#include "environment.h"

#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "platform.h"

#if MSI_LINUX
const char *msi_environment_get(const char *name) { return secure_getenv(name); }
#else
static bool has_rights_of_caller(void) {
#if defined(__linux__) /* MSI_PORTABLE */
  return geteuid() == getuid() && getegid() == getgid();
#else
  return issetugid() == 0;
#endif
}

const char *msi_environment_get(const char *name) {
  return has_rights_of_caller() ? getenv(name) : NULL;
}
#endif
