/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What of a running server's disks counts: what the used map says when we begin,
 * and whatever was written since.  So a file system that is made meanwhile is
 * there, and nothing that counts is ever dropped.  What was swapped out does not count
 * (capture/swapped.h).
 */
#include "p2v/base/format.h"
#include "p2v/cmd/send-live-impl.h"
#include "p2v/cmd/send-live-space.h"

/* False: the changes are not certain. */
static bool take(struct send_live *live, size_t disk, struct extents *ret_changed)
{
	CLEANUP_EXTENTS struct extents written = {0};
	CLEANUP_EXTENTS struct extents discarded = {0};
	CLEANUP_EXTENTS struct extents emptied = {0};
	struct live_disk *live_disk = &live->live_disks[disk];
	bool is_certain = tracker_take(live->tracker, disk, &written, &discarded);

	/* What nobody used, and is discarded once more, is no change. */
	extents_intersect(&discarded, &live_disk->used, &emptied);
	extents_unite(&written, &emptied);
	extents_subtract(&written, &live->swapped.content[disk], ret_changed);
	extents_unite(&live_disk->used, ret_changed);
	return is_certain;
}

struct err *send_live_take_changes(void *arg, size_t disk, struct extents *ret_changed, bool *ret_is_certain)
{
	struct send_live *live = arg;
	struct live_disk *live_disk = &live->live_disks[disk];
	CLEANUP_EXTENTS struct extents changed = {0};

	*ret_is_certain = take(live, disk, &changed) && !live_disk->is_late_uncertain;
	extents_unite(ret_changed, &changed);
	extents_unite(ret_changed, &live_disk->late);
	extents_deinit(&live_disk->late);
	live_disk->late = (struct extents){0};
	live_disk->is_late_uncertain = false;
	return NULL;
}

struct err *send_live_check_late(struct send_live *live, size_t disk)
{
	struct live_disk *live_disk = &live->live_disks[disk];
	const char *path = live->disks->disks[disk].path;
	CLEANUP_EXTENTS struct extents changed = {0};
	CLEANUP_EXTENTS struct extents own = {0};
	CLEANUP_EXTENTS struct extents written = {0};
	bool is_certain = take(live, disk, &changed);
	char text[FORMAT_BYTES];

	extents_unite(&live_disk->late, &changed);
	live_disk->is_late_uncertain |= !is_certain;
	send_live_find_own(live, disk, &own);
	extents_subtract(&changed, &own, &written);
	if (!is_certain)
		return err_advise(
			err_failed("%s: what was written while it was frozen is not known for certain", path),
			"run the same command again; if it stays so, send the disks from the ISO");
	if (!written.count)
		return NULL;
	return err_advise(err_failed("%s: %s were written while all its file systems were frozen", path,
				     format_size(extents_total_bytes(&written), text)),
			  "stop what writes to it by itself (a database on a raw device, a cache that is "
			  "written back) with --pre-freeze");
}

struct err *send_live_tell_used(void *arg, size_t disk, struct extents *ret_used)
{
	const struct send_live *live = arg;

	extents_unite(ret_used, &live->live_disks[disk].used);
	return NULL;
}

static struct err *find_swaps(const struct send_live *live, struct swapped *ret_swapped)
{
	CLEANUP_STRV struct strv disks = {0};

	TRY(send_live_list_disks(live, &disks));
	swapped_find("", &disks, tracker_cell_bytes(live->tracker), ret_swapped);
	return NULL;
}

static void warn_of_unknown_swaps(const struct send_live *live)
{
	for (size_t i = 0; i < live->swapped.unknown.count; i++)
		log_warning(
			&live->log.log,
			"%s: the server swaps to it, and where that is on its disks is not known; what it "
			"swaps out while it is frozen refuses a cutover: swapoff in --pre-freeze helps",
			live->swapped.unknown.items[i]);
}

static struct err *find_used_of_disk(struct send_live *live, size_t number)
{
	const struct send_disk *disk = &live->disks->disks[number];
	struct live_disk *live_disk = &live->live_disks[number];
	CLEANUP_EXTENTS struct extents used = {0};
	char text[FORMAT_BYTES];

	TRY(send_live_find_space(live->disks, number, live->options->takes_all, &live->log.log, &used));
	extents_subtract(&used, &live->swapped.content[number], &live_disk->used);
	log_info(&live->log.log, "%s: %s are in use", disk->path,
		 format_size(extents_total_bytes(&live_disk->used), text));
	return NULL;
}

struct err *send_live_find_used(struct send_live *live)
{
	TRY(find_swaps(live, &live->swapped));
	warn_of_unknown_swaps(live);
	for (size_t i = 0; i < live->disks->count; i++)
		TRY(find_used_of_disk(live, i));
	return NULL;
}

struct err *send_live_take_swaps_back(struct send_live *live)
{
	CLEANUP(swapped_deinit) struct swapped now = {0};
	char text[FORMAT_BYTES];

	TRY(find_swaps(live, &now));
	for (size_t i = 0; i < live->disks->count; i++) {
		struct live_disk *disk = &live->live_disks[i];
		CLEANUP_EXTENTS struct extents gone = {0};
		struct extents left = {0};

		extents_subtract(&live->swapped.content[i], &now.content[i], &gone);
		extents_subtract(&live->swapped.content[i], &gone, &left);
		extents_unite(&disk->late, &gone);
		extents_unite(&disk->used, &gone);
		extents_deinit(&now.content[i]);
		now.content[i] = left;
		if (gone.count)
			log_info(&live->log.log, "%s: %s are no swap any more, and so are sent",
				 live->disks->disks[i].path, format_size(extents_total_bytes(&gone), text));
	}
	swapped_deinit(&live->swapped);
	live->swapped = now;
	now = (struct swapped){0};
	return NULL;
}

struct err *send_live_check_swaps(const struct send_live *live)
{
	CLEANUP(swapped_deinit) struct swapped now = {0};

	TRY(find_swaps(live, &now));
	for (size_t i = 0; i < live->disks->count; i++) {
		CLEANUP_EXTENTS struct extents gone = {0};
		char text[FORMAT_BYTES];

		extents_subtract(&live->swapped.content[i], &now.content[i], &gone);
		if (gone.count)
			return err_advise(err_failed("%s: %s of it were swap when the cutover began, and are "
						     "not any more: they were left out",
						     live->disks->disks[i].path,
						     format_size(extents_total_bytes(&gone), text)),
					  "order it once more");
	}
	return NULL;
}
