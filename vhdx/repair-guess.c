// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * What lost metadata must have been, by what else is in the file.
 *
 * Blocks lie back to back nearly always, so the smallest distance between two of
 * them is their size.  A GPT tells the size of the disk and of its sectors; its
 * header has a checksum, which is not needed here: signature, own address and
 * plausible numbers are enough to tell one from anything else.
 */
#include <string.h>

#include "vhdx/bat.h"
#include "vhdx/repair-plan.h"

#define PAGE_ENTRIES VHDX_BAT_PAGE_ENTRIES

static int compare_offsets(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* The offsets in the first page of the BAT that has blocks; enough to see their distance. */
static struct err *read_offsets(struct vhdx_repair *r, uint64_t *offsets, size_t *ret_count)
{
	le64 entries[PAGE_ENTRIES];
	size_t count = 0;

	for (uint64_t at = 0; at < r->regions.bat.length_bytes && count < 2; at += sizeof entries) {
		count = 0;
		TRY(blk_pread(r->io, entries, sizeof entries, r->regions.bat.file_offset + at));
		for (size_t i = 0; i < PAGE_ENTRIES; i++) {
			uint64_t entry = le64_get(entries[i]);

			if ((entry & VHDX_BAT_STATE_MASK) == VHDX_BLOCK_FULLY_PRESENT)
				offsets[count++] = entry & VHDX_BAT_OFFSET_MASK;
		}
	}
	*ret_count = count;
	return NULL;
}

struct err *repair_guess_block_bytes(struct vhdx_repair *r, uint32_t *ret_bytes)
{
	uint64_t offsets[PAGE_ENTRIES], smallest = UINT64_MAX;
	size_t count;

	*ret_bytes = 0;
	TRY(read_offsets(r, offsets, &count));
	/* A single block reaches to the end of the file. */
	if (count == 1 && offsets[0] < r->io->size_bytes)
		offsets[count++] = r->io->size_bytes / VHDX_MIB * VHDX_MIB;
	qsort(offsets, count, sizeof *offsets, compare_offsets);
	for (size_t i = 1; i < count; i++)
		if (offsets[i] - offsets[i - 1] < smallest)
			smallest = offsets[i] - offsets[i - 1];
	if (smallest >= VHDX_MIN_BLOCK_BYTES && smallest <= VHDX_MAX_BLOCK_BYTES &&
	    !(smallest & (smallest - 1)))
		*ret_bytes = (uint32_t)smallest;
	return NULL;
}

/* UEFI 2.10, 5.3.2: the header, as far as it is needed. */
struct gpt_header {
	le64 signature;
	le32 revision;
	le32 header_bytes;
	le32 checksum;
	le32 reserved;
	le64 own_lba;
	le64 other_lba; /* the copy's, in the last sector of the disk */
	le64 first_usable_lba;
	le64 last_usable_lba;
};
_Static_assert(sizeof(struct gpt_header) == 56, "UEFI 2.10, 5.3.2");

#define GPT_SIGNATURE 0x5452415020494645ull /* "EFI PART" */

/* The header in sector 1, for sectors of this size; false if there is none. */
static struct err *read_gpt(struct vhdx_repair *r, uint32_t sector_bytes, struct gpt_header *ret_gpt,
			    bool *ret_found)
{
	uint64_t start;
	le64 entry;

	*ret_found = false;
	/* Block 0 is the first entry for every block size. */
	if (!r->regions.bat.length_bytes)
		return NULL;
	TRY(blk_pread(r->io, &entry, sizeof entry, r->regions.bat.file_offset));
	start = le64_get(entry) & VHDX_BAT_OFFSET_MASK;
	if ((le64_get(entry) & VHDX_BAT_STATE_MASK) != VHDX_BLOCK_FULLY_PRESENT || start < VHDX_MIB ||
	    start > r->io->size_bytes - VHDX_MIB)
		return NULL;
	TRY(blk_pread(r->io, ret_gpt, sizeof *ret_gpt, start + sector_bytes));
	*ret_found = le64_get(ret_gpt->signature) == GPT_SIGNATURE && le64_get(ret_gpt->own_lba) == 1 &&
		     le64_get(ret_gpt->other_lba) > le64_get(ret_gpt->last_usable_lba) &&
		     le64_get(ret_gpt->other_lba) < VHDX_MAX_DISK_BYTES / sector_bytes;
	return NULL;
}

struct err *repair_guess_sector_bytes(struct vhdx_repair *r, uint32_t *ret_bytes)
{
	static const uint32_t sizes[] = {512, 4096};
	struct gpt_header gpt;
	bool found;

	*ret_bytes = 0;
	for (size_t i = 0; i < 2 && !*ret_bytes; i++) {
		TRY(read_gpt(r, sizes[i], &gpt, &found));
		if (found)
			*ret_bytes = sizes[i];
	}
	return NULL;
}

struct err *repair_guess_size_bytes(struct vhdx_repair *r, uint64_t *ret_bytes)
{
	uint32_t sector_bytes;
	struct gpt_header gpt;
	bool found;

	*ret_bytes = 0;
	TRY(repair_guess_sector_bytes(r, &sector_bytes));
	if (!sector_bytes)
		return NULL;
	TRY(read_gpt(r, sector_bytes, &gpt, &found));
	if (found)
		*ret_bytes = (le64_get(gpt.other_lba) + 1) * sector_bytes;
	return NULL;
}
