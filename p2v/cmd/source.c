/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/cmd/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "p2v/base/mem.h"

static bool is_foreign(enum image_format format)
{
	return format != IMAGE_RAW && format != IMAGE_VHD && format != IMAGE_VHDX;
}

/* UEFI 2.10, 5.3.2: the header of a GPT is in the second sector, whatever its size. */
static struct err *has_gpt(struct blk *blk, uint32_t sector_bytes, bool *ret_has)
{
	char signature[8];

	*ret_has = false;
	if (blk->size_bytes < 2ull * sector_bytes)
		return NULL;
	TRY(blk_pread(blk, signature, sizeof signature, sector_bytes));
	*ret_has = !memcmp(signature, "EFI PART", sizeof signature);
	return NULL;
}

/*
 * Most kinds of image do not tell the sectors' size, and some adapters for disks hide it; a partition table
 * made for sectors of 4096 bytes shows it.
 */
static struct err *find_sector_bytes(struct source *source, const struct log *log)
{
	bool small = true, large = false;

	source->sector_bytes = source->blk->logical_sector_bytes;
	if (source->sector_bytes != 512)
		return NULL;
	TRY(has_gpt(source->blk, 512, &small));
	if (!small)
		TRY(has_gpt(source->blk, 4096, &large));
	if (large) {
		log_info(log, "%s: its partition table is for sectors of 4096 bytes", source->path);
		source->sector_bytes = 4096;
	}
	return NULL;
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
	return find_sector_bytes(source, log);
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
