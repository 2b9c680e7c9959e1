/*
 * The mapped log (see log.h). One writer, any number of readers in other processes.
 *
 *   record           | bytes | checksum | version          | data ... | padding to 8 |
 *   filler           | ~0    | 0        |   up to the ring's end
 *
 * The writer trusts its own copies of head and tail; what it reads back from the ring
 * (lengths, to move head) is checked, since another process could have scribbled on it. A
 * reader trusts nothing.
 */
#include "log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buffer.h"
#include "file_space.h"
#include "system_status.h"

enum {
  LOG_FORMAT = 1,
  HEADER_BYTES = 4096,
  RECORD_BYTES = 16, /* in front of the data */
  STEP_BYTES_MIN =
      64 << 10, /* blocks are allocated this far ahead at first, since founding waits */
  STEP_BYTES_MAX = 1 << 20, /* and this far later on */
  READ_TRIES = 64           /* a writer that laps the reader this often wins */
};
static const uint64_t LOG_MAGIC = UINT64_C(0x676f6c72736d0a0a); /* "\n\nmsrlog" */
static const uint32_t FILLER = UINT32_MAX;

typedef enum log_fate { LOG_GOES_ON, LOG_MOVED, LOG_ENDED } log_fate;

/* Head and tail have cache lines of their own, away from what readers look at once. */
typedef struct log_page {
  _Atomic uint64_t magic; /* stored last */
  uint64_t format;
  uint64_t group;
  uint64_t term;
  uint64_t capacity;
  _Atomic uint64_t base;
  _Atomic uint64_t ready;
  _Atomic uint64_t previous;
  _Atomic uint64_t fate; /* log_fate */
  uint64_t pad_to_128[7];
  _Atomic uint64_t tail;
  uint64_t pad_to_256[15];
  _Atomic uint64_t head;
} log_page;

static_assert(sizeof(log_page) <= HEADER_BYTES, "the header holds the page");
static_assert(offsetof(log_page, tail) == 128, "tail has its own cache line");
static_assert(offsetof(log_page, head) == 256, "head has its own cache line");
static_assert(MSI_LOG_CAPACITY % 8 == 0, "records are 8-byte aligned");
static_assert(MSI_LOG_CAPACITY >= 3 * (MSI_FRAME_MAX + 64),
              "DESIGN: three maximal frames");

struct msi_log {
  const ms_alloc *alloc;
  int fd;
  bool writes;
  uint64_t capacity;
  log_page *page; /* the whole mapping begins here */
  uint8_t *ring;
  /* The writer's own. */
  uint64_t head, tail;
  uint64_t allocated; /* bytes of the ring that have blocks, from its start */
};

static uint64_t record_span(uint64_t bytes) {
  return (RECORD_BYTES + bytes + 7) & ~UINT64_C(7);
}

/* Not for security: tells a record from what a reader sees while it is overwritten. */
static uint32_t record_checksum(uint64_t position, uint64_t version, const uint8_t *data,
                                size_t bytes) {
  const uint64_t factor = UINT64_C(0x9e3779b97f4a7c15);
  uint64_t hash = (position ^ (version * factor) ^ ((uint64_t)bytes << 32)) * factor;
  while (bytes > 0) {
    uint64_t word = 0;
    size_t take = bytes < sizeof word ? bytes : sizeof word;
    memcpy(&word, data, take);
    hash = (hash ^ word) * factor;
    hash ^= hash >> 32;
    data += take;
    bytes -= take;
  }
  return (uint32_t)(hash ^ (hash >> 32));
}

/* -------------------------------------------------------------------- blocks */

static uint64_t step_bytes(uint64_t allocated) {
  if (allocated < STEP_BYTES_MIN) return STEP_BYTES_MIN;
  return allocated < STEP_BYTES_MAX ? allocated : STEP_BYTES_MAX;
}

/* The ring has blocks up to `end`, or MS_ELIMIT. */
static ms_status log_allocate(msi_log *log, uint64_t end) {
  if (end <= log->allocated) return MS_OK;
  const uint64_t need = end - log->allocated;
  uint64_t ahead = need + step_bytes(log->allocated);
  if (ahead > log->capacity - log->allocated) ahead = log->capacity - log->allocated;
  int code = msi_file_space_take(log->fd, HEADER_BYTES + log->allocated, ahead);
  if (code == ENOSPC && ahead > need) {
    ahead = need; /* the disk is nearly full: what is needed may still fit */
    code = msi_file_space_take(log->fd, HEADER_BYTES + log->allocated, ahead);
  }
  if (code != 0) return MS_ELIMIT;
  log->allocated += ahead;
  return MS_OK;
}

/* ------------------------------------------------------------ making, opening */

static ms_status log_map(msi_log *log, const char *file, ms_error *error) {
  int protection = log->writes ? PROT_READ | PROT_WRITE : PROT_READ;
  void *at = mmap(NULL, (size_t)(HEADER_BYTES + log->capacity), protection, MAP_SHARED,
                  log->fd, 0);
  if (at == MAP_FAILED) return msi_fail_errno(error, errno, "cannot map %s", file);
  /* A fault reads ahead, megabytes where the disk is set so; of a new log it would zero them all,
   * which was most of the time of a takeover. Only speed hangs on this. */
  (void)madvise(at, (size_t)(HEADER_BYTES + log->capacity), MADV_RANDOM);
  log->page = at;
  log->ring = (uint8_t *)at + HEADER_BYTES;
  return MS_OK;
}

/* Growing a file beyond RLIMIT_FSIZE raises SIGXFSZ, which would end the host program. */
static bool size_is_allowed(uint64_t bytes) {
  struct rlimit limit;
  return getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
         limit.rlim_cur >= bytes;
}

/* An open file of its full size with the first blocks. */
static ms_status file_make(const msi_directory *directory, const char *file, bool replace,
                           int *out, ms_error *error) {
  const uint64_t bytes = HEADER_BYTES + (uint64_t)MSI_LOG_CAPACITY;
  if (!size_is_allowed(bytes)) {
    return msi_fail(error, MS_ELIMIT,
                    "%s needs %" PRIu64 " bytes, above the limit of file sizes", file,
                    bytes);
  }
  if (replace && unlinkat(directory->fd, file, 0) != 0 && errno != ENOENT) {
    return msi_fail_errno(error, errno, "cannot replace %s", file);
  }
  int fd = openat(directory->fd, file, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                  0600);
  if (fd < 0 && errno == EEXIST) {
    return msi_fail(error, MS_EBUSY, "%s is made by another process", file);
  }
  if (fd < 0) return msi_fail_errno(error, errno, "cannot make %s", file);
  int code = 0;
  if (fchmod(fd, 0600) != 0 || ftruncate(fd, (off_t)bytes) != 0) code = errno;
  if (code == 0) code = msi_file_space_take(fd, 0, HEADER_BYTES);
  if (code == 0) {
    *out = fd;
    return MS_OK;
  }
  unlinkat(directory->fd, file, 0);
  close(fd);
  return msi_fail_errno(error, code, "cannot make %s of %" PRIu64 " bytes", file, bytes);
}

/* A log without its header, its ring allocated up to `bytes`. */
static ms_status log_prepare(const ms_alloc *alloc, const msi_directory *directory,
                             const char *file, bool replace, uint64_t bytes,
                             msi_log **out, ms_error *error) {
  msi_log *log = MSI_NEW(alloc, msi_log);
  if (log == NULL) return msi_fail(error, MS_ENOMEM, "out of memory");
  log->alloc = msi_alloc_resolve(alloc);
  log->writes = true;
  log->capacity = MSI_LOG_CAPACITY;
  ms_status st = file_make(directory, file, replace, &log->fd, error);
  if (st != MS_OK) {
    MSI_FREE(alloc, log);
    return st;
  }
  st = log_allocate(log, bytes);
  if (st != MS_OK) st = msi_fail(error, st, "no space on the disk for %s", file);
  if (st == MS_OK) st = log_map(log, file, error);
  if (st != MS_OK) {
    unlinkat(directory->fd, file, 0);
    msi_log_close(log);
    return st;
  }
  *out = log;
  return MS_OK;
}

static ms_status log_make(const ms_alloc *alloc, const msi_directory *directory,
                          const char *name, uint64_t group, uint64_t term, bool replace,
                          msi_log **out, ms_error *error) {
  char file[MSI_FILE_NAME_MAX];
  msi_directory_log_name(name, term, file, sizeof file);
  msi_log *log = NULL;
  ms_status st =
      log_prepare(alloc, directory, file, replace, STEP_BYTES_MIN, &log, error);
  if (st != MS_OK) return st;
  log->page->format = LOG_FORMAT;
  log->page->group = group;
  log->page->term = term;
  log->page->capacity = log->capacity;
  atomic_store(&log->page->magic, LOG_MAGIC);
  *out = log;
  return MS_OK;
}

ms_status msi_log_create(const ms_alloc *alloc, const msi_directory *directory,
                         const char *name, uint64_t group, uint64_t term, msi_log **out,
                         ms_error *error) {
  return log_make(alloc, directory, name, group, term, true, out, error);
}

ms_status msi_log_found(const ms_alloc *alloc, const msi_directory *directory,
                        const char *name, uint64_t group, uint64_t term, msi_log **out,
                        ms_error *error) {
  return log_make(alloc, directory, name, group, term, false, out, error);
}

ms_status msi_log_copy(const msi_log *from, const msi_directory *directory,
                       const char *name, msi_log **out, ms_error *error) {
  MSI_ASSERT(from->writes);
  char file[MSI_FILE_NAME_MAX];
  char temporary[MSI_FILE_NAME_MAX];
  msi_directory_log_name(name, from->page->term, file, sizeof file);
  msi_directory_temporary_name(name, temporary, sizeof temporary);
  msi_log *log = NULL;
  ms_status st =
      log_prepare(from->alloc, directory, temporary, true, from->allocated, &log, error);
  if (st != MS_OK) return st;
  memcpy(log->ring, from->ring, (size_t)from->allocated);
  memcpy(log->page, from->page, HEADER_BYTES);
  log->head = from->head;
  log->tail = from->tail;
  if (renameat(directory->fd, temporary, directory->fd, file) == 0) {
    *out = log;
    return MS_OK;
  }
  st = msi_fail_errno(error, errno, "cannot make %s", file);
  unlinkat(directory->fd, temporary, 0);
  msi_log_close(log);
  return st;
}

void msi_log_mark_moved(msi_log *log) {
  MSI_ASSERT(log->writes);
  atomic_store(&log->page->fate, LOG_MOVED);
}

void msi_log_mark_ended(msi_log *log) {
  MSI_ASSERT(log->writes);
  atomic_store(&log->page->fate, LOG_ENDED);
}

bool msi_log_has_moved(const msi_log *log) {
  return atomic_load(&log->page->fate) != LOG_GOES_ON;
}

bool msi_log_has_ended(const msi_log *log) {
  return atomic_load(&log->page->fate) == LOG_ENDED;
}

uint64_t msi_log_term(const msi_log *log) { return log->page->term; }

bool msi_log_is_named(const msi_log *log, const msi_directory *directory,
                      const char *name) {
  char file[MSI_FILE_NAME_MAX];
  struct stat open_info, named_info;
  msi_directory_log_name(name, log->page->term, file, sizeof file);
  return fstat(log->fd, &open_info) == 0 &&
         fstatat(directory->fd, file, &named_info, AT_SYMLINK_NOFOLLOW) == 0 &&
         open_info.st_dev == named_info.st_dev && open_info.st_ino == named_info.st_ino;
}

/* The file can be mapped and read without SIGBUS as long as nobody cuts it. */
static bool file_is_whole(int fd, uint64_t capacity) {
  struct stat info;
  return fstat(fd, &info) == 0 && (uint64_t)info.st_size >= HEADER_BYTES + capacity;
}

static ms_status file_check(int fd, const char *file, uint64_t group, uint64_t term,
                            uint64_t *capacity, ms_error *error) {
  struct stat info;
  if (fstat(fd, &info) != 0)
    return msi_fail_errno(error, errno, "cannot examine %s", file);
  if (!S_ISREG(info.st_mode) || info.st_uid != geteuid() ||
      (info.st_mode & 07777) != 0600) {
    return msi_fail(error, MS_EDENIED, "%s is not a file of this user with mode 0600",
                    file);
  }
  log_page page;
  if (pread(fd, &page, sizeof page, 0) == (ssize_t)sizeof page &&
      atomic_load(&page.magic) == LOG_MAGIC && page.format == LOG_FORMAT &&
      page.group == group && page.term == term && page.capacity % 8 == 0 &&
      page.capacity > RECORD_BYTES && page.capacity <= (uint64_t)info.st_size &&
      file_is_whole(fd, page.capacity)) {
    *capacity = page.capacity;
    return MS_OK;
  }
  return msi_fail(error, MS_EVERSION, "%s is not the log of this group and term", file);
}

ms_status msi_log_open(const ms_alloc *alloc, const msi_directory *directory,
                       const char *name, uint64_t group, uint64_t term, msi_log **out,
                       ms_error *error) {
  char file[MSI_FILE_NAME_MAX];
  msi_directory_log_name(name, term, file, sizeof file);
  int fd = openat(directory->fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0 && (errno == ELOOP || errno == ENXIO)) {
    return msi_fail(error, MS_EDENIED, "%s is not a regular file", file);
  }
  if (fd < 0) return msi_fail_errno(error, errno, "cannot open %s", file);
  msi_log *log = MSI_NEW(alloc, msi_log);
  if (log == NULL) {
    close(fd);
    return msi_fail(error, MS_ENOMEM, "out of memory");
  }
  log->alloc = msi_alloc_resolve(alloc);
  log->fd = fd;
  ms_status st = file_check(fd, file, group, term, &log->capacity, error);
  if (st == MS_OK) st = log_map(log, file, error);
  if (st != MS_OK) {
    msi_log_close(log);
    return st;
  }
  *out = log;
  return MS_OK;
}

void msi_log_close(msi_log *log) {
  if (log == NULL) return;
  if (log->page != NULL) munmap(log->page, (size_t)(HEADER_BYTES + log->capacity));
  close(log->fd);
  MSI_FREE(log->alloc, log);
}

/* ------------------------------------------------------------------- writing */

void msi_log_inspect(const msi_log *log, msi_log_info *out) {
  *out = (msi_log_info){.exists = file_is_whole(log->fd, log->capacity)};
  if (!out->exists) return;
  out->ready = atomic_load(&log->page->ready) == 1;
  out->base = out->ready ? atomic_load(&log->page->base) : 0;
  out->previous = out->ready ? atomic_load(&log->page->previous) : 0;
}

void msi_log_mark_ready(msi_log *log, uint64_t base, uint64_t previous) {
  MSI_ASSERT(log->writes);
  atomic_store(&log->page->base, base);
  atomic_store(&log->page->previous, previous);
  atomic_store(&log->page->ready, 1);
}

/* Move head to the first record at or above `least`. Lengths that make no sense were
 * not written by us: then everything older is given up. */
static void head_advance(msi_log *log, uint64_t least) {
  uint64_t head = log->head;
  if (head >= least) return;
  while (head < least) {
    uint64_t offset = head % log->capacity;
    uint32_t bytes;
    memcpy(&bytes, log->ring + offset, sizeof bytes);
    uint64_t span = bytes == FILLER ? log->capacity - offset : record_span(bytes);
    if (span > log->tail - head) span = log->tail - head;
    head += span;
  }
  log->head = head;
  atomic_store(&log->page->head, head);
  /* No byte of the new record becomes visible before the new head. */
  atomic_thread_fence(memory_order_seq_cst);
}

ms_status msi_log_append(msi_log *log, uint64_t version, const uint8_t *data,
                         size_t bytes) {
  MSI_ASSERT(log->writes);
  if (bytes > MSI_FRAME_MAX) return MS_ELIMIT;
  const uint64_t span = record_span(bytes);
  uint64_t position = log->tail;
  uint64_t offset = position % log->capacity;
  uint64_t rest = log->capacity - offset;
  bool fills = span > rest;
  /* A filler's head is 8 bytes, and offsets are 8-byte aligned: it always fits. */
  ms_status st = log_allocate(log, offset + (fills ? 8 : span));
  if (st == MS_OK && fills) st = log_allocate(log, span);
  if (st != MS_OK) return st;
  if (fills) position += rest;
  uint64_t tail = position + span;
  if (tail > log->capacity) head_advance(log, tail - log->capacity);
  if (fills) {
    const uint32_t filler[2] = {FILLER, 0};
    memcpy(log->ring + offset, filler, sizeof filler);
    offset = 0;
  }
  uint8_t *at = log->ring + offset;
  const uint32_t front[2] = {(uint32_t)bytes,
                             record_checksum(position, version, data, bytes)};
  memcpy(at, front, sizeof front);
  memcpy(at + sizeof front, &version, sizeof version);
  if (bytes > 0) memcpy(at + RECORD_BYTES, data, bytes);
  log->tail = tail;
  atomic_store(&log->page->tail, tail);
  return MS_OK;
}

/* ------------------------------------------------------------------- reading */

typedef enum walk_end {
  WALK_DONE,
  WALK_OVERTAKEN, /* the writer went on over the place where we read */
  WALK_DAMAGED
} walk_end;

typedef struct log_record {
  bool is_filler;
  uint32_t bytes, checksum;
  uint64_t version;
  uint64_t span;
} log_record;

/* Was the record at `position` still whole when the reads before this call happened? */
static bool log_kept(const msi_log *log, uint64_t position) {
  atomic_thread_fence(memory_order_acquire);
  return atomic_load(&log->page->head) <= position;
}

static walk_end record_read(const msi_log *log, uint64_t position, uint64_t tail,
                            log_record *out) {
  uint64_t offset = position % log->capacity;
  uint64_t rest = log->capacity - offset;
  uint32_t front[2];
  memset(out, 0, sizeof *out);
  memcpy(front, log->ring + offset, sizeof front);
  if (rest >= RECORD_BYTES) {
    memcpy(&out->version, log->ring + offset + sizeof front, sizeof out->version);
  }
  if (!log_kept(log, position)) return WALK_OVERTAKEN;
  out->is_filler = front[0] == FILLER;
  out->bytes = front[0];
  out->checksum = front[1];
  out->span = out->is_filler ? rest : record_span(out->bytes);
  if (!out->is_filler && out->bytes > MSI_FRAME_MAX) return WALK_DAMAGED;
  return out->span <= rest && out->span <= tail - position ? WALK_DONE : WALK_DAMAGED;
}

static walk_end record_copy(const msi_log *log, uint64_t position,
                            const log_record *record, msi_buffer *copy) {
  msi_buffer_clear(copy);
  const uint8_t *data = log->ring + position % log->capacity + RECORD_BYTES;
  if (msi_buffer_append(copy, data, record->bytes) != MS_OK) return WALK_DAMAGED;
  if (!log_kept(log, position)) return WALK_OVERTAKEN;
  uint32_t checksum =
      record_checksum(position, record->version, copy->data, record->bytes);
  return checksum == record->checksum ? WALK_DONE : WALK_DAMAGED;
}

typedef struct log_walk {
  const msi_log *log;
  uint64_t last; /* the version before the next one to pass on */
  msi_log_fn fn;
  void *ud;
  msi_buffer copy;
} log_walk;

static walk_end walk_once(log_walk *walk) {
  const msi_log *log = walk->log;
  uint64_t position = atomic_load(&log->page->head);
  uint64_t tail = atomic_load(&log->page->tail);
  if (position > tail || position % 8 != 0 || tail % 8 != 0) return WALK_DAMAGED;
  if (tail - position > log->capacity) return WALK_OVERTAKEN;
  uint64_t before = 0; /* version of the record before; 0: none */
  while (position < tail) {
    log_record record;
    walk_end end = record_read(log, position, tail, &record);
    if (end != WALK_DONE) return end;
    if (!record.is_filler) {
      if (before != 0 && record.version != before + 1) return WALK_DAMAGED;
      before = record.version;
    }
    if (!record.is_filler && record.version > walk->last) {
      if (record.version != walk->last + 1)
        return WALK_DAMAGED; /* some were overwritten */
      end = record_copy(log, position, &record, &walk->copy);
      if (end != WALK_DONE) return end;
      if (!walk->fn(walk->ud, record.version, walk->copy.data, record.bytes))
        return WALK_DONE;
      walk->last = record.version;
    }
    position += record.span;
  }
  return WALK_DONE;
}

bool msi_log_read(const msi_log *log, const ms_alloc *alloc, uint64_t after,
                  msi_log_fn fn, void *ud) {
  msi_log_info info;
  msi_log_inspect(log, &info);
  if (!info.exists || (info.ready && info.base > after)) return false;
  log_walk walk = {.log = log, .last = after, .fn = fn, .ud = ud};
  msi_buffer_init(&walk.copy, alloc);
  walk_end end = WALK_OVERTAKEN;
  for (int i = 0; i < READ_TRIES && end == WALK_OVERTAKEN; i++) {
    end = walk_once(&walk);
  }
  msi_buffer_fini(&walk.copy);
  return end == WALK_DONE;
}
