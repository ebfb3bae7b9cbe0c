/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "capture/track-format.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define MAX_RECORD_BYTES 2048u /* the kernel's own limit, of a page at most, is less than twice that */

/* The name is the last word before the semicolon, without what an array has behind it. */
static bool is_named(const char *declaration, const char *end, const char *name)
{
	const char *behind = memchr(declaration, '[', end - declaration);
	const char *start = behind ? behind : end;

	/* "__data_loc char[] cmd" has the brackets at its type. */
	if (behind && memchr(behind, ' ', end - behind))
		start = end;
	behind = start;
	while (start > declaration && (isalnum((unsigned char)start[-1]) || start[-1] == '_'))
		start--;
	return (size_t)(behind - start) == strlen(name) && !memcmp(start, name, behind - start);
}

static bool read_field(const char *line, struct track_field *ret_field)
{
	struct track_field field;

	if (sscanf(line, "; offset:%u; size:%u;", &field.offset, &field.size) != 2)
		return false;
	if (!field.size || field.size > MAX_RECORD_BYTES || field.offset > MAX_RECORD_BYTES - field.size)
		return false;
	*ret_field = field;
	return true;
}

bool track_format_find(const char *text, const char *name, struct track_field *ret_field)
{
	static const char mark[] = "field:";
	const char *at = text;

	while ((at = strstr(at, mark))) {
		const char *declaration = at + sizeof mark - 1, *end = strpbrk(declaration, ";\n");

		if (!end || *end != ';')
			return false;
		if (is_named(declaration, end, name))
			return read_field(end, ret_field);
		at = end;
	}
	return false;
}
