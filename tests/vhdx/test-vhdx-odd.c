// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Files as other programs may lay them out, put together by hand: structures in
 * any order, blocks in any order with gaps between them, more room than is needed,
 * parts that nobody here knows, several writers' habits.  Each reads as it should,
 * is clean, and stays so when it is written to, grown and finished.
 */
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
#include "vhdx/repair.h"

#define BLOCKS 8u
#define BLOCK_BYTES MIB
#define DISK_BYTES (BLOCKS * BLOCK_BYTES - 512)

#define BLOCK_AT(mib) ((mib)*MIB | VHDX_BLOCK_FULLY_PRESENT)

static const struct layout {
	const char *name;
	uint32_t log_mib, log_length_mib;
	uint32_t metadata_mib, metadata_length_mib;
	uint32_t bat_mib, bat_length_mib;
	uint32_t unknown_mib; /* of an optional region; 0: none */
	uint64_t entries[BLOCKS]; /* of the BAT */
	bool equal_headers; /* Disk2vhd */
	bool metadata_first; /* in the region table */
	bool unknown_items;
	uint32_t item_gap; /* bytes between metadata items */
	uint32_t tail_bytes; /* behind the last MiB of the file */
	uint32_t file_mib;
} layouts[] = {
	{"Windows' own order", 1, 1, 2, 1, 3, 1, .entries = {BLOCK_AT(4), 0, BLOCK_AT(5)}, .file_mib = 6},
	{"everything the other way round", 9, 1, 8, 1, 7, 1,
	 .entries = {BLOCK_AT(6), 0, BLOCK_AT(2), BLOCK_AT(1)}, .file_mib = 10, .metadata_first = true},
	{"blocks in any order, with gaps", 1, 1, 3, 1, 2, 1,
	 .entries = {BLOCK_AT(20), BLOCK_AT(5), BLOCK_AT(19), BLOCK_AT(7), 0, 0, BLOCK_AT(11), BLOCK_AT(9)},
	 .file_mib = 30},
	{"more room than is needed", 2, 32, 40, 4, 50, 16, .entries = {BLOCK_AT(70), BLOCK_AT(36)},
	 .file_mib = 80},
	{"an unknown region, between others", 1, 1, 2, 1, 5, 1, .unknown_mib = 3, .entries = {BLOCK_AT(4)},
	 .file_mib = 8},
	{"unknown items, and gaps between items", 1, 1, 2, 1, 3, 1, .entries = {BLOCK_AT(4)},
	 .unknown_items = true, .item_gap = 4096, .file_mib = 5},
	{"all states without space", 1, 1, 2, 1, 3, 1, .entries = {0, 1, 2, 3, 77 * MIB}, .file_mib = 4},
	{"blocks without content that keep a place", 1, 1, 2, 1, 3, 1,
	 .entries = {BLOCK_AT(4), 5 * MIB | 1, 0, 7 * MIB | 3}, .file_mib = 9},
	{"two equal headers, and an odd length", 1, 1, 2, 1, 3, 1, .entries = {BLOCK_AT(4)},
	 .equal_headers = true, .file_mib = 5, .tail_bytes = 512},
	{"the file ends where the disk does: QEMU's fixed files", 1, 1, 2, 1, 3, 1,
	 .entries = {0, 0, 0, 0, 0, 0, BLOCK_AT(4), BLOCK_AT(5)}, .file_mib = 5, .tail_bytes = MIB - 512},
	{"a log of several MiB at the end", 10, 3, 1, 1, 2, 1,
	 .entries = {BLOCK_AT(3), 0, 0, 0, 0, 0, 0, BLOCK_AT(4)}, .file_mib = 13},
};

static const struct guid unknown = GUID_INIT(0x12345678, 0x9abc, 0xdef0, 1, 2, 3, 4, 5, 6, 7, 8);

static void put_regions(struct blk *file, const struct layout *l)
{
	const struct vhdx_region bat = {VHDX_REGION_BAT, l->bat_mib * MIB, l->bat_length_mib * (uint32_t)MIB,
					true};
	const struct vhdx_region metadata = {VHDX_REGION_METADATA, l->metadata_mib * MIB,
					     l->metadata_length_mib * (uint32_t)MIB, true};
	const struct vhdx_region items[] = {
		l->metadata_first ? metadata : bat,
		l->metadata_first ? bat : metadata,
		{unknown, l->unknown_mib * MIB, (uint32_t)MIB, false},
	};
	CLEANUP_FREE uint8_t *table = xmalloc(VHDX_REGION_TABLE_BYTES);

	vhdx_region_table_encode(items, l->unknown_mib ? 3 : 2, table);
	poke(file, VHDX_REGION_TABLE_1_OFFSET, table, VHDX_REGION_TABLE_BYTES);
	poke(file, VHDX_REGION_TABLE_2_OFFSET, table, VHDX_REGION_TABLE_BYTES);
	if (l->unknown_mib)
		poke(file, l->unknown_mib * MIB, "precious", 8);
}

static void put_headers(struct blk *file, const struct layout *l)
{
	for (unsigned slot = 0; slot < 2; slot++) {
		const struct vhdx_header header = {
			.sequence_number = l->equal_headers ? 3 : slot + 7,
			.file_write_guid = unknown,
			.data_write_guid = unknown,
			.version = VHDX_VERSION,
			.log_offset = l->log_mib * MIB,
			.log_length = l->log_length_mib * (uint32_t)MIB,
		};
		struct vhdx_disk_header disk;

		vhdx_header_encode(&header, &disk);
		poke(file, vhdx_header_offset(slot), &disk, sizeof disk);
	}
}

/* The usual items, moved apart; with others before and between them. */
static void put_metadata(struct blk *file, const struct layout *l)
{
	struct vhdx_metadata metadata = {
		.geometry = {.size_bytes = DISK_BYTES,
			     .block_bytes = BLOCK_BYTES,
			     .logical_sector_bytes = 512,
			     .physical_sector_bytes = 4096},
		.disk_id = unknown,
	};
	CLEANUP_FREE uint8_t *usual = xmalloc(VHDX_METADATA_NEW_BYTES);
	CLEANUP_FREE uint8_t *bytes = xcalloc(1, MIB);
	struct vhdx_disk_metadata_header header;
	uint32_t at = VHDX_METADATA_TABLE_BYTES + l->item_gap;
	uint16_t count = 0, usual_count;

	vhdx_metadata_encode(&metadata, usual);
	memcpy(&header, usual, sizeof header);
	usual_count = le16_get(header.entry_count);
	for (unsigned i = 0; i < usual_count; i++) {
		struct vhdx_disk_metadata_entry entry, other = {.item_id = unknown};

		/* An item of the user's, and one of the system's that is not required, of the same name. */
		other.flags = le32_make(i ? VHDX_METADATA_IS_USER : 0);
		if (l->unknown_items && i < 2) {
			other.offset = le32_make(at);
			other.length = le32_make(9);
			memcpy(bytes + at, "keep this", 9);
			memcpy(bytes + sizeof header + count++ * sizeof other, &other, sizeof other);
			at += 100;
		}
		memcpy(&entry, usual + sizeof header + i * sizeof entry, sizeof entry);
		memcpy(bytes + at, usual + le32_get(entry.offset), le32_get(entry.length));
		entry.offset = le32_make(at);
		memcpy(bytes + sizeof header + count++ * sizeof entry, &entry, sizeof entry);
		at += le32_get(entry.length) + l->item_gap;
	}
	header.entry_count = le16_make(count);
	memcpy(bytes, &header, sizeof header);
	poke(file, l->metadata_mib * MIB, bytes, MIB);
}

/* Blocks hold their own number; what is behind the entries in use is junk that means nothing. */
static void put_blocks(struct blk *file, const struct layout *l)
{
	CLEANUP_FREE uint8_t *data = xmalloc(BLOCK_BYTES);

	for (unsigned i = 0; i < BLOCKS; i++) {
		poke_le64(file, l->bat_mib * MIB + 8 * i, l->entries[i]);
		memset(data, (int)i + 1, BLOCK_BYTES);
		if ((l->entries[i] & VHDX_BAT_STATE_MASK) == VHDX_BLOCK_FULLY_PRESENT)
			poke(file, l->entries[i] & VHDX_BAT_OFFSET_MASK, data,
			     i + 1 < BLOCKS ? BLOCK_BYTES : DISK_BYTES % BLOCK_BYTES);
	}
}

static struct blk *make(const struct layout *l)
{
	struct blk *file;

	must(blk_mem_create(l->file_mib * MIB + l->tail_bytes, &file));
	poke(file, 0, "vhdxfile", 8);
	put_headers(file, l);
	put_regions(file, l);
	put_metadata(file, l);
	put_blocks(file, l);
	return file;
}

static void assert_content(const struct layout *l, struct blk *vhdx, unsigned first)
{
	CLEANUP_FREE uint8_t *data = xmalloc(BLOCK_BYTES);

	for (unsigned i = first; i < BLOCKS; i++) {
		bool has_data = (l->entries[i] & VHDX_BAT_STATE_MASK) == VHDX_BLOCK_FULLY_PRESENT;
		uint64_t bytes = i + 1 < BLOCKS ? BLOCK_BYTES : DISK_BYTES % BLOCK_BYTES;

		must(blk_pread(vhdx, data, bytes, i * BLOCK_BYTES));
		for (uint64_t k = 0; k < bytes; k++)
			if (data[k] != (has_data ? i + 1 : 0))
				fail_msg("%s: block %u holds %02x", l->name, i, data[k]);
	}
}

/* Changes it in all ways, and looks at it again. */
static void use(const struct layout *l, struct blk *file)
{
	struct blk *vhdx = vhdx_opened(file, VHDX_OPEN_WRITE);
	uint8_t byte;

	for (unsigned i = 0; i < BLOCKS; i++)
		must(blk_pwrite(vhdx, "new", 3, i * BLOCK_BYTES, i % 3 ? 0 : BLK_FUA));
	must(blk_zero(vhdx, 3, 0, 0));
	must(blk_resize(vhdx, 400 * MIB));
	must(blk_pwrite(vhdx, "new", 3, 300 * MIB, 0));
	must(vhdx_finish(vhdx));
	assert_clean(file);
	must(blk_pread(vhdx, &byte, 1, 300 * MIB));
	assert_int_equal(byte, 'n');
	/* What is unknown is left alone. */
	if (l->unknown_mib) {
		char text[8];

		must(blk_pread(file, text, sizeof text, l->unknown_mib * MIB));
		assert_memory_equal(text, "precious", sizeof text);
	}
	must(blk_close(vhdx));
}

static void test_layouts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(layouts); i++) {
		const struct layout *l = &layouts[i];
		struct blk *file = make(l), *vhdx;

		print_message("  %s\n", l->name);
		if (l->tail_bytes)
			assert_no_errors_in(file);
		else
			assert_clean(file);
		vhdx = vhdx_opened(borrowed(file), 0);
		assert_int_equal(vhdx->size_bytes, DISK_BYTES);
		assert_content(l, vhdx, 0);
		must(blk_close(vhdx));
		use(l, file);
	}
}

/* The place that a block without content keeps is given to no other block: Windows would take it back. */
static void test_kept_places(void **state)
{
	static const struct layout l = {
		"kept places", 1, 1, 2, 1, 3, 1, .entries = {BLOCK_AT(4), 5 * MIB | 1, 0, 7 * MIB | 3},
		.file_mib = 9};
	struct blk *file = make(&l), *vhdx = vhdx_opened(file, VHDX_OPEN_WRITE);

	(void)state;
	for (unsigned i = 4; i < BLOCKS; i++)
		must(blk_pwrite(vhdx, "new", 3, i * BLOCK_BYTES, 0));
	must(vhdx_finish(vhdx));
	assert_clean(file);
	assert_int_equal(peek_le64(file, 3 * MIB + 8), 5 * MIB | 1);
	assert_int_equal(peek_le64(file, 3 * MIB + 24), 7 * MIB | 3);
	/* What lay free between them was taken. */
	assert_int_equal(file->size_bytes, 11 * MIB);
	must(blk_close(vhdx));
}

static bool has_blocks(const struct layout *l)
{
	for (unsigned i = 0; i < BLOCKS; i++)
		if ((l->entries[i] & VHDX_BAT_STATE_MASK) == VHDX_BLOCK_FULLY_PRESENT)
			return true;
	return false;
}

/* The same when both region tables or both headers are damaged, or the metadata table's signature. */
static void test_repairs(void **state)
{
	static const uint64_t damages[][2] = {
		{VHDX_HEADER_1_OFFSET + 20, VHDX_HEADER_2_OFFSET + 20},
		{VHDX_REGION_TABLE_1_OFFSET + 100, VHDX_REGION_TABLE_2_OFFSET + 100},
		{VHDX_REGION_TABLE_1_OFFSET + 30, VHDX_REGION_TABLE_2_OFFSET + 40},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(layouts); i++) {
		for (size_t d = 0; d < COUNT_OF(damages); d++) {
			const struct layout *l = &layouts[i];
			CLEANUP_BLK struct blk *file = make(l);
			struct blk *vhdx;
			struct err *err;

			poke(file, damages[d][0], "junk", 4);
			poke(file, damages[d][1], "junk", 4);
			err = vhdx_repair_on(file, 0);
			/* Where no block is in the file, nothing tells a BAT from zeros. */
			if (err && !has_blocks(l)) {
				must_fail(err, ERR_REFUSED);
				continue;
			}
			if (err)
				fail_msg("%s, damage %zu: %s", l->name, d, err_message(err));
			assert_clean(file);
			vhdx = vhdx_opened(borrowed(file), 0);
			assert_content(l, vhdx, 0);
			must(blk_close(vhdx));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layouts),
		cmocka_unit_test(test_kept_places),
		cmocka_unit_test(test_repairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
