// SPDX-License-Identifier: GPL-3.0-or-later
/* A complete file becomes one under construction again, and complete again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/base/lib-must.h"
#include "tests/vhdx/lib-vhdx.h"

static const struct vhdx_create_options options = {.size_bytes = 5 * MIB, .block_bytes = MIB};

static void write_byte(struct blk *vhdx, uint8_t value, uint64_t offset)
{
	uint8_t sector[512] = {value};

	must(blk_pwrite(vhdx, sector, sizeof sector, offset, 0));
}

static void assert_byte(struct blk *file, unsigned flags, uint8_t value, uint64_t offset)
{
	CLEANUP_BLK struct blk *vhdx = vhdx_opened(file, flags);
	uint8_t byte = ~value;

	must(blk_pread(vhdx, &byte, 1, offset));
	assert_int_equal(byte, value);
}

/* What a power cut would leave is refused by those who take complete files alone. */
static void assert_refused(struct blk *file)
{
	CLEANUP_BLK struct blk *left = copy_of(file);
	struct blk *vhdx;

	must_fail(vhdx_open_on(left, 0, NULL, &vhdx), ERR_REFUSED);
}

static void test_mark_and_finish(void **state)
{
	struct blk *file, *vhdx = vhdx_in_memory(&options, &file);

	(void)state;
	must(vhdx_mark_incomplete(vhdx)); /* it is: nothing happens */
	write_byte(vhdx, 1, 0);
	must(vhdx_finish(vhdx));
	for (uint8_t turn = 2; turn < 5; turn++) {
		/* With a log that is in use, and without one. */
		if (turn % 2) {
			write_byte(vhdx, turn, MIB);
			must(blk_zero(vhdx, MIB, 0, BLK_MAY_TRIM));
			must(blk_flush(vhdx));
		}
		assert_byte(copy_of(file), 0, turn % 2 ? 0 : turn == 2 ? 1 : turn - 1, 0);
		must(vhdx_mark_incomplete(vhdx));
		assert_refused(file);
		must(vhdx_mark_incomplete(vhdx));
		write_byte(vhdx, turn, 0);
		write_byte(vhdx, turn, turn * MIB);
		must(blk_flush(vhdx));
		assert_refused(file);
		assert_byte(copy_of(file), VHDX_OPEN_INCOMPLETE, turn, turn * MIB);
		must(vhdx_finish(vhdx));
		assert_byte(copy_of(file), 0, turn, turn * MIB);
		assert_byte(copy_of(file), 0, turn, 0);
		assert_clean(file);
	}
	must(blk_close(vhdx));
}

static void test_refusals(void **state)
{
	CLEANUP_BLK struct blk *memory = NULL;
	struct blk *file, *vhdx = vhdx_in_memory(&options, &file), *view;

	(void)state;
	must(blk_mem_create(MIB, &memory));
	must_fail(vhdx_mark_incomplete(memory), ERR_FAILED);
	must(vhdx_finish(vhdx));
	view = vhdx_opened(copy_of(file), 0);
	must_fail(vhdx_mark_incomplete(view), ERR_REFUSED);
	must(blk_close(view));
	must(blk_close(vhdx));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mark_and_finish),
		cmocka_unit_test(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
