/*
 * The group file (see group.h): locks of open file descriptions and three atomics in a
 * mapped page.
 *
 * What is asked of the kernel never waits. A lock is taken or it is not; who did not get
 * it learns so at once and starts over.
 */
#include "group.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file_lock.h"
#include "fork_guard.h"
#include "fork_page.h"
#include "system_status.h"

enum { GROUP_BYTES = 4096, GROUP_FORMAT = 1, FILE_MODE = 0600 };
static const uint64_t GROUP_MAGIC = UINT64_C(0x70756f7267736d0a); /* "\nmsgroup" */

/* Where the lock bytes of a kind begin. */
#define LOCK_TERM INT64_C(0)
#define LOCK_MEMBER (INT64_C(1) << 61)
#define LOCK_COMPLETE (INT64_C(1) << 62)
#define LOCK_FOUNDING_BYTES ((INT64_C(1) << 61) + 1) /* all complete bytes and one more */

typedef struct group_page {
  uint64_t magic;
  uint64_t format;
  uint64_t id;
  _Atomic uint64_t term;
  _Atomic uint64_t heartbeat;
  _Atomic uint64_t dead; /* 1: replaced, or about to be, under the founding lock */
  uint64_t opening;      /* while term is MSI_TERM_NONE: what it will be */
} group_page;

static_assert(sizeof(group_page) <= GROUP_BYTES, "the page holds the header");
static_assert(sizeof(off_t) == 8, "lock bytes lie far beyond 4 GiB");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "processes share these atomics");

struct msi_group {
  const ms_alloc *alloc;
  int fd;
  group_page *page;
  uint64_t peer;
  msi_fork_guard guard;
};

/* -------------------------------------------------------------------- locks */

/* Another description holds a complete byte; a founder, who holds them all, does not
 * count. */
static bool complete_member_lives(int fd, const group_page *page) {
  int64_t held_bytes;
  if (atomic_load(&page->dead) != 0) return false;
  return msi_file_lock_held(fd, LOCK_COMPLETE, LOCK_FOUNDING_BYTES, &held_bytes) &&
         held_bytes == 1;
}

/* -------------------------------------------------------------------- files */

static bool same_file(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Does `file` in the directory name the inode that is open as fd? */
static bool file_names(const msi_directory *directory, const char *file, int fd) {
  struct stat open_info, named_info;
  return fstat(fd, &open_info) == 0 &&
         fstatat(directory->fd, file, &named_info, AT_SYMLINK_NOFOLLOW) == 0 &&
         same_file(&open_info, &named_info);
}

static ms_status file_check(int fd, const char *file, ms_error *error) {
  struct stat info;
  if (fstat(fd, &info) != 0)
    return msi_fail_errno(error, errno, "cannot examine %s", file);
  if (!S_ISREG(info.st_mode) || info.st_uid != geteuid() ||
      (info.st_mode & 07777) != FILE_MODE) {
    return msi_fail(error, MS_EDENIED, "%s is not a file of this user with mode 0600",
                    file);
  }
  if (info.st_size < GROUP_BYTES) {
    return msi_fail(error, MS_EVERSION, "%s is no group file: %lld bytes", file,
                    (long long)info.st_size);
  }
  return MS_OK;
}

static ms_status page_map(int fd, const char *file, group_page **out, ms_error *error) {
  void *page = mmap(NULL, GROUP_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (page == MAP_FAILED) return msi_fail_errno(error, errno, "cannot map %s", file);
  /* A mapping holds the file, and so its locks, as a descriptor does (see fork_guard.h). */
  msi_fork_page_leave(page, GROUP_BYTES);
  *out = page;
  return MS_OK;
}

static ms_status page_check(const group_page *page, const char *file, ms_error *error) {
  if (page->magic == GROUP_MAGIC && page->format == GROUP_FORMAT && page->id != 0) {
    uint64_t term = atomic_load(&page->term);
    if (term == MSI_TERM_MOVED) return MS_OK;
    if (term == MSI_TERM_NONE) term = page->opening;
    if (term >= 1 && term <= MSI_TERM_MAX) return MS_OK;
  }
  return msi_fail(error, MS_EVERSION,
                  "%s has another format: written by another version, or damaged", file);
}

static bool page_is_open(const group_page *page) {
  uint64_t term = atomic_load(&page->term);
  return term != MSI_TERM_NONE && term != MSI_TERM_MOVED;
}

/* Open, check and map the file under that name. */
static ms_status file_open(const msi_directory *directory, const char *file, int *fd,
                           group_page **page, ms_error *error) {
  *fd = openat(directory->fd, file, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (*fd < 0 && (errno == ELOOP || errno == ENXIO || errno == EISDIR)) {
    return msi_fail(error, MS_EDENIED, "%s is not a regular file", file);
  }
  if (*fd < 0) return msi_fail_errno(error, errno, "cannot open %s", file);
  ms_status st = file_check(*fd, file, error);
  if (st == MS_OK) st = page_map(*fd, file, page, error);
  if (st == MS_OK) {
    st = page_check(*page, file, error);
    if (st == MS_OK) return MS_OK;
    munmap(*page, GROUP_BYTES);
  }
  close(*fd);
  return st;
}

static void file_close(int fd, group_page *page) {
  munmap(page, GROUP_BYTES);
  close(fd);
}

/* ------------------------------------------------------------------ opening */

static ms_status group_new(const ms_alloc *alloc, uint64_t peer, int fd, group_page *page,
                           msi_group **out, ms_error *error) {
  msi_group *group = MSI_NEW(alloc, msi_group);
  if (group == NULL) return msi_fail(error, MS_ENOMEM, "out of memory");
  group->alloc = msi_alloc_resolve(alloc);
  group->fd = fd;
  group->page = page;
  group->peer = peer;
  msi_fork_guard_add(&group->guard, fd);
  *out = group;
  return MS_OK;
}

ms_status msi_group_open(const ms_alloc *alloc, const msi_directory *directory,
                         const char *name, uint64_t peer, msi_group **out, bool *alive,
                         ms_error *error) {
  MSI_ASSERT(peer <= MSI_PEER_ID_MAX);
  char file[MSI_FILE_NAME_MAX];
  msi_directory_group_name(name, file, sizeof file);
  int fd;
  group_page *page;
  ms_status st = file_open(directory, file, &fd, &page, error);
  if (st != MS_OK) return st;
  if (!msi_file_lock_set(fd, F_WRLCK, LOCK_MEMBER + (int64_t)peer, 1)) {
    st = msi_fail(error, MS_EBUSY, "peer id %" PRIu64 " is in use", peer);
  } else if (!file_names(directory, file, fd)) {
    /* Whoever replaced it may have looked before the member lock was there. */
    st = msi_fail(error, MS_EBUSY, "%s was replaced", file);
  } else {
    *alive = complete_member_lives(fd, page);
    /* Of a dead group it does not matter how far it came. */
    st = *alive && !page_is_open(page)
             ? msi_fail(error, MS_EBUSY, "the group of %s is moving", file)
             : group_new(alloc, peer, fd, page, out, error);
  }
  if (st != MS_OK) file_close(fd, page);
  return st;
}

ms_status msi_group_peek(const msi_directory *directory, const char *name,
                         msi_group_glimpse *out, ms_error *error) {
  char file[MSI_FILE_NAME_MAX];
  msi_directory_group_name(name, file, sizeof file);
  int fd;
  group_page *page;
  ms_status st = file_open(directory, file, &fd, &page, error);
  if (st != MS_OK) return st;
  out->group = page->id;
  out->term = atomic_load(&page->term);
  out->alive = complete_member_lives(fd, page);
  file_close(fd, page);
  return MS_OK;
}

/* ----------------------------------------------------------------- founding */

typedef struct term_search {
  const char *name;
  uint64_t highest;
} term_search;

static bool search_file(void *ud, const char *file) {
  term_search *search = ud;
  uint64_t term;
  if (msi_directory_parse_term(file, search->name, &term) && term > search->highest) {
    search->highest = term;
  }
  return true;
}

uint64_t msi_group_first_term(const msi_directory *directory, const char *name,
                              const msi_group *stale) {
  term_search search = {name, 0};
  if (stale != NULL && page_is_open(stale->page)) search.highest = msi_group_term(stale);
  ms_status st = msi_directory_scan(directory, search_file, &search);
  (void)st; /* a name that is taken shows when the log is made */
  /* Only a damaged file comes near the end of the range; its name is taken over. */
  return search.highest < MSI_TERM_MAX / 2 ? search.highest + 1 : 1;
}

/* Write the whole page, so that the disk has room for it before it is mapped. */
static int page_write(int fd, uint64_t id, uint64_t term, uint64_t opening) {
  union {
    group_page page;
    unsigned char bytes[GROUP_BYTES];
  } image;
  memset(&image, 0, sizeof image);
  image.page.magic = GROUP_MAGIC;
  image.page.format = GROUP_FORMAT;
  image.page.id = id;
  atomic_init(&image.page.term, term);
  image.page.opening = opening;
  ssize_t written = pwrite(fd, &image, sizeof image, 0);
  if (written == (ssize_t)sizeof image) return 0;
  return written < 0 ? errno : ENOSPC;
}

/* Make the group under a temporary name with all locks of its host held; `open`: its term
 * stands in it already. */
static ms_status temporary_make(const ms_alloc *alloc, const msi_directory *directory,
                                const char *file, uint64_t peer, uint64_t id,
                                uint64_t term, bool open, msi_group **out,
                                ms_error *error) {
  int fd = openat(directory->fd, file, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                  FILE_MODE);
  if (fd < 0) return msi_fail_errno(error, errno, "cannot make %s", file);
  group_page *page = NULL;
  ms_status st = MS_OK;
  /* The umask may have taken bits away. */
  int code = fchmod(fd, FILE_MODE) != 0 ? errno : 0;
  if (code == 0) code = page_write(fd, id, open ? term : MSI_TERM_NONE, term);
  if (code != 0) {
    st = msi_fail_errno(error, code, "cannot write %s", file);
  } else if (!msi_file_lock_set(fd, F_WRLCK, LOCK_TERM + (int64_t)term, 1) ||
             !msi_file_lock_set(fd, F_WRLCK, LOCK_MEMBER + (int64_t)peer, 1) ||
             !msi_file_lock_set(fd, F_WRLCK, LOCK_COMPLETE + (int64_t)peer, 1)) {
    st = msi_fail_errno(error, errno, "cannot lock %s", file);
  } else {
    st = page_map(fd, file, &page, error);
  }
  if (st == MS_OK) st = group_new(alloc, peer, fd, page, out, error);
  if (st == MS_OK) return MS_OK;
  if (page != NULL) munmap(page, GROUP_BYTES);
  unlinkat(directory->fd, file, 0);
  close(fd);
  return st;
}

/* Take the dead group's file away from `file`. The founding lock is held only in here:
 * between its return and link(2) the name is free for the fastest. */
static ms_status stale_remove(const msi_directory *directory, const char *file,
                              msi_group *stale, ms_error *error) {
  if (!msi_file_lock_set(stale->fd, F_WRLCK, LOCK_COMPLETE, LOCK_FOUNDING_BYTES)) {
    return msi_fail(error, MS_EBUSY, "%s is in use", file);
  }
  ms_status st = MS_OK;
  if (!file_names(directory, file, stale->fd)) {
    st = msi_fail(error, MS_EBUSY, "%s was replaced", file);
  } else {
    atomic_store(&stale->page->dead, 1);
    if (unlinkat(directory->fd, file, 0) != 0) {
      st = msi_fail_errno(error, errno, "cannot replace %s", file);
    }
  }
  msi_file_lock_set(stale->fd, F_UNLCK, LOCK_COMPLETE, LOCK_FOUNDING_BYTES);
  return st;
}

typedef struct leftover_search {
  const msi_directory *directory;
  const char *name;
} leftover_search;

/* Unlink a temporary of a founder that died: nobody holds a lock on it. One that was
 * made an instant ago may not have its locks yet: its maker finds it gone and starts
 * over. */
static bool leftover_file(void *ud, const char *file) {
  const leftover_search *search = ud;
  size_t length = strlen(search->name);
  if (file[0] != '.' || strncmp(file + 1, search->name, length) != 0) return true;
  if (strlen(file) != length + 22 || file[length + 1] != '.')
    return true; /* .name.hex16.tmp */
  if (strcmp(file + length + 18, ".tmp") != 0) return true;
  int fd =
      openat(search->directory->fd, file, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (fd < 0) return true;
  int64_t held_bytes;
  if (!msi_file_lock_held(fd, 0, 0, &held_bytes))
    unlinkat(search->directory->fd, file, 0);
  close(fd);
  return true;
}

static ms_status temporary_publish(const msi_directory *directory, const char *temporary,
                                   const char *file, ms_error *error) {
  if (linkat(directory->fd, temporary, directory->fd, file, 0) == 0) return MS_OK;
  bool outrun = errno == EEXIST || errno == ENOENT;
  return outrun ? msi_fail(error, MS_EBUSY, "%s was made by another process", file)
                : msi_fail_errno(error, errno, "cannot publish %s", file);
}

ms_status msi_group_found(const ms_alloc *alloc, const msi_directory *directory,
                          const char *name, uint64_t peer, uint64_t group, uint64_t term,
                          msi_group *stale, msi_group **out, ms_error *error) {
  MSI_ASSERT(peer <= MSI_PEER_ID_MAX);
  MSI_ASSERT(group != 0);
  MSI_ASSERT(term >= 1 && term <= MSI_TERM_MAX);
  char file[MSI_FILE_NAME_MAX];
  char temporary[MSI_FILE_NAME_MAX];
  msi_directory_group_name(name, file, sizeof file);
  msi_directory_temporary_name(name, temporary, sizeof temporary);
  msi_group *made = NULL;
  ms_status st =
      temporary_make(alloc, directory, temporary, peer, group, term, true, &made, error);
  if (st != MS_OK) return st;
  if (stale != NULL) st = stale_remove(directory, file, stale, error);
  if (st == MS_OK) st = temporary_publish(directory, temporary, file, error);
  unlinkat(directory->fd, temporary, 0);
  if (st != MS_OK) {
    msi_group_close(made);
    return st;
  }
  leftover_search search = {directory, name};
  st = msi_directory_scan(directory, leftover_file, &search);
  (void)st; /* leftovers wait for the next founder */
  *out = made;
  return MS_OK;
}

/* ------------------------------------------------------------------- moving */

/* Make way for the new file of group `id`: a file of a dead group goes, and one of this
 * group that has moved or was never opened. */
static ms_status name_clear(const msi_directory *directory, const char *file, uint64_t id,
                            ms_error *error) {
  int fd;
  group_page *page;
  ms_status st = file_open(directory, file, &fd, &page, error);
  if (st == MS_ENOENT) return MS_OK;
  if (st != MS_OK) return st;
  if (page->id == id) {
    if (unlinkat(directory->fd, file, 0) != 0 && errno != ENOENT) {
      st = msi_fail_errno(error, errno, "cannot replace %s", file);
    }
  } else if (complete_member_lives(fd, page)) {
    st = msi_fail(error, MS_EBUSY, "another group lives under the name of %s", file);
  } else {
    msi_group stale = {.fd = fd, .page = page};
    st = stale_remove(directory, file, &stale, error);
  }
  file_close(fd, page);
  return st;
}

/* The bytes of all candidates after `term`. */
static bool candidates_lock(const msi_group *group, short type, uint64_t term) {
  return msi_file_lock_set(group->fd, type, LOCK_TERM + (int64_t)term + 1,
                           (int64_t)(MSI_TERM_MAX - term));
}

/* From the old file to the published new one. */
static ms_status page_hand_over(group_page *from, group_page *to, uint64_t term) {
  uint64_t expected = term;
  atomic_store(&to->heartbeat, atomic_load(&from->heartbeat));
  if (!atomic_compare_exchange_strong(&from->term, &expected, MSI_TERM_MOVED)) {
    return MS_ENOHOST;
  }
  expected = MSI_TERM_NONE; /* who followed may have opened it, and gone on since */
  (void)atomic_compare_exchange_strong(&to->term, &expected, term);
  return MS_OK;
}

ms_status msi_group_move(const ms_alloc *alloc, const msi_directory *directory,
                         const char *name, msi_group *old, uint64_t term, msi_group **out,
                         ms_error *error) {
  char file[MSI_FILE_NAME_MAX];
  char temporary[MSI_FILE_NAME_MAX];
  msi_directory_group_name(name, file, sizeof file);
  msi_directory_temporary_name(name, temporary, sizeof temporary);
  if (msi_group_term(old) != term)
    return msi_fail(error, MS_ENOHOST, "not host any more");
  if (!candidates_lock(old, F_WRLCK, term)) {
    return msi_fail(error, MS_EBUSY, "a candidate is about to take over");
  }
  msi_group *made = NULL;
  ms_status st = temporary_make(alloc, directory, temporary, old->peer, old->page->id,
                                term, false, &made, error);
  if (st == MS_OK) st = name_clear(directory, file, old->page->id, error);
  if (st == MS_OK) st = temporary_publish(directory, temporary, file, error);
  if (made != NULL) unlinkat(directory->fd, temporary, 0);
  if (st == MS_OK && page_hand_over(old->page, made->page, term) != MS_OK) {
    if (file_names(directory, file, made->fd)) unlinkat(directory->fd, file, 0);
    st = msi_fail(error, MS_ENOHOST, "another host has taken over");
  }
  if (st == MS_OK) {
    *out = made;
    return MS_OK;
  }
  msi_group_close(made);
  candidates_lock(old, F_UNLCK, term);
  return st;
}

static ms_status follower_lock(int fd, group_page *page, uint64_t peer, bool complete,
                               ms_error *error) {
  bool locked =
      msi_file_lock_set(fd, F_WRLCK, LOCK_MEMBER + (int64_t)peer, 1) &&
      (!complete || msi_file_lock_set(fd, F_WRLCK, LOCK_COMPLETE + (int64_t)peer, 1));
  if (!locked || atomic_load(&page->dead) != 0) {
    return msi_fail(error, MS_EBUSY, "the group is being replaced");
  }
  uint64_t expected = MSI_TERM_NONE;
  (void)atomic_compare_exchange_strong(&page->term, &expected, page->opening);
  return MS_OK;
}

ms_status msi_group_follow(const ms_alloc *alloc, const msi_directory *directory,
                           const char *name, const msi_group *old, bool complete,
                           msi_group **out, ms_error *error) {
  MSI_ASSERT(msi_group_term(old) == MSI_TERM_MOVED);
  char file[MSI_FILE_NAME_MAX];
  msi_directory_group_name(name, file, sizeof file);
  int fd;
  group_page *page;
  ms_status st = file_open(directory, file, &fd, &page, error);
  if (st != MS_OK) return st;
  if (page->id != old->page->id) {
    st = msi_fail(error, MS_ENOENT, "%s is of another group", file);
  } else if (atomic_load(&page->term) == MSI_TERM_MOVED) {
    st = msi_fail(error, MS_EBUSY, "the group of %s is moving", file);
  } else {
    st = follower_lock(fd, page, old->peer, complete, error);
  }
  if (st == MS_OK) st = group_new(alloc, old->peer, fd, page, out, error);
  if (st != MS_OK) file_close(fd, page);
  return st;
}

void msi_group_step_out(msi_group *group) {
  (void)msi_file_lock_set(group->fd, F_UNLCK, 0, 0);
}

bool msi_group_has_others(const msi_group *group) {
  int64_t held_bytes;
  return msi_file_lock_held(group->fd, LOCK_MEMBER, 0,
                            &held_bytes); /* complete ones lie above */
}

/* ------------------------------------------------------------------- leaving */

void msi_group_close(msi_group *group) {
  if (group == NULL) return;
  msi_fork_guard_remove(&group->guard);
  file_close(group->fd, group->page);
  MSI_FREE(group->alloc, group);
}

bool msi_group_is_published(const msi_group *group, const msi_directory *directory,
                            const char *name) {
  char path[MSI_FILE_PATH_MAX + MSI_FILE_NAME_MAX];
  char file[MSI_FILE_NAME_MAX];
  msi_directory_group_name(name, file, sizeof file);
  snprintf(path, sizeof path, "%s/%s", directory->path, file);
  struct stat open_info, named_info;
  return fstat(group->fd, &open_info) == 0 && lstat(path, &named_info) == 0 &&
         same_file(&open_info, &named_info);
}

void msi_group_unlink_if_last(msi_group *group, const msi_directory *directory,
                              const char *name) {
  char file[MSI_FILE_NAME_MAX];
  msi_directory_group_name(name, file, sizeof file);
  /* One who opens the file from now on finds that it was replaced, or that nobody lives in
   * it. */
  if (msi_group_has_others(group)) return;
  if (!file_names(directory, file, group->fd)) return;
  if (unlinkat(directory->fd, file, 0) == 0) atomic_store(&group->page->dead, 1);
}

/* -------------------------------------------------------------- page and locks */

uint64_t msi_group_id(const msi_group *group) { return group->page->id; }

uint64_t msi_group_term(const msi_group *group) {
  return atomic_load(&group->page->term);
}

bool msi_group_raise_term(msi_group *group, uint64_t from, uint64_t to) {
  MSI_ASSERT(from < to);
  return atomic_compare_exchange_strong(&group->page->term, &from, to);
}

bool msi_group_term_lock_free(const msi_group *group, uint64_t term) {
  int64_t held_bytes;
  return !msi_file_lock_held(group->fd, LOCK_TERM + (int64_t)term, 1, &held_bytes);
}

bool msi_group_take_term_lock(msi_group *group, uint64_t term) {
  if (term > MSI_TERM_MAX) return false;
  return msi_file_lock_set(group->fd, F_WRLCK, LOCK_TERM + (int64_t)term, 1);
}

void msi_group_drop_term_lock(msi_group *group, uint64_t term) {
  msi_file_lock_set(group->fd, F_UNLCK, LOCK_TERM + (int64_t)term, 1);
}

bool msi_group_mark_complete(msi_group *group) {
  int64_t at = LOCK_COMPLETE + (int64_t)group->peer;
  if (!msi_file_lock_set(group->fd, F_WRLCK, at, 1)) return false;
  /* A founder marks the file before it lets go of this byte: nobody completes after
   * that. */
  if (atomic_load(&group->page->dead) == 0) return true;
  msi_file_lock_set(group->fd, F_UNLCK, at, 1);
  return false;
}

bool msi_group_member_alive(const msi_group *group, uint64_t peer) {
  int64_t held_bytes;
  if (peer > MSI_PEER_ID_MAX) return false;
  return msi_file_lock_held(group->fd, LOCK_MEMBER + (int64_t)peer, 1, &held_bytes);
}

uint64_t msi_group_heartbeat(const msi_group *group) {
  return atomic_load(&group->page->heartbeat);
}

void msi_group_beat(msi_group *group) { atomic_fetch_add(&group->page->heartbeat, 1); }
