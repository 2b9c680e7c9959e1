/*
 * The directory of the shares. Whoever can write into it could pose as a host, so it is
 * used only when it belongs to this user and nobody else gets in. All later work goes
 * through its descriptor: the directory that was checked is the one that is used,
 * whatever becomes of its path.
 */
#include "directory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "environment.h"
#include "random.h"
#include "system_status.h"

static bool is_name_byte(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
         (byte >= '0' && byte <= '9') || byte == '_' || byte == '-' || byte == '.';
}

ms_status msi_name_check(const char *name, ms_error *error) {
  if (name == NULL || name[0] == '\0') {
    return msi_fail(error, MS_EARGUMENT, "the name of a share is empty");
  }
  size_t length = strlen(name);
  if (length > MS_NAME_MAX) {
    return msi_fail(error, MS_EARGUMENT, "share name \"%.80s\" is longer than %d bytes",
                    name, MS_NAME_MAX);
  }
  for (size_t i = 0; i < length; i++) {
    if (!is_name_byte(name[i])) {
      return msi_fail(
          error, MS_EARGUMENT,
          "share name \"%s\" has bytes other than letters, digits, _ - and dots", name);
    }
  }
  if (name[0] == '.' || name[length - 1] == '.') {
    return msi_fail(error, MS_EARGUMENT, "share name \"%s\" begins or ends with a dot",
                    name);
  }
  return MS_OK;
}

/* ------------------------------------------------------------------ opening */

/* Where the directory is, before it is made absolute. */
static bool directory_choose(const char *dir, char *out, size_t bytes) {
  int written;
  const char *from;
  if (dir != NULL) {
    written = snprintf(out, bytes, "%s", dir);
  } else if ((from = msi_environment_get("MEMSHARE_DIR")) != NULL && from[0] != '\0') {
    written = snprintf(out, bytes, "%s", from);
  } else if ((from = msi_environment_get("XDG_RUNTIME_DIR")) != NULL && from[0] != '\0') {
    written = snprintf(out, bytes, "%s/memshare", from);
  } else {
    written = snprintf(out, bytes, "/tmp/memshare-%lu", (unsigned long)geteuid());
  }
  return written >= 0 && (size_t)written < bytes;
}

static ms_status directory_locate(const char *dir, char *out, size_t bytes,
                                  ms_error *error) {
  if (!directory_choose(dir, out, bytes)) {
    return msi_fail(error, MS_ELIMIT, "the directory's path is longer than %zu bytes",
                    bytes - 1);
  }
  size_t length = strlen(out);
  if (length == 0) return msi_fail(error, MS_EARGUMENT, "the directory's path is empty");
  /* A final slash would make the kernel follow a symbolic link. */
  while (length > 1 && out[length - 1] == '/') out[--length] = '\0';
  if (out[0] == '/') return MS_OK;
  char here[MSI_FILE_PATH_MAX];
  if (getcwd(here, sizeof here) == NULL) {
    return msi_fail_errno(error, errno, "cannot find the working directory");
  }
  size_t prefix = strlen(here);
  if (prefix + 1 + length + 1 > bytes) {
    return msi_fail(error, MS_ELIMIT, "the directory's path is longer than %zu bytes",
                    bytes - 1);
  }
  memmove(out + prefix + 1, out, length + 1);
  memcpy(out, here, prefix);
  out[prefix] = '/';
  return MS_OK;
}

/* MS_OK when the open directory can be trusted. */
static ms_status directory_check(int fd, const char *path, ms_error *error) {
  struct stat info;
  if (fstat(fd, &info) != 0)
    return msi_fail_errno(error, errno, "cannot examine %s", path);
  if (info.st_uid != geteuid()) {
    return msi_fail(error, MS_EDENIED,
                    "directory %s belongs to user %lu, not to user %lu", path,
                    (unsigned long)info.st_uid, (unsigned long)geteuid());
  }
  if ((info.st_mode & 077) != 0) {
    return msi_fail(
        error, MS_EDENIED,
        "directory %s is open to group or others (mode %04o): it needs mode 0700", path,
        (unsigned)(info.st_mode & 07777));
  }
  return MS_OK;
}

static ms_status directory_refuse(int code, const char *path, ms_error *error) {
  struct stat info;
  if ((code == ENOTDIR || code == ELOOP) && lstat(path, &info) == 0) {
    return msi_fail(error, MS_EDENIED, "%s is %s", path,
                    S_ISLNK(info.st_mode) ? "a symbolic link, which is not followed"
                                          : "not a directory");
  }
  return msi_fail_errno(error, code, "cannot open directory %s", path);
}

ms_status msi_directory_open(const char *dir, bool create, msi_directory *out,
                             ms_error *error) {
  char path[MSI_FILE_PATH_MAX];
  ms_status st = directory_locate(dir, path, sizeof path, error);
  if (st != MS_OK) return st;
  if (create && mkdir(path, 0700) != 0 && errno != EEXIST && errno != EROFS) {
    return msi_fail_errno(error, errno, "cannot make directory %s", path);
  }
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return directory_refuse(errno, path, error);
  st = directory_check(fd, path, error);
  if (st != MS_OK) {
    close(fd);
    return st;
  }
  out->fd = fd;
  memcpy(out->path, path, strlen(path) + 1);
  return MS_OK;
}

void msi_directory_close(msi_directory *directory) {
  if (directory == NULL || directory->fd < 0) return;
  close(directory->fd);
  directory->fd = -1;
}

bool msi_directory_is_current(const msi_directory *directory) {
  struct stat open_info, named_info;
  return fstat(directory->fd, &open_info) == 0 &&
         lstat(directory->path, &named_info) == 0 &&
         open_info.st_dev == named_info.st_dev && open_info.st_ino == named_info.st_ino;
}

/* -------------------------------------------------------------------- names */

static void name_write(char *out, size_t bytes, const char *name, uint64_t term,
                       const char *suffix) {
  int written = snprintf(out, bytes, "%s.%" PRIu64 "%s", name, term, suffix);
  MSI_ASSERT(written > 0 && (size_t)written < bytes);
  (void)written;
}

void msi_directory_group_name(const char *name, char *out, size_t bytes) {
  int written = snprintf(out, bytes, "%s.group", name);
  MSI_ASSERT(written > 0 && (size_t)written < bytes);
  (void)written;
}

void msi_directory_log_name(const char *name, uint64_t term, char *out, size_t bytes) {
  name_write(out, bytes, name, term, ".log");
}

void msi_directory_socket_name(const char *name, uint64_t term, char *out, size_t bytes) {
  name_write(out, bytes, name, term, ".sock");
}

void msi_directory_temporary_name(const char *name, char *out, size_t bytes) {
  uint64_t number = 0;
  if (!msi_random_number_now(&number)) {
    number = (uint64_t)getpid() << 32 ^ (uint64_t)(uintptr_t)out;
  }
  snprintf(out, bytes, ".%s.%016" PRIx64 ".tmp", name, number);
}

bool msi_directory_parse_term(const char *file, const char *name, uint64_t *term) {
  size_t length = strlen(name);
  if (strncmp(file, name, length) != 0 || file[length] != '.') return false;
  const char *at = file + length + 1;
  if (*at < '1' || *at > '9') return false;
  uint64_t number = 0;
  for (; *at >= '0' && *at <= '9'; at++) {
    number = number * 10 + (uint64_t)(*at - '0');
    if (number > MSI_TERM_MAX) return false;
  }
  if (strcmp(at, ".log") != 0 && strcmp(at, ".sock") != 0) return false;
  *term = number;
  return true;
}

/* ----------------------------------------------------------------- scanning */

ms_status msi_directory_scan(const msi_directory *directory, msi_directory_fn fn,
                             void *ud) {
  /* A descriptor of its own: readdir moves the position of the description. */
  int fd = openat(directory->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return msi_from_errno(errno);
  DIR *stream = fdopendir(fd);
  if (stream == NULL) {
    int code = errno;
    close(fd);
    return msi_from_errno(code);
  }
  const struct dirent *entry;
  while ((entry = readdir(stream)) != NULL) {
    if (!fn(ud, entry->d_name)) break;
  }
  closedir(stream);
  return MS_OK;
}

typedef struct directory_broom {
  const msi_directory *directory;
  const char *name;
  uint64_t term;
} directory_broom;

static bool sweep_file(void *ud, const char *file) {
  const directory_broom *broom = ud;
  uint64_t term;
  if (msi_directory_parse_term(file, broom->name, &term) && term < broom->term) {
    unlinkat(broom->directory->fd, file, 0); /* whoever is faster is right */
  }
  return true;
}

void msi_directory_sweep(const msi_directory *directory, const char *name,
                         uint64_t term) {
  directory_broom broom = {directory, name, term};
  ms_status st = msi_directory_scan(directory, sweep_file, &broom);
  (void)st; /* what stays is swept by a later host */
}
