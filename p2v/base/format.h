/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Numbers for people. */
#ifndef P2V_BASE_FORMAT_H
#define P2V_BASE_FORMAT_H

#include <stdint.h>

#define FORMAT_BYTES 32

/* "1.5 GiB"; into the buffer, which is returned. */
const char *format_size(uint64_t bytes, char buffer[FORMAT_BYTES]);

/* "12 s", "3:05 min", "2:10 h", "5 days". */
const char *format_seconds(uint64_t seconds, char buffer[FORMAT_BYTES]);

#endif
