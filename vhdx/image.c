// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Disk images by what they contain: VHDX and VHD by our own readers, everything
 * that looks like none of the known formats as a raw disk.
 *
 * A block device is raw whatever it holds: what is on a disk was put there by the
 * machine that it belongs to, and must not decide how p2v reads it.
 */
#include "vhdx/image.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "p2v/base/strv.h"
#include "vhdx/vhd.h"
#include "vhdx/vhdx.h"

#define HEAD_BYTES 512u

const char *image_format_name(enum image_format format)
{
	static const char *const names[] = {
		[IMAGE_RAW] = "raw",	 [IMAGE_VHD] = "vhd",	[IMAGE_VHDX] = "vhdx",
		[IMAGE_QCOW2] = "qcow2", [IMAGE_VMDK] = "vmdk", [IMAGE_VDI] = "vdi"};

	return names[format];
}

bool image_is_uri(const char *path_or_uri)
{
	return (str_starts_with(path_or_uri, "nbd") && strstr(path_or_uri, "://")) ||
	       str_starts_with(path_or_uri, "nbd:");
}

/* Bytes at the start of a file, and what it then is. */
struct magic {
	unsigned offset;
	const char *bytes;
	unsigned len_bytes;
	enum image_format format;
	const char *refusal; /* not a disk that is read here; the file "is …" */
};

#define MAGIC(offset, text, format, refusal)                            \
	{                                                               \
		offset, text, sizeof(text) - 1, IMAGE_##format, refusal \
	}
#define COMPRESSED "compressed"
#define UNREADABLE "an image of a kind that p2v does not read"

static const struct magic magics[] = {
	MAGIC(0, "vhdxfile", VHDX, NULL),
	MAGIC(0, "conectix", VHD, NULL), /* the copy of a dynamic file's footer */
	MAGIC(0, "QFI\xfb\0\0\0\1", QCOW2, UNREADABLE),
	MAGIC(0, "QFI\xfb", QCOW2, NULL),
	MAGIC(0, "KDMV", VMDK, NULL), /* sparse, stream-optimised too */
	MAGIC(0, "COWD", VMDK, NULL), /* sparse, of old ESX servers */
	MAGIC(0, "# Disk DescriptorFile", VMDK, NULL),
	MAGIC(64, "\x7f\x10\xda\xbe", VDI, NULL),
	MAGIC(0, "QED\0", RAW, UNREADABLE),
	MAGIC(0, "WithoutFreeSpace", RAW, UNREADABLE), /* Parallels */
	MAGIC(0, "WithouFreSpacExt", RAW, UNREADABLE),
	MAGIC(0, "EVF\x09\x0d\x0a\xff\0", RAW, UNREADABLE), /* EnCase */
	MAGIC(0, "\x1f\x8b\x08", RAW, COMPRESSED), /* gzip */
	MAGIC(0, "\3757zXZ\0", RAW, COMPRESSED),
	MAGIC(0, "\x28\xb5\x2f\xfd", RAW, COMPRESSED), /* zstd */
	MAGIC(0, "PK\3\4", RAW, COMPRESSED),
	MAGIC(0, "7z\xbc\xaf\x27\x1c", RAW, COMPRESSED),
};

static struct err *refuse_kind(const char *path, const char *refusal)
{
	struct err *err = err_refused("%s: is %s", path, refusal);

	return !strcmp(refusal, COMPRESSED) ? err_advise(err, "unpack it first")
					    : err_advise(err, "convert it with qemu-img first");
}

/* A fixed VHD has nothing but a footer, at its end; old ones lack its last byte. */
static struct err *has_vhd_footer(struct blk *file, bool *ret_has)
{
	static const unsigned footer_bytes[] = {512, 511};
	char cookie[8];

	*ret_has = false;
	for (size_t i = 0; i < 2 && !*ret_has; i++) {
		if (file->size_bytes < footer_bytes[i])
			continue;
		TRY(blk_pread(file, cookie, sizeof cookie, file->size_bytes - footer_bytes[i]));
		*ret_has = !memcmp(cookie, "conectix", sizeof cookie);
	}
	return NULL;
}

static struct err *probe_file(struct blk *file, enum image_format *ret_format)
{
	char head[HEAD_BYTES] = {0};
	bool is_vhd;

	if (!file->size_bytes)
		return err_advise(err_refused("%s: is empty", file->name),
				  "name a disk image or a block device");
	TRY(blk_pread(file, head, file->size_bytes < sizeof head ? file->size_bytes : sizeof head, 0));
	for (size_t i = 0; i < sizeof magics / sizeof *magics; i++) {
		const struct magic *m = &magics[i];

		if (memcmp(head + m->offset, m->bytes, m->len_bytes))
			continue;
		if (m->refusal)
			return refuse_kind(file->name, m->refusal);
		*ret_format = m->format;
		return NULL;
	}
	TRY(has_vhd_footer(file, &is_vhd));
	*ret_format = is_vhd ? IMAGE_VHD : IMAGE_RAW;
	return NULL;
}

/* Refuses what is neither a file nor a block device before it is opened: a pipe would make us wait. */
static struct err *check_kind(const char *path, bool *ret_is_device)
{
	struct stat st;

	if (stat(path, &st)) {
		struct err *err = err_as(err_from_errno(errno, "%s", path), ERR_REFUSED);

		return err_advise(err, err_errno(err) == ENOENT
					       ? "check the name"
					       : "check the permissions of the folders on the way");
	}
	if (S_ISDIR(st.st_mode))
		return err_advise(err_refused("%s: is a folder, not a disk", path),
				  "name a disk image or a block device");
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return err_advise(err_refused("%s: is neither a file nor a block device", path),
				  "name a disk image or a block device");
	*ret_is_device = S_ISBLK(st.st_mode);
	return NULL;
}

/* Opens a file or device as it is, and tells what it contains. */
static struct err *open_and_probe(const char *path, unsigned flags, enum image_format *ret_format,
				  struct blk **ret_file)
{
	CLEANUP_BLK struct blk *file = NULL;
	bool is_device = false;
	struct err *err;

	TRY(check_kind(path, &is_device));
	err = blk_file_open(path, BLK_FILE_DIRECT | (flags & IMAGE_OPEN_WRITE ? BLK_FILE_WRITE : 0), 0,
			    &file);
	if (err)
		return err_advise(err_as(err, ERR_REFUSED), "check its permissions, or run p2v as root");
	*ret_format = IMAGE_RAW;
	if (!is_device)
		TRY(probe_file(file, ret_format));
	*ret_file = take_ptr(file);
	return NULL;
}

struct err *image_probe(const char *path_or_uri, enum image_format *ret_format)
{
	CLEANUP_BLK struct blk *file = NULL;

	if (!image_is_uri(path_or_uri))
		return open_and_probe(path_or_uri, 0, ret_format, &file);
	*ret_format = IMAGE_RAW;
	return NULL;
}

/* The device that reads the format over the file, which then belongs to it. */
static struct err *open_format(struct blk *file, enum image_format format, unsigned flags,
			       const struct log *log, struct blk **ret_blk)
{
	unsigned vhdx_flags = (flags & IMAGE_OPEN_WRITE ? VHDX_OPEN_WRITE : 0) |
			      (flags & IMAGE_OPEN_INCOMPLETE ? VHDX_OPEN_INCOMPLETE : 0);

	switch (format) {
	case IMAGE_RAW:
		*ret_blk = file;
		return NULL;
	case IMAGE_VHD:
		return vhd_open_on(file, flags & IMAGE_OPEN_WRITE ? VHD_OPEN_WRITE : 0, log, ret_blk);
	case IMAGE_VHDX:
		return vhdx_open_on(file, vhdx_flags, log, ret_blk);
	default:
		return err_advise(
			err_refused("%s: is a %s image", file->name, image_format_name(format)),
			"convert it with qemu-img first, or give it to 'p2v convert', which reads it");
	}
}

struct err *image_open_with(const char *path_or_uri, unsigned flags, const struct log *log,
			    enum image_format *ret_format, struct blk **ret_blk)
{
	enum image_format format = IMAGE_RAW;
	CLEANUP_BLK struct blk *file = NULL;

	if (image_is_uri(path_or_uri)) {
		TRY(blk_nbd_open(path_or_uri, flags & IMAGE_OPEN_WRITE ? BLK_NBD_WRITE : 0, ret_blk));
	} else {
		TRY(open_and_probe(path_or_uri, flags, &format, &file));
		TRY(open_format(file, format, flags, log, ret_blk));
		file = NULL;
	}
	if (ret_format)
		*ret_format = format;
	return NULL;
}

struct err *image_open(const char *path_or_uri, const struct log *log, enum image_format *ret_format,
		       struct blk **ret_blk)
{
	return image_open_with(path_or_uri, 0, log, ret_format, ret_blk);
}

static struct err *create_format(const char *path, const struct image_create_options *options,
				 uint64_t size_bytes, const struct log *log, struct blk **ret_blk)
{
	switch (options->format) {
	case IMAGE_RAW:
		return blk_file_open(path, BLK_FILE_CREATE | BLK_FILE_DIRECT, options->size_bytes, ret_blk);
	case IMAGE_VHD:
		return vhd_create(path,
				  &(struct vhd_create_options){
					  .size_bytes = size_bytes,
					  .block_bytes = options->block_bytes,
					  .flags = options->fixed ? VHD_CREATE_FIXED : 0,
				  },
				  log, ret_blk);
	case IMAGE_VHDX:
		return vhdx_create(path,
				   &(struct vhdx_create_options){
					   .size_bytes = size_bytes,
					   .block_bytes = options->block_bytes,
					   .logical_sector_bytes = options->logical_sector_bytes,
					   .flags = options->fixed ? VHDX_FIXED : 0,
				   },
				   log, ret_blk);
	default:
		return err_refused("%s: p2v does not make %s images", path,
				   image_format_name(options->format));
	}
}

struct err *image_create(const char *path, const struct image_create_options *options, const struct log *log,
			 struct blk **ret_blk)
{
	uint32_t sector_bytes = options->logical_sector_bytes ? options->logical_sector_bytes : 512;
	struct blk *blk;

	if (options->size_bytes > INT64_MAX)
		return err_refused("%s: no image can have %llu bytes", path,
				   (unsigned long long)options->size_bytes);
	if (options->format == IMAGE_VHD && sector_bytes != 512)
		return err_advise(
			err_refused("%s: a VHD cannot have sectors of %u bytes", path, sector_bytes),
			"make a VHDX instead");
	TRY(create_format(path, options,
			  (options->size_bytes + sector_bytes - 1) & ~(uint64_t)(sector_bytes - 1), log,
			  &blk));
	/* Zeros that may not be holes take their space; a VHD has done so itself. */
	if (options->fixed && options->format != IMAGE_VHD) {
		struct err *err = blk_zero(blk, blk->size_bytes, 0, 0);

		if (err) {
			err = err_first(err, blk_close(blk));
			unlink(path);
			return err;
		}
	}
	*ret_blk = blk;
	return NULL;
}

struct err *image_finish(struct blk *image, enum image_format format)
{
	return format == IMAGE_VHDX ? vhdx_finish(image) : blk_flush(image);
}
