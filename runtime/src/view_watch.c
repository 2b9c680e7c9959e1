/*
 * Watches: who keeps copies of what it has read hears at once when the view changes. Owner's side.
 *
 * A view's number tells the same to whoever asks; a watch is for those who cannot ask at each read,
 * such as a table of Lua that answers by itself.
 */
#include "share.h"

void ms_share_watch_view(ms_share *share, ms_view_watch *watch) {
  watch->next = share->watches;
  share->watches = watch;
}

void ms_share_unwatch_view(ms_share *share, const ms_view_watch *watch) {
  ms_view_watch **at = &share->watches;
  while (*at != NULL && *at != watch) at = &(*at)->next;
  if (*at != NULL) *at = watch->next;
}

void msi_share_changed(ms_share *share, bool by_write) {
  ms_view_watch **at = &share->watches;
  while (*at != NULL) {
    ms_view_watch *watch = *at;
    if (watch->changed(watch->ud, by_write)) {
      at = &watch->next;
    } else {
      *at = watch->next;
    }
  }
}
