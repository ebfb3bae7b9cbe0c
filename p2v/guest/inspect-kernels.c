/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Kernels that the guest can boot: a folder of modules and an image that
 * belongs to it.  A folder of modules without an image (left behind by a
 * removed package), and an image without modules (a rescue kernel), are none.
 */
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/guest/guest-impl.h"
#include "p2v/guest/inspect-impl.h"
#include "p2v/guest/path.h"

/* %s is the version; what distributions call their files. */
static const char *const image_names[] = {
	"/boot/vmlinuz-%s",
	"/boot/vmlinux-%s",
	"/boot/bzImage-%s",
	"/boot/kernel-%s",
	"/boot/Image-%s",
	"/boot/vmlinux-%s.gz",
	"/boot/kernel-genkernel-x86_64-%s",
};
static const char *const initramfs_names[] = {
	"/boot/initrd.img-%s", /* Debian, Ubuntu */
	"/boot/initramfs-%s.img", /* dracut on Red Hat */
	"/boot/initrd-%s", /* SUSE */
	"/boot/initrd-%s.img", /* mkinitrd on Red Hat */
	"/boot/initramfs-%s",	  "/boot/initramfs-genkernel-x86_64-%s",
};

static struct err *find_by_names(struct guest *guest, const char *const *names, size_t count,
				 const char *version, char **ret_path)
{
	for (size_t i = 0; i < count && !*ret_path; i++) {
		/* Each of the names has one %s; a pattern from a table is no literal to the compiler. */
		const char *mark = strstr(names[i], "%s");
		CLEANUP_FREE char *path =
			xasprintf("%.*s%s%s", (int)(mark - names[i]), names[i], version, mark + 2);
		struct guest_stat stat;

		TRY(guest_stat(guest, path, &stat));
		if (stat.kind == GUEST_FILE)
			*ret_path = take_ptr(path);
	}
	return NULL;
}

#define FIND_BY_NAMES(guest, names, version, ret_path) \
	find_by_names(guest, names, sizeof(names) / sizeof *(names), version, ret_path)

/* Boot Loader Specification: /boot/MACHINE-ID/VERSION/{linux,initrd}, on the ESP or on /boot. */
static struct err *find_by_machine_id(struct guest *guest, struct guest_kernel *kernel)
{
	static const char *const roots[] = {"/boot", "/efi", "/boot/efi"};
	CLEANUP_FREE char *id = NULL;
	size_t bytes;

	TRY(guest_read(guest, "/etc/machine-id", &id, &bytes));
	if (!id)
		return NULL;
	id[strcspn(id, " \n")] = '\0';
	for (size_t i = 0; i < sizeof roots / sizeof *roots && id[0] && !kernel->image; i++) {
		CLEANUP_FREE char *image = xasprintf("%s/%s/%s/linux", roots[i], id, kernel->version);
		CLEANUP_FREE char *initramfs = xasprintf("%s/%s/%s/initrd", roots[i], id, kernel->version);
		bool exists;

		TRY(inspect_exists(guest, image, &exists));
		if (!exists)
			continue;
		kernel->image = take_ptr(image);
		TRY(inspect_exists(guest, initramfs, &exists));
		if (exists)
			kernel->initramfs = take_ptr(initramfs);
	}
	return NULL;
}

/* Arch Linux names files after the package: /boot/vmlinuz-linux, /boot/initramfs-linux.img. */
static struct err *find_by_package(struct guest *guest, struct guest_kernel *kernel)
{
	CLEANUP_FREE char *path = path_join(kernel->modules_dir, "pkgbase");
	CLEANUP_FREE char *package = NULL;
	size_t bytes;

	TRY(guest_read(guest, path, &package, &bytes));
	if (!package)
		return NULL;
	package[strcspn(package, "\n")] = '\0';
	TRY(FIND_BY_NAMES(guest, image_names, package, &kernel->image));
	return FIND_BY_NAMES(guest, initramfs_names, package, &kernel->initramfs);
}

static struct err *find_files(struct guest *guest, struct guest_kernel *kernel)
{
	CLEANUP_FREE char *own = path_join(kernel->modules_dir, "vmlinuz");
	bool exists;

	TRY(FIND_BY_NAMES(guest, image_names, kernel->version, &kernel->image));
	TRY(FIND_BY_NAMES(guest, initramfs_names, kernel->version, &kernel->initramfs));
	if (!kernel->image)
		TRY(find_by_machine_id(guest, kernel));
	if (!kernel->image)
		TRY(find_by_package(guest, kernel));
	/* With an initramfs made for it, the image beside the modules is what boots. */
	if (kernel->image || !kernel->initramfs)
		return NULL;
	TRY(inspect_exists(guest, own, &exists));
	if (exists)
		kernel->image = take_ptr(own);
	return NULL;
}

static void kernel_free(struct guest_kernel *kernel)
{
	free(kernel->version);
	free(kernel->image);
	free(kernel->initramfs);
	free(kernel->modules_dir);
}

static int compare_newest_first(const void *a, const void *b)
{
	return strverscmp(((const struct guest_kernel *)b)->version,
			  ((const struct guest_kernel *)a)->version);
}

static struct err *add_kernel(const struct inspect_context *context, const char *modules_root,
			      const char *version)
{
	struct inspection *inspection = context->inspection;
	CLEANUP(kernel_free)
	struct guest_kernel kernel = {
		.version = xstrdup(version),
		.modules_dir = path_join(modules_root, version),
	};
	struct guest_stat stat;

	TRY(guest_stat(context->guest, kernel.modules_dir, &stat));
	if (stat.kind != GUEST_DIRECTORY)
		return NULL;
	TRY(find_files(context->guest, &kernel));
	if (!kernel.image) {
		log_debug(context->log, "%s: no kernel image belongs to it", kernel.modules_dir);
		return NULL;
	}
	inspection->kernels = xreallocarray(inspection->kernels, inspection->kernel_count + 1, sizeof kernel);
	inspection->kernels[inspection->kernel_count++] = kernel;
	kernel = (struct guest_kernel){0};
	return NULL;
}

static struct err *find_initramfs_tool(const struct inspect_context *context)
{
	static const struct {
		const char *path;
		enum initramfs_tool tool;
	} tools[] = {
		{"/usr/sbin/mkinitramfs", INITRAMFS_TOOLS}, {"/usr/bin/dracut", INITRAMFS_DRACUT},
		{"/sbin/dracut", INITRAMFS_DRACUT},	    {"/usr/bin/mkinitcpio", INITRAMFS_MKINITCPIO},
		{"/sbin/mkinitcpio", INITRAMFS_MKINITCPIO}, {"/sbin/mkinitrd", INITRAMFS_MKINITRD},
	};

	for (size_t i = 0; i < sizeof tools / sizeof *tools; i++) {
		bool exists;

		TRY(inspect_exists(context->guest, tools[i].path, &exists));
		if (exists) {
			context->inspection->initramfs_tool = tools[i].tool;
			break;
		}
	}
	return NULL;
}

struct err *inspect_kernels(const struct inspect_context *context)
{
	struct inspection *inspection = context->inspection;
	static const char *const modules_roots[] = {"/lib/modules", "/usr/lib/modules", NULL};
	CLEANUP_STRV struct strv versions = {0};
	CLEANUP_FREE char *resolved = NULL;
	const char *modules_root;

	TRY(find_initramfs_tool(context));
	TRY(inspect_find_first(context->guest, modules_roots, &modules_root));
	if (!modules_root)
		return NULL;
	TRY(guest_resolve(context->guest, modules_root, 0, &resolved));
	TRY(guest_list(context->guest, resolved, &versions));
	for (size_t i = 0; i < versions.count; i++)
		TRY(add_kernel(context, resolved, versions.items[i]));
	if (inspection->kernel_count > 1)
		qsort(inspection->kernels, inspection->kernel_count, sizeof *inspection->kernels,
		      compare_newest_first);
	return NULL;
}
