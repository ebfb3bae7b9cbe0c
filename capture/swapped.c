/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * /proc/swaps (proc(5)) has names and sizes; a file's place on its device is what
 * its file system tells (FS_IOC_FIEMAP), which does not move a file that is swapped
 * to.  The first page is the header (mm/swapfile.c); as pages have up to 64 KiB, so
 * much of the beginning is kept.
 */
#include "capture/swapped.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "capture/below.h"
#include "capture/livemap-impl.h"
#include "capture/mounted.h"
#include "capture/sysroot.h"
#include "p2v/base/mem.h"

#define HEADER_BYTES (64u << 10)
#define MAX_SWAP_KIB (UINT64_MAX >> 11)
#define FIEMAP_RECORDS 256u /* at once */
#define PLACE_UNSURE                                                                            \
	(FIEMAP_EXTENT_UNKNOWN | FIEMAP_EXTENT_DELALLOC | FIEMAP_EXTENT_ENCODED |               \
	 FIEMAP_EXTENT_DATA_ENCRYPTED | FIEMAP_EXTENT_NOT_ALIGNED | FIEMAP_EXTENT_DATA_INLINE | \
	 FIEMAP_EXTENT_DATA_TAIL)

/* What of one area lies on the disks. */
struct search {
	const char *sysroot;
	const struct strv *disks;
	struct extents *ret_on_disks;
	uint64_t found_bytes; /* of all of them */
};

/* Of a device that swap lies on: the disks below. */
static void take_place(void *arg, const char *device, uint64_t device_bytes, const struct extents *on_device)
{
	struct search *search = arg;

	(void)device_bytes;
	for (size_t i = 0; i < search->disks->count; i++) {
		CLEANUP_EXTENTS struct extents found = {0};

		below_translate(search->sysroot, device, on_device, search->disks->items[i], &found);
		search->found_bytes += extents_total_bytes(&found);
		extents_unite(&search->ret_on_disks[i], &found);
	}
}

/* Another file may have the name by now, or here: only one that is swapped to may not even be asked for
 * space.  Nothing comes of the question; to others it is one for too much. */
static bool is_swapped_to(int fd)
{
	return fallocate(fd, FALLOC_FL_KEEP_SIZE, INT64_MAX, 1) && errno == ETXTBSY;
}

/* Adds where the file's bytes [start, end) lie on its device; btrfs has addresses of its own instead. */
static bool map_file(int fd, uint64_t start, uint64_t end, struct extents *ret_places)
{
	CLEANUP_FREE struct fiemap *map =
		xcalloc(1, sizeof *map + FIEMAP_RECORDS * sizeof(struct fiemap_extent));

	while (start < end) {
		*map = (struct fiemap){
			.fm_start = start,
			.fm_length = end - start,
			.fm_extent_count = FIEMAP_RECORDS,
		};
		if (ioctl(fd, FS_IOC_FIEMAP, map))
			return false;
		if (!map->fm_mapped_extents || map->fm_mapped_extents > FIEMAP_RECORDS)
			return !map->fm_mapped_extents;
		for (uint32_t i = 0; i < map->fm_mapped_extents; i++) {
			const struct fiemap_extent *extent = &map->fm_extents[i];
			uint64_t first = extent->fe_logical > start ? extent->fe_logical : start;
			uint64_t last = extent->fe_logical + extent->fe_length;
			uint64_t at = extent->fe_physical + (first - extent->fe_logical);

			if (extent->fe_flags & PLACE_UNSURE || last <= first)
				return false;
			last = last < end ? last : end;
			extents_add(ret_places, at, at + (last - first));
			start = last;
		}
	}
	return true;
}

/* A line of /proc/swaps. */
struct area {
	const char *path;
	bool is_file;
	char *device; /* number of what it is, or its file system is on; NULL if that is not known */
	uint64_t bytes; /* with its header; of a file all, as the kernel leaves out what is not aligned */
};

static void area_deinit(struct area *area)
{
	free(area->device);
}

/* Fields: path, "partition" or "file", KiB without the header; they must outlive the area. */
static bool read_area(const char *sysroot, const struct strv *fields, struct area *ret_area)
{
	uint64_t kib;
	struct stat st;

	if (fields->count < 3)
		return false;
	kib = strtoull(fields->items[2], NULL, 10);
	sysroot_unescape(fields->items[0]);
	*ret_area = (struct area){
		.path = fields->items[0],
		.is_file = strcmp(fields->items[1], "partition"),
		.bytes = kib * 1024 + (uint64_t)sysconf(_SC_PAGESIZE),
	};
	if (!ret_area->is_file) {
		ret_area->device = sysroot_device_number(sysroot, ret_area->path);
	} else if (!*sysroot && !stat(ret_area->path, &st)) {
		ret_area->device = xasprintf("%u:%u", major(st.st_dev), minor(st.st_dev));
		ret_area->bytes = (uint64_t)st.st_size;
	}
	return kib && kib < MAX_SWAP_KIB;
}

static void find_in_file(const struct area *area, uint64_t start, struct search *search)
{
	CLEANUP_FD int fd = open(area->path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	CLEANUP_EXTENTS struct extents places = {0};
	struct statfs fs;

	if (fd < 0 || fstatfs(fd, &fs) || !is_swapped_to(fd) || !map_file(fd, start, area->bytes, &places))
		return;
	if (fs.f_type == BTRFS_SUPER_MAGIC)
		err_free(livemap_btrfs_translate(fd, &places, take_place, search));
	else
		take_place(search, area->device, 0, &places);
}

/* From `start` on; returns how much was found. */
static uint64_t find_on_disks(const char *sysroot, const struct strv *disks, const struct area *area,
			      uint64_t start, struct extents *ret_on_disks)
{
	struct search search = {.sysroot = sysroot, .disks = disks, .ret_on_disks = ret_on_disks};
	CLEANUP_EXTENTS struct extents all = {0};

	if (!area->device)
		return 0;
	extents_add(&all, start, start < area->bytes ? area->bytes : start);
	if (area->is_file)
		find_in_file(area, start, &search);
	else
		take_place(&search, area->device, area->bytes, &all);
	return search.found_bytes;
}

/* btrfs has numbers that are no device's. */
static bool may_be_on(const char *sysroot, const struct strv *disks, const struct area *area)
{
	return !area->device || !sysroot_has(sysroot, "/sys/dev/block/%s", area->device) ||
	       mounted_stands_on(sysroot, area->device, disks);
}

static void add_area(const char *sysroot, const struct strv *disks, const struct area *area,
		     struct swapped *swapped)
{
	find_on_disks(sysroot, disks, area, HEADER_BYTES, swapped->content);
	if (find_on_disks(sysroot, disks, area, 0, swapped->touched) < area->bytes &&
	    may_be_on(sysroot, disks, area))
		strv_add(&swapped->unknown, area->path);
}

static void keep_whole_cells(struct extents *set, uint64_t cell_bytes)
{
	struct extents whole = {0};

	for (size_t i = 0; i < set->count; i++) {
		uint64_t start = (set->ranges[i].start + cell_bytes - 1) & ~(cell_bytes - 1);
		uint64_t end = set->ranges[i].end & ~(cell_bytes - 1);

		if (start < end)
			extents_add(&whole, start, end);
	}
	extents_deinit(set);
	*set = whole;
}

void swapped_find(const char *sysroot, const struct strv *disks, uint64_t cell_bytes,
		  struct swapped *ret_swapped)
{
	CLEANUP_STRV struct strv lines = {0};

	*ret_swapped = (struct swapped){
		.content = xcalloc(disks->count, sizeof *ret_swapped->content),
		.touched = xcalloc(disks->count, sizeof *ret_swapped->touched),
		.disk_count = disks->count,
	};
	sysroot_lines(sysroot, &lines, "/proc/swaps");
	/* The first line has titles. */
	for (size_t i = 1; i < lines.count; i++) {
		CLEANUP(area_deinit) struct area area = {0};
		CLEANUP_STRV struct strv fields = {0};

		strv_split(&fields, lines.items[i], " \t");
		if (read_area(sysroot, &fields, &area))
			add_area(sysroot, disks, &area, ret_swapped);
	}
	for (size_t i = 0; i < disks->count; i++) {
		keep_whole_cells(&ret_swapped->content[i], cell_bytes);
		extents_align(&ret_swapped->touched[i], cell_bytes);
	}
}

void swapped_deinit(struct swapped *swapped)
{
	for (size_t i = 0; i < swapped->disk_count; i++) {
		extents_deinit(&swapped->content[i]);
		extents_deinit(&swapped->touched[i]);
	}
	free(swapped->content);
	free(swapped->touched);
	strv_deinit(&swapped->unknown);
	*swapped = (struct swapped){0};
}
