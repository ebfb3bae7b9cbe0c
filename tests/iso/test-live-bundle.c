/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What goes into a bundle, what must not, and where it is saved. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "iso/live-bundle.h"
#include "iso/live-stick.h"
#include "iso/live-tar.h"
#include "p2v/base/mem.h"
#include "p2v/base/run.h"
#include "p2v/base/scratch.h"
#include "tests/base/lib-loop.h"
#include "tests/base/lib-must.h"

static const struct {
	const char *text, *hidden;
} keys[] = {
	{"a p2v.key=ABCDE-FGHJK b\nc", "a p2v.key=*********** b\nc"},
	{"p2v.key=ABC", "p2v.key=***"},
	{"x \"p2v.key=AB CD\" y", "x \"p2v.key=*****\" y"},
	{"x p2v.key=\"AB CD\" y", "x p2v.key=\"*****\" y"},
	{"KEY=AB\tC key=\nkey=D", "KEY=**\tC key=\nkey=*"},
	{"\"quoted\" p2v.key=AB C", "\"quoted\" p2v.key=** C"},
	{"no such word", "no such word"},
	{"", ""},
};

static void test_key_is_hidden(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
		CLEANUP_FREE char *text = xstrdup(keys[i].text);

		live_bundle_hide_key(text);
		assert_string_equal(text, keys[i].hidden);
	}
}

static void write_file(const char *path, const void *data, size_t bytes)
{
	CLEANUP_FCLOSE FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, bytes, file), bytes);
}

/* The system's tar reads it; sizes around a block's end. */
static void test_tar(void **state)
{
	static const size_t sizes[] = {0, 1, 511, 512, 513, 100000};
	CLEANUP_TEXT struct text archive = {0};
	CLEANUP_FREE char *data = xcalloc(1, 100000), *path = NULL;
	struct scratch *scratch;

	(void)state;
	memset(data, 'x', 100000);
	must(scratch_create("/tmp", "p2v-test", &scratch));
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		CLEANUP_FREE char *name = xasprintf("folder/%zu", sizes[i]);

		live_tar_add(&archive, name, data, sizes[i]);
	}
	live_tar_end(&archive);
	path = xasprintf("%s/archive.tar", scratch_path(scratch));
	write_file(path, archive.data, archive.bytes);
	must_run((const char *const[]){"tar", "-C", scratch_path(scratch), "-xf", path, NULL});
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		CLEANUP_FREE char *name = xasprintf("%s/folder/%zu", scratch_path(scratch), sizes[i]);
		struct stat st;

		assert_int_equal(stat(name, &st), 0);
		assert_int_equal(st.st_size, sizes[i]);
	}
	scratch_destroy(scratch);
}

/* A stick's file system gets the file, and is not mounted afterwards. */
static void test_stick(void **state)
{
	struct live_stick stick = {.content = "ext4"};
	CLEANUP_FREE char *image = NULL, *path = NULL, *mount_dir = NULL;
	struct scratch *scratch;

	(void)state;
	must(scratch_create("/tmp", "p2v-test", &scratch));
	image = xasprintf("%s/image", scratch_path(scratch));
	path = xasprintf("%s/p2v-web1.tar.zst", scratch_path(scratch));
	mount_dir = xasprintf("%s/stick", scratch_path(scratch));
	write_file(image, "", 0);
	write_file(path, "bundle", 6);
	assert_int_equal(truncate(image, 8 << 20), 0);
	must_run((const char *const[]){"mkfs.ext4", "-q", "-F", image, NULL});
	stick.device = geteuid() ? NULL : loop_make(image);
	if (!stick.device) {
		scratch_destroy(scratch);
		skip();
	}
	must(live_stick_save(&stick, mount_dir, path));
	assert_int_equal(rmdir(mount_dir), 0);
	loop_remove(stick.device);
	must_run((const char *const[]){"debugfs", "-R", "dump /p2v-web1.tar.zst /dev/null", image, NULL});
	scratch_destroy(scratch);
}

/* Only what was brought along is offered, never a disk of the machine's, nor one that is to be sent. */
static void test_sticks(void **state)
{
	CLEANUP_MACHINE struct machine machine = {0};
	CLEANUP_LIVE_STICKS struct live_sticks sticks = {0};
	CLEANUP_STRV struct strv chosen = {0};
	static const struct {
		const char *source, *transport, *content;
		int is_removable, is_read_only;
	} disks[] = {
		{"/dev/sda", "sata", "vfat", 0, 0}, {"/dev/sdb", "usb", "vfat", 1, 0},
		{"/dev/sdc", "usb", "ext4", 1, 0},  {"/dev/sdd", "usb", "iso9660", 1, 0},
		{"/dev/sde", "usb", "vfat", 1, 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof disks / sizeof *disks; i++) {
		struct machine_disk *disk = machine_add_disk(&machine);
		struct machine_partition *partition;

		disk->source = xstrdup(disks[i].source);
		disk->transport = xstrdup(disks[i].transport);
		disk->is_removable = disks[i].is_removable;
		disk->is_read_only = disks[i].is_read_only;
		partition = machine_disk_add_partition(disk);
		partition->device = xasprintf("%s1", disks[i].source);
		partition->content = xstrdup(disks[i].content);
	}
	strv_add(&chosen, "/dev/sdc");
	live_sticks_find(&machine, &chosen, &sticks);
	assert_int_equal(sticks.count, 1);
	assert_string_equal(sticks.items[0].device, "/dev/sdb1");
	assert_string_equal(sticks.items[0].content, "vfat");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_key_is_hidden),
		cmocka_unit_test(test_tar),
		cmocka_unit_test(test_stick),
		cmocka_unit_test(test_sticks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
