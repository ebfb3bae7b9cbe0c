/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/base/format.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

const char *format_size(uint64_t bytes, char buffer[FORMAT_BYTES])
{
	static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = bytes;
	size_t unit = 0;

	while (value >= 1024 && unit + 1 < sizeof units / sizeof *units) {
		value /= 1024;
		unit++;
	}
	snprintf(buffer, FORMAT_BYTES, value == (uint64_t)value ? "%.0f %s" : "%.1f %s", value, units[unit]);
	return buffer;
}

const char *format_seconds(uint64_t seconds, char buffer[FORMAT_BYTES])
{
	if (seconds < 60)
		snprintf(buffer, FORMAT_BYTES, "%" PRIu64 " s", seconds);
	else if (seconds < 3600)
		snprintf(buffer, FORMAT_BYTES, "%" PRIu64 ":%02" PRIu64 " min", seconds / 60, seconds % 60);
	else if (seconds < 48 * 3600)
		snprintf(buffer, FORMAT_BYTES, "%" PRIu64 ":%02" PRIu64 " h", seconds / 3600,
			 seconds / 60 % 60);
	else
		snprintf(buffer, FORMAT_BYTES, "%" PRIu64 " days", seconds / 86400);
	return buffer;
}
