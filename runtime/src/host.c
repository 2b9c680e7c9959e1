/*
 * The host's side of the links: greetings, patches, snapshots, questions, departures.
 *
 *   accepted --HELLO--> welcomed [--snapshot pieces--> complete] --> gone
 *
 * A link that does not keep to the protocol is cut and logged; nobody else notices. A peer whose link
 * is gone stays a member until its member lock is free, which is looked at when a link ends and when the
 * host takes over, at intervals that grow until they are those of the ticks. One that holds none (it is "linked") has the
 * host's timeout to come back, unless it said BYE. That is counted in ticks of the host: a host that was
 * stopped itself blames nobody.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "replica_state.h"

enum {
  LINKS_FIRST = 8,
  ABSENT_FIRST_NS = 1000000 /* between the first looks at members without a link */
};

/* -------------------------------------------------------------------- links */

static size_t links_place(const msi_replica *self, msi_link_id id) {
  size_t low = 0, high = self->link_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (self->links[middle].id < id) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

msi_host_link *msi_host_find(msi_replica *self, msi_link_id id) {
  size_t at = links_place(self, id);
  return at < self->link_count && self->links[at].id == id ? &self->links[at] : NULL;
}

static bool links_reserve(msi_replica *self) {
  if (self->link_count < self->link_capacity) return true;
  size_t capacity = self->link_capacity == 0 ? LINKS_FIRST : self->link_capacity * 2;
  msi_host_link *links =
      msi_alloc_resize(self->alloc, self->links, self->link_capacity * sizeof *links,
                       capacity * sizeof *links);
  if (links == NULL) return false;
  self->links = links;
  self->link_capacity = capacity;
  return true;
}

void msi_host_accept(msi_replica *self, uint64_t now, msi_link_id id) {
  if (self->link_count >= MSI_LINKS_MAX || !links_reserve(self)) {
    msi_replica_log(self, MS_LOG_WARNING, "no room for another link");
    self->port.cut(self->port.ud, id, false, "no room for another link");
    return;
  }
  size_t at = links_place(self, id);
  memmove(&self->links[at + 1], &self->links[at],
          (self->link_count - at) * sizeof *self->links);
  self->link_count++;
  self->links[at] = (msi_host_link){.id = id, .since = now};
}

/* Forgets the link, not its peer. */
static void links_remove(msi_replica *self, msi_host_link *link) {
  size_t at = (size_t)(link - self->links);
  msi_member *member =
      link->peer != 0 ? msi_members_find(&self->members, link->peer) : NULL;
  if (member != NULL && member->link == link->id) member->link = 0;
  msi_replica_end_snapshot(self, link);
  self->link_count--;
  memmove(link, link + 1, (self->link_count - at) * sizeof *link);
}

static void host_cut(msi_replica *self, msi_link_id id, const char *reason) {
  msi_host_link *link = msi_host_find(self, id);
  if (link == NULL) return;
  msi_replica_log(self, MS_LOG_WARNING, "link %" PRIu32 " of peer %" PRIx64 " cut: %s",
                  id, link->peer, reason);
  self->port.cut(self->port.ud, id, false, reason);
  links_remove(self, link);
}

void msi_host_cut_all(msi_replica *self, bool goodbye, const char *reason) {
  msi_buffer *out = msi_replica_scratch(self);
  bool packed = goodbye && msi_message_begin(out, MSI_BYE, 0) == MS_OK;
  for (size_t i = 0; i < self->link_count; i++) {
    msi_host_link *link = &self->links[i];
    if (packed) self->port.send(self->port.ud, link->id, out->data, out->length);
    self->port.cut(self->port.ud, link->id, goodbye, reason);
    msi_replica_end_snapshot(self, link);
  }
  self->link_count = 0;
  for (size_t i = 0; i < self->members.count; i++) {
    self->members.items[i].link = 0;
    self->members.items[i].absent_ticks = 0;
    self->members.items[i].quiet_ticks = 0;
  }
}

void msi_host_send_all(msi_replica *self, const uint8_t *data, size_t bytes) {
  for (size_t i = 0; i < self->link_count; i++) {
    if (self->links[i].peer != 0) {
      self->port.send(self->port.ud, self->links[i].id, data, bytes);
    }
  }
}

/* ---------------------------------------------------------------- greetings */

static void host_refuse(msi_replica *self, msi_link_id id, msi_refuse_code code,
                        const char *message) {
  msi_host_link *link = msi_host_find(self, id);
  msi_buffer *out = msi_replica_scratch(self);
  bool is_usual = code == MSI_REFUSE_GROUP || code == MSI_REFUSE_RETIRED;
  msi_replica_log(self, is_usual ? MS_LOG_INFO : MS_LOG_WARNING,
                  "link %" PRIu32 " refused: %s", id, message);
  if (msi_refuse_pack(out, code, message) == MS_OK) {
    self->port.send(self->port.ud, id, out->data, out->length);
  }
  self->port.cut(self->port.ud, id, true, message);
  links_remove(self, link);
}

static ms_status host_send_tail(msi_replica *self, msi_link_id id, uint64_t after) {
  for (uint64_t version = after + 1; version <= self->version; version++) {
    const uint8_t *data;
    size_t bytes;
    if (!msi_tail_get(&self->tail, version, &data, &bytes)) return MS_ENOENT;
    self->port.send(self->port.ud, id, data, bytes);
  }
  return MS_OK;
}

static ms_status host_begin_snapshot(msi_replica *self, msi_host_link *link) {
  msi_buffer *out = msi_replica_scratch(self);
  msi_snapshot_source source = {self->root,  self->desk,     self->version,
                                self->clock, &self->members, self->conflicts};
  ms_status st = msi_sender_new(self->alloc, &source, out, &link->sender);
  if (st != MS_OK) return st;
  self->port.send(self->port.ud, link->id, out->data, out->length);
  return MS_OK;
}

/* The peer is a member: tell it where it stands and give it what it lacks. */
static void host_welcome(msi_replica *self, msi_link_id id, const msi_hello *hello) {
  msi_host_link *link = msi_host_find(self, id);
  msi_member *member = msi_members_find(&self->members, hello->peer);
  bool catch_up = hello->complete && msi_tail_covers(&self->tail, hello->version);
  msi_welcome welcome = {MSI_PROTOCOL,  self->group,     self->peer, self->term,
                         self->version, member->decided, catch_up};
  msi_buffer *out = msi_replica_scratch(self);
  ms_status st = msi_welcome_pack(out, &welcome);
  if (st == MS_OK) {
    self->port.send(self->port.ud, id, out->data, out->length);
    st = catch_up ? host_send_tail(self, id, hello->version)
                  : host_begin_snapshot(self, link);
  }
  if (st != MS_OK) {
    host_cut(self, id, ms_status_text(st));
    return;
  }
  link->peer = hello->peer;
  member->link = id;
  member->absent_ticks = member->quiet_ticks = 0;
  msi_host_pump(self, id);
}

/* True when the greeting may go on: it is about this group, by somebody who may be here. */
static bool hello_is_fit(msi_replica *self, msi_link_id id, const msi_hello *hello) {
  const msi_member *member = msi_members_find(&self->members, hello->peer);
  if (hello->group != self->group) {
    host_refuse(self, id, MSI_REFUSE_GROUP, "another group");
    return false;
  }
  if (hello->peer == self->peer) {
    host_cut(self, id, "HELLO under the host's own id");
    return false;
  }
  if (hello->complete && hello->version > self->version) {
    host_cut(self, id, "HELLO from a later version than this host's");
    return false;
  }
  if (hello->known && member == NULL) {
    host_refuse(self, id, MSI_REFUSE_RETIRED, "retired");
    return false;
  }
  if (member == NULL && !hello->member.linked &&
      !self->port.member_alive(self->port.ud, hello->peer)) {
    /* A greeting that outlived its peer: admitting it would bring back an id that has left. That of a
     * linked peer does no harm: nothing follows it but the end of its link. */
    host_cut(self, id, "HELLO of a peer that is gone");
    return false;
  }
  return true;
}

/* Is there room for one more that writes? */
static bool writers_have_room(const msi_replica *self) {
  uint64_t most = msi_desk_writers(self->desk), count = 0;
  for (size_t i = 0; most > 0 && i < self->members.count; i++) {
    if (!self->members.items[i].info.readonly) count++;
  }
  return most == 0 || count < most;
}

static void host_hello(msi_replica *self, uint64_t now, msi_link_id id, msi_reader *in,
                       size_t fields) {
  msi_hello hello;
  ms_status st = msi_hello_unpack(in, fields, &hello);
  if (st == MS_EVERSION) {
    char line[96];
    (void)snprintf(line, sizeof line,
                   "version %" PRIu64 " of the protocol, this host speaks version %d",
                   hello.protocol, MSI_PROTOCOL);
    host_refuse(self, id, MSI_REFUSE_VERSION, line);
    return;
  }
  if (st != MS_OK) {
    host_cut(self, id, "malformed HELLO");
    return;
  }
  if (!hello_is_fit(self, id, &hello)) return;
  msi_member *member = msi_members_find(&self->members, hello.peer);
  if (member == NULL && !hello.member.readonly && !writers_have_room(self)) {
    host_refuse(self, id, MSI_REFUSE_WRITERS, "no further peer may write");
    return;
  }
  if (member == NULL) {
    st = msi_host_join(self, now, hello.peer, hello.number, &hello.member);
    if (st == MS_ENOHOST) return;
    if (st == MS_ELIMIT && self->members.count >= MSI_MEMBERS_MAX) {
      host_refuse(self, id, MSI_REFUSE_FULL, "too many peers");
      return;
    }
    if (st != MS_OK) {
      host_cut(self, id, ms_status_text(st));
      return;
    }
  } else if (member->link != 0) {
    host_cut(self, member->link, "greeted anew through another link");
  }
  host_welcome(self, id, &hello);
}

/* ------------------------------------------------------------------ patches */

/* NULL: it may be decided. */
static const char *patch_fault(const msi_replica *self, uint64_t now,
                               const msi_patch *patch, const msi_member *member) {
  if (patch->number != member->decided + 1) return "PATCH after a gap";
  if (patch->base > self->version) return "PATCH based on a version to come";
  if (patch->base < member->base)
    return "PATCH based on an older version than the last one";
  if (patch->timestamp > now && patch->timestamp - now > MSI_SKEW_NS) {
    return "PATCH with a timestamp far ahead";
  }
  return NULL;
}

static void host_patch(msi_replica *self, uint64_t now, msi_link_id id, uint64_t peer,
                       msi_reader *in, size_t fields) {
  ms_error error = {MS_OK, ""};
  msi_patch patch;
  ms_status st = msi_patch_unpack(in, fields, self->alloc, &patch, &error);
  if (st != MS_OK) {
    msi_replica_log(self, MS_LOG_WARNING, "malformed PATCH: %s", error.message);
    host_cut(self, id, st == MS_ENOMEM ? ms_status_text(st) : "malformed PATCH");
    return;
  }
  const msi_member *member = msi_members_find(&self->members, peer);
  MSI_ASSERT(member != NULL);
  patch.origin = peer;
  if (patch.number > member->decided) {
    const char *fault = patch_fault(self, now, &patch, member);
    if (fault != NULL) {
      host_cut(self, id, fault);
    } else {
      st = msi_host_decide(self, now, &patch, NULL, NULL);
      /* The peer sends it again once it is back. */
      if (st != MS_OK && st != MS_ENOHOST) host_cut(self, id, ms_status_text(st));
    }
  }
  msi_patch_release(&patch);
}

static void host_sync(msi_replica *self, uint64_t now, msi_link_id id, msi_reader *in,
                      size_t fields) {
  uint64_t token;
  if (msi_sync_unpack(in, fields, &token) != MS_OK) {
    host_cut(self, id, "malformed SYNC");
    return;
  }
  if (!msi_host_is_current(self, now)) return; /* the next host is asked again */
  msi_buffer *out = msi_replica_scratch(self);
  if (msi_synced_pack(out, token, self->version) != MS_OK) {
    host_cut(self, id, ms_status_text(MS_ENOMEM));
    return;
  }
  self->port.send(self->port.ud, id, out->data, out->length);
}

static void host_ready(msi_replica *self, msi_link_id id, msi_reader *in, size_t fields) {
  uint64_t version;
  if (msi_ready_unpack(in, fields, &version) != MS_OK || version > self->version) {
    host_cut(self, id, "malformed READY");
  } else {
    msi_host_find(self, id)->caught_up = true;
  }
}

static void host_ping(msi_replica *self, msi_link_id id, const msi_reader *in,
                      size_t fields) {
  if (fields != 0 || in->at != in->end) host_cut(self, id, "malformed PING");
}

/* A member lock says when its holder is gone; a linked peer has only its word. */
static void host_bye(msi_replica *self, uint64_t now, msi_host_link *link) {
  uint64_t peer = link->peer;
  const msi_member *member = msi_members_find(&self->members, peer);
  MSI_ASSERT(member != NULL);
  bool is_linked = member->info.linked;
  self->port.cut(self->port.ud, link->id, true, "the peer left");
  msi_replica_log(self, MS_LOG_INFO, "peer %" PRIx64 " left", peer);
  links_remove(self, link);
  if (!is_linked) {
    msi_host_expect_gone(self, now);
    return;
  }
  ms_status st = msi_host_retire(self, now, peer);
  (void)st; /* should it fail, ticks retire it */
}

/* ------------------------------------------------------------------- events */

void msi_host_message(msi_replica *self, uint64_t now, msi_link_id id,
                      const uint8_t *data, size_t bytes) {
  msi_host_link *link = msi_host_find(self, id);
  if (link == NULL) return;
  msi_reader in;
  uint64_t number;
  size_t fields;
  msi_member *member =
      link->peer == 0 ? NULL : msi_members_find(&self->members, link->peer);
  if (member != NULL) member->quiet_ticks = 0;
  if (msi_message_open(data, bytes, &in, &number, &fields) != MS_OK) {
    host_cut(self, id, "a frame that is no message");
  } else if (link->peer == 0) {
    if (number == MSI_HELLO) {
      host_hello(self, now, id, &in, fields);
    } else {
      host_cut(self, id, "a message before HELLO");
    }
  } else if (number == MSI_PATCH) {
    host_patch(self, now, id, link->peer, &in, fields);
  } else if (number == MSI_SYNC) {
    host_sync(self, now, id, &in, fields);
  } else if (number == MSI_READY) {
    host_ready(self, id, &in, fields);
  } else if (number == MSI_PING) {
    host_ping(self, id, &in, fields);
  } else if (number == MSI_BYE && fields == 0) {
    host_bye(self, now, link);
  } else {
    msi_replica_log(self, MS_LOG_WARNING, "unexpected %s from peer %" PRIx64,
                    msi_message_name(number), link->peer);
    host_cut(self, id, "an unexpected message");
  }
}

void msi_host_pump(msi_replica *self, msi_link_id id) {
  msi_host_link *link = msi_host_find(self, id);
  while (link != NULL && link->sender != NULL && self->port.room(self->port.ud, id) > 0) {
    bool done = false;
    msi_buffer *out = msi_replica_scratch(self);
    ms_status st = msi_sender_step(link->sender, out, &done);
    if (st == MS_OK && out->length > MSI_FRAME_MAX) st = MS_ELIMIT;
    if (st != MS_OK) {
      host_cut(self, id, ms_status_text(st));
      return;
    }
    self->port.send(self->port.ud, id, out->data, out->length);
    if (done) msi_replica_end_snapshot(self, link);
  }
}

void msi_host_down(msi_replica *self, uint64_t now, msi_link_id id) {
  msi_host_link *link = msi_host_find(self, id);
  if (link == NULL) return;
  uint64_t peer = link->peer;
  links_remove(self, link);
  if (peer == 0) return;
  const msi_member *member = msi_members_find(&self->members, peer);
  if (member == NULL || member->link != 0) return;
  msi_host_expect_gone(self, now);
  msi_host_look(self, now);
}

/* -------------------------------------------------------------------- ticks */

typedef bool (*gone_fn)(const msi_replica *self, msi_member *member);

/* Its process holds a member lock while it lives. */
static bool is_locking(const msi_replica *self, const msi_member *member) {
  return member->link == 0 && member->id != self->peer && !member->info.linked;
}

static bool has_ended(const msi_replica *self, msi_member *member) {
  return is_locking(self, member) && !self->port.member_alive(self->port.ud, member->id);
}

/* Asked once a tick. */
static bool is_missed(const msi_replica *self, msi_member *member) {
  if (member->link != 0 || member->id == self->peer) return false;
  if (!member->info.linked) return has_ended(self, member);
  return MSI_TICK_NS * member->absent_ticks++ >= self->config.host_timeout_ns;
}

/* Members without a link whose process is gone. */
static void host_retire(msi_replica *self, uint64_t now, gone_fn member_is_gone) {
  size_t i = 0;
  while (self->state == MS_SHARE_HOST && i < self->members.count) {
    msi_member *member = &self->members.items[i];
    uint64_t id = member->id;
    if (!member_is_gone(self, member)) {
      i++;
    } else if (msi_host_retire(self, now, id) != MS_OK) {
      return;
    }
  }
}

void msi_host_expect_gone(msi_replica *self, uint64_t now) {
  self->absent_ns = ABSENT_FIRST_NS;
  self->absent_at = now;
}

void msi_host_look(msi_replica *self, uint64_t now) {
  bool are_left = false;
  self->absent_at = UINT64_MAX;
  host_retire(self, now, has_ended);
  if (self->state != MS_SHARE_HOST || self->absent_ns > MSI_TICK_NS) return;
  for (size_t i = 0; !are_left && i < self->members.count; i++)
    are_left = is_locking(self, &self->members.items[i]);
  if (!are_left) return;
  self->absent_at = now + self->absent_ns;
  self->absent_ns *= 2;
}

/* The term of the oldest log that a hung candidate may still need. Terms whose candidates did not get so
 * far as a ready log are no part of the history and do not count. */
static uint64_t host_oldest_kept(const msi_replica *self) {
  uint64_t at = self->term;
  for (unsigned i = 0; i < MSI_LOGS_KEPT; i++) {
    msi_log_info info = {false, false, 0, 0};
    self->port.log_info(self->port.ud, at, &info);
    if (!info.exists || !info.ready || info.previous >= at) return at;
    at = info.previous;
  }
  return at;
}

/* Older logs go once every candidate has said that it has what stands in them. */
static void host_sweep(msi_replica *self) {
  bool needed = false;
  for (size_t i = 0; !needed && i < self->members.count; i++) {
    const msi_member *member = &self->members.items[i];
    if (member->id == self->peer || !member->info.can_host) continue;
    const msi_host_link *link =
        member->link != 0 ? msi_host_find(self, member->link) : NULL;
    needed = link == NULL || !link->caught_up;
  }
  uint64_t below = needed ? host_oldest_kept(self) : self->term;
  if (below <= self->swept) return;
  self->swept = below;
  self->port.sweep(self->port.ud, below);
}

void msi_host_tick(msi_replica *self, uint64_t now, bool punctual) {
  if (!msi_host_is_current(self, now)) return;
  self->port.beat(self->port.ud);
  for (size_t i = self->link_count; i-- > 0;) {
    const msi_host_link *link = &self->links[i];
    if (link->peer == 0 && now - link->since >= self->config.host_timeout_ns) {
      host_cut(self, link->id, "no HELLO in time");
    } else {
      msi_host_pump(self, link->id);
    }
  }
  host_retire(self, now, is_missed);
  if (self->state == MS_SHARE_HOST) msi_house_tick(self, now, punctual);
  msi_host_drain(self, now);
  if (self->state == MS_SHARE_HOST) host_sweep(self);
}
