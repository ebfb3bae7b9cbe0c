/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A conversion rehearsed on a copy of a job that is still being received, and what is known of the last one.
 */
#ifndef P2V_CMD_REHEARSE_H
#define P2V_CMD_REHEARSE_H

#include "p2v/base/json.h"
#include "p2v/cmd/convert.h"

enum rehearsal_verdict {
	REHEARSAL_NONE, /* there was none */
	REHEARSAL_CONVERTS,
	REHEARSAL_REFUSES, /* and will at the cutover, too */
	REHEARSAL_UNKNOWN, /* it failed, but on disks that were written to meanwhile: that need not mean
			      anything */
};

enum rehearsal_proof { PROOF_NOT_WANTED, PROOF_BOOTS, PROOF_FAILS };

struct rehearsal {
	enum rehearsal_verdict verdict;
	enum rehearsal_proof proof;
	time_t when;
	uint64_t passes; /* of the sender, that were over */
	bool is_settled; /* see p2v/cmd/snapshot.h */
	char *reason, *advice; /* why not; NULL: nothing is wrong */
};

/* Rehearses options->job, prints as a dry run does, and saves the outcome in the job's folder.  ERR_REFUSED:
 * it cannot be converted; ERR_FAILED: that could not be told, or what came out does not boot. */
struct err *rehearse(const struct convert_options *options, const struct log *log) ERR_MUST_CHECK;

struct err *rehearsal_save(const struct rehearsal *rehearsal, const char *folder) ERR_MUST_CHECK;
/* ret_rehearsal must be zero-initialised; REHEARSAL_NONE where nothing was saved. */
struct err *rehearsal_load(const char *folder, struct rehearsal *ret_rehearsal) ERR_MUST_CHECK;
json_t *rehearsal_to_json(const struct rehearsal *rehearsal); /* the caller's reference */
const char *rehearsal_words(const struct rehearsal *rehearsal); /* "would convert; boots" */
void rehearsal_deinit(struct rehearsal *rehearsal);
#define CLEANUP_REHEARSAL CLEANUP(rehearsal_deinit)

#endif
