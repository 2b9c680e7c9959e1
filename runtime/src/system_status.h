/* Codes of the system and of libuv become ours here, where they enter. */
#ifndef MSI_SYSTEM_STATUS_H
#define MSI_SYSTEM_STATUS_H

#include "alloc.h"

/* What a number of errno means to us; MS_OK for 0. */
ms_status msi_from_errno(int code);
/* The same for a libuv status: 0 or a negative UV_E... */
ms_status msi_from_uv(int uv_error);
/* Fills *error (may be NULL) with the line and, after a colon, the system's words for
 * `code`. */
ms_status msi_fail_errno(ms_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#ifdef __clang_analyzer__ /* as with msi_fail in alloc.h */
#define msi_fail_errno(error, code, ...)                                                 \
  ((void)msi_fail_errno((error), (code), __VA_ARGS__), MS_ENOHOST)
#endif

#endif
