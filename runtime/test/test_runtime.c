/* Runtimes: polling, its descriptor, wakes, budgets, timers, and many runtimes at once. */
#include "share_support.h"

#include <dirent.h>
#include <poll.h>
#include <sys/resource.h>

static const int PATIENCE_MS = (int)(TEST_PATIENCE_NS / 1000000);

/* Another peer of the scene's directory, in its own thread with its own runtime. */
typedef struct other {
  scene *scene;
  pthread_t thread;
  _Atomic int asked; /* how often "n" is to have been incremented; negative: end */
  _Atomic int done;
} other;

static void *other_main(void *arg) {
  other *self = arg;
  ms_runtime *runtime = runtime_make(self->scene);
  ms_share *share = NULL;
  ms_share_config config;
  ms_error error;
  scene_config(self->scene, &config);
  if (ms_share_open(runtime, "arena", &config, &share, &error) != MS_OK) abort();
  atomic_store(&self->done, 0);
  int asked;
  while ((asked = atomic_load(&self->asked)) >= 0) {
    if (asked <= atomic_load(&self->done)) {
      sched_yield();
      continue;
    }
    if (ms_share_inc(share, "n", 1, NULL, &error) != MS_OK) abort();
    atomic_fetch_add(&self->done, 1);
  }
  if (ms_share_flush(share, PATIENCE_MS, &error) != MS_OK) abort();
  ms_runtime_close(runtime);
  return NULL;
}

static bool other_is_open(void *ud) { return atomic_load(&((other *)ud)->done) == 0; }

static void other_start(other *self, scene *all) {
  *self = (other){.scene = all, .done = -1};
  assert_int_equal(pthread_create(&self->thread, NULL, other_main, self), 0);
  assert_true(test_eventually(other_is_open, self));
}

static void other_end(other *self) {
  atomic_store(&self->asked, -1);
  pthread_join(self->thread, NULL);
}

static void add_one(void *ud) { (*(int *)ud)++; }

/* Nothing is left to do: what a share's opening brought is over. */
static void settle(ms_runtime *runtime) {
  bool more = true;
  while (more) assert_int_equal(ms_runtime_poll(runtime, 0, 0, &more), MS_OK);
}

/* -------------------------------------------------------------------- polling */

static void test_poll_without_work_waits_for_its_timeout(void **state) {
  (void)state;
  ms_runtime *runtime = runtime_make(NULL);
  uint64_t start = uv_hrtime();
  bool more = true;
  assert_int_equal(ms_runtime_poll(runtime, 0, 0, &more), MS_OK);
  assert_false(more);
  assert_int_equal(ms_runtime_poll(runtime, 30, 0, &more), MS_OK);
  assert_false(more);
  assert_true(uv_hrtime() - start >= 30000000);
  ms_runtime_close(runtime);
}

static void test_poll_without_end_returns_when_something_came(void **state) {
  scene *self = *state;
  ms_share *share = peer_open(self);
  other peer;
  other_start(&peer, self);
  for (int i = 1; i <= 100; i++) {
    atomic_store(&peer.asked, i);
    while (int_at(share, "n") != i) {
      assert_int_equal(ms_runtime_poll(self->runtimes[0], -1, 0, NULL), MS_OK);
    }
  }
  other_end(&peer);
}

typedef struct nested {
  ms_runtime *runtime;
  ms_share *share;
  ms_receipt *receipt;
  int calls;
} nested;

static void poll_nested(void *ud) {
  nested *self = ud;
  ms_error error;
  self->calls++;
  assert_int_equal(ms_runtime_poll(self->runtime, 0, 0, NULL), MS_EBUSY);
  assert_int_equal(ms_share_flush(self->share, 0, &error), MS_EBUSY);
  assert_int_equal(ms_share_sync(self->share, 0, &error), MS_EBUSY);
  assert_int_equal(ms_receipt_wait(self->receipt, 0, &error), MS_EBUSY);
  ms_runtime_close(self->runtime); /* refused and logged */
}

static void test_poll_is_busy_inside_callbacks(void **state) {
  scene *self = *state;
  nested all = {.share = peer_open(self)};
  all.runtime = self->runtimes[0];
  ms_timer *timer = NULL;
  ms_error error;
  assert_int_equal(ms_runtime_after(all.runtime, 0, poll_nested, &all, &timer), MS_OK);
  assert_int_equal(ms_share_inc(all.share, "n", 1, &all.receipt, &error), MS_OK);
  assert_int_equal(ms_runtime_poll(all.runtime, 0, 0, NULL), MS_OK);
  assert_int_equal(all.calls, 1);
  assert_int_equal(self->warnings, 1);
  assert_int_equal(ms_receipt_wait(all.receipt, PATIENCE_MS, &error), MS_OK);
  ms_receipt_release(all.receipt);
}

typedef struct heard {
  int count;
  int64_t last;
} heard;

static void hear_next(void *ud, const ms_change *change) {
  heard *self = ud;
  int64_t number = -1;
  assert_int_equal(ms_value_to_int(change->new_value, &number), MS_OK);
  assert_int_equal(number, self->last + 1);
  self->last = number;
  self->count++;
}

static void test_budget_ends_between_two_patches_and_says_so(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *share = peer_open(self);
  heard all = {0};
  bool more = false;
  ms_error error;
  assert_int_equal(ms_share_set_int(host, "n", 0), MS_OK);
  assert_int_equal(ms_share_sync(share, PATIENCE_MS, &error), MS_OK);
  ms_sub *sub = sub_on(share, "n", 0, hear_next, &all);
  for (int i = 0; i < 200; i++) {
    assert_int_equal(ms_share_inc(host, "n", 1, NULL, &error), MS_OK);
  }
  uint64_t end = uv_hrtime() + TEST_PATIENCE_NS;
  int polls = 0, left = 0;
  while (all.count < 200 && uv_hrtime() < end) {
    int before = all.count;
    assert_int_equal(ms_runtime_poll(self->runtimes[1], 100, 1, &more), MS_OK);
    assert_true(more || all.count >= before);
    polls++;
    left += more;
    if (more) assert_int_equal(ms_runtime_timeout(self->runtimes[1]), 0);
  }
  assert_int_equal(all.count, 200);
  assert_true(left > 0);
  ms_sub_close(sub);
}

static void test_budget_starves_no_share(void **state) {
  scene *self = *state;
  ms_share *busy = peer_open(self), *calm = NULL;
  ms_runtime *runtime = self->runtimes[0];
  ms_share_config config;
  ms_error error;
  scene_config(self, &config);
  assert_int_equal(ms_share_open(runtime, "calm", &config, &calm, &error), MS_OK);
  heard all[2] = {{0, 0}, {0, 0}};
  sub_on(busy, "n", 0, hear_next, &all[0]);
  sub_on(calm, "n", 0, hear_next, &all[1]);
  assert_int_equal(ms_share_inc(calm, "n", 1, NULL, &error), MS_OK);
  for (int i = 0; i < 100 && all[1].count == 0; i++) {
    assert_int_equal(ms_share_inc(busy, "n", 1, NULL, &error), MS_OK);
    assert_int_equal(ms_share_inc(busy, "n", 1, NULL, &error), MS_OK);
    assert_int_equal(ms_runtime_poll(runtime, 0, 1, NULL), MS_OK);
  }
  assert_int_equal(all[1].count, 1);
}

/* ---------------------------------------------------------------------- wakes */

static void count_change(void *ud, const ms_change *change) {
  (void)change;
  (*(int *)ud)++;
}

static void count_timer(void *ud) { (*(int *)ud)++; }

static void test_polls_in_a_row_miss_nothing_of_their_own(void **state) {
  ms_share *share = peer_open(*state);
  ms_runtime *runtime = ms_share_runtime(share);
  int changes = 0, timers = 0;
  (void)sub_on(share, "n", 0, count_change, &changes);
  for (int i = 1; i <= 200; i++) {
    ms_timer *timer = NULL;
    bool more = true;
    assert_int_equal(ms_runtime_poll(runtime, 0, 0, NULL), MS_OK);
    assert_int_equal(ms_runtime_poll(runtime, 0, 0, &more), MS_OK);
    assert_false(more);
    assert_int_equal(ms_share_set_int(share, "n", i), MS_OK);
    assert_int_equal(ms_runtime_poll(runtime, 0, 0, NULL), MS_OK);
    assert_int_equal(changes, i);
    assert_int_equal(ms_runtime_poll(runtime, 0, 0, NULL), MS_OK);
    assert_int_equal(ms_runtime_after(runtime, 0, count_timer, &timers, &timer), MS_OK);
    assert_int_equal(ms_runtime_poll(runtime, 0, 0, NULL), MS_OK);
    assert_int_equal(timers, i);
  }
}

/*
 * Voluntary switches of all threads of this process; -1 where the system does not count them so, and under
 * the thread sanitizer, whose own thread wakes ten times a second.
 */
static long count_sleeps(void) {
#ifdef __SANITIZE_THREAD__
  return -1;
#endif
  DIR *tasks = opendir("/proc/self/task");
  if (tasks == NULL) return -1;
  long total = 0;
  const struct dirent *task;
  while ((task = readdir(tasks)) != NULL) {
    char path[300], line[128];
    (void)snprintf(path, sizeof path, "/proc/self/task/%s/status", task->d_name);
    FILE *file = task->d_name[0] == '.' ? NULL : fopen(path, "re");
    if (file == NULL) continue;
    while (fgets(line, sizeof line, file) != NULL) {
      if (strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
        total += strtol(line + 24, NULL, 10);
    }
    (void)fclose(file);
  }
  (void)closedir(tasks);
  return total;
}

/* Two seconds: four beats of the host, and the stand-in's naps before it finds that it may sleep. */
static void test_idle_share_wakes_for_its_heartbeat_alone(void **state) {
  ms_runtime *runtime = ms_share_runtime(peer_open(*state));
  assert_int_equal(ms_runtime_poll(runtime, 100, 0, NULL), MS_OK);
  long before = count_sleeps();
  if (before < 0) skip();
  assert_int_equal(ms_runtime_poll(runtime, 2000, 0, NULL), MS_OK);
  assert_in_range(count_sleeps() - before, 1, 50);
}

static void test_wake_ends_one_poll(void **state) {
  (void)state;
  ms_runtime *runtime = runtime_make(NULL);
  ms_runtime_wake(runtime);
  assert_int_equal(ms_runtime_poll(runtime, -1, 0, NULL), MS_OK);
  uint64_t start = uv_hrtime();
  assert_int_equal(ms_runtime_poll(runtime, 30, 0, NULL), MS_OK);
  assert_true(uv_hrtime() - start >= 30000000);
  ms_runtime_close(runtime);
}

static _Atomic(ms_runtime *) runtime_to_wake;

static void on_signal(int number) {
  (void)number;
  ms_runtime_wake(atomic_load(&runtime_to_wake));
}

typedef struct killer {
  pthread_t target;
  _Atomic bool over;
} killer;

static void *killer_main(void *arg) {
  killer *self = arg;
  while (!atomic_load(&self->over)) {
    pthread_kill(self->target, SIGUSR1);
    sched_yield();
  }
  return NULL;
}

static void test_signal_handler_ends_a_poll_without_end(void **state) {
  (void)state;
  ms_runtime *runtime = runtime_make(NULL);
  atomic_store(&runtime_to_wake, runtime);
  struct sigaction action = {.sa_handler = on_signal}, before;
  assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
  killer striker = {.target = pthread_self()};
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, killer_main, &striker), 0);
  for (int i = 0; i < 200; i++) {
    assert_int_equal(ms_runtime_poll(runtime, -1, 0, NULL), MS_OK);
  }
  atomic_store(&striker.over, true);
  pthread_join(thread, NULL);
  assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
  ms_runtime_close(runtime);
}

static void test_waits_go_on_after_a_wake_and_keep_it(void **state) {
  scene *self = *state;
  peer_open(self);
  ms_share *share = peer_open(self);
  ms_runtime *runtime = self->runtimes[1];
  ms_receipt *receipt = NULL;
  ms_error error;
  settle(runtime);
  struct pollfd fd = {.fd = ms_runtime_fd(runtime), .events = POLLIN};
  assert_int_equal(ms_share_inc(share, "n", 1, &receipt, &error), MS_OK);
  ms_runtime_wake(runtime);
  assert_int_equal(ms_share_flush(share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(ms_receipt_wait(receipt, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(ms_share_sync(share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(ms_runtime_timeout(runtime), 0);
  assert_int_equal(poll(&fd, 1, 0), 1);
  assert_int_equal(ms_runtime_poll(runtime, -1, 0, NULL), MS_OK);
  settle(runtime);
  assert_int_equal(ms_runtime_timeout(runtime), -1);
  assert_int_equal(poll(&fd, 1, 0), 0);
  ms_receipt_release(receipt);
}

/* ----------------------------------------------------------------- descriptor */

static bool readable(ms_runtime *runtime, int timeout_ms) {
  struct pollfd fd = {.fd = ms_runtime_fd(runtime), .events = POLLIN};
  return poll(&fd, 1, timeout_ms) == 1;
}

/* A loop that waits for the descriptor only, while the other peer writes when it sees the last one. */
static void test_loop_on_the_descriptor_misses_nothing(void **state) {
  scene *self = *state;
  ms_share *share = peer_open(self);
  other peer;
  other_start(&peer, self);
  for (int i = 1; i <= 300; i++) {
    atomic_store(&peer.asked, i);
    while (int_at(share, "n") != i) {
      assert_true(readable(self->runtimes[0], PATIENCE_MS));
      assert_int_equal(ms_runtime_poll(self->runtimes[0], 0, 0, NULL), MS_OK);
    }
  }
  other_end(&peer);
}

static void test_descriptor_stays_readable_until_all_is_told(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *share = peer_open(self);
  ms_runtime *runtime = self->runtimes[1];
  heard all = {0};
  ms_error error;
  assert_int_equal(ms_share_set_int(host, "n", 0), MS_OK);
  assert_int_equal(ms_share_sync(share, PATIENCE_MS, &error), MS_OK);
  settle(runtime);
  assert_false(readable(runtime, 0));
  sub_on(share, "n", 0, hear_next, &all);
  for (int i = 0; i < 50; i++) {
    assert_int_equal(ms_share_inc(host, "n", 1, NULL, &error), MS_OK);
  }
  while (all.count < 50) {
    assert_true(readable(runtime, PATIENCE_MS));
    assert_int_equal(ms_runtime_poll(runtime, 0, 1, NULL), MS_OK);
  }
  settle(runtime);
  assert_false(readable(runtime, 0));
}

static void test_descriptor_shows_an_own_write_that_somebody_is_to_hear(void **state) {
  scene *self = *state;
  peer_open(self);
  ms_share *share = peer_open(self);
  ms_runtime *runtime = self->runtimes[1];
  heard all = {0};
  ms_error error;
  settle(runtime);
  (void)ms_runtime_fd(runtime);
  sub_on(share, "n", 0, hear_next, &all);
  assert_int_equal(ms_share_inc(share, "n", 1, NULL, &error), MS_OK);
  assert_true(readable(runtime, 0));
  assert_int_equal(ms_runtime_poll(runtime, 0, 0, NULL), MS_OK);
  assert_int_equal(all.count, 1);
}

static void test_descriptor_that_is_asked_for_late_shows_what_waits(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_error error;
  settle(self->runtimes[0]);
  assert_int_equal(ms_share_inc(host, "n", 1, NULL, &error), MS_OK);
  assert_true(readable(self->runtimes[0], 0));
  settle(self->runtimes[0]);
  assert_false(readable(self->runtimes[0], 0));
  assert_int_equal(ms_share_inc(host, "n", 1, NULL, &error), MS_OK);
  assert_true(readable(self->runtimes[0], 0));
}

/* --------------------------------------------------------------------- timers */

typedef struct ticket {
  int *next;
  int place;
} ticket;

static void in_order(void *ud) {
  const ticket *self = ud;
  assert_int_equal((*self->next)++, self->place);
}

static void test_timers_of_one_time_run_in_the_order_of_their_making(void **state) {
  (void)state;
  enum { COUNT = 500 };
  ms_runtime *runtime = runtime_make(NULL);
  ticket tickets[COUNT];
  ms_timer *timers[COUNT], *others[COUNT];
  int next = 0, never = 0;
  for (int i = 0; i < COUNT; i++) {
    tickets[i] = (ticket){&next, i};
    assert_int_equal(ms_runtime_after(runtime, 0, in_order, &tickets[i], &timers[i]),
                     MS_OK);
    int64_t delay_ms = 3600000 + (int64_t)i * 7919 % 1000;
    assert_int_equal(ms_runtime_after(runtime, delay_ms, add_one, &never, &others[i]),
                     MS_OK);
  }
  for (int i = 0; i < COUNT; i += 3) ms_timer_close(others[i]);
  assert_int_equal(ms_runtime_poll(runtime, -1, 0, NULL), MS_OK);
  assert_int_equal(next, COUNT);
  assert_int_equal(never, 0);
  assert_true(ms_runtime_timeout(runtime) > 3000000);
  ms_runtime_close(runtime);
}

static void test_timer_that_falls_due_ends_a_poll_without_end(void **state) {
  (void)state;
  ms_runtime *runtime = runtime_make(NULL);
  ms_timer *timer;
  int runs = 0;
  uint64_t start = uv_hrtime();
  assert_int_equal(ms_runtime_after(runtime, 5, add_one, &runs, &timer), MS_OK);
  assert_true(ms_runtime_timeout(runtime) <= 5);
  while (runs == 0) assert_int_equal(ms_runtime_poll(runtime, -1, 0, NULL), MS_OK);
  assert_true(uv_hrtime() - start >= 5000000);
  assert_int_equal(ms_runtime_timeout(runtime), -1);
  ms_runtime_close(runtime);
}

typedef struct chain {
  ms_runtime *runtime;
  ms_timer *victim;
  int runs;
} chain;

static void start_again(void *ud) {
  chain *self = ud;
  ms_timer *timer;
  self->runs++;
  ms_timer_close(self->victim);
  self->victim = NULL;
  assert_int_equal(ms_runtime_after(self->runtime, 0, start_again, self, &timer), MS_OK);
}

static void test_timer_may_start_and_close_timers(void **state) {
  (void)state;
  ms_runtime *runtime = runtime_make(NULL);
  chain all = {.runtime = runtime};
  ms_timer *timer;
  int never = 0;
  assert_int_equal(ms_runtime_after(runtime, 0, start_again, &all, &timer), MS_OK);
  assert_int_equal(ms_runtime_after(runtime, 0, add_one, &never, &all.victim), MS_OK);
  for (int i = 1; i <= 3; i++) {
    assert_int_equal(ms_runtime_poll(runtime, -1, 0, NULL), MS_OK);
    assert_int_equal(all.runs, i); /* what it starts is for the next poll */
  }
  assert_int_equal(never, 0);
  assert_int_equal(ms_runtime_after(runtime, INT64_MAX, add_one, &never, &timer), MS_OK);
  ms_runtime_close(runtime);
}

/* ------------------------------------------------------------ threads and fork */

enum { OWNERS = 4, ADDITIONS = 200 };

static void *owner_main(void *arg) {
  scene *self = arg;
  ms_runtime *runtime = runtime_make(self);
  ms_share *share = NULL;
  ms_share_config config;
  ms_error error;
  scene_config(self, &config);
  if (ms_share_open(runtime, "arena", &config, &share, &error) != MS_OK) abort();
  for (int i = 0; i < ADDITIONS; i++) {
    if (ms_share_inc(share, "n", 1, NULL, &error) != MS_OK) abort();
    if (i % 16 == 0 && ms_runtime_poll(runtime, 0, 0, NULL) != MS_OK) abort();
  }
  uint64_t end = uv_hrtime() + TEST_PATIENCE_NS;
  while (int_at(share, "n") != OWNERS * ADDITIONS && uv_hrtime() < end) {
    if (ms_runtime_poll(runtime, 100, 0, NULL) != MS_OK) abort();
  }
  int64_t seen = int_at(share, "n");
  if (ms_share_close(share, PATIENCE_MS) != MS_OK) abort();
  ms_share_free(share);
  ms_runtime_close(runtime);
  return (void *)(intptr_t)seen;
}

static void test_runtimes_of_several_threads_share_one_object(void **state) {
  scene *self = *state;
  pthread_t threads[OWNERS];
  ms_share *keeper = peer_open(self); /* so that the object outlives who leaves first */
  for (int i = 0; i < OWNERS; i++) {
    assert_int_equal(pthread_create(&threads[i], NULL, owner_main, self), 0);
  }
  for (int i = 0; i < OWNERS; i++) {
    void *seen = NULL;
    pthread_join(threads[i], &seen);
    assert_int_equal((intptr_t)seen, OWNERS * ADDITIONS);
  }
  ms_error error;
  assert_int_equal(ms_share_sync(keeper, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(int_at(keeper, "n"), OWNERS * ADDITIONS);
}

/* What a child does with what it inherited is nothing to its parent. */
static int child_main(ms_share *share, ms_receipt *receipt, ms_sub *sub,
                      ms_batch *batch) {
  ms_runtime *runtime = ms_share_runtime(share);
  ms_error error;
  const ms_value *value = NULL;
  ms_timer *timer = NULL;
  ms_sub *more = NULL;
  bool ok = ms_share_set_int(share, "x", 1) == MS_ECLOSED &&
            ms_share_get(share, "n", &value) == MS_ECLOSED &&
            ms_share_root(share) == NULL &&
            ms_runtime_poll(runtime, 0, 0, NULL) == MS_ECLOSED &&
            ms_share_flush(share, 0, &error) == MS_ECLOSED &&
            ms_share_close(share, 0) == MS_ECLOSED &&
            ms_runtime_after(runtime, 0, add_one, NULL, &timer) == MS_ECLOSED &&
            ms_share_on_state(share, (ms_state_fn)(void (*)(void))add_one, NULL, &more) ==
                MS_ECLOSED &&
            ms_receipt_get_state(receipt) == MS_PENDING;
  ms_sub_close(sub);
  ms_batch_free(batch);
  ms_receipt_release(receipt);
  ms_share_free(share);
  ms_runtime_close(runtime);
  return ok ? 0 : 1;
}

static void test_child_that_frees_everything_disturbs_nobody(void **state) {
  scene *self = *state;
  peer_open(self);
  ms_share *share = peer_open(self);
  ms_receipt *receipt = NULL;
  ms_batch *batch = NULL;
  ms_error error;
  heard all = {0};
  ms_sub *sub = sub_on(share, "n", 0, hear_next, &all);
  assert_int_equal(ms_share_inc(share, "n", 1, &receipt, &error), MS_OK);
  assert_int_equal(ms_batch_new(share, &batch), MS_OK);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) _exit(child_main(share, receipt, sub, batch));
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  ms_batch_free(batch);
  assert_int_equal(ms_receipt_wait(receipt, PATIENCE_MS, &error), MS_OK);
  ms_receipt_release(receipt);
  assert_int_equal(all.count, 1);
}

/* Opens as host, has a child that does nothing and keeps what it inherited, and waits to be killed. No
 * assertions: this is not the test's process. */
static void be_parent(const char *dir, int in, int out) {
  ms_runtime *runtime = NULL;
  ms_share_config config;
  ms_share *share = NULL;
  ms_share_config_init(&config);
  config.dir = dir;
  alarm(60);
  if (ms_runtime_open(NULL, &runtime, NULL) != MS_OK) _exit(1);
  if (ms_share_open(runtime, "arena", &config, &share, NULL) != MS_OK) _exit(2);
  while (write(out, "h", 1) != 1) continue;
  ms_share_info info = info_of(share);
  while (info.links == 0) { /* until the test's peer is linked */
    if (ms_runtime_poll(runtime, 10, 0, NULL) != MS_OK) _exit(3);
    info = info_of(share);
  }
  if (fork() == 0) {
    char byte;
    alarm(60);
    while (write(out, "c", 1) != 1) continue;
    while (read(in, &byte, 1) > 0) continue; /* to the end of the test */
    _exit(0);
  }
  for (;;) pause();
}

static bool is_host(void *ud) { return info_of(ud).state == MS_SHARE_HOST; }

/* A heartbeat that stands still proves nothing for an hour: only locks and links tell. */
static void test_child_of_a_dead_host_does_not_keep_it_alive(void **state) {
  scene *self = *state;
  int down[2], up[2];
  char byte = 0;
  ms_share_config config;
  assert_int_equal(pipe(down), 0);
  assert_int_equal(pipe(up), 0);
  pid_t host = fork();
  assert_true(host >= 0);
  if (host == 0) {
    close(down[1]);
    close(up[0]);
    be_parent(self->dir, down[0], up[1]);
  }
  close(down[0]);
  close(up[1]);
  assert_int_equal(read(up[0], &byte, 1), 1);
  scene_config(self, &config);
  config.host_timeout_ms = 3600000;
  ms_share *share = peer_open_with(self, &config);
  assert_int_equal(read(up[0], &byte, 1), 1);
  assert_int_equal(byte, 'c');
  assert_false(is_host(share));
  assert_int_equal(kill(host, SIGKILL), 0);
  assert_int_equal(waitpid(host, NULL, 0), host);
  assert_true(scene_eventually(self, is_host, share));
  close(down[1]); /* the grandchild ends */
  assert_int_equal(read(up[0], &byte, 1), 0);
  close(up[0]);
}

/* --------------------------------------------------------------------- config */

static void
test_config_of_another_size_is_refused_or_read_as_far_as_it_goes(void **state) {
  (void)state;
  ms_runtime_config config;
  ms_runtime *runtime = NULL;
  ms_error error;
  ms_runtime_config_init(&config);
  for (int i = 0; i < 3; i++) {
    config.bytes = (size_t[]){0, sizeof config.bytes, sizeof config + 1}[i];
    assert_int_equal(ms_runtime_open(&config, &runtime, &error), MS_EARGUMENT);
    assert_non_null(strstr(error.message, "ms_runtime_config_init"));
  }
  config.bytes =
      offsetof(ms_runtime_config, program); /* of a header without that field */
  config.program = (const char *)(uintptr_t)1;
  assert_int_equal(ms_runtime_open(&config, &runtime, &error), MS_OK);
  ms_runtime_close(runtime);
}

static void test_runtime_without_descriptors_is_refused(void **state) {
  (void)state;
  struct rlimit before;
  ms_runtime *runtime = NULL;
  ms_error error;
  ms_runtime_close(runtime_make(NULL)); /* what libuv opens once stays open */
  int next = dup(0);
  assert_true(next >= 0);
  close(next);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  for (rlim_t room = 0; room < 4; room++) {
    struct rlimit few = {.rlim_cur = (rlim_t)next + room, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    ms_status status = ms_runtime_open(NULL, &runtime, &error);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(status, MS_ELIMIT);
    assert_null(runtime);
  }
  ms_runtime_close(runtime_make(NULL));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_poll_without_work_waits_for_its_timeout),
      SCENE_TEST(test_poll_without_end_returns_when_something_came),
      SCENE_TEST(test_poll_is_busy_inside_callbacks),
      SCENE_TEST(test_budget_ends_between_two_patches_and_says_so),
      SCENE_TEST(test_budget_starves_no_share),
      SCENE_TEST(test_idle_share_wakes_for_its_heartbeat_alone),
      SCENE_TEST(test_polls_in_a_row_miss_nothing_of_their_own),
      cmocka_unit_test(test_wake_ends_one_poll),
      cmocka_unit_test(test_signal_handler_ends_a_poll_without_end),
      SCENE_TEST(test_waits_go_on_after_a_wake_and_keep_it),
      SCENE_TEST(test_loop_on_the_descriptor_misses_nothing),
      SCENE_TEST(test_descriptor_stays_readable_until_all_is_told),
      SCENE_TEST(test_descriptor_shows_an_own_write_that_somebody_is_to_hear),
      SCENE_TEST(test_descriptor_that_is_asked_for_late_shows_what_waits),
      cmocka_unit_test(test_timers_of_one_time_run_in_the_order_of_their_making),
      cmocka_unit_test(test_timer_that_falls_due_ends_a_poll_without_end),
      cmocka_unit_test(test_timer_may_start_and_close_timers),
      SCENE_TEST(test_runtimes_of_several_threads_share_one_object),
      SCENE_TEST(test_child_that_frees_everything_disturbs_nobody),
      SCENE_TEST(test_child_of_a_dead_host_does_not_keep_it_alive),
      cmocka_unit_test(test_runtime_without_descriptors_is_refused),
      cmocka_unit_test(test_config_of_another_size_is_refused_or_read_as_far_as_it_goes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
