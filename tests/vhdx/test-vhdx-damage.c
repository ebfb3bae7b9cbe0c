// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Damaged files: each field with each kind of wrong value, checksums set right
 * again so that the field itself is what is judged; truncation at every MiB;
 * random damage; and devices that fail.  What is asked for: one clear error or a
 * warning, the same finding from a check, no crash, and nothing written.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/vhdx/lib-vhdx.h"

#define DISK_BYTES (6 * MIB)
#define METADATA (2 * MIB)
#define ITEMS (METADATA + VHDX_METADATA_TABLE_BYTES)
#define BAT (3 * MIB)
#define DATA (4 * MIB) /* the first payload block */

/* Finished, 1 MiB blocks, every other one with data. */
static struct blk *sample(void)
{
	const struct vhdx_create_options options = {.size_bytes = DISK_BYTES, .block_bytes = 1 << 20};
	struct blk *file, *copy, *vhdx = vhdx_in_memory(&options, &file);
	uint8_t data[4096];

	memset(data, 0xdd, sizeof data);
	for (uint64_t offset = 0; offset < DISK_BYTES; offset += 2 * MIB)
		assert_no_error(blk_pwrite(vhdx, data, sizeof data, offset + 1000, 0));
	assert_no_error(vhdx_finish(vhdx));
	copy = copy_of(file);
	assert_no_error(blk_close(vhdx));
	return copy;
}

enum place {
	IN_FILE,
	IN_HEADER,
	IN_BOTH_HEADERS,
	IN_REGIONS,
	IN_FIRST_REGIONS,
	IN_METADATA,
	IN_ITEMS,
	IN_BAT
};

struct field {
	enum place place;
	uint32_t at;
	unsigned bytes; /* 4 or 8; 0: flip the byte there and leave the checksum wrong */
	uint64_t value;
};

static void poke_value(struct blk *file, uint64_t at, const struct field *field)
{
	uint8_t byte;

	if (field->bytes == 4)
		poke_le32(file, at, (uint32_t)field->value);
	if (field->bytes == 8)
		poke_le64(file, at, field->value);
	if (field->bytes)
		return;
	assert_no_error(blk_pread(file, &byte, 1, at));
	byte ^= 0x5a;
	poke(file, at, &byte, 1);
}

static void poke_structure(struct blk *file, uint64_t start, size_t bytes, const struct field *field)
{
	poke_value(file, start + field->at, field);
	if (field->bytes)
		fix_checksum(file, start, bytes);
}

static void poke_field(struct blk *file, const struct field *field)
{
	uint64_t header = current_header(file);

	switch (field->place) {
	case IN_FILE:
		poke_value(file, field->at, field);
		break;
	case IN_BOTH_HEADERS:
		poke_structure(file, header ^ VHDX_HEADER_1_OFFSET ^ VHDX_HEADER_2_OFFSET, VHDX_HEADER_BYTES,
			       field);
		poke_structure(file, header, VHDX_HEADER_BYTES, field);
		break;
	case IN_HEADER:
		poke_structure(file, header, VHDX_HEADER_BYTES, field);
		break;
	case IN_REGIONS:
		poke_structure(file, VHDX_REGION_TABLE_2_OFFSET, VHDX_REGION_TABLE_BYTES, field);
		poke_structure(file, VHDX_REGION_TABLE_1_OFFSET, VHDX_REGION_TABLE_BYTES, field);
		break;
	case IN_FIRST_REGIONS:
		poke_structure(file, VHDX_REGION_TABLE_1_OFFSET, VHDX_REGION_TABLE_BYTES, field);
		break;
	case IN_METADATA:
		poke_value(file, METADATA + field->at, field);
		break;
	case IN_ITEMS:
		poke_value(file, ITEMS + field->at, field);
		break;
	case IN_BAT:
		poke_value(file, BAT + field->at, field);
		break;
	}
}

/* Offsets in the tables: entry i of the region table, of the metadata table, of the BAT. */
#define REGION(i) (16 + 32 * (i))
#define ITEM(i) (32 + 32 * (i))
#define ENTRY(i) (8 * (i))

#define NOTHING ""

static const struct {
	struct field field;
	const char *error; /* part of opening's message; NULL: opens, and reads as before */
	const char *finding; /* part of a finding's text; NOTHING: the file is clean */
} cases[] = {
	/* The identifier. */
	{{IN_FILE, 0, 0, 0}, "is not a VHDX", "is not a VHDX"},
	{{IN_FILE, 8, 0, 0}, NULL, NOTHING},
	/* Headers. */
	{{IN_HEADER, 0, 0, 0}, NULL, "is damaged; header"},
	{{IN_HEADER, 100, 0, 0}, NULL, "is damaged; header"},
	{{IN_BOTH_HEADERS, 100, 0, 0}, "both headers are damaged", "both headers are damaged"},
	{{IN_BOTH_HEADERS, 8, 8, 77}, NULL, NOTHING}, /* identical: Disk2vhd writes such files */
	{{IN_HEADER, 64, 4, 0x00010001}, NULL, "log version 1"},
	{{IN_HEADER, 64, 4, 0x00020000}, "format version 2", "format version 2"},
	{{IN_HEADER, 48, 8, 5}, "holds no valid entry", "holds no valid entry"},
	{{IN_HEADER, 68, 4, 512}, "log (512 bytes", "not aligned"},
	{{IN_HEADER, 68, 4, 0xfff00000}, "truncated: the log", "truncated: the log"},
	{{IN_HEADER, 72, 8, 4096}, "not aligned", "not aligned"},
	{{IN_HEADER, 72, 8, 0}, "not aligned", "not aligned"},
	{{IN_HEADER, 72, 8, 0xfffffffffff00000}, "truncated: the log", "truncated: the log"},
	{{IN_HEADER, 72, 8, BAT}, "BAT and the log overlap", "BAT and the log overlap"},
	{{IN_HEADER, 72, 8, DATA}, "points into the log", "points into the log"},
	{{IN_HEADER, 3000, 4, 1}, NULL, "reserved bytes of header"},
	/* Region tables. */
	{{IN_FIRST_REGIONS, 0, 0, 0}, NULL, "region table 1 is damaged"},
	{{IN_FIRST_REGIONS, 4000, 0, 0}, NULL, "region table 1 is damaged"},
	{{IN_FIRST_REGIONS, 4000, 4, 1}, NULL, "two region tables differ"},
	{{IN_REGIONS, 4000, 0, 0}, "both region tables", "both region tables"},
	{{IN_REGIONS, 8, 4, 0}, "there is no BAT", "there is no metadata"},
	{{IN_REGIONS, 8, 4, 1}, "there is no metadata", "there is no metadata"},
	{{IN_REGIONS, 8, 4, 2048}, "both region tables", "both region tables"},
	{{IN_REGIONS, 8, 4, UINT32_MAX}, "both region tables", "both region tables"},
	{{IN_REGIONS, 12, 4, 1}, NULL, "reserved field of the region"},
	{{IN_REGIONS, REGION(0), 4, 1}, "must be understood", "must be understood"},
	{{IN_REGIONS, REGION(0) + 16, 8, BAT + 512}, "BAT (1048576 bytes", "not aligned"},
	{{IN_REGIONS, REGION(0) + 16, 8, 0}, "not aligned", "not aligned"},
	{{IN_REGIONS, REGION(0) + 16, 8, METADATA}, "BAT and metadata overlap", "overlap"},
	{{IN_REGIONS, REGION(0) + 16, 8, MIB}, "BAT and the log overlap", "overlap"},
	{{IN_REGIONS, REGION(1) + 16, 8, DATA}, "metadata table is damaged", "metadata table is damaged"},
	{{IN_REGIONS, REGION(0) + 16, 8, 900 * MIB}, "truncated: region BAT", "truncated"},
	{{IN_REGIONS, REGION(0) + 16, 8, 0xfffffffffff00000}, "truncated: region BAT", "truncated"},
	{{IN_REGIONS, REGION(0) + 24, 4, 0}, "not aligned", "not aligned"},
	{{IN_REGIONS, REGION(0) + 24, 4, 0xfff00000}, "truncated", "truncated"},
	{{IN_REGIONS, REGION(0) + 28, 4, 0}, NULL, NOTHING},
	{{IN_REGIONS, REGION(0) + 28, 4, 3}, NULL, "reserved bits of region"},
	/* The metadata table: file parameters, size, id, logical, physical. */
	{{IN_METADATA, 0, 0, 0}, "metadata table is damaged", "metadata table is damaged"},
	{{IN_METADATA, 8, 4, 0xffff0000}, "claims 65535", "claims 65535"},
	{{IN_METADATA, 8, 4, 0x00050001}, NULL, "reserved fields of the metadata"},
	{{IN_METADATA, 28, 4, 1}, NULL, "reserved fields of the metadata"},
	{{IN_METADATA, 8, 4, 0x00040000}, "physical sector size is missing", "is missing"},
	{{IN_METADATA, 8, 4, 0}, "is missing", "is missing"},
	{{IN_METADATA, 8, 4, 0x00060000}, NULL, NOTHING},
	{{IN_METADATA, ITEM(0), 4, 1}, "must be understood", "must be understood"},
	{{IN_METADATA, ITEM(1) + 16, 4, 4096}, "outside its region", "outside its region"},
	{{IN_METADATA, ITEM(1) + 16, 4, 0xfffffff8}, "outside its region", "outside its region"},
	{{IN_METADATA, ITEM(1) + 16, 4, MIB - 4}, "outside its region", "outside its region"},
	{{IN_METADATA, ITEM(1) + 16, 4, 64 << 10}, "overlaps with", "overlaps with"},
	{{IN_METADATA, ITEM(1) + 20, 4, 4}, "has 4 bytes instead of 8", "instead of 8"},
	{{IN_METADATA, ITEM(1) + 20, 4, 0}, "has 0 bytes instead of 8", "has an offset"},
	{{IN_METADATA, ITEM(1) + 20, 4, 0xffffffff}, "outside its region", "outside its region"},
	{{IN_METADATA, ITEM(1) + 24, 4, 4}, NULL, "belongs to the file"},
	{{IN_METADATA, ITEM(0) + 24, 4, 6}, NULL, "belongs to the disk"},
	{{IN_METADATA, ITEM(1) + 24, 4, 0x86}, NULL, "reserved bits of metadata"},
	{{IN_METADATA, ITEM(1) + 24, 4, 7}, "must be understood", "must be understood"},
	/* Items: block size, flags, disk size, id, logical and physical sector. */
	{{IN_ITEMS, 0, 4, 0}, "block size", "block size"},
	{{IN_ITEMS, 0, 4, 512 << 20}, "block size", "block size"},
	{{IN_ITEMS, 0, 4, 3 << 20}, "block size", "block size"},
	{{IN_ITEMS, 0, 4, 512}, "block size", "block size"},
	{{IN_ITEMS, 4, 4, 2}, "differencing file", "no parent locator"},
	{{IN_ITEMS, 8, 8, 0}, "size is 0", "size is 0"},
	{{IN_ITEMS, 8, 8, 1025}, "no multiple", "no multiple"},
	{{IN_ITEMS, 8, 8, 65 * TIB}, "larger than 64 TiB", "larger than 64 TiB"},
	{{IN_ITEMS, 8, 8, 1 * TIB}, "BAT (1048576 bytes) is too small", "too small"},
	{{IN_ITEMS, 32, 4, 0}, "logical sector", "logical sector"},
	{{IN_ITEMS, 32, 4, 520}, "logical sector", "logical sector"},
	{{IN_ITEMS, 36, 4, 7}, "physical sector", "physical sector"},
	/* The BAT: entries 0, 2, … are present, 1, 3, … not. */
	{{IN_BAT, ENTRY(0), 8, DATA | 4}, "does not exist", "does not exist"},
	{{IN_BAT, ENTRY(0), 8, DATA | 5}, "does not exist", "does not exist"},
	{{IN_BAT, ENTRY(0), 8, DATA | 7}, "only in a differencing", "only in a differencing"},
	{{IN_BAT, ENTRY(0), 8, 6}, "into the header", "into the header"},
	{{IN_BAT, ENTRY(0), 8, MIB | 6}, "into the log", "into the log"},
	{{IN_BAT, ENTRY(0), 8, METADATA | 6}, "into a region", "into a region"},
	{{IN_BAT, ENTRY(0), 8, BAT | 6}, "into a region", "into a region"},
	{{IN_BAT, ENTRY(0), 8, 500 * MIB | 6}, "behind the end", "behind the end"},
	{{IN_BAT, ENTRY(0), 8, 0xfffffffffff00006}, "behind the end", "behind the end"},
	{{IN_BAT, ENTRY(0), 8, DATA | 8 | 6}, NULL, "reserved bits"},
	{{IN_BAT, ENTRY(1), 8, DATA | 6}, NULL, "is also another block's"},
	{{IN_BAT, ENTRY(1), 8, 1}, NULL, NOTHING},
	{{IN_BAT, ENTRY(1), 8, 2}, NULL, NOTHING},
	{{IN_BAT, ENTRY(1), 8, 3}, NULL, NOTHING},
	{{IN_BAT, ENTRY(1), 8, 500 * MIB | 1}, NULL, NOTHING},
	{{IN_BAT, ENTRY(1), 8, 500 * MIB | 2}, NULL, "which Windows refuses"},
	{{IN_BAT, ENTRY(6), 8, 0xfffffffffff00006}, NULL, NOTHING}, /* behind the last block's */
};

/* Two headers that differ in more than their number, which is equal: neither is current. */
static void test_equal_numbers(void **state)
{
	static const struct field number = {IN_BOTH_HEADERS, 8, 8, 77}, guid = {IN_HEADER, 16, 8, 1};
	CLEANUP_BLK struct blk *file = sample();
	struct blk *vhdx;

	(void)state;
	poke_field(file, &number);
	poke_field(file, &guid);
	assert_has_finding(file, "same sequence number 77");
	assert_error(vhdx_open_on(file, 0, NULL, &vhdx), ERR_REFUSED);
}

static void expect_error(struct err *err, const char *part, size_t i)
{
	if (!err)
		fail_msg("case %zu: opens, without \"%s\"", i, part);
	if (err_kind(err) != ERR_REFUSED || !strstr(err_message(err), part) || !err_advice(err))
		fail_msg("case %zu: \"%s\" (kind %d, advice: %s) instead of \"%s\"", i, err_message(err),
			 err_kind(err), err_advice(err), part);
	err_free(err);
}

static void check_opening(struct blk *file, struct blk *reference, size_t i)
{
	CLEANUP_BLK struct blk *before = copy_of(file);
	struct blk *vhdx;

	for (unsigned flags = 0; flags <= VHDX_OPEN_WRITE; flags += VHDX_OPEN_WRITE) {
		struct blk *opened = flags ? file : borrowed(file);
		struct err *err = vhdx_open_on(opened, flags, NULL, &vhdx);

		if (cases[i].error)
			expect_error(err, cases[i].error, i);
		else if (err)
			fail_msg("case %zu: %s", i, err_message(err));
		else if (cases[i].field.place != IN_BAT)
			assert_same_range(vhdx, reference, DISK_BYTES, 0);
		/* Opening alone changes nothing. */
		assert_same_range(file, before, before->size_bytes, 0);
		assert_no_error(blk_close(cases[i].error ? opened : vhdx));
	}
}

static void test_fields(void **state)
{
	CLEANUP_BLK struct blk *good = sample();
	CLEANUP_BLK struct blk *reference = vhdx_opened(copy_of(good), 0);

	(void)state;
	assert_clean(good);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct blk *file = copy_of(good);

		poke_field(file, &cases[i].field);
		if (!strcmp(cases[i].finding, NOTHING))
			assert_clean(file);
		else
			assert_has_finding(file, cases[i].finding);
		check_opening(file, reference, i);
	}
}

/* Reads all of it, in whatever way; errors are fine. */
static void use_all(struct blk *vhdx)
{
	CLEANUP_FREE uint8_t *buf = xmalloc(MIB);
	struct vhdx_info info;
	struct err *err;

	for (uint64_t offset = 0; offset < vhdx->size_bytes && offset < 32 * MIB; offset += MIB) {
		uint64_t left = vhdx->size_bytes - offset;

		err_free(blk_pread(vhdx, buf, left < MIB ? left : MIB, offset));
	}
	err = vhdx_get_info(vhdx, &info);
	if (!err)
		vhdx_info_deinit(&info);
	err_free(err);
}

/* Opens in each way, reads, checks: nothing may crash, and no more than an error may come of it. */
static void try_all(struct blk *file)
{
	static const unsigned ways[] = {0, VHDX_OPEN_INSPECT, VHDX_OPEN_INCOMPLETE,
					VHDX_OPEN_WRITE | VHDX_OPEN_INCOMPLETE};
	struct vhdx_check_result result;

	err_free(vhdx_check_on(file, NULL, NULL, &result));
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		bool writes = ways[i] & VHDX_OPEN_WRITE;
		struct blk *opened = writes ? copy_of(file) : borrowed(file), *vhdx;
		struct err *err = vhdx_open_on(opened, ways[i], NULL, &vhdx);

		if (err) {
			assert_non_null(err_message(err));
			err_free(err);
			assert_no_error(blk_close(opened));
			continue;
		}
		use_all(vhdx);
		if (writes) {
			err_free(blk_pwrite(vhdx, "x", 1, vhdx->size_bytes / 2, 0));
			err_free(blk_discard(vhdx, vhdx->size_bytes / 2, 0));
		}
		err_free(blk_close(vhdx));
	}
}

/* In use when its power failed: 3 log entries of which one counts. */
static struct blk *dirty_sample(void)
{
	struct blk *file = sample(), *vhdx = vhdx_opened(file, VHDX_OPEN_WRITE), *copy;

	for (uint64_t i = 1; i < 6; i += 2)
		assert_no_error(blk_pwrite(vhdx, "dirty", 5, i * MIB, BLK_FUA));
	copy = copy_of(file);
	assert_no_error(blk_close(vhdx));
	return copy;
}

static void test_random_damage(void **state)
{
	static const struct {
		uint64_t offset, bytes, structure_bytes;
	} targets[] = {
		{0, 520, 0},
		{VHDX_HEADER_1_OFFSET, 80, VHDX_HEADER_BYTES},
		{VHDX_HEADER_2_OFFSET, 80, VHDX_HEADER_BYTES},
		{VHDX_REGION_TABLE_1_OFFSET, 80, VHDX_REGION_TABLE_BYTES},
		{VHDX_REGION_TABLE_2_OFFSET, 80, VHDX_REGION_TABLE_BYTES},
		{MIB, 160, 8192},
		{MIB + 8192, 160, 8192},
		{METADATA, 192, 0},
		{ITEMS, 40, 0},
		{BAT, 160, 0},
	};
	struct blk *samples[] = {sample(), dirty_sample()};
	struct rng rng = {42};

	(void)state;
	for (unsigned n = 0; n < 160; n++) {
		CLEANUP_BLK struct blk *file = copy_of(samples[n % 2]);
		unsigned changes = 1 + (unsigned)rng_below(&rng, 3);

		for (unsigned i = 0; i < changes; i++) {
			size_t t = rng_below(&rng, COUNT_OF(targets));
			uint8_t junk[8];

			rng_fill(&rng, junk, sizeof junk);
			if (rng_below(&rng, 2))
				memset(junk, rng_below(&rng, 2) ? 0xff : 0, sizeof junk);
			poke(file, targets[t].offset + rng_below(&rng, targets[t].bytes), junk,
			     1 + rng_below(&rng, sizeof junk));
			if (targets[t].structure_bytes)
				fix_checksum(file, targets[t].offset, targets[t].structure_bytes);
		}
		try_all(file);
	}
	assert_no_error(blk_close(samples[0]));
	assert_no_error(blk_close(samples[1]));
}

/* Cut off anywhere, a file is refused, or holds what it held. */
static void test_truncation(void **state)
{
	CLEANUP_BLK struct blk *good = sample();
	CLEANUP_BLK struct blk *reference = vhdx_opened(copy_of(good), 0);
	uint64_t refused = 0;

	(void)state;
	for (uint64_t mib = 0; mib <= good->size_bytes / MIB; mib++) {
		for (uint64_t less = 0; less < 2; less++) {
			struct blk *file = borrowed(good), *vhdx;
			struct vhdx_check_result result;
			struct err *err;

			/* As far as anyone can see, it ends there. */
			file->size_bytes = mib * MIB - (mib ? less * 100 : 0);
			assert_no_error(vhdx_check_on(file, NULL, NULL, &result));
			err = vhdx_open_on(file, 0, NULL, &vhdx);
			if (!err) {
				assert_same_range(vhdx, reference, DISK_BYTES, 0);
				assert_int_equal(result.errors, 0);
				assert_no_error(blk_close(vhdx));
				continue;
			}
			refused++;
			assert_true(result.errors > 0);
			assert_error(err, ERR_REFUSED);
			assert_no_error(blk_close(file));
		}
	}
	/* All lengths but the full one: the last block is in use. */
	assert_int_equal(refused, 2 * good->size_bytes / MIB + 1);
}

static void test_no_vhdx(void **state)
{
	static const char text[] = "this is a text, and not a disk image of any kind";
	CLEANUP_BLK struct blk *file = NULL;
	struct blk *vhdx;

	(void)state;
	assert_no_error(blk_mem_create(0, &file));
	assert_error(vhdx_open_on(file, 0, NULL, &vhdx), ERR_REFUSED);
	assert_has_finding(file, "not a VHDX");
	assert_no_error(blk_resize(file, sizeof text));
	poke(file, 0, text, sizeof text);
	assert_error(vhdx_open_on(file, 0, NULL, &vhdx), ERR_REFUSED);
	assert_has_finding(file, "not a VHDX");
	poke(file, 0, "vhdxfile", 8);
	assert_error(vhdx_open_on(file, 0, NULL, &vhdx), ERR_REFUSED);
	assert_has_finding(file, "truncated");
	assert_no_error(blk_resize(file, 2 * MIB));
	assert_has_finding(file, "both headers");
	assert_error(vhdx_open("/nonexistent/disk.vhdx", 0, NULL, &vhdx), ERR_FAILED);
	assert_error(vhdx_finish(file), ERR_FAILED);
}

/* A device that fails at its nth request of a kind: errors come through, and what was flushed before stays.
 */
static void fail_at(struct blk *good, struct blk *reference, enum blk_op op, unsigned nth)
{
	const struct blk_fault fault = {
		.op = op, .start = 0, .end = UINT64_MAX, .nth = nth, .times = 1, .errnum = EIO};
	struct blk *inner = copy_of(good), *faulty, *vhdx, *left;
	unsigned failed = 0;
	uint8_t data[3000];
	struct err *err;

	memset(data, 0xee, sizeof data);
	assert_no_error(blk_fault_create(inner, &fault, 1, &faulty));
	err = vhdx_open_on(faulty, VHDX_OPEN_WRITE, NULL, &vhdx);
	if (err) {
		assert_error(err, ERR_FAILED);
		assert_no_error(blk_close(faulty));
		return;
	}
	for (unsigned i = 0; i < 3; i++) {
		err = blk_pwrite(vhdx, data, sizeof data, (2 * i + 1) * MIB + 5, 0);
		failed += err != NULL;
		err_free(err);
		err = blk_flush(vhdx);
		failed += err != NULL;
		err_free(err);
	}
	left = copy_of(inner);
	err_free(blk_close(vhdx));
	/* Whatever failed, the file is sound, and the blocks that nobody wrote to are as they were. */
	assert_no_errors_in(left);
	vhdx = vhdx_opened(left, VHDX_OPEN_WRITE);
	for (uint64_t offset = 0; offset < DISK_BYTES; offset += 2 * MIB)
		assert_same_range(vhdx, reference, MIB, offset);
	assert_no_error(blk_pread(vhdx, data, 1, MIB + 5));
	assert_true(failed || data[0] == 0xee);
	assert_no_error(blk_close(vhdx));
}

static void test_failing_device(void **state)
{
	CLEANUP_BLK struct blk *good = sample();
	CLEANUP_BLK struct blk *reference = vhdx_opened(copy_of(good), 0);

	(void)state;
	for (unsigned nth = 1; nth <= 16; nth++) {
		fail_at(good, reference, BLK_OP_READ, nth);
		fail_at(good, reference, BLK_OP_WRITE, nth);
		fail_at(good, reference, BLK_OP_FLUSH, nth);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),	      cmocka_unit_test(test_random_damage),
		cmocka_unit_test(test_equal_numbers), cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_no_vhdx),	      cmocka_unit_test(test_failing_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
