/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Configurations in images that xorriso makes, as p2v iso build has it make them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "iso/build-medium.h"
#include "iso/config-image.h"
#include "iso/configure.h"
#include "iso/iso9660.h"
#include "p2v/base/mem.h"
#include "p2v/base/scratch.h"
#include "tests/base/lib-must.h"
#include "tests/iso/lib-folder.h"

static char *write_file(const char *name, const void *data, size_t bytes)
{
	char *path = scratch_file(folder, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, bytes, file), bytes);
	assert_int_equal(fclose(file), 0);
	return path;
}

/* An image with this application identifier, and /boot/config.img of these bytes. */
static char *make_iso(const char *name, const char *application, const void *config, size_t bytes)
{
	CLEANUP_FREE char *config_name = xasprintf("%s.config", name);
	CLEANUP_FREE char *config_path = write_file(config_name, config, bytes);
	CLEANUP_FREE char *graft = xasprintf("/boot/config.img=%s", config_path);
	char *path = scratch_file(folder, name);
	const char *const argv[] = {"xorriso",	 "-as",		  "mkisofs", "-quiet", "-r",  "-A",
				    application, "-graft-points", "-o",	     path,     graft, NULL};

	must(run_argv(argv, NULL, NULL));
	return path;
}

static char *make_medium(const char *name)
{
	CLEANUP_FREE unsigned char *image = xmalloc(CONFIG_IMAGE_BYTES);

	must(config_image_make("", image));
	return make_iso(name, MEDIUM_APPLICATION_ID, image, CONFIG_IMAGE_BYTES);
}

static void test_round_trip(void **state)
{
	CLEANUP_FREE char *path = make_medium("medium");
	CLEANUP_FREE unsigned char *before = NULL;
	CLEANUP_FREE unsigned char *after = NULL;
	CLEANUP_BLK struct blk *blk = NULL;
	uint64_t offset, bytes;

	(void)state;
	must(blk_file_open(path, BLK_FILE_WRITE, 0, &blk));
	before = xmalloc(blk->size_bytes);
	after = xmalloc(blk->size_bytes);
	must(blk_pread(blk, before, blk->size_bytes, 0));
	for (size_t i = 0; i < 3; i++) {
		static const char *const texts[] = {"server=192.0.2.1\nname=a\n", "name=b\n", ""};
		CLEANUP_FREE char *text = NULL;

		must(configure_write(blk, texts[i]));
		must(configure_read(blk, &text));
		assert_string_equal(text, texts[i]);
	}
	/* Without a setting it is again what it was; with one, nothing but the file has changed. */
	must(blk_pread(blk, after, blk->size_bytes, 0));
	assert_memory_equal(before, after, blk->size_bytes);
	must(configure_write(blk, "name=c\n"));
	must(blk_pread(blk, after, blk->size_bytes, 0));
	must(iso9660_find(blk, "BOOT/CONFIG.IMG;1", &offset, &bytes));
	assert_memory_equal(before, after, offset);
	assert_memory_not_equal(before + offset, after + offset, bytes);
	assert_memory_equal(before + offset + bytes, after + offset + bytes,
			    blk->size_bytes - offset - bytes);
}

static void refuse(const char *path)
{
	CLEANUP_BLK struct blk *blk = NULL;
	CLEANUP_FREE unsigned char *before = NULL;
	CLEANUP_FREE unsigned char *after = NULL;
	char *text = NULL;

	must(blk_file_open(path, BLK_FILE_WRITE, 0, &blk));
	before = xmalloc(blk->size_bytes + 1);
	after = xmalloc(blk->size_bytes + 1);
	must(blk_pread(blk, before, blk->size_bytes, 0));
	must_fail(configure_read(blk, &text), ERR_REFUSED);
	assert_null(text);
	must_fail(configure_write(blk, "name=x\n"), ERR_REFUSED);
	must(blk_pread(blk, after, blk->size_bytes, 0));
	assert_memory_equal(before, after, blk->size_bytes);
}

static void test_refusals(void **state)
{
	CLEANUP_FREE unsigned char *image = xcalloc(1, CONFIG_IMAGE_BYTES);
	CLEANUP_FREE char *empty = write_file("empty", "", 0);
	CLEANUP_FREE char *zeros = write_file("zeros", image, CONFIG_IMAGE_BYTES);
	CLEANUP_FREE char *small = write_file("small", image, 1000);
	CLEANUP_FREE char *no_config =
		make_iso("no-config", MEDIUM_APPLICATION_ID, image, CONFIG_IMAGE_BYTES);
	CLEANUP_FREE char *short_config = NULL;
	CLEANUP_FREE char *other = NULL;

	(void)state;
	must(config_image_make("", image));
	short_config = make_iso("short", MEDIUM_APPLICATION_ID, image, CONFIG_IMAGE_BYTES - 4);
	other = make_iso("other", "SOME OTHER MEDIUM", image, CONFIG_IMAGE_BYTES);
	refuse(empty);
	refuse(zeros);
	refuse(small);
	refuse(no_config);
	refuse(short_config);
	refuse(other);
}

static void test_too_long(void **state)
{
	CLEANUP_FREE char *path = make_medium("long");
	CLEANUP_FREE char *text = xcalloc(1, CONFIG_IMAGE_BYTES + 1);
	CLEANUP_FREE char *found = NULL;
	CLEANUP_BLK struct blk *blk = NULL;

	(void)state;
	memset(text, 'x', CONFIG_IMAGE_BYTES);
	must(blk_file_open(path, BLK_FILE_WRITE, 0, &blk));
	must_fail(configure_write(blk, text), ERR_REFUSED);
	must(configure_read(blk, &found));
	assert_string_equal(found, "");
}

/* config.img by itself, as the folder for network boot has it. */
static void test_config_alone(void **state)
{
	CLEANUP_FREE unsigned char *image = xmalloc(CONFIG_IMAGE_BYTES);
	CLEANUP_FREE char *path = NULL;
	CLEANUP_FREE char *text = NULL;
	CLEANUP_BLK struct blk *blk = NULL;

	(void)state;
	must(config_image_make("name=old\n", image));
	path = write_file("config.img", image, CONFIG_IMAGE_BYTES);
	must(blk_file_open(path, BLK_FILE_WRITE, 0, &blk));
	must(configure_write(blk, "name=new\n"));
	must(configure_read(blk, &text));
	assert_string_equal(text, "name=new\n");
}

static void test_paths(void **state)
{
	static const char *const missing[] = {"BOOT",
					      "BOOT/",
					      "BOOT/CONFIG.IMG",
					      "boot/config.img",
					      "BOOT/CONFIG.IMG;1/X",
					      "NOTHING",
					      "/BOOT/CONFIG.IMG;1",
					      ""};
	CLEANUP_FREE char *path = make_medium("paths");
	CLEANUP_BLK struct blk *blk = NULL;
	uint64_t offset, bytes;

	(void)state;
	must(blk_file_open(path, 0, 0, &blk));
	for (size_t i = 0; i < sizeof missing / sizeof *missing; i++)
		must_fail(iso9660_find(blk, missing[i], &offset, &bytes), ERR_REFUSED);
	must(iso9660_find(blk, "BOOT/CONFIG.IMG;1", &offset, &bytes));
	assert_int_equal(bytes, CONFIG_IMAGE_BYTES);
}

/* Any byte of the tree set to any of a few values: found or refused, and never outside of the image. */
static void test_damage(void **state)
{
	static const unsigned char values[] = {0, 1, 33, 34, 127, 255};
	CLEANUP_FREE char *path = make_medium("damage");
	CLEANUP_FREE unsigned char *data = NULL;
	CLEANUP_BLK struct blk *file = NULL;
	CLEANUP_BLK struct blk *blk = NULL;
	uint64_t tree_bytes = 40 * 2048;

	(void)state;
	must(blk_file_open(path, 0, 0, &file));
	data = xmalloc(file->size_bytes);
	must(blk_pread(file, data, file->size_bytes, 0));
	must(blk_mem_create(file->size_bytes, &blk));
	must(blk_pwrite(blk, data, file->size_bytes, 0, 0));
	for (uint64_t at = 16 * 2048; at < tree_bytes; at++) {
		/* What is unused is full of zeros: there a few do. */
		if (!data[at] && at % 16)
			continue;
		for (size_t i = 0; i < sizeof values; i++) {
			uint64_t offset = 0, bytes = 0;
			struct err *err;

			must(blk_pwrite(blk, &values[i], 1, at, 0));
			err = iso9660_find(blk, "BOOT/CONFIG.IMG;1", &offset, &bytes);
			if (err)
				err_free(err);
			else
				assert_true(offset <= file->size_bytes && bytes <= file->size_bytes - offset);
		}
		must(blk_pwrite(blk, &data[at], 1, at, 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_too_long),   cmocka_unit_test(test_config_alone),
		cmocka_unit_test(test_paths),	   cmocka_unit_test(test_damage),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
