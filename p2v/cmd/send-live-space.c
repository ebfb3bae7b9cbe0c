/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A used map that is read from a disk (capture/usedmap.h) is of the moment when the
 * disk was last at rest.  So it counts only of partitions that nobody holds, and
 * that nobody has written to since the server was started: whoever writes to a
 * partition without mounting it here (a virtual machine, a container, a database)
 * may keep in memory what is used.
 */
#include "p2v/cmd/send-live-space.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "capture/livemap.h"
#include "capture/mounted.h"
#include "capture/stack.h"
#include "capture/track-stat.h"
#include "p2v/base/mem.h"

/* A file system that is in use, but not known to be, would be taken for one whose map can be trusted. */
static bool is_used_unknown(const struct machine *machine, const struct machine_disk *disk,
			    const char *device)
{
	CLEANUP_EXTENTS struct extents in_use = {0};
	CLEANUP_STRV struct strv disks = {0};
	CLEANUP_STRV struct strv points = {0};

	stack_in_use(machine, disk, &in_use);
	strv_add(&disks, device);
	mounted_on("", &disks, &points);
	return points.count && !in_use.count;
}

/* Also where it cannot be told. */
static bool may_have_changed(const char *device)
{
	CLEANUP_FD int fd = open(device, O_RDONLY | O_EXCL | O_CLOEXEC);
	struct track_stat_reader *reader;
	struct track_stat stat = {.written_sectors = 1};
	struct stat st;
	struct err *err;

	if (fd < 0 || fstat(fd, &st))
		return true;
	err = track_stat_open(st.st_rdev, &reader);
	if (err) {
		err_free(err);
		return true;
	}
	track_stat_look_counters(reader, &stat);
	track_stat_close(reader);
	return stat.written_sectors || stat.discarded_sectors || stat.writes_in_flight;
}

static void add_changed(const struct machine_disk *disk, const char *path, struct extents *ret_used)
{
	if (!disk->partition_count && may_have_changed(path))
		extents_add(ret_used, 0, disk->size_bytes);
	for (size_t i = 0; i < disk->partition_count; i++) {
		const struct machine_partition *partition = &disk->partitions[i];

		if (!partition->device || may_have_changed(partition->device))
			extents_add(ret_used, partition->start_bytes,
				    partition->start_bytes + partition->size_bytes);
	}
}

struct err *send_live_find_space(const struct send_disks *disks, size_t number, bool takes_all,
				 const struct log *log, struct extents *ret_used)
{
	const struct machine *machine = &disks->machine;
	const struct machine_disk *disk = machine->disk_count ? &machine->disks[number] : NULL;
	const char *path = disks->disks[number].path;
	CLEANUP_FREE char *device = mounted_device_number(path);
	CLEANUP_USEDMAP struct usedmap map = {0};
	CLEANUP_EXTENTS struct extents left = {0};
	CLEANUP_EXTENTS struct extents free_bytes = {0};
	CLEANUP_BLK struct blk *cached = NULL;

	TRY(blk_file_open(path, 0, 0, &cached));
	if (takes_all || !disk || !device || is_used_unknown(machine, disk, device)) {
		extents_add(ret_used, 0, cached->size_bytes);
		return NULL;
	}
	stack_take_used(machine, disk, cached, &map);
	add_changed(disk, path, &map.used);
	livemap_find_free(device, STACK_GAP_BYTES, log, &free_bytes);
	extents_subtract(&map.used, &free_bytes, &left);
	extents_unite(ret_used, &left);
	return NULL;
}
