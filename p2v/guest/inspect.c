/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inspection: brings over what the topics will read in one call, then runs
 * them.  A topic that finds nothing leaves its part empty; only a guest that
 * cannot be read is an error.
 */
#include "p2v/guest/inspect.h"

#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/guest/inspect-impl.h"
#include "p2v/guest/path.h"

/* Larger files in /etc are databases (SELinux policy, udev hwdb), nothing that is edited by hand. */
#define FETCH_MAX_FILE_BYTES (1u << 20)

struct err *inspect_exists(struct guest *guest, const char *path, bool *ret_exists)
{
	struct guest_stat stat;

	TRY(guest_stat(guest, path, &stat));
	*ret_exists = stat.kind != GUEST_MISSING;
	return NULL;
}

struct err *inspect_find_first(struct guest *guest, const char *const *paths, const char **ret_path)
{
	for (; *paths; paths++) {
		bool exists;

		TRY(inspect_exists(guest, *paths, &exists));
		if (exists)
			break;
	}
	*ret_path = *paths;
	return NULL;
}

struct err *inspect_each_file(struct guest *guest, const char *dir, const char *suffix, inspect_file_fn fn,
			      void *arg)
{
	CLEANUP_STRV struct strv names = {0};

	TRY(guest_list(guest, dir, &names));
	for (size_t i = 0; i < names.count; i++) {
		CLEANUP_FREE char *path = path_join(dir, names.items[i]);
		CLEANUP_FREE char *content = NULL;
		struct guest_stat stat;
		size_t bytes;

		if (!str_ends_with(names.items[i], suffix))
			continue;
		TRY(guest_stat(guest, path, &stat));
		if (stat.kind != GUEST_FILE || stat.size_bytes > FETCH_MAX_FILE_BYTES)
			continue;
		TRY(guest_read(guest, path, &content, &bytes));
		if (content && strlen(content) == bytes)
			TRY(fn(arg, path, content));
	}
	return NULL;
}

struct err *inspect_guest(struct guest *guest, const struct log *log, struct inspection *ret_inspection)
{
	static struct err *(*const topics[])(const struct inspect_context *) = {
		inspect_os,	 inspect_kernels,   inspect_boot,
		inspect_network, inspect_leftovers, inspect_disk_names,
	};
	static const char *const trees[] = {"/etc", NULL};
	const struct inspect_context context = {guest, log, ret_inspection};

	TRY(guest_fetch(guest, trees, FETCH_MAX_FILE_BYTES));
	for (size_t i = 0; i < sizeof topics / sizeof *topics; i++)
		TRY(topics[i](&context));
	log_debug(log, "guest: %s, %s, %zu kernels, %zu interfaces, %zu volumes",
		  ret_inspection->os.name ? ret_inspection->os.name : "unknown system",
		  ret_inspection->os.arch ? ret_inspection->os.arch : "unknown architecture",
		  ret_inspection->kernel_count, ret_inspection->interface_count,
		  ret_inspection->volume_count);
	return NULL;
}

static void volume_deinit(struct guest_volume *volume)
{
	free(volume->device);
	free(volume->content);
	free(volume->uuid);
	free(volume->label);
	free(volume->partuuid);
	free(volume->partlabel);
	free(volume->mount_point);
	free(volume->array_uuid);
	free(volume->array_name);
	strv_deinit(&volume->array_devices);
}

static void kernel_deinit(struct guest_kernel *kernel)
{
	free(kernel->version);
	free(kernel->image);
	free(kernel->initramfs);
	free(kernel->modules_dir);
}

static void interface_deinit(struct guest_interface *interface)
{
	free(interface->name);
	free(interface->mac);
	strv_deinit(&interface->addresses);
	free(interface->defined_in);
}

void inspection_deinit(struct inspection *inspection)
{
	machine_os_deinit(&inspection->os);
	free(inspection->boot.config);
	free(inspection->boot.esp_mount_point);
	for (size_t i = 0; i < inspection->volume_count; i++)
		volume_deinit(&inspection->volumes[i]);
	free(inspection->volumes);
	for (size_t i = 0; i < inspection->disk_name_count; i++)
		free(inspection->disk_names[i].name);
	free(inspection->disk_names);
	for (size_t i = 0; i < inspection->kernel_count; i++)
		kernel_deinit(&inspection->kernels[i]);
	free(inspection->kernels);
	for (size_t i = 0; i < inspection->interface_count; i++)
		interface_deinit(&inspection->interfaces[i]);
	free(inspection->interfaces);
	for (size_t i = 0; i < inspection->leftover_count; i++) {
		free(inspection->leftovers[i].name);
		free(inspection->leftovers[i].unit);
	}
	free(inspection->leftovers);
	*inspection = (struct inspection){0};
}
