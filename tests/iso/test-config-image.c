/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <archive.h>
#include <archive_entry.h>
#include <cmocka.h>

#include "iso/config-image.h"
#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"

static const char *const texts[] = {
	"", "a", "ab\n", "abc\n", "server=192.0.2.1\nkey=ABCDE-FGHJK-MNPQR-STVWX-YZ012\nname=web01\n",
};

static void test_round_trip(void **state)
{
	CLEANUP_FREE unsigned char *image = xmalloc(CONFIG_IMAGE_BYTES);

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		CLEANUP_FREE char *text = NULL;

		must(config_image_make(texts[i], image));
		must(config_image_read(image, &text));
		assert_string_equal(text, texts[i]);
	}
}

/* Another's reader finds the file, with its mode and its text, and no other. */
static void check_archive(const unsigned char *image, const char *text)
{
	struct archive *archive = archive_read_new();
	struct archive_entry *entry;
	char content[4096] = "";

	assert_int_equal(archive_read_support_format_cpio(archive), ARCHIVE_OK);
	assert_int_equal(archive_read_open_memory(archive, image, CONFIG_IMAGE_BYTES), ARCHIVE_OK);
	assert_int_equal(archive_read_next_header(archive, &entry), ARCHIVE_OK);
	assert_string_equal(archive_entry_pathname(entry), "etc");
	assert_int_equal(archive_entry_mode(entry), 040755);
	assert_int_equal(archive_read_next_header(archive, &entry), ARCHIVE_OK);
	assert_string_equal(archive_entry_pathname(entry), "etc/p2v.conf");
	assert_int_equal(archive_entry_mode(entry), 0100600);
	assert_int_equal(archive_entry_size(entry), strlen(text));
	assert_int_equal(archive_read_data(archive, content, sizeof content - 1), strlen(text));
	assert_string_equal(content, text);
	assert_int_equal(archive_read_next_header(archive, &entry), ARCHIVE_EOF);
	archive_read_free(archive);
}

static void test_is_an_archive(void **state)
{
	CLEANUP_FREE unsigned char *image = xmalloc(CONFIG_IMAGE_BYTES);

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		must(config_image_make(texts[i], image));
		check_archive(image, texts[i]);
	}
}

/* The largest text that fits does, with its trailer; one more byte does not. */
static void test_limit(void **state)
{
	CLEANUP_FREE unsigned char *image = xmalloc(CONFIG_IMAGE_BYTES);
	CLEANUP_FREE char *text = xcalloc(1, CONFIG_IMAGE_BYTES + 1);
	size_t bytes = 0;

	(void)state;
	memset(text, 'x', CONFIG_IMAGE_BYTES);
	for (bytes = CONFIG_IMAGE_BYTES; bytes; bytes--) {
		CLEANUP_ERR struct err *err = NULL;

		text[bytes] = '\0';
		err = config_image_make(text, image);
		if (!err)
			break;
		assert_int_equal(err_kind(err), ERR_REFUSED);
	}
	assert_true(bytes > 65000);
	{
		CLEANUP_FREE char *again = NULL;

		must(config_image_read(image, &again));
		assert_string_equal(again, text);
	}
}

/* Any byte of the structure, any byte behind the end. */
static void test_damage(void **state)
{
	static const char text[] = "server=192.0.2.1\n";
	CLEANUP_FREE unsigned char *image = xmalloc(CONFIG_IMAGE_BYTES);
	size_t text_at;

	(void)state;
	must(config_image_make(text, image));
	text_at = (unsigned char *)memmem(image, CONFIG_IMAGE_BYTES, text, strlen(text)) - image;
	for (size_t i = 0; i < CONFIG_IMAGE_BYTES; i += i < 1024 ? 1 : 997) {
		CLEANUP_FREE char *found = NULL;

		if (i >= text_at && i < text_at + strlen(text))
			continue;
		image[i] ^= 1;
		must_fail(config_image_read(image, &found), ERR_REFUSED);
		image[i] ^= 1;
	}
	{
		CLEANUP_FREE char *found = NULL;

		must(config_image_read(image, &found));
	}
}

/* A size from outside that leads anywhere. */
static void test_sizes(void **state)
{
	static const char *const sizes[] = {"FFFFFFFF", "00010000", "0000FF00",
					    "7FFFFFFF", "0000000g", "        "};
	CLEANUP_FREE unsigned char *image = xmalloc(CONFIG_IMAGE_BYTES);
	unsigned char *name;

	(void)state;
	must(config_image_make("x", image));
	name = memmem(image, CONFIG_IMAGE_BYTES, "etc/p2v.conf", 12);
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		CLEANUP_FREE char *found = NULL;

		memcpy(name - 110 + 54, sizes[i], 8);
		must_fail(config_image_read(image, &found), ERR_REFUSED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_is_an_archive),
		cmocka_unit_test(test_limit),	   cmocka_unit_test(test_damage),
		cmocka_unit_test(test_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
