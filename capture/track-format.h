/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The `format` of a classic trace point (tracefs, events/GROUP/NAME/format), by
 * which each kernel tells where in a record the fields are:
 *
 *	field:sector_t sector;	offset:16;	size:8;	signed:0;
 *	field:char rwbs[10];	offset:34;	size:10;	signed:0;
 */
#ifndef CAPTURE_TRACK_FORMAT_H
#define CAPTURE_TRACK_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

struct track_field {
	uint32_t offset, size; /* in bytes */
};

/* False: there is no such field in the text, or what it says of it makes no sense. */
bool track_format_find(const char *text, const char *name, struct track_field *ret_field);

#endif
