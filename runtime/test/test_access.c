/* Roles, how many may write, and what goes after a time, through the C API: peers of one process. */
#include "share_support.h"

enum { PATIENCE_MS = 20000 };

static ms_status finish(ms_receipt *receipt, ms_error *error) {
  ms_status status = ms_receipt_wait(receipt, PATIENCE_MS, error);
  ms_receipt_release(receipt);
  return status;
}

/* What became of an assignment with a time to live (negative: none). */
static ms_status assign(ms_share *share, const char *text, int64_t number, int64_t ttl_ms,
                        ms_error *error) {
  ms_path *path = pattern_of(text);
  const ms_value *value = NULL;
  assert_int_equal(ms_value_new_int(NULL, number, &value), MS_OK);
  ms_write write;
  ms_write_init(&write);
  write.path = path;
  write.operand = value;
  write.ttl_ms = ttl_ms;
  ms_receipt *receipt = NULL;
  ms_status status = ms_share_write(share, &write, &receipt, error);
  if (status == MS_OK) status = finish(receipt, error);
  ms_value_release(value);
  ms_path_release(path);
  return status;
}

static void test_role_may_write_where_it_was_granted_and_others_may_not(void **state) {
  scene *self = *state;
  static const char *const zone_roles[] = {"gate", "zone", NULL};
  ms_share_config config;
  scene_config(self, &config);
  ms_share *plain = peer_open_with(self, &config);
  config.roles = zone_roles;
  ms_share *zone = peer_open_with(self, &config);
  ms_receipt *receipt = NULL;
  ms_error error;
  assert_int_equal(ms_share_grant(plain, "zone", "players.**", &receipt, &error), MS_OK);
  assert_int_equal(finish(receipt, &error), MS_OK);
  assert_int_equal(assign(zone, "players.ada", 1, -1, &error), MS_OK);
  assert_int_equal(assign(plain, "players.bob", 1, -1, &error), MS_EDENIED);
  assert_non_null(strstr(error.message, "players.bob"));
  assert_non_null(strstr(error.message, "zone"));
  assert_int_equal(assign(plain, "other", 1, -1, &error), MS_OK);
  assert_int_equal(ms_share_revoke(zone, "zone", "players.**", &receipt, &error), MS_OK);
  assert_int_equal(finish(receipt, &error), MS_OK);
  assert_int_equal(assign(plain, "players.bob", 2, -1, &error), MS_OK);
}

typedef struct tally {
  size_t zones, all;
} tally;

static void count_roles(void *ud, const ms_peer *peer) {
  tally *self = ud;
  self->all++;
  if (!ms_peer_has_role(peer, "zone")) return;
  self->zones++;
  assert_true(ms_peer_has_role(peer, "gate"));
  assert_false(ms_peer_has_role(peer, "zon"));
  assert_false(ms_peer_has_role(peer, ""));
  assert_memory_equal(peer->roles, "gate\0zone\0", 11);
}

static void test_roles_show_in_the_list_of_peers(void **state) {
  scene *self = *state;
  static const char *const zone_roles[] = {"gate", "zone", NULL};
  ms_share_config config;
  scene_config(self, &config);
  ms_share *plain = peer_open_with(self, &config);
  config.roles = zone_roles;
  ms_share *zone = peer_open_with(self, &config);
  ms_share *shares[] = {plain, zone};
  for (size_t i = 0; i < 2; i++) {
    tally found = {0};
    ms_error error;
    assert_int_equal(ms_share_sync(shares[i], PATIENCE_MS, &error), MS_OK);
    assert_int_equal(ms_share_peers(shares[i], count_roles, &found), MS_OK);
    assert_int_equal(found.zones, 1);
    assert_int_equal(found.all, 2);
  }
}

static void test_roles_have_limits(void **state) {
  scene *self = *state;
  static char long_role[MS_ROLE_MAX + 2];
  memset(long_role, 'r', MS_ROLE_MAX + 1);
  const char *roles[MS_ROLES_MAX + 2] = {long_role, NULL};
  ms_share_config config;
  scene_config(self, &config);
  config.roles = roles;
  self->runtimes[self->count++] = runtime_make(self);
  ms_runtime *runtime = self->runtimes[0];
  ms_share *share = NULL;
  ms_error error;
  assert_int_equal(ms_share_new(runtime, "x", &config, &share, &error), MS_EARGUMENT);
  roles[0] = "";
  assert_int_equal(ms_share_new(runtime, "x", &config, &share, &error), MS_EARGUMENT);
  for (size_t i = 0; i <= MS_ROLES_MAX; i++) roles[i] = "r";
  assert_int_equal(ms_share_new(runtime, "x", &config, &share, &error), MS_ELIMIT);
  long_role[MS_ROLE_MAX] = '\0';
  for (size_t i = 0; i < 8; i++) roles[i] = long_role;
  roles[8] = NULL;
  assert_int_equal(ms_share_new(runtime, "x", &config, &share, &error), MS_ELIMIT);
  roles[7] = NULL;
  assert_int_equal(ms_share_new(runtime, "x", &config, &share, &error), MS_OK);
  long_role[MS_ROLE_MAX] = 'r';
  assert_int_equal(ms_share_grant(share, "x", "x", NULL, &error), MS_ENOHOST);
  assert_int_equal(ms_share_start(share, PATIENCE_MS, &error), MS_OK);
  assert_int_equal(ms_share_grant(share, long_role, "x", NULL, &error), MS_EARGUMENT);
  assert_int_equal(ms_share_grant(share, NULL, "x", NULL, &error), MS_EARGUMENT);
  assert_int_equal(ms_share_grant(share, "x", NULL, NULL, &error), MS_EARGUMENT);
  assert_int_equal(ms_share_grant(share, "x", "a..b", NULL, &error), MS_EPATH);
  ms_share_free(share);
}

static ms_status open_further(scene *self, const ms_share_config *config) {
  ms_runtime *runtime = runtime_make(self);
  ms_share *share = NULL;
  ms_error error;
  ms_status status = ms_share_open(runtime, "arena", config, &share, &error);
  ms_share_free(share);
  ms_runtime_close(runtime);
  return status;
}

static void test_no_more_than_max_writers_get_in_to_write(void **state) {
  scene *self = *state;
  ms_share_config config;
  scene_config(self, &config);
  config.max_writers = 1;
  ms_share *first = peer_open_with(self, &config);
  config.max_writers = 7; /* of a share that is new alone */
  assert_int_equal(open_further(self, &config), MS_EDENIED);
  config.readonly = true;
  assert_int_equal(open_further(self, &config), MS_OK);
  config.readonly = false;
  ms_receipt *receipt = NULL;
  ms_error error;
  assert_int_equal(ms_share_set_max_writers(first, 0, &receipt, &error), MS_OK);
  assert_int_equal(finish(receipt, &error), MS_OK);
  assert_int_equal(open_further(self, &config), MS_OK);
}

static bool is_away(void *ud) { return int_at(ud, "mark") == -1; }

static void test_what_has_a_time_to_live_goes_when_it_is_over(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self), *peer = peer_open(self);
  ms_error error;
  assert_int_equal(assign(peer, "mark", 5, 50, &error), MS_OK);
  assert_int_equal(assign(peer, "kept", 6, 50, &error), MS_OK);
  assert_int_equal(assign(peer, "kept", 7, 0, &error), MS_OK);
  assert_true(scene_eventually(self, is_away, peer));
  assert_true(scene_eventually(self, is_away, host));
  assert_int_equal(int_at(host, "kept"), 7);
  ms_path *kept = pattern_of("kept");
  assert_int_equal(ms_share_expire(peer, NULL, 5, NULL, &error), MS_EARGUMENT);
  assert_int_equal(ms_share_expire(peer, kept, 20, NULL, &error), MS_OK);
  expectation gone = {host, "kept", -1};
  assert_true(scene_eventually(self, expected, &gone));
  ms_write write;
  ms_write_init(&write);
  write.path = kept;
  write.op = MS_OP_UNSET;
  write.ttl_ms = 5;
  assert_int_equal(ms_share_write(peer, &write, NULL, &error), MS_EARGUMENT);
  ms_path_release(kept);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCENE_TEST(test_role_may_write_where_it_was_granted_and_others_may_not),
      SCENE_TEST(test_roles_show_in_the_list_of_peers),
      SCENE_TEST(test_roles_have_limits),
      SCENE_TEST(test_no_more_than_max_writers_get_in_to_write),
      SCENE_TEST(test_what_has_a_time_to_live_goes_when_it_is_over),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
