/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a fuzz target is to libFuzzer, to AFL++'s driver, and to main-files.c. */
#ifndef TESTS_FUZZ_LIB_FUZZ_TARGET_H
#define TESTS_FUZZ_LIB_FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

/* Tries one input.  Crashes on a finding; else 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libFuzzer's own mutator, and ours that it calls instead if it is linked (mutator.c). */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

#endif
