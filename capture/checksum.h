/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The checksums of on-disk formats, in the raw form in which formats use them:
 * no inversion before or after.
 */
#ifndef CAPTURE_CHECKSUM_H
#define CAPTURE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Polynomial 0x04c11db7, reflected: GPT (UEFI 2.10, 5.3.2; inverted at both ends) and LVM2. */
uint32_t checksum_crc32(uint32_t crc, const void *data, size_t len_bytes);

/* Castagnoli's: ext4 metadata_csum. */
uint32_t checksum_crc32c(uint32_t crc, const void *data, size_t len_bytes);

/* Polynomial 0x8005, reflected: ext4 uninit_bg. */
uint16_t checksum_crc16(uint16_t crc, const void *data, size_t len_bytes);

#endif
