/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Addresses, routes and name servers in use.  Of addresses the kernel has no
 * file: a recording has them in /addresses, a line each of interface and
 * address ("eth0 192.0.2.7/24").
 */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture/discover-impl.h"
#include "p2v/base/mem.h"

static void add_address(struct machine *machine, const char *interface, const char *address)
{
	for (size_t i = 0; i < machine->nic_count; i++)
		if (!strcmp(machine->nics[i].name, interface))
			strv_add(&machine->nics[i].addresses, address);
}

static unsigned prefix_length(const uint8_t *mask, size_t bytes)
{
	unsigned bits = 0;

	for (size_t i = 0; i < bytes; i++)
		bits += __builtin_popcount(mask[i]);
	return bits;
}

/* Link-local addresses follow from the MAC: they are nobody's setting. */
static void take_interface_address(struct machine *machine, const struct ifaddrs *from)
{
	char text[INET6_ADDRSTRLEN];
	CLEANUP_FREE char *address = NULL;

	if (!from->ifa_addr || !from->ifa_netmask)
		return;
	if (from->ifa_addr->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)from->ifa_addr;
		const struct sockaddr_in *mask = (const void *)from->ifa_netmask;

		inet_ntop(AF_INET, &in->sin_addr, text, sizeof text);
		address = xasprintf("%s/%u", text, prefix_length((const void *)&mask->sin_addr, 4));
	} else if (from->ifa_addr->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in = (const void *)from->ifa_addr;
		const struct sockaddr_in6 *mask = (const void *)from->ifa_netmask;

		if (IN6_IS_ADDR_LINKLOCAL(&in->sin6_addr))
			return;
		inet_ntop(AF_INET6, &in->sin6_addr, text, sizeof text);
		address = xasprintf("%s/%u", text, prefix_length(mask->sin6_addr.s6_addr, 16));
	} else {
		return;
	}
	add_address(machine, from->ifa_name, address);
}

static void take_live_addresses(struct machine *machine)
{
	struct ifaddrs *all;

	if (getifaddrs(&all))
		return;
	for (const struct ifaddrs *one = all; one; one = one->ifa_next)
		take_interface_address(machine, one);
	freeifaddrs(all);
}

static void take_recorded_addresses(const char *root, struct machine *machine)
{
	CLEANUP_FREE char *text = sysroot_read(root, "/addresses");
	CLEANUP_STRV struct strv words = {0};

	strv_split(&words, text ? text : "", " \n");
	for (size_t i = 0; i + 1 < words.count; i += 2)
		add_address(machine, words.items[i], words.items[i + 1]);
}

static char *ipv4_text(const char *hex)
{
	struct in_addr address = {.s_addr = strtoul(hex, NULL, 16)};
	char text[INET_ADDRSTRLEN];

	return xstrdup(inet_ntop(AF_INET, &address, text, sizeof text));
}

/* /proc/net/route: interface, destination, gateway, flags, …, mask is the eighth; in the machine's byte
 * order. */
static void take_ipv4_routes(const char *root, struct machine *machine)
{
	CLEANUP_STRV struct strv lines = {0};

	sysroot_lines(root, &lines, "/proc/net/route");
	for (size_t i = 1; i < lines.count; i++) {
		CLEANUP_STRV struct strv fields = {0};
		CLEANUP_FREE char *destination = NULL;
		struct machine_route *route;

		strv_split(&fields, lines.items[i], " \t");
		if (fields.count < 8)
			continue;
		route = machine_add_route(machine);
		destination = ipv4_text(fields.items[1]);
		route->destination = xasprintf("%s/%d", destination,
					       __builtin_popcountl(strtoul(fields.items[7], NULL, 16)));
		route->gateway = strtoul(fields.items[2], NULL, 16) ? ipv4_text(fields.items[2]) : NULL;
		route->interface = xstrdup(fields.items[0]);
	}
}

static char *ipv6_text(const char *hex)
{
	struct in6_addr address = {0};
	char text[INET6_ADDRSTRLEN];

	for (size_t i = 0; i < 16 && hex[2 * i] && hex[2 * i + 1]; i++)
		sscanf(hex + 2 * i, "%2hhx", &address.s6_addr[i]);
	return xstrdup(inet_ntop(AF_INET6, &address, text, sizeof text));
}

/* Only routes with a gateway: the rest follows from the addresses.  The tenth field is the interface. */
static void take_ipv6_routes(const char *root, struct machine *machine)
{
	CLEANUP_STRV struct strv lines = {0};

	sysroot_lines(root, &lines, "/proc/net/ipv6_route");
	for (size_t i = 0; i < lines.count; i++) {
		CLEANUP_STRV struct strv fields = {0};
		CLEANUP_FREE char *destination = NULL;
		struct machine_route *route;

		strv_split(&fields, lines.items[i], " \t");
		if (fields.count < 10 || strspn(fields.items[4], "0") == strlen(fields.items[4]))
			continue;
		route = machine_add_route(machine);
		destination = ipv6_text(fields.items[0]);
		route->destination = xasprintf("%s/%lu", destination, strtoul(fields.items[1], NULL, 16));
		route->gateway = ipv6_text(fields.items[4]);
		route->interface = xstrdup(fields.items[9]);
	}
}

static void take_name_servers(const char *root, const char *path, struct strv *ret_servers)
{
	CLEANUP_STRV struct strv lines = {0};

	sysroot_lines(root, &lines, "%s", path);
	for (size_t i = 0; i < lines.count; i++) {
		CLEANUP_STRV struct strv fields = {0};

		strv_split(&fields, lines.items[i], " \t");
		if (fields.count >= 2 && !strcmp(fields.items[0], "nameserver"))
			strv_add(ret_servers, fields.items[1]);
	}
}

/* systemd-resolved puts itself in front and keeps the real servers in a file of its own. */
static void discover_name_servers(const char *root, struct machine *machine)
{
	take_name_servers(root, "/etc/resolv.conf", &machine->dns);
	if (machine->dns.count == 1 && !strcmp(machine->dns.items[0], "127.0.0.53")) {
		strv_deinit(&machine->dns);
		take_name_servers(root, "/run/systemd/resolve/resolv.conf", &machine->dns);
	}
}

void discover_addresses(const char *root, struct machine *machine)
{
	if (*root)
		take_recorded_addresses(root, machine);
	else
		take_live_addresses(machine);
	take_ipv4_routes(root, machine);
	take_ipv6_routes(root, machine);
	discover_name_servers(root, machine);
}
