/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a guest is: found once, with few calls, and then a value that fixes and
 * injectors only read.
 */
#ifndef P2V_GUEST_INSPECT_H
#define P2V_GUEST_INSPECT_H

#include "p2v/base/log.h"
#include "p2v/base/machine.h"
#include "p2v/guest/guest.h"

/* Something that holds data: a partition, a logical volume, an array, a whole disk. */
struct guest_volume {
	char *device; /* canonical now: "/dev/sda1" (disk letter = order of our disks), "/dev/vg/lv" */
	int disk; /* index of the disk it lies on, -1 if on several */
	unsigned partition; /* number on that disk, 0 if none */
	uint64_t size_bytes;
	char *content; /* libblkid type: "ext4", "xfs", "swap", "LVM2_member", "crypto_LUKS", NULL */
	char *uuid; /* of the content, as UUID= in fstab means it */
	char *label;
	char *partuuid;
	char *partlabel; /* name of a GPT partition */
	char *mount_point; /* in the guest's fstab, "swap", or NULL */
	bool is_logical_volume;
	char *array_uuid; /* of an array of mdadm, as its members carry it; else NULL */
	char *array_name; /* of an array with metadata from 1.0 on: "web01:0" */
	struct strv array_devices; /* what the guest calls it: "/dev/md0", "/dev/md/0", … */
};

struct guest_kernel {
	char *version; /* "6.1.0-35-amd64" */
	char *image; /* "/boot/vmlinuz-6.1.0-35-amd64" */
	char *initramfs; /* NULL if it has none */
	char *modules_dir; /* "/lib/modules/6.1.0-35-amd64" (symlinks resolved: may be under /usr) */
};

enum initramfs_tool {
	INITRAMFS_NONE,
	INITRAMFS_TOOLS,
	INITRAMFS_DRACUT,
	INITRAMFS_MKINITCPIO,
	INITRAMFS_MKINITRD
};

enum boot_loader {
	BOOT_LOADER_NONE,
	BOOT_LOADER_GRUB2,
	BOOT_LOADER_GRUB_LEGACY,
	BOOT_LOADER_SYSTEMD_BOOT,
	BOOT_LOADER_EXTLINUX
};

/* A network interface as the guest's configuration names it. */
struct guest_interface {
	char *name; /* "enp0s2", "eth0" */
	char *mac; /* where some file ties one to it, else NULL */
	struct strv addresses; /* static, "192.0.2.7/24" */
	char *defined_in; /* "/etc/network/interfaces" */
	bool is_physical; /* not lo, a bridge, a bond, a VLAN, … */
};

struct guest_boot {
	enum firmware firmware; /* how this system boots now */
	enum boot_loader loader;
	char *config; /* "/boot/grub/grub.cfg" */
	char *esp_mount_point; /* "/boot/efi", NULL if there is no EFI system partition */
	bool has_fallback_loader; /* \EFI\BOOT\BOOTX64.EFI is there */
};

/* Software that only makes sense on the old hardware. */
struct guest_leftover {
	char *name; /* "smartmontools" */
	char *unit; /* systemd unit that runs it, NULL if none is enabled */
	const char *why; /* static: "watches disks' SMART data; virtual disks have none" */
};

/* A disk as the guest's own configuration calls it by its kernel name. */
struct guest_disk_name {
	char *name; /* "sda", "nvme0n1", "cciss/c0d0" */
	int disk; /* index of our disk, -1 where several would fit */
};

struct inspection {
	struct machine_os os;
	struct guest_boot boot;
	enum initramfs_tool initramfs_tool;
	bool has_systemd;
	struct guest_volume *volumes; /* root first */
	size_t volume_count;
	struct guest_disk_name *disk_names;
	size_t disk_name_count;
	struct guest_kernel *kernels; /* newest first */
	size_t kernel_count;
	struct guest_interface *interfaces;
	size_t interface_count;
	struct guest_leftover *leftovers;
	size_t leftover_count;
};

/*
 * Reads what can be read from a mounted Linux guest.  `ret_inspection` comes with the volumes filled in
 * by whoever mounted it (appliance_open_guest(), or a test).
 */
struct err *inspect_guest(struct guest *guest, const struct log *log, struct inspection *ret_inspection)
	ERR_MUST_CHECK;
void inspection_deinit(struct inspection *inspection);
#define CLEANUP_INSPECTION CLEANUP(inspection_deinit)

/*
 * The volume that a name in a configuration file meant on the old machine: "UUID=…", "LABEL=…",
 * "PARTUUID=…", "/dev/disk/by-*", "/dev/mapper/vg-lv", "/dev/vg/lv", and kernel names of any bus
 * ("/dev/sda1", "/dev/nvme0n1p2", "/dev/cciss/c0d0p1", "/dev/hda1"), for which the disk is found by what
 * the names themselves say (the partition fstab mounts on / lies on the root disk, and so on).
 * NULL: not found, or not certain.
 */
const struct guest_volume *inspect_find_volume(const struct inspection *inspection, const char *name);

/* True for names that depend on bus, driver or slot, and so will not survive the move: kernel names,
 * by-id, by-path, dm-uuid.  False for UUID=, LABEL=, PARTUUID=, LVM and mapper names, network file systems.
 */
bool inspect_name_is_fragile(const char *name);

#endif
