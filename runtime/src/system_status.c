/* Codes of the system and of libuv. On POSIX a libuv status is an errno with its sign
 * turned. */
#include "system_status.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <uv.h>

ms_status msi_from_errno(int code) {
  switch (code) {
    case 0: return MS_OK;
    case EACCES:
    case EPERM:
    case EROFS: return MS_EDENIED;
    case ENOENT: return MS_ENOENT;
    case EMFILE:
    case ENFILE:
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
    case ENAMETOOLONG: return MS_ELIMIT;
    case ENOMEM: return MS_ENOMEM;
    case ETIMEDOUT: return MS_ETIMEDOUT;
    default: return MS_ENOHOST; /* ECONNREFUSED among them */
  }
}

ms_status msi_from_uv(int uv_error) {
  return uv_error >= 0 ? MS_OK : msi_from_errno(-uv_error);
}

ms_status(msi_fail_errno)(ms_error *error, int code, const char *format, ...) {
  char line[MS_MESSAGE_MAX];
  char words[96];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  uv_strerror_r(-code, words, sizeof words);
  return msi_fail(error, msi_from_errno(code), "%s: %s", line, words);
}
