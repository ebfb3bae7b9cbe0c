/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Kernel command lines in every boot loader's files, GRUB's settings, consoles, blacklists. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/base/lib-must.h"
#include "tests/boot-fix/lib-server.h"

static const struct fix_case names[] = {
	{
		.title = "grub.cfg as update-grub writes it",
		.fix = "kernel-names",
		.before = TREE({"/boot/grub/grub.cfg",
				"set default=\"0\"\n"
				"menuentry 'Debian, with /dev/sda1' --class debian {\n"
				"\tset root='hd0,msdos1'\n"
				"\tsearch --no-floppy --fs-uuid --set=root --hint-bios=hd0,msdos1 " UUID_ROOT
				"\n"
				"\techo\t'Loading Linux from /dev/sda1 ...'\n"
				"\tlinux\t/boot/vmlinuz-6.1.0-35-amd64 root=/dev/sda1 ro  quiet "
				"resume=/dev/sda2 net.ifnames=0\n"
				"\tinitrd\t/boot/initrd.img-6.1.0-35-amd64\n"
				"}\n"
				"menuentry 'own kernel' {\n"
				"\tlinux /boot/vmlinuz-custom root=/dev/sda1 ro\n"
				"}\n"
				"menuentry 'other' {\n"
				"\tlinux /vmlinuz root=/dev/sdz7\n"
				"\tinitrd /initrd.img\n"
				"}\n"
				"menuentry 'xen' {\n"
				"\tmultiboot /boot/xen.gz placeholder dom0_mem=1G\n"
				"\tmodule /boot/vmlinuz placeholder root=/dev/sda1 ro\n"
				"\tmodule --nounzip /boot/initrd.img\n"
				"}\n"}),
		.after = TREE({"/boot/grub/grub.cfg",
			       "set default=\"0\"\n"
			       "menuentry 'Debian, with /dev/sda1' --class debian {\n"
			       "\tset root='hd0,msdos1'\n"
			       "\tsearch --no-floppy --fs-uuid --set=root --hint-bios=hd0,msdos1 " UUID_ROOT
			       "\n"
			       "\techo\t'Loading Linux from /dev/sda1 ...'\n"
			       "\tlinux\t/boot/vmlinuz-6.1.0-35-amd64 root=UUID=" UUID_ROOT
			       " ro  quiet resume=UUID=" UUID_SWAP " net.ifnames=0\n"
			       "\tinitrd\t/boot/initrd.img-6.1.0-35-amd64\n"
			       "}\n"
			       "menuentry 'own kernel' {\n"
			       "\tlinux /boot/vmlinuz-custom root=PARTUUID=c0ffee01-01 ro\n"
			       "}\n"
			       "menuentry 'other' {\n"
			       "\tlinux /vmlinuz root=/dev/sdz7\n"
			       "\tinitrd /initrd.img\n"
			       "}\n"
			       "menuentry 'xen' {\n"
			       "\tmultiboot /boot/xen.gz placeholder dom0_mem=1G\n"
			       "\tmodule /boot/vmlinuz placeholder root=UUID=" UUID_ROOT " ro\n"
			       "\tmodule --nounzip /boot/initrd.img\n"
			       "}\n"}),
		.findings = FINDINGS("!grub.cfg names /dev/sdz7"),
	},
	{
		.title = "a resume device that is gone",
		.fix = "kernel-names",
		.before = TREE({"/boot/grub/grub.cfg",
				"linux /v root=/dev/mapper/vg0-root resume=/dev/sdz2 quiet\n"
				"initrd /i\n"},
			       {"/etc/kernel/cmdline", "resume=/dev/sdz2 root=/dev/sda1 quiet\n"}),
		.after =
			TREE({"/boot/grub/grub.cfg", "linux /v root=/dev/mapper/vg0-root quiet\ninitrd /i\n"},
			     {"/etc/kernel/cmdline", "root=UUID=" UUID_ROOT " quiet\n"}),
	},
	{
		.title = "settings of update-grub, all ways of quoting",
		.fix = "kernel-names",
		.before = TREE({"/etc/default/grub",
				"# GRUB_CMDLINE_LINUX=\"root=/dev/sda1\"\n"
				"GRUB_DEFAULT=0\n"
				"GRUB_CMDLINE_LINUX=\"root=/dev/sda1 dyndbg=\\\"file a.c +p\\\"\"\n"
				"export GRUB_CMDLINE_LINUX_DEFAULT='quiet resume=/dev/sda2'\n"
				"GRUB_CMDLINE_LINUX_RECOVERY=root=/dev/sda1\n"
				"GRUB_CMDLINE_XEN=\"root=/dev/sda1\"\n"},
			       {"/etc/default/grub.d/local.cfg",
				"GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX root='/dev/sda1'\"\n"},
			       {"/etc/grub.d/40_custom",
				"#!/bin/sh\nexec tail -n +3 $0\n"
				"menuentry x {\n linux /v root=/dev/sda1\n initrd /i\n}\n"},
			       {"/etc/grub.d/10_linux",
				"linux\t${rel_dirname}/${basename} root=${root} ro ${args}\n"}),
		.after = TREE({"/etc/default/grub",
			       "# GRUB_CMDLINE_LINUX=\"root=/dev/sda1\"\n"
			       "GRUB_DEFAULT=0\n"
			       "GRUB_CMDLINE_LINUX=\"root=UUID=" UUID_ROOT " dyndbg=\\\"file a.c +p\\\"\"\n"
			       "export GRUB_CMDLINE_LINUX_DEFAULT='quiet resume=UUID=" UUID_SWAP "'\n"
			       "GRUB_CMDLINE_LINUX_RECOVERY=root=UUID=" UUID_ROOT "\n"
			       "GRUB_CMDLINE_XEN=\"root=/dev/sda1\"\n"},
			      {"/etc/default/grub.d/local.cfg",
			       "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX root='UUID=" UUID_ROOT "'\"\n"},
			      {"/etc/grub.d/40_custom",
			       "#!/bin/sh\nexec tail -n +3 $0\n"
			       "menuentry x {\n linux /v root=UUID=" UUID_ROOT "\n initrd /i\n}\n"}),
	},
	{
		.title = "boot loader entries, of GRUB and of systemd-boot",
		.fix = "kernel-names",
		.before = TREE({"/boot/loader/entries/a.conf", "title A\nlinux /vmlinuz\ninitrd /initrd\n"
							       "options root=/dev/sda1 ro\r\n"},
			       {"/esp/loader/entries/b.conf",
				"options\troot=/dev/sda1 cryptopts=target=x,source=/dev/"
				"sda3,luks\n"},
			       {"/esp/EFI/debian/grub.cfg", "search.fs_uuid " UUID_ROOT " root\n"
							    "set kernelopts=\"root=/dev/sda1 ro \"\n"}),
		.after = TREE({"/boot/loader/entries/a.conf", "title A\nlinux /vmlinuz\ninitrd /initrd\n"
							      "options root=UUID=" UUID_ROOT " ro\r\n"},
			      {"/esp/loader/entries/b.conf",
			       "options\troot=UUID=" UUID_ROOT
			       " cryptopts=target=x,source=/dev/disk/by-uuid/" UUID_LUKS ",luks\n"},
			      {"/esp/EFI/debian/grub.cfg",
			       "search.fs_uuid " UUID_ROOT " root\n"
			       "set kernelopts=\"root=UUID=" UUID_ROOT " ro \"\n"}),
	},
	{
		.title = "GRUB legacy with Debian's settings in comments",
		.fix = "kernel-names",
		.before = TREE({"/boot/grub/menu.lst",
				"default 0\n"
				"# kopt=root=/dev/sda1 ro\n"
				"## kopt=root=/dev/sda1 is an example\n"
				"# groot=(hd0,0)\n"
				"# defoptions=quiet resume=/dev/sda2\n"
				"title Debian\n"
				"root (hd0,0)\n"
				"kernel --no-mem-option /boot/vmlinuz root=/dev/sda1 ro\n"
				"initrd /boot/initrd.img\n"
				"title bare\n"
				"kernel /boot/vmlinuz root=/dev/sda1 ro\n"}),
		.after = TREE({"/boot/grub/menu.lst",
			       "default 0\n"
			       "# kopt=root=UUID=" UUID_ROOT " ro\n"
			       "## kopt=root=/dev/sda1 is an example\n"
			       "# groot=(hd0,0)\n"
			       "# defoptions=quiet resume=UUID=" UUID_SWAP "\n"
			       "title Debian\n"
			       "root (hd0,0)\n"
			       "kernel --no-mem-option /boot/vmlinuz root=UUID=" UUID_ROOT " ro\n"
			       "initrd /boot/initrd.img\n"
			       "title bare\n"
			       "kernel /boot/vmlinuz root=PARTUUID=c0ffee01-01 ro\n"}),
	},
	{
		.title = "extlinux",
		.fix = "kernel-names",
		.before = TREE({"/boot/extlinux/extlinux.conf",
				"label l0\n\tlinux /vmlinuz\n\tinitrd /initrd.img\n"
				"\tAPPEND root=/dev/sda1 ro\n"},
			       {"/etc/default/extlinux", "EXTLINUX_ROOT=\"root=/dev/sda1\"\n"}),
		.after = TREE({"/boot/extlinux/extlinux.conf",
			       "label l0\n\tlinux /vmlinuz\n\tinitrd /initrd.img\n"
			       "\tAPPEND root=UUID=" UUID_ROOT " ro\n"},
			      {"/etc/default/extlinux", "EXTLINUX_ROOT=\"root=UUID=" UUID_ROOT "\"\n"}),
	},
};

static const struct fix_case settings[] = {
	{
		.title = "settings that bring device names back, and the old drives",
		.fix = "grub-defaults",
		.before = TREE({"/etc/default/grub", "GRUB_TIMEOUT=5\n"
						     "# GRUB_DISABLE_LINUX_UUID=true\n"
						     "GRUB_DISABLE_LINUX_UUID=true\n"
						     "GRUB_DISABLE_UUID=\"true\"\n"
						     "GRUB_DISABLE_RECOVERY=true\n"
						     "GRUB_DISABLE_LINUX_UUID=false\n"},
			       {"/boot/grub/device.map", "(hd0)\t/dev/disk/by-id/ata-OLD_DISK\n"},
			       {"/var/cache/debconf/config.dat",
				"Name: grub-pc/install_devices\nTemplate: grub-pc/install_devices\n"
				"Value: /dev/disk/by-id/ata-OLD_DISK\nOwners: grub-pc\n\n"}),
		.after = TREE({"/etc/default/grub",
			       "GRUB_TIMEOUT=5\n"
			       "# GRUB_DISABLE_LINUX_UUID=true\n"
			       "# p2v: device names change with the hardware, UUIDs do not\n"
			       "#GRUB_DISABLE_LINUX_UUID=true\n"
			       "# p2v: device names change with the hardware, UUIDs do not\n"
			       "#GRUB_DISABLE_UUID=\"true\"\n"
			       "GRUB_DISABLE_RECOVERY=true\n"
			       "GRUB_DISABLE_LINUX_UUID=false\n"},
			      {"/boot/grub/device.map", NULL}),
		.findings = FINDINGS(".dpkg-reconfigure grub-pc"),
	},
	{
		.title = "a map that names no disk of the old machine",
		.fix = "grub-defaults",
		.before = TREE({"/boot/grub/device.map", "(fd0) /dev/fd0\n"},
			       {"/var/cache/debconf/config.dat",
				"Name: grub-pc/install_devices\nTemplate: x\nValue: \n\n"
				"Name: other\nValue: /dev/sda\n\n"}),
		.after = TREE(),
	},
};

static const struct fix_case consoles[] = {
	{
		.title = "serial alone",
		.fix = "console",
		.before = TREE({"/boot/grub/grub.cfg",
				"serial --unit=0 --speed=115200\n"
				"terminal_input serial\n"
				"terminal_output serial\n"
				"  terminal_output --append serial\n"
				"linux /v root=UUID=x console=ttyS1,115200n8 quiet\n"
				"linux /v root=UUID=x console=tty0 console=ttyS0\n"
				"linux /v root=UUID=x console=tty0 console=ttyS0\n"
				"linux /v root=UUID=x console=tty0 console=ttyS0,115200n8\n"
				"linux /v root=UUID=x console=ttyS0 console=hvc0\n"
				"linux /v root=UUID=x quiet nomodeset\n"},
			       {"/etc/default/grub", "GRUB_TERMINAL=serial\n"
						     "GRUB_TERMINAL_OUTPUT=\"serial gfxterm\"\n"
						     "GRUB_CMDLINE_LINUX=console=ttyS0\n"}),
		.after = TREE({"/boot/grub/grub.cfg",
			       "serial --unit=0 --speed=115200\n"
			       "terminal_input console serial\n"
			       "terminal_output console serial\n"
			       "  terminal_output --append serial\n"
			       "linux /v root=UUID=x console=ttyS0,115200n8 console=tty0 quiet\n"
			       "linux /v root=UUID=x console=tty0 console=ttyS0\n"
			       "linux /v root=UUID=x console=tty0 console=ttyS0\n"
			       "linux /v root=UUID=x console=tty0 console=ttyS0,115200n8\n"
			       "linux /v root=UUID=x console=ttyS0 console=hvc0\n"
			       "linux /v root=UUID=x quiet nomodeset\n"},
			      {"/etc/default/grub", "GRUB_TERMINAL=\"console serial\"\n"
						    "GRUB_TERMINAL_OUTPUT=\"serial gfxterm\"\n"
						    "GRUB_CMDLINE_LINUX=\"console=ttyS0 console=tty0\"\n"}),
	},
	{
		.title = "a login on a second port, and GRUB legacy",
		.fix = "console",
		.before = TREE({"/etc/systemd/system/getty.target.wants/serial-getty@ttyS1.service", "x"},
			       {"/etc/systemd/system/getty.target.wants/serial-getty@ttyS0.service", "x"},
			       {"/boot/grub/menu.lst", "serial --unit=0\nterminal serial\n"},
			       {"/boot/grub/grub.conf", "terminal --timeout=5 serial console\n"}),
		.after = TREE({"/boot/grub/menu.lst", "serial --unit=0\n"
						      "# p2v: the menu was shown on the serial port alone\n"
						      "#terminal serial\n"}),
		.findings = FINDINGS(".serial-getty@ttyS1.service is enabled"),
	},
};

static const struct fix_case blacklists[] = {
	{
		.title = "drivers kept out",
		.fix = "blacklist",
		.before = TREE({"/etc/modprobe.d/a.conf", "blacklist virtio-blk\n"
							  "blacklist pcspkr\n"
							  "install hv_netvsc /bin/false\n"
							  "install usb-storage /bin/true\n"
							  "install virtio_net /sbin/modprobe -i virtio_net\n"
							  "options virtio_net napi_tx=1\n"
							  "blacklist vmxnet3\n"},
			       {"/etc/default/grub",
				"GRUB_CMDLINE_LINUX=\"modprobe.blacklist=floppy,virtio_scsi,x quiet\"\n"},
			       {"/etc/kernel/cmdline", "quiet module_blacklist=hv_storvsc\n"}),
		.after = TREE(
			{"/etc/modprobe.d/a.conf", "# p2v: the virtual machine needs this driver\n"
						   "#blacklist virtio-blk\n"
						   "blacklist pcspkr\n"
						   "# p2v: the virtual machine needs this driver\n"
						   "#install hv_netvsc /bin/false\n"
						   "install usb-storage /bin/true\n"
						   "install virtio_net /sbin/modprobe -i virtio_net\n"
						   "options virtio_net napi_tx=1\n"
						   "blacklist vmxnet3\n"},
			{"/etc/default/grub", "GRUB_CMDLINE_LINUX=\"modprobe.blacklist=floppy,x quiet\"\n"},
			{"/etc/kernel/cmdline", "quiet\n"}),
	},
};

static void run_cases(const struct fix_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct server server;

		server_init(&server);
		server.inspection.boot.esp_mount_point = "/esp";
		fix_case_run(&server, &cases[i]);
	}
}

#define DEFINE_TEST(cases)                                      \
	static void test_##cases(void **state)                  \
	{                                                       \
		(void)state;                                    \
		run_cases(cases, sizeof cases / sizeof *cases); \
	}
DEFINE_TEST(names)
DEFINE_TEST(settings)
DEFINE_TEST(consoles)
DEFINE_TEST(blacklists)

/* Hyper-V's generation 2 has no serial port at all: the screen is the last console. */
static void test_no_port(void **state)
{
	static const struct tree_entry before[] = {
		{"/etc/kernel/cmdline", "console=tty0 root=x console=ttyS1,115200 quiet\n"},
		{"/boot/grub/grub.cfg", "linux /v console=ttyS0 console=tty0\n"},
		{NULL},
	};
	static const struct tree_entry after[] = {
		{"/etc/kernel/cmdline", "root=x console=ttyS0,115200 console=tty0 quiet\n"},
		{NULL},
	};
	struct server server;

	(void)state;
	server_init(&server);
	server.machine.firmware = FIRMWARE_UEFI;
	fix_case_run(&server, &(struct fix_case){"generation 2", "console", before, after, NULL});
}

/* An environment block keeps its size, in which alone GRUB reads it; with no room it stays as it is. */
static void test_environment(void **state)
{
	static const char old[] = "# GRUB Environment Block\nkernelopts=root=/dev/sda1 ro\n";
	static const char new[] = "# GRUB Environment Block\nkernelopts=root=UUID=" UUID_ROOT " ro\n";
	char block[1025], expected[1025], small[65];
	struct server server;

	(void)state;
	memset(block, '#', sizeof block);
	block[sizeof block - 1] = '\0';
	memcpy(expected, block, sizeof block);
	memcpy(small, block + sizeof block - sizeof small, sizeof small);
	memcpy(block, old, strlen(old));
	memcpy(small, old, strlen(old));
	memcpy(expected, new, strlen(new));

	const struct tree_entry before[] = {{"/boot/grub/grubenv", block}, {NULL}};
	const struct tree_entry after[] = {{"/boot/grub/grubenv", expected}, {NULL}};
	const struct tree_entry full[] = {{"/boot/grub2/grubenv", small}, {NULL}};

	server_init(&server);
	fix_case_run(&server, &(struct fix_case){"grubenv", "kernel-names", before, after, NULL});
	fix_case_run(&server, &(struct fix_case){"full grubenv", "kernel-names", full, TREE(),
						 FINDINGS("!/boot/grub2/grubenv has no room")});
}

/* A symbolic link and its target are one file. */
static void test_links(void **state)
{
	static const struct tree_entry before[] = {
		{"/boot/grub/grub.conf", "kernel /v root=/dev/sda1\ninitrd /i\n"},
		{"/boot/grub/menu.lst", "->./grub.conf"},
		{NULL},
	};
	struct server server;
	CLEANUP_TREE struct tree *tree = tree_create(before);
	CLEANUP_PLAN struct plan *plan = plan_create(tree->guest);
	CLEANUP_JSON json_t *json = NULL;

	(void)state;
	server_init(&server);
	must(find_fix("kernel-names")->plan(&server.context, plan));
	must(plan_to_json(plan, &json));
	assert_int_equal(json_array_size(json_object_get(json, "changes")), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),	    cmocka_unit_test(test_settings),
		cmocka_unit_test(test_consoles),    cmocka_unit_test(test_blacklists),
		cmocka_unit_test(test_environment), cmocka_unit_test(test_links),
		cmocka_unit_test(test_no_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
