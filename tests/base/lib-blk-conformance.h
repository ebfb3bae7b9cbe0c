/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What every struct blk must do, as tests: the contract in p2v/base/blk.h, run
 * over a device of any kind.  Failures are cmocka's.
 */
#ifndef TESTS_BASE_LIB_BLK_CONFORMANCE_H
#define TESTS_BASE_LIB_BLK_CONFORMANCE_H

#include <stdint.h>

#include "p2v/base/blk.h"

/*
 * Runs all of it over a writable device of 4 to 64 MiB with any content.  Returns what it holds at the
 * end, flushed (size_bytes bytes, the caller frees it): what it must also hold when opened again.
 */
uint8_t *blk_conformance_run(struct blk *blk, const char *name);

/* A device opened read-only: refuses every change, and holds `content`. */
void blk_conformance_read_only(struct blk *blk, const uint8_t *content);

/* The device holds `content` (size_bytes bytes), read in pieces and by its extents. */
void blk_conformance_expect(struct blk *blk, const uint8_t *content);

#endif
