/* Unix sockets by name inside a directory: listening and connecting (see socket.h). */
#include "socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "socket_address.h"
#include "system_status.h"

ms_status msi_socket_listen(const msi_directory *directory, const char *socket_name,
                            int backlog, int *out, ms_error *error) {
  if (unlinkat(directory->fd, socket_name, 0) != 0 && errno != ENOENT) {
    return msi_fail_errno(error, errno, "cannot replace %s", socket_name);
  }
  int fd = msi_socket_open();
  if (fd < 0) return msi_fail_errno(error, errno, "cannot make a socket");
  int code = msi_socket_address_bind(fd, directory, socket_name);
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

ms_status msi_socket_connect(const msi_directory *directory, const char *socket_name,
                             int *out, ms_error *error) {
  int fd = msi_socket_open();
  if (fd < 0) return msi_fail_errno(error, errno, "cannot make a socket");
  int code = msi_socket_address_connect(fd, directory, socket_name);
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
