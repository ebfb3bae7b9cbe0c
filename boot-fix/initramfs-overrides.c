/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which files of an initramfs are copies of what, from the generators' sources:
 * initramfs-tools 0.142 (hooks/udev copies .link files and rules, /etc/modprobe.d
 * and conf.d as they are), lvm2 (all of /etc/lvm), mdadm and
 * cryptsetup-initramfs (files of their own making), dracut 059 (etc/cmdline.d,
 * etc/crypttab, etc/lvm, etc/mdadm.conf, etc/multipath).
 *
 * Cards of one machine keep their names without .link files in there: udev names
 * them again in the system itself.  With several cards that can fail, where an
 * initramfs gave one card the name that another is to have; so then they are
 * needed.
 */
#include "boot-fix/initramfs-overrides.h"

#include <fnmatch.h>
#include <string.h>

#include "boot-fix/edit.h"
#include "boot-fix/texts.h"
#include "p2v/base/mem.h"

static const struct file {
	const char *pattern;
	text_edit_fn edit; /* NULL: the file is dropped */
	bool is_needed;
	const char *reason;
} files[] = {
	{"conf/initramfs.conf", resume_edit_text, true, "it would wait for a device of the old machine"},
	{"conf/conf.d/*", resume_edit_text, true, "it would wait for a device of the old machine"},
	{"etc/cmdline.d/*", kernel_names_edit_text, true, "it names a device of the old machine"},
	{"cryptroot/crypttab", crypttab_edit_text, true, "it names a device of the old machine"},
	{"etc/crypttab", crypttab_edit_text, true, "it names a device of the old machine"},
	{"etc/fstab", fstab_edit_text, true, "it names a device of the old machine"},
	{"etc/modprobe.d/*", blacklist_edit_text, true, "it keeps the machine's drivers from loading"},
	{"etc/lvm/lvm.conf", lvm_conf_edit_text, true, "its filter would hide the machine's disks"},
	{"etc/lvm/lvmlocal.conf", lvm_conf_edit_text, true, "its filter would hide the machine's disks"},
	{"etc/lvm/devices/system.devices", NULL, true,
	 "it lists the old disks, and LVM would ignore the new"},
	{"etc/mdadm/mdadm.conf", mdadm_edit_text, true, "it names devices of the old machine"},
	{"etc/mdadm.conf", mdadm_edit_text, true, "it names devices of the old machine"},
	{"etc/udev/rules.d/*", net_rules_edit_text, false, "it ties interface names to the old cards"},
	{"lib/udev/rules.d/70-persistent-net.rules", net_rules_edit_text, false,
	 "it ties interface names to the old cards"},
	{"usr/lib/udev/rules.d/70-persistent-net.rules", net_rules_edit_text, false,
	 "it ties interface names to the old cards"},
};

static const struct file *find_file(const char *path)
{
	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		if (!fnmatch(files[i].pattern, path, FNM_PATHNAME))
			return &files[i];
	return NULL;
}

void initramfs_override_deinit(struct initramfs_override *override)
{
	free(override->path);
	free(override->data);
	free(override->reason);
	*override = (struct initramfs_override){0};
}

void boot_fix_initramfs_override(const struct fix_context *context, const char *path, const char *data,
				 size_t bytes, struct initramfs_override *ret_override)
{
	CLEANUP_STABLE_NAMES struct stable_names names = {0};
	const struct file *file = find_file(path);
	char *edited;

	if (!file)
		return;
	edited = file->edit ? file->edit(context, data, bytes, &names) : NULL;
	if (file->edit && !edited)
		return;
	*ret_override = (struct initramfs_override){
		.action = edited ? INITRAMFS_REPLACE : INITRAMFS_DROP,
		.is_needed = file->is_needed,
		.path = xstrdup(path),
		.data = edited,
		.bytes = edited ? strlen(edited) : 0,
		.reason = xstrdup(file->reason),
	};
}

struct err *boot_fix_initramfs_additions(const struct fix_context *context, struct plan *plan,
					 void (*add)(void *arg, struct initramfs_override *override),
					 void *arg)
{
	CLEANUP_STRV struct strv links = {0};

	TRY(edit_expand(plan, "/etc/systemd/network/10-p2v-*.link", &links));
	for (size_t i = 0; i < links.count; i++) {
		CLEANUP_INITRAMFS_OVERRIDE struct initramfs_override addition = {
			.action = INITRAMFS_ADD,
			.is_needed = context->machine->nic_count > 1,
			.path = xstrdup(links.items[i] + 1),
			.reason =
				xstrdup("interfaces get their names before the system's own files are there"),
		};

		TRY(plan_read(plan, links.items[i], &addition.data, &addition.bytes));
		add(arg, &addition);
	}
	return NULL;
}
