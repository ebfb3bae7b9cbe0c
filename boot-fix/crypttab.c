/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * /etc/crypttab by stable names.
 *
 * A volume that is encrypted anew at every boot (swap or /tmp with a random
 * key) has no UUID that lasts: it is named by its partition.  The option
 * 'initramfs' is not added: Debian's hook finds what the root file system
 * stands on by itself, and only that initramfs needs it.
 */
#include <string.h>

#include "boot-fix/edit.h"
#include "boot-fix/fixes.h"
#include "boot-fix/texts.h"
#include "p2v/base/mem.h"

enum { NAME, SOURCE, KEY, OPTIONS, FIELDS };

struct editing {
	const struct inspection *inspection;
	struct stable_names *names;
	struct plan *plan; /* for findings; NULL for none */
	unsigned line;
};

static bool is_luks(const struct inspection *inspection, const char *source)
{
	const struct guest_volume *volume = inspect_find_volume(inspection, source);

	return volume && volume->content && !strcmp(volume->content, "crypto_LUKS");
}

static void tell_missing(const struct editing *editing, const char *name, const char *source,
			 const char *options)
{
	bool waits = !strstr(options, "nofail") && !strstr(options, "noauto");

	plan_add_finding(editing->plan, waits ? FINDING_WARNING : FINDING_NOTE,
			 "/etc/crypttab line %u: %s is on %s, which could not be tied to a volume of this "
			 "machine%s; convert that disk as well, or remove the line",
			 editing->line, name, source, waits ? ": the boot will wait 90 s for it" : "");
}

/* The key may be a file on another device, "DEVICE:PATH" (the keyscript passdev). */
static void edit_key(const struct editing *editing, const char *line, struct span key, char **edited)
{
	struct span device = {key.start, key.start + strcspn(line + key.start, ": \t")};
	CLEANUP_FREE char *name = edit_piece(line, device);
	CLEANUP_FREE char *stable = NULL;

	if (device.end >= key.end)
		return;
	stable = stable_name_noted(editing->inspection, name, STABLE_PATH, editing->names);
	if (stable)
		edit_replace_in(edited, line, device, stable);
}

static char *edit_entry(void *arg, const char *line, const char *rest)
{
	struct editing *editing = arg;
	struct span fields[FIELDS];
	size_t count = edit_split_fields(line, fields, FIELDS);
	char *edited = NULL;

	(void)rest;
	editing->line++;
	if (count <= SOURCE)
		return NULL;

	CLEANUP_FREE char *name = edit_piece(line, fields[NAME]);
	CLEANUP_FREE char *source = edit_piece(line, fields[SOURCE]);
	CLEANUP_FREE char *options = count > OPTIONS ? edit_piece(line, fields[OPTIONS]) : xstrdup("");
	CLEANUP_FREE char *stable = stable_name_noted(
		editing->inspection, source,
		is_luks(editing->inspection, source) ? STABLE_TAG : STABLE_PARTITION, editing->names);

	if (count > KEY)
		edit_key(editing, line, fields[KEY], &edited);
	if (stable)
		edit_replace_in(&edited, line, fields[SOURCE], stable);
	else if (editing->plan && inspect_name_is_fragile(source))
		tell_missing(editing, name, source, options);
	return edited;
}

char *crypttab_edit_text(const struct fix_context *context, const char *data, size_t bytes,
			 struct stable_names *names)
{
	struct editing editing = {.inspection = context->inspection, .names = names};

	return edit_lines(data, bytes, edit_entry, &editing);
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

static struct err *plan_crypttab(const struct fix_context *context, struct plan *plan)
{
	CLEANUP_STABLE_NAMES struct stable_names names = {0};
	struct editing editing = {.inspection = context->inspection, .names = &names, .plan = plan};

	return edit_file(plan, "/etc/crypttab", edit_entry, &editing, reason);
}

const struct fix fix_crypttab = {
	.name = "boot-fix/crypttab",
	.summary = "encrypted volumes in /etc/crypttab by UUID",
	.applies = applies,
	.plan = plan_crypttab,
};
