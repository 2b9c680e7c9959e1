/* The replica: founding, joining, order, takeover, and what a peer may not do. */
#include "replica_world.h"

/* ----- setting up */

static const ms_value *document(const char *key, int64_t number) {
  const ms_value *value, *root;
  assert_int_equal(ms_value_new_object(NULL, &root), MS_OK);
  assert_int_equal(ms_value_new_int(NULL, number, &value), MS_OK);
  assert_int_equal(ms_value_put(NULL, &root, key, strlen(key), value), MS_OK);
  ms_value_release(value);
  return root;
}

static void start_founder(node *self, const ms_value *defaults) {
  msi_replica_config config = world_config();
  config.defaults = defaults;
  assert_int_equal(node_start_with(self, config), MS_OK);
  ms_value_release(defaults);
}

/* nodes[0] is host, the others are complete clients. */
static world *world_of(int count) {
  world *self = world_new();
  start_founder(&self->nodes[0], document("n", 0));
  for (int i = 1; i < count; i++) node_start(&self->nodes[i]);
  world_settle(self);
  assert_int_equal(node_info(&self->nodes[0]).state, MS_SHARE_HOST);
  for (int i = 1; i < count; i++) {
    assert_int_equal(node_info(&self->nodes[i]).state, MS_SHARE_CLIENT);
  }
  return self;
}

static node *host_of(world *self) {
  node *found = NULL;
  for (int i = 0; i < NODES_MAX; i++) {
    node *at = &self->nodes[i];
    if (!at->alive || at->hung || node_info(at).state != MS_SHARE_HOST) continue;
    assert_null(found);
    found = at;
  }
  return found;
}

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
  assert_int_equal(msi_message_open(item->data, item->bytes, &in, &number, &fields), MS_OK);
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
  assert_non_null(
      ms_value_get(msi_replica_root(all->nodes[2].replica), "players", 7));
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

/* ----- what a peer may not do */

static void test_a_frame_that_is_no_message_cuts_only_its_link(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t length;
  } frames[] = {
      {"\xc0", 1},                  /* nil */
      {"\x90", 1},                  /* an array of nothing */
      {"\x91\xa1x", 3},             /* named by text */
      {"\x91\x63", 2},              /* number 99 */
      {"\x91\x01", 2},              /* HELLO again, and short */
      {"\x91\x02", 2},              /* a host's message */
      {"\x94\x04\x01\x01\x01", 5},  /* an entry from a peer */
      {"\x91\x05", 2},              /* PATCH without fields */
      {"\x96\x05\x01\x01\x01\x01\xc0", 7}, /* PATCH without update */
      {"\x91\x09", 2},              /* SYNC without token */
      {"\x93\x09\x01\x01", 4},      /* SYNC with two */
      {"\x92\x0b\x01", 3},          /* BYE with a field */
      {"\xdf\xff\xff\xff\xff", 5}, /* a map of billions */
      {"\x92\x09\x01\x01", 4}};     /* bytes after the end */
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

/* ----- coming back */

/* Breaks the link between a client and the host; what was sent is lost. */
static void break_link(world *all, const node *client) {
  for (size_t i = 0; i < all->pipe_count; i++) {
    pipe_end *end = &all->pipes[i].ends[0], *other = &all->pipes[i].ends[1];
    if (end->node != client || !end->open) continue;
    frame *item;
    while ((item = end_pop(end, other)) != NULL) free(item);
    while ((item = end_pop(other, end)) != NULL) free(item);
    end->ended = other->ended = true;
  }
}

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

static void test_a_snapshot_settles_what_was_decided_meanwhile(void **state) {
  (void)state;
  world *all = world_of(2);
  node *host = &all->nodes[0], *peer = &all->nodes[1];
  (void)node_write(peer, MSI_CODE_INC, "n", 1);
  (void)node_write(peer, MSI_CODE_SET, "n.deep", 1); /* rejected */
  (void)node_write(peer, MSI_CODE_INC, "m", 1);
  pipe *link = &all->pipes[0];
  for (int i = 0; i < 2; i++) assert_true(end_deliver(all, &link->ends[1], &link->ends[0]));
  peer->hung = true;
  break_link(all, peer);
  /* More than the tail holds. */
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
    assert_int_equal(msi_replica_submit(host->replica, all->now, node_info(host).version, 0,
                                        update, NULL, NULL, &number),
                     MS_OK);
    ms_update_release(update);
  }
  ms_value_release(big);
  ms_path_release(path);
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

/* ----- takeover */

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
  node_kill_losing(&all->nodes[1]);
  /* A candidate that was passed over left a ready log without entries. */
  all->term = 3;
  all->logs[3] = (fake_log){.exists = true, .ready = true, .base = base};
  sleeper->hung = false;
  world_pass(all, SECOND);
  assert_int_equal(node_info(sleeper).state, MS_SHARE_HOST);
  assert_int_equal(node_int(sleeper, "n"), 11);
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

/* ----- what a host may not do */

static void stub_send(world *all, const msi_buffer *out) {
  end_push(&all->stub->ends[1], &all->stub->ends[0], out->data, out->length);
  world_settle(all);
}

static void test_nonsense_from_a_host_is_cut_and_healed(void **state) {
  (void)state;
  static const char *const frames[] = {"\x91\x63", "\x91\x02", "\x91\x06", "\x91\x07", "\x91\x08",
                                       "\x93\x0a\x01\x01", "\x9a\x04\x01\x01\x01"};
  for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) {
    world *all = world_of(2);
    node *peer = &all->nodes[1];
    all->nodes[0].hung = true;
    break_link(all, peer);
    all->stub_term = 1;
    world_pass(all, SECOND / 10);
    assert_non_null(all->stub);
    pipe *stub = all->stub;
    end_push(&stub->ends[1], &stub->ends[0], (const uint8_t *)frames[i], strlen(frames[i]));
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
    while (node_try(at, MSI_CODE_SET, "n.x", 1, node_info(at).version, &number) != MS_OK) {
      world_pass(all, SECOND);
    }
    while (msi_replica_sync(at->replica, all->now, 1) != MS_OK) continue;
  }
  world_pass(all, SECOND);
  break_link(all, third);
  world_pass(all, SECOND);
  node_kill(first);
  world_pass(all, 4 * SECOND);
  while (node_try(third, MSI_CODE_INC, "n", 1, node_info(third).version, &number) != MS_OK) {
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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_founder_hosts_its_defaults),
      cmocka_unit_test(test_empty_defaults_become_an_object),
      cmocka_unit_test(test_a_share_that_may_not_be_founded_fails),
      cmocka_unit_test(test_a_joiner_gets_a_snapshot_in_pieces_between_live_entries),
      cmocka_unit_test(test_members_are_the_same_everywhere),
      cmocka_unit_test(test_an_accepted_patch_reaches_every_replica),
      cmocka_unit_test(test_a_host_decides_its_own_patches_at_once),
      cmocka_unit_test(test_a_patch_that_does_not_apply_is_rejected_with_its_reason),
      cmocka_unit_test(test_the_older_of_two_writes_loses_and_hears_to_whom),
      cmocka_unit_test(test_the_bounds_of_submit_change_nothing),
      cmocka_unit_test(test_a_full_disk_refuses_own_writes_and_cuts_others),
      cmocka_unit_test(test_pending_patches_wait_for_room),
      cmocka_unit_test(test_a_frame_that_is_no_message_cuts_only_its_link),
      cmocka_unit_test(test_a_link_without_greeting_is_cut_in_time),
      cmocka_unit_test(test_patches_out_of_order_cut_the_link),
      cmocka_unit_test(test_patches_of_a_readonly_peer_are_rejected),
      cmocka_unit_test(test_greetings_that_do_not_fit_are_refused),
      cmocka_unit_test(test_a_new_greeting_discards_the_old_link),
      cmocka_unit_test(test_a_peer_catches_up_from_the_tail),
      cmocka_unit_test(test_a_lost_decision_is_not_made_twice),
      cmocka_unit_test(test_a_snapshot_settles_what_was_decided_meanwhile),
      cmocka_unit_test(test_a_dead_peer_is_retired_and_a_living_one_is_not),
      cmocka_unit_test(test_a_retired_peer_comes_back_as_somebody_else),
      cmocka_unit_test(test_another_peer_takes_over_when_the_host_dies),
      cmocka_unit_test(test_what_the_dead_host_stored_is_kept_and_not_repeated),
      cmocka_unit_test(test_own_pending_patches_are_decided_after_a_takeover),
      cmocka_unit_test(test_a_host_that_was_replaced_while_it_stored_steps_down),
      cmocka_unit_test(test_a_host_that_slept_through_its_term_commits_nothing),
      cmocka_unit_test(test_a_replaced_host_notices_by_itself),
      cmocka_unit_test(test_a_host_is_suspected_after_its_timeout_of_punctual_ticks),
      cmocka_unit_test(test_a_host_that_stops_hands_over_at_once),
      cmocka_unit_test(test_a_candidate_that_died_unready_is_skipped),
      cmocka_unit_test(test_a_peer_that_hung_reads_the_logs_of_two_hosts),
      cmocka_unit_test(test_without_enough_history_nobody_pretends),
      cmocka_unit_test(test_the_term_moves_on_while_a_candidate_reads),
      cmocka_unit_test(test_a_hung_candidate_is_passed_over),
      cmocka_unit_test(test_a_peer_that_cannot_host_waits_for_one_that_can),
      cmocka_unit_test(test_a_joiner_whose_group_dies_founds_its_own),
      cmocka_unit_test(test_sync_is_answered_after_everything_before_it),
      cmocka_unit_test(test_sync_survives_a_takeover),
      cmocka_unit_test(test_nonsense_from_a_host_is_cut_and_healed),
      cmocka_unit_test(test_an_entry_that_does_not_follow_is_not_applied),
      cmocka_unit_test(test_another_group_means_joining_again_from_nothing),
      cmocka_unit_test(test_a_host_of_another_protocol_ends_it),
      cmocka_unit_test(test_any_allocation_may_fail_and_all_replicas_agree),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
