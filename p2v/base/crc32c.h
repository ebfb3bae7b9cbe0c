/* SPDX-License-Identifier: GPL-3.0-or-later */
/* CRC-32C (Castagnoli, RFC 3720 appendix B.4): hardware where the processor has it. */
#ifndef P2V_BASE_CRC32C_H
#define P2V_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues from crc, 0 at the start: crc32c(crc32c(0, a), b) == crc32c(0, ab). */
uint32_t crc32c(uint32_t crc, const void *data, size_t len_bytes);

/* The same without the processor's instruction: for machines that lack it, and for the test. */
uint32_t crc32c_software(uint32_t crc, const void *data, size_t len_bytes);

#endif
