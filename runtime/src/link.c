/*
 * Links (see link.h), over uv_poll_t and our own send and recv.
 *
 * libuv's streams write with write(2) and sendmsg(2) without MSG_NOSIGNAL, so a peer's
 * death would raise SIGPIPE in the host program, and a guest installs no signal handlers.
 * Therefore libuv only tells when the socket is ready. That also lets bytes wait in one
 * buffer, which may move, since no request of libuv's points into it, and bounds what one
 * link reads in a turn.
 *
 *   DIALLING --timer--> OPEN --error, end, bound--> DOWN --close--> CLOSED --> freed
 *                        '------close with bytes--> LINGERING ---------'
 *
 * Inside OPEN two flags stand for trouble that is not reported yet: `broken` (bound or
 * memory: the timer reports it) and `deaf` (the other end takes no bytes any more: what
 * it sent before is read, up to the first EAGAIN or the end of file, since a closed peer
 * sends nothing later).
 *
 * Whole frames that a turn had no time for wait in the inbox while the link is *held*: an idle handle goes
 * on with them in the next turn, and nothing is read before they are passed on.
 *
 * A callback of the user may close the link: after each one the state is looked at again.
 * The struct stays until the close callbacks, so that is always possible.
 */
#include "link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buffer.h"
#include "fork_guard.h"
#include "socket.h"
#include "system_status.h"

enum {
  PREFIX_BYTES = 4,
  READ_BYTES_FIRST = 4096,      /* what an idle link keeps */
  READ_TURN_BYTES = 256 << 10,  /* one link reads at most in one turn of the loop */
  OUTBOX_KEEP_BYTES = 64 << 10, /* capacity an empty outbox keeps */
  LINGER_MS = 1000
};
/* What is read in a turn takes about this long to be dealt with, so that all others are served
 * within milliseconds however much one link brings. */
static const uint64_t READ_TURN_NS = 500000;

typedef enum link_state {
  LINK_DIALLING,
  LINK_OPEN,
  LINK_DOWN,
  LINK_LINGERING,
  LINK_CLOSED
} link_state;

struct msi_link {
  const ms_alloc *alloc;
  uv_poll_t poll; /* only when fd >= 0 */
  uv_timer_t timer;
  uv_idle_t idle; /* active: the link is held */
  int handles;    /* that libuv still knows */
  int fd;
  uint64_t turn_end; /* uv_hrtime() */
  link_state state;
  bool broken, deaf;
  bool was_full; /* ROOM_BYTES or more were queued, and on_room was not called since */
  int watched;   /* UV_READABLE, UV_WRITABLE */
  const msi_link_events *events;
  void *ud;
  msi_dial_fn done;      /* DIALLING */
  ms_status dial_status; /* DIALLING */
  msi_link_id id;
  int64_t uid, pid;
  msi_buffer inbox;
  size_t
      read_bytes; /* how much is read at once: as fast as it comes in and is dealt with */
  msi_buffer outbox;
  size_t outbox_start; /* bytes before it are written */
  const char *reason;  /* why broken */
  char reason_text[48];
  msi_fork_guard guard; /* while fd >= 0 */
};

static void link_on_poll(uv_poll_t *poll, int status, int events);
static void link_on_timer(uv_timer_t *timer);
static void link_on_idle(uv_idle_t *idle);

/* ------------------------------------------------------------------ lifetime */

static void link_free(msi_link *link) {
  msi_buffer_fini(&link->inbox);
  msi_buffer_fini(&link->outbox);
  MSI_FREE(link->alloc, link);
}

static void link_on_closed(uv_handle_t *handle) {
  msi_link *link = handle->data;
  if (--link->handles == 0) link_free(link);
}

static void link_finish(msi_link *link) {
  MSI_ASSERT(link->state != LINK_CLOSED);
  link->state = LINK_CLOSED;
  if (link->fd >= 0) {
    uv_close((uv_handle_t *)&link->poll, link_on_closed);
    msi_fork_guard_remove(&link->guard);
    close(link->fd); /* libuv has let go of it */
    link->fd = -1;
  }
  uv_close((uv_handle_t *)&link->timer, link_on_closed);
  uv_close((uv_handle_t *)&link->idle, link_on_closed);
}

/* `fd` (-1: none) is taken on success only. */
static ms_status link_new(const ms_alloc *alloc, uv_loop_t *loop, int fd,
                          const msi_link_events *events, void *ud, msi_link **out,
                          ms_error *error) {
  msi_link *link = MSI_NEW(alloc, msi_link);
  if (link == NULL) return msi_fail(error, MS_ENOMEM, "out of memory");
  link->alloc = msi_alloc_resolve(alloc);
  link->fd = fd;
  link->events = events;
  link->ud = ud;
  link->uid = link->pid = -1;
  link->read_bytes = READ_BYTES_FIRST;
  msi_buffer_init(&link->inbox, alloc);
  msi_buffer_init(&link->outbox, alloc);
  if (fd >= 0) {
    msi_socket_peer(fd, &link->uid, &link->pid);
    int code = uv_poll_init(loop, &link->poll, fd);
    if (code != 0) {
      link_free(link);
      return msi_fail_errno(error, -code, "cannot watch a socket");
    }
    link->poll.data = link;
    link->handles++;
    msi_fork_guard_add(&link->guard, fd);
  }
  uv_timer_init(loop, &link->timer);
  uv_idle_init(loop, &link->idle);
  link->timer.data = link->idle.data = link;
  link->handles += 2;
  *out = link;
  return MS_OK;
}

/* Only processes of the same user get in. */
static ms_status peer_check(int fd, ms_error *error) {
  int64_t uid, pid;
  msi_socket_peer(fd, &uid, &pid);
  if (uid == (int64_t)geteuid()) return MS_OK;
  return msi_fail(error, MS_EDENIED, "process %lld of user %lld is refused",
                  (long long)pid, (long long)uid);
}

static void link_watch(msi_link *link, int events) {
  if (link->watched == events) return;
  link->watched = events;
  if (events == 0)
    uv_poll_stop(&link->poll);
  else
    uv_poll_start(&link->poll, events, link_on_poll);
}

/* The callback comes in the next turn of the loop. */
static void link_soon(msi_link *link) {
  uv_timer_start(&link->timer, link_on_timer, 0, 0);
}

/* Report the end. The caller returns at once. */
static void link_down(msi_link *link, const char *reason) {
  MSI_ASSERT(link->state == LINK_OPEN);
  link->state = LINK_DOWN;
  uv_timer_stop(&link->timer);
  uv_idle_stop(&link->idle);
  link_watch(link, 0);
  link->events->on_down(link->ud, link, reason);
}

/* Nothing more goes in or out; on_down follows from the timer. */
static void link_break(msi_link *link, const char *reason) {
  if (link->broken) return;
  link->broken = true;
  link->reason = reason;
  msi_buffer_fini(&link->outbox);
  link->outbox_start = 0;
  link_watch(link, 0);
  link_soon(link);
}

/* ------------------------------------------------------------------- writing */

size_t msi_link_queued(const msi_link *link) {
  return link->outbox.length - link->outbox_start;
}

/* Give the kernel what it takes. False: the other end takes nothing any more. */
static bool outbox_write(msi_link *link) {
  size_t left;
  while ((left = msi_link_queued(link)) > 0) {
    ssize_t put =
        msi_socket_write(link->fd, link->outbox.data + link->outbox_start, left);
    if (put < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS;
    link->outbox_start += (size_t)put;
    if ((size_t)put < left) break;
  }
  if (msi_link_queued(link) > 0) return true;
  link->outbox_start = 0;
  msi_buffer_clear(&link->outbox);
  if (link->outbox.capacity > OUTBOX_KEEP_BYTES) msi_buffer_fini(&link->outbox);
  return true;
}

static void outbox_drop(msi_link *link) {
  msi_buffer_fini(&link->outbox);
  link->outbox_start = 0;
  link->was_full = false;
}

static bool link_writes(const msi_link *link) {
  return link->state == LINK_OPEN && !link->broken && !link->deaf;
}

/* Write, and watch for what follows: room in the socket, a turn in which on_room can
 * be called, or the rest of what a dead peer had sent. */
static void link_write(msi_link *link) {
  if (!outbox_write(link)) {
    link->deaf = true;
    outbox_drop(link);
    link_watch(link, UV_READABLE);
    link_soon(link);
    return;
  }
  bool waits = msi_link_queued(link) > 0 || link->was_full;
  link_watch(link, waits ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

static ms_status outbox_append(msi_link *link, const uint8_t *data, size_t bytes) {
  const uint8_t prefix[PREFIX_BYTES] = {(uint8_t)(bytes >> 24), (uint8_t)(bytes >> 16),
                                        (uint8_t)(bytes >> 8), (uint8_t)bytes};
  /* At least as many bytes are dropped as are moved. */
  if (link->outbox_start >= OUTBOX_KEEP_BYTES &&
      link->outbox_start >= msi_link_queued(link)) {
    msi_buffer_consume(&link->outbox, link->outbox_start);
    link->outbox_start = 0;
  }
  ms_status st = msi_buffer_reserve(&link->outbox, PREFIX_BYTES + bytes);
  if (st == MS_OK) st = msi_buffer_append(&link->outbox, prefix, PREFIX_BYTES);
  if (st == MS_OK) st = msi_buffer_append(&link->outbox, data, bytes);
  return st;
}

void msi_link_send(msi_link *link, const uint8_t *data, size_t bytes) {
  MSI_ASSERT(bytes >= 1 && bytes <= MSI_FRAME_MAX);
  if (!link_writes(link)) return;
  if (msi_link_queued(link) + PREFIX_BYTES + bytes > MSI_LINK_OUTBOX_MAX) {
    link_write(link); /* what was queued in one turn may fit into the socket */
    if (!link_writes(link)) return;
  }
  if (msi_link_queued(link) + PREFIX_BYTES + bytes > MSI_LINK_OUTBOX_MAX) {
    link_break(link, "the peer reads too slowly: its queue is full");
    return;
  }
  if (outbox_append(link, data, bytes) != MS_OK) {
    link_break(link, "out of memory");
    return;
  }
  if (msi_link_queued(link) >= MSI_LINK_ROOM_BYTES) link->was_full = true;
}

void msi_link_flush(msi_link *link) {
  if (link_writes(link) && msi_link_queued(link) > 0) link_write(link);
}

/* The socket takes bytes again. */
static void link_on_writable(msi_link *link) {
  link_write(link);
  if (!link_writes(link) || !link->was_full ||
      msi_link_queued(link) >= MSI_LINK_ROOM_BYTES)
    return;
  link->was_full = false;
  if (msi_link_queued(link) == 0) link_watch(link, UV_READABLE);
  link->events->on_room(link->ud, link);
}

/* ------------------------------------------------------------------- reading */

static size_t frame_bytes(const uint8_t *prefix) {
  return (size_t)prefix[0] << 24 | (size_t)prefix[1] << 16 | (size_t)prefix[2] << 8 |
         prefix[3];
}

/* Make room for the next read: for a frame that is under way at most as much as came
 * of it so far, so that who announces a lot must send it. */
static ms_status inbox_reserve(msi_link *link, size_t *room) {
  msi_buffer *inbox = &link->inbox;
  size_t want = link->read_bytes;
  if (inbox->length >= PREFIX_BYTES) {
    size_t missing = frame_bytes(inbox->data) + PREFIX_BYTES - inbox->length;
    if (want < inbox->length) want = inbox->length;
    if (want > missing) want = missing < READ_BYTES_FIRST ? READ_BYTES_FIRST : missing;
  }
  if (want > READ_TURN_BYTES) want = READ_TURN_BYTES;
  size_t free_bytes = inbox->capacity - inbox->length;
  if (free_bytes < want && (free_bytes < READ_BYTES_FIRST || inbox->length == 0)) {
    ms_status st = msi_buffer_reserve(inbox, want);
    if (st != MS_OK) return st;
    free_bytes = inbox->capacity - inbox->length;
  }
  *room = free_bytes < want ? free_bytes : want;
  return MS_OK;
}

/* After parsing: drop what was passed on, and the memory that a large frame needed. */
static void inbox_settle(msi_link *link, size_t done) {
  msi_buffer *inbox = &link->inbox;
  msi_buffer_consume(inbox, done);
  if (inbox->capacity <= 2 * MSI_LINK_READ_BYTES || inbox->length > READ_BYTES_FIRST)
    return;
  msi_buffer small;
  msi_buffer_init(&small, link->alloc);
  /* Without memory for the smaller one the larger one stays. */
  if (msi_buffer_append(&small, inbox->data, inbox->length) != MS_OK) return;
  msi_buffer_fini(inbox);
  *inbox = small;
}

static bool is_held(const msi_link *link) {
  return uv_is_active((const uv_handle_t *)&link->idle) != 0;
}

/* Pass on whole frames, one at least, as long as the turn lasts. False: the link is not open any more. */
static bool inbox_parse(msi_link *link) {
  const msi_buffer *inbox = &link->inbox;
  size_t at = 0;
  while (inbox->length - at >= PREFIX_BYTES) {
    size_t bytes = frame_bytes(inbox->data + at);
    if (bytes == 0 || bytes > MSI_FRAME_MAX) {
      snprintf(link->reason_text, sizeof link->reason_text, "frame of %zu bytes", bytes);
      link_down(link, link->reason_text);
      return false;
    }
    if (inbox->length - at - PREFIX_BYTES < bytes) break;
    if (at > 0 && uv_hrtime() >= link->turn_end) {
      uv_idle_start(&link->idle, link_on_idle);
      break;
    }
    link->events->on_frame(link->ud, link, inbox->data + at + PREFIX_BYTES, bytes);
    if (link->state != LINK_OPEN || link->broken) return false;
    at += PREFIX_BYTES + bytes;
  }
  inbox_settle(link, at);
  return true;
}

static void link_on_end(msi_link *link, ssize_t got) {
  if (got == 0) {
    link_down(link,
              link->inbox.length > 0 ? "end of file inside a frame" : "end of file");
  } else if (errno == ECONNRESET) {
    link_down(link, "connection reset");
  } else {
    link_down(link, "read error");
  }
}

/* Read more at once, or less, by how long it took to deal with `got` bytes of `room`. */
static void link_pace(msi_link *link, size_t got, size_t room, uint64_t took_ns) {
  if (took_ns > READ_TURN_NS && link->read_bytes > READ_BYTES_FIRST) {
    link->read_bytes /= 2;
  } else if (got == room && took_ns <= READ_TURN_NS / 2 &&
             link->read_bytes < MSI_LINK_READ_BYTES) {
    link->read_bytes *= 2;
  }
}

/* Read for one turn; what is left makes the socket ready again in the next one. */
static void link_read(msi_link *link) {
  uint64_t last = uv_hrtime();
  size_t total = 0;
  link->turn_end = last + READ_TURN_NS;
  if (link->inbox.length > 0 && !inbox_parse(link)) return;
  while (total < READ_TURN_BYTES && last < link->turn_end && !is_held(link)) {
    size_t room;
    if (inbox_reserve(link, &room) != MS_OK) {
      link_down(link, "out of memory");
      return;
    }
    ssize_t got = msi_socket_read(link->fd, link->inbox.data + link->inbox.length, room);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      if (link->deaf) link_down(link, "the peer closed its end");
      return;
    }
    if (got <= 0) {
      link_on_end(link, got);
      return;
    }
    total += (size_t)got;
    link->inbox.length += (size_t)got;
    if (!inbox_parse(link)) return;
    uint64_t now = uv_hrtime();
    link_pace(link, (size_t)got, room, now - last);
    last = now;
    if ((size_t)got < room && !link->deaf) return; /* most likely nothing is left */
  }
}

static void link_on_idle(uv_idle_t *idle) {
  msi_link *link = idle->data;
  uv_idle_stop(idle);
  if (link->state == LINK_OPEN && !link->broken) link_read(link);
}

static void link_on_poll(uv_poll_t *poll, int status, int events) {
  msi_link *link = poll->data;
  if (status < 0) {
    /* libuv has stopped watching. The error lies before the bytes that still wait:
     * take it off, and read; the end of file follows them. */
    int code;
    socklen_t bytes = sizeof code;
    int watched = link->watched;
    link->watched = 0;
    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &code, &bytes) != 0) code = 0;
    link_watch(link, watched);
    events = watched;
  }
  if (link->state == LINK_LINGERING) {
    if (!outbox_write(link) || msi_link_queued(link) == 0) link_finish(link);
    return;
  }
  if ((events & UV_WRITABLE) != 0 && link_writes(link)) link_on_writable(link);
  if ((events & UV_READABLE) != 0 && link->state == LINK_OPEN && !link->broken &&
      !is_held(link))
    link_read(link);
}

/* --------------------------------------------------------------------- timer */

static void link_on_dialled(msi_link *link) {
  msi_dial_fn done = link->done;
  void *ud = link->ud;
  if (link->dial_status != MS_OK) {
    ms_status st = link->dial_status;
    link_finish(link);
    done(ud, st, NULL);
    return;
  }
  link->state = LINK_OPEN;
  link_watch(link, UV_READABLE);
  done(ud, MS_OK, link);
}

static void link_on_timer(uv_timer_t *timer) {
  msi_link *link = timer->data;
  switch (link->state) {
    case LINK_DIALLING: link_on_dialled(link); return;
    case LINK_LINGERING: link_finish(link); return;
    case LINK_OPEN:
      if (link->broken)
        link_down(link, link->reason);
      else if (link->deaf && !is_held(link))
        link_read(link);
      return;
    case LINK_DOWN:
    case LINK_CLOSED: return;
  }
}

/* ------------------------------------------------------------------ external */

ms_status msi_link_adopt(const ms_alloc *alloc, uv_loop_t *loop, int fd,
                         const msi_link_events *events, void *ud, msi_link **out,
                         ms_error *error) {
  msi_link *link = NULL;
  ms_status st = peer_check(fd, error);
  if (st == MS_OK) st = link_new(alloc, loop, fd, events, ud, &link, error);
  if (st != MS_OK) {
    close(fd);
    return st;
  }
  link->state = LINK_OPEN;
  link_watch(link, UV_READABLE);
  *out = link;
  return MS_OK;
}

ms_status msi_link_dial(const ms_alloc *alloc, uv_loop_t *loop,
                        const msi_directory *directory, const char *socket_name,
                        const msi_link_events *events, void *ud, msi_dial_fn done,
                        ms_error *error) {
  int fd = -1;
  /* A connection to a Unix socket is made or refused at once. */
  ms_status dialled = msi_socket_connect(directory, socket_name, &fd, error);
  if (dialled == MS_OK) {
    dialled = peer_check(fd, error);
    if (dialled != MS_OK) {
      close(fd);
      fd = -1;
    }
  }
  msi_link *link = NULL;
  ms_status st = link_new(alloc, loop, fd, events, ud, &link, error);
  if (st != MS_OK) {
    if (fd >= 0) close(fd);
    return st;
  }
  link->state = LINK_DIALLING;
  link->done = done;
  link->dial_status = dialled;
  link_soon(link);
  return MS_OK;
}

void msi_link_close(msi_link *link, bool flush) {
  bool lingers =
      flush && link_writes(link) && outbox_write(link) && msi_link_queued(link) > 0;
  if (!lingers) {
    link_finish(link);
    return;
  }
  link->state = LINK_LINGERING;
  link_watch(link, UV_WRITABLE);
  uv_update_time(link->timer.loop); /* a stale time would end it at once */
  uv_timer_start(&link->timer, link_on_timer, LINGER_MS, 0);
}

static void abandon_handle(uv_handle_t *handle, void *ud) {
  (void)ud;
  if (handle->type != UV_POLL || uv_is_closing(handle)) return;
  if (((uv_poll_t *)handle)->poll_cb != link_on_poll) return;
  msi_link *link = handle->data;
  if (link->state == LINK_LINGERING) link_finish(link);
}

void msi_link_abandon(uv_loop_t *loop) { uv_walk(loop, abandon_handle, NULL); }

int64_t msi_link_uid(const msi_link *link) { return link->uid; }

int64_t msi_link_pid(const msi_link *link) { return link->pid; }

void msi_link_set_id(msi_link *link, msi_link_id id) { link->id = id; }

msi_link_id msi_link_id_of(const msi_link *link) { return link->id; }
