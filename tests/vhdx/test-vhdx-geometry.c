// SPDX-License-Identifier: GPL-3.0-or-later
/* How disks are cut into blocks: figures worked out by hand from [MS-VHDX] 2.5. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/vhdx/lib-vhdx.h"
#include "vhdx/geometry.h"

static void test_counts(void **state)
{
	static const struct {
		uint64_t size_bytes;
		uint32_t block_mib, sector;
		bool has_parent;
		uint64_t chunk_ratio, blocks, entries;
	} cases[] = {
		/* 1 MiB blocks, 512-byte sectors: 2^23 * 512 / 2^20 = 4096 blocks in a chunk of 4 GiB. */
		{512, 1, 512, false, 4096, 1, 1},
		{1 * MIB, 1, 512, false, 4096, 1, 1},
		{1 * MIB + 512, 1, 512, false, 4096, 2, 2},
		{4 * GIB, 1, 512, false, 4096, 4096, 4096},
		{4 * GIB + 512, 1, 512, false, 4096, 4097, 4098},
		{8 * GIB, 1, 512, false, 4096, 8192, 8193},
		{8 * GIB + MIB, 1, 512, false, 4096, 8193, 8195},
		/* A differencing file has whole chunks. */
		{512, 1, 512, true, 4096, 1, 4097},
		{4 * GIB, 1, 512, true, 4096, 4096, 4097},
		{4 * GIB + 512, 1, 512, true, 4096, 4097, 8194},
		/* Windows' own: 32 MiB blocks; 128 in a chunk. */
		{127 * GIB, 32, 512, false, 128, 4064, 4064 + 31},
		{2 * MIB, 2, 512, false, 2048, 1, 1},
		{1 * TIB, 2, 512, false, 2048, 524288, 524288 + 255},
		{1 * TIB, 256, 512, false, 16, 4096, 4096 + 255},
		{1 * TIB, 256, 4096, false, 128, 4096, 4096 + 31},
		{4096, 1, 4096, false, 32768, 1, 1},
		{64 * TIB, 1, 512, false, 4096, 67108864, 67108864 + 16383},
		{64 * TIB, 1, 4096, false, 32768, 67108864, 67108864 + 2047},
		{64 * TIB, 256, 512, false, 16, 262144, 262144 + 16383},
		{64 * TIB, 1, 512, true, 4096, 67108864, 67108864 + 16384},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct vhdx_geometry g = {
			.size_bytes = cases[i].size_bytes,
			.block_bytes = cases[i].block_mib << 20,
			.logical_sector_bytes = cases[i].sector,
			.physical_sector_bytes = 4096,
			.has_parent = cases[i].has_parent,
		};

		assert_int_equal(vhdx_geometry_derive(&g), VHDX_GEOMETRY_OK);
		assert_int_equal(1ull << g.chunk_shift, cases[i].chunk_ratio);
		assert_int_equal(g.block_count, cases[i].blocks);
		assert_int_equal(g.bat_entry_count, cases[i].entries);
		/* Cap of the BAT: 513 MiB. */
		assert_true(g.bat_entry_count * 8 <= 513 * MIB);
		/* The last payload entry is in the table; without parent it is the last of all. */
		assert_true(vhdx_geometry_bat_index(&g, g.block_count - 1) < g.bat_entry_count);
		if (!g.has_parent)
			assert_int_equal(vhdx_geometry_bat_index(&g, g.block_count - 1),
					 g.bat_entry_count - 1);
	}
}

static void test_indexes(void **state)
{
	static const struct {
		uint64_t block, index;
	} cases[] = {{0, 0}, {1, 1}, {127, 127}, {128, 129}, {255, 256}, {256, 258}, {4063, 4063 + 31}};
	struct vhdx_geometry g = {
		.size_bytes = 127 * GIB,
		.block_bytes = 32 << 20,
		.logical_sector_bytes = 512,
		.physical_sector_bytes = 4096,
	};
	uint64_t block, payload = 0;

	(void)state;
	assert_int_equal(vhdx_geometry_derive(&g), VHDX_GEOMETRY_OK);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		assert_int_equal(vhdx_geometry_bat_index(&g, cases[i].block), cases[i].index);
		assert_true(vhdx_geometry_block_at(&g, cases[i].index, &block));
		assert_int_equal(block, cases[i].block);
	}
	assert_false(vhdx_geometry_block_at(&g, 128, &block));
	assert_false(vhdx_geometry_block_at(&g, 257, &block));
	for (uint64_t i = 0; i < g.bat_entry_count; i++) {
		if (!vhdx_geometry_block_at(&g, i, &block))
			continue;
		assert_int_equal(block, payload++);
		assert_int_equal(vhdx_geometry_bat_index(&g, block), i);
	}
	assert_int_equal(payload, g.block_count);
}

static void test_last_block(void **state)
{
	struct vhdx_geometry g = {
		.size_bytes = 5 * MIB + 1536,
		.block_bytes = 2 << 20,
		.logical_sector_bytes = 512,
		.physical_sector_bytes = 512,
	};

	(void)state;
	assert_int_equal(vhdx_geometry_derive(&g), VHDX_GEOMETRY_OK);
	assert_int_equal(g.block_count, 3);
	assert_int_equal(vhdx_geometry_used_bytes(&g, 1), 2 * MIB);
	assert_int_equal(vhdx_geometry_used_bytes(&g, 2), 1 * MIB + 1536);
}

static void test_refused(void **state)
{
	static const struct {
		struct vhdx_geometry geometry;
		enum vhdx_geometry_status status;
	} cases[] = {
		{{0, 1 << 20, 0, 512, 512}, VHDX_GEOMETRY_SIZE_ZERO},
		{{64 * TIB + 512, 1 << 20, 0, 512, 512}, VHDX_GEOMETRY_SIZE_TOO_LARGE},
		{{UINT64_MAX - 511, 1 << 20, 0, 512, 512}, VHDX_GEOMETRY_SIZE_TOO_LARGE},
		{{1 * MIB + 511, 1 << 20, 0, 512, 512}, VHDX_GEOMETRY_SIZE_UNALIGNED},
		{{1 * MIB + 512, 1 << 20, 0, 4096, 4096}, VHDX_GEOMETRY_SIZE_UNALIGNED},
		{{1 * MIB, 0, 0, 512, 512}, VHDX_GEOMETRY_BLOCK},
		{{1 * MIB, 1 << 19, 0, 512, 512}, VHDX_GEOMETRY_BLOCK},
		{{1 * MIB, 3 << 20, 0, 512, 512}, VHDX_GEOMETRY_BLOCK},
		{{1 * MIB, 512 << 20, 0, 512, 512}, VHDX_GEOMETRY_BLOCK},
		{{1 * MIB, 1 << 20, 0, 1024, 4096}, VHDX_GEOMETRY_LOGICAL_SECTOR},
		{{1 * MIB, 1 << 20, 0, 0, 4096}, VHDX_GEOMETRY_LOGICAL_SECTOR},
		{{1 * MIB, 1 << 20, 0, 512, 8192}, VHDX_GEOMETRY_PHYSICAL_SECTOR},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct vhdx_geometry g = cases[i].geometry;

		assert_int_equal(vhdx_geometry_derive(&g), cases[i].status);
		assert_non_null(vhdx_geometry_status_text(cases[i].status));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_indexes),
		cmocka_unit_test(test_last_block),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
