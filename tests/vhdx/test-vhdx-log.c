// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Which log entries count, and what replay makes of them.  The entries are built
 * here, byte by byte from [MS-VHDX] 2.3.1, not with the code under test.
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
#include "vhdx/log-write.h"
#include "vhdx/replay.h"

#define SECTOR 4096u
#define RING_OFFSET (1 * MIB)
#define RING_BYTES (1 * MIB)
#define FILE_BYTES (8 * MIB)
#define TARGET (3 * MIB)

static const struct guid log_guid = GUID_INIT(0x11111111, 0x2222, 0x3333, 1, 2, 3, 4, 5, 6, 7, 8);

struct write {
	uint64_t offset;
	uint64_t zero_bytes; /* 0: 4 KiB of data */
	uint8_t fill;
};

struct entry {
	uint32_t start, tail;
	uint64_t number;
	size_t count;
	struct write writes[4];
};

static uint32_t entry_bytes(const struct entry *entry)
{
	uint32_t bytes = SECTOR;

	for (size_t i = 0; i < entry->count; i++)
		bytes += entry->writes[i].zero_bytes ? 0 : SECTOR;
	return bytes;
}

static void put32(uint8_t *at, uint32_t v)
{
	le32 value = le32_make(v);

	memcpy(at, &value, 4);
}

static void put64(uint8_t *at, uint64_t v)
{
	le64 value = le64_make(v);

	memcpy(at, &value, 8);
}

/* The content of a data write: the fill, but other first and last bytes, which lie in the descriptor. */
static void data_of(const struct write *write, uint8_t page[SECTOR])
{
	memset(page, write->fill, SECTOR);
	for (uint8_t i = 0; i < 8; i++)
		page[i] = (uint8_t)(write->fill + 1 + i);
	for (uint8_t i = 0; i < 4; i++)
		page[SECTOR - 1 - i] = (uint8_t)(write->fill + 101 + i);
}

static void put_entry(struct blk *file, const struct entry *entry)
{
	uint32_t bytes = entry_bytes(entry);
	CLEANUP_FREE uint8_t *buf = xcalloc(1, bytes);
	uint8_t *sector = buf + SECTOR;

	memcpy(buf, "loge", 4);
	put32(buf + 8, bytes);
	put32(buf + 12, entry->tail);
	put64(buf + 16, entry->number);
	put32(buf + 24, (uint32_t)entry->count);
	memcpy(buf + 32, &log_guid, 16);
	put64(buf + 48, FILE_BYTES);
	put64(buf + 56, FILE_BYTES);
	for (size_t i = 0; i < entry->count; i++) {
		const struct write *write = &entry->writes[i];
		uint8_t *descriptor = buf + 64 + 32 * i, page[SECTOR];

		put64(descriptor + 16, write->offset);
		put64(descriptor + 24, entry->number);
		if (write->zero_bytes) {
			memcpy(descriptor, "zero", 4);
			put64(descriptor + 8, write->zero_bytes);
			continue;
		}
		data_of(write, page);
		memcpy(descriptor, "desc", 4);
		memcpy(descriptor + 4, page + SECTOR - 4, 4);
		memcpy(descriptor + 8, page, 8);
		memcpy(sector, "data", 4);
		put32(sector + 4, (uint32_t)(entry->number >> 32));
		memcpy(sector + 8, page + 8, SECTOR - 12);
		put32(sector + SECTOR - 4, (uint32_t)entry->number);
		sector += SECTOR;
	}
	vhdx_checksum_set(buf, bytes);
	for (uint32_t at = 0; at < bytes; at += SECTOR)
		poke(file, RING_OFFSET + (entry->start + at) % RING_BYTES, buf + at, SECTOR);
}

static struct vhdx_log_ring ring(void)
{
	return (struct vhdx_log_ring){RING_OFFSET, RING_BYTES, log_guid};
}

static struct blk *new_file(void)
{
	struct blk *file;

	must(blk_mem_create(FILE_BYTES, &file));
	return file;
}

static bool find(struct blk *file, struct vhdx_log_sequence *ret)
{
	struct vhdx_log_ring r = ring();
	bool found;

	must(vhdx_log_find(file, &r, ret, &found));
	return found;
}

#define END (RING_BYTES - SECTOR)

/* Entries in the ring, and the numbers of the first and last to be replayed (0: none). */
static const struct {
	const char *name;
	struct entry entries[5];
	size_t count;
	uint64_t first, last;
} sequences[] = {
	{"empty", {{0}}, 0, 0, 0},
	{"one", {{0, 0, 5, 1, {{TARGET, 0, 1}}}}, 1, 5, 5},
	{"one without writes", {{SECTOR, SECTOR, 5, 0, {{0}}}}, 1, 5, 5},
	{"two, the second alone counts",
	 {{0, 0, 5, 1, {{TARGET, 0, 1}}}, {2 * SECTOR, 2 * SECTOR, 6, 1, {{TARGET, 0, 2}}}},
	 2,
	 6,
	 6},
	{"two, both count",
	 {{0, 0, 5, 1, {{TARGET, 0, 1}}}, {2 * SECTOR, 0, 6, 1, {{TARGET, 0, 2}}}},
	 2,
	 5,
	 6},
	{"numbers not consecutive: the later run counts",
	 {{0, 0, 5, 1, {{TARGET, 0, 1}}}, {2 * SECTOR, 2 * SECTOR, 7, 1, {{TARGET, 0, 2}}}},
	 2,
	 7,
	 7},
	{"the higher number comes first in the ring",
	 {{0, 0, 900, 1, {{TARGET, 0, 1}}}, {40 * SECTOR, 40 * SECTOR, 7, 1, {{TARGET, 0, 2}}}},
	 2,
	 900,
	 900},
	{"the tail is gone: the older run counts",
	 {{0, 0, 5, 1, {{TARGET, 0, 1}}}, {40 * SECTOR, 30 * SECTOR, 9, 1, {{TARGET, 0, 2}}}},
	 2,
	 5,
	 5},
	{"the tail is no start of an entry",
	 {{0, 0, 5, 2, {{TARGET, 0, 1}, {TARGET, 0, 2}}}, {3 * SECTOR, SECTOR, 6, 1, {{TARGET, 0, 2}}}},
	 2,
	 0,
	 0},
	{"wrapped inside an entry", {{END, END, 5, 2, {{TARGET, 0, 1}, {TARGET + SECTOR, 0, 2}}}}, 1, 5, 5},
	{"wrapped between entries",
	 {{END - SECTOR, END - SECTOR, 5, 1, {{TARGET, 0, 1}}},
	  {0, END - SECTOR, 6, 1, {{TARGET, 0, 2}}},
	  {2 * SECTOR, END - SECTOR, 7, 1, {{TARGET, 0, 3}}}},
	 3,
	 5,
	 7},
	{"large numbers",
	 {{0, 0, UINT64_MAX - 1, 1, {{TARGET, 0, 1}}}, {2 * SECTOR, 0, UINT64_MAX, 1, {{TARGET, 0, 2}}}},
	 2,
	 UINT64_MAX - 1,
	 UINT64_MAX},
	{"number 0 is none", {{0, 0, 0, 1, {{TARGET, 0, 1}}}}, 1, 0, 0},
	{"into the headers", {{0, 0, 5, 1, {{64 << 10, 0, 1}}}}, 1, 0, 0},
	{"into the first region table", {{0, 0, 5, 1, {{192 << 10, 0, 1}}}}, 1, 5, 5},
	{"into the log", {{0, 0, 5, 1, {{RING_OFFSET + RING_BYTES - SECTOR, 0, 1}}}}, 1, 0, 0},
	{"just behind the log", {{0, 0, 5, 1, {{RING_OFFSET + RING_BYTES, 0, 1}}}}, 1, 5, 5},
	{"zeros over the log", {{0, 0, 5, 1, {{512 << 10, MIB, 0}}}}, 1, 0, 0},
	{"zeros up to the log", {{0, 0, 5, 1, {{512 << 10, 512 << 10, 0}}}}, 1, 5, 5},
	{"zeros not aligned", {{0, 0, 5, 1, {{TARGET, 4097, 0}}}}, 1, 0, 0},
	{"data not aligned", {{0, 0, 5, 1, {{TARGET + 512, 0, 1}}}}, 1, 0, 0},
	{"zeros that wrap around 2^64", {{0, 0, 5, 1, {{UINT64_MAX - 4095, 8192, 0}}}}, 1, 0, 0},
};

static void test_sequences(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(sequences); i++) {
		CLEANUP_BLK struct blk *file = new_file();
		struct vhdx_log_sequence sequence;
		bool found;

		for (size_t e = 0; e < sequences[i].count; e++)
			put_entry(file, &sequences[i].entries[e]);
		found = find(file, &sequence);
		if (found != (sequences[i].last != 0))
			fail_msg("%s: found: %d", sequences[i].name, found);
		if (found && (sequence.first_number != sequences[i].first ||
			      sequence.last_number != sequences[i].last))
			fail_msg("%s: %llu to %llu", sequences[i].name,
				 (unsigned long long)sequence.first_number,
				 (unsigned long long)sequence.last_number);
		if (found)
			assert_int_equal(sequence.entry_count, sequences[i].last - sequences[i].first + 1);
	}
}

/* No entry with any byte changed counts. */
static void test_every_byte(void **state)
{
	static const struct entry entry = {
		8 * SECTOR, 8 * SECTOR, 77, 3, {{TARGET, 0, 1}, {TARGET, 8192, 0}, {TARGET + SECTOR, 0, 9}}};
	CLEANUP_BLK struct blk *file = new_file();
	struct vhdx_log_sequence sequence;

	(void)state;
	put_entry(file, &entry);
	assert_true(find(file, &sequence));
	for (uint32_t i = 0; i < entry_bytes(&entry); i += i < 200 ? 1 : 131) {
		uint64_t at = RING_OFFSET + entry.start + i;
		uint8_t byte, changed;

		must(blk_pread(file, &byte, 1, at));
		changed = byte ^ 0x10;
		poke(file, at, &changed, 1);
		assert_false(find(file, &sequence));
		poke(file, at, &byte, 1);
	}
	assert_true(find(file, &sequence));
}

/* Fields that are wrong although the checksum is right. */
static void test_fields(void **state)
{
	static const struct {
		uint32_t at, value;
	} cases[] = {
		{8, 0},
		{8, SECTOR},
		{8, 3 * SECTOR + 512},
		{8, 4 * SECTOR},
		{8, RING_BYTES * 2},
		{8, UINT32_MAX},
		{12, 512},
		{12, RING_BYTES},
		{12, UINT32_MAX},
		{24, 1},
		{24, 3},
		{24, 200},
		{24, UINT32_MAX},
		{32, 0x11111112},
		{64, 0x12345678},
		{64 + 24, 78},
		{SECTOR, 0x61746163},
		{SECTOR + 4, 1},
		{2 * SECTOR - 4, 78},
	};
	static const struct entry entry = {0, 0, 77, 2, {{TARGET, 0, 1}, {TARGET + SECTOR, 0, 9}}};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		CLEANUP_BLK struct blk *file = new_file();
		struct vhdx_log_sequence sequence;

		put_entry(file, &entry);
		assert_true(find(file, &sequence));
		poke_le32(file, RING_OFFSET + cases[i].at, cases[i].value);
		fix_checksum(file, RING_OFFSET, entry_bytes(&entry));
		if (find(file, &sequence))
			fail_msg("case %zu: field at %u as %u passes", i, cases[i].at, cases[i].value);
	}
}

static struct blk *replayed(struct blk *file)
{
	struct vhdx_log_sequence sequence;
	struct vhdx_log_ring r = ring();
	struct blk *blk;

	assert_true(find(file, &sequence));
	must(vhdx_replay_create(file, &r, &sequence, &blk));
	return blk;
}

/* Writes over writes, zeros over data and the other way round: in memory, in the file, and as a plain
 * model has it. */
static void test_replay(void **state)
{
	static const struct entry entries[] = {
		{0, 0, 1, 2, {{TARGET, 0, 10}, {TARGET + 4 * SECTOR, 0, 20}}},
		{3 * SECTOR, 0, 2, 2, {{TARGET + SECTOR, 8 * SECTOR, 0}, {TARGET + 2 * SECTOR, 0, 30}}},
		{5 * SECTOR, 0, 3, 3, {{TARGET, 0, 40}, {FILE_BYTES - SECTOR, 0, 50}, {5 * MIB, MIB, 0}}},
		{8 * SECTOR, 0, 4, 1, {{5 * MIB + 3 * SECTOR, 0, 60}}},
	};
	CLEANUP_BLK struct blk *file = new_file();
	CLEANUP_BLK struct blk *model = NULL;
	CLEANUP_BLK struct blk *applied = NULL;
	CLEANUP_BLK struct blk *in_memory = NULL;
	CLEANUP_FREE uint8_t *before = xmalloc(4 * MIB);
	CLEANUP_FREE uint8_t *content = xmalloc(FILE_BYTES);
	struct rng rng = {1};

	(void)state;
	rng_fill(&rng, before, 4 * MIB);
	poke(file, TARGET, before, 4 * MIB);
	model = copy_of(file);
	for (size_t e = 0; e < COUNT_OF(entries); e++) {
		put_entry(file, &entries[e]);
		put_entry(model, &entries[e]);
		for (size_t i = 0; i < entries[e].count; i++) {
			const struct write *write = &entries[e].writes[i];
			uint8_t page[SECTOR];

			data_of(write, page);
			if (write->zero_bytes)
				must(blk_zero(model, write->zero_bytes, write->offset, 0));
			else
				poke(model, write->offset, page, SECTOR);
		}
	}
	applied = copy_of(file);
	in_memory = replayed(file);
	must(blk_pread(model, content, FILE_BYTES, 0));
	blk_conformance_expect(in_memory, content);
	/* Reading did not change the file. */
	assert_same_range(file, applied, FILE_BYTES, 0);
	must(vhdx_replay_apply(in_memory));
	assert_same_range(file, model, FILE_BYTES, 0);
	/* Once more makes no difference. */
	must(vhdx_replay_apply(in_memory));
	assert_same_range(file, model, FILE_BYTES, 0);
}

/* The file becomes as long as the log says; a write behind even that is damage. */
static void test_length(void **state)
{
	static const struct entry entry = {0, 0, 1, 1, {{FILE_BYTES - SECTOR, 0, 7}}};
	static const struct entry behind = {0, 0, 1, 1, {{FILE_BYTES, 0, 7}}};
	CLEANUP_BLK struct blk *file = new_file();
	struct vhdx_log_ring r = ring();
	struct vhdx_log_sequence sequence;
	struct blk *in_memory;
	uint8_t page[SECTOR], got[SECTOR];

	(void)state;
	put_entry(file, &entry);
	must(blk_resize(file, 5 * MIB));
	in_memory = replayed(file);
	assert_int_equal(in_memory->size_bytes, FILE_BYTES);
	data_of(&entry.writes[0], page);
	must(blk_pread(in_memory, got, SECTOR, FILE_BYTES - SECTOR));
	assert_memory_equal(got, page, SECTOR);
	must(blk_pread(in_memory, got, SECTOR, 5 * MIB - 100));
	assert_true(blk_is_zero(got, SECTOR));
	assert_int_equal(file->size_bytes, 5 * MIB);
	must(vhdx_replay_apply(in_memory));
	assert_int_equal(file->size_bytes, FILE_BYTES);
	must(blk_close(in_memory));
	put_entry(file, &behind);
	assert_true(find(file, &sequence));
	must_fail(vhdx_replay_create(file, &r, &sequence, &in_memory), ERR_REFUSED);
	/* A length beyond reason must not decide how much memory is taken (found by fuzzing). */
	sequence.entry_count = 0;
	sequence.last_file_offset = VHDX_MAX_FILE_BYTES + 1;
	must_fail(vhdx_replay_create(file, &r, &sequence, &in_memory), ERR_REFUSED);
}

/* What our own writer makes is read back by the reader, all around the ring. */
static void test_writer(void **state)
{
	CLEANUP_BLK struct blk *file = new_file();
	struct vhdx_log_writer writer = {.ring = {RING_OFFSET, RING_BYTES, {{0}}}};
	struct vhdx_headers headers = {.current = {.log_offset = RING_OFFSET, .log_length = RING_BYTES}};
	static uint8_t data[VHDX_LOG_MAX_PAGES][SECTOR];
	struct vhdx_log_page pages[VHDX_LOG_MAX_PAGES];
	struct rng rng = {3};

	(void)state;
	for (uint64_t i = 1; i <= 60; i++) {
		size_t count = i % 3 ? 1 + rng_below(&rng, VHDX_LOG_MAX_PAGES) : VHDX_LOG_MAX_PAGES;
		struct vhdx_log_sequence sequence;
		struct blk *in_memory;
		bool found;

		for (size_t p = 0; p < count; p++) {
			rng_fill(&rng, data[p], SECTOR);
			pages[p] = (struct vhdx_log_page){TARGET + p * 2 * SECTOR, data[p]};
		}
		must(vhdx_log_append(file, &writer, &headers, file->size_bytes, pages, count));
		assert_true(guid_equal(&headers.current.log_guid, &writer.ring.guid));
		assert_false(guid_is_zero(&writer.ring.guid));
		must(vhdx_log_find(file, &writer.ring, &sequence, &found));
		assert_true(found);
		assert_int_equal(sequence.last_number, i);
		assert_int_equal(sequence.entry_count, 1);
		must(vhdx_replay_create(file, &writer.ring, &sequence, &in_memory));
		for (size_t p = 0; p < count; p++) {
			uint8_t got[SECTOR];

			must(blk_pread(in_memory, got, SECTOR, pages[p].file_offset));
			assert_memory_equal(got, data[p], SECTOR);
		}
		must(blk_close(in_memory));
	}
	must(vhdx_log_empty(file, &writer, &headers));
	assert_true(guid_is_zero(&headers.current.log_guid));
	assert_true(blk_is_zero(&headers.current.log_guid, 16));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sequences), cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_fields),	  cmocka_unit_test(test_replay),
		cmocka_unit_test(test_length),	  cmocka_unit_test(test_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
