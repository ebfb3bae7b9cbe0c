/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Strings from a file are bounds-checked in take_text() alone.  What the pairs
 * mean is for chain.c to know.
 */
#include "vhdx/locator.h"

#include <string.h>

#include "vhdx/utf16.h"

#define MAX_STRING_BYTES 65534u /* the length is 16 bits, and even */
#define GUID_VALUE_BYTES (GUID_TEXT_BYTES + 2) /* with braces */

void vhdx_locator_deinit(struct vhdx_locator *locator)
{
	for (size_t i = 0; i < locator->count; i++) {
		free(locator->pairs[i].key);
		free(locator->pairs[i].value);
	}
	free(locator->pairs);
	*locator = (struct vhdx_locator){0};
}

static struct err *refuse_damaged(const char *name)
{
	return err_advise(err_refused("%s: the parent locator is damaged", name),
			  "copy the file again from where it came from; 'p2v vhdx check' lists all that is "
			  "wrong");
}

/* A string of the item. */
static struct err *take_text(const uint8_t *item, uint32_t item_bytes, uint32_t offset, uint16_t bytes,
			     const char *name, char **ret_text)
{
	CLEANUP_FREE le16 *units = NULL;

	if (offset > item_bytes || bytes > item_bytes - offset || bytes % sizeof *units)
		return refuse_damaged(name);
	units = malloc(bytes + sizeof *units);
	if (!units)
		return err_nomem();
	memcpy(units, item + offset, bytes);
	*ret_text = vhdx_utf8_from_utf16(units, bytes / sizeof *units);
	return *ret_text ? NULL : err_nomem();
}

static bool has_nul(const uint8_t *units, size_t bytes)
{
	for (size_t i = 0; i < bytes; i += sizeof(le16))
		if (!units[i] && !units[i + 1])
			return true;
	return false;
}

/* [MS-VHDX] 2.6.2.6.2 of one entry whose strings lie within the item. */
static void check_entry(struct vhdx_locator *locator, const uint8_t *item,
			const struct vhdx_disk_locator_entry *entry)
{
	uint32_t key = le32_get(entry->key_offset), value = le32_get(entry->value_offset);
	uint16_t key_bytes = le16_get(entry->key_length), value_bytes = le16_get(entry->value_length);

	if (!key || !key_bytes || !value || !value_bytes)
		locator->odd = "has an empty key or value, which Windows refuses";
	else if (has_nul(item + key, key_bytes) || has_nul(item + value, value_bytes))
		locator->odd = "has a NUL in a key or value, which Windows refuses";
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* There may be tens of thousands. */
static struct err *check_keys(struct vhdx_locator *locator)
{
	CLEANUP_FREE const char **keys = calloc(locator->count + 1, sizeof *keys);

	if (!keys)
		return err_nomem();
	for (size_t i = 0; i < locator->count; i++)
		keys[i] = locator->pairs[i].key;
	qsort(keys, locator->count, sizeof *keys, compare_keys);
	for (size_t i = 1; i < locator->count; i++)
		if (!strcmp(keys[i - 1], keys[i]))
			locator->odd = "has a key twice";
	return NULL;
}

static struct err *decode(const uint8_t *item, uint32_t bytes, const char *name, struct vhdx_locator *locator)
{
	struct vhdx_disk_locator_header header;
	size_t count;

	if (bytes < sizeof header)
		return refuse_damaged(name);
	memcpy(&header, item, sizeof header);
	locator->type = header.locator_type;
	locator->has_reserved = le16_get(header.reserved);
	count = le16_get(header.key_value_count);
	if (count > (bytes - sizeof header) / sizeof(struct vhdx_disk_locator_entry))
		return refuse_damaged(name);
	locator->pairs = calloc(count + 1, sizeof *locator->pairs);
	if (!locator->pairs)
		return err_nomem();
	for (size_t i = 0; i < count; i++) {
		struct vhdx_locator_pair *pair = &locator->pairs[locator->count++];
		struct vhdx_disk_locator_entry entry;

		memcpy(&entry, item + sizeof header + i * sizeof entry, sizeof entry);
		TRY(take_text(item, bytes, le32_get(entry.key_offset), le16_get(entry.key_length), name,
			      &pair->key));
		TRY(take_text(item, bytes, le32_get(entry.value_offset), le16_get(entry.value_length), name,
			      &pair->value));
		check_entry(locator, item, &entry);
	}
	return check_keys(locator);
}

struct err *vhdx_locator_read(struct blk *file, const struct vhdx_region *region,
			      const struct vhdx_metadata *metadata, struct vhdx_locator *ret_locator)
{
	static const struct guid guid = VHDX_ITEM_PARENT_LOCATOR;
	const struct vhdx_item *item = vhdx_metadata_find(metadata, &guid);
	CLEANUP_VHDX_LOCATOR struct vhdx_locator locator = {0};
	CLEANUP_FREE uint8_t *data = NULL;

	if (item) {
		data = malloc(item->length_bytes + 1);
		if (!data)
			return err_nomem();
		if (item->length_bytes)
			TRY(blk_pread(file, data, item->length_bytes, region->file_offset + item->offset));
		TRY(decode(data, item->length_bytes, file->name, &locator));
	}
	*ret_locator = locator;
	locator = (struct vhdx_locator){0};
	return NULL;
}

static struct vhdx_locator_pair *find_pair(const struct vhdx_locator *locator, const char *key)
{
	for (size_t i = 0; i < locator->count; i++)
		if (!strcmp(locator->pairs[i].key, key))
			return &locator->pairs[i];
	return NULL;
}

const char *vhdx_locator_find(const struct vhdx_locator *locator, const char *key)
{
	const struct vhdx_locator_pair *pair = find_pair(locator, key);

	return pair ? pair->value : NULL;
}

static struct err *add_pair(struct vhdx_locator *locator, const char *key)
{
	struct vhdx_locator_pair *pairs = reallocarray(locator->pairs, locator->count + 1, sizeof *pairs);

	if (!pairs)
		return err_nomem();
	locator->pairs = pairs;
	pairs[locator->count] = (struct vhdx_locator_pair){.key = strdup(key)};
	if (!pairs[locator->count].key)
		return err_nomem();
	locator->count++;
	return NULL;
}

struct err *vhdx_locator_set(struct vhdx_locator *locator, const char *key, const char *value)
{
	CLEANUP_FREE char *copy = strdup(value);
	struct vhdx_locator_pair *pair;

	if (!copy)
		return err_nomem();
	if (!find_pair(locator, key))
		TRY(add_pair(locator, key));
	pair = find_pair(locator, key);
	free(pair->value);
	pair->value = take_ptr(copy);
	return NULL;
}

struct err *vhdx_locator_set_guid(struct vhdx_locator *locator, const char *key, const struct guid *value)
{
	char text[GUID_VALUE_BYTES];

	text[0] = '{';
	guid_format(value, text + 1);
	memcpy(text + sizeof text - 2, "}", 2);
	return vhdx_locator_set(locator, key, text);
}

const char *vhdx_locator_check(const struct vhdx_locator *locator, struct vhdx_linkage *ret_linkage)
{
	static const struct guid type = VHDX_LOCATOR_TYPE;
	const char *first = vhdx_locator_find(locator, VHDX_LOCATOR_LINKAGE);
	const char *second = vhdx_locator_find(locator, VHDX_LOCATOR_LINKAGE_2);
	struct vhdx_linkage linkage = {0};

	if (!locator->count)
		return "is missing, or empty";
	if (!guid_equal(&locator->type, &type))
		return "is of a kind that is unknown";
	if (!first)
		return "does not tell which parent it means (parent_linkage)";
	if (!guid_parse(first, &linkage.ids[0]) || (second && !guid_parse(second, &linkage.ids[1])))
		return "holds an identifier of the parent that is none";
	if (!vhdx_locator_find(locator, VHDX_LOCATOR_RELATIVE) &&
	    !vhdx_locator_find(locator, VHDX_LOCATOR_VOLUME) &&
	    !vhdx_locator_find(locator, VHDX_LOCATOR_ABSOLUTE))
		return "does not tell where the parent is";
	*ret_linkage = linkage;
	return NULL;
}

bool vhdx_linkage_allows(const struct vhdx_linkage *linkage, const struct guid *data_write_guid)
{
	/* The second is zero where it means nothing: so Windows writes it. */
	return guid_equal(&linkage->ids[0], data_write_guid) ||
	       (!guid_is_zero(&linkage->ids[1]) && guid_equal(&linkage->ids[1], data_write_guid));
}

/* A key or value as it lies on disk. */
struct encoded {
	le16 *units;
	size_t bytes;
};

static void encoded_free(struct encoded *strings, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(strings[i].units);
	free(strings);
}

static struct err *encode_string(const char *text, struct encoded *ret_string)
{
	size_t count;

	ret_string->units = vhdx_utf16_from_utf8(text, &count);
	if (!ret_string->units)
		return err_nomem();
	ret_string->bytes = count * sizeof(le16);
	if (ret_string->bytes > MAX_STRING_BYTES)
		return err_advise(err_refused("'%.60s…': is too long for a parent locator", text),
				  "use a shorter path");
	return NULL;
}

static struct err *encode_strings(const struct vhdx_locator *locator, struct encoded *strings)
{
	for (size_t i = 0; i < locator->count; i++) {
		TRY(encode_string(locator->pairs[i].key, &strings[2 * i]));
		TRY(encode_string(locator->pairs[i].value, &strings[2 * i + 1]));
	}
	return NULL;
}

/* Header, entries, then the strings in their order. */
static struct err *lay_out(const struct vhdx_locator *locator, const struct encoded *strings,
			   uint8_t **ret_item, uint32_t *ret_bytes)
{
	struct vhdx_disk_locator_header header = {
		.locator_type = locator->type,
		.key_value_count = le16_make((uint16_t)locator->count),
	};
	size_t at = sizeof header + locator->count * sizeof(struct vhdx_disk_locator_entry), bytes = at;
	uint8_t *item;

	for (size_t i = 0; i < 2 * locator->count; i++)
		bytes += strings[i].bytes;
	if (locator->count > UINT16_MAX || bytes > VHDX_METADATA_MAX_ITEM_BYTES)
		return err_refused("the parent locator would be too long (%zu bytes)", bytes);
	item = malloc(bytes);
	if (!item)
		return err_nomem();
	memcpy(item, &header, sizeof header);
	for (size_t i = 0; i < locator->count; i++) {
		const struct encoded *key = &strings[2 * i], *value = key + 1;
		struct vhdx_disk_locator_entry entry = {
			.key_offset = le32_make((uint32_t)at),
			.value_offset = le32_make((uint32_t)(at + key->bytes)),
			.key_length = le16_make((uint16_t)key->bytes),
			.value_length = le16_make((uint16_t)value->bytes),
		};

		memcpy(item + sizeof header + i * sizeof entry, &entry, sizeof entry);
		memcpy(item + at, key->units, key->bytes);
		memcpy(item + at + key->bytes, value->units, value->bytes);
		at += key->bytes + value->bytes;
	}
	*ret_item = item;
	*ret_bytes = (uint32_t)bytes;
	return NULL;
}

struct err *vhdx_locator_encode(const struct vhdx_locator *locator, uint8_t **ret_item, uint32_t *ret_bytes)
{
	struct encoded *strings = calloc(2 * locator->count + 1, sizeof *strings);
	struct err *err;

	if (!strings)
		return err_nomem();
	err = encode_strings(locator, strings);
	if (!err)
		err = lay_out(locator, strings, ret_item, ret_bytes);
	encoded_free(strings, 2 * locator->count);
	return err;
}
