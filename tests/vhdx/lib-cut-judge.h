/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Power cut at any moment of a life, and what is left judged. */
#ifndef TESTS_VHDX_LIB_CUT_JUDGE_H
#define TESTS_VHDX_LIB_CUT_JUDGE_H

#include "tests/vhdx/lib-cut-life.h"

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
 * Tries about so many states from all over a life.  Each must open, hold what
 * flushes allow, check clean, be replayed and finished (or merged), also if the
 * power fails again meanwhile.  The error says which one does not.
 */
struct err *cut_life_try(struct cut_life *life, size_t states, struct cut_tally *tally) ERR_MUST_CHECK;

#endif
