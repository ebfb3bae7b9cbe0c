/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/crc32c.h"
#include "p2v/base/guid.h"

/* RFC 3720, appendix B.4, and the check value of the CRC catalogue. */
static void test_crc_known_values(void **state)
{
	uint8_t bytes[32];
	static const char check[] = "123456789";

	(void)state;
	memset(bytes, 0, sizeof bytes);
	assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x8a9136aa);
	memset(bytes, 0xff, sizeof bytes);
	assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x62a8ab43);
	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = i;
	assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x46dd794e);
	assert_int_equal(crc32c(0, check, 9), 0xe3069283);
	assert_int_equal(crc32c_software(0, check, 9), 0xe3069283);
}

static void test_crc_ways_agree(void **state)
{
	uint8_t bytes[300];

	(void)state;
	for (unsigned i = 0; i < sizeof bytes; i++)
		bytes[i] = i * 37 + 11;
	for (unsigned start = 0; start < 9; start++) {
		for (unsigned len = 0; len < 280; len++) {
			uint32_t whole = crc32c(0, bytes + start, len);

			assert_int_equal(whole, crc32c_software(0, bytes + start, len));
			assert_int_equal(whole, crc32c(crc32c(0, bytes + start, len / 3),
						       bytes + start + len / 3, len - len / 3));
		}
	}
}

static void test_guid_text(void **state)
{
	/* The bytes as [MS-VHDX] 2.6.2 prints the virtual disk size item's. */
	static const struct guid size_item =
		GUID_INIT(0x2fa54224, 0xcd1b, 0x4876, 0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8);
	static const uint8_t on_disk[4] = {0x24, 0x42, 0xa5, 0x2f};
	char text[GUID_TEXT_BYTES];
	struct guid parsed;

	(void)state;
	assert_memory_equal(&size_item, on_disk, 4);
	guid_format(&size_item, text);
	assert_string_equal(text, "2fa54224-cd1b-4876-b211-5dbed83bf4b8");
	assert_true(guid_parse("{2FA54224-CD1B-4876-B211-5DBED83BF4B8}", &parsed));
	assert_true(guid_equal(&parsed, &size_item));
	assert_true(guid_parse(text, &parsed));
	assert_true(guid_equal(&parsed, &size_item));
}

static void test_guid_refuses(void **state)
{
	static const char *const bad[] = {
		"",
		"2fa54224-cd1b-4876-b211-5dbed83bf4b",
		"2fa54224-cd1b-4876-b211-5dbed83bf4b8x",
		"{2fa54224-cd1b-4876-b211-5dbed83bf4b8",
		"2fa54224-cd1b-4876-b211-5dbed83bf4b8}",
		"2fa54224cd1b-4876-b211-5dbed83bf4b8-",
		"2fa5422g-cd1b-4876-b211-5dbed83bf4b8",
	};
	struct guid guid;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(guid_parse(bad[i], &guid));
}

static void test_guid_make(void **state)
{
	struct guid a, b;

	(void)state;
	assert_null(guid_make(&a));
	assert_null(guid_make(&b));
	assert_false(guid_equal(&a, &b));
	assert_false(guid_is_zero(&a));
	assert_int_equal(le16_get(a.data3) >> 12, 4);
	assert_int_equal(a.data4[0] >> 6, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc_known_values), cmocka_unit_test(test_crc_ways_agree),
		cmocka_unit_test(test_guid_text),	 cmocka_unit_test(test_guid_refuses),
		cmocka_unit_test(test_guid_make),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
