/*
 * The station (see station.h): msi_port on real files and sockets.
 *
 * Frames that a replica sends are queued on their link, which is marked; marked links are flushed at the
 * end of the loop turn, so that frames of one turn leave together.
 * An owner's write outside of polls is flushed at once when the last flush is a while ago, else it is
 * left for the stand-in: a burst of assignments costs one system call, a single one waits for nothing.
 * In the same way a host's own patches in a row are decided at the next turn of the loop, which is the
 * owner's poll or the stand-in's; whatever else happens to the replica finds them decided.
 */
#include "station.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "link_table.h"
#include "random.h"
#include "rendezvous.h"

enum {
  ENROL_TRIES = 32,
  FLUSH_BYTES = 64 << 10 /* queued bytes that are not left waiting */
};
static const uint64_t FLUSH_PAUSE_NS =
    50000; /* an owner's writes closer than this go together */
/* When the stand-in does not come by: how long a host's own patches wait, and how many. */
static const uint64_t DECIDE_PAUSE_NS = 4000000;
enum { LATER_MAX = 1024 };

struct msi_station {
  const ms_alloc *alloc;
  msi_driver *driver;
  msi_grave *grave;
  char name[MS_NAME_MAX + 1];
  char program[64];
  bool must_exist;
  bool closed;
  ms_log_fn log;
  void *log_ud;
  ms_log_level log_level;
  ms_clock_fn clock;
  void *clock_ud;

  msi_rendezvous rendezvous;
  uint64_t mend_at; /* when the files are looked after again */
  bool mends;       /* the last time as host */
  bool mend_failed; /* and has said so */

  msi_replica *replica;
  msi_mailbox mailbox;
  uv_timer_t timer;
  uint64_t timer_due; /* UINT64_MAX: not started */

  msi_link_table links;

  uint64_t dial_term; /* 0: no dial under way */
  bool dial_failed;   /* to be reported in a loop turn of its own */
  bool dial_pending;  /* the link layer will call on_dialled */

  uint64_t submitted_at; /* the owner's last patch; 0: the loop has turned since */
  uint64_t later_since;  /* the first of the patches to be decided later */
  size_t later_count;
};

static void station_settle(msi_station *station);

static void station_log(msi_station *station, ms_log_level level, const char *line) {
  if (station->log == NULL || level < station->log_level) return;
  char text[MS_MESSAGE_MAX + MS_NAME_MAX + 8];
  snprintf(text, sizeof text, "%s: %s", station->name, line);
  station->log(station->log_ud, level, text);
}

/* --------------------------------------------------------------------- links */

void msi_station_decide(msi_station *station) {
  if (station->later_count == 0) return;
  station->later_count = 0;
  msi_replica_drain(station->replica, uv_hrtime());
}

void msi_station_flush(msi_station *station) {
  station->submitted_at = 0; /* the next patch is the first of a row */
  if (station->later_count > 0) {
    msi_station_decide(station);
    station_settle(station);
  }
  (void)msi_link_table_flush(&station->links);
}

static void port_send(void *ud, msi_link_id id, const uint8_t *frame, size_t bytes) {
  msi_station *station = ud;
  msi_link *link = msi_link_table_find(&station->links, id);
  if (link == NULL) return;
  msi_link_send(link, frame, bytes);
  msi_link_table_mark(&station->links, id);
}

static size_t port_room(void *ud, msi_link_id id) {
  const msi_station *station = ud;
  const msi_link *link = msi_link_table_find(&station->links, id);
  if (link == NULL) return 0;
  size_t queued = msi_link_queued(link);
  return queued >= MSI_LINK_ROOM_BYTES ? 0 : MSI_LINK_ROOM_BYTES - queued;
}

static void port_cut(void *ud, msi_link_id id, bool flush, const char *reason) {
  msi_station *station = ud;
  msi_link *link = msi_link_table_remove(&station->links, id);
  if (link == NULL) return;
  char line[MS_MESSAGE_MAX];
  snprintf(line, sizeof line, "link to process %lld closed: %s",
           (long long)msi_link_pid(link), reason);
  station_log(station, MS_LOG_DEBUG, line);
  msi_link_close(link, flush);
}

static void on_frame(void *ud, msi_link *link, const uint8_t *data, size_t bytes) {
  msi_station *station = ud;
  if (station->closed) return;
  /* A host that has lost its files goes on in others: whoever hears of it is there by then. */
  if (msi_rendezvous_has_moved(&station->rendezvous)) {
    msi_rendezvous_tend(&station->rendezvous);
  }
  msi_station_decide(station); /* what was written before came before */
  msi_replica_message(station->replica, uv_hrtime(), msi_link_id_of(link), data, bytes);
  station_settle(station);
}

static void on_room(void *ud, msi_link *link) {
  msi_station *station = ud;
  if (station->closed) return;
  msi_replica_writable(station->replica, uv_hrtime(), msi_link_id_of(link));
  station_settle(station);
}

/* Peers come and go; whatever else ends a link is worth a warning. */
static ms_log_level level_of(const char *reason) {
  static const char *const ENDS[] = {"end of file", "end of file inside a frame",
                                     "connection reset", "the peer closed its end"};
  for (size_t i = 0; i < sizeof ENDS / sizeof *ENDS; i++) {
    if (strcmp(reason, ENDS[i]) == 0) return MS_LOG_INFO;
  }
  return MS_LOG_WARNING;
}

static void on_down(void *ud, msi_link *link, const char *reason) {
  msi_station *station = ud;
  msi_link_id id = msi_link_id_of(link);
  (void)msi_link_table_remove(&station->links, id);
  char line[MS_MESSAGE_MAX];
  snprintf(line, sizeof line, "link to process %lld is down: %s",
           (long long)msi_link_pid(link), reason);
  station_log(station, level_of(reason), line);
  msi_link_close(link, false);
  if (station->closed) return;
  msi_replica_link_down(station->replica, uv_hrtime(), id);
  station_settle(station);
}

static const msi_link_events LINK_EVENTS = {on_frame, on_room, on_down};

static void on_accepted(void *ud, msi_link *link) {
  msi_station *station = ud;
  msi_link_id id = station->closed ? 0 : msi_link_table_add(&station->links, link);
  if (id == 0) {
    station_log(station, MS_LOG_WARNING, "no room for another link");
    msi_link_close(link, false);
    return;
  }
  msi_replica_accepted(station->replica, uv_hrtime(), id);
  station_settle(station);
}

static void on_refused(void *ud, const char *reason) {
  station_log(ud, MS_LOG_WARNING, reason);
}

/* ------------------------------------------------------------------- dialling */

static void station_free(msi_station *station);

static void dial_report(msi_station *station, msi_link_id id) {
  uint64_t term = station->dial_term;
  station->dial_term = 0;
  if (id != 0) msi_rendezvous_keep_log(&station->rendezvous, term);
  msi_replica_dialled(station->replica, uv_hrtime(), term, id);
  station_settle(station);
}

static void on_dialled(void *ud, ms_status status, msi_link *link) {
  msi_station *station = ud;
  station->dial_pending = false;
  if (station->closed) {
    if (status == MS_OK) msi_link_close(link, false);
    station_free(station);
    return;
  }
  msi_link_id id = 0;
  if (status == MS_OK) {
    id = msi_link_table_add(&station->links, link);
    if (id == 0) msi_link_close(link, false);
  }
  dial_report(station, id);
}

static void port_dial(void *ud, uint64_t term) {
  msi_station *station = ud;
  char socket_name[MS_NAME_MAX + 32];
  msi_directory_socket_name(station->name, term, socket_name, sizeof socket_name);
  station->dial_term = term;
  ms_error error;
  ms_status status = msi_link_dial(station->alloc, msi_driver_loop(station->driver),
                                   &station->rendezvous.directory, socket_name,
                                   &LINK_EVENTS, station, on_dialled, &error);
  station->dial_pending = status == MS_OK;
  station->dial_failed = status != MS_OK;
  if (status != MS_OK) station_log(station, MS_LOG_DEBUG, error.message);
}

/* ----------------------------------------------------------------- enrolment */

static uint64_t port_random(void *ud) {
  (void)ud;
  return msi_random_number();
}

static msi_enrolment port_enrol(void *ud, uint64_t peer, bool may_found, uint64_t *group,
                                uint64_t *term, ms_error *error) {
  msi_station *station = ud;
  bool founded = false;
  ms_status status = MS_EBUSY;
  for (int i = 0; i < ENROL_TRIES && status == MS_EBUSY; i++) {
    status = msi_rendezvous_enrol(&station->rendezvous, peer, msi_random_number() | 1,
                                  may_found && !station->must_exist, &founded, error);
  }
  if (status != MS_OK) return MSI_ENROLLED_FAILED;
  *group = msi_group_id(station->rendezvous.group);
  *term = msi_rendezvous_term(&station->rendezvous);
  return founded ? MSI_ENROLLED_FOUNDED : MSI_ENROLLED_JOINED;
}

/* ---------------------------------------------------------------- group file */

static bool port_mark_complete(void *ud) {
  return msi_rendezvous_mark_complete(&((msi_station *)ud)->rendezvous);
}

static uint64_t port_term(void *ud) {
  return msi_rendezvous_term(&((msi_station *)ud)->rendezvous);
}

static bool port_term_lock_free(void *ud, uint64_t term) {
  return msi_group_term_lock_free(((msi_station *)ud)->rendezvous.group, term);
}

static bool port_take_term_lock(void *ud, uint64_t term) {
  return msi_rendezvous_take_term_lock(&((msi_station *)ud)->rendezvous, term);
}

static void port_drop_term_lock(void *ud, uint64_t term) {
  msi_rendezvous_drop_term_lock(&((msi_station *)ud)->rendezvous, term);
}

static bool port_member_alive(void *ud, uint64_t peer) {
  return msi_rendezvous_member_alive(&((msi_station *)ud)->rendezvous, peer);
}

static uint64_t port_heartbeat(void *ud) {
  return msi_group_heartbeat(((msi_station *)ud)->rendezvous.group);
}

static void port_beat(void *ud) { msi_group_beat(((msi_station *)ud)->rendezvous.group); }

static bool port_raise_term(void *ud, uint64_t from, uint64_t to) {
  return msi_group_raise_term(((msi_station *)ud)->rendezvous.group, from, to);
}

/* ----------------------------------------------------------------------- log */

static ms_status port_prepare(void *ud, uint64_t term, ms_error *error) {
  return msi_rendezvous_prepare(&((msi_station *)ud)->rendezvous, term, error);
}

static void port_discard(void *ud, uint64_t term) {
  msi_rendezvous *rendezvous = &((msi_station *)ud)->rendezvous;
  if (rendezvous->own_term == term) msi_rendezvous_discard(rendezvous);
}

static void port_log_info(void *ud, uint64_t term, msi_log_info *out) {
  memset(out, 0, sizeof *out);
  const msi_rendezvous *rendezvous = &((msi_station *)ud)->rendezvous;
  msi_log *log = msi_rendezvous_borrow_log(rendezvous, term);
  if (log == NULL) return;
  msi_log_inspect(log, out);
  msi_rendezvous_return_log(rendezvous, log);
}

static bool port_log_read(void *ud, uint64_t term, uint64_t after, msi_log_fn fn,
                          void *fn_ud) {
  msi_station *station = ud;
  msi_log *log = msi_rendezvous_borrow_log(&station->rendezvous, term);
  if (log == NULL) return false;
  bool whole = msi_log_read(log, station->alloc, after, fn, fn_ud);
  msi_rendezvous_return_log(&station->rendezvous, log);
  return whole;
}

static void port_mark_ready(void *ud, uint64_t term, uint64_t base, uint64_t previous) {
  msi_station *station = ud;
  MSI_ASSERT(station->rendezvous.own_term == term);
  (void)term;
  msi_log_mark_ready(station->rendezvous.history, base, previous);
  if (msi_listener_accept(station->rendezvous.listener) != MS_OK) {
    station_log(station, MS_LOG_ERROR, "cannot listen: no peer can reach this host");
  }
}

static void port_sweep(void *ud, uint64_t term) {
  msi_station *station = ud;
  msi_directory_sweep(&station->rendezvous.directory, station->name, term);
}

static ms_status port_commit(void *ud, uint64_t term, uint64_t version,
                             const uint8_t *data, size_t bytes, bool *current) {
  msi_rendezvous *rendezvous = &((msi_station *)ud)->rendezvous;
  if (rendezvous->own_term != term) {
    *current = false;
    return MS_OK;
  }
  ms_status status = msi_rendezvous_append(rendezvous, version, data, bytes);
  if (status != MS_OK) return status;
  *current = msi_group_term(rendezvous->group) == term;
  return MS_OK;
}

/* ------------------------------------------------------------------- results */

static void port_deliver(void *ud, const msi_delivery *delivery) {
  msi_station *station = ud;
  msi_mailbox_put(&station->mailbox, station->rendezvous.peer, delivery);
  msi_driver_interrupt(station->driver);
}

static void port_bury(void *ud, const ms_value *value) {
  msi_station *station = ud;
  msi_grave_bury(station->grave, value);
}

static int64_t port_wall_ms(void *ud) {
  const msi_station *station = ud;
  if (station->clock != NULL) return station->clock(station->clock_ud);
  uv_timeval64_t now;
  if (uv_gettimeofday(&now) != 0) return 0;
  return now.tv_sec * 1000 + now.tv_usec / 1000;
}

static void port_log(void *ud, ms_log_level level, const char *line) {
  station_log(ud, level, line);
}

/* --------------------------------------------------------------------- timer */

/* A host looks whether its files are still where others look for them; everybody else, which files
 * are still needed. A new host looks at once. */
static void station_mend(msi_station *station, uint64_t now) {
  msi_replica_info info;
  msi_replica_inspect(station->replica, &info);
  bool is_host = info.state == MS_SHARE_HOST;
  if (now < station->mend_at && is_host == station->mends) return;
  station->mends = is_host;
  station->mend_at = now + MSI_TICK_NS;
  if (!is_host) {
    msi_rendezvous_tend(&station->rendezvous);
    return;
  }
  ms_error error = {MS_OK, ""};
  bool mended = false;
  ms_status status = msi_rendezvous_mend(&station->rendezvous, &mended, &error);
  if (mended) {
    station_log(station, MS_LOG_WARNING,
                "files of this share had vanished and are made anew");
  } else if (status != MS_OK && !station->mend_failed) {
    char line[MS_MESSAGE_MAX];
    snprintf(line, sizeof line, "files of this share have vanished: %.200s",
             error.message);
    station_log(station, MS_LOG_ERROR, line);
  }
  station->mend_failed = status != MS_OK;
}

static void on_timer(uv_timer_t *timer) {
  msi_station *station = timer->data;
  station->timer_due = UINT64_MAX;
  if (station->dial_failed) {
    station->dial_failed = false;
    dial_report(station, 0);
  }
  uint64_t now = uv_hrtime();
  msi_replica_tick(station->replica, now);
  station_mend(station, now);
  station_settle(station);
}

/* After every event: start the timer for what the replica wants next. */
static void station_settle(msi_station *station) {
  uint64_t now = uv_hrtime();
  uint64_t due = station->dial_failed ? now : msi_replica_deadline(station->replica);
  if (due == station->timer_due) return;
  station->timer_due = due;
  if (due == UINT64_MAX) {
    uv_timer_stop(&station->timer);
    return;
  }
  /* The loop counts whole milliseconds from a time it caches: round up, never spin. */
  uv_update_time(msi_driver_loop(station->driver));
  uint64_t wait_ms = due <= now ? 0 : (due - now + 999999) / 1000000;
  uv_timer_start(&station->timer, on_timer, wait_ms, 0);
}

/* ------------------------------------------------------------------ lifetime */

static void port_init(msi_station *station, msi_port *port) {
  *port = (msi_port){.ud = station,
                     .send = port_send,
                     .room = port_room,
                     .cut = port_cut,
                     .dial = port_dial,
                     .enrol = port_enrol,
                     .mark_complete = port_mark_complete,
                     .term = port_term,
                     .term_lock_free = port_term_lock_free,
                     .take_term_lock = port_take_term_lock,
                     .drop_term_lock = port_drop_term_lock,
                     .member_alive = port_member_alive,
                     .heartbeat = port_heartbeat,
                     .beat = port_beat,
                     .raise_term = port_raise_term,
                     .prepare = port_prepare,
                     .discard = port_discard,
                     .log_info = port_log_info,
                     .log_read = port_log_read,
                     .mark_ready = port_mark_ready,
                     .sweep = port_sweep,
                     .commit = port_commit,
                     .deliver = port_deliver,
                     .random = port_random,
                     .wall_ms = port_wall_ms,
                     .log = port_log,
                     .bury = port_bury};
}

ms_status msi_station_new(const msi_station_config *config, msi_station **out,
                          ms_error *error) {
  msi_station *station = MSI_NEW(config->alloc, msi_station);
  if (station == NULL) return msi_fail(error, MS_ENOMEM, "out of memory");
  station->alloc = config->alloc;
  station->driver = config->driver;
  station->grave = config->grave;
  station->must_exist = config->must_exist;
  station->log = config->log;
  station->log_ud = config->log_ud;
  station->log_level = config->log_level;
  station->clock = config->clock;
  station->clock_ud = config->clock_ud;
  station->timer_due = UINT64_MAX;
  snprintf(station->name, sizeof station->name, "%s", config->name);
  snprintf(station->program, sizeof station->program, "%s", config->replica.program);
  msi_mailbox_init(&station->mailbox, station->alloc);
  station->mailbox.grave = station->grave;
  msi_link_table_init(&station->links, station->alloc);
  station->rendezvous = (msi_rendezvous){.alloc = station->alloc,
                                         .name = station->name,
                                         .loop = msi_driver_loop(station->driver),
                                         .events = &LINK_EVENTS,
                                         .ud = station,
                                         .on_link = on_accepted,
                                         .on_refused = on_refused};
  ms_status status =
      msi_rendezvous_open(&station->rendezvous, config->dir,
                          config->replica.may_found && !config->must_exist, error);
  if (status != MS_OK) {
    MSI_FREE(station->alloc, station);
    return status;
  }
  msi_port port;
  port_init(station, &port);
  msi_replica_config replica = config->replica;
  replica.program = station->program;
  status = msi_replica_new(&replica, &port, &station->replica);
  if (status != MS_OK) {
    msi_rendezvous_close(&station->rendezvous);
    MSI_FREE(station->alloc, station);
    return msi_fail(error, status, "out of memory");
  }
  uv_timer_init(msi_driver_loop(station->driver), &station->timer);
  station->timer.data = station;
  *out = station;
  return MS_OK;
}

void msi_station_start(msi_station *station) {
  msi_replica_start(station->replica, uv_hrtime());
  station_settle(station);
}

static void station_free(msi_station *station) {
  if (!station->closed || station->dial_pending ||
      uv_is_active((uv_handle_t *)&station->timer)) {
    return;
  }
  if (station->timer.data != NULL) return; /* its close callback comes first */
  msi_link_table_fini(&station->links);
  MSI_FREE(station->alloc, station);
}

static void on_timer_closed(uv_handle_t *handle) {
  msi_station *station = handle->data;
  handle->data = NULL;
  station_free(station);
}

void msi_station_close(msi_station *station) {
  msi_station_decide(station);
  msi_replica_stop(station->replica, uv_hrtime());
  station->closed = true;
  msi_link *link;
  while ((link = msi_link_table_pop(&station->links)) != NULL) {
    msi_link_flush(link);
    msi_link_close(link, true);
  }
  msi_replica_free(station->replica);
  station->replica = NULL;
  msi_rendezvous_close(&station->rendezvous);
  msi_mailbox_fini(&station->mailbox);
  uv_close((uv_handle_t *)&station->timer, on_timer_closed);
}

msi_mailbox *msi_station_mailbox(msi_station *station) { return &station->mailbox; }

msi_replica *msi_station_replica(msi_station *station) { return station->replica; }

/* ------------------------------------------------------------- owner's calls */

static bool station_may_defer(const msi_station *station, uint64_t now) {
  return now - station->links.flushed_at <= FLUSH_PAUSE_NS &&
         msi_link_table_queued(&station->links) < FLUSH_BYTES;
}

/* After a patch was submitted at `now`, while the timer was due at `due`. */
static msi_departure station_send(msi_station *station, uint64_t now, uint64_t due) {
  msi_departure departure = MSI_DEPART_QUIET;
  if (station->links.dirty_count > 0) {
    if (station_may_defer(station, now)) {
      departure = MSI_DEPART_DEFERRED;
    } else if (!msi_link_table_flush(&station->links)) {
      departure = MSI_DEPART_CHANGED; /* libuv waits for the socket now */
    }
  }
  uint64_t wanted = msi_replica_deadline(station->replica);
  if (wanted != due || station->dial_failed) {
    station_settle(station);
    departure = MSI_DEPART_CHANGED;
  }
  return departure;
}

/* Is this one of many patches of a host in a row? */
static bool station_may_wait(const msi_station *station, uint64_t now) {
  if (now - station->submitted_at > FLUSH_PAUSE_NS) return false;
  return station->later_count == 0 || (now - station->later_since < DECIDE_PAUSE_NS &&
                                       station->later_count < LATER_MAX);
}

bool msi_station_takes_later(msi_station *station, const ms_update *update) {
  return msi_replica_is_host(station->replica) &&
         station_may_wait(station, uv_hrtime()) &&
         msi_replica_prepare(station->replica, update) == MS_OK;
}

ms_status msi_station_submit_later(msi_station *station, uint64_t base, int64_t wall_ms,
                                   ms_update *update, uint64_t *number,
                                   msi_departure *departure) {
  uint64_t now = uv_hrtime();
  station->submitted_at = now;
  ms_status status =
      msi_replica_submit_later(station->replica, now, base, wall_ms, update, number);
  if (status == MS_OK && station->later_count++ == 0) station->later_since = now;
  *departure = MSI_DEPART_DEFERRED;
  return status;
}

ms_status msi_station_submit(msi_station *station, uint64_t base, int64_t wall_ms,
                             ms_update *update, const ms_value *root_before,
                             const ms_value *root_after, uint64_t *number,
                             msi_departure *departure) {
  if (msi_station_takes_later(station, update)) {
    return msi_station_submit_later(station, base, wall_ms, update, number, departure);
  }
  uint64_t now = uv_hrtime();
  uint64_t due = station->timer_due;
  station->submitted_at = now;
  msi_station_decide(station);
  ms_status status = msi_replica_submit(station->replica, now, base, wall_ms, update,
                                        root_before, root_after, number);
  *departure = station_send(station, now, due);
  return status;
}

ms_status msi_station_transact(msi_station *station, uint64_t base, int64_t wall_ms,
                               ms_update *update, msi_reads *reads, uint64_t *number,
                               msi_departure *departure) {
  uint64_t now = uv_hrtime();
  uint64_t due = station->timer_due;
  msi_station_decide(station);
  ms_status status =
      msi_replica_transact(station->replica, now, base, wall_ms, update, reads, number);
  *departure = station_send(station, now, due);
  return status;
}

ms_status msi_station_sync(msi_station *station, uint64_t token) {
  msi_station_decide(station);
  ms_status status = msi_replica_sync(station->replica, uv_hrtime(), token);
  msi_station_flush(station);
  station_settle(station);
  return status;
}
