/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Integers as they lie on disk: little-endian, and big-endian for VHD.  Each is
 * a struct, so that code which forgets to convert does not compile.
 */
#ifndef P2V_BASE_LE_H
#define P2V_BASE_LE_H

#include <endian.h>
#include <stdint.h>

typedef struct {
	uint16_t raw;
} __attribute__((packed)) le16;
typedef struct {
	uint32_t raw;
} __attribute__((packed)) le32;
typedef struct {
	uint64_t raw;
} __attribute__((packed)) le64;

typedef struct {
	uint16_t raw;
} __attribute__((packed)) be16;
typedef struct {
	uint32_t raw;
} __attribute__((packed)) be32;
typedef struct {
	uint64_t raw;
} __attribute__((packed)) be64;

#define DEFINE_ENDIAN(type, bits, to_host, from_host)    \
	static inline uint##bits##_t type##_get(type v)  \
	{                                                \
		return to_host(v.raw);                   \
	}                                                \
	static inline type type##_make(uint##bits##_t v) \
	{                                                \
		return (type){.raw = from_host(v)};      \
	}

DEFINE_ENDIAN(le16, 16, le16toh, htole16)
DEFINE_ENDIAN(le32, 32, le32toh, htole32)
DEFINE_ENDIAN(le64, 64, le64toh, htole64)
DEFINE_ENDIAN(be16, 16, be16toh, htobe16)
DEFINE_ENDIAN(be32, 32, be32toh, htobe32)
DEFINE_ENDIAN(be64, 64, be64toh, htobe64)

#undef DEFINE_ENDIAN

#endif
