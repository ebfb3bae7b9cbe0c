/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Device names taken apart, and the volumes they meant on the old machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/guest/devname.h"
#include "p2v/guest/inspect.h"
#include "tests/base/lib-must.h"
#include "tests/guest/lib-tree.h"

static void takes_names_apart(void **state)
{
	static const struct {
		const char *name;
		enum devname_kind kind;
		const char *value;
		unsigned partition;
	} cases[] = {
		{"UUID=abc", DEVNAME_UUID, "abc", 0},
		{"UUID=\"a b\"", DEVNAME_UUID, "a b", 0},
		{"LABEL=/boot", DEVNAME_LABEL, "/boot", 0},
		{"PARTUUID=1-02", DEVNAME_PARTUUID, "1-02", 0},
		{"PARTLABEL=EFI System", DEVNAME_PARTLABEL, "EFI System", 0},
		{"/dev/disk/by-uuid/abc", DEVNAME_UUID, "abc", 0},
		{"/dev/disk/by-label/My\\x20Disk", DEVNAME_LABEL, "My Disk", 0},
		{"/dev/sda", DEVNAME_KERNEL, "sda", 0},
		{"/dev/sda1", DEVNAME_KERNEL, "sda", 1},
		{"/dev/sdaa12", DEVNAME_KERNEL, "sdaa", 12},
		{"/dev/hda1", DEVNAME_KERNEL, "hda", 1},
		{"/dev/vdb2", DEVNAME_KERNEL, "vdb", 2},
		{"/dev/xvda1", DEVNAME_KERNEL, "xvda", 1},
		{"/dev/nvme0n1", DEVNAME_KERNEL, "nvme0n1", 0},
		{"/dev/nvme10n1p2", DEVNAME_KERNEL, "nvme10n1", 2},
		{"/dev/mmcblk0p1", DEVNAME_KERNEL, "mmcblk0", 1},
		{"/dev/cciss/c0d0p1", DEVNAME_KERNEL, "cciss/c0d0", 1},
		{"/dev/cciss/c0d0", DEVNAME_KERNEL, "cciss/c0d0", 0},
		{"/dev/nvme0n1x", DEVNAME_OTHER, "/dev/nvme0n1x", 0},
		{"/dev/sdx1y", DEVNAME_OTHER, "/dev/sdx1y", 0},
		{"/dev/sr0", DEVNAME_OTHER, "/dev/sr0", 0},
		{"/dev/md0", DEVNAME_OTHER, "/dev/md0", 0},
		{"/dev/dm-3", DEVNAME_OTHER, "/dev/dm-3", 0},
		{"/dev/mapper/vg-root", DEVNAME_LOGICAL_VOLUME, "/dev/vg/root", 0},
		{"/dev/mapper/vg--a-lv--b", DEVNAME_LOGICAL_VOLUME, "/dev/vg-a/lv-b", 0},
		{"/dev/vg0/swap", DEVNAME_LOGICAL_VOLUME, "/dev/vg0/swap", 0},
		{"/dev/mapper/cryptroot", DEVNAME_OTHER, "/dev/mapper/cryptroot", 0},
		{"/dev/mapper/mpatha-part1", DEVNAME_HARDWARE, "mapper/mpatha", 1},
		{"/dev/mapper/mpathap2", DEVNAME_HARDWARE, "mapper/mpatha", 2},
		{"/dev/mapper/mpathb3", DEVNAME_HARDWARE, "mapper/mpathb", 3},
		{"/dev/mapper/mpathp", DEVNAME_HARDWARE, "mapper/mpathp", 0},
		{"/dev/mapper/360060e80164c210000014c2100007a8f", DEVNAME_HARDWARE,
		 "mapper/360060e80164c210000014c2100007a8f", 0},
		{"/dev/disk/by-id/ata-WDC_WD10-part2", DEVNAME_HARDWARE, "disk/by-id/ata-WDC_WD10", 2},
		{"/dev/disk/by-id/dm-name-vg-root", DEVNAME_LOGICAL_VOLUME, "/dev/vg/root", 0},
		{"/dev/disk/by-path/pci-0000:00:1f.2-ata-1", DEVNAME_HARDWARE,
		 "disk/by-path/pci-0000:00:1f.2-ata-1", 0},
		{"tmpfs", DEVNAME_NONE, NULL, 0},
		{"server:/export", DEVNAME_NONE, NULL, 0},
		{"//server/share", DEVNAME_NONE, NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_DEVNAME struct devname name;

		devname_parse(cases[i].name, &name);
		if (name.kind != cases[i].kind)
			fail_msg("%s: kind %d", cases[i].name, name.kind);
		if (cases[i].value)
			assert_string_equal(name.value, cases[i].value);
		else
			assert_null(name.value);
		assert_int_equal(name.partition, cases[i].partition);
	}
}

static void tells_fragile_names(void **state)
{
	static const char *const fragile[] = {
		"/dev/sda1",
		"/dev/hdb",
		"/dev/nvme0n1p1",
		"/dev/cciss/c0d0p2",
		"/dev/disk/by-id/wwn-0x5-part1",
		"/dev/disk/by-path/pci-0-part1",
		"/dev/mapper/mpathap1",
		"/dev/disk/by-id/dm-uuid-LVM-abc",
	};
	static const char *const lasting[] = {
		"UUID=1",
		"LABEL=a",
		"PARTUUID=1-1",
		"PARTLABEL=x",
		"/dev/disk/by-uuid/1",
		"/dev/mapper/vg-lv",
		"/dev/vg/lv",
		"server:/x",
		"tmpfs",
		"none",
		"/dev/sr0",
		"/dev/md/0",
		"/swapfile",
	};

	(void)state;
	for (size_t i = 0; i < sizeof fragile / sizeof *fragile; i++) {
		if (!inspect_name_is_fragile(fragile[i]))
			fail_msg("%s is fragile", fragile[i]);
	}
	for (size_t i = 0; i < sizeof lasting / sizeof *lasting; i++) {
		if (inspect_name_is_fragile(lasting[i]))
			fail_msg("%s is not fragile", lasting[i]);
	}
}

struct volume_spec {
	const char *device;
	int disk;
	unsigned partition;
	const char *content;
	const char *uuid;
	const char *array_uuid, *array_name;
};

struct question {
	const char *name;
	const char *device; /* NULL: not found, or not certain */
};

static void ask_with(const struct tree_entry *entries, const struct volume_spec *volumes,
		     const struct question *questions)
{
	CLEANUP_TREE struct tree *tree = tree_create(entries);
	CLEANUP_INSPECTION struct inspection inspection = {0};

	for (; volumes->device; volumes++) {
		inspection.volumes = xreallocarray(inspection.volumes, inspection.volume_count + 1,
						   sizeof *inspection.volumes);
		inspection.volumes[inspection.volume_count++] = (struct guest_volume){
			.device = xstrdup(volumes->device),
			.disk = volumes->disk,
			.partition = volumes->partition,
			.content = xstrdup(volumes->content),
			.uuid = xstrdup(volumes->uuid),
			.is_logical_volume = volumes->disk < 0,
			.array_uuid = xstrdup(volumes->array_uuid),
			.array_name = xstrdup(volumes->array_name),
		};
	}
	must(inspect_guest(tree->guest, NULL, &inspection));
	for (; questions->name; questions++) {
		const struct guest_volume *volume = inspect_find_volume(&inspection, questions->name);
		const char *device = volume ? volume->device : NULL;

		if (!!device != !!questions->device || (device && strcmp(device, questions->device) != 0))
			fail_msg("%s: %s, not %s", questions->name, device ? device : "nothing",
				 questions->device ? questions->device : "nothing");
	}
}

static void ask(const char *fstab, const char *grub, const struct volume_spec *volumes,
		const struct question *questions)
{
	const struct tree_entry entries[] = {{"/etc/fstab", fstab}, {"/boot/grub/grub.cfg", grub}, {NULL}};

	ask_with(entries, volumes, questions);
}

static void finds_volumes_of_one_disk(void **state)
{
	static const struct volume_spec volumes[] = {
		{"/dev/sda1", 0, 1, "ext4", "aaaa"},
		{"/dev/sda2", 0, 2, NULL, NULL},
		{"/dev/sda5", 0, 5, "swap", "bbbb"},
		{NULL},
	};
	static const struct question by_kernel_name[] = {
		{"UUID=AAAA", "/dev/sda1"},
		{"UUID=cccc", NULL},
		{"/dev/nvme0n1p1", "/dev/sda1"},
		{"/dev/nvme0n1p5", "/dev/sda5"},
		{"/dev/nvme0n1p6", NULL},
		{"/dev/sda1", NULL},
		{"/dev/disk/by-id/x-part5", "/dev/sda5"},
		{"/dev/disk/by-path/x", NULL},
		{NULL},
	};
	static const struct question by_uuid[] = {
		{"/dev/sdb5", "/dev/sda5"},
		{"/dev/disk/by-path/x-part1", "/dev/sda1"},
		{NULL},
	};

	(void)state;
	ask("/dev/nvme0n1p1 / ext4 defaults 0 1\n/dev/sdb1 /mnt auto noauto 0 0\n", "", volumes,
	    by_kernel_name);
	ask("UUID=aaaa / ext4 defaults 0 1\n", "linux /vmlinuz root=UUID=aaaa\n", volumes, by_uuid);
	/* The kernel command line tells too. */
	ask("UUID=aaaa / ext4 defaults 0 1\n", "linux /vmlinuz root=/dev/hdc1 ro\n", volumes,
	    (const struct question[]){{"/dev/hdc5", "/dev/sda5"}, {"/dev/sda5", NULL}, {NULL}});
}

static void finds_volumes_of_two_disks(void **state)
{
	/* The image of the second disk was given first; root is the first volume. */
	static const struct volume_spec volumes[] = {
		{"/dev/sdb1", 1, 1, "ext4", "root"},
		{"/dev/sdb5", 1, 5, "swap", "swap"},
		{"/dev/sda1", 0, 1, "ext4", "srv"},
		{NULL},
	};
	static const struct question answers[] = {
		{"/dev/sda1", "/dev/sdb1"}, {"/dev/sda5", "/dev/sdb5"}, {"/dev/sdb1", "/dev/sda1"},
		{"UUID=srv", "/dev/sda1"},  {"/dev/sdc1", NULL},	{NULL},
	};

	(void)state;
	ask("/dev/sda1 / ext4 defaults 0 1\n/dev/sda5 none swap sw 0 0\n/dev/sdb1 /srv ext4 defaults 0 2\n",
	    "", volumes, answers);
}

/* A line for a partition that is long gone, before or after the root's. */
static void root_is_certain(void **state)
{
	static const struct volume_spec volumes[] = {
		{"/dev/sda1", 0, 1, "ext4", "root"},
		{"/dev/sdb1", 1, 1, "ext4", "srv"},
		{NULL},
	};
	static const struct question answers[] = {
		{"/dev/sda1", "/dev/sda1"},
		{"/dev/sda2", NULL},
		{"/dev/sdb1", "/dev/sdb1"},
		{NULL},
	};

	(void)state;
	ask("/dev/sda2 none swap sw 0 0\n/dev/sda1 / ext4 x 0 1\n/dev/sdb1 /srv ext4 x 0 2\n", "", volumes,
	    answers);
	ask("/dev/sda1 / ext4 x 0 1\n/dev/sda2 none swap sw 0 0\n/dev/sdb1 /srv ext4 x 0 2\n", "", volumes,
	    answers);
}

static void does_not_guess(void **state)
{
	static const struct volume_spec volumes[] = {
		{"/dev/sda1", 0, 1, "ext4", "root"}, {"/dev/sdb1", 1, 1, "xfs", "one"},
		{"/dev/sdc1", 2, 1, "xfs", "two"},   {"/dev/sdd1", 3, 1, "ext4", "same"},
		{"/dev/sdd2", 3, 2, "ext4", "same"}, {NULL},
	};
	static const struct question answers[] = {
		{"/dev/sda1", "/dev/sda1"}, {"/dev/sdb1", NULL}, {"/dev/sdc1", NULL},
		{"/dev/sdd2", "/dev/sdd2"}, {"UUID=same", NULL}, {NULL},
	};

	(void)state;
	ask("/dev/sda1 / ext4 x 0 1\n/dev/sdb1 /b xfs x 0 0\n/dev/sdc1 /c xfs x 0 0\n/dev/sdd2 /d ext4 x 0 "
	    "0\n",
	    "", volumes, answers);
}

static void finds_logical_volumes_and_arrays(void **state)
{
	static const struct volume_spec volumes[] = {
		{"/dev/vg-a/root", -1, 0, "xfs", "root"},
		{"/dev/sda2", 0, 2, "LVM2_member", "pv"},
		{"/dev/md127", -1, 0, "ext4", "data"},
		{"/dev/sdb1", 1, 1, "linux_raid_member", "array"},
		{NULL},
	};
	static const struct question answers[] = {
		{"/dev/mapper/vg--a-root", "/dev/vg-a/root"},
		{"/dev/vg-a/root", "/dev/vg-a/root"},
		{"/dev/vg-a/home", NULL},
		{"/dev/md0", "/dev/md127"},
		{"UUID=array", NULL},
		{NULL},
	};

	(void)state;
	ask("/dev/mapper/vg--a-root / xfs defaults 0 0\n/dev/md0 /data ext4 defaults 0 0\n", "", volumes,
	    answers);
}

#define UUID_A "c73d62be-2e12-62cc-695c-ee32a6991a87"
#define UUID_B "d86fc19d-919a-dec5-f7dd-8d25e9bc1817"
#define UUID_C "0278835f-725a-47fd-9e3e-16739c1d7163"

/* Of several arrays: by mdadm.conf, else by their metadata; never by the number they happen to have here. */
static void finds_arrays_by_name(void **state)
{
	static const struct volume_spec volumes[] = {
		{"/dev/sda1", 0, 1, "ext4", "root"},
		{"/dev/md127", -1, 0, "ext4", "boot", UUID_A, "files01:0"},
		{"/dev/md126", -1, 0, "LVM2_member", "pv", UUID_B, "files01:1"},
		{"/dev/md125", -1, 0, "xfs", "data", UUID_C, "files01:data"},
		{NULL},
	};
	static const struct question by_metadata[] = {
		{"/dev/md0", "/dev/md127"},
		{"/dev/md/0", "/dev/md127"},
		{"/dev/md1", "/dev/md126"},
		{"/dev/md/data", "/dev/md125"},
		{"/dev/md127", NULL},
		{"/dev/md2", NULL},
		{"/dev/disk/by-id/md-uuid-c73d62be:2e1262cc:695cee32:a6991a87", "/dev/md127"},
		{"/dev/disk/by-id/md-name-files01:data", "/dev/md125"},
		{"/dev/disk/by-id/md-name-files01:other", NULL},
		{NULL},
	};
	/* The first two the other way round; the third by its name, in a line that goes on. */
	static const char conf[] =
		"DEVICE partitions\n# ARRAY /dev/md7 UUID=c73d62be:2e1262cc:695cee32:a6991a87\n"
		"ARRAY /dev/md1 metadata=1.2 UUID=C73D62BE:2e1262cc:695cee32:a6991a87\n"
		"array /dev/md/0 uuid=d86fc19d:919adec5:f7dd8d25:e9bc1817\n"
		"ARRAY store\n   name=files01:data\nARRAY <ignore> UUID=1:2:3:4\n";
	static const struct question by_configuration[] = {
		{"/dev/md1", "/dev/md127"},
		{"/dev/md/1", "/dev/md127"},
		{"/dev/md0", "/dev/md126"},
		{"/dev/md/0", "/dev/md126"},
		{"/dev/md/store", "/dev/md125"},
		{"/dev/md/data", NULL},
		{"/dev/md7", NULL},
		{NULL},
	};
	/* An array of old metadata keeps its number; a name that two claim is not certain. */
	static const struct volume_spec old[] = {
		{"/dev/sda1", 0, 1, "ext4", "root"},
		{"/dev/md3", -1, 0, "ext4", "old", UUID_A, NULL},
		{"/dev/md126", -1, 0, "ext4", "one", UUID_B, "here:0"},
		{"/dev/md125", -1, 0, "ext4", "two", UUID_C, "there:0"},
		{NULL},
	};
	static const struct question old_answers[] = {
		{"/dev/md3", "/dev/md3"}, {"/dev/md0", NULL}, {"/dev/md126", NULL}, {NULL}};

	(void)state;
	ask("UUID=root / ext4 x 0 1\n", "", volumes, by_metadata);
	for (size_t i = 0; i < 2; i++) {
		const struct tree_entry entries[] = {{"/etc/fstab", "UUID=root / ext4 x 0 1\n"},
						     {i ? "/etc/mdadm/mdadm.conf" : "/etc/mdadm.conf", conf},
						     {NULL}};

		ask_with(entries, volumes, by_configuration);
	}
	ask("UUID=root / ext4 x 0 1\n", "", old, old_answers);
}

static void records_mount_points(void **state)
{
	static const struct tree_entry entries[] = {
		{"/etc/fstab", "/dev/sda1 / ext4 x 0 1\nUUID=b none swap sw 0 0\n"}, {NULL}};
	CLEANUP_TREE struct tree *tree = tree_create(entries);
	CLEANUP_INSPECTION struct inspection inspection = {
		.volumes = xcalloc(2, sizeof(struct guest_volume)),
		.volume_count = 2,
	};

	(void)state;
	inspection.volumes[0] = (struct guest_volume){
		.device = xstrdup("/dev/sda1"), .partition = 1, .content = xstrdup("ext4")};
	inspection.volumes[1] = (struct guest_volume){.device = xstrdup("/dev/sda2"),
						      .partition = 2,
						      .content = xstrdup("swap"),
						      .uuid = xstrdup("b")};
	must(inspect_guest(tree->guest, NULL, &inspection));
	assert_string_equal(inspection.volumes[0].mount_point, "/");
	assert_string_equal(inspection.volumes[1].mount_point, "swap");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_names_apart),
		cmocka_unit_test(tells_fragile_names),
		cmocka_unit_test(finds_volumes_of_one_disk),
		cmocka_unit_test(finds_volumes_of_two_disks),
		cmocka_unit_test(root_is_certain),
		cmocka_unit_test(does_not_guess),
		cmocka_unit_test(finds_logical_volumes_and_arrays),
		cmocka_unit_test(finds_arrays_by_name),
		cmocka_unit_test(records_mount_points),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
