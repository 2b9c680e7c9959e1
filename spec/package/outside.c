/* A program outside the tree: opens a share of its own, writes, reads and leaves. */
#include <memshare.h>

#include <inttypes.h>
#include <stdio.h>

static int complain(const ms_error *error) {
  fprintf(stderr, "%s: %s\n", ms_status_name(error->status), error->message);
  return 1;
}

int main(void) {
  ms_error error;
  ms_runtime *runtime;
  ms_share *share;
  int64_t round;
  if (ms_runtime_open(NULL, &runtime, &error) != MS_OK) return complain(&error);
  if (ms_share_open(runtime, "outside", NULL, &share, &error) != MS_OK)
    return complain(&error);
  if (ms_share_set_int(share, "round", 41) != MS_OK) return 1;
  if (ms_share_inc(share, "round", 1, NULL, &error) != MS_OK) return complain(&error);
  if (ms_share_get_int(share, "round", &round) != MS_OK) return 1;
  printf("memshare %s: round %" PRId64 "\n", ms_version(), round);
  if (ms_share_close(share, 5000) != MS_OK) return 1;
  ms_share_free(share);
  ms_runtime_close(runtime);
  return 0;
}
