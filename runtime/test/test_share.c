/*
 * Shares through the C API, with real files and sockets: several runtimes in this process are several
 * peers, since nothing is shared between runtimes but the directory.
 */
#include "share_support.h"

/* ------------------------------------------------------------------- one peer */

static void test_first_peer_founds_and_hosts(void **state) {
  ms_share *share = peer_open(*state);
  assert_int_equal(state_of(share), MS_SHARE_HOST);
  const ms_value *root = ms_share_root(share);
  assert_int_equal(ms_value_type(root), MS_OBJECT);
  assert_int_equal(ms_value_count(root), 0);
  ms_value_release(root);
}

static void test_write_is_visible_before_the_call_returns(void **state) {
  ms_share *share = peer_open(*state);
  uint64_t number = ms_share_view_number(share);
  assert_int_equal(ms_share_set_int(share, "round", 7), MS_OK);
  assert_int_equal(int_at(share, "round"), 7);
  assert_true(ms_share_view_number(share) != number);
}

static void test_receipt_of_the_host_is_settled_by_a_wait(void **state) {
  ms_share *share = peer_open(*state);
  ms_receipt *receipt = NULL;
  ms_error error;
  assert_int_equal(ms_share_inc(share, "n", 2, &receipt, &error), MS_OK);
  assert_int_equal(ms_receipt_get_state(receipt), MS_PENDING);
  assert_int_equal(ms_receipt_wait(receipt, 10000, &error), MS_OK);
  assert_int_equal(ms_receipt_get_state(receipt), MS_ACCEPTED);
  assert_true(ms_receipt_version(receipt) > 0);
  ms_receipt_release(receipt);
}

static void test_bad_writes_change_nothing_and_say_why(void **state) {
  ms_share *share = peer_open(*state);
  ms_error error;
  assert_int_equal(ms_share_set_string(share, "name", "alice", 5), MS_OK);
  assert_int_equal(ms_share_inc(share, "name", 1, NULL, &error), MS_ETYPE);
  assert_non_null(strstr(error.message, "name"));
  assert_int_equal(ms_share_set_int(share, "a..b", 1), MS_EPATH);
  assert_int_equal(ms_share_set_int(share, "name.x", 1), MS_EPATH);
  const ms_value *document = NULL;
  assert_int_equal(
      ms_value_from_json(NULL, "{\"$nope\":{\"a\":1}}", 17, &document, &error), MS_OK);
  assert_int_equal(ms_share_patch(share, document, NULL, NULL, &error), MS_EOPERATOR);
  assert_non_null(strstr(error.message, "$nope"));
  ms_value_release(document);
}

static void test_batch_is_one_patch_and_discarding_it_undoes_it(void **state) {
  ms_share *share = peer_open(*state);
  ms_batch *batch = NULL;
  ms_receipt *receipt = NULL;
  ms_error error;
  assert_int_equal(ms_batch_new(share, &batch), MS_OK);
  assert_int_equal(ms_share_set_int(share, "a", 1), MS_OK);
  assert_int_equal(ms_share_set_int(share, "b", 2), MS_OK);
  assert_int_equal(int_at(share, "a"), 1);
  assert_int_equal(ms_runtime_poll(ms_share_runtime(share), 0, 0, NULL), MS_EBUSY);
  assert_int_equal(ms_batch_commit(batch, &receipt, &error), MS_OK);
  ms_batch_free(batch);
  assert_int_equal(ms_receipt_wait(receipt, 10000, &error), MS_OK);
  ms_receipt_release(receipt);
  ms_share_info info = {.bytes = sizeof info};
  ms_share_inspect(share, &info);
  assert_int_equal(info.accepted, 1);

  assert_int_equal(ms_batch_new(share, &batch), MS_OK);
  assert_int_equal(ms_share_set_int(share, "a", 9), MS_OK);
  ms_batch_free(batch);
  assert_int_equal(int_at(share, "a"), 1);
}

static void test_full_queue_says_busy(void **state) {
  scene *self = *state;
  peer_open(self);
  ms_share_config config;
  scene_config(self, &config);
  config.max_queue = 8;
  ms_share *client = peer_open_with(self, &config);
  /* The host's process does not poll, yet its stand-in answers: the owner of the client just never
   * takes the answers, except when the queue is full. */
  for (int i = 0; i < 100; i++) {
    ms_status status = ms_share_set_int(client, "x", i);
    assert_true(status == MS_OK || status == MS_EBUSY);
  }
  ms_error error;
  assert_int_equal(ms_share_flush(client, 10000, &error), MS_OK);
}

/* ------------------------------------------------------------------ two peers */

static void test_writes_of_both_peers_reach_both(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *client = peer_open(self);
  assert_int_equal(state_of(client), MS_SHARE_CLIENT);
  assert_int_equal(ms_share_set_int(host, "from.host", 1), MS_OK);
  assert_int_equal(ms_share_set_int(client, "from.client", 2), MS_OK);
  assert_true(scene_eventually(self, expected, &(expectation){client, "from.host", 1}));
  assert_true(scene_eventually(self, expected, &(expectation){host, "from.client", 2}));
}

static void test_joiner_gets_the_document_and_its_defaults_do_not_win(void **state) {
  scene *self = *state;
  ms_error error;
  const ms_value *defaults = NULL;
  ms_share *host = peer_open(self);
  assert_int_equal(ms_share_set_int(host, "round", 3), MS_OK);
  assert_int_equal(
      ms_value_from_json(NULL, "{\"round\":0,\"new\":5}", 19, &defaults, &error), MS_OK);
  ms_share_config config;
  scene_config(self, &config);
  config.defaults = defaults;
  ms_share *plain = peer_open_with(self, &config);
  assert_int_equal(int_at(plain, "round"), 3);
  assert_int_equal(int_at(plain, "new"), -1);
  config.merge_defaults = true;
  ms_share *merging = peer_open_with(self, &config);
  ms_value_release(defaults);
  assert_int_equal(int_at(merging, "round"), 3);
  assert_true(scene_eventually(self, expected, &(expectation){host, "new", 5}));
}

static void count_change(void *ud, const ms_change *change) {
  int *calls = ud;
  (*calls)++;
  assert_true(change->new_value != NULL || change->kind == MS_CHANGE_REMOVE);
}

static bool is_one(void *ud) { return *(const int *)ud >= 1; }

static void test_subscriber_hears_of_a_remote_write_once(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *client = peer_open(self);
  ms_path *pattern = NULL;
  ms_error error;
  assert_int_equal(ms_path_parse_pattern(NULL, "players.*.hp", 12, &pattern, &error),
                   MS_OK);
  int calls = 0;
  ms_sub *sub = NULL;
  assert_int_equal(ms_share_on(client, pattern, 0, count_change, &calls, &sub), MS_OK);
  ms_path_release(pattern);
  assert_int_equal(ms_share_set_int(host, "players.alice.hp", 90), MS_OK);
  assert_true(scene_eventually(self, is_one, &calls));
  assert_int_equal(ms_share_sync(client, 10000, &error), MS_OK);
  assert_int_equal(calls, 1);
  ms_sub_close(sub);
  assert_int_equal(ms_share_set_int(host, "players.alice.hp", 80), MS_OK);
  assert_int_equal(ms_share_sync(client, 10000, &error), MS_OK);
  assert_int_equal(int_at(client, "players.alice.hp"), 80);
  assert_int_equal(calls, 1);
}

/* A batch is made before the host's write but submitted after it, so it is the newer one. */
static void test_later_write_overwrites_what_it_did_not_see(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *client = peer_open(self);
  ms_receipt *receipt = NULL;
  ms_error error;
  ms_batch *batch = NULL;
  assert_int_equal(ms_batch_new(client, &batch), MS_OK);
  assert_int_equal(ms_share_set_int(client, "x", 2), MS_OK);
  assert_int_equal(ms_share_set_int(host, "x", 3), MS_OK);
  assert_int_equal(ms_batch_commit(batch, &receipt, &error), MS_OK);
  ms_batch_free(batch);
  assert_int_equal(int_at(client, "x"), 2);
  assert_int_equal(ms_receipt_wait(receipt, 10000, &error), MS_OK);
  ms_receipt_release(receipt);
  assert_true(scene_eventually(self, expected, &(expectation){host, "x", 2}));
}

typedef struct refusals {
  uint64_t count, last_number;
  int64_t standing;
} refusals;

static void count_refusal(void *ud, const ms_rejection *rejection) {
  refusals *seen = ud;
  assert_int_equal(rejection->status, MS_ECONFLICT);
  assert_true(rejection->number > seen->last_number);
  assert_non_null(strstr(rejection->message, "x"));
  assert_true(rejection->winner != 0 && rejection->winner_version != 0);
  assert_int_equal(ms_value_to_int(rejection->standing, &seen->standing), MS_OK);
  seen->last_number = rejection->number;
  seen->count++;
}

/* Both write the same path at the same time: whoever loses is told, with what stands. */
static void test_race_leaves_both_equal_and_every_loser_told(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *client = peer_open(self);
  refusals seen = {0};
  ms_sub *sub = NULL;
  ms_error error;
  assert_int_equal(ms_share_on_reject(client, count_refusal, &seen, &sub), MS_OK);
  for (int i = 0; i < 2000; i++) {
    assert_int_equal(ms_share_set_int(client, "x", 2 * i), MS_OK);
    assert_int_equal(ms_share_set_int(host, "x", 2 * i + 1), MS_OK);
  }
  assert_int_equal(ms_share_flush(client, 10000, &error), MS_OK);
  assert_int_equal(ms_share_flush(host, 10000, &error), MS_OK);
  assert_int_equal(ms_share_sync(client, 10000, &error), MS_OK);
  assert_int_equal(int_at(host, "x"), int_at(client, "x"));
  ms_share_info info = {.bytes = sizeof info};
  ms_share_inspect(client, &info);
  assert_int_equal(info.accepted + info.rejected, 2000);
  assert_int_equal(info.rejected, seen.count);
}

static void test_increments_of_both_peers_all_count(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *client = peer_open(self);
  ms_error error;
  for (int i = 0; i < 500; i++) {
    assert_int_equal(ms_share_inc(host, "n", 1, NULL, &error), MS_OK);
    assert_int_equal(ms_share_inc(client, "n", 1, NULL, &error), MS_OK);
  }
  assert_int_equal(ms_share_flush(client, 10000, &error), MS_OK);
  assert_int_equal(ms_share_flush(host, 10000, &error), MS_OK);
  assert_int_equal(ms_share_sync(client, 10000, &error), MS_OK);
  assert_int_equal(int_at(host, "n"), 1000);
  assert_int_equal(int_at(client, "n"), 1000);
}

static bool is_host(void *ud) { return state_of(ud) == MS_SHARE_HOST; }

static void test_closing_the_host_hands_over(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *client = peer_open(self);
  ms_error error;
  assert_int_equal(ms_share_set_int(host, "x", 1), MS_OK);
  assert_int_equal(ms_share_close(host, 1000), MS_OK);
  ms_share_free(host);
  assert_true(scene_eventually(self, is_host, client));
  assert_true(scene_eventually(self, expected, &(expectation){client, "x", 1}));
  ms_receipt *receipt = NULL;
  assert_int_equal(ms_share_inc(client, "x", 1, &receipt, &error), MS_OK);
  assert_int_equal(ms_receipt_wait(receipt, 10000, &error), MS_OK);
  ms_receipt_release(receipt);
  assert_int_equal(int_at(client, "x"), 2);
}

static void test_closed_share_reads_its_last_view_and_refuses_writes(void **state) {
  ms_share *share = peer_open(*state);
  assert_int_equal(ms_share_set_int(share, "x", 1), MS_OK);
  assert_int_equal(ms_share_close(share, 1000), MS_OK);
  assert_int_equal(int_at(share, "x"), 1);
  assert_int_equal(ms_share_set_int(share, "x", 2), MS_ECLOSED);
  ms_share_free(share);
}

static void test_same_name_in_one_runtime_is_the_same_share(void **state) {
  scene *self = *state;
  ms_share *share = peer_open(self);
  ms_share_config config;
  scene_config(self, &config);
  ms_share *again = NULL;
  ms_error error;
  assert_int_equal(ms_share_open(self->runtimes[0], "arena", &config, &again, &error),
                   MS_OK);
  assert_ptr_equal(share, again);
  assert_int_equal(ms_share_close(again, 0), MS_OK);
  assert_int_equal(ms_share_set_int(share, "x", 1), MS_OK);
  ms_share_free(again);
  assert_int_equal(ms_share_set_int(share, "x", 2), MS_OK);
}

static void test_missing_share_is_reported_to_who_must_not_found_it(void **state) {
  scene *self = *state;
  ms_runtime *runtime = runtime_make(NULL);
  ms_share_config config;
  scene_config(self, &config);
  config.must_exist = config.no_host = true;
  ms_share *share = NULL;
  ms_error error;
  assert_int_equal(ms_share_open(runtime, "nothing", &config, &share, &error), MS_ENOENT);
  assert_non_null(strstr(error.message, "nothing"));
  ms_runtime_close(runtime);
}

static void test_readonly_peer_is_refused(void **state) {
  scene *self = *state;
  peer_open(self);
  ms_share_config config;
  scene_config(self, &config);
  config.readonly = true;
  ms_share *reader = peer_open_with(self, &config);
  assert_int_equal(ms_share_set_int(reader, "x", 1), MS_EREADONLY);
}

static void test_bad_names_are_refused(void **state) {
  (void)state;
  ms_runtime *runtime = runtime_make(NULL);
  static const char *const NAMES[] = {"", "../x", "a/b", ".x", "x y", "\xff"};
  for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
    ms_share *share = NULL;
    ms_error error;
    assert_int_equal(ms_share_new(runtime, NAMES[i], NULL, &share, &error), MS_EARGUMENT);
  }
  ms_runtime_close(runtime);
}

/* ----------------------------------------------------------- threads and fork */

static void *other_thread(void *arg) {
  return (void *)(intptr_t)ms_share_set_int(arg, "x", 1);
}

static void test_wrong_thread_is_refused(void **state) {
  ms_share *share = peer_open(*state);
  pthread_t thread;
  void *result = NULL;
  assert_int_equal(pthread_create(&thread, NULL, other_thread, share), 0);
  pthread_join(thread, &result);
  assert_int_equal((ms_status)(intptr_t)result, MS_EWRONGTHREAD);
}

static void test_forked_child_is_closed_out(void **state) {
  ms_share *share = peer_open(*state);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    int status =
        ms_share_set_int(share, "x", 1) == MS_ECLOSED &&
                ms_runtime_poll(ms_share_runtime(share), 0, 0, NULL) == MS_ECLOSED
            ? 0
            : 1;
    _exit(status);
  }
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(WEXITSTATUS(status), 0);
  assert_int_equal(ms_share_set_int(share, "x", 1), MS_OK);
}

/* ------------------------------------------------------- opening and its trouble */

static const int PATIENCE_MS = (int)(TEST_PATIENCE_NS / 1000000);

static void test_start_waits_for_its_timeout_and_goes_on_trying(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self), *share = NULL;
  ms_share_config config;
  ms_error error;
  scene_config(self, &config);
  self->runtimes[1] = runtime_make(self);
  self->count = 2;
  assert_int_equal(ms_share_new(self->runtimes[1], "arena", &config, &share, &error),
                   MS_OK);
  assert_int_equal(ms_share_set_int(host, "n", 1), MS_OK);
  hold(self, host);
  assert_int_equal(ms_share_start(share, 20, &error), MS_ETIMEDOUT);
  assert_non_null(strstr(error.message, "arena"));
  config.timeout_ms = 20;
  ms_share *again = NULL; /* the same share; nothing is closed when this fails */
  assert_int_equal(ms_share_open(self->runtimes[1], "arena", &config, &again, &error),
                   MS_ETIMEDOUT);
  assert_null(again);
  let_go(self, host);
  assert_int_equal(ms_share_start(share, -1, &error), MS_OK);
  assert_int_equal(int_at(share, "n"), 1);
  assert_int_equal(ms_share_start(share, 0, &error), MS_OK);
}

typedef struct opener {
  scene *scene;
  ms_share *share; /* to close */
  int calls;
} opener;

static void open_shares(void *ud) {
  opener *self = ud;
  ms_runtime *runtime = self->scene->runtimes[0];
  ms_share_config config;
  ms_share *share = NULL;
  ms_error error;
  self->calls++;
  scene_config(self->scene, &config);
  /* Waiting is what a callback cannot do. */
  assert_int_equal(ms_share_open(runtime, "another", &config, &share, &error), MS_EBUSY);
  assert_int_equal(ms_share_open(runtime, "arena", &config, &share, &error), MS_OK);
  ms_share_free(share);
  assert_int_equal(ms_share_new(runtime, "another", &config, &share, &error), MS_OK);
  assert_int_equal(ms_share_start(share, 0, &error), MS_OK);
  ms_share_free(share);
}

static void test_callback_may_open_what_needs_no_wait(void **state) {
  scene *self = *state;
  opener all = {.scene = self};
  ms_timer *timer = NULL;
  ms_error error;
  ms_share *share = peer_open(self);
  assert_int_equal(ms_runtime_after(self->runtimes[0], 0, open_shares, &all, &timer),
                   MS_OK);
  assert_int_equal(ms_share_sync(share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(all.calls, 1);
}

static void close_share(void *ud) {
  opener *self = ud;
  self->calls++;
  assert_int_equal(ms_share_close(self->share, PATIENCE_MS), MS_OK);
}

static void test_share_closed_while_it_opens_is_closed(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share_config config;
  ms_timer *timer = NULL;
  ms_error error;
  opener all = {.scene = self};
  scene_config(self, &config);
  self->runtimes[1] = runtime_make(self);
  self->count = 2;
  hold(self, host);
  assert_int_equal(ms_share_new(self->runtimes[1], "arena", &config, &all.share, &error),
                   MS_OK);
  assert_int_equal(ms_runtime_after(self->runtimes[1], 0, close_share, &all, &timer),
                   MS_OK);
  assert_int_equal(ms_share_start(all.share, -1, &error), MS_ECLOSED);
  assert_int_equal(ms_share_start(all.share, -1, &error), MS_ECLOSED);
  let_go(self, host);
  ms_share_free(all.share);
}

static void test_each_holder_closes_and_frees_for_itself(void **state) {
  scene *self = *state;
  ms_share *share = peer_open(self);
  assert_ptr_equal(ms_share_retain(share), share);
  assert_ptr_equal(ms_share_retain(share), share);
  assert_int_equal(ms_share_close(share, 0), MS_OK); /* the first */
  ms_share_free(share);
  ms_share_free(share); /* the second, without closing */
  assert_int_equal(ms_share_set_int(share, "n", 1), MS_OK);
  assert_int_equal(ms_share_close(share, 0), MS_OK);
  assert_int_equal(ms_share_close(share, 0), MS_OK);
  assert_int_equal(ms_share_set_int(share, "n", 2), MS_ECLOSED);
  ms_share_free(share);
  assert_int_equal(ms_runtime_poll(self->runtimes[0], 0, 0, NULL), MS_OK);
  self->count = 0;
  ms_runtime_close(self->runtimes[0]);
  share = peer_open(self); /* nobody holds the name any more */
  assert_int_equal(int_at(share, "n"), -1);
}

static void test_name_is_free_again_once_its_share_is_closed(void **state) {
  scene *self = *state;
  ms_share *share = peer_open(self), *next = NULL;
  ms_share_config config;
  ms_error error;
  scene_config(self, &config);
  assert_int_equal(ms_share_set_int(share, "n", 1), MS_OK);
  assert_int_equal(ms_share_close(share, 0), MS_OK);
  assert_int_equal(ms_share_open(self->runtimes[0], "arena", &config, &next, &error),
                   MS_OK);
  assert_ptr_not_equal(share, next);
  assert_int_equal(int_at(next, "n"), -1);
  assert_int_equal(int_at(share, "n"), 1);
  ms_share_free(share);
}

static void test_bad_configs_are_refused_by_name(void **state) {
  scene *self = *state;
  static const struct {
    size_t offset;
    int value;
    const char *line;
  } cases[] = {{offsetof(ms_share_config, max_patch), 0, "max_patch"},
               {offsetof(ms_share_config, max_patch), MS_PATCH_MAX + 1, "max_patch"},
               {offsetof(ms_share_config, max_queue), 0, "max_queue"},
               {offsetof(ms_share_config, host_timeout_ms), 5, "host_timeout"},
               {offsetof(ms_share_config, bytes), 0, "ms_share_config_init"},
               {offsetof(ms_share_config, bytes), 1000, "ms_share_config_init"}};
  ms_runtime *runtime = runtime_make(NULL);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ms_share_config config;
    ms_share *share = NULL;
    ms_error error;
    scene_config(self, &config);
    if (cases[i].offset == offsetof(ms_share_config, host_timeout_ms)) {
      config.host_timeout_ms = cases[i].value;
    } else {
      size_t value = (size_t)cases[i].value;
      memcpy((char *)&config + cases[i].offset, &value, sizeof value);
    }
    assert_int_equal(ms_share_new(runtime, "arena", &config, &share, &error),
                     MS_EARGUMENT);
    assert_non_null(strstr(error.message, cases[i].line));
  }
  ms_share_config config;
  ms_share *share = NULL;
  ms_error error;
  scene_config(self, &config);
  config.bytes =
      offsetof(ms_share_config, max_queue); /* of a header without that field */
  config.max_queue = 0;
  assert_int_equal(ms_share_open(runtime, "arena", &config, &share, &error), MS_OK);
  assert_int_equal(ms_share_set_int(share, "n", 1), MS_OK);
  ms_runtime_close(runtime);
}

static void test_defaults_that_are_no_document_are_refused(void **state) {
  scene *self = *state;
  ms_runtime *runtime = runtime_make(NULL);
  ms_share_config config;
  ms_share *share = NULL;
  ms_error error;
  scene_config(self, &config);
  config.defaults = ms_value_bool(true);
  assert_int_equal(ms_share_new(runtime, "arena", &config, &share, &error), MS_EARGUMENT);
  const ms_value *deep = NULL;
  assert_int_equal(ms_value_new_object(NULL, &deep), MS_OK);
  for (int i = 0; i < MS_DEPTH_MAX; i++) {
    const ms_value *outer = NULL;
    assert_int_equal(ms_value_new_object(NULL, &outer), MS_OK);
    assert_int_equal(ms_value_put(NULL, &outer, "k", 1, deep), MS_OK);
    ms_value_release(deep);
    deep = outer;
  }
  config.defaults = deep;
  assert_int_equal(ms_share_new(runtime, "arena", &config, &share, &error), MS_ELIMIT);
  ms_value_release(deep);
  ms_runtime_close(runtime);
}

/* More than a link takes at once, both as a snapshot and as a patch. */
static void test_large_documents_and_patches_pass(void **state) {
  enum { BYTES = 3 << 20 };
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_error error;
  char *text = malloc(BYTES);
  assert_non_null(text);
  memset(text, 'x', BYTES);
  assert_int_equal(ms_share_set_string(host, "first", text, BYTES), MS_OK);
  ms_share *client = peer_open(self);
  text[BYTES - 1] = 'y';
  assert_int_equal(ms_share_set_string(client, "second", text, BYTES), MS_OK);
  assert_int_equal(ms_share_flush(client, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(ms_share_sync(host, PATIENCE_MS, &error), MS_OK);
  free(text);
  const ms_value *roots[2] = {ms_share_root(host), ms_share_root(client)};
  assert_true(ms_value_equal(roots[0], roots[1]));
  assert_true(ms_value_bytes(roots[0]) > 2 * BYTES);
  ms_value_release(roots[0]);
  ms_value_release(roots[1]);
}

/* -------------------------------------------------------------------- looking */

static void test_states_and_kinds_have_names(void **state) {
  (void)state;
  assert_string_equal(ms_share_state_name(MS_SHARE_NEW), "new");
  assert_string_equal(ms_share_state_name(MS_SHARE_CLOSED), "closed");
  assert_string_equal(ms_share_state_name((ms_share_state)99), "unknown");
  assert_string_equal(ms_change_kind_name(MS_CHANGE_JOIN), "join");
  assert_string_equal(ms_change_kind_name((ms_change_kind)-1), "unknown");
}

typedef struct roll {
  ms_share *share;
  int count, selves, hosts;
} roll;

static void call_roll(void *ud, const ms_peer *peer) {
  roll *self = ud;
  self->count++;
  self->selves += peer->is_self;
  self->hosts += peer->is_host;
  assert_int_equal(peer->pid, getpid());
  assert_true(strlen(peer->program) > 0);
  /* The one who hears of peers may call anything. */
  assert_true(info_of(self->share).peer != 0);
  assert_int_equal(ms_share_set_int(self->share, "n", self->count), MS_OK);
}

static void test_peers_are_told_to_one_who_may_call_anything(void **state) {
  scene *self = *state;
  peer_open(self);
  roll all = {.share = peer_open(self)};
  assert_int_equal(ms_share_peers(all.share, call_roll, &all), MS_OK);
  assert_int_equal(all.count, 2);
  assert_int_equal(all.selves, 1);
  assert_int_equal(all.hosts, 1);
  assert_int_equal(int_at(all.share, "n"), 2);
}

static void test_inspecting_fills_what_the_caller_has_room_for(void **state) {
  ms_share *share = peer_open(*state);
  ms_share_info info;
  memset(&info, 0xA5, sizeof info);
  info.bytes = offsetof(ms_share_info, term);
  ms_share_inspect(share, &info);
  assert_int_equal(info.bytes, offsetof(ms_share_info, term));
  assert_int_equal(info.state, MS_SHARE_HOST);
  assert_true(info.peer != 0 && info.host == info.peer);
  assert_int_equal(info.term, UINT64_C(0xA5A5A5A5A5A5A5A5));
}

static void test_sync_and_flush_without_timeout_look_once(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_error error;
  assert_int_equal(ms_share_set_int(host, "n", 1), MS_OK);
  assert_int_equal(ms_share_sync(host, 0, &error), MS_OK);
  assert_int_equal(ms_share_flush(host, 0, &error), MS_OK);
  ms_share *client = peer_open(self);
  hold(self, host);
  assert_int_equal(ms_share_sync(client, 0, &error), MS_ETIMEDOUT);
  let_go(self, host);
}

static void test_opening_again_waits_as_long_as_its_caller_says(void **state) {
  scene *self = *state;
  ms_share_config config;
  ms_share *share = NULL, *again = NULL;
  ms_error error;
  peer_open(self);
  self->runtimes[1] = runtime_make(self);
  self->count = 2;
  scene_config(self, &config);
  config.timeout_ms = 0;
  assert_int_equal(ms_share_open(self->runtimes[1], "arena", &config, &share, &error),
                   MS_OK);
  config.timeout_ms = PATIENCE_MS;
  assert_int_equal(ms_share_open(self->runtimes[1], "arena", &config, &again, &error),
                   MS_OK);
  assert_ptr_equal(again, share);
  assert_int_equal(state_of(again), MS_SHARE_CLIENT);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCENE_TEST(test_opening_again_waits_as_long_as_its_caller_says),
      SCENE_TEST(test_first_peer_founds_and_hosts),
      SCENE_TEST(test_write_is_visible_before_the_call_returns),
      SCENE_TEST(test_receipt_of_the_host_is_settled_by_a_wait),
      SCENE_TEST(test_bad_writes_change_nothing_and_say_why),
      SCENE_TEST(test_batch_is_one_patch_and_discarding_it_undoes_it),
      SCENE_TEST(test_full_queue_says_busy),
      SCENE_TEST(test_writes_of_both_peers_reach_both),
      SCENE_TEST(test_joiner_gets_the_document_and_its_defaults_do_not_win),
      SCENE_TEST(test_subscriber_hears_of_a_remote_write_once),
      SCENE_TEST(test_later_write_overwrites_what_it_did_not_see),
      SCENE_TEST(test_race_leaves_both_equal_and_every_loser_told),
      SCENE_TEST(test_increments_of_both_peers_all_count),
      SCENE_TEST(test_closing_the_host_hands_over),
      SCENE_TEST(test_closed_share_reads_its_last_view_and_refuses_writes),
      SCENE_TEST(test_same_name_in_one_runtime_is_the_same_share),
      SCENE_TEST(test_missing_share_is_reported_to_who_must_not_found_it),
      SCENE_TEST(test_readonly_peer_is_refused),
      cmocka_unit_test(test_bad_names_are_refused),
      SCENE_TEST(test_wrong_thread_is_refused),
      SCENE_TEST(test_forked_child_is_closed_out),
      SCENE_TEST(test_start_waits_for_its_timeout_and_goes_on_trying),
      SCENE_TEST(test_callback_may_open_what_needs_no_wait),
      SCENE_TEST(test_share_closed_while_it_opens_is_closed),
      SCENE_TEST(test_each_holder_closes_and_frees_for_itself),
      SCENE_TEST(test_name_is_free_again_once_its_share_is_closed),
      SCENE_TEST(test_bad_configs_are_refused_by_name),
      SCENE_TEST(test_defaults_that_are_no_document_are_refused),
      SCENE_TEST(test_large_documents_and_patches_pass),
      cmocka_unit_test(test_states_and_kinds_have_names),
      SCENE_TEST(test_peers_are_told_to_one_who_may_call_anything),
      SCENE_TEST(test_inspecting_fills_what_the_caller_has_room_for),
      SCENE_TEST(test_sync_and_flush_without_timeout_look_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
