/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The transfer: the agent's own `send` as a child, again and again until it is
 * done or refused.
 *
 * What a link that is lost, or a receiver that is started anew, ends is begun again after a pause, for ever:
 * a machine that was started to be copied has nothing else to do.  What is refused (a wrong key, a disk in
 * use) would be refused again: it is shown.
 */
#ifndef ISO_LIVE_TRANSFER_H
#define ISO_LIVE_TRANSFER_H

#include <stdint.h>

#include "iso/live-config.h"
#include "p2v/base/log.h"

enum live_phase {
	LIVE_CONNECTING, /* it runs, and has sent nothing yet */
	LIVE_SENDING,
	LIVE_PAUSED, /* it failed, and is tried again soon: the message says why */
	LIVE_DONE,
	LIVE_REFUSED, /* it will not work: message and advice */
};

struct live_disk_progress {
	char *source;
	uint64_t size_bytes;
	uint64_t total_bytes, done_bytes; /* of what holds data */
};

struct live_progress {
	enum live_phase phase;
	uint64_t done_bytes, total_bytes; /* of what holds data, of all disks */
	uint64_t bytes_per_second;
	uint64_t remaining_seconds; /* 0: unknown */
	unsigned tries; /* so far */
	const char *message, *advice; /* of the last error; NULL: none.  Last until the next look */
	const char *warning; /* the last one; NULL: none */
	const struct live_disk_progress *disks; /* none before it has begun */
	size_t disk_count;
};

struct live_transfer_options {
	const struct live_config *config; /* server and key are wanted */
	const struct strv *disks; /* devices, each as `send --disk` takes it */
	const char *name; /* of the job */
	const char *program; /* the agent, "/proc/self/exe" */
	const char *run_dir; /* the key's file is put there while it runs */
	uint64_t pause_ns; /* before it is tried again; 0: 5 s */
	const struct log *log;
};

struct live_transfer;

/* Begins.  What options point to must live as long. */
struct err *live_transfer_start(const struct live_transfer_options *options,
				struct live_transfer **ret_transfer) ERR_MUST_CHECK;

/* How it stands now; moves it on, too: to be called a few times a second. */
void live_transfer_look(struct live_transfer *transfer, struct live_progress *ret_progress);

/* Ends it at once; what has arrived stays at the receiver.  Takes NULL. */
void live_transfer_stop(struct live_transfer *transfer);

/* "connecting", "sending", … */
const char *live_phase_name(enum live_phase phase);

#endif
