/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Copies of configuration files inside an initramfs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "boot-fix/initramfs-overrides.h"
#include "tests/base/lib-must.h"
#include "tests/boot-fix/lib-server.h"

static const struct {
	const char *path, *before, *after; /* after NULL: kept; "-": dropped */
	bool is_needed;
} cases[] = {
	{"conf/conf.d/resume", "RESUME=/dev/sda2\n", "RESUME=UUID=" UUID_SWAP "\n", true},
	{"conf/conf.d/zz-resume-auto", "RESUME=/dev/sdz2\n", "RESUME=none\n", true},
	{"conf/conf.d/zz-resume-auto", "RESUME=UUID=" UUID_SWAP "\n", NULL, false},
	{"conf/conf.d/root", "ROOT=/dev/sda1\n", "ROOT=UUID=" UUID_ROOT "\n", true},
	{"conf/initramfs.conf", "MODULES=dep\nBUSYBOX=auto\n", NULL, false},
	{"cryptroot/crypttab", "x /dev/sda3 none luks\n", "x UUID=" UUID_LUKS " none luks\n", true},
	{"etc/cmdline.d/00.conf", " root=/dev/sda1 rd.lvm=0\n", " root=UUID=" UUID_ROOT " rd.lvm=0\n", true},
	{"etc/fstab", "/dev/sda1 / ext4\n", "UUID=" UUID_ROOT " / ext4\n", true},
	{"etc/modprobe.d/b.conf", "blacklist hv_vmbus\n",
	 "# p2v: the virtual machine needs this driver\n#blacklist hv_vmbus\n", true},
	{"etc/lvm/lvm.conf", "filter=[\"r|sd|\"]", "filter=[ \"a!^/dev/(vd|sd)[a-d][0-9]*$!\",\"r|sd|\"]",
	 true},
	{"etc/lvm/devices/system.devices", "VERSION=1\n", "-", true},
	{"etc/mdadm/mdadm.conf", "DEVICE /dev/sda1\n", "DEVICE partitions containers\n", true},
	{"lib/udev/rules.d/70-persistent-net.rules",
	 "SUBSYSTEM==\"net\", ATTR{address}==\"00:16:3e:00:00:99\", NAME=\"enp3s0\"\n",
	 "SUBSYSTEM==\"net\", ATTR{address}==\"" MAC_A "\", NAME=\"enp3s0\"\n", false},
	{"etc/lvm/backup/vg0", "device = \"/dev/sda1\"\n", NULL, false},
	{"scripts/local", "RESUME=/dev/sda2\n", NULL, false},
};

static void test_files(void **state)
{
	struct server server;

	(void)state;
	server_init(&server);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_INITRAMFS_OVERRIDE struct initramfs_override override = {0};
		const char *after = cases[i].after;

		boot_fix_initramfs_override(&server.context, cases[i].path, cases[i].before,
					    strlen(cases[i].before), &override);
		if (!after) {
			assert_int_equal(override.action, INITRAMFS_KEEP);
			continue;
		}
		assert_int_equal(override.action, after[0] == '-' ? INITRAMFS_DROP : INITRAMFS_REPLACE);
		assert_string_equal(override.path, cases[i].path);
		assert_int_equal(override.is_needed, cases[i].is_needed);
		if (override.action == INITRAMFS_REPLACE) {
			CLEANUP_INITRAMFS_OVERRIDE struct initramfs_override again = {0};

			assert_string_equal(override.data, after);
			assert_int_equal(override.bytes, strlen(after));
			boot_fix_initramfs_override(&server.context, cases[i].path, override.data,
						    override.bytes, &again);
			assert_int_equal(again.action, INITRAMFS_KEEP);
		}
	}
}

static void take(void *arg, struct initramfs_override *override)
{
	struct initramfs_override *taken = arg;

	assert_int_equal(taken->action, INITRAMFS_KEEP); /* only one comes */
	*taken = *override;
	*override = (struct initramfs_override){0};
}

/* The .link file that is only planned goes in; with several cards it has to. */
static void test_additions(void **state)
{
	static const struct tree_entry before[] = {
		{"/usr/lib/systemd/libsystemd-shared-252.so", ""},
		{"/etc/systemd/network/50-other.link", "[Match]\nOriginalName=x*\n"},
		{NULL},
	};
	CLEANUP_TREE struct tree *tree = tree_create(before);
	CLEANUP_PLAN struct plan *plan = plan_create(tree->guest);
	struct server server;

	(void)state;
	server_init(&server);
	must(find_fix("network-pins")->plan(&server.context, plan));
	for (size_t nics = 1; nics <= 2; nics++) {
		CLEANUP_INITRAMFS_OVERRIDE struct initramfs_override override = {0};

		server.machine.nic_count = nics;
		must(boot_fix_initramfs_additions(&server.context, plan, take, &override));
		assert_int_equal(override.action, INITRAMFS_ADD);
		assert_int_equal(override.is_needed, nics > 1);
		assert_string_equal(override.path, "etc/systemd/network/10-p2v-enp3s0.link");
		assert_non_null(strstr(override.data, "PermanentMACAddress=" MAC_A));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_additions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
