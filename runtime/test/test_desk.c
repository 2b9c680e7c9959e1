/* The desk: locks in the order of asking, bound paths, presence, and what goes with a peer. */
#include "desk.h"

#include "replica_support.h"
#include "update_support.h"

typedef struct table {
  const ms_alloc *alloc;
  const ms_value *desk; /* retained */
  uint64_t version;
} table;

static table table_new(const ms_alloc *alloc) {
  return (table){.alloc = alloc, .desk = ms_value_empty()};
}

static void table_fini(table *self) { ms_value_release(self->desk); }

/* The update is taken. */
static void note(table *self, msi_entry_kind kind, uint64_t origin, uint64_t number,
                 ms_update *update) {
  const ms_value *after = NULL;
  msi_entry entry = {.alloc = self->alloc,
                     .kind = kind,
                     .version = ++self->version,
                     .patch = {.origin = origin, .number = number, .update = update}};
  assert_int_equal(msi_desk_note(self->alloc, self->desk, &entry, &after), MS_OK);
  assert_true(msi_desk_is_sound(after));
  ms_value_release(self->desk);
  self->desk = after;
  ms_update_release(update);
}

static ms_update *lock_of(const ms_alloc *alloc, const char *name) {
  ms_update *update = NULL;
  assert_int_equal(msi_update_lock(alloc, name, strlen(name), &update, NULL), MS_OK);
  return update;
}

static ms_update *unlock_of(const ms_alloc *alloc, const char *name, uint64_t number) {
  ms_update *update = NULL;
  assert_int_equal(msi_update_unlock(alloc, name, strlen(name), number, &update, NULL),
                   MS_OK);
  return update;
}

static ms_update *bind_of(const ms_alloc *alloc, const char *text, bool binds) {
  ms_path *path = rs_path(alloc, text);
  ms_update *update = NULL;
  assert_int_equal(msi_update_bind(alloc, path, binds, &update, NULL), MS_OK);
  ms_path_release(path);
  return update;
}

static void lock(table *self, uint64_t peer, uint64_t number) {
  note(self, MSI_ENTRY_PATCH, peer, number, lock_of(self->alloc, "a"));
}

static void unlock(table *self, uint64_t peer, uint64_t number) {
  note(self, MSI_ENTRY_PATCH, peer, number + 100, unlock_of(self->alloc, "a", number));
}

static msi_waiter waiter_at(const table *self, size_t place) {
  msi_waiter waiter = {0};
  assert_true(msi_desk_waiter(self->desk, "a", 1, place, &waiter));
  return waiter;
}

static void assert_waiter(const table *self, size_t place, uint64_t peer, uint64_t number,
                          uint64_t fence) {
  msi_waiter waiter = waiter_at(self, place);
  assert_int_equal(waiter.peer, peer);
  assert_int_equal(waiter.number, number);
  assert_int_equal(waiter.fence, fence);
}

static uint64_t owner(const table *self, const char *text) {
  ms_path *path = rs_path(self->alloc, text);
  uint64_t peer = 999;
  assert_int_equal(msi_desk_owner(self->alloc, self->desk, path, &peer), MS_OK);
  ms_path_release(path);
  return peer;
}

/* ----- locks */

static void test_locks_go_to_who_asks_first(void **state) {
  (void)state;
  table self = table_new(msi_alloc_resolve(NULL));
  lock(&self, 7, 1);
  lock(&self, 8, 1);
  lock(&self, 7, 2);
  assert_int_equal(msi_desk_queue(self.desk, "a", 1), 3);
  assert_waiter(&self, 0, 7, 1, 1);
  assert_waiter(&self, 1, 8, 1, 0);
  assert_true(msi_desk_holds(self.desk, "a", 1, 7, 1));
  assert_false(msi_desk_holds(self.desk, "a", 1, 8, 0));
  unlock(&self, 8, 1); /* who waits may leave */
  assert_waiter(&self, 1, 7, 2, 0);
  unlock(&self, 8, 9); /* what is not there changes nothing */
  unlock(&self, 7, 1);
  assert_waiter(&self, 0, 7, 2, 6);
  assert_false(msi_desk_holds(self.desk, "a", 1, 7, 1));
  unlock(&self, 7, 2);
  assert_int_equal(ms_value_type(self.desk), MS_EMPTY);
  table_fini(&self);
}

static void test_a_request_is_one_place_in_the_queue(void **state) {
  (void)state;
  table self = table_new(msi_alloc_resolve(NULL));
  ms_update *parts[] = {lock_of(NULL, "a"), lock_of(NULL, "a"), lock_of(NULL, "b")};
  ms_update *update = NULL;
  assert_int_equal(msi_update_concat(NULL, (const ms_update *const *)parts, 3, &update),
                   MS_OK);
  for (size_t i = 0; i < 3; i++) ms_update_release(parts[i]);
  note(&self, MSI_ENTRY_PATCH, 7, 4, update);
  assert_int_equal(msi_desk_queue(self.desk, "a", 1), 1);
  assert_int_equal(msi_desk_queue(self.desk, "b", 1), 1);
  size_t place = 9;
  msi_waiter found;
  assert_true(msi_desk_find(self.desk, "b", 1, 7, 4, &place, &found));
  assert_int_equal(place, 0);
  assert_int_equal(found.fence, 1);
  assert_false(msi_desk_find(self.desk, "b", 1, 8, 4, &place, &found));
  table_fini(&self);
}

static void test_a_departure_hands_locks_over(void **state) {
  (void)state;
  table self = table_new(msi_alloc_resolve(NULL));
  lock(&self, 7, 1);
  lock(&self, 8, 1);
  lock(&self, 7, 2);
  assert_true(msi_desk_awaits(self.desk, 7));
  note(&self, MSI_ENTRY_RETIRE, 7, 0, NULL);
  assert_int_equal(msi_desk_queue(self.desk, "a", 1), 1);
  assert_waiter(&self, 0, 8, 1, 4);
  assert_false(msi_desk_awaits(self.desk, 7));
  assert_true(msi_desk_awaits(self.desk, 8));
  note(&self, MSI_ENTRY_RETIRE, 8, 0, NULL);
  assert_int_equal(ms_value_type(self.desk), MS_EMPTY);
  table_fini(&self);
}

static ms_status ask(const table *self, uint64_t origin, ms_update *update) {
  msi_patch patch = {.origin = origin, .number = 1, .update = update};
  ms_error error;
  ms_status st = msi_desk_ask(self->desk, &patch, &error);
  ms_update_release(update);
  return st;
}

static void test_a_fence_holds_for_its_holder_only(void **state) {
  (void)state;
  table self = table_new(msi_alloc_resolve(NULL));
  ms_update *update = NULL;
  lock(&self, 7, 1);
  lock(&self, 8, 1);
  assert_int_equal(msi_update_fence(NULL, "a", 1, 1, &update, NULL), MS_OK);
  assert_int_equal(ask(&self, 7, ms_update_retain(update)), MS_OK);
  assert_int_equal(ask(&self, 8, ms_update_retain(update)), MS_EDENIED);
  unlock(&self, 7, 1);
  assert_int_equal(ask(&self, 7, update), MS_EDENIED);
  assert_int_equal(msi_update_fence(NULL, "a", 1, 3, &update, NULL), MS_OK);
  assert_int_equal(ask(&self, 8, update), MS_OK);
  table_fini(&self);
}

/* ----- bound paths */

static void test_a_path_is_owned_by_who_bound_it_last(void **state) {
  (void)state;
  table self = table_new(msi_alloc_resolve(NULL));
  note(&self, MSI_ENTRY_PATCH, 7, 1, bind_of(NULL, "jobs.1", true));
  note(&self, MSI_ENTRY_PATCH, 7, 2, bind_of(NULL, "jobs.2", true));
  note(&self, MSI_ENTRY_PATCH, 7, 3, bind_of(NULL, "jobs.2", true));
  assert_int_equal(msi_desk_owned(self.desk, 7), 2);
  note(&self, MSI_ENTRY_PATCH, 8, 1, bind_of(NULL, "jobs.1", true));
  assert_int_equal(owner(&self, "jobs.1"), 8);
  assert_int_equal(owner(&self, "jobs.2"), 7);
  assert_int_equal(owner(&self, "jobs.3"), 0);
  note(&self, MSI_ENTRY_PATCH, 7, 4, bind_of(NULL, "jobs.1", false)); /* not its own */
  assert_int_equal(owner(&self, "jobs.1"), 8);
  note(&self, MSI_ENTRY_RETIRE, 7, 0, NULL);
  assert_int_equal(owner(&self, "jobs.2"), 0);
  note(&self, MSI_ENTRY_PATCH, 8, 2, bind_of(NULL, "jobs.1", false));
  assert_int_equal(ms_value_type(self.desk), MS_EMPTY);
  table_fini(&self);
}

static void test_a_departure_takes_away_what_is_there(void **state) {
  (void)state;
  table self = table_new(msi_alloc_resolve(NULL));
  const ms_value *root = mst_json(
      "{\"jobs\": {\"1\": 5, \"3\": 6}, \"@peers\": {\"7\": {\"x\": 1}, \"8\": 2}}");
  const ms_value *after = NULL;
  ms_update *update = NULL;
  note(&self, MSI_ENTRY_PATCH, 7, 1, bind_of(NULL, "jobs.1", true));
  note(&self, MSI_ENTRY_PATCH, 7, 2, bind_of(NULL, "jobs.2", true));
  assert_int_equal(msi_desk_departure(self.alloc, self.desk, root, 7, &update), MS_OK);
  assert_int_equal(update->op_count, 2);
  assert_int_equal(ms_update_apply(update, root, 0, &after, NULL), MS_OK);
  const ms_value *wanted = mst_json("{\"jobs\": {\"3\": 6}, \"@peers\": {\"8\": 2}}");
  assert_true(ms_value_equal(after, wanted));
  ms_value_release(wanted);
  ms_value_release(after);
  ms_update_release(update);
  assert_int_equal(msi_desk_departure(self.alloc, self.desk, root, 9, &update), MS_OK);
  assert_null(update);
  ms_value_release(root);
  table_fini(&self);
}

static void test_limits_name_what_there_is_too_much_of(void **state) {
  (void)state;
  table self = table_new(msi_alloc_resolve(NULL));
  ms_update *update = lock_of(NULL, "a");
  ms_error error = {MS_OK, ""};
  const ms_value *before = ms_value_empty();
  for (uint64_t i = 1; i <= MSI_QUEUE_MAX; i++) lock(&self, 7, i);
  msi_patch patch = {.origin = 7, .number = 1, .update = update};
  assert_int_equal(msi_desk_limit(before, self.desk, &patch, &error), MS_OK);
  lock(&self, 7, MSI_QUEUE_MAX + 1);
  assert_int_equal(msi_desk_limit(before, self.desk, &patch, &error), MS_ELIMIT);
  assert_non_null(strstr(error.message, "wait for lock \"a\""));
  ms_update_release(update);
  ms_path *path = NULL;
  char long_key[MS_KEY_MAX];
  memset(long_key, 'k', sizeof long_key);
  ms_key key = {long_key, sizeof long_key};
  assert_int_equal(ms_path_new(NULL, &key, 1, &path, NULL), MS_OK);
  assert_int_equal(msi_update_bind(NULL, path, true, &update, NULL), MS_OK);
  ms_path_release(path);
  patch.update = update;
  assert_int_equal(msi_desk_limit(before, before, &patch, &error), MS_ELIMIT);
  assert_non_null(strstr(error.message, "bound path"));
  ms_update_release(update);
  table_fini(&self);
}

/* ----- presence */

static ms_status ask_presence(const char *json, uint64_t origin) {
  const ms_value *root =
      mst_json("{\"a\": 1, \"@peers\": {\"7\": {\"x\": 1}, \"8\": 2}}");
  const ms_value *document = mst_json(json);
  ms_update *update = NULL;
  ms_error error;
  ms_status st = ms_value_get(document, "replace", 7) != NULL
                     ? msi_update_replace(NULL, ms_value_get(document, "replace", 7),
                                          &update, &error)
                     : ms_update_parse(NULL, document, NULL, &update, &error);
  assert_int_equal(st, MS_OK);
  msi_patch patch = {.origin = origin, .number = 1, .update = update};
  st = msi_desk_ask_presence(msi_alloc_resolve(NULL), root, &patch, &error);
  ms_update_release(update);
  ms_value_release(document);
  ms_value_release(root);
  return st;
}

static void test_each_peer_writes_to_its_own_place(void **state) {
  (void)state;
  static const struct {
    const char *json;
    ms_status status; /* for peer 8 */
  } cases[] = {
      {"{\"$set\": {\"@peers.8.hp\": 1}}", MS_OK},
      {"{\"$set\": {\"@peers.8\": 1, \"a\": 2}}", MS_OK},
      {"{\"$unset\": {\"@peers.8\": 1}}", MS_OK},
      {"{\"$set\": {\"peers.7\": 1}}", MS_OK},
      {"{\"$set\": {\"@peers.7.hp\": 1}}", MS_EDENIED},
      {"{\"$set\": {\"@peers.80\": 1}}", MS_EDENIED},
      {"{\"$unset\": {\"@peers\": 1}}", MS_EDENIED},
      {"{\"$rename\": {\"a\": \"@peers.7.y\"}}", MS_EDENIED},
      {"{\"$rename\": {\"@peers.7\": \"b\"}}", MS_EDENIED},
      {"{\"replace\": {\"a\": 2}}", MS_EDENIED},
      {"{\"replace\": {\"a\": 2, \"@peers\": {\"7\": {\"x\": 1}}}}", MS_OK},
      {"{\"replace\": {\"@peers\": {\"7\": {\"x\": 1}, \"8\": 5}}}", MS_OK},
      {"{\"replace\": {\"@peers\": {\"7\": {\"x\": 2}, \"8\": 2}}}", MS_EDENIED},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(ask_presence(cases[i].json, 8), cases[i].status);
  }
}

static void test_who_binds_a_place_of_another_is_denied(void **state) {
  (void)state;
  ms_update *update = bind_of(NULL, "@peers.7.x", true);
  msi_patch patch = {.origin = 8, .number = 1, .update = update};
  ms_error error;
  assert_int_equal(
      msi_desk_ask_presence(msi_alloc_resolve(NULL), ms_value_empty(), &patch, &error),
      MS_EDENIED);
  patch.origin = 7;
  assert_int_equal(
      msi_desk_ask_presence(msi_alloc_resolve(NULL), ms_value_empty(), &patch, &error),
      MS_OK);
  ms_update_release(update);
}

/* ----- operations */

static ms_status decode(const char *json) {
  const ms_value *value = mst_json(json), *bytes = NULL;
  const char *data;
  size_t length;
  ms_update *update = NULL;
  assert_int_equal(ms_value_encode(NULL, value, &bytes), MS_OK);
  assert_int_equal(ms_value_to_string(bytes, &data, &length), MS_OK);
  ms_status st = msi_update_decode(NULL, (const uint8_t *)data, length, &update, NULL);
  if (st == MS_OK) ms_update_release(update);
  ms_value_release(bytes);
  ms_value_release(value);
  return st;
}

static void test_malformed_operations_are_refused(void **state) {
  (void)state;
  assert_int_equal(decode("[[[21, [], \"a\"], [1, [\"x\"], 1], [21, [], \"b\"]]]"),
                   MS_OK);
  assert_int_equal(decode("[[[22, [], [\"a\", 1]], [23, [], [\"a\", 4]]]]"), MS_OK);
  assert_int_equal(decode("[[[24, [\"x\"], null], [25, [\"y\", \"z\"], null]]]"), MS_OK);
  static const char *const bad[] = {"[[[21, [], \"\"]]]",
                                    "[[[21, [], 1]]]",
                                    "[[[21, [\"x\"], \"a\"]]]",
                                    "[[[22, [], \"a\"]]]",
                                    "[[[22, [], [\"a\", 0]]]]",
                                    "[[[22, [], [\"a\", 1, 2]]]]",
                                    "[[[23, [], [\"a\", \"1\"]]]]",
                                    "[[[24, [], null]]]",
                                    "[[[24, [\"x\"], 1]]]",
                                    "[[[25, [\"x\"], null, [null]]]]",
                                    "[[[21, [], \"a\"], [12, [\"x\"], [\"y\"]]]]"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_int_not_equal(decode(bad[i]), MS_OK);
  }
}

static void test_a_desk_of_another_shape_is_not_sound(void **state) {
  (void)state;
  static const char *const bad[] = {"[]",
                                    "{}",
                                    "{\"locks\": {}}",
                                    "{\"other\": {\"a\": 1}}",
                                    "{\"locks\": {\"a\": []}}",
                                    "{\"locks\": {\"a\": [[1, 1, 0]]}}",
                                    "{\"locks\": {\"a\": [[1, 1, 2], [2, 1, 3]]}}",
                                    "{\"locks\": {\"a\": [[1, 1]]}}",
                                    "{\"bound\": {\"a\": 0}}",
                                    "{\"owned\": {\"7\": \"1\"}}"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    const ms_value *desk = mst_json(bad[i]);
    msi_waiter waiter;
    size_t place;
    assert_false(msi_desk_is_sound(desk));
    (void)msi_desk_waiter(desk, "a", 1, 0, &waiter); /* reading does no harm */
    (void)msi_desk_find(desk, "a", 1, 1, 1, &place, &waiter);
    (void)msi_desk_awaits(desk, 1);
    (void)msi_desk_owned(desk, 7);
    ms_value_release(desk);
  }
  const ms_value *desk = mst_json("{\"locks\": {\"a\": [[1, 1, 2], [2, 1, 0]]}}");
  assert_true(msi_desk_is_sound(desk));
  ms_value_release(desk);
}

static void test_messages_say_whom_they_are_for(void **state) {
  (void)state;
  msi_told told;
  ms_update *update = NULL;
  assert_int_equal(msi_update_call(NULL, 7, "f", 1, ms_value_bool(true), &update, NULL),
                   MS_OK);
  assert_true(msi_op_told(update->ops, &told));
  assert_int_equal(told.peer, 7);
  assert_true(told.value == ms_value_bool(true));
  assert_true(msi_update_tells(update, 7));
  assert_false(msi_update_tells(update, 8));
  ms_update_release(update);
  assert_int_equal(msi_update_reply(NULL, 7, 12, false, ms_value_null(), &update, NULL),
                   MS_OK);
  assert_true(msi_op_told(update->ops, &told));
  assert_int_equal(told.number, 12);
  assert_false(told.ok);
  ms_update_release(update);
  assert_int_equal(msi_update_emit(NULL, "e", 1, ms_value_null(), &update, NULL), MS_OK);
  assert_true(msi_update_tells(update, 8));
  ms_update_release(update);
  assert_int_equal(msi_update_emit(NULL, "", 0, ms_value_null(), &update, NULL),
                   MS_EARGUMENT);
  static const char *const bad[] = {
      "[[[28, [], [\"e\"]]]]", "[[[28, [\"x\"], [\"e\", 1]]]]",
      "[[[29, [], [0, \"f\", 1]]]]", "[[[30, [], [7, 0, true, 1]]]]",
      "[[[30, [], [7, 1, 1, 1]]]]"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    assert_int_not_equal(decode(bad[i]), MS_OK);
  }
}

static void test_handlers_stand_in_the_order_of_saying_so(void **state) {
  (void)state;
  table self = table_new(msi_alloc_resolve(NULL));
  for (uint64_t peer = 7; peer <= 9; peer++) {
    ms_update *update = NULL;
    assert_int_equal(msi_update_named(NULL, MSI_CODE_HANDLE, "f", 1, &update, NULL),
                     MS_OK);
    note(&self, MSI_ENTRY_PATCH, peer, 1, ms_update_retain(update));
    note(&self, MSI_ENTRY_PATCH, peer, 2, update); /* once is enough */
  }
  assert_int_equal(msi_desk_handlers(self.desk, "f", 1), 3);
  note(&self, MSI_ENTRY_RETIRE, 7, 0, NULL);
  ms_update *update = NULL;
  assert_int_equal(msi_update_named(NULL, MSI_CODE_UNHANDLE, "f", 1, &update, NULL),
                   MS_OK);
  note(&self, MSI_ENTRY_PATCH, 9, 3, update);
  assert_int_equal(msi_desk_handlers(self.desk, "f", 1), 1);
  assert_int_equal(msi_desk_handler(self.desk, "f", 1, 0), 8);
  note(&self, MSI_ENTRY_RETIRE, 8, 0, NULL);
  assert_int_equal(ms_value_type(self.desk), MS_EMPTY);
  table_fini(&self);
}

/* ----- roles */

static void grant(table *self, const char *role, const char *pattern, bool grants) {
  ms_update *update = NULL;
  assert_int_equal(msi_update_grant(NULL, role, strlen(role), pattern, strlen(pattern),
                                    grants, &update, NULL),
                   MS_OK);
  note(self, MSI_ENTRY_PATCH, 7, 1, update);
}

static ms_status ask_role(const table *self, const char *roles, const char *json) {
  const ms_value *document = mst_json(json);
  ms_update *update = NULL;
  msi_member_info member;
  ms_error error = {MS_OK, ""};
  memset(&member, 0, sizeof member);
  assert_int_equal(msi_member_set_roles(&member, roles), MS_OK);
  assert_int_equal(ms_update_parse(NULL, document, NULL, &update, &error), MS_OK);
  msi_patch patch = {.origin = 7, .number = 1, .update = update};
  ms_status st = msi_desk_ask_roles(self->desk, &patch, &member, &error);
  if (st != MS_OK) assert_non_null(strstr(error.message, "only role \""));
  ms_update_release(update);
  ms_value_release(document);
  return st;
}

static void test_granted_places_are_for_their_roles(void **state) {
  (void)state;
  static const struct {
    const char *roles, *json;
    ms_status status;
  } cases[] = {
      {"\0", "{\"$set\": {\"free\": 1, \"playersx.a\": 1}}", MS_OK},
      {"\0", "{\"$set\": {\"players.a.hp\": 1}}", MS_EDENIED},
      {"other\0", "{\"$inc\": {\"players.a\": 1}}", MS_EDENIED},
      {"other\0zone\0", "{\"$set\": {\"players.a.hp\": 1}}", MS_OK},
      {"zone\0", "{\"$set\": {\"players\": {}}}", MS_OK},
      {"other\0", "{\"$unset\": {\"players\": 1}}", MS_EDENIED},
      {"zone\0", "{\"$set\": {\"shop.b.price\": 1}}", MS_EDENIED},
      {"gm\0", "{\"$set\": {\"shop.b.price\": 1}}", MS_OK},
      {"gm\0", "{\"$set\": {\"shop.b.name\": 1}}", MS_OK},
      {"zone\0", "{\"$set\": {\"shop\": {}}}", MS_EDENIED},
      {"zone\0gm\0", "{\"$rename\": {\"players.a\": \"shop.b\"}}", MS_OK},
      {"zone\0", "{\"$rename\": {\"players.a\": \"shop.b\"}}", MS_EDENIED},
  };
  table self = table_new(msi_alloc_resolve(NULL));
  grant(&self, "zone", "players.**", true);
  grant(&self, "gm", "shop.*.price", true);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    assert_int_equal(ask_role(&self, cases[i].roles, cases[i].json), cases[i].status);
  }
  grant(&self, "other", "players.**", true); /* a second role for the same places */
  assert_int_equal(ask_role(&self, "other\0", "{\"$unset\": {\"players\": 1}}"), MS_OK);
  grant(&self, "zone", "players.**", false);
  grant(&self, "other", "players.**", false);
  grant(&self, "gm", "shop.*.price", false);
  assert_int_equal(ask_role(&self, "\0", cases[1].json), MS_OK);
  assert_int_equal(ms_value_type(self.desk), MS_EMPTY);
  table_fini(&self);
}

static void test_roles_are_few_and_short(void **state) {
  (void)state;
  msi_member_info member;
  char many[3 * MS_ROLES_MAX + 4] = "", large[MS_ROLE_MAX + 3] = "";
  memset(&member, 0, sizeof member);
  for (size_t i = 0; i < MS_ROLES_MAX; i++) many[2 * i] = (char)('a' + i);
  assert_int_equal(msi_member_set_roles(&member, many), MS_OK);
  assert_true(msi_member_has_role(&member, "p", 1));
  assert_false(msi_member_has_role(&member, "q", 1));
  many[2 * MS_ROLES_MAX] = 'z';
  assert_int_equal(msi_member_set_roles(&member, many), MS_ELIMIT);
  assert_true(msi_member_has_role(&member, "p", 1)); /* as it was */
  memset(large, 'x', MS_ROLE_MAX);
  assert_int_equal(msi_member_set_roles(&member, large), MS_OK);
  large[MS_ROLE_MAX] = 'x';
  assert_int_equal(msi_member_set_roles(&member, large), MS_ELIMIT);
  assert_int_equal(msi_member_set_roles(&member, NULL), MS_OK);
  assert_false(msi_member_has_role(&member, "p", 1));
}

static void test_the_count_of_writers_stands_on_the_desk(void **state) {
  (void)state;
  table self = table_new(msi_alloc_resolve(NULL));
  ms_update *update = NULL;
  assert_int_equal(msi_desk_writers(self.desk), 0);
  assert_int_equal(msi_update_writers(NULL, 3, &update, NULL), MS_OK);
  note(&self, MSI_ENTRY_PATCH, 7, 1, update);
  assert_int_equal(msi_desk_writers(self.desk), 3);
  assert_int_equal(msi_update_writers(NULL, 0, &update, NULL), MS_OK);
  note(&self, MSI_ENTRY_PATCH, 7, 2, update);
  assert_int_equal(ms_value_type(self.desk), MS_EMPTY);
  table_fini(&self);
}

/* ----- without memory */

static void make_all(table *self) {
  lock(self, 7, 1);
  lock(self, 8, 1);
  note(self, MSI_ENTRY_PATCH, 7, 2, bind_of(self->alloc, "jobs.1", true));
}

static void test_the_desk_survives_a_lack_of_memory(void **state) {
  (void)state;
  failing_alloc memory;
  failing_alloc_init(&memory);
  table self = table_new(&memory.alloc);
  make_all(&self);
  const ms_value *root = NULL, *one = NULL;
  assert_int_equal(
      ms_value_from_json(&memory.alloc, "{\"jobs\": {\"1\": 1}}", 18, &root, NULL),
      MS_OK);
  msi_entry entry = {.alloc = self.alloc,
                     .kind = MSI_ENTRY_RETIRE,
                     .version = 9,
                     .patch = {.origin = 7}};
  ms_status st = MS_ENOMEM;
  for (uint64_t i = 0; st == MS_ENOMEM; i++) {
    failing_alloc_fail_at(&memory, i);
    st = msi_desk_note(self.alloc, self.desk, &entry, &one);
    failing_alloc_never_fail(&memory);
    assert_waiter(&self, 0, 7, 1, 1);
    assert_int_equal(owner(&self, "jobs.1"), 7);
  }
  assert_int_equal(st, MS_OK);
  ms_value_release(one);
  ms_update *update = NULL;
  st = MS_ENOMEM;
  for (uint64_t i = 0; st == MS_ENOMEM; i++) {
    failing_alloc_fail_at(&memory, i);
    st = msi_desk_departure(self.alloc, self.desk, root, 7, &update);
    failing_alloc_never_fail(&memory);
  }
  assert_int_equal(st, MS_OK);
  assert_int_equal(update->op_count, 1);
  ms_update_release(update);
  ms_value_release(root);
  table_fini(&self);
  assert_true(failing_alloc_is_clean(&memory));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_locks_go_to_who_asks_first),
      cmocka_unit_test(test_a_request_is_one_place_in_the_queue),
      cmocka_unit_test(test_a_departure_hands_locks_over),
      cmocka_unit_test(test_a_fence_holds_for_its_holder_only),
      cmocka_unit_test(test_a_path_is_owned_by_who_bound_it_last),
      cmocka_unit_test(test_a_departure_takes_away_what_is_there),
      cmocka_unit_test(test_limits_name_what_there_is_too_much_of),
      cmocka_unit_test(test_each_peer_writes_to_its_own_place),
      cmocka_unit_test(test_who_binds_a_place_of_another_is_denied),
      cmocka_unit_test(test_malformed_operations_are_refused),
      cmocka_unit_test(test_a_desk_of_another_shape_is_not_sound),
      cmocka_unit_test(test_messages_say_whom_they_are_for),
      cmocka_unit_test(test_handlers_stand_in_the_order_of_saying_so),
      cmocka_unit_test(test_granted_places_are_for_their_roles),
      cmocka_unit_test(test_roles_are_few_and_short),
      cmocka_unit_test(test_the_count_of_writers_stands_on_the_desk),
      cmocka_unit_test(test_the_desk_survives_a_lack_of_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
