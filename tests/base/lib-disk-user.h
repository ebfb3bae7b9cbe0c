/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A user of a disk: it remembers what each sector may hold after a
 * power cut: what was durable last (flushed, or written with FUA), or anything
 * that it asked for since.
 *
 * Each request has a number; a sector that it writes holds that number and the
 * sector's own, all over, so that what is old, lost, torn or in the wrong place
 * shows.
 */
#ifndef TESTS_BASE_LIB_DISK_USER_H
#define TESTS_BASE_LIB_DISK_USER_H

#include "tests/base/lib-recording.h"

/* The user knows `count` windows of the disk, each window_bytes long, stride_bytes apart (equal: all of
 * the disk).  Lengths are multiples of 512; what lies behind the disk's end is not there. */
struct disk_user_layout {
	uint64_t disk_bytes, window_bytes, stride_bytes;
};

struct disk_user;

/* The disk reads as zeros so far.  The recording gives the time, and must live longer. */
struct disk_user *disk_user_create(const struct disk_user_layout *layout, struct recording *recording);
void disk_user_destroy(struct disk_user *user);

/* Random requests: writes, zeros, trims, with and without FUA, flushes.  From several threads, each with
 * its own share of the windows: `share` of `shares`. */
struct disk_user_run {
	unsigned requests, flush_every; /* one in so many is a flush, on average */
	unsigned share, shares;
	uint64_t seed;
};
struct err *disk_user_use(struct disk_user *user, struct blk *disk, const struct disk_user_run *run)
	ERR_MUST_CHECK;

/* All that was asked for is durable from now on (a finish has returned). */
void disk_user_all_is_durable(struct disk_user *user);

/* Judges by the state of things at a time; times may not decrease, until disk_user_rewind(). */
void disk_user_rewind(struct disk_user *user);
void disk_user_advance(struct disk_user *user, uint64_t time);

/* Reads all windows; an error names the first sector that holds what it may not. */
struct err *disk_user_judge(const struct disk_user *user, struct blk *disk) ERR_MUST_CHECK;

/* Writes to each window, which must change nothing but what is written: blocks that get
 * their space now must not show what lay there before. */
struct err *disk_user_judge_new_blocks(const struct disk_user *user, struct blk *disk) ERR_MUST_CHECK;

#endif
