/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where a hibernated system would be resumed from: initramfs-tools' RESUME= and
 * ROOT=, and the files of uswsusp.
 *
 * initramfs-tools waits 30 s at every boot for a RESUME= that never comes
 * (scripts/local-premount/resume, local_device_setup); only "none" ends that,
 * as an empty value lets the next update pick a device by itself.
 */
#include <string.h>

#include "boot-fix/edit.h"
#include "boot-fix/fixes.h"
#include "boot-fix/texts.h"
#include "p2v/base/mem.h"

struct editing {
	const struct inspection *inspection;
	struct stable_names *names;
};

static bool is_named(const char *line, struct span name, const char *wanted)
{
	return name.end - name.start == strlen(wanted) && !strncmp(line + name.start, wanted, strlen(wanted));
}

static char *edit_variable(void *arg, const char *line, const char *rest)
{
	struct editing *editing = arg;
	struct shell_value value;
	bool is_resume;

	(void)rest;
	if (!edit_find_assignment(line, &value))
		return NULL;
	is_resume = is_named(line, value.name, "RESUME");
	if (!is_resume && !is_named(line, value.name, "ROOT"))
		return NULL;

	CLEANUP_FREE char *name = edit_piece(line, value.value);
	if (is_resume && inspect_name_is_fragile(name) && !inspect_find_volume(editing->inspection, name)) {
		strv_add(&editing->names->removed, name);
		return edit_replace_value(line, &value, "none");
	}

	CLEANUP_FREE char *stable = stable_name_noted(editing->inspection, name, STABLE_TAG, editing->names);
	return stable ? edit_replace_value(line, &value, stable) : NULL;
}

char *resume_edit_text(const struct fix_context *context, const char *data, size_t bytes,
		       struct stable_names *names)
{
	struct editing editing = {context->inspection, names};

	return edit_lines(data, bytes, edit_variable, &editing);
}

/* uswsusp: "resume device = /dev/sda2" or "resume device: …". */
static char *edit_uswsusp(void *arg, const char *line, const char *rest)
{
	struct editing *editing = arg;
	size_t at = strspn(line, " \t");

	(void)rest;
	if (!str_starts_with(line + at, "resume device"))
		return NULL;
	at += strlen("resume device");
	at += strspn(line + at, " \t:=\"");

	struct span span = {at, at + strcspn(line + at, " \t\r\"")};
	CLEANUP_FREE char *name = edit_piece(line, span);
	CLEANUP_FREE char *stable = stable_name_noted(editing->inspection, name, STABLE_PATH, editing->names);
	return stable ? edit_replace_piece(line, span, stable) : NULL;
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

static struct err *plan_resume(const struct fix_context *context, struct plan *plan)
{
	static const struct {
		const char *pattern;
		edit_line_fn edit;
	} files[] = {
		{"/etc/initramfs-tools/conf.d/*", edit_variable},
		{"/etc/initramfs-tools/initramfs.conf", edit_variable},
		{"/etc/uswsusp.conf", edit_uswsusp},
		{"/etc/suspend.conf", edit_uswsusp},
	};

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		CLEANUP_STRV struct strv paths = {0};

		TRY(edit_expand(plan, files[i].pattern, &paths));
		for (size_t j = 0; j < paths.count; j++) {
			CLEANUP_STABLE_NAMES struct stable_names names = {0};
			struct editing editing = {context->inspection, &names};

			TRY(edit_file(plan, paths.items[j], files[i].edit, &editing, reason));
		}
	}
	return NULL;
}

const struct fix fix_resume = {
	.name = "boot-fix/resume",
	.summary = "the device to resume from by UUID, or none",
	.applies = applies,
	.plan = plan_resume,
};
