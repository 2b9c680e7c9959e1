/*
 * The replica: the protocol of one share as a pure state machine (DESIGN section 4).
 *
 * Events come in through the functions below, each with the present time; what is to be done goes
 * out through the port. It has no clock, no I/O, no threads and no dependence on addresses: a
 * simulator drives it with a fake port, and the same seed gives the same run.
 *
 * The port's functions are called in the middle of an event and must not call back into the same
 * replica. What they report later (a broken link, a failed dial) comes as an event of its own.
 *
 *      JOINING --welcome, snapshot--> CLIENT <--dial, welcome-- WAITING
 *         |                             |  link lost, host hung  ^  |
 *         '--founded--> HOST <----------)------ takeover --------(--'
 *                        '------------- fenced ------------------'
 *
 * Messages are MessagePack arrays, one a frame; message.h lists them.
 */
#ifndef MSI_REPLICA_H
#define MSI_REPLICA_H

#include "entry.h"

enum {
  /* Bytes of one frame: a maximal patch and its envelope. */
  MSI_FRAME_MAX = MS_PATCH_MAX + 65536,
  MSI_TAIL_BYTES = 4 << 20,   /* recent entries every peer keeps for catch-up */
  MSI_PIECE_BYTES = 64 << 10, /* of a snapshot, between two live entries */
  MSI_PROTOCOL = 2
};
/* Heartbeat and suspicion: twice a second. */
#define MSI_TICK_NS UINT64_C(500000000)
/* Dialling again: each pause is a quarter longer than the one before, up to 20 ms. The first
 * is nearly always spent on the attempt at once; the second, 0.8 ms, is one tick of a
 * millisecond timer. */
#define MSI_RETRY_FIRST_NS UINT64_C(640000)
#define MSI_RETRY_LAST_NS UINT64_C(20000000)
/* A timestamp farther above the host's clock cuts the link. */
#define MSI_SKEW_NS UINT64_C(5000000000)

typedef uint32_t msi_link_id; /* never 0, never reused within a replica */

typedef enum msi_enrolment {
  MSI_ENROLLED_FOUNDED, /* a new group: lock, log and socket of its first term are ours */
  MSI_ENROLLED_JOINED,
  MSI_ENROLLED_FAILED /* see the error; the replica tells its owner and stops */
} msi_enrolment;

typedef struct msi_log_info {
  bool exists; /* the log file of that term is there and intact */
  bool ready;
  uint64_t base; /* entries of this log begin at base + 1 */
  /* Of ready logs: the term whose log holds the entries up to base; 0: none, a group began here. What
   * counts as history is decided once, by who marks a log ready, and read from here ever after. */
  uint64_t previous;
} msi_log_info;
/* The bytes are borrowed for the call. Returning false stops the walk. */
typedef bool (*msi_log_fn)(void *ud, uint64_t version, const uint8_t *data, size_t bytes);

struct msi_delivery;

/* What the world does for a replica. Everything returns at once. */
typedef struct msi_port {
  void *ud;

  /* ----- links */
  /* Queue a frame; bytes are copied. A link whose queue is over its bound is cut by the link layer,
   * which reports msi_replica_link_down later. */
  void (*send)(void *ud, msi_link_id link, const uint8_t *frame, size_t bytes);
  /* Bytes that `send` may still queue before the link counts as full for snapshot pieces. */
  size_t (*room)(void *ud, msi_link_id link);
  /* Close a link; no link_down follows. What was queued is still flushed when `flush`. */
  void (*cut)(void *ud, msi_link_id link, bool flush, const char *reason);
  /* Connect to the socket of `term`; answered by msi_replica_dialled. One at a time. */
  void (*dial)(void *ud, uint64_t term);

  /* ----- the group file: what the kernel guarantees */
  /* (Re)open the group under the share's name: take the member lock of `peer`; found a new group when
   * no complete member lives and `may_found`. Drops whatever was held before. `must_exist`: MS_ENOENT
   * instead of founding. A group whose members can neither host nor be replaced counts as dead. */
  msi_enrolment (*enrol)(void *ud, uint64_t peer, bool may_found, uint64_t *group,
                         uint64_t *term, ms_error *error);
  /* This member counts for promise 4 from now on. */
  bool (*mark_complete)(void *ud);
  uint64_t (*term)(void *ud); /* seq_cst load; 0: the group is found nowhere any more */
  bool (*term_lock_free)(void *ud, uint64_t term); /* nobody holds that byte */
  bool (*take_term_lock)(void *ud, uint64_t term);
  void (*drop_term_lock)(void *ud, uint64_t term);
  bool (*member_alive)(void *ud, uint64_t peer); /* somebody else holds its member byte */
  uint64_t (*heartbeat)(void *ud);               /* the group file's counter */
  void (*beat)(void *ud);
  bool (*raise_term)(void *ud, uint64_t from, uint64_t to); /* seq_cst CAS */

  /* ----- the mapped log of a term */
  /* Make log and listening socket of `term`; nothing is accepted before mark_ready. */
  ms_status (*prepare)(void *ud, uint64_t term, ms_error *error);
  /* Stop listening and give up what prepare made. The log is unlinked only if it was never ready: the
   * log of a host that was replaced is what its successor reads, and that one sweeps it. */
  void (*discard)(void *ud, uint64_t term);
  void (*log_info)(void *ud, uint64_t term, msi_log_info *out);
  /* Entries above `after` in order, up to the tail. False: damaged, or `after` is overwritten. */
  bool (*log_read)(void *ud, uint64_t term, uint64_t after, msi_log_fn fn, void *fn_ud);
  /* base version and previous term, then ready (seq_cst). Begins to accept links. */
  void (*mark_ready)(void *ud, uint64_t term, uint64_t base, uint64_t previous);
  /* Unlink logs and sockets of terms below `term`. Called once nobody needs them to catch up. */
  void (*sweep)(void *ud, uint64_t term);
  /* Store the entry and the tail (seq_cst), then load the term: true when it is still `term`. Only
   * then is the entry accepted and may be sent. MS_ELIMIT: no room on disk; nothing was stored. */
  ms_status (*commit)(void *ud, uint64_t term, uint64_t version, const uint8_t *data,
                      size_t bytes, bool *current);

  /* ----- results */
  /* To the owner, in order. Pointers are borrowed. */
  void (*deliver)(void *ud, const struct msi_delivery *delivery);
  uint64_t (*random)(void *ud);
  int64_t (*wall_ms)(void *ud); /* of this event */
  void (*log)(void *ud, ms_log_level level, const char *line);
  /* Release a value, taken, which may be all of a large document, when there is time. May be NULL: it is
   * released at once. */
  void (*bury)(void *ud, const ms_value *value);
} msi_port;

typedef enum msi_delivery_kind {
  /* An entry, and the committed root after it. */
  MSI_DELIVER_ENTRY,
  /* A snapshot: root and version. Settles own numbers <= number; `rejected` lists those of them that
   * were rejected. */
  MSI_DELIVER_ROOT,
  /* Own numbers <= number will never be settled otherwise: MS_ENOHOST. */
  MSI_DELIVER_UNKNOWN,
  /* token: all that was committed when it was asked has been delivered. */
  MSI_DELIVER_SYNCED,
  /* State, term or host changed: see msi_replica_inspect. */
  MSI_DELIVER_STATE,
  /* error: enrolment failed for good. */
  MSI_DELIVER_FAILED
} msi_delivery_kind;

/* A root that is not retained changes in place with the next entry. */
typedef struct msi_delivery {
  msi_delivery_kind kind;
  const msi_entry *entry;
  /* ENTRY, ROOT; UNKNOWN: after all entries so far, NULL where there is none. Views also take an ENTRY without
   * it, and apply the entry themselves. */
  const ms_value *root;
  const ms_value *desk;     /* ENTRY, ROOT: see desk.h */
  uint64_t version;         /* ENTRY, ROOT */
  uint64_t number;          /* UNKNOWN; ROOT: own last decided number */
  const uint64_t *rejected; /* ROOT: rejected own numbers <= number, ascending */
  size_t rejected_count;
  uint64_t token;        /* SYNCED */
  const ms_error *error; /* FAILED */
} msi_delivery;

typedef struct msi_replica_config {
  const ms_alloc *alloc;
  const ms_value *defaults; /* of a founded group: an object or empty; retained */
  bool readonly, can_host, may_found;
  uint64_t host_timeout_ns;
  uint64_t document_bytes_max;
  size_t patch_bytes_max;
  size_t queue_max;
  int64_t pid;
  const char *program;
  const char *roles;    /* each with its NUL, an empty one at the end; NULL: none */
  uint64_t writers_max; /* of a founded group; 0: any number */
  const ms_validator *validator; /* copied; NULL: never host while rules stand */
} msi_replica_config;

typedef struct msi_replica msi_replica;

MS_CHECKED ms_status msi_replica_new(const msi_replica_config *config,
                                     const msi_port *port, msi_replica **out);
/* Accepts NULL; cuts nothing, sends nothing. */
void msi_replica_free(msi_replica *replica);

/* ----- events */

/* Enrol and go. */
void msi_replica_start(msi_replica *replica, uint64_t now);
/* The answer to port.dial: link 0 means that nobody took the connection. */
void msi_replica_dialled(msi_replica *replica, uint64_t now, uint64_t term,
                         msi_link_id link);
/* A peer connected to this host's socket. */
void msi_replica_accepted(msi_replica *replica, uint64_t now, msi_link_id link);
/* One frame, borrowed. */
void msi_replica_message(msi_replica *replica, uint64_t now, msi_link_id link,
                         const uint8_t *data, size_t bytes);
/* The queue of a link has room again: a snapshot goes on. */
void msi_replica_writable(msi_replica *replica, uint64_t now, msi_link_id link);
/* End of file (after everything readable was passed on), error, or cut for its bounds. */
void msi_replica_link_down(msi_replica *replica, uint64_t now, msi_link_id link);
/* To be called at msi_replica_deadline() or later; more often does no harm. */
void msi_replica_tick(msi_replica *replica, uint64_t now);
/* UINT64_MAX: no need. */
uint64_t msi_replica_deadline(const msi_replica *replica);

/*
 * An own patch. `base` is the version the owner's view shows. `root_before` and `root_after` (may be
 * NULL) are what the owner's view computed: when this peer is host and its committed root is
 * root_before, root_after is taken over instead of applying again. *number is set; numbers count on
 * for the life of the replica. MS_EBUSY: queue full; MS_ECLOSED; MS_EREADONLY; MS_ENOHOST: not
 * complete; MS_ELIMIT: larger than patch_bytes_max, or no room on the host's disk; MS_ENOMEM.
 */
MS_CHECKED ms_status msi_replica_submit(msi_replica *replica, uint64_t now, uint64_t base,
                                        int64_t wall_ms, ms_update *update,
                                        const ms_value *root_before,
                                        const ms_value *root_after, uint64_t *number);
/*
 * The same for one of many patches in a row: a host decides it no sooner than in msi_replica_drain(), or
 * after another patch, so that the owner need not wait for that.
 */
MS_CHECKED ms_status msi_replica_submit_later(msi_replica *replica, uint64_t now,
                                              uint64_t base, int64_t wall_ms,
                                              ms_update *update, uint64_t *number);
/* Room for one more patch: a host takes this one next, whatever submit_later is called with. Statuses as of
 * msi_replica_submit(). */
MS_CHECKED ms_status msi_replica_prepare(msi_replica *replica, const ms_update *update);
bool msi_replica_is_host(const msi_replica *replica);
/* A host decides what it was given so. */
void msi_replica_drain(msi_replica *replica, uint64_t now);
/*
 * A transaction: as msi_replica_submit, and accepted only if nothing of `reads` (not NULL) has changed since
 * `base`. Both are borrowed. MS_EVERSION: `base` is none of this group's, or below that of an earlier patch.
 */
MS_CHECKED ms_status msi_replica_transact(msi_replica *replica, uint64_t now,
                                          uint64_t base, int64_t wall_ms,
                                          ms_update *update, msi_reads *reads,
                                          uint64_t *number);
/* Answered by MSI_DELIVER_SYNCED with the token, also across takeovers. MS_ECLOSED; MS_EBUSY: too many
 * are not answered yet; MS_ENOMEM. */
MS_CHECKED ms_status msi_replica_sync(msi_replica *replica, uint64_t now, uint64_t token);
/* Leave: a host says so to its peers and stops deciding. The driver then flushes the links, drops the
 * locks and frees. */
void msi_replica_stop(msi_replica *replica, uint64_t now);

/* ----- looking */
typedef struct msi_replica_info {
  ms_share_state state;
  uint64_t peer, host, group, term, version;
  size_t pending; /* own patches without a decision */
  uint64_t entries, takeovers, snapshots;
  size_t links;
} msi_replica_info;
void msi_replica_inspect(const msi_replica *replica, msi_replica_info *out);
/* The committed document, borrowed; NULL before it is complete. */
const ms_value *msi_replica_root(const msi_replica *replica);
/* The committed desk, borrowed. */
const ms_value *msi_replica_desk(const msi_replica *replica);
void msi_replica_peers(const msi_replica *replica, ms_peer_fn fn, void *ud);
/* The last decided number of a peer, 0 when unknown: for tests. */
uint64_t msi_replica_decided(const msi_replica *replica, uint64_t peer);

#endif
