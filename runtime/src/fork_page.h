/* What a forked child finds of a mapping: nothing, or zeros. */
#ifndef MSI_FORK_PAGE_H
#define MSI_FORK_PAGE_H

#include <stdbool.h>
#include <stddef.h>

/* A child does not have it: a mapping keeps its file open, and with it the file's locks. */
void msi_fork_page_leave(void *page, size_t bytes);
/* A child reads zeros. False: this system cannot; then msi_fork_guard_add_flag() does it. */
bool msi_fork_page_wipe(void *page, size_t bytes);

#endif
