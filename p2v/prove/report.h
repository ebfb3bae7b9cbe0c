/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The report that the injected unit (report.sh) sends: lines of fields with
 * tabs between, each beginning with "P2V", from "begin" to "end" with their
 * number.  Other lines (a console's) between them are skipped.
 */
#ifndef P2V_PROVE_REPORT_H
#define P2V_PROVE_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "p2v/base/strv.h"

/* A block device as the booted kernel shows it. */
struct report_block {
	char *name; /* "vda1", "dm-0" */
	char *number; /* "254:1" */
	uint64_t size_bytes;
	char *parent; /* "vda" of a partition, else NULL */
	struct strv drivers; /* from the device up to its bus: "sd", "ahci" */
	struct strv slaves; /* what a dm or md device lies on */
	char *mapper_name; /* "vg-root", else NULL */
};

struct report_mount {
	char *folder;
	char *number; /* "254:1"; "0:…" for btrfs and the like */
	char *type;
	char *source; /* as mounted: "/dev/mapper/vg-root" */
	char *device; /* kernel name behind the source: "dm-0"; NULL if it is no device */
	char *uuid; /* of the file system on it; NULL if not known */
};

struct report_nic {
	char *name;
	char *mac; /* lower case; its own, where a bond has changed the one in use */
	char *state; /* "up", "down", "unknown" */
	struct strv drivers; /* none: not hardware */
	struct strv addresses; /* "192.0.2.7/24", of global scope alone */
};

struct report_unit {
	char *name;
	char *result; /* "exit-code", "timeout" … */
	struct strv log; /* its last lines */
};

struct report_system {
	char *kernel;
	char *host;
	char *state; /* systemd's: "running", "degraded", "maintenance", "starting" */
	uint64_t boot_s; /* uptime when that state was reached */
	char *command_line;
	bool has_prompt; /* the screen shows a login prompt */
};

struct report {
	struct report_system system;
	struct report_mount *mounts;
	size_t mount_count;
	struct report_block *blocks;
	size_t block_count;
	struct report_nic *nics;
	size_t nic_count;
	struct report_unit *failed_units;
	size_t failed_unit_count;
	struct strv jobs; /* what systemd was still waiting for: "network.service start running" */
	struct strv missing_mounts; /* of fstab, without noauto, nofail and network file systems: "/srv",
				       "swap" */
};

enum report_status {
	REPORT_NONE, /* no "begin" */
	REPORT_PARTIAL, /* no "end", or not all its lines */
	REPORT_COMPLETE,
};

/*
 * Looks for the last complete report in what came over a serial port: any bytes, of any length.
 * *ret_report is set for REPORT_COMPLETE alone; report_deinit() frees it.
 */
enum report_status report_parse(const char *data, size_t bytes, struct report *ret_report);
void report_deinit(struct report *report);
#define CLEANUP_REPORT CLEANUP(report_deinit)

const struct report_mount *report_find_mount(const struct report *report, const char *folder);
const struct report_block *report_find_block(const struct report *report, const char *name);

/*
 * The drivers of every disk that a device lies on, down through partitions, mapper and md devices:
 * for "dm-0" on "vda2" it is "virtio_blk virtio-pci".  Each driver once; loops end.
 */
void report_chain_drivers(const struct report *report, const char *device, struct strv *ret_drivers);

/* The same path for people: "dm-0 (vg-root) on vda2 on vda". */
void report_format_chain(const struct report *report, const char *device, struct text *ret_text);

#endif
