/* The mailbox: order, melting beyond its bound, and what happens without memory. */
#include "test_support.h"

#include "failing_alloc.h"
#include "mailbox.h"

enum { SELF = 7, OTHER = 9 };

static const ms_value *number_value(int64_t number) {
  const ms_value *value = NULL;
  assert_int_equal(ms_value_new_int(NULL, number, &value), MS_OK);
  return value;
}

static void put_entry(msi_mailbox *box, msi_entry_kind kind, uint64_t origin,
                      uint64_t number, uint64_t version) {
  msi_entry entry = {.kind = kind, .version = version};
  entry.patch.origin = origin;
  entry.patch.number = number;
  entry.refusal.status = MS_ECONFLICT;
  const ms_value *root = number_value((int64_t)version);
  msi_mailbox_put(
      box, SELF,
      &(msi_delivery){
          .kind = MSI_DELIVER_ENTRY, .entry = &entry, .root = root, .version = version});
  ms_value_release(root);
}

static void publish(msi_mailbox *box, uint64_t version) {
  const ms_value *root = number_value((int64_t)version);
  msi_mailbox_publish(box, root, version);
  ms_value_release(root);
}

/* A transaction of `origin` that lost to `winner`. */
static void put_loss(msi_mailbox *box, uint64_t origin, uint64_t winner,
                     uint64_t version) {
  msi_entry entry = {.kind = MSI_ENTRY_REJECT, .version = version};
  entry.patch.origin = origin;
  entry.refusal.status = MS_ECONFLICT;
  entry.refusal.winner = winner;
  msi_mailbox_put(box, SELF,
                  &(msi_delivery){.kind = MSI_DELIVER_ENTRY,
                                  .entry = &entry,
                                  .root = ms_value_null(),
                                  .version = version});
}

static void test_who_lost_is_known_until_a_patch_of_it_is_accepted(void **state) {
  (void)state;
  msi_mailbox box, taken;
  msi_mailbox_init(&box, msi_alloc_resolve(NULL));
  msi_mailbox_init(&taken, msi_alloc_resolve(NULL));
  put_loss(&box, OTHER, 55, 1);
  put_loss(&box, SELF, SELF, 2);
  assert_int_equal(box.loser_count, 0);
  put_loss(&box, OTHER, SELF, 3);
  put_loss(&box, 11, SELF, 4);
  put_loss(&box, OTHER, SELF, 5);
  assert_int_equal(box.loser_count, 2);
  assert_int_equal(box.lost_at, 5);
  put_loss(&box, OTHER, 55, 6);
  assert_int_equal(box.loser_count, 2);
  put_entry(&box, MSI_ENTRY_PATCH, OTHER, 1, 7);
  assert_int_equal(box.loser_count, 1);
  msi_mailbox_move(&taken, &box);
  assert_int_equal(taken.losers[0], 11);
  for (uint64_t i = 0; i < 2 * MSI_LOSERS_MAX; i++) put_loss(&box, 100 + i, SELF, 8 + i);
  assert_int_equal(box.loser_count, MSI_LOSERS_MAX);
  msi_mailbox_fini(&taken);
  msi_mailbox_fini(&box);
}

static void test_deliveries_come_out_in_order(void **state) {
  (void)state;
  msi_mailbox box, taken;
  msi_mailbox_init(&box, msi_alloc_resolve(NULL));
  msi_mailbox_init(&taken, msi_alloc_resolve(NULL));
  assert_true(msi_mailbox_is_empty(&box));
  for (uint64_t version = 1; version <= 100; version++) {
    put_entry(&box, MSI_ENTRY_PATCH, OTHER, version, version);
  }
  msi_mailbox_move(&taken, &box);
  assert_true(msi_mailbox_is_empty(&box));
  for (uint64_t version = 1; version <= 100; version++) {
    assert_int_equal(msi_mailbox_first(&taken)->version, version);
    msi_mailbox_pop(&taken);
  }
  assert_null(msi_mailbox_first(&taken));
  msi_mailbox_fini(&box);
  msi_mailbox_fini(&taken);
}

static void test_backlog_melts_but_keeps_every_settled_number(void **state) {
  (void)state;
  msi_mailbox box;
  msi_mailbox_init(&box, msi_alloc_resolve(NULL));
  uint64_t version = 0, own = 0;
  for (int i = 0; i < 3 * MSI_MAILBOX_ITEMS; i++) {
    version++;
    put_entry(&box, MSI_ENTRY_PATCH, OTHER, version, version);
    put_entry(&box, MSI_ENTRY_PATCH, SELF, ++own, ++version);
  }
  put_entry(&box, MSI_ENTRY_REJECT, SELF, ++own, ++version);
  put_entry(&box, MSI_ENTRY_PATCH, SELF, ++own, ++version);
  assert_true(box.count <= MSI_MAILBOX_ITEMS + 4);

  uint64_t settled = 0, last_version = 0, rejections = 0, roots = 0;
  publish(&box, version - 1); /* too late */
  publish(&box, version);
  for (msi_mail *mail; (mail = msi_mailbox_first(&box)) != NULL; msi_mailbox_pop(&box)) {
    assert_true(mail->version > last_version);
    last_version = mail->version;
    if (mail->root != NULL) { /* a rejection shows what stood before */
      int64_t shown = 0;
      assert_int_equal(ms_value_to_int(mail->root, &shown), MS_OK);
      assert_in_range(shown, mail->version, mail->version + 1);
      roots++;
    }
    /* Whoever takes melted ones cannot apply them. */
    assert_true(mail->root != NULL || mail->kind == MSI_MAIL_ENTRY);
    if (mail->kind == MSI_MAIL_ENTRY && mail->patch.origin == SELF) {
      assert_int_equal(mail->patch.number, ++settled);
      rejections += mail->entry_kind == MSI_ENTRY_REJECT;
    }
    for (size_t i = 0; i < mail->settled_count; i++) {
      assert_int_equal(mail->settled[i].number, ++settled);
      assert_int_equal(mail->settled[i].version % 2, 0);
    }
  }
  assert_int_equal(settled, own);
  assert_int_equal(rejections, 1);
  assert_int_equal(last_version, version);
  assert_int_equal(roots, 2); /* before the rejection, and at the end */
  msi_mailbox_fini(&box);
}

static void test_the_last_entry_is_handed_over_with_the_document(void **state) {
  (void)state;
  msi_mailbox box;
  msi_mailbox_init(&box, msi_alloc_resolve(NULL));
  publish(&box, 1); /* nothing there */
  put_entry(&box, MSI_ENTRY_PATCH, OTHER, 1, 1);
  put_entry(&box, MSI_ENTRY_PATCH, OTHER, 2, 2);
  publish(&box, 2);
  publish(&box, 2);
  assert_null(msi_mailbox_at(&box, 0)->root);
  assert_non_null(msi_mailbox_at(&box, 1)->root);
  const ms_value *root = number_value(3);
  msi_mailbox_put(
      &box, SELF,
      &(msi_delivery){.kind = MSI_DELIVER_UNKNOWN, .root = root, .number = 9});
  publish(&box, 3);
  ms_value_release(root);
  assert_null(msi_mailbox_at(&box, 2)->root);
  assert_int_equal(msi_mailbox_at(&box, 2)->number, 9);
  msi_mailbox_fini(&box);
}

static void test_melted_entries_keep_their_document_when_a_group_ends(void **state) {
  (void)state;
  msi_mailbox box;
  msi_mailbox_init(&box, msi_alloc_resolve(NULL));
  uint64_t version = 0;
  while (box.count == 0 || msi_mailbox_at(&box, box.count - 1)->kind != MSI_MAIL_MELTED)
    put_entry(&box, MSI_ENTRY_PATCH, OTHER, version + 1, version + 1), version++;
  const ms_value *root = number_value((int64_t)version);
  msi_mailbox_put(&box, SELF, &(msi_delivery){.kind = MSI_DELIVER_UNKNOWN, .root = root});
  assert_ptr_equal(msi_mailbox_at(&box, box.count - 2)->root, root);
  ms_value_release(root);
  msi_mailbox_fini(&box);
}

static void test_flags_and_tokens_travel_without_items(void **state) {
  (void)state;
  msi_mailbox box, taken;
  msi_mailbox_init(&box, msi_alloc_resolve(NULL));
  msi_mailbox_init(&taken, msi_alloc_resolve(NULL));
  ms_error error = {.status = MS_EDENIED};
  msi_mailbox_put(&box, SELF, &(msi_delivery){.kind = MSI_DELIVER_SYNCED, .token = 3});
  msi_mailbox_put(&box, SELF, &(msi_delivery){.kind = MSI_DELIVER_STATE});
  msi_mailbox_put(&box, SELF,
                  &(msi_delivery){.kind = MSI_DELIVER_FAILED, .error = &error});
  msi_mailbox_move(&taken, &box);
  assert_int_equal(taken.synced, 3);
  assert_true(taken.state_changed);
  assert_true(taken.failed);
  assert_int_equal(taken.error.status, MS_EDENIED);
  msi_mailbox_fini(&box);
  msi_mailbox_fini(&taken);
}

static void test_lost_mail_is_marked_and_nothing_leaks(void **state) {
  (void)state;
  bool whole = false;
  for (size_t n = 0; !whole; n++) {
    failing_alloc failing;
    failing_alloc_init(&failing);
    failing_alloc_fail_at(&failing, n);
    failing.fail_from_there = n % 2 == 0;
    msi_mailbox box;
    msi_mailbox_init(&box, &failing.alloc);
    for (uint64_t version = 1; version <= 40; version++) {
      put_entry(&box, version % 4 == 0 ? MSI_ENTRY_REJECT : MSI_ENTRY_PATCH, SELF,
                version, version);
    }
    uint64_t rejected[2] = {41, 43};
    msi_mailbox_put(&box, SELF,
                    &(msi_delivery){.kind = MSI_DELIVER_ROOT,
                                    .root = ms_value_null(),
                                    .version = 50,
                                    .number = 44,
                                    .rejected = rejected,
                                    .rejected_count = 2});
    whole = box.count == 41;
    assert_true(box.broken == !whole);
    msi_mailbox_fini(&box);
    assert_true(failing_alloc_is_clean(&failing));
  }
}

static void put_event(msi_mailbox *box, ms_update *update, uint64_t version) {
  msi_entry entry = {.kind = MSI_ENTRY_PATCH, .version = version};
  entry.patch = (msi_patch){.origin = OTHER, .number = version, .update = update};
  const ms_value *root = number_value((int64_t)version);
  msi_mailbox_put(
      box, SELF,
      &(msi_delivery){
          .kind = MSI_DELIVER_ENTRY, .entry = &entry, .root = root, .version = version});
  ms_value_release(root);
}

static ms_update *event_of(size_t bytes) {
  char *text = malloc(bytes);
  const ms_value *value = NULL;
  ms_update *update = NULL;
  assert_non_null(text);
  memset(text, 'x', bytes);
  assert_int_equal(ms_value_new_string(NULL, text, bytes, &value), MS_OK);
  assert_int_equal(msi_update_emit(NULL, "e", 1, value, &update, NULL), MS_OK);
  ms_value_release(value);
  free(text);
  return update;
}

static void test_what_entries_tell_stays_when_they_melt(void **state) {
  (void)state;
  msi_mailbox box;
  msi_mailbox_init(&box, msi_alloc_resolve(NULL));
  ms_update *update = event_of(10), *call = NULL;
  assert_int_equal(msi_update_call(NULL, 55, "f", 1, ms_value_null(), &call, NULL),
                   MS_OK);
  uint64_t version = 0;
  while (version < MSI_MAILBOX_ITEMS)
    put_entry(&box, MSI_ENTRY_PATCH, OTHER, 1, ++version);
  put_event(&box, update, ++version);
  put_event(&box, call, ++version); /* of no concern here */
  put_event(&box, update, ++version);
  const msi_mail *last = msi_mailbox_at(&box, box.count - 1);
  assert_int_equal(last->kind, MSI_MAIL_MELTED);
  assert_int_equal(last->event_end - last->event_first, 2);
  assert_int_equal(last->events[0].version, version - 2);
  assert_int_equal(last->events[1].version, version);
  ms_update_release(call);
  ms_update_release(update);
  msi_mailbox_fini(&box);
  assert_int_equal(box.event_bytes, 0);
}

static void test_the_oldest_messages_go_when_there_are_too_many(void **state) {
  (void)state;
  enum { BYTES = 1 << 20, PUT = 40 };
  msi_mailbox box, taken;
  msi_mailbox_init(&box, msi_alloc_resolve(NULL));
  msi_mailbox_init(&taken, msi_alloc_resolve(NULL));
  ms_update *update = event_of(BYTES);
  uint64_t version = 0;
  while (version < MSI_MAILBOX_ITEMS)
    put_entry(&box, MSI_ENTRY_PATCH, OTHER, 1, ++version);
  for (int i = 0; i < PUT; i++) put_event(&box, update, ++version);
  const msi_mail *last = msi_mailbox_at(&box, box.count - 1);
  assert_true(box.event_bytes <= MSI_EVENTS_BYTES);
  assert_int_equal(box.events_lost + (last->event_end - last->event_first), PUT);
  assert_true(box.events_lost >= PUT - MSI_EVENTS_BYTES / BYTES);
  assert_int_equal(last->events[last->event_end - 1].version, version);
  msi_mailbox_move(&taken, &box);
  assert_int_equal(taken.events_lost, box.events_lost);
  ms_update_release(update);
  msi_mailbox_fini(&taken);
  msi_mailbox_fini(&box);
  assert_int_equal(taken.event_bytes, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_entries_tell_stays_when_they_melt),
      cmocka_unit_test(test_the_oldest_messages_go_when_there_are_too_many),
      cmocka_unit_test(test_deliveries_come_out_in_order),
      cmocka_unit_test(test_who_lost_is_known_until_a_patch_of_it_is_accepted),
      cmocka_unit_test(test_backlog_melts_but_keeps_every_settled_number),
      cmocka_unit_test(test_the_last_entry_is_handed_over_with_the_document),
      cmocka_unit_test(test_melted_entries_keep_their_document_when_a_group_ends),
      cmocka_unit_test(test_flags_and_tokens_travel_without_items),
      cmocka_unit_test(test_lost_mail_is_marked_and_nothing_leaks),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
