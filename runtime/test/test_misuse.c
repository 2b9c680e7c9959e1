/* What the protocol does not allow: a test plays a peer, or a host, that does it all the same. */
#include "replica_drive.h"

/* ----- a test as a peer */

static pipe *stranger_connect(node *host) {
  pipe *made = world_pipe(host->world);
  made->backlog = host->world->term;
  world_settle(host->world);
  assert_ptr_equal(made->ends[1].node, host);
  return made;
}

static void stranger_send(node *host, pipe *link, const void *data, size_t bytes) {
  end_push(&link->ends[0], &link->ends[1], data, bytes);
  world_settle(host->world);
}

static msi_hello stranger_hello(const node *host, uint64_t id) {
  return (msi_hello){.protocol = MSI_PROTOCOL,
                     .group = host->world->group,
                     .peer = id,
                     .member = {.pid = 7, .program = "stranger", .can_host = true}};
}

static void stranger_greet(node *host, pipe *link, const msi_hello *hello) {
  msi_buffer out;
  msi_buffer_init(&out, msi_alloc_resolve(NULL));
  host->world->stranger = hello->peer;
  assert_int_equal(msi_hello_pack(&out, hello), MS_OK);
  stranger_send(host, link, out.data, out.length);
  msi_buffer_fini(&out);
}

static void stranger_patch(node *host, pipe *link, const msi_patch *patch) {
  msi_buffer out;
  msi_buffer_init(&out, msi_alloc_resolve(NULL));
  assert_int_equal(msi_patch_pack(&out, patch), MS_OK);
  stranger_send(host, link, out.data, out.length);
  msi_buffer_fini(&out);
}

/* The number of the next message to the stranger; 0: none. *refused: the code of a REFUSE. */
static uint64_t stranger_read(pipe *link, uint64_t *refused) {
  frame *item = end_pop(&link->ends[0], &link->ends[1]);
  if (item == NULL) return 0;
  msi_reader in;
  uint64_t number;
  size_t fields;
  msi_refuse refuse;
  assert_int_equal(msi_message_open(item->data, item->bytes, &in, &number, &fields),
                   MS_OK);
  if (number == MSI_REFUSE) {
    assert_int_equal(msi_refuse_unpack(&in, fields, &refuse), MS_OK);
    if (refused != NULL) *refused = refuse.code;
  }
  free(item);
  return number;
}

static bool stranger_was_cut(const pipe *link) { return link->ends[0].ended; }

/* Connected, greeted and welcomed under `id`. */
static pipe *stranger_join(node *host, uint64_t id, bool readonly) {
  pipe *link = stranger_connect(host);
  msi_hello hello = stranger_hello(host, id);
  hello.member.readonly = readonly;
  stranger_greet(host, link, &hello);
  assert_int_equal(stranger_read(link, NULL), MSI_WELCOME);
  assert_false(stranger_was_cut(link));
  return link;
}

/* ----- what a peer may not do */

static void test_a_frame_that_is_no_message_cuts_only_its_link(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t length;
  } frames[] = {{"\xc0", 1},                         /* nil */
                {"\x90", 1},                         /* an array of nothing */
                {"\x91\xa1x", 3},                    /* named by text */
                {"\x91\x63", 2},                     /* number 99 */
                {"\x91\x01", 2},                     /* HELLO again, and short */
                {"\x91\x02", 2},                     /* a host's message */
                {"\x94\x04\x01\x01\x01", 5},         /* an entry from a peer */
                {"\x91\x05", 2},                     /* PATCH without fields */
                {"\x96\x05\x01\x01\x01\x01\xc0", 7}, /* PATCH without update */
                {"\x91\x09", 2},                     /* SYNC without token */
                {"\x93\x09\x01\x01", 4},             /* SYNC with two */
                {"\x91\x0c", 2},                     /* READY without version */
                {"\x92\x0c\xcd\xff\xff", 5},         /* READY at a version to come */
                {"\x92\x0b\x01", 3},                 /* BYE with a field */
                {"\xdf\xff\xff\xff\xff", 5},         /* a map of billions */
                {"\x92\x09\x01\x01", 4}};            /* bytes after the end */
  world *all = world_of(2);
  node *host = &all->nodes[0];
  for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
    size_t lines = host->line_count;
    pipe *fresh = stranger_connect(host);
    stranger_send(host, fresh, frames[i].bytes, frames[i].length);
    assert_true(stranger_was_cut(fresh));
    pipe *member = stranger_join(host, 1000 + i, false);
    stranger_send(host, member, frames[i].bytes, frames[i].length);
    assert_true(stranger_was_cut(member));
    assert_true(host->line_count >= lines + 2 || host->line_count == LOG_LINES_MAX);
    all->stranger = 0;
    world_pass(all, SECOND); /* its member is retired */
  }
  (void)node_write(&all->nodes[1], MSI_CODE_INC, "n", 1);
  world_settle(all);
  assert_int_equal(node_info(host).links, 1);
  assert_same(host, &all->nodes[1]);
  assert_int_equal(node_info(&all->nodes[1]).snapshots, 1);
  world_free(all);
}

static void test_a_link_without_greeting_is_cut_in_time(void **state) {
  (void)state;
  world *all = world_of(1);
  pipe *link = stranger_connect(&all->nodes[0]);
  world_pass(all, SECOND);
  assert_false(stranger_was_cut(link));
  world_pass(all, 2 * SECOND);
  assert_true(stranger_was_cut(link));
  world_free(all);
}

static void test_patches_out_of_order_cut_the_link(void **state) {
  (void)state;
  world *all = world_of(1);
  node *host = &all->nodes[0];
  ms_update *update = update_of(NULL, MSI_CODE_INC, "n", 1);
  uint64_t far = all->now + MSI_SKEW_NS + 1;
  const struct {
    msi_patch patch;
    const char *line;
  } cases[] = {
      {{.number = 3, .base = 2, .timestamp = 1, .update = update}, "after a gap"},
      {{.number = 2, .base = 900, .timestamp = 1, .update = update}, "version to come"},
      {{.number = 2, .base = 1, .timestamp = 1, .update = update}, "older version"},
      {{.number = 2, .base = 2, .timestamp = far, .update = update}, "far ahead"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    pipe *link = stranger_join(host, 500 + i, false);
    msi_patch first = {.number = 1, .base = 2, .timestamp = 1, .update = update};
    stranger_patch(host, link, &first);
    assert_int_equal(msi_replica_decided(host->replica, 500 + i), 1);
    stranger_patch(host, link, &first); /* a duplicate is nothing */
    assert_false(stranger_was_cut(link));
    stranger_patch(host, link, &cases[i].patch);
    assert_true(stranger_was_cut(link));
    assert_true(node_logged(host, cases[i].line));
    assert_int_equal(msi_replica_decided(host->replica, 500 + i), 1);
  }
  assert_int_equal(node_int(host, "n"), 4);
  ms_update_release(update);
  world_free(all);
}

static void test_patches_of_a_readonly_peer_are_rejected(void **state) {
  (void)state;
  world *all = world_of(2);
  node *host = &all->nodes[0];
  pipe *link = stranger_join(host, 9, true);
  ms_update *update = update_of(NULL, MSI_CODE_INC, "n", 1);
  msi_patch patch = {.number = 1, .base = 1, .timestamp = 1, .update = update};
  stranger_patch(host, link, &patch);
  assert_false(stranger_was_cut(link));
  const told *last = &host->told[host->told_count - 1];
  assert_int_equal(last->kind, MSI_DELIVER_ENTRY);
  assert_int_equal(last->entry_kind, MSI_ENTRY_REJECT);
  assert_int_equal(last->status, MS_EREADONLY);
  assert_int_equal(node_int(host, "n"), 0);
  assert_same(host, &all->nodes[1]);
  ms_update_release(update);
  world_free(all);
}

static void test_greetings_that_do_not_fit_are_refused(void **state) {
  (void)state;
  world *all = world_of(1);
  node *host = &all->nodes[0];
  uint64_t code = 0;
  pipe *link = stranger_connect(host);
  msi_hello hello = stranger_hello(host, 9);
  hello.group++;
  stranger_greet(host, link, &hello);
  assert_int_equal(stranger_read(link, &code), MSI_REFUSE);
  assert_int_equal(code, MSI_REFUSE_GROUP);
  assert_true(stranger_was_cut(link));

  link = stranger_connect(host);
  hello = stranger_hello(host, 9);
  hello.protocol++;
  stranger_greet(host, link, &hello);
  assert_int_equal(stranger_read(link, &code), MSI_REFUSE);
  assert_int_equal(code, MSI_REFUSE_VERSION);

  link = stranger_connect(host);
  hello = stranger_hello(host, 9);
  hello.known = true;
  stranger_greet(host, link, &hello);
  assert_int_equal(stranger_read(link, &code), MSI_REFUSE);
  assert_int_equal(code, MSI_REFUSE_RETIRED);

  link = stranger_connect(host);
  hello = stranger_hello(host, 9);
  hello.complete = true;
  hello.version = 1000;
  stranger_greet(host, link, &hello);
  assert_int_equal(stranger_read(link, &code), 0);
  assert_true(stranger_was_cut(link));

  link = stranger_connect(host);
  hello = stranger_hello(host, node_info(host).peer);
  stranger_greet(host, link, &hello);
  assert_true(stranger_was_cut(link));
  assert_int_equal(node_info(host).version, 1); /* nobody was admitted */
  world_free(all);
}

static void test_a_new_greeting_discards_the_old_link(void **state) {
  (void)state;
  world *all = world_of(1);
  node *host = &all->nodes[0];
  pipe *old = stranger_join(host, 9, false);
  ms_update *update = update_of(NULL, MSI_CODE_INC, "n", 1);
  msi_patch patch = {.number = 1, .base = 1, .timestamp = 1, .update = update};
  msi_buffer out;
  msi_buffer_init(&out, msi_alloc_resolve(NULL));
  pipe *fresh = stranger_connect(host);
  assert_int_equal(msi_patch_pack(&out, &patch), MS_OK);
  msi_hello hello = stranger_hello(host, 9);
  hello.known = true;
  stranger_greet(host, fresh, &hello);
  assert_true(stranger_was_cut(old));
  assert_int_equal(stranger_read(fresh, NULL), MSI_WELCOME);
  end_push(&old->ends[0], &old->ends[1], out.data, out.length); /* too late */
  world_settle(all);
  assert_int_equal(msi_replica_decided(host->replica, 9), 0);
  assert_int_equal(node_info(host).links, 1);
  msi_buffer_fini(&out);
  ms_update_release(update);
  world_free(all);
}

/* ----- what a host may not do */

static void stub_send(world *all, const msi_buffer *out) {
  end_push(&all->stub->ends[1], &all->stub->ends[0], out->data, out->length);
  world_settle(all);
}

static void test_nonsense_from_a_host_is_cut_and_healed(void **state) {
  (void)state;
  static const char *const frames[] = {"\x91\x63",
                                       "\x91\x02",
                                       "\x91\x06",
                                       "\x91\x07",
                                       "\x91\x08",
                                       "\x93\x0a\x01\x01",
                                       "\x9a\x04\x01\x01\x01"};
  for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
    world *all = world_of(2);
    node *peer = &all->nodes[1];
    all->nodes[0].hung = true;
    break_link(all, peer);
    all->stub_term = 1;
    world_pass(all, SECOND / 10);
    assert_non_null(all->stub);
    pipe *stub = all->stub;
    end_push(&stub->ends[1], &stub->ends[0], (const uint8_t *)frames[i],
             strlen(frames[i]));
    all->stub_term = 0;
    all->nodes[0].hung = false;
    world_pass(all, SECOND);
    assert_false(stub->ends[0].open);
    assert_true(node_logged(peer, "from the host"));
    assert_int_equal(node_info(peer).state, MS_SHARE_CLIENT);
    assert_same(&all->nodes[0], peer);
    world_free(all);
  }
}

static void test_an_entry_that_does_not_follow_is_not_applied(void **state) {
  (void)state;
  world *all = world_of(2);
  node *peer = &all->nodes[1];
  uint64_t version = node_info(peer).version;
  all->nodes[0].hung = true;
  break_link(all, peer);
  all->stub_term = 1;
  msi_buffer out;
  msi_buffer_init(&out, msi_alloc_resolve(NULL));
  const uint64_t versions[] = {version, version + 2, version + 1};
  const uint64_t terms[] = {1, 1, 9};
  for (size_t i = 0; i < 3; i++) {
    all->stub = NULL;
    world_pass(all, SECOND / 10);
    assert_non_null(all->stub);
    msi_welcome welcome = {MSI_PROTOCOL, all->group, 77, 1, version, 0, true};
    msi_buffer_clear(&out);
    assert_int_equal(msi_welcome_pack(&out, &welcome), MS_OK);
    stub_send(all, &out);
    assert_int_equal(node_info(peer).state, MS_SHARE_CLIENT);
    msi_entry entry;
    memset(&entry, 0, sizeof entry);
    entry.kind = MSI_ENTRY_JOIN;
    entry.version = versions[i];
    entry.term = terms[i];
    entry.patch.origin = 4711;
    msi_buffer_clear(&out);
    assert_int_equal(msi_entry_pack(&out, &entry), MS_OK);
    end_push(&all->stub->ends[1], &all->stub->ends[0], out.data, out.length);
    pipe *stub = all->stub;
    world_settle(all);
    assert_false(stub->ends[0].open);
    assert_int_equal(node_info(peer).version, version);
  }
  msi_buffer_fini(&out);
  world_free(all);
}

static void test_another_group_means_joining_again_from_nothing(void **state) {
  (void)state;
  world *all = world_of(2);
  node *peer = &all->nodes[1];
  all->nodes[0].hung = true;
  (void)node_write(peer, MSI_CODE_INC, "n", 1);
  uint64_t id = node_info(peer).peer;
  break_link(all, peer);
  all->stub_term = 1;
  world_pass(all, SECOND / 10);
  msi_buffer out;
  msi_buffer_init(&out, msi_alloc_resolve(NULL));
  assert_int_equal(msi_refuse_pack(&out, MSI_REFUSE_GROUP, "another group"), MS_OK);
  all->stub_term = 0;
  stub_send(all, &out);
  msi_buffer_fini(&out);
  assert_int_equal(node_count_told(peer, MSI_DELIVER_UNKNOWN), 1);
  assert_null(msi_replica_root(peer->replica));
  all->nodes[0].hung = false;
  world_pass(all, SECOND);
  assert_int_equal(node_info(peer).state, MS_SHARE_CLIENT);
  assert_int_not_equal(node_info(peer).peer, id);
  assert_same(&all->nodes[0], peer);
  world_free(all);
}

static void test_a_host_of_another_protocol_ends_it(void **state) {
  (void)state;
  world *all = world_of(2);
  node *peer = &all->nodes[1];
  all->nodes[0].hung = true;
  break_link(all, peer);
  all->stub_term = 1;
  world_pass(all, SECOND / 10);
  msi_buffer out;
  msi_buffer_init(&out, msi_alloc_resolve(NULL));
  assert_int_equal(msi_refuse_pack(&out, MSI_REFUSE_VERSION, "too old"), MS_OK);
  stub_send(all, &out);
  msi_buffer_fini(&out);
  assert_int_equal(node_count_told(peer, MSI_DELIVER_FAILED), 1);
  assert_int_equal(peer->told[peer->told_count - 2].status, MS_EVERSION);
  assert_int_equal(node_info(peer).state, MS_SHARE_CLOSED);
  world_free(all);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_frame_that_is_no_message_cuts_only_its_link),
      cmocka_unit_test(test_a_link_without_greeting_is_cut_in_time),
      cmocka_unit_test(test_patches_out_of_order_cut_the_link),
      cmocka_unit_test(test_patches_of_a_readonly_peer_are_rejected),
      cmocka_unit_test(test_greetings_that_do_not_fit_are_refused),
      cmocka_unit_test(test_a_new_greeting_discards_the_old_link),
      cmocka_unit_test(test_nonsense_from_a_host_is_cut_and_healed),
      cmocka_unit_test(test_an_entry_that_does_not_follow_is_not_applied),
      cmocka_unit_test(test_another_group_means_joining_again_from_nothing),
      cmocka_unit_test(test_a_host_of_another_protocol_ends_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
