/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * /etc/systemd/network: systemd.network(5), systemd.netdev(5), systemd.link(5);
 * and udev's older rules that name interfaces.
 */
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/guest/conf.h"
#include "p2v/guest/inspect-network.h"

static struct err *read_network(void *arg, const char *path, const char *content)
{
	const struct inspect_context *context = arg;
	CLEANUP_CONF struct conf conf = {0};
	CLEANUP_STRV struct strv names = {0};
	const char *matched;

	conf_read_ini(content, &conf);
	matched = conf_get(&conf, "Match", "Name");
	strv_split(&names, matched ? matched : "", " \t");
	/* Several names, or a pattern: no single interface is meant. */
	if (names.count != 1 || strpbrk(names.items[0], "*?[!"))
		return NULL;
	struct guest_interface *interface = network_interface(context->inspection, names.items[0], path);

	network_set_mac(interface, conf_get(&conf, "Match", "MACAddress"));
	for (size_t i = 0; i < conf.count; i++) {
		const struct conf_item *item = &conf.items[i];

		if (strcasecmp(item->key, "Address") == 0 &&
		    (strcasecmp(item->section, "Network") == 0 || strcasecmp(item->section, "Address") == 0))
			network_add_address(interface, item->value, NULL);
	}
	return NULL;
}

static struct err *read_netdev(void *arg, const char *path, const char *content)
{
	const struct inspect_context *context = arg;
	CLEANUP_CONF struct conf conf = {0};
	const char *name;

	conf_read_ini(content, &conf);
	name = conf_get(&conf, "NetDev", "Name");
	if (name && name[0])
		network_interface(context->inspection, name, path)->is_physical = false;
	return NULL;
}

static struct err *read_link(void *arg, const char *path, const char *content)
{
	const struct inspect_context *context = arg;
	CLEANUP_CONF struct conf conf = {0};
	const char *name;
	const char *mac;

	conf_read_ini(content, &conf);
	name = conf_get(&conf, "Link", "Name");
	mac = conf_get(&conf, "Match", "MACAddress");
	if (!mac)
		mac = conf_get(&conf, "Match", "PermanentMACAddress");
	if (name && name[0] && mac)
		network_set_mac(network_interface(context->inspection, name, path), mac);
	return NULL;
}

struct err *network_read_networkd(const struct inspect_context *context)
{
	static const char dir[] = "/etc/systemd/network";

	TRY(inspect_each_file(context->guest, dir, ".network", read_network, (void *)context));
	return inspect_each_file(context->guest, dir, ".netdev", read_netdev, (void *)context);
}

/* The value of KEY=="value" or KEY="value" in a rule: udev(7).  The caller frees it. */
static char *rule_value(const char *rule, const char *key, const char *operator)
{
	CLEANUP_FREE char *start = xasprintf("%s%s\"", key, operator);
	const char *at = strstr(rule, start);

	/* NAME= must not be found in XNAME=. */
	while (at && at > rule && !strchr(", \t", at[-1]))
		at = strstr(at + 1, start);
	if (!at)
		return NULL;
	at += strlen(start);
	return xstrndup(at, strcspn(at, "\""));
}

static struct err *read_rules(void *arg, const char *path, const char *content)
{
	const struct inspect_context *context = arg;

	for (const char *at = content; *at;) {
		size_t bytes = strcspn(at, "\n");
		CLEANUP_FREE char *rule = xstrndup(at, bytes);
		CLEANUP_FREE char *mac = rule_value(rule, "ATTR{address}", "==");
		CLEANUP_FREE char *old_mac = rule_value(rule, "ATTRS{address}", "==");
		CLEANUP_FREE char *sysfs_mac = rule_value(rule, "SYSFS{address}", "==");
		CLEANUP_FREE char *name = rule_value(rule, "NAME", "=");
		CLEANUP_FREE char *known = NULL;

		at += bytes + (at[bytes] == '\n');
		if (rule[strspn(rule, " \t")] == '#' || !name || !name[0] || strpbrk(name, "%$"))
			continue;
		if (mac || old_mac || sysfs_mac)
			known = network_parse_mac(mac ? mac : old_mac ? old_mac : sysfs_mac);
		if (known)
			network_set_mac(network_interface(context->inspection, name, path), known);
	}
	return NULL;
}

struct err *network_read_udev(const struct inspect_context *context)
{
	TRY(inspect_each_file(context->guest, "/etc/systemd/network", ".link", read_link, (void *)context));
	return inspect_each_file(context->guest, "/etc/udev/rules.d", ".rules", read_rules, (void *)context);
}
