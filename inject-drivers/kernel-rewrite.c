/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * All changes of one initramfs together.  udev loads the new drivers by the
 * merged modules.alias; initramfs-tools' list conf/modules is completed as well,
 * as update-initramfs would do from the persistent setting, for systems whose
 * initramfs has no udev.
 */
#include "inject-drivers/kernel-rewrite.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inject-drivers/module-index.h"
#include "inject-drivers/rewrite.h"
#include "inject-drivers/setting.h"
#include "p2v/base/mem.h"
#include "p2v/base/remove-tree.h"

static void change_load_list(const struct kernel *kernel, unsigned targets, struct initramfs_changes *changes)
{
	const struct initramfs_entry *old = initramfs_find(&kernel->initramfs, "conf/modules");
	CLEANUP_STRV struct strv modules = {0};
	CLEANUP_FREE char *text = NULL;

	if (!initramfs_find(&kernel->initramfs, "conf/initramfs.conf"))
		return; /* not made by initramfs-tools */
	kernel_add_setting(kernel, targets, &modules);
	text = setting_edit_tools_modules(old && old->data ? old->data : "", &modules);
	if (text)
		initramfs_changes_add_data(changes, "conf/modules", text, strlen(text));
}

static void change_configuration(const struct kernel *kernel, struct initramfs_changes *changes)
{
	for (size_t i = 0; i < kernel->overrides.count; i++) {
		const struct inject_override *override = &kernel->overrides.items[i];

		if (override->data)
			initramfs_changes_add_data(changes, override->path, override->data, override->bytes);
		else
			initramfs_changes_add_removal(changes, override->path);
	}
}

static struct err *check_result(const struct kernel *kernel, const char *file, uint64_t *ret_bytes)
{
	CLEANUP_INITRAMFS struct initramfs result = {0};
	CLEANUP_STRV struct strv names = {0};

	TRY(err_as(initramfs_read(file, file, &result), ERR_FAILED));
	kernel_list_modules(kernel, &result, &names);
	for (size_t i = 0; i < kernel->added_modules.count; i++) {
		if (!strv_has(&names, kernel->added_modules.items[i]))
			return err_failed("%s: module %s did not get there", file,
					  kernel->added_modules.items[i]);
	}
	if (names.count < kernel->present.count + kernel->added_modules.count)
		return err_failed("%s: holds %zu modules instead of %zu", file, names.count,
				  kernel->present.count + kernel->added_modules.count);
	*ret_bytes = result.size_bytes;
	return NULL;
}

static struct err *rewrite(const struct kernel *kernel, unsigned targets, struct guest *guest,
			   const char *copies_dir, const char *work_dir, const struct log *log,
			   const char *ret_file)
{
	CLEANUP_INITRAMFS_CHANGES struct initramfs_changes changes = {0};

	if (kernel->added_files.count)
		TRY(module_index_merge(kernel, guest, copies_dir, work_dir, log, &changes));
	change_load_list(kernel, targets, &changes);
	change_configuration(kernel, &changes);
	return initramfs_rewrite(&kernel->initramfs, &changes, work_dir, log, ret_file);
}

struct err *kernel_rewrite(const struct kernel *kernel, unsigned targets, struct guest *guest,
			   const char *copies_dir, const char *work_dir, const struct log *log,
			   const char *ret_file, uint64_t *ret_bytes)
{
	struct err *err;

	if (mkdir(work_dir, 0700) < 0)
		return err_from_errno(errno, "%s", work_dir);
	err = rewrite(kernel, targets, guest, copies_dir, work_dir, log, ret_file);
	(void)remove_tree(work_dir);
	if (!err)
		err = check_result(kernel, ret_file, ret_bytes);
	if (err)
		unlink(ret_file);
	return err;
}
