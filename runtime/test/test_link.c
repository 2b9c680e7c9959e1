/* Links: frames arrive whole and in order, bounds hold, ends are told once. */
#include "rendezvous_support.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <uv.h>

#include "link.h"
#include "platform.h"
#include "socket.h"

enum { DEADLINE_MS = 30000 };

/* An allocator that counts what is held and fails when told. */
typedef struct counter {
  size_t held, peak;
  size_t fail_above; /* one block larger than this: 0: never */
} counter;

static void *counter_resize(void *ud, void *ptr, size_t old_bytes, size_t new_bytes) {
  counter *self = ud;
  if (self->fail_above != 0 && new_bytes > self->fail_above) return NULL;
  self->held += new_bytes - old_bytes;
  if (self->held > self->peak) self->peak = self->held;
  if (new_bytes == 0) {
    free(ptr);
    return NULL;
  }
  return realloc(ptr, new_bytes);
}

/* One end and what was seen there. */
typedef struct end {
  msi_link *link; /* NULL: closed */
  size_t frames, rooms, downs;
  uint64_t bytes;
  uint64_t hash;
  uint8_t first[64];
  size_t last_bytes;
  char reason[64];
  size_t close_at;   /* close when so many frames came */
  bool flush;        /* closing so */
  size_t echo_bytes; /* answer each frame with one of this size */
  uint64_t work_ns;  /* so long it takes to deal with a frame */
} end;

typedef struct fixture {
  uv_loop_t loop;
  scratch home;
  counter count;
  ms_alloc alloc;
  bool late; /* the deadline passed */
  uv_timer_t deadline;
  end a, b;
  ms_status dial_status;
  size_t dials;
  msi_listener *listener;
  char refused[MS_MESSAGE_MAX];
  size_t refusals;
} fixture;

static uint64_t hash_bytes(uint64_t hash, const uint8_t *data, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) hash = (hash ^ data[i]) * UINT64_C(1099511628211);
  return hash;
}

static end *end_of(fixture *it, const msi_link *link) {
  return link == it->a.link ? &it->a : &it->b;
}

static void on_frame(void *ud, msi_link *link, const uint8_t *data, size_t bytes) {
  end *at = end_of(ud, link);
  assert_ptr_equal(at->link, link);
  at->frames++;
  at->bytes += bytes;
  at->last_bytes = bytes;
  at->hash = hash_bytes(at->hash, data, bytes < 65536 ? bytes : 65536);
  for (uint64_t began = uv_hrtime(); uv_hrtime() - began < at->work_ns;) {
  }
  memcpy(at->first, data, bytes < sizeof at->first ? bytes : sizeof at->first);
  if (at->echo_bytes > 0) {
    static uint8_t answer[65536];
    msi_link_send(link, answer, at->echo_bytes);
    msi_link_flush(link);
  }
  if (at->frames == at->close_at) {
    at->link = NULL;
    msi_link_close(link, at->flush);
    assert_true(bytes < 1 || data[0] == at->first[0]); /* the bytes stay for the call */
  }
}

static void on_room(void *ud, msi_link *link) { end_of(ud, link)->rooms++; }

static void on_down(void *ud, msi_link *link, const char *reason) {
  end *at = end_of(ud, link);
  assert_ptr_equal(at->link, link);
  at->downs++;
  uv_stop(&((fixture *)ud)->loop); /* a turn may sleep after its timers ran */
  snprintf(at->reason, sizeof at->reason, "%s", reason);
  at->link = NULL;
  msi_link_close(link, true);
}

static const msi_link_events EVENTS = {on_frame, on_room, on_down};

static void on_dialled(void *ud, ms_status status, msi_link *link) {
  fixture *it = ud;
  it->dials++;
  uv_stop(&it->loop);
  it->dial_status = status;
  it->a.link = link;
}

static void on_accepted(void *ud, msi_link *link) {
  fixture *it = ud;
  it->b.link = link;
}

static void on_refused(void *ud, const char *reason) {
  fixture *it = ud;
  it->refusals++;
  snprintf(it->refused, sizeof it->refused, "%s", reason);
}

static void on_deadline(uv_timer_t *timer) { ((fixture *)timer->data)->late = true; }

static void fixture_open(fixture *it) {
  memset(it, 0, sizeof *it);
  it->alloc = (ms_alloc){counter_resize, &it->count};
  scratch_open(&it->home);
  assert_int_equal(uv_loop_init(&it->loop), 0);
  uv_timer_init(&it->loop, &it->deadline);
  it->deadline.data = it;
  uv_timer_start(&it->deadline, on_deadline, DEADLINE_MS, 0);
}

static void turn(fixture *it) {
  assert_false(it->late);
  uv_run(&it->loop, UV_RUN_ONCE);
}

#define UNTIL(it, condition)                                                             \
  do {                                                                                   \
    while (!(condition)) turn(it);                                                       \
  } while (0)

static void fixture_close(fixture *it) {
  if (it->a.link != NULL) msi_link_close(it->a.link, false);
  if (it->b.link != NULL) msi_link_close(it->b.link, false);
  msi_listener_close(it->listener, true);
  msi_link_abandon(&it->loop);
  uv_close((uv_handle_t *)&it->deadline, NULL);
  assert_int_equal(uv_run(&it->loop, UV_RUN_DEFAULT), 0);
  assert_int_equal(uv_loop_close(&it->loop), 0);
  assert_int_equal(it->count.held, 0);
  scratch_close(&it->home);
}

/* Two ends in this process. */
static void fixture_pair(fixture *it) {
  int fds[2];
  ms_error error;
  fixture_open(it);
  assert_int_equal(
      socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
  assert_int_equal(
      msi_link_adopt(&it->alloc, &it->loop, fds[0], &EVENTS, it, &it->a.link, &error),
      MS_OK);
  assert_int_equal(
      msi_link_adopt(&it->alloc, &it->loop, fds[1], &EVENTS, it, &it->b.link, &error),
      MS_OK);
}

/* One end here, a raw socket at the other. */
static int fixture_raw(fixture *it) {
  int fds[2];
  ms_error error;
  fixture_open(it);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  assert_int_equal(
      msi_link_adopt(&it->alloc, &it->loop, fds[0], &EVENTS, it, &it->a.link, &error),
      MS_OK);
  return fds[1];
}

static void raw_write(int fd, const void *data, size_t bytes) {
  assert_int_equal(send(fd, data, bytes, MSG_NOSIGNAL), (ssize_t)bytes);
}

static void raw_prefix(int fd, uint32_t bytes) {
  const uint8_t prefix[4] = {(uint8_t)(bytes >> 24), (uint8_t)(bytes >> 16),
                             (uint8_t)(bytes >> 8), (uint8_t)bytes};
  raw_write(fd, prefix, sizeof prefix);
}

static void test_frames_of_all_sizes_arrive_whole_and_in_order(void **state) {
  (void)state;
  fixture it;
  fixture_pair(&it);
  uint64_t random = 31337, hash = 0, total = 0;
  size_t sent = 0;
  static uint8_t data[300000];
  while (sent < 3000) {
    /* Several a turn, so that they go together and arrive cut at any place. */
    for (uint64_t i = random_next(&random) % 20; i < 20; i++) {
      size_t limit = random_next(&random) % 50 == 0 ? sizeof data : 200;
      size_t bytes = 1 + (size_t)(random_next(&random) % limit);
      for (size_t k = 0; k < 64 && k < bytes; k++)
        data[k] = (uint8_t)random_next(&random);
      hash = hash_bytes(hash, data, bytes < 65536 ? bytes : 65536);
      total += bytes;
      sent++;
      msi_link_send(it.a.link, data, bytes);
    }
    msi_link_flush(it.a.link);
    if (random_next(&random) % 3 == 0) UNTIL(&it, msi_link_queued(it.a.link) < 1 << 20);
  }
  UNTIL(&it, it.b.frames == sent);
  assert_int_equal(it.b.bytes, total);
  assert_true(it.b.hash == hash);
  assert_int_equal(msi_link_queued(it.a.link), 0);
  assert_int_equal(it.b.downs + it.a.downs, 0);
  fixture_close(&it);
}

static void test_a_frame_that_comes_byte_by_byte_is_put_together(void **state) {
  (void)state;
  fixture it;
  int raw = fixture_raw(&it);
  const uint8_t bytes[] = {0, 0, 0, 3, 'a', 'b', 'c', 0, 0, 0, 1, 'd'};
  for (size_t i = 0; i < sizeof bytes; i++) {
    assert_int_equal(it.a.frames, (i >= 7));
    raw_write(raw, bytes + i, 1);
    uv_run(&it.loop, UV_RUN_ONCE);
  }
  assert_int_equal(it.a.frames, 2);
  assert_int_equal(it.a.bytes, 4);
  assert_int_equal(it.a.first[0], 'd');
  close(raw);
  UNTIL(&it, it.a.downs == 1);
  assert_string_equal(it.a.reason, "end of file");
  fixture_close(&it);
}

static void test_the_largest_frame_passes_and_its_memory_is_given_back(void **state) {
  (void)state;
  fixture it;
  fixture_pair(&it);
  uint8_t *data = malloc(MSI_FRAME_MAX);
  assert_non_null(data);
  memset(data, 'x', MSI_FRAME_MAX);
  msi_link_send(it.a.link, data, MSI_FRAME_MAX);
  msi_link_flush(it.a.link);
  msi_link_send(it.a.link, data, 10);
  UNTIL(&it, it.b.frames == 2);
  assert_int_equal(it.b.bytes, (uint64_t)MSI_FRAME_MAX + 10);
  UNTIL(&it, msi_link_queued(it.a.link) == 0);
  assert_true(it.count.held < 1 << 20);
  assert_true(it.a.rooms >= 1);
  free(data);
  fixture_close(&it);
}

static void test_an_announced_frame_costs_nothing_before_it_comes(void **state) {
  (void)state;
  fixture it;
  int raw = fixture_raw(&it);
  static uint8_t piece[100000];
  raw_prefix(raw, MSI_FRAME_MAX);
  uv_run(&it.loop, UV_RUN_ONCE);
  assert_true(it.count.held < 64 << 10);
  size_t sent = 0;
  while (sent < 2000000) {
    raw_write(raw, piece, sizeof piece);
    sent += sizeof piece;
    uv_run(&it.loop, UV_RUN_ONCE);
    assert_true(it.count.peak < 3 * sent + (256 << 10));
  }
  assert_int_equal(it.a.frames, 0);
  close(raw);
  UNTIL(&it, it.a.downs == 1);
  assert_string_equal(it.a.reason, "end of file inside a frame");
  fixture_close(&it);
}

static void test_frames_that_are_empty_or_too_long_break_the_link(void **state) {
  (void)state;
  static const uint32_t sizes[] = {0, (uint32_t)MSI_FRAME_MAX + 1, UINT32_MAX};
  for (size_t i = 0; i < 3; i++) {
    fixture it;
    int raw = fixture_raw(&it);
    raw_prefix(raw, 1);
    raw_write(raw, "x", 1);
    raw_prefix(raw, sizes[i]);
    raw_prefix(raw, 1);
    raw_write(raw, "y", 1);
    UNTIL(&it, it.a.downs == 1);
    char reason[64];
    snprintf(reason, sizeof reason, "frame of %lu bytes", (unsigned long)sizes[i]);
    assert_string_equal(it.a.reason, reason);
    assert_int_equal(it.a.frames, 1);
    char byte;
    assert_true(recv(raw, &byte, 1, 0) <= 0); /* it is closed */
    close(raw);
    fixture_close(&it);
  }
}

static void test_a_reader_that_does_not_read_is_cut_at_the_bound(void **state) {
  (void)state;
  fixture it;
  int raw = fixture_raw(&it);
  static uint8_t piece[1 << 20];
  size_t most = 0;
  for (int i = 0; i < 100; i++) {
    msi_link_send(it.a.link, piece, sizeof piece);
    msi_link_flush(it.a.link);
    assert_int_equal(it.a.downs, 0); /* never from inside */
    if (msi_link_queued(it.a.link) > most) most = msi_link_queued(it.a.link);
  }
  assert_true(most <= MSI_LINK_OUTBOX_MAX);
  assert_true(most > MSI_LINK_OUTBOX_MAX - (2 << 20));
  assert_int_equal(msi_link_queued(it.a.link), 0);
  assert_true(it.count.held < 1 << 20);
  UNTIL(&it, it.a.downs == 1);
  assert_non_null(strstr(it.a.reason, "too slowly"));
  close(raw);
  fixture_close(&it);
}

static void test_without_memory_a_link_breaks_and_the_others_live(void **state) {
  (void)state;
  fixture it;
  fixture_pair(&it);
  static uint8_t piece[1 << 20];
  it.count.fail_above = 100000;
  msi_link_send(it.a.link, piece, sizeof piece);
  msi_link_send(it.a.link, piece, 10);
  UNTIL(&it, it.a.downs == 1 && it.b.downs == 1);
  assert_string_equal(it.a.reason, "out of memory");
  assert_string_equal(it.b.reason, "end of file");
  assert_int_equal(it.b.frames, 0);
  fixture_close(&it);

  int raw = fixture_raw(&it);
  it.count.fail_above = 100000;
  raw_prefix(raw, 1 << 20);
  while (it.a.downs == 0) {
    ssize_t put = send(raw, piece, 50000, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)put;
    turn(&it);
  }
  assert_string_equal(it.a.reason, "out of memory");
  close(raw);
  fixture_close(&it);
}

static int flooder(void *ud, int in, int out) {
  int fd = *(int *)ud;
  uint8_t frame[5] = {0, 0, 0, 1, 'x'};
  (void)in;
  for (int i = 0; i < 30000; i++) {
    if (send(fd, frame, sizeof frame, MSG_NOSIGNAL) != (ssize_t)sizeof frame) return 1;
    if (i == 100) child_say(out, 'g');
  }
  kill(getpid(), SIGKILL);
  return 2;
}

static void test_all_that_a_killed_peer_sent_is_delivered_before_the_end(void **state) {
  (void)state;
  fixture it;
  int fds[2];
  ms_error error;
  fixture_open(&it);
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  child peer = child_start(flooder, &fds[1]);
  close(fds[1]);
  assert_int_equal(
      msi_link_adopt(&it.alloc, &it.loop, fds[0], &EVENTS, &it, &it.a.link, &error),
      MS_OK);
  assert_int_equal(child_hear(peer.from), 'g');
  /* Bytes that the peer never reads: its death resets the connection, and writes fail. */
  msi_link_send(it.a.link, (const uint8_t *)"hello", 5);
  msi_link_flush(it.a.link);
  size_t seen = 0;
  while (it.a.downs == 0) {
    turn(&it);
    if (it.a.link != NULL && it.a.frames > seen) {
      seen = it.a.frames;
      msi_link_send(it.a.link, (const uint8_t *)"more", 4);
      msi_link_flush(it.a.link);
    }
  }
  assert_int_equal(it.a.frames, 30000);
  assert_int_equal(it.a.downs, 1);
  assert_int_equal(child_end(&peer, 0), -SIGKILL);
  fixture_close(&it);
}

static void
test_writing_to_a_dead_peer_raises_no_signal_and_reads_to_the_end(void **state) {
  (void)state;
  struct sigaction before, now;
  assert_int_equal(signal(SIGPIPE, SIG_DFL) == SIG_ERR, 0);
  assert_int_equal(sigaction(SIGPIPE, NULL, &before), 0);
  fixture it;
  int raw = fixture_raw(&it);
  for (int i = 0; i < 60; i++) { /* as many as a socket holds */
    raw_prefix(raw, 3);
    raw_write(raw, "abc", 3);
  }
  close(raw);
  for (int i = 0; i < 10; i++) {
    msi_link_send(it.a.link, (const uint8_t *)"late", 4);
    msi_link_flush(it.a.link);
  }
  assert_int_equal(it.a.downs, 0);
  UNTIL(&it, it.a.downs == 1);
  assert_int_equal(it.a.frames, 60);
  assert_int_equal(sigaction(SIGPIPE, NULL, &now), 0);
  assert_true(now.sa_handler == before.sa_handler && now.sa_handler == SIG_DFL);
  fixture_close(&it);
}

static void test_a_peer_that_only_stops_reading_is_told_as_down(void **state) {
  (void)state;
  fixture it;
  int raw = fixture_raw(&it);
  assert_int_equal(shutdown(raw, SHUT_RD), 0);
  raw_prefix(raw, 1);
  raw_write(raw, "x", 1);
  msi_link_send(it.a.link, (const uint8_t *)"late", 4);
  msi_link_flush(it.a.link);
  UNTIL(&it, it.a.downs == 1);
  assert_int_equal(it.a.frames, 1);
  close(raw);
  fixture_close(&it);
}

static void test_a_link_may_be_closed_from_its_own_callbacks(void **state) {
  (void)state;
  fixture it;
  int raw = fixture_raw(&it);
  it.a.close_at = 2;
  for (int i = 0; i < 5; i++) {
    raw_prefix(raw, 1);
    raw_write(raw, "x", 1);
  }
  UNTIL(&it, it.a.link == NULL);
  for (int i = 0; i < 3; i++) uv_run(&it.loop, UV_RUN_NOWAIT);
  assert_int_equal(it.a.frames, 2);
  assert_int_equal(it.a.downs, 0);
  close(raw);
  fixture_close(&it);
}

static void test_closing_with_flush_delivers_what_is_queued(void **state) {
  (void)state;
  fixture it;
  fixture_pair(&it);
  uint8_t *data = calloc(1, 5 << 20);
  assert_non_null(data);
  msi_link_send(it.a.link, data, 5 << 20);
  msi_link_send(it.a.link, (const uint8_t *)"bye", 3);
  msi_link_close(it.a.link, true);
  it.a.link = NULL;
  UNTIL(&it, it.b.downs == 1);
  assert_int_equal(it.b.frames, 2);
  assert_int_equal(it.b.last_bytes, 3);
  assert_string_equal(it.b.reason, "end of file");
  assert_int_equal(it.a.downs, 0);
  free(data);
  fixture_close(&it);
}

static void test_a_peer_that_takes_nothing_holds_a_closing_link_a_second(void **state) {
  (void)state;
  fixture it;
  int raw = fixture_raw(&it);
  static uint8_t piece[1 << 20];
  for (int i = 0; i < 3; i++) msi_link_send(it.a.link, piece, sizeof piece);
  uint64_t before = uv_hrtime();
  msi_link_close(it.a.link, true);
  it.a.link = NULL;
  assert_true(it.count.held > 1 << 20);
  UNTIL(&it, it.count.held == 0);
  assert_true(uv_hrtime() - before >= UINT64_C(900000000));
  close(raw);
  fixture_close(&it);

  raw = fixture_raw(&it);
  for (int i = 0; i < 3; i++) msi_link_send(it.a.link, piece, sizeof piece);
  msi_link_close(it.a.link, true);
  it.a.link = NULL;
  msi_link_abandon(&it.loop);
  uv_run(&it.loop, UV_RUN_NOWAIT);
  assert_int_equal(it.count.held, 0);
  close(raw);
  fixture_close(&it);
}

static void test_one_flooding_link_does_not_keep_another_from_its_turn(void **state) {
  (void)state;
  fixture it;
  fixture_pair(&it);
  /* b gets 8 MiB in one go from a; the frames seen in one turn of the loop stay
   * bounded. */
  static uint8_t piece[1000];
  for (int i = 0; i < 8000; i++) msi_link_send(it.a.link, piece, sizeof piece);
  msi_link_flush(it.a.link);
  uint64_t before = 0;
  while (it.b.frames < 8000) {
    turn(&it);
    assert_true(it.b.bytes - before <= (256 << 10) + (128 << 10));
    before = it.b.bytes;
  }
  fixture_close(&it);
}

static void test_frames_that_are_laborious_are_read_in_short_turns(void **state) {
  (void)state;
  fixture it;
  fixture_pair(&it);
  it.b.work_ns = 20000;
  static uint8_t piece[100];
  enum { FRAMES = 1500, WORTH_A_TURN = 4096 / sizeof piece };
  for (int i = 0; i < FRAMES; i++) msi_link_send(it.a.link, piece, sizeof piece);
  msi_link_flush(it.a.link);
  size_t before = 0;
  while (it.b.frames < FRAMES) {
    turn(&it);
    /* The first read alone takes longer than a turn should. */
    assert_true(it.b.frames - before <= WORTH_A_TURN);
    before = it.b.frames;
  }
  fixture_close(&it);
}

static void
test_frames_that_fill_a_turn_come_one_by_one_and_before_the_end(void **state) {
  (void)state;
  fixture it;
  fixture_pair(&it);
  it.b.work_ns = 600000;
  static uint8_t piece[100];
  enum { FRAMES = 60 };
  for (int i = 0; i < FRAMES; i++) msi_link_send(it.a.link, piece, sizeof piece);
  msi_link_close(it.a.link, true);
  it.a.link = NULL;
  size_t before = 0, turns = 0;
  while (it.b.downs == 0) {
    turn(&it);
    turns++;
    /* The last one that was read before, and the first of what was read then. */
    assert_true(it.b.frames - before <= 2);
    before = it.b.frames;
  }
  assert_true(turns >= FRAMES - 2);
  assert_int_equal(it.b.frames, FRAMES);
  assert_string_equal(it.b.reason, "end of file");
  fixture_close(&it);
}

static void test_a_link_that_is_held_may_be_closed_or_broken(void **state) {
  (void)state;
  fixture it;
  static uint8_t piece[65536];
  for (int how = 0; how < 3; how++) {
    fixture_pair(&it);
    it.b.work_ns = 600000;
    for (int i = 0; i < 20; i++) msi_link_send(it.a.link, piece, 100);
    msi_link_flush(it.a.link);
    UNTIL(&it, it.b.frames == 2);
    if (how == 0) {
      msi_link_close(it.b.link, false);
      it.b.link = NULL;
    } else if (how == 1) {
      msi_link_close(it.b.link, true);
      it.b.link = NULL;
    } else {
      while (it.b.downs == 0) {
        for (int i = 0; i < 640; i++) msi_link_send(it.b.link, piece, sizeof piece);
        turn(&it);
      }
      assert_true(it.b.frames < 20);
    }
    for (int i = 0; i < 5; i++) uv_run(&it.loop, UV_RUN_NOWAIT);
    assert_true(it.b.frames < 20);
    fixture_close(&it);
  }
}

static void test_room_is_told_once_after_the_queue_was_full(void **state) {
  (void)state;
  fixture it;
  int raw = fixture_raw(&it);
  static uint8_t piece[65536];
  for (int i = 0; i < 20; i++) msi_link_send(it.a.link, piece, sizeof piece);
  msi_link_flush(it.a.link);
  assert_int_equal(it.a.rooms, 0);
  assert_true(msi_link_queued(it.a.link) > MSI_LINK_ROOM_BYTES);
  size_t told_at = 0;
  while (msi_link_queued(it.a.link) > 0) {
    while (recv(raw, piece, sizeof piece, MSG_DONTWAIT) > 0) {
    }
    turn(&it);
    if (it.a.rooms == 1 && told_at == 0) told_at = msi_link_queued(it.a.link) + 1;
  }
  assert_true(told_at > 0 && told_at < MSI_LINK_ROOM_BYTES);
  assert_int_equal(it.a.rooms, 1);
  close(raw);
  fixture_close(&it);
}

/* ---------------------------------------------------------- dialling, listening */

static void fixture_listen(fixture *it, const char *name) {
  ms_error error;
  assert_int_equal(msi_listener_new(&it->alloc, &it->loop, &it->home.directory, name,
                                    &EVENTS, it, on_accepted, on_refused, &it->listener,
                                    &error),
                   MS_OK);
}

static void fixture_dial(fixture *it, const char *name) {
  ms_error error;
  it->dials = 0;
  assert_int_equal(msi_link_dial(&it->alloc, &it->loop, &it->home.directory, name,
                                 &EVENTS, it, on_dialled, &error),
                   MS_OK);
  assert_int_equal(it->dials, 0); /* the result comes in a later turn */
  UNTIL(it, it->dials == 1);
}

static void test_dialling_where_nobody_listens_is_enohost(void **state) {
  (void)state;
  fixture it;
  fixture_open(&it);
  fixture_dial(&it, "arena.1.sock");
  assert_int_equal(it.dial_status, MS_ENOHOST);
  scratch_put(&it.home, "arena.2.sock", "x", 1, 0600);
  fixture_dial(&it, "arena.2.sock");
  assert_int_equal(it.dial_status, MS_ENOHOST);
  /* A socket whose process is gone. */
  fixture_listen(&it, "arena.3.sock");
  msi_listener_close(it.listener, false);
  it.listener = NULL;
  assert_true(scratch_has(&it.home, "arena.3.sock"));
  fixture_dial(&it, "arena.3.sock");
  assert_int_equal(it.dial_status, MS_ENOHOST);
  fixture_close(&it);
}

static void test_connections_wait_until_the_listener_accepts(void **state) {
  (void)state;
  fixture it;
  fixture_open(&it);
  scratch_put(&it.home, "arena.1.sock", "leftover", 8, 0600);
  fixture_listen(&it, "arena.1.sock");
  struct stat info;
  assert_int_equal(fstatat(it.home.directory.fd, "arena.1.sock", &info, 0), 0);
  assert_int_equal(info.st_mode & 0777, 0600);
  fixture_dial(&it, "arena.1.sock");
  assert_int_equal(it.dial_status, MS_OK);
  msi_link_send(it.a.link, (const uint8_t *)"early", 5);
  msi_link_flush(it.a.link);
  uv_run(&it.loop, UV_RUN_NOWAIT);
  assert_null(it.b.link);
  assert_int_equal(msi_listener_accept(it.listener), MS_OK);
  UNTIL(&it, it.b.frames == 1);
  assert_int_equal(msi_link_uid(it.b.link), geteuid());
  assert_int_equal(msi_link_pid(it.b.link), getpid());
  assert_int_equal(msi_link_pid(it.a.link), getpid());
  msi_link_set_id(it.b.link, 42);
  assert_int_equal(msi_link_id_of(it.b.link), 42);
  msi_listener_close(it.listener, true);
  it.listener = NULL;
  assert_false(scratch_has(&it.home, "arena.1.sock"));
  fixture_close(&it);
}

static void test_a_listener_unlinks_only_its_own_socket(void **state) {
  (void)state;
  fixture it;
  fixture_open(&it);
  fixture_listen(&it, "arena.1.sock");
  msi_listener *first = it.listener;
  fixture_listen(&it, "arena.1.sock");
  msi_listener_close(first, true);
  assert_true(scratch_has(&it.home, "arena.1.sock"));
  fixture_close(&it);
}

/* The limit of sun_path, where nothing helps against it. */
static void listening_is_refused(fixture *it, const char *name) {
  ms_error error;
  assert_int_equal(msi_listener_new(&it->alloc, &it->loop, &it->home.directory, name,
                                    &EVENTS, it, on_accepted, on_refused, &it->listener,
                                    &error),
                   MS_ELIMIT);
  assert_non_null(strstr(error.message, name));
}

static void test_the_longest_name_in_a_deep_directory_works(void **state) {
  (void)state;
  fixture it;
  fixture_open(&it);
  char path[400], part[100], name[MSI_FILE_NAME_MAX], share[MS_NAME_MAX + 1];
  memset(part, 'd', sizeof part - 1);
  part[sizeof part - 1] = '\0';
  snprintf(path, sizeof path, "%s/%s", it.home.path, part);
  assert_int_equal(mkdir(path, 0700), 0);
  msi_directory deep, home = it.home.directory;
  ms_error error;
  assert_int_equal(msi_directory_open(path, false, &deep, &error), MS_OK);
  it.home.directory = deep;
  memset(share, 's', MS_NAME_MAX);
  share[MS_NAME_MAX] = '\0';
  msi_directory_socket_name(share, UINT64_C(9999999), name, sizeof name);
  if (MSI_LINUX) {
    fixture_listen(&it, name);
    assert_int_equal(msi_listener_accept(it.listener), MS_OK);
    fixture_dial(&it, name);
    assert_int_equal(it.dial_status, MS_OK);
    UNTIL(&it, it.b.link != NULL);
    msi_listener_close(it.listener, true);
    it.listener = NULL;
  } else {
    listening_is_refused(&it, name);
  }
  it.home.directory = home;
  msi_directory_close(&deep);
  assert_int_equal(rmdir(path), 0);
  fixture_close(&it);
}

/* As another user: connects, waits for the end of file. */
static int stranger(void *ud, int in, int out) {
  const scratch *home = ud;
  if (setgid(65534) != 0 || setuid(65534) != 0) return 77;
  child_say(out, 'r');
  if (child_hear(in) != 'g') return 1;
  int fd;
  ms_error error;
  if (msi_socket_connect(&home->directory, "arena.1.sock", &fd, &error) != MS_OK)
    return 2;
  if (send(fd, "\0\0\0\1x", 5, MSG_NOSIGNAL) < 0 && errno != EPIPE) return 3;
  char byte;
  return recv(fd, &byte, 1, 0) <= 0 ? 0 : 4;
}

static void test_another_user_is_refused_by_the_listener(void **state) {
  (void)state;
  if (geteuid() != 0) skip();
  fixture it;
  fixture_open(&it);
  fixture_listen(&it, "arena.1.sock");
  assert_int_equal(msi_listener_accept(it.listener), MS_OK);
  /* Let the stranger as far as the socket: the directory is not the last line of
   * defence. */
  assert_int_equal(chmod(it.home.path, 0755), 0);
  assert_int_equal(fchmodat(it.home.directory.fd, "arena.1.sock", 0666, 0), 0);
  child other = child_start(stranger, &it.home);
  assert_int_equal(child_hear(other.from), 'r');
  child_say(other.to, 'g');
  UNTIL(&it, it.refusals == 1);
  assert_non_null(strstr(it.refused, "65534"));
  assert_null(it.b.link);
  assert_int_equal(child_end(&other, 0), 0);
  fixture_close(&it);
}

/* As another user: listens where a host would. */
static int impostor(void *ud, int in, int out) {
  const scratch *home = ud;
  int fd;
  ms_error error;
  if (setgid(65534) != 0 || setuid(65534) != 0) return 77;
  if (msi_socket_listen(&home->directory, "arena.1.sock", 5, &fd, &error) != MS_OK)
    return 1;
  child_say(out, 'l');
  child_hear(in);
  return 0;
}

static void test_a_host_of_another_user_is_refused_by_the_dialler(void **state) {
  (void)state;
  if (geteuid() != 0) skip();
  fixture it;
  fixture_open(&it);
  assert_int_equal(chmod(it.home.path, 0777), 0);
  child other = child_start(impostor, &it.home);
  assert_int_equal(child_hear(other.from), 'l');
  fixture_dial(&it, "arena.1.sock");
  assert_int_equal(it.dial_status, MS_EDENIED);
  assert_null(it.a.link);
  assert_int_equal(child_end(&other, 0), 0);
  fixture_close(&it);
}

static void test_a_listener_without_descriptors_pauses_and_goes_on(void **state) {
  (void)state;
  fixture it;
  struct rlimit before, limit;
  fixture_open(&it);
  fixture_listen(&it, "arena.1.sock");
  assert_int_equal(msi_listener_accept(it.listener), MS_OK);
  fixture_dial(&it, "arena.1.sock");
  UNTIL(&it, it.b.link != NULL);
  msi_link_close(it.a.link, false);
  UNTIL(&it, it.b.downs == 1);
  it.a.link = it.b.link = NULL;
  int raw;
  ms_error error;
  assert_int_equal(msi_socket_connect(&it.home.directory, "arena.1.sock", &raw, &error),
                   MS_OK);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  limit = before;
  limit.rlim_cur = (rlim_t)raw; /* none above what is open */
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
  UNTIL(&it, it.refusals == 1);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  assert_non_null(strstr(it.refused, "cannot accept"));
  UNTIL(&it, it.b.link != NULL);
  close(raw);
  fixture_close(&it);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_frames_of_all_sizes_arrive_whole_and_in_order),
      cmocka_unit_test(test_a_frame_that_comes_byte_by_byte_is_put_together),
      cmocka_unit_test(test_the_largest_frame_passes_and_its_memory_is_given_back),
      cmocka_unit_test(test_an_announced_frame_costs_nothing_before_it_comes),
      cmocka_unit_test(test_frames_that_are_empty_or_too_long_break_the_link),
      cmocka_unit_test(test_a_reader_that_does_not_read_is_cut_at_the_bound),
      cmocka_unit_test(test_without_memory_a_link_breaks_and_the_others_live),
      cmocka_unit_test(test_all_that_a_killed_peer_sent_is_delivered_before_the_end),
      cmocka_unit_test(test_writing_to_a_dead_peer_raises_no_signal_and_reads_to_the_end),
      cmocka_unit_test(test_a_peer_that_only_stops_reading_is_told_as_down),
      cmocka_unit_test(test_a_link_may_be_closed_from_its_own_callbacks),
      cmocka_unit_test(test_closing_with_flush_delivers_what_is_queued),
      cmocka_unit_test(test_a_peer_that_takes_nothing_holds_a_closing_link_a_second),
      cmocka_unit_test(test_one_flooding_link_does_not_keep_another_from_its_turn),
      cmocka_unit_test(test_frames_that_are_laborious_are_read_in_short_turns),
      cmocka_unit_test(test_frames_that_fill_a_turn_come_one_by_one_and_before_the_end),
      cmocka_unit_test(test_a_link_that_is_held_may_be_closed_or_broken),
      cmocka_unit_test(test_room_is_told_once_after_the_queue_was_full),
      cmocka_unit_test(test_dialling_where_nobody_listens_is_enohost),
      cmocka_unit_test(test_connections_wait_until_the_listener_accepts),
      cmocka_unit_test(test_a_listener_unlinks_only_its_own_socket),
      cmocka_unit_test(test_the_longest_name_in_a_deep_directory_works),
      cmocka_unit_test(test_another_user_is_refused_by_the_listener),
      cmocka_unit_test(test_a_host_of_another_user_is_refused_by_the_dialler),
      cmocka_unit_test(test_a_listener_without_descriptors_pauses_and_goes_on),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
