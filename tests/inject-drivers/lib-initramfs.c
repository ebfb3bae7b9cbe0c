/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/inject-drivers/lib-initramfs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "inject-drivers/drivers.h"
#include "inject-drivers/modules.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/guest/dirtree.h"
#include "tests/base/lib-must.h"

const struct packing packings[] = {
	{"gzip", "gzip -n", "gzip -dc"},
	{"bzip2", "bzip2", "bzip2 -dc"},
	{"lzma", "xz --format=lzma", "xz --format=lzma -dc"},
	{"xz", "xz --check=crc32", "xz -dc"},
	{"zstd", "zstd -q", "zstd -q -dc"},
	{"lz4", "lz4 -q -l", "lz4 -q -dc"},
	{"lzop", "lzop", "lzop -dc"},
	{"none", "cat", "cat"},
	{NULL, NULL, NULL},
};

char *shell(const char *format, ...)
{
	CLEANUP_FREE char *command = NULL;
	struct run_result result = {0};
	va_list args;

	va_start(args, format);
	command = xvasprintf(format, args);
	va_end(args);
	must(run_argv((const char *const[]){"bash", "-euo", "pipefail", "-c", command, NULL}, NULL, &result));
	free(result.err_text);
	return result.out;
}

bool has_program(const char *name)
{
	if (strcmp(name, "none") == 0 || strcmp(name, "lzma") == 0 || run_is_installed(name))
		return true;
	print_message("not tried: %s is not installed\n", name);
	return false;
}

char *host_kernel_version(void)
{
	CLEANUP_FREE char *found =
		shell("for d in /lib/modules/*/modules.dep; do v=${d%%/*}; v=${v##*/};"
		      " [ -e /boot/config-$v ] && [ -e $d ] && { printf %%s $v; break; }; done; true");

	if (!found[0]) {
		print_message("skipped: no kernel with its modules is installed here\n");
		return NULL;
	}
	return take_ptr(found);
}

char *initramfs_part(const char *version, const char *name)
{
	CLEANUP_FREE char *folder = NULL;

	if (!run_is_installed("mkinitramfs")) {
		print_message("skipped: mkinitramfs is not installed\n");
		return NULL;
	}
	folder = shell(". tests/lib/cache.sh; b=$PWD/tests/inject-drivers/make-initramfs.sh;"
		       " cache_get initramfs $(cache_key $b -- '%s' $(dpkg-query -W initramfs-tools-core |"
		       " sha256sum)) $b '%s'",
		       version, version);
	folder[strcspn(folder, "\n")] = '\0';
	return xasprintf("%s/%s", folder, name);
}

static void add_tree_files(const char *dir, const struct module_tree *tree, struct strv *paths)
{
	static const char *const old_hardware[] = {"ahci", "sd_mod", "ext4", "e1000e"};
	CLEANUP_STRV struct strv files = {0};

	for (size_t i = 0; i < sizeof old_hardware / sizeof *old_hardware; i++)
		module_tree_add_needed(tree, old_hardware[i], &files);
	for (size_t f = 0; driver_families[f]; f++) {
		for (size_t i = 0; i < driver_families[f]->driver_count; i++) {
			for (size_t k = 0;
			     k < DRIVER_ALTERNATIVES && driver_families[f]->drivers[i].modules[k]; k++)
				module_tree_add_needed(tree, driver_families[f]->drivers[i].modules[k],
						       &files);
		}
	}
	for (size_t i = 0; i < files.count; i++)
		strv_addf(paths, "%s/%s", dir, files.items[i]);
}

struct tree *guest_with_kernel(const char *version, const char *initramfs_file)
{
	struct tree *tree = tree_create(NULL);
	CLEANUP_FREE char *dir = xasprintf("/lib/modules/%s", version);
	CLEANUP_GUEST struct guest *host = NULL;
	CLEANUP_MODULE_TREE struct module_tree modules = {0};
	CLEANUP_STRV struct strv paths = {0};

	must(guest_open_directory("/", &host));
	must(module_tree_read(host, dir, &modules));
	for (size_t i = 0; module_tree_files[i]; i++)
		strv_addf(&paths, "%s/%s", dir, module_tree_files[i]);
	add_tree_files(dir, &modules, &paths);
	must(guest_copy_out(host, &paths, tree->root));
	free(shell("mkdir -p '%s/boot' '%s/etc/initramfs-tools'; cp '%s' '%s/boot/initrd.img-%s'", tree->root,
		   tree->root, initramfs_file, tree->root, version));
	tree_add(tree, "/etc/initramfs-tools/modules", "# List of modules\nahci\nsd_mod\next4\ne1000e\n");
	return tree;
}

void inspection_of_kernel(const char *version, struct inspection *ret_inspection)
{
	*ret_inspection = (struct inspection){.initramfs_tool = INITRAMFS_TOOLS, .kernel_count = 1};
	ret_inspection->kernels = xcalloc(1, sizeof *ret_inspection->kernels);
	ret_inspection->kernels[0] = (struct guest_kernel){
		.version = xstrdup(version),
		.image = xasprintf("/boot/vmlinuz-%s", version),
		.initramfs = xasprintf("/boot/initrd.img-%s", version),
		.modules_dir = xasprintf("/lib/modules/%s", version),
	};
}

char *initramfs_listing(const struct initramfs *initramfs)
{
	struct text text = {0};

	for (size_t i = 0; i < initramfs->entry_count; i++) {
		const struct initramfs_entry *entry = &initramfs->entries[i];
		const uint32_t *f = entry->fields;

		text_addf(&text, "%s %o %u %u %u %u %u %u:%u\n", entry->path, f[NEWC_MODE], f[NEWC_UID],
			  f[NEWC_GID], f[NEWC_NLINK], f[NEWC_MTIME], f[NEWC_FILE_BYTES], f[NEWC_RDEV_MAJOR],
			  f[NEWC_RDEV_MINOR]);
	}
	return text_take(&text);
}
