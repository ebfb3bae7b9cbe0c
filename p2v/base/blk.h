/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A block device as a table of functions.
 *
 * A raw file, a disk, memory, a VHDX, an NBD export and a fault injector are
 * all a struct blk; one conformance suite (tests/base/lib-blk-conformance.h) runs
 * over every kind.  The contract:
 *
 * - Offsets and lengths are bytes and need no alignment: a device with sectors
 *   does read-modify-write itself.
 * - The wrappers below check ranges against size_bytes and refuse to change a
 *   BLK_READ_ONLY device; an implementation is never called with len 0 or out
 *   of range.
 * - pread, pwrite, zero, discard, extents and flush may be called from several
 *   threads at once.  Calls on overlapping ranges give one order or the other.
 * - What was written is read back at once; it survives a power cut after a
 *   flush that began after the write returned, or with BLK_FUA on the write.
 * - After zero, and after discard, the range reads as zeros; discard may drop
 *   the space as well, and zero may with BLK_MAY_TRIM.
 */
#ifndef P2V_BASE_BLK_H
#define P2V_BASE_BLK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "p2v/base/err.h"
#include "p2v/base/extents.h"

struct blk;

/* Flags of a device. */
#define BLK_READ_ONLY (1u << 0)
#define BLK_FAST_ZERO (1u << 1) /* zero costs much less than writing zeros */

/* Flags of a request. */
#define BLK_FUA (1u << 0) /* durable when the call returns */
#define BLK_MAY_TRIM (1u << 1) /* zero may release the space */

/* What a run of bytes is, as extents reports it. */
#define BLK_EXTENT_HOLE (1u << 0) /* takes no space in the device */
#define BLK_EXTENT_ZERO (1u << 1) /* reads as zeros */

/* Called for runs in ascending order without gaps; an error ends the walk and is returned. */
typedef struct err *(*blk_extent_fn)(void *arg, uint64_t offset, uint64_t len_bytes, unsigned extent_flags);

/* Where a range's bytes lie. */
struct blk_place {
	struct blk *file; /* NULL: nowhere else, or not so simple */
	uint64_t offset; /* in file */
	uint64_t len_bytes; /* of the range, from its start */
};

struct blk_ops {
	const char *kind; /* "file", "vhdx", … */
	struct err *(*pread)(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset);
	/* The rest may be NULL: pwrite on read-only devices, the others where there is nothing better
	 * than the general way (zeros written, nothing discarded, all of it data, nothing to flush). */
	struct err *(*pwrite)(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
			      unsigned flags);
	struct err *(*zero)(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags);
	struct err *(*discard)(struct blk *blk, uint64_t len_bytes, uint64_t offset);
	struct err *(*extents)(struct blk *blk, uint64_t len_bytes, uint64_t offset, blk_extent_fn fn,
			       void *arg);
	struct err *(*flush)(struct blk *blk);
	struct err *(*locate)(struct blk *blk, uint64_t len_bytes, uint64_t offset,
			      struct blk_place *ret_place);
	/* Both or none: see blk_clone(). */
	bool (*can_clone)(struct blk *blk, struct blk *file);
	struct err *(*clone)(struct blk *blk, struct blk *file, uint64_t len_bytes, uint64_t file_offset,
			     uint64_t offset, uint64_t *ret_bytes);
	/* Sets blk->size_bytes; what is new reads as zeros.  NULL: the size is fixed.  Not to be called while
	 * other requests run behind the new end. */
	struct err *(*resize)(struct blk *blk, uint64_t size_bytes);
	/* Releases everything, the struct itself included, also when it fails. */
	struct err *(*close)(struct blk *blk);
};

/* An implementation embeds this as its first member. */
struct blk {
	const struct blk_ops *ops;
	char *name; /* for messages: a path or URI; freed by the implementation */
	uint64_t size_bytes;
	uint32_t logical_sector_bytes; /* 512 or 4096 */
	uint32_t physical_sector_bytes;
	uint32_t preferred_bytes; /* unit in which requests are cheapest: VHDX block, … */
	unsigned flags;
};

struct err *blk_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset) ERR_MUST_CHECK;
struct err *blk_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset, unsigned flags)
	ERR_MUST_CHECK;
struct err *blk_zero(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags) ERR_MUST_CHECK;
struct err *blk_discard(struct blk *blk, uint64_t len_bytes, uint64_t offset) ERR_MUST_CHECK;
struct err *blk_extents(struct blk *blk, uint64_t len_bytes, uint64_t offset, blk_extent_fn fn, void *arg)
	ERR_MUST_CHECK;
struct err *blk_flush(struct blk *blk) ERR_MUST_CHECK;

/*
 * The device that holds the start of a range as it is, down to the file; true until either is changed.
 */
struct err *blk_locate(struct blk *blk, uint64_t len_bytes, uint64_t offset, struct blk_place *ret_place)
	ERR_MUST_CHECK;

/*
 * Writes what `file`, found by blk_locate(), has at file_offset, without moving it through memory: it is
 * shared, or its server copies it.  *ret_bytes of the start are done, less than asked for (0) where that is
 * not possible; offsets must be multiples of BLK_CLONE_ALIGN_BYTES, and so is what is done.
 */
#define BLK_CLONE_ALIGN_BYTES 4096u
bool blk_can_clone(struct blk *blk, struct blk *file);
struct err *blk_clone(struct blk *blk, struct blk *file, uint64_t len_bytes, uint64_t file_offset,
		      uint64_t offset, uint64_t *ret_bytes) ERR_MUST_CHECK;

/* ERR_REFUSED if the kind has a fixed size or the device is read-only. */
struct err *blk_resize(struct blk *blk, uint64_t size_bytes) ERR_MUST_CHECK;

/* Closes and frees; NULL is fine.  A writer that must know calls blk_flush() (or its own finish) first. */
struct err *blk_close(struct blk *blk) ERR_MUST_CHECK;

/* Adds to ret_set what may hold anything but zeros within [offset, offset + len_bytes). */
struct err *blk_data_extents(struct blk *blk, uint64_t len_bytes, uint64_t offset, struct extents *ret_set)
	ERR_MUST_CHECK;

/* Writes what is not zero of buf, in runs: for a range that reads as zeros so far and shall take no more
 * space than it must. */
struct err *blk_pwrite_data(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset)
	ERR_MUST_CHECK;

/* True if the buffer holds zeros alone; runs at memory speed. */
bool blk_is_zero(const void *buf, size_t len_bytes);

static inline void cleanup_blk(struct blk **blk)
{
	err_free(blk_close(*blk));
}
#define CLEANUP_BLK CLEANUP(cleanup_blk)

/*
 * Implementations.
 */

/* A regular file or block device; sector sizes are the device's own, 512/4096 for files.  The name
 * in messages is the path. */
#define BLK_FILE_WRITE (1u << 0) /* else read-only */
#define BLK_FILE_CREATE (1u << 1) /* must not exist; size as given */
/* For much data: large requests go around the page cache, where that is possible, and what else is written
 * is begun to be brought to the disk at once. */
#define BLK_FILE_DIRECT (1u << 2)
/* Of a device: every read comes from the disk, not from the page cache, which keeps what it has read while a
 * mounted file system writes past it; and a sector that cannot be read takes no others with it. */
#define BLK_FILE_UNCACHED (1u << 3)
struct err *blk_file_open(const char *path, unsigned flags, uint64_t create_size_bytes, struct blk **ret_blk)
	ERR_MUST_CHECK;

/* Sparse memory: what was never written takes none. */
struct err *blk_mem_create(uint64_t size_bytes, struct blk **ret_blk) ERR_MUST_CHECK;

/* An NBD export by libnbd, for example "nbd+unix:///?socket=/path".  Several connections where the
 * server allows it. */
#define BLK_NBD_WRITE (1u << 0)
struct err *blk_nbd_open(const char *uri, unsigned flags, struct blk **ret_blk) ERR_MUST_CHECK;

/*
 * Fault injection over another device, which it owns from then on.  A rule fires on its operation
 * where the request overlaps [start, end): from the nth such request on (counted from 1), for
 * `times` requests (0: for ever).
 */
enum blk_op { BLK_OP_READ, BLK_OP_WRITE, BLK_OP_ZERO, BLK_OP_DISCARD, BLK_OP_EXTENTS, BLK_OP_FLUSH };
struct blk_fault {
	enum blk_op op;
	uint64_t start, end; /* ignored for BLK_OP_FLUSH */
	unsigned nth, times;
	int errnum; /* what the request fails with */
};
struct err *blk_fault_create(struct blk *inner, const struct blk_fault *faults, size_t count,
			     struct blk **ret_blk) ERR_MUST_CHECK;

/*
 * A device being filled from another; both are its own if the call succeeds.  Reads of what is not yet
 * filled come from `source`, writes fill their units first, and blk_fill_range() fills ahead of use.  A unit
 * is unit_bytes (a power of two, at least target's logical sector); what reads as zeros in the source is not
 * written to the target, which must be all zeros at the start and at least as large.
 */
struct err *blk_fill_create(struct blk *target, struct blk *source, uint64_t unit_bytes, struct blk **ret_blk)
	ERR_MUST_CHECK;
/* Copies what is still missing in [offset, offset + len_bytes); callable from several threads. */
struct err *blk_fill_range(struct blk *fill, uint64_t len_bytes, uint64_t offset) ERR_MUST_CHECK;

#endif
