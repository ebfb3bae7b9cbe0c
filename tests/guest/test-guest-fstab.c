/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fstab: what is not changed stays to the byte, and columns stay in place. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/guest/fstab.h"
#include "tests/guest/lib-tree.h"

static const char debian[] = "# /etc/fstab: static file system information.\n"
			     "#\n"
			     "# <file system> <mount point>   <type>  <options>       <dump>  <pass>\n"
			     "/dev/sda1       /               ext4    errors=remount-ro 0       1\n"
			     "\n"
			     "UUID=aa-bb none swap sw 0 0 # behind\n"
			     "LABEL=My\\040Disk\t/mnt/a\\040b\tauto\n"
			     "tmpfs /tmp\n"
			     "nonsense\n"
			     "   \t\n"
			     "/dev/sdb1 /srv xfs nofail,x-systemd.device-timeout=5 0 2";

static void reads_entries(void **state)
{
	static const struct fstab_entry expected[] = {
		{"/dev/sda1", "/", "ext4", "errors=remount-ro", 0, 1},
		{"UUID=aa-bb", "none", "swap", "sw", 0, 0},
		{"LABEL=My Disk", "/mnt/a b", "auto", "defaults", 0, 0},
		{"tmpfs", "/tmp", "auto", "defaults", 0, 0},
		{"/dev/sdb1", "/srv", "xfs", "nofail,x-systemd.device-timeout=5", 0, 2},
	};
	CLEANUP_FSTAB struct fstab *fstab = fstab_parse(debian);
	CLEANUP_FREE char *same = fstab_format(fstab);
	CLEANUP_FREE char *value = NULL;

	(void)state;
	assert_string_equal(same, debian);
	assert_int_equal(fstab_count(fstab), sizeof expected / sizeof *expected);
	for (size_t i = 0; i < fstab_count(fstab); i++) {
		const struct fstab_entry *entry = fstab_entry(fstab, i);

		assert_string_equal(entry->spec, expected[i].spec);
		assert_string_equal(entry->file, expected[i].file);
		assert_string_equal(entry->type, expected[i].type);
		assert_string_equal(entry->options, expected[i].options);
		assert_int_equal(entry->freq, expected[i].freq);
		assert_int_equal(entry->passno, expected[i].passno);
	}
	assert_null(fstab_entry(fstab, 5));
	assert_string_equal(fstab_find_file(fstab, "/srv")->spec, "/dev/sdb1");
	assert_null(fstab_find_file(fstab, "/boot"));
	assert_true(
		fstab_has_option("nofail,x-systemd.device-timeout=5", "x-systemd.device-timeout", &value));
	assert_string_equal(value, "5");
	assert_true(fstab_has_option("rw,nofail", "nofail", NULL));
	assert_false(fstab_has_option("nofail2,xnofail,no", "nofail", NULL));
}

static void changes_one_field(void **state)
{
	static const struct {
		const char *before, *spec, *after;
	} cases[] = {
		{"/dev/sda1 / ext4\n", "UUID=1234", "UUID=1234 / ext4\n"},
		{"/dev/sda1       / ext4\n", "UUID=1234", "UUID=1234       / ext4\n"},
		{"/dev/sda1       / ext4\n", "UUID=1234567", "UUID=1234567    / ext4\n"},
		{"/dev/sda1       / ext4\n", "UUID=12345678901234", "UUID=12345678901234 / ext4\n"},
		{"/dev/sda1\t/\text4\n", "UUID=1234567", "UUID=1234567\t/\text4\n"},
		{"/dev/sda1\t\t/\text4\n", "UUID=12345678901234", "UUID=12345678901234\t/\text4\n"},
		{"/dev/sda1\t/\text4\n", "UUID=12345678901234", "UUID=12345678901234\t/\text4\n"},
		{"UUID=12345678901234\t/\n", "/dev/sda1", "/dev/sda1\t\t/\n"},
		{"  /dev/sda1  /  ext4  ", "LABEL=a b#\\", "  LABEL=a\\040b\\043\\134 /  ext4  "},
		{"# x\n\n/dev/sda1 /\n# y", "UUID=1", "# x\n\nUUID=1    /\n# y"},
		{"/dev/sda1 / ext4\r\n", "UUID=1234", "UUID=1234 / ext4\r\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		CLEANUP_FSTAB struct fstab *fstab = fstab_parse(cases[i].before);
		CLEANUP_FREE char *after = NULL;

		fstab_set_spec(fstab, 0, cases[i].spec);
		after = fstab_format(fstab);
		assert_string_equal(after, cases[i].after);
		assert_string_equal(fstab_entry(fstab, 0)->spec, cases[i].spec);
	}
}

static void changes_options_and_comments_out(void **state)
{
	CLEANUP_FSTAB struct fstab *fstab = fstab_parse("a /a ext4 rw,_netdev 0 2\nb /b xfs rw\nc /c\n");
	CLEANUP_FREE char *text = NULL;

	(void)state;
	fstab_set_options(fstab, 0, "rw");
	fstab_set_options(fstab, 1, "ro");
	fstab_set_options(fstab, 2, "ignored: the line has no such field");
	fstab_comment_out(fstab, 1);
	text = fstab_format(fstab);
	assert_string_equal(text, "a /a ext4 rw         0 2\n#b /b xfs ro\nc /c\n");
	assert_int_equal(fstab_count(fstab), 2);
	assert_string_equal(fstab_entry(fstab, 1)->file, "/c");
}

static void empty_and_missing(void **state)
{
	static const char *const texts[] = {NULL, "", "\n", "\n\n", "#", "x"};

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		CLEANUP_FSTAB struct fstab *fstab = fstab_parse(texts[i]);
		CLEANUP_FREE char *text = fstab_format(fstab);

		assert_string_equal(text, texts[i] ? texts[i] : "");
		assert_int_equal(fstab_count(fstab), 0);
	}
}

/* Real files: unchanged to the byte, and again after every spec was set to itself. */
static void real_files(void **state)
{
	CLEANUP_FREE char *dir = corpus_path("linux-config/insights/fstab");
	DIR *entries;
	unsigned files = 0;

	(void)state;
	if (!dir) {
		print_message("no corpora here: skipped\n");
		skip();
	}
	entries = opendir(dir);
	assert_non_null(entries);
	for (const struct dirent *entry; (entry = readdir(entries));) {
		CLEANUP_FREE char *path = xasprintf("%s/%s", dir, entry->d_name);
		CLEANUP_FREE char *again = NULL;
		CLEANUP_FREE char *text = NULL;
		CLEANUP_FREE char *same = NULL;
		struct fstab *fstab;
		size_t bytes;

		if (entry->d_name[0] == '.')
			continue;
		text = read_host(path, &bytes);
		fstab = fstab_parse(text);
		same = fstab_format(fstab);
		assert_string_equal(same, text);
		assert_true(fstab_count(fstab) > 0);
		for (size_t i = 0; i < fstab_count(fstab); i++) {
			CLEANUP_FREE char *spec = xstrdup(fstab_entry(fstab, i)->spec);

			fstab_set_spec(fstab, i, spec);
		}
		again = fstab_format(fstab);
		assert_string_equal(again, text);
		fstab_destroy(fstab);
		files++;
	}
	closedir(entries);
	assert_true(files > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_entries),
		cmocka_unit_test(changes_one_field),
		cmocka_unit_test(changes_options_and_comments_out),
		cmocka_unit_test(empty_and_missing),
		cmocka_unit_test(real_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
