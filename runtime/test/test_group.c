/* The group file: founding, joining, locks that end with their process. */
#include "rendezvous_support.h"

#include "group.h"

static const char NAME[] = "arena";
static const char FILE_NAME[] = "arena.group";

static ms_status found(const scratch *home, uint64_t peer, msi_group *stale,
                       msi_group **out) {
  ms_error error;
  uint64_t term = msi_group_first_term(&home->directory, NAME, stale);
  return msi_group_found(NULL, &home->directory, NAME, peer, 7000 + peer, term, stale,
                         out, &error);
}

static ms_status enter(const scratch *home, uint64_t peer, msi_group **out, bool *alive) {
  ms_error error;
  return msi_group_open(NULL, &home->directory, NAME, peer, out, alive, &error);
}

/* A child that founds, says 'f' and lives until it is told something, or killed. */
static int founder(void *ud, int in, int out) {
  msi_group *group;
  if (found(ud, 1, NULL, &group) != MS_OK) return 1;
  child_say(out, 'f');
  child_hear(in);
  msi_group_close(group);
  return 0;
}

static void test_a_founded_group_is_joined_while_its_founder_lives(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  child host = child_start(founder, &home);
  assert_int_equal(child_hear(host.from), 'f');

  msi_group *group;
  bool alive = false;
  assert_int_equal(enter(&home, 2, &group, &alive), MS_OK);
  assert_true(alive);
  assert_int_equal(msi_group_id(group), 7001);
  assert_int_equal(msi_group_term(group), 1);
  assert_false(msi_group_term_lock_free(group, 1));
  assert_true(msi_group_term_lock_free(group, 2));
  assert_true(msi_group_member_alive(group, 1));
  assert_false(msi_group_member_alive(group, 2)); /* itself does not count */
  assert_false(msi_group_take_term_lock(group, 1));
  assert_true(msi_group_is_published(group, &home.directory, NAME));
  assert_int_equal(scratch_count(&home), 1); /* no temporary is left */

  assert_int_equal(child_end(&host, SIGKILL), -SIGKILL);
  assert_true(msi_group_term_lock_free(group, 1));
  assert_false(msi_group_member_alive(group, 1));
  assert_true(msi_group_take_term_lock(group, 2));
  msi_group_close(group);
  scratch_close(&home);
}

static void test_locks_of_two_descriptions_exclude_each_other(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  msi_group *one, *two;
  bool alive;
  assert_int_equal(found(&home, 1, NULL, &one), MS_OK);
  assert_int_equal(enter(&home, 1, &two, &alive), MS_EBUSY); /* the peer id is taken */
  assert_int_equal(enter(&home, MSI_PEER_ID_MAX, &two, &alive), MS_OK);
  assert_true(msi_group_take_term_lock(two, 2));
  assert_false(msi_group_take_term_lock(one, 2));
  assert_false(msi_group_term_lock_free(one, 2));
  msi_group_drop_term_lock(two, 2);
  assert_true(msi_group_take_term_lock(one, 2));
  assert_false(msi_group_take_term_lock(two, MSI_TERM_MAX + 1));
  assert_true(msi_group_member_alive(one, MSI_PEER_ID_MAX));
  msi_group_close(two);
  assert_false(msi_group_member_alive(one, MSI_PEER_ID_MAX));
  msi_group_close(one);
  msi_group_close(NULL);
  scratch_close(&home);
}

static void test_term_and_heartbeat_are_shared(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  msi_group *one, *two;
  bool alive;
  assert_int_equal(found(&home, 1, NULL, &one), MS_OK);
  assert_int_equal(enter(&home, 2, &two, &alive), MS_OK);
  assert_true(msi_group_raise_term(two, 1, 2));
  assert_false(msi_group_raise_term(one, 1, 2));
  assert_int_equal(msi_group_term(one), 2);
  uint64_t before = msi_group_heartbeat(two);
  msi_group_beat(one);
  assert_int_equal(msi_group_heartbeat(two), before + 1);
  msi_group_close(one);
  msi_group_close(two);
  scratch_close(&home);
}

static void test_a_dead_group_is_replaced_above_its_term_and_leftovers(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  child host = child_start(founder, &home);
  assert_int_equal(child_hear(host.from), 'f');
  child_end(&host, SIGKILL);
  scratch_put(&home, "arena.5.log", "x", 1, 0600);
  scratch_put(&home, "arena.6.sock", "x", 1, 0600);
  scratch_put(&home, "arena.x.sock", "x", 1, 0600);

  msi_group *stale, *group, *other;
  bool alive = true;
  assert_int_equal(enter(&home, 2, &stale, &alive), MS_OK);
  assert_false(alive);
  assert_int_equal(msi_group_first_term(&home.directory, NAME, stale), 7);
  assert_int_equal(found(&home, 2, stale, &group), MS_OK);
  assert_int_equal(msi_group_term(group), 7);
  assert_false(msi_group_is_published(stale, &home.directory, NAME));
  assert_true(msi_group_is_published(group, &home.directory, NAME));
  assert_false(msi_group_mark_complete(stale)); /* nobody completes in a replaced group */
  msi_group_close(stale);
  assert_int_equal(enter(&home, 3, &other, &alive), MS_OK);
  assert_true(alive);
  assert_int_equal(msi_group_id(other), 7002);
  msi_group_close(other);
  msi_group_close(group);
  scratch_close(&home);
}

static void test_nobody_founds_while_a_complete_member_lives(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  child host = child_start(founder, &home);
  assert_int_equal(child_hear(host.from), 'f');
  msi_group *member, *late, *made;
  bool alive;
  assert_int_equal(enter(&home, 2, &member, &alive), MS_OK);
  assert_true(msi_group_mark_complete(member));
  child_end(&host, SIGKILL);
  assert_int_equal(enter(&home, 3, &late, &alive), MS_OK);
  assert_true(alive);
  assert_int_equal(found(&home, 3, late, &made), MS_EBUSY);
  assert_int_equal(found(&home, 3, NULL, &made), MS_EBUSY);
  assert_true(msi_group_is_published(member, &home.directory, NAME));
  assert_int_equal(scratch_count(&home), 1);
  assert_true(msi_group_mark_complete(late)); /* the failed tries harmed nothing */
  msi_group_close(late);
  msi_group_close(member);
  assert_int_equal(enter(&home, 3, &late, &alive), MS_OK);
  assert_false(alive);
  msi_group_close(late);
  scratch_close(&home);
}

static void test_of_two_founders_over_a_stale_file_one_wins(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  msi_group *dead, *first, *second, *group, *late;
  bool alive;
  assert_int_equal(found(&home, 1, NULL, &dead), MS_OK);
  msi_group_close(dead);
  assert_int_equal(enter(&home, 2, &first, &alive), MS_OK);
  assert_false(alive);
  assert_int_equal(enter(&home, 3, &second, &alive), MS_OK);
  assert_false(alive);
  assert_int_equal(found(&home, 2, first, &group), MS_OK);
  assert_int_equal(found(&home, 3, second, &late), MS_EBUSY);
  assert_true(msi_group_is_published(group, &home.directory, NAME));
  msi_group_close(first);
  msi_group_close(second);
  msi_group_close(group);
  scratch_close(&home);
}

/* Enrols as a share does, waits for 'g', tries until it is in, says 'h' (host) or 'm'
 * (member) and lives until told. */
typedef struct contender {
  scratch *home;
  uint64_t peer;
} contender;

static int contend(void *ud, int in, int out) {
  contender *self = ud;
  msi_group *group = NULL;
  bool alive = false, host = false;
  child_say(out, 'r');
  if (child_hear(in) != 'g') return 2;
  for (int i = 0; group == NULL; i++) {
    if (i > 10000) return 3;
    msi_group *stale = NULL;
    ms_status st = enter(self->home, self->peer, &stale, &alive);
    if (st == MS_OK && alive) {
      group = stale;
      break;
    }
    if (st == MS_EBUSY) continue;
    if (st != MS_OK && st != MS_ENOENT) return 4;
    if (st == MS_ENOENT) stale = NULL;
    st = found(self->home, self->peer, stale, &group);
    msi_group_close(stale);
    if (st != MS_OK) group = NULL;
    if (st != MS_OK && st != MS_EBUSY) return 5;
    host = st == MS_OK;
  }
  child_say(out, host ? 'h' : 'm');
  child_say(out, (int)(msi_group_id(group) - 7000));
  child_hear(in);
  return msi_group_is_published(group, &self->home->directory, NAME) ? 0 : 6;
}

static void test_ten_founders_at_the_same_instant_end_in_one_group(void **state) {
  (void)state;
  enum { COUNT = 10, ROUNDS = 20 };
  scratch home;
  scratch_open(&home);
  for (int round = 0; round < ROUNDS; round++) {
    /* The first round finds nothing, the others the stale file of the round before. */
    contender who[COUNT];
    child it[COUNT];
    for (int i = 0; i < COUNT; i++) {
      who[i] = (contender){&home, (uint64_t)i + 1};
      it[i] = child_start(contend, &who[i]);
    }
    for (int i = 0; i < COUNT; i++) assert_int_equal(child_hear(it[i].from), 'r');
    for (int i = 0; i < COUNT; i++) child_say(it[i].to, 'g');
    int hosts = 0, id = -1;
    for (int i = 0; i < COUNT; i++) {
      int role = child_hear(it[i].from);
      assert_true(role == 'h' || role == 'm');
      hosts += role == 'h';
      int group = child_hear(it[i].from);
      if (id < 0) id = group;
      assert_int_equal(group, id);
    }
    assert_int_equal(hosts, 1);
    for (int i = 0; i < COUNT; i++) child_say(it[i].to, 'q');
    for (int i = 0; i < COUNT; i++) assert_int_equal(child_end(&it[i], 0), 0);
    assert_int_equal(scratch_count(&home), 1);
  }
  scratch_close(&home);
}

static void test_files_that_are_no_group_files_are_refused(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  msi_group *group;
  bool alive;
  static char zeros[4096];
  assert_int_equal(enter(&home, 1, &group, &alive), MS_ENOENT);
  scratch_put(&home, FILE_NAME, "", 0, 0600);
  assert_int_equal(enter(&home, 1, &group, &alive), MS_EVERSION);
  scratch_put(&home, FILE_NAME, zeros, 4095, 0600);
  assert_int_equal(enter(&home, 1, &group, &alive), MS_EVERSION);
  scratch_put(&home, FILE_NAME, zeros, 4096, 0600);
  assert_int_equal(enter(&home, 1, &group, &alive), MS_EVERSION);
  scratch_put(&home, FILE_NAME, zeros, 4096, 0644);
  assert_int_equal(enter(&home, 1, &group, &alive), MS_EDENIED);
  unlinkat(home.directory.fd, FILE_NAME, 0);
  assert_int_equal(mkfifoat(home.directory.fd, FILE_NAME, 0600), 0);
  assert_int_equal(enter(&home, 1, &group, &alive), MS_EDENIED);
  unlinkat(home.directory.fd, FILE_NAME, 0);
  assert_int_equal(mkdirat(home.directory.fd, FILE_NAME, 0700), 0);
  assert_int_equal(enter(&home, 1, &group, &alive), MS_EDENIED);
  unlinkat(home.directory.fd, FILE_NAME, AT_REMOVEDIR);

  msi_group *real;
  assert_int_equal(found(&home, 1, NULL, &real), MS_OK);
  assert_int_equal(renameat(home.directory.fd, FILE_NAME, home.directory.fd, "real"), 0);
  assert_int_equal(symlinkat("real", home.directory.fd, FILE_NAME), 0);
  assert_int_equal(enter(&home, 2, &group, &alive), MS_EDENIED);
  assert_false(msi_group_is_published(real, &home.directory, NAME));
  msi_group_close(real);
  scratch_close(&home);
}

static void test_leftovers_of_crashed_founders_are_removed(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  scratch_put(&home, ".arena.0123456789abcdef.tmp", "x", 1, 0600);
  scratch_put(&home, ".arena2.0123456789abcdef.tmp", "x", 1, 0600);
  scratch_put(&home, ".arena.0000000000000001.tmp", "x", 1, 0600);
  int busy = openat(home.directory.fd, ".arena.0000000000000001.tmp", O_RDWR | O_CLOEXEC);
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 1};
  assert_int_equal(fcntl(busy, F_OFD_SETLK, &lock), 0);
  msi_group *group;
  assert_int_equal(found(&home, 1, NULL, &group), MS_OK);
  assert_false(scratch_has(&home, ".arena.0123456789abcdef.tmp"));
  assert_true(scratch_has(&home, ".arena.0000000000000001.tmp"));
  assert_true(scratch_has(&home, ".arena2.0123456789abcdef.tmp"));
  close(busy);
  msi_group_close(group);
  scratch_close(&home);
}

static void test_the_last_member_takes_the_file_with_it(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  msi_group *one, *two;
  bool alive;
  assert_int_equal(found(&home, 1, NULL, &one), MS_OK);
  assert_int_equal(enter(&home, 2, &two, &alive), MS_OK);
  msi_group_unlink_if_last(one, &home.directory, NAME);
  assert_true(scratch_has(&home, FILE_NAME));
  msi_group_close(two);
  msi_group_unlink_if_last(one, &home.directory, NAME);
  assert_false(scratch_has(&home, FILE_NAME));
  assert_int_equal(found(&home, 3, NULL, &two), MS_OK);
  msi_group_unlink_if_last(one, &home.directory, NAME); /* not its file any more */
  assert_true(msi_group_is_published(two, &home.directory, NAME));
  msi_group_close(one);
  msi_group_close(two);
  scratch_close(&home);
}

static void test_a_vanished_or_replaced_directory_shows_as_unpublished(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  char moved[128];
  snprintf(moved, sizeof moved, "%s.moved", home.path);
  msi_group *one, *two;
  bool alive;
  assert_int_equal(found(&home, 1, NULL, &one), MS_OK);
  assert_int_equal(rename(home.path, moved), 0);
  assert_false(msi_group_is_published(one, &home.directory, NAME));
  assert_int_equal(mkdir(home.path, 0700), 0);
  assert_false(msi_group_is_published(one, &home.directory, NAME));
  assert_int_equal(rmdir(home.path), 0);
  assert_int_equal(rename(moved, home.path), 0);
  assert_true(msi_group_is_published(one, &home.directory, NAME));

  unlinkat(home.directory.fd, FILE_NAME, 0);
  assert_false(msi_group_is_published(one, &home.directory, NAME));
  assert_int_equal(rmdir(home.path), 0);
  assert_int_equal(enter(&home, 2, &two, &alive), MS_ENOENT);
  assert_int_equal(found(&home, 2, NULL, &two), MS_ENOENT);
  msi_group_unlink_if_last(one, &home.directory, NAME);
  msi_group_beat(one);
  msi_group_close(one);
  msi_directory_close(&home.directory);
}

typedef struct listed {
  size_t count;
  size_t alive;
  uint64_t group;
} listed;

static void on_listing(void *ud, const ms_listing *listing) {
  listed *seen = ud;
  assert_string_equal(listing->name, NAME);
  assert_int_equal(listing->term, 1);
  seen->count++;
  seen->alive += listing->alive;
  seen->group = listing->group;
}

static void test_listing_tells_living_shares_from_dead_ones(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  ms_error error;
  listed seen = {0};
  scratch_put(&home, "broken.group", "x", 1, 0600);
  scratch_put(&home, ".group", "x", 1, 0600);
  assert_int_equal(ms_list(home.path, on_listing, &seen, &error), MS_OK);
  assert_int_equal(seen.count, 0);
  child host = child_start(founder, &home);
  assert_int_equal(child_hear(host.from), 'f');
  assert_int_equal(ms_list(home.path, on_listing, &seen, &error), MS_OK);
  assert_int_equal(seen.count, 1);
  assert_int_equal(seen.alive, 1);
  assert_int_equal(seen.group, 7001);
  child_end(&host, SIGKILL);
  assert_int_equal(ms_list(home.path, on_listing, &seen, &error), MS_OK);
  assert_int_equal(seen.count, 2);
  assert_int_equal(seen.alive, 1);
  assert_int_equal(ms_list("/nonexistent/x", on_listing, &seen, &error), MS_ENOENT);
  assert_int_equal(ms_list(home.path, NULL, NULL, &error), MS_EARGUMENT);
  scratch_close(&home);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_founded_group_is_joined_while_its_founder_lives),
      cmocka_unit_test(test_locks_of_two_descriptions_exclude_each_other),
      cmocka_unit_test(test_term_and_heartbeat_are_shared),
      cmocka_unit_test(test_a_dead_group_is_replaced_above_its_term_and_leftovers),
      cmocka_unit_test(test_nobody_founds_while_a_complete_member_lives),
      cmocka_unit_test(test_of_two_founders_over_a_stale_file_one_wins),
      cmocka_unit_test(test_ten_founders_at_the_same_instant_end_in_one_group),
      cmocka_unit_test(test_files_that_are_no_group_files_are_refused),
      cmocka_unit_test(test_leftovers_of_crashed_founders_are_removed),
      cmocka_unit_test(test_the_last_member_takes_the_file_with_it),
      cmocka_unit_test(test_a_vanished_or_replaced_directory_shows_as_unpublished),
      cmocka_unit_test(test_listing_tells_living_shares_from_dead_ones),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
