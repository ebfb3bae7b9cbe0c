// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Damaged and hostile VHD files: each is refused with an error that names what is
 * wrong, or, where one good copy is left, read all the same; none is read wrongly.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "p2v/base/mem.h"
#include "tests/base/lib-blk-conformance.h"
#include "tests/base/lib-must.h"
#include "tests/base/lib-rng.h"
#include "tests/vhdx/lib-vhdx.h"
#include "vhdx/vhd-format.h"
#include "vhdx/vhd.h"

#define DISK_BYTES (9 * MIB)
#define HEADER_OFFSET 512
#define BAT_OFFSET 1536

/* A dynamic file with blocks 0 and 2 in it. */
static struct blk *make_dynamic(void)
{
	const struct vhd_create_options options = {.size_bytes = DISK_BYTES};
	struct blk *file, *copy, *vhd;

	must(blk_mem_create(0, &file));
	must(vhd_create_on(file, &options, NULL, &vhd));
	must(blk_pwrite(vhd, "zero", 4, 1000, 0));
	must(blk_pwrite(vhd, "two", 3, 4 * MIB + 1000, 0));
	must(blk_flush(vhd));
	copy = copy_of(file);
	must(blk_close(vhd));
	return copy;
}

static struct blk *make_fixed(void)
{
	const struct vhd_create_options options = {.size_bytes = DISK_BYTES, .flags = VHD_CREATE_FIXED};
	struct blk *file, *copy, *vhd;

	must(blk_mem_create(0, &file));
	must(vhd_create_on(file, &options, NULL, &vhd));
	must(blk_pwrite(vhd, "zero", 4, 1000, 0));
	copy = copy_of(file);
	must(blk_close(vhd));
	return copy;
}

/* The complement of the sum of the bytes, that field left out, as both structures have it. */
static void fix_vhd_checksum(struct blk *file, uint64_t offset, size_t structure_bytes, size_t field)
{
	CLEANUP_FREE uint8_t *bytes = xmalloc(structure_bytes);
	uint32_t sum = 0;
	be32 checksum;

	must(blk_pread(file, bytes, structure_bytes, offset));
	for (size_t i = 0; i < structure_bytes; i++)
		sum += i - field < 4 ? 0 : bytes[i];
	checksum = be32_make(~sum);
	poke(file, offset + field, &checksum, sizeof checksum);
}

static uint64_t end_footer(const struct blk *file)
{
	return file->size_bytes - sizeof(struct vhd_disk_footer);
}

/* Changes a field of a footer or of the header, and makes the checksum right again. */
static void set_footer32(struct blk *file, uint64_t footer, size_t field, uint32_t value)
{
	be32 v = be32_make(value);

	poke(file, footer + field, &v, sizeof v);
	fix_vhd_checksum(file, footer, sizeof(struct vhd_disk_footer),
			 offsetof(struct vhd_disk_footer, checksum));
}

static void set_footer64(struct blk *file, uint64_t footer, size_t field, uint64_t value)
{
	be64 v = be64_make(value);

	poke(file, footer + field, &v, sizeof v);
	fix_vhd_checksum(file, footer, sizeof(struct vhd_disk_footer),
			 offsetof(struct vhd_disk_footer, checksum));
}

static void set_header32(struct blk *file, size_t field, uint32_t value)
{
	be32 v = be32_make(value);

	poke(file, HEADER_OFFSET + field, &v, sizeof v);
	fix_vhd_checksum(file, HEADER_OFFSET, sizeof(struct vhd_disk_header),
			 offsetof(struct vhd_disk_header, checksum));
}

static void set_bat(struct blk *file, unsigned block, uint32_t sector)
{
	be32 v = be32_make(sector);

	poke(file, BAT_OFFSET + 4 * block, &v, sizeof v);
}

static uint32_t get_bat(struct blk *file, unsigned block)
{
	be32 v;

	must(blk_pread(file, &v, sizeof v, BAT_OFFSET + 4 * block));
	return be32_get(v);
}

#define FOOTER(member) offsetof(struct vhd_disk_footer, member)
#define HEADER(member) offsetof(struct vhd_disk_header, member)

static void both_footers_lost(struct blk *file)
{
	poke(file, end_footer(file), "rubbish", 7);
	poke(file, 0, "rubbish", 7);
}

static void both_checksums_wrong(struct blk *file)
{
	poke(file, end_footer(file) + 200, "x", 1);
	poke(file, 200, "x", 1);
}

static void other_version(struct blk *file)
{
	set_footer32(file, end_footer(file), FOOTER(version), 0x00020000);
	set_footer32(file, 0, FOOTER(version), 0x00020000);
}

static void unknown_type(struct blk *file)
{
	set_footer32(file, end_footer(file), FOOTER(type), 5);
	poke(file, 0, "rubbish", 7);
}

static void size_zero(struct blk *file)
{
	set_footer64(file, end_footer(file), FOOTER(current_bytes), 0);
	poke(file, 0, "rubbish", 7);
}

static void size_odd(struct blk *file)
{
	set_footer64(file, end_footer(file), FOOTER(current_bytes), DISK_BYTES + 1);
	poke(file, 0, "rubbish", 7);
}

static void size_huge(struct blk *file)
{
	set_footer64(file, end_footer(file), FOOTER(current_bytes), 1ull << 62);
}

static void header_behind_end(struct blk *file)
{
	set_footer64(file, end_footer(file), FOOTER(header_offset), file->size_bytes - 100);
}

static void header_far_behind_end(struct blk *file)
{
	set_footer64(file, end_footer(file), FOOTER(header_offset), INT64_MAX);
}

static void header_lost(struct blk *file)
{
	poke(file, HEADER_OFFSET, "rubbish", 7);
}

static void header_checksum_wrong(struct blk *file)
{
	poke(file, HEADER_OFFSET + 900, "x", 1);
}

static void block_size_zero(struct blk *file)
{
	set_header32(file, HEADER(block_bytes), 0);
}

static void block_size_odd(struct blk *file)
{
	set_header32(file, HEADER(block_bytes), 3 << 20);
}

static void block_size_tiny(struct blk *file)
{
	set_header32(file, HEADER(block_bytes), 512);
}

static void bat_short(struct blk *file)
{
	set_header32(file, HEADER(bat_entries), 4);
}

static void bat_behind_end(struct blk *file)
{
	set_header32(file, HEADER(bat_offset), 0x7fffffff);
}

static void block_behind_end(struct blk *file)
{
	set_bat(file, 1, (file->size_bytes - 4096) / 512);
}

static void block_at_last_sector(struct blk *file)
{
	set_bat(file, 1, UINT32_MAX - 1);
}

static void block_over_bat(struct blk *file)
{
	set_bat(file, 1, 3);
}

static void block_over_footer_copy(struct blk *file)
{
	set_bat(file, 1, 0);
}

static void blocks_overlap(struct blk *file)
{
	set_bat(file, 1, get_bat(file, 0) + 1);
}

static void blocks_equal(struct blk *file)
{
	set_bat(file, 1, get_bat(file, 2));
}

static void truncated(struct blk *file)
{
	must(blk_resize(file, file->size_bytes - MIB));
}

static void truncated_to_the_header(struct blk *file)
{
	must(blk_resize(file, 1000));
}

static void truncated_below_footer(struct blk *file)
{
	must(blk_resize(file, 300));
}

static void made_empty(struct blk *file)
{
	must(blk_resize(file, 0));
}

static const struct {
	const char *name;
	void (*damage)(struct blk *file);
	const char *message; /* a part of it */
} dynamic_cases[] = {
	{"both footers lost", both_footers_lost, "footer has no signature"},
	{"both checksums wrong", both_checksums_wrong, "footer has a wrong checksum"},
	{"other version", other_version, "unknown version"},
	{"unknown type", unknown_type, "unknown type"},
	{"size zero", size_zero, "impossible size"},
	{"size odd", size_odd, "impossible size"},
	{"size huge", size_huge, "entries for"},
	{"header behind the end", header_behind_end, "header lies behind the end"},
	{"header far behind the end", header_far_behind_end, "header lies behind the end"},
	{"header lost", header_lost, "header has no signature"},
	{"header checksum wrong", header_checksum_wrong, "header has a wrong checksum"},
	{"block size zero", block_size_zero, "impossible block size"},
	{"block size odd", block_size_odd, "impossible block size"},
	{"block size tiny", block_size_tiny, "entries for"},
	{"BAT short", bat_short, "4 entries for 5 blocks"},
	{"BAT behind the end", bat_behind_end, "behind the end"},
	{"block behind the end", block_behind_end, "entry 1 points behind the end"},
	{"block at the last sector", block_at_last_sector, "entry 1 points behind the end"},
	{"block over the BAT", block_over_bat, "entry 1 points into the file's own"},
	{"block over the copy", block_over_footer_copy, "entry 1 points into the file's own"},
	{"blocks overlap", blocks_overlap, "same place"},
	{"blocks equal", blocks_equal, "same place"},
	{"truncated", truncated, "points behind the end"},
	{"truncated to the header", truncated_to_the_header, "behind the end"},
	{"truncated below a footer", truncated_below_footer, "no room"},
	{"empty", made_empty, "no room"},
};

static void expect_refusal(struct blk *file, unsigned flags, const char *name, const char *message)
{
	struct blk *vhd = NULL;
	struct err *err = vhd_open_on(file, flags, NULL, &vhd);

	if (!err)
		fail_msg("%s: was opened", name);
	assert_null(vhd);
	if (!strstr(err_message(err), message) || err_kind(err) != ERR_REFUSED || !err_advice(err))
		fail_msg("%s: kind %d: %s", name, err_kind(err), err_message(err));
	err_free(err);
}

static void test_dynamic(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(dynamic_cases); i++) {
		CLEANUP_BLK struct blk *file = make_dynamic();
		CLEANUP_BLK struct blk *before = NULL;

		dynamic_cases[i].damage(file);
		before = copy_of(file);
		expect_refusal(file, 0, dynamic_cases[i].name, dynamic_cases[i].message);
		expect_refusal(file, VHD_OPEN_WRITE, dynamic_cases[i].name, dynamic_cases[i].message);
		assert_int_equal(file->size_bytes, before->size_bytes);
		assert_same_range(file, before, file->size_bytes, 0);
	}
}

static void count_warning(void *arg, enum log_level level, const char *message)
{
	(void)message;
	*(unsigned *)arg += level == LOG_LEVEL_WARNING;
}

static void expect_readable(struct blk *file, unsigned wanted_warnings)
{
	unsigned warnings = 0;
	struct log log = {.write = count_warning, .arg = &warnings, .max_level = LOG_LEVEL_WARNING};
	struct blk *vhd = NULL;
	char got[4];

	must(vhd_open_on(file, 0, &log, &vhd));
	assert_int_equal(warnings, wanted_warnings);
	must(blk_pread(vhd, got, 4, 1000));
	assert_memory_equal(got, "zero", 4);
	must(blk_close(vhd));
}

/* One good footer is enough for a dynamic file. */
static void test_one_footer_is_enough(void **state)
{
	struct blk *file = make_dynamic();

	(void)state;
	poke(file, end_footer(file), "rubbish", 7);
	expect_readable(file, 1);
	file = make_dynamic();
	poke(file, end_footer(file) + 300, "x", 1);
	expect_readable(file, 1);
	file = make_dynamic();
	must(blk_resize(file, end_footer(file)));
	expect_readable(file, 1);
	file = make_dynamic();
	poke(file, 0, "rubbish", 7);
	expect_readable(file, 0);
}

static void test_fixed(void **state)
{
	CLEANUP_BLK struct blk *lost = make_fixed();
	CLEANUP_BLK struct blk *cut = make_fixed();
	struct blk *short_footer = make_fixed();

	(void)state;
	poke(lost, end_footer(lost) + 300, "x", 1);
	expect_refusal(lost, 0, "checksum", "footer has a wrong checksum");
	set_footer64(cut, end_footer(cut), FOOTER(current_bytes), DISK_BYTES + MIB);
	expect_refusal(cut, 0, "cut", "holds");
	/* Virtual Server's footers lack their last byte, which is reserved and zero. */
	must(blk_resize(short_footer, short_footer->size_bytes - 1));
	expect_readable(short_footer, 0);
}

/* Sectors that the bitmap does not call present read as zeros, whatever lies there, and stay so when
 * their neighbours are written. */
static void test_partial_bitmap(void **state)
{
	struct blk *file = make_dynamic(), *vhd;
	uint64_t bitmap = (uint64_t)get_bat(file, 0) * 512, data = bitmap + 512;
	CLEANUP_FREE uint8_t *expected = xcalloc(1, DISK_BYTES);
	uint8_t junk[4096];
	CLEANUP_FREE uint8_t *content = NULL;

	(void)state;
	memset(junk, 0x77, sizeof junk);
	for (unsigned i = 0; i < 512; i++)
		poke(file, data + i * sizeof junk, junk, sizeof junk);
	/* Sectors 1 and 8 … 15 alone are there. */
	for (unsigned i = 0; i < 512; i++)
		poke(file, bitmap + i, i == 0 ? "\x40" : i == 1 ? "\xff" : "\0", 1);
	memset(expected + 512, 0x77, 512);
	memset(expected + 4096, 0x77, 4096);
	memcpy(expected + 4 * MIB + 1000, "two", 3);
	must(vhd_open_on(copy_of(file), 0, NULL, &vhd));
	blk_conformance_read_only(vhd, expected);
	must(blk_close(vhd));
	must(vhd_open_on(file, VHD_OPEN_WRITE, NULL, &vhd));
	memcpy(expected + 5000, "hello", 5);
	memcpy(expected + 20001, "hello", 5);
	must(blk_pwrite(vhd, "hello", 5, 5000, 0));
	must(blk_pwrite(vhd, "hello", 5, 20001, 0));
	blk_conformance_expect(vhd, expected);
	content = blk_conformance_run(vhd, "partial bitmap");
	must(blk_close(vhd));
}

/* Random bytes in the structures: refused or read, never more than that. */
static void test_random_damage(void **state)
{
	struct rng rng = {2006};

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		CLEANUP_BLK struct blk *file = make_dynamic();
		struct blk *vhd = NULL;
		unsigned hits = 1 + rng_below(&rng, 4);

		while (hits--) {
			uint8_t byte = rng_next(&rng);
			uint64_t at = rng_below(&rng, 2048 + 512);

			poke(file, at < 2048 ? at : end_footer(file) + at - 2048, &byte, 1);
		}
		if (rng_below(&rng, 2)) {
			fix_vhd_checksum(file, HEADER_OFFSET, sizeof(struct vhd_disk_header),
					 HEADER(checksum));
			fix_vhd_checksum(file, end_footer(file), sizeof(struct vhd_disk_footer),
					 FOOTER(checksum));
		}
		err_free(vhd_open_on(file, 0, NULL, &vhd));
		if (vhd) {
			char buf[512];

			file = NULL;
			err_free(blk_pread(vhd, buf, sizeof buf, vhd->size_bytes - sizeof buf));
			err_free(blk_pread(vhd, buf, sizeof buf, 0));
			err_free(blk_close(vhd));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dynamic),	      cmocka_unit_test(test_one_footer_is_enough),
		cmocka_unit_test(test_fixed),	      cmocka_unit_test(test_partial_bitmap),
		cmocka_unit_test(test_random_damage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
