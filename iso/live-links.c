/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Interfaces by sysfs, addresses by getifaddrs(3), the default route by procfs. */
#include "iso/live-links.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture/sysroot.h"
#include "p2v/base/mem.h"

#define TYPE_ETHERNET 1 /* <linux/if_arp.h>, ARPHRD_ETHER */

/* Bonds, VLANs, bridges, wireless ones: the kernel names the kind of all but plain Ethernet. */
static bool is_plain(const char *name)
{
	CLEANUP_FREE char *events = sysroot_read("", "/sys/class/net/%s/uevent", name);
	CLEANUP_FREE char *kind = events ? sysroot_value(events, "DEVTYPE") : NULL;

	return !kind && !str_starts_with(name, "dummy") && !str_starts_with(name, "ifb") &&
	       sysroot_number("", "/sys/class/net/%s/type", name) == TYPE_ETHERNET;
}

static void add_link(struct live_links *links, const char *name)
{
	CLEANUP_FREE char *speed = sysroot_read("", "/sys/class/net/%s/speed", name);
	long mbit = speed ? atol(speed) : 0;

	array_grow(links->links, links->count, links->capacity);
	links->links[links->count++] = (struct live_link){
		.name = xstrdup(name),
		.mac = sysroot_read("", "/sys/class/net/%s/address", name),
		.driver = sysroot_link("", "/sys/class/net/%s/device/driver", name),
		.has_carrier = sysroot_number("", "/sys/class/net/%s/carrier", name) == 1,
		.is_plain = is_plain(name),
		.mbit_per_second = mbit > 0 && mbit < 10000000 ? mbit : 0,
	};
}

static unsigned count_bits(const void *mask, size_t bytes)
{
	const uint8_t *at = mask;
	unsigned bits = 0;

	for (size_t i = 0; i < bytes; i++)
		bits += __builtin_popcount(at[i]);
	return bits;
}

/* "ADDRESS/BITS", or nothing where it is of no use to reach others. */
static void add_address(struct strv *list, const struct sockaddr *address, const struct sockaddr *mask)
{
	char text[INET6_ADDRSTRLEN];
	unsigned bits;

	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)address;

		inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
		bits = count_bits(&((const struct sockaddr_in *)mask)->sin_addr, 4);
	} else {
		const struct sockaddr_in6 *v6 = (const void *)address;

		if (IN6_IS_ADDR_LINKLOCAL(&v6->sin6_addr))
			return;
		inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
		bits = count_bits(&((const struct sockaddr_in6 *)mask)->sin6_addr, 16);
	}
	strv_addf(list, "%s/%u", text, bits);
}

static void add_addresses(struct live_links *links)
{
	struct ifaddrs *all;

	if (getifaddrs(&all))
		return;
	for (const struct ifaddrs *at = all; at; at = at->ifa_next) {
		bool is_ip = at->ifa_addr && at->ifa_netmask &&
			     (at->ifa_addr->sa_family == AF_INET || at->ifa_addr->sa_family == AF_INET6);

		for (size_t i = 0; is_ip && i < links->count; i++)
			if (!strcmp(links->links[i].name, at->ifa_name))
				add_address(&links->links[i].addresses, at->ifa_addr, at->ifa_netmask);
	}
	freeifaddrs(all);
}

/* procfs(5), /proc/net/route: interface, destination, gateway in host order, hexadecimal. */
static void find_gateway(struct live_links *links)
{
	CLEANUP_STRV struct strv lines = {0};

	sysroot_lines("", &lines, "/proc/net/route");
	for (size_t i = 0; i < lines.count && !links->gateway; i++) {
		unsigned destination, gateway;
		char text[INET_ADDRSTRLEN];

		if (sscanf(lines.items[i], "%*s %x %x", &destination, &gateway) != 2 || destination ||
		    !gateway)
			continue;
		inet_ntop(AF_INET, &(struct in_addr){gateway}, text, sizeof text);
		links->gateway = xstrdup(text);
	}
}

static void find_name_servers(struct live_links *links, const char *resolv_conf)
{
	CLEANUP_STRV struct strv lines = {0};

	sysroot_lines("", &lines, "%s", resolv_conf);
	for (size_t i = 0; i < lines.count; i++)
		if (str_starts_with(lines.items[i], "nameserver "))
			strv_add(&links->dns, lines.items[i] + strlen("nameserver "));
}

void live_links_look(const char *resolv_conf, struct live_links *ret_links)
{
	CLEANUP_STRV struct strv names = {0};
	struct live_links links = {0};

	sysroot_list("", "/sys/class/net", &names);
	for (size_t i = 0; i < names.count; i++)
		if (strcmp(names.items[i], "lo") &&
		    sysroot_has("", "/sys/class/net/%s/ifindex", names.items[i]))
			add_link(&links, names.items[i]);
	add_addresses(&links);
	find_gateway(&links);
	find_name_servers(&links, resolv_conf);
	*ret_links = links;
}

void live_links_deinit(struct live_links *links)
{
	for (size_t i = 0; i < links->count; i++) {
		free(links->links[i].name);
		free(links->links[i].mac);
		free(links->links[i].driver);
		strv_deinit(&links->links[i].addresses);
	}
	free(links->links);
	free(links->gateway);
	strv_deinit(&links->dns);
	*links = (struct live_links){0};
}

bool live_links_have_address(const struct live_links *links)
{
	for (size_t i = 0; i < links->count; i++)
		if (links->links[i].addresses.count)
			return true;
	return false;
}

const struct live_link *live_links_find(const struct live_links *links, const char *name_or_mac)
{
	for (size_t i = 0; i < links->count; i++) {
		const struct live_link *link = &links->links[i];

		if (!strcmp(link->name, name_or_mac) || (link->mac && !strcasecmp(link->mac, name_or_mac)))
			return link;
	}
	return NULL;
}
