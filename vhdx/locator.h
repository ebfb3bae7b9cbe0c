/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The parent locator of a differencing file: which VHDX its parent is, and where
 * ([MS-VHDX] 2.6.2.6).  A list of pairs of strings; here all of them are UTF-8.
 */
#ifndef VHDX_LOCATOR_H
#define VHDX_LOCATOR_H

#include "p2v/base/blk.h"
#include "vhdx/metadata.h"
#include "vhdx/vhdx.h"

/* Keys ([MS-VHDX] 2.6.2.6.3), and the order in which the paths are to be tried. */
#define VHDX_LOCATOR_LINKAGE "parent_linkage" /* the parent's DataWriteGuid */
#define VHDX_LOCATOR_LINKAGE_2 "parent_linkage2" /* what it may be as well, during a merge */
#define VHDX_LOCATOR_RELATIVE "relative_path"
#define VHDX_LOCATOR_VOLUME "volume_path"
#define VHDX_LOCATOR_ABSOLUTE "absolute_win32_path"

struct vhdx_locator {
	struct guid type; /* of whom the keys are; VHDX_LOCATOR_TYPE */
	struct vhdx_locator_pair *pairs;
	size_t count;
	bool has_reserved; /* a reserved field is not zero */
	const char *odd; /* what in its form is wrong, as in "the parent locator …"; or NULL */
};

void vhdx_locator_deinit(struct vhdx_locator *locator);
#define CLEANUP_VHDX_LOCATOR CLEANUP(vhdx_locator_deinit)

/* Reads the item from the metadata region; empty if there is none.  ERR_REFUSED: it is damaged. */
struct err *vhdx_locator_read(struct blk *file, const struct vhdx_region *region,
			      const struct vhdx_metadata *metadata, struct vhdx_locator *ret_locator)
	ERR_MUST_CHECK;

/* The value of a key; NULL if there is none. */
const char *vhdx_locator_find(const struct vhdx_locator *locator, const char *key);

/* Sets a pair, in its place or as the last one; copies the strings. */
struct err *vhdx_locator_set(struct vhdx_locator *locator, const char *key, const char *value) ERR_MUST_CHECK;
struct err *vhdx_locator_set_guid(struct vhdx_locator *locator, const char *key, const struct guid *value)
	ERR_MUST_CHECK;

/* The one or two DataWriteGuids that the parent may have; a zero one stands for none. */
struct vhdx_linkage {
	struct guid ids[2];
};

/* What is wrong with the locator as in "the parent locator …", NULL if nothing is; then the linkage is
 * set. */
const char *vhdx_locator_check(const struct vhdx_locator *locator, struct vhdx_linkage *ret_linkage);

bool vhdx_linkage_allows(const struct vhdx_linkage *linkage, const struct guid *data_write_guid);

/* The item as it lies on disk, for the caller to free.  ERR_REFUSED: a string is too long for the
 * format. */
struct err *vhdx_locator_encode(const struct vhdx_locator *locator, uint8_t **ret_item, uint32_t *ret_bytes)
	ERR_MUST_CHECK;

#endif
