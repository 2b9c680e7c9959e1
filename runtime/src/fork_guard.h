/*
 * Descriptors that a forked child must not keep (for mappings see fork_page.h). While a child that does not call exec holds a lock's
 * file or the end of a link, the kernel does not see that its parent has died, and nobody takes over.
 *
 * fork() asks nobody: pthread_atfork is all there is, and its handlers take no argument. So the list of
 * entries is the one piece of state that belongs to the process; a mutex guards it. Any thread.
 */
#ifndef MSI_FORK_GUARD_H
#define MSI_FORK_GUARD_H

#include "alloc.h"

typedef struct msi_fork_guard {
  int fd; /* -1: none */
  unsigned char *flag;
  struct msi_fork_guard *next;
  struct msi_fork_guard **at; /* what points to this entry; NULL: not listed */
} msi_fork_guard;

/* To be called before the first entry; once is enough. MS_ENOMEM. */
MS_CHECKED ms_status msi_fork_guard_start(void);
/* Children close `fd` from now on. The entry, zeroed before, lies in what owns the descriptor. */
void msi_fork_guard_add(msi_fork_guard *entry, int fd);
/* A byte that children find zero from now on; where the system can do that by itself (fork_page.h) it is done also
 * for children that were made without handlers. */
void msi_fork_guard_add_flag(msi_fork_guard *entry, unsigned char *flag);
/* Before the descriptor is closed, or the byte is gone. Nothing happens to an entry that is not listed. */
void msi_fork_guard_remove(msi_fork_guard *entry);

#endif
