/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mdadm.conf(5) without device names: arrays are found by their UUID.
 *
 * A DEVICE line that lists the old disks becomes mdadm's own default; devices=
 * in an ARRAY line goes, and the array's UUID takes its place where the line
 * has none.  Lines that go on in the next one (which begins with a blank) are
 * edited where the word stands.
 */
#include <string.h>

#include "boot-fix/cmdline.h"
#include "boot-fix/edit.h"
#include "boot-fix/fixes.h"
#include "boot-fix/texts.h"
#include "p2v/base/mem.h"

struct editing {
	const struct inspection *inspection;
	struct stable_names *names;
};

/* libblkid writes an array's UUID 8-4-4-4-12, mdadm 8:8:8:8. */
static char *array_uuid(const struct inspection *inspection, const char *devices)
{
	CLEANUP_STRV struct strv names = {0};
	const struct guest_volume *volume = NULL;
	struct text text = {0};

	strv_split(&names, devices, ",");
	for (size_t i = 0; i < names.count && !volume; i++)
		volume = inspect_find_volume(inspection, names.items[i]);
	if (!volume || !volume->uuid || !volume->content || strcmp(volume->content, "linux_raid_member"))
		return NULL;
	for (const char *at = volume->uuid; *at; at++) {
		if (*at == '-')
			continue;
		if (text.bytes % 9 == 8)
			text_add(&text, ":", 1);
		text_add(&text, at, 1);
	}
	return text_take(&text);
}

/* A name, a pattern ("/dev/sd*"), or the first of a list of names. */
static bool is_fragile_pattern(const char *name)
{
	CLEANUP_FREE char *first = xstrndup(name, strcspn(name, ","));
	size_t plain_bytes = strcspn(first, "*?[");
	CLEANUP_FREE char *example = xasprintf("%.*sa1", (int)plain_bytes, first);

	return inspect_name_is_fragile(first) || (first[plain_bytes] && inspect_name_is_fragile(example));
}

static bool edit_device_line(struct editing *editing, struct cmdline *line)
{
	bool fragile = false;

	for (size_t i = 1; i < line->count; i++) {
		const char *name = line->words[i].text;

		if (!strcmp(name, "partitions"))
			return false;
		if (is_fragile_pattern(name)) {
			fragile = true;
			strv_add(&editing->names->replaced, name);
		}
	}
	if (!fragile)
		return false;
	while (line->count > 1)
		cmdline_remove(line, line->count - 1);
	cmdline_insert(line, 1, "partitions");
	cmdline_insert(line, 2, "containers");
	return true;
}

static bool edit_array_line(struct editing *editing, struct cmdline *line)
{
	CLEANUP_FREE char *devices = NULL;
	size_t at = 0;
	bool has_identity = false;

	for (size_t i = 0; i < line->count; i++) {
		CLEANUP_FREE char *uuid = cmdline_value(line, i, "UUID");
		CLEANUP_FREE char *uuid_lower = cmdline_value(line, i, "uuid");
		CLEANUP_FREE char *value = cmdline_value(line, i, "devices");

		has_identity = has_identity || uuid || uuid_lower;
		if (value && !devices) {
			devices = take_ptr(value);
			at = i;
		}
	}
	if (!devices || !is_fragile_pattern(devices))
		return false;

	CLEANUP_FREE char *uuid = has_identity ? NULL : array_uuid(editing->inspection, devices);
	if (!has_identity && !uuid)
		return false;
	strv_add(&editing->names->replaced, devices);
	if (uuid) {
		CLEANUP_FREE char *word = xasprintf("UUID=%s", uuid);

		cmdline_insert(line, at++, word);
	}
	cmdline_remove(line, at);
	return true;
}

static char *edit_line(void *arg, const char *line, const char *rest)
{
	struct editing *editing = arg;
	CLEANUP_CMDLINE struct cmdline words = {0};
	bool changed;

	(void)rest;
	if (line[0] == '#')
		return NULL;
	cmdline_parse(line, &words);
	if (!words.count)
		return NULL;
	if (!strncasecmp(words.words[0].text, "device", strlen("device")) && !words.words[0].blanks[0] &&
	    !strchr(words.words[0].text, '='))
		changed = edit_device_line(editing, &words);
	else
		changed = edit_array_line(editing, &words);
	return changed ? cmdline_format(&words) : NULL;
}

char *mdadm_edit_text(const struct fix_context *context, const char *data, size_t bytes,
		      struct stable_names *names)
{
	struct editing editing = {context->inspection, names};

	return edit_lines(data, bytes, edit_line, &editing);
}

static char *reason(void *arg)
{
	struct editing *editing = arg;

	return stable_names_reason(editing->names);
}

static bool applies(const struct fix_context *context)
{
	(void)context;
	return true;
}

static struct err *plan_mdadm(const struct fix_context *context, struct plan *plan)
{
	static const char *const paths[] = {"/etc/mdadm/mdadm.conf", "/etc/mdadm.conf", NULL};

	for (size_t i = 0; paths[i]; i++) {
		CLEANUP_STABLE_NAMES struct stable_names names = {0};
		struct editing editing = {context->inspection, &names};

		TRY(edit_file(plan, paths[i], edit_line, &editing, reason));
	}
	return NULL;
}

const struct fix fix_mdadm = {
	.name = "boot-fix/mdadm",
	.summary = "RAID arrays by UUID",
	.applies = applies,
	.plan = plan_mdadm,
};
