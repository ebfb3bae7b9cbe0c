/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * /etc/fstab by stable names.
 *
 * An entry whose volume is on none of the converted disks is left as it is,
 * and told: systemd will wait 90 s for it and then stop in emergency mode.
 * 'nofail' is not added on our own, because a machine that starts its services
 * on an empty mount point does more harm than one that does not start: a
 * database would begin anew, a backup would take the emptiness for the truth.
 * Whoever left the disk behind on purpose knows, and adds the word or removes
 * the line.
 */
#include <string.h>

#include "boot-fix/edit.h"
#include "boot-fix/fixes.h"
#include "boot-fix/texts.h"
#include "p2v/base/mem.h"

enum { SPEC, MOUNT_POINT, TYPE, OPTIONS, FIELDS };

/* Options whose value is a device: only a path is understood there. */
static const char *const device_options[] = {"logdev=",
					     "rtdev=",
					     "device=",
					     "journal_path=",
					     "x-systemd.requires=",
					     "x-systemd.after=",
					     "x-systemd.requires-mounts-for=",
					     NULL};

static bool has_option(const char *options, const char *option)
{
	size_t bytes = strlen(option);

	for (const char *at = options; *at; at += strcspn(at, ","), at += *at == ',')
		if (!strncmp(at, option, bytes) && (!at[bytes] || at[bytes] == ','))
			return true;
	return false;
}

/* The options with stable device names, or NULL. */
static char *edit_options(const struct inspection *inspection, const char *options,
			  struct stable_names *names)
{
	CLEANUP_TEXT struct text out = {0};
	bool changed = false;

	for (const char *at = options; *at;) {
		size_t bytes = strcspn(at, ","), key_bytes = 0;

		for (size_t i = 0; device_options[i] && !key_bytes; i++)
			if (str_starts_with(at, device_options[i]))
				key_bytes = strlen(device_options[i]);

		CLEANUP_FREE char *value = xstrndup(at + key_bytes, bytes - key_bytes);
		CLEANUP_FREE char *stable =
			key_bytes ? stable_name_noted(inspection, value, STABLE_PATH, names) : NULL;
		text_add(&out, at, key_bytes);
		text_addf(&out, "%s", stable ? stable : value);
		changed = changed || stable;
		at += bytes;
		if (*at)
			text_add(&out, at++, 1);
	}
	return changed ? text_take(&out) : NULL;
}

static bool starts_with_any(const char *text, const char *const *starts)
{
	for (; *starts; starts++)
		if (str_starts_with(text, *starts))
			return true;
	return false;
}

/* Discs, floppies and tapes keep their names; disks of the network do not come with the machine. */
static bool is_left_alone(const char *spec, const char *type, const char *options)
{
	static const char *const devices[] = {"/dev/sr", "/dev/scd",	"/dev/cdrom", "/dev/dvd", "/dev/cdrw",
					      "/dev/fd", "/dev/floppy", "/dev/st",    "/dev/nst", NULL};

	return starts_with_any(spec, devices) || strstr(type, "iso9660") || !strcmp(type, "udf") ||
	       has_option(options, "_netdev");
}

struct editing {
	const struct inspection *inspection;
	struct stable_names *names;
	struct plan *plan; /* for findings; NULL for none */
	bool has_encrypted; /* volumes may lie inside ones that nobody looked into */
	unsigned line;
};

/*
 * True if the entry's volume should be among those of this machine, and is not.  Names of which the
 * inspection keeps no list, and those that other software makes up at boot, are given the benefit of
 * the doubt.
 */
static bool is_missing(const struct editing *editing, const char *spec)
{
	static const char *const tags[] = {"/dev/", "UUID=", "LABEL=", "PARTUUID=", NULL};
	static const char *const made_at_boot[] = {"/dev/disk/by-partlabel/",
						   "/dev/zvol/",
						   "/dev/drbd",
						   "/dev/rbd",
						   "/dev/nbd",
						   "/dev/loop",
						   "/dev/zram",
						   "/dev/ram",
						   "/dev/bcache",
						   NULL};
	CLEANUP_TEXT struct text plain = {0};

	for (const char *at = spec; *at; at++)
		if (*at != '"')
			text_add(&plain, at, 1);
	if (!plain.bytes || !starts_with_any(plain.data, tags) || starts_with_any(plain.data, made_at_boot))
		return false;
	if (editing->has_encrypted && !inspect_name_is_fragile(plain.data))
		return false;
	return !inspect_find_volume(editing->inspection, plain.data);
}

static void tell_missing(const struct editing *editing, const char *const *field)
{
	const char *what = !strcmp(field[TYPE], "swap") ? "swap" : field[MOUNT_POINT];

	if (!strcmp(field[TYPE], "swap") || has_option(field[OPTIONS], "nofail")) {
		plan_add_finding(
			editing->plan, FINDING_NOTE,
			"/etc/fstab line %u: %s is on %s, which is on none of the converted disks: every "
			"boot will wait up to 90 s for it; remove the line if the disk is not to follow",
			editing->line, what, field[SPEC]);
		return;
	}
	plan_add_finding(
		editing->plan, FINDING_WARNING,
		"/etc/fstab line %u: %s is on %s, which is on none of the converted disks: the machine "
		"will wait 90 s for it and then stop in emergency mode; convert that disk as well, or "
		"add 'nofail' to the line (services then start without their data), or remove it",
		editing->line, what, field[SPEC]);
}

/* A line with stable names, or NULL. */
static char *edit_fields(struct editing *editing, const char *line, const struct span *fields,
			 const char *const *field)
{
	CLEANUP_FREE char *options = edit_options(editing->inspection, field[OPTIONS], editing->names);
	CLEANUP_FREE char *stable =
		stable_name_noted(editing->inspection, field[SPEC], STABLE_TAG, editing->names);
	char *edited = NULL;

	/* The later field first, so that the earlier one's place still holds. */
	if (options)
		edit_replace_in(&edited, line, fields[OPTIONS], options);
	if (stable)
		edit_replace_in(&edited, line, fields[SPEC], stable);
	return edited;
}

static char *edit_entry(void *arg, const char *line, const char *rest)
{
	struct editing *editing = arg;
	struct span fields[FIELDS];
	CLEANUP_STRV struct strv field = {0};
	size_t count = edit_split_fields(line, fields, FIELDS);

	(void)rest;
	editing->line++;
	if (count < TYPE + 1)
		return NULL;
	for (size_t i = 0; i < FIELDS; i++) {
		CLEANUP_FREE char *piece = i < count ? edit_piece(line, fields[i]) : xstrdup("");

		strv_add(&field, piece);
	}

	const char *const *texts = (const char *const *)field.items;
	if (is_left_alone(texts[SPEC], texts[TYPE], texts[OPTIONS]))
		return NULL;
	if (editing->plan && !has_option(texts[OPTIONS], "noauto") && is_missing(editing, texts[SPEC]))
		tell_missing(editing, texts);
	return edit_fields(editing, line, fields, texts);
}

char *fstab_edit_text(const struct fix_context *context, const char *data, size_t bytes,
		      struct stable_names *names)
{
	struct editing editing = {.inspection = context->inspection, .names = names};

	return edit_lines(data, bytes, edit_entry, &editing);
}

static char *note_entry(void *arg, const char *line, const char *rest)
{
	struct span first;

	(void)rest;
	if (edit_split_fields(line, &first, 1))
		*(bool *)arg = true;
	return NULL;
}

/* True if an encrypted volume of this machine is opened only when it boots. */
static struct err *find_encrypted(const struct inspection *inspection, struct plan *plan, bool *ret_found)
{
	*ret_found = false;
	for (size_t i = 0; i < inspection->volume_count; i++) {
		const char *content = inspection->volumes[i].content;

		if (content && !strcmp(content, "crypto_LUKS"))
			*ret_found = true;
	}
	return edit_visit(plan, "/etc/crypttab", note_entry, ret_found);
}

static char *reason(void *arg)
{
	struct editing *editing = arg;

	return stable_names_reason(editing->names);
}

static bool applies(const struct fix_context *context)
{
	return context->inspection->volume_count > 0;
}

static struct err *plan_fstab(const struct fix_context *context, struct plan *plan)
{
	CLEANUP_STABLE_NAMES struct stable_names names = {0};
	struct editing editing = {.inspection = context->inspection, .names = &names, .plan = plan};

	TRY(find_encrypted(context->inspection, plan, &editing.has_encrypted));
	return edit_file(plan, "/etc/fstab", edit_entry, &editing, reason);
}

const struct fix fix_fstab = {
	.name = "boot-fix/fstab",
	.summary = "file systems and swap in /etc/fstab by UUID",
	.applies = applies,
	.plan = plan_fstab,
};
