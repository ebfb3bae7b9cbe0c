/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What reaches devices, in order: every write, zero, discard, resize and flush,
 * with when it began and when it returned.  From that lib-power-cut.h makes what
 * a power cut at any moment could leave.
 *
 * Time is a counter that each event increases; a test draws from it too, to place
 * its own events (what the guest asked for, and when it was told "done").
 */
#ifndef TESTS_BASE_LIB_RECORDING_H
#define TESTS_BASE_LIB_RECORDING_H

#include <stdbool.h>

#include "p2v/base/blk.h"

#define RECORDING_NEVER UINT64_MAX

enum recorded_kind { RECORDED_WRITE, RECORDED_ZERO, RECORDED_RESIZE, RECORDED_FLUSH };

struct recorded {
	enum recorded_kind kind;
	unsigned device; /* index, in the order in which they were attached */
	uint64_t offset, len_bytes; /* RECORDED_RESIZE: the new size in len_bytes */
	uint8_t *data; /* RECORDED_WRITE */
	bool fua;
	uint64_t begin, end; /* times; RECORDING_NEVER: it has not returned, or failed */
};

struct recording;

struct recording *recording_create(void);
/* After the devices have been closed. */
void recording_destroy(struct recording *recording);

/*
 * A device whose changes are recorded from now on, over one in memory, which it
 * owns; what that holds now counts as durable.  All requests may come from several threads.
 */
struct blk *recording_attach(struct recording *recording, struct blk *inner);

/* The present time, which no other event has. */
uint64_t recording_tick(struct recording *recording);

/* Once no request is under way any more: all that happened, ordered by begin; and what a device held when
 * it was attached, read-only. */
const struct recorded *recording_events(const struct recording *recording, size_t *ret_count);
unsigned recording_device_count(const struct recording *recording);
struct blk *recording_start(const struct recording *recording, unsigned device);

#endif
