/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a used map is made of: one file a kind of content, each ending in a
 * const descriptor, one table of them (usedmap-kinds.c).
 */
#ifndef CAPTURE_USEDMAP_IMPL_H
#define CAPTURE_USEDMAP_IMPL_H

#include <stdbool.h>
#include <string.h>

#include "capture/usedmap.h"
#include "capture/view.h"
#include "p2v/base/le.h"

struct usedmap_walk;

/* As much of a device's start as recognising needs: the superblock of btrfs ends at 68 KiB. */
#define USEDMAP_START_BYTES (192u << 10)
/* And of its end: the oldest superblock of md begins up to 128 KiB before it. */
#define USEDMAP_END_BYTES (128u << 10)

struct usedmap_kind {
	const char *name; /* as libblkid calls it */
	/* True if it begins like this kind, sound or not.  What is behind the device's end is zeros. */
	bool (*recognise)(const uint8_t start[USEDMAP_START_BYTES], uint64_t size_bytes);
	/*
	 * NULL, or the same by the last bytes, of a device that has as many.  What is at its start is then
	 * the content of this kind, and not asked.
	 */
	bool (*recognise_end)(const uint8_t end[USEDMAP_END_BYTES], uint64_t size_bytes);
	/*
	 * Adds the used bytes of blk to ret_used by usedmap_add(), ascending.  An error is a doubt, in words
	 * that follow "all of it is taken: ", and what was added is forgotten.  NULL for a kind that is only
	 * recognised.
	 */
	struct err *(*map)(struct usedmap_walk *walk, struct blk *blk, struct extents *ret_used);
};

extern const struct usedmap_kind *const usedmap_kinds[]; /* NULL-ended */

/* Adds [start, end); a gap before it that is too short to be worth leaving out is added too. */
void usedmap_add(const struct usedmap_walk *walk, struct extents *used, uint64_t start, uint64_t end);

/*
 * What is inside these runs of a parent: adds its used bytes, as the parent counts, to ret_used.  Doubts
 * about what is inside are written down as pieces; an error means that the runs do not fit into the parent.
 */
struct err *usedmap_nested(struct usedmap_walk *walk, struct blk *parent, const struct view_run *runs,
			   size_t count, const char *label, struct extents *ret_used) ERR_MUST_CHECK;

/* The same for what must be kept whole, and why. */
void usedmap_whole(struct usedmap_walk *walk, const struct view_run *runs, size_t count, const char *label,
		   const char *kind, const char *doubt, struct extents *ret_used);

unsigned usedmap_flags(const struct usedmap_walk *walk);

/* Reads into memory of its own; a length that the device does not have is an error, not an allocation. */
struct err *usedmap_read(struct blk *blk, uint64_t offset, uint64_t len_bytes, uint8_t **ret_data)
	ERR_MUST_CHECK;

/*
 * Adds a unit for every bit (least significant first) of [first_bit, bits) that is set.  Unit i begins at
 * origin + i * unit_bytes.
 */
void usedmap_add_bitmap(const struct usedmap_walk *walk, struct extents *used, const uint8_t *bitmap,
			uint64_t bits, uint64_t unit_bytes, uint64_t origin);

/* A reason not to trust a map. */
#define usedmap_doubt(...) err_refused(__VA_ARGS__)

#endif
