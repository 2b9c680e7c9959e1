/* Unix sockets by name inside a directory: no length limit of sun_path, no signals,
 * nothing blocks. */
#ifndef MSI_SOCKET_H
#define MSI_SOCKET_H

#include <sys/types.h>

#include "directory.h"

/* A bound and listening socket (mode 0600), replacing a leftover of that name. */
MS_CHECKED ms_status msi_socket_listen(const msi_directory *directory,
                                       const char *socket_name, int backlog, int *out,
                                       ms_error *error);
/* A connected socket. MS_ENOHOST: nobody listens there, or its backlog is full. */
MS_CHECKED ms_status msi_socket_connect(const msi_directory *directory,
                                        const char *socket_name, int *out,
                                        ms_error *error);
/* A socket, and a connection to one that listens: they do not block and are closed by exec. -1: see errno. */
int msi_socket_open(void);
int msi_socket_accept(int fd);
/* User and process at the other end; both -1 when unknown. */
void msi_socket_peer(int fd, int64_t *uid, int64_t *pid);
/* As send(2) and recv(2), without SIGPIPE, waiting and EINTR. */
ssize_t msi_socket_write(int fd, const void *data, size_t bytes);
ssize_t msi_socket_read(int fd, void *data, size_t bytes);

#endif
