// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/vhdx/lib-damage.h"
#include "tests/base/lib-must.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define METADATA DAMAGE_METADATA
#define ITEMS (METADATA + VHDX_METADATA_TABLE_BYTES)
#define BAT DAMAGE_BAT
#define DATA DAMAGE_DATA
#define NOTHING ""

/* Offsets in the tables: entry i of the region table, of the metadata table, of the BAT. */
#define REGION(i) (16 + 32 * (i))
#define ITEM(i) (32 + 32 * (i))
#define ENTRY(i) (8 * (i))

/* Finished, 1 MiB blocks, every other one with data. */
struct blk *damage_sample(void)
{
	const struct vhdx_create_options options = {.size_bytes = DAMAGE_DISK_BYTES, .block_bytes = 1 << 20};
	struct blk *file, *copy, *vhdx = vhdx_in_memory(&options, &file);
	uint8_t data[4096];

	memset(data, 0xdd, sizeof data);
	for (uint64_t offset = 0; offset < DAMAGE_DISK_BYTES; offset += 2 * MIB)
		must(blk_pwrite(vhdx, data, sizeof data, offset + 1000, 0));
	must(vhdx_finish(vhdx));
	copy = copy_of(file);
	must(blk_close(vhdx));
	return copy;
}

/* In use when its power failed: 3 log entries of which one counts. */
struct blk *damage_dirty_sample(void)
{
	struct blk *file = damage_sample(), *vhdx = vhdx_opened(file, VHDX_OPEN_WRITE), *copy;

	for (uint64_t i = 1; i < 6; i += 2)
		must(blk_pwrite(vhdx, "dirty", 5, i * MIB, BLK_FUA));
	copy = copy_of(file);
	must(blk_close(vhdx));
	return copy;
}

static void poke_value(struct blk *file, uint64_t at, const struct damage *field)
{
	uint8_t byte;

	if (field->bytes == 4)
		poke_le32(file, at, (uint32_t)field->value);
	if (field->bytes == 8)
		poke_le64(file, at, field->value);
	if (field->bytes)
		return;
	must(blk_pread(file, &byte, 1, at));
	byte ^= 0x5a;
	poke(file, at, &byte, 1);
}

static void poke_structure(struct blk *file, uint64_t start, size_t bytes, const struct damage *field)
{
	poke_value(file, start + field->at, field);
	if (field->bytes)
		fix_checksum(file, start, bytes);
}

void damage_field(struct blk *file, const struct damage *field)
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

const struct damage_case damage_cases[] = {
	/* The identifier. */
	{{IN_FILE, 0, 0, 0}, "is not a VHDX", "is not a VHDX"},
	{{IN_FILE, 8, 0, 0}, NULL, NOTHING, DAMAGE_NONE},
	/* Headers. */
	{{IN_HEADER, 0, 0, 0}, NULL, "is damaged; header"},
	{{IN_HEADER, 100, 0, 0}, NULL, "is damaged; header"},
	{{IN_BOTH_HEADERS, 100, 0, 0}, "both headers are damaged", "both headers are damaged"},
	{{IN_BOTH_HEADERS, 8, 8, 77}, NULL, NOTHING, DAMAGE_NONE}, /* identical: Disk2vhd writes such files */
	{{IN_HEADER, 64, 4, 0x00010001}, NULL, "log version 1"},
	{{IN_HEADER, 64, 4, 0x00020000}, "format version 2", "format version 2", DAMAGE_REFUSED},
	{{IN_HEADER, 48, 8, 5}, "holds no valid entry", "holds no valid entry", DAMAGE_DOUBT},
	{{IN_HEADER, 68, 4, 512}, "log (512 bytes", "not aligned"},
	{{IN_HEADER, 68, 4, 0xfff00000}, "truncated: the log", "truncated: the log"},
	{{IN_HEADER, 72, 8, 4096}, "not aligned", "not aligned"},
	{{IN_HEADER, 72, 8, 0}, "not aligned", "not aligned"},
	{{IN_HEADER, 72, 8, 0xfffffffffff00000}, "truncated: the log", "truncated: the log"},
	{{IN_HEADER, 72, 8, BAT}, "BAT and the log overlap", "BAT and the log overlap"},
	{{IN_HEADER, 72, 8, DATA}, "points into the log", "points into the log", DAMAGE_DOUBT},
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
	{{IN_REGIONS, REGION(0), 4, 1}, "must be understood", "must be understood", DAMAGE_REFUSED},
	{{IN_REGIONS, REGION(0) + 16, 8, BAT + 512}, "BAT (1048576 bytes", "not aligned"},
	{{IN_REGIONS, REGION(0) + 16, 8, 0}, "not aligned", "not aligned"},
	{{IN_REGIONS, REGION(0) + 16, 8, METADATA}, "BAT and metadata overlap", "overlap"},
	{{IN_REGIONS, REGION(0) + 16, 8, MIB}, "BAT and the log overlap", "overlap"},
	{{IN_REGIONS, REGION(1) + 16, 8, DATA}, "metadata table is damaged", "metadata table is damaged"},
	{{IN_REGIONS, REGION(0) + 16, 8, 900 * MIB}, "truncated: region BAT", "truncated"},
	{{IN_REGIONS, REGION(0) + 16, 8, 0xfffffffffff00000}, "truncated: region BAT", "truncated"},
	{{IN_REGIONS, REGION(0) + 24, 4, 0}, "not aligned", "not aligned"},
	{{IN_REGIONS, REGION(0) + 24, 4, 0xfff00000}, "truncated", "truncated"},
	{{IN_REGIONS, REGION(0) + 28, 4, 0}, NULL, NOTHING, DAMAGE_NONE},
	{{IN_REGIONS, REGION(0) + 28, 4, 3}, NULL, "reserved bits of region"},
	/* The metadata table: file parameters, size, id, logical, physical. */
	{{IN_METADATA, 0, 0, 0}, "metadata table is damaged", "metadata table is damaged"},
	{{IN_METADATA, 8, 4, 0xffff0000}, "claims 65535", "claims 65535"},
	{{IN_METADATA, 8, 4, 0x00050001}, NULL, "reserved fields of the metadata"},
	{{IN_METADATA, 28, 4, 1}, NULL, "reserved fields of the metadata"},
	{{IN_METADATA, 8, 4, 0x00040000}, "physical sector size is missing", "is missing"},
	{{IN_METADATA, 8, 4, 0}, "is missing", "is missing"},
	{{IN_METADATA, 8, 4, 0x00060000}, NULL, "metadata entry 5 has no name"},
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
	{{IN_METADATA, ITEM(1) + 24, 4, 2}, NULL, "disk size is not marked as required"},
	{{IN_METADATA, ITEM(0) + 28, 4, 1}, NULL, "reserved field of metadata entry 0"},
	{{IN_METADATA, ITEM(1) + 24, 4, 7}, "must be understood", "must be understood"},
	/* Items: block size, flags, disk size, id, logical and physical sector. */
	{{IN_ITEMS, 0, 4, 0}, "block size", "block size", DAMAGE_DOUBT},
	{{IN_ITEMS, 0, 4, 512 << 20}, "block size", "block size", DAMAGE_DOUBT},
	{{IN_ITEMS, 0, 4, 3 << 20}, "block size", "block size", DAMAGE_DOUBT},
	{{IN_ITEMS, 0, 4, 512}, "block size", "block size", DAMAGE_DOUBT},
	{{IN_ITEMS, 4, 4, 4}, NULL, "reserved bits of the file parameters"},
	{{IN_ITEMS, 4, 4, 2}, "differencing file", "no parent locator", DAMAGE_DOUBT},
	{{IN_ITEMS, 8, 8, 0}, "size is 0", "size is 0", DAMAGE_DOUBT},
	{{IN_ITEMS, 8, 8, 1025}, "no multiple", "no multiple", DAMAGE_DOUBT},
	{{IN_ITEMS, 8, 8, 65 * TIB}, "larger than 64 TiB", "larger than 64 TiB", DAMAGE_DOUBT},
	{{IN_ITEMS, 8, 8, 1 * TIB}, "BAT (1048576 bytes) is too small", "too small", DAMAGE_DOUBT},
	{{IN_ITEMS, 32, 4, 0}, "logical sector", "logical sector", DAMAGE_DOUBT},
	{{IN_ITEMS, 32, 4, 520}, "logical sector", "logical sector", DAMAGE_DOUBT},
	{{IN_ITEMS, 36, 4, 7}, "physical sector", "physical sector"},
	/* The BAT: entries 0, 2, … are present, 1, 3, … not. */
	{{IN_BAT, ENTRY(0), 8, DATA | 4}, "does not exist", "does not exist", DAMAGE_DOUBT},
	{{IN_BAT, ENTRY(0), 8, DATA | 5}, "does not exist", "does not exist", DAMAGE_DOUBT},
	{{IN_BAT, ENTRY(0), 8, DATA | 7}, "only in a differencing", "only in a differencing", DAMAGE_DOUBT},
	{{IN_BAT, ENTRY(0), 8, 6}, "into the header", "into the header", DAMAGE_LOST},
	{{IN_BAT, ENTRY(0), 8, MIB | 6}, "into the log", "into the log", DAMAGE_LOST},
	{{IN_BAT, ENTRY(0), 8, METADATA | 6}, "into a region", "into a region", DAMAGE_LOST},
	{{IN_BAT, ENTRY(0), 8, BAT | 6}, "into a region", "into a region", DAMAGE_LOST},
	{{IN_BAT, ENTRY(0), 8, 500 * MIB | 6}, "behind the end", "behind the end", DAMAGE_LOST},
	{{IN_BAT, ENTRY(0), 8, 0xfffffffffff00006}, "behind the end", "behind the end", DAMAGE_LOST},
	{{IN_BAT, ENTRY(0), 8, DATA | 8 | 6}, NULL, "reserved bits"},
	{{IN_BAT, ENTRY(1), 8, DATA | 6}, NULL, "is also another block's", DAMAGE_DOUBT},
	{{IN_BAT, ENTRY(1), 8, 1}, NULL, NOTHING, DAMAGE_NONE},
	{{IN_BAT, ENTRY(1), 8, 2}, NULL, NOTHING, DAMAGE_NONE},
	{{IN_BAT, ENTRY(1), 8, 3}, NULL, NOTHING, DAMAGE_NONE},
	{{IN_BAT, ENTRY(1), 8, 500 * MIB | 1}, NULL, "without content, and points behind the end"},
	{{IN_BAT, ENTRY(1), 8, MIB | 3}, NULL, "without content, and points into the log"},
	{{IN_BAT, ENTRY(1), 8, METADATA | 1}, NULL, "without content, and points into a region"},
	{{IN_BAT, ENTRY(1), 8, DATA | 3}, NULL, "is also another block's"},
	{{IN_BAT, ENTRY(1), 8, (DATA + 2 * MIB) | 1}, NULL, "is also another block's"},
	{{IN_BAT, ENTRY(1), 8, 500 * MIB}, NULL, NOTHING, DAMAGE_NONE}, /* not present: of no meaning */
	{{IN_BAT, ENTRY(1), 8, 500 * MIB | 2}, NULL, "which Windows refuses"},
	{{IN_BAT, ENTRY(6), 8, 0xfffffffffff00006}, NULL, NOTHING, DAMAGE_NONE}, /* behind the last block's */
};
const size_t damage_case_count = COUNT_OF(damage_cases);
