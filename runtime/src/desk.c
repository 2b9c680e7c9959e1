/* The desk. See desk.h. Every change is made on a value of its own and handed out when it is whole. */
#include "desk.h"
#include "rule.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const ms_value *msi_desk_section(const ms_value *desk, const char *name) {
  return ms_value_get(desk, name, strlen(name));
}

bool msi_desk_number(const ms_value *list, size_t index, uint64_t *out) {
  int64_t number;
  const ms_value *value = ms_value_at(list, index);
  if (value == NULL || ms_value_to_int(value, &number) != MS_OK || number < 0)
    return false;
  *out = (uint64_t)number;
  return true;
}

size_t msi_peer_text(uint64_t peer, char text[MSI_PEER_TEXT]) {
  return (size_t)snprintf(text, MSI_PEER_TEXT, "%" PRIx64, peer);
}

/* ------------------------------------------------------------------ looking */

static bool read_waiter(const ms_value *value, msi_waiter *out) {
  return value != NULL && ms_value_count(value) == 3 &&
         msi_desk_number(value, 0, &out->peer) &&
         msi_desk_number(value, 1, &out->number) &&
         msi_desk_number(value, 2, &out->fence);
}

static const ms_value *queue_of(const ms_value *desk, const char *name, size_t length) {
  const ms_value *locks = msi_desk_section(desk, "locks");
  return locks == NULL ? NULL : ms_value_get(locks, name, length);
}

size_t msi_desk_queue(const ms_value *desk, const char *name, size_t length) {
  const ms_value *queue = queue_of(desk, name, length);
  return queue == NULL ? 0 : ms_value_count(queue);
}

bool msi_desk_waiter(const ms_value *desk, const char *name, size_t length, size_t place,
                     msi_waiter *out) {
  const ms_value *queue = queue_of(desk, name, length);
  return queue != NULL && read_waiter(ms_value_at(queue, place), out);
}

static bool queue_find(const ms_value *queue, uint64_t peer, uint64_t number,
                       size_t *place, msi_waiter *out) {
  size_t count = queue == NULL ? 0 : ms_value_count(queue);
  for (size_t i = 0; i < count; i++) {
    msi_waiter waiter;
    if (!read_waiter(ms_value_at(queue, i), &waiter)) continue;
    if (waiter.peer != peer || waiter.number != number) continue;
    *place = i;
    *out = waiter;
    return true;
  }
  return false;
}

bool msi_desk_find(const ms_value *desk, const char *name, size_t length, uint64_t peer,
                   uint64_t number, size_t *place, msi_waiter *out) {
  return queue_find(queue_of(desk, name, length), peer, number, place, out);
}

bool msi_desk_holds(const ms_value *desk, const char *name, size_t length, uint64_t peer,
                    uint64_t fence) {
  msi_waiter first;
  return msi_desk_waiter(desk, name, length, 0, &first) && first.peer == peer &&
         first.fence == fence && fence > 0;
}

void msi_desk_each(const ms_value *desk, msi_desk_fn fn, void *ud) {
  const ms_value *locks = msi_desk_section(desk, "locks"), *queue;
  ms_cursor cursor;
  const char *name;
  size_t length;
  if (locks == NULL || ms_value_type(locks) != MS_OBJECT) return;
  ms_cursor_init(&cursor, locks);
  while (ms_cursor_next(&cursor, &name, &length, &queue)) fn(ud, name, length, queue);
}

static bool queue_has(const ms_value *queue, uint64_t peer) {
  for (size_t i = 0; i < ms_value_count(queue); i++) {
    msi_waiter waiter;
    if (read_waiter(ms_value_at(queue, i), &waiter) && waiter.peer == peer) return true;
  }
  return false;
}

typedef struct search {
  uint64_t peer;
  bool found;
} search;

static void look_for(void *ud, const char *name, size_t length, const ms_value *queue) {
  search *self = ud;
  (void)name, (void)length;
  if (!self->found) self->found = queue_has(queue, self->peer);
}

bool msi_desk_awaits(const ms_value *desk, uint64_t peer) {
  search self = {peer, false};
  msi_desk_each(desk, look_for, &self);
  return self.found;
}

/* ----- paths as keys */

/* The packed path; *out stays NULL when it is too long for a key. */
static ms_status path_key(const ms_alloc *alloc, const ms_path *path,
                          const ms_value **out) {
  msi_buffer packed;
  msi_buffer_init(&packed, alloc);
  ms_status st = msi_path_pack(&packed, path);
  if (st == MS_OK && packed.length <= MS_KEY_MAX) {
    st = ms_value_new_string(alloc, (const char *)packed.data, packed.length, out);
  }
  msi_buffer_fini(&packed);
  return st;
}

static uint64_t owner_of(const ms_value *desk, const ms_value *key) {
  int64_t peer = 0;
  const ms_value *bound = msi_desk_section(desk, "bound");
  const ms_value *value = bound == NULL ? NULL : msi_object_get(bound, key);
  if (value == NULL || ms_value_to_int(value, &peer) != MS_OK || peer < 0) return 0;
  return (uint64_t)peer;
}

ms_status msi_desk_owner(const ms_alloc *alloc, const ms_value *desk, const ms_path *path,
                         uint64_t *peer) {
  const ms_value *key = NULL;
  ms_status st = path_key(alloc, path, &key);
  if (st == MS_OK) *peer = key == NULL ? 0 : owner_of(desk, key);
  ms_value_release(key);
  return st;
}

uint64_t msi_desk_owned(const ms_value *desk, uint64_t peer) {
  char text[MSI_PEER_TEXT];
  int64_t count = 0;
  const ms_value *owned = msi_desk_section(desk, "owned");
  const ms_value *value =
      owned == NULL ? NULL : ms_value_get(owned, text, msi_peer_text(peer, text));
  if (value == NULL || ms_value_to_int(value, &count) != MS_OK || count < 0) return 0;
  return (uint64_t)count;
}

static const ms_value *handlers_of(const ms_value *desk, const char *name,
                                   size_t length) {
  const ms_value *handlers = msi_desk_section(desk, "handlers");
  return handlers == NULL ? NULL : ms_value_get(handlers, name, length);
}

size_t msi_desk_handlers(const ms_value *desk, const char *name, size_t length) {
  const ms_value *list = handlers_of(desk, name, length);
  return list == NULL ? 0 : ms_value_count(list);
}

uint64_t msi_desk_handler(const ms_value *desk, const char *name, size_t length,
                          size_t index) {
  uint64_t peer = 0;
  const ms_value *list = handlers_of(desk, name, length);
  return list != NULL && msi_desk_number(list, index, &peer) ? peer : 0;
}

/* ----- shape */

static bool queue_is_sound(const ms_value *queue) {
  size_t count = ms_value_count(queue);
  if (ms_value_type(queue) != MS_ARRAY || count == 0) return false;
  for (size_t i = 0; i < count; i++) {
    msi_waiter waiter;
    if (!read_waiter(ms_value_at(queue, i), &waiter)) return false;
    if ((waiter.fence > 0) != (i == 0)) return false;
  }
  return true;
}

static bool number_is_sound(const ms_value *value) {
  int64_t number;
  return ms_value_to_int(value, &number) == MS_OK && number > 0;
}

static bool flag_is_sound(const ms_value *value) { return value == ms_value_bool(true); }

static bool handlers_are_sound(const ms_value *list) {
  size_t count = ms_value_count(list);
  if (ms_value_type(list) != MS_ARRAY || count == 0) return false;
  for (size_t i = 0; i < count; i++) {
    if (!number_is_sound(ms_value_at(list, i))) return false;
  }
  return true;
}

/* A schema or a text: what they say is looked at by who hosts. */
static bool rule_is_sound(const ms_value *value) {
  return ms_value_type(value) == MS_OBJECT || ms_value_type(value) == MS_STRING;
}

typedef bool (*sound_fn)(const ms_value *value);

static sound_fn sound_of(const char *name, size_t length) {
  static const struct {
    const char *name;
    sound_fn fn;
  } sections[] = {{"locks", queue_is_sound},  {"bound", number_is_sound},
                  {"owned", number_is_sound}, {"handlers", handlers_are_sound},
                  {"grants", flag_is_sound},  {"limits", number_is_sound},
                  {"ttl", msi_ttl_is_sound},  {"rules", rule_is_sound}};
  for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
    if (strlen(sections[i].name) == length && memcmp(sections[i].name, name, length) == 0)
      return sections[i].fn;
  }
  return NULL;
}

static bool section_is_sound(const char *name, size_t length, const ms_value *section) {
  sound_fn fn = sound_of(name, length);
  ms_cursor cursor;
  const char *key;
  size_t bytes;
  const ms_value *value;
  if (fn == NULL || ms_value_type(section) != MS_OBJECT || ms_value_count(section) == 0)
    return false;
  ms_cursor_init(&cursor, section);
  while (ms_cursor_next(&cursor, &key, &bytes, &value)) {
    if (bytes == 0 || !fn(value)) return false;
  }
  return true;
}

bool msi_desk_is_sound(const ms_value *desk) {
  ms_cursor cursor;
  const char *name;
  size_t length;
  const ms_value *section;
  if (ms_value_type(desk) == MS_EMPTY) return true;
  if (ms_value_type(desk) != MS_OBJECT) return false;
  ms_cursor_init(&cursor, desk);
  while (ms_cursor_next(&cursor, &name, &length, &section)) {
    if (!section_is_sound(name, length, section)) return false;
  }
  return ms_value_count(desk) > 0;
}

/* ----------------------------------------------------------------- changing */

typedef struct editor {
  const ms_alloc *alloc;
  const ms_value *desk; /* retained */
  uint64_t origin, number, version;
} editor;

/* What `container` has under the key is `value` from now on; an empty one goes. */
static ms_status put_or_erase(const ms_alloc *alloc, const ms_value **container,
                              const char *key, size_t length, const ms_value *value) {
  if (ms_value_count(value) > 0 || !msi_type_is_container(ms_value_type(value)))
    return ms_value_put(alloc, container, key, length, value);
  ms_status st = ms_value_erase(alloc, container, key, length);
  if (st != MS_OK || ms_value_count(*container) > 0) return st;
  ms_value_release(*container);
  *container = ms_value_empty();
  return MS_OK;
}

static const ms_value *copy_section(const editor *self, const char *name) {
  const ms_value *section = msi_desk_section(self->desk, name);
  return section == NULL ? ms_value_empty() : ms_value_retain(section);
}

ms_status msi_desk_put(const ms_alloc *alloc, const ms_value **desk, const char *section,
                       const char *key, size_t length, const ms_value *value) {
  const ms_value *old = msi_desk_section(*desk, section);
  const ms_value *made = old == NULL ? ms_value_empty() : ms_value_retain(old);
  ms_status st =
      put_or_erase(alloc, &made, key, length, value == NULL ? ms_value_empty() : value);
  if (st == MS_OK) st = put_or_erase(alloc, desk, section, strlen(section), made);
  ms_value_release(made);
  return st;
}

static ms_status edit_section(editor *self, const char *name, const char *key,
                              size_t length, const ms_value *value) {
  return msi_desk_put(self->alloc, &self->desk, name, key, length, value);
}

static ms_status edit_number(editor *self, const char *name, const char *key,
                             size_t length, uint64_t number) {
  const ms_value *value = NULL;
  if (number == 0) return edit_section(self, name, key, length, NULL);
  ms_status st = ms_value_new_int(self->alloc, (int64_t)number, &value);
  if (st == MS_OK) st = edit_section(self, name, key, length, value);
  ms_value_release(value);
  return st;
}

/* ----- locks */

static ms_status new_waiter(const ms_alloc *alloc, const msi_waiter *waiter,
                            const ms_value **out) {
  const uint64_t numbers[] = {waiter->peer, waiter->number, waiter->fence};
  const ms_value *list = NULL;
  ms_status st = ms_value_new_array(alloc, &list);
  for (size_t i = 0; st == MS_OK && i < 3; i++) {
    const ms_value *number = NULL;
    st = ms_value_new_int(alloc, (int64_t)numbers[i], &number);
    if (st == MS_OK) st = ms_value_append(alloc, &list, number);
    ms_value_release(number);
  }
  if (st == MS_OK) {
    *out = list;
  } else {
    ms_value_release(list);
  }
  return st;
}

static ms_status queue_add(const editor *self, const ms_value **queue,
                           const msi_waiter *waiter) {
  const ms_value *made = NULL;
  ms_status st = new_waiter(self->alloc, waiter, &made);
  if (st == MS_OK && ms_value_type(*queue) == MS_EMPTY)
    st = ms_value_new_array(self->alloc, queue);
  if (st == MS_OK) st = ms_value_append(self->alloc, queue, made);
  ms_value_release(made);
  return st;
}

/* Whoever is first now holds the lock. */
static ms_status queue_crown(const editor *self, const ms_value **queue) {
  msi_waiter first;
  const ms_value *made = NULL;
  if (ms_value_count(*queue) == 0) return MS_OK;
  if (!read_waiter(ms_value_at(*queue, 0), &first) || first.fence > 0) return MS_OK;
  first.fence = self->version;
  ms_status st = new_waiter(self->alloc, &first, &made);
  if (st == MS_OK) st = ms_value_replace(self->alloc, queue, 0, made);
  ms_value_release(made);
  return st;
}

static ms_status lock_add(editor *self, const char *name, size_t length) {
  msi_waiter waiter = {self->origin, self->number, 0}, known;
  size_t place;
  const ms_value *queue = queue_of(self->desk, name, length);
  if (queue_find(queue, self->origin, self->number, &place, &known)) return MS_OK;
  queue = queue == NULL ? ms_value_empty() : ms_value_retain(queue);
  ms_status st = queue_add(self, &queue, &waiter);
  if (st == MS_OK) st = queue_crown(self, &queue);
  if (st == MS_OK) st = edit_section(self, "locks", name, length, queue);
  ms_value_release(queue);
  return st;
}

static ms_status lock_remove(editor *self, const char *name, size_t length,
                             size_t place) {
  const ms_value *queue = ms_value_retain(queue_of(self->desk, name, length));
  ms_status st = ms_value_erase_at(self->alloc, &queue, place);
  if (st == MS_OK) st = queue_crown(self, &queue);
  if (st == MS_OK) st = edit_section(self, "locks", name, length, queue);
  ms_value_release(queue);
  return st;
}

static ms_status lock_drop(editor *self, const char *name, size_t length,
                           uint64_t number) {
  msi_waiter known;
  size_t place;
  const ms_value *queue = queue_of(self->desk, name, length);
  if (!queue_find(queue, self->origin, number, &place, &known)) return MS_OK;
  return lock_remove(self, name, length, place);
}

static ms_status lock_lapse(editor *self, const ms_value *operand) {
  const char *name = NULL;
  size_t length = 0;
  uint64_t peer = 0, fence = 0;
  (void)msi_desk_number(operand, 0, &peer);
  (void)msi_desk_number(operand, 2, &fence);
  if (ms_value_to_string(ms_value_at(operand, 1), &name, &length) != MS_OK ||
      !msi_desk_holds(self->desk, name, length, peer, fence)) {
    return MS_OK;
  }
  return lock_remove(self, name, length, 0);
}

/* The queue without a peer. */
static ms_status queue_without(const editor *self, const ms_value *queue, uint64_t peer,
                               const ms_value **out) {
  const ms_value *rest = ms_value_empty();
  ms_status st = MS_OK;
  for (size_t i = 0; st == MS_OK && i < ms_value_count(queue); i++) {
    msi_waiter waiter;
    if (!read_waiter(ms_value_at(queue, i), &waiter) || waiter.peer == peer) continue;
    st = queue_add(self, &rest, &waiter);
  }
  if (st == MS_OK) st = queue_crown(self, &rest);
  if (st == MS_OK) {
    *out = rest;
  } else {
    ms_value_release(rest);
  }
  return st;
}

static ms_status retire_locks(editor *self, uint64_t peer) {
  const ms_value *locks = copy_section(self, "locks"), *queue; /* walked as they were */
  ms_cursor cursor;
  const char *name;
  size_t length;
  ms_status st = MS_OK;
  ms_cursor_init(&cursor, locks);
  while (st == MS_OK && ms_cursor_next(&cursor, &name, &length, &queue)) {
    const ms_value *rest = NULL;
    if (!queue_has(queue, peer)) continue;
    st = queue_without(self, queue, peer, &rest);
    if (st == MS_OK) st = edit_section(self, "locks", name, length, rest);
    ms_value_release(rest);
  }
  ms_value_release(locks);
  return st;
}

/* ----- bindings */

static ms_status own(editor *self, uint64_t peer, int by) {
  char text[MSI_PEER_TEXT];
  size_t length = msi_peer_text(peer, text);
  uint64_t count = msi_desk_owned(self->desk, peer) + (uint64_t)by;
  return edit_number(self, "owned", text, length, count);
}

/* owner 0: nobody */
static ms_status set_owner(editor *self, const ms_value *key, uint64_t owner) {
  const char *bytes = NULL;
  size_t length = 0;
  uint64_t before = owner_of(self->desk, key);
  if (before == owner) return MS_OK;
  ms_status st = ms_value_to_string(key, &bytes, &length);
  if (st == MS_OK) st = edit_number(self, "bound", bytes, length, owner);
  if (st == MS_OK && before != 0) st = own(self, before, -1);
  if (st == MS_OK && owner != 0) st = own(self, owner, 1);
  return st;
}

static ms_status bind_path(editor *self, const ms_path *path, bool binds) {
  const ms_value *key = NULL;
  ms_status st = path_key(self->alloc, path, &key);
  if (st != MS_OK || key == NULL) return st; /* too long: refused before */
  if (binds) {
    st = set_owner(self, key, self->origin);
  } else if (owner_of(self->desk, key) == self->origin) {
    st = set_owner(self, key, 0);
  }
  ms_value_release(key);
  return st;
}

static ms_status retire_bound(editor *self, uint64_t peer) {
  const ms_value *bound, *key = NULL, *value;
  ms_status st = MS_OK;
  if (msi_desk_owned(self->desk, peer) == 0) return MS_OK;
  bound = copy_section(self, "bound");
  while (st == MS_OK && msi_object_next(bound, key, &key, &value)) {
    if (owner_of(self->desk, key) == peer) st = set_owner(self, key, 0);
  }
  ms_value_release(bound);
  return st;
}

/* ----- handlers */

/* Whoever answers a name but for one, and that one at the end when it does. */
static ms_status set_handler(editor *self, const char *name, size_t length, uint64_t peer,
                             bool handles) {
  const ms_value *made = NULL, *list = handlers_of(self->desk, name, length);
  size_t count = list == NULL ? 0 : ms_value_count(list), at = 0;
  while (at < count && msi_desk_handler(self->desk, name, length, at) != peer) at++;
  if ((at < count) == handles) return MS_OK;
  ms_status st = MS_OK;
  made = list != NULL ? ms_value_retain(list) : NULL;
  if (made == NULL) st = ms_value_new_array(self->alloc, &made);
  if (st == MS_OK && !handles) st = ms_value_erase_at(self->alloc, &made, at);
  if (st == MS_OK && handles) {
    const ms_value *number = NULL;
    st = ms_value_new_int(self->alloc, (int64_t)peer, &number);
    if (st == MS_OK) st = ms_value_append(self->alloc, &made, number);
    ms_value_release(number);
  }
  if (st == MS_OK) st = edit_section(self, "handlers", name, length, made);
  ms_value_release(made);
  return st;
}

static ms_status retire_handlers(editor *self, uint64_t peer) {
  const ms_value *handlers = copy_section(self, "handlers"), *list;
  ms_cursor cursor;
  const char *name;
  size_t length;
  ms_status st = MS_OK;
  ms_cursor_init(&cursor, handlers);
  while (st == MS_OK && ms_cursor_next(&cursor, &name, &length, &list)) {
    st = set_handler(self, name, length, peer, false);
  }
  ms_value_release(handlers);
  return st;
}

/* ----- entries */

static ms_status note_op(editor *self, const msi_op *op) {
  const char *name = NULL;
  size_t length = 0;
  uint64_t number = 0;
  bool is_named = op->code == MSI_CODE_LOCK || op->code == MSI_CODE_HANDLE ||
                  op->code == MSI_CODE_UNHANDLE;
  const ms_value *given = is_named ? op->operand : NULL;
  if (op->code == MSI_CODE_UNLOCK) {
    given = ms_value_at(op->operand, 0);
    (void)msi_desk_number(op->operand, 1, &number);
  }
  if (given != NULL && ms_value_to_string(given, &name, &length) != MS_OK) return MS_OK;
  switch (op->code) {
    case MSI_CODE_LOCK: return lock_add(self, name, length);
    case MSI_CODE_UNLOCK: return lock_drop(self, name, length, number);
    case MSI_CODE_GRANT:
    case MSI_CODE_REVOKE:
    case MSI_CODE_WRITERS: return msi_role_note(self->alloc, &self->desk, op);
    case MSI_CODE_SCHEMA:
    case MSI_CODE_RULES: return msi_rule_note(self->alloc, &self->desk, op);
    case MSI_CODE_HANDLE: return set_handler(self, name, length, self->origin, true);
    case MSI_CODE_UNHANDLE: return set_handler(self, name, length, self->origin, false);
    case MSI_CODE_LAPSE: return lock_lapse(self, op->operand);
    case MSI_CODE_BIND: return bind_path(self, op->path, true);
    case MSI_CODE_UNBIND: return bind_path(self, op->path, false);
    default: return MS_OK;
  }
}

ms_status msi_desk_note(const ms_alloc *alloc, const ms_value *desk,
                        const msi_entry *entry, const ms_value **out) {
  const ms_update *update = entry->patch.update;
  editor self = {.alloc = alloc,
                 .desk = ms_value_retain(desk),
                 .origin = entry->patch.origin,
                 .number = entry->patch.number,
                 .version = entry->version};
  ms_status st = MS_OK;
  if (entry->kind == MSI_ENTRY_RETIRE) {
    st = retire_locks(&self, self.origin);
    if (st == MS_OK) st = retire_bound(&self, self.origin);
    if (st == MS_OK) st = retire_handlers(&self, self.origin);
  }
  for (uint32_t i = 0; st == MS_OK && update != NULL && i < update->op_count; i++) {
    const msi_op *op = &update->ops[i];
    if (msi_code_is_of_desk(op->code)) st = note_op(&self, op);
    if (st == MS_OK) st = msi_ttl_note(alloc, &self.desk, entry, op);
  }
  if (st != MS_OK) {
    ms_value_release(self.desk);
    return st;
  }
  *out = self.desk;
  return MS_OK;
}
