/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether the writers of a running server wait longer for its disks than they are used to, because we read.
 *
 * What is measured is the mean time that the kernel took for a write request, from /sys/block/X/stat: we only
 * read, so that writes are all of the server's own.  It is compared with what they are used to: at first the
 * mean since the disk was there, which then follows what is measured, slowly.  Where it is twice as long, and
 * noticeably so, we hold back, more each time, and less again as it becomes better.  Where holding back does
 * not help, the server is busier than it was, and that is soon what it is used to.
 */
#ifndef CAPTURE_LATENCY_H
#define CAPTURE_LATENCY_H

#include <stddef.h>
#include <stdint.h>

#include "p2v/base/err.h"

#define LATENCY_MAX_LEVEL 16u

/* Of one disk; zero-initialised: nothing is known of it. */
struct latency {
	uint64_t base_us; /* what writers are used to; 0: not known */
	unsigned level; /* 0: we do not hold back */
};

/* What the writes of some time say; sets the level, and learns. */
void latency_judge(struct latency *latency, uint64_t writes, uint64_t waited_us);

/* The same of all writes up to now, for what writers are used to. */
void latency_learn(struct latency *latency, uint64_t writes, uint64_t waited_us);

struct latency_gauge;
/* Devices by their files; ERR_FAILED: the kernel does not tell. */
struct err *latency_open(const char *const *devices, size_t count, struct latency_gauge **ret_gauge)
	ERR_MUST_CHECK;
void latency_close(struct latency_gauge *gauge); /* takes NULL */
/* The highest of all disks', by what was written since the last call. */
unsigned latency_level(struct latency_gauge *gauge);

#endif
