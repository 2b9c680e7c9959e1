/*
 * The desk: replicated state beside the document, where peers queue for locks and leave what is to be done
 * when they depart. One immutable value, so that a snapshot of it, and a comparison, cost a pointer. It is a
 * function of the stream of entries, and travels in snapshots:
 *
 *     { locks = { <name> = [[peer, number, fence]...] },    the first one holds it
 *       bound = { <path> = peer },                          what goes when that peer departs
 *       owned = { <peer, hexadecimal> = count },            of bound, per peer
 *       handlers = { <name> = [peer...] },                  who answers calls, in the order of saying so
 *       grants = { <role and pattern> = true },             who may write where: desk_role.c
 *       limits = { writers = count },                       how many members may write
 *       rules = { schema = object, source = text },         what documents have to be: rule.h
 *       ttl = { <path> = [ttl_ms, deadline_ns] } }          places that expire: by timestamps of entries
 *
 * number is that of the patch which asked for the lock, fence the version of the entry that made its writer
 * the holder; of those who wait it is 0. A path stands as its packed form in a string. Whoever binds a path
 * last owns it. What is empty is left out, and a desk without anything is the empty table.
 *
 * Pure. Reading a desk is safe whatever its shape: what is not as above counts as not there.
 */
#ifndef MSI_DESK_H
#define MSI_DESK_H

#include "entry.h"

enum {
  MSI_DESK_BYTES_MAX =
      8 << 20, /* packed: far below a frame, so that what was bound fits into one */
  MSI_DESK_OPS_MAX = 1024, /* of one patch */
  MSI_QUEUE_MAX = 8192,    /* of one lock */
  /* Of one peer, at most as many paths as one entry can take away again. */
  MSI_BOUND_MAX = 4096,
  MSI_GRANTS_MAX = 128,   /* each is looked at for each operation of a patch */
  MSI_LIMITED_MAX = 65536 /* places with a ttl: a host goes through them now and then */
};
#define MSI_TTL_NS UINT64_C(1000000) /* of the unit of ttl_ms */

typedef struct msi_waiter {
  uint64_t peer, number, fence; /* fence: 0 while it waits */
} msi_waiter;

/* ----- looking. Names are bytes. */
/* The peers that hold or await a lock. */
size_t msi_desk_queue(const ms_value *desk, const char *name, size_t length);
/* The one at a place of that queue, 0 holds it. False: nobody. */
bool msi_desk_waiter(const ms_value *desk, const char *name, size_t length, size_t place,
                     msi_waiter *out);
/* Where the request of that peer and number stands. False: it is gone. */
bool msi_desk_find(const ms_value *desk, const char *name, size_t length, uint64_t peer,
                   uint64_t number, size_t *place, msi_waiter *out);
bool msi_desk_holds(const ms_value *desk, const char *name, size_t length, uint64_t peer,
                    uint64_t fence);
/* Does the peer hold or await any? O(all of them). */
bool msi_desk_awaits(const ms_value *desk, uint64_t peer);
/* Who has bound that path; 0: nobody, or it is too long for that. MS_ENOMEM. */
MS_CHECKED ms_status msi_desk_owner(const ms_alloc *alloc, const ms_value *desk,
                                    const ms_path *path, uint64_t *peer);
/* How many answer calls of that name, and who; 0: nobody. */
size_t msi_desk_handlers(const ms_value *desk, const char *name, size_t length);
uint64_t msi_desk_handler(const ms_value *desk, const char *name, size_t length,
                          size_t index);
/* Calls `fn` for each lock with its queue. */
typedef void (*msi_desk_fn)(void *ud, const char *name, size_t length,
                            const ms_value *queue);
void msi_desk_each(const ms_value *desk, msi_desk_fn fn, void *ud);
/* How many paths are bound to a peer. */
uint64_t msi_desk_owned(const ms_value *desk, uint64_t peer);
/* A part of the desk, borrowed; NULL: there is none. */
const ms_value *msi_desk_section(const ms_value *desk, const char *name);
/* An element of a list that is a number and not negative. */
bool msi_desk_number(const ms_value *list, size_t index, uint64_t *out);
/* Has the value the shape above? */
bool msi_desk_is_sound(const ms_value *desk);

/* ----- entries */
/* The desk after an entry, retained; often the same. MS_ENOMEM. */
MS_CHECKED ms_status msi_desk_note(const ms_alloc *alloc, const ms_value *desk,
                                   const msi_entry *entry, const ms_value **out);
/* What a patch asks of the desk before it is applied, and the limits of what it would make (`after`).
 * MS_EDENIED: a lock is not held; MS_ELIMIT. */
MS_CHECKED ms_status msi_desk_ask(const ms_value *desk, const msi_patch *patch,
                                  ms_error *error);
MS_CHECKED ms_status msi_desk_limit(const ms_value *before, const ms_value *after,
                                    const msi_patch *patch, ms_error *error);

/* A part of the desk in which `value` (NULL: nothing) stands under the key. MS_ENOMEM. */
MS_CHECKED ms_status msi_desk_put(const ms_alloc *alloc, const ms_value **desk,
                                  const char *section, const char *key, size_t length,
                                  const ms_value *value);

/* ----- roles: desk_role.c */
MS_CHECKED ms_status msi_role_note(const ms_alloc *alloc, const ms_value **desk,
                                   const msi_op *op);
/* May the member write to all places of the patch? MS_EDENIED. */
MS_CHECKED ms_status msi_desk_ask_roles(const ms_value *desk, const msi_patch *patch,
                                        const msi_member_info *member, ms_error *error);
/* How many members may write; 0: any. */
uint64_t msi_desk_writers(const ms_value *desk);
/* MS_ENOMEM leaves it as it was. */
MS_CHECKED ms_status msi_desk_set_writers(const ms_alloc *alloc, const ms_value **desk,
                                          uint64_t count);

/* ----- places that expire: desk_ttl.c */
/* What any operation of an entry does to them; *desk (retained) is replaced. MS_ENOMEM. */
MS_CHECKED ms_status msi_ttl_note(const ms_alloc *alloc, const ms_value **desk,
                                  const msi_entry *entry, const msi_op *op);
bool msi_ttl_is_sound(const ms_value *value);
/* The first deadline that an entry sets; UINT64_MAX: none. */
uint64_t msi_ttl_deadline(const msi_entry *entry);
/* Takes away places whose time is over, some of them if there are many: retained, NULL when there is none.
 * *next: when to look again. MS_ENOMEM. */
MS_CHECKED ms_status msi_ttl_expiry(const ms_alloc *alloc, const ms_value *desk,
                                    const ms_value *root, uint64_t now, ms_update **out,
                                    uint64_t *next);

/* ----- presence: each peer's own place in the document, "@peers.<id, hexadecimal>" */
#define MSI_PEERS_KEY "@peers"
enum { MSI_PEER_TEXT = 24 };
/* The id as it stands there; its length. */
size_t msi_peer_text(uint64_t peer, char text[MSI_PEER_TEXT]);
/* Would the patch write to the place of another peer? `root`: the document before. MS_EDENIED, MS_ENOMEM. */
MS_CHECKED ms_status msi_desk_ask_presence(const ms_alloc *alloc, const ms_value *root,
                                           const msi_patch *patch, ms_error *error);
/* Takes away what goes with a peer, as far as `root` has it: retained, NULL when that is nothing. MS_ENOMEM. */
MS_CHECKED ms_status msi_desk_departure(const ms_alloc *alloc, const ms_value *desk,
                                        const ms_value *root, uint64_t peer,
                                        ms_update **out);

#endif
