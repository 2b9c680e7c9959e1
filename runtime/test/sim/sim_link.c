/*
 * Links between processes, as Unix sockets are: each direction has the sender's own queue, which dies
 * with it, and the kernel's bounded buffer, which the receiver reads to its end. Listeners have a
 * backlog: who dials a host that is not ready yet waits there, who dials a dead one gets nothing, and
 * who dialled one that died later reads the end of file.
 */
#include <stdlib.h>
#include <string.h>

#include "message.h"
#include "sim.h"

/* ----- queues of frames */

static size_t queue_count(const sim_queue *queue) { return queue->end - queue->first; }

static void queue_push(sim_queue *queue, const uint8_t *data, size_t bytes) {
  queue->items =
      sim_grow(queue->items, &queue->capacity, queue->end, sizeof *queue->items);
  uint8_t *copy = malloc(bytes + 1);
  if (copy == NULL) abort();
  memcpy(copy, data, bytes);
  queue->items[queue->end++] = (sim_frame){copy, bytes};
  queue->bytes += bytes;
}

/* The caller frees the frame's data. */
static sim_frame queue_pop(sim_queue *queue) {
  sim_frame frame = queue->items[queue->first++];
  queue->bytes -= frame.bytes;
  if (queue->first == queue->end) queue->first = queue->end = 0;
  return frame;
}

static void queue_clear(sim_queue *queue) {
  while (queue_count(queue) > 0) free(queue_pop(queue).data);
}

static void queue_fini(sim_queue *queue) {
  queue_clear(queue);
  free(queue->items);
  *queue = (sim_queue){0};
}

/* ----- ends */

static sim_end *end_find(sim_proc *proc, msi_link_id link, sim_conn **conn) {
  sim_world *sim = proc->sim;
  for (size_t i = sim->conn_count; i-- > 0;) {
    for (int side = 0; side < 2; side++) {
      sim_end *end = &sim->conns[i]->ends[side];
      if (end->proc != proc || end->id != link || end->closed) continue;
      *conn = sim->conns[i];
      return end;
    }
  }
  return NULL;
}

static int side_of(const sim_conn *conn, const sim_end *end) {
  return end == &conn->ends[1];
}
static sim_end *other_of(sim_conn *conn, const sim_end *end) {
  return &conn->ends[1 - side_of(conn, end)];
}

static void read_schedule(sim_world *sim, sim_conn *conn, sim_end *end) {
  if (end->read_due || end->closed || end->proc == NULL) return;
  if (queue_count(&end->kernel) == 0 && !end->eof) return;
  end->read_due = true;
  sim_schedule(sim, 1000 + sim_delay(sim, sim->weather.link_delay_ns), SIM_READ,
               conn->index, (uint64_t)side_of(conn, end));
}

/* What a link with a planted bug makes of the frame that it got last. */
static void link_spoil(sim_proc *sender, sim_queue *queue) {
  sim_bug bug = sender->sim->options.bug;
  if (queue_count(queue) == 0) return;
  sim_frame *last = &queue->items[queue->end - 1];
  if (bug == SIM_BUG_LINK_TWICE && sim_happens(sender, SIM_AT_BUG, 10000)) {
    queue_push(queue, last->data, last->bytes);
  } else if (bug == SIM_BUG_LINK_LOSS && queue_count(queue) > 1 &&
             sim_happens(sender, SIM_AT_BUG, 10000)) {
    queue->bytes -= last->bytes;
    free(last->data);
    queue->end--;
  } else if (bug == SIM_BUG_LINK_SWAP && queue_count(queue) > 1 &&
             sim_happens(sender, SIM_AT_BUG, 50000)) {
    sim_frame swap = last[0];
    last[0] = last[-1];
    last[-1] = swap;
  }
}

/* Moves what fits (`all`: everything) from the outbox into the kernel's buffer. */
static void flush(sim_world *sim, sim_conn *conn, sim_end *end, bool all) {
  sim_end *other = other_of(conn, end);
  while (queue_count(&end->outbox) > 0) {
    const sim_frame *next = &end->outbox.items[end->outbox.first];
    bool fits = other->kernel.bytes == 0 ||
                other->kernel.bytes + next->bytes <= sim->weather.kernel_bytes;
    if (!fits && !all) break;
    sim_frame frame = queue_pop(&end->outbox);
    if (!other->closed) {
      queue_push(&other->kernel, frame.data, frame.bytes);
      if (end->proc != NULL) link_spoil(end->proc, &other->kernel);
    }
    free(frame.data);
  }
  read_schedule(sim, conn, other);
  if (end->was_full && end->proc != NULL && !end->closed &&
      end->outbox.bytes < sim->weather.room_bytes) {
    end->was_full = false;
    sim_schedule(sim, 1000, SIM_ROOM, conn->index, (uint64_t)side_of(conn, end));
  }
}

static void flush_schedule(sim_world *sim, sim_conn *conn, sim_end *end) {
  if (end->flush_due || end->closed || queue_count(&end->outbox) == 0) return;
  end->flush_due = true;
  sim_schedule(sim, 1000 + sim_delay(sim, sim->weather.link_delay_ns / 8), SIM_FLUSH,
               conn->index, (uint64_t)side_of(conn, end));
}

static void end_close(sim_world *sim, sim_conn *conn, sim_end *end, bool all) {
  sim_end *other = other_of(conn, end);
  if (end->closed) return;
  if (all) flush(sim, conn, end, true);
  end->closed = true;
  queue_clear(&end->outbox);
  queue_clear(&end->kernel);
  other->eof = true;
  if (sim->options.bug == SIM_BUG_EOF_EARLY) queue_clear(&other->kernel);
  read_schedule(sim, conn, other);
}

/* ----- for the port */

void sim_link_send(sim_proc *proc, msi_link_id link, const uint8_t *data, size_t bytes) {
  sim_world *sim = proc->sim;
  sim_conn *conn = NULL;
  sim_end *end = end_find(proc, link, &conn);
  if (end == NULL || end->broken) return;
  queue_push(&end->outbox, data, bytes);
  if (end->outbox.bytes >= sim->weather.room_bytes) end->was_full = true;
  if (end->outbox.bytes > sim->weather.outbox_bytes && queue_count(&end->outbox) > 1) {
    end->broken = true;
    sim->report->overflows++;
    sim_tell(sim, proc, "has no more room on a link, and cuts it");
    sim_note(sim, proc, "overflows", link, 0);
    sim_schedule(sim, 1000, SIM_BROKEN, conn->index, (uint64_t)side_of(conn, end));
    return;
  }
  if (sim_chance(sim, 500000)) flush(sim, conn, end, false);
  flush_schedule(sim, conn, end);
}

size_t sim_link_room(sim_proc *proc, msi_link_id link) {
  sim_conn *conn = NULL;
  sim_end *end = end_find(proc, link, &conn);
  if (end == NULL) return 0;
  size_t room = proc->sim->weather.room_bytes;
  if (end->outbox.bytes >= room) end->was_full = true;
  return end->outbox.bytes < room ? room - end->outbox.bytes : 0;
}

void sim_link_cut(sim_proc *proc, msi_link_id link, bool flush_first) {
  sim_conn *conn = NULL;
  sim_end *end = end_find(proc, link, &conn);
  if (end != NULL) end_close(proc->sim, conn, end, flush_first);
}

void sim_link_dial(sim_proc *proc, uint64_t term) {
  sim_world *sim = proc->sim;
  if (proc->dialling) sim_fail(sim, "peer %d dials twice at once", proc->index);
  proc->dialling = true;
  sim_schedule(sim, 1000 + sim_delay(sim, sim->weather.link_delay_ns), SIM_DIALLED,
               (uint64_t)proc->index, term);
}

void sim_link_end_all(sim_proc *proc, bool flush_first) {
  sim_world *sim = proc->sim;
  for (size_t i = 0; i < sim->conn_count; i++) {
    for (int side = 0; side < 2; side++) {
      sim_end *end = &sim->conns[i]->ends[side];
      if (end->proc == proc) end_close(sim, sim->conns[i], end, flush_first);
    }
  }
  sim_listener_close(proc, 0);
}

bool sim_link_choose(sim_world *sim, sim_decision *out) {
  if (sim->conn_count == 0) return false;
  const sim_conn *conn = sim->conns[sim_random_below(&sim->random, sim->conn_count)];
  out->effect = SIM_EFFECT_LINK_BREAKS;
  out->proc = conn->name >> 32;
  out->b = conn->name & UINT32_MAX;
  out->ns = sim_random_below(&sim->random, 2);
  return true;
}

bool sim_link_break(sim_world *sim, const sim_decision *what) {
  sim_conn *conn = NULL;
  for (size_t i = 0; i < sim->conn_count; i++) {
    if (sim->conns[i]->name == (what->proc << 32 | what->b)) conn = sim->conns[i];
  }
  if (conn == NULL) return false;
  sim_end *end = &conn->ends[what->ns & 1];
  if (end->closed || end->proc == NULL || end->broken) return false;
  sim_note(sim, end->proc, "link breaks", end->id, 0);
  sim_tell(sim, end->proc, "finds its link %s broken",
           end == conn->ends ? "to the host" : "to a client");
  end->broken = true;
  sim_schedule(sim, 1000, SIM_BROKEN, conn->index, (uint64_t)side_of(conn, end));
  return true;
}

void sim_link_overwritten(sim_proc *proc, uint64_t version) {
  sim_world *sim = proc->sim;
  for (size_t i = 0; i < sim->conn_count; i++) {
    for (int side = 0; side < 2; side++) {
      sim_end *end = &sim->conns[i]->ends[side];
      if (end->proc != proc || end->closed || end->broken) continue;
      for (size_t k = end->outbox.first; k < end->outbox.end; k++) {
        const sim_frame *frame = &end->outbox.items[k];
        msi_reader in;
        uint64_t number = 0, theirs = 0;
        size_t fields = 0;
        if (msi_message_open(frame->data, frame->bytes, &in, &number, &fields) != MS_OK ||
            number != MSI_ENTRY || msi_unpack_uint(&in, &theirs) != MS_OK ||
            theirs > version) {
          continue;
        }
        end->broken = true;
        sim_note(sim, proc, "is too far ahead of link", end->id, version);
        sim_schedule(sim, 1000, SIM_BROKEN, sim->conns[i]->index, (uint64_t)side);
        break;
      }
    }
  }
}

/* ----- listeners */

size_t sim_listener_open(sim_proc *proc, uint64_t term) {
  sim_world *sim = proc->sim;
  for (size_t i = 0; i < sim->listener_count;
       i++) { /* a leftover of that name is replaced */
    if (sim->listeners[i].term == term) sim->listeners[i].has_path = false;
  }
  sim->listeners = sim_grow(sim->listeners, &sim->listener_capacity, sim->listener_count,
                            sizeof *sim->listeners);
  sim->listeners[sim->listener_count] =
      (sim_listener){.proc = proc, .term = term, .has_path = true};
  return sim->listener_count++;
}

static void accept_schedule(sim_world *sim, const sim_conn *conn) {
  if (sim->options.bug == SIM_BUG_ACCEPT_NEVER) return;
  sim_schedule(sim, 1000 + sim_delay(sim, sim->weather.link_delay_ns), SIM_ACCEPT,
               conn->index, 0);
}

void sim_listener_ready(sim_proc *proc, uint64_t term) {
  sim_world *sim = proc->sim;
  for (size_t i = 0; i < sim->listener_count; i++) {
    sim_listener *listener = &sim->listeners[i];
    if (listener->proc != proc || listener->term != term || listener->accepts) continue;
    listener->accepts = true;
    for (size_t k = 0; k < sim->conn_count; k++) {
      if (sim->conns[k]->listener == i + 1) accept_schedule(sim, sim->conns[k]);
    }
  }
}

void sim_listener_close(sim_proc *proc, uint64_t term) {
  sim_world *sim = proc->sim;
  for (size_t i = 0; i < sim->listener_count; i++) {
    sim_listener *listener = &sim->listeners[i];
    if (listener->proc != proc || (term != 0 && listener->term != term)) continue;
    listener->proc = NULL;
    for (size_t k = 0; k < sim->conn_count; k++) {
      sim_conn *conn = sim->conns[k];
      if (conn->listener != i + 1) continue;
      conn->listener = 0;
      end_close(sim, conn, &conn->ends[1], false);
    }
  }
}

void sim_listener_sweep(sim_world *sim, uint64_t term) {
  for (size_t i = 0; i < sim->listener_count; i++) {
    if (sim->listeners[i].term < term) sim->listeners[i].has_path = false;
  }
}

/* ----- events */

static void dialled(sim_world *sim, sim_proc *proc, uint64_t term) {
  if (!proc->alive) return;
  proc->dialling = false;
  size_t found = sim->listener_count;
  for (size_t i = 0; i < sim->listener_count; i++) {
    const sim_listener *listener = &sim->listeners[i];
    if (listener->term == term && listener->has_path && listener->proc != NULL) found = i;
  }
  msi_link_id id = 0;
  if (found < sim->listener_count) {
    sim->conns =
        sim_grow(sim->conns, &sim->conn_capacity, sim->conn_count, sizeof *sim->conns);
    sim_conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL) abort();
    conn->index = sim->conn_count;
    sim->conns[sim->conn_count++] = conn;
    id = ++proc->last_link;
    conn->ends[0].proc = proc;
    conn->ends[0].id = id;
    conn->name = (uint64_t)proc->index << 32 | id;
    conn->listener = found + 1;
    if (sim->listeners[found].accepts) accept_schedule(sim, conn);
  }
  sim_note(sim, proc, "dialled term, link", term, id);
  if (!sim_enter(proc)) return;
  msi_replica_dialled(proc->replica, sim_clock(proc), term, id);
  sim_leave(proc);
}

static void accepted(sim_world *sim, sim_conn *conn) {
  if (conn->listener == 0) return;
  sim_proc *proc = sim->listeners[conn->listener - 1].proc;
  conn->listener = 0;
  if (proc == NULL || !proc->alive) return;
  sim_end *end = &conn->ends[1];
  end->proc = proc;
  end->id = ++proc->last_link;
  sim_note(sim, proc, "accepts link", end->id, 0);
  read_schedule(sim, conn, end);
  if (!sim_enter(proc)) return;
  msi_replica_accepted(proc->replica, sim_clock(proc), end->id);
  sim_leave(proc);
}

static void down(sim_world *sim, sim_conn *conn, sim_end *end) {
  sim_proc *proc = end->proc;
  if (queue_count(&end->kernel) > 0) proc->cut_off = true;
  end_close(sim, conn, end, false);
  sim_note(sim, proc, "link is down", end->id, 0);
  if (!sim_enter(proc)) return;
  msi_replica_link_down(proc->replica, sim_clock(proc), end->id);
  sim_leave(proc);
}

static void readable(sim_world *sim, sim_conn *conn, sim_end *end) {
  sim_proc *proc = end->proc;
  end->read_due = false;
  uint64_t most = sim_random_between(&sim->random, 1, 12);
  while (most-- > 0 && !end->closed && !end->broken && queue_count(&end->kernel) > 0) {
    sim_frame frame = queue_pop(&end->kernel);
    sim_note(sim, proc, "reads link, message", end->id,
             frame.bytes > 1 ? frame.data[1] : 0);
    sim_proc *writer = end == &conn->ends[1] ? conn->ends[0].proc : NULL;
    if (writer != NULL) writer->heard_at = sim->now;
    if (sim_enter(proc)) {
      msi_replica_message(proc->replica, sim_clock(proc), end->id, frame.data,
                          frame.bytes);
      sim_leave(proc);
    }
    free(frame.data);
    if (proc->hung_until > sim->now) break;
  }
  flush_schedule(sim, conn, other_of(conn, end));
  if (end->closed || end->broken) return;
  if (queue_count(&end->kernel) == 0 && end->eof && proc->hung_until <= sim->now) {
    down(sim, conn, end);
  } else {
    read_schedule(sim, conn, end);
  }
}

void sim_link_event(sim_world *sim, const sim_event *event) {
  if (event->kind == SIM_DIALLED) {
    dialled(sim, sim->procs[event->a], event->b);
    return;
  }
  sim_conn *conn = sim->conns[event->a];
  sim_end *end = &conn->ends[event->b];
  if (event->kind == SIM_ACCEPT) {
    accepted(sim, conn);
    return;
  }
  if (end->closed || end->proc == NULL) return;
  switch (event->kind) {
    case SIM_READ: readable(sim, conn, end); break;
    case SIM_FLUSH:
      end->flush_due = false;
      flush(sim, conn, end, false); /* what stays waits until the other side has read */
      break;
    case SIM_BROKEN: down(sim, conn, end); break;
    case SIM_ROOM:
      if (end->broken || !sim_enter(end->proc)) return;
      sim_note(sim, end->proc, "has room on link", end->id, 0);
      msi_replica_writable(end->proc->replica, sim_clock(end->proc), end->id);
      sim_leave(end->proc);
      break;
    default: break;
  }
}

void sim_link_fini(sim_world *sim) {
  for (size_t i = 0; i < sim->conn_count; i++) {
    for (int side = 0; side < 2; side++) {
      queue_fini(&sim->conns[i]->ends[side].kernel);
      queue_fini(&sim->conns[i]->ends[side].outbox);
    }
    free(sim->conns[i]);
  }
  free(sim->conns);
  free(sim->listeners);
}
