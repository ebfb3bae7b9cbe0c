/* SPDX-License-Identifier: GPL-3.0-or-later */
/* SHA-256 (FIPS 180-4) as 64 lower-case hex digits, over OpenSSL. */
#ifndef P2V_GUEST_SHA256_H
#define P2V_GUEST_SHA256_H

#include <stddef.h>

#include "p2v/base/err.h"

#define SHA256_TEXT_BYTES 65

struct err *sha256_of_bytes(const void *data, size_t bytes, char ret_hex[SHA256_TEXT_BYTES]) ERR_MUST_CHECK;

/* From the descriptor's position to the end; name is for the message. */
struct err *sha256_of_fd(int fd, const char *name, char ret_hex[SHA256_TEXT_BYTES]) ERR_MUST_CHECK;
struct err *sha256_of_file(const char *path, char ret_hex[SHA256_TEXT_BYTES]) ERR_MUST_CHECK;

#endif
