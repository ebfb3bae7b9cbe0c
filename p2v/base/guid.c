/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/base/guid.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

bool guid_is_zero(const struct guid *guid)
{
	static const struct guid zero;

	return guid_equal(guid, &zero);
}

bool guid_equal(const struct guid *a, const struct guid *b)
{
	return !memcmp(a, b, sizeof *a);
}

struct err *guid_make(struct guid *ret_guid)
{
	struct guid guid;

	if (getrandom(&guid, sizeof guid, 0) != sizeof guid)
		return err_from_errno(errno, "random numbers");
	guid.data3 = le16_make((le16_get(guid.data3) & 0x0fff) | 0x4000);
	guid.data4[0] = (guid.data4[0] & 0x3f) | 0x80;
	*ret_guid = guid;
	return NULL;
}

void guid_format(const struct guid *guid, char ret_text[GUID_TEXT_BYTES])
{
	const uint8_t *d = guid->data4;

	snprintf(ret_text, GUID_TEXT_BYTES, "%08x-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x",
		 le32_get(guid->data1), le16_get(guid->data2), le16_get(guid->data3), d[0], d[1], d[2], d[3],
		 d[4], d[5], d[6], d[7]);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool guid_parse(const char *text, struct guid *ret_guid)
{
	bool braces = *text == '{';
	uint8_t bytes[16];
	size_t count = 0;

	if (braces)
		text++;
	while (count < sizeof bytes) {
		int high, low;

		if (count == 4 || count == 6 || count == 8 || count == 10) {
			if (*text++ != '-')
				return false;
		}
		high = hex_digit(text[0]);
		low = high < 0 ? -1 : hex_digit(text[1]);
		if (low < 0)
			return false;
		bytes[count++] = high << 4 | low;
		text += 2;
	}
	if (braces && *text++ != '}')
		return false;
	if (*text)
		return false;
	ret_guid->data1 = le32_make((uint32_t)bytes[0] << 24 | bytes[1] << 16 | bytes[2] << 8 | bytes[3]);
	ret_guid->data2 = le16_make(bytes[4] << 8 | bytes[5]);
	ret_guid->data3 = le16_make(bytes[6] << 8 | bytes[7]);
	memcpy(ret_guid->data4, bytes + 8, 8);
	return true;
}
