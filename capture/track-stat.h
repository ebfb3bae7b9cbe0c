/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the kernel itself counts and tells of a disk: the other side of the ledger. */
#ifndef CAPTURE_TRACK_STAT_H
#define CAPTURE_TRACK_STAT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "p2v/base/err.h"

/* One look.  Two looks at the same disk are of the same disk only if `sequence` is the same. */
struct track_stat {
	uint64_t written_sectors, discarded_sectors; /* of requests that are done */
	uint64_t writes_in_flight; /* also discards */
	uint64_t size_bytes;
	uint64_t sequence; /* rises when a device number gets another disk; 0 before kernel 5.15 */
	bool is_counting; /* queue/iostats */
};

struct track_stat_reader; /* keeps the files open: looking is a matter of microseconds */

/* Of a whole disk by its number. */
struct err *track_stat_open(dev_t device, struct track_stat_reader **ret_reader) ERR_MUST_CHECK;
void track_stat_close(struct track_stat_reader *reader); /* takes NULL */

/* False: the disk is gone. */
bool track_stat_look(const struct track_stat_reader *reader, struct track_stat *ret_stat);
/* Only the sectors and what is in flight: the quick part. */
bool track_stat_look_counters(const struct track_stat_reader *reader, struct track_stat *ret_stat);

/* Why requests to this kind of disk cannot be followed, in words; NULL if they can. */
const char *track_stat_objection(dev_t device);

#endif
