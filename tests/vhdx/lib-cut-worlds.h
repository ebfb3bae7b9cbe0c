/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole lives of VHDX files under a guest, recorded, and power cut at any moment of them. */
#ifndef TESTS_VHDX_LIB_CUT_WORLDS_H
#define TESTS_VHDX_LIB_CUT_WORLDS_H

#include "tests/base/lib-disk-user.h"
#include "vhdx/vhdx.h"

/* What happens in a life: made, used, finished, used again, finished. */
struct cut_world_kind {
	const char *name;
	struct vhdx_create_options options;
	uint64_t window_bytes, stride_bytes; /* struct disk_user_layout */
	unsigned requests, flush_every, threads;
};

/* A fault built in: flushes get lost (and FUA has no effect) when what was written to [start, end) of the
 * file is all that must become durable before the next step. */
struct planted_fault {
	const char *name;
	uint64_t start, end;
};

struct cut_world;

/* Lives it once; fault may be NULL.  The kind must live as long. */
struct cut_world *cut_world_live(const struct cut_world_kind *kind, uint64_t seed,
				 const struct planted_fault *fault);
void cut_world_destroy(struct cut_world *world);

/* What was tried. */
struct cut_tally {
	uint64_t *hashes; /* of the states */
	size_t count, capacity;
	size_t complete; /* states that are complete files */
	size_t replayed; /* that had a log to replay */
	size_t in_replay; /* cuts while a log was replayed */
};
void cut_tally_deinit(struct cut_tally *tally);
#define CLEANUP_CUT_TALLY CLEANUP(cut_tally_deinit)

/* How many different ones. */
size_t cut_tally_distinct(struct cut_tally *tally);

/*
 * Tries about so many states from all over its life.  Each must open, hold what
 * flushes allow, check clean, be replayed and finished, also if the power fails
 * again meanwhile.  The error says which one does not.
 */
struct err *cut_world_try(struct cut_world *world, size_t states, struct cut_tally *tally) ERR_MUST_CHECK;

#endif
