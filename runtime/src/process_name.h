/* The name of this process, as people know it from lists of processes. */
#ifndef MSI_PROCESS_NAME_H
#define MSI_PROCESS_NAME_H

#include <stddef.h>

/* "?" where it cannot be found out. */
void msi_process_name(char *out, size_t bytes);

#endif
