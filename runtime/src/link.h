/*
 * Links: framed byte streams between peers over Unix sockets, and the listener that
 * accepts them.
 *
 *   frame: u32 big-endian length (1 ... MSI_FRAME_MAX), then that many bytes
 *
 * Loop side only (the caller holds the runtime's mutex). A link queues outgoing bytes in
 * one bounded buffer; msi_link_flush tries to write them at once on the calling thread
 * and asks libuv for the rest. More than MSI_LINK_OUTBOX_MAX queued bytes breaks the
 * link: a reader that does not read costs a bounded amount and then is cut. After a write
 * error the link still reads to the end of file, since what the other side sent before it
 * died counts.
 */
#ifndef MSI_LINK_H
#define MSI_LINK_H

#include <uv.h>

#include "directory.h"
#include "replica.h"

enum {
  /* Below MSI_LOG_CAPACITY - MSI_FRAME_MAX, see log.h. */
  MSI_LINK_OUTBOX_MAX = 2 * MSI_FRAME_MAX,
  /* Snapshot pieces and patches are queued while less than this waits: it bounds, too, how
   * much of a snapshot is packed in one turn of the loop. */
  MSI_LINK_ROOM_BYTES = 64 << 10,
  MSI_LINK_READ_BYTES = 64 << 10,
  MSI_LISTEN_BACKLOG = 512
};

typedef struct msi_link msi_link;
typedef struct msi_listener msi_listener;

typedef struct msi_link_events {
  /* One frame; bytes are borrowed. May close this link (msi_link_close). */
  void (*on_frame)(void *ud, msi_link *link, const uint8_t *data, size_t bytes);
  /* Queued bytes fell below MSI_LINK_ROOM_BYTES after having been above. */
  void (*on_room)(void *ud, msi_link *link);
  /* Broken: end of file after everything readable was passed on, error, a bad frame or
   * a full outbox. Called once, never from inside msi_link_send or msi_link_flush. The
   * link is closed by its receiver. reason: static or borrowed, such as "end of file",
   * "frame of 99999999 bytes". */
  void (*on_down)(void *ud, msi_link *link, const char *reason);
} msi_link_events;

/* Connect to a socket of the directory. The result comes through `done` in a later
 * loop turn, also on failure: status MS_OK (link is open and reads), MS_ENOHOST
 * (nobody listens, or the backlog is full), MS_EDENIED (another user listens), others
 * of the system; link is NULL then. Long directory paths work (bind and connect
 * through the directory's descriptor where sun_path is too short). */
typedef void (*msi_dial_fn)(void *ud, ms_status status, msi_link *link);
MS_CHECKED ms_status msi_link_dial(const ms_alloc *alloc, uv_loop_t *loop,
                                   const msi_directory *directory,
                                   const char *socket_name, const msi_link_events *events,
                                   void *ud, msi_dial_fn done, ms_error *error);
/* Append a frame to the outbox. A failure (memory, bound) breaks the link; on_down
 * follows later. */
void msi_link_send(msi_link *link, const uint8_t *data, size_t bytes);
/* Try to write now; what the kernel does not take is written when it can. */
void msi_link_flush(msi_link *link);
size_t msi_link_queued(const msi_link *link); /* bytes not yet given to the kernel */
/* Close without on_down; flush: what is queued is written first for as long as the
 * peer takes it (at most a second). The link must not be used any more. Its memory
 * goes when libuv is done with it. */
void msi_link_close(msi_link *link, bool flush);
/* End at once what links of this loop that were closed with flush still write: for who
 * is about to close the loop and does not want to wait. */
void msi_link_abandon(uv_loop_t *loop);
/* uid of the process at the other end; -1 unknown. */
int64_t msi_link_uid(const msi_link *link);
int64_t msi_link_pid(const msi_link *link);
void msi_link_set_id(msi_link *link, msi_link_id id); /* the replica's name for it */
msi_link_id msi_link_id_of(const msi_link *link);

/* A link over a connected socket. The descriptor is taken. MS_EDENIED: the other end
 * is another user's. */
MS_CHECKED ms_status msi_link_adopt(const ms_alloc *alloc, uv_loop_t *loop, int fd,
                                    const msi_link_events *events, void *ud,
                                    msi_link **out, ms_error *error);

/* Bind and listen, replacing a leftover socket of that name (mode 0600). Connections
 * wait in the backlog until msi_listener_accept. Links of another user are refused and
 * logged. */
typedef void (*msi_accept_fn)(void *ud, msi_link *link);
typedef void (*msi_refused_fn)(void *ud, const char *reason);
MS_CHECKED ms_status msi_listener_new(const ms_alloc *alloc, uv_loop_t *loop,
                                      const msi_directory *directory,
                                      const char *socket_name,
                                      const msi_link_events *events, void *ud,
                                      msi_accept_fn on_link, msi_refused_fn on_refused,
                                      msi_listener **out, ms_error *error);
MS_CHECKED ms_status msi_listener_accept(msi_listener *listener);
/* Does the name in that directory still stand for this listener's socket? */
bool msi_listener_is_named(const msi_listener *listener, const msi_directory *directory);
/* Closes; unlinks the socket when `unlink_socket`. Accepts NULL. */
void msi_listener_close(msi_listener *listener, bool unlink_socket);

#endif
