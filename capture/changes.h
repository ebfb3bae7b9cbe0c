/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether somebody wrote to a disk or an image while it was read: a second look
 * at what the kernel counts.
 */
#ifndef CAPTURE_CHANGES_H
#define CAPTURE_CHANGES_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What a path looks like at one moment.  Of a device: bytes written to and discarded from it, as its driver
 * counts (Documentation/block/stat.rst), so that what only waits in a cache is not in it yet.  Of a file: how
 * often and when it was changed.  Of anything else (an NBD export): nothing, and two looks are always equal.
 */
struct changes_look {
	uint64_t written_bytes;
	uint64_t size_bytes;
	int64_t modified_ns, changed_ns;
};

void changes_look(const char *path, struct changes_look *ret_look);

/* *ret_bytes: how much was written, 0 if that is not known. */
bool changes_between(const struct changes_look *before, const struct changes_look *after,
		     uint64_t *ret_bytes);

#endif
