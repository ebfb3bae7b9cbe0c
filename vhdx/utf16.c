/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vhdx/utf16.h"

#include <stdbool.h>
#include <stdlib.h>

#define REPLACEMENT 0xfffdu

static size_t put_utf8(char *at, uint32_t c)
{
	if (c < 0x80) {
		at[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		at[0] = (char)(0xc0 | c >> 6);
		at[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		at[0] = (char)(0xe0 | c >> 12);
		at[1] = (char)(0x80 | (c >> 6 & 0x3f));
		at[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	at[0] = (char)(0xf0 | c >> 18);
	at[1] = (char)(0x80 | (c >> 12 & 0x3f));
	at[2] = (char)(0x80 | (c >> 6 & 0x3f));
	at[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

static bool is_high(uint32_t unit)
{
	return unit >= 0xd800 && unit < 0xdc00;
}

static bool is_low(uint32_t unit)
{
	return unit >= 0xdc00 && unit < 0xe000;
}

char *vhdx_utf8_from_utf16(const le16 *units, size_t count)
{
	char *text = malloc(3 * count + 1); /* a surrogate pair is two units and four bytes */
	size_t bytes = 0;

	if (!text)
		return NULL;
	for (size_t i = 0; i < count && le16_get(units[i]); i++) {
		uint32_t c = le16_get(units[i]);

		if (is_high(c) && i + 1 < count && is_low(le16_get(units[i + 1])))
			c = 0x10000 + ((c - 0xd800) << 10) + (le16_get(units[++i]) - 0xdc00);
		else if (is_high(c) || is_low(c))
			c = REPLACEMENT;
		bytes += put_utf8(text + bytes, c);
	}
	text[bytes] = 0;
	return text;
}
