/*
 * The driver: one uv_loop_t, the mutex that guards it and everything on it, and the stand-in thread.
 *
 * The owner drives the loop itself while it waits in a poll, since waking another thread costs more
 * than all our code. When the owner has been away for about two milliseconds the stand-in drives, so
 * that a script that computes, or a frame that renders, goes on hosting, forwarding and answering.
 *
 *   owner                              stand-in
 *   poll: enter, turn ..., leave       naps of 2 ms while the owner comes and goes
 *   call: visit ... depart             drives while the owner stays away: turn, poll(backend, nudge);
 *                                      at once where it stayed away before its last poll, too
 *                                      sleeps deeply once the owner stays in its poll
 *
 * Who holds the mutex is the loop side. The stand-in starts with every signal blocked.
 */
#ifndef MSI_DRIVER_H
#define MSI_DRIVER_H

#include <uv.h>

#include "alloc.h"

typedef struct msi_driver msi_driver;

/* Runs at the end of each loop turn and before the loop sleeps, on the loop side: what was queued
 * during the turn is sent in one piece. True: there is more to do, the loop shall not sleep. */
typedef bool (*msi_turn_fn)(void *ud);

MS_CHECKED ms_status msi_driver_new(const ms_alloc *alloc, msi_turn_fn on_turn, void *ud,
                                    msi_driver **out, ms_error *error);
/* Joins the stand-in, closes the loop. All handles of others are closed already. Accepts NULL. */
void msi_driver_free(msi_driver *driver);
uv_loop_t *msi_driver_loop(msi_driver *driver);

/* ----- owner: a poll. Between enter and leave the owner is the loop side. */
void msi_driver_enter(msi_driver *driver);
/* One turn of the loop; sleeps up to `timeout_ms` (negative: without end) unless something is due,
 * msi_driver_interrupt was called or a wake is pending. */
void msi_driver_turn(msi_driver *driver, int64_t timeout_ms);
void msi_driver_leave(msi_driver *driver);
/* The owner gets on with what it has to tell, and nobody else hangs on its loop: to the stand-in it counts as
 * another poll, and for a while it leaves the loop to the owner, until that has told all. */
void msi_driver_progress(msi_driver *driver);
void msi_driver_told(msi_driver *driver);

/*
 * Owner: it turned the loop less than QUIET_NS ago, found nothing (`calm`, said with msi_driver_rest), and
 * has not touched the loop side since; nobody wakes it. Then another turn would only cost its system call.
 */
bool msi_driver_is_quiet(const msi_driver *driver, uint64_t now);
/* Owner, after leave: nothing came. */
void msi_driver_rest(msi_driver *driver);

/* ----- owner: a call outside of polls that touches the loop side */
void msi_driver_visit(msi_driver *driver);
typedef enum msi_departure {
  MSI_DEPART_QUIET,    /* nothing on the loop changed */
  MSI_DEPART_DEFERRED, /* bytes wait to be flushed within about a millisecond */
  MSI_DEPART_CHANGED   /* a timer, watcher or write was started */
} msi_departure;
void msi_driver_depart(msi_driver *driver, msi_departure what);

/* ----- loop side: makes the owner's turn return soon; when the owner is away, its descriptor becomes
 * readable instead. */
void msi_driver_interrupt(msi_driver *driver);

/* ----- any thread, also a signal handler: the owner's poll, or its next one, returns. */
void msi_driver_wake(msi_driver *driver);
/* Owner: was it woken since the last call? */
bool msi_driver_take_wake(msi_driver *driver);

/* Readable after msi_driver_interrupt, _notice or _wake until msi_driver_calm. */
int msi_driver_fd(msi_driver *driver);
/* Did somebody ask for it? */
bool msi_driver_is_watched(const msi_driver *driver);
/* Owner: work is left; the descriptor, if somebody asked for it, becomes readable. */
void msi_driver_notice(msi_driver *driver);
/* Owner, between enter and leave: it has taken everything. */
void msi_driver_calm(msi_driver *driver);

/* Turns driven by the stand-in so far: for tests. */
uint64_t msi_driver_standin_turns(const msi_driver *driver);

#endif
