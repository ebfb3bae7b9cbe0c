/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A page is found by its number in an array of pointers as large as the disk
 * needs, of which memory is used only where it was touched.  When many pages are
 * in memory, each one that is read takes the place of one that is in the file as
 * it is here; a page that was ever changed counts as such only after
 * vhdx_bitmap_settle(), so that it is never read back while it is being written.
 */
#include "vhdx/bitmap.h"

#include <inttypes.h>
#include <string.h>

#include "vhdx/bits.h"

#define MAX_KEPT 2048u /* pages, 8 MiB: the bitmaps of 32 GiB */
#define PAGE_WORDS (VHDX_BITMAP_PAGE_BYTES / sizeof(uint64_t))

/* Bits lie in words as they do in bytes, the lowest first. */
_Static_assert(__BYTE_ORDER == __LITTLE_ENDIAN, "bitmaps are used as they are on disk");

struct vhdx_bitmap_page {
	uint64_t number;
	uint64_t file_offset;
	bool is_settled; /* the file has the same */
	uint64_t words[PAGE_WORDS];
};

struct err *vhdx_bitmap_init(struct vhdx_bitmap *bitmap, struct vhdx_bat *bat)
{
	const struct vhdx_geometry *geometry = bat->limits.geometry;
	uint64_t chunks = ((geometry->block_count - 1) >> geometry->chunk_shift) + 1;

	*bitmap = (struct vhdx_bitmap){.bat = bat, .page_count = chunks * VHDX_BITMAP_BLOCK_PAGES};
	bitmap->pages = calloc(bitmap->page_count, sizeof *bitmap->pages);
	bitmap->dirty = calloc(bitmap->page_count / 64 + 1, sizeof *bitmap->dirty);
	if (bitmap->pages && bitmap->dirty)
		return NULL;
	vhdx_bitmap_deinit(bitmap);
	return err_nomem();
}

void vhdx_bitmap_deinit(struct vhdx_bitmap *bitmap)
{
	for (size_t i = 0; i < bitmap->resident_count; i++)
		free(bitmap->resident[i]);
	free(bitmap->resident);
	free(bitmap->pages);
	free(bitmap->dirty);
	*bitmap = (struct vhdx_bitmap){0};
}

void vhdx_bitmap_forget(struct vhdx_bitmap *bitmap)
{
	for (size_t i = 0; i < bitmap->resident_count; i++) {
		vhdx_bitmap_set_dirty(bitmap, bitmap->resident[i]->number, false);
		bitmap->pages[bitmap->resident[i]->number] = NULL;
		free(bitmap->resident[i]);
	}
	bitmap->resident_count = 0;
}

/* Takes one settled page out of memory, for its place; NULL if all are still to be written. */
static struct vhdx_bitmap_page **evict(struct vhdx_bitmap *bitmap)
{
	for (size_t i = 0; i < bitmap->resident_count; i++) {
		struct vhdx_bitmap_page **place = &bitmap->resident[bitmap->hand];

		bitmap->hand = (bitmap->hand + 1) % bitmap->resident_count;
		if (!(*place)->is_settled)
			continue;
		bitmap->pages[(*place)->number] = NULL;
		free(*place);
		return place;
	}
	return NULL;
}

/* Where a page that is read goes. */
static struct err *make_place(struct vhdx_bitmap *bitmap, struct vhdx_bitmap_page ***ret_place)
{
	struct vhdx_bitmap_page **place = bitmap->resident_count < MAX_KEPT ? NULL : evict(bitmap);

	if (!place && bitmap->resident_count == bitmap->resident_capacity) {
		size_t capacity = bitmap->resident_capacity ? 2 * bitmap->resident_capacity : 16;
		struct vhdx_bitmap_page **all = reallocarray(bitmap->resident, capacity, sizeof *all);

		if (!all)
			return err_nomem();
		bitmap->resident = all;
		bitmap->resident_capacity = capacity;
	}
	*ret_place = place ? place : &bitmap->resident[bitmap->resident_count++];
	return NULL;
}

static struct err *load(struct vhdx_bitmap *bitmap, struct blk *file, uint64_t number)
{
	CLEANUP_FREE struct vhdx_bitmap_page *page = NULL;
	struct vhdx_bitmap_page **place = NULL;
	uint64_t block_offset;

	TRY(vhdx_bat_get_bitmap(bitmap->bat, file, number / VHDX_BITMAP_BLOCK_PAGES, &block_offset));
	if (!block_offset)
		return err_advise(err_refused("%s: blocks from %" PRIu64
					      " on the disk are partially present, but which of their "
					      "sectors are is not in the file",
					      file->name,
					      number * VHDX_BITMAP_PAGE_SECTORS *
						      bitmap->bat->limits.geometry->logical_sector_bytes),
				  "the file is damaged: copy it again from where it came from");
	page = malloc(sizeof *page);
	if (!page)
		return err_nomem();
	page->number = number;
	page->file_offset = block_offset + number % VHDX_BITMAP_BLOCK_PAGES * VHDX_BITMAP_PAGE_BYTES;
	page->is_settled = true;
	TRY(blk_pread(file, page->words, sizeof page->words, page->file_offset));
	TRY(make_place(bitmap, &place));
	*place = page;
	bitmap->pages[number] = take_ptr(page);
	return NULL;
}

static struct err *get_page(struct vhdx_bitmap *bitmap, struct blk *file, uint64_t sector,
			    struct vhdx_bitmap_page **ret_page)
{
	uint64_t number = sector / VHDX_BITMAP_PAGE_SECTORS;

	if (!bitmap->pages[number])
		TRY(load(bitmap, file, number));
	*ret_page = bitmap->pages[number];
	return NULL;
}

/* How many bits from `bit` on, less than max_count more, are like it. */
static uint64_t run_in_page(const struct vhdx_bitmap_page *page, uint64_t bit, uint64_t max_count)
{
	uint64_t flip = bit_get(page->words, bit) ? ~0ull : 0, count = 0;

	while (count < max_count && bit + count < VHDX_BITMAP_PAGE_SECTORS) {
		uint64_t at = bit + count;
		uint64_t others = (page->words[at / 64] ^ flip) >> at % 64;

		if (others) {
			count += (uint64_t)__builtin_ctzll(others);
			break;
		}
		count += 64 - at % 64;
	}
	return count < max_count ? count : max_count;
}

struct err *vhdx_bitmap_get(struct vhdx_bitmap *bitmap, struct blk *file, uint64_t sector, uint64_t max_count,
			    bool *ret_present, uint64_t *ret_count)
{
	uint64_t count = 0;
	bool present = false;

	while (count < max_count) {
		uint64_t bit = (sector + count) % VHDX_BITMAP_PAGE_SECTORS, in_page;
		struct vhdx_bitmap_page *page;

		TRY(get_page(bitmap, file, sector + count, &page));
		if (!count)
			present = bit_get(page->words, bit);
		else if (bit_get(page->words, bit) != present)
			break;
		in_page = run_in_page(page, bit, max_count - count);
		count += in_page;
		if (bit + in_page < VHDX_BITMAP_PAGE_SECTORS)
			break;
	}
	*ret_present = present;
	*ret_count = count;
	return NULL;
}

/* Sets bits [bit, bit + count) of a page; true if that changed any. */
static bool set_in_page(struct vhdx_bitmap_page *page, uint64_t bit, uint64_t count, bool present)
{
	uint64_t changed = 0;

	while (count) {
		uint64_t in_word = 64 - bit % 64 < count ? 64 - bit % 64 : count;
		uint64_t mask = (in_word == 64 ? ~0ull : (1ull << in_word) - 1) << bit % 64;
		uint64_t *word = &page->words[bit / 64];
		uint64_t value = present ? *word | mask : *word & ~mask;

		changed |= *word ^ value;
		*word = value;
		bit += in_word;
		count -= in_word;
	}
	return changed;
}

struct err *vhdx_bitmap_set(struct vhdx_bitmap *bitmap, struct blk *file, uint64_t sector, uint64_t count,
			    bool present)
{
	while (count) {
		uint64_t bit = sector % VHDX_BITMAP_PAGE_SECTORS;
		uint64_t here =
			VHDX_BITMAP_PAGE_SECTORS - bit < count ? VHDX_BITMAP_PAGE_SECTORS - bit : count;
		struct vhdx_bitmap_page *page;

		TRY(get_page(bitmap, file, sector, &page));
		if (set_in_page(page, bit, here, present))
			vhdx_bitmap_set_dirty(bitmap, page->number, true);
		sector += here;
		count -= here;
	}
	return NULL;
}

uint64_t vhdx_bitmap_next_dirty(const struct vhdx_bitmap *bitmap, uint64_t page)
{
	return bit_next(bitmap->dirty, page, bitmap->page_count);
}

void vhdx_bitmap_set_dirty(struct vhdx_bitmap *bitmap, uint64_t page, bool dirty)
{
	if (bit_get(bitmap->dirty, page) != dirty)
		bitmap->dirty_count += dirty ? 1 : -1;
	bit_set(bitmap->dirty, page, dirty);
	if (dirty)
		bitmap->pages[page]->is_settled = false;
}

const void *vhdx_bitmap_page_data(const struct vhdx_bitmap *bitmap, uint64_t page)
{
	return bitmap->pages[page]->words;
}

uint64_t vhdx_bitmap_page_offset(const struct vhdx_bitmap *bitmap, uint64_t page)
{
	return bitmap->pages[page]->file_offset;
}

void vhdx_bitmap_settle(struct vhdx_bitmap *bitmap)
{
	for (size_t i = 0; i < bitmap->resident_count; i++)
		bitmap->resident[i]->is_settled = !bit_get(bitmap->dirty, bitmap->resident[i]->number);
}
