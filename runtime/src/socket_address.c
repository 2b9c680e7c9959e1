/*
 * Addresses of sockets (see socket_address.h).
 *
 * sun_path holds 108 bytes, 104 on other systems, and directories may be longer. So on Linux names are resolved
 * through the descriptor of the directory, as /proc/self/fd/<n>/<name>, and an existing socket through a
 * descriptor of its own. Elsewhere, and where /proc is not mounted, the plain path serves as long as it fits; the
 * directory is ours alone, so that nobody can put a link there between looking and connecting.
 */
#include "socket_address.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "platform.h"

static bool address_write(struct sockaddr_un *out, const char *folder, const char *name) {
  *out = (struct sockaddr_un){.sun_family = AF_UNIX};
  int written = snprintf(out->sun_path, sizeof out->sun_path, "%s/%s", folder, name);
  return written > 0 && (size_t)written < sizeof out->sun_path;
}

typedef int (*socket_fn)(int fd, const struct sockaddr *address, socklen_t bytes);

static int address_use(socket_fn fn, int fd, const struct sockaddr_un *address) {
  int result;
  do {
    result = fn(fd, (const struct sockaddr *)address, sizeof *address);
  } while (result != 0 && errno == EINTR);
  return result == 0 ? 0 : errno;
}

static int plain_use(socket_fn fn, int fd, const msi_directory *directory,
                     const char *name) {
  struct sockaddr_un address;
  if (!address_write(&address, directory->path, name)) return ENAMETOOLONG;
  return address_use(fn, fd, &address);
}

#if MSI_LINUX
static bool proc_is_mounted(void) { return access("/proc/self/fd", X_OK) == 0; }

int msi_socket_address_bind(int fd, const msi_directory *directory, const char *name) {
  struct sockaddr_un address;
  char folder[64];
  snprintf(folder, sizeof folder, "/proc/self/fd/%d", directory->fd);
  if (address_write(&address, folder, name)) {
    int code = address_use(bind, fd, &address);
    if (code != ENOENT || proc_is_mounted()) return code;
  }
  return plain_use(bind, fd, directory, name);
}

int msi_socket_address_connect(int fd, const msi_directory *directory, const char *name) {
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
        code = plain_use(connect, fd, directory, name);
      }
    }
  }
  close(node);
  return code;
}
#else
int msi_socket_address_bind(int fd, const msi_directory *directory, const char *name) {
  return plain_use(bind, fd, directory, name);
}

int msi_socket_address_connect(int fd, const msi_directory *directory, const char *name) {
  struct stat info;
  if (fstatat(directory->fd, name, &info, AT_SYMLINK_NOFOLLOW) != 0) return errno;
  if (!S_ISSOCK(info.st_mode)) return ECONNREFUSED;
  return plain_use(connect, fd, directory, name);
}
#endif
