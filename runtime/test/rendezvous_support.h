/* What the tests of files, locks and sockets share: a directory of their own and child
 * processes. */
#ifndef RENDEZVOUS_SUPPORT_H
#define RENDEZVOUS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those first. */
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "directory.h"

enum { CHILD_DEADLINE_S = 60 }; /* a child that hangs ends itself */

typedef struct scratch {
  char path[64];
  msi_directory directory;
} scratch;

static inline void scratch_open(scratch *it) {
  strcpy(it->path, "/tmp/memshare-test-XXXXXX");
  assert_non_null(mkdtemp(it->path));
  ms_error error;
  assert_int_equal(msi_directory_open(it->path, false, &it->directory, &error), MS_OK);
}

static inline void scratch_close(scratch *it) {
  DIR *stream = opendir(it->path);
  const struct dirent *entry;
  while (stream != NULL && (entry = readdir(stream)) != NULL) {
    unlinkat(it->directory.fd, entry->d_name, 0);
  }
  if (stream != NULL) closedir(stream);
  msi_directory_close(&it->directory);
  rmdir(it->path);
}

static inline bool scratch_has(const scratch *it, const char *file) {
  struct stat info;
  return fstatat(it->directory.fd, file, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Files of the directory, dots aside. */
static inline size_t scratch_count(const scratch *it) {
  size_t count = 0;
  DIR *stream = opendir(it->path);
  const struct dirent *entry;
  while (stream != NULL && (entry = readdir(stream)) != NULL) {
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) count++;
  }
  if (stream != NULL) closedir(stream);
  return count;
}

static inline void scratch_put(const scratch *it, const char *file, const void *data,
                               size_t bytes, mode_t mode) {
  int fd = openat(it->directory.fd, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  assert_true(fd >= 0);
  assert_int_equal(fchmod(fd, mode), 0);
  assert_int_equal(write(fd, data, bytes), (ssize_t)bytes);
  close(fd);
}

/* A child process and a pair of pipes to speak with it, one byte at a time. In the
 * child no cmocka assertion is used: it reports by its exit status. */
typedef struct child {
  pid_t pid;
  int to, from;
} child;

typedef int (*child_fn)(void *ud, int in, int out);

static inline child child_start(child_fn fn, void *ud) {
  int down[2], up[2];
  assert_int_equal(pipe2(down, O_CLOEXEC), 0);
  assert_int_equal(pipe2(up, O_CLOEXEC), 0);
  fflush(NULL);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    alarm(CHILD_DEADLINE_S);
    close(down[1]);
    close(up[0]);
    _exit(fn(ud, down[0], up[1]));
  }
  close(down[0]);
  close(up[1]);
  return (child){pid, down[1], up[0]};
}

/* In either process: one byte from the other; -1 when it ended. */
static inline int child_hear(int fd) {
  unsigned char byte;
  ssize_t got;
  do {
    got = read(fd, &byte, 1);
  } while (got < 0 && errno == EINTR);
  return got == 1 ? byte : -1;
}

static inline void child_say(int fd, int byte) {
  unsigned char out = (unsigned char)byte;
  ssize_t put;
  do {
    put = write(fd, &out, 1);
  } while (put < 0 && errno == EINTR);
}

/* Its exit status, or -signal. */
static inline int child_end(child *it, int kill_with) {
  int status = 0;
  if (kill_with != 0) kill(it->pid, kill_with);
  close(it->to);
  close(it->from);
  assert_int_equal(waitpid(it->pid, &status, 0), it->pid);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* xorshift64*: the same seed gives the same run. */
static inline uint64_t random_next(uint64_t *state) {
  *state ^= *state >> 12;
  *state ^= *state << 25;
  *state ^= *state >> 27;
  return *state * UINT64_C(2685821657736338717);
}

#endif
