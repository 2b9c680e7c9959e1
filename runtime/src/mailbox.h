/*
 * The mailbox: deliveries of one replica on their way to the owner, in order.
 *
 * Filled on the loop side, taken by the owner in one piece; both hold the runtime's mutex. It is
 * bounded for an owner that does not poll: beyond MSI_MAILBOX_ITEMS, runs of accepted patches melt
 * into one item that carries the last root and the numbers and versions of the own ones among them
 * (at most max_queue). Rejections of own patches are never melted, and what an entry tells this peer is kept
 * when it melts, up to MSI_EVENTS_BYTES: beyond, the oldest goes and is counted.
 *
 * Entries come without a document: who takes them applies them, too, and so the replica may change its own in
 * place. When the mailbox is handed over, its last item gets the replica's document (msi_mailbox_publish), which
 * the owner goes on with, so that both share all of it again. Items that stand for several entries have one in
 * any case, unless the document was given up for a snapshot before they were handed over.
 *
 * When memory runs out an item is lost; `broken` then says that the owner has to take the replica's
 * state as a whole, and that what became of own patches is unknown.
 */
#ifndef MSI_MAILBOX_H
#define MSI_MAILBOX_H

#include "grave.h"
#include "replica.h"

enum { MSI_MAILBOX_ITEMS = 4096, MSI_LOSERS_MAX = 16 };
enum { MSI_EVENTS_BYTES = 16 << 20 }; /* of messages to an owner who does not poll */

typedef enum msi_mail_kind {
  MSI_MAIL_ENTRY,
  MSI_MAIL_MELTED, /* several entries: root, version, settled own numbers */
  MSI_MAIL_ROOT,
  MSI_MAIL_UNKNOWN
} msi_mail_kind;

typedef struct msi_settled {
  uint64_t number, version;
} msi_settled;

/* What a melted entry told this peer. */
typedef struct msi_event {
  uint64_t origin, number, version;
  int64_t wall_ms;
  ms_update *update; /* retained: see msi_op_told() */
} msi_event;

typedef struct msi_mail {
  msi_mail_kind kind;
  msi_entry_kind entry_kind; /* ENTRY */
  uint64_t self;             /* this peer's id when it was delivered */
  uint64_t version;
  msi_patch patch;         /* ENTRY: update retained */
  msi_refusal *refusal;    /* ENTRY of kind REJECT and of this peer, else NULL; owned */
  msi_member_info *member; /* ENTRY of kind JOIN, else NULL; owned, may be taken out */
  const ms_value *root; /* retained; the document after it; ENTRY, MELTED: may be NULL */
  const ms_value *desk; /* retained; the desk after it; NULL for UNKNOWN */
  uint64_t number;    /* ROOT, UNKNOWN, MELTED: own numbers up to this one are settled */
  uint64_t *rejected; /* ROOT; owned */
  size_t rejected_count;
  msi_settled *settled; /* MELTED: own accepted patches, ascending; owned */
  size_t settled_count, settled_capacity;
  msi_event *events; /* MELTED: events[event_first ... event_end - 1]; owned */
  size_t event_first, event_end, event_capacity;
} msi_mail;

typedef struct msi_mailbox {
  const ms_alloc *alloc;
  msi_grave *grave; /* of roots; NULL at first: they are released at once */
  msi_mail *items;  /* items[first ... first + count - 1] */
  size_t first, count, capacity;
  size_t event_bytes;   /* of events that melted entries have left */
  uint64_t events_lost; /* so far: there were more than MSI_EVENTS_BYTES of them */
  bool state_changed;
  bool broken;
  bool failed; /* enrolment failed for good: error */
  ms_error error;
  uint64_t synced; /* the highest token that was answered */
  /* Peers that have lost a transaction to this one, and none of whose patches was accepted since. */
  uint64_t losers[MSI_LOSERS_MAX];
  size_t loser_count;
  uint64_t lost_at; /* the version of the last such loss */
  uint64_t
      breaks; /* ROOT and UNKNOWN deliveries so far: what was based on the view before one of
                      them means another document */
} msi_mailbox;

void msi_mailbox_init(msi_mailbox *mailbox, const ms_alloc *alloc);
void msi_mailbox_fini(msi_mailbox *mailbox);
/* `self`: this peer's id. */
void msi_mailbox_put(msi_mailbox *mailbox, uint64_t self, const msi_delivery *delivery);
/* The document at a version, borrowed; nothing happens unless the last item leads to that one. */
void msi_mailbox_publish(msi_mailbox *mailbox, const ms_value *root, uint64_t version);
/* Move everything from `from`, which is not broken, to the empty items of `to`; flags are or-ed. */
void msi_mailbox_move(msi_mailbox *to, msi_mailbox *from);
/* Forget items and the lost ones: the owner took the state as a whole. */
void msi_mailbox_clear(msi_mailbox *mailbox);
static inline bool msi_mailbox_is_empty(const msi_mailbox *mailbox) {
  return mailbox->count == 0 && !mailbox->state_changed && !mailbox->broken &&
         !mailbox->failed;
}
/* Items in order, borrowed; index < count. */
static inline const msi_mail *msi_mailbox_at(const msi_mailbox *mailbox, size_t index) {
  return &mailbox->items[mailbox->first + index];
}
/* The first item, borrowed, NULL when there is none; pop drops it. */
msi_mail *msi_mailbox_first(msi_mailbox *mailbox);
void msi_mailbox_pop(msi_mailbox *mailbox);

#endif
