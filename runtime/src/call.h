/*
 * Messages of a share (memshare.h, "messages"). Owner side.
 *
 * Emitting, calling and answering are operations in patches. share_message.c makes events and notices of what mail
 * tells; call.c has the calls that are under way; subscription.c who is to hear of them.
 */
#ifndef MSI_CALL_H
#define MSI_CALL_H

#include "share.h"

/* ----- share_message.c */

/* MS_EARGUMENT, MS_ELIMIT: no name of an event or a handler. */
MS_CHECKED ms_status msi_share_check_name(const char *name, size_t length,
                                          ms_error *error);
/* How many notices the first `count` pieces of mail make of messages; and making them, after a reserve. */
size_t msi_share_count_messages(const ms_share *share, size_t count);
void msi_share_note_messages(ms_share *share, size_t count);
/* In polls: says once that some were lost. */
void msi_share_log_lost(ms_share *share);
void msi_share_tell_message(ms_share *share, const msi_notice *notice);
/* In polls: tells the others who answers what, once that has changed. */
void msi_share_tend_handlers(ms_share *share);
/* One more handler, or one less. */
void msi_share_begin_handler(ms_share *share);
void msi_share_end_handler(ms_share *share, const ms_value *name);

/* ----- call.c */

/* A call to this peer, for its handler (NULL: there is none). */
void msi_call_take(ms_share *share, const msi_notice *notice, const msi_told *told,
                   ms_sub *handler);
/* An answer to this peer. */
void msi_call_answered(ms_share *share, const msi_told *told, uint64_t origin);
/* A peer is gone as of `version`; 0: some may be. */
void msi_calls_lose(ms_share *share, uint64_t peer, uint64_t version);
/* In polls: tells of those that were refused. */
void msi_share_tend_calls(ms_share *share);
/* The share is closed: those of this peer are told so. */
void msi_share_end_calls(ms_share *share);
/* The share's memory goes: those that came in are over. */
void msi_share_drop_calls(ms_share *share);

/* ----- subscription.c */

void msi_share_call_event(ms_share *share, const ms_event *event, uint64_t listeners);
ms_sub *msi_share_find_handler(const ms_share *share, const char *name, size_t length);
void msi_sub_call_handler(const ms_sub *sub, ms_call *call);
/* Calls fn for each handler of which peer `self` has not told, until it fails. */
typedef ms_status (*msi_announce_fn)(ms_share *share, const ms_value *name);
ms_status msi_share_announce_handlers(ms_share *share, uint64_t self, msi_announce_fn fn);

#endif
