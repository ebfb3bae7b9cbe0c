/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Checksums made right, so that a fuzzer's changes get past them. */
#ifndef TESTS_FUZZ_LIB_FUZZ_CHECKSUMS_H
#define TESTS_FUZZ_LIB_FUZZ_CHECKSUMS_H

#include "tests/fuzz/lib-fuzz-image.h"

/* Wherever a structure with a checksum begins that is in use: in a VHDX both headers, both region tables,
 * log entries; in a VHD both footers and the dynamic header.  The pieces are those of the file. */
void fuzz_fix_checksums(struct blk *file, struct fuzz_rest pieces);

#endif
