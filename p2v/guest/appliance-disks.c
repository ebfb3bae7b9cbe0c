/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What lies on the disks, in one call: the kernel's own view of partitions and
 * stacked devices (sysfs-block(5)), and what blkid(8) finds on each.
 */
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/base/strv.h"
#include "p2v/guest/appliance-impl.h"
#include "p2v/guest/devname.h"

#define SYSFS_SECTOR_BYTES 512 /* whatever the disk's own is */

/* Shell builtins only, but for the one blkid: a process takes a tenth of a second emulated.
 * Our disks are the SCSI targets from 0 on, in their order.
 * "disk NAME TARGET SECTORS LOGICAL PHYSICAL", "part NAME NUMBER START SECTORS",
 * "stack NAME DM-NAME DM-UUID SECTORS SLAVE…", then what blkid says. */
static const char scan_script[] =
	"for t in $targets; do for d in /sys/bus/scsi/devices/*:0:$t:0/block/*; do n=${d##*/}; read s "
	"<$d/size\n"
	"  read l <$d/queue/logical_block_size; read p <$d/queue/physical_block_size\n"
	"  echo disk $n $t $s $l $p; list=\"$list /dev/$n\"\n"
	"  for q in $d/$n[0-9]*; do [ -e $q ] || continue\n"
	"    read i <$q/partition; read a <$q/start; read s <$q/size; echo part ${q##*/} $i $a $s\n"
	"    list=\"$list /dev/${q##*/}\"; done; done; done\n"
	"for d in /sys/block/dm-* /sys/block/md*; do [ -e $d ] || continue; name=; uuid=; read s <$d/size\n"
	"  [ $s -gt 0 ] || continue\n"
	"  [ ! -e $d/dm ] || { read name <$d/dm/name; read uuid <$d/dm/uuid; }\n"
	"  slaves=; for q in $d/slaves/*; do [ ! -e $q ] || slaves=\"$slaves ${q##*/}\"; done\n"
	"  echo stack ${d##*/} ${name:--} ${uuid:--} $s $slaves; list=\"$list /dev/${d##*/}\"; done\n"
	"echo; [ -z \"$list\" ] || blkid -p -o export $list || :\n";

void block_device_deinit(struct block_device *device)
{
	free(device->device);
	free(device->node);
	free(device->below);
	free(device->content);
	free(device->uuid);
	free(device->label);
	free(device->partuuid);
	free(device->partlabel);
	free(device->part_type);
	free(device->table);
}

/* Kernel names beside the devices, while the output is read. */
struct scan {
	struct appliance *appliance;
	struct strv kernel_names;
	size_t capacity;
};

static void scan_deinit(struct scan *scan)
{
	strv_deinit(&scan->kernel_names);
}

static struct block_device *find_device(const struct scan *scan, const char *kernel_name)
{
	for (size_t i = 0; i < scan->kernel_names.count; i++) {
		if (strcmp(scan->kernel_names.items[i], kernel_name) == 0)
			return &scan->appliance->devices[i];
	}
	return NULL;
}

/* device is taken over. */
static struct block_device *add_device(struct scan *scan, const char *kernel_name, char *device_name)
{
	struct appliance *appliance = scan->appliance;
	struct block_device *device;

	array_grow(appliance->devices, appliance->device_count, scan->capacity);
	device = &appliance->devices[appliance->device_count++];
	*device = (struct block_device){
		.device = device_name,
		.node = xasprintf("/dev/%s", kernel_name),
		.disk = -1,
	};
	strv_add(&scan->kernel_names, kernel_name);
	return device;
}

/* "/dev/sda", … "/dev/sdz", "/dev/sdaa", …: as the kernel's sd driver names disks. */
static char *disk_name(size_t index)
{
	char letters[8];
	char *at = letters + sizeof letters;

	*--at = '\0';
	for (size_t n = index + 1; n > 0; n = (n - 1) / 26)
		*--at = (char)('a' + (n - 1) % 26);
	return xasprintf("/dev/sd%s", at);
}

static uint64_t sectors(const char *text)
{
	return strtoull(text, NULL, 10) * SYSFS_SECTOR_BYTES;
}

static void read_disk(struct scan *scan, const struct strv *words)
{
	size_t index = strtoul(words->items[2], NULL, 10);
	struct block_device *device;
	struct appliance_disk *disk;

	if (index >= scan->appliance->disk_count)
		return;
	disk = &scan->appliance->disks[index];
	disk->size_bytes = sectors(words->items[3]);
	disk->logical_sector_bytes = (uint32_t)strtoul(words->items[4], NULL, 10);
	disk->physical_sector_bytes = (uint32_t)strtoul(words->items[5], NULL, 10);
	device = add_device(scan, words->items[1], disk_name(index));
	device->disk = (int)index;
	device->size_bytes = disk->size_bytes;
}

static void read_partition(struct scan *scan, const struct strv *words)
{
	CLEANUP_FREE char *disk = NULL;
	struct block_device *device;
	int index;

	if (!scan->appliance->device_count)
		return;
	/* Partitions follow their disk. */
	index = scan->appliance->devices[scan->appliance->device_count - 1].disk;
	disk = disk_name(index);
	device = add_device(scan, words->items[1], xasprintf("%s%s", disk, words->items[2]));
	device->disk = index;
	device->partition = (unsigned)strtoul(words->items[2], NULL, 10);
	device->start_bytes = sectors(words->items[3]);
	device->size_bytes = sectors(words->items[4]);
}

/* "LVM-" and the two UUIDs of group and volume; LVM's internal devices have a suffix. */
static bool is_lvm_volume(const char *dm_uuid)
{
	return str_starts_with(dm_uuid, "LVM-") && strlen(dm_uuid) == 4 + 32 + 32;
}

static void read_stack(struct scan *scan, const struct strv *words)
{
	const char *dm_name = words->items[2];
	const char *dm_uuid = words->items[3];
	struct block_device *device;
	int disk = -1;

	if (str_starts_with(dm_uuid, "LVM-") && !is_lvm_volume(dm_uuid))
		return;
	for (size_t i = 5; i < words->count; i++) {
		const struct block_device *below = find_device(scan, words->items[i]);

		disk = below && (i == 5 || below->disk == disk) ? below->disk : -1;
		if (disk < 0)
			break;
	}
	device = add_device(scan, words->items[1], xasprintf("/dev/%s", words->items[1]));
	device->disk = disk;
	device->size_bytes = sectors(words->items[4]);
	device->below = words->count > 5 ? xasprintf("/dev/%s", words->items[5]) : NULL;
	if (strcmp(dm_name, "-") != 0) {
		CLEANUP_FREE char *mapper_name = xasprintf("/dev/mapper/%s", dm_name);
		CLEANUP_DEVNAME struct devname name;

		devname_parse(mapper_name, &name);
		device->is_logical_volume = true;
		free(device->device);
		device->device =
			xstrdup(is_lvm_volume(dm_uuid) && name.kind == DEVNAME_LOGICAL_VOLUME ? name.value
											      : mapper_name);
	}
}

/* blkid puts a backslash before what a shell would take apart. */
static char *unescape(const char *value)
{
	struct text plain = {0};

	for (; *value; value++) {
		if (*value == '\\' && value[1])
			value++;
		text_add(&plain, value, 1);
	}
	return text_take(&plain);
}

static void read_blkid_line(struct scan *scan, const char *line, struct block_device **device)
{
	static const struct {
		const char *key;
		size_t offset;
	} fields[] = {
		{"TYPE=", offsetof(struct block_device, content)},
		{"UUID=", offsetof(struct block_device, uuid)},
		{"LABEL=", offsetof(struct block_device, label)},
		{"PART_ENTRY_UUID=", offsetof(struct block_device, partuuid)},
		{"PART_ENTRY_NAME=", offsetof(struct block_device, partlabel)},
		{"PART_ENTRY_TYPE=", offsetof(struct block_device, part_type)},
		{"PTTYPE=", offsetof(struct block_device, table)},
	};

	if (str_starts_with(line, "DEVNAME=/dev/")) {
		*device = find_device(scan, line + strlen("DEVNAME=/dev/"));
		return;
	}
	for (size_t i = 0; i < sizeof fields / sizeof *fields && *device; i++) {
		char **field = (char **)((char *)*device + fields[i].offset);

		if (str_starts_with(line, fields[i].key) && !*field)
			*field = unescape(line + strlen(fields[i].key));
	}
}

static void read_line(struct scan *scan, const char *line, struct block_device **device)
{
	static const struct {
		const char *word;
		size_t min_words;
		void (*read)(struct scan *scan, const struct strv *words);
	} kinds[] = {
		{"disk", 6, read_disk},
		{"part", 5, read_partition},
		{"stack", 5, read_stack},
	};
	CLEANUP_STRV struct strv words = {0};

	if (strchr(line, '=')) {
		read_blkid_line(scan, line, device);
		return;
	}
	strv_split(&words, line, " ");
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds && words.count; i++) {
		if (strcmp(words.items[0], kinds[i].word) == 0 && words.count >= kinds[i].min_words)
			kinds[i].read(scan, &words);
	}
}

static void add_targets(const struct appliance *appliance, struct text *script)
{
	text_addf(script, "targets='");
	for (size_t i = 0; i < appliance->disk_count; i++)
		text_addf(script, "%zu ", i);
	text_addf(script, "'\n");
}

static void forget_devices(struct appliance *appliance)
{
	for (size_t i = 0; i < appliance->device_count; i++)
		block_device_deinit(&appliance->devices[i]);
	free(take_ptr(appliance->devices));
	appliance->device_count = 0;
}

struct err *appliance_scan_disks(struct appliance *appliance)
{
	CLEANUP(scan_deinit) struct scan scan = {.appliance = appliance};
	CLEANUP_TEXT struct text script = {0};
	CLEANUP_FREE char *output = NULL;
	CLEANUP_STRV struct strv lines = {0};
	struct block_device *device = NULL;

	add_targets(appliance, &script);
	text_addf(&script, "%s", scan_script);
	TRY(appliance_shell(appliance, script.data, &output));
	strv_split(&lines, output, "\n");
	for (size_t i = 0; i < lines.count; i++)
		read_line(&scan, lines.items[i], &device);
	for (size_t i = 0; i < appliance->device_count; i++) {
		const struct block_device *found = &appliance->devices[i];

		log_debug(appliance->log, "%s: %s%s%s", found->device,
			  found->content ? found->content
			  : found->table ? found->table
					 : "nothing known",
			  found->uuid ? ", UUID " : "", found->uuid ? found->uuid : "");
	}
	return NULL;
}

/* What the appliance does when it starts, once more: nothing stays of what was read of the disks, and what is
 * stacked on them is assembled. */
static const char look_again_script[] =
	"exec 2>/dev/null\n"
	"for t in $targets; do for d in /sys/bus/scsi/devices/*:0:$t:0/block/*; do n=/dev/${d##*/}\n"
	"  blockdev --flushbufs $n; blockdev --rereadpt $n; done; done\n"
	"udevadm settle; mdadm -As --auto=yes --run; udevadm settle\n:\n";

struct err *appliance_look_again(struct appliance *appliance)
{
	CLEANUP_TEXT struct text script = {0};
	CLEANUP_FREE char *output = NULL;

	add_targets(appliance, &script);
	text_addf(&script, "%s", look_again_script);
	TRY(appliance_shell(appliance, script.data, &output));
	if (guestfs_lvm_scan(appliance->g, 1))
		return appliance_error(appliance, "logical volumes");
	forget_devices(appliance);
	return appliance_scan_disks(appliance);
}
