/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Messages of the sync protocol (wire.h) to bytes and back.
 *
 * Decoding checks all that a message alone can tell: lengths, ranges of numbers, unused fields, texts.  What
 * it takes with a disk's size is checked where disks are known.  Allocates nothing; what a decoded message
 * points to lies in the body it came from.
 */
#ifndef P2V_SYNC_CODEC_H
#define P2V_SYNC_CODEC_H

#include <stdbool.h>
#include <stddef.h>

#include "p2v/sync/hash.h"
#include "p2v/sync/wire.h"

enum wire_result {
	WIRE_OK = 0,
	WIRE_BAD_TYPE,
	WIRE_BAD_LENGTH,
	WIRE_BAD_MAGIC,
	WIRE_BAD_FIELD, /* a number out of its range, or an unused field that is not zero */
	WIRE_BAD_TEXT,
};

const char *wire_result_name(enum wire_result result);
const char *wire_type_name(enum wire_type type); /* "HELLO", …; "unknown" */
/* "booted", …; "unknown" */
const char *wire_phase_name(enum wire_phase phase);
/* The phase of that name, WIRE_PHASE_SAME for none. */
enum wire_phase wire_phase_by_name(const char *name, size_t bytes);

struct message_hello {
	uint16_t min_version, max_version;
	enum wire_purpose purpose;
	uint8_t token[WIRE_TOKEN_BYTES];
};

struct message_welcome {
	uint16_t version;
	uint16_t max_lanes;
	uint32_t window_bytes;
	uint8_t token[WIRE_TOKEN_BYTES];
};

struct message_refused {
	enum wire_reason reason;
	const char *text; /* not NUL-terminated */
	size_t text_bytes;
	const char *advice; /* the same */
	size_t advice_bytes; /* 0: none */
};

struct message_disk {
	uint64_t size_bytes;
	uint64_t data_bytes;
	uint32_t block_bytes;
	uint16_t logical_sector_bytes;
	uint16_t physical_sector_bytes;
	const char *id; /* not NUL-terminated */
	size_t id_bytes;
};

struct message_job {
	const char *name; /* not NUL-terminated */
	size_t name_bytes;
	uint8_t run[WIRE_RUN_BYTES];
	size_t disk_count;
	struct message_disk disks[WIRE_MAX_DISKS];
};

struct message_ready {
	const uint8_t *hash_key; /* WIRE_HASH_KEY_BYTES */
	const uint8_t *disk_flags;
	size_t disk_count;
};

struct message_commit {
	unsigned flags;
	const struct root *roots;
	size_t disk_count;
};

struct message_query {
	uint32_t disk;
	enum wire_level level;
	uint16_t count;
	uint64_t first;
};

struct message_hashes {
	struct message_query of;
	const wire_hash *hashes; /* of.count */
};

struct message_data {
	uint32_t disk;
	enum wire_encoding encoding;
	uint16_t block_count;
	uint64_t first_block;
	const wire_hash *hashes; /* block_count */
	const uint8_t *payload; /* when encoding: not copied, follows what was encoded */
	size_t payload_bytes;
};

struct message_zero {
	uint32_t disk;
	uint64_t first_block;
	uint64_t block_count;
};

struct message_machine {
	const uint8_t *text; /* when encoding: not copied, follows what was encoded */
	size_t text_bytes;
};

struct message_announce {
	uint8_t id[WIRE_MACHINE_ID_BYTES];
	uint32_t up_seconds;
	enum wire_phase phase;
	struct {
		const char *text; /* not NUL-terminated */
		size_t bytes;
	} texts[WIRE_ANNOUNCE_TEXTS];
};

struct message_part {
	const uint8_t *data; /* when encoding: not copied, follows what was encoded */
	size_t bytes;
};

struct message {
	enum wire_type type;
	union {
		struct message_hello hello;
		struct message_welcome welcome;
		struct message_refused refused;
		struct message_job job;
		struct message_ready ready;
		struct message_commit commit;
		struct root committed;
		struct message_query query;
		struct message_hashes hashes;
		struct message_data data;
		struct message_zero zero;
		uint64_t durable;
		struct message_machine machine;
		struct message_announce announce;
		uint32_t bundle_bytes;
		struct message_part part;
	};
};

/* The body that follows a header, as far as the header can tell. */
enum wire_result wire_decode_header(const struct wire_header *header, enum wire_type *ret_type,
				    uint32_t *ret_body_bytes);
enum wire_result wire_decode(enum wire_type type, const void *body, size_t body_bytes,
			     struct message *ret_message);

/* What follows the encoded part of DATA, MACHINE and PART: its length, 0 for all others. */
size_t wire_payload(const struct message *message, const uint8_t **ret_payload);

/* Header and body, without the payload, into buf, which must have WIRE_MAX_HEAD_BYTES; the number of
 * bytes. The message must be one that decoding takes. */
#define WIRE_MAX_HEAD_BYTES (96u << 10)
size_t wire_encode(const struct message *message, uint8_t *buf);

/* Whether it may be the name of a job: a file name that means nothing but itself. */
bool wire_is_job_name(const char *name, size_t bytes);
/* Whether it may be the id of a disk. */
bool wire_is_disk_id(const char *id, size_t bytes);
/* Nothing but what stands on a line, in any character set. */
bool wire_is_ascii(const char *text, size_t bytes);
/* The most that a text of ANNOUNCE may have. */
size_t wire_max_text_bytes(enum wire_announce_text which);

#endif
