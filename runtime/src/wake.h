/* A wake: something that polls readable from when it is raised until it is drained. */
#ifndef MSI_WAKE_H
#define MSI_WAKE_H

#include <stdbool.h>

typedef struct msi_wake {
  int fd;       /* to poll */
  int raise_fd; /* the same where one descriptor does both */
} msi_wake;

#define MSI_WAKE_NONE ((msi_wake){-1, -1})

/* False: no descriptors; *out is MSI_WAKE_NONE then. */
bool msi_wake_open(msi_wake *out);
/* Any thread; safe in a signal handler. Raising it twice is raising it once. */
void msi_wake_raise(const msi_wake *wake);
void msi_wake_drain(const msi_wake *wake);
void msi_wake_close(msi_wake *wake); /* accepts MSI_WAKE_NONE */

#endif
