/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Interfaces keep their names; files that name a MAC address name the machine's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "boot-fix/network.h"
#include "tests/boot-fix/lib-server.h"

#define MAC_OLD "00:16:3e:00:00:99"
#define LINK(mac, name)                                                     \
	"# Written by p2v: the interface keeps its name on any hardware.\n" \
	"[Match]\nPermanentMACAddress=" mac "\n\n[Link]\nName=" name "\n"
#define RULE(mac, name)                                                               \
	"SUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", ATTR{address}==\"" mac \
	"\", ATTR{type}==\"1\", "                                                     \
	"NAME=\"" name "\"\n"

static const struct fix_case pins[] = {
	{
		.title = "a .link file with a new systemd",
		.fix = "network-pins",
		.before = TREE({"/usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so", ""},
			       {"/etc/network/interfaces", "iface enp3s0 inet static\n"}),
		.after = TREE({"/etc/systemd/network/10-p2v-enp3s0.link", LINK(MAC_A, "enp3s0")}),
	},
	{
		.title = "a rule with an old one",
		.fix = "network-pins",
		.before = TREE({"/lib/systemd/libsystemd-shared-241.so", ""}),
		.after = TREE({"/etc/udev/rules.d/70-p2v-net.rules",
			       "# Written by p2v: interfaces keep their names on any hardware.\n" RULE(
				       MAC_A, "enp3s0")}),
	},
	{
		.title = "tied by a rule already",
		.fix = "network-pins",
		.before = TREE(
			{"/usr/lib/systemd/libsystemd-shared-252-18.el9.so", ""},
			{"/etc/udev/rules.d/70-persistent-net.rules",
			 "SUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", "
			 "ATTR{address}==\"52:54:00:AA:00:01\", ATTR{dev_id}==\"0x0\", ATTR{type}==\"1\", "
			 "KERNEL==\"eth*\", NAME=\"enp3s0\"\n"}),
		.after = TREE(),
	},
	{
		.title = "tied by a rule for the old slot only",
		.fix = "network-pins",
		.before = TREE({"/usr/lib/systemd/libsystemd-shared-252.so", ""},
			       {"/etc/udev/rules.d/70-x.rules",
				"SUBSYSTEM==\"net\", KERNELS==\"0000:03:00.0\", "
				"ATTR{address}==\"" MAC_A "\", NAME=\"enp3s0\"\n"}),
		.after = TREE({"/etc/systemd/network/10-p2v-enp3s0.link", LINK(MAC_A, "enp3s0")}),
	},
	{
		.title = "tied by a .link file already",
		.fix = "network-pins",
		.before = TREE({"/usr/lib/systemd/libsystemd-shared-252.so", ""},
			       {"/etc/systemd/network/10-lan.link",
				"[Match]\nMACAddress=" MAC_A "\nType=ether\n\n[Link]\nName=enp3s0\n"}),
		.after = TREE(),
	},
	{
		.title = "a .link file for the old path does not tie",
		.fix = "network-pins",
		.before = TREE({"/usr/lib/systemd/libsystemd-shared-252.so", ""},
			       {"/etc/systemd/network/10-lan.link",
				"[Match]\nMACAddress=" MAC_A
				"\nPath=pci-0000:03:00.0\n\n[Link]\nName=enp3s0\n"}),
		.after = TREE({"/etc/systemd/network/10-p2v-enp3s0.link", LINK(MAC_A, "enp3s0")}),
	},
};

static const struct fix_case ties[] = {
	{
		.title = "rules for another card",
		.fix = "network-rules",
		.before = TREE({"/etc/udev/rules.d/70-persistent-net.rules",
				"# PCI device 0x14e4 (tg3)\n"
				"SUBSYSTEM==\"net\", ATTR{address}==\"" MAC_OLD "\", NAME=\"enp3s0\"\n"
				"SUBSYSTEM==\"net\", ATTR{address}==\"" MAC_OLD "\", NAME=\"eth7\"\n"
				"#SUBSYSTEM==\"net\", ATTR{address}==\"" MAC_OLD "\", NAME=\"enp3s0\"\n"},
			       {"/etc/udev/rules.d/60-disk.rules", "KERNEL==\"sd*\", NAME=\"enp3s0\"\n"}),
		.after = TREE({"/etc/udev/rules.d/70-persistent-net.rules",
			       "# PCI device 0x14e4 (tg3)\n"
			       "SUBSYSTEM==\"net\", ATTR{address}==\"" MAC_A "\", NAME=\"enp3s0\"\n"
			       "SUBSYSTEM==\"net\", ATTR{address}==\"" MAC_OLD "\", NAME=\"eth7\"\n"
			       "#SUBSYSTEM==\"net\", ATTR{address}==\"" MAC_OLD "\", NAME=\"enp3s0\"\n"}),
	},
	{
		.title = "files with another card's address",
		.fix = "network-ties",
		.before = TREE(
			{"/etc/sysconfig/network-scripts/ifcfg-enp3s0",
			 "HWADDR=\"" MAC_OLD "\"\nDEVICE=enp3s0\nUUID=1\n"},
			{"/etc/sysconfig/network-scripts/ifcfg-same",
			 "DEVICE=enp3s0\nHWADDR=52:54:00:AA:00:01\n"},
			{"/etc/NetworkManager/system-connections/a.nmconnection",
			 "[connection]\nid=a\ninterface-name=enp3s0\n[ethernet]\nmac-address=" MAC_OLD
			 "\ncloned-mac-address=" MAC_OLD "\n"},
			{"/etc/NetworkManager/system-connections/b",
			 "[connection]\nid=b\n[ethernet]\nmac-address=" MAC_OLD "\n[match]\ndriver=tg3\n"},
			{"/etc/systemd/network/20-a.network",
			 "[Match]\nName=enp3s0\nMACAddress=" MAC_OLD "\n[Link]\nMACAddress=" MAC_OLD "\n"},
			{"/etc/systemd/network/20-b.network", "[Match]\nPath=pci-0000:03:00.0\n"}),
		.after = TREE({"/etc/sysconfig/network-scripts/ifcfg-enp3s0",
			       "HWADDR=\"" MAC_A "\"\nDEVICE=enp3s0\nUUID=1\n"},
			      {"/etc/NetworkManager/system-connections/a.nmconnection",
			       "[connection]\nid=a\ninterface-name=enp3s0\n[ethernet]\nmac-address=" MAC_A
			       "\ncloned-mac-address=" MAC_OLD "\n"},
			      {"/etc/systemd/network/20-a.network", "[Match]\nName=enp3s0\nMACAddress=" MAC_A
								    "\n[Link]\nMACAddress=" MAC_OLD "\n"}),
		.findings = FINDINGS("!connections/b is for the MAC address", "!driver=tg3",
				     "!Path=pci-0000:03:00.0"),
	},
	{
		.title = "netplan",
		.fix = "network-netplan",
		.before = TREE({"/etc/netplan/01.yaml", "network:\n"
							"  version: 2\n"
							"  ethernets:\n"
							"    lan:\n"
							"      match:\n"
							"        macaddress: \"" MAC_OLD "\" # old\n"
							"      set-name: enp3s0\n"
							"    enp3s0:\n"
							"      macaddress: " MAC_OLD "\n"
							"      match:\n"
							"        macaddress: " MAC_OLD "\n"
							"      addresses: [192.0.2.7/24]\n"
							"    eth9:\n"
							"      match: {driver: tg3}\n"
							"    eth8:\n"
							"      match:\n"
							"        driver: tg3\n"
							"  bonds:\n"
							"    enp3s0:\n"
							"      match:\n"
							"        macaddress: " MAC_OLD "\n"}),
		.after = TREE({"/etc/netplan/01.yaml", "network:\n"
						       "  version: 2\n"
						       "  ethernets:\n"
						       "    lan:\n"
						       "      match:\n"
						       "        macaddress: \"" MAC_A "\" # old\n"
						       "      set-name: enp3s0\n"
						       "    enp3s0:\n"
						       "      macaddress: " MAC_OLD "\n"
						       "      match:\n"
						       "        macaddress: " MAC_A "\n"
						       "      addresses: [192.0.2.7/24]\n"
						       "    eth9:\n"
						       "      match: {driver: tg3}\n"
						       "    eth8:\n"
						       "      match:\n"
						       "        driver: tg3\n"
						       "  bonds:\n"
						       "    enp3s0:\n"
						       "      match:\n"
						       "        macaddress: " MAC_OLD "\n"}),
		.findings = FINDINGS("!asks for the driver tg3"),
	},
};

static void run_cases(const struct fix_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct server server;

		server_init(&server);
		fix_case_run(&server, &cases[i]);
	}
}

static void test_pins(void **state)
{
	(void)state;
	run_cases(pins, sizeof pins / sizeof *pins);
}

static void test_ties(void **state)
{
	(void)state;
	run_cases(ties, sizeof ties / sizeof *ties);
}

/* Several cards, one without a known name; an interface that gets no card; names of the kernel's own. */
static void test_several_cards(void **state)
{
	struct machine_nic nics[] = {{.name = "eth0", .mac = "52-54-00-AA-00-01"},
				     {.name = NULL, .mac = MAC_OLD},
				     {.name = "eth1", .mac = MAC_B},
				     {.name = "eth2", .mac = "not a MAC"}};
	struct server server;

	(void)state;
	server_init(&server);
	server.machine.nics = nics;
	server.machine.nic_count = 4;
	server.inspection.has_systemd = false;
	fix_case_run(&server,
		     &(struct fix_case){
			     "several cards", "network-pins",
			     TREE({"/usr/lib/systemd/libsystemd-shared-252.so", ""}),
			     TREE({"/etc/udev/rules.d/70-p2v-net.rules",
				   "# Written by p2v: interfaces keep their names on any "
				   "hardware.\n" RULE("52:54:00:aa:00:01", "eth0") RULE(MAC_B, "eth1")}),
			     FINDINGS(".3 interfaces have names that the kernel gives out",
				      "!/etc/network/interfaces configures enp3s0")});
}

static void test_rules(void **state)
{
	static const struct {
		const char *line;
		bool is_rule, is_bound;
	} lines[] = {
		{"SUBSYSTEM==\"net\", ATTR{address}==\"" MAC_A "\", NAME=\"x\"", true, false},
		{"SUBSYSTEM==\"net\",ATTRS{address}==\"" MAC_A "\",NAME:=\"x\"", true, false},
		{"\tATTR{address} == \"" MAC_A "\" , NAME = \"x\"\r", true, false},
		{"ATTR{address}==\"" MAC_A "\", DRIVERS==\"tg3\", NAME=\"x\"", true, true},
		{"ATTR{address}==\"" MAC_A "\", ENV{ID_PATH}==\"pci-0\", NAME=\"x\"", true, true},
		{"ATTR{address}!=\"" MAC_A "\", NAME=\"x\"", false, false},
		{"ATTR{address}==\"" MAC_A "\", NAME==\"x\"", false, false},
		{"ATTR{address}==\"52:54:*\", NAME=\"x\"", false, false},
		{"ATTR{address}==\"" MAC_A, false, false},
		{"# ATTR{address}==\"" MAC_A "\", NAME=\"x\"", false, false},
		{"", false, false},
		{"NAME=\"", false, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		CLEANUP_NET_RULE struct net_rule rule = {0};

		assert_int_equal(net_rule_parse(lines[i].line, &rule), lines[i].is_rule);
		assert_int_equal(rule.is_bound, lines[i].is_bound);
		if (lines[i].is_rule) {
			assert_string_equal(rule.name, "x");
			assert_int_equal(strncmp(lines[i].line + rule.mac_start, MAC_A, strlen(MAC_A)), 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pins),
		cmocka_unit_test(test_ties),
		cmocka_unit_test(test_several_cards),
		cmocka_unit_test(test_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
