// SPDX-License-Identifier: GPL-3.0-or-later
#include "vhdx/vhd-format.h"

#include <string.h>

/* "Checksum": the one's complement of the sum of all bytes but those of the field itself. */
static uint32_t checksum(const void *structure, size_t len_bytes, const be32 *field)
{
	const uint8_t *bytes = structure;
	const uint8_t *skip = (const uint8_t *)field;
	uint32_t sum = 0;

	for (const uint8_t *at = bytes; at < bytes + len_bytes; at++) {
		if (at < skip || at >= skip + sizeof *field)
			sum += *at;
	}
	return ~sum;
}

bool vhd_is_footer(const void *bytes)
{
	return !memcmp(bytes, VHD_COOKIE, 8);
}

const char *vhd_footer_decode(const struct vhd_disk_footer *disk, struct vhd_footer *ret_footer)
{
	uint32_t type = be32_get(disk->type);
	struct vhd_footer footer = {
		.type = type,
		.header_offset = be64_get(disk->header_offset),
		.size_bytes = be64_get(disk->current_bytes),
		.id = disk->id,
	};

	if (!vhd_is_footer(disk))
		return "no signature";
	if (be32_get(disk->checksum) != checksum(disk, sizeof *disk, &disk->checksum))
		return "a wrong checksum";
	if (be32_get(disk->version) >> 16 != VHD_VERSION >> 16)
		return "an unknown version";
	if (type != VHD_FIXED && type != VHD_DYNAMIC && type != VHD_DIFFERENCING)
		return "an unknown type of disk";
	if (!footer.size_bytes || footer.size_bytes % VHD_SECTOR_BYTES || footer.size_bytes > INT64_MAX)
		return "an impossible size";
	if (type != VHD_FIXED && footer.header_offset > INT64_MAX)
		return "no offset of the dynamic header";
	memcpy(footer.creator, disk->creator, sizeof disk->creator);
	*ret_footer = footer;
	return NULL;
}

const char *vhd_header_decode(const struct vhd_disk_header *disk, struct vhd_header *ret_header)
{
	struct vhd_header header = {
		.bat_offset = be64_get(disk->bat_offset),
		.bat_entries = be32_get(disk->bat_entries),
		.block_bytes = be32_get(disk->block_bytes),
	};

	if (memcmp(disk->cookie, VHD_HEADER_COOKIE, sizeof disk->cookie))
		return "no signature";
	if (be32_get(disk->checksum) != checksum(disk, sizeof *disk, &disk->checksum))
		return "a wrong checksum";
	if (be32_get(disk->version) >> 16 != VHD_VERSION >> 16)
		return "an unknown version";
	if (header.block_bytes < VHD_SECTOR_BYTES || header.block_bytes & (header.block_bytes - 1))
		return "an impossible block size";
	if (header.bat_offset > INT64_MAX)
		return "an impossible offset of the block allocation table";
	*ret_header = header;
	return NULL;
}

/* Appendix "CHS Calculation". */
static void set_geometry(uint64_t size_bytes, struct vhd_disk_footer *disk)
{
	uint64_t total = size_bytes / VHD_SECTOR_BYTES;
	uint32_t sectors, heads;
	uint64_t tracks;

	if (total > 65535ull * 16 * 255)
		total = 65535ull * 16 * 255;
	if (total >= 65535ull * 16 * 63) {
		sectors = 255;
		heads = 16;
		tracks = total / sectors;
	} else {
		sectors = 17;
		tracks = total / sectors;
		heads = (tracks + 1023) / 1024;
		if (heads < 4)
			heads = 4;
		if (tracks >= heads * 1024 || heads > 16) {
			sectors = 31;
			heads = 16;
			tracks = total / sectors;
		}
		if (tracks >= heads * 1024) {
			sectors = 63;
			heads = 16;
			tracks = total / sectors;
		}
	}
	disk->cylinders = be16_make(tracks / heads);
	disk->heads = heads;
	disk->sectors = sectors;
}

void vhd_footer_encode(const struct vhd_footer *footer, uint64_t unix_time, struct vhd_disk_footer *ret_disk)
{
	struct vhd_disk_footer disk = {
		.features = be32_make(VHD_FEATURES),
		.version = be32_make(VHD_VERSION),
		.header_offset = be64_make(footer->type == VHD_FIXED ? VHD_NO_OFFSET : footer->header_offset),
		.timestamp = be32_make(unix_time - VHD_EPOCH_UNIX),
		.creator_version = be32_make(VHD_VERSION),
		.original_bytes = be64_make(footer->size_bytes),
		.current_bytes = be64_make(footer->size_bytes),
		.type = be32_make(footer->type),
		.id = footer->id,
	};

	memcpy(disk.cookie, VHD_COOKIE, sizeof disk.cookie);
	memcpy(disk.creator, footer->creator, sizeof disk.creator);
	memcpy(disk.creator_os, "Wi2k", sizeof disk.creator_os);
	set_geometry(footer->size_bytes, &disk);
	disk.checksum = be32_make(checksum(&disk, sizeof disk, &disk.checksum));
	*ret_disk = disk;
}

void vhd_header_encode(const struct vhd_header *header, struct vhd_disk_header *ret_disk)
{
	struct vhd_disk_header disk = {
		.data_offset = be64_make(VHD_NO_OFFSET),
		.bat_offset = be64_make(header->bat_offset),
		.version = be32_make(VHD_VERSION),
		.bat_entries = be32_make(header->bat_entries),
		.block_bytes = be32_make(header->block_bytes),
	};

	memcpy(disk.cookie, VHD_HEADER_COOKIE, sizeof disk.cookie);
	disk.checksum = be32_make(checksum(&disk, sizeof disk, &disk.checksum));
	*ret_disk = disk;
}
