/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "iso/live-stick.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "p2v/base/format.h"
#include "p2v/base/mem.h"

static const char *const kinds[] = {"vfat", "exfat", "ext2", "ext3", "ext4", "ntfs3"};

static bool can_mount(const char *content)
{
	for (size_t i = 0; content && i < sizeof kinds / sizeof *kinds; i++)
		if (!strcmp(content, kinds[i]))
			return true;
	return false;
}

static bool is_stick(const struct machine_disk *disk, const struct strv *chosen)
{
	return (disk->is_removable || (disk->transport && !strcmp(disk->transport, "usb"))) &&
	       !disk->is_read_only && !strv_has(chosen, disk->source);
}

static void add(struct live_sticks *sticks, const struct machine_disk *disk, const char *device,
		const char *content, const char *label, uint64_t size_bytes)
{
	char size[FORMAT_BYTES];

	array_grow(sticks->items, sticks->count, sticks->capacity);
	sticks->items[sticks->count++] = (struct live_stick){
		.device = xstrdup(device),
		.content = xstrdup(content),
		.label = xasprintf("%s, %s, %s%s%s", device, disk->model ? disk->model : "stick",
				   format_size(size_bytes, size), label ? ", " : "", label ? label : ""),
	};
}

void live_sticks_find(const struct machine *machine, const struct strv *chosen,
		      struct live_sticks *ret_sticks)
{
	for (size_t i = 0; i < machine->disk_count; i++) {
		const struct machine_disk *disk = &machine->disks[i];

		if (!is_stick(disk, chosen))
			continue;
		if (!disk->uses.count && can_mount(disk->content))
			add(ret_sticks, disk, disk->source, disk->content, disk->label, disk->size_bytes);
		for (size_t k = 0; k < disk->partition_count; k++) {
			const struct machine_partition *partition = &disk->partitions[k];

			if (partition->device && !partition->uses.count && can_mount(partition->content))
				add(ret_sticks, disk, partition->device, partition->content, partition->label,
				    partition->size_bytes);
		}
	}
}

void live_sticks_deinit(struct live_sticks *sticks)
{
	for (size_t i = 0; i < sticks->count; i++) {
		free(sticks->items[i].device);
		free(sticks->items[i].content);
		free(sticks->items[i].label);
	}
	free(sticks->items);
	*sticks = (struct live_sticks){0};
}

static struct err *copy_file(const char *from, const char *to)
{
	CLEANUP_FD int in = open(from, O_RDONLY | O_CLOEXEC), out = -1;
	ssize_t put;

	if (in < 0)
		return err_from_errno(errno, "%s", from);
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (out < 0)
		return err_from_errno(errno, "%s", to);
	do {
		put = sendfile(out, in, NULL, 1 << 20);
	} while (put > 0 || (put < 0 && errno == EINTR));
	if (put < 0 || fsync(out))
		return err_advise(err_from_errno(errno, "%s", to), "try another stick");
	return NULL;
}

struct err *live_stick_save(const struct live_stick *stick, const char *mount_dir, const char *path)
{
	const char *name = strrchr(path, '/');
	CLEANUP_FREE char *target = xasprintf("%s/%s", mount_dir, name ? name + 1 : path);
	struct err *err;

	if (mkdir(mount_dir, 0700) && errno != EEXIST)
		return err_from_errno(errno, "%s", mount_dir);
	if (mount(stick->device, mount_dir, stick->content, MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL))
		return err_advise(err_from_errno(errno, "%s (%s)", stick->device, stick->content),
				  "try another stick");
	err = copy_file(path, target);
	if (umount(mount_dir))
		err = err_first(err, err_from_errno(errno, "%s", stick->device));
	return err;
}
