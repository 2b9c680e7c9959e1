/*
 * Lines that the library logs. They arrive on any thread, with locks of the library held,
 * so they wait in a ring until a poll has returned. Each line makes it return, and the
 * descriptor readable, so that none waits for something else to happen: ms_runtime_wake
 * takes no lock. A full ring drops the newest and counts them.
 */
#include "core.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_COUNT = 64, LINE_BYTES = 240 };

struct msl_log {
  _Atomic(ms_runtime *) runtime; /* to wake; NULL before it is open and once it closes */
  pthread_mutex_t mutex;         /* guards all below */
  unsigned first;
  unsigned count;
  unsigned dropped;
  ms_log_level levels[LINE_COUNT];
  char lines[LINE_COUNT][LINE_BYTES];
};

msl_log *msl_log_new(void) {
  msl_log *log = calloc(1, sizeof(*log));
  if (log == NULL) return NULL;
  if (pthread_mutex_init(&log->mutex, NULL) != 0) {
    free(log);
    return NULL;
  }
  return log;
}

void msl_log_free(msl_log *log) {
  if (log == NULL) return;
  pthread_mutex_destroy(&log->mutex);
  free(log);
}

void msl_log_write(void *ud, ms_log_level level, const char *line) {
  msl_log *log = ud;
  pthread_mutex_lock(&log->mutex);
  if (log->count == LINE_COUNT) {
    log->dropped++;
  } else {
    unsigned slot = (log->first + log->count++) % LINE_COUNT;
    log->levels[slot] = level;
    snprintf(log->lines[slot], LINE_BYTES, "%s", line);
  }
  pthread_mutex_unlock(&log->mutex);
  ms_runtime *runtime = atomic_load(&log->runtime);
  if (runtime != NULL) ms_runtime_wake(runtime);
}

void msl_log_set_runtime(msl_log *log, ms_runtime *runtime) {
  atomic_store(&log->runtime, runtime);
}

bool msl_log_read(msl_log *log, ms_log_level *level, char *line, size_t bytes) {
  bool found = true;
  pthread_mutex_lock(&log->mutex);
  if (log->count > 0) {
    *level = log->levels[log->first];
    snprintf(line, bytes, "%s", log->lines[log->first]);
    log->first = (log->first + 1) % LINE_COUNT;
    log->count--;
  } else if (log->dropped > 0) {
    *level = MS_LOG_WARNING;
    snprintf(line, bytes, "%u more lines were dropped", log->dropped);
    log->dropped = 0;
  } else {
    found = false;
  }
  pthread_mutex_unlock(&log->mutex);
  return found;
}
