/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A libvirt domain for KVM (https://libvirt.org/formatdomain.html), made as a
 * tree with libxml2.
 *
 * Addresses, controllers' slots, the firmware's file and the emulator's path
 * are left to libvirt, which knows its host.  libvirt has no VHDX driver:
 * where the images are VHDX, the domain names qcow2 files beside them, and a
 * note says how to make those.
 */
#include "p2v/handover/handover.h"

#include <libxml/tree.h>
#include <libxml/xmlsave.h>
#include <string.h>

#include "p2v/base/mem.h"

#define XML(s) ((const xmlChar *)(s))

static const char *const bus_names[] = {
	[VM_DISK_VIRTIO_BLK] = "virtio",
	[VM_DISK_VIRTIO_SCSI] = "scsi",
	[VM_DISK_SATA] = "sata",
	[VM_DISK_IDE] = "ide",
};

static const char *const bus_prefixes[] = {
	[VM_DISK_VIRTIO_BLK] = "vd",
	[VM_DISK_VIRTIO_SCSI] = "sd",
	[VM_DISK_SATA] = "sd",
	[VM_DISK_IDE] = "hd",
};

static const char *const nic_names[] = {
	[VM_NIC_VIRTIO] = "virtio",
	[VM_NIC_E1000E] = "e1000e",
	[VM_NIC_E1000] = "e1000",
};

/* A child with attributes, given as name, value pairs up to a NULL. */
static xmlNode *add_node(xmlNode *parent, const char *name, const char *const *attributes)
{
	xmlNode *node = xmlNewChild(parent, NULL, XML(name), NULL);

	for (; attributes && *attributes; attributes += 2)
		xmlNewProp(node, XML(attributes[0]), XML(attributes[1]));
	return node;
}
#define ADD(parent, name, ...) add_node(parent, name, (const char *const[]){__VA_ARGS__, NULL})

static xmlNode *add_text(xmlNode *parent, const char *name, const char *content)
{
	/* xmlNewTextChild() escapes, xmlNewChild() would not. */
	return xmlNewTextChild(parent, NULL, XML(name), XML(content));
}

static xmlNode *add_number(xmlNode *parent, const char *name, unsigned long long number)
{
	CLEANUP_FREE char *content = xasprintf("%llu", number);

	return add_text(parent, name, content);
}

/* "vda" … "vdz", "vdaa" …, as the kernel counts. */
static char *make_device_name(const char *prefix, size_t index)
{
	char letters[16];
	size_t at = sizeof letters - 1;

	letters[at] = '\0';
	for (size_t rest = index + 1; rest; rest = (rest - 1) / 26)
		letters[--at] = 'a' + (rest - 1) % 26;
	return xasprintf("%s%s", prefix, letters + at);
}

static bool is_vhdx(const struct vm *vm)
{
	return !strcmp(vm->image_format, "vhdx");
}

/* The file that the domain names: the image, or the qcow2 to be made of it. */
static char *make_source_path(const struct vm *vm, const struct vm_disk *disk)
{
	const char *dir = vm->image_dir ? vm->image_dir : "/var/lib/libvirt/images";
	int stem_bytes = strlen(disk->file);

	if (!is_vhdx(vm))
		return xasprintf("%s/%s", dir, disk->file);
	if (str_ends_with(disk->file, ".vhdx"))
		stem_bytes -= strlen(".vhdx");
	return xasprintf("%s/%.*s.qcow2", dir, stem_bytes, disk->file);
}

/* A comment cannot hold two hyphens (XML 1.0, 2.5): a space goes between them. */
static void add_comment(xmlNode *domain, const char *comment)
{
	CLEANUP_TEXT struct text text = {0};
	xmlNode *node;

	text_addf(&text, " ");
	for (; *comment; comment++) {
		if (*comment == '-' && text.data[text.bytes - 1] == '-')
			text_add(&text, " ", 1);
		text_add(&text, comment, 1);
	}
	text_addf(&text, " ");
	node = xmlNewDocComment(domain->doc, XML(text.data));
	xmlAddChild(domain, node);
}

static void add_comments(xmlNode *domain, const struct vm *vm)
{
	add_comment(domain, "Written by p2v. Define it with: virsh define FILE");
	add_comment(domain, "The old server must be off before this machine gets a network: it has the same "
			    "addresses. Choose the network of each interface below.");
	for (size_t i = 0; i < vm->notes.count; i++)
		add_comment(domain, vm->notes.items[i]);
	if (!is_vhdx(vm))
		return;
	for (size_t i = 0; i < vm->disk_count; i++) {
		CLEANUP_FREE char *path = make_source_path(vm, &vm->disks[i]);
		CLEANUP_FREE char *command =
			xasprintf("qemu-img convert -p -f vhdx -O qcow2 '%s' '%s'", vm->disks[i].file, path);

		add_comment(domain, command);
	}
}

static bool uses_bus(const struct vm *vm, enum vm_disk_bus bus)
{
	return vm->disk_count && vm->disks[0].bus == bus;
}

static void add_firmware(xmlNode *domain, const struct vm *vm)
{
	bool is_uefi = vm->firmware == FIRMWARE_UEFI;
	const char *secure = vm->secure_boot ? "yes" : "no";
	xmlNode *os = add_node(domain, "os", NULL), *type, *firmware;

	if (is_uefi)
		xmlNewProp(os, XML("firmware"), XML("efi"));
	type = add_text(os, "type", "hvm");
	xmlNewProp(type, XML("arch"), XML("x86_64"));
	/* q35 has no IDE controller. */
	xmlNewProp(type, XML("machine"), XML(uses_bus(vm, VM_DISK_IDE) ? "pc" : "q35"));
	if (!is_uefi)
		return;
	firmware = add_node(os, "firmware", NULL);
	ADD(firmware, "feature", "enabled", secure, "name", "secure-boot");
	ADD(firmware, "feature", "enabled", secure, "name", "enrolled-keys");
	ADD(os, "loader", "secure", secure);
}

static void add_platform(xmlNode *domain, const struct vm *vm)
{
	xmlNode *features, *clock;

	add_firmware(domain, vm);
	features = add_node(domain, "features", NULL);
	add_node(features, "acpi", NULL);
	add_node(features, "apic", NULL);
	if (vm->secure_boot)
		ADD(features, "smm", "state", "on");
	ADD(domain, "cpu", "mode", "host-model");
	clock = ADD(domain, "clock", "offset", "utc");
	ADD(clock, "timer", "name", "rtc", "tickpolicy", "catchup");
	ADD(clock, "timer", "name", "pit", "tickpolicy", "delay");
	ADD(clock, "timer", "name", "hpet", "present", "no");
	add_text(domain, "on_poweroff", "destroy");
	add_text(domain, "on_reboot", "restart");
	add_text(domain, "on_crash", "restart");
}

static void add_disk(xmlNode *devices, const struct vm *vm, size_t index)
{
	const struct vm_disk *disk = &vm->disks[index];
	CLEANUP_FREE char *path = make_source_path(vm, disk);
	CLEANUP_FREE char *device = make_device_name(bus_prefixes[disk->bus], index);
	CLEANUP_FREE char *logical = xasprintf("%u", disk->logical_sector_bytes);
	CLEANUP_FREE char *physical = xasprintf("%u", disk->physical_sector_bytes);
	CLEANUP_FREE char *order = xasprintf("%zu", index + 1);
	xmlNode *node = ADD(devices, "disk", "type", "file", "device", "disk");

	ADD(node, "driver", "name", "qemu", "type", is_vhdx(vm) ? "qcow2" : vm->image_format, "discard",
	    "unmap");
	ADD(node, "source", "file", path);
	ADD(node, "blockio", "logical_block_size", logical, "physical_block_size", physical);
	ADD(node, "target", "dev", device, "bus", bus_names[disk->bus]);
	ADD(node, "boot", "order", order);
}

static void add_nic(xmlNode *devices, const struct vm_nic *nic)
{
	xmlNode *node = ADD(devices, "interface", "type", "network");

	if (nic->mac)
		ADD(node, "mac", "address", nic->mac);
	ADD(node, "source", "network", "default");
	ADD(node, "model", "type", nic_names[nic->model]);
}

/* What a server needs to be reached and managed by. */
static void add_peripherals(xmlNode *devices)
{
	xmlNode *node;

	ADD(ADD(devices, "serial", "type", "pty"), "target", "port", "0");
	ADD(ADD(devices, "console", "type", "pty"), "target", "type", "serial", "port", "0");
	ADD(ADD(devices, "channel", "type", "unix"), "target", "type", "virtio", "name",
	    "org.qemu.guest_agent.0");
	ADD(devices, "input", "type", "tablet", "bus", "usb");
	ADD(devices, "graphics", "type", "vnc", "autoport", "yes");
	ADD(add_node(devices, "video", NULL), "model", "type", "vga");
	node = ADD(devices, "rng", "model", "virtio");
	xmlNodeSetContent(ADD(node, "backend", "model", "random"), XML("/dev/urandom"));
	ADD(devices, "memballoon", "model", "virtio");
}

static struct err *check_text(const struct vm *vm)
{
	if (!xmlCheckUTF8(XML(vm->name)))
		return err_advise(err_refused("the machine's name is not UTF-8"), "give it another name");
	for (size_t i = 0; i < vm->disk_count; i++)
		if (!xmlCheckUTF8(XML(vm->disks[i].file)))
			return err_advise(err_refused("the name of a disk's image is not UTF-8"),
					  "rename the image");
	if (vm->image_dir && !xmlCheckUTF8(XML(vm->image_dir)))
		return err_advise(err_refused("the name of the images' folder is not UTF-8"),
				  "rename the folder");
	return NULL;
}

/* libvirt refuses '/' in a name, and more than spaces. */
static void add_identity(xmlNode *domain, const struct vm *vm)
{
	xmlNode *memory;

	add_text(domain, "name", vm->file_name);
	if (strcmp(vm->name, vm->file_name))
		add_text(domain, "title", vm->name);
	memory = add_number(domain, "memory", vm->memory_bytes >> 10);
	xmlNewProp(memory, XML("unit"), XML("KiB"));
	add_number(domain, "vcpu", vm->processors);
}

DEFINE_CLEANUP(xml_doc, xmlDoc *, xmlFreeDoc)

static struct err *format_libvirt(const struct vm *vm, struct text *ret_text)
{
	CLEANUP(cleanup_xml_doc) xmlDoc *doc = NULL;
	xmlNode *domain, *devices;
	xmlChar *out = NULL;
	int out_bytes = 0;

	TRY(check_text(vm));
	doc = xmlNewDoc(XML("1.0"));
	domain = xmlNewDocNode(doc, NULL, XML("domain"), NULL);
	if (!doc || !domain)
		return err_nomem();
	xmlDocSetRootElement(doc, domain);
	xmlNewProp(domain, XML("type"), XML("kvm"));
	add_comments(domain, vm);
	add_identity(domain, vm);
	add_platform(domain, vm);
	devices = add_node(domain, "devices", NULL);
	for (size_t i = 0; i < vm->disk_count; i++)
		add_disk(devices, vm, i);
	if (uses_bus(vm, VM_DISK_VIRTIO_SCSI))
		ADD(devices, "controller", "type", "scsi", "index", "0", "model", "virtio-scsi");
	for (size_t i = 0; i < vm->nic_count; i++)
		add_nic(devices, &vm->nics[i]);
	add_peripherals(devices);
	xmlDocDumpFormatMemoryEnc(doc, &out, &out_bytes, "UTF-8", 1);
	if (!out)
		return err_nomem();
	text_add(ret_text, out, out_bytes);
	xmlFree(out);
	return NULL;
}

const struct handover handover_libvirt = {
	.target = TARGET_KVM,
	.extension = ".xml",
	.use = "virsh define it on the KVM host",
	.format = format_libvirt,
};
