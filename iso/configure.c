/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The configuration is a file of fixed size on the medium, and nothing on it
 * (checksums, signatures) covers that file: so it is overwritten where it lies.
 * The same goes for a config.img by itself, as network boot has it.
 */
#include "iso/configure.h"

#include <string.h>

#include "iso/build-medium.h"
#include "iso/config-image.h"
#include "iso/iso9660.h"
#include "p2v/base/mem.h"

#define CONFIG_PATH "BOOT/CONFIG.IMG;1"

static struct err *find(struct blk *medium, uint64_t *ret_offset)
{
	char application[ISO9660_APPLICATION_BYTES + 1];
	uint64_t offset, bytes;

	/* config.img itself */
	if (medium->size_bytes == CONFIG_IMAGE_BYTES) {
		*ret_offset = 0;
		return NULL;
	}
	TRY(iso9660_read_application(medium, application));
	if (strcmp(application, MEDIUM_APPLICATION_ID))
		return err_refused("is no boot medium of p2v");
	TRY(iso9660_find(medium, CONFIG_PATH, &offset, &bytes));
	if (bytes != CONFIG_IMAGE_BYTES)
		return err_refused("its configuration has %llu bytes, not %u", (unsigned long long)bytes,
				   CONFIG_IMAGE_BYTES);
	*ret_offset = offset;
	return NULL;
}

/* Also sees that there is a configuration to be replaced. */
static struct err *read_at(struct blk *medium, uint64_t offset, char **ret_text)
{
	CLEANUP_FREE unsigned char *image = xmalloc(CONFIG_IMAGE_BYTES);

	TRY(blk_pread(medium, image, CONFIG_IMAGE_BYTES, offset));
	return config_image_read(image, ret_text);
}

struct err *configure_read(struct blk *medium, char **ret_text)
{
	uint64_t offset;

	TRY(find(medium, &offset));
	return read_at(medium, offset, ret_text);
}

struct err *configure_write(struct blk *medium, const char *text)
{
	CLEANUP_FREE unsigned char *image = xmalloc(CONFIG_IMAGE_BYTES);
	CLEANUP_FREE char *old = NULL;
	uint64_t offset;

	TRY(find(medium, &offset));
	TRY(read_at(medium, offset, &old));
	TRY(config_image_make(text, image));
	TRY(blk_pwrite(medium, image, CONFIG_IMAGE_BYTES, offset, 0));
	return blk_flush(medium);
}
