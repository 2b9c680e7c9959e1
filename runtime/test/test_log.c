/* The mapped log: what the writer stored is what readers find, whatever happens in
 * between. */
#include "rendezvous_support.h"

#include <sched.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "log.h"

static const char NAME[] = "arena";
enum { GROUP = 77, TERM = 3 };

static ms_status make(const scratch *home, msi_log **out) {
  ms_error error;
  return msi_log_create(NULL, &home->directory, NAME, GROUP, TERM, out, &error);
}

static ms_status look(const scratch *home, msi_log **out) {
  ms_error error;
  return msi_log_open(NULL, &home->directory, NAME, GROUP, TERM, out, &error);
}

/* What stands in a version follows from its number: sizes mostly small, now and then
 * large. */
static size_t content_bytes(uint64_t version, size_t largest) {
  uint64_t random = version * UINT64_C(0x9e3779b97f4a7c15) + 1;
  random_next(&random);
  uint64_t kind = random_next(&random) % 100;
  size_t limit = kind < 80 ? 300 : kind < 98 ? 40000 : 1000000;
  if (kind == 99 && version % 3 == 0) limit = largest;
  return (size_t)(random_next(&random) % (limit < largest ? limit + 1 : largest + 1));
}

static void content_fill(uint64_t version, uint8_t *out, size_t bytes) {
  uint64_t random = version + 12345;
  for (size_t i = 0; i < bytes; i += 8) {
    uint64_t word = random_next(&random);
    memcpy(out + i, &word, bytes - i < 8 ? bytes - i : 8);
  }
}

typedef struct reader {
  uint64_t first, last; /* versions seen; 0: none */
  uint64_t stop_at;
  size_t largest;
  uint8_t *expected;
  bool wrong;
} reader;

static bool on_record(void *ud, uint64_t version, const uint8_t *data, size_t bytes) {
  reader *self = ud;
  if (self->first == 0) self->first = version;
  if (self->last != 0 && version != self->last + 1) self->wrong = true;
  self->last = version;
  if (bytes != content_bytes(version, self->largest)) {
    self->wrong = true;
  } else {
    content_fill(version, self->expected, bytes);
    if (bytes > 0 && memcmp(self->expected, data, bytes) != 0) self->wrong = true;
  }
  return version != self->stop_at;
}

static ms_status append_next(msi_log *log, uint64_t version, size_t largest,
                             uint8_t *space) {
  size_t bytes = content_bytes(version, largest);
  content_fill(version, space, bytes);
  return msi_log_append(log, version, space, bytes);
}

static void test_a_new_log_is_empty_and_not_ready(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  msi_log *log, *other;
  assert_int_equal(look(&home, &other), MS_ENOENT);
  assert_int_equal(make(&home, &log), MS_OK);
  assert_int_equal(look(&home, &other), MS_OK);
  msi_log_info info;
  msi_log_inspect(other, &info);
  assert_true(info.exists);
  assert_false(info.ready);
  reader self = {0};
  assert_true(msi_log_read(other, NULL, 0, on_record, &self));
  assert_true(msi_log_read(other, NULL, 1000, on_record, &self));
  assert_int_equal(self.first, 0);
  msi_log_mark_ready(log, 41, 5);
  msi_log_inspect(other, &info);
  assert_true(info.ready);
  assert_int_equal(info.base, 41);
  assert_int_equal(info.previous, 5);
  assert_true(msi_log_read(other, NULL, 41, on_record, &self));
  assert_false(msi_log_read(other, NULL, 40, on_record, &self));
  struct stat file;
  assert_int_equal(fstatat(home.directory.fd, "arena.3.log", &file, 0), 0);
  assert_int_equal(file.st_mode & 07777, 0600);
  assert_true(file.st_blocks * 512 < 4 << 20); /* blocks come in steps */
  msi_log_close(other);
  msi_log_close(log);
  msi_log_close(NULL);
  assert_true(scratch_has(&home, "arena.3.log"));
  scratch_close(&home);
}

static void test_records_are_read_from_any_version_on(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  msi_log *log, *other;
  uint8_t space[4096], expected[4096];
  assert_int_equal(make(&home, &log), MS_OK);
  assert_int_equal(look(&home, &other), MS_OK);
  msi_log_mark_ready(log, 100, 0);
  for (uint64_t version = 101; version <= 200; version++) {
    assert_int_equal(append_next(log, version, sizeof space, space), MS_OK);
  }
  for (uint64_t after = 100; after <= 202; after++) {
    reader self = {.largest = sizeof expected, .expected = expected};
    assert_true(msi_log_read(other, NULL, after, on_record, &self));
    assert_false(self.wrong);
    assert_int_equal(self.first, after < 200 ? after + 1 : 0);
    assert_int_equal(self.last, after < 200 ? 200 : 0);
  }
  reader self = {.largest = sizeof expected, .expected = expected, .stop_at = 150};
  assert_true(msi_log_read(other, NULL, 120, on_record, &self));
  assert_int_equal(self.last, 150);
  assert_false(msi_log_read(other, NULL, 99, on_record, &self));
  msi_log_close(other);
  msi_log_close(log);
  scratch_close(&home);
}

static void test_three_maximal_frames_are_kept_and_larger_ones_refused(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  msi_log *log;
  uint8_t *space = malloc((size_t)MSI_FRAME_MAX + 1);
  assert_non_null(space);
  memset(space, 7, (size_t)MSI_FRAME_MAX + 1);
  assert_int_equal(make(&home, &log), MS_OK);
  assert_int_equal(msi_log_append(log, 1, space, (size_t)MSI_FRAME_MAX + 1), MS_ELIMIT);
  for (uint64_t version = 1; version <= 9; version++) {
    assert_int_equal(msi_log_append(log, version, space, MSI_FRAME_MAX), MS_OK);
    reader self = {.largest = 0, .expected = space};
    uint64_t kept = version < 3 ? version : 3;
    assert_true(msi_log_read(log, NULL, version - kept, on_record, &self));
    assert_int_equal(self.last, version);
  }
  free(space);
  msi_log_close(log);
  scratch_close(&home);
}

/* Many laps of random sizes against a model that knows where each version ends. */
static void test_the_ring_keeps_what_fits_through_many_laps(void **state) {
  (void)state;
  enum { VERSIONS = 40000 };
  scratch home;
  scratch_open(&home);
  msi_log *log, *other;
  uint8_t *space = malloc(MSI_FRAME_MAX), *expected = malloc(MSI_FRAME_MAX);
  uint64_t *sum = calloc(VERSIONS + 1, sizeof *sum); /* bytes of the versions up to it */
  uint64_t random = 20261122;
  assert_non_null(space);
  assert_non_null(expected);
  assert_non_null(sum);
  assert_int_equal(make(&home, &log), MS_OK);
  assert_int_equal(look(&home, &other), MS_OK);
  size_t kept_count = 0, lost_count = 0;
  for (uint64_t version = 1; version <= VERSIONS; version++) {
    size_t bytes = content_bytes(version, MSI_FRAME_MAX);
    content_fill(version, space, bytes < 4096 ? bytes : 0);
    assert_int_equal(append_next(log, version, MSI_FRAME_MAX, space), MS_OK);
    sum[version] = sum[version - 1] + ((16 + bytes + 7) & ~UINT64_C(7));
    if (random_next(&random) % 400 != 0) continue;
    uint64_t behind = random_next(&random) % (random_next(&random) % 4 == 0 ? 4000 : 40);
    uint64_t after = version > behind ? version - behind : 0;
    uint64_t asked = sum[version] - sum[after];
    reader self = {.largest = MSI_FRAME_MAX, .expected = expected};
    bool whole = msi_log_read(other, NULL, after, on_record, &self);
    assert_false(self.wrong);
    if (asked > MSI_LOG_CAPACITY) assert_false(whole);
    if (asked <= 2 * (uint64_t)MSI_FRAME_MAX) assert_true(whole);
    if (whole && after < version) assert_int_equal(self.first, after + 1);
    if (whole && after < version) assert_int_equal(self.last, version);
    if (whole)
      kept_count++;
    else
      lost_count++;
  }
  assert_true(sum[VERSIONS] > 5 * (uint64_t)MSI_LOG_CAPACITY);
  assert_true(kept_count > 10);
  assert_true(lost_count > 0);
  free(sum);
  free(space);
  free(expected);
  msi_log_close(other);
  msi_log_close(log);
  scratch_close(&home);
}

/* Shared between the test and the child that writes. */
typedef struct progress {
  _Atomic uint64_t stored;
  size_t largest;
  scratch *home;
} progress;

static int writer(void *ud, int in, int out) {
  progress *shared = ud;
  (void)in;
  msi_log *log;
  uint8_t *space = malloc(shared->largest);
  if (space == NULL || make(shared->home, &log) != MS_OK) return 1;
  msi_log_mark_ready(log, 0, 0);
  child_say(out, 'w');
  for (uint64_t version = 1;; version++) {
    if (append_next(log, version, shared->largest, space) != MS_OK) return 2;
    atomic_store(&shared->stored, version);
  }
}

/* Until the writer has stored that version; it must be alive. */
static void progress_wait(progress *shared, const child *it, uint64_t version) {
  struct pollfd end = {.fd = it->from, .events = POLLIN};
  while (atomic_load(&shared->stored) < version) {
    assert_int_equal(poll(&end, 1, 0), 0);
    sched_yield();
  }
}

static progress *progress_map(scratch *home, size_t largest) {
  progress *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_true(shared != MAP_FAILED);
  atomic_store(&shared->stored, 0);
  shared->largest = largest;
  shared->home = home;
  return shared;
}

static void test_everything_a_killed_writer_stored_is_read(void **state) {
  (void)state;
  uint64_t random = 4711;
  scratch home;
  scratch_open(&home);
  uint8_t *expected = malloc(1 << 20);
  assert_non_null(expected);
  for (int round = 0; round < 25; round++) {
    progress *shared = progress_map(&home, 1 << 20);
    child it = child_start(writer, shared);
    assert_int_equal(child_hear(it.from), 'w');
    uint64_t until = 1 + random_next(&random) % (round % 5 == 0 ? 20000 : 500);
    progress_wait(shared, &it, until);
    assert_int_equal(child_end(&it, SIGKILL), -SIGKILL);
    uint64_t stored = atomic_load(&shared->stored);
    msi_log *log;
    assert_int_equal(look(&home, &log), MS_OK);
    /* What lies within the last frames is there, up to at most one that was not told
     * of. */
    uint64_t bytes = 0, after = stored;
    while (after > 0 && bytes < 40 << 20) bytes += content_bytes(after--, 1 << 20) + 24;
    reader self = {.largest = 1 << 20, .expected = expected};
    assert_true(msi_log_read(log, NULL, after, on_record, &self));
    assert_false(self.wrong);
    assert_int_equal(self.first, after + 1);
    assert_true(self.last == stored || self.last == stored + 1);
    msi_log_close(log);
    munmap(shared, sizeof *shared);
  }
  free(expected);
  scratch_close(&home);
}

static void test_a_reader_beside_a_writer_never_takes_damaged_data(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  uint8_t *expected = malloc(MSI_FRAME_MAX);
  assert_non_null(expected);
  progress *shared = progress_map(&home, MSI_FRAME_MAX);
  child it = child_start(writer, shared);
  assert_int_equal(child_hear(it.from), 'w');
  msi_log *log;
  assert_int_equal(look(&home, &log), MS_OK);
  uint64_t random = 99, records = 0, reads = 0, overtaken = 0, edge = 500;
  for (uint64_t stored = 0; stored < 30000;) {
    progress_wait(shared, &it, stored + 1);
    stored = atomic_load(&shared->stored);
    /* Every other time at the edge of what the writer is just overwriting. */
    uint64_t behind = reads % 2 == 0 ? random_next(&random) % 30 : edge;
    uint64_t after = stored > behind ? stored - behind : 0;
    reader self = {.largest = MSI_FRAME_MAX, .expected = expected, .stop_at = after + 20};
    bool whole = msi_log_read(log, NULL, after, on_record, &self);
    assert_false(self.wrong);
    if (self.first != 0) assert_int_equal(self.first, after + 1);
    if (self.first != 0) records += self.last - self.first + 1;
    if (whole && self.last != after + 20)
      assert_true(self.last >= stored || stored == after);
    if (reads % 2 == 1) edge = whole ? edge + 8 : edge - edge / 16;
    overtaken += !whole;
    reads++;
  }
  assert_int_equal(child_end(&it, SIGKILL), -SIGKILL);
  assert_true(records > 100);
  assert_true(reads > overtaken);
  munmap(shared, sizeof *shared);
  free(expected);
  msi_log_close(log);
  scratch_close(&home);
}

static bool on_any(void *ud, uint64_t version, const uint8_t *data, size_t bytes) {
  uint64_t *sum = ud;
  *sum += version;
  for (size_t i = 0; i < bytes; i++) *sum += data[i];
  return true;
}

static void test_damaged_logs_are_refused_and_never_crash_the_reader(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  msi_log *log, *other;
  uint8_t space[4096];
  uint64_t sum = 0;
  assert_int_equal(make(&home, &log), MS_OK);
  msi_log_mark_ready(log, 0, 0);
  for (uint64_t version = 1; version <= 500; version++) {
    assert_int_equal(append_next(log, version, sizeof space, space), MS_OK);
  }
  msi_log_close(log);
  int fd = openat(home.directory.fd, "arena.3.log", O_RDWR | O_CLOEXEC);
  assert_true(fd >= 0);

  /* A flipped bit in a record that is asked for, here of its checksum, is noticed. */
  uint8_t byte;
  assert_int_equal(pread(fd, &byte, 1, 4096 + 5), 1);
  uint8_t flipped = byte ^ 1;
  assert_int_equal(look(&home, &other), MS_OK);
  assert_true(msi_log_read(other, NULL, 0, on_any, &sum));
  assert_int_equal(pwrite(fd, &flipped, 1, 4096 + 5), 1);
  assert_false(msi_log_read(other, NULL, 0, on_any, &sum));
  assert_int_equal(pwrite(fd, &byte, 1, 4096 + 5), 1);
  assert_true(msi_log_read(other, NULL, 0, on_any, &sum));

  /* Noise in header and ring, at seeded places. */
  uint8_t good[8192], noise[8192];
  assert_int_equal(pread(fd, good, sizeof good, 0), (ssize_t)sizeof good);
  uint64_t random = 5;
  for (int round = 0; round < 3000; round++) {
    memcpy(noise, good, sizeof good);
    for (uint64_t i = random_next(&random) % 6; i < 6; i++) {
      bool header = random_next(&random) % 2 == 0;
      uint64_t at =
          header ? random_next(&random) % 264 : 4096 + random_next(&random) % 4096;
      noise[at] = (uint8_t)random_next(&random);
    }
    assert_int_equal(pwrite(fd, noise, sizeof noise, 0), (ssize_t)sizeof noise);
    msi_log *damaged;
    if (look(&home, &damaged) != MS_OK) continue;
    bool whole = msi_log_read(damaged, NULL, random_next(&random) % 600, on_any, &sum);
    (void)whole; /* noise in records that are skipped goes unnoticed */
    msi_log_close(damaged);
  }
  assert_int_equal(pwrite(fd, good, sizeof good, 0), (ssize_t)sizeof good);
  assert_true(msi_log_read(other, NULL, 0, on_any, &sum));

  /* Cut short after it was mapped, and before. */
  assert_int_equal(ftruncate(fd, 5000), 0);
  msi_log_info info;
  msi_log_inspect(other, &info);
  assert_false(info.exists);
  assert_false(msi_log_read(other, NULL, 0, on_any, &sum));
  msi_log_close(other);
  assert_int_equal(look(&home, &other), MS_EVERSION);
  assert_int_equal(ftruncate(fd, 0), 0);
  assert_int_equal(look(&home, &other), MS_EVERSION);
  close(fd);
  scratch_close(&home);
}

static void
test_logs_of_another_group_or_term_and_foreign_files_are_refused(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  msi_log *log, *other;
  ms_error error;
  assert_int_equal(make(&home, &log), MS_OK);
  assert_int_equal(
      msi_log_open(NULL, &home.directory, NAME, GROUP + 1, TERM, &other, &error),
      MS_EVERSION);
  int at = home.directory.fd;
  assert_int_equal(renameat(at, "arena.3.log", at, "arena.4.log"), 0);
  assert_int_equal(
      msi_log_open(NULL, &home.directory, NAME, GROUP, TERM + 1, &other, &error),
      MS_EVERSION);
  assert_int_equal(symlinkat("arena.4.log", at, "arena.3.log"), 0);
  assert_int_equal(look(&home, &other), MS_EDENIED);
  unlinkat(at, "arena.3.log", 0);
  assert_int_equal(mkfifoat(at, "arena.3.log", 0600), 0);
  assert_int_equal(look(&home, &other), MS_EDENIED);
  unlinkat(at, "arena.3.log", 0);
  assert_int_equal(renameat(at, "arena.4.log", at, "arena.3.log"), 0);
  assert_int_equal(fchmodat(at, "arena.3.log", 0644, 0), 0);
  assert_int_equal(look(&home, &other), MS_EDENIED);

  /* Making it again replaces what is there; who has the old one open keeps it. */
  msi_log *again;
  assert_int_equal(msi_log_append(log, 1, (const uint8_t *)"x", 1), MS_OK);
  assert_int_equal(make(&home, &again), MS_OK);
  uint64_t sum = 0;
  assert_true(msi_log_read(again, NULL, 0, on_any, &sum));
  assert_int_equal(sum, 0);
  assert_true(msi_log_read(log, NULL, 0, on_any, &sum));
  assert_int_equal(sum, 1 + 'x');
  msi_log_close(again);
  msi_log_close(log);
  scratch_close(&home);
}

/* While it reads, so much is stored that the writer laps it. */
typedef struct lapped {
  msi_log *log;
  uint64_t next; /* version to store */
  uint64_t bytes;
  reader seen;
  uint8_t *space;
} lapped;

static bool on_record_then_lap(void *ud, uint64_t version, const uint8_t *data,
                               size_t bytes) {
  lapped *self = ud;
  on_record(&self->seen, version, data, bytes);
  for (uint64_t stored = 0; stored < self->bytes;) {
    stored += content_bytes(self->next, self->seen.largest) + 16;
    ms_status st = append_next(self->log, self->next++, self->seen.largest, self->space);
    if (st != MS_OK) self->seen.wrong = true;
  }
  return true;
}

static void test_a_reader_that_is_lapped_notices(void **state) {
  (void)state;
  enum { LARGEST = 60000 };
  static uint8_t space[LARGEST], expected[LARGEST];
  /* How much is stored during each record that is read: the last ones go over the
   * ring's end. */
  static const uint64_t bytes[] = {100000, 3000000, 30000000, 68000000, 150000000};
  for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
    scratch home;
    scratch_open(&home);
    lapped self = {.next = 1, .space = space};
    msi_log *other;
    assert_int_equal(make(&home, &self.log), MS_OK);
    assert_int_equal(look(&home, &other), MS_OK);
    while (self.next <= 9000) {
      assert_int_equal(append_next(self.log, self.next++, LARGEST, space), MS_OK);
    }
    self.bytes = bytes[i];
    self.seen = (reader){.largest = LARGEST, .expected = expected};
    bool whole = msi_log_read(other, NULL, 8960, on_record_then_lap, &self);
    assert_false(self.seen.wrong);
    assert_int_equal(self.seen.first, 8961);
    assert_int_equal(whole, bytes[i] == 100000);
    if (whole)
      assert_int_equal(self.seen.last, 9000); /* the tail it began with */
    else
      assert_true(self.seen.last < 9000);
    msi_log_close(other);
    msi_log_close(self.log);
    scratch_close(&home);
  }
}

static void test_a_founder_claims_a_term_that_nobody_else_has(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  msi_log *log, *other;
  ms_error error;
  ms_status st = msi_log_found(NULL, &home.directory, NAME, GROUP, TERM, &log, &error);
  assert_int_equal(st, MS_OK);
  st = msi_log_found(NULL, &home.directory, NAME, GROUP, TERM, &other, &error);
  assert_int_equal(st, MS_EBUSY);
  assert_int_equal(look(&home, &other), MS_OK);
  msi_log_close(other);
  msi_log_close(log);
  scratch_close(&home);
}

/* Runs in a child, in a mount namespace of its own with a small file system. Exit
 * status 77: cannot mount here; 0: as expected. */
static int on_a_small_disk(void *ud, int in, int out) {
  scratch *home = ud;
  (void)in;
  (void)out;
  if (unshare(CLONE_NEWNS) != 0 ||
      mount("none", "/", "", MS_REC | MS_PRIVATE, NULL) != 0 ||
      mount("tmpfs", home->path, "tmpfs", 0, "size=4m,mode=0700") != 0) {
    return 77;
  }
  msi_directory directory;
  ms_error error;
  if (msi_directory_open(home->path, false, &directory, &error) != MS_OK) return 1;
  msi_log *log, *second;
  if (msi_log_create(NULL, &directory, NAME, GROUP, TERM, &log, &error) != MS_OK)
    return 2;
  msi_log_mark_ready(log, 0, 0);
  static uint8_t data[100000], expected[100000];
  uint64_t version = 0;
  while (append_next(log, version + 1, sizeof data, data) == MS_OK) {
    if (++version > 1000) return 3;
  }
  if (version < 20) return 4;
  if (msi_log_append(log, version + 1, data, sizeof data) != MS_ELIMIT) return 5;
  reader self = {.largest = sizeof data, .expected = expected};
  if (!msi_log_read(log, NULL, 0, on_record, &self) || self.wrong) return 6;
  if (self.last != version) return 7;
  if (msi_log_create(NULL, &directory, NAME, GROUP, TERM + 1, &second, &error) !=
      MS_ELIMIT) {
    return 8;
  }
  struct stat info;
  if (fstatat(directory.fd, "arena.4.log", &info, 0) == 0) return 9;
  /* Room comes back, and so does the log. */
  if (mount("tmpfs", home->path, "tmpfs", MS_REMOUNT, "size=80m") != 0) return 10;
  if (append_next(log, version + 1, sizeof data, data) != MS_OK) return 11;
  self = (reader){.largest = sizeof data, .expected = expected};
  if (!msi_log_read(log, NULL, version - 3, on_record, &self) || self.wrong) return 12;
  return self.last == version + 1 ? 0 : 13;
}

static void test_a_full_disk_is_a_status_and_stores_nothing(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  child it = child_start(on_a_small_disk, &home);
  int status = child_end(&it, 0);
  scratch_close(&home);
  if (status == 77) skip();
  assert_int_equal(status, 0);
}

static int under_a_file_size_limit(void *ud, int in, int out) {
  const scratch *home = ud;
  (void)in;
  (void)out;
  struct rlimit limit = {1 << 20, 1 << 20};
  if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
  msi_log *log;
  return make(home, &log) == MS_ELIMIT && !scratch_has(home, "arena.3.log") ? 0 : 2;
}

static void test_a_limit_of_file_sizes_is_a_status_and_no_signal(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  child it = child_start(under_a_file_size_limit, &home);
  assert_int_equal(child_end(&it, 0), 0);
  scratch_close(&home);
}

static void test_a_log_in_a_vanished_directory_is_enoent(void **state) {
  (void)state;
  scratch home;
  scratch_open(&home);
  assert_int_equal(rmdir(home.path), 0);
  msi_log *log;
  assert_int_equal(make(&home, &log), MS_ENOENT);
  assert_int_equal(look(&home, &log), MS_ENOENT);
  msi_directory_close(&home.directory);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_new_log_is_empty_and_not_ready),
      cmocka_unit_test(test_records_are_read_from_any_version_on),
      cmocka_unit_test(test_three_maximal_frames_are_kept_and_larger_ones_refused),
      cmocka_unit_test(test_the_ring_keeps_what_fits_through_many_laps),
      cmocka_unit_test(test_everything_a_killed_writer_stored_is_read),
      cmocka_unit_test(test_a_reader_beside_a_writer_never_takes_damaged_data),
      cmocka_unit_test(test_a_reader_that_is_lapped_notices),
      cmocka_unit_test(test_a_founder_claims_a_term_that_nobody_else_has),
      cmocka_unit_test(test_damaged_logs_are_refused_and_never_crash_the_reader),
      cmocka_unit_test(test_logs_of_another_group_or_term_and_foreign_files_are_refused),
      cmocka_unit_test(test_a_full_disk_is_a_status_and_stores_nothing),
      cmocka_unit_test(test_a_limit_of_file_sizes_is_a_status_and_no_signal),
      cmocka_unit_test(test_a_log_in_a_vanished_directory_is_enoent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
