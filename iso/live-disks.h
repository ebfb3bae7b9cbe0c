/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The machine's disks, and how they are named. */
#ifndef ISO_LIVE_DISKS_H
#define ISO_LIVE_DISKS_H

#include "iso/live-state.h"

/*
 * Looks at the machine; before that at what stands on its arrays and volumes, assembled for that moment by
 * the image's helpers: ret_inside gets a line for each.  ret_machine and ret_inside are zero-initialised.
 */
struct err *live_disks_find(const struct live_options *options, const struct log *log,
			    struct machine *ret_machine, struct strv *ret_inside) ERR_MUST_CHECK;

/* The devices that names mean: device, its last part, serial number or WWN.  ERR_REFUSED: none, or several,
 * have that name. */
struct err *live_disks_resolve(const struct machine *machine, const struct strv *names,
			       struct strv *ret_devices) ERR_MUST_CHECK;

/* A job's name for a machine whose own is not known: by its serial number, else its first MAC address.  The
 * caller frees it. */
char *live_disks_name_machine(const struct machine *machine);

/* What layout.h says, in the words of who has a list to mark things in and no command line; the caller frees
 * it. */
char *live_disks_reword(const char *text);

/* What is on a disk, in a few words: "ext4, LVM, swap"; the caller frees it. */
char *live_disks_describe(const struct machine_disk *disk);

#endif
