/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/cmd/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/le.h"
#include "p2v/base/mem.h"
#include "p2v/cmd/cmd.h"

static bool is_foreign(enum image_format format)
{
	return format != IMAGE_RAW && format != IMAGE_VHD && format != IMAGE_VHDX;
}

/* UEFI 2.10, 5.3.2: the header of a GPT, in the second sector, whatever its size. */
struct gpt_header {
	char signature[8];
	uint8_t other[40];
	le64 last_usable_lba;
};
_Static_assert(sizeof(struct gpt_header) == 56, "UEFI 2.10, table 5-5");

static struct err *read_gpt(struct blk *blk, uint32_t sector_bytes, struct gpt_header *ret_header,
			    bool *ret_found)
{
	*ret_found = false;
	if (blk->size_bytes < 2ull * sector_bytes)
		return NULL;
	TRY(blk_pread(blk, ret_header, sizeof *ret_header, sector_bytes));
	*ret_found = !memcmp(ret_header->signature, "EFI PART", sizeof ret_header->signature);
	return NULL;
}

/* Linux ignores a GPT that is for a larger disk, and then no partition is seen. */
static struct err *check_whole(const struct source *source, const struct gpt_header *header)
{
	uint64_t sectors = source->blk->size_bytes / source->sector_bytes;
	uint64_t last = le64_get(header->last_usable_lba);
	char has[FORMAT_BYTES], wants[FORMAT_BYTES];

	if (last < sectors)
		return NULL;
	return err_advise(
		err_refused("%s: is cut off: it has %s, and its partition table (GPT) is for at least %s",
			    source->path, format_size(source->blk->size_bytes, has),
			    format_size(last > UINT64_MAX / source->sector_bytes
						? UINT64_MAX
						: last * source->sector_bytes,
					wants)),
		"copy the disk again, all of it; of disks in a RAID set, copy the set");
}

/* The primary entries of an MBR: UEFI 2.10, 5.2.1. */
struct mbr_entry {
	uint8_t flags, chs_start[3], type, chs_end[3];
	le32 start_lba, size_lba;
};
_Static_assert(sizeof(struct mbr_entry) == 16, "UEFI 2.10, table 5-2");

/* Some disks hide their end; so this is told, and what is there is converted. */
static struct err *warn_if_cut(const struct source *source, const struct log *log)
{
	struct {
		struct mbr_entry entries[4];
		uint8_t signature[2];
	} mbr;
	uint64_t sectors = source->blk->size_bytes / source->sector_bytes;

	if (source->blk->size_bytes < 512)
		return NULL;
	TRY(blk_pread(source->blk, &mbr, sizeof mbr, 446));
	if (mbr.signature[0] != 0x55 || mbr.signature[1] != 0xaa)
		return NULL;
	for (unsigned i = 0; i < 4; i++) {
		const struct mbr_entry *entry = &mbr.entries[i];
		uint64_t end = (uint64_t)le32_get(entry->start_lba) + le32_get(entry->size_lba);
		char missing[FORMAT_BYTES];

		/* A boot sector of a file system has other things there. */
		if (entry->flags & 0x7f)
			return NULL;
		if (entry->type && entry->type != 0xee && end > sectors)
			log_warning(
				log,
				"%s: partition %u ends %s behind the end of the disk: if the image was cut "
				"off, copy the disk again",
				source->path, i + 1,
				format_size((end - sectors) * source->sector_bytes, missing));
	}
	return NULL;
}

/*
 * Most kinds of image do not tell the sectors' size, and some adapters for disks hide it; a partition table
 * made for sectors of 4096 bytes shows it.  A table also tells whether the end of the disk is missing.
 */
static struct err *look_at_table(struct source *source, const struct log *log)
{
	struct gpt_header header;
	bool found;

	source->sector_bytes = source->blk->logical_sector_bytes;
	TRY(read_gpt(source->blk, source->sector_bytes, &header, &found));
	if (!found && source->sector_bytes == 512) {
		TRY(read_gpt(source->blk, 4096, &header, &found));
		if (found) {
			log_info(log, "%s: its partition table is for sectors of 4096 bytes", source->path);
			source->sector_bytes = 4096;
		}
	}
	return found ? check_whole(source, &header) : warn_if_cut(source, log);
}

static struct err *open_path(const char *path, const char *scratch_dir, const struct log *log,
			     struct source *source)
{
	source->path = realpath(path, NULL);
	if (!source->path)
		return err_advise(err_as(err_from_errno(errno, "%s", path), ERR_REFUSED),
				  "name a disk image or a block device that exists and can be read");
	TRY(image_probe(source->path, &source->format));
	if (!is_foreign(source->format)) {
		source->uri = xstrdup(source->path);
	} else {
		TRY(serve_foreign(source->path, image_format_name(source->format), scratch_dir, log,
				  &source->foreign));
		source->uri = xstrdup(server_uri(source->foreign));
	}
	TRY(image_open(source->uri, log, NULL, &source->blk));
	if (!source->blk->size_bytes)
		return err_advise(err_refused("%s: is empty", path), "name the image of a whole disk");
	return look_at_table(source, log);
}

struct err *source_open(const char *path, const char *scratch_dir, const struct log *log,
			struct source *ret_source)
{
	struct source source = {0};
	struct err *err = open_path(path, scratch_dir, log, &source);

	if (err)
		source_close(&source);
	else
		*ret_source = source;
	return err;
}

struct err *source_find_data(struct source *source)
{
	return blk_data_extents(source->blk, source->blk->size_bytes, 0, &source->data);
}

void source_close(struct source *source)
{
	err_free(blk_close(source->blk));
	err_free(server_stop(source->foreign));
	extents_deinit(&source->data);
	free(source->path);
	free(source->uri);
	*source = (struct source){0};
}
