/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is on a disk, by libblkid, which only reads.  Where we may not read the
 * disk (no root), udev's database tells the same.
 */
#include <blkid/blkid.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "capture/discover-impl.h"
#include "p2v/base/err.h"
#include "p2v/base/mem.h"

#define SECTOR_BYTES 512 /* the unit of libblkid's starts and sizes, whatever the disk's own */

DEFINE_CLEANUP(probe, blkid_probe, blkid_free_probe)
#define CLEANUP_PROBE CLEANUP(cleanup_probe)

static char *lookup(blkid_probe probe, const char *name)
{
	const char *value;

	return blkid_probe_lookup_value(probe, name, &value, NULL) ? NULL : xstrdup(value);
}

static struct err *open_probe(const char *path, uint64_t start_bytes, uint64_t size_bytes, int *ret_fd,
			      blkid_probe *ret_probe)
{
	CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	CLEANUP_PROBE blkid_probe probe = NULL;

	if (fd < 0)
		return err_from_errno(errno, "%s", path);
	probe = blkid_new_probe();
	if (!probe)
		return err_nomem();
	if (blkid_probe_set_device(probe, fd, start_bytes, size_bytes))
		return err_from_errno(errno ? errno : EIO, "%s", path);
	*ret_fd = take_fd(&fd);
	*ret_probe = take_ptr(probe);
	return NULL;
}

/* Ambiguous content (-2) is content that nobody knows. */
static struct err *run_probe(blkid_probe probe, const char *path)
{
	errno = 0;
	if (blkid_do_safeprobe(probe) == -1)
		return err_from_errno(errno ? errno : EIO, "%s", path);
	return NULL;
}

struct err *discover_probe(const char *path, uint64_t start_bytes, uint64_t size_bytes,
			   struct content *ret_content)
{
	CLEANUP_PROBE blkid_probe probe = NULL;
	CLEANUP_FD int fd = -1;

	TRY(open_probe(path, start_bytes, size_bytes, &fd, &probe));
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID);
	TRY(run_probe(probe, path));
	*ret_content = (struct content){lookup(probe, "TYPE"), lookup(probe, "LABEL"), lookup(probe, "UUID")};
	return NULL;
}

static struct machine_partition *find_partition(struct machine_disk *disk, unsigned number)
{
	for (size_t i = 0; i < disk->partition_count; i++)
		if (disk->partitions[i].number == number)
			return &disk->partitions[i];
	return NULL;
}

static void take_partition(struct machine_disk *disk, blkid_partition from)
{
	unsigned number = blkid_partition_get_partno(from);
	struct machine_partition *partition = find_partition(disk, number);
	const char *type = blkid_partition_get_type_string(from);

	if (!partition) {
		partition = machine_disk_add_partition(disk);
		partition->number = number;
		partition->start_bytes = (uint64_t)blkid_partition_get_start(from) * SECTOR_BYTES;
		partition->size_bytes = (uint64_t)blkid_partition_get_size(from) * SECTOR_BYTES;
	}
	if (!partition->type)
		partition->type = type ? xstrdup(type) : xasprintf("%#x", blkid_partition_get_type(from));
}

/* The partition table, and the content of a disk that has none. */
static struct err *probe_whole(const char *path, struct machine_disk *disk)
{
	CLEANUP_PROBE blkid_probe probe = NULL;
	CLEANUP_FD int fd = -1;
	blkid_partlist list;

	TRY(open_probe(path, 0, 0, &fd, &probe));
	blkid_probe_enable_superblocks(probe, 1);
	blkid_probe_set_superblocks_flags(probe, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID);
	blkid_probe_enable_partitions(probe, 1);
	blkid_probe_set_partitions_flags(probe, BLKID_PARTS_ENTRY_DETAILS);
	blkid_probe_set_sectorsize(probe, disk->logical_sector_bytes);
	TRY(run_probe(probe, path));
	disk->table = lookup(probe, "PTTYPE");
	disk->content = lookup(probe, "TYPE");
	disk->label = lookup(probe, "LABEL");
	disk->uuid = lookup(probe, "UUID");
	list = disk->table ? blkid_probe_get_partitions(probe) : NULL;
	for (int i = 0; list && i < blkid_partlist_numof_partitions(list); i++)
		take_partition(disk, blkid_partlist_get_partition(list, i));
	return NULL;
}

static bool is_extended(const struct machine_partition *partition)
{
	return partition->type && (!strcmp(partition->type, "0x5") || !strcmp(partition->type, "0xf") ||
				   !strcmp(partition->type, "0x85"));
}

struct err *discover_content(const char *path, struct machine_disk *disk)
{
	TRY(probe_whole(path, disk));
	for (size_t i = 0; i < disk->partition_count; i++) {
		struct machine_partition *partition = &disk->partitions[i];
		struct content content;

		if (is_extended(partition) || !partition->size_bytes)
			continue;
		TRY(err_wrap(discover_probe(path, partition->start_bytes, partition->size_bytes, &content),
			     "partition %u", partition->number));
		partition->content = content.type;
		partition->label = content.label;
		partition->uuid = content.uuid;
	}
	return NULL;
}

void discover_recorded_content(const char *root, const char *kernel_name, struct content *ret_content)
{
	CLEANUP_FREE char *number = sysroot_read(root, "/sys/class/block/%s/dev", kernel_name);
	CLEANUP_FREE char *text = number ? sysroot_read(root, "/run/udev/data/b%s", number) : NULL;

	*ret_content = (struct content){0};
	if (!text)
		return;
	ret_content->type = sysroot_value(text, "E:ID_FS_TYPE");
	ret_content->label = sysroot_value(text, "E:ID_FS_LABEL");
	ret_content->uuid = sysroot_value(text, "E:ID_FS_UUID");
}
