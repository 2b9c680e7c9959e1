/* Random numbers (see random.h): getrandom() where it is, else getentropy(), which never waits for long. */
#include "random.h"

#include <errno.h>
#include <sys/random.h>
#include <unistd.h>

#include "platform.h"

#if MSI_LINUX
uint64_t msi_random_number(void) {
  uint64_t number = 0;
  ssize_t got;
  do got = getrandom(&number, sizeof number, 0);
  while (got < 0 && errno == EINTR);
  return number;
}

bool msi_random_number_now(uint64_t *out) {
  return getrandom(out, sizeof *out, GRND_NONBLOCK) == (ssize_t)sizeof *out;
}
#else /* macOS, the BSDs */
uint64_t msi_random_number(void) {
  uint64_t number = 0;
  return getentropy(&number, sizeof number) == 0 ? number : 0;
}

bool msi_random_number_now(uint64_t *out) { return getentropy(out, sizeof *out) == 0; }
#endif
