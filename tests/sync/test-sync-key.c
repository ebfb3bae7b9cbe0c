/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "p2v/base/scratch.h"
#include "p2v/sync/hash.h"
#include "p2v/sync/key.h"

static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static bool parses(const char *text)
{
	CLEANUP_KEY struct key *key = NULL;
	CLEANUP_ERR struct err *err = key_parse(text, &key);

	if (err) {
		assert_int_equal(err_kind(err), ERR_USAGE);
		assert_non_null(err_advice(err));
		if (strlen(text) > 4)
			assert_null(strstr(err_message(err), text));
	}
	return !err;
}

static void make_text(char text[KEY_TEXT_BYTES])
{
	CLEANUP_KEY struct key *key = NULL;

	assert_null(key_make(&key));
	key_format(key, text);
}

static void test_round_trip(void **state)
{
	char text[KEY_TEXT_BYTES], again[KEY_TEXT_BYTES], other[KEY_TEXT_BYTES];

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		CLEANUP_KEY struct key *key = NULL;

		make_text(text);
		assert_int_equal(strlen(text), KEY_TEXT_BYTES - 1);
		assert_null(key_parse(text, &key));
		key_format(key, again);
		assert_string_equal(text, again);
		make_text(other);
		assert_string_not_equal(text, other);
	}
}

static void test_tolerance(void **state)
{
	CLEANUP_KEY struct key *zeros = NULL, *typed = NULL;
	char text[KEY_TEXT_BYTES], typed_text[KEY_TEXT_BYTES];

	(void)state;
	/* 0 and 1 alone: the field is made by x^5 + x^2 + 1 = 0 is a whole key. */
	assert_null(key_parse("00000-00000-00000-00000-00000", &zeros));
	assert_null(key_parse(" ooooo0oooo-OOOOO\tooooi - ooLol\n", &typed));
	key_format(typed, typed_text);
	key_format(zeros, text);
	assert_string_equal(text, "00000-00000-00000-00000-00000");
	assert_string_equal(typed_text, "00000-00000-00000-00001-00101");
}

static void test_typing_errors(void **state)
{
	char text[KEY_TEXT_BYTES], wrong[KEY_TEXT_BYTES];

	(void)state;
	make_text(text);
	for (size_t i = 0; text[i]; i++) {
		for (const char *c = alphabet; *c; c++) {
			if (text[i] == '-')
				continue;
			memcpy(wrong, text, sizeof wrong);
			wrong[i] = *c;
			assert_int_equal(parses(wrong), *c == text[i]);
		}
		for (size_t j = i + 1; text[j]; j++) {
			if (text[i] == '-' || text[j] == '-')
				continue;
			memcpy(wrong, text, sizeof wrong);
			wrong[i] = text[j];
			wrong[j] = text[i];
			assert_int_equal(parses(wrong), text[i] == text[j]);
		}
	}
	assert_false(parses(""));
	assert_false(parses("00000-00000-00000-00000-0000"));
	assert_false(parses("00000-00000-00000-00000-000000"));
	assert_false(parses("U0000-00000-00000-00000-00000"));
	assert_false(parses("00000-00000-00000-00000-0000*"));
}

static void test_derivation(void **state)
{
	CLEANUP_KEY struct key *a = NULL, *b = NULL;
	char identity_a[KEY_IDENTITY_BYTES], identity_b[KEY_IDENTITY_BYTES];
	uint8_t secret_a[KEY_SECRET_BYTES], secret_b[KEY_SECRET_BYTES];

	(void)state;
	assert_null(key_parse("00000-00000-00000-00000-00000", &a));
	assert_null(key_parse("00000-00000-00000-00001-00101", &b));
	key_derive_psk(a, identity_a, secret_a);
	key_derive_psk(b, identity_b, secret_b);
	assert_memory_not_equal(identity_a, identity_b, sizeof identity_a);
	assert_memory_not_equal(secret_a, secret_b, sizeof secret_a);
	key_derive_psk(a, identity_b, secret_b);
	assert_memory_equal(identity_a, identity_b, sizeof identity_a);
	assert_memory_equal(secret_a, secret_b, sizeof secret_a);
}

static void test_file(void **state)
{
	CLEANUP_SCRATCH struct scratch *scratch = NULL;
	CLEANUP_KEY struct key *made = NULL, *read_back = NULL, *refused = NULL;
	CLEANUP_FREE char *path = NULL;
	CLEANUP_ERR struct err *missing = NULL, *open_to_all = NULL, *broken = NULL;
	char text[KEY_TEXT_BYTES], again[KEY_TEXT_BYTES];
	struct stat st;
	FILE *file;

	(void)state;
	assert_null(scratch_create("/tmp", "test-sync-key", &scratch));
	path = scratch_file(scratch, "key");
	missing = key_read_file(path, &refused);
	assert_int_equal(err_errno(missing), ENOENT);
	assert_null(key_read_or_make_file(path, &made));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_null(key_read_or_make_file(path, &read_back));
	key_format(made, text);
	key_format(read_back, again);
	assert_string_equal(text, again);
	assert_int_equal(chmod(path, 0640), 0);
	open_to_all = key_read_or_make_file(path, &refused);
	assert_int_equal(err_kind(open_to_all), ERR_REFUSED);
	assert_int_equal(chmod(path, 0600), 0);
	file = fopen(path, "w");
	fputs("no key\n", file);
	fclose(file);
	broken = key_read_or_make_file(path, &refused);
	assert_int_equal(err_kind(broken), ERR_REFUSED);
	assert_null(refused);
}

static void test_root_is_a_sum(void **state)
{
	static const uint8_t key[WIRE_HASH_KEY_BYTES] = "root";
	static const wire_hash hashes[3] = {"one", "two", "three"};
	struct root forth = {{0}}, back = {{0}}, other = {{0}};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		root_add_page(&forth, key, 1, i, hashes[i]);
		root_add_page(&back, key, 1, 2 - i, hashes[2 - i]);
		root_add_page(&other, key, 1, i, hashes[(i + 1) % 3]);
	}
	root_add_page(&forth, key, 1, 9, hash_zero);
	assert_memory_equal(&forth, &back, sizeof forth);
	assert_memory_not_equal(&forth, &other, sizeof forth);
	root_take_page(&back, key, 1, 1, hashes[1]);
	assert_memory_not_equal(&forth, &back, sizeof forth);
	for (unsigned i = 0; i < 3; i += 2)
		root_take_page(&back, key, 1, i, hashes[i]);
	for (size_t i = 0; i < sizeof back; i++)
		assert_int_equal(back.bytes[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_tolerance),
		cmocka_unit_test(test_typing_errors), cmocka_unit_test(test_derivation),
		cmocka_unit_test(test_file),	      cmocka_unit_test(test_root_is_a_sum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
