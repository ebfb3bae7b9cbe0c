/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/base/size.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct err *size_parse(const char *what, const char *text, uint64_t *ret_bytes)
{
	static const char units[] = {'K', 'M', 'G', 'T', 'P'};
	const char *unit;
	char *end;
	double value = strtod(text, &end);
	bool is_number = end != text;

	unit = memchr(units, *end & ~0x20, sizeof units);
	if (unit) {
		value *= 1ull << 10 * (unit - units + 1);
		end++;
		if (*end == 'i')
			end++;
		if (*end == 'B' || *end == 'b')
			end++;
	}
	if (!is_number || *end || !(value >= 0) || value >= 0x1p63 || value != (uint64_t)value ||
	    *text == '-')
		return err_advise(err_usage("%s: '%s' is no size", what, text),
				  "say for example 512, 64K, 2M, 1.5G or 10T");
	*ret_bytes = value;
	return NULL;
}
