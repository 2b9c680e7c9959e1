/* Subscriptions: who hears what, once and in order, and what callbacks may close. */
#include "share_support.h"

static const int PATIENCE_MS = (int)(TEST_PATIENCE_NS / 1000000);

enum { HEARD_MAX = 64 };

/* What one subscription heard. */
typedef struct ear {
  int count;
  int64_t numbers[HEARD_MAX]; /* new values; -1: gone */
  ms_change_kind kinds[HEARD_MAX];
  bool local[HEARD_MAX];
} ear;

static void hear(void *ud, const ms_change *change) {
  ear *self = ud;
  assert_true(self->count < HEARD_MAX);
  int64_t number = -1;
  if (change->new_value != NULL) {
    assert_int_equal(ms_value_to_int(change->new_value, &number), MS_OK);
  }
  self->numbers[self->count] = number;
  self->kinds[self->count] = change->kind;
  self->local[self->count++] = change->is_local;
}

static void poll_all(ms_share *share) {
  bool more = true;
  while (more) {
    assert_int_equal(ms_runtime_poll(ms_share_runtime(share), 0, 0, &more), MS_OK);
  }
}

static void set(ms_share *share, const char *path, int64_t number) {
  assert_int_equal(ms_share_set_int(share, path, number), MS_OK);
}

/* ------------------------------------------------------------------ what is heard */

static void test_own_write_is_heard_once_and_not_again_when_accepted(void **state) {
  scene *self = *state;
  peer_open(self);
  ms_share *share = peer_open(self);
  ear all = {0};
  ms_error error;
  sub_on(share, "n", 0, hear, &all);
  set(share, "n", 1);
  assert_int_equal(all.count, 0); /* in a poll, not in the write */
  assert_int_equal(ms_share_flush(share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(ms_share_sync(share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(all.count, 1);
  assert_int_equal(all.numbers[0], 1);
  assert_true(all.local[0]);
}

static void test_new_subscription_hears_nothing_of_writes_before_it(void **state) {
  scene *self = *state;
  ms_share *share = peer_open(self);
  ear early = {0}, late = {0};
  sub_on(share, "n", 0, hear, &early);
  set(share, "n", 1);
  set(share, "n", 2);
  sub_on(share, "n", 0, hear, &late);
  set(share, "n", 3);
  poll_all(share);
  assert_int_equal(early.count, 3);
  assert_int_equal(late.count, 1);
  assert_int_equal(late.numbers[0], 3);
}

static void test_immediate_tells_what_is_there_and_then_each_change_once(void **state) {
  scene *self = *state;
  ms_share *share = peer_open(self);
  ear early = {0}, late = {0}, never = {0};
  sub_on(share, "n", 0, hear, &early);
  set(share, "n", 1);
  ms_sub *closed = sub_on(share, "n", MS_ON_IMMEDIATE, hear, &never);
  sub_on(share, "n", MS_ON_IMMEDIATE, hear, &late);
  ms_sub_close(closed);
  set(share, "n", 2);
  poll_all(share);
  assert_int_equal(early.count, 2);
  assert_int_equal(late.count, 2);
  assert_int_equal(late.numbers[0], 1);
  assert_int_equal(late.numbers[1], 2);
  assert_int_equal(never.count, 0);
}

static void test_immediate_before_the_document_is_there_tells_it_once(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self), *share = NULL;
  ms_share_config config;
  ms_error error;
  ear all = {0};
  set(host, "n", 7);
  scene_config(self, &config);
  self->runtimes[1] = runtime_make(self);
  self->count = 2;
  assert_int_equal(ms_share_new(self->runtimes[1], "arena", &config, &share, &error),
                   MS_OK);
  sub_on(share, "n", MS_ON_IMMEDIATE, hear, &all);
  assert_int_equal(ms_share_start(share, -1, &error), MS_OK);
  poll_all(share);
  assert_int_equal(all.count, 1);
  assert_int_equal(all.numbers[0], 7);
  assert_int_equal(all.kinds[0], MS_CHANGE_JOIN);
}

static void test_own_and_foreign_changes_come_in_the_order_of_the_view(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *share = peer_open(self);
  ear all = {0};
  ms_error error;
  sub_on(share, "n", 0, hear, &all);
  set(host, "n", 1);
  assert_int_equal(ms_share_sync(share, PATIENCE_MS, &error), MS_OK);
  set(host, "n", 2); /* the later own write wins; its view never shows this one */
  set(share, "n", 3);
  assert_int_equal(ms_share_flush(share, PATIENCE_MS, &error), MS_OK);
  set(host, "n", 4);
  assert_int_equal(ms_share_sync(share, PATIENCE_MS, &error), MS_OK);
  const int64_t expected_numbers[] = {1, 3, 4};
  assert_int_equal(all.count, 3);
  assert_memory_equal(all.numbers, expected_numbers, sizeof expected_numbers);
  assert_false(all.local[0]);
  assert_true(all.local[1]);
}

/* The host's document already forbids what the client still may do. */
static void test_roll_back_is_heard_as_such(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *share = peer_open(self);
  ear all = {0};
  ms_error error;
  set(host, "a.n", 1);
  assert_int_equal(ms_share_sync(share, PATIENCE_MS, &error), MS_OK);
  sub_on(share, "a.m", 0, hear, &all);
  assert_int_equal(ms_share_set_string(host, "a", "text", 4), MS_OK);
  assert_int_equal(ms_share_inc(share, "a.m", 1, NULL, &error), MS_OK);
  assert_int_equal(ms_share_flush(share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(all.count, 2);
  assert_int_equal(all.numbers[0], 1);
  assert_int_equal(all.numbers[1], -1);
  assert_int_equal(info_of(share).rejected, 1);
}

/* ---------------------------------------------------------- once for each poll */

/* What a coalescing subscription heard last. */
typedef struct summary {
  int count;
  int64_t old_number, new_number; /* -1: nothing there */
  ms_change last;
} summary;

static int64_t number_of(const ms_value *value) {
  int64_t number = -1;
  if (value != NULL) assert_int_equal(ms_value_to_int(value, &number), MS_OK);
  return number;
}

static void sum_up(void *ud, const ms_change *change) {
  summary *self = ud;
  self->count++;
  self->old_number = number_of(change->old_value);
  self->new_number = number_of(change->new_value);
  self->last = *change;
}

static void assert_summary(const summary *all, int count, int64_t old_number,
                           int64_t new_number) {
  assert_int_equal(all->count, count);
  assert_int_equal(all->old_number, old_number);
  assert_int_equal(all->new_number, new_number);
}

static void test_coalescing_hears_the_first_old_and_the_last_new_value(void **state) {
  scene *self = *state;
  ms_share *share = peer_open(self);
  set(share, "n", 1);
  poll_all(share);
  ear each = {0};
  summary whole = {0};
  sub_on(share, "n", MS_ON_COALESCE, sum_up, &whole);
  sub_on(share, "n", 0, hear, &each);
  for (int i = 2; i <= 9; i++) set(share, "n", i);
  poll_all(share);
  assert_int_equal(each.count, 8);
  assert_summary(&whole, 1, 1, 9);
  assert_true(whole.last.is_local);
  assert_int_equal(whole.last.kind, MS_CHANGE_SET);
  assert_int_equal(ms_share_unset(share, "n", NULL, NULL), MS_OK);
  poll_all(share);
  assert_summary(&whole, 2, 9, -1);
  assert_int_equal(whole.last.kind, MS_CHANGE_REMOVE);
  set(share, "n", 5);
  assert_int_equal(ms_share_unset(share, "n", NULL, NULL), MS_OK);
  poll_all(share);
  assert_int_equal(whole.count, 2); /* as it was before */
}

static void test_coalescing_names_a_writer_only_when_there_was_one(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *share = peer_open(self);
  summary all = {0};
  ms_error error;
  sub_on(share, "**", MS_ON_COALESCE, sum_up, &all);
  set(host, "a", 1);
  set(host, "a", 2);
  assert_int_equal(ms_share_flush(host, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(ms_share_sync(share, PATIENCE_MS, &error), MS_OK);
  poll_all(share);
  assert_int_equal(all.new_number, 2);
  assert_int_equal(all.last.origin, info_of(host).peer);
  assert_false(all.last.is_local);
  assert_int_equal(all.last.version, info_of(share).version);
}

static void test_coalescing_starts_with_the_first_change_after_its_making(void **state) {
  scene *self = *state;
  ms_share *share = peer_open(self);
  summary early = {0}, late = {0}, closed = {0};
  set(share, "n", 1);
  poll_all(share);
  sub_on(share, "n", MS_ON_COALESCE, sum_up, &early);
  ms_sub *gone = sub_on(share, "n", MS_ON_COALESCE, sum_up, &closed);
  set(share, "n", 2);
  sub_on(share, "n", MS_ON_COALESCE, sum_up, &late);
  set(share, "n", 3);
  set(share, "n", 4);
  ms_sub_close(gone);
  poll_all(share);
  assert_summary(&early, 1, 1, 4);
  assert_summary(&late, 1, 2, 4);
  assert_int_equal(closed.count, 0);
}

static void test_coalescing_with_immediate_begins_with_what_is_there(void **state) {
  scene *self = *state;
  ms_share *share = peer_open(self);
  summary all = {0};
  set(share, "n", 7);
  poll_all(share);
  sub_on(share, "n", MS_ON_COALESCE | MS_ON_IMMEDIATE, sum_up, &all);
  poll_all(share);
  assert_summary(&all, 1, -1, 7);
  set(share, "n", 8);
  poll_all(share);
  assert_summary(&all, 2, 7, 8);
}

/* ------------------------------------------------------- what callbacks may do */

typedef struct actor {
  ms_share *share;
  ms_sub *own, *other;
  ear all, added;
  bool write, add;
} actor;

static void act(void *ud, const ms_change *change) {
  actor *self = ud;
  hear(&self->all, change);
  ms_sub_close(self->own);
  ms_sub_close(self->other);
  self->own = self->other = NULL;
  if (self->write && self->all.count == 1) set(self->share, "n", 10);
  if (self->add) sub_on(self->share, "n", 0, hear, &self->added);
  self->add = false;
}

static void
test_subscriptions_closed_by_a_callback_are_not_called_any_more(void **state) {
  scene *self = *state;
  actor all = {.share = peer_open(self)};
  ear other = {0};
  all.own = sub_on(all.share, "n", 0, act, &all);
  all.other = sub_on(all.share, "n", 0, hear, &other);
  set(all.share, "n", 1);
  set(all.share, "n", 2);
  poll_all(all.share);
  assert_int_equal(all.all.count, 1);
  assert_int_equal(other.count, 0);
}

static void test_callback_may_write_and_subscribe_for_what_comes_next(void **state) {
  scene *self = *state;
  actor all = {.share = peer_open(self), .write = true, .add = true};
  sub_on(all.share, "n", 0, act, &all);
  set(all.share, "n", 1);
  bool more = false;
  assert_int_equal(ms_runtime_poll(self->runtimes[0], 0, 0, &more), MS_OK);
  assert_int_equal(all.all.count, 1);
  assert_true(more);
  poll_all(all.share);
  assert_int_equal(all.all.count, 2);
  assert_int_equal(all.all.numbers[1], 10);
  /* The write came before the subscription. */
  assert_int_equal(all.added.count, 0);
  set(all.share, "n", 11);
  poll_all(all.share);
  assert_int_equal(all.added.count, 1);
}

typedef struct leaver {
  ms_share *share;
  bool frees;
  int calls;
} leaver;

static void leave(void *ud, const ms_change *change) {
  leaver *self = ud;
  (void)change;
  if (self->calls++ > 0) return;
  assert_int_equal(ms_share_close(self->share, 1000), MS_OK);
  if (self->frees) ms_share_free(self->share);
}

static void test_share_closed_in_a_callback_still_tells_what_was(void **state) {
  scene *self = *state;
  leaver all = {.share = peer_open(self)};
  ms_error error;
  sub_on(all.share, "n", 0, leave, &all);
  set(all.share, "n", 1);
  set(all.share, "n", 2);
  assert_int_equal(ms_share_flush(all.share, PATIENCE_MS, &error), MS_ECLOSED);
  poll_all(all.share);
  assert_int_equal(all.calls, 2);
  assert_int_equal(int_at(all.share, "n"), 2);
  ms_share_free(all.share);
}

static void test_share_freed_in_a_callback_calls_nobody_any_more(void **state) {
  scene *self = *state;
  leaver all = {.share = peer_open(self), .frees = true};
  ms_error error;
  sub_on(all.share, "n", 0, leave, &all);
  sub_on(all.share, "n", 0, leave, &all);
  set(all.share, "n", 1);
  set(all.share, "n", 2);
  assert_int_equal(ms_share_flush(all.share, PATIENCE_MS, &error), MS_ECLOSED);
  assert_int_equal(all.calls, 1);
  assert_int_equal(ms_runtime_poll(self->runtimes[0], 0, 0, NULL), MS_OK);
}

static void test_share_freed_while_others_wait_for_it(void **state) {
  scene *self = *state;
  for (int wait = 0; wait < 3; wait++) {
    leaver all = {.share = peer_open(self), .frees = true};
    ms_receipt *receipt = NULL;
    ms_error error;
    sub_on(all.share, "n", 0, leave, &all);
    assert_int_equal(ms_share_inc(all.share, "n", 1, &receipt, &error), MS_OK);
    switch (wait) {
      case 0:
        assert_int_equal(ms_share_sync(all.share, PATIENCE_MS, &error), MS_ECLOSED);
        break;
      case 1: assert_int_equal(ms_share_close(all.share, PATIENCE_MS), MS_OK); break;
      default:
        assert_int_equal(ms_receipt_wait(receipt, PATIENCE_MS, &error), MS_OK);
        break;
    }
    assert_int_equal(all.calls, 1);
    assert_int_equal(ms_receipt_get_state(receipt), MS_ACCEPTED);
    ms_receipt_release(receipt);
  }
}

/* ----------------------------------------------------------------------- patches */

typedef struct patch_ear {
  int count;
  uint64_t versions[HEARD_MAX], origins[HEARD_MAX];
  bool local[HEARD_MAX], merged[HEARD_MAX];
  char paths[HEARD_MAX][64]; /* joined by blanks */
  ms_sub *closes;            /* NULL: none */
} patch_ear;

static void hear_patch(void *ud, const ms_patch *patch) {
  patch_ear *self = ud;
  assert_true(self->count < HEARD_MAX);
  assert_int_equal(patch->bytes, sizeof *patch);
  char *text = self->paths[self->count];
  size_t length = 0;
  for (size_t i = 0; i < patch->path_count; i++) {
    if (i > 0) text[length++] = ' ';
    for (size_t k = 0; k < ms_path_count(patch->paths[i]); k++) {
      ms_key key = ms_path_key(patch->paths[i], k);
      int written = snprintf(text + length, 64 - length, "%s%.*s", k > 0 ? "." : "",
                             (int)key.length, key.bytes);
      assert_true(written >= 0 && (size_t)written < 64 - length);
      length += (size_t)written;
    }
  }
  text[length] = '\0';
  self->versions[self->count] = patch->version;
  self->origins[self->count] = patch->origin;
  self->local[self->count] = patch->is_local;
  self->merged[self->count++] = patch->is_merged;
  ms_sub_close(self->closes);
  self->closes = NULL;
}

static ms_sub *sub_on_patch(ms_share *share, patch_ear *self) {
  ms_sub *sub = NULL;
  assert_int_equal(ms_share_on_patch(share, hear_patch, self, &sub), MS_OK);
  return sub;
}

static void settle_all(ms_share *const *shares, size_t count) {
  ms_error error;
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(ms_share_flush(shares[i], PATIENCE_MS, &error), MS_OK);
  }
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(ms_share_sync(shares[i], PATIENCE_MS, &error), MS_OK);
  }
}

static void test_every_peer_hears_each_accepted_patch_once_and_in_order(void **state) {
  scene *self = *state;
  ms_share *shares[2] = {peer_open(self), peer_open(self)};
  patch_ear ears[2] = {{0}, {0}};
  ear changes = {0};
  ms_error error;
  for (int i = 0; i < 2; i++) sub_on_patch(shares[i], &ears[i]);
  sub_on(shares[0], "n", 0, hear, &changes); /* with and without hooks */
  for (int i = 0; i < 10; i++) {
    assert_int_equal(ms_share_inc(shares[i % 2], "n", 1, NULL, &error), MS_OK);
  }
  settle_all(shares, 2);
  for (int i = 0; i < 2; i++) {
    int local = 0;
    assert_int_equal(ears[i].count, 10);
    for (int k = 0; k < 10; k++) {
      assert_string_equal(ears[i].paths[k], "n");
      assert_false(ears[i].merged[k]);
      assert_int_equal(ears[i].versions[k], ears[0].versions[k]);
      assert_int_equal(ears[i].origins[k], ears[0].origins[k]);
      assert_int_equal(ears[i].local[k], ears[i].origins[k] == info_of(shares[i]).peer);
      local += ears[i].local[k];
      if (k > 0) assert_true(ears[i].versions[k] > ears[i].versions[k - 1]);
    }
    assert_int_equal(local, 5);
  }
}

static void test_patch_names_what_it_wrote_and_not_what_it_asked_for(void **state) {
  scene *self = *state;
  ms_share *share = peer_open(self);
  patch_ear all = {0};
  ms_error error;
  sub_on_patch(share, &all);
  ms_batch *batch = NULL;
  assert_int_equal(ms_batch_new(share, &batch), MS_OK);
  set(share, "b.x", 1);
  set(share, "a", 2);
  assert_int_equal(ms_batch_commit(batch, NULL, &error), MS_OK);
  ms_batch_free(batch);
  settle_all(&share, 1);
  assert_int_equal(all.count, 1);
  assert_string_equal(all.paths[0], "b.x a");
}

static void test_joining_is_told_as_one_merged_patch(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  for (int i = 0; i < 5; i++) set(host, "n", i);
  settle_all(&host, 1);
  ms_share_config config;
  ms_share *share = NULL;
  ms_error error;
  patch_ear all = {0};
  scene_config(self, &config);
  self->runtimes[self->count] = runtime_make(self);
  assert_int_equal(
      ms_share_new(self->runtimes[self->count++], "arena", &config, &share, &error),
      MS_OK);
  sub_on_patch(share, &all);
  assert_int_equal(ms_share_start(share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(ms_share_sync(share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(all.count, 1);
  assert_true(all.merged[0]);
  assert_false(all.local[0]);
  assert_int_equal(all.origins[0], 0);
  assert_string_equal(all.paths[0], "");
  assert_true(all.versions[0] >= 5);
  set(host, "n", 7);
  settle_all(&host, 1);
  assert_int_equal(ms_share_sync(share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(all.count, 2);
  assert_false(all.merged[1]);
}

static void test_rejected_patch_is_not_told_as_accepted(void **state) {
  scene *self = *state;
  ms_share *shares[2] = {peer_open(self), peer_open(self)};
  patch_ear all = {0};
  ms_error error;
  set(shares[0], "x", 0);
  settle_all(shares, 2);
  sub_on_patch(shares[1], &all);
  assert_int_equal(ms_share_set_string(shares[0], "x", "text", 4), MS_OK);
  assert_int_equal(ms_share_inc(shares[1], "x", 1, NULL, &error), MS_OK);
  set(shares[1], "last", 1);
  settle_all(shares, 2);
  assert_int_equal(all.count, 2);
  assert_string_equal(all.paths[0], "x");
  assert_false(all.local[0]);
  assert_string_equal(all.paths[1], "last");
}

static void test_patch_listeners_come_and_go_in_callbacks(void **state) {
  scene *self = *state;
  ms_share *share = peer_open(self);
  patch_ear first = {0}, second = {0}, late = {0};
  sub_on_patch(share, &first);
  first.closes = sub_on_patch(share, &second);
  set(share, "n", 1);
  settle_all(&share, 1);
  assert_int_equal(first.count, 1);
  assert_int_equal(second.count, 0);
  sub_on_patch(share, &late);
  set(share, "n", 2);
  settle_all(&share, 1);
  assert_int_equal(first.count, 2);
  assert_int_equal(late.count, 1);
}

/* ------------------------------------------------------------------------- peers */

typedef struct peer_ear {
  int joins, leaves;
  uint64_t joined[8], left[8];
  int selves;
} peer_ear;

static void hear_peer(void *ud, ms_peer_event event, const ms_peer *peer) {
  peer_ear *self = ud;
  assert_true(self->joins < 8 && self->leaves < 8);
  assert_int_equal(peer->pid, getpid());
  assert_non_null(peer->program);
  assert_true(peer->since_ms > 0);
  self->selves += peer->is_self;
  if (event == MS_PEER_JOIN) {
    self->joined[self->joins++] = peer->id;
  } else {
    self->left[self->leaves++] = peer->id;
  }
}

static ms_sub *sub_on_peer(ms_share *share, peer_ear *self) {
  ms_sub *sub = NULL;
  assert_int_equal(ms_share_on_peer(share, hear_peer, self, &sub), MS_OK);
  return sub;
}

static bool heard_a_leave(void *ud) { return ((const peer_ear *)ud)->leaves > 0; }

static bool heard_a_join(void *ud) { return ((const peer_ear *)ud)->joins > 0; }

static void test_peers_are_heard_when_they_join_and_when_they_leave(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self), *client = peer_open(self);
  peer_ear at_host = {0}, at_client = {0};
  assert_int_equal(ms_runtime_poll(self->runtimes[0], 0, 0, NULL), MS_OK);
  sub_on_peer(host, &at_host);
  sub_on_peer(client, &at_client);
  ms_share *guest = peer_open(self);
  uint64_t id = info_of(guest).peer;
  assert_true(scene_eventually(self, heard_a_join, &at_host));
  assert_true(scene_eventually(self, heard_a_join, &at_client));
  assert_int_equal(at_host.joins, 1);
  assert_int_equal(at_host.joined[0], id);
  assert_int_equal(at_client.joins, 1);
  assert_int_equal(at_client.joined[0], id);
  assert_int_equal(ms_share_close(guest, PATIENCE_MS), MS_OK);
  assert_true(scene_eventually(self, heard_a_leave, &at_host));
  assert_true(scene_eventually(self, heard_a_leave, &at_client));
  assert_int_equal(at_host.left[0], id);
  assert_int_equal(at_client.left[0], id);
  assert_int_equal(at_host.selves + at_client.selves, 0);
}

static void test_who_listens_before_the_start_hears_all_join_once(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share_config config;
  ms_share *share = NULL;
  ms_error error;
  peer_ear all = {0};
  scene_config(self, &config);
  self->runtimes[self->count] = runtime_make(self);
  assert_int_equal(
      ms_share_new(self->runtimes[self->count++], "arena", &config, &share, &error),
      MS_OK);
  sub_on_peer(share, &all);
  assert_int_equal(ms_share_start(share, PATIENCE_MS, &error), MS_OK);
  set(host, "n", 1);
  settle_all(&host, 1);
  assert_int_equal(ms_share_sync(share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(all.joins, 2);
  assert_int_equal(all.selves, 1);
  assert_int_equal(all.leaves, 0);
}

static void test_peers_that_came_in_a_backlog_are_heard_as_differences(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  peer_ear all = {0};
  sub_on_peer(host, &all);
  uint64_t id = info_of(peer_open(self)).peer;
  msi_share_stale_roster(host);
  assert_int_equal(ms_runtime_poll(self->runtimes[0], 0, 0, NULL), MS_OK);
  assert_true(scene_eventually(self, heard_a_join, &all));
  settle_all(&host, 1);
  assert_int_equal(all.joins, 1); /* and its own entry is nothing new */
  assert_int_equal(all.joined[0], id);
}

/* ------------------------------------------------------------- refusals, states */

typedef struct refusal_ear {
  int count;
  uint64_t number;
  ms_share *share;
  struct refusal_ear *added;
} refusal_ear;

static void hear_refusal(void *ud, const ms_rejection *rejection) {
  refusal_ear *self = ud;
  self->count++;
  self->number = rejection->number;
  assert_int_equal(rejection->status, MS_ETYPE);
  if (self->added == NULL || self->added->share != NULL) return;
  self->added->share = self->share;
  ms_sub *sub = NULL;
  assert_int_equal(ms_share_on_reject(self->share, hear_refusal, self->added, &sub),
                   MS_OK);
}

/* Patches of the client that the host is sure to reject: $inc of what became a string. */
static void make_refusals(ms_share *host, ms_share *share, int count) {
  ms_error error;
  set(host, "x", 0);
  assert_int_equal(ms_share_sync(share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(ms_share_set_string(host, "x", "text", 4), MS_OK);
  for (int i = 0; i < count; i++) {
    assert_int_equal(ms_share_inc(share, "x", 1, NULL, &error), MS_OK);
  }
}

static void test_refusals_are_told_or_logged(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *share = peer_open(self);
  ms_error error;
  make_refusals(host, share, 1);
  assert_int_equal(ms_share_flush(share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(self->warnings, 1);
  refusal_ear added = {0}, all = {.share = share, .added = &added};
  ms_sub *sub = NULL;
  assert_int_equal(ms_share_on_reject(share, hear_refusal, &all, &sub), MS_OK);
  make_refusals(host, share, 1);
  assert_int_equal(ms_share_flush(share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(all.count, 1);
  assert_int_equal(added.count, 0); /* it came in while that was told */
  make_refusals(host, share, 1);
  assert_int_equal(ms_share_flush(share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(all.count, 2);
  assert_int_equal(added.count, 1);
  assert_int_equal(self->warnings, 1);
}

static void test_refusals_that_nobody_could_hear_are_logged_at_the_end(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share *share = peer_open(self);
  refusal_ear all = {0};
  ms_sub *sub = NULL;
  assert_int_equal(ms_share_on_reject(share, hear_refusal, &all, &sub), MS_OK);
  make_refusals(host, share, 3);
  size_t before = self->warnings;
  ms_share_free(share);
  assert_int_equal(all.count, 0);
  assert_int_equal(self->warnings, before + 1);
}

typedef struct state_ear {
  ms_share *share;
  ms_share_state states[HEARD_MAX];
  int count;
  bool complete_without_root;
} state_ear;

static void hear_state(void *ud, const ms_share_info *info) {
  state_ear *self = ud;
  assert_true(self->count < HEARD_MAX);
  self->states[self->count++] = info->state;
  const ms_value *root = ms_share_root(self->share);
  if (info->state >= MS_SHARE_WAITING && root == NULL) self->complete_without_root = true;
  ms_value_release(root);
}

static bool has_become_host(void *ud) {
  const state_ear *self = ud;
  return self->count > 0 && self->states[self->count - 1] == MS_SHARE_HOST;
}

static void test_states_are_told_and_complete_ones_have_a_document(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  ms_share_config config;
  ms_error error;
  state_ear all = {0};
  ms_sub *sub = NULL;
  scene_config(self, &config);
  self->runtimes[1] = runtime_make(self);
  self->count = 2;
  assert_int_equal(ms_share_new(self->runtimes[1], "arena", &config, &all.share, &error),
                   MS_OK);
  assert_int_equal(ms_share_on_state(all.share, hear_state, &all, &sub), MS_OK);
  assert_int_equal(ms_share_start(all.share, -1, &error), MS_OK);
  assert_int_equal(ms_share_sync(all.share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(all.states[all.count - 1], MS_SHARE_CLIENT);
  ms_share_free(host);
  assert_true(scene_eventually(self, has_become_host, &all));
  assert_false(all.complete_without_root);
}

/* ------------------------------------------------------------------------ many */

static void test_many_subscriptions_come_and_go(void **state) {
  enum { COUNT = 5000 };
  scene *self = *state;
  ms_share *share = peer_open(self);
  static ms_sub *subs[COUNT];
  static ear ears[COUNT];
  memset(ears, 0, sizeof ears);
  for (int i = 0; i < COUNT; i++) {
    char path[16];
    snprintf(path, sizeof path, "k%d", i % 100);
    subs[i] = sub_on(share, path, i % 2 == 0 ? MS_ON_IMMEDIATE : 0, hear, &ears[i]);
  }
  set(share, "k7", 1);
  for (int i = 0; i < COUNT; i += 200) ms_sub_close(subs[(i + 7) % COUNT]);
  poll_all(share);
  for (int i = 0; i < COUNT; i++)
    assert_int_equal(ears[i].count, i % 100 == 7 && i % 200 != 7);
  for (int i = COUNT - 1; i >= 0; i--) {
    if (i % 200 != 7) ms_sub_close(subs[i]);
  }
  set(share, "k7", 2);
  poll_all(share);
  for (int i = 0; i < COUNT; i++) assert_true(ears[i].count <= 1);
}

static void test_closed_shares_and_missing_functions_are_refused(void **state) {
  scene *self = *state;
  ms_share *share = peer_open(self);
  ms_path *pattern = pattern_of("n");
  ms_sub *sub = NULL;
  assert_int_equal(ms_share_on(share, pattern, 0, NULL, NULL, &sub), MS_EARGUMENT);
  assert_int_equal(ms_share_on_state(share, NULL, NULL, &sub), MS_EARGUMENT);
  assert_int_equal(ms_share_on_patch(share, NULL, NULL, &sub), MS_EARGUMENT);
  assert_int_equal(ms_share_on_peer(share, NULL, NULL, &sub), MS_EARGUMENT);
  assert_int_equal(ms_share_close(share, 0), MS_OK);
  assert_int_equal(ms_share_on(share, pattern, 0, hear, NULL, &sub), MS_ECLOSED);
  assert_null(sub);
  ms_path_release(pattern);
  ms_share_free(share);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCENE_TEST(test_own_write_is_heard_once_and_not_again_when_accepted),
      SCENE_TEST(test_new_subscription_hears_nothing_of_writes_before_it),
      SCENE_TEST(test_immediate_tells_what_is_there_and_then_each_change_once),
      SCENE_TEST(test_immediate_before_the_document_is_there_tells_it_once),
      SCENE_TEST(test_own_and_foreign_changes_come_in_the_order_of_the_view),
      SCENE_TEST(test_roll_back_is_heard_as_such),
      SCENE_TEST(test_coalescing_hears_the_first_old_and_the_last_new_value),
      SCENE_TEST(test_coalescing_names_a_writer_only_when_there_was_one),
      SCENE_TEST(test_coalescing_starts_with_the_first_change_after_its_making),
      SCENE_TEST(test_coalescing_with_immediate_begins_with_what_is_there),
      SCENE_TEST(test_subscriptions_closed_by_a_callback_are_not_called_any_more),
      SCENE_TEST(test_callback_may_write_and_subscribe_for_what_comes_next),
      SCENE_TEST(test_share_closed_in_a_callback_still_tells_what_was),
      SCENE_TEST(test_share_freed_in_a_callback_calls_nobody_any_more),
      SCENE_TEST(test_share_freed_while_others_wait_for_it),
      SCENE_TEST(test_every_peer_hears_each_accepted_patch_once_and_in_order),
      SCENE_TEST(test_patch_names_what_it_wrote_and_not_what_it_asked_for),
      SCENE_TEST(test_joining_is_told_as_one_merged_patch),
      SCENE_TEST(test_rejected_patch_is_not_told_as_accepted),
      SCENE_TEST(test_patch_listeners_come_and_go_in_callbacks),
      SCENE_TEST(test_peers_are_heard_when_they_join_and_when_they_leave),
      SCENE_TEST(test_who_listens_before_the_start_hears_all_join_once),
      SCENE_TEST(test_peers_that_came_in_a_backlog_are_heard_as_differences),
      SCENE_TEST(test_refusals_are_told_or_logged),
      SCENE_TEST(test_refusals_that_nobody_could_hear_are_logged_at_the_end),
      SCENE_TEST(test_states_are_told_and_complete_ones_have_a_document),
      SCENE_TEST(test_many_subscriptions_come_and_go),
      SCENE_TEST(test_closed_shares_and_missing_functions_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
