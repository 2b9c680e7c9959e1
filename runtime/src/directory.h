/*
 * The directory of the shares: where it is, whether it can be trusted, what files a share has in it.
 *
 *   <dir>/<name>.group        group file (group.h)
 *   <dir>/<name>.<term>.log   mapped log of a term (log.h)
 *   <dir>/<name>.<term>.sock  socket of a term's host
 */
#ifndef MSI_DIRECTORY_H
#define MSI_DIRECTORY_H

#include "alloc.h"

enum { MSI_FILE_PATH_MAX = 4096 };

typedef struct msi_directory {
  int fd; /* O_PATH or O_DIRECTORY, close-on-exec; -1 when closed */
  char path[MSI_FILE_PATH_MAX];
} msi_directory;

/* MS_EARGUMENT naming the name: empty, longer than MS_NAME_MAX, other bytes than A-Z a-z 0-9 _ - and
 * inner dots, or a leading dot. */
MS_CHECKED ms_status msi_name_check(const char *name, ms_error *error);
/*
 * Open the directory (dir NULL: $MEMSHARE_DIR, else $XDG_RUNTIME_DIR/memshare, else
 * /tmp/memshare-<uid>), making it with mode 0700 when `create`. Refused with MS_EDENIED and the reason:
 * not a directory, a symbolic link in /tmp, another owner, open to group or others. MS_ENOENT, MS_ELIMIT.
 */
MS_CHECKED ms_status msi_directory_open(const char *dir, bool create, msi_directory *out,
                                        ms_error *error);
void msi_directory_close(msi_directory *directory);
/* File names inside it, written to `out` of at least MS_NAME_MAX + 32 bytes. */
void msi_directory_group_name(const char *name, char *out, size_t bytes);
void msi_directory_log_name(const char *name, uint64_t term, char *out, size_t bytes);
void msi_directory_socket_name(const char *name, uint64_t term, char *out, size_t bytes);
/* Unlink logs and sockets of terms below `term`. */
void msi_directory_sweep(const msi_directory *directory, const char *name, uint64_t term);

#endif
