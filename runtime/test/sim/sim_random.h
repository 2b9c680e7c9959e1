/* Random numbers from a seed: xoshiro256**. The same seed gives the same numbers everywhere. */
#ifndef SIM_RANDOM_H
#define SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

typedef struct sim_random {
  uint64_t state[4];
} sim_random;

static inline void sim_random_seed(sim_random *random, uint64_t seed) {
  for (int i = 0; i < 4; i++) { /* splitmix64 */
    seed += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t word = seed;
    word = (word ^ (word >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94d049bb133111eb);
    random->state[i] = word ^ (word >> 31);
  }
}

static inline uint64_t sim_random_next(sim_random *random) {
  uint64_t *s = random->state;
  uint64_t middle = s[1] * 5;
  uint64_t result = ((middle << 7) | (middle >> 57)) * 9;
  uint64_t shifted = s[1] << 17;
  s[2] ^= s[0];
  s[3] ^= s[1];
  s[1] ^= s[2];
  s[0] ^= s[3];
  s[2] ^= shifted;
  s[3] = (s[3] << 45) | (s[3] >> 19);
  return result;
}

/* 0 ... below - 1; below > 0. */
static inline uint64_t sim_random_below(sim_random *random, uint64_t below) {
  return sim_random_next(random) % below;
}

/* from ... to */
static inline uint64_t sim_random_between(sim_random *random, uint64_t from,
                                          uint64_t to) {
  return from + sim_random_below(random, to - from + 1);
}

/* True `times` in a million. */
static inline bool sim_random_chance(sim_random *random, uint32_t times) {
  return sim_random_below(random, 1000000) < times;
}

#endif
