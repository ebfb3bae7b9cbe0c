/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of volumes that stay the same on other hardware, in place of names that do not. */
#ifndef BOOT_FIX_STABLE_H
#define BOOT_FIX_STABLE_H

#include "p2v/guest/inspect.h"

enum stable_form {
	STABLE_TAG, /* "UUID=…", else "PARTUUID=…", else "LABEL=…": fstab(5), crypttab(5), an initramfs */
	STABLE_PATH, /* the same as "/dev/disk/by-uuid/…", where only a path is understood */
	/* "PARTUUID=…" and no other: the kernel without an initramfs (init/do_mounts.c), and partitions
	 * whose content is made anew at every boot. */
	STABLE_PARTITION,
};

/*
 * A name for the volume that the fragile `name` means; the caller frees it.  NULL if the name is not
 * fragile, if its volume is not found, or if nothing tells that volume from the others.
 */
char *stable_name(const struct inspection *inspection, const char *name, enum stable_form form);

/* The fragile names that a fix met in one file, each once. */
struct stable_names {
	struct strv replaced; /* have got a stable name */
	struct strv unknown; /* have none: no volume of this machine, or not certain which */
	struct strv removed; /* taken out, as no volume of this machine can be meant */
};
void stable_names_deinit(struct stable_names *names);
#define CLEANUP_STABLE_NAMES CLEANUP(stable_names_deinit)

/* stable_name(), and notes in which of the two lists the name belongs. */
char *stable_name_noted(const struct inspection *inspection, const char *name, enum stable_form form,
			struct stable_names *names);

/* "/dev/sda1 and /dev/sda5 depend on the old hardware …", for what was changed; to be freed. */
char *stable_names_reason(const struct stable_names *names);

/* "a, b and c"; to be freed. */
char *stable_list_text(const struct strv *list);

#endif
