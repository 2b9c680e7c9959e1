/*
 * The messages between a peer and a host: MessagePack arrays, one a frame, whose first element is the
 * message's number. Numbers are never used again.
 *
 *   dialler -> host
 *    1 HELLO   [1, protocol, group, peer, known, complete, version, number, member]
 *                 known: this id was admitted before; complete: the document at `version` is here, so
 *                 later entries are enough; number: of the last own patch before this id;
 *                 member: [pid, since_ms, program, readonly, can_host, linked]
 *    5 PATCH   [5, number, base, timestamp, wall_ms, update]      update: its wire form (update.h)
 *              [5, number, base, timestamp, wall_ms, update, reads]   of a transaction; reads: reads.h
 *    9 SYNC    [9, token]
 *   12 READY   [12, version]                                     everything up to there is here
 *   13 PING    [13]                                              who holds or awaits a lock still lives
 *
 *   host -> peer
 *    2 WELCOME [2, protocol, group, host, term, version, decided, catch_up]
 *                 decided: the last number of this peer that was decided; catch_up: the entries that
 *                 the peer lacks follow, else a snapshot
 *    3 REFUSE  [3, code, message]                                 then the link ends
 *    4 ENTRY   [4, ...]                                           see entry.h
 *    6 SNAPSHOT_BEGIN [6, version, clock, index_bytes, [member...]]
 *                 clock: the last timestamp seen; index_bytes: of the conflict index;
 *                 member, by id: [id, decided, base, rejected_floor, [rejected...],
 *                 [pid, since_ms, program, readonly, can_host, linked]]: see members.h
 *    7 SNAPSHOT_PIECE [7, part, bytes]
 *                 part 0: the next bytes of the conflict index; part 1, after all of these: the next
 *                 whole atoms of the document
 *    8 SNAPSHOT_END   [8]
 *                 entries above its version may stand anywhere after SNAPSHOT_BEGIN
 *   10 SYNCED  [10, token, version]                               in its place among the entries
 *
 *   both
 *   11 BYE     [11]                                               I stop on purpose
 *
 * What does not read like this ends the link it came through.
 */
#ifndef MSI_MESSAGE_H
#define MSI_MESSAGE_H

#include "entry.h"

typedef enum msi_message {
  MSI_HELLO = 1,
  MSI_WELCOME = 2,
  MSI_REFUSE = 3,
  MSI_ENTRY = 4,
  MSI_PATCH = 5,
  MSI_SNAPSHOT_BEGIN = 6,
  MSI_SNAPSHOT_PIECE = 7,
  MSI_SNAPSHOT_END = 8,
  MSI_SYNC = 9,
  MSI_SYNCED = 10,
  MSI_BYE = 11,
  MSI_READY = 12,
  MSI_PING = 13
} msi_message;

/* The numbers are on the wire. */
typedef enum msi_refuse_code {
  MSI_REFUSE_RETIRED = 1, /* this id has left for good */
  MSI_REFUSE_GROUP = 2,   /* another group */
  MSI_REFUSE_VERSION = 3, /* another protocol */
  MSI_REFUSE_FULL = 4,    /* too many peers: later, perhaps */
  MSI_REFUSE_WRITERS = 5  /* too many that write: never mind */
} msi_refuse_code;

typedef struct msi_hello {
  uint64_t protocol, group, peer;
  bool known, complete;
  uint64_t version, number;
  msi_member_info member;
} msi_hello;

typedef struct msi_welcome {
  uint64_t protocol, group, host, term, version, decided;
  bool catch_up;
} msi_welcome;

typedef struct msi_refuse {
  uint64_t code;
  char message[MS_MESSAGE_MAX];
} msi_refuse;

/* The number of a message and its fields after that; `in` is left at the first of them. MS_ETYPE. */
MS_CHECKED ms_status msi_message_open(const uint8_t *data, size_t bytes, msi_reader *in,
                                      uint64_t *number, size_t *fields);
/* Array header and number. */
MS_CHECKED ms_status msi_message_begin(msi_buffer *out, msi_message number,
                                       size_t fields);
/* "HELLO"; "message" for an unknown number. Static. */
const char *msi_message_name(uint64_t number);

/* Packing appends a whole message: MS_ENOMEM leaves the buffer as it was. Unpacking begins where
 * msi_message_open ended and wants the whole rest: MS_ETYPE, MS_ELIMIT. *out on success only. */
MS_CHECKED ms_status msi_hello_pack(msi_buffer *out, const msi_hello *hello);
/* MS_EVERSION: another protocol; only protocol is set then. */
MS_CHECKED ms_status msi_hello_unpack(msi_reader *in, size_t fields, msi_hello *out);
MS_CHECKED ms_status msi_welcome_pack(msi_buffer *out, const msi_welcome *welcome);
MS_CHECKED ms_status msi_welcome_unpack(msi_reader *in, size_t fields, msi_welcome *out);
MS_CHECKED ms_status msi_refuse_pack(msi_buffer *out, msi_refuse_code code,
                                     const char *message);
MS_CHECKED ms_status msi_refuse_unpack(msi_reader *in, size_t fields, msi_refuse *out);
MS_CHECKED ms_status msi_patch_pack(msi_buffer *out, const msi_patch *patch);
/* The origin is set by the caller; update and reads are retained by *out. Also what decoding them
 * returns. */
MS_CHECKED ms_status msi_patch_unpack(msi_reader *in, size_t fields,
                                      const ms_alloc *alloc, msi_patch *out,
                                      ms_error *error);
MS_CHECKED ms_status msi_sync_pack(msi_buffer *out, uint64_t token);
MS_CHECKED ms_status msi_sync_unpack(msi_reader *in, size_t fields, uint64_t *token);
MS_CHECKED ms_status msi_synced_pack(msi_buffer *out, uint64_t token, uint64_t version);
MS_CHECKED ms_status msi_synced_unpack(msi_reader *in, size_t fields, uint64_t *token,
                                       uint64_t *version);
MS_CHECKED ms_status msi_ready_pack(msi_buffer *out, uint64_t version);
MS_CHECKED ms_status msi_ready_unpack(msi_reader *in, size_t fields, uint64_t *version);
MS_CHECKED ms_status msi_piece_unpack(msi_reader *in, size_t fields, uint64_t *part,
                                      const uint8_t **data, size_t *bytes);

#endif
