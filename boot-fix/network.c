/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Looking network cards up, replacing their addresses, and reading udev's rules about them. */
#include "boot-fix/network.h"

#include <ctype.h>
#include <string.h>

#include "boot-fix/stable.h"
#include "p2v/base/mem.h"

bool network_mac_equal(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		char x = *a == '-' ? ':' : *a, y = *b == '-' ? ':' : *b;

		if (tolower((unsigned char)x) != tolower((unsigned char)y))
			return false;
	}
	return *a == *b;
}

bool network_is_mac(const char *text)
{
	for (size_t i = 0; i < 17; i++) {
		bool good = i % 3 == 2 ? text[i] == ':' || text[i] == '-' : isxdigit((unsigned char)text[i]);

		if (!good)
			return false;
	}
	return !text[17];
}

const struct machine_nic *network_find_name(const struct machine *machine, const char *name)
{
	for (size_t i = 0; i < machine->nic_count; i++)
		if (machine->nics[i].name && !strcmp(machine->nics[i].name, name))
			return &machine->nics[i];
	return NULL;
}

const struct machine_nic *network_find_mac(const struct machine *machine, const char *mac)
{
	for (size_t i = 0; i < machine->nic_count; i++)
		if (machine->nics[i].mac && network_mac_equal(machine->nics[i].mac, mac))
			return &machine->nics[i];
	return NULL;
}

void net_rule_deinit(struct net_rule *rule)
{
	free(rule->mac);
	free(rule->name);
	*rule = (struct net_rule){0};
}

/* Conditions that hold for an Ethernet card on any bus. */
static bool is_unbound(const char *key, const char *value)
{
	static const struct {
		const char *key, *value; /* value NULL: any */
	} conditions[] = {
		{"SUBSYSTEM", "net"}, {"SUBSYSTEMS", "net"},   {"ACTION", NULL},
		{"DRIVERS", "?*"},    {"ATTR{dev_id}", "0x0"}, {"ATTR{type}", "1"},
		{"KERNEL", NULL},     {"ATTRS{type}", "1"},    {"ENV{DEVTYPE}", NULL},
	};

	for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++)
		if (!strcmp(conditions[i].key, key) &&
		    (!conditions[i].value || !strcmp(conditions[i].value, value)))
			return true;
	return false;
}

/* One KEY OPERATOR "value" of a rule; *at moves behind it.  False at the end or where it is no such. */
static bool read_term(const char **at, char **ret_key, char **ret_op, char **ret_value,
		      const char **ret_value_start)
{
	const char *s = *at + strspn(*at, " \t,\r");
	size_t key_bytes = strcspn(s, "=!+-:\" \t"), blanks = strspn(s + key_bytes, " \t");
	const char *op = s + key_bytes + blanks;
	size_t op_bytes = strspn(op, "=!+-:");
	const char *value = op + op_bytes;

	value += strspn(value, " \t");
	if (!key_bytes || !op_bytes || *value != '"' || !strchr(value + 1, '"'))
		return false;
	value++;
	*ret_key = xstrndup(s, key_bytes);
	*ret_op = xstrndup(op, op_bytes);
	*ret_value = xstrndup(value, strcspn(value, "\""));
	*ret_value_start = value;
	*at = value + strlen(*ret_value) + 1;
	return true;
}

bool net_rule_parse(const char *line, struct net_rule *ret_rule)
{
	CLEANUP_NET_RULE struct net_rule rule = {0};
	const char *at = line;

	if (line[strspn(line, " \t")] == '#')
		return false;
	for (;;) {
		CLEANUP_FREE char *key = NULL;
		CLEANUP_FREE char *op = NULL;
		CLEANUP_FREE char *value = NULL;
		const char *value_start;

		if (!read_term(&at, &key, &op, &value, &value_start))
			break;
		if (!strcmp(op, "==") && str_ends_with(key, "{address}") && !rule.mac) {
			rule.mac_start = (size_t)(value_start - line);
			rule.mac = take_ptr(value);
		} else if (!strcmp(key, "NAME") && strcmp(op, "==") && strcmp(op, "!=")) {
			free(rule.name);
			rule.name = take_ptr(value);
		} else if (!strcmp(op, "==") || !strcmp(op, "!=")) {
			rule.is_bound = rule.is_bound || !is_unbound(key, value);
		}
	}
	if (!rule.mac || !rule.name || !network_is_mac(rule.mac))
		return false;
	*ret_rule = rule;
	rule = (struct net_rule){0};
	return true;
}

char *network_replace_mac(struct mac_editing *editing, const char *line, struct span span,
			  const char *interface)
{
	CLEANUP_FREE char *mac = edit_piece(line, span);
	const struct machine_nic *nic;

	if (!network_is_mac(mac) || network_find_mac(editing->machine, mac))
		return NULL;
	nic = interface ? network_find_name(editing->machine, interface) : NULL;
	if (!nic || !nic->mac) {
		plan_add_finding(editing->plan, FINDING_WARNING,
				 "%s is for the MAC address %s, which no network card of the machine has",
				 editing->path, mac);
		return NULL;
	}
	strv_add(&editing->replaced, mac);
	return edit_replace_piece(line, span, nic->mac);
}

char *network_mac_reason(const struct mac_editing *editing)
{
	CLEANUP_FREE char *list = stable_list_text(&editing->replaced);

	return xasprintf("no card of the machine has the MAC address %s", list);
}
