/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the source is: a value that capture (or, for a bare disk image, the
 * inspection) writes and every later stage reads.  On disk it is machine.json,
 * documented in p2v-machine.json(5).
 */
#ifndef P2V_BASE_MACHINE_H
#define P2V_BASE_MACHINE_H

#include <stddef.h>
#include <stdint.h>

#include "p2v/base/err.h"
#include "p2v/base/json.h"
#include "p2v/base/strv.h"

enum firmware { FIRMWARE_UNKNOWN, FIRMWARE_BIOS, FIRMWARE_UEFI };

const char *firmware_name(enum firmware firmware); /* "unknown", "bios", "uefi" */

/* Where the machine is to run; a set of these is a bit mask. */
enum target {
	TARGET_HYPERV = 1 << 0,
	TARGET_KVM = 1 << 1,
	TARGET_VMWARE = 1 << 2,
	TARGET_XEN = 1 << 3,
};
#define TARGET_ALL (TARGET_HYPERV | TARGET_KVM | TARGET_VMWARE | TARGET_XEN)

const char *target_name(enum target target); /* "hyperv", … */

/* "hyperv,kvm" or "all"; ERR_USAGE names what it does not know. */
struct err *targets_parse(const char *text, unsigned *ret_targets) ERR_MUST_CHECK;

struct machine_partition {
	unsigned number; /* as the operating system counts, from 1 */
	uint64_t start_bytes;
	uint64_t size_bytes;
	char *type; /* MBR type "0x83" or GPT type GUID */
	char *content; /* libblkid's name of what is inside ("ext4", "LVM2_member"), NULL if nothing known */
	char *label;
	char *uuid;
	char *device; /* as the running system calls it ("/dev/sda1"), NULL for an image */
	struct strv uses; /* what the running system does with it: "/boot", "/data (read-only)", "swap" */
};

struct machine_disk {
	char *file; /* image in the machine's folder, relative; NULL before there is one */
	char *source; /* the device or file that it was taken from */
	uint64_t size_bytes;
	uint32_t logical_sector_bytes;
	uint32_t physical_sector_bytes;
	char *table; /* "gpt", "dos", NULL for none */
	struct machine_partition *partitions;
	size_t partition_count;
	/* What only the machine itself tells; NULL and 0 for an image. */
	char *model, *serial, *wwn;
	char *transport; /* "sata", "sas", "nvme", "usb", "virtio", "raid", "iscsi", … */
	int is_removable, is_read_only;
	char *content, *label, *uuid; /* of a disk without partitions */
	struct strv uses; /* the same as a partition's */
	char *unreadable; /* why it cannot be read; NULL if it can */
	struct strv paths; /* other devices that are this disk too: "/dev/sdb" of a multipath disk */
};

/* What the running system has built on disks: RAID, LVM, encryption, caches, multipath. */
struct machine_volume {
	char *device; /* "/dev/md0", "/dev/mapper/vg-root" */
	char *kind; /* "md raid1", "lvm", "crypt", "bcache", "dm" */
	uint64_t size_bytes;
	struct strv on; /* the devices right below it */
	char *content, *label, *uuid;
	struct strv uses;
};

struct machine_nic {
	char *name; /* interface name inside the machine, NULL if unknown */
	char *mac; /* "52:54:00:12:34:56" */
	int mac_is_made_up; /* the source did not tell; derived, stable from run to run */
	struct strv addresses; /* static ones, "192.0.2.7/24" */
	/* What only the machine itself tells. */
	char *driver; /* NULL for what is not hardware */
	char *kind; /* NULL for hardware, else "bond", "bridge", "vlan", "team" */
	char *master; /* the bond or bridge that it is part of */
	char *lower; /* the interface that a VLAN is on */
	unsigned vlan;
};

struct machine_route {
	char *destination; /* "0.0.0.0/0" for the default route */
	char *gateway; /* NULL if the network is attached */
	char *interface;
};

struct machine_cpu {
	char *model;
	unsigned sockets, cores, threads; /* of the whole machine; 0 if unknown */
	struct strv flags; /* those that decide whether software runs elsewhere */
};

/* Zero-initialised: the source did not tell. */
struct machine_hardware {
	char *vendor, *model, *serial;
	char *hypervisor; /* "kvm", "vmware", "hyperv", "xen", "virtualbox"; NULL for iron */
	char *tpm; /* "1.2", "2.0", NULL for none */
};

struct machine_os {
	char *id; /* os-release ID, or "windows" */
	char *version; /* VERSION_ID */
	char *name; /* for people: PRETTY_NAME */
	char *arch; /* "x86_64", "i686", "aarch64", … */
	char *hostname;
};

struct machine {
	char *name; /* file-name safe */
	enum firmware firmware;
	int secure_boot; /* 1 on, 0 off, -1 unknown */
	unsigned processors;
	uint64_t memory_bytes;
	struct machine_os os;
	struct machine_disk *disks; /* the boot disk first */
	size_t disk_count;
	struct machine_nic *nics;
	size_t nic_count;
	struct machine_hardware hardware;
	struct machine_cpu cpu;
	struct machine_volume *volumes;
	size_t volume_count;
	struct machine_route *routes;
	size_t route_count;
	struct strv dns; /* name servers */
};

void machine_os_deinit(struct machine_os *os);
void machine_deinit(struct machine *machine);
struct machine_disk *machine_add_disk(struct machine *machine);
/* The disk at that index becomes the first; the others keep their order. */
void machine_put_disk_first(struct machine *machine, size_t index);
struct machine_nic *machine_add_nic(struct machine *machine);
struct machine_volume *machine_add_volume(struct machine *machine);
struct machine_route *machine_add_route(struct machine *machine);
struct machine_partition *machine_disk_add_partition(struct machine_disk *disk);

json_t *machine_to_json(const struct machine *machine); /* the caller's reference */
/* ret_machine must be zero-initialised; what the file leaves out stays unset. */
struct err *machine_from_json(const json_t *json, struct machine *ret_machine) ERR_MUST_CHECK;

#define CLEANUP_MACHINE CLEANUP(machine_deinit)

#endif
