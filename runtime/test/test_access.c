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

/* ----- rules */

static void test_schema_holds_at_the_host_and_at_the_next_one(void **state) {
  scene *self = *state;
  ms_share *host = peer_open(self), *peer = peer_open(self);
  ms_receipt *receipt = NULL;
  ms_error error;
  const char *text = "{\"n\": {\"type\": \"integer\", \"max\": 10}}";
  const ms_value *schema = NULL, *bad = NULL;
  assert_int_equal(ms_value_from_json(NULL, text, strlen(text), &schema, &error), MS_OK);
  assert_int_equal(assign(peer, "n", 11, -1, &error), MS_OK);
  assert_int_equal(ms_share_set_schema(peer, schema, &receipt, &error), MS_OK);
  assert_int_equal(finish(receipt, &error), MS_EDENIED); /* the document does not fit */
  assert_non_null(strstr(error.message, "\"n\" is 11: at most 10"));
  assert_int_equal(assign(peer, "n", 10, -1, &error), MS_OK);
  assert_int_equal(ms_share_set_schema(peer, schema, &receipt, &error), MS_OK);
  assert_int_equal(finish(receipt, &error), MS_OK);
  assert_int_equal(assign(peer, "n", 11, -1, &error), MS_EDENIED);
  assert_int_equal(assign(host, "n", 11, -1, &error), MS_EDENIED);
  assert_int_equal(assign(host, "n", 9, -1, &error), MS_OK);
  assert_int_equal(ms_share_close(host, PATIENCE_MS), MS_OK);
  assert_int_equal(assign(peer, "n", 12, -1, &error), MS_EDENIED);
  assert_int_equal(ms_value_from_json(NULL, "{\"n\":{\"x\":1}}", 13, &bad, &error),
                   MS_OK);
  assert_int_equal(ms_share_set_schema(peer, bad, NULL, &error), MS_EARGUMENT);
  assert_int_equal(ms_share_set_schema(peer, NULL, &receipt, &error), MS_OK);
  assert_int_equal(finish(receipt, &error), MS_OK);
  assert_int_equal(assign(peer, "n", 12, -1, &error), MS_OK);
  ms_value_release(schema);
  ms_value_release(bad);
}

/* Rules are a number: no place below "n" may hold more. */
typedef struct limit {
  ms_rules *rules;
  int64_t most;
  bool is_broken;
} limit;

static int limits_alive;

static void look_at(void *ud, const ms_change *change) {
  limit *self = ud;
  int64_t number = 0;
  if (change->new_value != NULL && ms_value_to_int(change->new_value, &number) == MS_OK &&
      number > self->most) {
    self->is_broken = true;
  }
}

static ms_status load_limit(void *ud, const char *source, size_t length, void **rules,
                            ms_error *error) {
  (void)ud;
  if (length == 0 || source[0] < '0' || source[0] > '9') {
    error->status = MS_EARGUMENT;
    snprintf(error->message, sizeof error->message, "no number: %.20s", source);
    return MS_EARGUMENT;
  }
  limit *self = calloc(1, sizeof *self);
  ms_path *pattern = pattern_of("n.*");
  self->most = strtoll(source, NULL, 10);
  assert_int_equal(ms_rules_new(NULL, &self->rules), MS_OK);
  assert_int_equal(ms_rules_add(self->rules, pattern, look_at, self), MS_OK);
  ms_path_release(pattern);
  limits_alive++;
  *rules = self;
  return MS_OK;
}

static ms_status check_limit(void *rules, const ms_attempt *attempt, ms_error *error) {
  limit *self = rules;
  self->is_broken = false;
  assert_int_equal(ms_rules_run(self->rules, attempt), MS_OK);
  if (!self->is_broken) return MS_OK;
  error->status = MS_EDENIED;
  snprintf(error->message, sizeof error->message, "more than %d", (int)self->most);
  return MS_EDENIED;
}

static void unload_limit(void *rules) {
  limit *self = rules;
  ms_rules_free(self->rules);
  free(self);
  limits_alive--;
}

static const ms_validator LIMITS = {load_limit, check_limit, unload_limit, NULL};

static ms_status set_rules(ms_share *share, const char *source, ms_error *error) {
  ms_receipt *receipt = NULL;
  size_t length = source == NULL ? 0 : strlen(source);
  ms_status status = ms_share_set_rules(share, source, length, &receipt, error);
  return status == MS_OK ? finish(receipt, error) : status;
}

static void test_rules_hold_wherever_the_host_is(void **state) {
  scene *self = *state;
  ms_share_config config;
  scene_config(self, &config);
  config.validator = &LIMITS;
  ms_share *host = peer_open_with(self, &config), *heir = peer_open_with(self, &config);
  config.validator = NULL;
  ms_share *other = peer_open_with(self, &config);
  ms_error error;
  assert_int_equal(set_rules(other, "none", &error), MS_EARGUMENT);
  assert_non_null(strstr(error.message, "no number: none"));
  assert_int_equal(set_rules(other, "10", &error), MS_OK);
  assert_int_equal(assign(other, "n.a", 11, -1, &error), MS_EDENIED);
  assert_string_equal(error.message, "more than 10");
  assert_int_equal(assign(host, "n.a", 11, -1, &error), MS_EDENIED);
  assert_int_equal(assign(other, "n.a", 10, -1, &error), MS_OK);
  assert_int_equal(set_rules(other, "5", &error), MS_EDENIED); /* n.a does not fit */
  assert_int_equal(assign(other, "n.a", 5, -1, &error), MS_OK);
  assert_int_equal(set_rules(other, "5", &error), MS_OK);
  assert_int_equal(ms_share_close(host, PATIENCE_MS), MS_OK);
  assert_int_equal(assign(other, "n.a", 6, -1, &error), MS_EDENIED);
  assert_true(info_of(heir).state == MS_SHARE_HOST);
  assert_int_equal(set_rules(other, NULL, &error), MS_OK);
  assert_int_equal(assign(other, "n.a", 6, -1, &error), MS_OK);
  assert_int_equal(ms_share_close(heir, PATIENCE_MS), MS_OK);
  assert_int_equal(limits_alive, 0);
}

static bool is_waiting(void *ud) { return info_of(ud).state == MS_SHARE_WAITING; }

static void test_who_cannot_run_the_rules_does_not_host(void **state) {
  scene *self = *state;
  ms_share_config config;
  scene_config(self, &config);
  ms_share *plain = peer_open_with(self, &config);
  ms_error error;
  assert_int_equal(set_rules(plain, "10", &error), MS_EDENIED);
  assert_int_equal(ms_share_close(plain, PATIENCE_MS), MS_OK);
  config.validator = &LIMITS;
  ms_share *host = peer_open_with(self, &config);
  config.validator = NULL;
  ms_share *other = peer_open_with(self, &config);
  assert_int_equal(set_rules(other, "10", &error), MS_OK);
  assert_int_equal(ms_share_close(host, PATIENCE_MS), MS_OK);
  assert_true(scene_eventually(self, is_waiting, other));
  config.validator = &LIMITS;
  ms_share *heir = peer_open_with(self, &config);
  (void)heir;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      SCENE_TEST(test_role_may_write_where_it_was_granted_and_others_may_not),
      SCENE_TEST(test_roles_show_in_the_list_of_peers),
      SCENE_TEST(test_roles_have_limits),
      SCENE_TEST(test_no_more_than_max_writers_get_in_to_write),
      SCENE_TEST(test_what_has_a_time_to_live_goes_when_it_is_over),
      SCENE_TEST(test_schema_holds_at_the_host_and_at_the_next_one),
      SCENE_TEST(test_rules_hold_wherever_the_host_is),
      SCENE_TEST(test_who_cannot_run_the_rules_does_not_host),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
