/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Swap: its first page (signature, UUID, label) is kept, the content is left
 * out; pages behind the area it says it has are kept.  A hibernated system is
 * in there with another signature, and then all of it counts.
 */
#include "capture/usedmap-impl.h"

#define SIGNATURE "SWAPSPACE2"
#define SIGNATURE_BYTES 10
#define HEADER_OFFSET 1024

/* mm/swapfile.c: union swap_header. */
struct swap_header {
	le32 version, last_page, bad_page_count;
};

/* The kernel's page size where it was made, by the place of the signature; 0 if there is none. */
static uint32_t find_page_bytes(const uint8_t *start, uint64_t size_bytes)
{
	for (uint32_t page = 4096; page <= 65536 && page <= size_bytes; page *= 2)
		if (!memcmp(start + page - SIGNATURE_BYTES, SIGNATURE, SIGNATURE_BYTES))
			return page;
	return 0;
}

static bool swap_recognise(const uint8_t start[USEDMAP_START_BYTES], uint64_t size_bytes)
{
	return find_page_bytes(start, size_bytes);
}

static struct err *swap_map(struct usedmap_walk *walk, struct blk *blk, struct extents *ret_used)
{
	uint8_t start[65536] = {0};
	struct swap_header header;
	uint32_t page_bytes;
	uint64_t end;

	TRY(blk_pread(blk, start, blk->size_bytes < sizeof start ? blk->size_bytes : sizeof start, 0));
	page_bytes = find_page_bytes(start, blk->size_bytes);
	memcpy(&header, start + HEADER_OFFSET, sizeof header);
	if (!page_bytes || le32_get(header.version) != 1)
		return usedmap_doubt("its header makes no sense");
	end = (le32_get(header.last_page) + 1ull) * page_bytes;
	if (end > blk->size_bytes)
		return usedmap_doubt("it is larger than the device it is on");
	usedmap_add(walk, ret_used, 0, page_bytes);
	usedmap_add(walk, ret_used, end, blk->size_bytes);
	return NULL;
}

const struct usedmap_kind usedmap_swap = {
	.name = "swap",
	.recognise = swap_recognise,
	.map = swap_map,
};
