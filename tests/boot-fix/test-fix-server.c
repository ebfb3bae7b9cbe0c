/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whole servers: files as they lie on a disk, inspected as a conversion does it,
 * and all fixes together.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/boot-fix/lib-server.h"

#define LIB_VERSION "/usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-252.so"
#define RELEASE "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n"

/* BIOS, everything by kernel names, ifupdown. */
static const struct tree_entry bios_server[] = {
	{"/etc/os-release", RELEASE},
	{"/etc/debian_version", "12.0\n"},
	{LIB_VERSION, ""},
	{"/usr/lib/systemd/systemd", "\x7f"
				     "ELF"},
	{"/etc/fstab", "/dev/sda1 / ext4 errors=remount-ro 0 1\n/dev/sda2 none swap sw 0 0\n"},
	{"/etc/network/interfaces", "auto enp0s25\niface enp0s25 inet static\n\taddress 192.0.2.10/24\n"},
	{"/etc/initramfs-tools/conf.d/resume", "RESUME=/dev/sda2\n"},
	{"/etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet resume=/dev/sda2\"\n"
			      "GRUB_CMDLINE_LINUX=\"console=tty0 console=ttyS1,115200n8\"\n"
			      "GRUB_DISABLE_LINUX_UUID=true\n"},
	{"/boot/grub/grub.cfg",
	 "\tlinux\t/boot/vmlinuz-6.1.0-35-amd64 root=/dev/sda1 ro console=tty0 console=ttyS1,115200n8 quiet "
	 "resume=/dev/sda2\n\tinitrd\t/boot/initrd.img-6.1.0-35-amd64\n"},
	{"/boot/grub/device.map", "(hd0)\t/dev/sda\n"},
	{"/boot/vmlinuz-6.1.0-35-amd64", "kernel"},
	{"/boot/initrd.img-6.1.0-35-amd64", "initramfs"},
	{"/lib/modules/6.1.0-35-amd64/modules.dep", ""},
	{NULL},
};

static const struct tree_entry bios_after[] = {
	{"/etc/fstab",
	 "UUID=" UUID_ROOT " / ext4 errors=remount-ro 0 1\nUUID=" UUID_SWAP " none swap sw 0 0\n"},
	{"/etc/systemd/network/10-p2v-enp0s25.link",
	 "# Written by p2v: the interface keeps its name on any hardware.\n"
	 "[Match]\nPermanentMACAddress=" MAC_A "\n\n[Link]\nName=enp0s25\n"},
	{"/etc/initramfs-tools/conf.d/resume", "RESUME=UUID=" UUID_SWAP "\n"},
	{"/etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet resume=UUID=" UUID_SWAP "\"\n"
			      "GRUB_CMDLINE_LINUX=\"console=tty0 console=ttyS0,115200n8\"\n"
			      "# p2v: device names change with the hardware, UUIDs do not\n"
			      "#GRUB_DISABLE_LINUX_UUID=true\n"},
	{"/boot/grub/grub.cfg", "\tlinux\t/boot/vmlinuz-6.1.0-35-amd64 root=UUID=" UUID_ROOT
				" ro console=tty0 console=ttyS0,115200n8 quiet resume=UUID=" UUID_SWAP
				"\n\tinitrd\t/boot/initrd.img-6.1.0-35-amd64\n"},
	{"/boot/grub/device.map", NULL},
	{NULL},
};

/* UEFI with shim, root on LVM with a devices file. */
static const struct tree_entry uefi_server[] = {
	{"/etc/os-release", RELEASE},
	{"/etc/debian_version", "12.0\n"},
	{LIB_VERSION, ""},
	{"/usr/lib/systemd/systemd", "\x7f"
				     "ELF"},
	{"/etc/fstab", "/dev/mapper/vg0-root / xfs defaults 0 0\n"
		       "UUID=" UUID_ROOT " /boot ext4 defaults 0 2\n"
		       "UUID=ABCD-1234 /boot/efi vfat umask=0077 0 1\n"},
	{"/etc/systemd/network/10-enp1s0.network",
	 "[Match]\nName=enp1s0\n[Network]\nAddress=192.0.2.11/24\n"},
	{"/etc/lvm/devices/system.devices", "VERSION=1.1.1\n"},
	{"/etc/lvm/lvm.conf", "devices {\n\tuse_devicesfile = 1\n}\n"},
	{"/etc/default/grub", "GRUB_CMDLINE_LINUX=\"\"\n"},
	{"/boot/efi/EFI/debian/shimx64.efi", "shim"},
	{"/boot/efi/EFI/debian/grubx64.efi", "grub"},
	{"/boot/efi/EFI/debian/mmx64.efi", "mok"},
	{"/boot/efi/EFI/debian/fbx64.efi", "fallback"},
	{"/boot/efi/EFI/debian/grub.cfg", "search.fs_uuid " UUID_ROOT " root hd0,gpt2\n"},
	{"/boot/grub/grub.cfg", "linux /vmlinuz-6.1.0-35-amd64 root=/dev/mapper/vg0-root ro quiet\n"
				"initrd /initrd.img-6.1.0-35-amd64\n"},
	{NULL},
};

static const struct tree_entry uefi_after[] = {
	{"/etc/systemd/network/10-p2v-enp1s0.link",
	 "# Written by p2v: the interface keeps its name on any hardware.\n"
	 "[Match]\nPermanentMACAddress=" MAC_A "\n\n[Link]\nName=enp1s0\n"},
	{"/etc/lvm/devices/system.devices", NULL},
	{"/etc/lvm/devices/system.devices.p2v-old", "VERSION=1.1.1\n"},
	{"/boot/efi/EFI/BOOT/BOOTX64.EFI", "shim"},
	{"/boot/efi/EFI/BOOT/grubx64.efi", "grub"},
	{"/boot/efi/EFI/BOOT/mmx64.efi", "mok"},
	{NULL},
};

static void add_volume(struct inspection *inspection, const struct guest_volume *like)
{
	inspection->volumes =
		xreallocarray(inspection->volumes, inspection->volume_count + 1, sizeof *inspection->volumes);
	inspection->volumes[inspection->volume_count++] = (struct guest_volume){
		.device = xstrdup(like->device),
		.disk = like->disk,
		.partition = like->partition,
		.content = xstrdup(like->content),
		.uuid = xstrdup(like->uuid),
		.is_logical_volume = like->is_logical_volume,
	};
}

static void run_server(const struct tree_entry *before, const struct tree_entry *after,
		       const struct guest_volume *volumes, size_t count, const char *interface,
		       const char *const *findings)
{
	CLEANUP_TREE struct tree *tree = tree_create(before);
	CLEANUP_INSPECTION struct inspection inspection = {0};
	struct server server;

	for (size_t i = 0; i < count; i++)
		add_volume(&inspection, &volumes[i]);
	must(inspect_guest(tree->guest, NULL, &inspection));
	server_init(&server);
	server.context.inspection = &inspection;
	server.nics[0].name = (char *)interface;
	server.machine.disk_count = 1;
	fix_case_run(&server, &(struct fix_case){interface, NULL, before, after, findings});
}

static void test_bios(void **state)
{
	static const struct guest_volume volumes[] = {
		{.device = "/dev/sda1", .partition = 1, .content = "ext4", .uuid = UUID_ROOT},
		{.device = "/dev/sda2", .partition = 2, .content = "swap", .uuid = UUID_SWAP},
	};

	(void)state;
	run_server(bios_server, bios_after, volumes, 2, "enp0s25", NULL);
}

static void test_uefi(void **state)
{
	static const struct guest_volume volumes[] = {
		{.device = "/dev/vg0/root", .content = "xfs", .uuid = UUID_DATA, .is_logical_volume = true},
		{.device = "/dev/sda1", .partition = 1, .content = "vfat", .uuid = "ABCD-1234"},
		{.device = "/dev/sda2", .partition = 2, .content = "ext4", .uuid = UUID_ROOT},
		{.device = "/dev/sda3", .partition = 3, .content = "LVM2_member", .uuid = UUID_PV},
	};
	static const char *const findings[] = {".devices file was put aside", NULL};

	(void)state;
	run_server(uefi_server, uefi_after, volumes, 4, "enp1s0", findings);
}

/* Every row of the table is whole, and no name comes twice. */
static void test_table(void **state)
{
	(void)state;
	for (const struct fix *const *fix = boot_fixes; *fix; fix++) {
		assert_true(str_starts_with((*fix)->name, "boot-fix/"));
		assert_non_null((*fix)->summary);
		assert_non_null((*fix)->applies);
		assert_non_null((*fix)->plan);
		for (const struct fix *const *other = boot_fixes; other < fix; other++)
			assert_string_not_equal((*fix)->name, (*other)->name);
	}
}

/* An empty machine and an empty guest. */
static void test_nothing(void **state)
{
	static const struct tree_entry nothing[] = {{"/etc/", NULL}, {NULL}};
	static const struct tree_entry same[] = {{NULL}};
	struct server server;

	(void)state;
	server_init(&server);
	server.inspection = (struct inspection){0};
	server.machine = (struct machine){0};
	server.context.targets = 0;
	fix_case_run(&server, &(struct fix_case){"nothing", NULL, nothing, same, NULL});
}

/* Held back where systemd can do it; what may be of use, and what runs nothing, is only told. */
static void test_leftovers(void **state)
{
	static const struct tree_entry before[] = {{"/etc/", NULL}, {NULL}};
	static const struct tree_entry held_back[] = {
		{"/etc/systemd/system/smartd.service.d/50-p2v.conf",
		 "# Written by p2v: smartmontools watches disks.\n"
		 "# Without this file it starts in virtual machines as well.\n"
		 "[Unit]\nConditionVirtualization=no\n"},
		{NULL},
	};
	static const struct tree_entry same[] = {{NULL}};
	static const char *const findings[] = {".smartmontools (smartd.service) will not start",
					       ".mcelog is installed: it reads",
					       ".multipath (multipathd.service) is enabled", NULL};
	static const char *const without_systemd[] = {".smartmontools (smartd.service) is enabled",
						      ".mcelog is installed: it reads",
						      ".multipath (multipathd.service) is enabled", NULL};
	struct server server;

	(void)state;
	server_init(&server);
	server.leftovers[0] = (struct guest_leftover){"smartmontools", "smartd.service", "watches disks"};
	server.leftovers[1] = (struct guest_leftover){"mcelog", NULL, "reads machine checks"};
	server.leftovers[2] = (struct guest_leftover){"multipath", "multipathd.service", "joins paths"};
	server.inspection.leftover_count = 3;
	fix_case_run(&server, &(struct fix_case){"systemd", "leftovers", before, held_back, findings});
	server.inspection.has_systemd = false;
	fix_case_run(&server, &(struct fix_case){"no systemd", "leftovers", before, same, without_systemd});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bios),	  cmocka_unit_test(test_uefi),
		cmocka_unit_test(test_table),	  cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_leftovers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
