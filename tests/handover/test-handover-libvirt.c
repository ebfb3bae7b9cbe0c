/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The libvirt domain, judged by libvirt's own schema where its tools are installed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <libxml/parser.h>
#include <libxml/xpath.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/scratch.h"
#include "p2v/handover/handover.h"
#include "tests/base/lib-must.h"
#include "tests/handover/lib-machine.h"

static void assert_valid(const struct vm *vm)
{
	CLEANUP_SCRATCH struct scratch *scratch = NULL;
	CLEANUP_STRV struct strv names = {0};
	CLEANUP_FREE char *path = NULL;

	must(scratch_create("/tmp", "p2v-test-libvirt", &scratch));
	must(handover_write(vm, scratch_path(scratch), &names));
	path = scratch_file(scratch, names.items[0]);
	if (run_is_installed("virt-xml-validate"))
		must(run_argv((const char *const[]){"virt-xml-validate", path, "domain", NULL}, NULL, NULL));
	else
		print_message("virt-xml-validate is not installed: the schema was not checked\n");
}

/* The string value of an XPath expression over the domain. */
static char *query(const struct vm *vm, const char *xpath)
{
	CLEANUP_TEXT struct text text = {0};
	xmlXPathContext *context;
	xmlXPathObject *object;
	xmlChar *value;
	xmlDoc *doc;
	char *copy;

	must(handover_find(TARGET_KVM)->format(vm, &text));
	doc = xmlReadMemory(text.data, text.bytes, NULL, NULL, 0);
	assert_non_null(doc);
	context = xmlXPathNewContext(doc);
	object = xmlXPathEvalExpression((const xmlChar *)xpath, context);
	assert_non_null(object);
	value = xmlXPathCastToString(object);
	copy = xstrdup((const char *)value);
	xmlFree(value);
	xmlXPathFreeObject(object);
	xmlXPathFreeContext(context);
	xmlFreeDoc(doc);
	return copy;
}

static void assert_query(const struct vm *vm, const char *xpath, const char *value)
{
	CLEANUP_FREE char *found = query(vm, xpath);

	if (strcmp(found, value))
		fail_msg("%s is '%s', expected '%s'", xpath, found, value);
}

static void derive(const struct machine *machine, const struct vm_options *options, struct vm *ret_vm)
{
	must(vm_derive(machine, TARGET_KVM, options, ret_vm));
}

static void test_bios(void **state)
{
	struct vm_options options = {.image_format = "qcow2", .image_dir = "/srv/my images"};
	CLEANUP_MACHINE struct machine machine;
	CLEANUP_VM struct vm vm = {0};

	(void)state;
	make_machine("web1", FIRMWARE_BIOS, &machine);
	machine_add_disk(&machine)->size_bytes = 1 << 30;
	derive(&machine, &options, &vm);
	assert_valid(&vm);
	assert_query(&vm, "string(/domain/name)", "web1");
	assert_query(&vm, "string(/domain/memory)", "4194304");
	assert_query(&vm, "string(/domain/vcpu)", "4");
	assert_query(&vm, "string(/domain/os/@firmware)", "");
	assert_query(&vm, "string(//disk[1]/source/@file)", "/srv/my images/disk0.vhdx");
	assert_query(&vm, "string(//disk[1]/target/@dev)", "vda");
	assert_query(&vm, "string(//disk[2]/target/@dev)", "vdb");
	assert_query(&vm, "string(//disk[1]/driver/@type)", "qcow2");
	assert_query(&vm, "string(//interface/mac/@address)", "52:54:00:12:34:56");
	assert_query(&vm, "string(//interface/model/@type)", "virtio");
}

static void test_uefi_secure(void **state)
{
	struct vm_options options = {.has_signed_loader = true};
	CLEANUP_MACHINE struct machine machine;
	CLEANUP_VM struct vm vm = {0};

	(void)state;
	make_machine("web1", FIRMWARE_UEFI, &machine);
	machine.secure_boot = 1;
	derive(&machine, &options, &vm);
	assert_valid(&vm);
	assert_query(&vm, "string(/domain/os/@firmware)", "efi");
	assert_query(&vm, "string(//feature[@name='secure-boot']/@enabled)", "yes");
	assert_query(&vm, "string(//smm/@state)", "on");
	/* libvirt reads no VHDX. */
	assert_query(&vm, "string(//disk/source/@file)", "/var/lib/libvirt/images/disk0.qcow2");
	assert_query(&vm, "string(//disk/driver/@type)", "qcow2");
	assert_query(&vm, "count(//comment()[contains(., 'qemu-img convert -p -f vhdx -O qcow2')])", "1");
}

static void test_other_devices(void **state)
{
	static const struct {
		const char *drivers;
		enum firmware firmware;
		const char *bus, *device, *nic, *machine_type;
	} cases[] = {
		{"virtio_scsi e1000e", FIRMWARE_UEFI, "scsi", "sda", "e1000e", "q35"},
		{"ahci e1000", FIRMWARE_BIOS, "sata", "sda", "e1000", "q35"},
		{"ata_piix", FIRMWARE_BIOS, "ide", "hda", "virtio", "pc"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_STRV struct strv drivers = {0};
		struct vm_options options = {.drivers = &drivers, .image_format = "raw"};
		CLEANUP_MACHINE struct machine machine;
		CLEANUP_VM struct vm vm = {0};

		strv_split(&drivers, cases[i].drivers, " ");
		make_machine("web1", cases[i].firmware, &machine);
		derive(&machine, &options, &vm);
		assert_valid(&vm);
		assert_query(&vm, "string(//disk/target/@bus)", cases[i].bus);
		assert_query(&vm, "string(//disk/target/@dev)", cases[i].device);
		assert_query(&vm, "string(//interface/model/@type)", cases[i].nic);
		assert_query(&vm, "string(/domain/os/type/@machine)", cases[i].machine_type);
	}
}

static void test_many_disks(void **state)
{
	struct vm_options options = {.image_format = "qcow2"};
	CLEANUP_MACHINE struct machine machine;
	CLEANUP_VM struct vm vm = {0};

	(void)state;
	make_machine("web1", FIRMWARE_BIOS, &machine);
	for (size_t i = 1; i < 704; i++)
		machine_add_disk(&machine)->size_bytes = 1 << 30;
	derive(&machine, &options, &vm);
	assert_valid(&vm);
	assert_query(&vm, "string(//disk[26]/target/@dev)", "vdz");
	assert_query(&vm, "string(//disk[27]/target/@dev)", "vdaa");
	assert_query(&vm, "string(//disk[702]/target/@dev)", "vdzz");
	assert_query(&vm, "string(//disk[703]/target/@dev)", "vdaaa");
	assert_query(&vm, "string(//disk[704]/boot/@order)", "704");
}

static void test_hostile_names(void **state)
{
	static const char *const names[] = {"<a> & \"b\" 'c'", "--> <x>", "a--b---", "größe", "a/b"};

	const struct vm_options options = {.image_format = "raw"};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		CLEANUP_FREE char *path = xasprintf("/var/lib/libvirt/images/%s.vhdx", names[i]);
		CLEANUP_MACHINE struct machine machine;
		CLEANUP_VM struct vm vm = {0};

		make_machine(names[i], FIRMWARE_BIOS, &machine);
		free(machine.disks->file);
		machine.disks->file = xasprintf("%s.vhdx", names[i]);
		derive(&machine, &options, &vm);
		assert_valid(&vm);
		assert_query(&vm, "string(//disk/source/@file)", path);
		assert_query(&vm, "string(/domain/title)", strcmp(vm.name, vm.file_name) ? names[i] : "");
	}
}

static void test_refused(void **state)
{
	CLEANUP_MACHINE struct machine machine;
	CLEANUP_TEXT struct text text = {0};
	CLEANUP_VM struct vm vm = {0};

	(void)state;
	make_machine("web1", FIRMWARE_BIOS, &machine);
	derive(&machine, NULL, &vm);
	free(vm.disks->file);
	vm.disks->file = xstrdup("\xff.vhdx");
	must_refuse(handover_find(TARGET_KVM)->format(&vm, &text), "not UTF-8");
	assert_int_equal(text.bytes, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bios),	      cmocka_unit_test(test_uefi_secure),
		cmocka_unit_test(test_other_devices), cmocka_unit_test(test_many_disks),
		cmocka_unit_test(test_hostile_names), cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
