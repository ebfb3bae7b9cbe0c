// SPDX-License-Identifier: GPL-3.0-or-later
/* When faults fire, and that a failed request leaves the device below alone. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "p2v/base/blk.h"
#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"

#define DISK_BYTES (1u << 20)

static struct err *ignore_extent(void *arg, uint64_t offset, uint64_t len_bytes, unsigned extent_flags)
{
	(void)arg;
	(void)offset;
	(void)len_bytes;
	(void)extent_flags;
	return NULL;
}

static struct err *request(struct blk *blk, enum blk_op op, size_t len_bytes, uint64_t offset)
{
	CLEANUP_FREE uint8_t *buf = xcalloc(1, len_bytes + 1);

	switch (op) {
	case BLK_OP_READ:
		return blk_pread(blk, buf, len_bytes, offset);
	case BLK_OP_WRITE:
		return blk_pwrite(blk, buf, len_bytes, offset, 0);
	case BLK_OP_ZERO:
		return blk_zero(blk, len_bytes, offset, 0);
	case BLK_OP_DISCARD:
		return blk_discard(blk, len_bytes, offset);
	case BLK_OP_EXTENTS:
		return blk_extents(blk, len_bytes, offset, ignore_extent, NULL);
	default:
		return blk_flush(blk);
	}
}

/* One rule, and which of ten equal requests it fails ('x'). */
static void test_when(void **state)
{
	static const struct {
		struct blk_fault fault;
		uint64_t offset;
		size_t len_bytes;
		const char *expected;
	} cases[] = {
		{{BLK_OP_READ, 4096, 8192, 1, 0, EIO}, 4096, 512, "xxxxxxxxxx"},
		{{BLK_OP_READ, 4096, 8192, 0, 1, EIO}, 4096, 512, "x........."},
		{{BLK_OP_READ, 4096, 8192, 3, 2, EIO}, 0, 4097, "..xx......"},
		{{BLK_OP_READ, 4096, 8192, 1, 0, EIO}, 0, 4096, ".........."},
		{{BLK_OP_READ, 4096, 8192, 1, 0, EIO}, 8192, 4096, ".........."},
		{{BLK_OP_READ, 4096, 8192, 1, 0, EIO}, 8191, 1, "xxxxxxxxxx"},
		{{BLK_OP_READ, 0, UINT64_MAX, 10, 0, EIO}, 0, 1, ".........x"},
		{{BLK_OP_READ, 4096, 4096, 1, 0, EIO}, 0, 8192, ".........."},
		{{BLK_OP_WRITE, 0, UINT64_MAX, 2, 3, ENOSPC}, 5, 1, ".xxx......"},
		{{BLK_OP_ZERO, 0, 1, 1, 1, EIO}, 0, 4096, "x........."},
		{{BLK_OP_DISCARD, 0, 1, 1, 1, EIO}, 0, 4096, "x........."},
		{{BLK_OP_EXTENTS, 0, 1, 1, 1, EIO}, 0, 4096, "x........."},
		{{BLK_OP_FLUSH, 0, 0, 4, 1, EIO}, 0, 0, "...x......"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		CLEANUP_BLK struct blk *blk = NULL;
		struct blk *inner;

		must(blk_mem_create(DISK_BYTES, &inner));
		must(blk_fault_create(inner, &cases[i].fault, 1, &blk));
		for (const char *expected = cases[i].expected; *expected; expected++) {
			struct err *err =
				request(blk, cases[i].fault.op, cases[i].len_bytes, cases[i].offset);

			assert_int_equal(err != NULL, *expected == 'x');
			if (err)
				assert_int_equal(err_errno(err), cases[i].fault.errnum);
			err_free(err);
		}
	}
}

/* Rules count on their own: their order does not matter. */
static void test_two_rules(void **state)
{
	const struct blk_fault faults[] = {{BLK_OP_READ, 0, 100, 2, 1, EIO},
					   {BLK_OP_READ, 50, 200, 3, 1, ENODEV}};
	static const int expected[] = {0, EIO, ENODEV, 0};
	struct blk *inner, *blk;

	(void)state;
	must(blk_mem_create(DISK_BYTES, &inner));
	must(blk_fault_create(inner, faults, 2, &blk));
	for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
		struct err *err = request(blk, BLK_OP_READ, 10, 60);

		assert_int_equal(err ? err_errno(err) : 0, expected[i]);
		err_free(err);
	}
	must(blk_close(blk));
}

static void test_leaves_device_alone(void **state)
{
	const struct blk_fault faults[] = {{BLK_OP_WRITE, 0, UINT64_MAX, 2, 1, EIO},
					   {BLK_OP_ZERO, 0, UINT64_MAX, 1, 1, EIO}};
	struct blk *inner, *blk;
	char got = 0;

	(void)state;
	must(blk_mem_create(DISK_BYTES, &inner));
	must(blk_fault_create(inner, faults, 2, &blk));
	must(blk_pwrite(blk, "a", 1, 7, 0));
	must_fail(blk_pwrite(blk, "b", 1, 7, 0), ERR_FAILED);
	must_fail(blk_zero(blk, 1, 7, 0), ERR_FAILED);
	must(blk_pread(blk, &got, 1, 7));
	assert_int_equal(got, 'a');
	must(blk_close(blk));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_when),
		cmocka_unit_test(test_two_rules),
		cmocka_unit_test(test_leaves_device_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
