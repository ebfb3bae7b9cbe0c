/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * udev rules that give one of the machine's interface names to another card's
 * MAC address: 70-persistent-net.rules of older systems.  Left as they are, the
 * name would count as taken, and the card would become eth1.  The rule gets the
 * MAC address of the card that has the name now.
 */
#include <string.h>

#include "boot-fix/edit.h"
#include "boot-fix/fixes.h"
#include "boot-fix/network.h"
#include "boot-fix/texts.h"
#include "p2v/base/mem.h"

struct editing {
	const struct machine *machine;
	struct stable_names *names; /* the addresses replaced */
};

static char *edit_rule(void *arg, const char *line, const char *rest)
{
	struct editing *editing = arg;
	CLEANUP_NET_RULE struct net_rule rule = {0};
	const struct machine_nic *nic;

	(void)rest;
	if (!net_rule_parse(line, &rule))
		return NULL;
	nic = network_find_name(editing->machine, rule.name);
	if (!nic || !nic->mac || network_mac_equal(nic->mac, rule.mac))
		return NULL;
	if (!strv_has(&editing->names->replaced, rule.mac))
		strv_add(&editing->names->replaced, rule.mac);

	struct span mac = {rule.mac_start, rule.mac_start + strlen(rule.mac)};
	return edit_replace_piece(line, mac, nic->mac);
}

char *net_rules_edit_text(const struct fix_context *context, const char *data, size_t bytes,
			  struct stable_names *names)
{
	struct editing editing = {context->machine, names};

	return edit_lines(data, bytes, edit_rule, &editing);
}

static char *reason(void *arg)
{
	struct editing *editing = arg;
	CLEANUP_FREE char *list = stable_list_text(&editing->names->replaced);

	return xasprintf("no card of the machine has the MAC address%s %s",
			 editing->names->replaced.count == 1 ? "" : "es", list);
}

static bool applies(const struct fix_context *context)
{
	return context->machine->nic_count > 0;
}

static struct err *plan_network_rules(const struct fix_context *context, struct plan *plan)
{
	CLEANUP_STRV struct strv paths = {0};

	TRY(edit_expand(plan, "/etc/udev/rules.d/*.rules", &paths));
	for (size_t i = 0; i < paths.count; i++) {
		CLEANUP_STABLE_NAMES struct stable_names names = {0};
		struct editing editing = {context->machine, &names};

		TRY(edit_file(plan, paths.items[i], edit_rule, &editing, reason));
	}
	return NULL;
}

const struct fix fix_network_rules = {
	.name = "boot-fix/network-rules",
	.summary = "udev rules for interface names with the machine's MAC addresses",
	.applies = applies,
	.plan = plan_network_rules,
};
