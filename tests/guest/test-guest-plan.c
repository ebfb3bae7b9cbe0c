/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Plans: a view of what will be, a faithful report, and changes exactly as planned. */
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/guest/guest-impl.h"
#include "p2v/guest/plan.h"
#include "tests/base/lib-must.h"
#include "tests/guest/lib-tree.h"

static const struct tree_entry server[] = {
	{"/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n"},
	{"/etc/latin1", "caf\xe9\n"},
	{"/lib", "->usr/lib"},
	{"/usr/lib/systemd/system/getty.service", "[Unit]\n"},
	{"/boot/initrd.img", "old initramfs"},
	{"/etc/mtab", "->/proc/mounts"},
	{NULL},
};

static void expect_view(struct plan *plan, const char *path, const char *content)
{
	CLEANUP_FREE char *data = NULL;
	size_t bytes;

	must(plan_read(plan, path, &data, &bytes));
	if (content) {
		assert_non_null(data);
		assert_string_equal(data, content);
		assert_int_equal(bytes, strlen(content));
	} else {
		assert_null(data);
	}
}

static void expect_names(struct plan *plan, const char *path, const char *joined)
{
	CLEANUP_STRV struct strv names = {0};
	CLEANUP_TEXT struct text text = {0};

	must(plan_list(plan, path, &names));
	for (size_t i = 0; i < names.count; i++)
		text_addf(&text, "%s%s", i ? " " : "", names.items[i]);
	assert_string_equal(text.data ? text.data : "", joined);
}

static void write_text(struct plan *plan, const char *path, const char *content)
{
	must(plan_write(plan, path, content, strlen(content), "because of %s", path));
}

static char *make_host_file(const struct tree *tree, const char *content)
{
	char *path = xasprintf("%s/../upload", tree->root);
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	fputs(content, file);
	fclose(file);
	return path;
}

static void view_follows_changes(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(server);
	CLEANUP_PLAN struct plan *plan = plan_create(tree->guest);
	CLEANUP_FREE char *untouched = NULL;
	struct guest_stat stat;

	(void)state;
	write_text(plan, "/etc/fstab", "UUID=1 / ext4\n");
	expect_view(plan, "/etc/fstab", "UUID=1 / ext4\n");
	write_text(plan, "/etc/fstab", "UUID=1 / ext4 ro\n");
	expect_view(plan, "/etc/fstab", "UUID=1 / ext4 ro\n");

	/* A new file in new folders, seen through a link, listed and stat'ed. */
	write_text(plan, "/lib/systemd/network/10.link", "[Match]\n");
	expect_view(plan, "/usr/lib/systemd/network/10.link", "[Match]\n");
	expect_names(plan, "/lib/systemd", "network system");
	must(plan_stat(plan, "/lib/systemd/network", &stat));
	assert_int_equal(stat.kind, GUEST_DIRECTORY);
	must(plan_stat(plan, "/lib/systemd/network/10.link", &stat));
	assert_int_equal(stat.kind, GUEST_FILE);
	assert_int_equal(stat.size_bytes, 8);
	assert_int_equal(stat.mode, PLAN_MODE);

	/* Links that are only planned are followed too. */
	must(plan_symlink(plan, "/etc/systemd/system/a.service", "/lib/systemd/system/getty.service", "x"));
	expect_view(plan, "/etc/systemd/system/a.service", "[Unit]\n");
	write_text(plan, "/etc/systemd/system/a.service", "[Unit]\n# more\n");
	expect_view(plan, "/usr/lib/systemd/system/getty.service", "[Unit]\n# more\n");

	must(plan_remove(plan, "/etc/latin1", "x"));
	expect_view(plan, "/etc/latin1", NULL);
	expect_names(plan, "/etc", "fstab mtab systemd");
	write_text(plan, "/etc/latin1", "");
	expect_view(plan, "/etc/latin1", "");

	untouched = tree_read(tree, "/etc/fstab");
	assert_string_equal(untouched, "/dev/sda1 / ext4 defaults 0 1\n");
}

static void nothing_to_do_is_not_recorded(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(server);
	CLEANUP_PLAN struct plan *plan = plan_create(tree->guest);
	CLEANUP_FREE char *host_file = make_host_file(tree, "old initramfs");

	(void)state;
	write_text(plan, "/etc/fstab", "/dev/sda1 / ext4 defaults 0 1\n");
	must(plan_upload(plan, "/boot/initrd.img", host_file, "/boot/old", "x"));
	must(plan_symlink(plan, "/lib", "usr/lib", "x"));
	must(plan_remove(plan, "/etc/nothing", "x"));
	plan_add_finding(plan, FINDING_NOTE, "only said");
	assert_true(plan_is_empty(plan));
	must(plan_apply(plan, NULL));
	write_text(plan, "/etc/nothing", "");
	assert_false(plan_is_empty(plan));
}

static void what_cannot_be_is_an_error(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(server);
	CLEANUP_PLAN struct plan *plan = plan_create(tree->guest);

	(void)state;
	must_fail_as(plan_write(plan, "/etc", "", 0, "x"), ERR_FAILED, "/etc: cannot be written");
	must_fail_as(plan_remove(plan, "/etc", "x"), ERR_FAILED, "3 entries");
	must_fail_as(plan_symlink(plan, "/etc", "usr", "x"), ERR_FAILED, "/etc: a folder");
	must_fail_as(plan_write(plan, "etc/x", "", 0, "x"), ERR_FAILED, "absolute");
	must_fail_as(plan_upload(plan, "/x", "/no/such/file", NULL, "x"), ERR_FAILED, "/no/such/file");
	assert_true(plan_is_empty(plan));
}

static void applies_in_order(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(server);
	struct plan *plan = plan_create(tree->guest);
	CLEANUP_FREE char *host_file = make_host_file(tree, "new initramfs");
	CLEANUP_FREE char *fstab_host = tree_host_path(tree, "/etc/fstab");
	CLEANUP_FREE char *a = NULL;
	CLEANUP_FREE char *b = NULL;
	CLEANUP_FREE char *c = NULL;
	CLEANUP_FREE char *d = NULL;
	CLEANUP_FREE char *link = NULL;
	struct guest_stat stat;

	(void)state;
	assert_int_equal(chmod(fstab_host, 0600), 0);
	write_text(plan, "/etc/fstab", "first\n");
	write_text(plan, "/etc/fstab", "second\n");
	must(plan_remove(plan, "/etc/latin1", "x"));
	must(plan_upload(plan, "/boot/initrd.img", host_file, "/boot/old/initrd.img", "drivers"));
	expect_view(plan, "/boot/initrd.img", "new initramfs");
	expect_view(plan, "/boot/old/initrd.img", "old initramfs");
	expect_names(plan, "/boot", "initrd.img old");
	must(plan_symlink(plan, "/etc/mtab", "../proc/self/mounts", "x"));
	if (geteuid() == 0)
		write_text(plan, "/lib/modules-load.d/p2v.conf", "hv_vmbus\n");
	must(plan_apply(plan, NULL));

	a = tree_read(tree, "/etc/fstab");
	assert_string_equal(a, "second\n");
	must(guest_stat(tree->guest, "/etc/fstab", &stat));
	assert_int_equal(stat.mode, 0600);
	b = tree_read(tree, "/boot/initrd.img");
	assert_string_equal(b, "new initramfs");
	c = tree_read(tree, "/boot/old/initrd.img");
	assert_string_equal(c, "old initramfs");
	assert_null(tree_read(tree, "/etc/latin1"));
	must(guest_readlink(tree->guest, "/etc/mtab", &link));
	assert_string_equal(link, "../proc/self/mounts");
	d = tree_read(tree, "/usr/lib/modules-load.d/p2v.conf");
	if (geteuid() == 0)
		assert_string_equal(d, "hv_vmbus\n");

	assert_int_equal(access(host_file, F_OK), 0);
	plan_destroy(plan);
	assert_int_equal(access(host_file, F_OK), -1);
}

static void older_backups_stay(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(server);

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		CLEANUP_PLAN struct plan *plan = plan_create(tree->guest);
		CLEANUP_FREE char *content = xasprintf("initramfs %u", i);
		CLEANUP_FREE char *host_file = make_host_file(tree, content);

		must(plan_upload(plan, "/boot/initrd.img", host_file, "/boot/old", "x"));
		must(plan_apply(plan, NULL));
	}
	for (unsigned i = 0; i < 3; i++) {
		static const char *const names[] = {"/boot/old", "/boot/old.2", "/boot/old.3"};
		static const char *const contents[] = {"old initramfs", "initramfs 0", "initramfs 1"};
		CLEANUP_FREE char *data = tree_read(tree, names[i]);

		assert_string_equal(data, contents[i]);
	}
}

static void stops_before_the_first_change(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(server);
	CLEANUP_PLAN struct plan *plan = plan_create(tree->guest);

	(void)state;
	write_text(plan, "/etc/new", "x");
	plan_add_finding(plan, FINDING_STOP, "%s", "the disk is upside down");
	must_fail_as(plan_apply(plan, NULL), ERR_REFUSED, "upside down");
	assert_null(tree_read(tree, "/etc/new"));
}

/* A file system of one MiB, in a mount namespace of ours. */
static void refuses_what_does_not_fit(void **state)
{
	bool may_mount = unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
	CLEANUP_TREE struct tree *tree = tree_create(server);
	CLEANUP_PLAN struct plan *plan = plan_create(tree->guest);
	CLEANUP_FREE char *boot = tree_host_path(tree, "/boot");
	CLEANUP_FREE char *content = xcalloc(1, 700 << 10);
	struct guest_space space;

	(void)state;
	if (!may_mount || mount("tmpfs", boot, "tmpfs", 0, "size=1m") < 0) {
		print_message("not allowed to mount: skipped\n");
		skip();
	}
	must(guest_find_space(tree->guest, "/boot/a/b/c", &space));
	assert_int_equal(space.free_bytes, 1 << 20);
	write_text(plan, "/etc/small", "x");
	must(plan_write(plan, "/boot/image", content, 700 << 10, "fits"));
	content[0] = 'x';
	/* Each content fits, but not both at once while the second replaces the first. */
	must(plan_write(plan, "/boot/image", content, 700 << 10, "x"));
	must_fail_as(plan_apply(plan, NULL), ERR_REFUSED, "/boot/image has 1024 KiB free");
	assert_null(tree_read(tree, "/etc/small"));
	umount(boot);
}

static void formats_for_people(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(server);
	CLEANUP_PLAN struct plan *plan = plan_create(tree->guest);
	CLEANUP_FREE char *host_file = make_host_file(tree, "new initramfs");
	CLEANUP_TEXT struct text text = {0};

	(void)state;
	plan_set_author(plan, "boot-fix/fstab");
	must(plan_write(plan, "/etc/fstab", "UUID=1 / ext4 defaults 0 1\n", 27, "%s goes away", "sda1"));
	plan_set_author(plan, "inject-drivers/linux");
	must(plan_upload(plan, "/boot/initrd.img", host_file, "/boot/old", "lacks virtio_blk"));
	must(plan_symlink(plan, "/etc/mtab", "/dev/null", "x"));
	plan_add_finding(plan, FINDING_WARNING, "smartd is enabled");
	must(plan_format(plan, &text));
	assert_string_equal(text.data,
			    "boot-fix/fstab: change /etc/fstab: sda1 goes away\n"
			    "--- a/etc/fstab\n+++ b/etc/fstab\n@@ -1 +1 @@\n"
			    "-/dev/sda1 / ext4 defaults 0 1\n+UUID=1 / ext4 defaults 0 1\n\n"
			    "inject-drivers/linux: change /boot/initrd.img: lacks virtio_blk\n"
			    "the old file is kept as /boot/old\n"
			    "- 13 bytes, sha256 "
			    "0d3948ead022138da52496da4a84eda083ad8b53786c65e4217cc30e850f9325\n"
			    "+ 13 bytes, sha256 "
			    "8f0218e6692f4dee77f82ed1204d2d960fdd84a14de50d16d5d6951a3bcf2da0\n\n"
			    "inject-drivers/linux: link /etc/mtab: x\n- -> /proc/mounts\n+ -> /dev/null\n\n"
			    "inject-drivers/linux: warning: smartd is enabled\n");
}

static void reports_what_undo_needs(void **state)
{
	CLEANUP_TREE struct tree *tree = tree_create(server);
	CLEANUP_PLAN struct plan *plan = plan_create(tree->guest);
	CLEANUP_FREE char *host_file = make_host_file(tree, "new initramfs");
	CLEANUP_JSON json_t *json = NULL;
	const json_t *changes;
	const json_t *change;

	(void)state;
	write_text(plan, "/etc/fstab", "new\n");
	write_text(plan, "/etc/created", "new\n");
	must(plan_remove(plan, "/etc/latin1", "x"));
	must(plan_upload(plan, "/boot/initrd.img", host_file, "/boot/old", "x"));
	plan_add_finding(plan, FINDING_NOTE, "a note");
	must(plan_to_json(plan, &json));
	changes = json_object_get(json, "changes");
	assert_int_equal(json_array_size(changes), 4);
	change = json_array_get(changes, 0);
	assert_string_equal(json_string_or(change, "action", ""), "change");
	assert_string_equal(json_string_or(change, "diff", ""),
			    "--- a/etc/fstab\n+++ b/etc/fstab\n@@ -1 +1 @@\n"
			    "-/dev/sda1 / ext4 defaults 0 1\n+new\n");
	assert_int_equal(json_integer_value(json_object_get(json_object_get(change, "before"), "mode")),
			 0644);
	change = json_array_get(changes, 1);
	assert_string_equal(json_string_or(change, "action", ""), "create");
	assert_true(json_is_null(json_object_get(change, "before")));
	change = json_array_get(changes, 2);
	assert_string_equal(json_string_or(change, "action", ""), "remove");
	assert_string_equal(json_string_or(change, "before_base64", ""), "Y2Fm6Qo=");
	assert_true(json_is_null(json_object_get(change, "after")));
	change = json_array_get(changes, 3);
	assert_string_equal(json_string_or(change, "backup_path", ""), "/boot/old");
	assert_null(json_object_get(change, "diff"));
	assert_string_equal(
		json_string_or(json_array_get(json_object_get(json, "findings"), 0), "severity", ""), "note");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(view_follows_changes),	      cmocka_unit_test(nothing_to_do_is_not_recorded),
		cmocka_unit_test(what_cannot_be_is_an_error), cmocka_unit_test(applies_in_order),
		cmocka_unit_test(older_backups_stay),	      cmocka_unit_test(stops_before_the_first_change),
		cmocka_unit_test(refuses_what_does_not_fit),  cmocka_unit_test(formats_for_people),
		cmocka_unit_test(reports_what_undo_needs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
