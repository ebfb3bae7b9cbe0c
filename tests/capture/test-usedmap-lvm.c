/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Metadata of LVM that its tools do not write without device-mapper, or would
 * never write: a physical volume is put together around a text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture/checksum.h"
#include "capture/usedmap.h"
#include "p2v/base/le.h"
#include "p2v/base/mem.h"
#include "tests/base/lib-must.h"

#define MIB (1ull << 20)
#define CRC_START 0xf597a6cfu
#define EXTENTS 10 /* of 1 MiB, from 1 MiB on */

#define GROUP(more, volumes)                                                              \
	"vg {\nextent_size = 2048\nstatus = [\"RESIZEABLE\", \"READ\", \"WRITE\"]\n" more \
	"\nphysical_volumes {\npv0 {\nid = \"abcdef-ghij-klmn-opqr-stuv-wxyz-012345\"\n"  \
	"flags = []\npe_start = 2048\npe_count = 10\n}\npv1 {\nid = \"x\"\n}\n}\n"        \
	"logical_volumes {\n" volumes "}\n}\n# a comment\n"
#define VOLUME(name, status, segments) name " {\nstatus = [\"READ\"" status "]\n" segments "}\n"
#define VISIBLE ", \"VISIBLE\""
#define SEGMENT(count, rest) "segment1 {\nstart_extent = 0\nextent_count = " count "\n" rest "\n}\n"
#define LINEAR(count, stripes) SEGMENT(count, "type = \"striped\"\nstripes = [" stripes "]")

static const struct {
	const char *name, *text;
	const char *doubt; /* about all of it; NULL: none, and */
	const char *whole; /* this piece is not looked into; NULL: all are */
	unsigned used_extents;
} cases[] = {
	{"nothing", GROUP("", ""), NULL, NULL, 0},
	{"linear", GROUP("", VOLUME("a", VISIBLE, LINEAR("3", "\"pv0\", 2"))), NULL, NULL, 3},
	{"on another disk", GROUP("", VOLUME("a", VISIBLE, LINEAR("3", "\"pv1\", 2"))), NULL, NULL, 0},
	{"striped", GROUP("", VOLUME("a", VISIBLE, LINEAR("6", "\"pv0\", 2, \"pv1\", 0"))), NULL, "a", 3},
	{"mirror",
	 GROUP("", VOLUME("a", VISIBLE, SEGMENT("2", "type = \"mirror\"\nmirrors = [\"a_i\", 0, \"b_i\", 0]"))
			   VOLUME("a_i", VISIBLE, LINEAR("2", "\"pv0\", 0"))
				   VOLUME("b_i", VISIBLE, LINEAR("2", "\"pv1\", 0"))),
	 NULL, "a_i", 2},
	{"raid",
	 GROUP("", VOLUME("a", VISIBLE, SEGMENT("2", "type = \"raid1\"\nraids = [\"m\", \"i\"]"))
			   VOLUME("m", VISIBLE, LINEAR("1", "\"pv0\", 0"))
				   VOLUME("i", VISIBLE, LINEAR("2", "\"pv0\", 1"))),
	 NULL, "i", 3},
	{"thin",
	 GROUP("", VOLUME("a", VISIBLE, SEGMENT("2", "type = \"thin\"\nthin_pool = \"p\"")) VOLUME(
			   "p", VISIBLE, SEGMENT("4", "type = \"thin-pool\"\npool = \"d\"\nmetadata = \"m\""))
			   VOLUME("d", VISIBLE, LINEAR("4", "\"pv0\", 0"))),
	 NULL, "d", 4},
	{"hidden", GROUP("", VOLUME("a", "", LINEAR("3", "\"pv0\", 2"))), NULL, "a", 3},
	{"unknown type",
	 GROUP("", VOLUME("a", VISIBLE, SEGMENT("3", "type = \"new\"\nstripes = [\"pv0\", 2]"))), NULL, "a",
	 3},
	{"pvmove",
	 GROUP("",
	       VOLUME("pvmove0", "", SEGMENT("2", "type = \"mirror\"\nmirrors = [\"pv0\", 0, \"pv1\", 0]"))),
	 "being moved"},
	{"overlap",
	 GROUP("", VOLUME("a", VISIBLE, LINEAR("3", "\"pv0\", 2"))
			   VOLUME("b", VISIBLE, LINEAR("3", "\"pv0\", 4"))),
	 "overlap"},
	{"behind the end", GROUP("", VOLUME("a", VISIBLE, LINEAR("3", "\"pv0\", 8"))), "behind its end"},
	{"no number", GROUP("", VOLUME("a", VISIBLE, LINEAR("x", "\"pv0\", 8"))), "number"},
	{"huge number", GROUP("", VOLUME("a", VISIBLE, LINEAR("99999999999999999999", "\"pv0\", 8"))),
	 "number"},
	{"shared", GROUP("lock_type = \"sanlock\"", ""), "shared with other machines"},
	{"no group", "contents = \"Text Format Volume Group\"\n", "does not know it"},
	{"cut off", "vg {\nextent_size = 2048\n", "makes no sense"},
	{"deep", "a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{a{}}}}}}}}}}}}}}}}}}}}", "makes no sense"},
};

static void put32(uint8_t *at, uint32_t value)
{
	le32 raw = le32_make(value);

	memcpy(at, &raw, sizeof raw);
}

static void put64(uint8_t *at, uint64_t value)
{
	le64 raw = le64_make(value);

	memcpy(at, &raw, sizeof raw);
}

/* Label in sector 1, one metadata area of 60 KiB at 4 KiB, whose text goes round its end. */
static struct blk *make_volume(const char *text)
{
	uint64_t area = 60 << 10, offset = area - 16, bytes = strlen(text) + 1;
	uint8_t label[512] = "LABELONE", header[512] = {0};
	struct blk *blk;

	must(blk_mem_create(12 * MIB, &blk));
	put64(label + 8, 1);
	put32(label + 20, 32);
	memcpy(label + 24, "LVM2 001", 8);
	memcpy(label + 32, "abcdefghijklmnopqrstuvwxyz012345", 32);
	put64(label + 64, 12 * MIB);
	put64(label + 72, MIB);
	put64(label + 104, 4096);
	put64(label + 112, area);
	put32(label + 16, checksum_crc32(CRC_START, label + 20, sizeof label - 20));
	must(blk_pwrite(blk, label, sizeof label, 512, 0));
	memcpy(header + 4, " LVM2 x[5A%r0N*>", 16);
	put32(header + 20, 1);
	put64(header + 24, 4096);
	put64(header + 32, area);
	put64(header + 40, offset);
	put64(header + 48, bytes);
	put32(header + 56, checksum_crc32(CRC_START, text, bytes));
	put32(header, checksum_crc32(CRC_START, header + 4, sizeof header - 4));
	must(blk_pwrite(blk, header, sizeof header, 4096, 0));
	must(blk_pwrite(blk, text, 16, 4096 + offset, 0));
	must(blk_pwrite(blk, text + 16, bytes - 16, 4096 + 512, 0));
	return blk;
}

static const char *doubt_of(const struct usedmap *map, const char *name)
{
	CLEANUP_FREE char *label = xasprintf("volume vg/%s", name);

	for (size_t i = 0; i < map->piece_count; i++)
		if (map->pieces[i].label && !strcmp(map->pieces[i].label, label))
			return map->pieces[i].doubt;
	fail_msg("no piece %s", label);
	return NULL;
}

static void check_case(size_t i)
{
	CLEANUP_BLK struct blk *blk = make_volume(cases[i].text);
	CLEANUP_USEDMAP struct usedmap map = {0};
	const char *doubt;

	usedmap_take(blk, NULL, &map);
	doubt = map.pieces[0].doubt;
	print_message("%s: %s\n", cases[i].name, doubt ? doubt : "trusted");
	assert_string_equal(map.pieces[0].kind, "LVM2_member");
	if (cases[i].doubt) {
		assert_non_null(doubt);
		assert_non_null(strstr(doubt, cases[i].doubt));
		assert_int_equal(extents_total_bytes(&map.used), blk->size_bytes);
		return;
	}
	assert_null(doubt);
	assert_int_equal(extents_total_bytes(&map.used), (cases[i].used_extents + 12 - EXTENTS) * MIB);
	for (size_t k = 1; k < map.piece_count; k++)
		assert_non_null(map.pieces[k].doubt);
	if (cases[i].whole)
		assert_non_null(strstr(doubt_of(&map, cases[i].whole), "part of something larger"));
	else if (map.piece_count > 1)
		assert_non_null(strstr(map.pieces[1].doubt, "not known"));
}

static void test_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		check_case(i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
