/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * LVM must see its physical volumes under their new names.
 *
 * The devices file (lvmdevices(8)) lists the old disks by serial number or
 * name; LVM ignores every disk that it does not list, and takes all of them
 * where there is no such file.  A filter in lvm.conf (lvm.conf(5), devices/filter
 * and devices/global_filter) is tried on the names the volumes will have; if it
 * would hide one, a pattern for exactly the machine's own disks is put in front,
 * and the rest of the filter stays.  LVM's patterns are close enough to POSIX
 * extended ones to be tried with those.
 */
#include <ctype.h>
#include <regex.h>
#include <string.h>

#include "boot-fix/edit.h"
#include "boot-fix/fixes.h"
#include "boot-fix/texts.h"
#include "p2v/base/mem.h"

#define DEVICES_FILE "/etc/lvm/devices/system.devices"

/* What disks are called by the drivers of a target. */
static const struct {
	unsigned targets;
	const char *prefix;
} disk_names[] = {
	{TARGET_KVM, "vd"},
	{TARGET_XEN, "xvd"},
	{TARGET_HYPERV | TARGET_KVM | TARGET_VMWARE, "sd"},
};

static bool is_physical_volume(const struct guest_volume *volume)
{
	return volume->content && !strcmp(volume->content, "LVM2_member") && volume->disk >= 0 &&
	       volume->disk < 26 && !volume->is_logical_volume && !str_starts_with(volume->device, "/dev/md");
}

/* What disks beyond the 26th are called is left out: nobody filters those by letter. */
static char letter_of_last_disk(const struct fix_context *context)
{
	size_t count = context->machine->disk_count;

	for (size_t i = 0; i < context->inspection->volume_count; i++)
		if (context->inspection->volumes[i].disk >= (int)count)
			count = (size_t)context->inspection->volumes[i].disk + 1;
	return (char)('a' + (count == 0 ? 0 : count > 26 ? 25 : count - 1));
}

/* "a!^/dev/(vd|sd)[a-b][0-9]*$!" */
static char *own_disks_pattern(const struct fix_context *context)
{
	CLEANUP_TEXT struct text prefixes = {0};
	char last = letter_of_last_disk(context);

	for (size_t i = 0; i < sizeof disk_names / sizeof *disk_names; i++)
		if (disk_names[i].targets & context->targets)
			text_addf(&prefixes, "%s%s", prefixes.bytes ? "|" : "", disk_names[i].prefix);
	return xasprintf("a!^/dev/(%s)[a-%c][0-9]*$!", prefixes.data, last);
}

/* One pattern of a filter: 'a' or 'r', then a regular expression between delimiters. */
static bool pattern_matches(const char *pattern, const char *name)
{
	CLEANUP_FREE char *expression = NULL;
	size_t bytes = strlen(pattern);
	regex_t regex;
	bool matches;

	if (bytes < 3)
		return false;
	expression = xstrndup(pattern + 2, bytes - 3);
	if (regcomp(&regex, expression, REG_EXTENDED | REG_NOSUB))
		return false;
	matches = !regexec(&regex, name, 0, NULL, 0);
	regfree(&regex);
	return matches;
}

/* The first pattern that matches decides; a name that none matches is accepted. */
static bool filter_accepts(const struct strv *patterns, const char *name)
{
	for (size_t i = 0; i < patterns->count; i++)
		if (pattern_matches(patterns->items[i], name))
			return patterns->items[i][0] == 'a';
	return true;
}

static bool filter_hides_volumes(const struct fix_context *context, const struct strv *patterns)
{
	const struct inspection *inspection = context->inspection;

	for (size_t i = 0; i < inspection->volume_count; i++) {
		const struct guest_volume *volume = &inspection->volumes[i];

		for (size_t n = 0; n < sizeof disk_names / sizeof *disk_names; n++) {
			if (!(disk_names[n].targets & context->targets) || !is_physical_volume(volume))
				continue;

			CLEANUP_FREE char *name =
				xasprintf("/dev/%s%c", disk_names[n].prefix, (char)('a' + volume->disk));
			CLEANUP_FREE char *full = volume->partition
							  ? xasprintf("%s%u", name, volume->partition)
							  : xstrdup(name);
			if (!filter_accepts(patterns, full))
				return true;
		}
	}
	return false;
}

/* Reads a quoted string with its escapes; *at is on the opening quote and comes to stand behind the
 * closing one. */
static char *read_string(const char **at)
{
	struct text text = {0};
	const char *s = *at + 1;

	for (; *s && *s != '"'; s++) {
		if (*s == '\\' && s[1])
			s++;
		text_add(&text, s, 1);
	}
	*at = *s ? s + 1 : s;
	return text_take(&text);
}

/* A filter's value: an array of strings, which may go on over lines and hold comments, or one string.
 * False if it is neither.  *ret_end is behind it. */
static bool read_patterns(const char *value, struct strv *patterns, const char **ret_end)
{
	bool is_array = *value == '[';
	const char *at = value + is_array;

	while (*at && *at != ']') {
		if (*at == '"') {
			CLEANUP_FREE char *pattern = read_string(&at);

			strv_add(patterns, pattern);
			if (!is_array) {
				*ret_end = at;
				return true;
			}
		} else if (*at == '#') {
			at += strcspn(at, "\n");
		} else if (is_array && (isspace((unsigned char)*at) || *at == ',')) {
			at++;
		} else {
			return false;
		}
	}
	*ret_end = at + (*at == ']');
	return *at == ']';
}

/* The value of a "filter = …" or "global_filter = …" that begins on this line, or NULL. */
static const char *find_filter(const char *line)
{
	static const char *const keys[] = {"filter", "global_filter", NULL};

	line += strspn(line, " \t");
	if (str_starts_with(line, "devices/"))
		line += strlen("devices/");
	for (size_t i = 0; keys[i]; i++) {
		const char *at = line + strlen(keys[i]);

		if (!str_starts_with(line, keys[i]))
			continue;
		at += strspn(at, " \t");
		if (*at == '=')
			return at + 1 + strspn(at + 1, " \t");
	}
	return NULL;
}

char *lvm_conf_edit_text(const struct fix_context *context, const char *data, size_t bytes,
			 struct stable_names *names)
{
	CLEANUP_FREE char *own = NULL;
	CLEANUP_TEXT struct text out = {0};
	bool changed = false;

	if (memchr(data, '\0', bytes) || !context->targets)
		return NULL;
	own = own_disks_pattern(context);
	for (const char *at = data; *at;) {
		CLEANUP_STRV struct strv patterns = {0};
		const char *value = find_filter(at), *next = at + strcspn(at, "\n"), *end;

		next += *next == '\n';
		if (value && read_patterns(value, &patterns, &end) && patterns.count &&
		    filter_hides_volumes(context, &patterns)) {
			bool is_array = *value == '[';

			text_add(&out, at, (size_t)(value - at));
			text_addf(&out, "[ \"%s\",%s", own, is_array ? "" : " ");
			text_add(&out, value + is_array, (size_t)(end - value) - is_array);
			text_addf(&out, "%s", is_array ? "" : " ]");
			strv_add(&names->replaced, patterns.items[0]);
			changed = true;
			at = end;
		} else {
			text_add(&out, at, (size_t)(next - at));
			at = next;
		}
	}
	return changed ? text_take(&out) : NULL;
}

static bool applies(const struct fix_context *context)
{
	(void)context;
	return true;
}

static struct err *plan_filter(const struct fix_context *context, struct plan *plan, const char *path)
{
	CLEANUP_STABLE_NAMES struct stable_names names = {0};
	CLEANUP_FREE char *data = NULL;
	size_t bytes = 0;

	TRY(plan_read(plan, path, &data, &bytes));
	if (!data)
		return NULL;

	CLEANUP_FREE char *edited = lvm_conf_edit_text(context, data, bytes, &names);
	if (!edited)
		return NULL;
	return plan_write(plan, path, edited, strlen(edited),
			  "its filter would hide the machine's disks under their new names");
}

static struct err *plan_devices_file(struct plan *plan)
{
	CLEANUP_FREE char *data = NULL;
	size_t bytes = 0;

	TRY(plan_read(plan, DEVICES_FILE, &data, &bytes));
	if (!data)
		return NULL;
	TRY(plan_write(plan, DEVICES_FILE ".p2v-old", data, bytes,
		       "LVM's list of the old disks is kept here"));
	TRY(plan_remove(
		plan, DEVICES_FILE,
		"it lists the old disks, and LVM would ignore the new ones; without it LVM takes all"));
	plan_add_finding(plan, FINDING_NOTE,
			 "LVM's devices file was put aside: 'vgimportdevices --all' writes a new one in the "
			 "running machine, if one is wanted");
	return NULL;
}

static struct err *plan_lvm(const struct fix_context *context, struct plan *plan)
{
	TRY(plan_devices_file(plan));
	TRY(plan_filter(context, plan, "/etc/lvm/lvm.conf"));
	return plan_filter(context, plan, "/etc/lvm/lvmlocal.conf");
}

const struct fix fix_lvm = {
	.name = "boot-fix/lvm",
	.summary = "LVM sees its volumes under their new names",
	.applies = applies,
	.plan = plan_lvm,
};
