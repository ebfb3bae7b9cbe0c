/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sizes and rates as people type them. */
#ifndef P2V_BASE_SIZE_H
#define P2V_BASE_SIZE_H

#include <stdint.h>

#include "p2v/base/err.h"

/* "512", "64K", "2M", "1.5G", "10T" (powers of 1024); ERR_USAGE names `what` otherwise. */
struct err *size_parse(const char *what, const char *text, uint64_t *ret_bytes) ERR_MUST_CHECK;

#endif
