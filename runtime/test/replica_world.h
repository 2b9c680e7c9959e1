/*
 * A small scripted world for replicas: a group file, locks and logs, links that carry frames only
 * when a test says so, and what each owner was told. Tests wire two or three replicas by hand; the
 * simulator (sim/) is the place for chance.
 */
#ifndef REPLICA_WORLD_H
#define REPLICA_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "failing_alloc.h"
#include "message.h"
#include "replica.h"

enum {
  NODES_MAX = 4,
  PIPES_MAX = 4096,
  TERMS_MAX = 64,
  TOLD_MAX = 4096,
  LOG_LINES_MAX = 256
};
#define SECOND UINT64_C(1000000000)

typedef struct world world;
typedef struct node node;

typedef struct frame {
  struct frame *next;
  size_t bytes;
  uint8_t data[];
} frame;

/* One end of a link. node NULL: a test plays this end, or nobody does. */
typedef struct pipe_end {
  node *node;
  msi_link_id id;
  bool open;
  bool ended;           /* the other end is closed: after `first` comes the end */
  frame *first, **last; /* on the way to this end */
  size_t queued;        /* bytes this end has sent that were not read yet */
  bool was_full;
} pipe_end;

typedef struct pipe {
  pipe_end ends[2]; /* dialler, host */
  uint64_t backlog; /* waits for this term's host to accept; 0: accepted */
} pipe;

typedef struct record {
  uint64_t version;
  size_t bytes;
  uint8_t *data;
} record;

typedef struct fake_log {
  bool exists, ready;
  uint64_t base, previous;
  record *records;
  size_t count, capacity;
  node *listener; /* who listens for this term */
  node *lock;     /* who holds the term's lock */
} fake_log;

typedef struct told {
  msi_delivery_kind kind;
  uint64_t version, number, token, origin;
  msi_entry_kind entry_kind;
  ms_status status;
  char message[MS_MESSAGE_MAX];
  size_t rejected_count;
  uint64_t rejected[16];
} told;

struct node {
  world *world;
  int index;
  bool alive, enrolled, complete;
  bool hung; /* alive, but nothing happens in it */
  bool lost; /* its group is found nowhere, until it enrols again */
  uint64_t member;
  msi_replica *replica;
  uint64_t dialling; /* the dial that is not answered yet */
  msi_link_id link_last;
  told *told; /* TOLD_MAX */
  size_t told_count;
  char *lines[LOG_LINES_MAX];
  size_t line_count;
  /* faults */
  void (*in_commit)(node *self);   /* between storing and loading the term; once */
  void (*after_ready)(node *self); /* after mark_ready; once */
  bool disk_full;
};

struct world {
  failing_alloc memory;
  uint64_t now, group, term, heartbeat, random;
  bool founded;
  size_t room; /* of port.room */
  node nodes[NODES_MAX];
  pipe pipes[PIPES_MAX];
  size_t pipe_count;
  uint64_t stranger;  /* an id that a test plays: its member lock is held */
  uint64_t stub_term; /* a test plays the host of this term, ... */
  pipe *stub;         /* ... through the link that was dialled last */
  fake_log logs[TERMS_MAX];
};

/* ----- pipes */

static inline pipe_end *world_end(world *self, const node *owner, msi_link_id id,
                                  pipe_end **other) {
  *other = NULL;
  for (size_t i = 0; i < self->pipe_count; i++) {
    for (int side = 0; side < 2; side++) {
      pipe_end *end = &self->pipes[i].ends[side];
      if (end->node == owner && end->id == id && end->open) {
        *other = &self->pipes[i].ends[1 - side];
        return end;
      }
    }
  }
  return NULL;
}

static inline void end_push(pipe_end *from, pipe_end *to, const uint8_t *data,
                            size_t bytes) {
  if (!to->open) return;
  frame *item = malloc(sizeof *item + bytes);
  assert_non_null(item);
  item->next = NULL;
  item->bytes = bytes;
  memcpy(item->data, data, bytes);
  *to->last = item;
  to->last = &item->next;
  from->queued += bytes;
}

static inline frame *end_pop(pipe_end *end, pipe_end *from) {
  frame *item = end->first;
  if (item == NULL) return NULL;
  end->first = item->next;
  if (end->first == NULL) end->last = &end->first;
  from->queued -= item->bytes;
  return item;
}

static inline void end_close(pipe_end *end, pipe_end *other) {
  frame *item;
  end->open = false;
  while ((item = end_pop(end, other)) != NULL) free(item);
  other->ended = true;
}

static inline pipe *world_pipe(world *self) {
  assert_true(self->pipe_count < PIPES_MAX);
  pipe *made = &self->pipes[self->pipe_count++];
  for (int side = 0; side < 2; side++) {
    made->ends[side].last = &made->ends[side].first;
    made->ends[side].open = true;
  }
  return made;
}

/* ----- the port */

static inline void fake_send(void *ud, msi_link_id link, const uint8_t *data,
                             size_t bytes) {
  node *self = ud;
  pipe_end *other, *end = world_end(self->world, self, link, &other);
  assert_non_null(end); /* a replica knows which links are open */
  assert_true(bytes <= MSI_FRAME_MAX);
  end_push(end, other, data, bytes);
}

static inline size_t fake_room(void *ud, msi_link_id link) {
  node *self = ud;
  pipe_end *other, *end = world_end(self->world, self, link, &other);
  assert_non_null(end);
  if (end->queued < self->world->room) return self->world->room - end->queued;
  end->was_full = true;
  return 0;
}

static inline void fake_cut(void *ud, msi_link_id link, bool flush, const char *reason) {
  node *self = ud;
  pipe_end *other, *end = world_end(self->world, self, link, &other);
  assert_non_null(end);
  assert_non_null(reason);
  (void)flush; /* what was sent is on its way already */
  end_close(end, other);
}

static inline void fake_dial(void *ud, uint64_t term) {
  node *self = ud;
  assert_int_equal(self->dialling, 0);
  self->dialling = term;
}

static inline bool world_has_complete(const world *self, const node *except) {
  for (int i = 0; i < NODES_MAX; i++) {
    const node *other = &self->nodes[i];
    if (other != except && other->alive && other->complete) return true;
  }
  return false;
}

/* Who waits to be accepted for a term waits in vain. */
static inline void backlog_close(world *self, uint64_t term) {
  for (size_t i = 0; i < self->pipe_count; i++) {
    pipe *at = &self->pipes[i];
    if (at->backlog != term) continue;
    at->backlog = 0;
    end_close(&at->ends[1], &at->ends[0]);
  }
}

static inline void node_release(node *self) {
  self->enrolled = self->complete = false;
  self->member = 0;
  for (int i = 0; i < TERMS_MAX; i++) {
    if (self->world->logs[i].lock == self) {
      self->world->logs[i].lock = NULL;
      backlog_close(self->world, (uint64_t)i);
    }
    if (self->world->logs[i].listener == self) self->world->logs[i].listener = NULL;
  }
}

static inline void log_clear(fake_log *log) {
  for (size_t i = 0; i < log->count; i++) free(log->records[i].data);
  free(log->records);
  log->records = NULL;
  log->count = log->capacity = 0;
  log->exists = log->ready = false;
  log->base = log->previous = 0;
}

static inline msi_enrolment fake_enrol(void *ud, uint64_t peer, bool may_found,
                                       uint64_t *group, uint64_t *term, ms_error *error) {
  node *self = ud;
  self->lost = false;
  world *all = self->world;
  node_release(self);
  bool founds = !world_has_complete(all, self);
  if (founds && !may_found) {
    *error = (ms_error){MS_ENOENT, "no such share"};
    return MSI_ENROLLED_FAILED;
  }
  if (founds) {
    all->group = ++all->random | 1;
    all->term++;
    log_clear(&all->logs[all->term]);
    all->logs[all->term].exists = true;
    all->logs[all->term].lock = self;
    self->complete = true;
  }
  self->enrolled = true;
  self->member = peer;
  *group = all->group;
  *term = all->term;
  return founds ? MSI_ENROLLED_FOUNDED : MSI_ENROLLED_JOINED;
}

static inline bool fake_mark_complete(void *ud) {
  node *self = ud;
  assert_true(self->enrolled);
  self->complete = true;
  return true;
}
static inline uint64_t fake_term(void *ud) {
  const node *self = ud;
  return self->lost ? 0 : self->world->term;
}
static inline bool fake_term_lock_free(void *ud, uint64_t term) {
  node *self = ud;
  node *holder = self->world->logs[term].lock;
  return holder == NULL || holder == self;
}
static inline bool fake_take_term_lock(void *ud, uint64_t term) {
  node *self = ud;
  if (!fake_term_lock_free(ud, term)) return false;
  self->world->logs[term].lock = self;
  return true;
}
static inline void fake_drop_term_lock(void *ud, uint64_t term) {
  node *self = ud;
  if (self->world->logs[term].lock == self) self->world->logs[term].lock = NULL;
}
static inline bool fake_member_alive(void *ud, uint64_t peer) {
  node *self = ud;
  for (int i = 0; i < NODES_MAX; i++) {
    const node *other = &self->world->nodes[i];
    if (other != self && other->alive && other->member == peer) return true;
  }
  return peer == self->world->stranger;
}
static inline uint64_t fake_heartbeat(void *ud) { return ((node *)ud)->world->heartbeat; }
static inline void fake_beat(void *ud) { ((node *)ud)->world->heartbeat++; }
static inline bool fake_raise_term(void *ud, uint64_t from, uint64_t to) {
  node *self = ud;
  if (self->world->term != from) return false;
  self->world->term = to;
  return true;
}
static inline ms_status fake_prepare(void *ud, uint64_t term, ms_error *error) {
  node *self = ud;
  if (self->disk_full) return msi_fail(error, MS_ELIMIT, "no space");
  assert_true(term < TERMS_MAX);
  log_clear(&self->world->logs[term]);
  self->world->logs[term].exists = true;
  return MS_OK;
}
static inline void fake_discard(void *ud, uint64_t term) {
  node *self = ud;
  fake_log *log = &self->world->logs[term];
  if (!log->ready) log_clear(log);
  log->listener = NULL;
  backlog_close(self->world, term);
}
static inline void fake_log_info(void *ud, uint64_t term, msi_log_info *out) {
  const fake_log *log = &((node *)ud)->world->logs[term];
  *out = (msi_log_info){log->exists, log->ready, log->base, log->previous};
}
static inline bool fake_log_read(void *ud, uint64_t term, uint64_t after, msi_log_fn fn,
                                 void *fn_ud) {
  const fake_log *log = &((node *)ud)->world->logs[term];
  if (!log->exists || after < log->base) return false;
  for (size_t i = 0; i < log->count; i++) {
    const record *at = &log->records[i];
    if (at->version > after && !fn(fn_ud, at->version, at->data, at->bytes)) break;
  }
  return true;
}
static inline void fake_mark_ready(void *ud, uint64_t term, uint64_t base,
                                   uint64_t previous) {
  node *self = ud;
  self->world->logs[term].base = base;
  self->world->logs[term].previous = previous;
  self->world->logs[term].ready = true;
  self->world->logs[term].listener = self;
  void (*after)(node *) = self->after_ready;
  self->after_ready = NULL;
  if (after != NULL) after(self);
}
static inline void fake_sweep(void *ud, uint64_t term) {
  node *self = ud;
  for (uint64_t i = 0; i < term; i++) log_clear(&self->world->logs[i]);
}
static inline void log_store(fake_log *log, uint64_t version, const uint8_t *data,
                             size_t bytes) {
  if (log->count == log->capacity) {
    log->capacity = log->capacity == 0 ? 64 : log->capacity * 2;
    log->records = realloc(log->records, log->capacity * sizeof *log->records);
    assert_non_null(log->records);
  }
  uint8_t *copy = malloc(bytes);
  assert_non_null(copy);
  memcpy(copy, data, bytes);
  log->records[log->count++] = (record){version, bytes, copy};
}
static inline ms_status fake_commit(void *ud, uint64_t term, uint64_t version,
                                    const uint8_t *data, size_t bytes, bool *current) {
  node *self = ud;
  if (self->disk_full) return MS_ELIMIT;
  log_store(&self->world->logs[term], version, data, bytes);
  void (*in)(node *) = self->in_commit;
  self->in_commit = NULL;
  if (in != NULL) in(self);
  *current = self->world->term == term;
  return MS_OK;
}

static inline void fake_deliver(void *ud, const msi_delivery *delivery) {
  node *self = ud;
  assert_true(self->told_count < TOLD_MAX);
  told *item = &self->told[self->told_count++];
  memset(item, 0, sizeof *item);
  item->kind = delivery->kind;
  item->version = delivery->version;
  item->number = delivery->number;
  item->token = delivery->token;
  if (delivery->kind == MSI_DELIVER_ENTRY) {
    item->entry_kind = delivery->entry->kind;
    item->origin = delivery->entry->patch.origin;
    item->number = delivery->entry->patch.number;
    item->status = delivery->entry->refusal.status;
    memcpy(item->message, delivery->entry->refusal.message, sizeof item->message);
    assert_non_null(delivery->root);
  }
  if (delivery->kind == MSI_DELIVER_ROOT) {
    item->rejected_count = delivery->rejected_count;
    for (size_t i = 0; i < delivery->rejected_count && i < 16; i++) {
      item->rejected[i] = delivery->rejected[i];
    }
  }
  if (delivery->kind == MSI_DELIVER_FAILED) item->status = delivery->error->status;
}
static inline uint64_t fake_random(void *ud) {
  world *all = ((node *)ud)->world;
  all->random =
      all->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return all->random;
}
static inline int64_t fake_wall_ms(void *ud) {
  return (int64_t)(((node *)ud)->world->now / 1000000);
}
static inline void fake_log_line(void *ud, ms_log_level level, const char *line) {
  node *self = ud;
  (void)level;
  if (self->line_count == LOG_LINES_MAX) return;
  self->lines[self->line_count] = malloc(strlen(line) + 1);
  assert_non_null(self->lines[self->line_count]);
  strcpy(self->lines[self->line_count++], line);
}

/* ----- the world */

static inline world *world_new(void) {
  world *self = calloc(1, sizeof *self);
  assert_non_null(self);
  failing_alloc_init(&self->memory);
  self->now = 1000 * SECOND;
  self->random = 42;
  self->room = 256 << 10;
  for (int i = 0; i < NODES_MAX; i++) {
    self->nodes[i].world = self;
    self->nodes[i].index = i;
    self->nodes[i].told = calloc(TOLD_MAX, sizeof(told));
    assert_non_null(self->nodes[i].told);
  }
  return self;
}

static inline ms_status node_start_with(node *self, msi_replica_config config) {
  msi_port port = {self,
                   fake_send,
                   fake_room,
                   fake_cut,
                   fake_dial,
                   fake_enrol,
                   fake_mark_complete,
                   fake_term,
                   fake_term_lock_free,
                   fake_take_term_lock,
                   fake_drop_term_lock,
                   fake_member_alive,
                   fake_heartbeat,
                   fake_beat,
                   fake_raise_term,
                   fake_prepare,
                   fake_discard,
                   fake_log_info,
                   fake_log_read,
                   fake_mark_ready,
                   fake_sweep,
                   fake_commit,
                   fake_deliver,
                   fake_random,
                   fake_wall_ms,
                   fake_log_line,
                   NULL};
  config.alloc = &self->world->memory.alloc;
  ms_status st = msi_replica_new(&config, &port, &self->replica);
  if (st != MS_OK) return st;
  self->alive = true;
  msi_replica_start(self->replica, self->world->now);
  return MS_OK;
}

static inline msi_replica_config world_config(void) {
  return (msi_replica_config){.can_host = true,
                              .may_found = true,
                              .host_timeout_ns = 2 * SECOND,
                              .document_bytes_max = MS_DOCUMENT_MAX,
                              .patch_bytes_max = MS_PATCH_MAX,
                              .queue_max = 256,
                              .pid = 1,
                              .program = "test"};
}

static inline void node_start(node *self) {
  assert_int_equal(node_start_with(self, world_config()), MS_OK);
}

/* The process ends: what it sent is still on its way, everything else goes. */
static inline void node_kill(node *self) {
  if (!self->alive) return;
  world *all = self->world;
  self->alive = false;
  for (size_t i = 0; i < all->pipe_count; i++) {
    for (int side = 0; side < 2; side++) {
      pipe_end *end = &all->pipes[i].ends[side];
      if (end->node == self && end->open) end_close(end, &all->pipes[i].ends[1 - side]);
    }
  }
  node_release(self);
  self->dialling = 0;
  msi_replica_free(self->replica);
  self->replica = NULL;
}

/* The process ends, and what it sent does not arrive any more. */
static inline void node_kill_losing(node *self) {
  world *all = self->world;
  for (size_t i = 0; i < all->pipe_count; i++) {
    for (int side = 0; side < 2; side++) {
      pipe_end *end = &all->pipes[i].ends[side], *other = &all->pipes[i].ends[1 - side];
      frame *item;
      if (end->node != self || !end->open) continue;
      while ((item = end_pop(other, end)) != NULL) free(item);
    }
  }
  node_kill(self);
}

static inline void world_free(world *self) {
  for (int i = 0; i < NODES_MAX; i++) {
    node *at = &self->nodes[i];
    node_kill(at);
    free(at->told);
    for (size_t k = 0; k < at->line_count; k++) free(at->lines[k]);
  }
  for (size_t i = 0; i < self->pipe_count; i++) {
    for (int side = 0; side < 2; side++) {
      end_close(&self->pipes[i].ends[side], &self->pipes[i].ends[1 - side]);
    }
  }
  for (int i = 0; i < TERMS_MAX; i++) log_clear(&self->logs[i]);
  assert_true(failing_alloc_is_clean(&self->memory));
  free(self);
}

#endif
