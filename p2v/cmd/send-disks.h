/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The disks that p2v send reads: found, kept from others, opened, and without what they do not use. */
#ifndef P2V_CMD_SEND_DISKS_H
#define P2V_CMD_SEND_DISKS_H

#include <stdbool.h>

#include "capture/changes.h"
#include "p2v/base/machine.h"
#include "p2v/sync/sender.h"

#define SEND_IN_USE (1u << 0) /* also what is mounted */
#define SEND_ALL (1u << 1) /* also what no file system uses */

struct send_disk {
	const char *path; /* the user's */
	char *id; /* as in struct wire_disk */
	uint64_t used_bytes; /* what may be sent of it */
	struct changes_look look; /* when it was opened */
	int claim_fd; /* of a device: nobody can mount it meanwhile; -1: none */
};

/* Zero-initialised is none. */
struct send_disks {
	struct send_disk *disks;
	struct sender_disk *for_sender; /* the same, for struct sender_options */
	size_t count;
	struct machine machine; /* without disks if they are images */
};

/*
 * Opens them, and tells in the log how much of each is used.  ERR_REFUSED: one is in use, and flags do not
 * allow that.  The paths must live as long.
 */
struct err *send_disks_open(const struct strv *paths, unsigned flags, const struct log *log,
			    struct send_disks *ret_disks) ERR_MUST_CHECK;
void send_disks_close(struct send_disks *disks);
#define CLEANUP_SEND_DISKS CLEANUP(send_disks_close)

/* True if the disk was written to since it was opened; *ret_bytes is how much, 0 if that is not known. */
bool send_disk_has_changed(const struct send_disk *disk, uint64_t *ret_bytes);

#endif
