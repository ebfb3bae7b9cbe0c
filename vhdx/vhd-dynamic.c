// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The dynamic type of VHD: blocks that are in the file once something was written
 * to them, found through the block allocation table (BAT).
 *
 * - A block that is in the file stays where it is.
 * - Nothing that is in the file is overwritten by structures: a new block goes
 *   behind the footer, aligned so that its sectors lie on 4 KiB, and the next
 *   flush puts a new footer behind it.
 * - The BAT on disk names a block only when the block's content is durable: it is
 *   written by flush.  Until then the copy of the footer at the start of the file
 *   serves, should the power fail.
 * - The bitmap in front of a block says which sectors are present; the others read
 *   as zeros.  Before a block is written, its bitmap is made full.
 *
 * Threads use the BAT and the file under a read lock, and change either's shape
 * under the write lock.
 */
#include <stdlib.h>
#include <string.h>

#include "vhdx/vhd-device.h"

#define BLOCK_ALIGN_BYTES 4096u

static struct vhd *to_vhd(struct blk *blk)
{
	return (struct vhd *)blk;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * Bitmaps.
 */

/* The first sector is the most significant bit ("Data Block"). */
static bool sector_is_present(const uint8_t *bits, uint32_t sector)
{
	return bits[sector / 8] & 0x80 >> sector % 8;
}

/* The end of the run of sectors that are present, or not, as the first one is. */
static uint32_t find_run_end(const uint8_t *bits, uint32_t sector, uint32_t end, bool *ret_present)
{
	*ret_present = sector_is_present(bits, sector);
	while (sector < end && sector_is_present(bits, sector) == *ret_present)
		sector++;
	return sector;
}

/*
 * The bitmap of a block in the file, to be freed, or NULL if all sectors are
 * present: once seen full, it is not read again.
 */
static struct err *read_bitmap(struct vhd *vhd, uint32_t block, uint8_t **ret_bits)
{
	uint32_t bitmap_bytes = vhd_bitmap_bytes(vhd->header.block_bytes);
	uint32_t sectors = vhd_block_bytes(vhd, block) / VHD_SECTOR_BYTES;
	CLEANUP_FREE uint8_t *bits = NULL;
	bool present;

	*ret_bits = NULL;
	if (__atomic_load_n(&vhd->bitmap_states[block], __ATOMIC_RELAXED) == VHD_BITMAP_FULL)
		return NULL;
	bits = malloc(bitmap_bytes);
	if (!bits)
		return err_nomem();
	TRY(blk_pread(vhd->file, bits, bitmap_bytes, vhd_bitmap_offset(vhd, block)));
	if (find_run_end(bits, 0, sectors, &present) == sectors && present) {
		__atomic_store_n(&vhd->bitmap_states[block], VHD_BITMAP_FULL, __ATOMIC_RELAXED);
		return NULL;
	}
	__atomic_store_n(&vhd->bitmap_states[block], VHD_BITMAP_PARTIAL, __ATOMIC_RELAXED);
	*ret_bits = take_ptr(bits);
	return NULL;
}

/* Makes the bitmap of a block in the file full; under the write lock. */
static struct err *complete_block(struct vhd *vhd, uint32_t block)
{
	uint32_t bitmap_bytes = vhd_bitmap_bytes(vhd->header.block_bytes);
	uint32_t sectors = vhd_block_bytes(vhd, block) / VHD_SECTOR_BYTES;
	CLEANUP_FREE uint8_t *bits = NULL;

	TRY(read_bitmap(vhd, block, &bits));
	if (!bits)
		return NULL;
	for (uint32_t start = 0, end; start < sectors; start = end) {
		bool present;

		end = find_run_end(bits, start, sectors, &present);
		if (!present)
			TRY(blk_zero(vhd->file, (uint64_t)(end - start) * VHD_SECTOR_BYTES,
				     vhd_data_offset(vhd, block) + (uint64_t)start * VHD_SECTOR_BYTES, 0));
	}
	/* Zeros first: the bitmap must not call present what they have not reached. */
	TRY(blk_flush(vhd->file));
	memset(bits, 0xff, bitmap_bytes);
	TRY(blk_pwrite(vhd->file, bits, bitmap_bytes, vhd_bitmap_offset(vhd, block), 0));
	vhd->bitmap_states[block] = VHD_BITMAP_FULL;
	return NULL;
}

/*
 * Reading.
 */

/* A part of one block; under the read lock. */
static struct err *read_in_block(struct vhd *vhd, uint32_t block, uint8_t *buf, uint32_t len_bytes,
				 uint32_t skip)
{
	CLEANUP_FREE uint8_t *bits = NULL;
	uint32_t end = skip + len_bytes;
	uint64_t base;

	if (vhd->bat[block] == VHD_BAT_UNUSED) {
		memset(buf, 0, len_bytes);
		return NULL;
	}
	base = vhd_data_offset(vhd, block);
	TRY(read_bitmap(vhd, block, &bits));
	if (!bits)
		return blk_pread(vhd->file, buf, len_bytes, base + skip);
	while (skip < end) {
		bool present;
		uint32_t run_end =
			VHD_SECTOR_BYTES * find_run_end(bits, skip / VHD_SECTOR_BYTES,
							(end - 1) / VHD_SECTOR_BYTES + 1, &present);
		uint32_t bytes = min_u64(run_end, end) - skip;

		if (present)
			TRY(blk_pread(vhd->file, buf, bytes, base + skip));
		else
			memset(buf, 0, bytes);
		buf += bytes;
		skip += bytes;
	}
	return NULL;
}

/* The part of [offset, end) that lies in the block at offset. */
struct part {
	uint32_t block;
	uint32_t skip;
	uint32_t bytes;
};

static struct part part_at(const struct vhd *vhd, uint64_t offset, uint64_t end)
{
	struct part p = {.block = offset / vhd->header.block_bytes, .skip = offset % vhd->header.block_bytes};

	p.bytes = min_u64(end - offset, vhd->header.block_bytes - p.skip);
	return p;
}

static struct err *dynamic_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	struct vhd *vhd = to_vhd(blk);
	uint64_t end = offset + len_bytes;
	struct err *err = NULL;
	uint8_t *at = buf;

	pthread_rwlock_rdlock(&vhd->lock);
	while (offset < end && !err) {
		struct part p = part_at(vhd, offset, end);

		err = read_in_block(vhd, p.block, at, p.bytes, p.skip);
		at += p.bytes;
		offset += p.bytes;
	}
	pthread_rwlock_unlock(&vhd->lock);
	return err;
}

/*
 * Writing.
 */

/* Puts a block of zeros behind everything; under the write lock. */
static struct err *allocate_block(struct vhd *vhd, uint32_t block)
{
	uint32_t bitmap_bytes = vhd_bitmap_bytes(vhd->header.block_bytes);
	uint64_t data = (vhd->data_end + bitmap_bytes + BLOCK_ALIGN_BYTES - 1) & ~(BLOCK_ALIGN_BYTES - 1ull);
	uint64_t start = data - bitmap_bytes;
	CLEANUP_FREE uint8_t *bits = malloc(bitmap_bytes);

	if (!bits)
		return err_nomem();
	if (start / VHD_SECTOR_BYTES >= VHD_BAT_UNUSED)
		return err_advise(err_failed("%s: the file is as large as a VHD can be", vhd->file->name),
				  "convert it to VHDX");
	memset(bits, 0xff, bitmap_bytes);
	TRY(blk_resize(vhd->file, data + vhd->header.block_bytes));
	TRY(blk_pwrite(vhd->file, bits, bitmap_bytes, start, 0));
	vhd->data_end = data + vhd->header.block_bytes;
	vhd->bat[block] = start / VHD_SECTOR_BYTES;
	vhd->bitmap_states[block] = VHD_BITMAP_FULL;
	if (!vhd->bat_is_dirty || block < vhd->dirty_first)
		vhd->dirty_first = block;
	if (!vhd->bat_is_dirty || block >= vhd->dirty_end)
		vhd->dirty_end = block + 1;
	vhd->bat_is_dirty = true;
	return NULL;
}

static struct err *prepare_block(struct vhd *vhd, uint32_t block)
{
	return vhd->bat[block] == VHD_BAT_UNUSED ? allocate_block(vhd, block) : complete_block(vhd, block);
}

/* Sees to it that blocks [first, last] are in the file and have full bitmaps. */
static struct err *prepare_blocks(struct vhd *vhd, uint32_t first, uint32_t last)
{
	struct err *err = NULL;
	bool ready = true;

	pthread_rwlock_rdlock(&vhd->lock);
	for (uint32_t block = first; block <= last && ready; block++)
		ready = vhd->bat[block] != VHD_BAT_UNUSED &&
			__atomic_load_n(&vhd->bitmap_states[block], __ATOMIC_RELAXED) == VHD_BITMAP_FULL;
	pthread_rwlock_unlock(&vhd->lock);
	if (ready)
		return NULL;
	pthread_rwlock_wrlock(&vhd->lock);
	for (uint32_t block = first; block <= last && !err; block++)
		err = prepare_block(vhd, block);
	pthread_rwlock_unlock(&vhd->lock);
	return err;
}

/* Makes what was allocated part of the file; under the write lock. */
static struct err *commit(struct vhd *vhd)
{
	uint32_t first = vhd->dirty_first, count = vhd->dirty_end - first;
	CLEANUP_FREE be32 *disk_bat = malloc(count * sizeof *disk_bat);

	if (!disk_bat)
		return err_nomem();
	for (uint32_t i = 0; i < count; i++)
		disk_bat[i] = be32_make(vhd->bat[first + i]);
	TRY(blk_resize(vhd->file, vhd->data_end + sizeof vhd->disk_footer));
	TRY(blk_pwrite(vhd->file, &vhd->disk_footer, sizeof vhd->disk_footer, vhd->data_end, 0));
	TRY(blk_flush(vhd->file));
	TRY(blk_pwrite(vhd->file, disk_bat, count * sizeof *disk_bat,
		       vhd->header.bat_offset + first * sizeof *disk_bat, 0));
	TRY(blk_flush(vhd->file));
	vhd->data_end += sizeof vhd->disk_footer;
	vhd->bat_is_dirty = false;
	return NULL;
}

static struct err *dynamic_flush(struct blk *blk)
{
	struct vhd *vhd = to_vhd(blk);
	struct err *err;

	pthread_rwlock_wrlock(&vhd->lock);
	err = vhd->bat_is_dirty ? commit(vhd) : blk_flush(vhd->file);
	pthread_rwlock_unlock(&vhd->lock);
	return err;
}

/* Writes, or for a NULL buf zeros, what lies in blocks that are prepared. */
static struct err *change_blocks(struct vhd *vhd, const uint8_t *buf, uint64_t len_bytes, uint64_t offset,
				 unsigned flags)
{
	uint64_t end = offset + len_bytes;
	struct err *err = NULL;

	pthread_rwlock_rdlock(&vhd->lock);
	while (offset < end && !err) {
		struct part p = part_at(vhd, offset, end);
		uint64_t at = vhd_data_offset(vhd, p.block) + p.skip;

		err = buf ? blk_pwrite(vhd->file, buf, p.bytes, at, flags)
			  : blk_zero(vhd->file, p.bytes, at, flags);
		buf = buf ? buf + p.bytes : NULL;
		offset += p.bytes;
	}
	pthread_rwlock_unlock(&vhd->lock);
	return err;
}

/* A durable write into a block that the BAT on disk does not name is none. */
static struct err *commit_for_fua(struct vhd *vhd, unsigned flags)
{
	bool is_dirty;

	if (!(flags & BLK_FUA))
		return NULL;
	pthread_rwlock_rdlock(&vhd->lock);
	is_dirty = vhd->bat_is_dirty;
	pthread_rwlock_unlock(&vhd->lock);
	return is_dirty ? dynamic_flush(&vhd->blk) : NULL;
}

static struct err *dynamic_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
				  unsigned flags)
{
	struct vhd *vhd = to_vhd(blk);

	TRY(prepare_blocks(vhd, offset / vhd->header.block_bytes,
			   (offset + len_bytes - 1) / vhd->header.block_bytes));
	TRY(change_blocks(vhd, buf, len_bytes, offset, flags));
	return commit_for_fua(vhd, flags);
}

static bool is_allocated(struct vhd *vhd, uint32_t block)
{
	bool allocated;

	pthread_rwlock_rdlock(&vhd->lock);
	allocated = vhd->bat[block] != VHD_BAT_UNUSED;
	pthread_rwlock_unlock(&vhd->lock);
	return allocated;
}

static struct err *dynamic_zero(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	struct vhd *vhd = to_vhd(blk);
	uint64_t end = offset + len_bytes;

	while (offset < end) {
		struct part p = part_at(vhd, offset, end);

		if (is_allocated(vhd, p.block)) {
			TRY(prepare_blocks(vhd, p.block, p.block));
			TRY(change_blocks(vhd, NULL, p.bytes, offset, flags));
		}
		offset += p.bytes;
	}
	return commit_for_fua(vhd, flags);
}

/*
 * Extents.
 */

/* Joins what is reported alike. */
struct extent_run {
	blk_extent_fn fn;
	void *arg;
	uint64_t start;
	uint64_t end;
	unsigned flags;
};

static struct err *extend_run(struct extent_run *run, uint64_t bytes, unsigned flags)
{
	struct err *err = NULL;

	if (run->start < run->end && flags != run->flags) {
		err = run->fn(run->arg, run->start, run->end - run->start, run->flags);
		run->start = run->end;
	}
	run->flags = flags;
	run->end += bytes;
	return err;
}

static struct err *extents_in_block(struct vhd *vhd, struct part p, struct extent_run *run)
{
	CLEANUP_FREE uint8_t *bits = NULL;
	uint32_t skip = p.skip, end = p.skip + p.bytes;
	struct err *err = NULL;
	bool allocated;

	/* The callback may use the device, so it runs without the lock. */
	pthread_rwlock_rdlock(&vhd->lock);
	allocated = vhd->bat[p.block] != VHD_BAT_UNUSED;
	if (allocated)
		err = read_bitmap(vhd, p.block, &bits);
	pthread_rwlock_unlock(&vhd->lock);
	if (err)
		return err;
	if (!bits)
		return extend_run(run, p.bytes, allocated ? 0 : BLK_EXTENT_HOLE | BLK_EXTENT_ZERO);
	while (skip < end) {
		bool present;
		uint32_t run_end =
			VHD_SECTOR_BYTES * find_run_end(bits, skip / VHD_SECTOR_BYTES,
							(end - 1) / VHD_SECTOR_BYTES + 1, &present);
		uint32_t bytes = min_u64(run_end, end) - skip;

		TRY(extend_run(run, bytes, present ? 0 : BLK_EXTENT_ZERO));
		skip += bytes;
	}
	return NULL;
}

static struct err *dynamic_extents(struct blk *blk, uint64_t len_bytes, uint64_t offset, blk_extent_fn fn,
				   void *arg)
{
	struct vhd *vhd = to_vhd(blk);
	struct extent_run run = {.fn = fn, .arg = arg, .start = offset, .end = offset};
	uint64_t end = offset + len_bytes;

	while (offset < end) {
		struct part p = part_at(vhd, offset, end);

		TRY(extents_in_block(vhd, p, &run));
		offset += p.bytes;
	}
	return fn(arg, run.start, run.end - run.start, run.flags);
}

static struct err *dynamic_close(struct blk *blk)
{
	struct vhd *vhd = to_vhd(blk);
	struct err *err = vhd->bat_is_dirty ? commit(vhd) : NULL;

	return err_first(err, vhd_free(vhd));
}

const struct blk_ops vhd_dynamic_ops = {
	.kind = "vhd",
	.pread = dynamic_pread,
	.pwrite = dynamic_pwrite,
	.zero = dynamic_zero,
	.extents = dynamic_extents,
	.flush = dynamic_flush,
	.close = dynamic_close,
};
