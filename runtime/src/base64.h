/* Bytes as base64 text (RFC 4648, with padding), for what JSON cannot hold. */
#ifndef MSI_BASE64_H
#define MSI_BASE64_H

#include "buffer.h"

/* Appends the text. MS_ENOMEM. */
MS_CHECKED ms_status msi_base64_write(msi_buffer *out, const char *bytes, size_t length);
/* Appends the bytes; MS_EARGUMENT unless the text is what msi_base64_write() makes of
 * them. */
MS_CHECKED ms_status msi_base64_read(msi_buffer *out, const char *text, size_t length);

#endif
