/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lines in /etc/modprobe.d, and parameters of the kernel, that keep the
 * target's own drivers from being loaded: on hardware without such devices
 * nobody noticed them.
 */
#include <string.h>

#include "boot-fix/bootconfig.h"
#include "boot-fix/edit.h"
#include "boot-fix/fixes.h"
#include "boot-fix/texts.h"
#include "p2v/base/mem.h"

/* What a target needs for its disks, network, console and clock. */
static const struct {
	unsigned targets;
	const char *module;
} modules[] = {
	{TARGET_HYPERV, "hv_vmbus"},
	{TARGET_HYPERV, "hv_storvsc"},
	{TARGET_HYPERV, "hv_netvsc"},
	{TARGET_HYPERV, "hv_utils"},
	{TARGET_HYPERV, "hyperv_keyboard"},
	{TARGET_HYPERV, "hid_hyperv"},
	{TARGET_HYPERV, "hyperv_drm"},
	{TARGET_HYPERV, "hyperv_fb"},
	{TARGET_HYPERV, "pci_hyperv"},
	{TARGET_HYPERV, "scsi_transport_fc"},
	{TARGET_KVM, "virtio"},
	{TARGET_KVM, "virtio_ring"},
	{TARGET_KVM, "virtio_pci"},
	{TARGET_KVM, "virtio_blk"},
	{TARGET_KVM, "virtio_scsi"},
	{TARGET_KVM, "virtio_net"},
	{TARGET_KVM, "net_failover"},
	{TARGET_KVM, "failover"},
	{TARGET_KVM, "virtio_gpu"},
	{TARGET_VMWARE, "vmw_pvscsi"},
	{TARGET_VMWARE, "vmxnet3"},
	{TARGET_VMWARE, "vmwgfx"},
	{TARGET_XEN, "xen_blkfront"},
	{TARGET_XEN, "xen_netfront"},
	{TARGET_XEN, "xen_fbfront"},
	{TARGET_ALL, "scsi_mod"},
	{TARGET_ALL, "sd_mod"},
	{TARGET_ALL, "sr_mod"},
	{TARGET_ALL, "ata_piix"},
	{TARGET_ALL, "ahci"},
	{TARGET_ALL, "e1000"},
	{TARGET_ALL, "e1000e"},
};

/* '-' and '_' are the same in a module's name. */
static bool module_is_needed(unsigned targets, const char *name, size_t bytes)
{
	for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
		const char *module = modules[i].module;
		size_t at = 0;

		while (at < bytes && module[at] && module[at] == (name[at] == '-' ? '_' : name[at]))
			at++;
		if (at == bytes && !module[at] && modules[i].targets & targets)
			return true;
	}
	return false;
}

struct editing {
	unsigned targets;
	struct stable_names *names; /* the modules that were freed, as "replaced" */
};

static void note_module(struct editing *editing, const char *name)
{
	if (!strv_has(&editing->names->replaced, name))
		strv_add(&editing->names->replaced, name);
}

/* "blacklist MODULE" and "install MODULE /bin/false" (or true): modprobe.d(5). */
static char *edit_modprobe(void *arg, const char *line, const char *rest)
{
	struct editing *editing = arg;
	struct span fields[3];
	size_t count = edit_split_fields(line, fields, 3);

	(void)rest;
	if (count < 2)
		return NULL;

	CLEANUP_FREE char *command = edit_piece(line, fields[0]);
	CLEANUP_FREE char *module = edit_piece(line, fields[1]);
	CLEANUP_FREE char *program = count > 2 ? edit_piece(line, fields[2]) : xstrdup("");
	bool keeps_out = !strcmp(command, "blacklist") ||
			 (!strcmp(command, "install") &&
			  (str_ends_with(program, "/false") || str_ends_with(program, "/true") ||
			   str_ends_with(program, "/:") || !strcmp(program, ":")));
	if (!keeps_out || !module_is_needed(editing->targets, module, strlen(module)))
		return NULL;
	note_module(editing, module);
	return edit_comment_out(line, "the virtual machine needs this driver");
}

char *blacklist_edit_text(const struct fix_context *context, const char *data, size_t bytes,
			  struct stable_names *names)
{
	struct editing editing = {context->targets, names};

	return edit_lines(data, bytes, edit_modprobe, &editing);
}

/* The list without what is needed; NULL if nothing is. */
static char *thin_list(struct editing *editing, const char *list)
{
	CLEANUP_TEXT struct text out = {0};
	bool changed = false;

	for (const char *at = list; *at; at += *at == ',') {
		size_t bytes = strcspn(at, ",");
		CLEANUP_FREE char *module = xstrndup(at, bytes);

		if (module_is_needed(editing->targets, module, bytes)) {
			changed = true;
			note_module(editing, module);
		} else {
			text_addf(&out, "%s%s", out.bytes ? "," : "", module);
		}
		at += bytes;
	}
	return changed ? text_take(&out) : NULL;
}

static bool edit_cmdline(void *arg, unsigned flags, struct cmdline *cmdline)
{
	static const char *const parameters[] = {"modprobe.blacklist", "module_blacklist",
						 "rd.driver.blacklist", "rdblacklist", NULL};
	bool changed = false;

	(void)flags;
	for (size_t i = 0; i < cmdline->count; i++) {
		for (size_t p = 0; parameters[p]; p++) {
			CLEANUP_FREE char *list = cmdline_value(cmdline, i, parameters[p]);
			CLEANUP_FREE char *thinned = list ? thin_list(arg, list) : NULL;

			if (!thinned)
				continue;
			changed = true;
			if (*thinned)
				cmdline_set_value(cmdline, i, thinned);
			else
				cmdline_remove(cmdline, i--);
			break;
		}
	}
	return changed;
}

static void begin_file(void *arg, const char *path)
{
	struct editing *editing = arg;

	(void)path;
	stable_names_deinit(editing->names);
}

static char *reason(void *arg)
{
	struct editing *editing = arg;
	CLEANUP_FREE char *list = stable_list_text(&editing->names->replaced);

	return xasprintf("the virtual machine needs %s, which %s kept from loading", list,
			 editing->names->replaced.count == 1 ? "was" : "were");
}

static bool applies(const struct fix_context *context)
{
	return context->targets != 0;
}

static struct err *plan_blacklist(const struct fix_context *context, struct plan *plan)
{
	static const struct bootconfig_editor editor = {begin_file, edit_cmdline, reason};
	CLEANUP_STABLE_NAMES struct stable_names names = {0};
	struct editing editing = {context->targets, &names};
	CLEANUP_STRV struct strv paths = {0};

	TRY(edit_expand(plan, "/etc/modprobe.d/*.conf", &paths));
	TRY(edit_expand(plan, "/etc/modprobe.conf", &paths));
	for (size_t i = 0; i < paths.count; i++) {
		begin_file(&editing, paths.items[i]);
		TRY(edit_file(plan, paths.items[i], edit_modprobe, &editing, reason));
	}
	return bootconfig_edit(context, plan, &editor, &editing);
}

const struct fix fix_blacklist = {
	.name = "boot-fix/blacklist",
	.summary = "the target's drivers may load",
	.applies = applies,
	.plan = plan_blacklist,
};
