/*
 * Making and accepting sockets that do not block, are closed by exec and raise no SIGPIPE: in one call on Linux
 * and the newer BSDs, in several on macOS. Between the calls another thread may fork and exec, so that its child
 * has the descriptor; the guard of a link or listener knows it only later.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "platform.h"
#include "socket.h"

#if MSI_LINUX
int msi_socket_open(void) {
  return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

int msi_socket_accept(int fd) {
  return accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
}
#else
static int socket_prepare(int fd) {
  if (fd < 0) return fd;
  bool done = fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0;
#if defined(SO_NOSIGPIPE)
  int on = 1;
  done = done && setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on) == 0;
#endif
  if (done) return fd;
  int code = errno;
  close(fd);
  errno = code;
  return -1;
}

int msi_socket_open(void) { return socket_prepare(socket(AF_UNIX, SOCK_STREAM, 0)); }

int msi_socket_accept(int fd) { return socket_prepare(accept(fd, NULL, NULL)); }
#endif

#if !defined(MSG_NOSIGNAL)
#define MSG_NOSIGNAL 0 /* SO_NOSIGPIPE, above */
#endif

ssize_t msi_socket_write(int fd, const void *data, size_t bytes) {
  ssize_t put;
  do {
    put = send(fd, data, bytes, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (put < 0 && errno == EINTR);
  return put;
}

ssize_t msi_socket_read(int fd, void *data, size_t bytes) {
  ssize_t got;
  do {
    got = recv(fd, data, bytes, MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  return got;
}
