/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Three entries of fixed names: the folder, the file, the trailer.  Only images
 * made here are read again, byte for byte of that form; all else is refused.
 */
#include "iso/config-image.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "p2v/base/mem.h"

#define HEADER_BYTES 110u /* six of magic, and 13 fields of eight digits */
#define FILE_SIZE_OFFSET (6u + 6 * 8) /* the field c_filesize */

static const char folder_name[] = "etc";
static const char file_name[] = "etc/p2v.conf";
static const char trailer_name[] = "TRAILER!!!";

static size_t align(size_t offset)
{
	return (offset + 3) & ~(size_t)3;
}

/* Where an entry's content begins whose header is at that offset. */
static size_t behind_header(size_t offset, const char *name)
{
	return align(offset + HEADER_BYTES + strlen(name) + 1);
}

/* The date is that of nothing: it says as much as any. */
static size_t put_header(unsigned char *image, size_t offset, const char *name, unsigned mode, size_t bytes)
{
	unsigned file_bytes = bytes, name_bytes = strlen(name) + 1;
	char header[HEADER_BYTES + 1];

	snprintf(header, sizeof header, "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", 0u,
		 mode, 0u, 0u, 1u, 0u, file_bytes, 0u, 0u, 0u, 0u, name_bytes, 0u);
	memcpy(image + offset, header, HEADER_BYTES);
	memcpy(image + offset + HEADER_BYTES, name, strlen(name) + 1);
	return behind_header(offset, name);
}

static size_t text_offset(void)
{
	return behind_header(behind_header(0, folder_name), file_name);
}

struct err *config_image_make(const char *text, unsigned char ret_image[CONFIG_IMAGE_BYTES])
{
	size_t bytes = strlen(text);
	size_t most = CONFIG_IMAGE_BYTES - behind_header(text_offset(), trailer_name) - 4;
	size_t offset;

	if (bytes > most)
		return err_advise(
			err_refused("the configuration has %zu bytes, %zu are the most", bytes, most),
			"say less in it");
	memset(ret_image, 0, CONFIG_IMAGE_BYTES);
	offset = put_header(ret_image, 0, folder_name, S_IFDIR | 0755, 0);
	/* A key may be in it. */
	offset = put_header(ret_image, offset, file_name, S_IFREG | 0600, bytes);
	memcpy(ret_image + offset, text, bytes);
	put_header(ret_image, align(offset + bytes), trailer_name, 0, 0);
	return NULL;
}

static bool parse_size(const unsigned char *digits, size_t *ret_size)
{
	size_t size = 0;

	for (int i = 0; i < 8; i++) {
		unsigned char c = digits[i];

		if (c >= '0' && c <= '9')
			size = size << 4 | (c - '0');
		else if (c >= 'A' && c <= 'F')
			size = size << 4 | (c - 'A' + 10);
		else
			return false;
	}
	*ret_size = size;
	return true;
}

struct err *config_image_read(const unsigned char image[CONFIG_IMAGE_BYTES], char **ret_text)
{
	CLEANUP_FREE unsigned char *again = xmalloc(CONFIG_IMAGE_BYTES);
	CLEANUP_FREE char *text = NULL;
	struct err *err = NULL;
	size_t bytes;

	if (!parse_size(image + behind_header(0, folder_name) + FILE_SIZE_OFFSET, &bytes) ||
	    bytes > CONFIG_IMAGE_BYTES - text_offset())
		return err_refused("there is no configuration image");
	text = xstrndup((const char *)image + text_offset(), bytes);
	err = config_image_make(text, again);
	if (err || memcmp(again, image, CONFIG_IMAGE_BYTES)) {
		err_free(err);
		return err_refused("there is no configuration image");
	}
	*ret_text = take_ptr(text);
	return NULL;
}
