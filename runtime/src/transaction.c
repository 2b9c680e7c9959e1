/*
 * Transactions: a function reads and writes a draft, and the host accepts what it wrote only if nothing
 * that it read has changed. Owner side.
 *
 * The draft is the view: the committed document with the own patches that are not decided yet. What these
 * hang on counts as read, too (view_reads.c).
 *
 * What was written shows in the view once it is accepted. Before that, on top of what others have changed
 * meanwhile, it would show what no order of the transactions makes. So nothing of an own transaction is
 * read before it is decided, and one is decided before the next begins.
 */
#include <string.h>

#include "share.h"

struct ms_transaction {
  uint32_t word;   /* MSI_WORD_TRANSACTION */
  ms_share *share; /* NULL once it is over */
  msi_draft draft;
  msi_read_set reads;
  const ms_value *committed; /* retained */
  uint64_t view_number;      /* when it began */
};

/* ------------------------------------------------------------------ lifetime */

bool msi_share_is_undecided(const ms_share *share) {
  const ms_receipt *last = share->transacted;
  return last != NULL && last->state == MS_PENDING;
}

ms_status ms_transaction_new(ms_share *share, ms_transaction **out, ms_error *error) {
  ms_status status = msi_share_may_write(share, error);
  if (status != MS_OK) return status;
  if (share->batch != NULL) return msi_fail(error, MS_EBUSY, "a batch is open");
  if (msi_share_is_undecided(share)) {
    return msi_fail(error, MS_EBUSY, "the last transaction is not decided yet");
  }
  const ms_alloc *alloc = share->runtime->alloc;
  ms_transaction *made = MSI_NEW(alloc, ms_transaction);
  if (made == NULL) return msi_fail(error, MS_ENOMEM, "out of memory");
  if (msi_read_set_init(&made->reads, alloc) != MS_OK) {
    MSI_FREE(alloc, made);
    return msi_fail(error, MS_ENOMEM, "out of memory");
  }
  made->word = MSI_WORD_TRANSACTION;
  made->share = share;
  made->committed = ms_value_retain(msi_view_committed(share->view));
  made->view_number = msi_view_number(share->view);
  msi_draft_init(&made->draft, alloc, msi_view_root(share->view),
                 msi_runtime_wall_ms(share->runtime), share->config.max_document);
  share->transaction = made;
  share->runtime->batches++;
  *out = made;
  return MS_OK;
}

static void transaction_end(ms_transaction *self) {
  self->share->transaction = NULL;
  self->share->runtime->batches--;
  self->share = NULL;
}

void msi_share_drop_transaction(ms_share *share) {
  if (share->transaction != NULL) transaction_end(share->transaction);
}

void ms_transaction_free(ms_transaction *transaction) {
  if (transaction == NULL) return;
  MSI_ASSERT_HANDLE(transaction, MSI_WORD_TRANSACTION);
  if (transaction->share != NULL) {
    if (msi_runtime_guard(transaction->share->runtime) != MS_OK) return;
    transaction_end(transaction);
  }
  const ms_alloc *alloc = transaction->draft.alloc;
  msi_read_set_fini(&transaction->reads);
  msi_draft_fini(&transaction->draft);
  ms_value_release(transaction->committed);
  MSI_END_HANDLE(transaction);
  MSI_FREE(alloc, transaction);
}

int64_t msi_transaction_wall_ms(const ms_transaction *transaction) {
  return transaction->draft.wall_ms;
}

static ms_status transaction_check(const ms_transaction *self, ms_error *error) {
  MSI_ASSERT_HANDLE(self, MSI_WORD_TRANSACTION);
  if (self->share == NULL) return msi_fail(error, MS_ECLOSED, "the transaction is over");
  ms_status status = msi_runtime_guard(self->share->runtime);
  return status == MS_OK ? MS_OK : msi_fail(error, status, "%s", ms_status_text(status));
}

/* ------------------------------------------------------------------- reading */

const ms_value *ms_transaction_root(const ms_transaction *transaction) {
  return transaction->draft.root;
}

size_t ms_transaction_writes(const ms_transaction *transaction) {
  return transaction->draft.count;
}

ms_status ms_transaction_read(ms_transaction *transaction, const ms_path *path,
                              bool whole, const ms_value **out) {
  ms_status status = transaction_check(transaction, NULL);
  if (status != MS_OK) return status;
  const ms_value *value = ms_path_find(path, transaction->draft.root);
  bool holds = value != NULL &&
               (ms_value_type(value) == MS_OBJECT || ms_value_type(value) == MS_ARRAY ||
                ms_value_type(value) == MS_EMPTY);
  status = msi_read_set_note(&transaction->reads, path, transaction->committed,
                             msi_view_root(transaction->share->view),
                             holds && !whole ? MSI_READ_EXISTS : MSI_READ_WHOLE);
  if (status != MS_OK) return status;
  if (value == NULL) return MS_ENOENT;
  *out = value;
  return MS_OK;
}

ms_status ms_transaction_get(ms_transaction *transaction, const char *path,
                             const ms_value **out) {
  ms_path *compiled = NULL;
  ms_status status =
      ms_path_parse(transaction->draft.alloc, path, strlen(path), &compiled, NULL);
  if (status != MS_OK) return status;
  status = ms_transaction_read(transaction, compiled, true, out);
  ms_path_release(compiled);
  return status;
}

ms_status ms_transaction_get_int(ms_transaction *transaction, const char *path,
                                 int64_t *out) {
  const ms_value *value = NULL;
  ms_status status = ms_transaction_get(transaction, path, &value);
  return status == MS_OK ? ms_value_to_int(value, out) : status;
}

ms_status ms_transaction_get_bool(ms_transaction *transaction, const char *path,
                                  bool *out) {
  const ms_value *value = NULL;
  ms_status status = ms_transaction_get(transaction, path, &value);
  return status == MS_OK ? ms_value_to_bool(value, out) : status;
}

ms_status ms_transaction_get_double(ms_transaction *transaction, const char *path,
                                    double *out) {
  const ms_value *value = NULL;
  ms_status status = ms_transaction_get(transaction, path, &value);
  return status == MS_OK ? ms_value_to_double(value, out) : status;
}

ms_status ms_transaction_get_string(ms_transaction *transaction, const char *path,
                                    const char **bytes, size_t *length) {
  const ms_value *value = NULL;
  ms_status status = ms_transaction_get(transaction, path, &value);
  return status == MS_OK ? ms_value_to_string(value, bytes, length) : status;
}

/* ------------------------------------------------------------------- writing */

static ms_status add_whole(msi_read_set *reads, const ms_path *path) {
  return msi_read_set_add(reads, path->segments, path->count, MSI_READ_WHOLE);
}

/* That it cannot be written says something of the document, too; a condition, of all of it. */
static ms_status note_failure(ms_transaction *self, const ms_update *update) {
  ms_status status = MS_OK;
  for (uint32_t i = 0; i < update->op_count && status == MS_OK; i++) {
    status = add_whole(&self->reads, update->ops[i].path);
  }
  return status;
}

ms_status ms_transaction_update(ms_transaction *transaction, const ms_update *update,
                                ms_error *error) {
  ms_status status = transaction_check(transaction, error);
  if (status != MS_OK) return status;
  status = msi_draft_add(&transaction->draft, update, error);
  if (status != MS_OK && note_failure(transaction, update) != MS_OK) {
    return msi_fail(error, MS_ENOMEM, "out of memory");
  }
  return status;
}

/* Adds what was compiled and gives it back. */
static ms_status add_taken(ms_transaction *self, ms_status compiled, ms_update *update,
                           ms_error *error) {
  if (compiled != MS_OK) return compiled;
  ms_status status = ms_transaction_update(self, update, error);
  ms_update_release(update);
  return status;
}

ms_status ms_transaction_patch(ms_transaction *transaction, const ms_value *document,
                               const ms_update_options *options, ms_error *error) {
  ms_update *update = NULL;
  ms_status status =
      ms_update_parse(transaction->draft.alloc, document, options, &update, error);
  return add_taken(transaction, status, update, error);
}

ms_status ms_transaction_write(ms_transaction *transaction, const ms_write *write,
                               ms_error *error) {
  ms_update *update = NULL;
  ms_status status = msi_write_compile(transaction->draft.alloc, write, &update, error);
  return add_taken(transaction, status, update, error);
}

static ms_status write_at(ms_transaction *self, const char *path, ms_operator op,
                          const ms_value *operand, ms_error *error) {
  ms_path *compiled = NULL;
  ms_status status =
      ms_path_parse(self->draft.alloc, path, strlen(path), &compiled, error);
  if (status != MS_OK) return status;
  ms_write write;
  ms_write_init(&write);
  write.path = compiled;
  write.op = op;
  write.operand = operand;
  status = ms_transaction_write(self, &write, error);
  ms_path_release(compiled);
  return status;
}

ms_status ms_transaction_set(ms_transaction *transaction, const char *path,
                             const ms_value *value, ms_error *error) {
  return write_at(transaction, path, MS_OP_SET, value, error);
}

/* Writes a value that was made for the call, or passes on why it could not be made. */
static ms_status write_made(ms_transaction *self, const char *path, ms_operator op,
                            ms_status made, const ms_value *value, ms_error *error) {
  if (made != MS_OK) return msi_fail(error, made, "%s", ms_status_text(made));
  ms_status status = write_at(self, path, op, value, error);
  ms_value_release(value);
  return status;
}

ms_status ms_transaction_set_int(ms_transaction *transaction, const char *path,
                                 int64_t number, ms_error *error) {
  const ms_value *value = NULL;
  ms_status made = ms_value_new_int(transaction->draft.alloc, number, &value);
  return write_made(transaction, path, MS_OP_SET, made, value, error);
}

ms_status ms_transaction_set_bool(ms_transaction *transaction, const char *path,
                                  bool flag, ms_error *error) {
  return write_at(transaction, path, MS_OP_SET, ms_value_bool(flag), error);
}

ms_status ms_transaction_set_double(ms_transaction *transaction, const char *path,
                                    double number, ms_error *error) {
  const ms_value *value = NULL;
  ms_status made = ms_value_new_double(transaction->draft.alloc, number, &value);
  return write_made(transaction, path, MS_OP_SET, made, value, error);
}

ms_status ms_transaction_set_string(ms_transaction *transaction, const char *path,
                                    const char *bytes, size_t length, ms_error *error) {
  const ms_value *value = NULL;
  ms_status made = ms_value_new_string(transaction->draft.alloc, bytes, length, &value);
  return write_made(transaction, path, MS_OP_SET, made, value, error);
}

ms_status ms_transaction_inc(ms_transaction *transaction, const char *path, int64_t by,
                             ms_error *error) {
  const ms_value *value = NULL;
  ms_status made = ms_value_new_int(transaction->draft.alloc, by, &value);
  return write_made(transaction, path, MS_OP_INC, made, value, error);
}

ms_status ms_transaction_push(ms_transaction *transaction, const char *path,
                              const ms_value *value, ms_error *error) {
  return write_at(transaction, path, MS_OP_PUSH, value, error);
}

ms_status ms_transaction_unset(ms_transaction *transaction, const char *path,
                               ms_error *error) {
  return write_at(transaction, path, MS_OP_UNSET, ms_value_null(), error);
}

/* ---------------------------------------------------------------- committing */

/* What the draft's own writes hang on, and then what is under way. */
static ms_status widen(ms_transaction *self) {
  ms_status status = MS_OK;
  for (size_t k = self->draft.count; k > 0 && status == MS_OK; k--) {
    status = msi_reads_widen(&self->reads, self->draft.updates[k - 1]);
  }
  return status == MS_OK ? msi_view_widen_reads(self->share->view, &self->reads) : status;
}

/* A condition that always holds. Patches with one may be shown without effect, which later own ones that
 * go by positions reckon with (conflict.h, "turned"). */
static ms_status condition_new(const ms_alloc *alloc, ms_update **out) {
  const ms_value *none = NULL, *anything = NULL;
  ms_update_options options;
  ms_update_options_init(&options);
  ms_status status = ms_value_new_array(alloc, &none);
  if (status == MS_OK) status = ms_value_new_object(alloc, &anything);
  options.where = anything;
  if (status == MS_OK) status = ms_update_parse(alloc, none, &options, out, NULL);
  ms_value_release(anything);
  ms_value_release(none);
  return status;
}

/* Without reads it is a batch. */
static ms_status compile(ms_transaction *self, ms_update **update, msi_reads **reads,
                         ms_error *error) {
  ms_update *condition = NULL;
  ms_status status = widen(self);
  if (status == MS_OK) status = msi_read_set_compile(&self->reads, reads);
  if (status == MS_OK && *reads != NULL) {
    status = condition_new(self->draft.alloc, &condition);
  }
  if (status == MS_OK) {
    status = msi_draft_join(&self->draft, condition, update, error);
  } else {
    status = msi_fail(error, status, "%s", ms_status_text(status));
  }
  ms_update_release(condition);
  return status;
}

/* Committed or not, it is over. */
static ms_status transaction_submit(ms_transaction *self, ms_receipt **receipt,
                                    ms_error *error) {
  ms_share *share = self->share;
  ms_update *update = NULL;
  msi_reads *reads = NULL;
  ms_receipt *made = NULL;
  ms_status status = compile(self, &update, &reads, error);
  transaction_end(self);
  if (status == MS_OK) {
    status = msi_share_transact(share, update, reads, self->view_number,
                                self->draft.wall_ms, &made, error);
  }
  ms_update_release(update);
  msi_reads_release(reads);
  if (status != MS_OK) return status;
  ms_receipt_release(share->transacted);
  share->transacted = ms_receipt_retain(made);
  *receipt = made;
  return MS_OK;
}

ms_status ms_transaction_commit(ms_transaction *transaction, ms_receipt **receipt,
                                ms_error *error) {
  ms_receipt *made = NULL;
  ms_status status = transaction_check(transaction, error);
  if (status != MS_OK) return status;
  if (transaction->draft.count == 0) {
    transaction_end(transaction);
  } else {
    status = transaction_submit(transaction, &made, error);
  }
  if (status == MS_OK && receipt != NULL) {
    *receipt = made;
  } else {
    ms_receipt_release(made);
  }
  return status;
}
