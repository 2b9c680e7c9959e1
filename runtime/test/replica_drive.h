/* What tests do with a world: let time pass, look, write, start replicas, break links. */
#ifndef REPLICA_DRIVE_H
#define REPLICA_DRIVE_H

#include "replica_world.h"

/* ----- letting things happen */

static inline bool node_answer_dial(node *self) {
  world *all = self->world;
  uint64_t term = self->dialling;
  if (!self->alive || self->hung || term == 0) return false;
  self->dialling = 0;
  fake_log *log = &all->logs[term];
  msi_link_id id = 0;
  pipe *made = NULL;
  if (term == all->stub_term) {
    all->stub = made = world_pipe(all);
  } else if (log->exists && log->lock != NULL && log->lock != self) {
    made = world_pipe(all);
    made->backlog = term;
  }
  if (made != NULL) {
    made->ends[0].node = self;
    id = made->ends[0].id = ++self->link_last;
  }
  msi_replica_dialled(self->replica, all->now, term, id);
  return true;
}

static inline bool pipe_accept(world *self, pipe *at) {
  node *host = at->backlog != 0 ? self->logs[at->backlog].listener : NULL;
  if (host == NULL || !host->alive || host->hung) return false;
  at->backlog = 0;
  at->ends[1].node = host;
  at->ends[1].id = ++host->link_last;
  msi_replica_accepted(host->replica, self->now, at->ends[1].id);
  return true;
}

/* One frame, or the end, to this end. */
static inline bool end_deliver(world *self, pipe_end *end, pipe_end *other) {
  node *to = end->node;
  if (to == NULL || !end->open || !to->alive || to->hung) return false;
  frame *item = end_pop(end, other);
  if (item != NULL) {
    msi_replica_message(to->replica, self->now, end->id, item->data, item->bytes);
    free(item);
    if (other->was_full && other->open && other->queued < self->room) {
      other->was_full = false;
      if (other->node != NULL && !other->node->hung) {
        msi_replica_writable(other->node->replica, self->now, other->id);
      }
    }
    return true;
  }
  if (!end->ended) return false;
  end_close(end, other);
  msi_replica_link_down(to->replica, self->now, end->id);
  return true;
}

/* One round over everything that can happen without time. */
static inline bool world_turn(world *self) {
  bool any = false;
  for (int i = 0; i < NODES_MAX; i++) any = node_answer_dial(&self->nodes[i]) || any;
  for (size_t i = 0; i < self->pipe_count; i++) {
    pipe *at = &self->pipes[i];
    any = pipe_accept(self, at) || any;
    any = end_deliver(self, &at->ends[0], &at->ends[1]) || any;
    any = end_deliver(self, &at->ends[1], &at->ends[0]) || any;
  }
  return any;
}

static inline void world_settle(world *self) {
  for (int i = 0; world_turn(self); i++) assert_true(i < 100000);
}

/* Time passes; every living node is ticked when it is due, `late_ns` after that. */
static inline void world_pass_late(world *self, uint64_t ns, uint64_t late_ns) {
  uint64_t end = self->now + ns;
  world_settle(self);
  for (;;) {
    uint64_t next = UINT64_MAX;
    for (int i = 0; i < NODES_MAX; i++) {
      if (!self->nodes[i].alive || self->nodes[i].hung) continue;
      uint64_t deadline = msi_replica_deadline(self->nodes[i].replica);
      if (deadline < next) next = deadline;
    }
    if (next == UINT64_MAX || next + late_ns > end) break;
    if (next + late_ns > self->now) self->now = next + late_ns;
    for (int i = 0; i < NODES_MAX; i++) {
      node *at = &self->nodes[i];
      if (at->alive && !at->hung && msi_replica_deadline(at->replica) <= next) {
        msi_replica_tick(at->replica, self->now);
      }
    }
    world_settle(self);
  }
  self->now = end;
}

static inline void world_pass(world *self, uint64_t ns) { world_pass_late(self, ns, 0); }

/* ----- looking */

static inline msi_replica_info node_info(const node *self) {
  msi_replica_info info;
  msi_replica_inspect(self->replica, &info);
  return info;
}

static inline bool node_logged(const node *self, const char *part) {
  for (size_t i = 0; i < self->line_count; i++) {
    if (strstr(self->lines[i], part) != NULL) return true;
  }
  return false;
}

static inline size_t node_count_told(const node *self, msi_delivery_kind kind) {
  size_t count = 0;
  for (size_t i = 0; i < self->told_count; i++) count += self->told[i].kind == kind;
  return count;
}

/* The decision about an own patch; NULL: none was told. */
static inline const told *node_decision(const node *self, uint64_t number) {
  for (size_t i = 0; i < self->told_count; i++) {
    const told *at = &self->told[i];
    if (at->kind == MSI_DELIVER_ENTRY && at->number == number &&
        at->origin == node_info(self).peer &&
        (at->entry_kind == MSI_ENTRY_PATCH || at->entry_kind == MSI_ENTRY_REJECT)) {
      return at;
    }
  }
  return NULL;
}

static inline int64_t node_int(const node *self, const char *key) {
  int64_t number = INT64_MIN;
  const ms_value *value = ms_value_get(msi_replica_root(self->replica), key, strlen(key));
  if (value != NULL) assert_int_equal(ms_value_to_int(value, &number), MS_OK);
  return number;
}

static inline void assert_same(const node *a, const node *b) {
  assert_int_equal(node_info(a).version, node_info(b).version);
  assert_true(ms_value_equal(msi_replica_root(a->replica), msi_replica_root(b->replica)));
}

/* ----- writing */

static inline ms_update *update_of(const ms_alloc *alloc, msi_code code, const char *path,
                                   int64_t operand) {
  ms_path *compiled;
  ms_update *update;
  const ms_value *number;
  assert_int_equal(ms_path_parse(alloc, path, strlen(path), &compiled, NULL), MS_OK);
  assert_int_equal(ms_value_new_int(alloc, operand, &number), MS_OK);
  assert_int_equal(
      msi_update_single(alloc, code, compiled, number, MS_NULL, &update, NULL), MS_OK);
  ms_value_release(number);
  ms_path_release(compiled);
  return update;
}

static inline ms_status node_try(node *self, msi_code code, const char *path,
                                 int64_t operand, uint64_t base, uint64_t *number) {
  ms_update *update = update_of(NULL, code, path, operand);
  ms_status st = msi_replica_submit(self->replica, self->world->now, base, 5, update,
                                    NULL, NULL, number);
  ms_update_release(update);
  return st;
}

static inline uint64_t node_write(node *self, msi_code code, const char *path,
                                  int64_t operand) {
  uint64_t number = 0;
  self->world->now += 1000;
  assert_int_equal(node_try(self, code, path, operand, node_info(self).version, &number),
                   MS_OK);
  return number;
}

/* ----- setting up */

static inline const ms_value *document(const char *key, int64_t number) {
  const ms_value *value, *root;
  assert_int_equal(ms_value_new_object(NULL, &root), MS_OK);
  assert_int_equal(ms_value_new_int(NULL, number, &value), MS_OK);
  assert_int_equal(ms_value_put(NULL, &root, key, strlen(key), value), MS_OK);
  ms_value_release(value);
  return root;
}

static inline void start_founder(node *self, const ms_value *defaults) {
  msi_replica_config config = world_config();
  config.defaults = defaults;
  assert_int_equal(node_start_with(self, config), MS_OK);
  ms_value_release(defaults);
}

/* nodes[0] is host, the others are complete clients. */
static inline world *world_of(int count) {
  world *self = world_new();
  start_founder(&self->nodes[0], document("n", 0));
  for (int i = 1; i < count; i++) node_start(&self->nodes[i]);
  world_settle(self);
  assert_int_equal(node_info(&self->nodes[0]).state, MS_SHARE_HOST);
  for (int i = 1; i < count; i++) {
    assert_int_equal(node_info(&self->nodes[i]).state, MS_SHARE_CLIENT);
  }
  return self;
}

static inline node *host_of(world *self) {
  node *found = NULL;
  for (int i = 0; i < NODES_MAX; i++) {
    node *at = &self->nodes[i];
    if (!at->alive || at->hung || node_info(at).state != MS_SHARE_HOST) continue;
    assert_null(found);
    found = at;
  }
  return found;
}

/* Breaks the link between a client and the host; what was sent is lost. */
static inline void break_link(world *all, const node *client) {
  for (size_t i = 0; i < all->pipe_count; i++) {
    pipe_end *end = &all->pipes[i].ends[0], *other = &all->pipes[i].ends[1];
    if (end->node != client || !end->open) continue;
    frame *item;
    while ((item = end_pop(end, other)) != NULL) free(item);
    while ((item = end_pop(other, end)) != NULL) free(item);
    end->ended = other->ended = true;
  }
}

#endif
