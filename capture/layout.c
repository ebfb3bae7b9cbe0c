/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "capture/layout.h"

#include <stdlib.h>
#include <string.h>

#include "capture/layout-impl.h"
#include "capture/stack.h"
#include "p2v/base/mem.h"

/* What is never a disk of this machine, by how it is attached. */
static const struct {
	const char *transport, *why_not;
} never[] = {
	{"loop", "it is a file of this system, shown as a disk"},
	{"ram", "it is memory"},
	{"zram", "it is memory"},
	{"cdrom", "it is an optical drive"},
	{"floppy", "it is a floppy drive"},
	{"nbd", "it is a disk of another machine, over the network (NBD)"},
	{"rbd", "it is in a Ceph cluster, where it stays"},
	{"aoe", "it is a disk of another machine, over the network (AoE)"},
	{"drbd", "it stands on another disk of this machine (DRBD)"},
	{"zvol", "it stands on other disks of this machine (ZFS)"},
	{"flash", "it is the firmware's flash memory"},
	{"iscsi", "it is on the storage network (iSCSI): attach it to the virtual machine instead"},
};

/* Where live systems mount the medium that they were started from. */
static const char *const live_folders[] = {
	"/run/live/medium",	  "/lib/live/mount/medium",	"/run/initramfs/live",
	"/run/initramfs/isoscan", "/run/archiso/bootmnt",	"/cdrom",
	"/run/p2v/medium",	  "/usr/lib/live/mount/medium",
};
static const char *const system_folders[] = {"/", "/boot", "/boot/efi", "/usr", "/var"};

static bool has_use(const struct strv *uses, const char *const *folders, size_t count)
{
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < uses->count; k++)
			if (str_starts_with(uses->items[k], folders[i]) &&
			    (!uses->items[k][strlen(folders[i])] ||
			     !strcmp(uses->items[k] + strlen(folders[i]), " (read-only)")))
				return true;
	return false;
}

#define HAS_USE(uses, folders) has_use(uses, folders, sizeof(folders) / sizeof *(folders))

/* mmcblk0boot0, mmcblk0boot1, mmcblk0rpmb: areas of the chip beside the disk. */
static bool is_chip_area(const char *source)
{
	return str_starts_with(source, "/dev/mmcblk") && (strstr(source, "boot") || strstr(source, "rpmb"));
}

static const char *find_why_not(const struct machine *machine, const struct machine_disk *disk)
{
	CLEANUP_STRV struct strv uses = {0};

	stack_uses(machine, disk, &uses);
	for (size_t i = 0; disk->transport && i < sizeof never / sizeof *never; i++)
		if (!strcmp(disk->transport, never[i].transport))
			return never[i].why_not;
	if (HAS_USE(&uses, live_folders))
		return "it is the medium that this system was started from";
	if (is_chip_area(disk->source))
		return "it is a boot area inside the eMMC chip, which virtual machines do not have";
	if (disk->is_read_only)
		return "it is read-only";
	if (HAS_USE(&uses, system_folders))
		return NULL;
	if (disk->is_removable)
		return "it is removable: name it with --disk if it belongs to the machine";
	if (disk->transport && (!strcmp(disk->transport, "usb") || !strcmp(disk->transport, "firewire")))
		return "it is an external disk: name it with --disk if it belongs to the machine";
	return NULL;
}

static bool is_named(const struct machine_disk *disk, const char *name)
{
	return !strcmp(disk->source, name) || strv_has(&disk->paths, name);
}

static bool is_chosen(const struct machine_disk *disk, const struct strv *chosen)
{
	for (size_t i = 0; i < chosen->count; i++)
		if (is_named(disk, chosen->items[i]))
			return true;
	return false;
}

static struct err *check_chosen(const struct machine *machine, const struct strv *chosen)
{
	for (size_t i = 0; i < chosen->count; i++) {
		bool found = false;

		for (size_t k = 0; k < machine->disk_count; k++)
			found |= is_named(&machine->disks[k], chosen->items[i]);
		if (!found)
			return err_advise(err_usage("%s: is no disk of this machine", chosen->items[i]),
					  "'p2v scan' lists them");
	}
	return NULL;
}

struct err *layout_choose(const struct machine *machine, const struct layout_options *options,
			  struct layout *ret_layout)
{
	const struct strv *chosen =
		options && options->chosen && options->chosen->count ? options->chosen : NULL;
	struct layout layout = {0};

	if (chosen)
		TRY(check_chosen(machine, chosen));
	layout.disks = xcalloc(machine->disk_count, sizeof *layout.disks);
	layout.disk_count = machine->disk_count;
	for (size_t i = 0; i < machine->disk_count; i++) {
		const struct machine_disk *disk = &machine->disks[i];
		const char *why_not = !chosen			? find_why_not(machine, disk)
				      : is_chosen(disk, chosen) ? NULL
								: "it was not chosen";

		layout.disks[i] = (struct layout_disk){disk->source, !why_not, xstrdup(why_not)};
	}
	layout_find(machine, &layout);
	*ret_layout = layout;
	return NULL;
}

void layout_deinit(struct layout *layout)
{
	for (size_t i = 0; i < layout->disk_count; i++)
		free(layout->disks[i].why_not);
	for (size_t i = 0; i < layout->finding_count; i++) {
		free(layout->findings[i].text);
		free(layout->findings[i].advice);
	}
	free(layout->disks);
	free(layout->findings);
	*layout = (struct layout){0};
}

bool layout_takes(const struct layout *layout, const char *source)
{
	for (size_t i = 0; i < layout->disk_count; i++)
		if (!strcmp(layout->disks[i].source, source))
			return layout->disks[i].is_taken;
	return false;
}

const char *finding_level_name(enum finding_level level)
{
	static const char *const names[] = {"note", "warning", "stop"};

	return names[level];
}

json_t *layout_to_json(const struct layout *layout)
{
	json_t *json = json_object(), *disks = json_array(), *findings = json_array();

	for (size_t i = 0; i < layout->disk_count; i++) {
		json_t *disk = json_object();

		json_set_string(disk, "source", layout->disks[i].source);
		json_set_bool(disk, "taken", layout->disks[i].is_taken);
		json_set_string(disk, "why_not", layout->disks[i].why_not);
		json_array_append_new(disks, disk);
	}
	for (size_t i = 0; i < layout->finding_count; i++) {
		json_t *finding = json_object();

		json_set_string(finding, "level", finding_level_name(layout->findings[i].level));
		json_set_string(finding, "text", layout->findings[i].text);
		json_set_string(finding, "advice", layout->findings[i].advice);
		json_array_append_new(findings, finding);
	}
	json_object_set_new(json, "disks", disks);
	json_object_set_new(json, "findings", findings);
	return json;
}
