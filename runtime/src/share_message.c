/*
 * Events, and who answers calls (memshare.h, "messages"); and the way of messages from mail to callbacks.
 *
 * A message is a notice at its place among those of changes. Mail that melted has kept what its entries told.
 */
#include <string.h>

#include "call.h"
#include "desk.h"

/* ------------------------------------------------------------------- emitting */

/* Submits what was made and gives it back. */
static ms_status submit(ms_share *share, ms_status made, ms_update *update,
                        ms_receipt **receipt, ms_error *error) {
  if (made != MS_OK) return made;
  ms_status status = msi_share_submit(share, update, 0, receipt, error);
  ms_update_release(update);
  return status;
}

ms_status msi_share_check_name(const char *name, size_t length, ms_error *error) {
  if (name == NULL || length == 0)
    return msi_fail(error, MS_EARGUMENT, "the name is empty");
  if (length <= MS_KEY_MAX) return MS_OK;
  return msi_fail(error, MS_ELIMIT, "the name has %zu bytes: at most %d", length,
                  MS_KEY_MAX);
}

ms_status ms_share_emit(ms_share *share, const char *name, size_t length,
                        const ms_value *value, ms_receipt **receipt, ms_error *error) {
  ms_update *update = NULL;
  ms_status status = msi_share_may_write(share, error);
  if (status != MS_OK) return status;
  status = msi_share_check_name(name, length, error);
  if (status != MS_OK) return status;
  status = msi_update_emit(share->runtime->alloc, name, length,
                           value == NULL ? ms_value_null() : value, &update, error);
  return submit(share, status, update, receipt, error);
}

/* ------------------------------------------------------------------- handlers */

static ms_status announce(ms_share *share, msi_code code, const ms_value *name) {
  const char *text = NULL;
  size_t length = 0;
  ms_update *update = NULL;
  ms_receipt *receipt = NULL;
  ms_status status = ms_value_to_string(name, &text, &length);
  if (status == MS_OK) {
    status = msi_update_named(share->runtime->alloc, code, text, length, &update, NULL);
  }
  status = submit(share, status, update, &receipt, NULL);
  if (receipt != NULL) receipt->is_quiet = true;
  ms_receipt_release(receipt);
  return status;
}

static ms_status announce_handler(ms_share *share, const ms_value *name) {
  return announce(share, MSI_CODE_HANDLE, name);
}

static ms_status announce_ends(ms_share *share) {
  ms_status status = MS_OK;
  while (status == MS_OK && share->unhandled != NULL &&
         ms_value_count(share->unhandled) > 0) {
    size_t last = ms_value_count(share->unhandled) - 1;
    const ms_value *name = ms_value_retain(ms_value_at(share->unhandled, last));
    status = announce(share, MSI_CODE_UNHANDLE, name);
    if (status == MS_OK)
      status = ms_value_erase_at(share->runtime->alloc, &share->unhandled, last);
    ms_value_release(name);
  }
  return status;
}

void msi_share_tend_handlers(ms_share *share) {
  if (!share->handlers_due && share->announced == share->peer) return;
  if (share->batch != NULL || share->transaction != NULL ||
      msi_view_root(share->view) == NULL || msi_share_may_write(share, NULL) != MS_OK) {
    return; /* the next poll tries again, as it does when any of this fails */
  }
  if (share->announced != share->peer) { /* what another id handled is gone with it */
    ms_value_release(share->unhandled);
    share->unhandled = NULL;
  }
  if (announce_ends(share) != MS_OK ||
      msi_share_announce_handlers(share, share->peer, announce_handler) != MS_OK) {
    return;
  }
  share->announced = share->peer;
  share->handlers_due = false;
}

void msi_share_begin_handler(ms_share *share) {
  share->handlers_due = true;
  msi_share_tend_handlers(share);
}

void msi_share_end_handler(ms_share *share, const ms_value *name) {
  const ms_alloc *alloc = share->runtime->alloc;
  ms_status status = MS_OK;
  if (share->phase == MSI_PHASE_CLOSED) return;
  if (share->unhandled == NULL) status = ms_value_new_array(alloc, &share->unhandled);
  if (status == MS_OK) status = ms_value_append(alloc, &share->unhandled, name);
  if (status != MS_OK) {
    msi_runtime_log(share->runtime, MS_LOG_WARNING,
                    "%s: others do not hear that a handler is gone: %s", share->name,
                    ms_status_text(status));
  }
  msi_share_begin_handler(share);
}

/* ----------------------------------------------------------- from mail to notices */

static bool tells(const msi_mail *mail) {
  return mail->kind == MSI_MAIL_ENTRY && mail->entry_kind == MSI_ENTRY_PATCH &&
         mail->patch.update != NULL && msi_update_tells(mail->patch.update, mail->self);
}

/* May somebody be gone whom this peer has called? */
static bool loses(const ms_share *share, const msi_mail *mail) {
  if (share->asked == NULL) return false;
  return mail->kind != MSI_MAIL_ENTRY || mail->entry_kind == MSI_ENTRY_RETIRE;
}

size_t msi_share_count_messages(const ms_share *share, size_t count) {
  size_t room = 0;
  for (size_t i = 0; i < count; i++) {
    const msi_mail *mail = msi_mailbox_at(&share->mail, i);
    room += mail->event_end - mail->event_first;
    if (tells(mail)) room++;
    if (loses(share, mail)) room++;
  }
  return room;
}

static void note_message(ms_share *share, const msi_mail *mail, const msi_event *event) {
  size_t bytes = event->update->wire_bytes;
  if (share->message_bytes + bytes > MSI_EVENTS_BYTES) {
    share->messages_lost++;
    return;
  }
  share->message_bytes += bytes;
  msi_notices_add(&share->notices,
                  &(msi_notice){.kind = MSI_NOTICE_MESSAGE,
                                .update = ms_update_retain(event->update),
                                .origin = event->origin,
                                .number = event->number,
                                .version = event->version,
                                .wall_ms = event->wall_ms,
                                .is_local = event->origin == mail->self,
                                .listeners = share->sub_count});
}

static void note_loss(ms_share *share, const msi_mail *mail) {
  bool is_one = mail->kind == MSI_MAIL_ENTRY;
  msi_notices_add(&share->notices,
                  &(msi_notice){.kind = MSI_NOTICE_MESSAGE,
                                .origin = is_one ? mail->patch.origin : 0,
                                .version = mail->version});
}

void msi_share_log_lost(ms_share *share) {
  if (share->loss_is_logged || share->mail.events_lost + share->messages_lost == 0)
    return;
  share->loss_is_logged = true;
  msi_runtime_log(share->runtime, MS_LOG_WARNING,
                  "%s: messages are lost to this peer, which polls too seldom: more than "
                  "%d bytes wait (ms_share_info.events_lost counts them)",
                  share->name, MSI_EVENTS_BYTES);
}

void msi_share_note_messages(ms_share *share, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const msi_mail *mail = msi_mailbox_at(&share->mail, i);
    if (tells(mail)) {
      const msi_patch *patch = &mail->patch;
      const msi_event event = {patch->origin, patch->number, mail->version,
                               patch->wall_ms, patch->update};
      note_message(share, mail, &event);
    }
    for (size_t k = mail->event_first; k < mail->event_end; k++) {
      note_message(share, mail, &mail->events[k]);
    }
    if (loses(share, mail)) note_loss(share, mail);
  }
}

/* -------------------------------------------------------------------- telling */

static void tell_event(ms_share *share, const msi_notice *notice, const msi_told *told) {
  const ms_event event = {.bytes = sizeof event,
                          .name = told->name,
                          .name_length = told->name_length,
                          .value = told->value,
                          .origin = notice->origin,
                          .version = notice->version,
                          .wall_ms = notice->wall_ms,
                          .is_local = notice->is_local};
  msi_share_call_event(share, &event, notice->listeners);
}

static void tell_told(ms_share *share, const msi_notice *notice, const msi_told *told) {
  if (told->code == MSI_CODE_EMIT) {
    tell_event(share, notice, told);
  } else if (told->peer != share->peer || share->phase != MSI_PHASE_STARTED) {
    return; /* for another peer, or for the one that this was before it joined anew */
  } else if (told->code == MSI_CODE_CALL) {
    msi_call_take(share, notice, told,
                  msi_share_find_handler(share, told->name, told->name_length));
  } else {
    msi_call_answered(share, told, notice->origin);
  }
}

void msi_share_tell_message(ms_share *share, const msi_notice *notice) {
  const ms_update *update = notice->update;
  if (update == NULL) {
    msi_calls_lose(share, notice->origin, notice->version);
    return;
  }
  share->message_bytes -= update->wire_bytes;
  for (uint32_t i = 0; i < update->op_count; i++) {
    msi_told told;
    const msi_op *op = &update->ops[i];
    if (msi_code_is_of_desk(op->code) && msi_op_told(op, &told))
      tell_told(share, notice, &told);
  }
}
