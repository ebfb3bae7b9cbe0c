/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "capture/livemap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/vfs.h>

#include "capture/below.h"
#include "capture/livemap-impl.h"
#include "capture/mounted.h"
#include "p2v/base/format.h"
#include "p2v/base/strv.h"

static const struct livemap_kind *const kinds[] = {&livemap_ext, &livemap_xfs, &livemap_btrfs};

struct search {
	const char *disk, *point;
	uint64_t gap_bytes;
	const struct log *log;
	struct extents *ret_free;
};

static void leave_short_ones_out(const struct extents *all, uint64_t gap_bytes, struct extents *ret_long)
{
	for (size_t i = 0; i < all->count; i++)
		if (all->ranges[i].end - all->ranges[i].start >= gap_bytes)
			extents_add(ret_long, all->ranges[i].start, all->ranges[i].end);
}

static void take_free(void *arg, const char *device, uint64_t size_bytes, const struct extents *free_bytes)
{
	const struct search *search = arg;
	CLEANUP_EXTENTS struct extents on_device = {0};
	CLEANUP_EXTENTS struct extents on_disk = {0};
	char free_text[FORMAT_BYTES], size[FORMAT_BYTES], known[FORMAT_BYTES];

	leave_short_ones_out(free_bytes, search->gap_bytes, &on_device);
	below_translate("", device, &on_device, search->disk, &on_disk);
	extents_unite(search->ret_free, &on_disk);
	log_debug(search->log, "%s (%s): %s of %s are free, %s of them on the disk %s", search->point, device,
		  format_size(extents_total_bytes(free_bytes), free_text), format_size(size_bytes, size),
		  format_size(extents_total_bytes(&on_disk), known), search->disk);
}

static struct err *ask(struct search *search)
{
	CLEANUP_FD int fd = open(search->point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;

	/* A file system can be mounted on a file. */
	if (fd < 0 && errno == ENOTDIR)
		fd = open(search->point, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstatfs(fd, &fs))
		return err_from_errno(errno, "%s", search->point);
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (kinds[i]->magic == (long)fs.f_type)
			return err_wrap(kinds[i]->ask(fd, take_free, search), "%s: %s", search->point,
					kinds[i]->name);
	return err_refused("%s: a file system of this kind cannot be asked", search->point);
}

void livemap_find_free(const char *disk, uint64_t gap_bytes, const struct log *log, struct extents *ret_free)
{
	struct search search = {.disk = disk, .gap_bytes = gap_bytes, .log = log, .ret_free = ret_free};
	CLEANUP_STRV struct strv disks = {0};
	CLEANUP_STRV struct strv points = {0};

	strv_add(&disks, disk);
	mounted_on("", &disks, &points);
	for (size_t i = 0; i < points.count; i++) {
		CLEANUP_ERR struct err *err = NULL;

		search.point = points.items[i];
		err = ask(&search);
		if (err)
			log_debug(log, "all of a file system is taken: %s", err_message(err));
	}
}
