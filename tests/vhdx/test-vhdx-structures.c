// SPDX-License-Identifier: GPL-3.0-or-later
/* Each structure of the format, there and back, and with every byte wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/vhdx/lib-vhdx.h"
#include "vhdx/header.h"
#include "vhdx/metadata.h"
#include "vhdx/region.h"
#include "vhdx/utf16.h"

static void test_signatures(void **state)
{
	/* As characters on disk. */
	le64 file = le64_make(VHDX_FILE_SIGNATURE), metadata = le64_make(VHDX_METADATA_SIGNATURE);
	static const struct {
		uint32_t value;
		const char *text;
	} words[] = {
		{VHDX_HEADER_SIGNATURE, "head"},    {VHDX_REGION_SIGNATURE, "regi"},
		{VHDX_LOG_ENTRY_SIGNATURE, "loge"}, {VHDX_LOG_ZERO_SIGNATURE, "zero"},
		{VHDX_LOG_DATA_SIGNATURE, "desc"},  {VHDX_LOG_SECTOR_SIGNATURE, "data"},
	};

	(void)state;
	assert_memory_equal(&file, "vhdxfile", 8);
	assert_memory_equal(&metadata, "metadata", 8);
	for (size_t i = 0; i < COUNT_OF(words); i++) {
		le32 word = le32_make(words[i].value);

		assert_memory_equal(&word, words[i].text, 4);
	}
}

static struct vhdx_header sample_header(void)
{
	struct vhdx_header header = {
		.sequence_number = 0x1122334455667788,
		.log_version = 0,
		.version = 1,
		.log_length = 0x00300000,
		.log_offset = 0x0000123400100000,
	};

	memset(&header.file_write_guid, 0xf1, sizeof header.file_write_guid);
	memset(&header.data_write_guid, 0xd1, sizeof header.data_write_guid);
	memset(&header.log_guid, 0x10, sizeof header.log_guid);
	return header;
}

static void test_header(void **state)
{
	struct vhdx_header header = sample_header(), back = {0};
	struct vhdx_disk_header disk;
	uint8_t *bytes = (uint8_t *)&disk;

	(void)state;
	vhdx_header_encode(&header, &disk);
	/* Offsets by [MS-VHDX] 2.2.2. */
	assert_memory_equal(bytes, "head", 4);
	assert_memory_equal(bytes + 8, "\x88\x77\x66\x55\x44\x33\x22\x11", 8);
	assert_int_equal(bytes[16], 0xf1);
	assert_int_equal(bytes[32], 0xd1);
	assert_int_equal(bytes[48], 0x10);
	assert_memory_equal(bytes + 64, "\x00\x00\x01\x00\x00\x00\x30\x00", 8);
	assert_memory_equal(bytes + 72, "\x00\x00\x10\x00\x34\x12\x00\x00", 8);
	assert_true(vhdx_header_decode(&disk, &back));
	assert_memory_equal(&back, &header, sizeof header);
	for (size_t i = 0; i < sizeof disk; i += i < 80 ? 1 : 61) {
		bytes[i] ^= 0x40;
		assert_false(vhdx_header_decode(&disk, &back));
		bytes[i] ^= 0x40;
	}
}

static void test_header_update(void **state)
{
	struct vhdx_headers headers = {.slot = 1};
	struct vhdx_header header = sample_header();
	CLEANUP_FINDINGS struct findings findings = {.name = "test"};
	CLEANUP_BLK struct blk *file = NULL;

	(void)state;
	header.log_offset = MIB;
	must(blk_mem_create(8 * MIB, &file));
	poke_le64(file, 0, VHDX_FILE_SIGNATURE);
	for (unsigned i = 1; i <= 5; i++) {
		struct vhdx_headers read;

		header.file_write_guid.data4[0] = (uint8_t)i;
		must(vhdx_headers_update(file, &headers, &header));
		assert_int_equal(headers.current.sequence_number, i);
		assert_int_equal(headers.slot, (i + 1) % 2);
		must(vhdx_headers_read(file, &findings, &read));
		assert_null(findings.fatal);
		assert_memory_equal(&read.current, &headers.current, sizeof read.current);
		assert_int_equal(read.other_is_valid, i > 1);
		assert_int_equal(read.slot, headers.slot);
	}
}

static void test_region_table(void **state)
{
	struct vhdx_region items[2] = {
		{VHDX_REGION_BAT, 3 * MIB, 0x00200000, true},
		{VHDX_REGION_METADATA, 2 * MIB, 0x00100000, false},
	};
	CLEANUP_FREE uint8_t *table = xmalloc(VHDX_REGION_TABLE_BYTES);
	static const uint8_t bat_guid[] = {0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42,
					   0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08};

	(void)state;
	vhdx_region_table_encode(items, 2, table);
	assert_memory_equal(table, "regi", 4);
	assert_memory_equal(table + 8, "\x02\0\0\0\0\0\0\0", 8);
	assert_memory_equal(table + 16, bat_guid, 16);
	assert_memory_equal(table + 32, "\0\0\x30\0\0\0\0\0\0\0\x20\0\x01\0\0\0", 16);
	assert_memory_equal(table + 64, "\0\0\x20\0\0\0\0\0\0\0\x10\0\0\0\0\0", 16);
	assert_true(vhdx_region_table_is_valid(table));
	assert_string_equal(vhdx_region_name(&items[0].guid), "BAT");
	assert_string_equal(vhdx_region_name(&items[1].guid), "metadata");
	items[0].guid.data4[7]++;
	assert_null(vhdx_region_name(&items[0].guid));
	for (size_t i = 0; i < VHDX_REGION_TABLE_BYTES; i += i < 100 ? 1 : 997) {
		table[i] ^= 1;
		assert_false(vhdx_region_table_is_valid(table));
		table[i] ^= 1;
	}
}

static void test_metadata(void **state)
{
	struct vhdx_metadata metadata = {
		.geometry = {.size_bytes = 0x123456789 * 4096ull,
			     .block_bytes = 32 << 20,
			     .logical_sector_bytes = 4096,
			     .physical_sector_bytes = 4096},
		.is_fixed = true,
		.is_incomplete = true,
	};
	struct vhdx_region region = {.file_offset = 2 * MIB, .length_bytes = MIB};
	struct vhdx_metadata back = {0};
	CLEANUP_FREE uint8_t *bytes = xmalloc(VHDX_METADATA_NEW_BYTES);
	CLEANUP_FINDINGS struct findings findings = {.name = "test"};
	CLEANUP_BLK struct blk *file = NULL;

	(void)state;
	memset(&metadata.disk_id, 0x83, sizeof metadata.disk_id);
	assert_int_equal(vhdx_geometry_derive(&metadata.geometry), VHDX_GEOMETRY_OK);
	must(blk_mem_create(4 * MIB, &file));
	for (int complete = 0; complete < 2; complete++) {
		vhdx_metadata_encode(&metadata, bytes);
		/* The marker comes last; taking it out moves nothing and leaves nothing behind. */
		if (complete) {
			CLEANUP_FREE uint8_t *before = xmemdup(bytes, VHDX_METADATA_NEW_BYTES);

			vhdx_metadata_table_complete(bytes);
			assert_int_equal(bytes[10], before[10] - 1);
			assert_memory_equal(bytes + 32, before + 32, 5 * 32);
			assert_true(blk_is_zero(bytes + 32 + 5 * 32, VHDX_METADATA_TABLE_BYTES - 6 * 32));
		}
		poke(file, region.file_offset, bytes, VHDX_METADATA_NEW_BYTES);
		must(vhdx_metadata_read(file, &region, &findings, &back));
		assert_null(findings.fatal);
		assert_int_equal(findings.counts.warnings + findings.counts.errors, 0);
		assert_int_equal(back.count, complete ? 5 : 6);
		assert_int_equal(back.is_incomplete, !complete);
		assert_true(back.is_fixed);
		assert_memory_equal(&back.geometry, &metadata.geometry, sizeof back.geometry);
		assert_memory_equal(&back.disk_id, &metadata.disk_id, sizeof back.disk_id);
		vhdx_metadata_deinit(&back);
	}
}

/* The marker of somebody else's file may be anywhere in the table, and a user item of that name is none. */
static void test_marker_in_the_middle(void **state)
{
	CLEANUP_FREE uint8_t *table = xcalloc(1, VHDX_METADATA_TABLE_BYTES);
	struct vhdx_disk_metadata_header header = {.signature = le64_make(VHDX_METADATA_SIGNATURE),
						   .entry_count = le16_make(3)};
	struct vhdx_disk_metadata_entry entries[3] = {
		{.item_id = VHDX_ITEM_INCOMPLETE, .flags = le32_make(VHDX_METADATA_IS_USER)},
		{.item_id = VHDX_ITEM_INCOMPLETE, .flags = le32_make(VHDX_METADATA_IS_REQUIRED)},
		{.item_id = VHDX_ITEM_DISK_SIZE, .offset = le32_make(65536), .length = le32_make(8)},
	};

	(void)state;
	memcpy(table, &header, sizeof header);
	memcpy(table + 32, entries, sizeof entries);
	vhdx_metadata_table_complete(table);
	assert_int_equal(table[10], 2);
	assert_memory_equal(table + 32, &entries[0], 32);
	assert_memory_equal(table + 64, &entries[2], 32);
	assert_true(blk_is_zero(table + 96, 64));
}

static void test_utf16(void **state)
{
	static const struct {
		uint16_t units[6];
		size_t count;
		const char *utf8;
	} cases[] = {
		{{'Q', 'E', 'M', 'U'}, 4, "QEMU"},
		{{'a', 0, 'b'}, 3, "a"},
		{{0}, 0, ""},
		{{0xe9, 0x20ac}, 2, "\xc3\xa9\xe2\x82\xac"},
		{{0xd83d, 0xde00, 'x'}, 3, "\xf0\x9f\x98\x80x"},
		{{0xd83d, 'x'}, 2, "\xef\xbf\xbdx"},
		{{0xde00, 'x'}, 2, "\xef\xbf\xbdx"},
		{{'x', 0xd83d}, 2, "x\xef\xbf\xbd"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		CLEANUP_FREE char *text = NULL;
		le16 units[6];

		for (size_t u = 0; u < 6; u++)
			units[u] = le16_make(cases[i].units[u]);
		text = vhdx_utf8_from_utf16(units, cases[i].count);
		assert_string_equal(text, cases[i].utf8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signatures),    cmocka_unit_test(test_header),
		cmocka_unit_test(test_header_update), cmocka_unit_test(test_region_table),
		cmocka_unit_test(test_metadata),      cmocka_unit_test(test_marker_in_the_middle),
		cmocka_unit_test(test_utf16),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
