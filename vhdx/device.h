/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The open VHDX, as its parts see it.  Nobody outside this folder includes this.
 *
 * Locks, in the order in which they may be taken:
 *	ranges        a request holds its byte range from start to end, I/O included
 *	commit.lock   one at a time makes the map durable, or changes header and log
 *	map_lock      BAT and space in memory; held for moments, never for data I/O
 */
#ifndef VHDX_DEVICE_H
#define VHDX_DEVICE_H

#include <pthread.h>
#include <stdatomic.h>

#include "vhdx/bat.h"
#include "vhdx/bitmap.h"
#include "vhdx/log-write.h"
#include "vhdx/metadata.h"
#include "vhdx/range-lock.h"
#include "vhdx/replay.h"
#include "vhdx/space.h"
#include "vhdx/vhdx.h"

struct vhdx_commit {
	pthread_mutex_t lock;
	atomic_bool begun; /* the headers say that this opening changes the file */
	bool failed; /* a flush failed: what is on disk is unknown from then on */
	atomic_uint_fast64_t count; /* of commits that have begun; changes under lock */
	bool pages_in_flight; /* some were taken and are not yet durable; under map_lock */
	struct vhdx_log_writer log;
};

/* How the log was found; for vhdx_get_info(). */
struct vhdx_log_found {
	struct guid guid;
	uint64_t replayed_entries;
};

struct vhdx {
	struct blk blk;
	struct blk *file; /* owned */
	struct blk *parent; /* owned; of a differencing file, NULL if it was only opened to look into */
	struct blk *replayed; /* owned; the file with its log applied in memory, else NULL */
	struct blk *io; /* what is read: replayed, or file */
	const struct log *log;
	struct vhdx_headers headers;
	struct vhdx_log_found log_found;
	struct vhdx_regions regions;
	struct vhdx_metadata metadata;
	struct vhdx_range_lock ranges;
	struct vhdx_commit commit;
	pthread_mutex_t map_lock;
	struct vhdx_bat bat;
	struct vhdx_bitmap bitmap; /* of a differencing file */
	struct vhdx_space space;
};

/* NULL if blk is another kind of device. */
struct vhdx *vhdx_of(struct blk *blk);

/* A device without content yet.  Closing it closes the file, destroying it does not. */
struct err *vhdx_device_create(struct blk *file, const struct log *log, struct vhdx **ret_vhdx)
	ERR_MUST_CHECK;
void vhdx_device_destroy(struct vhdx *vhdx);
DEFINE_CLEANUP(vhdx_device, struct vhdx *, vhdx_device_destroy)
#define CLEANUP_VHDX_DEVICE CLEANUP(cleanup_vhdx_device)

/* Headers, regions and metadata are set: sets up the map and the device's public face.  flags: VHDX_BAT_NEW.
 */
struct err *vhdx_device_start(struct vhdx *vhdx, unsigned blk_flags, unsigned bat_flags) ERR_MUST_CHECK;

/* How a file is opened. */
struct vhdx_chain_link;
struct vhdx_opening {
	unsigned flags; /* VHDX_OPEN_… */
	const struct log *log;
	struct blk
		*parent; /* of a differencing file; the result's if the call succeeds.  NULL: to be found */
	const struct vhdx_chain_link *children; /* for which it is opened, itself included; or NULL */
};

/* What all ways of opening come to; the file belongs to the result if the call succeeds. */
struct err *vhdx_open_device(struct blk *file, const struct vhdx_opening *opening, struct blk **ret_blk)
	ERR_MUST_CHECK;

/* One run of blocks, under map_lock. */
struct err *vhdx_lookup(struct vhdx *vhdx, uint64_t block, uint64_t max_count, struct vhdx_run *ret_run)
	ERR_MUST_CHECK;

/* The map as it lies in the file: pages of 4 KiB of the BAT, then, in a differencing file, of the sector
 * bitmaps.  Under map_lock. */
#define VHDX_MAP_PAGE_BYTES VHDX_LOG_SECTOR_BYTES
uint64_t vhdx_map_page_count(const struct vhdx *vhdx);
uint64_t vhdx_map_dirty_count(const struct vhdx *vhdx);
uint64_t vhdx_map_next_dirty(const struct vhdx *vhdx, uint64_t page); /* vhdx_map_page_count(): none */
void vhdx_map_set_dirty(struct vhdx *vhdx, uint64_t page, bool dirty);
const void *vhdx_map_page_data(const struct vhdx *vhdx, uint64_t page);
uint64_t vhdx_map_page_offset(const struct vhdx *vhdx, uint64_t page);

/* Reads for one who holds the range. */
struct err *vhdx_read_range(struct vhdx *vhdx, uint8_t *buf, uint64_t len_bytes, uint64_t offset)
	ERR_MUST_CHECK;

/* The file's own extents at file_offset, as those of the disk at offset. */
struct err *vhdx_file_extents(struct vhdx *vhdx, uint64_t len_bytes, uint64_t offset, uint64_t file_offset,
			      blk_extent_fn fn, void *arg) ERR_MUST_CHECK;

/* Makes the map durable; the caller holds commit.lock. */
struct err *vhdx_commit_locked(struct vhdx *vhdx) ERR_MUST_CHECK;

/* Puts the incomplete marker into the metadata table, or takes it out, by one log entry; with the commit lock
 * held.  ERR_REFUSED if the table has no room for it. */
struct err *vhdx_write_marker(struct vhdx *vhdx, bool is_incomplete) ERR_MUST_CHECK;

/* Operations of struct blk_ops, by file. */
struct err *vhdx_op_pread(struct blk *blk, void *buf, size_t len_bytes, uint64_t offset) ERR_MUST_CHECK;
struct err *vhdx_op_extents(struct blk *blk, uint64_t len_bytes, uint64_t offset, blk_extent_fn fn, void *arg)
	ERR_MUST_CHECK;
struct err *vhdx_op_pwrite(struct blk *blk, const void *buf, size_t len_bytes, uint64_t offset,
			   unsigned flags) ERR_MUST_CHECK;
struct err *vhdx_op_zero(struct blk *blk, uint64_t len_bytes, uint64_t offset, unsigned flags) ERR_MUST_CHECK;
struct err *vhdx_op_discard(struct blk *blk, uint64_t len_bytes, uint64_t offset) ERR_MUST_CHECK;
struct err *vhdx_op_flush(struct blk *blk) ERR_MUST_CHECK;
struct err *vhdx_op_locate(struct blk *blk, uint64_t len_bytes, uint64_t offset, struct blk_place *ret_place)
	ERR_MUST_CHECK;
bool vhdx_op_can_clone(struct blk *blk, struct blk *file);
struct err *vhdx_op_clone(struct blk *blk, struct blk *file, uint64_t len_bytes, uint64_t file_offset,
			  uint64_t offset, uint64_t *ret_bytes) ERR_MUST_CHECK;
struct err *vhdx_op_resize(struct blk *blk, uint64_t size_bytes) ERR_MUST_CHECK;
struct err *vhdx_op_close(struct blk *blk) ERR_MUST_CHECK;

/* True if all blocks of a range are in the file, and will be so after a power cut: then what is written there
 * needs no flush of the map.  The caller holds the range. */
bool vhdx_is_map_durable(struct vhdx *vhdx, uint64_t len_bytes, uint64_t offset);

/* Before anything changes: new GUIDs in the header, once for each opening ([MS-VHDX] 2.2.2). */
struct err *vhdx_begin_changes(struct vhdx *vhdx) ERR_MUST_CHECK;

/* The same, but the DataWriteGuid is the caller's choice: another one for another content, the one it has
 * for a change that no guest can see. */
struct err *vhdx_begin_changes_as(struct vhdx *vhdx, const struct guid *data_write_guid) ERR_MUST_CHECK;

/* Empties the log after such hidden changes; the caller holds commit.lock.  Unless the content had begun to
 * change before, its next change gets a new DataWriteGuid. */
struct err *vhdx_end_hidden_changes(struct vhdx *vhdx, bool had_begun) ERR_MUST_CHECK;

/* What a part of the file held and shall hold; whole pages of VHDX_LOG_SECTOR_BYTES. */
struct vhdx_change {
	uint64_t file_offset;
	const uint8_t *old;
	const uint8_t *new;
	size_t bytes;
};

/* Makes changes outside of the map together or not at all, by one log entry; the caller holds commit.lock. */
struct err *vhdx_commit_changes(struct vhdx *vhdx, const struct vhdx_change *changes, size_t count)
	ERR_MUST_CHECK;

#endif
