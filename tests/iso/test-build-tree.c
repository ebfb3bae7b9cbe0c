/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>

#include "iso/build-tree.h"
#include "p2v/base/mem.h"
#include "p2v/base/scratch.h"
#include "p2v/base/strv.h"
#include "tests/base/lib-must.h"
#include "tests/iso/lib-folder.h"

#define EPOCH 1700000000

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static char *read_file(const char *path, size_t *ret_bytes)
{
	FILE *file = fopen(path, "r");
	char *data = xmalloc(1 << 20);

	assert_non_null(file);
	*ret_bytes = fread(data, 1, 1 << 20, file);
	fclose(file);
	return data;
}

/* The same things, in one order or the other. */
static void fill(struct image_tree *tree, const char *source, bool backwards)
{
	for (int i = 0; i < 5; i++) {
		switch (backwards ? 4 - i : i) {
		case 0:
			image_tree_add_file(tree, "/usr/bin/tool", 0755, source);
			break;
		case 1:
			image_tree_add_text(tree, "/etc/name", 0644, "p2v\n");
			break;
		case 2:
			image_tree_add_link(tree, "/bin", "usr/bin");
			break;
		case 3:
			image_tree_add_device(tree, "/dev/console", 0600, makedev(5, 1));
			break;
		case 4:
			image_tree_add_folder(tree, "/tmp", 01777);
			break;
		}
	}
}

static char *write_tree(const char *name, const char *source, bool backwards)
{
	CLEANUP_IMAGE_TREE struct image_tree *tree = image_tree_create();
	char *path = scratch_file(folder, name);

	fill(tree, source, backwards);
	must(image_tree_write(tree, path, EPOCH));
	return path;
}

/* "path mode content" of each entry, as another's reader sees them. */
static void list_archive(const char *path, struct strv *lines)
{
	struct archive *archive = archive_read_new();
	struct archive_entry *entry;

	archive_read_support_filter_zstd(archive);
	archive_read_support_format_cpio(archive);
	assert_int_equal(archive_read_open_filename(archive, path, 65536), ARCHIVE_OK);
	while (archive_read_next_header(archive, &entry) == ARCHIVE_OK) {
		char content[256] = "";

		if (archive_entry_symlink(entry))
			snprintf(content, sizeof content, "%s", archive_entry_symlink(entry));
		else if (archive_entry_filetype(entry) == AE_IFREG)
			archive_read_data(archive, content, sizeof content - 1);
		else if (archive_entry_filetype(entry) == AE_IFCHR)
			snprintf(content, sizeof content, "%u:%u", (unsigned)archive_entry_rdevmajor(entry),
				 (unsigned)archive_entry_rdevminor(entry));
		assert_int_equal(archive_entry_mtime(entry), EPOCH);
		assert_int_equal(archive_entry_uid(entry), 0);
		assert_int_equal(archive_entry_gid(entry), 0);
		strv_addf(lines, "%s %o %s", archive_entry_pathname(entry), archive_entry_mode(entry),
			  content);
	}
	archive_read_free(archive);
}

static void test_content(void **state)
{
	static const char *const wanted[] = {
		"bin 120777 usr/bin",
		"dev 40755 ",
		"dev/console 20600 5:1",
		"etc 40755 ",
		"etc/name 100644 p2v\n",
		"tmp 41777 ",
		"usr 40755 ",
		"usr/bin 40755 ",
		"usr/bin/tool 100755 the tool",
	};
	CLEANUP_FREE char *source = scratch_file(folder, "source");
	CLEANUP_FREE char *path = NULL;
	CLEANUP_STRV struct strv lines = {0};

	(void)state;
	write_text(source, "the tool");
	path = write_tree("content", source, false);
	list_archive(path, &lines);
	assert_int_equal(lines.count, sizeof wanted / sizeof *wanted);
	for (size_t i = 0; i < lines.count; i++)
		assert_string_equal(lines.items[i], wanted[i]);
}

static void test_order_and_dates_do_not_matter(void **state)
{
	CLEANUP_FREE char *source = scratch_file(folder, "source2");
	CLEANUP_FREE char *one = NULL;
	CLEANUP_FREE char *other = NULL;
	CLEANUP_FREE char *a = NULL;
	CLEANUP_FREE char *b = NULL;
	size_t a_bytes, b_bytes;

	(void)state;
	write_text(source, "the tool");
	one = write_tree("one", source, false);
	assert_int_equal(unlink(source), 0);
	write_text(source, "the tool");
	assert_int_equal(chmod(source, 0600), 0);
	other = write_tree("other", source, true);
	a = read_file(one, &a_bytes);
	b = read_file(other, &b_bytes);
	assert_int_equal(a_bytes, b_bytes);
	assert_memory_equal(a, b, a_bytes);
}

/* What is added first stays. */
static void test_twice(void **state)
{
	CLEANUP_IMAGE_TREE struct image_tree *tree = image_tree_create();
	CLEANUP_FREE char *path = scratch_file(folder, "twice");
	CLEANUP_STRV struct strv lines = {0};

	(void)state;
	image_tree_add_text(tree, "/a", 0644, "first");
	image_tree_add_text(tree, "/a", 0600, "second");
	must(image_tree_write(tree, path, EPOCH));
	list_archive(path, &lines);
	assert_int_equal(lines.count, 1);
	assert_string_equal(lines.items[0], "a 100644 first");
}

static void test_source_that_is_not_there(void **state)
{
	CLEANUP_IMAGE_TREE struct image_tree *tree = image_tree_create();
	CLEANUP_FREE char *path = scratch_file(folder, "gone");

	(void)state;
	image_tree_add_file(tree, "/a", 0644, "/nonexistent/file");
	must_fail_with(image_tree_write(tree, path, EPOCH), "/nonexistent/file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_content),
		cmocka_unit_test(test_order_and_dates_do_not_matter),
		cmocka_unit_test(test_twice),
		cmocka_unit_test(test_source_that_is_not_there),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
