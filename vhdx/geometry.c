/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vhdx/geometry.h"

#include "vhdx/format.h"

static bool is_power_of_two(uint64_t v)
{
	return v && !(v & (v - 1));
}

static uint32_t log2_of(uint64_t power_of_two)
{
	return (uint32_t)__builtin_ctzll(power_of_two);
}

static enum vhdx_geometry_status check_inputs(const struct vhdx_geometry *geometry)
{
	if (geometry->logical_sector_bytes != 512 && geometry->logical_sector_bytes != 4096)
		return VHDX_GEOMETRY_LOGICAL_SECTOR;
	if (geometry->physical_sector_bytes != 512 && geometry->physical_sector_bytes != 4096)
		return VHDX_GEOMETRY_PHYSICAL_SECTOR;
	if (!is_power_of_two(geometry->block_bytes) || geometry->block_bytes < VHDX_MIN_BLOCK_BYTES ||
	    geometry->block_bytes > VHDX_MAX_BLOCK_BYTES)
		return VHDX_GEOMETRY_BLOCK;
	if (!geometry->size_bytes)
		return VHDX_GEOMETRY_SIZE_ZERO;
	if (geometry->size_bytes > VHDX_MAX_DISK_BYTES)
		return VHDX_GEOMETRY_SIZE_TOO_LARGE;
	if (geometry->size_bytes % geometry->logical_sector_bytes)
		return VHDX_GEOMETRY_SIZE_UNALIGNED;
	return VHDX_GEOMETRY_OK;
}

enum vhdx_geometry_status vhdx_geometry_derive(struct vhdx_geometry *geometry)
{
	enum vhdx_geometry_status status = check_inputs(geometry);
	uint64_t chunks;

	if (status != VHDX_GEOMETRY_OK)
		return status;
	geometry->block_shift = log2_of(geometry->block_bytes);
	geometry->chunk_shift = log2_of(VHDX_SECTORS_PER_BITMAP_BLOCK * geometry->logical_sector_bytes /
					geometry->block_bytes);
	geometry->block_count = (geometry->size_bytes + geometry->block_bytes - 1) >> geometry->block_shift;
	/* A differencing file has each chunk's bitmap entry; another file ends with the last payload entry.
	 */
	chunks = (geometry->block_count - 1) >> geometry->chunk_shift;
	geometry->bat_entry_count = geometry->has_parent
					    ? (chunks + 1) * ((1ull << geometry->chunk_shift) + 1)
					    : geometry->block_count + chunks;
	return VHDX_GEOMETRY_OK;
}

const char *vhdx_geometry_status_text(enum vhdx_geometry_status status)
{
	static const char *const texts[] = {
		[VHDX_GEOMETRY_OK] = "fine",
		[VHDX_GEOMETRY_SIZE_ZERO] = "the disk's size is 0",
		[VHDX_GEOMETRY_SIZE_TOO_LARGE] = "the disk is larger than 64 TiB",
		[VHDX_GEOMETRY_SIZE_UNALIGNED] = "the disk's size is no multiple of its logical sector size",
		[VHDX_GEOMETRY_BLOCK] = "the block size is no power of two from 1 MiB to 256 MiB",
		[VHDX_GEOMETRY_LOGICAL_SECTOR] = "the logical sector size is neither 512 nor 4096",
		[VHDX_GEOMETRY_PHYSICAL_SECTOR] = "the physical sector size is neither 512 nor 4096",
	};

	return texts[status];
}

uint64_t vhdx_geometry_bat_index(const struct vhdx_geometry *geometry, uint64_t block)
{
	return block + (block >> geometry->chunk_shift);
}

uint64_t vhdx_geometry_bitmap_index(const struct vhdx_geometry *geometry, uint64_t chunk)
{
	return ((chunk + 1) << geometry->chunk_shift) + chunk;
}

bool vhdx_geometry_block_at(const struct vhdx_geometry *geometry, uint64_t bat_index, uint64_t *ret_block)
{
	uint64_t per_chunk = (1ull << geometry->chunk_shift) + 1;

	if (bat_index % per_chunk == per_chunk - 1)
		return false;
	*ret_block = bat_index - bat_index / per_chunk;
	return true;
}

uint64_t vhdx_geometry_payload_entries(const struct vhdx_geometry *geometry)
{
	uint64_t last = geometry->block_count - 1;

	return geometry->has_parent ? ((last >> geometry->chunk_shift) + 1) << geometry->chunk_shift
				    : geometry->block_count;
}

uint64_t vhdx_geometry_used_bytes(const struct vhdx_geometry *geometry, uint64_t block)
{
	uint64_t left = geometry->size_bytes - (block << geometry->block_shift);

	return left < geometry->block_bytes ? left : geometry->block_bytes;
}
