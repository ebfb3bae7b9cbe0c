/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The one computation that several structures of the format share. */
#include "vhdx/format.h"

#include <string.h>

#include "p2v/base/crc32c.h"

uint32_t vhdx_checksum(const void *structure, size_t bytes)
{
	static const uint8_t zeros[4];
	const uint8_t *at = structure;
	size_t after = VHDX_CHECKSUM_OFFSET + sizeof zeros;
	uint32_t crc = crc32c(0, at, VHDX_CHECKSUM_OFFSET);

	crc = crc32c(crc, zeros, sizeof zeros);
	return crc32c(crc, at + after, bytes - after);
}

void vhdx_checksum_set(void *structure, size_t bytes)
{
	le32 checksum = le32_make(vhdx_checksum(structure, bytes));

	memcpy((uint8_t *)structure + VHDX_CHECKSUM_OFFSET, &checksum, sizeof checksum);
}

bool vhdx_checksum_is_right(const void *structure, size_t bytes)
{
	le32 checksum;

	memcpy(&checksum, (const uint8_t *)structure + VHDX_CHECKSUM_OFFSET, sizeof checksum);
	return le32_get(checksum) == vhdx_checksum(structure, bytes);
}
