/* The rendezvous: files that vanish while the share lives, and children that inherit. */
#include "rendezvous_support.h"

#include "fork_guard.h"
#include "rendezvous.h"

static const char NAME[] = "arena";
enum { TERM_OFFSET = 24 }; /* of the term in the group file */

/* ------------------------------------------------------------------- members */

static void on_frame(void *ud, msi_link *link, const uint8_t *data, size_t bytes) {
  (void)ud, (void)link, (void)data, (void)bytes;
}
static void on_room(void *ud, msi_link *link) { (void)ud, (void)link; }
static void on_down(void *ud, msi_link *link, const char *reason) {
  (void)ud, (void)link, (void)reason;
}
static void on_link(void *ud, msi_link *link) {
  (void)ud;
  msi_link_close(link, false);
}
static void on_refused(void *ud, const char *reason) { (void)ud, (void)reason; }
static const msi_link_events EVENTS = {on_frame, on_room, on_down};

typedef struct member {
  uv_loop_t loop;
  msi_rendezvous place;
} member;

static ms_status enter(member *self, const scratch *home, uint64_t peer, bool *founded) {
  assert_int_equal(uv_loop_init(&self->loop), 0);
  self->place = (msi_rendezvous){.alloc = msi_alloc_resolve(NULL),
                                 .name = NAME,
                                 .loop = &self->loop,
                                 .events = &EVENTS,
                                 .on_link = on_link,
                                 .on_refused = on_refused};
  ms_error error;
  assert_int_equal(msi_rendezvous_open(&self->place, home->path, true, &error), MS_OK);
  ms_status status =
      msi_rendezvous_enrol(&self->place, peer, 7000 + peer, true, founded, &error);
  return status;
}

static void host(member *self, const scratch *home) {
  bool founded = false;
  assert_int_equal(enter(self, home, 1, &founded), MS_OK);
  assert_true(founded);
  msi_log_mark_ready(self->place.history, 0, 0);
  assert_int_equal(msi_listener_accept(self->place.listener), MS_OK);
}

static void join(member *self, const scratch *home, uint64_t peer) {
  bool founded = true;
  assert_int_equal(enter(self, home, peer, &founded), MS_OK);
  assert_false(founded);
  assert_int_equal(msi_rendezvous_term(&self->place), 1);
  assert_true(msi_rendezvous_mark_complete(&self->place));
}

static void quit(member *self) {
  msi_rendezvous_close(&self->place);
  uv_run(&self->loop, UV_RUN_DEFAULT);
  assert_int_equal(uv_loop_close(&self->loop), 0);
}

static void mend(member *self, bool expected) {
  ms_error error = {MS_OK, ""};
  bool mended = !expected;
  ms_status status = msi_rendezvous_mend(&self->place, &mended, &error);
  if (status != MS_OK) fail_msg("mend: %s", error.message);
  assert_int_equal(mended, expected);
}

static ms_status mend_status(member *self) {
  ms_error error;
  bool mended = true;
  ms_status status = msi_rendezvous_mend(&self->place, &mended, &error);
  assert_false(mended);
  return status;
}

static bool is_published(const member *self) {
  return msi_group_is_published(self->place.group, &self->place.directory, NAME);
}

static void append(member *self, uint64_t version) {
  uint8_t data[32];
  memset(data, (int)version, sizeof data);
  assert_int_equal(msi_rendezvous_append(&self->place, version, data, sizeof data),
                   MS_OK);
}

static bool count_entry(void *ud, uint64_t version, const uint8_t *data, size_t bytes) {
  size_t *count = ud;
  if (bytes != 32 || data[31] != (uint8_t)version) return false;
  (*count)++;
  return true;
}

/* Entries that a candidate would find. */
static size_t entries(const member *self, uint64_t term) {
  size_t count = 0;
  msi_log *log = msi_rendezvous_borrow_log(&self->place, term);
  assert_non_null(log);
  assert_true(msi_log_read(log, NULL, 0, count_entry, &count));
  msi_rendezvous_return_log(&self->place, log);
  return count;
}

static void remove_file(const scratch *home, const char *file) {
  assert_int_equal(unlinkat(home->directory.fd, file, 0), 0);
}

static void remove_all(const scratch *home) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", home->path);
  assert_int_equal(system(command), 0);
}

/* ------------------------------------------------------------------- vanishing */

static void test_whole_rendezvous_is_left_alone(void **state) {
  (void)state;
  scratch home;
  member one;
  scratch_open(&home);
  host(&one, &home);
  mend(&one, false);
  quit(&one);
  assert_int_equal(scratch_count(&home), 0);
  scratch_close(&home);
}

static void test_group_file_that_vanished_is_made_anew_and_followed(void **state) {
  (void)state;
  scratch home;
  member one, two, three;
  scratch_open(&home);
  host(&one, &home);
  join(&two, &home, 2);
  remove_file(&home, "arena.group");
  assert_false(is_published(&one));
  mend(&one, true);
  assert_true(is_published(&one));
  mend(&one, false);
  assert_true(msi_rendezvous_member_alive(&one.place, 2)); /* it has not followed yet */
  assert_false(is_published(&two));
  assert_int_equal(msi_rendezvous_term(&two.place), 1);
  assert_true(is_published(&two));
  assert_int_equal(msi_group_id(two.place.group), 7001);
  assert_true(msi_rendezvous_member_alive(&one.place, 2));
  assert_false(msi_group_term_lock_free(two.place.group, 1));
  join(&three, &home, 3);
  quit(&one);
  /* Two others are left, and one of them takes over in the new file. */
  assert_true(is_published(&two));
  assert_true(msi_group_term_lock_free(two.place.group, 1));
  assert_true(msi_rendezvous_take_term_lock(&two.place, 2));
  assert_false(msi_rendezvous_take_term_lock(&three.place, 2));
  assert_true(msi_group_raise_term(two.place.group, 1, 2));
  assert_int_equal(msi_rendezvous_term(&three.place), 2);
  quit(&three);
  quit(&two);
  scratch_close(&home);
}

static void test_log_and_socket_that_vanished_are_made_anew(void **state) {
  (void)state;
  scratch home;
  member one, two;
  scratch_open(&home);
  host(&one, &home);
  join(&two, &home, 2);
  for (uint64_t version = 1; version <= 100; version++) append(&one, version);
  remove_file(&home, "arena.1.log");
  remove_file(&home, "arena.1.sock");
  assert_null(msi_rendezvous_borrow_log(&two.place, 1));
  mend(&one, true);
  assert_int_equal(entries(&two, 1), 100);
  append(&one, 101);
  assert_int_equal(entries(&two, 1), 101);
  assert_true(scratch_has(&home, "arena.1.sock"));
  assert_int_equal(scratch_count(&home), 3); /* no temporary is left */
  mend(&one, false);
  quit(&two);
  quit(&one);
  assert_int_equal(scratch_count(&home), 0);
  scratch_close(&home);
}

static void test_directory_that_vanished_is_made_anew_with_all_files(void **state) {
  (void)state;
  scratch home;
  member one, two, three;
  scratch_open(&home);
  host(&one, &home);
  join(&two, &home, 2);
  append(&one, 1);
  append(&one, 2);
  for (int i = 0; i < MSI_FORMERS_MAX + 2; i++) {
    remove_all(&home);
    mend(&one, true);
    assert_int_equal(msi_rendezvous_term(&two.place), 1);
    assert_true(is_published(&two));
  }
  append(&one, 3);
  assert_int_equal(entries(&two, 1), 3);
  join(&three, &home, 3);
  quit(&three);
  quit(&two);
  quit(&one);
  assert_int_equal(rmdir(home.path), 0); /* nothing is left in the new one */
  msi_directory_close(&home.directory);
}

static void
test_candidate_finds_the_old_log_in_a_directory_that_was_renamed(void **state) {
  (void)state;
  scratch home;
  member one, two;
  ms_error error;
  char other[80];
  scratch_open(&home);
  host(&one, &home);
  join(&two, &home, 2);
  append(&one, 1);
  snprintf(other, sizeof other, "%s.old", home.path);
  assert_int_equal(rename(home.path, other), 0);
  msi_rendezvous_leave(&one.place); /* the host is gone before it could look */
  assert_true(msi_rendezvous_take_term_lock(&two.place, 2));
  assert_int_equal(msi_rendezvous_prepare(&two.place, 2, &error), MS_OK);
  assert_true(msi_group_raise_term(two.place.group, 1, 2));
  assert_int_equal(entries(&two, 1), 1);
  msi_log_mark_ready(two.place.history, 1, 1);
  mend(&two, true);
  assert_true(is_published(&two));
  quit(&two);
  quit(&one);
  char command[256];
  snprintf(command, sizeof command, "rm -rf %s %s", home.path, other);
  assert_int_equal(system(command), 0);
  msi_directory_close(&home.directory);
}

/* ------------------------------------------------------------------- kept logs */

static void take_over(member *self, uint64_t from, uint64_t base) {
  ms_error error;
  uint64_t next = from + 1;
  assert_true(msi_rendezvous_take_term_lock(&self->place, next));
  assert_int_equal(msi_rendezvous_prepare(&self->place, next, &error), MS_OK);
  assert_true(msi_group_raise_term(self->place.group, from, next));
  msi_log_mark_ready(self->place.history, base, from);
}

static void test_kept_log_outlives_its_names_and_its_host(void **state) {
  (void)state;
  scratch home;
  member one, two;
  scratch_open(&home);
  host(&one, &home);
  join(&two, &home, 2);
  append(&one, 1);
  msi_rendezvous_keep_log(&two.place, 1);
  append(&one, 2);
  remove_all(&home);
  msi_rendezvous_leave(&one.place); /* the host is gone before it could look */
  msi_rendezvous_tend(&two.place);
  take_over(&two, 1, 2);
  assert_int_equal(entries(&two, 1), 2);
  mend(&two, true);
  assert_int_equal(entries(&two, 1), 2);
  quit(&two);
  quit(&one);
  assert_int_equal(rmdir(home.path), 0);
  msi_directory_close(&home.directory);
}

static void test_kept_log_that_moved_is_read_where_it_goes_on(void **state) {
  (void)state;
  scratch home;
  member one, two;
  scratch_open(&home);
  host(&one, &home);
  join(&two, &home, 2);
  append(&one, 1);
  msi_rendezvous_keep_log(&two.place, 1);
  remove_file(&home, "arena.1.log");
  mend(&one, true);
  append(&one, 2);
  assert_int_equal(entries(&two, 1), 2);
  remove_file(&home, "arena.1.log");
  /* For a while the host stores in both. */
  assert_int_equal(entries(&two, 1), 2);
  mend(&one, true);
  for (int i = 1; i < MSI_FADING_TICKS; i++) mend(&one, false);
  append(&one, 3);
  assert_int_equal(entries(&two, 1), 3);
  mend(&one, false);
  append(&one, 4);
  remove_file(&home, "arena.1.log");
  /* What it has kept ends before entry 4, so it is no history. */
  assert_null(msi_rendezvous_borrow_log(&two.place, 1));
  mend(&one, true);
  append(&one, 5);
  msi_rendezvous_tend(&two.place);
  remove_all(&home);
  assert_int_equal(entries(&two, 1), 5);
  quit(&two);
  quit(&one);
  msi_directory_close(&home.directory);
}

static void test_log_of_an_earlier_host_is_kept_until_it_is_swept(void **state) {
  (void)state;
  scratch home;
  member one, two, three;
  scratch_open(&home);
  host(&one, &home);
  join(&two, &home, 2);
  join(&three, &home, 3);
  append(&one, 1);
  msi_rendezvous_keep_log(&three.place, 1);
  quit(&one);
  take_over(&two, 1, 1);
  msi_rendezvous_keep_log(&three.place, 2);
  msi_rendezvous_tend(&three.place);
  assert_non_null(three.place.kept[1]);
  assert_int_equal(entries(&three, 1), 1);
  msi_directory_sweep(&two.place.directory, NAME, 2);
  assert_int_equal(entries(&three, 1), 1);
  msi_rendezvous_tend(&three.place);
  assert_null(three.place.kept[1]);
  assert_null(msi_rendezvous_borrow_log(&three.place, 1));
  /* A host that is replaced keeps its own. */
  msi_rendezvous_discard(&two.place);
  assert_int_equal(msi_log_term(two.place.kept[0]), 2);
  quit(&three);
  quit(&two);
  scratch_close(&home);
}

/* Stopped while the group moves, and the host that moved it is gone. */
static void test_member_that_has_not_followed_is_known_to_the_next_host(void **state) {
  (void)state;
  scratch home;
  member one, two, three;
  scratch_open(&home);
  host(&one, &home);
  join(&two, &home, 2);
  join(&three, &home, 3);
  remove_file(&home, "arena.group");
  mend(&one, true);
  assert_int_equal(msi_rendezvous_term(&two.place), 1);
  quit(&one);
  take_over(&two, 1, 0);
  msi_rendezvous_tend(&two.place);
  assert_true(msi_rendezvous_member_alive(&two.place, 3));
  assert_false(msi_rendezvous_member_alive(&two.place, 1));
  assert_int_equal(msi_rendezvous_term(&three.place), 2); /* it follows */
  msi_rendezvous_tend(&two.place);
  assert_int_equal(two.place.former_count, 0);
  assert_true(msi_rendezvous_member_alive(&two.place, 3));
  quit(&three);
  assert_false(msi_rendezvous_member_alive(&two.place, 3));
  quit(&two);
  assert_int_equal(scratch_count(&home), 0);
  scratch_close(&home);
}

static void test_group_that_is_found_nowhere_for_long_is_lost(void **state) {
  (void)state;
  scratch home;
  member one, two;
  bool founded = false;
  scratch_open(&home);
  host(&one, &home);
  join(&two, &home, 2);
  remove_all(&home);
  mend(&one, true);
  remove_all(&home);
  msi_rendezvous_leave(&one.place);
  assert_true(msi_rendezvous_has_moved(&two.place));
  assert_int_equal(msi_rendezvous_term(&two.place), 1);
  two.place.sought_since -= UINT64_C(6000000000); /* six seconds ago */
  two.place.sought_at -= UINT64_C(2000000000);    /* two of which it was stopped */
  assert_int_equal(msi_rendezvous_term(&two.place), 1);
  two.place.sought_since -= UINT64_C(6000000000);
  assert_int_equal(msi_rendezvous_term(&two.place), MSI_TERM_NONE);
  quit(&two);
  assert_int_equal(enter(&two, &home, 2, &founded), MS_OK);
  assert_true(founded);
  assert_int_equal(msi_rendezvous_term(&two.place), 1);
  quit(&two);
  quit(&one);
  assert_int_equal(rmdir(home.path), 0);
  msi_directory_close(&home.directory);
}

/* ---------------------------------------------------------------------- rivals */

static void test_host_that_was_replaced_moves_nothing(void **state) {
  (void)state;
  scratch home;
  member one, two;
  msi_group *made = NULL;
  ms_error error;
  scratch_open(&home);
  host(&one, &home);
  join(&two, &home, 2);
  remove_file(&home, "arena.group");
  assert_true(msi_rendezvous_take_term_lock(&two.place, 2));
  assert_int_equal(mend_status(&one), MS_EBUSY); /* a candidate is on its way */
  assert_true(msi_group_raise_term(two.place.group, 1, 2));
  mend(&one, false);
  assert_int_equal(
      msi_group_move(NULL, &home.directory, NAME, one.place.group, 1, &made, &error),
      MS_ENOHOST);
  assert_false(scratch_has(&home, "arena.group"));
  quit(&one);
  quit(&two);
  scratch_close(&home);
}

static void test_group_that_lives_under_the_name_meanwhile_is_left_alone(void **state) {
  (void)state;
  scratch home;
  member one, two, three;
  bool founded = false;
  scratch_open(&home);
  host(&one, &home);
  join(&two, &home, 2);
  remove_file(&home, "arena.group");
  assert_int_equal(enter(&three, &home, 3, &founded), MS_OK);
  assert_true(founded);
  assert_int_equal(mend_status(&one), MS_EBUSY);
  assert_true(is_published(&three));
  assert_int_equal(msi_rendezvous_term(&two.place), 1); /* theirs goes on */
  quit(&three);
  mend(&one, true);
  assert_int_equal(msi_rendezvous_term(&two.place), 1);
  assert_true(is_published(&two));
  quit(&two);
  quit(&one);
  scratch_close(&home);
}

static void test_dead_group_under_the_name_is_replaced(void **state) {
  (void)state;
  scratch home;
  member one, two;
  bool founded = false;
  scratch_open(&home);
  host(&one, &home);
  remove_file(&home, "arena.group");
  assert_int_equal(enter(&two, &home, 2, &founded), MS_OK);
  msi_group_close(two.place.group); /* as if it had been killed */
  two.place.group = NULL;
  mend(&one, true);
  assert_true(is_published(&one));
  quit(&two);
  quit(&one);
  scratch_close(&home);
}

/* A host that is killed between giving up the old file and opening the new one. */
static void test_member_opens_the_file_that_its_host_could_not_open(void **state) {
  (void)state;
  scratch home;
  member one, two, three;
  bool founded = false;
  const uint64_t none = MSI_TERM_NONE;
  scratch_open(&home);
  host(&one, &home);
  join(&two, &home, 2);
  remove_file(&home, "arena.group");
  mend(&one, true);
  int fd = openat(home.directory.fd, "arena.group", O_RDWR | O_CLOEXEC);
  assert_int_equal(pwrite(fd, &none, sizeof none, TERM_OFFSET), sizeof none);
  close(fd);
  /* Nobody joins what is not open, and nobody founds beside it. */
  assert_int_equal(enter(&three, &home, 3, &founded), MS_EBUSY);
  quit(&three);
  assert_int_equal(msi_rendezvous_term(&two.place), 1);
  join(&three, &home, 3);
  quit(&three);
  quit(&two);
  quit(&one);
  scratch_close(&home);
}

/* ---------------------------------------------------------------------- children */

/* Founds, has a child that does nothing and keeps what it inherited, and waits to be killed. */
static int parent(void *ud, int in, int out) {
  member self;
  bool founded = false;
  ms_error error;
  const scratch *home = ud;
  if (uv_loop_init(&self.loop) != 0) return 1;
  self.place = (msi_rendezvous){.alloc = msi_alloc_resolve(NULL),
                                .name = NAME,
                                .loop = &self.loop,
                                .events = &EVENTS,
                                .on_link = on_link,
                                .on_refused = on_refused};
  if (msi_fork_guard_start() != MS_OK) return 2;
  if (msi_rendezvous_open(&self.place, home->path, true, &error) != MS_OK) return 3;
  if (msi_rendezvous_enrol(&self.place, 1, 7001, true, &founded, &error) != MS_OK)
    return 4;
  if (fork() == 0) {
    alarm(CHILD_DEADLINE_S);
    child_say(out, 'c');
    while (child_hear(in) >= 0) continue; /* to the end of the test */
    _exit(0);
  }
  pause();
  return 0;
}

static void test_forked_child_keeps_no_lock_of_its_dead_parent(void **state) {
  (void)state;
  scratch home;
  member two;
  scratch_open(&home);
  child first = child_start(parent, &home);
  assert_int_equal(child_hear(first.from), 'c'); /* the grandchild lives */
  join(&two, &home, 2);
  assert_true(msi_rendezvous_member_alive(&two.place, 1));
  assert_false(msi_group_term_lock_free(two.place.group, 1));
  kill(first.pid, SIGKILL);
  int status = 0;
  assert_int_equal(waitpid(first.pid, &status, 0), first.pid);
  assert_false(msi_rendezvous_member_alive(&two.place, 1));
  assert_true(msi_group_term_lock_free(two.place.group, 1));
  close(first.to); /* the grandchild ends */
  assert_int_equal(child_hear(first.from), -1);
  close(first.from);
  quit(&two);
  scratch_close(&home);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_whole_rendezvous_is_left_alone),
      cmocka_unit_test(test_group_file_that_vanished_is_made_anew_and_followed),
      cmocka_unit_test(test_log_and_socket_that_vanished_are_made_anew),
      cmocka_unit_test(test_directory_that_vanished_is_made_anew_with_all_files),
      cmocka_unit_test(test_candidate_finds_the_old_log_in_a_directory_that_was_renamed),
      cmocka_unit_test(test_kept_log_outlives_its_names_and_its_host),
      cmocka_unit_test(test_kept_log_that_moved_is_read_where_it_goes_on),
      cmocka_unit_test(test_log_of_an_earlier_host_is_kept_until_it_is_swept),
      cmocka_unit_test(test_member_that_has_not_followed_is_known_to_the_next_host),
      cmocka_unit_test(test_group_that_is_found_nowhere_for_long_is_lost),
      cmocka_unit_test(test_host_that_was_replaced_moves_nothing),
      cmocka_unit_test(test_group_that_lives_under_the_name_meanwhile_is_left_alone),
      cmocka_unit_test(test_dead_group_under_the_name_is_replaced),
      cmocka_unit_test(test_member_opens_the_file_that_its_host_could_not_open),
      cmocka_unit_test(test_forked_child_keeps_no_lock_of_its_dead_parent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
