/*
 * Wakes (see wake.h): an eventfd on Linux, one descriptor and one small write; elsewhere a pipe, whose end is
 * full when it was raised 65,536 times, which does no harm: it is readable.
 */
#include "wake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#include "platform.h"

#if MSI_LINUX
#include <sys/eventfd.h>

bool msi_wake_open(msi_wake *out) {
  int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  *out = (msi_wake){fd, fd};
  return fd >= 0;
}

void msi_wake_raise(const msi_wake *wake) {
  const uint64_t one = 1;
  ssize_t n;
  do n = write(wake->raise_fd, &one, sizeof one);
  while (n < 0 && errno == EINTR); /* EAGAIN: it is readable already */
}

void msi_wake_drain(const msi_wake *wake) {
  uint64_t count;
  ssize_t n;
  do n = read(wake->fd, &count, sizeof count);
  while (n < 0 && errno == EINTR);
}

void msi_wake_close(msi_wake *wake) {
  if (wake->fd >= 0) close(wake->fd);
  *wake = MSI_WAKE_NONE;
}
#else
static bool fd_prepare(int fd) {
  return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
}

bool msi_wake_open(msi_wake *out) {
  int fds[2];
  *out = MSI_WAKE_NONE;
  if (pipe(fds) != 0) return false;
  *out = (msi_wake){fds[0], fds[1]};
  if (fd_prepare(fds[0]) && fd_prepare(fds[1])) return true;
  msi_wake_close(out);
  return false;
}

void msi_wake_raise(const msi_wake *wake) {
  ssize_t n;
  do n = write(wake->raise_fd, "", 1);
  while (n < 0 && errno == EINTR);
}

void msi_wake_drain(const msi_wake *wake) {
  char bytes[256];
  ssize_t n;
  do n = read(wake->fd, bytes, sizeof bytes);
  while (n == (ssize_t)sizeof bytes || (n < 0 && errno == EINTR));
}

void msi_wake_close(msi_wake *wake) {
  if (wake->fd >= 0) close(wake->fd);
  if (wake->raise_fd >= 0) close(wake->raise_fd);
  *wake = MSI_WAKE_NONE;
}
#endif
