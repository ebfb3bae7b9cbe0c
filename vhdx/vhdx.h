/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * VHDX files as block devices: made, opened, looked into, checked.
 *
 * The struct blk that create and open return (kind "vhdx") follows the contract
 * of p2v/base/blk.h.  Its preferred_bytes is the block size.  Blocks that are not
 * in the file read as zeros, those of a differencing file as what its parent has
 * there.  discard, and zero with BLK_MAY_TRIM, give whole blocks of a dynamic or
 * differencing file back; the space is reused after the next flush.
 *
 * blk_resize() makes the disk larger, never smaller (ERR_REFUSED); after a power cut
 * it has either the one size or the other.
 *
 * What survives a power cut: everything before the last flush that returned.
 * A finished file changes its BAT through the log, as [MS-VHDX] 2.3 asks; a file
 * under construction carries the required metadata item "incomplete", so that
 * nobody else opens it, and changes its BAT in place.  vhdx_finish() turns the
 * one into the other, vhdx_mark_incomplete() the other into the one.
 *
 * An image is written by one struct blk at a time; opening it twice for writing
 * destroys it, as with any disk.  On Linux a file may have holes: that costs
 * nothing, and copying to NTFS by any means that is not told to keep them leaves
 * no sparse flag (which Windows would refuse).
 */
#ifndef VHDX_VHDX_H
#define VHDX_VHDX_H

#include <stdbool.h>

#include "p2v/base/blk.h"
#include "p2v/base/guid.h"
#include "p2v/base/log.h"
#include "p2v/base/progress.h"

/* Making and opening. */

#define VHDX_FIXED (1u << 0) /* all blocks are allocated from the start, and stay */

#define VHDX_DEFAULT_BLOCK_BYTES (2u * 1024 * 1024)

/* Zeros mean the default, but for the size. */
struct vhdx_create_options {
	uint64_t size_bytes; /* a multiple of the logical sector, at most 64 TiB */
	uint32_t block_bytes; /* a power of two, 1 … 256 MiB; default VHDX_DEFAULT_BLOCK_BYTES */
	uint32_t logical_sector_bytes; /* 512 (default) or 4096 */
	uint32_t physical_sector_bytes; /* 512 or 4096 (default) */
	unsigned flags; /* VHDX_FIXED */
	/*
	 * Makes a differencing file over this VHDX, which is open (read-only is best) and complete, and
	 * belongs to the result if the call succeeds.  Size, sectors and disk id are its own: 0, or the
	 * same, is what may be asked for.
	 */
	struct blk *parent;
	/* Where a differencing file will lie in the end, as seen from which it finds its parent; NULL: where
	 * it is made. */
	const char *final_path;
};

/*
 * Makes a new VHDX with the incomplete marker; path must not exist, and does not
 * exist after a failure.  ERR_REFUSED: options that VHDX does not allow.
 */
struct err *vhdx_create(const char *path, const struct vhdx_create_options *options, const struct log *log,
			struct blk **ret_blk) ERR_MUST_CHECK;

/* The same in an open, writable, empty (size_bytes 0) device that can be resized.  It belongs to the
 * result if the call succeeds, else still to the caller. */
struct err *vhdx_create_on(struct blk *file, const struct vhdx_create_options *options, const struct log *log,
			   struct blk **ret_blk) ERR_MUST_CHECK;

#define VHDX_OPEN_WRITE (1u << 0) /* else read-only: the file is not touched at all */
#define VHDX_OPEN_INCOMPLETE (1u << 1) /* accept a file that carries the incomplete marker */
/* Only to look into: vhdx_get_info() and vhdx_map() work on any VHDX, incomplete ones included, and
 * on differencing ones without their parents; reading the content of these is ERR_REFUSED. */
#define VHDX_OPEN_INSPECT (1u << 2)
/* With VHDX_OPEN_WRITE: the parent too is opened for writing, for vhdx_merge(). */
#define VHDX_OPEN_MERGE (1u << 3)

/*
 * Opens a VHDX.  A log that is not empty is replayed: in memory for reading, in
 * the file for writing ([MS-VHDX] 2.3.3).  Damage that leaves one good copy of a
 * header or region table is a log_warning.  ERR_REFUSED: not a VHDX, damaged,
 * incomplete, or with required parts unknown to us.  The log must live as long as
 * the device.
 *
 * A differencing file opens its parent read-only, and that its own: all of them
 * stay open.  ERR_REFUSED: a parent is missing, has changed since (its
 * DataWriteGuid is not that of the parent locator), is of other sectors, or the
 * chain has no end.  A parent's end is not its child's: what is behind it reads
 * as zeros.
 */
struct err *vhdx_open(const char *path, unsigned flags, const struct log *log, struct blk **ret_blk)
	ERR_MUST_CHECK;

/* The same on an open device (writable for VHDX_OPEN_WRITE), which belongs to the result if the call
 * succeeds, else still to the caller.  Parents are looked for if it is a file (blk_file_open()). */
struct err *vhdx_open_on(struct blk *file, unsigned flags, const struct log *log, struct blk **ret_blk)
	ERR_MUST_CHECK;

/* The same for a differencing file with its parent, which belongs to the result as the file does.  Its
 * DataWriteGuid is checked if it is a VHDX; any other device is taken as it is. */
struct err *vhdx_open_over(struct blk *file, struct blk *parent, unsigned flags, const struct log *log,
			   struct blk **ret_blk) ERR_MUST_CHECK;

/*
 * From now on, takes space from the file system in steps of about step_bytes, ahead of use, instead of
 * when data is written (0, as at first).  Writes from several threads then go on at once, and blocks lie
 * together; the rest of a block that is written in part takes space too, though.  What is not used at the
 * end is given back.  The device must be writable.
 */
struct err *vhdx_set_preallocation(struct blk *vhdx, uint64_t step_bytes) ERR_MUST_CHECK;

/*
 * Completes a file: all of it durable, length a multiple of 1 MiB, no log to
 * replay, then the incomplete marker is removed in one atomic step.  From then on
 * Windows accepts the file.  Also fine on a file that is complete; the device
 * stays usable.  No other request may be under way.
 */
struct err *vhdx_finish(struct blk *vhdx) ERR_MUST_CHECK;

/*
 * Puts the incomplete marker back, durable when it returns, before a complete file's content is changed in
 * steps that make no sense one by one; vhdx_finish() takes it away again.  Also fine on a file that has it.
 * No other request may be under way.
 */
struct err *vhdx_mark_incomplete(struct blk *vhdx) ERR_MUST_CHECK;

/* What a differencing file lies over, which it owns; NULL if it is none or was only looked into. */
struct blk *vhdx_parent(struct blk *vhdx);

/* Zero-initialised is fine. */
struct vhdx_merge_options {
	unsigned threads; /* 0: as many as suit this machine, at least 2 */
	struct progress *progress; /* counts the bytes of the disk */
};

/*
 * Merges a differencing file that was opened with VHDX_OPEN_WRITE and
 * VHDX_OPEN_MERGE into its parent, which then holds the whole of what the child
 * reads as; the child is emptied, reads as before, and can be used, or removed.
 * Crash-safe: at every moment the child reads the same, and after an
 * interruption it can be merged again.  Other children of the same parent are
 * refused afterwards.  No other request may be under way.  options may be NULL.
 * ERR_REFUSED: no differencing file, incomplete, of another size than its parent.
 */
struct err *vhdx_merge(struct blk *child, const struct vhdx_merge_options *options) ERR_MUST_CHECK;

/* Looking into. */

/* [MS-VHDX] 2.5.1.1; the numbers are those on disk. */
enum vhdx_block_state {
	VHDX_BLOCK_NOT_PRESENT = 0,
	VHDX_BLOCK_UNDEFINED = 1,
	VHDX_BLOCK_ZERO = 2,
	VHDX_BLOCK_UNMAPPED = 3,
	VHDX_BLOCK_FULLY_PRESENT = 6,
	VHDX_BLOCK_PARTIALLY_PRESENT = 7,
};
#define VHDX_BLOCK_STATES 8

const char *vhdx_block_state_name(enum vhdx_block_state state); /* "not present", …, "reserved" */

enum vhdx_type { VHDX_TYPE_DYNAMIC, VHDX_TYPE_FIXED, VHDX_TYPE_DIFFERENCING };

const char *vhdx_type_name(enum vhdx_type type); /* "dynamic", "fixed", "differencing" */

struct vhdx_region_info {
	struct guid guid;
	const char *name; /* "BAT", "metadata"; NULL: unknown to us */
	uint64_t file_offset;
	uint32_t length_bytes;
	bool required;
};

struct vhdx_item_info {
	struct guid guid;
	const char *name; /* "file parameters", …; NULL: unknown to us */
	uint64_t file_offset; /* 0 if empty */
	uint32_t length_bytes;
	unsigned flags; /* VHDX_METADATA_IS_* of vhdx/format.h */
};

/* One pair of the parent locator, UTF-8. */
struct vhdx_locator_pair {
	char *key;
	char *value;
};

struct vhdx_header_info {
	uint64_t file_offset; /* of the current one */
	uint64_t sequence_number;
	uint16_t version;
	struct guid file_write_guid;
	struct guid data_write_guid;
	bool other_is_valid; /* the other header too */
};

struct vhdx_log_info {
	uint64_t file_offset;
	uint32_t length_bytes;
	uint16_t version;
	struct guid guid; /* as found at open; zero: it was clean */
	uint64_t replayed_entries; /* at open, in memory or in the file */
};

struct vhdx_disk_info {
	enum vhdx_type type;
	uint64_t size_bytes;
	uint32_t block_bytes;
	uint32_t logical_sector_bytes;
	uint32_t physical_sector_bytes;
	struct guid id; /* SCSI page 83 */
	uint64_t block_count;
	uint64_t blocks_by_state[VHDX_BLOCK_STATES]; /* indexed by enum vhdx_block_state */
	uint64_t allocated_blocks; /* with space in the file */
};

struct vhdx_info {
	char *creator; /* UTF-8 */
	uint64_t file_bytes;
	bool incomplete;
	struct vhdx_disk_info disk;
	struct vhdx_header_info header;
	struct vhdx_log_info log;
	struct vhdx_region_info *regions;
	size_t region_count;
	struct vhdx_item_info *items;
	size_t item_count;
	struct vhdx_locator_pair *locator; /* differencing files */
	size_t locator_count;
};

/* Reads the whole BAT.  The caller releases with vhdx_info_deinit(). */
struct err *vhdx_get_info(struct blk *vhdx, struct vhdx_info *ret_info) ERR_MUST_CHECK;
void vhdx_info_deinit(struct vhdx_info *info);
#define CLEANUP_VHDX_INFO CLEANUP(vhdx_info_deinit)

/* A run of the virtual disk whose blocks have one state and, if they are in the file, follow one
 * another there. */
struct vhdx_map_run {
	uint64_t offset;
	uint64_t len_bytes;
	enum vhdx_block_state state;
	uint64_t file_offset; /* 0 where nothing is in the file */
};

/* An error ends the walk and is returned. */
typedef struct err *(*vhdx_map_fn)(void *arg, const struct vhdx_map_run *run);

/* Calls fn for runs in ascending order that cover the whole disk. */
struct err *vhdx_map(struct blk *vhdx, vhdx_map_fn fn, void *arg) ERR_MUST_CHECK;

/* Checking. */

enum vhdx_severity {
	VHDX_WARNING, /* against the specification, harmless to the content */
	VHDX_ERROR, /* content is lost, in doubt, or others will refuse the file */
};

struct vhdx_finding {
	enum vhdx_severity severity;
	uint64_t file_offset; /* of the field or block in question */
	const char *text; /* valid during the call */
};

typedef void (*vhdx_finding_fn)(void *arg, const struct vhdx_finding *finding);

struct vhdx_check_result {
	uint64_t errors;
	uint64_t warnings;
	uint64_t blocks_checked;
};

/*
 * Walks everything in a VHDX, however damaged, and reports every finding: header
 * and region copies, log, metadata, each BAT entry, overlaps.  Never changes the
 * file.  The BAT is looked at as it will be after log replay.  An error means
 * that the file could not be read, not that it is damaged.  fn may be NULL.
 * Takes 1 bit of memory for each MiB of the file.
 */
struct err *vhdx_check(const char *path, vhdx_finding_fn fn, void *arg, struct vhdx_check_result *ret_result)
	ERR_MUST_CHECK;
struct err *vhdx_check_on(struct blk *file, vhdx_finding_fn fn, void *arg,
			  struct vhdx_check_result *ret_result) ERR_MUST_CHECK;

#endif
