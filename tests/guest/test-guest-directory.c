/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A folder as a guest: links stay inside, what is written arrives, what is missing is no error. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/guest/lib-conformance.h"

static char *make_folder(const struct tree *tree)
{
	char *path = xasprintf("%s/../host", tree->root);

	assert_int_equal(mkdir(path, 0755), 0);
	return path;
}

static void conforms(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(conformance_tree);
	CLEANUP_FREE char *outside = xasprintf("%s/../outside", tree->root);
	CLEANUP_FREE char *host_dir = make_folder(tree);

	(void)state;
	conformance_check_reading(tree->guest);
	conformance_check_copying(tree->guest, host_dir);
	conformance_check_writing(tree->guest, host_dir);
	/* What the guest wrote through "../../outside" stayed inside. */
	assert_int_equal(access(outside, F_OK), -1);
}

static void stays_inside(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(conformance_tree);
	CLEANUP_FREE char *outside = xasprintf("%s/../outside", tree->root);
	FILE *file = fopen(outside, "we");

	(void)state;
	assert_non_null(file);
	fputs("not the guest's\n", file);
	fclose(file);
	assert_null(tree_read(tree, "/etc/outside"));
}

static void keeps_extended_attributes(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(conformance_tree);
	struct guest_stat stat = {.kind = GUEST_FILE, .mode = 0644, .uid = geteuid(), .gid = getegid()};
	CLEANUP_FREE char *host = tree_host_path(tree, "/etc/hostname");
	char value[16] = "";

	(void)state;
	if (setxattr(host, "user.label", "kept", 4, 0) < 0)
		skip();
	must(guest_write(tree->guest, "/etc/hostname", "new\n", 4, &stat));
	assert_int_equal(getxattr(host, "user.label", value, sizeof value), 4);
	assert_string_equal(value, "kept");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conforms),
		cmocka_unit_test(stays_inside),
		cmocka_unit_test(keeps_extended_attributes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
