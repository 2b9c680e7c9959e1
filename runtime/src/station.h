/*
 * A station: one share's place on the loop side. It owns the replica and gives it a world: directory,
 * group file, log, listener, links and a timer, and puts what comes out into a mailbox.
 *
 * Everything here is called with the runtime's mutex held, by whoever drives.
 */
#ifndef MSI_STATION_H
#define MSI_STATION_H

#include "driver.h"
#include "grave.h"
#include "mailbox.h"

typedef struct msi_station msi_station;

typedef struct msi_station_config {
  const ms_alloc *alloc;
  msi_driver *driver;
  msi_grave *grave; /* NULL: what dies is released at once */
  const char *dir;  /* copied; NULL: the default */
  const char *name; /* copied */
  bool must_exist;
  msi_replica_config replica; /* strings are copied, defaults retained */
  ms_log_fn log;
  void *log_ud;
  ms_log_level log_level;
  ms_clock_fn clock; /* NULL: the system's */
  void *clock_ud;
} msi_station_config;

/* Opens the directory and makes the replica; nothing happens before msi_station_start. */
MS_CHECKED ms_status msi_station_new(const msi_station_config *config, msi_station **out,
                                     ms_error *error);
void msi_station_start(msi_station *station);
/* Says good-bye, flushes and closes links, hands over, frees the locks. The memory goes once the loop
 * is done with the handles. The mailbox is gone after this call. */
void msi_station_close(msi_station *station);

/* Borrowed; what the owner has not taken yet. */
msi_mailbox *msi_station_mailbox(msi_station *station);
msi_replica *msi_station_replica(msi_station *station);
/* msi_replica_submit and _sync at the present time; *departure tells the driver what was left to do. */
MS_CHECKED ms_status msi_station_submit(msi_station *station, uint64_t base,
                                        int64_t wall_ms, ms_update *update,
                                        const ms_value *root_before,
                                        const ms_value *root_after, uint64_t *number,
                                        msi_departure *departure);
/* msi_replica_transact, likewise. */
MS_CHECKED ms_status msi_station_transact(msi_station *station, uint64_t base,
                                          int64_t wall_ms, ms_update *update,
                                          msi_reads *reads, uint64_t *number,
                                          msi_departure *departure);
/* Is it one of many patches of a host in a row, that will be taken for sure? Then, in the same visit,
 * msi_station_submit_later does without roots. */
bool msi_station_takes_later(msi_station *station, const ms_update *update);
MS_CHECKED ms_status msi_station_submit_later(msi_station *station, uint64_t base,
                                              int64_t wall_ms, ms_update *update,
                                              uint64_t *number, msi_departure *departure);
MS_CHECKED ms_status msi_station_sync(msi_station *station, uint64_t token);
/* Decides what a host wrote in a row and was left for later. */
void msi_station_decide(msi_station *station);
/* Write what is queued on the links: the end of a loop turn, or of an owner's call. */
void msi_station_flush(msi_station *station);

#endif
