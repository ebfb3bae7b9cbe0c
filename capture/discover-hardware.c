/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Firmware, Secure Boot, TPM, who made the machine, and whether it is one. */
#include <stdlib.h>
#include <string.h>

#include "capture/discover-impl.h"
#include "p2v/base/mem.h"

/* UEFI 2.10, 3.3: the variable SecureBoot of the global GUID; the kernel puts four bytes of attributes before
 * it. */
#define SECURE_BOOT_VARIABLE "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define SECURE_BOOT_OLD "/sys/firmware/efi/vars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c/data"

static void find_firmware(const char *root, struct machine *machine)
{
	size_t bytes = 0;
	CLEANUP_FREE uint8_t *variable = NULL;
	CLEANUP_FREE uint8_t *old = NULL;

	if (!sysroot_has(root, "/sys/firmware/efi")) {
		machine->firmware = FIRMWARE_BIOS;
		machine->secure_boot = 0;
		return;
	}
	machine->firmware = FIRMWARE_UEFI;
	variable = sysroot_read_bytes(root, &bytes, SECURE_BOOT_VARIABLE);
	if (variable && bytes == 5) {
		machine->secure_boot = variable[4] == 1;
		return;
	}
	old = sysroot_read_bytes(root, &bytes, SECURE_BOOT_OLD);
	if (old && bytes >= 1)
		machine->secure_boot = old[0] == 1;
}

static char *find_tpm(const char *root)
{
	uint64_t major = sysroot_number(root, "/sys/class/tpm/tpm0/tpm_version_major");
	CLEANUP_FREE char *caps = sysroot_read(root, "/sys/class/tpm/tpm0/device/caps");

	if (major == 2)
		return xstrdup("2.0");
	if (major == 1 || (caps && strstr(caps, "1.2")))
		return xstrdup("1.2");
	return sysroot_has(root, "/sys/class/tpm/tpm0") ? xstrdup("of unknown version") : NULL;
}

/* What vendors leave in fields that nobody filled in. */
static const char *const not_filled_in[] = {
	"To Be Filled By O.E.M.",
	"To be filled by O.E.M.",
	"Default string",
	"Not Specified",
	"None",
	"System Serial Number",
	"System manufacturer",
	"System Product Name",
	"0",
	"123456789",
};

static char *read_dmi(const char *root, const char *field)
{
	CLEANUP_FREE char *text = sysroot_read(root, "/sys/class/dmi/id/%s", field);

	for (size_t i = 0; text && i < sizeof not_filled_in / sizeof *not_filled_in; i++)
		if (!strcmp(text, not_filled_in[i]))
			return NULL;
	return_ptr(text);
}

/* By the names that hypervisors give to the machines they make. */
static const struct {
	const char *vendor, *model, *hypervisor; /* NULL fits all */
} machines[] = {
	{"QEMU", NULL, "kvm"},
	{"Red Hat", "KVM", "kvm"},
	{"oVirt", NULL, "kvm"},
	{"OpenStack Foundation", NULL, "kvm"},
	{"Google", "Google Compute Engine", "kvm"},
	{"Amazon EC2", NULL, "kvm"},
	{"VMware, Inc.", NULL, "vmware"},
	{"Microsoft Corporation", "Virtual Machine", "hyperv"},
	{"Xen", NULL, "xen"},
	{"innotek GmbH", NULL, "virtualbox"},
	{"Parallels Software International Inc.", NULL, "parallels"},
	{"BHYVE", NULL, "bhyve"},
};

static char *find_hypervisor(const char *root, const struct machine_hardware *hardware)
{
	CLEANUP_FREE char *type = sysroot_read(root, "/sys/hypervisor/type");
	CLEANUP_FREE char *cpu = sysroot_read(root, "/proc/cpuinfo");

	/* "EC2 metal" is iron with the same vendor: the processor's own flag must agree. */
	if (!cpu || !strstr(cpu, " hypervisor"))
		return NULL;
	for (size_t i = 0; i < sizeof machines / sizeof *machines; i++)
		if (hardware->vendor && !strcmp(hardware->vendor, machines[i].vendor) &&
		    (!machines[i].model || (hardware->model && !strcmp(hardware->model, machines[i].model))))
			return xstrdup(machines[i].hypervisor);
	return type ? take_ptr(type) : xstrdup("unknown");
}

/* MemTotal lacks what firmware and kernel keep; the memory blocks are what is plugged in. */
static uint64_t find_memory(const char *root)
{
	CLEANUP_FREE char *unit = sysroot_read(root, "/sys/devices/system/memory/block_size_bytes");
	CLEANUP_FREE char *info = sysroot_read(root, "/proc/meminfo");
	const char *total = info ? strstr(info, "MemTotal:") : NULL;
	CLEANUP_STRV struct strv names = {0};
	uint64_t count = 0;

	sysroot_list(root, "/sys/devices/system/memory", &names);
	for (size_t i = 0; i < names.count; i++) {
		CLEANUP_FREE char *state =
			sysroot_read(root, "/sys/devices/system/memory/%s/state", names.items[i]);

		count += state && !strcmp(state, "online");
	}
	if (unit && count)
		return count * strtoull(unit, NULL, 16);
	return total ? strtoull(total + strlen("MemTotal:"), NULL, 10) << 10 : 0;
}

void discover_hardware(const char *root, struct machine *machine)
{
	struct machine_hardware *hardware = &machine->hardware;

	find_firmware(root, machine);
	hardware->vendor = read_dmi(root, "sys_vendor");
	hardware->model = read_dmi(root, "product_name");
	hardware->serial = read_dmi(root, "product_serial");
	hardware->tpm = find_tpm(root);
	hardware->hypervisor = find_hypervisor(root, hardware);
	machine->memory_bytes = find_memory(root);
}
