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
#include "p2v/guest/devname.h"
#include "p2v/guest/fstab.h"

/* Options whose value is a device: only a path is understood there. */
static const char *const device_options[] = {"logdev=",
					     "rtdev=",
					     "device=",
					     "journal_path=",
					     "x-systemd.requires=",
					     "x-systemd.after=",
					     "x-systemd.requires-mounts-for=",
					     NULL};

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
static bool is_left_alone(const struct fstab_entry *entry)
{
	static const char *const devices[] = {"/dev/sr", "/dev/scd",	"/dev/cdrom", "/dev/dvd", "/dev/cdrw",
					      "/dev/fd", "/dev/floppy", "/dev/st",    "/dev/nst", NULL};

	return starts_with_any(entry->spec, devices) || strstr(entry->type, "iso9660") ||
	       !strcmp(entry->type, "udf") || fstab_has_option(entry->options, "_netdev", NULL);
}

/* True if a volume has this text as what the tag means, be it one of several. */
static bool has_tag(const struct inspection *inspection, const struct devname *name)
{
	for (size_t i = 0; i < inspection->volume_count; i++) {
		const struct guest_volume *volume = &inspection->volumes[i];
		const char *text = name->kind == DEVNAME_UUID	    ? volume->uuid
				   : name->kind == DEVNAME_LABEL    ? volume->label
				   : name->kind == DEVNAME_PARTUUID ? volume->partuuid
								    : volume->partlabel;

		if (text && !strcasecmp(text, name->value))
			return true;
	}
	return false;
}

/*
 * True if the entry's volume should be among those of this machine, and is not.  What other software makes
 * up at boot is given the benefit of the doubt, and so is what may lie inside an encrypted volume.
 */
static bool is_missing(const struct inspection *inspection, const char *spec, bool has_encrypted)
{
	CLEANUP_DEVNAME struct devname name;

	devname_parse(spec, &name);
	switch (name.kind) {
	case DEVNAME_NONE:
		return false;
	case DEVNAME_UUID:
	case DEVNAME_LABEL:
	case DEVNAME_PARTUUID:
	case DEVNAME_PARTLABEL:
		return !has_encrypted && !has_tag(inspection, &name);
	case DEVNAME_LOGICAL_VOLUME:
		return !has_encrypted && !inspect_find_volume(inspection, spec);
	case DEVNAME_KERNEL:
	case DEVNAME_HARDWARE:
		return !str_starts_with(spec, "/dev/nbd") && !inspect_find_volume(inspection, spec);
	case DEVNAME_OTHER:
		if (str_starts_with(spec, "/dev/mapper/"))
			return !has_encrypted && !inspect_find_volume(inspection, spec);
		return str_starts_with(spec, "/dev/md") && !inspect_find_volume(inspection, spec);
	}
	return false;
}

static void tell_missing(struct plan *plan, const struct fstab_entry *entry)
{
	/* A kernel name that two alike disks could have had is not certain either. */
	const char *why = inspect_name_is_fragile(entry->spec)
				  ? "which could not be tied to a volume of the converted disks"
				  : "which is on none of the converted disks";
	bool is_swap = !strcmp(entry->type, "swap");

	if (is_swap || fstab_has_option(entry->options, "nofail", NULL)) {
		plan_add_finding(
			plan, FINDING_NOTE,
			"/etc/fstab: %s is on %s, %s: every boot may wait 90 s for it; remove the line "
			"if that disk is not to follow",
			is_swap ? "swap" : entry->file, entry->spec, why);
		return;
	}
	plan_add_finding(
		plan, FINDING_WARNING,
		"/etc/fstab: %s is on %s, %s: without it the machine waits 90 s and then stops in "
		"emergency mode; convert that disk as well, name the volume by its UUID, or add 'nofail' "
		"to the line (services then start without their data)",
		entry->file, entry->spec, why);
}

static void edit_entry(const struct inspection *inspection, struct fstab *fstab, size_t i,
		       struct stable_names *names)
{
	CLEANUP_FREE char *options = edit_options(inspection, fstab_entry(fstab, i)->options, names);
	CLEANUP_FREE char *spec =
		stable_name_noted(inspection, fstab_entry(fstab, i)->spec, STABLE_TAG, names);

	if (options)
		fstab_set_options(fstab, i, options);
	if (spec)
		fstab_set_spec(fstab, i, spec);
}

char *fstab_edit_text(const struct fix_context *context, const char *data, size_t bytes,
		      struct stable_names *names)
{
	CLEANUP_FSTAB struct fstab *fstab = NULL;

	if (memchr(data, '\0', bytes))
		return NULL;
	fstab = fstab_parse(data);
	for (size_t i = 0; i < fstab_count(fstab); i++)
		if (!is_left_alone(fstab_entry(fstab, i)))
			edit_entry(context->inspection, fstab, i, names);
	return names->replaced.count ? fstab_format(fstab) : NULL;
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

static bool applies(const struct fix_context *context)
{
	return context->inspection->volume_count > 0;
}

static void tell_all_missing(const struct inspection *inspection, struct plan *plan, const char *text,
			     bool has_encrypted)
{
	CLEANUP_FSTAB struct fstab *fstab = fstab_parse(text);

	for (size_t i = 0; i < fstab_count(fstab); i++) {
		const struct fstab_entry *entry = fstab_entry(fstab, i);

		if (!is_left_alone(entry) && !fstab_has_option(entry->options, "noauto", NULL) &&
		    is_missing(inspection, entry->spec, has_encrypted))
			tell_missing(plan, entry);
	}
}

static struct err *plan_fstab(const struct fix_context *context, struct plan *plan)
{
	CLEANUP_STABLE_NAMES struct stable_names names = {0};
	CLEANUP_FREE char *data = NULL;
	size_t bytes = 0;
	bool has_encrypted = false;

	TRY(find_encrypted(context->inspection, plan, &has_encrypted));
	TRY(plan_read(plan, "/etc/fstab", &data, &bytes));
	if (!data)
		return NULL;
	tell_all_missing(context->inspection, plan, data, has_encrypted);

	CLEANUP_FREE char *edited = fstab_edit_text(context, data, bytes, &names);
	if (!edited)
		return NULL;

	CLEANUP_FREE char *reason = stable_names_reason(&names);
	return plan_write(plan, "/etc/fstab", edited, strlen(edited), "%s", reason);
}

const struct fix fix_fstab = {
	.name = "boot-fix/fstab",
	.summary = "file systems and swap in /etc/fstab by UUID",
	.applies = applies,
	.plan = plan_fstab,
};
