/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A virtual machine as one target's host shall define it: a value derived from
 * struct machine, with every choice made (firmware, controllers, places of the
 * disks, defaults for what the source did not tell).  The writers of
 * p2v/handover/handover.h put it into the host's language, and prove boots it.
 */
#ifndef P2V_HANDOVER_VM_H
#define P2V_HANDOVER_VM_H

#include <stdbool.h>

#include "p2v/base/machine.h"

/* How a disk is attached. */
enum vm_disk_bus {
	VM_DISK_VIRTIO_BLK,
	VM_DISK_VIRTIO_SCSI,
	VM_DISK_SATA, /* AHCI */
	VM_DISK_IDE, /* Hyper-V generation 1: four places, the only ones its BIOS can boot from */
	VM_DISK_VMBUS_SCSI, /* Hyper-V: 64 places a controller, at most 4 controllers */
};

enum vm_nic_model { VM_NIC_VIRTIO, VM_NIC_E1000E, VM_NIC_E1000, VM_NIC_VMBUS };

enum vm_secure_boot {
	VM_SECURE_BOOT_OFF,
	VM_SECURE_BOOT_MICROSOFT_CA, /* the certificate that signs shim */
	VM_SECURE_BOOT_WINDOWS, /* the certificate that signs Windows */
};

struct vm_disk {
	char *file; /* name of the image in the VM's folder */
	uint64_t size_bytes;
	uint32_t logical_sector_bytes;
	uint32_t physical_sector_bytes;
	enum vm_disk_bus bus;
	unsigned controller; /* number of the controller on its bus, and place there */
	unsigned place;
};

struct vm_nic {
	char *name; /* interface name inside, NULL if unknown */
	char *mac; /* "52:54:00:12:34:56" in lower case, NULL: the host makes one up */
	enum vm_nic_model model;
};

struct vm {
	enum target target;
	char *name; /* as the source's administrator knows it: any text without control characters */
	char *file_name; /* the same, fit for a file on Linux and Windows, without extension */
	enum firmware firmware; /* BIOS or UEFI, never unknown */
	enum vm_secure_boot secure_boot;
	unsigned processors;
	uint64_t memory_bytes; /* whole MiB, even */
	char *image_format; /* "vhdx", "qcow2", "raw", … */
	char *image_dir; /* absolute folder of the images once all is in its place; NULL: not known */
	struct vm_disk *disks; /* boot disk first */
	size_t disk_count;
	struct vm_nic *nics;
	size_t nic_count;
	struct strv notes; /* for the administrator: what was assumed, what to check; one sentence each */
};

/* Zero-initialised is fine. */
struct vm_options {
	enum firmware firmware; /* FIRMWARE_UNKNOWN: the machine's own */
	const struct strv *drivers; /* the guest's storage and network drivers, as inject_kernel_result has
				     * them; NULL: not known, the target's own are taken for granted */
	bool has_signed_loader; /* the guest boots through shim, or is Windows */
	const char *image_format; /* NULL: "vhdx" */
	const char *image_dir;
};

/*
 * ERR_REFUSED where the target cannot run such a machine, naming what stands against it: no disk; a
 * BIOS machine on Hyper-V whose boot disk is larger than 2 TB or has 4096-byte sectors; more disks
 * than the target has places for; a MAC address that is none; an image whose name has control
 * characters.  *ret_vm needs no
 * initialisation; vm_deinit() frees it.
 */
struct err *vm_derive(const struct machine *machine, enum target target, const struct vm_options *options,
		      struct vm *ret_vm) ERR_MUST_CHECK;
void vm_deinit(struct vm *vm);
#define CLEANUP_VM CLEANUP(vm_deinit)

/* What is meant by a MAC address: "52-54-00-AB-CD-EF", "525400abcdef" become "52:54:00:ab:cd:ef".  The
 * caller frees it; NULL if it is none, or a group address. */
char *vm_normalise_mac(const char *text);

/* A driver that the guest needs for such a disk or adapter: "virtio_blk", "ahci", "hv_storvsc", … */
const char *vm_disk_driver(enum vm_disk_bus bus);
const char *vm_nic_driver(enum vm_nic_model model);

#endif
