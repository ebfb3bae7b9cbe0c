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
#include "p2v/guest/guest-impl.h"
#include "tests/guest/lib-tree.h"

static const struct tree_entry server[] = {
	{"/usr/lib/os-release", "ID=debian\n"},
	{"/etc/os-release", "->../usr/lib/os-release"},
	{"/lib", "->usr/lib"},
	{"/etc/hostname", "server\n"},
	{"/etc/empty", ""},
	{"/etc/absolute", "->/etc/hostname"},
	{"/etc/up", "->../../../../../etc/hostname"},
	{"/etc/outside", "->../../outside"},
	{"/etc/loop", "->loop"},
	{"/etc/dangling", "->/nowhere/at/all"},
	{"/srv/a/", NULL},
	{"/srv/a/two", "2"},
	{"/srv/a/one", "1"},
	{NULL},
};

static void reads_through_links(void **state)
{
	static const struct {
		const char *path;
		const char *content; /* NULL: missing */
	} cases[] = {
		{"/etc/hostname", "server\n"},
		{"/etc/empty", ""},
		{"/etc/os-release", "ID=debian\n"},
		{"/lib/os-release", "ID=debian\n"},
		{"/etc/absolute", "server\n"},
		{"/etc/up", "server\n"},
		{"//etc/../etc//./hostname", "server\n"},
		{"/../etc/hostname", "server\n"},
		{"/etc/outside", NULL},
		{"/etc/loop", NULL},
		{"/etc/dangling", NULL},
		{"/etc/hostname/below-a-file", NULL},
		{"/nothing", NULL},
	};
	CLEANUP_TREE struct tree *tree = tree_create(server);
	CLEANUP_FREE char *outside = xasprintf("%s/../outside", tree->root);
	FILE *file = fopen(outside, "we");

	(void)state;
	assert_non_null(file);
	fputs("not the guest's\n", file);
	fclose(file);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_FREE char *data = tree_read(tree, cases[i].path);

		if (cases[i].content)
			assert_string_equal(data, cases[i].content);
		else
			assert_null(data);
	}
	expect_error(guest_read(tree->guest, "etc/hostname", &outside, &(size_t){0}), ERR_FAILED, "absolute");
	expect_error(guest_read(tree->guest, "/srv", &outside, &(size_t){0}), ERR_FAILED, "regular file");
}

static void resolves(void **state)
{
	static const struct {
		const char *path;
		unsigned flags;
		const char *resolved;
	} cases[] = {
		{"/", 0, "/"},
		{"/lib/os-release", 0, "/usr/lib/os-release"},
		{"/etc/os-release", 0, "/usr/lib/os-release"},
		{"/etc/os-release", GUEST_KEEP_LAST, "/etc/os-release"},
		{"/lib/os-release/", GUEST_KEEP_LAST, "/usr/lib/os-release"},
		{"/lib/modules/new/x.ko", 0, "/usr/lib/modules/new/x.ko"},
		{"/etc/dangling", 0, "/nowhere/at/all"},
		{"/etc/up", 0, "/etc/hostname"},
		{"/a/../../b/.", 0, "/b"},
	};
	CLEANUP_TREE struct tree *tree = tree_create(server);
	char *ignored;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_FREE char *resolved = NULL;

		expect_ok(guest_resolve(tree->guest, cases[i].path, cases[i].flags, &resolved));
		assert_string_equal(resolved, cases[i].resolved);
	}
	expect_error(guest_resolve(tree->guest, "/etc/loop", 0, &ignored), ERR_FAILED, "/etc/loop");
}

static void tells_what_is_there(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(server);
	CLEANUP_FREE char *host = tree_host_path(tree, "/etc/hostname");
	CLEANUP_STRV struct strv names = {0};
	CLEANUP_FREE char *target = NULL;
	char hex[GUEST_SHA256_TEXT_BYTES];
	struct guest_stat stat;

	(void)state;
	assert_int_equal(chmod(host, 0640), 0);
	expect_ok(guest_stat(tree->guest, "/etc/absolute", &stat));
	assert_int_equal(stat.kind, GUEST_FILE);
	assert_int_equal(stat.size_bytes, 7);
	assert_int_equal(stat.mode, 0640);
	assert_int_equal(stat.uid, geteuid());
	expect_ok(guest_lstat(tree->guest, "/etc/absolute", &stat));
	assert_int_equal(stat.kind, GUEST_SYMLINK);
	expect_ok(guest_stat(tree->guest, "/lib", &stat));
	assert_int_equal(stat.kind, GUEST_DIRECTORY);
	expect_ok(guest_stat(tree->guest, "/nothing", &stat));
	assert_int_equal(stat.kind, GUEST_MISSING);
	expect_ok(guest_list(tree->guest, "/srv/a", &names));
	assert_int_equal(names.count, 2);
	assert_string_equal(names.items[0], "one");
	assert_string_equal(names.items[1], "two");
	expect_ok(guest_list(tree->guest, "/nothing", &names));
	assert_int_equal(names.count, 2);
	expect_ok(guest_readlink(tree->guest, "/lib", &target));
	assert_string_equal(target, "usr/lib");
	expect_ok(guest_sha256(tree->guest, "/etc/empty", hex));
	assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void copies_out(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(server);
	CLEANUP_FREE char *out = xasprintf("%s/../out", tree->root);
	CLEANUP_FREE char *copy = xasprintf("%s/lib/os-release", out);
	CLEANUP_STRV struct strv paths = {0};
	CLEANUP_FREE char *data = NULL;
	size_t bytes;

	(void)state;
	assert_int_equal(mkdir(out, 0755), 0);
	strv_add(&paths, "/lib/os-release");
	strv_add(&paths, "/etc/empty");
	expect_ok(guest_copy_out(tree->guest, &paths, out));
	data = read_host(copy, &bytes);
	assert_string_equal(data, "ID=debian\n");
	strv_add(&paths, "/nothing");
	expect_error(guest_copy_out(tree->guest, &paths, out), ERR_FAILED, "/nothing");
}

static void writes(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(server);
	struct guest_stat stat = {.kind = GUEST_FILE, .mode = 0600, .uid = geteuid(), .gid = getegid()};
	CLEANUP_FREE char *outside = xasprintf("%s/../outside", tree->root);
	CLEANUP_FREE char *upload = tree_host_path(tree, "/srv/a/one");
	CLEANUP_STRV struct strv names = {0};
	CLEANUP_FREE char *link = NULL;
	CLEANUP_FREE char *a = NULL;
	CLEANUP_FREE char *b = NULL;
	struct guest_stat now;

	(void)state;
	/* Through links, into folders that are not there yet, never out of the guest. */
	expect_ok(guest_write(tree->guest, "/lib/new/deep/file", "x\0y", 3, &stat));
	expect_ok(guest_stat(tree->guest, "/usr/lib/new/deep/file", &now));
	assert_int_equal(now.kind, GUEST_FILE);
	assert_int_equal(now.size_bytes, 3);
	assert_int_equal(now.mode, 0600);
	expect_ok(guest_stat(tree->guest, "/usr/lib/new", &now));
	assert_int_equal(now.mode, 0755);
	expect_ok(guest_write(tree->guest, "/etc/outside", "inside", 6, &stat));
	assert_int_equal(access(outside, F_OK), -1);
	a = tree_read(tree, "/outside");
	assert_string_equal(a, "inside");
	expect_ok(guest_write(tree->guest, "/etc/os-release", "ID=new\n", 7, &stat));
	expect_ok(guest_readlink(tree->guest, "/etc/os-release", &link));
	assert_string_equal(link, "../usr/lib/os-release");

	expect_ok(guest_upload(tree->guest, "/boot/image", upload, &stat));
	b = tree_read(tree, "/boot/image");
	assert_string_equal(b, "1");
	expect_ok(guest_symlink(tree->guest, "/boot/link", "image"));
	expect_ok(guest_symlink(tree->guest, "/boot/link", "image2"));
	expect_ok(guest_rename(tree->guest, "/boot/image", "/boot/old/image2"));
	expect_ok(guest_keep(tree->guest, "/boot/old/image2", "/boot/kept"));
	expect_ok(guest_remove(tree->guest, "/boot/link"));
	expect_ok(guest_remove(tree->guest, "/boot/nothing"));
	expect_ok(guest_list(tree->guest, "/boot", &names));
	assert_int_equal(names.count, 2);
	assert_string_equal(names.items[0], "kept");
	assert_string_equal(names.items[1], "old");
	expect_error(guest_remove(tree->guest, "/boot/old"), ERR_FAILED, "/boot/old");
	expect_error(guest_write(tree->guest, "/etc/hostname/x", "", 0, &stat), ERR_FAILED, "not a folder");
	expect_ok(guest_sync(tree->guest));
}

static void keeps_extended_attributes(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(server);
	struct guest_stat stat = {.kind = GUEST_FILE, .mode = 0644, .uid = geteuid(), .gid = getegid()};
	CLEANUP_FREE char *host = tree_host_path(tree, "/etc/hostname");
	char value[16] = "";

	(void)state;
	if (setxattr(host, "user.label", "kept", 4, 0) < 0)
		skip();
	expect_ok(guest_write(tree->guest, "/etc/hostname", "new\n", 4, &stat));
	assert_int_equal(getxattr(host, "user.label", value, sizeof value), 4);
	assert_string_equal(value, "kept");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_through_links),
		cmocka_unit_test(resolves),
		cmocka_unit_test(tells_what_is_there),
		cmocka_unit_test(copies_out),
		cmocka_unit_test(writes),
		cmocka_unit_test(keeps_extended_attributes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
