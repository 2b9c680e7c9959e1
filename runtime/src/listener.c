/* The listener (see link.h): accepts a few links per turn of the loop, refuses those
 * of others. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fork_guard.h"
#include "link.h"
#include "socket.h"
#include "system_status.h"

enum {
  ACCEPT_TURN = 32, /* links in one turn of the loop */
  ACCEPT_PAUSE_MS =
      100 /* without descriptors: trying at once again would only burn time */
};

struct msi_listener {
  const ms_alloc *alloc;
  uv_poll_t poll;
  uv_timer_t timer; /* runs while accepting pauses */
  int handles;
  int fd;
  bool closed;
  int directory_fd; /* a duplicate: the directory may be closed before */
  char name[MSI_FILE_NAME_MAX];
  dev_t device;
  ino_t inode;
  const msi_link_events *events;
  void *ud;
  msi_accept_fn on_link;
  msi_refused_fn on_refused;
  msi_fork_guard guard;
};

static void listener_on_poll(uv_poll_t *poll, int status, int events);

static void listener_on_timer(uv_timer_t *timer) {
  msi_listener *listener = timer->data;
  uv_poll_start(&listener->poll, UV_READABLE, listener_on_poll);
}

static void listener_pause(msi_listener *listener, int code) {
  ms_error error;
  uv_poll_stop(&listener->poll);
  uv_timer_start(&listener->timer, listener_on_timer, ACCEPT_PAUSE_MS, 0);
  ms_status st = msi_fail_errno(&error, code, "cannot accept links for a while");
  (void)st;
  listener->on_refused(listener->ud, error.message);
}

static bool is_shortage(int code) {
  return code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM;
}

static void listener_on_poll(uv_poll_t *poll, int status, int events) {
  msi_listener *listener = poll->data;
  (void)events;
  if (status < 0) { /* libuv has stopped watching */
    listener_pause(listener, -status);
    return;
  }
  for (int i = 0; i < ACCEPT_TURN && !listener->closed; i++) {
    int fd = msi_socket_accept(listener->fd);
    if (fd < 0 && is_shortage(errno)) {
      listener_pause(listener, errno);
      return;
    }
    if (fd < 0 && (errno == EINTR || errno == ECONNABORTED)) continue;
    if (fd < 0) return;
    ms_error error;
    msi_link *link = NULL;
    ms_status st = msi_link_adopt(listener->alloc, poll->loop, fd, listener->events,
                                  listener->ud, &link, &error);
    if (st == MS_OK)
      listener->on_link(listener->ud, link);
    else
      listener->on_refused(listener->ud, error.message);
  }
}

static void listener_on_closed(uv_handle_t *handle) {
  msi_listener *listener = handle->data;
  if (--listener->handles == 0) MSI_FREE(listener->alloc, listener);
}

/* Which file the name stands for now: only that one is unlinked later. */
static ms_status listener_remember(msi_listener *listener, const msi_directory *directory,
                                   const char *socket_name, ms_error *error) {
  struct stat info;
  listener->directory_fd = fcntl(directory->fd, F_DUPFD_CLOEXEC, 3);
  if (listener->directory_fd < 0) {
    return msi_fail_errno(error, errno, "cannot keep %s", directory->path);
  }
  if (fstatat(directory->fd, socket_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return msi_fail_errno(error, errno, "cannot examine %s", socket_name);
  }
  listener->device = info.st_dev;
  listener->inode = info.st_ino;
  memcpy(listener->name, socket_name, strlen(socket_name) + 1);
  return MS_OK;
}

ms_status msi_listener_new(const ms_alloc *alloc, uv_loop_t *loop,
                           const msi_directory *directory, const char *socket_name,
                           const msi_link_events *events, void *ud, msi_accept_fn on_link,
                           msi_refused_fn on_refused, msi_listener **out,
                           ms_error *error) {
  MSI_ASSERT(strlen(socket_name) < MSI_FILE_NAME_MAX);
  msi_listener *listener = MSI_NEW(alloc, msi_listener);
  if (listener == NULL) return msi_fail(error, MS_ENOMEM, "out of memory");
  listener->alloc = msi_alloc_resolve(alloc);
  listener->fd = -1;
  listener->directory_fd = -1;
  listener->events = events;
  listener->ud = ud;
  listener->on_link = on_link;
  listener->on_refused = on_refused;
  ms_status st =
      msi_socket_listen(directory, socket_name, MSI_LISTEN_BACKLOG, &listener->fd, error);
  if (st == MS_OK) st = listener_remember(listener, directory, socket_name, error);
  if (st != MS_OK) goto fail;
  int code = uv_poll_init(loop, &listener->poll, listener->fd);
  if (code != 0) {
    st = msi_fail_errno(error, -code, "cannot watch %s", socket_name);
    goto fail;
  }
  uv_timer_init(loop, &listener->timer);
  listener->poll.data = listener->timer.data = listener;
  listener->handles = 2;
  msi_fork_guard_add(&listener->guard, listener->fd);
  *out = listener;
  return MS_OK;
fail:
  if (listener->fd >= 0) {
    unlinkat(directory->fd, socket_name, 0);
    close(listener->fd);
  }
  if (listener->directory_fd >= 0) close(listener->directory_fd);
  MSI_FREE(alloc, listener);
  return st;
}

ms_status msi_listener_accept(msi_listener *listener) {
  return msi_from_uv(uv_poll_start(&listener->poll, UV_READABLE, listener_on_poll));
}

static bool listener_names(const msi_listener *listener, int directory_fd) {
  struct stat info;
  return fstatat(directory_fd, listener->name, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
         info.st_dev == listener->device && info.st_ino == listener->inode;
}

bool msi_listener_is_named(const msi_listener *listener, const msi_directory *directory) {
  return listener_names(listener, directory->fd);
}

void msi_listener_close(msi_listener *listener, bool unlink_socket) {
  if (listener == NULL) return;
  if (unlink_socket && listener_names(listener, listener->directory_fd)) {
    unlinkat(listener->directory_fd, listener->name, 0);
  }
  listener->closed = true;
  uv_close((uv_handle_t *)&listener->poll, listener_on_closed);
  uv_close((uv_handle_t *)&listener->timer, listener_on_closed);
  msi_fork_guard_remove(&listener->guard);
  close(listener->fd);
  close(listener->directory_fd);
}
