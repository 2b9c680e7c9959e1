/*
 * A snapshot on its way from a host to a peer: the document and all other replicated state at one
 * version, in pieces between live entries.
 *
 * The sender reads from a retained root while newer ones come and go. The receiver builds its state
 * beside whatever the peer has, keeps the entries that arrive meanwhile, and hands over at the end.
 */
#ifndef MSI_SNAPSHOT_H
#define MSI_SNAPSHOT_H

#include "conflict.h"
#include "desk.h"
#include "members.h"

/* What a snapshot is taken of: borrowed. */
typedef struct msi_snapshot_source {
  const ms_value *root, *desk;
  uint64_t version;
  uint64_t clock; /* the last timestamp seen */
  const msi_members *members;
  msi_conflicts *conflicts; /* goes on to change; freed after the sender */
} msi_snapshot_source;

typedef struct msi_sender msi_sender;

/* Appends SNAPSHOT_BEGIN to `out`. MS_ENOMEM. */
MS_CHECKED ms_status msi_sender_new(const ms_alloc *alloc,
                                    const msi_snapshot_source *source, msi_buffer *out,
                                    msi_sender **sender);
void msi_sender_free(msi_sender *sender); /* accepts NULL */
/* Borrowed. Who holds it sees that freeing the sender is quick. */
const ms_value *msi_sender_root(const msi_sender *sender);
/* Appends the next message to `out`; *done after SNAPSHOT_END. MS_ENOMEM: the sender is of no use any
 * more. */
MS_CHECKED ms_status msi_sender_step(msi_sender *sender, msi_buffer *out, bool *done);

typedef struct msi_receiver msi_receiver;

/* The fields of SNAPSHOT_BEGIN. MS_ETYPE, MS_ELIMIT, MS_ENOMEM. */
MS_CHECKED ms_status msi_receiver_new(const ms_alloc *alloc, uint64_t document_bytes_max,
                                      msi_reader *in, size_t fields, msi_receiver **out,
                                      ms_error *error);
void msi_receiver_free(msi_receiver *receiver); /* accepts NULL */
uint64_t msi_receiver_version(const msi_receiver *receiver);
/* The fields of SNAPSHOT_PIECE. */
MS_CHECKED ms_status msi_receiver_piece(msi_receiver *receiver, msi_reader *in,
                                        size_t fields, ms_error *error);
/* A live entry, for later. Copied. MS_ENOMEM. */
MS_CHECKED ms_status msi_receiver_keep(msi_receiver *receiver, const uint8_t *data,
                                       size_t bytes);
/* SNAPSHOT_END: MS_ETYPE when something is missing, MS_ENOMEM. */
MS_CHECKED ms_status msi_receiver_end(msi_receiver *receiver, ms_error *error);

/* After msi_receiver_end: the state, to be taken out by the caller, who sets what it took to NULL
 * (members: msi_members_init). */
typedef struct msi_snapshot {
  const ms_value *root, *desk;
  uint64_t version, clock;
  msi_members members;
  msi_conflicts *conflicts;
} msi_snapshot;
msi_snapshot *msi_receiver_state(msi_receiver *receiver);
/* The kept entries in order, each once; false at the end. Borrowed from the receiver. */
bool msi_receiver_next(msi_receiver *receiver, const uint8_t **data, size_t *bytes);

#endif
