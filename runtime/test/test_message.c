/* Messages: each reads back as written, and nothing else reads as one. */
#include "message.h"

#include "replica_support.h"
#include "replica.h"

static msi_reader open_message(const msi_buffer *out, uint64_t wanted, size_t *fields) {
  msi_reader in = {NULL, NULL};
  uint64_t number = 0;
  assert_int_equal(msi_message_open(out->data, out->length, &in, &number, fields), MS_OK);
  assert_int_equal(number, wanted);
  return in;
}

static msi_hello some_hello(void) {
  msi_hello hello = {.protocol = MSI_PROTOCOL,
                     .group = UINT64_MAX,
                     .peer = MSI_PEER_MAX,
                     .known = true,
                     .complete = true,
                     .version = 12,
                     .number = 34,
                     .member = {.pid = 5, .since_ms = 6, .can_host = true}};
  strcpy(hello.member.program, "zone");
  return hello;
}

static void test_a_greeting_reads_back_as_written(void **state) {
  (void)state;
  msi_hello hello = some_hello(), read;
  msi_buffer out = rs_buffer();
  size_t fields;
  assert_int_equal(msi_hello_pack(&out, &hello), MS_OK);
  msi_reader in = open_message(&out, MSI_HELLO, &fields);
  assert_int_equal(msi_hello_unpack(&in, fields, &read), MS_OK);
  assert_int_equal(read.group, hello.group);
  assert_int_equal(read.peer, hello.peer);
  assert_true(read.known && read.complete && read.member.can_host &&
              !read.member.readonly);
  assert_int_equal(read.version, 12);
  assert_int_equal(read.number, 34);
  assert_string_equal(read.member.program, "zone");

  msi_welcome welcome = {MSI_PROTOCOL, 1, 2, 3, 4, 5, true}, heard;
  msi_buffer_clear(&out);
  assert_int_equal(msi_welcome_pack(&out, &welcome), MS_OK);
  in = open_message(&out, MSI_WELCOME, &fields);
  assert_int_equal(msi_welcome_unpack(&in, fields, &heard), MS_OK);
  assert_int_equal(heard.group, 1);
  assert_int_equal(heard.host, 2);
  assert_int_equal(heard.term, 3);
  assert_int_equal(heard.version, 4);
  assert_int_equal(heard.decided, 5);
  assert_true(heard.catch_up);

  msi_refuse refuse;
  msi_buffer_clear(&out);
  assert_int_equal(msi_refuse_pack(&out, MSI_REFUSE_RETIRED, "retired"), MS_OK);
  in = open_message(&out, MSI_REFUSE, &fields);
  assert_int_equal(msi_refuse_unpack(&in, fields, &refuse), MS_OK);
  assert_int_equal(refuse.code, MSI_REFUSE_RETIRED);
  assert_string_equal(refuse.message, "retired");
  msi_buffer_fini(&out);
}

static void test_a_patch_reads_back_as_written(void **state) {
  (void)state;
  msi_patch patch = {.number = 1, .base = 2, .timestamp = 3, .wall_ms = -4}, read;
  patch.update = rs_update("a.b", 7);
  msi_buffer out = rs_buffer();
  size_t fields;
  assert_int_equal(msi_patch_pack(&out, &patch), MS_OK);
  msi_reader in = open_message(&out, MSI_PATCH, &fields);
  assert_int_equal(msi_patch_unpack(&in, fields, NULL, &read, NULL), MS_OK);
  assert_int_equal(read.number, 1);
  assert_int_equal(read.base, 2);
  assert_int_equal(read.timestamp, 3);
  assert_int_equal(read.wall_ms, -4);
  assert_int_equal(read.update->wire_bytes, patch.update->wire_bytes);
  ms_update_release(read.update);
  ms_update_release(patch.update);
  msi_buffer_fini(&out);
}

static msi_reads *some_reads(void) {
  msi_read_set set;
  msi_reads *reads = NULL;
  ms_path *whole = rs_path(NULL, "a.b"), *exists = rs_path(NULL, "c.d");
  assert_int_equal(msi_read_set_init(&set, NULL), MS_OK);
  assert_int_equal(msi_read_set_add(&set, whole->segments, whole->count, MSI_READ_WHOLE),
                   MS_OK);
  assert_int_equal(
      msi_read_set_add(&set, exists->segments, exists->count, MSI_READ_EXISTS), MS_OK);
  assert_int_equal(msi_read_set_compile(&set, &reads), MS_OK);
  msi_read_set_fini(&set);
  ms_path_release(whole);
  ms_path_release(exists);
  return reads;
}

static void test_a_transaction_brings_along_what_it_read(void **state) {
  (void)state;
  msi_patch patch = {.number = 1, .base = 2, .timestamp = 3, .wall_ms = -4}, read;
  patch.update = rs_update("a.b", 7);
  patch.reads = some_reads();
  msi_buffer out = rs_buffer();
  size_t fields;
  assert_int_equal(msi_patch_pack(&out, &patch), MS_OK);
  msi_reader in = open_message(&out, MSI_PATCH, &fields);
  assert_int_equal(fields, 6);
  assert_int_equal(msi_patch_unpack(&in, fields, NULL, &read, NULL), MS_OK);
  assert_int_equal(read.reads->count, 2);
  assert_int_equal(read.reads->whole_count, 1);
  assert_true(msi_path_equal(read.reads->paths[1], patch.reads->paths[1]));
  msi_patch_release(&read);
  msi_patch_release(&patch);
  msi_buffer_fini(&out);
}

static void test_questions_and_answers_read_back_as_written(void **state) {
  (void)state;
  msi_buffer out = rs_buffer();
  size_t fields;
  uint64_t token = 0, version = 0;
  assert_int_equal(msi_sync_pack(&out, UINT64_MAX), MS_OK);
  msi_reader in = open_message(&out, MSI_SYNC, &fields);
  assert_int_equal(msi_sync_unpack(&in, fields, &token), MS_OK);
  assert_true(token == UINT64_MAX);
  msi_buffer_clear(&out);
  assert_int_equal(msi_synced_pack(&out, 8, 9), MS_OK);
  in = open_message(&out, MSI_SYNCED, &fields);
  assert_int_equal(msi_synced_unpack(&in, fields, &token, &version), MS_OK);
  assert_int_equal(token, 8);
  assert_int_equal(version, 9);
  msi_buffer_clear(&out);
  assert_int_equal(msi_ready_pack(&out, 17), MS_OK);
  in = open_message(&out, MSI_READY, &fields);
  assert_int_equal(msi_ready_unpack(&in, fields, &version), MS_OK);
  assert_int_equal(version, 17);
  msi_buffer_fini(&out);
}

static void test_a_greeting_of_another_protocol_is_told_apart(void **state) {
  (void)state;
  /* [1, 3, "whatever comes later"] */
  static const uint8_t later[] = {0x93, 0x01, 0x03, 0xa1, 'x'};
  msi_reader in;
  uint64_t number;
  size_t fields;
  msi_hello hello;
  assert_int_equal(msi_message_open(later, sizeof later, &in, &number, &fields), MS_OK);
  assert_int_equal(msi_hello_unpack(&in, fields, &hello), MS_EVERSION);
  assert_int_equal(hello.protocol, MSI_PROTOCOL + 1);
}

static ms_status unpack_any(const uint8_t *data, size_t bytes) {
  msi_reader in;
  uint64_t number, a, b;
  size_t fields, length;
  msi_hello hello;
  msi_welcome welcome;
  msi_refuse refuse;
  msi_patch patch;
  const uint8_t *piece;
  ms_status st = msi_message_open(data, bytes, &in, &number, &fields);
  if (st != MS_OK) return st;
  switch (number) {
    case MSI_HELLO: return msi_hello_unpack(&in, fields, &hello);
    case MSI_WELCOME: return msi_welcome_unpack(&in, fields, &welcome);
    case MSI_REFUSE: return msi_refuse_unpack(&in, fields, &refuse);
    case MSI_PATCH:
      st = msi_patch_unpack(&in, fields, NULL, &patch, NULL);
      if (st == MS_OK) msi_patch_release(&patch);
      return st;
    case MSI_SYNC: return msi_sync_unpack(&in, fields, &a);
    case MSI_READY: return msi_ready_unpack(&in, fields, &a);
    case MSI_SYNCED: return msi_synced_unpack(&in, fields, &a, &b);
    case MSI_SNAPSHOT_PIECE: return msi_piece_unpack(&in, fields, &a, &piece, &length);
    default: return MS_ENOENT;
  }
}

static void try_damaged(const msi_buffer *out) {
  assert_int_equal(unpack_any(out->data, out->length), MS_OK);
  for (size_t length = 0; length < out->length; length++) {
    uint8_t *copy = malloc(length + 1);
    assert_non_null(copy);
    memcpy(copy, out->data, length);
    assert_int_not_equal(unpack_any(copy, length), MS_OK);
    free(copy);
  }
  uint8_t *copy = malloc(out->length + 1);
  assert_non_null(copy);
  memcpy(copy, out->data, out->length);
  copy[out->length] = 0;
  assert_int_not_equal(unpack_any(copy, out->length + 1), MS_OK);
  for (size_t at = 0; at < out->length * 8; at++) {
    memcpy(copy, out->data, out->length);
    copy[at / 8] = (uint8_t)(copy[at / 8] ^ (1 << at % 8));
    ms_status st =
        unpack_any(copy, out->length); /* may be another message; no harm is done */
    (void)st;
  }
  free(copy);
}

static void test_damaged_messages_are_refused(void **state) {
  (void)state;
  msi_hello hello = some_hello();
  msi_welcome welcome = {MSI_PROTOCOL, 1, 2, 3, 4, 5, true};
  msi_patch patch = {.number = 1, .base = 2, .timestamp = 3, .wall_ms = -4};
  patch.update = rs_update("a.b", 7);
  msi_buffer out = rs_buffer();
  for (int i = 0; i < 9; i++) {
    msi_buffer_clear(&out);
    ms_status st = MS_OK;
    switch (i) {
      case 0: st = msi_hello_pack(&out, &hello); break;
      case 1: st = msi_welcome_pack(&out, &welcome); break;
      case 2: st = msi_refuse_pack(&out, MSI_REFUSE_GROUP, "another group"); break;
      case 3: st = msi_patch_pack(&out, &patch); break;
      case 4: st = msi_sync_pack(&out, 1000); break;
      case 5: st = msi_synced_pack(&out, 1000, 2000); break;
      case 6: st = msi_ready_pack(&out, 1000); break;
      case 7:
        patch.reads = some_reads();
        st = msi_patch_pack(&out, &patch);
        break;
      default:
        st = msi_message_begin(&out, MSI_SNAPSHOT_PIECE, 2);
        if (st == MS_OK) st = msi_pack_uint(&out, 1);
        if (st == MS_OK) st = msi_pack_bin(&out, "abc", 3);
    }
    assert_int_equal(st, MS_OK);
    try_damaged(&out);
  }
  msi_patch_release(&patch);
  msi_buffer_fini(&out);
}

static void test_numbers_that_leave_no_room_are_refused(void **state) {
  (void)state;
  msi_hello hello = some_hello();
  msi_buffer out = rs_buffer();
  hello.number = UINT64_MAX; /* counting on would begin again at 0 */
  assert_int_equal(msi_hello_pack(&out, &hello), MS_OK);
  assert_int_not_equal(unpack_any(out.data, out.length), MS_OK);
  msi_buffer_clear(&out);
  hello = some_hello();
  hello.peer = MSI_PEER_MAX + 1;
  assert_int_equal(msi_hello_pack(&out, &hello), MS_OK);
  assert_int_not_equal(unpack_any(out.data, out.length), MS_OK);
  msi_buffer_fini(&out);
}

static void test_a_message_without_memory_leaves_the_buffer_as_it_was(void **state) {
  (void)state;
  failing_alloc memory;
  failing_alloc_init(&memory);
  msi_hello hello = some_hello();
  msi_buffer out;
  msi_buffer_init(&out, &memory.alloc);
  assert_int_equal(msi_sync_pack(&out, 1), MS_OK);
  size_t length = out.length;
  bool done = false;
  for (uint64_t n = 0; !done; n++) {
    failing_alloc_fail_at(&memory, n);
    ms_status st = msi_hello_pack(&out, &hello);
    done = st == MS_OK;
    if (!done) assert_int_equal(out.length, length);
    failing_alloc_never_fail(&memory);
  }
  msi_buffer_fini(&out);
  assert_true(failing_alloc_is_clean(&memory));
}

static void test_messages_have_names(void **state) {
  (void)state;
  assert_string_equal(msi_message_name(MSI_HELLO), "HELLO");
  assert_string_equal(msi_message_name(MSI_READY), "READY");
  assert_string_equal(msi_message_name(999), "message");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_greeting_reads_back_as_written),
      cmocka_unit_test(test_a_patch_reads_back_as_written),
      cmocka_unit_test(test_a_transaction_brings_along_what_it_read),
      cmocka_unit_test(test_questions_and_answers_read_back_as_written),
      cmocka_unit_test(test_a_greeting_of_another_protocol_is_told_apart),
      cmocka_unit_test(test_damaged_messages_are_refused),
      cmocka_unit_test(test_numbers_that_leave_no_room_are_refused),
      cmocka_unit_test(test_a_message_without_memory_leaves_the_buffer_as_it_was),
      cmocka_unit_test(test_messages_have_names),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
