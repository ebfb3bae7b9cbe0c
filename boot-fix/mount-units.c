/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What= in the administrator's own mount units by stable names.  A swap unit
 * must be called after its device (systemd.swap(5)), so those are only told.
 */
#include <string.h>

#include "boot-fix/edit.h"
#include "boot-fix/fixes.h"
#include "boot-fix/stable.h"
#include "p2v/base/mem.h"

struct editing {
	const struct inspection *inspection;
	const char *path;
	struct plan *plan;
	struct stable_names names;
};

static bool find_device(const char *line, struct span *ret_device)
{
	struct shell_value value;

	if (!edit_find_assignment(line, &value) || value.name.end - value.name.start != strlen("What") ||
	    strncmp(line + value.name.start, "What", strlen("What")))
		return false;
	*ret_device = value.value;
	return true;
}

static char *edit_mount(void *arg, const char *line, const char *rest)
{
	struct editing *editing = arg;
	struct span device;

	(void)rest;
	if (!find_device(line, &device))
		return NULL;

	CLEANUP_FREE char *name = edit_piece(line, device);
	CLEANUP_FREE char *stable =
		stable_name_noted(editing->inspection, name, STABLE_PATH, &editing->names);
	if (stable)
		return edit_replace_piece(line, device, stable);
	if (inspect_name_is_fragile(name))
		plan_add_finding(editing->plan, FINDING_WARNING,
				 "%s mounts %s, which could not be tied to a volume of this machine",
				 editing->path, name);
	return NULL;
}

static char *look_at_swap(void *arg, const char *line, const char *rest)
{
	struct editing *editing = arg;
	struct span device;

	(void)rest;
	if (!find_device(line, &device))
		return NULL;

	CLEANUP_FREE char *name = edit_piece(line, device);
	if (inspect_name_is_fragile(name))
		plan_add_finding(
			editing->plan, FINDING_WARNING,
			"%s swaps on %s, a name that depends on the old hardware: put that swap into "
			"/etc/fstab by its UUID instead",
			editing->path, name);
	return NULL;
}

static char *reason(void *arg)
{
	struct editing *editing = arg;

	return stable_names_reason(&editing->names);
}

static bool applies(const struct fix_context *context)
{
	return context->inspection->has_systemd && context->inspection->volume_count > 0;
}

static struct err *plan_mount_units(const struct fix_context *context, struct plan *plan)
{
	CLEANUP_STRV struct strv mounts = {0}, swaps = {0};

	TRY(edit_expand(plan, "/etc/systemd/system/*.mount", &mounts));
	TRY(edit_expand(plan, "/etc/systemd/system/*.swap", &swaps));
	for (size_t i = 0; i < mounts.count; i++) {
		struct editing editing = {context->inspection, mounts.items[i], plan, {}};
		struct err *err = edit_file(plan, mounts.items[i], edit_mount, &editing, reason);

		stable_names_deinit(&editing.names);
		TRY(err);
	}
	for (size_t i = 0; i < swaps.count; i++) {
		struct editing editing = {context->inspection, swaps.items[i], plan, {}};

		TRY(edit_visit(plan, swaps.items[i], look_at_swap, &editing));
	}
	return NULL;
}

const struct fix fix_mount_units = {
	.name = "boot-fix/mount-units",
	.summary = "systemd mount units by UUID",
	.applies = applies,
	.plan = plan_mount_units,
};
