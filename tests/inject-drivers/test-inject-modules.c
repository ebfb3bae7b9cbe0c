/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A kernel's module lists: written ones with every oddity, and a real kernel's against modprobe. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "inject-drivers/modules.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/guest/dirtree.h"
#include "tests/base/lib-must.h"
#include "tests/inject-drivers/lib-initramfs.h"

#define DIR "/usr/lib/modules/9.9"

static const struct tree_entry lists[] = {
	{DIR "/modules.dep", "kernel/virtio_blk.ko.xz: kernel/virtio-ring.ko.xz kernel/virtio.ko.xz\n"
			     "kernel/virtio-ring.ko.xz:\n"
			     "kernel/virtio.ko.xz:\n"
			     "kernel/ext4.ko.zst: kernel/jbd2.ko.gz\n"
			     "kernel/jbd2.ko.gz:\n"
			     "kernel/crc_fast.ko:\n"
			     "kernel/crc_slow.ko:\n"
			     "kernel/round.ko: kernel/trip.ko\n"
			     "kernel/trip.ko: kernel/round.ko\n"
			     "kernel/bare.ko:\n"
			     "../../../etc/evil.ko:\n"
			     "kernel/../../up.ko:\n"
			     "no colon\n"
			     "kernel/readme.txt:\n"
			     "\n"},
	{DIR "/modules.builtin", "kernel/drivers/scsi/sd_mod.ko\nkernel/drivers/hv/hv-vmbus.ko\n"},
	{DIR "/modules.softdep", "# comment\nsoftdep ext4 pre: crypto-crc32c missing_one post: bare\n"
				 "softdep jbd2 bare\nsoftdep trip pre: round\nsoftdep\n"},
	{DIR "/modules.alias", "alias crypto-crc32c crc_fast\nalias crypto-crc32c crc_slow\n"
			       "alias pci:v*d* virtio_blk\nalias broken\n"},
	{"/lib/modules/1.0/modules.dep", "/lib/modules/1.0/kernel/a.ko: /lib/modules/1.0/kernel/b.ko\n"
					 "/lib/modules/1.0/kernel/b.ko:\n"},
	{"/lib/modules/2.0/modules.order", ""},
	{NULL, NULL},
};

static void closures(void **state)
{
	static const struct {
		const char *name;
		const char *files; /* sorted */
	} cases[] = {
		{"virtio_blk", "kernel/virtio-ring.ko.xz kernel/virtio.ko.xz kernel/virtio_blk.ko.xz"},
		{"virtio_ring", "kernel/virtio-ring.ko.xz"},
		/* A soft dependency by alias: every module of that alias, as modprobe does. */
		{"ext4", "kernel/bare.ko kernel/crc_fast.ko kernel/crc_slow.ko kernel/ext4.ko.zst "
			 "kernel/jbd2.ko.gz"},
		{"jbd2", "kernel/bare.ko kernel/jbd2.ko.gz"},
		{"round", "kernel/round.ko kernel/trip.ko"},
		{"sd_mod", ""},
		{"nothing", ""},
		{"evil", ""},
		{"up", ""},
	};
	CLEANUP_TREE struct tree *guest = tree_create(lists);
	CLEANUP_MODULE_TREE struct module_tree tree = {0};

	(void)state;
	must(module_tree_read(guest->guest, DIR, &tree));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_STRV struct strv files = {0};
		CLEANUP_STRV struct strv expected = {0};

		module_tree_add_needed(&tree, cases[i].name, &files);
		strv_split(&expected, cases[i].files, " ");
		strv_sort(&files);
		assert_int_equal(files.count, expected.count);
		for (size_t k = 0; k < files.count; k++)
			assert_string_equal(files.items[k], expected.items[k]);
	}
	assert_true(module_tree_has_built_in(&tree, "sd_mod"));
	assert_true(module_tree_has_built_in(&tree, "hv_vmbus"));
	assert_false(module_tree_has_built_in(&tree, "virtio_blk"));
}

static void absolute_paths(void **state)
{
	CLEANUP_TREE struct tree *guest = tree_create(lists);
	CLEANUP_MODULE_TREE struct module_tree tree = {0};
	CLEANUP_STRV struct strv files = {0};

	(void)state;
	must(module_tree_read(guest->guest, "/lib/modules/1.0", &tree));
	module_tree_add_needed(&tree, "a", &files);
	assert_int_equal(files.count, 2);
	assert_string_equal(files.items[0], "kernel/a.ko");
	assert_string_equal(files.items[1], "kernel/b.ko");
}

static void no_lists(void **state)
{
	CLEANUP_TREE struct tree *guest = tree_create(lists);
	CLEANUP_MODULE_TREE struct module_tree tree = {0};

	(void)state;
	must_fail_as(module_tree_read(guest->guest, "/lib/modules/2.0", &tree), ERR_REFUSED,
		     "/lib/modules/2.0/modules.dep is not there");
	assert_null(module_tree_find(&tree, "x"));
	assert_false(module_tree_has_built_in(&tree, "x"));
}

static void names_of_files(void **state)
{
	static const struct {
		const char *path;
		const char *name;
	} cases[] = {
		{"kernel/drivers/block/xen-blkfront.ko", "xen_blkfront"},
		{"a.ko.xz", "a"},
		{"x/a-b_c.ko.zst", "a_b_c"},
		{"x/a.ko.gz", "a"},
		{"a.koo", NULL},
		{"x/.ko", NULL},
		{"modules.dep", NULL},
		{"", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_FREE char *name = module_name_of_file(cases[i].path);

		if (cases[i].name)
			assert_string_equal(name, cases[i].name);
		else
			assert_null(name);
	}
}

/* What modprobe would load is what we find, but that of the modules which share the alias of a soft
 * dependency it takes one, and we all. */
static void as_modprobe(void **state)
{
	static const struct {
		const char *name;
		bool has_soft_alias;
	} cases[] = {
		{"virtio_blk", false}, {"virtio_net", false}, {"virtio_scsi", false},
		{"hv_storvsc", false}, {"hv_netvsc", false},  {"hyperv_keyboard", false},
		{"hyperv_drm", false}, {"pci_hyperv", false}, {"ata_piix", false},
		{"vmw_pvscsi", false}, {"ext4", true},	      {"xen_blkfront", false},
		{"btrfs", true},       {"e1000e", false},     {"f2fs", true},
		{"hid_hyperv", false},
	};
	CLEANUP_FREE char *version = host_kernel_version();
	CLEANUP_FREE char *dir = NULL;
	CLEANUP_GUEST struct guest *host = NULL;
	CLEANUP_MODULE_TREE struct module_tree tree = {0};

	(void)state;
	if (!version)
		skip();
	dir = xasprintf("/lib/modules/%s", version);
	must(guest_open_directory("/", &host));
	must(module_tree_read(host, dir, &tree));
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const char *name = cases[i].name;
		CLEANUP_FREE char *output =
			shell("modprobe -C /nonexistent -S '%s' --show-depends '%s' | sed -n 's|^insmod "
			      "/lib/modules/[^/]*/||p' | sed 's/ *$//' | sort -u",
			      version, name);
		CLEANUP_STRV struct strv expected = {0};
		CLEANUP_STRV struct strv files = {0};

		if (module_tree_has_built_in(&tree, name))
			continue;
		strv_split(&expected, output, "\n");
		assert_true(expected.count > 0);
		module_tree_add_needed(&tree, name, &files);
		for (size_t k = 0; k < expected.count; k++) {
			if (!strv_has(&files, expected.items[k]))
				fail_msg("%s: needs %s", name, expected.items[k]);
		}
		for (size_t k = 0; k < files.count && !cases[i].has_soft_alias; k++) {
			if (!strv_has(&expected, files.items[k]))
				fail_msg("%s: does not need %s", name, files.items[k]);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closures),    cmocka_unit_test(absolute_paths),
		cmocka_unit_test(no_lists),    cmocka_unit_test(names_of_files),
		cmocka_unit_test(as_modprobe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
