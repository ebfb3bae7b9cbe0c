/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What becomes of struct machine on each target. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/handover/vm.h"
#include "tests/base/lib-must.h"
#include "tests/handover/lib-machine.h"

#define GIB (1ull << 30)
#define TIB (1ull << 40)

static void test_mac(void **state)
{
	static const struct {
		const char *text, *mac;
	} cases[] = {
		{"52:54:00:12:34:56", "52:54:00:12:34:56"},
		{"52-54-00-AB-CD-EF", "52:54:00:ab:cd:ef"},
		{"525400abcdef", "52:54:00:ab:cd:ef"},
		{"5254.00ab.cdef", "52:54:00:ab:cd:ef"},
		{"", NULL},
		{"52:54:00:12:34", NULL},
		{"52:54:00:12:34:56:78", NULL},
		{"52:54:00:12:34:5g", NULL},
		{"01:00:5e:00:00:01", NULL}, /* multicast */
		{"ff:ff:ff:ff:ff:ff", NULL},
		{"00:00:00:00:00:00", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_FREE char *mac = vm_normalise_mac(cases[i].text);

		if (cases[i].mac)
			assert_string_equal(mac, cases[i].mac);
		else
			assert_null(mac);
	}
}

static void test_names(void **state)
{
	static const struct {
		const char *name, *vm_name, *file_name;
	} cases[] = {
		{"web1", "web1", "web1"},
		{"it's a \"test\"", "it's a \"test\"", "it's a _test_"},
		{"../../etc/passwd", "../../etc/passwd", "_._.._etc_passwd"},
		{"a\nb\x7f", "a_b_", "a_b_"},
		{"-rf", "-rf", "_rf"},
		{"trailing. .", "trailing. .", "trailing___"},
		{"", "server", "server"},
		{NULL, "server", "server"},
		{"größe", "größe", "größe"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_MACHINE struct machine machine;
		CLEANUP_VM struct vm vm = {0};

		make_machine("x", FIRMWARE_BIOS, &machine);
		free(machine.name);
		machine.name = xstrdup(cases[i].name);
		must(vm_derive(&machine, TARGET_HYPERV, NULL, &vm));
		assert_string_equal(vm.name, cases[i].vm_name);
		assert_string_equal(vm.file_name, cases[i].file_name);
	}
}

static void test_firmware(void **state)
{
	static const struct {
		enum firmware wanted, machine;
		const char *first_partition_type;
		enum firmware result;
		bool is_noted;
	} cases[] = {
		{FIRMWARE_UNKNOWN, FIRMWARE_BIOS, NULL, FIRMWARE_BIOS, false},
		{FIRMWARE_UNKNOWN, FIRMWARE_UEFI, NULL, FIRMWARE_UEFI, false},
		{FIRMWARE_UEFI, FIRMWARE_BIOS, NULL, FIRMWARE_UEFI, false},
		{FIRMWARE_BIOS, FIRMWARE_UEFI, NULL, FIRMWARE_BIOS, false},
		{FIRMWARE_UNKNOWN, FIRMWARE_UNKNOWN, NULL, FIRMWARE_BIOS, true},
		{FIRMWARE_UNKNOWN, FIRMWARE_UNKNOWN, "0x83", FIRMWARE_BIOS, true},
		{FIRMWARE_UNKNOWN, FIRMWARE_UNKNOWN, "C12A7328-F81F-11D2-BA4B-00A0C93EC93B", FIRMWARE_UEFI,
		 true},
		{FIRMWARE_UNKNOWN, FIRMWARE_UNKNOWN, "0xef", FIRMWARE_UEFI, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct vm_options options = {.firmware = cases[i].wanted};
		CLEANUP_MACHINE struct machine machine;
		CLEANUP_VM struct vm vm = {0};

		make_machine("x", cases[i].machine, &machine);
		if (cases[i].first_partition_type)
			machine_disk_add_partition(machine.disks)->type =
				xstrdup(cases[i].first_partition_type);
		must(vm_derive(&machine, TARGET_HYPERV, &options, &vm));
		assert_int_equal(vm.firmware, cases[i].result);
		assert_int_equal(vm.notes.count, cases[i].is_noted);
	}
}

static void test_secure_boot(void **state)
{
	static const struct {
		enum target target;
		enum firmware firmware;
		int machine;
		bool is_signed;
		const char *os;
		enum vm_secure_boot result;
	} cases[] = {
		{TARGET_HYPERV, FIRMWARE_UEFI, 1, true, "debian", VM_SECURE_BOOT_MICROSOFT_CA},
		{TARGET_HYPERV, FIRMWARE_UEFI, 1, true, "windows", VM_SECURE_BOOT_WINDOWS},
		{TARGET_HYPERV, FIRMWARE_UEFI, 1, false, "debian", VM_SECURE_BOOT_OFF},
		{TARGET_HYPERV, FIRMWARE_UEFI, 0, true, "debian", VM_SECURE_BOOT_OFF},
		{TARGET_HYPERV, FIRMWARE_UEFI, -1, true, "debian", VM_SECURE_BOOT_MICROSOFT_CA},
		{TARGET_HYPERV, FIRMWARE_UEFI, -1, false, NULL, VM_SECURE_BOOT_OFF},
		{TARGET_HYPERV, FIRMWARE_BIOS, -1, true, "debian", VM_SECURE_BOOT_OFF},
		{TARGET_KVM, FIRMWARE_UEFI, -1, true, "debian", VM_SECURE_BOOT_OFF},
		{TARGET_KVM, FIRMWARE_UEFI, 1, true, "debian", VM_SECURE_BOOT_MICROSOFT_CA},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct vm_options options = {.has_signed_loader = cases[i].is_signed};
		CLEANUP_MACHINE struct machine machine;
		CLEANUP_VM struct vm vm = {0};

		make_machine("x", cases[i].firmware, &machine);
		machine.secure_boot = cases[i].machine;
		machine.os.id = xstrdup(cases[i].os);
		must(vm_derive(&machine, cases[i].target, &options, &vm));
		assert_int_equal(vm.secure_boot, cases[i].result);
	}
}

static void test_defaults_and_limits(void **state)
{
	static const struct {
		enum target target;
		enum firmware firmware;
		unsigned processors, result_processors;
		uint64_t memory_bytes, result_memory_bytes;
		size_t notes;
	} cases[] = {
		{TARGET_HYPERV, FIRMWARE_BIOS, 0, 2, 0, 2 * GIB, 2},
		{TARGET_HYPERV, FIRMWARE_BIOS, 128, 64, 2 * TIB, 1 * TIB, 2},
		{TARGET_HYPERV, FIRMWARE_UEFI, 128, 128, 2 * TIB, 2 * TIB, 0},
		{TARGET_HYPERV, FIRMWARE_UEFI, 8, 8, 16777216000, 16777216000, 0},
		{TARGET_HYPERV, FIRMWARE_UEFI, 8, 8, 3 * GIB - 1, 3 * GIB, 0}, /* multiples of 2 MiB */
		{TARGET_HYPERV, FIRMWARE_UEFI, 8, 8, 1, 64ull << 20, 0},
		{TARGET_KVM, FIRMWARE_BIOS, 128, 128, 2 * TIB, 2 * TIB, 1}, /* the note on qcow2 */
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_MACHINE struct machine machine;
		CLEANUP_VM struct vm vm = {0};

		make_machine("x", cases[i].firmware, &machine);
		machine.processors = cases[i].processors;
		machine.memory_bytes = cases[i].memory_bytes;
		must(vm_derive(&machine, cases[i].target, NULL, &vm));
		assert_int_equal(vm.processors, cases[i].result_processors);
		assert_int_equal(vm.memory_bytes, cases[i].result_memory_bytes);
		assert_int_equal(vm.notes.count, cases[i].notes);
	}
}

static void add_disks(struct machine *machine, size_t count, uint64_t size_bytes, uint32_t sector_bytes)
{
	while (count--) {
		struct machine_disk *disk = machine_add_disk(machine);

		disk->size_bytes = size_bytes;
		disk->logical_sector_bytes = sector_bytes;
	}
}

static void assert_place(const struct vm_disk *disk, enum vm_disk_bus bus, unsigned controller,
			 unsigned place)
{
	assert_int_equal(disk->bus, bus);
	assert_int_equal(disk->controller, controller);
	assert_int_equal(disk->place, place);
}

static void test_hyperv_places(void **state)
{
	CLEANUP_MACHINE struct machine machine;
	CLEANUP_VM struct vm gen1 = {0};
	CLEANUP_VM struct vm gen2 = {0};

	(void)state;
	make_machine("x", FIRMWARE_BIOS, &machine);
	add_disks(&machine, 1, 3 * TIB, 512);
	add_disks(&machine, 1, GIB, 4096);
	add_disks(&machine, 70, GIB, 512);
	must(vm_derive(&machine, TARGET_HYPERV, NULL, &gen1));
	assert_place(&gen1.disks[0], VM_DISK_IDE, 0, 0);
	assert_place(&gen1.disks[1], VM_DISK_VMBUS_SCSI, 0, 0); /* too large for IDE */
	assert_place(&gen1.disks[2], VM_DISK_VMBUS_SCSI, 0, 1); /* large sectors */
	assert_place(&gen1.disks[3], VM_DISK_IDE, 0, 1);
	assert_place(&gen1.disks[4], VM_DISK_IDE, 1, 1);
	assert_place(&gen1.disks[5], VM_DISK_VMBUS_SCSI, 0, 2);
	assert_place(&gen1.disks[72], VM_DISK_VMBUS_SCSI, 1, 5);
	assert_string_equal(gen1.disks[1].file, "disk1.vhdx");
	machine.firmware = FIRMWARE_UEFI;
	must(vm_derive(&machine, TARGET_HYPERV, NULL, &gen2));
	assert_place(&gen2.disks[0], VM_DISK_VMBUS_SCSI, 0, 0);
	assert_place(&gen2.disks[63], VM_DISK_VMBUS_SCSI, 0, 63);
	assert_place(&gen2.disks[64], VM_DISK_VMBUS_SCSI, 1, 0);
}

static void test_hyperv_refused(void **state)
{
	CLEANUP_MACHINE struct machine machine;
	struct vm vm;

	(void)state;
	make_machine("x", FIRMWARE_BIOS, &machine);
	machine.disks->size_bytes = 3 * TIB;
	must_refuse(vm_derive(&machine, TARGET_HYPERV, NULL, &vm), "too large for the boot disk");
	machine.disks->size_bytes = GIB;
	machine.disks->logical_sector_bytes = 4096;
	must_refuse(vm_derive(&machine, TARGET_HYPERV, NULL, &vm), "4096-byte sectors");
	machine.disks->logical_sector_bytes = 512;
	add_disks(&machine, 300, GIB, 512);
	must_refuse(vm_derive(&machine, TARGET_HYPERV, NULL, &vm), "301 disks");
	machine.disk_count = 1;
	free(machine.nics->mac);
	machine.nics->mac = xstrdup("not a mac");
	must_refuse(vm_derive(&machine, TARGET_HYPERV, NULL, &vm), "'not a mac'");
	free(machine.disks->file);
	machine.disks->file = xstrdup("a\nb.vhdx");
	must_refuse(vm_derive(&machine, TARGET_HYPERV, NULL, &vm), "control character");
	machine.disk_count = 0;
	must_refuse(vm_derive(&machine, TARGET_KVM, NULL, &vm), "no disk");
	machine.disk_count = 1;
}

static void test_kvm_devices(void **state)
{
	static const struct {
		const char *drivers; /* NULL: not known */
		uint32_t sector_bytes;
		enum vm_disk_bus bus;
		enum vm_nic_model nic;
	} cases[] = {
		{NULL, 512, VM_DISK_VIRTIO_BLK, VM_NIC_VIRTIO},
		{"ahci virtio_blk virtio_scsi virtio_net e1000e", 512, VM_DISK_VIRTIO_BLK, VM_NIC_VIRTIO},
		{"ahci virtio_scsi e1000", 512, VM_DISK_VIRTIO_SCSI, VM_NIC_E1000},
		{"ahci ata_piix e1000 e1000e", 512, VM_DISK_SATA, VM_NIC_E1000E},
		{"ata_piix", 512, VM_DISK_IDE, VM_NIC_VIRTIO},
		{"ahci virtio_scsi", 4096, VM_DISK_VIRTIO_SCSI, VM_NIC_VIRTIO},
		{"ahci", 4096, VM_DISK_VIRTIO_BLK, VM_NIC_VIRTIO}, /* nothing fits: said in a note */
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_STRV struct strv drivers = {0};
		struct vm_options options = {.drivers = cases[i].drivers ? &drivers : NULL,
					     .image_format = "qcow2"};
		CLEANUP_MACHINE struct machine machine;
		CLEANUP_VM struct vm vm = {0};

		make_machine("x", FIRMWARE_BIOS, &machine);
		machine.disks->logical_sector_bytes = cases[i].sector_bytes;
		if (cases[i].drivers)
			strv_split(&drivers, cases[i].drivers, " ");
		must(vm_derive(&machine, TARGET_KVM, &options, &vm));
		assert_int_equal(vm.disks->bus, cases[i].bus);
		assert_int_equal(vm.nics->model, cases[i].nic);
		if (!cases[i].drivers)
			assert_int_equal(vm.notes.count, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mac),	      cmocka_unit_test(test_names),
		cmocka_unit_test(test_firmware),      cmocka_unit_test(test_secure_boot),
		cmocka_unit_test(test_hyperv_places), cmocka_unit_test(test_hyperv_refused),
		cmocka_unit_test(test_kvm_devices),   cmocka_unit_test(test_defaults_and_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
