/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which parts of a running machine's disks are written, without a kernel module.
 *
 * The contract, by which nothing is ever missed silently:
 *
 *	tracker_start()                     from now on
 *	read all of the disk
 *	repeat: tracker_take(), then read what it gives, always around the page cache (O_DIRECT)
 *	freeze what is mounted; wait until tracker_is_quiet(); tracker_take() and read a last time
 *	tracker_check() says TRACKER_CERTAIN: what was read is the disk
 *
 * Taking clears, and comes before reading: what is written meanwhile is in the
 * next take.  Whatever cannot be known makes the next take give the whole disk,
 * with a reason in words; from that take on the disk is tracked again, so that a
 * doubt costs one comparison of everything and not the whole capture.
 *
 * A tracker belongs to one thread.
 */
#ifndef CAPTURE_TRACK_H
#define CAPTURE_TRACK_H

#include <stdbool.h>
#include <stdint.h>

#include "p2v/base/err.h"
#include "p2v/base/extents.h"
#include "p2v/base/json.h"
#include "p2v/base/log.h"

struct tracker;

/* How it is known what was written, the best first. */
enum tracker_tier {
	TRACKER_AUTO, /* the first of these that the kernel has */
	TRACKER_BPF, /* programs in the kernel that mark every request */
	TRACKER_BLKTRACE, /* the kernel's log of requests, read all the time */
	TRACKER_POINTS, /* programs in the kernel again, which know less and doubt more: track-points.bpf.c */
	TRACKER_HASH, /* not at all: every take gives the whole disk, to be compared by hashes */
};

/* "bpf", "blktrace", "tracepoints", "hash"; TRACKER_AUTO is "auto". */
const char *tracker_tier_name(enum tracker_tier tier);

#define TRACKER_CELL_BYTES (64u << 10)

/* As if the kernel's maps could not be mapped: they are copied by system calls, as before 5.5. */
#define TRACKER_NO_MMAP (1u << 0)

/* Zero-initialised is fine. */
struct tracker_options {
	enum tracker_tier tier; /* not TRACKER_AUTO: this or an error */
	unsigned flags; /* TRACKER_NO_MMAP */
	uint32_t cell_bytes; /* what is told apart, a power of two; 0: TRACKER_CELL_BYTES, more on huge disks
			      */
	const struct log *log; /* warnings: every doubt; debug: why a tier cannot be had */
};

/* Sets tier and flags from "TIER" or "TIER,no-mmap".  ERR_USAGE names what it does not know. */
struct err *tracker_options_parse(const char *text, struct tracker_options *options) ERR_MUST_CHECK;

/*
 * Tracks whole disks, named by their device files ("/dev/sda"); their order is
 * the `disk` of all calls below.  An error: no such disk, or the kernel does not
 * have the tier that was asked for; TRACKER_AUTO always ends with TRACKER_HASH.
 */
struct err *tracker_start(const char *const *devices, size_t count, const struct tracker_options *options,
			  struct tracker **ret_tracker) ERR_MUST_CHECK;
/* Takes NULL. */
void tracker_stop(struct tracker *tracker);

/*
 * What was written, and what was discarded, since the last take: in whole cells,
 * cut at the disk's end.  A mark is in one take only, and in no less: cells are
 * cleared by an atomic exchange or, where they are copied, when no program can
 * write to them any more (track-kernel.c).  Both are added
 * to the sets.  Discarded bytes have to be read again only where a file system
 * uses them.  True: only these; false: the disk is in doubt and ret_changed is
 * all of it, to be compared.
 */
bool tracker_take(struct tracker *tracker, size_t disk, struct extents *ret_changed,
		  struct extents *ret_discarded);

enum tracker_certainty {
	TRACKER_IN_DOUBT, /* something may have been missed: the next take gives everything */
	TRACKER_SO_FAR, /* no doubt, but the disk is in use, so the last requests are not proved yet */
	TRACKER_CERTAIN, /* the disk is at rest, and the kernel counted exactly what was seen */
};

struct tracker_verdict {
	enum tracker_certainty certainty;
	const char
		*reason; /* in words for people, the tracker's until its next call; NULL if TRACKER_CERTAIN */
};

/* Compares with what the kernel counts, and looks for all that no tracker sees. */
void tracker_check(struct tracker *tracker, size_t disk, struct tracker_verdict *ret_verdict);

/* No write is in flight, and none has been seen or counted since the last time that this was asked. */
bool tracker_is_quiet(struct tracker *tracker, size_t disk);

/* What is in use, and what it guarantees, as a sentence; the tracker's. */
const char *tracker_describe(const struct tracker *tracker);
enum tracker_tier tracker_tier(const struct tracker *tracker);
uint32_t tracker_cell_bytes(const struct tracker *tracker);

/* Tier, guarantee, cell size, why better tiers are not used, and of each disk all doubts so far with how
 * often they came up; the caller's reference. */
json_t *tracker_to_json(const struct tracker *tracker);

DEFINE_CLEANUP(tracker, struct tracker *, tracker_stop)
#define CLEANUP_TRACKER CLEANUP(cleanup_tracker)

#endif
