/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One table says for every type how long a body may be and who decodes it; a
 * decoder then knows that its fixed part is there.
 */
#include "p2v/sync/codec.h"

#include <string.h>

#define MAX_JOB_BYTES                                    \
	(sizeof(struct wire_job) + WIRE_MAX_NAME_BYTES + \
	 WIRE_MAX_DISKS * (sizeof(struct wire_disk) + WIRE_MAX_ID_BYTES))

#define MAX_ANNOUNCE_BYTES (sizeof(struct wire_announce) + WIRE_ANNOUNCE_TEXTS * WIRE_MAX_ANNOUNCE_TEXT_BYTES)

_Static_assert(sizeof(struct wire_header) + MAX_JOB_BYTES <= WIRE_MAX_HEAD_BYTES, "a JOB has room");
_Static_assert(sizeof(struct wire_hashes) + WIRE_MAX_HASHES * WIRE_HASH_BYTES <= WIRE_MAX_HEAD_BYTES - 8,
	       "a HASHES has room");

static bool all_zero(const void *bytes, size_t count)
{
	const uint8_t *at = bytes;

	for (size_t i = 0; i < count; i++)
		if (at[i])
			return false;
	return true;
}

/* No control characters, which a terminal would obey; that it is UTF-8 is left to the terminal. */
static bool is_printable(const char *text, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
	return true;
}

static enum wire_result decode_hello(const uint8_t *body, size_t bytes, struct message *message)
{
	struct wire_hello hello;

	(void)bytes;
	memcpy(&hello, body, sizeof hello);
	if (memcmp(hello.magic, WIRE_MAGIC, sizeof hello.magic))
		return WIRE_BAD_MAGIC;
	message->hello = (struct message_hello){
		.min_version = le16_get(hello.min_version),
		.max_version = le16_get(hello.max_version),
		.purpose = hello.purpose,
	};
	memcpy(message->hello.token, hello.token, sizeof hello.token);
	if (!all_zero(hello.zero, sizeof hello.zero) ||
	    message->hello.min_version > message->hello.max_version ||
	    (hello.purpose != WIRE_CONTROL && hello.purpose != WIRE_LANE) ||
	    (hello.purpose == WIRE_CONTROL && !all_zero(hello.token, sizeof hello.token)))
		return WIRE_BAD_FIELD;
	return WIRE_OK;
}

static enum wire_result decode_welcome(const uint8_t *body, size_t bytes, struct message *message)
{
	struct wire_welcome welcome;
	struct message_welcome *to = &message->welcome;

	(void)bytes;
	memcpy(&welcome, body, sizeof welcome);
	to->version = le16_get(welcome.version);
	to->max_lanes = le16_get(welcome.max_lanes);
	to->window_bytes = le32_get(welcome.window_bytes);
	memcpy(to->token, welcome.token, sizeof to->token);
	if (!to->max_lanes || to->max_lanes > WIRE_MAX_LANES || to->window_bytes < 2 * WIRE_MAX_DATA_BYTES ||
	    (uint64_t)to->window_bytes * to->max_lanes > WIRE_MAX_WINDOW_BYTES)
		return WIRE_BAD_FIELD;
	return WIRE_OK;
}

static enum wire_result decode_refused(const uint8_t *body, size_t bytes, struct message *message)
{
	struct wire_refused refused;

	memcpy(&refused, body, sizeof refused);
	message->refused = (struct message_refused){
		.reason = le16_get(refused.reason),
		.text = (const char *)body + sizeof refused,
		.text_bytes = le16_get(refused.text_bytes),
	};
	bytes -= sizeof refused;
	if (message->refused.text_bytes > bytes)
		return WIRE_BAD_LENGTH;
	message->refused.advice = message->refused.text + message->refused.text_bytes;
	message->refused.advice_bytes = bytes - message->refused.text_bytes;
	if (message->refused.text_bytes > WIRE_MAX_TEXT_BYTES ||
	    message->refused.advice_bytes > WIRE_MAX_TEXT_BYTES)
		return WIRE_BAD_LENGTH;
	if (!message->refused.reason)
		return WIRE_BAD_FIELD;
	return is_printable(message->refused.text, bytes) ? WIRE_OK : WIRE_BAD_TEXT;
}

static bool is_sector(uint16_t bytes)
{
	return bytes == 512 || bytes == 4096;
}

static bool is_disk(const struct message_disk *disk)
{
	return is_sector(disk->logical_sector_bytes) && is_sector(disk->physical_sector_bytes) &&
	       disk->physical_sector_bytes >= disk->logical_sector_bytes && disk->size_bytes &&
	       disk->size_bytes <= WIRE_MAX_DISK_BYTES &&
	       disk->size_bytes % disk->logical_sector_bytes == 0 && disk->data_bytes <= disk->size_bytes &&
	       disk->block_bytes >= WIRE_MIN_BLOCK_BYTES && disk->block_bytes <= WIRE_MAX_BLOCK_BYTES &&
	       !(disk->block_bytes & (disk->block_bytes - 1));
}

/* Takes one disk off the front of what is left of the body. */
static enum wire_result decode_disk(const uint8_t **body, size_t *bytes, struct message_disk *disk)
{
	struct wire_disk wire;

	if (*bytes < sizeof wire)
		return WIRE_BAD_LENGTH;
	memcpy(&wire, *body, sizeof wire);
	*body += sizeof wire;
	*bytes -= sizeof wire;
	*disk = (struct message_disk){
		.size_bytes = le64_get(wire.size_bytes),
		.data_bytes = le64_get(wire.data_bytes),
		.block_bytes = le32_get(wire.block_bytes),
		.logical_sector_bytes = le16_get(wire.logical_sector_bytes),
		.physical_sector_bytes = le16_get(wire.physical_sector_bytes),
		.id = (const char *)*body,
		.id_bytes = le16_get(wire.id_bytes),
	};
	if (disk->id_bytes > *bytes)
		return WIRE_BAD_LENGTH;
	*body += disk->id_bytes;
	*bytes -= disk->id_bytes;
	if (!is_disk(disk) || !all_zero(wire.zero, sizeof wire.zero))
		return WIRE_BAD_FIELD;
	return wire_is_disk_id(disk->id, disk->id_bytes) ? WIRE_OK : WIRE_BAD_TEXT;
}

static bool is_new_id(const struct message_job *job, size_t index)
{
	const struct message_disk *disk = &job->disks[index];

	for (size_t i = 0; i < index; i++)
		if (job->disks[i].id_bytes == disk->id_bytes &&
		    !memcmp(job->disks[i].id, disk->id, disk->id_bytes))
			return false;
	return true;
}

static enum wire_result decode_job(const uint8_t *body, size_t bytes, struct message *message)
{
	struct message_job *job = &message->job;
	struct wire_job wire;

	memcpy(&wire, body, sizeof wire);
	body += sizeof wire;
	bytes -= sizeof wire;
	job->name = (const char *)body;
	job->name_bytes = le16_get(wire.name_bytes);
	job->disk_count = le16_get(wire.disk_count);
	memcpy(job->run, wire.run, sizeof job->run);
	if (job->name_bytes > bytes)
		return WIRE_BAD_LENGTH;
	if (!wire_is_job_name(job->name, job->name_bytes))
		return WIRE_BAD_TEXT;
	if (!job->disk_count || job->disk_count > WIRE_MAX_DISKS || le32_get(wire.zero))
		return WIRE_BAD_FIELD;
	body += job->name_bytes;
	bytes -= job->name_bytes;
	for (size_t i = 0; i < job->disk_count; i++) {
		enum wire_result result = decode_disk(&body, &bytes, &job->disks[i]);

		if (result)
			return result;
		if (!is_new_id(job, i))
			return WIRE_BAD_TEXT;
	}
	return bytes ? WIRE_BAD_LENGTH : WIRE_OK;
}

static enum wire_result decode_ready(const uint8_t *body, size_t bytes, struct message *message)
{
	struct message_ready *ready = &message->ready;

	ready->hash_key = body;
	ready->disk_flags = body + sizeof(struct wire_ready);
	ready->disk_count = bytes - sizeof(struct wire_ready);
	for (size_t i = 0; i < ready->disk_count; i++)
		if (ready->disk_flags[i] & ~WIRE_DISK_FLAGS)
			return WIRE_BAD_FIELD;
	return WIRE_OK;
}

static enum wire_result decode_empty(const uint8_t *body, size_t bytes, struct message *message)
{
	(void)body;
	(void)bytes;
	(void)message;
	return WIRE_OK;
}

static enum wire_result decode_commit(const uint8_t *body, size_t bytes, struct message *message)
{
	struct wire_commit commit;

	memcpy(&commit, body, sizeof commit);
	message->commit = (struct message_commit){
		.flags = le32_get(commit.flags),
		.roots = (const struct root *)(body + sizeof commit),
		.disk_count = (bytes - sizeof commit) / WIRE_ROOT_BYTES,
	};
	if ((bytes - sizeof commit) % WIRE_ROOT_BYTES)
		return WIRE_BAD_LENGTH;
	return message->commit.flags & ~WIRE_COMMIT_FLAGS || le32_get(commit.zero) ? WIRE_BAD_FIELD : WIRE_OK;
}

static enum wire_result decode_committed(const uint8_t *body, size_t bytes, struct message *message)
{
	memcpy(message->committed.bytes, body, bytes);
	return WIRE_OK;
}

static enum wire_result get_query(const uint8_t *body, struct message_query *query)
{
	struct wire_query wire;

	memcpy(&wire, body, sizeof wire);
	*query = (struct message_query){
		.disk = le32_get(wire.disk),
		.level = le16_get(wire.level),
		.count = le16_get(wire.count),
		.first = le64_get(wire.first),
	};
	return query->level > WIRE_PAGES || !query->count || query->count > WIRE_MAX_HASHES ? WIRE_BAD_FIELD
											    : WIRE_OK;
}

static enum wire_result decode_query(const uint8_t *body, size_t bytes, struct message *message)
{
	(void)bytes;
	return get_query(body, &message->query);
}

static enum wire_result decode_hashes(const uint8_t *body, size_t bytes, struct message *message)
{
	enum wire_result result = get_query(body, &message->hashes.of);

	message->hashes.hashes = (const wire_hash *)(body + sizeof(struct wire_hashes));
	if (result)
		return result;
	return bytes - sizeof(struct wire_hashes) == (size_t)message->hashes.of.count * WIRE_HASH_BYTES
		       ? WIRE_OK
		       : WIRE_BAD_LENGTH;
}

static enum wire_result decode_data(const uint8_t *body, size_t bytes, struct message *message)
{
	struct message_data *data = &message->data;
	struct wire_data wire;
	size_t hashes_bytes;

	memcpy(&wire, body, sizeof wire);
	*data = (struct message_data){
		.disk = le32_get(wire.disk),
		.encoding = le16_get(wire.encoding),
		.block_count = le16_get(wire.block_count),
		.first_block = le64_get(wire.first_block),
		.hashes = (const wire_hash *)(body + sizeof wire),
	};
	if (data->encoding > WIRE_ZSTD || !data->block_count || data->block_count > WIRE_MAX_DATA_BLOCKS)
		return WIRE_BAD_FIELD;
	hashes_bytes = (size_t)data->block_count * WIRE_HASH_BYTES;
	if (bytes - sizeof wire <= hashes_bytes)
		return WIRE_BAD_LENGTH;
	data->payload = body + sizeof wire + hashes_bytes;
	data->payload_bytes = bytes - sizeof wire - hashes_bytes;
	return WIRE_OK;
}

static enum wire_result decode_zero(const uint8_t *body, size_t bytes, struct message *message)
{
	struct wire_zero zero;

	(void)bytes;
	memcpy(&zero, body, sizeof zero);
	message->zero = (struct message_zero){
		.disk = le32_get(zero.disk),
		.first_block = le64_get(zero.first_block),
		.block_count = le64_get(zero.block_count),
	};
	return le32_get(zero.zero) || !message->zero.block_count ? WIRE_BAD_FIELD : WIRE_OK;
}

static enum wire_result decode_durable(const uint8_t *body, size_t bytes, struct message *message)
{
	struct wire_durable durable;

	(void)bytes;
	memcpy(&durable, body, sizeof durable);
	message->durable = le64_get(durable.count);
	return WIRE_OK;
}

static enum wire_result decode_machine(const uint8_t *body, size_t bytes, struct message *message)
{
	message->machine = (struct message_machine){body, bytes};
	return WIRE_OK;
}

static enum wire_result decode_announce(const uint8_t *body, size_t bytes, struct message *message)
{
	struct message_announce *announce = &message->announce;
	struct wire_announce wire;
	const char *text = (const char *)body + sizeof wire;

	memcpy(&wire, body, sizeof wire);
	bytes -= sizeof wire;
	memcpy(announce->id, wire.id, sizeof announce->id);
	announce->up_seconds = le32_get(wire.up_seconds);
	announce->phase = wire.phase;
	if (wire.phase >= WIRE_PHASES || !all_zero(wire.zero, sizeof wire.zero) ||
	    all_zero(wire.id, sizeof wire.id))
		return WIRE_BAD_FIELD;
	for (unsigned i = 0; i < WIRE_ANNOUNCE_TEXTS; i++) {
		size_t text_bytes = le16_get(wire.text_bytes[i]);

		if (text_bytes > bytes || text_bytes > wire_max_text_bytes(i))
			return WIRE_BAD_LENGTH;
		if (!wire_is_ascii(text, text_bytes))
			return WIRE_BAD_TEXT;
		announce->texts[i].text = text;
		announce->texts[i].bytes = text_bytes;
		text += text_bytes;
		bytes -= text_bytes;
	}
	if (!wire_is_job_name(announce->texts[WIRE_TEXT_NAME].text, announce->texts[WIRE_TEXT_NAME].bytes))
		return WIRE_BAD_TEXT;
	return bytes ? WIRE_BAD_LENGTH : WIRE_OK;
}

static enum wire_result decode_bundle(const uint8_t *body, size_t bytes, struct message *message)
{
	struct wire_bundle bundle;

	(void)bytes;
	memcpy(&bundle, body, sizeof bundle);
	message->bundle_bytes = le32_get(bundle.size_bytes);
	return le32_get(bundle.zero) || !message->bundle_bytes ||
			       message->bundle_bytes > WIRE_MAX_BUNDLE_BYTES
		       ? WIRE_BAD_FIELD
		       : WIRE_OK;
}

static enum wire_result decode_part(const uint8_t *body, size_t bytes, struct message *message)
{
	message->part = (struct message_part){body, bytes};
	return WIRE_OK;
}

/* By enum wire_type; the body's limits in bytes. */
static const struct {
	const char *name;
	uint32_t min_bytes, max_bytes;
	enum wire_result (*decode)(const uint8_t *body, size_t bytes, struct message *message);
} wire_types[] = {
	[WIRE_HELLO] = {"HELLO", sizeof(struct wire_hello), sizeof(struct wire_hello), decode_hello},
	[WIRE_WELCOME] = {"WELCOME", sizeof(struct wire_welcome), sizeof(struct wire_welcome),
			  decode_welcome},
	[WIRE_REFUSED] = {"REFUSED", sizeof(struct wire_refused),
			  sizeof(struct wire_refused) + 2 * WIRE_MAX_TEXT_BYTES, decode_refused},
	[WIRE_JOB] = {"JOB", sizeof(struct wire_job), MAX_JOB_BYTES, decode_job},
	[WIRE_READY] = {"READY", sizeof(struct wire_ready) + 1, sizeof(struct wire_ready) + WIRE_MAX_DISKS,
			decode_ready},
	[WIRE_ALIVE] = {"ALIVE", 0, 0, decode_empty},
	[WIRE_COMMIT] = {"COMMIT", sizeof(struct wire_commit) + WIRE_ROOT_BYTES,
			 sizeof(struct wire_commit) + WIRE_MAX_DISKS *WIRE_ROOT_BYTES, decode_commit},
	[WIRE_COMMITTED] = {"COMMITTED", WIRE_ROOT_BYTES, WIRE_ROOT_BYTES, decode_committed},
	[WIRE_QUERY] = {"QUERY", sizeof(struct wire_query), sizeof(struct wire_query), decode_query},
	[WIRE_HASHES] = {"HASHES", sizeof(struct wire_hashes) + WIRE_HASH_BYTES,
			 sizeof(struct wire_hashes) + WIRE_MAX_HASHES *WIRE_HASH_BYTES, decode_hashes},
	[WIRE_DATA] = {"DATA", sizeof(struct wire_data) + WIRE_HASH_BYTES + 1, WIRE_MAX_BODY_BYTES,
		       decode_data},
	[WIRE_ZERO] = {"ZERO", sizeof(struct wire_zero), sizeof(struct wire_zero), decode_zero},
	[WIRE_SYNC] = {"SYNC", 0, 0, decode_empty},
	[WIRE_DURABLE] = {"DURABLE", sizeof(struct wire_durable), sizeof(struct wire_durable),
			  decode_durable},
	[WIRE_MACHINE] = {"MACHINE", 1, WIRE_MAX_MACHINE_BYTES, decode_machine},
	[WIRE_ANNOUNCE] = {"ANNOUNCE", sizeof(struct wire_announce), MAX_ANNOUNCE_BYTES, decode_announce},
	[WIRE_BUNDLE] = {"BUNDLE", sizeof(struct wire_bundle), sizeof(struct wire_bundle), decode_bundle},
	[WIRE_PART] = {"PART", 1, WIRE_MAX_PART_BYTES, decode_part},
};
#define WIRE_TYPES (sizeof wire_types / sizeof wire_types[0])

const char *wire_type_name(enum wire_type type)
{
	return type < WIRE_TYPES && wire_types[type].name ? wire_types[type].name : "unknown";
}

const char *wire_result_name(enum wire_result result)
{
	static const char *const names[] = {
		[WIRE_OK] = "fine",
		[WIRE_BAD_TYPE] = "a type that is not known",
		[WIRE_BAD_LENGTH] = "a wrong length",
		[WIRE_BAD_MAGIC] = "not the start of the sync protocol",
		[WIRE_BAD_FIELD] = "a field out of its range",
		[WIRE_BAD_TEXT] = "a name or text that is not allowed",
	};

	return names[result];
}

enum wire_result wire_decode_header(const struct wire_header *header, enum wire_type *ret_type,
				    uint32_t *ret_body_bytes)
{
	uint32_t body_bytes = le32_get(header->body_bytes);

	if (header->type >= WIRE_TYPES || !wire_types[header->type].name)
		return WIRE_BAD_TYPE;
	if (!all_zero(header->zero, sizeof header->zero))
		return WIRE_BAD_FIELD;
	if (body_bytes < wire_types[header->type].min_bytes ||
	    body_bytes > wire_types[header->type].max_bytes)
		return WIRE_BAD_LENGTH;
	*ret_type = header->type;
	*ret_body_bytes = body_bytes;
	return WIRE_OK;
}

enum wire_result wire_decode(enum wire_type type, const void *body, size_t body_bytes,
			     struct message *ret_message)
{
	if (type >= WIRE_TYPES || !wire_types[type].name)
		return WIRE_BAD_TYPE;
	if (body_bytes < wire_types[type].min_bytes || body_bytes > wire_types[type].max_bytes)
		return WIRE_BAD_LENGTH;
	ret_message->type = type;
	return wire_types[type].decode(body, body_bytes, ret_message);
}
