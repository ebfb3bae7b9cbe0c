/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A regular file or a block device.  With BLK_FILE_DIRECT the aligned part of
 * a large request goes around the page cache, with BLK_FILE_UNCACHED every read
 * of a device: see direct.h.  What goes into the cache and is not small is then
 * begun to be written at once, so that a flush does not find the disk idle and all
 * of it still to do.
 */
#include "p2v/base/blk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "p2v/base/clone.h"
#include "p2v/base/direct.h"
#include "p2v/base/mem.h"

#define ZERO_CHUNK_BYTES (1u << 20)
#define EARLY_BYTES (32u << 10) /* less is likely to be written again soon */

struct blk_file {
	struct blk blk;
	int fd;
	struct direct direct;
	bool is_device;
	bool is_uncached;
	bool writes_early;
};

static struct blk_file *to_file(struct blk *blk)
{
	return (struct blk_file *)blk;
}

static struct err *io_error(const struct blk *blk, const char *what, uint64_t offset)
{
	struct err *err =
		err_from_errno(errno, "%s: %s at offset %llu", blk->name, what, (unsigned long long)offset);

	if (err_errno(err) == ENOSPC || err_errno(err) == EDQUOT)
		return err_advise(err, "free some space there, or choose another folder");
	if (err_errno(err) == EIO)
		return err_advise(err, "the disk, or the way to it, is failing: 'dmesg' says more");
	return err;
}

static struct err *read_all(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	uint8_t *at = buf;

	while (len_bytes) {
		ssize_t got = pread(to_file(blk)->fd, at, len_bytes, offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return io_error(blk, "read", offset);
		if (!got)
			return err_advise(err_failed("%s: ends at offset %llu, while it is read", blk->name,
						     (unsigned long long)offset),
					  "something shortened it: make sure that nothing else writes there");
		at += got;
		offset += got;
		len_bytes -= got;
	}
	return NULL;
}

/* Only a hint.  An error of what it begins is left for the flush to find. */
static void begin_writing(const struct blk_file *file, size_t len_bytes, uint64_t offset)
{
	if (file->writes_early && len_bytes >= EARLY_BYTES)
		(void)sync_file_range(file->fd, offset, len_bytes, SYNC_FILE_RANGE_WRITE);
}

static struct err *write_all(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
			     unsigned flags)
{
	const uint8_t *at = buf;

	while (len_bytes) {
		struct iovec part = {(void *)at, len_bytes};
		ssize_t put = pwritev2(to_file(blk)->fd, &part, 1, offset, flags & BLK_FUA ? RWF_DSYNC : 0);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return io_error(blk, "write", offset);
		begin_writing(to_file(blk), put, offset);
		at += put;
		offset += put;
		len_bytes -= put;
	}
	return NULL;
}

static struct err *file_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset)
{
	struct blk_file *file = to_file(blk);
	struct direct_span span = direct_span(&file->direct, len_bytes, offset);
	uint64_t start = offset + span.skip_bytes, end = start + span.len_bytes;
	uint8_t *at = buf;

	if (file->is_uncached)
		return direct_read_all(&file->direct, blk->logical_sector_bytes, buf, len_bytes, offset)
			       ? NULL
			       : io_error(blk, "read", offset);
	if (!span.len_bytes || direct_is_cached(file->fd, span.len_bytes, start) ||
	    !direct_read(&file->direct, at + span.skip_bytes, span.len_bytes, start))
		return read_all(blk, buf, len_bytes, offset);
	TRY(read_all(blk, at, span.skip_bytes, offset));
	return read_all(blk, at + (end - offset), offset + len_bytes - end, end);
}

static struct err *file_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
			       unsigned flags)
{
	struct blk_file *file = to_file(blk);
	struct direct_span span = direct_span(&file->direct, len_bytes, offset);
	uint64_t start = offset + span.skip_bytes, end = start + span.len_bytes;
	const uint8_t *at = buf;

	if (!span.len_bytes || !direct_write(&file->direct, at + span.skip_bytes, span.len_bytes, start,
					     flags & BLK_FUA ? RWF_DSYNC : 0))
		return write_all(blk, buf, len_bytes, offset, flags);
	TRY(write_all(blk, at, span.skip_bytes, offset, flags));
	return write_all(blk, at + (end - offset), offset + len_bytes - end, end, flags);
}

static struct err *zero_by_writing(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	CLEANUP_FREE uint8_t *zeros = calloc(1, ZERO_CHUNK_BYTES);

	if (!zeros)
		return err_nomem();
	while (len_bytes) {
		size_t bytes = len_bytes < ZERO_CHUNK_BYTES ? len_bytes : ZERO_CHUNK_BYTES;

		TRY(file_pwrite(blk, zeros, bytes, offset, flags & BLK_FUA));
		len_bytes -= bytes;
		offset += bytes;
	}
	return NULL;
}

static struct err *file_flush(struct blk *blk)
{
	return fdatasync(to_file(blk)->fd) ? io_error(blk, "flush", 0) : NULL;
}

/* fallocate() works on files and, for zeroing with or without discard, on block devices; a device wants
 * whole sectors, and what cannot do it is written instead. */
static int zero_range(struct blk_file *file, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	int mode = flags & BLK_MAY_TRIM ? FALLOC_FL_PUNCH_HOLE : FALLOC_FL_ZERO_RANGE;
	int failed;

	do {
		failed = fallocate(file->fd, mode | FALLOC_FL_KEEP_SIZE, offset, len_bytes);
	} while (failed && errno == EINTR);
	return failed;
}

static struct err *file_zero(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags)
{
	if (zero_range(to_file(blk), len_bytes, offset, flags)) {
		if (errno == EOPNOTSUPP || errno == EINVAL || errno == ENODEV || errno == ENOSYS)
			return zero_by_writing(blk, len_bytes, offset, flags);
		return io_error(blk, "zero", offset);
	}
	return flags & BLK_FUA ? file_flush(blk) : NULL;
}

static struct err *file_discard(struct blk *blk, uint64_t len_bytes, uint64_t offset)
{
	return file_zero(blk, len_bytes, offset, BLK_MAY_TRIM);
}

/* Asks the file system where data is; a device, or a file system that cannot tell, is all data. */
static struct err *file_extents(struct blk *blk, uint64_t len_bytes, uint64_t offset, blk_extent_fn fn,
				void *arg)
{
	uint64_t end = offset + len_bytes;

	while (offset < end) {
		off_t data =
			to_file(blk)->is_device ? (off_t)offset : lseek(to_file(blk)->fd, offset, SEEK_DATA);
		off_t hole = -1;

		if (data < 0 && errno == ENXIO)
			data = end;
		else if (data < 0)
			data = offset;
		if ((uint64_t)data > end)
			data = end;
		if ((uint64_t)data > offset)
			TRY(fn(arg, offset, data - offset, BLK_EXTENT_HOLE | BLK_EXTENT_ZERO));
		offset = data;
		if (offset == end)
			break;
		if (!to_file(blk)->is_device)
			hole = lseek(to_file(blk)->fd, offset, SEEK_HOLE);
		if (hole <= (off_t)offset || (uint64_t)hole > end)
			hole = end;
		TRY(fn(arg, offset, hole - offset, 0));
		offset = hole;
	}
	return NULL;
}

static struct err *file_locate(struct blk *blk, uint64_t len_bytes, uint64_t offset,
			       struct blk_place *ret_place)
{
	*ret_place = (struct blk_place){blk, offset, len_bytes};
	return NULL;
}

static bool file_can_clone(struct blk *blk, struct blk *file)
{
	return file->ops == blk->ops && clone_find_way(to_file(file)->fd, to_file(blk)->fd) != CLONE_NONE;
}

static struct err *file_clone(struct blk *blk, struct blk *file, uint64_t len_bytes, uint64_t file_offset,
			      uint64_t offset, uint64_t *ret_bytes)
{
	int from_fd = to_file(file)->fd, to_fd = to_file(blk)->fd;
	uint64_t bytes =
		clone_range(clone_find_way(from_fd, to_fd), from_fd, file_offset, to_fd, offset, len_bytes);

	*ret_bytes = bytes - bytes % BLK_CLONE_ALIGN_BYTES;
	return NULL;
}

static struct err *file_resize(struct blk *blk, uint64_t size_bytes)
{
	if (to_file(blk)->is_device)
		return err_refused("%s: is a device: its size is fixed", blk->name);
	if (ftruncate(to_file(blk)->fd, size_bytes))
		return io_error(blk, "resize", size_bytes);
	__atomic_store_n(&blk->size_bytes, size_bytes, __ATOMIC_RELAXED);
	return NULL;
}

static struct err *file_close(struct blk *blk)
{
	struct blk_file *file = to_file(blk);
	struct err *err = NULL;

	if (direct_deinit(&file->direct) | (file->fd >= 0 && close(file->fd)))
		err = io_error(blk, "close", 0);
	free(blk->name);
	free(file);
	return err;
}

static const struct blk_ops file_ops = {
	.kind = "file",
	.pread = file_pread,
	.pwrite = file_pwrite,
	.zero = file_zero,
	.discard = file_discard,
	.extents = file_extents,
	.flush = file_flush,
	.locate = file_locate,
	.can_clone = file_can_clone,
	.clone = file_clone,
	.resize = file_resize,
	.close = file_close,
};

static struct err *find_device_size(struct blk *blk)
{
	int logical = 512;
	unsigned physical = 4096;

	if (ioctl(to_file(blk)->fd, BLKGETSIZE64, &blk->size_bytes))
		return io_error(blk, "size of the device", 0);
	if (!ioctl(to_file(blk)->fd, BLKSSZGET, &logical))
		blk->logical_sector_bytes = logical;
	if (!ioctl(to_file(blk)->fd, BLKPBSZGET, &physical))
		blk->physical_sector_bytes = physical;
	return NULL;
}

static struct err *find_size(struct blk *blk)
{
	struct stat st;

	if (fstat(to_file(blk)->fd, &st))
		return io_error(blk, "stat", 0);
	if (S_ISDIR(st.st_mode))
		return err_advise(err_refused("%s: is a folder, not a disk", blk->name),
				  "name a disk image or a block device");
	if (S_ISBLK(st.st_mode)) {
		to_file(blk)->is_device = true;
		return find_device_size(blk);
	}
	if (!S_ISREG(st.st_mode))
		return err_advise(err_refused("%s: is neither a file nor a block device", blk->name),
				  "name a disk image or a block device");
	blk->size_bytes = st.st_size;
	return NULL;
}

static int open_flags(unsigned flags)
{
	int mode = O_CLOEXEC | (flags & (BLK_FILE_WRITE | BLK_FILE_CREATE) ? O_RDWR : O_RDONLY);

	if (flags & BLK_FILE_CREATE)
		mode |= O_CREAT | O_EXCL;
	return mode;
}

/* By errno. */
static struct err *open_error(const char *path)
{
	static const struct {
		int errnum;
		const char *advice;
	} advices[] = {
		{ENOENT, "check the name"},
		{ENOTDIR, "check the name"},
		{EEXIST, "choose another name, or remove what is there"},
		{EISDIR, "name a file, not a folder"},
		{EACCES, "run this as a user who may open it, or as root"},
		{EPERM, "run this as a user who may open it, or as root"},
		{EROFS, "make the file system writable, or use another one"},
		{ENOSPC, "free some space there, or choose another folder"},
		{EDQUOT, "free some space there, or choose another folder"},
	};
	struct err *err = err_from_errno(errno, "%s", path);

	for (size_t i = 0; i < sizeof advices / sizeof advices[0]; i++)
		if (err_errno(err) == advices[i].errnum)
			return err_advise(err, "%s", advices[i].advice);
	return err;
}

struct err *blk_file_open(const char *path, unsigned flags, uint64_t create_size_bytes, struct blk **ret_blk)
{
	struct blk_file *file = calloc(1, sizeof *file);
	struct err *err;

	if (!file)
		return err_nomem();
	file->blk = (struct blk){
		.ops = &file_ops,
		.name = xstrdup(path),
		.logical_sector_bytes = 512,
		.physical_sector_bytes = 4096,
		.preferred_bytes = 1 << 20,
		.flags = flags & (BLK_FILE_WRITE | BLK_FILE_CREATE) ? BLK_FAST_ZERO : BLK_READ_ONLY,
	};
	file->direct.fd = -1;
	file->fd = open(path, open_flags(flags), 0666);
	if (file->fd >= 0 && flags & (BLK_FILE_DIRECT | BLK_FILE_UNCACHED))
		direct_init(path, file->fd, open_flags(flags) & O_ACCMODE, &file->direct);
	if (file->fd < 0)
		err = open_error(path);
	else if (flags & BLK_FILE_CREATE)
		err = file_resize(&file->blk, create_size_bytes);
	else
		err = find_size(&file->blk);
	if (err) {
		if (flags & BLK_FILE_CREATE && file->fd >= 0)
			unlink(path);
		return err_first(err, file_close(&file->blk));
	}
	file->writes_early = flags & BLK_FILE_DIRECT;
	file->is_uncached = flags & BLK_FILE_UNCACHED && file->is_device && file->direct.fd >= 0;
	*ret_blk = &file->blk;
	return NULL;
}
