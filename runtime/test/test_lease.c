/* Leases, and what is bound to a peer, through the C API: peers of one process. */
#include "share_support.h"

static ms_lease *ask(ms_share *share, const char *name) {
  ms_lease *lease = NULL;
  ms_error error;
  ms_status status = ms_lease_new(share, name, strlen(name), &lease, &error);
  if (status != MS_OK) fail_msg("lock: %s", error.message);
  return lease;
}

static bool is_held(void *ud) { return ms_lease_get_state(ud) == MS_LEASE_HELD; }
static bool is_gone(void *ud) { return ms_lease_get_state(ud) == MS_LEASE_GONE; }
static bool is_decided(void *ud) { return ms_lease_is_decided(ud); }

static void test_lock_goes_from_one_to_the_next_with_growing_fences(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self), *peer = peer_open(self);
  ms_lease *first = ask(host, "door");
  assert_true(scene_eventually(self, is_held, first));
  uint64_t fence = ms_lease_fence(first);
  assert_true(fence > 0);
  ms_lease *second = ask(peer, "door"), *other = ask(peer, "window");
  assert_true(scene_eventually(self, is_decided, second));
  assert_int_equal(ms_lease_get_state(second), MS_LEASE_WAITING);
  assert_int_equal(ms_lease_fence(second), 0);
  assert_true(scene_eventually(self, is_held, other)); /* another name */
  assert_true(ms_share_is_locked(peer, "door", 4));
  assert_false(ms_share_is_locked(peer, "doors", 5));

  ms_error error;
  assert_int_equal(ms_lease_wait(second, 5, &error), MS_ETIMEDOUT);
  assert_int_equal(ms_lease_return(first, &error), MS_OK);
  assert_int_equal(ms_lease_get_state(first), MS_LEASE_GONE);
  assert_int_equal(ms_lease_return(first, &error), MS_OK); /* nothing happens */
  assert_int_equal(ms_lease_wait(first, 0, &error), MS_ECLOSED);
  assert_true(scene_eventually(self, is_held, second));
  assert_true(ms_lease_fence(second) > fence);
  assert_int_equal(ms_lease_wait(second, 0, &error), MS_OK);
  size_t length;
  assert_string_equal(ms_lease_name(second, &length), "door");
  assert_int_equal(length, 4);
  ms_lease_free(first);
  ms_lease_free(second);
  ms_lease_free(other);
  ms_lease_free(NULL);
}

static void test_lock_is_given_back_when_its_lease_is_freed(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self), *peer = peer_open(self);
  ms_lease *lease = ask(peer, "door");
  assert_true(scene_eventually(self, is_held, lease));
  ms_batch *batch = NULL;
  assert_int_equal(ms_batch_new(peer, &batch), MS_OK);
  ms_error error;
  ms_lease *inside = NULL;
  assert_int_equal(ms_lease_new(peer, "x", 1, &inside, &error), MS_EBUSY);
  assert_int_equal(ms_lease_return(lease, &error), MS_EBUSY);
  assert_int_equal(ms_lease_get_state(lease), MS_LEASE_HELD);
  ms_lease_free(lease); /* at the next poll that can */
  ms_batch_free(batch);
  ms_lease *next = ask(host, "door");
  assert_true(scene_eventually(self, is_held, next));
  ms_lease_free(next);
}

static void test_locks_go_with_their_share(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self), *peer = peer_open(self);
  ms_lease *lease = ask(peer, "door"), *next = ask(host, "door");
  assert_true(scene_eventually(self, is_decided, next));
  assert_int_equal(ms_share_close(peer, 1000), MS_OK);
  assert_true(is_gone(lease));
  assert_true(scene_eventually(self, is_held, next));
  ms_lease_free(lease);
  ms_lease_free(next);
}

static void test_names_have_limits(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self);
  static char name[MS_KEY_MAX + 1];
  memset(name, 'x', sizeof name);
  ms_lease *lease = NULL;
  ms_error error;
  assert_int_equal(ms_lease_new(host, "", 0, &lease, &error), MS_EARGUMENT);
  assert_int_equal(ms_lease_new(host, NULL, 3, &lease, &error), MS_EARGUMENT);
  assert_int_equal(ms_lease_new(host, name, sizeof name, &lease, &error), MS_ELIMIT);
  assert_null(lease);
  lease = NULL;
  assert_int_equal(ms_lease_new(host, "a\0b", 3, &lease, &error), MS_OK);
  assert_true(scene_eventually(self, is_held, lease));
  assert_true(ms_share_is_locked(host, "a\0b", 3));
  assert_false(ms_share_is_locked(host, "a", 1));
  ms_lease_free(lease);
}

static void test_holder_writes_on(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self), *peer = peer_open(self);
  ms_lease *door = ask(peer, "door"), *window = ask(peer, "window");
  assert_true(scene_eventually(self, is_held, door));
  assert_true(scene_eventually(self, is_held, window));
  for (int i = 0; i < 20; i++) assert_int_equal(ms_share_set_int(peer, "n", i), MS_OK);
  ms_batch *batch = NULL;
  ms_error error;
  assert_int_equal(ms_batch_new(peer, &batch), MS_OK);
  assert_int_equal(ms_share_set_int(peer, "a", 1), MS_OK);
  assert_int_equal(ms_share_set_int(peer, "b", 2), MS_OK);
  assert_int_equal(ms_batch_commit(batch, NULL, &error), MS_OK);
  ms_batch_free(batch);
  expectation wanted = {host, "b", 2};
  assert_true(scene_eventually(self, expected, &wanted));
  assert_int_equal(int_at(host, "n"), 19);
  assert_int_equal(info_of(peer).rejected, 0);
  ms_lease_free(door);
  ms_lease_free(window);
}

static bool has_left(void *ud) { return int_at(ud, "job") == -1; }

static void test_what_is_bound_goes_with_its_peer(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self), *peer = peer_open(self);
  ms_path *job = pattern_of("job"), *kept = pattern_of("kept"), *me = NULL, *place = NULL;
  ms_error error;
  assert_int_equal(ms_share_set_int(peer, "job", 5), MS_OK);
  assert_int_equal(ms_share_set_int(peer, "kept", 6), MS_OK);
  assert_int_equal(ms_share_bind(peer, job, NULL, &error), MS_OK);
  assert_int_equal(ms_share_bind(peer, kept, NULL, &error), MS_OK);
  assert_int_equal(ms_share_unbind(peer, kept, NULL, &error), MS_OK);
  assert_int_equal(ms_share_bind(peer, NULL, NULL, &error), MS_EARGUMENT);
  assert_int_equal(ms_share_me(peer, &me, &error), MS_OK);
  assert_int_equal(ms_peer_path(NULL, info_of(peer).peer, &place, &error), MS_OK);
  assert_true(msi_path_equal(me, place));
  const ms_value *found = NULL;
  assert_int_equal(ms_share_get_at(peer, me, &found), MS_OK);
  assert_int_equal(ms_value_type(found), MS_OBJECT);
  expectation wanted = {host, "job", 5};
  assert_true(scene_eventually(self, expected, &wanted));
  assert_int_equal(ms_share_close(peer, 1000), MS_OK);
  assert_true(scene_eventually(self, has_left, host));
  assert_int_equal(ms_share_get_at(host, place, &found), MS_ENOENT);
  assert_int_equal(int_at(host, "kept"), 6);
  ms_path_release(me);
  ms_path_release(place);
  ms_path_release(job);
  ms_path_release(kept);
}

int main(void) {
  const struct CMUnitTest tests[] = {
#define SCENE(test) cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown)
      SCENE(test_lock_goes_from_one_to_the_next_with_growing_fences),
      SCENE(test_lock_is_given_back_when_its_lease_is_freed),
      SCENE(test_locks_go_with_their_share),
      SCENE(test_names_have_limits),
      SCENE(test_holder_writes_on),
      SCENE(test_what_is_bound_goes_with_its_peer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
