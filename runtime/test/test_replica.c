/* The replica: founding, joining, writing, coming back, questions, lack of memory. */
#include "members.h"
#include "replica_drive.h"

/* ----- founding and joining */

static void test_a_founder_hosts_its_defaults(void **state) {
  (void)state;
  world *all = world_new();
  node *host = &all->nodes[0];
  start_founder(host, document("n", 7));
  msi_replica_info info = node_info(host);
  assert_int_equal(info.state, MS_SHARE_HOST);
  assert_int_equal(info.version, 1); /* its own JOIN */
  assert_int_equal(info.host, info.peer);
  assert_int_equal(info.group, all->group);
  assert_int_equal(node_int(host, "n"), 7);
  assert_int_equal(node_count_told(host, MSI_DELIVER_ROOT), 1);
  assert_int_equal(node_count_told(host, MSI_DELIVER_ENTRY), 0);
  assert_true(all->logs[1].ready);
  assert_int_equal(all->logs[1].count, 1);
  world_free(all);
}

static void test_empty_defaults_become_an_object(void **state) {
  (void)state;
  const ms_value *const defaults[] = {NULL, ms_value_empty()};
  for (size_t i = 0; i < 2; i++) {
    world *all = world_new();
    start_founder(&all->nodes[0], defaults[i]);
    assert_int_equal(ms_value_type(msi_replica_root(all->nodes[0].replica)), MS_OBJECT);
    world_free(all);
  }
}

static void test_a_share_that_may_not_be_founded_fails(void **state) {
  (void)state;
  world *all = world_new();
  msi_replica_config config = world_config();
  config.can_host = false; /* so it must not found either */
  assert_int_equal(node_start_with(&all->nodes[0], config), MS_OK);
  assert_int_equal(node_info(&all->nodes[0]).state, MS_SHARE_CLOSED);
  assert_int_equal(node_count_told(&all->nodes[0], MSI_DELIVER_FAILED), 1);
  assert_int_equal(msi_replica_deadline(all->nodes[0].replica), UINT64_MAX);
  world_free(all);
}

static void test_a_joiner_gets_a_snapshot_in_pieces_between_live_entries(void **state) {
  (void)state;
  world *all = world_new();
  node *host = &all->nodes[0], *joiner = &all->nodes[1];
  all->room = 1000; /* one piece at a time */
  const ms_value *big, *root = document("n", 0);
  char *text = malloc(200000);
  assert_non_null(text);
  memset(text, 'x', 200000);
  for (int i = 0; i < 3; i++) {
    char key[16];
    (void)snprintf(key, sizeof key, "big%d", i);
    assert_int_equal(ms_value_new_string(NULL, text, 200000, &big), MS_OK);
    assert_int_equal(ms_value_put(NULL, &root, key, 4, big), MS_OK);
    ms_value_release(big);
  }
  free(text);
  start_founder(host, root);
  node_start(joiner);
  uint64_t live = 0;
  for (int i = 0; world_turn(all) && i < 1000; i++) {
    pipe_end *end = all->pipe_count > 0 ? &all->pipes[0].ends[1] : NULL;
    if (end != NULL) assert_true(end->queued < 300000); /* never all of it */
    if (end != NULL && end->node == host && node_info(joiner).state == MS_SHARE_JOINING) {
      node_write(host, MSI_CODE_INC, "n", 1);
      live++;
    }
  }
  assert_true(live >= 3);
  assert_int_equal(node_info(joiner).state, MS_SHARE_CLIENT);
  assert_int_equal(node_info(joiner).snapshots, 1);
  assert_int_equal(node_int(joiner, "n"), live);
  assert_true(node_count_told(joiner, MSI_DELIVER_ENTRY) >= 3);
  assert_true(joiner->complete);
  assert_same(host, joiner);
  world_free(all);
}

static void test_members_are_the_same_everywhere(void **state) {
  (void)state;
  world *all = world_of(3);
  for (int i = 0; i < 3; i++) {
    uint64_t id = node_info(&all->nodes[i]).peer;
    assert_true(id > 0 && id <= MSI_PEER_MAX);
    (void)node_write(&all->nodes[i], MSI_CODE_INC, "n", 1);
    world_settle(all);
    for (int k = 0; k < 3; k++) {
      assert_int_equal(msi_replica_decided(all->nodes[k].replica, id), 1);
    }
  }
  world_free(all);
}

/* ----- writing */

static void test_an_accepted_patch_reaches_every_replica(void **state) {
  (void)state;
  world *all = world_of(3);
  node *writer = &all->nodes[1];
  uint64_t number = node_write(writer, MSI_CODE_SET, "players.alice.hp", 90);
  assert_int_equal(number, 1);
  assert_int_equal(node_info(writer).pending, 1);
  world_settle(all);
  assert_int_equal(node_info(writer).pending, 0);
  const told *decision = node_decision(writer, number);
  assert_non_null(decision);
  assert_int_equal(decision->entry_kind, MSI_ENTRY_PATCH);
  for (int i = 1; i < 3; i++) assert_same(&all->nodes[0], &all->nodes[i]);
  assert_non_null(ms_value_get(msi_replica_root(all->nodes[2].replica), "players", 7));
  world_free(all);
}

static void test_a_host_decides_its_own_patches_at_once(void **state) {
  (void)state;
  world *all = world_of(2);
  node *host = &all->nodes[0];
  const ms_value *before = ms_value_retain(msi_replica_root(host->replica));
  const ms_value *after = document("n", 5);
  ms_update *update = update_of(NULL, MSI_CODE_INC, "n", 5);
  uint64_t number = 0;
  assert_int_equal(msi_replica_submit(host->replica, all->now, node_info(host).version, 0,
                                      update, before, after, &number),
                   MS_OK);
  assert_non_null(node_decision(host, number));
  assert_ptr_equal(msi_replica_root(host->replica), after); /* taken over, not computed */
  ms_update_release(update);
  ms_value_release(before);
  ms_value_release(after);
  world_settle(all);
  assert_same(host, &all->nodes[1]);
  world_free(all);
}

static void test_a_giant_patch_leaves_no_memory_behind(void **state) {
  (void)state;
  enum { GIANT_BYTES = MSI_TAIL_BYTES + 1000 }; /* too long for the tail */
  world *all = world_of(2);
  node *host = &all->nodes[0];
  char *text = calloc(1, GIANT_BYTES);
  const ms_value *giant = NULL;
  ms_path *path = NULL;
  ms_update *update = NULL;
  assert_non_null(text);
  assert_int_equal(ms_path_parse(NULL, "giant", 5, &path, NULL), MS_OK);
  assert_int_equal(ms_value_new_string(NULL, text, GIANT_BYTES, &giant), MS_OK);
  free(text);
  assert_int_equal(
      msi_update_single(NULL, MSI_CODE_SET, path, giant, MS_NULL, &update, NULL), MS_OK);
  uint64_t number = 0;
  size_t before = all->memory.bytes;
  assert_int_equal(msi_replica_submit(host->replica, all->now, node_info(host).version, 0,
                                      update, NULL, NULL, &number),
                   MS_OK);
  assert_non_null(node_decision(host, number));
  assert_true(all->memory.bytes < before + (1 << 20));
  ms_update_release(update);
  ms_path_release(path);
  ms_value_release(giant);
  world_settle(all);
  assert_same(host, &all->nodes[1]);
  world_free(all);
}

static void test_a_patch_that_does_not_apply_is_rejected_with_its_reason(void **state) {
  (void)state;
  world *all = world_of(2);
  node *writer = &all->nodes[1];
  uint64_t number = node_write(writer, MSI_CODE_SET, "n.deep", 1); /* n is a number */
  world_settle(all);
  const told *decision = node_decision(writer, number);
  assert_non_null(decision);
  assert_int_equal(decision->entry_kind, MSI_ENTRY_REJECT);
  assert_int_equal(decision->status, MS_EPATH);
  assert_non_null(strstr(decision->message, "n.deep"));
  assert_int_equal(node_info(writer).pending, 0);
  assert_int_equal(msi_replica_decided(writer->replica, node_info(writer).peer), 1);
  assert_same(&all->nodes[0], writer);
  world_free(all);
}

static void test_the_older_of_two_writes_loses_and_hears_to_whom(void **state) {
  (void)state;
  world *all = world_of(3);
  node *early = &all->nodes[1], *late = &all->nodes[2];
  uint64_t base = node_info(early).version;
  uint64_t lost = node_write(early, MSI_CODE_SET, "n", 1);
  uint64_t won = node_write(late, MSI_CODE_SET, "n", 2);
  /* The later write reaches the host first. */
  pipe *path = &all->pipes[1];
  assert_ptr_equal(path->ends[0].node, late);
  assert_true(end_deliver(all, &path->ends[1], &path->ends[0]));
  world_settle(all);
  const told *decision = node_decision(early, lost);
  assert_int_equal(decision->entry_kind, MSI_ENTRY_REJECT);
  assert_int_equal(decision->status, MS_ECONFLICT);
  char wanted[128];
  (void)snprintf(wanted, sizeof wanted, "\"n\": lost to a newer write by peer %llx",
                 (unsigned long long)node_info(late).peer);
  assert_string_equal(decision->message, wanted);
  assert_true(decision->version > base + 1); /* after what it lost to */
  assert_int_equal(node_decision(late, won)->entry_kind, MSI_ENTRY_PATCH);
  for (int i = 0; i < 3; i++) assert_int_equal(node_int(&all->nodes[i], "n"), 2);
  world_free(all);
}

static void test_the_bounds_of_submit_change_nothing(void **state) {
  (void)state;
  world *all = world_of(2);
  node *lone = &all->nodes[2], *writer = &all->nodes[1];
  uint64_t number = 77;
  msi_replica_config config = world_config();
  config.readonly = true;
  assert_int_equal(node_start_with(lone, config), MS_OK);
  assert_int_equal(node_try(lone, MSI_CODE_INC, "n", 1, 1, &number), MS_EREADONLY);
  node_kill(lone);
  node_start(lone); /* joining, not complete */
  assert_int_equal(node_try(lone, MSI_CODE_INC, "n", 1, 1, &number), MS_ENOHOST);
  node_kill(lone);
  config = world_config();
  config.queue_max = 2;
  config.patch_bytes_max = 20;
  assert_int_equal(node_start_with(lone, config), MS_OK);
  world_settle(all);
  assert_int_equal(node_try(lone, MSI_CODE_INC, "much.too.long.a.path", 1, 1, &number),
                   MS_ELIMIT);
  assert_int_equal(number, 77);
  for (uint64_t i = 1; i <= 2; i++) {
    assert_int_equal(node_try(lone, MSI_CODE_INC, "n", 1, 1, &number), MS_OK);
    assert_int_equal(number, i);
  }
  assert_int_equal(node_try(lone, MSI_CODE_INC, "n", 1, 1, &number), MS_EBUSY);
  msi_replica_stop(writer->replica, all->now);
  assert_int_equal(node_try(writer, MSI_CODE_INC, "n", 1, 1, &number), MS_ECLOSED);
  world_free(all);
}

static void test_a_full_disk_refuses_own_writes_and_cuts_others(void **state) {
  (void)state;
  world *all = world_of(2);
  node *host = &all->nodes[0], *writer = &all->nodes[1];
  uint64_t number = 0, theirs;
  host->disk_full = true;
  assert_int_equal(node_try(host, MSI_CODE_INC, "n", 1, 2, &number), MS_ELIMIT);
  theirs = node_write(writer, MSI_CODE_INC, "n", 1);
  for (int i = 0; i < 10; i++) world_pass(all, SECOND / 100);
  assert_null(node_decision(writer, theirs));
  assert_int_equal(node_info(writer).pending, 1);
  assert_true(node_logged(host, "limit reached"));
  host->disk_full = false;
  world_pass(all, SECOND / 10);
  assert_non_null(node_decision(writer, theirs));
  assert_int_equal(node_int(writer, "n"), 1);
  assert_int_equal(node_try(host, MSI_CODE_INC, "n", 1, 2, &number), MS_OK);
  assert_int_equal(number, 1);
  world_free(all);
}

static void test_pending_patches_wait_for_room(void **state) {
  (void)state;
  world *all = world_of(2);
  node *writer = &all->nodes[1];
  all->room = 100;
  for (int i = 0; i < 50; i++) (void)node_write(writer, MSI_CODE_INC, "n", 1);
  assert_true(all->pipes[0].ends[0].queued < 200);
  assert_int_equal(node_info(writer).pending, 50);
  world_settle(all);
  assert_int_equal(node_info(writer).pending, 0);
  assert_int_equal(node_int(&all->nodes[0], "n"), 50);
  world_free(all);
}

/* ----- coming back */

static void test_a_peer_catches_up_from_the_tail(void **state) {
  (void)state;
  world *all = world_of(2);
  node *host = &all->nodes[0], *peer = &all->nodes[1];
  uint64_t own = node_write(peer, MSI_CODE_INC, "n", 100);
  world_settle(all);
  peer->hung = true;
  break_link(all, peer);
  for (int i = 0; i < 20; i++) (void)node_write(host, MSI_CODE_INC, "n", 1);
  uint64_t entries = node_info(peer).entries;
  peer->hung = false;
  world_settle(all);
  assert_same(host, peer);
  assert_int_equal(node_int(peer, "n"), 120);
  assert_int_equal(node_info(peer).snapshots, 1); /* the first one */
  assert_int_equal(node_info(peer).entries, entries + 20);
  assert_int_equal(node_decision(peer, own)->entry_kind, MSI_ENTRY_PATCH);
  world_free(all);
}

static void test_a_lost_decision_is_not_made_twice(void **state) {
  (void)state;
  world *all = world_of(2);
  node *host = &all->nodes[0], *peer = &all->nodes[1];
  uint64_t number = node_write(peer, MSI_CODE_INC, "n", 1);
  assert_true(end_deliver(all, &all->pipes[0].ends[1], &all->pipes[0].ends[0]));
  assert_int_equal(node_int(host, "n"), 1);
  break_link(all, peer); /* the entry is lost on its way */
  assert_int_equal(node_info(peer).pending, 1);
  world_settle(all);
  assert_int_equal(node_info(peer).pending, 0);
  assert_non_null(node_decision(peer, number));
  assert_int_equal(node_int(host, "n"), 1);
  assert_same(host, peer);
  world_free(all);
}

/* Writes more than the tail holds. */
static void push_tail_out(node *host) {
  char *text = malloc(1 << 20);
  assert_non_null(text);
  memset(text, 'y', 1 << 20);
  const ms_value *big;
  assert_int_equal(ms_value_new_string(NULL, text, 1 << 20, &big), MS_OK);
  free(text);
  ms_path *path;
  assert_int_equal(ms_path_parse(NULL, "big", 3, &path, NULL), MS_OK);
  for (int i = 0; i < 5; i++) {
    ms_update *update;
    uint64_t number;
    assert_int_equal(
        msi_update_single(NULL, MSI_CODE_SET, path, big, MS_NULL, &update, NULL), MS_OK);
    assert_int_equal(msi_replica_submit(host->replica, host->world->now,
                                        node_info(host).version, 0, update, NULL, NULL,
                                        &number),
                     MS_OK);
    ms_update_release(update);
  }
  ms_value_release(big);
  ms_path_release(path);
}

static void test_a_snapshot_settles_what_was_decided_meanwhile(void **state) {
  (void)state;
  world *all = world_of(2);
  node *host = &all->nodes[0], *peer = &all->nodes[1];
  (void)node_write(peer, MSI_CODE_INC, "n", 1);
  (void)node_write(peer, MSI_CODE_SET, "n.deep", 1); /* rejected */
  (void)node_write(peer, MSI_CODE_INC, "m", 1);
  pipe *link = &all->pipes[0];
  for (int i = 0; i < 2; i++)
    assert_true(end_deliver(all, &link->ends[1], &link->ends[0]));
  peer->hung = true;
  break_link(all, peer);
  push_tail_out(host);
  peer->hung = false;
  size_t told_before = peer->told_count;
  world_settle(all);
  assert_int_equal(node_info(peer).snapshots, 2);
  const told *root = NULL;
  for (size_t i = told_before; i < peer->told_count; i++) {
    if (peer->told[i].kind == MSI_DELIVER_ROOT) root = &peer->told[i];
  }
  assert_non_null(root);
  assert_int_equal(root->number, 2);
  assert_int_equal(root->rejected_count, 1);
  assert_int_equal(root->rejected[0], 2);
  assert_non_null(node_decision(peer, 3)); /* sent again */
  assert_int_equal(node_info(peer).pending, 0);
  assert_int_equal(node_int(peer, "n"), 1);
  assert_int_equal(node_int(peer, "m"), 1);
  assert_same(host, peer);
  world_free(all);
}

static void test_decisions_too_long_ago_to_tell_are_called_unknown(void **state) {
  (void)state;
  world *all = world_of(2);
  node *host = &all->nodes[0], *peer = &all->nodes[1];
  enum { WRITES = MSI_MEMBER_REJECTED + 8 };
  for (int i = 0; i < WRITES; i++) (void)node_write(peer, MSI_CODE_SET, "n.deep", 1);
  pipe *link = &all->pipes[0];
  for (int i = 0; i < WRITES; i++) {
    assert_true(end_deliver(all, &link->ends[1], &link->ends[0]));
  }
  peer->hung = true;
  break_link(all, peer);
  push_tail_out(host);
  peer->hung = false;
  size_t at = peer->told_count;
  world_settle(all);
  while (peer->told[at].kind != MSI_DELIVER_UNKNOWN) assert_true(++at < peer->told_count);
  assert_int_equal(peer->told[at].number, 8);
  assert_int_equal(peer->told[at + 1].kind, MSI_DELIVER_ROOT);
  assert_int_equal(peer->told[at + 1].number, WRITES);
  assert_int_equal(peer->told[at + 1].rejected_count, MSI_MEMBER_REJECTED);
  assert_int_equal(peer->told[at + 1].rejected[0], 9);
  assert_int_equal(node_info(peer).pending, 0);
  assert_same(host, peer);
  world_free(all);
}

static void test_a_dead_peer_is_retired_and_a_living_one_is_not(void **state) {
  (void)state;
  world *all = world_of(3);
  node *host = &all->nodes[0];
  uint64_t dead = node_info(&all->nodes[1]).peer, living = node_info(&all->nodes[2]).peer;
  (void)node_write(&all->nodes[1], MSI_CODE_INC, "n", 1);
  world_settle(all);
  node_kill(&all->nodes[1]);
  all->nodes[2].hung = true;
  break_link(all, &all->nodes[2]);
  world_settle(all);
  world_pass(all, 5 * SECOND);
  assert_int_equal(msi_replica_decided(host->replica, dead), 0);
  assert_int_equal(host->told[host->told_count - 1].entry_kind, MSI_ENTRY_RETIRE);
  all->nodes[2].hung = false;
  world_pass(all, SECOND);
  assert_same(host, &all->nodes[2]);
  assert_int_equal(node_info(&all->nodes[2]).peer, living);
  world_free(all);
}

static void test_a_retired_peer_comes_back_as_somebody_else(void **state) {
  (void)state;
  world *all = world_of(2);
  node *host = &all->nodes[0], *peer = &all->nodes[1];
  uint64_t id = node_info(peer).peer;
  (void)node_write(peer, MSI_CODE_INC, "n", 1);
  world_settle(all);
  uint64_t number = node_write(peer, MSI_CODE_INC, "n", 1);
  uint64_t lock = peer->member;
  peer->member = 0; /* as if the kernel had freed its lock */
  peer->hung = true;
  break_link(all, peer);
  world_settle(all);
  peer->member = lock;
  peer->hung = false;
  world_pass(all, SECOND);
  assert_int_not_equal(node_info(peer).peer, id);
  assert_int_equal(node_count_told(peer, MSI_DELIVER_UNKNOWN), 1);
  assert_int_equal(node_info(peer).state, MS_SHARE_CLIENT);
  assert_int_equal(node_info(peer).pending, 0);
  assert_same(host, peer);
  uint64_t next = node_write(peer, MSI_CODE_INC, "n", 1);
  assert_int_equal(next, number + 1); /* numbers never start again */
  world_settle(all);
  assert_non_null(node_decision(peer, next));
  assert_same(host, peer);
  world_free(all);
}

static void test_a_peer_that_stops_is_retired(void **state) {
  (void)state;
  world *all = world_of(2);
  node *host = &all->nodes[0], *peer = &all->nodes[1];
  uint64_t id = node_info(peer).peer;
  (void)node_write(peer, MSI_CODE_INC, "n", 1);
  msi_replica_stop(peer->replica, all->now);
  assert_int_equal(node_info(peer).state, MS_SHARE_CLOSED);
  world_settle(all);
  assert_int_equal(node_int(host, "n"), 1); /* what it sent before counts */
  assert_int_equal(node_info(host).links, 0);
  assert_int_equal(msi_replica_decided(host->replica, id),
                   1); /* its lock is still held */
  node_kill(peer);
  world_pass(all, SECOND);
  assert_int_equal(host->told[host->told_count - 1].entry_kind, MSI_ENTRY_RETIRE);
  assert_int_equal(host->told[host->told_count - 1].origin, id);
  world_free(all);
}

/* ----- questions */

static void test_sync_is_answered_after_everything_before_it(void **state) {
  (void)state;
  world *all = world_of(2);
  node *host = &all->nodes[0], *peer = &all->nodes[1];
  (void)node_write(host, MSI_CODE_INC, "n", 1);
  assert_int_equal(msi_replica_sync(peer->replica, all->now, 11), MS_OK);
  assert_int_equal(msi_replica_sync(host->replica, all->now, 12), MS_OK);
  assert_int_equal(host->told[host->told_count - 1].kind, MSI_DELIVER_SYNCED);
  assert_int_equal(host->told[host->told_count - 1].token, 12);
  world_settle(all);
  const told *last = &peer->told[peer->told_count - 1];
  assert_int_equal(last->kind, MSI_DELIVER_SYNCED);
  assert_int_equal(last->token, 11);
  assert_int_equal(last[-1].kind, MSI_DELIVER_ENTRY);
  world_free(all);
}

static void test_sync_survives_a_takeover(void **state) {
  (void)state;
  world *all = world_of(3);
  all->nodes[0].hung = true;
  for (int i = 1; i < 3; i++) {
    assert_int_equal(msi_replica_sync(all->nodes[i].replica, all->now, 5), MS_OK);
  }
  node_kill(&all->nodes[0]);
  world_pass(all, SECOND);
  for (int i = 1; i < 3; i++) {
    assert_int_equal(node_count_told(&all->nodes[i], MSI_DELIVER_SYNCED), 1);
  }
  world_free(all);
}

/* ----- memory */

/* Everything from founding to takeover; owners that hear MS_ENOMEM try again. */
static void scenario(world *all) {
  node *first = &all->nodes[0], *second = &all->nodes[1], *third = &all->nodes[2];
  uint64_t number;
  for (int i = 0; i < 3; i++) {
    while (node_start_with(&all->nodes[i], world_config()) != MS_OK) continue;
    world_pass(all, SECOND);
  }
  for (int i = 0; i < 3; i++) {
    node *at = &all->nodes[i];
    while (node_try(at, MSI_CODE_INC, "n", 1, node_info(at).version, &number) != MS_OK) {
      world_pass(all, SECOND);
    }
    while (node_try(at, MSI_CODE_SET, "n.x", 1, node_info(at).version, &number) !=
           MS_OK) {
      world_pass(all, SECOND);
    }
    while (msi_replica_sync(at->replica, all->now, 1) != MS_OK) continue;
  }
  world_pass(all, SECOND);
  break_link(all, third);
  world_pass(all, SECOND);
  node_kill(first);
  world_pass(all, 4 * SECOND);
  while (node_try(third, MSI_CODE_INC, "n", 1, node_info(third).version, &number) !=
         MS_OK) {
    world_pass(all, SECOND);
  }
  world_pass(all, 4 * SECOND);
  assert_non_null(host_of(all));
  assert_same(second, third);
  /* A host short of memory may reject too much, but it counts what it accepts. */
  int64_t accepted = 0;
  for (size_t i = 0; i < third->told_count; i++) {
    accepted += third->told[i].kind == MSI_DELIVER_ENTRY &&
                third->told[i].entry_kind == MSI_ENTRY_PATCH;
  }
  if (node_info(third).snapshots == 1) assert_int_equal(node_int(second, "n"), accepted);
  assert_int_equal(node_info(second).pending + node_info(third).pending, 0);
  assert_int_equal(node_count_told(second, MSI_DELIVER_SYNCED), 1);
  assert_int_equal(node_count_told(third, MSI_DELIVER_UNKNOWN), 0);
}

static void test_any_allocation_may_fail_and_all_replicas_agree(void **state) {
  (void)state;
  uint64_t tried = 0;
  for (bool failed = true; failed; tried++) {
    world *all = world_new();
    failing_alloc_fail_at(&all->memory, tried);
    scenario(all);
    failed = all->memory.failed;
    world_free(all);
  }
  assert_true(tried > 100);
}

static void test_replicas_agree_again_after_a_time_without_memory(void **state) {
  (void)state;
  for (int killed = 0; killed < 4; killed++) { /* 3: nobody */
    world *all = world_of(3);
    all->memory.fail_from_there = true;
    failing_alloc_fail_at(&all->memory, 0);
    uint64_t number;
    for (int round = 0; round < 6; round++) {
      for (int i = 0; i < 3; i++) {
        node *at = &all->nodes[i];
        if (!at->alive) continue;
        ms_status st = node_try(at, MSI_CODE_INC, "n", 1, node_info(at).version, &number);
        assert_true(st == MS_OK || st == MS_ENOMEM);
      }
      world_pass(all, SECOND);
      if (round == 2 && killed < 3) node_kill(&all->nodes[killed]);
    }
    assert_true(all->memory.failed);
    failing_alloc_never_fail(&all->memory);
    world_pass(all, 10 * SECOND);
    node *host = host_of(all);
    assert_non_null(host);
    for (int i = 0; i < 3; i++) {
      node *at = &all->nodes[i];
      if (!at->alive) continue;
      assert_same(host, at);
      assert_int_equal(node_info(at).pending, 0);
      assert_int_equal(node_count_told(at, MSI_DELIVER_UNKNOWN), 0);
    }
    world_free(all);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_founder_hosts_its_defaults),
      cmocka_unit_test(test_empty_defaults_become_an_object),
      cmocka_unit_test(test_a_share_that_may_not_be_founded_fails),
      cmocka_unit_test(test_a_joiner_gets_a_snapshot_in_pieces_between_live_entries),
      cmocka_unit_test(test_members_are_the_same_everywhere),
      cmocka_unit_test(test_an_accepted_patch_reaches_every_replica),
      cmocka_unit_test(test_a_host_decides_its_own_patches_at_once),
      cmocka_unit_test(test_a_giant_patch_leaves_no_memory_behind),
      cmocka_unit_test(test_a_patch_that_does_not_apply_is_rejected_with_its_reason),
      cmocka_unit_test(test_the_older_of_two_writes_loses_and_hears_to_whom),
      cmocka_unit_test(test_the_bounds_of_submit_change_nothing),
      cmocka_unit_test(test_a_full_disk_refuses_own_writes_and_cuts_others),
      cmocka_unit_test(test_pending_patches_wait_for_room),
      cmocka_unit_test(test_a_peer_catches_up_from_the_tail),
      cmocka_unit_test(test_a_lost_decision_is_not_made_twice),
      cmocka_unit_test(test_a_snapshot_settles_what_was_decided_meanwhile),
      cmocka_unit_test(test_decisions_too_long_ago_to_tell_are_called_unknown),
      cmocka_unit_test(test_a_dead_peer_is_retired_and_a_living_one_is_not),
      cmocka_unit_test(test_a_retired_peer_comes_back_as_somebody_else),
      cmocka_unit_test(test_a_peer_that_stops_is_retired),
      cmocka_unit_test(test_sync_is_answered_after_everything_before_it),
      cmocka_unit_test(test_sync_survives_a_takeover),
      cmocka_unit_test(test_any_allocation_may_fail_and_all_replicas_agree),
      cmocka_unit_test(test_replicas_agree_again_after_a_time_without_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
