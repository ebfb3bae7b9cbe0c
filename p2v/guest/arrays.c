/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the guest calls its arrays of mdadm.
 *
 * The kernel's number says nothing: an array that another host's mdadm finds gets
 * one from 127 downwards, as in the appliance.  On the machine itself it is called
 * as mdadm.conf(5) says, which knows it by UUID or name; or, where that is silent,
 * as its metadata says ("HOST:NAME", from version 1.0 on): /dev/md/NAME, and
 * /dev/mdN if the name is a number.  Metadata of version 0.90 holds that number
 * alone, which mdadm keeps everywhere.
 */
#include <ctype.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/guest/inspect-impl.h"

/* libblkid writes 8-4-4-4-12, mdadm 8:8:8:8; others are known to write neither dash nor colon. */
static bool uuid_equal(const char *a, const char *b)
{
	for (;; a++, b++) {
		a += strspn(a, "-:.");
		b += strspn(b, "-:.");
		if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
			return false;
		if (!*a)
			return true;
	}
}

/* "files01:0" is called "0", on files01 and in its mdadm.conf. */
static const char *without_host(const char *name)
{
	const char *colon = strchr(name, ':');

	return colon ? colon + 1 : name;
}

static bool is_number(const char *text)
{
	return *text && !text[strspn(text, "0123456789")];
}

/* A device, and what else mdadm calls it: /dev/md0 and /dev/md/0 are one. */
static void add_device(struct guest_volume *array, const char *device)
{
	const char *name = device + strlen("/dev/md");

	strv_add(&array->array_devices, device);
	if (!str_starts_with(device, "/dev/md"))
		return;
	if (*name == '/' && is_number(name + 1))
		strv_addf(&array->array_devices, "/dev/md%s", name + 1);
	else if (is_number(name))
		strv_addf(&array->array_devices, "/dev/md/%s", name);
}

/* One ARRAY line: who is meant, and the device for it. */
struct array_line {
	const char *device, *uuid, *name;
};

static const char *value_of(const char *word, const char *key)
{
	return strncasecmp(word, key, strlen(key)) == 0 ? word + strlen(key) : NULL;
}

static bool is_meant(const struct array_line *line, const struct guest_volume *volume)
{
	if (line->uuid)
		return uuid_equal(line->uuid, volume->array_uuid);
	return line->name && volume->array_name &&
	       (!strcmp(line->name, volume->array_name) ||
		!strcmp(line->name, without_host(volume->array_name)));
}

static void read_array_line(struct inspection *inspection, const struct strv *words)
{
	struct array_line line = {0};
	CLEANUP_FREE char *device = NULL;

	for (size_t i = 1; i < words->count; i++) {
		const char *word = words->items[i];
		const char *uuid = value_of(word, "uuid="), *name = value_of(word, "name=");

		line.uuid = uuid ? uuid : line.uuid;
		line.name = name ? name : line.name;
		if (i == 1 && !strchr(word, '=') && word[0] != '<')
			line.device = word;
	}
	if (!line.device)
		return;
	device = line.device[0] == '/' ? xstrdup(line.device) : xasprintf("/dev/md/%s", line.device);
	for (size_t i = 0; i < inspection->volume_count; i++)
		if (inspection->volumes[i].array_uuid && is_meant(&line, &inspection->volumes[i]))
			add_device(&inspection->volumes[i], device);
}

/* A line that begins with a blank goes on with the one before. */
static void read_configuration(struct inspection *inspection, char *text)
{
	CLEANUP_STRV struct strv lines = {0};

	for (char *at = text; (at = strchr(at, '\n')); at++)
		if (at[1] == ' ' || at[1] == '\t')
			*at = ' ';
	strv_split(&lines, text, "\n");
	for (size_t i = 0; i < lines.count; i++) {
		CLEANUP_STRV struct strv words = {0};

		strv_split(&words, lines.items[i], " \t\"");
		if (words.count > 1 && !strcasecmp(words.items[0], "array"))
			read_array_line(inspection, &words);
	}
}

/* Where mdadm.conf is silent. */
static void name_by_metadata(struct guest_volume *array)
{
	CLEANUP_FREE char *device = NULL;

	if (array->array_devices.count)
		return;
	device = array->array_name ? xasprintf("/dev/md/%s", without_host(array->array_name))
				   : xstrdup(array->device);
	add_device(array, device);
}

/* udev's links (63-md-raid-arrays.rules), which do not depend on the configuration. */
static void add_links(struct guest_volume *array)
{
	struct text uuid = {0};

	for (const char *at = array->array_uuid; *at; at++) {
		if (*at == '-')
			continue;
		text_addf(&uuid, "%s%c", uuid.bytes % 9 == 8 ? ":" : "", *at);
	}
	strv_addf(&array->array_devices, "/dev/disk/by-id/md-uuid-%s", uuid.bytes ? uuid.data : "");
	if (array->array_name)
		strv_addf(&array->array_devices, "/dev/disk/by-id/md-name-%s", array->array_name);
	text_deinit(&uuid);
}

struct err *inspect_array_names(const struct inspect_context *context)
{
	static const char *const paths[] = {"/etc/mdadm/mdadm.conf", "/etc/mdadm.conf"};
	struct inspection *inspection = context->inspection;

	for (size_t i = 0; i < inspection->volume_count; i++)
		strv_deinit(&inspection->volumes[i].array_devices);
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		CLEANUP_FREE char *text = NULL;
		size_t bytes;

		TRY(guest_read(context->guest, paths[i], &text, &bytes));
		if (text)
			read_configuration(inspection, text);
	}
	for (size_t i = 0; i < inspection->volume_count; i++) {
		if (!inspection->volumes[i].array_uuid)
			continue;
		name_by_metadata(&inspection->volumes[i]);
		add_links(&inspection->volumes[i]);
	}
	return NULL;
}

const struct guest_volume *inspect_find_array(const struct inspection *inspection, const char *device)
{
	const struct guest_volume *only = NULL, *named = NULL;
	size_t count = 0, named_count = 0;

	for (size_t i = 0; i < inspection->volume_count; i++) {
		const struct guest_volume *volume = &inspection->volumes[i];

		if (strv_has(&volume->array_devices, device)) {
			named = volume;
			named_count++;
		}
		if (str_starts_with(volume->device, "/dev/md")) {
			only = volume;
			count++;
		}
	}
	if (named_count)
		return named_count == 1 ? named : NULL;
	return count == 1 && str_starts_with(device, "/dev/md") ? only : NULL;
}
