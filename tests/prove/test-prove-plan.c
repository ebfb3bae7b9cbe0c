/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The unit that is injected into the overlay. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/scratch.h"
#include "p2v/guest/dirtree.h"
#include "p2v/prove/prove.h"
#include "p2v/prove/script.h"
#include "tests/base/lib-must.h"
#include "tests/handover/lib-machine.h"

#define UNIT_DIR "/etc/systemd/system"

struct tree {
	struct scratch *scratch;
	struct guest *guest;
	struct plan *plan;
};

static void tree_init(struct tree *tree)
{
	must(scratch_create("/tmp", "p2v-test-plan", &tree->scratch));
	must(guest_open_directory(scratch_path(tree->scratch), &tree->guest));
	tree->plan = plan_create(tree->guest);
}

static void tree_deinit(struct tree *tree)
{
	plan_destroy(tree->plan);
	guest_destroy(tree->guest);
	scratch_destroy(tree->scratch);
}
#define CLEANUP_TREE CLEANUP(tree_deinit)

static char *read_file(struct tree *tree, const char *path)
{
	char *data;
	size_t bytes;

	must(guest_read(tree->guest, path, &data, &bytes));
	assert_non_null(data);
	return data;
}

static void test_applied(void **state)
{
	struct guest_interface interfaces[] = {{.name = "eth0"}, {.name = "eth1"}};
	struct inspection inspection = {.has_systemd = true, .interfaces = interfaces, .interface_count = 2};
	CLEANUP_TREE struct tree tree = {0};
	CLEANUP_FREE char *unit = NULL;
	CLEANUP_FREE char *script = NULL;
	CLEANUP_FREE char *link = NULL;
	CLEANUP_FREE char *line = NULL;

	(void)state;
	tree_init(&tree);
	strv_add(&interfaces[0].addresses, "192.0.2.7/24");
	strv_add(&interfaces[0].addresses, "$(reboot)");
	strv_add(&interfaces[1].addresses, "2001:db8::7/64");
	strv_add(&interfaces[1].addresses, "1.2.3.4; reboot");
	strv_add(&interfaces[1].addresses, "");
	must(prove_plan(&inspection, tree.plan));
	must(plan_apply(tree.plan, NULL));
	unit = read_file(&tree, UNIT_DIR "/p2v-prove.service");
	script = read_file(&tree, UNIT_DIR "/p2v-prove.sh");
	line = xasprintf("\nExecStart=/bin/sh " UNIT_DIR "/p2v-prove.sh %d %s 192.0.2.7/24 2001:db8::7/64\n",
			 PROVE_UNIT_LIMIT_S, PROVE_PORT_ADDRESS);
	assert_non_null(strstr(unit, line));
	assert_string_equal(script, prove_script);
	must(guest_readlink(tree.guest, UNIT_DIR "/sysinit.target.wants/p2v-prove.service", &link));
	assert_string_equal(link, "../p2v-prove.service");
	for (size_t i = 0; i < 2; i++)
		strv_deinit(&interfaces[i].addresses);
}

static void test_refused(void **state)
{
	struct inspection inspection = {.has_systemd = false};
	CLEANUP_TREE struct tree tree = {0};

	(void)state;
	tree_init(&tree);
	must_refuse(prove_plan(&inspection, tree.plan), "no systemd");
	assert_true(plan_is_empty(tree.plan));
}

static void write_file(struct tree *tree, const char *path, const char *text)
{
	must(guest_write(tree->guest, path, text, strlen(text),
			 &(struct guest_stat){.kind = GUEST_FILE, .mode = 0644}));
}

/* On kernels' lines alone, once each, and the rest stays byte for byte. */
static void test_kernel_lines(void **state)
{
	static const char config[] = "set default=0\n\n\tlinux\t/vmlinuz root=UUID=1 ro  quiet\n"
				     "\t\tlinux16 /vmlinuz ro\n#linux /x\n\tinitrd\t/initrd.img\nlinux\n"
				     "insmod linux16\n  linuxefi /vmlinuz";
	static const char expected[] =
		"set default=0\n\n\tlinux\t/vmlinuz root=UUID=1 ro  quiet no_timer_check\n"
		"\t\tlinux16 /vmlinuz ro no_timer_check\n#linux /x\n"
		"\tinitrd\t/initrd.img\nlinux\ninsmod linux16\n"
		"  linuxefi /vmlinuz no_timer_check";
	struct inspection inspection = {
		.has_systemd = true,
		.boot = {.loader = BOOT_LOADER_GRUB2, .config = (char *)"/boot/grub/grub.cfg"},
	};
	CLEANUP_TREE struct tree tree = {0};
	CLEANUP_FREE char *after = NULL;
	CLEANUP_FREE char *entry = NULL;

	(void)state;
	tree_init(&tree);
	write_file(&tree, "/boot/grub/grub.cfg", config);
	write_file(&tree, "/boot/loader/entries/a.conf", "title x\noptions root=/dev/x ro\nlinux /vmlinuz\n");
	write_file(&tree, "/boot/loader/entries/a.conf.old", "options x\n");
	must(prove_plan(&inspection, tree.plan));
	must(plan_apply(tree.plan, NULL));
	after = read_file(&tree, "/boot/grub/grub.cfg");
	assert_string_equal(after, expected);
	entry = read_file(&tree, "/boot/loader/entries/a.conf");
	assert_string_equal(entry, "title x\noptions root=/dev/x ro no_timer_check\nlinux /vmlinuz\n");
}

static void test_selinux(void **state)
{
	struct inspection inspection = {.has_systemd = true};
	CLEANUP_TREE struct tree tree = {0};
	CLEANUP_JSON json_t *json = NULL;
	static const char config[] = "# comment\nSELINUX=enforcing\nSELINUXTYPE=targeted\n";

	(void)state;
	tree_init(&tree);
	write_file(&tree, "/etc/selinux/config", config);
	must(prove_plan(&inspection, tree.plan));
	must(plan_to_json(tree.plan, &json));
	assert_int_equal(json_array_size(json_object_get(json, "findings")), 1);
}

/* Shells check the script's syntax; the strictest one that is installed everywhere is dash. */
static void test_syntax(void **state)
{
	(void)state;
	must(run_argv((const char *const[]){"sh", "-n", NULL},
		      &(struct run_options){.input = prove_script, .input_bytes = strlen(prove_script)},
		      NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_applied),	     cmocka_unit_test(test_refused),
		cmocka_unit_test(test_kernel_lines), cmocka_unit_test(test_selinux),
		cmocka_unit_test(test_syntax),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
