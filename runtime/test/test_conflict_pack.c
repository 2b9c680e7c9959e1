/* The conflict index in pieces, while entries go on to change it. */
#include "conflict_support.h"
#include "failing_alloc.h"
#include "sim/sim_random.h"

enum { KEYS = 700, PACKERS = 4, PIECE = 512 };

/* Whatever touches old nodes, makes new ones, and evicts. */
static void note_random(msi_conflicts *conflicts, sim_random *random, uint64_t version) {
  char text[64];
  uint64_t origin = 10 + sim_random_below(random, 4);
  uint64_t base = version - 1 - sim_random_below(random, version < 20 ? version : 20);
  int key = (int)sim_random_below(random, KEYS), part = (int)sim_random_below(random, 3);
  (void)snprintf(text, sizeof text, part == 0 ? "k%d" : "k%d.p%d", key, part);
  ms_update *update = set(text, 1);
  if (sim_random_chance(random, 200000)) {
    (void)snprintf(text, sizeof text, "{\"$push\": {\"l%d\": 1}, \"$set\": {\"l.0\": 1}}",
                   key % 50);
    ms_update_release(update);
    update = marked(text, LISTS);
  }
  if (sim_random_chance(random, 100000)) {
    note(conflicts, rejected(version, origin, base, version, update));
  } else {
    note(conflicts, accepted(version, origin, base, 1000 + version, update));
  }
}

static msi_conflicts *unpacked(const msi_buffer *packed) {
  msi_conflicts *copy = NULL;
  msi_reader in = {packed->data, packed->data + packed->length};
  assert_int_equal(msi_conflicts_unpack(&in, NULL, MSI_CONFLICT_NODES, &copy), MS_OK);
  assert_ptr_equal(in.at, in.end);
  assert_true(msi_conflicts_check_structure(copy));
  return copy;
}

/* In the order of ages, whatever the order in `packed`. */
static void normalise(msi_buffer *packed) {
  msi_conflicts *copy = unpacked(packed);
  msi_buffer_clear(packed);
  assert_int_equal(msi_conflicts_pack(packed, copy), MS_OK);
  msi_conflicts_free(copy);
}

typedef struct job {
  msi_conflict_packer *packer;
  msi_buffer wanted, got;
  uint64_t bytes_max;
  bool done;
} job;

static void job_begin(job *self, msi_conflicts *conflicts) {
  memset(self, 0, sizeof *self);
  msi_buffer_init(&self->wanted, msi_alloc_resolve(NULL));
  msi_buffer_init(&self->got, msi_alloc_resolve(NULL));
  assert_int_equal(msi_conflicts_pack(&self->wanted, conflicts), MS_OK);
  assert_int_equal(msi_conflict_packer_new(conflicts, &self->packer), MS_OK);
  self->bytes_max = msi_conflict_packer_bytes_max(self->packer);
}

static void job_step(job *self) {
  size_t before = self->got.length;
  assert_int_equal(msi_conflict_packer_step(self->packer, &self->got, PIECE, &self->done),
                   MS_OK);
  assert_true(self->got.length - before < PIECE + 1024);
}

static void job_end(job *self) {
  msi_conflict_packer_free(self->packer);
  assert_true(self->done);
  assert_true(self->got.length <= self->bytes_max);
  normalise(&self->wanted);
  normalise(&self->got);
  assert_int_equal(self->got.length, self->wanted.length);
  assert_memory_equal(self->got.data, self->wanted.data, self->got.length);
  msi_buffer_fini(&self->wanted);
  msi_buffer_fini(&self->got);
}

static void
test_pieces_are_the_index_as_it_was_when_the_first_was_asked_for(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    msi_conflicts *conflicts = NULL;
    sim_random random;
    sim_random_seed(&random, seed);
    /* With room for fewer nodes than there are paths. */
    assert_int_equal(msi_conflicts_new(NULL, 1, &conflicts), MS_OK);
    uint64_t version = 0;
    while (version < 300) note_random(conflicts, &random, ++version);
    job jobs[PACKERS];
    size_t begun = 0, done = 0;
    while (done < PACKERS) {
      if (begun < PACKERS && sim_random_chance(&random, 100000)) {
        job_begin(&jobs[begun++], conflicts);
      }
      uint64_t notes = sim_random_below(&random, 12);
      while (notes-- > 0) note_random(conflicts, &random, ++version);
      for (size_t i = done; i < begun; i++) {
        if (!jobs[i].done && sim_random_chance(&random, 400000)) job_step(&jobs[i]);
      }
      while (done < begun && jobs[done].done) job_end(&jobs[done++]);
    }
    msi_conflicts_free(conflicts);
  }
}

static void test_everything_may_be_touched_before_the_first_piece(void **state) {
  (void)state;
  msi_conflicts *conflicts = conflicts_of();
  char text[32];
  uint64_t version = 0;
  job one;
  for (int round = 0; round < 3; round++) {
    for (int key = 0; key < KEYS; key++) {
      (void)snprintf(text, sizeof text, "a.k%d", key);
      version++;
      note(conflicts, accepted(version, 10, version - 1, version, set(text, 1)));
    }
    if (round == 0) job_begin(&one, conflicts);
  }
  while (!one.done) job_step(&one);
  job_end(&one);
  msi_conflicts_free(conflicts);
}

static void test_a_packer_may_be_given_up(void **state) {
  (void)state;
  msi_conflicts *conflicts = conflicts_of();
  msi_conflict_packer *packers[3] = {NULL, NULL, NULL};
  note(conflicts, accepted(1, 10, 0, 1, set("a.b", 1)));
  for (int i = 0; i < 3; i++) {
    assert_int_equal(msi_conflict_packer_new(conflicts, &packers[i]), MS_OK);
  }
  msi_conflict_packer_free(packers[1]);
  note(conflicts, accepted(2, 10, 1, 2, set("a.c", 1)));
  msi_conflict_packer_free(packers[2]);
  note(conflicts, accepted(3, 10, 2, 3, set("a.b", 1)));
  msi_conflict_packer_free(packers[0]);
  msi_conflict_packer_free(NULL);
  note(conflicts, accepted(4, 10, 3, 4, set("a.b", 1)));
  msi_conflicts_free(conflicts);
}

/* Without memory a packer fails, and the index knows as much as before. */
static void test_a_packer_without_memory_fails_alone(void **state) {
  (void)state;
  ms_status status = MS_ENOMEM;
  uint64_t n = 0;
  for (; status != MS_OK; n++) {
    failing_alloc memory;
    failing_alloc_init(&memory);
    msi_conflicts *conflicts = NULL;
    msi_conflict_packer *packer = NULL;
    msi_buffer out;
    msi_buffer_init(&out, msi_alloc_resolve(NULL));
    assert_int_equal(msi_conflicts_new(&memory.alloc, 1000, &conflicts), MS_OK);
    note(conflicts, accepted(1, 10, 0, 100, set("a.b", 1)));
    note(conflicts, rejected(2, 11, 0, 1, set("p.q", 1)));
    failing_alloc_fail_at(&memory, n);
    status = msi_conflict_packer_new(conflicts, &packer);
    if (status == MS_OK) {
      bool done = false;
      note(conflicts, accepted(3, 10, 2, 101, set("a.b", 1)));
      while (status == MS_OK && !done) {
        status = msi_conflict_packer_step(packer, &out, 16, &done);
      }
    }
    if (memory.failed) {
      assert_true(status == MS_OK || status == MS_ENOMEM);
      failing_alloc_never_fail(&memory);
      if (status == MS_OK) status = MS_ENOMEM; /* it was another's: go on */
    } else {
      msi_conflicts_free(unpacked(&out));
    }
    assert_int_equal(status_of(conflicts, 13, 0, 99, set("a.b", 2)), MS_ECONFLICT);
    msi_conflict_packer_free(packer);
    msi_conflicts_free(conflicts);
    msi_buffer_fini(&out);
    assert_true(failing_alloc_is_clean(&memory));
  }
  assert_true(n > 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_pieces_are_the_index_as_it_was_when_the_first_was_asked_for),
      cmocka_unit_test(test_everything_may_be_touched_before_the_first_piece),
      cmocka_unit_test(test_a_packer_may_be_given_up),
      cmocka_unit_test(test_a_packer_without_memory_fails_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
