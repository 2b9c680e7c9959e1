/*
 * One change in an object of a million keys costs what changed, whatever the patterns. Nothing is timed:
 * the values lie in pages of their own, which are closed before the dispatch, and each page that it
 * opens is counted.
 */
#include "hook.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "update_support.h"

enum { KEYS = 1000000, PAGES_MAX = 200 };
static const size_t ARENA_BYTES = (size_t)1 << 30; /* reserved; used as far as needed */

/* Gives memory away and takes none back. */
typedef struct arena {
  char *bytes;
  size_t used;
} arena;

/* A signal handler has no argument. */
static arena pages;
static size_t page_bytes;
static volatile sig_atomic_t opened;

static void *arena_resize(void *ud, void *ptr, size_t old_bytes, size_t new_bytes) {
  arena *self = ud;
  if (new_bytes <= old_bytes) return new_bytes == 0 ? NULL : ptr;
  size_t room = (new_bytes + 15) & ~(size_t)15;
  if (self->used + room > ARENA_BYTES) return NULL;
  char *fresh = self->bytes + self->used;
  self->used += room;
  if (old_bytes > 0) memcpy(fresh, ptr, old_bytes);
  return fresh;
}

static void open_page(int number, siginfo_t *info, void *context) {
  (void)context;
  char *page = (char *)((uintptr_t)info->si_addr & ~(uintptr_t)(page_bytes - 1));
  if (page < pages.bytes || page >= pages.bytes + ARENA_BYTES) {
    signal(number, SIG_DFL); /* a fault of another kind: it comes again, and kills */
    return;
  }
  opened++;
  mprotect(page, page_bytes, PROT_READ | PROT_WRITE);
}

static void count_call(void *ud, const ms_change *change) {
  assert_non_null(change->new_value);
  ++*(int *)ud;
}

static const ms_value *make_players(const ms_alloc *alloc) {
  const ms_value *players = NULL, *hp = mst_json("100"), *root = NULL;
  char key[16];
  assert_int_equal(ms_value_new_object(alloc, &players), MS_OK);
  for (int i = 0; i < KEYS; i++) {
    int length = snprintf(key, sizeof key, "p%d", i);
    assert_int_equal(ms_value_put(alloc, &players, key, (size_t)length, hp), MS_OK);
  }
  assert_int_equal(ms_value_new_object(alloc, &root), MS_OK);
  assert_int_equal(ms_value_put(alloc, &root, "players", 7, players), MS_OK);
  ms_value_release(players);
  ms_value_release(hp);
  return root;
}

/* How many pages of the document a dispatch opens. */
static size_t pages_opened(const char *pattern, const ms_value *before,
                           const ms_value *after, const ms_update *update) {
  int calls = 0;
  msi_hooks *hooks = NULL;
  msi_hook *hook;
  ms_path *path = mst_pattern(pattern);
  ms_change template = {.kind = MS_CHANGE_SET};
  assert_int_equal(msi_hooks_new(NULL, &hooks), MS_OK);
  assert_int_equal(msi_hooks_add(hooks, path, 0, count_call, &calls, &hook), MS_OK);
  ms_path_release(path);
  opened = 0;
  assert_int_equal(mprotect(pages.bytes, ARENA_BYTES, PROT_NONE), 0);
  ms_status status = msi_hooks_dispatch_update(hooks, before, after, update, &template);
  size_t count = (size_t)opened;
  assert_int_equal(mprotect(pages.bytes, ARENA_BYTES, PROT_READ | PROT_WRITE), 0);
  assert_int_equal(status, MS_OK);
  assert_int_equal(calls, 1);
  msi_hooks_free(hooks);
  return count;
}

static void test_one_change_among_a_million_keys_costs_what_changed(void **state) {
  (void)state;
  ms_alloc alloc = {arena_resize, &pages};
  struct sigaction action = {.sa_sigaction = open_page, .sa_flags = SA_SIGINFO}, former;
  page_bytes = (size_t)sysconf(_SC_PAGESIZE);
  pages.bytes = mmap(NULL, ARENA_BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  assert_ptr_not_equal(pages.bytes, MAP_FAILED);
  const ms_value *before = make_players(&alloc), *after = NULL;
  ms_update *update = mst_update("{\"$inc\": {\"players.p765432\": 1}}");
  assert_int_equal(ms_update_apply(update, before, 0, &after, NULL), MS_OK);
  assert_true(pages.used / page_bytes > 1000); /* what looking at all would open */
  assert_int_equal(sigaction(SIGSEGV, &action, &former), 0);
  const char *const patterns[] = {"players.p765432", "players.*", "players", "**", ""};
  for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
    /* With the paths of the update, and looking everywhere. */
    assert_in_range(pages_opened(patterns[i], before, after, update), 1, PAGES_MAX);
    assert_in_range(pages_opened(patterns[i], before, after, NULL), 1, PAGES_MAX);
  }
  assert_int_equal(sigaction(SIGSEGV, &former, NULL), 0);
  ms_update_release(update);
  ms_value_release(after);
  ms_value_release(before);
  munmap(pages.bytes, ARENA_BYTES);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_one_change_among_a_million_keys_costs_what_changed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
