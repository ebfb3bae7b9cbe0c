/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * NetworkManager's keyfiles (nm-settings-keyfile(5)), and the ifcfg files of
 * Red Hat (/usr/share/doc/initscripts/sysconfig.txt) and SUSE (ifcfg(5)).
 */
#include <ctype.h>
#include <string.h>

#include "p2v/base/mem.h"
#include "p2v/guest/conf.h"
#include "p2v/guest/inspect-network.h"
#include "p2v/guest/path.h"

static bool is_one_of(const char *value, const char *const *words)
{
	for (; value && *words; words++) {
		if (strcasecmp(value, *words) == 0)
			return true;
	}
	return false;
}

/* "address1=192.0.2.7/24,192.0.2.1" and the older "addresses=192.0.2.7/24,192.0.2.1;…". */
static void add_keyfile_addresses(const struct conf *conf, struct guest_interface *interface)
{
	for (size_t i = 0; i < conf->count; i++) {
		const struct conf_item *item = &conf->items[i];
		CLEANUP_STRV struct strv parts = {0};

		if (strcmp(item->section, "ipv4") != 0 && strcmp(item->section, "ipv6") != 0)
			continue;
		if (!str_starts_with(item->key, "address"))
			continue;
		/* "address-data" and the like are no addresses and are passed over as such. */
		strv_split(&parts, item->value, ";");
		for (size_t k = 0; k < parts.count; k++) {
			parts.items[k][strcspn(parts.items[k], ",")] = '\0';
			network_add_address(interface, parts.items[k], NULL);
		}
	}
}

static struct err *read_keyfile(void *arg, const char *path, const char *content)
{
	static const char *const physical_types[] = {"ethernet",	"802-3-ethernet", "wifi",
						     "802-11-wireless", "infiniband",	  NULL};
	const struct inspect_context *context = arg;
	CLEANUP_CONF struct conf conf = {0};
	struct guest_interface *interface;
	const char *name;
	const char *type;
	const char *mac;

	conf_read_ini(content, &conf);
	type = conf_get(&conf, "connection", "type");
	name = conf_get(&conf, "connection", "interface-name");
	if (!type || !name || !name[0])
		return NULL;
	interface = network_interface(context->inspection, name, path);
	if (!is_one_of(type, physical_types))
		interface->is_physical = false;
	mac = conf_get(&conf, "ethernet", "mac-address");
	network_set_mac(interface, mac ? mac : conf_get(&conf, "802-3-ethernet", "mac-address"));
	add_keyfile_addresses(&conf, interface);
	return NULL;
}

struct err *network_read_networkmanager(const struct inspect_context *context)
{
	/* Older releases used no suffix. */
	return inspect_each_file(context->guest, "/etc/NetworkManager/system-connections", "", read_keyfile,
				 (void *)context);
}

/* IPADDR, IPADDR0, IPADDR_2 …: each with the NETMASK or PREFIX of the same ending. */
static void add_ifcfg_addresses(const struct conf *conf, struct guest_interface *interface)
{
	static const char *const static_protocols[] = {"static", "none", "", NULL};
	const char *protocol = conf_get(conf, "", "BOOTPROTO");

	if (protocol && !is_one_of(protocol, static_protocols))
		return;
	for (size_t i = 0; i < conf->count; i++) {
		const struct conf_item *item = &conf->items[i];
		const char *ending = item->key + strlen("IPADDR");
		CLEANUP_FREE char *netmask_key = NULL;
		CLEANUP_FREE char *prefix_key = NULL;
		CLEANUP_FREE char *prefixlen_key = NULL;
		const char *mask;

		if (strcasecmp(item->key, "IPV6ADDR") == 0)
			network_add_address(interface, item->value, NULL);
		if (!str_starts_with(item->key, "IPADDR") || isalpha((unsigned char)*ending))
			continue;
		netmask_key = xasprintf("NETMASK%s", ending);
		prefix_key = xasprintf("PREFIX%s", ending);
		prefixlen_key = xasprintf("PREFIXLEN%s", ending);
		mask = conf_get(conf, "", prefix_key);
		if (!mask)
			mask = conf_get(conf, "", prefixlen_key);
		if (!mask)
			mask = conf_get(conf, "", netmask_key);
		network_add_address(interface, item->value, mask);
	}
}

static bool is_virtual_ifcfg(const struct conf *conf)
{
	static const char *const types[] = {"Bond", "Bridge", "Vlan", "Team",	   "Tap",
					    "GRE",  "IPIP",   "sit",  "OVSBridge", NULL};
	static const char *const yes_keys[] = {"VLAN", "BONDING_MASTER", "BRIDGE"};
	static const char *const any_keys[] = {"BONDING_OPTS", "ETHERDEVICE", "BONDING_MODULE_OPTS"};

	if (is_one_of(conf_get(conf, "", "TYPE"), types) ||
	    is_one_of(conf_get(conf, "", "DEVICETYPE"), types))
		return true;
	for (size_t i = 0; i < sizeof yes_keys / sizeof *yes_keys; i++) {
		const char *value = conf_get(conf, "", yes_keys[i]);

		/* Red Hat's BRIDGE=br0 names the bridge that this interface is in. */
		if (value && strcasecmp(value, "yes") == 0)
			return true;
	}
	for (size_t i = 0; i < sizeof any_keys / sizeof *any_keys; i++) {
		if (conf_get(conf, "", any_keys[i]))
			return true;
	}
	return false;
}

static bool is_backup_name(const char *name)
{
	static const char *const endings[] = {"~",	  ".bak",     ".old",	 ".orig",	".rpmnew",
					      ".rpmsave", ".rpmorig", ".backup", ".scpmbackup", ".save"};

	for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
		if (str_ends_with(name, endings[i]))
			return true;
	}
	return strcmp(name, "ifcfg.template") == 0;
}

static struct err *read_ifcfg(void *arg, const char *path, const char *content)
{
	const struct inspect_context *context = arg;
	CLEANUP_CONF struct conf conf = {0};
	CLEANUP_FREE char *name = NULL;
	struct guest_interface *interface;
	const char *device;
	const char *mac;

	if (!str_starts_with(path_base(path), "ifcfg-") || is_backup_name(path))
		return NULL;
	conf_read_shell(content, &conf);
	device = conf_get(&conf, "", "DEVICE");
	name = xstrdup(device && device[0] ? device : path_base(path) + strlen("ifcfg-"));
	name[strcspn(name, ":")] = '\0';
	if (!name[0] || strpbrk(name, " /$=\""))
		return NULL;
	interface = network_interface(context->inspection, name, path);
	if (is_virtual_ifcfg(&conf))
		interface->is_physical = false;
	mac = conf_get(&conf, "", "HWADDR");
	network_set_mac(interface, mac ? mac : conf_get(&conf, "", "LLADDR"));
	add_ifcfg_addresses(&conf, interface);
	return NULL;
}

struct err *network_read_ifcfg(const struct inspect_context *context)
{
	TRY(inspect_each_file(context->guest, "/etc/sysconfig/network-scripts", "", read_ifcfg,
			      (void *)context));
	return inspect_each_file(context->guest, "/etc/sysconfig/network", "", read_ifcfg, (void *)context);
}
