/*
 * Locks, bound paths and presence: what owners ask of the desk, and a model of it that is folded here from
 * the entries, by the simplest means.
 *
 *   lock0 ... lock2   locked and unlocked, with fences that hold and fences that do not
 *   b.p<i>, o.k<i>    bound now and then; b.* is written for that alone
 *   @peers.<id>       each writes to its own place, and at times to another's
 *
 * A schema says now and then that b.* holds no number above some bound, and rules say so of o.*.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim.h"

#define ULL(number) ((unsigned long long)(number))

enum { OF_SCHEMA, OF_RULES, BOUNDS };
enum { LOCKS = 3, PLACES = 3, PATHS = 2 * PLACES, HANDLERS_MAX = SIM_PROCS_MAX };

typedef struct waiter {
  int lock;
  uint64_t peer, number, fence;
} waiter;

struct sim_desk {
  waiter *waiters; /* of all locks, those of one lock in the order of its queue */
  size_t count, capacity;
  uint64_t owners[PATHS];                   /* 0: not bound */
  uint64_t handlers[LOCKS][HANDLERS_MAX];   /* in their order, 0 at the end */
  uint64_t ttl_ms[PATHS], deadlines[PATHS]; /* 0: what is there stays */
  int64_t most[BOUNDS];                     /* 0: there is none */
};

/* ----- names */

static const char *lock_name(int lock) {
  static const char *const names[LOCKS] = {"lock0", "lock1", "lock2"};
  return names[lock];
}

static int lock_by_name(const ms_value *value) {
  const char *bytes;
  size_t length;
  if (ms_value_to_string(value, &bytes, &length) != MS_OK) abort();
  for (int i = 0; i < LOCKS; i++) {
    if (strlen(lock_name(i)) == length && memcmp(lock_name(i), bytes, length) == 0)
      return i;
  }
  abort();
}

static ms_path *path_at(sim_world *sim, int index) {
  char text[16];
  ms_path *path = NULL;
  snprintf(text, sizeof text, index < PLACES ? "b.p%d" : "o.k%d", index % PLACES);
  if (ms_path_parse(&sim->alloc, text, strlen(text), &path, NULL) != MS_OK) abort();
  return path;
}

static int path_index(sim_world *sim, const ms_path *path) {
  for (int i = 0; i < PATHS; i++) {
    ms_path *known = path_at(sim, i);
    bool same = msi_path_equal(known, path);
    ms_path_release(known);
    if (same) return i;
  }
  abort();
}

/* ----- the model */

static sim_desk *desk_copy(const sim_desk *from) {
  sim_desk *desk = calloc(1, sizeof *desk);
  if (desk == NULL) abort();
  if (from == NULL) return desk;
  *desk = *from;
  desk->waiters = malloc((from->count + 1) * sizeof(waiter));
  if (desk->waiters == NULL) abort();
  desk->capacity = from->count + 1;
  if (from->count > 0) memcpy(desk->waiters, from->waiters, from->count * sizeof(waiter));
  return desk;
}

void sim_desk_free(sim_desk *desk) {
  if (desk == NULL) return;
  free(desk->waiters);
  free(desk);
}

/* Who is the first of a queue holds its lock. */
static void desk_crown(sim_desk *desk, uint64_t version) {
  bool seen[LOCKS] = {false};
  for (size_t i = 0; i < desk->count; i++) {
    waiter *at = &desk->waiters[i];
    if (!seen[at->lock] && at->fence == 0) at->fence = version;
    seen[at->lock] = true;
  }
}

/* number 0: all of that peer; lock -1: of all locks */
static void desk_remove(sim_desk *desk, int lock, uint64_t peer, uint64_t number) {
  size_t kept = 0;
  for (size_t i = 0; i < desk->count; i++) {
    const waiter *at = &desk->waiters[i];
    bool goes = at->peer == peer && (lock < 0 || at->lock == lock) &&
                (number == 0 || at->number == number);
    if (!goes) desk->waiters[kept++] = *at;
  }
  desk->count = kept;
}

static void desk_lock(sim_desk *desk, int lock, const msi_patch *patch) {
  for (size_t i = 0; i < desk->count; i++) {
    const waiter *at = &desk->waiters[i];
    if (at->lock == lock && at->peer == patch->origin && at->number == patch->number)
      return;
  }
  desk->waiters =
      sim_grow(desk->waiters, &desk->capacity, desk->count, sizeof *desk->waiters);
  desk->waiters[desk->count++] = (waiter){lock, patch->origin, patch->number, 0};
}

/* A write begins the time of its place anew, or takes the limit off. */
static void desk_write(sim_world *sim, sim_desk *desk, const msi_entry *entry,
                       const msi_op *op) {
  for (int i = 0; i < PATHS; i++) {
    if (desk->ttl_ms[i] == 0) continue;
    ms_path *path = path_at(sim, i);
    bool is_whole = msi_path_equal(path, op->path);
    bool is_within = ms_path_count(path) <= ms_path_count(op->path) &&
                     msi_path_overlaps(path, op->path);
    ms_path_release(path);
    if (!is_within) continue;
    bool goes = is_whole && op->selection == NULL &&
                (op->code == MSI_CODE_UNSET || op->code == MSI_CODE_RENAME);
    if (goes) desk->ttl_ms[i] = 0;
    desk->deadlines[i] = entry->patch.timestamp + desk->ttl_ms[i] * SIM_MS;
  }
}

static void desk_ttl(sim_world *sim, sim_desk *desk, const msi_entry *entry,
                     const msi_op *op) {
  int path = path_index(sim, op->path);
  int64_t ttl_ms = 0;
  if (ms_value_to_int(op->operand, &ttl_ms) != MS_OK) abort();
  desk->ttl_ms[path] = (uint64_t)ttl_ms;
  desk->deadlines[path] = entry->patch.timestamp + (uint64_t)ttl_ms * SIM_MS;
}

/* The holder that a host calls silent. */
static void desk_lapse(sim_world *sim, sim_desk *desk, const msi_entry *entry,
                       const msi_op *op) {
  int64_t peer = 0, fence = 0;
  int lock = lock_by_name(ms_value_at(op->operand, 1));
  if (ms_value_to_int(ms_value_at(op->operand, 0), &peer) != MS_OK ||
      ms_value_to_int(ms_value_at(op->operand, 2), &fence) != MS_OK ||
      entry->kind != MSI_ENTRY_HOUSE) {
    abort();
  }
  for (size_t i = 0; i < desk->count; i++) {
    const waiter *at = &desk->waiters[i];
    if (at->lock != lock) continue;
    if (at->peer != (uint64_t)peer || at->fence != (uint64_t)fence) break;
    desk_remove(desk, lock, at->peer, at->number);
    sim->report->lapses++;
    return;
  }
  sim_fail(sim, "version %llu lets a lease lapse that nobody holds", ULL(entry->version));
}

/* The names of handlers are those of locks. */
static void desk_handle(sim_desk *desk, int name, uint64_t peer, bool handles) {
  uint64_t *list = desk->handlers[name];
  size_t count = 0, kept = 0;
  bool found = false;
  while (count < HANDLERS_MAX && list[count] != 0) found |= list[count++] == peer;
  if (handles && !found) list[count] = peer;
  if (handles) return;
  for (size_t i = 0; i < count; i++) {
    if (list[i] != peer) list[kept++] = list[i];
  }
  while (kept < count) list[kept++] = 0;
}

/* Of which the operation is about, and what it says; false: about none. */
static bool read_bound(const msi_op *op, int *which, int64_t *most) {
  const char *text = NULL;
  size_t length;
  if (op->code != MSI_CODE_SCHEMA && op->code != MSI_CODE_RULES) return false;
  *which = op->code == MSI_CODE_SCHEMA ? OF_SCHEMA : OF_RULES;
  *most = 0;
  if (ms_value_type(op->operand) == MS_NULL) return true;
  if (*which == OF_SCHEMA) {
    const ms_value *given = ms_value_get(op->operand, "b.*", 3);
    if (ms_value_to_int(ms_value_get(given, "max", 3), most) != MS_OK) abort();
  } else {
    if (ms_value_to_string(op->operand, &text, &length) != MS_OK) abort();
    *most = strtoll(text, NULL, 10);
  }
  return true;
}

static void desk_op(sim_world *sim, sim_desk *desk, const msi_entry *entry,
                    const msi_op *op) {
  uint64_t peer = entry->patch.origin;
  int64_t number = 0;
  int path, which;
  if (read_bound(op, &which, &number)) desk->most[which] = number;
  switch (op->code) {
    case MSI_CODE_LOCK: desk_lock(desk, lock_by_name(op->operand), &entry->patch); break;
    case MSI_CODE_UNLOCK:
      if (ms_value_to_int(ms_value_at(op->operand, 1), &number) != MS_OK) abort();
      desk_remove(desk, lock_by_name(ms_value_at(op->operand, 0)), peer,
                  (uint64_t)number);
      break;
    case MSI_CODE_HANDLE:
    case MSI_CODE_UNHANDLE:
      desk_handle(desk, lock_by_name(op->operand), peer, op->code == MSI_CODE_HANDLE);
      break;
    case MSI_CODE_TTL: desk_ttl(sim, desk, entry, op); break;
    case MSI_CODE_LAPSE: desk_lapse(sim, desk, entry, op); break;
    case MSI_CODE_BIND: desk->owners[path_index(sim, op->path)] = peer; break;
    case MSI_CODE_UNBIND:
      path = path_index(sim, op->path);
      if (desk->owners[path] == peer) desk->owners[path] = 0;
      break;
    default: break;
  }
  if (op->class_ != MSI_CLASS_GUARD) desk_write(sim, desk, entry, op);
  desk_crown(desk, entry->version);
}

sim_desk *sim_desk_note(sim_world *sim, const sim_desk *before, const msi_entry *entry) {
  sim_desk *desk = desk_copy(before);
  const ms_update *update = entry->patch.update;
  if (entry->kind == MSI_ENTRY_RETIRE) {
    desk_remove(desk, -1, entry->patch.origin, 0);
    desk_crown(desk, entry->version);
    for (int i = 0; i < PATHS; i++) {
      if (desk->owners[i] == entry->patch.origin) desk->owners[i] = 0;
    }
    for (int i = 0; i < LOCKS; i++) desk_handle(desk, i, entry->patch.origin, false);
  }
  for (uint32_t i = 0; update != NULL && i < update->op_count; i++) {
    desk_op(sim, desk, entry, &update->ops[i]);
  }
  return desk;
}

/* ----- against the library's */

static bool locks_match(const sim_desk *model, const ms_value *desk) {
  size_t places[LOCKS] = {0};
  for (size_t i = 0; i < model->count; i++) {
    const waiter *at = &model->waiters[i];
    const char *name = lock_name(at->lock);
    msi_waiter found;
    if (!msi_desk_waiter(desk, name, strlen(name), places[at->lock]++, &found) ||
        found.peer != at->peer || found.number != at->number || found.fence != at->fence)
      return false;
  }
  for (int i = 0; i < LOCKS; i++) {
    if (msi_desk_queue(desk, lock_name(i), strlen(lock_name(i))) != places[i])
      return false;
  }
  return true;
}

static bool paths_match(sim_world *sim, const sim_desk *model, const ms_value *desk) {
  for (int i = 0; i < PATHS; i++) {
    ms_path *path = path_at(sim, i);
    uint64_t owner = 0, owned = 0;
    if (msi_desk_owner(&sim->alloc, desk, path, &owner) != MS_OK) abort();
    ms_path_release(path);
    for (int k = 0; k < PATHS; k++) owned += model->owners[k] == model->owners[i];
    if (owner != model->owners[i]) return false;
    if (owner != 0 && msi_desk_owned(desk, owner) != owned) return false;
  }
  return true;
}

static bool limits_match(sim_world *sim, const sim_desk *model, const ms_value *desk) {
  const ms_value *section = msi_desk_section(desk, "ttl");
  size_t count = 0;
  for (int i = 0; i < PATHS; i++) {
    if (model->ttl_ms[i] == 0) continue;
    ms_path *path = path_at(sim, i);
    msi_buffer key;
    uint64_t ttl_ms = 0, deadline = 0;
    msi_buffer_init(&key, &sim->alloc);
    if (msi_path_pack(&key, path) != MS_OK) abort();
    const ms_value *limit =
        section == NULL ? NULL
                        : ms_value_get(section, (const char *)key.data, key.length);
    msi_buffer_fini(&key);
    ms_path_release(path);
    if (limit == NULL || !msi_desk_number(limit, 0, &ttl_ms) ||
        !msi_desk_number(limit, 1, &deadline) || ttl_ms != model->ttl_ms[i] ||
        deadline != model->deadlines[i]) {
      return false;
    }
    count++;
  }
  return (section == NULL ? 0 : ms_value_count(section)) == count;
}

static bool handlers_match(const sim_desk *model, const ms_value *desk) {
  for (int i = 0; i < LOCKS; i++) {
    const char *name = lock_name(i);
    size_t count = msi_desk_handlers(desk, name, strlen(name));
    for (size_t k = 0; k < HANDLERS_MAX && (k < count || model->handlers[i][k] != 0);
         k++) {
      if (msi_desk_handler(desk, name, strlen(name), k) != model->handlers[i][k])
        return false;
    }
  }
  return true;
}

/* A fencing number belongs to one request, and later ones are higher. */
static void check_fences(sim_world *sim, const ms_value *before, const ms_value *after,
                         uint64_t version) {
  for (int i = 0; before != NULL && i < LOCKS; i++) {
    const char *name = lock_name(i);
    msi_waiter old, new;
    if (!msi_desk_waiter(before, name, strlen(name), 0, &old) ||
        !msi_desk_waiter(after, name, strlen(name), 0, &new)) {
      continue;
    }
    bool same = old.peer == new.peer &&old.number == new.number;
    if (same ? old.fence == new.fence : new.fence == version) continue;
    sim_fail(sim, "%s: fence %llu of peer %llx after %llu of peer %llx at version %llu",
             name, ULL(new.fence), ULL(new.peer), ULL(old.fence), ULL(old.peer),
             ULL(version));
  }
}

void sim_desk_check(sim_proc *proc, const sim_group *group, uint64_t version,
                    const ms_value *desk) {
  sim_world *sim = proc->sim;
  if (sim->report->failed || version == 0 || version > group->version_count) return;
  sim_version *at = &group->versions[version - 1];
  if (at->desk_value == NULL) {
    if (!msi_desk_is_sound(desk) || !locks_match(at->desk, desk) ||
        !paths_match(sim, at->desk, desk) || !limits_match(sim, at->desk, desk) ||
        !handlers_match(at->desk, desk)) {
      sim_fail(sim, "peer %d has a desk at version %llu that its entries do not make",
               proc->index, ULL(version));
    }
    if (version > 1)
      check_fences(sim, group->versions[version - 2].desk_value, desk, version);
    at->desk_value = ms_value_retain(desk);
  } else if (!ms_value_equal(at->desk_value, desk)) {
    sim_fail(sim, "peer %d has another desk at version %llu", proc->index, ULL(version));
  }
}

/* ----- refusals */

static bool holds(const sim_desk *desk, int lock, uint64_t peer, uint64_t fence) {
  for (size_t i = 0; i < desk->count; i++) {
    if (desk->waiters[i].lock == lock)
      return desk->waiters[i].peer == peer && desk->waiters[i].fence == fence;
  }
  return false;
}

static const ms_value *peers_of(const ms_value *root) {
  return ms_value_get(root, MSI_PEERS_KEY, strlen(MSI_PEERS_KEY));
}

/* Have two documents the same places of peers, but for one? */
static bool others_equal(const ms_value *a, const ms_value *b, const char *own) {
  const ms_value *const sides[] = {a, b, a};
  for (size_t i = 0; i < 2; i++) {
    const ms_value *peers = peers_of(sides[i]), *other = peers_of(sides[i + 1]), *value;
    ms_cursor cursor;
    const char *key;
    size_t length;
    if (peers == NULL) continue;
    ms_cursor_init(&cursor, peers);
    while (ms_cursor_next(&cursor, &key, &length, &value)) {
      const ms_value *found = other == NULL ? NULL : ms_value_get(other, key, length);
      if (length == strlen(own) && memcmp(key, own, length) == 0) continue;
      if (found == NULL || !ms_value_equal(found, value)) return false;
    }
  }
  return true;
}

static bool is_foreign_place(const msi_op *op, const ms_value *before, const char *own) {
  char text[64];
  size_t length = strlen(MSI_PEERS_KEY);
  if (op->class_ == MSI_CLASS_GUARD && op->code != MSI_CODE_BIND) return false;
  if (op->path->count == 0) return !others_equal(before, op->operand, own);
  msi_path_print(op->path, text, sizeof text);
  if (strncmp(text, MSI_PEERS_KEY, length) != 0) return false;
  if (text[length] != '.') return true;
  size_t key = strcspn(text + length + 1, ".");
  return key != strlen(own) || memcmp(text + length + 1, own, key) != 0;
}

bool sim_desk_denies(const sim_desk *desk, const msi_patch *patch,
                     const ms_update *update, const ms_value *before) {
  char own[32];
  snprintf(own, sizeof own, "%" PRIx64, patch->origin);
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *op = &update->ops[i];
    int64_t fence = 0;
    if (op->code == MSI_CODE_FENCE) {
      if (ms_value_to_int(ms_value_at(op->operand, 1), &fence) != MS_OK) abort();
      int lock = lock_by_name(ms_value_at(op->operand, 0));
      if (!holds(desk, lock, patch->origin, (uint64_t)fence)) return true;
    } else if (is_foreign_place(op, before, own)) {
      return true;
    }
  }
  return false;
}

bool sim_desk_calls_nobody(const sim_group *group, const ms_update *update,
                           uint64_t version) {
  for (uint32_t i = 0; i < update->op_count; i++) {
    msi_told told;
    bool is_here = false;
    if (!msi_op_told(&update->ops[i], &told) || told.code != MSI_CODE_CALL) continue;
    for (uint64_t v = 1; v < version; v++) {
      const msi_entry *entry = &group->versions[v - 1].entry;
      if (entry->patch.origin != told.peer) continue;
      if (entry->kind == MSI_ENTRY_JOIN) is_here = true;
      if (entry->kind == MSI_ENTRY_RETIRE) is_here = false;
    }
    if (!is_here) return true;
  }
  return false;
}

/* ----- schema and rules */

static bool is_above(const ms_value *value, int64_t most, bool is_strict) {
  double number;
  if (ms_value_to_double(value, &number) != MS_OK) return is_strict;
  return !(number <= (double)most);
}

/* Is there, in the container of that name, a value above the bound that was not there before? */
static bool has_above(const ms_value *before, const ms_value *after, const char *name,
                      int64_t most, bool is_strict) {
  const ms_value *old = before == NULL ? NULL : ms_value_get(before, name, 1);
  const ms_value *list = ms_value_get(after, name, 1), *value;
  ms_cursor cursor;
  const char *key;
  size_t length, index = 0;
  if (list == NULL || ms_value_count(list) == 0) return false;
  ms_cursor_init(&cursor, list);
  while (ms_cursor_next(&cursor, &key, &length, &value)) {
    bool is_array = ms_value_type(list) == MS_ARRAY;
    const ms_value *stood = NULL;
    if (old != NULL && ms_value_type(old) == ms_value_type(list))
      stood = is_array ? ms_value_at(old, index) : ms_value_get(old, key, length);
    index++;
    if (stood != NULL && ms_value_equal(stood, value)) continue;
    if (is_above(value, most, is_strict)) return true;
  }
  return false;
}

bool sim_desk_is_against(const sim_desk *desk, const ms_update *update,
                         const ms_value *before, const ms_value *after) {
  int64_t most[BOUNDS] = {desk->most[OF_SCHEMA], desk->most[OF_RULES]}, said;
  bool is_new = false;
  for (uint32_t i = 0; i < update->op_count; i++) {
    int which;
    if (!read_bound(&update->ops[i], &which, &said)) continue;
    is_new |= said != 0 || most[which] != 0;
    most[which] = said;
  }
  if (is_new) before = NULL;
  return (most[OF_SCHEMA] != 0 && has_above(before, after, "b", most[OF_SCHEMA], true)) ||
         (most[OF_RULES] != 0 && has_above(before, after, "o", most[OF_RULES], false));
}

/* The validator of hosts: rules are a number. */
typedef struct bound {
  ms_rules *rules;
  int64_t most;
  bool is_broken;
} bound;

static void bound_look(void *ud, const ms_change *change) {
  bound *self = ud;
  if (change->new_value != NULL && is_above(change->new_value, self->most, false))
    self->is_broken = true;
}

static ms_status bound_load(void *ud, const char *source, size_t length, void **rules,
                            ms_error *error) {
  bound *self = calloc(1, sizeof *self);
  ms_path *pattern = NULL;
  (void)ud;
  (void)length;
  if (self == NULL || ms_rules_new(NULL, &self->rules) != MS_OK ||
      ms_path_parse_pattern(NULL, "o.*", 3, &pattern, error) != MS_OK ||
      ms_rules_add(self->rules, pattern, bound_look, self) != MS_OK) {
    abort();
  }
  ms_path_release(pattern);
  self->most = strtoll(source, NULL, 10);
  *rules = self;
  return MS_OK;
}

static ms_status bound_check(void *rules, const ms_attempt *attempt, ms_error *error) {
  bound *self = rules;
  self->is_broken = false;
  if (ms_rules_run(self->rules, attempt) != MS_OK) abort();
  return self->is_broken
             ? msi_fail(error, MS_EDENIED, "above %lld", (long long)self->most)
             : MS_OK;
}

static void bound_unload(void *rules) {
  bound *self = rules;
  ms_rules_free(self->rules);
  free(self);
}

const ms_validator sim_desk_validator = {bound_load, bound_check, bound_unload, NULL};

/* ----- what is told */

/* How many messages for that peer there are up to a version. */
static uint64_t count_told(const sim_group *group, uint64_t peer, uint64_t after,
                           uint64_t version) {
  uint64_t count = 0;
  for (uint64_t v = after + 1; v <= version; v++) {
    const ms_update *update = group->versions[v - 1].entry.patch.update;
    if (update != NULL && msi_update_tells(update, peer)) count++;
  }
  return count;
}

void sim_desk_hear(sim_proc *proc, const sim_group *group, const msi_delivery *delivery,
                   uint64_t self) {
  sim_world *sim = proc->sim;
  if (delivery->kind == MSI_DELIVER_ROOT) {
    proc->heard_from = delivery->version;
    proc->heard_count = 0;
    return;
  }
  if (delivery->kind != MSI_DELIVER_ENTRY || group == NULL) return;
  const ms_update *update = delivery->entry->patch.update;
  if (update != NULL && msi_update_tells(update, self)) {
    proc->heard_count++;
    sim->report->told++;
  }
  uint64_t wanted = count_told(group, self, proc->heard_from, delivery->version);
  if (proc->heard_count == wanted) return;
  sim_fail(sim, "peer %d has heard %llu messages up to version %llu, not %llu",
           proc->index, ULL(proc->heard_count), ULL(delivery->version), ULL(wanted));
}

/* ----- departures */

static size_t count_removals(const ms_update *update, const ms_path *path) {
  size_t count = 0;
  for (uint32_t i = 0; update != NULL && i < update->op_count; i++) {
    const msi_op *op = &update->ops[i];
    count += op->code == MSI_CODE_UNSET && msi_path_equal(op->path, path);
  }
  return count;
}

void sim_desk_check_departure(sim_world *sim, const sim_desk *desk,
                              const msi_entry *entry, const ms_value *before,
                              const ms_value *after) {
  const ms_update *update = entry->patch.update;
  size_t wanted = 0;
  for (int i = 0; i <= PATHS; i++) {
    ms_path *path = NULL;
    char text[48];
    snprintf(text, sizeof text, MSI_PEERS_KEY ".%" PRIx64, entry->patch.origin);
    if (i < PATHS) {
      path = path_at(sim, i);
    } else if (ms_path_parse(&sim->alloc, text, strlen(text), &path, NULL) != MS_OK) {
      abort();
    }
    bool goes = (i == PATHS || desk->owners[i] == entry->patch.origin) &&
                ms_path_find(path, before) != NULL;
    if (goes) wanted++;
    if (count_removals(update, path) != (goes ? 1u : 0u) ||
        (goes && ms_path_find(path, after) != NULL)) {
      sim_fail(sim, "version %llu: %s of a departed peer", ULL(entry->version),
               goes ? "keeps a path" : "takes away what was not");
    }
    ms_path_release(path);
  }
  if ((update == NULL ? 0 : update->op_count) != wanted)
    sim_fail(sim, "version %llu takes away more than was bound", ULL(entry->version));
}

/* Counted in ticks of the host, each of which may come half a tick late. */
static void check_silence(sim_proc *proc, const msi_op *op, uint64_t version) {
  sim_world *sim = proc->sim;
  int64_t peer = 0;
  if (ms_value_to_int(ms_value_at(op->operand, 0), &peer) != MS_OK) abort();
  for (int i = 0; i < sim->proc_count && !proc->hung_in_call; i++) {
    const sim_proc *holder = sim->procs[i];
    if (!holder->alive || holder->id != (uint64_t)peer) continue;
    if (sim->now - holder->heard_at + MSI_TICK_NS >= sim->weather.host_timeout_ns)
      continue;
    sim_fail(sim, "version %llu calls peer %d silent, who was heard %llu ms ago",
             ULL(version), i, ULL((sim->now - holder->heard_at) / SIM_MS));
  }
}

void sim_desk_check_house(sim_proc *proc, const sim_desk *desk, const msi_entry *entry) {
  sim_world *sim = proc->sim;
  const ms_update *update = entry->patch.update;
  for (uint32_t i = 0; i < update->op_count; i++) {
    const msi_op *op = &update->ops[i];
    if (op->code == MSI_CODE_LAPSE) {
      check_silence(proc, op, entry->version);
      continue;
    }
    if (op->code != MSI_CODE_UNSET && op->code != MSI_CODE_TTL) abort();
    int path = path_index(sim, op->path);
    if (desk->ttl_ms[path] == 0 || desk->deadlines[path] > sim->now)
      sim_fail(sim, "version %llu takes away what has time left", ULL(entry->version));
    if (op->code == MSI_CODE_UNSET) sim->report->expiries++;
  }
}

void sim_desk_check_end(sim_world *sim, const sim_group *group) {
  const sim_desk *desk =
      group->version_count == 0 ? NULL : group->versions[group->version_count - 1].desk;
  for (int i = 0; desk != NULL && i < PATHS; i++) {
    if (desk->ttl_ms[i] > 0 && desk->deadlines[i] + 3000 * SIM_MS < sim->now)
      sim_fail(sim, "a place stays %llu ms longer than it should",
               ULL((sim->now - desk->deadlines[i]) / SIM_MS));
  }
}

/* ----- what owners ask */

typedef struct own_lock {
  uint64_t number, fence;
  bool found;
} own_lock;

static own_lock own_request(const sim_proc *proc, int lock) {
  const char *name = lock_name(lock);
  const ms_value *desk = msi_view_desk(proc->view);
  own_lock found = {.found = false};
  msi_waiter at;
  for (size_t i = 0; msi_desk_waiter(desk, name, strlen(name), i, &at); i++) {
    if (at.peer != proc->id || found.found) continue;
    found = (own_lock){at.number, at.fence, true};
  }
  return found;
}

static ms_update *place_update(sim_world *sim, const sim_proc *proc) {
  char text[160];
  uint64_t peer = proc->id;
  unsigned long long mark = sim_program_marker(sim);
  if (sim_chance(sim, 150000)) {
    peer = sim->procs[sim_random_below(&sim->random, (uint64_t)sim->proc_count)]->id;
  }
  if (sim_chance(sim, 50000)) {
    snprintf(text, sizeof text, "{\"$unset\": {\"@peers\": 1}}");
  } else if (sim_chance(sim, 100000)) {
    snprintf(text, sizeof text, "{\"$unset\": {\"@peers.%" PRIx64 "\": 1}}", peer);
  } else {
    snprintf(text, sizeof text, "{\"$set\": {\"@peers.%" PRIx64 ".x\": %llu}}", peer,
             mark);
  }
  return sim_program_parse(sim, text, NULL);
}

static ms_update *bind_update(sim_world *sim) {
  int at = (int)sim_random_below(&sim->random, PATHS);
  bool binds = sim_chance(sim, 800000);
  unsigned long long mark = sim_program_marker(sim);
  ms_path *path = path_at(sim, at);
  ms_update *parts[2] = {NULL}, *update = NULL;
  char text[64], name[16];
  if (msi_update_bind(&sim->alloc, path, binds, &parts[0], NULL) != MS_OK) abort();
  snprintf(text, sizeof text, "{\"$set\": {\"%s\": %llu}}",
           msi_path_print(path, name, sizeof name), mark);
  ms_path_release(path);
  parts[1] = sim_program_parse(sim, text, NULL);
  size_t count = sim_chance(sim, 500000) ? 2 : 1;
  if (msi_update_concat(&sim->alloc, (const ms_update *const *)parts, count, &update) !=
      MS_OK) {
    abort();
  }
  ms_update_release(parts[0]);
  ms_update_release(parts[1]);
  return update;
}

static ms_update *ttl_update(sim_world *sim) {
  int at = (int)sim_random_below(&sim->random, PATHS);
  uint64_t ttl_ms =
      sim_chance(sim, 200000) ? 0 : sim_random_between(&sim->random, 1, 400);
  unsigned long long mark = sim_program_marker(sim);
  ms_path *path = path_at(sim, at);
  ms_update *parts[2] = {NULL}, *update = NULL;
  char text[64], name[16];
  if (msi_update_ttl(&sim->alloc, path, ttl_ms, &parts[1], NULL) != MS_OK) abort();
  snprintf(text, sizeof text, "{\"$set\": {\"%s\": %llu}}",
           msi_path_print(path, name, sizeof name), mark);
  ms_path_release(path);
  parts[0] = sim_program_parse(sim, text, NULL);
  if (msi_update_concat(&sim->alloc, (const ms_update *const *)parts, 2, &update) !=
      MS_OK) {
    abort();
  }
  ms_update_release(parts[0]);
  ms_update_release(parts[1]);
  return update;
}

static ms_update *told_update(sim_world *sim) {
  uint64_t kind = sim_random_below(&sim->random, 6);
  const char *name = lock_name((int)sim_random_below(&sim->random, LOCKS));
  uint64_t to = sim->procs[sim_random_below(&sim->random, (uint64_t)sim->proc_count)]->id;
  const ms_value *value = NULL;
  ms_update *update = NULL;
  ms_status status =
      ms_value_new_int(&sim->alloc, (int64_t)sim_program_marker(sim), &value);
  size_t length = strlen(name);
  if (status != MS_OK) abort();
  if (to == 0) to = 1;
  if (kind < 2) {
    status = msi_update_emit(&sim->alloc, name, length, value, &update, NULL);
  } else if (kind == 2) {
    status = msi_update_call(&sim->alloc, to, name, length, value, &update, NULL);
  } else if (kind == 3) {
    status = msi_update_reply(&sim->alloc, to, 1, true, value, &update, NULL);
  } else {
    status =
        msi_update_named(&sim->alloc, kind == 4 ? MSI_CODE_HANDLE : MSI_CODE_UNHANDLE,
                         name, length, &update, NULL);
  }
  if (status != MS_OK) abort();
  ms_value_release(value);
  return update;
}

static ms_update *lock_update(sim_world *sim, const sim_proc *proc) {
  int lock = (int)sim_random_below(&sim->random, LOCKS);
  const char *name = lock_name(lock);
  uint64_t kind = sim_random_below(&sim->random, 10);
  uint64_t other = sim_random_between(&sim->random, 1, 12);
  own_lock own = own_request(proc, lock);
  ms_update *update = NULL;
  ms_status status;
  if (kind < 4 || (kind < 8 && !own.found)) {
    status = msi_update_lock(&sim->alloc, name, strlen(name), &update, NULL);
  } else if (kind < 7) {
    status = msi_update_unlock(&sim->alloc, name, strlen(name),
                               own.found ? own.number : other, &update, NULL);
  } else {
    uint64_t fence = own.found && own.fence > 0 ? own.fence : other;
    status = msi_update_fence(&sim->alloc, name, strlen(name), fence, &update, NULL);
  }
  if (status != MS_OK) abort();
  return update;
}

static ms_update *rule_update(sim_world *sim) {
  bool is_schema = sim_chance(sim, 500000), is_none = sim_chance(sim, 500000);
  unsigned long long most = sim_program_marker(sim) + sim_random_below(&sim->random, 20);
  ms_update *update = NULL;
  const ms_value *schema = NULL;
  char text[64];
  snprintf(text, sizeof text, is_schema ? "{\"b.*\": {\"max\": %llu}}" : "%llu", most);
  size_t length = strlen(text);
  ms_status status = MS_OK;
  if (is_schema && !is_none)
    status = ms_value_from_json(&sim->alloc, text, length, &schema, NULL);
  if (status == MS_OK && is_schema)
    status = msi_update_schema(&sim->alloc, schema, &update, NULL);
  if (status == MS_OK && !is_schema)
    status = msi_update_rules(&sim->alloc, is_none ? NULL : text, length, &update, NULL);
  if (status != MS_OK) abort();
  ms_value_release(schema);
  return update;
}

ms_update *sim_desk_update(sim_world *sim, const sim_proc *proc, ms_update *update) {
  uint64_t kind = sim_random_below(&sim->random, 17);
  bool is_first = sim_chance(sim, 500000), is_alone = sim_chance(sim, 300000);
  ms_update *asked = kind < 6    ? lock_update(sim, proc)
                     : kind < 8  ? bind_update(sim)
                     : kind < 10 ? ttl_update(sim)
                     : kind < 13 ? told_update(sim)
                     : kind < 15 ? rule_update(sim)
                                 : place_update(sim, proc);
  ms_update *made = NULL;
  const ms_update *const parts[2] = {is_first ? asked : update,
                                     is_first ? update : asked};
  if (is_alone) {
    made = ms_update_retain(asked);
  } else if (msi_update_concat(&sim->alloc, parts, 2, &made) != MS_OK) {
    abort();
  }
  ms_update_release(asked);
  ms_update_release(update);
  return made;
}
