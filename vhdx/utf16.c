/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vhdx/utf16.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

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

/* One character from *text on, which moves behind it. */
static uint32_t take_utf8(const uint8_t **text)
{
	static const struct {
		uint8_t mask, lead;
		uint32_t min; /* what is less has a shorter form, and is no character in this one */
	} forms[] = {{0x80, 0, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
	const uint8_t *at = *text;

	*text = at + 1;
	for (size_t more = 0; more < sizeof forms / sizeof forms[0]; more++) {
		uint32_t c = *at & (uint8_t)~forms[more].mask;
		size_t i = 1;

		if ((*at & forms[more].mask) != forms[more].lead)
			continue;
		for (; i <= more && (at[i] & 0xc0) == 0x80; i++)
			c = c << 6 | (at[i] & 0x3f);
		if (i <= more || c < forms[more].min || c > 0x10ffff || is_high(c) || is_low(c))
			break;
		*text = at + 1 + more;
		return c;
	}
	return REPLACEMENT;
}

le16 *vhdx_utf16_from_utf8(const char *text, size_t *ret_count)
{
	const uint8_t *at = (const uint8_t *)text;
	le16 *units =
		malloc((strlen(text) + 1) * sizeof *units); /* no character takes more units than bytes */
	size_t count = 0;

	if (!units)
		return NULL;
	while (*at) {
		uint32_t c = take_utf8(&at);

		if (c >= 0x10000) {
			units[count++] = le16_make((uint16_t)(0xd800 + ((c - 0x10000) >> 10)));
			c = 0xdc00 + ((c - 0x10000) & 0x3ff);
		}
		units[count++] = le16_make((uint16_t)c);
	}
	*ret_count = count;
	return units;
}
