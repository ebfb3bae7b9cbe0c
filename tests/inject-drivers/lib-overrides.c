/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/inject-drivers/lib-overrides.h"

#include "boot-fix/initramfs-overrides.h"

static void take(void *arg, struct initramfs_override *override)
{
	const struct inject_override taken = {
		.path = override->path,
		.data = override->data,
		.bytes = override->bytes,
		.reason = override->reason,
		.is_needed = override->is_needed,
	};

	*override = (struct initramfs_override){0};
	inject_overrides_add(arg, &taken);
}

struct err *boot_fix_overrides_file(void *arg, const char *path, const char *data, size_t bytes,
				    struct inject_overrides *overrides)
{
	const struct boot_fix_overrides *source = arg;
	CLEANUP_INITRAMFS_OVERRIDE struct initramfs_override override = {0};

	if (!path)
		return boot_fix_initramfs_additions(source->context, source->plan, take, overrides);
	boot_fix_initramfs_override(source->context, path, data, bytes, &override);
	if (override.action != INITRAMFS_KEEP)
		take(overrides, &override);
	return NULL;
}
