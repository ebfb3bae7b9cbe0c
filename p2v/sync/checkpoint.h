/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a receiver remembers of a job beside the manifests: job.json in the job's folder.  Replaced as a
 * whole, durable when saving returns.
 */
#ifndef P2V_SYNC_CHECKPOINT_H
#define P2V_SYNC_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "p2v/base/err.h"
#include "p2v/sync/codec.h"

#define CHECKPOINT_FILE "job.json"

struct checkpoint_disk {
	char id[WIRE_MAX_ID_BYTES + 1];
	uint64_t size_bytes;
	uint32_t block_bytes;
	uint16_t logical_sector_bytes;
	uint16_t physical_sector_bytes;
};

#define CHECKPOINT_RUNS 8 /* that are remembered */

struct checkpoint {
	char name[WIRE_MAX_NAME_BYTES + 1];
	uint8_t hash_key[WIRE_HASH_KEY_BYTES];
	bool complete; /* the copies are what `root` says; false: being received, or held */
	struct root root;
	time_t started; /* the first session */
	time_t completed; /* the last commit; 0: none yet */
	time_t held_since; /* they are too, but the sender has not had the last word; 0: not held */
	struct checkpoint_disk *disks;
	size_t disk_count;
	uint8_t runs[CHECKPOINT_RUNS][WIRE_RUN_BYTES]; /* the newest first */
	size_t run_count;
};

/* A new job's, with a new hash key. */
struct err *checkpoint_init(const struct message_job *job, struct checkpoint *ret_checkpoint) ERR_MUST_CHECK;
void checkpoint_deinit(struct checkpoint *checkpoint);

/* Whether a sender's job is this one: the same disks in the same order, name apart.  ERR_REFUSED says what
 * differs. */
struct err *checkpoint_compare(const struct checkpoint *checkpoint, const struct message_job *job)
	ERR_MUST_CHECK;

/* A run that a newer one has followed is not to come again: checkpoint_superseded(). */
struct err *checkpoint_check_run(const struct checkpoint *checkpoint, const uint8_t run[WIRE_RUN_BYTES])
	ERR_MUST_CHECK;
struct err *checkpoint_superseded(void) ERR_MUST_CHECK;
/* The run is the newest from now on. */
void checkpoint_take_run(struct checkpoint *checkpoint, const uint8_t run[WIRE_RUN_BYTES]);

/* Who changes the copies, or job.json, holds the job's folder: until *ret_fd is closed, or the process ends.
 */
struct err *checkpoint_lock(const char *folder, int *ret_fd) ERR_MUST_CHECK;

struct err *checkpoint_save(const struct checkpoint *checkpoint, const char *folder) ERR_MUST_CHECK;
/* err_errno() is ENOENT if there is none.  ret_checkpoint must be zero-initialised. */
struct err *checkpoint_load(const char *folder, struct checkpoint *ret_checkpoint) ERR_MUST_CHECK;

#define CLEANUP_CHECKPOINT CLEANUP(checkpoint_deinit)

#endif
