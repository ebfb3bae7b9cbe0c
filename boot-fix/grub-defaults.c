/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * GRUB 2's settings that would bring device names back with the next
 * update-grub, and its map of drives, which names the old disks.
 *
 * The map is only a help for grub-install and grub-mkconfig: where it is
 * missing they look for themselves, GRUB legacy's tools included.
 */
#include <string.h>

#include "boot-fix/edit.h"
#include "boot-fix/fixes.h"
#include "p2v/base/mem.h"

static char *edit_setting(void *arg, const char *line, const char *rest)
{
	static const char *const settings[] = {"GRUB_DISABLE_LINUX_UUID", "GRUB_DISABLE_UUID", NULL};
	struct shell_value value;

	(void)arg;
	(void)rest;
	if (!edit_find_assignment(line, &value))
		return NULL;

	CLEANUP_FREE char *name = edit_piece(line, value.name);
	CLEANUP_FREE char *text = edit_piece(line, value.value);
	for (size_t i = 0; settings[i]; i++)
		if (!strcmp(name, settings[i]) && !strcmp(text, "true"))
			return edit_comment_out(line, "device names change with the hardware, UUIDs do not");
	return NULL;
}

static char *setting_reason(void *arg)
{
	(void)arg;
	return xstrdup("update-grub would write device names of the old hardware again");
}

static char *find_fragile_drive(void *arg, const char *line, const char *rest)
{
	struct span fields[2];

	(void)rest;
	if (edit_split_fields(line, fields, 2) == 2) {
		CLEANUP_FREE char *device = edit_piece(line, fields[1]);

		if (inspect_name_is_fragile(device))
			*(bool *)arg = true;
	}
	return NULL;
}

static struct err *plan_device_map(struct plan *plan, const char *path)
{
	bool found = false;

	TRY(edit_visit(plan, path, find_fragile_drive, &found));
	if (!found)
		return NULL;
	return plan_remove(plan, path,
			   "it lists the old machine's disks; GRUB's tools look for the disks themselves "
			   "where it is missing");
}

/* grub-pc keeps in debconf where it was installed, and asks again once that disk is gone. */
static char *find_install_device(void *arg, const char *line, const char *rest)
{
	(void)line;
	if (!strcmp(line, "Name: grub-pc/install_devices")) {
		const char *end = strstr(rest, "\n\n"), *value = strstr(rest, "\nValue: /dev/");

		if (value && (!end || value < end))
			*(bool *)arg = true;
	}
	return NULL;
}

static bool applies(const struct fix_context *context)
{
	(void)context;
	return true;
}

static struct err *plan_grub_defaults(const struct fix_context *context, struct plan *plan)
{
	static const char *const maps[] = {"/boot/grub/device.map", "/boot/grub2/device.map", NULL};
	CLEANUP_STRV struct strv settings = {0};
	bool has_install_device = false;

	(void)context;
	TRY(edit_expand(plan, "/etc/default/grub", &settings));
	TRY(edit_expand(plan, "/etc/default/grub.d/*.cfg", &settings));
	for (size_t i = 0; i < settings.count; i++)
		TRY(edit_file(plan, settings.items[i], edit_setting, NULL, setting_reason));
	for (size_t i = 0; maps[i]; i++)
		TRY(plan_device_map(plan, maps[i]));
	TRY(edit_visit(plan, "/var/cache/debconf/config.dat", find_install_device, &has_install_device));
	if (has_install_device)
		plan_add_finding(
			plan, FINDING_NOTE,
			"the package grub-pc remembers the old boot disk and will ask for the new one at "
			"its next upgrade: 'dpkg-reconfigure grub-pc' tells it once");
	return NULL;
}

const struct fix fix_grub_defaults = {
	.name = "boot-fix/grub-defaults",
	.summary = "settings of update-grub and grub-install that name the old disks",
	.applies = applies,
	.plan = plan_grub_defaults,
};
