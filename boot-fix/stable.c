/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A stable name is only given where it means one volume and no other: a disk
 * and its clone in one machine share UUIDs and labels, and then the partition's
 * own UUID has to tell them apart.  Several volumes of one Btrfs share a UUID
 * by design, and any of them will do.
 */
#include "boot-fix/stable.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

/* The ways to name a volume, best first. */
static const struct {
	const char *tag;
	const char *dir;
	size_t offset; /* of the char * in struct guest_volume */
	bool of_content; /* names what is on the volume, not the volume */
} tags[] = {
	{"UUID", "by-uuid", offsetof(struct guest_volume, uuid), true},
	{"PARTUUID", "by-partuuid", offsetof(struct guest_volume, partuuid), false},
	{"LABEL", "by-label", offsetof(struct guest_volume, label), true},
};

static const char *volume_tag(const struct guest_volume *volume, size_t tag)
{
	return *(char *const *)((const char *)volume + tags[tag].offset);
}

/* Letters that need no escape in fstab, on a kernel command line, in /dev/disk or in a shell. */
static bool is_plain(const char *value)
{
	return value[0] && !value[strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
						"0123456789-_.+")];
}

static bool is_btrfs(const struct guest_volume *volume)
{
	return volume->content && !strcmp(volume->content, "btrfs");
}

static bool is_unique(const struct inspection *inspection, const struct guest_volume *volume, size_t tag)
{
	const char *value = volume_tag(volume, tag);

	if (is_btrfs(volume) && tags[tag].of_content)
		return true;
	for (size_t i = 0; i < inspection->volume_count; i++) {
		const struct guest_volume *other = &inspection->volumes[i];
		const char *others = volume_tag(other, tag);

		if (other != volume && others && !strcasecmp(others, value))
			return false;
	}
	return true;
}

char *stable_name(const struct inspection *inspection, const char *name, enum stable_form form)
{
	const struct guest_volume *volume;

	if (!inspect_name_is_fragile(name))
		return NULL;
	volume = inspect_find_volume(inspection, name);
	if (!volume)
		return NULL;
	for (size_t tag = 0; tag < sizeof tags / sizeof *tags; tag++) {
		const char *value = volume_tag(volume, tag);

		if (!value || !is_plain(value) || !is_unique(inspection, volume, tag))
			continue;
		if (form == STABLE_PATH)
			return xasprintf("/dev/disk/%s/%s", tags[tag].dir, value);
		if (form == STABLE_TAG || !strcmp(tags[tag].tag, "PARTUUID"))
			return xasprintf("%s=%s", tags[tag].tag, value);
	}
	return NULL;
}

void stable_names_deinit(struct stable_names *names)
{
	strv_deinit(&names->replaced);
	strv_deinit(&names->unknown);
	strv_deinit(&names->removed);
}

char *stable_name_noted(const struct inspection *inspection, const char *name, enum stable_form form,
			struct stable_names *names)
{
	struct strv *list;
	char *stable;

	if (!inspect_name_is_fragile(name))
		return NULL;
	stable = stable_name(inspection, name, form);
	list = stable ? &names->replaced : &names->unknown;
	if (!strv_has(list, name))
		strv_add(list, name);
	return stable;
}

char *stable_list_text(const struct strv *list)
{
	CLEANUP_TEXT struct text text = {0};

	for (size_t i = 0; i < list->count; i++)
		text_addf(&text, "%s%s", i == 0 ? "" : i + 1 < list->count ? ", " : " and ", list->items[i]);
	return text_take(&text);
}

char *stable_names_reason(const struct stable_names *names)
{
	CLEANUP_TEXT struct text text = {0};

	if (names->replaced.count) {
		CLEANUP_FREE char *list = stable_list_text(&names->replaced);

		text_addf(&text,
			  "%s depend%s on the old hardware, and may mean nothing or another disk on the new",
			  list, names->replaced.count == 1 ? "s" : "");
	}
	if (names->removed.count) {
		CLEANUP_FREE char *list = stable_list_text(&names->removed);

		text_addf(&text, "%s%s %s on none of the converted disks, and every boot would wait for %s",
			  text.bytes ? "; " : "", list, names->removed.count == 1 ? "is" : "are",
			  names->removed.count == 1 ? "it" : "them");
	}
	return text_take(&text);
}
