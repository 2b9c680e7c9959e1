/*
 * raw: what the kernel of this machine allows one process to tell another, with nothing in between.
 * memshare's figures are held against these, measured in the same run.
 *
 *   raw latency COUNT     hop: one socket pair; star: through a process in the middle
 *   raw rate COUNT        frames a second through the middle to 1 and 8 readers, in batches
 *   raw takeover COUNT    a process is killed: of three that hear of it one listens in its place,
 *                         the others find it, and what one of them writes reaches the others
 *
 * Prints a line per figure: name, value, unit.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  FRAME_BYTES = 96, /* a key and 64 bytes of value with some envelope */
  BATCH_BYTES = 64 << 10,
  READERS_MAX = 8,
  SURVIVORS = 3
};

typedef struct frame {
  double sent_us;
  char rest[FRAME_BYTES - sizeof(double)];
} frame;

static void die(const char *what) {
  fprintf(stderr, "raw: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double now_us(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

/* Memory that children share with their parent, zeroed. */
static void *shared(size_t bytes) {
  void *memory =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) die("mmap");
  return memory;
}

static void make_pair(int pair[2]) {
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) die("socketpair");
}

/* A child that does not outlive its parent. */
static pid_t start(void) {
  pid_t pid = fork();
  if (pid < 0) die("fork");
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    alarm(60);
  }
  return pid;
}

static void write_all(int fd, const void *data, size_t bytes) {
  const char *at = data;
  while (bytes > 0) {
    ssize_t written = write(fd, at, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) _exit(1);
    at += written;
    bytes -= (size_t)written;
  }
}

/* False at the end of file. */
static int read_all(int fd, void *data, size_t bytes) {
  char *at = data;
  while (bytes > 0) {
    ssize_t got = read(fd, at, bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return 0;
    at += got;
    bytes -= (size_t)got;
  }
  return 1;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a;
  double y = *(const double *)b;
  return (x > y) - (x < y);
}

static void print_latency(const char *name, double *samples, size_t count) {
  qsort(samples, count, sizeof *samples, compare);
  const double percents[] = {1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99, 99.9};
  for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
    size_t at = (size_t)((double)count * percents[i] / 100);
    printf("%s.p%g %.3f us\n", name, percents[i], samples[at < count ? at : count - 1]);
  }
}

/* ------------------------------------------------------------------ latency */

/* The reader's part: subtract, then tell the writer that it may send the next. */
static void receive(int from, int back, double *samples, size_t count) {
  frame one;
  for (size_t i = 0; i < count && read_all(from, &one, sizeof one); i++) {
    samples[i] = now_us() - one.sent_us;
    write_all(back, "k", 1);
  }
}

static void send_frames(int to, int back, size_t count) {
  frame one;
  char ack;
  memset(&one, 'x', sizeof one);
  for (size_t i = 0; i < count; i++) {
    one.sent_us = now_us();
    write_all(to, &one, sizeof one);
    if (!read_all(back, &ack, 1)) break;
  }
}

static void measure_latency(size_t count) {
  double *samples = shared(count * sizeof *samples);
  int in[2];
  int out[2];
  int ack[2];
  make_pair(in);
  make_pair(out);
  make_pair(ack);

  pid_t reader = start();
  if (reader == 0) {
    receive(out[1], ack[1], samples, count); /* hop */
    receive(out[1], ack[1], samples, count); /* star */
    _exit(0);
  }
  send_frames(out[0], ack[0], count);
  print_latency("hop", samples, count);

  pid_t middle = start();
  if (middle == 0) {
    frame one;
    for (size_t i = 0; i < count && read_all(in[1], &one, sizeof one); i++) {
      write_all(out[0], &one, sizeof one);
    }
    _exit(0);
  }
  send_frames(in[0], ack[0], count);
  waitpid(middle, NULL, 0);
  waitpid(reader, NULL, 0);
  print_latency("star", samples, count);
}

/* --------------------------------------------------------------------- rate */

static void count_bytes(int fd, size_t bytes) {
  static char buffer[BATCH_BYTES];
  while (bytes > 0) {
    ssize_t got = read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) _exit(1);
    bytes -= (size_t)got;
  }
}

static void forward_bytes(int from, int (*to)[2], size_t readers, size_t bytes) {
  static char buffer[BATCH_BYTES];
  while (bytes > 0) {
    ssize_t got = read(from, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) _exit(1);
    for (size_t i = 0; i < readers; i++) write_all(to[i][0], buffer, (size_t)got);
    bytes -= (size_t)got;
  }
}

static void measure_rate(size_t count, size_t readers) {
  static char batch[BATCH_BYTES / FRAME_BYTES * FRAME_BYTES];
  int in[2];
  int out[READERS_MAX][2];
  pid_t pids[READERS_MAX + 1];
  size_t bytes = count * FRAME_BYTES / sizeof batch * sizeof batch;

  make_pair(in);
  for (size_t i = 0; i < readers; i++) {
    make_pair(out[i]);
    pids[i] = start();
    if (pids[i] == 0) {
      count_bytes(out[i][1], bytes);
      _exit(0);
    }
  }
  pids[readers] = start();
  if (pids[readers] == 0) {
    forward_bytes(in[1], out, readers, bytes);
    _exit(0);
  }
  double begin = now_us();
  for (size_t sent = 0; sent < bytes; sent += sizeof batch) {
    write_all(in[0], batch, sizeof batch);
  }
  for (size_t i = 0; i <= readers; i++) waitpid(pids[i], NULL, 0);
  double seconds = (now_us() - begin) / 1e6;
  printf("rate.%zu %.0f 1/s\n", readers, (double)(bytes / FRAME_BYTES) / seconds);
  close(in[0]);
  close(in[1]);
  for (size_t i = 0; i < readers; i++) {
    close(out[i][0]);
    close(out[i][1]);
  }
}

/* ----------------------------------------------------------------- takeover */

/* Names of sockets without files: gone with who listens. */
static int open_socket(int number, struct sockaddr_un *name, socklen_t *bytes) {
  memset(name, 0, sizeof *name);
  name->sun_family = AF_UNIX;
  int length = snprintf(name->sun_path + 1, sizeof name->sun_path - 1, "raw-%d-%d",
                        (int)getppid(), number);
  *bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) die("socket");
  return fd;
}

/* -1: somebody else listens there. */
static int listen_at(int number) {
  struct sockaddr_un name;
  socklen_t bytes;
  int fd = open_socket(number, &name, &bytes);
  if (bind(fd, (void *)&name, bytes) == 0 && listen(fd, SURVIVORS) == 0) return fd;
  close(fd);
  return -1;
}

/* -1: nobody listens there. */
static int dial(int number) {
  struct sockaddr_un name;
  socklen_t bytes;
  int fd = open_socket(number, &name, &bytes);
  if (connect(fd, (void *)&name, bytes) == 0) return fd;
  close(fd);
  return -1;
}

/* The new host: greets the others, passes on the write or makes it. */
static void serve_survivors(int listener, int me, double *heard) {
  int links[SURVIVORS - 1];
  frame one;
  memset(&one, 'x', sizeof one);
  for (int i = 0; i < SURVIVORS - 1; i++) {
    links[i] = accept(listener, NULL, NULL);
    write_all(links[i], "h", 1);
  }
  if (me != 0) {
    struct pollfd ready[SURVIVORS - 1];
    for (int i = 0; i < SURVIVORS - 1; i++) {
      ready[i] = (struct pollfd){.fd = links[i], .events = POLLIN};
    }
    poll(ready, SURVIVORS - 1, -1);
    int writer = ready[0].revents != 0 ? 0 : 1;
    if (!read_all(links[writer], &one, sizeof one)) return;
    heard[me] = now_us();
    write_all(links[1 - writer], &one, sizeof one);
  } else {
    for (int i = 0; i < SURVIVORS - 1; i++) write_all(links[i], &one, sizeof one);
  }
  for (;;) pause();
}

/* Survivor 0 writes as soon as there is a host, the others say when they heard. */
static void survive(int number, int me, _Atomic int *linked, double *heard) {
  char byte;
  frame one;
  int link = dial(number);
  atomic_fetch_add(linked, 1);
  while (read_all(link, &byte, 1)) continue;
  close(link);
  for (;;) {
    int listener = listen_at(number);
    if (listener >= 0) serve_survivors(listener, me, heard);
    link = dial(number);
    /* The listener of a host that dies still takes a connection: its greeting counts. */
    if (link >= 0 && read_all(link, &byte, 1)) break;
    if (link >= 0) close(link);
    usleep(20);
  }
  memset(&one, 'x', sizeof one);
  if (me == 0) {
    write_all(link, &one, sizeof one);
  } else if (read_all(link, &one, sizeof one)) {
    heard[me] = now_us();
  }
  for (;;) pause();
}

static pid_t start_host(int number, int ready) {
  pid_t pid = start();
  if (pid != 0) return pid;
  int listener = listen_at(number);
  write_all(ready, "r", 1);
  for (int i = 0; i < SURVIVORS; i++) (void)accept(listener, NULL, NULL);
  for (;;) pause();
}

/* From the kill of the host until the first, and the last, survivor heard of another's write. */
static void take_over(int number, double *first, double *last) {
  double *heard = shared(SURVIVORS * sizeof *heard);
  _Atomic int *linked = shared(sizeof *linked);
  int ready[2];
  char byte;
  pid_t pids[SURVIVORS];
  make_pair(ready);
  pid_t host = start_host(number, ready[1]);
  if (!read_all(ready[0], &byte, 1)) die("host");
  for (int i = 0; i < SURVIVORS; i++) {
    pids[i] = start();
    if (pids[i] == 0) survive(number, i, linked, heard);
  }
  while (atomic_load(linked) < SURVIVORS) usleep(100);
  usleep(20000); /* everybody waits */
  double begin = now_us();
  kill(host, SIGKILL);
  waitpid(host, NULL, 0);
  while (*(volatile double *)&heard[1] == 0 || *(volatile double *)&heard[2] == 0) {
    usleep(100);
  }
  *first = ((heard[1] < heard[2] ? heard[1] : heard[2]) - begin) / 1000;
  *last = ((heard[1] > heard[2] ? heard[1] : heard[2]) - begin) / 1000;
  for (int i = 0; i < SURVIVORS; i++) {
    kill(pids[i], SIGKILL);
    waitpid(pids[i], NULL, 0);
  }
  close(ready[0]);
  close(ready[1]);
}

static void measure_takeover(size_t count) {
  double *first = shared(count * sizeof *first);
  double *last = shared(count * sizeof *last);
  for (size_t i = 0; i < count; i++) take_over((int)i, &first[i], &last[i]);
  qsort(first, count, sizeof *first, compare);
  qsort(last, count, sizeof *last, compare);
  printf("takeover.first %.3f ms\n", first[count / 2]);
  printf("takeover.all %.3f ms\n", last[count / 2]);
  printf("takeover.max %.3f ms\n", last[count - 1]);
}

int main(int argc, char **argv) {
  const char *what = argc > 1 ? argv[1] : "";
  size_t count = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
  if (count == 0) {
    fprintf(stderr, "usage: raw latency|rate|takeover COUNT\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  if (strcmp(what, "latency") == 0) measure_latency(count);
  if (strcmp(what, "rate") == 0) {
    measure_rate(count, 1);
    measure_rate(count / 4, READERS_MAX);
  }
  if (strcmp(what, "takeover") == 0) measure_takeover(count);
  return 0;
}
