/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a receiver has seen of the passes of a sender (wire.h, 5), in a file in the job's folder for whoever
 * looks at the copies meanwhile: passes.json.  It is replaced as a whole, but not durable: after a power cut
 * it may tell of an earlier moment, and nothing but a look at the copies depends on it.
 */
#ifndef P2V_SYNC_PASSES_H
#define P2V_SYNC_PASSES_H

#include <stdbool.h>
#include <stdint.h>

#include "p2v/base/err.h"

#define PASSES_FILE "passes.json"

struct passes {
	uint64_t over; /* of which everything is here; 0: not even the first, the copies are not whole yet */
	bool is_between; /* nothing of a further one has come */
	bool is_connected; /* the sender is there, or the receiver was ended while it was */
};

struct err *passes_save(const struct passes *passes, const char *folder) ERR_MUST_CHECK;
/* All zeros where nothing was saved. */
struct err *passes_load(const char *folder, struct passes *ret_passes) ERR_MUST_CHECK;

#endif
