/* Names of sockets inside a directory, however long its path is. */
#ifndef MSI_SOCKET_ADDRESS_H
#define MSI_SOCKET_ADDRESS_H

#include "directory.h"

/* bind(2) and connect(2). 0 or errno; ENAMETOOLONG: this system takes short paths only. No symbolic link is
 * followed in `name`. */
int msi_socket_address_bind(int fd, const msi_directory *directory, const char *name);
int msi_socket_address_connect(int fd, const msi_directory *directory, const char *name);

#endif
