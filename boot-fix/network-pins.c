/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Interfaces keep their names: each is tied to its card's MAC address, which the
 * virtual machine's card has as well.  Otherwise "enp3s0" becomes "eth0" or
 * "ens3", and everything configured for it is lost.
 *
 * With systemd 245 and later by a .link file (systemd.link(5)): it asks for the
 * permanent address, which VLANs, bonds and bridges on top of the card do not
 * share.  It has no NamePolicy=, so Name= decides, even with net.ifnames=0; it
 * sorts before 99-default.link, and the first file that matches is the only one
 * that counts.  A card that an initramfs without the file gave another name is
 * renamed when udev runs again in the system itself (systemd.net-naming-scheme(7),
 * v240).  Older and other systems get a udev rule, which all of them understand.
 *
 * Cards that are tied already, by a rule or a file that asks for nothing else,
 * are left.  Names the kernel itself gives out ("eth1") can collide while several
 * cards come up in another order: that is told.
 */
#include <ctype.h>
#include <string.h>

#include "boot-fix/edit.h"
#include "boot-fix/fixes.h"
#include "boot-fix/network.h"
#include "p2v/base/mem.h"
#include "p2v/guest/path.h"

#define RULES_FILE "/etc/udev/rules.d/70-p2v-net.rules"
#define FIRST_LINK_VERSION 245 /* PermanentMACAddress= */

/* From the library's file name, "libsystemd-shared-252.so" or "…-252-18.el9.so"; 0 if there is none. */
static unsigned version_in(const struct strv *names)
{
	static const char prefix[] = "libsystemd-shared-";

	for (size_t i = 0; i < names->count; i++)
		if (str_starts_with(names->items[i], prefix))
			return (unsigned)strtoul(names->items[i] + strlen(prefix), NULL, 10);
	return 0;
}

static struct err *find_systemd_version(struct plan *plan, unsigned *ret_version)
{
	static const char *const patterns[] = {"/usr/lib/*/systemd", "/lib/*/systemd", NULL};
	CLEANUP_STRV struct strv dirs = {0};

	strv_add(&dirs, "/usr/lib/systemd");
	strv_add(&dirs, "/lib/systemd");
	for (size_t i = 0; patterns[i]; i++) {
		CLEANUP_STRV struct strv names = {0};
		CLEANUP_FREE char *lib = xstrndup(patterns[i], strcspn(patterns[i], "*") - 1);

		TRY(plan_list(plan, lib, &names));
		for (size_t j = 0; j < names.count; j++)
			if (strstr(names.items[j], "-linux-gnu"))
				strv_addf(&dirs, "%s/%s/systemd", lib, names.items[j]);
	}
	*ret_version = 0;
	for (size_t i = 0; i < dirs.count && !*ret_version; i++) {
		CLEANUP_STRV struct strv names = {0};

		TRY(plan_list(plan, dirs.items[i], &names));
		*ret_version = version_in(&names);
	}
	return NULL;
}

/* What a .link file says: does it tie this card to this name, by address alone? */
struct link {
	const struct machine_nic *nic;
	bool has_address, has_name, is_bound;
	bool in_match;
};

static char *read_link(void *arg, const char *line, const char *rest)
{
	struct link *link = arg;
	struct shell_value value;

	(void)rest;
	if (line[0] == '[')
		link->in_match = str_starts_with(line, "[Match]");
	if (!edit_find_assignment(line, &value))
		return NULL;

	CLEANUP_FREE char *key = edit_piece(line, value.name);
	CLEANUP_FREE char *text = xstrdup(line + value.value.start);
	CLEANUP_STRV struct strv words = {0};
	strv_split(&words, text, " \t\r");
	for (size_t i = 0; i < words.count; i++) {
		if (!link->in_match)
			link->has_name |= !strcmp(key, "Name") && !strcmp(words.items[i], link->nic->name);
		else if (str_ends_with(key, "MACAddress"))
			link->has_address |= network_mac_equal(words.items[i], link->nic->mac);
		else if (strcmp(words.items[i], "*") && strcmp(words.items[i], "ether"))
			link->is_bound = true;
	}
	return NULL;
}

struct rule_search {
	const struct machine_nic *nic;
	bool found;
};

static char *read_rule(void *arg, const char *line, const char *rest)
{
	struct rule_search *search = arg;
	CLEANUP_NET_RULE struct net_rule rule = {0};

	(void)rest;
	if (net_rule_parse(line, &rule) && !rule.is_bound && network_mac_equal(rule.mac, search->nic->mac) &&
	    !strcmp(rule.name, search->nic->name))
		search->found = true;
	return NULL;
}

/* Our own files do not count: they are written anew, and are then found to be the same. */
static struct err *is_pinned(struct plan *plan, const struct machine_nic *nic, bool *ret_pinned)
{
	CLEANUP_STRV struct strv links = {0}, rules = {0};
	struct rule_search search = {.nic = nic};

	TRY(edit_expand(plan, "/etc/udev/rules.d/*.rules", &rules));
	for (size_t i = 0; i < rules.count; i++)
		if (strcmp(rules.items[i], RULES_FILE))
			TRY(edit_visit(plan, rules.items[i], read_rule, &search));
	*ret_pinned = search.found;
	TRY(edit_expand(plan, "/etc/systemd/network/*.link", &links));
	for (size_t i = 0; i < links.count && !*ret_pinned; i++) {
		struct link link = {.nic = nic};

		if (str_starts_with(path_base(links.items[i]), "10-p2v-"))
			continue;
		TRY(edit_visit(plan, links.items[i], read_link, &link));
		*ret_pinned = link.has_address && link.has_name && !link.is_bound;
	}
	return NULL;
}

static struct err *write_link(struct plan *plan, const struct machine_nic *nic)
{
	CLEANUP_FREE char *path = xasprintf("/etc/systemd/network/10-p2v-%s.link", nic->name);
	CLEANUP_FREE char *text =
		xasprintf("# Written by p2v: the interface keeps its name on any hardware.\n"
			  "[Match]\n"
			  "PermanentMACAddress=%s\n"
			  "\n"
			  "[Link]\n"
			  "Name=%s\n",
			  nic->mac, nic->name);

	return plan_write(plan, path, text, strlen(text),
			  "%s keeps its name, which came from the old hardware; the card is known by its MAC "
			  "address",
			  nic->name);
}

static void add_rule(struct text *rules, const struct machine_nic *nic)
{
	CLEANUP_FREE char *mac = xstrdup(nic->mac);

	for (char *c = mac; *c; c++)
		*c = *c == '-' ? ':' : (char)tolower((unsigned char)*c);
	if (!rules->bytes)
		text_addf(rules, "# Written by p2v: interfaces keep their names on any hardware.\n");
	text_addf(rules,
		  "SUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", ATTR{address}==\"%s\", "
		  "ATTR{type}==\"1\", NAME=\"%s\"\n",
		  mac, nic->name);
}

static bool is_kernel_name(const char *name)
{
	return str_starts_with(name, "eth") && name[3] && !name[3 + strspn(name + 3, "0123456789")];
}

/* Interfaces that are configured but get no card, and names that may collide. */
static void tell_about_names(const struct fix_context *context, struct plan *plan)
{
	const struct inspection *inspection = context->inspection;
	const struct machine *machine = context->machine;
	size_t kernel_names = 0;

	for (size_t i = 0; i < machine->nic_count; i++)
		if (machine->nics[i].name && is_kernel_name(machine->nics[i].name))
			kernel_names++;
	if (kernel_names > 1)
		plan_add_finding(
			plan, FINDING_NOTE,
			"%zu interfaces have names that the kernel gives out itself (eth0, …): add the "
			"network cards to the virtual machine in the order of these names",
			kernel_names);
	for (size_t i = 0; i < inspection->interface_count; i++) {
		const struct guest_interface *interface = &inspection->interfaces[i];

		if (interface->is_physical && !network_find_name(machine, interface->name))
			plan_add_finding(plan, FINDING_WARNING,
					 "%s configures %s, but the machine has no network card by that name",
					 interface->defined_in ? interface->defined_in : "the guest",
					 interface->name);
	}
}

static bool applies(const struct fix_context *context)
{
	return context->machine->nic_count > 0 || context->inspection->interface_count > 0;
}

static struct err *plan_network_pins(const struct fix_context *context, struct plan *plan)
{
	CLEANUP_TEXT struct text rules = {0};
	unsigned version = 0;

	if (context->inspection->has_systemd)
		TRY(find_systemd_version(plan, &version));
	for (size_t i = 0; i < context->machine->nic_count; i++) {
		const struct machine_nic *nic = &context->machine->nics[i];
		bool pinned = true;

		if (nic->name && nic->mac && network_is_mac(nic->mac) && !strchr(nic->name, '/'))
			TRY(is_pinned(plan, nic, &pinned));
		if (pinned)
			continue;
		if (version >= FIRST_LINK_VERSION)
			TRY(write_link(plan, nic));
		else
			add_rule(&rules, nic);
	}
	if (rules.bytes)
		TRY(plan_write(plan, RULES_FILE, rules.data, rules.bytes,
			       "interfaces keep their names, which came from the old hardware; the cards are "
			       "known by their MAC addresses"));
	tell_about_names(context, plan);
	return NULL;
}

const struct fix fix_network_pins = {
	.name = "boot-fix/network-pins",
	.summary = "network interfaces keep their names",
	.applies = applies,
	.plan = plan_network_pins,
};
