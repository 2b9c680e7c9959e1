/*
 * Locks on bytes of a file that belong to an open file description: they end with the last descriptor of it,
 * hence with its process, and do not end when another descriptor of the same file is closed. Classic POSIX
 * locks, which do, cannot stand in for them.
 */
#ifndef MSI_FILE_LOCK_H
#define MSI_FILE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

/* type: F_WRLCK, F_RDLCK or F_UNLCK. Never waits: false when somebody else holds a byte of the range. */
bool msi_file_lock_set(int fd, short type, int64_t start, int64_t bytes);
/* Does another description hold a byte of the range? *held_bytes: the length of a lock found there. A
 * kernel that cannot answer counts as "held": then nothing is replaced. */
bool msi_file_lock_held(int fd, int64_t start, int64_t bytes, int64_t *held_bytes);

#endif
