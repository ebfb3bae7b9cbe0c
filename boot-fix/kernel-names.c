/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Kernel command lines by stable names, in every boot loader's configuration.
 *
 * root= of another system's menu entry (os-prober's) names a volume that is
 * not found and stays, with a warning.  Where a kernel is started without an
 * initramfs only PARTUUID= will do: the kernel itself does not know file
 * system UUIDs.
 */
#include "boot-fix/kernel-names.h"
#include "boot-fix/bootconfig.h"
#include "boot-fix/edit.h"
#include "boot-fix/fixes.h"
#include "boot-fix/texts.h"

#include <string.h>

#include "p2v/base/mem.h"

/* Parameters that name a volume.  The name is the whole value, or its part up to `until`, or comes behind
 * `after`. */
static const struct parameter {
	const char *name;
	const char *after;
	char until;
	bool is_optional; /* taken out if its volume is not here */
} parameters[] = {
	{.name = "root"},
	{.name = "resume", .is_optional = true},
	{.name = "boot"}, /* dracut's fips module: where /boot is */
	{.name = "real_root"}, /* genkernel */
	{.name = "cryptdevice", .until = ':'}, /* mkinitcpio: DEVICE:NAME */
	{.name = "cryptopts", .after = "source=", .until = ','}, /* cryptsetup-initramfs */
	{.name = "rootflags", .after = "logdev=", .until = ','},
};

/* The part of a parameter's value that is a name. */
static bool find_name(const struct parameter *parameter, const char *value, struct span *ret_name)
{
	const char *start = value;

	if (parameter->after) {
		start = strstr(value, parameter->after);
		if (!start || (start > value && start[-1] != ','))
			return false;
		start += strlen(parameter->after);
	}
	ret_name->start = (size_t)(start - value);
	ret_name->end = parameter->until ? ret_name->start + strcspn(start, (char[]){parameter->until, '\0'})
					 : strlen(value);
	return ret_name->end > ret_name->start;
}

enum verdict { KEEP, CHANGED, REMOVED };

static enum verdict edit_word(const struct inspection *inspection, unsigned flags, struct cmdline *cmdline,
			      size_t i, const struct parameter *parameter, struct stable_names *names)
{
	CLEANUP_FREE char *value = cmdline_value(cmdline, i, parameter->name);
	enum stable_form form = flags & BOOTCONFIG_NO_INITRAMFS ? STABLE_PARTITION : STABLE_TAG;
	struct span span;

	if (!value || !find_name(parameter, value, &span))
		return KEEP;
	if (parameter->after)
		form = STABLE_PATH;

	CLEANUP_FREE char *name = edit_piece(value, span);
	if (parameter->is_optional && inspect_name_is_fragile(name) &&
	    !inspect_find_volume(inspection, name)) {
		if (!strv_has(&names->removed, name))
			strv_add(&names->removed, name);
		cmdline_remove(cmdline, i);
		return REMOVED;
	}

	CLEANUP_FREE char *stable = stable_name_noted(inspection, name, form, names);
	if (!stable)
		return KEEP;

	CLEANUP_FREE char *edited = edit_replace_piece(value, span, stable);
	cmdline_set_value(cmdline, i, edited);
	return CHANGED;
}

bool kernel_names_edit(const struct inspection *inspection, unsigned flags, struct cmdline *cmdline,
		       struct stable_names *names)
{
	bool changed = false;

	for (size_t i = 0; i < cmdline->count; i++) {
		for (size_t p = 0; p < sizeof parameters / sizeof *parameters; p++) {
			enum verdict verdict =
				edit_word(inspection, flags, cmdline, i, &parameters[p], names);

			if (verdict == KEEP)
				continue;
			changed = true;
			i -= verdict == REMOVED; /* may wrap: the loop's ++ brings it back */
			break;
		}
	}
	return changed;
}

struct text_editing {
	const struct inspection *inspection;
	struct stable_names *names;
};

static char *edit_text_line(void *arg, const char *line, const char *rest)
{
	const struct text_editing *editing = arg;
	CLEANUP_CMDLINE struct cmdline cmdline = {0};

	(void)rest;
	cmdline_parse(line, &cmdline);
	if (!kernel_names_edit(editing->inspection, 0, &cmdline, editing->names))
		return NULL;
	return cmdline_format(&cmdline);
}

char *kernel_names_edit_text(const struct fix_context *context, const char *data, size_t bytes,
			     struct stable_names *names)
{
	struct text_editing editing = {context->inspection, names};

	return edit_lines(data, bytes, edit_text_line, &editing);
}

struct editing {
	const struct inspection *inspection;
	const char *path;
	struct stable_names names; /* of the current file */
	struct strv warned; /* names that no volume was found for, over all files */
	struct plan *plan;
};

static void begin_file(void *arg, const char *path)
{
	struct editing *editing = arg;

	stable_names_deinit(&editing->names);
	editing->path = path;
}

/* A name that is left is told once, with the first file that has it. */
static void warn_unknown(struct editing *editing)
{
	const struct strv *unknown = &editing->names.unknown;

	for (size_t i = 0; i < unknown->count; i++) {
		const char *name = unknown->items[i];

		if (strv_has(&editing->warned, name))
			continue;
		strv_add(&editing->warned, name);
		plan_add_finding(
			editing->plan, FINDING_WARNING,
			"a kernel command line in %s names %s, which could not be tied to a volume of "
			"this machine: check that no entry which is to be booted needs it",
			editing->path, name);
	}
}

static bool edit_cmdline(void *arg, unsigned flags, struct cmdline *cmdline)
{
	struct editing *editing = arg;
	bool changed = kernel_names_edit(editing->inspection, flags, cmdline, &editing->names);

	warn_unknown(editing);
	return changed;
}

static char *file_reason(void *arg)
{
	struct editing *editing = arg;

	return stable_names_reason(&editing->names);
}

static bool applies(const struct fix_context *context)
{
	return context->inspection->volume_count > 0;
}

static struct err *plan_kernel_names(const struct fix_context *context, struct plan *plan)
{
	static const struct bootconfig_editor editor = {begin_file, edit_cmdline, file_reason};
	struct editing editing = {.inspection = context->inspection, .plan = plan};
	struct err *err = bootconfig_edit(context, plan, &editor, &editing);

	stable_names_deinit(&editing.names);
	strv_deinit(&editing.warned);
	return err;
}

const struct fix fix_kernel_names = {
	.name = "boot-fix/kernel-names",
	.summary = "root= and resume= on kernel command lines by UUID",
	.applies = applies,
	.plan = plan_kernel_names,
};
