/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/guest/lib-conformance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/guest/guest-impl.h"
#include "tests/base/lib-must.h"

const struct tree_entry conformance_tree[] = {
	{"/usr/lib/os-release", "ID=debian\nVERSION_ID=\"12\"\n"},
	{"/etc/os-release", "->../usr/lib/os-release"},
	{"/lib", "->usr/lib"},
	{"/bin", "->usr/bin"},
	{"/usr/bin/", NULL},
	{"/etc/hostname", "server\n"},
	{"/etc/empty", ""},
	{"/etc/absolute", "->/etc/hostname"},
	{"/etc/up", "->../../../../../etc/hostname"},
	{"/etc/outside", "->../../outside"},
	{"/etc/loop", "->loop"},
	{"/etc/dangling", "->/nowhere/at/all"},
	{"/etc/odd name[1]*", "odd\n"},
	{"/srv/a/two", "2"},
	{"/srv/a/one", "1"},
	{"/srv/a.b", "dot"},
	{"/srv/empty/", NULL},
	{"/usr/lib/modules/6.1/kernel/a/one.ko", "module one"},
	{"/usr/lib/modules/6.1/kernel/a/two.ko", "module two"},
	{"/usr/lib/modules/6.1/kernel/b/c/three.ko", "module three"},
	{"/usr/lib/modules/6.1/kernel/b/other.ko", "not wanted"},
	{"/usr/lib/modules/6.1/kernel/b/same.ko", "->../a/one.ko"},
	{"/usr/lib/modules/6.1/modules.dep", "kernel/a/one.ko:\n"},
	{NULL},
};

static void expect_content(struct guest *guest, const char *path, const char *content)
{
	CLEANUP_FREE char *data = NULL;
	size_t bytes = 0;

	must(guest_read(guest, path, &data, &bytes));
	if (!content && data)
		fail_msg("%s is there", path);
	if (content && !data)
		fail_msg("%s is not there", path);
	if (content) {
		assert_string_equal(data, content);
		assert_int_equal(bytes, strlen(content));
	}
}

static void check_content(struct guest *guest)
{
	static const struct {
		const char *path;
		const char *content; /* NULL: missing */
	} cases[] = {
		{"/etc/hostname", "server\n"},
		{"/etc/empty", ""},
		{"/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n"},
		{"/lib/os-release", "ID=debian\nVERSION_ID=\"12\"\n"},
		{"/etc/absolute", "server\n"},
		{"/etc/up", "server\n"},
		{"/etc/odd name[1]*", "odd\n"},
		{"//etc/../etc//./hostname", "server\n"},
		{"/../etc/hostname", "server\n"},
		{"/etc/outside", NULL},
		{"/etc/loop", NULL},
		{"/etc/dangling", NULL},
		{"/etc/hostname/below-a-file", NULL},
		{"/nothing", NULL},
		{"/lib/nothing/at/all", NULL},
	};
	char *data;
	size_t bytes;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		expect_content(guest, cases[i].path, cases[i].content);
	must_fail_as(guest_read(guest, "etc/hostname", &data, &bytes), ERR_FAILED, "absolute");
	must_fail_as(guest_read(guest, "/srv", &data, &bytes), ERR_FAILED, "regular file");
}

static void check_resolving(struct guest *guest)
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
	char *ignored;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_FREE char *resolved = NULL;

		must(guest_resolve(guest, cases[i].path, cases[i].flags, &resolved));
		assert_string_equal(resolved, cases[i].resolved);
	}
	must_fail_as(guest_resolve(guest, "/etc/loop", 0, &ignored), ERR_FAILED, "/etc/loop");
}

static void expect_kind(struct guest *guest, const char *path, enum guest_kind kind, enum guest_kind own_kind)
{
	struct guest_stat stat;

	must(guest_stat(guest, path, &stat));
	if (stat.kind != kind)
		fail_msg("%s: kind %d", path, stat.kind);
	must(guest_lstat(guest, path, &stat));
	if (stat.kind != own_kind)
		fail_msg("%s itself: kind %d", path, stat.kind);
}

static void expect_names(struct guest *guest, const char *path, const char *joined)
{
	CLEANUP_STRV struct strv names = {0};
	CLEANUP_TEXT struct text text = {0};

	must(guest_list(guest, path, &names));
	for (size_t i = 0; i < names.count; i++)
		text_addf(&text, "%s%s", i ? " " : "", names.items[i]);
	assert_string_equal(text.data ? text.data : "", joined);
}

void conformance_check_reading(struct guest *guest)
{
	CLEANUP_FREE char *target = NULL;
	CLEANUP_FREE char *none = NULL;
	char hex[GUEST_SHA256_TEXT_BYTES];
	struct guest_space space;
	struct guest_stat stat;

	check_content(guest);
	check_resolving(guest);
	expect_kind(guest, "/etc/hostname", GUEST_FILE, GUEST_FILE);
	expect_kind(guest, "/etc/absolute", GUEST_FILE, GUEST_SYMLINK);
	expect_kind(guest, "/etc/dangling", GUEST_MISSING, GUEST_SYMLINK);
	expect_kind(guest, "/etc/loop", GUEST_MISSING, GUEST_SYMLINK);
	expect_kind(guest, "/lib", GUEST_DIRECTORY, GUEST_SYMLINK);
	expect_kind(guest, "/lib/modules", GUEST_DIRECTORY, GUEST_DIRECTORY);
	expect_kind(guest, "/nothing", GUEST_MISSING, GUEST_MISSING);
	expect_kind(guest, "/etc/hostname/x", GUEST_MISSING, GUEST_MISSING);
	must(guest_stat(guest, "/etc/absolute", &stat));
	assert_int_equal(stat.size_bytes, 7);
	assert_int_equal(stat.mode, 0644);
	expect_names(guest, "/srv/a", "one two");
	expect_names(guest, "/lib/modules/6.1/kernel", "a b");
	expect_names(guest, "/srv/empty", "");
	expect_names(guest, "/nothing", "");
	must(guest_readlink(guest, "/lib", &target));
	assert_string_equal(target, "usr/lib");
	must(guest_readlink(guest, "/etc/hostname", &none));
	assert_null(none);
	must(guest_sha256(guest, "/etc/empty", hex));
	assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	must(guest_find_space(guest, "/not/there/yet", &space));
	assert_true(space.free_bytes > 0);
}

static void expect_host_content(const char *dir, const char *path, const char *content)
{
	CLEANUP_FREE char *host_path = xasprintf("%s%s", dir, path);
	CLEANUP_FREE char *data = NULL;
	size_t bytes = 0;

	data = read_host(host_path, &bytes);
	if (content && !data)
		fail_msg("%s was not copied", path);
	if (content)
		assert_string_equal(data, content);
	else
		assert_null(data);
}

void conformance_check_copying(struct guest *guest, const char *host_dir)
{
	static const char *const modules[] = {
		"/lib/modules/6.1/kernel/a/one.ko",
		"/lib/modules/6.1/kernel/a/two.ko",
		"/lib/modules/6.1/kernel/b/c/three.ko",
		"/usr/lib/modules/6.1/kernel/a/two.ko",
		"/lib/modules/6.1/kernel/b/same.ko",
		"/etc/odd name[1]*",
		"/etc/empty",
		"/srv/a.b",
		"/srv/a/one",
	};
	CLEANUP_STRV struct strv paths = {0};

	for (size_t i = 0; i < sizeof modules / sizeof *modules; i++)
		strv_add(&paths, modules[i]);
	must(guest_copy_out(guest, &paths, host_dir));
	expect_host_content(host_dir, "/lib/modules/6.1/kernel/a/one.ko", "module one");
	expect_host_content(host_dir, "/lib/modules/6.1/kernel/b/c/three.ko", "module three");
	expect_host_content(host_dir, "/lib/modules/6.1/kernel/b/same.ko", "module one");
	expect_host_content(host_dir, "/usr/lib/modules/6.1/kernel/a/two.ko", "module two");
	expect_host_content(host_dir, "/lib/modules/6.1/kernel/a/two.ko", "module two");
	expect_host_content(host_dir, "/lib/modules/6.1/kernel/b/other.ko", NULL);
	expect_host_content(host_dir, "/etc/odd name[1]*", "odd\n");
	expect_host_content(host_dir, "/etc/empty", "");
	expect_host_content(host_dir, "/srv/a.b", "dot");
	strv_add(&paths, "/lib/modules/6.1/kernel/b/nothing.ko");
	must_fail_as(guest_copy_out(guest, &paths, host_dir), ERR_FAILED, "nothing.ko");
}

static void expect_mode(struct guest *guest, const char *path, mode_t mode)
{
	struct guest_stat stat;

	must(guest_stat(guest, path, &stat));
	assert_int_equal(stat.mode, mode);
	assert_int_equal(stat.uid, geteuid());
}

void conformance_check_writing(struct guest *guest, const char *host_dir)
{
	const struct guest_stat stat = {.kind = GUEST_FILE, .mode = 0600, .uid = geteuid(), .gid = getegid()};
	CLEANUP_FREE char *host_file = xasprintf("%s/upload", host_dir);
	CLEANUP_FREE char *link = NULL;
	FILE *file = fopen(host_file, "we");

	assert_non_null(file);
	fputs("uploaded", file);
	fclose(file);

	/* Through links, into folders that are not there yet, never out of the guest. */
	must(guest_write(guest, "/lib/new/deep/file", "xyz", 3, &stat));
	expect_content(guest, "/usr/lib/new/deep/file", "xyz");
	expect_mode(guest, "/usr/lib/new/deep/file", 0600);
	expect_mode(guest, "/usr/lib/new", 0755);
	must(guest_write(guest, "/etc/outside", "inside", 6, &stat));
	expect_content(guest, "/outside", "inside");
	must(guest_write(guest, "/etc/os-release", "ID=new\n", 7, &stat));
	expect_content(guest, "/lib/os-release", "ID=new\n");
	must(guest_readlink(guest, "/etc/os-release", &link));
	assert_string_equal(link, "../usr/lib/os-release");
	expect_names(guest, "/lib/new/deep", "file");

	must(guest_upload(guest, "/boot/image", host_file, &stat));
	expect_content(guest, "/boot/image", "uploaded");
	must(guest_symlink(guest, "/boot/link", "image"));
	must(guest_symlink(guest, "/boot/link", "old/image2"));
	must(guest_rename(guest, "/boot/image", "/boot/old/image2"));
	expect_content(guest, "/boot/link", "uploaded");
	expect_content(guest, "/boot/image", NULL);
	must(guest_keep(guest, "/boot/old/image2", "/boot/kept"));
	must(guest_write(guest, "/boot/old/image2", "replaced", 8, &stat));
	expect_content(guest, "/boot/kept", "uploaded");
	expect_content(guest, "/boot/link", "replaced");
	must(guest_remove(guest, "/boot/link"));
	must(guest_remove(guest, "/boot/nothing"));
	expect_names(guest, "/boot", "kept old");
	must_fail_as(guest_remove(guest, "/boot/old"), ERR_FAILED, "/boot/old");
	must_fail_as(guest_write(guest, "/etc/hostname/x", "", 0, &stat), ERR_FAILED, "not a folder");
	must(guest_sync(guest));
}
