/*
 * Holds examples of the protocol against the code: what docs/protocol.md shows is read from stdin, a
 * line each, and answered on stdout, a line each, with tabs between the parts.
 *
 *   message HEX      the name and the notation of a message that reads back as written
 *   wire HEX         "update" and the notation of an update's wire form
 *   value HEX        the type and the notation of a value
 *   group HEX        "group", the id and the term in a group file that begins with these bytes
 *   update JSON      the bytes of a compiled update; JSON is [document] or [document, filters, where]
 *   list WHAT        name and number of all messages, operators, statuses, refusals, entries, types
 *                    or limits
 *
 * What is not as it should be is answered by "bad" and the reason.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "group.h"
#include "link.h"
#include "members.h"
#include "message.h"
#include "operator.h"
#include "replica.h"
#include "replica_state.h"

enum { LINE_BYTES_MAX = 1 << 20 };

static void answer_bad(const char *what, ms_status status) {
  printf("bad\t%s: %s", what, ms_status_name(status));
}

/* ----------------------------------------------------------------- notation */

static void print_text(const char *bytes, size_t length) {
  putchar('"');
  for (size_t i = 0; i < length; i++) {
    if (bytes[i] == '"' || bytes[i] == '\\') putchar('\\');
    putchar(bytes[i]);
  }
  putchar('"');
}

static void print_bytes(const char *bytes, size_t length) {
  fputs("h'", stdout);
  for (size_t i = 0; i < length; i++) printf("%02x", (unsigned char)bytes[i]);
  putchar('\'');
}

/* A float, or the empty table; the bytes were checked before. */
static void print_rest(msi_reader *in) {
  const ms_value *value;
  double number;
  char text[64];
  if (msi_unpack_value(in, NULL, MS_DEPTH_MAX, &value, NULL) != MS_OK) abort();
  if (ms_value_type(value) == MS_EMPTY) fputs("empty", stdout);
  if (ms_value_to_double(value, &number) == MS_OK) {
    snprintf(text, sizeof text, "%.17g", number);
    printf("%s%s", text, strspn(text, "-0123456789") == strlen(text) ? ".0" : "");
  }
  ms_value_release(value);
}

static void print_item(msi_reader *in);

static void print_items(msi_reader *in, size_t count, bool is_map) {
  putchar(is_map ? '{' : '[');
  for (size_t i = 0; i < count; i++) {
    if (i > 0) fputs(", ", stdout);
    print_item(in);
    if (!is_map) continue;
    fputs(": ", stdout);
    print_item(in);
  }
  putchar(is_map ? '}' : ']');
}

/* Recursion is bounded by MSI_SKIP_DEPTH_MAX. */
static void print_item(msi_reader *in) {
  bool flag, is_bin = in->at < in->end && *in->at >= 0xC4 && *in->at <= 0xC6;
  int64_t number;
  uint64_t big;
  const char *bytes;
  size_t count;
  if (msi_unpack_nil(in) == MS_OK) {
    fputs("nil", stdout);
  } else if (msi_unpack_bool(in, &flag) == MS_OK) {
    fputs(flag ? "true" : "false", stdout);
  } else if (msi_unpack_int(in, &number) == MS_OK) {
    printf("%" PRId64, number);
  } else if (msi_unpack_uint(in, &big) == MS_OK) {
    printf("%" PRIu64, big);
  } else if (msi_unpack_string(in, &bytes, &count) == MS_OK) {
    (is_bin ? print_bytes : print_text)(bytes, count);
  } else if (msi_unpack_array(in, &count) == MS_OK) {
    print_items(in, count, false);
  } else if (msi_unpack_map(in, &count) == MS_OK) {
    print_items(in, count, true);
  } else {
    print_rest(in);
  }
}

static void answer(const char *name, const uint8_t *data, size_t bytes) {
  msi_reader in = {data, data + bytes};
  printf("%s\t", name);
  print_item(&in);
}

/* ----------------------------------------------------------------- messages */

static ms_status again_snapshot(msi_reader *in, size_t fields, msi_buffer *out) {
  uint64_t numbers[3];
  msi_members members;
  msi_members_init(&members, msi_alloc_resolve(NULL));
  msi_receiver *receiver = NULL;
  msi_reader ahead = *in;
  ms_status st = msi_receiver_new(msi_alloc_resolve(NULL), UINT64_MAX, &ahead, fields,
                                  &receiver, NULL);
  msi_receiver_free(receiver);
  if (st == MS_OK) st = msi_message_begin(out, MSI_SNAPSHOT_BEGIN, fields);
  for (size_t i = 0; i < 3 && st == MS_OK; i++) {
    st = msi_unpack_uint(in, &numbers[i]);
    if (st == MS_OK) st = msi_pack_uint(out, numbers[i]);
  }
  if (st == MS_OK) st = msi_members_unpack(in, &members);
  if (st == MS_OK) st = msi_members_pack(out, &members);
  msi_members_fini(&members);
  return st;
}

static ms_status again_piece(msi_reader *in, size_t fields, msi_buffer *out) {
  uint64_t part;
  const uint8_t *data;
  size_t bytes;
  ms_status st = msi_piece_unpack(in, fields, &part, &data, &bytes);
  if (st == MS_OK) st = msi_message_begin(out, MSI_SNAPSHOT_PIECE, fields);
  if (st == MS_OK) st = msi_pack_uint(out, part);
  return st == MS_OK ? msi_pack_bin(out, data, bytes) : st;
}

static ms_status again_greeting(uint64_t number, msi_reader *in, size_t fields,
                                msi_buffer *out) {
  msi_hello hello;
  msi_welcome welcome;
  msi_refuse refuse;
  ms_status st;
  if (number == MSI_HELLO) {
    st = msi_hello_unpack(in, fields, &hello);
    return st == MS_OK ? msi_hello_pack(out, &hello) : st;
  }
  if (number == MSI_WELCOME) {
    st = msi_welcome_unpack(in, fields, &welcome);
    return st == MS_OK ? msi_welcome_pack(out, &welcome) : st;
  }
  st = msi_refuse_unpack(in, fields, &refuse);
  return st == MS_OK ? msi_refuse_pack(out, (msi_refuse_code)refuse.code, refuse.message)
                     : st;
}

static ms_status again_patch(msi_reader *in, size_t fields, msi_buffer *out) {
  msi_patch patch;
  ms_status st = msi_patch_unpack(in, fields, NULL, &patch, NULL);
  if (st != MS_OK) return st;
  st = msi_patch_pack(out, &patch);
  msi_patch_release(&patch);
  return st;
}

static ms_status again_entry(const uint8_t *data, size_t bytes, msi_buffer *out) {
  msi_entry entry;
  ms_status st = msi_entry_unpack(NULL, data, bytes, &entry, NULL);
  if (st != MS_OK) return st;
  st = msi_entry_pack(out, &entry);
  msi_entry_fini(&entry);
  return st;
}

static ms_status again_question(uint64_t number, msi_reader *in, size_t fields,
                                msi_buffer *out) {
  uint64_t token = 0, version = 0;
  ms_status st;
  if (number == MSI_SYNC) {
    st = msi_sync_unpack(in, fields, &token);
    return st == MS_OK ? msi_sync_pack(out, token) : st;
  }
  if (number == MSI_READY) {
    st = msi_ready_unpack(in, fields, &version);
    return st == MS_OK ? msi_ready_pack(out, version) : st;
  }
  st = msi_synced_unpack(in, fields, &token, &version);
  return st == MS_OK ? msi_synced_pack(out, token, version) : st;
}

/* Reads a message as peers and hosts do, and writes what it read. */
static ms_status message_again(const uint8_t *data, size_t bytes, uint64_t *number,
                               msi_buffer *out) {
  msi_reader in;
  size_t fields;
  ms_status st = msi_message_open(data, bytes, &in, number, &fields);
  if (st != MS_OK) return st;
  switch (*number) {
    case MSI_HELLO:
    case MSI_WELCOME:
    case MSI_REFUSE: return again_greeting(*number, &in, fields, out);
    case MSI_ENTRY: return again_entry(data, bytes, out);
    case MSI_PATCH: return again_patch(&in, fields, out);
    case MSI_SNAPSHOT_BEGIN: return again_snapshot(&in, fields, out);
    case MSI_SNAPSHOT_PIECE: return again_piece(&in, fields, out);
    case MSI_SYNC:
    case MSI_SYNCED:
    case MSI_READY: return again_question(*number, &in, fields, out);
    case MSI_SNAPSHOT_END:
    case MSI_BYE:
    case MSI_PING:
      return fields == 0 ? msi_message_begin(out, (msi_message)*number, 0) : MS_ETYPE;
    default: return MS_ETYPE;
  }
}

static void answer_again(const char *name, ms_status st, const msi_buffer *out,
                         const uint8_t *data, size_t bytes) {
  if (st != MS_OK) {
    answer_bad(name, st);
  } else if (out->length != bytes || memcmp(out->data, data, bytes) != 0) {
    printf("bad\t%s would be written in other bytes", name);
  } else {
    answer(name, data, bytes);
  }
}

static void serve_message(const uint8_t *data, size_t bytes) {
  uint64_t number = 0;
  msi_buffer out;
  msi_buffer_init(&out, msi_alloc_resolve(NULL));
  ms_status st = message_again(data, bytes, &number, &out);
  answer_again(msi_message_name(number), st, &out, data, bytes);
  msi_buffer_fini(&out);
}

static void serve_wire(const uint8_t *data, size_t bytes) {
  ms_update *update;
  ms_status st = msi_update_decode(NULL, data, bytes, &update, NULL);
  if (st != MS_OK) {
    answer_bad("update", st);
    return;
  }
  answer("update", data, bytes);
  ms_update_release(update);
}

static void serve_value(const uint8_t *data, size_t bytes) {
  static const char *const names[] = {"null",   "boolean", "integer", "float",
                                      "string", "array",   "object",  "empty"};
  const ms_value *value;
  ms_status st = ms_value_decode(NULL, data, bytes, &value, NULL);
  if (st != MS_OK) {
    answer_bad("value", st);
    return;
  }
  msi_buffer out;
  msi_buffer_init(&out, msi_alloc_resolve(NULL));
  st = msi_pack_value(&out, value);
  answer_again(names[ms_value_type(value)], st, &out, data, bytes);
  msi_buffer_fini(&out);
  ms_value_release(value);
}

static void serve_update(const char *json) {
  const ms_value *given;
  ms_error error;
  ms_update *update = NULL;
  ms_update_options options;
  ms_status st = ms_value_from_json(NULL, json, strlen(json), &given, &error);
  if (st != MS_OK) {
    printf("bad\t%s", error.message);
    return;
  }
  ms_update_options_init(&options);
  options.array_filters = ms_value_at(given, 1);
  options.where = ms_value_at(given, 2);
  if (options.array_filters != NULL && ms_value_type(options.array_filters) == MS_NULL) {
    options.array_filters = NULL;
  }
  st = ms_update_parse(NULL, ms_value_at(given, 0), &options, &update, &error);
  ms_value_release(given);
  if (st != MS_OK) {
    printf("bad\t%s", error.message);
    return;
  }
  for (size_t i = 0; i < update->wire_bytes; i++) printf("%02x", update->wire[i]);
  ms_update_release(update);
}

/* --------------------------------------------------------------- group file */

enum { GROUP_FILE_BYTES = 4096 };

static bool write_file(const char *path, const uint8_t *data, size_t bytes) {
  FILE *file = fopen(path, "wb");
  if (file == NULL) return false;
  bool written = fwrite(data, 1, bytes, file) == bytes;
  written = fclose(file) == 0 && written;
  return written && truncate(path, GROUP_FILE_BYTES) == 0 && chmod(path, 0600) == 0;
}

static void serve_group(const uint8_t *data, size_t bytes) {
  char folder[] = "/tmp/memshare-example-XXXXXX", path[sizeof folder + 16];
  msi_directory directory;
  msi_group_glimpse seen;
  if (mkdtemp(folder) == NULL) {
    fputs("bad\tno directory for a group file", stdout);
    return;
  }
  (void)snprintf(path, sizeof path, "%s/it.group", folder);
  ms_status st = msi_directory_open(folder, false, &directory, NULL);
  if (st == MS_OK) {
    st = write_file(path, data, bytes) ? msi_group_peek(&directory, "it", &seen, NULL)
                                       : MS_EDENIED;
    msi_directory_close(&directory);
  }
  (void)unlink(path);
  (void)rmdir(folder);
  if (st != MS_OK) {
    answer_bad("group", st);
  } else {
    printf("group\t[%" PRIu64 ", %" PRIu64 "]", seen.group, seen.term);
  }
}

/* -------------------------------------------------------------------- lists */

typedef struct named {
  const char *name;
  uint64_t number;
} named;

static const named refusals[] = {{"retired", MSI_REFUSE_RETIRED},
                                 {"group", MSI_REFUSE_GROUP},
                                 {"version", MSI_REFUSE_VERSION},
                                 {"full", MSI_REFUSE_FULL},
                                 {"writers", MSI_REFUSE_WRITERS}};
static const named entries[] = {{"PATCH", MSI_ENTRY_PATCH},
                                {"REJECT", MSI_ENTRY_REJECT},
                                {"JOIN", MSI_ENTRY_JOIN},
                                {"RETIRE", MSI_ENTRY_RETIRE},
                                {"HOUSE", MSI_ENTRY_HOUSE}};
static const named types[] = {
    {"array", MS_ARRAY}, {"object", MS_OBJECT}, {"any", MS_EMPTY}};
static const named limits[] = {{"protocol", MSI_PROTOCOL},
                               {"frame bytes", MSI_FRAME_MAX},
                               {"patch bytes", MS_PATCH_MAX},
                               {"patch values", MS_VALUES_MAX},
                               {"levels", MS_DEPTH_MAX},
                               {"key bytes", MS_KEY_MAX},
                               {"conditions", MS_QUERY_MAX},
                               {"steps", MS_STEPS_MAX},
                               {"read paths", MS_READS_MAX},
                               {"read bytes", MSI_READS_BYTES_MAX},
                               {"members", MSI_MEMBERS_MAX},
                               {"links", MSI_LINKS_MAX},
                               {"queued bytes", MSI_LINK_OUTBOX_MAX},
                               {"skew ns", MSI_SKEW_NS},
                               {"tick ns", MSI_TICK_NS},
                               {"rejected kept", MSI_MEMBER_REJECTED},
                               {"message bytes", MS_MESSAGE_MAX},
                               {"peer id", MSI_PEER_MAX},
                               {"term", MSI_TERM_MAX}};

static void list_named(const named *items, size_t count) {
  for (size_t i = 0; i < count; i++) {
    printf("%s%s=%" PRIu64, i > 0 ? "\t" : "", items[i].name, items[i].number);
  }
}
#define LIST(items) list_named((items), sizeof(items) / sizeof *(items))

static void serve_list(const char *what) {
  if (strcmp(what, "messages") == 0) {
    for (uint64_t i = MSI_HELLO; i <= MSI_PING; i++) {
      printf("%s%s=%" PRIu64, i > MSI_HELLO ? "\t" : "", msi_message_name(i), i);
    }
  } else if (strcmp(what, "operators") == 0) {
    for (int64_t i = 0; msi_operator_by_code(i) != NULL; i++) {
      const msi_operator *row = msi_operator_by_code(i);
      if (!row->is_local) printf("%s%s=%" PRId64, i > 0 ? "\t" : "", row->name, i);
    }
  } else if (strcmp(what, "statuses") == 0) {
    for (int i = -1; strcmp(ms_status_name((ms_status)i), "EUNKNOWN") != 0; i--) {
      printf("%s%s=%d", i < -1 ? "\t" : "", ms_status_name((ms_status)i), i);
    }
  } else if (strcmp(what, "refusals") == 0) {
    LIST(refusals);
  } else if (strcmp(what, "entries") == 0) {
    LIST(entries);
  } else if (strcmp(what, "types") == 0) {
    LIST(types);
  } else {
    LIST(limits);
  }
}

/* --------------------------------------------------------------------- lines */

/* Bytes in place of their digits, in pairs. False: something else stands there. */
static bool unhex(char *text, size_t *bytes) {
  size_t length = strlen(text);
  if (length % 2 != 0 || strspn(text, "0123456789abcdef") != length) return false;
  for (size_t i = 0; i < length / 2; i++) {
    char pair[] = {text[2 * i], text[2 * i + 1], '\0'};
    text[i] = (char)strtoul(pair, NULL, 16);
  }
  *bytes = length / 2;
  return true;
}

static void serve(char *line) {
  static const struct {
    const char *name;
    void (*serve)(const uint8_t *data, size_t bytes);
  } kinds[] = {{"message ", serve_message},
               {"wire ", serve_wire},
               {"value ", serve_value},
               {"group ", serve_group}};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    size_t length = strlen(kinds[i].name), bytes;
    if (strncmp(line, kinds[i].name, length) != 0) continue;
    if (unhex(line + length, &bytes)) {
      kinds[i].serve((const uint8_t *)line + length, bytes);
    } else {
      fputs("bad\tnot hexadecimal", stdout);
    }
    return;
  }
  if (strncmp(line, "update ", 7) == 0) {
    serve_update(line + 7);
  } else if (strncmp(line, "list ", 5) == 0) {
    serve_list(line + 5);
  } else {
    fputs("bad\tno such request", stdout);
  }
}

int main(void) {
  char *line = malloc(LINE_BYTES_MAX);
  if (line == NULL) return 1;
  while (fgets(line, LINE_BYTES_MAX, stdin) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    serve(line);
    putchar('\n');
  }
  free(line);
  return 0;
}
