/*
 * Rounds: who is told whenever callbacks have run. They may poll, which tells all of them again inside;
 * so one that is closed while that goes on keeps its memory until the outermost is through.
 */
#include "share.h"

struct ms_round {
  uint32_t word; /* MSI_WORD_ROUND */
  ms_runtime *runtime;
  ms_round *next;
  ms_round_fn fn; /* NULL: closed */
  void *ud;
};

ms_status ms_runtime_on_round(ms_runtime *runtime, ms_round_fn fn, void *ud,
                              ms_round **out) {
  ms_status status = msi_runtime_guard(runtime);
  if (status != MS_OK) return status;
  if (fn == NULL) return MS_EARGUMENT;
  ms_round *round = MSI_NEW(runtime->alloc, ms_round);
  if (round == NULL) return MS_ENOMEM;
  *round = (ms_round){MSI_WORD_ROUND, runtime, runtime->rounds, fn, ud};
  runtime->rounds = round;
  *out = round;
  return MS_OK;
}

static void sweep(ms_runtime *runtime) {
  ms_round **at = &runtime->rounds;
  while (*at != NULL) {
    ms_round *round = *at;
    if (round->fn != NULL) {
      at = &round->next;
      continue;
    }
    *at = round->next;
    MSI_END_HANDLE(round);
    MSI_FREE(runtime->alloc, round);
  }
}

void ms_round_close(ms_round *round) {
  if (round == NULL) return;
  MSI_ASSERT_HANDLE(round, MSI_WORD_ROUND);
  if (msi_runtime_guard(round->runtime) != MS_OK) return;
  round->fn = NULL;
  if (round->runtime->round_depth == 0) sweep(round->runtime);
}

void msi_rounds_tell(ms_runtime *runtime) {
  if (runtime->rounds == NULL) return;
  runtime->round_depth++;
  for (const ms_round *round = runtime->rounds; round != NULL; round = round->next) {
    if (round->fn != NULL) round->fn(round->ud);
  }
  if (--runtime->round_depth == 0) sweep(runtime);
}

void msi_rounds_fini(ms_runtime *runtime) {
  for (ms_round *round = runtime->rounds; round != NULL; round = round->next) {
    round->fn = NULL;
  }
  sweep(runtime);
}
