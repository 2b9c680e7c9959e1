/*
 * The directory of the shares: where it is, whether it can be trusted, what files a share
 * has in it.
 *
 *   <dir>/<name>.group        group file (group.h)
 *   <dir>/<name>.<term>.log   mapped log of a term (log.h)
 *   <dir>/<name>.<term>.sock  socket of a term's host
 *   <dir>/.<name>.<hex>.tmp   a group file or log that is not published yet
 */
#ifndef MSI_DIRECTORY_H
#define MSI_DIRECTORY_H

#include "alloc.h"

enum {
  MSI_FILE_PATH_MAX = 4096,
  MSI_FILE_NAME_MAX = MS_NAME_MAX + 32 /* bytes of a file name in it, NUL included */
};

/* Terms above this are refused in files: names of sockets stay short enough to be
 * bound. */
#define MSI_TERM_MAX ((UINT64_C(1) << 53) - 1)

typedef struct msi_directory {
  int fd;                       /* O_DIRECTORY, close-on-exec; -1 when closed */
  char path[MSI_FILE_PATH_MAX]; /* absolute */
} msi_directory;

/* MS_EARGUMENT naming the name: empty, longer than MS_NAME_MAX, other bytes than A-Z
 * a-z 0-9 _ - and inner dots. */
MS_CHECKED ms_status msi_name_check(const char *name, ms_error *error);
/*
 * Open the directory (dir NULL: $MEMSHARE_DIR, else $XDG_RUNTIME_DIR/memshare, else
 * /tmp/memshare-<uid>), making it with mode 0700 when `create` (its parent must be
 * there). Refused with MS_EDENIED and the reason: not a directory, a symbolic link,
 * another owner, open to group or others. MS_ENOENT, MS_ELIMIT.
 */
MS_CHECKED ms_status msi_directory_open(const char *dir, bool create, msi_directory *out,
                                        ms_error *error);
void msi_directory_close(msi_directory *directory);
/* Does the path still name this directory? */
bool msi_directory_is_current(const msi_directory *directory);
/* File names inside it, written to `out` of at least MSI_FILE_NAME_MAX bytes. */
void msi_directory_group_name(const char *name, char *out, size_t bytes);
void msi_directory_log_name(const char *name, uint64_t term, char *out, size_t bytes);
void msi_directory_socket_name(const char *name, uint64_t term, char *out, size_t bytes);
/* One that nobody else uses; the dot keeps it out of the names of shares. */
void msi_directory_temporary_name(const char *name, char *out, size_t bytes);
/* Is `file` a log or socket of `name`? Then *term is its term. */
bool msi_directory_parse_term(const char *file, const char *name, uint64_t *term);
/* Unlink logs and sockets of terms below `term`. */
void msi_directory_sweep(const msi_directory *directory, const char *name, uint64_t term);
/* Call fn for each file name until it returns false. Files may come and go meanwhile. */
typedef bool (*msi_directory_fn)(void *ud, const char *file);
MS_CHECKED ms_status msi_directory_scan(const msi_directory *directory,
                                        msi_directory_fn fn, void *ud);

#endif
