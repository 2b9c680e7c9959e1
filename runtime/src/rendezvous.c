/* What a share has in its directory (see rendezvous.h). */
#include "rendezvous.h"

#include <string.h>
#include <unistd.h>

/* A group that has moved is sought for so long, in looks that are not further apart than the pause. */
static const uint64_t SEEK_NS = UINT64_C(5000000000), SEEK_PAUSE_NS = 2 * MSI_TICK_NS;

/* ------------------------------------------------------------------- directory */

ms_status msi_rendezvous_open(msi_rendezvous *self, const char *dir, bool create,
                              ms_error *error) {
  self->left.fd = -1;
  return msi_directory_open(dir, create, &self->directory, error);
}

static void directory_take(msi_rendezvous *self, const msi_directory *fresh) {
  msi_directory_close(&self->left);
  self->left = self->directory;
  self->directory = *fresh;
}

/* Where the path leads now, when that is another directory than the open one. */
static ms_status directory_renew(msi_rendezvous *self, bool create, ms_error *error) {
  msi_directory fresh;
  if (msi_directory_is_current(&self->directory)) return MS_OK;
  ms_status status = msi_directory_open(self->directory.path, create, &fresh, error);
  if (status != MS_OK) return status;
  directory_take(self, &fresh);
  return MS_OK;
}

/* ------------------------------------------------------------------ kept logs */

static void kept_add(msi_rendezvous *self, msi_log *log) {
  msi_log_close(self->kept[MSI_KEPT_LOGS - 1]);
  memmove(self->kept + 1, self->kept, (MSI_KEPT_LOGS - 1) * sizeof *self->kept);
  self->kept[0] = log;
}

static void kept_drop(msi_rendezvous *self) {
  for (size_t i = 0; i < MSI_KEPT_LOGS; i++) {
    msi_log_close(self->kept[i]);
    self->kept[i] = NULL;
  }
}

static msi_log *log_open_in(const msi_rendezvous *self, const msi_directory *directory,
                            uint64_t term) {
  msi_log *log = NULL;
  if (directory->fd < 0) return NULL;
  ms_status status = msi_log_open(self->alloc, directory, self->name,
                                  msi_group_id(self->group), term, &log, NULL);
  if (status == MS_OK && !msi_log_has_ended(log)) return log;
  if (status == MS_OK) msi_log_close(log);
  return NULL;
}

static msi_log *log_open(const msi_rendezvous *self, uint64_t term) {
  msi_log *log = log_open_in(self, &self->directory, term);
  return log != NULL ? log : log_open_in(self, &self->left, term);
}

/* MSI_KEPT_LOGS: not kept. */
static size_t kept_find(const msi_rendezvous *self, uint64_t term) {
  size_t at = 0;
  while (at < MSI_KEPT_LOGS &&
         (self->kept[at] == NULL || msi_log_term(self->kept[at]) != term)) {
    at++;
  }
  return at;
}

/* Where a kept log goes on. */
static void kept_refresh(msi_rendezvous *self, size_t at) {
  if (self->kept[at] == NULL || !msi_log_has_moved(self->kept[at])) return;
  msi_log *fresh = log_open(self, msi_log_term(self->kept[at]));
  if (fresh == NULL) return;
  if (msi_log_has_moved(fresh)) {
    msi_log_close(fresh);
    return;
  }
  msi_log_close(self->kept[at]);
  self->kept[at] = fresh;
}

void msi_rendezvous_keep_log(msi_rendezvous *self, uint64_t term) {
  if (kept_find(self, term) < MSI_KEPT_LOGS) return;
  msi_log *log = log_open(self, term);
  if (log != NULL) kept_add(self, log);
}

msi_log *msi_rendezvous_borrow_log(const msi_rendezvous *self, uint64_t term) {
  size_t at = kept_find(self, term);
  if (at < MSI_KEPT_LOGS && !msi_log_has_ended(self->kept[at])) return self->kept[at];
  return log_open(self, term);
}

void msi_rendezvous_return_log(const msi_rendezvous *self, msi_log *log) {
  for (size_t i = 0; i < MSI_KEPT_LOGS; i++) {
    if (self->kept[i] == log) return;
  }
  msi_log_close(log);
}

/* Hosts sweep logs that nobody needs any more; one that is still kept would hold its blocks. */
static void kept_prune(msi_rendezvous *self) {
  for (size_t i = 0; i < MSI_KEPT_LOGS; i++) kept_refresh(self, i);
  if (self->kept[0] == NULL ||
      !msi_log_is_named(self->kept[0], &self->directory, self->name)) {
    return; /* names cannot be relied on */
  }
  for (size_t i = 1; i < MSI_KEPT_LOGS; i++) {
    if (self->kept[i] == NULL) continue;
    if (msi_log_is_named(self->kept[i], &self->directory, self->name)) continue;
    msi_log_close(self->kept[i]);
    self->kept[i] = NULL;
  }
}

/* ----------------------------------------------------------- a term of its own */

static void fading_end(msi_rendezvous *self, size_t at) {
  if (self->fading[at] == NULL) return;
  msi_log_mark_ended(self->fading[at]);
  msi_log_close(self->fading[at]);
  self->fading[at] = NULL;
}

static void fading_add(msi_rendezvous *self, msi_log *log) {
  const size_t last = MSI_FADING_LOGS - 1;
  fading_end(self, last);
  memmove(self->fading + 1, self->fading, last * sizeof *self->fading);
  memmove(self->fading_ticks + 1, self->fading_ticks, last * sizeof *self->fading_ticks);
  msi_log_mark_moved(log);
  self->fading[0] = log;
  self->fading_ticks[0] = 0;
}

static void fading_age(msi_rendezvous *self) {
  for (size_t i = 0; i < MSI_FADING_LOGS; i++) {
    if (++self->fading_ticks[i] >= MSI_FADING_TICKS) fading_end(self, i);
  }
}

ms_status msi_rendezvous_append(msi_rendezvous *self, uint64_t version,
                                const uint8_t *data, size_t bytes) {
  ms_status status = msi_log_append(self->history, version, data, bytes);
  if (status != MS_OK) return status;
  for (size_t i = 0; i < MSI_FADING_LOGS; i++) {
    if (self->fading[i] == NULL) continue;
    if (msi_log_append(self->fading[i], version, data, bytes) != MS_OK)
      fading_end(self, i);
  }
  return MS_OK;
}

void msi_rendezvous_discard(msi_rendezvous *self) {
  /* They have all that was stored, and nothing more comes: they stay complete. */
  for (size_t i = 0; i < MSI_FADING_LOGS; i++) {
    msi_log_close(self->fading[i]);
    self->fading[i] = NULL;
  }
  msi_log_info info = {false, false, 0, 0};
  msi_listener_close(self->listener, true);
  if (self->history != NULL) msi_log_inspect(self->history, &info);
  if (info.ready) {
    kept_add(self, self->history); /* it was served, so it is history */
  } else {
    msi_log_close(self->history);
  }
  self->listener = NULL;
  self->history = NULL;
  self->own_term = 0;
}

/* As if it had never been: log and socket of a term that was not reached. */
static void term_forget(msi_rendezvous *self) {
  char log_name[MSI_FILE_NAME_MAX];
  msi_directory_log_name(self->name, self->own_term, log_name, sizeof log_name);
  if (self->history != NULL) unlinkat(self->directory.fd, log_name, 0);
  msi_rendezvous_discard(self);
}

static ms_status listener_make(const msi_rendezvous *self, const msi_directory *directory,
                               uint64_t term, msi_listener **out, ms_error *error) {
  char socket_name[MSI_FILE_NAME_MAX];
  msi_directory_socket_name(self->name, term, socket_name, sizeof socket_name);
  return msi_listener_new(self->alloc, self->loop, directory, socket_name, self->events,
                          self->ud, self->on_link, self->on_refused, out, error);
}

static ms_status term_make(msi_rendezvous *self, uint64_t term, bool founding,
                           ms_error *error) {
  msi_rendezvous_discard(self);
  ms_status status = (founding ? msi_log_found : msi_log_create)(
      self->alloc, &self->directory, self->name, msi_group_id(self->group), term,
      &self->history, error);
  if (status != MS_OK) return status;
  self->own_term = term;
  status = listener_make(self, &self->directory, term, &self->listener, error);
  if (status != MS_OK) term_forget(self);
  return status;
}

ms_status msi_rendezvous_prepare(msi_rendezvous *self, uint64_t term, ms_error *error) {
  ms_status status = directory_renew(self, true, error);
  return status == MS_OK ? term_make(self, term, false, error) : status;
}

/* ------------------------------------------------------------------- enrolment */

void msi_rendezvous_leave(msi_rendezvous *self) {
  msi_rendezvous_discard(self);
  kept_drop(self);
  self->lost = false;
  self->sought_at = 0;
  while (self->former_count > 0) msi_group_close(self->formers[--self->former_count]);
  msi_group_close(self->group);
  self->group = NULL;
  self->candidacy = 0;
  self->complete = false;
}

/*
 * MS_EBUSY: somebody was faster. The group is published before its log and socket are made: who holds its
 * locks is alone with its names, however long it is stopped in between, and joiners dial again.
 */
static ms_status enrol_found(msi_rendezvous *self, uint64_t id, msi_group *stale,
                             ms_error *error) {
  uint64_t term = msi_group_first_term(&self->directory, self->name, stale);
  ms_status status = msi_group_found(self->alloc, &self->directory, self->name,
                                     self->peer, id, term, stale, &self->group, error);
  if (status != MS_OK) return status;
  self->complete = true;
  self->candidacy = term;
  status = term_make(self, term, true, error);
  if (status == MS_OK) return MS_OK;
  msi_group_unlink_if_last(self->group, &self->directory, self->name);
  msi_rendezvous_leave(self);
  return status;
}

ms_status msi_rendezvous_enrol(msi_rendezvous *self, uint64_t peer, uint64_t id,
                               bool may_found, bool *founded, ms_error *error) {
  msi_group *group = NULL;
  bool alive = false;
  msi_rendezvous_leave(self);
  self->peer = peer;
  ms_status status = directory_renew(self, may_found, error);
  if (status != MS_OK) return status;
  status = msi_group_open(self->alloc, &self->directory, self->name, peer, &group, &alive,
                          error);
  if (status == MS_OK && alive) {
    self->group = group;
    *founded = false;
    return MS_OK;
  }
  if (status != MS_OK && status != MS_ENOENT) return status;
  if (may_found) {
    *founded = true;
    status = enrol_found(self, id, group, error);
  } else {
    status = msi_fail(error, MS_ENOENT, "no share \"%s\" lives in %s", self->name,
                      self->directory.path);
  }
  msi_group_close(group);
  return status;
}

static void former_keep(msi_rendezvous *self, msi_group *former) {
  if (self->former_count == MSI_FORMERS_MAX) {
    msi_group_close(self->formers[0]);
    self->former_count--;
    memmove(self->formers, self->formers + 1, self->former_count * sizeof *self->formers);
  }
  self->formers[self->former_count++] = former;
}

/* Who has not followed is still there. */
static void formers_prune(msi_rendezvous *self) {
  size_t left = 0;
  for (size_t i = 0; i < self->former_count; i++) {
    if (msi_group_has_others(self->formers[i])) {
      self->formers[left++] = self->formers[i];
    } else {
      msi_group_close(self->formers[i]);
    }
  }
  self->former_count = left;
}

static bool rendezvous_is_shared(const msi_rendezvous *self) {
  bool shared = false;
  for (size_t i = 0; i < self->former_count && !shared; i++) {
    shared = msi_group_has_others(self->formers[i]);
  }
  return shared;
}

void msi_rendezvous_close(msi_rendezvous *self) {
  const msi_directory *directory = &self->directory;
  bool last = false;
  if (self->group != NULL && !rendezvous_is_shared(self) &&
      msi_group_is_published(self->group, directory, self->name)) {
    msi_group_unlink_if_last(self->group, directory, self->name);
    last = !msi_group_is_published(self->group, directory, self->name);
  }
  /* Nobody is left who could need a log. A new group that is founded meanwhile begins above. */
  uint64_t term = last ? msi_group_term(self->group) : 0;
  msi_listener_close(self->listener, last);
  self->listener = NULL;
  if (last) msi_directory_sweep(directory, self->name, term + 1);
  msi_rendezvous_leave(self);
  msi_directory_close(&self->left);
  msi_directory_close(&self->directory);
}

/* ------------------------------------------------------------------- following */

/* Has nothing been found for long? Time in which this process was stopped does not count. */
static void follow_fails(msi_rendezvous *self) {
  uint64_t now = uv_hrtime();
  if (now - self->sought_at > SEEK_PAUSE_NS) self->sought_since = now;
  self->sought_at = now;
  self->lost = now - self->sought_since >= SEEK_NS;
}

/* The group has another file now. Until it is found the old one is kept. */
static void rendezvous_follow(msi_rendezvous *self) {
  ms_error error;
  msi_group *group = NULL;
  ms_status status = directory_renew(self, false, &error);
  if (status == MS_OK) {
    status = msi_group_follow(self->alloc, &self->directory, self->name, self->group,
                              self->complete, &group, &error);
  }
  if (status != MS_OK) {
    follow_fails(self);
    return;
  }
  msi_group_step_out(self->group);
  former_keep(self, self->group);
  self->group = group;
}

uint64_t msi_rendezvous_term(msi_rendezvous *self) {
  uint64_t term = msi_group_term(self->group);
  if (term == MSI_TERM_MOVED && self->candidacy == 0) {
    rendezvous_follow(self);
    term = msi_group_term(self->group);
    if (self->lost) return MSI_TERM_NONE;
    if (term == MSI_TERM_MOVED) return self->term_seen; /* nothing is known to be later */
  }
  /* A candidate's lock does not follow: to it the term has changed, and it starts over. */
  if (term != MSI_TERM_MOVED) self->term_seen = term;
  return term;
}

/* ------------------------------------------------------------------------ locks */

bool msi_rendezvous_mark_complete(msi_rendezvous *self) {
  if (!msi_group_mark_complete(self->group)) return false;
  self->complete = true;
  return true;
}

bool msi_rendezvous_take_term_lock(msi_rendezvous *self, uint64_t term) {
  if (!msi_group_take_term_lock(self->group, term)) return false;
  self->candidacy = term;
  return true;
}

void msi_rendezvous_drop_term_lock(msi_rendezvous *self, uint64_t term) {
  msi_group_drop_term_lock(self->group, term);
  if (self->candidacy == term) self->candidacy = 0;
}

bool msi_rendezvous_member_alive(const msi_rendezvous *self, uint64_t peer) {
  bool alive = msi_group_member_alive(self->group, peer);
  for (size_t i = 0; i < self->former_count && !alive; i++) {
    alive = msi_group_member_alive(self->formers[i], peer);
  }
  return alive;
}

/* ---------------------------------------------------------------------- mending */

bool msi_rendezvous_has_moved(const msi_rendezvous *self) {
  if (self->group == NULL || self->own_term != 0) return false;
  return msi_group_term(self->group) == MSI_TERM_MOVED ||
         (self->kept[0] != NULL && msi_log_has_moved(self->kept[0]));
}

void msi_rendezvous_tend(msi_rendezvous *self) {
  if (self->group == NULL) return;
  (void)msi_rendezvous_term(self);
  kept_prune(self);
  formers_prune(self);
}

/* What a host needs in a directory. */
typedef struct station_files {
  msi_log *log;           /* NULL: the present one is there */
  msi_listener *listener; /* the same */
} station_files;

static void files_drop(msi_rendezvous *self, const msi_directory *directory,
                       station_files *files) {
  char log_name[MSI_FILE_NAME_MAX];
  msi_directory_log_name(self->name, self->own_term, log_name, sizeof log_name);
  if (files->log != NULL) unlinkat(directory->fd, log_name, 0);
  msi_log_close(files->log);
  msi_listener_close(files->listener, true);
}

static ms_status files_make(msi_rendezvous *self, const msi_directory *directory,
                            station_files *out, ms_error *error) {
  ms_status status = MS_OK;
  *out = (station_files){NULL, NULL};
  if (!msi_log_is_named(self->history, directory, self->name)) {
    status = msi_log_copy(self->history, directory, self->name, &out->log, error);
  }
  if (status == MS_OK && !msi_listener_is_named(self->listener, directory)) {
    status = listener_make(self, directory, self->own_term, &out->listener, error);
    if (status == MS_OK) status = msi_listener_accept(out->listener);
  }
  if (status != MS_OK) files_drop(self, directory, out);
  return status;
}

static void files_take(msi_rendezvous *self, const station_files *files) {
  if (files->log != NULL) {
    fading_add(self, self->history);
    self->history = files->log;
  }
  if (files->listener != NULL) {
    msi_listener_close(self->listener, true);
    self->listener = files->listener;
  }
}

static ms_status group_renew(msi_rendezvous *self, const msi_directory *directory,
                             ms_error *error) {
  msi_group *group = NULL;
  ms_status status = msi_group_move(self->alloc, directory, self->name, self->group,
                                    self->own_term, &group, error);
  if (status != MS_OK) return status;
  former_keep(self, self->group);
  self->group = group;
  return MS_OK;
}

/* The directory stands; some of the files have lost their names. */
static ms_status mend_here(msi_rendezvous *self, ms_error *error) {
  station_files files;
  ms_status status = files_make(self, &self->directory, &files, error);
  if (status != MS_OK) return status;
  files_take(self, &files);
  if (msi_group_is_published(self->group, &self->directory, self->name)) return MS_OK;
  return group_renew(self, &self->directory, error);
}

/* The path leads elsewhere or nowhere: all files are made there before the group moves. */
static ms_status mend_elsewhere(msi_rendezvous *self, ms_error *error) {
  msi_directory fresh;
  station_files files;
  ms_status status = msi_directory_open(self->directory.path, true, &fresh, error);
  if (status != MS_OK) return status;
  status = files_make(self, &fresh, &files, error);
  if (status == MS_OK) {
    status = group_renew(self, &fresh, error);
    if (status != MS_OK) files_drop(self, &fresh, &files);
  }
  if (status != MS_OK) {
    msi_directory_close(&fresh);
    return status;
  }
  files_take(self, &files);
  directory_take(self, &fresh);
  return MS_OK;
}

static bool rendezvous_is_whole(const msi_rendezvous *self) {
  const msi_directory *directory = &self->directory;
  return msi_group_is_published(self->group, directory, self->name) &&
         msi_log_is_named(self->history, directory, self->name) &&
         msi_listener_is_named(self->listener, directory);
}

ms_status msi_rendezvous_mend(msi_rendezvous *self, bool *mended, ms_error *error) {
  MSI_ASSERT(self->group != NULL);
  MSI_ASSERT(self->own_term != 0);
  *mended = false;
  fading_age(self);
  msi_rendezvous_tend(self);
  bool here = msi_directory_is_current(&self->directory);
  if (here && rendezvous_is_whole(self)) return MS_OK;
  if (msi_group_term(self->group) != self->own_term) return MS_OK; /* replaced */
  ms_status status = here ? mend_here(self, error) : mend_elsewhere(self, error);
  *mended = status == MS_OK;
  return status;
}
