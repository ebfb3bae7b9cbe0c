/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tracker (track.c) and its tiers share. */
#ifndef CAPTURE_TRACK_IMPL_H
#define CAPTURE_TRACK_IMPL_H

#include "capture/track-cells.h"
#include "capture/track-ledger.h"
#include "capture/track.h"
#include "p2v/base/strv.h"

/* A reason why a disk's content was in doubt. */
struct track_doubt {
	char *text;
	unsigned times;
};

struct track_disk {
	char *device; /* as the caller named it */
	char *name; /* the kernel's: "sda" */
	dev_t number;
	uint64_t size_bytes, sequence;
	struct track_area written, discarded;
	struct track_stat_reader *reader;
	struct ledger ledger;
	uint64_t commands, beyond; /* the counts when tracking began anew */
	/* What may have been in flight at the last take, and what was unshown until then: see track-take.c.
	 */
	struct extents carried_written, carried_discarded;
	uint64_t unshown;
	/* The last that tracker_is_quiet() saw. */
	struct track_stat quiet_stat;
	struct track_counts quiet_seen;
	char *objection; /* why this disk can never be tracked; NULL if it can */
	char *doubt; /* why the next take gives everything; NULL if there is none */
	struct track_doubt *doubts; /* all so far */
	size_t doubt_count, doubt_capacity;
};

struct tracker {
	const struct track_tier *tier;
	void *state; /* the tier's */
	unsigned flags; /* the caller's */
	bool are_marks_copied; /* a tier in the kernel: its maps cannot be mapped */
	uint8_t *cells; /* the tier's; marks of all disks */
	uint64_t cells_bytes;
	uint32_t cell_bytes;
	struct track_disk *disks;
	size_t disk_count;
	const struct log *log;
	struct strv not_better; /* why better tiers are not used */
	char *guarantee; /* what is in use, in words */
};

/* A way to know what is written.  Where a function may be NULL it says so. */
struct track_tier {
	enum tracker_tier tier;
	const char *guarantee; /* for people */
	unsigned flags;
	/* Begins: sets state and cells.  On an error both stay as they were. */
	struct err *(*start)(struct tracker *tracker);
	void (*stop)(struct tracker *tracker); /* releases cells, too */
	/* All that has happened until now is in cells when it returns; NULL: it always is. */
	void (*drain)(struct tracker *tracker);
	/* The counts until now. */
	void (*look)(struct tracker *tracker, size_t disk, struct track_counts *ret_seen);
	/* How often the kernel skipped each event's program, for all disks. */
	void (*look_misses)(struct tracker *tracker, uint64_t ret_misses[TRACK_EVENTS]);
	/* What was lost since the last call, in words that the caller frees; NULL: nothing, also as the
	 * function. */
	char *(*find_loss)(struct tracker *tracker, size_t disk);
};

/* A discard's end does not tell all that it discarded, only its beginning does. */
#define TRACK_TIER_VAGUE_DISCARDS (1u << 0)
/* And that may be missing although the end was seen, which therefore proves nothing. */
#define TRACK_TIER_SKIPPED_DISCARDS (1u << 1)

extern const struct track_tier track_tier_bpf, track_tier_blktrace, track_tier_points;

/* What a look at the disk's two sides gives, for ledger_open() and ledger_check(). */
struct track_look {
	struct tracker *tracker;
	size_t disk;
};
bool track_look(void *arg, struct ledger_look *ret_look);

/* Takes the words over; keeps the first doubt as the reason, and counts each. */
void track_doubt(struct tracker *tracker, struct track_disk *disk, char *text);

/* Ends all doubt about what comes now. */
void track_begin_anew(struct tracker *tracker, size_t disk);

#endif
