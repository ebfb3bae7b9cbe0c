/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a user should know before a capture starts: one function a matter, one table. */
#include <stdarg.h>
#include <string.h>

#include "capture/layout-impl.h"
#include "capture/stack.h"
#include "p2v/base/mem.h"

#define VHDX_MAX_BYTES (64ull << 40) /* [MS-VHDX] 2.6.2.4 */
#define MBR_MAX_BYTES (2ull << 40) /* what BIOS and an MBR can address with sectors of 512 bytes */

struct finder {
	const struct machine *machine;
	struct layout *layout;
};

static void add(const struct finder *finder, enum finding_level level, const char *advice, const char *format,
		...) __attribute__((format(printf, 4, 5)));

static void add(const struct finder *finder, enum finding_level level, const char *advice, const char *format,
		...)
{
	struct layout *layout = finder->layout;
	va_list args;

	array_grow(layout->findings, layout->finding_count, layout->finding_capacity);
	va_start(args, format);
	layout->findings[layout->finding_count++] =
		(struct layout_finding){level, xvasprintf(format, args), xstrdup(advice)};
	va_end(args);
}

static void find_unreadable(const struct finder *finder, const struct machine_disk *disk)
{
	if (disk->unreadable)
		add(finder, FINDING_STOP, "run p2v as root; else look for a failing disk or cable (dmesg)",
		    "%s cannot be read: %s", disk->source, disk->unreadable);
}

static void find_mounted(const struct finder *finder, const struct machine_disk *disk)
{
	CLEANUP_STRV struct strv uses = {0};
	CLEANUP_TEXT struct text where = {0};

	stack_uses(finder->machine, disk, &uses);
	for (size_t i = 0; i < uses.count; i++)
		if (strcmp(uses.items[i], "swap") && !str_ends_with(uses.items[i], " (read-only)"))
			text_addf(&where, "%s%s", where.bytes ? ", " : "", uses.items[i]);
	if (where.bytes)
		add(finder, FINDING_WARNING,
		    "for an exact copy start the server from p2v's ISO, or stop services and mount read-only",
		    "%s is mounted for writing (%s): a copy taken now is like after a power cut",
		    disk->source, where.data);
}

static void find_sizes(const struct finder *finder, const struct machine_disk *disk)
{
	bool boots = disk == finder->machine->disks;

	if (disk->size_bytes > VHDX_MAX_BYTES)
		add(finder, FINDING_STOP, "move what is on it to smaller volumes",
		    "%s is larger than 64 TiB, the most that a VHDX can hold", disk->source);
	else if (boots && finder->machine->firmware == FIRMWARE_BIOS && disk->size_bytes > MBR_MAX_BYTES)
		add(finder, FINDING_WARNING, "move the system to a smaller disk, or convert for KVM",
		    "%s is larger than 2 TiB and boots by BIOS: a generation 1 machine of Hyper-V cannot "
		    "boot from it",
		    disk->source);
	if (disk->logical_sector_bytes == 4096)
		add(finder, FINDING_NOTE, NULL,
		    "%s has sectors of 4096 bytes: the virtual disk gets them too, and boots by UEFI only",
		    disk->source);
}

/* By libblkid's names. */
static const struct {
	const char *content;
	enum finding_level level;
	const char *text, *advice;
} contents[] = {
	{"crypto_LUKS", FINDING_WARNING,
	 "is encrypted (LUKS): it is copied whole, and what is inside cannot be prepared for the new "
	 "hardware",
	 "have the passphrase at hand for its first start"},
	{"BitLocker", FINDING_WARNING,
	 "is encrypted (BitLocker): it is copied whole, and its key is in a TPM that the VM will not have",
	 "suspend BitLocker first, and have the recovery key at hand"},
	{"isw_raid_member", FINDING_NOTE,
	 "is part of a RAID of Intel's firmware: each member becomes a disk of its own", NULL},
	{"ddf_raid_member", FINDING_NOTE,
	 "is part of a RAID of the firmware (DDF): each member becomes a disk of its own", NULL},
	{"bcache", FINDING_WARNING,
	 "is part of a bcache: take the cache and what is behind it together, or data is missing", NULL},
	{"zfs_member", FINDING_NOTE, "is part of a ZFS pool: it is copied whole", NULL},
};

static void find_content(const struct finder *finder, const char *device, const char *content)
{
	for (size_t i = 0; content && i < sizeof contents / sizeof *contents; i++)
		if (!strcmp(content, contents[i].content))
			add(finder, contents[i].level, contents[i].advice, "%s %s", device, contents[i].text);
}

static void find_contents(const struct finder *finder, const struct machine_disk *disk)
{
	const struct machine *machine = finder->machine;

	find_content(finder, disk->source, disk->content);
	for (size_t i = 0; i < disk->partition_count; i++)
		find_content(finder, disk->partitions[i].device ? disk->partitions[i].device : disk->source,
			     disk->partitions[i].content);
	/* A volume is told with the first disk that it is on. */
	for (size_t i = 0; i < machine->volume_count; i++) {
		const struct machine_volume *volume = &machine->volumes[i];
		const struct machine_disk *first = machine->disks;

		while (first < disk && !(layout_takes(finder->layout, first->source) &&
					 stack_is_on(machine, first, volume->device)))
			first++;
		if (first == disk && stack_is_on(machine, disk, volume->device))
			find_content(finder, volume->device, volume->content);
	}
}

static void find_raid(const struct finder *finder, const struct machine_disk *disk)
{
	if (disk->transport && !strcmp(disk->transport, "raid"))
		add(finder, FINDING_NOTE, NULL,
		    "%s is what a RAID controller makes of disks behind it: it becomes one virtual disk",
		    disk->source);
}

/* A volume that is on a taken disk and on one that is not would be torn. */
static void find_torn(const struct finder *finder, const struct machine_disk *disk)
{
	const struct machine *machine = finder->machine;

	for (size_t i = 0; i < machine->volume_count; i++) {
		const char *device = machine->volumes[i].device;

		if (!stack_is_on(machine, disk, device))
			continue;
		for (size_t k = 0; k < machine->disk_count; k++)
			if (!layout_takes(finder->layout, machine->disks[k].source) &&
			    stack_is_on(machine, &machine->disks[k], device))
				add(finder, FINDING_WARNING, "name both with --disk",
				    "%s is on %s and on %s, which is not taken", device, disk->source,
				    machine->disks[k].source);
	}
}

static void (*const finders[])(const struct finder *finder, const struct machine_disk *disk) = {
	find_unreadable, find_mounted, find_sizes, find_contents, find_raid, find_torn,
};

void layout_find(const struct machine *machine, struct layout *layout)
{
	struct finder finder = {machine, layout};
	size_t taken = 0;

	for (size_t i = 0; i < machine->disk_count; i++) {
		if (!layout->disks[i].is_taken)
			continue;
		taken++;
		for (size_t k = 0; k < sizeof finders / sizeof *finders; k++)
			finders[k](&finder, &machine->disks[i]);
	}
	if (!taken)
		add(&finder, FINDING_STOP, "name the disks with --disk",
		    "none of the disks here belongs to the machine");
	if (machine->hardware.hypervisor)
		add(&finder, FINDING_NOTE, NULL, "this is a virtual machine already (%s)",
		    machine->hardware.hypervisor);
}
