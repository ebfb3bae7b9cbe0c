/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One function over many pieces of a disk, on several threads. */
#ifndef VHDX_PIECES_H
#define VHDX_PIECES_H

#include "p2v/base/err.h"
#include "p2v/base/extents.h"

struct piece_job {
	const struct extents *set; /* what is worked on, in ascending order */
	uint64_t piece_bytes; /* a power of two: no piece crosses a multiple of it */
	size_t buffer_bytes; /* of memory for each thread */
	unsigned threads; /* 0: as many as suit this machine, at least 2 */
	/* One piece.  Called from several threads; after an error no further piece is begun. */
	struct err *(*run)(void *arg, void *buffer, uint64_t offset, size_t len_bytes);
	void *arg;
};

/* Returns the first error, when all threads have ended. */
struct err *pieces_run(const struct piece_job *job) ERR_MUST_CHECK;

#endif
