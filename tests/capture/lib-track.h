/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A disk whose writes are tracked, and a copy that is kept up by what the tracker
 * says: they must be equal in the end.
 */
#ifndef TESTS_CAPTURE_LIB_TRACK_H
#define TESTS_CAPTURE_LIB_TRACK_H

#include <stdbool.h>

#include "capture/track.h"

struct track_rig {
	char *dir, *file, *device; /* a loop device over the file */
	uint64_t size_bytes;
	uint8_t *copy;
	struct tracker *tracker; /* of this one disk */
	const char *tier; /* by which it was started */
	int direct_fd; /* of the device, O_DIRECT */
	/* Empty: all of it.  Else what was used when tracking began, or was written since: only what is in it
	 * is taken over where it is discarded. */
	struct extents used;
	/* Of the last rig_take(). */
	struct extents changed, discarded;
	bool is_whole;
};

/* Every way to track, as tracker_options_parse() has them; NULL behind the last. */
extern const char *const rig_tiers[];

/*
 * False where it cannot be tried: no root, no loop devices, no such tier in this
 * kernel.  P2V_TRACK_TIERS has the names of those that have to be there, with spaces between them, and
 * P2V_TRACK_DEVICE a disk that stands in for the loop device (which is no part of
 * some kernels): of the size that is asked for, and to be overwritten.
 */
bool rig_can(const char *tier);

/* A disk of random bytes, or of zeros; the caller starts the tracker. */
struct track_rig *rig_make(uint64_t size_bytes);
struct track_rig *rig_make_blank(uint64_t size_bytes);
/* Starts tracking; the copy is then read. */
void rig_start(struct track_rig *rig, const char *tier);
void rig_remove(struct track_rig *rig); /* takes NULL */

/* One pass: takes, then reads what was given into the copy. */
void rig_take(struct track_rig *rig);

/* Of the disk, into memory of the disk's size, around the page cache. */
void rig_read(const struct track_rig *rig, uint8_t *into, uint64_t start, uint64_t end);

/* Until the disk is quiet, at most some seconds. */
void rig_wait_quiet(struct track_rig *rig);

/* Bytes of cells that differ between disk and copy. */
uint64_t rig_count_different(struct track_rig *rig);

/* The last take of a frozen disk. */
struct rig_end {
	enum tracker_certainty certainty;
	uint64_t different; /* bytes of the copy, in whole cells */
	bool was_doubted; /* everything was taken on the way */
};
/* Also where the file system still discards what is free (ext4 does, by a worker that freezing does not
 * stop): then once more, until nothing has come since. */
void rig_end(struct track_rig *rig, struct rig_end *ret_end);

/* True if every cell that differs is in the last take. */
bool rig_take_covers_changes(struct track_rig *rig, const uint8_t *before);

/* The verdict must be this; its reason must have these words in it, if not NULL. */
void rig_expect(struct track_rig *rig, enum tracker_certainty certainty, const char *words);

#endif
