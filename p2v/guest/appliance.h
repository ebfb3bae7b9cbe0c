/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libguestfs, started so that it comes up anywhere: under a time limit, with
 * hardware virtualisation where that was seen to work, else emulated.  One
 * appliance serves a whole conversion.
 */
#ifndef P2V_GUEST_APPLIANCE_H
#define P2V_GUEST_APPLIANCE_H

#include <stdbool.h>

#include "p2v/base/log.h"
#include "p2v/guest/inspect.h"

struct appliance;

struct appliance_options {
	const char *const *nbd_sockets; /* one a disk, NULL-ended, in the order of the machine's disks */
	bool read_only; /* nothing is written, not even a journal replayed */
	const uint32_t *sector_bytes; /* logical, one a disk; NULL: 512 for all */
	const char *scratch_dir; /* sockets and temporary files */
	uint64_t time_limit_ns; /* for one attempt to start; 0: 90 s, or $P2V_APPLIANCE_TIMEOUT seconds */
	const struct log *log;
};

struct err *appliance_start(const struct appliance_options *options, struct appliance **ret_appliance)
	ERR_MUST_CHECK;

/* The disks have other content than at the start, and nothing of them is mounted: looks at them anew. */
struct err *appliance_look_again(struct appliance *appliance) ERR_MUST_CHECK;

/* Partition tables and what lies on the disks, for machine.json. */
struct err *appliance_describe_disks(struct appliance *appliance, struct machine *machine) ERR_MUST_CHECK;

/*
 * Finds the operating system, mounts it as its fstab says, and inspects it.  ERR_REFUSED, with the
 * reason: no operating system; more than one; encrypted without a key; Windows hibernated; an
 * architecture that is not the host's …  The guest belongs to the appliance and ends with it.
 */
struct err *appliance_open_guest(struct appliance *appliance, struct guest **ret_guest,
				 struct inspection *ret_inspection) ERR_MUST_CHECK;

/* Index of the disk that the machine boots from; after appliance_open_guest(). */
size_t appliance_boot_disk(const struct appliance *appliance);

/* Whether a file system could not be mounted although it is one: of disks that were copied while a server
 * wrote to them that need not mean anything. */
bool appliance_saw_damage(const struct appliance *appliance);

/* "kvm" or "tcg". */
const char *appliance_accelerator(const struct appliance *appliance);

/* Unmounts, syncs, stops; an error here means that changes may not be on the disk.  Takes NULL. */
struct err *appliance_stop(struct appliance *appliance) ERR_MUST_CHECK;

#endif
