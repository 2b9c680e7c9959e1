/*
 * Calls under way: those that came in and wait for their answer, and those of this peer that wait for one.
 *
 * The answer to a call names the caller and the number of the patch that called. What became of a call of this
 * peer is told once: by its answer, by the refusal of its patch, when its time is up, by the end of who was
 * asked, or by that of the share.
 */
#include "call.h"

#include <string.h>

#include "desk.h"

struct ms_call {
  uint32_t word; /* MSI_WORD_CALL */
  const ms_alloc *alloc;
  ms_share *share;           /* NULL: its memory is gone */
  ms_call *next, **previous; /* in share->calls */
  uint32_t references;
  uint64_t self; /* this peer's id when it came */
  uint64_t origin, number;
  ms_update *update; /* retained; holds what `told` borrows */
  msi_told told;
  bool is_answered;
};

struct msi_asked {
  ms_share *share;
  msi_asked *next; /* of share->asked */
  ms_receipt *receipt;
  ms_timer *timer; /* NULL: no limit */
  uint64_t self;   /* this peer's id when it asked */
  uint64_t peer;   /* who was asked */
  ms_reply_fn fn;
  void *ud;
};

/* ------------------------------------------------------------------- answering */

static ms_status call_guard(const ms_call *call) {
  MSI_ASSERT_HANDLE(call, MSI_WORD_CALL);
  return call->share == NULL ? MS_OK : msi_share_guard(call->share);
}

static ms_status may_answer(const ms_call *call, ms_error *error) {
  const ms_share *share = call->share;
  if (call->is_answered) return msi_fail(error, MS_EARGUMENT, "the call is answered");
  if (share == NULL || share->phase != MSI_PHASE_STARTED || share->peer != call->self)
    return msi_fail(error, MS_ECLOSED, "nobody waits for the answer any more");
  return msi_share_may_write(share, error);
}

static ms_status send_answer(ms_call *call, bool ok, const ms_value *value,
                             ms_error *error) {
  ms_update *update = NULL;
  ms_receipt *receipt = NULL;
  ms_status status = may_answer(call, error);
  if (status != MS_OK) return status;
  status = msi_update_reply(call->alloc, call->origin, call->number, ok, value, &update,
                            error);
  if (status == MS_OK) {
    status = msi_share_submit(call->share, update, 0, &receipt, error);
  }
  ms_update_release(update);
  if (status != MS_OK) return status;
  call->is_answered = true;
  if (receipt != NULL) receipt->is_quiet = true; /* the caller may be gone */
  ms_receipt_release(receipt);
  return MS_OK;
}

ms_status ms_call_reply(ms_call *call, const ms_value *value, ms_error *error) {
  ms_status status = call_guard(call);
  if (status != MS_OK) return msi_fail(error, status, "%s", ms_status_text(status));
  return send_answer(call, true, value == NULL ? ms_value_null() : value, error);
}

static ms_status add_text(const ms_alloc *alloc, const ms_value **list,
                          const char *text) {
  const ms_value *value = NULL;
  if (text == NULL) text = "";
  ms_status status = ms_value_new_string(alloc, text, strlen(text), &value);
  if (status == MS_OK) status = ms_value_append(alloc, list, value);
  ms_value_release(value);
  return status;
}

ms_status ms_call_fail(ms_call *call, const char *code, const char *message,
                       ms_error *error) {
  const ms_value *why = NULL;
  ms_status status = call_guard(call);
  if (status != MS_OK) return msi_fail(error, status, "%s", ms_status_text(status));
  status = ms_value_new_array(call->alloc, &why);
  if (status == MS_OK) status = add_text(call->alloc, &why, code);
  if (status == MS_OK) status = add_text(call->alloc, &why, message);
  status = status == MS_OK ? send_answer(call, false, why, error)
                           : msi_fail(error, status, "%s", ms_status_text(status));
  ms_value_release(why);
  return status;
}

const char *ms_call_name(const ms_call *call, size_t *length) {
  MSI_ASSERT_HANDLE(call, MSI_WORD_CALL);
  if (length != NULL) *length = call->told.name_length;
  return call->told.name;
}

const ms_value *ms_call_value(const ms_call *call) {
  MSI_ASSERT_HANDLE(call, MSI_WORD_CALL);
  return call->told.value;
}

uint64_t ms_call_origin(const ms_call *call) {
  MSI_ASSERT_HANDLE(call, MSI_WORD_CALL);
  return call->origin;
}

ms_call *ms_call_retain(ms_call *call) {
  if (call_guard(call) != MS_OK) return NULL;
  call->references++;
  return call;
}

/* Its share is of no use to it any more. */
static void call_part(ms_call *call) {
  if (call->share == NULL) return;
  *call->previous = call->next;
  if (call->next != NULL) call->next->previous = call->previous;
  call->share = NULL;
}

/* Nobody is left to try again: where it fails, the caller waits for its time. */
static void give_up(ms_call *call, const char *code, const char *message) {
  ms_status status = ms_call_fail(call, code, message, NULL);
  (void)status;
}

void ms_call_release(ms_call *call) {
  if (call == NULL || call_guard(call) != MS_OK || --call->references > 0) return;
  if (!call->is_answered) give_up(call, "ECLOSED", "the handler let go of the call");
  call_part(call);
  ms_update_release(call->update);
  MSI_END_HANDLE(call);
  MSI_FREE(call->alloc, call);
}

static void call_join(ms_call *call, ms_share *share) {
  call->share = share;
  call->next = share->calls;
  call->previous = &share->calls;
  if (call->next != NULL) call->next->previous = &call->next;
  share->calls = call;
}

void msi_call_take(ms_share *share, const msi_notice *notice, const msi_told *told,
                   ms_sub *handler) {
  ms_call *call = MSI_NEW(share->runtime->alloc, ms_call);
  if (call == NULL) {
    msi_runtime_log(share->runtime, MS_LOG_ERROR,
                    "%s: a call was not handled: out of memory", share->name);
    return;
  }
  call->word = MSI_WORD_CALL;
  call->alloc = share->runtime->alloc;
  call->references = 1;
  call->self = share->peer;
  call->origin = notice->origin;
  call->number = notice->number;
  call->update = ms_update_retain(notice->update);
  call->told = *told;
  call_join(call, share);
  if (handler != NULL) {
    msi_sub_call_handler(handler, call);
  } else {
    give_up(call, "ENOENT", "nobody handles it there");
  }
  ms_call_release(call);
}

void msi_share_drop_calls(ms_share *share) {
  while (share->calls != NULL) call_part(share->calls);
}

/* --------------------------------------------------------------------- asking */

static void asked_free(msi_asked *asked) {
  ms_timer_close(asked->timer);
  ms_receipt_release(asked->receipt);
  MSI_FREE(asked->share->runtime->alloc, asked);
}

/* Tells what became of it; the callback may do anything. */
static void asked_finish(msi_asked *asked, const ms_reply *reply) {
  ms_reply_fn fn = asked->fn;
  void *ud = asked->ud;
  msi_asked **at = &asked->share->asked;
  while (*at != asked) at = &(*at)->next;
  *at = asked->next;
  asked_free(asked);
  fn(ud, reply);
}

static void asked_fail(msi_asked *asked, ms_status status, const char *message) {
  asked_finish(asked, &(ms_reply){.bytes = sizeof(ms_reply),
                                  .status = status,
                                  .code = ms_status_name(status),
                                  .message = message,
                                  .peer = asked->peer});
}

static void on_time(void *ud) {
  msi_asked *asked = ud;
  asked->timer = NULL; /* it has ended by itself */
  asked_fail(asked, MS_ETIMEDOUT, "no answer came in time");
}

static ms_status find_peer(ms_share *share, uint64_t to, const char *name, size_t length,
                           uint64_t *out, ms_error *error) {
  const ms_value *desk = msi_view_desk(share->view);
  *out = to;
  if (to == MS_CALL_HOST) {
    *out = share->last.host;
    if (*out == 0) return msi_fail(error, MS_ENOHOST, "there is no host at the moment");
  } else if (to == MS_CALL_ANY) {
    size_t count = desk == NULL ? 0 : msi_desk_handlers(desk, name, length);
    if (count == 0 && msi_share_find_handler(share, name, length) != NULL) {
      *out = share->peer; /* others have not heard of that yet */
      return MS_OK;
    }
    if (count == 0) {
      return msi_fail(error, MS_ENOENT, "nobody handles \"%.*s\"",
                      length < 80 ? (int)length : 80, name);
    }
    *out = msi_desk_handler(desk, name, length, share->turn++ % count);
  }
  return MS_OK;
}

static ms_status asked_start(msi_asked *asked, const ms_update *update, int timeout_ms,
                             ms_error *error) {
  ms_share *share = asked->share;
  ms_status status = MS_OK;
  if (timeout_ms >= 0)
    status = ms_runtime_after(share->runtime, timeout_ms, on_time, asked, &asked->timer);
  if (status != MS_OK) return msi_fail(error, status, "%s", ms_status_text(status));
  status = msi_share_submit(share, update, 0, &asked->receipt, error);
  if (status != MS_OK) return status;
  asked->receipt->is_quiet = true; /* the answer tells */
  asked->next = share->asked;
  share->asked = asked;
  return MS_OK;
}

/* `given`: its share, its peer and whom to tell. */
static ms_status ask(const msi_asked *given, const char *name, size_t length,
                     const ms_value *value, int timeout_ms, ms_error *error) {
  const ms_alloc *alloc = given->share->runtime->alloc;
  ms_update *update = NULL;
  ms_status status =
      msi_update_call(alloc, given->peer, name, length,
                      value == NULL ? ms_value_null() : value, &update, error);
  if (status != MS_OK) return status;
  msi_asked *asked = MSI_NEW(alloc, msi_asked);
  if (asked != NULL) {
    *asked = *given;
    status = asked_start(asked, update, timeout_ms, error);
    if (status != MS_OK) asked_free(asked);
  } else {
    status = msi_fail(error, MS_ENOMEM, "out of memory");
  }
  ms_update_release(update);
  return status;
}

ms_status ms_share_call(ms_share *share, uint64_t to, const char *name, size_t length,
                        const ms_value *value, int timeout_ms, ms_reply_fn fn, void *ud,
                        ms_error *error) {
  uint64_t peer = 0;
  ms_status status = msi_share_may_write(share, error);
  if (status != MS_OK) return status;
  if (fn == NULL) return msi_fail(error, MS_EARGUMENT, "no function for the answer");
  if (share->batch != NULL)
    return msi_fail(error, MS_EBUSY, "calls are made outside of batches");
  status = msi_share_check_name(name, length, error);
  if (status != MS_OK) return status;
  status = find_peer(share, to, name, length, &peer, error);
  if (status != MS_OK) return status;
  const msi_asked given = {
      .share = share, .self = share->peer, .peer = peer, .fn = fn, .ud = ud};
  return ask(&given, name, length, value, timeout_ms, error);
}

/* ------------------------------------------------------------------ their end */

static ms_status status_of(const char *code) {
#define STATUS_OF(id, number, name, text)                                                \
  if (strcmp(code, name) == 0) return id;
  MS_STATUS_LIST(STATUS_OF)
#undef STATUS_OF
  return MS_EARGUMENT;
}

static const char *text_at(const ms_value *list, size_t index) {
  const char *text = NULL;
  size_t length;
  const ms_value *value = ms_value_at(list, index);
  bool is_text = value != NULL && ms_value_to_string(value, &text, &length) == MS_OK;
  return is_text ? text : "";
}

/* The handler failed it: why is [code, message]. */
static void asked_refuse(msi_asked *asked, const ms_value *why) {
  const char *code = text_at(why, 0), *message = text_at(why, 1);
  ms_status status = status_of(code);
  if (status == MS_OK) status = MS_EARGUMENT;
  asked_finish(asked, &(ms_reply){.bytes = sizeof(ms_reply),
                                  .status = status,
                                  .code = *code != '\0' ? code : ms_status_name(status),
                                  .message = message,
                                  .peer = asked->peer});
}

void msi_call_answered(ms_share *share, const msi_told *told, uint64_t origin) {
  msi_asked *asked = share->asked;
  while (asked != NULL && (asked->receipt->number != told->number ||
                           asked->self != share->peer || asked->peer != origin)) {
    asked = asked->next;
  }
  if (asked == NULL) return; /* its time was up */
  if (!told->ok) {
    asked_refuse(asked, told->value);
    return;
  }
  asked_finish(asked, &(ms_reply){.bytes = sizeof(ms_reply),
                                  .status = MS_OK,
                                  .value = told->value,
                                  .code = ms_status_name(MS_OK),
                                  .message = "",
                                  .peer = origin});
}

typedef struct census {
  uint64_t wanted;
  bool is_there;
} census;

static void look_at_peer(void *ud, const ms_peer *peer) {
  census *self = ud;
  self->is_there |= peer->id == self->wanted;
}

/* Did this peer join anew? An answer goes to who it was before. */
static bool is_cut_off(const msi_asked *asked) {
  return asked->self != asked->share->peer;
}

static bool is_lost(const msi_asked *asked, uint64_t peer, uint64_t version) {
  census found = {asked->peer, false};
  if (asked->receipt->state != MS_ACCEPTED) return false; /* the host decides on it */
  if (is_cut_off(asked)) return true;
  if (peer != 0) return asked->peer == peer && asked->receipt->version < version;
  return ms_share_peers(asked->share, look_at_peer, &found) == MS_OK && !found.is_there;
}

void msi_calls_lose(ms_share *share, uint64_t peer, uint64_t version) {
  msi_asked *asked = share->asked;
  while (asked != NULL) {
    if (is_lost(asked, peer, version)) {
      asked_fail(asked, MS_ENOHOST,
                 is_cut_off(asked) ? "this peer lost its group before an answer came"
                                   : "the peer was gone before it answered");
      asked = share->asked; /* callbacks may have changed the list */
    } else {
      asked = asked->next;
    }
  }
}

void msi_share_tend_calls(ms_share *share) {
  msi_asked *asked = share->asked;
  while (asked != NULL) {
    const ms_receipt *receipt = asked->receipt;
    if (receipt->state != MS_REJECTED && receipt->state != MS_UNKNOWN) {
      asked = asked->next;
      continue;
    }
    char message[MS_MESSAGE_MAX];
    memcpy(message, receipt->refusal.message, sizeof message);
    asked_fail(asked, receipt->refusal.status, message);
    asked = share->asked;
  }
}

void msi_share_end_calls(ms_share *share) {
  while (share->asked != NULL)
    asked_fail(share->asked, MS_ECLOSED, "the share was closed before an answer came");
}
