/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Network interfaces, from /sys/class/net: hardware, and the bonds, bridges,
 * teams and VLANs on top.  Tunnels, containers' ends and the like are the
 * system's own affair.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "capture/discover-impl.h"
#include "p2v/base/mem.h"

static const char *const kinds[] = {"bond", "bridge", "team", "vlan", NULL};

/* What is on top of hardware; NULL for hardware and for what is left out. */
static char *find_kind(const char *root, const char *name)
{
	CLEANUP_FREE char *text = sysroot_read(root, "/sys/class/net/%s/uevent", name);
	CLEANUP_FREE char *type = text ? sysroot_value(text, "DEVTYPE") : NULL;

	for (size_t i = 0; type && kinds[i]; i++)
		if (!strcmp(type, kinds[i]))
			return_ptr(type);
	if (sysroot_has(root, "/sys/class/net/%s/bonding", name))
		return xstrdup("bond");
	if (sysroot_has(root, "/sys/class/net/%s/bridge", name))
		return xstrdup("bridge");
	return sysroot_has(root, "/proc/net/vlan/%s", name) ? xstrdup("vlan") : NULL;
}

#define MAX_ADDRESS_BYTES 32 /* MAX_ADDR_LEN of the kernel */

/* The address follows the head. */
union permanent_address {
	struct ethtool_perm_addr head;
	uint8_t room[sizeof(struct ethtool_perm_addr) + MAX_ADDRESS_BYTES];
};

/* Asks the driver; only the running machine has one to ask. */
static char *ask_permanent_mac(const char *name)
{
	union permanent_address address = {.head = {.cmd = ETHTOOL_GPERMADDR, .size = MAX_ADDRESS_BYTES}};
	const uint8_t *bytes = address.head.data;
	struct ifreq request = {.ifr_data = (void *)&address};
	CLEANUP_FD int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	static const uint8_t none[6];

	if (fd < 0 || strlen(name) >= sizeof request.ifr_name)
		return NULL;
	memcpy(request.ifr_name, name, strlen(name));
	if (ioctl(fd, SIOCETHTOOL, &request) || address.head.size != 6 || !memcmp(bytes, none, 6))
		return NULL;
	return xasprintf("%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1], bytes[2], bytes[3], bytes[4],
			 bytes[5]);
}

/* A bond gives all its ports one address; the port's own is what the VM needs. */
static char *find_mac(const char *root, const char *name, bool is_hardware)
{
	char *mac = sysroot_read(root, "/sys/class/net/%s/bonding_slave/perm_hwaddr", name);

	if (!mac && is_hardware && !*root)
		mac = ask_permanent_mac(name);
	return mac ? mac : sysroot_read(root, "/sys/class/net/%s/address", name);
}

/* /proc/net/vlan/config: "eth0.10  | 10  | eth0". */
static void find_vlan(const char *root, struct machine_nic *nic)
{
	CLEANUP_STRV struct strv lines = {0};

	sysroot_lines(root, &lines, "/proc/net/vlan/config");
	for (size_t i = 0; i < lines.count; i++) {
		CLEANUP_STRV struct strv fields = {0};

		strv_split(&fields, lines.items[i], " \t|");
		if (fields.count != 3 || strcmp(fields.items[0], nic->name))
			continue;
		nic->vlan = atoi(fields.items[1]);
		nic->lower = xstrdup(fields.items[2]);
	}
}

/* Where 8021q has no /proc entry: sysfs links to the interface below. */
static void find_lower(const char *root, struct machine_nic *nic)
{
	CLEANUP_FREE char *folder = xasprintf("/sys/class/net/%s", nic->name);
	CLEANUP_STRV struct strv entries = {0};

	sysroot_list(root, folder, &entries);
	for (size_t i = 0; i < entries.count && !nic->lower; i++)
		if (str_starts_with(entries.items[i], "lower_"))
			nic->lower = xstrdup(entries.items[i] + strlen("lower_"));
}

void discover_network(const char *root, struct machine *machine)
{
	CLEANUP_STRV struct strv names = {0};

	sysroot_list(root, "/sys/class/net", &names);
	for (size_t i = 0; i < names.count; i++) {
		const char *name = names.items[i];
		bool is_hardware = sysroot_has(root, "/sys/class/net/%s/device", name);
		CLEANUP_FREE char *kind = is_hardware ? NULL : find_kind(root, name);
		struct machine_nic *nic;

		if (!is_hardware && !kind)
			continue;
		nic = machine_add_nic(machine);
		nic->name = xstrdup(name);
		nic->kind = take_ptr(kind);
		nic->mac = find_mac(root, name, is_hardware);
		nic->driver = sysroot_link(root, "/sys/class/net/%s/device/driver", name);
		nic->master = sysroot_link(root, "/sys/class/net/%s/master", name);
		if (nic->kind && !strcmp(nic->kind, "vlan")) {
			find_vlan(root, nic);
			find_lower(root, nic);
		}
	}
}
