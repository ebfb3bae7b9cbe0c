/* SPDX-License-Identifier: GPL-3.0-or-later */
/* UTF-16 as VHDX stores it, from and into UTF-8: without iconv, which a static program cannot load. */
#ifndef VHDX_UTF16_H
#define VHDX_UTF16_H

#include <stddef.h>

#include "p2v/base/le.h"

/* Up to a NUL or count units; what is no character becomes U+FFFD.  The caller frees; NULL: out of memory. */
char *vhdx_utf8_from_utf16(const le16 *units, size_t count);

/* *ret_count units without a NUL, for the caller to free; a byte that is no UTF-8 becomes U+FFFD.  NULL: out
 * of memory. */
le16 *vhdx_utf16_from_utf8(const char *text, size_t *ret_count);

#endif
