/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/prove/clean.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

/* Bytes of an escape sequence at data (which begins with ESC): CSI, OSC, or two bytes. */
static size_t escape_bytes(const char *data, size_t bytes)
{
	size_t at = 2;

	if (bytes < 2)
		return bytes;
	if (data[1] == '[') {
		while (at < bytes && (data[at] < 0x40 || data[at] > 0x7e))
			at++;
		return at < bytes ? at + 1 : bytes;
	}
	if (data[1] == ']') {
		while (at < bytes && data[at] != '\a' && data[at] != 0x1b)
			at++;
		return at < bytes ? at + 1 : bytes;
	}
	if (strchr("()#%", data[1]))
		return bytes < 3 ? bytes : 3;
	return 2;
}

/* Bytes of the UTF-8 character at data, 0 if it is none (RFC 3629, 4: no overlong forms, no surrogates). */
static size_t utf8_bytes(const unsigned char *data, size_t bytes)
{
	static const struct {
		unsigned char first_min, first_max, second_min, second_max;
		size_t bytes;
	} forms[] = {
		{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
	};

	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		if (data[0] < forms[i].first_min || data[0] > forms[i].first_max || bytes < forms[i].bytes ||
		    data[1] < forms[i].second_min || data[1] > forms[i].second_max)
			continue;
		for (size_t k = 2; k < forms[i].bytes; k++)
			if ((data[k] & 0xc0) != 0x80)
				return 0;
		return forms[i].bytes;
	}
	return 0;
}

char *clean_line(const char *data, size_t bytes)
{
	CLEANUP_TEXT struct text text = {0};
	size_t at = 0;

	while (at < bytes) {
		unsigned char c = data[at];
		size_t run = 1;

		if (c == 0x1b) {
			run = escape_bytes(data + at, bytes - at);
		} else if (c == '\t') {
			text_add(&text, " ", 1);
		} else if (c >= 0x80) {
			size_t utf8 = utf8_bytes((const unsigned char *)data + at, bytes - at);

			text_add(&text, utf8 ? data + at : "?", utf8 ? utf8 : 1);
			run = utf8 ? utf8 : 1;
		} else if (c >= 0x20 && c != 0x7f) {
			text_add(&text, data + at, 1);
		}
		at += run;
	}
	while (text.bytes && text.data[text.bytes - 1] == ' ')
		text.data[--text.bytes] = '\0';
	return text_take(&text);
}

void clean_tail(const char *data, size_t bytes, size_t max_lines, struct strv *ret_lines)
{
	CLEANUP_STRV struct strv lines = {0};

	while (bytes && lines.count < max_lines) {
		const char *start = memrchr(data, '\n', bytes);
		size_t start_at = start ? start - data + 1 : 0;
		CLEANUP_FREE char *line = clean_line(data + start_at, bytes - start_at);

		if (*line)
			strv_add(&lines, line);
		bytes = start ? start_at - 1 : 0;
	}
	for (size_t i = lines.count; i--;)
		strv_add(ret_lines, lines.items[i]);
}
