/*
 * Fuzz target: frames from a peer, a host or a damaged log. Whatever reads is written and read again.
 * The bytes of SNAPSHOT_PIECE messages go on into a receiver.
 */
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "replica.h"
#include "snapshot.h"

static void expect(bool condition) {
  if (!condition) abort();
}

static void fuzz_entry(const uint8_t *data, size_t bytes) {
  msi_entry entry, again;
  msi_buffer out;
  ms_error error;
  if (msi_entry_unpack(NULL, data, bytes, &entry, &error) != MS_OK) return;
  msi_buffer_init(&out, msi_alloc_resolve(NULL));
  expect(msi_entry_pack(&out, &entry) == MS_OK);
  expect(msi_entry_unpack(NULL, out.data, out.length, &again, &error) == MS_OK);
  expect(again.version == entry.version && again.kind == entry.kind);
  expect(again.refusal.path_count == entry.refusal.path_count);
  msi_entry_fini(&again);
  msi_entry_fini(&entry);
  msi_buffer_fini(&out);
}

static void fuzz_greeting(uint64_t number, msi_reader in, size_t fields) {
  msi_hello hello;
  msi_welcome welcome;
  msi_refuse refuse;
  if (number == MSI_HELLO && msi_hello_unpack(&in, fields, &hello) == MS_OK) {
    expect(hello.peer > 0 && hello.peer <= MSI_PEER_MAX);
    expect(strlen(hello.member.program) < sizeof hello.member.program);
  }
  if (number == MSI_WELCOME && msi_welcome_unpack(&in, fields, &welcome) == MS_OK) {
    expect(welcome.host > 0);
  }
  if (number == MSI_REFUSE && msi_refuse_unpack(&in, fields, &refuse) == MS_OK) {
    expect(strlen(refuse.message) < sizeof refuse.message);
  }
}

static void fuzz_patch(uint64_t number, msi_reader in, size_t fields) {
  msi_patch patch;
  ms_error error;
  uint64_t token, version;
  if (number == MSI_PATCH &&
      msi_patch_unpack(&in, fields, NULL, &patch, &error) == MS_OK) {
    msi_patch_release(&patch);
  }
  ms_status st = MS_OK;
  if (number == MSI_SYNC) st = msi_sync_unpack(&in, fields, &token);
  if (number == MSI_SYNCED) st = msi_synced_unpack(&in, fields, &token, &version);
  expect(st == MS_OK || in.at <= in.end);
}

/* The frames of a snapshot: u8 length and that many bytes, again and again. */
static void fuzz_snapshot(const uint8_t *data, size_t bytes) {
  msi_receiver *receiver = NULL;
  ms_error error;
  while (bytes > 1 && data[0] > 0 && data[0] < bytes) {
    size_t length = data[0], fields;
    msi_reader in;
    uint64_t number;
    ms_status st = msi_message_open(data + 1, length, &in, &number, &fields);
    data += 1 + length;
    bytes -= 1 + length;
    if (st != MS_OK) break;
    if (number == MSI_SNAPSHOT_BEGIN && receiver == NULL) {
      st = msi_receiver_new(msi_alloc_resolve(NULL), 1 << 20, &in, fields, &receiver,
                            &error);
    } else if (number == MSI_SNAPSHOT_PIECE && receiver != NULL) {
      st = msi_receiver_piece(receiver, &in, fields, &error);
    } else if (number == MSI_SNAPSHOT_END && receiver != NULL) {
      st = msi_receiver_end(receiver, &error);
      if (st == MS_OK) expect(msi_receiver_state(receiver)->root != NULL);
      break;
    }
    if (st != MS_OK) break;
  }
  msi_receiver_free(receiver);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  msi_reader in;
  uint64_t number;
  size_t fields;
  fuzz_snapshot(data, bytes);
  if (msi_message_open(data, bytes, &in, &number, &fields) != MS_OK) return 0;
  expect(msi_message_name(number) != NULL);
  fuzz_entry(data, bytes);
  fuzz_greeting(number, in, fields);
  fuzz_patch(number, in, fields);
  return 0;
}
