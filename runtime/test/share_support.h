/*
 * Shares through the C API, with real files and sockets, for tests: several runtimes in one process are
 * several peers, since nothing is shared between runtimes but the directory.
 */
#ifndef SHARE_SUPPORT_H
#define SHARE_SUPPORT_H

#include "test_support.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "share.h"

enum { PEERS_MAX = 4 };

typedef struct scene {
  char dir[64];
  const ms_alloc *alloc; /* of runtimes made from now on */
  _Atomic size_t warnings;
  ms_runtime *runtimes[PEERS_MAX];
  ms_share *shares[PEERS_MAX];
  size_t count;
  const ms_share *held[2];
} scene;

/* While a peer's driver is held it does nothing: nobody but this thread drives it, and it does not. */
static inline void hold(scene *self, const ms_share *share) {
  msi_driver_visit(share->runtime->driver);
  self->held[self->held[0] != NULL] = share;
}

static inline void let_go(scene *self, const ms_share *share) {
  self->held[self->held[0] != share] = NULL;
  msi_driver_depart(share->runtime->driver, MSI_DEPART_CHANGED);
}

static inline void log_line(void *ud, ms_log_level level, const char *line) {
  scene *self = ud;
  if (self != NULL && level >= MS_LOG_WARNING) self->warnings++;
  if (getenv("MEMSHARE_TEST_LOG") != NULL) fprintf(stderr, "log: %s\n", line);
}

static inline int scene_setup(void **state) {
  scene *self = calloc(1, sizeof *self);
  snprintf(self->dir, sizeof self->dir, "/tmp/memshare-test-XXXXXX");
  assert_non_null(mkdtemp(self->dir));
  *state = self;
  return 0;
}

static inline int scene_teardown(void **state) {
  scene *self = *state;
  for (int i = 0; i < 2; i++) { /* of a test that failed */
    if (self->held[i] != NULL) let_go(self, self->held[i]);
  }
  for (size_t i = 0; i < self->count; i++) ms_runtime_close(self->runtimes[i]);
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", self->dir);
  assert_int_equal(system(command), 0);
  free(self);
  return 0;
}

static inline ms_runtime *runtime_make(scene *self) {
  ms_runtime_config config;
  ms_runtime_config_init(&config);
  config.alloc = self == NULL ? NULL : self->alloc;
  config.log = log_line;
  config.log_ud = self;
  config.log_level = MS_LOG_DEBUG;
  ms_runtime *runtime = NULL;
  ms_error error;
  assert_int_equal(ms_runtime_open(&config, &runtime, &error), MS_OK);
  return runtime;
}

static inline void scene_config(const scene *self, ms_share_config *config) {
  ms_share_config_init(config);
  config->dir = self->dir;
  config->timeout_ms = 20000;
}

static inline ms_share *peer_open_with(scene *self, const ms_share_config *config) {
  size_t i = self->count;
  assert_true(i < PEERS_MAX);
  self->runtimes[i] = runtime_make(self);
  self->count++;
  ms_error error = {0};
  ms_status status =
      ms_share_open(self->runtimes[i], "arena", config, &self->shares[i], &error);
  if (status != MS_OK) fail_msg("open: %s (%s)", error.message, ms_status_name(status));
  return self->shares[i];
}

static inline ms_share *peer_open(scene *self) {
  ms_share_config config;
  scene_config(self, &config);
  return peer_open_with(self, &config);
}

/* Polls every peer until `holds` says so. */
static inline bool scene_eventually(scene *self, bool (*holds)(void *ud), void *ud) {
  uint64_t end = uv_hrtime() + TEST_PATIENCE_NS;
  while (!holds(ud)) {
    if (uv_hrtime() > end) return false;
    for (size_t i = 0; i < self->count; i++) {
      if (self->runtimes[i] == NULL) continue;
      assert_int_equal(ms_runtime_poll(self->runtimes[i], 1, 0, NULL), MS_OK);
    }
  }
  return true;
}

static inline int64_t int_at(const ms_share *share, const char *path) {
  int64_t number = -1;
  return ms_share_get_int(share, path, &number) == MS_OK ? number : -1;
}

static inline ms_share_state state_of(const ms_share *share) {
  ms_share_info info = {.bytes = sizeof info};
  ms_share_inspect(share, &info);
  return info.state;
}

typedef struct expectation {
  const ms_share *share;
  const char *path;
  int64_t number;
} expectation;

static inline bool expected(void *ud) {
  const expectation *wanted = ud;
  return int_at(wanted->share, wanted->path) == wanted->number;
}

static inline ms_share_info info_of(const ms_share *share) {
  ms_share_info info = {.bytes = sizeof info};
  ms_share_inspect(share, &info);
  return info;
}

static inline ms_path *pattern_of(const char *text) {
  ms_path *pattern = NULL;
  ms_error error;
  assert_int_equal(ms_path_parse_pattern(NULL, text, strlen(text), &pattern, &error),
                   MS_OK);
  return pattern;
}

/* Subscribes to a pattern given as text. */
static inline ms_sub *sub_on(ms_share *share, const char *text, unsigned flags,
                             ms_change_fn fn, void *ud) {
  ms_path *pattern = pattern_of(text);
  ms_sub *sub = NULL;
  assert_int_equal(ms_share_on(share, pattern, flags, fn, ud, &sub), MS_OK);
  ms_path_release(pattern);
  return sub;
}

#define SCENE_TEST(f) cmocka_unit_test_setup_teardown(f, scene_setup, scene_teardown)

#endif
