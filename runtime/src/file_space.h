/* Room on the disk for a part of a file, so that writing to a mapping of it cannot fail. */
#ifndef MSI_FILE_SPACE_H
#define MSI_FILE_SPACE_H

#include <stdint.h>

/* The part reads as zeros and was not written to yet. 0 or errno: ENOSPC, EFBIG, EIO. */
int msi_file_space_take(int fd, uint64_t offset, uint64_t bytes);

#endif
