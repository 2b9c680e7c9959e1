/* Takeover: who hosts next, what is kept, who is suspected. */
#include "replica_drive.h"

static void test_another_peer_takes_over_when_the_host_dies(void **state) {
  (void)state;
  world *all = world_of(3);
  node_kill(&all->nodes[0]);
  world_pass(all, SECOND / 10);
  node *host = host_of(all);
  assert_non_null(host);
  assert_int_equal(all->term, 2);
  assert_int_equal(node_info(host).takeovers, 1);
  world_pass(all, SECOND);
  assert_same(&all->nodes[1], &all->nodes[2]);
  assert_int_equal(node_info(&all->nodes[1]).host, node_info(host).peer);
  (void)node_write(&all->nodes[1], MSI_CODE_INC, "n", 1);
  (void)node_write(&all->nodes[2], MSI_CODE_INC, "n", 1);
  world_settle(all);
  assert_same(&all->nodes[1], &all->nodes[2]);
  assert_int_equal(node_int(host, "n"), 2);
  assert_false(all->logs[1].exists); /* everybody has what stood there */
  world_free(all);
}

static void test_what_the_dead_host_stored_is_kept_and_not_repeated(void **state) {
  (void)state;
  world *all = world_of(3);
  node *writer = &all->nodes[1];
  uint64_t number = node_write(writer, MSI_CODE_INC, "n", 1);
  uint64_t later = node_write(writer, MSI_CODE_INC, "n", 10);
  assert_true(end_deliver(all, &all->pipes[0].ends[1], &all->pipes[0].ends[0]));
  assert_int_equal(node_int(&all->nodes[0], "n"), 1);
  node_kill_losing(&all->nodes[0]); /* stored, but nobody heard of it */
  world_pass(all, SECOND);
  assert_non_null(node_decision(writer, number));
  assert_non_null(node_decision(writer, later));
  assert_int_equal(node_int(writer, "n"), 11);
  assert_same(&all->nodes[1], &all->nodes[2]);
  assert_int_equal(node_info(writer).pending, 0);
  world_free(all);
}

static void test_own_pending_patches_are_decided_after_a_takeover(void **state) {
  (void)state;
  world *all = world_of(2);
  node *writer = &all->nodes[1];
  all->nodes[0].hung = true;
  for (int i = 0; i < 5; i++) (void)node_write(writer, MSI_CODE_INC, "n", 1);
  node_kill(&all->nodes[0]);
  world_pass(all, SECOND);
  assert_int_equal(node_info(writer).state, MS_SHARE_HOST);
  assert_int_equal(node_info(writer).pending, 0);
  assert_int_equal(node_int(writer, "n"), 5);
  for (uint64_t i = 1; i <= 5; i++) assert_non_null(node_decision(writer, i));
  world_free(all);
}

static void others_take_over(node *self) {
  self->hung = true;
  world_pass(self->world, 5 * SECOND);
  assert_non_null(host_of(self->world));
  self->hung = false;
}

static void test_a_host_that_was_replaced_while_it_stored_steps_down(void **state) {
  (void)state;
  world *all = world_of(3);
  node *old = &all->nodes[0];
  old->in_commit = others_take_over;
  uint64_t number = node_write(old, MSI_CODE_INC, "n", 1);
  assert_null(node_decision(old, number)); /* not accepted by this host */
  assert_int_equal(node_info(old).state, MS_SHARE_WAITING);
  world_pass(all, SECOND);
  assert_int_equal(node_info(old).state, MS_SHARE_CLIENT);
  assert_non_null(node_decision(old, number)); /* the next one read it in the log */
  assert_int_equal(node_int(old, "n"), 1);
  for (int i = 1; i < 3; i++) assert_same(old, &all->nodes[i]);
  world_free(all);
}

static void test_a_host_that_slept_through_its_term_commits_nothing(void **state) {
  (void)state;
  world *all = world_of(3);
  node *old = &all->nodes[0];
  others_take_over(old);
  for (int i = 1; i < 3; i++) (void)node_write(&all->nodes[i], MSI_CODE_INC, "n", 10);
  old->hung = true;
  world_settle(all);
  old->hung = false;
  uint64_t number = node_write(old, MSI_CODE_INC, "n", 1);
  assert_null(node_decision(old, number));
  assert_int_equal(node_int(old, "n"), 0);
  world_pass(all, SECOND);
  assert_non_null(node_decision(old, number));
  assert_int_equal(node_int(old, "n"), 21);
  for (int i = 1; i < 3; i++) assert_same(old, &all->nodes[i]);
  world_free(all);
}

static void test_a_replaced_host_notices_by_itself(void **state) {
  (void)state;
  world *all = world_of(2);
  others_take_over(&all->nodes[0]);
  world_pass(all, SECOND);
  assert_int_equal(node_info(&all->nodes[0]).state, MS_SHARE_CLIENT);
  assert_int_equal(node_info(&all->nodes[1]).state, MS_SHARE_HOST);
  world_free(all);
}

static void test_a_host_is_suspected_after_its_timeout_of_punctual_ticks(void **state) {
  (void)state;
  world *all = world_of(2);
  all->nodes[0].hung = true;
  world_pass(all, 3 * SECOND / 2);
  assert_int_equal(all->term, 1);
  /* Late ticks show that this peer was stopped itself: they blame nobody. */
  world_pass_late(all, 20 * SECOND, 4 * MSI_TICK_NS / 5);
  assert_int_equal(all->term, 1);
  world_pass(all, 3 * SECOND);
  assert_int_equal(all->term, 2);
  assert_int_equal(node_info(&all->nodes[1]).state, MS_SHARE_HOST);
  world_free(all);
}

static void test_a_host_that_stops_hands_over_at_once(void **state) {
  (void)state;
  world *all = world_of(3);
  node *writer = &all->nodes[1];
  (void)node_write(writer, MSI_CODE_INC, "n", 1);
  world_settle(all);
  msi_replica_stop(all->nodes[0].replica, all->now);
  assert_int_equal(node_info(&all->nodes[0]).state, MS_SHARE_CLOSED);
  uint64_t number = node_write(writer, MSI_CODE_INC, "n", 1);
  node_kill(&all->nodes[0]);
  world_settle(all); /* no time passes */
  assert_non_null(host_of(all));
  world_pass(all, SECOND / 10);
  assert_non_null(node_decision(writer, number));
  assert_int_equal(node_int(&all->nodes[2], "n"), 2);
  world_free(all);
}

static void count_member(void *ud, const ms_peer *peer) {
  (void)peer;
  ++*(size_t *)ud;
}

static size_t members_of(const node *self) {
  size_t count = 0;
  msi_replica_peers(self->replica, count_member, &count);
  return count;
}

static void test_a_dead_host_is_no_member_long_before_the_next_tick(void **state) {
  (void)state;
  world *all = world_of(3);
  world_pass(all, SECOND);
  node_kill(&all->nodes[0]);
  world_settle(all); /* no time passes */
  world_pass(all, SECOND / 1000);
  assert_non_null(host_of(all));
  assert_int_equal(members_of(host_of(all)), 2);
  world_free(all);
}

static void
test_a_peer_that_left_is_no_member_soon_after_its_process_ended(void **state) {
  (void)state;
  world *all = world_of(2);
  world_pass(all, SECOND + SECOND / 100);
  msi_replica_stop(all->nodes[1].replica, all->now);
  world_pass(all, SECOND / 100);
  assert_int_equal(members_of(&all->nodes[0]), 2); /* its lock is still held */
  node_kill(&all->nodes[1]);
  world_pass(all, SECOND / 50);
  assert_int_equal(members_of(&all->nodes[0]), 1);
  world_free(all);
}

static void test_a_candidate_that_died_unready_is_skipped(void **state) {
  (void)state;
  world *all = world_of(2);
  (void)node_write(&all->nodes[1], MSI_CODE_INC, "n", 1);
  assert_true(end_deliver(all, &all->pipes[0].ends[1], &all->pipes[0].ends[0]));
  node_kill_losing(&all->nodes[0]);
  all->term = 3; /* terms 2 and 3 were raised by candidates that got no further */
  all->logs[3].exists = true;
  world_pass(all, SECOND);
  assert_int_equal(all->term, 4);
  assert_int_equal(node_int(&all->nodes[1], "n"), 1);
  world_free(all);
}

static void test_a_peer_that_hung_reads_the_logs_of_two_hosts(void **state) {
  (void)state;
  world *all = world_of(3);
  node *sleeper = &all->nodes[2];
  sleeper->hung = true;
  (void)node_write(&all->nodes[0], MSI_CODE_INC, "n", 1);
  world_settle(all);
  node_kill_losing(&all->nodes[0]);
  world_pass(all, 3 * SECOND);
  assert_ptr_equal(host_of(all), &all->nodes[1]);
  assert_true(all->logs[1].exists); /* the sleeper may need it */
  uint64_t base = all->logs[2].base;
  /* What the first host stored after it was replaced is of no history. */
  log_store(&all->logs[1], base + 1, (const uint8_t *)"junk", 4);
  (void)node_write(&all->nodes[1], MSI_CODE_INC, "n", 10);
  uint64_t last = node_info(&all->nodes[1]).version;
  node_kill_losing(&all->nodes[1]);
  /* Its successor died before its first entry; what the second host stored after that is of none. */
  all->term = 3;
  all->logs[3] = (fake_log){.exists = true, .ready = true, .base = last, .previous = 2};
  log_store(&all->logs[2], last + 1, (const uint8_t *)"junk", 4);
  sleeper->hung = false;
  world_pass(all, SECOND);
  assert_int_equal(node_info(sleeper).state, MS_SHARE_HOST);
  assert_int_equal(node_int(sleeper, "n"), 11);
  world_free(all);
}

/* Host 2 hung before its first entry and woke up when host 3 had read the history without it. */
static void test_a_log_that_was_passed_over_never_counts_again(void **state) {
  (void)state;
  world *all = world_of(2);
  node *sleeper = &all->nodes[1];
  uint64_t version = node_info(sleeper).version;
  sleeper->hung = true;
  (void)node_write(&all->nodes[0], MSI_CODE_INC, "n", 1);
  (void)node_write(&all->nodes[0], MSI_CODE_INC, "n", 10);
  node_kill_losing(&all->nodes[0]);
  all->term = 3;
  all->logs[2] =
      (fake_log){.exists = true, .ready = true, .base = version + 1, .previous = 1};
  log_store(&all->logs[2], version + 2, (const uint8_t *)"junk", 4);
  all->logs[3] =
      (fake_log){.exists = true, .ready = true, .base = version + 2, .previous = 1};
  sleeper->hung = false;
  world_pass(all, SECOND);
  assert_int_equal(node_info(sleeper).state, MS_SHARE_HOST);
  assert_int_equal(node_int(sleeper, "n"), 11);
  world_free(all);
}

static void test_older_logs_stay_until_every_candidate_has_caught_up(void **state) {
  (void)state;
  world *all = world_of(3);
  node *host = &all->nodes[1], *slow = &all->nodes[2];
  slow->hung = true;
  node_kill(&all->nodes[0]);
  world_pass(all, SECOND);
  assert_ptr_equal(host_of(all), host);
  slow->hung = false;
  while (node_info(host).links == 0) assert_true(world_turn(all));
  assert_true(world_turn(all)); /* the greeting */
  slow->hung = true;            /* linked, but it has not read its welcome */
  world_pass(all, 3 * SECOND);
  assert_int_equal(node_info(host).links, 1);
  assert_true(all->logs[1].exists);
  slow->hung = false;
  world_pass(all, SECOND);
  assert_false(all->logs[1].exists);
  assert_same(host, slow);
  world_free(all);
}

static void test_terms_without_a_ready_log_push_no_log_out(void **state) {
  (void)state;
  world *all = world_of(3);
  node *sleeper = &all->nodes[2];
  sleeper->hung = true;
  (void)node_write(&all->nodes[0], MSI_CODE_INC, "n", 1);
  world_settle(all);
  node_kill_losing(&all->nodes[0]);
  all->term = 10; /* terms 2 to 10 were raised by candidates that got no further */
  world_pass(all, 3 * SECOND);
  assert_ptr_equal(host_of(all), &all->nodes[1]);
  assert_int_equal(all->term, 11);
  assert_true(all->logs[1].exists);
  node_kill_losing(&all->nodes[1]);
  sleeper->hung = false;
  world_pass(all, SECOND);
  assert_int_equal(node_info(sleeper).state, MS_SHARE_HOST);
  assert_int_equal(node_int(sleeper, "n"), 1);
  world_free(all);
}

static void test_without_enough_history_nobody_pretends(void **state) {
  (void)state;
  world *all = world_of(2);
  node *peer = &all->nodes[1];
  (void)node_write(peer, MSI_CODE_INC, "n", 1);
  node_kill_losing(&all->nodes[0]);
  log_clear(&all->logs[1]);
  world_pass(all, SECOND);
  /* It was the last one: a new group begins, and the owner hears that the old one is gone. */
  assert_true(node_logged(peer, "not fit to host"));
  assert_int_equal(node_count_told(peer, MSI_DELIVER_UNKNOWN), 1);
  assert_int_equal(node_info(peer).state, MS_SHARE_HOST);
  assert_int_equal(node_info(peer).group, all->group);
  assert_int_equal(ms_value_count(msi_replica_root(peer->replica)), 0);
  world_free(all);
}

static void test_a_group_that_is_found_nowhere_is_left_for_a_new_one(void **state) {
  (void)state;
  world *all = world_of(2);
  node *peer = &all->nodes[1];
  node_kill(&all->nodes[0]);
  peer->lost = true; /* before it could look for another host */
  (void)node_write(peer, MSI_CODE_INC, "n", 1);
  uint64_t group = all->group;
  world_pass(all, SECOND);
  assert_int_equal(node_count_told(peer, MSI_DELIVER_UNKNOWN), 1);
  assert_int_equal(node_info(peer).state, MS_SHARE_HOST);
  assert_int_not_equal(all->group, group);
  assert_int_equal(node_info(peer).group, all->group);
  world_free(all);
}

static void fall_behind(node *self) {
  self->hung = true;
  world_pass(self->world, 10 * SECOND);
  self->hung = false;
}

static void test_the_term_moves_on_while_a_candidate_reads(void **state) {
  (void)state;
  world *all = world_of(3);
  node_kill(&all->nodes[0]);
  all->nodes[1].after_ready = fall_behind;
  world_pass(all, 30 * SECOND);
  assert_ptr_equal(host_of(all), &all->nodes[2]);
  assert_int_equal(all->term, 3);
  assert_int_equal(node_info(&all->nodes[1]).takeovers, 0);
  assert_same(&all->nodes[1], &all->nodes[2]);
  world_free(all);
}

static void test_a_hung_candidate_is_passed_over(void **state) {
  (void)state;
  world *all = world_of(2);
  node_kill(&all->nodes[0]);
  all->logs[2].exists = true;
  all->logs[2].lock = &all->nodes[3]; /* somebody who never gets on */
  world_pass(all, SECOND);
  assert_null(host_of(all));
  world_pass(all, 4 * SECOND);
  assert_int_equal(node_info(&all->nodes[1]).state, MS_SHARE_HOST);
  assert_int_equal(all->term, 3);
  world_free(all);
}

static void test_a_peer_that_cannot_host_waits_for_one_that_can(void **state) {
  (void)state;
  world *all = world_of(1);
  node *guest = &all->nodes[1];
  msi_replica_config config = world_config();
  config.can_host = config.may_found = false;
  assert_int_equal(node_start_with(guest, config), MS_OK);
  world_settle(all);
  assert_false(guest->complete);
  node_start(&all->nodes[2]);
  world_settle(all);
  node_kill(&all->nodes[0]);
  world_pass(all, SECOND);
  assert_ptr_equal(host_of(all), &all->nodes[2]);
  assert_same(guest, &all->nodes[2]);
  node_kill(&all->nodes[2]);
  world_pass(all, 10 * SECOND);
  assert_int_equal(node_count_told(guest, MSI_DELIVER_FAILED), 1); /* nobody is left */
  world_free(all);
}

static void test_a_joiner_whose_group_dies_founds_its_own(void **state) {
  (void)state;
  world *all = world_of(1);
  node *joiner = &all->nodes[1];
  all->nodes[0].hung = true;
  node_start(joiner);
  world_settle(all);
  uint64_t group = all->group;
  node_kill(&all->nodes[0]);
  world_pass(all, 10 * SECOND);
  assert_int_equal(node_info(joiner).state, MS_SHARE_HOST);
  assert_int_not_equal(all->group, group);
  assert_int_equal(node_info(joiner).version, 1);
  world_free(all);
}

/* A peer that cannot host itself looks for the next host without pause, whatever it took to find the last. */
static void test_the_search_for_each_new_host_begins_anew(void **state) {
  (void)state;
  world *all = world_of(2);
  node *next = &all->nodes[1], *third = &all->nodes[2], *seeker = &all->nodes[3];
  msi_replica_config config = world_config();
  config.can_host = false;
  node_start(third);
  assert_int_equal(node_start_with(seeker, config), MS_OK);
  world_pass(all, SECOND);
  next->hung = third->hung = true;
  node_kill(&all->nodes[0]);
  world_pass(all, SECOND / 2);
  assert_true(msi_replica_deadline(seeker->replica) > all->now + 2 * MSI_RETRY_FIRST_NS);
  next->hung = false;
  while (node_info(seeker).state != MS_SHARE_CLIENT) world_pass(all, MSI_RETRY_FIRST_NS);
  node_kill(next); /* so soon that the link has not proved itself yet */
  world_settle(all);
  assert_int_equal(node_info(seeker).state, MS_SHARE_WAITING);
  assert_true(msi_replica_deadline(seeker->replica) <= all->now + 2 * MSI_RETRY_FIRST_NS);
  world_free(all);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_search_for_each_new_host_begins_anew),
      cmocka_unit_test(test_another_peer_takes_over_when_the_host_dies),
      cmocka_unit_test(test_what_the_dead_host_stored_is_kept_and_not_repeated),
      cmocka_unit_test(test_own_pending_patches_are_decided_after_a_takeover),
      cmocka_unit_test(test_a_host_that_was_replaced_while_it_stored_steps_down),
      cmocka_unit_test(test_a_host_that_slept_through_its_term_commits_nothing),
      cmocka_unit_test(test_a_replaced_host_notices_by_itself),
      cmocka_unit_test(test_a_host_is_suspected_after_its_timeout_of_punctual_ticks),
      cmocka_unit_test(test_a_host_that_stops_hands_over_at_once),
      cmocka_unit_test(test_a_dead_host_is_no_member_long_before_the_next_tick),
      cmocka_unit_test(test_a_peer_that_left_is_no_member_soon_after_its_process_ended),
      cmocka_unit_test(test_a_candidate_that_died_unready_is_skipped),
      cmocka_unit_test(test_a_peer_that_hung_reads_the_logs_of_two_hosts),
      cmocka_unit_test(test_a_log_that_was_passed_over_never_counts_again),
      cmocka_unit_test(test_older_logs_stay_until_every_candidate_has_caught_up),
      cmocka_unit_test(test_terms_without_a_ready_log_push_no_log_out),
      cmocka_unit_test(test_without_enough_history_nobody_pretends),
      cmocka_unit_test(test_a_group_that_is_found_nowhere_is_left_for_a_new_one),
      cmocka_unit_test(test_the_term_moves_on_while_a_candidate_reads),
      cmocka_unit_test(test_a_hung_candidate_is_passed_over),
      cmocka_unit_test(test_a_peer_that_cannot_host_waits_for_one_that_can),
      cmocka_unit_test(test_a_joiner_whose_group_dies_founds_its_own),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
