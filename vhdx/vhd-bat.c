// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * The structures of a dynamic VHD: read, checked and made.  After loading, every
 * BAT entry in use names a place inside the file that belongs to that block
 * alone, so the rest of the code checks nothing.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vhdx/vhd-device.h"

#define TRUNCATED_ADVICE "the file is truncated or damaged: copy it again from where it came"

struct placed_block {
	uint32_t sector;
	uint32_t block;
};

static int compare_places(const void *a, const void *b)
{
	const struct placed_block *x = a, *y = b;

	return (x->sector > y->sector) - (x->sector < y->sector);
}

static bool overlaps(uint64_t start, uint64_t end, uint64_t other_start, uint64_t other_end)
{
	return start < other_end && other_start < end;
}

/* A block lies in the file and not over the structures. */
static struct err *check_place(const struct vhd *vhd, uint32_t block)
{
	const char *name = vhd->file->name;
	uint64_t start = vhd_bitmap_offset(vhd, block);
	uint64_t end = vhd_data_offset(vhd, block) + vhd_block_bytes(vhd, block);
	uint64_t header = vhd->footer.header_offset, bat = vhd->header.bat_offset;

	if (end > vhd->file->size_bytes)
		return err_advise(
			err_refused("%s: BAT entry %u points behind the end of the file", name, block),
			TRUNCATED_ADVICE);
	if (overlaps(start, end, 0, sizeof(struct vhd_disk_footer)) ||
	    overlaps(start, end, header, header + sizeof(struct vhd_disk_header)) ||
	    overlaps(start, end, bat, bat + 4ull * vhd->block_count))
		return err_advise(
			err_refused("%s: BAT entry %u points into the file's own structures", name, block),
			TRUNCATED_ADVICE);
	return NULL;
}

static struct err *check_places(const struct vhd *vhd)
{
	CLEANUP_FREE struct placed_block *places = calloc(vhd->block_count, sizeof *places);
	size_t count = 0;

	if (!places)
		return err_nomem();
	for (uint32_t block = 0; block < vhd->block_count; block++) {
		if (vhd->bat[block] == VHD_BAT_UNUSED)
			continue;
		TRY(check_place(vhd, block));
		places[count++] = (struct placed_block){vhd->bat[block], block};
	}
	qsort(places, count, sizeof *places, compare_places);
	for (size_t i = 1; i < count; i++) {
		uint32_t a = places[i - 1].block, b = places[i].block;

		if (vhd_data_offset(vhd, a) + vhd_block_bytes(vhd, a) > vhd_bitmap_offset(vhd, b))
			return err_advise(err_refused("%s: BAT entries %u and %u point to the same place",
						      vhd->file->name, a, b),
					  TRUNCATED_ADVICE);
	}
	return NULL;
}

static struct err *alloc_tables(struct vhd *vhd)
{
	vhd->bat = calloc(vhd->block_count, sizeof *vhd->bat);
	vhd->bitmap_states = calloc(vhd->block_count, sizeof *vhd->bitmap_states);
	return vhd->bat && vhd->bitmap_states ? NULL : err_nomem();
}

static struct err *load_bat(struct vhd *vhd)
{
	uint64_t needed = (vhd->footer.size_bytes - 1) / vhd->header.block_bytes + 1;
	uint64_t offset = vhd->header.bat_offset;
	uint64_t file_bytes = vhd->file->size_bytes;
	be32 *disk_bat;

	if (needed > vhd->header.bat_entries)
		return err_advise(err_refused("%s: the BAT has %u entries for %" PRIu64 " blocks",
					      vhd->file->name, vhd->header.bat_entries, needed),
				  TRUNCATED_ADVICE);
	if (offset > file_bytes || needed * sizeof *disk_bat > file_bytes - offset)
		return err_advise(
			err_refused("%s: the BAT reaches behind the end of the file", vhd->file->name),
			TRUNCATED_ADVICE);
	vhd->block_count = needed;
	TRY(alloc_tables(vhd));
	/* Swapped in place. */
	disk_bat = (be32 *)vhd->bat;
	TRY(blk_pread(vhd->file, disk_bat, needed * sizeof *disk_bat, offset));
	for (uint32_t block = 0; block < vhd->block_count; block++)
		vhd->bat[block] = be32_get(disk_bat[block]);
	return check_places(vhd);
}

struct err *vhd_dynamic_load(struct vhd *vhd)
{
	uint64_t offset = vhd->footer.header_offset;
	struct vhd_disk_header disk;
	const char *problem;

	if (offset > vhd->file->size_bytes || sizeof disk > vhd->file->size_bytes - offset)
		return err_advise(err_refused("%s: the dynamic header lies behind the end of the file",
					      vhd->file->name),
				  TRUNCATED_ADVICE);
	TRY(blk_pread(vhd->file, &disk, sizeof disk, offset));
	problem = vhd_header_decode(&disk, &vhd->header);
	if (problem)
		return err_advise(err_refused("%s: the dynamic header has %s", vhd->file->name, problem),
				  TRUNCATED_ADVICE);
	vhd->blk.preferred_bytes = vhd->header.block_bytes;
	vhd->data_end = vhd->file->size_bytes;
	return load_bat(vhd);
}

struct err *vhd_dynamic_format(struct vhd *vhd, uint32_t block_bytes)
{
	uint32_t count = (vhd->footer.size_bytes - 1) / block_bytes + 1;
	uint64_t bat_bytes = (4ull * count + VHD_SECTOR_BYTES - 1) & ~(uint64_t)(VHD_SECTOR_BYTES - 1);
	CLEANUP_FREE void *disk_bat = malloc(bat_bytes);
	struct vhd_disk_header disk;

	if (!disk_bat)
		return err_nomem();
	vhd->header = (struct vhd_header){
		.bat_offset = vhd->footer.header_offset + sizeof disk,
		.bat_entries = count,
		.block_bytes = block_bytes,
	};
	vhd->block_count = count;
	vhd->blk.preferred_bytes = block_bytes;
	TRY(alloc_tables(vhd));
	memset(vhd->bat, 0xff, count * sizeof *vhd->bat);
	memset(disk_bat, 0xff, bat_bytes);
	vhd_header_encode(&vhd->header, &disk);
	vhd->data_end = vhd->header.bat_offset + bat_bytes + sizeof vhd->disk_footer;
	TRY(blk_resize(vhd->file, vhd->data_end));
	TRY(blk_pwrite(vhd->file, &vhd->disk_footer, sizeof vhd->disk_footer, 0, 0));
	TRY(blk_pwrite(vhd->file, &disk, sizeof disk, vhd->footer.header_offset, 0));
	TRY(blk_pwrite(vhd->file, disk_bat, bat_bytes, vhd->header.bat_offset, 0));
	return blk_pwrite(vhd->file, &vhd->disk_footer, sizeof vhd->disk_footer,
			  vhd->header.bat_offset + bat_bytes, 0);
}
