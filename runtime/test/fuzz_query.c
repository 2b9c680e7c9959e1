/*
 * Fuzz target: [conditions, document], as JSON or MessagePack. The conditions are taken as a query,
 * as the operand of $pull and as an array filter; what parses is asked of the document, which must
 * not change, and of its negation.
 */
#include "fuzz_support.h"

static void check_refusal(ms_status st, const ms_query *query, const ms_error *error) {
  MUST(query == NULL && st != MS_ENOMEM);
  MUST(error->status == st && error->message[0] != '\0');
}

/* {name: [conditions]}: $and holds when they do, $nor when they do not. */
static void check_joined(const char *name, const ms_value *conditions,
                         const ms_value *document, bool wanted) {
  const ms_value *list = NULL, *object = NULL;
  ms_query *query = NULL;
  ms_error error = {MS_OK, ""};
  MUST(ms_value_new_array(NULL, &list) == MS_OK);
  MUST(ms_value_append(NULL, &list, conditions) == MS_OK);
  MUST(ms_value_new_object(NULL, &object) == MS_OK);
  MUST(ms_value_put(NULL, &object, name, strlen(name), list) == MS_OK);
  ms_status st = ms_query_parse(NULL, object, &query, &error);
  if (st == MS_OK) {
    MUST(ms_query_matches(query, document) == wanted);
  } else {
    MUST(st == MS_ELIMIT); /* one level more may be one too many */
    check_refusal(st, query, &error);
  }
  ms_query_release(query);
  ms_value_release(object);
  ms_value_release(list);
}

static void check_query(const ms_value *conditions, const ms_value *document) {
  ms_query *query = NULL;
  ms_error error = {MS_OK, ""};
  ms_status st = ms_query_parse(NULL, conditions, &query, &error);
  if (st != MS_OK) {
    check_refusal(st, query, &error);
    return;
  }
  bool holds = ms_query_matches(query, document);
  MUST(!holds || msi_query_failing(query, document) == NULL);
  ms_type type = ms_value_type(document);
  if (type == MS_OBJECT || type == MS_EMPTY) {
    check_joined("$and", conditions, document, holds);
    check_joined("$nor", conditions, document, !holds);
  }
  ms_query_release(query);
}

static void check_element(const ms_value *conditions, const ms_value *document) {
  ms_query *query = NULL;
  ms_error error = {MS_OK, ""};
  ms_status st = msi_query_parse_pull(NULL, conditions, &query, &error);
  if (st == MS_OK) {
    (void)msi_query_matches(query, document, &MSI_METER_ENDLESS);
  } else {
    check_refusal(st, query, &error);
  }
  ms_query_release(query);
  query = NULL;
  st = msi_query_parse_filter(NULL, conditions, &query, &error);
  if (st == MS_OK) {
    MUST(ms_value_type(query->id) == MS_STRING);
    (void)msi_query_matches(query, document, &MSI_METER_ENDLESS);
  } else {
    check_refusal(st, query, &error);
  }
  ms_query_release(query);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  const ms_value *parts[2];
  const ms_value *list = mst_fuzz_values(data, bytes, parts, 2);
  if (list != NULL) {
    const ms_value *document = parts[1] == NULL ? ms_value_empty() : parts[1];
    const ms_value *before = mst_fuzz_encoding(list);
    check_query(parts[0], document);
    check_element(parts[0], document);
    const ms_value *after = mst_fuzz_encoding(list);
    MUST(ms_value_equal(before, after));
    ms_value_release(after);
    ms_value_release(before);
  }
  ms_value_release(list);
  return 0;
}
