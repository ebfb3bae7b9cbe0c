/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two ways to the same sum: the processor's own instruction (SSE 4.2), chosen
 * at run time, and eight tables ("slicing by eight") everywhere else.
 */
#include "p2v/base/crc32c.h"

#include <pthread.h>
#include <string.h>

#define POLYNOMIAL_REFLECTED 0x82f63b78u

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t update_hardware(uint32_t crc, const uint8_t *data,
								  size_t len)
{
	uint64_t wide = crc;

	for (; len >= 8; data += 8, len -= 8) {
		uint64_t word;

		memcpy(&word, data, 8);
		wide = __builtin_ia32_crc32di(wide, word);
	}
	crc = wide;
	for (; len; data++, len--)
		crc = __builtin_ia32_crc32qi(crc, *data);
	return crc;
}
#endif

/* Written once under the guard, constant from then on. */
static uint32_t tables[8][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint32_t crc = i;

		for (unsigned bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL_REFLECTED : 0);
		tables[0][i] = crc;
	}
	for (unsigned n = 1; n < 8; n++)
		for (unsigned i = 0; i < 256; i++)
			tables[n][i] = tables[n - 1][i] >> 8 ^ tables[0][tables[n - 1][i] & 0xff];
}

static uint32_t update_tables(uint32_t crc, const uint8_t *data, size_t len)
{
	pthread_once(&tables_once, make_tables);
	for (; len >= 8; data += 8, len -= 8) {
		crc ^= (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 |
		       (uint32_t)data[3] << 24;
		crc = tables[7][crc & 0xff] ^ tables[6][crc >> 8 & 0xff] ^ tables[5][crc >> 16 & 0xff] ^
		      tables[4][crc >> 24] ^ tables[3][data[4]] ^ tables[2][data[5]] ^ tables[1][data[6]] ^
		      tables[0][data[7]];
	}
	for (; len; data++, len--)
		crc = crc >> 8 ^ tables[0][(crc ^ *data) & 0xff];
	return crc;
}

uint32_t crc32c_software(uint32_t crc, const void *data, size_t len_bytes)
{
	return ~update_tables(~crc, data, len_bytes);
}

uint32_t crc32c(uint32_t crc, const void *data, size_t len_bytes)
{
#if defined(__x86_64__)
	if (__builtin_cpu_supports("sse4.2"))
		return ~update_hardware(~crc, data, len_bytes);
#endif
	return crc32c_software(crc, data, len_bytes);
}
