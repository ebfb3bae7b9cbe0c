/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Making a new file.  Its layout is Windows' own: log at 1 MiB, metadata at
 * 2 MiB, BAT at 3 MiB, then payload.
 *
 * At no moment can it be taken for a complete one: the regions, with the
 * incomplete marker in the metadata, are durable before the signature is written
 * that makes it a VHDX.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vhdx/device.h"
#include "vhdx/parent-path.h"

#define LOG_OFFSET (1 * VHDX_MIB)
#define LOG_BYTES VHDX_MIB
#define METADATA_OFFSET (2 * VHDX_MIB)
#define METADATA_BYTES VHDX_MIB
#define BAT_OFFSET (3 * VHDX_MIB)

#define CREATOR "p2v"

static struct err *refuse_options(const char *name, const char *why, const char *advice)
{
	return err_advise(err_refused("%s: cannot be made: %s", name, why), "%s", advice);
}

static uint64_t first_of(uint64_t asked, uint64_t inherited, uint64_t usual)
{
	return asked ? asked : inherited ? inherited : usual;
}

/* What was asked for, then what the parent has, then the default. */
static struct err *take_geometry(const char *name, const struct vhdx_create_options *options,
				 struct vhdx_geometry *ret_geometry)
{
	static const struct vhdx_geometry none;
	const struct vhdx_geometry *inherited =
		options->parent ? &vhdx_of(options->parent)->metadata.geometry : &none;
	struct vhdx_geometry geometry = {
		.size_bytes = first_of(options->size_bytes, inherited->size_bytes, 0),
		.block_bytes = (uint32_t)first_of(options->block_bytes, 0, VHDX_DEFAULT_BLOCK_BYTES),
		.logical_sector_bytes = (uint32_t)first_of(options->logical_sector_bytes,
							   inherited->logical_sector_bytes, 512),
		.physical_sector_bytes = (uint32_t)first_of(options->physical_sector_bytes,
							    inherited->physical_sector_bytes, 4096),
		.has_parent = options->parent,
	};
	enum vhdx_geometry_status status = vhdx_geometry_derive(&geometry);

	if (status != VHDX_GEOMETRY_OK)
		return refuse_options(name, vhdx_geometry_status_text(status), "choose other sizes");
	if (geometry.physical_sector_bytes < geometry.logical_sector_bytes)
		return refuse_options(name, "its physical sectors would be smaller than its logical ones",
				      "choose 4096 for both");
	if (options->parent && (geometry.size_bytes != inherited->size_bytes ||
				geometry.logical_sector_bytes != inherited->logical_sector_bytes ||
				geometry.physical_sector_bytes != inherited->physical_sector_bytes))
		return refuse_options(name, "its size or sectors would not be its parent's",
				      "leave them out: a differencing file has those of its parent");
	*ret_geometry = geometry;
	return NULL;
}

/* What can be a parent at all. */
static struct err *check_parent(const char *name, const struct vhdx_create_options *options)
{
	const struct vhdx *parent = vhdx_of(options->parent);

	if (!parent)
		return refuse_options(name, "its parent is no VHDX", "convert the parent into a VHDX first");
	if (parent->metadata.is_incomplete)
		return refuse_options(name, "its parent is incomplete",
				      "wait until what is writing the parent has finished");
	if (options->flags & VHDX_FIXED)
		return refuse_options(name, "a differencing file cannot be fixed", "leave that out");
	return NULL;
}

/* [MS-VHDX] 2.6.2.6.3: all keys that mean something here; parent_linkage2, of no meaning yet, as Windows
 * writes it. */
static struct err *make_locator(const char *path, struct blk *parent, struct vhdx_metadata *metadata)
{
	static const struct guid none;
	CLEANUP_VHDX_LOCATOR struct vhdx_locator locator = {.type = VHDX_LOCATOR_TYPE};

	TRY(vhdx_locator_set_guid(&locator, VHDX_LOCATOR_LINKAGE,
				  &vhdx_of(parent)->headers.current.data_write_guid));
	TRY(vhdx_locator_set_guid(&locator, VHDX_LOCATOR_LINKAGE_2, &none));
	TRY(vhdx_locator_set_paths(&locator, path, parent->name));
	return vhdx_locator_encode(&locator, &metadata->new_locator, &metadata->new_locator_bytes);
}

static struct err *take_options(const char *name, const struct vhdx_create_options *options,
				struct vhdx_metadata *ret_metadata)
{
	ret_metadata->is_fixed = options->flags & VHDX_FIXED;
	ret_metadata->is_incomplete = true;
	if (!options->parent) {
		TRY(take_geometry(name, options, &ret_metadata->geometry));
		return guid_make(&ret_metadata->disk_id);
	}
	TRY(check_parent(name, options));
	TRY(take_geometry(name, options, &ret_metadata->geometry));
	ret_metadata->disk_id = vhdx_of(options->parent)->metadata.disk_id;
	return make_locator(options->final_path ? options->final_path : name, options->parent, ret_metadata);
}

static struct err *make_regions(const struct vhdx_geometry *geometry, struct vhdx_regions *ret_regions)
{
	uint64_t bat_bytes = geometry->bat_entry_count * VHDX_BAT_ENTRY_BYTES;

	ret_regions->bat = (struct vhdx_region){
		.guid = VHDX_REGION_BAT,
		.file_offset = BAT_OFFSET,
		.length_bytes = (uint32_t)((bat_bytes + VHDX_MIB - 1) / VHDX_MIB * VHDX_MIB),
		.required = true,
	};
	ret_regions->metadata = (struct vhdx_region){
		.guid = VHDX_REGION_METADATA,
		.file_offset = METADATA_OFFSET,
		.length_bytes = METADATA_BYTES,
		.required = true,
	};
	ret_regions->items = calloc(2, sizeof *ret_regions->items);
	if (!ret_regions->items)
		return err_nomem();
	ret_regions->count = 2;
	ret_regions->items[0] = ret_regions->bat;
	ret_regions->items[1] = ret_regions->metadata;
	return NULL;
}

static struct err *write_regions(struct vhdx *vhdx)
{
	size_t metadata_bytes = vhdx_metadata_new_bytes(&vhdx->metadata);
	CLEANUP_FREE uint8_t *buf = malloc(metadata_bytes);

	_Static_assert(VHDX_METADATA_NEW_BYTES >= VHDX_REGION_TABLE_BYTES, "one buffer for both");
	if (!buf)
		return err_nomem();
	if (metadata_bytes > METADATA_BYTES)
		return err_refused("%s: cannot be made: its parent locator is too long", vhdx->blk.name);
	vhdx_metadata_encode(&vhdx->metadata, buf);
	TRY(blk_pwrite(vhdx->file, buf, metadata_bytes, METADATA_OFFSET, 0));
	vhdx_region_table_encode(vhdx->regions.items, vhdx->regions.count, buf);
	TRY(blk_pwrite(vhdx->file, buf, VHDX_REGION_TABLE_BYTES, VHDX_REGION_TABLE_1_OFFSET, 0));
	TRY(blk_pwrite(vhdx->file, buf, VHDX_REGION_TABLE_BYTES, VHDX_REGION_TABLE_2_OFFSET, 0));
	return blk_flush(vhdx->file);
}

static struct err *write_identifier(struct blk *file)
{
	static const char creator[] = CREATOR;
	struct vhdx_disk_file_identifier disk = {.signature = le64_make(VHDX_FILE_SIGNATURE)};

	_Static_assert(sizeof creator - 1 <= VHDX_CREATOR_UNITS, "the creator fits");
	for (size_t i = 0; i < sizeof creator - 1; i++)
		disk.creator[i] = le16_make((uint8_t)creator[i]);
	return blk_pwrite(file, &disk, sizeof disk, VHDX_FILE_IDENTIFIER_OFFSET, 0);
}

/* Both slots, with numbers 1 and 2. */
static struct err *write_headers(struct vhdx *vhdx)
{
	struct vhdx_header header = {
		.version = VHDX_VERSION,
		.log_version = VHDX_LOG_VERSION,
		.log_offset = LOG_OFFSET,
		.log_length = LOG_BYTES,
	};

	TRY(guid_make(&header.file_write_guid));
	TRY(guid_make(&header.data_write_guid));
	vhdx->headers.slot = 1;
	TRY(vhdx_headers_update(vhdx->file, &vhdx->headers, &header));
	return vhdx_headers_update(vhdx->file, &vhdx->headers, &header);
}

/* A fixed file has all its blocks, one after the other. */
static struct err *allocate_all(struct vhdx *vhdx)
{
	const struct vhdx_geometry *geometry = &vhdx->metadata.geometry;
	uint64_t count = geometry->block_count, offset;

	TRY(vhdx_space_take(&vhdx->space, vhdx->file, geometry->block_bytes, &count, &offset));
	for (uint64_t i = 0; i < count; i++)
		vhdx_bat_set(&vhdx->bat, i, VHDX_BLOCK_FULLY_PRESENT, offset + (i << geometry->block_shift));
	return blk_flush(&vhdx->blk);
}

static struct err *create_device(struct blk *file, const struct vhdx_create_options *options,
				 const struct log *log, struct vhdx **ret_vhdx)
{
	CLEANUP_VHDX_DEVICE struct vhdx *vhdx = NULL;

	if (file->size_bytes)
		return err_refused("%s: is not empty", file->name);
	TRY(vhdx_device_create(file, log, &vhdx));
	TRY(take_options(file->name, options, &vhdx->metadata));
	TRY(make_regions(&vhdx->metadata.geometry, &vhdx->regions));
	TRY(blk_resize(file, BAT_OFFSET + (uint64_t)vhdx->regions.bat.length_bytes));
	TRY(write_regions(vhdx));
	TRY(write_headers(vhdx));
	TRY(write_identifier(file));
	TRY(blk_flush(file));
	atomic_store(&vhdx->commit.begun, true);
	vhdx->space.gaps_known = true;
	TRY(vhdx_device_start(vhdx, BLK_FAST_ZERO, VHDX_BAT_NEW));
	if (vhdx->metadata.is_fixed)
		TRY(allocate_all(vhdx));
	vhdx->parent = options->parent;
	*ret_vhdx = take_ptr(vhdx);
	return NULL;
}

struct err *vhdx_create_on(struct blk *file, const struct vhdx_create_options *options, const struct log *log,
			   struct blk **ret_blk)
{
	struct vhdx *vhdx;

	TRY(create_device(file, options, log, &vhdx));
	*ret_blk = &vhdx->blk;
	return NULL;
}

struct err *vhdx_create(const char *path, const struct vhdx_create_options *options, const struct log *log,
			struct blk **ret_blk)
{
	struct blk *file;
	struct err *err;

	TRY(blk_file_open(path, BLK_FILE_CREATE | BLK_FILE_DIRECT, 0, &file));
	err = vhdx_create_on(file, options, log, ret_blk);
	if (err) {
		err_free(blk_close(file)); /* not every system removes what is open */
		remove(path);
	}
	return err;
}
