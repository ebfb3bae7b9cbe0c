/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The other way round from codec.c: our own messages, which are right, to bytes. */
#include "p2v/sync/codec.h"

#include <string.h>

/* Where the next part of a body goes. */
struct out {
	uint8_t *at;
};

static void put(struct out *out, const void *bytes, size_t count)
{
	if (count)
		memcpy(out->at, bytes, count);
	out->at += count;
}

static void encode_hello(struct out *out, const struct message_hello *from)
{
	struct wire_hello hello = {
		.min_version = le16_make(from->min_version),
		.max_version = le16_make(from->max_version),
		.purpose = from->purpose,
	};

	memcpy(hello.magic, WIRE_MAGIC, sizeof hello.magic);
	memcpy(hello.token, from->token, sizeof hello.token);
	put(out, &hello, sizeof hello);
}

static void encode_welcome(struct out *out, const struct message_welcome *from)
{
	struct wire_welcome welcome = {
		.version = le16_make(from->version),
		.max_lanes = le16_make(from->max_lanes),
		.window_bytes = le32_make(from->window_bytes),
	};

	memcpy(welcome.token, from->token, sizeof welcome.token);
	put(out, &welcome, sizeof welcome);
}

static void encode_refused(struct out *out, const struct message_refused *from)
{
	struct wire_refused refused = {le16_make(from->reason), le16_make(from->text_bytes)};

	put(out, &refused, sizeof refused);
	put(out, from->text, from->text_bytes);
	put(out, from->advice, from->advice_bytes);
}

static void encode_job(struct out *out, const struct message_job *from)
{
	struct wire_job job = {.name_bytes = le16_make(from->name_bytes),
			       .disk_count = le16_make(from->disk_count)};

	memcpy(job.run, from->run, sizeof job.run);
	put(out, &job, sizeof job);
	put(out, from->name, from->name_bytes);
	for (size_t i = 0; i < from->disk_count; i++) {
		const struct message_disk *disk = &from->disks[i];
		struct wire_disk wire = {
			.size_bytes = le64_make(disk->size_bytes),
			.data_bytes = le64_make(disk->data_bytes),
			.block_bytes = le32_make(disk->block_bytes),
			.logical_sector_bytes = le16_make(disk->logical_sector_bytes),
			.physical_sector_bytes = le16_make(disk->physical_sector_bytes),
			.id_bytes = le16_make(disk->id_bytes),
		};

		put(out, &wire, sizeof wire);
		put(out, disk->id, disk->id_bytes);
	}
}

static void encode_ready(struct out *out, const struct message_ready *from)
{
	put(out, from->hash_key, WIRE_HASH_KEY_BYTES);
	put(out, from->disk_flags, from->disk_count);
}

static void encode_commit(struct out *out, const struct message_commit *from)
{
	struct wire_commit commit = {.flags = le32_make(from->flags)};

	put(out, &commit, sizeof commit);
	put(out, from->roots, from->disk_count * sizeof *from->roots);
}

static void encode_query(struct out *out, const struct message_query *from)
{
	struct wire_query query = {
		.disk = le32_make(from->disk),
		.level = le16_make(from->level),
		.count = le16_make(from->count),
		.first = le64_make(from->first),
	};

	put(out, &query, sizeof query);
}

static void encode_hashes(struct out *out, const struct message_hashes *from)
{
	encode_query(out, &from->of);
	put(out, from->hashes, from->of.count * sizeof *from->hashes);
}

static void encode_data(struct out *out, const struct message_data *from)
{
	struct wire_data data = {
		.disk = le32_make(from->disk),
		.encoding = le16_make(from->encoding),
		.block_count = le16_make(from->block_count),
		.first_block = le64_make(from->first_block),
	};

	put(out, &data, sizeof data);
	put(out, from->hashes, from->block_count * sizeof *from->hashes);
}

static void encode_zero(struct out *out, const struct message_zero *from)
{
	struct wire_zero zero = {
		.disk = le32_make(from->disk),
		.first_block = le64_make(from->first_block),
		.block_count = le64_make(from->block_count),
	};

	put(out, &zero, sizeof zero);
}

static void encode_announce(struct out *out, const struct message_announce *from)
{
	struct wire_announce announce = {.up_seconds = le32_make(from->up_seconds), .phase = from->phase};

	memcpy(announce.id, from->id, sizeof announce.id);
	for (size_t i = 0; i < WIRE_ANNOUNCE_TEXTS; i++)
		announce.text_bytes[i] = le16_make(from->texts[i].bytes);
	put(out, &announce, sizeof announce);
	for (size_t i = 0; i < WIRE_ANNOUNCE_TEXTS; i++)
		put(out, from->texts[i].text, from->texts[i].bytes);
}

static void encode_body(struct out *out, const struct message *message)
{
	struct wire_durable durable;
	struct wire_bundle bundle = {0};

	switch (message->type) {
	case WIRE_HELLO:
		return encode_hello(out, &message->hello);
	case WIRE_WELCOME:
		return encode_welcome(out, &message->welcome);
	case WIRE_REFUSED:
		return encode_refused(out, &message->refused);
	case WIRE_JOB:
		return encode_job(out, &message->job);
	case WIRE_READY:
		return encode_ready(out, &message->ready);
	case WIRE_COMMIT:
		return encode_commit(out, &message->commit);
	case WIRE_COMMITTED:
		return put(out, &message->committed, sizeof message->committed);
	case WIRE_QUERY:
		return encode_query(out, &message->query);
	case WIRE_HASHES:
		return encode_hashes(out, &message->hashes);
	case WIRE_DATA:
		return encode_data(out, &message->data);
	case WIRE_ZERO:
		return encode_zero(out, &message->zero);
	case WIRE_DURABLE:
		durable.count = le64_make(message->durable);
		return put(out, &durable, sizeof durable);
	case WIRE_ANNOUNCE:
		return encode_announce(out, &message->announce);
	case WIRE_BUNDLE:
		bundle.size_bytes = le32_make(message->bundle_bytes);
		return put(out, &bundle, sizeof bundle);
	case WIRE_MACHINE:
	case WIRE_PART:
	case WIRE_ALIVE:
	case WIRE_SYNC:
		return;
	}
}

size_t wire_payload(const struct message *message, const uint8_t **ret_payload)
{
	switch (message->type) {
	case WIRE_DATA:
		*ret_payload = message->data.payload;
		return message->data.payload_bytes;
	case WIRE_MACHINE:
		*ret_payload = message->machine.text;
		return message->machine.text_bytes;
	case WIRE_PART:
		*ret_payload = message->part.data;
		return message->part.bytes;
	default:
		*ret_payload = NULL;
		return 0;
	}
}

size_t wire_encode(const struct message *message, uint8_t *buf)
{
	struct out out = {buf + sizeof(struct wire_header)};
	struct wire_header header = {.type = message->type};
	const uint8_t *payload;
	size_t body_bytes;

	encode_body(&out, message);
	body_bytes = out.at - buf - sizeof header;
	body_bytes += wire_payload(message, &payload);
	header.body_bytes = le32_make(body_bytes);
	memcpy(buf, &header, sizeof header);
	return out.at - buf;
}
