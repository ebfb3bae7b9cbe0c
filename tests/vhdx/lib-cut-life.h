/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Whole lives of VHDX files under a guest, recorded. */
#ifndef TESTS_VHDX_LIB_CUT_LIFE_H
#define TESTS_VHDX_LIB_CUT_LIFE_H

#include "tests/base/lib-disk-user.h"
#include "vhdx/vhdx.h"

enum cut_story {
	CUT_ALONE, /* made, used, finished, used again, finished */
	CUT_CHILD, /* the same for a differencing file, over a parent that was used before */
	CUT_MERGE, /* such a child, used, is merged into its parent, used on, finished */
	CUT_AGAIN, /* made, used, finished, marked as incomplete, used again, finished */
};

struct cut_kind {
	const char *name;
	struct vhdx_create_options options;
	uint64_t window_bytes, stride_bytes; /* struct disk_user_layout */
	unsigned requests, flush_every, threads;
	enum cut_story story;
};

/* A fault built in: flushes get lost, and FUA, where what was changed in [start, end) of the file (CUT_MERGE:
 * of the parent) is to become durable before the next step; only what the guest is promised is kept. */
struct planted_fault {
	const char *name;
	uint64_t start, end;
};

/* Device 0 of the recording is the file, device 1 its parent, if it has one. */
struct cut_life {
	const struct cut_kind *kind;
	uint64_t seed;
	struct recording *recording;
	struct disk_user *disk_user;
	/* Times: the file is there; finishing it begins; it is finished; (CUT_AGAIN: marking it begins; it is
	 * marked; finishing it begins;) all ends. */
	uint64_t begin, created, finishing, finished, marking, marked, finishing_again, end;
};

/* Lives it once; fault may be NULL.  The kind must live as long. */
struct cut_life *cut_life_create(const struct cut_kind *kind, uint64_t seed,
				 const struct planted_fault *fault);
void cut_life_destroy(struct cut_life *life);

#endif
