/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a kernel has and lacks.  Of a driver's alternatives the one that is
 * there at boot already serves, else the first that the kernel has a file of.
 */
#include "inject-drivers/kernel.h"

#include <string.h>
#include <sys/stat.h>

#include "p2v/base/mem.h"

/* dracut's "squash" packs modules into a file system image inside. */
static const char *const squashed[] = {"squash-root.img", "squashfs-root.img", "erofs-root.img"};

void kernel_deinit(struct kernel *kernel)
{
	module_tree_deinit(&kernel->tree);
	initramfs_deinit(&kernel->initramfs);
	free(kernel->problem);
	free(kernel->tree_problem);
	strv_deinit(&kernel->present);
	strv_deinit(&kernel->added);
	strv_deinit(&kernel->added_files);
	strv_deinit(&kernel->added_modules);
	inject_overrides_deinit(&kernel->overrides);
}

void kernel_give_up(struct kernel *kernel, const char *problem)
{
	if (!kernel->problem)
		kernel->problem = xstrdup(problem);
	strv_deinit(&kernel->added);
	strv_deinit(&kernel->added_files);
	strv_deinit(&kernel->added_modules);
	inject_overrides_deinit(&kernel->overrides);
}

/* Refusals are about the guest: they become a problem of this kernel. */
static struct err *note_problem(struct err *err, char **ret_problem)
{
	if (!err || err_kind(err) != ERR_REFUSED)
		return err;
	*ret_problem = xstrdup(err_message(err));
	err_free(err);
	return NULL;
}

void kernel_list_modules(const struct kernel *kernel, const struct initramfs *initramfs, struct strv *names)
{
	CLEANUP_FREE char *dir = xasprintf("lib/modules/%s/", kernel->guest->version);

	for (size_t i = 0; i < initramfs->entry_count; i++) {
		const struct initramfs_entry *entry = &initramfs->entries[i];
		const char *path = entry->path;
		CLEANUP_FREE char *name = NULL;

		if (str_starts_with(path, "usr/"))
			path += strlen("usr/");
		if (S_ISDIR(entry->fields[NEWC_MODE]) || !str_starts_with(path, dir))
			continue;
		name = module_name_of_file(path);
		if (name)
			strv_add(names, name);
	}
}

static struct err *read_initramfs(struct kernel *kernel, const char *host_file)
{
	TRY(initramfs_read(host_file, kernel->guest->initramfs, &kernel->initramfs));
	for (size_t i = 0; i < sizeof squashed / sizeof *squashed; i++) {
		if (!initramfs_find(&kernel->initramfs, squashed[i]))
			continue;
		initramfs_deinit(&kernel->initramfs);
		return err_refused("its modules are packed in %s, which is not looked into", squashed[i]);
	}
	kernel_list_modules(kernel, &kernel->initramfs, &kernel->present);
	return NULL;
}

struct err *kernel_read(struct guest *guest, const struct guest_kernel *guest_kernel, const char *host_file,
			struct kernel *ret_kernel)
{
	struct kernel kernel = {.guest = guest_kernel};
	struct err *err = NULL;

	if (host_file)
		err = note_problem(read_initramfs(&kernel, host_file), &kernel.problem);
	if (!err && guest_kernel->modules_dir)
		err = note_problem(module_tree_read(guest, guest_kernel->modules_dir, &kernel.tree),
				   &kernel.tree_problem);
	if (err) {
		kernel_deinit(&kernel);
		return err;
	}
	*ret_kernel = kernel;
	return NULL;
}

bool kernel_has_at_boot(const struct kernel *kernel, const char *module)
{
	return strv_has(&kernel->present, module) || strv_has(&kernel->added_modules, module) ||
	       module_tree_has_built_in(&kernel->tree, module);
}

static bool driver_is_at_boot(const struct kernel *kernel, const struct driver *driver)
{
	for (size_t i = 0; i < DRIVER_ALTERNATIVES && driver->modules[i]; i++) {
		if (kernel_has_at_boot(kernel, driver->modules[i]))
			return true;
	}
	return false;
}

/* The alternative that the kernel has a file of, or NULL. */
static const char *driver_module(const struct kernel *kernel, const struct driver *driver)
{
	for (size_t i = 0; i < DRIVER_ALTERNATIVES && driver->modules[i]; i++) {
		if (module_tree_find(&kernel->tree, driver->modules[i]))
			return driver->modules[i];
	}
	return NULL;
}

/* A driver of the initramfs may be there without what it depends on. */
static void add_driver(struct kernel *kernel, const char *module)
{
	CLEANUP_STRV struct strv files = {0};
	bool is_complete = true;

	module_tree_add_needed(&kernel->tree, module, &files);
	for (size_t i = 0; i < files.count; i++) {
		CLEANUP_FREE char *name = module_name_of_file(files.items[i]);

		if (strv_has(&kernel->present, name))
			continue;
		is_complete = false;
		if (strv_has(&kernel->added_files, files.items[i]))
			continue;
		strv_add(&kernel->added_files, files.items[i]);
		strv_add(&kernel->added_modules, name);
	}
	if (!is_complete && !strv_has(&kernel->added, module))
		strv_add(&kernel->added, module);
}

/* The one that is there already is looked at too: its dependencies may be missing. */
static const char *module_to_add(const struct kernel *kernel, const struct driver *driver)
{
	for (size_t i = 0; i < DRIVER_ALTERNATIVES && driver->modules[i]; i++) {
		if (module_tree_has_built_in(&kernel->tree, driver->modules[i]))
			return NULL;
		if (strv_has(&kernel->present, driver->modules[i]))
			return driver->modules[i];
	}
	return driver_module(kernel, driver);
}

static void choose(struct kernel *kernel, unsigned targets, enum driver_need need)
{
	for (size_t f = 0; driver_families[f]; f++) {
		const struct driver_family *family = driver_families[f];

		if (!(family->target & targets))
			continue;
		for (size_t i = 0; i < family->driver_count; i++) {
			const struct driver *driver = &family->drivers[i];
			const char *module = driver->need == need ? module_to_add(kernel, driver) : NULL;

			if (module)
				add_driver(kernel, module);
		}
	}
}

void kernel_choose_drivers(struct kernel *kernel, unsigned targets, bool with_optional)
{
	choose(kernel, targets, DRIVER_BOOT);
	choose(kernel, targets, DRIVER_WANTED);
	if (with_optional || kernel->added.count)
		choose(kernel, targets, DRIVER_OPTIONAL);
}

void kernel_add_lacking(const struct kernel *kernel, const struct driver_family *family,
			enum driver_need need, struct strv *names)
{
	for (size_t i = 0; i < family->driver_count; i++) {
		const struct driver *driver = &family->drivers[i];
		CLEANUP_TEXT struct text text = {0};

		if (driver->need != need || driver_is_at_boot(kernel, driver))
			continue;
		if (need != DRIVER_BOOT && driver_module(kernel, driver))
			continue;
		for (size_t k = 0; k < DRIVER_ALTERNATIVES && driver->modules[k]; k++)
			text_addf(&text, "%s%s", k ? " or " : "", driver->modules[k]);
		strv_add(names, text.data);
	}
}

unsigned kernel_bootable_targets(const struct kernel *kernel)
{
	unsigned targets = 0;

	for (size_t f = 0; driver_families[f]; f++) {
		CLEANUP_STRV struct strv lacking = {0};

		if (driver_families[f]->target)
			kernel_add_lacking(kernel, driver_families[f], DRIVER_BOOT, &lacking);
		if (!lacking.count)
			targets |= driver_families[f]->target;
	}
	return targets;
}

void kernel_add_setting(const struct kernel *kernel, unsigned targets, struct strv *names)
{
	for (size_t f = 0; driver_families[f]; f++) {
		const struct driver_family *family = driver_families[f];

		if (!(family->target & targets))
			continue;
		for (size_t i = 0; i < family->driver_count; i++) {
			const char *module = family->drivers[i].need == DRIVER_OPTIONAL
						     ? NULL
						     : module_to_add(kernel, &family->drivers[i]);

			if (module && !strv_has(names, module))
				strv_add(names, module);
		}
	}
}
