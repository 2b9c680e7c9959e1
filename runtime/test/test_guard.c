/*
 * Who may call what from where: each function that belongs to the owner, called by another thread, by a
 * forked child and inside a callback; and, in debug builds, with handles that are none.
 */
#include "share_support.h"

#include <sys/resource.h>

typedef struct fixture {
  ms_runtime *runtime;
  ms_share *share, *other; /* with an open batch, with an open transaction */
  ms_batch *batch;
  ms_transaction *draft;
  ms_receipt *receipt; /* not settled yet */
  ms_path *path;
  const ms_value *document; /* {"$set": {"a": 1}} */
  ms_update *update;
} fixture;

/* ----- each call */

static bool never(void *ud) {
  (void)ud;
  return false;
}

static bool never_matches(void *ud, const ms_value *value) {
  (void)ud;
  (void)value;
  return false;
}

static void on_nothing(void *ud) { (void)ud; }
static void on_change(void *ud, const ms_change *change) {
  (void)ud;
  (void)change;
}
static void on_reject(void *ud, const ms_rejection *rejection) {
  (void)ud;
  (void)rejection;
}
static void on_state(void *ud, const ms_share_info *info) {
  (void)ud;
  (void)info;
}
static void on_patch(void *ud, const ms_patch *patch) {
  (void)ud;
  (void)patch;
}
static void on_peer(void *ud, const ms_peer *peer) {
  (void)ud;
  (void)peer;
}
static ms_status on_draft(void *ud, ms_transaction *draft, ms_error *error) {
  (void)ud;
  (void)draft;
  (void)error;
  return MS_OK;
}

typedef struct outputs {
  const ms_value *value;
  bool flag;
  int64_t number;
  double real;
  const char *bytes;
  size_t length;
  uint64_t ticket;
  ms_share *share;
  ms_sub *sub;
  ms_timer *timer;
  ms_round *round;
  ms_batch *batch;
  ms_transaction *draft;
} outputs;

/* clang-format off */
#define CALLS(X) \
  X(poll, true, ms_runtime_poll(f->runtime, 0, 0, NULL)) \
  X(wait, true, ms_runtime_wait(f->runtime, 0, never, NULL)) \
  X(round, false, ms_runtime_on_round(f->runtime, on_nothing, NULL, &o->round)) \
  X(after, false, ms_runtime_after(f->runtime, 1 << 20, on_nothing, NULL, &o->timer)) \
  X(share_new, false, ms_share_new(f->runtime, "guarded", NULL, &o->share, NULL)) \
  X(share_start, false, ms_share_start(f->share, 0, NULL)) \
  X(share_peers, false, ms_share_peers(f->share, on_peer, NULL)) \
  X(get, false, ms_share_get(f->share, "a", &o->value)) \
  X(get_bool, false, ms_share_get_bool(f->share, "b", &o->flag)) \
  X(get_int, false, ms_share_get_int(f->share, "a", &o->number)) \
  X(get_double, false, ms_share_get_double(f->share, "a", &o->real)) \
  X(get_string, false, ms_share_get_string(f->share, "s", &o->bytes, &o->length)) \
  X(get_at, false, ms_share_get_at(f->share, f->path, &o->value)) \
  X(get_bool_at, false, ms_share_get_bool_at(f->share, f->path, &o->flag)) \
  X(get_int_at, false, ms_share_get_int_at(f->share, f->path, &o->number)) \
  X(get_double_at, false, ms_share_get_double_at(f->share, f->path, &o->real)) \
  X(get_string_at, false, ms_share_get_string_at(f->share, f->path, &o->bytes, &o->length)) \
  X(update, false, ms_share_update(f->share, f->update, NULL, NULL)) \
  X(patch, false, ms_share_patch(f->share, f->document, NULL, NULL, NULL)) \
  X(set, false, ms_share_set(f->share, "a", ms_value_null(), NULL, NULL)) \
  X(set_bool, false, ms_share_set_bool(f->share, "b", true)) \
  X(set_int, false, ms_share_set_int(f->share, "a", 1)) \
  X(set_double, false, ms_share_set_double(f->share, "a", 1)) \
  X(set_string, false, ms_share_set_string(f->share, "s", "t", 1)) \
  X(set_at, false, ms_share_set_at(f->share, f->path, ms_value_null(), NULL, NULL)) \
  X(set_bool_at, false, ms_share_set_bool_at(f->share, f->path, true)) \
  X(set_int_at, false, ms_share_set_int_at(f->share, f->path, 1)) \
  X(set_double_at, false, ms_share_set_double_at(f->share, f->path, 1)) \
  X(set_string_at, false, ms_share_set_string_at(f->share, f->path, "t", 1)) \
  X(unset, false, ms_share_unset(f->share, "a", NULL, NULL)) \
  X(unset_at, false, ms_share_unset_at(f->share, f->path, NULL, NULL)) \
  X(inc, false, ms_share_inc(f->share, "n", 1, NULL, NULL)) \
  X(inc_double, false, ms_share_inc_double(f->share, "n", 1, NULL, NULL)) \
  X(mul, false, ms_share_mul(f->share, "m", ms_value_null(), NULL, NULL)) \
  X(min, false, ms_share_min(f->share, "m", ms_value_null(), NULL, NULL)) \
  X(max, false, ms_share_max(f->share, "m", ms_value_null(), NULL, NULL)) \
  X(current_date, false, ms_share_current_date(f->share, "t", NULL, NULL)) \
  X(push, false, ms_share_push(f->share, "l", ms_value_null(), NULL, NULL)) \
  X(add_to_set, false, ms_share_add_to_set(f->share, "l", ms_value_null(), NULL, NULL)) \
  X(pull, false, ms_share_pull(f->share, "l", ms_value_null(), NULL, NULL)) \
  X(pop, false, ms_share_pop(f->share, "l", true, NULL, NULL)) \
  X(insert, false, ms_share_insert(f->share, "l", 0, ms_value_null(), NULL, NULL)) \
  X(remove, false, ms_share_remove(f->share, "l", 0, NULL, NULL)) \
  X(rename, false, ms_share_rename(f->share, "x", "y", NULL, NULL)) \
  X(replace, false, ms_share_replace(f->share, ms_value_empty(), NULL, NULL)) \
  X(batch_new, false, ms_batch_new(f->share, &o->batch)) \
  X(transaction_get, false, ms_transaction_get(f->draft, "a", &o->value)) \
  X(transaction_get_int, false, ms_transaction_get_int(f->draft, "a", &o->number)) \
  X(transaction_get_bool, false, ms_transaction_get_bool(f->draft, "a", &o->flag)) \
  X(transaction_get_double, false, ms_transaction_get_double(f->draft, "a", &o->real)) \
  X(transaction_get_string, false, ms_transaction_get_string(f->draft, "a", &o->bytes, &o->length)) \
  X(transaction_read, false, ms_transaction_read(f->draft, f->path, true, &o->value)) \
  X(transaction_set, false, ms_transaction_set(f->draft, "a", ms_value_null(), NULL)) \
  X(transaction_set_int, false, ms_transaction_set_int(f->draft, "a", 1, NULL)) \
  X(transaction_set_bool, false, ms_transaction_set_bool(f->draft, "a", true, NULL)) \
  X(transaction_set_double, false, ms_transaction_set_double(f->draft, "a", 1, NULL)) \
  X(transaction_set_string, false, ms_transaction_set_string(f->draft, "a", "t", 1, NULL)) \
  X(transaction_inc, false, ms_transaction_inc(f->draft, "n", 1, NULL)) \
  X(transaction_push, false, ms_transaction_push(f->draft, "l", ms_value_null(), NULL)) \
  X(transaction_unset, false, ms_transaction_unset(f->draft, "a", NULL)) \
  X(transaction_patch, false, ms_transaction_patch(f->draft, f->document, NULL, NULL)) \
  X(transaction_update, false, ms_transaction_update(f->draft, f->update, NULL)) \
  X(transaction_new, false, ms_transaction_new(f->share, &o->draft, NULL)) \
  X(transaction_commit, false, ms_transaction_commit(f->draft, NULL, NULL)) \
  X(batch_commit, false, ms_batch_commit(f->batch, NULL, NULL)) \
  X(transact, true, ms_share_transact(f->share, on_draft, NULL, NULL, NULL)) \
  X(receipt_wait, true, ms_receipt_wait(f->receipt, 0, NULL)) \
  X(flush, true, ms_share_flush(f->share, 0, NULL)) \
  X(sync, true, ms_share_sync(f->share, 0, NULL)) \
  X(wait_for, true, ms_share_wait_for(f->share, f->path, never_matches, NULL, 0, NULL)) \
  X(sync_begin, false, ms_share_sync_begin(f->share, &o->ticket, NULL)) \
  X(on, false, ms_share_on(f->share, f->path, 0, on_change, NULL, &o->sub)) \
  X(on_patch, false, ms_share_on_patch(f->share, on_patch, NULL, &o->sub)) \
  X(on_reject, false, ms_share_on_reject(f->share, on_reject, NULL, &o->sub)) \
  X(on_state, false, ms_share_on_state(f->share, on_state, NULL, &o->sub)) \
  X(close, false, ms_share_close(f->other, 0))
/* clang-format on */

#define CALL(name, polls, expression)                                                    \
  static ms_status call_##name(const fixture *f, outputs *o) {                           \
    (void)o;                                                                             \
    return expression;                                                                   \
  }
CALLS(CALL)

static const struct {
  const char *name;
  bool polls;
  ms_status (*call)(const fixture *f, outputs *o);
} calls[] = {
#define ROW(name, polls, expression) {#name, polls, call_##name},
    CALLS(ROW)};
enum { CALL_COUNT = sizeof calls / sizeof *calls };

/* ----- making it */

static ms_share *share_of(const scene *self, ms_runtime *runtime, const char *name) {
  ms_share_config config;
  ms_share *share = NULL;
  scene_config(self, &config);
  assert_int_equal(ms_share_open(runtime, name, &config, &share, NULL), MS_OK);
  return share;
}

static void fixture_open(fixture *f, scene *self) {
  f->share = peer_open(self);
  f->runtime = ms_share_runtime(f->share);
  f->other = share_of(self, f->runtime, "other");
  const char text[] = "{\"$set\": {\"a\": 1}}";
  assert_int_equal(ms_path_parse(NULL, "a", 1, &f->path, NULL), MS_OK);
  assert_int_equal(ms_value_from_json(NULL, text, strlen(text), &f->document, NULL),
                   MS_OK);
  assert_int_equal(ms_update_parse(NULL, f->document, NULL, &f->update, NULL), MS_OK);
}

/* What must not be there while it polls. */
static void fixture_begin(fixture *f) {
  assert_int_equal(ms_share_inc(f->share, "n", 1, &f->receipt, NULL), MS_OK);
  assert_int_equal(ms_batch_new(f->share, &f->batch), MS_OK);
  assert_int_equal(ms_transaction_new(f->other, &f->draft, NULL), MS_OK);
}

static void fixture_end(fixture *f) {
  ms_batch_free(f->batch);
  ms_transaction_free(f->draft);
  ms_receipt_release(f->receipt);
}

static void fixture_close(fixture *f) {
  ms_path_release(f->path);
  ms_value_release(f->document);
  ms_update_release(f->update);
}

static void assert_all_are(const fixture *f, ms_status wanted) {
  for (size_t i = 0; i < CALL_COUNT; i++) {
    outputs out = {0};
    ms_status status = calls[i].call(f, &out);
    if (status != wanted) {
      fprintf(stderr, "%s: %s\n", calls[i].name, ms_status_name(status));
      abort(); /* of a thread or of a child */
    }
  }
}

/* ----- from another thread */

static void *another_thread(void *arg) {
  fixture *f = arg;
  assert_all_are(f, MS_EWRONGTHREAD);
  ms_share_info info = {.bytes = sizeof info, .peer = 1};
  ms_share_inspect(f->share, &info);
  if (info.state != MS_SHARE_CLOSED || info.peer != 0) abort();
  if (ms_share_root(f->share) != NULL || ms_share_retain(f->share) != NULL) abort();
  if (ms_runtime_fd(f->runtime) != -1 || ms_runtime_timeout(f->runtime) != -1) abort();
  ms_batch_free(f->batch);
  ms_transaction_free(f->draft);
  ms_share_free(f->share);
  ms_runtime_close(f->runtime);
  return NULL;
}

static void test_every_call_from_another_thread_is_refused(void **state) {
  fixture f = {0};
  fixture_open(&f, *state);
  fixture_begin(&f);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, another_thread, &f), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_int_equal(ms_share_set_int(f.share, "left", 1), MS_OK); /* in the batch */
  assert_int_equal(ms_batch_commit(f.batch, NULL, NULL), MS_OK);
  fixture_end(&f);
  assert_int_equal(int_at(f.share, "left"), 1);
  assert_int_equal(int_at(f.share, "n"), 1);
  fixture_close(&f);
}

typedef struct called {
  int subs, timers, rounds;
  ms_sub *sub;
  ms_timer *timer;
  ms_round *round;
} called;

static void count_change(void *ud, const ms_change *change) {
  (void)change;
  ((called *)ud)->subs++;
}
static void count_timer(void *ud) { ((called *)ud)->timers++; }
static void count_round(void *ud) { ((called *)ud)->rounds++; }

static void *closing_thread(void *arg) {
  const called *heard = arg;
  ms_sub_close(heard->sub);
  ms_timer_close(heard->timer);
  ms_round_close(heard->round);
  return NULL;
}

static void test_what_another_thread_closes_stays_open(void **state) {
  ms_share *share = peer_open(*state);
  ms_runtime *runtime = ms_share_runtime(share);
  called heard = {0};
  heard.sub = sub_on(share, "a", 0, count_change, &heard);
  assert_int_equal(ms_runtime_after(runtime, 0, count_timer, &heard, &heard.timer),
                   MS_OK);
  assert_int_equal(ms_runtime_on_round(runtime, count_round, &heard, &heard.round),
                   MS_OK);
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, closing_thread, &heard), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  assert_int_equal(ms_share_set_int(share, "a", 1), MS_OK);
  assert_int_equal(ms_runtime_poll(runtime, 0, 0, NULL), MS_OK);
  assert_int_equal(heard.subs, 1);
  assert_int_equal(heard.timers, 1);
  assert_int_equal(heard.rounds, 1);
  ms_sub_close(heard.sub);
  ms_round_close(heard.round);
}

/* ----- after fork */

static void test_every_call_of_a_forked_child_finds_it_closed(void **state) {
  fixture f = {0};
  fixture_open(&f, *state);
  fixture_begin(&f);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    assert_all_are(&f, MS_ECLOSED);
    ms_share_info info = {.bytes = sizeof info, .peer = 1};
    ms_share_inspect(f.share, &info);
    if (info.state != MS_SHARE_CLOSED || info.peer != 0) abort();
    if (ms_share_root(f.share) != NULL || ms_runtime_fd(f.runtime) != -1) abort();
    ms_runtime_wake(f.runtime);
    ms_share_free(f.share);
    ms_runtime_close(f.runtime);
    _exit(0);
  }
  int code = -1;
  assert_int_equal(waitpid(child, &code, 0), child);
  assert_int_equal(code, 0);
  fixture_end(&f);
  assert_int_equal(int_at(f.share, "n"), 1);
  fixture_close(&f);
}

/* ----- inside a callback */

typedef struct inside {
  fixture f;
  size_t seen;
} inside;

/* One call on a fixture of its own. */
static void on_turn_to_call(void *ud) {
  inside *self = ud;
  for (size_t i = 0; i < CALL_COUNT; i++) {
    outputs out = {0};
    fixture *f = &self->f;
    if (calls[i].call == call_close) continue; /* ends what the others need */
    fixture_begin(f);
    ms_status status = calls[i].call(f, &out);
    if ((status == MS_EBUSY) != (calls[i].polls || calls[i].call == call_batch_new ||
                                 calls[i].call == call_transaction_new)) {
      fail_msg("%s: %s", calls[i].name, ms_status_name(status));
    }
    if (status == MS_EWRONGTHREAD || status == MS_ECLOSED) {
      fail_msg("%s: %s", calls[i].name, ms_status_name(status));
    }
    ms_sub_close(out.sub);
    ms_timer_close(out.timer);
    ms_round_close(out.round);
    ms_share_free(out.share);
    fixture_end(f);
    self->seen++;
  }
  ms_runtime_close(self->f.runtime); /* is refused */
  assert_int_equal(ms_share_close(self->f.other, 1000), MS_OK);
}

static void test_no_call_inside_a_callback_waits_for_itself(void **state) {
  inside self = {0};
  fixture_open(&self.f, *state);
  ms_timer *timer = NULL;
  assert_int_equal(ms_runtime_after(self.f.runtime, 0, on_turn_to_call, &self, &timer),
                   MS_OK);
  assert_int_equal(ms_runtime_poll(self.f.runtime, 0, 0, NULL), MS_OK);
  assert_int_equal(self.seen, CALL_COUNT - 1);
  assert_int_equal(ms_share_flush(self.f.share, -1, NULL), MS_OK);
  assert_int_equal(state_of(self.f.other), MS_SHARE_CLOSED);
  fixture_close(&self.f);
}

/* ----- configurations, flags and the clock */

static void test_flags_and_levels_that_are_none_are_refused(void **state) {
  ms_share *share = peer_open(*state);
  ms_path *path = pattern_of("a");
  ms_sub *sub = NULL;
  assert_int_equal(ms_share_on(share, path, 4, on_change, NULL, &sub), MS_EARGUMENT);
  assert_int_equal(ms_share_on(share, path, 0, NULL, NULL, &sub), MS_EARGUMENT);
  assert_int_equal(ms_share_on(share, NULL, 0, on_change, NULL, &sub), MS_EARGUMENT);
  assert_int_equal(ms_share_peers(share, NULL, NULL), MS_EARGUMENT);
  assert_int_equal(ms_share_transact(share, NULL, NULL, NULL, NULL), MS_EARGUMENT);
  assert_null(sub);
  ms_path_release(path);
  const size_t sizes[] = {0, 1, sizeof(size_t), sizeof(ms_runtime_config) + 1, SIZE_MAX};
  for (size_t i = 0; i <= sizeof sizes / sizeof *sizes; i++) {
    ms_runtime_config config;
    ms_runtime *runtime = NULL;
    ms_error error = {0};
    ms_runtime_config_init(&config);
    if (i < sizeof sizes / sizeof *sizes) {
      config.bytes = sizes[i];
    } else {
      config.log_level = (ms_log_level)9;
    }
    assert_int_equal(ms_runtime_open(&config, &runtime, &error), MS_EARGUMENT);
    assert_null(runtime);
    assert_true(strlen(error.message) > 0);
  }
}

static void test_json_flags_that_are_none_are_refused(void **state) {
  (void)state;
  const ms_value *text = NULL;
  assert_int_equal(ms_value_to_json(NULL, ms_value_null(), 4, &text), MS_EARGUMENT);
  assert_null(text);
}

static int64_t fixed_clock(void *ud) { return *(const int64_t *)ud; }

static void note_wall(void *ud, const ms_change *change) {
  *(int64_t *)ud = change->wall_ms;
}

static void find_since(void *ud, const ms_peer *peer) { *(int64_t *)ud = peer->since_ms; }

static void test_wall_time_comes_from_the_clock_of_the_config(void **state) {
  scene *self = *state;
  static int64_t present = 1234567;
  int64_t heard = 0, since = 0;
  ms_runtime_config config;
  ms_runtime_config_init(&config);
  config.clock = fixed_clock;
  config.clock_ud = &present;
  assert_int_equal(ms_runtime_open(&config, &self->runtimes[0], NULL), MS_OK);
  self->count = 1;
  ms_share *share = share_of(self, self->runtimes[0], "clocked");
  assert_int_equal(ms_share_peers(share, find_since, &since), MS_OK);
  assert_int_equal(since, 1234567);
  present = 2345678;
  (void)sub_on(share, "t", 0, note_wall, &heard);
  assert_int_equal(ms_share_wall_ms(share), 2345678);
  assert_int_equal(ms_share_current_date(share, "t", NULL, NULL), MS_OK);
  assert_int_equal(int_at(share, "t"), 2345678);
  assert_int_equal(ms_runtime_poll(self->runtimes[0], 0, 0, NULL), MS_OK);
  assert_int_equal(heard, 2345678);
}

/* ----- handles that are none: debug builds say so */

#if defined(MSI_DEBUG)
/* Keeps what was freed, so that looking at it is no error of its own. */
static void *keep_resize(void *ud, void *ptr, size_t old_bytes, size_t new_bytes) {
  (void)ud;
  if (new_bytes == 0) return NULL;
  void *made = malloc(new_bytes);
  if (made != NULL && ptr != NULL) {
    memcpy(made, ptr, old_bytes < new_bytes ? old_bytes : new_bytes);
  }
  return made;
}

static int64_t keep_clock(void *ud) {
  (void)ud;
  return 1;
}

/* Runs in a child of its own. */
static void misuse(int which, const char *dir) {
  static const ms_alloc keep = {keep_resize, NULL};
  ms_runtime_config config;
  ms_share_config share_config;
  ms_runtime *runtime = NULL;
  ms_share *share = NULL;
  ms_receipt *receipt = NULL;
  ms_timer *timer = NULL;
  int64_t number = 0;
  ms_runtime_config_init(&config);
  config.alloc = &keep;
  config.clock = keep_clock;
  ms_share_config_init(&share_config);
  share_config.dir = dir;
  if (ms_runtime_open(&config, &runtime, NULL) != MS_OK) return;
  if (ms_share_new(runtime, "arena", &share_config, &share, NULL) != MS_OK) return;
  if (ms_runtime_after(runtime, 99, on_nothing, NULL, &timer) != MS_OK) return;
  ms_status status = MS_OK;
  switch (which) {
    case 0: status = ms_runtime_poll(NULL, 0, 0, NULL); break;
    case 1: status = ms_share_get_int(NULL, "a", &number); break;
    case 2: status = ms_share_set_int(NULL, "a", 1); break;
    case 3: status = ms_receipt_wait(receipt, 0, NULL); break;
    case 4:
      ms_share_free(share);
      status = ms_share_get_int(share, "a", &number);
      break;
    case 5:
      ms_runtime_close(runtime);
      status = ms_runtime_poll(runtime, 0, 0, NULL);
      break;
    case 6:
      ms_timer_close(timer);
      ms_timer_close(timer);
      break;
    case 7: status = ms_share_set_int((ms_share *)(void *)runtime, "a", 1); break;
    default: return;
  }
  (void)status;
}

static void test_handles_that_are_none_are_told_in_debug_builds(void **state) {
  const scene *self = *state;
  for (int i = 0; i < 8; i++) {
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
      const struct rlimit none = {0, 0};
      setrlimit(RLIMIT_CORE, &none);
      signal(SIGABRT, SIG_DFL);
      dup2(ends[1], STDERR_FILENO);
      misuse(i, self->dir);
      _exit(0);
    }
    close(ends[1]);
    char said[4096];
    size_t length = 0;
    ssize_t got;
    while ((got = read(ends[0], said + length, sizeof said - 1 - length)) > 0) {
      length += (size_t)got;
    }
    said[length] = '\0';
    close(ends[0]);
    int code = 0;
    assert_int_equal(waitpid(child, &code, 0), child);
    assert_true(WIFSIGNALED(code) || WEXITSTATUS(code) != 0);
    if (strstr(said, "this handle") == NULL) fail_msg("%d: %s", i, said);
  }
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
    SCENE_TEST(test_every_call_from_another_thread_is_refused),
    SCENE_TEST(test_what_another_thread_closes_stays_open),
    SCENE_TEST(test_every_call_of_a_forked_child_finds_it_closed),
    SCENE_TEST(test_no_call_inside_a_callback_waits_for_itself),
    SCENE_TEST(test_flags_and_levels_that_are_none_are_refused),
    cmocka_unit_test(test_json_flags_that_are_none_are_refused),
    SCENE_TEST(test_wall_time_comes_from_the_clock_of_the_config),
#if defined(MSI_DEBUG)
    SCENE_TEST(test_handles_that_are_none_are_told_in_debug_builds),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
