/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The guest's own setting for its future initramfs, tool by tool. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "inject-drivers/setting.h"
#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/guest/lib-tree.h"

#define BEGIN "# p2v: drivers that the virtual machine needs\n"
#define END "# p2v: end\n"

static void initramfs_tools_lists(void **state)
{
	static const struct {
		const char *before;
		const char *modules;
		const char *after; /* NULL: unchanged */
	} cases[] = {
		{"", "virtio_blk", BEGIN "virtio_blk\n" END},
		{"# comment\n", "a b", "# comment\n" BEGIN "a\nb\n" END},
		{"no end of line", "a", "no end of line\n" BEGIN "a\n" END},
		{"xen-blkfront\n", "xen_blkfront", NULL},
		{"  xen-blkfront option=1 # why\n", "xen_blkfront a",
		 "  xen-blkfront option=1 # why\n" BEGIN "a\n" END},
		{"# a\n#b\n", "a b", "# a\n#b\n" BEGIN "a\nb\n" END},
		{"x\n" BEGIN "a\n" END "y\n", "a", NULL},
		{"x\n" BEGIN "a\n" END "y\n", "a b", "x\n" BEGIN "a\nb\n" END "y\n"},
		{"x\n" BEGIN "a\n", "b", "x\n" BEGIN "a\n" BEGIN "b\n" END},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_STRV struct strv modules = {0};
		CLEANUP_FREE char *text = NULL;
		CLEANUP_FREE char *again = NULL;

		strv_split(&modules, cases[i].modules, " ");
		text = setting_edit_tools_modules(cases[i].before, &modules);
		if (!cases[i].after) {
			assert_null(text);
			continue;
		}
		assert_string_equal(text, cases[i].after);
		again = setting_edit_tools_modules(text, &modules);
		assert_null(again);
	}
}

/* Plans, applies, plans again: nothing is left to do.  Returns the findings of the first run. */
static char *plan_twice(struct tree *tree, enum initramfs_tool tool, const char *modules_text)
{
	CLEANUP_STRV struct strv modules = {0};
	char *findings = NULL;

	strv_split(&modules, modules_text, " ");
	for (int run = 0; run < 2; run++) {
		CLEANUP_PLAN struct plan *plan = plan_create(tree->guest);
		CLEANUP_JSON json_t *json = NULL;

		must(setting_plan(tool, &modules, plan));
		if (run)
			assert_true(plan_is_empty(plan));
		must(plan_to_json(plan, &json));
		if (!run)
			findings = json_dumps(json_object_get(json, "findings"), JSON_COMPACT);
		must(plan_apply(plan, NULL));
	}
	return findings;
}

static void initramfs_tools(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(NULL);
	CLEANUP_FREE char *findings = plan_twice(tree, INITRAMFS_TOOLS, "virtio_pci virtio_blk");
	CLEANUP_FREE char *text = tree_read(tree, "/etc/initramfs-tools/modules");

	(void)state;
	assert_string_equal(text, BEGIN "virtio_pci\nvirtio_blk\n" END);
	assert_string_equal(findings, "[]");
}

static void dracut(void **state)
{
	static const struct tree_entry files[] = {
		{"/etc/dracut.conf",
		 "#add_drivers+=\" virtio_blk \"\nadd_drivers+=\"virtio-pci\" # virtio_net\n"},
		{"/etc/dracut.conf.d/10.conf",
		 "  force_drivers+=' virtio_scsi '\nadd_driversx=\" virtio_net \"\n"},
		{"/etc/dracut.conf.d/20.conf", "omit_drivers+=\" nouveau virtio-net \"\n"},
		{"/etc/dracut.conf.d/30.txt", "add_drivers+=\" virtio_net \"\n"},
		{NULL, NULL},
	};
	CLEANUP_TREE struct tree *tree = tree_create(files);
	CLEANUP_FREE char *findings =
		plan_twice(tree, INITRAMFS_DRACUT, "virtio_pci virtio_blk virtio_scsi virtio_net");
	CLEANUP_FREE char *text = tree_read(tree, "/etc/dracut.conf.d/p2v.conf");
	CLEANUP_FREE char *more = NULL;

	(void)state;
	assert_string_equal(text, BEGIN "add_drivers+=\" virtio_blk virtio_net \"\n");
	assert_non_null(strstr(findings, "/etc/dracut.conf.d/20.conf: omit_drivers names virtio_net:"));
	free(plan_twice(tree, INITRAMFS_DRACUT, "virtio_blk hv_vmbus"));
	more = tree_read(tree, "/etc/dracut.conf.d/p2v.conf");
	assert_string_equal(more,
			    BEGIN "add_drivers+=\" virtio_blk virtio_net \"\nadd_drivers+=\" hv_vmbus \"\n");
}

static void other_tools(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(NULL);
	CLEANUP_FREE char *mkinitcpio = plan_twice(tree, INITRAMFS_MKINITCPIO, "virtio_blk");
	CLEANUP_FREE char *mkinitrd = plan_twice(tree, INITRAMFS_MKINITRD, "virtio_blk");
	CLEANUP_FREE char *none = plan_twice(tree, INITRAMFS_NONE, "virtio_blk");
	CLEANUP_FREE char *nothing = plan_twice(tree, INITRAMFS_MKINITCPIO, "");

	(void)state;
	assert_non_null(strstr(mkinitcpio, "/etc/mkinitcpio.conf"));
	assert_non_null(strstr(mkinitrd, "/etc/sysconfig/kernel"));
	assert_string_equal(none, "[]");
	assert_string_equal(nothing, "[]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(initramfs_tools_lists),
		cmocka_unit_test(initramfs_tools),
		cmocka_unit_test(dracut),
		cmocka_unit_test(other_tools),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
