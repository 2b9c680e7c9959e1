/* The mailbox (see mailbox.h): a sliding array, compacted when it runs into its end. */
#include "mailbox.h"

#include <string.h>

static void refusal_free(const ms_alloc *alloc, msi_refusal *refusal) {
  if (refusal == NULL) return;
  ms_path_release(refusal->path);
  MSI_FREE(alloc, refusal);
}

static void event_drop(msi_mailbox *mailbox, msi_mail *mail) {
  msi_event *event = &mail->events[mail->event_first++];
  mailbox->event_bytes -= event->update->wire_bytes;
  ms_update_release(event->update);
}

static void mail_fini(msi_mailbox *mailbox, msi_mail *mail) {
  const ms_alloc *alloc = mailbox->alloc;
  while (mail->event_first < mail->event_end) event_drop(mailbox, mail);
  msi_alloc_free(alloc, mail->events, mail->event_capacity * sizeof *mail->events);
  ms_update_release(mail->patch.update);
  refusal_free(alloc, mail->refusal);
  msi_alloc_free(alloc, mail->member, sizeof *mail->member);
  msi_grave_bury(mailbox->grave, mail->root);
  ms_value_release(mail->desk);
  msi_alloc_free(alloc, mail->rejected, mail->rejected_count * sizeof *mail->rejected);
  msi_alloc_free(alloc, mail->settled, mail->settled_capacity * sizeof *mail->settled);
}

void msi_mailbox_init(msi_mailbox *mailbox, const ms_alloc *alloc) {
  memset(mailbox, 0, sizeof *mailbox);
  mailbox->alloc = alloc;
}

void msi_mailbox_clear(msi_mailbox *mailbox) {
  while (mailbox->count > 0) msi_mailbox_pop(mailbox);
  mailbox->broken = false;
}

void msi_mailbox_fini(msi_mailbox *mailbox) {
  msi_mailbox_clear(mailbox);
  msi_alloc_free(mailbox->alloc, mailbox->items,
                 mailbox->capacity * sizeof *mailbox->items);
  mailbox->items = NULL;
  mailbox->capacity = 0;
}

msi_mail *msi_mailbox_first(msi_mailbox *mailbox) {
  return mailbox->count == 0 ? NULL : &mailbox->items[mailbox->first];
}

void msi_mailbox_pop(msi_mailbox *mailbox) {
  mail_fini(mailbox, &mailbox->items[mailbox->first]);
  mailbox->first++;
  mailbox->count--;
  if (mailbox->count == 0) mailbox->first = 0;
}

/* A zeroed item at the end; NULL without memory. */
static msi_mail *mailbox_add(msi_mailbox *mailbox) {
  if (mailbox->first + mailbox->count == mailbox->capacity) {
    if (mailbox->first > mailbox->capacity / 2) {
      memmove(mailbox->items, mailbox->items + mailbox->first,
              mailbox->count * sizeof *mailbox->items);
      mailbox->first = 0;
    } else {
      size_t capacity = mailbox->capacity == 0 ? 16 : mailbox->capacity * 2;
      msi_mail *items =
          msi_alloc_resize(mailbox->alloc, mailbox->items,
                           mailbox->capacity * sizeof *items, capacity * sizeof *items);
      if (items == NULL) return NULL;
      mailbox->items = items;
      mailbox->capacity = capacity;
    }
  }
  msi_mail *mail = &mailbox->items[mailbox->first + mailbox->count++];
  memset(mail, 0, sizeof *mail);
  return mail;
}

static void mailbox_drop_last(msi_mailbox *mailbox) {
  mailbox->count--;
  mail_fini(mailbox, &mailbox->items[mailbox->first + mailbox->count]);
}

/* ------------------------------------------------------------------- melting */

static bool melted_settle(const ms_alloc *alloc, msi_mail *mail, uint64_t number,
                          uint64_t version) {
  if (mail->settled_count == mail->settled_capacity) {
    size_t capacity = mail->settled_capacity == 0 ? 16 : mail->settled_capacity * 2;
    msi_settled *settled =
        msi_alloc_resize(alloc, mail->settled, mail->settled_capacity * sizeof *settled,
                         capacity * sizeof *settled);
    if (settled == NULL) return false;
    mail->settled = settled;
    mail->settled_capacity = capacity;
  }
  mail->settled[mail->settled_count++] =
      (msi_settled){.number = number, .version = version};
  mail->number = number;
  return true;
}

/* ----- what melted entries tell */

static void events_bound(msi_mailbox *mailbox) {
  for (size_t i = 0; i < mailbox->count && mailbox->event_bytes > MSI_EVENTS_BYTES; i++) {
    msi_mail *mail = &mailbox->items[mailbox->first + i];
    while (mail->event_first < mail->event_end &&
           mailbox->event_bytes > MSI_EVENTS_BYTES) {
      event_drop(mailbox, mail);
      mailbox->events_lost++;
    }
  }
}

/* Room for one more, so that keeping it cannot fail. */
static bool event_reserve(const msi_mailbox *mailbox, msi_mail *mail) {
  if (mail->event_end < mail->event_capacity) return true;
  if (mail->event_first > mail->event_capacity / 2) {
    memmove(mail->events, mail->events + mail->event_first,
            (mail->event_end - mail->event_first) * sizeof *mail->events);
    mail->event_end -= mail->event_first;
    mail->event_first = 0;
    return true;
  }
  size_t capacity = mail->event_capacity == 0 ? 8 : mail->event_capacity * 2;
  msi_event *events =
      msi_alloc_resize(mailbox->alloc, mail->events,
                       mail->event_capacity * sizeof *events, capacity * sizeof *events);
  if (events == NULL) return false;
  mail->events = events;
  mail->event_capacity = capacity;
  return true;
}

static void event_keep(msi_mailbox *mailbox, msi_mail *mail, const msi_entry *entry) {
  const msi_patch *patch = &entry->patch;
  mail->events[mail->event_end++] =
      (msi_event){.origin = patch->origin,
                  .number = patch->number,
                  .version = entry->version,
                  .wall_ms = patch->wall_ms,
                  .update = ms_update_retain(patch->update)};
  mailbox->event_bytes += patch->update->wire_bytes;
  events_bound(mailbox);
}

static bool entry_tells(const msi_entry *entry, uint64_t self) {
  return entry->patch.update != NULL && msi_update_tells(entry->patch.update, self);
}

/* True when the delivery went into the last item. */
static bool mailbox_melt(msi_mailbox *mailbox, uint64_t self,
                         const msi_delivery *delivery) {
  if (mailbox->count < MSI_MAILBOX_ITEMS) return false;
  const msi_entry *entry = delivery->entry;
  if (entry->kind == MSI_ENTRY_REJECT && entry->patch.origin == self) return false;
  msi_mail *last = &mailbox->items[mailbox->first + mailbox->count - 1];
  if (last->kind != MSI_MAIL_MELTED) return false;
  bool own = entry->kind == MSI_ENTRY_PATCH && entry->patch.origin == self;
  bool tells = entry_tells(entry, self);
  if (tells && !event_reserve(mailbox, last)) return false;
  if (own &&
      !melted_settle(mailbox->alloc, last, entry->patch.number, delivery->version)) {
    return false;
  }
  if (tells) event_keep(mailbox, last, entry);
  msi_grave_bury(mailbox->grave, last->root);
  last->root = NULL;
  ms_value_release(last->desk);
  last->desk = ms_value_retain(delivery->desk);
  last->version = delivery->version;
  return true;
}

static msi_mail *mailbox_last(msi_mailbox *mailbox) {
  if (mailbox->count == 0) return NULL;
  return &mailbox->items[mailbox->first + mailbox->count - 1];
}

void msi_mailbox_publish(msi_mailbox *mailbox, const ms_value *root, uint64_t version) {
  msi_mail *last = mailbox_last(mailbox);
  if (last == NULL || last->version != version || last->root != NULL) return;
  if (last->kind != MSI_MAIL_ENTRY && last->kind != MSI_MAIL_MELTED) return;
  last->root = ms_value_retain(root);
}

/* What comes now does not say what melted entries did. `root` is the document after them. */
static void mailbox_close(msi_mailbox *mailbox, const ms_value *root) {
  const msi_mail *last = mailbox_last(mailbox);
  if (last == NULL || last->kind != MSI_MAIL_MELTED) return;
  msi_mailbox_publish(mailbox, root, last->version);
}

/* ------------------------------------------------------------------- putting */

static bool put_refusal(msi_mailbox *mailbox, msi_mail *mail,
                        const msi_refusal *refusal) {
  mail->refusal = MSI_NEW(mailbox->alloc, msi_refusal);
  if (mail->refusal == NULL) return false;
  *mail->refusal = *refusal;
  mail->refusal->path = ms_path_retain(refusal->path);
  mail->refusal->paths = NULL; /* only the host needs them */
  mail->refusal->path_count = 0;
  return true;
}

static bool put_member(msi_mailbox *mailbox, msi_mail *mail, const msi_entry *entry) {
  if (entry->kind != MSI_ENTRY_JOIN) return true;
  mail->member = MSI_NEW(mailbox->alloc, msi_member_info);
  if (mail->member == NULL) return false;
  *mail->member = entry->member;
  return true;
}

static bool put_entry(msi_mailbox *mailbox, uint64_t self, const msi_delivery *delivery) {
  const msi_entry *entry = delivery->entry;
  if (mailbox_melt(mailbox, self, delivery)) return true;
  if (entry->kind == MSI_ENTRY_REJECT) mailbox_close(mailbox, delivery->root);
  msi_mail *mail = mailbox_add(mailbox);
  if (mail == NULL) return false;
  bool own = entry->patch.origin == self;
  bool keep = entry->kind == MSI_ENTRY_REJECT && own;
  mail->self = self;
  mail->version = delivery->version;
  mail->desk = ms_value_retain(delivery->desk);
  if (mailbox->count > MSI_MAILBOX_ITEMS && !keep) {
    mail->kind = MSI_MAIL_MELTED;
    bool tells = entry_tells(entry, self);
    if ((tells && !event_reserve(mailbox, mail)) ||
        (own && entry->kind == MSI_ENTRY_PATCH &&
         !melted_settle(mailbox->alloc, mail, entry->patch.number, delivery->version))) {
      mailbox_drop_last(mailbox);
      return false;
    }
    if (tells) event_keep(mailbox, mail, entry);
    return true;
  }
  mail->kind = MSI_MAIL_ENTRY;
  mail->entry_kind = entry->kind;
  mail->patch = entry->patch;
  mail->patch.update = ms_update_retain(entry->patch.update);
  if ((keep && !put_refusal(mailbox, mail, &entry->refusal)) ||
      !put_member(mailbox, mail, entry)) {
    mailbox_drop_last(mailbox);
    return false;
  }
  return true;
}

static bool put_root(msi_mailbox *mailbox, const msi_delivery *delivery) {
  msi_mail *mail = mailbox_add(mailbox);
  if (mail == NULL) return false;
  mail->kind = MSI_MAIL_ROOT;
  mail->version = delivery->version;
  mail->number = delivery->number;
  mail->root = ms_value_retain(delivery->root);
  mail->desk = ms_value_retain(delivery->desk);
  size_t bytes = delivery->rejected_count * sizeof *mail->rejected;
  if (bytes == 0) return true;
  mail->rejected = msi_alloc_get(mailbox->alloc, bytes);
  if (mail->rejected == NULL) {
    mailbox_drop_last(mailbox);
    return false;
  }
  memcpy(mail->rejected, delivery->rejected, bytes);
  mail->rejected_count = delivery->rejected_count;
  return true;
}

static bool put_unknown(msi_mailbox *mailbox, const msi_delivery *delivery) {
  mailbox_close(mailbox, delivery->root);
  msi_mail *mail = mailbox_add(mailbox);
  if (mail == NULL) return false;
  mail->kind = MSI_MAIL_UNKNOWN;
  mail->number = delivery->number;
  return true;
}

/* A transaction's refusal lists no paths. */
static bool is_loss(const msi_entry *entry, uint64_t winner) {
  return entry->kind == MSI_ENTRY_REJECT && entry->refusal.status == MS_ECONFLICT &&
         entry->refusal.path_count == 0 && entry->refusal.winner == winner &&
         entry->patch.origin != winner;
}

static void note_loser(msi_mailbox *mailbox, uint64_t self, const msi_entry *entry) {
  uint64_t *losers = mailbox->losers;
  size_t at = 0;
  while (at < mailbox->loser_count && losers[at] != entry->patch.origin) at++;
  bool is_known = at < mailbox->loser_count;
  if (is_loss(entry, self)) {
    mailbox->lost_at = entry->version;
    if (!is_known && at < MSI_LOSERS_MAX)
      losers[mailbox->loser_count++] = entry->patch.origin;
  } else if (is_known && entry->kind != MSI_ENTRY_REJECT) {
    losers[at] = losers[--mailbox->loser_count];
  }
}

void msi_mailbox_put(msi_mailbox *mailbox, uint64_t self, const msi_delivery *delivery) {
  bool done = true;
  if (delivery->kind == MSI_DELIVER_ENTRY) note_loser(mailbox, self, delivery->entry);
  if (delivery->kind == MSI_DELIVER_ROOT || delivery->kind == MSI_DELIVER_UNKNOWN) {
    mailbox->breaks++;
  }
  switch (delivery->kind) {
    case MSI_DELIVER_ENTRY:
      done = mailbox->broken || put_entry(mailbox, self, delivery);
      break;
    case MSI_DELIVER_ROOT: done = mailbox->broken || put_root(mailbox, delivery); break;
    case MSI_DELIVER_UNKNOWN:
      done = mailbox->broken || put_unknown(mailbox, delivery);
      break;
    case MSI_DELIVER_SYNCED:
      if (delivery->token > mailbox->synced) mailbox->synced = delivery->token;
      break;
    case MSI_DELIVER_STATE: mailbox->state_changed = true; break;
    case MSI_DELIVER_FAILED:
      mailbox->failed = true;
      mailbox->error = *delivery->error;
      break;
  }
  if (!done) mailbox->broken = true;
}

void msi_mailbox_move(msi_mailbox *to, msi_mailbox *from) {
  MSI_ASSERT(to->count == 0);
  MSI_ASSERT(!from->broken);
  msi_mail *items = to->items;
  size_t capacity = to->capacity;
  to->items = from->items;
  to->first = from->first;
  to->count = from->count;
  to->capacity = from->capacity;
  from->items = items;
  from->capacity = capacity;
  from->first = from->count = 0;
  to->event_bytes = from->event_bytes;
  from->event_bytes = 0;
  to->events_lost = from->events_lost;
  to->state_changed |= from->state_changed;
  from->state_changed = false;
  if (from->failed) {
    to->failed = true;
    to->error = from->error;
    from->failed = false;
  }
  if (from->synced > to->synced) to->synced = from->synced;
  to->breaks = from->breaks;
  memcpy(to->losers, from->losers, sizeof to->losers);
  to->loser_count = from->loser_count;
  to->lost_at = from->lost_at;
}
