/*
 * Room on the disk (see file_space.h): fallocate() on Linux. Elsewhere zeros are written: posix_fallocate() is
 * refused by some file systems of the BSDs and missing on macOS, whose F_PREALLOCATE reserves without giving
 * blocks to holes.
 */
#include "file_space.h"

#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#include "platform.h"

#if MSI_LINUX
#include <fcntl.h>
#endif

static int zeros_write(int fd, uint64_t offset, uint64_t bytes) {
  static const uint8_t zeros[4096];
  while (bytes > 0) {
    size_t take = bytes < sizeof zeros ? (size_t)bytes : sizeof zeros;
    ssize_t put = pwrite(fd, zeros, take, (off_t)offset);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return put < 0 ? errno : ENOSPC;
    offset += (uint64_t)put;
    bytes -= (uint64_t)put;
  }
  return 0;
}

int msi_file_space_take(int fd, uint64_t offset, uint64_t bytes) {
#if MSI_LINUX
  /* Signals that come in quick succession may interrupt fallocate for ever; writing always gets on. */
  for (int i = 0; i < 8; i++) {
    if (fallocate(fd, 0, (off_t)offset, (off_t)bytes) == 0) return 0;
    if (errno == EOPNOTSUPP || errno == ENOSYS) break;
    if (errno != EINTR) return errno;
  }
#endif
  return zeros_write(fd, offset, bytes);
}
