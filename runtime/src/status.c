/* Statuses by name, and the version. One list in memshare.h makes enum, names and texts.
 * */
#include "memshare.h"

#include <stddef.h>

const char *ms_status_name(ms_status status) {
  switch (status) {
#define STATUS_NAME(id, number, name, text)                                              \
  case id: return name;
    MS_STATUS_LIST(STATUS_NAME)
#undef STATUS_NAME
  }
  return "EUNKNOWN";
}

const char *ms_status_text(ms_status status) {
  switch (status) {
#define STATUS_TEXT(id, number, name, text)                                              \
  case id: return text;
    MS_STATUS_LIST(STATUS_TEXT)
#undef STATUS_TEXT
  }
  return "unknown status";
}

const char *ms_version(void) { return MS_VERSION_TEXT; }
