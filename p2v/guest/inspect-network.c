/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Network interfaces: the readers add what their files say, by interface name;
 * an interface that several files speak of is one.
 */
#include "p2v/guest/inspect-network.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "p2v/base/mem.h"

/* Names that the kernel or usual tools give to what is no hardware. */
static bool is_physical_name(const char *name)
{
	static const char *const virtual[] = {"bond",  "team", "br",  "virbr",	 "vlan", "docker",
					      "veth",  "tun",  "tap", "dummy",	 "wg",	 "sit",
					      "vxlan", "gre",  "ppp", "macvtap", "vnet", "ovs"};

	if (strcmp(name, "lo") == 0 || strchr(name, '.') || strchr(name, '*'))
		return false;
	for (size_t i = 0; i < sizeof virtual / sizeof *virtual; i++) {
		size_t bytes = strlen(virtual[i]);

		if (strncmp(name, virtual[i], bytes) == 0 &&
		    (!name[bytes] || isdigit((unsigned char)name[bytes]) || name[bytes] == '-'))
			return false;
	}
	return true;
}

struct guest_interface *network_interface(struct inspection *inspection, const char *name,
					  const char *defined_in)
{
	struct guest_interface *interface;

	for (size_t i = 0; i < inspection->interface_count; i++) {
		if (strcmp(inspection->interfaces[i].name, name) == 0)
			return &inspection->interfaces[i];
	}
	inspection->interfaces =
		xreallocarray(inspection->interfaces, inspection->interface_count + 1, sizeof *interface);
	interface = &inspection->interfaces[inspection->interface_count++];
	*interface = (struct guest_interface){
		.name = xstrdup(name),
		.defined_in = xstrdup(defined_in),
		.is_physical = is_physical_name(name),
	};
	return interface;
}

char *network_parse_mac(const char *text)
{
	char mac[18];

	text += strspn(text, " \t\"'");
	for (unsigned i = 0; i < 17; i++) {
		bool is_separator = i % 3 == 2;

		if (is_separator ? text[i] != ':' && text[i] != '-' : !isxdigit((unsigned char)text[i]))
			return NULL;
		mac[i] = is_separator ? ':' : (char)tolower((unsigned char)text[i]);
	}
	mac[17] = '\0';
	/* Longer ones are InfiniBand's. */
	return isxdigit((unsigned char)text[17]) || text[17] == ':' ? NULL : xstrdup(mac);
}

void network_set_mac(struct guest_interface *interface, const char *mac)
{
	if (!interface->mac && mac)
		interface->mac = network_parse_mac(mac);
}

/* 24 for "255.255.255.0" or "24"; -1 if it is neither. */
static int prefix_of(const char *netmask, int max_prefix)
{
	struct in_addr mask;
	char *end;
	long prefix;

	if (inet_pton(AF_INET, netmask, &mask) == 1) {
		uint32_t bits = ntohl(mask.s_addr);

		return (bits & (~bits >> 1)) == 0 || bits == UINT32_MAX ? __builtin_popcount(bits) : -1;
	}
	prefix = strtol(netmask, &end, 10);
	return *netmask && !*end && prefix >= 0 && prefix <= max_prefix ? (int)prefix : -1;
}

void network_add_address(struct guest_interface *interface, const char *address, const char *netmask)
{
	size_t bytes = strcspn(address, "/ \t");
	CLEANUP_FREE char *host = xstrndup(address, bytes);
	CLEANUP_FREE char *text = NULL;
	unsigned char binary[16];
	int family = strchr(host, ':') ? AF_INET6 : AF_INET;
	int prefix = -1;

	if (inet_pton(family, host, binary) != 1)
		return;
	if (address[bytes] == '/')
		prefix = prefix_of(address + bytes + 1, family == AF_INET ? 32 : 128);
	else if (netmask)
		prefix = prefix_of(netmask, family == AF_INET ? 32 : 128);
	text = prefix >= 0 ? xasprintf("%s/%d", host, prefix) : xstrdup(host);
	if (!strv_has(&interface->addresses, text))
		strv_add(&interface->addresses, text);
}

struct err *inspect_network(const struct inspect_context *context)
{
	static struct err *(*const readers[])(const struct inspect_context *) = {
		network_read_ifupdown,	     network_read_netplan, network_read_networkd,
		network_read_networkmanager, network_read_ifcfg,   network_read_udev,
	};

	for (size_t i = 0; i < sizeof readers / sizeof *readers; i++)
		TRY(readers[i](context));
	return NULL;
}
