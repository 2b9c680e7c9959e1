/* What a host decides of itself: places that expire, leases of holders that show no life. */
#include <string.h>

#include "desk.h"
#include "replica_world.h"
#include "replica_drive.h"

/* The update is taken. */
static uint64_t submit(node *self, ms_update *update) {
  uint64_t number = 0;
  self->world->now += 1000;
  assert_int_equal(msi_replica_submit(self->replica, self->world->now,
                                      node_info(self).version, 5, update, NULL, NULL,
                                      &number),
                   MS_OK);
  ms_update_release(update);
  world_settle(self->world);
  return number;
}

static uint64_t lock(node *self) {
  ms_update *update = NULL;
  assert_int_equal(msi_update_lock(NULL, "a", 1, &update, NULL), MS_OK);
  return submit(self, update);
}

static uint64_t limit(node *self, uint64_t ttl_ms) {
  ms_path *path = NULL;
  ms_update *update = NULL;
  assert_int_equal(ms_path_parse(NULL, "k", 1, &path, NULL), MS_OK);
  assert_int_equal(msi_update_ttl(NULL, path, ttl_ms, &update, NULL), MS_OK);
  ms_path_release(path);
  return submit(self, update);
}

static msi_waiter holder(const node *self) {
  msi_waiter waiter = {0};
  (void)msi_desk_waiter(msi_replica_desk(self->replica), "a", 1, 0, &waiter);
  return waiter;
}

static bool fence_holds(node *self, uint64_t fence) {
  ms_update *update = NULL;
  assert_int_equal(msi_update_fence(NULL, "a", 1, fence, &update, NULL), MS_OK);
  uint64_t number = submit(self, update);
  world_pass(self->world, SECOND);
  return node_decision(self, number)->entry_kind == MSI_ENTRY_PATCH;
}

static void test_a_living_holder_keeps_its_lease(void **state) {
  (void)state;
  world *all = world_of(3);
  uint64_t peer = node_info(&all->nodes[1]).peer;
  (void)lock(&all->nodes[1]);
  (void)lock(&all->nodes[2]);
  uint64_t fence = holder(&all->nodes[0]).fence;
  world_pass(all, 20 * SECOND);
  assert_int_equal(holder(&all->nodes[0]).peer, peer);
  assert_true(fence_holds(&all->nodes[1], fence));
  assert_false(fence_holds(&all->nodes[2], fence));
  world_free(all);
}

static void test_the_lease_of_a_hung_holder_lapses(void **state) {
  (void)state;
  world *all = world_of(3);
  node *hung = &all->nodes[1], *next = &all->nodes[2];
  (void)lock(hung);
  (void)lock(next);
  uint64_t fence = holder(&all->nodes[0]).fence;
  hung->hung = true;
  world_pass(all, SECOND);
  assert_int_equal(holder(next).peer, node_info(hung).peer);
  world_pass(all, 5 * SECOND);
  assert_int_equal(holder(next).peer, node_info(next).peer);
  assert_true(holder(next).fence > fence);
  hung->hung = false;
  assert_false(fence_holds(hung, fence)); /* it learns before its write counts */
  assert_true(fence_holds(next, holder(next).fence));
  assert_same(&all->nodes[0], hung);
  world_free(all);
}

static void test_a_host_that_was_stopped_blames_no_holder(void **state) {
  (void)state;
  world *all = world_of(2);
  (void)lock(&all->nodes[1]);
  for (int i = 0; i < 10; i++) world_pass_late(all, 4 * SECOND, 3 * SECOND);
  assert_int_equal(holder(&all->nodes[0]).peer, node_info(&all->nodes[1]).peer);
  world_free(all);
}

static void test_a_dead_holder_hands_over_across_a_takeover(void **state) {
  (void)state;
  world *all = world_of(3);
  (void)lock(&all->nodes[0]); /* the host itself */
  (void)lock(&all->nodes[2]);
  node_kill(&all->nodes[0]);
  world_pass(all, 5 * SECOND);
  assert_int_equal(holder(&all->nodes[2]).peer, node_info(&all->nodes[2]).peer);
  assert_true(fence_holds(&all->nodes[2], holder(&all->nodes[2]).fence));
  world_free(all);
}

static void test_a_place_expires_everywhere_in_order(void **state) {
  (void)state;
  world *all = world_of(2);
  node *host = &all->nodes[0], *peer = &all->nodes[1];
  (void)node_write(peer, MSI_CODE_SET, "k", 7);
  (void)limit(peer, 300);
  world_pass(all, SECOND / 5);
  assert_int_equal(node_int(host, "k"), 7);
  world_pass(all, SECOND / 5);
  assert_int_equal(node_int(host, "k"), INT64_MIN);
  assert_int_equal(host->told[host->told_count - 1].entry_kind, MSI_ENTRY_HOUSE);
  assert_same(host, peer);
  assert_int_equal(ms_value_type(msi_replica_desk(host->replica)), MS_EMPTY);
  (void)node_write(peer, MSI_CODE_SET, "k", 8); /* the limit is gone, too */
  world_pass(all, SECOND);
  assert_int_equal(node_int(peer, "k"), 8);
  world_free(all);
}

static void test_writing_begins_the_time_anew(void **state) {
  (void)state;
  world *all = world_of(2);
  node *peer = &all->nodes[1];
  (void)node_write(peer, MSI_CODE_SET, "k", 7);
  (void)limit(peer, 300);
  for (int i = 0; i < 10; i++) {
    world_pass(all, SECOND / 5);
    (void)node_write(peer, MSI_CODE_INC, "k", 1);
    world_settle(all);
  }
  assert_int_equal(node_int(peer, "k"), 17);
  (void)limit(peer, 0);
  world_pass(all, 2 * SECOND);
  assert_int_equal(node_int(peer, "k"), 17);
  world_free(all);
}

static void test_a_new_host_lets_expire_what_is_due(void **state) {
  (void)state;
  world *all = world_of(3);
  (void)node_write(&all->nodes[1], MSI_CODE_SET, "k", 7);
  (void)limit(&all->nodes[1], 100);
  node_kill(&all->nodes[0]);
  world_pass(all, 5 * SECOND);
  assert_int_equal(node_int(host_of(all), "k"), INT64_MIN);
  assert_same(&all->nodes[1], &all->nodes[2]);
  world_free(all);
}

static void test_only_a_host_lets_leases_lapse(void **state) {
  (void)state;
  world *all = world_of(3);
  ms_update *update = NULL;
  (void)lock(&all->nodes[1]);
  msi_waiter first = holder(&all->nodes[0]);
  assert_int_equal(msi_update_lapse(NULL, first.peer, "a", 1, first.fence, &update, NULL),
                   MS_OK);
  uint64_t number = submit(&all->nodes[2], update);
  assert_int_equal(node_decision(&all->nodes[2], number)->entry_kind, MSI_ENTRY_REJECT);
  assert_int_equal(holder(&all->nodes[0]).fence, first.fence);
  world_free(all);
}

/* ----- who may write */

static uint64_t grant(node *self, const char *role, const char *pattern) {
  ms_update *update = NULL;
  assert_int_equal(msi_update_grant(NULL, role, strlen(role), pattern, strlen(pattern),
                                    true, &update, NULL),
                   MS_OK);
  return submit(self, update);
}

static bool may_write(node *self, const char *path) {
  uint64_t number = node_write(self, MSI_CODE_SET, path, 1);
  world_pass(self->world, SECOND);
  return node_decision(self, number)->entry_kind == MSI_ENTRY_PATCH;
}

static void test_roles_survive_takeover_and_snapshots(void **state) {
  (void)state;
  world *all = world_of(2);
  msi_replica_config config = world_config();
  config.roles = "zone\0";
  assert_int_equal(node_start_with(&all->nodes[2], config), MS_OK);
  world_settle(all);
  (void)grant(&all->nodes[0], "zone", "players.**");
  assert_true(may_write(&all->nodes[2], "players.a"));
  assert_false(may_write(&all->nodes[1], "players.a"));
  assert_false(may_write(&all->nodes[0], "players.a")); /* not even the host */
  node_kill(&all->nodes[0]);
  world_pass(all, 5 * SECOND);
  node_start(&all->nodes[3]); /* by a snapshot */
  world_pass(all, SECOND);
  assert_true(may_write(&all->nodes[2], "players.b"));
  assert_false(may_write(&all->nodes[1], "players.b"));
  assert_false(may_write(&all->nodes[3], "players.b"));
  assert_true(may_write(&all->nodes[3], "free"));
  world_free(all);
}

static void test_no_more_may_write_than_were_said(void **state) {
  (void)state;
  world *all = world_of(2);
  ms_update *update = NULL;
  assert_int_equal(msi_update_writers(NULL, 2, &update, NULL), MS_OK);
  (void)submit(&all->nodes[1], update);
  node_start(&all->nodes[2]);
  world_pass(all, SECOND);
  assert_int_equal(node_info(&all->nodes[2]).state, MS_SHARE_CLOSED);
  assert_int_equal(node_count_told(&all->nodes[2], MSI_DELIVER_FAILED), 1);
  assert_true(node_logged(&all->nodes[2], "no further peer may write"));
  msi_replica_config config = world_config();
  config.readonly = true;
  assert_int_equal(node_start_with(&all->nodes[3], config), MS_OK);
  world_pass(all, SECOND);
  assert_int_equal(node_info(&all->nodes[3]).state, MS_SHARE_CLIENT);
  world_free(all);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_roles_survive_takeover_and_snapshots),
      cmocka_unit_test(test_no_more_may_write_than_were_said),
      cmocka_unit_test(test_a_living_holder_keeps_its_lease),
      cmocka_unit_test(test_the_lease_of_a_hung_holder_lapses),
      cmocka_unit_test(test_a_host_that_was_stopped_blames_no_holder),
      cmocka_unit_test(test_a_dead_holder_hands_over_across_a_takeover),
      cmocka_unit_test(test_a_place_expires_everywhere_in_order),
      cmocka_unit_test(test_writing_begins_the_time_anew),
      cmocka_unit_test(test_a_new_host_lets_expire_what_is_due),
      cmocka_unit_test(test_only_a_host_lets_leases_lapse),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
