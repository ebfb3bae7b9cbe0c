/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "p2v/cmd/source.h"

#include <errno.h>
#include <stdlib.h>

#include "p2v/base/mem.h"

static bool is_foreign(enum image_format format)
{
	return format != IMAGE_RAW && format != IMAGE_VHD && format != IMAGE_VHDX;
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
	return NULL;
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
