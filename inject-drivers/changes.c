/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The list of changes, and each entry's fate.
 *
 * Hard links: in a newc archive, files with one inode number share the data
 * that only one of them (usually the last) carries.  If that one goes, another
 * one has to carry them.
 */
#include "inject-drivers/changes.h"

#include <string.h>

#include "p2v/base/mem.h"

void initramfs_changes_deinit(struct initramfs_changes *changes)
{
	for (size_t i = 0; i < changes->count; i++) {
		free(changes->items[i].path);
		free(changes->items[i].host_file);
		free(changes->items[i].data);
	}
	free(changes->items);
	*changes = (struct initramfs_changes){0};
}

static void add_change(struct initramfs_changes *changes, struct initramfs_change change)
{
	array_grow(changes->items, changes->count, changes->capacity);
	changes->items[changes->count++] = change;
}

void initramfs_changes_add_file(struct initramfs_changes *changes, const char *path, const char *host_file)
{
	add_change(changes,
		   (struct initramfs_change){.path = xstrdup(path), .host_file = xstrdup(host_file)});
}

void initramfs_changes_add_data(struct initramfs_changes *changes, const char *path, const void *data,
				size_t bytes)
{
	add_change(changes, (struct initramfs_change){
				    .path = xstrdup(path), .data = xmemdup(data, bytes), .bytes = bytes});
}

void initramfs_changes_add_removal(struct initramfs_changes *changes, const char *path)
{
	add_change(changes, (struct initramfs_change){.path = xstrdup(path), .is_removal = true});
}

struct settling {
	const struct initramfs *initramfs;
	const struct initramfs_changes *changes;
	size_t first_entry;
	struct initramfs_fates fates;
};

void initramfs_fates_deinit(struct initramfs_fates *fates)
{
	free(fates->entries);
	free(fates->is_made);
	*fates = (struct initramfs_fates){0};
}

static struct err *cannot_change(const struct settling *settling, const char *path, const char *why)
{
	return err_refused("%s: %s cannot be changed: %s", settling->initramfs->name, path, why);
}

static struct err *settle_fate(struct settling *settling, size_t entry_index, size_t change_index)
{
	const struct initramfs_entry *entry = &settling->initramfs->entries[entry_index];
	const struct initramfs_change *change = &settling->changes->items[change_index];

	if (entry_index < settling->first_entry) {
		if (change->is_removal)
			return cannot_change(settling, entry->path, "it lies in an early archive");
		if (entry->fields[NEWC_NLINK] > 1)
			return cannot_change(settling, entry->path,
					     "it has several names in an early archive");
		return NULL; /* the new one comes later and so replaces it */
	}
	if (!initramfs_entry_is_file(entry))
		return cannot_change(settling, entry->path, "it is not a regular file");
	settling->fates.entries[entry_index] =
		(struct entry_fate){change->is_removal ? FATE_DROP : FATE_REPLACE, change_index};
	settling->fates.is_made[change_index] = true;
	return NULL;
}

static bool is_same_inode(const struct initramfs_entry *a, const struct initramfs_entry *b)
{
	return a->archive == b->archive && a->fields[NEWC_INO] == b->fields[NEWC_INO] &&
	       a->fields[NEWC_DEV_MAJOR] == b->fields[NEWC_DEV_MAJOR] &&
	       a->fields[NEWC_DEV_MINOR] == b->fields[NEWC_DEV_MINOR] && initramfs_entry_is_file(b);
}

/* The entry loses its name or its content: if it carries data for others, one of those takes over. */
static struct err *hand_on_data(struct settling *settling, size_t index)
{
	const struct initramfs *initramfs = settling->initramfs;
	const struct initramfs_entry *entry = &initramfs->entries[index];
	size_t heir = index;

	if (entry->fields[NEWC_NLINK] < 2 || !entry->fields[NEWC_FILE_BYTES])
		return NULL;
	for (size_t i = settling->first_entry; i < initramfs->entry_count; i++) {
		const struct initramfs_entry *other = &initramfs->entries[i];

		if (i == index || !is_same_inode(entry, other) ||
		    settling->fates.entries[i].fate != FATE_KEEP)
			continue;
		if (other->fields[NEWC_FILE_BYTES])
			return NULL;
		heir = i;
	}
	if (heir == index)
		return NULL;
	if (!entry->data)
		return cannot_change(settling, entry->path, "other names share its content");
	settling->fates.entries[heir] = (struct entry_fate){FATE_CARRY, index};
	return NULL;
}

static struct err *settle(struct settling *settling)
{
	const struct initramfs *initramfs = settling->initramfs;

	for (size_t i = 0; i < initramfs->entry_count; i++) {
		for (size_t k = 0; k < settling->changes->count; k++) {
			if (strcmp(initramfs->entries[i].path, settling->changes->items[k].path) == 0)
				TRY(settle_fate(settling, i, k));
		}
	}
	for (size_t i = settling->first_entry; i < initramfs->entry_count; i++) {
		enum fate fate = settling->fates.entries[i].fate;

		if (fate == FATE_REPLACE || fate == FATE_DROP)
			TRY(hand_on_data(settling, i));
	}
	return NULL;
}

struct err *initramfs_settle_fates(const struct initramfs *initramfs, const struct initramfs_changes *changes,
				   size_t first_entry, struct initramfs_fates *ret_fates)
{
	struct settling settling = {initramfs, changes, first_entry, {0}};
	struct err *err;

	settling.fates.entries = xcalloc(initramfs->entry_count, sizeof *settling.fates.entries);
	settling.fates.is_made = xcalloc(changes->count + 1, sizeof *settling.fates.is_made);
	err = settle(&settling);
	if (err) {
		initramfs_fates_deinit(&settling.fates);
		return err;
	}
	*ret_fates = settling.fates;
	return NULL;
}
