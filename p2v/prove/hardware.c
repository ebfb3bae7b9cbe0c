/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The choice of hardware, by tables.
 *
 * Of the devices that may show a disk or a network card, in the order of how
 * near they come, the first one is taken that the guest has a driver for.
 * Where it has none, the first one is taken all the same: the boot then fails,
 * and rightly.
 */
#include "p2v/prove/hardware.h"

#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct {
	const char *driver;
	const char *label;
	bool is_ata; /* sectors of 512 bytes alone */
	size_t max_disks; /* 0: no limit of its own */
} disk_kinds[] = {
	[HARDWARE_VIRTIO_BLK] = {"virtio_blk", "virtio-blk", false, 0},
	[HARDWARE_VIRTIO_SCSI] = {"virtio_scsi", "virtio-scsi", false, 256},
	[HARDWARE_AHCI] = {"ahci", "AHCI", true, 0},
	[HARDWARE_IDE] = {"ata_piix", "IDE (PIIX3)", true, 4},
	[HARDWARE_NVME] = {"nvme", "NVMe", false, 0},
};

static const struct {
	const char *driver;
	const char *label;
} nic_kinds[] = {
	[HARDWARE_VIRTIO_NET] = {"virtio_net", "virtio-net"},
	[HARDWARE_E1000E] = {"e1000e", "Intel 82574L (e1000e)"},
	[HARDWARE_E1000] = {"e1000", "Intel 82540EM (e1000)"},
};

/* What may show a disk of each bus; the first one is the thing itself where QEMU has it. */
static const struct {
	const char *label; /* of what is stood in for */
	size_t count;
	enum hardware_disk kinds[5];
} disk_choices[] = {
	[VM_DISK_VIRTIO_BLK] = {"virtio-blk", 1, {HARDWARE_VIRTIO_BLK}},
	[VM_DISK_VIRTIO_SCSI] = {"virtio-scsi", 1, {HARDWARE_VIRTIO_SCSI}},
	[VM_DISK_SATA] = {"AHCI", 1, {HARDWARE_AHCI}},
	[VM_DISK_IDE] = {"Hyper-V's IDE controller",
			 5,
			 {HARDWARE_IDE, HARDWARE_AHCI, HARDWARE_NVME, HARDWARE_VIRTIO_SCSI,
			  HARDWARE_VIRTIO_BLK}},
	[VM_DISK_VMBUS_SCSI] = {"Hyper-V's SCSI controller",
				4,
				{HARDWARE_AHCI, HARDWARE_NVME, HARDWARE_VIRTIO_SCSI, HARDWARE_VIRTIO_BLK}},
};

static const struct {
	size_t count;
	enum hardware_nic kinds[3];
} nic_choices[] = {
	[VM_NIC_VIRTIO] = {1, {HARDWARE_VIRTIO_NET}},
	[VM_NIC_E1000E] = {1, {HARDWARE_E1000E}},
	[VM_NIC_E1000] = {1, {HARDWARE_E1000}},
	[VM_NIC_VMBUS] = {3, {HARDWARE_E1000E, HARDWARE_E1000, HARDWARE_VIRTIO_NET}},
};

static const struct board {
	enum target target;
	enum firmware firmware;
	const char *name;
	const char *machine;
	const char *not_proven; /* NULL: nothing that depends on the board */
} boards[] = {
	{TARGET_KVM, FIRMWARE_BIOS, "kvm", "q35", NULL},
	{TARGET_KVM, FIRMWARE_UEFI, "kvm", "q35", NULL},
	{TARGET_HYPERV, FIRMWARE_BIOS, "hyperv-gen1", "pc",
	 "No Hyper-V runs here: its drivers (hv_vmbus, hv_storvsc, hv_netvsc) were not put to work. That "
	 "they "
	 "are in the initramfs is checked by the conversion."},
	{TARGET_HYPERV, FIRMWARE_UEFI, "hyperv-gen2", "q35",
	 "No Hyper-V runs here: its drivers (hv_vmbus, hv_storvsc, hv_netvsc) were not put to work. That "
	 "they "
	 "are in the initramfs is checked by the conversion."},
};

const char *hardware_disk_driver(enum hardware_disk disk)
{
	return disk_kinds[disk].driver;
}

const char *hardware_nic_driver(enum hardware_nic nic)
{
	return nic_kinds[nic].driver;
}

static bool may_use(const struct strv *drivers, const char *driver)
{
	return !drivers || strv_has(drivers, driver);
}

/* One choice for all disks of a bus, so that they keep their order. */
static enum hardware_disk choose_disk(const struct vm *vm, enum vm_disk_bus bus, const struct strv *drivers)
{
	size_t count = 0;
	bool has_large_sectors = false;

	for (size_t i = 0; i < vm->disk_count; i++)
		if (vm->disks[i].bus == bus) {
			count++;
			has_large_sectors |= vm->disks[i].logical_sector_bytes > 512;
		}
	for (size_t i = 0; i < disk_choices[bus].count; i++) {
		enum hardware_disk kind = disk_choices[bus].kinds[i];
		size_t max = disk_kinds[kind].max_disks;

		if (may_use(drivers, disk_kinds[kind].driver) &&
		    !(has_large_sectors && disk_kinds[kind].is_ata) && (!max || count <= max))
			return kind;
	}
	return disk_choices[bus].kinds[0];
}

static enum hardware_nic choose_nic(enum vm_nic_model model, const struct strv *drivers)
{
	for (size_t i = 0; i < nic_choices[model].count; i++)
		if (may_use(drivers, nic_kinds[nic_choices[model].kinds[i]].driver))
			return nic_choices[model].kinds[i];
	return nic_choices[model].kinds[0];
}

static struct err *check_disks(const struct hardware *hardware, const struct vm *vm)
{
	for (size_t i = 0; i < hardware->disk_count; i++) {
		enum hardware_disk kind = hardware->disks[i];
		size_t count = 0;

		if (disk_kinds[kind].is_ata && vm->disks[i].logical_sector_bytes > 512)
			return err_advise(err_refused("%s: QEMU has no %s disk with sectors of %u bytes",
						      vm->disks[i].file, disk_kinds[kind].label,
						      vm->disks[i].logical_sector_bytes),
					  HARDWARE_ADVICE);
		for (size_t k = 0; k < hardware->disk_count; k++)
			count += hardware->disks[k] == kind;
		if (disk_kinds[kind].max_disks && count > disk_kinds[kind].max_disks)
			return err_advise(err_refused("QEMU has places for %zu %s disks; the machine has %zu",
						      disk_kinds[kind].max_disks, disk_kinds[kind].label,
						      count),
					  HARDWARE_ADVICE);
	}
	return NULL;
}

static bool is_itself(const struct vm *vm, enum vm_disk_bus bus)
{
	/* Linux drives Hyper-V's IDE disks through VMBus, too. */
	return vm->target != TARGET_HYPERV && bus != VM_DISK_VMBUS_SCSI;
}

static void describe(struct hardware *hardware, const struct vm *vm)
{
	for (size_t i = 0; i < vm->disk_count; i++)
		if (!is_itself(vm, vm->disks[i].bus))
			strv_addf(&hardware->stand_ins, "Disk %zu: %s, in place of %s.", i,
				  disk_kinds[hardware->disks[i]].label, disk_choices[vm->disks[i].bus].label);
	if (vm->nic_count && vm->nics[0].model == VM_NIC_VMBUS)
		strv_addf(&hardware->stand_ins, "Network: %s, in place of Hyper-V's network adapter.",
			  nic_kinds[hardware->nic].label);
	strv_add(&hardware->not_proven,
		 "No other machine was in the network: routes, names and services that "
		 "need one were not tried.");
}

static const struct board *find_board(const struct vm *vm)
{
	for (size_t i = 0; i < COUNT(boards); i++)
		if (boards[i].target == vm->target && boards[i].firmware == vm->firmware)
			return &boards[i];
	return NULL;
}

struct err *hardware_choose(const struct vm *vm, const struct strv *drivers, struct hardware *ret_hardware)
{
	const struct board *board = find_board(vm);
	struct hardware hardware = {0};
	bool needs_ide = false;
	struct err *err;

	if (!board)
		return err_advise(
			err_refused("a machine for %s cannot be proven here", target_name(vm->target)),
			HARDWARE_ADVICE);
	hardware.name = board->name;
	hardware.disks = xcalloc(vm->disk_count, sizeof *hardware.disks);
	hardware.disk_count = vm->disk_count;
	for (size_t i = 0; i < vm->disk_count; i++) {
		hardware.disks[i] = choose_disk(vm, vm->disks[i].bus, drivers);
		needs_ide |= hardware.disks[i] == HARDWARE_IDE;
	}
	if (vm->nic_count)
		hardware.nic = choose_nic(vm->nics[0].model, drivers);
	hardware.machine = needs_ide ? "pc" : board->machine;
	if (board->not_proven)
		strv_add(&hardware.not_proven, board->not_proven);
	describe(&hardware, vm);
	err = check_disks(&hardware, vm);
	if (err)
		hardware_deinit(&hardware);
	else
		*ret_hardware = hardware;
	return err;
}

void hardware_deinit(struct hardware *hardware)
{
	free(hardware->disks);
	strv_deinit(&hardware->stand_ins);
	strv_deinit(&hardware->not_proven);
	*hardware = (struct hardware){0};
}
