/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is done with a device that a fuzzed image turned out to be.  What must hold is asserted. */
#ifndef TESTS_FUZZ_LIB_FUZZ_EXERCISE_H
#define TESTS_FUZZ_LIB_FUZZ_EXERCISE_H

#include "tests/fuzz/lib-fuzz-image.h"

/* Takes an error: it must be one line that says something.  True if there was none. */
bool fuzz_succeeds(struct err *err);

/* There must be no error: else a crash that names it after `what`. */
void fuzz_must(struct err *err, const char *what);

/* Walks the extents, which must cover the disk without gaps, and reads at both ends of each; what is said
 * to be zeros must be. */
void fuzz_read_samples(struct blk *blk);

/* Both devices have one size and read alike, errors included, wherever samples are taken. */
void fuzz_compare_samples(struct blk *a, struct blk *b);

/*
 * Carries out the operations that the rest of an input describes, near the start of the disk.  With
 * `model` the device is sound: no operation may fail, and reads must give what was written.  model is
 * FUZZ_MODEL_BYTES long and holds what the start of the disk reads as afterwards.
 */
#define FUZZ_MODEL_BYTES (3u << 20)
void fuzz_write(struct blk *blk, struct fuzz_rest *rest, uint8_t *model);

/* The start of the disk as it is now, FUZZ_MODEL_BYTES at most. */
uint8_t *fuzz_read_start(struct blk *blk);
void fuzz_expect_start(struct blk *blk, const uint8_t *model, const char *when);

#endif
