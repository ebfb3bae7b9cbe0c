/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * By the kernel's Documentation/admin-guide/md.rst.  What an array has on a member
 * beside its data is its own, where the kernel itself keeps that: the space beside
 * a volume of firmware RAID may be another volume's.
 */
#include "capture/arrays.h"

#include <stdlib.h>
#include <string.h>

#include "capture/below.h"
#include "capture/sysroot.h"
#include "p2v/base/mem.h"

#define SECTOR_BYTES 512u

static bool is_one_of(const char *word, const char *const *words)
{
	for (; word && *words; words++)
		if (!strcmp(word, *words))
			return true;
	return false;
}

static bool keeps_its_own_notes(const char *sysroot, const char *folder)
{
	CLEANUP_FREE char *version = sysroot_read(sysroot, "%s/metadata_version", folder);

	return version && (version[0] == '0' || version[0] == '1') && version[1] == '.';
}

/* Of a member, beside the array's data. */
static void find_notes(const char *sysroot, const char *member_folder, const char *number,
		       struct extents *ret_notes)
{
	uint64_t size = sysroot_number(sysroot, "/sys/dev/block/%s/size", number) * SECTOR_BYTES;
	uint64_t start = sysroot_number(sysroot, "%s/offset", member_folder) * SECTOR_BYTES;
	uint64_t bytes = sysroot_number(sysroot, "%s/size", member_folder) * 1024;

	if (!bytes || start > size || bytes > size - start)
		return;
	extents_add(ret_notes, 0, size);
	extents_remove(ret_notes, start, start + bytes);
}

/* True if it is on one of the disks. */
static bool add_member(const char *sysroot, const char *member_folder, bool has_notes,
		       const struct strv *disks, struct arrays *arrays)
{
	CLEANUP_FREE char *number = sysroot_read(sysroot, "%s/block/dev", member_folder);
	CLEANUP_EXTENTS struct extents notes = {0};
	CLEANUP_EXTENTS struct extents first = {0};
	bool is_there = false;

	if (!number)
		return false;
	if (has_notes)
		find_notes(sysroot, member_folder, number, &notes);
	extents_add(&first, 0, SECTOR_BYTES);
	for (size_t i = 0; i < disks->count; i++) {
		CLEANUP_EXTENTS struct extents found = {0};

		below_translate(sysroot, number, &first, disks->items[i], &found);
		is_there |= found.count > 0;
		below_translate(sysroot, number, &notes, disks->items[i], &arrays->own[i]);
	}
	return is_there;
}

static void add_array(const char *sysroot, const char *name, const struct strv *disks, struct arrays *arrays)
{
	CLEANUP_FREE char *folder = xasprintf("/sys/block/%s/md", name);
	CLEANUP_STRV struct strv entries = {0};
	bool has_notes = keeps_its_own_notes(sysroot, folder), is_there = false;

	sysroot_list(sysroot, folder, &entries);
	for (size_t i = 0; i < entries.count; i++) {
		CLEANUP_FREE char *member_folder = xasprintf("%s/%s", folder, entries.items[i]);

		if (str_starts_with(entries.items[i], "dev-"))
			is_there |= add_member(sysroot, member_folder, has_notes, disks, arrays);
	}
	if (is_there)
		strv_add(&arrays->names, name);
}

void arrays_find(const char *sysroot, const struct strv *disks, struct arrays *ret_arrays)
{
	CLEANUP_STRV struct strv names = {0};

	*ret_arrays = (struct arrays){
		.own = xcalloc(disks->count, sizeof *ret_arrays->own),
		.disk_count = disks->count,
	};
	sysroot_list(sysroot, "/sys/block", &names);
	for (size_t i = 0; i < names.count; i++)
		add_array(sysroot, names.items[i], disks, ret_arrays);
}

void arrays_deinit(struct arrays *arrays)
{
	strv_deinit(&arrays->names);
	for (size_t i = 0; i < arrays->disk_count; i++)
		extents_deinit(&arrays->own[i]);
	free(arrays->own);
	*arrays = (struct arrays){0};
}

struct err *arrays_check(const char *sysroot, const struct arrays *arrays)
{
	static const char *const rebuilds[] = {"resync", "recover", "reshape", "repair", NULL};

	for (size_t i = 0; i < arrays->names.count; i++) {
		CLEANUP_FREE char *action =
			sysroot_read(sysroot, "/sys/block/%s/md/sync_action", arrays->names.items[i]);

		if (is_one_of(action, rebuilds))
			return err_advise(err_refused("/dev/%s: is being rebuilt (%s), and is written to "
						      "although its file systems are frozen",
						      arrays->names.items[i], action),
					  "wait until that is done; /proc/mdstat tells how far it is");
	}
	return NULL;
}

static bool is_clean(const char *sysroot, const char *name)
{
	static const char *const unclean[] = {"active", "active-idle", "write-pending", NULL};
	CLEANUP_FREE char *state = sysroot_read(sysroot, "/sys/block/%s/md/array_state", name);
	CLEANUP_FREE char *delay = sysroot_read(sysroot, "/sys/block/%s/md/safe_mode_delay", name);

	/* With no delay it never notes so. */
	return !is_one_of(state, unclean) || !delay || strtod(delay, NULL) <= 0;
}

bool arrays_are_clean(const char *sysroot, const struct arrays *arrays)
{
	for (size_t i = 0; i < arrays->names.count; i++)
		if (!is_clean(sysroot, arrays->names.items[i]))
			return false;
	return true;
}
