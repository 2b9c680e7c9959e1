/*
 * Lines that the library logs. They arrive on any thread, with locks of the library
 * held, so they wait in a ring until a poll has returned. A full ring drops the newest
 * and counts them.
 */
#include "core.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_COUNT = 64, LINE_BYTES = 240 };

struct msl_log {
  pthread_mutex_t mutex; /* guards all below */
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
