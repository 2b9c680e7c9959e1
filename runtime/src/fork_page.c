/* Mappings and fork (see fork_page.h): madvise() on Linux, minherit() on macOS and the BSDs, where macOS knows
 * no inheriting of zeros. */
#include "fork_page.h"

#include <sys/mman.h>

#include "platform.h"

void msi_fork_page_leave(void *page, size_t bytes) {
#if defined(MADV_DONTFORK)
  (void)madvise(page, bytes, MADV_DONTFORK);
#elif defined(INHERIT_NONE)
  (void)minherit(page, bytes, INHERIT_NONE);
#else
  (void)minherit(page, bytes, VM_INHERIT_NONE);
#endif
}

bool msi_fork_page_wipe(void *page, size_t bytes) {
#if MSI_LINUX && defined(MADV_WIPEONFORK)
  return madvise(page, bytes, MADV_WIPEONFORK) == 0;
#elif defined(INHERIT_ZERO)
  return minherit(page, bytes, INHERIT_ZERO) == 0;
#else
  (void)page;
  (void)bytes;
  return false;
#endif
}
