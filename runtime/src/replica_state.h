/*
 * The inside of a replica, shared by replica.c (life, enrolment, what both roles do), client.c (the
 * link to a host, own patches), watch.c (without host), host.c (links of peers), decide.c (decisions
 * and their commitment) and takeover.c.
 *
 * Every function that may commit may find that another host has taken over: the replica is a client
 * then and has no host links any more. Loops over links or members look at `state` again after each
 * such call.
 */
#ifndef MSI_REPLICA_STATE_H
#define MSI_REPLICA_STATE_H

#include "conflict.h"
#include "desk.h"
#include "members.h"
#include "message.h"
#include "pending.h"
#include "replica.h"
#include "rule.h"
#include "snapshot.h"
#include "tail.h"

enum {
  MSI_LINKS_MAX = 4096,
  MSI_SYNCS_MAX = 4096, /* questions not answered yet */
  MSI_LOGS_KEPT = 8,    /* logs of earlier terms that a hung candidate may still need */
  MSI_TERM_WALK = 4096, /* terms a candidate looks back for logs; they may be skipped */
  MSI_LOGS_READ = 64    /* of these, at most so many with entries it lacks */
};

/* A link of a peer to this host. */
typedef struct msi_host_link {
  msi_link_id id;
  uint64_t peer;      /* 0: it has not greeted yet */
  uint64_t since;     /* when it connected */
  bool caught_up;     /* it said that it has all that was committed before its welcome */
  msi_sender *sender; /* a snapshot is under way */
} msi_host_link;

/* The link of this peer to a host. */
typedef struct msi_uplink {
  msi_link_id id; /* 0: none */
  uint64_t term;  /* of the host it was dialled for */
  uint64_t host;  /* that host, once welcomed */
  bool welcomed;  /* the host has admitted this peer; a snapshot may still be due */
  bool ready;     /* welcomed and complete: own patches may be sent */
  uint64_t since; /* when it became ready */
  uint64_t goal;  /* the host's version at the welcome */
  bool reported;  /* told the host that the goal is reached */
  uint64_t sent;  /* own number up to which patches were sent */
  msi_receiver *receiver; /* a snapshot is arriving */
} msi_uplink;

/* What a peer has seen of the group file. A tick that is late starts it anew, so that a peer that was
 * stopped itself blames nobody. */
typedef struct msi_watch {
  uint64_t term;         /* the term this is about; 0: nothing seen yet */
  uint64_t heartbeat;    /* as last seen */
  uint64_t moved_at;     /* when it was seen to have moved */
  uint64_t quiet_ns;     /* from then to the last punctual tick */
  uint64_t stall_since;  /* a candidate should have replaced the term by now; 0: none */
  uint64_t vacant_since; /* nobody hosts and nobody tries to; 0: somebody does */
  uint64_t reach;        /* candidates for term + 1 ... term + reach */
} msi_watch;

struct msi_replica {
  const ms_alloc *alloc;
  msi_port port;
  msi_replica_config config;
  ms_share_state state;
  msi_member_info self; /* as told to others */
  uint64_t peer, group, term, host;
  uint64_t submitted; /* the last own number */
  uint64_t based;     /* the last own base: bases never go down */
  bool enrolled;
  bool founding; /* a new group is ours, its first entry is not committed yet */
  bool known;    /* this id was admitted */
  bool complete; /* root is right for `version`: later entries are enough */
  bool marked;   /* the group file says so */
  bool grumbled; /* about a failed takeover in this term */

  /* Replicated state: a function of the entries up to `version`. root is NULL before the first. */
  const ms_value *root; /* retained */
  const ms_value *desk; /* retained; the empty table at first */
  uint64_t version;
  uint64_t clock; /* the last timestamp seen, own ones included */
  msi_members members;
  msi_conflicts *conflicts; /* NULL while root is */
  msi_rulebook rulebook;
  msi_tail tail;

  msi_pending pending;
  uint64_t *syncs; /* tokens not answered yet, in order */
  size_t sync_count, sync_capacity;

  msi_uplink uplink;
  uint64_t dialling; /* a dial for this term is under way; 0: none */
  bool dial_stale;   /* its result is of no use any more */
  msi_watch watch;

  msi_host_link *links; /* by id */
  size_t link_count, link_capacity;

  uint64_t swept;     /* as host: logs below this term are gone */
  uint64_t expire_at; /* as host: when to look for places that have expired */
  uint64_t absent_at; /* as host: when to look whether members without a link are gone */
  uint64_t absent_ns; /* and how long to wait for the next look */
  uint64_t tick_at, retry_at, backoff_ns;
  uint64_t reached; /* the last term whose host was a host to this peer */
  uint64_t entries, takeovers, snapshots;
  msi_buffer scratch; /* messages under construction */
};

/* ----- replica.c */
void msi_replica_log(msi_replica *self, ms_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Delivers STATE when anything of it changed. */
void msi_replica_enter(msi_replica *self, ms_share_state state, uint64_t term,
                       uint64_t host);
/* Empty scratch, without the memory of a giant message. */
msi_buffer *msi_replica_scratch(msi_replica *self);
/* Make `entry` (which fits) part of the state; root and desk are retained. Cannot fail: for a JOIN the table of
 * members has room. Delivers nothing. */
void msi_replica_install(msi_replica *self, const msi_entry *entry, const uint8_t *data,
                         size_t bytes, const ms_value *root, const ms_value *desk);
/* Drop a root, taken, that may be the last reference to a large document; NULL is accepted. */
void msi_replica_bury(msi_replica *self, const ms_value *root);
/* Free the sender of a link, if it has one. */
void msi_replica_end_snapshot(msi_replica *self, msi_host_link *link);
void msi_replica_deliver_entry(msi_replica *self, const msi_entry *entry);
/* Apply, install and deliver an entry from a host or a log. Anything but MS_OK changes nothing, except
 * that an entry which does not apply shows this state to be wrong: it is complete no more. */
MS_CHECKED ms_status msi_replica_apply(msi_replica *self, const uint8_t *data,
                                       size_t bytes, uint64_t term_max, ms_error *error);
/* Tell the owner that own patches will never be settled otherwise. */
void msi_replica_deliver_unknown(msi_replica *self);
void msi_replica_enrol(msi_replica *self, uint64_t now);
/* Forget the group: pending patches settle as unknown; join again from nothing. */
void msi_replica_rejoin(msi_replica *self, uint64_t now, const char *reason);
/* WAITING or JOINING. */
ms_share_state msi_replica_idle_state(const msi_replica *self);
/* The end of every event: takes the step whose time has come. */
void msi_replica_settle(msi_replica *self, uint64_t now);
bool msi_replica_runs(const msi_replica *self);
/* Ask later again, a little later each time. */
void msi_replica_retry(msi_replica *self, uint64_t now);
void msi_replica_fail(msi_replica *self, const ms_error *error);
void msi_replica_synced(msi_replica *self, size_t index);

/* ----- watch.c */
/* Without host: do the next thing to get one. */
void msi_client_step(msi_replica *self, uint64_t now);
void msi_client_tick(msi_replica *self, uint64_t now, bool punctual);

/* ----- client.c */
void msi_client_dial(msi_replica *self, uint64_t term);
void msi_client_message(msi_replica *self, uint64_t now, const uint8_t *data,
                        size_t bytes);
/* The uplink is gone (or cut here): back to waiting. */
void msi_client_lost(msi_replica *self, uint64_t now);
void msi_client_cut(msi_replica *self, uint64_t now, const char *reason);
void msi_client_drop(msi_replica *self, bool flush, const char *reason);
/* Send pending patches while the link has room. */
void msi_client_pump(msi_replica *self, uint64_t now);
/* Tell the host, once, that all it had at the welcome is here: it keeps older logs until then. */
void msi_client_report(msi_replica *self);
/* Tell the group file that this replica is complete, once it is. */
void msi_client_mark(msi_replica *self);

/* ----- host.c */
msi_host_link *msi_host_find(msi_replica *self, msi_link_id id);
void msi_host_accept(msi_replica *self, uint64_t now, msi_link_id id);
void msi_host_message(msi_replica *self, uint64_t now, msi_link_id id,
                      const uint8_t *data, size_t bytes);
/* A snapshot goes on as far as the link has room. */
void msi_host_pump(msi_replica *self, msi_link_id id);
/* Forget a link that is gone; its peer may have died. */
void msi_host_down(msi_replica *self, uint64_t now, msi_link_id id);
/* Cut all links: without a word, or with BYE and all that is queued. */
void msi_host_cut_all(msi_replica *self, bool goodbye, const char *reason);
void msi_host_send_all(msi_replica *self, const uint8_t *data, size_t bytes);
void msi_host_tick(msi_replica *self, uint64_t now, bool punctual);
/* Members without a link may be about to end, or be gone: look now, and soon again. */
void msi_host_expect_gone(msi_replica *self, uint64_t now);
void msi_host_look(msi_replica *self, uint64_t now);

/* ----- decide.c */
/* Another host has taken over: back to waiting for it. */
void msi_host_step_down(msi_replica *self, uint64_t now);
/* Is this still the host of the present term? Steps down if not. Asked before saying that nothing has
 * been committed elsewhere. */
bool msi_host_is_current(msi_replica *self, uint64_t now);
/* Make `entry` the next one; root and desk are what it leads to. MS_OK: installed, sent and delivered.
 * MS_ENOHOST: another host has taken over, this one has stepped down. MS_ENOMEM, MS_ELIMIT: nothing
 * has changed. */
MS_CHECKED ms_status msi_host_commit(msi_replica *self, uint64_t now, msi_entry *entry,
                                     const ms_value *root, const ms_value *desk);
/* Accept or reject a patch whose number, base and timestamp were checked. Statuses as above. */
MS_CHECKED ms_status msi_host_decide(msi_replica *self, uint64_t now,
                                     const msi_patch *patch, const ms_value *root_before,
                                     const ms_value *root_after);
MS_CHECKED ms_status msi_host_join(msi_replica *self, uint64_t now, uint64_t peer,
                                   uint64_t number, const msi_member_info *info);
/* An entry that the host made itself, with what it leads to. Statuses as of msi_host_commit. */
MS_CHECKED ms_status msi_host_commit_own(msi_replica *self, uint64_t now,
                                         msi_entry *entry);
MS_CHECKED ms_status msi_host_retire(msi_replica *self, uint64_t now, uint64_t peer);
/* Decide own patches that waited. */
void msi_host_drain(msi_replica *self, uint64_t now);

/* ----- house.c */
/* Takes away what has expired, and says when to look again. */
void msi_house_expire(msi_replica *self, uint64_t now);
/* Once a tick: leases of silent holders lapse. */
void msi_house_tick(msi_replica *self, uint64_t now, bool punctual);

/* ----- takeover.c */
typedef enum msi_attempt {
  MSI_ATTEMPT_WON,
  MSI_ATTEMPT_LOST,   /* somebody else tries: dial `term` of theirs */
  MSI_ATTEMPT_FAILED, /* try again later */
  MSI_ATTEMPT_UNFIT   /* the logs do not reach back to this replica's version */
} msi_attempt;
/* Replace the host of `term`. *rival: whom to dial when LOST. */
msi_attempt msi_takeover(msi_replica *self, uint64_t now, uint64_t term, uint64_t *rival);
bool msi_takeover_is_eligible(const msi_replica *self);
/* Serve as host of `term`: state is complete, the log is ready. */
void msi_takeover_serve(msi_replica *self, uint64_t now, uint64_t term);

#endif
