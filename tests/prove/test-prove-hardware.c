/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which devices a VM is shown on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/prove/hardware.h"
#include "tests/base/lib-must.h"
#include "tests/handover/lib-machine.h"

static const struct {
	enum target target;
	enum firmware firmware;
	const char *drivers; /* NULL: not known */
	const char *name, *machine, *disk, *nic;
	size_t stand_ins;
} cases[] = {
	{TARGET_KVM, FIRMWARE_BIOS, NULL, "kvm", "q35", "virtio_blk", "virtio_net", 0},
	{TARGET_KVM, FIRMWARE_UEFI, "virtio_scsi e1000e", "kvm", "q35", "virtio_scsi", "e1000e", 0},
	{TARGET_KVM, FIRMWARE_BIOS, "ahci e1000", "kvm", "q35", "ahci", "e1000", 0},
	{TARGET_KVM, FIRMWARE_BIOS, "ata_piix", "kvm", "pc", "ata_piix", "virtio_net", 0},
	{TARGET_HYPERV, FIRMWARE_BIOS, NULL, "hyperv-gen1", "pc", "ata_piix", "e1000e", 2},
	{TARGET_HYPERV, FIRMWARE_BIOS, "ata_piix ahci hv_storvsc", "hyperv-gen1", "pc", "ata_piix", "e1000e",
	 2},
	/* No driver for the IDE controller: the nearest one that there is. */
	{TARGET_HYPERV, FIRMWARE_BIOS, "ahci virtio_blk hv_storvsc virtio_net", "hyperv-gen1", "pc", "ahci",
	 "virtio_net", 2},
	{TARGET_HYPERV, FIRMWARE_UEFI, NULL, "hyperv-gen2", "q35", "ahci", "e1000e", 2},
	{TARGET_HYPERV, FIRMWARE_UEFI, "nvme hv_storvsc virtio_blk e1000", "hyperv-gen2", "q35", "nvme",
	 "e1000", 2},
	/* None at all: it is tried, and fails as it would. */
	{TARGET_HYPERV, FIRMWARE_UEFI, "mpt3sas", "hyperv-gen2", "q35", "ahci", "e1000e", 2},
};

static void test_choice(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_STRV struct strv drivers = {0};
		const struct strv *known = cases[i].drivers ? &drivers : NULL;
		struct vm_options options = {.drivers = known};
		CLEANUP_HARDWARE struct hardware hardware = {0};
		CLEANUP_MACHINE struct machine machine;
		CLEANUP_VM struct vm vm = {0};

		if (cases[i].drivers)
			strv_split(&drivers, cases[i].drivers, " ");
		make_machine("x", cases[i].firmware, &machine);
		must(vm_derive(&machine, cases[i].target, &options, &vm));
		must(hardware_choose(&vm, known, &hardware));
		assert_string_equal(hardware.name, cases[i].name);
		assert_string_equal(hardware.machine, cases[i].machine);
		assert_string_equal(hardware_disk_driver(hardware.disks[0]), cases[i].disk);
		assert_string_equal(hardware_nic_driver(hardware.nic), cases[i].nic);
		assert_int_equal(hardware.stand_ins.count, cases[i].stand_ins);
		assert_int_equal(hardware.not_proven.count, cases[i].target == TARGET_HYPERV ? 2 : 1);
	}
}

static void add_disks(struct machine *machine, size_t count, uint32_t sector_bytes)
{
	while (count--) {
		struct machine_disk *disk = machine_add_disk(machine);

		disk->size_bytes = 1 << 20;
		disk->logical_sector_bytes = sector_bytes;
	}
}

static void test_many_disks(void **state)
{
	CLEANUP_HARDWARE struct hardware hardware = {0};
	CLEANUP_MACHINE struct machine machine;
	CLEANUP_VM struct vm vm = {0};

	(void)state;
	/* Three on IDE, the rest on SCSI; one of those has large sectors, which AHCI cannot show. */
	make_machine("x", FIRMWARE_BIOS, &machine);
	add_disks(&machine, 5, 512);
	add_disks(&machine, 1, 4096);
	must(vm_derive(&machine, TARGET_HYPERV, NULL, &vm));
	must(hardware_choose(&vm, NULL, &hardware));
	assert_int_equal(hardware.disks[0], HARDWARE_IDE);
	assert_int_equal(hardware.disks[2], HARDWARE_IDE);
	assert_int_equal(hardware.disks[3], HARDWARE_NVME);
	assert_int_equal(hardware.disks[6], HARDWARE_NVME);
}

static void test_refused(void **state)
{
	CLEANUP_STRV struct strv drivers = {0};
	struct vm_options options = {.drivers = &drivers};
	CLEANUP_MACHINE struct machine machine;
	CLEANUP_VM struct vm vm = {0};
	CLEANUP_VM struct vm xen = {0};
	CLEANUP_HARDWARE struct hardware hardware = {0};

	(void)state;
	strv_add(&drivers, "ata_piix");
	make_machine("x", FIRMWARE_BIOS, &machine);
	add_disks(&machine, 5, 512);
	must(vm_derive(&machine, TARGET_KVM, &options, &vm));
	must_refuse(hardware_choose(&vm, &drivers, &hardware), "places for 4 IDE");
	must(vm_derive(&machine, TARGET_XEN, NULL, &xen));
	must_refuse(hardware_choose(&xen, NULL, &hardware), "xen");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_many_disks),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
