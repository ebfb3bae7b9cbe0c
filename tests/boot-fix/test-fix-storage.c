/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of disks in fstab, crypttab, mount units, LVM's, mdadm's and initramfs-tools' files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/boot-fix/lib-server.h"

static const struct fix_case cases[] = {
	{
		.title = "fstab of an old installation",
		.fix = "fstab",
		.before = TREE({"/etc/fstab", "# / was on /dev/sda1 during installation\n"
					      "/dev/sda1 / ext4 errors=remount-ro 0 1\n"
					      "\t/dev/sda2 none swap sw 0 0\n"
					      "/dev/sdb1   /srv\txfs   defaults,logdev=/dev/sda4 0 2\n"
					      "/dev/mapper/vg0-data /data ext4 defaults 0 2\n"
					      "proc /proc proc defaults 0 0\n"
					      "/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0\n"
					      "/dev/fd0 /media/floppy0 auto rw,user,noauto 0 0\n"
					      "nas:/export /mnt nfs defaults 0 0\n"
					      "/srv/swapfile none swap sw 0 0\n"
					      "not an entry\n"}),
		.after = TREE({"/etc/fstab",
			       "# / was on /dev/sda1 during installation\n"
			       "UUID=" UUID_ROOT " / ext4 errors=remount-ro 0 1\n"
			       "\tUUID=" UUID_SWAP " none swap sw 0 0\n"
			       "UUID=" UUID_SRV
			       " /srv\txfs   defaults,logdev=/dev/disk/by-partuuid/" PARTUUID_PLAIN " 0 2\n"
			       "/dev/mapper/vg0-data /data ext4 defaults 0 2\n"
			       "proc /proc proc defaults 0 0\n"
			       "/dev/sr0 /media/cdrom0 udf,iso9660 user,noauto 0 0\n"
			       "/dev/fd0 /media/floppy0 auto rw,user,noauto 0 0\n"
			       "nas:/export /mnt nfs defaults 0 0\n"
			       "/srv/swapfile none swap sw 0 0\n"
			       "not an entry\n"}),
	},
	{
		.title = "fstab by UUID already, without a last newline",
		.fix = "fstab",
		.before = TREE({"/etc/fstab", "UUID=" UUID_ROOT " / ext4 defaults 0 1\n"
					      "UUID=\"" UUID_SRV "\" /srv xfs defaults 0 2\n"
					      "LABEL=root /again ext4 noauto"}),
		.after = TREE(),
	},
	{
		.title = "a clone shares its UUID, so the partition's own counts",
		.fix = "fstab",
		.before = TREE({"/etc/fstab", "/dev/sdd2 /twin ext4 defaults 0 2\n"
					      "/dev/sdd3 /label ext4 defaults 0 2\n"}),
		.after = TREE({"/etc/fstab", "PARTUUID=c0ffee04-02 /twin ext4 defaults 0 2\n"
					     "LABEL=only-label /label ext4 defaults 0 2\n"}),
	},
	{
		.title = "disks that were left behind are told and left",
		.fix = "fstab",
		.before = TREE({"/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n"
					      "/dev/sdz1 /backup ext4 defaults 0 2\n"
					      "/dev/sdz2 /usb ext4 nofail 0 2\n"
					      "/dev/sdz3 /stick vfat noauto 0 0\n"
					      "/dev/sdz4 none swap sw 0 0\n"
					      "/dev/sdz5 /iscsi ext4 _netdev 0 0\n"
					      "/dev/zram0 none swap sw 0 0\n"
					      "/dev/zvol/tank/x /part ext4 defaults 0 0\n"
					      "UUID=dead-beef /gone ext4 defaults 0 2\n"}),
		.after = TREE({"/etc/fstab", "UUID=" UUID_ROOT " / ext4 defaults 0 1\n"
					     "/dev/sdz1 /backup ext4 defaults 0 2\n"
					     "/dev/sdz2 /usb ext4 nofail 0 2\n"
					     "/dev/sdz3 /stick vfat noauto 0 0\n"
					     "/dev/sdz4 none swap sw 0 0\n"
					     "/dev/sdz5 /iscsi ext4 _netdev 0 0\n"
					     "/dev/zram0 none swap sw 0 0\n"
					     "/dev/zvol/tank/x /part ext4 defaults 0 0\n"
					     "UUID=dead-beef /gone ext4 defaults 0 2\n"}),
		.findings = FINDINGS("!/backup is on /dev/sdz1", "./usb is on /dev/sdz2",
				     ".swap is on /dev/sdz4"),
	},
	{
		.title = "crypttab",
		.fix = "crypttab",
		.before = TREE({"/etc/crypttab",
				"# <target> <source> <key> <options>\n"
				"secret /dev/sda3 none luks,discard\n"
				"cryptswap  /dev/sda2  /dev/urandom  swap,cipher=aes-xts-plain64\n"
				"usb UUID=1234 /dev/sdb1:/keys/a luks,keyscript=passdev\n"
				"gone /dev/sdz1 none luks\n"}),
		.after = TREE({"/etc/crypttab",
			       "# <target> <source> <key> <options>\n"
			       "secret UUID=" UUID_LUKS " none luks,discard\n"
			       "cryptswap  PARTUUID=c0ffee01-02  /dev/urandom  swap,cipher=aes-xts-plain64\n"
			       "usb UUID=1234 /dev/disk/by-uuid/" UUID_SRV ":/keys/a luks,keyscript=passdev\n"
			       "gone /dev/sdz1 none luks\n"}),
		.findings = FINDINGS("!line 5: gone is on /dev/sdz1"),
	},
	{
		.title = "mount and swap units",
		.fix = "mount-units",
		.before = TREE({"/etc/systemd/system/srv.mount", "[Mount]\nWhat=/dev/sdb1\nWhere=/srv\n"},
			       {"/etc/systemd/system/nfs.mount", "[Mount]\nWhat=nas:/x\nWhere=/nfs\n"},
			       {"/etc/systemd/system/dev-sda2.swap", "[Swap]\nWhat=/dev/sda2\n"}),
		.after = TREE({"/etc/systemd/system/srv.mount",
			       "[Mount]\nWhat=/dev/disk/by-uuid/" UUID_SRV "\nWhere=/srv\n"}),
		.findings = FINDINGS("!dev-sda2.swap swaps on /dev/sda2"),
	},
	{
		.title = "resume of initramfs-tools and uswsusp",
		.fix = "resume",
		.before = TREE(
			{"/etc/initramfs-tools/conf.d/resume", "RESUME=/dev/sda2\n"},
			{"/etc/initramfs-tools/conf.d/old", "# kept\nRESUME='/dev/sdz2'\n"},
			{"/etc/initramfs-tools/conf.d/fine", "RESUME=UUID=" UUID_SWAP "\nCRYPTSETUP=y\n"},
			{"/etc/initramfs-tools/initramfs.conf", "MODULES=dep\nBUSYBOX=auto\n"},
			{"/etc/uswsusp.conf", "# uswsusp\nresume device = /dev/sda2\n"}),
		.after = TREE({"/etc/initramfs-tools/conf.d/resume", "RESUME=UUID=" UUID_SWAP "\n"},
			      {"/etc/initramfs-tools/conf.d/old", "# kept\nRESUME='none'\n"},
			      {"/etc/uswsusp.conf",
			       "# uswsusp\nresume device = /dev/disk/by-uuid/" UUID_SWAP "\n"}),
	},
	{
		.title = "LVM's list of disks is put aside",
		.fix = "lvm",
		.before = TREE({"/etc/lvm/devices/system.devices", "VERSION=1.1.1\nIDTYPE=sys_wwid …\n"},
			       {"/etc/lvm/lvm.conf", "devices {\n\t# filter = [ \"r|.*|\" ]\n}\n"}),
		.after = TREE(
			{"/etc/lvm/devices/system.devices", NULL},
			{"/etc/lvm/devices/system.devices.p2v-old", "VERSION=1.1.1\nIDTYPE=sys_wwid …\n"}),
		.findings = FINDINGS(".devices file was put aside"),
	},
	{
		.title = "an LVM filter that would hide the disks",
		.fix = "lvm",
		.before = TREE({"/etc/lvm/lvm.conf", "devices {\n"
						     "\tfilter = [ \"a|^/dev/cciss/.*|\", # the array\n"
						     "\t\t\"r|.*|\" ]\n"
						     "\tglobal_filter = [\"a|^/dev/[sv]d[a-z]|\",\"r|.*|\"]\n"
						     "\tscan = [ \"/dev\" ]\n"
						     "}\n"},
			       {"/etc/lvm/lvmlocal.conf", "devices/filter=\"r|/dev/sd|\"\n"}),
		.after = TREE(
			{"/etc/lvm/lvm.conf",
			 "devices {\n"
			 "\tfilter = [ \"a!^/dev/(vd|sd)[a-d][0-9]*$!\", \"a|^/dev/cciss/.*|\", # the array\n"
			 "\t\t\"r|.*|\" ]\n"
			 "\tglobal_filter = [\"a|^/dev/[sv]d[a-z]|\",\"r|.*|\"]\n"
			 "\tscan = [ \"/dev\" ]\n"
			 "}\n"},
			{"/etc/lvm/lvmlocal.conf",
			 "devices/filter=[ \"a!^/dev/(vd|sd)[a-d][0-9]*$!\", \"r|/dev/sd|\" ]\n"}),
	},
	{
		.title = "mdadm.conf",
		.fix = "mdadm",
		.before = TREE({"/etc/mdadm/mdadm.conf",
				"# mdadm.conf\n"
				"DEVICE /dev/sd*[0-9] /dev/hda1\n"
				"HOMEHOST <system>\n"
				"ARRAY /dev/md0 metadata=1.2 UUID=5d:e6 devices=/dev/sdc1,/dev/sdd1\n"
				"ARRAY /dev/md1 devices=/dev/sdc1,/dev/sdd1 level=raid1\n"
				"ARRAY /dev/md2 UUID=11223344:1\n"}),
		.after = TREE({"/etc/mdadm/mdadm.conf",
			       "# mdadm.conf\n"
			       "DEVICE partitions containers\n"
			       "HOMEHOST <system>\n"
			       "ARRAY /dev/md0 metadata=1.2 UUID=5d:e6\n"
			       "ARRAY /dev/md1 UUID=11223344:55667788:99aabbcc:ddeeff00 level=raid1\n"
			       "ARRAY /dev/md2 UUID=11223344:1\n"}),
	},
	{
		.title = "mdadm.conf as Debian writes it",
		.fix = "mdadm",
		.before = TREE({"/etc/mdadm/mdadm.conf", "#DEVICE partitions containers\nDEVICE partitions\n"
							 "HOMEHOST <system>\nMAILADDR root\n"}),
		.after = TREE(),
	},
};

static void test_cases(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct server server;

		server_init(&server);
		fix_case_run(&server, &cases[i]);
	}
}

/* With encrypted volumes around, a name that is not found may lie inside one of them. */
static void test_missing_volume(void **state)
{
	static const struct tree_entry before[] = {
		{"/etc/fstab", "UUID=dead-beef /gone ext4 defaults 0 2\n/dev/vg9/x /lv ext4 defaults 0 2\n"},
		{NULL},
	};
	static const struct tree_entry crypted[] = {
		{"/etc/fstab", "UUID=dead-beef /gone ext4 defaults 0 2\n/dev/sdz1 /sdz ext4 defaults 0 2\n"},
		{"/etc/crypttab", "# comment\nx UUID=1 none luks\n"},
		{NULL},
	};
	struct server server;

	(void)state;
	server_init(&server);
	server.inspection.volume_count = 2; /* without the encrypted one */
	fix_case_run(&server,
		     &(struct fix_case){"all volumes known", "fstab", before, TREE(),
					FINDINGS("!/gone is on UUID=dead-beef", "!/lv is on /dev/vg9/x")});
	fix_case_run(&server, &(struct fix_case){"encrypted volumes", "fstab", crypted, TREE(),
						 FINDINGS("!/sdz is on /dev/sdz1")});
}

/* Files that are there but hold no text, and ones that are not there, change nothing. */
static void test_odd_files(void **state)
{
	static const char *const fixes[] = {"fstab", "crypttab", "resume", "lvm", "mdadm", NULL};
	static const struct tree_entry nothing[] = {{"/etc/", NULL}, {NULL}};
	static const struct tree_entry empty[] = {
		{"/etc/fstab", ""},
		{"/etc/crypttab", "\n\n"},
		{"/etc/lvm/lvm.conf", "filter = ["},
		{"/etc/mdadm/mdadm.conf", "   \nARRAY"},
		{NULL},
	};
	struct server server;

	(void)state;
	server_init(&server);
	for (size_t i = 0; fixes[i]; i++) {
		fix_case_run(&server, &(struct fix_case){"nothing", fixes[i], nothing, TREE(), NULL});
		fix_case_run(&server, &(struct fix_case){"empty", fixes[i], empty, TREE(), NULL});
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_missing_volume),
		cmocka_unit_test(test_odd_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
