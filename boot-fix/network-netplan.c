/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * netplan's "match: macaddress:" with the machine's own addresses.
 *
 * The YAML is read by its indentation, which is how netplan files are written
 * and all that is needed: sections, the interfaces below "ethernets:", their
 * keys.  Flow style ({…} on one line) is left alone, and so is a macaddress
 * outside "match:", which sets an address instead of asking for one.
 */
#include <string.h>

#include "boot-fix/edit.h"
#include "boot-fix/fixes.h"
#include "boot-fix/network.h"
#include "p2v/base/mem.h"

#define NOWHERE SIZE_MAX

struct editing {
	struct mac_editing macs;
	/* Indentation of the keys that the current line lies in, NOWHERE if it lies in none. */
	size_t ethernets, interface, match;
	char *name; /* of the interface: its set-name, else its key */
};

/* The value of "KEY: value" at the line's indentation, or an empty span where the key is another. */
static struct span find_value(const char *line, const char *key)
{
	struct span span = {0};
	size_t at = strspn(line, " ");

	if (!str_starts_with(line + at, key) || line[at + strlen(key)] != ':')
		return span;
	at += strlen(key) + 1;
	span.start = at + strspn(line + at, " \"'");
	span.end = span.start + strcspn(line + span.start, " \t\r\"'#");
	return span;
}

static bool is_blank(const char *line)
{
	return !line[strspn(line, " \t\r")] || line[strspn(line, " \t")] == '#';
}

/* "set-name:" among the lines of an interface, which may come behind the address. */
static char *find_set_name(const char *rest, size_t interface)
{
	while (*rest) {
		size_t bytes = strcspn(rest, "\n");
		CLEANUP_FREE char *line = xstrndup(rest, bytes);
		struct span value = find_value(line, "set-name");

		if (!is_blank(line) && strspn(line, " ") <= interface)
			return NULL;
		if (value.end > value.start)
			return edit_piece(line, value);
		rest += bytes + (rest[bytes] == '\n');
	}
	return NULL;
}

static void leave_keys(struct editing *editing, size_t indent)
{
	if (editing->ethernets != NOWHERE && indent <= editing->ethernets)
		editing->ethernets = editing->interface = editing->match = NOWHERE;
	if (editing->interface != NOWHERE && indent <= editing->interface)
		editing->interface = editing->match = NOWHERE;
	if (editing->match != NOWHERE && indent <= editing->match)
		editing->match = NOWHERE;
}

/* Enters the key that the line is; true if it is a condition inside "match:". */
static bool enter_line(struct editing *editing, const char *line, const char *rest)
{
	size_t indent = strspn(line, " ");

	leave_keys(editing, indent);
	if (editing->match != NOWHERE)
		return true;
	if (editing->interface != NOWHERE) {
		if (str_starts_with(line + indent, "match:"))
			editing->match = indent;
	} else if (editing->ethernets != NOWHERE) {
		free(editing->name);
		editing->interface = indent;
		editing->name = find_set_name(rest, indent);
		if (!editing->name)
			editing->name = xstrndup(line + indent, strcspn(line + indent, ":"));
	} else if (str_starts_with(line + indent, "ethernets:")) {
		editing->ethernets = indent;
	}
	return false;
}

static char *edit_line(void *arg, const char *line, const char *rest)
{
	struct editing *editing = arg;
	struct span driver;

	if (is_blank(line) || !enter_line(editing, line, rest))
		return NULL;
	driver = find_value(line, "driver");
	if (driver.end > driver.start)
		plan_add_finding(
			editing->macs.plan, FINDING_WARNING,
			"%s asks for the driver %s, which is the old card's: let it name the interface "
			"instead",
			editing->macs.path, line + driver.start);
	return network_replace_mac(&editing->macs, line, find_value(line, "macaddress"), editing->name);
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

static struct err *plan_netplan(const struct fix_context *context, struct plan *plan)
{
	CLEANUP_STRV struct strv paths = {0};

	TRY(edit_expand(plan, "/etc/netplan/*.yaml", &paths));
	for (size_t i = 0; i < paths.count; i++) {
		struct editing editing = {
			.macs = {.machine = context->machine, .plan = plan, .path = paths.items[i]},
			.ethernets = NOWHERE,
			.interface = NOWHERE,
			.match = NOWHERE,
		};
		struct err *err = edit_file(plan, paths.items[i], edit_line, &editing, reason);

		free(editing.name);
		strv_deinit(&editing.macs.replaced);
		TRY(err);
	}
	return NULL;
}

const struct fix fix_network_netplan = {
	.name = "boot-fix/network-netplan",
	.summary = "netplan with the machine's MAC addresses",
	.applies = applies,
	.plan = plan_netplan,
};
