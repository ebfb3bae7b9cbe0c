/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The machine's network cards, as the fixes of files that name them need it. */
#ifndef BOOT_FIX_NETWORK_H
#define BOOT_FIX_NETWORK_H

#include "boot-fix/edit.h"
#include "boot-fix/fix.h"

/* NULL if the machine has no such card; the MAC address in any of its spellings. */
const struct machine_nic *network_find_name(const struct machine *machine, const char *name);
const struct machine_nic *network_find_mac(const struct machine *machine, const char *mac);

/* Compares addresses without case, '-' as ':'. */
bool network_mac_equal(const char *a, const char *b);

/* Six bytes in hexadecimal with ':' or '-'. */
bool network_is_mac(const char *text);

/* A file that names cards by their addresses, while it is edited. */
struct mac_editing {
	const struct machine *machine;
	struct plan *plan;
	const char *path;
	struct strv replaced; /* addresses that no card has; the owner's to deinit */
};

/* The line with the address of the machine's card of that name in place of the one at span.  NULL where
 * nothing is to be changed: no address is there, or one that a card has, or there is no such card, which
 * becomes a finding.  interface may be NULL: unknown. */
char *network_replace_mac(struct mac_editing *editing, const char *line, struct span span,
			  const char *interface);

/* Why addresses were replaced. */
char *network_mac_reason(const struct mac_editing *editing);

/* What a udev rule says of an interface: pieces of its line, empty where it says nothing. */
struct net_rule {
	char *mac; /* NULL if none */
	char *name; /* given by the rule, NULL if none */
	size_t mac_start; /* where the address stands on the line */
	bool is_bound; /* also asks for a bus address, a driver or the like */
};

/* Reads "SUBSYSTEM=="net", …, ATTR{address}=="…", NAME="eth0"" (udev(7)).  False for any other line. */
bool net_rule_parse(const char *line, struct net_rule *ret_rule);
void net_rule_deinit(struct net_rule *rule);
#define CLEANUP_NET_RULE CLEANUP(net_rule_deinit)

#endif
