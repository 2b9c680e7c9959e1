/*
 * Hooks: subscriptions to changes of a document, and the matcher that finds which of them
 * a step from one root to the next concerns. Pure: it compares values and calls back.
 *
 * What a pattern reports. A pattern matches paths; `*` stands for one key, `**` for any
 * number of them, none included. A subscription hears of each path that its pattern
 * matches and whose value differs (deeply) between the two roots, being there or not
 * included. A pattern that ends in `**` reports leaves only: a path where a scalar or an
 * empty container came, went or changed. It does not report that a container got its
 * first child or lost its last one, since that child is reported; a scalar that turns
 * into a container is reported, and so are the leaves in it. `**` alone reports all
 * leaves of the document.
 *
 * Where it looks. The difference of the roots decides whether something changed; paths
 * decide only where to look. They must cover every difference; NULL looks everywhere.
 * Below a path, and where an array changed its length or a container its type, the
 * matcher compares all; shared branches cost nothing. Subscriptions stand in a trie by
 * the keys of their patterns, so that a change costs what it concerns, however many
 * others there are.
 *
 * Order. All matches of one dispatch are found first and called then: subscriptions in
 * the order of their making, for each one its paths in the order in which they were met,
 * a container before what is in it. Callbacks may add subscriptions (which hear from the
 * next dispatch on) and remove them (which hear no more, also in the dispatch under way).
 */
#ifndef MSI_HOOK_H
#define MSI_HOOK_H

#include "update.h"

typedef struct msi_hooks msi_hooks;
typedef struct msi_hook msi_hook;

MS_CHECKED ms_status msi_hooks_new(const ms_alloc *alloc, msi_hooks **out);
/* Removes what is left. Not inside a dispatch. Accepts NULL. */
void msi_hooks_free(msi_hooks *self);
size_t msi_hooks_count(const msi_hooks *self);

/* pattern: retained. *out is valid until it is removed. MS_ENOMEM. */
MS_CHECKED ms_status msi_hooks_add(msi_hooks *self, const ms_path *pattern,
                                   unsigned flags, ms_change_fn fn, void *ud,
                                   msi_hook **out);
void msi_hooks_remove(msi_hooks *self, msi_hook *hook);
unsigned msi_hook_flags(const msi_hook *hook);

/*
 * Call the subscriptions that the step concerns. `old_root` or `new_root` may be NULL:
 * nothing is there. `template` gives all that is not filled in here, which is: path,
 * old_value, new_value, is_index, and kind where it is MS_CHANGE_SET or MS_CHANGE_REMOVE.
 *
 * MS_ENOMEM: nobody was called, or only some were when memory was short for the paths
 * themselves. MS_EBUSY: inside a callback of a dispatch.
 */
MS_CHECKED ms_status msi_hooks_dispatch(msi_hooks *self, const ms_value *old_root,
                                        const ms_value *new_root,
                                        const ms_path *const *paths, size_t path_count,
                                        const ms_change *template);
/* The same for the paths of an update; NULL looks everywhere. */
MS_CHECKED ms_status msi_hooks_dispatch_update(msi_hooks *self, const ms_value *old_root,
                                               const ms_value *new_root,
                                               const ms_update *update,
                                               const ms_change *template);
/*
 * The same for a place below objects that went from one scalar, or from nothing, to another, which differs:
 * without the roots. Not where msi_hooks_need_roots() says so.
 */
MS_CHECKED ms_status msi_hooks_dispatch_leaf(msi_hooks *self, const ms_path *path,
                                             const ms_value *old_value,
                                             const ms_value *new_value,
                                             const ms_change *template);
/* Would a subscription hear of a container around such a place? True also without memory to find out. */
bool msi_hooks_need_roots(msi_hooks *self, const ms_path *path);
/* MS_ON_IMMEDIATE: call one subscription for each match in `root`, as if all of it were
 * new. Statuses as above. */
MS_CHECKED ms_status msi_hooks_visit(msi_hooks *self, msi_hook *hook,
                                     const ms_value *root, const ms_change *template);

#endif
