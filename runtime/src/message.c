/*
 * Packing and unpacking of messages other than ENTRY and SNAPSHOT_BEGIN, which entry.c and snapshot.c
 * own. Pure. Every unpacker checks the count of fields first and the end of the frame last.
 */
#include "message.h"

#include <string.h>

#include "replica.h" /* MSI_PROTOCOL */

enum {
  HELLO_FIELDS = 8,
  WELCOME_FIELDS = 7,
  REFUSE_FIELDS = 2,
  PATCH_FIELDS = 5,
  TRANSACTION_FIELDS = 6, /* a PATCH with reads */
  PIECE_FIELDS = 2,
  SYNC_FIELDS = 1,
  SYNCED_FIELDS = 2,
  READY_FIELDS = 1
};

static const char *const message_names[] = {
    "message",      "HELLO", "WELCOME",        "REFUSE",
    "ENTRY",        "PATCH", "SNAPSHOT_BEGIN", "SNAPSHOT_PIECE",
    "SNAPSHOT_END", "SYNC",  "SYNCED",         "BYE",
    "READY",        "PING"};

const char *msi_message_name(uint64_t number) {
  return message_names[number <= MSI_PING ? number : 0];
}

ms_status msi_message_open(const uint8_t *data, size_t bytes, msi_reader *in,
                           uint64_t *number, size_t *fields) {
  msi_reader reader = {data, data + bytes};
  size_t count;
  ms_status st = msi_unpack_array(&reader, &count);
  if (st != MS_OK) return st;
  if (count == 0) return MS_ETYPE;
  st = msi_unpack_uint(&reader, number);
  if (st != MS_OK) return st;
  *in = reader;
  *fields = count - 1;
  return MS_OK;
}

ms_status msi_message_begin(msi_buffer *out, msi_message number, size_t fields) {
  ms_status st = msi_pack_array(out, fields + 1);
  return st != MS_OK ? st : msi_pack_uint(out, (uint64_t)number);
}

/* Undoes a message that did not fit into memory. */
static ms_status message_end(msi_buffer *out, size_t start, ms_status st) {
  if (st != MS_OK) out->length = start;
  return st;
}

static ms_status at_end(const msi_reader *in, ms_status st) {
  return st == MS_OK && in->at != in->end ? MS_ETYPE : st;
}

/* ----------------------------------------------------------------- greeting */

ms_status msi_hello_pack(msi_buffer *out, const msi_hello *hello) {
  size_t start = out->length;
  ms_status st = msi_message_begin(out, MSI_HELLO, HELLO_FIELDS);
  if (st == MS_OK) st = msi_pack_uint(out, hello->protocol);
  if (st == MS_OK) st = msi_pack_uint(out, hello->group);
  if (st == MS_OK) st = msi_pack_uint(out, hello->peer);
  if (st == MS_OK) st = msi_pack_bool(out, hello->known);
  if (st == MS_OK) st = msi_pack_bool(out, hello->complete);
  if (st == MS_OK) st = msi_pack_uint(out, hello->version);
  if (st == MS_OK) st = msi_pack_uint(out, hello->number);
  if (st == MS_OK) st = msi_member_info_pack(out, &hello->member);
  return message_end(out, start, st);
}

ms_status msi_hello_unpack(msi_reader *in, size_t fields, msi_hello *out) {
  msi_hello hello;
  memset(&hello, 0, sizeof hello);
  if (fields == 0) return MS_ETYPE;
  ms_status st = msi_unpack_uint(in, &hello.protocol);
  if (st != MS_OK) return st;
  if (hello.protocol != MSI_PROTOCOL) {
    out->protocol = hello.protocol;
    return MS_EVERSION;
  }
  if (fields != HELLO_FIELDS) return MS_ETYPE;
  st = msi_unpack_uint(in, &hello.group);
  if (st == MS_OK) st = msi_unpack_uint(in, &hello.peer);
  if (st == MS_OK && (hello.peer == 0 || hello.peer > MSI_PEER_MAX)) st = MS_ETYPE;
  if (st == MS_OK) st = msi_unpack_bool(in, &hello.known);
  if (st == MS_OK) st = msi_unpack_bool(in, &hello.complete);
  if (st == MS_OK) st = msi_unpack_uint(in, &hello.version);
  if (st == MS_OK) st = msi_unpack_uint(in, &hello.number);
  if (st == MS_OK && hello.number > INT64_MAX)
    st = MS_ETYPE; /* leaves room to count on */
  if (st == MS_OK) st = msi_member_info_unpack(in, &hello.member);
  st = at_end(in, st);
  if (st == MS_OK) *out = hello;
  return st;
}

ms_status msi_welcome_pack(msi_buffer *out, const msi_welcome *welcome) {
  size_t start = out->length;
  ms_status st = msi_message_begin(out, MSI_WELCOME, WELCOME_FIELDS);
  if (st == MS_OK) st = msi_pack_uint(out, welcome->protocol);
  if (st == MS_OK) st = msi_pack_uint(out, welcome->group);
  if (st == MS_OK) st = msi_pack_uint(out, welcome->host);
  if (st == MS_OK) st = msi_pack_uint(out, welcome->term);
  if (st == MS_OK) st = msi_pack_uint(out, welcome->version);
  if (st == MS_OK) st = msi_pack_uint(out, welcome->decided);
  if (st == MS_OK) st = msi_pack_bool(out, welcome->catch_up);
  return message_end(out, start, st);
}

ms_status msi_welcome_unpack(msi_reader *in, size_t fields, msi_welcome *out) {
  msi_welcome welcome;
  memset(&welcome, 0, sizeof welcome);
  if (fields != WELCOME_FIELDS) return MS_ETYPE;
  ms_status st = msi_unpack_uint(in, &welcome.protocol);
  if (st == MS_OK) st = msi_unpack_uint(in, &welcome.group);
  if (st == MS_OK) st = msi_unpack_uint(in, &welcome.host);
  if (st == MS_OK && (welcome.host == 0 || welcome.host > MSI_PEER_MAX)) st = MS_ETYPE;
  if (st == MS_OK) st = msi_unpack_uint(in, &welcome.term);
  if (st == MS_OK) st = msi_unpack_uint(in, &welcome.version);
  if (st == MS_OK) st = msi_unpack_uint(in, &welcome.decided);
  if (st == MS_OK) st = msi_unpack_bool(in, &welcome.catch_up);
  st = at_end(in, st);
  if (st == MS_OK) *out = welcome;
  return st;
}

ms_status msi_refuse_pack(msi_buffer *out, msi_refuse_code code, const char *message) {
  size_t start = out->length;
  ms_status st = msi_message_begin(out, MSI_REFUSE, REFUSE_FIELDS);
  if (st == MS_OK) st = msi_pack_uint(out, (uint64_t)code);
  if (st == MS_OK) st = msi_pack_string(out, message, strlen(message));
  return message_end(out, start, st);
}

ms_status msi_refuse_unpack(msi_reader *in, size_t fields, msi_refuse *out) {
  uint64_t code;
  const char *bytes;
  size_t length;
  if (fields != REFUSE_FIELDS) return MS_ETYPE;
  ms_status st = msi_unpack_uint(in, &code);
  if (st == MS_OK) st = msi_unpack_string(in, &bytes, &length);
  st = at_end(in, st);
  if (st != MS_OK) return st;
  if (length >= sizeof out->message) return MS_ETYPE;
  out->code = code;
  if (length > 0) memcpy(out->message, bytes, length);
  out->message[length] = '\0';
  return MS_OK;
}

/* ------------------------------------------------------------------ patches */

ms_status msi_patch_pack(msi_buffer *out, const msi_patch *patch) {
  size_t start = out->length;
  size_t fields = patch->reads == NULL ? PATCH_FIELDS : TRANSACTION_FIELDS;
  ms_status st = msi_message_begin(out, MSI_PATCH, fields);
  if (st == MS_OK) st = msi_pack_uint(out, patch->number);
  if (st == MS_OK) st = msi_pack_uint(out, patch->base);
  if (st == MS_OK) st = msi_pack_uint(out, patch->timestamp);
  if (st == MS_OK) st = msi_pack_int(out, patch->wall_ms);
  if (st == MS_OK) {
    st = msi_buffer_append(out, patch->update->wire, patch->update->wire_bytes);
  }
  if (st == MS_OK && patch->reads != NULL) st = msi_reads_pack(out, patch->reads);
  return message_end(out, start, st);
}

ms_status msi_patch_unpack(msi_reader *in, size_t fields, const ms_alloc *alloc,
                           msi_patch *out, ms_error *error) {
  msi_patch patch;
  memset(&patch, 0, sizeof patch);
  const uint8_t *start = NULL;
  size_t bytes = 0;
  if (fields != PATCH_FIELDS && fields != TRANSACTION_FIELDS)
    return msi_fail(error, MS_ETYPE, "wrong count of fields");
  ms_status st = msi_unpack_uint(in, &patch.number);
  if (st == MS_OK) st = msi_unpack_uint(in, &patch.base);
  if (st == MS_OK) st = msi_unpack_uint(in, &patch.timestamp);
  if (st == MS_OK) st = msi_unpack_int(in, &patch.wall_ms);
  if (st == MS_OK) st = msi_unpack_skip(in, &start, &bytes);
  if (st == MS_OK && fields == TRANSACTION_FIELDS)
    st = msi_reads_unpack(in, alloc, &patch.reads);
  st = at_end(in, st);
  if (st != MS_OK) {
    st = msi_fail(error, st, "malformed field");
  } else if (bytes > MS_PATCH_MAX) {
    st = msi_fail(error, MS_ELIMIT, "update of %zu bytes", bytes);
  } else {
    st = msi_update_decode(alloc, start, bytes, &patch.update, error);
  }
  if (st == MS_OK) {
    *out = patch;
  } else {
    msi_reads_release(patch.reads);
  }
  return st;
}

/* -------------------------------------------------------------------- syncs */

ms_status msi_sync_pack(msi_buffer *out, uint64_t token) {
  size_t start = out->length;
  ms_status st = msi_message_begin(out, MSI_SYNC, SYNC_FIELDS);
  if (st == MS_OK) st = msi_pack_uint(out, token);
  return message_end(out, start, st);
}

ms_status msi_sync_unpack(msi_reader *in, size_t fields, uint64_t *token) {
  if (fields != SYNC_FIELDS) return MS_ETYPE;
  return at_end(in, msi_unpack_uint(in, token));
}

ms_status msi_synced_pack(msi_buffer *out, uint64_t token, uint64_t version) {
  size_t start = out->length;
  ms_status st = msi_message_begin(out, MSI_SYNCED, SYNCED_FIELDS);
  if (st == MS_OK) st = msi_pack_uint(out, token);
  if (st == MS_OK) st = msi_pack_uint(out, version);
  return message_end(out, start, st);
}

ms_status msi_synced_unpack(msi_reader *in, size_t fields, uint64_t *token,
                            uint64_t *version) {
  if (fields != SYNCED_FIELDS) return MS_ETYPE;
  ms_status st = msi_unpack_uint(in, token);
  if (st == MS_OK) st = msi_unpack_uint(in, version);
  return at_end(in, st);
}

ms_status msi_ready_pack(msi_buffer *out, uint64_t version) {
  size_t start = out->length;
  ms_status st = msi_message_begin(out, MSI_READY, READY_FIELDS);
  if (st == MS_OK) st = msi_pack_uint(out, version);
  return message_end(out, start, st);
}

ms_status msi_ready_unpack(msi_reader *in, size_t fields, uint64_t *version) {
  if (fields != READY_FIELDS) return MS_ETYPE;
  return at_end(in, msi_unpack_uint(in, version));
}

ms_status msi_piece_unpack(msi_reader *in, size_t fields, uint64_t *part,
                           const uint8_t **data, size_t *bytes) {
  const char *start = NULL;
  if (fields != PIECE_FIELDS) return MS_ETYPE;
  ms_status st = msi_unpack_uint(in, part);
  if (st == MS_OK) st = msi_unpack_string(in, &start, bytes);
  st = at_end(in, st);
  if (st == MS_OK) *data = (const uint8_t *)start;
  return st;
}
