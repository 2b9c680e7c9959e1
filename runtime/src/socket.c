/*
 * Unix sockets by name inside a directory.
 *
 * sun_path holds 108 bytes, directories may be longer. So names are resolved through the
 * descriptor of the directory, as /proc/self/fd/<n>/<name>, and an existing socket
 * through a descriptor of its own. Where /proc is not mounted the plain path serves, as
 * long as it fits.
 */
#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "system_status.h"

static bool address_write(struct sockaddr_un *out, const char *folder, const char *name) {
  *out = (struct sockaddr_un){.sun_family = AF_UNIX};
  int written = snprintf(out->sun_path, sizeof out->sun_path, "%s/%s", folder, name);
  return written > 0 && (size_t)written < sizeof out->sun_path;
}

typedef int (*socket_fn)(int fd, const struct sockaddr *address, socklen_t bytes);

/* bind or connect to /proc/self/fd/<via>/<name>, or, without /proc, to the plain path.
 * 0 or errno. */
static int address_use(socket_fn fn, int fd, const struct sockaddr_un *address) {
  int result;
  do {
    result = fn(fd, (const struct sockaddr *)address, sizeof *address);
  } while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : errno;
}

static bool proc_is_mounted(void) { return access("/proc/self/fd", X_OK) == 0; }

/* ---------------------------------------------------------------- listening */

static int name_bind(int fd, const msi_directory *directory, const char *name) {
  struct sockaddr_un address;
  char folder[64];
  snprintf(folder, sizeof folder, "/proc/self/fd/%d", directory->fd);
  if (address_write(&address, folder, name)) {
    int code = address_use(bind, fd, &address);
    if (code != ENOENT || proc_is_mounted()) return code;
  }
  if (!address_write(&address, directory->path, name)) return ENAMETOOLONG;
  return address_use(bind, fd, &address);
}

ms_status msi_socket_listen(const msi_directory *directory, const char *socket_name,
                            int backlog, int *out, ms_error *error) {
  if (unlinkat(directory->fd, socket_name, 0) != 0 && errno != ENOENT) {
    return msi_fail_errno(error, errno, "cannot replace %s", socket_name);
  }
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return msi_fail_errno(error, errno, "cannot make a socket");
  int code = name_bind(fd, directory, socket_name);
  if (code != 0) {
    close(fd);
    if (code == EADDRINUSE) {
      return msi_fail(error, MS_EBUSY, "%s is made by another process", socket_name);
    }
    return msi_fail_errno(error, code, "cannot bind %s", socket_name);
  }
  if (fchmodat(directory->fd, socket_name, 0600, 0) != 0 || listen(fd, backlog) != 0) {
    code = errno;
    unlinkat(directory->fd, socket_name, 0);
    close(fd);
    return msi_fail_errno(error, code, "cannot listen on %s", socket_name);
  }
  *out = fd;
  return MS_OK;
}

/* --------------------------------------------------------------- connecting */

static int name_connect(int fd, const msi_directory *directory, const char *name) {
  struct sockaddr_un address;
  /* A descriptor of the socket itself: no symbolic link is followed. */
  int node = openat(directory->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (node < 0) return errno;
  struct stat info;
  int code = fstat(node, &info) == 0 && S_ISSOCK(info.st_mode) ? 0 : ECONNREFUSED;
  if (code == 0) {
    char number[16];
    snprintf(number, sizeof number, "%d", node);
    code = ENAMETOOLONG;
    if (address_write(&address, "/proc/self/fd", number)) {
      code = address_use(connect, fd, &address);
      if (code == ENOENT && !proc_is_mounted()) {
        code = address_write(&address, directory->path, name)
                   ? address_use(connect, fd, &address)
                   : ENAMETOOLONG;
      }
    }
  }
  close(node);
  return code;
}

ms_status msi_socket_connect(const msi_directory *directory, const char *socket_name,
                             int *out, ms_error *error) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return msi_fail_errno(error, errno, "cannot make a socket");
  int code = name_connect(fd, directory, socket_name);
  if (code == 0) {
    *out = fd;
    return MS_OK;
  }
  close(fd);
  ms_status st = msi_fail_errno(error, code, "cannot connect to %s", socket_name);
  if (st != MS_ENOENT) return st;
  if (error != NULL) error->status = MS_ENOHOST;
  return MS_ENOHOST;
}

/* --------------------------------------------------------------- connections */

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
