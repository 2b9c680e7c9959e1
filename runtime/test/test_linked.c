/* Members that hold no lock: their link is their only sign of life. A test plays them. */
#include "replica_drive.h"

enum { LINKED = 77 };

static pipe *linked_connect(node *host) {
  pipe *made = world_pipe(host->world);
  made->backlog = host->world->term;
  world_settle(host->world);
  assert_ptr_equal(made->ends[1].node, host);
  return made;
}

static void linked_send(node *host, pipe *link, const msi_buffer *out) {
  end_push(&link->ends[0], &link->ends[1], out->data, out->length);
  world_settle(host->world);
}

static pipe *linked_greet(node *host, bool known, bool linked) {
  pipe *link = linked_connect(host);
  msi_hello hello = {.protocol = MSI_PROTOCOL,
                     .group = host->world->group,
                     .peer = LINKED,
                     .known = known,
                     .member = {.pid = 7, .program = "linked", .linked = linked}};
  msi_buffer out;
  msi_buffer_init(&out, msi_alloc_resolve(NULL));
  assert_int_equal(msi_hello_pack(&out, &hello), MS_OK);
  linked_send(host, link, &out);
  msi_buffer_fini(&out);
  return link;
}

/* The number of the next message to the test; 0: none. */
static uint64_t linked_read(pipe *link, uint64_t *decided) {
  frame *item = end_pop(&link->ends[0], &link->ends[1]);
  if (item == NULL) return 0;
  msi_reader in;
  uint64_t number;
  size_t fields;
  msi_welcome welcome;
  assert_int_equal(msi_message_open(item->data, item->bytes, &in, &number, &fields),
                   MS_OK);
  if (number == MSI_WELCOME) {
    assert_int_equal(msi_welcome_unpack(&in, fields, &welcome), MS_OK);
    if (decided != NULL) *decided = welcome.decided;
  }
  free(item);
  return number;
}

static pipe *linked_join(node *host, bool known, uint64_t *decided) {
  pipe *link = linked_greet(host, known, true);
  assert_int_equal(linked_read(link, decided), MSI_WELCOME);
  return link;
}

static void linked_message(node *host, pipe *link, msi_message number) {
  msi_buffer out;
  msi_buffer_init(&out, msi_alloc_resolve(NULL));
  assert_int_equal(msi_message_begin(&out, number, 0), MS_OK);
  linked_send(host, link, &out);
  msi_buffer_fini(&out);
}

static void linked_inc(node *host, pipe *link, uint64_t number) {
  ms_update *update = update_of(NULL, MSI_CODE_INC, "n", 1);
  msi_patch patch = {.number = number, .base = 1, .timestamp = 1, .update = update};
  msi_buffer out;
  msi_buffer_init(&out, msi_alloc_resolve(NULL));
  assert_int_equal(msi_patch_pack(&out, &patch), MS_OK);
  linked_send(host, link, &out);
  msi_buffer_fini(&out);
  ms_update_release(update);
}

static void linked_end(world *all, pipe *link) {
  end_close(&link->ends[0], &link->ends[1]);
  world_settle(all);
}

static void count_peer(void *ud, const ms_peer *peer) {
  if (peer->id == LINKED) *(int *)ud += 1;
}

static bool is_member(const node *self) {
  int count = 0;
  msi_replica_peers(self->replica, count_peer, &count);
  return count > 0;
}

static void test_a_peer_without_lock_joins_when_it_says_so(void **state) {
  (void)state;
  world *all = world_of(2);
  node *host = &all->nodes[0];
  pipe *liar = linked_greet(host, false, false);
  assert_true(liar->ends[0].ended);
  assert_false(is_member(host));
  pipe *link = linked_join(host, false, NULL);
  linked_inc(host, link, 1);
  world_pass(all, 10 * SECOND); /* its lock is not looked for */
  assert_true(is_member(host) && is_member(&all->nodes[1]));
  assert_int_equal(node_int(&all->nodes[1], "n"), 1);
  world_free(all);
}

static void test_a_linked_peer_that_says_goodbye_is_gone_at_once(void **state) {
  (void)state;
  world *all = world_of(2);
  node *host = &all->nodes[0];
  pipe *link = linked_join(host, false, NULL);
  linked_message(host, link, MSI_BYE);
  assert_false(is_member(host) || is_member(&all->nodes[1]));
  pipe *again = linked_greet(host, true, true);
  assert_int_equal(linked_read(again, NULL), MSI_REFUSE);
  world_free(all);
}

static void test_a_linked_peer_may_come_back_within_the_timeout(void **state) {
  (void)state;
  world *all = world_of(1);
  node *host = &all->nodes[0];
  pipe *link = linked_join(host, false, NULL);
  linked_inc(host, link, 1);
  linked_end(all, link);
  world_pass(all, 3 * SECOND / 2);
  assert_true(is_member(host));
  uint64_t decided = 0;
  link = linked_join(host, true, &decided);
  assert_int_equal(decided, 1);
  world_pass(all, 10 * SECOND);
  assert_true(is_member(host));
  linked_end(all, link);
  world_pass(all, 3 * SECOND / 2); /* counted anew */
  assert_true(is_member(host));
  world_pass(all, 2 * SECOND);
  assert_false(is_member(host));
  world_free(all);
}

static void test_a_linked_peer_has_the_timeout_to_find_the_next_host(void **state) {
  (void)state;
  world *all = world_of(2);
  node *heir = &all->nodes[1];
  pipe *link = linked_join(&all->nodes[0], false, NULL);
  linked_inc(&all->nodes[0], link, 1);
  node_kill(&all->nodes[0]);
  world_pass(all, SECOND);
  assert_ptr_equal(host_of(all), heir);
  assert_true(is_member(heir));
  uint64_t decided = 0;
  link = linked_join(heir, true, &decided);
  assert_int_equal(decided, 1);
  linked_inc(heir, link, 1); /* sent again: a duplicate */
  linked_inc(heir, link, 2);
  world_pass(all, 10 * SECOND);
  assert_true(is_member(heir));
  assert_int_equal(node_int(heir, "n"), 2);
  world_free(all);
}

static void
test_a_linked_peer_that_never_comes_back_is_retired_by_the_next_host(void **state) {
  (void)state;
  world *all = world_of(2);
  node *heir = &all->nodes[1];
  (void)linked_join(&all->nodes[0], false, NULL);
  node_kill(&all->nodes[0]);
  world_pass(all, 4 * SECOND);
  assert_ptr_equal(host_of(all), heir);
  assert_false(is_member(heir));
  world_free(all);
}

static void test_a_host_that_was_stopped_gives_linked_peers_their_time(void **state) {
  (void)state;
  world *all = world_of(1);
  node *host = &all->nodes[0];
  linked_end(all, linked_join(host, false, NULL));
  host->hung = true;
  world_pass(all, 60 * SECOND);
  host->hung = false;
  world_pass(all, SECOND);
  assert_true(is_member(host));
  world_pass(all, 3 * SECOND);
  assert_false(is_member(host));
  world_free(all);
}

static void test_a_linked_peer_cannot_host(void **state) {
  (void)state;
  msi_member_info info = {.pid = 1, .can_host = true, .linked = true}, read;
  msi_buffer out;
  msi_buffer_init(&out, msi_alloc_resolve(NULL));
  assert_int_equal(msi_member_info_pack(&out, &info), MS_OK);
  msi_reader in = {out.data, out.data + out.length};
  assert_int_equal(msi_member_info_unpack(&in, &read), MS_ETYPE);
  info.can_host = false;
  msi_buffer_clear(&out);
  assert_int_equal(msi_member_info_pack(&out, &info), MS_OK);
  in = (msi_reader){out.data, out.data + out.length};
  assert_int_equal(msi_member_info_unpack(&in, &read), MS_OK);
  assert_true(read.linked && !read.can_host);
  msi_buffer_fini(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_peer_without_lock_joins_when_it_says_so),
      cmocka_unit_test(test_a_linked_peer_that_says_goodbye_is_gone_at_once),
      cmocka_unit_test(test_a_linked_peer_may_come_back_within_the_timeout),
      cmocka_unit_test(test_a_linked_peer_has_the_timeout_to_find_the_next_host),
      cmocka_unit_test(
          test_a_linked_peer_that_never_comes_back_is_retired_by_the_next_host),
      cmocka_unit_test(test_a_host_that_was_stopped_gives_linked_peers_their_time),
      cmocka_unit_test(test_a_linked_peer_cannot_host),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
