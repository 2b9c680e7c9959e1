/*
 * A program in C with Lua states: what ms_lua_push promises, and what the binding does
 * when Lua has no memory. Two runtimes in one process are two peers.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "memshare_lua.h"

/* ----------------------------------------------------------------- support */

typedef struct world {
  char dir[64];
  ms_runtime *runtimes[2];
  ms_share *shares[2];
} world;

static void open_peer(world *self, int i) {
  ms_error error = {MS_OK, ""};
  ms_share_config config;
  ms_share_config_init(&config);
  config.dir = self->dir;
  assert_int_equal(ms_runtime_open(NULL, &self->runtimes[i], &error), MS_OK);
  if (ms_share_open(self->runtimes[i], "embed", &config, &self->shares[i], &error) !=
      MS_OK) {
    fail_msg("%s", error.message);
  }
}

static void open_world(world *self) {
  memset(self, 0, sizeof(*self));
  snprintf(self->dir, sizeof(self->dir), "/tmp/memshare-embed-XXXXXX");
  assert_non_null(mkdtemp(self->dir));
  open_peer(self, 0);
}

static void close_world(world *self) {
  for (int i = 1; i >= 0; i--) {
    ms_share_free(self->shares[i]);
    ms_runtime_close(self->runtimes[i]);
  }
  DIR *dir = opendir(self->dir);
  assert_non_null(dir);
  for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    if (entry->d_name[0] != '.') unlinkat(dirfd(dir), entry->d_name, 0);
  }
  closedir(dir);
  rmdir(self->dir);
}

/* The state's panic would abort; every entry here is protected. */
static lua_State *open_lua(ms_share *share) {
  lua_State *L = luaL_newstate();
  assert_non_null(L);
  luaL_openlibs(L);
  assert_int_equal(ms_lua_push(L, share), MS_OK);
  lua_setglobal(L, "share");
  return L;
}

static void run(lua_State *L, const char *code) {
  if (luaL_dostring(L, code) != LUA_OK) fail_msg("%s", lua_tostring(L, -1));
}

/* Is the global `name` true? */
static bool is_true(lua_State *L, const char *name) {
  lua_getglobal(L, name);
  bool flag = lua_toboolean(L, -1) != 0;
  lua_pop(L, 1);
  return flag;
}

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void poll_both(world *self, int timeout_ms) {
  for (int i = 0; i < 2; i++) {
    if (self->runtimes[i] == NULL) continue;
    assert_int_equal(ms_runtime_poll(self->runtimes[i], timeout_ms, 0, NULL), MS_OK);
  }
}

static void poll_until(world *self, lua_State *L, const char *name) {
  int64_t deadline = now_ms() + 10000;
  while (!is_true(L, name)) {
    if (now_ms() > deadline) fail_msg("%s never became true", name);
    poll_both(self, 5);
  }
}

/* ------------------------------------------------------------------- tests */

static void test_one_poll_of_the_program_serves_the_script(void **test_state) {
  (void)test_state;
  world w;
  open_world(&w);
  lua_State *L = open_lua(w.shares[0]);
  run(L, "share:on('frames', function(new) heard = new == 7 end)"
         "share.data.from_script = true");
  bool flag = false;
  assert_int_equal(ms_share_get_bool(w.shares[0], "from_script", &flag), MS_OK);
  assert_true(flag);
  assert_int_equal(ms_share_set_int(w.shares[0], "frames", 7), MS_OK);
  poll_until(&w, L, "heard");
  lua_close(L);
  close_world(&w);
}

static void test_a_pushed_share_is_the_same_object_each_time(void **test_state) {
  (void)test_state;
  world w;
  open_world(&w);
  lua_State *L = open_lua(w.shares[0]);
  assert_int_equal(ms_lua_push(L, w.shares[0]), MS_OK);
  lua_setglobal(L, "again");
  run(L, "assert(share == again and share.data == again.data)");
  lua_close(L);
  close_world(&w);
}

static void test_closing_the_lua_state_releases_only_its_handle(void **test_state) {
  (void)test_state;
  world w;
  open_world(&w);
  lua_State *L = open_lua(w.shares[0]);
  run(L, "share:on('**', function() error 'too late' end)");
  lua_close(L);
  assert_int_equal(ms_share_set_int(w.shares[0], "x", 1), MS_OK);
  poll_both(&w, 0);
  int64_t x = 0;
  assert_int_equal(ms_share_get_int(w.shares[0], "x", &x), MS_OK);
  assert_int_equal(x, 1);
  close_world(&w);
}

static void
test_a_script_that_closes_leaves_the_share_of_the_program_open(void **test_state) {
  (void)test_state;
  world w;
  open_world(&w);
  lua_State *L = open_lua(w.shares[0]);
  run(L, "share.data.x = 1; share:close();"
         "assert(share:status() == 'closed' and share.data.x == 1);"
         "assert(not pcall(function() share.data.x = 2 end))");
  assert_int_equal(ms_share_set_int(w.shares[0], "x", 3), MS_OK);
  run(L, "assert(share.data.x == 1)");
  lua_close(L);
  close_world(&w);
}

static void
test_the_module_in_that_state_uses_the_runtime_of_the_program(void **test_state) {
  (void)test_state;
  world w;
  open_world(&w);
  lua_State *L = open_lua(w.shares[0]);
  lua_pushstring(L, w.dir);
  lua_setglobal(L, "dir");
  run(L, "core = require 'memshare.core'\n"
         "local other = assert(core.open('other', { x = 1 }, { dir = dir }))\n"
         "assert(other.data.x == 1 and core.fd() == share:pollfd())\n"
         "assert(core.open('embed', nil, { dir = dir }) == share)\n"
         "core.after(0.001, function() fired = true end)");
  poll_until(&w, L, "fired");
  lua_close(L);
  close_world(&w);
}

static void test_errors_of_callbacks_stay_in_lua(void **test_state) {
  (void)test_state;
  world w;
  open_world(&w);
  lua_State *L = open_lua(w.shares[0]);
  run(L, "local core = require 'memshare.core'\n"
         "core.attach { on_error = function(text) traceback = text:find('oops', 1, true) "
         "end }\n"
         "share:on('x', function() error 'oops' end)\n"
         "share:on('x', function() others = true end)\n"
         "share.data.x = 1");
  poll_until(&w, L, "others");
  assert_true(is_true(L, "traceback"));
  lua_close(L);
  close_world(&w);
}

static void test_two_states_share_one_share(void **test_state) {
  (void)test_state;
  world w;
  open_world(&w);
  lua_State *A = open_lua(w.shares[0]);
  lua_State *B = open_lua(w.shares[0]);
  run(A, "share:on('x', function() heard = true end)");
  run(B, "share:on('x', function() heard = true end) share.data.x = 1");
  poll_until(&w, A, "heard");
  poll_until(&w, B, "heard");
  run(A, "assert(share.data.x == 1)");
  lua_close(A);
  run(B, "share.data.x = 2");
  lua_close(B);
  close_world(&w);
}

static void test_polls_of_the_program_resume_tasks_of_all_states(void **test_state) {
  (void)test_state;
  world w;
  open_world(&w);
  lua_State *states[2];
  for (int i = 0; i < 2; i++) {
    states[i] = open_lua(w.shares[0]);
    run(states[i], "local core = require 'memshare.core'\n"
                   "core.go(function()\n"
                   "  core.sleep(0.001)\n"
                   "  coroutine.yield()\n"
                   "  assert(share:inc('n'):wait(10))\n"
                   "  assert(share:wait_for('n', function(n) return n == 2 end, 10))\n"
                   "  done = true\n"
                   "end)\n"
                   "core.go(function() share:wait_for('never', nil, 1000) end)\n"
                   "core.go(function() core.sleep(1000) end)");
  }
  poll_until(&w, states[0], "done");
  poll_until(&w, states[1], "done");
  /* One ends with tasks that wait; the others go on. */
  lua_close(states[0]);
  run(states[1], "done = false\n"
                 "require 'memshare.core'.go(function()\n"
                 "  require 'memshare.core'.sleep(0.001)\n"
                 "  done = true\n"
                 "end)");
  poll_until(&w, states[1], "done");
  lua_close(states[1]);
  assert_int_equal(ms_runtime_poll(w.runtimes[0], 0, 0, NULL), MS_OK);
  close_world(&w);
}

static void test_a_lua_state_that_ends_waits_for_its_patches(void **test_state) {
  (void)test_state;
  world w;
  open_world(&w);
  for (int i = 1; i <= 20; i++) {
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    luaL_requiref(L, "memshare.core", luaopen_memshare_core, 0);
    lua_setglobal(L, "core");
    lua_pushstring(L, w.dir);
    lua_setglobal(L, "dir");
    lua_pushinteger(L, i);
    lua_setglobal(L, "i");
    run(L, "local share = assert(core.open('embed', nil, { dir = dir }))\n"
           "share.data.last = i");
    lua_close(L);
    ms_error error;
    int64_t last = 0;
    assert_int_equal(ms_share_sync(w.shares[0], 5000, &error), MS_OK);
    assert_int_equal(ms_share_get_int(w.shares[0], "last", &last), MS_OK);
    assert_int_equal(last, i);
  }
  close_world(&w);
}

/* Finalizers run in reverse order: this one after those of everything it uses. */
static void test_finalizers_of_a_script_may_use_what_is_gone(void **test_state) {
  (void)test_state;
  world w;
  open_world(&w);
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  lua_pushstring(L, w.dir);
  lua_setglobal(L, "dir");
  run(L, "last = setmetatable({}, { __gc = function() use() end })");
  luaL_requiref(L, "memshare.core", luaopen_memshare_core, 0);
  lua_setglobal(L, "core");
  run(L, "local share = assert(core.open('own', { t = {} }, { dir = dir }))\n"
         "local data, t = share.data, share.data.t\n"
         "local receipt = share:set('x', 1)\n"
         "local sub, timer = share:on('x', print), core.after(100, print)\n"
         "function use()\n"
         "  for _, fn in ipairs {\n"
         "    function() return data.x, #t, tostring(t), core.copy(data), core.type(t) "
         "end,\n"
         "    function() data.x = 2 end, function() t[1] = 2 end,\n"
         "    function() for _ in pairs(data) do end end,\n"
         "    function() return receipt.state, receipt.version, receipt.value end,\n"
         "    function() receipt:wait(0) end, function() share:close() end,\n"
         "    function() share:set('x', 2) end, function() share:poll() end,\n"
         "    function() share:batch(print) end, function() share:on('x', print) end,\n"
         "    function() return share.data, share:status() end, function() "
         "tostring(share) end,\n"
         "    function() sub:close() end, function() timer:close() end,\n"
         "    function() core.after(0, print) end, function() core.poll(0) end,\n"
         "    function() core.open('new', nil, { dir = dir }) end,\n"
         "    function() core.new('new', nil, { dir = dir }) end,\n"
         "  } do pcall(fn) end\n"
         "end");
  lua_close(L);
  close_world(&w);
}

/* Both peers write one path at once: the host's write, newer and decided first, wins. */
static void test_a_rejection_reaches_handler_receipt_and_view(void **test_state) {
  (void)test_state;
  world w;
  open_world(&w);
  open_peer(&w, 1);
  lua_State *host = open_lua(w.shares[0]);
  lua_State *client = open_lua(w.shares[1]);
  run(client, "share:on_reject(function(rejection) r = rejection end)"
              "share:on('x', function(new, old, path, change)"
              "  if change.kind == 'rollback' then rolled_back = true end end)");
  run(host, "n = 0");
  int64_t deadline = now_ms() + 10000;
  while (!is_true(client, "r")) {
    if (now_ms() > deadline) fail_msg("no conflict was ever lost");
    run(client, "receipt = receipt or share:set('x', { loser = true })"
                "if receipt.state == 'accepted' then receipt = share:set('x', { loser = "
                "true }) end");
    run(host, "n = n + 1 share.data.x = { winner = n }");
    for (int i = 0; i < 20 && !is_true(client, "r"); i++) poll_both(&w, 1);
  }
  run(client,
      "assert(receipt.state == 'rejected' and receipt.code == 'ECONFLICT', "
      "receipt.code)\n"
      "assert(r.code == 'ECONFLICT' and r.path == 'x' and r.message == receipt.message)\n"
      "assert(r.value.winner and not pcall(function() r.value.winner = 0 end))\n"
      "assert(receipt.value.winner == r.value.winner)\n"
      "assert(r.number == receipt.number and r.winner:find '^[1-9a-f]%x*$')\n"
      "assert(r.winner ~= share.id)\n"
      "assert(math.type(r.winner_version) == 'integer' and r.winner_time > 0)\n"
      "local version, message, code = receipt:wait(0)\n"
      "assert(version == nil and message == r.message and code == 'ECONFLICT')\n"
      "assert(share.data.x.winner and not share.data.x.loser)");
  lua_close(client);
  lua_close(host);
  close_world(&w);
}

/* A state with a runtime of its own, which opens the share by itself. */
static lua_State *open_lua_peer(const world *w) {
  lua_State *L = luaL_newstate();
  assert_non_null(L);
  luaL_openlibs(L);
  luaL_requiref(L, "memshare.core", luaopen_memshare_core, 0);
  lua_setglobal(L, "core");
  lua_pushstring(L, w->dir);
  lua_setglobal(L, "dir");
  run(L,
      "core.attach { log = function(level, line)"
      "  if line:find('ECONFLICT', 1, true) then logged = level .. ': ' .. line end end }"
      "share = assert(core.open('embed', nil, { dir = dir }))");
  return L;
}

static void test_a_rejection_nobody_listens_to_is_logged_as_a_warning(void **test_state) {
  (void)test_state;
  world w;
  open_world(&w);
  lua_State *client = open_lua_peer(&w);
  int64_t deadline = now_ms() + 10000;
  for (int64_t n = 0; !is_true(client, "logged"); n++) {
    if (now_ms() > deadline) fail_msg("no conflict was ever lost");
    run(client, "share:set('x', 'loser')");
    assert_int_equal(ms_share_set_int(w.shares[0], "x", n), MS_OK);
    run(client, "share:flush(5)");
    poll_both(&w, 0);
  }
  run(client, "assert(logged:find('^warning: embed: '), logged)");
  lua_close(client);
  close_world(&w);
}

/* ------------------------------------------------------ Lua without memory */

typedef struct rations {
  long left; /* allocations until they fail; negative: without end */
} rations;

static void *rationed(void *ud, void *ptr, size_t old_bytes, size_t new_bytes) {
  rations *self = ud;
  if (new_bytes == 0) {
    free(ptr);
    return NULL;
  }
  bool grows = ptr == NULL || new_bytes > old_bytes;
  if (grows && self->left == 0) return NULL;
  if (grows && self->left > 0) self->left--;
  return realloc(ptr, new_bytes);
}

/* Runs the code again, with one more allocation each time, until it succeeds. */
static void sweep(lua_State *L, rations *food, const char *code) {
  char last[256] = "";
  assert_int_equal(luaL_loadstring(L, code), LUA_OK);
  for (long n = 0;; n++) {
    if (n > 20000) fail_msg("it never succeeded: %s", last);
    lua_gc(L, LUA_GCCOLLECT, 0);
    lua_pushvalue(L, -1);
    food->left = n;
    int status = lua_pcall(L, 0, 0, 0);
    food->left = -1;
    if (status == LUA_OK) break;
    const char *message = lua_tostring(L, -1);
    if (status != LUA_ERRMEM && (message == NULL || strstr(message, "memory") == NULL)) {
      fail_msg("after %ld allocations: %s", n, message == NULL ? "?" : message);
    }
    snprintf(last, sizeof(last), "%s", message == NULL ? "?" : message);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

static lua_State *open_rationed(rations *food) {
  food->left = -1;
  lua_State *L = lua_newstate(rationed, food);
  assert_non_null(L);
  luaL_openlibs(L);
  luaL_requiref(L, "memshare.core", luaopen_memshare_core, 0);
  lua_setglobal(L, "core");
  return L;
}

static void test_conversions_survive_a_lua_without_memory(void **test_state) {
  (void)test_state;
  rations food;
  lua_State *L = open_rationed(&food);
  sweep(
      L, &food,
      "local v = { a = { 1, 2.5, 'x', core.null, { b = {} } }, e = core.array {}, "
      "['k\\0'] = true }\n"
      "local copy = core.copy(v)\n"
      "assert(core.equal(v, copy))\n"
      "local text = core.to_json(copy, { pretty = true })\n"
      "assert(core.type(core.from_json(text).e) == 'array')\n"
      "local r = core.apply(v, { ['$set'] = { ['a.0'] = 7 }, ['$push'] = { e = 1 } })\n"
      "assert(r.a[1] == 7 and r.e[1] == 1)\n"
      "r = core.apply(v, { ['$inc'] = { ['a.$[x]'] = 1 } },\n"
      "  { where = { a = { ['$size'] = 5 } }, array_filters = { { x = { ['$gt'] = 2 } } "
      "} })\n"
      "assert(r.a[1] == 1 and r.a[2] == 3.5)\n"
      "local push = core.push { at = core.timestamp(), list = { core.timestamp(), 1 } }\n"
      "assert(#tostring(push) > 40 and core.type(push) == 'operator')\n"
      "local ok, message = pcall(core.copy, { f = print })\n"
      "assert(not ok and (message:find('EARGUMENT') or message:find('memory')), "
      "message)");
  lua_close(L);
}

static void test_opening_the_module_survives_a_lua_without_memory(void **test_state) {
  (void)test_state;
  rations food;
  for (long n = 0;; n++) {
    food.left = -1;
    lua_State *L = lua_newstate(rationed, &food);
    assert_non_null(L);
    food.left = n;
    lua_pushcfunction(L, luaopen_memshare_core);
    int status = lua_pcall(L, 0, 1, 0);
    food.left = -1;
    lua_close(L);
    if (status == LUA_OK) break;
    assert_true(n < 20000);
  }
}

static void test_proxies_and_callbacks_survive_a_lua_without_memory(void **test_state) {
  (void)test_state;
  world w;
  open_world(&w);
  rations food;
  lua_State *L = open_rationed(&food);
  assert_int_equal(ms_lua_push(L, w.shares[0]), MS_OK);
  lua_setglobal(L, "share");
  sweep(L, &food,
        "share.data.t = { list = { 1, { x = 1 } }, n = 0 }\n"
        "local t = share.data.t\n"
        "t.n = core.inc(1)\n"
        "t.list[#t.list + 1] = { y = 'text' }\n"
        "for key, value in pairs(t) do assert(key and value) end\n"
        "for i, value in ipairs(t.list) do assert(i and value) end\n"
        "assert(share:get { 't', 'list', 2, 'x' } == 1)\n"
        "local r = assert(share:patch { ['$set'] = { ['t.z'] = { 1 } } })\n"
        "assert(share:batch(function() t.a = 1 t.b = 2 end))\n"
        "assert(share:peers() and share:stats() and tostring(t))");
  sweep(L, &food,
        "share.data.t = { list = { 'a', { x = 1 } }, n = 0 }\n"
        "local t = share.data.t\n"
        "t.n = core.max(5)\n"
        "t.set = core.add_to_set { 1 }\n"
        "t.list = core.push { at = core.timestamp(), l = { core.timestamp() } }\n"
        "t.list = core.pull { at = { ['$lt'] = 0 } }\n"
        "assert(core.insert(t.list, 1, { at = core.timestamp() }))\n"
        "assert(core.insert(t.list, 'end'))\n"
        "local removed, receipt = core.remove(t.list, 3)\n"
        "assert(removed.x == 1 and receipt)\n"
        "t.list[#t.list] = nil\n"
        "assert(#t.list == 3 and t.list[1].at == t.list[1].at and t.list[2] == 'a')\n"
        "assert(share:replace { at = core.timestamp(), keep = core.copy(share.data.keep) "
        "})\n"
        "assert(share.data.at > 0)");
  sweep(L, &food,
        "share.data.t = { list = { 'a', { x = 1 } }, n = 0, ['7'] = 7 }\n"
        "local t = share.data.t\n"
        "for turn = 1, 20 do\n"
        "  for _ = 1, 300 do\n"
        "    assert(t.n == turn - 1 and t['7'] == t[7] and t.list[1] == 'a')\n"
        "    assert(t.list[2].x == 1)\n"
        "  end\n"
        "  if turn % 2 == 0 then t.n = turn else t.n = core.inc(1) end\n"
        "  t[7] = 'seven' .. turn\n"
        "  assert(t['7'] == 'seven' .. turn)\n"
        "  if turn % 5 == 0 then assert(share:set('t.list.1.x', 1)) end\n"
        "end\n"
        "assert(type(debug.getmetatable(t).__index) == 'table')");
  run(L, "share.data.t = { list = { 'a' }, n = 0 }");
  sweep(L, &food,
        "local before = share.data.t.n\n"
        "local list, n = share:transaction(function(draft)\n"
        "  local t = draft.t\n"
        "  for key, value in pairs(t) do assert(key and value) end\n"
        "  t.n = t.n + #t.list\n"
        "  t.at = core.timestamp()\n"
        "  assert(core.insert(t.list, { at = core.timestamp() }))\n"
        "  core.remove(t.list, #t.list)\n"
        "  return core.copy(t.list), t.n\n"
        "end, { retries = 3 })\n"
        "assert(list, n)\n"
        "assert(#list == 1 and n == before + 1 and share.data.t.n == n)");
  run(L, "share.data.t = { n = 0 }");
  sweep(L, &food,
        "local done, message\n"
        "local task = core.go(function(...)\n"
        "  local ok\n"
        "  ok, message = pcall(function(...)\n"
        "    core.sleep(0)\n"
        "    assert(select('#', ...) == 2)\n"
        "    assert(share:inc('t.n'):wait(5))\n"
        "    assert(share:wait_for({ 't', 'n' }, function(n) return n > 0 end, 5))\n"
        "    assert(share:flush(5) and share:sync(5))\n"
        "  end, ...)\n"
        "  done = ok\n"
        "end, 1, 2)\n"
        "for _ = 1, 10000 do\n"
        "  if coroutine.status(task) == 'dead' then break end\n"
        "  core.poll(0.01)\n"
        "end\n"
        "assert(done, message)");
  run(L, "share.data.t = { n = 0 }\n"
         "share:on('**', function(new, old, path, change) heard = path end)"
         "share.data.t.n = core.inc(1)");
  for (long n = 0; !is_true(L, "heard"); n++) {
    assert_true(n < 20000);
    food.left = n;
    assert_int_equal(ms_runtime_poll(w.runtimes[0], 0, 0, NULL), MS_OK);
    food.left = -1;
    run(L, "share.data.t.n = core.inc(1)");
  }
  lua_close(L);
  close_world(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_one_poll_of_the_program_serves_the_script),
      cmocka_unit_test(test_a_pushed_share_is_the_same_object_each_time),
      cmocka_unit_test(test_closing_the_lua_state_releases_only_its_handle),
      cmocka_unit_test(test_a_script_that_closes_leaves_the_share_of_the_program_open),
      cmocka_unit_test(test_the_module_in_that_state_uses_the_runtime_of_the_program),
      cmocka_unit_test(test_errors_of_callbacks_stay_in_lua),
      cmocka_unit_test(test_two_states_share_one_share),
      cmocka_unit_test(test_polls_of_the_program_resume_tasks_of_all_states),
      cmocka_unit_test(test_a_lua_state_that_ends_waits_for_its_patches),
      cmocka_unit_test(test_finalizers_of_a_script_may_use_what_is_gone),
      cmocka_unit_test(test_a_rejection_reaches_handler_receipt_and_view),
      cmocka_unit_test(test_a_rejection_nobody_listens_to_is_logged_as_a_warning),
      cmocka_unit_test(test_conversions_survive_a_lua_without_memory),
      cmocka_unit_test(test_opening_the_module_survives_a_lua_without_memory),
      cmocka_unit_test(test_proxies_and_callbacks_survive_a_lua_without_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
