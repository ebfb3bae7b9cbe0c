/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a VM is booted on in QEMU: its own devices where QEMU has them, else
 * stand-ins that the guest has drivers for.
 */
#ifndef P2V_PROVE_HARDWARE_H
#define P2V_PROVE_HARDWARE_H

#include "p2v/handover/vm.h"

/* What to do where no machine like it can be made here. */
#define HARDWARE_ADVICE "start it once on its own host, with its network unplugged"

enum hardware_disk { HARDWARE_VIRTIO_BLK, HARDWARE_VIRTIO_SCSI, HARDWARE_AHCI, HARDWARE_IDE, HARDWARE_NVME };
enum hardware_nic { HARDWARE_VIRTIO_NET, HARDWARE_E1000E, HARDWARE_E1000 };

struct hardware {
	const char *name; /* "kvm", "hyperv-gen1", "hyperv-gen2" */
	const char *machine; /* QEMU's board: "q35", "pc" */
	enum hardware_disk *disks; /* one a disk of the VM, in its order */
	size_t disk_count;
	enum hardware_nic nic; /* of all network cards */
	struct strv stand_ins; /* one sentence a device that stands in for another */
	struct strv not_proven; /* one sentence each */
};

/*
 * drivers: what the guest has when it boots, NULL if that is not known.  A machine whose target QEMU
 * cannot show at all, or with more disks than the chosen controllers take, is ERR_REFUSED.
 */
struct err *hardware_choose(const struct vm *vm, const struct strv *drivers, struct hardware *ret_hardware)
	ERR_MUST_CHECK;
void hardware_deinit(struct hardware *hardware);
#define CLEANUP_HARDWARE CLEANUP(hardware_deinit)

/* The Linux driver that serves it, as sysfs names it. */
const char *hardware_disk_driver(enum hardware_disk disk);
const char *hardware_nic_driver(enum hardware_nic nic);

#endif
