// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Damaged differencing files, and damaged logs: what only they have, each with each
 * kind of wrong value.  What the specification forbids is found by a check; what
 * would give a wrong disk is refused as well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"
#include "tests/vhdx/lib-damage.h"

#define DISK_BYTES (8 * MIB)

/* Where a child has its parent locator, and its BAT. */
struct places {
	uint64_t locator; /* in the file */
	uint64_t bat;
	uint64_t bitmap_entry; /* of the first chunk, in the file */
};

/* The pair; all of it in memory. */
struct pair {
	struct blk *base, *child;
	struct places places;
};

/* Finished, 1 MiB blocks: block 0 is in the child, block 2 in part, block 4 is zero. */
static struct pair make_pair(void)
{
	const struct vhdx_create_options base_options = {.size_bytes = DISK_BYTES, .block_bytes = 1 << 20};
	struct blk *file, *base_file, *base = vhdx_in_memory(&base_options, &base_file), *vhdx;
	CLEANUP_VHDX_INFO struct vhdx_info info = {0};
	CLEANUP_FREE uint8_t *block = xcalloc(1, MIB);
	struct pair pair;

	memset(block, 0xaa, MIB);
	for (uint64_t at = 0; at < DISK_BYTES; at += MIB)
		must(blk_pwrite(base, block, MIB, at, 0));
	must(vhdx_finish(base));
	pair.base = copy_of(base_file);
	must(blk_mem_create(0, &file));
	must(vhdx_create_on(file, &(struct vhdx_create_options){.block_bytes = 1 << 20, .parent = base}, NULL,
			    &vhdx));
	must(blk_pwrite(vhdx, block, MIB, 0, 0));
	must(blk_pwrite(vhdx, block, 4096, 2 * MIB + 8192, 0));
	must(blk_zero(vhdx, MIB, 4 * MIB, BLK_MAY_TRIM));
	must(vhdx_finish(vhdx));
	pair.child = copy_of(file);
	must(blk_close(vhdx));
	vhdx = vhdx_opened(borrowed(pair.child), VHDX_OPEN_INSPECT);
	must(vhdx_get_info(vhdx, &info));
	for (size_t i = 0; i < info.item_count; i++)
		if (info.items[i].name && !strcmp(info.items[i].name, "parent locator"))
			pair.places.locator = info.items[i].file_offset;
	pair.places.bat = info.regions[0].file_offset;
	assert_string_equal(info.regions[0].name, "BAT");
	/* 2^23 sectors of 512 bytes are 4096 blocks. */
	pair.places.bitmap_entry = pair.places.bat + 4096 * VHDX_BAT_ENTRY_BYTES;
	must(blk_close(vhdx));
	assert_clean(pair.child);
	return pair;
}

static void pair_deinit(struct pair *pair)
{
	must(blk_close(pair->base));
	must(blk_close(pair->child));
}

/* All that a guest could do with the file: opens it over its parent and reads it. */
static struct err *read_child(struct pair *pair, struct blk *child)
{
	struct blk *parent = vhdx_opened(borrowed(pair->base), 0), *file = borrowed(child), *vhdx;
	CLEANUP_FREE uint8_t *content = xmalloc(DISK_BYTES);
	struct err *err = vhdx_open_over(file, parent, 0, NULL, &vhdx);

	if (err) {
		must(blk_close(file));
		must(blk_close(parent));
		return err;
	}
	err = blk_pread(vhdx, content, DISK_BYTES, 0);
	must(blk_close(vhdx));
	return err;
}

struct child_case {
	uint32_t at;
	unsigned bytes; /* 4 or 8 */
	uint64_t value;
	const char *finding;
	bool is_refused; /* by opening or reading, too */
};

static void try_case(struct pair *pair, uint64_t start, const struct child_case *c)
{
	CLEANUP_BLK struct blk *file = copy_of(pair->child);
	struct err *err;

	if (c->bytes == 4)
		poke_le32(file, start + c->at, (uint32_t)c->value);
	else
		poke_le64(file, start + c->at, c->value);
	assert_has_finding(file, c->finding);
	err = read_child(pair, file);
	if (c->is_refused)
		must_fail(err, ERR_REFUSED);
	else
		must(err);
}

/* [MS-VHDX] 2.6.2.6: a header of 20 bytes, then entries of 12: key offset, value offset, both lengths.  The
 * pairs are parent_linkage, parent_linkage2, relative_path, absolute_win32_path. */
#define PAIR(i) (20 + 12 * (i))

static void test_locator(void **state)
{
	static const struct child_case cases[] = {
		{0, 4, 7, "is of a kind that is unknown", true},
		{16, 4, 0xffff0000, "is damaged", true},
		{16, 4, 0, "is missing, or empty", true},
		{16, 4, 0x00040001, "a reserved field of the parent locator", false},
		{PAIR(0), 4, 0, "does not tell which parent it means", true},
		{PAIR(0) + 8, 4, 0x004c0000, "does not tell which parent it means", true},
		{PAIR(0) + 8, 4, 0x0000001c, "an identifier of the parent that is none", true},
		{PAIR(1), 4, 0, "has an empty key or value", false},
		{PAIR(1) + 8, 4, 0x004c001c, "has a key twice", false}, /* without its last letter */
		{PAIR(2) + 4, 4, 0, "has an empty key or value", false},
		{PAIR(3) + 8, 4, 0x00000026, "has an empty key or value", false},
		{PAIR(2), 4, 0x10000000, "is damaged", true},
		{PAIR(2) + 4, 4, 0xfffffff0, "is damaged", true},
		{PAIR(2) + 8, 4, 0x00010001, "is damaged", true}, /* half a character */
	};
	__attribute__((cleanup(pair_deinit))) struct pair pair = make_pair();
	le32 key;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++)
		try_case(&pair, pair.places.locator, &cases[i]);
	/* A NUL within a key that nothing depends on. */
	must(blk_pread(pair.child, &key, 4, pair.places.locator + PAIR(3)));
	try_case(&pair, pair.places.locator,
		 &(struct child_case){le32_get(key) + 4, 4, 0, "has a NUL in a key or value", false});
}

/* [MS-VHDX] 2.5.1: what makes sense only where there is a parent. */
static void test_bat(void **state)
{
	__attribute__((cleanup(pair_deinit))) struct pair pair = make_pair();
	uint64_t bitmap = peek_le64(pair.child, pair.places.bitmap_entry) & VHDX_BAT_OFFSET_MASK;
	uint64_t block = peek_le64(pair.child, pair.places.bat) & VHDX_BAT_OFFSET_MASK;
	const struct child_case bitmap_cases[] = {
		{0, 8, 0, "is missing, but blocks of its chunk are partially present", true},
		{0, 8, bitmap | 1, "has a state that does not exist", true},
		{0, 8, bitmap | 7, "has a state that does not exist", true},
		{0, 8, 6, "points into the header section", true},
		{0, 8, MIB | 6, "points into the log", true},
		{0, 8, pair.places.bat | 6, "points into a region", true},
		{0, 8, 500 * MIB | 6, "points behind the end of the file", true},
		{0, 8, bitmap | 8 | 6, "has reserved bits set", false},
		{0, 8, block | 6, "is also another block's", false},
	};
	const struct child_case block_cases[] = {
		{16, 8, 500 * MIB | 7, "points behind the end of the file", true},
		{16, 8, bitmap | 7, "is also another block's", false},
		{16, 8, MIB | 7, "points into the log", true},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(bitmap_cases); i++)
		try_case(&pair, pair.places.bitmap_entry, &bitmap_cases[i]);
	for (size_t i = 0; i < COUNT_OF(block_cases); i++)
		try_case(&pair, pair.places.bat, &block_cases[i]);
}

/* The table has entries for whole chunks.  One that is behind the disk's end and has a place keeps it: of two
 * that share one, nobody knows whose it is. */
static void test_behind_end(void **state)
{
	__attribute__((cleanup(pair_deinit))) struct pair pair = make_pair();
	const struct child_case c = {100 * 8, 8, pair.child->size_bytes | 7,
				     "of a block behind the end of the disk", false};
	struct blk *parent = vhdx_opened(borrowed(pair.base), 0), *file = copy_of(pair.child), *vhdx;
	CLEANUP_BLK struct blk *after = NULL;
	struct vhdx_check_result result;

	(void)state;
	must(blk_resize(file, file->size_bytes + MIB));
	poke_le64(file, pair.places.bat + c.at, c.value);
	assert_has_finding(file, c.finding);
	must(vhdx_open_over(file, parent, VHDX_OPEN_WRITE, NULL, &vhdx));
	must(blk_pwrite(vhdx, "new", 3, 6 * MIB, 0));
	must(vhdx_finish(vhdx));
	after = copy_of(file);
	must(blk_close(vhdx));
	assert_int_equal(peek_le64(after, pair.places.bat + c.at), c.value);
	must(vhdx_check_on(after, NULL, NULL, &result));
	assert_int_equal(result.errors, 0);
}

/* Oddities of log entries that are no reason not to replay them ([MS-VHDX] 2.3.1.1). */
static void test_log(void **state)
{
	static const struct {
		uint32_t at;
		unsigned bytes;
		uint64_t value;
		const char *finding;
	} cases[] = {
		{28, 4, 1, "reserved fields of log entries"},
		{48, 8, 5 * MIB + 512, "file lengths (5243392, "},
		{56, 8, 9 * MIB + 4096, "that are no multiples of 1 MiB"},
	};
	CLEANUP_BLK struct blk *good = damage_dirty_sample();
	CLEANUP_BLK struct blk *reference = vhdx_opened(copy_of(good), 0);
	CLEANUP_FREE uint8_t *ring = xmalloc(MIB);
	uint32_t newest = 0;
	uint64_t number = 0;

	(void)state;
	must(blk_pread(good, ring, MIB, MIB));
	for (uint32_t at = 0; at < MIB; at += VHDX_LOG_SECTOR_BYTES) {
		struct vhdx_disk_log_entry_header header;

		memcpy(&header, ring + at, sizeof header);
		if (le32_get(header.signature) == VHDX_LOG_ENTRY_SIGNATURE &&
		    le64_get(header.sequence_number) > number) {
			number = le64_get(header.sequence_number);
			newest = at;
		}
	}
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		CLEANUP_BLK struct blk *file = copy_of(good);
		CLEANUP_BLK struct blk *vhdx = NULL;
		uint64_t at = MIB + newest;

		if (cases[i].bytes == 4)
			poke_le32(file, at + cases[i].at, (uint32_t)cases[i].value);
		else
			poke_le64(file, at + cases[i].at, cases[i].value);
		fix_checksum(file, at, 2 * VHDX_LOG_SECTOR_BYTES);
		assert_no_errors_in(file);
		assert_has_finding(file, cases[i].finding);
		vhdx = vhdx_opened(copy_of(file), VHDX_OPEN_WRITE);
		assert_same_range(vhdx, reference, DAMAGE_DISK_BYTES, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_locator),
		cmocka_unit_test(test_bat),
		cmocka_unit_test(test_behind_end),
		cmocka_unit_test(test_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
