// SPDX-License-Identifier: GPL-3.0-or-later
/*
 * Making and opening VHD files, and the fixed type, whose content lies in the
 * file as it is; vhd-dynamic.c has the other.
 *
 * New files say "win " as their creator: QEMU, and what is built on it, trusts
 * the footer's size only where it knows the creator, and else takes the product
 * of the geometry, which is smaller.
 */
#include "vhdx/vhd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "p2v/base/mem.h"
#include "vhdx/vhd-device.h"

#define DAMAGE_ADVICE "copy the file again from where it came, or restore it"

static struct vhd *to_vhd(struct blk *blk)
{
	return (struct vhd *)blk;
}

const char *vhd_type_name(enum vhd_type type)
{
	return type == VHD_FIXED ? "fixed" : type == VHD_DYNAMIC ? "dynamic" : "differencing";
}

/*
 * The fixed type.
 */

static struct err *fixed_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	return blk_pread(to_vhd(blk)->file, buf, len_bytes, offset);
}

static struct err *fixed_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
				unsigned flags)
{
	return blk_pwrite(to_vhd(blk)->file, buf, len_bytes, offset, flags);
}

static struct err *fixed_zero(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	/* The space stays: that is what "fixed" means. */
	return blk_zero(to_vhd(blk)->file, len_bytes, offset, flags & ~BLK_MAY_TRIM);
}

static struct err *fixed_extents(struct blk *blk, uint64_t len_bytes, uint64_t offset, blk_extent_fn fn,
				 void *arg)
{
	return blk_extents(to_vhd(blk)->file, len_bytes, offset, fn, arg);
}

static struct err *fixed_flush(struct blk *blk)
{
	return blk_flush(to_vhd(blk)->file);
}

static struct err *fixed_close(struct blk *blk)
{
	return vhd_free(to_vhd(blk));
}

const struct blk_ops vhd_fixed_ops = {
	.kind = "vhd",
	.pread = fixed_pread,
	.pwrite = fixed_pwrite,
	.zero = fixed_zero,
	.extents = fixed_extents,
	.flush = fixed_flush,
	.close = fixed_close,
};

/*
 * Both types.
 */

static struct err *vhd_new(struct blk *file, const struct log *log, struct vhd **ret_vhd)
{
	struct vhd *vhd = calloc(1, sizeof *vhd);
	pthread_rwlockattr_t attributes;

	if (!vhd)
		return err_nomem();
	/* Allocating threads must not starve behind readers. */
	pthread_rwlockattr_init(&attributes);
	pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&vhd->lock, &attributes);
	pthread_rwlockattr_destroy(&attributes);
	vhd->file = file;
	vhd->log = log;
	vhd->blk = (struct blk){
		.name = xstrdup(file->name),
		.logical_sector_bytes = VHD_SECTOR_BYTES,
		.physical_sector_bytes = VHD_SECTOR_BYTES,
		.preferred_bytes = 1 << 20,
		.flags = file->flags & (BLK_READ_ONLY | BLK_FAST_ZERO),
	};
	*ret_vhd = vhd;
	return NULL;
}

struct err *vhd_free(struct vhd *vhd)
{
	struct err *err = blk_close(vhd->file);

	pthread_rwlock_destroy(&vhd->lock);
	free(vhd->bat);
	free(vhd->bitmap_states);
	free(vhd->blk.name);
	free(vhd);
	return err;
}

/* The opposite of vhd_new(): the file stays the caller's. */
static struct err *vhd_abandon(struct vhd *vhd, struct err *err)
{
	vhd->file = NULL;
	return err_first(err, vhd_free(vhd));
}

static struct err *damaged(const struct blk *file, const char *what, const char *problem)
{
	return err_advise(err_refused("%s: %s has %s", file->name, what, problem), DAMAGE_ADVICE);
}

/* Reads a footer that starts at offset and may lack its last byte. */
static struct err *read_footer(struct blk *file, uint64_t offset, struct vhd_disk_footer *ret_disk)
{
	uint64_t left = file->size_bytes - offset;

	memset(ret_disk, 0, sizeof *ret_disk);
	return blk_pread(file, ret_disk, left < sizeof *ret_disk ? left : sizeof *ret_disk, offset);
}

/*
 * The footer is at the end, where an old one may be a byte shorter, and dynamic
 * files have a copy at the start ("Hard Disk Footer Format").
 */
static struct err *find_footer(struct vhd *vhd)
{
	struct blk *file = vhd->file;
	const uint64_t end = file->size_bytes;
	const uint64_t offsets[] = {end - sizeof vhd->disk_footer, end - VHD_SHORT_FOOTER_BYTES, 0};
	const char *problem = "no signature";

	if (end < sizeof vhd->disk_footer)
		return damaged(file, "the file", "no room for a footer");
	for (size_t i = 0; i < 3; i++) {
		const char *found;

		TRY(read_footer(file, offsets[i], &vhd->disk_footer));
		found = vhd_footer_decode(&vhd->disk_footer, &vhd->footer);
		/* What starts like a footer at 0 may be the disk of a fixed file. */
		if (!found && !offsets[i] && vhd->footer.type == VHD_FIXED)
			found = "no signature";
		if (!found && !offsets[i])
			log_warning(vhd->log, "%s: the footer has %s; its copy at the start is used",
				    file->name, problem);
		if (!found)
			return NULL;
		if (vhd_is_footer(&vhd->disk_footer))
			problem = found;
	}
	return damaged(file, "the footer", problem);
}

static struct err *refuse_differencing(const struct blk *blk)
{
	return err_advise(err_refused("%s: is a differencing VHD, whose parent holds the rest", blk->name),
			  "merge it into its parent (Hyper-V: Merge-VHD), or name a VHD that stands alone");
}

static struct err *inspect_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	(void)buf;
	(void)len_bytes;
	(void)offset;
	return refuse_differencing(blk);
}

static struct err *load(struct vhd *vhd, unsigned flags)
{
	/* Without extents of its own: nothing is to be called a hole that the parent may fill. */
	static const struct blk_ops inspect_ops = {
		.kind = "vhd", .pread = inspect_pread, .close = fixed_close};

	TRY(find_footer(vhd));
	vhd->blk.size_bytes = vhd->footer.size_bytes;
	switch (vhd->footer.type) {
	case VHD_FIXED:
		vhd->blk.ops = &vhd_fixed_ops;
		if (vhd->footer.size_bytes <= vhd->file->size_bytes - VHD_SHORT_FOOTER_BYTES)
			return NULL;
		return err_advise(err_refused("%s: the file holds %llu bytes of a disk of %llu",
					      vhd->file->name, (unsigned long long)vhd->file->size_bytes,
					      (unsigned long long)vhd->footer.size_bytes),
				  DAMAGE_ADVICE);
	case VHD_DYNAMIC:
		vhd->blk.ops = &vhd_dynamic_ops;
		return vhd_dynamic_load(vhd);
	default:
		if (!(flags & VHD_OPEN_INSPECT))
			return refuse_differencing(&vhd->blk);
		vhd->blk.ops = &inspect_ops;
		vhd->blk.flags |= BLK_READ_ONLY;
		return vhd_dynamic_load(vhd);
	}
}

struct err *vhd_open_on(struct blk *file, unsigned flags, const struct log *log, struct blk **ret_blk)
{
	struct vhd *vhd;
	struct err *err;

	TRY(vhd_new(file, log, &vhd));
	if (!(flags & VHD_OPEN_WRITE))
		vhd->blk.flags |= BLK_READ_ONLY;
	err = load(vhd, flags);
	if (err)
		return vhd_abandon(vhd, err);
	*ret_blk = &vhd->blk;
	return NULL;
}

struct err *vhd_open(const char *path, unsigned flags, const struct log *log, struct blk **ret_blk)
{
	CLEANUP_BLK struct blk *file = NULL;

	TRY(blk_file_open(path, BLK_FILE_DIRECT | (flags & VHD_OPEN_WRITE ? BLK_FILE_WRITE : 0), 0, &file));
	TRY(vhd_open_on(file, flags, log, ret_blk));
	file = NULL;
	return NULL;
}

static struct err *check_options(const struct blk *file, const struct vhd_create_options *options,
				 uint32_t block_bytes)
{
	if (!options->size_bytes || options->size_bytes % VHD_SECTOR_BYTES)
		return err_refused("%s: a VHD cannot have %llu bytes: its size is a multiple of 512",
				   file->name, (unsigned long long)options->size_bytes);
	if (options->size_bytes > VHD_MAX_DISK_BYTES)
		return err_advise(err_refused("%s: %llu bytes are more than the 2040 GiB that a VHD can have",
					      file->name, (unsigned long long)options->size_bytes),
				  "make a VHDX instead");
	if (block_bytes < VHD_MIN_BLOCK_BYTES || block_bytes > VHD_MAX_BLOCK_BYTES ||
	    block_bytes & (block_bytes - 1))
		return err_refused("%s: %u is no block size of a VHD: it is a power of two from 512 KiB to "
				   "256 MiB",
				   file->name, block_bytes);
	return NULL;
}

/* All of the disk is given its space, then the footer follows. */
static struct err *format_fixed(struct vhd *vhd)
{
	uint64_t size_bytes = vhd->footer.size_bytes;

	vhd->blk.ops = &vhd_fixed_ops;
	TRY(blk_resize(vhd->file, size_bytes + sizeof vhd->disk_footer));
	TRY(blk_zero(vhd->file, size_bytes, 0, 0));
	return blk_pwrite(vhd->file, &vhd->disk_footer, sizeof vhd->disk_footer, size_bytes, 0);
}

static struct err *format(struct vhd *vhd, const struct vhd_create_options *options, uint32_t block_bytes)
{
	vhd->blk.size_bytes = options->size_bytes;
	vhd->footer = (struct vhd_footer){
		.type = options->flags & VHD_CREATE_FIXED ? VHD_FIXED : VHD_DYNAMIC,
		.creator = "win ",
		.header_offset = sizeof vhd->disk_footer,
		.size_bytes = options->size_bytes,
	};
	TRY(guid_make(&vhd->footer.id));
	vhd_footer_encode(&vhd->footer, time(NULL), &vhd->disk_footer);
	if (vhd->footer.type == VHD_FIXED)
		return format_fixed(vhd);
	vhd->blk.ops = &vhd_dynamic_ops;
	return vhd_dynamic_format(vhd, block_bytes);
}

struct err *vhd_create_on(struct blk *file, const struct vhd_create_options *options, const struct log *log,
			  struct blk **ret_blk)
{
	uint32_t block_bytes = options->block_bytes ? options->block_bytes : VHD_DEFAULT_BLOCK_BYTES;
	struct vhd *vhd;
	struct err *err;

	TRY(check_options(file, options, block_bytes));
	TRY(vhd_new(file, log, &vhd));
	err = format(vhd, options, block_bytes);
	if (err)
		return vhd_abandon(vhd, err);
	*ret_blk = &vhd->blk;
	return NULL;
}

struct err *vhd_create(const char *path, const struct vhd_create_options *options, const struct log *log,
		       struct blk **ret_blk)
{
	struct blk *file;
	struct err *err;

	TRY(blk_file_open(path, BLK_FILE_CREATE | BLK_FILE_DIRECT, 0, &file));
	err = vhd_create_on(file, options, log, ret_blk);
	if (err) {
		err = err_first(err, blk_close(file));
		unlink(path);
	}
	return err;
}

void vhd_get_info(struct blk *blk, struct vhd_info *ret_info)
{
	struct vhd *vhd = to_vhd(blk);
	struct vhd_info info = {
		.type = vhd->footer.type,
		.size_bytes = blk->size_bytes,
		.block_bytes = vhd->header.block_bytes,
		.block_count = vhd->block_count,
		.id = vhd->footer.id,
	};

	memcpy(info.creator, vhd->footer.creator, sizeof info.creator);
	pthread_rwlock_rdlock(&vhd->lock);
	info.file_bytes = vhd->file->size_bytes;
	for (uint32_t i = 0; i < vhd->block_count; i++)
		info.allocated_blocks += vhd->bat[i] != VHD_BAT_UNUSED;
	pthread_rwlock_unlock(&vhd->lock);
	*ret_info = info;
}
