/*
 * Snapshots, both ends. The sender walks through these parts:
 *
 *   INDEX --packer of the conflict index done--> DESK --> DOCUMENT --encoder done--> END
 *
 * A piece asks for much less than MSI_PIECE_BYTES: packing it is a pause for everybody else. A piece
 * that ends with a string of the longest patch still fits into a frame.
 */
#include "snapshot.h"

#include <assert.h>
#include <string.h>

#include "message.h"
#include "replica.h"

enum {
  BEGIN_FIELDS = 4,
  PIECE_FIELDS = 2,
  PART_INDEX = 0,
  PART_DOCUMENT = 1,
  PART_DESK = 2,
  PIECE_BUDGET = 16 << 10 /* a fraction of a millisecond, also of small values */
};
/* Of a packed conflict index: MSI_CONFLICT_NODES keys of MS_KEY_MAX bytes, and rejections. */
#define INDEX_BYTES_MAX (UINT64_C(1) << 30)

static_assert((int)PIECE_BUDGET < (int)MSI_PIECE_BYTES,
              "frames have room for a piece and one string");

/* ------------------------------------------------------------------- sender */

struct msi_sender {
  const ms_alloc *alloc;
  msi_conflict_packer *packer; /* NULL: the index is through */
  const ms_value *root;        /* borrowed from the encoder */
  msi_encoder *desk;           /* NULL: the desk is through */
  msi_encoder *encoder;
  msi_buffer piece;
  bool encoded; /* the document is through */
};

static ms_status begin_pack(msi_buffer *out, const msi_snapshot_source *source,
                            uint64_t index_bytes) {
  size_t start = out->length;
  ms_status st = msi_message_begin(out, MSI_SNAPSHOT_BEGIN, BEGIN_FIELDS);
  if (st == MS_OK) st = msi_pack_uint(out, source->version);
  if (st == MS_OK) st = msi_pack_uint(out, source->clock);
  if (st == MS_OK) st = msi_pack_uint(out, index_bytes);
  if (st == MS_OK) st = msi_members_pack(out, source->members);
  if (st != MS_OK) out->length = start;
  return st;
}

ms_status msi_sender_new(const ms_alloc *alloc, const msi_snapshot_source *source,
                         msi_buffer *out, msi_sender **sender) {
  msi_sender *self = MSI_NEW(alloc, msi_sender);
  if (self == NULL) return MS_ENOMEM;
  self->alloc = alloc;
  self->root = source->root;
  msi_buffer_init(&self->piece, alloc);
  ms_status st = msi_conflict_packer_new(source->conflicts, &self->packer);
  if (st == MS_OK) st = msi_encoder_new(alloc, source->desk, &self->desk);
  if (st == MS_OK) st = msi_encoder_new(alloc, source->root, &self->encoder);
  if (st == MS_OK) {
    st = begin_pack(out, source, msi_conflict_packer_bytes_max(self->packer));
  }
  if (st != MS_OK) {
    msi_sender_free(self);
    return st;
  }
  *sender = self;
  return MS_OK;
}

void msi_sender_free(msi_sender *sender) {
  if (sender == NULL) return;
  msi_conflict_packer_free(sender->packer);
  msi_encoder_free(sender->desk);
  msi_encoder_free(sender->encoder);
  msi_buffer_fini(&sender->piece);
  MSI_FREE(sender->alloc, sender);
}

const ms_value *msi_sender_root(const msi_sender *sender) { return sender->root; }

static ms_status piece_pack(msi_buffer *out, uint64_t part, const uint8_t *data,
                            size_t bytes) {
  ms_status st = msi_message_begin(out, MSI_SNAPSHOT_PIECE, PIECE_FIELDS);
  if (st == MS_OK) st = msi_pack_uint(out, part);
  if (st == MS_OK) st = msi_pack_bin(out, data, bytes);
  return st;
}

static ms_status send_index(msi_sender *self, msi_buffer *out) {
  bool packed = false;
  msi_buffer_clear(&self->piece);
  ms_status st =
      msi_conflict_packer_step(self->packer, &self->piece, PIECE_BUDGET, &packed);
  if (st == MS_OK) {
    st = piece_pack(out, PART_INDEX, self->piece.data, self->piece.length);
  }
  if (st == MS_OK && packed) {
    msi_conflict_packer_free(self->packer);
    self->packer = NULL;
  }
  return st;
}

static ms_status send_desk(msi_sender *self, msi_buffer *out) {
  bool encoded = false;
  msi_buffer_clear(&self->piece);
  ms_status st = msi_encoder_step(self->desk, &self->piece, PIECE_BUDGET, &encoded);
  if (st == MS_OK) st = piece_pack(out, PART_DESK, self->piece.data, self->piece.length);
  if (st == MS_OK && encoded) {
    msi_encoder_free(self->desk);
    self->desk = NULL;
  }
  return st;
}

static ms_status send_document(msi_sender *self, msi_buffer *out) {
  msi_buffer_clear(&self->piece);
  ms_status st =
      msi_encoder_step(self->encoder, &self->piece, PIECE_BUDGET, &self->encoded);
  if (st != MS_OK) return st;
  return piece_pack(out, PART_DOCUMENT, self->piece.data, self->piece.length);
}

ms_status msi_sender_step(msi_sender *sender, msi_buffer *out, bool *done) {
  *done = false;
  if (sender->packer != NULL) return send_index(sender, out);
  if (sender->desk != NULL) return send_desk(sender, out);
  if (!sender->encoded) return send_document(sender, out);
  *done = true;
  return msi_message_begin(out, MSI_SNAPSHOT_END, 0);
}

/* ----------------------------------------------------------------- receiver */

struct msi_receiver {
  const ms_alloc *alloc;
  msi_snapshot state;
  uint64_t index_bytes; /* at most */
  msi_buffer index;
  msi_decoder *desk;
  msi_decoder *decoder;
  bool has_begun; /* the desk; the index is complete */
  bool has_desk;
  bool decoded;
  msi_buffer kept; /* size_t length and that many bytes, again and again */
  size_t kept_at;
};

static ms_status begin_unpack(msi_receiver *self, msi_reader *in, size_t fields) {
  if (fields != BEGIN_FIELDS) return MS_ETYPE;
  ms_status st = msi_unpack_uint(in, &self->state.version);
  if (st == MS_OK && self->state.version == 0) st = MS_ETYPE;
  if (st == MS_OK) st = msi_unpack_uint(in, &self->state.clock);
  if (st == MS_OK) st = msi_unpack_uint(in, &self->index_bytes);
  if (st == MS_OK && self->index_bytes > INDEX_BYTES_MAX) st = MS_ELIMIT;
  if (st == MS_OK) st = msi_members_unpack(in, &self->state.members);
  if (st == MS_OK && in->at != in->end) st = MS_ETYPE;
  return st;
}

ms_status msi_receiver_new(const ms_alloc *alloc, uint64_t document_bytes_max,
                           msi_reader *in, size_t fields, msi_receiver **out,
                           ms_error *error) {
  msi_receiver *self = MSI_NEW(alloc, msi_receiver);
  if (self == NULL) return msi_fail(error, MS_ENOMEM, "no memory for a snapshot");
  self->alloc = alloc;
  msi_buffer_init(&self->index, alloc);
  msi_buffer_init(&self->kept, alloc);
  msi_members_init(&self->state.members, alloc);
  ms_status st = begin_unpack(self, in, fields);
  if (st == MS_OK) {
    st = msi_decoder_new(alloc, MS_DEPTH_MAX, document_bytes_max, &self->decoder);
  }
  if (st == MS_OK) st = msi_decoder_new(alloc, MS_DEPTH_MAX, MSI_FRAME_MAX, &self->desk);
  if (st != MS_OK) {
    msi_receiver_free(self);
    return msi_fail(error, st, "malformed beginning of a snapshot");
  }
  *out = self;
  return MS_OK;
}

void msi_receiver_free(msi_receiver *receiver) {
  if (receiver == NULL) return;
  msi_decoder_free(receiver->desk);
  msi_decoder_free(receiver->decoder);
  msi_buffer_fini(&receiver->index);
  msi_buffer_fini(&receiver->kept);
  ms_value_release(receiver->state.root);
  ms_value_release(receiver->state.desk);
  msi_members_fini(&receiver->state.members);
  msi_conflicts_free(receiver->state.conflicts);
  MSI_FREE(receiver->alloc, receiver);
}

uint64_t msi_receiver_version(const msi_receiver *receiver) {
  return receiver->state.version;
}

static ms_status piece_index(msi_receiver *self, const uint8_t *data, size_t bytes,
                             ms_error *error) {
  if (self->has_begun || bytes > self->index_bytes - self->index.length) {
    return msi_fail(error, MS_ETYPE, "more bytes of the conflict index than announced");
  }
  if (bytes == 0) return MS_OK;
  return msi_buffer_append(&self->index, data, bytes);
}

ms_status msi_receiver_piece(msi_receiver *receiver, msi_reader *in, size_t fields,
                             ms_error *error) {
  uint64_t part = 0;
  const uint8_t *data = NULL;
  size_t bytes = 0;
  ms_status st = msi_piece_unpack(in, fields, &part, &data, &bytes);
  if (st != MS_OK) return msi_fail(error, st, "malformed field");
  if (part == PART_INDEX) return piece_index(receiver, data, bytes, error);
  bool is_desk = part == PART_DESK && !receiver->has_desk;
  bool is_document = part == PART_DOCUMENT && receiver->has_desk && !receiver->decoded;
  if (!is_desk && !is_document) return msi_fail(error, MS_ETYPE, "a piece out of place");
  receiver->has_begun = true;
  if (is_desk)
    return msi_decoder_feed(receiver->desk, data, bytes, &receiver->has_desk, error);
  return msi_decoder_feed(receiver->decoder, data, bytes, &receiver->decoded, error);
}

ms_status msi_receiver_keep(msi_receiver *receiver, const uint8_t *data, size_t bytes) {
  ms_status st = msi_buffer_reserve(&receiver->kept, sizeof bytes + bytes);
  if (st == MS_OK) st = msi_buffer_append(&receiver->kept, &bytes, sizeof bytes);
  if (st == MS_OK) st = msi_buffer_append(&receiver->kept, data, bytes);
  return st;
}

ms_status msi_receiver_end(msi_receiver *receiver, ms_error *error) {
  if (!receiver->decoded) {
    return msi_fail(error, MS_ETYPE, "the end comes before all pieces");
  }
  msi_reader in = {receiver->index.data, receiver->index.data};
  if (receiver->index.length > 0) in.end += receiver->index.length;
  ms_status st = msi_conflicts_unpack(&in, receiver->alloc, MSI_CONFLICT_NODES,
                                      &receiver->state.conflicts);
  if (st == MS_OK && in.at != in.end) st = MS_ETYPE;
  if (st != MS_OK) return msi_fail(error, st, "malformed conflict index");
  receiver->state.desk = msi_decoder_take(receiver->desk);
  if (!msi_desk_is_sound(receiver->state.desk))
    return msi_fail(error, MS_ETYPE, "malformed desk");
  receiver->state.root = msi_decoder_take(receiver->decoder);
  return MS_OK;
}

msi_snapshot *msi_receiver_state(msi_receiver *receiver) { return &receiver->state; }

bool msi_receiver_next(msi_receiver *receiver, const uint8_t **data, size_t *bytes) {
  if (receiver->kept_at == receiver->kept.length) return false;
  memcpy(bytes, receiver->kept.data + receiver->kept_at, sizeof *bytes);
  *data = receiver->kept.data + receiver->kept_at + sizeof *bytes;
  receiver->kept_at += sizeof *bytes + *bytes;
  return true;
}
