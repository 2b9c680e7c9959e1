/* Locks of open file descriptions (see file_lock.h). */
#include "file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#if defined(F_OFD_SETLK) /* Linux; macOS with _DARWIN_C_SOURCE */
enum { LOCK_SET = F_OFD_SETLK, LOCK_GET = F_OFD_GETLK };
#else
/*
 * The BSDs have flock(), for whole files: each byte would have to be a file of its own, found by name where now the
 * locks belong to the very file that may be replaced or moved. And they have the locks of POSIX, which belong to the
 * process: they end when it closes any descriptor of the file, were it a script's, and F_GETLK does not see what
 * another member in the same process holds, so that a living host would be taken for dead. Rather no library than
 * two hosts.
 */
#error "this system has no locks of open file descriptions"
#endif

bool msi_file_lock_set(int fd, short type, int64_t start, int64_t bytes) {
  struct flock lock = {
      .l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = bytes};
  int result;
  do {
    result = fcntl(fd, LOCK_SET, &lock);
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

bool msi_file_lock_held(int fd, int64_t start, int64_t bytes, int64_t *held_bytes) {
  struct flock lock = {
      .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = bytes};
  *held_bytes = 1;
  if (fcntl(fd, LOCK_GET, &lock) != 0) return true;
  if (lock.l_type == F_UNLCK) return false;
  *held_bytes = lock.l_len;
  return true;
}
