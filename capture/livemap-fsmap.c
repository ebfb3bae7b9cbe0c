/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ext4 and XFS tell what every part of their device is for (FS_IOC_GETFSMAP,
 * kernel 4.12 on; ioctl_getfsmap(2)).  Free is only what they call free: metadata,
 * what has no known owner, and what they say nothing of count as used.
 *
 * Both answer from what they allocate by, in memory, not from the disk: space that
 * a file has been given is not free, written or not.
 */
#include <errno.h>
#include <linux/fsmap.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "capture/livemap-impl.h"
#include "capture/sysroot.h"
#include "p2v/base/mem.h"

#ifndef XFS_SUPER_MAGIC
#define XFS_SUPER_MAGIC 0x58465342
#endif
#define RECORDS 4096u /* at once */
#define SECTOR_BYTES 512u

struct fsmap_walk {
	uint32_t device; /* as the kernel numbers it here */
	uint64_t size_bytes;
	struct extents free_bytes;
	struct fsmap_head *head;
};

static struct err *take_record(struct fsmap_walk *walk, const struct fsmap *record)
{
	uint64_t end;

	/* The log and real-time space can be on devices of their own. */
	if (record->fmr_device != walk->device || !(record->fmr_flags & FMR_OF_SPECIAL_OWNER) ||
	    record->fmr_owner != FMR_OWN_FREE)
		return NULL;
	if (__builtin_add_overflow(record->fmr_physical, record->fmr_length, &end) || end > walk->size_bytes)
		return err_refused("it tells of free space behind its device's end");
	extents_add(&walk->free_bytes, record->fmr_physical, end);
	return NULL;
}

static struct err *ask_all(int fd, struct fsmap_walk *walk)
{
	struct fsmap_head *head = walk->head;
	const struct fsmap *last;
	bool is_last = false;

	head->fmh_keys[1] = (struct fsmap){
		.fmr_device = UINT32_MAX,
		.fmr_flags = UINT32_MAX,
		.fmr_physical = UINT64_MAX,
		.fmr_owner = UINT64_MAX,
		.fmr_offset = UINT64_MAX,
	};
	head->fmh_count = RECORDS;
	while (!is_last) {
		if (ioctl(fd, FS_IOC_GETFSMAP, head))
			return err_from_errno(errno, "it cannot tell its free space");
		if (!(head->fmh_oflags & FMH_OF_DEV_T))
			return err_refused("it does not tell on which device its space is");
		if (!head->fmh_entries || head->fmh_entries > RECORDS)
			return NULL;
		for (uint32_t i = 0; i < head->fmh_entries; i++)
			TRY(take_record(walk, &head->fmh_recs[i]));
		last = &head->fmh_recs[head->fmh_entries - 1];
		is_last = last->fmr_flags & FMR_OF_LAST;
		if (last->fmr_device == head->fmh_keys[0].fmr_device &&
		    last->fmr_physical <= head->fmh_keys[0].fmr_physical && !is_last)
			return err_refused("it tells of its space again and again");
		fsmap_advance(head);
	}
	return NULL;
}

static struct err *ask_device(int fd, dev_t number, livemap_tell_fn tell, void *arg)
{
	CLEANUP_FREE struct fsmap_head *head = xcalloc(1, fsmap_sizeof(RECORDS));
	CLEANUP_FREE char *device = xasprintf("%u:%u", major(number), minor(number));
	struct fsmap_walk walk = {
		.device = (minor(number) & 0xff) | major(number) << 8 | (minor(number) & ~0xffu) << 12,
		.size_bytes = sysroot_number("", "/sys/dev/block/%s/size", device) * SECTOR_BYTES,
		.head = head,
	};
	struct err *err = ask_all(fd, &walk);

	if (!err)
		tell(arg, device, walk.size_bytes, &walk.free_bytes);
	extents_deinit(&walk.free_bytes);
	return err;
}

static struct err *fsmap_ask(int fd, livemap_tell_fn tell, void *arg)
{
	struct stat st;

	if (fstat(fd, &st))
		return err_from_errno(errno, "its device");
	return ask_device(fd, st.st_dev, tell, arg);
}

const struct livemap_kind livemap_ext = {.name = "ext4", .magic = EXT4_SUPER_MAGIC, .ask = fsmap_ask};
const struct livemap_kind livemap_xfs = {.name = "xfs", .magic = XFS_SUPER_MAGIC, .ask = fsmap_ask};
