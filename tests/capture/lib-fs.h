/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * File systems in image files: made, filled and partly emptied by the tools and
 * the kernel of this machine, and checked by them.
 */
#ifndef TESTS_CAPTURE_LIB_FS_H
#define TESTS_CAPTURE_LIB_FS_H

#include <stdbool.h>

#include "capture/usedmap.h"

struct fs_case {
	const char *name;
	const char *kind; /* as the used map calls it */
	unsigned size_mib;
	unsigned fill_mib;
	const char *mkfs[16]; /* the image's path follows */
	const char *check[8]; /* so here too; changes nothing */
	enum { FS_MOUNT, FS_NTFS, FS_MTOOLS, FS_EMPTY } fill;
	unsigned spare_percent; /* the map may be larger than what is not free by this share of the size */
};

/* The image's path in a temporary folder; the caller frees it, and removes it by fs_remove(). */
char *fs_make(const struct fs_case *fs);
void fs_remove(const char *image);

/* True if it checks clean and all files are there. */
bool fs_is_sound(const struct fs_case *fs, const char *image);

/* What the file system did not call free when fs_make() had filled it; 0 if that is not known. */
uint64_t fs_used_bytes(const struct fs_case *fs, const char *image);

/* Writes 0xaa wherever the set has nothing. */
void fs_overwrite_rest(const char *image, const struct extents *used);

/* The used map of an image file. */
void fs_map(const char *image, const struct usedmap_options *options, struct usedmap *ret_map);

/* False where loop mounts do not work: no root, or no such file system in the kernel. */
bool fs_can_make(const struct fs_case *fs);

#endif
