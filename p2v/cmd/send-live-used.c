/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What of a running server's disks counts: what the used map says when we begin,
 * and whatever was written since.  So a file system that is made meanwhile is
 * there, and nothing that counts is ever dropped.  The content of swap partitions
 * does not count: the kernel goes on writing there while file systems are frozen.
 */
#include "capture/mounted.h"
#include "p2v/base/format.h"
#include "p2v/cmd/send-live-impl.h"
#include "p2v/cmd/send-live-space.h"

#define SWAP_HEADER_BYTES (64u << 10) /* which tells that it is swap, and its UUID */

struct err *send_live_take_changes(void *arg, size_t disk, struct extents *ret_changed, bool *ret_is_certain)
{
	struct send_live *live = arg;
	CLEANUP_EXTENTS struct extents written = {0};
	CLEANUP_EXTENTS struct extents discarded = {0};
	CLEANUP_EXTENTS struct extents emptied = {0};
	struct live_disk *live_disk = &live->live_disks[disk];

	*ret_is_certain = tracker_take(live->tracker, disk, &written, &discarded);
	/* What nobody used, and is discarded once more, is no change. */
	extents_intersect(&discarded, &live_disk->used, &emptied);
	extents_unite(&written, &emptied);
	extents_subtract(&written, &live_disk->swap, ret_changed);
	extents_unite(&live_disk->used, ret_changed);
	return NULL;
}

struct err *send_live_tell_used(void *arg, size_t disk, struct extents *ret_used)
{
	const struct send_live *live = arg;

	extents_unite(ret_used, &live->live_disks[disk].used);
	return NULL;
}

static void leave_out_swap(struct send_live *live, size_t number)
{
	const struct machine_disk *disk = &live->disks->machine.disks[number];

	for (size_t i = 0; i < disk->partition_count; i++) {
		const struct machine_partition *partition = &disk->partitions[i];
		uint64_t start = partition->start_bytes + SWAP_HEADER_BYTES;
		uint64_t end = partition->start_bytes + partition->size_bytes;

		if (!partition->device || !strv_has(&partition->uses, "swap") || start >= end)
			continue;
		/* Whole cells: what is at the edges counts. */
		start = (start + TRACKER_CELL_BYTES - 1) / TRACKER_CELL_BYTES * TRACKER_CELL_BYTES;
		end = end / TRACKER_CELL_BYTES * TRACKER_CELL_BYTES;
		extents_add(&live->live_disks[number].swap, start, end);
		strv_add(&live->swaps, partition->device);
	}
}

struct err *send_live_find_used(struct send_live *live, size_t number)
{
	const struct send_disk *disk = &live->disks->disks[number];
	struct live_disk *live_disk = &live->live_disks[number];
	CLEANUP_EXTENTS struct extents used = {0};
	char text[FORMAT_BYTES];

	TRY(send_live_find_space(live->disks, number, live->options->takes_all, &live->log.log, &used));
	if (live->disks->machine.disk_count)
		leave_out_swap(live, number);
	extents_subtract(&used, &live_disk->swap, &live_disk->used);
	log_info(&live->log.log, "%s: %s are in use", disk->path,
		 format_size(extents_total_bytes(&live_disk->used), text));
	return NULL;
}

struct err *send_live_check_swaps(const struct send_live *live)
{
	for (size_t i = 0; i < live->swaps.count; i++) {
		if (!mounted_is_swap(live->swaps.items[i]))
			return err_advise(err_failed("%s: is no swap any more", live->swaps.items[i]),
					  "run the same command again");
	}
	return NULL;
}
