// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Requests around the page cache: what is split how, and that a file seen through
 * it and around it is one file, whatever is cached, aligned or not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "p2v/base/direct.h"
#include "p2v/base/mem.h"
#include "tests/base/lib-blk-conformance.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-nbd-server.h"
#include "tests/base/lib-rng.h"

#define KIB 1024u
#define DISK_BYTES (6 * KIB * KIB + 777)
#define MAX_REQUEST_BYTES (1500 * KIB) /* more than goes through one copy */
#define ROUNDS 400u

static void test_span(void **state)
{
	static const struct {
		size_t len_bytes;
		uint64_t offset;
		struct direct_span span;
	} cases[] = {
		{256 * KIB, 0, {0, 256 * KIB}},		  {256 * KIB - 1, 0, {0, 0}},
		{256 * KIB, 1, {4095, 252 * KIB}},	  {256 * KIB + 4095, 4095, {1, 256 * KIB}},
		{256 * KIB + 4096, 4096, {0, 260 * KIB}}, {300 * KIB + 7, (1ull << 46) - 3, {3, 300 * KIB}},
	};
	const struct direct direct = {.memory_align_bytes = 512, .offset_align_bytes = 4096};
	const struct direct none = {-1, 512, 4096};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct direct_span span = direct_span(&direct, cases[i].len_bytes, cases[i].offset);

		assert_int_equal(span.len_bytes, cases[i].span.len_bytes);
		if (span.len_bytes)
			assert_int_equal(span.skip_bytes, cases[i].span.skip_bytes);
		assert_int_equal(direct_span(&none, cases[i].len_bytes, cases[i].offset).len_bytes, 0);
	}
}

/* Random requests through either view; each must see what the other did. */
static void test_two_views(void **state)
{
	char *dir = test_dir_make();
	CLEANUP_FREE char *path = test_path(dir, "disk");
	CLEANUP_FREE uint8_t *model = xcalloc(1, DISK_BYTES);
	CLEANUP_FREE uint8_t *buf = xmalloc(MAX_REQUEST_BYTES + 4096);
	struct rng rng = {11};
	struct blk *views[2];

	(void)state;
	must(blk_file_open(path, BLK_FILE_CREATE | BLK_FILE_DIRECT, DISK_BYTES, &views[0]));
	must(blk_file_open(path, BLK_FILE_WRITE, 0, &views[1]));
	for (unsigned i = 0; i < ROUNDS; i++) {
		uint64_t align = rng_below(&rng, 2) ? 4096 : 1;
		uint64_t offset = rng_below(&rng, DISK_BYTES) / align * align;
		size_t len_bytes = (1 + rng_below(&rng, MAX_REQUEST_BYTES - align) / align) * align;
		uint8_t *at = buf + (rng_below(&rng, 2) ? 0 : rng_below(&rng, 4096));
		struct blk *blk = views[rng_below(&rng, 2)];

		if (len_bytes > DISK_BYTES - offset)
			len_bytes = DISK_BYTES - offset;
		if (rng_below(&rng, 2)) {
			rng_fill(&rng, at, len_bytes);
			memcpy(model + offset, at, len_bytes);
			must(blk_pwrite(blk, at, len_bytes, offset, i % 16 ? 0 : BLK_FUA));
		} else {
			must(blk_pread(blk, at, len_bytes, offset));
			assert_memory_equal(at, model + offset, len_bytes);
		}
	}
	for (unsigned i = 0; i < 2; i++) {
		blk_conformance_expect(views[i], model);
		must(blk_close(views[i]));
	}
	test_dir_remove(dir);
}

/* Aligned or not, a direct request moves all of it; what it cannot do it says. */
static void test_transfer(void **state)
{
	char *dir = test_dir_make();
	CLEANUP_FREE char *path = test_path(dir, "disk");
	CLEANUP_FREE uint8_t *data = aligned_alloc(4096, 2048 * KIB);
	CLEANUP_FREE uint8_t *got = aligned_alloc(4096, 2048 * KIB);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct rng rng = {12};
	struct direct direct;

	(void)state;
	assert_true(fd >= 0);
	direct_init(path, fd, O_RDWR, &direct);
	rng_fill(&rng, data, 2048 * KIB);
	if (direct.fd < 0) {
		print_message("  no O_DIRECT in %s\n", dir);
	} else {
		for (size_t skew = 0; skew < 2; skew++) {
			assert_true(direct_write(&direct, data + skew, 1300 * KIB, 4096, 0));
			assert_int_equal(pread(fd, got, 1300 * KIB, 4096), 1300 * KIB);
			assert_memory_equal(got, data + skew, 1300 * KIB);
			memset(got, 0, 2048 * KIB);
			assert_true(direct_read(&direct, got + skew, 1300 * KIB, 4096));
			assert_memory_equal(got + skew, data + skew, 1300 * KIB);
		}
		/* Behind the end of the file. */
		assert_false(direct_read(&direct, got, 4096, 4096 * KIB));
	}
	assert_int_equal(direct_deinit(&direct), 0);
	close(fd);
	test_dir_remove(dir);
}

/* Another file under the name by now is not opened. */
static void test_renamed(void **state)
{
	char *dir = test_dir_make();
	CLEANUP_FREE char *path = test_path(dir, "disk");
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), other;
	struct direct direct;

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(unlink(path), 0);
	direct_init(path, fd, O_RDWR, &direct);
	assert_int_equal(direct.fd, -1);
	other = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(other >= 0);
	direct_init(path, fd, O_RDWR, &direct);
	assert_int_equal(direct.fd, -1);
	close(other);
	close(fd);
	test_dir_remove(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_span),
		cmocka_unit_test(test_two_views),
		cmocka_unit_test(test_transfer),
		cmocka_unit_test(test_renamed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
