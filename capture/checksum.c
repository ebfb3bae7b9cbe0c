/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bit by bit: what is summed here is headers and tables of some kilobytes. */
#include "capture/checksum.h"

#include "p2v/base/crc32c.h"

uint32_t checksum_crc32(uint32_t crc, const void *data, size_t len_bytes)
{
	const uint8_t *byte = data;

	for (; len_bytes; byte++, len_bytes--) {
		crc ^= *byte;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	return crc;
}

uint32_t checksum_crc32c(uint32_t crc, const void *data, size_t len_bytes)
{
	return ~crc32c(~crc, data, len_bytes);
}

uint16_t checksum_crc16(uint16_t crc, const void *data, size_t len_bytes)
{
	const uint8_t *byte = data;

	for (; len_bytes; byte++, len_bytes--) {
		crc ^= *byte;
		for (int i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xa001u : 0);
	}
	return crc;
}
