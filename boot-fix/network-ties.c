/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Network configuration that is tied to a MAC address, or to a bus or a driver:
 * ifcfg files, NetworkManager keyfiles, systemd-networkd.
 *
 * Where a file names an interface of the machine and another card's address, it
 * gets the address that the machine's card has.  With the addresses kept, as
 * they are by default, nothing changes here.  What asks for a bus address or a
 * driver cannot be met on other hardware and is told.
 */
#include <string.h>

#include "boot-fix/edit.h"
#include "boot-fix/fixes.h"
#include "boot-fix/network.h"
#include "p2v/base/mem.h"

/* A format of KEY=value lines, with or without sections. */
static const struct format {
	const char *pattern;
	const char *name_key; /* which interface it is for */
	const char *match_section; /* where a bus or a driver can be asked for, NULL if nowhere */
	const char *mac_section; /* where the address is a condition; elsewhere it is one to set; NULL: any */
	const char *const *mac_keys; /* which card it wants */
	const char *const *bus_keys; /* what ties it to a bus or a driver */
} formats[] = {
	{.pattern = "/etc/sysconfig/network-scripts/ifcfg-*",
	 .name_key = "DEVICE",
	 .mac_keys = (const char *const[]){"HWADDR", NULL}},
	{.pattern = "/etc/NetworkManager/system-connections/*",
	 .name_key = "interface-name",
	 .match_section = "[match]",
	 .mac_keys = (const char *const[]){"mac-address", NULL},
	 .bus_keys = (const char *const[]){"driver", "path", NULL}},
	{.pattern = "/etc/systemd/network/*.link",
	 .name_key = "Name",
	 .match_section = "[Match]",
	 .mac_section = "[Match]",
	 .mac_keys = (const char *const[]){"MACAddress", "PermanentMACAddress", NULL},
	 .bus_keys = (const char *const[]){"Path", "Driver", NULL}},
	{.pattern = "/etc/systemd/network/*.network",
	 .name_key = "Name",
	 .match_section = "[Match]",
	 .mac_section = "[Match]",
	 .mac_keys = (const char *const[]){"MACAddress", "PermanentMACAddress", NULL},
	 .bus_keys = (const char *const[]){"Path", "Driver", NULL}},
};

struct editing {
	struct mac_editing macs;
	const struct format *format;
	char *name; /* the interface that the file is for */
	char *section;
};

static void editing_deinit(struct editing *editing)
{
	free(editing->name);
	free(editing->section);
	strv_deinit(&editing->macs.replaced);
}

/* A line's key and value; keys may have '-' in them, and blanks may stand around the '='. */
static bool find_pair(const char *line, struct span *ret_key, struct span *ret_value)
{
	size_t start = strspn(line, " \t"), end = start + strcspn(line + start, "= \t");
	size_t at = end + strspn(line + end, " \t");

	if (line[at] != '=' || end == start || line[start] == '#' || line[start] == ';')
		return false;
	at += 1 + strspn(line + at + 1, " \t\"'");
	*ret_key = (struct span){start, end};
	*ret_value = (struct span){at, at + strcspn(line + at, " \t\r\"'")};
	return true;
}

static bool is_one_of(const char *text, const char *const *list)
{
	for (; *list; list++)
		if (!strcmp(text, *list))
			return true;
	return false;
}

static char *find_name(void *arg, const char *line, const char *rest)
{
	struct editing *editing = arg;
	struct span key, value;

	(void)rest;
	if (find_pair(line, &key, &value)) {
		CLEANUP_FREE char *text = edit_piece(line, key);

		if (!strcmp(text, editing->format->name_key) && !editing->name)
			editing->name = edit_piece(line, value);
	}
	return NULL;
}

static bool in_section(const struct editing *editing, const char *section)
{
	return editing->section && str_starts_with(editing->section, section);
}

static char *edit_tie(void *arg, const char *line, const char *rest)
{
	struct editing *editing = arg;
	struct span key_span, span;

	(void)rest;
	if (line[0] == '[') {
		free(editing->section);
		editing->section = xstrdup(line);
	}
	if (!find_pair(line, &key_span, &span))
		return NULL;

	CLEANUP_FREE char *key = edit_piece(line, key_span);
	CLEANUP_FREE char *value = edit_piece(line, span);
	const struct format *format = editing->format;

	if (format->match_section && in_section(editing, format->match_section) &&
	    is_one_of(key, format->bus_keys) && strcmp(value, "*"))
		plan_add_finding(
			editing->macs.plan, FINDING_WARNING,
			"%s asks for the old hardware (%s=%s) and will not apply on the new: let it name "
			"the interface instead",
			editing->macs.path, key, value);
	if (!is_one_of(key, format->mac_keys) ||
	    (format->mac_section && !in_section(editing, format->mac_section)))
		return NULL;
	return network_replace_mac(&editing->macs, line, span, editing->name);
}

static char *reason(void *arg)
{
	const struct editing *editing = arg;

	return network_mac_reason(&editing->macs);
}

static bool applies(const struct fix_context *context)
{
	return context->machine->nic_count > 0;
}

static struct err *plan_format_files(const struct fix_context *context, struct plan *plan,
				     const struct format *format)
{
	CLEANUP_STRV struct strv paths = {0};

	TRY(edit_expand(plan, format->pattern, &paths));
	for (size_t i = 0; i < paths.count; i++) {
		struct editing editing = {
			.macs = {.machine = context->machine, .plan = plan, .path = paths.items[i]},
			.format = format,
		};
		struct err *err = edit_visit(plan, paths.items[i], find_name, &editing);

		if (!err)
			err = edit_file(plan, paths.items[i], edit_tie, &editing, reason);
		editing_deinit(&editing);
		TRY(err);
	}
	return NULL;
}

static struct err *plan_network_ties(const struct fix_context *context, struct plan *plan)
{
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
		TRY(plan_format_files(context, plan, &formats[i]));
	return NULL;
}

const struct fix fix_network_ties = {
	.name = "boot-fix/network-ties",
	.summary = "network configuration with the machine's MAC addresses",
	.applies = applies,
	.plan = plan_network_ties,
};
