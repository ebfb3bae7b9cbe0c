/* SPDX-License-Identifier: GPL-3.0-or-later */
/* GUIDs in the mixed-endian form of Microsoft's structures ([MS-DTYP] 2.3.4.2), GPT included. */
#ifndef P2V_BASE_GUID_H
#define P2V_BASE_GUID_H

#include <stdbool.h>
#include <stdint.h>

#include "p2v/base/err.h"
#include "p2v/base/le.h"

struct guid {
	le32 data1;
	le16 data2;
	le16 data3;
	uint8_t data4[8];
};
_Static_assert(sizeof(struct guid) == 16, "a GUID is 16 bytes on disk");

#define GUID_TEXT_BYTES 37 /* 36 characters and the NUL */

/* "71cc85f0-1b69-4e28-9558-c3bf83ae75d3" as a constant: GUID_INIT(0x71cc85f0, 0x1b69, 0x4e28, 0x95, …). */
#if __BYTE_ORDER == __LITTLE_ENDIAN
#define GUID_INIT(d1, d2, d3, ...)                                                      \
	{                                                                               \
		.data1 = {.raw = (d1)}, .data2 = {.raw = (d2)}, .data3 = {.raw = (d3)}, \
		.data4 = {__VA_ARGS__},                                                 \
	}
#else
#error "constant GUIDs need a little-endian machine"
#endif

bool guid_is_zero(const struct guid *guid);
bool guid_equal(const struct guid *a, const struct guid *b);

/* Random, version 4. */
struct err *guid_make(struct guid *ret_guid) ERR_MUST_CHECK;

/* Lower case, without braces. */
void guid_format(const struct guid *guid, char ret_text[GUID_TEXT_BYTES]);

/* Either case, braces allowed; false if it is none. */
bool guid_parse(const char *text, struct guid *ret_guid);

#endif
