/* SPDX-License-Identifier: GPL-3.0-or-later */
/* p2v vhdx info: what a disk image is. */
#include <inttypes.h>
#include <stdio.h>

#include "p2v/base/json.h"
#include "p2v/cmd/vhdx.h"
#include "vhdx/format.h"
#include "vhdx/vhd.h"
#include "vhdx/vhdx.h"

static void print_help(void)
{
	fputs("p2v vhdx info FILE [options]\n"
	      "\n"
	      "Tells what a disk image is, incomplete and differencing ones included.  FILE is only read.\n"
	      "\n"
	      "  --json       all that is known, on standard output\n"
	      "  --verbose    tell each step\n",
	      stdout);
}

/* A line of the list for people. */
static void print_line(const char *name, const char *value)
{
	printf("  %-18s %s\n", name, value);
}

static void print_size(const char *name, uint64_t bytes)
{
	char text[FORMAT_BYTES];

	printf("  %-18s %s (%" PRIu64 " bytes)\n", name, format_size(bytes, text), bytes);
}

static void print_guid(const char *name, const struct guid *guid)
{
	char text[GUID_TEXT_BYTES];

	guid_format(guid, text);
	print_line(name, text);
}

static void print_sectors(uint32_t logical_bytes, uint32_t physical_bytes)
{
	printf("  %-18s %u bytes, physically %u\n", "sectors", logical_bytes, physical_bytes);
}

static void print_blocks(uint64_t allocated, uint64_t count)
{
	printf("  %-18s %" PRIu64 " of %" PRIu64 "\n", "blocks in file", allocated, count);
}

static void set_guid(json_t *json, const char *key, const struct guid *guid)
{
	char text[GUID_TEXT_BYTES];

	guid_format(guid, text);
	json_set_string(json, key, text);
}

/*
 * VHDX
 */

static void print_log(const struct vhdx_log_info *log)
{
	if (guid_is_zero(&log->guid))
		print_line("log", "empty");
	else
		printf("  %-18s %" PRIu64 " entries, taken into account here and written by who opens the "
		       "file for writing\n",
		       "log", log->replayed_entries);
}

static void print_vhdx(const char *path, const struct vhdx_info *info)
{
	printf("%s: VHDX, %s\n", path, vhdx_type_name(info->disk.type));
	print_line("state", info->incomplete
				    ? "incomplete: it is still being written, or that was interrupted"
				    : "complete");
	print_size("disk size", info->disk.size_bytes);
	print_sectors(info->disk.logical_sector_bytes, info->disk.physical_sector_bytes);
	print_size("block size", info->disk.block_bytes);
	print_blocks(info->disk.allocated_blocks, info->disk.block_count);
	print_size("file size", info->file_bytes);
	print_log(&info->log);
	print_guid("disk id", &info->disk.id);
	print_guid("data write id", &info->header.data_write_guid);
	print_line("made by", info->creator);
	for (size_t i = 0; i < info->locator_count; i++)
		print_line(info->locator[i].key, info->locator[i].value);
}

static json_t *disk_json(const struct vhdx_disk_info *disk)
{
	json_t *json = json_object(), *states = json_object();

	json_set_string(json, "type", vhdx_type_name(disk->type));
	json_set_u64(json, "size_bytes", disk->size_bytes);
	json_set_u64(json, "block_bytes", disk->block_bytes);
	json_set_u64(json, "logical_sector_bytes", disk->logical_sector_bytes);
	json_set_u64(json, "physical_sector_bytes", disk->physical_sector_bytes);
	set_guid(json, "id", &disk->id);
	json_set_u64(json, "block_count", disk->block_count);
	json_set_u64(json, "allocated_blocks", disk->allocated_blocks);
	for (unsigned state = 0; state < VHDX_BLOCK_STATES; state++)
		if (disk->blocks_by_state[state])
			json_set_u64(states, vhdx_block_state_name(state), disk->blocks_by_state[state]);
	json_object_set_new(json, "blocks_by_state", states);
	return json;
}

static json_t *header_json(const struct vhdx_header_info *header)
{
	json_t *json = json_object();

	json_set_u64(json, "file_offset", header->file_offset);
	json_set_u64(json, "sequence_number", header->sequence_number);
	json_set_u64(json, "version", header->version);
	set_guid(json, "file_write_guid", &header->file_write_guid);
	set_guid(json, "data_write_guid", &header->data_write_guid);
	json_set_bool(json, "other_is_valid", header->other_is_valid);
	return json;
}

static json_t *log_json(const struct vhdx_log_info *log)
{
	json_t *json = json_object();

	json_set_u64(json, "file_offset", log->file_offset);
	json_set_u64(json, "length_bytes", log->length_bytes);
	json_set_u64(json, "version", log->version);
	json_set_bool(json, "empty", guid_is_zero(&log->guid));
	set_guid(json, "guid", &log->guid);
	json_set_u64(json, "entries", log->replayed_entries);
	return json;
}

static json_t *regions_json(const struct vhdx_info *info)
{
	json_t *list = json_array();

	for (size_t i = 0; i < info->region_count; i++) {
		const struct vhdx_region_info *region = &info->regions[i];
		json_t *json = json_object();

		json_set_string(json, "name", region->name);
		set_guid(json, "guid", &region->guid);
		json_set_u64(json, "file_offset", region->file_offset);
		json_set_u64(json, "length_bytes", region->length_bytes);
		json_set_bool(json, "required", region->required);
		json_array_append_new(list, json);
	}
	return list;
}

static json_t *items_json(const struct vhdx_info *info)
{
	json_t *list = json_array();

	for (size_t i = 0; i < info->item_count; i++) {
		const struct vhdx_item_info *item = &info->items[i];
		json_t *json = json_object();

		json_set_string(json, "name", item->name);
		set_guid(json, "guid", &item->guid);
		json_set_u64(json, "file_offset", item->file_offset);
		json_set_u64(json, "length_bytes", item->length_bytes);
		json_set_u64(json, "flags", item->flags);
		json_array_append_new(list, json);
	}
	return list;
}

static json_t *vhdx_json(const char *path, const struct vhdx_info *info)
{
	json_t *json = json_object(), *locator = json_object();

	json_set_string(json, "file", path);
	json_set_string(json, "format", "vhdx");
	json_set_string(json, "creator", info->creator);
	json_set_u64(json, "file_bytes", info->file_bytes);
	json_set_bool(json, "incomplete", info->incomplete);
	json_object_set_new(json, "disk", disk_json(&info->disk));
	json_object_set_new(json, "header", header_json(&info->header));
	json_object_set_new(json, "log", log_json(&info->log));
	json_object_set_new(json, "regions", regions_json(info));
	json_object_set_new(json, "metadata", items_json(info));
	for (size_t i = 0; i < info->locator_count; i++)
		json_set_string(locator, info->locator[i].key, info->locator[i].value);
	json_object_set_new(json, "parent_locator", locator);
	return json;
}

static struct err *info_vhdx(const struct look_options *options, const struct log *log)
{
	CLEANUP_VHDX_INFO struct vhdx_info info = {0};
	CLEANUP_BLK struct blk *vhdx = NULL;

	TRY(vhdx_open(options->file, VHDX_OPEN_INSPECT | VHDX_OPEN_INCOMPLETE, log, &vhdx));
	TRY(vhdx_get_info(vhdx, &info));
	if (options->json)
		return vhdx_print_json(vhdx_json(options->file, &info));
	print_vhdx(options->file, &info);
	return NULL;
}

/*
 * VHD
 */

static json_t *vhd_json(const char *path, const struct vhd_info *info)
{
	json_t *json = json_object(), *disk = json_object();

	json_set_string(json, "file", path);
	json_set_string(json, "format", "vhd");
	json_set_string(json, "creator", info->creator);
	json_set_u64(json, "file_bytes", info->file_bytes);
	json_set_string(disk, "type", vhd_type_name(info->type));
	json_set_u64(disk, "size_bytes", info->size_bytes);
	json_set_u64(disk, "block_bytes", info->block_bytes);
	json_set_u64(disk, "logical_sector_bytes", 512);
	set_guid(disk, "id", &info->id);
	json_set_u64(disk, "block_count", info->block_count);
	json_set_u64(disk, "allocated_blocks", info->allocated_blocks);
	json_object_set_new(json, "disk", disk);
	return json;
}

static struct err *info_vhd(const struct look_options *options, const struct log *log)
{
	CLEANUP_BLK struct blk *vhd = NULL;
	struct vhd_info info;

	TRY(vhd_open(options->file, VHD_OPEN_INSPECT, log, &vhd));
	vhd_get_info(vhd, &info);
	if (options->json)
		return vhdx_print_json(vhd_json(options->file, &info));
	printf("%s: VHD, %s\n", options->file, vhd_type_name(info.type));
	print_size("disk size", info.size_bytes);
	print_sectors(vhd->logical_sector_bytes, vhd->physical_sector_bytes);
	if (info.block_bytes) {
		print_size("block size", info.block_bytes);
		print_blocks(info.allocated_blocks, info.block_count);
	}
	print_size("file size", info.file_bytes);
	print_guid("disk id", &info.id);
	print_line("made by", info.creator);
	return NULL;
}

/*
 * Everything else
 */

static struct err *info_other(const struct look_options *options, enum image_format format)
{
	CLEANUP_BLK struct blk *blk = NULL;
	json_t *json;

	TRY(image_is_uri(options->file) ? blk_nbd_open(options->file, 0, &blk)
					: blk_file_open(options->file, 0, 0, &blk));
	if (!options->json) {
		printf("%s: %s\n", options->file, image_format_name(format));
		print_size(format == IMAGE_RAW ? "disk size" : "file size", blk->size_bytes);
		if (format == IMAGE_RAW)
			print_sectors(blk->logical_sector_bytes, blk->physical_sector_bytes);
		return NULL;
	}
	json = json_object();
	json_set_string(json, "file", options->file);
	json_set_string(json, "format", image_format_name(format));
	json_set_u64(json, "file_bytes", blk->size_bytes);
	return vhdx_print_json(json);
}

struct err *vhdx_cmd_info(int argc, char **argv)
{
	struct look_options options = {0};
	enum image_format format;
	bool help = false;
	struct log log;

	TRY(vhdx_take_look_options(argc, argv, print_help, &options, &help));
	if (help)
		return NULL;
	log = cmd_log(options.verbose);
	TRY(image_probe(options.file, &format));
	if (format == IMAGE_VHDX)
		return info_vhdx(&options, &log);
	return format == IMAGE_VHD ? info_vhd(&options, &log) : info_other(&options, format);
}
