/*
 * poll: what ms_runtime_poll() costs with nothing to do, as a frame loop calls it, in a process that
 * hosts a share alone.
 *
 *   poll DIRECTORY COUNT     prints nanoseconds for one, median of ROUNDS
 */
#include <memshare.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 9 };

static double now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a;
  double y = *(const double *)b;
  return (x > y) - (x < y);
}

static ms_status measure(ms_runtime *runtime, long count) {
  double rounds[ROUNDS];
  ms_status status = ms_runtime_poll(runtime, 100, 0, NULL);
  for (int i = 0; i < ROUNDS; i++) {
    double began = now_ns();
    for (long n = 0; n < count && status == MS_OK; n++) {
      status = ms_runtime_poll(runtime, 0, 0, NULL);
    }
    rounds[i] = (now_ns() - began) / (double)count;
  }
  qsort(rounds, ROUNDS, sizeof rounds[0], compare);
  printf("%.1f\n", rounds[ROUNDS / 2]);
  return status;
}

int main(int argc, char **argv) {
  long count = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
  if (count <= 0) {
    fprintf(stderr, "usage: poll DIRECTORY COUNT\n");
    return 2;
  }
  ms_error error = {MS_OK, ""};
  ms_runtime *runtime = NULL;
  ms_share *share = NULL;
  ms_share_config config;
  ms_share_config_init(&config);
  config.dir = argv[1];
  ms_status status = ms_runtime_open(NULL, &runtime, &error);
  if (status == MS_OK) status = ms_share_open(runtime, "poll", &config, &share, &error);
  if (status == MS_OK) status = measure(runtime, count);
  if (status != MS_OK) fprintf(stderr, "poll: %s\n", error.message);
  ms_share_free(share);
  ms_runtime_close(runtime);
  return status == MS_OK ? 0 : 1;
}
