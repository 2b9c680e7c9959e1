/*
 * The simulator: several replicas, each with a view and an owner, in a fake world whose time, links,
 * group file and logs come from a seed. The same seed gives the same run, so a failing one replays.
 *
 *   sim_world.c    time, events, weather, faults
 *   sim_proc.c     processes: their birth, death and hanging
 *   sim_link.c     links: bounded queues, delays, listeners with a backlog
 *   sim_group.c    group file, locks and logs; the port of a replica
 *   sim_owner.c    the owner of a replica: mailbox, view, writes, receipts
 *   sim_program.c  random updates, to places of all kinds
 *   sim_list.c     random updates of lists, whose elements have ids that are never used twice
 *   sim_sight.c    what a writer saw where it goes by position, and what the host finds there
 *   sim_transaction.c  what was read for a write, and what the host finds there
 *   sim_fold.c     what the accepted ones of operators that commute add up to
 *   sim_desk.c     locks, bound paths and presence, and a model of them
 *   sim_fault.c    wrong versions of a few functions of the library
 *   sim_check.c    the one history there may be, and what must hold of everybody
 *   sim_plan.c     what chance decides, recorded and replayed
 *   sim_shrink.c   from a failing seed to a schedule that is short enough to read
 *   sim_main.c     the command line
 *
 * A process dies or hangs between events and inside port calls. While it hangs it gets no events. Each
 * has its own stack, so that several may hang inside calls and wake up in any order. A process that
 * dies inside a call does nothing to the world any more; its replica is discarded after the call.
 *
 * Frames of one link keep their order, and everything else may come in any. All processes share the
 * kernel's monotonic clock, which never goes back; here they read it differently, too. Their wall clocks
 * jump both ways.
 */
#ifndef SIM_H
#define SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "desk.h"
#include "replica.h"
#include "sim_random.h"
#include "view.h"

enum {
  SIM_PROCS_MAX = 64, /* processes of one run, the dead and the unborn included */
  SIM_LIVE_MAX = 6,   /* at once */
  SIM_IDS_MAX = 64,
  SIM_MESSAGE_MAX = 512
};
#define SIM_MS UINT64_C(1000000)
#define SIM_NEVER UINT64_MAX
#define SIM_BEGIN_NS (1000000 * SIM_MS) /* the world's clock at the start of a run */

/* Faults of the world that break a promise, to show that the checks find them; and some worse than any
 * kernel that must not. Those that stand for mistakes one might make in the library are made by the
 * fake kernel or by the linker (sim_fault.c), never by a switch in the library. */
typedef enum sim_bug {
  SIM_BUG_NONE,
  SIM_BUG_COMMIT_CURRENT,     /* commit says "current" whatever the term is */
  SIM_BUG_COMMIT_LATE,        /* commit loads the term before it stores the entry */
  SIM_BUG_LOG_TAIL,           /* reading a log misses its last entry */
  SIM_BUG_LOG_SKIP,           /* reading a log misses an entry in the middle */
  SIM_BUG_LINK_LOSS,          /* a link loses a frame */
  SIM_BUG_TERM_STORE,         /* raising the term does not look at what it was */
  SIM_BUG_LOCK_SHARED,        /* several processes hold one term lock */
  SIM_BUG_LOCK_STUCK,         /* the kernel does not free the locks of the dead */
  SIM_BUG_ENROL_FOUNDS,       /* a group is founded while a complete member lives */
  SIM_BUG_MEMBER_DEAD,        /* member locks look free while their holders live */
  SIM_BUG_ACCEPT_NEVER,       /* a dialled link is never accepted */
  SIM_BUG_MARKS_NONE,         /* writers do not say where they go in by position */
  SIM_BUG_MARKS_BELOW,        /* ... and call every position committed */
  SIM_BUG_MARKS_SURE,         /* ... and do not say that something pending is in doubt */
  SIM_BUG_MOVES_COMMUTE,      /* what moves elements is refused by nothing */
  SIM_BUG_PULLS_FIGHT,        /* $pull is refused because of another $pull */
  SIM_BUG_SNAPSHOT_POSITIONS, /* snapshots do not say who moved what */
  SIM_BUG_POSITION_FLOOR,     /* what the index has forgotten counts as unmoved */
  SIM_BUG_CONDITION_VIEW,     /* a condition that holds in the view is not asked again */
  SIM_BUG_SEND_FIRST,         /* an entry is sent before the log has it */
  SIM_BUG_LOG_EARLY,        /* a candidate reads the old log before it raises the term */
  SIM_BUG_DEDUPE_NONE,      /* a new host does not know what the old one decided last */
  SIM_BUG_SNAPSHOT_NUMBERS, /* snapshots do not say what was decided last */
  SIM_BUG_DEFAULTS_WIN,     /* a joiner keeps its own defaults */
  SIM_BUG_CONFLICT_FLOOR,   /* what the index has forgotten counts as not there */
  SIM_BUG_REJECTION_LOST,   /* a snapshot does not say which patches were rejected */
  SIM_BUG_DEPENDENT_LIVES,  /* what was written on top of a rejected patch stands */
  SIM_BUG_TICK_BLAMED,      /* late ticks count as punctual ones */
  SIM_BUG_READS_UNCHECKED,  /* nobody looks whether what a transaction read has changed */
  SIM_BUG_READS_REJECTED,   /* who read what an own rejected patch wrote stands */
  SIM_BUG_DORMANT_SHOWN, /* the view takes a patch whose condition does not hold as applied */
  SIM_BUG_TOLERATED,     /* from here on: what the protocol has to stand */
  SIM_BUG_LINK_TWICE = SIM_BUG_TOLERATED, /* a link delivers a frame twice */
  SIM_BUG_LINK_SWAP,                      /* a link swaps two frames */
  SIM_BUG_EOF_EARLY,                      /* what a dead process had sent is lost */
  SIM_BUG_COUNT
} sim_bug;

/* ----- what chance decides: sim_plan.c */

typedef enum sim_act {
  SIM_ACT_BIRTH,
  SIM_ACT_WRITE,
  SIM_ACT_FAULT,
  SIM_ACT_STRIKE
} sim_act;

/* Where chance strikes a process. Takeover and commit stand on those from SIM_AT_ENROL to
 * SIM_AT_COMMITTED; the last ones are no calls in which it may hang or die. */
typedef enum sim_site {
  SIM_AT_SEND,
  SIM_AT_CUT,
  SIM_AT_DIAL,
  SIM_AT_LOCK_FREE,
  SIM_AT_UNLOCK,
  SIM_AT_MEMBER,
  SIM_AT_BEAT,
  SIM_AT_DISCARD,
  SIM_AT_ENROL,
  SIM_AT_COMPLETE,
  SIM_AT_LOCK,
  SIM_AT_RAISE,
  SIM_AT_RAISED,
  SIM_AT_PREPARE,
  SIM_AT_PREPARED,
  SIM_AT_LOG_INFO,
  SIM_AT_LOG_READ,
  SIM_AT_READY,
  SIM_AT_SWEEP,
  SIM_AT_COMMIT,
  SIM_AT_STORED,
  SIM_AT_COMMITTED,
  SIM_AT_DISK,
  SIM_AT_MEMORY,
  SIM_AT_TICK,
  SIM_AT_WALL,
  SIM_AT_BUG, /* a planted bug that comes by chance */
  SIM_SITE_COUNT
} sim_site;

typedef enum sim_effect {
  SIM_EFFECT_NONE,
  SIM_EFFECT_DIES,
  SIM_EFFECT_HANGS, /* for `ns` */
  SIM_EFFECT_STOPS,
  SIM_EFFECT_LINK_BREAKS, /* the one that `proc` dialled as its `b`th, at its end `ns` */
  SIM_EFFECT_COUNT
} sim_effect;

typedef struct sim_decision {
  sim_act act;
  sim_site site; /* of a strike */
  sim_effect effect;
  uint64_t proc;
  uint64_t time; /* when it was made */
  uint64_t
      a; /* birth, fault: its number; write: of the poll; strike: visits of the site before
                 it, at this time */
  uint64_t b;  /* write: which of this poll */
  uint64_t ns; /* hang, late tick: how long; write: its number in the run */
} sim_decision;

/* What a run shall do and nothing else. */
typedef struct sim_plan {
  sim_decision *items;
  size_t count, capacity;
  uint64_t until_ns; /* no faults and no writes from then on; 0: as the seed says */
  uint32_t plain;    /* bits: parts of the weather that are as plain as can be */
  uint32_t
      salt; /* links and ticks have other dice, so that they take other times; 0: the seed's */
} sim_plan;
enum { SIM_PLAIN_COUNT = 10 };

typedef struct sim_options {
  uint64_t seed;
  bool trace;
  bool story; /* prints what a reader wants to know */
  sim_bug bug;
  const sim_plan *only; /* NULL: as chance has it */
  sim_plan *record;     /* the decisions, added; NULL: nobody asks */
} sim_options;

typedef struct sim_report {
  bool failed;
  char message[SIM_MESSAGE_MAX];
  const char *kind; /* static; the same for messages of the same kind */
  uint64_t hash;    /* of everything that happened */
  uint64_t events, entries, writes, accepted, rejected, unknown;
  uint64_t kills, hangs, takeovers, snapshots, founded, time_ns;
  /* Of kills and hangs: between the write to one link and the next, in the middle of a snapshot,
   * between storing an entry and sending it. */
  uint64_t in_sends, in_snapshots, in_commits;
  uint64_t overflows, wall_jumps, no_memory, no_disk;
  uint64_t told;             /* messages, by who heard them */
  uint64_t broken_rules;     /* patches that were denied for that */
  uint64_t lapses, expiries; /* of leases, of places */
} sim_report;

void sim_run(const sim_options *options, sim_report *report);
const char *sim_bug_name(sim_bug bug);

/* ----- what follows is shared by the files of the simulator */

typedef struct sim_world sim_world;
typedef struct sim_proc sim_proc;
typedef struct sim_group sim_group;
typedef struct sim_conn sim_conn;

/* What kind of weather a seed has. Chances are in millionths. */
typedef struct sim_weather {
  uint64_t link_delay_ns;  /* at most, per delivery */
  uint64_t poll_delay_ns;  /* between two polls of an owner, on the average */
  uint64_t late_tick_ns;   /* at most, beyond the deadline */
  uint32_t late_tick;      /* chance */
  uint32_t fault;          /* chance of a fault in an ordinary port call */
  uint32_t fault_critical; /* ... in the calls that takeover and commit stand on */
  uint32_t fault_send;     /* ... before a frame goes to a link */
  uint32_t hang_share;     /* of these: it hangs; else it dies */
  uint64_t hang_ns;        /* at most */
  uint64_t fault_every_ns; /* kills, hangs and so on between events, on the average */
  uint32_t disk_full;      /* chance per commit and prepare */
  uint32_t no_memory;      /* chance per allocation of a replica */
  size_t log_records;      /* that a log holds before the oldest are overwritten */
  uint64_t clock_skew_ns;  /* between processes, at most: far more than a kernel allows */
  uint32_t wall_jump;      /* chance that a wall clock is set, whenever somebody looks */
  size_t kernel_bytes;     /* of a socket's buffer */
  size_t outbox_bytes;     /* a link with more, in several frames, is cut */
  size_t room_bytes;       /* of port.room */
  uint32_t readonly, no_host; /* chance per process */
  unsigned procs;             /* at the start */
  unsigned births;            /* more of them later */
  unsigned writes;            /* of all owners together */
  unsigned keys;              /* how many places the owners write to */
  bool replaces;              /* also whole documents */
  uint32_t language;          /* chance that a write uses all of the update language */
  uint32_t doubtful;          /* ... that it hangs on what others do to one place */
  uint32_t desk;              /* ... that it asks something of the desk */
  size_t index_nodes;         /* of the conflict index; 0: as many as there are */
  uint64_t host_timeout_ns;
} sim_weather;

/* ----- events */

typedef enum sim_event_kind {
  SIM_TICK,    /* a: process, b: generation */
  SIM_POLL,    /* a: process: its owner polls */
  SIM_READ,    /* a: connection, b: side */
  SIM_FLUSH,   /* a: connection, b: side */
  SIM_BROKEN,  /* a: connection, b: side */
  SIM_ROOM,    /* a: connection, b: side */
  SIM_ACCEPT,  /* a: connection */
  SIM_DIALLED, /* a: process, b: term */
  SIM_FAULT,   /* a: its number, as of the next one */
  SIM_BIRTH,
  SIM_START, /* a: process, as are those of the next two */
  SIM_STOP,
  SIM_RESUME, /* out of the call it hangs in */
  /* No events, but they have dice, too. */
  SIM_DICE_WEATHER,
  SIM_DICE_WRITE,
  SIM_DICE_STRIKE /* and one for each site */
} sim_event_kind;

typedef struct sim_event {
  uint64_t time, serial;
  sim_event_kind kind;
  uint64_t a, b;
} sim_event;

/* ----- links */

typedef struct sim_frame {
  uint8_t *data;
  size_t bytes;
} sim_frame;

typedef struct sim_queue { /* of frames; items[first ... end - 1] */
  sim_frame *items;
  size_t first, end, capacity, bytes;
} sim_queue;

typedef struct sim_end {
  sim_proc *proc; /* NULL: not accepted yet, or closed */
  msi_link_id id;
  bool closed;   /* by this side, or reported as down */
  bool eof;      /* the other side is closed; what is in `kernel` comes first */
  bool broken;   /* to be reported as down without more reading */
  bool was_full; /* room is to be reported */
  bool read_due, flush_due;
  sim_queue kernel; /* on the way to this side; survives the sender */
  sim_queue outbox; /* of this side, in its own memory */
} sim_end;

struct sim_conn {
  size_t index;
  uint64_t name;   /* of who dialled and which of its links it is */
  uint64_t events; /* so far */
  sim_end ends[2]; /* dialler, host */
  size_t listener; /* index + 1 while it waits in a backlog */
};

typedef struct sim_listener {
  sim_proc *proc; /* NULL: closed */
  uint64_t term;
  bool has_path; /* the socket file is there */
  bool accepts;
} sim_listener;

/* ----- group and logs */

typedef struct sim_record {
  uint64_t version;
  uint8_t *data;
  size_t bytes;
} sim_record;

typedef struct sim_log {
  sim_group *group;
  uint64_t term, base, previous;
  bool has_path, ready;
  sim_proc *writer; /* NULL: gone */
  sim_record *records;
  size_t first, count, capacity; /* records[first ... count - 1] are intact */
} sim_log;

typedef struct sim_lock {
  uint64_t term;
  sim_proc *holder;
} sim_lock;

/* One version of the one history of a group. */
typedef struct sim_desk sim_desk;
typedef struct sim_version {
  uint8_t *data; /* the entry */
  size_t bytes;
  msi_entry entry;
  ms_update *update;          /* retained; of the patch, also of a rejected one */
  bool was_hidden;            /* it is a transaction */
  const ms_value *root;       /* retained; after it */
  sim_desk *desk;             /* owned; the model's, after it */
  const ms_value *desk_value; /* retained; as the first told; NULL: nobody has */
} sim_version;

struct sim_group {
  size_t index;
  uint64_t id, term, heartbeat;
  uint64_t beat_time;
  uint64_t overwritten; /* the last version that a log has lost */
  sim_lock *locks;
  size_t lock_count, lock_capacity;
  const ms_value *first_root; /* retained */
  sim_version *versions;      /* versions[v - 1] */
  size_t version_count, version_capacity;
  struct {
    uint64_t term;
    int proc;
  } * hosts; /* who committed in a term */
  size_t host_count, host_capacity;
};

/* ----- processes */

/* What a writer saw where one of its operations goes into a list by position. */
enum { SIM_SIGHT_ANY = -1, SIM_SIGHT_NOTHING = 0 }; /* by no position; no element there */

typedef struct sim_receipt {
  uint64_t number, base;
  sim_group *group;
  ms_update *asked;            /* retained; as the program made it */
  int64_t *sights;             /* ids of elements, one for each operation of `asked` */
  ms_update *update;           /* retained; as it was submitted */
  struct sim_reading *reading; /* owned; of a transaction, else NULL */
  int64_t wall_ms;
  ms_receipt_state state;
  uint64_t version;
} sim_receipt;

typedef struct sim_mail {
  msi_delivery delivery; /* entry, root, rejected and error are owned copies */
  msi_entry entry;
  uint64_t self; /* the peer's id when it was delivered */
  sim_group *group;
} sim_mail;

/* How often a process came by a site. */
typedef struct sim_visits {
  uint64_t all, time;
  uint32_t now; /* at `time` */
} sim_visits;

struct sim_proc {
  sim_world *sim;
  int index;
  uint64_t events, polls; /* so far */
  sim_visits visits[SIM_SITE_COUNT];
  bool alive;                       /* else it does nothing to the world any more */
  bool busy;                        /* handles an event, on its own stack */
  bool in_call;                     /* inside a call of its replica */
  bool hangs;                       /* and there in a call of its port */
  bool hung_in_call;                /* at any time in this call */
  bool freed;                       /* replica and view are gone */
  bool failed;                      /* its enrolment failed for good */
  uint64_t heard_from, heard_count; /* messages since that version, by its owner */
  uint64_t heard_at;                /* when a host last read a frame of it */
  uint64_t hung_until;              /* no event of its own before */
  bool readonly, can_host;
  ms_alloc alloc; /* of the replica: it may fail */
  msi_replica *replica;
  msi_view *view;
  struct sim_fiber *fiber;
  uint64_t clock_behind_ns; /* its clock behind the world's */
  int64_t wall_ahead_ms;    /* its wall clock, that anybody may set, before the world's */
  msi_port port;
  uint64_t tick_serial, tick_time;
  msi_link_id last_link;
  bool dialling;
  struct
  { /* of planted bugs: what is stored too late, and a log that was read too early */
    struct sim_log *log;
    uint64_t version, term;
    uint8_t *data;
    size_t bytes, count;
  } late;

  /* what it holds in the group file */
  sim_group *group;
  uint64_t id;               /* member lock */
  uint64_t ids[SIM_IDS_MAX]; /* all it ever had */
  int id_count;
  bool complete;
  const sim_group *completed; /* the last group it was complete in */

  /* the loop side's record of what it delivered */
  uint64_t delivered; /* last version, in `group` */
  bool has_root;
  bool
      cut_off; /* an own link broke before it was read to its end, nothing was delivered since */
  uint64_t takeovers, snapshots; /* as last counted */

  /* owner */
  sim_mail *mail;
  size_t mail_first, mail_end, mail_capacity;
  sim_receipt *receipts;
  size_t receipt_count, receipt_capacity, settled_count; /* receipts settle in order */
  uint64_t sync_token, sync_asked, sync_version;
  sim_group *sync_group, *view_group;
  uint64_t syncs_done;
};

struct sim_world {
  sim_options options;
  sim_weather weather;
  sim_random random;
  sim_report *report;
  ms_alloc alloc;
  size_t live_blocks;
  uint64_t now, serial, hash;
  sim_event *heap;
  size_t heap_count, heap_capacity;
  bool calm;    /* no more faults, no more writes: things shall settle */
  bool is_over; /* all has been looked at: what is left stops */
  bool *done;   /* of the plan: its decisions that were made */
  uint32_t strikes_left[SIM_SITE_COUNT]; /* of the plan */
  unsigned writes_left;
  uint64_t writes, markers, elements; /* made so far */
  uint64_t writer;                    /* of the write under way: which process */
  sim_proc *procs[SIM_PROCS_MAX];
  int proc_count;
  sim_conn **conns;
  size_t conn_count, conn_capacity;
  sim_listener *listeners;
  size_t listener_count, listener_capacity;
  sim_log **logs;
  size_t log_count, log_capacity;
  sim_group **groups;
  size_t group_count, group_capacity;
  sim_group *published; /* what the path names */
  const ms_value *defaults;
};

/* ----- sim_world.c */
void sim_schedule(sim_world *sim, uint64_t delay, sim_event_kind kind, uint64_t a,
                  uint64_t b);
/* Goes into the hash, and to the trace. `what` is static. */
void sim_note(sim_world *sim, const sim_proc *proc, const char *what, uint64_t a,
              uint64_t b);
void sim_fail(sim_world *sim, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Room for one more item. Aborts without memory: the simulator's own needs are small. */
void *sim_grow(void *items, size_t *capacity, size_t count, size_t item_bytes);
bool sim_chance(sim_world *sim, uint32_t millionths);
/* Up to `most`, small ones more often. */
uint64_t sim_delay(sim_world *sim, uint64_t most);
/* One event of a process that is not hung; on its stack. */
void sim_handle(sim_proc *proc, const sim_event *event);

/* ----- sim_plan.c */
/* From here on chance has the dice of this event. Returns those before. */
sim_random sim_dice(sim_world *sim, uint64_t kind, uint64_t a, uint64_t b, uint64_t c);
void sim_plan_begin(sim_world *sim);
/* The next decision of this kind in the plan, once: of a process now, or (NULL) with this number. */
const sim_decision *sim_planned(sim_world *sim, sim_act act, const sim_proc *proc,
                                uint64_t a);
/* Does chance strike the process at this site? The caller says with what effect, unless that comes
 * from a plan, and that it was decided. */
bool sim_strikes(sim_proc *proc, sim_site site, uint32_t millionths, sim_decision *out);
/* The dice for its effect. Returns those before. */
sim_random sim_dice_of_strike(sim_proc *proc, const sim_decision *strike);
void sim_decided(sim_world *sim, const sim_decision *made);
/* Strikes without an effect of its own. */
bool sim_happens(sim_proc *proc, sim_site site, uint32_t millionths);
const char *sim_site_name(sim_site site);
bool sim_site_is_critical(sim_site site);
/* One line of the story, if there is one. */
void sim_tell(const sim_world *sim, const sim_proc *proc, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void sim_plan_print(const sim_plan *plan);
bool sim_plan_parse(const char *text, sim_plan *out);
void sim_plan_copy(sim_plan *to, const sim_plan *from);
void sim_plan_fini(sim_plan *plan);

/* ----- sim_shrink.c */
/* The shortest plan found by which the seed still fails in the same way, within so many runs and so
 * much time. `out->until_ns` is never 0. False: by its own plan it does not fail like that. */
typedef struct sim_shrunk {
  sim_plan plan;
  size_t before, runs; /* decisions at first; runs tried */
} sim_shrunk;
bool sim_shrink(const sim_options *options, size_t runs_max, double seconds,
                sim_shrunk *out);

/* ----- sim_proc.c */
void sim_birth(sim_world *sim, bool must_host);
/* Takes the place of a process that the plan leaves out. */
void sim_stillbirth(sim_world *sim);
void sim_run_event(sim_proc *proc, const sim_event *event);
void sim_resume(sim_proc *proc);
uint64_t sim_clock(const sim_proc *proc);
/* Before and after every call into a replica. False: the process cannot be called now. */
bool sim_enter(sim_proc *proc);
void sim_leave(sim_proc *proc);
/* In a port call: may kill or hang the process. False: it is dead, do nothing. */
bool sim_point(sim_proc *proc, sim_site site);
void sim_kill(sim_proc *proc);
void sim_stop(sim_proc *proc);
bool sim_may_die(sim_world *sim, const sim_proc *proc);
uint64_t sim_hang_time(sim_world *sim);
/* Kills it and frees what it holds. */
void sim_proc_forget(sim_proc *proc);

/* ----- sim_link.c */
void sim_link_send(sim_proc *proc, msi_link_id link, const uint8_t *data, size_t bytes);
size_t sim_link_room(sim_proc *proc, msi_link_id link);
void sim_link_cut(sim_proc *proc, msi_link_id link, bool flush_first);
void sim_link_dial(sim_proc *proc, uint64_t term);
/* All links and listeners of a process end. */
void sim_link_end_all(sim_proc *proc, bool flush_first);
/* Some link, for a decision; false: there is none. */
bool sim_link_choose(sim_world *sim, sim_decision *out);
/* An outbox overflows, as far as its process can tell. False: not that one. */
bool sim_link_break(sim_world *sim, const sim_decision *what);
void sim_link_event(sim_world *sim, const sim_event *event);
/* The log of this host is about to lose a version: links that were not given it are cut. */
void sim_link_overwritten(sim_proc *proc, uint64_t version);
size_t sim_listener_open(sim_proc *proc, uint64_t term);
void sim_listener_ready(sim_proc *proc, uint64_t term);
/* term 0: all of them */
void sim_listener_close(sim_proc *proc, uint64_t term);
void sim_listener_sweep(sim_world *sim, uint64_t term);
void sim_link_fini(sim_world *sim);

/* ----- sim_group.c */
/* A planted bug has sent an entry first: now it is stored. */
void sim_group_store_late(sim_proc *proc);
void sim_port_init(sim_proc *proc);
/* What the kernel does when a process ends. */
void sim_group_release(sim_proc *proc);
bool sim_group_has_complete(const sim_world *sim, const sim_group *group,
                            const sim_proc *except);
void sim_group_fini(sim_world *sim);

/* ----- sim_owner.c */
void sim_owner_deliver(sim_proc *proc, const msi_delivery *delivery);
void sim_owner_poll(sim_proc *proc);
/* Mailbox and view go with the process ... */
void sim_owner_fini(sim_proc *proc);
/* ... the receipts with the run: what it wrote may be decided later. */
void sim_owner_forget(sim_proc *proc);

/* ----- sim_program.c */
/* A random update of somebody whose document is `view`, retained; NULL after a failure. */
ms_update *sim_program_update(sim_world *sim, const ms_value *view);
/* The document of a new group, retained. */
const ms_value *sim_program_defaults(sim_world *sim);
/* An update document as text, with array filters (NULL: none). */
ms_update *sim_program_parse(sim_world *sim, const char *text, const char *filters);
const ms_value *sim_program_json(sim_world *sim, const char *text);
unsigned sim_program_key(sim_world *sim);
unsigned long long sim_program_marker(sim_world *sim);

/* ----- sim_list.c */
enum { SIM_LISTS = 2 }; /* q.0, q.1 */
/* The list with this number, borrowed; NULL: there is none. */
const ms_value *sim_list_find(const ms_value *document, unsigned list);
/* The id of the element at an index, 0: there is none. */
int64_t sim_list_id(const ms_value *list, int64_t index);
/* A random update of one list, which goes by what `document` shows. */
ms_update *sim_list_update(sim_world *sim, const ms_value *document);
/* A new element before all others. */
ms_update *sim_list_front(sim_world *sim);

/* ----- sim_sight.c */
/* Notes in the receipt what the writer sees; before the patch is submitted. */
void sim_sight_record(const sim_world *sim, sim_receipt *receipt, const ms_value *view);
/* For a reader: the operations. */
void sim_sight_print(const sim_receipt *receipt);
/* An accepted patch finds what its writer saw, and lists lose and get what they should. */
void sim_sight_check(sim_world *sim, const sim_receipt *receipt, uint64_t version,
                     const ms_value *before);
/* Do all conditions hold for the documents that they stand before? */
bool sim_sight_holds(const sim_receipt *receipt, const ms_value *before);

/* ----- sim_fold.c */
/* One random {"operator": {path: operand}} of a place that only commutes, without braces. */
void sim_fold_clause(sim_world *sim, char *out, size_t bytes);
/* At the end: every such place holds what the accepted operations make. */
void sim_fold_check(sim_world *sim, const sim_group *group);

/* ----- sim_desk.c */
/* The update, taken, with something that is asked of the desk. */
ms_update *sim_desk_update(sim_world *sim, const sim_proc *proc, ms_update *update);
/* The model after an entry; owned. */
sim_desk *sim_desk_note(sim_world *sim, const sim_desk *before, const msi_entry *entry);
void sim_desk_free(sim_desk *desk); /* accepts NULL */
/* Somebody has this desk at that version. */
void sim_desk_check(sim_proc *proc, const sim_group *group, uint64_t version,
                    const ms_value *desk);
/* Does the host have to refuse the patch for what the desk or the places of others say? */
bool sim_desk_denies(const sim_desk *desk, const msi_patch *patch,
                     const ms_update *update, const ms_value *before);
/* Does what an update leads to break the schema or the rules? */
bool sim_desk_is_against(const sim_desk *desk, const ms_update *update,
                         const ms_value *before, const ms_value *after);
extern const ms_validator sim_desk_validator;
/* Does it call who is not here? */
bool sim_desk_calls_nobody(const sim_group *group, const ms_update *update,
                           uint64_t version);
/* An owner takes a delivery: each message once, in its place. */
void sim_desk_hear(sim_proc *proc, const sim_group *group, const msi_delivery *delivery,
                   uint64_t self);
/* A host takes away only what has expired. */
void sim_desk_check_house(sim_proc *proc, const sim_desk *desk, const msi_entry *entry);
/* At the end: what has expired is gone. */
void sim_desk_check_end(sim_world *sim, const sim_group *group);
/* A departure takes away what was bound to the peer, and nothing else. */
void sim_desk_check_departure(sim_world *sim, const sim_desk *desk,
                              const msi_entry *entry, const ms_value *before,
                              const ms_value *after);

/* ----- sim_transaction.c */

typedef struct sim_reading sim_reading;
/* Shall this write be a transaction? */
bool sim_transaction_wanted(sim_world *sim, const sim_proc *proc);
/* Reads here and there in the view. */
sim_reading *sim_transaction_read(sim_world *sim, const sim_proc *proc);
void sim_transaction_free(sim_reading *reading); /* accepts NULL */
/* Borrowed; NULL of NULL. */
msi_reads *sim_transaction_reads(const sim_reading *reading);
/* As a transaction submits it. The update is taken. */
ms_update *sim_transaction_update(sim_world *sim, ms_update *update);
/* It was accepted on this document. */
void sim_transaction_check(sim_world *sim, const sim_receipt *receipt, uint64_t version,
                           const ms_value *before);
/* Do the reads (may be NULL) hang on what a rejected update was to write? */
bool sim_transaction_hangs_on(const msi_reads *reads, const ms_update *rejected);
void sim_transaction_print(const sim_reading *reading);

/* ----- sim_fault.c */
/* The process calls into the library from here on. */
void sim_fault_enter(const sim_proc *proc);
/* It is about to be the host of a later term. */
void sim_fault_takeover(const sim_proc *proc);
/* From now on, for this thread: the library has the bug and the size of index of this world. */
void sim_fault_begin(const sim_world *sim);
/* The update as a writer with the bug submits it: retained, often `update` itself. */
ms_update *sim_fault_update(const sim_world *sim, ms_update *update, bool is_dormant);

/* ----- sim_check.c */
/* An entry was committed, or delivered: it must fit into the history. */
void sim_check_committed(sim_proc *proc, uint64_t term, uint64_t version,
                         const uint8_t *data, size_t bytes);
void sim_check_delivery(sim_proc *proc, const msi_delivery *delivery);
/* A process replaces a group: nobody who was complete in it may be alive. */
void sim_check_given_up(sim_proc *proc, const sim_group *stale);
/* A host that holds its lock is replaced: its heart must have stood still for long. */
void sim_check_suspicion(sim_proc *proc, const sim_proc *host);
/* A frame leaves: entries in it must be part of the history. */
void sim_check_sent(sim_proc *proc, const uint8_t *data, size_t bytes);
/* After an event of a process. */
void sim_check_proc(sim_proc *proc);
/* The view against committed and pending, computed again. */
void sim_check_view(sim_proc *proc);
/* Everything has settled? NULL, or what is missing. */
const char *sim_check_quiet(sim_world *sim, char *buffer, size_t bytes);
void sim_check_end(sim_world *sim);
/* The decision about a patch of a process: its version, 0: none. */
uint64_t sim_check_decision(const sim_proc *proc, const sim_group *group, uint64_t number,
                            bool *accepted);
const ms_value *sim_check_root(const sim_group *group, uint64_t version);

#endif
