/* Descriptors that a forked child must not keep (see fork_guard.h). */
#include "fork_guard.h"

#include <pthread.h>
#include <unistd.h>

static pthread_mutex_t guard_lock = PTHREAD_MUTEX_INITIALIZER;
static msi_fork_guard *guard_first; /* under guard_lock */
static pthread_once_t guard_once = PTHREAD_ONCE_INIT;
static int guard_code; /* of pthread_atfork, written once */

static void guard_before(void) { pthread_mutex_lock(&guard_lock); }

static void guard_in_parent(void) { pthread_mutex_unlock(&guard_lock); }

/* Only close(): another thread of the parent may have held any other lock. What stays of the entries is
 * a copy that nobody uses. */
static void guard_in_child(void) {
  for (const msi_fork_guard *entry = guard_first; entry != NULL; entry = entry->next) {
    if (entry->fd >= 0) close(entry->fd);
    if (entry->flag != NULL) *entry->flag = 0;
  }
  guard_first = NULL;
  pthread_mutex_unlock(&guard_lock);
}

static void guard_register(void) {
  guard_code = pthread_atfork(guard_before, guard_in_parent, guard_in_child);
}

ms_status msi_fork_guard_start(void) {
  pthread_once(&guard_once, guard_register);
  return guard_code == 0 ? MS_OK : MS_ENOMEM;
}

static void guard_add(msi_fork_guard *entry, int fd, unsigned char *flag) {
  MSI_ASSERT(entry->at == NULL);
  pthread_mutex_lock(&guard_lock);
  entry->fd = fd;
  entry->flag = flag;
  entry->next = guard_first;
  entry->at = &guard_first;
  if (guard_first != NULL) guard_first->at = &entry->next;
  guard_first = entry;
  pthread_mutex_unlock(&guard_lock);
}

void msi_fork_guard_add(msi_fork_guard *entry, int fd) { guard_add(entry, fd, NULL); }

void msi_fork_guard_add_flag(msi_fork_guard *entry, unsigned char *flag) {
  guard_add(entry, -1, flag);
}

void msi_fork_guard_remove(msi_fork_guard *entry) {
  pthread_mutex_lock(&guard_lock);
  if (entry->at != NULL) {
    *entry->at = entry->next;
    if (entry->next != NULL) entry->next->at = entry->at;
    entry->at = NULL;
  }
  pthread_mutex_unlock(&guard_lock);
}
