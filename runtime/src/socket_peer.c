/* Who is at the other end of a local socket, as the kernel tells it: each system has its own call. */
#include "socket.h"

#include <sys/socket.h>
#include <unistd.h>

#if !defined(__linux__)
#include <sys/types.h>
#include <sys/un.h>
#endif

void msi_socket_peer(int fd, int64_t *uid, int64_t *pid) {
#if defined(__linux__)
  struct ucred peer;
  socklen_t bytes = sizeof peer;
  bool known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0;
  *uid = known && peer.uid != (uid_t)-1 ? (int64_t)peer.uid : -1;
  *pid = known ? (int64_t)peer.pid : -1;
#else /* macOS, the BSDs */
  uid_t user;
  gid_t group;
  bool known = getpeereid(fd, &user, &group) == 0;
  *uid = known && user != (uid_t)-1 ? (int64_t)user : -1;
  *pid = -1; /* for people only */
#if defined(LOCAL_PEERPID)
  pid_t process;
  socklen_t bytes = sizeof process;
  if (getsockopt(fd, SOL_LOCAL, LOCAL_PEERPID, &process, &bytes) == 0) *pid = process;
#endif
#endif
}
