/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Inspection of servers laid out as folders: Debian, Red Hat old and new, SUSE. */
#include <dirent.h>
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/guest/inspect.h"
#include "tests/base/lib-must.h"
#include "tests/guest/lib-tree.h"

static const struct tree_entry debian[] = {
	{"/usr/lib/os-release",
	 "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n"},
	{"/etc/os-release", "->../usr/lib/os-release"},
	{"/lib", "->usr/lib"},
	{"/bin", "->usr/bin"},
	{"/sbin", "->usr/sbin"},
	{"/etc/hostname", "# who\nmail\n"},
	{"/usr/lib/systemd/systemd", ""},
	{"/usr/sbin/mkinitramfs", ""},
	{"/etc/fstab", "/dev/sda1 / ext4 errors=remount-ro 0 1\n/dev/sda5 none swap sw 0 0\n"},
	{"/boot/vmlinuz-6.1.0-9-amd64", ""},
	{"/boot/initrd.img-6.1.0-9-amd64", ""},
	{"/boot/vmlinuz-6.1.0-35-amd64", ""},
	{"/boot/initrd.img-6.1.0-35-amd64", ""},
	{"/boot/grub/grub.cfg", "linux /boot/vmlinuz-6.1.0-35-amd64 root=/dev/sda1 ro quiet\n"},
	{"/boot/grub/i386-pc/core.img", ""},
	{"/usr/lib/modules/6.1.0-9-amd64/modules.dep", ""},
	{"/usr/lib/modules/6.1.0-35-amd64/modules.dep", ""},
	{"/usr/lib/modules/5.10.0-8-amd64/modules.dep", ""}, /* its image is gone */
	{"/etc/network/interfaces", "auto lo\niface lo inet loopback\n\nsource interfaces.d/*\n"
				    "auto enp0s2\niface enp0s2 inet static\n"
				    "  address 192.0.2.7\n  netmask 255.255.255.0\n  gateway 192.0.2.1\n"
				    "iface enp0s2 inet6 static\n  address 2001:db8::7/64\n"},
	{"/etc/network/interfaces.d/more",
	 "iface enp0s2:1 inet static\n\taddress 192.0.2.8/24\n"
	 "iface br0 inet static\n\tbridge_ports eno2\n\taddress 10.0.0.1/8\n"
	 "iface eno3 inet dhcp\n  hwaddress ether 00:11:22:33:44:55\n"},
	{"/etc/udev/rules.d/70-persistent-net.rules",
	 "# eth0\nSUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", "
	 "ATTR{address}==\"52:54:00:AA:bb:01\", "
	 "ATTR{dev_id}==\"0x0\", KERNEL==\"eth*\", NAME=\"enp0s2\"\n"},
	{"/etc/systemd/system/multi-user.target.wants/smartmontools.service",
	 "->/lib/systemd/system/smartmontools.service"},
	{"/etc/systemd/system/multi-user.target.wants/mcelog.service",
	 "->/lib/systemd/system/mcelog.service"},
	{"/etc/systemd/system/mcelog.service", "->/dev/null"},
	{"/etc/rc3.d/S01dataeng", "->../init.d/dataeng"},
	{"/etc/rc3.d/K01watchdog", "->../init.d/watchdog"},
	{"/opt/MegaRAID/MegaCli/MegaCli64", ""},
	{NULL},
};

/* The start of a 64-bit or 32-bit little-endian program. */
static void add_program(struct tree *tree, const char *path, unsigned char class, unsigned char machine)
{
	unsigned char header[64] = {0x7f, 'E', 'L', 'F', class, ELFDATA2LSB, 1};

	header[16] = 2;
	header[18] = machine;
	tree_add_bytes(tree, path, header, sizeof header);
}

static const struct guest_interface *find_interface(const struct inspection *inspection, const char *name)
{
	for (size_t i = 0; i < inspection->interface_count; i++) {
		if (strcmp(inspection->interfaces[i].name, name) == 0)
			return &inspection->interfaces[i];
	}
	return NULL;
}

static const struct guest_leftover *find_leftover(const struct inspection *inspection, const char *name)
{
	for (size_t i = 0; i < inspection->leftover_count; i++) {
		if (strcmp(inspection->leftovers[i].name, name) == 0)
			return &inspection->leftovers[i];
	}
	return NULL;
}

static void expect_interface(const struct inspection *inspection, const char *name, const char *mac,
			     const char *addresses, bool is_physical)
{
	const struct guest_interface *interface = find_interface(inspection, name);
	CLEANUP_TEXT struct text text = {0};

	assert_non_null(interface);
	for (size_t i = 0; i < interface->addresses.count; i++)
		text_addf(&text, "%s%s", i ? " " : "", interface->addresses.items[i]);
	assert_string_equal(text.data ? text.data : "", addresses);
	if (mac)
		assert_string_equal(interface->mac, mac);
	else
		assert_null(interface->mac);
	assert_int_equal(interface->is_physical, is_physical);
	assert_non_null(interface->defined_in);
}

static void inspects_debian(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(debian);
	CLEANUP_INSPECTION struct inspection inspection = {0};

	(void)state;
	add_program(tree, "/usr/bin/sh", ELFCLASS64, EM_X86_64);
	must(inspect_guest(tree->guest, NULL, &inspection));
	assert_string_equal(inspection.os.id, "debian");
	assert_string_equal(inspection.os.version, "12");
	assert_string_equal(inspection.os.name, "Debian GNU/Linux 12 (bookworm)");
	assert_string_equal(inspection.os.arch, "x86_64");
	assert_string_equal(inspection.os.hostname, "mail");
	assert_true(inspection.has_systemd);
	assert_int_equal(inspection.initramfs_tool, INITRAMFS_TOOLS);
	assert_int_equal(inspection.boot.firmware, FIRMWARE_BIOS);
	assert_int_equal(inspection.boot.loader, BOOT_LOADER_GRUB2);
	assert_string_equal(inspection.boot.config, "/boot/grub/grub.cfg");
	assert_null(inspection.boot.esp_mount_point);

	assert_int_equal(inspection.kernel_count, 2);
	assert_string_equal(inspection.kernels[0].version, "6.1.0-35-amd64");
	assert_string_equal(inspection.kernels[0].image, "/boot/vmlinuz-6.1.0-35-amd64");
	assert_string_equal(inspection.kernels[0].initramfs, "/boot/initrd.img-6.1.0-35-amd64");
	assert_string_equal(inspection.kernels[0].modules_dir, "/usr/lib/modules/6.1.0-35-amd64");
	assert_string_equal(inspection.kernels[1].version, "6.1.0-9-amd64");

	assert_int_equal(inspection.interface_count, 4);
	expect_interface(&inspection, "lo", NULL, "", false);
	expect_interface(&inspection, "enp0s2", "52:54:00:aa:bb:01",
			 "192.0.2.8/24 192.0.2.7/24 2001:db8::7/64", true);
	expect_interface(&inspection, "br0", NULL, "10.0.0.1/8", false);
	expect_interface(&inspection, "eno3", "00:11:22:33:44:55", "", true);

	assert_int_equal(inspection.leftover_count, 3);
	assert_string_equal(find_leftover(&inspection, "smartmontools")->unit, "smartmontools.service");
	assert_string_equal(find_leftover(&inspection, "Dell OpenManage")->unit, "dataeng.service");
	assert_null(find_leftover(&inspection, "MegaCLI")->unit);
}

static void inspects_red_hat(void **state)
{
	static const struct tree_entry entries[] = {
		{"/etc/os-release",
		 "ID=\"rhel\"\nVERSION_ID=\"9.4\"\nPRETTY_NAME='Red Hat Enterprise Linux 9.4'\n"},
		{"/usr/bin/dracut", ""},
		{"/usr/lib/systemd/systemd", ""},
		{"/etc/fstab", "UUID=7B77-95E7 /boot/efi vfat umask=0077 0 2\n"},
		{"/boot/efi/EFI/BOOT/BOOTX64.EFI", ""},
		{"/boot/efi/EFI/redhat/shimx64.efi", ""},
		{"/boot/efi/EFI/redhat/grub.cfg", "search --fs-uuid x\nconfigfile $prefix/grub.cfg\n"},
		{"/boot/grub2/grub.cfg", "blscfg\n"},
		{"/boot/vmlinuz-5.14.0-427.el9.x86_64", ""},
		{"/boot/initramfs-5.14.0-427.el9.x86_64.img", ""},
		{"/boot/vmlinuz-0-rescue-0123456789abcdef", ""},
		{"/lib/modules/5.14.0-427.el9.x86_64/modules.dep", ""},
		{"/etc/NetworkManager/system-connections/eno1.nmconnection",
		 "[connection]\nid=eno1\ntype=ethernet\ninterface-name=eno1\n\n[ethernet]\n"
		 "mac-address=3C:EC:EF:00:00:01\n\n[ipv4]\naddress1=198.51.100.4/"
		 "26,198.51.100.1\nmethod=manual\n"
		 "[ipv6]\naddr-gen-mode=eui64\nmethod=auto\n"},
		{"/etc/NetworkManager/system-connections/old",
		 "[connection]\ntype=802-3-ethernet\ninterface-name=eno2\n[802-3-ethernet]\n"
		 "[ipv4]\naddresses=198.51.100.5/26,198.51.100.1;198.51.100.6/26;\n"},
		{"/etc/NetworkManager/system-connections/bond.nmconnection",
		 "[connection]\ntype=bond\ninterface-name=storage\n"},
		{"/etc/systemd/system/multi-user.target.wants/smartd.service",
		 "->/usr/lib/systemd/system/smartd.service"},
		{NULL},
	};
	CLEANUP_TREE struct tree *tree = tree_create(entries);
	CLEANUP_INSPECTION struct inspection inspection = {0};

	(void)state;
	add_program(tree, "/bin/sh", ELFCLASS64, EM_AARCH64);
	must(inspect_guest(tree->guest, NULL, &inspection));
	assert_string_equal(inspection.os.id, "rhel");
	assert_string_equal(inspection.os.arch, "aarch64");
	assert_int_equal(inspection.initramfs_tool, INITRAMFS_DRACUT);
	assert_int_equal(inspection.boot.firmware, FIRMWARE_UEFI);
	assert_string_equal(inspection.boot.config, "/boot/grub2/grub.cfg");
	assert_string_equal(inspection.boot.esp_mount_point, "/boot/efi");
	assert_true(inspection.boot.has_fallback_loader);
	assert_int_equal(inspection.kernel_count, 1);
	assert_string_equal(inspection.kernels[0].initramfs, "/boot/initramfs-5.14.0-427.el9.x86_64.img");
	assert_int_equal(inspection.interface_count, 3);
	expect_interface(&inspection, "eno1", "3c:ec:ef:00:00:01", "198.51.100.4/26", true);
	expect_interface(&inspection, "eno2", NULL, "198.51.100.5/26 198.51.100.6/26", true);
	expect_interface(&inspection, "storage", NULL, "", false);
	assert_string_equal(find_leftover(&inspection, "smartmontools")->unit, "smartd.service");
}

static void inspects_old_and_other_systems(void **state)
{
	static const struct tree_entry centos6[] = {
		{"/etc/redhat-release", "CentOS release 6.10 (Final)\n"},
		{"/etc/sysconfig/network", "NETWORKING=yes\nHOSTNAME=db.example.org\n"},
		{"/sbin/dracut", ""},
		{"/boot/grub/grub.conf", "kernel /vmlinuz root=/dev/mapper/vg-root\n"},
		{"/etc/sysconfig/network-scripts/ifcfg-lo",
		 "DEVICE=lo\nIPADDR=127.0.0.1\nNETMASK=255.0.0.0\n"},
		{"/etc/sysconfig/network-scripts/ifcfg-eth0",
		 "DEVICE=\"eth0\"\nHWADDR=00:1B:21:00:00:02\nBOOTPROTO=none\nIPADDR=10.1.2.3\nPREFIX=16\n"
		 "IPADDR2=10.1.2.4\nNETMASK2=255.255.0.0\n"},
		{"/etc/sysconfig/network-scripts/ifcfg-eth0.bak", "DEVICE=eth9\n"},
		{"/etc/sysconfig/network-scripts/ifcfg-eth1", "DEVICE=eth1\nMASTER=bond0\nSLAVE=yes\n"},
		{"/etc/sysconfig/network-scripts/ifcfg-storage",
		 "DEVICE=storage\nTYPE=Bond\nBONDING_OPTS=x\n"},
		{NULL},
	};
	static const struct tree_entry sles[] = {
		{"/etc/os-release", "ID=\"sles\"\nVERSION_ID=\"15.5\"\n"},
		{"/etc/HOSTNAME", "suse\n"},
		{"/etc/sysconfig/network/ifcfg-eth0",
		 "BOOTPROTO='static'\nIPADDR='192.0.2.9/24'\nSTARTMODE='auto'\n"},
		{"/etc/sysconfig/network/ifcfg-join", "BONDING_MASTER='yes'\n"},
		{"/etc/sysconfig/network/ifcfg.template", "IPADDR=1.2.3.4\n"},
		{"/boot/grub2/grub.cfg", ""},
		{"/boot/vmlinuz-5.14.21-150500.53-default", ""},
		{"/boot/initrd-5.14.21-150500.53-default", ""},
		{"/lib/modules/5.14.21-150500.53-default/modules.dep", ""},
		{NULL},
	};
	CLEANUP_TREE struct tree *a = tree_create(centos6);
	CLEANUP_TREE struct tree *b = tree_create(sles);
	CLEANUP_INSPECTION struct inspection inspection = {0};
	CLEANUP_INSPECTION struct inspection suse = {0};

	(void)state;
	add_program(a, "/bin/sh", ELFCLASS32, EM_386);
	must(inspect_guest(a->guest, NULL, &inspection));
	assert_string_equal(inspection.os.id, "centos");
	assert_string_equal(inspection.os.version, "6.10");
	assert_string_equal(inspection.os.arch, "i686");
	assert_string_equal(inspection.os.hostname, "db.example.org");
	assert_false(inspection.has_systemd);
	assert_int_equal(inspection.boot.loader, BOOT_LOADER_GRUB_LEGACY);
	assert_int_equal(inspection.boot.firmware, FIRMWARE_BIOS);
	assert_int_equal(inspection.interface_count, 4);
	expect_interface(&inspection, "eth0", "00:1b:21:00:00:02", "10.1.2.3/16 10.1.2.4/16", true);
	expect_interface(&inspection, "eth1", NULL, "", true);
	expect_interface(&inspection, "storage", NULL, "", false);

	must(inspect_guest(b->guest, NULL, &suse));
	assert_string_equal(suse.os.hostname, "suse");
	assert_int_equal(suse.interface_count, 2);
	expect_interface(&suse, "eth0", NULL, "192.0.2.9/24", true);
	expect_interface(&suse, "join", NULL, "", false);
	assert_string_equal(suse.kernels[0].initramfs, "/boot/initrd-5.14.21-150500.53-default");
}

static void reads_netplan_and_networkd(void **state)
{
	static const struct tree_entry entries[] = {
		{"/etc/netplan/01.yaml",
		 "network:\n  version: 2\n  ethernets:\n    eno1:\n      addresses:\n        - 192.0.2.1/24\n"
		 "        - 2001:db8::1/64: {label: x}\n"
		 "    any:\n      match: {macaddress: '52:54:00:00:00:02'}\n      set-name: lan0\n"
		 "    pattern:\n      match:\n        name: en*\n      dhcp4: true\n"
		 "  vlans:\n    eno1.7:\n      id: 7\n      link: eno1\n      addresses: [10.7.0.1/16]\n"},
		{"/etc/netplan/02.yaml", "network: [not: {closed\n"},
		{"/etc/systemd/network/10-lan.network", "[Match]\nName=enp3s0\n\n[Network]\nAddress=203.0."
							"113.5/25\n[Address]\nAddress=203.0.113.6/25\n"},
		{"/etc/systemd/network/20-all.network", "[Match]\nName=en* eth*\n[Network]\nDHCP=yes\n"},
		{"/etc/systemd/network/30-br.netdev", "[NetDev]\nName=lan\nKind=bridge\n"},
		{"/etc/systemd/network/10-x.link",
		 "[Match]\nMACAddress=52-54-00-00-00-03\n[Link]\nName=enp3s0\n"},
		{NULL},
	};
	CLEANUP_TREE struct tree *tree = tree_create(entries);
	CLEANUP_INSPECTION struct inspection inspection = {0};

	(void)state;
	must(inspect_guest(tree->guest, NULL, &inspection));
	assert_int_equal(inspection.interface_count, 5);
	expect_interface(&inspection, "eno1", NULL, "192.0.2.1/24 2001:db8::1/64", true);
	expect_interface(&inspection, "lan0", "52:54:00:00:00:02", "", true);
	expect_interface(&inspection, "eno1.7", NULL, "10.7.0.1/16", false);
	expect_interface(&inspection, "enp3s0", "52:54:00:00:00:03", "203.0.113.5/25 203.0.113.6/25", true);
	expect_interface(&inspection, "lan", NULL, "", false);
}

static void finds_other_loaders(void **state)
{
	static const struct {
		struct tree_entry entries[4];
		enum firmware firmware;
		enum boot_loader loader;
	} cases[] = {
		{{{NULL}}, FIRMWARE_UNKNOWN, BOOT_LOADER_NONE},
		{{{"/efi/EFI/systemd/systemd-bootx64.efi", ""}, {"/efi/loader/loader.conf", ""}},
		 FIRMWARE_UEFI,
		 BOOT_LOADER_SYSTEMD_BOOT},
		{{{"/boot/extlinux/extlinux.conf", ""}}, FIRMWARE_BIOS, BOOT_LOADER_EXTLINUX},
		{{{"/boot/efi/EFI/centos/grub.cfg", "menuentry 'x' {\n"},
		  {"/boot/efi/EFI/centos/grubx64.efi", ""},
		  {"/boot/grub2/grub.cfg", ""}},
		 FIRMWARE_UEFI,
		 BOOT_LOADER_GRUB2},
		/* An EFI system partition that is empty, or holds no loader. */
		{{{"/boot/efi/EFI/", NULL}, {"/boot/grub/grub.cfg", ""}}, FIRMWARE_BIOS, BOOT_LOADER_GRUB2},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_TREE struct tree *tree = tree_create(cases[i].entries);
		CLEANUP_INSPECTION struct inspection inspection = {0};

		must(inspect_guest(tree->guest, NULL, &inspection));
		assert_int_equal(inspection.boot.firmware, cases[i].firmware);
		assert_int_equal(inspection.boot.loader, cases[i].loader);
		if (i == 3)
			assert_string_equal(inspection.boot.config, "/boot/efi/EFI/centos/grub.cfg");
	}
}

/* Real ifcfg files and udev rules: read without complaint, and known ones as they are. */
static void reads_real_files(void **state)
{
	static const char *const topics[] = {"ifcfg", "udev_rules"};
	CLEANUP_FREE char *corpus = corpus_path("linux-config/insights/ifcfg");
	CLEANUP_TREE struct tree *tree = tree_create(NULL);
	CLEANUP_INSPECTION struct inspection inspection = {0};

	(void)state;
	if (!corpus) {
		print_message("no corpora here: skipped\n");
		skip();
	}
	for (size_t i = 0; i < sizeof topics / sizeof *topics; i++) {
		CLEANUP_FREE char *name = xasprintf("linux-config/insights/%s", topics[i]);
		CLEANUP_FREE char *dir = corpus_path(name);
		DIR *entries = opendir(dir);

		assert_non_null(entries);
		for (const struct dirent *entry; (entry = readdir(entries));) {
			CLEANUP_FREE char *path = xasprintf("%s/%s", dir, entry->d_name);
			CLEANUP_FREE char *guest_path =
				i == 0 ? xasprintf("/etc/sysconfig/network-scripts/ifcfg-%s", entry->d_name)
				       : xasprintf("/etc/udev/rules.d/%s.rules", entry->d_name);
			CLEANUP_FREE char *data = NULL;
			size_t bytes;

			if (entry->d_name[0] == '.')
				continue;
			data = read_host(path, &bytes);
			tree_add_bytes(tree, guest_path, data, bytes);
		}
		closedir(entries);
	}
	must(inspect_guest(tree->guest, NULL, &inspection));
	expect_interface(&inspection, "bond0", NULL, "10.11.96.172/22", false);
	expect_interface(&inspection, "eth2", NULL, "10.11.96.172/22", true);
	expect_interface(&inspection, "team1", NULL, "192.168.0.1/22", false);
	assert_string_equal(find_interface(&inspection, "IFCFG_TEST_2_L39.txt")->mac, "00:50:56:89:0b:b0");
	assert_null(find_interface(&inspection, "=eno2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inspects_debian),
		cmocka_unit_test(inspects_red_hat),
		cmocka_unit_test(inspects_old_and_other_systems),
		cmocka_unit_test(reads_netplan_and_networkd),
		cmocka_unit_test(finds_other_loaders),
		cmocka_unit_test(reads_real_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
