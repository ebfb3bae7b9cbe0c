/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every number from the image is checked before use: a folder is read in blocks
 * of one sector, within which a record must lie (6.8.1.1), and folders are no
 * larger than the image.
 *
 * Left out: Rock Ridge and Joliet names, files in several pieces, interleaving.
 */
#include "iso/iso9660.h"

#include <string.h>

#include "p2v/base/le.h"

#define SECTOR_BYTES 2048u
#define DESCRIPTOR_SECTOR 16u /* 6.2.1: where volume descriptors begin; the primary one is first here */

/* 8.4, as much as is used. */
struct primary_descriptor {
	uint8_t type; /* 1 */
	char identifier[5]; /* "CD001" */
	uint8_t unused[150];
	uint8_t root[34]; /* at 156: a directory record */
	uint8_t unused2[384];
	char application[ISO9660_APPLICATION_BYTES]; /* at 574 */
	uint8_t unused3[1346];
};
_Static_assert(sizeof(struct primary_descriptor) == SECTOR_BYTES, "ECMA-119 8.4");

/* 9.1; numbers are stored in both byte orders, here the first. */
struct record {
	uint8_t length; /* of the record; 0: none up to the end of the sector */
	uint8_t unused;
	le32 extent; /* in sectors */
	uint8_t extent_be[4];
	le32 bytes;
	uint8_t unused2[11];
	uint8_t flags;
	uint8_t unused3[6];
	uint8_t name_length;
	char name[];
} __attribute__((packed));
_Static_assert(sizeof(struct record) == 33, "ECMA-119 9.1");

#define FLAG_DIRECTORY 2u

struct place {
	uint64_t offset, bytes;
	bool is_folder;
};

static struct err *take_place(const struct blk *blk, const void *data, struct place *ret_place)
{
	const struct record *record = data;
	struct place place = {
		.offset = (uint64_t)le32_get(record->extent) * SECTOR_BYTES,
		.bytes = le32_get(record->bytes),
		.is_folder = record->flags & FLAG_DIRECTORY,
	};

	if (place.offset > blk->size_bytes || place.bytes > blk->size_bytes - place.offset)
		return err_refused("a file lies behind the image's end, at byte %llu",
				   (unsigned long long)place.offset);
	*ret_place = place;
	return NULL;
}

static struct err *read_descriptor(struct blk *blk, struct primary_descriptor *ret_descriptor)
{
	if (blk->size_bytes < (DESCRIPTOR_SECTOR + 1) * SECTOR_BYTES)
		return err_refused("is too small for an ISO 9660 image");
	TRY(blk_pread(blk, ret_descriptor, sizeof *ret_descriptor, DESCRIPTOR_SECTOR * SECTOR_BYTES));
	if (ret_descriptor->type != 1 || memcmp(ret_descriptor->identifier, "CD001", 5))
		return err_refused("is no ISO 9660 image");
	return NULL;
}

struct err *iso9660_read_application(struct blk *blk, char ret_text[ISO9660_APPLICATION_BYTES + 1])
{
	struct primary_descriptor descriptor;
	size_t length = ISO9660_APPLICATION_BYTES;

	TRY(read_descriptor(blk, &descriptor));
	while (length && descriptor.application[length - 1] == ' ')
		length--;
	memcpy(ret_text, descriptor.application, length);
	ret_text[length] = '\0';
	return NULL;
}

/* Looks through one sector of a folder. */
static struct err *search_sector(const struct blk *blk, const uint8_t sector[SECTOR_BYTES], const char *name,
				 size_t name_length, struct place *ret_place, bool *ret_found)
{
	size_t offset = 0;

	while (offset + sizeof(struct record) <= SECTOR_BYTES && sector[offset]) {
		const struct record *record = (const void *)(sector + offset);

		if (record->length < sizeof *record || record->length > SECTOR_BYTES - offset ||
		    record->name_length > record->length - sizeof *record)
			return err_refused("a directory record is damaged");
		if (record->name_length == name_length && !memcmp(record->name, name, name_length)) {
			*ret_found = true;
			return take_place(blk, record, ret_place);
		}
		offset += record->length;
	}
	return NULL;
}

static struct err *search_folder(struct blk *blk, const struct place *folder, const char *name,
				 size_t name_length, struct place *ret_place)
{
	uint8_t sector[SECTOR_BYTES];
	bool is_found = false;

	for (uint64_t done = 0; done + SECTOR_BYTES <= folder->bytes && !is_found; done += SECTOR_BYTES) {
		TRY(blk_pread(blk, sector, sizeof sector, folder->offset + done));
		TRY(search_sector(blk, sector, name, name_length, ret_place, &is_found));
	}
	return is_found ? NULL : err_refused("there is no %.*s in it", (int)name_length, name);
}

struct err *iso9660_find(struct blk *blk, const char *path, uint64_t *ret_offset, uint64_t *ret_bytes)
{
	struct primary_descriptor descriptor;
	struct place place;

	TRY(read_descriptor(blk, &descriptor));
	TRY(take_place(blk, descriptor.root, &place));
	while (*path) {
		size_t length = strcspn(path, "/");
		struct place folder = place;

		if (!folder.is_folder)
			return err_refused("%.*s is in no folder", (int)length, path);
		TRY(search_folder(blk, &folder, path, length, &place));
		path += length;
		path += *path == '/';
	}
	if (place.is_folder)
		return err_refused("it is a folder");
	*ret_offset = place.offset;
	*ret_bytes = place.bytes;
	return NULL;
}
