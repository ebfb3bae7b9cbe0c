/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Known items are one table; reading goes by it.  An item that is required but
 * not in the table makes the file unusable; any other unknown item is left alone.
 */
#include "vhdx/metadata.h"

#include <inttypes.h>
#include <string.h>

#define SMALL_ITEM_BYTES 16 /* the largest item of fixed length */

/* Takes an item's value; the length is right already. */
typedef void (*item_fn)(struct vhdx_metadata *metadata, const uint8_t *value);

static uint32_t get32(const uint8_t *value)
{
	le32 v;

	memcpy(&v, value, sizeof v);
	return le32_get(v);
}

static void take_file_parameters(struct vhdx_metadata *metadata, const uint8_t *value)
{
	struct vhdx_disk_file_parameters parameters;

	memcpy(&parameters, value, sizeof parameters);
	metadata->geometry.block_bytes = le32_get(parameters.block_size);
	metadata->geometry.has_parent = le32_get(parameters.flags) & VHDX_FILE_HAS_PARENT;
	metadata->reserved_parameters =
		le32_get(parameters.flags) & ~(VHDX_FILE_HAS_PARENT | VHDX_FILE_LEAVE_ALLOCATED);
	/* [MS-VHDX] 2.6.2.1: of no meaning in a differencing file. */
	metadata->is_fixed =
		!metadata->geometry.has_parent && le32_get(parameters.flags) & VHDX_FILE_LEAVE_ALLOCATED;
}

static void take_disk_size(struct vhdx_metadata *metadata, const uint8_t *value)
{
	le64 size;

	memcpy(&size, value, sizeof size);
	metadata->geometry.size_bytes = le64_get(size);
}

static void take_disk_id(struct vhdx_metadata *metadata, const uint8_t *value)
{
	memcpy(&metadata->disk_id, value, sizeof metadata->disk_id);
}

static void take_logical_sector(struct vhdx_metadata *metadata, const uint8_t *value)
{
	metadata->geometry.logical_sector_bytes = get32(value);
}

static void take_physical_sector(struct vhdx_metadata *metadata, const uint8_t *value)
{
	metadata->geometry.physical_sector_bytes = get32(value);
}

static void take_incomplete(struct vhdx_metadata *metadata, const uint8_t *value)
{
	(void)value;
	metadata->is_incomplete = true;
}

#define ANY_LENGTH UINT32_MAX

static const struct known_item {
	struct guid guid;
	const char *name;
	uint32_t length_bytes;
	uint32_t flags; /* what a new file has */
	bool mandatory;
	item_fn take; /* NULL: nobody here needs it */
} known_items[] = {
	{VHDX_ITEM_FILE_PARAMETERS, "file parameters", 8, VHDX_METADATA_IS_REQUIRED, true,
	 take_file_parameters},
	{VHDX_ITEM_DISK_SIZE, "disk size", 8, VHDX_METADATA_IS_REQUIRED | VHDX_METADATA_IS_VIRTUAL_DISK, true,
	 take_disk_size},
	{VHDX_ITEM_DISK_ID, "disk id", 16, VHDX_METADATA_IS_REQUIRED | VHDX_METADATA_IS_VIRTUAL_DISK, true,
	 take_disk_id},
	{VHDX_ITEM_LOGICAL_SECTOR, "logical sector size", 4,
	 VHDX_METADATA_IS_REQUIRED | VHDX_METADATA_IS_VIRTUAL_DISK, true, take_logical_sector},
	{VHDX_ITEM_PHYSICAL_SECTOR, "physical sector size", 4,
	 VHDX_METADATA_IS_REQUIRED | VHDX_METADATA_IS_VIRTUAL_DISK, true, take_physical_sector},
	{VHDX_ITEM_PARENT_LOCATOR, "parent locator", ANY_LENGTH, VHDX_METADATA_IS_REQUIRED, false, NULL},
	{VHDX_ITEM_INCOMPLETE, "incomplete", ANY_LENGTH, VHDX_METADATA_IS_REQUIRED, false, take_incomplete},
};
#define KNOWN_COUNT (sizeof known_items / sizeof known_items[0])

static const struct known_item *find_known(const struct vhdx_item *item)
{
	if (item->flags & VHDX_METADATA_IS_USER)
		return NULL;
	for (size_t i = 0; i < KNOWN_COUNT; i++)
		if (guid_equal(&item->guid, &known_items[i].guid))
			return &known_items[i];
	return NULL;
}

void vhdx_metadata_deinit(struct vhdx_metadata *metadata)
{
	free(metadata->items);
	free(metadata->new_locator);
	*metadata = (struct vhdx_metadata){0};
}

const char *vhdx_item_name(const struct vhdx_item *item)
{
	const struct known_item *known = find_known(item);

	return known ? known->name : NULL;
}

const struct vhdx_item *vhdx_metadata_find(const struct vhdx_metadata *metadata, const struct guid *guid)
{
	for (size_t i = 0; i < metadata->count; i++)
		if (!(metadata->items[i].flags & VHDX_METADATA_IS_USER) &&
		    guid_equal(&metadata->items[i].guid, guid))
			return &metadata->items[i];
	return NULL;
}

static uint64_t entry_at(uint64_t table_at, size_t i)
{
	return table_at + sizeof(struct vhdx_disk_metadata_header) +
	       i * sizeof(struct vhdx_disk_metadata_entry);
}

static struct err *decode_table(const uint8_t *table, uint64_t at, struct findings *findings,
				struct vhdx_metadata *metadata)
{
	struct vhdx_disk_metadata_header header;

	memcpy(&header, table, sizeof header);
	if (le64_get(header.signature) != VHDX_METADATA_SIGNATURE) {
		findings_add(findings, FINDING_FATAL, at, "the metadata table is damaged");
		return NULL;
	}
	if (le16_get(header.entry_count) > VHDX_METADATA_MAX_ENTRIES) {
		findings_add(findings, FINDING_FATAL, at, "the metadata table claims %u entries",
			     le16_get(header.entry_count));
		return NULL;
	}
	metadata->items = calloc(le16_get(header.entry_count) + 1u, sizeof *metadata->items);
	if (!metadata->items)
		return err_nomem();
	metadata->count = le16_get(header.entry_count);
	if (le16_get(header.reserved) || !blk_is_zero(header.reserved2, sizeof header.reserved2))
		findings_add(findings, FINDING_WARNING, at,
			     "reserved fields of the metadata table are not zero");
	for (size_t i = 0; i < metadata->count; i++) {
		struct vhdx_disk_metadata_entry entry;

		memcpy(&entry, table + sizeof header + i * sizeof entry, sizeof entry);
		metadata->items[i] = (struct vhdx_item){
			.guid = entry.item_id,
			.offset = le32_get(entry.offset),
			.length_bytes = le32_get(entry.length),
			.flags = le32_get(entry.flags),
		};
		if (le32_get(entry.reserved))
			findings_add(findings, FINDING_WARNING, entry_at(at, i),
				     "a reserved field of metadata entry %zu is not zero", i);
		if (guid_is_zero(&entry.item_id))
			findings_add(findings, FINDING_ERROR, entry_at(at, i),
				     "metadata entry %zu has no name, which Windows refuses", i);
	}
	return NULL;
}

static const char *describe(const struct vhdx_item *item, char text[GUID_TEXT_BYTES])
{
	const char *name = vhdx_item_name(item);

	if (name)
		return name;
	guid_format(&item->guid, text);
	return text;
}

/* True if the item's place is within the region, or it is empty. */
static bool is_placed(const struct vhdx_item *item, const struct vhdx_region *region)
{
	if (!item->length_bytes)
		return true;
	return item->length_bytes <= VHDX_METADATA_MAX_ITEM_BYTES &&
	       item->offset >= VHDX_METADATA_TABLE_BYTES && item->offset <= region->length_bytes &&
	       item->length_bytes <= region->length_bytes - item->offset;
}

static void check_item(const struct vhdx_item *item, const struct vhdx_region *region, uint64_t at,
		       struct findings *findings)
{
	char text[GUID_TEXT_BYTES];
	const char *name = describe(item, text);
	const struct known_item *known = find_known(item);

	if (!known && item->flags & VHDX_METADATA_IS_REQUIRED)
		findings_add_fatal(
			findings, at, "convert it where it was made",
			"has a property (metadata item %s) that must be understood, but is unknown", name);
	if (!is_placed(item, region))
		findings_add(findings, known ? FINDING_FATAL : FINDING_ERROR, at,
			     "metadata item %s (%" PRIu32 " bytes at %" PRIu32 ") lies outside its region",
			     name, item->length_bytes, item->offset);
	else if (known && known->length_bytes != ANY_LENGTH && known->length_bytes != item->length_bytes)
		findings_add(findings, FINDING_FATAL, at,
			     "metadata item %s has %" PRIu32 " bytes instead of %" PRIu32, name,
			     item->length_bytes, known->length_bytes);
	if (!item->length_bytes && item->offset)
		findings_add(findings, FINDING_WARNING, at, "metadata item %s is empty, but has an offset",
			     name);
	if (item->flags &
	    ~(VHDX_METADATA_IS_USER | VHDX_METADATA_IS_VIRTUAL_DISK | VHDX_METADATA_IS_REQUIRED))
		findings_add(findings, FINDING_WARNING, at, "reserved bits of metadata item %s are not zero",
			     name);
	if (known && !(item->flags & VHDX_METADATA_IS_REQUIRED))
		findings_add(findings, FINDING_WARNING, at, "metadata item %s is not marked as required",
			     name);
	if (known && (known->flags ^ item->flags) & VHDX_METADATA_IS_VIRTUAL_DISK)
		findings_add(findings, FINDING_ERROR, at,
			     "metadata item %s belongs to the %s, which Windows refuses", name,
			     item->flags & VHDX_METADATA_IS_VIRTUAL_DISK ? "disk" : "file");
}

static bool items_overlap(const struct vhdx_item *a, const struct vhdx_item *b)
{
	return a->length_bytes && b->length_bytes && a->offset < (uint64_t)b->offset + b->length_bytes &&
	       b->offset < (uint64_t)a->offset + a->length_bytes;
}

static bool items_are_same(const struct vhdx_item *a, const struct vhdx_item *b)
{
	return guid_equal(&a->guid, &b->guid) && !((a->flags ^ b->flags) & VHDX_METADATA_IS_USER);
}

/* Each item by itself and against all before it; one finding of a kind for each item is enough. */
static void check_items(const struct vhdx_metadata *metadata, const struct vhdx_region *region,
			struct findings *findings)
{
	char text[GUID_TEXT_BYTES];
	size_t user_count = 0;

	for (size_t i = 0; i < metadata->count; i++) {
		const struct vhdx_item *item = &metadata->items[i];
		uint64_t at = entry_at(region->file_offset, i);
		bool is_same = false, overlaps = false;

		check_item(item, region, at, findings);
		user_count += item->flags & VHDX_METADATA_IS_USER;
		for (size_t j = 0; j < i; j++) {
			is_same |= items_are_same(item, &metadata->items[j]);
			overlaps |= items_overlap(item, &metadata->items[j]);
		}
		if (is_same)
			findings_add(findings, FINDING_FATAL, at, "metadata item %s is there twice",
				     describe(item, text));
		if (overlaps)
			findings_add(findings, find_known(item) ? FINDING_FATAL : FINDING_ERROR, at,
				     "metadata item %s overlaps with another", describe(item, text));
	}
	if (user_count > VHDX_METADATA_MAX_USER_ENTRIES)
		findings_add(findings, FINDING_ERROR, region->file_offset,
			     "the metadata table has %zu user items, more than %u", user_count,
			     VHDX_METADATA_MAX_USER_ENTRIES);
}

struct err *vhdx_metadata_take(struct blk *file, const struct vhdx_region *region,
			       const struct vhdx_item *item, struct vhdx_metadata *ret_metadata,
			       bool *ret_basic)
{
	const struct known_item *known = find_known(item);
	uint8_t value[SMALL_ITEM_BYTES];

	*ret_basic = known && known->mandatory && known->length_bytes == item->length_bytes;
	if (!*ret_basic)
		return NULL;
	TRY(blk_pread(file, value, item->length_bytes, region->file_offset + item->offset));
	known->take(ret_metadata, value);
	return NULL;
}

static unsigned count_same_bytes(const struct guid *a, const struct guid *b)
{
	const uint8_t *x = (const uint8_t *)a, *y = (const uint8_t *)b;
	unsigned same = 0;

	for (size_t i = 0; i < sizeof *a; i++)
		same += x[i] == y[i];
	return same;
}

bool vhdx_metadata_nearest(struct vhdx_item *item)
{
	for (size_t k = 0; k < KNOWN_COUNT; k++) {
		if (!known_items[k].mandatory || count_same_bytes(&item->guid, &known_items[k].guid) < 12)
			continue;
		item->guid = known_items[k].guid;
		item->flags = known_items[k].flags;
		item->length_bytes = known_items[k].length_bytes;
		return true;
	}
	return false;
}

static struct err *take_values(struct blk *file, const struct vhdx_region *region, struct findings *findings,
			       struct vhdx_metadata *metadata)
{
	for (size_t k = 0; k < KNOWN_COUNT; k++) {
		const struct vhdx_item *item = vhdx_metadata_find(metadata, &known_items[k].guid);
		uint8_t value[SMALL_ITEM_BYTES];

		if (!item && known_items[k].mandatory)
			findings_add(findings, FINDING_FATAL, region->file_offset,
				     "metadata item %s is missing", known_items[k].name);
		if (!item || !known_items[k].take)
			continue;
		if (known_items[k].length_bytes != ANY_LENGTH)
			TRY(blk_pread(file, value, known_items[k].length_bytes,
				      region->file_offset + item->offset));
		known_items[k].take(metadata, value);
	}
	return NULL;
}

struct err *vhdx_metadata_read(struct blk *file, const struct vhdx_region *region, struct findings *findings,
			       struct vhdx_metadata *ret_metadata)
{
	CLEANUP_FREE uint8_t *table = malloc(VHDX_METADATA_TABLE_BYTES);
	enum vhdx_geometry_status status;

	if (!table)
		return err_nomem();
	TRY(blk_pread(file, table, VHDX_METADATA_TABLE_BYTES, region->file_offset));
	TRY(decode_table(table, region->file_offset, findings, ret_metadata));
	if (findings->fatal)
		return NULL;
	check_items(ret_metadata, region, findings);
	if (findings->fatal)
		return NULL;
	TRY(take_values(file, region, findings, ret_metadata));
	if (findings->fatal)
		return NULL;
	if (ret_metadata->reserved_parameters)
		findings_add(findings, FINDING_WARNING, region->file_offset,
			     "reserved bits of the file parameters are not zero");
	status = vhdx_geometry_derive(&ret_metadata->geometry);
	if (status != VHDX_GEOMETRY_OK)
		findings_add(findings, FINDING_FATAL, region->file_offset, "%s",
			     vhdx_geometry_status_text(status));
	return NULL;
}

/* The value of item k in the form in which it lies on disk. */
static void encode_value(const struct vhdx_metadata *metadata, const struct guid *guid, uint8_t *ret_value)
{
	struct vhdx_disk_file_parameters parameters = {
		.block_size = le32_make(metadata->geometry.block_bytes),
		.flags = le32_make((metadata->is_fixed ? VHDX_FILE_LEAVE_ALLOCATED : 0) |
				   (metadata->geometry.has_parent ? VHDX_FILE_HAS_PARENT : 0)),
	};
	le64 size = le64_make(metadata->geometry.size_bytes);
	le32 logical = le32_make(metadata->geometry.logical_sector_bytes);
	le32 physical = le32_make(metadata->geometry.physical_sector_bytes);
	const struct {
		struct guid guid;
		const void *value;
		size_t bytes;
	} values[] = {
		{VHDX_ITEM_FILE_PARAMETERS, &parameters, sizeof parameters},
		{VHDX_ITEM_DISK_SIZE, &size, sizeof size},
		{VHDX_ITEM_DISK_ID, &metadata->disk_id, sizeof metadata->disk_id},
		{VHDX_ITEM_LOGICAL_SECTOR, &logical, sizeof logical},
		{VHDX_ITEM_PHYSICAL_SECTOR, &physical, sizeof physical},
	};

	for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
		if (guid_equal(guid, &values[i].guid))
			memcpy(ret_value, values[i].value, values[i].bytes);
}

size_t vhdx_metadata_new_bytes(const struct vhdx_metadata *metadata)
{
	return VHDX_METADATA_NEW_BYTES + (size_t)metadata->new_locator_bytes;
}

/* True if a new file has the item; then *ret_bytes is its length. */
static bool is_in_new_file(const struct vhdx_metadata *metadata, const struct known_item *known,
			   uint32_t *ret_bytes)
{
	*ret_bytes = known->length_bytes;
	if (known->mandatory)
		return true;
	*ret_bytes = 0;
	if (known->take == take_incomplete)
		return metadata->is_incomplete;
	*ret_bytes = metadata->new_locator_bytes;
	return metadata->new_locator_bytes;
}

/* The order is that of known_items: the marker comes last, so that taking it out moves nothing. */
void vhdx_metadata_encode(const struct vhdx_metadata *metadata, uint8_t *ret_bytes)
{
	struct vhdx_disk_metadata_header header = {.signature = le64_make(VHDX_METADATA_SIGNATURE)};
	uint32_t offset = VHDX_METADATA_TABLE_BYTES, bytes;
	uint16_t count = 0;

	memset(ret_bytes, 0, vhdx_metadata_new_bytes(metadata));
	for (size_t k = 0; k < KNOWN_COUNT; k++) {
		struct vhdx_disk_metadata_entry entry;

		if (!is_in_new_file(metadata, &known_items[k], &bytes))
			continue;
		entry = (struct vhdx_disk_metadata_entry){
			.item_id = known_items[k].guid,
			.offset = le32_make(bytes ? offset : 0),
			.length = le32_make(bytes),
			.flags = le32_make(known_items[k].flags),
		};
		memcpy(ret_bytes + entry_at(0, count++), &entry, sizeof entry);
		if (known_items[k].mandatory)
			encode_value(metadata, &known_items[k].guid, ret_bytes + offset);
		else if (bytes)
			memcpy(ret_bytes + offset, metadata->new_locator, bytes);
		offset += bytes;
	}
	header.entry_count = le16_make(count);
	memcpy(ret_bytes, &header, sizeof header);
}

void vhdx_metadata_table_complete(uint8_t *table)
{
	static const struct guid marker = VHDX_ITEM_INCOMPLETE;
	struct vhdx_disk_metadata_header header;
	size_t kept = 0, count;

	memcpy(&header, table, sizeof header);
	count = le16_get(header.entry_count);
	for (size_t i = 0; i < count; i++) {
		struct vhdx_disk_metadata_entry entry;

		memcpy(&entry, table + entry_at(0, i), sizeof entry);
		if (guid_equal(&entry.item_id, &marker) && !(le32_get(entry.flags) & VHDX_METADATA_IS_USER))
			continue;
		memcpy(table + entry_at(0, kept++), &entry, sizeof entry);
	}
	memset(table + entry_at(0, kept), 0, (count - kept) * sizeof(struct vhdx_disk_metadata_entry));
	header.entry_count = le16_make((uint16_t)kept);
	memcpy(table, &header, sizeof header);
}

bool vhdx_metadata_table_mark(uint8_t *table)
{
	const struct vhdx_disk_metadata_entry marker = {
		.item_id = VHDX_ITEM_INCOMPLETE,
		.flags = le32_make(VHDX_METADATA_IS_REQUIRED),
	};
	struct vhdx_disk_metadata_header header;
	uint16_t count;

	memcpy(&header, table, sizeof header);
	count = le16_get(header.entry_count);
	if (count >= VHDX_METADATA_MAX_ENTRIES)
		return false;
	memcpy(table + entry_at(0, count), &marker, sizeof marker);
	header.entry_count = le16_make(count + 1);
	memcpy(table, &header, sizeof header);
	return true;
}
