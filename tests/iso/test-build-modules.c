/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "iso/build-modules.h"

static void test_wanted(void **state)
{
	static const struct {
		const char *file;
		bool is_wanted;
	} cases[] = {
		{"kernel/drivers/ata/ahci.ko", true},
		{"kernel/drivers/nvme/host/nvme.ko", true},
		{"kernel/drivers/nvme/target/nvmet.ko", false},
		{"kernel/drivers/scsi/megaraid/megaraid_sas.ko.xz", true},
		{"kernel/drivers/scsi/scsi_debug.ko", false},
		{"kernel/drivers/block/virtio_blk.ko", true},
		{"kernel/drivers/block/nbd.ko", false},
		{"kernel/drivers/block/floppy.ko", false},
		{"kernel/drivers/net/ethernet/intel/e1000e/e1000e.ko.zst", true},
		{"kernel/drivers/net/ethernet/mellanox/mlx5/core/mlx5_core.ko", true},
		{"kernel/drivers/net/ethernet/mellanox/mlxsw/mlxsw_core.ko", false},
		{"kernel/drivers/net/vmxnet3/vmxnet3.ko", true},
		{"kernel/drivers/net/wireless/ath/ath9k/ath9k.ko", false},
		{"kernel/drivers/gpu/drm/i915/i915.ko", false},
		{"kernel/drivers/watchdog/iTCO_wdt.ko", false}, /* would reboot the server */
		{"kernel/fs/xfs/xfs.ko", true},
		{"kernel/fs/nfs/nfs.ko", false},
		{"updates/dkms/zfs.ko", false},
		{"", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (modules_is_wanted(cases[i].file) != cases[i].is_wanted)
			fail_msg("%s", cases[i].file);
}

static void check(const char *dep, const char *softdep, const char *const *wanted)
{
	CLEANUP_STRV struct strv files = {0};
	size_t count = 0;

	modules_choose(dep, softdep, &files);
	for (; wanted[count]; count++) {
		assert_true(count < files.count);
		assert_string_equal(files.items[count], wanted[count]);
	}
	assert_int_equal(files.count, count);
}

static void test_choice(void **state)
{
	static const char dep[] = "kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/fs/mbcache.ko\n"
				  "kernel/fs/mbcache.ko:\n"
				  "kernel/fs/jbd2/jbd2.ko:\n"
				  "kernel/fs/nfs/nfs.ko: kernel/net/sunrpc/sunrpc.ko\n"
				  "kernel/net/sunrpc/sunrpc.ko:\n"
				  "kernel/other/soft-one.ko.xz: kernel/other/needed.ko.xz\n"
				  "kernel/other/needed.ko.xz:\n"
				  "kernel/other/second.ko:\n"
				  "kernel/other/late.ko:\n"
				  "kernel/other/never.ko:\n";

	(void)state;
	/* Dependencies come along; what is not wanted does not, nor what only it needs. */
	check(dep, "",
	      (const char *[]){"kernel/fs/ext4/ext4.ko", "kernel/fs/jbd2/jbd2.ko", "kernel/fs/mbcache.ko",
			       NULL});
	/* Soft ones too, whatever sign their names are written with, and theirs in turn, in any order of
	 * lines. */
	check(dep,
	      "# Soft dependencies\n"
	      "softdep soft_one post: second\n"
	      "softdep second pre: late\n"
	      "softdep ext4 pre: soft_one unknown\n"
	      "softdep nfs pre: never\n"
	      "softdep\nsoftdep ext4\n",
	      (const char *[]){"kernel/fs/ext4/ext4.ko", "kernel/fs/jbd2/jbd2.ko", "kernel/fs/mbcache.ko",
			       "kernel/other/late.ko", "kernel/other/needed.ko.xz", "kernel/other/second.ko",
			       "kernel/other/soft-one.ko.xz", NULL});
	check("", "", (const char *[]){NULL});
	check("", "softdep ext4 pre: crc32c\n", (const char *[]){NULL});
}

/* A list that names what it does not have, or itself, ends. */
static void test_odd_lists(void **state)
{
	(void)state;
	check("kernel/fs/xfs/xfs.ko: kernel/lib/gone.ko kernel/fs/xfs/xfs.ko\n", "softdep xfs pre: xfs\n",
	      (const char *[]){"kernel/fs/xfs/xfs.ko", NULL});
	check(":\n\n::\n", "\n", (const char *[]){NULL});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wanted),
		cmocka_unit_test(test_choice),
		cmocka_unit_test(test_odd_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
