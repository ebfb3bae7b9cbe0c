/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is to be changed: the machine as its target will define it, then fixes, then drivers. */
#include <stdlib.h>
#include <string.h>

#include "boot-fix/initramfs-overrides.h"
#include "p2v/base/crc32c.h"
#include "p2v/base/mem.h"
#include "p2v/cmd/convert.h"
#include "p2v/cmd/received.h"
#include "p2v/handover/handover.h"

/* A MAC address that is the same in every run on the same system: locally administered, QEMU's prefix. */
static char *make_up_mac(const struct inspection *inspection, const char *nic_name)
{
	const char *uuid = inspection->volume_count ? inspection->volumes[0].uuid : NULL;
	CLEANUP_FREE char *seed = xasprintf("%s %s", uuid ? uuid : "", nic_name);
	uint32_t hash = crc32c(0, seed, strlen(seed));

	return xasprintf("52:54:00:%02x:%02x:%02x", hash >> 16 & 0xff, hash >> 8 & 0xff, hash & 0xff);
}

static struct err *take_mac_option(struct machine *machine, const char *option)
{
	const char *equals = strchr(option, '=');
	char *mac = equals ? vm_normalise_mac(equals + 1) : NULL;

	if (!mac)
		return err_advise(err_usage("--mac: '%s' is no NAME=MAC", option),
				  "say for example --mac enp0s2=00:25:90:12:34:56");
	for (size_t i = 0; i < machine->nic_count; i++) {
		struct machine_nic *nic = &machine->nics[i];

		if (nic->name && !strncmp(nic->name, option, equals - option) &&
		    !nic->name[equals - option]) {
			free(nic->mac);
			nic->mac = mac;
			return NULL;
		}
	}
	free(mac);
	return err_advise(
		err_refused("--mac: the system configures no interface %.*s", (int)(equals - option), option),
		"'p2v scan' lists its interfaces");
}

/* What the target will define: the source's own values, then the user's, then ours. */
static struct err *complete_machine(struct conversion *c)
{
	struct machine *machine = &c->session.machine;

	machine->name = xstrdup(c->options->name);
	machine->memory_bytes = c->options->memory_bytes;
	machine->processors = c->options->processors;
	if (c->options->received.disk_count)
		received_complete_machine(machine, &c->options->received);
	if (c->options->firmware && c->options->firmware != machine->firmware)
		return err_advise(err_refused("%s boots by %s; p2v does not change that to %s yet",
					      c->options->name, firmware_name(machine->firmware),
					      firmware_name(c->options->firmware)),
				  "use --firmware keep");
	for (size_t i = 0; i < c->options->macs.count; i++)
		TRY(take_mac_option(machine, c->options->macs.items[i]));
	for (size_t i = 0; i < machine->nic_count; i++) {
		if (machine->nics[i].mac)
			continue;
		machine->nics[i].mac = make_up_mac(&c->session.inspection, machine->nics[i].name);
		machine->nics[i].mac_is_made_up = 1;
	}
	return NULL;
}

/* The boot disk is the first, as some firmware boots from nothing else; the others follow as they were named.
 */
static void name_images(struct conversion *c)
{
	size_t number = 2;

	for (size_t i = 0; i < c->session.disk_count; i++)
		c->session.machine.disks[i].file =
			xasprintf("%s-disk%zu.%s", c->options->name, i == c->session.boot_disk ? 1 : number++,
				  output_format_name(c->options->format));
}

/* A machine that a target cannot have is refused before anything is copied. */
static struct err *check_targets(const struct conversion *c)
{
	struct machine machine = c->session.machine;
	CLEANUP_FREE struct machine_disk *disks = xcalloc(machine.disk_count, sizeof *disks);

	memcpy(disks, machine.disks, machine.disk_count * sizeof *disks);
	machine.disks = disks;
	machine_put_disk_first(&machine, c->session.boot_disk);
	for (unsigned target = 1; target <= TARGET_XEN; target <<= 1) {
		CLEANUP_VM struct vm vm = {0};

		if (c->options->targets & target && handover_find(target))
			TRY(convert_derive_vm(c, &machine, target, NULL, &vm));
	}
	return NULL;
}

static struct err *find_signed_loader(struct conversion *c)
{
	const char *esp = c->session.inspection.boot.esp_mount_point;
	CLEANUP_STRV struct strv vendors = {0};
	CLEANUP_FREE char *folder = NULL;

	if (!esp)
		return NULL;
	folder = xasprintf("%s/EFI", esp);
	TRY(guest_list(c->session.guest, folder, &vendors));
	for (size_t i = 0; i < vendors.count; i++) {
		CLEANUP_FREE char *shim = xasprintf("%s/%s/shimx64.efi", folder, vendors.items[i]);
		struct guest_stat stat;

		TRY(guest_stat(c->session.guest, shim, &stat));
		if (stat.kind == GUEST_FILE)
			c->has_signed_loader = true;
	}
	return NULL;
}

/* What the fixes want of the copies inside an initramfs, in the injector's words. */
struct override_context {
	const struct fix_context *fix;
	struct plan *plan;
	struct inject_overrides *overrides;
};

static void hand_over(void *arg, struct initramfs_override *from)
{
	struct override_context *context = arg;
	struct inject_override to = {.bytes = from->bytes, .is_needed = from->is_needed};

	to.path = take_ptr(from->path);
	to.data = take_ptr(from->data);
	to.reason = take_ptr(from->reason);
	inject_overrides_add(context->overrides, &to);
}

static struct err *override_file(void *arg, const char *path, const char *data, size_t bytes,
				 struct inject_overrides *overrides)
{
	struct override_context *context = arg;
	CLEANUP_INITRAMFS_OVERRIDE struct initramfs_override override = {0};

	context->overrides = overrides;
	if (!path)
		return boot_fix_initramfs_additions(context->fix, context->plan, hand_over, context);
	boot_fix_initramfs_override(context->fix, path, data, bytes, &override);
	if (override.action != INITRAMFS_KEEP)
		hand_over(context, &override);
	return NULL;
}

struct err *convert_make_plan(struct conversion *c)
{
	struct fix_context fix = {
		.inspection = &c->session.inspection,
		.machine = &c->session.machine,
		.targets = c->options->targets,
		.log = c->log,
	};
	struct override_context overrides = {.fix = &fix};
	struct inject_context inject = {
		.guest = c->session.guest,
		.inspection = &c->session.inspection,
		.targets = c->options->targets,
		.scratch_dir = scratch_path(c->temporary),
		.log = c->log,
		.override_file = override_file,
		.override_arg = &overrides,
	};

	TRY(complete_machine(c));
	name_images(c);
	TRY(find_signed_loader(c));
	overrides.plan = c->plan = plan_create(c->session.guest);
	TRY(boot_fix_plan(&fix, c->plan));
	TRY(inject_plan(&inject, c->plan, &c->drivers));
	TRY(check_targets(c));
	return plan_to_json(c->plan, &c->changes);
}
